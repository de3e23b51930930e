//! What stands around a future, and the state behind its mutex: the stages of a task.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

/// What stands behind a future: how its outcome comes about. By default somebody else sees to that.
pub trait Source<W, T>: Send + Sync {
    /// Calls `run` if the work may be done on this thread, which is about to wait for it; true if
    /// it has. (Chapter 13 does; sometimes on another thread, for which this one waits.)
    fn help(&self, _run: &(dyn Fn() + Sync)) -> bool {
        false
    }

    /// Does the work.
    fn run(&self, work: W) -> Result<T, Error> {
        drop(work);
        Err(Error::Abandoned)
    }

    /// Stops running work for good, if that is possible: where it runs in a process of its own.
    fn interrupt(&self) -> bool {
        false
    }
}

/// One thread that waits for many futures at once.
pub trait Watcher: Send + Sync {
    /// The task watched under `key` is done. Must not block: a pool counts the thread that calls it
    /// as free by then (I7).
    fn done(&self, key: usize);
}

pub(super) enum Stage<W, T> {
    /// Nobody has begun. There is one of the work, and it is taken out to go on (I1).
    Pending(W),
    /// Somebody has claimed it, and owes an outcome.
    Running,
    /// The end is decided. The outcome is out while callbacks look at it, and for good once the
    /// reader has it.
    Ended(Option<Result<T, Error>>),
}

pub(super) struct State<'env, W, T> {
    pub(super) stage: Stage<W, T>,
    /// What the task ends with, if that is an error: known as soon as it is decided, and still when
    /// the outcome is out. A pointer: eight bytes in a task without one.
    pub(super) error: Option<Box<Error>>,
    /// Everybody may know the outcome: its first callbacks have run. Never cleared.
    pub(super) is_done: bool,
    /// A callback, `error` or the reader has looked at the outcome.
    pub(super) seen: bool,
    /// The future is gone: nobody will take the outcome, and nobody can add a callback.
    pub(super) reader_dropped: bool,
    /// Threads asleep in `finished_by`. Nobody asleep, nobody notified.
    pub(super) sleepers: u32,
    /// Few tasks have any, so this is a pointer too.
    pub(super) listeners: Option<Box<Listeners<'env, T>>>,
}

pub(super) type Callback<'env, T> = Box<dyn FnOnce(&Result<T, Error>) + Send + 'env>;

/// The callbacks in the order of arrival, and the watcher, told last, under its key.
pub(super) type Listeners<'env, T> = (Vec<Callback<'env, T>>, Option<(Arc<dyn Watcher>, usize)>);

impl<'env, W, T> State<'env, W, T> {
    /// `Pending` → `next`, for one caller only (I1).
    pub(super) fn take_work(&mut self, next: Stage<W, T>) -> Option<W> {
        match mem::replace(&mut self.stage, next) {
            Stage::Pending(work) => return Some(work),
            later => self.stage = later,
        }
        None
    }

    pub(super) fn take_outcome(&mut self) -> Option<Result<T, Error>> {
        if let Stage::Ended(outcome) = &mut self.stage { outcome.take() } else { None }
    }

    pub(super) fn take_callbacks(&mut self) -> Option<Vec<Callback<'env, T>>> {
        let callbacks = mem::take(&mut self.listeners.as_mut()?.0);
        if callbacks.is_empty() { None } else { Some(callbacks) }
    }

    pub(super) fn phase(&self) -> Phase {
        match (&self.stage, self.error.as_deref()) {
            (Stage::Pending(_), _) => Phase::Pending,
            (Stage::Running, _) => Phase::Running,
            (_, Some(Error::Cancelled)) if self.is_done => Phase::Cancelled,
            (_, Some(Error::Cancelled)) => Phase::Cancelling,
            _ if !self.is_done => Phase::Completing,
            (_, Some(_)) => Phase::Failed,
            (_, None) => Phase::Finished,
        }
    }
}

/// What one look says, without the values: the stage, whether everybody may know of the end, and
/// which end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Completing,
    Cancelling,
    Finished,
    Failed,
    Cancelled,
}

/// What a future asks of its slot, whatever the work and its source are.
pub(super) trait Reading<'env, T>: Send + Sync {
    fn help(&self) -> bool;
    fn interrupt(&self) -> bool;
    fn fail(&self, error: Error);
    fn phase(&self) -> Phase;
    fn wait_by(&self, deadline: Option<Instant>) -> bool;
    fn take_by(&self, deadline: Option<Instant>) -> Option<Result<T, Error>>;
    fn error(&self) -> Option<Error>;
    fn add_callback(&self, callback: Callback<'env, T>);
    fn watch(&self, watcher: Arc<dyn Watcher>, key: usize) -> bool;
    fn unwatch(&self, watcher: &Arc<dyn Watcher>);
    fn reader_dropped(&self);
}
