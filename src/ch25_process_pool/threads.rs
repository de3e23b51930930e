//! The threads: one for each worker process, which starts it, reads its output and sees to its
//! end, and one clock for all. And a thread that changes the state, of them or of the callers,
//! carries out what is to be done next.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::super::ch21_protocol::{ErrKind, Message};
use super::super::ch23_process::{LAST_MOMENT, within};
use super::super::ch24_in_flight::PIPE_BYTES;
use super::call::Call;
use super::queue::Over;
use super::reading::{ASIDE, MANY, Pipe, Reading};
use super::shared::Shared;
use super::state::{Order, State};
use super::worker::{Input, Life, Why, Worker};
use std::io::Write;
use std::mem;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::Duration;

/// How often the clock looks while something may be due: the precision of limits.
const TICK: Duration = Duration::from_millis(5);
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
) {
    loop {
        let order = state.next_order(reader);
        let clock = state.needs_a_clock();
        drop(state);
        if clock && shared.start_thread("clock".to_owned(), watch).is_err() {
            shared.lock().has_clock = false; // the next one tries again
        }
        let Some(order) = order else { return };
        carry_out(shared, order); // unlocked: a write or a start takes time
        state = shared.lock();
    }
}

/// Does it. Nothing here waits for a worker.
fn carry_out(shared: &Arc<Shared>, order: Order<ChildStdin>) {
    match order {
        Order::Close(input) => drop(input),
        Order::Write { number, input, lines } if lines.len() <= PIPE_BYTES => {
            write(shared, number, input, &lines); // (1) there is room for it
        }
        Order::Write { number, input, lines } => {
            // The pipe may be full, and its worker busy with writing: so this one write waits on a
            // thread of its own. (I3) Without one the input is lost, and so is the worker: it
            // exits then.
            let shared = shared.clone();
            let _ = thread::Builder::new().name("writer".to_owned()).spawn(move || {
                write(&shared, number, input, &lines);
                ask(&shared, shared.lock(), None);
            });
        }
        Order::Start { number, index } => {
            let name = format!("worker-{number}");
            let body = move |shared: &Arc<Shared>| look_after(shared, number, index);
            if let Err(error) = shared.start_thread(name, body) {
                let cause = format!("cannot start a thread for a worker: {error}");
                never_started(shared, number, cause);
            }
        }
        Order::Replace { number, thread } => {
            let body = move |shared: &Arc<Shared>| {
                take_over(shared, number);
                see_to_the_end(shared, number, Why::Gone("it ended"));
            };
            if shared.start_thread(format!("end-{number}"), body).is_ok() {
                shared.leave(thread);
            } else if let Some(worker) = shared.lock().worker(number) {
                worker.thread = Some(thread); // the clock tries again
            }
        }
    }
}

/// Writes, and gives the input back. For short lines this never blocks: the ledger lets no more
/// into a pipe than it holds. If it fails, the worker has closed its input: `written` is told.
fn write(shared: &Shared, number: u64, mut input: ChildStdin, lines: &str) {
    let all = input.write_all(lines.as_bytes()).is_ok();
    shared.lock().written(number, input, all);
}

/// Ends calls. Their callbacks run here, so nothing is locked.
pub(super) fn tell(over: impl IntoIterator<Item = Over>) {
    over.into_iter().for_each(|(call, error)| call.slot.finish(Some(error)));
}

/// This thread is now the one that reads the output of a worker, and sees to its end. There is one
/// at any time, but not always the same: see `step_aside` and `Order::Replace`.
pub(super) fn take_over(shared: &Shared, number: u64) {
    if let Some(worker) = shared.lock().worker(number) {
        worker.thread = Some(thread::current().id());
    }
}

/// The life of the thread of one worker.
fn look_after(shared: &Arc<Shared>, number: u64, index: usize) {
    take_over(shared, number);
    let (at_pipe, many) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let theirs = (at_pipe.clone(), many.clone());
    let pipe = move |stdout| Pipe { stdout, at_pipe: theirs.0, many: theirs.1 };
    // Foreign code (the user's command), a fork and an exec: nothing is locked here.
    let started = shared.settings.start(index).and_then(|start| start.spawn(pipe));
    let (input, mut replies, killer) = match started {
        Ok(parts) => parts,
        Err(cause) => return never_started(shared, number, cause),
    };
    let mut state = shared.lock();
    state.started(number, input, killer, at_pipe);
    // From here on the clock can kill it: a worker that never gets ready would hold this thread.
    ask(shared, state, None); // it may be told to go already
    match replies.ready() {
        Ok(ahead) => {
            let mut state = shared.lock();
            state.ready(number, ahead);
            ask(shared, state, Some(number));
            // In a box, because it is handed from thread to thread with each call.
            listen(Box::new(Reading { shared: shared.clone(), number, replies, many }));
        }
        Err(seen) => {
            // The clock may know better what is wrong: it is too late.
            let late = shared.lock().worker(number).and_then(|worker| match &worker.life {
                Life::Killed(Why::NotReady(cause)) => Some(cause.clone()),
                _ => None,
            });
            let cause = replies.no_worker(late.or(seen).as_deref());
            see_to_the_end(shared, number, Why::NotReady(cause));
        }
    }
}

/// There is no process, and so nothing to be read or reaped.
fn never_started(shared: &Arc<Shared>, number: u64, cause: String) {
    let mut state = shared.lock();
    let now = state.now;
    if let Some(worker) = state.worker(number) {
        worker.leave(Why::NotReady(cause), now);
    }
    let over = state.reaped(number, None);
    ask(shared, state, None);
    tell(over);
}

/// Reads answers to the end of the output. (2)
pub(super) fn listen(mut reading: Box<Reading>) {
    loop {
        let heard = hear(&mut reading);
        let (call, error) = match heard {
            Ok(Some(over)) => over,
            Ok(None) => continue,
            Err(why) => return see_to_the_end(&reading.shared, reading.number, why),
        };
        ASIDE.set(Some(reading));
        call.slot.finish(error); // (3) callbacks, and whatever they do
        let back = ASIDE.take();
        let Some(back) = back else { return }; // another thread reads on
        reading = back;
    }
}

/// Reads one piece, and acts on it. A call that is over by that is returned, to be told. Its result
/// is read in here, while the line is still in the buffer, and its callbacks run later, when the
/// buffer can be another thread's: hence the two steps `read` and `finish`.
fn hear(reading: &mut Reading) -> Result<Option<(Call, Option<Error>)>, Why> {
    let Reading { shared, number, replies, many } = reading;
    let (id, answer) = match replies.read().map_err(Why::Unfit)? {
        None => return Err(Why::Gone("it closed its output")),
        Some(Message::Reply { id, outcome }) => (id, outcome),
        Some(Message::Ready { .. }) => return Err(Why::Unfit("it was ready twice".to_owned())),
        Some(Message::StillHere) => return Ok(None),
    };
    let mut state = shared.lock();
    if let Err((ErrKind::Returned, _)) = answer {
        // Into the queue, where an idle worker may get it at once. It is over only if it was
        // stopped.
        let over = state.returned(*number, id)?;
        ask(shared, state, None);
        return Ok(over.map(|(call, error)| (call, Some(error))));
    }
    let Some((given, left)) = state.answered(*number, id)? else { return Ok(None) };
    many.store(left >= MANY, Relaxed);
    // The worker gets more before the result is read: else it is idle for as long as callbacks
    // take.
    ask(shared, state, Some(*number));
    given.call.slot.read(given.task(), answer);
    Ok(Some((given.call, None)))
}

/// The output of a worker has ended, or the worker must be ended: reaps it, tells its victim, gives
/// back the rest, and starts the next one if it is needed. (4)
fn see_to_the_end(shared: &Arc<Shared>, number: u64, why: Why) {
    let mut state = shared.lock();
    let now = state.now;
    let Some(worker) = state.worker(number) else { return };
    if worker.thread != Some(thread::current().id()) {
        return; // another thread sees to it: a process must be reaped once
    }
    // How it ends by itself says more than the signal it would get.
    let patience = if matches!(why, Why::Gone(_)) { LAST_MOMENT } else { Duration::ZERO };
    worker.leave(why, now);
    // `None` if somebody writes now: that one drops it, as the worker is ending.
    let (input, process) = (worker.take_input(Input::Closed), worker.process.clone());
    drop(state);
    drop(input); // the worker may wait for this end: so it ends with us, too (I6)
    let status = process.and_then(|process| process.reap(patience));
    // Only its writer can tell whether a long request was wholly in the pipe. (I1)
    let writes = |it: &mut Worker<_>| matches!(it.input, Input::Writing(_));
    within(WRITER, || (!shared.lock().worker(number).is_some_and(writes)).then_some(()));
    // Under one lock, the record goes, the victim is found and the others are back in the queue: no
    // other thread ever sees a call that is nowhere.
    let mut state = shared.lock();
    let over = state.reaped(number, status);
    ask(shared, state, None);
    tell(over);
}

/// The life of the clock: limits, and whatever else is due by the time alone. (5)
fn watch(shared: &Arc<Shared>) {
    let mut seen = 0;
    loop {
        let mut state = shared.lock();
        state.tick();
        ask(shared, state, None);
        let mut state = shared.lock();
        // While calls come one at a time, the pool is at rest at each look, and must not start a
        // clock for each call: so this one ends only after a tick without any.
        let last = shared.last_id.load(Relaxed);
        if !state.is_restless() && mem::replace(&mut seen, last) == last {
            // Under the lock under which it was seen that nothing is due: a change after that
            // starts another clock. Any later, and that one could be missed, and a limit with it.
            state.has_clock = false;
            return;
        }
        drop(state);
        thread::sleep(TICK);
    }
}
