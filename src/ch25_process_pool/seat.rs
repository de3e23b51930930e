//! What the pool knows of one worker process, and how much it trusts it with.

use super::call::Call;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests in one pipe stay below this many bytes, unless a single one is larger.
pub(super) const PIPEFUL: usize = 32 * 1024;
/// How much work, by the time the last answer took, may lie in one pipe: more requests while answers come quickly, one at
/// a time while tasks are long, so that they stay cancellable and idle workers find some.
pub(super) const PIPE_TIME: Duration = Duration::from_millis(3);
/// A worker that is this long at one task gives back those behind it.
const SLOW: Duration = Duration::from_millis(10);

/// The place of one worker process; when a process has ended, the next one may take it.
pub(super) struct Seat {
    /// Counts the processes of this seat: threads at the pipes of an earlier one are deaf and dumb. (I1)
    pub(super) generation: u64,
    /// There is no process, and its keeper sleeps until one is needed.
    pub(super) vacant: bool,
    /// The process in the seat, until it is reaped: after that the number may be another's.
    pub(super) pid: Option<u32>,
    /// How many requests the worker is willing to hold. `None` until it has said that it is ready.
    pub(super) ready: Option<usize>,
    /// What it was given and has not answered, in the order of its answers: it runs the first.
    pub(super) flights: VecDeque<Arc<dyn Call>>,
    /// How many at the end of `flights` are not wholly in the pipe: it cannot have begun those.
    pub(super) unsent: usize,
    /// Length of the requests in `flights`.
    bytes: usize,
    /// How many requests it may hold. Grows while answers come quickly.
    pub(super) window: usize,
    /// Calls given to this process and not handed back.
    pub(super) served: usize,
    /// Since when it runs the first flight.
    pub(super) since: Option<Instant>,
    /// Since when the feeder has been writing, or what it writes is to no purpose.
    pub(super) writing: Option<Instant>,
    /// The feeder has yet to ask for what has not begun.
    pub(super) recall: bool,
    /// It was asked at least once.
    pub(super) was_recalled: bool,
    /// The flight behind which the others were asked back, and when.
    recalled_behind: Option<(u64, Instant)>,
    /// The calls to be killed. One that has not begun is killed when it does.
    pub(super) condemned: Vec<u64>,
    /// Since when its input is closed: nothing is left for it but to exit.
    pub(super) leaving: Option<Instant>,
    /// Why it must be put to an end, or has come to one.
    pub(super) fate: Option<Fate>,
    pub(super) feeder_asleep: bool,
    pub(super) keeper_asleep: bool,
}

/// How a worker process comes to an end, other than by leaving in peace.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It has ended by itself, or seems about to: that is what was seen.
    Gone(&'static str),
    /// It misbehaves, and is put to an end.
    Unfit(String),
    /// The call has overrun its limit.
    TimedOut(u64, Duration),
    /// A caller wants its task stopped.
    Killed,
}

impl Seat {
    pub(super) fn new(generation: u64) -> Self {
        Seat {
            generation,
            vacant: false,
            pid: None,
            ready: None,
            flights: VecDeque::new(),
            unsent: 0,
            bytes: 0,
            window: 1,
            served: 0,
            since: None,
            writing: None,
            recall: false,
            was_recalled: false,
            recalled_behind: None,
            condemned: Vec::new(),
            leaving: None,
            fate: None,
            feeder_asleep: false,
            keeper_asleep: false,
        }
    }

    pub(super) fn is_starting(&self) -> bool {
        self.ready.is_none() && !self.vacant && self.fate.is_none()
    }

    /// It can be given one more call; `most` bounds what one process serves in its life.
    pub(super) fn has_room(&self, most: usize) -> bool {
        let Some(lookahead) = self.ready else { return false };
        let open = self.fate.is_none() && self.leaving.is_none() && self.served < most;
        let window = self.window.min(lookahead);
        open && (self.flights.is_empty() || self.flights.len() < window && self.bytes < PIPEFUL)
    }

    pub(super) fn is_idle(&self, most: usize) -> bool {
        self.flights.is_empty() && self.has_room(most)
    }

    /// This process has served all it may: the next one takes its place.
    pub(super) fn is_spent(&self, most: usize) -> bool {
        self.flights.is_empty() && self.served >= most
    }

    /// Worth a write: each costs a system call, however many requests it carries.
    pub(super) fn is_half_empty(&self, most: usize) -> bool {
        self.flights.len() <= self.window / 2 && self.has_room(most)
    }

    pub(super) fn is_first(&self, id: u64) -> bool {
        self.flights.front().is_some_and(|call| call.id() == id)
    }

    /// The worker gets `call`.
    pub(super) fn board(&mut self, call: Arc<dyn Call>, now: Instant) {
        self.since.get_or_insert(now);
        self.writing.get_or_insert(now);
        self.bytes += call.size();
        self.served += 1;
        // What fits into the pipe is as good as there: if nobody can say, it may have begun.
        self.unsent = usize::from(call.size() > PIPEFUL);
        self.flights.push_back(call);
    }

    /// The call at `place` leaves. If it was the first, the next one runs.
    pub(super) fn land(&mut self, place: usize, now: Instant) -> Option<Arc<dyn Call>> {
        let call = self.flights.remove(place)?;
        self.bytes -= call.size();
        self.unsent = self.unsent.min(self.flights.len());
        self.condemned.retain(|&id| id != call.id());
        if place == 0 {
            self.since = self.flights.front().map(|_| now);
        }
        if self.flights.is_empty() {
            self.writing = self.writing.map(|_| now);
        }
        Some(call)
    }

    /// Decides whether the first flight has to make way for the others, or to be stopped.
    pub(super) fn judge(&mut self) {
        let Some((first, since)) = self.flights.front().zip(self.since) else { return };
        let (id, age) = (first.id(), since.elapsed());
        let overrun =
            first.limit().filter(|limit| age >= *limit).map(|limit| Fate::TimedOut(id, limit));
        let sentence = if self.condemned.contains(&id) { Some(Fate::Killed) } else { overrun };
        let recalled = self.recalled_behind.filter(|recalled| recalled.0 == id);
        let alone = self.flights.len() == 1;
        if !alone && recalled.is_none() && (age >= SLOW || sentence.is_some()) {
            self.recalled_behind = Some((id, Instant::now()));
            self.recall = true;
        }
        // Those behind it come home first: the worker could begin one of them between its last answer and its end. (I1)
        if alone || recalled.is_some_and(|(_, when)| when.elapsed() >= SLOW) {
            self.fate = self.fate.take().or(sentence);
        }
    }

    /// How long its keeper may look away: `tick`, or less if something is due sooner.
    pub(super) fn nap(&self, tick: Duration) -> Duration {
        let Some((first, since)) = self.flights.front().zip(self.since) else { return tick };
        let slow = (self.flights.len() > 1).then_some(SLOW);
        let due = [slow, first.limit()]
            .into_iter()
            .flatten()
            .map(|due| due.saturating_sub(since.elapsed()));
        due.filter(|due| !due.is_zero()).fold(tick, Duration::min)
    }
}
