//! When has a pool seen enough deaths and failed starts to give up?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Death;
use std::time::{Duration, Instant};

/// When so many starts in a row have come to nothing, the next one will hardly do better.
const STARTS: u32 = 3;
/// What made a start fail may have passed after this time.
const PAUSE: Duration = Duration::from_millis(50);

/// What is counted. An answer of any worker sets it to nothing. (I7)
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Deaths in a row. Workers that were there at the same moment are one: what kills a machine's
    /// processes all at once, a lack of memory say, says nothing about the next ones.
    deaths: u32,
    /// The youngest worker at the last death that was counted.
    counted_until: u64,
    /// Starts in a row that have come to nothing.
    failed_starts: u32,
    /// No worker is started before this time.
    pause: Option<Instant>,
}

impl Health {
    /// A worker has got ready.
    pub(super) fn started(&mut self) {
        self.failed_starts = 0;
    }

    /// A worker has answered.
    pub(super) fn answered(&mut self) {
        (self.deaths, self.failed_starts) = (0, 0);
    }

    /// Worker `number` has died; `youngest` is the last one that was started. Why the pool is to
    /// give up, if it is.
    pub(super) fn died(
        &mut self,
        number: u64,
        youngest: u64,
        most: u32,
        death: &Death,
    ) -> Option<String> {
        if number > self.counted_until {
            (self.deaths, self.counted_until) = (self.deaths + 1, youngest);
        }
        let cause =
            || format!("{} workers died one after the other; the last: {death}", self.deaths);
        (self.deaths >= most).then(cause)
    }

    /// A worker has not got ready; `others` says that some have. Why the pool is to give up, if it
    /// is.
    pub(super) fn start_failed(
        &mut self,
        cause: String,
        others: bool,
        now: Instant,
    ) -> Option<String> {
        self.failed_starts = self.failed_starts.saturating_add(1);
        self.pause = now.checked_add(PAUSE);
        // Those there are will get to it: a pool with a worker that works is not broken.
        (self.failed_starts >= STARTS && !others).then_some(cause)
    }

    /// True if a worker may be started; `others` says that some are at work.
    pub(super) fn allows_a_start(&self, others: bool) -> bool {
        self.pause.is_none() && (self.failed_starts < STARTS || !others)
    }

    /// True while a pause waits for the clock.
    pub(super) fn pauses(&self) -> bool {
        self.pause.is_some()
    }

    /// Looks at the time.
    pub(super) fn tick(&mut self, now: Instant) {
        self.pause = self.pause.filter(|until| *until > now);
    }
}
