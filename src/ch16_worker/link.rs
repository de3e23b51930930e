//! The pipes of a worker, between the thread that reads and the one that runs.

use crate::ch15_protocol::{ErrKind, Incoming, Lines, Message, RECALL, ROOM, Request};
use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::mem::take;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// How often a worker whose input has ended tries whether somebody still reads its output.
const TICK: Duration = Duration::from_millis(50);

/// What the two threads of a worker share.
pub(super) struct Link<'a, W> {
    /// The requests not started, oldest first; `None` is the end of the input.
    backlog: Mutex<VecDeque<Option<String>>>,
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
                Incoming::Message(line) => self.push(Some(line.to_string())), // (1)
                Incoming::TooLong(Some(id)) => _ = self.fail([id], ErrKind::TooLong, "too long"),
                Incoming::NotText(Some(id)) => _ = self.fail([id], ErrKind::BadArgument, "no text"),
                _ => _ = writeln!(io::stderr(), "a line without an id, ignored"),
            }
        }
        self.push(None);
        // (5), I4: a write is the only way to learn that nobody reads.
        while worked.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            _ = self.say(&[Message::StillHere]);
        }
    }

    /// Adds a request, or the end of all requests.
    ///
    /// # Wakes
    /// The runner if it waits: then the backlog was empty.
    fn push(&self, request: Option<String>) {
        let mut backlog = self.backlog.lock().unwrap();
        backlog.push_back(request);
        if backlog.len() == 1 {
            self.news.notify_one();
        }
    }

    /// The oldest request; `None` when there will be none.
    ///
    /// # Blocks
    /// Until one of the two is known.
    pub(super) fn next(&self) -> Option<String> {
        let backlog = self.backlog.lock().unwrap();
        self.news.wait_while(backlog, |backlog| backlog.is_empty()).unwrap().pop_front().flatten()
    }

    /// The answer to `recall`: from here on nobody else finds these requests (4), I3.
    fn give_back(&self) {
        let back = take(&mut *self.backlog.lock().unwrap());
        let ids = back.iter().flatten().filter_map(|line| Some(Request::parse(line)?.id));
        _ = self.fail(ids, ErrKind::Returned, "not started");
    }

    /// Tells the parent that these requests have no result.
    pub(super) fn fail(
        &self,
        ids: impl IntoIterator<Item = u64>,
        kind: ErrKind,
        why: &str,
    ) -> io::Result<()> {
        let reply = |id| Message::Reply { id, outcome: Err((kind, why.to_string())) };
        self.say(&ids.into_iter().map(reply).collect::<Vec<_>>())
    }

    /// Writes messages in one piece. For standard output this also brings out what a task printed
    /// before.
    pub(super) fn say(&self, messages: &[Message<'_>]) -> io::Result<()> {
        let mut output = self.output.lock().map_err(|_| io::Error::other("the output panicked"))?;
        let (output, lines) = &mut *output;
        lines.clear();
        lines.shrink_to(ROOM);
        messages.iter().for_each(|message| message.write(self.seal, lines));
        let written = output.write_all(lines.as_bytes()).and_then(|()| output.flush());
        written.inspect_err(|_| (self.leave)(0))
    }
}
