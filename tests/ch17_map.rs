//! Chapter 17: each row of the table, each invariant, CPython's cases, and the answers to `Try`.

mod support;

use std::cell::Cell;
use std::iter;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use concurrent_explained::{
    Error, Future, Promise, ThreadPool, each, map, map_chunked, map_windowed, promise, scope,
};
use support::{Gate, until, watchdog};

const ZERO: Duration = Duration::ZERO;

fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn pool(workers: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPool::new(workers).unwrap())
}

/// A pool of one whose worker is blocked until the gate opens.
fn blocked() -> (Arc<ThreadPool>, Gate, Future<'static, ()>) {
    let (pool, gate) = (pool(1), Gate::default());
    let passing = gate.clone();
    let running = pool.spawn(move || passing.pass());
    until("the task has begun", || running.is_running());
    (pool, gate, running)
}

/// A panic without the message on standard error.
fn quiet_panic(message: &str) -> ! {
    resume_unwind(Box::new(message.to_owned()))
}

fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

// Order, errors, one outcome for each input.

#[test]
fn map_gives_what_the_serial_map_gives() {
    // I1. CPython: ExecutorTest::test_map
    watchdog("a thousand squares", || {
        let (pool, serial) = (pool(2), (0..1_000_u64).map(|n| n * n));
        assert!(map(0..1_000_u64, |n| pool.spawn(move || n * n)).eq(serial.clone().map(Ok)));
        for n in [1, 3, 999, 1_000, 5_000] {
            let windowed = map_windowed(size(n), 0..1_000_u64, |n| pool.spawn(move || n * n));
            assert!(windowed.eq(serial.clone().map(Ok)), "in a window of {n}");
            let chunked = map_chunked(size(n), 0..1_000_u64, |chunk| {
                pool.spawn(move || each(chunk, |n| n * n))
            });
            assert!(chunked.eq(serial.clone().map(Ok)), "in chunks of {n}");
        }
    });
}

#[test]
fn chunks_of_every_size_hold_every_input_once() {
    // CPython: ProcessPoolExecutorTest::test_map_chunksize
    watchdog("forty inputs in chunks", || {
        let pool = pool(2);
        for n in [1, 6, 40, 50] {
            let tasks = Cell::new(0);
            let submit = |chunk| {
                tasks.set(tasks.get() + 1);
                pool.spawn(|| each(chunk, |n| n))
            };
            assert!(map_chunked(size(n), 0..40, submit).eq((0..40).map(Ok)));
            assert_eq!(tasks.get(), 40_usize.div_ceil(n));
        }
    });
}

#[test]
fn outcomes_come_in_order_when_tasks_end_in_reverse() {
    // I1
    watchdog("promises fulfilled from the last to the first", || {
        let (mut promises, futures): (Vec<Promise<u32>>, Vec<_>) =
            (0..50).map(|_| promise()).unzip();
        let outcomes = map(futures, |future| future);
        for n in (0..50).rev() {
            promises.pop().unwrap().complete(Ok(n)).unwrap();
        }
        assert!(outcomes.eq((0..50).map(Ok)));
    });
}

#[test]
fn an_error_ends_its_own_item_and_the_map_goes_on() {
    // I2. CPython: ExecutorTest::test_map_exception
    watchdog("four divisions, one by zero", || {
        let divide = |n| 12_u32.checked_div(n).unwrap_or_else(|| quiet_panic("division by zero"));
        let expected = [Ok(6), Ok(4), Err(panicked("division by zero")), Ok(12)];
        let pool = pool(2);
        let mut outcomes = map([2, 3, 0, 1], |n| pool.spawn(move || divide(n)));
        assert!(outcomes.by_ref().eq(expected.clone()));
        assert_eq!((outcomes.next(), outcomes.next()), (None, None), "and stays at its end");
        for n in [1, 2, 3, 4] {
            let windowed = map_windowed(size(n), [2, 3, 0, 1], |n| pool.spawn(move || divide(n)));
            assert!(windowed.eq(expected.clone()));
            let mut chunked =
                map_chunked(size(n), [2, 3, 0, 1], |chunk| pool.spawn(move || each(chunk, divide)));
            assert!(chunked.by_ref().eq(expected.clone()), "in chunks of {n}");
            assert_eq!((chunked.next(), chunked.next()), (None, None));
        }
    });
}

#[test]
fn a_chunk_that_fails_as_a_whole_fails_each_of_its_items() {
    // I1
    watchdog("chunks of a pool that is shut down after the first", || {
        let (pool, chunks) = (pool(1), Cell::new(0));
        let submit = |chunk| {
            chunks.set(chunks.get() + 1);
            if chunks.get() == 2 {
                pool.shutdown();
            }
            pool.spawn(|| each(chunk, |n| n))
        };
        let outcomes: Vec<_> = map_chunked(size(2), 0..5, submit).collect();
        let refused = Err(Error::ShutDown);
        assert_eq!(outcomes, [Ok(0), Ok(1), refused.clone(), refused.clone(), refused]);
    });
}

#[test]
fn a_chunk_with_an_outcome_too_few_or_too_many_fails_each_of_its_items() {
    // I1
    watchdog("chunks of two inputs", || {
        let pool = pool(1);
        for wrong in [0, 1, 3] {
            let outcomes = map_chunked(size(2), 0..4, |_| pool.spawn(move || vec![Ok(7); wrong]));
            let reason = format!("{wrong} outcomes for 2 inputs");
            assert!(outcomes.eq(vec![Err(Error::Refused { reason: reason.into() }); 4]));
        }
    });
}

// Eager.

#[test]
fn map_runs_everything_though_nobody_iterates() {
    // I3. CPython: ThreadPoolExecutorTest::test_map_submits_without_iteration
    watchdog("the tasks of an idle map", || {
        let (pool, ran) = (pool(2), Arc::new(AtomicUsize::new(0)));
        let count = |_| {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, SeqCst))
        };
        let outcomes = map(0..100, count);
        pool.shutdown();
        assert_eq!(ran.load(SeqCst), 100);
        assert_eq!(outcomes.count(), 100);
    });
}

#[test]
fn map_after_a_shutdown_fails_each_item() {
    let pool = pool(1);
    pool.shutdown();
    assert!(map(0..3, |n| pool.spawn(move || n)).eq(iter::repeat_n(Err(Error::ShutDown), 3)));
}

#[test]
fn a_source_that_ended_is_not_asked_again() {
    watchdog("an iterator with a second wind", || {
        let pool = pool(1);
        let flicker = || {
            let mut asked = 0;
            iter::from_fn(move || {
                asked += 1;
                (asked != 3).then_some(asked)
            })
        };
        assert!(map(flicker(), |n| pool.spawn(move || n)).eq([Ok(1), Ok(2)]));
        assert!(map_windowed(size(2), flicker(), |n| pool.spawn(move || n)).eq([Ok(1), Ok(2)]));
        assert!(
            map_chunked(size(2), flicker(), |chunk| pool.spawn(move || each(chunk, |n| n)))
                .eq([Ok(1), Ok(2)])
        );
    });
}

#[test]
fn a_map_may_own_its_pool_and_ends_it_when_it_is_dropped() {
    // CPython: ThreadPoolShutdownTest::test_del_shutdown
    watchdog("a map that owns its pool", || {
        let on_worker = Arc::new(Mutex::new(Weak::new()));
        let alive = on_worker.clone();
        thread_local!(static SENTINEL: Cell<Option<Arc<()>>> = const { Cell::new(None) });
        let initializer = move || {
            let sentinel = Arc::new(());
            *alive.lock().unwrap() = Arc::downgrade(&sentinel);
            SENTINEL.set(Some(sentinel));
            Ok(())
        };
        let pool = ThreadPool::builder().workers(1).initializer(initializer).build().unwrap();
        let mut outcomes = map(0..3, move |n| pool.spawn(move || n));
        assert!(outcomes.by_ref().eq((0..3).map(Ok)));
        assert!(on_worker.lock().unwrap().upgrade().is_some(), "an idle worker stays");
        drop(outcomes);
        assert!(on_worker.lock().unwrap().upgrade().is_none(), "the thread has ended");
    });
}

#[test]
fn a_map_that_owns_its_pool_cancels_before_the_pool_runs_the_rest() {
    // I6
    watchdog("a map dropped early", || {
        let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let pool = ThreadPool::new(1).unwrap();
        let (passing, count) = (gate.clone(), ran.clone());
        let outcomes = map(0..10, move |_| {
            let (gate, count) = (passing.clone(), count.clone());
            pool.spawn(move || {
                count.fetch_add(1, SeqCst);
                gate.pass();
            })
        });
        until("the first has begun", || ran.load(SeqCst) == 1);
        let dropping = std::thread::spawn(move || drop(outcomes)); // waits for the worker
        // Ours, that of the closure that submits, and those of the tasks.
        until("all are cancelled but the one that runs", || Arc::strong_count(&ran) <= 3);
        gate.open();
        dropping.join().unwrap();
        assert_eq!(ran.load(SeqCst), 1);
    });
}

#[test]
fn a_scope_maps_what_it_borrows() {
    watchdog("lengths of borrowed words", || {
        let words = ["news", "lock", "end"];
        let lengths: Result<Vec<_>, _> =
            scope(2, |pool| map(&words, |word| pool.spawn(|| word.len())).collect());
        assert_eq!(lengths.unwrap(), [4, 4, 3]);
    });
}

// The window.

#[test]
fn a_window_makes_endless_inputs_possible() {
    // I4. CPython: ExecutorTest::test_map_buffersize_on_infinite_iterable
    watchdog("the first squares of an endless map", || {
        let pool = pool(2);
        let mut squares = map_windowed(size(2), 0_u64.., |n| pool.spawn(move || n * n));
        assert!(squares.by_ref().take(4).eq([0, 1, 4, 9].map(Ok)));
        drop(squares);
        pool.shutdown();
    });
}

// CPython: ExecutorTest::test_map_buffersize_on_multiple_iterables
#[test]
fn a_window_over_two_endless_inputs() {
    // CPython: ExecutorTest::test_map_buffersize_on_multiple_infinite_iterables
    watchdog("the first products of an endless map", || {
        let pool = pool(2);
        let products =
            map_windowed(size(2), (0_u64..).zip(10..), |(a, b)| pool.spawn(move || a * b));
        assert!(products.take(3).eq([0, 11, 24].map(Ok)));
    });
}

#[test]
fn a_window_over_nothing_is_empty() {
    // CPython: ExecutorTest::test_map_buffersize_on_empty_iterable
    let pool = pool(2);
    assert_eq!(map_windowed(size(2), iter::empty(), |n: u32| pool.spawn(move || n)).next(), None);
    assert_eq!(map(iter::empty(), |n: u32| pool.spawn(move || n)).next(), None);
    assert_eq!(
        map_chunked(size(2), iter::empty(), |chunk| pool.spawn(move || each(chunk, |n: u32| n)))
            .next(),
        None
    );
}

#[test]
fn a_window_pulls_as_many_as_it_holds_if_nobody_iterates() {
    // I4. CPython: ExecutorTest::test_map_buffersize_when_buffer_is_full
    watchdog("a map nobody iterates", || {
        let (pool, pulled) = (pool(1), Cell::new(0));
        let endless = (0..).inspect(|_| pulled.set(pulled.get() + 1));
        let mut outcomes = map_windowed(size(2), endless, |n| pool.spawn(move || n));
        pool.shutdown(); // everything submitted has run
        assert_eq!(pulled.get(), 2);
        // What was under way comes out, then the refusals that the window holds, then the end.
        let refused = || Some(Err(Error::ShutDown));
        assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok(0)), Some(Ok(1))));
        assert_eq!((outcomes.next(), outcomes.next()), (refused(), refused()));
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
        assert_eq!(pulled.get(), 4);
    });
}

// CPython: ExecutorTest::test_map_buffersize
#[test]
fn a_window_never_holds_more_than_its_size_and_always_as_much() {
    // I4
    watchdog("windows of all sizes", || {
        let pool = pool(2);
        for window in [1, 2, 3, 7, 20] {
            let submitted = Cell::new(0);
            let submit = |n| {
                submitted.set(submitted.get() + 1);
                pool.spawn(move || n)
            };
            let mut outcomes = map_windowed(size(window), 0..15, submit);
            for n in 0..15 {
                assert_eq!(submitted.get(), (n + window).min(15), "before outcome {n}");
                assert_eq!(outcomes.next(), Some(Ok(n)));
            }
            assert_eq!(outcomes.next(), None);
        }
    });
}

#[test]
fn no_more_than_a_window_of_tasks_exists_at_once() {
    // I4, in memory: each task and its outcome carry a token.
    watchdog("a long map through a small window", || {
        let (pool, token) = (pool(2), Arc::new(()));
        let most = Cell::new(0);
        let submit = |_| {
            let token = token.clone();
            most.set(most.get().max(Arc::strong_count(&token)));
            pool.spawn(move || token)
        };
        assert_eq!(
            map_windowed(size(5), 0..2_000, submit).map(|outcome| drop(outcome.unwrap())).count(),
            2_000
        );
        assert!(
            most.get() <= 1 + 5 + 1,
            "ours, the window, and the one that is being taken: {}",
            most.get()
        );
    });
}

// Deadlines.

// CPython: ExecutorTest::test_map_timeout
#[test]
fn what_is_done_comes_out_after_the_deadline_and_the_first_that_is_not_ends_it() {
    // I5
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
fn a_deadline_of_zero_on_a_busy_pool_lets_no_task_run() {
    // I5. CPython: ThreadPoolExecutorTest::test_executor_map_current_future_cancel
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
            map_chunked(size(2), 0..3, |chunk| pool.spawn(move || each(chunk, |n| n))).within(ZERO);
        assert_eq!(chunked.collect::<Vec<_>>(), [Err(Error::TooLate), Err(Error::TooLate)]);
        gate.open();
        pool.shutdown();
        assert_eq!((running.result(), ran.load(SeqCst)), (Ok(()), 0));
    });
}

#[test]
fn the_deadline_counts_from_the_call_and_may_be_endless() {
    // I5
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
        let outcomes = map_windowed(size(3), endless, |n: u32| pool.spawn(move || n)).within(ZERO);
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

// Ends.

#[test]
fn close_ends_the_iteration_in_the_middle_of_a_chunk_too() {
    // I6. CPython: ExecutorTest::test_map_close
    watchdog("closed maps", || {
        let pool = pool(1);
        let mut outcomes = map(0..10, |n| pool.spawn(move || n));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        outcomes.close();
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
        let mut outcomes = map_windowed(size(2), 0.., |n| pool.spawn(move || n));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        outcomes.close();
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
        let mut outcomes =
            map_chunked(size(3), 0..10, |chunk| pool.spawn(move || each(chunk, |n| n)));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        outcomes.close();
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
    });
}

#[test]
fn dropping_or_closing_cancels_what_has_not_started_advanced_or_not() {
    // I6
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
fn an_outcome_once_yielded_belongs_to_the_caller_alone() {
    // I7. CPython: ExecutorTest::test_free_reference
    watchdog("tokens", || {
        let pool = pool(2);
        for outcome in map(0..10, |_| pool.spawn(|| Arc::new(()))) {
            assert_eq!(Arc::strong_count(&outcome.unwrap()), 1);
        }
        for outcome in map_windowed(size(3), 0..10, |_| pool.spawn(|| Arc::new(()))) {
            assert_eq!(Arc::strong_count(&outcome.unwrap()), 1);
        }
        for outcome in
            map_chunked(size(3), 0..10, |chunk| pool.spawn(move || each(chunk, |_| Arc::new(()))))
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
            drop(map_chunked(size(2), inputs(), |_| {
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
        let mut outcomes = map_windowed(size(2), inputs, |n| pool.spawn(move || n));
        assert_eq!(outcomes.next(), Some(Ok(0)));
        assert!(catch_unwind(AssertUnwindSafe(|| outcomes.next())).is_err());
        assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok(2)), None));
    });
}

// On a worker.

#[test]
fn a_map_iterated_on_a_worker_does_the_work_itself() {
    // Nested waits, the fourth way; see chapter 15 for the other three.
    fn fib(pool: &Arc<ThreadPool>, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let calls = map([n - 1, n - 2], |n| {
            let inner = pool.clone();
            pool.spawn(move || fib(&inner, n))
        });
        calls.map(Result::unwrap).sum()
    }
    watchdog("fib through map", || {
        for workers in [1, 2] {
            let (pool, inner) = (pool(workers), pool(workers));
            assert_eq!(fib(&pool, 16), 987);
            let task = pool.spawn(move || {
                let windowed = map_windowed(size(2), 0_u64..10, |n| inner.spawn(move || n));
                windowed.map(Result::unwrap).sum::<u64>()
            });
            assert_eq!(task.result(), Ok(45));
        }
        let pool = pool(1);
        let inner = pool.clone();
        let task = pool.spawn(move || {
            let chunked =
                map_chunked(size(3), 0_u64..10, |chunk| inner.spawn(move || each(chunk, |n| n)));
            chunked.map(Result::unwrap).sum::<u64>()
        });
        assert_eq!(task.result(), Ok(45));
    });
}

#[test]
fn maps_say_what_they_are() {
    let pool = pool(1);
    let one = map([1], |n| pool.spawn(move || n));
    assert!(format!("{one:?}").starts_with("Map { submitted: [Future("));
    let chunked = map_chunked(size(1), [1], |chunk| pool.spawn(move || each(chunk, |n| n)));
    assert!(format!("{chunked:?}").starts_with("MapChunked { chunks: Map {"));
}

// The answers to `Try`.

#[test]
fn try_1_a_window_behind_a_first_item_that_never_ends() {
    watchdog("a window of three", || {
        let (pool, gate) = (pool(2), Gate::default());
        let pulled = Arc::new(AtomicUsize::new(0));
        let (pull, passing) = (pulled.clone(), gate.clone());
        let endless = (0..).inspect(move |_| {
            pull.fetch_add(1, SeqCst);
        });
        let waiting = std::thread::spawn(move || {
            let submit = |n: u32| {
                let gate = passing.clone();
                pool.spawn(move || {
                    if n == 0 {
                        gate.pass()
                    }
                })
            };
            map_windowed(size(3), endless, submit).next()
        });
        until("the window is full", || pulled.load(SeqCst) == 3);
        (0..200).for_each(|_| std::thread::yield_now());
        assert_eq!(
            pulled.load(SeqCst),
            3,
            "the other two are done by now, and wait behind the first"
        );
        gate.open();
        assert_eq!(waiting.join().unwrap(), Some(Ok(())));
        assert_eq!(pulled.load(SeqCst), 4);
    });
}

#[test]
fn try_3_the_first_some() {
    fn first_some<T>(mut map: impl Iterator<Item = Result<Option<T>, Error>>) -> Option<T> {
        map.find_map(|outcome| outcome.ok().flatten()) // and the drop of `map` cancels the rest
    }
    watchdog("the first number with a property", || {
        let pool = pool(2);
        let found = first_some(map_windowed(size(4), 1_u64.., |n| {
            pool.spawn(move || (n * n > 2_000).then_some(n))
        }));
        assert_eq!(found, Some(45));
        assert_eq!(first_some(map(0..9, |_| pool.spawn(|| None::<u8>))), None);
    });
}
