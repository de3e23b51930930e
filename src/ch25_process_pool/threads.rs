//! The threads: one for each worker process, which starts it, reads its output and sees to its
//! end, and one clock for all. And whoever changes the state, of them or of the callers, carries
//! out what is to be done next.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::super::ch21_protocol::{ErrKind, Message, RECALL};
use super::super::ch23_process::{LAST_MOMENT, Replies, within};
use super::call::{Call, Pool};
use super::queue::Over;
use super::shared::Shared;
use super::state::{Lines, Order, State};
use super::worker::{Gauge, Input, Why};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::mem;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How often the clock looks while something may be due: the precision of limits.
const TICK: Duration = Duration::from_millis(5);
/// So many unanswered calls keep a worker busy for longer than [`GATHER`].
const MANY: usize = 256;
/// How long answers gather then: to be woken for each would cost more than a quick task.
const GATHER: Duration = Duration::from_micros(100);
/// How long a write that has ended may take to say so, on a machine that does other things.
const WRITER: Duration = Duration::from_secs(5);

/// Carries out what is to be done next, until there is nothing.
///
/// Each order changes the state before it is carried out, so no two threads that ask at the same
/// time get the same one, and none has to be told that there is work: the one that brought it does
/// it.
pub(super) fn ask<'a>(
    shared: &'a Arc<Shared>,
    mut state: MutexGuard<'a, State<ChildStdin>>,
    reader: Option<u64>,
    mut now: Instant,
) {
    loop {
        let order = state.next_order(&shared.settings, reader, now);
        let wake = state.wakes_the_clock();
        drop(state);
        if wake {
            shared.tick.notify_one(); // after unlocking: it needs the lock at once
        }
        let Some(order) = order else { return };
        carry_out(shared, order); // unlocked: a write or a start takes time
        (now, state) = (Instant::now(), shared.lock());
    }
}

/// Accepts a call, or tells it why not.
pub(super) fn submit(shared: &Arc<Shared>, call: Arc<dyn Call>) {
    let (now, mut state) = (Instant::now(), shared.lock());
    match state.queue.submit(call) {
        Ok(()) => ask(shared, state, None, now),
        Err((call, why)) => {
            drop(state);
            // `None`: its future was cancelled in this moment, and has its outcome.
            if call.claim().is_some() {
                call.finish(Some(why));
            }
        }
    }
}

/// Accepts no further calls. With `ending`, calls that no worker has begun end with it.
pub(super) fn close(shared: &Arc<Shared>, why: Error, ending: Option<Error>) {
    let (now, mut state) = (Instant::now(), shared.lock());
    let over = state.queue.close(why, ending);
    ask(shared, state, None, now);
    tell(over);
}

/// Has every worker killed.
pub(super) fn kill_all(shared: &Arc<Shared>) {
    let (now, mut state) = (Instant::now(), shared.lock());
    state.kill_all();
    ask(shared, state, None, now);
}

/// Does it. Nothing here waits for a worker.
fn carry_out(shared: &Arc<Shared>, order: Order<ChildStdin>) {
    match order {
        Order::Close(input) => drop(input),
        Order::Kill(killer) => killer.kill(),
        Order::Write { number, input, lines: Lines::Short(lines) } => {
            write(shared, number, input, lines.as_bytes());
        }
        Order::Write { number, input, lines: Lines::Recall } => {
            write(shared, number, input, format!("{RECALL}\n").as_bytes());
        }
        Order::Write { number, input, lines: Lines::Long(request) } => {
            // The pipe may be full, and its worker busy with writing: so this one write waits on a
            // thread of its own. (I3) Without one the input is lost, and so is the worker: it
            // exits then.
            let shared = shared.clone();
            let writer = thread::Builder::new().name("writer".to_owned());
            let _ = writer.spawn(move || {
                write(&shared, number, input, request.as_bytes());
                ask(&shared, shared.lock(), None, Instant::now());
            });
        }
        Order::Start { number, index } => {
            let clock = shared.start_clock(|shared| watch(&shared));
            let worker = move |shared: Arc<Shared>| look_after(&shared, number, index);
            let started =
                clock.and_then(|()| shared.start_thread(format!("worker-{number}"), worker));
            if let Err(error) = started {
                never_started(
                    shared,
                    number,
                    format!("cannot start a thread for a worker: {error}"),
                );
            }
        }
        Order::Replace { number, thread } => {
            let in_its_place = move |shared: Arc<Shared>| {
                take_over(&shared, number);
                see_to_the_end(&shared, number, Why::Gone("it ended"));
            };
            if shared.start_thread(format!("end-{number}"), in_its_place).is_ok() {
                shared.forget_thread(thread);
            } else if let Some(worker) = shared.lock().worker(number) {
                worker.thread = Some(thread); // the clock tries again
            }
        }
    }
}

/// Writes, and gives the input back. For short lines this never blocks: the ledger lets no more
/// into a pipe than it holds. If it fails, the worker has closed its input: `written` is told.
fn write(shared: &Shared, number: u64, mut input: ChildStdin, lines: &[u8]) {
    let all = input.write_all(lines).is_ok();
    shared.lock().written(number, input, all, Instant::now());
}

/// Ends calls. Their callbacks run here, so nothing is locked.
fn tell(over: impl IntoIterator<Item = Over>) {
    over.into_iter().for_each(|(call, error)| call.finish(Some(error)));
}

/// What the thread of a worker has in hand while it reads.
struct Reading {
    shared: Arc<Shared>,
    number: u64,
    replies: Replies<Pipe>,
    gauge: Arc<Gauge>,
}

thread_local! {
    /// What this thread reads, put aside while callbacks run. If one waits for another call of the
    /// pool, a new thread takes it and reads on: else that callback could wait for an answer that
    /// only this thread would read.
    static ASIDE: RefCell<Option<Box<Reading>>> = const { RefCell::new(None) };
}

/// This thread is now the one that reads the output of a worker, and sees to its end. There is one
/// at any time, but not always the same: see `step_aside` and `Order::Replace`.
fn take_over(shared: &Shared, number: u64) {
    if let Some(worker) = shared.lock().worker(number) {
        worker.thread = Some(thread::current().id());
    }
}

/// The life of the thread of one worker.
fn look_after(shared: &Arc<Shared>, number: u64, index: usize) {
    take_over(shared, number);
    let gauge = Arc::<Gauge>::default();
    let theirs = gauge.clone();
    let pipe = move |stdout| Pipe { stdout, gauge: theirs };
    // Foreign code (the user's command), a fork and an exec: nothing is locked here.
    let started = shared.settings.start(index).and_then(|start| start.spawn(pipe));
    let (input, mut replies, killer) = match started {
        Ok(parts) => parts,
        Err(cause) => return never_started(shared, number, cause),
    };
    let mut state = shared.lock();
    state.started(number, input, killer, gauge.clone());
    // From here on the clock can kill it: a worker that never gets ready would hold this thread.
    ask(shared, state, None, Instant::now()); // it may be told to go already
    match replies.ready() {
        Ok(ahead) => {
            let mut state = shared.lock();
            state.ready(number, ahead);
            ask(shared, state, Some(number), Instant::now());
            // In a box, because it is handed from thread to thread with each call.
            listen(Box::new(Reading { shared: shared.clone(), number, replies, gauge }));
        }
        Err(seen) => {
            // The clock may know better what is wrong: it is too late.
            let late = shared.lock().worker(number).and_then(|worker| worker.life.too_late());
            let cause = replies.no_worker(late.or(seen).as_deref());
            see_to_the_end(shared, number, Why::NotReady(cause));
        }
    }
}

/// There is no process, and so nothing to be read or reaped.
fn never_started(shared: &Arc<Shared>, number: u64, cause: String) {
    let (now, mut state) = (Instant::now(), shared.lock());
    if let Some(worker) = state.worker(number) {
        worker.end_by_itself(Why::NotReady(cause), now);
    }
    let over = state.reaped(number, None, &shared.settings, now);
    ask(shared, state, None, now);
    tell(over);
}

/// Reads answers to the end of the output. (2)
fn listen(mut reading: Box<Reading>) {
    loop {
        match hear(&mut reading) {
            Ok(None) => {}
            Ok(Some((call, error))) => {
                ASIDE.set(Some(reading));
                call.finish(error); // (3) callbacks, and whatever they do
                let Some(back) = ASIDE.take() else { return }; // another thread reads on
                reading = back;
            }
            Err(why) => return see_to_the_end(&reading.shared, reading.number, why),
        }
    }
}

/// Reads one piece, and acts on it. A call that is over by that is returned, to be told. Its result
/// is read in here, while the line is still in the buffer, and its callbacks run later, when the
/// buffer can be another thread's: hence the two steps `read` and `finish`.
fn hear(reading: &mut Reading) -> Result<Option<(Arc<dyn Call>, Option<Error>)>, Why> {
    let Reading { shared, number, replies, gauge } = reading;
    let (id, answer) = match replies.next().map_err(Why::Unfit)? {
        None => return Err(Why::Gone("it closed its output")),
        Some(Message::Reply { id, outcome }) => (id, outcome),
        Some(_) => return Ok(None),
    };
    let (now, mut state) = (Instant::now(), shared.lock());
    if let Err((ErrKind::Returned, _)) = answer {
        // Into the queue, where an idle worker may get it at once. It is over only if it was
        // stopped.
        let over = state.returned(*number, id, now).map_err(Why::Unfit)?;
        ask(shared, state, None, now);
        return Ok(over.map(|(call, error)| (call, Some(error))));
    }
    let Some((given, left)) = state.answered(*number, id, now).map_err(Why::Unfit)? else {
        return Ok(None);
    };
    gauge.many.store(left >= MANY, Relaxed);
    // The worker gets more before the result is read: else it is idle for as long as callbacks
    // take.
    ask(shared, state, Some(*number), now);
    given.call.read(given.task(), answer);
    Ok(Some((given.call, None)))
}

/// The output of a worker has ended, or the worker must be ended: reaps it, tells its victim, gives
/// back the rest, and starts the next one if it is needed. (4)
fn see_to_the_end(shared: &Arc<Shared>, number: u64, why: Why) {
    let mut state = shared.lock();
    let Some(worker) = state.worker(number) else { return };
    if worker.thread != Some(thread::current().id()) {
        return; // another thread sees to it: a process must be reaped once
    }
    // How it ends by itself says more than the signal it would get.
    let patience = if matches!(why, Why::Gone(_)) { LAST_MOMENT } else { Duration::ZERO };
    worker.end_by_itself(why, Instant::now());
    // `None` if somebody writes now: that one drops it, as the worker is ending.
    let (input, process) = (worker.take_input(Instant::now()), worker.process.clone());
    if input.is_some() {
        worker.input = Input::Closed;
    }
    drop(state);
    drop(input); // the worker may wait for this end
    let status = process.and_then(|process| process.reap(patience));
    // Only its writer can tell whether a long request was wholly in the pipe. (I1)
    let writes =
        || shared.lock().worker(number).is_some_and(|it| matches!(it.input, Input::Writing(_)));
    within(WRITER, || (!writes()).then_some(()));
    // Under one lock, the record goes, the victim is found and the others are back in the queue: no
    // other thread ever sees a call that is nowhere.
    let (now, mut state) = (Instant::now(), shared.lock());
    let over = state.reaped(number, status, &shared.settings, now);
    ask(shared, state, None, now);
    tell(over);
}

impl Pool for Shared {
    fn kill(self: Arc<Self>, id: u64) -> bool {
        let (now, mut state) = (Instant::now(), self.lock());
        let Some(over) = state.kill(id) else { return false };
        let recalls = state.tick(&self.settings, now); // it may be due at once
        ask(&self, state, None, now);
        recalls.into_iter().for_each(|order| carry_out(&self, order));
        tell(over);
        true
    }

    fn step_aside(self: Arc<Self>, id: u64) {
        if !self.is_here() || !self.lock().has(id) {
            return;
        }
        let Some(reading) = ASIDE.take() else { return };
        // Shared, because a thread that cannot be started would keep what it was given.
        let (number, aside) = (reading.number, Arc::new(Mutex::new(Some(reading))));
        let theirs = aside.clone();
        let read_on = move |shared: Arc<Shared>| {
            let reading = theirs.lock().unwrap().take();
            take_over(&shared, number);
            reading.into_iter().for_each(listen);
        };
        if self.start_thread(format!("worker-{number}"), read_on).is_err() {
            ASIDE.set(aside.lock().unwrap().take());
        }
    }
}

/// The life of the clock: limits, and whatever else is due by the time alone. (5)
fn watch(shared: &Arc<Shared>) {
    let mut sent = 0;
    loop {
        let (now, mut state) = (Instant::now(), shared.lock());
        let orders = state.tick(&shared.settings, now);
        ask(shared, state, None, now);
        orders.into_iter().for_each(|order| carry_out(shared, order));
        let mut state = shared.lock();
        if state.is_finished() {
            return;
        }
        // While calls come one at a time, the pool is at rest at each look, and must not be woken
        // for each call: so the clock sleeps only after a tick without any.
        if state.is_restless() || mem::replace(&mut sent, state.sent) != state.sent {
            drop(shared.tick.wait_timeout(state, TICK));
            continue;
        }
        // Set under the lock under which it was seen that nothing is due: a change after that finds
        // it, and wakes this thread. Set any later, the clock could sleep through a limit.
        state.clock_sleeps = true;
        while state.clock_sleeps {
            state = shared.tick.wait(state).unwrap();
        }
    }
}

/// The output of a worker, read so that others can tell whether somebody waits there.
struct Pipe {
    stdout: ChildStdout,
    gauge: Arc<Gauge>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.gauge.many.load(Relaxed) {
            thread::sleep(GATHER);
        }
        self.gauge.at_pipe.store(true, Relaxed);
        let length = self.stdout.read(buffer);
        self.gauge.at_pipe.store(false, Relaxed);
        length
    }
}
