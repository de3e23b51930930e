//! Chapter 14: each job is taken once, and no worker sleeps beside one.

use super::ch14_backlog::Backlog;
use crate::program::{bound, programs};
use real::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

programs! {
    fn two_are_pushed_and_one_worker_takes_them(bound(2), 203) {
        let backlog = Backlog::new(1);
        thread::scope(|scope| {
            let worker = scope.spawn(|| std::iter::from_fn(|| backlog.next(0)).count());
            backlog.push(1).unwrap();
            backlog.push(2).unwrap();
            backlog.close();
            assert_eq!(worker.join().unwrap(), 2);
        });
    }

    /// What is accepted is taken, whoever closes meanwhile.
    fn one_is_pushed_while_another_thread_closes(bound(1), 41) {
        let backlog = Backlog::new(1);
        thread::scope(|scope| {
            let worker = scope.spawn(|| std::iter::from_fn(|| backlog.next(0)).count());
            let pusher = scope.spawn(|| backlog.push(1).is_ok());
            backlog.close();
            assert_eq!(worker.join().unwrap(), usize::from(pusher.join().unwrap()));
        });
    }

    /// Nobody closes before both are taken: a job beside a sleeper is a deadlock.
    fn two_are_pushed_and_two_workers_take_them(bound(1), 180) {
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

    /// The first job waits for the second. Both come while both workers sleep: the one that wakes
    /// and finds two must wake the other.
    fn a_worker_that_finds_two_wakes_the_other(bound(1), 1679) {
        let backlog = Backlog::new(2);
        let (is_done, done) = (Mutex::new(false), Condvar::new());
        let work = |me| {
            while let Some(job) = backlog.next(me) {
                let mut guard = is_done.lock().unwrap();
                if job == 2 {
                    *guard = true;
                    done.notify_one();
                } else {
                    while !*guard {
                        guard = done.wait(guard).unwrap();
                    }
                    backlog.close();
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| work(0));
            scope.spawn(|| work(1));
            thread::park_timeout(LIMIT); // until nobody else can go on
            backlog.push(1).unwrap();
            backlog.push(2).unwrap();
        });
    }

    fn a_close_ends_two_that_sleep(bound(1), 1542) {
        let backlog = Backlog::<()>::new(2);
        thread::scope(|scope| {
            scope.spawn(|| assert!(backlog.next(0).is_none()));
            scope.spawn(|| assert!(backlog.next(1).is_none()));
            thread::park_timeout(LIMIT);
            backlog.close();
        });
    }

    /// A worker sleeps, takes a job, sleeps, and takes another.
    fn a_worker_is_woken_twice(bound(2), 516) {
        let backlog = Backlog::new(1);
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                while backlog.next(0).unwrap() != 2 {}
            });
            backlog.push(1).unwrap();
            thread::park_timeout(LIMIT);
            backlog.push(2).unwrap();
            worker.join().unwrap();
        });
    }

    /// A worker puts a job on its own shelf, and does not come for it: the other one must.
    fn a_job_on_a_shelf_is_found_by_the_other_worker(bound(3), 433) {
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
