//! One thread asks, another answers: with a count of news, then with a queue of waiters. Look at
//! which thread hears a notification: with the count even its author, with the queue the oldest.
//!
//! Expected output:
//!
//! ```text
//! SmallNews:  (wrong) asks, notifies, waits, and hears itself: the answer is None
//! Condition:  asks, notifies, waits, and hears the other thread: the answer is Some(42)
//! Condition:  A, B, C, D, E wait in this order, notify(3) wakes 3: A, B, C
//! Condition:  with the guard of another lock, notify_all wakes 0
//! Condition:  with the guard of their lock, notify_all wakes 2: D, E
//! Condition:  nobody notifies, and a wait of 20 ms ends with false
//! ```
//!
//! Be the scheduler: `cargo run --example ch03_condition -- 1` replays the schedule `1` on the two
//! threads with the count of news. Try others: none goes well.

extern crate self as std;
extern crate std as real;

use concurrent_explained::ch31_schedules::{replay, sync, thread, time};
use concurrent_explained::{Condition, Lock, RLock};
use real::*;
use std::env::args;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, mpsc};
use std::thread::scope;
use std::time::Duration;

// --- the smallest condition that loses no news, complete -----------------------------------------

/// Wrong: the news is for whichever thread comes first, even for the one that brought it.
#[derive(Default)]
pub(crate) struct SmallNews {
    news: Mutex<usize>,
    came: Condvar,
}

impl SmallNews {
    pub(crate) fn lock(&self) -> MutexGuard<'_, usize> {
        self.news.lock().unwrap()
    }

    pub(crate) fn wait<'a>(&self, mut news: MutexGuard<'a, usize>) -> MutexGuard<'a, usize> {
        while *news == 0 {
            news = self.came.wait(news).unwrap();
        }
        *news -= 1;
        news
    }

    pub(crate) fn notify(&self, news: &mut usize) {
        *news += 1;
        self.came.notify_one();
    }
}

/// The answer that the asking thread has when its wait is over.
pub(crate) fn ask_by_small_news() -> Option<u32> {
    let (small, answer) = (SmallNews::default(), Mutex::new(None));
    let (tell, told) = mpsc::channel();
    scope(|threads| {
        threads.spawn(|| {
            let mut news = small.lock();
            tell.send(()).unwrap(); // the lock is ours, and we give it up only to sleep
            news = small.wait(news); // for a question
            *answer.lock().unwrap() = Some(42);
            small.notify(&mut news);
        });
        told.recv().unwrap();
        let mut news = small.lock();
        small.notify(&mut news); // the question is there
        news = small.wait(news); // for the answer
        let heard = *answer.lock().unwrap();
        small.notify(&mut news); // once more, so that the example ends
        heard
    })
}

/// The same without a chosen moment: the schedule chooses which thread comes first.
pub(crate) fn ask_by_schedule() -> Option<u32> {
    let (small, answer) = (SmallNews::default(), Mutex::new(None));
    scope(|threads| {
        threads.spawn(|| {
            let mut news = small.wait(small.lock());
            *answer.lock().unwrap() = Some(42);
            small.notify(&mut news);
        });
        let mut news = small.lock();
        small.notify(&mut news);
        news = small.wait(news);
        drop(news);
        *answer.lock().unwrap()
    })
}

// --- the story -----------------------------------------------------------------------------------

/// The same with the chapter's condition.
fn ask_by_condition() -> Option<u32> {
    let (lock, changed, answer) = (Lock::new(), Condition::new(), Mutex::new(None));
    let (tell, told) = mpsc::channel();
    scope(|threads| {
        threads.spawn(|| {
            let mut guard = lock.lock();
            tell.send(()).unwrap();
            changed.wait(&mut guard);
            *answer.lock().unwrap() = Some(42);
            changed.notify(&guard, 1);
        });
        told.recv().unwrap();
        let mut guard = lock.lock();
        changed.notify(&guard, 1);
        changed.wait(&mut guard);
        *answer.lock().unwrap()
    })
}

/// Five threads wait, and are woken in two groups: what `notify` says, and their names.
fn five_waiters() -> [(usize, String); 3] {
    let (lock, changed) = (RLock::new(), Condition::new());
    let (tell, told) = mpsc::channel();
    scope(|threads| {
        for name in ["A", "B", "C", "D", "E"] {
            let (lock, changed, tell) = (&lock, &changed, tell.clone());
            threads.spawn(move || {
                let (_outer, mut guard) = (lock.lock(), lock.lock());
                tell.send(name).unwrap();
                changed.wait(&mut guard); // gives up both levels
                tell.send(name).unwrap();
            });
            told.recv().unwrap();
            drop(lock.lock()); // free only when this one waits: now the next
        }
        let names = |n| {
            let mut names: Vec<_> = told.iter().take(n).collect();
            names.sort(); // the woken are on their way all at once
            (n, names.join(", "))
        };
        let woken = changed.notify(&lock.lock(), 3);
        let oldest = names(woken);
        let woken = changed.notify_all(&Lock::new().lock());
        let none = names(woken);
        let woken = changed.notify_all(&lock.lock());
        let rest = names(woken);
        [oldest, none, rest]
    })
}

fn main() {
    match args().nth(1) {
        Some(schedule) => print(&[replay(&schedule, ask_by_schedule).to_string()]),
        None => tell(),
    }
}

fn tell() {
    let small = ask_by_small_news();
    let queue = ask_by_condition();
    let [(three, oldest), (zero, _), (two, rest)] = five_waiters();
    let (lock, changed) = (Lock::new(), Condition::new());
    let late = changed.wait_timeout(&mut lock.lock(), Duration::from_millis(20));
    let asks = "asks, notifies, waits, and hears";
    print(&[
        format!("SmallNews:  (wrong) {asks} itself: the answer is {small:?}"),
        format!("Condition:  {asks} the other thread: the answer is {queue:?}"),
        format!("Condition:  A, B, C, D, E wait in this order, notify(3) wakes {three}: {oldest}"),
        format!("Condition:  with the guard of another lock, notify_all wakes {zero}"),
        format!("Condition:  with the guard of their lock, notify_all wakes {two}: {rest}"),
        format!("Condition:  nobody notifies, and a wait of 20 ms ends with {late}"),
    ]);
}

/// In one piece; a reader that has gone away (`| head -1`) is no error.
fn print(lines: &[String]) {
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}
