//! Chapter 16: a scope ends after all that was spawned in it, and then at once.

use super::ch16_scope::scope;
use crate::program::{bound, programs};
use real::sync::atomic::{AtomicUsize, Ordering::SeqCst};

programs! {
    fn a_task_spawns_another(bound(2), 180) {
        let done = AtomicUsize::new(0);
        scope(1, |outer| {
            let inner = outer.clone();
            let done = &done;
            outer.spawn(move || {
                drop(inner.spawn(move || done.fetch_add(1, SeqCst)));
                done.fetch_add(1, SeqCst)
            })
        })
        .result()
        .unwrap();
        assert_eq!(done.load(SeqCst), 2);
    }

    fn a_task_spawns_another_while_a_worker_is_idle(bound(1), 364) {
        let done = AtomicUsize::new(0);
        scope(2, |outer| {
            let inner = outer.clone();
            let done = &done;
            drop(outer.spawn(move || {
                std::thread::yield_now();
                drop(inner.spawn(move || done.fetch_add(1, SeqCst)));
            }));
        });
        assert_eq!(done.load(SeqCst), 1);
    }

    fn two_tasks_and_two_workers(bound(1), 351) {
        let done = AtomicUsize::new(0);
        scope(2, |tasks| {
            drop(tasks.spawn(|| done.fetch_add(1, SeqCst)));
            drop(tasks.spawn(|| done.fetch_add(1, SeqCst)));
        });
        assert_eq!(done.load(SeqCst), 2);
    }

    fn the_body_reads_while_a_worker_works(bound(1), 31) {
        let sum = scope(1, |tasks| tasks.spawn(|| 1).result().unwrap() + 1);
        assert_eq!(sum, 2);
    }
}
