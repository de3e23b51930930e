//! Chapter 28: no wake is lost between a poll, a completion and a sleep.

use super::ch10_future::promise;
use super::ch28_await::block_on;
use crate::program::{bound, programs};
use std::thread;

programs! {
    fn a_future_ends_while_it_is_awaited(bound(2), 22) {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        assert_eq!(block_on(future), Ok(1));
        thread.join().unwrap();
    }

    fn two_futures_are_awaited_in_turn(bound(1), 46) {
        let ((first, a), (second, b)) = (promise(), promise());
        thread::scope(|scope| {
            scope.spawn(|| second.complete(Ok(2)).is_ok());
            scope.spawn(|| first.complete(Ok(1)).is_ok());
            let sum = block_on(async { a.await.unwrap() + b.await.unwrap() });
            assert_eq!(sum, 3);
        });
    }
}
