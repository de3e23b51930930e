//! Chapter 04: a set is heard by all who wait, however soon it is cleared.

use super::ch04_event::Event;
use crate::program::{bound, programs, spurious};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

fn until_waiting(event: &Event, waiting: usize) {
    while !format!("{event:?}").contains(&format!("waiting: {waiting}")) {
        thread::yield_now();
    }
}

programs! {
    fn a_set_frees_two(bound(2), 190) {
        let event = Event::new();
        thread::scope(|scope| {
            scope.spawn(|| event.wait());
            scope.spawn(|| event.wait());
            event.set();
        });
    }

    fn set_then_clear_frees_the_one_that_waits(bound(3), 294) {
        let event = Event::new();
        thread::scope(|scope| {
            scope.spawn(|| event.wait());
            until_waiting(&event, 1);
            event.set();
            event.clear();
        });
    }

    fn nobody_is_free_before_the_set(spurious(2), 153) {
        let event = Event::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| event.wait());
            until_waiting(&event, 1);
            assert!(!waiter.is_finished());
            event.set();
        });
    }

    fn a_limit_passes_while_it_is_set_and_cleared(bound(3), 19) {
        let event = Event::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| event.wait_timeout(LIMIT));
            event.set();
            let came = waiter.join().unwrap();
            event.clear();
            assert!(came || !event.wait_timeout(LIMIT));
            assert!(format!("{event:?}").contains("waiting: 0"), "{event:?}");
        });
    }
}
