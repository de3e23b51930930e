//! Rounds that overlap, and a round with two outcomes: look at how many schedules show it. Then the
//! chapter's barrier, in three rounds, and broken by a thread with a short limit.
//!
//! Expected output:
//!
//! ```text
//! two threads, two rounds, every schedule with at most two preemptions:
//!   one counter for all rounds:   (wrong) in 11 of 16, a fast thread laps a slow one, both sleep
//!   SmallBarrier, a generation:   in 0 of 20
//! a round passes, and one of its threads aborts the barrier:
//!   SmallBarrier with a flag:     (wrong) in 6 of 15, the other thread reads "broken"
//! Barrier, round 1: all 3 have drawn
//! Barrier, round 2: all 3 have drawn
//! Barrier, round 3: all 3 have drawn
//! Barrier for 3, where only 2 come, the second for 10 ms:
//!   the first:      the barrier broke: another thread's limit passed
//!   the second:     the limit passed before all had arrived
//!   a third, later: the barrier broke: another thread's limit passed
//!   after `reset`:  three threads meet
//! ```
//!
//! `cargo run --example ch06_barrier -- 0` replays the overlap on its shortest schedule.

extern crate self as std;
extern crate std as real;
pub use concurrent_explained::ch31_schedules::{sync, thread, time};
pub use real::*;

use concurrent_explained::Barrier;
use concurrent_explained::ch31_schedules::{End, Limits, Outcome, explore, replay};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{scope, yield_now};
use std::time::Duration;

// --- the smallest barrier, complete --------------------------------------------------------------

struct SmallBarrier {
    parties: usize,
    state: Mutex<State>,
    all_here: Condvar,
}

#[derive(Default)]
struct State {
    arrived: usize,
    generation: u64,
    is_broken: bool, // only for the second mistake
}

impl SmallBarrier {
    fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        let came_in = state.generation;
        state.arrived += 1;
        if state.arrived == self.parties {
            state.arrived = 0;
            state.generation += 1;
            self.all_here.notify_all();
        }
        while state.generation == came_in {
            state = self.all_here.wait(state).unwrap();
        }
    }
}

// --- two mistakes --------------------------------------------------------------------------------

impl SmallBarrier {
    fn new(parties: usize) -> Self {
        SmallBarrier { parties, state: Mutex::default(), all_here: Condvar::new() }
    }

    /// Wrong: asks for the count, which already belongs to the next round.
    fn wait_by_counter(&self) {
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        if state.arrived == self.parties {
            state.arrived = 0;
            self.all_here.notify_all();
        }
        while state.arrived > 0 {
            state = self.all_here.wait(state).unwrap();
        }
    }

    /// Wrong: the round has ended, but how? The flag says what has become of the barrier since.
    fn wait_unless_broken(&self) -> bool {
        self.wait();
        !self.state.lock().unwrap().is_broken
    }

    /// (It need not free the threads that wait: here none does when it is called.)
    fn abort(&self) {
        self.state.lock().unwrap().is_broken = true;
    }
}

/// A and B meet twice.
fn two_rounds(wait: fn(&SmallBarrier)) {
    let barrier = SmallBarrier::new(2);
    let twice = || (0..2).for_each(|_| wait(&barrier));
    scope(|threads| {
        threads.spawn(twice);
        twice();
    });
}

fn two_rounds_by_counter() {
    two_rounds(SmallBarrier::wait_by_counter);
}

/// A and B meet; then A aborts. Whether both were told the same of the round in which they met.
fn met_then_aborted() -> bool {
    let barrier = SmallBarrier::new(2);
    scope(|threads| {
        let other = threads.spawn(|| barrier.wait_unless_broken());
        let passed = barrier.wait_unless_broken();
        barrier.abort();
        other.join().unwrap() == passed
    })
}

// --- the story -----------------------------------------------------------------------------------

fn tell(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "two threads, two rounds, every schedule with at most two preemptions:")?;
    let report = explore(Limits::preemptions(2), two_rounds_by_counter);
    let (some, all) = (report.failures(), report.schedules);
    write!(out, "  one counter for all rounds:   (wrong) in {some} of {all}, ")?;
    writeln!(out, "a fast thread laps a slow one, both sleep")?;
    let report = explore(Limits::preemptions(2), || two_rounds(SmallBarrier::wait));
    let (none, all) = (report.failures(), report.schedules);
    writeln!(out, "  SmallBarrier, a generation:   in {none} of {all}")?;
    writeln!(out, "a round passes, and one of its threads aborts the barrier:")?;
    let report = explore(Limits::preemptions(2), met_then_aborted);
    let differ = |outcome: &&Outcome| outcome.end == End::Returned("false".to_owned());
    let some = report.outcomes.iter().find(differ).map_or(0, |outcome| outcome.count);
    let all = report.schedules;
    write!(out, "  SmallBarrier with a flag:     (wrong) in {some} of {all}, ")?;
    writeln!(out, "the other thread reads \"broken\"")?;

    let (drawn, lines) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let barrier = Barrier::new(3).with_action({
        let (drawn, lines) = (Arc::clone(&drawn), Arc::clone(&lines));
        move || {
            let (drawn, mut lines) = (drawn.swap(0, SeqCst), lines.lock().unwrap());
            let round = lines.len() + 1;
            lines.push(format!("Barrier, round {round}: all {drawn} have drawn"));
        }
    });
    scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for _ in 0..3 {
                    drawn.fetch_add(1, SeqCst);
                    barrier.wait().unwrap();
                }
            });
        }
    });
    writeln!(out, "{}", lines.lock().unwrap().join("\n"))?;

    let barrier = Barrier::new(3);
    let (first, second) = scope(|threads| {
        let first = threads.spawn(|| barrier.wait().unwrap_err());
        while barrier.waiting() == 0 {
            yield_now();
        }
        let second = barrier.wait_timeout(Duration::from_millis(10)).unwrap_err();
        (first.join().unwrap(), second)
    });
    writeln!(out, "Barrier for 3, where only 2 come, the second for 10 ms:")?;
    writeln!(out, "  the first:      {first}")?;
    writeln!(out, "  the second:     {second}")?;
    writeln!(out, "  a third, later: {}", barrier.wait().unwrap_err())?;
    barrier.reset();
    let all_meet = scope(|threads| {
        let others = [(); 2].map(|()| threads.spawn(|| barrier.wait().is_ok()));
        barrier.wait().is_ok() && others.map(|other| other.join().unwrap()) == [true; 2]
    });
    let outcome = if all_meet { "three threads meet" } else { "they do not meet" };
    writeln!(out, "  after `reset`:  {outcome}")
}

fn main() {
    // A reader that has closed its end has read enough: no error.
    let _ = match env::args().nth(1) {
        Some(schedule) => writeln!(io::stdout(), "{}", replay(&schedule, two_rounds_by_counter)),
        None => tell(&mut io::stdout().lock()),
    };
}
