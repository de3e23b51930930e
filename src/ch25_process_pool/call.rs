//! One call: what is asked of a worker, and the slot its answer appears in.

use super::super::ch10_future::{Awaited, Error, Slot, contain};
use super::super::ch19_wire::Decoded;
use super::super::ch21_protocol::Request;
use super::Shared;
use super::seat::PIPEFUL;
use std::sync::{Mutex, Weak};
use std::time::Duration;

/// A call of any result type, as the pool sees it.
pub(super) trait Call: Send + Sync {
    fn id(&self) -> u64;
    fn task(&self) -> String;
    fn limit(&self) -> Option<Duration>;
    /// How long the request is, in bytes.
    fn size(&self) -> usize;
    /// Appends the request, as one line.
    fn write_request(&self, lines: &mut String);
    /// A worker is about to get it. False if it was cancelled.
    fn claim(&self) -> bool;
    /// The worker had not begun it.
    fn hand_back(&self);
    /// Ends a claimed call with the result as it came over the wire, or with an error.
    fn settle(&self, outcome: Result<&str, Error>);
}

pub(super) struct Remote<R> {
    pub(super) slot: Slot<'static, R>,
    pub(super) pool: Weak<Shared>,
    pub(super) id: u64,
    /// The line, ready to be written: the id, the task, the argument. Kept until the end, as it may have to be sent again.
    /// Emptied by a cancellation.
    pub(super) request: Mutex<String>,
    pub(super) size: usize,
    pub(super) limit: Option<Duration>,
    /// Reads the result.
    pub(super) read: fn(&str) -> Decoded<R>,
}

impl<R: Send> Call for Remote<R> {
    fn id(&self) -> u64 {
        self.id
    }

    fn task(&self) -> String {
        Request::parse(&self.request.lock().unwrap())
            .map_or_else(String::new, |request| request.task.to_owned())
    }

    fn limit(&self) -> Option<Duration> {
        self.limit
    }

    fn size(&self) -> usize {
        self.size
    }

    fn write_request(&self, lines: &mut String) {
        lines.push_str(&self.request.lock().unwrap());
    }

    fn claim(&self) -> bool {
        self.slot.claim()
    }

    fn hand_back(&self) {
        self.slot.hand_back();
    }

    fn settle(&self, outcome: Result<&str, Error>) {
        let unreadable =
            |why| Error::Refused { reason: format!("the result of `{}`: {why}", self.task()) };
        let outcome = outcome.and_then(|result| {
            contain(|| (self.read)(result).map_err(unreadable)).and_then(|read| read)
        });
        if self.size > PIPEFUL {
            self.drop_work(); // nobody sends it again, and the future may be read much later
        }
        self.slot.complete(outcome, None);
    }
}

impl<R: Send> Awaited<'static, R> for Remote<R> {
    fn slot(&self) -> &Slot<'static, R> {
        &self.slot
    }

    fn drop_work(&self) {
        *self.request.lock().unwrap() = String::new();
    }

    fn kill(&self) -> bool {
        self.pool.upgrade().is_some_and(|pool| pool.kill_call(self.id))
    }
}
