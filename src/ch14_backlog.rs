//! HEADER

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
    /// Lock order: the inbox, then shelves; two shelves only under the inbox's lock.
    inbox: Mutex<Inbox<J>>,
    /// "There is a job", or "there will be none".
    news: Condvar,
    /// What each worker has taken from the inbox, or pushed itself, and not begun. Others may take
    /// from it too: its owner may wait for what lies on it.
    shelves: Box<[Mutex<Shelf<J>>]>,
    /// Workers asleep. Changed under the inbox's lock, read without it.
    asleep: AtomicUsize,
    /// Nothing is accepted any more. Set under the inbox's lock, read without it.
    closed: AtomicBool,
}

struct Inbox<J> {
    jobs: VecDeque<J>,
    /// A worker without a job is on its way to this lock: it was woken, or it looks again before it
    /// sleeps.
    searching: bool,
}

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
        let shelf = |_| Mutex::new(Shelf { jobs: VecDeque::new(), round: 0 });
        Backlog {
            inbox: Mutex::new(Inbox { jobs: VecDeque::new(), searching: false }),
            news: Condvar::new(),
            shelves: (0..workers).map(shelf).collect(),
            asleep: AtomicUsize::new(0),
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
        let mut inbox = self.inbox();
        if self.is_closed() {
            return Err(job);
        }
        inbox.jobs.push_back(job);
        self.wake_one(inbox);
        Ok(())
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
        let mut shelf = self.shelf(me);
        // Asked under the shelf's lock: a job that comes after a `drain` would belong to nobody.
        if self.is_closed() {
            return Err(job);
        }
        let newest_is_over = shelf.jobs.back().is_some_and(is_over);
        let over = if newest_is_over { shelf.jobs.pop_back() } else { None };
        shelf.jobs.push_back(job);
        drop(shelf);
        drop(over);
        // A worker counts as asleep before it looks at this shelf for the last time. So either that
        // look finds the job, or this one finds the sleeper (I2).
        if self.asleep.load(Ordering::Relaxed) > 0 {
            self.wake_one(self.inbox());
        }
        Ok(())
    }

    /// Wakes a sleeper, unless somebody is searching: that one wakes the next if it finds more than
    /// it can take.
    fn wake_one(&self, mut inbox: MutexGuard<'_, Inbox<J>>) {
        let wake = self.asleep.load(Ordering::Relaxed) > 0 && !inbox.searching;
        inbox.searching |= wake;
        drop(inbox);
        if wake {
            self.news.notify_one();
        }
    }

    /// (2) The next job for worker `me`.
    ///
    /// # Blocks
    /// While there is no job. `None` once the backlog is closed and empty.
    pub fn next(&self, me: usize) -> Option<J> {
        let mut shelf = self.shelf(me);
        if shelf.round > 0 {
            shelf.round -= 1;
            if let Some(job) = shelf.jobs.pop_front() {
                return Some(job);
            }
        }
        drop(shelf);
        let mut inbox = self.inbox();
        let (mut searching, mut looks) = (false, 0);
        loop {
            let (job, more) = self.restock(me, &mut inbox);
            if job.is_some() || self.is_closed() {
                if searching {
                    inbox.searching = false;
                }
                if more {
                    self.wake_one(inbox);
                }
                return job;
            }
            // One worker at a time looks a few times more before it sleeps. A push meanwhile need
            // not wake anybody.
            if !inbox.searching {
                inbox.searching = true;
                searching = true;
            }
            if searching && looks < LOOKS {
                looks += 1;
                drop(inbox);
                thread::yield_now();
                inbox = self.inbox();
                continue;
            }
            if searching {
                inbox.searching = false;
            }
            self.asleep.fetch_add(1, Ordering::Relaxed);
            // Once more, now counted as asleep: see `push_own`.
            searching = self.shelves.iter().all(|shelf| shelf.lock().unwrap().jobs.is_empty());
            if searching {
                inbox = self.news.wait(inbox).unwrap(); // and goes on searching for its waker
            }
            self.asleep.fetch_sub(1, Ordering::Relaxed);
            looks = 0;
        }
    }

    /// (3) Fills the shelf of `me` at the end of a round: with the older half of another worker's
    /// shelf, and with the whole inbox. Says whether there is more than the one job it returns.
    fn restock(&self, me: usize, inbox: &mut Inbox<J>) -> (Option<J>, bool) {
        let mut mine = self.shelf(me);
        let (mut stolen, mut elsewhere) = (0, false);
        for other in (0..self.shelves.len()).filter(|&other| other != me) {
            let mut theirs = self.shelf(other);
            if stolen == 0 {
                stolen = theirs.jobs.len().div_ceil(2);
                mine.jobs.extend(theirs.jobs.drain(..stolen));
                theirs.round = theirs.round.saturating_sub(stolen);
            }
            elsewhere |= !theirs.jobs.is_empty();
        }
        if mine.jobs.is_empty() {
            mem::swap(&mut mine.jobs, &mut inbox.jobs);
        } else {
            mine.jobs.append(&mut inbox.jobs);
        }
        let job = mine.jobs.pop_front();
        mine.round = mine.jobs.len();
        (job, elsewhere || mine.round > 0)
    }

    /// Accepts no further job. What is there can still be taken.
    ///
    /// # Wakes
    /// Every worker: one that finds nothing ends.
    pub fn close(&self) {
        let inbox = self.inbox();
        self.closed.store(true, Ordering::Relaxed);
        drop(inbox);
        self.news.notify_all();
    }

    /// True once nothing is accepted any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Takes out every job that no worker has begun.
    pub fn drain(&self) -> Vec<J> {
        let mut inbox = self.inbox();
        let mut jobs: Vec<_> = inbox.jobs.drain(..).collect();
        for shelf in &self.shelves {
            jobs.extend(shelf.lock().unwrap().jobs.drain(..));
        }
        jobs
    }

    /// How many jobs wait here.
    pub fn waiting(&self) -> usize {
        let inbox = self.inbox();
        let shelved = self.shelves.iter().map(|shelf| shelf.lock().unwrap().jobs.len());
        inbox.jobs.len() + shelved.sum::<usize>()
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox<J>> {
        self.inbox.lock().unwrap()
    }

    fn shelf(&self, worker: usize) -> MutexGuard<'_, Shelf<J>> {
        self.shelves[worker].lock().unwrap()
    }
}

// Plumbing

impl<J> fmt::Debug for Backlog<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workers, asleep) = (self.shelves.len(), self.asleep.load(Ordering::Relaxed));
        f.debug_struct("Backlog")
            .field("workers", &workers)
            .field("asleep", &asleep)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
