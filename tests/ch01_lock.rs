//! Chapter 01: state (free, guarded, forgotten; nobody waits, somebody waits) × event, then races.

// The example replays schedules under std's names. Outside of a replay they are what they were.
extern crate self as std;
extern crate std as real;

mod support;
#[path = "../examples/ch01_lock.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "its wrong versions are tested here, its main by the book's test"
)]
mod wrong;

use concurrent_explained::ch31_schedules::{Limits, explore, replay, sync, thread, time};
use concurrent_explained::{Lock, LockGuard, UnlockError};
use real::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::{seen, until, watchdog};

const SOON: Duration = Duration::from_millis(20);

fn shows(lock: &Lock, locked: bool, waiting: usize) -> bool {
    seen(lock, "waiting") == format!("Lock {{ locked: {locked}, waiting: {waiting} }}")
}

fn until_waiting(lock: &Lock, waiting: usize) {
    until("the threads wait for the lock", || shows(lock, true, waiting));
}

/// A thread that takes the lock and leaves it taken without a guard.
fn taker(lock: &Arc<Lock>) -> JoinHandle<()> {
    let lock = Arc::clone(lock);
    thread::spawn(move || lock.lock().forget())
}

fn forgotten() -> Arc<Lock> {
    let lock = Arc::new(Lock::new());
    lock.lock().forget();
    lock
}

// --- types ---------------------------------------------------------------------------------------

#[test]
fn lock_and_guard_cross_threads() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Lock>();
    send_and_sync::<LockGuard<'static>>();
    send_and_sync::<UnlockError>();
}

#[test]
fn a_static_a_default_and_a_new_lock_are_free() {
    static LOCK: Lock = Lock::new();
    assert!(!LOCK.is_locked());
    assert!(!Lock::default().is_locked());
    // CPython: BaseLockTests::test_constructor, test_repr
    assert!(shows(&Lock::new(), false, 0));
}

// --- free ----------------------------------------------------------------------------------------

#[test]
fn lock_when_free_then_drop_frees() {
    // CPython: BaseLockTests::test_acquire_release, test_locked_repr
    let lock = Lock::new();
    let guard = lock.lock();
    assert!(lock.is_locked() && shows(&lock, true, 0));
    assert_eq!(format!("{guard:?}"), "LockGuard { lock: Lock { locked: true, waiting: 0 } }");
    assert!(std::ptr::eq(guard.lock(), &lock));
    drop(guard);
    assert!(!lock.is_locked() && shows(&lock, false, 0));
}

#[test]
fn try_lock_when_free_takes_it() {
    // CPython: BaseLockTests::test_try_acquire
    let lock = Lock::new();
    let guard = lock.try_lock();
    assert!(guard.is_some() && lock.is_locked());
}

#[test]
fn lock_timeout_when_free_takes_it_whatever_the_limit() {
    // CPython: BaseLockTests::test_timeout (free lock, largest limit)
    let lock = Lock::new();
    for limit in [Duration::ZERO, SOON, Duration::MAX] {
        assert!(lock.lock_timeout(limit).is_some());
        assert!(!lock.is_locked());
    }
}

#[test]
fn unlock_when_free_is_an_error() {
    let lock = Lock::new();
    assert_eq!(lock.unlock(), Err(UnlockError::NotLocked));
    assert!(!lock.is_locked());
    assert_eq!(UnlockError::NotLocked.to_string(), "cannot unlock: nobody holds the lock");
}

// --- taken, nobody waits -------------------------------------------------------------------------

#[test]
fn try_lock_when_taken_gives_none_to_the_holder_and_to_others() {
    // CPython: BaseLockTests::test_try_acquire_contended
    let lock = Lock::new();
    let _guard = lock.lock();
    assert!(lock.try_lock().is_none());
    thread::scope(|scope| scope.spawn(|| assert!(lock.try_lock().is_none())).join().unwrap());
}

#[test]
fn lock_timeout_when_taken_ends_no_earlier_than_its_limit() {
    // CPython: BaseLockTests::test_timeout (held lock)
    watchdog("two waits with a limit", || {
        let lock = Lock::new();
        let _guard = lock.lock();
        let start = Instant::now();
        assert!(lock.lock_timeout(SOON).is_none());
        assert!(start.elapsed() >= SOON);
        assert!(lock.lock_timeout(Duration::ZERO).is_none());
    });
}

#[test]
fn i3_wait_times_out_then_release_then_lock_is_free_and_usable() {
    // CPython: LockTests::test_state_after_timeout
    watchdog("a wait with a limit", || {
        let lock = Lock::new();
        let guard = lock.lock();
        assert!(lock.lock_timeout(SOON).is_none());
        assert!(shows(&lock, true, 0));
        drop(guard);
        assert!(shows(&lock, false, 0));
        assert!(lock.try_lock().is_some());
    });
}

#[test]
fn i4_unlock_is_refused_while_a_guard_lives() {
    let lock = Lock::new();
    let guard = lock.lock();
    assert_eq!(lock.unlock(), Err(UnlockError::Guarded));
    assert!(lock.is_locked());
    drop(guard);
    assert_eq!(UnlockError::Guarded.to_string(), "cannot unlock: a guard holds the lock");
}

#[test]
fn guard_forgotten_then_another_thread_unlocks_once() {
    // CPython: LockTests::test_different_thread, test_reacquire
    let lock = forgotten();
    assert!(lock.is_locked() && lock.try_lock().is_none());
    thread::scope(|scope| scope.spawn(|| assert_eq!(lock.unlock(), Ok(()))).join().unwrap());
    assert_eq!(lock.unlock(), Err(UnlockError::NotLocked));
    assert!(lock.try_lock().is_some());
}

#[test]
fn i4_guard_forgotten_then_unlocked_then_relocked_is_guarded_again() {
    let lock = forgotten();
    lock.unlock().unwrap();
    let _guard = lock.lock();
    assert_eq!(lock.unlock(), Err(UnlockError::Guarded));
}

#[test]
fn guard_dropped_by_another_thread_frees() {
    // CPython: LockTests::test_different_thread
    let lock = Lock::new();
    let guard = lock.lock();
    thread::scope(|scope| scope.spawn(move || drop(guard)).join().unwrap());
    assert!(!lock.is_locked());
}

#[test]
fn i1_holder_panics_then_the_lock_is_free_and_not_poisoned() {
    // CPython: BaseLockTests::test_with
    let lock = Lock::new();
    let inside = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.lock();
        std::panic::resume_unwind(Box::new("the holder fails")); // no message on stderr
    }));
    assert!(inside.is_err());
    assert!(lock.try_lock().is_some());
}

#[test]
fn a_taken_lock_is_dropped_without_harm() {
    // CPython: BaseLockTests::test_acquire_destroy
    assert_eq!(Arc::into_inner(forgotten()).map(drop), Some(()));
}

// --- taken, somebody waits -----------------------------------------------------------------------

#[test]
fn i2_five_threads_wait_then_each_release_lets_exactly_one_in() {
    // CPython: BaseLockTests::test_acquire_contended
    watchdog("five threads take their turn", || {
        let lock = forgotten();
        let threads: Vec<_> = (0..5).map(|_| taker(&lock)).collect();
        until_waiting(&lock, 5);
        for left in (0..5).rev() {
            lock.unlock().unwrap();
            until_waiting(&lock, left);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        lock.unlock().unwrap();
    });
}

#[test]
fn i2_guard_dropped_while_one_waits_lets_it_in() {
    watchdog("the waiter gets in", || {
        let lock = Arc::new(Lock::new());
        let guard = lock.lock();
        let waiter = taker(&lock);
        until_waiting(&lock, 1);
        drop(guard);
        waiter.join().unwrap();
        assert!(shows(&lock, true, 0));
    });
}

#[test]
fn wait_without_end_is_a_wait_with_the_largest_limit() {
    watchdog("the waiter gets in", || {
        let lock = forgotten();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.lock_timeout(Duration::MAX).is_some());
            until_waiting(&lock, 1);
            lock.unlock().unwrap();
            assert!(waiter.join().unwrap());
        });
    });
}

#[test]
fn i3_one_waiter_times_out_then_a_release_lets_the_other_in() {
    watchdog("the patient waiter gets in", || {
        let lock = forgotten();
        let patient = taker(&lock);
        until_waiting(&lock, 1);
        assert!(lock.lock_timeout(SOON).is_none());
        assert!(shows(&lock, true, 1));
        lock.unlock().unwrap();
        patient.join().unwrap();
    });
}

#[test]
fn try_1_a_newcomer_may_overtake_and_the_waiter_still_gets_in() {
    // C or B gets it. If C does, B gets it from C.
    watchdog("the waiter gets in after the newcomer", || {
        for _ in 0..200 {
            let lock = forgotten();
            let waiter = taker(&lock);
            until_waiting(&lock, 1);
            lock.unlock().unwrap();
            drop(lock.try_lock());
            waiter.join().unwrap();
            lock.unlock().unwrap();
        }
    });
}

// --- stepping aside ------------------------------------------------------------------------------

#[test]
fn unlocked_lets_a_waiter_in_and_comes_back_after_it() {
    watchdog("the guard comes back", || {
        let lock = Arc::new(Lock::new());
        let mut guard = lock.lock();
        let waiter = taker(&lock);
        until_waiting(&lock, 1);
        let value = guard.unlocked(|| {
            waiter.join().unwrap();
            lock.unlock().unwrap();
            assert!(lock.try_lock().is_some());
            7
        });
        assert_eq!(value, 7);
        assert_eq!(lock.unlock(), Err(UnlockError::Guarded)); // I4
        drop(guard);
        assert!(!lock.is_locked());
    });
}

#[test]
fn i1_unlocked_panics_then_the_guard_holds_the_lock_again() {
    let lock = Lock::new();
    let mut guard = lock.lock();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        guard.unlocked(|| std::panic::resume_unwind(Box::new("f fails")))
    }));
    assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"f fails"));
    assert!(lock.is_locked());
    drop(guard);
    assert!(!lock.is_locked());
}

// --- races ---------------------------------------------------------------------------------------

#[test]
fn i1_many_threads_many_turns_never_two_inside() {
    // Two holders end in a wrong sum, and a lost wake-up (I2) in the watchdog.
    watchdog("4 threads take 2000 turns each", || {
        let (lock, inside, turns) = (Lock::new(), AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for thread in 0..4 {
                let (lock, inside, turns) = (&lock, &inside, &turns);
                scope.spawn(move || {
                    for turn in 0..2000 {
                        let guard = lock.lock();
                        assert!(!inside.swap(true, SeqCst), "two threads are inside");
                        turns.store(turns.load(SeqCst) + 1, SeqCst);
                        if turn % 50 == thread {
                            thread::yield_now();
                        }
                        inside.store(false, SeqCst);
                        drop(guard);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 8000);
        assert!(shows(&lock, false, 0));
    });
}

#[test]
fn i2_waits_that_time_out_while_the_lock_comes_free_lose_no_turn() {
    // The patient thread depends on every notification; the hasty ones try to swallow them.
    watchdog("400 turns among waiters that give up", || {
        let (lock, done) = (Lock::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            for micros in [0, 1, 30] {
                let (lock, done) = (&lock, &done);
                scope.spawn(move || {
                    while !done.load(SeqCst) {
                        drop(lock.lock_timeout(Duration::from_micros(micros)));
                        thread::yield_now();
                    }
                });
            }
            let (go, turn) = mpsc::channel::<()>();
            let (lock, done) = (&lock, &done);
            scope.spawn(move || {
                while turn.recv().is_ok() {
                    drop(lock.lock());
                }
                done.store(true, SeqCst);
            });
            for _ in 0..400 {
                let guard = lock.lock();
                go.send(()).unwrap();
                thread::yield_now();
                drop(guard);
            }
        });
        assert!(shows(&lock, false, 0));
    });
}

// --- the trap and the exercises ------------------------------------------------------------------

#[test]
fn the_wrong_locks_fail_and_the_right_ones_count() {
    watchdog("the wrong versions end by themselves", || {
        let (meeting, small, lock) = (Barrier::new(2), wrong::SmallLock::default(), Lock::new());
        assert_eq!(wrong::count(|| (), || (), || _ = meeting.wait()), 1);
        assert_eq!(wrong::count(|| small.lock(), || small.unlock(), thread::yield_now), 2);
        let release = || lock.unlock().unwrap();
        assert_eq!(wrong::count(|| lock.lock().forget(), release, thread::yield_now), 2);
        assert_eq!(wrong::inside_after_a_spurious_wake_up(), 2);
        assert!(wrong::lost_wake_up(), "the notification was heard after all");
    });
}

#[test]
fn the_wrong_locks_fail_under_some_schedules_and_the_right_one_under_none() {
    watchdog("all schedules of four programs", || {
        let report = explore(Limits::all(), wrong::two_steps);
        let shortest = report.failure().map(|failure| failure.schedule.as_str());
        assert_eq!((report.failures(), report.schedules, shortest), (5, 23, Some("101")));
        let report = explore(Limits::preemptions(2), wrong::by_if);
        assert!(report.failures() > 0, "{report}");
        let story = replay("10001001", wrong::by_if).to_string();
        assert!(story.contains("two threads are inside"), "{story}");
        let story = replay("01", wrong::no_lock).to_string();
        assert!(story.contains("returned 1"), "{story}");
        let report = explore(Limits::preemptions(2), wrong::by_while);
        assert!(report.failures() == 0 && report.is_complete, "{report}");
    });
}

// With `if` in `lock_until`, I1 goes: a waiter that wakes takes the lock although a newcomer has
// it. This test goes red, and `i1_many_threads_many_turns_never_two_inside`: both count who is
// inside while newcomers come in. A waiter whose limit has passed takes it as well:
// `i3_wait_times_out_…`, `i3_one_waiter_times_out_…` and `lock_timeout_when_taken_…` see that.
#[test]
fn try_2_a_waiter_that_wakes_too_late_waits_again() {
    watchdog("2 × 1000 turns, each against a newcomer", || {
        let (lock, inside) = (Lock::new(), AtomicUsize::new(0));
        let turn = || {
            let _guard = lock.lock();
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two threads are inside");
            thread::yield_now();
            inside.fetch_sub(1, SeqCst);
        };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..1000).for_each(|_| turn()));
            }
        });
    });
}

/// Try 3: everybody takes the lock with the smaller address first, so no circle can form.
fn lock_both<'a>(a: &'a Lock, b: &'a Lock) -> (LockGuard<'a>, LockGuard<'a>) {
    let swap = std::ptr::from_ref(a) > std::ptr::from_ref(b);
    let (first, second) = if swap { (b, a) } else { (a, b) };
    let (first, second) = (first.lock(), second.lock());
    if swap { (second, first) } else { (first, second) }
}

#[test]
fn try_3_lock_both_from_two_sides_never_deadlocks() {
    watchdog("2 × 1000 turns with both locks", || {
        let (a, b) = (Lock::new(), Lock::new());
        thread::scope(|scope| {
            for (mine, yours) in [(&a, &b), (&b, &a)] {
                scope.spawn(move || {
                    for turn in 0..1000 {
                        let (first, _second) = lock_both(mine, yours);
                        assert!(std::ptr::eq(first.lock(), mine));
                        if turn % 20 == 0 {
                            thread::yield_now();
                        }
                    }
                });
            }
        });
    });
}
