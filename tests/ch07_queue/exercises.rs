//! The answers to the exercises of chapter 07.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use concurrent_explained::Queue;
use concurrent_explained::QueueError::TimedOut;

use crate::support::{until, watchdog};
use crate::until_waiting;

/// Two queues of five and the thread between them hold eleven; one queue of ten holds ten.
#[test]
fn try_1_two_queues_of_five_with_a_mover_let_the_pusher_run_eleven_ahead() {
    watchdog("a pusher that runs ahead", || {
        let [front, back] = [(); 2].map(|()| Queue::bounded(5));
        let pushed = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| front.pops().try_for_each(|n| back.push(n)));
            scope.spawn(|| {
                while front.push(()).is_ok() {
                    pushed.fetch_add(1, Ordering::Relaxed);
                }
            });
            until("eleven are in", || pushed.load(Ordering::Relaxed) >= 11);
            until_waiting(&back, 5, 0, 1); // the mover holds one item
            until_waiting(&front, 5, 0, 1);
            assert_eq!(pushed.load(Ordering::Relaxed), 11);
            front.close_now();
            back.close();
        });
    });
}

/// With `state.items.len() == 1` in (2), `i2_two_poppers_sleep_then_two_pushes_in_a_row_free_both`
/// hangs: the second push notifies nobody. The tests with one popper do not notice, because a
/// popper that is awake looks for the next item before it sleeps; the crowds do not either, because
/// their threads rarely sleep. Here is the rule by itself. A sleeper may wake without a
/// notification, so not every attempt shows the loss.
#[test]
fn try_2_calling_only_when_it_was_empty_leaves_a_popper_asleep_beside_an_item() {
    let leaves_one_asleep = || {
        let (items, not_empty) = (Mutex::new(VecDeque::new()), Condvar::new());
        let (asleep, awake) = (AtomicUsize::new(0), Queue::unbounded());
        let pop = || {
            let mut state = items.lock().unwrap();
            asleep.fetch_add(1, Ordering::SeqCst); // under the lock: asleep when it is free
            while state.is_empty() {
                state = not_empty.wait(state).unwrap();
            }
            awake.push(state.pop_front()).unwrap();
        };
        thread::scope(|scope| {
            (0..2).for_each(|_| _ = scope.spawn(pop));
            until("two poppers sleep", || asleep.load(Ordering::SeqCst) == 2);
            let mut state = items.lock().unwrap();
            for item in [1, 2] {
                if state.is_empty() {
                    not_empty.notify_one();
                }
                state.push_back(item);
            }
            drop(state);
            assert_eq!(awake.pop(), Some(Some(1)));
            if awake.pop_timeout(Duration::from_millis(50)) != Err(TimedOut) {
                return false;
            }
            assert_eq!(*items.lock().unwrap(), [2], "the item beside which it sleeps");
            not_empty.notify_one(); // the lost call
            awake.pop() == Some(Some(2))
        })
    };
    watchdog("a popper that is notified late", move || {
        until("one stays asleep", leaves_one_asleep)
    });
}

/// One item at least, `most` at most, fewer once the queue is closed and empty.
fn pop_some<T>(queue: &Queue<T>, most: usize) -> Vec<T> {
    let mut items: Vec<T> = queue.pops().take(1).collect();
    while !items.is_empty() && items.len() < most {
        let Ok(item) = queue.try_pop() else { break };
        items.push(item);
    }
    items
}

#[test]
fn try_3_pop_some_waits_for_the_first_and_takes_what_is_there() {
    watchdog("pop_some", || {
        let queue = Queue::unbounded();
        thread::scope(|scope| {
            let popper = scope.spawn(|| pop_some(&queue, 2));
            until_waiting(&queue, 0, 1, 0);
            queue.push(1).unwrap();
            assert_eq!(popper.join().unwrap(), [1]);
        });
        (2..=4).for_each(|n| queue.push(n).unwrap());
        queue.close();
        assert_eq!(pop_some(&queue, 2), [2, 3]);
        assert_eq!(pop_some(&queue, 2), [4]);
        assert!(pop_some(&queue, 2).is_empty());
    });
}
