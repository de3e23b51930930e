//! The pipes of a worker, between the thread that reads and the thread of the tasks.
//!
//! Two locks, and neither is taken while the other is held: `inbox`, for moments, and `output`,
//! while the other thread writes. A third one, std's for standard output, is taken by the thread of
//! the tasks only, and always before `output`. The reading thread never takes it.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::time::Duration;
use std::{mem, process};

use super::super::ch09_outcome::catch;
use super::super::ch19_wire::to_line;
use super::super::ch21_protocol::{
    CAPACITY, ErrKind, Incoming, Lines, RECALL, Request, opening, write_message,
};

/// How often a worker whose input has ended tries whether somebody still reads its output.
const TICK: Duration = Duration::from_millis(50);

/// Why there is no result, and the same for a person.
pub(super) type Refusal = (ErrKind, String);

/// A request as it came, or why it cannot be read. Without an id nobody can be answered.
pub(super) type Received = (Option<u64>, Result<String, Refusal>);

/// The pipes of a worker, between its two threads.
pub(super) struct Link<W> {
    /// What is not started, oldest first. A recall empties it.
    inbox: Mutex<VecDeque<Received>>,
    /// `ready` is written. Until then a recall must not be answered: the parent would meet a reply
    /// before `ready` (I7).
    pub(super) is_ready: AtomicBool,
    /// Where messages are written, and the buffer they are made in. They lie in a channel of one
    /// place: the thread that takes them out writes, and puts them back. It has them in its hands
    /// then, and not under a lock: the `Write` may be of any kind, and may panic or block.
    output: Mutex<Receiver<(W, String)>>,
    back: SyncSender<(W, String)>,
    /// What each message starts with.
    opening: String,
    /// It serves standard output, and the process ends when nobody reads that.
    is_process: bool,
}

impl<W: Write> Link<W> {
    /// Nothing received, nothing written.
    pub(super) fn new(output: W, seal: Option<&str>, is_process: bool) -> Self {
        let (back, place) = sync_channel(1);
        let _ = back.send((output, String::new()));
        let (inbox, output, is_ready) =
            (Mutex::default(), Mutex::new(place), AtomicBool::default());
        Link { inbox, is_ready, output, back, opening: opening(seal), is_process }
    }

    /// The reading thread, until the work is done: nobody sends to `worked`, but its other end is
    /// dropped then. It never prints, for a task may hold the locks of std (I8).
    pub(super) fn receive<R: BufRead>(
        &self,
        mut lines: Lines<R>,
        news: Sender<()>,
        worked: Receiver<()>,
    ) {
        while let Ok(Some(incoming)) = lines.read() {
            // A request that cannot be read waits like the others: its refusal must not overtake
            // an answer that is due before it.
            let received = match incoming {
                Incoming::Message(line) if line.trim_ascii() == RECALL => {
                    self.give_back();
                    continue;
                }
                Incoming::Message(line) => (Request::parse(line).map(|it| it.id), Ok(line.into())),
                Incoming::Unreadable(id, kind, why) => (id, Err((kind, why.to_string()))),
                // A line that the end cuts short is no line: it is not run. Output there is none.
                Incoming::Torn(_) | Incoming::Output(_) => break,
            };
            self.inbox.lock().unwrap().push_back(received); // (1)
            // One for each request, and after it: so the thread of the tasks never waits while
            // there is something. A recall leaves some that announce nothing.
            let _ = news.send(());
        }
        drop(news); // no request will come
        // (5) A write is the only way to learn that nobody reads (I4). Without this loop a task
        // that never ends would outlive a parent that was killed.
        while worked.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let _ = self.say("", "");
        }
    }

    /// The oldest of what was received; `None` if it was given back.
    pub(super) fn next(&self) -> Option<Received> {
        self.inbox.lock().unwrap().pop_front()
    }

    /// (4) The answer to `recall`: from here on nobody else finds these requests (I3).
    fn give_back(&self) {
        if !self.is_ready.load(Ordering::Acquire) {
            return;
        }
        // Unlocked again at the end of this line: a write may block, and the thread of the tasks
        // must get on.
        let back = mem::take(&mut *self.inbox.lock().unwrap());
        for id in back.into_iter().filter_map(|(id, _)| id) {
            let _ = self.say(format_args!("{id} err {}", ErrKind::Returned), "\"not started\"");
        }
    }

    /// The answer to a request, behind what its task has printed.
    pub(super) fn reply(&self, id: u64, outcome: Result<&str, Refusal>) -> io::Result<()> {
        // Held until the answer is written, so that no thread of this process prints into it: a
        // long one enters the pipe in several pieces.
        let mut stdout = self.is_process.then(|| io::stdout().lock());
        if let Some(stdout) = &mut stdout {
            let _ = stdout.flush(); // if nobody reads, the answer will find it out
        }
        match outcome {
            Ok(result) => self.say(format_args!("{id} ok"), result),
            Err((kind, why)) => self.say(format_args!("{id} err {kind}"), &to_line(&why)),
        }
    }

    /// Writes a message in one piece: one buffer, and one call of `write` while it fits into the
    /// pipe.
    ///
    /// # Blocks
    /// While the other thread writes.
    ///
    /// # Errors
    /// If nobody reads any more. In a worker process that is the end.
    pub(super) fn say(&self, head: impl Display, json: &str) -> io::Result<()> {
        // While the other thread writes, this one waits here, and it holds `output`: nobody else
        // is there to want it, and to put the writer back takes no lock.
        let taken = self.output.lock().unwrap().recv();
        let (mut writer, mut line) = taken.expect("the link has the other end too");
        line.clear();
        line.shrink_to(CAPACITY);
        write_message(&self.opening, head, json, &mut line);
        let written = catch(|| writer.write_all(line.as_bytes()).and_then(|()| writer.flush()));
        let written = written.map_err(io::Error::other).and_then(|written| written);
        if written.is_err() {
            self.leave(0); // before it is back: the other thread would meet the same error
        }
        let _ = self.back.send((writer, line));
        written
    }

    /// Ends the process, if it was started to be a worker. Elsewhere `serve` returns the error.
    pub(super) fn leave(&self, code: i32) {
        if self.is_process {
            process::exit(code);
        }
    }
}
