//! What callers do with a pool: they submit, stop and close, and wait for calls in callbacks.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Error;
use super::super::ch10_future::Future;
use super::super::ch19_wire::Wire;
use super::call::{Pool, Read, call};
use super::reading::ASIDE;
use super::shared::Shared;
use super::threads::{ask, listen, take_over, tell};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Accepts a call, or tells its future why not.
pub(super) fn submit<A: Wire, R: Send + 'static>(
    shared: &Arc<Shared>,
    limit: Option<Duration>,
    task: Result<String, Error>,
    argument: A,
    read: Read<R>,
) -> Future<'static, R> {
    let (id, settings) = (shared.last_id.fetch_add(1, Relaxed) + 1, &shared.settings);
    let request = task.and_then(|task| settings.request(id, &task, argument));
    // What cannot be asked is a call too, over before it began: all of its errors come by its
    // future.
    let (request, fault) = match request {
        Ok(request) => (request, None),
        Err(error) => (String::new(), Some(error)),
    };
    let limit = limit.or(settings.task_timeout);
    let pool = Arc::downgrade(shared);
    let (call, future) = call(pool, id, limit, request, read);
    let mut state = shared.lock();
    let refused = match fault {
        None => state.queue.submit(call).err(),
        Some(error) => Some((call, error)),
    };
    ask(shared, state, None); // if a worker is idle, the request is in its pipe after this
    tell(refused);
    future
}

/// Accepts no further calls. The order matters: first nothing new begins, then those that wait are
/// told, so a callback that submits again finds the pool closed. With `ending`, calls that no
/// worker has begun end with it.
pub(super) fn close(shared: &Arc<Shared>, ending: Option<Error>) {
    let mut state = shared.lock();
    let over = state.queue.close(Error::ShutDown, ending);
    ask(shared, state, None);
    tell(over);
}

impl Pool for Shared {
    fn kill(self: Arc<Self>, id: u64) -> bool {
        let mut state = self.lock();
        let waits = state.queue.remove(id); // a worker may have given it back since its caller looked
        if waits.is_none() && !state.stop(id) {
            return false;
        }
        state.tick(); // it may be due at once
        ask(&self, state, None);
        tell(waits);
        true
    }

    fn step_aside(self: Arc<Self>, id: u64) {
        let Some(reading) = ASIDE.take() else { return };
        if !Arc::ptr_eq(&reading.shared, &self) || !self.lock().has(id) {
            return ASIDE.set(Some(reading));
        }
        // Shared, because a thread that cannot be started would keep what it was given.
        let (number, aside) = (reading.number, Arc::new(Mutex::new(Some(reading))));
        let theirs = aside.clone();
        let read_on = move |shared: &Arc<Shared>| {
            let reading = theirs.lock().unwrap().take();
            take_over(shared, number);
            reading.into_iter().for_each(listen);
        };
        if self.start_thread(format!("worker-{number}"), read_on).is_err() {
            ASIDE.set(aside.lock().unwrap().take());
        }
    }
}
