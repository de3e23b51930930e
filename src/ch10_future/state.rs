//! The state behind the mutex: the stages of a task, and what one look at them says.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::seam::Watcher;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct State<'env, W, T> {
    pub(super) stage: Stage<W, T>,
    /// Everybody may know the outcome. Set when `Finished` is entered, never cleared.
    pub(super) published: bool,
    /// A callback or `error` has looked at the outcome.
    pub(super) seen: bool,
    /// The future is gone: nobody will take the outcome, and nobody can add a callback.
    pub(super) reader_dropped: bool,
    /// Threads asleep in `finished_by`. Nobody asleep, nobody notified.
    pub(super) sleepers: u32,
    /// Few tasks have any, so this is a pointer: eight bytes in all the others.
    pub(super) listeners: Option<Box<Listeners<'env, T>>>,
}

pub(super) enum Stage<W, T> {
    /// Nobody has begun. There is one of the work, and it is taken out to go on (I1).
    Pending(W),
    /// Somebody has claimed it, and owes an outcome.
    Running,
    /// The end is decided. The outcome is out of here, lent to callbacks; a copy of its error
    /// stays.
    Completing(Option<Box<Error>>),
    /// Here for the reader.
    Finished(Result<T, Error>),
    /// The reader has it.
    Taken,
}

pub(super) type Callback<'env, T> = Box<dyn FnOnce(&Result<T, Error>) + Send + 'env>;

pub(super) struct Listeners<'env, T> {
    /// In the order of arrival.
    pub(super) callbacks: Vec<Callback<'env, T>>,
    /// Told last, under its key.
    pub(super) watcher: Option<(Arc<dyn Watcher>, usize)>,
}

impl<T> Default for Listeners<'_, T> {
    fn default() -> Self {
        Listeners { callbacks: Vec::new(), watcher: None }
    }
}

/// What one look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Completing,
    Cancelling,
    Finished,
    Failed,
    Cancelled,
    Taken,
}

impl Phase {
    pub(super) fn is_done(self) -> bool {
        matches!(self, Phase::Finished | Phase::Failed | Phase::Cancelled | Phase::Taken)
    }
}

impl<'env, W, T> State<'env, W, T> {
    pub(super) fn new(work: W) -> Self {
        State {
            stage: Stage::Pending(work),
            published: false,
            seen: false,
            reader_dropped: false,
            sleepers: 0,
            listeners: None,
        }
    }

    /// `Pending` → `next`, for one caller only (I1).
    pub(super) fn take_work(&mut self, next: Stage<W, T>) -> Option<W> {
        match mem::replace(&mut self.stage, next) {
            Stage::Pending(work) => return Some(work),
            earlier => self.stage = earlier,
        }
        None
    }

    /// `Finished` → `Taken`.
    pub(super) fn take_outcome(&mut self) -> Option<Result<T, Error>> {
        match mem::replace(&mut self.stage, Stage::Taken) {
            Stage::Finished(outcome) => return Some(outcome),
            earlier => self.stage = earlier,
        }
        None
    }

    pub(super) fn take_callbacks(&mut self) -> Option<Vec<Callback<'env, T>>> {
        let callbacks = mem::take(&mut self.listeners.as_mut()?.callbacks);
        if callbacks.is_empty() { None } else { Some(callbacks) }
    }

    /// The error the task ends with, known as soon as that is decided.
    pub(super) fn error(&self) -> Option<&Error> {
        match &self.stage {
            Stage::Completing(error) => error.as_deref(),
            Stage::Finished(outcome) => outcome.as_ref().err(),
            Stage::Pending(_) | Stage::Running | Stage::Taken => None,
        }
    }

    /// The same, once everybody may know it. The asker has seen it then (I5).
    pub(super) fn look_at_error(&mut self) -> Option<Error> {
        let error = if self.published { self.error().cloned() } else { None };
        self.seen |= error.is_some();
        error
    }

    pub(super) fn phase(&self) -> Phase {
        match (&self.stage, self.published, self.error()) {
            (Stage::Pending(_), ..) => Phase::Pending,
            (Stage::Running, ..) => Phase::Running,
            (Stage::Taken, ..) => Phase::Taken,
            (_, false, Some(Error::Cancelled)) => Phase::Cancelling,
            (_, false, _) => Phase::Completing,
            (_, true, Some(Error::Cancelled)) => Phase::Cancelled,
            (_, true, Some(_)) => Phase::Failed,
            (_, true, None) => Phase::Finished,
        }
    }

    /// True once the task has ended and no failure of it is left unread.
    pub(super) fn is_accounted_for(&self) -> bool {
        match &self.stage {
            Stage::Finished(Err(error)) => self.seen || !error.is_failure(),
            _ => self.phase().is_done(),
        }
    }
}

/// What a future asks of its slot, whatever the work and its source are.
pub(super) trait Reading<'env, T>: Send + Sync {
    fn help_unless(&self, deadline: Option<Instant>);
    fn wait_by(&self, deadline: Option<Instant>) -> bool;
    fn take_by(&self, deadline: Option<Instant>) -> Option<Result<T, Error>>;
    fn phase(&self) -> Phase;
    fn error(&self) -> Option<Error>;
    fn cancel(&self);
    fn interrupt(&self) -> bool;
    fn add_callback(&self, callback: Callback<'env, T>);
    fn watch(&self, watcher: Arc<dyn Watcher>, key: usize) -> bool;
    fn unwatch(&self, watcher: &Arc<dyn Watcher>);
    fn reader_dropped(&self);
}
