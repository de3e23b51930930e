//! Copied futures, completed by hand.

use book::ch09_outcome::Error;
use book::ch10_future::promise;
use book::ch11_wait::{as_completed, wait, ReturnWhen};

fn main() {
    let (slow, a) = promise();
    let (fast, b) = promise();
    let (never, c) = promise::<i32>();
    assert!(c.cancel());
    drop(never);
    let mut done = as_completed([a, b, c]);
    assert_eq!(done.next().unwrap().result(), Err(Error::Cancelled));
    fast.complete(Ok(1)).unwrap();
    assert_eq!(done.next().unwrap().result(), Ok(1));
    std::thread::spawn(move || slow.complete(Ok(2)));
    assert_eq!(done.next().unwrap().result(), Ok(2));
    let (promise, d) = promise();
    promise.complete(Ok(3)).unwrap();
    assert_eq!(wait([d], ReturnWhen::AllCompleted).done.len(), 1);
    println!("ok");
}
