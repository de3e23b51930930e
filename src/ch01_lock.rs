//! # 01 · Lock — a flag, a mutex, a condvar, and a loop
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 15 min, exercises not counted |
//! | run it | `cargo run --example ch01_lock` |
//! | files | [example](../../../../examples/ch01_lock.rs), [test](../../../../tests/ch01_lock.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [02](../ch02_rlock/index.html) |
//!
//! ## Why
//!
//! Two threads add 1 to a counter. Each reads it (`r`), then writes what it has read plus 1 (`w`).
//! Their four steps can be mixed in six ways, and four of the six lose an addition:
//!
//! ```text
//!   A  rw..      A  r.w.      A  r..w      A  .rw.      A  .r.w      A  ..rw
//!   B  ..rw      B  .r.w      B  .rw.      B  r..w      B  r.w.      B  rw..
//!      2            1            1            1            1            2
//! ```
//!
//! A lock rules the four out: a thread waits until nobody else is between its read and its write.
//! `std::sync::Mutex` does that, but its guard cannot leave its thread, its wait has no limit, and
//! a panic poisons it. Python's `Lock` can do better on all three; this chapter builds it.
//!
//! (What a mutex and a condvar promise: the [preface](../../../../CHAPTERS.md#preface).)
//!
//! ## Steps
//!
//! 1. The example opens with the whole idea, `SmallLock`: a flag in a `Mutex`, a `Condvar`, a loop.
//! 2. It cannot give up waiting, so a wait gets a limit: `lock_timeout`.
//! 3. It notifies at each release. `notify_one` costs about 7 times as much as to lock and unlock a
//!    `Mutex`, even if nobody sleeps (`cargo run --release --example ch01_lock -- measure`). So the
//!    waiting threads are counted: nobody waits, nobody is notified. And to wake up takes a while,
//!    in which others may lock and unlock many times: one notification is enough for all of these.
//! 4. A forgotten `unlock` locks everybody out, so a guard does it when it is dropped. And as
//!    Python's `acquire` and `release` may stand in two functions, a guard can be forgotten.
//! 5. In the middle of its work, a thread may want to step aside for a while: `unlocked`. Chapter
//!    03 is built on it.
//!
//! ## Picture
//!
//! ```text
//!          (1) lock, try_lock, lock_timeout
//!   ┌──────┐ ─────────────────────────────► ┌─────────┐
//!   │ Free │ ◄───────────────────────────── │ Guarded │  a LockGuard lives
//!   └──────┘ (2) drop(guard)                └─────────┘
//!      ▲                                         │ (3) guard.forget()
//!      │     (4) unlock()                        ▼
//!      └─────────────────────────────────── ┌───────────┐
//!                                           │ Forgotten │  no guard, taken
//!                                           └───────────┘
//!   A thread that finds the lock taken sleeps. (2) and (4) wake one sleeper.
//! ```
//!
//! ## Promises
//!
//! - I1. From (1) to (2) or (4) nobody else gets past (1). A holder that panics releases by (2).
//! - I2. A release wakes one waiter, if there is one: none sleeps on beside a free lock.
//! - I3. A wait that ran out of time leaves nothing behind.
//! - I4. (4) never takes the lock away from a living guard.
//! - Not promised: an order among waiters (a newcomer may be faster than a thread that was woken),
//!   or a second turn for the holder, which waits for itself without end (chapter 02).
//!
//! ## The trap
//!
//! A waiter looks at the flag, then sleeps or goes in. A holder frees it, then notifies. If the
//! mutex is released between look and sleep, these four steps mix in six ways too. In one of them
//! the notification comes when nobody sleeps yet, and notifications are not kept: the waiter sleeps
//! on beside a free lock. That is a **lost wake-up**.
//!
//! ```text
//!   look     sleep    free     notify      the waiter is woken
//!   look     free     sleep    notify      the waiter is woken
//!   look     free     notify   sleep       the waiter sleeps for good
//!   free     look     go in    notify      the waiter finds the lock free
//!   free     look     notify   go in       the waiter finds the lock free
//!   free     notify   look     go in       the waiter finds the lock free
//! ```
//!
//! `Condvar::wait` releases the mutex and falls asleep in one step, so nothing comes in between.
//!
//! The second trap is `if taken { wait }` where the loop is. To be awake is not to be next: another
//! thread may have taken the lock meanwhile, and the system may wake a thread for no reason at all,
//! a **spurious wake-up**. Then two are inside. So the waiter looks again after each sleep.
//!
//! The example runs both mistakes, each of them a line away from the right version. The first goes
//! wrong in 5 of 23 schedules, and `cargo run --example ch01_lock -- 101` replays the shortest; the
//! second needs a longer one, `-- if 10001001`. Chapter 31 finds them.
//!
//! ## Elsewhere
//!
//! - std's `Mutex<T>` holds the data, so nobody can forget to lock: prefer it where it fits.
//! - Python's `Lock` lets any thread `release()`, even while another is inside its `with` block.
//! - `Condvar::wait_while` is this loop under a name. This book writes the loop out.
//!
//! ## Try
//!
//! 1. Predict: A holds the lock, B sleeps, A releases, C calls `try_lock` at once. Which gets it?
//! 2. Break: write `if` for `while` in `lock_until`. Which promise goes, and which tests see it?
//! 3. Extend: `lock_both(a, b)`, safe while another thread calls `lock_both(b, a)`.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{error, fmt, mem};

/// A lock with no data inside: it keeps threads apart, and they know what for.
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
#[derive(Default)]
pub struct Lock {
    /// Its mutex is held for a few lines, never while its thread sleeps.
    state: Mutex<State>,
    /// Threads that found the lock taken sleep here.
    freed: Condvar,
}

// House rule, here and in every chapter: no code of the user's runs while one of our mutexes is
// held. So a poisoned mutex can only mean a bug in this very file, and `.unwrap()` is the policy.
#[derive(Default)]
struct State {
    hold: Hold,
    /// Threads that sleep, or were woken and do not have the mutex yet.
    waiting: usize,
    /// One of them was notified, and has not looked yet: until it does, one is enough.
    woken: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Hold {
    #[default]
    Free,
    Guarded,
    Forgotten,
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
    /// Until the lock is free and no newcomer is faster; without end if the caller holds it.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> LockGuard<'_> {
        self.lock_until(None).expect("without a deadline, only the lock ends the wait")
    }

    /// Takes the lock if it is free at this moment. Does not wait.
    #[must_use = "the lock may not have been acquired"]
    pub fn try_lock(&self) -> Option<LockGuard<'_>> {
        self.lock_timeout(Duration::ZERO)
    }

    /// Takes the lock if it comes free within `limit`. `Duration::MAX` means no limit.
    ///
    /// # Blocks
    /// Like [`lock`](Lock::lock), but no longer than `limit`.
    #[must_use = "the lock may not have been acquired"]
    pub fn lock_timeout(&self, limit: Duration) -> Option<LockGuard<'_>> {
        // One moment for all the sleeps: to wake up does not begin the limit anew. The addition
        // fails only beyond the end of the clock, and then there is no deadline.
        self.lock_until(Instant::now().checked_add(limit))
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

    /// Whether somebody held the lock a moment ago.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.state.lock().unwrap().hold != Hold::Free
    }

    /// `None`: the deadline has passed first.
    fn lock_until(&self, deadline: Option<Instant>) -> Option<LockGuard<'_>> {
        let mut state = self.state.lock().unwrap();
        // The look comes before the clock. A thread that was notified in its last moment must not
        // walk away from a free lock: no other waiter hears of it (I2).
        while state.hold != Hold::Free {
            if time_left(deadline).is_zero() {
                return None;
            }
            state.waiting += 1;
            state = self.freed.wait_timeout(state, time_left(deadline)).unwrap().0;
            state.waiting -= 1; // by each waiter itself, whatever woke it, the clock too (I3)
            state.woken = false; // if another one was meant, one notification too many comes
        }
        // Between the last look and this line the mutex stays locked. Were it released, two threads
        // could find the lock free and both take it (I1).
        state.hold = Hold::Guarded; // (1)
        Some(LockGuard { lock: self })
    }

    fn release(&self, mut state: MutexGuard<'_, State>) {
        state.hold = Hold::Free;
        let notifies = state.waiting > 0 && !state.woken;
        state.woken |= notifies;
        drop(state); // before the notification: the woken thread needs the mutex first of all
        // A newcomer may take the lock between these lines. Then the woken thread finds it taken
        // and sleeps again, counted in `waiting`: the newcomer's release wakes it (I2).
        if notifies {
            self.freed.notify_one();
        }
    }
}

/// How long a wait may go on: without a deadline, longer than any program runs.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

/// The right to be inside. Dropping it, on whatever thread, releases the lock and wakes one waiter.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard<'a> {
    lock: &'a Lock,
}

impl<'a> LockGuard<'a> {
    /// The lock that this guard holds.
    pub fn lock(&self) -> &'a Lock {
        self.lock
    }

    /// Ends the guard but not the hold: the lock stays taken until somebody calls [`Lock::unlock`].
    /// (`std::mem::forget` does not tell the lock, which then stays taken for good.)
    pub fn forget(self) {
        self.lock.state.lock().unwrap().hold = Hold::Forgotten; // (3)
        mem::forget(self); // or its drop would release after all
    }

    /// Steps aside: releases the lock, runs `f`, takes the lock again, also if `f` panics.
    ///
    /// # Blocks
    /// As long as `f` runs, then like [`Lock::lock`].
    pub fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.lock.release(self.lock.state.lock().unwrap());
        let outcome = panic::catch_unwind(AssertUnwindSafe(f));
        mem::forget(self.lock.lock()); // this guard lives on and stands for the new hold (I4)
        outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
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

// Plumbing

/// Does not block: while another thread is at the state, the fields are left out.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.hold != Hold::Free, state.waiting));
        let mut out = f.debug_struct("Lock"); // the mutex is free again while `f` writes
        let Ok((locked, waiting)) = seen else { return out.finish_non_exhaustive() };
        out.field("locked", &locked).field("waiting", &waiting).finish()
    }
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
