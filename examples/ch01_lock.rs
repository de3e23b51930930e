//! A counter without a lock, two locks that are almost right, then the chapter's own. Look at the
//! hooks `window` and `asleep`: they put the other thread's turn exactly where it hurts.
//!
//! Expected output:
//!
//! ```text
//! no lock:          2 threads add 1 each, the counter says 1
//! lost wake-up:     the lock is free, its waiter sleeps until the watchdog barks
//! spurious wake-up: 2 threads are inside
//! Lock:             2 threads add 1 each, the counter says 2
//! Lock:             a wait of 20 ms for a lock that is held ends with None
//! Lock:             taken by this thread, released by another, free again
//! ```

use concurrent_explained::Lock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Condvar, Mutex, mpsc};
use std::thread::{scope, spawn, yield_now};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct AlmostLock {
    taken: Mutex<bool>,
    freed: Condvar,
}

impl AlmostLock {
    /// Wrong: between the look and the sleep anybody may have the mutex. False if no news came.
    pub(crate) fn lock_by_two_looks(&self, window: impl FnOnce()) -> bool {
        if *self.taken.lock().unwrap() {
            window();
            let taken = self.taken.lock().unwrap();
            let watchdog = Duration::from_millis(100);
            let (_taken, sleep) = self.freed.wait_timeout(taken, watchdog).unwrap();
            return !sleep.timed_out();
        }
        *self.taken.lock().unwrap() = true;
        true
    }

    /// Wrong: mistakes being awake for being next.
    pub(crate) fn lock_by_if(&self, asleep: impl FnOnce()) {
        let mut taken = self.taken.lock().unwrap();
        if *taken {
            asleep(); // the mutex is still ours: who gets it next finds us asleep
            taken = self.freed.wait(taken).unwrap();
        }
        *taken = true;
    }

    pub(crate) fn unlock(&self) {
        *self.taken.lock().unwrap() = false;
        self.freed.notify_one();
    }

    /// What the system may do by itself at any time.
    pub(crate) fn wake_for_nothing(&self) {
        drop(self.taken.lock().unwrap());
        self.freed.notify_one();
    }
}

/// Two threads add 1 each: what the counter says afterwards.
pub(crate) fn count<G>(enter: impl Fn() -> G + Sync, between: impl Fn() + Sync) -> usize {
    let counter = AtomicUsize::new(0);
    let add = || {
        let _guard = enter();
        let read = counter.load(SeqCst);
        between(); // the other thread's chance
        counter.store(read + 1, SeqCst);
    };
    scope(|threads| {
        threads.spawn(add);
        threads.spawn(add);
    });
    counter.into_inner()
}

pub(crate) fn inside_after_a_spurious_wake_up() -> usize {
    let (lock, inside, (tell, told)) =
        (AlmostLock::default(), AtomicUsize::new(0), mpsc::channel());
    let enter = || {
        lock.lock_by_if(|| tell.send(()).unwrap());
        inside.fetch_add(1, SeqCst);
    };
    enter();
    scope(|threads| {
        threads.spawn(enter);
        told.recv().unwrap();
        lock.wake_for_nothing(); // nobody has unlocked
    });
    inside.into_inner()
}

fn main() {
    let both_have_read = Barrier::new(2);
    let no_lock = count(|| (), || _ = both_have_read.wait());
    println!("no lock:          2 threads add 1 each, the counter says {no_lock}");

    let lock = AlmostLock::default();
    lock.lock_by_two_looks(|| ());
    let news_came = lock.lock_by_two_looks(|| lock.unlock());
    assert!(!news_came);
    println!("lost wake-up:     the lock is free, its waiter sleeps until the watchdog barks");
    println!("spurious wake-up: {} threads are inside", inside_after_a_spurious_wake_up());

    static LOCK: Lock = Lock::new();
    let locked = count(|| LOCK.lock(), yield_now);
    println!("Lock:             2 threads add 1 each, the counter says {locked}");
    let guard = LOCK.lock();
    let late = LOCK.lock_timeout(Duration::from_millis(20));
    println!("Lock:             a wait of 20 ms for a lock that is held ends with {late:?}");
    spawn(move || drop(guard)).join().unwrap();
    let now = if LOCK.is_locked() { "still taken" } else { "free again" };
    println!("Lock:             taken by this thread, released by another, {now}");
}
