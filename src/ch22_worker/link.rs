//! The pipes of a worker, between the thread that reads and the thread of the tasks.
//!
//! Two locks, each held for moments only and neither while the other is taken: `inbox` for what was
//! read, `output` for who writes. A third one, std's for standard output, is taken by the thread of
//! the tasks only, and always before `output`. The reading thread never takes it.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Condvar, Mutex};
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

/// A request as it came, or the id of one that cannot be read, and why.
pub(super) type Received = Result<String, (u64, ErrKind, &'static str)>;

/// What the reading thread leaves for the thread of the tasks.
#[derive(Default)]
struct Inbox {
    /// What is not started, oldest first. A recall empties it.
    waiting: VecDeque<Received>,
    /// No request will come: the input has ended, or cannot be read.
    has_ended: bool,
    /// `ready` is written. Until then a recall must not be answered: the parent would meet a
    /// reply before `ready`.
    is_ready: bool,
}

/// The pipes of a worker, between its two threads.
pub(super) struct Link<W> {
    inbox: Mutex<Inbox>,
    /// Tells the thread of the tasks that the inbox is no longer empty, or will stay so.
    news: Condvar,
    /// Where messages are written, and the buffer they are made in; `None` while one of the threads
    /// writes. It has them in its hands then, and not under this lock: the `Write` may be of any
    /// kind, and may panic or block.
    output: Mutex<Output<W>>,
    /// Tells the other thread that the output is back.
    is_back: Condvar,
    /// What each message starts with.
    opening: String,
    /// It serves standard output, and the process ends when nobody reads that.
    is_process: bool,
}

/// What messages go to, with room for one.
struct Output<W> {
    /// `None` while one of the two threads writes.
    free: Option<(W, String)>,
    /// The other thread waits for it.
    is_wanted: bool,
}

impl<W: Write> Link<W> {
    /// Nothing received, nothing written.
    pub(super) fn new(output: W, seal: Option<&str>, is_process: bool) -> Self {
        let free = Some((output, String::new()));
        let (inbox, output) = (Mutex::default(), Mutex::new(Output { free, is_wanted: false }));
        let (news, is_back) = (Condvar::new(), Condvar::new());
        Link { inbox, news, output, is_back, opening: opening(seal), is_process }
    }

    /// The reading thread, until the work is done: nobody sends to `worked`, but its other end is
    /// dropped then. It never prints, for a task may hold the locks of std (I8).
    pub(super) fn receive<R: BufRead>(&self, mut lines: Lines<R>, worked: Receiver<()>) {
        while let Ok(Some(incoming)) = lines.read() {
            // A request that cannot be read waits like the others: its refusal must not overtake
            // an answer that is due before it.
            match incoming {
                Incoming::Message(line) if line.trim_ascii() == RECALL => self.give_back(),
                Incoming::Message(line) => self.push(Ok(line.to_string())), // (1)
                Incoming::Unreadable(Some(id), kind, why) => self.push(Err((id, kind, why))),
                _ => self.push(Ok(String::new())), // a line without an id
            }
        }
        self.inbox.lock().unwrap().has_ended = true;
        self.news.notify_one();
        // (5) A write is the only way to learn that nobody reads (I4). Without this loop a task
        // that never ends would outlive a parent that was killed.
        while worked.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let _ = self.say("", "");
        }
    }

    /// Puts it behind what waits.
    ///
    /// # Wakes
    /// The thread of the tasks, if it may be waiting: the inbox was empty. It never waits while
    /// there is something, so the second of two requests need not wake it.
    fn push(&self, received: Received) {
        let mut inbox = self.inbox.lock().unwrap();
        inbox.waiting.push_back(received);
        let was_empty = inbox.waiting.len() == 1;
        drop(inbox); // the thread that is woken would wait for this lock at once
        if was_empty {
            self.news.notify_one();
        }
    }

    /// `ready` is written: from here on a recall is answered (I7).
    pub(super) fn open(&self) {
        self.inbox.lock().unwrap().is_ready = true;
    }

    /// The oldest of what was received; `None` when no more will come.
    ///
    /// # Blocks
    /// Until one of the two is known.
    pub(super) fn next(&self) -> Option<Received> {
        let mut inbox = self.inbox.lock().unwrap();
        while inbox.waiting.is_empty() && !inbox.has_ended {
            inbox = self.news.wait(inbox).unwrap();
        }
        inbox.waiting.pop_front()
    }

    /// (4) The answer to `recall`: from here on nobody else finds these requests (I3).
    fn give_back(&self) {
        let mut inbox = self.inbox.lock().unwrap();
        let back = if inbox.is_ready { mem::take(&mut inbox.waiting) } else { VecDeque::new() };
        drop(inbox); // a write may block, and the thread of the tasks must get on
        let id = |received: Received| match received {
            Ok(line) => Request::parse(&line).map(|request| request.id),
            Err((id, ..)) => Some(id),
        };
        for id in back.into_iter().filter_map(id) {
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
        let mut output = self.output.lock().unwrap();
        while output.free.is_none() {
            output.is_wanted = true;
            output = self.is_back.wait(output).unwrap();
        }
        let (mut writer, mut line) = output.free.take().expect("it is back");
        drop(output); // no code of others runs under a lock
        line.clear();
        line.shrink_to(CAPACITY);
        write_message(&self.opening, head, json, &mut line);
        let written = catch(|| writer.write_all(line.as_bytes()).and_then(|()| writer.flush()));
        let written = written.map_err(io::Error::other).and_then(|written| written);
        if written.is_err() {
            self.leave(0); // before it is back: the other thread would meet the same error
        }
        let mut output = self.output.lock().unwrap();
        output.free = Some((writer, line));
        let is_wanted = mem::take(&mut output.is_wanted);
        drop(output);
        // Nearly always nobody waits, and a notification is a system call for each answer.
        if is_wanted {
            self.is_back.notify_one();
        }
        written
    }

    /// Ends the process, if it was started to be a worker. Elsewhere `serve` returns the error.
    pub(super) fn leave(&self, code: i32) {
        if self.is_process {
            process::exit(code);
        }
    }
}
