//! Chapter 05: each cell of the state × event table, each invariant, CPython's semaphore cases, and
//! the answers to the exercises.

mod support;

use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_explained::{OverRelease, OwnedPermit, Permit, Semaphore};
use support::{seen, until, watchdog};

const ZERO: Duration = Duration::ZERO;

fn shows(semaphore: &Semaphore, available: usize, waiting: usize) -> bool {
    seen(semaphore, "waiting")
        == format!("Semaphore {{ available: {available}, waiting: {waiting} }}")
}

fn until_waiting(semaphore: &Semaphore, waiting: usize) {
    let wanted = format!("waiting: {waiting} ");
    until(&wanted, || format!("{semaphore:?}").contains(&wanted));
}

/// Runs `case` over a semaphore and a bounded one, both with `permits`.
fn both(permits: usize, case: fn(&Semaphore)) {
    watchdog("a semaphore", move || case(&Semaphore::new(permits)));
    watchdog("a bounded semaphore", move || case(&Semaphore::bounded(permits)));
}

#[test]
fn permits_are_taken_and_come_back() {
    // CPython: BaseSemaphoreTests::test_acquire
    both(1, |semaphore| {
        for _ in 0..3 {
            let permit = semaphore.acquire();
            assert_eq!(semaphore.available(), 0);
            drop(permit);
            assert_eq!(semaphore.available(), 1);
        }
    });
    both(2, |semaphore| {
        let (first, second) = (semaphore.acquire(), semaphore.acquire());
        assert_eq!(semaphore.available(), 0);
        drop(first);
        let third = semaphore.acquire();
        drop((second, third));
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn dropping_a_semaphore_with_a_permit_taken_is_harmless() {
    // CPython: BaseSemaphoreTests::test_acquire_destroy
    let semaphore = Semaphore::bounded(1);
    semaphore.acquire().forget();
    drop(semaphore);
}

#[test]
fn seven_of_ten_pass_then_as_many_as_single_releases_come() {
    // CPython: BaseSemaphoreTests::test_acquire_contended
    both(7, |semaphore| {
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    for _ in 0..2 {
                        semaphore.acquire().forget();
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for n in 7..=20 {
                until("so many passed", || passed.load(Ordering::SeqCst) == n);
                assert_eq!(semaphore.available(), 0);
                if n < 20 {
                    semaphore.release(1).unwrap();
                }
            }
        });
        assert_eq!(passed.into_inner(), 20);
    });
}

#[test]
fn try_acquire_succeeds_as_often_as_there_are_permits() {
    // CPython: BaseSemaphoreTests::test_try_acquire
    both(2, |semaphore| {
        let first = semaphore.try_acquire().unwrap();
        let _second = semaphore.try_acquire().unwrap();
        assert!(semaphore.try_acquire().is_none());
        assert!(semaphore.try_acquire_many(0).is_some(), "nothing is always there");
        drop(first);
        assert!(semaphore.try_acquire_many(2).is_none());
        assert!(semaphore.try_acquire().is_some());
    });
}

#[test]
fn ten_tries_on_three_permits_three_succeed() {
    // CPython: BaseSemaphoreTests::test_try_acquire_contended
    both(3, |semaphore| {
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for permit in
                        [semaphore.try_acquire(), semaphore.try_acquire()].into_iter().flatten()
                    {
                        permit.forget();
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 3);
    });
}

#[test]
fn a_limit_passes_while_there_is_no_permit() {
    // CPython: BaseSemaphoreTests::test_acquire_timeout
    both(2, |semaphore| {
        let _first = semaphore.acquire_timeout(ZERO).unwrap();
        let second = semaphore.acquire_timeout(Duration::MAX).unwrap();
        assert!(semaphore.acquire_timeout(ZERO).is_none());
        let (start, limit) = (Instant::now(), Duration::from_millis(20));
        assert!(semaphore.acquire_timeout(limit).is_none());
        assert!(start.elapsed() >= limit);
        assert!(shows(semaphore, 0, 0), "who gave up has left the line: {semaphore:?}");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire_timeout(Duration::MAX).is_some());
            until_waiting(semaphore, 1);
            drop(second);
            assert!(waiter.join().unwrap());
        });
    });
}

#[test]
fn a_permit_comes_back_when_its_scope_ends_and_when_it_panics() {
    // CPython: BaseSemaphoreTests::test_with
    both(2, |semaphore| {
        {
            let _outer = semaphore.acquire();
            let _inner = semaphore.acquire();
            assert_eq!(semaphore.available(), 0);
        }
        assert_eq!(semaphore.available(), 2);
        let result = catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _permit = semaphore.acquire();
            std::panic::resume_unwind(Box::new("silent"));
        }));
        assert!(result.is_err());
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn extra_releases_raise_the_number() {
    // CPython: SemaphoreTests::test_release_unacquired
    let semaphore = Semaphore::new(1);
    semaphore.release(1).unwrap();
    semaphore.release(3).unwrap();
    semaphore.release(0).unwrap();
    assert!(semaphore.try_acquire_many(6).is_none());
    assert!(semaphore.try_acquire_many(5).is_some());
}

#[test]
fn i4_a_release_over_the_limit_is_refused_whole() {
    // CPython: BoundedSemaphoreTests::test_release_unacquired
    let semaphore = Semaphore::bounded(3);
    assert_eq!(semaphore.release(1), Err(OverRelease { released: 1, missing: 0 }));
    semaphore.acquire_many(2).forget();
    let error = semaphore.release(3).unwrap_err();
    assert_eq!(error, OverRelease { released: 3, missing: 2 });
    assert_eq!(error.to_string(), "release of 3 refused: 2 missing");
    assert_eq!(semaphore.available(), 1, "nothing was added");
    semaphore.release(2).unwrap();
    assert!(semaphore.release(1).is_err());

    let semaphore = Semaphore::new(usize::MAX - 1);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.release(1), Err(OverRelease { released: 1, missing: 0 }));
    assert_eq!(semaphore.release(usize::MAX).unwrap_err().missing, 0);
    assert_eq!(semaphore.available(), usize::MAX);
    let _: &dyn std::error::Error = &error;
}

#[test]
fn i4_a_release_by_hand_takes_nothing_from_a_living_permit() {
    let semaphore = Semaphore::bounded(2);
    let both = semaphore.acquire_many(2);
    assert_eq!(semaphore.release(1), Err(OverRelease { released: 1, missing: 0 }));
    drop(both);
    assert_eq!(semaphore.available(), 2, "no permit is lost");

    let (kept, forgotten) = (semaphore.acquire(), semaphore.acquire());
    forgotten.forget();
    assert_eq!(semaphore.release(2), Err(OverRelease { released: 2, missing: 1 }));
    semaphore.release(1).unwrap();
    drop(kept);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_permit_released_by_hand_before_its_drop_does_not_break_the_bound() {
    let semaphore = Semaphore::bounded(1);
    let permit = semaphore.acquire();
    assert!(semaphore.release(1).is_err());
    drop(permit);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn an_owned_permit_travels_is_dropped_in_a_panic_and_can_be_forgotten() {
    watchdog("permits that are moved into threads", || {
        let semaphore = Arc::new(Semaphore::new(2));
        let (one, two) = (semaphore.acquire_owned(), semaphore.acquire_owned());
        assert_eq!(semaphore.available(), 0);
        let panicked = thread::spawn(move || {
            let _permit = one;
            resume_unwind(Box::new("no message"));
        });
        assert!(panicked.join().is_err());
        assert_eq!(semaphore.available(), 1);
        thread::spawn(move || two.forget()).join().unwrap();
        assert_eq!(semaphore.available(), 1);
        semaphore.release(1).unwrap();
        let _taken = semaphore.acquire_many(2);
        let waiter = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || drop(semaphore.acquire_owned()))
        };
        until_waiting(&semaphore, 1);
        semaphore.release(1).unwrap();
        waiter.join().unwrap();
        assert!(shows(&semaphore, 1, 0));
    });
}

#[test]
fn zero_permits_wait_for_the_first_release() {
    watchdog("a permit that does not exist yet", || {
        let semaphore = Semaphore::new(0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire().forget());
            until_waiting(&semaphore, 1);
            semaphore.release(1).unwrap();
            waiter.join().unwrap();
        });
        assert!(shows(&semaphore, 0, 0));
    });
}

#[test]
fn a_permit_travels_to_another_thread_and_is_dropped_or_released_there() {
    both(3, |semaphore| {
        let (dropped, forgotten) = (semaphore.acquire(), semaphore.acquire_many(2));
        thread::scope(|scope| {
            scope.spawn(move || drop(dropped));
            scope.spawn(move || {
                forgotten.forget();
                semaphore.release(2).unwrap();
            });
        });
        assert_eq!(semaphore.available(), 3);
    });
}

/// Starts one thread for each request, in the queue before the next one comes. Each notes its
/// number when it has passed.
fn in_line<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    semaphore: &'scope Semaphore,
    requests: &[usize],
    order: &'scope Mutex<Vec<usize>>,
) {
    for (number, &wants) in requests.iter().enumerate() {
        scope.spawn(move || {
            let permit = semaphore.acquire_many(wants);
            order.lock().unwrap().push(number);
            permit.forget();
        });
        until_waiting(semaphore, number + 1);
    }
}

#[test]
fn i2_waiters_pass_in_the_order_they_came() {
    watchdog("a line of six", || {
        let (semaphore, order) = (Semaphore::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            in_line(scope, &semaphore, &[1; 6], &order);
            for n in 1..=6 {
                semaphore.release(1).unwrap();
                until("the next one noted itself", || order.lock().unwrap().len() == n);
            }
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4, 5]);
    });
}

/// Nobody after one release: 2 are there, and the oldest wants 3. After one more it goes, and the
/// next finds none left.
#[test]
fn try_1_the_first_wants_more_than_there_is_then_nobody_overtakes() {
    watchdog("a large request before a small one", || {
        let (semaphore, order) = (Semaphore::new(1), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            in_line(scope, &semaphore, &[3, 1], &order);
            assert!(semaphore.try_acquire().is_none(), "one is there, but not for the late");
            assert!(semaphore.try_acquire_many(0).is_none());
            assert!(semaphore.acquire_timeout(ZERO).is_none());
            semaphore.release(1).unwrap();
            assert!(shows(&semaphore, 2, 2));
            assert!(semaphore.try_acquire().is_none());
            semaphore.release(1).unwrap();
            until("the large one noted itself", || *order.lock().unwrap() == [0]);
            assert!(shows(&semaphore, 0, 1));
            semaphore.release(1).unwrap();
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1]);
    });
}

// CPython: BaseSemaphoreTests::test_multirelease
#[test]
fn i3_one_release_lets_as_many_go_as_can() {
    watchdog("four in line, three of whom can go", || {
        let (semaphore, order) = (Semaphore::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            in_line(scope, &semaphore, &[1, 2, 0, 3, 1], &order);
            semaphore.release(5).unwrap();
            // Decided in `release` itself, whoever wakes when:
            assert!(shows(&semaphore, 2, 2), "{semaphore:?}");
            until("three noted themselves", || order.lock().unwrap().len() == 3);
            semaphore.release(2).unwrap();
        });
        let mut order = order.into_inner().unwrap();
        order[..3].sort();
        order[3..].sort();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    });
}

/// Without `self.admit(state)` at (3), this test hangs: nobody grants anything to the threads
/// behind the one that leaves. (In the other tests a permit comes back later, and grants again.)
#[test]
fn try_2_the_first_gives_up_then_those_behind_it_go() {
    watchdog("two small requests behind a large one that gives up", || {
        let semaphore = Semaphore::new(2);
        let give_up = AtomicBool::new(false);
        thread::scope(|scope| {
            let large = scope.spawn(|| {
                // Comes again and again until the others wait behind it; then its limit passes
                // once more.
                while !give_up.load(Ordering::SeqCst) {
                    assert!(semaphore.acquire_many_timeout(3, Duration::from_millis(20)).is_none());
                }
            });
            until_waiting(&semaphore, 1);
            let small = [(); 2].map(|()| scope.spawn(|| semaphore.acquire().forget()));
            small.into_iter().for_each(|waiter| waiter.join().unwrap());
            give_up.store(true, Ordering::SeqCst);
            large.join().unwrap();
        });
        assert!(shows(&semaphore, 0, 0));
    });
}

#[test]
fn one_in_the_middle_gives_up_then_the_others_keep_their_places() {
    watchdog("a line whose middle leaves", || {
        let (semaphore, order) = (Semaphore::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            in_line(scope, &semaphore, &[1], &order);
            assert!(semaphore.acquire_timeout(Duration::from_millis(5)).is_none());
            assert!(shows(&semaphore, 0, 1));
            scope.spawn(|| {
                semaphore.acquire().forget();
                order.lock().unwrap().push(1);
            });
            until_waiting(&semaphore, 2);
            semaphore.release(1).unwrap();
            until("the first noted itself", || *order.lock().unwrap() == [0]);
            semaphore.release(1).unwrap();
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1]);
    });
}

#[test]
fn i1_permits_are_never_more_nor_less_under_a_hail_of_requests() {
    // I3 too: blocking, trying and timed requests of all sizes. At the end everything is back and
    // nobody waits.
    both(4, |semaphore| {
        let held = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let held = &held;
                scope.spawn(move || {
                    for n in 0..1500 {
                        let wants = (thread + n) % 5;
                        let limit = Duration::from_micros(n as u64 % 40);
                        let permit = match n % 3 {
                            0 => Some(semaphore.acquire_many(wants)),
                            1 => semaphore.acquire_many_timeout(wants, limit),
                            _ => semaphore.try_acquire_many(wants),
                        };
                        if let Some(permit) = permit {
                            assert!(held.fetch_add(wants, Ordering::SeqCst) + wants <= 4);
                            thread::yield_now();
                            held.fetch_sub(wants, Ordering::SeqCst);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert!(shows(semaphore, 4, 0), "{semaphore:?}");
    });
}

// CPython: SemaphoreTests::test_repr
#[test]
fn debug_shows_permits_and_the_length_of_the_line() {
    // CPython: BoundedSemaphoreTests::test_repr
    let semaphore = Semaphore::bounded(2);
    let permit = semaphore.acquire();
    let inner = "Semaphore { available: 1, waiting: 0 }";
    assert_eq!(format!("{semaphore:?}"), inner);
    assert_eq!(format!("{permit:?}"), format!("Permit {{ semaphore: {inner}, count: 1 }}"));
}

#[test]
fn a_semaphore_can_be_a_static_and_all_is_send_and_sync() {
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    static BOUNDED: Semaphore = Semaphore::bounded(1);
    let permits: [Permit<&'static Semaphore>; 2] = [SEMAPHORE.acquire(), BOUNDED.acquire()];
    drop(permits);

    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Semaphore>();
    send_and_sync::<Permit<&'static Semaphore>>();
    send_and_sync::<OwnedPermit>();
    send_and_sync::<OverRelease>();
}

/// A writer in the queue stops later readers, so no stream of readers starves it.
#[test]
fn try_3_readers_share_and_a_writer_is_alone_and_never_starves() {
    const READERS: usize = 3;
    watchdog("a writer among readers that never leave the room empty", || {
        let (room, written, stop) =
            (Semaphore::new(READERS), AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..READERS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let _reading = room.acquire();
                        let before = written.load(Ordering::Relaxed);
                        thread::yield_now();
                        assert_eq!(
                            written.load(Ordering::Relaxed),
                            before,
                            "nobody writes while I read"
                        );
                    }
                });
            }
            for _ in 0..1000 {
                let _writing = room.acquire_many(READERS);
                written.fetch_add(1, Ordering::Relaxed);
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
