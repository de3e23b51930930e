//! The stage of the puzzles: a crew of threads, and a place that notices when two of them are
//! there.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::thread;

/// What a solution must keep to one thread at a time. It never waits: a second visitor is a panic.
#[derive(Debug, Default)]
pub(crate) struct Alone<T>(Mutex<T>);

impl<T> Alone<T> {
    /// # Panics
    /// If another thread is visiting.
    pub(crate) fn visit(&self) -> MutexGuard<'_, T> {
        let guard = self.0.try_lock().expect("two threads where only one may be");
        linger(); // whoever should not be here has time to come
        guard
    }
}

/// Gives up the processor at every 64th call. At every call, a test would be slow on a busy
/// machine.
pub(crate) fn linger() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    if CALLS.fetch_add(1, Relaxed).is_multiple_of(64) {
        thread::yield_now();
    }
}

/// Runs `life(0)` to `life(n - 1)`, each on a thread of its own; their answers in this order.
pub(crate) fn crew<R: Send>(n: usize, life: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let life = &life;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..n).map(|i| scope.spawn(move || life(i))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
