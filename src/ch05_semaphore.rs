//! # 05 · Semaphore — a count, and a queue in front of it
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 15 min, exercises not counted |
//! | run it | `cargo run --example ch05_semaphore` |
//! | files | [example](../../../../examples/ch05_semaphore.rs), [test](../../../../tests/ch05_semaphore.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [04](../ch04_event/index.html), [06](../ch06_barrier/index.html) |
//!
//! ## Why
//!
//! An event lets every thread go on, or none. Many things bear a few users at a time: ten
//! connections, three licences, so many bytes of memory. A thread takes a permit, and gives it back
//! when it is done; a thread that finds too few permits waits.
//!
//! ## Steps
//!
//! 1. A count and chapter 03's `Condition`: `SmallSemaphore`, the whole idea in 15 lines, in the
//!    example. It is fair, because `release` hands its permit to the oldest waiter and leaves the
//!    count alone, so that no newcomer finds it there.
//! 2. Each request there is for one permit. If one thread wants 2 and the next wants 1, `notify`
//!    cannot know whether one permit helps: a `Condition` knows its waiters, not what they want. So
//!    this file has a queue of its own, in which each waiter says how many it wants.
//! 3. Waiters give up, and a waiter that leaves may have been all that stopped the next (I3).
//! 4. A permit is a guard, borrowed or owned: a panic cannot lose it.
//!
//! ## Picture
//!
//! ```text
//!                available: 2                       queue (oldest first)
//!   acquire ──▶  queue empty, and    ──no──▶  ┌──────────┬──────────┬──────────┐
//!                enough for me?       (1)     │ A wants 3│ B wants 1│ C wants 1│
//!                    │ yes                    └──────────┴──────────┴──────────┘
//!                    ▼                              │ (2) as long as there are
//!                 Permit ◀──────────────────────────┘     enough for the oldest
//!                    │ drop                         ▲
//!                    └──────── release ─────────────┘
//!
//!                       │ acquire  try_acquire  limit passes      release(n)
//!   ────────────────────┼─────────────────────────────────────────────────────
//!   enough, queue empty │ permit   permit       –                 n more
//!   too few, queue empty│ waits    None         –                 n more
//!   somebody waits      │ waits    None         None, leaves the  n more, the
//!                       │                       queue, next (2)   oldest go (2)
//! ```
//!
//! ## Promises
//!
//! - I1. Permits held + forgotten + available = permits at the start + permits added by `release`.
//! - I2. First come, first served: no request, `try_acquire` included, goes before a waiter, not
//!   even when there is enough for the late one and too few for the oldest.
//! - I3. Whenever the mutex is free, the oldest waiter wants more than there is.
//! - I4. A `release` that is refused changes nothing. A [bounded](Semaphore::bounded) semaphore
//!   refuses one too many: a permit comes back by its guard, or is forgotten first.
//! - A permit belongs to no thread: any thread may drop it, or forget it and release by hand.
//! - Not promised: speed under contention. A thread that gives back a permit and wants it again
//!   has to queue behind the others, and each change of hands is a wake-up.
//!
//! ## The trap
//!
//! `while available < wanted { sleep }` counts right and starves: small requests that come late
//! take what the large one waits for. The example shows five of them overtaking.
//!
//! With `notify_one` it also hangs: one permit comes back, and the call reaches the thread that
//! wants 2. That one sleeps again, and the thread that wants 1 sleeps on beside a free permit.
//! The shortest schedule is `1001`; `cargo run --example ch05_semaphore -- 1001` replays it.
//!
//! ## Elsewhere
//!
//! - std: none.
//! - Python: `threading.Semaphore` promises no order; its `BoundedSemaphore` compares the count.
//! - Java: `Semaphore(n, fair)`; `tryAcquire()` overtakes even then.
//! - tokio: fair, with `acquire_many` and owned permits, as here.
//!
//! ## Try
//!
//! 1. Predict: one permit is there, the oldest waiter wants 3, the next 1. Who goes after
//!    `release(1)`, and who after one more?
//! 2. Break: leave out `self.admit(state)` after a limit has passed (3). Which test hangs?
//! 3. Extend: build a readers–writers lock from one semaphore: a reader takes 1, a writer takes
//!    all. Why can a stream of readers not starve the writer?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{error, fmt};

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
#[doc(alias = "BoundedSemaphore")]
pub struct Semaphore {
    state: Mutex<State>,
    /// Permits held, forgotten and available are never more than this.
    limit: usize,
}

struct State {
    /// Permits that can be taken.
    available: usize,
    /// Permits in living guards. What is neither here nor available was forgotten, or never was.
    held: usize,
    /// The oldest in front.
    queue: VecDeque<Waiter>,
}

/// A thread that waits. It is in the queue exactly until it has its permits or is out of time.
struct Waiter {
    wants: usize,
    /// Its own, so that a release wakes those that can go and no other.
    wake: Arc<Condvar>,
}

impl Semaphore {
    /// A semaphore with `permits` available; 0 is fine. [`release`](Self::release) can add more.
    pub const fn new(permits: usize) -> Self {
        let mut semaphore = Self::bounded(permits);
        semaphore.limit = usize::MAX;
        semaphore
    }

    /// A semaphore with `permits` available, now and at most: a release too many is an error, and a
    /// request for more waits without end.
    ///
    /// # Examples
    /// ```
    /// let licences = concurrent_explained::Semaphore::bounded(3);
    /// assert!(licences.release(1).is_err());
    /// ```
    pub const fn bounded(permits: usize) -> Self {
        let state = State { available: permits, held: 0, queue: VecDeque::new() };
        Self { state: Mutex::new(state), limit: permits }
    }

    /// Takes one permit; dropping it gives it back.
    ///
    /// # Blocks
    /// While there is none or another thread came earlier.
    pub fn acquire(&self) -> Permit<&Self> {
        self.acquire_many(1)
    }

    /// Takes `count` permits at once, as one guard.
    ///
    /// # Blocks
    /// While there are too few or another thread came earlier; later requests wait behind it.
    pub fn acquire_many(&self, count: usize) -> Permit<&Self> {
        self.take(count, None);
        Permit { semaphore: self, count }
    }

    /// Takes one permit that can be moved into a thread or a task.
    ///
    /// # Blocks
    /// Like [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// ```
    /// use concurrent_explained::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = semaphore.acquire_owned(); // before the thread starts: at most one runs
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn acquire_owned(self: &Arc<Self>) -> OwnedPermit {
        self.take(1, None);
        Permit { semaphore: Arc::clone(self), count: 1 }
    }

    /// Takes one permit if that needs no waiting.
    #[must_use = "the permit may not have been acquired"]
    pub fn try_acquire(&self) -> Option<Permit<&Self>> {
        self.try_acquire_many(1)
    }

    /// Takes `count` permits if that needs no waiting.
    #[must_use = "the permits may not have been acquired"]
    pub fn try_acquire_many(&self, count: usize) -> Option<Permit<&Self>> {
        let taken = self.state.lock().unwrap().try_take(count);
        taken.then(|| Permit { semaphore: self, count })
    }

    /// Like [`acquire`](Self::acquire), but gives up after `limit`.
    #[must_use = "the permit may not have been acquired"]
    pub fn acquire_timeout(&self, limit: Duration) -> Option<Permit<&Self>> {
        self.acquire_many_timeout(1, limit)
    }

    /// Like [`acquire_many`](Self::acquire_many), but gives up after `limit`.
    ///
    /// # Wakes
    /// When it gives up: those behind it that can go now.
    #[must_use = "the permits may not have been acquired"]
    pub fn acquire_many_timeout(&self, count: usize, limit: Duration) -> Option<Permit<&Self>> {
        let taken = self.take(count, Instant::now().checked_add(limit));
        taken.then(|| Permit { semaphore: self, count })
    }

    /// Adds `count` permits: those of a forgotten [`Permit`], or new ones.
    ///
    /// # Wakes
    /// As many of the oldest waiters as can go, and no other.
    ///
    /// # Errors
    /// [`OverRelease`], and nothing has changed: with those in living guards there would be more
    /// than the limit, which is `usize::MAX`, or that of a [bounded](Self::bounded) one.
    pub fn release(&self, count: usize) -> Result<(), OverRelease> {
        let mut state = self.state.lock().unwrap();
        let missing = self.limit - state.available - state.held;
        if count > missing {
            return Err(OverRelease { released: count, missing }); // (I4)
        }
        state.available += count;
        self.admit(state);
        Ok(())
    }

    /// How many permits are there. While a waiter wants more than that, nobody gets them.
    pub fn available(&self) -> usize {
        self.state.lock().unwrap().available
    }

    /// Returns whether `count` permits were taken. `None`: no deadline.
    fn take(&self, count: usize, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.try_take(count) {
            return true; // no queue, no wake-up, no system call
        }
        let wake = Arc::new(Condvar::new());
        state.queue.push_back(Waiter { wants: count, wake: Arc::clone(&wake) }); // (1)
        // Am I in the queue? If not, another thread has granted the permits, awake or not (2).
        while let Some(place) = state.queue.iter().position(|w| Arc::ptr_eq(&w.wake, &wake)) {
            if time_left(deadline).is_zero() {
                state.queue.remove(place);
                self.admit(state); // (3): perhaps only this thread stood in their way (I3)
                return false;
            }
            state = wake.wait_timeout(state, time_left(deadline)).unwrap().0;
        }
        true
    }

    /// (2) Grants to the oldest while there are enough, then wakes them. The permits change hands
    /// under the mutex: no newcomer can take them from a thread that is only waking up (I2).
    fn admit(&self, mut state: MutexGuard<'_, State>) {
        let mut admitted = Vec::new(); // allocates nothing while nobody can go
        while state.queue.front().is_some_and(|oldest| oldest.wants <= state.available) {
            let oldest = state.queue.pop_front().unwrap();
            state.hand_out(oldest.wants);
            admitted.push(oldest.wake);
        }
        drop(state); // the woken threads need the mutex
        for wake in admitted {
            wake.notify_one();
        }
    }
}

impl State {
    /// Only past an empty queue (I2).
    fn try_take(&mut self, count: usize) -> bool {
        if !self.queue.is_empty() || count > self.available {
            return false;
        }
        self.hand_out(count);
        true
    }

    fn hand_out(&mut self, count: usize) {
        self.available -= count;
        self.held += count;
    }
}

/// How long a wait may go on: without a deadline, longer than any program runs.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

/// Permits in use. Dropping them, on any thread, gives them back.
///
/// `S` is the way to the semaphore: a reference, or in an [`OwnedPermit`] an `Arc`.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct Permit<S: Deref<Target = Semaphore>> {
    semaphore: S,
    count: usize,
}

/// A [`Permit`] that borrows nothing. Made by [`Semaphore::acquire_owned`].
pub type OwnedPermit = Permit<Arc<Semaphore>>;

impl<S: Deref<Target = Semaphore>> Permit<S> {
    /// Keeps the permits taken. [`release`](Semaphore::release) can bring them back, on any thread.
    pub fn forget(mut self) {
        self.semaphore.state.lock().unwrap().held -= self.count;
        self.count = 0; // nothing is left for `drop` to give back
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Permit<S> {
    fn drop(&mut self) {
        let mut state = self.semaphore.state.lock().unwrap();
        state.held -= self.count;
        state.available += self.count; // (I1)
        self.semaphore.admit(state);
    }
}

/// More permits were released than were missing; none was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverRelease {
    /// How many `release` was asked to add.
    pub released: usize,
    /// How many it could have added: permits in living guards are not missing.
    pub missing: usize,
}

// Plumbing

/// Does not block: while another thread is at the state, the fields are left out.
impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.available, state.queue.len()));
        let mut out = f.debug_struct("Semaphore"); // the mutex is free again while `f` writes
        let Ok((available, waiting)) = seen else { return out.finish_non_exhaustive() };
        out.field("available", &available).field("waiting", &waiting).finish()
    }
}

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release of {} refused: {} missing", self.released, self.missing)
    }
}

impl error::Error for OverRelease {}
