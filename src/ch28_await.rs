//! # 28 · Await — a waker is a callback
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future) |
//! | --- | --- |
//! | reading time | 12 min, exercises not counted |
//! | run it | `cargo run --example ch28_await` |
//! | files | [example](../../../../examples/ch28_await.rs), [test](../../../../tests/ch28_await.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [27](../ch27_square_sum/index.html), [29](../ch29_timeline/index.html) |
//!
//! ## Why
//!
//! A thread that waits for a future of chapter 10 sleeps, and a thread is a costly thing to put to
//! sleep. Rust's `async` code waits without a thread: a function is cut into pieces at each
//! `.await`, and between two pieces nothing of it is left but its variables. Something must call
//! the next piece when the news is there. This chapter connects the two: our futures can be
//! awaited, and [`block_on`] lets a thread run `async` code.
//!
//! ## Steps
//!
//! 1. A std future has one method, `poll`: "are you ready?" The answer is the value, or `Pending`.
//!    A loop that asks again and again works, and burns a processor.
//! 2. So `poll` takes a waker along: a callback, to be called when asking again is worth it.
//! 3. Our futures tell one watcher when they are done (chapter 11 uses it). A watcher that calls a
//!    waker is all that is missing: [`Awaiting`].
//! 4. A waker for a thread that has nothing else to do: a flag, a mutex, a condvar, a loop. That is
//!    [`block_on`], and it is chapter 01 again.
//!
//! ## Picture
//!
//! ```text
//!  block_on(async { a.await })                     a worker
//!  ───────────────────────────                     ────────
//!  poll ──► Awaiting::poll
//!           (1) keep the waker
//!           (2) watch the future; done already? then Ready
//!  ◄── Pending
//!  (3) sleep until woken                           completes the future
//!                       ◄──── wake ──── (4) its watcher calls the waker
//!  poll ──► Awaiting::poll ──► Ready(outcome)
//! ```
//!
//! ## Promises
//!
//! - I1. No wake is lost: a future that is done before, during or after any step of `poll` is seen
//!   by that `poll`, or its waker is called after it.
//! - I2. Only the waker of the last `poll` is called: a task that moves to another executor takes
//!   its wake-ups along.
//! - I3. To drop an [`Awaiting`] stops nothing and leaves nothing behind: neither the task nor its
//!   future keeps the waker.
//! - I4. No waker is called, cloned or dropped under a lock: it is foreign code.
//! - A worker that awaits unstarted work of its own pool runs it right there, as in chapter 13.
//! - Not promised: an answer to `poll` after `Ready`. That panics, as std allows.
//!
//! ## The trap
//!
//! To ask first and to leave the waker after that. The future is asked, says no, and is completed
//! before the waker is there: nobody is called, and the task sleeps on. It is the lost wake-up of
//! chapter 01 in other clothes, and the cure is the same: leave the waker, then look. The explorer
//! of chapter 31 finds it in 1 of 23 schedules, `01`.
//!
//! ## Elsewhere
//!
//! - Python's `asyncio.wrap_future` does this for `concurrent.futures`.
//! - tokio's and std's own primitives register a waker just so; `futures::executor::block_on` parks
//!   its thread.
//! - `join!(a, b)` of async Rust runs two futures side by side. What stands for it here is Try 3.
//!
//! ## Try
//!
//! 1. Predict: a future is done before it is awaited. How often is its `poll` called, and how often
//!    its waker?
//! 2. Break: in `Awaiting::poll`, watch the future before the waker is kept. Which test goes red?
//! 3. Extend: `join(a, b)`, an `async fn` that awaits two of our futures and gives both outcomes.
//!    Why is it enough to await them one after the other?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::Error;
use super::ch10_future::{Future, Watcher};
use std::future::{Future as _, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// One of our futures on its way through `async` code. Made by `.await`, or by
/// [`into_future`](IntoFuture::into_future) for functions that ask for a std future.
///
/// # Examples
/// ```
/// use concurrent_explained::{ThreadPool, block_on};
///
/// let pool = ThreadPool::new(2);
/// let (a, b) = (pool.spawn(|| 20), pool.spawn(|| 22)); // both run while we await the first
/// let sum = block_on(async { Ok::<_, concurrent_explained::Error>(a.await? + b.await?) });
/// assert_eq!(sum, Ok(42));
/// ```
#[must_use = "nothing is awaited until it is polled"]
#[derive(Debug)]
pub struct Awaiting<'env, T> {
    /// `None` once the outcome is out.
    future: Option<Future<'env, T>>,
    /// What the future is to call. Shared with it from the first `poll` on.
    waker: Arc<LastWaker>,
    is_watching: bool,
}

impl<'env, T> IntoFuture for Future<'env, T> {
    type Output = Result<T, Error>;
    type IntoFuture = Awaiting<'env, T>;

    fn into_future(self) -> Awaiting<'env, T> {
        Awaiting { future: Some(self), waker: Arc::default(), is_watching: false }
    }
}

impl<T> std::future::Future for Awaiting<'_, T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let future = this.future.as_ref().expect("not polled again after Ready");
        future.help(); // where a wait would do the work itself, so does an await
        // (1) before (2): whatever ends the task from here on finds this waker (I1).
        this.waker.keep(context.waker());
        let is_done = if this.is_watching {
            future.is_done()
        } else {
            !future.watch(this.waker.clone(), 0) // (2): one step, done or watched
        };
        this.is_watching = true;
        if !is_done {
            return Poll::Pending;
        }
        this.future.take().map_or(Poll::Pending, |future| Poll::Ready(future.result()))
    }
}

impl<T> Drop for Awaiting<'_, T> {
    fn drop(&mut self) {
        if let Some(future) = &self.future {
            let waker: Arc<dyn Watcher> = self.waker.clone();
            future.unwatch(&waker); // (I3)
        }
    }
}

/// The waker of the last `poll`: an older one belongs to a task that has stopped asking (I2).
#[derive(Debug, Default)]
struct LastWaker(Mutex<Option<Waker>>);

impl LastWaker {
    fn keep(&self, waker: &Waker) {
        let new = waker.clone(); // foreign code, as is the drop of the old one (I4)
        let old = self.0.lock().unwrap().replace(new);
        drop(old);
    }
}

impl Watcher for LastWaker {
    fn done(&self, _key: usize) {
        let waker = self.0.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake(); // (4)
        }
    }
}

/// Runs `async` code on this thread, and gives its value.
///
/// # Blocks
/// While the code is pending. The thread sleeps until a waker is called.
///
/// # Examples
/// ```
/// use concurrent_explained::{block_on, promise};
///
/// let (promise, future) = promise();
/// std::thread::spawn(move || promise.complete(Ok("news")));
/// assert_eq!(block_on(async { future.await }), Ok("news"));
/// ```
pub fn block_on<F: IntoFuture>(code: F) -> F::Output {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    let mut code = pin!(code.into_future());
    loop {
        if let Poll::Ready(value) = code.as_mut().poll(&mut context) {
            return value;
        }
        signal.wait(); // (3)
    }
}

/// "Ask again", kept until somebody waits for it: a wake between two polls is not lost.
#[derive(Debug, Default)]
struct Signal {
    is_set: Mutex<bool>,
    set: Condvar,
}

impl Signal {
    fn wait(&self) {
        let mut is_set = self.is_set.lock().unwrap();
        while !*is_set {
            is_set = self.set.wait(is_set).unwrap();
        }
        *is_set = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_set.lock().unwrap() = true;
        self.set.notify_one();
    }
}
