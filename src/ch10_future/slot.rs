//! The state machine between the thread that works and the thread that reads.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::{Error, catch, report};
use super::later;
use super::state::{Callback, Phase, Reading, Source, Stage, State, Watcher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// How often a reader looks again before it sleeps: a look costs about as much as a yield, to be
/// put to sleep and woken a hundred times that.
const LOOKS: u32 = 20;

/// The state machine: first the work `W`, then the outcome, under one mutex.
pub struct Slot<'env, S, W, T> {
    /// What stands behind it.
    pub source: S,
    state: Mutex<State<'env, W, T>>,
    /// "The outcome is there."
    news: Condvar,
}

type Guard<'a, 'env, W, T> = MutexGuard<'a, State<'env, W, T>>;

impl<'env, S: Source<W, T>, W: Send, T: Send> Slot<'env, S, W, T> {
    /// A slot whose work nobody has begun.
    pub fn new(source: S, work: W) -> Self {
        let state = State {
            stage: Stage::Pending(work),
            error: None,
            is_done: false,
            seen: false,
            reader_dropped: false,
            sleepers: 0,
            listeners: None,
        };
        Slot { source, state: Mutex::new(state), news: Condvar::new() }
    }

    fn lock(&self) -> Guard<'_, 'env, W, T> {
        self.state.lock().unwrap()
    }

    /// `Pending` → `Running`, for one caller only (I1): with the work it takes the duty to
    /// [`complete`](Slot::complete) or to [`hand_back`](Slot::hand_back).
    pub fn claim(&self) -> Option<W> {
        self.lock().take_work(Stage::Running) // (1)
    }

    /// `Running` → `Pending`: the claimer has not begun after all, and never will. (A pool of
    /// processes does this with a call that was never sent: chapter 25.)
    pub fn hand_back(&self, work: W) {
        let mut state = self.lock();
        if let Stage::Running = state.stage {
            state.stage = Stage::Pending(work);
        }
    }

    /// Does the work here, unless somebody has claimed or cancelled it before. For `last` see
    /// [`Slot::complete`].
    pub fn run(&self, last: &dyn Fn()) {
        match self.claim() {
            Some(work) => self.complete(self.source.run(work), last),
            None => last(),
        }
    }

    /// `Running` → `Finished`. A slot that is not running stays as it is (I2).
    ///
    /// `last` is called once, when no callback and no drop of this task is left to run on this
    /// thread, and before anybody can see the outcome. It runs under the slot's lock: it may note
    /// that this thread is free, and must not touch a future.
    ///
    /// # Wakes
    /// Every thread that waits for the task. The callbacks run here.
    pub fn complete(&self, outcome: Result<T, Error>, last: &dyn Fn()) {
        let state = self.lock();
        if let Stage::Running = state.stage {
            return self.finish(state, outcome, last); // (I2)
        }
        drop(state);
        report("the drop of a result", catch(|| drop(outcome)));
        last();
    }

    /// `Pending` → `Finished` with `error`, past `Running`: the work is dropped here and has not
    /// run. A slot that is not pending stays as it is.
    ///
    /// # Wakes
    /// Every thread that waits for the task. The callbacks run here.
    pub fn fail(&self, error: Error) {
        let mut state = self.lock();
        let Some(work) = state.take_work(Stage::Ended(None)) else { return };
        state.error = Some(Box::new(error.clone()));
        drop(state);
        // (5) Without the lock: what the work has captured is foreign.
        report("the drop of unrun work", catch(|| drop(work)));
        self.finish(self.lock(), Err(error), &|| ());
    }

    /// The end: callbacks, outcome, `last`, and then those that wait.
    fn finish<'a>(
        &'a self,
        mut state: Guard<'a, 'env, W, T>,
        outcome: Result<T, Error>,
        last: &dyn Fn(),
    ) {
        state.stage = Stage::Ended(None); // (2)
        state.error = outcome.as_ref().err().cloned().map(Box::new);
        // (I3) A callback may be added while others run: the list is read until it has none. The
        // look that finds none and the arrival of the outcome are one critical section, so none
        // joins a list that nobody reads again.
        while let Some(callbacks) = state.take_callbacks() {
            state.seen = true;
            drop(state);
            later::run_callbacks(|| {
                for callback in callbacks {
                    report("a done callback", catch(|| callback(&outcome)));
                }
            });
            state = self.lock();
        }
        state.is_done = true;
        state.stage = Stage::Ended(Some(outcome)); // (3)
        if state.reader_dropped {
            // Nobody is left to look. No callback can come any more, but the drop of the outcome
            // is foreign code too.
            drop(state);
            self.reader_dropped();
            state = self.lock();
        }
        // Under the lock: nobody has seen the outcome yet.
        last(); // (I7)
        let (sleepers, listeners) = (state.sleepers, state.listeners.take());
        drop(state);
        if sleepers > 0 {
            self.news.notify_all();
        }
        if let Some((_, Some((watcher, key)))) = listeners.map(|listeners| *listeners) {
            report("a watcher", catch(|| watcher.done(key)));
        }
    }

    /// Waits until everybody may know the outcome, or until `deadline`.
    fn finished_by(&self, deadline: Option<Instant>) -> Guard<'_, 'env, W, T> {
        if deadline.is_none() {
            self.help();
        }
        let (mut state, mut looks) = (self.lock(), 0);
        while !state.is_done {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            if looks < LOOKS {
                looks += 1;
                drop(state);
                later::run_put_off(); // it may be what this callback waits for (I6)
                thread::yield_now();
                state = self.lock();
                continue;
            }
            state.sleepers += 1;
            state = match left {
                None => self.news.wait(state).unwrap(),
                Some(left) => self.news.wait_timeout(state, left).unwrap().0,
            };
            state.sleepers -= 1;
        }
        state
    }

    pub(super) fn has_callbacks(&self) -> bool {
        self.lock().listeners.is_some()
    }

    /// True once the task has ended and no failure of it is left unread: what a scope asks at its
    /// end (chapter 16).
    pub fn is_accounted_for(&self) -> bool {
        let state = self.lock();
        state.is_done && (state.seen || !state.error.as_deref().is_some_and(Error::is_failure))
    }

    /// True if the work is surely gone: begun, done or cancelled. Then a queue may forget the task
    /// (chapter 15). Never blocks.
    pub fn is_stale(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| !matches!(state.stage, Stage::Pending(_)))
    }
}

impl<'env, S: Source<W, T>, W: Send, T: Send> Reading<'env, T> for Slot<'env, S, W, T> {
    fn help(&self) -> bool {
        self.source.help(&|| self.run(&|| ()))
    }

    fn interrupt(&self) -> bool {
        self.source.interrupt()
    }

    fn fail(&self, error: Error) {
        Slot::fail(self, error);
    }

    fn phase(&self) -> Phase {
        self.lock().phase()
    }

    fn wait_by(&self, deadline: Option<Instant>) -> bool {
        self.finished_by(deadline).is_done
    }

    fn take_by(&self, deadline: Option<Instant>) -> Option<Result<T, Error>> {
        let mut state = self.finished_by(deadline);
        state.seen |= state.is_done;
        state.take_outcome() // (4)
    }

    fn error(&self) -> Option<Error> {
        let mut state = self.lock();
        state.seen |= state.is_done;
        if state.is_done { state.error.as_deref().cloned() } else { None }
    }

    fn add_callback(&self, callback: Callback<'env, T>) {
        let mut state = self.lock();
        state.listeners.get_or_insert_default().0.push(callback);
        // The end once more, for the callback that came late. The task stays done all the while,
        // and nobody can take the outcome: that needs the future as a whole, and this call borrows
        // it.
        let Some(outcome) = state.take_outcome() else { return };
        self.finish(state, outcome, &|| ());
    }

    fn watch(&self, watcher: Arc<dyn Watcher>, key: usize) -> bool {
        let mut state = self.lock();
        if state.is_done {
            return false;
        }
        let before = state.listeners.get_or_insert_default().1.replace((watcher, key));
        drop(state);
        drop(before); // may be the last of it: after the lock
        true
    }

    fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        // The caller still has `watcher`, so what is dropped under the lock is never the last.
        if let Some(listeners) = &mut self.lock().listeners {
            listeners.1.take_if(|theirs| Arc::ptr_eq(&theirs.0, watcher));
        }
    }

    fn reader_dropped(&self) {
        let mut state = self.lock();
        state.reader_dropped = true;
        let (seen, outcome) = (state.seen, state.take_outcome());
        drop(state);
        // What nobody will take goes with the future; a failure that nobody has seen is reported,
        // once (I5).
        match outcome {
            Some(Err(error)) if error.is_failure() && !seen => {
                report("a task that nobody read", Err(error));
            }
            outcome => report("the drop of a result", catch(|| drop(outcome))),
        }
    }
}

// Plumbing

impl<S, W, T> fmt::Debug for Slot<'_, S, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.state.lock().unwrap().phase();
        write!(f, "Slot({phase:?})") // a foreign writer: after the lock
    }
}
