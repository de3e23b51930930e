//! Every schedule of a few small programs: which break, and how often. A column is a thread of one
//! run. `-- list` shows a dozen levels, and `-- play NAME` makes you the scheduler.
//!
//! Expected output:
//!
//! ```text
//! counter: of 20 schedules 9 lose an addition. The shortest, 01:
//!
//! A                  B
//! spawn B :167
//! load N1 = 0 :174
//!                    load N1 = 0 :174
//!                    store N1 = 1 :175
//! store N1 = 1 :175
//! join B :169
//! load N1 = 1 :170
//! panic :170
//! panicked: an addition is lost (levels.rs:170)
//!
//! with chapter 01's Lock: of 186 schedules 0
//!
//! lost_wake_up: of 23 schedules 5 sleep by a free lock. The shortest, 101:
//!
//! A                   B
//! spawn B :209
//!                     lock M1 :210
//! lock M1 :216
//! notify_one C1 :217
//! join B :218
//!                     lock M1 :212
//!                     wait C1 :213
//! deadlock: A waits for the end of B (levels.rs:218), B sleeps (levels.rs:213)
//!
//! with chapter 01's Lock: of 15 schedules 0
//!
//! a bounded queue on one condvar, every schedule without preemption:
//!
//! producers  consumers  capacity  2 · capacity < both  hangs
//! 1          1          1         no                   never
//! 2          1          1         yes                  yes
//! 1          2          1         yes                  yes
//! 2          1          2         no                   never
//! 2          2          1         yes                  yes
//! 2          2          2         no                   never
//!
//! Now you: cargo run --example ch31_schedules -- list
//! ```

#![allow(dead_code, unreachable_pub, reason = "chapters are meant for a library")]

extern crate self as std;
extern crate std as real;
use concurrent_explained::ch31_schedules::{sync, thread, time};
use real::*;

// The chapters as they stand, over the explorer's names.
#[path = "../src/ch01_lock.rs"]
mod ch01_lock;
#[path = "../src/ch04_event.rs"]
mod ch04_event;
#[path = "../src/ch06_barrier.rs"]
mod ch06_barrier;
#[path = "../src/ch07_queue.rs"]
mod ch07_queue;
#[path = "../src/ch08_oneshot.rs"]
mod ch08_oneshot;
#[path = "../src/ch09_outcome.rs"]
mod ch09_outcome;
#[path = "../src/ch10_future/mod.rs"]
mod ch10_future;
#[path = "../src/ch12_workers.rs"]
mod ch12_workers;
#[path = "../src/ch13_task.rs"]
mod ch13_task;
#[path = "../src/ch14_backlog.rs"]
mod ch14_backlog;
#[path = "../src/ch15_thread_pool/mod.rs"]
mod ch15_thread_pool;

#[path = "ch31_schedules/game.rs"]
mod game;
#[path = "ch31_schedules/levels.rs"]
mod levels;

use concurrent_explained::ch31_schedules::{Limits, explore, replay};
use game::{Game, Side};
use levels::{LEVELS, Level};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        [] => say(&tour()),
        ["list"] => say(&list()),
        ["play", name] => play(name, Side::Wrong),
        ["play", name, "right"] => play(name, Side::Right),
        ["solve"] => say(&LEVELS.iter().map(|level| solution(level).1).collect::<String>()),
        ["solve", name] => say(&solve(name)),
        [schedule] => say(&format!("{}\n", replay(schedule, LEVELS[1].wrong))),
        _ => say(USAGE),
    };
    // A reader that has gone, as `head -1` does, is no failure.
    match said {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

const USAGE: &str = "\
Give nothing (a tour), `list`, `play NAME`, `play NAME right`, or a schedule such as `101` for the
lost wake-up.
";

fn say(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

fn level(name: &str) -> Option<&'static Level> {
    LEVELS.iter().find(|level| level.name == name)
}

fn play(name: &str, side: Side) -> io::Result<()> {
    match level(name) {
        Some(level) => Game::new(level, side).play(&mut io::stdin().lock(), &mut io::stdout()),
        None => say(&format!("There is no level {name:?}.\n\n{}", list())),
    }
}

fn list() -> String {
    let mut list =
        String::from("You are the scheduler, and win by breaking the program. In this order:\n\n");
    for level in LEVELS {
        _ = writeln!(list, "  play {:<19}{}", level.name, level.goal);
    }
    list
}

/// The shortest schedule that breaks a level, and a line that says so.
fn solution(level: &Level) -> (String, String) {
    let report = explore((level.limits)(), level.wrong);
    let shortest = report.failure().map_or("0".into(), |failure| failure.schedule.clone());
    let line = format!("{:<20}{shortest}\n", level.name);
    (shortest, line)
}

/// The same with its story.
fn solve(name: &str) -> String {
    let Some(level) = level(name) else { return list() };
    let (shortest, line) = solution(level);
    format!("{line}\n{}\n", replay(&shortest, level.wrong))
}

fn tour() -> String {
    let mut tour = String::new();
    for (name, what) in [("counter", "lose an addition"), ("lost_wake_up", "sleep by a free lock")]
    {
        let Some(level) = level(name) else { continue };
        let wrong = explore((level.limits)(), level.wrong);
        let (all, bad) = (wrong.schedules, wrong.failures());
        let shortest = wrong.failure().map_or("0", |failure| &failure.schedule);
        let story = replay(shortest, level.wrong);
        let right = explore((level.limits)(), level.right);
        let (all_right, still_bad) = (right.schedules, right.failures());
        _ = writeln!(tour, "{name}: of {all} schedules {bad} {what}. The shortest, {shortest}:\n");
        _ = writeln!(
            tour,
            "{story}\n\nwith chapter 01's Lock: of {all_right} schedules {still_bad}\n"
        );
    }
    tour += "a bounded queue on one condvar, every schedule without preemption:\n\n";
    tour += "producers  consumers  capacity  2 · capacity < both  hangs\n";
    for (producers, consumers, capacity, each) in
        [(1, 1, 1, 3), (2, 1, 1, 2), (1, 2, 1, 2), (2, 1, 2, 2), (2, 2, 1, 1), (2, 2, 2, 2)]
    {
        let limits = Limits { stuck: 1, ..Limits::preemptions(0) };
        let run = levels::one_condvar::run;
        let report = explore(limits, move || run(producers, consumers, capacity, each));
        let (few, hangs) = (2 * capacity < producers + consumers, report.failures() > 0);
        _ = writeln!(
            tour,
            "{producers:<11}{consumers:<11}{capacity:<10}{:<21}{}",
            if few { "yes" } else { "no" },
            if hangs { "yes" } else { "never" },
        );
    }
    tour += "\nNow you: cargo run --example ch31_schedules -- list\n";
    tour
}
