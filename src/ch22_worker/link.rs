//! The pipes of a worker, between the thread that reads and the one that runs.

use super::super::ch19_wire::to_line;
use super::super::ch21_protocol::{
    CAPACITY, ErrKind, Incoming, Lines, RECALL, Request, opening, write_message,
};
use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::mem::take;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// How often a worker whose input has ended tries whether somebody still reads its output.
const TICK: Duration = Duration::from_millis(50);

/// What was read and is not started: as in the pipe, but where it can be taken back from.
#[derive(Default)]
struct Backlog {
    /// A line for each request, oldest first.
    lines: VecDeque<u8>,
    /// No request will come.
    ended: bool,
}

/// What the two threads of a worker share.
pub(super) struct Link<'a, W> {
    backlog: Mutex<Backlog>,
    /// Tells the one thread that takes from the backlog that it is no longer empty.
    news: Condvar,
    /// Where lines are written, and the room they are made in. The only foreign code that runs under
    /// a lock of ours, because a line must be one piece: if it panics, the output counts as broken.
    output: Mutex<(W, String)>,
    seal: Option<&'a str>,
    /// Called when nothing can be written any more, or the worker cannot start.
    pub(super) leave: fn(i32),
}

impl<'a, W: Write> Link<'a, W> {
    pub(super) fn new(output: W, seal: Option<&'a str>, leave: fn(i32)) -> Self {
        let (backlog, output) = (Mutex::default(), Mutex::new((output, String::new())));
        Link { backlog, news: Condvar::new(), output, seal, leave }
    }

    /// The thread that reads. It does so while a task runs: a recall is answered and the end is
    /// seen at once.
    pub(super) fn receive<R: BufRead>(&self, mut lines: Lines<R>, worked: Receiver<()>) {
        while let Ok(Some(incoming)) = lines.read() {
            match incoming {
                Incoming::Message(line) if line.trim_ascii() == RECALL => self.give_back(),
                Incoming::Message(line) => self.push(line), // (1)
                Incoming::Unreadable(Some(id), kind, why) => _ = self.fail([id], kind, why),
                _ => _ = writeln!(io::stderr(), "a line without an id, ignored"),
            }
        }
        self.backlog.lock().unwrap().ended = true;
        self.news.notify_one();
        // (5), I4: a write is the only way to learn that nobody reads.
        while worked.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            _ = self.say(|opening, lines| *lines += &format!("{opening}\n"));
        }
    }

    /// Adds a request.
    ///
    /// # Wakes
    /// The runner, if it may be waiting: the backlog was empty.
    fn push(&self, request: &str) {
        let mut backlog = self.backlog.lock().unwrap();
        let empty = backlog.lines.is_empty();
        backlog.lines.extend(request.as_bytes());
        backlog.lines.push_back(b'\n');
        if empty {
            self.news.notify_one();
        }
    }

    /// Appends the oldest request; false when there will be none.
    ///
    /// # Blocks
    /// Until one of the two is known.
    pub(super) fn next(&self, request: &mut String) -> bool {
        let backlog = self.backlog.lock().unwrap();
        let none = |backlog: &mut Backlog| backlog.lines.is_empty() && !backlog.ended;
        let mut backlog = self.news.wait_while(backlog, none).unwrap();
        let found = backlog.lines.read_line(request).is_ok_and(|length| length > 0);
        if backlog.lines.is_empty() {
            backlog.lines.shrink_to(CAPACITY);
        }
        found
    }

    /// The answer to `recall`: from here on nobody else finds these requests (4), I3.
    fn give_back(&self) {
        let back = take(&mut self.backlog.lock().unwrap().lines);
        let ids = back.lines().filter_map(|line| Some(Request::parse(&line.ok()?)?.id));
        _ = self.fail(ids, ErrKind::Returned, "not started");
    }

    /// Tells the parent that these requests have no result.
    pub(super) fn fail(
        &self,
        ids: impl IntoIterator<Item = u64>,
        kind: ErrKind,
        why: &str,
    ) -> io::Result<()> {
        let why = to_line(&why.to_string());
        let ids: Vec<_> = ids.into_iter().collect();
        self.say(|opening, lines| {
            for id in &ids {
                write_message(opening, format_args!("{id} err {kind}"), &why, lines);
            }
        })
    }

    /// Writes messages in one piece. For standard output this also brings out what a task printed
    /// before.
    pub(super) fn say(&self, write: impl Fn(&str, &mut String)) -> io::Result<()> {
        let mut output = self.output.lock().map_err(|_| io::Error::other("the output panicked"))?;
        let (output, lines) = &mut *output;
        lines.clear();
        lines.shrink_to(CAPACITY);
        write(&opening(self.seal), lines);
        let written = output.write_all(lines.as_bytes()).and_then(|()| output.flush());
        written.inspect_err(|_| (self.leave)(0))
    }
}
