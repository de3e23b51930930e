//! The calls that no worker has, and what is to become of them.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::call::{Call, Given};
use std::collections::VecDeque;
use std::sync::Arc;

/// A call that is over, and how: to be told outside of the lock.
pub(super) type Over = (Call, Error);

/// In the order of submission, whatever happens: what comes back from a worker was submitted before
/// what has waited since, and goes in front of it.
#[derive(Default)]
pub(super) struct Queue {
    /// In the order of their ids; some may be cancelled. Nothing else of a call is kept. (I4)
    calls: VecDeque<Call>,
    /// Why no call is accepted any more.
    closed: Option<Error>,
    /// How calls end that no worker has begun by now: the pool is broken, or was told to hurry.
    ending: Option<Error>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// True if no further call will be accepted.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Accepts a call.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn submit(&mut self, call: Call) -> Result<(), Over> {
        if let Some(why) = self.closed.clone() {
            return Err((call, why));
        }
        self.insert(call);
        Ok(())
    }

    /// At the end, unless it comes back from a worker, or another thread was quicker with a later
    /// id.
    fn insert(&mut self, call: Call) {
        let is_newest = self.calls.back().is_none_or(|last| last.id < call.id);
        let before = |other: &Call| other.id < call.id;
        let place = if is_newest { self.calls.len() } else { self.calls.partition_point(before) };
        self.calls.insert(place, call);
    }

    /// Takes the first call that nobody has cancelled, with its request, if `fits` says that there
    /// is room for a request of its size.
    pub(super) fn take(&mut self, fits: impl Fn(usize) -> bool) -> Option<(Call, Arc<String>)> {
        while self.calls.front().is_some_and(|call| fits(call.size)) {
            let call = self.calls.pop_front()?;
            // Its future and we may both want it: the one that has claimed it decides. A cancelled
            // call is met here as an entry without work, and forgotten.
            let request = call.slot.claim();
            if let Some(request) = request {
                return Some((call, request));
            }
        }
        None
    }

    /// A worker has not begun this call, and will not. It is over if somebody wants it stopped, or
    /// all of them; else it waits again.
    pub(super) fn take_back(&mut self, given: Given, kill: bool) -> Option<Over> {
        let ending = if kill { Some(Error::Cancelled) } else { self.ending.clone() };
        if let Some(error) = ending {
            return Some((given.call, error));
        }
        self.insert(given.hand_back());
        None
    }

    /// Where call `id` waits, if it does.
    pub(super) fn place(&self, id: u64) -> Option<usize> {
        self.calls.binary_search_by_key(&id, |call| call.id).ok()
    }

    /// Takes call `id` out, if it waits: somebody wants it stopped.
    pub(super) fn remove(&mut self, id: u64) -> Option<Over> {
        let call = self.calls.remove(self.place(id)?)?;
        Some((call, Error::Cancelled))
    }

    /// Accepts no further calls. With `ending`, those that wait end with it, and those that come
    /// back. The first word on either counts; only a breakdown has the last one.
    pub(super) fn close(&mut self, why: Error, ending: Option<Error>) -> Vec<Over> {
        if self.closed.is_none() || matches!(why, Error::Broken { .. }) {
            self.closed = Some(why);
        }
        self.ending = self.ending.take().or(ending);
        let Some(error) = &self.ending else { return Vec::new() };
        self.calls.drain(..).map(|call| (call, error.clone())).collect()
    }
}
