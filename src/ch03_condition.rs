//! # 03 · Condition — a queue of waiters
//!
//! Needs: ch01, ch02.   Reading time: 9 min.
//! Run it: cargo run --example ch03_condition
//!
//! ## Why
//!
//! A lock knows one piece of news: "free". Most news is about what it protects: "an item came", "the
//! account is full". Who waits for it must put the lock down, so that the news can happen at all,
//! and who brings it wants to say for how many it is. `std::sync::Condvar` promises neither
//! "exactly n" nor "the oldest", and a counter of news does not know whom it was meant for.
//!
//! ## Picture
//!
//! ```text
//! waiter, with the lock              the queue        notifier, with the lock
//! ─────────────────────              ─────────        ───────────────────────
//! (1) takes a ticket ──────────────► 4  5  6  7
//! (2) puts the lock down, sleeps     │  │
//!                                    ▼  ▼     ◄────── (3) notify(2): the oldest
//! (4) wakes: its ticket is gone     4,5 woken             two leave the queue
//!     or: out of time, leaves the queue by itself
//! (5) takes the lock again, once the notifier has put it down
//! ```
//!
//! ## Promises
//!
//! - I1: `notify(n)` wakes the n oldest of those who wait at that moment, or all if they are fewer.
//!   Nobody else: later waiters do not see it, and no wait ends without a notification or its limit.
//! - I2: a wait ends as notified or as out of time, never as both, so no notification is swallowed.
//! - I3: a wait gives the lock up whole, whatever the depth, and has the same depth afterwards.
//! - I4: only who holds the lock can wait or notify, for both take its guard as proof; and the proof
//!   counts only for those who wait with the same lock. One lock may have several conditions.
//! - A notifier goes on undisturbed: the woken return when it has put the lock down (5).
//! - Not promised: that what was notified is still true at (5). `wait_for` looks again.
//!
//! ## The trap
//!
//! Wrong: a waiter whose time is up takes the lock first, and leaves the queue after that. Meanwhile
//! somebody notifies it. It returns "out of time" all the same, the notification is spent, the next
//! waiter sleeps on. CPython's `Condition` does this. Here both sides decide under the mutex of the
//! queue, before (5). The example shows a sister: a counter that lets the notifier eat its own news.
//!
//! ## Elsewhere
//!
//! - std's `Condvar` has no queue and wakes spuriously; its guard brings the data along.
//! - Python's `Condition` brings its own lock and checks that somebody holds it, whoever that is.
//!
//! ## Try
//!
//! 1. Predict: A and B wait, in this order. C calls `notify(1)`, then waits. Who is in the queue?
//! 2. Break: give the ticket after the lock is down, inside `unlocked`. What gets lost, and when?
//! 3. Extend: a bounded buffer with one lock and two conditions, `not_full` and `not_empty`.

use super::ch01_lock::LockGuard;
use super::ch02_rlock::RLockGuard;
use std::collections::BTreeMap;
use std::fmt;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

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
///     ARRIVED.wait_for(&mut guard, || LETTERS.lock().unwrap().pop())
/// });
/// let guard = LOCK.lock();
/// LETTERS.lock().unwrap().push("hello");
/// ARRIVED.notify(&guard, 1);
/// drop(guard);
/// assert_eq!(reader.join().unwrap(), Some("hello"));
/// ```
#[derive(Default)]
pub struct Condition {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next_ticket: u64,
    /// Who waits, by lock and ticket: the waiters of one lock stand together (I4), the oldest first.
    /// Everyone has a bell of its own: to ring it wakes that one and no other (I1).
    bells: BTreeMap<(usize, u64), Arc<Condvar>>,
}

impl Condition {
    /// Makes a condition that nobody waits for.
    pub const fn new() -> Self {
        Condition { queue: Mutex::new(Queue { next_ticket: 0, bells: BTreeMap::new() }) }
    }

    /// Puts the lock down, waits to be notified, takes the lock again.
    ///
    /// # Blocks
    /// Until notified, then until the lock is free.
    pub fn wait(&self, guard: &mut impl Guard) {
        self.sleep(guard, None);
    }

    /// Like [`wait`](Condition::wait), for no longer than `limit`. False: nobody notified this wait.
    ///
    /// # Blocks
    /// Until notified or out of time, then until the lock is free: however long that takes. The lock
    /// is put down even if `limit` is zero; `Duration::MAX` means for ever.
    #[must_use = "the limit may have passed first"]
    pub fn wait_timeout(&self, guard: &mut impl Guard, limit: Duration) -> bool {
        self.sleep(guard, Some(limit))
    }

    /// Asks `predicate`, under the lock, now and after each notification, until the answer is yes.
    /// Gives that answer: `true`, or the `Some(value)` that was found.
    ///
    /// # Blocks
    /// Like [`wait`](Condition::wait), as often as it takes; not at all if the first answer is yes.
    pub fn wait_for<A: Answer>(&self, guard: &mut impl Guard, predicate: impl FnMut() -> A) -> A {
        self.ask(guard, None, predicate)
    }

    /// Like [`wait_for`](Condition::wait_for), for no longer than `limit` in all. Gives the last
    /// answer, asked when the time was up.
    pub fn wait_for_timeout<A: Answer>(
        &self,
        guard: &mut impl Guard,
        limit: Duration,
        predicate: impl FnMut() -> A,
    ) -> A {
        self.ask(guard, Instant::now().checked_add(limit), predicate)
    }

    /// Gives how many it woke.
    ///
    /// # Wakes
    /// The `n` oldest of those who wait now with the lock of this guard.
    pub fn notify(&self, guard: &impl Guard, n: usize) -> usize {
        let lock = guard.lock_address();
        let mut queue = self.queue.lock().unwrap();
        for woken in 0..n {
            let Some((&place, bell)) = queue.bells.range((lock, 0)..=(lock, u64::MAX)).next()
            else {
                return woken;
            };
            bell.notify_one();
            queue.bells.remove(&place); // (3), under the mutex under which (4) looks (I2)
        }
        n
    }

    /// Gives how many it woke.
    ///
    /// # Wakes
    /// All who wait now with the lock of this guard.
    pub fn notify_all(&self, guard: &impl Guard) -> usize {
        self.notify(guard, usize::MAX)
    }

    fn sleep(&self, guard: &mut impl Guard, limit: Option<Duration>) -> bool {
        let (lock, bell) = (guard.lock_address(), Arc::new(Condvar::new()));
        let mut queue = self.queue.lock().unwrap();
        let place = (lock, queue.next_ticket);
        queue.next_ticket += 1;
        queue.bells.insert(place, Arc::clone(&bell));
        drop(queue);
        // (1) comes before (2): from the moment the lock is down somebody may notify, and must find
        // us in the queue. If we are not asleep yet, we find our ticket gone and do not fall asleep.
        // `unlocked` is (2), whole, and (5), to the same depth (I3).
        guard.unlocked(|| {
            let still_queued = |queue: &mut Queue| queue.bells.contains_key(&place);
            let mut queue = self.queue.lock().unwrap();
            queue = match limit {
                None => bell.wait_while(queue, still_queued).unwrap(),
                Some(limit) => bell.wait_timeout_while(queue, limit, still_queued).unwrap().0,
            };
            queue.bells.remove(&place).is_none() // (4): gone already? then this wait was notified (I2)
        })
    }

    fn ask<A: Answer>(
        &self,
        guard: &mut impl Guard,
        deadline: Option<Instant>,
        mut predicate: impl FnMut() -> A,
    ) -> A {
        loop {
            let answer = predicate();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if answer.is_yes() || left == Some(Duration::ZERO) {
                return answer;
            }
            self.sleep(guard, left); // each sleep gets what is left: one deadline for all of them
        }
    }
}

/// What a predicate says: `bool`, or `Option` where yes comes with a value.
pub trait Answer {
    /// Whether the wait is over.
    fn is_yes(&self) -> bool;
}

impl Answer for bool {
    fn is_yes(&self) -> bool {
        *self
    }
}

impl<T> Answer for Option<T> {
    fn is_yes(&self) -> bool {
        self.is_some()
    }
}

/// What a condition needs of a lock: a guard that puts it down whole and takes it again as it was.
///
/// ```compile_fail,E0277
/// # use concurrent_explained::{Condition, Lock};
/// Condition::new().notify(&Lock::new(), 1); // a lock proves nothing, its guard does (I4)
/// ```
pub trait Guard {
    /// Releases the lock at any depth, runs `f`, takes the lock again at the same depth.
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R;

    /// Where the lock is: locks that live at the same time have different addresses.
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

/// Does not block: where another thread is at the queue this very moment, the field is left out.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = self.queue.try_lock().map(|queue| queue.bells.len());
        let mut out = f.debug_struct("Condition");
        let Ok(waiting) = look else { return out.finish_non_exhaustive() };
        out.field("waiting", &waiting).finish()
    }
}
