//! The state machine between the one who works and the one who reads.

use super::error::{Error, contain, report};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;
use std::{fmt, mem, thread};

/// Somebody who waits for many tasks at once.
pub trait Watcher: Send + Sync {
    /// The task watched under `key` is done. Called with no lock of the task held.
    fn done(&self, key: usize);
}

/// How often a reader looks again before it sleeps: being put to sleep and woken costs far more.
const LOOKS: u32 = 20;

type Callback<'env, T> = Box<dyn FnOnce(&Result<T, Error>) + Send + 'env>;

/// Where the outcome of one task appears.
pub struct Slot<'env, T> {
    state: Mutex<State<'env, T>>,
    news: Condvar,
}

type Held<'a, 'env, T> = MutexGuard<'a, State<'env, T>>;

pub(super) struct State<'env, T> {
    pub(super) stage: Stage<T>,
    /// In the order of arrival. `finish` empties it.
    callbacks: Vec<Callback<'env, T>>,
    /// Told last, under its key.
    pub(super) watcher: Option<(Arc<dyn Watcher>, usize)>,
    /// Threads asleep in `finished_by`. Nobody asleep, nobody notified.
    sleepers: u32,
    /// A callback or `error` has looked at the outcome.
    pub(super) seen: bool,
    /// The future is gone: nobody will take the outcome.
    deserted: bool,
}

pub(super) enum Stage<T> {
    /// Nobody has begun.
    Pending,
    /// Somebody has claimed it, and owes an outcome.
    Running,
    /// The end is decided, and the outcome is out of here: callbacks look at it. `again`: it was
    /// here before, and nobody may notice that a late callback has borrowed it.
    Completing { error: Option<Error>, again: bool },
    /// Everybody may know.
    Finished(Result<T, Error>),
    /// The reader has it.
    Taken,
}

impl<T> State<'_, T> {
    pub(super) fn is_finished(&self) -> bool {
        matches!(
            self.stage,
            Stage::Completing { again: true, .. } | Stage::Finished(_) | Stage::Taken
        )
    }

    /// The error the task ends with, known as soon as that is decided.
    pub(super) fn error(&self) -> Option<&Error> {
        match &self.stage {
            Stage::Completing { error, .. } => error.as_ref(),
            Stage::Finished(outcome) => outcome.as_ref().err(),
            Stage::Pending | Stage::Running | Stage::Taken => None,
        }
    }

    pub(super) fn take_outcome(&mut self) -> Option<Result<T, Error>> {
        match mem::replace(&mut self.stage, Stage::Taken) {
            Stage::Finished(outcome) => return Some(outcome),
            earlier => self.stage = earlier,
        }
        None
    }

    fn unread_failure(&self) -> Option<Error> {
        match &self.stage {
            Stage::Finished(Err(error)) if error.is_failure() && !self.seen => Some(error.clone()),
            _ => None,
        }
    }
}

impl<T> Default for Slot<'_, T> {
    fn default() -> Self {
        let (stage, callbacks) = (Stage::Pending, Vec::new());
        let state =
            State { stage, callbacks, watcher: None, sleepers: 0, seen: false, deserted: false };
        Slot { state: Mutex::new(state), news: Condvar::new() }
    }
}

impl<'env, T> Slot<'env, T> {
    pub(super) fn state(&self) -> Held<'_, 'env, T> {
        self.state.lock().unwrap()
    }

    /// `Pending` → `Running`, for one caller only (I1): whoever gets `true` owes the slot an
    /// outcome.
    pub fn claim(&self) -> bool {
        self.advance(Stage::Running)
    }

    fn advance(&self, next: Stage<T>) -> bool {
        match &mut self.state().stage {
            stage @ Stage::Pending => *stage = next,
            _ => return false,
        }
        true
    }

    /// `Running` → `Pending`: the claimer has not begun after all, and never will.
    pub fn hand_back(&self) {
        if let stage @ Stage::Running = &mut self.state().stage {
            *stage = Stage::Pending;
        }
    }

    /// `Pending` → `Finished` with `error`, past `Running`: nobody begins any more, so `drop_work`
    /// may drop it.
    pub(super) fn end_unrun(&self, error: Error, drop_work: impl FnOnce()) {
        if self.advance(Stage::Completing { error: Some(error.clone()), again: false }) {
            report("the drop of unrun work", contain(drop_work));
            self.finish(self.state(), Err(error), None);
        }
    }

    /// Ends a claimed task; one that is not running stays as it is (I2). `before_news` is called
    /// after the callbacks, before anybody can see the outcome.
    ///
    /// # Wakes
    /// Everyone who waits for the task. The callbacks run here.
    pub fn complete(&self, outcome: Result<T, Error>, before_news: Option<&dyn Fn()>) {
        let state = self.state();
        if matches!(state.stage, Stage::Running) {
            self.finish(state, outcome, before_news);
        }
    }

    fn finish<'a>(
        &'a self,
        mut state: Held<'a, 'env, T>,
        outcome: Result<T, Error>,
        tell: Option<&dyn Fn()>,
    ) {
        let again = state.is_finished();
        // Without a reader there is no news, but an outcome to be dropped: then that comes first.
        let after_drop = tell.filter(|_| state.deserted);
        let mut before_news = tell.filter(|_| !state.deserted);
        // A callback may be added while others run: the list is read until it has none. The look that
        // finds none and the step to `Finished` are one critical section, so none joins a list that
        // nobody reads again (I3).
        while !state.callbacks.is_empty() || before_news.is_some() {
            state.stage = Stage::Completing { error: outcome.as_ref().err().cloned(), again };
            let callbacks = mem::take(&mut state.callbacks);
            state.seen |= !callbacks.is_empty();
            drop(state);
            for callback in callbacks {
                report("a done callback", contain(|| callback(&outcome)));
            }
            before_news.take().inspect(|tell| tell());
            state = self.state();
        }
        state.stage = Stage::Finished(outcome);
        let (sleepers, deserted, watcher) = (state.sleepers, state.deserted, state.watcher.take());
        drop(state);
        if sleepers > 0 {
            self.news.notify_all();
        }
        if let Some((watcher, key)) = watcher {
            report("a watcher", contain(move || watcher.done(key)));
        }
        if deserted {
            self.desert(); // the future went first, and left this to us
        }
        after_drop.inspect(|tell| tell());
    }

    /// Waits for the end, until `deadline`.
    pub(super) fn finished_by(&self, deadline: Option<Instant>) -> Held<'_, 'env, T> {
        let mut state = self.state();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        for _ in 0..LOOKS {
            if state.is_finished() || left.is_some_and(|left| left.is_zero()) {
                return state;
            }
            drop(state);
            thread::yield_now();
            state = self.state();
        }
        state.sleepers += 1;
        let unfinished = |state: &mut State<'_, T>| !state.is_finished();
        state = match left {
            None => self.news.wait_while(state, unfinished).unwrap(),
            Some(left) => self.news.wait_timeout_while(state, left, unfinished).unwrap().0,
        };
        state.sleepers -= 1;
        state
    }

    pub(super) fn add_callback(&self, callback: Callback<'env, T>) {
        let mut state = self.state();
        state.callbacks.push(callback);
        // The end once more, for the one who came late. Nobody can take the outcome meanwhile: that
        // needs the future as a whole, and this call borrows it.
        if let Some(outcome) = state.take_outcome() {
            self.finish(state, outcome, None);
        }
    }

    pub(super) fn watch(&self, watcher: Arc<dyn Watcher>, key: usize) -> bool {
        let mut state = self.state();
        if state.is_finished() {
            return false;
        }
        let before = state.watcher.replace((watcher, key));
        drop(state);
        drop(before); // may be the last of it: after the lock
        true
    }

    /// The future is dropped: what is here, or comes later, has no reader.
    pub(super) fn desert(&self) {
        let mut state = self.state();
        state.deserted = true;
        if let Some(failure) = state.unread_failure() {
            drop(state);
            report("a task that nobody read", Err(failure)); // (I5)
        } else if let Some(outcome) = state.take_outcome() {
            drop(state);
            report("the drop of a result", contain(|| drop(outcome))); // a foreign value: after the lock
        }
    }

    /// True once the task has ended and no failure of it is left unread.
    pub fn is_settled(&self) -> bool {
        let state = self.state();
        state.is_finished() && state.unread_failure().is_none()
    }
}

impl<T> fmt::Debug for Slot<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let name = match (&state.stage, state.error()) {
            (Stage::Pending, _) => "Pending",
            (Stage::Running, _) => "Running",
            (Stage::Completing { again: false, .. }, _) => "Completing",
            (Stage::Taken, _) => "Taken",
            (_, None) => "Finished",
            (_, Some(Error::Cancelled)) => "Cancelled",
            (_, Some(_)) => "Failed",
        };
        drop(state);
        f.write_str(name) // a foreign writer: after the lock
    }
}
