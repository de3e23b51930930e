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
    std::thread::spawn(move || {
        fast.complete(Ok(1)).unwrap();
        slow.complete(Ok(2)).unwrap();
    });
    let outcomes: Vec<_> = as_completed([a, b, c]).map(|future| future.result()).collect();
    assert_eq!(outcomes, [Err(Error::Cancelled), Ok(1), Ok(2)]);
    let (promise, d) = promise();
    promise.complete(Ok(3)).unwrap();
    assert_eq!(wait([d], ReturnWhen::AllCompleted).done.len(), 1);
    println!("ok");
}
