//! A thread as the others see it, and why it goes on.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::story::Place;
use real::thread::{Thread, ThreadId};
use real::time::Duration;

/// What a thread does, as far as the others are concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Status {
    /// It can go on.
    Ready,
    /// It can go on once somebody else has made a step.
    Yielded,
    /// It wants the mutex at this address.
    Locking(usize),
    /// It sleeps: on the condvar at this address, or parked (on its own number), or on nothing but
    /// the clock (`usize::MAX`).
    Sleeping { on: usize, until: Option<Duration> },
    /// It waits for the end of this thread.
    Joining(usize),
    /// It has ended.
    Done,
}

pub(super) fn is_asleep_on(status: Status, condvar: usize) -> bool {
    matches!(status, Status::Sleeping { on, .. } if on == condvar)
}

/// Why a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Why {
    Turn,
    Notified,
    TimedOut,
    /// It has yielded, and goes on all the same: nobody is as fast as a loop that looks again.
    Spins,
    Spurious,
}

/// For how many looks a thread may be too fast for the others: more than a loop here makes.
pub(super) const SPINS: usize = 32;

/// One way to go on: this thread, for this reason.
pub(super) type Way = (usize, Why);

/// A thread of a run.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) status: Status,
    pub(super) why: Why,
    /// The step that it makes next.
    pub(super) next: Place,
    /// So many of its next yields do not let others go first. `None` again once it has slept.
    pub(super) spins: Option<usize>,
    /// Left by `unpark` for the next `park`.
    pub(super) token: bool,
    /// The real thread and its id, once they are known.
    pub(super) real: Option<Thread>,
    pub(super) id: Option<ThreadId>,
}
