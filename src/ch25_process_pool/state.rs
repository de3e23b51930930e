//! What the pool knows, and every decision it takes: no input, no output, no waiting, no thread.
//! All of it is under one lock. Whoever changes it asks [`State::next_order`] until there is none.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::super::ch23_process::Killer;
use super::super::ch24_in_flight::PIPE_BYTES;
use super::call::Given;
use super::health::Health;
use super::queue::{Over, Queue};
use super::settings::Settings;
use super::worker::{Gauge, Input, Life, Why, Worker};
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Instant;

/// One write carries at most so many bytes, unless a single request is longer.
const ONE_WRITE: usize = 4096;

/// What the pool knows. `I` is the end of a pipe, and what that is does not matter here.
pub(super) struct State<I> {
    pub(super) queue: Queue,
    health: Health,
    /// One for each process that is not reaped.
    pub(super) workers: Vec<Worker<I>>,
    /// The number of the youngest worker.
    youngest: u64,
    /// How many writes were ordered.
    pub(super) sent: u64,
    /// The clock sleeps until it is woken: nothing was due when it looked.
    pub(super) clock_sleeps: bool,
}

/// What is to be done next, outside of the lock.
pub(super) enum Order<I> {
    /// Start a process, and a thread that looks after it.
    Start { number: u64, index: usize },
    /// Write lines to a worker, and give the input back: see [`State::written`].
    Write { number: u64, input: I, lines: Lines },
    /// Drop the end of a pipe: the worker has nothing to do any more, and exits.
    Close(I),
    /// Kill a process.
    Kill(Killer),
    /// End a worker whose reader is held up at its pipe.
    Replace { number: u64, thread: ThreadId },
}

/// What is written to a worker.
pub(super) enum Lines {
    /// A few requests, for which there is room in the pipe.
    Short(String),
    /// A request that may fill the pipe, so that its writer waits for the worker.
    Long(Arc<String>),
    /// The call for those that were not begun.
    Recall,
}

impl<I> State<I> {
    pub(super) fn new() -> Self {
        let (queue, health) = (Queue::default(), Health::default());
        State { queue, health, workers: Vec::new(), youngest: 0, sent: 0, clock_sleeps: false }
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
    pub(super) fn next_order(
        &mut self,
        settings: &Settings,
        reader: Option<u64>,
        now: Instant,
    ) -> Option<Order<I>> {
        if let Some(killer) = self.workers.iter_mut().find_map(Worker::killed) {
            return Some(Order::Kill(killer));
        }
        // First those that are there: a process is started only for what they have no room for.
        for worker in &mut self.workers {
            let asks = reader == Some(worker.number) && worker.ledger.wants_more();
            let open = worker.is_open(settings.max_tasks) && (worker.ledger.is_empty() || asks);
            if open && !self.queue.is_empty() {
                if let Some(order) = write(worker, &mut self.queue, settings.max_tasks, now) {
                    self.sent += 1;
                    return Some(order);
                }
            }
        }
        // Then those that are not needed: all of them at the end, and any that has done its share.
        let is_over = self.is_over();
        let may_leave =
            |it: &Worker<I>| it.can_leave() && (is_over || it.served >= settings.max_tasks);
        if let Some(input) =
            self.workers.iter_mut().find(|it| may_leave(it)).and_then(|it| it.leave(now))
        {
            return Some(Order::Close(input));
        }
        if self.needs_a_worker(settings.workers) {
            let taken = |index: &usize| self.workers.iter().any(|worker| worker.index == *index);
            let index = (0..).find(|index| !taken(index)).unwrap_or_default();
            // The record is there before the process: whoever asks next counts it.
            self.youngest += 1;
            self.workers.push(Worker::new(self.youngest, index, now));
            return Some(Order::Start { number: self.youngest, index });
        }
        None
    }

    /// Calls wait, and another process may be started for them. (I7)
    fn needs_a_worker(&self, most: usize) -> bool {
        let starting = |worker: &&Worker<I>| matches!(worker.life, Life::Starting(_));
        let starting = self.workers.iter().filter(starting).count();
        // Each that is starting will take a call: only what waits beyond those needs another.
        let waits = self.queue.len() > starting && self.workers.len() < most;
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
        self.queue.is_closed() && self.queue.is_empty() && idle()
    }

    /// Nothing is left at all.
    pub(super) fn is_finished(&self) -> bool {
        self.is_over() && self.workers.is_empty()
    }

    /// A worker's process has been started.
    pub(super) fn started(&mut self, number: u64, input: I, killer: Killer, gauge: Arc<Gauge>) {
        if let Some(worker) = self.worker(number) {
            (worker.input, worker.process) = (Input::Here(input), Some(killer));
            worker.gauge = gauge;
        }
    }

    /// A worker has said that it is ready, and how many requests it reads ahead.
    pub(super) fn ready(&mut self, number: u64, ahead: usize) {
        self.health.started();
        if let Some(worker) = self.worker(number) {
            worker.ledger.reads_ahead(ahead);
            if matches!(worker.life, Life::Starting(_)) {
                worker.life = Life::Serving;
            }
        }
    }

    /// A write has come to its end. If not all of it is in the pipe, the worker has closed its
    /// input.
    pub(super) fn written(&mut self, number: u64, input: I, all: bool, now: Instant) {
        let Some(worker) = self.worker(number) else { return };
        worker.input = Input::Closed; // unless it goes on, below; then the input is given back
        if all {
            worker.ledger.written();
        } else {
            worker.end_by_itself(Why::Gone("it closed its input"), now);
        }
        if matches!(worker.life, Life::Starting(_) | Life::Serving) {
            worker.input = Input::Here(input);
        }
    }

    /// A worker has answered: the call, and how many it still has. `None` if nobody reads that
    /// worker any more.
    ///
    /// # Errors
    /// What is wrong with the answer. (I1)
    pub(super) fn answered(
        &mut self,
        number: u64,
        id: u64,
        now: Instant,
    ) -> Result<Option<(Given, usize)>, String> {
        let Some(worker) = self.worker(number) else { return Ok(None) };
        let given = worker.ledger.answered(id, now)?;
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
    pub(super) fn returned(
        &mut self,
        number: u64,
        id: u64,
        now: Instant,
    ) -> Result<Option<Over>, String> {
        let Some(worker) = self.worker(number) else { return Ok(None) };
        let (given, kill) = worker.ledger.returned(id, now)?;
        worker.served -= 1; // it was sent and not run: that does not count for `max_tasks`
        Ok(self.queue.take_back(given, kill))
    }

    /// Has call `id` stopped: at once if it waits, when its turn comes if a worker has it. `None`
    /// if it is over already.
    pub(super) fn kill(&mut self, id: u64) -> Option<Option<Over>> {
        // A worker may have given it back since its caller looked.
        let waits = self.queue.remove(id);
        let has = |worker: &mut Worker<I>| worker.ledger.kill(id);
        waits.or_else(|| self.workers.iter_mut().any(has).then_some(None))
    }

    /// Call `id` is not over.
    pub(super) fn has(&self, id: u64) -> bool {
        self.queue.has(id) || self.workers.iter().any(|worker| worker.ledger.has(id))
    }

    /// Has every worker killed.
    pub(super) fn kill_all(&mut self) {
        for worker in &mut self.workers {
            worker.ledger.kill_all();
            worker.end_by_force(Why::Killed);
        }
    }

    /// Looks at the time: what it asks for is in the orders that follow, but for these. (I8)
    pub(super) fn tick(&mut self, settings: &Settings, now: Instant) -> Vec<Order<I>> {
        // Whatever ends or is killed shows in its record, and `next_order` finds it there. Only
        // what is no decision of the state's, but of this moment's, is an order of its own.
        self.health.tick(now);
        let mut orders = Vec::new();
        for worker in &mut self.workers {
            let number = worker.number;
            if worker.tick(now, settings) {
                if let Some(input) = worker.take_input(now) {
                    worker.ledger.recalled(now);
                    orders.push(Order::Write { number, input, lines: Lines::Recall });
                }
            }
            if worker.is_held_open(now) {
                let thread = worker.thread.take();
                orders.extend(thread.map(|thread| Order::Replace { number, thread }));
            }
        }
        orders
    }

    /// Something is due, or may be soon: the clock must look again.
    pub(super) fn is_restless(&self) -> bool {
        self.health.pauses() || self.is_finished() || self.workers.iter().any(Worker::is_restless)
    }

    /// True if the clock is to be woken. It is awake from here on.
    pub(super) fn wakes_the_clock(&mut self) -> bool {
        let wakes = self.clock_sleeps && self.is_restless();
        self.clock_sleeps &= !wakes;
        wakes
    }

    /// The process of worker `number` is reaped. Its task, if it ran one, pays; the others wait
    /// again. If this was too much, the pool is broken, and all that wait are over too. (I2, I7)
    pub(super) fn reaped(
        &mut self,
        number: u64,
        status: Option<ExitStatus>,
        settings: &Settings,
        now: Instant,
    ) -> Vec<Over> {
        let Some(place) = self.workers.iter().position(|worker| worker.number == number) else {
            return Vec::new();
        };
        let accounts = self.workers.remove(place).end(status);
        // An end that we asked for says nothing about the health of workers.
        let broken = match &accounts.why {
            Why::NotReady(cause) => self.health.start_failed(cause.clone(), self.is_served(), now),
            Why::Gone(_) | Why::Unfit(_) => {
                self.health.died(number, self.youngest, settings.max_deaths, &accounts.last)
            }
            Why::TimedOut(_) | Why::Killed | Why::Left => None,
        };
        let mut over: Vec<Over> = Vec::new();
        if let Some(cause) = broken {
            let broken = Error::Broken { cause: cause.into() };
            over.extend(self.queue.close(broken.clone(), Some(broken)));
        }
        // The victim is told after that: whoever hears of it finds the pool broken.
        over.extend(accounts.victim.map(|(given, error)| (given.call, error)));
        over.extend(
            accounts.back.into_iter().filter_map(|(given, kill)| self.queue.take_back(given, kill)),
        );
        over
    }
}

/// Takes from the queue what `worker` is to get now.
fn write<I>(
    worker: &mut Worker<I>,
    queue: &mut Queue,
    max_tasks: usize,
    now: Instant,
) -> Option<Order<I>> {
    // The last words of each of these calls begin where standard error is now.
    let words = worker.process.as_ref().map_or(0, Killer::words);
    let (mut short, mut long) = (String::new(), None);
    while worker.served < max_tasks && long.is_none() {
        let fits = |size| {
            let one_write = short.is_empty() || short.len() + size <= ONE_WRITE;
            one_write && worker.ledger.has_room_for(size)
        };
        let Some((call, request)) = queue.take(fits) else { break };
        if request.len() > PIPE_BYTES {
            long = Some(request.clone()); // alone: beside it there is no room
        } else {
            short += &request;
        }
        let (id, limit, size) = (call.id(), call.limit(), request.len());
        worker.ledger.push(id, size, limit, Given { call, request, words }, now);
        worker.served += 1;
    }
    if short.is_empty() && long.is_none() {
        return None;
    }
    let lines = long.map_or(Lines::Short(short), Lines::Long);
    Some(Order::Write { number: worker.number, input: worker.take_input(now)?, lines })
}
