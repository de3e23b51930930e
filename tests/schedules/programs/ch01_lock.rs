//! Chapter 01: two are never inside, and nobody sleeps by a free lock.

use super::ch01_lock::{Lock, UnlockError};
use crate::program::{Alone, bound, programs, spurious};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

fn enter(lock: &Lock, alone: &Alone) {
    let _guard = lock.lock();
    alone.visit();
}

programs! {
    fn two_enter(bound(4), 54) {
        let (lock, alone) = (Lock::new(), Alone::default());
        thread::scope(|scope| {
            scope.spawn(|| enter(&lock, &alone));
            enter(&lock, &alone);
        });
        assert!(!lock.is_locked());
    }

    fn two_enter_and_one_wakes_for_nothing(spurious(3), 91) {
        two_enter();
    }

    fn three_enter(bound(2), 466) {
        let (lock, alone) = (Lock::new(), Alone::default());
        thread::scope(|scope| {
            scope.spawn(|| enter(&lock, &alone));
            scope.spawn(|| enter(&lock, &alone));
            enter(&lock, &alone);
        });
    }

    fn two_wait_one_with_a_limit(bound(2), 434) {
        let (lock, alone) = (Lock::new(), Alone::default());
        let held = lock.lock();
        thread::scope(|scope| {
            scope.spawn(|| {
                if let Some(_guard) = lock.lock_timeout(LIMIT) {
                    alone.visit();
                }
            });
            scope.spawn(|| enter(&lock, &alone));
            drop(held);
        });
    }

    /// The limit of one passes, and with it that of the other, which was notified just before.
    fn two_limits_pass_and_one_waits_on(bound(0), 442) {
        let (lock, alone) = (Lock::new(), Alone::default());
        let held = lock.lock();
        thread::scope(|scope| {
            let take_in_time = || drop(lock.lock_timeout(LIMIT));
            scope.spawn(take_in_time);
            scope.spawn(take_in_time);
            scope.spawn(|| enter(&lock, &alone));
            thread::park_timeout(LIMIT / 2); // until nobody else can go on
            drop(held);
        });
    }

    fn a_limit_passes_and_the_lock_is_released(bound(3), 22) {
        let lock = Lock::new();
        let held = lock.lock();
        thread::scope(|scope| {
            let late = scope.spawn(|| lock.lock_timeout(LIMIT).is_none());
            drop(held);
            late.join().unwrap();
            assert!(lock.try_lock().is_some());
        });
    }

    fn a_forgotten_guard_is_released_by_one_of_two(bound(4), 6) {
        let lock = Lock::new();
        lock.lock().forget();
        thread::scope(|scope| {
            let other = scope.spawn(|| lock.unlock());
            let (mine, other) = (lock.unlock(), other.join().unwrap());
            let (first, second) = if mine.is_ok() { (mine, other) } else { (other, mine) };
            assert_eq!((first, second), (Ok(()), Err(UnlockError::NotLocked)));
        });
    }

    fn one_steps_aside(bound(3), 72) {
        let (lock, alone) = (Lock::new(), Alone::default());
        thread::scope(|scope| {
            scope.spawn(|| enter(&lock, &alone));
            let mut guard = lock.lock();
            guard.unlocked(|| ());
            alone.visit();
            drop(guard);
        });
    }
}
