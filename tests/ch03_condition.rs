//! Chapter 03: state (nobody waits, somebody waits, out of time, notified) × event, over a `Lock`,
//! an `RLock`, and an `RLock` held three times; then races.

// The example replays schedules under std's names. Outside of a replay they are what they were.
extern crate self as std;
extern crate std as real;

mod support;
#[path = "../examples/ch03_condition.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "its wrong version is tested here, its main by the book's test"
)]
mod wrong;

use concurrent_explained::ch31_schedules::{Limits, explore, sync, thread, time};
use concurrent_explained::{Condition, Guard, Lock, RLock, RLockGuard};
use real::*;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use support::{seen, until, watchdog};

const SOON: Duration = Duration::from_millis(20);

fn waiting(condition: &Condition, n: usize) -> bool {
    seen(condition, "waiting") == format!("Condition {{ waiting: {n} }}")
}

fn until_waiting(condition: &Condition, n: usize) {
    until("the threads wait for the condition", || waiting(condition, n));
}

// --- the locks -----------------------------------------------------------------------------------

trait AnyLock: Default + Send + Sync + 'static {
    fn enter(&self) -> impl Guard;
}

impl AnyLock for Lock {
    fn enter(&self) -> impl Guard {
        self.lock()
    }
}

impl AnyLock for RLock {
    fn enter(&self) -> impl Guard {
        self.lock()
    }
}

/// An `RLock` that is always held three times.
#[derive(Default)]
struct Deep(RLock);

/// Also shows that a guard of the user's own can be waited with.
struct DeepGuard<'a>(RLockGuard<'a>, [RLockGuard<'a>; 2], &'a RLock);

impl AnyLock for Deep {
    fn enter(&self) -> impl Guard {
        DeepGuard(self.0.lock(), [self.0.lock(), self.0.lock()], &self.0)
    }
}

impl Guard for DeepGuard<'_> {
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        let lock = self.2;
        let value = self.1[0].unlocked(|| {
            assert_eq!(lock.depth(), 0);
            f()
        });
        assert_eq!(lock.depth(), 3); // I3
        value
    }

    fn lock_address(&self) -> usize {
        self.0.lock_address()
    }
}

/// A guard that counts how often it stepped aside, of a lock that everybody has.
#[derive(Default)]
struct Counting(usize);

impl Guard for Counting {
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        self.0 += 1;
        f()
    }

    fn lock_address(&self) -> usize {
        1
    }
}

/// One contract, three locks.
macro_rules! over_each_lock {
    ($($test:ident)*) => {
        mod over_lock {
            $(#[test] fn $test() { super::watchdog(stringify!($test), super::$test::<super::Lock>) })*
        }
        mod over_rlock {
            $(#[test] fn $test() { super::watchdog(stringify!($test), super::$test::<super::RLock>) })*
        }
        mod over_rlock_three_deep {
            $(#[test] fn $test() { super::watchdog(stringify!($test), super::$test::<super::Deep>) })*
        }
    };
}

over_each_lock! {
    i1_notify_wakes_the_oldest_and_nobody_else
    i1_notify_all_wakes_all_that_wait_and_nobody_later
    i1_more_notifications_than_waiters_are_forgotten
    nobody_notifies_then_five_waits_run_out_of_time
    i2_out_of_time_then_notify_goes_to_the_next_waiter
    i2_notified_then_out_of_time_is_notified
    notified_waiter_goes_on_when_the_notifier_puts_the_lock_down
    wait_for_asks_once_and_once_per_notification
    wait_for_timeout_gives_up_although_it_is_notified_meanwhile
    predicate_panics_then_lock_and_condition_are_usable
    i4_two_conditions_over_one_lock_do_not_mix
    i4_two_locks_under_one_condition_do_not_mix
    ping_pong_loses_no_notification
    i2_waits_that_run_out_of_time_waste_no_notification
}

/// A lock, a condition over it, and threads that wait, each in its turn.
struct Room<L> {
    lock: L,
    condition: Condition,
}

impl<L: AnyLock> Room<L> {
    fn new() -> Arc<Self> {
        Arc::new(Room { lock: L::default(), condition: Condition::new() })
    }

    /// A thread that waits `times` times and reports each return. It waits when this returns.
    fn waiter(self: &Arc<Self>, name: usize, times: usize, reports: &mpsc::Sender<usize>) {
        let (room, reports) = (Arc::clone(self), reports.clone());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut guard = room.lock.enter();
            tell.send(()).unwrap();
            for _ in 0..times {
                room.condition.wait(&mut guard);
                reports.send(name).unwrap();
            }
        });
        told.recv().unwrap();
        drop(self.lock.enter());
    }

    fn notify(&self, n: usize) -> usize {
        self.condition.notify(&self.lock.enter(), n)
    }
}

fn sorted(reports: &mpsc::Receiver<usize>, n: usize) -> Vec<usize> {
    let mut names: Vec<_> = reports.iter().take(n).collect();
    names.sort();
    names
}

// --- nobody waits --------------------------------------------------------------------------------

#[test]
fn a_static_a_default_and_a_new_condition_have_no_waiters() {
    static CONDITION: Condition = Condition::new();
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    send_and_sync(&CONDITION);
    assert!(waiting(&CONDITION, 0) && waiting(&Condition::default(), 0));
    assert_eq!(CONDITION.notify(&Counting(0), 1), 0);
    assert_eq!(CONDITION.notify_all(&Counting(0)), 0);
}

#[test]
fn notified_before_it_waits_is_not_notified() {
    // CPython: ConditionTests::test_unacquired_notify, test_unacquired_wait: a guard is the proof.
    let (lock, condition) = (Lock::new(), Condition::new());
    let mut guard = lock.lock();
    condition.notify(&guard, 1);
    assert!(!condition.wait_timeout(&mut guard, Duration::ZERO));
    assert!(waiting(&condition, 0));
}

// --- somebody waits ------------------------------------------------------------------------------

fn i1_notify_wakes_the_oldest_and_nobody_else<L: AnyLock>() {
    // CPython: ConditionTests::test_notify
    for _ in 0..2 {
        let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
        (0..5).for_each(|name| room.waiter(name, 3, &tell));
        drop(tell);
        assert_eq!(room.notify(0), 0);
        assert_eq!(room.notify(3), 3);
        assert_eq!(sorted(&reports, 3), [0, 1, 2]);
        until_waiting(&room.condition, 5); // three of them for the second time
        assert_eq!(room.notify(2), 2);
        assert_eq!(sorted(&reports, 2), [3, 4]);
        until_waiting(&room.condition, 5);
        assert_eq!(room.notify(5), 5);
        assert_eq!(sorted(&reports, 5), [0, 1, 2, 3, 4]);
        until_waiting(&room.condition, 5);
        assert_eq!(room.condition.notify_all(&room.lock.enter()), 5);
        assert_eq!(sorted(&reports, 9), [0, 1, 2, 3, 4]); // and then all have gone: no report too many
    }
}

fn i1_notify_all_wakes_all_that_wait_and_nobody_later<L: AnyLock>() {
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    (0..3).for_each(|name| room.waiter(name, 1, &tell));
    let mut guard = room.lock.enter();
    assert_eq!(room.condition.notify_all(&guard), 3);
    assert!(!room.condition.wait_timeout(&mut guard, Duration::ZERO), "too late for this news");
    drop((guard, tell));
    assert_eq!(sorted(&reports, 9), [0, 1, 2]);
}

fn i1_more_notifications_than_waiters_are_forgotten<L: AnyLock>() {
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    (0..2).for_each(|name| room.waiter(name, 1, &tell));
    assert_eq!(room.notify(7), 2);
    assert_eq!(sorted(&reports, 2), [0, 1]);
    room.waiter(2, 1, &tell);
    assert!(waiting(&room.condition, 1));
    assert_eq!(room.notify(1), 1);
    assert_eq!(reports.recv(), Ok(2));
}

fn notified_waiter_goes_on_when_the_notifier_puts_the_lock_down<L: AnyLock>() {
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    room.waiter(0, 1, &tell);
    let guard = room.lock.enter();
    assert_eq!(room.condition.notify(&guard, 1), 1);
    for _ in 0..50 {
        thread::yield_now();
        assert!(reports.recv_timeout(Duration::ZERO).is_err());
    }
    drop(guard);
    assert_eq!(reports.recv(), Ok(0));
}

fn i4_two_conditions_over_one_lock_do_not_mix<L: AnyLock>() {
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    let other = Condition::new();
    room.waiter(0, 1, &tell);
    assert_eq!(other.notify_all(&room.lock.enter()), 0);
    assert!(waiting(&room.condition, 1));
    assert_eq!(room.notify(1), 1);
    assert_eq!(reports.recv(), Ok(0));
}

fn i4_two_locks_under_one_condition_do_not_mix<L: AnyLock>() {
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    let other = L::default();
    room.waiter(0, 1, &tell);
    thread::scope(|scope| {
        scope.spawn(|| room.condition.wait(&mut other.enter()));
        room.waiter(1, 1, &tell);
        until_waiting(&room.condition, 3);
        assert_eq!(room.notify(5), 2);
        assert_eq!(sorted(&reports, 2), [0, 1]);
        assert!(waiting(&room.condition, 1));
        assert_eq!(room.condition.notify(&Lock::new().lock(), 5), 0);
        assert_eq!(room.condition.notify(&other.enter(), 5), 1);
    });
    assert!(waiting(&room.condition, 0));
}

#[test]
fn i3_rlock_is_free_while_its_owner_waits_and_has_its_depth_afterwards() {
    // CPython: RLockTests::test_release_save_unacquired, as far as a guard leaves it possible
    watchdog("the owner waits at depth 3", || {
        let (lock, condition) = (RLock::new(), Condition::new());
        thread::scope(|scope| {
            let owner = scope.spawn(|| {
                let mut guard = lock.lock();
                lock.lock().forget();
                let third = lock.lock();
                let notified = condition.wait_timeout(&mut guard, Duration::MAX);
                let depth = lock.depth();
                drop(third);
                lock.unlock().unwrap();
                (notified, depth, lock.depth())
            });
            until_waiting(&condition, 1);
            let guard = lock.lock();
            assert_eq!(lock.depth(), 1);
            condition.notify(&guard, 1);
            drop(guard);
            assert_eq!(owner.join().unwrap(), (true, 3, 1));
        });
        assert!(!lock.is_locked());
    });
}

// --- out of time ---------------------------------------------------------------------------------

fn nobody_notifies_then_five_waits_run_out_of_time<L: AnyLock>() {
    // CPython: ConditionTests::test_timeout
    let room = Room::<L>::new();
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let mut guard = room.lock.enter();
                let start = Instant::now();
                assert!(!room.condition.wait_timeout(&mut guard, SOON));
                assert!(start.elapsed() >= SOON);
            });
        }
    });
    assert!(waiting(&room.condition, 0));
}

#[test]
fn a_wait_without_time_still_steps_aside_once() {
    let (condition, mut guard) = (Condition::new(), Counting::default());
    assert!(!condition.wait_timeout(&mut guard, Duration::ZERO));
    assert_eq!(guard.0, 1);
}

fn i2_out_of_time_then_notify_goes_to_the_next_waiter<L: AnyLock>() {
    // The hasty one is out of time and cannot have the lock: the notification must not be its.
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    let hasty = Arc::clone(&room);
    let hasty = thread::spawn(move || {
        let mut guard = hasty.lock.enter();
        hasty.condition.wait_timeout(&mut guard, SOON)
    });
    until("the hasty thread waits, or has waited already", || {
        waiting(&room.condition, 1) || hasty.is_finished()
    });
    room.waiter(0, 1, &tell);
    let guard = room.lock.enter();
    until_waiting(&room.condition, 1);
    assert_eq!(room.condition.notify(&guard, 1), 1);
    drop(guard);
    assert_eq!(reports.recv(), Ok(0));
    assert!(!hasty.join().unwrap());
}

fn i2_notified_then_out_of_time_is_notified<L: AnyLock>() {
    let room = Room::<L>::new();
    let waiter = Arc::clone(&room);
    let waiter =
        thread::spawn(move || waiter.condition.wait_timeout(&mut waiter.lock.enter(), SOON));
    until("the thread waits, or has waited already", || {
        waiting(&room.condition, 1) || waiter.is_finished()
    });
    let guard = room.lock.enter();
    let woken = room.condition.notify(&guard, 1);
    let start = Instant::now();
    until("its time is up", || start.elapsed() > SOON);
    drop(guard);
    assert_eq!(waiter.join().unwrap(), woken == 1);
}

// --- predicates ----------------------------------------------------------------------------------

fn wait_for_asks_once_and_once_per_notification<L: AnyLock>() {
    // CPython: ConditionTests::test_waitfor
    let room = Room::<L>::new();
    let (state, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            room.condition.wait_for(&mut room.lock.enter(), || {
                asked.fetch_add(1, SeqCst);
                state.load(SeqCst) == 4
            });
        });
        for step in 1..=4 {
            until_waiting(&room.condition, 1);
            state.store(step, SeqCst);
            assert_eq!(room.notify(1), 1);
        }
    });
    assert_eq!(asked.into_inner(), 5);
}

fn wait_for_timeout_gives_up_although_it_is_notified_meanwhile<L: AnyLock>() {
    // CPython: ConditionTests::test_waitfor_timeout
    let (room, over) = (Room::<L>::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                room.notify(1);
                thread::yield_now();
            }
        });
        let start = Instant::now();
        let answer = room.condition.wait_for_timeout(&mut room.lock.enter(), SOON, || false);
        assert!(!answer && start.elapsed() >= SOON);
        over.store(true, SeqCst);
    });
    assert!(waiting(&room.condition, 0));
}

#[test]
fn yes_at_once_does_not_step_aside_and_no_time_asks_once() {
    let (condition, mut guard, mut asked) = (Condition::new(), Counting::default(), 0);
    condition.wait_for(&mut guard, || true);
    assert!(condition.wait_for_timeout(&mut guard, Duration::ZERO, || true));
    assert!(condition.wait_for_timeout(&mut guard, Duration::MAX, || true));
    let ask = || {
        asked += 1;
        false
    };
    assert!(!condition.wait_for_timeout(&mut guard, Duration::ZERO, ask));
    assert_eq!((guard.0, asked), (0, 1));
}

#[test]
fn out_of_time_then_yes_is_yes() {
    let (condition, mut guard) = (Condition::new(), Counting::default());
    assert!(condition.wait_for_timeout(&mut guard, SOON, second_time()));
}

fn predicate_panics_then_lock_and_condition_are_usable<L: AnyLock>() {
    let (room, (tell, reports)) = (Room::<L>::new(), mpsc::channel());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = room.lock.enter();
        room.condition.wait_for(&mut guard, || -> bool { resume_unwind(Box::new("no answer")) })
    }));
    assert!(outcome.is_err() && waiting(&room.condition, 0));
    room.waiter(0, 1, &tell);
    assert_eq!(room.notify(1), 1);
    assert_eq!(reports.recv(), Ok(0));
}

// --- races ---------------------------------------------------------------------------------------

fn ping_pong_loses_no_notification<L: AnyLock>() {
    let (room, turn) = (Room::<L>::new(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for me in 0..2 {
            let (room, turn) = (&room, &turn);
            scope.spawn(move || {
                let mut guard = room.lock.enter();
                for _ in 0..500 {
                    room.condition.wait_for(&mut guard, || turn.load(SeqCst) % 2 == me);
                    turn.fetch_add(1, SeqCst);
                    room.condition.notify(&guard, 1);
                }
            });
        }
    });
    assert_eq!(turn.into_inner(), 1000);
}

fn i2_waits_that_run_out_of_time_waste_no_notification<L: AnyLock>() {
    // As many waits end as notified as were notified, whatever the clock does.
    let (room, over) = (Room::<L>::new(), AtomicBool::new(false));
    let (notified, woken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for micros in [0, 5, 60] {
            let (room, over, notified) = (&room, &over, &notified);
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    let mut guard = room.lock.enter();
                    let limit = Duration::from_micros(micros);
                    notified
                        .fetch_add(room.condition.wait_timeout(&mut guard, limit).into(), SeqCst);
                }
            });
        }
        for _ in 0..300 {
            woken.fetch_add(room.notify(2), SeqCst);
            thread::yield_now();
        }
        over.store(true, SeqCst);
    });
    assert_eq!(notified.into_inner(), woken.into_inner());
    assert!(waiting(&room.condition, 0));
}

// --- the trap and the exercises ------------------------------------------------------------------

#[test]
fn a_count_of_news_is_heard_by_the_thread_that_made_it() {
    assert_eq!(watchdog("the wrong version ends by itself", wrong::ask_by_small_news), None);
}

#[test]
fn a_count_of_news_fails_under_every_schedule() {
    watchdog("all schedules of one program", || {
        let report = explore(Limits::all(), wrong::ask_by_schedule);
        assert!(report.is_complete && report.failures() == report.schedules, "{report}");
        assert_eq!(report.schedules, 54);
    });
}

/// A guard whose lock comes free and whose condition is notified at once.
struct Prompt<'a>(&'a Condition);

impl Guard for Prompt<'_> {
    fn unlocked<R>(&mut self, f: impl FnOnce() -> R + Send) -> R {
        assert_eq!(self.0.notify(self, 1), 1, "the lock is free, and nobody waits");
        f()
    }

    fn lock_address(&self) -> usize {
        1
    }
}

// With (1) inside the closure, a notification that comes as soon as the lock is free finds nobody
// in the queue, and is lost. This test is red each time. The others may see it by chance: in
// `ping_pong…` both threads then sleep, and a notifier that waits for the lock of a waiter, as in
// `i1_notify_wakes_the_oldest…`, comes too early.
#[test]
fn try_2_notified_between_the_release_and_the_sleep_is_notified() {
    let condition = Condition::new();
    assert!(condition.wait_timeout(&mut Prompt(&condition), Duration::ZERO));
    assert!(condition.wait_for_timeout(&mut Prompt(&condition), SOON, second_time()));
}

/// Says yes when it is asked for the second time.
fn second_time() -> impl FnMut() -> bool {
    let mut asked = 0;
    move || {
        asked += 1;
        asked == 2
    }
}

#[test]
fn try_1_the_notifier_waits_behind_those_it_did_not_wake() {
    // B and C.
    watchdog("B and C are woken in turn", || {
        let (room, (tell, reports)) = (Room::<Lock>::new(), mpsc::channel());
        let [a, b, c] = [0, 1, 2];
        room.waiter(a, 1, &tell);
        room.waiter(b, 1, &tell);
        let room_of_c = Arc::clone(&room);
        let thread_c = thread::spawn(move || {
            let mut guard = room_of_c.lock.lock();
            room_of_c.condition.notify(&guard, 1);
            room_of_c.condition.wait(&mut guard);
            c
        });
        assert_eq!(reports.recv(), Ok(a));
        until_waiting(&room.condition, 2);
        room.notify(1);
        assert_eq!(reports.recv(), Ok(b));
        room.notify(1);
        assert_eq!(thread_c.join().unwrap(), c);
    });
}

/// Try 3: one lock, two conditions.
#[derive(Default)]
struct Buffer {
    lock: Lock,
    not_full: Condition,
    not_empty: Condition,
    items: Mutex<VecDeque<usize>>,
}

impl Buffer {
    const CAPACITY: usize = 3;

    fn put(&self, item: usize) {
        let mut guard = self.lock.lock();
        self.not_full.wait_for(&mut guard, || self.items.lock().unwrap().len() < Self::CAPACITY);
        self.items.lock().unwrap().push_back(item);
        self.not_empty.notify(&guard, 1);
    }

    fn take(&self) -> usize {
        let mut guard = self.lock.lock();
        self.not_empty.wait_for(&mut guard, || !self.items.lock().unwrap().is_empty());
        let item = self.items.lock().unwrap().pop_front(); // still there: the lock is held
        self.not_full.notify(&guard, 1);
        item.unwrap()
    }
}

#[test]
fn try_3_bounded_buffer_passes_everything_once() {
    watchdog("2 × 600 items pass through 3 places", || {
        let (buffer, sum) = (Buffer::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (1..=600).for_each(|item| buffer.put(item)));
                scope.spawn(|| sum.fetch_add((0..600).map(|_| buffer.take()).sum(), SeqCst));
            }
        });
        assert_eq!(sum.into_inner(), 600 * 601);
    });
}
