//! Chapter 11: each cell of the table, each invariant, CPython's `wait` and `as_completed` cases,
//! the windows between threads, and the solutions to `Try`.

mod support;

use concurrent_explained::ReturnWhen::{AllCompleted, FirstCompleted, FirstException};
use concurrent_explained::ch10_future::{Awaited, Home, Job, Slot, Watcher, task};
use concurrent_explained::{
    AsCompleted, Error, Future, Promise, Queue, ReturnWhen, ThreadPool, Unfinished, Waited,
};
use concurrent_explained::{as_completed, promise, wait};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::{until, watchdog};

const ZERO: Duration = Duration::ZERO;
const EVERY: [ReturnWhen; 3] = [FirstCompleted, FirstException, AllCompleted];

type Number = Future<'static, usize>;

fn boom() -> Error {
    Error::Broken { cause: "boom".into() }
}

fn finished(value: usize) -> Number {
    let (waiting, future) = promise();
    waiting.complete(Ok(value)).unwrap();
    future
}

fn failed() -> Number {
    let (waiting, future) = promise();
    waiting.complete(Err(boom())).unwrap();
    future
}

fn cancelled() -> Number {
    let (_waiting, future) = promise();
    assert!(future.cancel());
    future
}

fn pairs(count: usize) -> (Vec<Promise<usize>>, Vec<Number>) {
    (0..count).map(|_| promise()).unzip()
}

fn ids(futures: &[Number]) -> Vec<usize> {
    futures.iter().map(Future::id).collect()
}

/// The outcomes of futures that are done.
fn outcomes(futures: impl IntoIterator<Item = Number>) -> Vec<Result<usize, Error>> {
    futures
        .into_iter()
        .map(|future| future.result_timeout(ZERO).expect("it came out, so it is done"))
        .collect()
}

/// Each part on a thread of its own, all at the same moment.
fn at_once(parts: Vec<Box<dyn FnOnce() + Send + '_>>) {
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

// ---- The table: `wait` returns, or waits.

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
                        let waited = wait(futures, when, None);
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
        let waiter = thread::spawn(move || wait(futures, FirstCompleted, None));
        let mut promises = promises.into_iter();
        let mut first = promises.next().unwrap();
        assert!(first.start());
        first.complete(Ok(0)).unwrap();
        let Waited { done, not_done } = waiter.join().unwrap();
        assert_eq!((outcomes(done), not_done.len()), (vec![Ok(0)], 2));

        let waiter = thread::spawn(move || wait(not_done, FirstException, None));
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
            wait([cancelled(), cancelled()], when, None).done.len()
        });
        assert_eq!(waited, 2, "{when:?}");
        watchdog("a task cancelled during the wait", move || {
            let (job, future) = task(Home::new(), || 7);
            let waiter = thread::spawn(move || wait([future], when, None));
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
        let Waited { done, not_done } = wait(futures, when, Some(ZERO));
        assert_eq!(ids(&done), [all[1], all[3], all[5]], "{when:?}");
        assert_eq!(ids(&not_done), [all[2], all[4], all[0]], "{when:?}");
    }
}

#[test]
fn a_wait_that_is_over_by_time_leaves_the_futures_alone() {
    // CPython: WaitTests::test_timeout. I5
    for limit in [ZERO, Duration::from_nanos(1), Duration::from_millis(2)] {
        for when in EVERY {
            let (waiting, future) = promise();
            let futures =
                if when == FirstCompleted { vec![future] } else { vec![finished(0), future] };
            let Waited { done, not_done } =
                watchdog("a limit", move || wait(futures, when, Some(limit)));
            assert_eq!(
                (done.len(), not_done.len()),
                (usize::from(when != FirstCompleted), 1),
                "{when:?}, {limit:?}"
            );
            assert!(!not_done[0].cancelled());
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
            let waiter = thread::spawn(move || wait([future], when, Some(Duration::MAX)));
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
            for limit in [None, Some(ZERO), Some(Duration::MAX)] {
                let Waited { done, not_done } =
                    wait(Vec::<Future<'static, ()>>::new(), when, limit);
                assert!(done.is_empty() && not_done.is_empty());
            }
        }
        assert!(as_completed(Vec::<Future<'static, ()>>::new()).next().is_none());
        assert!(as_completed(Vec::<Future<'static, ()>>::new()).within(ZERO).next().is_none());
    });
}

// ---- as_completed.

#[test]
fn every_future_comes_out_once_however_it_ended() {
    // CPython: AsCompletedTests::test_no_timeout. I1. test_duplicate_futures: a future has one
    // owner and cannot be in the input twice; any iterable, one-shot or not, is accepted.
    let (waiting, live) = promise();
    let one_shot = [cancelled(), failed(), finished(1), live].into_iter();
    let news = as_completed(one_shot);
    waiting.complete(Ok(2)).unwrap();
    let came = watchdog("four ends", || outcomes(news));
    assert_eq!(came, [Err(Error::Cancelled), Err(boom()), Ok(1), Ok(2)]);
}

#[test]
fn finished_ones_come_first_in_input_order_then_the_others_as_they_end() {
    // I1
    let (promises, futures) = pairs(8);
    let all = ids(&futures);
    let mut promises: Vec<_> = promises.into_iter().map(Some).collect();
    let mut end = |n: usize| promises[n].take().unwrap().complete(Ok(n)).unwrap();
    [6, 4, 1].into_iter().for_each(&mut end);
    let mut news = as_completed(futures);
    [7, 0, 3].into_iter().for_each(&mut end);
    let (came, left) = watchdog("six of eight", move || {
        let came: Vec<_> = news.by_ref().take(6).map(|future| future.id()).collect();
        (came, ids(&news.into_unfinished()))
    });
    assert_eq!(came, [1, 4, 6, 7, 0, 3].map(|n| all[n]));
    assert_eq!(left, [2, 5].map(|n| all[n]));
}

#[test]
fn what_was_done_at_the_call_precedes_what_ends_during_it() {
    // I1: the last of the input, done before, against the first, which ends while the input is
    // looked through.
    let (waiting, first) = promise();
    let (asked, second) = asked_then(move || waiting.complete(Ok(0)).unwrap());
    let mut news = as_completed([first, second, finished(2)]);
    let came: Vec<_> = news.by_ref().take(2).map(|future| future.result().unwrap()).collect();
    assert_eq!((came, asked.times.load(SeqCst)), (vec![2, 0], 1));
}

#[test]
fn the_loop_may_complete_the_next_one() {
    // CPython: AsCompletedTests::test_free_reference_yielded_future
    let values = watchdog("futures completed one at a time from the loop", || {
        let (promises, futures): (Vec<_>, Vec<_>) =
            (0..10).map(|_| promise::<Arc<usize>>()).unzip();
        let mut promises = promises.into_iter();
        promises.next().unwrap().complete(Ok(Arc::new(0))).unwrap();
        let mut values = Vec::new();
        for future in as_completed(futures) {
            let value = future.result().unwrap();
            assert_eq!(Arc::strong_count(&value), 1, "nothing holds what came out");
            values.push(*value);
            if let Some(next) = promises.next() {
                next.complete(Ok(Arc::new(values.len()))).unwrap();
            }
        }
        values
    });
    assert_eq!(values, (0..10).collect::<Vec<_>>());
}

#[test]
fn callbacks_have_run_when_a_future_comes_out() {
    watchdog("ends with callbacks", || {
        for _ in 0..500 {
            let (waiting, future) = promise::<usize>();
            let ran = Arc::new(AtomicBool::new(false));
            future.add_done_callback({
                let ran = ran.clone();
                move |_| {
                    thread::yield_now();
                    ran.store(true, SeqCst);
                }
            });
            let worker = thread::spawn(move || waiting.complete(Ok(7)).unwrap());
            assert_eq!(as_completed([future]).count(), 1);
            assert!(ran.load(SeqCst));
            worker.join().unwrap();
        }
    });
}

// CPython: AsCompletedTests::test_future_times_out, test_correct_timeout_exception_msg
#[test]
fn a_deadline_reports_once_how_many_are_unfinished() {
    let (mut promises, futures) = pairs(4);
    let all = ids(&futures);
    promises.remove(2).complete(Ok(2)).unwrap();
    promises.remove(0).complete(Ok(0)).unwrap();
    let mut news = as_completed(futures).within(ZERO);
    assert_eq!(news.next().unwrap().unwrap().id(), all[0]);
    assert_eq!(news.next().unwrap().unwrap().id(), all[2]);
    let error = news.next().unwrap().unwrap_err();
    assert_eq!(error, Unfinished { unfinished: 2, total: 4 });
    assert_eq!(error.to_string(), "2 of 4 unfinished");
    assert!(news.next().is_none() && news.next().is_none());
    promises.remove(0).complete(Ok(1)).unwrap();
    assert!(news.next().is_none(), "it has ended");
    let left = news.into_unfinished();
    assert_eq!(ids(&left), [all[1], all[3]], "in input order, whether done by now or not");
    assert_eq!(left.iter().map(Future::done).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_deadline_that_is_met_reports_nothing() {
    let mut news = as_completed([finished(1), failed()]).within(ZERO);
    assert_eq!(news.next().unwrap().unwrap().result(), Ok(1));
    assert_eq!(news.next().unwrap().unwrap().result(), Err(boom()));
    assert!(news.next().is_none() && news.next().is_none());
}

#[test]
fn what_is_done_comes_out_after_the_deadline_too() {
    // "cases a port needs": 6
    let (mut promises, futures) = pairs(3);
    let limit = Duration::from_millis(1);
    let mut news = as_completed(futures).within(limit);
    let called = Instant::now();
    promises.remove(1).complete(Ok(1)).unwrap();
    until("the limit is over", || called.elapsed() > limit);
    promises.remove(0).complete(Ok(0)).unwrap();
    assert_eq!(news.next().unwrap().unwrap().result(), Ok(1));
    assert_eq!(news.next().unwrap().unwrap().result(), Ok(0));
    assert_eq!(news.next().unwrap().unwrap_err(), Unfinished { unfinished: 1, total: 3 });
}

#[test]
fn the_limit_counts_from_the_call_of_as_completed() {
    // "cases a port needs": 6. Time is the subject: one attempt without a stall of the machine is
    // enough.
    let limit = Duration::from_millis(50);
    let attempt = |_| {
        let (_waiting, future) = promise::<()>();
        let called = Instant::now();
        let news = as_completed(std::iter::once_with(|| {
            until("the limit is over while the input is read", || called.elapsed() > limit);
            future
        }));
        let asked = Instant::now();
        assert!(news.within(limit).next().unwrap().is_err());
        asked.elapsed() < limit
    };
    assert!((0..10).any(attempt), "it waited for the limit once more");
}

#[test]
fn leftovers_can_be_taken_back_at_any_time() {
    // I5
    let (mut promises, futures) = pairs(3);
    let all = ids(&futures);
    assert_eq!(ids(&as_completed(futures).into_unfinished()), all, "before the first came out");
    let (mut more, futures) = pairs(3);
    more.remove(1).complete(Ok(7)).unwrap();
    let all = ids(&futures);
    let mut news = as_completed(futures);
    assert_eq!(news.next().unwrap().id(), all[1]);
    let left = news.into_unfinished();
    assert_eq!(ids(&left), [all[0], all[2]]);
    assert!(left.iter().all(|future| !future.cancelled()));
    promises.clear();
    more.remove(0).complete(Ok(8)).unwrap();
    assert!(left[0].done() && !left[1].done(), "they live on");
}

#[test]
fn after_the_last_it_stays_at_the_end() {
    let mut news = as_completed([finished(1)]);
    assert!(news.next().is_some() && news.next().is_none() && news.next().is_none());
    assert!(news.into_unfinished().is_empty());
}

#[test]
fn a_caller_knows_by_the_id_which_future_came_out() {
    let (mut promises, futures) = pairs(3);
    let names: HashMap<_, _> = ids(&futures).into_iter().zip(["a", "b", "c"]).collect();
    promises.remove(1).complete(Err(boom())).unwrap();
    let mut news = as_completed(futures);
    assert_eq!(names[&news.next().unwrap().id()], "b");
    drop(promises.pop());
    assert_eq!(names[&news.next().unwrap().id()], "c");
}

// ---- Nothing is left behind (I4).

/// A promise whose future counts how often it is asked.
struct Asked {
    slot: Slot<'static, usize>,
    times: AtomicUsize,
    /// What to do when it is asked for the first time.
    first: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Awaited<'static, usize> for Asked {
    fn slot(&self) -> &Slot<'static, usize> {
        self.times.fetch_add(1, SeqCst);
        let first = self.first.lock().unwrap().take();
        first.into_iter().for_each(|act| act());
        &self.slot
    }
}

fn asked_then(first: impl FnOnce() + Send + 'static) -> (Arc<Asked>, Number) {
    let first = Mutex::new(Some(Box::new(first) as _));
    let asked = Arc::new(Asked { slot: Slot::default(), times: AtomicUsize::new(0), first });
    (asked.clone(), Future::new(asked))
}

fn asked() -> (Arc<Asked>, Number) {
    asked_then(|| {})
}

#[test]
fn whoever_stops_waiting_unwatches_on_every_way_out() {
    // I4. To watch is one question, to unwatch another; that `unwatch` forgets is a test of chapter
    // 08.
    type Stop = fn(AsCompleted<'static, usize>);
    let stop: [(&str, Stop); 4] = [
        ("drop", drop),
        ("take back", |news| std::mem::forget(news.into_unfinished())),
        ("drop with a deadline", |news| drop(news.within(ZERO))),
        ("take back after a deadline", |news| {
            let mut news = news.within(ZERO);
            assert!(news.next().unwrap().is_err());
            std::mem::forget(news.into_unfinished());
        }),
    ];
    for (name, stop) in stop {
        let (asked, future) = asked();
        let news = as_completed([future]);
        assert_eq!(asked.times.swap(0, SeqCst), 1, "{name}: watched");
        stop(news);
        let drop_of_the_future = usize::from(name.starts_with("drop"));
        assert_eq!(asked.times.load(SeqCst), 1 + drop_of_the_future, "{name}: unwatched");
    }
}

#[test]
fn one_end_costs_the_same_however_many_wait() {
    // I3, I4: a future that stays is asked three times in each round (watch, unwatch, done), and by
    // the ends of others not at all.
    let (asked, stays) = asked();
    let mut left = vec![stays];
    for round in 0..1_000 {
        left.insert(round % 2, finished(round));
        let Waited { done, not_done } = wait(left, FirstCompleted, None);
        assert_eq!(outcomes(done), [Ok(round)]);
        left = not_done;
    }
    assert_eq!(asked.times.swap(0, SeqCst), 3_000);
    let (promises, mut futures) = pairs(1_000);
    futures.append(&mut left);
    let mut news = as_completed(futures);
    promises.into_iter().for_each(|promise| promise.complete(Ok(7)).unwrap());
    assert_eq!(news.by_ref().take(1_000).count(), 1_000);
    assert_eq!(asked.times.load(SeqCst), 1, "watched, and then left in peace");
}

#[test]
fn an_end_that_comes_after_everybody_left_finds_nobody() {
    let (waiting, future) = promise();
    drop(as_completed([future]));
    assert_eq!(waiting.complete(Ok(7)), Ok(()));
    // A queue of keys that was closed by its owner is a reader who has left, too.
    let (waiting, future) = promise::<usize>();
    let news: Arc<Queue<usize>> = Arc::default();
    assert!(future.watch(news.clone() as Arc<dyn Watcher>, 0));
    news.close();
    waiting.complete(Ok(7)).unwrap();
    assert_eq!(future.result(), Ok(7));
}

// ---- On a worker: unstarted work is done by whoever waits for it.

type Tasks = (Vec<Arc<dyn Job>>, Vec<Number>);

/// Tasks at the home of this thread that nobody else will ever start.
fn unstarted(count: usize) -> Tasks {
    let home = Home::new();
    home.settle();
    let (jobs, futures): Tasks = (0..count).map(|n| task(home, move || n)).unzip();
    (jobs, futures)
}

#[test]
fn a_worker_that_waits_does_the_work_itself() {
    watchdog("work that only the waiter can do", || {
        for when in EVERY {
            let (_jobs, futures) = unstarted(3);
            let Waited { done, not_done } = wait(futures, when, None);
            let enough = if when == FirstCompleted { 1 } else { 3 };
            assert_eq!(
                (done.len(), not_done.len()),
                (enough, 3 - enough),
                "{when:?}: no more than needed"
            );
        }
        let (jobs, futures) = unstarted(3);
        let mut news = as_completed(futures);
        for n in 0..3 {
            let begun = jobs.iter().filter(|job| job.is_settled()).count();
            assert_eq!(begun, n, "one at a time, when it is asked for");
            assert_eq!(news.next().unwrap().result(), Ok(n));
        }
        let (_jobs, futures) = unstarted(3);
        assert_eq!(as_completed(futures).within(Duration::MAX).count(), 3);
    });
}

#[test]
fn a_worker_with_a_limit_does_no_work() {
    watchdog("a limit on a worker", || {
        for when in EVERY {
            let (_jobs, futures) = unstarted(3);
            assert_eq!(wait(futures, when, Some(ZERO)).not_done.len(), 3, "{when:?}");
        }
        let (_jobs, futures) = unstarted(3);
        let error = as_completed(futures).within(ZERO).next().unwrap().unwrap_err();
        assert_eq!(error, Unfinished { unfinished: 3, total: 3 });
    });
}

#[test]
fn a_worker_begins_what_it_can_before_it_sleeps() {
    watchdog("a future that only the last task of the list completes", || {
        for when in [FirstException, AllCompleted] {
            let home = Home::new();
            home.settle();
            let (waiting, first) = promise();
            let (_job, last) = task(home, move || waiting.complete(Ok(7)).map_or(0, |()| 8));
            assert_eq!(outcomes(wait([first, last], when, None).done), [Ok(7), Ok(8)]);
        }
    });
}

#[test]
fn futures_of_several_pools_and_promises_mix() {
    watchdog("two pools, a promise and a wait inside a pool of one", || {
        let (one, two) = (ThreadPool::new(1).unwrap(), ThreadPool::new(2).unwrap());
        let (waiting, by_hand) = promise();
        let mixed = [one.spawn(|| 1), by_hand, two.spawn(|| 2), two.spawn(|| 3), one.spawn(|| 4)];
        waiting.complete(Ok(5)).unwrap();
        let mut sum: Vec<usize> =
            as_completed(mixed).map(|future| future.result().unwrap()).collect();
        sum.sort_unstable();
        assert_eq!(sum, [1, 2, 3, 4, 5]);

        let one = Arc::new(one);
        let nested = one.spawn({
            let one = one.clone();
            move || {
                let spawn = |n| (0..n).map(|n| one.spawn(move || n)).collect::<Vec<Number>>();
                let all = wait(spawn(5), AllCompleted, None).done.len();
                let first = wait(spawn(5), FirstCompleted, None).done.len();
                (all, first, as_completed(spawn(5)).count())
            }
        });
        assert_eq!(nested.result(), Ok((5, 1, 5)));
    });
}

// ---- Many.

const MANY: usize = 100_000;

#[test]
fn a_hundred_thousand_futures() {
    // I3: with a cost per end that grows with the number of futures, this takes minutes.
    watchdog("a hundred thousand ends", || {
        for when in EVERY {
            let (mut promises, futures) = pairs(MANY);
            let last = promises.pop().unwrap();
            let worker = thread::spawn(move || {
                promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap());
                last.complete(Err(boom())).unwrap();
            });
            let Waited { done, not_done } = wait(futures, when, None);
            assert_eq!(done.len() + not_done.len(), MANY);
            assert!(!done.is_empty() && (when == FirstCompleted || not_done.is_empty()));
            worker.join().unwrap();
        }
        let (promises, futures) = pairs(MANY);
        let worker = thread::spawn(move || {
            promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap());
        });
        let sum: usize = as_completed(futures).map(|future| future.result().unwrap()).sum();
        assert_eq!(sum, MANY);
        worker.join().unwrap();
    });
}

// ---- The windows ("cases a port needs": 17).

#[test]
fn a_hundred_futures_released_at_once_while_the_wait_starts() {
    // CPython: ThreadPoolWaitTests::test_pending_calls_race. I2
    watchdog("a hundred ends in the window", || {
        for round in 0..150 {
            let (mut promises, futures) = pairs(100);
            let mut parts: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
            for n in 0..4 {
                let quarter = promises.split_off(promises.len() - 25);
                parts.push(Box::new(move || {
                    quarter.into_iter().for_each(|promise| promise.complete(Ok(n)).unwrap())
                }));
            }
            parts.push(Box::new(move || match round % 3 {
                0 => assert_eq!(wait(futures, AllCompleted, None).done.len(), 100),
                1 => assert_eq!(wait(futures, FirstException, None).done.len(), 100),
                _ => assert_eq!(as_completed(futures).count(), 100),
            }));
            at_once(parts);
        }
    });
}

#[test]
fn one_end_against_the_start_of_a_wait() {
    // I2: the window of the first trap
    watchdog("an end between the question and the watch", || {
        for round in 0..2_000 {
            let (waiting, future) = promise();
            at_once(vec![
                Box::new(move || match round % 4 {
                    0 => drop(waiting),
                    _ => waiting.complete(Ok(7)).unwrap(),
                }),
                Box::new(move || match round % 2 {
                    0 => assert_eq!(as_completed([future]).count(), 1),
                    _ => assert_eq!(wait([future], EVERY[round % 3], None).done.len(), 1),
                }),
            ]);
        }
    });
}

#[test]
fn cancel_against_wait() {
    watchdog("a cancellation in the window", || {
        for round in 0..1_000 {
            let (job, future) = task(Home::new(), || 7);
            let (other_job, other) = task(Home::new(), || 8);
            at_once(vec![
                Box::new(move || job.fail(Error::Cancelled)),
                Box::new(move || other_job.run(None)),
                Box::new(move || {
                    let done = wait([future, other], EVERY[1 + round % 2], None).done;
                    assert_eq!(outcomes(done), [Err(Error::Cancelled), Ok(8)]);
                }),
            ]);
        }
    });
}

#[test]
fn ends_against_the_drop_of_the_iterator() {
    // I4
    watchdog("an iterator dropped in the window", || {
        for _ in 0..1_000 {
            let (promises, futures) = pairs(4);
            let mut news = as_completed(futures);
            at_once(vec![
                Box::new(move || {
                    promises.into_iter().for_each(|promise| promise.complete(Ok(7)).unwrap())
                }),
                Box::new(move || {
                    assert!(news.next().is_some());
                    assert!(news.into_unfinished().len() == 3);
                }),
            ]);
        }
    });
}

#[test]
fn one_future_awaited_from_many_threads() {
    // One owner at a time hands it to `wait`; everybody else shares it. Both kinds of waiters are
    // released.
    watchdog("waiters of all kinds", || {
        for _ in 0..200 {
            let (waiting, future) = promise::<usize>();
            let future = Arc::new(future);
            let (sender, receiver) = channel();
            future.add_done_callback(move |outcome| sender.send(outcome.clone()).unwrap());
            let mut parts: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
            for _ in 0..3 {
                let future = future.clone();
                parts.push(Box::new(move || assert!(future.wait_timeout(Duration::MAX))));
            }
            parts.push(Box::new(move || waiting.complete(Ok(7)).unwrap()));
            at_once(parts);
            assert_eq!(receiver.try_recv(), Ok(Ok(7)));
            let future = Arc::into_inner(future).expect("the last owner");
            assert_eq!(outcomes(wait([future], AllCompleted, None).done), [Ok(7)]);
        }
    });
}

// ---- Types.

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
    let shown = format!("{:?}", wait(news.into_unfinished(), AllCompleted, None));
    assert_eq!(shown, "Waited { done: [Future(Finished), Future(Failed)], not_done: [] }");
    let shown = format!("{:?}", as_completed([promise::<Silent>().1]).within(ZERO));
    assert!(shown.starts_with("Within("), "{shown}");
    let error: Box<dyn std::error::Error + Send + Sync> =
        Unfinished { unfinished: 2, total: 4 }.into();
    assert_eq!(error.to_string(), "2 of 4 unfinished");
}

// ---- Try.

#[test]
fn solution_to_try_1() {
    for when in EVERY {
        let (_waiting, pending) = promise();
        let Waited { done, not_done } = wait([finished(1), cancelled(), pending], when, Some(ZERO));
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
fn solution_to_try_3() {
    let (mut slow, left) = promise();
    assert_eq!(first_ok(vec![left, failed(), finished(7), finished(8)]), Some(Ok(7)));
    assert!(!slow.start(), "cancelled");
    assert_eq!(first_ok(vec![failed()]), Some(Err(boom())));
    assert_eq!(first_ok::<usize>(vec![]), None);
}
