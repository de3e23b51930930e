//! How far to go, and what was seen.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use real::fmt;
use real::time::Duration;

/// How far [`explore`](super::explore) goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often in a schedule a thread that could go on has to let another go first.
    pub preemptions: usize,
    /// How often a limit runs out although some thread could go on. Where none can, time passes.
    pub timeouts: usize,
    /// How often a thread that sleeps on a condvar wakes up for nothing.
    pub spurious: usize,
    /// How many schedules are tried.
    pub schedules: usize,
    /// How many steps a run may have before it counts as a livelock.
    pub steps: usize,
    /// After how many runs that did not end exploring stops. Their threads are left behind, asleep.
    pub stuck: usize,
    /// How long a run may stand still before it counts as blocked by something unexplored.
    pub patience: Duration,
    /// Where the random numbers begin that choose in place of a depth-first search.
    pub seed: Option<u64>,
}

impl Default for Limits {
    /// Two preemptions.
    fn default() -> Self {
        Limits::preemptions(2)
    }
}

impl Limits {
    /// Without a bound on preemptions: for programs of a few steps.
    pub fn all() -> Self {
        Limits::preemptions(usize::MAX)
    }

    /// With this bound on preemptions, one timeout, nobody wakes up for nothing, up to 100 000
    /// schedules.
    pub fn preemptions(preemptions: usize) -> Self {
        Limits {
            preemptions,
            timeouts: 1,
            spurious: 0,
            schedules: 100_000,
            steps: 5_000,
            stuck: 100,
            patience: Duration::from_secs(10),
            seed: None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// All threads have ended, and the body returned this.
    Returned(String),
    /// The body panicked.
    Panicked(String),
    /// No thread can go on, or none of those that are left.
    Deadlock(String),
    /// The threads go on and on.
    Livelock(String),
    /// A thread waits for something that is not built on this chapter's names.
    Blocked(String),
    /// Something beside the schedule decides what the body does.
    #[default]
    Changed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Returned(value) => write!(f, "returned {value}"),
            End::Panicked(message) => write!(f, "panicked: {message}"),
            End::Deadlock(threads) => write!(f, "deadlock: {threads}"),
            End::Livelock(threads) => write!(f, "no end in sight: {threads}"),
            End::Blocked(place) => write!(f, "waits for something that is not explored: {place}"),
            End::Changed => f.write_str("not deterministic: the same schedule, another choice"),
        }
    }
}

impl End {
    /// True unless the body returned.
    pub fn is_failure(&self) -> bool {
        !matches!(self, End::Returned(_))
    }
}

/// One of the ends that [`explore`](super::explore) has seen.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The end.
    pub end: End,
    /// How many schedules lead to it.
    pub count: usize,
    /// The shortest of them.
    pub schedule: String,
}

/// What [`explore`](super::explore) has seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many schedules were run.
    pub schedules: usize,
    /// True if these are all that there are within the limits.
    pub is_complete: bool,
    /// The ends, in the order in which they were met.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// How many schedules end otherwise than by returning.
    pub fn failures(&self) -> usize {
        self.failed().map(|outcome| outcome.count).sum()
    }

    /// A failure, with the shortest schedule.
    pub fn failure(&self) -> Option<&Outcome> {
        self.failed().min_by_key(|outcome| outcome.schedule.len())
    }

    fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.end.is_failure())
    }

    pub(super) fn count(&mut self, end: End, schedule: String) {
        self.schedules += 1;
        match self.outcomes.iter_mut().find(|outcome| outcome.end == end) {
            Some(outcome) => {
                outcome.count += 1;
                if schedule.len() < outcome.schedule.len() {
                    outcome.schedule = schedule;
                }
            }
            None => self.outcomes.push(Outcome { end, count: 1, schedule }),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.is_complete { "all" } else { "not all" };
        write!(f, "{} schedules, {all} within the limits", self.schedules)?;
        for Outcome { end, count, schedule } in &self.outcomes {
            write!(f, "\n{count:>8} × {end}   (such as {schedule})")?;
        }
        Ok(())
    }
}
