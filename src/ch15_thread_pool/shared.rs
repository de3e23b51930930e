//! What the workers share: the backlog, the count that decides when one more starts, the end.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::{Error, catch, report};
use super::super::ch13_task::{Job, PoolId};
use super::super::ch14_backlog::Backlog;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::{io, iter};

/// What the workers know of their pool. Not the handle: they would keep it from being dropped.
pub(super) struct Shared {
    pub(super) backlog: Backlog<Arc<dyn Job>>,
    /// Each task carries it too: a worker that has entered this pool may run what it waits for (I4,
    /// I5).
    pub(super) id: PoolId,
    pub(super) name: String,
    pub(super) workers: usize,
    stack_size: Option<usize>,
    initializer: Option<Initializer>,
    /// Threads that were started; it never shrinks.
    started: AtomicUsize,
    /// Tasks that are queued or running. Counted until all threads are started: nobody asks
    /// afterwards.
    under_way: AtomicUsize,
    /// Every thread that was started and nobody has joined.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held while threads are joined. Not `threads`: a task may want to start one meanwhile.
    joining: Mutex<()>,
    /// Why no work is accepted any more.
    closed: Mutex<Option<Error>>,
}

pub(super) type Initializer = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

thread_local! {
    /// Which worker of its pool this thread is.
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Shared {
    /// No thread yet.
    pub(super) fn new(
        workers: usize,
        name: String,
        stack_size: Option<usize>,
        initializer: Option<Initializer>,
    ) -> Self {
        Shared {
            backlog: Backlog::new(workers),
            id: PoolId::new(),
            name,
            workers,
            stack_size,
            initializer,
            started: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            threads: Mutex::default(),
            joining: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    /// Queues a job; first starts a worker for it if all that there are have something to do.
    pub(super) fn accept(self: &Arc<Self>, job: Arc<dyn Job>) -> Result<(), (Arc<dyn Job>, Error)> {
        if self.is_growing() {
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            if under_way > self.started.load(Ordering::Relaxed) {
                // Before the job is queued: between a queued job and a start that fails there would
                // be a moment in which the job is refused and may run all the same.
                if let Err(cause) = self.start_one() {
                    self.under_way.fetch_sub(1, Ordering::Relaxed);
                    let cause = format!("no worker could be started: {cause}").into();
                    return Err((job, Error::Broken { cause }));
                }
            }
            return self.backlog.push(job).map_err(|job| (job, self.reason()));
        }
        let queued = if self.id.is_here() && NUMBER.get() < self.workers {
            // Its future read by somebody, its work gone: only this entry still holds it.
            let is_over = |job: &Arc<dyn Job>| Arc::strong_count(job) == 1 && job.is_stale();
            self.backlog.push_own(NUMBER.get(), job, is_over)
        } else {
            self.backlog.push(job)
        };
        queued.map_err(|job| (job, self.reason()))
    }

    fn is_growing(&self) -> bool {
        self.started.load(Ordering::Relaxed) < self.workers
    }

    /// Starts one more worker, if there is still need of it.
    ///
    /// # Errors
    /// If there is none and none could be started. If there are some, they will get to it.
    fn start_one(self: &Arc<Self>) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap();
        let number = self.started.load(Ordering::Relaxed);
        // Asked under the lock: after `close`, `join` finds every thread in the list.
        let needed = self.under_way.load(Ordering::Relaxed) > number && number < self.workers;
        if !needed || self.backlog.is_closed() {
            return Ok(());
        }
        let mut thread = thread::Builder::new().name(format!("{}_{number}", self.name));
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let shared = self.clone();
        match thread.spawn(move || shared.work(number)) {
            Ok(thread) => threads.push(thread),
            Err(cause) if number == 0 => return Err(cause),
            Err(_) => return Ok(()),
        }
        self.started.store(number + 1, Ordering::Relaxed);
        Ok(())
    }

    /// The life of worker `number`. It outlives what it runs: no panic leaves `run` (I3).
    fn work(self: &Arc<Self>, number: usize) {
        // Before any foreign code: an initializer that shuts the pool down must not join its own
        // thread.
        let shared = self.clone();
        let prepare = move || {
            NUMBER.set(number);
            shared.initialize().is_ok()
        };
        self.id.enter_with(Arc::new(prepare));
        NUMBER.set(number);
        if let Err(cause) = self.initialize() {
            let broken = Error::Broken { cause: cause.into() };
            report("a worker's initializer", Err(broken.clone()));
            return self.end(broken.clone(), &broken);
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
        let Some(initializer) = &self.initializer else { return Ok(()) };
        catch(initializer).unwrap_or_else(|panic| Err(panic.to_string()))
    }

    /// Accepts no more work because of `why`. A broken pool stays broken by what broke it first
    /// (I7).
    pub(super) fn close(&self, why: Error) {
        let mut closed = self.closed.lock().unwrap();
        match &*closed {
            Some(Error::Broken { .. }) => {}
            Some(_) if why == Error::ShutDown => {}
            _ => *closed = Some(why),
        }
        drop(closed);
        self.backlog.close(); // after the reason is there: it is asked for by a refused `spawn`
    }

    fn reason(&self) -> Error {
        self.closed.lock().unwrap().clone().unwrap_or(Error::ShutDown)
    }

    /// Closes the pool because of `why`, and ends every queued job with `error`.
    pub(super) fn end(&self, why: Error, error: &Error) {
        // First closed, then drained: a job that came between the two would belong to nobody (I1).
        // And a thread that sees a future fail finds the pool closed.
        self.close(why);
        for job in self.backlog.drain() {
            job.fail(error.clone());
        }
    }

    pub(super) fn join(&self) {
        if self.id.is_here() {
            return; // this worker would wait for its own end, and others may wait for its task
        }
        let turn = self.joining.lock().unwrap(); // I6: a second caller waits as long as the first
        loop {
            let last = self.threads.lock().unwrap().pop();
            match last {
                Some(thread) => drop(thread.join()),
                None => break,
            }
        }
        drop(turn);
    }
}
