//! What the test files here share: a watchdog, ways to wait for a fact without sleeping, a gate, a
//! value that is bad to drop.
//!
//! A test shows "waits" by a gate it opens itself and "at once" by a rendezvous; time is only the
//! watchdog.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses the part it needs"
)]

use std::env;
use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How long a test may wait in vain: 3 s, or as many seconds as the variable `TEST_PATIENCE` says.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The same for tests that start processes.
pub const PROCESS_PATIENCE: Duration = Duration::from_secs(30);

const TICK: Duration = Duration::from_millis(10);

/// Some wait of this program was in vain. What is broken is found by now, so the others give up
/// after a third of the time: a Break that hangs many tests is red within seconds too.
static GAVE_UP: AtomicBool = AtomicBool::new(false);

/// Time counted in short waits rather than by the clock: where the machine is too busy to wake this
/// thread in time, patience grows with the load.
struct Patience {
    limit: Duration,
    ticks_left: u128,
}

impl Patience {
    fn new(limit: Duration) -> Patience {
        let asked = env::var("TEST_PATIENCE").ok().and_then(|seconds| seconds.parse().ok());
        let limit = limit.max(asked.map(Duration::from_secs).unwrap_or_default());
        let limit = if GAVE_UP.load(Relaxed) { limit / 3 } else { limit };
        Patience { limit, ticks_left: limit.as_millis() / TICK.as_millis() }
    }

    /// True if it is not over after one more tick.
    fn tick(&mut self) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        GAVE_UP.fetch_or(self.ticks_left == 0, Relaxed);
        self.ticks_left > 0
    }
}

/// Runs `body` on a thread of its own and returns its value; a panic in it is passed on.
///
/// # Panics
/// With `what` in the message if `body` still runs after [`PATIENCE`]. The stuck thread is left
/// behind.
#[track_caller]
pub fn watchdog<T: Send + 'static>(what: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    watchdog_for(PATIENCE, what, body)
}

/// [`watchdog`] with a patience of [`PROCESS_PATIENCE`].
#[track_caller]
pub fn process_watchdog<T: Send + 'static>(
    what: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    watchdog_for(PROCESS_PATIENCE, what, body)
}

#[track_caller]
pub fn watchdog_for<T: Send + 'static>(
    limit: Duration,
    what: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        let value = body();
        let _ = sender.send(value);
    });
    let mut patience = Patience::new(limit);
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(value) => return value,
            Err(RecvTimeoutError::Timeout) if patience.tick() => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("still waiting after {:?}: {what}", patience.limit)
            }
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(payload) => resume_unwind(payload),
                Ok(()) => unreachable!("a body that returned has sent its value"),
            },
        }
    }
}

/// Waits until `fact` holds: for facts that another thread makes true and that have no news of
/// their own ("three threads are waiting").
///
/// # Panics
/// With `what` in the message if it does not hold within [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, fact: impl FnMut() -> bool) {
    until_within(PATIENCE, what, fact);
}

/// [`until`] with a patience of [`PROCESS_PATIENCE`].
#[track_caller]
pub fn process_until(what: &str, fact: impl FnMut() -> bool) {
    until_within(PROCESS_PATIENCE, what, fact);
}

#[track_caller]
fn until_within(limit: Duration, what: &str, mut fact: impl FnMut() -> bool) {
    let (_open, never) = channel::<()>();
    let mut patience = Patience::new(limit);
    loop {
        for _ in 0..1_000 {
            if fact() {
                return;
            }
            thread::yield_now();
        }
        rest(&never);
        assert!(patience.tick(), "still waiting after {:?}: {what}", patience.limit);
    }
}

fn rest(never: &Receiver<()>) {
    let _ = never.recv_timeout(TICK);
}

/// What `Debug` says of a primitive that leaves `field` out while another thread is inside for a
/// moment: one look with it.
#[track_caller]
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
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        let (open, opened) = &*self.0;
        *open.lock().unwrap() = true;
        opened.notify_all();
    }

    pub fn pass(&self) {
        let (open, opened) = &*self.0;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
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
