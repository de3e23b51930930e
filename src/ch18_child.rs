//! # 18 · Child — the smallest process pool
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 17 min, exercises not counted |
//! | run it | `cargo run --example ch18_child` |
//! | files | [example](../../../../examples/ch18_child.rs), [test](../../../../tests/ch18_child.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [17](../ch17_map/index.html), [19](../ch19_wire/index.html) |
//!
//! ## Why
//!
//! A task that calls `process::exit`, or that the system stops because memory is short, takes every
//! thread of the program with it. A task that never ends keeps its thread until the program ends:
//! no thread can stop another one. A process can be lost alone, and it can be killed.
//!
//! ## Steps
//!
//! 1. Run the task in a process: [`std::process::Command`] starts this program once more, and
//!    [`serve_if_child`] at the top of `main` tells the two apart.
//! 2. Ask and answer. The processes share no memory, so a question is a line of text on the child's
//!    standard input, and its answer is a line on its standard output.
//! 3. Share the work: one thread for each child, and one queue in front of the threads.
//! 4. A child can die. Its output then ends, so a wait for an answer ends as well: with an error
//!    for the one call that was running, and a new process for the next.
//!
//! ## Picture
//!
//! ```text
//!  submit ─(1)─▶ [ queue ] ─(2)─▶ thread ──(3)── a line ────▶ child: stdin
//!                                   │ ▲                         │ answer(line)
//!  result ◀──────────(5)────────────┘ └──(4)── a line ─────◀────┤ stdout
//!                                   │ ▲       or end of file ◀──┘
//!                                   │ └─(6)── exit status, last words: stderr
//!                                   └─(7)── the next call starts a new child
//! ```
//!
//! ## Promises
//!
//! - I1. A process has one line at a time. Lines start in the order of `submit`.
//! - I2. Each call ends once: with the line that came back, or with the news that its process died:
//!   which one, with what status, and the end of what it wrote to standard error.
//! - I3. A death costs the call that was running, and no other. A process that died while it had
//!   nothing to do costs none, if its end is noticed when the next line is written.
//! - I4. Dropping the pool waits until each call has ended and each process is gone.
//! - I5. A child ends when its input ends, so an idle one does not outlive its parent. Half a line
//!   is neither a question nor an answer.
//! - Not promised: that a task ends. [`ChildPool::kill`] ends it, and until then `drop` waits.
//! - Not promised: that a line of output is an answer. What a task prints is taken for one, and
//!   from then on every answer of that process is that to the question before. (Chapter 21)
//! - Not promised: freedom for a program that the task starts and leaves behind. It keeps the pipes
//!   open, so the pool waits for its end too. A task also leaves standard input alone.
//! - Not promised: progress while this process holds the lock of its standard error, where the
//!   words of the children are passed on.
//!
//! ## The trap
//!
//! A pipe has a buffer of some 64 KiB. A parent that reads only one of the two pipes that its child
//! writes to stops as soon as the other one is full: the child waits for space, the parent for an
//! answer, and neither goes on. Here standard error has a thread of its own that never stops
//! reading. (`Command::output` reads both for the same reason.)
//!
//! ## Elsewhere
//!
//! - Python's `ProcessPoolExecutor` shares one pair of pipes among all its processes. When one of
//!   them dies, no one can tell what it had taken, so all calls fail with `BrokenProcessPool`.
//! - Web servers have worked this way since 1996: FastCGI keeps processes and gives each of them
//!   one request at a time.
//! - Erlang sends a message when a process dies, here it is the end of a file.
//!
//! ## Try
//!
//! 1. Predict: two processes, ten calls, and each call ends its process. How many are started?
//! 2. Break: in `ask`, put `.map(Option::unwrap_or_default)` behind `read_line(…)`, and match on
//!    `Ok(answer)`. What does a call get whose process dies?
//! 3. Extend: put a number in front of each question, and let the child repeat it in front of its
//!    answer. What does a stray line do now?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, PipeReader, Read, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// The line that came back; or why there is none. [`ErrorKind::UnexpectedEof`]: the process died.
/// [`ErrorKind::InvalidInput`]: the question was not one line. Others: no process could be started.
pub type Answer = io::Result<String>;

/// Processes of this program that answer lines of text.
///
/// # Examples
/// ```no_run
/// use concurrent_explained::ch18_child::{ChildPool, serve_if_child};
///
/// fn main() {
///     serve_if_child(|line| line.to_uppercase()); // a child goes no further
///
///     let pool = ChildPool::new(2);
///     let (one, two) = (pool.submit("one"), pool.submit("two"));
///     assert_eq!(one.recv().unwrap().unwrap(), "ONE");
///     assert_eq!(two.recv().unwrap().unwrap(), "TWO");
/// }
/// ```
#[derive(Debug)]
pub struct ChildPool {
    /// The way into the queue; `None` once the pool is being dropped.
    queue: Option<Sender<Call>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// A line, and the way back for its answer.
#[derive(Debug)]
struct Call(String, Sender<Answer>);

/// What the threads of a pool share.
#[derive(Debug)]
struct Shared {
    /// The way out of the queue. The thread that holds the lock waits for the next call, the other
    /// idle ones wait for the lock. (A channel of std stands for the queue of chapter 07, and
    /// another for the oneshot of chapter 08, so that this file can be copied alone.)
    calls: Mutex<Receiver<Call>>,
    /// Each process that runs, by its id. Not in its thread: that one waits for an answer when
    /// `kill` is needed.
    running: Mutex<BTreeMap<u32, Child>>,
    /// What starts one more of them.
    command: Mutex<Command>,
}

impl ChildPool {
    /// A pool of `processes` copies of this program. Each is started when there is a call for it.
    ///
    /// # Panics
    /// If `processes` is zero, if a thread cannot be started, or in a child: its `main` has to call
    /// [`serve_if_child`] before it comes here.
    #[track_caller]
    pub fn new(processes: usize) -> Self {
        assert!(!is_child(), "this process is a child: call serve_if_child first in main");
        // If nobody knows where this program is, the path is empty, and each call fails at its
        // start.
        let mut command = Command::new(env::current_exe().unwrap_or_default());
        command.arg(CHILD_MARK);
        ChildPool::with_command(processes, command)
    }

    /// The same with any program that reads a line and answers with a line, time and again.
    ///
    /// # Panics
    /// If `processes` is zero, or if a thread cannot be started.
    #[track_caller]
    pub fn with_command(processes: usize, mut command: Command) -> Self {
        assert!(processes > 0, "a pool needs at least one process");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let (queue, calls) = channel();
        let (calls, command) = (Mutex::new(calls), Mutex::new(command));
        let shared = Arc::new(Shared { calls, running: Mutex::default(), command });
        let threads = (0..processes).map(|_| shared.clone());
        let threads = threads.map(|shared| thread::spawn(move || shared.run())).collect();
        ChildPool { queue: Some(queue), threads, shared }
    }

    /// Puts `line` into the queue. The answer arrives in the receiver; dropping that takes nothing
    /// back. Never blocks.
    pub fn submit(&self, line: impl Into<String>) -> Receiver<Answer> {
        let (line, (answer, receiver)) = (line.into(), channel());
        if line.contains('\n') {
            // Sent, it would be two questions, and the second answer that of the next call.
            let _ = answer.send(Err(Error::new(ErrorKind::InvalidInput, "it is not one line")));
        } else if let Some(queue) = &self.queue {
            let _ = queue.send(Call(line, answer)); // (1)
        }
        receiver
    }

    /// Kills each process that runs now. The calls in them have died; those in the queue go on in
    /// new processes.
    pub fn kill(&self) {
        for child in self.shared.running.lock().unwrap().values_mut() {
            let _ = child.kill(); // an error: it is dead already
        }
    }
}

/// Ends the pool after its last call. (I4)
///
/// # Blocks
/// Until each call has ended and each process is gone.
impl Drop for ChildPool {
    fn drop(&mut self) {
        self.queue = None; // the threads find the end of the queue behind its last call
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A process, in the hands of the thread that asks it.
struct Process {
    pid: u32,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_words: JoinHandle<String>,
}

impl Shared {
    /// The life of a thread: one call after the other, as long as there are calls.
    fn run(&self) {
        let mut process = None;
        loop {
            // (2) A statement of its own: in the head of a `while let` the lock would be held
            // during the call as well, and only one process would work at a time.
            let next = self.calls.lock().unwrap().recv();
            let Ok(Call(line, answer)) = next else { break };
            let _ = answer.send(self.ask(&mut process, &line)); // (5) an error: nobody listens
        }
        if let Some(process) = process {
            self.reap(process);
        }
    }

    /// One line out, one line back. (I1) A process that has answered is left in `process`.
    fn ask(&self, process: &mut Option<Process>, line: &str) -> Answer {
        let is_used = process.is_some();
        let mut asked = process.take().map_or_else(|| self.start(), Ok)?; // (7)
        // (3) To a dead process this is an error, and no signal: Rust programs ignore SIGPIPE.
        let sent = asked.input.write_all(format!("{line}\n").as_bytes());
        let is_cut_short = sent.is_err();
        if let Ok(Some(answer)) = sent.and_then(|()| read_line(&mut asked.output)) {
            *process = Some(asked);
            return Ok(answer); // (4)
        }
        // Dead, or of no more use: it has closed a pipe, or written what is no text. If it is dying
        // by itself, this comes too late to change its exit status.
        let _ = self.running.lock().unwrap().get_mut(&asked.pid).map(Child::kill);
        let died = self.reap(asked);
        if is_cut_short && is_used {
            // It was dead before it had the whole line, so nothing has run: a new one gets it. (I3)
            // Once only, or a line that kills each reader would start processes without end.
            return self.ask(process, line);
        }
        Err(died)
    }

    fn start(&self) -> io::Result<Process> {
        // The reader of standard error starts first: without a thread for it there is no process.
        let (errors, stderr) = io::pipe()?;
        let last_words = thread::Builder::new().spawn(|| pass_on(errors))?;
        let mut command = self.command.lock().unwrap();
        let child = command.stderr(stderr).spawn();
        // A `Command` keeps what it was given, for the next start. That end of the pipe would be
        // ours, and the reader of standard error would wait for its end: so put something else in
        // its place.
        command.stderr(Stdio::null());
        let mut child = child?;
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (pid, output) = (child.id(), BufReader::new(output));
        self.running.lock().unwrap().insert(pid, child);
        Ok(Process { pid, input, output, last_words })
    }

    /// Closes the pipes of a process, waits for its end, and tells of it. (6) (I2)
    fn reap(&self, process: Process) -> Error {
        let Process { pid, input, output, last_words } = process;
        // Before the wait: the end of its input is what a living one ends for. (I5)
        drop((input, output));
        // Out of the map before the wait: after it, another process may have this id.
        let mut child = self.running.lock().unwrap().remove(&pid).expect("reaped once");
        let status = child.wait().map_or("status unknown".into(), |status| status.to_string());
        let last_words = last_words.join().unwrap_or_default();
        let news = format!("process {pid} died: {status}. Its last words: {last_words:?}");
        Error::new(ErrorKind::UnexpectedEof, news)
    }
}

/// Passes on what a process writes to standard error, and returns the last 4 KiB of it.
fn pass_on(mut errors: PipeReader) -> String {
    let (mut tail, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = errors.read(&mut piece) {
        let _ = io::stderr().write_all(&piece[..length]);
        tail.extend_from_slice(&piece[..length]);
        tail.drain(..tail.len().saturating_sub(4096));
    }
    String::from_utf8_lossy(&tail).trim().to_string()
}

/// The first argument of a process that is a child. Without it a child would run `main` as its
/// parent does, and start children of its own.
const CHILD_MARK: &str = "answer-lines";

fn is_child() -> bool {
    env::args_os().nth(1).is_some_and(|first| first == CHILD_MARK)
}

/// In a child: answers each line of standard input with a line on standard output, and ends the
/// process with the input. Elsewhere it returns at once. Call it first in `main`: what `main` does
/// before it, each child does too.
///
/// # Blocks
/// In a child, for the rest of its life.
///
/// # Panics
/// In a child, if an answer is more than one line.
pub fn serve_if_child(mut answer: impl FnMut(&str) -> String) {
    if is_child() {
        while let Ok(Some(line)) = read_line(&mut io::stdin().lock()) {
            let answer = answer(&line);
            assert!(!answer.contains('\n'), "an answer must be one line, not {answer:?}");
            if io::stdout().write_all(format!("{answer}\n").as_bytes()).is_err() {
                break; // nobody reads any more
            }
        }
        process::exit(0);
    }
}

/// The next line, without its line break; `None` if there is none, or only half of one: the file
/// ends where its writer died. (I5)
fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok((line.pop() == Some('\n')).then_some(line))
}
