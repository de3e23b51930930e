//! A baton: real threads of which only one runs, and the one place where it is passed on.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::choices::Choices;
use super::report::{End, Limits};
use super::runner::{Status, Why};
use super::state::State;
use super::story::{Object, Place, Story, file_name, is_looking, letter};
use real::any::Any;
use real::boxed::Box;
use real::cell::RefCell;
use real::panic::{self, AssertUnwindSafe, Location};
use real::string::{String, ToString};
use real::sync::atomic::{AtomicUsize, Ordering};
use real::sync::{Arc, Condvar, Mutex, MutexGuard, Once};
use real::time::Duration;
use real::vec::Vec;
use real::{format, mem, thread};

/// One run of a program.
#[derive(Debug)]
pub(super) struct Run {
    state: Mutex<State>,
    /// The thread that has the baton. All others sleep in `receive`.
    turn: AtomicUsize,
    over: Condvar,
}

/// A thread of a run, as it sees itself.
#[derive(Clone, Debug)]
pub(super) struct Me {
    run: Arc<Run>,
    pub(super) number: usize,
}

thread_local! {
    static ME: RefCell<Option<Me>> = const { RefCell::new(None) };
    /// What the last panic said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// This thread, if it belongs to a run. If not, each name does what std's does (I6).
pub(super) fn me() -> Option<Me> {
    if is_looking() {
        return None;
    }
    ME.try_with(|me| me.borrow().clone()).ok().flatten()
}

/// A visible step of this thread. Another thread may go before it. `None` outside of a run.
#[track_caller]
pub(super) fn step(verb: &'static str, object: Object) -> Option<Me> {
    let me = me()?;
    me.pause(Place { verb, object, at: Location::caller() }, Status::Ready);
    Some(me)
}

impl Me {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.run.state.lock().unwrap()
    }

    /// Gives the baton away with this status, and makes a step once it is back.
    pub(super) fn pause(&self, place: Place, status: Status) {
        let mut state = self.state();
        state.runners[self.number].next = place; // (1)
        self.pass(state, status);
        self.state().story.step(self.number, place); // (5)
    }

    /// Gives the baton away until this thread is ready again.
    pub(super) fn block(&self, status: Status) {
        self.pass(self.state(), status);
    }

    /// Sleeps until it is woken, for no longer than `limit`.
    pub(super) fn sleep(&self, on: usize, limit: Option<Duration>) -> Why {
        let mut state = self.state();
        state.runners[self.number].spins = None;
        let until = limit.and_then(|limit| state.clock.checked_add(limit));
        self.pass(state, Status::Sleeping { on, until });
        self.state().runners[self.number].why
    }

    /// Adds a thread to the run. It is ready to go on.
    pub(super) fn add(&self, at: &'static Location<'static>) -> Me {
        let place = Place { verb: "begin", object: Object::Nothing, at };
        let number = self.state().add(place);
        self.state().story.add(|| format!(" {}", letter(number)));
        Me { run: self.run.clone(), number }
    }

    /// Uses up one of the yields that are none.
    pub(super) fn spins(&self) -> bool {
        match &mut self.state().runners[self.number].spins {
            None | Some(0) => return false,
            Some(left) => *left -= 1,
        }
        true
    }

    /// Sleeps until another thread leaves a token, and takes it.
    pub(super) fn park(&self, limit: Option<Duration>) {
        if !self.state().runners[self.number].token {
            self.sleep(self.number, limit);
        }
        self.state().runners[self.number].token = false;
    }

    /// Wakes one of those that sleep on a condvar: which one is a choice.
    pub(super) fn wake_one(&self, condvar: usize) {
        let mut state = self.state();
        let sleepers = state.sleepers(condvar);
        if sleepers.is_empty() {
            return;
        }
        let Some((woken, why)) =
            state.choose(self.number, &sleepers, (0..sleepers.len()).collect())
        else {
            self.stop(state);
        };
        (state.runners[woken].status, state.runners[woken].why) = (Status::Ready, why);
    }

    /// The one place where a thread gives the baton away, and where it gets it back.
    fn pass(&self, mut state: MutexGuard<'_, State>, status: Status) {
        state.runners[self.number].status = status;
        let next = match state.next(self.number) {
            Some((next, _)) => next,
            None if status == Status::Done => return self.run.over.notify_one(),
            None => self.stop(state),
        };
        if next == self.number {
            return;
        }
        self.run.turn.store(next, Ordering::Release); // (4)
        let real = state.runners[next].real.clone();
        drop(state);
        if let Some(real) = real {
            real.unpark(); // a thread that is not there yet finds its number in `turn`
        }
        if status != Status::Done {
            self.receive(); // (6)
        }
    }

    /// Parks until the baton is here. A real thread that is woken for nothing parks again (I1).
    fn receive(&self) {
        while self.run.turn.load(Ordering::Acquire) != self.number {
            thread::park();
        }
    }

    /// The run is over but this thread is not. It sleeps to the end of the process: to unwind it
    /// would run the program's own code, which has not been written for that.
    fn stop(&self, state: MutexGuard<'_, State>) -> ! {
        drop(state);
        self.run.over.notify_one();
        loop {
            thread::park();
        }
    }

    /// The life of a thread of the run.
    pub(super) fn live<T>(self, body: impl FnOnce() -> T) -> thread::Result<T> {
        ME.set(Some(self.clone()));
        let real = thread::current();
        {
            let runner = &mut self.state().runners[self.number];
            (runner.id, runner.real) = (Some(real.id()), Some(real));
        }
        self.receive();
        let outcome = panic::catch_unwind(AssertUnwindSafe(body));
        ME.set(None);
        let mut state = self.state();
        let me = self.number;
        state.wake(Why::Turn, |status| status == Status::Joining(me));
        if let (0, Err(payload)) = (self.number, &outcome) {
            let said = message(&**payload);
            let told = PANIC.take(); // the same with its place, if it was this thread that said it
            state.said = Some(End::Panicked(if told.starts_with(&said) { told } else { said }));
        }
        self.pass(state, Status::Done);
        outcome
    }
}

/// What a panic says, on one line.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    text.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

/// From now on a panic in a run is part of its story, and not printed.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let Some(me) = me() else { return usual(panic) };
            let message = message(panic.payload());
            let Some(at) = panic.location() else { return };
            PANIC.set(format!("{message} ({}:{})", file_name(at), at.line()));
            // Not `lock`: a fault of the explorer may call this hook with the state locked.
            let state = me.run.state.try_lock();
            if let Ok(mut state) = state {
                state.story.panic(me.number, at);
            }
        }));
    });
}

/// Runs `body` once, on threads of its own, and says what it has left.
pub(super) fn run(state: State, body: Arc<dyn Fn() -> String + Send + Sync>) -> State {
    quiet_panics();
    let patience = state.limits.patience;
    let (turn, over) = (AtomicUsize::new(0), Condvar::new());
    let run = Arc::new(Run { state: Mutex::new(state), turn, over });
    let first = Me { run: run.clone(), number: 0 };
    first.add(Location::caller());
    thread::spawn(move || {
        let me = first.clone();
        first.live(move || {
            let said = body();
            me.state().said = Some(End::Returned(said));
        })
    });
    let mut state = run.state.lock().unwrap();
    while state.end.is_none() {
        let steps = state.steps;
        let (again, wait) = run.over.wait_timeout(state, patience).unwrap();
        state = again;
        if state.end.is_none() && wait.timed_out() && state.steps == steps {
            let turn = run.turn.load(Ordering::Acquire);
            state.end = Some(End::Blocked(state.runners[turn].next.place()));
        }
    }
    let fresh = State::new(Limits::default(), Choices::default(), Story::new(false));
    mem::replace(&mut *state, fresh) // what is left of the run keeps its threads asleep
}
