//! Chapter 17: outcomes in the order of the inputs, whatever the order of the ends.

use super::ch12_workers::Workers;
use super::ch10_future::promise;
use super::ch17_map::{map, map_windowed};
use crate::program::{bound, programs};
use real::sync::atomic::{AtomicUsize, Ordering::SeqCst};

programs! {
    fn two_inputs_end_in_any_order(bound(0), 9) {
        let (workers, submitted) = (Workers::new(2), AtomicUsize::new(0));
        let outcomes = map([1, 2], |input| {
            submitted.fetch_add(1, SeqCst);
            let (promise, future) = promise();
            drop(workers.run(move || promise.complete(Ok(input)).is_ok()));
            future
        });
        assert_eq!(submitted.load(SeqCst), 2);
        let values: Vec<_> = outcomes.map(Result::unwrap).collect();
        assert_eq!(values, [1, 2]);
    }

    fn a_window_of_one_has_one_under_way(bound(0), 18) {
        let (workers, under_way) = (Workers::new(2), std::sync::Arc::new(AtomicUsize::new(0)));
        let outcomes = map_windowed(1, [1, 2], |input| {
            let (promise, future) = promise();
            assert_eq!(under_way.fetch_add(1, SeqCst), 0);
            let count = under_way.clone();
            drop(workers.run(move || {
                count.fetch_sub(1, SeqCst);
                promise.complete(Ok(input)).is_ok()
            }));
            future
        });
        assert_eq!(outcomes.map(Result::unwrap).sum::<i32>(), 3);
    }
}
