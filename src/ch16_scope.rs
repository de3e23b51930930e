//! # 16 · Scope — a function that calls your closure cannot be skipped on the way out
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future), [13](super::ch13_task), [14](super::ch14_backlog) |
//! | --- | --- |
//! | reading time | 14 min, exercises not counted |
//! | run it | `cargo run --example ch16_scope` |
//! | files | [example](../../../../examples/ch16_scope.rs), [test](../../../../tests/ch16_scope.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [15](../ch15_thread_pool/index.html), [17](../ch17_map/index.html) |
//!
//! ## Why
//!
//! The tasks of a thread pool must be `'static`: a pool cannot know when the data they would borrow
//! goes away. So a pool sorts a copy, or an `Arc`, never the slice on the caller's stack. What is
//! missing is a promise that every task has ended before that slice can be touched again.
//!
//! ## Steps
//!
//! 1. A guard that waits for the tasks in its `Drop`. Fails because a guard can be forgotten, and
//!    the borrow ends without the wait (the trap). So a function calls the closure, and waits
//!    before it returns.
//! 2. `std::thread::scope` is such a function, with a thread for each task: some 40 µs each. So a
//!    few threads are started once, and take tasks from the backlog of chapter 14.
//! 3. When may they end? "The backlog is empty" fails: a task that runs may spawn the next one. So
//!    the body ends first, and then the backlog closes as soon as every worker waits for a task and
//!    there is none: nobody is left who could spawn. (A count of the tasks under way says the same,
//!    and costs each task two changes of one number that all threads share.)
//!
//! ## Picture
//!
//! ```text
//!   let mut data = vec![..];          'env: what outlives the call of `scope`
//!   scope(2, |pool| {            ──┐
//!       pool.spawn(|| .. data ..)  │  body: here, beside two workers
//!   })                           ──┤
//!     (1) the body is over         │  (2) all wait: the backlog closes
//!     (3) the workers have ended ──┘
//!   data.push(..)                     borrowed no longer
//!
//!                              │ task not started   task running   at the end
//!   ───────────────────────────┼───────────────────────────────────────────────
//!   body returns               │ runs               ends           its value
//!   body panics                │ Cancelled          ends           its panic
//!   task panics, future read   │ runs               ends           body's value
//!   task panics, nobody read   │ runs               ends           a panic
//!   spawn after the end        │ ShutDown           –              –
//! ```
//!
//! ## Promises
//!
//! - I1. When `scope` returns or unwinds, no task runs any more and none will, those included that
//!   were spawned by tasks.
//! - I2. While the body or a task is under way, what it spawns runs. (If the body panicked: no
//!   more.)
//! - I3. A failure that nobody has read by the end of the scope panics there, after all tasks have
//!   ended.
//! - I4. A worker that waits for an unstarted task of its own scope runs it, as in a thread pool.
//! - Not promised: that it ends, if a task waits for news that only comes after the scope, or if
//!   the waits form a ring: a pool's only worker opens a scope, whose task waits for a task of that
//!   pool.
//!
//! ## The trap
//!
//! To let a guard do the waiting in its `Drop`. No unsafe code is needed to step around that:
//!
//! ```
//! # use std::cell::Cell;
//! struct WaitsInDrop<'a>(&'a Cell<bool>);
//!
//! impl Drop for WaitsInDrop<'_> {
//!     fn drop(&mut self) {
//!         self.0.set(true); // here it would wait for the threads that borrow
//!     }
//! }
//!
//! let waited = Cell::new(false);
//! std::mem::forget(WaitsInDrop(&waited));
//! assert!(!waited.get()); // the borrow is over, the threads are not
//! ```
//!
//! The standard library had such a guard and took it back before Rust 1.0. A function that calls a
//! closure leaves the caller nothing to forget: it returns after the wait, or not at all. The rest
//! is types. A task cannot borrow from the body, which ends before it:
//!
//! ```compile_fail,E0597
//! concurrent_explained::scope(2, |pool| {
//!     let inside = vec![1, 2, 3];
//!     let borrowed = &inside;
//!     let _ = pool.spawn(move || borrowed.len());
//! });
//! ```
//!
//! and a future, which may still hold the work it borrows for, cannot outlive the data:
//!
//! ```compile_fail,E0597
//! let future = {
//!     let data = vec![1, 2, 3];
//!     concurrent_explained::scope(2, |pool| pool.spawn(|| data.len()))
//! };
//! let _ = future.result();
//! ```
//!
//! and two tasks cannot share what one of them changes:
//!
//! ```compile_fail,E0499
//! let mut data = vec![1, 2, 3];
//! concurrent_explained::scope(2, |pool| {
//!     let _ = pool.spawn(|| data.push(4));
//!     let _ = pool.spawn(|| data.push(5));
//! });
//! ```
//!
//! ## Elsewhere
//!
//! - std: `thread::scope`, a thread for each task. This chapter is built on it: it does the wait.
//! - rayon: `scope`, on the global pool, without results; tasks get the scope as an argument.
//! - Python and Java need no such thing: their closures keep alive what they use.
//!
//! ## Try
//!
//! 1. Predict: the body returns a future. Is it done when `scope` has returned, and always?
//! 2. Break: in `scope`, call `close` in place of `close_when_idle`. Which tasks are refused?
//! 3. Extend: write `largest(items, workers)`, the largest of a borrowed slice, a task for each
//!    part.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::Error;
use super::ch10_future::Future;
use super::ch13_task::{Job, PoolId, task};
use super::ch14_backlog::Backlog;
use std::sync::{Arc, Mutex};
use std::{fmt, mem, thread};

/// Runs `body` beside `workers` threads whose tasks may borrow whatever outlives the call.
///
/// # Blocks
/// Until `body` and every task have ended, the tasks that tasks have spawned included.
///
/// # Panics
/// With `body`'s panic, after what was not started has been cancelled; or, at the end of it all, if
/// a task failed and nobody read its future. And before `body`, if `workers` is 0, or if not even
/// one thread can be started.
///
/// # Examples
/// ```
/// use concurrent_explained::scope;
///
/// let mut words = vec!["news", "lock", "end"];
/// let (front, back) = words.split_at_mut(2);
/// let lengths = scope(2, |pool| {
///     let lengths = pool.spawn(|| back.iter().map(|word| word.len()).sum::<usize>());
///     let sorted = pool.spawn(|| front.sort());
///     sorted.result().and(lengths.result())
/// });
/// assert_eq!(lengths, Ok(3));
/// assert_eq!(words, ["lock", "news", "end"]);
/// ```
#[track_caller]
pub fn scope<'env, R>(workers: usize, body: impl FnOnce(&Scope<'env>) -> R) -> R {
    assert!(workers > 0, "a scope needs at least one worker");
    let shared =
        Shared { backlog: Backlog::new(workers), id: PoolId::new(), unread: Mutex::default() };
    let scope = Scope { shared: Arc::new(shared) };
    let shared = &*scope.shared;
    let value = thread::scope(|threads| {
        // First of all: whatever unwinds from here on, the workers that have started hear of the
        // end. Else they would wait on, and `thread::scope` for them.
        let cut_short = CutShort(shared);
        let mut started = 0;
        while started < workers {
            let work = move || shared.work(started);
            if let Err(cause) = thread::Builder::new().spawn_scoped(threads, work) {
                assert!(started > 0, "a scope could not start any worker: {cause}");
                break; // those there are will get to it
            }
            started += 1;
        }
        let value = body(&scope);
        mem::forget(cut_short); // the body has returned (1)
        shared.backlog.close_when_idle(started); // (2) (I2)
        value
    }); // (3)
    let unread = mem::take(&mut *shared.unread.lock().unwrap());
    assert!(
        unread.iter().all(|job| job.is_accounted_for()),
        "a scoped task failed, and nobody read its future" // (I3)
    );
    value
}

/// A handle on the workers of a [`scope`]; a task that spawns tasks takes a clone along.
#[derive(Clone)]
pub struct Scope<'env> {
    shared: Arc<Shared<'env>>,
}

struct Shared<'env> {
    backlog: Backlog<Arc<dyn Job + 'env>>,
    /// (I4) What makes a thread one of these workers.
    id: PoolId,
    /// Tasks whose failure nobody had read when their worker was done with them. Their futures may
    /// still be read before the scope ends, so the question is asked once more at the end (I3).
    unread: Mutex<Vec<Arc<dyn Job + 'env>>>,
}

impl<'env> Scope<'env> {
    /// Queues `work`, which may borrow whatever outlives the call of [`scope`].
    ///
    /// On a handle that has outlived its scope, or after the body has panicked, the future has
    /// failed already with [`Error::ShutDown`] and the work is dropped unrun.
    ///
    /// # Wakes
    /// One idle worker.
    ///
    /// # Examples
    /// ```
    /// use concurrent_explained::scope;
    ///
    /// let sum = scope(1, |pool| {
    ///     let pool = pool.clone();
    ///     let outer = pool.clone();
    ///     let outer = outer.spawn(move || pool.spawn(|| 20).result().map(|inner| inner + 1));
    ///     outer.result()
    /// });
    /// assert_eq!(sum, Ok(Ok(21)));
    /// ```
    pub fn spawn<T, F>(&self, work: F) -> Future<'env, T>
    where
        F: FnOnce() -> T + Send + 'env,
        T: Send + 'env,
    {
        let (job, future) = task(self.shared.id, work);
        if let Err(refused) = self.shared.backlog.push(job) {
            refused.fail(Error::ShutDown);
        }
        future
    }
}

impl Shared<'_> {
    /// The life of a worker: until it finds nothing, and nobody else is in the middle of a task
    /// (I1).
    fn work(&self, number: usize) {
        self.id.enter();
        loop {
            let next = self.backlog.next(number);
            let Some(job) = next else { return };
            job.run(&|| ());
            // Also kept if it has not ended: `run` does nothing if another worker, which waited for
            // this task, is in the middle of it. How it ended is asked when all is over.
            if !job.is_accounted_for() {
                let mut unread = self.unread.lock().unwrap();
                unread.push(job);
            }
        }
    }
}

/// The body, or what comes before it, unwinds.
struct CutShort<'a, 'env>(&'a Shared<'env>);

impl Drop for CutShort<'_, '_> {
    fn drop(&mut self) {
        self.0.backlog.close();
        for job in self.0.backlog.drain() {
            job.fail(Error::Cancelled);
        }
    }
}

// Plumbing

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("backlog", &self.shared.backlog).finish_non_exhaustive()
    }
}
