//! # 15 · Thread pool — starting on demand, ending in order
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future), [13](super::ch13_task), [14](super::ch14_backlog) |
//! | --- | --- |
//! | reading time | 28 min, exercises not counted |
//! | run it | `cargo run --example ch15_thread_pool` |
//! | files | [example](../../../../examples/ch15_thread_pool.rs), [test](../../../../tests/ch15_thread_pool.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [14](../ch14_backlog/index.html), [16](../ch16_scope/index.html) |
//!
//! ## Why
//!
//! The twenty lines of chapter 13 start all their threads at once, needed or not, and know one end:
//! run everything, then stop. A program that was told to stop wants to cancel what is queued. One
//! that panics must not run a thousand more tasks first. And a thread that cannot be started, or an
//! initializer (what the user wants done first on each thread) that fails, must not leave a future
//! that nobody completes.
//!
//! ## Steps
//!
//! 1. The twenty-line pool, its queue a `Backlog`. Starts eight threads for one task.
//! 2. A thread is started when there are more tasks under way than threads. Fails if a worker
//!    counts as free too early: a callback of its task blocks, and the next task gets no thread.
//! 3. So a worker says itself that it is free: when no foreign code of its task can run any more,
//!    and before anybody can see the outcome. That moment is `last` of chapter 10.
//! 4. Several ends, and several at once: a reason that stays, a backlog that accepts nothing more,
//!    then what is in it, then the threads. In this order (I1).
//!
//! ## Picture
//!
//! ```text
//!   spawn(work) ──(1)──▶ backlog ──(2) next──▶ worker ──(3) run──▶ callbacks,
//!       │                  │                     │                 then the news
//!       │                  └─ all busy, and      │                    │
//!       ▼                     room for one more: │ waits for          │
//!     Future ◀─ ─ ─ ─ ┐       start a thread     ▼ another task:      │
//!       │             │                        claim it, run it here  │
//!       └─ result ◀───┴───────────────────────────────────────────────┘
//!
//!                   │ queued     running  waits for    spawn       called on a
//!                   │ work       work     the workers  afterwards  worker
//!   ────────────────┼─────────────────────────────────────────────────────────
//!   shutdown        │ runs       ends     yes          ShutDown    waits not
//!   shutdown_now    │ Cancelled  ends     yes          ShutDown    waits not
//!   detach          │ runs       ends     no           ShutDown    waits not
//!   Drop            │ runs       ends     yes          –           waits not
//!   Drop, unwinding │ Cancelled  ends     yes          –           waits not
//!   Drop, detached  │ runs       ends     no           –           waits not
//!   broken          │ Broken     ends     no           Broken      –
//! ```
//!
//! ## Promises
//!
//! - I1. Every future ends: its work runs once, or it fails with `Cancelled`, `ShutDown`, `Broken`.
//! - I2. Never more workers than the maximum. One more is started only when each of those there are
//!   has something to do; a thread that has heard of the end of a task finds its worker free, and a
//!   worker in foreign code of its task is not.
//! - I3. A worker outlives what it runs: tasks that panic, callbacks, drops of results.
//! - I4. A worker never sleeps beside the task it waits for: if nobody has begun it, it does.
//! - I5. Only workers of this pool run its work; a thread from outside that waits does not help. A
//!   fresh stack of a deep nested wait has the worker's name, and the initializer has run there.
//! - I6. When `shutdown` returns, except on a worker, every thread has ended. Each caller waits.
//! - I7. A pool is broken if an initializer fails, or if not even one thread can be started. Then
//!   what is queued and what comes later fails with the cause, even after a shutdown.
//! - Not promised: an end for two pools in a ring, where a worker of A waits for a task of B, which
//!   waits for a task that only the sleeping worker of A could run. Help in a wait with a limit.
//!   A free worker for a task that waits for something else than a task (an event, a queue). An
//!   order among several workers. What a static or detached pool has not run when `main` returns.
//!
//! ## The trap
//!
//! To count idle workers by counting finished tasks. The two are equal until a task is finished by
//! somebody else: cancelled in the queue, or run by the worker that waited for it. From then on the
//! counter sees idle workers where there are none, and the thread that should be started is not.
//! Here each entry of the backlog counts, whatever became of its work, until a worker has passed
//! over it.
//!
//! ## Elsewhere
//!
//! - Python: `ThreadPoolExecutor`; `with` runs all that is queued even when its body has raised.
//! - Java: `ForkJoinPool` helps like this; `ThreadPoolExecutor` hangs like Python's.
//! - rayon: `join` helps, and steals while it waits for a task that somebody else has begun.
//!
//! ## Try
//!
//! 1. Predict: on a pool of four, the first task spawns another and waits for it. How many threads
//!    start, and how many would be enough?
//! 2. Break: in `Shared::work`, take the task off `under_way` before `run`, and pass `&|| ()`.
//!    Which tests go red?
//! 3. Extend: write `shutdown_within(pool, limit)`, which shuts the pool down, waits at most that
//!    long, and says whether every thread has ended. Which thread must do the waiting?

// Part of concurrent-explained, MIT OR Apache-2.0.

mod shared;

use super::ch09_outcome::Error;
use super::ch10_future::Future;
use super::ch13_task::task;
use shared::{Settings, Shared};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Threads that run tasks: started on demand, reused, never more than the maximum.
///
/// # Examples
/// ```
/// use concurrent_explained::{Error, ThreadPool};
///
/// let pool = ThreadPool::new(2);
/// let squares: Vec<_> = (1..=3).map(|n| pool.spawn(move || n * n)).collect();
/// let sum: i32 = squares.into_iter().map(|square| square.result().unwrap()).sum();
/// assert_eq!(sum, 14);
///
/// pool.shutdown();
/// assert_eq!(pool.spawn(|| 1).result(), Err(Error::ShutDown));
/// ```
#[doc(alias = "ThreadPoolExecutor")]
pub struct ThreadPool {
    shared: Arc<Shared>,
    /// `drop` is to leave everything alone. Never taken back.
    detached: AtomicBool,
}

impl ThreadPool {
    /// A pool of at most `workers` threads.
    ///
    /// # Panics
    /// If there are to be no workers.
    #[doc(alias("max_workers"))]
    #[track_caller]
    pub fn new(workers: usize) -> Self {
        Self::builder().workers(workers).build()
    }

    /// Returns a builder. Default: at most `min(32, processors + 4)` threads, named
    /// `ThreadPool-K_N`: the Nth thread of the Kth builder, both counted from 0.
    ///
    /// # Examples
    /// ```
    /// use concurrent_explained::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().workers(4).name("fetch").build();
    /// let name = pool.spawn(|| std::thread::current().name().unwrap().to_owned());
    /// assert_eq!(name.result()?, "fetch_0");
    /// # Ok::<(), concurrent_explained::Error>(())
    /// ```
    pub fn builder() -> Builder {
        static BUILDERS: AtomicUsize = AtomicUsize::new(0);
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let name = format!("ThreadPool-{}", BUILDERS.fetch_add(1, Ordering::Relaxed));
        let workers = (processors + 4).min(32);
        Builder(Settings { workers, name, stack_size: None, initializer: Box::new(|| Ok(())) })
    }

    /// Queues `work` for the next free worker, or for the worker that waits for it.
    ///
    /// Never waits for a worker. After a shutdown and in a broken pool, the future has failed
    /// already and the work is dropped unrun.
    ///
    /// # Wakes
    /// An idle worker, unless one is on its way.
    ///
    /// # Examples
    /// A pool of one thread, and a task that waits for another:
    /// ```
    /// use concurrent_explained::ThreadPool;
    /// use std::sync::Arc;
    ///
    /// let pool = Arc::new(ThreadPool::new(1));
    /// let again = pool.clone();
    /// let outer = pool.spawn(move || again.spawn(|| 20).result().map(|inner| inner + 1));
    /// assert_eq!(outer.result()?, Ok(21));
    /// # Ok::<(), concurrent_explained::Error>(())
    /// ```
    pub fn spawn<T, F>(&self, work: F) -> Future<'static, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, future) = task(self.shared.id, work);
        self.shared.accept(job); // (1)
        future
    }

    /// [`ThreadPool::spawn`] of a call: the function and its argument, as a process pool needs
    /// them.
    ///
    /// # Examples
    /// ```
    /// use concurrent_explained::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// assert_eq!(pool.submit(f64::sqrt, 2.25).result(), Ok(1.5));
    /// ```
    pub fn submit<A, T, F>(&self, function: F, argument: A) -> Future<'static, T>
    where
        F: FnOnce(A) -> T + Send + 'static,
        A: Send + 'static,
        T: Send + 'static,
    {
        self.spawn(move || function(argument))
    }

    /// The most threads there will be.
    pub fn workers(&self) -> usize {
        self.shared.settings.workers
    }

    /// How many tasks are queued. A cancelled one counts until a worker has passed over it.
    #[doc(alias = "qsize")]
    pub fn pending(&self) -> usize {
        self.shared.backlog.waiting()
    }

    /// Accepts no further work, runs everything queued, and waits for it. So does `Drop`.
    ///
    /// # Blocks
    /// Until every worker has ended; every caller, however many there are. Called on one of the
    /// pool's own workers it does not wait: the worker cannot end before its task does.
    #[doc(alias = "join")]
    pub fn shutdown(&self) {
        self.shared.backlog.close();
        self.shared.join();
    }

    /// Accepts no further work, cancels what nobody has begun, and waits for the rest. So does
    /// `Drop` while a panic unwinds its thread. No later call takes the cancelling back.
    ///
    /// # Blocks
    /// As [`ThreadPool::shutdown`].
    ///
    /// # Wakes
    /// Every thread that waits for a cancelled task. Its callbacks run here.
    #[doc(alias = "cancel_futures")]
    pub fn shutdown_now(&self) {
        self.shared.end(&Error::Cancelled);
        self.shared.join();
    }

    /// Accepts no further work and does not wait, now or in `Drop`, not even an unwinding one: what
    /// is queued runs as long as the process lives.
    pub fn detach(&self) {
        self.shared.backlog.close();
        self.detached.store(true, Ordering::Relaxed);
    }
}

/// [`ThreadPool::shutdown`], or [`ThreadPool::shutdown_now`] while a panic unwinds this thread, or
/// neither after [`ThreadPool::detach`].
impl Drop for ThreadPool {
    fn drop(&mut self) {
        if self.detached.load(Ordering::Relaxed) {
            return;
        }
        if thread::panicking() {
            self.shutdown_now();
        } else {
            self.shutdown();
        }
    }
}

/// What a [`ThreadPool`] is made of. Made by [`ThreadPool::builder`].
#[must_use]
pub struct Builder(Settings);

impl Builder {
    /// The most threads there will be. At least 1.
    pub fn workers(mut self, workers: usize) -> Self {
        self.0.workers = workers;
        self
    }

    /// Threads are named `name_0`, `name_1`, … in the order of their start. (Linux shows the first
    /// 15 bytes.)
    #[doc(alias = "thread_name_prefix")]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// The stack of each thread, in bytes; Rust's default is 2 MiB. A small one needs tasks that
    /// nest little: a task that waits runs others on top of its own frames, 128 deep before the
    /// next gets a fresh stack, of the default size.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.0.stack_size = Some(bytes);
        self
    }

    /// Runs in each worker before its first task. If it fails or panics, the pool is broken: what
    /// is queued and what comes later fails with its reason.
    pub fn initializer(
        mut self,
        run: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.0.initializer = Box::new(run);
        self
    }

    /// Makes the pool. No thread starts before the first task.
    ///
    /// # Panics
    /// If there are to be no workers, or if the name contains a zero byte: no thread can have it.
    #[track_caller]
    pub fn build(self) -> ThreadPool {
        let Settings { workers, name, .. } = &self.0;
        assert!(*workers > 0, "a pool needs at least one worker");
        assert!(!name.contains('\0'), "the name of a thread contains no zero byte: {name:?}");
        ThreadPool { shared: Arc::new(Shared::new(self.0)), detached: AtomicBool::new(false) }
    }
}

// Plumbing

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadPool {{ name: {:?}, .. }}", self.shared.settings.name)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder {{ workers: {}, name: {:?}, .. }}", self.0.workers, self.0.name)
    }
}
