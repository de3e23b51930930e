//! The copied process pool.

use book::ch09_outcome::Error;
use book::ch22_worker::Tasks;
use book::ch25_process_pool::ProcessPool;

fn square(n: u64) -> u64 {
    n * n
}

fn main() -> Result<(), Error> {
    let tasks = Tasks::new().with("square", square);
    tasks.serve_if_worker();
    let pool = ProcessPool::new(tasks);
    let squares: Vec<_> = (1..=3).map(|n| pool.submit(square, n)).collect();
    let sum: u64 = squares.into_iter().map(|square| square.result().unwrap()).sum();
    assert_eq!(sum, 14);
    println!("ok");
    Ok(())
}
