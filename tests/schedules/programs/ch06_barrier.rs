//! Chapter 06: rounds do not overlap, and all of a round have the same outcome.

use super::ch06_barrier::Barrier;
use crate::program::{bound, programs};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

programs! {
    fn two_meet_twice(bound(3), 133) {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| (barrier.wait().unwrap(), barrier.wait().unwrap()));
            (barrier.wait().unwrap(), barrier.wait().unwrap())
        });
    }

    fn nobody_passes_before_the_action_has_run(bound(2), 22) {
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let act = done.clone();
        let barrier = Barrier::new(2).with_action(move || act.store(true, SeqCst));
        let meet = || {
            barrier.wait().unwrap();
            assert!(done.load(SeqCst));
        };
        thread::scope(|scope| {
            scope.spawn(meet);
            meet();
        });
    }

    fn three_meet_and_each_has_its_number(bound(1), 59) {
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            let other = scope.spawn(|| barrier.wait().unwrap());
            let third = scope.spawn(|| barrier.wait().unwrap());
            let mine = barrier.wait().unwrap();
            let mut numbers = [mine, other.join().unwrap(), third.join().unwrap()];
            numbers.sort();
            assert_eq!(numbers, [0, 1, 2]);
        });
    }

    fn a_limit_passes_while_the_last_one_comes(bound(3), 55) {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let early = scope.spawn(|| barrier.wait_timeout(LIMIT));
            let last = barrier.wait();
            let early = early.join().unwrap();
            assert_eq!(early.is_ok(), last.is_ok());
            assert_eq!(barrier.is_broken(), last.is_err());
        });
    }

    fn an_abort_reaches_the_one_that_waits_or_comes(bound(3), 26) {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait());
            barrier.abort();
            assert!(waiter.join().unwrap().is_err());
        });
    }
}
