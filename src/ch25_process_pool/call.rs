//! One call: what is asked of a worker, and the future its answer appears in. The seam to chapter
//! 10.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::super::ch10_future::{Future, Slot, Source};
use super::super::ch21_protocol::{ErrKind, Request};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// A call, as the pool sees it.
pub(super) struct Call {
    /// Its place in the order of submission.
    pub(super) id: u64,
    /// How long it may run.
    pub(super) limit: Option<Duration>,
    /// How long its request is, in bytes.
    pub(super) size: usize,
    /// Where its outcome goes.
    pub(super) slot: Arc<dyn AnySlot>,
}

/// The slot of a call, of any result type.
pub(super) trait AnySlot: Send + Sync {
    /// Takes the request out: a worker is about to get it. `None` if it was cancelled.
    fn claim(&self) -> Option<Arc<String>>;
    /// Puts the request back: no worker has begun it.
    fn hand_back(&self, request: Arc<String>);
    /// Reads what the worker has answered. Foreign code may do so.
    fn read(&self, task: &str, answer: Result<&str, (ErrKind, String)>);
    /// Ends the call with what was read, or else with `error`, unless it was cancelled. Its
    /// callbacks run here.
    fn finish(&self, error: Option<Error>);
}

/// What the pool does for a call that somebody waits for, or wants stopped.
pub(super) trait Pool: Send + Sync {
    /// Stops call `id`; false if it is over.
    fn kill(self: Arc<Self>, id: u64) -> bool;
    /// This thread is about to wait for call `id`. If it is the one that reads a worker's answers,
    /// and the call is not over, another thread takes its place: it might wait for itself.
    fn step_aside(self: Arc<Self>, id: u64);
}

/// How a result is read: its type is known only where the call is made.
pub(super) type Read<R> = fn(&str, Result<&str, (ErrKind, String)>) -> Result<R, Error>;

/// What stands behind the future of a call. The work in its slot is the request: one line, ready
/// to be written. Cancelled, it is dropped on the spot.
struct Remote<R> {
    pool: Weak<dyn Pool>,
    id: u64,
    read: Read<R>,
    /// What was read, until the callbacks may see it.
    outcome: Mutex<Option<Result<R, Error>>>,
}

type RemoteSlot<R> = Slot<'static, Remote<R>, Arc<String>, R>;

/// A call and its future. `request` is the line that asks for it.
pub(super) fn call<R: Send + 'static>(
    pool: Weak<dyn Pool>,
    id: u64,
    limit: Option<Duration>,
    request: String,
    read: Read<R>,
) -> (Call, Future<'static, R>) {
    let (size, outcome) = (request.len(), Mutex::new(None));
    let slot = Arc::new(Slot::new(Remote { pool, id, read, outcome }, Arc::new(request)));
    (Call { id, limit, size, slot: slot.clone() }, Future::new(slot))
}

impl<R: Send> Source<Arc<String>, R> for Remote<R> {
    /// Chapter 10 calls this before a thread waits for the future: nothing can be done here, but
    /// that thread may be the one that reads the answers.
    fn help(&self, _run: &(dyn Fn() + Sync)) -> bool {
        if let Some(pool) = self.pool.upgrade() {
            pool.step_aside(self.id);
        }
        false
    }

    /// Chapter 10 calls this when a running call is to be stopped.
    fn interrupt(&self) -> bool {
        self.pool.upgrade().is_some_and(|pool| pool.kill(self.id))
    }
}

impl<R: Send> AnySlot for RemoteSlot<R> {
    fn claim(&self) -> Option<Arc<String>> {
        Slot::claim(self)
    }

    fn hand_back(&self, request: Arc<String>) {
        Slot::hand_back(self, request);
    }

    fn read(&self, task: &str, answer: Result<&str, (ErrKind, String)>) {
        let outcome = (self.source.read)(task, answer); // before the lock: it may be foreign code
        *self.source.outcome.lock().unwrap() = Some(outcome);
    }

    fn finish(&self, error: Option<Error>) {
        if error.is_some() {
            drop(Slot::claim(self)); // for one that no worker has been sent
        }
        let read = self.source.outcome.lock().unwrap().take();
        let outcome = error.map(Err).or(read).unwrap_or(Err(Error::Abandoned));
        self.complete(outcome, &|| ());
    }
}

/// A call that a worker has been sent.
pub(super) struct Given {
    pub(super) call: Call,
    /// Kept until the answer, as it may have to be sent again.
    pub(super) request: Arc<String>,
    /// How much the worker had said before: its last words begin there.
    pub(super) words: u64,
}

impl Given {
    /// The name of its task, for a person.
    pub(super) fn task(&self) -> &str {
        Request::parse(&self.request).map_or("", |request| request.task)
    }

    /// It was not begun after all.
    pub(super) fn hand_back(self) -> Call {
        self.call.slot.hand_back(self.request);
        self.call
    }
}
