//! A copied lock.

use book::ch01_lock::Lock;

static LOCK: Lock = Lock::new();

fn main() {
    let guard = LOCK.lock();
    assert!(LOCK.try_lock().is_none());
    std::thread::spawn(move || drop(guard)).join().unwrap();
    assert!(!LOCK.is_locked());
    println!("ok");
}
