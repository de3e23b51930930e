//! Chapter 31: every schedule of small programs, and what the explorer says of them.

#[path = "ch31_schedules/game.rs"]
mod game;
mod support;

use concurrent_explained::ch31_schedules::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use concurrent_explained::ch31_schedules::sync::mpsc::{RecvError, RecvTimeoutError, channel};
use concurrent_explained::ch31_schedules::sync::{Arc, Barrier, Condvar, Mutex};
use concurrent_explained::ch31_schedules::time::{Duration, Instant};
use concurrent_explained::ch31_schedules::{End, Limits, Report, explore, replay, thread, watch};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Wrong: reads and writes in two steps.
fn counter() -> usize {
    let counter = Arc::new(AtomicUsize::new(0));
    let other = counter.clone();
    let add = |counter: &AtomicUsize| {
        let read = counter.load(SeqCst);
        counter.store(read + 1, SeqCst);
    };
    let thread = thread::spawn(move || add(&other));
    add(&counter);
    thread.join().unwrap();
    counter.load(SeqCst)
}

/// Threads a, b, … with so many steps each: the orders in which they were seen to make them.
fn orders_of(steps: &'static [usize]) -> BTreeSet<String> {
    let report = explore(Limits::all(), || {
        let seen = std::sync::Mutex::new(String::new()); // std's own: no step
        let number = AtomicUsize::new(0);
        thread::scope(|scope| {
            for (thread, &steps) in steps.iter().enumerate() {
                let (seen, number) = (&seen, &number);
                scope.spawn(move || {
                    for _ in 0..steps {
                        number.load(SeqCst);
                        seen.lock().unwrap().push(char::from(b'a' + thread as u8));
                    }
                });
            }
        });
        seen.into_inner().unwrap()
    });
    assert!(report.is_complete && report.failures() == 0, "{report}");
    report.outcomes.iter().map(|outcome| outcome.end.to_string()).collect()
}

/// Wrong: looks, lets go of the mutex, and sleeps.
fn lost_wake_up() {
    let pair = Arc::new((Mutex::new(true), Condvar::new()));
    let other = pair.clone();
    let waiter = thread::spawn(move || {
        let taken = *other.0.lock().unwrap();
        if taken {
            let guard = other.0.lock().unwrap();
            drop(other.1.wait(guard).unwrap());
        }
    });
    *pair.0.lock().unwrap() = false;
    pair.1.notify_one();
    waiter.join().unwrap();
}

#[derive(Default)]
struct LockByIf {
    taken: Mutex<bool>,
    freed: Condvar,
}

impl LockByIf {
    /// Wrong: awake is not yet next.
    fn lock(&self) {
        let mut taken = self.taken.lock().unwrap();
        if *taken {
            taken = self.freed.wait(taken).unwrap();
        }
        *taken = true;
    }

    fn unlock(&self) {
        *self.taken.lock().unwrap() = false;
        self.freed.notify_one();
    }
}

/// True if another thread got the lock that this one still holds.
fn lock_by_if() -> bool {
    let lock = Arc::new(LockByIf::default());
    let other = lock.clone();
    lock.lock();
    let thread = thread::spawn(move || other.lock());
    let two_inside = thread.is_finished();
    lock.unlock();
    thread.join().unwrap();
    two_inside
}

fn count(report: &Report, end: impl Fn(&End) -> bool) -> usize {
    report.outcomes.iter().filter(|outcome| end(&outcome.end)).map(|outcome| outcome.count).sum()
}

fn returned(report: &Report, value: &str) -> usize {
    count(report, |end| *end == End::Returned(value.into()))
}

#[track_caller]
fn all(limits: Limits, body: impl Fn() + Send + Sync + 'static) -> usize {
    let report = explore(limits, body);
    assert!(report.is_complete && report.failures() == 0, "{report}");
    report.schedules
}

#[test]
fn an_addition_is_lost_in_four_of_six_orders() {
    let orders = orders_of(&[2, 2]);
    // a loads, b loads, a stores, b stores: whose load comes before the other's store loses one.
    let loses = |order: &str| !order.contains("aabb") && !order.contains("bbaa");
    assert_eq!((orders.len(), orders.iter().filter(|order| loses(order)).count()), (6, 4));
    // Where the join falls between them makes six orders 20 schedules.
    let report = explore(Limits::all(), counter);
    assert!(report.is_complete, "{report}");
    assert_eq!((returned(&report, "1"), returned(&report, "2")), (9, 11), "{report}");
    assert_eq!(returned(&explore(Limits::preemptions(0), counter), "1"), 0);
}

#[test]
fn five_of_23_schedules_lose_a_wake_up() {
    let report = explore(Limits::all(), lost_wake_up);
    assert!(report.is_complete, "{report}");
    assert_eq!((report.schedules, report.failures()), (23, 5), "{report}");
    assert_eq!(report.failure().unwrap().schedule, "101");
    for (preemptions, schedules, failures) in [(0, 1, 0), (1, 4, 0), (2, 10, 1)] {
        let report = explore(Limits::preemptions(preemptions), lost_wake_up);
        assert_eq!((report.schedules, report.failures()), (schedules, failures), "{report}");
    }
}

#[test]
fn one_of_87_schedules_breaks_the_lock_with_if() {
    let report = explore(Limits::all(), lock_by_if);
    assert_eq!((report.schedules, returned(&report, "true")), (33, 0), "{report}");
    let report = explore(Limits { spurious: 1, ..Limits::all() }, lock_by_if);
    assert_eq!((report.schedules, returned(&report, "true")), (87, 1), "{report}");
}

/// `producers` and `consumers` on one condvar and `notify_one`, round a buffer of `capacity`.
fn one_condvar(producers: usize, consumers: usize, capacity: usize, each: usize) {
    let (items, news) = (Mutex::new(0), Condvar::new());
    thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                for _ in 0..each {
                    let mut items = items.lock().unwrap();
                    while *items == capacity {
                        items = news.wait(items).unwrap();
                    }
                    *items += 1;
                    news.notify_one();
                }
            });
        }
        for _ in 0..consumers {
            scope.spawn(|| {
                for _ in 0..producers * each / consumers {
                    let mut items = items.lock().unwrap();
                    while *items == 0 {
                        items = news.wait(items).unwrap();
                    }
                    *items -= 1;
                    news.notify_one();
                }
            });
        }
    });
}

#[test]
fn one_condvar_is_too_few_exactly_if_2_capacity_is_less_than_producers_and_consumers() {
    let configurations =
        [(1, 1, 1, 3), (2, 1, 1, 2), (1, 2, 1, 2), (2, 1, 2, 2), (2, 2, 2, 2), (2, 2, 1, 1)];
    for (producers, consumers, capacity, each) in configurations {
        let limits = Limits { stuck: 1, ..Limits::preemptions(0) };
        let report = explore(limits, move || one_condvar(producers, consumers, capacity, each));
        let deadlocks = count(&report, |end| matches!(end, End::Deadlock(_)));
        let few = 2 * capacity < producers + consumers;
        assert_eq!(deadlocks > 0, few, "{producers} + {consumers} at {capacity}: {report}");
        assert!(few || report.is_complete, "{report}");
    }
}

#[test]
fn i1_only_one_thread_runs_at_a_time() {
    // std's own lock, held across what is no step: it is never found taken.
    all(Limits::all(), || {
        let (alone, number) = (std::sync::Mutex::new(()), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    number.load(SeqCst);
                    let _alone = alone.try_lock().expect("nobody else runs");
                });
            }
        });
    });
}

#[test]
fn i2_a_schedule_is_the_same_story_each_time() {
    let report = explore(Limits::all(), lost_wake_up);
    for outcome in &report.outcomes {
        let stories: BTreeSet<String> =
            (0..3).map(|_| replay(&outcome.schedule, lost_wake_up).to_string()).collect();
        assert_eq!(stories.len(), 1, "{stories:?}");
        assert_eq!(replay(&outcome.schedule, lost_wake_up).end, outcome.end);
    }
}

#[test]
fn i2_a_schedule_with_a_spurious_wake_up_replays_too() {
    let report = explore(Limits { spurious: 1, ..Limits::all() }, lock_by_if);
    let broken = report.outcomes.iter().find(|o| o.end == End::Returned("true".into())).unwrap();
    assert_eq!(replay(&broken.schedule, lock_by_if).end, broken.end);
}

#[test]
fn i3_all_orders_are_seen_and_each_schedule_once() {
    assert_eq!(orders_of(&[1, 1]).len(), 2);
    assert_eq!(orders_of(&[3, 3]).len(), 20); // 6 over 3
    assert_eq!(orders_of(&[1, 1, 1]).len(), 6); // 3!
}

#[test]
fn i3_more_preemptions_only_add_schedules() {
    let schedules = |preemptions| explore(Limits::preemptions(preemptions), counter).schedules;
    let counts: Vec<usize> = (0..6).map(schedules).collect();
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(counts.last(), Some(&explore(Limits::all(), counter).schedules));
}

#[test]
fn i4_stuck_threads_are_not_unwound_and_end_the_search_in_time() {
    struct Unwound;
    impl Drop for Unwound {
        fn drop(&mut self) {
            panic!("a stuck thread was unwound");
        }
    }
    let stuck = || {
        let _unwound = Unwound;
        let lock = Mutex::new(());
        let _twice = (lock.lock(), lock.lock());
    };
    let limits = Limits { stuck: 1, ..Limits::all() };
    let report = explore(limits, stuck);
    assert_eq!((report.schedules, report.is_complete), (1, true));
    let report = explore(Limits { stuck: 2, ..Limits::all() }, lost_wake_up);
    assert_eq!((report.failures(), report.is_complete), (2, false), "{report}");
}

#[test]
fn i4_two_locks_in_two_orders_are_a_deadlock_that_names_both() {
    let report = explore(Limits::all(), || {
        let (left, right) = (Mutex::new(()), Mutex::new(()));
        thread::scope(|scope| {
            scope.spawn(|| drop((left.lock().unwrap(), right.lock().unwrap())));
            drop((right.lock().unwrap(), left.lock().unwrap()));
        });
    });
    let end = &report.failure().unwrap().end;
    assert!(matches!(end, End::Deadlock(_)));
    let text = end.to_string();
    assert!(text.contains("A waits for the mutex of B (ch31_schedules.rs:"), "{text}");
    assert!(text.contains("B waits for the mutex of A (ch31_schedules.rs:"), "{text}");
}

#[test]
fn i4_threads_that_only_yield_to_each_other_are_a_livelock() {
    let limits = Limits { stuck: 1, steps: 200, ..Limits::preemptions(0) };
    let report = explore(limits, || {
        let flag = AtomicUsize::new(0);
        while flag.load(SeqCst) == 0 {
            thread::yield_now();
        }
    });
    assert!(matches!(report.outcomes[0].end, End::Livelock(_)), "{report}");
}

#[test]
fn i5_a_body_that_is_not_deterministic_is_an_error_that_says_so() {
    static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let report = explore(Limits::all(), || {
        let number = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| number.load(SeqCst));
            if RUNS.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                number.load(SeqCst);
            }
            number.load(SeqCst);
        });
    });
    let last = report.outcomes.last().unwrap();
    assert_eq!((&last.end, report.is_complete), (&End::Changed, false), "{report}");
    assert!(last.end.to_string().contains("not deterministic"));
}

#[test]
fn a_schedule_that_does_not_fit_is_an_error_that_says_so() {
    assert_eq!(replay("z", counter).end, End::Changed);
    let refused = catch_unwind(AssertUnwindSafe(|| replay("no schedule!", counter)));
    assert!(refused.is_err());
}

#[test]
fn i6_outside_of_explore_the_names_are_those_of_std() {
    support::watchdog("the names outside of explore", || {
        let (sender, receiver) = channel();
        let (go, gate) = channel();
        let child = thread::spawn(move || {
            gate.recv().unwrap();
            sender.send(thread::current().id()).unwrap();
        });
        assert!(!child.is_finished());
        let limit = Duration::from_millis(1);
        let start = Instant::now();
        assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= limit);
        let id = child.thread().id();
        go.send(()).unwrap();
        assert_eq!(receiver.recv(), Ok(id));
        assert_eq!(receiver.recv(), Err(RecvError));
        child.join().unwrap();

        let barrier = Barrier::new(3);
        let leaders = AtomicUsize::new(0);
        let come = || leaders.fetch_add(usize::from(barrier.wait().is_leader()), SeqCst);
        thread::scope(|scope| {
            scope.spawn(come);
            scope.spawn(come);
            come();
        });
        assert_eq!(leaders.load(SeqCst), 1);
    });
}

#[test]
fn the_panic_of_a_scoped_thread_reaches_its_scope_as_in_std() {
    let report = explore(Limits::all(), || {
        thread::scope(|scope| _ = scope.spawn(|| panic!("in a scope")));
    });
    let end = report.outcomes[0].end.to_string();
    assert!(end.starts_with("panicked: a scoped thread panicked"), "{end}");
    assert_eq!(report.outcomes.len(), 1, "{report}");
}

#[test]
fn a_panic_is_a_finding_with_its_line_and_is_not_printed() {
    let line = line!() + 1;
    let report = explore(Limits::all(), || panic!("one and one is three"));
    let End::Panicked(message) = &report.outcomes[0].end else { panic!("{report}") };
    assert_eq!(*message, format!("one and one is three (ch31_schedules.rs:{line})"));
}

#[test]
fn a_limit_that_runs_out_is_a_choice_and_time_passes_by_itself_if_nobody_can_go_on() {
    let wait = || {
        let news = Arc::new((Mutex::new(false), Condvar::new()));
        let other = news.clone();
        let thread = thread::spawn(move || {
            *other.0.lock().unwrap() = true;
            other.1.notify_one();
        });
        let start = Instant::now();
        let day = Duration::from_secs(86_400);
        let guard = news.0.lock().unwrap();
        let (came, wait) = news.1.wait_timeout_while(guard, day, |came| !*came).unwrap();
        assert_eq!(wait.timed_out(), !*came);
        assert_eq!(wait.timed_out(), start.elapsed() >= day && !*came);
        drop(came);
        thread.join().unwrap();
        wait.timed_out()
    };
    let report = explore(Limits::all(), wait);
    assert!(report.is_complete && report.failures() == 0, "{report}");
    assert!(returned(&report, "true") > 0 && returned(&report, "false") > 0, "{report}");
    let report = explore(Limits { timeouts: 0, ..Limits::all() }, wait);
    assert_eq!(returned(&report, "true"), 0, "{report}");
    all(Limits::all(), || {
        let start = Instant::now();
        thread::park_timeout(Duration::from_secs(3_600)); // takes no time
        assert_eq!(start.elapsed(), Duration::from_secs(3_600));
        assert_eq!(start.checked_add(Duration::MAX), None);
    });
}

#[test]
fn which_of_the_sleepers_is_notified_is_a_choice() {
    let report = explore(Limits::preemptions(0), || {
        let (state, news) = (Mutex::new((0, Vec::new())), Condvar::new());
        thread::scope(|scope| {
            let (state, news) = (&state, &news);
            for thread in 0..3 {
                scope.spawn(move || {
                    let mut guard = state.lock().unwrap();
                    guard.0 += 1;
                    guard = news.wait(guard).unwrap();
                    guard.1.push(thread);
                });
            }
            scope.spawn(move || {
                while state.lock().unwrap().0 < 3 {
                    thread::yield_now();
                }
                for awake in 1..=3 {
                    news.notify_one();
                    while state.lock().unwrap().1.len() < awake {
                        thread::yield_now();
                    }
                }
            });
        });
        state.into_inner().unwrap().1
    });
    assert!(report.is_complete && report.failures() == 0, "{report}");
    assert_eq!(report.outcomes.len(), 6, "{report}"); // 3!
}

#[test]
fn a_random_search_repeats_with_its_seed_and_finds_what_there_is() {
    let limits = |seed| Limits { seed: Some(seed), schedules: 200, ..Limits::all() };
    let (report, again) = (explore(limits(1), lost_wake_up), explore(limits(1), lost_wake_up));
    assert!(report.failures() > 0 && !report.is_complete, "{report}");
    assert_eq!(report.to_string(), again.to_string());
    assert_ne!(report.to_string(), explore(limits(2), lost_wake_up).to_string());
    let failure = report.failure().unwrap();
    assert_eq!(replay(&failure.schedule, lost_wake_up).end, failure.end);
}

#[test]
fn a_wait_for_something_that_is_not_explored_is_named() {
    let patience = Duration::from_millis(200);
    let report = explore(Limits { stuck: 1, patience, ..Limits::all() }, || {
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let number = AtomicUsize::new(0);
        number.load(SeqCst);
        _ = receiver.recv();
    });
    assert!(matches!(&report.outcomes[0].end, End::Blocked(_)), "{report}");
}

#[test]
fn what_is_watched_is_shown_at_each_choice() {
    let story = replay("1", || {
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let (seen, other) = (pair.clone(), pair.clone());
        watch("number", move || match seen.0.try_lock() {
            Ok(number) => number.to_string(),
            Err(_) => "taken".into(),
        });
        let thread = thread::spawn(move || *other.0.lock().unwrap() += 1);
        *pair.0.lock().unwrap() += 1;
        thread.join().unwrap();
    });
    let shown: Vec<&str> = story.moments.iter().map(|moment| moment.shared[0].1.as_str()).collect();
    assert_eq!(shown, ["0", "0"], "{story}");
}

#[test]
fn try_1_two_threads_with_three_loads_each_have_20_orders() {
    assert_eq!(orders_of(&[3, 3]).len(), 20); // 6 over 3
}

// With the two lines swapped a thread sleeps with its mutex taken: every program here in which one
// thread waits and another locks is a deadlock, and these tests go red, at once:
// five_of_23_schedules_lose_a_wake_up, one_of_87_schedules_breaks_the_lock_with_if,
// one_condvar_is_too_few_…, a_limit_that_runs_out_is_a_choice_…, which_of_the_sleepers_….
#[test]
fn try_2_to_unlock_and_to_sleep_are_one_step() {
    // Between the lines nobody else runs, so whoever has the mutex next finds the sleeper asleep.
    all(Limits::preemptions(3), || {
        let (asleep, news) = (Mutex::new(false), Condvar::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = asleep.lock().unwrap();
                *guard = true;
                drop(news.wait(guard).unwrap());
            });
            while !*asleep.lock().unwrap() {
                thread::yield_now();
            }
            news.notify_one();
        });
    });
}

#[test]
fn try_3_a_limit_that_runs_out_loses_an_item() {
    let report = explore(Limits::all(), || {
        let queue = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let other = queue.clone();
        let popper = thread::spawn(move || {
            let (items, news) = &*other;
            let limit = Duration::from_secs(1);
            let (mut items, wait) = news.wait_timeout(items.lock().unwrap(), limit).unwrap();
            // Wrong: the clock decides, and not the look.
            if wait.timed_out() { None } else { items.pop() }
        });
        queue.0.lock().unwrap().push("item");
        queue.1.notify_one();
        let popped = popper.join().unwrap();
        (popped, queue.0.lock().unwrap().len())
    });
    assert!(returned(&report, "(None, 1)") > 0, "{report}");
}
