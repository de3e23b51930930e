//! Deadlines, and the other ends of a map.

use crate::*;

// CPython: ExecutorTest::test_map_timeout
#[test]
fn i5_what_is_done_comes_out_after_the_deadline_and_the_first_that_is_not_ends_it() {
    watchdog("a map past its deadline", || {
        let (mut promises, futures): (Vec<Promise<u32>>, Vec<_>) =
            (0..5).map(|_| promise()).unzip();
        let mut pop = || promises.pop().unwrap();
        let (fifth, mut fourth, third) = (pop(), pop(), pop());
        for (n, promise) in (0..).zip(promises) {
            promise.complete(Ok(n)).unwrap();
        }
        assert!(fourth.start());
        fifth.complete(Ok(4)).unwrap();
        let mut outcomes = map(futures, |future| future).within(ZERO);
        assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok(0)), Some(Ok(1))));
        assert_eq!(outcomes.next(), Some(Err(Error::TooLate)));
        assert_eq!(
            (outcomes.next(), outcomes.next()),
            (None, None),
            "not even the fifth, which is done"
        );
        assert_eq!(third.complete(Ok(2)), Err(Ok(2)), "the one waited for was cancelled");
        assert_eq!(fourth.complete(Ok(3)), Ok(()), "the one that ran was not");
    });
}

#[test]
fn i5_a_deadline_of_zero_on_a_busy_pool_lets_no_task_run() {
    // CPython: ThreadPoolExecutorTest::test_executor_map_current_future_cancel
    watchdog("a map on a busy pool", || {
        let (pool, gate, running) = blocked();
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |_| {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, SeqCst))
        };
        let outcomes: Vec<_> = map(0..2, count).within(ZERO).collect();
        assert_eq!(outcomes, [Err(Error::TooLate)]);
        let chunked =
            map_chunked(2, 0..3, |chunk| pool.spawn(move || each(chunk, |n| n))).within(ZERO);
        assert_eq!(chunked.collect::<Vec<_>>(), [Err(Error::TooLate), Err(Error::TooLate)]);
        gate.open();
        pool.shutdown();
        assert_eq!((running.result(), ran.load(SeqCst)), (Ok(()), 0));
    });
}

#[test]
fn i5_the_deadline_counts_from_the_call_and_may_be_endless() {
    watchdog("maps with deadlines", || {
        // Were the limit counted from `within`, no attempt could be shorter than the limit.
        let limit = Duration::from_millis(20);
        let attempt = || {
            let (_never, future) = promise::<()>();
            let outcomes = map([future], |future| future);
            let called = Instant::now();
            until("the limit is over", || called.elapsed() > limit);
            let asked = Instant::now();
            assert!(outcomes.within(limit).eq([Err(Error::TooLate)]));
            asked.elapsed() < limit
        };
        until("an attempt that did not wait again", attempt);
        let pool = pool(1);
        let endless = map(0..3, |n| pool.spawn(move || n)).within(Duration::MAX);
        assert!(endless.eq((0..3).map(Ok)));
    });
}

#[test]
fn a_window_past_its_deadline_pulls_nothing_more() {
    watchdog("an endless map past its deadline", || {
        let (pool, gate, _running) = blocked();
        let pulled = Cell::new(0);
        let endless = (0..).inspect(|_| pulled.set(pulled.get() + 1));
        let outcomes = map_windowed(3, endless, |n: u32| pool.spawn(move || n)).within(ZERO);
        assert!(outcomes.eq([Err(Error::TooLate)]));
        assert_eq!(pulled.get(), 3);
        gate.open();
    });
}

#[test]
fn a_task_that_says_too_late_itself_is_an_error_like_any_other() {
    // CPython: ExecutorTest::test_map_timeout_from_callable
    watchdog("a task that reports a deadline of its own", || {
        for limit in [None, Some(Duration::MAX)] {
            let (promises, futures): (Vec<Promise<u32>>, Vec<_>) =
                (0..3).map(|_| promise()).unzip();
            let outcomes = map(futures, |future| future);
            let outcomes = match limit {
                Some(limit) => outcomes.within(limit),
                None => outcomes,
            };
            let late: Vec<_> = vec![Ok(0), Err(Error::TooLate), Ok(2)];
            for (promise, outcome) in promises.into_iter().zip(late.clone()) {
                promise.complete(outcome).unwrap();
            }
            assert!(outcomes.eq(late));
        }
    });
}

#[test]
fn i6_close_ends_the_iteration_in_the_middle_of_a_chunk_too() {
    // CPython: ExecutorTest::test_map_close
    watchdog("closed maps", || {
        let pool = pool(1);
        let mut outcomes = map(0..10, |n| pool.spawn(move || n));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        outcomes.close();
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
        let mut outcomes = map_windowed(2, 0.., |n| pool.spawn(move || n));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        outcomes.close();
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
        let mut outcomes = map_chunked(3, 0..10, |chunk| pool.spawn(move || each(chunk, |n| n)));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        outcomes.close();
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
    });
}

#[test]
fn i6_dropping_or_closing_cancels_what_has_not_started_advanced_or_not() {
    watchdog("maps that end early", || {
        for advance in [false, true] {
            for close in [false, true] {
                let (pool, gate, captured) = (pool(1), Gate::default(), Arc::new(()));
                let ran = Arc::new(AtomicUsize::new(0));
                let submit = |n: usize| {
                    let (gate, ran, captured) = (gate.clone(), ran.clone(), captured.clone());
                    pool.spawn(move || {
                        ran.fetch_add(1, SeqCst);
                        if n > 0 {
                            gate.pass();
                        }
                        drop(captured);
                    })
                };
                let mut outcomes = map(0..10, submit);
                if advance {
                    assert_eq!(outcomes.next(), Some(Ok(())));
                }
                until("the second has begun", || ran.load(SeqCst) == 2);
                if close {
                    outcomes.close()
                } else {
                    drop(outcomes)
                }
                assert!(
                    Arc::strong_count(&captured) <= 2,
                    "all work but the one that runs is gone"
                );
                gate.open();
                pool.shutdown();
                assert_eq!(ran.load(SeqCst), 2);
            }
        }
    });
}

#[test]
fn i7_an_outcome_once_yielded_belongs_to_the_caller_alone() {
    // CPython: ExecutorTest::test_free_reference
    watchdog("tokens", || {
        let pool = pool(2);
        for outcome in map(0..10, |_| pool.spawn(|| Arc::new(()))) {
            assert_eq!(Arc::strong_count(&outcome.unwrap()), 1);
        }
        for outcome in map_windowed(3, 0..10, |_| pool.spawn(|| Arc::new(()))) {
            assert_eq!(Arc::strong_count(&outcome.unwrap()), 1);
        }
        for outcome in
            map_chunked(3, 0..10, |chunk| pool.spawn(move || each(chunk, |_| Arc::new(()))))
        {
            assert_eq!(Arc::strong_count(&outcome.unwrap()), 1);
        }
    });
}

#[test]
fn an_input_that_panics_cancels_what_was_submitted_before_it() {
    watchdog("an input that panics in the call", || {
        let (pool, gate, running) = blocked();
        let captured = Arc::new(());
        let inputs = || {
            (0..10).inspect(|&n| {
                if n == 3 {
                    quiet_panic("the input")
                }
            })
        };
        let whole = || {
            drop(map(inputs(), |_| {
                let captured = captured.clone();
                pool.spawn(move || drop(captured))
            }))
        };
        let chunked = || {
            drop(map_chunked(2, inputs(), |_| {
                let captured = captured.clone();
                pool.spawn(move || vec![Ok(captured)])
            }))
        };
        for map in [&whole as &dyn Fn(), &chunked] {
            let panic = catch_unwind(AssertUnwindSafe(map));
            assert_eq!(*panic.unwrap_err().downcast::<String>().unwrap(), "the input");
            assert_eq!(Arc::strong_count(&captured), 1, "cancelled while the worker was busy");
        }
        gate.open();
        assert_eq!(running.result(), Ok(()));
    });
}

#[test]
fn an_input_that_panics_later_is_the_last_and_what_is_under_way_still_comes() {
    watchdog("an input that panics in `next`", || {
        let pool = pool(1);
        let inputs = (0..10).inspect(|&n| {
            if n == 3 {
                quiet_panic("the input")
            }
        });
        let mut outcomes = map_windowed(2, inputs, |n| pool.spawn(move || n));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        assert!(catch_unwind(AssertUnwindSafe(|| outcomes.next())).is_err());
        assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok(2)), None));
    });
}
