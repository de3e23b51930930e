//! A copied semaphore.

use book::ch05_semaphore::Semaphore;

fn main() {
    let semaphore = Semaphore::new(2);
    let (one, two) = (semaphore.acquire(), semaphore.acquire());
    assert!(semaphore.try_acquire().is_none());
    drop((one, two));
    assert!(semaphore.try_acquire().is_some());
    println!("ok");
}
