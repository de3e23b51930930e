//! A run as a story: a column for each thread, a row for each step.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::report::End;
use real::fmt;
use real::panic::Location;

/// One step of a [`Story`].
#[derive(Clone, Debug)]
pub struct Step {
    /// 0 is the thread that runs the body, A in the picture.
    pub thread: usize,
    /// Such as `lock M1` or `load N1 = 2`.
    pub what: String,
    /// The file of the program.
    pub file: String,
    /// The line that makes the step.
    pub line: u32,
}

impl Step {
    pub(super) fn new(thread: usize, what: String, at: &Location<'_>) -> Self {
        Step { thread, what, file: at.file().into(), line: at.line() }
    }

    /// File and line, without the folders.
    pub(super) fn place(&self) -> String {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or_default();
        format!("{name}:{}", self.line)
    }
}

/// Why a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It can.
    Turn,
    /// It is the one that `notify_one` wakes.
    Notified,
    /// Its limit runs out.
    TimedOut,
    /// It has yielded, and goes on all the same: nobody is as fast as a loop that looks again.
    Spins,
    /// It wakes up for nothing.
    Spurious,
}

/// One way to go on: this thread, for this reason.
pub type Way = (usize, Why);

/// A choice of a [`Story`]: where another schedule would have gone on in another way.
#[derive(Clone, Debug)]
pub struct Moment {
    /// How many steps were made before.
    pub steps: usize,
    /// What each thread does next, and whether it can go on, or for what it waits.
    pub threads: Vec<(Step, String)>,
    /// The ways to go on, each with its digit in the schedule.
    pub ways: Vec<(char, Way)>,
    /// What [`watch`](super::watch) shows.
    pub shared: Vec<(&'static str, String)>,
}

/// What happened under one schedule. `Display` draws it.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Row for row.
    pub steps: Vec<Step>,
    /// The choices, in order.
    pub moments: Vec<Moment>,
    /// How it ended.
    pub end: End,
}

/// A column for each thread, a row for each step, with its line; then the end.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.steps.iter().map(|step| step.thread).max().unwrap_or(0) + 1;
        let cell = |step: &Step| format!("{} :{}", step.what, step.line);
        let width = self.steps.iter().map(|step| cell(step).len() + 2).max().unwrap_or(0);
        let heads: String = (0..threads).map(|t| format!("{:width$}", letter(t))).collect();
        writeln!(f, "{}", heads.trim_end())?;
        for step in &self.steps {
            writeln!(f, "{:indent$}{}", "", cell(step), indent = step.thread * width)?;
        }
        write!(f, "{}", self.end)
    }
}

/// A for thread 0, B for thread 1.
pub(super) fn letter(thread: usize) -> char {
    char::from_u32('A' as u32 + thread as u32).unwrap_or('?')
}
