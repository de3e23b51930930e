//! # 04 · Event — a generation counter
//!
//! Needs: nothing but std.   Reading time: 7 min.
//! Run it: cargo run --example ch04_event
//!
//! ## Why
//!
//! A condition frees whoever sleeps at the moment of the notification; a thread that comes a moment
//! later sleeps for ever. "The server is up" is news of another kind: it stays true. An event is
//! news that stays, until somebody clears it.
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
//! - I1: `set` frees every thread that waits at that moment, even if `clear` follows at once.
//! - I2: each `set` begins a new generation, and nothing else does.
//! - I3: `waiting` counts the threads that wait and have not been freed; so it is 0 while set.
//! - `wait_timeout` answers `true` whenever the flag was set between its call and its return.
//! - What a thread did before `set` is seen by every thread that this `set` frees.
//! - Not promised: that the flag is still set when a freed thread runs.
//!
//! ## The trap
//!
//! `while !flag { sleep }` asks the wrong question. A sleeper wakes some time after `set`; if
//! `clear` comes before it holds the lock, it reads "cleared" and sleeps again, although it was
//! called. The example forces it. The right question is not *is it set?* but *has it been set since
//! I came?*, and a counter answers it.
//!
//! ## Elsewhere
//!
//! - std: `OnceLock` is set once and never cleared.
//! - Python: `threading.Event`; set and clear in a row lost waiters until 3.3.
//! - Java: `CountDownLatch` opens once; `Phaser` shows its generations ("phases").
//!
//! ## Try
//!
//! 1. A thread waits in generation 4 and wakes in generation 9. Is it free? What did it miss?
//! 2. Let `wait` ask for the flag instead of the generation. Which test sees it?
//! 3. One thread waits, clears, and looks what is new, again and again. In which order must it
//!    clear and look, so that it misses nothing?

use std::fmt;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A flag that threads can wait for.
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
    /// Everybody waits here for the next generation.
    risen: Condvar,
}

#[derive(Default)]
struct State {
    /// Written by `set` and `clear`.
    set: bool,
    /// I2: how many times `set` was called. At one a nanosecond it lasts 584 years.
    generation: u64,
    /// I3: a waiter adds itself; `set` takes all off, a waiter whose limit passed itself.
    waiting: usize,
}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Self {
        let state = State { set: false, generation: 0, waiting: 0 };
        Self { state: Mutex::new(state), risen: Condvar::new() }
    }

    /// Sets the flag. Setting it again changes nothing that can be seen.
    ///
    /// # Wakes
    /// Every waiting thread.
    pub fn set(&self) {
        let mut state = self.state.lock().unwrap();
        state.set = true;
        state.generation += 1; // I1, I2: from here on every waiter is free, whenever it wakes
        let waiting = std::mem::take(&mut state.waiting);
        drop(state); // the sleepers need the lock
        if waiting > 0 {
            self.risen.notify_all(); // (1)
        }
    }

    /// Clears the flag: later waits block. It takes nothing back from threads already freed.
    pub fn clear(&self) {
        self.state.lock().unwrap().set = false;
    }

    /// Whether the flag is set. Another thread may change that before the caller looks.
    pub fn is_set(&self) -> bool {
        self.state.lock().unwrap().set
    }

    /// Waits for the flag.
    ///
    /// # Blocks
    /// While the flag is not set, until a `set`.
    pub fn wait(&self) {
        self.wait_within(None);
    }

    /// Waits for the flag, no longer than `limit`. Returns whether it was set meanwhile.
    ///
    /// # Blocks
    /// Like [`wait`](Self::wait), at most for `limit`; zero only looks.
    #[must_use = "the limit may have passed first"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.wait_within(Some(limit))
    }

    /// `None` is for ever. Returns whether the flag was set.
    fn wait_within(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.set {
            return true;
        }
        state.waiting += 1;
        let came = state.generation;
        // (2) Not `!state.set`: a `clear` that wins the race for the lock would hide the `set`.
        let not_yet = |state: &mut State| state.generation == came;
        let Some(limit) = limit else {
            drop(self.risen.wait_while(state, not_yet).unwrap());
            return true;
        };
        let (mut state, waited) = self.risen.wait_timeout_while(state, limit, not_yet).unwrap();
        if waited.timed_out() {
            state.waiting -= 1; // decided under the lock: no `set` has counted this thread
        }
        !waited.timed_out()
    }
}

/// Never waits; while another thread is inside, it shows neither flag nor number.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.set, state.waiting));
        let mut shown = f.debug_struct("Event");
        if let Ok((set, waiting)) = seen {
            shown.field("set", &set).field("waiting", &waiting);
        }
        shown.finish_non_exhaustive()
    }
}
