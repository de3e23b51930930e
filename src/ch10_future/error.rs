//! How a task can end without a value, and who is told when nobody listens.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{error, fmt, mem};

/// Why a task has no value: who, what and why, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// `cancel` came before the work was started; it never ran.
    #[doc(alias = "CancelledError")]
    Cancelled,
    /// The task panicked with this message; its worker lives on.
    Panicked {
        /// The text given to `panic!`; from a worker process, with the place in its source.
        message: String,
    },
    /// The promise was dropped without an outcome: nobody is left to fulfil it.
    Abandoned,
    /// The pool was shut down first; the work was dropped unrun.
    ShutDown,
    /// The pool cannot run anything any more.
    #[doc(alias = "BrokenExecutor")]
    Broken {
        /// What broke it: the initializer's failure, or the last of too many deaths.
        cause: String,
    },
    /// The worker process died while it ran this task.
    Died(Box<Death>),
    /// The task overran its deadline, and its worker process was killed.
    TimedOut {
        /// The name under which the task is registered.
        task: String,
        /// The time it was given.
        limit: Duration,
    },
    /// The task's worker process was killed because the caller asked for it.
    Killed {
        /// The name under which the task is registered.
        task: String,
    },
    /// The deadline of an iteration passed before this task was done.
    TooLate,
    /// The call could not be made, or its answer not be read: an unknown task, an argument or a
    /// result that does not decode, a line over the limit.
    Refused {
        /// What was wrong with it.
        reason: String,
    },
}

/// The certificate of a worker process that died at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The process that died.
    pub pid: u32,
    /// The name of the task it was running.
    pub task: String,
    /// How it ended by itself: an exit code or a signal. `None` if the pool had to end it.
    pub status: Option<ExitStatus>,
    /// What the parent saw: "closed its output", "sent a line that is no message: …".
    pub cause: String,
    /// The last lines it wrote to standard error.
    pub stderr: String,
}

impl Error {
    /// True if the task itself went wrong, not its submission, and nobody asked for it: what must
    /// not get lost unread.
    pub fn is_failure(&self) -> bool {
        matches!(self, Error::Panicked { .. } | Error::Died(_) | Error::TimedOut { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Cancelled => f.write_str("cancelled before it started"),
            Error::Panicked { message } => write!(f, "panicked: {message}"),
            Error::Abandoned => f.write_str("the promise was dropped without an outcome"),
            Error::ShutDown => f.write_str("the pool was shut down before this task was submitted"),
            Error::Broken { cause } => write!(f, "the pool is broken: {cause}"),
            Error::Died(death) => death.fmt(f),
            Error::TimedOut { task, limit } => write!(f, "`{task}` ran longer than {limit:?}"),
            Error::Killed { task } => write!(f, "`{task}` was killed on request"),
            Error::TooLate => f.write_str("not done before the deadline"),
            Error::Refused { reason } => write!(f, "refused: {reason}"),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} died running `{}`: {}", self.pid, self.task, self.cause)?;
        self.status.map_or(Ok(()), |status| write!(f, " ({status})"))?;
        if self.stderr.is_empty() {
            Ok(())
        } else {
            write!(f, "; its last words:\n{}", self.stderr)
        }
    }
}

impl error::Error for Error {}

/// Runs foreign code and turns a panic into [`Error::Panicked`].
///
/// The panic stops here in any case: a payload that panics again while it is dropped is leaked
/// instead.
pub fn contain<T>(foreign: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(|payload| {
        let message = message_of(&*payload);
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
        Error::Panicked { message }
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is not text").to_owned()
}

type FailureHook = Arc<dyn Fn(&str, &Error) + Send + Sync>;

static FAILURE_HOOK: Mutex<Option<FailureHook>> = Mutex::new(None);

/// Sends every failure that nobody can be told about to `hook` instead of standard error, in the
/// whole program.
pub fn set_failure_hook(hook: impl Fn(&str, &Error) + Send + Sync + 'static) {
    let before = FAILURE_HOOK.lock().unwrap().replace(Arc::new(hook));
    drop(before); // a foreign closure: its drop runs after the lock
}

/// Tells the hook (standard error, unless [`set_failure_hook`] said otherwise) that `what` failed,
/// if it did, because nobody else is there to be told.
pub fn report(what: &str, outcome: Result<(), Error>) {
    let Err(error) = outcome else { return };
    let hook = FAILURE_HOOK.lock().unwrap().clone();
    let told = contain(|| match hook {
        Some(hook) => hook(what, &error),
        None => eprintln!("{what} failed: {error}"),
    });
    drop(told); // a hook that panics has nobody left to tell
}
