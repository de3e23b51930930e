//! A condvar: who is notified, whether a limit runs out, whether a sleeper wakes for nothing, are
//! choices.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::{address, step_on};
use super::clock::{Duration, Instant};
use super::lock::{MutexGuard, map};
use real::sync::LockResult;

/// [`std::sync::Condvar`](real::sync::Condvar), whose choices are explored: which of those that
/// sleep is notified, whether a limit runs out, whether a thread wakes up for nothing.
#[derive(Debug, Default)]
pub struct Condvar {
    real: real::sync::Condvar,
}

/// Whether a wait ended because its limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if it did.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

type Woken<'a, T> = LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>;

impl Condvar {
    /// A condvar on which nobody sleeps.
    pub const fn new() -> Self {
        Condvar { real: real::sync::Condvar::new() }
    }

    /// Puts the mutex down and sleeps, in one step; takes it again once awake.
    ///
    /// # Blocks
    /// Until it is notified, or wakes for nothing; then for the mutex. Without a limit is with one
    /// that overflows.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        map(self.wait_timeout(guard, Duration::MAX), |(guard, _)| guard)
    }

    /// Waits, but no longer than `limit`.
    ///
    /// # Blocks
    /// As `wait`, or until the limit runs out, which in a run is a choice.
    #[track_caller]
    pub fn wait_timeout<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> Woken<'a, T> {
        let me = step_on("wait", 'C', self);
        let MutexGuard { lock, real, hold } = guard;
        let Some(me) = me else {
            return map(self.real.wait_timeout(real, limit), |(real, wait)| {
                (MutexGuard { lock, real, hold }, WaitTimeoutResult(wait.timed_out()))
            });
        };
        // Nobody has the baton between these two lines: they are one step. Were it passed on there,
        // a notification could find nobody asleep.
        drop((real, hold));
        let timed_out = me.sleep(address(self), limit);
        // Awake is not yet next: to lock is a step, and others may be faster.
        map(lock.lock(), |guard| (guard, WaitTimeoutResult(timed_out)))
    }

    /// Waits while `asleep` says so.
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        asleep: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        map(self.wait_timeout_while(guard, Duration::MAX, asleep), |(guard, _)| guard)
    }

    /// Waits while `asleep` says so, but no longer than `limit`.
    #[track_caller]
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut asleep: impl FnMut(&mut T) -> bool,
    ) -> Woken<'a, T> {
        // What is left, each time anew: a wake-up for nothing must not begin the limit again.
        let start = Instant::now();
        while asleep(&mut *guard) {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            (guard, _) = self.wait_timeout(guard, left)?;
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// Wakes one of those that sleep now. Nobody else hears of it.
    ///
    /// # Wakes
    /// Any one of them: which, is a choice. If nobody sleeps, nobody.
    #[track_caller]
    pub fn notify_one(&self) {
        match step_on("notify_one", 'C', self) {
            Some(me) => me.state().wake_one(me.number, address(self)),
            None => self.real.notify_one(),
        }
    }

    /// Wakes all that sleep now.
    #[track_caller]
    pub fn notify_all(&self) {
        match step_on("notify_all", 'C', self) {
            Some(me) => me.state().wake_all(address(self)),
            None => self.real.notify_all(),
        }
    }
}
