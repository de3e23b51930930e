//! Chapter 07: nobody sleeps beside an item or a free place, and nothing is lost.

use super::ch07_queue::{Queue, QueueError};
use crate::program::{bound, programs, spurious};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

programs! {
    fn two_push_and_two_pop_through_one_place(bound(0), 612) {
        let queue = Queue::bounded(1);
        thread::scope(|scope| {
            scope.spawn(|| queue.push(1).unwrap());
            scope.spawn(|| queue.push(2).unwrap());
            scope.spawn(|| queue.pop().unwrap());
            scope.spawn(|| queue.pop().unwrap());
        });
        assert!(queue.is_empty());
    }

    fn two_are_pushed_while_two_pop(bound(1), 73) {
        let queue = Queue::unbounded();
        thread::scope(|scope| {
            scope.spawn(|| queue.pop().unwrap());
            scope.spawn(|| queue.pop().unwrap());
            queue.push(1).unwrap();
            queue.push(2).unwrap();
        });
    }

    fn one_is_pushed_and_one_popped(spurious(3), 20) {
        let queue = Queue::bounded(1);
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(queue.pop(), Some(1)));
            queue.push(1).unwrap();
        });
    }

    fn a_close_frees_a_popper_and_a_pusher(bound(1), 37) {
        let queue = Queue::bounded(1);
        queue.push(1).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| queue.push(2).is_ok());
            scope.spawn(|| queue.pops().count());
            queue.close();
        });
    }

    fn a_close_gives_a_pusher_its_item_back(bound(2), 13) {
        let queue = Queue::bounded(1);
        queue.push(1).unwrap();
        thread::scope(|scope| {
            let pusher = scope.spawn(|| queue.push(2));
            queue.close();
            assert_eq!(pusher.join().unwrap().unwrap_err().item, 2);
        });
    }

    fn a_limit_passes_while_an_item_comes(bound(3), 18) {
        let queue = Queue::unbounded();
        thread::scope(|scope| {
            let popper = scope.spawn(|| queue.pop_timeout(LIMIT));
            queue.push(1).unwrap();
            match popper.join().unwrap() {
                Ok(item) => assert_eq!((item, queue.len()), (1, 0)),
                Err(why) => assert_eq!((why, queue.len()), (QueueError::TimedOut, 1)),
            }
        });
    }

    fn all_are_taken_at_once_while_two_push(bound(3), 42) {
        let queue = Queue::bounded(1);
        queue.push(1).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| queue.push(2).unwrap());
            let mut items = queue.take_all();
            while items.len() < 2 {
                items.extend(queue.pop());
            }
            assert_eq!(items, [1, 2]);
        });
    }
}
