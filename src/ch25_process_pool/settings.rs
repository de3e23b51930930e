//! What a pool is made of: numbers, limits, how a worker is started and how a task is asked for.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::{Error, catch};
use super::super::ch19_wire::{Wire, to_line};
use super::super::ch21_protocol::{LIMIT, Request, is_task_name};
use super::super::ch22_worker::{NOT_SERVED, Tasks, is_unserved_worker};
use super::super::ch23_process::{GRACE, Start};
use std::any::type_name;
use std::ffi::OsString;
use std::fmt;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Each is a process: no machine gets this far.
const MOST_WORKERS: usize = 1 << 16;
/// The longest id, the spaces around the task's name, and the newline: the rest of a request, in
/// bytes.
const AROUND: usize = 23;

/// How the worker with this index is started.
type Launch = Box<dyn Fn(usize) -> Command + Send + Sync>;

pub(super) struct Settings {
    pub(super) tasks: Tasks,
    /// How many processes run at once.
    pub(super) workers: usize,
    /// `None`: this same program.
    pub(super) launch: Option<Launch>,
    /// Further arguments.
    pub(super) arguments: Vec<OsString>,
    /// What a worker prints before it is ready is noise, although it is this same program.
    pub(super) skips_noise: bool,
    pub(super) task_timeout: Option<Duration>,
    pub(super) start_timeout: Duration,
    pub(super) exit_timeout: Duration,
    pub(super) max_tasks: usize,
    pub(super) max_deaths: u32,
}

impl Settings {
    pub(super) fn new(tasks: Tasks) -> Self {
        Settings {
            tasks,
            workers: thread::available_parallelism().map_or(1, usize::from),
            launch: None,
            arguments: Vec::new(),
            skips_noise: false,
            task_timeout: None,
            start_timeout: Duration::from_secs(10),
            exit_timeout: GRACE,
            max_tasks: usize::MAX,
            max_deaths: 10,
        }
    }

    /// # Panics
    /// As [`Builder::build`](super::Builder::build).
    #[track_caller]
    pub(super) fn check(&self) {
        assert!(self.workers > 0, "a pool needs at least one worker");
        assert!(self.workers <= MOST_WORKERS, "workers must be at most {MOST_WORKERS}");
        assert!(self.max_tasks > 0, "a worker runs at least one task");
        assert!(self.max_deaths > 0, "a pool that no worker may die in cannot begin");
        let forgot = is_unserved_worker();
        assert!(!forgot, "this process is a worker, and starts workers: {NOT_SERVED}");
    }

    /// What is to be started as the worker with this index.
    ///
    /// # Errors
    /// The user's code that says so has panicked.
    pub(super) fn start(&self, index: usize) -> Result<Start, String> {
        let mut start = match &self.launch {
            None => Start::this_program(),
            Some(launch) => {
                let command = catch(|| launch(index));
                Start::command(command.map_err(|panic| format!("no command: {panic}"))?)
            }
        };
        start.command.args(&self.arguments);
        start.limit = self.tasks.limit.unwrap_or(LIMIT);
        start.skips_noise |= self.skips_noise;
        Ok(start)
    }

    /// The name of a function in the tasks.
    ///
    /// # Errors
    /// It has none.
    pub(super) fn name_of<F: 'static>(&self, _: &F) -> Result<String, Error> {
        const {
            assert!(
                size_of::<F>() == 0,
                "a worker has its own memory: what a closure captures cannot follow"
            )
        };
        let unknown = || refused(format!("`{}` is not among the tasks", type_name::<F>()));
        self.tasks.name_of::<F>().map(str::to_owned).ok_or_else(unknown)
    }

    /// The line that asks for a task.
    ///
    /// # Errors
    /// It cannot be written, or is too long.
    pub(super) fn request<A: Wire>(
        &self,
        id: u64,
        task: &str,
        argument: A,
    ) -> Result<String, Error> {
        let argument = catch(|| to_line(&argument))?; // foreign code may write it
        let mut line = String::with_capacity(argument.len() + task.len() + AROUND);
        Request { id, task, argument: &argument }.write(&mut line);
        let (size, most) = (line.len(), self.tasks.limit.unwrap_or(LIMIT));
        if size > most {
            return Err(refused(format!("a request of {size} bytes, over the limit of {most}")));
        }
        Ok(line)
    }
}

/// The name of a task that `tasks` need not know.
///
/// # Errors
/// It cannot be one.
pub(super) fn as_name(task: &str) -> Result<String, Error> {
    let refusal = || refused(format!("{task:?} cannot be the name of a task"));
    is_task_name(task).then(|| task.to_owned()).ok_or_else(refusal)
}

fn refused(reason: String) -> Error {
    Error::Refused { reason: reason.into() }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("workers", &self.workers).finish_non_exhaustive()
    }
}
