//! What the test files here share: a watchdog, ways to wait for a fact without sleeping, a gate, a value bad to drop.
//!
//! A test shows "waits" by a gate it opens itself and "at once" by a rendezvous; time is only the watchdog.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses the part it needs"
)]

use concurrent_explained::Queue;
use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond any honest run, even on a loaded machine: reaching it is a hang, not slowness.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own and returns its value; a panic in it is passed on.
///
/// # Panics
/// With `what` in the message if `body` is still running after a minute. The stuck thread is left behind.
pub fn watchdog<T: Send + 'static>(what: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        let value = body();
        let _ = sender.send(value);
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("still waiting after {PATIENCE:?}: {what}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(payload) => std::panic::resume_unwind(payload),
            Ok(()) => unreachable!("a body that returned has sent its value"),
        },
    }
}

/// Yields the processor until `fact` holds: for facts that another thread makes true and that have no news of their own
/// ("three threads are waiting").
///
/// # Panics
/// With `what` in the message if it does not hold within a minute.
pub fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fact() {
        assert!(Instant::now() < deadline, "still waiting after {PATIENCE:?}: {what}");
        thread::yield_now();
    }
}

/// What `Debug` says of a primitive that leaves `field` out while another thread is inside for a moment: one look with it.
pub fn seen(primitive: &impl Debug, field: &str) -> String {
    let mut text = String::new();
    until("nobody is inside", || {
        text = format!("{primitive:?}");
        text.contains(field)
    });
    text
}

/// Closed at first; once open, it stays open.
#[derive(Clone, Default)]
pub struct Gate(Arc<Queue<()>>);

impl Gate {
    pub fn open(&self) {
        self.0.close();
    }

    pub fn pass(&self) {
        assert_eq!(self.0.pop(), None);
    }
}

/// Its drop panics, and the payload of that panic is another one, to the last.
pub struct Grenade(pub u32);

impl Drop for Grenade {
    fn drop(&mut self) {
        if self.0 > 0 {
            resume_unwind(Box::new(Grenade(self.0 - 1)));
        }
    }
}
