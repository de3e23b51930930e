//! One worker process at a time: its start, the three ends of its pipes, its end.
//!
//! ```text
//! keeper  owns the process: starts, watches, kills, reaps it; names the culprit
//! feeder  requests ──► stdin     nobody else can be stuck behind a full pipe
//! reader  stdout ──► answers     and the output of tasks, on to our stdout
//! echo    stderr ──► our stderr  and the last words
//! ```

use super::super::ch09_outcome::{Death, catch};
use super::Shared;
use super::reader::{Words, echo};
use super::seat::Fate;
use super::state::State;
use std::mem;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a keeper looks after a busy worker: the precision of limits, and how soon an exit is noticed although
/// somebody else holds the pipe open.
const TICK: Duration = Duration::from_millis(20);
/// The same for a worker at rest.
const REST: Duration = Duration::from_secs(1);
/// When so many starts in a row have come to nothing, the next one will not do better.
const STARTS: u32 = 3;
/// What made a start fail may have passed after this time.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a process at its end may take to be gone, and its pipes to be read empty.
const LAST_MOMENT: Duration = Duration::from_millis(500);

type Attendance = Box<dyn FnOnce(&Arc<Shared>) + Send>;

/// The keeper's life: one process after the other, as long as there may be need of one.
pub(super) fn keep(shared: &Arc<Shared>, me: usize) {
    shared.home.enter();
    while shared.sit_down(me) {
        if let Err(cause) = shared.serve(me) {
            shared.start_failed(me, cause);
        }
    }
    shared.state().keeping -= 1;
    shared.all_gone.notify_all();
}

impl Shared {
    /// Waits until a process is needed in seat `me`; false if none will be any more.
    fn sit_down(self: &Arc<Self>, me: usize) -> bool {
        // A call can come back from a worker that dies, so it is not enough that the queue is empty. (I7)
        let idle = |state: &mut State| {
            state.seats[me].vacant = state.calls.is_empty() && !state.is_over();
            state.seats[me].vacant
        };
        let state = self.desks[me].keeper.wait_while(self.state(), idle).unwrap();
        let needed = !state.calls.is_empty();
        self.find_help(state); // one process may not be enough
        needed
    }

    fn start_failed(self: &Arc<Self>, me: usize, cause: String) {
        let mut state = self.state();
        state.failed_starts += 1;
        if state.failed_starts < STARTS {
            drop(self.desks[me].keeper.wait_timeout(state, PAUSE));
        } else {
            drop(state);
            self.break_down(cause);
        }
    }

    /// Runs one process in seat `me`, from its start to its end.
    ///
    /// # Errors
    /// Why it never got ready.
    fn serve(self: &Arc<Self>, me: usize) -> Result<(), String> {
        let mut command =
            catch(|| (self.command)()).map_err(|panic| format!("no command: {panic}"))?;
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let line = format!("{command:?}");
        let mut child = command.spawn().map_err(|error| format!("cannot start {line}: {error}"))?;
        let words = Arc::new(Words::default());
        let attendants = self.attend(me, &mut child, &words);
        self.watch(me, &mut child);
        let status = self.reap(me, &mut child);
        self.dismiss(me, attendants, &words);
        self.clear_away(me, child.id(), status, words.last())
            .map_err(|seen| format!("{line} is no worker: {seen}"))
    }

    /// Starts the threads at the three pipes.
    fn attend(
        self: &Arc<Self>,
        me: usize,
        child: &mut Child,
        words: &Arc<Words>,
    ) -> Vec<JoinHandle<()>> {
        let mut state = self.state();
        state.seats[me].pid = Some(child.id());
        let generation = state.seats[me].generation;
        drop(state);
        let start = |role: &str, attendance: Attendance| {
            let shared = self.clone();
            let attendant = thread::Builder::new().name(format!("{role}-{me}")).spawn(move || {
                shared.home.enter();
                attendance(&shared);
            });
            let no_thread = |error| Fate::Unfit(format!("no thread for its pipes: {error}"));
            attendant.map_err(|error| self.doom(me, generation, no_thread(error))).ok()
        };
        let (heard, noted) = (words.clone(), words.clone());
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let attendants = [
            stdout.and_then(|out| {
                start("reader", Box::new(move |pool| pool.read(me, generation, out, &heard)))
            }),
            stdin.and_then(|input| {
                start("feeder", Box::new(move |pool| pool.feed(me, generation, input)))
            }),
            stderr.and_then(|errors| start("echo", Box::new(move |_| echo(errors, &noted)))),
        ];
        attendants.into_iter().flatten().collect()
    }

    /// Says how the process in seat `me` ends, if nobody has said so before.
    pub(super) fn doom(&self, me: usize, generation: u64, fate: Fate) {
        if let Some(seat) = self.state().seat(me, generation) {
            seat.fate.get_or_insert(fate);
        }
        self.desks[me].keeper.notify_one();
    }

    /// Waits until the process in seat `me` has come to its end, or must be brought to it.
    fn watch(&self, me: usize, child: &mut Child) {
        let started = Instant::now();
        let mut served_before = 0;
        let mut state = self.state();
        loop {
            let seat = &mut state.seats[me];
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                seat.fate.get_or_insert(Fate::Gone("it ended"));
            }
            let unread = seat.writing.filter(|_| seat.flights.is_empty());
            let alarms = [
                (
                    seat.ready.is_none().then_some(started),
                    self.start_limit,
                    "it was not ready in time",
                ),
                (seat.leaving, self.grace, "it did not exit when its input ended"),
                (unread, self.grace, "it does not read its input"),
            ];
            for (since, limit, cause) in alarms {
                if since.is_some_and(|since| since.elapsed() >= limit) {
                    seat.fate.get_or_insert(Fate::Unfit(cause.into()));
                }
            }
            seat.judge();
            if seat.recall || seat.fate.is_some() {
                self.desks[me].feeder.notify_one();
            }
            if seat.fate.is_some() {
                return;
            }
            // A worker at rest needs no close watch: the end of its output tells of its own, and its feeder calls when
            // there is work again. It is at rest if it was idle when last seen, too: waking up for each call costs more.
            let busy = mem::replace(&mut served_before, seat.served) != seat.served
                || !seat.flights.is_empty();
            seat.keeper_asleep = !busy && seat.ready.is_some() && seat.leaving.is_none();
            let nap = if seat.keeper_asleep { REST } else { seat.nap(TICK) };
            state = self.desks[me].keeper.wait_timeout(state, nap).unwrap().0;
        }
    }

    /// Ends the process in seat `me`, if it does not end by itself. `None` is an end that we made.
    fn reap(&self, me: usize, child: &mut Child) -> Option<ExitStatus> {
        // How it ends by itself says more than the signal we would send.
        let ending = matches!(self.state().seats[me].fate, Some(Fate::Gone(_)));
        let patience = if ending { LAST_MOMENT } else { Duration::ZERO };
        let status = within(patience, || child.try_wait().ok().flatten());
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.state().seats[me].pid = None;
        status
    }

    /// Waits for the threads at the pipes of the process that was in seat `me`.
    ///
    /// Answers that are in the pipe count, so the reader reads to the end, however long it is busy with them. Only a process
    /// that the worker has left behind can keep a pipe open now; then a thread stays behind too, without a say. (I2, I5)
    fn dismiss(&self, me: usize, attendants: Vec<JoinHandle<()>>, words: &Words) {
        let all_done = || attendants.iter().all(JoinHandle::is_finished).then_some(());
        let unanswered = || self.state().seats[me].flights.len();
        loop {
            let before = unanswered();
            let done = within(LAST_MOMENT, all_done).is_some();
            if done || !words.reading.load(Ordering::Relaxed) && unanswered() == before {
                break;
            }
        }
        for thread in attendants.into_iter().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }

    /// Settles what the process in seat `me` has left.
    ///
    /// # Errors
    /// What was seen of it, if it never got ready.
    fn clear_away(
        self: &Arc<Self>,
        me: usize,
        pid: u32,
        status: Option<ExitStatus>,
        stderr: String,
    ) -> Result<(), String> {
        let mut state = self.state();
        let cause = match &state.seats[me].fate {
            Some(Fate::Gone(_)) if status.is_some() => "it ended".to_owned(),
            Some(Fate::Gone(cause)) => (*cause).to_owned(),
            Some(Fate::Unfit(cause)) => cause.clone(),
            _ => String::new(), // it was told to go
        };
        let how = status.map_or_else(String::new, |status| format!(" ({status})"));
        let seen = format!("{cause}{how}. It said:\n{stderr}");
        let at_fault = !cause.is_empty() && state.seats[me].leaving.is_none();
        let (seat, settled) =
            state.bury(me, Death { pid, task: String::new(), status, cause, stderr });
        let died = at_fault && seat.ready.is_some();
        state.deaths += u32::from(died);
        if died && state.deaths >= self.deaths {
            drop(state);
            // Before the last victim tells: whoever hears of it finds the pool broken. (I7)
            self.break_down(format!(
                "{} workers died one after the other; the last: {seen}",
                self.deaths
            ));
            state = self.state();
        }
        self.settle(state, settled);
        if at_fault && !died { Err(seen) } else { Ok(()) }
    }
}

/// Looks again and again, at growing intervals, for what `find` finds; gives up after `limit`.
fn within<T>(limit: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut nap = Duration::from_micros(50);
    loop {
        let found = find();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        thread::sleep(nap);
        nap = (nap * 2).min(TICK);
    }
}
