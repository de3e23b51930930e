//! Chapter 14: each job is taken once, and no worker sleeps beside one.

use super::ch14_backlog::Backlog;
use crate::program::{bound, programs};
use real::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

programs! {
    fn two_are_pushed_and_one_worker_takes_them(bound(2), 101) {
        let backlog = Backlog::new(1);
        thread::scope(|scope| {
            let worker = scope.spawn(|| std::iter::from_fn(|| backlog.next(0)).count());
            backlog.push(1).unwrap();
            backlog.push(2).unwrap();
            backlog.close();
            assert_eq!(worker.join().unwrap(), 2);
        });
    }

    /// Nobody closes before both are taken: a job beside a sleeper is a deadlock.
    fn two_are_pushed_and_two_workers_take_them(bound(1), 130) {
        let (backlog, taken) = (Backlog::new(2), AtomicUsize::new(0));
        let work = |me| {
            while backlog.next(me).is_some() {
                if taken.fetch_add(1, SeqCst) == 1 {
                    backlog.close();
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| work(0));
            scope.spawn(|| work(1));
            backlog.push(1).unwrap();
            backlog.push(2).unwrap();
        });
        assert_eq!(taken.load(SeqCst), 2);
    }

    /// A worker puts two jobs on its own shelf, and the second waits for the first: the other worker
    /// must come for one.
    fn a_job_on_a_shelf_is_found_by_the_other_worker(bound(2), 43) {
        let (backlog, done) = (Backlog::new(2), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while backlog.next(1).is_some() {
                    done.fetch_add(1, SeqCst);
                    backlog.close();
                }
            });
            backlog.push_own(0, 1, |_| false).unwrap();
        });
        assert_eq!(done.load(SeqCst), 1);
    }
}
