//! A method that holds the lock calls a method that takes the lock: once on the lock of chapter 01,
//! then on this chapter's. Look at the depth, and at when another thread may come in.
//!
//! Expected output:
//!
//! ```text
//! Lock:  transfer holds it, deposit waits for it: given up after 20 ms
//! RLock: transfer at depth 1, deposit at depth 2, balance 30
//! RLock: another thread comes in at depth 2: false, at depth 1: false, at depth 0: true
//! RLock: a thread that is not the owner cannot unlock it: true
//! ```

use concurrent_explained::{Lock, RLock, RUnlockError};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct Account {
    lock: RLock,
    balance: AtomicU64, // no `&mut` behind a lock that its owner may take again
}

impl Account {
    /// Adds `amount`; gives the depth it worked at.
    fn deposit(&self, amount: u64) -> usize {
        let _guard = self.lock.lock();
        self.balance.store(self.balance.load(Relaxed) + amount, Relaxed);
        self.lock.depth()
    }

    /// Two deposits that nobody sees half done.
    fn transfer(&self) -> (usize, usize) {
        let _guard = self.lock.lock();
        self.deposit(10);
        (self.lock.depth(), self.deposit(20))
    }

    fn another_thread_comes_in(&self) -> bool {
        thread::scope(|scope| scope.spawn(|| self.lock.try_lock().is_some()).join().unwrap())
    }
}

fn main() {
    let lock = Lock::new();
    let _transfer = lock.lock();
    let deposit = lock.lock_timeout(Duration::from_millis(20)); // the watchdog of a wait for oneself
    assert!(deposit.is_none());
    println!("Lock:  transfer holds it, deposit waits for it: given up after 20 ms");

    let account = Account::default();
    let (outer, inner) = account.transfer();
    let balance = account.balance.load(Relaxed);
    println!("RLock: transfer at depth {outer}, deposit at depth {inner}, balance {balance}");

    let (first, second) = (account.lock.lock(), account.lock.lock());
    let at_2 = account.another_thread_comes_in();
    drop(first);
    let at_1 = account.another_thread_comes_in();
    second.forget();
    let refused = thread::scope(|scope| scope.spawn(|| account.lock.unlock()).join().unwrap());
    account.lock.unlock().expect("the owner gives the forgotten level back");
    let at_0 = account.another_thread_comes_in();
    println!(
        "RLock: another thread comes in at depth 2: {at_2}, at depth 1: {at_1}, at depth 0: {at_0}"
    );
    let refused = refused == Err(RUnlockError::NotOwner(thread::current().id()));
    println!("RLock: a thread that is not the owner cannot unlock it: {refused}");
}
