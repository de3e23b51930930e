//! Chapter 02: state (free, mine, another's; levels with and without a guard) × event, then races.

// The example replays schedules under std's names. Outside of a replay they are what they were.
extern crate self as std;
extern crate std as real;

mod support;
#[path = "../examples/ch02_rlock.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "its wrong version is tested here, its main by the book's test"
)]
mod wrong;

use concurrent_explained::ch31_schedules::{Limits, explore, sync, thread, time};
use concurrent_explained::{RLock, RLockGuard, RUnlockError};
use real::*;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};
use support::{until, watchdog};

const SOON: Duration = Duration::from_millis(20);

fn until_waiting(lock: &RLock, waiting: usize) {
    until("the threads wait for the lock", || {
        format!("{lock:?}").ends_with(&format!("waiting: {waiting} }} }}"))
    });
}

/// What `Debug` says of a lock that nobody waits for.
fn shown(owner: Option<ThreadId>, depth: usize) -> String {
    let locked = depth > 0;
    let lock = format!("Lock {{ locked: {locked}, waiting: 0 }}");
    let hold =
        owner.map(|owner| format!("Hold {{ owner: {owner:?}, depth: {depth}, forgotten: 0 }}"));
    let hold = hold.map_or("None".to_owned(), |hold| format!("Some({hold})"));
    format!("RLock {{ hold: {hold}, lock: {lock} }}")
}

/// Runs `f` on another thread and waits for it.
fn elsewhere<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

/// A thread that takes the lock, counts itself as inside, and gives the lock back.
fn visitor(lock: &Arc<RLock>, inside: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let (lock, inside) = (Arc::clone(lock), Arc::clone(inside));
    thread::spawn(move || {
        let _guard = lock.lock();
        inside.fetch_add(1, SeqCst);
    })
}

// --- types ---------------------------------------------------------------------------------------

#[test]
fn i3_lock_crosses_threads_and_its_guard_stays() {
    // That the guard is neither Send nor Sync is the compile_fail test in the chapter.
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<RLock>();
    send_and_sync::<RUnlockError>();
}

#[test]
fn a_static_a_default_and_a_new_lock_are_free() {
    static LOCK: RLock = RLock::new();
    assert!(!LOCK.is_locked() && !RLock::default().is_locked());
    // CPython: BaseLockTests::test_constructor, test_repr
    assert_eq!(format!("{:?}", RLock::new()), shown(None, 0));
}

// --- free ----------------------------------------------------------------------------------------

#[test]
fn lock_when_free_then_drop_frees() {
    // CPython: BaseLockTests::test_acquire_release
    let lock = RLock::new();
    let guard = lock.lock();
    assert!(lock.is_locked() && lock.depth() > 0);
    assert!(std::ptr::eq(guard.lock(), &lock));
    drop(guard);
    assert!(!lock.is_locked() && lock.depth() == 0);
}

#[test]
fn try_lock_and_lock_timeout_when_free_take_it() {
    // CPython: BaseLockTests::test_try_acquire, test_timeout (free lock, largest limit)
    let lock = RLock::new();
    assert!(lock.try_lock().is_some());
    for limit in [Duration::ZERO, SOON, Duration::MAX] {
        assert!(lock.lock_timeout(limit).is_some());
        assert!(!lock.is_locked());
    }
}

#[test]
fn unlock_when_free_is_an_error_also_after_balanced_use() {
    // CPython: RLockTests::test_release_unacquired
    let lock = RLock::new();
    assert_eq!(lock.unlock(), Err(RUnlockError::NotLocked));
    for _ in 0..3 {
        lock.lock().forget();
    }
    for _ in 0..3 {
        assert_eq!(lock.unlock(), Ok(()));
    }
    assert_eq!(lock.unlock(), Err(RUnlockError::NotLocked));
    assert_eq!(RUnlockError::NotLocked.to_string(), "cannot unlock: nobody holds the lock");
}

// --- mine ----------------------------------------------------------------------------------------

#[test]
fn i1_owner_goes_deeper_by_every_way_without_waiting() {
    // CPython: RLockTests::test_reacquire
    watchdog("the owner comes in again", || {
        let lock = RLock::new();
        let first = lock.lock();
        let second = lock.try_lock().unwrap();
        let third = lock.lock_timeout(Duration::ZERO).unwrap();
        assert_eq!(lock.depth(), 3);
        drop(first);
        assert_eq!(lock.depth(), 2);
        let fourth = lock.lock();
        drop((second, third, fourth));
        assert!(!lock.is_locked());
    });
}

#[test]
fn depth_counts_for_the_owner_and_is_0_for_others() {
    // CPython: RLockTests::test_recursion_count, test__is_owned
    let lock = RLock::new();
    let depths = |mine| {
        assert_eq!(lock.depth(), mine);
        assert_eq!(elsewhere(|| (lock.depth(), lock.is_locked())), (0, mine > 0));
    };
    depths(0);
    lock.lock().forget();
    depths(1);
    lock.lock().forget();
    lock.lock().forget();
    depths(3);
    lock.unlock().unwrap();
    depths(2);
    lock.unlock().unwrap();
    lock.unlock().unwrap();
    depths(0);
}

#[test]
fn debug_shows_owner_and_depth_from_any_thread() {
    // CPython: BaseLockTests::test_locked_repr, RLockTests::test_repr_count
    let lock = RLock::new();
    let (first, second) = (lock.lock(), lock.lock());
    let owner = thread::current().id();
    let shown = shown(Some(owner), 2);
    assert_eq!(format!("{lock:?}"), shown);
    assert_eq!(elsewhere(|| format!("{lock:?}")), shown);
    drop(first);
    assert!(format!("{second:?}").starts_with("RLockGuard { lock: RLock { hold: Some("));
}

#[test]
fn i4_unlock_gives_back_forgotten_levels_only() {
    let lock = RLock::new();
    let guard = lock.lock();
    assert_eq!(lock.unlock(), Err(RUnlockError::Guarded));
    lock.lock().forget();
    assert_eq!(lock.unlock(), Ok(()));
    assert_eq!(lock.unlock(), Err(RUnlockError::Guarded));
    assert_eq!(lock.depth(), 1);
    drop(guard);
    assert_eq!(RUnlockError::Guarded.to_string(), "cannot unlock: every level has its guard");
}

#[test]
fn owner_panics_at_depth_2_then_the_lock_is_free_and_not_poisoned() {
    // CPython: BaseLockTests::test_with
    let lock = RLock::new();
    let inside = catch_unwind(AssertUnwindSafe(|| {
        let _guards = (lock.lock(), lock.lock());
        resume_unwind(Box::new("the owner fails"));
    }));
    assert!(inside.is_err());
    assert!(elsewhere(|| lock.try_lock().is_some()));
}

#[test]
fn a_taken_lock_is_dropped_without_harm() {
    // CPython: BaseLockTests::test_acquire_destroy
    let lock = Box::new(RLock::new());
    lock.lock().forget();
    drop(lock);
}

// --- another's -----------------------------------------------------------------------------------

#[test]
fn try_lock_and_lock_timeout_when_anothers_give_none() {
    // CPython: BaseLockTests::test_try_acquire_contended, test_timeout (held lock)
    watchdog("a wait with a limit", || {
        let lock = RLock::new();
        let _guard = lock.lock();
        elsewhere(|| {
            assert!(lock.try_lock().is_none());
            assert!(lock.lock_timeout(Duration::ZERO).is_none());
            let start = Instant::now();
            assert!(lock.lock_timeout(SOON).is_none());
            assert!(start.elapsed() >= SOON);
        });
        assert_eq!(format!("{lock:?}"), shown(Some(thread::current().id()), 1));
    });
}

#[test]
fn i3_unlock_when_anothers_is_an_error_that_names_the_owner() {
    // CPython: RLockTests::test_different_thread
    let lock = RLock::new();
    lock.lock().forget();
    let me = thread::current().id();
    let error = elsewhere(|| lock.unlock()).unwrap_err();
    assert_eq!(error, RUnlockError::NotOwner(me));
    assert_eq!(error.to_string(), format!("cannot unlock: {me:?} holds the lock"));
    assert_eq!(lock.depth(), 1);
}

#[test]
fn owner_ends_without_releasing_then_the_lock_stays_taken() {
    // CPython: RLockTests::test_locked_with_2threads
    let lock = RLock::new();
    elsewhere(|| lock.lock().forget());
    for _ in 0..50 {
        assert!(elsewhere(|| lock.try_lock().is_none()
            && lock.is_locked()
            && lock.unlock().is_err()));
    }
}

#[test]
fn i2_five_threads_wait_then_only_the_last_release_lets_them_in() {
    // CPython: BaseLockTests::test_acquire_contended
    watchdog("five visitors come and go", || {
        let (lock, inside) = (Arc::new(RLock::new()), Arc::new(AtomicUsize::new(0)));
        let (first, second) = (lock.lock(), lock.lock());
        let visitors: Vec<_> = (0..5).map(|_| visitor(&lock, &inside)).collect();
        until_waiting(&lock, 5);
        drop(first);
        until_waiting(&lock, 5);
        assert_eq!(inside.load(SeqCst), 0);
        drop(second);
        visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
        assert_eq!(inside.load(SeqCst), 5);
    });
}

#[test]
fn i2_unlock_of_the_last_level_wakes_a_waiter_with_a_limit() {
    watchdog("the waiter gets in", || {
        let lock = RLock::new();
        lock.lock().forget();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.lock_timeout(Duration::MAX).is_some());
            until_waiting(&lock, 1);
            lock.unlock().unwrap();
            assert!(waiter.join().unwrap());
        });
    });
}

// --- stepping aside ------------------------------------------------------------------------------

#[test]
fn unlocked_gives_all_levels_back_and_restores_them() {
    watchdog("a visitor comes in between", || {
        let (lock, inside) = (Arc::new(RLock::new()), Arc::new(AtomicUsize::new(0)));
        let mut guard = lock.lock();
        lock.lock().forget();
        let third = lock.lock();
        let waiter = visitor(&lock, &inside);
        until_waiting(&lock, 1);
        let depth_inside = guard.unlocked(|| {
            waiter.join().unwrap();
            let depth = lock.depth();
            let _fresh = lock.lock();
            assert_eq!(
                lock.unlock(),
                Err(RUnlockError::Guarded),
                "the forgotten level steps aside too"
            );
            depth
        });
        assert_eq!((depth_inside, lock.depth(), inside.load(SeqCst)), (0, 3, 1));
        drop(third);
        assert_eq!((lock.unlock(), lock.unlock()), (Ok(()), Err(RUnlockError::Guarded))); // I4
        drop(guard);
        assert!(!lock.is_locked());
    });
}

#[test]
fn unlocked_takes_the_lock_meanwhile_and_nothing_is_lost() {
    let lock = RLock::new();
    let mut guard = lock.lock();
    guard.unlocked(|| lock.lock().forget());
    assert_eq!(lock.depth(), 2);
    assert_eq!(lock.unlock(), Ok(()));
    assert_eq!(lock.unlock(), Err(RUnlockError::Guarded));
}

#[test]
fn unlocked_panics_then_all_levels_are_back() {
    let lock = RLock::new();
    let (mut guard, _outer) = (lock.lock(), lock.lock());
    let outcome =
        catch_unwind(AssertUnwindSafe(|| guard.unlocked(|| resume_unwind(Box::new("f fails")))));
    assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"f fails"));
    assert_eq!(lock.depth(), 2);
}

// --- a guard in a thread-local outlives its hold -------------------------------------------------

/// Steps aside while a second guard lies in a thread-local, and has `f` find it there. The hold
/// that comes back has two levels, whatever became of the guard.
fn smuggle(lock: &'static RLock, f: impl FnOnce(RLockGuard<'static>) + Send) {
    thread_local!(static GUARD: RefCell<Option<RLockGuard<'static>>> = None.into());
    let mut guard = lock.lock();
    GUARD.set(Some(lock.lock()));
    guard.unlocked(|| f(GUARD.take().unwrap()));
    assert_eq!(lock.depth(), 2);
    assert_eq!(lock.unlock(), Err(RUnlockError::Guarded));
}

/// Another thread holds the lock while `f` runs, and finds its hold as it left it.
fn while_another_holds(lock: &'static RLock, f: impl FnOnce()) {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        let guard = lock.lock();
        tell.send(()).unwrap();
        ended.recv().unwrap_err();
        assert_eq!((lock.depth(), lock.unlock()), (1, Err(RUnlockError::Guarded)));
        drop(guard);
    });
    told.recv().unwrap();
    f();
    assert!(lock.try_lock().is_none(), "the other thread's hold is untouched");
    drop(end);
    other.join().unwrap();
}

#[test]
fn i3_a_smuggled_guard_is_dropped_and_anothers_hold_is_untouched() {
    static LOCK: RLock = RLock::new();
    watchdog("the smuggler comes back", || {
        smuggle(&LOCK, |smuggled| while_another_holds(&LOCK, || drop(smuggled)));
    });
}

#[test]
fn i3_a_smuggled_guard_is_forgotten_and_anothers_hold_is_untouched() {
    static LOCK: RLock = RLock::new();
    watchdog("the smuggler comes back", || {
        smuggle(&LOCK, |smuggled| while_another_holds(&LOCK, || smuggled.forget()));
    });
}

#[test]
fn i3_a_smuggled_guard_steps_aside_and_anothers_hold_is_untouched() {
    static LOCK: RLock = RLock::new();
    watchdog("the smuggler comes back", || {
        smuggle(&LOCK, |mut smuggled| {
            while_another_holds(&LOCK, || {
                smuggled.unlocked(|| assert!(LOCK.try_lock().is_none()));
            });
        });
    });
}

#[test]
fn i3_a_smuggled_guard_meets_a_free_lock_and_leaves_it_free() {
    watchdog("three smugglers come back", || {
        static LOCKS: [RLock; 3] = [const { RLock::new() }; 3];
        let is_free = |lock: &RLock| elsewhere(|| lock.try_lock().is_some());
        smuggle(&LOCKS[0], |smuggled| {
            drop(smuggled);
            assert!(is_free(&LOCKS[0]));
        });
        smuggle(&LOCKS[1], |smuggled| {
            smuggled.forget();
            assert!(is_free(&LOCKS[1]));
            assert_eq!(LOCKS[1].unlock(), Err(RUnlockError::NotLocked));
        });
        smuggle(&LOCKS[2], |mut smuggled| {
            assert!(smuggled.unlocked(|| is_free(&LOCKS[2])));
            assert_eq!(LOCKS[2].depth(), 0);
        });
    });
}

// --- races ---------------------------------------------------------------------------------------

#[test]
fn i1_many_threads_at_many_depths_never_two_inside() {
    fn dive(lock: &RLock, depth: usize, work: &dyn Fn()) {
        let _guard = lock.lock();
        if depth > 0 { dive(lock, depth - 1, work) } else { work() }
    }
    watchdog("4 threads take 1500 turns each", || {
        let (lock, inside, turns) = (RLock::new(), AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for thread in 0..4 {
                let (lock, inside, turns) = (&lock, &inside, &turns);
                scope.spawn(move || {
                    for turn in 0..1500 {
                        dive(lock, turn % 4, &|| {
                            assert!(!inside.swap(true, SeqCst), "two threads are inside");
                            turns.store(turns.load(SeqCst) + 1, SeqCst);
                            if turn % 50 == thread {
                                thread::yield_now();
                            }
                            inside.store(false, SeqCst);
                        });
                        drop(lock.lock_timeout(Duration::from_micros(1)));
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 6000);
        assert_eq!(format!("{lock:?}"), shown(None, 0));
    });
}

// --- the exercises -------------------------------------------------------------------------------

/// Try 3: runs `f` under the lock, unless this thread is inside already.
fn in_turn<R>(lock: &RLock, f: impl FnOnce() -> R) -> Option<R> {
    let _guard = (lock.depth() == 0).then(|| lock.lock())?;
    Some(f())
}

#[test]
fn try_3_in_turn_runs_outside_and_refuses_inside() {
    let lock = RLock::new();
    assert_eq!(in_turn(&lock, || in_turn(&lock, || "inside")), Some(None));
    assert_eq!(in_turn(&lock, || 1), Some(1));
}

// With `of_caller` giving the hold to any thread, every thread comes in: nothing hangs, but I1 and
// I3 go. This test goes red, and so do those that find two threads inside, a lock open to another
// thread, or nobody waiting: the `i1_many…`, `i2_…` and `i3_a_smuggled…` tests among them.
#[test]
fn try_2_a_thread_that_is_not_the_owner_stays_outside() {
    watchdog("another thread tries", || {
        let lock = RLock::new();
        let _guard = lock.lock();
        elsewhere(|| {
            assert!(lock.try_lock().is_none());
            assert_eq!(lock.depth(), 0);
        });
    });
}

#[test]
fn a_small_rlock_believes_its_caller() {
    assert_eq!(watchdog("two threads come in", wrong::inside_after_a_foreign_unlock), 2);
}

#[test]
fn the_next_owner_is_erased_if_the_lock_comes_free_first() {
    watchdog("all schedules of two programs", || {
        let report = explore(Limits::preemptions(2), wrong::wrong_order);
        let shortest = report.failure().map(|failure| failure.schedule.as_str());
        let found = (report.failures(), report.schedules, shortest);
        assert_eq!(found, (2, 97, Some(".10.100001")));
        let report = explore(Limits::preemptions(2), wrong::right_order);
        assert!(report.is_complete && report.failures() == 0, "{report}");
    });
}

#[test]
fn try_1_two_forgotten_guards_are_good_for_two_unlocks() {
    let lock = RLock::new();
    lock.lock().forget();
    lock.lock().forget();
    let unlocks = [lock.unlock(), lock.unlock(), lock.unlock()];
    assert_eq!(unlocks, [Ok(()), Ok(()), Err(RUnlockError::NotLocked)]);
}
