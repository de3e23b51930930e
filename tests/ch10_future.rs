//! Chapter 10: each cell of the state × event table, each invariant, CPython's future cases, the
//! windows between threads, and the solutions to `Try`.

mod support;

mod ch10_future {
    mod callbacks;
    mod chains;
    mod table;
    mod unread;
    mod windows;
    mod work;
}

pub(crate) use concurrent_explained::ch09_outcome::{catch, report};
pub(crate) use concurrent_explained::ch10_future::{Slot, Source, Watcher};
pub(crate) use concurrent_explained::ch13_task::{Job, PoolId, task};
pub(crate) use concurrent_explained::{Error, Future, Overrun, Promise, promise, set_failure_hook};
pub(crate) use std::cell::Cell;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
pub(crate) use std::sync::mpsc::{Receiver, Sender, channel};
pub(crate) use std::sync::{Arc, Barrier, Mutex, MutexGuard, Once, OnceLock};
pub(crate) use std::thread::{self, JoinHandle};
pub(crate) use std::time::Duration;
pub(crate) use support::watchdog;

pub(crate) const ZERO: Duration = Duration::ZERO;
pub(crate) const ROUNDS: usize = 1_000;

pub(crate) type Outcome<T> = Result<T, Error>;

/// Work that somebody else does, as in a process of its own: a text.
pub(crate) struct Elsewhere;

impl Source<&'static str, u32> for Elsewhere {}

pub(crate) fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

/// Runs something when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Neither `Clone` nor `Sync`; counts its drops.
pub(crate) struct Counted(
    pub(crate) Arc<AtomicUsize>,
    #[expect(dead_code, reason = "makes it `!Sync`")] Cell<u8>,
);

impl Counted {
    pub(crate) fn new(drops: &Arc<AtomicUsize>) -> Counted {
        Counted(drops.clone(), Cell::new(0))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

/// A place for an outcome, and a callback that puts it there.
pub(crate) fn note<T: Clone + Send + 'static>()
-> (Receiver<Outcome<T>>, impl FnOnce(&Outcome<T>) + Send) {
    let (sender, receiver) = channel();
    (receiver, move |outcome: &Outcome<T>| sender.send(outcome.clone()).unwrap())
}

/// Counts how often it is told, and remembers the last key.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) times: AtomicUsize,
    pub(crate) key: AtomicUsize,
}

impl Watcher for Told {
    fn done(&self, key: usize) {
        self.key.store(key, SeqCst);
        self.times.fetch_add(1, SeqCst);
    }
}

// ---- The failure hook belongs to the whole process: one for all tests, and each looks for its own
// message.

pub(crate) type Reports = Mutex<Vec<(String, String)>>;
pub(crate) static REPORTS: Reports = Mutex::new(Vec::new());
/// A task that the hook asks, the next time it is called.
pub(crate) static PROBE: Mutex<Option<Arc<dyn Job>>> = Mutex::new(None);

pub(crate) fn collect_reports() {
    set_failure_hook(|what, error| {
        assert!(!error.to_string().contains("the hook fails"), "and the hook panics");
        PROBE.lock().unwrap().take().inspect(|job| _ = job.is_accounted_for());
        REPORTS.lock().unwrap().push((what.to_owned(), error.to_string()));
    });
}

/// What was reported with this message: what failed, in order.
pub(crate) fn reports_of(message: &str) -> Vec<String> {
    let all = REPORTS.lock().unwrap();
    all.iter().filter(|(_, error)| error.ends_with(message)).map(|(what, _)| what.clone()).collect()
}

/// Every test that looks at reports holds this; so the one that replaces the hook is alone.
pub(crate) fn hook() -> MutexGuard<'static, ()> {
    static ONCE: Once = Once::new();
    static TURN: Mutex<()> = Mutex::new(());
    ONCE.call_once(collect_reports);
    TURN.lock().unwrap_or_else(|failed_test| failed_test.into_inner())
}

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
fn try_3_map_ok() {
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
