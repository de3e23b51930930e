//! # 04 · Event — a generation counter
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 10 min, exercises not counted |
//! | run it | `cargo run --example ch04_event` |
//! | files | [example](../../../../examples/ch04_event.rs), [test](../../../../tests/ch04_event.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [03](../ch03_condition/index.html), [05](../ch05_semaphore/index.html) |
//!
//! ## Why
//!
//! A notification reaches the threads that wait at that moment; a thread that comes a little later
//! waits for the next one. "The server is up" is news of another kind: it stays true. An event is
//! news that stays until a thread clears it.
//!
//! ## Steps
//!
//! 1. A flag and chapter 03's `Condition`: the whole event in 25 lines, right, and in the example.
//!    A thread that is in the queue when `set` comes is notified, and that alone lets it go on.
//! 2. It stands on three chapters. On nothing but std, a flag and a `Condvar` are not enough: a
//!    `Condvar` may wake a thread for no reason, so a thread that wakes must look, and the flag is
//!    the wrong thing to look at: see the trap.
//! 3. So `set` also counts a **generation**. A thread remembers the generation in which it came,
//!    and goes on when that is over. No queue is needed, and one `notify_all` serves everybody.
//!
//! ## Picture
//!
//! ```text
//!             set         clear      set  clear              time ──▶
//!   flag   ────┏━━━━━━━━━━━┓──────────┏━━━━┓─────────────────────────
//!   generation ┃           ┃          ┃    ┃
//!         0    ┃ 1         ┃          ┃ 2  ┃
//!
//!   A: came in 0, free (1)
//!   B:            came: is set, goes on
//!   C:                 came in 1, free (1) ... wakes: cleared, but 2, goes (2)
//!
//!                        │ set            clear     wait      wait_timeout
//!   ─────────────────────┼────────────────────────────────────────────────────
//!   cleared              │ set            –         waits     waits, or false
//!   cleared, some wait   │ set, all free  –         waits     waits, or false
//!   set                  │ –              cleared   returns   true
//! ```
//!
//! ## Promises
//!
//! - I1. `set` frees every thread that waits at that moment, even if `clear` follows at once.
//! - I2. Each `set` begins a new generation, and nothing else does.
//! - I3. `waiting` counts the threads that wait and have not been freed; so it is 0 while set.
//! - I4. `wait_timeout` answers `true` exactly if the flag was set at some moment of the wait.
//! - What a thread did before `set` is seen by every thread that this `set` frees.
//! - Not promised: that the flag is still set when a freed thread runs.
//!
//! ## The trap
//!
//! `while !flag { sleep }` asks the wrong question. A thread that sleeps on a `Condvar` needs time
//! to wake up and to get the mutex. If `clear` is faster, it reads "cleared" and sleeps again,
//! although it was woken by a `set`. The right question is not *is it set?* but *has it been set
//! since I came?*, and a counter answers it. The shortest schedule that shows it is `1`, to let the
//! waiter go to sleep first: `cargo run --example ch04_event -- 1` replays it, a column for each
//! thread.
//!
//! The event on `Condition` does not have this trap: to be out of the queue already means to have
//! been called, and nothing is left to be asked.
//!
//! ## Elsewhere
//!
//! - std: `OnceLock` is set once and never cleared.
//! - Python: `threading.Event` is a flag and a `Condition`, as in the example.
//! - Java: `CountDownLatch` opens once; `Phaser` shows its generations ("phases").
//!
//! ## Try
//!
//! 1. Predict: a thread waits in generation 4 and wakes in generation 9. Does it go on? How many
//!    sets has it missed?
//! 2. Break: let (2) ask `!state.set`. Which tests see it?
//! 3. Extend: one thread waits, clears, and looks what is new, again and again. In which order must
//!    it clear and look, so that it misses nothing?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, mem};

/// A flag that threads can wait for. Also good to tell long work to stop: it asks
/// [`is_set`](Self::is_set) now and then.
///
/// # Examples
/// ```
/// use concurrent_explained::Event;
///
/// static UP: Event = Event::new();
///
/// let client = std::thread::spawn(|| UP.wait());
/// UP.set();
/// client.join().unwrap();
/// assert!(UP.is_set());
/// ```
#[derive(Default)]
pub struct Event {
    state: Mutex<State>,
    /// Everybody sleeps here until the next generation.
    was_set: Condvar,
}

#[derive(Default)]
struct State {
    /// Written by `set` and `clear`.
    set: bool,
    /// How many times `set` was called (I2). At one a nanosecond it lasts 584 years.
    generation: u64,
    /// A thread that waits adds itself. `set` takes all off, a thread out of time itself (I3).
    waiting: usize,
}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Self {
        let state = State { set: false, generation: 0, waiting: 0 };
        Self { state: Mutex::new(state), was_set: Condvar::new() }
    }

    /// Sets the flag. To set it again changes nothing that can be seen.
    ///
    /// # Wakes
    /// Every waiting thread.
    pub fn set(&self) {
        let mut state = self.state.lock().unwrap();
        state.set = true;
        state.generation += 1; // every thread that waits is free from here on, awake or not (I1)
        let waiting = mem::take(&mut state.waiting);
        drop(state); // the woken threads need the mutex
        // A notification is a system call, even if nobody sleeps.
        if waiting > 0 {
            self.was_set.notify_all(); // (1)
        }
    }

    /// Clears the flag: later waits block. It takes nothing back from threads already freed.
    pub fn clear(&self) {
        self.state.lock().unwrap().set = false;
    }

    /// Whether the flag is set. Another thread may change that before the caller uses it.
    pub fn is_set(&self) -> bool {
        self.state.lock().unwrap().set
    }

    /// Waits for the flag.
    ///
    /// # Blocks
    /// While the flag is not set, until a `set`.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits for the flag, no longer than `limit`. Returns whether it was set meanwhile.
    ///
    /// # Blocks
    /// Like [`wait`](Self::wait), at most for `limit`; zero only looks.
    #[must_use = "the limit may have passed first"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.wait_until(Instant::now().checked_add(limit))
    }

    /// `None`: no deadline. Returns whether the flag was set.
    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.set {
            return true;
        }
        let came_in = state.generation;
        state.waiting += 1;
        // (2) Not `!state.set`: a `clear` that gets the mutex first would hide the `set`.
        while state.generation == came_in {
            if time_left(deadline).is_zero() {
                state.waiting -= 1; // under the mutex: no `set` has taken this thread off (I3)
                return false; // (I4)
            }
            state = self.was_set.wait_timeout(state, time_left(deadline)).unwrap().0;
        }
        true
    }
}

/// How long a wait may go on: without a deadline, longer than any program runs.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

// Plumbing

/// Does not block: while another thread is at the state, the fields are left out.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.set, state.waiting));
        let mut out = f.debug_struct("Event"); // the mutex is free again while `f` writes
        let Ok((set, waiting)) = seen else { return out.finish_non_exhaustive() };
        out.field("set", &set).field("waiting", &waiting).finish()
    }
}
