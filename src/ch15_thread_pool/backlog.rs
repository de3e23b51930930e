//! Where jobs wait for a worker: one inbox for all, and a shelf for each.

use super::super::ch09_outcome::Error;
use super::super::ch13_task::Job;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::{io, mem, thread};

type Jobs = VecDeque<Arc<dyn Job>>;

/// How often a worker that finds nothing looks again before it sleeps: a few microseconds in all.
const LOOKS: u32 = 20;

/// The jobs of one pool.
///
/// Lock order: `inbox`, then shelves. Jobs come onto a shelf only under the inbox's lock, so whoever holds that lock and
/// finds everything empty knows it is.
pub(super) struct Backlog {
    inbox: Mutex<Inbox>,
    /// "There is a job", or "there will be none".
    news: Condvar,
    /// What each worker has taken from the inbox and not begun. Others may take from it too.
    shelves: Box<[Mutex<Jobs>]>,
}

struct Inbox {
    jobs: Jobs,
    /// Why no job is accepted any more.
    closed: Option<Error>,
    /// Workers started so far; it never shrinks.
    started: usize,
    /// Workers in the middle of a job. Counted only until the pool is full: nobody asks afterwards.
    busy: usize,
    asleep: usize,
    /// A worker without a job is on its way to this lock: it was woken, or it looks again before it sleeps.
    searching: bool,
}

impl Backlog {
    pub(super) fn new(workers: usize) -> Self {
        let inbox = Inbox {
            jobs: Jobs::new(),
            closed: None,
            started: 0,
            busy: 0,
            asleep: 0,
            searching: false,
        };
        let shelves = (0..workers).map(|_| Mutex::default()).collect();
        Backlog { inbox: Mutex::new(inbox), news: Condvar::new(), shelves }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap()
    }

    /// Queues `job`, and calls `start` for a further worker if all that there are have something to do.
    ///
    /// # Errors
    /// Why the backlog is closed, or that there is no worker and none could be started. The job comes back.
    pub(super) fn push(
        &self,
        job: Arc<dyn Job>,
        start: impl FnOnce(usize) -> io::Result<()>,
    ) -> Result<(), (Arc<dyn Job>, Error)> {
        let mut inbox = self.inbox();
        if let Some(why) = &inbox.closed {
            return Err((job, why.clone()));
        }
        if inbox.started < self.shelves.len() && inbox.jobs.len() >= inbox.started - inbox.busy {
            match start(inbox.started) {
                Ok(()) => inbox.started += 1,
                Err(cause) if inbox.started == 0 => {
                    let cause = format!("no worker could be started: {cause}").into();
                    return Err((job, Error::Broken { cause }));
                }
                Err(_) => {} // those there are will get to it
            }
        }
        inbox.jobs.push_back(job);
        self.wake_one(inbox);
        Ok(())
    }

    /// Wakes a sleeper, unless somebody is searching: that one wakes the next if it finds more than it can take.
    fn wake_one(&self, mut inbox: MutexGuard<'_, Inbox>) {
        let wake = inbox.asleep > 0 && !mem::replace(&mut inbox.searching, true);
        drop(inbox);
        if wake {
            self.news.notify_one();
        }
    }

    /// The next job for worker `me`, and whether the worker counts as busy with it: then it owes an `idle_again`.
    ///
    /// # Blocks
    /// While there is no job. `None` once the backlog is closed and empty.
    pub(super) fn next(&self, me: usize) -> Option<(Arc<dyn Job>, bool)> {
        let shelved = self.shelves[me].lock().unwrap().pop_front();
        if let Some(job) = shelved {
            return Some((job, false));
        }
        let mut inbox = self.inbox();
        let (mut searching, mut looks) = (false, 0);
        loop {
            let growing = inbox.started < self.shelves.len();
            let (job, left) = if growing { inbox.take_one() } else { self.restock(me, &mut inbox) };
            if job.is_some() || inbox.closed.is_some() {
                inbox.searching &= !searching;
                if left {
                    self.wake_one(inbox);
                }
                return job.map(|job| (job, growing));
            }
            // A sleeper costs its waker a system call and itself a slow start, so one worker at a time looks a few times
            // more before it sleeps. Whoever pushes meanwhile need not wake anybody.
            searching = searching || !mem::replace(&mut inbox.searching, true);
            if searching && looks < LOOKS {
                looks += 1;
                drop(inbox);
                thread::yield_now();
                inbox = self.inbox();
                continue;
            }
            inbox.searching &= !searching;
            inbox.asleep += 1;
            inbox = self.news.wait(inbox).unwrap();
            inbox.asleep -= 1;
            (searching, looks) = (true, 0); // in the name of whoever woke it
        }
    }

    /// Fills the empty shelf of `me`: with the older half of another worker's shelf, else with the whole inbox. Older
    /// jobs first, or a job behind a long one could wait for ever while the inbox is kept busy.
    ///
    /// A shelf nobody else may take from would be a trap: its owner may wait for what lies on it.
    fn restock(&self, me: usize, inbox: &mut Inbox) -> (Option<Arc<dyn Job>>, bool) {
        let mut mine = self.shelves[me].lock().unwrap();
        let mut elsewhere = false;
        for other in (0..self.shelves.len()).filter(|&other| other != me) {
            let mut theirs = self.shelves[other].lock().unwrap();
            if mine.is_empty() {
                let half = theirs.len().div_ceil(2);
                mine.extend(theirs.drain(..half));
            }
            elsewhere |= !theirs.is_empty();
        }
        if mine.is_empty() {
            mem::swap(&mut *mine, &mut inbox.jobs);
        }
        let job = mine.pop_front();
        (job, elsewhere || !mine.is_empty() || !inbox.jobs.is_empty())
    }

    /// The worker has finished the job it was counted for, and nobody has heard of it yet: so whoever hears of it and
    /// submits the next job finds an idle worker, and starts no other.
    pub(super) fn idle_again(&self) {
        self.inbox().busy -= 1;
    }

    /// Accepts no further job, because of `why`; a broken pool stays broken by what broke it first. What is queued stays queued.
    pub(super) fn close(&self, why: Error) {
        let mut inbox = self.inbox();
        match inbox.closed {
            Some(Error::Broken { .. }) => {}
            Some(_) if why == Error::ShutDown => {}
            _ => inbox.closed = Some(why),
        }
        drop(inbox);
        self.news.notify_all();
    }

    /// Takes out every job that no worker has begun.
    pub(super) fn drain(&self) -> Vec<Arc<dyn Job>> {
        let mut inbox = self.inbox();
        let mut jobs: Vec<_> = inbox.jobs.drain(..).collect();
        for shelf in &self.shelves {
            jobs.extend(shelf.lock().unwrap().drain(..));
        }
        jobs
    }
}

impl Inbox {
    fn take_one(&mut self) -> (Option<Arc<dyn Job>>, bool) {
        let job = self.jobs.pop_front();
        self.busy += usize::from(job.is_some());
        (job, !self.jobs.is_empty())
    }
}
