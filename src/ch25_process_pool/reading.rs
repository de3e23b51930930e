//! What the thread of a worker reads, and how others can tell that it waits there.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch23_process::Replies;
use super::shared::Shared;
use std::cell::RefCell;
use std::io::{self, Read};
use std::process::ChildStdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// So many unanswered calls keep a worker busy for longer than [`GATHER`].
pub(super) const MANY: usize = 256;
/// How long answers gather then: to be woken for each would cost more than a quick task.
const GATHER: Duration = Duration::from_micros(100);

/// What the thread of a worker has in hand while it reads.
pub(super) struct Reading {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    pub(super) replies: Replies<Pipe>,
    /// At least [`MANY`] answers are due: said to the pipe inside of `replies`.
    pub(super) many: Arc<AtomicBool>,
}

thread_local! {
    /// What this thread reads, put aside while callbacks run. If one waits for another call of the
    /// pool, a new thread takes it and reads on: else that callback could wait for an answer that
    /// only this thread would read.
    pub(super) static ASIDE: RefCell<Option<Box<Reading>>> = const { RefCell::new(None) };
}

/// The output of a worker, read so that others can tell whether somebody waits there.
pub(super) struct Pipe {
    pub(super) stdout: ChildStdout,
    pub(super) at_pipe: Arc<AtomicBool>,
    pub(super) many: Arc<AtomicBool>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.many.load(Relaxed) {
            thread::sleep(GATHER);
        }
        self.at_pipe.store(true, Relaxed);
        let length = self.stdout.read(buffer);
        self.at_pipe.store(false, Relaxed);
        length
    }
}
