//! # 12 · Workers — the owner of a thread is the one that can wait for its end
//!
//! | needs | [08](super::ch08_oneshot) |
//! | --- | --- |
//! | reading time | 10 min, exercises not counted |
//! | run it | `cargo run --example ch12_workers` |
//! | files | [example](../../../../examples/ch12_workers.rs), [test](../../../../tests/ch12_workers.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [11](../ch11_wait/index.html), [13](../ch13_task/index.html) |
//!
//! ## Why
//!
//! A future says that a value will be there, and some thread has to compute it. To start a thread
//! for each value costs tens of microseconds, more than most values are worth; and a thread that
//! nobody waits for is cut off in the middle when `main` returns. So: a few threads, kept, with one
//! owner that sees them end. This is the smallest thread pool, and it answers.
//!
//! ## Steps
//!
//! 1. One channel of closures, its receiver behind a mutex, a few threads that receive. Fails
//!    because of where the guard of that mutex lives: one job runs at a time. (In the example.)
//! 2. The receiver is locked to take a job, and free while the job runs. Fails because the first
//!    job that panics takes its thread along; so each job is caught.
//! 3. A job with an answer sends it through chapter 08. A panic drops the sender, so the reader
//!    hears of it with no further line.
//! 4. `drop` closes the channel and joins the threads. Fails in a job of its own, which would wait
//!    for itself; so there it does not wait.
//!
//! ## Picture
//!
//! ```text
//!            run(work)
//!   owner ─────(1)────▶ [ job  job  job ] ──(2)──▶ worker_0  (3) runs it,
//!     │  ▲                     ▲          ──(2)──▶ worker_1      comes back
//!     │  └─── Receiver ◀───────┼──────────(4) the answer, or none
//!     └──drop──(5) close ──────┘
//!              (6) join ◀──────────────── no job will come: the thread ends
//!
//!                         │ queued jobs   running jobs   waits for them
//!   ──────────────────────┼────────────────────────────────────────────
//!   drop on some thread   │ run           end            yes
//!   drop on a worker      │ run           end            no
//! ```
//!
//! ## Promises
//!
//! - I1. Every job runs, once; jobs start in the order in which they came.
//! - I2. As many jobs run at once as there are threads: no lock is held while a job runs.
//! - I3. A job that panics costs its own answer, which is `None`, and no thread.
//! - I4. `drop` returns when every job has run and every thread has ended. On one of its own
//!   workers it returns at once, because that thread cannot end before its job does.
//! - I5. All threads start, or none is left.
//! - Not promised: that it ends, if a job waits for the answer of another job of the same workers.
//!   With one worker nobody is left to compute it. Chapter 13 removes that.
//!
//! ## The trap
//!
//! Many pools share one receiver, and write the loop of a worker in one line:
//!
//! ```no_run
//! # use std::sync::{Mutex, mpsc::Receiver};
//! # fn worker(receiver: &Mutex<Receiver<Box<dyn FnOnce() + Send>>>) {
//! while let Ok(job) = receiver.lock().unwrap().recv() {
//!     job(); // the guard, a temporary of the line above, lives until here
//! }
//! # }
//! ```
//!
//! It looks right, computes the right results, and runs one job at a time, with any number of
//! threads. A test of the results cannot see it. Two jobs that wait for each other can, in every
//! schedule: `cargo run --example ch12_workers -- 0` shows one, and its last line says on which
//! line the second worker waits for the mutex of the first.
//!
//! ## Elsewhere
//!
//! - The Rust Book's last chapter builds this pool, without answers; its loop binds the job first.
//! - Python joins the threads of every pool when the program ends: one stuck job keeps it alive.
//! - `std::thread::scope` owns threads for the length of one closure (chapter 16).
//!
//! ## Try
//!
//! 1. Predict: two workers, three jobs that meet at a barrier for three. What does `drop` do?
//! 2. Break: in `work`, join the lines that take a job into one, as in the trap. Every answer stays
//!    right. Which tests are red all the same?
//! 3. Extend: write `run_all(&workers, jobs)`, which returns the answers in the order of the jobs.
//!    Why must it hand all of them in before it waits for the first?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch08_oneshot::{Receiver, oneshot};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::{fmt, mem};

/// A fixed number of threads that run the closures they are given. Their queue is std's channel:
/// chapter 07's would do as well, and be one more file to copy.
///
/// # Examples
/// ```
/// use concurrent_explained::Workers;
///
/// let workers = Workers::new(2);
/// let sum = workers.run(|| (1..=10).sum::<u32>());
/// let lost = workers.run(|| -> u32 { std::panic::resume_unwind(Box::new("no answer")) });
/// assert_eq!(sum.recv(), Some(55));
/// assert_eq!(lost.recv(), None); // the job panicked
/// drop(workers); // returns when the last job has run and the threads have ended
/// ```
pub struct Workers {
    /// The way in. `None` only in `drop`: when it is gone, the channel is closed.
    jobs: Option<mpsc::Sender<Job>>,
    /// A handle is what one can wait for. They are here and nowhere else.
    threads: Vec<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// Starts `count` threads, named `worker_0`, `worker_1`, …
    ///
    /// # Panics
    /// If `count` is 0, or if the system refuses a thread; those before it have ended then.
    #[track_caller]
    pub fn new(count: usize) -> Self {
        assert!(count > 0, "workers need at least one thread");
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut workers = Workers { jobs: Some(sender), threads: Vec::new() };
        for number in 0..count {
            let receiver = receiver.clone();
            let builder = thread::Builder::new().name(format!("worker_{number}"));
            // A panic here drops `workers`, and so ends the threads that have started (I5).
            let started = builder.spawn(move || work(&receiver));
            let refused = |cause| panic!("worker_{number} could not start: {cause}");
            workers.threads.push(started.unwrap_or_else(refused));
        }
        workers
    }

    /// (1) Queues `work`; the next free worker runs it. Its value comes out of the receiver; if it
    /// panics, `None` does. Drop the receiver if nobody wants the answer.
    ///
    /// # Wakes
    /// One idle worker.
    #[doc(alias = "submit")]
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (answer, receiver) = oneshot();
        // (4) If `work` panics, `answer` is dropped on the way out: that is the news (I3).
        let job = move || drop(answer.send(work()));
        // Both are there: only `drop` takes the sender, and the last worker leaves after that.
        self.jobs.as_ref().unwrap().send(Box::new(job)).unwrap();
        receiver
    }
}

/// The life of a worker: it ends when the channel is closed and empty.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // (2) The guard dies at the end of this line, so that the next worker can take the next job
        // while this one runs (I1, I2). While nobody sends, one worker waits in `recv`, and the
        // others wait for the lock.
        let job = jobs.lock().unwrap().recv();
        let Ok(job) = job else { return };
        // (3) Two catches: the payload of a panic is a foreign value, and its drop may panic too.
        // What comes out of the second catch is leaked, or this would never end. This is `catch` of
        // chapter 09 without the error, so that two files are enough for a pool with answers.
        let run = || drop(catch_unwind(AssertUnwindSafe(job)));
        mem::forget(catch_unwind(AssertUnwindSafe(run)));
    }
}

/// Runs what is queued and ends the threads.
///
/// # Blocks
/// Until every job has run, except on one of its own workers.
impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None; // (5)
        let here = thread::current().id();
        if self.threads.iter().any(|thread| thread.thread().id() == here) {
            // (I4) The last owner is a job. To join this thread would be to wait for ourselves. To
            // join only the others could be the same: one of them may wait for news from this job.
            // The handles are dropped instead, and each thread goes on until the channel is empty.
            return;
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // (6) always `Ok`: `work` lets no panic out
        }
    }
}

// Plumbing

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workers {{ threads: {} }}", self.threads.len())
    }
}
