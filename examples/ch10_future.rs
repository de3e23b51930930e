//! Look at who holds the data of a cancelled task: first with a closure and a channel, then with a
//! future. Then at a chain of callbacks, and at the order in which everybody hears of an end.
//!
//! Expected output:
//!
//! ```text
//! a closure and a channel
//!   the caller has left:     the data has 2 owners
//! a future
//!   the caller cancels:      the data has 1 owner
//!   the work comes out once: Some("the work"), then None
//!   handed back:             it can be cancelled again: true
//!   a promise is dropped:    the promise was dropped without an outcome
//!   callbacks hear of it:    first Ok(7), second Ok(7), then the reader Ok(7)
//!   a chain of 100000:       the last future has Ok(7)
//!   too early for a result:  the future comes back as Future(Pending)
//!   nobody reads a failure:  a task that nobody read, panicked: unheard
//! ```

use concurrent_explained::ch10_future::{Slot, Source};
use concurrent_explained::{Error, Future, promise, set_failure_hook};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The smallest version: the work goes one way, the answer comes another. A cancellation has no
/// place: the closure is in the queue, and nobody finds it there.
fn closure_and_channel(data: &Arc<String>) -> usize {
    let (queue, jobs) = channel::<Box<dyn FnOnce() + Send>>();
    let (answer, answered) = channel();
    let captured = data.clone();
    queue.send(Box::new(move || _ = answer.send(captured.len()))).unwrap();
    drop(answered); // the caller has left; the queue does not know
    let owners = Arc::strong_count(data);
    drop(jobs);
    owners
}

/// Work that is data: somebody else carries it out.
struct Elsewhere;

impl<W: Send> Source<W, usize> for Elsewhere {}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let data = Arc::new(String::from("a large file"));
    writeln!(story, "a closure and a channel")?;
    let owners = closure_and_channel(&data);
    writeln!(story, "  the caller has left:     the data has {owners} owners")?;

    writeln!(story, "a future")?;
    let slot = Arc::new(Slot::new(Elsewhere, data.clone())); // the queue's handle
    let future = Future::new(slot.clone());
    assert!(future.cancel());
    let owners = Arc::strong_count(&data);
    writeln!(story, "  the caller cancels:      the data has {owners} owner")?;

    let slot = Arc::new(Slot::new(Elsewhere, "the work"));
    let future = Future::new(slot.clone());
    let (first, second) = (slot.claim(), slot.claim());
    writeln!(story, "  the work comes out once: {first:?}, then {second:?}")?;
    slot.hand_back("the work");
    writeln!(story, "  handed back:             it can be cancelled again: {}", future.cancel())?;

    let (waiting, future) = promise::<i32>();
    drop(waiting);
    writeln!(story, "  a promise is dropped:    {}", future.result().unwrap_err())?;

    let (waiting, future) = promise::<i32>();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for name in ["first", "second"] {
        let heard = heard.clone();
        let hear = move |outcome: &Result<i32, Error>| {
            heard.lock().unwrap().push(format!("{name} {outcome:?}"));
        };
        future.add_done_callback(hear);
    }
    waiting.complete(Ok(7)).unwrap();
    let read = future.result();
    let heard = heard.lock().unwrap().join(", ");
    writeln!(story, "  callbacks hear of it:    {heard}, then the reader {read:?}")?;

    let (first, mut last) = promise::<i32>();
    for _ in 0..100_000 {
        let (next, future) = promise();
        last.add_done_callback(move |outcome| _ = next.complete(outcome.clone()));
        last = future;
    }
    first.complete(Ok(7)).unwrap();
    writeln!(story, "  a chain of 100000:       the last future has {:?}", last.result())?;

    let (_waiting, future) = promise::<i32>();
    let future = future.result_timeout(Duration::ZERO).unwrap_err();
    writeln!(story, "  too early for a result:  the future comes back as {future:?}")?;

    let told = Arc::new(Mutex::new(String::new()));
    let hook = told.clone();
    set_failure_hook(move |what, error| *hook.lock().unwrap() = format!("{what}, {error}"));
    let (waiting, future) = promise::<i32>();
    waiting.complete(Err(Error::Panicked { message: "unheard".into() })).unwrap();
    drop(future);
    writeln!(story, "  nobody reads a failure:  {}", told.lock().unwrap())?;
    Ok(story)
}

fn main() {
    let story = tell().expect("a String takes any text");
    let _ = io::stdout().write_all(story.as_bytes()); // a closed pipe is a reader that has left
}
