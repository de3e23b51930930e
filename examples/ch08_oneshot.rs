//! Three questions, each to a thread of its own: one answers, one panics, one nobody waits for.
//! Look at what the last two cost with `Slot`, and at what tells the reader and the writer below.
//!
//! Expected output:
//!
//! ```text
//! a slot with a condvar
//!   the thread answers:      the reader gets 42
//!   the thread panics:       the reader waits; after 50 ms still nothing, and it would never end
//!   nobody waits any more:   the writer wrote, and believes that it was read
//! a oneshot
//!   the thread answers:      the reader gets 42
//!   the thread panics:       the reader hears that there will be no value
//!   nobody waits any more:   the writer gets its 42 back
//! ```
//!
//! With a schedule as its argument (`-- 0`), it replays it on the slot: a writer that leaves
//! without a word, and its reader, step by step.

extern crate self as std;
extern crate std as real;

use concurrent_explained::ch31_schedules::{replay, sync, thread, time};
use concurrent_explained::oneshot;
use real::*;
use std::env::args;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long to wait in vain.
const BRIEFLY: Duration = Duration::from_millis(50);

/// The smallest version: right as long as somebody writes and somebody reads.
pub(crate) struct Slot<T> {
    value: Mutex<Option<T>>,
    news: Condvar,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Slot { value: Mutex::new(None), news: Condvar::new() })
    }

    pub(crate) fn write(&self, value: T) {
        *self.value.lock().unwrap() = Some(value);
        self.news.notify_one();
    }

    pub(crate) fn read(&self) -> T {
        let mut value = self.value.lock().unwrap();
        while value.is_none() {
            value = self.news.wait(value).unwrap();
        }
        value.take().unwrap()
    }
}

/// A panic without the message on standard error.
pub(crate) fn panics() -> i32 {
    resume_unwind(Box::new("no answer"))
}

/// What the reader of a slot gets from a thread that answers `question`, or nothing for 50 ms.
pub(crate) fn ask_by_slot(question: fn() -> i32) -> Option<i32> {
    let slot = Slot::new();
    let writer = slot.clone();
    let _ = thread::spawn(move || writer.write(question())).join();
    let (sender, receiver) = oneshot();
    thread::spawn(move || sender.send(slot.read())); // may never end
    receiver.recv_timeout(BRIEFLY).ok()?
}

fn ask(question: fn() -> i32) -> Option<i32> {
    let (sender, receiver) = oneshot();
    thread::spawn(move || sender.send(question()));
    receiver.recv()
}

/// For a schedule: the reader of a writer that returns before it writes.
fn early_return() {
    let slot = Slot::<i32>::new();
    let reader = slot.clone();
    let reads = thread::spawn(move || reader.read());
    let writes = thread::spawn(move || drop(slot));
    writes.join().unwrap();
    reads.join().unwrap();
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    writeln!(story, "a slot with a condvar")?;
    let answer = ask_by_slot(|| 42).unwrap();
    writeln!(story, "  the thread answers:      the reader gets {answer}")?;
    let waits = match ask_by_slot(panics) {
        None => "the reader waits; after 50 ms still nothing, and it would never end",
        Some(_) => "the reader gets a value that nobody wrote",
    };
    writeln!(story, "  the thread panics:       {waits}")?;
    let slot = Slot::new();
    let writer = slot.clone();
    drop(slot); // the reader's
    writer.write(42); // says nothing
    let silent = "the writer wrote, and believes that it was read";
    writeln!(story, "  nobody waits any more:   {silent}")?;

    writeln!(story, "a oneshot")?;
    writeln!(story, "  the thread answers:      the reader gets {}", ask(|| 42).unwrap())?;
    let hears = match ask(panics) {
        None => "the reader hears that there will be no value",
        Some(_) => "the reader gets a value that nobody wrote",
    };
    writeln!(story, "  the thread panics:       {hears}")?;
    let (sender, receiver) = oneshot();
    drop(receiver);
    let back = sender.send(42).unwrap_err();
    writeln!(story, "  nobody waits any more:   the writer gets its {back} back")?;
    Ok(story)
}

fn main() -> Result<(), std::fmt::Error> {
    let story = match args().nth(1) {
        Some(schedule) => format!("{}\n", replay(&schedule, early_return)),
        None => tell()?,
    };
    let _ = io::stdout().write_all(story.as_bytes()); // a reader that has left is no error
    Ok(())
}
