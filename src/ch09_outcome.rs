//! # 09 · Outcome — a failure is a value
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 10 min, exercises not counted |
//! | run it | `cargo run --example ch09_outcome` |
//! | files | [example](../../../../examples/ch09_outcome.rs), [test](../../../../tests/ch09_outcome.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [08](../ch08_oneshot/index.html), [10](../ch10_future/index.html) |
//!
//! ## Why
//!
//! A oneshot says "there will be no value" and not why. The work panicked on a thread that nobody
//! joins; the pool was shut down; a worker process was killed. The thread that needs the value must
//! learn the reason, and a reason that nobody asks for must not disappear.
//!
//! ## Steps
//!
//! 1. `thread::spawn(work)` and forget the handle: a panic prints a message and is gone.
//! 2. `join()` gives a `Box<dyn Any>`: the payload of the panic. It cannot be printed, compared or
//!    cloned. So [`catch`] turns it into an [`Error`] with the text.
//! 3. A payload is a foreign value, and its `Drop` may panic too. So `catch` drops it under a
//!    second guard.
//! 4. An error that nobody reads is lost as the panic was. So [`report`] gives it to one hook for
//!    the whole program, and [`set_failure_hook`] decides what the hook does.
//!
//! ## Picture
//!
//! ```text
//!              returns             panics
//!   foreign ───────────▶ Ok(value)   │
//!   code                             ▼
//!                         (1) the payload's text ──▶ Err(Panicked { message })
//!                         (2) the payload is dropped; if that panics: leaked
//!
//!   Err(error), read by the caller         nothing more happens
//!   Err(error), and nobody is left to read it ──▶ (3) report ──▶ hook, or
//!                                                              standard error
//! ```
//!
//! ## Promises
//!
//! - I1. No panic leaves `catch`: not the code's, not that of its payload's drop.
//! - I2. A failure is every error but [`Error::Cancelled`], which somebody asked for. The word has
//!   this one meaning in all chapters.
//! - I3. `report` never panics and holds no lock while the hook runs: a hook may report, and may
//!   replace itself.
//! - I4. An `Error` takes 24 bytes, so a `Result` of it costs little where all goes well.
//! - Not promised: that a panic can be caught. With `panic = "abort"` it ends the process.
//!
//! ## The trap
//!
//! `let _ = work()` where `work` returns a `Result`: the failure is dropped without a word, and the
//! program goes on with what it does not have.
//!
//! ## Elsewhere
//!
//! - Python keeps the exception object in the future, with its traceback; one that nobody reads is
//!   lost without a message (asyncio logs it).
//! - Java wraps it as `ExecutionException`; an unread one is lost too.
//! - std: `JoinHandle::join` returns the payload as it is.
//!
//! `Error` and [`Future`](super::ch10_future::Future) have the names of two traits of std. Import
//! the traits under another name (`use std::error::Error as _;`) or name these by their crate:
//! `concurrent_explained::Error`.
//!
//! ## Try
//!
//! 1. Predict: `catch(|| catch(|| panic!("inner")))` gives which value?
//! 2. Break: drop the payload in `catch` without the second guard. Which test goes red?
//! 3. Extend: write `retry(times, work)`, which runs `work` until it does not panic, and returns
//!    the last outcome.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{error, fmt, io, mem};

/// Why there is no value.
///
/// Most of these reasons arise in later chapters (a promise in 10, a pool in 15, a worker process
/// in 23) and are explained there. They stand here because an enum cannot grow in a later chapter.
/// What carries more than a text is boxed, and a text is a `Box<str>`: all of them fit 24 bytes
/// (I4).
///
/// # Examples
/// ```
/// use concurrent_explained::Error;
/// use concurrent_explained::ch09_outcome::catch;
///
/// let outcome = catch(|| -> u32 { panic!("no such page") });
/// assert_eq!(outcome, Err(Error::Panicked { message: "no such page".into() }));
/// assert_eq!(outcome.unwrap_err().to_string(), "panicked: no such page");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// `cancel` came before the work was started; it never ran.
    #[doc(alias = "CancelledError")]
    Cancelled,
    /// The task panicked with this message. Its worker goes on.
    Panicked {
        /// The text given to `panic!`; from a worker process, with the place in its source.
        message: Box<str>,
    },
    /// The promise was dropped without an outcome.
    Abandoned,
    /// The pool was shut down first; the work was dropped and has not run.
    ShutDown,
    /// The pool can run nothing any more.
    #[doc(alias("BrokenExecutor", "BrokenThreadPool", "BrokenProcessPool"))]
    Broken {
        /// What broke it: the initializer's failure, or the last of too many deaths.
        cause: Box<str>,
    },
    /// The worker process died before it answered.
    Died(Box<Death>),
    /// The task ran longer than its own limit, and its worker process was killed.
    TimedOut(Box<Overrun>),
    /// The task's worker process was killed because the caller asked for it.
    Killed {
        /// The name under which the task is registered.
        task: Box<str>,
    },
    /// The limit of an iteration passed before this task was done.
    TooLate,
    /// The call could not be made, or its answer not be read.
    Refused {
        /// What was asked, what was found, what to do.
        reason: Box<str>,
    },
}

/// How a worker process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The process that died.
    pub pid: u32,
    /// The name of the task it was given.
    pub task: String,
    /// How it ended by itself: an exit code or a signal. `None` if the pool had to end it.
    pub status: Option<ExitStatus>,
    /// What the parent saw: "closed its output", "sent a line that is no message: …".
    pub cause: String,
    /// The last lines it wrote to standard error.
    pub stderr: String,
}

/// A task's own limit, and which task it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overrun {
    /// The name under which the task is registered.
    pub task: String,
    /// The time it was given.
    pub limit: Duration,
}

impl Error {
    /// True for each error but [`Error::Cancelled`] (I2): nobody asked for it, so it must not get
    /// lost unread.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Error::Cancelled)
    }
}

/// Runs foreign code and turns a panic into [`Error::Panicked`].
///
/// # Errors
/// The panic's text. Nothing unwinds out of here (I1).
///
/// # Examples
/// ```
/// use concurrent_explained::ch09_outcome::catch;
///
/// assert_eq!(catch(|| 6 * 7), Ok(42));
/// assert!(catch(|| Vec::<u8>::new()[0]).is_err());
/// ```
pub fn catch<T>(foreign: impl FnOnce() -> T) -> Result<T, Error> {
    // Asserted, because the outcome is all that is left of `foreign`: nobody sees what it captured
    // in a state that the panic has left half changed.
    catch_unwind(AssertUnwindSafe(foreign)).map_err(|payload| {
        let message = text_of(&*payload).into(); // (1)
        // (2) Dropped here, where a second panic can be caught. What that one carries is leaked:
        // its drop may panic again, and so on without end.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
        Error::Panicked { message }
    })
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic whose payload is not text")
}

type FailureHook = Arc<dyn Fn(&str, &Error) + Send + Sync>;

static FAILURE_HOOK: Mutex<Option<FailureHook>> = Mutex::new(None);

/// Gives every failure that nobody can be told about to `hook` instead of standard error, in the
/// whole program. The hook hears what failed ("a task that nobody read") and why.
pub fn set_failure_hook(hook: impl Fn(&str, &Error) + Send + Sync + 'static) {
    let before = FAILURE_HOOK.lock().unwrap().replace(Arc::new(hook));
    drop(before); // a foreign closure: dropped after the lock is released (I3)
}

/// (3) Tells the hook that `what` failed, if `outcome` is an error: for code that has nobody else
/// to tell. It takes the outcome of [`catch`] as it is, and says nothing of an `Ok`. Without a hook
/// the sentence goes to standard error.
pub fn report(what: &str, outcome: Result<(), Error>) {
    let Err(error) = outcome else { return };
    // A clone, so that the hook runs without the lock (I3).
    let hook = FAILURE_HOOK.lock().unwrap().clone();
    let told = catch(|| match hook {
        Some(hook) => hook(what, &error),
        None => eprintln!("{what} failed: {error}"),
    });
    drop(told); // a hook that panics has nobody left to tell
}

// Plumbing

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Cancelled => f.write_str("cancelled before it started"),
            Error::Panicked { message } => write!(f, "panicked: {message}"),
            Error::Abandoned => f.write_str("the promise was dropped without an outcome"),
            Error::ShutDown => f.write_str("the pool was shut down before this task was submitted"),
            Error::Broken { cause } => write!(f, "the pool is broken: {cause}"),
            Error::Died(death) => death.fmt(f),
            Error::TimedOut(overrun) => {
                write!(f, "`{}` ran longer than {:?}", overrun.task, overrun.limit)
            }
            Error::Killed { task } => write!(f, "`{task}` was killed on request"),
            Error::TooLate => f.write_str("not done within the limit"),
            Error::Refused { reason } => write!(f, "refused: {reason}"),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker process {} died before it answered `{}`: ", self.pid, self.task)?;
        f.write_str(&self.cause)?;
        if let Some(status) = self.status {
            write!(f, " ({status})")?;
        }
        if !self.stderr.is_empty() {
            write!(f, "; its last words:\n{}", self.stderr)?;
        }
        Ok(())
    }
}

impl error::Error for Error {}

/// So that `?` works in a function that returns `io::Result`.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::other(error)
    }
}
