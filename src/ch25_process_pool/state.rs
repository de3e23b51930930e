//! What the pool knows, and every decision it takes: no input, no output, no waiting. All of it under one lock.

use super::super::ch09_outcome::{Death, Error, Overrun};
use super::call::Call;
use super::seat::{Fate, PIPE_TIME, PIPEFUL, Seat};
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

#[derive(Default)]
pub(super) struct State {
    /// Calls that no worker has, in the order of their ids; some may be cancelled.
    pub(super) calls: VecDeque<Arc<dyn Call>>,
    /// Why no call is accepted any more.
    pub(super) closed: Option<Error>,
    /// How calls end that no worker has begun by now: the pool is broken, or was told to hurry.
    pub(super) ending: Option<Error>,
    /// All is over, and everybody has been told.
    told: bool,
    /// Workers that have died since the last answer of any.
    pub(super) deaths: u32,
    /// Workers that have not got ready, since the last one that did or the last answer of any.
    pub(super) failed_starts: u32,
    /// One for each worker process that may run at once.
    pub(super) seats: Vec<Seat>,
    /// The threads of the seats, to be joined.
    pub(super) keepers: Vec<JoinHandle<()>>,
    /// How many of them are still at work.
    pub(super) keeping: usize,
}

/// A call that is over, and how. To be settled outside of the lock.
pub(super) type Settled = (Arc<dyn Call>, Error);

/// Who can do something about the first call in the queue.
pub(super) enum Help {
    Feeder(usize),
    VacantSeat(usize),
    NewSeat,
    /// There is no call, and there will be none: all can go.
    Everybody,
    Nobody,
}

/// Where a call was found.
pub(super) enum Place {
    Queue(Arc<dyn Call>),
    Seat(usize),
}

impl State {
    /// The seat, while the process of that generation is in it. (I1)
    pub(super) fn seat(&mut self, me: usize, generation: u64) -> Option<&mut Seat> {
        self.seats.get_mut(me).filter(|seat| seat.generation == generation)
    }

    /// Puts a call into the queue: at its end, unless it comes back from a worker.
    pub(super) fn enqueue(&mut self, call: Arc<dyn Call>) {
        let newest = self.calls.back().is_none_or(|last| last.id() < call.id());
        let end = self.calls.len();
        let place =
            if newest { end } else { self.calls.partition_point(|other| other.id() < call.id()) };
        self.calls.insert(place, call);
    }

    /// Gives calls to worker `me`, as many as it may hold.
    pub(super) fn give(&mut self, me: usize, most: usize) -> Vec<Arc<dyn Call>> {
        let seat = &mut self.seats[me];
        let mut given: Vec<Arc<dyn Call>> = Vec::new();
        let now = Instant::now();
        while seat.has_room(most)
            && let Some(call) = self.calls.pop_front()
        {
            if call.size() > PIPEFUL && !given.is_empty() {
                self.calls.push_front(call); // it goes alone: a request that is cut short was not begun
                break;
            }
            if call.claim() {
                seat.board(call.clone(), now);
                given.push(call);
            }
        }
        given
    }

    /// Takes back a call that its worker has not begun. A call that comes back is to be settled with the error.
    fn take_back(&mut self, call: Arc<dyn Call>, condemned: bool) -> Option<Settled> {
        let ending = if condemned { Some(Error::Cancelled) } else { self.ending.clone() };
        if let Some(error) = ending {
            return Some((call, error));
        }
        call.hand_back();
        self.enqueue(call);
        None
    }

    /// Worker `me` has answered `id`.
    ///
    /// # Errors
    /// What is wrong if it was not the answer that was due. (I1)
    pub(super) fn answered(&mut self, me: usize, id: u64) -> Result<Arc<dyn Call>, String> {
        let seat = &mut self.seats[me];
        // What is to be bounded is the time in the pipe, not the count: at this pace, how long would a full window take?
        let window = u32::try_from(seat.window).unwrap_or(u32::MAX);
        let now = Instant::now();
        let quick =
            seat.since.is_some_and(|since| (now - since).saturating_mul(window) < PIPE_TIME);
        let call = if seat.is_first(id) { seat.land(0, now) } else { None };
        let call = call.ok_or_else(|| format!("it answered {id}, which was not due"))?;
        let wider = seat.window.saturating_mul(2).min(seat.ready.unwrap_or(1));
        seat.window = if quick { wider } else { (seat.window / 2).max(1) };
        if seat.flights.is_empty() && self.calls.is_empty() {
            seat.window = 1;
        }
        (self.deaths, self.failed_starts) = (0, 0);
        Ok(call)
    }

    /// Worker `me` gives back `id`. Like [`State::take_back`] if the call is to be settled.
    ///
    /// # Errors
    /// As [`State::answered`].
    pub(super) fn returned(&mut self, me: usize, id: u64) -> Result<Option<Settled>, String> {
        let seat = &mut self.seats[me];
        let place =
            seat.flights.iter().position(|call| call.id() == id).filter(|_| seat.was_recalled);
        let condemned = seat.condemned.contains(&id);
        let call = place.and_then(|place| seat.land(place, Instant::now()));
        let call = call.ok_or_else(|| format!("it gave back {id}, which nobody had asked back"))?;
        seat.served -= 1;
        Ok(self.take_back(call, condemned))
    }

    /// Has call `id` stopped: at once if it runs, when its turn comes if a worker holds it. `None` if it is over.
    pub(super) fn condemn(&mut self, id: u64) -> Option<Place> {
        // A worker may have handed it back since its caller looked.
        if let Ok(place) = self.calls.binary_search_by_key(&id, |call| call.id()) {
            return self.calls.remove(place).map(Place::Queue);
        }
        let holds = |seat: &Seat| seat.flights.iter().any(|call| call.id() == id);
        let me = self.seats.iter().position(holds)?;
        self.seats[me].condemned.push(id);
        Some(Place::Seat(me))
    }

    /// Has every running task stopped.
    pub(super) fn condemn_all(&mut self) {
        for seat in &mut self.seats {
            seat.condemned.extend(seat.flights.iter().map(|call| call.id()));
            seat.fate.get_or_insert(Fate::Killed);
        }
    }

    /// Ends the queue, if there is an ending by now. What is sent behind a slow task comes back soon, and ends then.
    pub(super) fn wind_up(&mut self, ending: Option<Error>) -> Vec<Settled> {
        self.ending = self.ending.take().or(ending); // once said, it stays so
        let Some(error) = &self.ending else { return Vec::new() };
        let unbegun = mem::take(&mut self.calls).into_iter().filter(|call| call.claim());
        unbegun.map(|call| (call, error.clone())).collect()
    }

    /// The process in seat `me` is gone. Its task, if it ran one, pays; the others go back to the queue. (I2)
    pub(super) fn bury(&mut self, me: usize, mut death: Death) -> (Seat, Vec<Settled>) {
        let next = Seat::new(self.seats[me].generation + 1);
        let mut seat = mem::replace(&mut self.seats[me], next);
        let mut settled = Vec::new();
        if let Some(first) = seat.flights.front() {
            death.task = first.task();
            let task = death.task.clone();
            let begun = seat.flights.len() > seat.unsent;
            let error = match seat.fate {
                Some(Fate::TimedOut(id, limit)) if id == first.id() => {
                    Some(Error::TimedOut(Box::new(Overrun { task, limit })))
                }
                Some(Fate::Killed) if begun && seat.condemned.contains(&first.id()) => {
                    Some(Error::Killed { task: task.into() })
                }
                Some(Fate::Gone(_) | Fate::Unfit(_)) if begun => Some(Error::Died(Box::new(death))),
                _ => None,
            };
            settled.extend(error.and_then(|error| Some((seat.flights.pop_front()?, error))));
        }
        for call in mem::take(&mut seat.flights) {
            let condemned = seat.condemned.contains(&call.id());
            settled.extend(self.take_back(call, condemned));
        }
        (seat, settled)
    }

    /// Nothing is left to do, and nothing can come: no call is accepted, waits, or is with a worker that may die of it.
    pub(super) fn is_over(&self) -> bool {
        self.closed.is_some()
            && self.calls.is_empty()
            && self.seats.iter().all(|seat| seat.flights.is_empty())
    }

    /// Finds somebody for the first call in the queue: an idle worker, else a new one, else one that may hold more. (I7)
    pub(super) fn find_help(&mut self, workers: usize, most: usize) -> Help {
        if self.calls.is_empty() {
            let news = self.is_over() && !mem::replace(&mut self.told, true); // (I7)
            return if news { Help::Everybody } else { Help::Nobody };
        }
        let find = |wanted: &dyn Fn(&Seat) -> bool| self.seats.iter().position(wanted);
        if let Some(idle) = find(&|seat| seat.feeder_asleep && seat.is_idle(most)) {
            return Help::Feeder(idle);
        }
        // An idle worker's feeder that is awake has yet to look, and then looks for help in turn.
        if find(&|seat| seat.is_idle(most)).is_some() {
            return Help::Nobody;
        }
        if self.calls.len() > self.seats.iter().filter(|seat| seat.is_starting()).count() {
            if let Some(vacant) = find(&|seat| seat.vacant) {
                return Help::VacantSeat(vacant);
            }
            if self.seats.len() < workers {
                return Help::NewSeat;
            }
        }
        find(&|seat| seat.feeder_asleep && seat.is_half_empty(most))
            .map_or(Help::Nobody, Help::Feeder)
    }
}
