//! # 10 · Future — one state machine, first the work, then the outcome
//!
//! | needs | [09](super::ch09_outcome) |
//! | --- | --- |
//! | reading time | 38 min, exercises not counted |
//! | run it | `cargo run --example ch10_future` |
//! | files | [example](../../../../examples/ch10_future.rs), [test](../../../../tests/ch10_future.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [09](../ch09_outcome/index.html), [11](../ch11_wait/index.html) |
//!
//! ## Why
//!
//! The receiver of chapter 08 can wait, and nothing else. It cannot change its mind: the work stays
//! in the queue with all that it captured. It cannot ask whether the work has begun, wait for a
//! while, or leave a note for the moment when the value is there. For all of that the two ends need
//! one place that knows how far the work is.
//!
//! ## Steps
//!
//! 1. A closure in the queue and a channel for its answer. Fails because nobody owns the task in
//!    between: cancelled, its data stays until a worker meets it. (In the example.)
//! 2. One box with one mutex: `Pending(work)`, then `Running`, then `Finished(outcome)`, then
//!    `Taken`. To begin is to take the work out, so it happens once; to cancel is to take it out
//!    and drop it.
//! 3. A callback must see the outcome before the reader moves it out, and runs without the lock. So
//!    there is a state between `Running` and `Finished`: `Completing`.
//! 4. A callback completes the next promise, its callback the next: 100 000 links overflow the
//!    stack. So what a callback completes comes after it, from a list (`later`).
//! 5. What a thread does with the work differs: threads run it, processes send it away. So the work
//!    and its [`Source`] are type parameters, and this file knows neither.
//!
//! ## Picture
//!
//! ```text
//!          claim             complete                    result
//! Pending(work) ─(1)▶ Running ─(2)▶ Completing ─(3)▶ Finished ─(4)▶ Taken
//!   │     ▲              │              ▲ the callbacks
//!   │     └─ hand_back ──┘              │ run here
//!   └───────────────────────────────────┘ cancel, fail: (5) the work is dropped
//!
//!              │ start    complete    promise    cancel     callback   result
//!              │                      dropped               added
//! ─────────────┼──────────────────────────────────────────────────────────────
//! Pending      │ Running  Finished    Abandoned  Cancelled  kept       waits
//! Running      │ true     Finished    Abandoned  false      kept       waits
//! Completing   │ false    given back  –          false *    kept       waits
//! Finished     │ false    given back  –          false *    runs here  outcome
//!                                                 * true if it is cancelled
//! ```
//!
//! `start` is a promise's name for `claim`. `state` has the stages and what stands around them,
//! `slot` the arrows, `later` makes chains a loop; this file has the two ends, [`Promise`] and
//! [`Future`]. In the code the last three boxes are one stage, `Ended`: the outcome is lent to
//! callbacks, here, or with the reader.
//!
//! ## Promises
//!
//! - I1. The work is taken out once: it runs, or it is dropped unrun, never both. `cancel` drops it
//!   on the spot, with all that it captured.
//! - I2. Exactly one outcome: `Finished` is entered with it, and nothing replaces it.
//! - I3. Callbacks added before completion have run when `result` returns. Each runs once, in
//!   order, without the lock.
//! - I4. A promise that is dropped completes with [`Error::Abandoned`].
//! - I5. A failure that nobody looked at is reported when its future is dropped, once. A failure:
//!   [`Error::is_failure`]; to look: `result`, `error`, a callback.
//! - I6. A chain of promises, each completed or dropped by a callback of the one before, takes no
//!   more stack when it is longer.
//! - I7. The end of a task is told (`last`) when no foreign code of it is left to run, and before
//!   anybody can see the outcome. (A pool listens: chapter 15.)
//! - Not promised: which thread runs a callback (it is the one that completes or cancels, or the
//!   one that adds it too late); that `cancel` stops work which has begun; a flat stack for a chain
//!   of futures that callbacks cancel. A callback that waits for its own future hangs. To drop a
//!   future neither cancels nor waits.
//!
//! ## The trap
//!
//! To publish the outcome first and run the callbacks then: the reader is gone before the callback
//! that counts the results has counted this one. And a callback that is added in between joins a
//! list that nobody reads again. Here the look that finds the list empty and the step to `Finished`
//! are one critical section.
//!
//! ## Elsewhere
//!
//! - Python's `Future` has two cancelled states, and `wait` can hang on the first of them.
//! - Java's `FutureTask` is this machine with integers for states and a lock-free stack of waiters.
//! - std: `JoinHandle` is a future without cancel, limit and callback.
//! - A Rust `async` future is polled by its reader; this one is completed by its worker. Chapter 28
//!   makes one out of the other.
//!
//! ## Try
//!
//! 1. Predict: a callback is added while another callback of the same future runs. Who runs it, and
//!    when?
//! 2. Break: in `finish`, set `is_done` before the loop over the callbacks. Which promise falls,
//!    and which tests say so?
//! 3. Extend: write `map_ok`, a future of `f(&value)`, with one promise and one callback. Why can
//!    it only borrow the value?

// Part of concurrent-explained, MIT OR Apache-2.0.

mod later;
mod slot;
mod state;

pub use slot::Slot;
pub use state::{Source, Watcher};

use super::ch09_outcome::Error;
use state::{Phase, Reading};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The reading end of one task: its outcome, once.
///
/// Its one owner moves the outcome out. Share it as `Arc<Future>` to let many wait for the
/// end. `'env` is what the pending work and the callbacks may borrow.
///
/// # Examples
/// The outcome is moved out: it need not be `Clone`, and cannot be read twice.
///
/// ```compile_fail,E0382
/// let (promise, future) = concurrent_explained::promise();
/// promise.complete(Ok(1)).unwrap();
/// let first = future.result();
/// let second = future.result(); // error: use of moved value
/// ```
#[must_use = "a failure is seen only by the thread that reads the future"]
pub struct Future<'env, T> {
    slot: Arc<dyn Reading<'env, T> + 'env>,
}

impl<'env, T: Send + 'env> Future<'env, T> {
    /// The reading end of `slot`. Each slot has one: a second would find the outcome taken.
    pub fn new<S: Source<W, T> + 'env, W: Send + 'env>(slot: Arc<Slot<'env, S, W, T>>) -> Self {
        Future { slot }
    }
}

impl<'env, T> Future<'env, T> {
    /// Moves the outcome out.
    ///
    /// # Blocks
    /// Until the task has ended and the callbacks added by then have run (I3). On a worker of the
    /// task's own pool, work that nobody has started runs right here.
    ///
    /// # Errors
    /// The reason why there is no value: see [`Error`].
    ///
    /// # Examples
    /// ```
    /// use concurrent_explained::{Error, promise};
    ///
    /// let (promise, future) = promise();
    /// std::thread::spawn(move || promise.complete(Ok("news")));
    /// assert_eq!(future.result(), Ok("news"));
    ///
    /// let (promise, future) = concurrent_explained::promise::<i32>();
    /// drop(promise);
    /// assert_eq!(future.result(), Err(Error::Abandoned));
    /// ```
    pub fn result(self) -> Result<T, Error> {
        self.slot.take_by(None).expect("without a deadline, only the outcome ends the wait")
    }

    /// Moves the outcome out, or gives the future back once `limit` has passed. Zero asks without
    /// waiting.
    ///
    /// # Blocks
    /// As [`Future::wait_timeout`].
    ///
    /// # Errors
    /// The future, still unread. An error of the task is in the inner `Result`.
    ///
    /// # Examples
    /// ```
    /// # use concurrent_explained::promise;
    /// # use std::time::Duration;
    /// let (promise, future) = promise();
    /// let future = future.result_timeout(Duration::ZERO).unwrap_err(); // nothing yet
    /// promise.complete(Ok(7)).unwrap();
    /// assert_eq!(future.result_timeout(Duration::MAX).unwrap(), Ok(7));
    /// ```
    pub fn result_timeout(self, limit: Duration) -> Result<Result<T, Error>, Self> {
        self.slot.take_by(Instant::now().checked_add(limit)).ok_or(self)
    }

    /// Waits for the end of the task.
    ///
    /// # Blocks
    /// As [`Future::result`].
    pub fn wait(&self) {
        self.slot.wait_by(None);
    }

    /// Waits for the end of the task, at most `limit` long; true if it has come.
    ///
    /// # Blocks
    /// Until then. Does no work itself: that could take longer than the limit.
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.slot.wait_by(Instant::now().checked_add(limit))
    }

    /// Does the work on this thread if this is a worker of the task's own pool and nobody has
    /// started it. False on any other thread, which cannot.
    pub fn help(&self) -> bool {
        self.slot.help()
    }

    /// True once the outcome is there: `result` will not block. Once true, it stays true.
    #[doc(alias = "done")]
    pub fn is_done(&self) -> bool {
        matches!(self.slot.phase(), Phase::Finished | Phase::Failed | Phase::Cancelled)
    }

    /// True while somebody does the work: it can no longer be cancelled.
    #[doc(alias = "running")]
    pub fn is_running(&self) -> bool {
        self.slot.phase() == Phase::Running
    }

    /// True once it is decided that the task ends as [`Error::Cancelled`]. It is done as soon as
    /// the work is dropped and the callbacks have run.
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.slot.phase(), Phase::Cancelling | Phase::Cancelled)
    }

    /// True if the task is done and has failed: [`Error::is_failure`].
    pub fn is_failed(&self) -> bool {
        self.slot.phase() == Phase::Failed
    }

    /// Drops the work if nobody has started it. True if the task is cancelled, by this call or an
    /// earlier one.
    ///
    /// # Wakes
    /// Every thread that waits for the task. Its callbacks run here.
    pub fn cancel(&self) -> bool {
        self.slot.fail(Error::Cancelled);
        self.is_cancelled()
    }

    /// Cancels the task, or stops it for good if it runs in a process of its own. False if it is
    /// done, or runs on a thread: a thread cannot be stopped. An answer that is on its way counts.
    pub fn kill(&self) -> bool {
        self.cancel() || self.slot.interrupt()
    }

    /// The error of a task that is done and has one. The caller has seen the failure then (I5).
    #[doc(alias = "exception")]
    pub fn error(&self) -> Option<Error> {
        self.slot.error()
    }

    /// A number that no other future has while this one lives: a key for what the caller knows
    /// about it.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.slot).cast::<()>() as usize
    }

    /// Runs `callback` with the outcome once there is one: on the thread that completes or cancels
    /// the task, or here if it is done already. If other callbacks of the task are running at that
    /// moment, the thread that runs them runs this one after them.
    ///
    /// A panic in it is reported (see [`set_failure_hook`](super::ch09_outcome::set_failure_hook)),
    /// and goes no further. It must not wait for its own future, which is done only after it; for
    /// others it may.
    ///
    /// # Examples
    /// ```
    /// # use concurrent_explained::promise;
    /// let (promise, future) = promise();
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// future.add_done_callback(move |outcome| sender.send(outcome.clone()).unwrap());
    /// promise.complete(Ok(7)).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(Ok(7))); // it has run: `complete` ran it
    /// ```
    pub fn add_done_callback(&self, callback: impl FnOnce(&Result<T, Error>) + Send + 'env) {
        self.slot.add_callback(Box::new(callback));
    }

    /// Tells `watcher` of `key` once the task is done. False if it is done already; then nothing is
    /// told. A future has one watcher: a new one takes the place of the one before.
    pub fn watch(&self, watcher: Arc<dyn Watcher>, key: usize) -> bool {
        self.slot.watch(watcher, key)
    }

    /// Forgets a [`Future::watch`] of `watcher`; a task that is ending at this moment may still
    /// tell it.
    pub fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        self.slot.unwatch(watcher);
    }
}

impl<T> Drop for Future<'_, T> {
    fn drop(&mut self) {
        self.slot.reader_dropped();
    }
}

/// The writing end of a future that is fulfilled by hand.
///
/// Dropped without an outcome, it fails the future with [`Error::Abandoned`].
///
/// # Examples
/// There is no second outcome: the first uses the promise up.
///
/// ```compile_fail,E0382
/// let (promise, future) = concurrent_explained::promise();
/// promise.complete(Ok(1)).unwrap();
/// promise.complete(Ok(2)).unwrap(); // error: use of moved value
/// ```
pub struct Promise<T: Send + 'static> {
    slot: Arc<Slot<'static, ByHand, (), T>>,
    fulfilled: bool,
}

/// A promise, and the future it fulfils.
pub fn promise<T: Send + 'static>() -> (Promise<T>, Future<'static, T>) {
    let slot = Arc::new(Slot::new(ByHand, ()));
    (Promise { slot: slot.clone(), fulfilled: false }, Future::new(slot))
}

/// Behind a promise there is nothing: its owner works, and completes it when the time has come.
struct ByHand;

impl<T> Source<(), T> for ByHand {}

impl<T: Send + 'static> Promise<T> {
    /// Says that the work begins: the future is running now, and cannot be cancelled. False if it
    /// was cancelled before. Saying it again changes nothing.
    #[doc(alias = "set_running_or_notify_cancel")]
    pub fn start(&mut self) -> bool {
        self.slot.claim().is_some() || self.slot.phase() == Phase::Running // nobody else claims it
    }

    /// Fulfils the promise, which is used up by it.
    ///
    /// # Wakes
    /// Every waiting thread for the future. Its callbacks run here; if this is a done callback of
    /// another future, they run after it has returned (I6).
    ///
    /// # Errors
    /// The outcome, if the future was cancelled before.
    ///
    /// # Examples
    /// ```
    /// # use concurrent_explained::promise;
    /// let (promise, future) = promise();
    /// assert!(future.cancel());
    /// assert_eq!(promise.complete(Ok(7)), Err(Ok(7))); // too late: nobody wants it any more
    /// ```
    #[doc(alias("set_result", "set_exception"))]
    pub fn complete(mut self, outcome: Result<T, Error>) -> Result<(), Result<T, Error>> {
        if !self.start() {
            return Err(outcome);
        }
        self.fulfil(outcome);
        Ok(())
    }

    fn fulfil(&mut self, outcome: Result<T, Error>) {
        self.fulfilled = true;
        if !self.slot.has_callbacks() {
            return self.slot.complete(outcome, &|| ()); // no foreign code: nothing to put off
        }
        let slot = self.slot.clone();
        later::now_or_later(move || slot.complete(outcome, &|| ()));
    }
}

impl<T: Send + 'static> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.fulfilled && self.start() {
            self.fulfil(Err(Error::Abandoned)); // (I4)
        }
    }
}

// Plumbing

impl<T> fmt::Debug for Future<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Future({:?})", self.slot.phase())
    }
}

impl<T: Send> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Promise({:?})", self.slot.phase())
    }
}
