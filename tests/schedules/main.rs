//! Every schedule of the book's own source: the chapters, byte for byte, over the explorer.

#![allow(unreachable_pub, dead_code, reason = "chapters are meant for a library")]

extern crate self as std;
extern crate std as real;
pub use concurrent_explained::ch31_schedules::{sync, thread, time};
pub use real::*;

#[path = "../../src/ch01_lock.rs"]
pub mod ch01_lock;
#[path = "../../src/ch02_rlock.rs"]
pub mod ch02_rlock;
#[path = "../../src/ch03_condition.rs"]
pub mod ch03_condition;
#[path = "../../src/ch04_event.rs"]
pub mod ch04_event;
#[path = "../../src/ch05_semaphore.rs"]
pub mod ch05_semaphore;
#[path = "../../src/ch06_barrier.rs"]
pub mod ch06_barrier;
#[path = "../../src/ch07_queue.rs"]
pub mod ch07_queue;
#[path = "../../src/ch08_oneshot.rs"]
pub mod ch08_oneshot;
#[path = "../../src/ch12_workers.rs"]
pub mod ch12_workers;

use concurrent_explained::ch31_schedules::{Limits, explore};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[test]
fn two_threads_are_never_both_inside_the_lock() {
    let report = explore(Limits::preemptions(1), || {
        let (lock, inside) = (ch01_lock::Lock::new(), AtomicUsize::new(0));
        let enter = || {
            let _guard = lock.lock();
            assert_eq!(inside.fetch_add(1, SeqCst), 0);
            inside.fetch_sub(1, SeqCst);
        };
        std::thread::scope(|scope| {
            scope.spawn(enter);
            scope.spawn(enter);
        });
    });
    assert!(report.is_complete && report.failures() == 0, "{report}");
    assert!(report.schedules > 20, "{report}");
}
