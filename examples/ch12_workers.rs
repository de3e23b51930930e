//! Two jobs that wait for each other, on two threads. Look at `worker` in `classic`: where does the
//! guard of the lock die? Then look at what a panic costs, and at what `drop` waits for.
//!
//! Expected output:
//!
//! ```text
//! the classic pool: 2 threads, 0 of 2 jobs met the other
//! Workers:          2 threads, 2 of 2 jobs met the other
//! ten answers, where every third job panics: 1, 2, none, 4, 5, none, 7, 8, none, 10
//! nobody reads an answer: when `drop` returns, 10 of 10 jobs have run
//! the workers are dropped by a job of their own: the job behind it still runs
//! ```
//!
//! With a schedule as its argument (`-- 0`), it replays it on the classic pool: its two jobs step
//! by step, each thread in a column of its own.

extern crate self as std;
extern crate std as real;

use concurrent_explained::Workers;
use concurrent_explained::ch31_schedules::{replay, sync, thread, time};
use real::*;
use std::env::args;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// How long to wait in vain.
pub(crate) const BRIEFLY: Duration = Duration::from_millis(100);

/// The smallest version, as it is often written. One line of it is wrong.
pub(crate) struct Classic(Option<mpsc::Sender<Job>>, Vec<JoinHandle<()>>);

impl Classic {
    pub(crate) fn new(threads: usize) -> Classic {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let worker = |_| {
            let receiver = receiver.clone();
            thread::spawn(move || {
                while let Ok(job) = receiver.lock().unwrap().recv() {
                    job(); // the guard of the line above lives until here
                }
            })
        };
        Classic(Some(sender), (0..threads).map(worker).collect())
    }

    pub(crate) fn run(&self, job: Job) {
        self.0.as_ref().unwrap().send(job).unwrap();
    }
}

impl Drop for Classic {
    fn drop(&mut self) {
        self.0 = None;
        self.1.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

pub(crate) fn classic(threads: usize) -> impl Fn(Job) {
    let pool = Classic::new(threads);
    move |job| pool.run(job)
}

pub(crate) fn ours(threads: usize) -> impl Fn(Job) {
    let workers = Workers::new(threads);
    move |job| {
        workers.run(job);
    }
}

/// How many of two jobs meet: each waits until both are inside, or has no patience left.
pub(crate) fn met(run: impl Fn(Job), patience: Duration) -> usize {
    let rendezvous = Arc::new((Mutex::new(0), Condvar::new()));
    let met = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let (met, rendezvous) = (met.clone(), rendezvous.clone());
        run(Box::new(move || {
            let (inside, news) = &*rendezvous;
            let mut count = inside.lock().unwrap();
            *count += 1;
            news.notify_one();
            let (mut count, wait) =
                news.wait_timeout_while(count, patience, |inside| *inside < 2).unwrap();
            if wait.timed_out() {
                *count -= 1; // leaves as it came
            } else {
                met.fetch_add(1, SeqCst);
            }
        }));
    }
    drop(run); // joins
    met.load(SeqCst)
}

/// For a schedule: two jobs on two threads of the classic pool, each waits until both are inside.
fn two_jobs_meet() {
    let inside = Arc::new((Mutex::new(0), Condvar::new()));
    let pool = Classic::new(2);
    for _ in 0..2 {
        let inside = inside.clone();
        pool.run(Box::new(move || {
            let (count, news) = &*inside;
            let mut count = count.lock().unwrap();
            *count += 1;
            news.notify_one();
            while *count < 2 {
                count = news.wait(count).unwrap();
            }
        }));
    }
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let (wrong, right) = (met(classic(2), BRIEFLY), met(ours(2), Duration::MAX));
    writeln!(story, "the classic pool: 2 threads, {wrong} of 2 jobs met the other")?;
    writeln!(story, "Workers:          2 threads, {right} of 2 jobs met the other")?;

    std::panic::set_hook(Box::new(|_| ())); // the panics below are meant
    let workers = Workers::new(2);
    let job = |n| {
        move || {
            assert!(n % 3 > 0);
            n
        }
    };
    let answers: Vec<_> = (1..=10).map(|n| workers.run(job(n))).collect();
    let answers = answers.into_iter().map(|answer| answer.recv());
    let answers: Vec<_> =
        answers.map(|answer| answer.map_or("none".into(), |n| n.to_string())).collect();
    writeln!(story, "ten answers, where every third job panics: {}", answers.join(", "))?;

    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let ran = ran.clone();
        workers.run(move || ran.fetch_add(1, SeqCst));
    }
    drop(workers);
    let ran = ran.load(SeqCst);
    writeln!(story, "nobody reads an answer: when `drop` returns, {ran} of 10 jobs have run")?;

    let workers = Arc::new(Workers::new(1));
    let (last, (let_go, alone)) = (workers.clone(), mpsc::channel::<()>());
    workers.run(move || {
        let _ = alone.recv(); // until the other handle is gone
        drop(last);
    });
    let behind = workers.run(|| "still runs");
    drop(workers);
    drop(let_go);
    let behind = behind.recv().unwrap_or("is lost");
    writeln!(story, "the workers are dropped by a job of their own: the job behind it {behind}")?;
    Ok(story)
}

fn main() -> Result<(), std::fmt::Error> {
    let story = match args().nth(1) {
        Some(schedule) => format!("{}\n", replay(&schedule, two_jobs_meet)),
        None => tell()?,
    };
    let _ = io::stdout().write_all(story.as_bytes()); // a reader that has left is no error
    Ok(())
}
