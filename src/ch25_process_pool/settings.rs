//! What a pool is made of: numbers, limits, and how a worker is started.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::catch;
use super::super::ch21_protocol::LIMIT;
use super::super::ch22_worker::Tasks;
use super::super::ch23_process::{GRACE, Start};
use std::ffi::OsString;
use std::process::Command;
use std::thread;
use std::time::Duration;

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

    /// The longest line that is written or read, in bytes.
    pub(super) fn line_limit(&self) -> usize {
        self.tasks.limit.unwrap_or(LIMIT)
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
        start.limit = self.line_limit();
        start.skips_noise |= self.skips_noise;
        Ok(start)
    }
}
