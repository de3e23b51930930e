//! What the pool knows, and every decision it takes: no input, no output, no waiting, no thread.
//! All of it is under one lock. A thread that changes it asks [`State::next_order`] until there is
//! none.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::super::ch21_protocol::RECALL;
use super::super::ch23_process::Killer;
use super::call::Given;
use super::health::Health;
use super::queue::{Over, Queue};
use super::settings::Settings;
use super::worker::{Input, Life, Why, Worker};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::ThreadId;
use std::time::Instant;

/// What the pool knows. `I` is the end of a pipe, and what that is does not matter here.
pub(super) struct State<I> {
    settings: Arc<Settings>,
    /// The time of the last piece of news.
    pub(super) now: Instant,
    pub(super) queue: Queue,
    health: Health,
    /// One for each process that is not reaped.
    workers: Vec<Worker<I>>,
    /// The number of the youngest worker.
    youngest: u64,
    /// What the last look at the time asks for.
    due: Vec<Order<I>>,
    /// Somebody looks at the time.
    pub(super) has_clock: bool,
}

/// What is to be done next, outside of the lock.
pub(super) enum Order<I> {
    /// Start a process, and a thread that looks after it.
    Start { number: u64, index: usize },
    /// Write lines to a worker, and give the input back: see [`State::written`].
    Write { number: u64, input: I, lines: Arc<String> },
    /// Drop the end of a pipe: the worker has nothing to do any more, and exits.
    Close(I),
    /// End a worker whose reader is held up at its pipe.
    Replace { number: u64, thread: ThreadId },
}

impl<I> State<I> {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        State {
            settings,
            now: Instant::now(),
            queue: Queue::default(),
            health: Health::default(),
            workers: Vec::new(),
            youngest: 0,
            due: Vec::new(),
            has_clock: false,
        }
    }

    pub(super) fn worker(&mut self, number: u64) -> Option<&mut Worker<I>> {
        self.workers.iter_mut().find(|worker| worker.number == number)
    }

    /// The processes that run.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(Worker::pid).collect()
    }

    /// What is to be done next? `reader` is the worker whose answers the asking thread reads. Only
    /// that thread sends more to a worker that is busy: if everybody did, each write would carry
    /// one request.
    pub(super) fn next_order(&mut self, reader: Option<u64>) -> Option<Order<I>> {
        if let Some(order) = self.due.pop() {
            return Some(order);
        }
        let (now, most) = (self.now, self.settings.max_tasks);
        // First those that are there: a process is started only for what they have no room for.
        for worker in &mut self.workers {
            let asks = reader == Some(worker.number) && worker.ledger.wants_more();
            let open = worker.is_open(most) && (worker.ledger.is_empty() || asks);
            if open && self.queue.len() > 0 {
                if let Some(lines) = worker.fill(&mut self.queue, most, now) {
                    let input = worker.take_input(Input::Writing(now))?;
                    return Some(Order::Write { number: worker.number, input, lines });
                }
            }
        }
        // Then those that are not needed: all of them at the end, and any that has done its share.
        let is_over = self.is_over();
        let may_leave = |it: &&mut Worker<I>| it.can_leave() && (is_over || it.served >= most);
        if let Some(worker) = self.workers.iter_mut().find(may_leave) {
            worker.leave(Why::Left, now);
            return worker.take_input(Input::Closed).map(Order::Close);
        }
        if !self.needs_a_worker() {
            return None;
        }
        let taken = |index: &usize| self.workers.iter().any(|worker| worker.index == *index);
        let index = (0..).find(|index| !taken(index))?;
        // The record is there before the process: the next one to ask counts it.
        self.youngest += 1;
        self.workers.push(Worker::new(self.youngest, index, now));
        Some(Order::Start { number: self.youngest, index })
    }

    /// Calls wait, and another process may be started for them. (I7)
    fn needs_a_worker(&self) -> bool {
        let starting = |worker: &&Worker<I>| matches!(worker.life, Life::Starting(_));
        let starting = self.workers.iter().filter(starting).count();
        // Each that is starting will take a call: only what waits beyond those needs another.
        let waits = self.queue.len() > starting && self.workers.len() < self.settings.workers;
        waits && self.health.allows_a_start(self.is_served())
    }

    /// Some worker is at work.
    fn is_served(&self) -> bool {
        self.workers.iter().any(|worker| matches!(worker.life, Life::Serving))
    }

    /// Nothing is left to do, and nothing can come: no call waits, or is with a worker that may
    /// die of it.
    fn is_over(&self) -> bool {
        let idle = || self.workers.iter().all(|worker| worker.ledger.is_empty());
        self.queue.is_closed() && self.queue.len() == 0 && idle()
    }

    /// A worker's process has been started.
    pub(super) fn started(
        &mut self,
        number: u64,
        input: I,
        process: Killer,
        at_pipe: Arc<AtomicBool>,
    ) {
        let Some(worker) = self.worker(number) else { return };
        if let Life::Killed(_) = worker.life {
            process.kill();
        }
        (worker.input, worker.process) = (Input::Here(input), Some(process));
        worker.at_pipe = at_pipe;
    }

    /// A worker has said that it is ready, and how many requests it reads ahead.
    pub(super) fn ready(&mut self, number: u64, ahead: usize) {
        self.health.started();
        let Some(worker) = self.worker(number) else { return };
        worker.ledger.reads_ahead(ahead);
        if let Life::Starting(_) = worker.life {
            worker.life = Life::Serving;
        }
    }

    /// A write has come to its end. If not all of it is in the pipe, the worker has closed its
    /// input.
    pub(super) fn written(&mut self, number: u64, input: I, all: bool) {
        let now = self.now;
        let Some(worker) = self.worker(number) else { return };
        worker.input = Input::Closed; // unless it goes on, below; then the input is given back
        if all {
            worker.ledger.written();
        } else {
            worker.leave(Why::Gone("it closed its input"), now);
        }
        if let Life::Serving = worker.life {
            worker.input = Input::Here(input);
        }
    }

    /// A worker has answered: the call, and how many it still has. `None` if nobody reads that
    /// worker any more.
    ///
    /// # Errors
    /// What is wrong with the answer. (I1)
    pub(super) fn answered(&mut self, number: u64, id: u64) -> Result<Option<(Given, usize)>, Why> {
        let now = self.now;
        let Some(worker) = self.worker(number) else { return Ok(None) };
        let given = worker.ledger.answered(id, now).map_err(Why::Unfit)?;
        let left = worker.ledger.len();
        // A worker that answers is the proof that workers can: what was counted before is
        // forgotten.
        self.health.answered();
        Ok(Some((given, left)))
    }

    /// A worker gives a call back. It may be over.
    ///
    /// # Errors
    /// As [`State::answered`].
    pub(super) fn returned(&mut self, number: u64, id: u64) -> Result<Option<Over>, Why> {
        let now = self.now;
        let Some(worker) = self.worker(number) else { return Ok(None) };
        let (given, kill) = worker.ledger.returned(id, now).map_err(Why::Unfit)?;
        worker.served -= 1; // it was sent and not run: that does not count for `max_tasks`
        Ok(self.queue.take_back(given, kill))
    }

    /// Has a call stopped that a worker has, when its turn comes. False if none has it.
    pub(super) fn stop(&mut self, id: u64) -> bool {
        self.workers.iter_mut().any(|worker| worker.ledger.kill(id))
    }

    /// Call `id` is not over.
    pub(super) fn has(&self, id: u64) -> bool {
        self.queue.place(id).is_some() || self.workers.iter().any(|it| it.ledger.has(id))
    }

    /// Kills every worker.
    pub(super) fn kill_all(&mut self) {
        self.workers.iter_mut().for_each(Worker::stop);
    }

    /// Looks at the time. (I8)
    pub(super) fn tick(&mut self) {
        let now = self.now;
        self.health.tick(now);
        for worker in &mut self.workers {
            let number = worker.number;
            if worker.tick(now, &self.settings) {
                if let Some(input) = worker.take_input(Input::Writing(now)) {
                    worker.ledger.recalled(now);
                    let lines = Arc::new(format!("{RECALL}\n"));
                    self.due.push(Order::Write { number, input, lines });
                }
            }
            let held_up = worker.held_up(now);
            self.due.extend(held_up.map(|thread| Order::Replace { number, thread }));
        }
    }

    /// Something is due, or may be soon: somebody must look at the time.
    pub(super) fn is_restless(&self) -> bool {
        self.health.pauses() || self.workers.iter().any(Worker::is_restless)
    }

    /// True if a clock is to be started. From here on there is one.
    pub(super) fn needs_a_clock(&mut self) -> bool {
        let needs = !self.has_clock && self.is_restless();
        self.has_clock |= needs;
        needs
    }

    /// The process of worker `number` is reaped. Its task, if it ran one, pays; the others wait
    /// again. If this was too much, the pool is broken, and all that wait are over too. (I2, I7)
    pub(super) fn reaped(&mut self, number: u64, status: Option<ExitStatus>) -> Vec<Over> {
        let Some(place) = self.workers.iter().position(|worker| worker.number == number) else {
            return Vec::new();
        };
        let accounts = self.workers.remove(place).end(status);
        // An end that we asked for says nothing about the health of workers.
        let broken = match (accounts.why, &accounts.last) {
            (Why::NotReady(cause), _) => {
                self.health.start_failed(cause, self.is_served(), self.now)
            }
            (Why::Gone(_) | Why::Unfit(_), Some(death)) => {
                self.health.died(number, self.youngest, self.settings.max_deaths, death)
            }
            _ => None,
        };
        let mut over = Vec::new();
        if let Some(cause) = broken {
            let broken = Error::Broken { cause: cause.into() };
            over = self.queue.close(broken.clone(), Some(broken));
        }
        // The victim is told after that: a caller that hears of it finds the pool broken.
        over.extend(accounts.victim);
        let back = accounts.back.into_iter();
        over.extend(back.filter_map(|(given, kill)| self.queue.take_back(given, kill)));
        over
    }
}
