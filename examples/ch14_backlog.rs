//! Jobs that push jobs. Look at which worker takes what, in which order, and at what a worker that
//! falls asleep must do first.
//!
//! Expected output:
//!
//! ```text
//! one lock for all, a notify at each push: 1000 jobs, 1000 notifies
//! backlog, one worker:   takes 1 2 3 4 5 6, in their order
//! its own jobs:          takes 1, pushes 10; takes 2 3 10; then the inbox: 4 5
//! two workers:           0 takes all 8; 1 takes the older half of the 7 left: 2 3 4 5
//! rounds:                a job that pushes itself again lets the inbox come after 1 turn
//! looks, then counts:    the worker sleeps beside a job in 1 of 13 schedules
//! closed:                nothing enters, what is there comes out: 1 2, then None
//! ```
//!
//! `cargo run --example ch14_backlog -- 1001` replays how that worker falls asleep, and
//! `cargo run --release --example ch14_backlog -- measure` times three queues.

extern crate self as std;
extern crate std as real;

use concurrent_explained::Queue;
use concurrent_explained::ch14_backlog::Backlog;
use concurrent_explained::ch31_schedules::{Limits, explore, replay, sync, thread, time};
use real::sync as real_sync;
use real::*;
use std::collections::VecDeque;
use std::env::args;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The smallest version: everybody at one lock, and each push a system call.
#[derive(Default)]
struct Smallest {
    jobs: real_sync::Mutex<VecDeque<u32>>, // real: to be measured, not to be replayed
    news: real_sync::Condvar,
    notifies: AtomicUsize,
}

impl Smallest {
    fn push(&self, job: u32) {
        self.jobs.lock().unwrap().push_back(job);
        self.news.notify_one(); // mostly for nobody
        self.notifies.fetch_add(1, Relaxed);
    }

    fn next(&self) -> u32 {
        let mut jobs = self.jobs.lock().unwrap();
        loop {
            match jobs.pop_front() {
                Some(job) => return job,
                None => jobs = self.news.wait(jobs).unwrap(),
            }
        }
    }
}

/// A shelf, and a worker that looks at it for the last time before it counts itself asleep.
#[derive(Default)]
struct LooksFirst {
    shelf: Mutex<Vec<u32>>,
    asleep: AtomicUsize,
    sleep: Mutex<()>,
    news: Condvar,
}

impl LooksFirst {
    fn push_own(&self, job: u32) {
        self.shelf.lock().unwrap().push(job);
        if self.asleep.load(Relaxed) > 0 {
            drop(self.sleep.lock().unwrap()); // free once the sleeper sleeps
            self.news.notify_one();
        }
    }

    fn next(&self) -> u32 {
        loop {
            let awake = self.sleep.lock().unwrap();
            let job = self.shelf.lock().unwrap().pop();
            if let Some(job) = job {
                return job;
            }
            self.asleep.fetch_add(1, Relaxed); // the chapter does this before it looks
            drop(self.news.wait(awake).unwrap());
            self.asleep.fetch_sub(1, Relaxed);
        }
    }
}

/// One worker pushes a job onto a shelf, another takes it.
fn a_job_on_a_shelf() {
    let backlog = LooksFirst::default();
    thread::scope(|scope| {
        scope.spawn(|| backlog.next());
        backlog.push_own(1);
    });
}

fn never(_: &u32) -> bool {
    false
}

/// The next `count` jobs of worker `me`.
fn take(backlog: &Backlog<u32>, me: usize, count: usize) -> String {
    let jobs: Vec<_> = (0..count).filter_map(|_| backlog.next(me)).collect();
    jobs.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let smallest = Smallest::default();
    (0..1_000).for_each(|job| smallest.push(job));
    let mut jobs = 0;
    for _ in 0..1_000 {
        smallest.next();
        jobs += 1;
    }
    let notifies = smallest.notifies.load(Relaxed);
    writeln!(story, "one lock for all, a notify at each push: {jobs} jobs, {notifies} notifies")?;

    let backlog = Backlog::new(1);
    (1..=6).for_each(|job| backlog.push(job).unwrap());
    writeln!(story, "backlog, one worker:   takes {}, in their order", take(&backlog, 0, 6))?;

    (1..=3).for_each(|job| backlog.push(job).unwrap());
    let first = take(&backlog, 0, 1);
    backlog.push_own(0, 10, never).unwrap();
    (4..=5).for_each(|job| backlog.push(job).unwrap());
    let (own, inbox) = (take(&backlog, 0, 3), take(&backlog, 0, 2));
    write!(story, "its own jobs:          takes {first}, pushes 10; takes {own}; ")?;
    writeln!(story, "then the inbox: {inbox}")?;

    let backlog = Backlog::new(2);
    (1..=8).for_each(|job| backlog.push(job).unwrap());
    backlog.next(0).unwrap();
    let half = take(&backlog, 1, 4);
    write!(story, "two workers:           0 takes all 8; ")?;
    writeln!(story, "1 takes the older half of the 7 left: {half}")?;

    let backlog = Backlog::new(1);
    backlog.push_own(0, 0, never).unwrap();
    backlog.next(0).unwrap();
    backlog.push_own(0, 0, never).unwrap();
    backlog.push(7).unwrap();
    let mut turns = 0;
    while backlog.next(0) != Some(7) {
        turns += 1;
        backlog.push_own(0, 0, never).unwrap();
    }
    let turns = if turns == 1 { "1 turn".to_owned() } else { format!("{turns} turns") };
    write!(story, "rounds:                a job that pushes itself again ")?;
    writeln!(story, "lets the inbox come after {turns}")?;

    let report = explore(Limits::preemptions(2), a_job_on_a_shelf);
    let (lost, all) = (report.failures(), report.schedules);
    write!(story, "looks, then counts:    the worker sleeps beside a job in ")?;
    writeln!(story, "{lost} of {all} schedules")?;

    let backlog = Backlog::new(1);
    (1..=2).for_each(|job| backlog.push(job).unwrap());
    backlog.close();
    assert_eq!(backlog.push(3), Err(3));
    let (rest, end) = (take(&backlog, 0, 2), backlog.next(0));
    write!(story, "closed:                nothing enters, what is there comes out: ")?;
    writeln!(story, "{rest}, then {end:?}")?;
    Ok(story)
}

/// What two workers take from.
trait Jobs: Sync {
    fn push(&self, job: u32);

    /// For a job that worker `me` makes.
    fn push_own(&self, _me: usize, job: u32) {
        self.push(job);
    }

    /// `None`: there will be no more.
    fn next(&self, me: usize) -> Option<u32>;

    fn close(&self);
}

impl Jobs for Smallest {
    fn push(&self, job: u32) {
        Smallest::push(self, job);
    }

    fn next(&self, _me: usize) -> Option<u32> {
        Some(Smallest::next(self)).filter(|&job| job != u32::MAX)
    }

    fn close(&self) {
        (0..2).for_each(|_worker| Smallest::push(self, u32::MAX));
    }
}

impl Jobs for Queue<u32> {
    fn push(&self, job: u32) {
        Queue::push(self, job).unwrap();
    }

    fn next(&self, _me: usize) -> Option<u32> {
        self.pop()
    }

    fn close(&self) {
        Queue::close(self);
    }
}

impl Jobs for Backlog<u32> {
    fn push(&self, job: u32) {
        Backlog::push(self, job).unwrap();
    }

    fn push_own(&self, me: usize, job: u32) {
        Backlog::push_own(self, me, job, never).unwrap();
    }

    fn next(&self, me: usize) -> Option<u32> {
        Backlog::next(self, me)
    }

    fn close(&self) {
        Backlog::close(self);
    }
}

/// How long two workers need for each of `count` jobs, which `push` pushes. A job pushes two of its
/// number less 1, down to 0.
fn time_of_a_job(jobs: &dyn Jobs, count: usize, push: impl FnOnce()) -> Duration {
    let done = AtomicUsize::new(0);
    let work = |me| {
        while let Some(job) = jobs.next(me) {
            if job > 0 {
                jobs.push_own(me, job - 1);
                jobs.push_own(me, job - 1);
            }
            if done.fetch_add(1, Relaxed) + 1 == count {
                jobs.close();
            }
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| work(0));
        scope.spawn(|| work(1));
        push();
    });
    start.elapsed() / u32::try_from(count).unwrap()
}

/// The best of some interleaved rounds: what else runs on the machine can only make it worse.
fn measure() -> Result<String, std::fmt::Error> {
    type Setting = fn(&dyn Jobs) -> Duration;
    let settings: [(&str, Setting); 3] = [
        ("one pushes, as fast as it can", |jobs| {
            time_of_a_job(jobs, 100_000, || (0..100_000).for_each(|_| jobs.push(0)))
        }),
        ("four push, as fast as they can", |jobs| {
            let push = || (0..25_000).for_each(|_| jobs.push(0));
            let four = || thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(push))));
            time_of_a_job(jobs, 100_000, four)
        }),
        ("each job pushes two more", |jobs| time_of_a_job(jobs, (1 << 17) - 1, || jobs.push(16))),
    ];
    let mut story = String::new();
    writeln!(story, "nanoseconds a job, two workers      step 1   chapter 07   backlog")?;
    for (name, setting) in settings {
        let mut best = [Duration::MAX; 3];
        for round in 0..3 * 9 {
            let jobs: [&dyn Jobs; 3] =
                [&Smallest::default(), &Queue::unbounded(), &Backlog::new(2)];
            best[round % 3] = best[round % 3].min(setting(jobs[round % 3]));
        }
        let [smallest, queue, backlog] = best.map(|best| best.as_nanos());
        writeln!(story, "{name:<34} {smallest:>7} {queue:>12} {backlog:>9}")?;
    }
    Ok(story)
}

fn main() -> Result<(), std::fmt::Error> {
    let story = match args().nth(1).as_deref() {
        None => tell()?,
        Some("measure") => measure()?,
        Some(schedule) => format!("{}\n", replay(schedule, a_job_on_a_shelf)),
    };
    let _ = io::stdout().write_all(story.as_bytes()); // a closed pipe is a reader that has left
    Ok(())
}
