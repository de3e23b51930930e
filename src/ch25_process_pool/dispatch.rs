//! Who does something about a call: the pool's own doings, between its users and its keepers.

use super::super::ch09_outcome::Error;
use super::Shared;
use super::call::Call;
use super::keeper::keep;
use super::seat::Seat;
use super::state::{Help, Place, Settled, State};
use std::mem;
use std::sync::{Arc, MutexGuard};
use std::thread;

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn submit(self: &Arc<Self>, call: Arc<dyn Call>) {
        let mut state = self.state();
        let Some(why) = state.closed.clone() else {
            let first = state.seats.is_empty();
            state.enqueue(call);
            self.find_help(state);
            if first {
                thread::yield_now(); // the new keeper may stand behind us, on the same processor, while others are idle
            }
            return;
        };
        drop(state);
        if call.claim() {
            call.settle(Err(why));
        }
    }

    /// Wakes, or starts, whoever can take the first call in the queue. Whoever takes it calls this again. (I7)
    pub(super) fn find_help(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        match state.find_help(self.desks.len(), self.most_tasks) {
            Help::Nobody => {}
            Help::Everybody => {
                drop(state);
                self.wake_all();
            }
            Help::Feeder(seat) => {
                state.seats[seat].feeder_asleep = false;
                drop(state);
                self.desks[seat].feeder.notify_one();
            }
            Help::VacantSeat(seat) => {
                state.seats[seat].vacant = false;
                drop(state);
                self.desks[seat].keeper.notify_one();
            }
            Help::NewSeat => {
                let seat = state.seats.len();
                let shared = self.clone();
                let keeper = thread::Builder::new().name(format!("keeper-{seat}"));
                match keeper.spawn(move || keep(&shared, seat)) {
                    Ok(keeper) => {
                        state.seats.push(Seat::new(0));
                        state.keepers.push(keeper);
                        state.keeping += 1;
                    }
                    Err(error) if seat == 0 => {
                        drop(state);
                        self.break_down(format!("there is no thread for a worker: {error}"));
                    }
                    Err(_) => {} // those there are will get to it
                }
            }
        }
    }

    /// Looks after the calls that have come back, and ends those that are over.
    pub(super) fn settle(self: &Arc<Self>, state: MutexGuard<'_, State>, settled: Vec<Settled>) {
        self.find_help(state);
        for (call, error) in settled {
            call.settle(Err(error));
        }
    }

    /// Stops call `id`. False if it is over.
    pub(super) fn kill_call(self: &Arc<Self>, id: u64) -> bool {
        let mut state = self.state();
        match state.condemn(id) {
            None => return false,
            Some(Place::Queue(call)) => {
                let claimed = call.claim().then_some((call, Error::Cancelled));
                self.settle(state, claimed.into_iter().collect());
            }
            Some(Place::Seat(seat)) => {
                drop(state);
                self.desks[seat].keeper.notify_one();
            }
        }
        true
    }

    /// Accepts no further calls. With `ending`, calls that no worker has begun end with it.
    pub(super) fn close(self: &Arc<Self>, ending: Option<Error>) {
        let mut state = self.state();
        state.closed.get_or_insert(Error::ShutDown);
        self.wind_up(state, ending);
    }

    pub(super) fn break_down(self: &Arc<Self>, cause: String) {
        let broken = Error::Broken { cause: cause.into() };
        let mut state = self.state();
        state.closed = Some(broken.clone());
        self.wind_up(state, Some(broken));
    }

    fn wind_up(self: &Arc<Self>, mut state: MutexGuard<'_, State>, ending: Option<Error>) {
        let settled = state.wind_up(ending);
        self.settle(state, settled);
        self.wake_all();
    }

    /// Stops every running task.
    pub(super) fn kill_all(&self) {
        self.state().condemn_all();
        self.wake_all();
    }

    fn wake_all(&self) {
        for desk in &self.desks {
            desk.feeder.notify_all();
            desk.keeper.notify_all();
        }
    }

    /// Waits until the last keeper is gone, unless this is a thread of the pool itself.
    pub(super) fn join(&self) {
        if self.home.is_here() {
            return;
        }
        let state = self.all_gone.wait_while(self.state(), |state| state.keeping > 0).unwrap();
        let keepers = mem::take(&mut { state }.keepers);
        for keeper in keepers {
            let _ = keeper.join();
        }
    }
}
