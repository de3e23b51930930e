//! Chapter 11: each end is heard of once, also one that comes while the reader begins to listen.

use super::ch10_future::promise;
use super::ch11_wait::{ReturnWhen, as_completed, wait};
use crate::program::{bound, programs};
use std::thread;

programs! {
    fn one_future_ends_while_it_is_waited_for(bound(2), 43) {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok(1)).is_ok());
        assert_eq!(as_completed([future]).count(), 1);
        thread.join().unwrap();
    }

    fn two_futures_end_while_they_are_waited_for(bound(1), 109) {
        let ((first, a), (second, b)) = (promise(), promise());
        thread::scope(|scope| {
            scope.spawn(|| first.complete(Ok(1)).is_ok());
            scope.spawn(|| second.complete(Ok(2)).is_ok());
            let values = as_completed([a, b]).map(|future| future.result().unwrap());
            assert_eq!(values.sum::<i32>(), 3);
        });
    }

    fn the_first_of_two_is_enough(bound(2), 53) {
        let ((first, a), (second, b)) = (promise(), promise());
        thread::scope(|scope| {
            scope.spawn(|| first.complete(Ok(1)).is_ok());
            let waited = wait([a, b], ReturnWhen::FirstCompleted);
            assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
        });
        second.complete(Ok(2)).unwrap();
    }
}
