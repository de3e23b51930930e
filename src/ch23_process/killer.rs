//! A hand on a process: it starts the process, ends it, reaps it, and tells how it died.
//!
//! Others keep a copy of it while one thread reads the answers: so the one that waits and the one
//! that kills are never in each other's way.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::Death;
use super::super::ch22_worker::unlocked;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to be gone when its output has ended, and its last words after that.
pub const LAST_MOMENT: Duration = Duration::from_millis(500);
/// How long to sleep between two looks. A process is gone some 100 µs after its output has ended.
const NAP: Duration = Duration::from_micros(200);
/// How much is kept of what a worker says, in bytes.
pub(super) const LAST_WORDS: usize = 4096;

/// How a process ended by itself: an exit code or a signal. `None` if that is not known.
pub type Status = Option<ExitStatus>;

/// A hand on the process: ends it, reaps it, tells how it died.
#[derive(Debug, Clone)]
pub struct Killer {
    /// Locked for moments only: nobody waits with it.
    child: Arc<Mutex<Child>>,
    /// A lock of its own: to describe a death must not hold up a kill.
    pub(super) said: Arc<Mutex<Said>>,
}

impl Killer {
    /// Starts a process whose input and output are piped, and the thread at its standard error.
    ///
    /// # Errors
    /// Those of the system. There is no process then.
    pub(super) fn start(command: &mut Command) -> io::Result<(Killer, ChildStdin, ChildStdout)> {
        let ((stderr, theirs), errors) = (io::pipe()?, unlocked(io::stderr())?); // (I4)
        let said = Arc::<Mutex<Said>>::default();
        let heard = said.clone();
        // Before the process: without this thread there must be none, for it would wait as soon as
        // that pipe is full. If there is none, the thread ends with the pipe.
        thread::Builder::new().spawn(move || pass_on(stderr, errors, &heard))?;
        let child = command.stderr(theirs).spawn();
        // A `Command` keeps what it was given: with that end of the pipe open, and ours, the thread
        // would wait for good.
        command.stderr(Stdio::null());
        let mut child = child?;
        let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).expect("both piped");
        Ok((Killer { child: Arc::new(Mutex::new(child)), said }, stdin, stdout))
    }

    /// The number of the process. When it is reaped, that may become another's.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Ends the process at once, if it runs.
    pub fn kill(&self) {
        // (I5) With SIGCHLD ignored it is the system that reaps, and std knows nothing of it: so
        // ask.
        if self.exit().is_none() {
            let _ = self.child.lock().unwrap().kill();
        }
    }

    /// Whether the process has ended, and how if that is known. Reaps it.
    pub fn exit(&self) -> Option<Status> {
        match self.child.lock().unwrap().try_wait() {
            Ok(None) => None,
            Ok(status) => Some(status),
            Err(_) => Some(None), // the system has reaped it
        }
    }

    /// Reaps the process: waits until it has exited, kills it when that takes longer than
    /// `patience`, and waits a moment for its last words: somebody else may hold that pipe open.
    /// How it ended, if by itself. (5)
    pub fn reap(&self, patience: Duration) -> Status {
        let status = within(patience, || self.exit()).unwrap_or_else(|| {
            self.kill();
            let _ = self.child.lock().unwrap().wait(); // it runs no more: this is a moment
            None
        });
        // After the exit: words that were said before it are in the pipe by now, or read already.
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
    pub fn death(&self, task: &str, status: Status, seen: Option<&str>, from: u64) -> Death {
        let end = if status.is_some() { "it ended" } else { "it closed its output" };
        let (task, cause) = (task.to_owned(), seen.unwrap_or(end).to_owned());
        let stderr = self.said.lock().unwrap().since(from);
        Death { pid: self.pid(), task, status, cause, stderr }
    }

    /// Reaps and describes. A process that does not keep to the protocol is ended at once; one
    /// whose output has ended is given a moment, for its own status says more than our signal.
    pub(super) fn end(&self, task: &str, seen: Option<&str>, from: u64) -> Death {
        let patience = if seen.is_none() { LAST_MOMENT } else { Duration::ZERO };
        self.death(task, self.reap(patience), seen, from)
    }
}

/// Looks again and again for what `find` finds; gives up after `limit`.
///
/// std waits for a process without a limit or not at all. And a wait without a limit would hold the
/// lock that a killer needs.
pub fn within<T>(limit: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = find();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        thread::sleep(NAP);
    }
}

// Plumbing

/// What a worker has said that is no answer. The thread at its standard error adds to it; a death
/// is described from it.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// How much it was, all in all.
    length: u64,
    /// The last of it.
    last: Vec<u8>,
    /// Standard error has ended, or nobody waits for that any more.
    is_over: bool,
}

impl Said {
    /// Adds `bytes`, and forgets the oldest: a worker that talks all day must not fill our memory.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.last.extend_from_slice(bytes);
        let surplus = self.last.len().saturating_sub(LAST_WORDS);
        self.last.drain(..surplus);
    }

    /// What was said after the first `from` bytes, as far as it is kept.
    fn since(&self, from: u64) -> String {
        let new = usize::try_from(self.length.saturating_sub(from)).unwrap_or(usize::MAX);
        let start = self.last.len().saturating_sub(new); // the first of them may be gone already
        String::from_utf8_lossy(&self.last[start..]).trim_end().to_owned()
    }
}

/// The life of the thread at standard error: it never waits for anything but that pipe. (I3)
fn pass_on(mut stderr: PipeReader, mut out: File, said: &Mutex<Said>) {
    let mut buffer = [0; 4096];
    loop {
        match stderr.read(&mut buffer) {
            Ok(length @ 1..) => {
                // Kept first: a write may wait, if our own standard error is a pipe that is full.
                said.lock().unwrap().hear(&buffer[..length]);
                let _ = out.write_all(&buffer[..length]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    said.lock().unwrap().is_over = true;
}
