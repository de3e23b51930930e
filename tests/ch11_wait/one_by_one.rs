//! `as_completed`: order, deadlines, what is left.

use crate::*;
use std::collections::HashMap;

#[test]
fn i1_every_future_comes_out_once_however_it_ended() {
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
fn i1_finished_ones_come_first_in_input_order_then_the_others_as_they_end() {
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
    assert_eq!(left.iter().map(Future::is_done).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_deadline_that_is_met_reports_nothing() {
    let mut news = as_completed([finished(1), failed()]).within(ZERO);
    assert_eq!(news.next().unwrap().unwrap().result(), Ok(1));
    assert_eq!(news.next().unwrap().unwrap().result(), Err(boom()));
    assert!(news.next().is_none() && news.next().is_none());
}

#[test]
fn i6_what_is_done_comes_out_after_the_deadline_too() {
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
fn i6_the_limit_counts_from_the_call_of_as_completed() {
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
fn i5_leftovers_can_be_taken_back_at_any_time() {
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
    assert!(left.iter().all(|future| !future.is_cancelled()));
    promises.clear();
    more.remove(0).complete(Ok(8)).unwrap();
    assert!(left[0].is_done() && !left[1].is_done(), "they live on");
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
