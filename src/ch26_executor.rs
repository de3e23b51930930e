//! # 26 · Executor — what two different things have in common
//!
//! Needs: ch10, ch15, ch17, ch19, ch25.   Reading time: 8 min.
//! Run it: cargo run --example ch26_executor
//!
//! ## Why
//!
//! There are two pools now, and whoever writes a library of work must choose one for the caller:
//! `ThreadPool::spawn` takes a closure, `ProcessPool::submit` a function and a value. A user who
//! learns that a task needs a process of its own would have to rewrite every call.
//!
//! ## Picture
//!
//! ```text
//!                        submit(function, argument)
//!                                    │
//!              ┌─────────────────────┴─────────────────────┐
//!          ThreadPool                                 ProcessPool
//!   move both into a closure                  function ──► its name
//!              │                              argument ──► a line of text
//!              ▼                                           ▼
//!   a thread of this process                  a process that knows the name
//!              │                                           │
//!              └─────────────────────┬─────────────────────┘
//!                           Future<'static, R>
//!
//!   what is asked of         because of the thread     because of the process
//!   ─────────────────────────────────────────────────────────────────────────
//!   the function             Send, 'static             captures nothing
//!   the argument             Send, 'static             Wire
//!   the result               Send, 'static             Wire
//! ```
//!
//! ## Promises
//!
//! - I1: what satisfies the bounds runs on either pool, unchanged, with the same results.
//! - I2: `submit` never blocks and never fails: what is wrong appears in the future.
//! - I3: `submit_all`, `map` and `map_chunked` submit everything before they return, and keep the
//!   order.
//! - I4: after `shutdown` every future has its outcome, and a further one is refused.
//! - A panic costs its own task, in a chunk its own item, and cancelling works until a task begins:
//!   both pools keep that.
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
//! into an `enum` of both (`Try` 2).
//!
//! The other trap is a closure that captures. It runs on threads, so the bound `Fn` lets it in; on
//! processes it would leave its captured value behind. Such a program does not compile either, from
//! the line on where the process pool meets the closure:
//!
//! ```compile_fail,E0080
//! use concurrent_explained::{Executor, ProcessPool, Tasks};
//!
//! fn shift_all(pool: &impl Executor, by: u64) {
//!     pool.submit_all(move |n: u64| n + by, 1..=3);
//! }
//!
//! shift_all(&ProcessPool::new(Tasks::new()).unwrap(), 10);
//! ```
//!
//! ## Elsewhere
//!
//! - Python: `Executor` is a base class, and what cannot be pickled fails when it runs. Threads
//!   ignore `chunksize`; on processes an error took the rest of its chunk with it, up to 3.15.
//! - Java: `ExecutorService` is an interface of objects; all its executors are threads.
//! - rayon, tokio: no trait. One pool, chosen by whoever writes the program.
//!
//! ## Try
//!
//! 1. Predict: a task adds 1 to a `static` counter and returns the new value. What does
//!    `submit_all` return on one thread, and what on one process, called twice?
//! 2. Extend: write `enum AnyPool { Threads(ThreadPool), Processes(ProcessPool) }` that is an
//!    `Executor`. How many lines does a third pool add?
//! 3. Extend: write `Here`, an executor that runs each task before `submit` returns. Which promises
//!    does it keep, and which calls of `cancel` can ever be true?

use super::ch09_outcome::Error;
use super::ch10_future::Future;
use super::ch15_thread_pool::ThreadPool;
use super::ch17_map::{Map, MapChunked, each, in_order, map_chunked};
use super::ch19_wire::Wire;
use super::ch25_process_pool::ProcessPool;

/// Runs functions somewhere else, and promises their results.
///
/// Each bound is there for one of the two pools. A function is `Copy` because `submit_all` calls it
/// once for each argument; it is named or a closure that captures nothing, so there is nothing to
/// copy.
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
/// # Ok::<(), Error>(())
/// ```
#[doc(alias = "ExecutorService")]
pub trait Executor {
    /// Has `function(argument)` run, and promises its result. Never blocks.
    ///
    /// # Errors
    /// In the future: a panic, a worker's death, a function that the workers do not know
    /// ([`Error::Refused`]), a shutdown that came first.
    fn submit<F, A, R>(&self, function: F, argument: A) -> Future<'static, R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static;

    /// Has `function` run on each of `arguments` in one task: for work too small to be worth a task
    /// each.
    ///
    /// # Errors
    /// A panic fails its own item; what fails the task as a whole is in the future.
    fn submit_chunk<F, A, R>(
        &self,
        function: F,
        arguments: Vec<A>,
    ) -> Future<'static, Vec<Result<R, Error>>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static;

    /// Accepts nothing further, and runs what was submitted. Called again it waits again.
    ///
    /// # Blocks
    /// Until every task has its outcome and every thread or process of the pool is gone. (I4)
    fn shutdown(&self);

    /// Submits one call for each argument; the futures come in the order of the arguments. (I3)
    ///
    /// # Blocks
    /// Only as long as `arguments` does.
    fn submit_all<F, A, R>(
        &self,
        function: F,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<Future<'static, R>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        arguments.into_iter().map(|argument| self.submit(function, argument)).collect()
    }

    /// Submits one call for each argument, now; the results come in the order of the arguments,
    /// each an `Ok` or an error of its own. (I3)
    ///
    /// The iterator does not borrow the pool. Dropped, it cancels what no worker has begun. For
    /// endless arguments, or fewer under way at once, there is
    /// [`map_windowed`](super::ch17_map::map_windowed).
    ///
    /// # Blocks
    /// The call only as long as `arguments` does, the iterator until the next result is there.
    fn map<F, A, R>(&self, function: F, arguments: impl IntoIterator<Item = A>) -> Map<'static, R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        in_order(self.submit_all(function, arguments))
    }

    /// Like [`Executor::map`], with one task for `size` arguments. (I3)
    #[doc(alias = "chunksize")]
    fn map_chunked<F, A, R>(
        &self,
        size: usize,
        function: F,
        arguments: impl IntoIterator<Item = A>,
    ) -> MapChunked<'static, R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        map_chunked(size, arguments, |chunk| self.submit_chunk(function, chunk))
    }
}

impl Executor for ThreadPool {
    /// A thread shares the memory: function and argument move, nothing is written down.
    fn submit<F, A, R>(&self, function: F, argument: A) -> Future<'static, R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        self.spawn(move || function(argument))
    }

    fn submit_chunk<F, A, R>(
        &self,
        function: F,
        arguments: Vec<A>,
    ) -> Future<'static, Vec<Result<R, Error>>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        self.spawn(move || each(arguments, function))
    }

    fn shutdown(&self) {
        ThreadPool::shutdown(self);
    }
}

impl Executor for ProcessPool {
    /// The pool looks up the function's name by its type; the value of the function is not needed.
    fn submit<F, A, R>(&self, function: F, argument: A) -> Future<'static, R>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        ProcessPool::submit(self, function, argument)
    }

    fn submit_chunk<F, A, R>(
        &self,
        function: F,
        arguments: Vec<A>,
    ) -> Future<'static, Vec<Result<R, Error>>>
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        ProcessPool::submit_chunk(self, function, arguments)
    }

    fn shutdown(&self) {
        ProcessPool::shutdown(self);
    }
}
