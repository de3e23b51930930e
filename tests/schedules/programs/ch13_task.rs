//! Chapter 13: the work of a task runs once, in the queue or in the one that waits for it.

use super::ch09_outcome::Error;
use super::ch13_task::{PoolId, task};
use crate::program::{bound, programs};
use std::thread;

programs! {
    /// The task's own pool has one worker: this thread, which waits, and runs it.
    fn a_worker_that_waits_does_the_work(bound(1), 1) {
        let pool = PoolId::new();
        pool.enter();
        let (job, future) = task(pool, || 1);
        assert_eq!(future.result(), Ok(1));
        job.run(&|| ());
    }

    fn a_stranger_waits_and_does_not_help(bound(2), 33) {
        let pool = PoolId::new();
        let stranger = thread::current().id();
        let (job, future) = task(pool, move || assert_ne!(thread::current().id(), stranger));
        thread::scope(|scope| {
            scope.spawn(|| {
                pool.enter();
                job.run(&|| ());
            });
            assert_eq!(future.result(), Ok(()));
        });
    }

    fn two_run_the_same_job(bound(3), 24) {
        let runs = real::sync::atomic::AtomicUsize::new(0);
        let count = || runs.fetch_add(1, real::sync::atomic::Ordering::SeqCst);
        let (job, future) = task(PoolId::new(), count);
        thread::scope(|scope| {
            scope.spawn(|| job.run(&|| ()));
            job.run(&|| ());
            assert_eq!(future.result(), Ok(0));
        });
        assert_eq!(runs.load(real::sync::atomic::Ordering::SeqCst), 1);
    }

    fn a_job_runs_while_it_is_cancelled(bound(3), 32) {
        let (job, future) = task(PoolId::new(), || 1);
        thread::scope(|scope| {
            scope.spawn(|| job.run(&|| ()));
            let cancelled = future.cancel();
            assert_eq!(future.result(), if cancelled { Err(Error::Cancelled) } else { Ok(1) });
        });
    }
}
