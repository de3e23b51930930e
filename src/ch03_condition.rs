//! # 03 · Condition — a queue of waiters
//!
//! | needs | [01](super::ch01_lock), [02](super::ch02_rlock) |
//! | --- | --- |
//! | reading time | 13 min, exercises not counted |
//! | run it | `cargo run --example ch03_condition` |
//! | files | [example](../../../../examples/ch03_condition.rs), [test](../../../../tests/ch03_condition.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [02](../ch02_rlock/index.html), [04](../ch04_event/index.html) |
//!
//! ## Why
//!
//! A lock brings one piece of news, that it is free. Most threads wait for something else: an item
//! is there, an answer has come. A thread that waits for it must release the lock, so that the news
//! can be made at all, and the thread that brings it wants to say how many may go on.
//!
//! The lock holds no data, so the data are in a `Mutex` or an atomic of their own. What is the lock
//! for, then? It spans several steps: look, wait, look again, take. Nobody else gets in between
//! them, and with the lock in hand the `Mutex` around the data is never contended.
//!
//! ## Steps
//!
//! 1. Release the lock, then sleep on a `Condvar`: news in between is lost, as in chapter 01.
//! 2. Count the news, and sleep while there is none: `SmallNews`, with which the example opens.
//!    Nothing is lost, but the count does not say whom the news is for: see the trap.
//! 3. So a waiter enters a queue before it releases the lock. To notify is to take the oldest out
//!    of it, and a thread that enters later cannot get what was meant for another.
//! 4. A waiter whose time is up takes itself out, so no notification is spent on it.
//!
//! ## Picture
//!
//! ```text
//! waiter, has the lock                the queue       notifier, has the lock
//! ────────────────────                ─────────       ──────────────────────
//! (1) enters the queue ─────────────► A  B  C  D
//! (2) releases the lock, sleeps       │  │
//!                                     ▼  ▼     ◄───── (3) notify(2): the two
//!                                   A, B wake             oldest leave the queue
//! (4) is out of the queue: notified
//! (5) or out of time: leaves it by itself
//! (6) takes the lock again, once the notifier has released it
//! ```
//!
//! ## Promises
//!
//! - I1. `notify(n)` wakes the n oldest of those that wait at that moment, or all if they are
//!   fewer. No other wait ends by it, and none ends without a notification or its limit.
//! - I2. A wait ends as notified or as out of time, never as both: no notification is wasted.
//! - I3. A wait releases the lock at any depth, and has it at the same depth afterwards.
//! - I4. To wait and to notify take a guard, so only a holder can. A guard speaks for its own lock:
//!   it wakes those that wait with the same lock. One lock may have several conditions.
//! - Not promised: that what was notified is still true at (6). `wait_for` looks again.
//!
//! ## The trap
//!
//! One thread asks, another answers, and both use one condition. With a count of news, the one that
//! asks can hear itself:
//!
//! ```text
//!   the answering thread         news   the asking thread
//!   waits for a question           0
//!                                  1    has a question, notifies
//!                                  1    waits for the answer: there is news,
//!                                  0    takes it, goes on without an answer
//!   wakes, finds no news, sleeps   0
//! ```
//!
//! This is no bad luck: the asking thread has the lock from its notification to its wait, so it
//! goes wrong under all 54 schedules. `cargo run --example ch03_condition -- 1` replays one. The
//! queue knows better: the thread that asks was not in it when it notified.
//!
//! ## Elsewhere
//!
//! - std's `Condvar` has no queue: it promises neither the oldest nor exactly n.
//! - CPython's `Condition` takes a waiter that is out of time out of the queue only when it has the
//!   lock again. A notification in between is spent on it, and it returns `False` all the same.
//! - Java's `ReentrantLock.newCondition()` has a queue as well; its `signal` wakes the oldest.
//!
//! ## Try
//!
//! 1. Predict: A and B wait, in this order. C calls `notify(1)`, then waits. Who is in the queue?
//! 2. Break: do (1) inside the closure, after the lock is released. What gets lost, and when?
//! 3. Extend: a bounded buffer with one lock and two conditions, `not_full` and `not_empty`.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch01_lock::LockGuard;
use super::ch02_rlock::RLockGuard;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, ptr};

/// Lets threads wait, under a lock, for what other threads do under the same lock.
///
/// # Examples
/// ```
/// use concurrent_explained::{Condition, Lock};
/// use std::sync::Mutex;
///
/// static LOCK: Lock = Lock::new();
/// static ARRIVED: Condition = Condition::new();
/// static LETTERS: Mutex<Vec<&str>> = Mutex::new(Vec::new());
///
/// let reader = std::thread::spawn(|| {
///     let mut guard = LOCK.lock();
///     ARRIVED.wait_for(&mut guard, || !LETTERS.lock().unwrap().is_empty());
///     LETTERS.lock().unwrap().pop() // still there: nobody else has the lock
/// });
/// let guard = LOCK.lock();
/// LETTERS.lock().unwrap().push("hello");
/// ARRIVED.notify(&guard, 1);
/// drop(guard);
/// assert_eq!(reader.join().unwrap(), Some("hello"));
/// ```
#[derive(Default)]
pub struct Condition {
    /// The oldest in front.
    queue: Mutex<VecDeque<Waiter>>,
}

/// A thread that waits. It is in the queue exactly until it is notified or out of time.
struct Waiter {
    /// The address of the lock that it waits with (I4).
    lock: usize,
    /// Its own, so that to notify it wakes no other (I1).
    wake: Arc<Condvar>,
}

impl Condition {
    /// Makes a condition that nobody waits for.
    pub const fn new() -> Self {
        Condition { queue: Mutex::new(VecDeque::new()) }
    }

    /// Releases the lock, waits to be notified, takes the lock again.
    ///
    /// # Blocks
    /// Until notified, then until the lock is free.
    pub fn wait(&self, guard: &mut impl Guard) {
        self.wait_until(guard, None);
    }

    /// Like [`wait`](Condition::wait), for no longer than `limit`. False: it was not notified.
    ///
    /// # Blocks
    /// Until notified or out of time, then until the lock is free, however long that takes. The
    /// lock is released even if `limit` is zero. `Duration::MAX` means no limit.
    #[must_use = "the limit may have passed first"]
    pub fn wait_timeout(&self, guard: &mut impl Guard, limit: Duration) -> bool {
        self.wait_until(guard, Instant::now().checked_add(limit))
    }

    /// Waits until `is_ready` says yes. Asks it under the lock, now and after each notification.
    ///
    /// # Blocks
    /// Like [`wait`](Condition::wait), as often as it takes; not at all if the first answer is yes.
    pub fn wait_for(&self, guard: &mut impl Guard, mut is_ready: impl FnMut() -> bool) {
        while !is_ready() {
            self.wait(guard);
        }
    }

    /// Like [`wait_for`](Condition::wait_for), for no longer than `limit` in all. Gives the last
    /// answer: `is_ready` is asked once more when the time is up.
    #[must_use = "the limit may have passed first"]
    pub fn wait_for_timeout(
        &self,
        guard: &mut impl Guard,
        limit: Duration,
        mut is_ready: impl FnMut() -> bool,
    ) -> bool {
        let deadline = Instant::now().checked_add(limit); // one for all the waits
        while !is_ready() {
            if time_left(deadline).is_zero() {
                return false;
            }
            self.wait_until(guard, deadline);
        }
        true
    }

    /// Gives how many it woke.
    ///
    /// # Wakes
    /// The `n` oldest of those that wait now with the lock of this guard.
    pub fn notify(&self, guard: &impl Guard, n: usize) -> usize {
        let (lock, mut notified) = (guard.lock_address(), Vec::new());
        let mut queue = self.queue.lock().unwrap();
        while notified.len() < n {
            let Some(oldest) = queue.iter().position(|waiter| waiter.lock == lock) else { break };
            notified.extend(queue.remove(oldest)); // (3): from here on its wait has ended (I2)
        }
        drop(queue); // which each of them needs to find itself gone from it
        for waiter in &notified {
            waiter.wake.notify_one();
        }
        notified.len()
    }

    /// Gives how many it woke.
    ///
    /// # Wakes
    /// All that wait now with the lock of this guard.
    #[doc(alias = "notifyAll")]
    pub fn notify_all(&self, guard: &impl Guard) -> usize {
        self.notify(guard, usize::MAX)
    }

    fn wait_until(&self, guard: &mut impl Guard, deadline: Option<Instant>) -> bool {
        let wake = Arc::new(Condvar::new());
        let waiter = Waiter { lock: guard.lock_address(), wake: Arc::clone(&wake) };
        // (1) comes before (2). As soon as the lock is free somebody may notify, and must find this
        // thread in the queue; if it does not sleep yet, it finds itself gone and does not sleep.
        self.queue.lock().unwrap().push_back(waiter); // (1)
        guard.unlocked(|| {
            // (2): the lock is free; `unlocked` takes it again, at the same depth (I3): (6)
            let mut queue = self.queue.lock().unwrap();
            // Am I in the queue? Both sides answer that under one mutex, before the lock: so a wait
            // that runs out of time cannot also be notified (I2).
            while let Some(place) = queue.iter().position(|other| Arc::ptr_eq(&other.wake, &wake)) {
                if time_left(deadline).is_zero() {
                    queue.remove(place); // (5)
                    return false;
                }
                queue = wake.wait_timeout(queue, time_left(deadline)).unwrap().0;
            }
            true // (4)
        })
    }
}

/// How long a wait may go on: without a deadline, longer than any program runs.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

/// What a condition needs of a lock: a guard that can step aside.
///
/// ```compile_fail,E0277
/// # use concurrent_explained::{Condition, Lock};
/// Condition::new().notify(&Lock::new(), 1); // a lock proves nothing, its guard does (I4)
/// ```
pub trait Guard {
    /// Releases the lock at any depth, runs `f`, takes the lock again at the same depth.
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R;

    /// Where the lock is in memory: two locks that are waited with have two addresses.
    fn lock_address(&self) -> usize;
}

impl Guard for LockGuard<'_> {
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        LockGuard::unlocked(self, f)
    }

    fn lock_address(&self) -> usize {
        ptr::from_ref(self.lock()).addr()
    }
}

impl Guard for RLockGuard<'_> {
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        RLockGuard::unlocked(self, f)
    }

    fn lock_address(&self) -> usize {
        ptr::from_ref(self.lock()).addr()
    }
}

// Plumbing

/// Does not block: while another thread is at the queue, the field is left out.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.queue.try_lock().map(|queue| queue.len());
        let mut out = f.debug_struct("Condition");
        let Ok(waiting) = seen else { return out.finish_non_exhaustive() };
        out.field("waiting", &waiting).finish()
    }
}
