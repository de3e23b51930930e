//! Chapter 09: what a panic becomes, what counts as a failure, and where an unread one goes.

mod support;

use concurrent_explained::ch09_outcome::{catch, report};
use concurrent_explained::{Death, Error, Overrun, set_failure_hook};
use std::io;
use std::panic::{panic_any, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use support::{Grenade, watchdog};

fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

/// One of each kind.
fn all() -> [Error; 10] {
    let death = Death {
        pid: 7,
        task: "square".into(),
        status: None,
        cause: "closed its output".into(),
        stderr: "out of memory".into(),
    };
    let overrun = Overrun { task: "square".into(), limit: Duration::from_secs(2) };
    [
        Error::Cancelled,
        panicked("overflow"),
        Error::Abandoned,
        Error::ShutDown,
        Error::Broken { cause: "no disk".into() },
        Error::Died(Box::new(death)),
        Error::TimedOut(Box::new(overrun)),
        Error::Killed { task: "square".into() },
        Error::TooLate,
        Error::Refused { reason: "unknown task".into() },
    ]
}

/// The hook belongs to the whole program: the tests that set it take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|failed_test| failed_test.into_inner())
}

/// Sets a hook that collects, and returns what it collects.
fn collecting() -> Arc<Mutex<Vec<String>>> {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hook = heard.clone();
    set_failure_hook(move |what, error| hook.lock().unwrap().push(format!("{what}: {error}")));
    heard
}

#[test]
fn i1_a_value_passes_and_a_panic_becomes_its_text() {
    assert_eq!(catch(|| 7), Ok(7));
    assert_eq!(catch(|| -> u32 { panic!("plain") }), Err(panicked("plain")));
    assert_eq!(catch(|| -> u32 { panic!("over{}", "flow") }), Err(panicked("overflow")));
    // CPython: falsy exceptions (F117): an empty text is still an error
    assert_eq!(catch(|| -> u32 { panic!("{}", "") }), Err(panicked("")));
    let no_text = catch(|| -> u32 { panic_any(7) });
    assert_eq!(no_text, Err(panicked("a panic whose payload is not text")));
}

#[test]
fn i2_every_error_but_cancelled_is_a_failure() {
    let failures: Vec<_> = all().iter().map(Error::is_failure).collect();
    assert_eq!(failures, [false, true, true, true, true, true, true, true, true, true]);
}

#[test]
fn i3_a_failure_that_is_reported_reaches_the_hook_once_and_a_success_does_not() {
    let _turn = turn();
    let heard = collecting();
    report("the first", Err(panicked("boom")));
    report("the second", Ok(()));
    assert_eq!(*heard.lock().unwrap(), ["the first: panicked: boom"]);
}

#[test]
fn i3_a_hook_may_panic_report_and_replace_itself() {
    let _turn = turn();
    watchdog("a hook that uses the hook", || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        set_failure_hook(move |what, _| match counted.fetch_add(1, SeqCst) {
            0 => report("from the hook", Err(Error::Abandoned)),
            _ => {
                assert_eq!(what, "from the hook");
                resume_unwind(Box::new("the hook fails"));
            }
        });
        report("outer", Err(Error::Abandoned));
        assert_eq!(calls.load(SeqCst), 2);
        set_failure_hook(|_, _| drop(collecting()));
        report("a hook that replaces itself", Err(Error::Abandoned));
        let heard = collecting();
        report("the last", Err(Error::Abandoned));
        assert_eq!(heard.lock().unwrap().len(), 1);
    });
}

#[test]
fn i4_an_error_takes_24_bytes_and_a_result_of_a_number_no_more() {
    assert!(size_of::<Error>() <= 24);
    assert_eq!(size_of::<Result<u64, Error>>(), size_of::<Error>());
}

#[test]
fn errors_say_what_happened_to_a_stranger() {
    let said = all().map(|error| error.to_string());
    assert_eq!(
        said,
        [
            "cancelled before it started",
            "panicked: overflow",
            "the promise was dropped without an outcome",
            "the pool was shut down before this task was submitted",
            "the pool is broken: no disk",
            "worker process 7 died before it answered `square`: closed its output; \
             its last words:\nout of memory",
            "`square` ran longer than 2s",
            "`square` was killed on request",
            "not done within the limit",
            "refused: unknown task",
        ]
    );
}

#[test]
fn an_error_passes_through_a_function_that_returns_an_io_result() {
    fn reads() -> io::Result<u32> {
        Ok(catch(|| -> u32 { panic!("no such page") })?)
    }
    let error = reads().unwrap_err();
    assert_eq!(error.to_string(), "panicked: no such page");
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<Error>());
    assert_eq!(inside, Some(&panicked("no such page")));
}

#[test]
fn an_error_is_a_value_like_any_other() {
    fn error<E: std::error::Error + Clone + PartialEq + Send + Sync + 'static>(_: &E) {}
    for each in all() {
        error(&each);
        assert_eq!(each.clone(), each);
    }
}

#[test]
fn try_1_the_inner_one_catches() {
    let outcome = catch(|| catch(|| -> u32 { panic!("inner") }));
    assert_eq!(outcome, Ok(Err(panicked("inner"))));
}

// Done as it says, this one goes red: the payload's drop panics out of `catch`, in the middle of
// the thread that was to go on.
#[test]
fn try_2_a_payload_that_panics_on_drop_is_leaked() {
    // What escapes is leaked here: its drop would panic in the middle of the test's own thread.
    let outcome = std::panic::catch_unwind(|| catch(|| -> u32 { panic_any(Grenade(3)) }));
    let outcome = outcome.map_err(std::mem::forget).expect("no panic leaves `catch`");
    assert_eq!(outcome, Err(panicked("a panic whose payload is not text")));
}

/// The last outcome of at most `times` runs, the first that is no panic among them.
fn retry<T>(times: usize, mut work: impl FnMut() -> T) -> Result<T, Error> {
    let mut outcome = catch(&mut work);
    for _ in 1..times {
        if outcome.is_ok() {
            break;
        }
        outcome = catch(&mut work);
    }
    outcome
}

#[test]
fn try_3_retry() {
    let mut runs = 0;
    let third_time = retry(5, || {
        runs += 1;
        assert_eq!(runs, 3, "not yet");
        runs
    });
    assert_eq!(third_time, Ok(3));
    assert!(retry(2, || -> u32 { panic!("never") }).is_err());
}
