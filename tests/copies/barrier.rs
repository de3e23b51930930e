//! A copied barrier.

use book::ch06_barrier::Barrier;
use std::sync::Arc;

fn main() {
    let barrier = Arc::new(Barrier::new(2));
    let other = barrier.clone();
    let thread = std::thread::spawn(move || other.wait().is_ok());
    assert!(barrier.wait().is_ok());
    assert!(thread.join().unwrap());
    println!("ok");
}
