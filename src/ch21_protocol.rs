//! # 21 · Protocol — ours is marked, everything else is output
//!
//! | needs | [19](super::ch19_wire) |
//! | --- | --- |
//! | reading time | 20 min, exercises not counted |
//! | run it | `cargo run --example ch21_protocol` |
//! | files | [example](../../../../examples/ch21_protocol.rs), [test](../../../../tests/ch21_protocol.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [20](../ch20_records/index.html), [22](../ch22_worker/index.html) |
//!
//! ## Why
//!
//! A value is a line now. A worker needs more: which task, which request an answer belongs to, what
//! went wrong. And its pipe is not ours alone: a task prints, a program that a task starts prints,
//! and all of it comes down the same pipe as our answers.
//!
//! ## Steps
//!
//! 1. A line out, a line back. Two calls in one pipe cannot be told apart, so each line starts with
//!    an id. The id is outside of the payload: a payload that cannot be read still has an owner.
//! 2. A task prints `7 ok 0`. So our lines start with a mark that nobody prints, `␞`, and what has
//!    no mark is output. The last mark on a line counts: what stands before it was printed.
//! 3. A task prints the mark after all: it runs a worker of its own, say, with the same output. So
//!    the parent may choose a random word, the *seal*, and then a mark without it is output too.
//! 4. A write of up to 4 096 bytes enters a pipe in one piece. A longer one lets others in between,
//!    and their bytes end up inside our result. So a longer message says its length.
//! 5. A worker that waits for each request costs a process switch a task. So it may say how many it
//!    will hold (`ready 1 64`), and the parent may ask for what is not started (`recall`). Even
//!    then each task costs a line each way; `square*` runs a task on all items of one array.
//! 6. Only a write tells that nobody reads any more. So a worker may write an empty message at any
//!    time: it says nothing.
//!
//! ## Picture
//!
//! ```text
//!   parent                                                     worker
//!     │  ◀────── ␞ready 1 {"pid":4242,"tasks":["square"]} ──────  │  once, first
//!     │  ─────── 7 square 12 ──────────────────────────────────▶  │
//!     │  ◀────── now I think about it ␞7 ok 144 ────────────────  │
//!     │          └──── output ──────┘└ message ┘                  │
//!     │  ─────── 8 square "x" ─────────────────────────────────▶  │
//!     │  ◀────── ␞8 err bad_argument "column 1: expected …" ────  │
//!     │  ─────── 9 repeat 300000 ──────────────────────────────▶  │
//!     │  ◀────── ␞9 ok #300002 "xxx…" ──────────────────────────  │
//!     │  ─────── recall ───────────────────────────────────────▶  │
//!     │  ◀────── ␞10 err returned "not started" ────────────────  │
//!     │  ◀────── ␞ ─────────────────────────────────────────────  │  still here
//! ```
//!
//! `␞` is ASCII 30, the record separator. With a seal a message starts with `␞SEAL` and a space.
//! `#300002` is the number of bytes between the space after it and the newline. A message of more
//! than 4 096 bytes of ours always has it; from other workers none is asked for. It cannot be
//! mistaken for a payload: no JSON starts with `#`.
//!
//! ## Promises
//!
//! - I1. What is not a message is output, and is handed on: nothing is lost, nothing twice, in
//!   order. It comes out as soon as it is read; only after a `␞` it has to wait for the end of the
//!   line.
//! - I2. The last mark on a line starts the message, for the limit too. With a seal, only a mark
//!   with that seal is one.
//! - I3. Where the bytes are cut when they come out of the pipe changes nothing.
//! - I4. What cannot be decoded, is not UTF-8, or is over the limit, fails the request whose id
//!   stands in front of it, and nothing else.
//! - I5. Memory is bounded by [`Lines::limit`]. A longer message is reported once, and skipped to
//!   the end of its line.
//! - I6. A line is complete or it is not a line: a request or message that the end of the file cuts
//!   short is never run.
//! - I7. A message that another writer has got into does not pass for a result if it says its
//!   length: the call fails, and the error names the cause.
//! - I8. A payload is one line. A newline inside of it becomes a space, which means the same
//!   between two tokens of JSON, and JSON allows neither inside of a string. So no argument can
//!   smuggle in a second request.
//! - Not promised: secrecy. The seal keeps out accidents, not a task that reads its own command
//!   line. And without a seal, a second worker that writes into the middle of a long message cuts
//!   it in two, of which the second half may look like a message.
//!
//! ## The trap
//!
//! A task that prints `␞7 ok 0` forges an answer, unless there is a seal:
//!
//! ```
//! use concurrent_explained::{Incoming, Lines};
//!
//! let printed = "␞7 ok 0\n␞k5q 7 ok 144\n".replace('␞', "\x1e");
//!
//! let mut trusting = Lines::from_worker(printed.as_bytes(), None);
//! assert_eq!(trusting.read().unwrap(), Some(Incoming::Message("7 ok 0"))); // forged
//!
//! let mut sealed = Lines::from_worker(printed.as_bytes(), Some("k5q"));
//! assert_eq!(sealed.read().unwrap(), Some(Incoming::Output(b"\x1e7 ok 0\n")));
//! assert_eq!(sealed.read().unwrap(), Some(Incoming::Message("7 ok 144")));
//! ```
//!
//! ## Elsewhere
//!
//! - Python's process pool sends pickles behind a length, on a pipe of its own: a foreign worker or
//!   a person cannot speak it, and a worker that dies halfway through one leaves the pool broken.
//! - RFC 7464 (JSON text sequences) puts `␞` in front of every text for the same reason: to find
//!   the next one after a torn one.
//! - LSP and HTTP announce every length in a header; one byte too many on the pipe, and the two
//!   sides never meet again. Here a length is a check, not a frame.
//!
//! ## Try
//!
//! 1. Predict: `12␞7 ok 1␞7 ok 2` and a newline, without a seal. What is output, what is the
//!    message?
//! 2. Break: let the first mark on a line start the message (in `Lines::last_mark`, `let places =
//!    1`). Which task loses its answer?
//! 3. Extend: a worker that knows how much memory it may use tells it in `ready`. Does an old
//!    parent still understand it?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::fmt::{self, Display, Write};
use std::io::{self, BufRead, ErrorKind, Read};

use super::ch19_wire::from_line;

/// The version of the protocol that this file speaks.
pub const VERSION: u64 = 1;

/// What every message of a worker starts with: ASCII 30, the record separator.
pub const MARK: char = '\u{1e}';

/// The most bytes that enter a pipe in one piece while others write to it too: `PIPE_BUF` of Linux.
/// A longer message says its length.
pub const ONE_WRITE: usize = 4096;

/// The longest line that is read unless told otherwise, in bytes, all of it counted: 512 MiB.
pub const LIMIT: usize = 512 << 20;

/// How many bytes of capacity a buffer keeps from one line to the next. Without a bound one long
/// line would hold its memory for good; with none kept, each long line would ask for it anew.
pub const CAPACITY: usize = 2 << 20;

/// What follows the name of a task that is to run on each item of an array, for an array of
/// outcomes: `7 square* [1,2]` is answered by `7 ok [{"ok":1},{"ok":4}]`, and the outcome of a
/// panic is `{"err":"message"}`.
pub const EACH: char = '*';

/// The line that asks a worker to give back the requests it has not started. It may give back none.
pub const RECALL: &str = "recall";

/// A line to the worker: run this task on this argument, and answer under this id.
///
/// # Examples
/// ```
/// use concurrent_explained::Request;
///
/// let mut line = String::new();
/// Request { id: 7, task: "square", argument: "12" }.write(&mut line);
/// assert_eq!(line, "7 square 12\n");
/// assert_eq!(Request::parse(&line), Some(Request { id: 7, task: "square", argument: "12" }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Chosen by the parent, repeated in the reply.
    pub id: u64,
    /// The name of the task, as [`is_task_name`] allows it.
    pub task: &'a str,
    /// JSON.
    pub argument: &'a str,
}

impl<'a> Request<'a> {
    /// The request that `line` makes; `None` if it does not start with an id. What is missing
    /// behind the id is empty, and refused by the worker as an unknown task or a bad argument.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (id, rest) = split(line);
        let (task, argument) = split(rest);
        Some(Request { id: id.parse().ok()?, task, argument: argument.trim_ascii_end() })
    }

    /// Appends the line, with its newline. `task` has to satisfy [`is_task_name`].
    pub fn write(&self, out: &mut String) {
        let _ = write!(out, "{} {} ", self.id, self.task);
        end_line(out, self.argument);
    }
}

/// Whether a task can be called `name`: not empty, no white space, no control character, no
/// [`EACH`] at its end.
pub fn is_task_name(name: &str) -> bool {
    let spaced = name.contains(|c: char| c.is_whitespace() || c.is_control());
    !name.is_empty() && !spaced && !name.ends_with(EACH)
}

/// A line from the worker, without its mark, seal and newline.
///
/// # Examples
/// ```
/// use concurrent_explained::{ErrKind, Message};
///
/// let reply = Message::Reply { id: 7, outcome: Err((ErrKind::Panicked, "overflow".to_string())) };
/// assert_eq!(Message::parse(r#"7 err panicked "overflow""#), Ok(reply));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// The first message that says anything: the worker can take requests.
    Ready {
        /// Of the protocol. If it is not [`VERSION`], nothing else is known.
        version: u64,
        /// What the worker tells about itself. First how many requests it will hold: one, if there
        /// is no number. The rest is for a person: a JSON object of whatever it knows, or nothing.
        about: &'a str,
    },
    /// The answer to a request.
    Reply {
        /// Of the request.
        id: u64,
        /// The result as JSON, or why there is none, and the same for a person.
        outcome: Result<&'a str, (ErrKind, String)>,
    },
    /// The empty message: the worker only tries whether somebody still reads.
    StillHere,
}

impl<'a> Message<'a> {
    /// The message that `text` stands for. A reply of the wrong length is a reply too: an
    /// [`ErrKind::Garbled`] for its request.
    ///
    /// # Errors
    /// What is wrong with it, for a person: the worker does not speak this protocol.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let (first, rest) = split(text);
        let (second, rest) = split(rest);
        let number = |word: &str| word.parse().map_err(|_| format!("{word:?} is not a number"));
        let garbled = |why| (ErrKind::Garbled, why);
        let (id, outcome) = match (first, second) {
            ("", _) => return Ok(Message::StillHere),
            ("ready", version) => {
                return Ok(Message::Ready { version: number(version)?, about: payload(rest)? });
            }
            (id, "ok") => (id, payload(rest).map_err(garbled)),
            (id, "err") => {
                let (name, rest) = split(rest);
                let known = KINDS.iter().find(|known| known.1 == name);
                let (kind, _) = *known.ok_or_else(|| format!("{name:?} is not a kind of error"))?;
                // The message is for a person: one that is not quoted will do.
                let say = |said| (kind, from_line(said).unwrap_or_else(|_| said.to_string()));
                (id, Err(payload(rest).map_or_else(garbled, say)))
            }
            _ => return Err(format!("{second:?} is neither ok nor err")),
        };
        Ok(Message::Reply { id: number(id)?, outcome })
    }
}

/// Why there is no result: a closed set, so that a parent can decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrKind {
    /// The task panicked.
    Panicked,
    /// The worker has no task of this name.
    UnknownTask,
    /// The argument is not what the task takes.
    BadArgument,
    /// Instead of `ready`, with the id 0: the worker cannot start.
    FailedStart,
    /// The request or the result is over the limit.
    TooLong,
    /// The request or the reply is not what was sent: it has another length, or is not UTF-8.
    Garbled,
    /// The answer to `recall`: the request was not started.
    Returned,
}

/// How the kinds are spelled.
const KINDS: [(ErrKind, &str); 7] = [
    (ErrKind::Panicked, "panicked"),
    (ErrKind::UnknownTask, "unknown_task"),
    (ErrKind::BadArgument, "bad_argument"),
    (ErrKind::FailedStart, "failed_start"),
    (ErrKind::TooLong, "too_long"),
    (ErrKind::Garbled, "garbled"),
    (ErrKind::Returned, "returned"),
];

impl Display for ErrKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS.iter().find(|known| known.0 == *self).map_or("", |known| known.1))
    }
}

/// Mark and seal: what each message of a worker starts with.
pub fn opening(seal: Option<&str>) -> String {
    seal.map_or(MARK.to_string(), |seal| format!("{MARK}{seal} "))
}

/// Appends a message of a worker: the [`opening`], `head`, and the JSON that ends it.
///
/// # Examples
/// ```
/// use concurrent_explained::ch21_protocol::{opening, write_message};
///
/// let mut line = String::new();
/// write_message(&opening(None), format_args!("{} ok", 7), "144", &mut line);
/// assert_eq!(line, "\x1e7 ok 144\n");
/// ```
pub fn write_message(opening: &str, head: impl Display, json: &str, out: &mut String) {
    let start = out.len();
    let _ = write!(out, "{opening}{head} ");
    // (I7) Beyond this, somebody else may write into the middle of it.
    if out.len() - start + json.len() + 1 > ONE_WRITE {
        let _ = write!(out, "#{} ", json.len());
    }
    end_line(out, json);
}

/// The first word, and what follows it, without the white space before the two.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    let end = text.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

/// The JSON at the end of a message, if it is as long as the message says (I7).
fn payload(text: &str) -> Result<&str, String> {
    let Some(measured) = text.strip_prefix('#') else { return Ok(text.trim_ascii_end()) };
    let (length, json) = measured.split_once(' ').unwrap_or((measured, ""));
    let garbled = || format!("a message of {length} bytes came as {}: {INTRUDER}", json.len());
    if length.parse() == Ok(json.len()) { Ok(json) } else { Err(garbled()) }
}

/// What a wrong length most likely comes from.
const INTRUDER: &str = "something else writes to the worker's standard output, \
                        perhaps a program that the task has started";

/// Appends the JSON that ends a line, and the newline. It stays one line with one mark, and as
/// long as it was, whatever a hand-written `Wire` has put into it (I8).
fn end_line(out: &mut String, json: &str) {
    match json.bytes().min() {
        Some(0..b' ') => out.push_str(&json.replace(['\n', MARK], " ")),
        _ => out.push_str(json),
    }
    out.push('\n');
}

/// A piece of what came down a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// What the task printed, as it came.
    Output(&'a [u8]),
    /// A message without mark, seal and newline; or a request.
    Message(&'a str),
    /// A message that is over the limit, or is not UTF-8.
    /// The id in front of it, if there is one; why it cannot be read; the same for a person.
    Unreadable(Option<u64>, ErrKind, &'static str),
    /// A message that the end of the file cuts short.
    Torn(&'a [u8]),
}

/// Splits what a worker writes into messages and output, or what a worker reads into requests.
///
/// # Examples
/// ```
/// use concurrent_explained::{Incoming, Lines, Message};
///
/// let mut lines = Lines::from_worker("thinking \x1e7 ok 144\n".as_bytes(), None);
/// assert_eq!(lines.read().unwrap(), Some(Incoming::Output(b"thinking ")));
/// let Some(Incoming::Message(text)) = lines.read().unwrap() else { panic!() };
/// assert_eq!(Message::parse(text), Ok(Message::Reply { id: 7, outcome: Ok("144") }));
/// assert_eq!(lines.read().unwrap(), None);
/// ```
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    /// What a message starts with: mark and seal. Empty: every line is one.
    opening: String,
    /// The longest line that is read, in bytes, all included; [`LIMIT`] at first.
    pub limit: usize,
    /// What was read last: a piece of output, or a line from its first mark on, as far as it has
    /// come.
    line: Vec<u8>,
    /// How much of it was handed out: less than all if it was output in front of a mark.
    done: usize,
}

impl<R: BufRead> Lines<R> {
    /// What a worker with this `seal` writes.
    pub fn from_worker(input: R, seal: Option<&str>) -> Self {
        Lines { opening: opening(seal), ..Lines::from_parent(input) }
    }

    /// What a parent writes: every line is an [`Incoming::Message`], and there is no output.
    pub fn from_parent(input: R) -> Self {
        Lines { input, opening: String::new(), limit: LIMIT, line: Vec::new(), done: 0 }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// # Blocks
    /// Until there is output, or a whole line, or the end of the file.
    ///
    /// # Errors
    /// Those of the pipe, but for `Interrupted`.
    pub fn read(&mut self) -> io::Result<Option<Incoming<'_>>> {
        self.line.drain(..self.done);
        self.done = 0;
        if self.line.is_empty() {
            self.line.shrink_to(CAPACITY);
            let bytes = match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => return self.read(),
                bytes => bytes?,
            };
            // (I1) What is there up to the next mark goes out at once.
            let starts = |byte: &u8| self.opening.is_empty() || *byte == MARK as u8;
            self.done = bytes.iter().position(starts).unwrap_or(bytes.len());
            if self.done > 0 || bytes.is_empty() {
                self.line.extend_from_slice(&bytes[..self.done]);
                self.input.consume(self.done);
                return Ok(Some(Incoming::Output(&self.line)).filter(|_| self.done > 0));
            }
        }
        // (I5) A line, or as much of it as the limit allows, or all there is before the end.
        let limit = self.limit.max(1);
        if !self.line.ends_with(b"\n") {
            let more = limit.saturating_sub(self.line.len()) as u64;
            self.input.by_ref().take(more).read_until(b'\n', &mut self.line)?;
        }
        let (line, mark) = (&self.line[..], self.last_mark());
        let message = line.strip_prefix(self.opening.as_bytes()).filter(|_| mark == Some(0));
        let Some(text) = message else {
            // (I2) From the mark on, the line counts anew, for the limit too.
            self.done = mark.filter(|at| *at > 0).unwrap_or(line.len());
            return Ok(Some(Incoming::Output(&line[..self.done])));
        };
        self.done = line.len();
        let unreadable = |kind, why| {
            // (I4) Up to the space, for the limit may have cut the number itself.
            let head = text.iter().position(|byte| *byte == b' ').map(|end| &text[..end]);
            let id = head.and_then(|head| str::from_utf8(head).ok()?.parse().ok());
            Incoming::Unreadable(id, kind, why)
        };
        Ok(Some(match text.strip_suffix(b"\n").map(str::from_utf8) {
            Some(Ok(text)) => Incoming::Message(text),
            Some(Err(_)) => unreadable(ErrKind::Garbled, "not UTF-8"),
            None if line.len() < limit => Incoming::Torn(text), // (I6)
            None => {
                self.input.skip_until(b'\n')?;
                unreadable(ErrKind::TooLong, "over the limit")
            }
        }))
    }

    /// Where the message in the line starts: at the last mark, with its seal. A request has no mark
    /// (`opening` is empty), so it starts where its line does.
    fn last_mark(&self) -> Option<usize> {
        let (line, opening) = (&self.line[..], self.opening.as_bytes());
        // There is hardly ever a second mark, and `contains` looks at many bytes at once.
        let places = if line[1..].contains(&(MARK as u8)) { line.len() } else { 1 };
        let places = if opening.is_empty() { 1 } else { places };
        // (I3) Of a line that has not come to its end, the seal may not have come either.
        let is_cut = !line.ends_with(b"\n");
        let is_start = |at: &usize| {
            let here = &line[*at..];
            here.starts_with(opening) || is_cut && opening.starts_with(here)
        };
        (0..places).rev().find(is_start)
    }
}
