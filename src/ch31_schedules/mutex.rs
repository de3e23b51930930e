//! A lock: `lock` is a step, and a thread that finds it taken gives the baton away.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::{self, step};
use super::runner::{Status, Why};
use super::story::Object;
use real::fmt;
use real::ops::{Deref, DerefMut};
use real::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

/// [`std::sync::Mutex`](real::sync::Mutex), whose `lock` is a step.
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    real: real::sync::Mutex<T>,
}

/// [`std::sync::MutexGuard`](real::sync::MutexGuard).
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) lock: &'a Mutex<T>,
    /// `None` only while its owner sleeps on a condvar.
    pub(super) real: Option<real::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A free mutex.
    pub const fn new(value: T) -> Self {
        Mutex { real: real::sync::Mutex::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> LockResult<T> {
        self.real.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until it is free, and takes it.
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        if let Some(me) = step("lock", Object::Mutex(self.address())) {
            // A loop: a thread that was faster may have it again.
            while matches!(self.real.try_lock(), Err(TryLockError::WouldBlock)) {
                me.block(Status::Locking(self.address()));
            }
            me.state().held.push((self.address(), me.number));
        }
        self.guarded(self.real.lock())
    }

    /// Takes it if it is free.
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let me = step("try_lock", Object::Mutex(self.address()));
        let got = self.real.try_lock();
        if let (Some(me), false) = (me, matches!(got, Err(TryLockError::WouldBlock))) {
            me.state().held.push((self.address(), me.number));
        }
        match got {
            Ok(real) => Ok(self.guarded(Ok(real))?),
            Err(TryLockError::Poisoned(poison)) => Ok(self.guarded(Err(poison))?),
            Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
        }
    }

    /// The value, which nobody else can have now.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.real.get_mut()
    }

    pub(super) fn guarded<'a>(
        &'a self,
        result: LockResult<real::sync::MutexGuard<'a, T>>,
    ) -> LockResult<MutexGuard<'a, T>> {
        match result {
            Ok(real) => Ok(MutexGuard { lock: self, real: Some(real) }),
            Err(poison) => {
                let real = Some(poison.into_inner());
                Err(PoisonError::new(MutexGuard { lock: self, real }))
            }
        }
    }

    fn address(&self) -> usize {
        (&raw const self.real).addr()
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.real.as_ref().expect(AWAKE)
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.real.as_mut().expect(AWAKE)
    }
}

pub(super) const AWAKE: &str = "nobody looks at the guard of a thread that sleeps";

impl<T: ?Sized> MutexGuard<'_, T> {
    pub(super) fn unlock(&mut self) {
        if self.real.take().is_none() {
            return;
        }
        if let Some(me) = baton::me() {
            let (mutex, mut state) = (self.lock.address(), me.state());
            state.held.retain(|held| held.0 != mutex);
            state.wake(Why::Turn, |status| status == Status::Locking(mutex));
        }
    }
}

/// No step of its own: what another thread could do before it, it can do before the next step.
impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.unlock();
    }
}

// Plumbing

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
