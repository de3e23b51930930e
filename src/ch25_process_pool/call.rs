//! One call: what is asked of a worker, and the slot its answer appears in.

use super::super::ch09_outcome::{Error, catch};
use super::super::ch10_future::{Slot, Source};
use super::super::ch19_wire::Decoded;
use super::super::ch21_protocol::Request;
use super::Shared;
use super::seat::PIPEFUL;
use std::mem;
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

pub(super) type RemoteSlot<R> = Slot<'static, Remote<R>, String, R>;

/// What stands behind the future of a call. The slot's work is the request, one line, ready to be
/// written: the id, the task, the argument. A cancellation drops it.
pub(super) struct Remote<R> {
    pub(super) pool: Weak<Shared>,
    pub(super) id: u64,
    /// The request while a worker has it: it may have to be sent again.
    pub(super) claimed: Mutex<String>,
    pub(super) size: usize,
    pub(super) limit: Option<Duration>,
    /// Reads the result.
    pub(super) read: fn(&str) -> Decoded<R>,
}

impl<R: Send> Source<String, R> for Remote<R> {
    fn interrupt(&self) -> bool {
        self.pool.upgrade().is_some_and(|pool| pool.kill_call(self.id))
    }
}

impl<R: Send> Call for RemoteSlot<R> {
    fn id(&self) -> u64 {
        self.source.id
    }

    fn task(&self) -> String {
        Request::parse(&self.source.claimed.lock().unwrap())
            .map_or_else(String::new, |request| request.task.to_owned())
    }

    fn limit(&self) -> Option<Duration> {
        self.source.limit
    }

    fn size(&self) -> usize {
        self.source.size
    }

    fn write_request(&self, lines: &mut String) {
        lines.push_str(&self.source.claimed.lock().unwrap());
    }

    fn claim(&self) -> bool {
        let Some(request) = Slot::claim(self) else { return false };
        *self.source.claimed.lock().unwrap() = request;
        true
    }

    fn hand_back(&self) {
        let request = mem::take(&mut *self.source.claimed.lock().unwrap());
        Slot::hand_back(self, request);
    }

    fn settle(&self, outcome: Result<&str, Error>) {
        let Remote { read, size, claimed, .. } = &self.source;
        let unreadable = |why| Error::Refused {
            reason: format!("the result of `{}`: {why}", self.task()).into(),
        };
        let outcome = outcome
            .and_then(|result| catch(|| read(result).map_err(unreadable)).and_then(|read| read));
        if *size > PIPEFUL {
            *claimed.lock().unwrap() = String::new(); // nobody sends it again, and the future may be read much later
        }
        self.complete(outcome, &|| ());
    }
}
