//! Chapter 06: each cell of the state × event table, each invariant, CPython's barrier cases, and
//! the answers to the exercises.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_explained::BarrierError::{self, Broken, Reset, TimedOut};
use concurrent_explained::{Barrier, BrokenBy, Event, Semaphore};
use support::{until, watchdog};

const ZERO: Duration = Duration::ZERO;

type Passed = Result<usize, BarrierError>;

/// What `threads` threads get from `barrier` while `meanwhile` happens with all of them waiting.
fn meet(barrier: &Barrier, threads: usize, meanwhile: impl FnOnce()) -> Vec<Passed> {
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..threads).map(|_| scope.spawn(|| barrier.wait())).collect();
        if threads < barrier.parties() {
            until("so many have arrived", || barrier.waiting() == threads);
        }
        meanwhile();
        let mut passed: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
        passed.sort_by_key(|passed| passed.ok());
        passed
    })
}

/// Runs `case` over a barrier for five.
fn five(case: impl FnOnce(&Barrier) + Send + 'static) {
    watchdog("a barrier for five", || case(&Barrier::new(5)));
}

#[test]
#[should_panic(expected = "a barrier needs at least one party")]
fn a_barrier_for_nobody_panics() {
    // CPython: BarrierTests::test_constructor
    assert_eq!(Barrier::new(usize::MAX).parties(), usize::MAX);
    let _barrier = Barrier::new(0);
}

#[test]
fn i1_ten_rounds_in_step_and_nobody_passes_before_all_have_arrived() {
    // I2 too. CPython: BarrierTests::test_barrier, test_barrier_10
    five(|barrier| {
        let [before, after] = [(); 2].map(|()| AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for round in 0..10 {
                        assert!(
                            after.load(Ordering::Relaxed) >= 5 * round,
                            "all have left the round before"
                        );
                        before.fetch_add(1, Ordering::Relaxed);
                        barrier.wait().unwrap();
                        assert!(before.load(Ordering::Relaxed) >= 5 * (round + 1), "all are here");
                        after.fetch_add(1, Ordering::Relaxed);
                        barrier.wait().unwrap();
                    }
                });
            }
        });
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    });
}

#[test]
fn the_index_is_the_order_of_arrival() {
    watchdog("four that come one after the other", || {
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for index in 0..3 {
                let barrier = &barrier;
                scope.spawn(move || assert_eq!(barrier.wait(), Ok(index)));
                until("it has arrived", || barrier.waiting() == index + 1);
            }
            assert_eq!(barrier.wait(), Ok(3));
        });
    });
}

// CPython: BarrierTests::test_wait_return
#[test]
fn thousands_of_rounds_and_each_has_each_index_once() {
    // I2: fast threads come again before slow ones have woken.
    watchdog("three threads, three thousand rounds", || {
        const ROUNDS: usize = 3000;
        let barrier = Barrier::new(3);
        let sums: Vec<_> = (0..ROUNDS).map(|_| AtomicUsize::new(0)).collect();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for sum in &sums {
                        sum.fetch_add(1 << (4 * barrier.wait().unwrap()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(sums.into_iter().all(|sum| sum.into_inner() == 0x111));
    });
}

#[test]
fn i3_the_action_runs_once_per_round_before_anybody_passes() {
    // I1 too. CPython: BarrierTests::test_action
    watchdog("five threads, a hundred rounds with an action", || {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let barrier =
            Barrier::new(5).with_action(move || _ = counted.fetch_add(1, Ordering::Relaxed));
        for round in 1..=100 {
            thread::scope(|scope| {
                for _ in 0..5 {
                    scope.spawn(|| {
                        barrier.wait().unwrap();
                        assert_eq!(runs.load(Ordering::Relaxed), round);
                    });
                }
            });
        }
    });
}

#[test]
fn i3_the_action_uses_the_barrier_and_sees_the_next_round() {
    // No lock is held, and the next round is open: a third thread joins it while the action runs.
    watchdog("an action that waits for an arrival in the next round", || {
        let looked = Arc::new(Event::new());
        let barrier: Arc<Barrier> = Arc::new_cyclic(|weak: &Weak<Barrier>| {
            let (weak, looked) = (weak.clone(), looked.clone());
            Barrier::new(2).with_action(move || {
                let barrier = weak.upgrade().unwrap();
                assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
                assert!(format!("{barrier:?}").contains("waiting: 0"));
                looked.set();
                until("the third has arrived", || barrier.waiting() == 1);
                barrier.abort(); // breaks the next round only
            })
        });
        thread::scope(|scope| {
            let first = scope.spawn(|| barrier.wait());
            until("the first has arrived", || barrier.waiting() == 1);
            let last = scope.spawn(|| barrier.wait());
            looked.wait();
            let third = scope.spawn(|| barrier.wait());
            assert_eq!([first.join().unwrap(), last.join().unwrap()], [Ok(0), Ok(1)]);
            assert_eq!(third.join().unwrap(), Err(Broken(BrokenBy::Abort)));
        });
        assert!(barrier.is_broken());
    });
}

/// A barrier for two whose action says that it runs, then waits for `go`.
fn slow_action() -> (Barrier, [Arc<Event>; 2]) {
    let [running, go] = [(); 2].map(|()| Arc::new(Event::new()));
    let gates = [running.clone(), go.clone()];
    let barrier = Barrier::new(2).with_action(move || {
        running.set();
        go.wait();
    });
    (barrier, gates)
}

#[test]
fn a_reset_while_the_action_runs_lets_the_complete_round_pass() {
    watchdog("a reset and an abort beside an action", || {
        for abort in [false, true] {
            let (barrier, [running, go]) = slow_action();
            let passed = meet(&barrier, 2, || {
                running.wait();
                if abort {
                    barrier.abort()
                } else {
                    barrier.reset()
                }
                go.set();
            });
            assert_eq!(passed, [Ok(0), Ok(1)]);
            assert_eq!(barrier.is_broken(), abort);
        }
    });
}

#[test]
fn a_limit_passes_while_the_action_runs_and_breaks_the_round() {
    watchdog("a limit beside an action", || {
        let (barrier, [running, go]) = slow_action();
        let mut limit = Duration::from_millis(20);
        let mut attempt = || {
            barrier.reset();
            limit *= 2; // too short if it passed before the action started; then it is tried again
            thread::scope(|scope| {
                let impatient = scope.spawn(|| barrier.wait_timeout(limit));
                until("it was here", || barrier.waiting() == 1 || impatient.is_finished());
                let last = scope.spawn(|| barrier.wait());
                until("the action runs, or not", || running.is_set() || last.is_finished());
                if running.is_set() {
                    assert_eq!(impatient.join().unwrap(), Err(TimedOut));
                    assert!(barrier.is_broken());
                    go.set();
                }
                assert_eq!(last.join().unwrap(), Err(Broken(BrokenBy::Timeout)));
            });
            running.is_set()
        };
        while !attempt() {}
    });
}

#[test]
fn the_action_panics_then_the_barrier_is_broken_and_the_panic_goes_on_in_its_thread() {
    watchdog("an action that panics", || {
        for _ in 0..200 {
            let first = OnceLock::new();
            let barrier = Barrier::new(3).with_action(move || {
                if first.set(()).is_ok() {
                    resume_unwind(Box::new("the action fails"));
                }
            });
            thread::scope(|scope| {
                let others = [(); 2].map(|()| {
                    scope.spawn(|| {
                        assert_eq!(barrier.wait(), Err(Broken(BrokenBy::Panic)));
                        assert!(barrier.is_broken(), "every thread that is told finds it so");
                    })
                });
                until("two have arrived", || barrier.waiting() == 2);
                let payload = catch_unwind(AssertUnwindSafe(|| barrier.wait())).unwrap_err();
                assert_eq!(*payload.downcast::<&str>().unwrap(), "the action fails");
                others.into_iter().for_each(|other| other.join().unwrap());
            });
            assert_eq!(barrier.wait(), Err(Broken(BrokenBy::Panic)));
            barrier.reset();
            assert_eq!(meet(&barrier, 3, || ()), [Ok(0), Ok(1), Ok(2)], "no lock is poisoned");
        }
    });
}

#[test]
fn i4_abort_frees_four_waiting_and_the_barrier_stays_broken() {
    // CPython: BarrierTests::test_abort
    five(|barrier| {
        assert_eq!(meet(barrier, 4, || barrier.abort()), [Err(Broken(BrokenBy::Abort)); 4]);
        assert!(barrier.is_broken());
        assert_eq!(barrier.waiting(), 0);
        assert_eq!(barrier.wait(), Err(Broken(BrokenBy::Abort)));
        assert_eq!(barrier.wait_timeout(ZERO), Err(Broken(BrokenBy::Abort)));
        barrier.abort();
    });
}

#[test]
fn reset_frees_four_waiting_and_the_next_five_pass() {
    // CPython: BarrierTests::test_reset
    five(|barrier| {
        assert_eq!(meet(barrier, 4, || barrier.reset()), [Err(Reset); 4]);
        assert!(!barrier.is_broken());
        assert_eq!(meet(barrier, 5, || ()), [0, 1, 2, 3, 4].map(Ok));
    });
}

#[test]
fn i4_a_broken_barrier_works_again_after_reset() {
    // CPython: BarrierTests::test_abort_and_reset
    five(|barrier| {
        for _ in 0..3 {
            meet(barrier, 4, || barrier.abort());
            barrier.reset();
            assert_eq!(meet(barrier, 5, || ()), [0, 1, 2, 3, 4].map(Ok));
        }
    });
}

#[test]
fn i2_abort_then_reset_at_once_tells_the_waiting_that_it_was_aborted() {
    // The outcome of a round stays in its box.
    five(|barrier| {
        for _ in 0..100 {
            let outcomes = meet(barrier, 4, || {
                barrier.abort();
                barrier.reset();
            });
            assert_eq!(outcomes, [Err(Broken(BrokenBy::Abort)); 4]);
        }
    });
}

// CPython: BarrierTests::test_timeout
#[test]
fn a_limit_passes_then_the_barrier_is_broken_for_all_until_reset() {
    five(|barrier| {
        let limit = Duration::from_millis(20);
        let outcomes = meet(barrier, 3, || {
            let start = Instant::now();
            assert_eq!(barrier.wait_timeout(limit), Err(TimedOut));
            assert!(start.elapsed() >= limit);
            assert!(barrier.is_broken());
        });
        assert_eq!(outcomes, [Err(Broken(BrokenBy::Timeout)); 3]);
        barrier.abort();
        let error = Err(Broken(BrokenBy::Timeout));
        assert_eq!(barrier.wait_timeout(Duration::MAX), error, "the first cause stays");
        barrier.reset();
        assert_eq!(barrier.wait_timeout(ZERO), Err(TimedOut));
    });
}

#[test]
fn i2_a_limit_passes_beside_the_last_arrival_and_the_round_has_one_outcome() {
    // Either all pass, or one timed out and nobody passes.
    watchdog("a thousand close calls", || {
        let barrier = Barrier::new(2);
        for n in 0..1000 {
            let limit = Duration::from_micros(n % 100);
            let outcomes = thread::scope(|scope| {
                let first = scope.spawn(|| barrier.wait_timeout(limit));
                [barrier.wait_timeout(limit), first.join().unwrap()]
            });
            match outcomes {
                [Ok(0), Ok(1)] | [Ok(1), Ok(0)] => {}
                [Err(TimedOut), Err(Broken(BrokenBy::Timeout))]
                | [Err(Broken(BrokenBy::Timeout)), Err(TimedOut)] => {}
                other => panic!("two outcomes for one round: {other:?}"),
            }
            assert_eq!(barrier.is_broken(), outcomes[0].is_err());
            barrier.reset();
        }
    });
}

#[test]
fn one_party_passes_at_once_every_time() {
    // CPython: BarrierTests::test_single_thread
    watchdog("one thread, ten rounds", || {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let barrier =
            Barrier::new(1).with_action(move || _ = counted.fetch_add(1, Ordering::Relaxed));
        for _ in 0..5 {
            assert_eq!(barrier.wait(), Ok(0));
            assert_eq!(barrier.wait_timeout(ZERO), Ok(0));
        }
        assert_eq!(runs.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn debug_shows_who_waits_or_what_broke_it() {
    // CPython: BarrierTests::test_repr
    let barrier = Barrier::new(1);
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 1, waiting: 0, broken: None }");
    barrier.abort();
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 1, waiting: 0, broken: Some(Abort) }");
}

#[test]
fn each_error_has_words_of_its_own() {
    let broken = [BrokenBy::Abort, BrokenBy::Timeout, BrokenBy::Panic].map(Broken);
    let errors = [TimedOut, Reset].into_iter().chain(broken);
    let words: std::collections::HashSet<_> = errors.map(|error| error.to_string()).collect();
    assert_eq!(words.len(), 5);
    let _: &dyn std::error::Error = &Reset;
}

#[test]
fn a_barrier_is_send_and_sync() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Barrier>();
    send_and_sync::<BarrierError>();
}

/// Not always. Three times four arrivals are four rounds of three, if no thread is left with rounds
/// to go and nobody to meet. Here three threads run ahead of the fourth and are done after three
/// rounds. The fourth waits alone; a limit lets it go.
#[test]
fn try_1_four_threads_at_a_barrier_for_three_may_leave_one_alone() {
    watchdog("three that meet three times, one that comes late", || {
        let barrier = Barrier::new(3);
        for _ in 0..3 {
            assert_eq!(meet(&barrier, 3, || ()), [0, 1, 2].map(Ok));
        }
        assert_eq!(barrier.wait_timeout(ZERO), Err(TimedOut));
    });
}

/// With `round.end(Ok(()))` in the first line of `complete`, a thread passes while the action still
/// runs, against I1. Red are `i3_the_action_runs_once_per_round_before_anybody_passes`, this test,
/// and those in which the action fails or takes too long: the round has passed, so neither is told.
#[test]
fn try_2_a_thread_that_waits_does_not_pass_while_the_action_runs() {
    watchdog("a slow action", || {
        let (barrier, [running, go]) = slow_action();
        thread::scope(|scope| {
            let first = scope.spawn(|| barrier.wait_timeout(Duration::MAX));
            until("the first has arrived", || barrier.waiting() == 1);
            let last = scope.spawn(|| barrier.wait());
            running.wait();
            for _ in 0..1000 {
                assert!(!first.is_finished());
                thread::yield_now();
            }
            go.set();
            assert_eq!([first.join().unwrap(), last.join().unwrap()], [Ok(0), Ok(1)]);
        });
    });
}

/// The last to come releases a permit for each of the others.
#[test]
fn try_3_one_round_from_a_semaphore_and_a_counter() {
    watchdog("four threads at a barrier made of a semaphore", || {
        for _ in 0..200 {
            let (here, turnstile) = (AtomicUsize::new(0), Semaphore::new(0));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        if here.fetch_add(1, Ordering::SeqCst) == 3 {
                            turnstile.release(3).unwrap();
                        } else {
                            turnstile.acquire().forget();
                        }
                        assert_eq!(here.load(Ordering::SeqCst), 4);
                    });
                }
            });
        }
    });
}
