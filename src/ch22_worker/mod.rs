//! # 22 · Worker — the same program, so a name is enough
//!
//! | needs | [09](super::ch09_outcome), [19](super::ch19_wire), [21](super::ch21_protocol) |
//! | --- | --- |
//! | reading time | 29 min, exercises not counted |
//! | run it | `cargo run --example ch22_worker` |
//! | files | [example](../../../../examples/ch22_worker.rs), [test](../../../../tests/ch22_worker.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [21](../ch21_protocol/index.html), [23](../ch23_process/index.html) |
//!
//! ## Why
//!
//! A request names its task, and a name has to find a function. A closure cannot be written on a
//! line: it is code and captured memory. But parent and worker are the same program, so both can
//! make the same table of functions, and the name is enough. This chapter is that table, and the
//! loop that a worker process runs with it.
//!
//! ## Steps
//!
//! 1. The loop: say `ready`; read a line, find the function, decode, run, encode, write; until the
//!    input ends. Ten lines in the example, and the whole worker in another language.
//! 2. It reads only between two tasks. So the end of its input, when its parent was killed, is seen
//!    after the task: a task without end is left behind for good. So a thread of its own reads, and
//!    what it reads waits in a queue.
//! 3. Now that somebody listens while a task runs, requests can be taken back: `recall`.
//! 4. The end of the input alone does not say that nobody reads the answers (`printf … | worker`).
//!    Only a failed write does. So the reading thread writes an empty message now and then.
//! 5. A task may hold the lock of standard output. So the worker's own messages go past it.
//!
//! ## Picture
//!
//! ```text
//!              ┌───────────────────── worker ──────────────────────┐
//!     stdin    │  reading thread              thread of the tasks  │   stdout
//!   ─────────▶ │  lines ─(1)─▶ [ queue ] ───(2)─▶ decode, run, ─(3)┼──────────▶
//!              │    │              │              encode           │     ▲
//!              │    ├─ recall ◀─(4)┘  gives back what waits ───────┼─────┤
//!              │    └─ end of file ─(5)─▶ an empty message ────────┼─────┘
//!              └───────────────────────────────────────────────────┘
//! ```
//!
//! ## Promises
//!
//! - I1. Tasks run one at a time, in the order of their requests, all on the thread that called
//!   `serve`. So does the [`initializer`](Tasks::initializer), before all of them: what it leaves
//!   in a thread-local is there.
//! - I2. Each request gets one answer, in one piece, and it is written before the next task
//!   starts. So after a death the first request without an answer is the one that was running.
//! - I3. `recall` is answered while a task runs, and a request is either run or given back, never
//!   both: both take it out of the queue under the same lock.
//! - I4. At the end of the input, what was received is run and answered; then the worker ends.
//!   While it is still busy it writes an empty message every 50 ms. If nobody reads any more, the
//!   write fails and the process ends there and then, quietly: a killed parent leaves nobody.
//! - I5. A panic in a task, in its `Wire` types or in their `Drop` costs one answer, not the
//!   worker. So does an argument that cannot be read, an unknown name, a request or result over
//!   the limit. Where a task runs on each item of an array, `8 square* [1,2]`, a panic costs one
//!   item. (A program built with `panic = "abort"` dies.)
//! - I6. A worker runs only what its `Tasks` name. It reads no environment variable and sets
//!   none: a task that starts this program again gets the program, not a second worker.
//! - I7. `ready` is the first message that says anything, and there is one.
//! - I8. A task that holds `stdout().lock()` holds up neither `recall` nor the end; nor does it
//!   hold up its own answer, since a thread may lock standard output twice.
//! - Not promised: an answer from a task that ends the process, or never ends. That is the
//!   parent's part. Nor an answer while a *thread* that a task has left behind holds
//!   `stdout().lock()`: what the task has printed comes first, and nothing can be printed then.
//!
//! ## The trap
//!
//! A program that a task starts inherits standard input: the pipe with our requests. It reads them,
//! and they are gone.
//!
//! ```no_run
//! use std::process::{Command, Stdio};
//!
//! let wrong = Command::new("cat").status(); // eats the next requests, and waits for more
//! let right = Command::new("cat").stdin(Stdio::null()).status();
//! let fine = Command::new("cat").output(); // `output` does not inherit standard input
//! ```
//!
//! For the same reason a task leaves `std::io::stdin` alone. What it prints is no trouble: that is
//! what the mark in front of a message is for.
//!
//! In `cargo test` the program is the test harness: it has a `main` of its own, which serves
//! nobody. One test is the place to serve, and the worker is told to run that test alone:
//!
//! ```
//! # use concurrent_explained::Tasks;
//! # fn tasks() -> Tasks { Tasks::new() }
//! #[test]
//! fn worker_entry() {
//!     tasks().serve_if_worker(); // as a test it passes at once
//! }
//! // …and the command line of a worker goes on with: worker_entry --exact --nocapture
//! ```
//!
//! ## Elsewhere
//!
//! - Python pickles the name of a function (`module.function`), imports the module in the worker
//!   and looks it up there; lambdas and local functions have no such name and fail when they are
//!   sent.
//! - `multiprocessing` marks its children on the command line too (`--multiprocessing-fork`); a
//!   program without the `if __name__ == "__main__"` guard is refused when it starts itself.
//! - Erlang sends module, function and arguments, and may find another version of the module on the
//!   other side.
//!
//! ## Try
//!
//! 1. Predict: what is the answer to `1 square* [2,"x",3]`? Play the worker by hand first:
//!    `cargo run --example ch22_worker -- be-the-worker`.
//! 2. Break: let `give_back` give back a copy (`self.inbox.lock().unwrap().clone()`). Which request
//!    has two answers?
//! 3. Extend: a worker that keeps count of its tasks in a thread-local, and a task that tells it.

// Part of concurrent-explained, MIT OR Apache-2.0.

mod link;

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::{env, fmt, panic, process, thread};

use link::{Link, Refusal};

use super::ch09_outcome::{Error, catch};
use super::ch19_wire::{Wire, from_line, put, to_line};
use super::ch21_protocol::{CAPACITY, EACH, ErrKind, LIMIT, Lines, Request, VERSION, is_task_name};

/// How many requests a worker is willing to hold: it tells the parent in `ready`.
pub const LOOKAHEAD: usize = 1024;

/// Reads an argument, calls the function, appends the result. If it is told `true`, the argument is
/// an array of arguments, and the result one of outcomes.
type Run = Box<dyn Fn(&str, bool, &mut String) -> Result<(), Refusal> + Send + Sync>;

/// The functions a worker runs, each under a name. Parent and worker make the same table.
///
/// # Examples
/// ```
/// use concurrent_explained::Tasks;
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let shout = |text: String| text.to_uppercase();
/// let tasks = Tasks::new().with("square", square).with("shout", shout);
/// assert_eq!(tasks.names().collect::<Vec<_>>(), ["shout", "square"]);
///
/// let mut answers = Vec::new();
/// tasks.serve("7 square 12\n".as_bytes(), &mut answers, None).unwrap();
/// assert!(String::from_utf8(answers).unwrap().ends_with("\x1e7 ok 144\n"));
/// ```
#[derive(Default)]
pub struct Tasks {
    /// Each under its name.
    runs: BTreeMap<String, Run>,
    /// The name of each function. To the compiler each is a type of its own, and a type has an id
    /// that can be looked up at run time: that is the parent's way from `square` to `"square"`.
    names: BTreeMap<TypeId, String>,
    /// Runs before the first task.
    initializer: Option<Box<dyn Fn() -> Result<(), String> + Send + Sync>>,
    /// The longest request and the longest result, in bytes; [`LIMIT`] if `None`.
    pub limit: Option<usize>,
}

impl Tasks {
    /// No tasks.
    pub fn new() -> Self {
        Tasks::default()
    }

    /// Adds `function` under `name`.
    ///
    /// # Panics
    /// If no request could call it (see [`is_task_name`]), or if there is a task of that name.
    #[must_use]
    #[track_caller]
    pub fn with<F, A: Wire, R: Wire>(mut self, name: &str, function: F) -> Self
    where
        F: Fn(A) -> R + Send + Sync + 'static,
    {
        assert!(is_task_name(name), "{name:?} cannot be the name of a task");
        assert!(!self.runs.contains_key(name), "two tasks with the name {name:?}");
        self.names.entry(TypeId::of::<F>()).or_insert(name.to_string());
        let run = move |argument: &str, each: bool, result: &mut String| {
            if !each {
                function(read(argument)?).encode(result);
                return Ok(());
            }
            result.push('[');
            for argument in read::<Vec<A>>(argument)? {
                let before = result.len();
                let one = || put(result, &Ok::<R, String>(function(argument)));
                if let Err(panic) = caught(one) {
                    result.truncate(before); // half a result, if `encode` was what panicked (I5)
                    put(result, &Err::<R, String>(panic));
                }
            }
            result.push(']');
            Ok(())
        };
        self.runs.insert(name.to_string(), Box::new(run));
        self
    }

    /// Runs `prepare` once in each worker, on the thread of the tasks, before `ready`. If it fails
    /// or panics, the worker says `failed_start` with the cause, and ends.
    #[must_use]
    pub fn initializer<P>(mut self, prepare: P) -> Self
    where
        P: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        self.initializer = Some(Box::new(prepare));
        self
    }

    /// The name of the function `F`: each function and each closure is a type of its own. The first
    /// name, if it has several.
    ///
    /// A function pointer has none, nor has a closure that captures: their type does not tell which
    /// one it is.
    pub fn name_of<F: 'static>(&self) -> Option<&str> {
        let name = self.names.get(&TypeId::of::<F>()).filter(|_| size_of::<F>() == 0);
        name.map(String::as_str)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.runs.keys().map(String::as_str)
    }

    /// If this process was started as a worker (see [`worker_mark`]), serves standard input and
    /// output and ends the process; otherwise returns at once. Call it first in `main`.
    ///
    /// # Blocks
    /// In a worker, for the rest of the process: exit code 0 after the end of the input or when
    /// nobody reads the output, 1 if the initializer failed.
    pub fn serve_if_worker(&self) {
        let Some(mark) = mark_of_this_process() else { return };
        SERVING.store(true, Ordering::Relaxed);
        // From here on `caught` knows the place of a panic too: only the hook of the process is
        // told. It goes on to print as before.
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or(String::new(), |place| format!(", at {place}"));
            let _ = PLACE.try_with(|last| last.replace(place));
            print(info);
        }));
        let seal = mark.strip_prefix(&worker_mark(Some("")));
        let input = BufReader::with_capacity(64 << 10, io::stdin());
        let served = unlocked(io::stdout())
            .and_then(|output| self.run(input, Link::new(output, seal, true)));
        process::exit(i32::from(served.is_err()));
    }

    /// Answers the requests of `input` on `output`. Each message starts with the mark, and with
    /// `seal` if there is one.
    ///
    /// # Blocks
    /// Until `input` ends and everything received from it is answered. An error while reading is
    /// its end.
    ///
    /// # Errors
    /// If `output` cannot be written, or if the initializer failed.
    pub fn serve<R, W>(&self, input: R, output: W, seal: Option<&str>) -> io::Result<()>
    where
        R: BufRead + Send,
        W: Write + Send,
    {
        self.run(input, Link::new(output, seal, false))
    }

    fn run<R: BufRead + Send, W: Write + Send>(&self, input: R, link: Link<W>) -> io::Result<()> {
        let mut lines = Lines::from_parent(input);
        lines.limit = self.limit.unwrap_or(LIMIT);
        let ((news, requests), (working, worked)) = (channel(), channel());
        thread::scope(|scope| {
            let reading = || link.receive(lines, news, worked);
            thread::Builder::new().spawn_scoped(scope, reading)?;
            let _working = working; // dropped at the end of the work, or in a panic: `receive` ends
            self.work(&link, requests)
        })
    }

    /// The thread of the tasks: the initializer, then one request after the other (I1).
    fn work<W: Write>(&self, link: &Link<W>, requests: Receiver<()>) -> io::Result<()> {
        let prepare = self.initializer.as_deref().unwrap_or(&|| Ok(()));
        if let Err(cause) = caught(prepare).and_then(|prepared| prepared) {
            link.reply(0, Err((ErrKind::FailedStart, cause.clone())))?;
            link.leave(1);
            return Err(io::Error::other(cause));
        }
        let tasks = to_line(&self.names().map(String::from).collect::<Vec<_>>());
        let pid = process::id();
        let about = format!("{LOOKAHEAD} {{\"pid\":{pid},\"tasks\":{tasks}}}");
        link.say(format_args!("ready {VERSION}"), &about)?;
        link.is_ready.store(true, Ordering::Release);
        let mut result = String::new();
        for () in requests {
            let Some((id, line)) = link.next() else { continue }; // it was given back
            let Some(id) = id else {
                let said = line.unwrap_or_else(|(_, why)| why);
                let _ = writeln!(io::stderr(), "a line without an id, ignored: {said:?}");
                continue;
            };
            let ran = line.and_then(|line| self.answer(&line, &mut result)); // (2)
            link.reply(id, ran.map(|()| &result[..]))?; // (3) before the next task starts (I2)
            result.clear();
            result.shrink_to(CAPACITY);
        }
        Ok(())
    }

    /// Appends the result of the request that `line` makes, or says why there is none.
    fn answer(&self, line: &str, result: &mut String) -> Result<(), Refusal> {
        let request = Request::parse(line);
        let Request { task, argument, .. } = request.expect("it was received with its id");
        let name = task.strip_suffix(EACH);
        let Some(run) = self.runs.get(name.unwrap_or(task)) else {
            let known = self.names().collect::<Vec<_>>().join(", ");
            return Err((ErrKind::UnknownTask, format!("no task {task:?}, only {known}")));
        };
        // (I5) Everything foreign happens in here: decode, run, encode, drop.
        let ran = caught(|| run(argument, name.is_some(), result));
        ran.unwrap_or_else(|panic| Err((ErrKind::Panicked, panic)))?;
        let too_long = || (ErrKind::TooLong, format!("a result of {} bytes", result.len()));
        if result.len() <= self.limit.unwrap_or(LIMIT) { Ok(()) } else { Err(too_long()) }
    }
}

/// The first argument on the command line of a worker. No dash in front, so that a test program can
/// be its own worker: for the test harness it is the name of a test that does not exist.
///
/// # Examples
/// ```
/// use concurrent_explained::worker_mark;
///
/// assert_eq!(worker_mark(None), "serve-tasks");
/// assert_eq!(worker_mark(Some("k5q")), "serve-tasks=k5q");
/// ```
pub fn worker_mark(seal: Option<&str>) -> String {
    seal.map_or("serve-tasks".to_string(), |seal| format!("serve-tasks={seal}"))
}

/// The mark that this process was started with, if it is a worker. Not a variable of the
/// environment: the programs that a task starts would inherit that (I6).
fn mark_of_this_process() -> Option<String> {
    let first = env::args_os().nth(1)?.into_string().ok()?;
    let is_mark = first == worker_mark(None) || first.starts_with(&worker_mark(Some("")));
    is_mark.then_some(first)
}

static SERVING: AtomicBool = AtomicBool::new(false);

/// True in a process that was started as a worker and has not come to [`Tasks::serve_if_worker`]:
/// its `main` forgot to call it, or does something else first. If it starts workers of its own, it
/// starts a chain without an end.
pub fn is_unserved_worker() -> bool {
    !SERVING.load(Ordering::Relaxed) && mark_of_this_process().is_some()
}

/// What to do about such a process. A parent says it of a worker that is this same program and
/// never gets ready: more than that it cannot see.
pub const NOT_SERVED: &str = "a program that is its own worker has to call \
    `serve_if_worker()` on its `Tasks` first in `main`";

/// Standard output, or standard error, without the lock and the buffer that std keeps for it: a
/// duplicate of its descriptor.
///
/// # Errors
/// If there is no descriptor left.
#[cfg(unix)]
pub fn unlocked(stream: impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// The same with a handle. The process chapters were not tried on Windows.
///
/// # Errors
/// If it cannot be duplicated.
#[cfg(windows)]
pub fn unlocked(stream: impl std::os::windows::io::AsHandle) -> io::Result<File> {
    stream.as_handle().try_clone_to_owned().map(File::from)
}

// A panic has a message and a place, and the message alone, in another process, is not much to go
// on. But `catch_unwind` hands over the message only; the place is told to the panic hook.
thread_local! {
    /// Where this thread has panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs foreign code: a panic becomes its text, and its place.
fn caught<T>(foreign: impl FnOnce() -> T) -> Result<T, String> {
    PLACE.take();
    catch(foreign).map_err(|error| match error {
        Error::Panicked { message } => format!("{message}{}", PLACE.take()),
        other => other.to_string(),
    })
}

fn read<A: Wire>(argument: &str) -> Result<A, Refusal> {
    from_line(argument).map_err(|error| (ErrKind::BadArgument, error.to_string()))
}

// Plumbing

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
