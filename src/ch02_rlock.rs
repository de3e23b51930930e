//! # 02 · RLock — an owner and a depth
//!
//! Needs: nothing but std.   Reading time: 7 min.
//! Run it: cargo run --example ch02_rlock
//!
//! ## Why
//!
//! `transfer` takes the lock of chapter 01 and calls `deposit`, which takes the same lock: the thread
//! waits for itself, for ever. A lock whose holder may come in again needs to know two things more
//! than "taken": who has it, and how many times.
//!
//! ## Picture
//!
//! ```text
//!   ┌──────┐ (1) lock by A  ┌────────────┐ (1) lock by A  ┌────────────┐
//!   │ free │ ─────────────► │ A, depth 1 │ ─────────────► │ A, depth 2 │ ...
//!   └──────┘ ◄───────────── └────────────┘ ◄───────────── └────────────┘
//!             (2) drop, unlock by A         (2) drop, unlock by A
//!
//!   A thread B that finds "A" sleeps until the depth is 0 again.
//! ```
//!
//! ## Promises
//!
//! - I1: while the depth is not 0, only the owner gets past (1), and for the owner (1) never waits.
//! - I2: the release that brings the depth to 0 wakes a waiter, as in chapter 01; no other does.
//! - I3: only the owner releases: a guard cannot leave its thread, `unlock` by others is an error.
//! - I4: `unlock` gives back forgotten levels only, never the level of a living guard.
//! - An owner that ends without releasing leaves the lock taken for ever: ids are not reused.
//!
//! ## The trap
//!
//! Coming in again means that the code inside may meet its own half-done work: it gets shared access
//! only. And a guard that could travel would release on a thread that owns nothing, so it stays:
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
//! - Python's `Condition` uses an `RLock` unless told otherwise; Java's `synchronized` always does.
//!
//! ## Try
//!
//! 1. Predict: the owner calls `lock`, `lock`, forgets both guards and calls `unlock` three times.
//! 2. Break: compare no thread ids, so that `is_closed_to` is `depth > 0`. Which call hangs first?
//! 3. Extend: `in_turn(lock, f)` runs `f` under the lock, unless this thread is already inside.

use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::Duration;
use std::{error, fmt, mem};

/// A lock that its owner may take again; it is free when every level has been given back.
///
/// # Examples
/// ```
/// let lock = concurrent_explained::RLock::new();
/// let outer = lock.lock();
/// let inner = lock.lock();
/// assert_eq!(lock.depth(), 2);
/// drop(outer); // in any order
/// assert!(lock.is_owned());
/// drop(inner);
/// assert!(!lock.is_locked());
/// ```
#[derive(Default)]
pub struct RLock {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    owner: Option<ThreadId>, // None exactly while the depth is 0
    depth: usize,            // levels taken and not given back
    forgotten: usize,        // those of them that have no guard
    waiting: usize,          // as in chapter 01: threads that found it taken
    woken: bool,             // as in chapter 01: one of them is on its way
}

impl State {
    fn is_closed_to(&self, me: ThreadId) -> bool {
        self.owner.is_some_and(|owner| owner != me)
    }

    /// A waiter's look: before it sleeps, and each time it wakes.
    fn look(&mut self, me: ThreadId) -> bool {
        self.woken = false;
        self.is_closed_to(me)
    }
}

impl RLock {
    /// Makes a free lock.
    pub const fn new() -> Self {
        let state = State { owner: None, depth: 0, forgotten: 0, waiting: 0, woken: false };
        RLock { state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Takes the lock, or one level more of it.
    ///
    /// # Blocks
    /// Until it is free and no newcomer is faster; the owner does not block.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> RLockGuard<'_> {
        let me = thread::current().id();
        let mut state = self.state.lock().unwrap();
        if state.is_closed_to(me) {
            state.waiting += 1;
            state = self.freed.wait_while(state, |state| state.look(me)).unwrap();
            state.waiting -= 1;
        }
        self.enter(state, me)
    }

    /// Takes the lock, or one level more of it, unless another thread has it. Does not wait.
    #[must_use = "it may not have been had"]
    pub fn try_lock(&self) -> Option<RLockGuard<'_>> {
        let me = thread::current().id();
        let state = self.state.lock().unwrap();
        (!state.is_closed_to(me)).then(|| self.enter(state, me))
    }

    /// Takes the lock if it comes free within `limit`; `Duration::MAX` means for ever.
    ///
    /// # Blocks
    /// Like [`lock`](RLock::lock), but no longer than `limit`.
    #[must_use = "it may not have been had"]
    pub fn lock_timeout(&self, limit: Duration) -> Option<RLockGuard<'_>> {
        let me = thread::current().id();
        let mut state = self.state.lock().unwrap();
        if state.is_closed_to(me) {
            state.waiting += 1;
            (state, _) =
                self.freed.wait_timeout_while(state, limit, |state| state.look(me)).unwrap();
            state.waiting -= 1;
        }
        (!state.is_closed_to(me)).then(|| self.enter(state, me))
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
        let mut state = self.state.lock().unwrap();
        match state.owner {
            None => return Err(RUnlockError::NotLocked),
            Some(owner) if owner != me => return Err(RUnlockError::NotOwner(owner)), // (I3)
            Some(_) if state.forgotten == 0 => return Err(RUnlockError::Guarded),    // (I4)
            Some(_) => state.forgotten -= 1,
        }
        self.leave(state, 1);
        Ok(())
    }

    /// Whether somebody, the caller included, had the lock a moment ago.
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.state.lock().unwrap().owner.is_some()
    }

    /// Whether the calling thread has the lock.
    pub fn is_owned(&self) -> bool {
        self.depth() > 0
    }

    /// How many levels the calling thread has taken: 0 if the lock is free or another's.
    pub fn depth(&self) -> usize {
        let state = self.state.lock().unwrap();
        if state.owner == Some(thread::current().id()) { state.depth } else { 0 }
    }

    fn enter(&self, mut state: MutexGuard<'_, State>, me: ThreadId) -> RLockGuard<'_> {
        state.owner = Some(me); // (1): same mutex as the look that found it open (I1)
        state.depth += 1;
        RLockGuard { lock: self, stays: PhantomData }
    }

    fn leave(&self, mut state: MutexGuard<'_, State>, levels: usize) {
        state.depth -= levels; // (2)
        if state.depth > 0 {
            return;
        }
        state.owner = None;
        let wake = state.waiting > 0 && !state.woken; // wake one, and only if nobody is awake (I2)
        state.woken |= wake;
        drop(state);
        if wake {
            self.freed.notify_one();
        }
    }
}

/// One level of the lock. Dropping it gives the level back; with the last one a waiter is woken.
#[derive(Debug)]
#[must_use = "the level is given back when the guard is dropped"]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    stays: PhantomData<*const ()>, // on its thread: a raw pointer is neither Send nor Sync (I3)
}

impl<'a> RLockGuard<'a> {
    /// Ends the guard but not the level: the owner gives it back with [`RLock::unlock`].
    pub fn forget(self) {
        self.lock.state.lock().unwrap().forgotten += 1;
        mem::forget(self);
    }

    /// Steps aside: gives back all levels, runs `f`, takes them all again, also if `f` panics.
    ///
    /// `f` is `Send`, and guards are not: so no guard of an outer level can be moved into `f` and
    /// dropped there, while this thread owns nothing.
    ///
    /// # Blocks
    /// As long as `f`, then like [`RLock::lock`] for a newcomer.
    pub fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        let mut state = self.lock.state.lock().unwrap();
        let (depth, forgotten) = (state.depth, mem::take(&mut state.forgotten));
        self.lock.leave(state, depth);
        let outcome = panic::catch_unwind(AssertUnwindSafe(f));
        mem::forget(self.lock.lock()); // the first level: from here on nobody else is in
        let mut state = self.lock.state.lock().unwrap();
        state.depth += depth - 1;
        state.forgotten += forgotten;
        drop(state);
        outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// The lock this guard holds.
    pub fn lock(&self) -> &'a RLock {
        self.lock
    }
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        let state = self.lock.state.lock().unwrap();
        // False only for a guard that a thread-local carried past the `Send` of `unlocked`.
        if state.owner == Some(thread::current().id()) {
            self.lock.leave(state, 1);
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

/// Does not block: where another thread is at the state this very moment, the fields are left out.
impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = self.state.try_lock().map(|state| (state.owner, state.depth, state.waiting));
        let mut out = f.debug_struct("RLock");
        let Ok((owner, depth, waiting)) = look else { return out.finish_non_exhaustive() };
        out.field("owner", &owner).field("depth", &depth).field("waiting", &waiting).finish()
    }
}
