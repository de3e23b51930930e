//! Chapter 08: each cell of the table, each invariant, and the answers to `Try`.

// The example replays schedules under std's names. Outside of a replay they are what they were.
extern crate self as std;
extern crate std as real;
use concurrent_explained::ch31_schedules::{sync, thread, time};
use real::*;

mod support;

#[path = "../examples/ch08_oneshot.rs"]
#[allow(dead_code, unused_imports, reason = "its slot is tested here, its main by the book's test")]
mod example;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use concurrent_explained::ch08_oneshot::{Receiver, Sender};
use concurrent_explained::oneshot;
use support::{Grenade, watchdog};

const ZERO: Duration = Duration::ZERO;

/// Tells whose thread drops it.
struct Told(mpsc::Sender<thread::ThreadId>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send(thread::current().id()).unwrap();
    }
}

/// `Pending × recv`: a reader that waits when `news` comes about.
fn read_while(news: impl FnOnce(Sender<u32>) + Send + 'static) -> Option<u32> {
    watchdog("the reader", move || {
        let (sender, receiver) = oneshot();
        let inside = Arc::new(Barrier::new(2));
        let meets = inside.clone();
        let reader = thread::spawn(move || {
            meets.wait();
            receiver.recv()
        });
        inside.wait();
        (0..100).for_each(|_| thread::yield_now()); // most readers sleep by now
        news(sender);
        reader.join().unwrap()
    })
}

#[test]
fn send_then_recv() {
    let (sender, receiver) = oneshot();
    assert!(!receiver.is_ready());
    assert_eq!(sender.send(7), Ok(()));
    assert!(receiver.is_ready());
    assert_eq!(receiver.recv(), Some(7));
}

#[test]
fn recv_then_send() {
    assert_eq!(read_while(|sender| sender.send(7).unwrap()), Some(7));
}

#[test]
fn i1_each_value_comes_out_once_or_is_dropped_once() {
    watchdog("a thousand values", || {
        for round in 0..1_000 {
            let (tell, told) = mpsc::channel();
            let (sender, receiver) = oneshot();
            let start = Arc::new(Barrier::new(2));
            let meets = start.clone();
            let writer = thread::spawn(move || {
                meets.wait();
                drop(sender.send(Told(tell)));
            });
            start.wait();
            match round % 3 {
                0 => drop(receiver.recv().expect("it was sent")),
                1 => drop(receiver.recv_timeout(ZERO)),
                _ => drop(receiver),
            }
            writer.join().unwrap();
            assert_eq!(told.iter().count(), 1);
        }
    });
}

#[test]
fn i2_a_reader_hears_of_the_end_of_the_sender_however_it_ends() {
    assert_eq!(read_while(drop), None);
    assert_eq!(read_while(|sender| drop(thread::spawn(move || drop(sender)))), None);
    let panics = |sender: Sender<u32>| sender.send(example::panics() as u32);
    assert_eq!(read_while(move |sender| _ = thread::spawn(move || panics(sender)).join()), None);
    let (sender, receiver) = oneshot::<u32>();
    drop(sender);
    assert!(receiver.is_ready(), "there is news, though no value");
    assert_eq!(receiver.recv(), None);
}

#[test]
fn i2_the_end_of_the_sender_against_the_sleep_of_the_reader() {
    watchdog("two thousand ends", || {
        for round in 0..2_000 {
            let (sender, receiver) = oneshot();
            let start = Arc::new(Barrier::new(2));
            let meets = start.clone();
            let reader = thread::spawn(move || {
                meets.wait();
                receiver.recv()
            });
            start.wait();
            if round % 2 == 0 {
                sender.send(round).unwrap();
                assert_eq!(reader.join().unwrap(), Some(round));
            } else {
                drop(sender);
                assert_eq!(reader.join().unwrap(), None);
            }
        }
    });
}

#[test]
fn i3_a_value_for_which_nobody_is_left_comes_back() {
    let (sender, receiver) = oneshot();
    drop(receiver);
    assert_eq!(sender.send("mine"), Err("mine"));
    let (sender, receiver) = oneshot();
    drop(receiver.recv_timeout(ZERO).unwrap_err());
    assert_eq!(sender.send("mine"), Err("mine"));
}

#[test]
fn i4_the_drop_of_a_value_may_use_and_drop_what_it_likes() {
    struct Asks(Option<Receiver<Asks>>, mpsc::Sender<bool>);
    impl Drop for Asks {
        fn drop(&mut self) {
            if let Some(receiver) = self.0.take() {
                self.1.send(receiver.is_ready()).unwrap();
            }
        }
    }
    watchdog("the drop of a value that asks the receiver it came from", || {
        let (tell, told) = mpsc::channel();
        let (sender, receiver) = oneshot();
        let (other_sender, other) = oneshot();
        assert!(other_sender.send(Asks(Some(receiver), tell.clone())).is_ok());
        assert!(sender.send(Asks(None, tell)).is_ok());
        drop(other);
        assert_eq!(told.recv(), Ok(true));

        let (sender, receiver) = oneshot();
        assert!(sender.send(Grenade(1)).is_ok());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err(), "no poison, no abort");
    });
}

#[test]
fn recv_timeout_waits_no_longer_and_gives_the_receiver_back() {
    watchdog("a receiver with limits", || {
        let (sender, mut receiver) = oneshot();
        for limit in [ZERO, Duration::from_nanos(1), Duration::from_millis(3)] {
            let called = Instant::now();
            receiver = receiver.recv_timeout(limit).unwrap_err();
            assert!(called.elapsed() >= limit);
        }
        sender.send(7).unwrap();
        assert_eq!(receiver.recv_timeout(ZERO).unwrap(), Some(7));

        let (sender, receiver) = oneshot::<u32>();
        drop(sender);
        assert_eq!(receiver.recv_timeout(ZERO).unwrap(), None);

        let (sender, receiver) = oneshot();
        let reader = thread::spawn(move || receiver.recv_timeout(Duration::MAX));
        sender.send(7).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), Some(7), "no limit at all");
    });
}

#[test]
fn both_ends_go_to_other_threads_whatever_the_value_shows() {
    fn sendable<T: Send + Sync>(_: &T) {}
    let (sender, receiver) = oneshot::<std::cell::Cell<u8>>();
    sendable(&sender);
    sendable(&receiver);
    let shown = format!("{sender:?} {receiver:?}");
    assert_eq!(shown, "Sender { .. } Receiver { .. }");
}

#[test]
fn the_slot_of_the_example_keeps_its_reader_waiting_after_a_panic() {
    watchdog("the slot", || {
        assert_eq!(example::ask_by_slot(|| 42), Some(42));
        assert_eq!(example::ask_by_slot(example::panics), None);
    });
}

#[test]
fn try_1_an_unread_value_is_dropped_with_the_end_that_leaves_last() {
    watchdog("the drop of a value", || {
        let (tell, told) = mpsc::channel();
        let (sender, receiver) = oneshot();
        let sent = thread::spawn(move || sender.send(Told(tell)).is_ok());
        assert!(sent.join().unwrap());
        drop(receiver);
        assert_eq!(told.recv(), Ok(thread::current().id()), "the reader's");
    });
}

// Try 2: without `get_or_insert(None)`, the reader wakes, finds the box empty, and sleeps again, as
// its loop says. Red: `i2_…` (both), `recv_timeout_…`, `try_2_…`, `try_3_…`: all in which the
// sender is gone and no value sent.
#[test]
fn try_2_a_notification_without_a_fact_wakes_nobody_for_good() {
    assert_eq!(read_while(drop), None);
}

#[test]
fn try_3_a_race() {
    /// All threads share one sender; the first answer takes it. The others find it gone, and the
    /// last to go without an answer drops it: then there is none.
    fn race<T: Send + 'static>(questions: Vec<Box<dyn FnOnce() -> T + Send>>) -> Option<T> {
        let (sender, first) = oneshot();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        for question in questions {
            let sender = sender.clone();
            thread::spawn(move || {
                let answer = question();
                let first = sender.lock().unwrap().take();
                first.map(|sender| sender.send(answer))
            });
        }
        drop(sender);
        first.recv()
    }
    watchdog("races", || {
        let asked = Arc::new(AtomicUsize::new(0));
        let gate = support::Gate::default();
        let (count, waits) = (asked.clone(), gate.clone());
        let slow = move || {
            count.fetch_add(1, SeqCst);
            waits.pass();
            1
        };
        let fails = example::panics;
        assert_eq!(race(vec![Box::new(slow), Box::new(fails), Box::new(|| 2)]), Some(2));
        gate.open();
        assert_eq!(race::<i32>(vec![Box::new(fails), Box::new(fails)]), None);
        assert_eq!(race::<i32>(vec![]), None);
    });
}
