//! # 22 · Worker — a process has no closures: names
//!
//! Needs: ch19, ch21.   Reading time: 14 min.
//! Run it: cargo run --example ch22_worker
//!
//! ## Why
//!
//! A request names its task, and a name has to find a function. A closure cannot be written on a
//! line: it is code and captured memory. But parent and worker are the same program, so both can
//! make the same table of functions, and the name is enough. This chapter is that table, and the
//! loop a worker process runs with it.
//!
//! ## Picture
//!
//! ```text
//!              ┌───────────────────── worker ──────────────────────┐
//!     stdin    │  reader thread               main thread          │   stdout
//!   ─────────▶ │  lines ─(1)─▶ [backlog] ──(2)─▶ decode, run, ─(3)─┼──────────▶
//!              │    │              │             encode            │     ▲
//!              │    ├─ recall ◀─(4)┘  gives back what waits ───────┼─────┤
//!              │    └─ end of file ─(5)─▶ "still here" ────────────┼─────┘
//!              └───────────────────────────────────────────────────┘
//! ```
//!
//! To talk to a worker by hand, build the example and type two lines, the second one after `ready`:
//!
//! ```text
//! target/debug/examples/ch22_worker serve-tasks
//! 7 square 12
//! ```
//!
//! `Ctrl-D` ends it. Or in one go: `printf '7 square 12\n' | target/debug/examples/ch22_worker
//! serve-tasks`.
//!
//! ## Promises
//!
//! - I1: tasks run one at a time, in the order of their requests, all on the thread that called
//!   `serve`: what the initializer leaves in a thread-local is there.
//! - I2: each request gets one answer, in one piece, and it is written before the next task starts.
//!   So after a death the first request without an answer is the one that was running.
//! - I3: `recall` is answered while a task runs, and a request is either run or given back, never
//!   both: both take it out of the backlog under the same lock.
//! - I4: at the end of the input, what was received is run and answered; then the worker ends.
//!   While it is still busy it writes an empty message every 50 ms. If nobody reads any more, the
//!   write fails and the process ends there and then, quietly: no worker outlives its parent for
//!   long.
//! - I5: a panic in a task, in its `Wire` types or in their `Drop` costs one answer, not the
//!   worker. So does an argument that cannot be read, an unknown name, a request or result over the
//!   limit. (A program built with `panic = "abort"` dies.) Where a task runs on each item of an
//!   array, `8 square* [1,2]`, a panic costs one item of the answer.
//! - I6: a worker runs only what its `Tasks` name. It reads no environment variable and sets none:
//!   a task that starts this program again gets the program, not a second worker.
//! - Not promised: that a task which ends the process, or never ends, leaves an answer. That is the
//!   parent's part.
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
//! ## Elsewhere
//!
//! - Python pickles the name of a function (`module.function`), imports the module in the worker
//!   and looks it up there; lambdas and local functions have no such name and fail when they are
//!   sent.
//! - `multiprocessing` marks its children on the command line too (`--multiprocessing-fork`); a
//!   program without the `if __name__ == "__main__"` guard starts itself for ever.
//! - Erlang sends module, function and arguments, and may find another version of the module on the
//!   other side.
//!
//! ## Try
//!
//! 1. Be the worker: type the answers of `examples/workers/square.py` by hand.
//! 2. Break: decode the argument outside of `caught`. Which request kills the worker?
//! 3. Extend: a worker that keeps count of its tasks in a thread-local, and a task that tells it.
//!
//! The answers are in `tests/ch22_worker.rs`.

mod link;
mod panics;

use link::Link;
use panics::{caught, note_places};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::{env, fmt, process, thread};

use super::ch19_wire::{Wire, from_line, put, to_line};
use super::ch21_protocol::{
    CAPACITY, EACH, ErrKind, LIMIT, Lines, Request, VERSION, is_task_name, write_message,
};

/// How many requests a worker is willing to hold: it tells the parent in `ready`.
pub const LOOKAHEAD: usize = 1024;

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

/// The mark this process was started with, if it is a worker.
fn mark_of_this_process() -> Option<String> {
    let first = env::args_os().nth(1)?.into_string().ok()?;
    let is_mark = first == worker_mark(None) || first.starts_with(&worker_mark(Some("")));
    is_mark.then_some(first)
}

static SERVING: AtomicBool = AtomicBool::new(false);

/// True in a process that was started as a worker and has not come to [`Tasks::serve_if_worker`]:
/// its `main` forgot to call it, or does something else first. Whoever starts workers from here
/// starts a chain without an end.
pub fn is_unserved_worker() -> bool {
    !SERVING.load(Ordering::Relaxed) && mark_of_this_process().is_some()
}

/// Nothing, or why there is no result.
type Outcome = Result<(), (ErrKind, String)>;

/// Reads an argument, calls the function, appends the result.
type Run = Box<dyn Fn(&str, &mut String) -> Outcome + Send + Sync>;

/// What can be asked of a function: to run on an argument, or on each item of an array.
struct Runs {
    one: Run,
    each: Run,
}

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
    runs: BTreeMap<String, Runs>,
    /// The name of each function, which is a type of its own.
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

    /// Adds `function` under `name`, in place of an older task of that name.
    ///
    /// # Panics
    /// If no request could call it: see [`is_task_name`].
    #[must_use]
    pub fn with<F, A: Wire, R: Wire>(mut self, name: &str, function: F) -> Self
    where
        F: Fn(A) -> R + Send + Sync + 'static,
    {
        assert!(is_task_name(name), "{name:?} cannot be the name of a task");
        self.names.insert(TypeId::of::<F>(), name.to_string());
        let function = Arc::new(function);
        let the_same = function.clone();
        let one = move |argument: &str, result: &mut String| {
            function(read(argument)?).encode(result);
            Ok(())
        };
        let each = move |arguments: &str, results: &mut String| {
            results.push('[');
            for argument in read::<Vec<A>>(arguments)? {
                let before = results.len();
                let run = || put(results, &Ok::<R, String>(the_same(argument)));
                if let Err(panic) = caught(run) {
                    results.truncate(before); // I5: half a result, if `encode` was what panicked
                    put(results, &Err::<R, String>(panic));
                }
            }
            results.push(']');
            Ok(())
        };
        self.runs.insert(name.to_string(), Runs { one: Box::new(one), each: Box::new(each) });
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

    /// The name of the function `F`: each function and each closure is a type of its own.
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
        let seal = mark.strip_prefix(&worker_mark(Some("")));
        SERVING.store(true, Ordering::Relaxed);
        note_places();
        let input = BufReader::with_capacity(64 << 10, io::stdin());
        let link = Link::new(io::stdout(), seal, |code| process::exit(code));
        process::exit(i32::from(self.run(input, link).is_err()));
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
        self.run(input, Link::new(output, seal, |_| {}))
    }

    fn run<R: BufRead + Send, W: Write + Send>(&self, input: R, link: Link<W>) -> io::Result<()> {
        let mut lines = Lines::from_parent(input);
        lines.limit = self.limit.unwrap_or(LIMIT);
        let (working, worked) = channel();
        thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, || link.receive(lines, worked))?;
            let _working = working; // dropped when the work is done: the reader's news
            self.work(&link)
        })
    }

    /// The thread that runs the tasks.
    fn work<W: Write>(&self, link: &Link<'_, W>) -> io::Result<()> {
        // I1: the same thread for the initializer and all tasks.
        let prepare = self.initializer.as_deref().unwrap_or(&|| Ok(()));
        if let Err(cause) = caught(prepare).and_then(|prepared| prepared) {
            link.fail([0], ErrKind::FailedStart, &cause)?;
            (link.leave)(1);
            return Err(io::Error::other(cause));
        }
        let tasks = to_line(&self.names().map(String::from).collect::<Vec<_>>());
        let pid = process::id();
        let about = format!("{{\"pid\":{pid},\"tasks\":{tasks},\"lookahead\":{LOOKAHEAD}}}");
        link.say(|opening, lines| {
            write_message(opening, format_args!("ready {VERSION}"), &about, lines);
        })?;
        let (mut line, mut result) = (String::new(), String::new());
        while link.next(&mut line) {
            if let Some(request) = Request::parse(&line) {
                let id = request.id;
                match self.answer(&request, &mut result) {
                    Ok(()) => link.say(|opening, lines| {
                        write_message(opening, format_args!("{id} ok"), &result, lines);
                    }),
                    Err((kind, why)) => link.fail([id], kind, &why),
                }?;
            } else {
                _ = writeln!(io::stderr(), "a line without an id, ignored: {:?}", line.trim_end());
            }
            for buffer in [&mut line, &mut result] {
                buffer.clear();
                buffer.shrink_to(CAPACITY);
            }
        }
        Ok(())
    }

    /// Appends the result of `request`, or says why there is none.
    fn answer(&self, request: &Request<'_>, result: &mut String) -> Outcome {
        let find = |name| self.runs.get(name);
        let run = match request.task.strip_suffix(EACH) {
            Some(name) => find(name).map(|runs| &runs.each),
            None => find(request.task).map(|runs| &runs.one),
        };
        let Some(run) = run else {
            let known = self.names().collect::<Vec<_>>().join(", ");
            return Err((
                ErrKind::UnknownTask,
                format!("no task {:?}, only {known}", request.task),
            ));
        };
        // I5: everything foreign happens in here: decode, run, encode, drop.
        let ran = caught(|| run(request.argument, result));
        ran.unwrap_or_else(|panic| Err((ErrKind::Panicked, panic)))?;
        let fits = (result.len() <= self.limit.unwrap_or(LIMIT)).then_some(());
        fits.ok_or_else(|| (ErrKind::TooLong, format!("a result of {} bytes", result.len())))
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn read<A: Wire>(argument: &str) -> Result<A, (ErrKind, String)> {
    from_line(argument).map_err(|error| (ErrKind::BadArgument, error.to_string()))
}
