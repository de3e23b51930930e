//! A counter without a lock, the smallest lock that works, and two that are a line away from it.
//! Look at `SmallLock`: it is the whole idea. Then find the line in which each wrong one differs.
//!
//! Expected output:
//!
//! ```text
//! no lock:     two threads add 1 each, the counter says 1
//! SmallLock:   two threads add 1 each, the counter says 2
//! two steps:   (wrong) the lock came free 100 ms ago, and its waiter still sleeps
//! by `if`:     (wrong) a waiter is woken for nothing and comes in, 2 threads are inside
//! Lock:        two threads add 1 each, the counter says 2
//! Lock:        a wait of 20 ms for a lock that stays taken gives up: None
//! Lock:        taken by one thread, released by another, free again
//! ```
//!
//! Be the scheduler: `cargo run --example ch01_lock -- 101` replays the schedule `101` on the lock
//! in two steps, `-- if 10001001` one on the lock by `if`, `-- while 10001001` the same one on the
//! right lock, `-- count 01` one without a lock.

extern crate self as std;
extern crate std as real;

use concurrent_explained::Lock;
use concurrent_explained::ch31_schedules::{Story, replay, sync, thread, time};
use real::*;
use std::env::args;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Condvar, Mutex, mpsc};
use std::thread::{scope, spawn, yield_now};
use std::time::{Duration, Instant};

// --- the smallest lock, complete -----------------------------------------------------------------

#[derive(Default)]
pub(crate) struct SmallLock {
    taken: Mutex<bool>,
    freed: Condvar,
}

impl SmallLock {
    pub(crate) fn lock(&self) {
        let mut taken = self.taken.lock().unwrap();
        while *taken {
            taken = self.freed.wait(taken).unwrap();
        }
        *taken = true;
    }

    pub(crate) fn unlock(&self) {
        *self.taken.lock().unwrap() = false;
        self.freed.notify_one();
    }
}

// --- two mistakes in its `lock` ------------------------------------------------------------------

impl SmallLock {
    /// Wrong: releases the mutex between look and sleep. `window` is what others do in between.
    pub(crate) fn lock_in_two_steps(&self, window: impl Fn()) {
        let mut taken = self.taken.lock().unwrap();
        while *taken {
            drop(taken);
            window();
            taken = self.taken.lock().unwrap();
            taken = self.freed.wait(taken).unwrap();
        }
        *taken = true;
    }

    /// Wrong: takes being awake for being next. `asleep` runs just before the sleep.
    pub(crate) fn lock_by_if(&self, asleep: impl Fn()) {
        let mut taken = self.taken.lock().unwrap();
        if *taken {
            asleep();
            taken = self.freed.wait(taken).unwrap();
        }
        *taken = true;
    }
}

/// Whether a waiter whose lock came free at the worst moment is asleep 100 ms later.
pub(crate) fn lost_wake_up() -> bool {
    let lock = SmallLock::default();
    let (tell, told) = mpsc::channel();
    lock.lock();
    scope(|threads| {
        threads.spawn(|| {
            lock.lock_in_two_steps(|| lock.unlock());
            tell.send(()).unwrap();
        });
        let sleeps = told.recv_timeout(Duration::from_millis(100)).is_err();
        while sleeps && told.recv_timeout(Duration::from_millis(10)).is_err() {
            lock.unlock(); // another notification, so that the example ends
        }
        sleeps
    })
}

/// The same without a chosen moment: the schedule chooses.
pub(crate) fn two_steps() {
    let lock = SmallLock::default();
    lock.lock();
    scope(|threads| {
        threads.spawn(|| lock.lock_in_two_steps(|| ()));
        lock.unlock();
    });
}

pub(crate) fn by_if() {
    turns(|lock| lock.lock_by_if(|| ()));
}

pub(crate) fn by_while() {
    turns(SmallLock::lock);
}

/// One thread goes in twice, another once.
fn turns(acquire: fn(&SmallLock)) {
    let (lock, inside) = (SmallLock::default(), AtomicUsize::new(0));
    let enter = || {
        acquire(&lock);
        assert!(inside.swap(1, SeqCst) == 0, "two threads are inside");
    };
    let leave = || {
        inside.store(0, SeqCst);
        lock.unlock();
    };
    enter();
    scope(|threads| {
        threads.spawn(|| (enter(), leave()));
        leave();
        enter();
        leave();
    });
}

/// Two threads add 1 each without a lock.
pub(crate) fn no_lock() -> usize {
    let counter = AtomicUsize::new(0);
    let add = || {
        let read = counter.load(SeqCst);
        counter.store(read + 1, SeqCst);
    };
    scope(|threads| {
        threads.spawn(add);
        add();
    });
    counter.into_inner()
}

/// How many threads are inside after one of them was woken although nobody has unlocked.
pub(crate) fn inside_after_a_spurious_wake_up() -> usize {
    let (lock, inside, (tell, told)) = (SmallLock::default(), AtomicUsize::new(0), mpsc::channel());
    let enter = || {
        lock.lock_by_if(|| tell.send(()).unwrap());
        inside.fetch_add(1, SeqCst);
    };
    enter();
    scope(|threads| {
        threads.spawn(enter);
        told.recv().unwrap();
        drop(lock.taken.lock().unwrap()); // ours only once the other has released it: it sleeps
        lock.freed.notify_one(); // what the system may do by itself at any time
    });
    inside.into_inner()
}

// --- the story -----------------------------------------------------------------------------------

/// Two threads add 1 each, in two steps. `between` is what others do between read and write.
pub(crate) fn count(
    acquire: impl Fn() + Sync,
    release: impl Fn() + Sync,
    between: impl Fn() + Sync,
) -> usize {
    let counter = AtomicUsize::new(0);
    let add = || {
        acquire();
        let read = counter.load(SeqCst);
        between();
        counter.store(read + 1, SeqCst);
        release();
    };
    scope(|threads| {
        threads.spawn(add);
        threads.spawn(add);
    });
    counter.into_inner()
}

fn main() {
    let arguments: Vec<_> = args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => tell(),
        ["measure"] => measure(),
        ["if", schedule] => show(replay(schedule, by_if)),
        ["while", schedule] => show(replay(schedule, by_while)),
        ["count", schedule] => show(replay(schedule, no_lock)),
        [schedule, ..] => show(replay(schedule, two_steps)),
    }
}

fn show(story: Story) {
    print(&[story.to_string()]);
}

fn tell() {
    static LOCK: Lock = Lock::new();
    let (small, both_have_read) = (SmallLock::default(), Barrier::new(2));
    let meet = || _ = both_have_read.wait();
    let no_lock = count(|| (), || (), meet);
    let with_small = count(|| small.lock(), || small.unlock(), yield_now);
    let waiter = if lost_wake_up() { "still sleeps" } else { "is awake" };
    let inside = format!("{} threads are inside", inside_after_a_spurious_wake_up());
    let with_lock = count(|| LOCK.lock().forget(), || LOCK.unlock().unwrap(), yield_now);

    let guard = LOCK.lock();
    let late = LOCK.lock_timeout(Duration::from_millis(20));
    let late = late.map_or("None", |_| "Some");
    spawn(move || drop(guard)).join().unwrap();
    let state = if LOCK.is_locked() { "still taken" } else { "free again" };

    print(&[
        format!("no lock:     two threads add 1 each, the counter says {no_lock}"),
        format!("SmallLock:   two threads add 1 each, the counter says {with_small}"),
        format!("two steps:   (wrong) the lock came free 100 ms ago, and its waiter {waiter}"),
        format!("by `if`:     (wrong) a waiter is woken for nothing and comes in, {inside}"),
        format!("Lock:        two threads add 1 each, the counter says {with_lock}"),
        format!("Lock:        a wait of 20 ms for a lock that stays taken gives up: {late}"),
        format!("Lock:        taken by one thread, released by another, {state}"),
    ]);
}

/// What a notification costs that nobody hears, and what the two locks make of it.
fn measure() {
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    let (small, lock) = (SmallLock::default(), Lock::new());
    let turns: [(&str, &dyn Fn()); 4] = [
        ("a Mutex, locked and unlocked", &|| *mutex.lock().unwrap() += 1),
        ("notify_one, and nobody sleeps", &|| condvar.notify_one()),
        ("SmallLock, locked and unlocked", &|| (small.lock(), small.unlock()).0),
        ("Lock, locked and unlocked", &|| drop(lock.lock())),
    ];
    let mut best = [Duration::MAX; 4];
    for round in 0..4 * 20 {
        let start = Instant::now();
        (0..10_000).for_each(|_| turns[round % 4].1());
        best[round % 4] = best[round % 4].min(start.elapsed()); // others can only make it slower
    }
    let line = |i: usize| {
        let ratio = best[i].as_secs_f64() / best[0].as_secs_f64();
        format!("{:31} {ratio:5.1} times as long as the first", turns[i].0)
    };
    print(&[line(0), line(1), line(2), line(3)]);
}

/// In one piece; a reader that has gone away (`| head -1`) is no error.
fn print(lines: &[String]) {
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}
