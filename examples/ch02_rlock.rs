//! A method that holds a lock calls a method that takes it: on the lock of chapter 01, on the
//! smallest lock that knows its owner, on this chapter's. Look at the depth, and who may come in.
//!
//! Expected output:
//!
//! ```text
//! Lock:        transfer holds it, and deposit waits for it: gives up after 20 ms
//! SmallRLock:  transfer holds it, and deposit takes it again: the balance is 30
//! SmallRLock:  (wrong) another thread unlocks it and comes in, 2 are inside
//! RLock:       another thread unlocks it: refused, it is not the owner
//! RLock:       transfer holds it at depth 1, deposit at depth 2, the balance is 30
//! RLock:       another thread comes in at depth 2: no, at depth 1: no, at depth 0: yes
//! ```
//!
//! Be the scheduler: `cargo run --example ch02_rlock -- .10.100001` replays a schedule on an
//! `unlock` that does its two steps in the wrong order, `-- right .10.100001` in the right order.

extern crate self as std;
extern crate std as real;

#[path = "../src/ch01_lock.rs"]
#[allow(dead_code, unreachable_pub, reason = "chapter 01 once more, under names that replay")]
mod ch01_lock;

use ch01_lock::Lock;
use concurrent_explained::ch31_schedules::{replay, sync, thread, time};
use concurrent_explained::{RLock, RUnlockError};
use real::*;
use std::env::args;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::ThreadId;
use std::time::Duration;

// --- the smallest lock that its owner can take again, complete -----------------------------------

#[derive(Default)]
pub(crate) struct SmallRLock {
    lock: Lock,
    owner: Mutex<Option<ThreadId>>,
    depth: AtomicUsize, // used by the owner only
}

impl SmallRLock {
    pub(crate) fn lock(&self) {
        let me = Some(thread::current().id());
        let is_mine = *self.owner.lock().unwrap() == me;
        if !is_mine {
            self.lock.lock().forget();
            *self.owner.lock().unwrap() = me;
        }
        self.depth.fetch_add(1, SeqCst);
    }

    /// Wrong: believes that its caller is the owner.
    pub(crate) fn unlock(&self) {
        if self.depth.fetch_sub(1, SeqCst) == 1 {
            *self.owner.lock().unwrap() = None;
            self.lock.unlock().unwrap();
        }
    }
}

impl SmallRLock {
    /// Wrong: frees the lock first. The next owner comes in, and then this thread erases its name.
    pub(crate) fn unlock_in_wrong_order(&self) {
        if self.depth.fetch_sub(1, SeqCst) == 1 {
            self.lock.unlock().unwrap();
            *self.owner.lock().unwrap() = None;
        }
    }
}

pub(crate) fn wrong_order() {
    turns(SmallRLock::unlock_in_wrong_order);
}

pub(crate) fn right_order() {
    turns(SmallRLock::unlock);
}

/// Two threads take the lock twice each.
fn turns(release: fn(&SmallRLock)) {
    let lock = SmallRLock::default();
    let turn = || {
        lock.lock();
        lock.lock();
        release(&lock);
        release(&lock);
    };
    thread::scope(|threads| {
        threads.spawn(turn);
        turn();
    });
}

/// How many threads are inside after another than the owner has unlocked.
pub(crate) fn inside_after_a_foreign_unlock() -> usize {
    let (lock, inside) = (SmallRLock::default(), AtomicUsize::new(0));
    let enter = || {
        lock.lock();
        inside.fetch_add(1, SeqCst);
    };
    enter();
    elsewhere(|| {
        lock.unlock();
        enter();
    });
    inside.into_inner()
}

// --- the story -----------------------------------------------------------------------------------

/// Runs `f` on another thread and waits for it.
fn elsewhere<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|threads| threads.spawn(f).join().unwrap())
}

fn small_transfer() -> usize {
    let (lock, balance) = (SmallRLock::default(), AtomicUsize::new(0));
    let deposit = |amount| {
        lock.lock();
        balance.store(balance.load(SeqCst) + amount, SeqCst);
        lock.unlock();
    };
    lock.lock(); // nobody sees the one deposit without the other
    deposit(10);
    deposit(20);
    lock.unlock();
    balance.into_inner()
}

#[derive(Default)]
struct Account {
    lock: RLock,
    balance: AtomicUsize, // no `&mut` behind a lock that its owner may take again
}

impl Account {
    /// Adds `amount`; gives the depth it worked at.
    fn deposit(&self, amount: usize) -> usize {
        let _guard = self.lock.lock();
        self.balance.store(self.balance.load(SeqCst) + amount, SeqCst);
        self.lock.depth()
    }

    /// Two deposits, of which nobody sees the one without the other.
    fn transfer(&self) -> (usize, usize) {
        let _guard = self.lock.lock();
        self.deposit(10);
        (self.lock.depth(), self.deposit(20))
    }

    fn another_comes_in(&self) -> &str {
        let comes_in = elsewhere(|| self.lock.try_lock().is_some());
        if comes_in { "yes" } else { "no" }
    }
}

fn main() {
    let arguments: Vec<_> = args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => tell(),
        ["right", schedule] => print(&[replay(schedule, right_order).to_string()]),
        [schedule, ..] => print(&[replay(schedule, wrong_order).to_string()]),
    }
}

fn tell() {
    let lock = Lock::new();
    let _transfer = lock.lock();
    let deposit = lock.lock_timeout(Duration::from_millis(20)); // `lock.lock()` would never end
    let deposit = deposit.map_or("gives up after 20 ms", |_| "comes in");

    let small_balance = small_transfer();
    let inside = inside_after_a_foreign_unlock();

    let account = Account::default();
    account.lock.lock().forget();
    let owner = thread::current().id();
    let refused = elsewhere(|| account.lock.unlock()) == Err(RUnlockError::NotOwner(owner));
    let unlock = if refused { "refused, it is not the owner" } else { "done" };
    account.lock.unlock().expect("the owner gives its forgotten level back");

    let (outer, inner) = account.transfer();
    let balance = account.balance.load(SeqCst);

    let (first, second) = (account.lock.lock(), account.lock.lock());
    let at_2 = account.another_comes_in();
    drop(first); // in any order
    let at_1 = account.another_comes_in();
    drop(second);
    let at_0 = account.another_comes_in();

    let calls = "transfer holds it, and deposit";
    let comes_in = "another thread comes in";
    let depths = format!("at depth {outer}, deposit at depth {inner}");
    print(&[
        format!("Lock:        {calls} waits for it: {deposit}"),
        format!("SmallRLock:  {calls} takes it again: the balance is {small_balance}"),
        format!("SmallRLock:  (wrong) another thread unlocks it and comes in, {inside} are inside"),
        format!("RLock:       another thread unlocks it: {unlock}"),
        format!("RLock:       transfer holds it {depths}, the balance is {balance}"),
        format!(
            "RLock:       {comes_in} at depth 2: {at_2}, at depth 1: {at_1}, at depth 0: {at_0}"
        ),
    ]);
}

/// In one piece; a reader that has gone away (`| head -1`) is no error.
fn print(lines: &[String]) {
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}
