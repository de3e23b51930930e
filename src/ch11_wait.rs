//! # 11 · Wait — many futures write into one queue
//!
//! | needs | [07](super::ch07_queue), [10](super::ch10_future) |
//! | --- | --- |
//! | reading time | 18 min, exercises not counted |
//! | run it | `cargo run --example ch11_wait` |
//! | files | [example](../../../../examples/ch11_wait.rs), [test](../../../../tests/ch11_wait.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [10](../ch10_future/index.html), [12](../ch12_workers/index.html) |
//!
//! ## Why
//!
//! `result` waits for one future. With a hundred of them, asking each in turn means sleeping on the
//! slowest while ninety-nine are ready. No thread can sleep on a hundred condition variables; but a
//! hundred tasks can write into one queue.
//!
//! ## Steps
//!
//! 1. `add_done_callback` that sends the future's number into a channel: the reader sleeps on one
//!    channel. Complete, in the example. Fails because a callback cannot be taken back: a reader
//!    that has what it wants, or whose limit is over, stays on the list of every future that goes
//!    on. After a thousand waits one long task remembers a thousand readers, and tells them all.
//! 2. One entry in each future that can be removed: `watch` and `unwatch` of chapter 10. Fails if
//!    "is it done?" and "then tell me" are two steps; so `watch` is both, under the future's lock.
//! 3. The queue of chapter 07 in the middle, and three questions on top: which is next
//!    ([`as_completed`]), is it enough ([`wait()`]), and is it late ([`wait_timeout`],
//!    [`AsCompleted::within`]).
//!
//! ## Picture
//!
//! ```text
//! future 0 ──(1) watch──┐
//! future 1 ──(1) watch──┼──(2) done(key)──▶ Queue<key> ──(3) take─▶ futures[key]
//! future 2 ──(1) watch──┘                    1, 0, ...
//!     ▲                                                                  │
//!     └────────────(4) unwatch, when nobody waits any more ──────────────┘
//!
//!                │ no future │ one done │ one failed │ one cancelled │ all done
//! ───────────────┼───────────┼──────────┼────────────┼───────────────┼─────────
//! FirstCompleted │ returns   │ returns  │ returns    │ returns       │ returns
//! FirstException │ returns   │ waits    │ returns    │ waits         │ returns
//! AllCompleted   │ returns   │ waits    │ waits      │ waits         │ returns
//! ```
//!
//! ## Promises
//!
//! - I1. Each future comes out once. Those that are done at the call come first, in the order of
//!   the input; the others as they are done.
//! - I2. No end is missed: a future is done when it is asked to write, or it will write.
//! - I3. One end costs one entry in the queue, however many futures there are.
//! - I4. A reader that stops waiting leaves nothing behind in the futures, on every way out.
//! - I5. Nothing is lost, and nothing is cancelled unless asked for: what did not come out can be
//!   taken back, or cancelled with [`AsCompleted::cancel_on_drop`].
//! - I6. One limit for the whole wait, counted from the call. What is done comes out even after it.
//! - I7. A worker that waits without a limit does the unstarted work of its own pool meanwhile.
//!   (Pools and their workers come in chapters 12 to 15; until then, `help` does nothing.)
//! - Not promised: which of two tasks that end at the same moment comes first. And with I7, a
//!   worker may begin a long task when a short one is about to end elsewhere; what a task waits for
//!   must not be something that its waiter does after the wait.
//!
//! ## The trap
//!
//! `for future in as_completed(all) { sum += future.result()?; }` leaves at the first failure, and
//! leaves the other tasks running: they were handed to a pool, and a future that is dropped cancels
//! nothing. If the pool is dropped next, its `drop` runs every one of them before anybody sees the
//! error. `as_completed(all).cancel_on_drop()` cancels what has not started. ([`map`] does so
//! always: its reader wants all values or none.)
//!
//! The other trap: `wait` with `FirstCompleted` in a loop asks every future again in every round.
//! With n futures that is about n²/2 questions; `as_completed` asks n.
//!
//! [`map`]: ../ch17_map/index.html
//!
//! ## Elsewhere
//!
//! - Python: the same two functions. Cancelled futures may never come out, `wait` returns sets
//!   without order, and leaving the loop cancels nothing either.
//! - Java: `ExecutorCompletionService` is the queue, for tasks submitted through it.
//! - Go: every goroutine writes to one channel, which is this chapter without the futures.
//! - Async Rust: `FuturesUnordered` polls those that were woken; `select!` waits for the first.
//!
//! ## Try
//!
//! 1. Predict: of three futures one is done, one was cancelled, one pends. What does `wait_timeout`
//!    return for each `ReturnWhen`, with a limit of zero?
//! 2. Break: in `as_completed`, ask `is_done` first: if true, push the key to `done`; if not, call
//!    `watch` and ignore its answer. Which tests hang, and why only sometimes?
//! 3. Extend: write `first_ok`, which returns the first value that is no error, and cancels the
//!    rest.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch07_queue::Queue;
use super::ch10_future::{Future, Watcher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, iter, mem, vec};

/// What [`wait()`] waits for. With nothing to wait for, each is satisfied at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnWhen {
    /// One future is done: finished, failed or cancelled.
    #[doc(alias = "FIRST_COMPLETED")]
    FirstCompleted,
    /// One future has failed (being cancelled is no failure), or all are done.
    #[doc(alias = "FIRST_EXCEPTION")]
    FirstException,
    /// All futures are done.
    #[doc(alias = "ALL_COMPLETED")]
    AllCompleted,
}

/// What [`wait()`] found, each half in the order of the input.
#[must_use]
pub struct Waited<'env, T> {
    /// `result` does not block on these.
    pub done: Vec<Future<'env, T>>,
    /// Still pending or running, and left alone.
    pub not_done: Vec<Future<'env, T>>,
}

/// Waits for `when`, and sorts the futures by what has become of them.
///
/// # Blocks
/// Until `when` holds. On a worker, unstarted work of its own pool runs right here.
///
/// # Examples
/// ```
/// use concurrent_explained::{ReturnWhen, promise, wait};
///
/// let (promise_a, a) = promise::<i32>();
/// let (promise_b, b) = promise::<i32>();
/// promise_b.complete(Ok(7)).unwrap();
/// let mut waited = wait([a, b], ReturnWhen::FirstCompleted);
/// assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
/// assert_eq!(waited.done.remove(0).result(), Ok(7));
/// ```
pub fn wait<'env, T>(
    futures: impl IntoIterator<Item = Future<'env, T>>,
    when: ReturnWhen,
) -> Waited<'env, T> {
    as_completed(futures).sort_when(when)
}

/// The same, for at most `limit`.
///
/// # Blocks
/// Until `when` holds or the limit is over. It does no work itself: that could take longer.
pub fn wait_timeout<'env, T>(
    futures: impl IntoIterator<Item = Future<'env, T>>,
    when: ReturnWhen,
    limit: Duration,
) -> Waited<'env, T> {
    as_completed(futures).within(limit).0.sort_when(when)
}

/// The futures in the order in which they are done; those that are done already come first, in the
/// order of the input.
///
/// # Examples
/// Each future has an [`id`](Future::id), under which the caller can remember what it is for.
///
/// ```
/// use concurrent_explained::{as_completed, promise};
/// use std::collections::HashMap;
///
/// let (slow, a) = promise();
/// let (fast, b) = promise();
/// let names = HashMap::from([(a.id(), "slow"), (b.id(), "fast")]);
/// let mut news = as_completed([a, b]);
///
/// fast.complete(Ok(1)).unwrap();
/// let first = news.next().unwrap();
/// assert_eq!((names[&first.id()], first.result()), ("fast", Ok(1)));
/// slow.complete(Ok(2)).unwrap();
/// assert_eq!(names[&news.next().unwrap().id()], "slow");
/// assert!(news.next().is_none());
/// ```
pub fn as_completed<'env, T>(
    futures: impl IntoIterator<Item = Future<'env, T>>,
) -> AsCompleted<'env, T> {
    let called = Instant::now(); // before the input is read: that may take its time
    let futures: Vec<_> = futures.into_iter().map(Some).collect();
    let news = Arc::new(Queue::<usize>::unbounded());
    let mut done = Vec::new();
    for (key, future) in futures.iter().flatten().enumerate() {
        // (1) Either the future is done now, or it will tell the queue: no third case (I2).
        if !future.watch(news.clone(), key) {
            done.push(key);
        }
    }
    let (to_come, ready) = (futures.len(), done.into_iter());
    let (deadline, cancel_rest) = (None, false);
    AsCompleted { called, deadline, futures, ready, news, to_come, helped: 0, cancel_rest }
}

impl Watcher for Queue<usize> {
    fn done(&self, key: usize) {
        let _ = self.push(key); // (2) all that an end costs (I3); never full, closed by nobody here
    }
}

/// An iterator over futures that are done. Made by [`as_completed`].
///
/// Dropping it drops the futures that did not come out, and cancels none of them, unless
/// [`cancel_on_drop`](AsCompleted::cancel_on_drop) was asked for.
#[must_use]
pub struct AsCompleted<'env, T> {
    /// The moment from which a limit counts (I6).
    called: Instant,
    /// `None` is no limit.
    deadline: Option<Instant>,
    /// By key; `None` once handed out.
    futures: Vec<Option<Future<'env, T>>>,
    /// Keys on their way out: first of those that were done at the call (I1), then what was news.
    ready: vec::IntoIter<usize>,
    /// The keys of the others as they are done, each once.
    news: Arc<Queue<usize>>,
    /// How many keys have not come yet.
    to_come: usize,
    /// Up to this key, the thread that waits here has tried to do the work itself.
    helped: usize,
    /// Set by `cancel_on_drop`.
    cancel_rest: bool,
}

impl<'env, T> AsCompleted<'env, T> {
    /// The same, for at most `limit`, counted from the call of [`as_completed`].
    ///
    /// # Examples
    /// ```
    /// # use concurrent_explained::{as_completed, promise};
    /// # use std::time::Duration;
    /// let (promise_a, a) = promise::<i32>();
    /// let (promise_b, b) = promise::<i32>();
    /// promise_b.complete(Ok(7)).unwrap();
    /// let mut news = as_completed([a, b]).within(Duration::ZERO);
    /// assert_eq!(news.next().unwrap().unwrap().result(), Ok(7)); // done already
    /// assert_eq!(news.next().unwrap().unwrap_err().to_string(), "1 of 2 unfinished");
    /// assert_eq!(news.into_unfinished().len(), 1);
    /// ```
    #[doc(alias = "timeout")]
    pub fn within(mut self, limit: Duration) -> Within<'env, T> {
        self.deadline = self.called.checked_add(limit);
        Within(self)
    }

    /// From now on, dropping the iterator cancels what did not come out and has not started. A `?`
    /// in a loop over it then means "the first failure, and no more work".
    ///
    /// # Examples
    /// ```
    /// use concurrent_explained::{Error, Future, as_completed, promise};
    ///
    /// fn sum(futures: Vec<Future<'_, u64>>) -> Result<u64, Error> {
    ///     as_completed(futures).cancel_on_drop().map(Future::result).sum()
    /// }
    ///
    /// let (mut slow, a) = promise();
    /// let (fails, b) = promise();
    /// drop(fails);
    /// assert_eq!(sum(vec![a, b]), Err(Error::Abandoned));
    /// assert!(!slow.start()); // cancelled
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_rest = true;
        self
    }

    /// The futures that were not handed out, in the order of the input (I5).
    pub fn into_unfinished(mut self) -> Vec<Future<'env, T>> {
        self.unwatch();
        mem::take(&mut self.futures).into_iter().flatten().collect()
    }

    /// All three questions read the same queue: the last one reads it to the end.
    fn sort_when(mut self, when: ReturnWhen) -> Waited<'env, T> {
        while let Some(key) = self.next_key() {
            match when {
                ReturnWhen::FirstCompleted => break,
                ReturnWhen::FirstException if self.has_failed(key) => break,
                ReturnWhen::FirstException | ReturnWhen::AllCompleted => {}
            }
        }
        let (done, not_done) = self.into_unfinished().into_iter().partition(Future::is_done);
        Waited { done, not_done }
    }

    fn has_failed(&self, key: usize) -> bool {
        self.futures[key].as_ref().is_some_and(Future::is_failed)
    }

    /// (3) The next key, unless all have come or the deadline is over (I6).
    fn next_key(&mut self) -> Option<usize> {
        if self.to_come == 0 {
            return None; // nobody is left to write: a pop would wait without end
        }
        if self.ready.len() == 0 {
            // All at once: the threads that write want the lock as well.
            self.ready = self.news.take_all().into_iter();
        }
        let key = match (self.ready.next(), self.deadline) {
            (Some(key), _) => key,
            (None, Some(deadline)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.news.pop_timeout(left).ok()?
            }
            (None, None) => self.help().or_else(|| self.news.pop())?,
        };
        self.to_come -= 1;
        Some(key)
    }

    /// On a worker: does the work that nobody has started, until there is news (I7).
    fn help(&mut self) -> Option<usize> {
        while let Some(future) = self.futures.get(self.helped) {
            self.helped += 1;
            if let Some(future) = future {
                future.help();
            }
            if let Ok(key) = self.news.try_pop() {
                return Some(key);
            }
        }
        None
    }

    /// (4) Every way out comes by here (I4): a future that never ends would keep the queue.
    fn unwatch(&self) {
        let news: Arc<dyn Watcher> = self.news.clone();
        for future in self.futures.iter().flatten() {
            future.unwatch(&news);
        }
    }
}

impl<'env, T> Iterator for AsCompleted<'env, T> {
    type Item = Future<'env, T>;

    /// # Blocks
    /// Until another future is done. On a worker, unstarted work of its own pool runs right here.
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.next_key()?;
        self.futures[key].take()
    }
}

impl<T> Drop for AsCompleted<'_, T> {
    fn drop(&mut self) {
        self.unwatch();
        if self.cancel_rest {
            for future in self.futures.iter().flatten() {
                future.cancel();
            }
        }
    }
}

/// [`AsCompleted`] with a deadline. What is done by then comes out, however late it is asked for;
/// then comes one error.
#[must_use]
pub struct Within<'env, T>(AsCompleted<'env, T>);

impl<'env, T> Within<'env, T> {
    /// The futures that were not handed out, in the order of the input.
    pub fn into_unfinished(self) -> Vec<Future<'env, T>> {
        self.0.into_unfinished()
    }
}

impl<'env, T> Iterator for Within<'env, T> {
    type Item = Result<Future<'env, T>, Unfinished>;

    fn next(&mut self) -> Option<Self::Item> {
        let (unfinished, total) = (self.0.to_come, self.0.futures.len());
        if unfinished == 0 {
            return None;
        }
        let future = self.0.next();
        if future.is_none() {
            self.0.to_come = 0; // the error comes once, and ends it
        }
        Some(future.ok_or(Unfinished { unfinished, total }))
    }
}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// How many futures were not done.
    pub unfinished: usize,
    /// How many there were.
    pub total: usize,
}

// Plumbing

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} unfinished", self.unfinished, self.total)
    }
}

impl std::error::Error for Unfinished {}

impl<T> iter::FusedIterator for AsCompleted<'_, T> {}
impl<T> iter::FusedIterator for Within<'_, T> {}

impl<T> fmt::Debug for Waited<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Waited { done, not_done } = self;
        f.debug_struct("Waited").field("done", done).field("not_done", not_done).finish()
    }
}

impl<T> fmt::Debug for AsCompleted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("futures", &self.futures).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Within<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Within").field(&self.0).field(&self.0.deadline).finish()
    }
}
