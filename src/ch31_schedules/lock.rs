//! A lock: `lock` is a step, and a thread that finds it taken gives the baton away.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::{address, me, step_on};
use super::state::Status;
use real::ops::{Deref, DerefMut};
use real::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

/// [`std::sync::Mutex`](real::sync::Mutex), whose `lock` is a step.
///
/// It is a real one, with a list in the state of the run that says which are taken, and by whom. A
/// thread calls the real `lock` only when the list says that it is free, and so is never stopped by
/// it with the baton in its hand.
///
/// # Examples
/// ```
/// use concurrent_explained::ch31_schedules::sync::{Arc, Mutex};
/// use concurrent_explained::ch31_schedules::{Limits, explore, thread};
///
/// let report = explore(Limits::all(), || {
///     let number = Arc::new(Mutex::new(0));
///     let other = number.clone();
///     let thread = thread::spawn(move || *other.lock().unwrap() += 1);
///     *number.lock().unwrap() += 1;
///     thread.join().unwrap();
///     *number.lock().unwrap()
/// });
/// assert!(report.is_complete && report.failures() == 0);
/// ```
#[derive(Debug, Default)]
pub struct Mutex<T>(real::sync::Mutex<T>);

/// [`std::sync::MutexGuard`](real::sync::MutexGuard).
#[derive(Debug)]
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T> {
    pub(super) lock: &'a Mutex<T>,
    pub(super) real: real::sync::MutexGuard<'a, T>,
    /// After the real one, and so dropped after it: what is not on the list must be free.
    pub(super) hold: Hold,
}

/// As long as it lives, a thread of a run has the mutex at this address.
///
/// Its drop is no step: what another thread could do before it, it can do before the next step. And
/// nobody is woken: a thread that waits for this mutex can go on now, because it is off the list.
#[derive(Debug)]
pub(super) struct Hold(usize);

impl<T> Mutex<T> {
    /// A free mutex.
    pub const fn new(value: T) -> Self {
        Mutex(real::sync::Mutex::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> LockResult<T> {
        self.0.into_inner()
    }

    /// Waits until it is free, and takes it.
    ///
    /// Two choices may lie in it: at the step, where others can be faster, and while it is taken.
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        if let Some(me) = step_on("lock", 'M', self) {
            me.block(Status::Locking(address(self)));
        }
        self.guard(self.0.lock())
    }

    /// Takes it if it is free.
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        step_on("try_lock", 'M', self);
        match self.0.try_lock() {
            Ok(real) => Ok(self.guard(Ok(real))?),
            Err(TryLockError::Poisoned(poison)) => Ok(self.guard(Err(poison))?),
            Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
        }
    }

    /// Of a mutex that this thread has taken just now: on a run's list, if it belongs to a run.
    pub(super) fn guard<'a>(
        &'a self,
        taken: LockResult<real::sync::MutexGuard<'a, T>>,
    ) -> LockResult<MutexGuard<'a, T>> {
        if let Some(me) = me() {
            me.state().held.push((address(self), me.number));
        }
        map(taken, |real| MutexGuard { lock: self, real, hold: Hold(address(self)) })
    }
}

/// What is locked, in another form; and if a panic left it behind, an error all the same.
pub(super) fn map<A, B>(result: LockResult<A>, change: impl FnOnce(A) -> B) -> LockResult<B> {
    match result {
        Ok(value) => Ok(change(value)),
        Err(poison) => Err(PoisonError::new(change(poison.into_inner()))),
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(me) = me() {
            me.state().held.retain(|held| held.0 != self.0);
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.real
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.real
    }
}
