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
//! closed:                nothing enters, what is there comes out: 1 2, then None
//! ```

use concurrent_explained::ch14_backlog::Backlog;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex};

/// The smallest version: everybody at one lock, and each push a system call.
#[derive(Default)]
struct Smallest {
    jobs: Mutex<VecDeque<u32>>,
    news: Condvar,
    notifies: Mutex<u32>,
}

impl Smallest {
    fn push(&self, job: u32) {
        self.jobs.lock().unwrap().push_back(job);
        self.news.notify_one(); // mostly for nobody
        *self.notifies.lock().unwrap() += 1;
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
    let notifies = smallest.notifies.lock().unwrap();
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

    let backlog = Backlog::new(1);
    (1..=2).for_each(|job| backlog.push(job).unwrap());
    backlog.close();
    assert_eq!(backlog.push(3), Err(3));
    let (rest, end) = (take(&backlog, 0, 2), backlog.next(0));
    write!(story, "closed:                nothing enters, what is there comes out: ")?;
    writeln!(story, "{rest}, then {end:?}")?;
    Ok(story)
}

fn main() {
    let story = tell().expect("a String takes any text");
    let _ = io::stdout().write_all(story.as_bytes()); // a closed pipe is a reader that has left
}
