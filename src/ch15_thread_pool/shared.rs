//! What the workers share: the backlog, the count that decides when one more starts, the end.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::{Error, catch, report};
use super::super::ch13_task::{Job, PoolId};
use super::super::ch14_backlog::Backlog;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::{iter, mem};

/// What the user wants of a pool.
pub(super) struct Settings {
    pub(super) workers: usize,
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    pub(super) initializer: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// What the workers know of their pool. Not the handle: they would keep it from being dropped.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) backlog: Backlog<Arc<dyn Job>>,
    /// Each task carries it too: a worker that has entered this pool may run what it waits for (I4,
    /// I5).
    pub(super) id: PoolId,
    /// Threads that were started; it never shrinks.
    started: AtomicUsize,
    /// Tasks that are queued or running. Counted until all threads are started: nobody asks
    /// afterwards.
    under_way: AtomicUsize,
    /// Every thread that was started and nobody has joined.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held while threads are joined. Not `threads`: a task may want to start one meanwhile.
    joining: Mutex<()>,
    /// Why the pool is broken. The first cause stays.
    broken: OnceLock<Error>,
}

thread_local! {
    /// Which worker of its pool this thread is. A fresh stack of a worker is none.
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Shared {
    /// No thread yet.
    pub(super) fn new(settings: Settings) -> Self {
        Shared {
            backlog: Backlog::new(settings.workers),
            settings,
            id: PoolId::new(),
            started: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            threads: Mutex::default(),
            joining: Mutex::default(),
            broken: OnceLock::new(),
        }
    }

    /// Queues a job, or fails it; first starts a worker for it if all that there are have something
    /// to do.
    pub(super) fn accept(self: &Arc<Self>, job: Arc<dyn Job>) {
        if self.is_growing() {
            let others = self.under_way.fetch_add(1, Ordering::Relaxed);
            if others >= self.started.load(Ordering::Relaxed) {
                // Before the job is queued. After it, a shutdown could come between the two, join
                // the threads there are, none, and leave the job behind (I1).
                self.start_one();
            }
        }
        let queued = if self.id.is_here() && NUMBER.get() < self.settings.workers {
            // Its future read by somebody, its work gone: only this entry still holds it.
            let is_over = |job: &Arc<dyn Job>| Arc::strong_count(job) == 1 && job.is_stale();
            self.backlog.push_own(NUMBER.get(), job, is_over)
        } else {
            self.backlog.push(job)
        };
        if let Err(job) = queued {
            job.fail(self.broken.get().cloned().unwrap_or(Error::ShutDown)); // (I7)
        }
    }

    fn is_growing(&self) -> bool {
        self.started.load(Ordering::Relaxed) < self.settings.workers
    }

    /// Starts one more worker, if there is still need of it. If it cannot, those there are will get
    /// to the work; if there are none, the pool is broken.
    fn start_one(self: &Arc<Self>) {
        let mut threads = self.threads.lock().unwrap();
        let number = self.started.load(Ordering::Relaxed);
        // Asked under the lock: after `close`, `join` finds every thread in the list.
        let is_needed = self.under_way.load(Ordering::Relaxed) > number && self.is_growing();
        if !is_needed || self.backlog.is_closed() {
            return;
        }
        let mut thread = thread::Builder::new().name(format!("{}_{number}", self.settings.name));
        if let Some(bytes) = self.settings.stack_size {
            thread = thread.stack_size(bytes);
        }
        let shared = self.clone();
        let spawned = thread.spawn(move || shared.work(number));
        match spawned {
            Ok(thread) => {
                threads.push(thread);
                self.started.store(number + 1, Ordering::Relaxed);
            }
            Err(cause) if number == 0 => {
                drop(threads);
                self.break_by(format!("no worker could be started: {cause}"));
            }
            Err(_) => {}
        }
    }

    /// The life of worker `number`. It outlives what it runs: no panic leaves `run` (I3).
    fn work(self: &Arc<Self>, number: usize) {
        // Before any foreign code: an initializer that shuts the pool down must not join its own
        // thread.
        let shared = self.clone();
        self.id.enter_with(Arc::new(move || shared.initialize().is_ok()));
        NUMBER.set(number);
        if let Err(cause) = self.initialize() {
            return self.break_by(cause);
        }
        for job in iter::from_fn(|| self.backlog.next(number)) {
            // (2), (3) I2: the worker is free when no foreign code of its task is left, and before
            // anybody hears of the task's end. Said later, the next `spawn` of a thread that heard
            // of it would find this worker busy and start another; said earlier, a callback that
            // blocks would keep the next task from getting a thread.
            job.run(&|| {
                if self.is_growing() {
                    self.under_way.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
    }

    fn initialize(&self) -> Result<(), String> {
        catch(&self.settings.initializer).unwrap_or_else(|panic| Err(panic.to_string()))
    }

    fn break_by(&self, cause: String) {
        let broken = Error::Broken { cause: cause.into() };
        report("the start of a worker", Err(broken.clone()));
        let _ = self.broken.set(broken.clone()); // before the end: a refused `accept` asks for it
        self.end(&broken);
    }

    /// Accepts no more work, and ends every queued job with `error`.
    pub(super) fn end(&self, error: &Error) {
        // First closed, then drained: a job that came between the two would belong to nobody (I1).
        // And a thread that sees a future fail finds the pool closed.
        self.backlog.close();
        for job in self.backlog.drain() {
            job.fail(error.clone());
        }
    }

    pub(super) fn join(&self) {
        if self.id.is_here() {
            return; // this worker would wait for its own end, and others may wait for its task
        }
        let turn = self.joining.lock().unwrap(); // I6: a second caller waits as long as the first
        let threads = mem::take(&mut *self.threads.lock().unwrap());
        for thread in threads {
            drop(thread.join());
        }
        drop(turn);
    }
}
