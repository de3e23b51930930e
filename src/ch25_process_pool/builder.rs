//! What a process pool is made of.

use super::super::ch09_outcome::Error;
use super::super::ch13_task::PoolId;
use super::super::ch22_worker::{Tasks, is_unserved_worker, worker_mark};
use super::{ProcessPool, Shared};
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::{env, fmt, thread};

type MakeCommand = Box<dyn Fn() -> Command + Send + Sync>;

/// Each has four threads here and a process of its own: no machine gets this far.
const MOST_WORKERS: usize = 1 << 16;

/// What a [`ProcessPool`] is made of.
#[must_use]
pub struct Builder {
    tasks: Tasks,
    workers: usize,
    command: Option<MakeCommand>,
    arguments: Vec<OsString>,
    limit: Option<Duration>,
    start_limit: Duration,
    grace: Duration,
    most_tasks: usize,
    deaths: u32,
}

impl Builder {
    pub(super) fn new(tasks: Tasks) -> Self {
        Builder {
            tasks,
            workers: thread::available_parallelism().map_or(1, usize::from),
            command: None,
            arguments: Vec::new(),
            limit: None,
            start_limit: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            most_tasks: usize::MAX,
            deaths: 10,
        }
    }

    /// The most processes that run at once, from 1 to 65 536; as many as there are processors unless said otherwise.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How to start a worker, if it is not this same program: another program, another language, another machine.
    pub fn command(mut self, command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        self.command = Some(Box::new(command));
        self
    }

    /// A further argument on the command line of each worker: after the mark, if the worker is this same program.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// How long a task may run, unless its call says otherwise. Then its worker is killed, at most 20 ms late.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long a worker may take to get ready: 10 s unless said otherwise.
    pub fn start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = limit;
        self
    }

    /// How long a worker may take to exit once its input has ended: 2 s unless said otherwise. Then it is killed.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many tasks a process runs before another takes its place; at least 1, no bound unless said otherwise.
    #[doc(alias = "max_tasks_per_child")]
    pub fn max_tasks_per_worker(mut self, tasks: usize) -> Self {
        self.most_tasks = tasks;
        self
    }

    /// How many workers may die one after the other, without an answer from any between them, before the pool is broken:
    /// 10 unless said otherwise.
    pub fn max_deaths(mut self, deaths: u32) -> Self {
        self.deaths = deaths;
        self
    }

    /// Makes the pool. No process starts before the first call.
    ///
    /// # Errors
    /// [`Error::Refused`] if a number above is zero, or if this process was itself started as a worker and has not
    /// served: a `main` that forgets [`Tasks::serve_if_worker`] would start workers that start workers, without end.
    pub fn build(self) -> Result<ProcessPool, Error> {
        let refused = |reason: &str| Err(Error::Refused { reason: reason.into() });
        if self.workers == 0 || self.most_tasks == 0 || self.deaths == 0 {
            return refused("a pool needs at least one worker, with one task and one death each");
        }
        if self.workers > MOST_WORKERS {
            return refused("no machine has room for that many workers");
        }
        if is_unserved_worker() {
            return refused(
                "this process is a worker: call `Tasks::serve_if_worker` first, or it starts workers without end",
            );
        }
        let seal =
            self.command.is_none().then(|| format!("{:016x}", RandomState::new().hash_one(0)));
        let command = match (self.command, &seal) {
            (Some(command), _) => command,
            (None, seal) => {
                let Ok(program) = env::current_exe() else {
                    return refused("this program does not know its own file");
                };
                let mark = worker_mark(seal.as_deref());
                Box::new(move || {
                    let mut command = Command::new(&program);
                    command.arg(&mark);
                    command
                }) as MakeCommand
            }
        };
        let shared = Shared {
            state: Mutex::default(),
            desks: (0..self.workers).map(|_| Default::default()).collect(),
            all_gone: Condvar::new(),
            home: PoolId::new(),
            tasks: self.tasks,
            last_id: AtomicU64::new(0),
            command,
            arguments: self.arguments,
            seal,
            limit: self.limit,
            start_limit: self.start_limit,
            grace: self.grace,
            most_tasks: self.most_tasks,
            deaths: self.deaths,
        };
        Ok(ProcessPool { shared: Arc::new(shared), detached: false.into() })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("workers", &self.workers).finish_non_exhaustive()
    }
}
