//! # 31 · Schedules — a test is one schedule; here are all of them
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 65 min, exercises not counted |
//! | run it | `cargo run --example ch31_schedules` |
//! | files | [example](../../../../examples/ch31_schedules.rs), [test](../../../../tests/ch31_schedules.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [30](../ch30_remote/index.html), [32](../ch32_measure/index.html) |
//!
//! ## Why
//!
//! Two threads that load and store a number have six orders, and four of them lose an addition. A
//! test sees one order, on most days the same one. The lost wake-up of chapter 01 needs one order
//! of 23, or another four like it; a million runs may miss them all. So here a program decides who
//! goes on, at each step, and tries every order. What it finds, it can show again.
//!
//! ## Steps
//!
//! 1. *A baton* (`baton.rs`). Real threads, of which one has the baton and runs; the others are
//!    asleep. Before each visible step (a lock, a load, a notification) the thread that runs asks
//!    who goes on, and passes the baton. Fails because the same program then always runs the same.
//! 2. *A stack of choices* (`choices.rs`, and `state.rs`, which knows the ways to go on). Where two
//!    threads can go on, there is a choice. A run writes its choices on a stack. The next run makes
//!    the same ones, up to the last that has another way left, and takes that: a walk through a
//!    tree, depth first. The digits of the stack are the schedule, `101`, and the same digits give
//!    the same run. Fails because a real lock stops a thread that has the baton, and then nobody
//!    runs.
//! 3. *A lock* (`lock.rs`). A list says which are taken. A thread that finds its lock on the list
//!    gives the baton away, and can go on once it is off. If nobody can go on, that is a deadlock,
//!    and what the threads wait for is its story. They stay asleep: to unwind them would run code
//!    that was not written for it.
//! 4. *A condvar* (`condvar.rs`). To let go of the mutex and to sleep is one step. Which sleeper
//!    `notify_one` wakes is a choice, and so is a wake-up for nothing. Fails because a wait with a
//!    limit needs to know what time it is.
//! 5. *A clock* (`clock.rs`). It stands still. That a limit runs out is a choice, and moves it. If
//!    nobody can go on but somebody sleeps with a limit, time passes by itself.
//!
//! The tree of a real program is large. [`Limits`] bounds how often a thread that could go on must
//! let another go first: most faults need one or two such preemptions. For the rest there are
//! random walks, with a seed. The other files give std's names to all this, and can be skimmed:
//! `threads.rs`, `channel.rs` and `atomic.rs` repeat std's signatures, `report.rs` and `story.rs`
//! say what was seen. So a chapter is explored as it stands: two `extern crate` lines make
//! `std::sync` mean [`sync`]:
//!
//! ```
//! // At the root of a test or an example, before all else.
//! extern crate self as std; // from here on `std::…` means this crate,
//! extern crate std as real;
//! use real::*; // which is std,
//! use concurrent_explained::ch31_schedules::{sync, thread, time}; // but for these names.
//! # fn main() {
//! let _: (std::sync::Mutex<()>, std::time::Duration) = Default::default();
//! # thread::yield_now();
//! # }
//! ```
//!
//! ## Picture
//!
//! ```text
//!   A, which has the baton       what all know              B, asleep
//!   ──────────────────────       ─────────────              ─────────
//!   (1) is about to lock ──────▶ (2) A, B and C could
//!                                    go on: a choice
//!                                (3) the stack of choices
//!                                    says: the second
//!                                (4) the baton goes to B ─▶ (5) makes the step
//!   (6) asleep                                                  it asked for
//! ```
//!
//! ## Promises
//!
//! - I1. One thread of a run goes at a time, and gives way only at a step.
//! - I2. A schedule, replayed, is the same story, line for line.
//! - I3. [`explore`] visits each schedule within its limits once, and says whether it saw them all.
//! - I4. A run that cannot end is a finding, not a hang: its threads stay asleep, nothing is
//!   unwound, and after [`Limits::stuck`] such runs the search ends.
//! - I5. A program that something else than the schedule decides about is an error that says so.
//! - I6. Outside of `explore` and `replay` the names do what std's do. There are as many as the
//!   chapters 01 to 17 and 28, their examples and their tests use.
//! - Not promised: weak memory (each atomic access is `SeqCst` here), processes, other clocks,
//!   statics that one run leaves to the next. Nor is a point between two steps: where a critical
//!   section has no step in it, no `try_lock` of another thread finds it taken.
//!
//! ## The trap
//!
//! *No schedule breaks it* is true of the program that was explored: so many threads, so many
//! steps, within these limits. A bounded queue on one condvar is right with one producer and one
//! consumer, in every schedule. With two producers it hangs. The example finds the rule: it hangs
//! if 2 · capacity < producers + consumers. And a search that was cut short proves nothing: look at
//! [`Report::is_complete`], and assert the number of schedules, for a checker that explores nothing
//! finds nothing either.
//!
//! ## Elsewhere
//!
//! - The crates `loom` and `shuttle` explore Rust programs that import their types in place of
//!   std's; `loom` also explores weak memory. Microsoft's CHESS brought the bound on preemptions.
//! - TLA+ and Spin explore a model of the program, written in another language.
//!
//! ## Try
//!
//! 1. Predict: two threads, each with three loads of a number. In how many orders can they be made?
//! 2. Break: in `Condvar::wait_timeout`, swap the line that drops and the line that sleeps.
//! 3. Extend: a program in which a limit that runs out loses an item. Find its schedule.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

mod atomic;
mod baton;
mod channel;
mod choices;
mod clock;
mod condvar;
mod lock;
mod report;
mod state;
mod story;
mod threads;

use choices::Choices;
use real::fmt::Debug;
use real::sync::Arc;
pub use report::{End, Limits, Outcome, Report};
pub use story::{Moment, Step, Story, Way, Why};

/// `std::sync`, as far as the book uses it. Barriers and cells are std's own: outside of a run they
/// do what they always do, and a run that blocks in one is an error that says so.
pub mod sync {
    pub use super::condvar::{Condvar, WaitTimeoutResult};
    pub use super::lock::{Mutex, MutexGuard};
    pub use super::real::sync::{Arc, Barrier, LockResult, OnceLock, Weak};

    /// `std::sync::atomic`.
    pub mod atomic {
        pub use super::super::atomic::*;
    }

    /// `std::sync::mpsc`.
    pub mod mpsc {
        pub use super::super::channel::*;
    }
}

/// `std::thread`.
pub mod thread {
    pub use super::threads::*;
}

/// `std::time`.
pub mod time {
    pub use super::clock::*;
}

/// Runs `body` under every schedule within the limits (I3).
pub fn explore<R: Debug>(limits: Limits, body: impl Fn() -> R + Send + Sync + 'static) -> Report {
    let body: Body = Arc::new(move || format!("{:?}", body()));
    let mut choices = Choices::new(limits.spurious > 0, limits.seed);
    let (mut report, mut stuck) = (Report::default(), 0);
    while report.schedules < limits.schedules && stuck < limits.stuck {
        let (made, Story { end, .. }) = baton::run(limits, choices, body.clone());
        choices = made;
        let has_ended = matches!(end, End::Returned(_) | End::Panicked(_));
        stuck += usize::from(!has_ended);
        let has_changed = end == End::Changed;
        report.count(end, choices.to_string());
        report.is_complete = !has_changed && !choices.advance();
        if report.is_complete || has_changed {
            break;
        }
    }
    report
}

type Body = Arc<dyn Fn() -> String + Send + Sync>;

/// Runs `body` under one schedule and tells what happens (I2). Where the schedule ends, the first
/// way is taken: the running thread goes on.
///
/// # Panics
/// If `schedule` is no schedule.
#[track_caller]
pub fn replay<R: Debug>(schedule: &str, body: impl Fn() -> R + Send + Sync + 'static) -> Story {
    let body: Body = Arc::new(move || format!("{:?}", body()));
    let choices = Choices::read(schedule).unwrap_or_else(|| panic!("{schedule:?} is no schedule"));
    let limits = Limits { timeouts: usize::MAX, spurious: usize::MAX, ..Limits::all() };
    baton::run(limits, choices, body).1
}

/// Shows what `look` says under `name` at each choice of a story. It may use `try_lock` and `load`:
/// here they are no steps. Outside of a run nothing happens.
pub fn watch(name: &'static str, look: impl Fn() -> String + Send + 'static) {
    if let Some(me) = baton::me() {
        let look = Box::new(move || baton::apart(&look));
        me.state().watched.push((name, look));
    }
}
