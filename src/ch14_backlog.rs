//! # 14 · Backlog — swap, don't share
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 24 min, exercises not counted |
//! | run it | `cargo run --example ch14_backlog` |
//! | files | [example](../../../../examples/ch14_backlog.rs), [test](../../../../tests/ch14_backlog.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [13](../ch13_task/index.html), [15](../ch15_thread_pool/index.html) |
//!
//! ## Why
//!
//! A pool's queue is the one place that every thread of a program touches. Tasks of a microsecond
//! spend more time there than they take to run. This chapter makes no new promise; it is about
//! speed. The first two steps have their numbers; the others are what the step before makes
//! necessary.
//!
//! ## Steps
//!
//! `cargo run --release --example ch14_backlog -- measure` times the first step, chapter 07's queue
//! and the backlog: two workers, interleaved runs, the best of nine.
//!
//! 1. A `VecDeque`, a mutex, and `notify_one` at each push. A job takes 4 to 10 times as long as
//!    with chapter 07's queue: each notify is a system call, mostly for nobody.
//! 2. Chapter 07 notifies only if somebody sleeps. But a worker that runs dry for a moment sleeps,
//!    and the next push must wake it: 20 µs for a job of one. So one worker at a time, the
//!    searcher, looks a few times more before it sleeps; while there is one, a push wakes nobody.
//! 3. Producers and workers meet at one lock for each job. So a worker takes the whole inbox, by a
//!    swap of two pointers, to a shelf of its own: the shared lock is taken once for many jobs. On
//!    two cores this gains nothing that can be measured: a lock that two threads seldom want at the
//!    same time costs 20 ns, and a job takes 50 to 100 ns either way. It is for more cores.
//! 4. A private shelf is a trap: its owner may wait for a job that lies on it. So others may take
//!    from a shelf, the older half at a time.
//! 5. A task that spawns a task pays the shared lock once more. So a worker's own job goes on its
//!    own shelf. If it then waits for that job, it does the work itself (chapter 13), and the job
//!    on the shelf has nothing left to do; the next push there drops it. `fib(25)`, a task for each
//!    call, takes three quarters of the memory.
//! 6. Then a worker whose jobs make jobs never looks into the inbox again. So a shelf is worked off
//!    in rounds, and each round ends at the inbox.
//!
//! ## Picture
//!
//! ```text
//!   from outside:  push ──(1)──▶ inbox ────┐ (3) end of a round: all of it,
//!                                          │ and half of a neighbour's shelf
//!                       ┌──────────────────┴───────────────┐
//!                       ▼                                  ▼
//!                shelf of worker 0                  shelf of worker 1
//!                       │  ▲                            │  ▲
//!              (2) next │  │ (4) push_own      (2) next │  │ (4) push_own
//!                       ▼  │                            ▼  │
//!                    worker 0                        worker 1
//!
//!   a worker that finds nothing:  searching (one at a time) ──▶ asleep
//!                                     ▲                           │
//!                                     └───── woken by a push ─────┘
//! ```
//!
//! ## Promises
//!
//! - I1. Each job leaves once: to one worker, or to `drain`.
//! - I2. Nobody sleeps beside a job: while jobs wait and workers sleep, one worker is searching.
//! - I3. No job waits without end while workers take jobs: a round takes what was on the shelf when
//!   it began, and then comes the inbox.
//! - I4. One worker alone takes the jobs of one pusher in their order.
//! - I5. A closed backlog accepts nothing, and gives out what is there.
//! - I6. No job is dropped under a lock.
//! - I7. `close_when_idle` closes it, and not while a worker has a job or a job waits.
//! - Not promised: an order between jobs from outside and a worker's own, which may overtake what
//!   is still in the inbox; an order between workers.
//!
//! ## The trap
//!
//! A push does not take the lock under which workers fall asleep, so it asks an atomic whether
//! somebody is idle. If a worker counted itself *after* its last look at the shelves, a job pushed
//! between the look and the count would find nobody to wake, and the worker would sleep beside it.
//! Here it counts first and looks then.
//!
//! The example has the wrong order: with two preemptions, 1 of 13 schedules ends so, and
//! `cargo run --example ch14_backlog -- 1001` replays it.
//!
//! ## Elsewhere
//!
//! - Python: one `SimpleQueue` for all threads, one lock.
//! - Java's `ForkJoinPool` and rayon: a lock-free deque for each worker; the owner takes the newest
//!   job, thieves the oldest. Fast for nested work, and unfair to what came first.
//! - tokio: a ring for each worker and one injector, which is asked after each 61st task.
//!
//! ## Try
//!
//! 1. Predict: one worker, four jobs in the inbox; the first pushes a job of its own, and then four
//!    more come from outside. In which order does the worker take them?
//! 2. Break: in `next`, let a round never end: write `if !shelf.jobs.is_empty()` for the test of
//!    `shelf.round`, and remove the line that counts it down. Which tests go red?
//! 3. Extend: write `work_off(workers, first, f)`. Threads call `f` with a job and with a way to
//!    push further jobs, and it returns when no job is left. Which method notices that?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::{fmt, mem, thread};

/// How often a worker that finds nothing looks again before it sleeps. To be put to sleep and woken
/// takes some 20 µs, a look under 1: a stream of small jobs is answered by looks.
const LOOKS: u32 = 20;

/// Where jobs wait for one of a fixed number of workers, and workers for a job.
///
/// # Examples
/// ```
/// use concurrent_explained::ch14_backlog::Backlog;
///
/// let backlog = Backlog::new(1);
/// backlog.push("first").unwrap();
/// backlog.push("second").unwrap();
/// assert_eq!(backlog.next(0), Some("first"));
/// backlog.close();
/// assert_eq!(backlog.push("third"), Err("third"));
/// assert_eq!((backlog.next(0), backlog.next(0)), (Some("second"), None));
/// ```
pub struct Backlog<J> {
    /// A worker without a job is on its way to this lock: it was woken, or it looks again before it
    /// sleeps. Lock order: this one, then shelves. Jobs go from shelf to shelf only under it.
    searching: Mutex<bool>,
    /// "There is a job", or "there will be none".
    news: Condvar,
    /// What comes from outside. A shelf that is nobody's own.
    inbox: Mutex<Shelf<J>>,
    /// What each worker has taken from the inbox, or pushed itself, and not begun. Others may take
    /// from it too: its owner may wait for what lies on it.
    shelves: Box<[Mutex<Shelf<J>>]>,
    /// Workers without a job, searching or asleep. Changed under the lock of `searching`.
    idle: AtomicUsize,
    /// With so many idle workers, and no job, the backlog closes (I7).
    all_idle: AtomicUsize,
    /// Nothing is accepted any more. Set under the lock of `searching`.
    closed: AtomicBool,
}

/// Alone on its cache lines: each is used by another thread. With this, four producers need 0.8 of
/// the time.
#[repr(align(128))]
struct Shelf<J> {
    /// Oldest first. What its worker pushes comes behind what it took.
    jobs: VecDeque<J>,
    /// How many of them the worker takes before it looks into the inbox again (I3).
    round: usize,
}

impl<J> Backlog<J> {
    /// An empty backlog for `workers` workers, which call themselves 0, 1, and so on.
    ///
    /// # Panics
    /// If there are to be no workers.
    #[track_caller]
    pub fn new(workers: usize) -> Self {
        assert!(workers > 0, "a backlog needs at least one worker");
        let shelf = || Mutex::new(Shelf { jobs: VecDeque::new(), round: 0 });
        Backlog {
            searching: Mutex::new(false),
            news: Condvar::new(),
            inbox: shelf(),
            shelves: (0..workers).map(|_| shelf()).collect(),
            idle: AtomicUsize::new(0),
            all_idle: AtomicUsize::new(usize::MAX),
            closed: AtomicBool::new(false),
        }
    }

    /// (1) Puts a job into the inbox.
    ///
    /// # Wakes
    /// A sleeping worker, unless one is searching.
    ///
    /// # Errors
    /// The job, if the backlog is closed.
    pub fn push(&self, job: J) -> Result<(), J> {
        self.put(&self.inbox, job, |_| false)
    }

    /// (4) Puts a job of worker `me` on its own shelf, without the lock that all share. If the
    /// newest job there `is_over`, it is forgotten: a worker that has done it elsewhere meanwhile
    /// leaves nothing behind. `is_over` is called under a lock, and must not block.
    ///
    /// # Wakes
    /// As [`Backlog::push`].
    ///
    /// # Errors
    /// The job, if the backlog is closed.
    pub fn push_own(&self, me: usize, job: J, is_over: impl Fn(&J) -> bool) -> Result<(), J> {
        self.put(&self.shelves[me], job, is_over)
    }

    fn put(&self, at: &Mutex<Shelf<J>>, job: J, is_over: impl Fn(&J) -> bool) -> Result<(), J> {
        let mut shelf = at.lock().unwrap();
        // Asked under the shelf's lock: a job that comes after a `drain`, or after the last look of
        // the last worker, would belong to nobody.
        if self.is_closed() {
            return Err(job); // (I5)
        }
        let newest_is_over = shelf.jobs.back().is_some_and(is_over);
        let over = if newest_is_over { shelf.jobs.pop_back() } else { None };
        shelf.jobs.push_back(job);
        drop(shelf);
        drop(over); // (I6)
        // A worker counts as idle before it looks at this shelf for the last time. So either that
        // look finds the job, or this one finds the sleeper (I2). `Relaxed` is enough: if its look
        // came first, the shelf's lock, which both have held, has made its count visible here.
        if self.idle.load(Ordering::Relaxed) > 0 {
            self.wake_one(self.searching.lock().unwrap());
        }
        Ok(())
    }

    /// Wakes a sleeper, unless somebody is searching: that one wakes the next if it finds more than
    /// it can take.
    fn wake_one(&self, mut searching: MutexGuard<'_, bool>) {
        // If nobody is searching, the idle workers are asleep.
        let wake = self.idle.load(Ordering::Relaxed) > 0 && !*searching;
        *searching |= wake;
        drop(searching);
        if wake {
            self.news.notify_one();
        }
    }

    /// The next job for worker `me`.
    ///
    /// # Blocks
    /// While there is no job. `None` once the backlog is closed and empty.
    pub fn next(&self, me: usize) -> Option<J> {
        let mut shelf = self.shelves[me].lock().unwrap();
        if shelf.round > 0 {
            shelf.round -= 1;
            return shelf.jobs.pop_front(); // (2) (I4)
        }
        drop(shelf);
        let (mut searching, mut i_search, mut looks) = (self.searching.lock().unwrap(), false, 0);
        self.idle.fetch_add(1, Ordering::Relaxed); // before the look: see `put`
        let job = loop {
            let job = self.restock(me);
            if job.is_some() || self.is_closed() {
                break job;
            }
            if self.idle.load(Ordering::Relaxed) == self.all_idle.load(Ordering::Relaxed) {
                self.closed.store(true, Ordering::Relaxed); // (I7)
                self.news.notify_all(); // under the lock: it is the last time, no need for speed
            } else if looks < LOOKS && (i_search || !*searching) {
                // One worker at a time looks a few times more before it sleeps. A push meanwhile
                // need not wake anybody.
                (*searching, i_search, looks) = (true, true, looks + 1);
                drop(searching);
                thread::yield_now();
                searching = self.searching.lock().unwrap();
            } else {
                *searching &= !i_search;
                searching = self.news.wait(searching).unwrap();
                (i_search, looks) = (true, 0); // in the name of its waker
            }
        };
        self.idle.fetch_sub(1, Ordering::Relaxed);
        *searching &= !i_search;
        if self.shelves.iter().any(|shelf| !shelf.lock().unwrap().jobs.is_empty()) {
            self.wake_one(searching); // for what this worker cannot take at once (I2)
        }
        job
    }

    /// Fills the shelf of `me` at the end of a round: with the older half of another worker's
    /// shelf, and with the whole inbox. Returns the first job.
    fn restock(&self, me: usize) -> Option<J> {
        let mut mine = self.shelves[me].lock().unwrap();
        for other in (0..self.shelves.len()).filter(|&other| other != me) {
            let mut theirs = self.shelves[other].lock().unwrap();
            let half = theirs.jobs.len().div_ceil(2);
            mine.jobs.extend(theirs.jobs.drain(..half));
            theirs.round = theirs.round.saturating_sub(half);
            if half > 0 {
                break;
            }
        }
        let mut inbox = self.inbox.lock().unwrap();
        if mine.jobs.is_empty() {
            mem::swap(&mut mine.jobs, &mut inbox.jobs); // (3)
        } else {
            mine.jobs.append(&mut inbox.jobs);
        }
        let job = mine.jobs.pop_front(); // (I1)
        mine.round = mine.jobs.len();
        job
    }

    /// Accepts no further job. What is there can still be taken.
    ///
    /// # Wakes
    /// Every worker: one that finds nothing ends.
    pub fn close(&self) {
        let searching = self.searching.lock().unwrap();
        self.closed.store(true, Ordering::Relaxed);
        drop(searching);
        self.news.notify_all();
    }

    /// Closes the backlog as soon as all `workers` that take from it wait for a job and there is
    /// none: from then on no job is left that could push another.
    pub fn close_when_idle(&self, workers: usize) {
        let searching = self.searching.lock().unwrap();
        self.all_idle.store(workers, Ordering::Relaxed);
        self.wake_one(searching); // if all are asleep already, one must see it
    }

    /// True once nothing is accepted any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Takes out every job that no worker has begun.
    pub fn drain(&self) -> Vec<J> {
        let searching = self.searching.lock().unwrap();
        let mut jobs = Vec::new();
        for shelf in self.shelves.iter().chain([&self.inbox]) {
            let mut shelf = shelf.lock().unwrap();
            shelf.round = 0;
            jobs.extend(shelf.jobs.drain(..));
        }
        drop(searching); // until here: no job goes from a shelf that is to come to one that was
        jobs
    }

    /// How many jobs wait here.
    pub fn waiting(&self) -> usize {
        let _searching = self.searching.lock().unwrap(); // as in `drain`
        let shelves = self.shelves.iter().chain([&self.inbox]);
        shelves.map(|shelf| shelf.lock().unwrap().jobs.len()).sum()
    }
}

// Plumbing

impl<J> fmt::Debug for Backlog<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backlog {{ idle: {}, .. }}", self.idle.load(Ordering::Relaxed))
    }
}
