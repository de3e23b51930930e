//! # 07 · Queue — two kinds of waiters, and closing as news
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 25 min, exercises not counted |
//! | run it | `cargo run --example ch07_queue` |
//! | files | [example](../../../../examples/ch07_queue.rs), [test](../../../../tests/ch07_queue.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [06](../ch06_barrier/index.html), [08](../ch08_oneshot/index.html) |
//!
//! ## Why
//!
//! At a barrier all threads wait for the same news, and nothing changes hands. Work comes at one
//! pace and is done at another. A thread that has work must find an idle one, wait while too much
//! work lies there already, and say that no more will come.
//!
//! ## Steps
//!
//! The example runs the first four steps; the smallest queue stands there in 24 lines.
//!
//! 1. A `VecDeque` in a mutex, **one** condvar, and `notify_one` after each push and each pop. It
//!    hangs, because pushers and poppers sleep at the same condvar: the notification for a
//!    popper can wake a pusher, which finds the queue full and sleeps again. It can hang exactly
//!    when **2 · capacity < pushers + poppers**: a larger queue leaves too few threads to strand
//!    all. The example tries every order of turns for five cases, and `-- 0` replays the shortest
//!    hang.
//! 2. The same with `notify_all` is right, and slow: with 8 poppers asleep, one item wakes all 8,
//!    and 7 of them go back to sleep. An item takes about three times as long.
//! 3. **Two** condvars, one for each kind of waiter: now `notify_one` finds the right kind. But it
//!    is a system call even if nobody sleeps: 450 ns an item with one pusher and one popper.
//! 4. Notify a popper *only when the queue was empty*: fewer notifications, and one of them is
//!    missing (see the trap).
//! 5. Count the waiters, and notify as often as needed: rule (2) below. 160 to 260 ns an item.
//! 6. Look three times before falling asleep: 100 ns an item. And the queue can be closed.
//!
//! ## Picture
//!
//! ```text
//!   push ──(1)──▶ ┌────────────────────┐ ──(3)──▶ pop
//!   waits at      │ oldest .... newest │     waits at
//!   `not_full`    └────────────────────┘     `not_empty`
//!     ▲              at most `capacity`           ▲
//!     └──────(4) a place is free                  │
//!                an item is here (2) ─────────────┘
//!
//!                 │ push       try_push   pop     try_pop  close   close_now
//!   ──────────────┼─────────────────────────────────────────────────────────
//!   open, empty   │ stored     stored     waits   Empty    closes  [], closes
//!   open, some    │ stored     stored     item    item     closes  all, closes
//!   open, full    │ waits      Full       item    item     closes  all, closes
//!   closed, some  │ Closed     Closed     item    item     –       all
//!   closed, empty │ Closed     Closed     None    Closed   –       []
//! ```
//!
//! `push_timeout` and `pop_timeout` answer `TimedOut` where `push` and `pop` go on waiting.
//! `take_all` is a `close_now` that closes nothing.
//!
//! Rule (2), `len <= poppers`, at work. Two poppers sleep, and three items arrive before either is
//! awake. A popper that was notified still counts until it holds the lock:
//!
//! ```text
//!                      len  poppers   len <= poppers   notified, not yet awake
//!   push 1              1      2       yes: notify            1
//!   push 2              2      2       yes: notify            2
//!   push 3              3      2       no                     2
//!   popper A takes 1    2      1                              1
//!   push 4              3      1       no                     1
//!   popper B takes 2    2      0                              0
//! ```
//!
//! ## Promises
//!
//! - I1. First in, first out; each item leaves once.
//! - I2. No popper sleeps beside an item: at least as many notifications are on their way as
//!   there are items, or as there are poppers asleep. The same holds for pushers and free places.
//! - I3. Never more than `capacity` items.
//! - I4. Closing is final: nothing enters any more, a refused item goes back to its owner, what
//!   lies there can still be taken, and every waiting thread wakes.
//! - I5. No item is dropped while the lock is held: the `Drop` of an item may use the queue.
//! - Not promised: which of several poppers gets an item, or an order among pushers.
//!
//! ## The trap
//!
//! *Notify a popper only when the queue was empty.* Two poppers sleep. The first item finds the
//! queue empty and notifies one of them. Before that one is awake, the second item comes, finds the
//! queue not empty, and notifies nobody. One popper takes the first item; the other sleeps beside
//! the second.
//!
//! A second trap is to announce the end by a special item: one popper takes it, and the others
//! wait. The example shows both.
//!
//! ## Elsewhere
//!
//! - std: `mpsc` has one receiver, and ends when the last sender is dropped.
//! - Python: `queue.Queue` has three conditions on one lock, and `shutdown` since 3.13; there a
//!   capacity of 0 means unbounded.
//! - Java: `LinkedBlockingQueue` cannot be closed; programs put a special item at the end.
//!
//! ## Try
//!
//! 1. Predict: two queues of 5 with a thread that moves items from one to the other, or one queue
//!    of 10. How many items can a pusher push before it waits, in each?
//! 2. Break: in (2), notify only when the queue was empty: `state.items.len() == 1`. Which tests
//!    hang, and which do not notice?
//! 3. Extend: write `pop_some(&queue, most)`. It waits for one item, then takes what is there, up
//!    to `most` items in all.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{error, fmt, iter, mem, thread};

use self::QueueError::{Closed, Empty, Full, TimedOut};

/// How often a thread looks before it falls asleep, because to fall asleep and to be woken costs
/// thousands of nanoseconds. One pusher, one popper, capacity 64, ns an item: 0 looks 160 to 260,
/// 1 look 260, 2 looks 230, 3 looks 100, 10 looks 100. crossbeam-channel in the same runs: 120.
const LOOKS: usize = 3;

/// A first-in-first-out queue for any number of pushing and popping threads, which can be closed.
///
/// `for item in queue.pops()` pops until the queue is closed and empty.
///
/// # Examples
/// ```
/// use concurrent_explained::Queue;
///
/// let queue = Queue::bounded(2);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         (1..=5).for_each(|n| queue.push(n).unwrap()); // never more than two ahead
///         queue.close();
///     });
///     assert_eq!(queue.pops().sum::<i32>(), 15);
/// });
/// ```
#[doc(alias("SimpleQueue", "maxsize", "qsize", "shutdown", "ShutDown"))]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    /// Poppers sleep here until an item comes or the queue is closed.
    not_empty: Condvar,
    /// Pushers sleep here until a place is free or the queue is closed.
    not_full: Condvar,
    /// At least 1; `usize::MAX` is unbounded.
    capacity: usize,
}

struct State<T> {
    /// Oldest first.
    items: VecDeque<T>,
    /// Set by `close` and `close_now`, never cleared.
    closed: bool,
    /// Poppers at `not_empty`. One that was notified counts until it holds the lock again.
    poppers: usize,
    /// Pushers at `not_full`, counted in the same way.
    pushers: usize,
}

type Held<'a, T> = MutexGuard<'a, State<T>>;

impl<T> Queue<T> {
    /// A queue that is never full.
    pub const fn unbounded() -> Self {
        Self::bounded(usize::MAX)
    }

    /// A queue that holds at most `capacity` items.
    ///
    /// # Panics
    /// If `capacity` is 0: every push would wait.
    #[track_caller]
    pub const fn bounded(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue needs a capacity of at least 1");
        let state = State { items: VecDeque::new(), closed: false, poppers: 0, pushers: 0 };
        let (not_empty, not_full) = (Condvar::new(), Condvar::new());
        Self { state: Mutex::new(state), not_empty, not_full, capacity }
    }

    /// Adds `item` as the newest.
    ///
    /// # Blocks
    /// While the queue is full, until another thread pops or closes.
    ///
    /// # Wakes
    /// One waiting popper that has not been notified yet.
    ///
    /// # Errors
    /// [`QueueError::Closed`] with the item.
    #[doc(alias("put", "put_nowait"))]
    pub fn push(&self, item: T) -> Result<(), Refused<T>> {
        self.store(self.wait_for_place(None), item, TimedOut)
    }

    /// Like [`push`](Self::push), but refuses with [`QueueError::Full`] instead of waiting.
    pub fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        self.store(self.state.lock().unwrap(), item, Full)
    }

    /// Like [`push`](Self::push), but refuses with [`QueueError::TimedOut`] after `limit`.
    pub fn push_timeout(&self, item: T, limit: Duration) -> Result<(), Refused<T>> {
        self.store(self.wait_for_place(Instant::now().checked_add(limit)), item, TimedOut)
    }

    /// Takes the oldest item; `None` once the queue is closed and empty.
    ///
    /// # Blocks
    /// While the queue is open and empty, until another thread pushes or closes.
    ///
    /// # Wakes
    /// One waiting pusher that has not been notified yet.
    #[doc(alias("get", "get_nowait"))]
    pub fn pop(&self) -> Option<T> {
        self.fetch(self.wait_for_item(None), TimedOut).ok()
    }

    /// Like [`pop`](Self::pop), but answers [`QueueError::Empty`] or `Closed` instead of waiting.
    pub fn try_pop(&self) -> Result<T, QueueError> {
        self.fetch(self.state.lock().unwrap(), Empty)
    }

    /// Like [`pop`](Self::pop), but answers [`QueueError::TimedOut`] after `limit`, or `Closed`.
    pub fn pop_timeout(&self, limit: Duration) -> Result<T, QueueError> {
        self.fetch(self.wait_for_item(Instant::now().checked_add(limit)), TimedOut)
    }

    /// Takes all items that lie there, oldest first, and does not wait for any.
    ///
    /// # Wakes
    /// All waiting pushers: every place is free.
    pub fn take_all(&self) -> Vec<T> {
        let mut state = self.state.lock().unwrap();
        let (items, pushers) = (mem::take(&mut state.items), state.pushers);
        drop(state); // (I5) and the woken need the lock
        if pushers > 0 {
            self.not_full.notify_all(); // (I2) as many as there are free places, or pushers
        }
        items.into()
    }

    /// An iterator that [pops](Self::pop): it takes the items out, waits while there are none, and
    /// ends once the queue is closed and empty.
    pub fn pops(&self) -> impl Iterator<Item = T> + '_ {
        iter::from_fn(|| self.pop())
    }

    /// Closes the queue: nothing enters any more, what lies there can still be popped. To close
    /// twice is to close once.
    ///
    /// # Wakes
    /// Every waiting thread: pushers get their item back, poppers find the end.
    pub fn close(&self) {
        // (I4) Written under the lock: without it, a thread that has seen "open" and is about to
        // sleep would miss both notifications below.
        self.state.lock().unwrap().closed = true;
        self.not_empty.notify_all();
        self.not_full.notify_all();
    }

    /// Closes the queue like [`close`](Self::close), then takes out what is left, oldest first.
    pub fn close_now(&self) -> Vec<T> {
        self.close();
        self.take_all() // nothing can enter between these two lines
    }

    /// How many items lie there. Another thread may change that before the caller uses it.
    pub fn len(&self) -> usize {
        self.state.lock().unwrap().items.len()
    }

    /// Whether no item lies there. As short-lived as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue was closed. `true` stays true.
    pub fn is_closed(&self) -> bool {
        self.state.lock().unwrap().closed
    }

    /// How many items fit; `None` for an unbounded queue.
    pub fn capacity(&self) -> Option<usize> {
        Some(self.capacity).filter(|&capacity| capacity != usize::MAX)
    }

    /// (1) Waits while the queue is full and open. `None`: no deadline.
    fn wait_for_place(&self, deadline: Option<Instant>) -> Held<'_, T> {
        let must_wait = |state: &State<T>| state.items.len() == self.capacity && !state.closed;
        let mut state = self.look(must_wait);
        // Counted before the lock is given up: a pop that comes next must know of this thread.
        state.pushers += 1;
        while must_wait(&state) && !time_left(deadline).is_zero() {
            state = self.not_full.wait_timeout(state, time_left(deadline)).unwrap().0;
        }
        state.pushers -= 1;
        state
    }

    /// (3) Waits while the queue is empty and open. `None`: no deadline.
    fn wait_for_item(&self, deadline: Option<Instant>) -> Held<'_, T> {
        let must_wait = |state: &State<T>| state.items.is_empty() && !state.closed;
        let mut state = self.look(must_wait);
        state.poppers += 1;
        while must_wait(&state) && !time_left(deadline).is_zero() {
            state = self.not_empty.wait_timeout(state, time_left(deadline)).unwrap().0;
        }
        state.poppers -= 1;
        state
    }

    /// Looks [`LOOKS`] times whether the wait can be spared, then locks. A thread that looks is not
    /// counted as a waiter, and need not be: it looks once more under the lock before it sleeps.
    fn look(&self, must_wait: impl Fn(&State<T>) -> bool) -> Held<'_, T> {
        for _ in 0..LOOKS {
            // Not `lock`: to queue for a mutex that is taken means to sleep, too.
            let seen = self.state.try_lock().ok().filter(|state| !must_wait(state));
            if let Some(state) = seen {
                return state;
            }
            thread::yield_now();
        }
        self.state.lock().unwrap()
    }

    /// Stores `item` and notifies a popper, or says why not: `full` if there is no place.
    fn store(&self, mut state: Held<'_, T>, item: T, full: QueueError) -> Result<(), Refused<T>> {
        let why = if state.closed { Closed } else { full };
        if state.closed || state.items.len() == self.capacity {
            return Err(Refused { item, why }); // (I3) (I4)
        }
        state.items.push_back(item); // (I1)
        // (2) With more items than waiting poppers, the items before this one have notified all
        // of them. A popper that is notified and finds its item gone sleeps again, still counted:
        // the next item notifies again (I2). `<` would never notify the last sleeping popper.
        let notifies = state.items.len() <= state.poppers;
        drop(state); // the woken thread needs the lock
        if notifies {
            self.not_empty.notify_one();
        }
        Ok(())
    }

    /// Takes the oldest item and notifies a pusher, or says why not: `empty` if there is no item.
    fn fetch(&self, mut state: Held<'_, T>, empty: QueueError) -> Result<T, QueueError> {
        let why = if state.closed { Closed } else { empty };
        let item = state.items.pop_front().ok_or(why)?;
        // (4) Rule (2) with free places for items and pushers for poppers (I2).
        let notifies = self.capacity - state.items.len() <= state.pushers;
        drop(state);
        if notifies {
            self.not_full.notify_one();
        }
        Ok(item) // (I5) the lock is free, whatever the caller does with the item
    }
}

/// How long a wait may go on: without a deadline, longer than any program runs.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

/// Why the queue did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueError {
    /// No free place at this instant.
    Full,
    /// No item at this instant.
    Empty,
    /// No free place, or no item, within the limit.
    TimedOut,
    /// Closed: nothing will be stored again; for a pop also: and nothing is left.
    Closed,
}

/// An item that was not stored, handed back with the reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// What was to be pushed.
    pub item: T,
    /// [`QueueError::Full`], `TimedOut` or `Closed`.
    pub why: QueueError,
}

// Plumbing

/// Does not block and shows no item. While another thread is at the state, the fields are left out.
impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|s| (s.items.len(), s.closed, s.poppers, s.pushers));
        let Ok((len, closed, poppers, pushers)) = seen else { return f.write_str("Queue { .. }") };
        write!(
            f,
            "Queue {{ len: {len}, closed: {closed}, poppers: {poppers}, pushers: {pushers} }}"
        )
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Full => "the queue is full",
            Empty => "the queue is empty",
            TimedOut => "the limit passed before the queue had a free place or an item",
            Closed => "the queue is closed",
        })
    }
}

impl error::Error for QueueError {}

/// Shows the reason, not the item, so that `unwrap` works with any `T`.
impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?})", self.why)
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item refused: {}", self.why)
    }
}

impl<T> error::Error for Refused<T> {}
