//! Chapter 05: no permit is lost or made, and the line moves whenever it can.

use super::ch05_semaphore::Semaphore;
use crate::program::{Alone, bound, programs};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

fn enter(semaphore: &Semaphore, alone: &Alone) {
    let _permit = semaphore.acquire();
    alone.visit();
}

programs! {
    fn three_share_one_permit(bound(2), 397) {
        let (semaphore, alone) = (Semaphore::new(1), Alone::default());
        thread::scope(|scope| {
            scope.spawn(|| enter(&semaphore, &alone));
            scope.spawn(|| enter(&semaphore, &alone));
            enter(&semaphore, &alone);
        });
        assert_eq!(semaphore.available(), 1);
    }

    fn one_wants_both_of_two(bound(2), 143) {
        let semaphore = Semaphore::new(2);
        let held = semaphore.acquire();
        thread::scope(|scope| {
            scope.spawn(|| drop(semaphore.acquire_many(2)));
            scope.spawn(|| drop(semaphore.acquire()));
            drop(held);
        });
        assert_eq!(semaphore.available(), 2);
    }

    fn two_permits_free_two(bound(1), 211) {
        let semaphore = Semaphore::new(2);
        let held = semaphore.acquire_many(2);
        thread::scope(|scope| {
            let first = scope.spawn(|| std::mem::forget(semaphore.acquire()));
            let second = scope.spawn(|| std::mem::forget(semaphore.acquire()));
            while !format!("{semaphore:?}").contains("waiting: 2") {
                thread::yield_now();
            }
            drop(held);
            first.join().unwrap();
            second.join().unwrap();
        });
        assert_eq!(semaphore.available(), 0);
    }

    /// The first in line gives up, and the second could go all the time.
    fn a_limit_passes_in_front_of_another(bound(2), 221) {
        let semaphore = Semaphore::new(2);
        let held = semaphore.acquire();
        thread::scope(|scope| {
            scope.spawn(|| drop(semaphore.acquire_many_timeout(2, LIMIT)));
            let second = scope.spawn(|| drop(semaphore.acquire()));
            second.join().unwrap();
            drop(held);
        });
        assert_eq!(semaphore.available(), 2);
    }

    fn a_permit_is_released_by_hand_while_another_waits(bound(4), 19) {
        let semaphore = Semaphore::new(0);
        thread::scope(|scope| {
            scope.spawn(|| semaphore.acquire().forget());
            semaphore.release(1).unwrap();
        });
        assert_eq!(semaphore.available(), 0);
    }

    fn a_limit_passes_and_the_permit_is_released(bound(3), 22) {
        let semaphore = Semaphore::new(1);
        let held = semaphore.acquire();
        thread::scope(|scope| {
            scope.spawn(|| drop(semaphore.acquire_timeout(LIMIT)));
            drop(held);
        });
        assert_eq!(semaphore.available(), 1);
    }
}
