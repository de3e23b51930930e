//! Chapter 02: the owner comes in again, nobody else does.

use super::ch02_rlock::{RLock, RUnlockError};
use crate::program::{Alone, bound, programs};
use std::thread;

fn enter_twice(lock: &RLock, alone: &Alone) {
    let outer = lock.lock();
    let inner = lock.lock();
    drop(outer);
    alone.visit();
    drop(inner);
}

programs! {
    fn two_enter_twice(bound(3), 255) {
        let (lock, alone) = (RLock::new(), Alone::default());
        thread::scope(|scope| {
            scope.spawn(|| enter_twice(&lock, &alone));
            enter_twice(&lock, &alone);
        });
        assert!(!lock.is_locked());
    }

    fn a_level_is_not_given_back_by_another_thread(bound(4), 10) {
        let lock = RLock::new();
        let guard = lock.lock();
        thread::scope(|scope| {
            scope.spawn(|| {
                let refused = lock.unlock();
                assert!(!matches!(refused, Ok(()) | Err(RUnlockError::Guarded)));
            });
            drop(guard);
        });
        assert!(!lock.is_locked());
    }

    fn one_steps_aside_from_two_levels(bound(2), 156) {
        let (lock, alone) = (RLock::new(), Alone::default());
        thread::scope(|scope| {
            scope.spawn(|| {
                let _guard = lock.lock();
                alone.visit();
            });
            let outer = lock.lock();
            let mut inner = lock.lock();
            inner.unlocked(|| ());
            alone.visit();
            assert_eq!(lock.depth(), 2);
            drop((inner, outer));
        });
    }
}
