//! Look at who goes home. A special last item tells the end to one popper, `close` tells it to all.
//! Then look at the pusher: it is never more than two items ahead.
//!
//! Expected output:
//!
//! ```text
//! a special last item:  1 popper goes home, 1 waits in vain
//! close:                2 poppers go home, 0 wait in vain
//! a queue of two is full: `try_push(3)` gives 3 back
//! pop gives 1: now `push(3)` gets through
//! three poppers add up 1 to 100 from a queue of two: 5050
//! ```

use std::thread;
use std::time::Duration;

use concurrent_explained::{Queue, QueueError};

/// Pops until the end; whether it heard of the end within the limit (the watchdog of this example).
fn goes_home(queue: &Queue<Option<u32>>) -> bool {
    loop {
        match queue.pop_timeout(Duration::from_millis(100)) {
            Ok(Some(_work)) => {}
            Ok(None) | Err(QueueError::Closed) => return true,
            Err(_) => return false,
        }
    }
}

/// How many of two poppers go home after `tell_the_end`.
fn home(tell_the_end: fn(&Queue<Option<u32>>)) -> usize {
    let queue = Queue::unbounded();
    (1..=5).for_each(|n| queue.push(Some(n)).unwrap());
    tell_the_end(&queue);
    thread::scope(|scope| {
        let poppers = [(); 2].map(|()| scope.spawn(|| goes_home(&queue)));
        let home = poppers.map(|popper| popper.join().unwrap());
        home.into_iter().filter(|&home| home).count()
    })
}

fn main() {
    let n = home(|queue| queue.push(None).unwrap());
    println!("a special last item:  {n} popper goes home, {} waits in vain", 2 - n);
    let n = home(|queue| queue.close());
    println!("close:                {n} poppers go home, {} wait in vain", 2 - n);

    let queue = Queue::bounded(2).unwrap();
    queue.push(1).unwrap();
    queue.push(2).unwrap();
    let refused = queue.try_push(3).unwrap_err();
    println!("a queue of two is full: `try_push(3)` gives {} back", refused.item);
    thread::scope(|scope| {
        let pusher = scope.spawn(|| queue.push(refused.item).unwrap());
        let first = queue.pop().unwrap();
        pusher.join().unwrap(); // returns only because of that pop
        println!("pop gives {first}: now `push(3)` gets through");
    });

    let queue = Queue::bounded(2).unwrap();
    let total: u32 = thread::scope(|scope| {
        let poppers = [(); 3].map(|()| scope.spawn(|| queue.pops().sum::<u32>()));
        (1..=100).for_each(|n| queue.push(n).unwrap());
        queue.close();
        poppers.into_iter().map(|popper| popper.join().unwrap()).sum()
    });
    println!("three poppers add up 1 to 100 from a queue of two: {total}");
}
