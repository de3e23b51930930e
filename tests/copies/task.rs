//! The pool of chapter 13's example, copied: nested waits end.

use book::ch10_future::Future;
use book::ch13_task::{Job, PoolId, task};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

fn main() {
    let pool = Arc::new(Pool::new(1));
    let inner = pool.clone();
    let outer = pool.spawn(move || inner.spawn(|| 20).result().map(|n| n + 1));
    assert_eq!(outer.result(), Ok(Ok(21)));
    println!("ok");
}
