//! # 08 · Oneshot — one value, once, or the news that there will be none
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 9 min, exercises not counted |
//! | run it | `cargo run --example ch08_oneshot` |
//! | files | [example](../../../../examples/ch08_oneshot.rs), [test](../../../../tests/ch08_oneshot.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [07](../ch07_queue/index.html), [09](../ch09_outcome/index.html) |
//!
//! ## Why
//!
//! A queue carries values one way, and a thread that pushes owes nobody an answer. A thread that
//! asks a question waits for one thing: the answer, or the news that there will be none. A promise
//! of one value is the smallest future, and the second half of it is the harder one.
//!
//! ## Steps
//!
//! 1. `Mutex<Option<T>>` and a `Condvar`: the reader sleeps until the value is there. Fails because
//!    a writer that panics or returns early never writes, and its reader sleeps on; so the end of
//!    the writer must be an event. (The example has this version, complete.)
//! 2. A box that is filled once, as in chapter 06: with the value, or with the news that there will
//!    be none. A [`Sender`] fills it when it is dropped: a `return`, a `?` and a panic all drop
//!    what they leave. Fails because the reader may leave first, and the writer believes that its
//!    value was read.
//! 3. The end of the reader wakes nobody, as a writer never waits. So it need not be an event:
//!    [`Sender::send`] asks whether its handle is the last one, and then gives the value back.
//!
//! ## Picture
//!
//! ```text
//!   Sender ─(1) send──▶ ┌─────────────────────────────┐ ──(3) recv─▶ Receiver
//!      │                │ None, then filled once:     │
//!      └──(2) drop────▶ │ Some(Some(value)) or        │
//!                       │ Some(None), "there is none" │
//!                       └─────────────────────────────┘
//!
//!                │ empty               │ the value         │ "there is none"
//!   ─────────────┼─────────────────────┼───────────────────┼─────────────────
//!   send         │ stores the value, or│ –                 │ –
//!                │ gives it back: the  │                   │
//!                │ receiver is gone    │                   │
//!   sender drops │ "there is none"     │ –                 │ –
//!   recv         │ waits               │ takes it          │ None
//!   recv_timeout │ waits, then gives   │ takes it          │ None
//!                │ the receiver back   │                   │
//!   is_ready     │ false               │ true              │ true
//! ```
//!
//! ## Promises
//!
//! - I1. A value that was sent comes out once, or is dropped once.
//! - I2. No reader waits in vain: once the sender is gone, by whatever way, `recv` returns.
//! - I3. A value for which the receiver is already gone comes back out of `send`.
//! - I4. The value is never dropped while the lock is held: its `Drop` may do what it likes.
//! - Not promised: that a value sent with `Ok` is read; the receiver can still be dropped. And an
//!   end that is forgotten (`mem::forget`) is never dropped, so it never counts as gone.
//!
//! ## The trap
//!
//! *The writer writes at its end* forgets all its other ends. In the example a thread panics before
//! it writes, and its reader would sleep until the program is killed. Every schedule ends like
//! that; `cargo run --example ch08_oneshot -- 0` replays the first one. To say "I am gone" by hand
//! before each `return` misses the panics, and the next `?` that somebody adds. `Drop` sees all
//! three.
//!
//! ## Elsewhere
//!
//! - std: `mpsc::channel` can do it, and more; `JoinHandle::join` is a oneshot of a whole thread.
//! - tokio and futures: `oneshot::channel`, with the same two ends, for readers that are `async`.
//! - Python and Java: one object is both ends, so a writer that leaves without a word is no event.
//!
//! ## Try
//!
//! 1. Predict: the receiver is dropped while the value lies there unread. Which thread runs the
//!    value's `Drop`?
//! 2. Break: in the drop of [`Sender`], remove the line that fills the box. Which tests are red,
//!    though the notification still comes?
//! 3. Extend: write `race(questions)`, which runs each closure on a thread of its own and returns
//!    the first answer, or `None` if all of them panic. One sender is enough.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Two ends of one value: what is sent at the first comes out at the second.
///
/// # Examples
/// ```
/// use concurrent_explained::oneshot;
///
/// let (sender, receiver) = oneshot();
/// std::thread::spawn(move || sender.send(6 * 7));
/// assert_eq!(receiver.recv(), Some(42));
///
/// let (sender, receiver) = oneshot::<i32>();
/// std::thread::spawn(move || drop(sender));
/// assert_eq!(receiver.recv(), None); // there will be none
/// ```
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared { filling: Mutex::new(None), filled: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

struct Shared<T> {
    /// `None` while the box is empty. Then the value, or `Some(None)`: there will be none. A value
    /// that nobody takes is dropped with the last end (I1), when no lock is left to be held (I4).
    filling: Mutex<Option<Option<T>>>,
    /// The receiver waits here, alone: `notify_one` is enough.
    filled: Condvar,
}

/// The writing end. Dropped without a value, it tells the reader that there will be none.
///
/// # Examples
/// It is used up by what it sends: there is no second value.
///
/// ```compile_fail,E0382
/// let (sender, receiver) = concurrent_explained::oneshot();
/// sender.send(1).unwrap();
/// sender.send(2).unwrap(); // error: use of moved value
/// ```
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Hands `value` to the receiver.
    ///
    /// # Wakes
    /// The receiver, if it waits.
    ///
    /// # Errors
    /// The value, if the receiver is gone: nobody will read it.
    pub fn send(self, value: T) -> Result<(), T> {
        if Arc::strong_count(&self.0) == 1 {
            return Err(value); // (I3) only this handle is left
        }
        *self.0.filling.lock().unwrap() = Some(Some(value)); // (1)
        Ok(()) // `self` is dropped here, and that wakes the reader
    }
}

/// (2) The one way out: what returns, what fails and what panics comes by here (I2).
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // Under the lock, or this could fall between the reader's look and its sleep: then the
        // notification would find nobody asleep, and no other follows. What was sent stays.
        self.0.filling.lock().unwrap().get_or_insert(None);
        self.0.filled.notify_one(); // the lock is free: the guard lived as long as the line above
    }
}

/// The reading end.
///
/// # Examples
/// ```
/// use concurrent_explained::oneshot;
/// use std::time::Duration;
///
/// let (sender, receiver) = oneshot();
/// let receiver = receiver.recv_timeout(Duration::ZERO).unwrap_err(); // nothing yet
/// sender.send("news").unwrap();
/// assert!(receiver.is_ready());
/// assert_eq!(receiver.recv_timeout(Duration::MAX).unwrap(), Some("news"));
/// ```
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Waits for the value; `None` if there will be none.
    ///
    /// # Blocks
    /// Until the sender has sent the value, or is gone.
    pub fn recv(self) -> Option<T> {
        self.recv_timeout(Duration::MAX).expect("without a limit, only the sender ends the wait")
    }

    /// Like [`recv`](Receiver::recv), but gives the receiver back once `limit` has passed. Zero
    /// asks without waiting.
    ///
    /// # Blocks
    /// At most that long.
    ///
    /// # Errors
    /// The receiver, if neither the value nor the end of the sender came in time.
    pub fn recv_timeout(self, limit: Duration) -> Result<Option<T>, Self> {
        let deadline = Instant::now().checked_add(limit); // `None`: later than any clock will say
        let mut filling = self.0.filling.lock().unwrap();
        while filling.is_none() {
            let left = deadline.map_or(limit, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                drop(filling);
                return Err(self);
            }
            filling = self.0.filled.wait_timeout(filling, left).unwrap().0;
        }
        Ok(filling.take().flatten()) // (3)
    }

    /// Whether [`recv`](Receiver::recv) would return at once. Once true, it stays true.
    pub fn is_ready(&self) -> bool {
        self.0.filling.lock().unwrap().is_some()
    }
}

// Plumbing

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver { .. }")
    }
}
