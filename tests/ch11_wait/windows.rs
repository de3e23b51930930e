//! Ends, cancellations and leaving, each against the start of a wait.

use crate::*;
use std::sync::mpsc::channel;

#[test]
fn i2_a_hundred_futures_released_at_once_while_the_wait_starts() {
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
                0 => assert_eq!(wait(futures, AllCompleted).done.len(), 100),
                1 => assert_eq!(wait(futures, FirstException).done.len(), 100),
                _ => assert_eq!(as_completed(futures).count(), 100),
            }));
            at_once(parts);
        }
    });
}

#[test]
fn i2_one_end_against_the_start_of_a_wait() {
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
                    _ => assert_eq!(wait([future], EVERY[round % 3]).done.len(), 1),
                }),
            ]);
        }
    });
}

#[test]
fn cancel_against_wait() {
    watchdog("a cancellation in the window", || {
        for round in 0..1_000 {
            let (job, future) = task(PoolId::new(), || 7);
            let (other_job, other) = task(PoolId::new(), || 8);
            at_once(vec![
                Box::new(move || job.fail(Error::Cancelled)),
                Box::new(move || other_job.run(&|| ())),
                Box::new(move || {
                    let done = wait([future, other], EVERY[1 + round % 2]).done;
                    assert_eq!(outcomes(done), [Err(Error::Cancelled), Ok(8)]);
                }),
            ]);
        }
    });
}

#[test]
fn i4_ends_against_the_drop_of_the_iterator() {
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
            assert_eq!(outcomes(wait([future], AllCompleted).done), [Ok(7)]);
        }
    });
}

// Try 2: the future that ends between the two steps writes to nobody. It takes an end within some
// nanoseconds, so only tests that offer it many hang: `i2_…` (both), `try_2_…` and
// `cancel_against_wait`. Others are red for one question too many, such as `i1_what_was_done_…`.
#[test]
fn try_2_every_end_is_heard_even_in_the_window() {
    watchdog("an end in the window", || {
        for _ in 0..3_000 {
            let (promises, futures) = pairs(3);
            at_once(vec![
                Box::new(move || {
                    promises.into_iter().rev().for_each(|promise| promise.complete(Ok(7)).unwrap())
                }),
                Box::new(move || assert_eq!(as_completed(futures).count(), 3)),
            ]);
        }
    });
}
