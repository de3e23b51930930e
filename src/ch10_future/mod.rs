//! # 10 · Future — one state machine holding first the work, then the result
//!
//! Needs: nothing but std.   Reading time: 20 min.
//! Run it: cargo run --example ch10_future
//!
//! ## Why
//!
//! A queue carries values one way: whoever pops an item owes nobody an answer. A caller who hands
//! work away wants one thing back, exactly once: the result, or the reason why there is none. And
//! the caller may change its mind first.
//!
//! ## Picture
//!
//! ```text
//! Task: one allocation, two handles
//!
//! a pool's queue ──► Arc<dyn Job> ──► ┌───────────────────┐ ◄── Future<T>
//! (knows how to run it)               │ stage   callbacks │     (knows T)
//!                                     └───────────────────┘
//! stage
//!          claim               complete                     result
//! Pending(work) ──► Running ──────────► Completing ──► Finished ──► Taken
//!     │     ▲          │                     ▲
//!     │     └──────────┘ hand_back           │ the callbacks run here
//!     └──────────────────────────────────────┘ cancel, fail
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
//! Three rooms: `error` says why there is no value, `slot` is the state machine, `task` puts the
//! work beside it.
//!
//! ## Promises
//!
//! - I1. The work is taken out once: it runs, or it is dropped unrun, never both.
//! - I2. Exactly one outcome: `Finished` is entered with it, and nothing replaces it.
//! - I3. Callbacks added before completion have run when `result` returns. Each runs once, in
//!   order, outside the lock. The price: a callback must not wait for its own future.
//! - I4. A claimed task completes: a panic becomes [`Error::Panicked`], a dropped [`Promise`]
//!   becomes [`Error::Abandoned`].
//! - I5. A failure nobody looked at is reported when its future is dropped, once. A failure:
//!   [`Error::is_failure`]; to look: `result`, `error`, a callback.
//! - `cancel` wakes every kind of waiter at once, and drops the work on the spot. It never
//!   interrupts a running task. Dropping a future neither cancels nor waits.
//! - A worker that waits for a task of its own pool which nobody has started runs it itself, so
//!   nested waits end. Hold no lock over a wait: the task that runs may want the same lock.
//! - Not promised: which thread runs a callback. It is the one that completes or cancels; or the
//!   one that adds it too late.
//!
//! ## The trap
//!
//! Keeping work and result apart (the closure in the queue, the result in a channel) leaves nobody
//! to say who owns the task between the two. A cancelled closure keeps its captured data until some
//! worker gets to it, and a waiting worker cannot tell whether the work has begun. Here both
//! questions are one look at `stage`.
//!
//! ## Elsewhere
//!
//! - Python's `Future` has two cancelled states, and `wait` can hang on the first of them.
//! - Java's `FutureTask` is this machine with integers for states and a lock-free stack of waiters.
//! - `std::thread::JoinHandle` is the smallest future: no cancel, no deadline, no callback.
//! - A Rust `async` future is polled by its reader; this one is completed by its worker.
//! - A `then`, as JavaScript has it, is missing here: a task that begins with
//!   `let value = future.result()?` says the same, and a worker that waits does the work itself.
//!
//! ## Try
//!
//! 1. Predict: a callback is added while another callback of the same future runs. Who runs it,
//!    and when?
//! 2. Break: publish the end before the callbacks run (in `finish`, let `again` be `true`). Which
//!    promise falls, and which tests say so?
//! 3. Extend: write `map_ok`, a future of `f(&value)`, with one promise and one callback. Why can
//!    it only borrow the value?

mod error;
mod slot;
mod task;

pub use error::{Death, Error, contain, report, set_failure_hook};
pub use slot::{Slot, Watcher};
pub use task::{Home, Job, task};

use slot::Stage;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The reading end of one task: its outcome, once.
///
/// It has one owner, who moves the outcome out; share it as `Arc<Future>` to let many wait for the
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
#[must_use = "a failure is seen only by whoever reads the future"]
pub struct Future<'env, T> {
    task: Arc<dyn Awaited<'env, T> + 'env>,
}

/// What stands behind a future: the slot its outcome appears in, and the work if there is any here.
pub trait Awaited<'env, T>: Send + Sync {
    /// Where the outcome appears.
    fn slot(&self) -> &Slot<'env, T>;

    /// Drops the work, which nobody has started and nobody will: the task ends without it.
    fn drop_work(&self) {}

    /// Does the work on this thread if this is the place for it and nobody has started it.
    fn help(&self) {}

    /// Stops running work for good, if that is possible: where it runs in a process of its own.
    fn kill(&self) -> bool {
        false
    }
}

impl<'env, T> Future<'env, T> {
    /// The reading end of `task`. Each task has one: a second would find the outcome taken.
    pub fn new(task: Arc<dyn Awaited<'env, T> + 'env>) -> Self {
        Future { task }
    }

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
        self.take_by(None).expect("without a deadline, only the outcome ends the wait")
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
        self.take_by(Instant::now().checked_add(limit)).ok_or(self)
    }

    /// Waits for the end of the task, at most `limit` long; true if it has come.
    ///
    /// # Blocks
    /// As [`Future::wait_until`].
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.wait_until(Instant::now().checked_add(limit))
    }

    /// Waits for the end of the task until `deadline` (`None`: for ever); true if it has come.
    ///
    /// # Blocks
    /// Until then. Only a wait without a deadline does unstarted work itself, as
    /// [`Future::result`]: that could take longer than the deadline.
    pub fn wait_until(&self, deadline: Option<Instant>) -> bool {
        self.help_unless(deadline);
        self.task.slot().finished_by(deadline).is_finished()
    }

    fn take_by(&self, deadline: Option<Instant>) -> Option<Result<T, Error>> {
        self.help_unless(deadline);
        self.task.slot().finished_by(deadline).take_outcome()
    }

    fn help_unless(&self, deadline: Option<Instant>) {
        if deadline.is_none() {
            self.help();
        }
    }

    /// Does the work on this thread if this is a worker of the task's own pool and nobody has
    /// started it.
    pub fn help(&self) {
        self.task.help();
    }

    /// True once the outcome is there: `result` will not block. Once true, it stays true.
    pub fn done(&self) -> bool {
        self.task.slot().state().is_finished()
    }

    /// True while somebody does the work: it can no longer be cancelled.
    pub fn running(&self) -> bool {
        matches!(self.task.slot().state().stage, Stage::Running)
    }

    /// True once it is decided that the task ends as [`Error::Cancelled`]. It is done as soon as
    /// the work is dropped and the callbacks have run.
    pub fn cancelled(&self) -> bool {
        self.task.slot().state().error() == Some(&Error::Cancelled)
    }

    /// Drops the work if nobody has started it. True if the task is cancelled, by this call or an
    /// earlier one.
    ///
    /// # Wakes
    /// Everyone who waits for the task. Its callbacks run here.
    pub fn cancel(&self) -> bool {
        self.task.slot().end_unrun(Error::Cancelled, || self.task.drop_work());
        self.cancelled()
    }

    /// Cancels the task, or stops it for good if it runs in a process of its own. False if it is
    /// done, or runs on a thread: a thread cannot be stopped. An answer that is on its way counts.
    pub fn kill(&self) -> bool {
        self.cancel() || self.task.kill()
    }

    /// True if the task is done and has an error, other than being cancelled.
    pub fn failed(&self) -> bool {
        let state = self.task.slot().state();
        state.is_finished() && state.error().is_some_and(|error| *error != Error::Cancelled)
    }

    /// The error of a task that is done and has one. Whoever asks has seen the failure (I5).
    #[doc(alias = "exception")]
    pub fn error(&self) -> Option<Error> {
        let mut state = self.task.slot().state();
        let error = if state.is_finished() { state.error().cloned() } else { None };
        state.seen |= error.is_some();
        error
    }

    /// A number that no other future has while this one lives: a key for what the caller knows
    /// about it.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.task).addr()
    }

    /// Runs `callback` with the outcome once there is one: on the thread that completes or cancels
    /// the task, or here if it is done already. If other callbacks of the task are running at that
    /// moment, whoever runs them runs this one after them.
    ///
    /// A panic in it is reported (see [`set_failure_hook`]), and goes no further. It must not wait
    /// for its own future, which is done only after it; for others it may.
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
        self.task.slot().add_callback(Box::new(callback));
    }

    /// Tells `watcher` of `key` once the task is done. False if it is done already; then nothing is
    /// told. A future has one watcher: a new one takes the place of the one before.
    pub fn watch(&self, watcher: Arc<dyn Watcher>, key: usize) -> bool {
        self.task.slot().watch(watcher, key)
    }

    /// Forgets a [`Future::watch`] of `watcher`; a task that is ending at this moment may still tell
    /// it.
    pub fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        // The caller still has `watcher`, so what is dropped under the lock is never the last of it.
        self.task.slot().state().watcher.take_if(|theirs| Arc::ptr_eq(&theirs.0, watcher));
    }
}

impl<T> Drop for Future<'_, T> {
    fn drop(&mut self) {
        self.task.slot().desert();
    }
}

impl<T> fmt::Debug for Future<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Future").field(self.task.slot()).finish()
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
pub struct Promise<T> {
    slot: Arc<Slot<'static, T>>,
}

/// A promise, and the future it fulfils.
pub fn promise<T: Send + 'static>() -> (Promise<T>, Future<'static, T>) {
    let slot = Arc::new(Slot::default());
    (Promise { slot: slot.clone() }, Future::new(slot))
}

impl<T: Send> Awaited<'static, T> for Slot<'static, T> {
    fn slot(&self) -> &Slot<'static, T> {
        self
    }
}

impl<T> Promise<T> {
    /// Says that the work begins: the future is running now, and cannot be cancelled. False if it
    /// was cancelled before. Saying it again changes nothing.
    #[doc(alias = "set_running_or_notify_cancel")]
    pub fn start(&mut self) -> bool {
        self.slot.claim() || matches!(self.slot.state().stage, Stage::Running) // nobody else claims this slot
    }

    /// Fulfils the promise, which is used up by it.
    ///
    /// # Wakes
    /// Everyone who waits for the future. Its callbacks run here.
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
        self.slot.complete(outcome, None);
        Ok(()) // the drop of `self` finds nothing left to do (I2)
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if self.start() {
            self.slot.complete(Err(Error::Abandoned), None); // (I4)
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(&self.slot).finish()
    }
}
