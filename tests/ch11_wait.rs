//! Chapter 11: each cell of the table, each invariant, CPython's `wait` and `as_completed` cases,
//! the windows between threads, and the solutions to `Try`.

#[path = "support/alone.rs"]
mod alone;
mod support;

#[path = "../examples/ch11_wait.rs"]
#[allow(dead_code, reason = "its smallest version is tested here, its main by the book's test")]
mod example;

mod ch11_wait {
    mod left_behind;
    mod on_a_worker;
    mod one_by_one;
    mod windows;
}

pub(crate) use concurrent_explained::ReturnWhen::{AllCompleted, FirstCompleted, FirstException};
pub(crate) use concurrent_explained::ch10_future::Watcher;
pub(crate) use concurrent_explained::ch13_task::{Job, PoolId, task};
pub(crate) use concurrent_explained::{
    AsCompleted, Error, Future, Promise, Queue, ReturnWhen, ThreadPool, Unfinished, Waited,
    as_completed, promise, wait, wait_timeout,
};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
pub(crate) use std::sync::{Arc, Barrier};
pub(crate) use std::thread;
pub(crate) use std::time::{Duration, Instant};
pub(crate) use support::{until, watchdog};

pub(crate) const ZERO: Duration = Duration::ZERO;
pub(crate) const EVERY: [ReturnWhen; 3] = [FirstCompleted, FirstException, AllCompleted];

pub(crate) type Number = Future<'static, usize>;

pub(crate) fn boom() -> Error {
    Error::Broken { cause: "boom".into() }
}

pub(crate) fn finished(value: usize) -> Number {
    let (waiting, future) = promise();
    waiting.complete(Ok(value)).unwrap();
    future
}

pub(crate) fn failed() -> Number {
    let (waiting, future) = promise();
    waiting.complete(Err(boom())).unwrap();
    future
}

pub(crate) fn cancelled() -> Number {
    let (_waiting, future) = promise();
    assert!(future.cancel());
    future
}

pub(crate) fn pairs(count: usize) -> (Vec<Promise<usize>>, Vec<Number>) {
    (0..count).map(|_| promise()).unzip()
}

pub(crate) fn ids(futures: &[Number]) -> Vec<usize> {
    futures.iter().map(Future::id).collect()
}

/// The outcomes of futures that are done.
pub(crate) fn outcomes(futures: impl IntoIterator<Item = Number>) -> Vec<Result<usize, Error>> {
    futures
        .into_iter()
        .map(|future| future.result_timeout(ZERO).expect("it came out, so it is done"))
        .collect()
}

/// Each part on a thread of its own, all at the same moment.
pub(crate) fn at_once(parts: Vec<Box<dyn FnOnce() + Send + '_>>) {
    let start = Barrier::new(parts.len());
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

// CPython: WaitTests::test_first_exception_some_already_complete
#[test]
fn wait_returns_or_waits_as_the_table_says() {
    // CPython: WaitTests::test_first_completed, test_first_completed_some_already_completed,
    // test_first_exception, test_first_exception_one_already_failed, test_all_completed
    type Make = fn() -> Number;
    let rows: [(Option<Make>, usize, [bool; 3]); 5] = [
        // done already     pending   FirstCompleted, FirstException, AllCompleted: returns?
        (None, 0, [true, true, true]),
        (Some(|| finished(7)), 2, [true, false, false]),
        (Some(failed), 2, [true, true, false]),
        (Some(cancelled), 2, [true, false, false]),
        (Some(|| finished(7)), 0, [true, true, true]),
    ];
    watchdog("a wait that is over", move || {
        for (row, (make, pending, returns)) in rows.into_iter().enumerate() {
            for (when, returns) in EVERY.into_iter().zip(returns) {
                let (promises, mut futures) = pairs(pending);
                futures.insert(pending / 2, make.map_or_else(cancelled, |make| make()));
                if make.is_none() {
                    futures.clear();
                }
                let ending = Arc::new(AtomicBool::new(returns));
                let waiter = thread::spawn({
                    let ending = ending.clone();
                    move || {
                        let waited = wait(futures, when);
                        assert!(ending.load(SeqCst), "row {row}, {when:?}: returned too early");
                        waited
                    }
                });
                if returns {
                    let Waited { done, not_done } = waiter.join().unwrap();
                    assert_eq!(
                        (done.len(), not_done.len()),
                        (usize::from(make.is_some()), pending),
                        "row {row}"
                    );
                } else {
                    (0..10).for_each(|_| thread::yield_now());
                    ending.store(true, SeqCst);
                    promises.into_iter().for_each(|promise| promise.complete(Ok(7)).unwrap());
                    let Waited { done, not_done } = waiter.join().unwrap();
                    assert_eq!((done.len(), not_done.len()), (3, 0), "row {row}, {when:?}");
                }
            }
        }
    });
}

#[test]
fn wait_returns_at_the_end_that_satisfies_it() {
    // CPython: WaitTests::test_first_completed, test_first_exception: the event comes while it
    // waits.
    watchdog("a wait that one end satisfies", || {
        let (promises, futures) = pairs(3);
        let waiter = thread::spawn(move || wait(futures, FirstCompleted));
        let mut promises = promises.into_iter();
        let mut first = promises.next().unwrap();
        assert!(first.start());
        first.complete(Ok(0)).unwrap();
        let Waited { done, not_done } = waiter.join().unwrap();
        assert_eq!((outcomes(done), not_done.len()), (vec![Ok(0)], 2));

        let waiter = thread::spawn(move || wait(not_done, FirstException));
        promises.next().unwrap().complete(Ok(1)).unwrap();
        promises.next().unwrap().complete(Err(boom())).unwrap();
        let Waited { done, not_done } = waiter.join().unwrap();
        assert_eq!((outcomes(done), not_done.len()), (vec![Ok(1), Err(boom())], 0));
    });
}

#[test]
fn cancel_satisfies_every_kind_of_wait() {
    // "cases a port needs": 1
    for when in EVERY {
        let waited = watchdog("a future cancelled before the wait", move || {
            wait([cancelled(), cancelled()], when).done.len()
        });
        assert_eq!(waited, 2, "{when:?}");
        watchdog("a task cancelled during the wait", move || {
            let (job, future) = task(PoolId::new(), || 7);
            let waiter = thread::spawn(move || wait([future], when));
            job.fail(Error::Cancelled);
            assert_eq!(outcomes(waiter.join().unwrap().done), [Err(Error::Cancelled)]);
        });
    }
    let outcome =
        watchdog("as_completed over a cancelled future", || outcomes(as_completed([cancelled()])));
    assert_eq!(outcome, [Err(Error::Cancelled)]);
}

#[test]
fn both_halves_keep_the_order_of_the_input() {
    for when in EVERY {
        let (mut promises, mut futures) = pairs(6);
        let all = ids(&futures);
        for (n, of) in [(5, 7), (3, 8), (1, 9)] {
            promises.remove(n).complete(Ok(of)).unwrap();
        }
        futures.rotate_left(1);
        let Waited { done, not_done } = wait_timeout(futures, when, ZERO);
        assert_eq!(ids(&done), [all[1], all[3], all[5]], "{when:?}");
        assert_eq!(ids(&not_done), [all[2], all[4], all[0]], "{when:?}");
    }
}

#[test]
fn i5_a_wait_that_is_over_by_time_leaves_the_futures_alone() {
    // CPython: WaitTests::test_timeout. I5
    for limit in [ZERO, Duration::from_nanos(1), Duration::from_millis(2)] {
        for when in EVERY {
            let (waiting, future) = promise();
            let futures =
                if when == FirstCompleted { vec![future] } else { vec![finished(0), future] };
            let Waited { done, not_done } =
                watchdog("a limit", move || wait_timeout(futures, when, limit));
            assert_eq!(
                (done.len(), not_done.len()),
                (usize::from(when != FirstCompleted), 1),
                "{when:?}, {limit:?}"
            );
            assert!(!not_done[0].is_cancelled());
            waiting.complete(Ok(7)).unwrap();
            assert_eq!(outcomes(not_done), [Ok(7)]);
        }
    }
}

#[test]
fn a_limit_without_end_is_no_limit() {
    // "cases a port needs": 13
    watchdog("waits that are as long as can be said", || {
        for when in EVERY {
            let (waiting, future) = promise();
            let waiter = thread::spawn(move || wait_timeout([future], when, Duration::MAX));
            waiting.complete(Ok(7)).unwrap();
            assert_eq!(outcomes(waiter.join().unwrap().done), [Ok(7)]);
        }
        let (waiting, future) = promise();
        let waiter = thread::spawn(move || as_completed([future]).within(Duration::MAX).next());
        waiting.complete(Ok(7)).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap().unwrap().result(), Ok(7));
    });
}

#[test]
fn no_futures_no_wait() {
    watchdog("nothing", || {
        for when in EVERY {
            let none = Vec::<Future<'static, ()>>::new;
            for Waited { done, not_done } in [
                wait(none(), when),
                wait_timeout(none(), when, ZERO),
                wait_timeout(none(), when, Duration::MAX),
            ] {
                assert!(done.is_empty() && not_done.is_empty());
            }
        }
        assert!(as_completed(Vec::<Future<'static, ()>>::new()).next().is_none());
        assert!(as_completed(Vec::<Future<'static, ()>>::new()).within(ZERO).next().is_none());
    });
}

// Types.

#[test]
fn who_may_go_to_another_thread() {
    fn sendable<T: Send>() {}
    fn shareable<T: Sync>() {}
    sendable::<AsCompleted<'static, std::cell::Cell<u8>>>();
    shareable::<AsCompleted<'static, std::cell::Cell<u8>>>();
    sendable::<Waited<'static, std::cell::Cell<u8>>>();
    sendable::<concurrent_explained::Within<'static, std::cell::Cell<u8>>>();
}

#[test]
fn an_iterator_shows_itself_without_the_values() {
    struct Silent;
    let (waiting, future) = promise();
    assert!(waiting.complete(Ok(Silent)).is_ok());
    let news = as_completed([future, promise().1]);
    let shown = format!("{news:?}");
    assert!(shown.contains("Future(Finished)") && shown.contains("Future(Failed)"), "{shown}");
    let shown = format!("{:?}", wait(news.into_unfinished(), AllCompleted));
    assert_eq!(shown, "Waited { done: [Future(Finished), Future(Failed)], not_done: [] }");
    let shown = format!("{:?}", as_completed([promise::<Silent>().1]).within(ZERO));
    assert!(shown.starts_with("Within("), "{shown}");
    let error: Box<dyn std::error::Error + Send + Sync> =
        Unfinished { unfinished: 2, total: 4 }.into();
    assert_eq!(error.to_string(), "2 of 4 unfinished");
}

// The answers to `Try`.

#[test]
fn try_1_a_limit_of_zero_sorts_what_there_is() {
    for when in EVERY {
        let (_waiting, pending) = promise();
        let Waited { done, not_done } =
            wait_timeout([finished(1), cancelled(), pending], when, ZERO);
        assert_eq!(
            outcomes(done),
            [Ok(1), Err(Error::Cancelled)],
            "{when:?}: all that is done, not the first only"
        );
        assert_eq!(not_done.len(), 1);
    }
}

/// The first value, or the error of the one that failed last. What is left is cancelled.
fn first_ok<T>(futures: Vec<Future<'_, T>>) -> Option<Result<T, Error>> {
    let mut news = as_completed(futures);
    let mut outcome = None;
    while !matches!(outcome, Some(Ok(_))) {
        let Some(future) = news.next() else { break };
        outcome = Some(future.result());
    }
    news.into_unfinished().iter().for_each(|future| _ = future.cancel());
    outcome
}

#[test]
fn try_3_the_first_value_and_no_more_work() {
    let (mut slow, left) = promise();
    assert_eq!(first_ok(vec![left, failed(), finished(7), finished(8)]), Some(Ok(7)));
    assert!(!slow.start(), "cancelled");
    assert_eq!(first_ok(vec![failed()]), Some(Err(boom())));
    assert_eq!(first_ok::<usize>(vec![]), None);
}
