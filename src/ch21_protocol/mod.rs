//! # 21 · Protocol — framing, ids outside the payload, noise
//!
//! Needs: ch19.   Reading time: 10 min.
//! Run it: cargo run --example ch21_protocol
//!
//! ## Why
//!
//! A value is a line now. A worker needs more: which task, which request an answer belongs to, what
//! went wrong. And its pipe is not ours alone: a task prints, and what it prints comes down the
//! same pipe as our answers.
//!
//! ## Picture
//!
//! ```text
//!   parent                                                     worker
//!     │  ◀────── ␞ready 1 {"pid":4242,"tasks":["square"]} ──────  │
//!     │  ─────── 7 square 12 ──────────────────────────────────▶  │
//!     │  ◀────── now I think about it ␞7 ok 144 ────────────────  │
//!     │          └──── output ──────┘└ message ┘                  │
//!     │  ─────── 8 square "x" ─────────────────────────────────▶  │
//!     │  ◀────── ␞8 err bad_argument "column 1: expected …" ────  │
//!     │  ─────── recall ───────────────────────────────────────▶  │
//!     │  ◀────── ␞9 err returned "not started" ─────────────────  │
//!     │  ◀────── ␞ ─────────────────────────────────────────────  │  still here
//! ```
//!
//! `␞` is ASCII 30, the record separator. One message is one line, with `\n` at its end. What the
//! lines say is told here; the room `lines` finds them in what comes down a pipe.
//!
//! ## Promises
//!
//! - I1: whatever is not a message is output, and is handed on: nothing is lost, nothing twice, in
//!   order. It comes out as soon as it is read; only after a `␞` it has to wait for the end of the
//!   line.
//! - I2: a message has no `␞` inside of it (JSON escapes it), so the last one on a line starts the
//!   message.
//! - I3: where the bytes are cut when they come out of the pipe changes nothing.
//! - I4: the id stands outside the payload. What cannot be decoded, is no text, or is over the
//!   limit, fails the request with that id and nothing else.
//! - I5: memory is bounded by [`Lines::limit`]. A longer line is reported once, and skipped to its
//!   end.
//! - I6: a line is complete or it is not a line: a request or message that the end of the file cuts
//!   short is never run.
//! - A newline inside of a payload becomes a space: between two tokens of JSON they mean the same,
//!   and inside of a string JSON does not allow either. So no argument can smuggle in a second
//!   request.
//! - Not promised: secrecy. The seal below keeps out accidents, not a task that reads its own
//!   command line.
//!
//! ## The trap
//!
//! A task that prints `␞7 ok 0` forges an answer. So the parent may give the worker a *seal*, a
//! random word on its command line: then a message starts with `␞SEAL␣`, and a `␞` without it is
//! output like everything else.
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
//! - LSP and HTTP announce a length in a header; one byte too many on the pipe and the two sides
//!   never meet again.
//!
//! ## Try
//!
//! 1. Predict: `12␞7 ok 1␞7 ok 2` and a newline, without a seal. What is output, what is the
//!    message?
//! 2. Break: let the first `␞` on a line start the message (in `Lines::read`, let `last` be `None`).
//!    Which task loses its answer?
//! 3. Extend: a worker that knows how much memory it may use tells it in `ready`. Does an old
//!    parent still understand it?
//!
//! The answers are in `tests/ch21_protocol.rs`.

mod lines;

pub use lines::{Incoming, Lines, ROOM};

use std::fmt::{self, Write};

use super::ch19_wire::{Decoded, Reader, Wire, from_line, to_line};

/// The version of the protocol that this file speaks.
pub const VERSION: u64 = 1;

/// What every message of a worker starts with: ASCII 30, the record separator.
pub const MARK: char = '\u{1e}';

/// The longest line that is read unless told otherwise, in bytes, all of it counted: 512 MiB.
pub const LIMIT: usize = 512 << 20;

/// What follows the name of a task that is to run on each item of an array, for an array of outcomes:
/// `7 square* [1,2]` is answered by `7 ok [{"ok":1},{"ok":4}]`, and a panic is an `{"err":"message"}`.
pub const EACH: char = '*';

/// The line that asks a worker to give back the requests it has not started.
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
    /// behind the id is empty, and refused by the worker as an unknown task or a bad argument (I4).
    pub fn parse(line: &'a str) -> Option<Self> {
        let (id, rest) = split(line);
        let (task, argument) = split(rest);
        id.parse().ok().map(|id| Request { id, task, argument })
    }

    /// Appends the line, with its newline. `task` has to satisfy [`is_task_name`].
    pub fn write(&self, out: &mut String) {
        put_line(out, format_args!("{} {} ", self.id, self.task), self.argument);
    }
}

/// Whether a task can be called `name`: not empty, no white space, no control character, no [`EACH`]
/// at its end.
pub fn is_task_name(name: &str) -> bool {
    let spaced = name.contains(|c: char| c.is_whitespace() || c.is_control());
    !name.is_empty() && !spaced && !name.ends_with(EACH)
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
    /// The answer to `recall`: the request was not started.
    Returned,
}

/// How the kinds are spelled.
const KINDS: [(ErrKind, &str); 6] = [
    (ErrKind::Panicked, "panicked"),
    (ErrKind::UnknownTask, "unknown_task"),
    (ErrKind::BadArgument, "bad_argument"),
    (ErrKind::FailedStart, "failed_start"),
    (ErrKind::TooLong, "too_long"),
    (ErrKind::Returned, "returned"),
];

/// A line from the worker, without its mark, seal and newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// The first message: the worker can take requests.
    Ready {
        /// Of the protocol. If it is not [`VERSION`], nothing else is known.
        version: u64,
        /// What else the worker tells.
        about: About,
    },
    /// The answer to a request.
    Reply {
        /// Of the request.
        id: u64,
        /// The result as JSON, or why there is none, and the same for a person.
        outcome: Result<&'a str, (ErrKind, String)>,
    },
    /// Nothing but "somebody is still here".
    StillHere,
}

/// What a worker tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its process, or 0 if it does not tell.
    pub pid: u32,
    /// The tasks it knows; empty if it does not tell.
    pub tasks: Vec<String>,
    /// How many requests it is willing to hold; 1 if it does not tell.
    pub lookahead: usize,
}

impl<'a> Message<'a> {
    /// The message that `text` stands for.
    ///
    /// # Errors
    /// What is wrong with it, for a person: the worker does not speak this protocol.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let (first, rest) = split(text);
        let (second, rest) = split(rest);
        let number = |word: &str| word.parse().map_err(|_| format!("{word:?} is not a number"));
        match (first, second) {
            ("", _) => Ok(Message::StillHere),
            ("ready", version) => {
                let version = number(version)?;
                // Another version may tell other things in other ways.
                let known = if version == VERSION && !rest.is_empty() { rest } else { "{}" };
                let about = from_line(known).map_err(|error| format!("ready: {error}"))?;
                Ok(Message::Ready { version, about })
            }
            (id, "ok") => Ok(Message::Reply { id: number(id)?, outcome: Ok(rest) }),
            (id, "err") => {
                let (name, message) = split(rest);
                let kind = KINDS.iter().find(|known| known.1 == name).map(|known| known.0);
                let kind = kind.ok_or_else(|| format!("{name:?} is not a kind of error"))?;
                // The message is for a person: one that is not quoted will do.
                let message = from_line(message).unwrap_or_else(|_| message.to_string());
                Ok(Message::Reply { id: number(id)?, outcome: Err((kind, message)) })
            }
            _ => Err(format!("{second:?} is neither ok nor err")),
        }
    }

    /// Appends the line: mark, seal, message, newline.
    pub fn write(&self, seal: Option<&str>, out: &mut String) {
        out.push(MARK);
        seal.inspect(|seal| out.extend([seal, " "]));
        match self {
            Message::Ready { version, about } => {
                put_line(out, format_args!("ready {version} "), &to_line(about));
            }
            Message::Reply { id, outcome: Ok(result) } => {
                put_line(out, format_args!("{id} ok "), result)
            }
            Message::Reply { id, outcome: Err((kind, message)) } => {
                let name = KINDS.iter().find(|known| known.0 == *kind).map_or("", |known| known.1);
                put_line(out, format_args!("{id} err {name} "), &to_line(message));
            }
            Message::StillHere => out.push('\n'),
        }
    }
}

/// The first word, and what follows it, both without white space around them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_ascii();
    let end = text.bytes().position(|byte| byte == b' ').unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii_start())
}

/// Appends a line that ends with JSON, and keeps it one line with one mark whatever a hand-written `Wire` has put
/// into it.
fn put_line(out: &mut String, head: fmt::Arguments<'_>, json: &str) {
    _ = out.write_fmt(head);
    match json.bytes().min() {
        Some(0..b' ') => out.push_str(&json.replace(['\n', MARK], " ")),
        _ => out.push_str(json),
    }
    out.push('\n');
}

impl Wire for About {
    fn encode(&self, out: &mut String) {
        let (pid, tasks, lookahead) = (self.pid, to_line(&self.tasks), self.lookahead);
        *out += &format!("{{\"pid\":{pid},\"tasks\":{tasks},\"lookahead\":{lookahead}}}");
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let mut about = About { pid: 0, tasks: Vec::new(), lookahead: 1 };
        input.expect('{')?;
        while !input.rest().starts_with('}') {
            let key: String = input.item()?;
            input.expect(':')?;
            match key.as_str() {
                "pid" => about.pid = input.item()?,
                "tasks" => about.tasks = input.item()?,
                "lookahead" => about.lookahead = input.item()?,
                // A later version may add keys, with numbers, words or strings.
                _ => input.word("a plain value", |word| (!word.is_empty()).then_some(()))?,
            }
        }
        input.expect('}').map(|()| about)
    }
}
