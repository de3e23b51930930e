//! # 26 · Executor — what two different pools have in common
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future), [15](super::ch15_thread_pool), [17](super::ch17_map), [19](super::ch19_wire), [25](super::ch25_process_pool) |
//! | --- | --- |
//! | reading time | 12 min, exercises not counted |
//! | run it | `cargo run --example ch26_executor` |
//! | files | [example](../../../../examples/ch26_executor.rs), [test](../../../../tests/ch26_executor.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [25](../ch25_process_pool/index.html), [27](../ch27_square_sum/index.html) |
//!
//! ## Why
//!
//! There are two pools now, and a library of work has to choose one for its caller: a thread pool
//! takes a closure, a process pool a function and a value. A user who learns that a task needs a
//! process of its own would have to rewrite every call.
//!
//! ## Steps
//!
//! 1. Take the narrower half: a function and an argument. A thread can take both as they are; a
//!    process takes the name of the one and the text of the other.
//! 2. Give the two bounds a name each, [`Task`] and [`Value`]. Written out they are three lines,
//!    and stand in six methods and their implementations.
//! 3. Build all other calls out of one: `submit_all` is many, `map` reads them in order,
//!    `map_chunked` submits many arguments at a time.
//!
//! ## Picture
//!
//! ```text
//!                        submit(function, argument)
//!                                    │
//!              ┌─────────────────────┴─────────────────────┐
//!          ThreadPool                                 ProcessPool
//!   (1) move both into a closure              (2) function ──► its name
//!              │                                  argument ──► a line of text
//!              ▼                                           ▼
//!   a thread of this process                  a process that knows the name
//!              │                                           │
//!              └─────────────────────┬─────────────────────┘
//!                           Future<'static, R>
//!
//!   what is asked of         because of the thread     because of the process
//!   ─────────────────────────────────────────────────────────────────────────
//!   the function             Clone, Send, 'static      captures nothing
//!   the argument             Send, 'static             Wire
//!   the result               Send, 'static             Wire
//! ```
//!
//! ## Promises
//!
//! - I1. What satisfies the bounds runs on either pool, unchanged, with the same results.
//! - I2. `submit` never blocks and never fails: what is wrong appears in the future.
//! - I3. `submit_all`, `map` and `map_chunked` submit everything before they return, and keep the
//!   order.
//! - I4. After `shutdown` every future has its outcome, and a further one is refused.
//! - I5. A panic costs its own task, in a chunk its own item, and a task can be cancelled until it
//!   begins: both pools keep that.
//! - Not promised: memory in common. A task that changes a global changes that of its own process.
//!   A thread can wait for a task of its own pool; in a worker process there is no pool to ask.
//!
//! ## The trap
//!
//! To want a `Box<dyn Executor>`. A vtable has one entry for each method, and `submit` is not one
//! method but a family of them, one for each function and type it is called with:
//!
//! ```compile_fail,E0038
//! use concurrent_explained::Executor;
//!
//! let pool: Box<dyn Executor>; // the trait is not dyn compatible
//! ```
//!
//! To make it fit, each call would have to be boxed and its type forgotten, which is what the pools
//! do inside, where nobody sees it. The choice at run time goes one step up: choose the pool in one
//! `match`, and call one generic function in both arms. Chapter 27 does that. Or write the `match`
//! into an `enum` of both (Try 3).
//!
//! The other trap is a closure that captures. It runs on threads; on processes it would leave its
//! captured value behind. Such a program does not compile either, from the line on where the
//! process pool meets the closure. What it captures belongs into the argument: `(n, by)`.
//!
//! ```compile_fail,E0080
//! use concurrent_explained::{Executor, ProcessPool};
//!
//! fn shift_all(pool: &impl Executor, by: u64) {
//!     pool.submit_all(move |n: u64| n + by, 1..=3);
//! }
//!
//! let on_processes: fn(&ProcessPool) = |pool| shift_all(pool, 10);
//! ```
//!
//! ## Elsewhere
//!
//! - Python: `Executor` is a base class, and what cannot be pickled fails when it runs. Threads
//!   ignore `chunksize`.
//! - Java: `ExecutorService` is an interface of objects; all its executors are threads.
//! - rayon, tokio: no trait. One pool, chosen by the author of the program.
//!
//! ## Try
//!
//! 1. Predict: a task adds 1 to a `static` counter and returns the new value. What does
//!    `submit_all` return on one thread, and what on one process, called twice?
//! 2. Break: in `submit_chunk` on threads, do not call `each`, but collect
//!    `inputs.into_iter().map(|input| Ok(task(input)))`. Which promise falls, and why not on
//!    processes?
//! 3. Extend: write `enum AnyPool { Threads(ThreadPool), Processes(ProcessPool) }` that is an
//!    `Executor`, and `Here`, which runs each task before `submit` returns. Which promises does
//!    `Here` keep, and which calls of `cancel` can ever be true?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::Error;
use super::ch10_future::Future;
use super::ch15_thread_pool::ThreadPool;
use super::ch17_map::{Map, MapChunked, each, in_order, map_chunked};
use super::ch19_wire::Wire;
use super::ch25_process_pool::ProcessPool;

/// A function from `A` to `R` that any executor can run. Implemented for all that are.
///
/// Each bound is there for one of the two pools. `submit_all` has a copy for each argument, which
/// is free where nothing is captured; share what is large through an [`Arc`](std::sync::Arc).
pub trait Task<A, R>: Fn(A) -> R + Clone + Send + Sync + 'static {}

impl<F: Fn(A) -> R + Clone + Send + Sync + 'static, A, R> Task<A, R> for F {}

/// An argument or a result that any executor can carry. Implemented for all that are.
#[diagnostic::on_unimplemented(
    message = "not every executor can carry a `{Self}`: it is not `Wire`, or not `Send + 'static`",
    note = "make it `Wire` as chapter 20 shows: `use …::ch20_records::*;`, then `wire!(struct …)`",
    note = "on threads alone nothing is encoded: `map(inputs, |input| pool.spawn(…))` takes it as it is"
)]
pub trait Value: Wire + Send + 'static {}

impl<T: Wire + Send + 'static> Value for T {}

/// What a chunk of calls promises: the outcome of each.
pub type Outcomes<R> = Future<'static, Vec<Result<R, Error>>>;

/// Runs functions somewhere else, and promises their results.
///
/// # Examples
/// ```
/// use concurrent_explained::{Error, Executor, ThreadPool};
///
/// fn length(word: String) -> usize {
///     word.len()
/// }
///
/// fn lengths(pool: &impl Executor, words: &[&str]) -> Result<Vec<usize>, Error> {
///     pool.map(length, words.iter().map(|word| word.to_string())).collect()
/// }
///
/// let pool = ThreadPool::new(2);
/// assert_eq!(lengths(&pool, &["one", "three"])?, [3, 5]);
///
/// // On threads the function may capture what it likes.
/// let prefix = "number ".to_string();
/// let mut names = pool.map(move |n: u8| format!("{prefix}{n}"), 1..=2);
/// assert_eq!(names.next(), Some(Ok("number 1".to_string())));
/// # Ok::<(), Error>(())
/// ```
#[doc(alias = "ExecutorService")]
pub trait Executor {
    /// Has `task(input)` run, and promises its result. (I2)
    ///
    /// # Blocks
    /// Never.
    ///
    /// # Errors
    /// In the future: a panic, a worker's death, a function that the workers do not know
    /// ([`Error::Refused`]), a shutdown that came first.
    fn submit<F: Task<A, R>, A: Value, R: Value>(&self, task: F, input: A) -> Future<'static, R>;

    /// Has `task` run on each of `inputs` in one task: for work too small to be worth a task
    /// each.
    ///
    /// # Blocks
    /// Never.
    ///
    /// # Errors
    /// A panic fails its own item (I5); what fails the task as a whole is in the future.
    fn submit_chunk<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: Vec<A>,
    ) -> Outcomes<R>;

    /// Accepts nothing further, and runs what was submitted. Called again it waits again.
    ///
    /// # Blocks
    /// Until every task has its outcome and every thread or process of the pool is gone. (I4)
    fn shutdown(&self);

    /// Submits one call for each input; the futures come in the order of the inputs.
    ///
    /// # Blocks
    /// Only as long as `inputs` does.
    fn submit_all<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: impl IntoIterator<Item = A>,
    ) -> Vec<Future<'static, R>> {
        let submit = |input| self.submit(task.clone(), input);
        inputs.into_iter().map(submit).collect() // now, not when they are read (I3)
    }

    /// Submits one call for each input, now; the results come in the order of the inputs,
    /// each an `Ok` or an error of its own. (I3)
    ///
    /// The iterator does not borrow the pool. Dropped, it cancels what no worker has begun. For
    /// endless inputs, or fewer under way at once, there is
    /// [`map_windowed`](super::ch17_map::map_windowed).
    ///
    /// # Blocks
    /// The call only as long as `inputs` does, the iterator until the next result is there.
    fn map<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: impl IntoIterator<Item = A>,
    ) -> Map<'static, R> {
        in_order(self.submit_all(task, inputs))
    }

    /// Like [`Executor::map`], with one task for `size` inputs. (I3)
    ///
    /// # Panics
    /// If `size` is 0.
    #[doc(alias = "chunksize")]
    #[track_caller]
    fn map_chunked<F: Task<A, R>, A: Value, R: Value>(
        &self,
        size: usize,
        task: F,
        inputs: impl IntoIterator<Item = A>,
    ) -> MapChunked<'static, R> {
        map_chunked(size, inputs, |chunk| self.submit_chunk(task.clone(), chunk))
    }
}

/// A thread shares the memory: both move, nothing is written down. (1)
impl Executor for ThreadPool {
    fn submit<F: Task<A, R>, A: Value, R: Value>(&self, task: F, input: A) -> Future<'static, R> {
        self.spawn(move || task(input)) // (I1)
    }

    fn submit_chunk<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: Vec<A>,
    ) -> Outcomes<R> {
        self.spawn(move || each(inputs, task))
    }

    fn shutdown(&self) {
        ThreadPool::shutdown(self);
    }
}

/// The pool finds the function's name by its type; the value of the function is not needed. (2)
impl Executor for ProcessPool {
    fn submit<F: Task<A, R>, A: Value, R: Value>(&self, task: F, input: A) -> Future<'static, R> {
        ProcessPool::submit(self, task, input) // (I1)
    }

    fn submit_chunk<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: Vec<A>,
    ) -> Outcomes<R> {
        ProcessPool::submit_chunk(self, task, inputs)
    }

    fn shutdown(&self) {
        ProcessPool::shutdown(self);
    }
}
