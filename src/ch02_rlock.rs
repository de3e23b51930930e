//! # 02 · RLock — an owner and a depth
//!
//! | needs | [01](super::ch01_lock) |
//! | --- | --- |
//! | reading time | 15 min, exercises not counted |
//! | run it | `cargo run --example ch02_rlock` |
//! | files | [example](../../../../examples/ch02_rlock.rs), [test](../../../../tests/ch02_rlock.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [01](../ch01_lock/index.html), [03](../ch03_condition/index.html) |
//!
//! ## Why
//!
//! `transfer` takes the lock of an account and calls `deposit`, which takes it too. With the lock
//! of chapter 01 the thread then waits for itself, without end: a deadlock of one. That lock knows
//! that it is taken. To let its holder come in again, it must know by which thread and how often.
//!
//! ## Steps
//!
//! 1. The example opens with `SmallRLock`: chapter 01's lock, beside it an owner and a depth.
//! 2. Any thread can call its `unlock` and come in beside the owner. So the owner is checked.
//! 3. The owner itself can call `unlock` once too often. So each level has a guard.
//! 4. A thread that waits for news (chapter 03) must give up all levels at once: `unlocked`.
//!
//! ## Picture
//!
//! ```text
//!   ┌──────┐ (1) lock by A  ┌────────────┐ (2) lock by A  ┌────────────┐
//!   │ free │ ─────────────► │ A, depth 1 │ ─────────────► │ A, depth 2 │ ...
//!   └──────┘ ◄───────────── └────────────┘ ◄───────────── └────────────┘
//!             (4) drop, unlock by A         (3) drop, unlock by A
//!
//!   A thread B waits at (1), in the lock of chapter 01, until (4).
//! ```
//!
//! ## Promises
//!
//! - I1. While the depth is not 0, only the owner comes in, and the owner never waits.
//! - I2. The release that brings the depth to 0 wakes a waiter, as in chapter 01. No other does.
//! - I3. Only the owner gives back: a guard cannot leave its thread, and `unlock` by another thread
//!   is an error.
//! - I4. `unlock` gives back forgotten levels only, never the level of a living guard.
//! - Not promised: that the lock of a thread that ended inside comes free: no thread has its id.
//!   Nor that levels are told apart: they are counted.
//!
//! ## The trap
//!
//! The last release has two steps: it erases the owner and frees the lock. In the wrong order, the
//! next owner comes in between the two, and its name is erased. When it takes the lock again, it
//! does not know itself and sleeps for good. 2 of 97 schedules with two preemptions end so, and
//! `cargo run --example ch02_rlock -- .10.100001` replays one.
//!
//! A lock that lets its holder in again lets it meet its own half-done work: `deposit` runs in the
//! middle of `transfer`. So no `&mut` may be handed out at any level, only shared access.
//!
//! And a guard that could travel would release on a thread that owns nothing. So it stays (I3):
//!
//! ```compile_fail,E0277
//! # use concurrent_explained::RLock;
//! static LOCK: RLock = RLock::new();
//! let guard = LOCK.lock();
//! std::thread::spawn(move || drop(guard)); // `RLockGuard` cannot be sent between threads safely
//! ```
//!
//! ## Elsewhere
//!
//! - std has a `ReentrantLock<T>`, unstable, and inside `Stdout`; it gives `&T`, never `&mut T`.
//! - Python's `Condition` uses an `RLock` unless told otherwise. Java's `synchronized` always does.
//!
//! ## Try
//!
//! 1. Predict: the owner calls `lock` twice, forgets both guards and calls `unlock` three times.
//! 2. Break: let `of_caller` give the hold to any thread. Which tests see it, and does one hang?
//! 3. Extend: `in_turn(lock, f)` runs `f` under the lock, unless this thread is already inside.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch01_lock::{Lock, LockGuard};
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::Duration;
use std::{error, fmt, mem};

/// A lock that its owner may take again. It is free when every level has been given back.
///
/// # Examples
/// ```
/// let lock = concurrent_explained::RLock::new();
/// let outer = lock.lock();
/// let inner = lock.lock();
/// assert_eq!(lock.depth(), 2);
/// drop(outer); // in any order
/// assert!(lock.is_locked());
/// drop(inner);
/// assert!(!lock.is_locked());
/// ```
#[derive(Default)]
pub struct RLock {
    /// Here the others wait. Taken from (1) to (4), without a guard.
    lock: Lock,
    /// Written only by the thread that has `lock`.
    hold: Mutex<Option<Hold>>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    owner: ThreadId,
    /// Levels taken and not given back, at least 1.
    depth: usize,
    /// Those of them that have no guard.
    forgotten: usize,
}

impl RLock {
    /// Makes a free lock.
    pub const fn new() -> Self {
        RLock { lock: Lock::new(), hold: Mutex::new(None) }
    }

    /// Takes the lock, or one level more of it.
    ///
    /// # Blocks
    /// Until it is free and no newcomer is faster. The owner does not block.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> RLockGuard<'_> {
        // Nobody can make this thread the owner between the two steps but this thread itself.
        self.enter_again().unwrap_or_else(|| self.enter(self.lock.lock()))
    }

    /// Takes the lock, or one level more of it, unless another thread has it. Does not wait.
    #[must_use = "the lock may not have been acquired"]
    pub fn try_lock(&self) -> Option<RLockGuard<'_>> {
        self.enter_again().or_else(|| Some(self.enter(self.lock.try_lock()?)))
    }

    /// Takes the lock if it comes free within `limit`. `Duration::MAX` means no limit.
    ///
    /// # Blocks
    /// Like [`lock`](RLock::lock), but no longer than `limit`.
    #[must_use = "the lock may not have been acquired"]
    pub fn lock_timeout(&self, limit: Duration) -> Option<RLockGuard<'_>> {
        self.enter_again().or_else(|| Some(self.enter(self.lock.lock_timeout(limit)?)))
    }

    /// Gives back one level whose guard was [forgotten](RLockGuard::forget).
    ///
    /// # Wakes
    /// One waiter, if it was the last level.
    ///
    /// # Errors
    /// Nothing has changed: the lock is free, another thread's, or all its levels have guards.
    #[doc(alias = "release")]
    pub fn unlock(&self) -> Result<(), RUnlockError> {
        let me = thread::current().id();
        let mut hold = self.hold.lock().unwrap();
        match &mut *hold {
            None => return Err(RUnlockError::NotLocked),
            Some(other) if other.owner != me => return Err(RUnlockError::NotOwner(other.owner)),
            Some(mine) if mine.forgotten == 0 => return Err(RUnlockError::Guarded), // (I4)
            Some(mine) => mine.forgotten -= 1,
        }
        drop(hold);
        drop(self.level()); // the forgotten guard, made anew, so that a level has one way to end
        Ok(())
    }

    /// Whether somebody, the caller included, held the lock a moment ago.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// How many levels the calling thread has taken: 0 if the lock is free or another's.
    #[doc(alias = "is_owned")]
    pub fn depth(&self) -> usize {
        of_caller(&mut self.hold.lock().unwrap()).map_or(0, |mine| mine.depth)
    }

    fn enter_again(&self) -> Option<RLockGuard<'_>> {
        of_caller(&mut self.hold.lock().unwrap())?.depth += 1; // (2)
        Some(self.level())
    }

    fn enter(&self, first: LockGuard<'_>) -> RLockGuard<'_> {
        first.forget(); // levels end in any order, so the first guard cannot stand for all
        let hold = Hold { owner: thread::current().id(), depth: 1, forgotten: 0 };
        *self.hold.lock().unwrap() = Some(hold); // (1)
        self.level()
    }

    fn level(&self) -> RLockGuard<'_> {
        RLockGuard { lock: self, stays: PhantomData }
    }

    /// Ends the caller's hold, at any depth, and gives what it was.
    fn end(&self, mut hold: MutexGuard<'_, Option<Hold>>) -> Option<Hold> {
        of_caller(&mut hold)?;
        let ended = hold.take();
        drop(hold);
        // The hold has ended first. From the next line on another thread may be the owner, and what
        // ended then would be that thread's hold.
        self.lock.unlock().expect("taken by `enter`, and its guard forgotten"); // (4)
        ended
    }
}

/// The hold, if it is the calling thread's (I1).
///
/// Guards ask as well. A guard never leaves its thread, but it can outlive the hold: `unlocked`
/// ends the hold and then runs foreign code, which can find another guard of this thread in a
/// `thread_local!` and drop it. Such a guard has nothing to give back (I3).
fn of_caller(hold: &mut Option<Hold>) -> Option<&mut Hold> {
    hold.as_mut().filter(|hold| hold.owner == thread::current().id())
}

/// One level of the lock. Dropping it gives the level back, and with the last one wakes a waiter.
#[derive(Debug)]
#[must_use = "the level is given back when the guard is dropped"]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    /// On its thread: a raw pointer is neither Send nor Sync (I3).
    stays: PhantomData<*const ()>,
}

impl<'a> RLockGuard<'a> {
    /// The lock that this guard holds.
    pub fn lock(&self) -> &'a RLock {
        self.lock
    }

    /// Ends the guard but not the level: the owner gives it back with [`RLock::unlock`].
    pub fn forget(self) {
        if let Some(mine) = of_caller(&mut self.lock.hold.lock().unwrap()) {
            mine.forgotten += 1;
        }
        mem::forget(self);
    }

    /// Steps aside: gives back all levels, runs `f`, takes them all again, also if `f` panics.
    ///
    /// If `f` drops another guard of this lock (it can find one in a `thread_local!`), that level
    /// stays taken, as after `std::mem::forget`. Without a hold, `f` runs and nothing else happens.
    ///
    /// # Blocks
    /// As long as `f` runs, then like [`RLock::lock`] for a newcomer.
    pub fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        // `Send` keeps this thread's other guards out of `f`: without a hold, they guard nothing.
        let aside = self.lock.end(self.lock.hold.lock().unwrap());
        let outcome = panic::catch_unwind(AssertUnwindSafe(f));
        if let Some(aside) = aside {
            mem::forget(self.lock.lock()); // one level: from here on nobody else is in
            if let Some(mine) = of_caller(&mut self.lock.hold.lock().unwrap()) {
                mine.depth += aside.depth - 1; // and not `=`: `f` may have left levels behind
                mine.forgotten += aside.forgotten;
            }
        }
        outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        let mut hold = self.lock.hold.lock().unwrap();
        let Some(mine) = of_caller(&mut hold) else { return };
        mine.depth -= 1; // (3)
        if mine.depth == 0 {
            self.lock.end(hold); // (I2)
        }
    }
}

/// Why [`RLock::unlock`] changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RUnlockError {
    /// Nobody holds the lock.
    NotLocked,
    /// This other thread holds the lock.
    NotOwner(ThreadId),
    /// The caller holds the lock, each level by a guard, and only these guards give them back.
    Guarded,
}

// Plumbing

impl fmt::Display for RUnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RUnlockError::NotLocked => write!(f, "cannot unlock: nobody holds the lock"),
            RUnlockError::NotOwner(owner) => write!(f, "cannot unlock: {owner:?} holds the lock"),
            RUnlockError::Guarded => write!(f, "cannot unlock: every level has its guard"),
        }
    }
}

impl error::Error for RUnlockError {}

/// Does not block: while another thread is at the hold, the fields are left out.
impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.hold.try_lock().map(|hold| *hold);
        let mut out = f.debug_struct("RLock"); // the mutex is free again while `f` writes
        let Ok(hold) = seen else { return out.finish_non_exhaustive() };
        out.field("hold", &hold).field("lock", &self.lock).finish()
    }
}
