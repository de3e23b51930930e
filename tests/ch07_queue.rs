//! Chapter 07: each cell of the state × event table, each invariant, CPython's queue cases.

mod support;

mod ch07_queue {
    pub(crate) mod exercises;
}

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use concurrent_explained::QueueError::{Closed, Empty, Full, TimedOut};
use concurrent_explained::{Queue, QueueError, Refused};
use support::{until, watchdog};

const ZERO: Duration = Duration::ZERO;

/// A queue of two places holding 0, 1, ..
fn queue_with(items: i32, closed: bool) -> Queue<i32> {
    let queue = Queue::bounded(2);
    (0..items).for_each(|n| queue.try_push(n).unwrap());
    if closed {
        queue.close();
    }
    queue
}

/// Waits until `queue` holds `len` items and so many threads wait. One that has been called counts
/// until it is awake.
pub(crate) fn until_waiting(queue: &Queue<impl Sized>, len: usize, poppers: usize, pushers: usize) {
    let wanted = format!("len: {len}, closed: false, poppers: {poppers}, pushers: {pushers}");
    until(&wanted, || format!("{queue:?}").contains(&wanted));
}

// CPython: QueueTest::test_shutdown_immediate
#[test]
fn every_state_answers_every_event_as_the_table_says() {
    // CPython: QueueTest::test_basic, test_nowait, test_shutdown_empty, test_shutdown_nonempty,
    // test_shutdown_all_methods_in_one_thread, test_shutdown_immediate_all_methods_in_one_thread
    type Pushed = Result<(), QueueError>;
    type Popped = Result<i32, QueueError>;
    type Row = ((i32, bool), Pushed, Pushed, Popped, Popped, &'static [i32]);
    let ok: Pushed = Ok(());
    #[rustfmt::skip]
    let table: [Row; 5] = [
        // state     try_push      push_timeout   try_pop      pop_timeout    close_now
        ((0, false), ok,           ok,            Err(Empty),  Err(TimedOut), &[]),
        ((1, false), ok,           ok,            Ok(0),       Ok(0),         &[0]),
        ((2, false), Err(Full),    Err(TimedOut), Ok(0),       Ok(0),         &[0, 1]),
        ((1, true),  Err(Closed),  Err(Closed),   Ok(0),       Ok(0),         &[0]),
        ((0, true),  Err(Closed),  Err(Closed),   Err(Closed), Err(Closed),   &[]),
    ];
    watchdog("one of the cells that must not wait", move || {
        for ((items, closed), try_push, push_timeout, try_pop, pop_timeout, discarded) in table {
            let queue = || queue_with(items, closed);
            let why = |refused: Refused<i32>| {
                assert_eq!(refused.item, 9, "a refused item comes back");
                refused.why
            };
            assert_eq!(queue().len(), items as usize);
            assert_eq!(queue().is_empty(), items == 0);
            assert_eq!(queue().is_closed(), closed);
            assert_eq!(queue().try_push(9).map_err(why), try_push);
            assert_eq!(queue().push_timeout(9, ZERO).map_err(why), push_timeout);
            if try_push != Err(Full) {
                assert_eq!(queue().push(9).map_err(why), try_push);
            }
            assert_eq!(queue().try_pop(), try_pop);
            assert_eq!(queue().pop_timeout(ZERO), pop_timeout);
            if try_pop != Err(Empty) {
                assert_eq!(queue().pop(), try_pop.ok());
            }

            let closing = queue();
            closing.close();
            assert!(closing.is_closed());
            assert_eq!(closing.len(), items as usize, "close keeps what is there");
            let emptied = queue();
            assert_eq!(emptied.take_all(), discarded);
            assert_eq!(
                (emptied.is_closed(), emptied.len()),
                (closed, 0),
                "take_all closes nothing"
            );
            let closing = queue();
            assert_eq!(closing.close_now(), discarded);
            assert!(closing.is_closed() && closing.is_empty());
        }
    });
}

#[test]
fn i1_items_leave_in_the_order_they_entered() {
    // CPython: SimpleQueueTest::test_basic
    let queue = Queue::unbounded();
    assert_eq!(queue.capacity(), None);
    (0..1000).for_each(|n| queue.push(n).unwrap());
    assert_eq!(queue.len(), 1000);
    assert!((0..1000).all(|n| queue.pop() == Some(n)));
    assert_eq!(queue.try_pop(), Err(Empty));
}

#[test]
fn i1_one_pusher_one_popper_keep_the_order() {
    // CPython: SimpleQueueTest::test_order
    watchdog("twenty thousand items through two places", || {
        let queue = Queue::bounded(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..20_000).for_each(|n| queue.push(n).unwrap());
                queue.close();
            });
            assert!(queue.pops().eq(0..20_000));
        });
    });
}

#[test]
fn the_capacity_is_told() {
    assert_eq!(Queue::<u8>::bounded(3).capacity(), Some(3));
    assert_eq!(Queue::<u8>::unbounded().capacity(), None);
}

#[test]
#[should_panic(expected = "a queue needs a capacity of at least 1")]
fn a_capacity_of_zero_panics() {
    let _queue = Queue::<u8>::bounded(0);
}

#[test]
fn a_limit_that_passes_while_a_popper_sleeps_leaves_no_waiter_behind() {
    watchdog("a pop that a limit ends, then one that a push ends", || {
        let queue = Queue::bounded(1);
        assert_eq!(queue.pop_timeout(Duration::from_millis(1)), Err(TimedOut));
        until_waiting(&queue, 0, 0, 0);
        queue.push(1).unwrap();
        let refused = queue.push_timeout(2, Duration::from_millis(1)).unwrap_err();
        assert_eq!((refused.item, refused.why), (2, TimedOut));
        until_waiting(&queue, 1, 0, 0);
        assert_eq!(queue.pop(), Some(1));
    });
}

#[test]
fn a_popper_waits_then_a_push_frees_it() {
    watchdog("a pop that a push ends", || {
        for limit in [None, Some(Duration::MAX)] {
            let queue = Queue::unbounded();
            thread::scope(|scope| {
                let popper = scope.spawn(|| match limit {
                    None => queue.pop(),
                    Some(limit) => queue.pop_timeout(limit).ok(),
                });
                until_waiting(&queue, 0, 1, 0);
                queue.push(7).unwrap();
                assert_eq!(popper.join().unwrap(), Some(7));
                until_waiting(&queue, 0, 0, 0);
            });
        }
    });
}

#[test]
fn i3_a_pusher_waits_then_a_pop_frees_it() {
    watchdog("a push that a pop ends", || {
        for limit in [None, Some(Duration::MAX)] {
            let queue = queue_with(2, false);
            thread::scope(|scope| {
                let pusher = scope.spawn(|| match limit {
                    None => queue.push(2),
                    Some(limit) => queue.push_timeout(2, limit),
                });
                until_waiting(&queue, 2, 0, 1);
                assert_eq!(queue.len(), 2, "the third item is not in");
                assert_eq!(queue.pop(), Some(0));
                pusher.join().unwrap().unwrap();
            });
            assert_eq!(queue.close_now(), [1, 2]);
        }
    });
}

#[test]
fn i4_pushers_wait_then_close_gives_them_their_items_back() {
    // CPython: QueueTest::test_shutdown_put, test_shutdown_immediate_put
    watchdog("two pushers that a close frees", || {
        for now in [false, true] {
            let queue = queue_with(2, false);
            thread::scope(|scope| {
                let pushers = [8, 9].map(|n| {
                    let queue = &queue;
                    scope.spawn(move || queue.push(n))
                });
                until_waiting(&queue, 2, 0, 2);
                let left = if now { queue.close_now() } else { queue_close_and_drain(&queue) };
                assert_eq!(left, [0, 1], "what the refused pushers held never entered");
                let back = pushers.map(|pusher| pusher.join().unwrap().unwrap_err());
                assert_eq!(back.map(|refused| refused.why), [Closed; 2]);
                assert_eq!(back.map(|refused| refused.item), [8, 9]);
            });
        }
    });
}

fn queue_close_and_drain(queue: &Queue<i32>) -> Vec<i32> {
    queue.close();
    queue.pops().collect()
}

#[test]
fn i4_poppers_wait_then_close_ends_them_all() {
    // CPython: QueueTest::test_shutdown_pending_get, test_shutdown_immediate_get
    watchdog("four poppers that a close frees", || {
        for now in [false, true] {
            let queue = Queue::<i32>::unbounded();
            thread::scope(|scope| {
                let waiting = [(); 2].map(|()| scope.spawn(|| queue.pop()));
                let limited = [(); 2].map(|()| scope.spawn(|| queue.pop_timeout(Duration::MAX)));
                until_waiting(&queue, 0, 4, 0);
                if now {
                    assert!(queue.close_now().is_empty())
                } else {
                    queue.close()
                }
                assert_eq!(waiting.map(|popper| popper.join().unwrap()), [None; 2]);
                assert_eq!(limited.map(|popper| popper.join().unwrap()), [Err(Closed); 2]);
            });
        }
    });
}

#[test]
fn two_items_then_close_then_three_pops_one_of_which_finds_the_end() {
    // CPython: QueueTest::test_shutdown_get
    watchdog("three poppers, two items, one close", || {
        for _ in 0..300 {
            let queue = Queue::unbounded();
            thread::scope(|scope| {
                let poppers = [(); 3].map(|()| scope.spawn(|| queue.pop()));
                (1..=2).for_each(|n| queue.push(n).unwrap());
                queue.close();
                let mut got = poppers.map(|popper| popper.join().unwrap());
                got.sort();
                assert_eq!(got, [None, Some(1), Some(2)]);
            });
        }
    });
}

#[test]
fn closing_in_any_order_and_often_is_fine() {
    // CPython: QueueTest::test_shutdown_allowed_transitions
    let queue = queue_with(2, false);
    queue.close();
    queue.close();
    assert_eq!(queue.close_now(), [0, 1]);
    assert!(queue.close_now().is_empty());
    queue.close();
    assert_eq!(queue.pop(), None);
}

#[test]
fn close_falls_among_four_pushers_and_six_poppers_and_frees_them_all() {
    // CPython: QueueTest::test_shutdown_all_methods_in_many_threads,
    // test_shutdown_immediate_all_methods_in_many_threads
    watchdog("ten threads that a close in the middle frees", || {
        for round in 0..200 {
            let queue = Queue::bounded(2);
            let (stored, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while queue.push(()).is_ok() {
                            stored.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
                for _ in 0..6 {
                    scope.spawn(|| taken.fetch_add(queue.pops().count(), Ordering::Relaxed));
                }
                until("something flows", || stored.load(Ordering::Relaxed) > 0);
                if round % 2 == 0 {
                    queue.close();
                } else {
                    taken.fetch_add(queue.close_now().len(), Ordering::Relaxed);
                    assert!(queue.is_empty());
                }
            });
            assert_eq!(stored.into_inner(), taken.into_inner(), "none lost, none doubled");
            assert!(queue.is_empty());
        }
    });
}

#[test]
fn i2_two_poppers_sleep_then_two_pushes_in_a_row_free_both() {
    // The smallest case in which a popper can be forgotten. None takes a second item before `go`.
    watchdog("two poppers, two pushes, two thousand times", || {
        let [queue, back, go] = [(); 3].map(|()| Queue::unbounded());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(n) = queue.pop() {
                        back.push(n).unwrap();
                        go.pop();
                    }
                });
            }
            for n in 0..2000 {
                until_waiting(&queue, 0, 2, 0);
                queue.push(n).unwrap();
                queue.push(n).unwrap();
                assert_eq!([back.pop(), back.pop()], [Some(n); 2]);
                go.push(n).unwrap();
                go.push(n).unwrap();
            }
            queue.close();
        });
    });
}

#[test]
fn i2_two_pushers_sleep_then_two_pops_in_a_row_free_both() {
    // The other side.
    watchdog("two pushers, two pops, two thousand times", || {
        let queue = queue_with(2, false);
        let [back, go] = [(); 2].map(|()| Queue::unbounded());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while queue.push(5).is_ok() {
                        back.push(()).unwrap();
                        go.pop();
                    }
                });
            }
            for _ in 0..2000 {
                until_waiting(&queue, 2, 0, 2);
                assert!(queue.try_pop().is_ok() && queue.try_pop().is_ok());
                assert_eq!([back.pop(), back.pop()], [Some(()); 2]);
                go.push(()).unwrap();
                go.push(()).unwrap();
            }
            queue.close();
        });
    });
}

#[test]
fn i2_pushers_sleep_then_all_is_taken_and_every_one_is_freed() {
    // One taker, two free places.
    watchdog("two pushers that one take_all frees", || {
        let queue = queue_with(2, false);
        thread::scope(|scope| {
            scope.spawn(|| queue.push(2).unwrap());
            scope.spawn(|| queue.push(3).unwrap());
            until_waiting(&queue, 2, 0, 2);
            assert_eq!(queue.take_all(), [0, 1]);
        });
        let mut left = queue.take_all();
        left.sort_unstable();
        assert_eq!(left, [2, 3]);
    });
}

#[test]
fn i2_pushers_and_poppers_wait_at_once_and_nobody_is_forgotten() {
    // I3 too: blocking, trying and timed calls mixed. Every item must arrive although limits pass
    // at any moment.
    watchdog("four pushers and four poppers on one place", || {
        const EACH: usize = 3000;
        let queue = Queue::bounded(1);
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            let pushers = [0, 1, 2, 3].map(|pusher| {
                let queue = &queue;
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mut item = n;
                        while let Err(refused) = match (pusher + n) % 3 {
                            0 => queue.push(item),
                            1 => queue.push_timeout(item, Duration::from_micros(n as u64 % 50)),
                            _ => queue.try_push(item),
                        } {
                            item = refused.item;
                            thread::yield_now();
                        }
                        assert!(queue.len() <= 1);
                    }
                })
            });
            for popper in 0..4 {
                let (queue, sum) = (&queue, &sum);
                scope.spawn(move || {
                    for n in popper.. {
                        let popped = match n % 3 {
                            0 => queue.pop().ok_or(Closed),
                            1 => queue.pop_timeout(Duration::from_micros(n as u64 % 50)),
                            _ => queue.try_pop(),
                        };
                        match popped {
                            Ok(item) => _ = sum.fetch_add(item, Ordering::Relaxed),
                            Err(Closed) => return,
                            Err(_) => thread::yield_now(),
                        }
                    }
                });
            }
            pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
            queue.close();
        });
        assert_eq!(sum.into_inner(), 4 * EACH * (EACH - 1) / 2);
    });
}

#[test]
fn i1_fifty_pushers_and_fifty_poppers_lose_and_double_nothing() {
    // CPython: SimpleQueueTest::test_many_threads, test_many_threads_nonblock,
    // test_many_threads_timeout
    fn run(pop: fn(&Queue<usize>) -> Option<usize>) {
        let (source, queue, seen) = (Queue::unbounded(), Queue::unbounded(), Queue::unbounded());
        (0..10_000).for_each(|n| source.push(n).unwrap());
        source.close();
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    while let Some(n) = pop(&queue) {
                        seen.push(n).unwrap()
                    }
                });
            }
            let pushers = [(); 50]
                .map(|()| scope.spawn(|| source.pops().for_each(|n| queue.push(n).unwrap())));
            pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
            queue.close();
        });
        let mut seen = seen.close_now();
        seen.sort();
        assert!(seen.into_iter().eq(0..10_000));
    }
    /// Goes on until there is an item or the end.
    fn retry(mut pop: impl FnMut() -> Result<usize, QueueError>) -> Option<usize> {
        loop {
            match pop() {
                Ok(n) => return Some(n),
                Err(Closed) => return None,
                Err(_) => thread::yield_now(),
            }
        }
    }
    watchdog("blocking pops", || run(|queue| queue.pop()));
    watchdog("polling pops", || run(|queue| retry(|| queue.try_pop())));
    watchdog("impatient pops", || {
        run(|queue| retry(|| queue.pop_timeout(Duration::from_micros(10))))
    });
}

#[test]
fn a_popped_item_is_held_by_its_popper_alone() {
    // CPython: SimpleQueueTest::test_references
    let queue = Queue::unbounded();
    let item = Arc::new(());
    queue.push(item.clone()).unwrap();
    queue.push(item.clone()).unwrap();
    assert_eq!(Arc::strong_count(&item), 3);
    drop(queue.pop());
    assert_eq!(Arc::strong_count(&item), 2);
    drop(queue);
    assert_eq!(Arc::strong_count(&item), 1, "a dropped queue drops what is left");
}

/// An item that uses its queue while it is dropped.
struct Restless(Weak<Queue<Restless>>, Arc<AtomicUsize>);

impl Drop for Restless {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            let _ = queue.try_push(Restless(Weak::new(), self.1.clone()));
            let _ = (queue.len(), format!("{queue:?}"));
        }
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn i5_an_item_uses_the_queue_while_it_is_dropped() {
    // CPython: SimpleQueueTest::test_reentrancy
    watchdog("drops that push", || {
        let drops = Arc::new(AtomicUsize::new(0));
        let queue = Arc::new(Queue::bounded(2));
        let restless = || Restless(Arc::downgrade(&queue), drops.clone());
        queue.push(restless()).unwrap();
        drop(queue.pop()); // pushes a leaf
        assert_eq!((queue.len(), drops.load(Ordering::Relaxed)), (1, 1));
        queue.push(restless()).unwrap();
        drop(queue.try_push(restless())); // full: its leaf is refused and dropped too
        drop(queue.push_timeout(restless(), ZERO));
        assert_eq!((queue.len(), drops.load(Ordering::Relaxed)), (2, 5));
        drop(queue.close_now()); // the leaf of the second is refused by the closed queue
        assert_eq!((queue.len(), drops.load(Ordering::Relaxed)), (0, 8));
        drop(queue.push(restless()));
        assert_eq!(drops.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn debug_and_errors_ask_nothing_of_the_item_and_never_wait() {
    struct Opaque;
    let queue = Queue::bounded(1);
    queue.push(Opaque).unwrap();
    assert_eq!(format!("{queue:?}"), "Queue { len: 1, closed: false, poppers: 0, pushers: 0 }");
    let refused = queue.try_push(Opaque).unwrap_err();
    assert_eq!(format!("{refused:?}; {refused}"), "Refused(Full); item refused: the queue is full");
    let errors = [Full, Empty, TimedOut, Closed].map(|why| why.to_string());
    assert!(
        (1..errors.len()).all(|n| !errors[..n].contains(&errors[n])),
        "each has words of its own"
    );
    let _: &dyn std::error::Error = &refused;
    let _: &dyn std::error::Error = &refused.why;
}

#[test]
fn a_queue_can_be_a_static_and_is_send_and_sync_whenever_items_can_be_sent() {
    static QUEUE: Queue<u8> = Queue::unbounded();
    QUEUE.push(1).unwrap();
    assert_eq!(QUEUE.pop(), Some(1));

    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Queue<u8>>();
    send_and_sync::<Queue<std::cell::Cell<u8>>>(); // `T: Send` is enough
    send_and_sync::<Refused<u8>>();
}
