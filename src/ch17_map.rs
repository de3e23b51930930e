//! # 17 · Map — a line of futures, waited for from the front
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future) |
//! | --- | --- |
//! | reading time | 17 min, exercises not counted |
//! | run it | `cargo run --example ch17_map` |
//! | files | [example](../../../../examples/ch17_map.rs), [test](../../../../tests/ch17_map.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [16](../ch16_scope/index.html), [18](../ch18_child/index.html) |
//!
//! ## Why
//!
//! A scope returns when everything is done. Often the first result is of use while the hundredth is
//! still being computed, and it should come first, although the tasks end in any order. And a
//! million inputs, or inputs without end, must not all stand in the queue at once.
//!
//! ## Steps
//!
//! 1. An iterator of futures, mapped to their results. Fails because iterators are lazy: the second
//!    task is submitted after the first is read. So [`map`] submits everything first, and reads
//!    after that. (The example has both.)
//! 2. A deadline, and an end: [`Map::within`], [`Map::close`], and a drop that cancels.
//! 3. All at once fails for inputs without end. So [`map_windowed`] submits a few, and one more for
//!    each outcome that leaves: the reader's pace becomes the pace of the inputs.
//! 4. A task costs a hundred nanoseconds, a small item one. So [`map_chunked`] makes one task of a
//!    thousand items; and as to catch each item by itself costs more than the item, [`each`] has
//!    one catch for all of them, and goes on behind the item that panicked.
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
//! - I1. Outcomes come in the order of the inputs, one for each, an error like a value.
//! - I2. An error ends its own item; the others go on, in the same chunk too.
//! - I3. `map` has submitted everything when it returns; nobody has to iterate.
//! - I4. With a window, never more than `window` are submitted and not yielded, and no input is
//!   pulled before its turn. Once the pool refuses work ([`Error::ShutDown`], [`Error::Broken`]),
//!   no more is submitted: what is under way comes out, the refusals too, and then the map ends.
//! - I5. One deadline for the whole iteration. What is done by then comes out, however late it is
//!   asked for; the first that is not ends it with [`Error::TooLate`] and cancels the rest.
//! - I6. Dropped or closed, advanced or not, a map cancels what has not started.
//! - I7. An outcome is moved out. The map keeps nothing of it.
//! - Not promised: progress past a slow item. Later ones wait behind it; `as_completed` does not.
//!   And as with every wait, a worker that iterates does unstarted work itself, but not under a
//!   deadline.
//!
//! ## The trap
//!
//! Rust's own `map` is lazy. On an iterator of futures that makes a pool run one task at a time:
//!
//! ```
//! # use concurrent_explained::ThreadPool;
//! # let pool = ThreadPool::new(2);
//! let lazy = (1..=3).map(|n| pool.spawn(move || n * n)).map(|future| future.result());
//! assert_eq!(lazy.size_hint(), (3, Some(3))); // three to come, and none submitted
//! # assert!(lazy.eq([Ok(1), Ok(4), Ok(9)]));
//! # Ok::<(), concurrent_explained::Error>(())
//! ```
//!
//! The right results, in the right order, by one worker: the second task is submitted after the
//! first is read. The example makes two such tasks wait for each other. They wait in every
//! schedule; `cargo run --example ch17_map -- 0` replays the first one.
//!
//! ## Elsewhere
//!
//! - Python: `Executor.map`, with `chunksize` and, since 3.14, `buffersize` for the window. The
//!   first error ends the iteration.
//! - Java: `parallelStream().map(..)` for data in memory, with the pool hidden.
//! - rayon: `par_iter().map(..).collect()`; inputs without end need a bridge, and lose their order.
//!
//! ## Try
//!
//! 1. Predict: a window of 3, and the first item never ends. How many inputs are pulled?
//! 2. Break: in `over`, submit only the first input. Which of the promises falls, and which test
//!    says so?
//! 3. Extend: write `first_some(map)`, which returns the first `Some` among the values and lets
//!    nothing after it start. One line is enough.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::{Error, catch};
use super::ch10_future::Future;
use std::collections::VecDeque;
use std::iter::FusedIterator;
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
/// let pool = ThreadPool::new(2);
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

/// The outcomes of futures that are there already, in their order: [`map`] after its submitting.
/// [`map_chunked`] keeps its chunks in one.
pub fn in_order<T>(futures: Vec<Future<'_, T>>) -> Map<'_, T> {
    Map::over(futures.into_iter(), usize::MAX)
}

/// Submits an input only when fewer than `window` are under way: the first ones now, each further
/// one when an outcome is taken. So the inputs may be endless, and memory stays flat.
///
/// # Panics
/// If `window` is 0. Here or in `next`, if `inputs` does; it is not asked again.
///
/// # Examples
/// ```
/// use concurrent_explained::{ThreadPool, map_windowed};
///
/// let pool = ThreadPool::new(2);
/// let squares = map_windowed(3, 1_u64.., |n| pool.spawn(move || n * n));
/// assert_eq!(squares.take(3).collect::<Result<Vec<_>, _>>()?, [1, 4, 9]);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
#[doc(alias = "buffersize")]
#[track_caller]
pub fn map_windowed<'env, A, T>(
    window: usize,
    inputs: impl IntoIterator<Item = A>,
    submit: impl FnMut(A) -> Future<'env, T>,
) -> Map<'env, T, impl Iterator<Item = Future<'env, T>>> {
    assert!(window > 0, "a window needs room for at least one item");
    Map::over(inputs.into_iter().map(submit), window)
}

/// Outcomes in the order of the inputs. Made by [`map`], [`map_windowed`] and [`in_order`].
///
/// Dropping it cancels what has not started.
#[must_use = "dropping it cancels what has not started"]
pub struct Map<'env, T, S = vec::IntoIter<Future<'env, T>>> {
    /// The moment from which a limit counts (I5).
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
    /// (I3) Submits one by one (1): should an input panic, the drop of `map` cancels those before.
    fn over(source: S, window: usize) -> Self {
        let submitted = VecDeque::new();
        let mut map = Map { called: Instant::now(), deadline: None, source, more: true, submitted };
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
    #[doc(alias = "timeout")]
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
            future.cancel(); // (I6)
        }
    }
}

impl<'env, T, S: Iterator<Item = Future<'env, T>>> Iterator for Map<'env, T, S> {
    type Item = Result<T, Error>;

    /// # Blocks
    /// Until the oldest task is done. On a worker of its pool that task runs right here, if nobody
    /// has started it and there is no deadline.
    fn next(&mut self) -> Option<Self::Item> {
        let oldest = self.submitted.front()?;
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| !oldest.wait_timeout(left)) {
            self.close();
            return Some(Err(Error::TooLate)); // (I5)
        }
        let outcome = self.submitted.pop_front()?.result(); // (2), and it is gone from here (I7)
        // (I4) A pool that refuses will refuse the next input too, and endless inputs would make
        // endless errors.
        self.more &= !matches!(outcome, Err(Error::ShutDown | Error::Broken { .. }));
        self.submit_next(); // (4) only now: never more than the window under way
        Some(outcome) // (3)
    }
}

impl<T, S> Drop for Map<'_, T, S> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Like [`map`], for items too small to be worth a task each: `submit` gets `size` inputs at a
/// time, and promises an outcome for each of them.
///
/// # Panics
/// If `size` is 0. If `inputs` does; then what was submitted before is cancelled.
///
/// # Examples
/// ```
/// use concurrent_explained::{ThreadPool, each, map_chunked};
///
/// let pool = ThreadPool::new(2);
/// let square = |chunk| pool.spawn(move || each(chunk, |n| n * n));
/// let squares = map_chunked(1_000, 1..=100_000_u64, square);
/// assert_eq!(squares.map(Result::unwrap).sum::<u64>(), 333_338_333_350_000);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
#[doc(alias = "chunksize")]
#[track_caller]
pub fn map_chunked<'env, A, T>(
    size: usize,
    inputs: impl IntoIterator<Item = A>,
    mut submit: impl FnMut(Vec<A>) -> Future<'env, Vec<Result<T, Error>>>,
) -> MapChunked<'env, T> {
    assert!(size > 0, "a chunk needs room for at least one item");
    let mut inputs = inputs.into_iter().fuse();
    let mut chunks = in_order(Vec::new());
    let mut sizes = VecDeque::new();
    loop {
        let chunk: Vec<A> = inputs.by_ref().take(size).collect();
        if chunk.is_empty() {
            return MapChunked { chunks, sizes, outcomes: Vec::new().into_iter() };
        }
        sizes.push_back(chunk.len());
        chunks.submitted.push_back(submit(chunk)); // one by one, as in `over`
    }
}

/// The work on one chunk: the outcome of each input. A panic fails its own item, not those after
/// it (I2).
pub fn each<A, T>(inputs: Vec<A>, work: impl Fn(A) -> T) -> Vec<Result<T, Error>> {
    let mut outcomes = Vec::with_capacity(inputs.len());
    let mut inputs = inputs.into_iter();
    // A panic ends the `extend`, and has used up the input that it came from.
    while let Err(panic) = catch(|| outcomes.extend(inputs.by_ref().map(|input| Ok(work(input))))) {
        outcomes.push(Err(panic));
    }
    outcomes
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
            let outcomes = chunk.and_then(|outcomes| match outcomes.len() {
                found if found == size => Ok(outcomes),
                found => {
                    let reason = format!("{found} outcomes for {size} inputs").into();
                    Err(Error::Refused { reason })
                }
            });
            // (I1) A chunk that fails as a whole, cancelled or too late, fails each of its items.
            let all = |error: Error| (0..size).map(|_| Err(error.clone())).collect();
            self.outcomes = outcomes.unwrap_or_else(all).into_iter();
        }
    }
}

// Plumbing

impl<'env, T, S: Iterator<Item = Future<'env, T>>> FusedIterator for Map<'env, T, S> {}

impl<T, S> fmt::Debug for Map<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("submitted", &self.submitted).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for MapChunked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapChunked").field("chunks", &self.chunks).finish_non_exhaustive()
    }
}
