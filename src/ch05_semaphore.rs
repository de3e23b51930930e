//! # 05 · Semaphore — counting, first come first served
//!
//! Needs: nothing but std.   Reading time: 9 min.
//! Run it: cargo run --example ch05_semaphore
//!
//! ## Why
//!
//! An event opens the door for everybody or for nobody. Many things bear a few users at a time: ten
//! connections, three licences, so many bytes of memory. Whoever enters takes a permit and gives it
//! back; who finds too few waits in line.
//!
//! ## Picture
//!
//! ```text
//!                available: 2                       line (oldest first)
//!   acquire ──▶  nobody waits and    ──no──▶  ┌──────────┬──────────┬──────────┐
//!                enough for me?        (1)    │ 7 wants 3│ 8 wants 1│ 9 wants 1│
//!                    │ yes                    └──────────┴──────────┴──────────┘
//!                    ▼                              │ (2) as long as there are
//!                 Permit ◀──────────────────────────┘     enough for the first
//!                    │ drop                         ▲
//!                    └──────── release ─────────────┘
//!
//!                       │ acquire  try_acquire  limit passes      release(n)
//!   ────────────────────┼─────────────────────────────────────────────────────
//!   enough, line empty  │ permit   permit       –                 n more
//!   too few, line empty │ waits    None         –                 n more
//!   somebody in line    │ waits    None         None, leaves the  n more, the
//!                       │                       line, next (2)    first go (2)
//! ```
//!
//! ## Promises
//!
//! - I1: permits held + permits available = permits at the start + permits released by hand.
//! - I2: first come, first served: nobody, `try_acquire` included, goes before a thread in line,
//!   not even when there would be enough for the late one and too few for the first.
//! - I3: whenever the lock is free, the first in line cannot go: too few are available.
//! - I4: a refused release changes nothing.
//! - A permit knows no thread: any thread may drop it, or forget it and release by hand.
//! - The price of the order: a thread that gives back its permit and wants it again at once has to
//!   queue behind the others, and each change of hands is a wake-up. Unfair locks are faster.
//!
//! ## The trap
//!
//! `while available < n { sleep }` counts right and starves: small requests that come late take
//! what the large one waits for, and it may wait for ever. The example shows five of them
//! overtaking. The line has a trap of its own: whoever *gives up* waiting may have been all that
//! stopped the next, so leaving is news as well.
//!
//! ## Elsewhere
//!
//! - std: none.
//! - Python: `threading.Semaphore`, no order promised; `BoundedSemaphore` refuses as here.
//! - Java: `Semaphore(n, fair)`; `tryAcquire()` overtakes even then.
//! - tokio: fair, `acquire_many`, permits as guards, as here.
//!
//! ## Try
//!
//! 1. Two permits are there, the first in line wants 3, the second 1. Who goes after `release(1)`?
//! 2. Leave out the call of `admit` after a limit has passed. Which test hangs?
//! 3. Build a readers–writers lock from one semaphore: a reader takes 1, a writer takes all. Why
//!    can a stream of readers not starve the writer?

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A number of permits to take and give back, first come first served.
///
/// # Examples
/// ```
/// use concurrent_explained::Semaphore;
///
/// let connections = Semaphore::new(2);
/// let first = connections.acquire();
/// let second = connections.acquire();
/// assert!(connections.try_acquire().is_none());
/// drop(first);
/// assert_eq!(connections.available(), 1);
/// ```
pub struct Semaphore {
    state: Mutex<State>,
    /// More than this can never be available.
    limit: usize,
}

struct State {
    /// Permits nobody holds.
    available: usize,
    /// Who waits, oldest first, tickets rising.
    line: VecDeque<Waiter>,
    /// What the next one in line gets.
    next_ticket: u64,
}

struct Waiter {
    ticket: u64,
    wants: usize,
    /// Each waiter has its own, so that a release wakes those who can go and nobody else.
    bell: Arc<Condvar>,
}

impl Semaphore {
    /// A semaphore with `permits` available; 0 is fine.
    pub const fn new(permits: usize) -> Self {
        Self::with_limit(permits, usize::MAX)
    }

    const fn with_limit(available: usize, limit: usize) -> Self {
        let state = State { available, line: VecDeque::new(), next_ticket: 0 };
        Self { state: Mutex::new(state), limit }
    }

    /// Takes one permit; dropping it gives it back.
    ///
    /// # Blocks
    /// While there is none or somebody came earlier.
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_many(1)
    }

    /// Takes `count` permits at once, as one guard.
    ///
    /// # Blocks
    /// While there are too few or somebody came earlier; who comes later waits behind.
    pub fn acquire_many(&self, count: usize) -> Permit<'_> {
        self.take(count, None);
        Permit { semaphore: self, count }
    }

    /// Takes one permit if that needs no waiting.
    #[must_use = "it may not have been had"]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes `count` permits if that needs no waiting.
    #[must_use = "it may not have been had"]
    pub fn try_acquire_many(&self, count: usize) -> Option<Permit<'_>> {
        let taken = self.state.lock().unwrap().take_now(count);
        taken.then(|| Permit { semaphore: self, count })
    }

    /// Like [`acquire`](Self::acquire), but gives up after `limit`.
    #[must_use = "it may not have been had"]
    pub fn acquire_timeout(&self, limit: Duration) -> Option<Permit<'_>> {
        self.acquire_many_timeout(1, limit)
    }

    /// Like [`acquire_many`](Self::acquire_many), but gives up after `limit`.
    ///
    /// # Wakes
    /// When it gives up: those behind it that can go now.
    #[must_use = "it may not have been had"]
    pub fn acquire_many_timeout(&self, count: usize, limit: Duration) -> Option<Permit<'_>> {
        self.take(count, Some(limit)).then(|| Permit { semaphore: self, count })
    }

    /// Adds `count` permits: those of a forgotten [`Permit`], or new ones.
    ///
    /// # Wakes
    /// As many of the first in line as can go, and nobody else.
    ///
    /// # Errors
    /// [`OverRelease`], and adds nothing, if more than the limit (`usize::MAX`, or that of a
    /// [`BoundedSemaphore`]) would be available.
    pub fn release(&self, count: usize) -> Result<(), OverRelease> {
        let mut state = self.state.lock().unwrap();
        let missing = self.limit - state.available;
        if count > missing {
            return Err(OverRelease { released: count, missing }); // I4
        }
        state.available += count;
        let admitted = state.admit();
        drop(state); // the woken need the lock
        ring(&admitted);
        Ok(())
    }

    /// How many permits nobody holds. While somebody waits for more than that, nobody gets them.
    pub fn available(&self) -> usize {
        self.state.lock().unwrap().available
    }

    /// Returns whether `count` permits were taken; `None` is for ever.
    fn take(&self, count: usize, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.take_now(count) {
            return true; // no line, no wake-up, no system call
        }
        let (ticket, bell) = state.join(count); // (1)
        // Who admits takes from the front: I am through when everybody in line is younger.
        let in_line = |state: &mut State| state.line.front().is_some_and(|w| w.ticket <= ticket);
        let Some(limit) = limit else {
            drop(bell.wait_while(state, in_line).unwrap());
            return true;
        };
        let (mut state, waited) = bell.wait_timeout_while(state, limit, in_line).unwrap();
        if waited.timed_out() {
            state.line.retain(|waiter| waiter.ticket != ticket);
            let admitted = state.admit(); // I3: perhaps only this thread stood in their way
            drop(state);
            ring(&admitted);
        }
        !waited.timed_out()
    }
}

impl State {
    /// I2: only past an empty line.
    fn take_now(&mut self, count: usize) -> bool {
        let enough = self.line.is_empty() && count <= self.available;
        if enough {
            self.available -= count;
        }
        enough
    }

    fn join(&mut self, wants: usize) -> (u64, Arc<Condvar>) {
        let (ticket, bell) = (self.next_ticket, Arc::new(Condvar::new()));
        self.next_ticket += 1;
        self.line.push_back(Waiter { ticket, wants, bell: bell.clone() });
        (ticket, bell)
    }

    /// (2) Takes the first out of the line, with their permits, as long as there are enough (I3).
    /// The permits change hands here, under the lock: nobody can snatch them from a waking thread.
    fn admit(&mut self) -> Vec<Waiter> {
        let mut admitted = Vec::new(); // allocates nothing while nobody can go
        while let Some(first) = self.line.front()
            && first.wants <= self.available
        {
            self.available -= first.wants;
            admitted.extend(self.line.pop_front());
        }
        admitted
    }
}

fn ring(admitted: &[Waiter]) {
    admitted.iter().for_each(|waiter| waiter.bell.notify_one());
}

/// One permit: what Python's `Semaphore()` means.
impl Default for Semaphore {
    fn default() -> Self {
        Self::new(1)
    }
}

/// Never waits; while another thread is inside, it shows no numbers.
impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.available, state.line.len()));
        let mut shown = f.debug_struct("Semaphore");
        if let Ok((available, waiting)) = seen {
            shown.field("available", &available).field("waiting", &waiting);
        }
        shown.finish_non_exhaustive()
    }
}

/// A [`Semaphore`] that never has more permits than at the start: a release too many is an error.
#[derive(Debug)]
pub struct BoundedSemaphore(Semaphore);

impl BoundedSemaphore {
    /// A semaphore with `permits` available, now and at most. Who asks for more waits for ever.
    pub const fn new(permits: usize) -> Self {
        Self(Semaphore::with_limit(permits, permits))
    }
}

/// One permit, now and at most.
impl Default for BoundedSemaphore {
    fn default() -> Self {
        Self::new(1)
    }
}

/// All methods of the semaphore inside; `release` knows the limit.
impl Deref for BoundedSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0
    }
}

/// Permits in use. Dropping them, on any thread, gives them back.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// Keeps the permits taken. [`release`](Semaphore::release) can bring them back, on any thread.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Refused if somebody released these permits by hand already; then nothing is missing.
        let _ = self.semaphore.release(self.count);
    }
}

/// More permits were released than were missing; none was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverRelease {
    /// How many `release` was asked to add.
    pub released: usize,
    /// How many it could have added.
    pub missing: usize,
}

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release of {} refused: {} missing", self.released, self.missing)
    }
}

impl Error for OverRelease {}
