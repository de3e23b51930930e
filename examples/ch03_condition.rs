//! A counter of news that feeds the wrong thread, then a queue of waiters. Look at who hears a piece
//! of news: the one that waited first, never the one that brought it.
//!
//! Expected output:
//!
//! ```text
//! counter of news: the notifier takes its own news, heard by the waiter: false
//! Condition:       1 woken, first the waiter goes on, then the notifier
//! Condition:       notify(3) woke 3 of 5: [0, 1, 2], left: Condition { waiting: 2 }
//! Condition:       with the guard of another lock, notify_all woke 0
//! Condition:       with the right one it woke 2: [3, 4]
//! Condition:       wait_for_timeout gave up after 20 ms: false
//! ```

use concurrent_explained::{Condition, Lock, RLock};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, mpsc};
use std::thread::scope;
use std::time::Duration;

/// Wrong: one counter for all. Whether the waiter heard the news that was meant for it.
pub(crate) fn counter_of_news() -> bool {
    let (news, came, heard) = (Mutex::new(0), Condvar::new(), AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    scope(|threads| {
        threads.spawn(|| {
            let news = news.lock().unwrap();
            tell.send(()).unwrap(); // the mutex is ours: who gets it next finds us asleep
            *came.wait_while(news, |news| *news == 0).unwrap() -= 1;
            heard.store(true, SeqCst);
        });
        told.recv().unwrap();
        let mut news = news.lock().unwrap();
        *news += 1;
        came.notify_one(); // for the waiter; and now we wait for an answer ...
        let mut news = came.wait_while(news, |news| *news == 0).unwrap();
        *news -= 1; // ... and are back at once: the news was still there
        let heard = heard.load(SeqCst);
        *news = 1; // a second piece of news, so that the waiter comes home
        came.notify_one();
        heard
    })
}

fn main() {
    let heard = counter_of_news();
    println!("counter of news: the notifier takes its own news, heard by the waiter: {heard}");

    let (lock, changed, order) = (Lock::new(), Condition::new(), Mutex::new(Vec::new()));
    let (tell, told) = mpsc::channel();
    let woken = scope(|threads| {
        threads.spawn(|| {
            let mut guard = lock.lock();
            tell.send(()).unwrap();
            changed.wait(&mut guard);
            order.lock().unwrap().push("the waiter");
            changed.notify(&guard, 1);
        });
        told.recv().unwrap();
        let mut guard = lock.lock();
        let woken = changed.notify(&guard, 1);
        changed.wait(&mut guard);
        order.lock().unwrap().push("the notifier");
        woken
    });
    let order = order.into_inner().unwrap().join(" goes on, then ");
    println!("Condition:       {woken} woken, first {order}");

    let (lock, changed) = (RLock::new(), Condition::new());
    let (tell, told) = mpsc::channel();
    scope(|threads| {
        for number in 0..5 {
            let (lock, changed, tell) = (&lock, &changed, tell.clone());
            threads.spawn(move || {
                let (_outer, mut guard) = (lock.lock(), lock.lock());
                tell.send(number).unwrap();
                changed.wait(&mut guard); // gives both levels back
                tell.send(number).unwrap();
            });
            told.recv().unwrap(); // the next starts when this one waits
        }
        let names = |n| {
            let mut names: Vec<usize> = told.iter().take(n).collect();
            names.sort();
            names
        };
        let n = changed.notify(&lock.lock(), 3);
        println!("Condition:       notify(3) woke {n} of 5: {:?}, left: {changed:?}", names(n));
        let n = changed.notify_all(&Lock::new().lock());
        println!("Condition:       with the guard of another lock, notify_all woke {n}");
        let n = changed.notify_all(&lock.lock());
        println!("Condition:       with the right one it woke {n}: {:?}", names(n));
    });
    let limit = Duration::from_millis(20);
    let answer = changed.wait_for_timeout(&mut lock.lock(), limit, || false);
    println!("Condition:       wait_for_timeout gave up after 20 ms: {answer}");
}
