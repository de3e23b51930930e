//! # 17 · Map — order from disorder, and back-pressure
//!
//! Needs: ch10.   Reading time: 10 min.
//! Run it: cargo run --example ch17_map
//!
//! ## Why
//!
//! A scope returns when everything is done. Often the first result is of use while the hundredth is
//! still being computed, and it should come first, although the tasks end in any order. And if there
//! are a million inputs, or no last one, they must not all stand in the queue at once.
//!
//! ## Picture
//!
//! ```text
//!   inputs            submitted                          outcomes
//!                  newest      oldest
//!   .. 7 6 5 ─(1)─▶ 4   3   2   1 ──(2) wait for ──(3)──▶ 1st, 2nd, ..
//!        ▲            any may be done    the oldest
//!        └──(4)── one more for the one that left
//!
//!                 │ inputs are pulled      waiting        drop, close
//!   ──────────────┼─────────────────────────────────────────────────────────
//!   map           │ all, at the call       for the oldest  cancel the rest
//!   map_windowed  │ the first `window`,    for the oldest  cancel the rest,
//!                 │ then one for each                      pull no more
//!                 │ outcome that leaves
//!   map_chunked   │ all, at the call       for the oldest  cancel the rest
//!                 │                        chunk
//! ```
//!
//! ## Promises
//!
//! - I1: outcomes come in the order of the inputs, one for each, an error like a value.
//! - I2: an error ends its own item; the others go on, in the same chunk too.
//! - I3: `map` has submitted everything when it returns; nobody has to iterate.
//! - I4: with a window, never more than `window` are submitted and not yielded, and no input is
//!   pulled before its turn. Once the pool refuses work ([`Error::ShutDown`], [`Error::Broken`]),
//!   what is under way still comes out, then those refusals, at most `window` of them, then the end.
//! - I5: one deadline for the whole iteration. What is done by then comes out, however late it is
//!   asked for; the first that is not ends it with [`Error::TooLate`] and cancels the rest.
//! - I6: dropped or closed, advanced or not, a map cancels what has not started.
//! - I7: an outcome is moved out. The map keeps nothing of it.
//! - A worker that iterates does unstarted work itself (chapter 10), unless there is a deadline.
//! - Not promised: progress past a slow item. Later ones wait behind it; `as_completed` does not.
//!
//! ## The trap
//!
//! Rust's own `map` is lazy. On an iterator of futures that makes a pool run one task at a time:
//!
//! ```
//! # use concurrent_explained::ThreadPool;
//! # let pool = ThreadPool::new(2)?;
//! let lazy = (1..=3).map(|n| pool.spawn(move || n * n)).map(|future| future.result());
//! assert_eq!(lazy.size_hint(), (3, Some(3))); // three to come, and none submitted
//! # assert!(lazy.eq([Ok(1), Ok(4), Ok(9)]));
//! # Ok::<(), concurrent_explained::Error>(())
//! ```
//!
//! The right results, in the right order, by one worker: the second task is submitted after the
//! first is read. The example makes two such tasks wait for each other.
//!
//! ## Elsewhere
//!
//! - Python: `Executor.map`; the window is `buffersize`, since 3.14; going on after an error, 3.16.
//! - Java: `parallelStream().map(..)` for data in memory, with the pool hidden.
//! - rayon: `par_iter().map(..).collect()`; serial for endless inputs unless bridged, then unordered.
//!
//! ## Try
//!
//! 1. Predict: a window of 3, and the first item takes for ever. How many inputs are pulled?
//! 2. Break: let `over` submit only the first input. Which of the promises falls, and which test
//!    says so?
//! 3. Extend: write `first_some(map)`, which returns the first `Some` among the values and lets
//!    nothing after it start. One line is enough.

use super::ch09_outcome::{Error, catch};
use super::ch10_future::Future;
use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use std::{fmt, mem, vec};

/// Submits every input at once, and yields the outcomes in the order of the inputs.
///
/// # Panics
/// If `inputs` does; then what was submitted before is cancelled.
///
/// # Examples
/// ```
/// use concurrent_explained::{ThreadPool, map};
///
/// let pool = ThreadPool::new(2)?;
/// let squares = map(1..=4, |n| pool.spawn(move || n * n));
/// assert_eq!(squares.collect::<Result<Vec<_>, _>>()?, [1, 4, 9, 16]);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
pub fn map<'env, A, T>(
    inputs: impl IntoIterator<Item = A>,
    submit: impl FnMut(A) -> Future<'env, T>,
) -> Map<'env, T, impl Iterator<Item = Future<'env, T>>> {
    Map::over(inputs.into_iter().map(submit), usize::MAX)
}

/// The outcomes of futures that are there already, in their order.
pub fn in_order<T>(futures: Vec<Future<'_, T>>) -> Map<'_, T> {
    Map::over(futures.into_iter(), usize::MAX)
}

/// Submits an input only when fewer than `window` are under way: the first ones now, each further
/// one when an outcome is taken. So the inputs may be endless, and memory stays flat.
///
/// # Panics
/// Here or in `next`, if `inputs` does; it is not asked again.
///
/// # Examples
/// ```
/// use concurrent_explained::{ThreadPool, map_windowed};
/// use std::num::NonZero;
///
/// let pool = ThreadPool::new(2)?;
/// let window = NonZero::new(3).unwrap();
/// let squares = map_windowed(window, 1_u64.., |n| pool.spawn(move || n * n));
/// assert_eq!(squares.take(3).collect::<Result<Vec<_>, _>>()?, [1, 4, 9]);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
pub fn map_windowed<'env, A, T>(
    window: NonZeroUsize,
    inputs: impl IntoIterator<Item = A>,
    submit: impl FnMut(A) -> Future<'env, T>,
) -> Map<'env, T, impl Iterator<Item = Future<'env, T>>> {
    Map::over(inputs.into_iter().map(submit), window.get())
}

/// Outcomes in the order of the inputs. Made by [`map`], [`map_windowed`] and [`in_order`].
///
/// Dropping it cancels what has not started.
#[must_use = "dropping it cancels what has not started"]
pub struct Map<'env, T, S = vec::IntoIter<Future<'env, T>>> {
    called: Instant,
    deadline: Option<Instant>,
    /// The inputs as a lazy iterator of futures: to take one is to submit it.
    source: S,
    /// `source` may have more. False for good once the inputs ended or panicked, or the pool
    /// refused one.
    more: bool,
    /// Oldest first.
    submitted: VecDeque<Future<'env, T>>,
}

impl<'env, T, S: Iterator<Item = Future<'env, T>>> Map<'env, T, S> {
    fn over(source: S, window: usize) -> Self {
        let submitted = VecDeque::new();
        let mut map = Map { called: Instant::now(), deadline: None, source, more: true, submitted };
        // One by one (1): should an input panic, the drop of `map` cancels those before it.
        while map.submitted.len() < window && map.submit_next() {}
        map
    }

    fn submit_next(&mut self) -> bool {
        // `more` is taken while foreign code runs, so an iterator that panicked or ended is not
        // asked again.
        if mem::take(&mut self.more) {
            let next = self.source.next();
            self.more = next.is_some();
            self.submitted.extend(next);
        }
        self.more
    }
}

impl<T, S> Map<'_, T, S> {
    /// Sets one deadline for the whole iteration, counted from the call that made it. What is done
    /// by then comes out, however late it is asked for; the first that is not yields
    /// [`Error::TooLate`], and it and all after it are cancelled.
    pub fn within(mut self, limit: Duration) -> Self {
        self.deadline = self.called.checked_add(limit);
        self
    }

    /// Ends the iteration here and cancels what has not started.
    ///
    /// # Wakes
    /// Nobody but the callbacks of what is cancelled, which run here.
    pub fn close(&mut self) {
        // With nothing submitted, `next` never comes to ask the source again.
        for future in self.submitted.drain(..) {
            future.cancel(); // I6
        }
    }
}

/// # Blocks
/// `next` waits for the oldest task. On a worker of its pool that task runs right here, if nobody
/// has started it and there is no deadline.
impl<'env, T, S: Iterator<Item = Future<'env, T>>> Iterator for Map<'env, T, S> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let oldest = self.submitted.front()?;
        let in_time = match self.deadline {
            None => {
                oldest.wait();
                true
            }
            Some(deadline) => {
                oldest.wait_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        };
        if !in_time {
            self.close();
            return Some(Err(Error::TooLate)); // I5
        }
        let outcome = self.submitted.pop_front()?.result(); // (2), (3)
        // I4. A pool that refuses will refuse the next input too, and endless inputs would make
        // endless errors.
        self.more &= !matches!(outcome, Err(Error::ShutDown | Error::Broken { .. }));
        self.submit_next(); // (4) only now: never more than the window under way
        Some(outcome)
    }
}

impl<'env, T, S: Iterator<Item = Future<'env, T>>> FusedIterator for Map<'env, T, S> {}

impl<T, S> Drop for Map<'_, T, S> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T, S> fmt::Debug for Map<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("submitted", &self.submitted).finish_non_exhaustive()
    }
}

/// Like [`map`], for items too small to be worth a task each: `submit` gets `size` inputs at a time,
/// and promises an outcome for each of them.
///
/// # Panics
/// If `inputs` does; then what was submitted before is cancelled.
///
/// # Examples
/// ```
/// use concurrent_explained::{ThreadPool, each, map_chunked};
/// use std::num::NonZero;
///
/// let pool = ThreadPool::new(2)?;
/// let size = NonZero::new(1_000).unwrap();
/// let squares = map_chunked(size, 1..=100_000_u64, |chunk| pool.spawn(move || each(chunk, |n| n * n)));
/// assert_eq!(squares.map(Result::unwrap).sum::<u64>(), 333_338_333_350_000);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
pub fn map_chunked<'env, A, T>(
    size: NonZeroUsize,
    inputs: impl IntoIterator<Item = A>,
    mut submit: impl FnMut(Vec<A>) -> Future<'env, Vec<Result<T, Error>>>,
) -> MapChunked<'env, T> {
    let mut inputs = inputs.into_iter().fuse();
    let mut chunks = in_order(Vec::new());
    let mut sizes = VecDeque::new();
    loop {
        let chunk: Vec<A> = inputs.by_ref().take(size.get()).collect();
        if chunk.is_empty() {
            return MapChunked { chunks, sizes, outcomes: Vec::new().into_iter() };
        }
        sizes.push_back(chunk.len());
        chunks.submitted.push_back(submit(chunk)); // one by one, as in `over`
    }
}

/// The work on one chunk: the outcome of each input. A panic fails its own item, not those after it.
pub fn each<A, T>(inputs: Vec<A>, work: impl Fn(A) -> T) -> Vec<Result<T, Error>> {
    inputs.into_iter().map(|input| catch(|| work(input))).collect()
}

/// Outcomes in the order of the inputs, computed by the chunk. Made by [`map_chunked`].
///
/// Dropping it cancels the chunks that have not started.
#[must_use = "dropping it cancels what has not started"]
pub struct MapChunked<'env, T> {
    chunks: Map<'env, Vec<Result<T, Error>>>,
    /// How many inputs went into each chunk that is still to come.
    sizes: VecDeque<usize>,
    /// What is left of the chunk that came last.
    outcomes: vec::IntoIter<Result<T, Error>>,
}

impl<T> MapChunked<'_, T> {
    /// Sets one deadline for the whole iteration, as [`Map::within`] does. Each item of the chunk
    /// that misses it is [`Error::TooLate`]; the chunks after it are cancelled.
    pub fn within(mut self, limit: Duration) -> Self {
        self.chunks.deadline = self.chunks.called.checked_add(limit);
        self
    }

    /// Ends the iteration here, in the middle of a chunk too, and cancels what has not started.
    pub fn close(&mut self) {
        self.outcomes = Vec::new().into_iter();
        self.chunks.close();
    }
}

impl<T> Iterator for MapChunked<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let outcome = self.outcomes.next();
            if outcome.is_some() {
                return outcome;
            }
            let (chunk, size) = (self.chunks.next()?, self.sizes.pop_front()?);
            let fits = |outcomes: Vec<_>| match outcomes.len() {
                found if found == size => Ok(outcomes),
                found => Err(Error::Refused {
                    reason: format!("{found} outcomes for {size} inputs").into(),
                }),
            };
            // A chunk that fails as a whole, cancelled or too late, fails each of its items (I1).
            let all = |error: Error| (0..size).map(|_| Err(error.clone())).collect();
            self.outcomes = chunk.and_then(fits).unwrap_or_else(all).into_iter();
        }
    }
}

impl<T> fmt::Debug for MapChunked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapChunked").field("chunks", &self.chunks).finish_non_exhaustive()
    }
}
