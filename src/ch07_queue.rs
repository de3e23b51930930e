//! # 07 · Queue — two kinds of waiters, and the end as news
//!
//! Needs: nothing but std.   Reading time: 10 min.
//! Run it: cargo run --example ch07_queue
//!
//! ## Why
//!
//! At a barrier everybody waits for everybody, and nobody hands anything over. Work comes at one
//! pace and is done at another: whoever has work must find whoever is idle, wait when too much lies
//! there already, and say that no more will come.
//!
//! ## Picture
//!
//! ```text
//!   push ──(1)──▶ ┌────────────────────┐ ──(3)──▶ pop
//!   waits for     │ oldest .... newest │     waits for
//!   `room`        └────────────────────┘        `news`
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
//! `push_timeout` and `pop_timeout` answer `TimedOut` where `push` and `pop` go on waiting; `take_all`
//! is a `close_now` that closes nothing.
//!
//! ## Promises
//!
//! - I1: first in, first out; each item leaves once. Which of several poppers gets it is open.
//! - I2: nobody sleeps beside news: while items lie there, every waiting popper has been called, or
//!   as many calls are on their way as there are items. The same for pushers and free places.
//! - I3: never more than `capacity` items.
//! - I4: the end is for ever: nothing enters any more, a refused item goes back to its owner, what
//!   lies there can still be taken, and everybody who waits hears of it.
//! - I5: no item is dropped while the lock is held: the `Drop` of an item may use the queue.
//!
//! ## The trap
//!
//! *Call a popper only when the queue was empty* saves calls and loses one: two poppers sleep, two
//! items arrive before the first popper is awake, one call goes out, and one popper sleeps on
//! beside an item. To call at *every* push is safe, and each call is a system call, several times
//! the cost of the push. Rule (2) calls as often as needed and no more.
//!
//! The other trap: to tell the end by a special item. One popper hears it; the example shows it.
//!
//! ## Elsewhere
//!
//! - std: `mpsc` has one receiver, and ends when the last sender is dropped.
//! - Python: `queue.Queue` with `shutdown` since 3.13; a capacity of 0 means unbounded.
//! - Java: `LinkedBlockingQueue` has no end; everybody invents a special item.
//!
//! ## Try
//!
//! 1. Turn `<=` into `<` in (2). Which is the smallest case that now sleeps for ever?
//! 2. Two queues of 5 with a thread that moves items between them, or one queue of 10: how far
//!    ahead can the pusher run in each?
//! 3. Write `pop_some(&queue, most)`: wait for one item, then take what is there, up to `most`.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;
use std::{fmt, mem};

use self::QueueError::{Closed, Empty, Full, TimedOut, ZeroCapacity};

/// A first-in-first-out queue for any number of pushing and popping threads, which can be closed.
///
/// `for item in &queue` pops until the queue is closed and empty.
///
/// # Examples
/// ```
/// use concurrent_explained::Queue;
///
/// let queue = Queue::bounded(2)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         (1..=5).for_each(|n| queue.push(n).unwrap()); // never more than two ahead
///         queue.close();
///     });
///     assert_eq!(queue.pops().sum::<i32>(), 15);
/// });
/// # Ok::<(), concurrent_explained::QueueError>(())
/// ```
#[doc(alias = "SimpleQueue")]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    /// Poppers wait here for an item, or for the end.
    news: Condvar,
    /// Pushers wait here for a free place, or for the end.
    room: Condvar,
    /// At least 1; `usize::MAX` is unbounded.
    capacity: usize,
}

struct State<T> {
    /// Oldest first.
    items: VecDeque<T>,
    /// Set by `close` and `close_now`, never cleared.
    closed: bool,
    /// Poppers that wait for `news`; one that was called counts until it holds the lock again.
    poppers: usize,
    /// The same for `room`.
    pushers: usize,
}

type Held<'a, T> = MutexGuard<'a, State<T>>;

impl<T> Queue<T> {
    /// A queue that always has room.
    pub const fn unbounded() -> Self {
        let state = State { items: VecDeque::new(), closed: false, poppers: 0, pushers: 0 };
        Self {
            state: Mutex::new(state),
            news: Condvar::new(),
            room: Condvar::new(),
            capacity: usize::MAX,
        }
    }

    /// A queue that holds at most `capacity` items.
    ///
    /// # Errors
    /// [`QueueError::ZeroCapacity`] for 0.
    pub fn bounded(capacity: usize) -> Result<Self, QueueError> {
        let mut queue = Self::unbounded();
        queue.capacity = capacity;
        (capacity > 0).then_some(queue).ok_or(ZeroCapacity)
    }

    /// Adds `item` as the newest.
    ///
    /// # Blocks
    /// While the queue is full, until somebody pops or closes.
    ///
    /// # Wakes
    /// One waiting popper that has not been called yet.
    ///
    /// # Errors
    /// [`QueueError::Closed`] with the item.
    pub fn push(&self, item: T) -> Result<(), Refused<T>> {
        self.store(self.wait_for_room(None), item, Full)
    }

    /// Like [`push`](Self::push), but refuses with [`QueueError::Full`] instead of waiting.
    pub fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        self.store(self.state.lock().unwrap(), item, Full)
    }

    /// Like [`push`](Self::push), but refuses with [`QueueError::TimedOut`] after `limit`.
    pub fn push_timeout(&self, item: T, limit: Duration) -> Result<(), Refused<T>> {
        self.store(self.wait_for_room(Some(limit)), item, TimedOut)
    }

    /// Takes the oldest item; `None` once the queue is closed and empty.
    ///
    /// # Blocks
    /// While the queue is open and empty, until somebody pushes or closes.
    ///
    /// # Wakes
    /// One waiting pusher that has not been called yet.
    pub fn pop(&self) -> Option<T> {
        self.fetch(self.wait_for_news(None), Empty).ok()
    }

    /// Like [`pop`](Self::pop), but answers [`QueueError::Empty`] or `Closed` instead of waiting.
    pub fn try_pop(&self) -> Result<T, QueueError> {
        self.fetch(self.state.lock().unwrap(), Empty)
    }

    /// Like [`pop`](Self::pop), but answers [`QueueError::TimedOut`] after `limit`, or `Closed`.
    pub fn pop_timeout(&self, limit: Duration) -> Result<T, QueueError> {
        self.fetch(self.wait_for_news(Some(limit)), TimedOut)
    }

    /// Takes all items that lie there, oldest first, and does not wait for any.
    ///
    /// # Wakes
    /// All waiting pushers: every place is free.
    pub fn take_all(&self) -> Vec<T> {
        let mut state = self.state.lock().unwrap();
        let (items, call) = (mem::take(&mut state.items), state.pushers > 0);
        drop(state);
        if call {
            self.room.notify_all();
        }
        items.into() // I5: the lock is free again, whatever the caller does with the items
    }

    /// An iterator that [pops](Self::pop): it takes the items out, waits while there are none, and
    /// ends once the queue is closed and empty.
    pub fn pops(&self) -> Pops<'_, T> {
        Pops(self)
    }

    /// Ends the queue: nothing enters any more, what lies there can still be popped. Closing twice
    /// is closing once.
    ///
    /// # Wakes
    /// Everybody: waiting pushers get their item back, waiting poppers hear of the end.
    pub fn close(&self) {
        // I4: written under the lock, so no waiter stands between having seen "open" and sleeping.
        self.state.lock().unwrap().closed = true;
        self.news.notify_all();
        self.room.notify_all();
    }

    /// Ends the queue like [`close`](Self::close), then takes out what is left, oldest first.
    pub fn close_now(&self) -> Vec<T> {
        self.close();
        self.take_all()
    }

    /// How many items lie there. Another thread may change that before the caller looks.
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
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    /// (1) Waits, counted, while the queue is full and open.
    fn wait_for_room(&self, limit: Option<Duration>) -> Held<'_, T> {
        let full = |state: &mut State<T>| state.items.len() == self.capacity && !state.closed;
        let mut state = self.state.lock().unwrap();
        state.pushers += 1;
        state = wait_while(&self.room, state, limit, full);
        state.pushers -= 1;
        state
    }

    /// (3) Waits, counted, while the queue is empty and open.
    fn wait_for_news(&self, limit: Option<Duration>) -> Held<'_, T> {
        let empty = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let mut state = self.state.lock().unwrap();
        state.poppers += 1;
        state = wait_while(&self.news, state, limit, empty);
        state.poppers -= 1;
        state
    }

    /// Stores `item` and calls a popper, or says why not: `full` means "no room".
    fn store(&self, mut state: Held<'_, T>, item: T, full: QueueError) -> Result<(), Refused<T>> {
        let why = if state.closed { Closed } else { full };
        if state.closed || state.items.len() == self.capacity {
            return Err(Refused { item, why }); // I3, I4
        }
        state.items.push_back(item);
        // (2) I2. More items than waiting poppers: the items before this one have called them all.
        // A popper joins the waiters only when nothing lies there, so later ones are not forgotten;
        // one who was called and finds its item gone waits again, and the next item calls again.
        let call = state.items.len() <= state.poppers;
        drop(state); // whoever is called needs the lock
        if call {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Takes the oldest item and calls a pusher, or says why not: `empty` means "no item".
    fn fetch(&self, mut state: Held<'_, T>, empty: QueueError) -> Result<T, QueueError> {
        let why = if state.closed { Closed } else { empty };
        let item = state.items.pop_front().ok_or(why)?;
        // (4) I2 again, with free places for items and pushers for poppers.
        let call = self.capacity - state.items.len() <= state.pushers;
        drop(state);
        if call {
            self.room.notify_one();
        }
        Ok(item)
    }
}

/// [`Condvar::wait_while`], no longer than `limit`; `None` is for ever.
fn wait_while<'a, T>(
    condvar: &Condvar,
    state: Held<'a, T>,
    limit: Option<Duration>,
    blocked: impl FnMut(&mut State<T>) -> bool,
) -> Held<'a, T> {
    match limit {
        None => condvar.wait_while(state, blocked).unwrap(),
        Some(limit) => condvar.wait_timeout_while(state, limit, blocked).unwrap().0,
    }
}

/// Unbounded.
impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::unbounded()
    }
}

impl<'a, T> IntoIterator for &'a Queue<T> {
    type Item = T;
    type IntoIter = Pops<'a, T>;

    fn into_iter(self) -> Pops<'a, T> {
        self.pops()
    }
}

/// Pops until the queue is closed and empty. Made by [`Queue::pops`].
#[derive(Debug, Clone)]
pub struct Pops<'a, T>(&'a Queue<T>);

impl<T> Iterator for Pops<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.pop()
    }
}

/// Never waits and shows no item, only numbers; not even those while another thread is inside.
impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(state) = self.state.try_lock() else {
            return f.write_str("Queue { .. }");
        };
        let (len, closed) = (state.items.len(), state.closed);
        let (poppers, pushers) = (state.poppers, state.pushers);
        drop(state); // writing is foreign code
        let waiting = format_args!("poppers: {poppers}, pushers: {pushers}");
        write!(f, "Queue {{ len: {len}, closed: {closed}, {waiting} }}")
    }
}

/// Why the queue did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueError {
    /// No room at this instant.
    Full,
    /// No item at this instant.
    Empty,
    /// No room, or no item, within the limit.
    TimedOut,
    /// Closed: nothing will be stored again; for a pop also: and nothing is left.
    Closed,
    /// A queue without a place was asked for; its pushers would wait for ever.
    ZeroCapacity,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Full => "the queue is full",
            Empty => "the queue is empty",
            TimedOut => "the limit passed before the queue had room or an item",
            Closed => "the queue is closed",
            ZeroCapacity => "a queue needs room for at least one item",
        })
    }
}

impl Error for QueueError {}

/// An item that was not stored, handed back with the reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// What was to be pushed.
    pub item: T,
    /// [`QueueError::Full`], `TimedOut` or `Closed`.
    pub why: QueueError,
}

/// Shows the reason, not the item, so that `unwrap` works for every `T`.
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

impl<T> Error for Refused<T> {}
