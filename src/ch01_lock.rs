//! # 01 · Lock — a flag under a mutex, a condvar, and a loop
//!
//! Needs: nothing but std.   Reading time: 10 min.
//! Run it: cargo run --example ch01_lock
//!
//! ## Why
//!
//! Two threads add 1 to a counter: both read 0, both write 1, one addition is gone. Only one may be
//! between reading and writing; the other has to wait for its news. `std::sync::Mutex` does that,
//! but its guard cannot leave its thread, its wait has no limit, and a panic poisons it. So we build
//! a lock of our own, like Python's, out of two parts:
//!
//! - `Mutex<State>`: who has it is alone with the state. Held for a few lines, never during a sleep.
//! - `Condvar`: `wait` puts the mutex down and falls asleep in one step; `notify_one` wakes one
//!   sleeper. News is not kept: where nobody sleeps, nobody hears it.
//!
//! ## Picture
//!
//! ```text
//!            (1) lock, try_lock, lock_timeout
//!   ┌──────┐ ───────────────────────────────► ┌─────────┐
//!   │ Free │ ◄─────────────────────────────── │ Guarded │  a LockGuard lives
//!   └──────┘ (2) drop(guard)                  └─────────┘
//!      ▲                                           │ (3) guard.forget()
//!      │     (4) unlock()                          ▼
//!      └───────────────────────────────────── ┌───────────┐
//!                                             │ Forgotten │  no guard, locked
//!                                             └───────────┘
//!   Who finds the lock taken sleeps; (2) and (4) wake one sleeper.
//! ```
//!
//! ## Promises
//!
//! - I1: from (1) to (2) or (4) nobody else gets past (1). A holder that panics releases by (2).
//! - I2: a release wakes one waiter, unless one is awake already: none sleeps on by a free lock.
//! - I3: a wait that ran out of time leaves nothing behind.
//! - I4: (4) never takes the lock away from a living guard.
//! - Not promised: an order among waiters, or a second turn for the holder (chapter 02).
//!
//! ## The trap
//!
//! ```text
//! lost wake-up      if self.is_locked() {        // look, put the mutex down
//!                                                // <- released: nobody hears it
//!                       sleep_until_notified();  // no news comes twice
//!                   }
//! spurious wake-up  if taken { wait }            // woken is not free: somebody
//!                   take it                      // else may be faster
//! right             while taken { wait }         // one mutex, look to sleep;
//!                   take it                      // after each sleep a look
//! ```
//!
//! The example runs the wrong two. The third has a name, `Condvar::wait_while`; in its sibling with
//! a limit, `wait_timeout_while`, waking does not renew the limit. Where one limit spans several
//! waits, keep one deadline, `Instant::now().checked_add(limit)`: `None` there means "for ever".
//!
//! ## Elsewhere
//!
//! - std's `Mutex<T>` holds the data, so nobody can forget to lock: prefer it where it fits.
//! - Python lets any thread `release()` even while another is inside its `with` block.
//!
//! ## Try
//!
//! 1. Predict: A holds the lock, B sleeps, A releases, C calls `try_lock` at once. Who gets it?
//! 2. Break: make `wait_while` below a plain `wait`. Which tests go red?
//! 3. Extend: `lock_both(a, b)`, safe when another thread calls `lock_both(b, a)`.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;
use std::{error, fmt, mem};

/// A lock with no data inside: it keeps threads apart, what they touch is their own affair.
///
/// # Examples
/// ```
/// use concurrent_explained::Lock;
///
/// static PRINTER: Lock = Lock::new();
/// let guard = PRINTER.lock();
/// assert!(PRINTER.try_lock().is_none());
/// std::thread::spawn(move || drop(guard)).join().unwrap(); // released by another thread
/// assert!(!PRINTER.is_locked());
/// ```
pub struct Lock {
    state: Mutex<State>,
    freed: Condvar, // the news
}

// House rule, here and in every chapter: no code of the user's runs while one of our mutexes is
// held. So a poisoned mutex can only mean a bug in this very file: `.unwrap()` is the policy.
struct State {
    hold: Hold,
    waiting: usize, // threads that found it taken: asleep, or awake and about to look again
    woken: bool,    // one of them was notified and has not looked yet: one is enough
}

#[derive(Clone, Copy, PartialEq)]
enum Hold {
    Free,
    Guarded,
    Forgotten,
}

impl State {
    fn is_taken(&self) -> bool {
        self.hold != Hold::Free
    }

    /// A waiter's look: before it sleeps, and each time it wakes.
    fn look(&mut self) -> bool {
        self.woken = false;
        self.is_taken()
    }
}

impl Lock {
    /// Makes a free lock.
    pub const fn new() -> Self {
        let state = State { hold: Hold::Free, waiting: 0, woken: false };
        Lock { state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Takes the lock.
    ///
    /// # Blocks
    /// Until it is free and no newcomer is faster; for ever if the caller holds it already.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> LockGuard<'_> {
        let mut state = self.state.lock().unwrap();
        if state.is_taken() {
            state.waiting += 1;
            state = self.freed.wait_while(state, State::look).unwrap();
            state.waiting -= 1;
        }
        self.take(state)
    }

    /// Takes the lock if it is free at this moment. Does not wait.
    #[must_use = "it may not have been had"]
    pub fn try_lock(&self) -> Option<LockGuard<'_>> {
        let state = self.state.lock().unwrap();
        (!state.is_taken()).then(|| self.take(state))
    }

    /// Takes the lock if it comes free within `limit`; `Duration::MAX` means for ever.
    ///
    /// # Blocks
    /// Like [`lock`](Lock::lock), but no longer than `limit`.
    #[must_use = "it may not have been had"]
    pub fn lock_timeout(&self, limit: Duration) -> Option<LockGuard<'_>> {
        let mut state = self.state.lock().unwrap();
        if state.is_taken() {
            state.waiting += 1;
            (state, _) = self.freed.wait_timeout_while(state, limit, State::look).unwrap();
            state.waiting -= 1; // (I3)
        }
        // The last look decides, not the clock. Who was notified in its last moment must not walk
        // away from a free lock: nobody else would hear of it (I2).
        (!state.is_taken()).then(|| self.take(state))
    }

    /// Releases, from any thread, a lock whose guard was [forgotten](LockGuard::forget).
    ///
    /// # Wakes
    /// One waiter.
    ///
    /// # Errors
    /// Nothing has changed: the lock is free, or a guard holds it.
    #[doc(alias = "release")]
    pub fn unlock(&self) -> Result<(), UnlockError> {
        let state = self.state.lock().unwrap();
        match state.hold {
            Hold::Free => return Err(UnlockError::NotLocked),
            Hold::Guarded => return Err(UnlockError::Guarded), // (I4)
            Hold::Forgotten => self.release(state),            // (4)
        }
        Ok(())
    }

    /// Whether somebody had the lock a moment ago.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.state.lock().unwrap().is_taken()
    }

    fn take(&self, mut state: MutexGuard<'_, State>) -> LockGuard<'_> {
        state.hold = Hold::Guarded; // (1): same mutex as the look that found it free (I1)
        LockGuard { lock: self }
    }

    fn release(&self, mut state: MutexGuard<'_, State>) {
        state.hold = Hold::Free;
        let wake = state.waiting > 0 && !state.woken;
        state.woken |= wake;
        drop(state);
        // A newcomer may take the lock between these lines. The thread we wake then sleeps again,
        // still counted in `waiting`, and the newcomer's release wakes it (I2). A notification is
        // a system call even if nobody sleeps, ten times the rest of this function: hence `wake`.
        if wake {
            self.freed.notify_one();
        }
    }
}

/// The right to be inside. Dropping it, on whatever thread, releases the lock and wakes one waiter.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard<'a> {
    lock: &'a Lock,
}

impl<'a> LockGuard<'a> {
    /// Ends the guard but not the hold: the lock stays taken until somebody calls [`Lock::unlock`].
    /// (After `std::mem::forget` it stays taken for ever: nobody told the lock.)
    pub fn forget(self) {
        self.lock.state.lock().unwrap().hold = Hold::Forgotten; // (3)
        mem::forget(self);
    }

    /// Steps aside: releases the lock, runs `f`, takes the lock again, also if `f` panics.
    ///
    /// # Blocks
    /// As long as `f`, then like [`Lock::lock`].
    pub fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.lock.release(self.lock.state.lock().unwrap());
        let outcome = panic::catch_unwind(AssertUnwindSafe(f));
        mem::forget(self.lock.lock()); // this guard lives on and stands for the new hold (I4)
        outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// The lock this guard holds.
    pub fn origin(&self) -> &'a Lock {
        self.lock
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        self.lock.release(self.lock.state.lock().unwrap()); // (2)
    }
}

/// Why [`Lock::unlock`] changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockError {
    /// Nobody holds the lock.
    NotLocked,
    /// A guard holds the lock, and only that guard releases it.
    Guarded,
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnlockError::NotLocked => "cannot unlock: nobody holds the lock",
            UnlockError::Guarded => "cannot unlock: a guard holds the lock",
        })
    }
}

impl error::Error for UnlockError {}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

/// Does not block: where another thread is at the state this very moment, the fields are left out.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = self.state.try_lock().map(|state| (state.is_taken(), state.waiting));
        let mut out = f.debug_struct("Lock"); // the mutex is free again while `f` writes
        let Ok((locked, waiting)) = look else { return out.finish_non_exhaustive() };
        out.field("locked", &locked).field("waiting", &waiting).finish()
    }
}
