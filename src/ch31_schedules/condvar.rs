//! A condvar: who is notified, whether a limit runs out, whether a sleeper wakes for nothing, are
//! choices.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::step;
use super::clock::{Duration, Instant};
use super::mutex::{AWAKE, MutexGuard};
use super::runner::{Why, is_asleep_on};
use super::story::Object;
use real::fmt;
use real::sync::{LockResult, PoisonError};

/// [`std::sync::Condvar`](real::sync::Condvar), whose choices are explored: which of those that
/// sleep is notified, whether a limit runs out, whether a thread wakes up for nothing.
#[derive(Default)]
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

type Limited<'a, T> = (MutexGuard<'a, T>, WaitTimeoutResult);

impl Condvar {
    /// A condvar on which nobody sleeps.
    pub const fn new() -> Self {
        Condvar { real: real::sync::Condvar::new() }
    }

    /// Puts the mutex down and sleeps, in one step; takes it again once awake.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.sleep(guard, None).0
    }

    /// Waits while `asleep` says so.
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut asleep: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while asleep(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits, but no longer than `limit`.
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<Limited<'a, T>> {
        let (result, timed_out) = self.sleep(guard, Some(limit));
        match result {
            Ok(guard) => Ok((guard, timed_out)),
            Err(poison) => Err(PoisonError::new((poison.into_inner(), timed_out))),
        }
    }

    /// Waits while `asleep` says so, but no longer than `limit`.
    #[track_caller]
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut asleep: impl FnMut(&mut T) -> bool,
    ) -> LockResult<Limited<'a, T>> {
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
    #[track_caller]
    pub fn notify_one(&self) {
        match step("notify_one", self.object()) {
            Some(me) => me.wake_one(self.address()),
            None => self.real.notify_one(),
        }
    }

    /// Wakes all that sleep now.
    #[track_caller]
    pub fn notify_all(&self) {
        match step("notify_all", self.object()) {
            Some(me) => {
                me.state().wake(Why::Notified, |status| is_asleep_on(status, self.address()))
            }
            None => self.real.notify_all(),
        }
    }

    #[track_caller]
    fn sleep<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Option<Duration>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        let lock = guard.lock;
        let Some(me) = step("wait", self.object()) else {
            return self.sleep_really(guard, limit);
        };
        guard.unlock(); // nobody has the baton between this line and the next: it is one step
        let why = me.sleep(self.address(), limit);
        (lock.lock(), WaitTimeoutResult(why == Why::TimedOut))
    }

    fn sleep_really<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Option<Duration>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        let lock = guard.lock;
        let real = guard.real.take().expect(AWAKE);
        let (result, timed_out) = match limit {
            None => (self.real.wait(real), false),
            Some(limit) => match self.real.wait_timeout(real, limit) {
                Ok((real, wait)) => (Ok(real), wait.timed_out()),
                Err(poison) => {
                    let (real, wait) = poison.into_inner();
                    (Err(PoisonError::new(real)), wait.timed_out())
                }
            },
        };
        (lock.guarded(result), WaitTimeoutResult(timed_out))
    }

    fn address(&self) -> usize {
        (&raw const self.real).addr()
    }

    fn object(&self) -> Object {
        Object::Condvar(self.address())
    }
}

// Plumbing

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
