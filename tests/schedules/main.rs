//! Every schedule of the book's own source: the chapters, byte for byte, over the explorer.

#![allow(unreachable_pub, dead_code, reason = "chapters are meant for a library")]

extern crate self as std;
extern crate std as real;
use concurrent_explained::ch31_schedules::{sync, thread, time};
use real::*;

macro_rules! chapters {
    ($($name:ident: $path:literal;)*) => {$(
        #[path = $path]
        mod $name;
    )*};
}

chapters! {
    ch01_lock: "../../src/ch01_lock.rs";
    ch02_rlock: "../../src/ch02_rlock.rs";
    ch03_condition: "../../src/ch03_condition.rs";
    ch04_event: "../../src/ch04_event.rs";
    ch05_semaphore: "../../src/ch05_semaphore.rs";
    ch06_barrier: "../../src/ch06_barrier.rs";
    ch07_queue: "../../src/ch07_queue.rs";
    ch08_oneshot: "../../src/ch08_oneshot.rs";
    ch09_outcome: "../../src/ch09_outcome.rs";
    ch10_future: "../../src/ch10_future/mod.rs";
    ch11_wait: "../../src/ch11_wait.rs";
    ch12_workers: "../../src/ch12_workers.rs";
    ch13_task: "../../src/ch13_task.rs";
    ch14_backlog: "../../src/ch14_backlog.rs";
    ch15_thread_pool: "../../src/ch15_thread_pool/mod.rs";
    ch16_scope: "../../src/ch16_scope.rs";
    ch17_map: "../../src/ch17_map.rs";
    ch28_await: "../../src/ch28_await.rs";
}

#[path = "../../examples/ch31_schedules/levels.rs"]
mod levels;
mod mutants;
mod program;

/// The programs of each chapter. Each is a test: all its schedules are run, and they are as many as
/// it says.
macro_rules! programs_of {
    ($($chapter:ident: $module:ident, $path:literal;)*) => {
        $(
            #[path = $path]
            mod $module;

            #[test]
            fn $chapter() {
                explore_all(stringify!($chapter), $module::PROGRAMS);
            }
        )*

        /// Of all chapters.
        const ALL: &[&[Program]] = &[$($module::PROGRAMS),*];
    };
}

programs_of! {
    lock: programs_01, "programs/ch01_lock.rs";
    rlock: programs_02, "programs/ch02_rlock.rs";
    condition: programs_03, "programs/ch03_condition.rs";
    event: programs_04, "programs/ch04_event.rs";
    semaphore: programs_05, "programs/ch05_semaphore.rs";
    barrier: programs_06, "programs/ch06_barrier.rs";
    queue: programs_07, "programs/ch07_queue.rs";
    oneshot: programs_08, "programs/ch08_oneshot.rs";
    future: programs_10, "programs/ch10_future.rs";
    wait: programs_11, "programs/ch11_wait.rs";
    workers: programs_12, "programs/ch12_workers.rs";
    task: programs_13, "programs/ch13_task.rs";
    backlog: programs_14, "programs/ch14_backlog.rs";
    thread_pool: programs_15, "programs/ch15_thread_pool.rs";
    scope: programs_16, "programs/ch16_scope.rs";
    map: programs_17, "programs/ch17_map.rs";
    future_in_async_code: programs_28, "programs/ch28_await.rs";
}

use concurrent_explained::ch31_schedules::{Limits, Report, explore, replay};
use program::Program;

#[track_caller]
fn explore_all(chapter: &str, programs: &[Program]) {
    let mut wrong = Vec::new();
    for program in programs {
        let limits = (program.limits)();
        let begin = real::time::Instant::now();
        let report = explore(limits, program.run);
        let Report { schedules, is_complete, .. } = report;
        let (name, time) = (program.name, begin.elapsed());
        println!("{chapter:<12} {name:<60} {schedules:>6} schedules, {time:.2?}");
        if let Some(failure) = report.failure() {
            let story = replay(&failure.schedule, program.run);
            wrong.push(format!("{name}: {report}\n{story}"));
        } else if schedules != program.schedules || !(is_complete || limits.seed.is_some()) {
            wrong.push(format!("{name}: {} schedules expected, {report}", program.schedules));
        }
    }
    assert!(wrong.is_empty(), "{chapter}\n{}", wrong.join("\n\n"));
}

/// The game: the solution of each level breaks its wrong version, and nothing breaks the right one.
#[test]
fn levels_are_won_by_their_solutions_and_their_right_versions_hold() {
    for level in levels::LEVELS {
        let limits = (level.limits)();
        let prefix = if limits.spurious > 0 { "s" } else { "" };
        let story = replay(&format!("{prefix}{}", level.solution), level.wrong);
        assert!(story.end.is_failure(), "{}: {story}", level.name);
        let calm = replay(&format!("{prefix}0"), level.wrong);
        assert!(!calm.end.is_failure(), "{} is won by Enter alone: {calm}", level.name);
        let (wrong, right) = (explore(limits, level.wrong), explore(limits, level.right));
        assert!(wrong.failures() > 0, "{}: {wrong}", level.name);
        assert!(right.is_complete && right.failures() == 0, "{}: {right}", level.name);
    }
}

/// Every program with one more preemption, one more limit that runs out and a wake-up for nothing,
/// as far as it goes, and random walks beyond: some minutes. Asked for by name:
/// `cargo test --release --test schedules campaign -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn campaign() {
    for program in ALL.iter().copied().flatten() {
        let limits = (program.limits)();
        let preemptions = limits.preemptions.saturating_add(1);
        let wider = Limits { preemptions, timeouts: 2, spurious: 1, schedules: 20_000, ..limits };
        let wandering = Limits { seed: Some(1), ..Limits { schedules: 5_000, ..wider } };
        for limits in [wider, wandering] {
            let report = explore(limits, program.run);
            println!("{:<60} {report}", program.name);
            assert_eq!(report.failures(), 0, "{}: {report}", program.name);
        }
    }
}
