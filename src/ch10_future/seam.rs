//! What stands around a future: the source of its outcome, and a thread that watches many.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;

/// What stands behind a future: how its outcome comes about. By default somebody else sees to that.
pub trait Source<W, T>: Send + Sync {
    /// Calls `run` if the work may be done on this thread, which is about to wait for it.
    fn help(&self, _run: &(dyn Fn() + Sync)) {}

    /// Does the work.
    fn run(&self, work: W) -> Result<T, Error> {
        drop(work);
        Err(Error::Abandoned)
    }

    /// Stops running work for good, if that is possible: where it runs in a process of its own.
    fn interrupt(&self) -> bool {
        false
    }
}

/// One thread that waits for many futures at once.
pub trait Watcher: Send + Sync {
    /// The task watched under `key` is done. Must not block: the thread that calls it counts as
    /// free.
    fn done(&self, key: usize);
}
