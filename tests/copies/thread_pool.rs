//! The copied thread pool.

use book::ch09_outcome::Error;
use book::ch15_thread_pool::ThreadPool;
use std::sync::Arc;

fn main() -> Result<(), Error> {
    let pool = Arc::new(ThreadPool::new(1));
    let inner = pool.clone();
    let outer = pool.spawn(move || inner.spawn(|| 20).result().map(|n| n + 1));
    assert_eq!(outer.result()?, Ok(21));
    pool.shutdown();
    println!("ok");
    Ok(())
}
