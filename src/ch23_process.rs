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
//!    ([`Killer`]).
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
//! 2. Break: leave out the thread at standard error. Which task is waited for without end?
//! 3. Extend: write `call_timeout(process, limit, task, argument)` with a [`Killer`] and a thread.
//!    What does the process answer to the call after that?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::{Death, Error, catch};
use super::ch19_wire::{Decoded, Ignored, Reader, Wire, from_line, to_line};
use super::ch21_protocol::{ErrKind, Incoming, LIMIT, Lines, Message, ONE_WRITE};
use super::ch21_protocol::{Request, VERSION};
use super::ch22_worker::{NOT_SERVED, unlocked, worker_mark};
use std::env;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to be gone when its output has ended, and its last words after that.
pub const LAST_MOMENT: Duration = Duration::from_millis(500);
/// How long a process may take to exit when its input has ended. Then it is killed.
pub const GRACE: Duration = Duration::from_secs(2);
/// What is said of a process that is ended because it takes too long to get ready.
pub const TOO_LATE: &str = "it was not ready in time";
/// How much is kept of what a worker says, in bytes.
const LAST_WORDS: usize = 4096;

/// What to start, and what is known of it.
#[derive(Debug)]
pub struct Start {
    /// The program with its arguments. More can be added.
    pub command: Command,
    /// What the messages of the worker begin with: see chapter 21.
    pub seal: Option<String>,
    /// The longest line that is read, in bytes.
    pub limit: usize,
    /// What it prints before it is ready is not passed on, and shown only if it never is.
    pub skips_noise: bool,
}

impl Start {
    /// This same program as a worker, with a seal that nobody else knows. Its `main` begins with
    /// [`Tasks::serve_if_worker`](super::ch22_worker::Tasks::serve_if_worker).
    pub fn this_program() -> Start {
        // On Linux the running program itself: its file may be another one by now, or gone.
        let running = "/proc/self/exe".into();
        let there = cfg!(target_os = "linux") && env::current_exe().is_ok();
        let program = if there { running } else { env::current_exe().unwrap_or_default() };
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
    /// (1)
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn spawn<R: Read>(
        mut self,
        pipe: impl FnOnce(ChildStdout) -> R,
    ) -> Result<(ChildStdin, Replies<R>, Killer), String> {
        let line = format!("{:?}", self.command);
        let fails = |error: io::Error| format!("cannot start {line}: {error}");
        let (out, errors) = (unlocked(io::stdout()), unlocked(io::stderr()));
        let (out, errors) = (out.map_err(fails)?, errors.map_err(fails)?); // (I4)
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(fails)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { unreachable!("all piped") };
        let (said, pid) = (Arc::new(Mutex::new(Said::default())), child.id());
        let killer = Killer { pid, child: Arc::new(Mutex::new(child)), said };
        let said = killer.said.clone();
        let echo = thread::Builder::new().name("stderr".into());
        if let Err(error) = echo.spawn(move || pass_on(stderr, errors, &said)) {
            killer.reap(Duration::ZERO); // (I5)
            return Err(fails(error));
        }
        let input = BufReader::with_capacity(64 << 10, pipe(stdout));
        let mut lines = Lines::from_worker(input, self.seal.as_deref());
        lines.limit = self.limit.max(LAST_WORDS);
        let replies = Replies { lines, out, killer: killer.clone(), start: self, is_ready: false };
        Ok((stdin, replies, killer))
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
    /// `None` once its input has ended.
    requests: Option<ChildStdin>,
    replies: Replies<ChildStdout>,
    killer: Killer,
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
        let (requests, mut replies, killer) = start.spawn(|stdout| stdout).map_err(broken)?;
        let (ready, requests) = (replies.ready(), Some(requests));
        let process = Process { requests, replies, killer, last_id: 0 };
        match ready {
            Ok(_) => Ok(process),
            Err(seen) => Err(broken(process.replies.no_worker(seen.as_deref()))),
        }
    }

    /// Runs a task in the worker.
    ///
    /// # Blocks
    /// Until it has answered, or has ended.
    ///
    /// # Errors
    /// As the task does: [`Error::Panicked`], [`Error::Refused`], [`Error::Died`]. (I2)
    pub fn call<A: Wire, R: Wire>(&mut self, task: &str, argument: A) -> Result<R, Error> {
        let (mut line, from) = (String::new(), self.killer.words());
        let argument = catch(|| to_line(&argument))?;
        self.last_id += 1;
        Request { id: self.last_id, task, argument: &argument }.write(&mut line);
        let (requests, replies, due) = (&mut self.requests, &mut self.replies, self.last_id);
        // A write that fails is the end of the worker, and the end of its output says so too.
        let mut write = || requests.as_mut().map(|pipe| pipe.write_all(line.as_bytes()));
        let answer = thread::scope(|scope| {
            if line.len() <= ONE_WRITE {
                write(); // (3)
            } else {
                scope.spawn(write); // (I3) it may write while it reads, and this thread reads
            }
            loop {
                match replies.read().map_err(Some)?.ok_or(None)? {
                    Message::Reply { id, outcome } if id == due => {
                        return Ok(read_result(task, outcome));
                    }
                    Message::StillHere => {}
                    _ => return Err(Some("its answer was not due".to_owned())),
                }
            }
        });
        answer.unwrap_or_else(|seen: Option<String>| {
            let status =
                self.killer.reap(if seen.is_none() { LAST_MOMENT } else { Duration::ZERO });
            Err(Error::Died(Box::new(self.killer.death(task, status, seen.as_deref(), from))))
        })
    }

    /// A hand on the process, for another thread.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }
}

impl Drop for Process {
    /// Ends its input, and waits until it has exited: 2 s at most, then it is killed. (I5)
    fn drop(&mut self) {
        self.requests = None;
        self.killer.reap(GRACE);
    }
}

/// The output of a worker: its answers, and what its tasks print.
#[derive(Debug)]
pub struct Replies<R> {
    lines: Lines<BufReader<R>>,
    /// Where the output of tasks goes: our standard output, but past std's lock. (I4)
    out: File,
    killer: Killer,
    start: Start,
    is_ready: bool,
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
        let incoming =
            self.lines.read().map_err(|why| format!("its output cannot be read: {why}"))?;
        let message = match incoming {
            None => return Ok(None),
            Some(Incoming::Output(bytes)) => {
                if !self.is_ready {
                    self.killer.said.lock().unwrap().hear(bytes);
                }
                if self.is_ready || !self.start.skips_noise {
                    let _ = self.out.write_all(bytes); // if our output is closed, nobody wants it
                }
                Message::StillHere
            }
            Some(Incoming::Torn(_)) => Message::StillHere, // the end comes next
            Some(Incoming::Message(text)) => Message::parse(text)?,
            Some(Incoming::Unreadable(Some(id), kind, why)) => {
                Message::Reply { id, outcome: Err((kind, format!("the answer is {why}"))) }
            }
            Some(Incoming::Unreadable(None, _, why)) => {
                return Err(format!("it sent a message without an id, and it is {why}"));
            }
        };
        match message {
            Message::Ready { .. } if self.is_ready => Err("it was ready twice".to_owned()),
            Message::Ready { version, .. } if version != VERSION => {
                Err(format!("it speaks version {version} of the protocol, not {VERSION}"))
            }
            Message::Reply { id, outcome: Ok(_) } if !self.is_ready => {
                Err(format!("it answered {id} before it was ready"))
            }
            message => Ok(Some(message)),
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
        loop {
            match self.read().map_err(Some)?.ok_or(None)? {
                Message::Ready { about, .. } => {
                    let told = if about.is_empty() { Ok(Ahead(1)) } else { from_line(about) };
                    let Ahead(requests) = told.map_err(|why| Some(format!("ready: {why}")))?;
                    self.is_ready = true;
                    return Ok(requests.max(1));
                }
                Message::Reply { outcome: Err((_, why)), .. } => {
                    return Err(Some(format!("its initializer failed: {why}")));
                }
                _ => {}
            }
        }
    }

    /// Waits for the end of a process that never got ready, and says for a person what was seen of
    /// it. (I1)
    pub fn no_worker(&self, seen: Option<&str>) -> String {
        let status = self.killer.reap(if seen.is_none() { LAST_MOMENT } else { Duration::ZERO });
        let death = self.killer.death("", status, seen, 0);
        let how = status.map_or(String::new(), |status| format!(" ({status})"));
        let forgot = self.start.seal.is_some() && seen.is_none_or(|seen| seen == TOO_LATE);
        let hint = if forgot { format!(" Mind that {NOT_SERVED}.") } else { String::new() };
        let (command, cause, said) = (&self.start.command, death.cause, death.stderr);
        format!("{command:?} is no worker: {cause}{how}.{hint}\nIt said:\n{said}")
    }
}

/// A hand on the process: ends it, reaps it, tells how it died.
#[derive(Debug, Clone)]
pub struct Killer {
    pid: u32,
    /// Locked for moments only: nobody waits with it.
    child: Arc<Mutex<Child>>,
    said: Arc<Mutex<Said>>,
}

impl Killer {
    /// The number of the process. When it is reaped, that may become another's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process at once, if it runs.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        // (I5) With SIGCHLD ignored it is the system that reaps, and std knows nothing of it: so
        // ask.
        if matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
        }
    }

    /// Whether the process has ended, and how if that is known. Reaps it.
    pub fn exit(&self) -> Option<Option<ExitStatus>> {
        match self.child.lock().unwrap().try_wait() {
            Ok(None) => None,
            Ok(status) => Some(status),
            Err(_) => Some(None), // the system has reaped it
        }
    }

    /// Waits until it has exited, kills it when that takes longer than `patience`, and waits a
    /// moment for its last words: somebody else may hold that pipe open. How it ended, if by
    /// itself. (5)
    pub fn reap(&self, patience: Duration) -> Option<ExitStatus> {
        let status = within(patience, || self.exit()).unwrap_or_else(|| {
            self.kill();
            let _ = self.child.lock().unwrap().wait(); // it runs no more: this is a moment
            None
        });
        within(LAST_MOMENT, || self.said.lock().unwrap().is_over.then_some(()));
        self.said.lock().unwrap().is_over = true; // nobody waits for them twice
        status
    }

    /// How much the worker has said up to now: the words of a call that is sent next begin there.
    pub fn words(&self) -> u64 {
        self.said.lock().unwrap().length
    }

    /// Describes the death of a process that is reaped. `seen` is what was wrong with it, if it was
    /// more than its end; `from` is what [`Killer::words`] was before the call was sent.
    pub fn death(
        &self,
        task: &str,
        status: Option<ExitStatus>,
        seen: Option<&str>,
        from: u64,
    ) -> Death {
        let end = if status.is_some() { "it ended" } else { "it closed its output" };
        let (task, cause) = (task.to_owned(), seen.unwrap_or(end).to_owned());
        let stderr = self.said.lock().unwrap().since(from);
        Death { pid: self.pid, task, status, cause, stderr }
    }
}

/// The result of a task as its worker gave it.
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

/// Looks again and again, at growing intervals, for what `find` finds; gives up after `limit`.
pub fn within<T>(limit: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let (start, mut nap) = (Instant::now(), Duration::from_micros(50));
    loop {
        let found = find();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(10));
    }
}

// Plumbing

/// What a worker has said that is no answer.
#[derive(Debug, Default)]
struct Said {
    /// How much it was, all in all.
    length: u64,
    /// The last of it.
    last: Vec<u8>,
    /// Standard error has ended, or nobody waits for that any more.
    is_over: bool,
}

impl Said {
    fn hear(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.last.extend_from_slice(bytes);
        let surplus = self.last.len().saturating_sub(LAST_WORDS);
        self.last.drain(..surplus);
    }

    fn since(&self, from: u64) -> String {
        let new = usize::try_from(self.length.saturating_sub(from)).unwrap_or(usize::MAX);
        let start = self.last.len().saturating_sub(new);
        String::from_utf8_lossy(&self.last[start..]).trim_end().to_owned()
    }
}

/// The life of the thread at standard error.
fn pass_on(mut stderr: ChildStderr, mut out: File, said: &Mutex<Said>) {
    let mut buffer = [0; 4096];
    loop {
        match stderr.read(&mut buffer) {
            Ok(length @ 1..) => {
                said.lock().unwrap().hear(&buffer[..length]);
                let _ = out.write_all(&buffer[..length]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    said.lock().unwrap().is_over = true;
}

/// How many requests a worker reads ahead: all that is read of its `ready`.
struct Ahead(usize);

impl Wire for Ahead {
    fn encode(&self, _: &mut String) {}

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let mut ahead = Ahead(1);
        input.expect('{')?;
        while let Some(key) = input.key::<String>()? {
            match key.as_str() {
                "lookahead" => ahead.0 = input.item()?,
                _ => _ = input.item::<Ignored>()?,
            }
        }
        Ok(ahead)
    }
}
