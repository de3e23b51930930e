//! # 25 · Process pool — death is news
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future), [19](super::ch19_wire), [21](super::ch21_protocol), [22](super::ch22_worker), [23](super::ch23_process), [24](super::ch24_in_flight) |
//! | --- | --- |
//! | reading time | 100 min, exercises not counted |
//! | run it | `cargo run --example ch25_process_pool` |
//! | files | [example](../../../../examples/ch25_process_pool.rs), [test](../../../../tests/ch25_process_pool.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [24](../ch24_in_flight/index.html), [26](../ch26_executor/index.html) |
//!
//! ## Why
//!
//! The pool in the example of chapter 23 is a queue and some threads with a process each. It sends
//! one call at a time, so a tiny task costs two switches between processes; a task without end
//! occupies a worker for good; a call that is sent cannot be cancelled; and its threads wait, each
//! for its own process, so none can decide for all. A pool has to know what each worker has in
//! hand, and to decide at each piece of news what is to be done next.
//!
//! ## Steps
//!
//! 1. The news are few: a call is submitted, a worker is ready, answers, gives back, ends; a write
//!    has ended; time has passed. Each is one method of `State`, under one lock, that waits for
//!    nothing.
//! 2. After each, the same question: *what is to be done next?* `State::next_order` answers with
//!    one order or none: start a process, write these lines, close that input. It is pure,
//!    so it needs no protocol of wake-ups between threads, and no thread that hands out work.
//! 3. The thread that brings the news carries the orders out, outside of the lock, and asks until
//!    there is none.
//! 4. One thread for each process: it starts it, waits at its output, and sees to its end.
//! 5. Some things happen when nothing happens: a limit passes. One clock for the pool looks at the
//!    time, and ends when there is nothing to look at.
//!
//! ## Picture
//!
//! ```text
//!   submit ──► queue ─┐                                   Future
//!                     │                                     ▲
//!               ┌─────▼──────────────────────────┐          │ (3) tell
//!               │ State: queue, workers, health  │          │
//!               │   news in, next_order out      │◄─── thread of worker 1
//!               └─────┬──────────────────────────┘       ▲ (2) stdout, (4) end
//!      the one that   │                     ▲ (5)        │
//!      asked does it  │                   clock      ┌───┴────┐
//!                     └── (1) write ──── stdin ─────►│ worker │
//!                         start, close               └────────┘
//!
//!   what happens to a worker  │ its first call    │ those behind it
//!   ──────────────────────────┼───────────────────┼───────────────────────────
//!   it answers                │ has its outcome   │ the next one runs
//!   it ends, or talks nonsense│ `Error::Died`     │ back in the queue
//!   the first overruns a limit│ `Error::TimedOut` │ back in the queue
//!   the first is killed       │ `Error::Killed`   │ back in the queue
//! ```
//!
//! The files, in reading order: `worker` is the record of one worker, `queue` the calls that wait,
//! `health` when to give up, `state` all of these and the question; `shared` is the lock and the
//! list of threads, `reading` what a thread of a worker has in hand, `threads` their lives; `call`
//! joins a call to its future, `calls` are what callers do, `settings` are numbers.
//!
//! ## Promises
//!
//! - I1. Each call has one outcome, and at most one worker begins it: the first unanswered one is
//!   never sent again, and those behind it cannot have begun.
//! - I2. A death costs the call that ran, and no other. A readable answer counts even if its
//!   worker is dead by now.
//! - I3. A full or silent pipe holds up one thread, and never under a lock. Who submits never
//!   waits.
//! - I4. Memory is what was submitted plus what was not read, however slow the workers are.
//! - I5. A process that ends is reaped at once, its pipes are closed and its thread ends; after
//!   `shutdown` nothing is left. A grandchild that holds a pipe open delays that by about a
//!   second; of a worker that ended while it was idle, until the pool needs or ends it.
//! - I6. A worker ends with its parent, however the parent ends: its input ends then.
//! - I7. Nothing waits without end. After [`Builder::max_deaths`] deaths without an answer between
//!   them, or three starts in a row that came to nothing while no worker is at work, the pool is
//!   broken and every call says why. Workers that die at one moment count once.
//! - I8. A limit is kept, at most 20 ms late, because the process is killed. So is
//!   [`Future::kill`].
//! - A pool of n workers has n threads that read, n that pass on standard error, and one clock;
//!   beside them a thread for each request over 32 KiB, for as long as it is written.
//! - Callbacks run on the threads of the pool. A slow one holds up the answers of its worker; one
//!   that waits for another call of the pool hands its worker to a new thread first.
//! - Not promised: that a task which failed had no effect. It may have died after its last line.
//!   And what a worker that is another program prints before it is ready is shown only if it never
//!   is.
//!
//! ## The trap
//!
//! **Death noticed by one sign.** The end of the output is the first sign, but a grandchild that
//! inherited the pipe keeps it open. The exit status is the other, but somebody must ask for it,
//! and answers may still be in the pipe. The thread reads to the end before it reaps; the clock
//! looks for an exit without an end.
//!
//! **Sending to a busy worker.** If each `submit` tops up a busy worker, each write carries one
//! request and costs a system call on both sides. Only the thread that reads a worker's answers
//! sends it more, half a window at a time; while it does, the queue grows, and the next write is
//! full.
//!
//! **Trying again.** A pool that repeats the task of a dead worker repeats whatever the task had
//! done, and a task that kills its worker kills them all, one by one. Only the caller knows
//! whether a task may run twice (`Try` 3).
//!
//! ## Elsewhere
//!
//! - Python: one dead worker breaks the `ProcessPoolExecutor` and fails all its futures.
//! - Erlang: links and supervisors. Death arrives as a message, as here.
//! - GNU parallel, xargs: a process for each task, so a death is that task's exit status.
//!
//! ## Try
//!
//! 1. Predict: one worker, a hundred tasks, every tenth ends its process. How many results, how
//!    many processes? And with `max_deaths(5)`, or with the deadly tasks one behind the other?
//! 2. Break: in `Health::died`, count every death (leave out the `if`). What becomes of a pool of
//!    twelve when all of its workers are killed at one moment?
//! 3. Extend: write `persist(&pool, times, function, argument)`, which submits again after
//!    [`Error::Died`]. Why does it take the argument as a `Clone`, and which errors must it not
//!    repeat?

// Part of concurrent-explained, MIT OR Apache-2.0.

mod call;
mod calls;
mod health;
mod queue;
mod reading;
mod settings;
mod shared;
mod state;
mod threads;
mod worker;

use super::ch09_outcome::Error;
use super::ch10_future::Future;
use super::ch19_wire::Wire;
use super::ch21_protocol::EACH;
use super::ch22_worker::Tasks;
use super::ch23_process::read_result;
use settings::{Settings, as_name};
use shared::Shared;
use std::ffi::OsString;
use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// Processes that run named tasks: started on demand, reused, replaced when they die.
///
/// Each is this same program, unless [`Builder::command`] says otherwise: its `main` begins with
/// [`Tasks::serve_if_worker`], which does not come back in a worker.
///
/// # Examples
/// ```no_run
/// use concurrent_explained::{ProcessPool, Tasks};
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let tasks = Tasks::new().with("square", square);
/// tasks.serve_if_worker(); // first of all
/// let pool = ProcessPool::new(tasks);
/// assert_eq!(pool.submit(square, 12).result(), Ok(144));
/// ```
///
/// What is the same for all tasks goes to each worker once, as an argument of its program:
///
/// ```no_run
/// # use concurrent_explained::{ProcessPool, Tasks};
/// use std::sync::OnceLock;
///
/// static DATABASE: OnceLock<String> = OnceLock::new();
///
/// let tasks = Tasks::new().initializer(|| {
///     let name = std::env::args().nth(2).ok_or("no database was named")?;
///     DATABASE.set(name).map_err(|_| "set twice".to_string())
/// });
/// tasks.serve_if_worker();
/// let pool = ProcessPool::builder(tasks).arg("people.db").build();
/// ```
#[doc(alias("ProcessPoolExecutor", "pickle"))]
pub struct ProcessPool {
    shared: Arc<Shared>,
    detached: AtomicBool,
}

impl ProcessPool {
    /// A pool of as many workers as there are processors. No process starts before the first call.
    ///
    /// # Panics
    /// As [`Builder::build`].
    #[track_caller]
    pub fn new(tasks: Tasks) -> Self {
        Self::builder(tasks).build()
    }

    /// Returns a builder, for a pool of another size, with limits, or with other workers.
    pub fn builder(tasks: Tasks) -> Builder {
        Builder { settings: Settings::new(tasks) }
    }

    /// Calls `function`, which `tasks` knows by name, in a worker.
    ///
    /// Never blocks: the call waits in the pool until a worker is free. A closure that captures
    /// anything is refused by the compiler: only names and values travel.
    ///
    /// # Errors
    /// In the future: [`Error::Panicked`], [`Error::Died`], [`Error::TimedOut`],
    /// [`Error::Refused`] for what cannot be called or read, [`Error::ShutDown`],
    /// [`Error::Broken`].
    pub fn submit<A: Wire, R: Wire + Send + 'static>(
        &self,
        function: impl Fn(A) -> R + Send + Sync + 'static,
        argument: A,
    ) -> Future<'static, R> {
        let name = self.shared.settings.name_of(&function);
        calls::submit(&self.shared, None, name, argument, read_result)
    }

    /// Like [`ProcessPool::submit`]; a task that runs longer than `limit` is killed, whatever the
    /// pool's own limit is. [`Duration::MAX`] is no limit.
    pub fn submit_timeout<A: Wire, R: Wire + Send + 'static>(
        &self,
        limit: Duration,
        function: impl Fn(A) -> R + Send + Sync + 'static,
        argument: A,
    ) -> Future<'static, R> {
        let name = self.shared.settings.name_of(&function);
        calls::submit(&self.shared, Some(limit), name, argument, read_result)
    }

    /// Calls `function` for each of `arguments` in one task: for work too small to be worth a task
    /// each.
    ///
    /// # Errors
    /// A panic fails its own item. A death, or a limit that the items together overrun, fails the
    /// future; the name of the task in it ends with [`EACH`]. A worker in another language refuses
    /// what it does not know.
    #[doc(alias = "chunksize")]
    pub fn submit_chunk<A: Wire, R: Wire + Send + 'static>(
        &self,
        function: impl Fn(A) -> R + Send + Sync + 'static,
        arguments: Vec<A>,
    ) -> Future<'static, Vec<Result<R, Error>>> {
        let name = self.shared.settings.name_of(&function).map(|name| format!("{name}{EACH}"));
        calls::submit(&self.shared, None, name, arguments, |task, answer| {
            let items: Vec<Result<R, String>> = read_result(task, answer)?;
            let panicked = |message: String| Error::Panicked { message: message.into() };
            Ok(items.into_iter().map(|item| item.map_err(panicked)).collect())
        })
    }

    /// Calls a task by its name: that of a worker in another language, perhaps. Types are not
    /// checked against the worker: an argument that it cannot read is [`Error::Refused`].
    pub fn call<A: Wire, R: Wire + Send + 'static>(
        &self,
        task: &str,
        argument: A,
    ) -> Future<'static, R> {
        calls::submit(&self.shared, None, as_name(task), argument, read_result)
    }

    /// [`ProcessPool::call`] with the limit of [`ProcessPool::submit_timeout`].
    pub fn call_timeout<A: Wire, R: Wire + Send + 'static>(
        &self,
        limit: Duration,
        task: &str,
        argument: A,
    ) -> Future<'static, R> {
        calls::submit(&self.shared, Some(limit), as_name(task), argument, read_result)
    }

    /// Accepts no further calls, waits until every call has its answer and every worker is gone.
    /// So does `Drop`.
    ///
    /// # Blocks
    /// Every caller, until all is over. On a thread of the pool, in a done callback, it does not
    /// wait.
    #[doc(alias = "join")]
    pub fn shutdown(&self) {
        calls::close(&self.shared, None);
        self.shared.join();
    }

    /// Accepts no further calls, cancels those that no worker has begun, and waits for the rest.
    /// So does `Drop` in a panic.
    ///
    /// # Blocks
    /// As [`ProcessPool::shutdown`].
    #[doc(alias = "cancel_futures")]
    pub fn shutdown_now(&self) {
        calls::close(&self.shared, Some(Error::Cancelled));
        self.shared.join();
    }

    /// Like [`ProcessPool::shutdown_now`], but does not wait for running tasks either: their
    /// workers are killed, and their futures end with [`Error::Killed`].
    ///
    /// # Blocks
    /// As [`ProcessPool::shutdown`], for as long as it takes to kill.
    #[doc(alias("kill_workers", "terminate_workers"))]
    pub fn kill(&self) {
        calls::close(&self.shared, Some(Error::Cancelled));
        let mut state = self.shared.lock();
        state.kill_all();
        threads::ask(&self.shared, state, None);
        self.shared.join();
    }

    /// Accepts no further calls and does not wait, now or in `Drop`. What is under way goes on as
    /// long as this process lives: workers end with it.
    pub fn detach(&self) {
        self.detached.store(true, Relaxed);
        calls::close(&self.shared, None);
    }

    /// How many processes run at once, at most.
    #[doc(alias = "max_workers")]
    pub fn workers(&self) -> usize {
        self.shared.settings.workers
    }

    /// How many calls wait: no worker has been sent them, and they can be cancelled.
    pub fn pending(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// The processes that are running now.
    pub fn pids(&self) -> Vec<u32> {
        self.shared.lock().pids()
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        let ending = thread::panicking().then_some(Error::Cancelled);
        calls::close(&self.shared, ending);
        if !self.detached.load(Relaxed) {
            self.shared.join();
        }
    }
}

/// What a [`ProcessPool`] is to be.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// The most processes that run at once; as many as there are processors unless said otherwise.
    #[doc(alias = "max_workers")]
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// How to start a worker, if it is not this same program: another program, another language,
    /// another machine. What it prints before it is ready is shown only if it never is.
    pub fn command(self, command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        self.command_for(move |_| command())
    }

    /// Like [`Builder::command`], told which of the workers it is, from 0: no two that run at once
    /// have the same number.
    pub fn command_for(
        mut self,
        command: impl Fn(usize) -> Command + Send + Sync + 'static,
    ) -> Self {
        self.settings.launch = Some(Box::new(command));
        self
    }

    /// A further argument on the command line of each worker: after the mark, if it is this same
    /// program.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.settings.arguments.push(argument.into());
        self
    }

    /// The workers run this test program, and in it the test `entry`, which serves and does
    /// nothing else: a recipe for pools in plain `#[test]` functions.
    ///
    /// # Examples
    /// ```no_run
    /// # use concurrent_explained::{ProcessPool, Tasks};
    /// # fn square(n: u64) -> u64 { n * n }
    /// fn tasks() -> Tasks {
    ///     Tasks::new().with("square", square)
    /// }
    ///
    /// #[test]
    /// fn worker_entry() {
    ///     tasks().serve_if_worker();
    /// }
    ///
    /// #[test]
    /// fn twelve_squared() {
    ///     let pool = ProcessPool::builder(tasks()).in_tests("worker_entry").build();
    ///     assert_eq!(pool.submit(square, 12).result(), Ok(144));
    /// }
    /// ```
    ///
    /// In a module the name is that of the test report: `tests::worker_entry`.
    pub fn in_tests(mut self, entry: &str) -> Self {
        self.settings.skips_noise = true; // `running 1 test`
        self.arg(entry).arg("--exact").arg("--nocapture")
    }

    /// How long a task may run, unless its call says otherwise. Then its worker is killed.
    #[doc(alias = "timeout")]
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.settings.task_timeout = Some(limit);
        self
    }

    /// How long a worker may take to get ready: 10 s unless said otherwise.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.settings.start_timeout = limit;
        self
    }

    /// How long a worker may take to exit once its input has ended: 2 s unless said otherwise.
    /// Then it is killed.
    pub fn exit_timeout(mut self, limit: Duration) -> Self {
        self.settings.exit_timeout = limit;
        self
    }

    /// How many tasks a process runs before another takes its place; no bound unless said
    /// otherwise.
    #[doc(alias = "max_tasks_per_child")]
    pub fn max_tasks_per_worker(mut self, tasks: usize) -> Self {
        self.settings.max_tasks = tasks;
        self
    }

    /// How many workers may die one after the other, without an answer from any between them,
    /// before the pool is broken: 10 unless said otherwise. Those that are there at the same time
    /// count once.
    pub fn max_deaths(mut self, deaths: u32) -> Self {
        self.settings.max_deaths = deaths;
        self
    }

    /// Makes the pool. No process starts before the first call.
    ///
    /// # Panics
    /// If a number above is zero, or more than 65 536 workers are asked for. And if this process
    /// was itself started as a worker and has not served: a `main` that forgets
    /// [`Tasks::serve_if_worker`] would start workers without end.
    #[track_caller]
    pub fn build(self) -> ProcessPool {
        self.settings.check();
        let shared = Arc::new(Shared::new(self.settings));
        ProcessPool { shared, detached: AtomicBool::new(false) }
    }
}

// Plumbing

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool").field("workers", &self.workers()).finish_non_exhaustive()
    }
}
