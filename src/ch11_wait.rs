//! # 11 · Wait — many futures, one queue of news
//!
//! Needs: ch07, ch10.   Reading time: 12 min.
//! Run it: cargo run --example ch11_wait
//!
//! ## Why
//!
//! `result` waits for one future. With a hundred of them, asking each in turn means sleeping on the
//! slowest while ninety-nine are ready. Nobody can sleep on a hundred condition variables; but a
//! hundred tasks can write to one queue.
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
//! - I4. Whoever stops waiting leaves nothing behind in the futures, on every way out.
//! - I5. Nothing is cancelled and nothing is lost: what did not come out can be taken back.
//! - One limit for the whole wait, counted from the call. What is done comes out even after it.
//! - A worker that waits without a limit does the unstarted work of its own pool meanwhile. It may
//!   begin a long task when a short one is about to end elsewhere; and a task that waits for what
//!   its waiter does *after* the wait must not be among them.
//! - Not promised: which of two tasks that end at the same moment comes first.
//!
//! ## The trap
//!
//! *If it is not done, ask it to write*, as two steps: a future that ends between the two writes to
//! nobody, and the wait never ends. `watch` is both steps under the future's own lock.
//!
//! The other trap: `wait` with `FirstCompleted` in a loop asks every future again in every round.
//! For a hundred thousand futures that is five thousand million questions; `as_completed` asks
//! once.
//!
//! ## Elsewhere
//!
//! - Python: the same two functions. Cancelled futures may never come out, `wait` returns sets
//!   without order, and the limit of `as_completed` counts from the first `next`.
//! - Java: `ExecutorCompletionService` is the queue, for tasks submitted through it.
//! - Go: every goroutine writes to one channel, which is this chapter without the futures.
//! - Async Rust: `FuturesUnordered` polls those that were woken; `select!` waits for the first.
//!
//! ## Try
//!
//! 1. Predict: of three futures one is done, one was cancelled, one pends. What does `wait` return
//!    for each `ReturnWhen`, with a limit of zero?
//! 2. Break: in `as_completed`, replace `watch` by a look at `done` followed by `watch`. Which test
//!    hangs, and why only sometimes?
//! 3. Extend: write `first_ok`, which returns the first value that is no error, and cancels the
//!    rest.

use super::ch07_queue::Queue;
use super::ch10_future::{Future, Watcher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, iter, mem, thread, vec};

/// How often to look for news before sleeping.
const LOOKS: u32 = 10;

/// What [`wait`] waits for. With nothing to wait for, each is satisfied at once.
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

/// What [`wait`] found, each half in the order of the input.
#[must_use]
pub struct Waited<'env, T> {
    /// `result` does not block on these.
    pub done: Vec<Future<'env, T>>,
    /// Still pending or running, and left alone.
    pub not_done: Vec<Future<'env, T>>,
}

/// Waits for `when`, at most `limit` long (`None`: for ever), and sorts the futures by what has
/// become of them.
///
/// # Blocks
/// Until `when` holds or the limit is over. On a worker that waits without a limit, unstarted work
/// of its own pool runs right here.
///
/// # Examples
/// ```
/// use concurrent_explained::{ReturnWhen, promise, wait};
///
/// let (promise_a, a) = promise::<i32>();
/// let (promise_b, b) = promise::<i32>();
/// promise_b.complete(Ok(7)).unwrap();
/// let mut waited = wait([a, b], ReturnWhen::FirstCompleted, None);
/// assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
/// assert_eq!(waited.done.remove(0).result(), Ok(7));
/// ```
pub fn wait<'env, T>(
    futures: impl IntoIterator<Item = Future<'env, T>>,
    when: ReturnWhen,
    limit: Option<Duration>,
) -> Waited<'env, T> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let futures: Vec<_> = if when == ReturnWhen::AllCompleted {
        let futures: Vec<_> = futures.into_iter().collect();
        if deadline.is_none() {
            futures.iter().for_each(Future::help); // before the first sleep: the last may be what the first waits for
        }
        let _ = futures.iter().all(|future| future.wait_until(deadline)); // all means each: no news needed
        futures
    } else {
        let mut news = as_completed(futures);
        while let Some(key) = news.next_key(deadline) {
            let failed = news.futures[key].as_ref().is_some_and(Future::failed);
            if failed || when == ReturnWhen::FirstCompleted {
                break;
            }
        }
        news.into_unfinished()
    };
    let (done, not_done) = futures.into_iter().partition(Future::done);
    Waited { done, not_done }
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
    let called = Instant::now();
    let futures: Vec<_> = futures.into_iter().map(Some).collect();
    let news: Arc<Queue<usize>> = Arc::default();
    let mut done = Vec::new();
    for (key, future) in futures.iter().flatten().enumerate() {
        // (1) Either the future is done now, or it will tell the queue: `watch` leaves no third
        // case (I2).
        if !future.watch(news.clone(), key) {
            done.push(key);
        }
    }
    AsCompleted { called, unheard: futures.len(), futures, done: done.into_iter(), news, helped: 0 }
}

impl Watcher for Queue<usize> {
    fn done(&self, key: usize) {
        let _ = self.push(key); // (2) all that an end costs (I3); a closed queue is a reader who has left
    }
}

/// An iterator over futures that are done. Made by [`as_completed`].
///
/// `next` blocks until another future is done; on a worker, unstarted work of its own pool runs
/// right there. Dropping the iterator drops the futures that did not come out; it cancels nothing.
#[must_use]
pub struct AsCompleted<'env, T> {
    called: Instant,
    /// By key; `None` once handed out.
    futures: Vec<Option<Future<'env, T>>>,
    /// Keys on their way out: at first of those that were done at the call (I1), then what was news.
    done: vec::IntoIter<usize>,
    /// The keys of the others as they are done, each once.
    news: Arc<Queue<usize>>,
    /// Keys that have not come yet.
    unheard: usize,
    /// Up to this key, whoever waits here has tried to do the work itself.
    helped: usize,
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
    pub fn within(self, limit: Duration) -> Within<'env, T> {
        let deadline = self.called.checked_add(limit);
        Within { news: self, deadline, ended: false }
    }

    /// The futures that were not handed out, in the order of the input (I5).
    pub fn into_unfinished(mut self) -> Vec<Future<'env, T>> {
        self.unwatch();
        mem::take(&mut self.futures).into_iter().flatten().collect()
    }

    /// (3) The next key, unless all have come or the deadline is over.
    fn next_key(&mut self, deadline: Option<Instant>) -> Option<usize> {
        self.unheard.checked_sub(1)?; // nobody is left to write: a pop would wait for ever
        if self.done.len() == 0 {
            self.done = self.news.take_all().into_iter(); // all at once: those who write want the lock as well
        }
        let key = self.done.next().or_else(|| match deadline {
            Some(deadline) => {
                self.news.pop_timeout(deadline.saturating_duration_since(Instant::now())).ok()
            }
            None => self.help().or_else(|| self.look_again()).or_else(|| self.news.pop()),
        });
        self.unheard -= usize::from(key.is_some());
        key
    }

    /// A few looks cost less than being put to sleep and woken, if news is near.
    fn look_again(&self) -> Option<usize> {
        (0..LOOKS).find_map(|_| {
            thread::yield_now();
            self.news.try_pop().ok()
        })
    }

    /// On a worker: does the work that nobody has started, until there is news.
    fn help(&mut self) -> Option<usize> {
        let unhelped = &self.futures[self.helped..];
        unhelped.iter().find_map(|future| {
            self.helped += 1;
            future.as_ref()?.help();
            self.news.try_pop().ok()
        })
    }

    /// (4) Every way out ends here (I4): a future that never ends would keep the queue for ever.
    fn unwatch(&self) {
        let news: Arc<dyn Watcher> = self.news.clone();
        self.futures.iter().flatten().for_each(|future| future.unwatch(&news));
    }
}

impl<'env, T> Iterator for AsCompleted<'env, T> {
    type Item = Future<'env, T>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.next_key(None)?;
        self.futures[key].take()
    }
}

impl<T> Drop for AsCompleted<'_, T> {
    fn drop(&mut self) {
        self.unwatch();
    }
}

/// [`AsCompleted`] with a deadline. What is done by then comes out, however late it is asked for;
/// then comes one error.
#[must_use]
pub struct Within<'env, T> {
    news: AsCompleted<'env, T>,
    deadline: Option<Instant>,
    ended: bool,
}

impl<'env, T> Within<'env, T> {
    /// The futures that were not handed out, in the order of the input.
    pub fn into_unfinished(self) -> Vec<Future<'env, T>> {
        self.news.into_unfinished()
    }
}

impl<'env, T> Iterator for Within<'env, T> {
    type Item = Result<Future<'env, T>, Unfinished>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.news.unheard == 0 {
            return None;
        }
        let key = self.news.next_key(self.deadline);
        self.ended = key.is_none();
        let unfinished =
            Unfinished { unfinished: self.news.unheard, total: self.news.futures.len() };
        Some(key.and_then(|key| self.news.futures[key].take()).ok_or(unfinished))
    }
}

impl<T> fmt::Debug for Waited<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waited")
            .field("done", &self.done)
            .field("not_done", &self.not_done)
            .finish()
    }
}

impl<T> fmt::Debug for AsCompleted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("futures", &self.futures).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Within<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Within").field(&self.news).field(&self.deadline).finish()
    }
}

impl<T> iter::FusedIterator for AsCompleted<'_, T> {}
impl<T> iter::FusedIterator for Within<'_, T> {}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// How many futures were not done.
    pub unfinished: usize,
    /// How many there were.
    pub total: usize,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} unfinished", self.unfinished, self.total)
    }
}

impl std::error::Error for Unfinished {}
