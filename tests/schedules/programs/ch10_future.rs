//! Chapters 09 and 10: one outcome, told once, to everybody that asks.

use super::ch09_outcome::Error;
use super::ch10_future::promise;
use crate::program::{bound, programs};
use real::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

programs! {
    fn a_promise_is_completed_while_its_future_is_read(bound(2), 39) {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        assert_eq!(future.result(), Ok(1));
        assert!(thread.join().unwrap());
    }

    fn a_promise_is_dropped_while_its_future_is_read(bound(2), 39) {
        let (promise, future) = promise::<i32>();
        let thread = thread::spawn(move || drop(promise));
        assert_eq!(future.result(), Err(Error::Abandoned));
        thread.join().unwrap();
    }

    fn a_promise_is_completed_while_it_is_cancelled(bound(2), 20) {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        let cancelled = future.cancel();
        assert_ne!(thread.join().unwrap(), cancelled);
        assert_eq!(future.result(), if cancelled { Err(Error::Cancelled) } else { Ok(1) });
    }

    fn a_callback_is_added_while_the_promise_is_completed(bound(3), 13) {
        let (promise, future) = promise();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        future.add_done_callback(move |_| _ = count.fetch_add(1, SeqCst));
        thread.join().unwrap();
        assert_eq!(calls.load(SeqCst), 1);
    }

    /// Callbacks that were added before the end have run when `result` returns.
    fn a_callback_runs_before_the_future_is_read(bound(2), 54) {
        let (promise, future) = promise();
        let called = Arc::new(AtomicUsize::new(0));
        let call = called.clone();
        let step = std::sync::Mutex::new(());
        future.add_done_callback(move |_| {
            drop(step.lock().unwrap());
            call.store(1, SeqCst);
        });
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        assert_eq!(future.result(), Ok(1));
        assert_eq!(called.load(SeqCst), 1);
        thread.join().unwrap();
    }

    fn a_limit_passes_while_the_promise_is_completed(bound(2), 54) {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        let outcome = future.result_timeout(Duration::from_secs(1));
        assert_eq!(outcome.unwrap_or_else(|future| future.result()), Ok(1));
        thread.join().unwrap();
    }

    fn a_future_is_dropped_while_the_promise_is_completed(bound(2), 11) {
        let drops = Arc::new(());
        let (promise, future) = promise();
        let value = drops.clone();
        let thread = thread::spawn(move || promise.complete(Ok(value)).is_ok());
        drop(future);
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&drops), 1);
    }
}
