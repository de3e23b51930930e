//! # 12 · Workers — who owns a thread
//!
//! Needs: ch07.   Reading time: 8 min.
//! Run it: cargo run --example ch12_workers
//!
//! ## Why
//!
//! A future says *what* will be there, and somebody has to make it so. Starting a thread for each
//! piece of work costs more than most pieces are worth, and a thread that nobody waits for may die
//! in the middle of one when `main` returns. So: few threads, kept, and one owner who sees them end.
//!
//! ## Picture
//!
//! ```text
//!            run(job)
//!   owner ─────(1)────▶ [ job  job  job ] ──pop──▶ worker_0  (2) run it,
//!     │                        ▲          ──pop──▶ worker_1  then pop again
//!     └──drop──(3) close ──────┘
//!              (4) join ◀─────────────────────── `None`: the worker ends
//!
//!                         │ queued jobs   running jobs   waits for them
//!   ──────────────────────┼────────────────────────────────────────────
//!   drop on some thread   │ run           end            yes
//!   drop on a worker      │ run           end            no
//!   a job that panics     │ run           end            –
//! ```
//!
//! ## Promises
//!
//! - I1: every job runs, once; jobs start in the order they came in.
//! - I2: as many jobs run at once as there are threads. No lock is held while a job runs.
//! - I3: a job that panics ends itself, not its worker. (`panic = "abort"` in a profile ends all.)
//! - I4: `drop` returns when every job has run and every thread has ended; on one of its own
//!   workers it returns at once, since that worker cannot end before its job does.
//! - I5: all threads start, or none is left.
//! - Not promised: an answer. What a job computes, and whether it panicked, is lost with it.
//!
//! ## The trap
//!
//! The classic pool shares one receiver and writes its loop in one line:
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
//! It looks right, computes the right results, and runs one job at a time, whatever the number of
//! threads. A test of the results cannot see it; two jobs that wait for each other can, and the
//! example lets them. Here the lock is inside `pop`, and `pop` has returned.
//!
//! ## Elsewhere
//!
//! - The Rust Book's last chapter builds this pool; its loop takes the job in a line of its own.
//! - Python joins the threads of every pool when the program ends: one stuck job keeps it alive.
//! - `std::thread::scope` owns threads for the length of one closure (chapter 16).
//!
//! ## Try
//!
//! 1. Predict: two workers, three jobs that meet at a barrier for three. What does `drop` do?
//! 2. Break: call `job()` in `run` without catching. Run the tests with one worker, then with two:
//!    which symptom is the worse one?
//! 3. Extend: write `ask(&workers, work)`, which hands back where the value of `work` will be.
//!    What does its reader see if `work` panics?

use super::ch07_queue::Queue;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{error, fmt, mem};

/// A fixed number of threads that run the closures they are given.
///
/// # Examples
/// ```
/// use concurrent_explained::Workers;
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
///
/// let sum = Arc::new(AtomicU32::new(0));
/// let workers = Workers::new(2)?;
/// for n in 1..=10 {
///     let sum = sum.clone();
///     workers.run(move || {
///         sum.fetch_add(n, Ordering::Relaxed);
///     });
/// }
/// drop(workers); // returns when the last job has run
/// assert_eq!(sum.load(Ordering::Relaxed), 55);
/// # Ok::<(), concurrent_explained::WorkersError>(())
/// ```
#[derive(Debug)]
pub struct Workers {
    /// Shared with every worker. A worker pops; the handle pushes, and closes in `drop`.
    jobs: Arc<Queue<Job>>,
    /// Who holds these owns the threads: nobody else can wait for their end.
    threads: Vec<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// Starts `count` threads, named `worker_0`, `worker_1`, …
    ///
    /// # Errors
    /// [`WorkersError::NoThreads`] for 0; [`WorkersError::NotStarted`] if the system refuses one.
    pub fn new(count: usize) -> Result<Self, WorkersError> {
        if count == 0 {
            return Err(WorkersError::NoThreads);
        }
        let mut workers = Workers { jobs: Arc::default(), threads: Vec::new() };
        for number in 0..count {
            let jobs = workers.jobs.clone();
            let thread = thread::Builder::new().name(format!("worker_{number}"));
            let started = thread.spawn(move || jobs.pops().for_each(run));
            // I5: an early return drops `workers`, and that ends the threads before this one.
            workers.threads.push(started.map_err(|cause| {
                let cause = cause.to_string();
                WorkersError::NotStarted { number, cause }
            })?);
        }
        Ok(workers)
    }

    /// (1) Queues `job`; the next free worker runs it.
    ///
    /// # Wakes
    /// One idle worker.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let pushed = self.jobs.push(Box::new(job));
        pushed.expect("only `drop` closes the queue, and it has this handle to itself");
    }
}

/// (2) Runs `job`; whatever it does, the worker goes on (I3).
fn run(job: Job) {
    // The message of a panic is printed by then. What is left of it, the payload, is a value like
    // any other, and its drop may panic too; that second payload is forgotten, not dropped.
    let drop_payload = || drop(catch_unwind(AssertUnwindSafe(job)));
    if let Err(second) = catch_unwind(AssertUnwindSafe(drop_payload)) {
        mem::forget(second);
    }
}

/// Runs what is queued and ends the threads.
///
/// # Blocks
/// Until every job has run, except on one of its own workers.
impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs.close(); // (3)
        let here = thread::current().id();
        if self.threads.iter().any(|thread| thread.thread().id() == here) {
            // I4: the last owner sits in a job. To join this thread would be to wait for ourselves;
            // to join only the others could be: one of them may wait for news from this very job.
            // The handles are dropped instead, and each thread owns itself until the queue is empty.
            return;
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // (4) always `Ok`: `run` lets no panic out
        }
    }
}

/// Why there are no workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkersError {
    /// Zero threads were asked for; their jobs would wait for ever.
    NoThreads,
    /// The system refused to start a thread. Those before it have ended again.
    NotStarted {
        /// Which one, counted from 0.
        number: usize,
        /// What the system said.
        cause: String,
    },
}

impl fmt::Display for WorkersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkersError::NoThreads => f.write_str("workers need at least one thread"),
            WorkersError::NotStarted { number, cause } => {
                write!(f, "worker_{number} did not start: {cause}")
            }
        }
    }
}

impl error::Error for WorkersError {}
