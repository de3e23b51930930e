//! # 23 · Process — one worker process as a value
//!
//! | needs | [09](super::ch09_outcome), [19](super::ch19_wire), [21](super::ch21_protocol), [22](super::ch22_worker) |
//! | --- | --- |
//! | reading time | 26 min, exercises not counted |
//! | run it | `cargo run --example ch23_process` |
//! | files | [example](../../../../examples/ch23_process.rs), [test](../../../../tests/ch23_process.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [22](../ch22_worker/index.html), [24](../ch24_in_flight/index.html) |
//!
//! ## Why
//!
//! Chapter 22 made a worker that answers anybody. Somebody has to start it, to wait until it is
//! ready, to ask, to read the answer among what it prints, and to find out what became of it when
//! no answer comes: it may have ended, and then the system must be asked how; it may have to be
//! ended. This chapter is that, once, for one process: a value that is started, called and
//! dropped.
//!
//! ## Steps
//!
//! 1. `Command::output` runs a program once. A worker stays, so its pipes stay open: what goes in
//!    (standard input), what comes out ([`Replies`]), and a hand on the process itself
//!    ([`Killer`], in a file of its own).
//! 2. Three pipes and one thread: while it waits at one, another fills and the worker stops. So
//!    standard error has a thread of its own, and a long request is written beside the reading.
//! 3. Death has three signs, each alone misleading. Standard output ends, but a grandchild may hold
//!    it open. The process is gone, but its answers are still in the pipe. It says something on
//!    standard error, but that is another pipe. So: read to the end, then reap, then ask what it
//!    said.
//!
//! ## Picture
//!
//! ```text
//!   start ──► spawn (1) ──► ready (2) ──► call ──► call ──► drop
//!                │                         │
//!                │                Requests │ (3)            ┌────────────────┐
//!                │                ─────────┼── stdin ─────► │                │
//!                │                Replies  ▼ (4)            │ worker process │
//!                │    value or Error ◄─────┬── stdout ───── │                │
//!                │    output of the task ◄─┘                │                │
//!                └─ thread: our stderr ◄────── stderr ───── │                │
//!                           last words                      └────────────────┘
//!                   Killer ────── kill, reap (5) ───────────────────┘
//! ```
//!
//! ## Promises
//!
//! - I1. The first message of a worker is `ready`, or there is no [`Process`] but an error that
//!   shows its command line, how it ended and what it said.
//! - I2. A call has one outcome. A worker that ends without an answer is [`Error::Died`], with the
//!   task, the exit status and the last words since the call was sent.
//! - I3. No call waits for a full pipe: whatever the worker prints is read while the call waits.
//! - I4. What a worker prints is passed on past the lock of `std::io::stdout`: a thread that holds
//!   that lock while it waits for a call does not wait for itself.
//! - I5. A process that was started is reaped: when it has ended, or when its `Process` is dropped.
//!   It is never killed after that, when its number may be another's.
//! - Not promised: an end. A task without end is waited for without end, unless a [`Killer`] is
//!   kept. And a process that the worker has started may hold its pipes open.
//!
//! ## The trap
//!
//! `Child::wait` on one thread and `Child::kill` on another: both need `&mut Child`, so the one
//! that waits holds the lock that the killer needs, and the task without end cannot be stopped.
//! Here nobody holds that lock and waits: the thread of the call waits at the *pipe*, and looks
//! for the exit afterwards.
//!
//! ## Elsewhere
//!
//! - Python: `subprocess.Popen`, and `communicate` for the pipes, which does it once, at the end.
//! - Java: `ProcessBuilder` and `Process`; who does not read its error stream may wait for good.
//! - Erlang: a port. It owns the pipes, and its end arrives as a message.
//!
//! ## Try
//!
//! 1. Predict: the parent has SIGCHLD ignored, so the system reaps its children by itself. What
//!    does the error of a call say of the exit status?
//! 2. Break: in `Killer::start`, leave out the thread. What becomes of a task that writes to
//!    standard error?
//! 3. Extend: write `call_timeout(process, limit, task, argument)` with a [`Killer`] and a thread.
//!    What does the process answer to the call after that?

// Part of concurrent-explained, MIT OR Apache-2.0.

mod killer;

pub use killer::{Killer, LAST_MOMENT, Status, within};

use super::ch09_outcome::{Death, Error, catch};
use super::ch19_wire::{Wire, from_line, to_line};
use super::ch21_protocol::{ErrKind, Incoming, LIMIT, Lines, Message, ONE_WRITE};
use super::ch21_protocol::{Request, VERSION};
use super::ch22_worker::{NOT_SERVED, unlocked, worker_mark};
use killer::LAST_WORDS;
use std::env;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How long a process may take to exit when its input has ended. Then it is killed.
pub const GRACE: Duration = Duration::from_secs(2);
/// What is said of a process that is ended because it takes too long to get ready.
pub const TOO_LATE: &str = "it was not ready in time";

/// What to start, and what is known of it.
#[derive(Debug)]
pub struct Start {
    /// The program with its arguments. More can be added.
    pub command: Command,
    /// What the messages of the worker begin with: see chapter 21.
    pub seal: Option<String>,
    /// The longest line that is read, in bytes.
    pub limit: usize,
    /// What it prints before it is ready is not passed on, but kept and shown if it never is.
    pub skips_noise: bool,
}

impl Start {
    /// This same program as a worker, with a seal that nobody else knows. Its `main` begins with
    /// [`Tasks::serve_if_worker`](super::ch22_worker::Tasks::serve_if_worker).
    pub fn this_program() -> Start {
        let found = env::current_exe();
        // On Linux the running program itself: its file may be another one by now, or gone.
        let running = found.is_ok() && cfg!(target_os = "linux");
        let program = if running { "/proc/self/exe".into() } else { found.unwrap_or_default() };
        let seal = format!("{:016x}", RandomState::new().hash_one(0));
        let mut command = Command::new(program);
        command.arg(worker_mark(Some(&seal)));
        Start { seal: Some(seal), skips_noise: false, ..Start::command(command) }
    }

    /// Another program, in any language, on any machine. It speaks the protocol of chapter 21.
    pub fn command(command: Command) -> Start {
        Start { command, seal: None, limit: LIMIT, skips_noise: true }
    }

    /// Starts it, with a pipe at each end; its output is read through `pipe`. It is not ready yet.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn spawn<R: Read>(
        mut self,
        pipe: impl FnOnce(ChildStdout) -> R,
    ) -> Result<(ChildStdin, Replies<R>, Killer), String> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let out = unlocked(io::stdout()); // (I4) before the process: it may fail
        let started = out.and_then(|out| Ok((out, Killer::start(&mut self.command)?))); // (1)
        let fails = |why| format!("cannot start {:?}: {why}", self.command);
        let (out, (killer, stdin, stdout)) = started.map_err(fails)?;
        let input = BufReader::with_capacity(64 << 10, pipe(stdout));
        let mut lines = Lines::from_worker(input, self.seal.as_deref());
        lines.limit = self.limit.max(LAST_WORDS); // less, and its `ready` might not fit
        Ok((stdin, Replies { lines, out, killer: killer.clone(), start: self }, killer))
    }
}

/// A worker process that is ready: started, called, and at last dropped.
///
/// # Examples
/// ```no_run
/// use concurrent_explained::Tasks;
/// use concurrent_explained::ch23_process::{Process, Start};
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// Tasks::new().with("square", square).serve_if_worker();
/// let mut worker = Process::start(Start::this_program())?;
/// assert_eq!(worker.call::<u64, u64>("square", 12)?, 144);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
#[derive(Debug)]
pub struct Process {
    /// The first field, so the first to be dropped: a worker exits when its input ends, and
    /// `replies` waits for that.
    requests: ChildStdin,
    replies: Replies<ChildStdout>,
    last_id: u64,
}

impl Process {
    /// Starts a worker.
    ///
    /// # Blocks
    /// Until it is ready, or has ended.
    ///
    /// # Errors
    /// [`Error::Broken`] if it never gets ready. (I1)
    pub fn start(start: Start) -> Result<Process, Error> {
        let broken = |cause: String| Error::Broken { cause: cause.into() };
        let (requests, mut replies, _) = start.spawn(|stdout| stdout).map_err(broken)?;
        let ready = replies.ready();
        ready.map_err(|seen| broken(replies.no_worker(seen.as_deref())))?;
        Ok(Process { requests, replies, last_id: 0 })
    }

    /// Runs a task in the worker.
    ///
    /// # Blocks
    /// Until it has answered, or has ended.
    ///
    /// # Errors
    /// As the task does: [`Error::Panicked`], [`Error::Refused`], [`Error::Died`]. (I2)
    pub fn call<A: Wire, R: Wire>(&mut self, task: &str, argument: A) -> Result<R, Error> {
        let argument = catch(|| to_line(&argument))?; // foreign code may write it
        let Process { requests, replies, last_id } = self;
        *last_id += 1;
        // What the worker says from here on are the words of this call. (I2)
        let (due, from, mut line) = (*last_id, replies.killer.words(), String::new());
        Request { id: due, task, argument: &argument }.write(&mut line);
        // A write that fails is the end of the worker, and the end of its output says so too.
        let mut write = || drop(requests.write_all(line.as_bytes()));
        let answer = thread::scope(|scope| {
            if line.len() <= ONE_WRITE {
                write(); // (3)
            } else {
                scope.spawn(write); // (I3) it may write while it reads, and this thread reads
            }
            replies.next(|message| match message {
                Message::Reply { id, outcome } if id == due => Ok(read_result(task, outcome)),
                Message::Reply { id, .. } => Err(format!("it answered {id}, which was not due")),
                _ => Err("it was ready twice".to_owned()),
            })
        });
        answer.unwrap_or_else(|seen| {
            let death = replies.killer.end(task, seen.as_deref(), from);
            Err(Error::Died(Box::new(death)))
        })
    }

    /// A hand on the process, for another thread.
    pub fn killer(&self) -> Killer {
        self.replies.killer.clone()
    }
}

/// The output of a worker: its answers, and what its tasks print.
#[derive(Debug)]
pub struct Replies<R> {
    lines: Lines<BufReader<R>>,
    /// Where the output of tasks goes: our standard output, but past std's lock. (I4)
    out: File,
    killer: Killer,
    /// What it was made from. `skips_noise` ends when it is ready.
    start: Start,
}

impl<R: Read> Replies<R> {
    /// The next message; `None` at the end. What a task has printed is passed on, and counts as
    /// [`Message::StillHere`]. (4)
    ///
    /// # Blocks
    /// Until there is one.
    ///
    /// # Errors
    /// What is wrong with the worker: it does not keep to the protocol, and must be ended.
    pub fn read(&mut self) -> Result<Option<Message<'_>>, String> {
        let incoming = self.lines.read();
        match incoming.map_err(|why| format!("its output cannot be read: {why}"))? {
            None | Some(Incoming::Torn(_)) => Ok(None), // half a message is none
            Some(Incoming::Message(text)) => Message::parse(text).map(Some),
            Some(Incoming::Unreadable(id, kind, why)) => {
                // With an id it costs one call, and without one nobody knows which.
                let nameless = || format!("it sent a message without an id, and it is {why}");
                let outcome = Err((kind, format!("the answer is {why}")));
                Ok(Some(Message::Reply { id: id.ok_or_else(nameless)?, outcome }))
            }
            Some(Incoming::Output(bytes)) => {
                if self.start.skips_noise {
                    self.killer.said.lock().unwrap().hear(bytes);
                } else {
                    let _ = self.out.write_all(bytes); // if our output is closed, nobody wants it
                }
                Ok(Some(Message::StillHere))
            }
        }
    }

    /// Waits until the worker is ready: how many requests it reads ahead. (2)
    ///
    /// # Blocks
    /// Until then, or until it ends.
    ///
    /// # Errors
    /// What is wrong with it; `None` if it has ended.
    pub fn ready(&mut self) -> Result<usize, Option<String>> {
        let requests = self.next(|message| match message {
            Message::Ready { version: VERSION, about } => {
                // How many requests it holds, if it says so. The rest is for a person.
                let number = about.split(' ').next().and_then(|first| first.parse().ok());
                Ok(number.unwrap_or(1))
            }
            Message::Ready { version, .. } => {
                Err(format!("it speaks version {version} of the protocol, not {VERSION}"))
            }
            Message::Reply { outcome: Err((_, why)), .. } => {
                Err(format!("its initializer failed: {why}"))
            }
            Message::Reply { id, .. } => Err(format!("it answered {id} before it was ready")),
            Message::StillHere => unreachable!("`next` passes it over"),
        })?;
        self.start.skips_noise = false; // from here on it is the output of tasks
        Ok(requests)
    }

    /// Waits for a message that says anything. Errors as in [`Replies::ready`], and what `take`
    /// finds wrong with it.
    fn next<T>(
        &mut self,
        take: impl FnOnce(Message<'_>) -> Result<T, String>,
    ) -> Result<T, Option<String>> {
        loop {
            match self.read()?.ok_or(None)? {
                Message::StillHere => {}
                message => return Ok(take(message)?), // `?` makes a `Some` of what is wrong
            }
        }
    }

    /// Waits for the end of a process that never got ready, and says for a person what was seen of
    /// it. (I1)
    pub fn no_worker(&self, seen: Option<&str>) -> String {
        let Death { status, cause, stderr, .. } = self.killer.end("", seen, 0);
        let how = status.map_or(String::new(), |status| format!(" ({status})"));
        // It has not said a word of the protocol: that looks like a `main` without the line.
        let forgot = self.start.seal.is_some() && seen.is_none_or(|seen| seen == TOO_LATE);
        let hint = if forgot { format!(" Mind that {NOT_SERVED}.") } else { String::new() };
        format!("{:?} is no worker: {cause}{how}.{hint}\nIt said:\n{stderr}", self.start.command)
    }
}

impl<R> Drop for Replies<R> {
    /// Waits until the process has exited: 2 s at most, then it is killed. (I5) Its input ends
    /// before that, or it has no reason to exit.
    fn drop(&mut self) {
        self.killer.reap(GRACE);
    }
}

/// The result of a task as its worker gave it. A panic is told as such; all else was refused.
///
/// # Errors
/// The task has panicked, could not be called, or its result is of another type.
pub fn read_result<R: Wire>(
    task: &str,
    outcome: Result<&str, (ErrKind, String)>,
) -> Result<R, Error> {
    let refused = |reason: String| Error::Refused { reason: reason.into() };
    let json = outcome.map_err(|(kind, why)| match kind {
        ErrKind::Panicked => Error::Panicked { message: why.into() },
        _ => refused(why),
    })?;
    let result = catch(|| from_line(json))?; // foreign code may read it
    result.map_err(|why| refused(format!("the result of `{task}`: {why}")))
}
