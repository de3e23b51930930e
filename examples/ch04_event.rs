//! Three times the same: three threads wait, then the event is set and cleared at once. Look at how
//! many go on. The smallest event is right; the second is one line away from it.
//!
//! Expected output:
//!
//! ```text
//! three threads wait, then set and clear follow each other at once:
//!   SmallEvent, a flag and a Condition:  3 go on, 0 sleep on
//!   a flag and a Condvar:        (wrong) 0 go on, 3 sleep on
//!   Event, with a generation:            3 go on, 0 sleep on
//! four runners wait for the start: 0 run before `set`, 4 after it
//! ```
//!
//! `cargo run --example ch04_event -- 1` replays the wrong one on the schedule `1`; try others.

extern crate self as std;
extern crate std as real;
pub use concurrent_explained::ch31_schedules::{sync, thread, time};
pub use real::*;

use concurrent_explained::ch31_schedules::replay;
use concurrent_explained::{Condition, Event, Lock};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::thread::{scope, yield_now};
use std::time::{Duration, Instant};

// --- the smallest event, complete ----------------------------------------------------------------

#[derive(Default)]
struct SmallEvent {
    lock: Lock,
    is_set: AtomicBool, // read and written under the lock
    changed: Condition,
}

impl SmallEvent {
    fn set(&self) {
        let guard = self.lock.lock();
        self.is_set.store(true, SeqCst);
        self.changed.notify_all(&guard);
    }

    fn clear(&self) {
        let _guard = self.lock.lock();
        self.is_set.store(false, SeqCst);
    }

    /// `if` is right here: this wait ends with a notification, and only `set` notifies.
    fn wait(&self) {
        let mut guard = self.lock.lock();
        if !self.is_set.load(SeqCst) {
            self.changed.wait(&mut guard);
        }
    }
}

// --- the mistake: a Condvar wakes without a reason, so this one looks at the flag ----------------

#[derive(Default)]
struct FlagEvent {
    state: Mutex<(bool, usize)>, // the flag, and how many threads have come to wait for it
    changed: Condvar,
}

impl FlagEvent {
    fn set(&self) {
        self.state.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    fn clear(&self) {
        self.state.lock().unwrap().0 = false;
    }

    fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// What happens if `clear` is faster than all the threads that `set` wakes.
    fn set_and_clear(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        self.changed.notify_all();
        state.0 = false;
    }
}

/// B waits. A sets, and clears only if B was waiting by then: B should go on in any case.
fn set_then_clear() {
    let event = FlagEvent::default();
    scope(|threads| {
        threads.spawn(|| event.wait());
        let is_waiting = event.state.lock().unwrap().1 == 1;
        event.set();
        if is_waiting {
            event.clear();
        }
    });
}

// --- the story -----------------------------------------------------------------------------------

/// Three threads wait. How many go on within `limit` of `set_and_clear`; `rescue` frees the rest.
fn go_on(
    limit: Duration,
    wait: impl Fn() + Sync,
    waiting: impl Fn() -> usize,
    set_and_clear: impl Fn(),
    rescue: impl Fn(),
) -> usize {
    let awake = AtomicUsize::new(0);
    scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                wait();
                awake.fetch_add(1, SeqCst);
            });
        }
        while waiting() < 3 {
            yield_now();
        }
        set_and_clear();
        let start = Instant::now();
        while awake.load(SeqCst) < 3 && start.elapsed() < limit {
            yield_now();
        }
        let awake = awake.load(SeqCst);
        rescue();
        awake
    })
}

/// How many threads the `Debug` of a primitive shows as waiting; 0 while one is inside.
fn shown(primitive: &impl fmt::Debug) -> usize {
    let text = format!("{primitive:?}");
    let digit = text.split("waiting: ").nth(1).and_then(|rest| rest.chars().next());
    digit.and_then(|digit| digit.to_digit(10)).unwrap_or(0) as usize
}

fn tell(out: &mut impl Write) -> io::Result<()> {
    const LONG: Duration = Duration::from_secs(10); // never reached: all go on
    const SHORT: Duration = Duration::from_millis(100);
    writeln!(out, "three threads wait, then set and clear follow each other at once:")?;
    let small = SmallEvent::default();
    let pulse = || (small.set(), small.clear()).0;
    let n = go_on(LONG, || small.wait(), || shown(&small.changed), pulse, || small.set());
    writeln!(out, "  SmallEvent, a flag and a Condition:  {n} go on, {} sleep on", 3 - n)?;

    let flag = FlagEvent::default();
    let come = || flag.state.lock().unwrap().1;
    let pulse = || {
        thread::park_timeout(SHORT); // all have come, but perhaps not all sleep
        flag.set_and_clear();
    };
    let n = go_on(SHORT, || flag.wait(), come, pulse, || flag.set());
    writeln!(out, "  a flag and a Condvar:        (wrong) {n} go on, {} sleep on", 3 - n)?;

    let event = Event::new();
    let pulse = || (event.set(), event.clear()).0;
    let n = go_on(LONG, || event.wait(), || shown(&event), pulse, || event.set());
    writeln!(out, "  Event, with a generation:            {n} go on, {} sleep on", 3 - n)?;

    let (start, running) = (Event::new(), AtomicUsize::new(0));
    let before = scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                start.wait();
                running.fetch_add(1, SeqCst);
            });
        }
        while shown(&start) < 4 {
            yield_now();
        }
        let before = running.load(SeqCst);
        start.set();
        before
    });
    let after = running.into_inner();
    writeln!(out, "four runners wait for the start: {before} run before `set`, {after} after it")
}

fn main() {
    // A reader that has closed its end has read enough: no error.
    let _ = match env::args().nth(1) {
        Some(schedule) => writeln!(io::stdout(), "{}", replay(&schedule, set_then_clear)),
        None => tell(&mut io::stdout().lock()),
    };
}
