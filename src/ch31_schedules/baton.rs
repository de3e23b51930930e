//! A baton: real threads of which only one runs, and the one place where it is passed on.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::choices::Choices;
use super::report::{End, Limits};
use super::state::{State, Status};
use super::story::{Step, Story, Why, letter};
use real::cell::RefCell;
use real::panic::{self, AssertUnwindSafe, Location};
use real::sync::{Arc, Condvar, Mutex, MutexGuard, Once};
use real::{mem, ptr, thread};

/// One run of a program. Its lock and its condvars are the real ones: the only waiting that is not
/// explored, because it is what the explorer is made of.
struct Run {
    state: Mutex<State>,
    /// Notified when the run is over: the thread that called `explore` or `replay` waits for it.
    over: Condvar,
}

/// A thread of a run, as it sees itself. The program does not hand it on: whatever is locked or
/// notified finds it in a thread-local, since std's names have no place for one more argument.
#[derive(Clone)]
pub(super) struct Me {
    run: Arc<Run>,
    pub(super) number: usize,
}

thread_local! {
    /// `None` in threads that belong to no run.
    static ME: RefCell<Option<Me>> = const { RefCell::new(None) };
}

/// This thread, if it belongs to a run. If not, each name does what std's does (I6).
///
/// A destructor of the program's own thread-locals may ask when this one is gone. Then the thread
/// has ended, as far as the run is concerned: `None`.
pub(super) fn me() -> Option<Me> {
    ME.try_with(|me| me.borrow().clone()).ok().flatten()
}

/// A visible step of this thread. Another thread may go before it. `None` outside of a run.
///
/// What is between two steps of a thread is done in one go, and loses nothing: no other thread can
/// see it, or it would be a step.
#[track_caller]
pub(super) fn step(verb: &str) -> Option<Me> {
    let me = me()?;
    me.pause(verb.into(), Location::caller(), Status::Ready);
    Some(me)
}

/// The same, and what is locked, notified or loaded: `M1`, if the kind is `M`.
#[track_caller]
pub(super) fn step_on<T>(verb: &str, kind: char, object: &T) -> Option<Me> {
    let name = me()?.state().name(kind, address(object));
    step(&format!("{verb} {name}"))
}

/// By which things are told apart. It is never shown, since it changes from run to run.
pub(super) fn address<T>(object: &T) -> usize {
    ptr::from_ref(object).addr()
}

/// Looks, as if from outside of the run: what is locked or loaded here is no step. Without this,
/// a look at the program while its state is locked would wait for that very lock.
pub(super) fn apart<R>(look: impl FnOnce() -> R) -> R {
    let me = ME.take();
    let seen = look();
    ME.set(me);
    seen
}

impl Me {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.run.state.lock().unwrap()
    }

    /// Gives the baton away with this status, and makes a step once it is back. Says why it is.
    pub(super) fn pause(&self, what: String, at: &Location<'_>, status: Status) -> Why {
        let step = Step::new(self.number, what, at);
        let mut state = self.state();
        state.runners[self.number].next = step.clone(); // (1)
        let why = self.pass(state, status);
        // Told when it is made, and not when it was asked for: others have made theirs meanwhile.
        self.state().story.steps.push(step); // (5)
        why
    }

    /// Gives the baton away if this thread cannot go on now, until it can.
    ///
    /// No loop: it gets the baton only when it can go on, and from then on nobody else runs.
    pub(super) fn block(&self, status: Status) {
        let state = self.state();
        if !state.can_go_on(status) {
            self.pass(state, status);
        }
    }

    /// Sleeps until it is woken, for no longer than `limit`. True if that ran out.
    pub(super) fn sleep(&self, on: usize, limit: real::time::Duration) -> bool {
        let mut state = self.state();
        // Asleep it was as slow as can be. Awake, it may be too fast for the others once more.
        state.runners[self.number].spins = None;
        let until = state.clock.checked_add(limit);
        self.pass(state, Status::Sleeping { on, until }) == Why::TimedOut
    }

    /// Adds something to the step that was made last: that of this thread.
    pub(super) fn note(&self, what: &str) {
        if let Some(step) = self.state().story.steps.last_mut() {
            step.what += what;
        }
    }

    /// Adds a thread to the run, before its real thread is started: from now on the baton can be
    /// passed to it, and if it is not there yet, it finds its turn when it comes.
    pub(super) fn add(&self, at: &Location<'_>) -> Me {
        let number = self.state().runners.len();
        self.state().add(Step::new(number, "begin".into(), at));
        self.note(&format!(" {}", letter(number)));
        Me { run: self.run.clone(), number }
    }

    /// The one place where a thread gives the baton away, and where it gets it back.
    ///
    /// All under one lock: between the choice and the sleep nobody can miss the notification.
    fn pass(&self, mut state: MutexGuard<'_, State>, status: Status) -> Why {
        state.runners[self.number].status = status;
        state.turn = state.next(self.number); // (4)
        match state.turn {
            Some((next, _)) => state.runners[next].called.notify_one(),
            None => self.run.over.notify_one(), // and no thread of the run runs any more (I4)
        }
        if status == Status::Done {
            return Why::Turn;
        }
        self.receive(state) // (6)
    }

    /// Sleeps until the baton is here (I1).
    ///
    /// If the run is over and this thread is not, that is to the end of the process. To end it,
    /// one would have to unwind it, and that runs the program's own code, which was not written to
    /// be stopped there: guards would be dropped, counts would be wrong, and a second panic would
    /// end the process.
    fn receive(&self, mut state: MutexGuard<'_, State>) -> Why {
        let called = state.runners[self.number].called.clone();
        loop {
            match state.turn {
                Some((thread, why)) if thread == self.number => return why,
                _ => state = called.wait(state).unwrap(),
            }
        }
    }

    /// The life of a thread of the run: it waits for the baton, runs, and gives it away for good.
    pub(super) fn live<T>(self, body: impl FnOnce() -> T) -> T {
        ME.set(Some(self.clone()));
        self.receive(self.state());
        // A panic must not take the baton with it.
        let outcome = panic::catch_unwind(AssertUnwindSafe(body));
        ME.set(None); // from here to its real end this thread runs beside the others
        self.pass(self.state(), Status::Done);
        outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }
}

/// From now on a panic in a run is part of its story, and not printed: a search may meet thousands.
/// The hook is for the whole process and is set once. Threads outside of runs do not notice it.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let (Some(me), Some(at)) = (me(), panic.location()) else { return usual(panic) };
            // Not `lock`: a fault of the explorer may call this hook with the state locked.
            let Ok(mut state) = me.run.state.try_lock() else { return };
            let step = Step::new(me.number, "panic".into(), at);
            let text = panic.to_string(); // a line that says where, and then the message
            let message = text.lines().skip(1).map(str::trim).collect::<Vec<_>>().join(", ");
            state.panicked = Some(format!("{message} ({})", step.place()));
            state.story.steps.push(step);
        }));
    });
}

/// Runs `body` once, on threads of its own: the choices that were made, and the story.
///
/// Not on the thread that calls: it must come back, and a run may have no end.
#[track_caller]
pub(super) fn run(
    limits: Limits,
    choices: Choices,
    body: Arc<dyn Fn() -> String + Send + Sync>,
) -> (Choices, Story) {
    quiet_panics();
    let mut state = State::new(limits, choices);
    state.add(Step::new(0, "begin".into(), Location::caller()));
    state.turn = Some((0, Why::Turn));
    let run = Arc::new(Run { state: Mutex::new(state), over: Condvar::new() });
    let first = Me { run: run.clone(), number: 0 };
    thread::spawn(move || {
        first.clone().live(|| {
            let value = body();
            first.state().returned = Some(value);
        });
    });
    let mut state = run.state.lock().unwrap();
    while state.end.is_none() {
        // A thread that blocks in something unexplored has the baton, and nobody makes a step.
        let steps = state.steps;
        let (again, wait) = run.over.wait_timeout(state, limits.patience).unwrap();
        state = again;
        let stands_still = wait.timed_out() && state.steps == steps;
        if let (true, Some((thread, _))) = (stands_still, state.turn) {
            state.end = Some(End::Blocked(state.runners[thread].next.place()));
        }
    }
    // The state stays where it is, with its end: a blocked thread that comes back some day asks
    // who goes on, hears that the run is over, and sleeps.
    let mut story = mem::take(&mut state.story);
    story.end = state.end.clone().unwrap_or_default();
    (mem::take(&mut state.choices), story)
}
