//! Chapter 10: each cell of the state × event table, each invariant, CPython's future cases, the
//! windows between threads, and the solutions to `Try`.

mod support;

use concurrent_explained::ch09_outcome::{catch, report};
use concurrent_explained::ch10_future::{Slot, Source, Watcher};
use concurrent_explained::ch13_task::{Job, PoolId, task};
use concurrent_explained::{Error, Future, Overrun, Promise, promise, set_failure_hook};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, Once, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::watchdog;

const ZERO: Duration = Duration::ZERO;
const ROUNDS: usize = 1_000;

type Outcome<T> = Result<T, Error>;

/// Work that somebody else does, as in a process of its own: a text.
struct Elsewhere;

impl Source<&'static str, u32> for Elsewhere {}

fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

/// Runs something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Neither `Clone` nor `Sync`; counts its drops.
struct Counted(Arc<AtomicUsize>, #[expect(dead_code, reason = "makes it `!Sync`")] Cell<u8>);

impl Counted {
    fn new(drops: &Arc<AtomicUsize>) -> Counted {
        Counted(drops.clone(), Cell::new(0))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

/// A place for an outcome, and a callback that puts it there.
fn note<T: Clone + Send + 'static>() -> (Receiver<Outcome<T>>, impl FnOnce(&Outcome<T>) + Send) {
    let (sender, receiver) = channel();
    (receiver, move |outcome: &Outcome<T>| sender.send(outcome.clone()).unwrap())
}

/// Counts how often it is told, and remembers the last key.
#[derive(Default)]
struct Told {
    times: AtomicUsize,
    key: AtomicUsize,
}

impl Watcher for Told {
    fn done(&self, key: usize) {
        self.key.store(key, SeqCst);
        self.times.fetch_add(1, SeqCst);
    }
}

// ---- The failure hook belongs to the whole process: one for all tests, and each looks for its own message.

type Reports = Mutex<Vec<(String, String)>>;
static REPORTS: Reports = Mutex::new(Vec::new());
/// A task that the hook asks, the next time it is called.
static PROBE: Mutex<Option<Arc<dyn Job>>> = Mutex::new(None);

fn collect_reports() {
    set_failure_hook(|what, error| {
        assert!(!error.to_string().contains("the hook fails"), "and the hook panics");
        PROBE.lock().unwrap().take().inspect(|job| _ = job.is_accounted_for());
        REPORTS.lock().unwrap().push((what.to_owned(), error.to_string()));
    });
}

/// What was reported with this message: what failed, in order.
fn reports_of(message: &str) -> Vec<String> {
    let all = REPORTS.lock().unwrap();
    all.iter().filter(|(_, error)| error.ends_with(message)).map(|(what, _)| what.clone()).collect()
}

/// Every test that looks at reports holds this; so the one that replaces the hook is alone.
fn hook() -> MutexGuard<'static, ()> {
    static ONCE: Once = Once::new();
    static TURN: Mutex<()> = Mutex::new(());
    ONCE.call_once(collect_reports);
    TURN.lock().unwrap_or_else(|failed_test| failed_test.into_inner())
}

// ---- Every state × every event.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Pending,
    Running,
    /// Its callback has not returned.
    Completing,
    /// The same, with an error.
    Failing,
    /// The callback of its cancellation has not returned.
    Cancelling,
    Finished,
    Failed,
    Cancelled,
}

use At::*;

const ALL: [At; 8] =
    [Pending, Running, Completing, Failing, Cancelling, Finished, Failed, Cancelled];

/// A future of 7 in one of the states.
struct Case {
    at: At,
    promise: Option<Promise<u32>>,
    future: Arc<Future<'static, u32>>,
    /// Who is busy with the callback of `Completing`, `Failing` or `Cancelling`, until the sender
    /// is dropped.
    busy: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Case {
    fn at(at: At) -> Case {
        let (mut promise, future) = promise();
        let future = Arc::new(future);
        let mut case = Case { at, promise: None, future: future.clone(), busy: None };
        if matches!(at, Completing | Failing | Cancelling) {
            let (entered, has_entered) = channel();
            let (gate, opened) = channel::<()>();
            future.add_done_callback(move |_| {
                entered.send(()).unwrap();
                let _ = opened.recv();
            });
            let thread = if at == Cancelling {
                case.promise = Some(promise);
                thread::spawn(move || assert!(future.cancel()))
            } else {
                thread::spawn(move || promise.complete(Case::fate(at)).unwrap())
            };
            has_entered.recv().unwrap();
            case.busy = Some((gate, thread));
            return case;
        }
        match at {
            Running => assert!(promise.start()),
            Cancelled => assert!(future.cancel()),
            Finished | Failed => {
                promise.complete(Case::fate(at)).unwrap();
                return case;
            }
            _ => {}
        }
        Case { promise: Some(promise), ..case }
    }

    fn is_finished(&self) -> bool {
        matches!(self.at, Finished | Failed | Cancelled)
    }

    /// Lets the callback return, and fulfils the promise if there still is one.
    fn end(&mut self) {
        if let Some((gate, thread)) = self.busy.take() {
            drop(gate);
            thread.join().unwrap();
        }
        if let Some(promise) = self.promise.take() {
            let _ = promise.complete(Ok(7));
        }
    }

    fn into_future(mut self) -> Future<'static, u32> {
        self.end();
        Arc::into_inner(self.future).expect("everybody else has ended")
    }

    /// What becomes of the future if nothing else happens to it.
    fn fate(at: At) -> Result<u32, Error> {
        match at {
            Pending | Running | Completing | Finished => Ok(7),
            Failing | Failed => Err(panicked("seven")),
            Cancelling | Cancelled => Err(Error::Cancelled),
        }
    }
}

fn in_each_state(event: &'static str, check: impl Fn(Case) + Send + 'static) {
    watchdog(event, move || ALL.map(Case::at).into_iter().for_each(check));
}

// CPython: FutureTests::test_cancelled
#[test]
fn each_state_says_what_it_is() {
    // CPython: FutureTests::test_repr, test_done, test_running, test_get_snapshot
    let rows = [
        // state      done   running cancelled failed
        (Pending, [false, false, false, false], None, "Future(Pending)"),
        (Running, [false, true, false, false], None, "Future(Running)"),
        (Completing, [false, false, false, false], None, "Future(Completing)"),
        (Failing, [false, false, false, false], None, "Future(Completing)"),
        (Cancelling, [false, false, true, false], None, "Future(Cancelling)"),
        (Finished, [true, false, false, false], None, "Future(Finished)"),
        (Failed, [true, false, false, true], Some(panicked("seven")), "Future(Failed)"),
        (Cancelled, [true, false, true, false], Some(Error::Cancelled), "Future(Cancelled)"),
    ];
    watchdog("a question that blocks", move || {
        for (at, facts, error, debug) in rows {
            let Case { future, .. } = &Case::at(at);
            let answers =
                [future.is_done(), future.is_running(), future.is_cancelled(), future.is_failed()];
            assert_eq!(answers, facts, "{at:?}");
            assert_eq!(future.error(), error, "{at:?}");
            assert_eq!(format!("{future:?}"), debug);
        }
    });
}

#[test]
fn cancel_in_each_state() {
    // CPython: FutureTests::test_cancel
    in_each_state("cancel", |case| {
        let now_cancelled = matches!(case.at, Pending | Cancelling | Cancelled);
        assert_eq!(case.future.cancel(), now_cancelled, "{:?}", case.at);
        assert_eq!(case.future.cancel(), now_cancelled, "{:?}, again", case.at);
        assert_eq!(case.future.is_cancelled(), now_cancelled, "{:?}", case.at);
        let at = case.at;
        let fate = if now_cancelled { Err(Error::Cancelled) } else { Case::fate(at) };
        assert_eq!(case.into_future().result(), fate, "{at:?}");
    });
}

#[test]
fn start_in_each_state_that_has_a_promise() {
    in_each_state("start", |mut case| {
        let Some(promise) = &mut case.promise else { return };
        let starts = matches!(case.at, Pending | Running);
        assert_eq!(promise.start(), starts, "{:?}", case.at);
        assert_eq!(promise.start(), starts, "{:?}, again", case.at);
        assert_eq!(case.future.is_running(), starts, "{:?}", case.at);
        assert_eq!(case.future.cancel(), !starts, "{:?}", case.at);
    });
}

#[test]
fn complete_in_each_state_that_has_a_promise() {
    // CPython: FutureTests::test_multiple_set_result, test_multiple_set_exception. A second outcome
    // after a first is a compile error (see the doctest of `Promise`); after a cancellation it is
    // given back. I2
    in_each_state("complete", |mut case| {
        let Some(promise) = case.promise.take() else { return };
        let (at, accepts) = (case.at, matches!(case.at, Pending | Running));
        assert_eq!(promise.complete(Ok(8)), if accepts { Ok(()) } else { Err(Ok(8)) }, "{at:?}");
        let fate = if accepts { Ok(8) } else { Err(Error::Cancelled) };
        assert_eq!(case.into_future().result(), fate, "{at:?}");
    });
}

#[test]
fn drop_of_the_promise_in_each_state_that_has_one() {
    // I4
    in_each_state("the drop of a promise", |mut case| {
        let Some(promise) = case.promise.take() else { return };
        let (at, abandons) = (case.at, matches!(case.at, Pending | Running));
        drop(promise);
        let fate = Err(if abandons { Error::Abandoned } else { Error::Cancelled });
        assert_eq!(case.into_future().result(), fate, "{at:?}");
    });
}

// CPython: FutureTests::test_done_callback_already_failed
#[test]
fn callback_added_in_each_state() {
    // CPython: FutureTests::test_done_callback_with_result, test_done_callback_with_exception,
    // test_done_callback_with_cancel, test_done_callback_already_successful,
    // test_done_callback_already_cancelled. C041 is the failed row.
    in_each_state("a callback", |mut case| {
        let (noted, callback) = note();
        case.future.add_done_callback(callback);
        if !case.is_finished() {
            assert!(noted.try_recv().is_err(), "{:?}: kept", case.at);
            case.end();
        }
        assert_eq!(noted.try_recv(), Ok(Case::fate(case.at)), "{:?}", case.at);
        assert!(noted.try_recv().is_err(), "{:?}: only once", case.at);
    });
}

#[test]
fn watch_in_each_state() {
    in_each_state("a watcher", |mut case| {
        let told = Arc::new(Told::default());
        assert_eq!(case.future.watch(told.clone(), 5), !case.is_finished(), "{:?}", case.at);
        assert_eq!(told.times.load(SeqCst), 0, "{:?}", case.at);
        case.end();
        let news = usize::from(!case.is_finished());
        assert_eq!(told.times.load(SeqCst), news, "{:?}: told once, or not at all", case.at);
        assert_eq!(told.key.load(SeqCst), 5 * news);
    });
}

#[test]
fn unwatch_in_each_state() {
    in_each_state("unwatch", |mut case| {
        let (told, other) = (Arc::new(Told::default()), Arc::new(Told::default()));
        case.future.watch(other.clone(), 9);
        case.future.unwatch(&(told.clone() as Arc<dyn Watcher>));
        let watching = 2 - usize::from(case.is_finished());
        assert_eq!(
            Arc::strong_count(&other),
            watching,
            "{:?}: `unwatch` means one watcher",
            case.at
        );
        case.future.watch(told.clone(), 5);
        assert_eq!(Arc::strong_count(&other), 1, "{:?}: a new one takes its place", case.at);
        case.future.unwatch(&(told.clone() as Arc<dyn Watcher>));
        assert_eq!(Arc::strong_count(&told), 1, "{:?}: forgotten on the spot", case.at);
        case.end();
        assert_eq!(told.times.load(SeqCst) + other.times.load(SeqCst), 0, "{:?}", case.at);
    });
}

#[test]
fn waits_in_each_state() {
    // CPython: FutureTests::test_result_with_success, test_result_with_cancel,
    // test_exception_with_success
    in_each_state("a wait", |mut case| {
        let ending = Arc::new(AtomicBool::new(case.is_finished()));
        let waiters = [None, Some(Duration::MAX)].map(|limit| {
            let (future, ending) = (case.future.clone(), ending.clone());
            thread::spawn(move || {
                match limit {
                    None => future.wait(),
                    Some(limit) => assert!(future.wait_timeout(limit)),
                }
                assert!(ending.load(SeqCst), "released by the end, not before");
                future.error()
            })
        });
        thread::yield_now();
        ending.store(true, SeqCst);
        case.end();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Case::fate(case.at).err(), "{:?}", case.at);
        }
    });
}

// CPython: FutureTests::test_result_with_timeout
#[test]
fn waits_without_patience_in_each_state() {
    // CPython: FutureTests::test_exception_with_timeout
    in_each_state("a wait of length zero", |case| {
        let (at, finished) = (case.at, case.is_finished());
        assert_eq!(case.future.wait_timeout(ZERO), finished, "{at:?}");
        assert_eq!(case.into_future().result_timeout(ZERO).unwrap(), Case::fate(at), "{at:?}");
    });
}

#[test]
fn result_timeout_gives_an_unfinished_future_back() {
    let (mut promise, future) = promise();
    let future = future.result_timeout(ZERO).unwrap_err();
    assert!(promise.start());
    let future = future.result_timeout(Duration::from_nanos(1)).unwrap_err();
    promise.complete(Ok(7)).unwrap();
    assert_eq!(future.result_timeout(ZERO).unwrap(), Ok(7));
}

#[test]
fn result_timeout_of_every_length_takes_the_outcome() {
    // "cases a port needs": 13
    for limit in [ZERO, Duration::from_nanos(1), Duration::from_secs(u64::MAX), Duration::MAX] {
        let future = watchdog("a finished future", move || {
            Case::at(Finished).into_future().result_timeout(limit)
        });
        assert_eq!(future.unwrap(), Ok(7), "{limit:?}");
    }
}

#[test]
fn drop_of_the_future_in_each_state() {
    // What nobody will read is dropped once: at once if it is there, else when it comes.
    watchdog("the drop of a future", || {
        let drops = counter();
        let dropped = || drops.swap(0, SeqCst);

        let (waiting, future) = promise();
        drop(future);
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 1, "pending");

        let (mut waiting, future) = promise();
        assert!(waiting.start());
        drop(future);
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 1, "running");

        let (waiting, future) = promise();
        let holder = Arc::new(Mutex::new(None));
        future.add_done_callback({
            let (holder, drops) = (holder.clone(), drops.clone());
            move |_| {
                drop(holder.lock().unwrap().take());
                assert_eq!(drops.load(SeqCst), 0, "the callbacks still look at it");
            }
        });
        *holder.lock().unwrap() = Some(future);
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 1, "completing");

        let (waiting, future) = promise();
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 0, "finished: kept for the reader");
        drop(future);
        assert_eq!(dropped(), 1, "finished");

        let (waiting, future) = promise();
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        let outcome = future.result();
        assert_eq!(dropped(), 0, "taken: it belongs to the reader");
        drop(outcome);
        assert_eq!(dropped(), 1, "taken");

        let (waiting, future) = promise();
        assert!(future.cancel());
        drop(future);
        let given_back = waiting.complete(Ok(Counted::new(&drops)));
        assert_eq!(dropped(), 0, "cancelled: it belongs to whoever promised it");
        drop(given_back);
        assert_eq!(dropped(), 1, "cancelled");
    });
}

// ---- The work: claimed once, dropped on the spot (I1).

#[test]
fn work_that_ran_does_not_run_again() {
    // I1
    let runs = counter();
    let (job, future) = task(PoolId::new(), {
        let runs = runs.clone();
        move || runs.fetch_add(1, SeqCst)
    });
    job.run(&|| ());
    job.run(&|| ());
    job.fail(Error::ShutDown);
    assert!(!future.cancel());
    assert_eq!(future.result(), Ok(0));
    assert_eq!(runs.load(SeqCst), 1);
}

#[test]
fn cancel_drops_the_captured_data_at_once_and_the_work_never_runs() {
    // I1
    let (drops, runs) = (counter(), counter());
    let (job, future) = task(PoolId::new(), {
        let (data, runs) = (Counted::new(&drops), runs.clone());
        move || {
            runs.fetch_add(1, SeqCst);
            drop(data);
        }
    });
    assert!(future.cancel());
    assert_eq!(drops.load(SeqCst), 1, "while the queue still holds the job");
    job.run(&|| ());
    job.fail(Error::ShutDown);
    assert_eq!(future.result(), Err(Error::Cancelled));
    assert_eq!((runs.load(SeqCst), drops.load(SeqCst)), (0, 1));
}

#[test]
fn fail_drops_the_captured_data_at_once_and_cancel_comes_too_late() {
    let drops = counter();
    let data = Counted::new(&drops);
    let (job, future) = task(PoolId::new(), move || drop(data));
    job.fail(Error::Broken { cause: "no initializer".into() });
    assert_eq!(drops.load(SeqCst), 1);
    assert!(!future.cancel());
    job.run(&|| ());
    assert_eq!(future.result(), Err(Error::Broken { cause: "no initializer".into() }));
}

#[test]
fn captured_data_is_gone_before_anybody_hears_of_the_end() {
    let drops = counter();
    let data = Counted::new(&drops);
    let (job, future) = task(PoolId::new(), move || data.0.load(SeqCst));
    future.add_done_callback({
        let drops = drops.clone();
        move |_| assert_eq!(drops.load(SeqCst), 1)
    });
    job.run(&|| ());
    assert_eq!((future.result(), drops.load(SeqCst)), (Ok(0), 1));
}

#[test]
fn nothing_is_kept_longer_than_task_and_reader() {
    // CPython: ExecutorTest::test_no_stale_references, as far as the future is concerned
    let drops = counter();
    let (job, future) = task(PoolId::new(), {
        let drops = drops.clone();
        move || Counted::new(&drops)
    });
    job.run(&|| ());
    let outcome = future.result();
    assert_eq!(drops.load(SeqCst), 0);
    drop(outcome);
    assert_eq!(drops.load(SeqCst), 1, "the job is still there, the result is not");
    drop(job);
    assert_eq!(drops.load(SeqCst), 1);
}

/// A task whose captured data, when dropped, asks its own future everything there is to ask.
fn inquisitive() -> (Arc<dyn Job>, Arc<Future<'static, ()>>, Arc<AtomicUsize>) {
    let asked = counter();
    let own = Arc::new(OnceLock::<Arc<Future<'static, ()>>>::new());
    let data = OnDrop({
        let (own, asked) = (own.clone(), asked.clone());
        move || {
            let future = own.get().unwrap();
            assert!(!future.is_done());
            let _ = (
                future.is_running(),
                future.is_failed(),
                future.error(),
                future.cancel(),
                future.help(),
            );
            future.add_done_callback({
                let asked = asked.clone();
                move |_| _ = asked.fetch_add(1, SeqCst)
            });
            asked.fetch_add(1, SeqCst);
        }
    });
    let home = PoolId::new();
    home.enter(); // `help` finds nothing to do, but it looks
    let (job, future) = task(home, move || drop(data));
    let future = Arc::new(future);
    assert!(own.set(future.clone()).is_ok());
    (job, future, asked)
}

#[test]
fn captured_data_is_dropped_outside_every_lock() {
    // "cases a port needs": 14
    watchdog("a drop of captured data that asks its own future", || {
        let (_job, future, asked) = inquisitive();
        assert!(future.cancel());
        assert_eq!(asked.load(SeqCst), 2, "cancelled; the callback added by the drop has run too");
        let (job, _future, asked) = inquisitive();
        job.fail(Error::ShutDown);
        assert_eq!(asked.load(SeqCst), 2, "failed");
        let (job, _future, asked) = inquisitive();
        job.run(&|| ());
        assert_eq!(asked.load(SeqCst), 2, "run");
    });
}

#[test]
fn a_result_nobody_reads_is_dropped_outside_every_lock() {
    // "cases a port needs": 14
    watchdog("the drop of a result that asks its own task", || {
        let (sender, receiver) = channel();
        let own = Arc::new(OnceLock::<Arc<dyn Job>>::new());
        let make = move || {
            let own = own.clone();
            let (job, future) = task(PoolId::new(), {
                let (own, sender) = (own.clone(), sender.clone());
                move || OnDrop(move || sender.send(own.get().unwrap().is_accounted_for()).unwrap())
            });
            let _ = own.set(job.clone());
            (job, future)
        };
        let (job, future) = make();
        drop(future);
        job.run(&|| ()); // the worker drops it
        assert_eq!(receiver.try_recv(), Ok(true));
        let (job, future) = make();
        job.run(&|| ());
        drop(future); // the reader drops it
        assert_eq!(receiver.try_recv(), Ok(true));
    });
}

#[test]
fn a_task_that_panics_is_an_error_of_its_future() {
    // I4
    let (job, future) = task(PoolId::new(), || -> u32 { panic!("over{}", "flow") });
    job.run(&|| ());
    assert!(future.is_failed() && !future.is_cancelled());
    assert_eq!(future.error(), Some(panicked("overflow")));
    assert_eq!(future.result(), Err(panicked("overflow")));
}

#[test]
fn a_payload_that_panics_on_drop_does_no_harm() {
    // "cases a port needs": 15
    let (job, future) =
        task(PoolId::new(), || std::panic::panic_any(OnDrop(|| panic!("the payload's drop"))));
    job.run(&|| ());
    assert_eq!(future.result(), Err::<(), _>(panicked("a panic whose payload is not text")));
}

#[test]
fn an_error_of_the_task_that_looks_like_ours_is_a_value() {
    // CPython: two cases in one: a task that raises TimeoutError or CancelledError. "cases a port
    // needs": 5
    let (job, future) = task(PoolId::new(), || Err::<(), _>(Error::Cancelled));
    job.run(&|| ());
    assert!(future.is_done() && !future.is_cancelled() && !future.is_failed());
    assert_eq!(future.result(), Ok(Err(Error::Cancelled)));
}

#[test]
fn last_is_called_once_in_every_case_and_after_the_callbacks() {
    let calls = Cell::new(0);
    let tell = || calls.set(calls.get() + 1);
    let (job, future) = task(PoolId::new(), || 7);
    let (noted, callback) = note();
    future.add_done_callback(callback);
    job.run(&|| {
        assert_eq!(noted.try_recv(), Ok(Ok(7)), "the callbacks have run");
        tell();
    });
    assert_eq!((calls.replace(0), future.is_done()), (1, true));
    job.run(&tell);
    assert_eq!(calls.replace(0), 1, "somebody else has run it");
    let (job, future) = task(PoolId::new(), || 7);
    future.cancel();
    job.run(&tell);
    assert_eq!(calls.replace(0), 1, "cancelled");
}

#[test]
fn last_comes_after_a_callback_that_is_added_while_callbacks_run() {
    // A worker that is told of its freedom while foreign code of its task still runs is not free.
    watchdog("callbacks of one task", || {
        let (job, future) = task(PoolId::new(), || 7);
        let (future, log) = (Arc::new(future), Arc::new(Mutex::new(Vec::new())));
        let (own, first) = (future.clone(), log.clone());
        future.add_done_callback(move |_| {
            let late = first.clone();
            own.add_done_callback(move |_| late.lock().unwrap().push("late"));
            first.lock().unwrap().push("first");
        });
        job.run(&|| log.lock().unwrap().push("last"));
        assert_eq!(*log.lock().unwrap(), ["first", "late", "last"]);
    });
}

#[test]
fn last_comes_after_the_drop_of_a_result_whose_future_goes_during_the_callbacks() {
    watchdog("the drop of a result", || {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (job, future) = task(PoolId::new(), {
            let log = log.clone();
            move || OnDrop(move || log.lock().unwrap().push("drop of the result"))
        });
        let holder = Arc::new(Mutex::new(None));
        let own = holder.clone();
        future.add_done_callback(move |_| drop(own.lock().unwrap().take()));
        *holder.lock().unwrap() = Some(future);
        job.run(&|| log.lock().unwrap().push("last"));
        assert_eq!(*log.lock().unwrap(), ["drop of the result", "last"]);
    });
}

#[test]
fn a_claim_that_is_handed_back_can_be_claimed_or_cancelled() {
    let slot = Slot::new(Elsewhere, "the request");
    assert_eq!((slot.claim(), slot.claim()), (Some("the request"), None));
    slot.hand_back("again");
    assert_eq!(slot.claim(), Some("again"));
    slot.complete(Ok(7), &|| ());
    assert_eq!(format!("{slot:?}"), "Slot(Finished)");

    let slot = Arc::new(Slot::new(Elsewhere, "the request"));
    let future = Future::new(slot.clone());
    assert!(slot.claim().is_some() && !future.cancel());
    slot.hand_back("again");
    assert!(future.cancel() && slot.claim().is_none());
}

#[test]
fn a_slot_accepts_one_outcome_and_only_from_a_claimer() {
    // I2
    let slot = Arc::new(Slot::new(Elsewhere, "the request"));
    let future = Future::new(slot.clone());
    slot.complete(Ok(1), &|| ());
    slot.hand_back("another");
    assert!(!future.is_done(), "nobody had claimed it");
    assert_eq!(slot.claim(), Some("the request"));
    slot.complete(Ok(2), &|| ());
    slot.complete(Ok(3), &|| ());
    slot.hand_back("another");
    assert!(slot.claim().is_none());
    assert_eq!(future.result(), Ok(2));
}

// ---- Whoever waits at home does the work.

#[test]
fn a_wait_at_home_runs_unstarted_work_and_a_wait_elsewhere_does_not() {
    watchdog("work that the waiter must do itself", || {
        let home = PoolId::new();
        let (_job, future) = task(home, || thread::current().id());
        future.help();
        assert!(!future.is_done(), "this thread works for nobody");
        PoolId::new().enter();
        future.help();
        assert!(!future.is_done(), "it works for somebody else");
        home.enter();
        assert_eq!(future.result(), Ok(thread::current().id()));
    });
}

#[test]
fn a_wait_with_a_deadline_does_no_work() {
    watchdog("a deadline at home", || {
        let home = PoolId::new();
        home.enter();
        let (job, future) = task(home, || 7);
        let future = future.result_timeout(Duration::from_millis(1)).unwrap_err();
        assert!(!future.is_running() && !future.is_done());
        assert_eq!(future.result_timeout(Duration::MAX).unwrap(), Ok(7), "for ever is no deadline");
        assert!(job.is_accounted_for());
    });
}

fn fib(home: PoolId, n: u64) -> u64 {
    let below = |n| move || fib(home, n);
    if n < 2 {
        return n;
    }
    let (_job, one) = task(home, below(n - 1));
    let (_job, two) = task(home, below(n - 2));
    one.result().unwrap() + two.result().unwrap()
}

#[test]
fn nested_waits_end_on_one_thread() {
    let sum = watchdog("fib(12), a task per call, on one thread", || {
        let home = PoolId::new();
        home.enter();
        fib(home, 12)
    });
    assert_eq!(sum, 144);
}

#[test]
fn nested_waits_end_at_any_depth() {
    fn deep(home: PoolId, depth: u32) -> u32 {
        let (_job, future) = task(home, move || if depth == 0 { 0 } else { deep(home, depth - 1) });
        future.result().unwrap() + 1
    }
    let depth = watchdog("3000 waits inside each other", || {
        let home = PoolId::new();
        home.enter();
        assert_eq!(deep(home, 3000), 3001);
        assert!(home.is_here(), "and this thread is where it was");
        deep(home, 10)
    });
    assert_eq!(depth, 11);
}

#[test]
fn waits_one_after_the_other_stay_on_one_stack() {
    watchdog("many waits, none inside another", || {
        let home = PoolId::new();
        home.enter();
        for _ in 0..1_000 {
            let (_job, future) = task(home, || thread::current().id());
            assert_eq!(future.result(), Ok(thread::current().id()));
        }
    });
}

#[test]
fn a_task_run_by_its_waiter_that_panics_leaves_the_waiter_alone() {
    watchdog("a panic on top of a wait", || {
        let home = PoolId::new();
        home.enter();
        let (_job, future) = task(home, || -> u32 { panic!("inner") });
        assert_eq!(future.result(), Err(panicked("inner")));
        let (_job, future) = task(home, || 7);
        assert_eq!(future.result(), Ok(7));
    });
}

// ---- Callbacks (I3).

#[test]
fn callbacks_registered_before_completion_have_run_when_result_returns() {
    // I3
    watchdog("a reader behind a callback", || {
        for _ in 0..ROUNDS / 4 {
            let (promise, future) = promise();
            let ran = Arc::new(AtomicBool::new(false));
            future.add_done_callback({
                let ran = ran.clone();
                move |_| {
                    thread::yield_now();
                    ran.store(true, SeqCst);
                }
            });
            let worker = thread::spawn(move || promise.complete(Ok(7)).unwrap());
            assert_eq!(future.result(), Ok(7));
            assert!(ran.load(SeqCst));
            worker.join().unwrap();
        }
    });
}

#[test]
fn callbacks_run_in_the_order_in_which_they_were_added_each_once() {
    // I3
    let (promise, future) = promise();
    let (sender, receiver) = channel();
    for n in 0..100 {
        let sender = sender.clone();
        future.add_done_callback(move |_| sender.send(n).unwrap());
    }
    drop(sender);
    promise.complete(Ok(7)).unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_callback_runs_on_the_thread_that_completes_cancels_or_comes_late() {
    let ran_on = |future: &Future<'static, u32>| {
        let (sender, receiver) = channel();
        future.add_done_callback(move |_| sender.send(thread::current().id()).unwrap());
        receiver
    };
    let here = thread::current().id();
    let (waiting, future) = promise();
    let receiver = ran_on(&future);
    let worker = thread::spawn(move || waiting.complete(Ok(7)).unwrap());
    let there = worker.thread().id();
    worker.join().unwrap();
    assert_eq!(receiver.try_recv(), Ok(there), "completed there");
    assert_eq!(ran_on(&future).try_recv(), Ok(here), "added late here");
    let (_waiting, future) = promise();
    let receiver = ran_on(&future);
    future.cancel();
    assert_eq!(receiver.try_recv(), Ok(here), "cancelled here");
}

#[test]
fn a_callback_added_by_a_callback_runs_after_the_others() {
    // Try 1: whoever runs the first runs it too, before the future is done.
    watchdog("callbacks that add callbacks", || {
        for late in [false, true] {
            let (promise, future) = promise();
            let (future, log) = (Arc::new(future), Arc::new(Mutex::new(Vec::new())));
            let mut promise = Some(promise);
            if late {
                promise.take().unwrap().complete(Ok(7)).unwrap();
            }
            future.add_done_callback({
                let (own, log) = (future.clone(), log.clone());
                move |_| {
                    log.lock().unwrap().push("first");
                    own.add_done_callback({
                        let log = log.clone();
                        move |_| log.lock().unwrap().push("nested")
                    });
                    log.lock().unwrap().push("rest of the first");
                }
            });
            future.add_done_callback({
                let log = log.clone();
                move |_| log.lock().unwrap().push("second")
            });
            promise.into_iter().for_each(|promise| promise.complete(Ok(7)).unwrap());
            let mut wanted = ["first", "rest of the first", "second", "nested"];
            if late {
                wanted.swap(2, 3); // the second was added when the first had ended
            }
            assert_eq!(*log.lock().unwrap(), wanted);
        }
    });
}

#[test]
fn a_callback_may_wait_for_other_futures() {
    watchdog("a callback that waits for another future", || {
        let (first, first_future) = promise();
        let (second, second_future) = promise();
        let (noted, callback) = note();
        first_future.add_done_callback(move |_| callback(&second_future.result()));
        let worker = thread::spawn(move || first.complete(Ok(1)).unwrap());
        second.complete(Ok(2)).unwrap();
        worker.join().unwrap();
        assert_eq!(noted.try_recv(), Ok(Ok(2)));
        assert_eq!(first_future.result(), Ok(1));
    });
}

#[test]
fn a_callback_may_complete_and_cancel_other_futures() {
    watchdog("callbacks in a chain", || {
        let (mut last, first) = promise();
        let first = Arc::new(first);
        let mut chain = vec![first.clone()];
        for _ in 0..100 {
            let (next, future) = promise();
            future.add_done_callback(move |outcome| last.complete(outcome.clone()).unwrap());
            last = next;
            chain.push(Arc::new(future));
        }
        last.complete(Ok(7)).unwrap();
        drop(chain);
        assert_eq!(Arc::into_inner(first).unwrap().result(), Ok(7));
    });
}

#[test]
fn a_panicking_callback_is_reported_and_the_next_still_runs() {
    // CPython: FutureTests::test_done_callback_raises
    let _turn = hook();
    let (promise, future) = promise();
    let (noted, callback) = note();
    future.add_done_callback(|_| panic!("callback 1"));
    future.add_done_callback(|_| std::panic::panic_any(OnDrop(|| panic!("a payload's drop"))));
    future.add_done_callback(callback);
    assert_eq!(promise.complete(Ok(7)), Ok(()));
    assert_eq!(noted.try_recv(), Ok(Ok(7)));
    assert_eq!(reports_of("callback 1"), ["a done callback"]);
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn a_panicking_callback_added_late_is_reported_too() {
    // CPython: FutureTests::test_done_callback_raises_already_succeeded
    let _turn = hook();
    let (promise, future) = promise();
    promise.complete(Ok(7)).unwrap();
    future.add_done_callback(|_| panic!("callback 2"));
    assert_eq!(reports_of("callback 2"), ["a done callback"]);
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn a_panicking_callback_of_a_promise_dropped_in_a_panic_aborts_nothing() {
    let _turn = hook();
    let (promise, future) = promise::<u32>();
    future.add_done_callback(|_| panic!("callback 3"));
    let unwound = catch(move || {
        let _promise = promise;
        panic!("the worker")
    });
    assert_eq!(unwound, Err::<(), _>(panicked("the worker")));
    assert_eq!(reports_of("callback 3"), ["a done callback"]);
    assert_eq!(future.result(), Err(Error::Abandoned));
}

#[test]
fn a_panicking_watcher_is_reported() {
    struct Bad;
    impl Watcher for Bad {
        fn done(&self, _: usize) {
            panic!("watcher 1");
        }
    }
    let _turn = hook();
    let (promise, future) = promise();
    future.watch(Arc::new(Bad), 0);
    promise.complete(Ok(7)).unwrap();
    assert_eq!(reports_of("watcher 1"), ["a watcher"]);
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn done_stays_true_while_a_late_callback_looks() {
    for (fate, debug) in [
        (Ok(7), "Finished"),
        (Err(panicked("late")), "Failed"),
        (Err(Error::Cancelled), "Cancelled"),
    ] {
        watchdog("a finished future, lent to a callback", move || {
            let (promise, future) = promise();
            let future = Arc::new(future);
            promise.complete(fate.clone()).unwrap();
            let (entered, has_entered) = channel();
            let (gate, opened) = channel::<()>();
            let late = thread::spawn({
                let future = future.clone();
                move || {
                    future.add_done_callback(move |_| {
                        entered.send(()).unwrap();
                        let _ = opened.recv();
                    });
                }
            });
            has_entered.recv().unwrap();
            let (noted, callback) = note();
            future.add_done_callback(callback);
            assert!(noted.try_recv().is_err(), "whoever runs the other runs this one after it");
            assert!(future.is_done() && future.wait_timeout(ZERO));
            future.wait();
            assert_eq!(future.error(), fate.clone().err());
            assert_eq!(future.is_failed(), debug == "Failed");
            assert_eq!(future.is_cancelled(), debug == "Cancelled");
            assert_eq!(future.cancel(), debug == "Cancelled");
            assert_eq!(format!("{future:?}"), format!("Future({debug})"));
            assert!(!future.watch(Arc::new(Told::default()), 0));
            drop(gate);
            late.join().unwrap();
            assert_eq!(noted.try_recv(), Ok(fate.clone()));
            assert_eq!(Arc::into_inner(future).unwrap().result(), fate);
        });
    }
}

#[test]
fn a_late_callback_may_wait_for_its_own_future() {
    watchdog("a future that is done", || {
        let (promise, future) = promise();
        let future = Arc::new(future);
        promise.complete(Ok(7)).unwrap();
        let own = future.clone();
        future.add_done_callback(move |_| {
            own.wait();
            assert!(own.is_done());
        });
        assert_eq!(Arc::into_inner(future).unwrap().result(), Ok(7));
    });
}

// ---- A failure nobody looked at (I5).

/// A task that has panicked with `message`, and its future.
fn failed_task(message: &'static str) -> (Arc<dyn Job>, Future<'static, u32>) {
    let (job, future) = task(PoolId::new(), move || panic!("{message}"));
    job.run(&|| ());
    (job, future)
}

const UNREAD: [&str; 1] = ["a task that nobody read"];

#[test]
fn a_failure_nobody_read_is_reported_once_when_its_future_is_dropped() {
    // I5
    let _turn = hook();
    let (job, future) = failed_task("unread 1");
    assert!(!job.is_accounted_for() && reports_of("unread 1").is_empty());
    drop(future);
    drop(job);
    assert_eq!(reports_of("unread 1"), UNREAD);
}

#[test]
fn a_failure_whose_future_is_gone_already_is_reported_when_it_happens() {
    // I5
    let _turn = hook();
    let (job, future) = task(PoolId::new(), || -> u32 { panic!("unread 2") });
    drop(future);
    assert!(reports_of("unread 2").is_empty());
    job.run(&|| ());
    drop(job);
    assert_eq!(reports_of("unread 2"), UNREAD);
}

#[test]
fn to_ask_whether_it_failed_is_not_to_read_it() {
    // I5
    let _turn = hook();
    let (_job, future) = failed_task("unread 3");
    assert!(future.is_failed() && future.is_done() && future.wait_timeout(ZERO));
    assert!(!future.watch(Arc::new(Told::default()), 0));
    drop(future);
    assert_eq!(reports_of("unread 3"), UNREAD);
}

#[test]
fn a_failure_that_was_read_is_not_reported() {
    // I5
    let _turn = hook();
    assert_eq!(failed_task("looked at 1").1.result(), Err(panicked("looked at 1")));
    assert_eq!(
        failed_task("looked at 2").1.result_timeout(ZERO).unwrap(),
        Err(panicked("looked at 2"))
    );
    let (job, future) = failed_task("looked at 3");
    assert_eq!(future.error(), Some(panicked("looked at 3")));
    assert!(job.is_accounted_for());
    drop(future);
    let (job, future) = failed_task("looked at 4");
    future.add_done_callback(|outcome| assert!(outcome.is_err()));
    assert!(job.is_accounted_for());
    drop(future);
    let (promise, future) = promise::<u32>();
    future.add_done_callback(|outcome| assert!(outcome.is_err()));
    drop(future);
    promise.complete(Err(panicked("looked at 5"))).unwrap();
    for message in ["looked at 1", "looked at 2", "looked at 3", "looked at 4", "looked at 5"] {
        assert!(reports_of(message).is_empty(), "{message}");
    }
}

#[test]
fn every_failure_is_reported_and_a_cancellation_is_none() {
    // I5, and the one meaning of failure: every error but `Cancelled`.
    let _turn = hook();
    let unread = |error: Error| {
        let (promise, future) = promise::<u32>();
        promise.complete(Err(error.clone())).unwrap();
        assert_eq!(future.is_failed(), error.is_failure(), "{error}");
        drop(future);
    };
    let reason = "unread 4";
    unread(Error::Broken { cause: reason.into() });
    unread(Error::Refused { reason: reason.into() });
    unread(Error::Panicked { message: reason.into() });
    assert_eq!(reports_of(reason), [UNREAD[0]; 3]);
    let limit = Duration::from_secs(1);
    unread(Error::TimedOut(Box::new(Overrun { task: "unread 4".into(), limit })));
    assert_eq!(reports_of("`unread 4` ran longer than 1s"), UNREAD);
    unread(Error::Cancelled);
    let (_promise, future) = promise::<u32>();
    assert!(future.cancel());
    drop(future);
    assert!(reports_of("cancelled before it started").is_empty());
}

#[test]
fn a_result_and_unrun_work_that_panic_on_drop_are_reported() {
    // "cases a port needs": 15
    let _turn = hook();
    let bad = |message: &'static str| move || OnDrop(move || panic!("{message}"));
    let (job, future) = task(PoolId::new(), bad("drop 1"));
    drop(future);
    job.run(&|| ());
    assert_eq!(reports_of("drop 1"), ["the drop of a result"]);
    let (job, future) = task(PoolId::new(), bad("drop 2"));
    job.run(&|| ());
    drop(future); // the drop of a future does not panic
    assert_eq!(reports_of("drop 2"), ["the drop of a result"]);
    let data = bad("drop 3")();
    let (_job, future) = task(PoolId::new(), move || drop(data));
    assert!(future.cancel());
    assert_eq!(reports_of("drop 3"), ["the drop of unrun work"]);
    assert_eq!(future.result(), Err(Error::Cancelled));
}

#[test]
fn a_hook_may_ask_the_task_it_hears_of() {
    let _turn = hook();
    watchdog("a hook that asks", || {
        let (job, future) = failed_task("unread 5");
        *PROBE.lock().unwrap() = Some(job);
        drop(future);
    });
    assert_eq!(reports_of("unread 5"), UNREAD);
    assert!(PROBE.lock().unwrap().is_none(), "it has asked");
}

#[test]
fn a_hook_that_panics_harms_nobody() {
    let _turn = hook();
    drop(failed_task("the hook fails"));
    drop(failed_task("and works again"));
    assert_eq!(reports_of("and works again"), UNREAD);
}

#[test]
fn a_hook_that_is_replaced_is_dropped_outside_the_lock() {
    let _turn = hook();
    watchdog("a hook whose drop reports something", || {
        let mut last_words = Some("the last words of a hook");
        let in_hook = OnDrop(move || {
            collect_reports();
            report(last_words.take().unwrap(), Err(panicked("replaced")));
        });
        set_failure_hook(move |_, _| assert!(size_of_val(&in_hook) > 0));
        collect_reports();
    });
    assert_eq!(reports_of("replaced"), ["the last words of a hook"]);
}

#[test]
fn what_went_well_is_not_reported() {
    let _turn = hook();
    report("nothing", Ok(()));
    assert!(REPORTS.lock().unwrap().iter().all(|(what, _)| what != "nothing"));
}

// ---- The windows: many rounds, many threads ("cases a port needs": 17).

/// Runs each of `parts` on a thread of its own, all at the same moment.
fn at_once<const N: usize>(parts: [&(dyn Fn() + Sync); N]) {
    let start = Barrier::new(N);
    thread::scope(|scope| {
        for part in parts {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                part();
            });
        }
    });
}

#[test]
fn cancel_against_run_against_fail() {
    // I1, I2, I3
    watchdog("one of cancel, run and fail", || {
        for _ in 0..ROUNDS {
            let (drops, runs) = (counter(), counter());
            let (job, future) = task(PoolId::new(), {
                let (data, runs) = (Counted::new(&drops), runs.clone());
                move || {
                    drop(data);
                    runs.fetch_add(1, SeqCst)
                }
            });
            let (noted, callback) = note();
            future.add_done_callback(callback);
            let said = AtomicBool::new(false);
            at_once([&|| job.run(&|| ()), &|| said.store(future.cancel(), SeqCst), &|| {
                job.fail(Error::ShutDown)
            }]);
            assert_eq!(drops.load(SeqCst), 1);
            assert_eq!(said.load(SeqCst), future.is_cancelled());
            let outcome = future.result();
            assert_eq!(runs.load(SeqCst), usize::from(outcome.is_ok()));
            assert_eq!(said.load(SeqCst), outcome == Err(Error::Cancelled));
            assert_eq!(noted.try_iter().collect::<Vec<_>>(), [outcome]);
        }
    });
}

#[test]
fn cancel_against_start_against_complete() {
    watchdog("one of cancel and complete", || {
        for _ in 0..ROUNDS {
            let (promise, future) = promise();
            let promise = Mutex::new(Some(promise));
            let given_back = Mutex::new(None);
            at_once([&|| _ = future.cancel(), &|| {
                let mut promise = promise.lock().unwrap().take().unwrap();
                let started = promise.start();
                thread::yield_now();
                let outcome = promise.complete(Ok(7));
                assert_eq!(outcome.is_ok(), started, "what has started is not cancelled");
                *given_back.lock().unwrap() = outcome.err();
            }]);
            let cancelled = future.is_cancelled();
            assert_eq!(given_back.into_inner().unwrap(), cancelled.then_some(Ok(7)));
            assert_eq!(future.result(), if cancelled { Err(Error::Cancelled) } else { Ok(7) });
        }
    });
}

#[test]
fn callbacks_added_while_it_completes_run_once_each_in_order() {
    // I3
    watchdog("a callback added in the window", || {
        for round in 0..ROUNDS {
            let (waiting, future) = promise();
            let waiting = Mutex::new(Some(waiting));
            let (sender, receiver) = channel();
            let add = |name: usize| {
                for n in 0..4 {
                    let sender = sender.clone();
                    future.add_done_callback(move |outcome| {
                        sender.send((name, n, outcome.clone())).unwrap()
                    });
                }
            };
            let end = || match round % 2 {
                0 => assert!(future.cancel()),
                _ => waiting.lock().unwrap().take().unwrap().complete(Ok(7)).unwrap(),
            };
            at_once([&|| add(0), &|| add(1), &end]);
            let outcome = future.result();
            let ran: Vec<_> = receiver.try_iter().collect();
            for name in [0, 1] {
                let of_one = ran.iter().filter(|(from, ..)| *from == name);
                assert_eq!(
                    of_one.map(|(_, n, _)| *n).collect::<Vec<_>>(),
                    [0, 1, 2, 3],
                    "of thread {name}"
                );
            }
            assert!(ran.iter().all(|(.., seen)| *seen == outcome));
        }
    });
}

#[test]
fn done_is_never_taken_back_by_late_callbacks() {
    watchdog("many late callbacks", || {
        let (promise, future) = promise();
        let ran = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        promise.complete(Err(panicked("late"))).unwrap();
        let future = Arc::new(future);
        let add = || {
            for _ in 0..ROUNDS {
                let (noted, callback) = note();
                future.add_done_callback(callback);
                assert_eq!(noted.recv(), Ok(Err::<u32, _>(panicked("late")))); // perhaps the other thread runs it
                ran.fetch_add(1, SeqCst);
            }
            over.store(true, SeqCst);
        };
        let look = || {
            while !over.load(SeqCst) {
                assert!(future.is_done() && future.is_failed() && future.wait_timeout(ZERO));
                assert_eq!(future.error(), Some(panicked("late")));
                thread::yield_now();
            }
        };
        at_once([&add, &add, &look]);
        assert_eq!(ran.into_inner(), 2 * ROUNDS);
    });
}

#[test]
fn drop_of_the_future_against_completion_drops_and_reports_once() {
    // I5
    let _turn = hook();
    watchdog("a future that goes while its outcome comes", || {
        let drops = counter();
        for _ in 0..ROUNDS {
            let (job, good) = task(PoolId::new(), {
                let drops = drops.clone();
                move || Counted::new(&drops)
            });
            let (bad_job, bad) = task(PoolId::new(), || -> u32 { panic!("dropped in the window") });
            let futures = Mutex::new(Some((good, bad)));
            at_once([
                &|| {
                    bad_job.run(&|| ());
                    job.run(&|| ());
                },
                &|| drop(futures.lock().unwrap().take()),
            ]);
        }
        assert_eq!(drops.load(SeqCst), ROUNDS);
    });
    assert_eq!(reports_of("dropped in the window").len(), ROUNDS);
}

#[test]
fn everybody_who_waits_is_released() {
    // CPython: FutureTests::test_result_with_success, test_result_with_cancel, with many threads at
    // once
    watchdog("waiters of one future", || {
        for round in 0..ROUNDS / 5 {
            let (waiting, future) = promise();
            let waiting = Mutex::new(Some(waiting));
            let wait = || assert!(future.wait_timeout(Duration::MAX));
            let end = || match round % 3 {
                0 => assert!(future.cancel()),
                1 => waiting.lock().unwrap().take().unwrap().complete(Ok(7)).unwrap(),
                _ => drop(waiting.lock().unwrap().take()),
            };
            at_once([&wait, &wait, &wait, &end]);
            assert!(future.is_done());
        }
    });
}

#[test]
fn watch_against_unwatch_against_completion() {
    watchdog("a watcher in the window", || {
        for _ in 0..ROUNDS {
            let (waiting, future) = promise();
            let waiting = Mutex::new(Some(waiting));
            let (kept, gone) = (Arc::new(Told::default()), Arc::new(Told::default()));
            let watched = AtomicBool::new(false);
            future.watch(gone.clone(), 0);
            at_once([
                &|| watched.store(future.watch(kept.clone(), 1), SeqCst),
                &|| future.unwatch(&(gone.clone() as Arc<dyn Watcher>)),
                &|| waiting.lock().unwrap().take().unwrap().complete(Ok(7)).unwrap(),
            ]);
            assert_eq!(
                kept.times.load(SeqCst),
                usize::from(watched.load(SeqCst)),
                "told if and only if promised"
            );
            assert!(gone.times.load(SeqCst) <= 1);
            assert_eq!(
                (Arc::strong_count(&kept), Arc::strong_count(&gone)),
                (1, 1),
                "nothing is left behind"
            );
        }
    });
}

#[test]
fn two_waiters_at_home_run_a_task_once() {
    // I1
    watchdog("two workers that want the same result", || {
        for _ in 0..ROUNDS {
            let (home, runs) = (PoolId::new(), AtomicUsize::new(0));
            let (_job, future) = task(home, || runs.fetch_add(1, SeqCst));
            let wait = || {
                home.enter();
                future.wait();
            };
            at_once([&wait, &wait]);
            assert_eq!(future.result(), Ok(0));
        }
    });
}

// ---- Types.

#[test]
fn who_may_go_to_another_thread() {
    fn sendable<T: Send>() {}
    fn shareable<T: Sync>() {}
    // A value that is `Send` and not `Sync` makes all of it both: one thread at a time looks at it.
    sendable::<Future<'static, Cell<u8>>>();
    shareable::<Future<'static, Cell<u8>>>();
    sendable::<Promise<Cell<u8>>>();
    shareable::<Promise<Cell<u8>>>();
    sendable::<Slot<'static, (), Cell<u8>, Cell<u8>>>();
    shareable::<Slot<'static, (), Cell<u8>, Cell<u8>>>();
    sendable::<Arc<dyn Job>>();
    shareable::<Arc<dyn Watcher>>();
    sendable::<Error>();
    shareable::<Error>();
}

#[test]
fn errors_are_values_that_say_why() {
    fn error<E: std::error::Error + Clone + PartialEq + 'static>(error: E) -> String {
        error.to_string()
    }
    assert_eq!(error(panicked("overflow")), "panicked: overflow");
    assert_eq!(error(Error::Abandoned), "the promise was dropped without an outcome");
    assert_eq!(error(Error::Broken { cause: "no disk".into() }), "the pool is broken: no disk");
    // CPython: falsy exceptions (F117): an empty text is still an error
    let (job, future) = task(PoolId::new(), || panic!("{}", ""));
    job.run(&|| ());
    assert_eq!(future.result(), Err::<(), _>(panicked("")));
}

#[test]
fn futures_are_told_apart_by_their_id() {
    // CPython: futures hash and compare by identity (F121)
    let futures: Vec<_> = (0..100).map(|_| promise::<()>().1).collect();
    let ids: std::collections::HashSet<_> = futures.iter().map(Future::id).collect();
    assert_eq!(ids.len(), 100);
    assert_eq!(futures[7].id(), futures[7].id());
}

#[test]
fn work_and_callbacks_may_borrow() {
    let text = String::from("borrowed");
    let length = AtomicUsize::new(0);
    let (job, future) = task(PoolId::new(), || text.len());
    future.add_done_callback(|outcome| length.store(*outcome.as_ref().unwrap(), SeqCst));
    job.run(&|| ());
    assert_eq!((future.result(), length.load(SeqCst)), (Ok(8), 8));
}

#[test]
fn debug_asks_nobody_who_waits() {
    // Its writer may use the future.
    struct Nosy<'a>(&'a Future<'static, u32>, String);
    impl std::fmt::Write for Nosy<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            assert!(!self.0.is_done());
            self.1.push_str(text);
            Ok(())
        }
    }
    watchdog("a writer that asks the future it writes", || {
        let (_promise, future) = promise();
        let mut nosy = Nosy(&future, String::new());
        std::fmt::write(&mut nosy, format_args!("{future:?}")).unwrap();
        assert_eq!(nosy.1, "Future(Pending)");
        assert_eq!(format!("{:?}", promise::<Counted>().0), "Promise(Pending)");
    });
}

// ---- Try 3.

/// The value stays with the future that will be read, so `change` may only look at it. A panic in
/// `change` is the outcome of the new future.
fn map_ok<T: 'static, U: Send + 'static>(
    future: &Future<'static, T>,
    change: impl FnOnce(&T) -> U + Send + 'static,
) -> Future<'static, U> {
    let (waiting, mapped) = promise();
    future.add_done_callback(move |outcome| {
        let outcome = outcome.as_ref().map_err(Error::clone);
        let _ = waiting.complete(outcome.and_then(|value| catch(|| change(value))));
    });
    mapped
}

#[test]
fn solution_to_try_3() {
    let (waiting, future) = promise();
    let length = map_ok(&future, |text: &String| text.len());
    let bad = map_ok(&future, |_| -> u32 { panic!("in the middle") });
    waiting.complete(Ok("news".to_owned())).unwrap();
    assert_eq!(length.result(), Ok(4));
    assert_eq!(bad.result(), Err(panicked("in the middle")));
    assert_eq!(future.result(), Ok("news".to_owned()));
    let (waiting, future) = promise::<u32>();
    let mapped = map_ok(&future, |n| n + 1);
    drop(waiting);
    assert_eq!(mapped.result(), Err(Error::Abandoned));
}
