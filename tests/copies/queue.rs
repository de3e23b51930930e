//! A copied queue.

use book::ch07_queue::Queue;
use std::sync::Arc;

fn main() {
    let queue = Arc::new(Queue::bounded(2));
    let pusher = queue.clone();
    std::thread::spawn(move || {
        (1..=5).for_each(|n| pusher.push(n).unwrap());
        pusher.close();
    });
    assert_eq!(queue.pops().sum::<i32>(), 15);
    println!("ok");
}
