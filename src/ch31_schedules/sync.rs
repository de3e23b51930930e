//! `std::sync`, as far as the book uses it. What cannot block is std's own.

// Part of concurrent-explained, MIT OR Apache-2.0.

pub use super::atomic;
pub use super::condvar::{Condvar, WaitTimeoutResult};
pub use super::mpsc;
pub use super::mutex::{Mutex, MutexGuard};
use super::real::fmt::{self, Debug};
use super::real::sync;
pub use super::real::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak};

/// [`std::sync::Barrier`](sync::Barrier).
#[derive(Debug)]
pub struct Barrier {
    parties: usize,
    /// How many have come, and how many rounds there were.
    state: Mutex<(usize, usize)>,
    all_here: Condvar,
}

/// [`std::sync::BarrierWaitResult`](sync::BarrierWaitResult).
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// True for one of the round.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// For so many threads.
    pub const fn new(parties: usize) -> Self {
        Barrier { parties, state: Mutex::new((0, 0)), all_here: Condvar::new() }
    }

    /// Waits until all are here.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let mut state = self.state.lock().unwrap();
        let round = state.1;
        state.0 += 1;
        if state.0 >= self.parties {
            *state = (0, round + 1);
            self.all_here.notify_all();
            return BarrierWaitResult(true);
        }
        while state.1 == round {
            state = self.all_here.wait(state).unwrap();
        }
        BarrierWaitResult(false)
    }
}

/// [`std::sync::OnceLock`](sync::OnceLock).
pub struct OnceLock<T> {
    real: sync::OnceLock<T>,
    /// Held while the value is being made.
    making: Mutex<()>,
}

impl<T> OnceLock<T> {
    /// Without a value.
    pub const fn new() -> Self {
        OnceLock { real: sync::OnceLock::new(), making: Mutex::new(()) }
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        self.real.get()
    }

    /// Gives it a value.
    ///
    /// # Errors
    /// With the value, if it has one.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let _making = self.making.lock();
        self.real.set(value)
    }

    /// The value; if there is none, `make` makes it.
    #[track_caller]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let making = self.making.lock();
        let value = self.real.get_or_init(make);
        drop(making);
        value
    }
}

// Plumbing

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T: Debug> Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
