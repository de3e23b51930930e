//! # 25 · Process pool — pipes, the end of a file, and death as news
//!
//! Needs: ch10, ch19, ch21, ch22.   Reading time: 30 min.
//! Run it: cargo run --example ch25_process_pool
//!
//! ## Why
//!
//! A worker of chapter 22 answers whoever types to it. Somebody must start it, feed it faster than
//! by hand, listen to what it says meanwhile, and notice when it says nothing any more: a task may
//! panic, which is an answer, but it may also abort, run for ever, or be killed by the system, which
//! is silence. Then one call has failed, and all others still want their results.
//!
//! ## Picture
//!
//! ```text
//!   submit ──► calls, oldest first                         Future
//!                    │                                       ▲
//!   seat             │ (1)                                   │ (3)
//!   ┌────────────────┼───────────────────────────────────────┼───────────┐
//!   │  keeper        ▼                                       │           │
//!   │    │         feeder ──► flights: given, unanswered ──► reader  echo│
//!   │    │           │        the first of them runs         ▲        ▲  │
//!   │    │ (4)       │ (2) stdin                      stdout │ stderr │  │
//!   │    │           ▼                                       │        │  │
//!   │    └──► worker process: a loop over lines ─────────────┴────────┘  │
//!   └────────────────────────────────────────────────────────────────────┘
//!
//!   vacant ──► starting ──► serving ──► leaving ──► vacant     (4) all of it
//!      a call      ready       nothing     exit        is the keeper's doing
//!      waits                   to come
//!
//!   what happens to a worker  │ its first flight  │ those behind it
//!   ──────────────────────────┼───────────────────┼───────────────────────────
//!   it answers                │ has its outcome   │ the next one runs
//!   it ends, or talks nonsense│ `Error::Died`     │ back among the calls
//!   the first overruns a limit│ `Error::TimedOut` │ back among the calls
//!   the first is killed       │ `Error::Killed`   │ back among the calls
//! ```
//!
//! A pool has as many seats as workers may run at once. The rooms of this chapter, in reading order:
//! `state` and `seat` decide, without waiting for anything; `dispatch` tells whom it concerns;
//! `keeper`, `feeder` and `reader` are the threads; `call` is one task under way, `builder` the beginning.
//!
//! ## Promises
//!
//! - I1: each call has one outcome, and at most one worker begins it. An answer is in the pipe before
//!   the next task starts and answers come in order, so the first flight is the one that ran: it is
//!   never sent again, and those behind it cannot have begun.
//! - I2: a death costs the call that ran, and no other. A readable answer counts even if its worker is
//!   dead by now.
//! - I3: a full or silent pipe holds up its own thread only, and never under a lock.
//! - I4: memory is what was submitted plus what was not read, however slow the workers are.
//! - I5: a process that ends is reaped at once, its pipes are closed and its threads end; after
//!   `shutdown` nothing is left. A grandchild that holds a pipe open delays that by no more than a
//!   second per worker.
//! - I6: a worker ends with its parent, however the parent ends: its input ends then.
//! - I7: nothing waits for ever. After [`Builder::max_deaths`] deaths without an answer between them, or
//!   three starts in a row that came to nothing, the pool is broken and every call says why.
//! - I8: a limit is kept, at most 20 ms late, because the process is killed. So is [`Future::kill`].
//! - Callbacks run on the threads of the pool. A slow one holds up the answers of its worker.
//! - Not promised: that a task which failed had no effect. It may have died after its last line.
//!
//! ## The trap
//!
//! **One thread at two pipes.** A pipe holds 64 KiB. The parent writes a request of 1 MiB; the worker
//! reads the first half and begins to write an answer; nobody reads that, so the worker stands still
//! and reads no more, so the parent stands still as well. The example shows it.
//!
//! **Death noticed by one sign.** The end of the output is the first sign, but a grandchild that
//! inherited the pipe keeps it open. The exit status is the other, but somebody must ask for it, and
//! answers may still be in the pipe. The keeper watches both, and reads to the end before it judges.
//!
//! **Trying again.** A pool that repeats the task of a dead worker repeats whatever the task had done,
//! and a task that kills its worker kills them all, one by one. Only the caller knows whether a task
//! may run twice (`Try` 3).
//!
//! ## Elsewhere
//!
//! - Python: one dead worker breaks the `ProcessPoolExecutor` and fails all its futures.
//! - Erlang: links and supervisors. Death arrives as a message, as here; the name of the chapter.
//! - GNU parallel, xargs: a process for each task, so a death is that task's exit status.
//!
//! ## Try
//!
//! 1. Predict: one worker, a hundred tasks, every tenth ends its process. How many results, how many
//!    processes? And with `max_deaths(5)`, or with the deadly tasks one behind the other?
//! 2. Break: in `serve`, start no `echo` and leave the worker's standard error a pipe. Which task hangs?
//! 3. Extend: write `persist(&pool, times, function, argument)`, which submits again after
//!    [`Error::Died`]. Why does it take the argument as a `Clone`, and which errors must it not repeat?

mod builder;
mod call;
mod dispatch;
mod feeder;
mod keeper;
mod reader;
mod seat;
mod state;

pub use builder::Builder;

use super::ch09_outcome::{Error, catch};
use super::ch10_future::{Future, Slot, promise};
use super::ch13_task::PoolId;
use super::ch19_wire::{Decoded, Wire, from_line, to_line};
use super::ch21_protocol::{EACH, LIMIT, Request, is_task_name};
use super::ch22_worker::Tasks;
use call::Remote;
use state::State;
use std::ffi::OsString;
use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// The longest id, the spaces around the task's name, and the newline: the rest of a request, in bytes.
const ID: usize = 23;

/// Processes that run named tasks: started on demand, reused, replaced when they die.
#[doc(alias = "ProcessPoolExecutor")]
pub struct ProcessPool {
    shared: Arc<Shared>,
    detached: AtomicBool,
}

struct Shared {
    state: Mutex<State>,
    /// Where the two threads of each seat sleep.
    desks: Box<[Desk]>,
    /// Whoever shuts down sleeps here, until the last keeper goes.
    all_gone: Condvar,
    home: PoolId,
    tasks: Tasks,
    last_id: AtomicU64,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    arguments: Vec<OsString>,
    seal: Option<String>,
    limit: Option<Duration>,
    start_limit: Duration,
    grace: Duration,
    most_tasks: usize,
    deaths: u32,
}

#[derive(Default)]
struct Desk {
    feeder: Condvar,
    keeper: Condvar,
}

impl ProcessPool {
    /// A pool of as many workers as there are processors; each is this same program, started anew.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new(tasks: Tasks) -> Result<Self, Error> {
        Self::builder(tasks).build()
    }

    /// A pool with more to say.
    pub fn builder(tasks: Tasks) -> Builder {
        Builder::new(tasks)
    }

    /// Calls `function`, which `tasks` knows by name, in a worker.
    ///
    /// Never blocks: the call waits in the pool until a worker is free. A closure that captures anything is refused at
    /// compile time: only names and values travel.
    pub fn submit<F, A, R>(&self, function: F, argument: A) -> Future<'static, R>
    where
        F: Fn(A) -> R + Send + Sync + 'static,
        A: Wire,
        R: Wire + Send + 'static,
    {
        self.submit_within(self.shared.limit, function, argument)
    }

    /// Like [`ProcessPool::submit`]; a task that runs longer than `limit` is killed, whatever the pool's own limit is
    /// (`None`: it may run for ever).
    pub fn submit_within<F, A, R>(
        &self,
        limit: Option<Duration>,
        _function: F,
        argument: A,
    ) -> Future<'static, R>
    where
        F: Fn(A) -> R + Send + Sync + 'static,
        A: Wire,
        R: Wire + Send + 'static,
    {
        match self.name_of::<F>() {
            Ok(name) => self.send(limit, name, argument, from_line),
            Err(error) => failed(error),
        }
    }

    /// Calls `function` for each of `arguments` in one task: for work too small to be worth a task each.
    ///
    /// # Errors
    /// A panic fails its own item. A death, or a limit that the items together overrun, fails the future; the name of the
    /// task in it ends with [`EACH`]. A worker in another language refuses what it does not know.
    pub fn submit_chunk<F, A, R>(
        &self,
        _function: F,
        arguments: Vec<A>,
    ) -> Future<'static, Vec<Result<R, Error>>>
    where
        F: Fn(A) -> R + Send + Sync + 'static,
        A: Wire,
        R: Wire + Send + 'static,
    {
        let read = |line: &str| {
            let panicked = |message: String| Error::Panicked { message: message.into() };
            let items: Vec<Result<R, String>> = from_line(line)?;
            Ok(items.into_iter().map(|item| item.map_err(panicked)).collect())
        };
        match self.name_of::<F>() {
            Ok(name) => self.send(self.shared.limit, &format!("{name}{EACH}"), arguments, read),
            Err(error) => failed(error),
        }
    }

    /// Calls a task by its name: that of a worker in another language, perhaps. The types are the caller's word.
    pub fn call<A: Wire, R: Wire + Send + 'static>(
        &self,
        task: &str,
        argument: A,
    ) -> Future<'static, R> {
        self.call_within(self.shared.limit, task, argument)
    }

    /// [`ProcessPool::call`] with the limit of [`ProcessPool::submit_within`].
    pub fn call_within<A, R>(
        &self,
        limit: Option<Duration>,
        task: &str,
        argument: A,
    ) -> Future<'static, R>
    where
        A: Wire,
        R: Wire + Send + 'static,
    {
        if !is_task_name(task) {
            return failed(refusal(format!("{task:?} cannot be the name of a task")));
        }
        self.send(limit, task, argument, from_line)
    }

    fn name_of<F: 'static>(&self) -> Result<&str, Error> {
        const {
            assert!(
                size_of::<F>() == 0,
                "a worker has its own memory: what a closure captures cannot follow"
            )
        };
        let unknown =
            || refusal(format!("`{}` is not among the tasks", std::any::type_name::<F>()));
        self.shared.tasks.name_of::<F>().ok_or_else(unknown)
    }

    fn send<A, R>(
        &self,
        limit: Option<Duration>,
        task: &str,
        argument: A,
        read: fn(&str) -> Decoded<R>,
    ) -> Future<'static, R>
    where
        A: Wire,
        R: Send + 'static,
    {
        let argument = match catch(|| to_line(&argument)) {
            Ok(argument) => argument,
            Err(panic) => return failed(panic),
        };
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut request = String::with_capacity(argument.len() + task.len() + ID);
        Request { id, task, argument: &argument }.write(&mut request);
        let (size, most) = (request.len(), self.shared.tasks.limit.unwrap_or(LIMIT));
        if size > most {
            return failed(refusal(format!("a request of {size} bytes, over the limit of {most}")));
        }
        let pool = Arc::downgrade(&self.shared);
        let remote = Remote { pool, id, claimed: Mutex::default(), size, limit, read };
        let call = Arc::new(Slot::new(remote, request));
        let future = Future::new(call.clone());
        self.shared.submit(call);
        future
    }
}

impl ProcessPool {
    /// Accepts no further calls, waits until every call has its answer and every worker is gone. So does `Drop`.
    ///
    /// # Blocks
    /// Every caller, until all is over. Called in a done callback on one of the pool's own threads it does not wait.
    pub fn shutdown(&self) {
        self.shared.close(None);
        self.shared.join();
    }

    /// Accepts no further calls, cancels those that no worker has begun, and waits for the rest. So does `Drop` in a panic.
    ///
    /// # Blocks
    /// As [`ProcessPool::shutdown`].
    pub fn shutdown_now(&self) {
        self.shared.close(Some(Error::Cancelled));
        self.shared.join();
    }

    /// Like [`ProcessPool::shutdown_now`], but does not wait for running tasks either: their workers are killed, and their
    /// futures end with [`Error::Killed`].
    #[doc(alias = "kill_workers")]
    #[doc(alias = "terminate_workers")]
    pub fn kill(&self) {
        self.shared.close(Some(Error::Cancelled));
        self.shared.kill_all();
        self.shared.join();
    }

    /// Accepts no further calls and does not wait, now or in `Drop`. What is under way goes on as long as this process lives:
    /// workers end with it.
    pub fn detach(&self) {
        self.detached.store(true, Ordering::Relaxed);
        self.shared.close(None);
    }

    /// The processes that are running now.
    pub fn pids(&self) -> Vec<u32> {
        self.shared.state().seats.iter().filter_map(|seat| seat.pid).collect()
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        self.shared.close(thread::panicking().then_some(Error::Cancelled));
        if !self.detached.load(Ordering::Relaxed) {
            self.shared.join();
        }
    }
}

fn failed<R: Send + 'static>(error: Error) -> Future<'static, R> {
    let (promise, future) = promise();
    let _ = promise.complete(Err(error));
    future
}

fn refusal(reason: String) -> Error {
    Error::Refused { reason: reason.into() }
}

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool").field("pids", &self.pids()).finish_non_exhaustive()
    }
}
