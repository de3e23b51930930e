//! Chapter 03: what is notified under the lock is heard, by those it was meant for.

use super::ch01_lock::Lock;
use super::ch03_condition::Condition;
use crate::program::{bound, programs, spurious};
use real::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

programs! {
    fn a_flag_is_set_and_notified(bound(3), 57) {
        let (lock, news, flag) = (Lock::new(), Condition::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = lock.lock();
                news.wait_for(&mut guard, || flag.load(SeqCst) == 1);
            });
            let guard = lock.lock();
            flag.store(1, SeqCst);
            news.notify(&guard, 1);
        });
    }

    fn nobody_returns_without_a_notification(spurious(2), 412) {
        let (lock, news, flag) = (Lock::new(), Condition::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = lock.lock();
                flag.store(1, SeqCst);
                news.wait(&mut guard);
                assert_eq!(flag.load(SeqCst), 2);
            });
            loop {
                let guard = lock.lock();
                if flag.load(SeqCst) == 1 {
                    flag.store(2, SeqCst);
                    assert_eq!(news.notify(&guard, 1), 1);
                    break;
                }
                drop(guard);
                thread::yield_now();
            }
        });
    }

    fn a_limit_passes_and_swallows_no_notification(bound(1), 739) {
        let (lock, news, waiting) = (Lock::new(), Condition::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            let with_a_limit = scope.spawn(|| {
                let mut guard = lock.lock();
                waiting.fetch_add(1, SeqCst);
                news.wait_timeout(&mut guard, LIMIT)
            });
            scope.spawn(|| {
                let mut guard = lock.lock();
                waiting.fetch_add(1, SeqCst);
                news.wait(&mut guard);
            });
            while waiting.load(SeqCst) < 2 {
                thread::yield_now();
            }
            news.notify(&lock.lock(), 1);
            if with_a_limit.join().unwrap() {
                news.notify(&lock.lock(), 1);
            }
        });
    }
}
