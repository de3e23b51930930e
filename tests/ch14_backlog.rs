//! Chapter 14: where jobs wait for workers. Order, fairness, wake-ups, the end, and the answers to
//! `Try`.

mod support;

use concurrent_explained::ch09_outcome::catch;
use concurrent_explained::ch14_backlog::Backlog;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use support::{until, watchdog};

fn never(_: &u32) -> bool {
    false
}

/// All that worker `me` finds in a closed backlog.
fn rest(backlog: &Backlog<u32>, me: usize) -> Vec<u32> {
    backlog.close();
    std::iter::from_fn(|| backlog.next(me)).collect()
}

/// So many have no job; most of them sleep by now.
fn until_asleep(backlog: &Backlog<u32>, workers: usize) {
    until("they find nothing", || {
        format!("{backlog:?}") == format!("Backlog {{ idle: {workers}, .. }}")
    });
    (0..200).for_each(|_| thread::yield_now());
}

#[test]
fn no_workers_panic() {
    assert!(catch(|| Backlog::<u32>::new(0)).is_err());
}

#[test]
fn i1_every_job_leaves_once_however_many_push_and_take() {
    watchdog("four pushers and three workers", || {
        let backlog = Backlog::new(3);
        let taken = Mutex::new(Vec::new());
        let pushers = AtomicUsize::new(4);
        thread::scope(|scope| {
            for me in 0..3 {
                let (backlog, taken) = (&backlog, &taken);
                scope.spawn(move || {
                    while let Some(job) = backlog.next(me) {
                        taken.lock().unwrap().push(job);
                        if job < 10_000 {
                            let _ = backlog.push_own(me, job + 10_000, never);
                        }
                    }
                });
            }
            for part in 0..4 {
                let (backlog, pushers, taken) = (&backlog, &pushers, &taken);
                scope.spawn(move || {
                    (0..2_500).for_each(|n| backlog.push(part * 2_500 + n).unwrap());
                    if pushers.fetch_sub(1, SeqCst) == 1 {
                        until("all have come out", || taken.lock().unwrap().len() == 20_000);
                        backlog.close();
                    }
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..20_000));
    });
}

#[test]
fn i2_a_push_wakes_a_sleeper_from_outside_and_from_another_worker() {
    watchdog("a sleeper", || {
        for own in [false, true] {
            let backlog = Arc::new(Backlog::new(2));
            let sleeper = backlog.clone();
            let sleeper = thread::spawn(move || sleeper.next(1));
            until_asleep(&backlog, 1);
            if own {
                backlog.push_own(0, 7, never).unwrap(); // the shelf's owner never comes for it
            } else {
                backlog.push(7).unwrap();
            }
            assert_eq!(sleeper.join().unwrap(), Some(7));
        }
    });
}

#[test]
fn i2_as_many_jobs_run_at_once_as_there_are_workers() {
    // No wake-up is lost: each round ends only if all jobs of it are taken, each by another worker.
    watchdog("jobs that meet", || {
        for workers in [2, 3, 4] {
            for round in 0..100 {
                let (backlog, all) = (Backlog::new(workers), Barrier::new(workers));
                thread::scope(|scope| {
                    for me in 0..workers {
                        let (backlog, all) = (&backlog, &all);
                        scope.spawn(move || {
                            assert!(backlog.next(me).is_some());
                            all.wait();
                        });
                    }
                    let jobs = 0..u32::try_from(workers).unwrap();
                    match round % 2 {
                        0 => jobs.for_each(|job| backlog.push(job).unwrap()),
                        _ => jobs.for_each(|job| backlog.push_own(0, job, never).unwrap()),
                    }
                });
            }
        }
    });
}

#[test]
fn i2_a_push_onto_a_shelf_and_a_worker_that_falls_asleep_do_not_miss_each_other() {
    watchdog("two workers that hand a job to and fro", || {
        let (backlog, all) = (Backlog::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let (backlog, all) = (&backlog, &all);
            scope.spawn(move || {
                for n in 0..2_000 {
                    backlog.push_own(0, n, never).unwrap();
                    all.wait();
                }
                backlog.close();
            });
            scope.spawn(move || {
                for n in 0..2_000 {
                    assert_eq!(backlog.next(1), Some(n));
                    all.wait();
                }
            });
        });
    });
}

#[test]
fn i3_a_worker_whose_jobs_make_jobs_comes_to_the_inbox() {
    watchdog("a job behind a job that makes itself again", || {
        let backlog = Backlog::new(1);
        backlog.push(0).unwrap();
        assert_eq!(backlog.next(0), Some(0));
        backlog.push_own(0, 0, never).unwrap();
        backlog.push(7).unwrap();
        let turns = (1..).find(|_| {
            let job = backlog.next(0).unwrap();
            backlog.push_own(0, 0, never).unwrap();
            job == 7
        });
        assert!(turns.unwrap() <= 3);
    });
}

#[test]
fn i3_a_worker_whose_jobs_make_jobs_comes_to_the_shelf_of_one_that_is_busy() {
    watchdog("a job on the shelf of a worker that never comes back", || {
        let backlog = Backlog::new(2);
        (0..3).for_each(|_| backlog.push(7).unwrap());
        assert_eq!(backlog.next(0), Some(7)); // the two others are on its shelf now
        backlog.push_own(1, 0, never).unwrap();
        let mut seen = 0;
        while seen < 2 {
            match backlog.next(1).unwrap() {
                7 => seen += 1,
                _ => backlog.push_own(1, 0, never).unwrap(),
            }
        }
    });
}

#[test]
fn i4_one_worker_takes_the_jobs_of_one_pusher_in_their_order() {
    let backlog = Backlog::new(1);
    (0..50).for_each(|n| backlog.push(n).unwrap());
    let mut taken: Vec<_> = (0..25).map(|_| backlog.next(0).unwrap()).collect();
    (50..100).for_each(|n| backlog.push(n).unwrap());
    taken.extend(rest(&backlog, 0));
    assert!(taken.into_iter().eq(0..100));
}

#[test]
fn i5_a_closed_backlog_accepts_nothing_and_gives_out_what_is_there() {
    let backlog = Backlog::new(2);
    backlog.push(1).unwrap();
    backlog.push_own(0, 2, never).unwrap();
    assert_eq!(backlog.waiting(), 2);
    backlog.close();
    assert!(backlog.is_closed());
    assert_eq!((backlog.push(3), backlog.push_own(1, 4, never)), (Err(3), Err(4)));
    let mut left = rest(&backlog, 1);
    left.sort_unstable();
    assert_eq!((left, backlog.next(0)), (vec![1, 2], None));
}

#[test]
fn i5_close_wakes_every_sleeper() {
    watchdog("three sleepers", || {
        let backlog = Arc::new(Backlog::<u32>::new(3));
        let sleepers: Vec<_> = (0..3)
            .map(|me| {
                let backlog = backlog.clone();
                thread::spawn(move || backlog.next(me))
            })
            .collect();
        until_asleep(&backlog, 3);
        backlog.close();
        assert!(sleepers.into_iter().all(|sleeper| sleeper.join().unwrap().is_none()));
    });
}

#[test]
fn i1_drain_takes_what_is_in_the_inbox_and_on_the_shelves() {
    let backlog = Backlog::new(2);
    (0..3).for_each(|n| backlog.push(n).unwrap());
    assert_eq!(backlog.next(0), Some(0));
    backlog.push(3).unwrap();
    backlog.push_own(1, 4, never).unwrap();
    let mut drained = backlog.drain();
    drained.sort_unstable();
    assert_eq!((drained, backlog.waiting()), (vec![1, 2, 3, 4], 0));
}

#[test]
fn i6_a_newest_job_that_is_over_is_forgotten_and_dropped_without_a_lock() {
    /// Its drop uses the backlog it lay in.
    struct Nosy(Arc<Backlog<Nosy>>, Arc<AtomicUsize>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.1.fetch_add(self.0.waiting(), SeqCst);
        }
    }
    watchdog("a drop that asks the backlog", || {
        let (backlog, asked) = (Arc::new(Backlog::new(1)), Arc::new(AtomicUsize::new(0)));
        let job = || Nosy(backlog.clone(), asked.clone());
        assert!(backlog.push_own(0, job(), |_| true).is_ok());
        assert!(backlog.push_own(0, job(), |_| true).is_ok());
        assert_eq!((asked.load(SeqCst), backlog.waiting()), (1, 1));
        drop(backlog.drain());
    });
}

#[test]
fn i7_a_backlog_that_closes_when_idle_waits_for_the_job_that_pushes_another() {
    watchdog("jobs that push jobs", || {
        for workers in 1..=3 {
            for _ in 0..100 {
                let (backlog, taken) = (Backlog::new(workers), AtomicUsize::new(0));
                thread::scope(|scope| {
                    for me in 0..workers {
                        let (backlog, taken) = (&backlog, &taken);
                        scope.spawn(move || {
                            while let Some(left) = backlog.next(me) {
                                taken.fetch_add(1, SeqCst);
                                (0..left).for_each(|_| backlog.push(left - 1).unwrap());
                            }
                        });
                    }
                    backlog.push(3_u32).unwrap();
                    backlog.close_when_idle(workers);
                });
                assert_eq!(taken.into_inner(), 1 + 3 + 3 * 2 + 3 * 2);
                assert!(backlog.is_closed());
            }
        }
    });
}

#[test]
fn i7_a_backlog_whose_workers_are_all_asleep_closes_at_once() {
    watchdog("two sleepers", || {
        let backlog = Backlog::<u32>::new(2);
        thread::scope(|scope| {
            let sleepers = [0, 1].map(|me| {
                scope.spawn({
                    let backlog = &backlog;
                    move || backlog.next(me)
                })
            });
            until_asleep(&backlog, 2);
            assert!(!backlog.is_closed());
            backlog.close_when_idle(2);
            assert!(sleepers.into_iter().all(|sleeper| sleeper.join().unwrap().is_none()));
        });
    });
}

#[test]
fn try_1_its_own_job_comes_behind_what_it_has_taken() {
    let backlog = Backlog::new(1);
    (1..=4).for_each(|n| backlog.push(n).unwrap());
    let mut taken = vec![backlog.next(0).unwrap()];
    backlog.push_own(0, 100, never).unwrap();
    (5..=8).for_each(|n| backlog.push(n).unwrap());
    taken.extend(rest(&backlog, 0));
    assert_eq!(taken, [1, 2, 3, 4, 100, 5, 6, 7, 8]);
}

// Done as it says, this one goes red, and `i3_a_worker_whose_jobs_make_jobs_comes_to_the_inbox`:
// the shelf is never empty, so nobody looks into the inbox. And, for the same reason,
// `i3_a_worker_whose_jobs_make_jobs_comes_to_the_shelf_of_one_that_is_busy`.
#[test]
fn try_2_a_round_ends() {
    let backlog = Backlog::new(1);
    backlog.push(7).unwrap();
    let from_the_inbox = (0..100).any(|_| {
        backlog.push_own(0, 0, never).unwrap();
        backlog.next(0) == Some(7)
    });
    assert!(from_the_inbox);
}

#[test]
fn a_drained_backlog_goes_on() {
    let backlog = Backlog::new(1);
    backlog.push(1).unwrap();
    assert_eq!(backlog.drain(), [1]);
    backlog.push(2).unwrap();
    assert_eq!(backlog.next(0), Some(2));
}

/// `close_when_idle` notices: an empty backlog is not enough, as a job under way may push the next.
/// (A panic of `f` would end its worker, which then is never idle. Chapter 16 catches it.)
fn work_off<J: Send>(workers: usize, first: J, f: impl Fn(J, &dyn Fn(J)) + Sync) {
    let backlog = Backlog::new(workers);
    assert!(backlog.push(first).is_ok());
    thread::scope(|scope| {
        for me in 0..workers {
            let (backlog, f) = (&backlog, &f);
            scope.spawn(move || {
                while let Some(job) = backlog.next(me) {
                    f(job, &|more| assert!(backlog.push_own(me, more, |_| false).is_ok()));
                }
            });
        }
        backlog.close_when_idle(workers);
    });
}

#[test]
fn try_3_jobs_are_worked_off_with_those_they_make() {
    watchdog("a tree of jobs", || {
        for workers in 1..=3 {
            let leaves = AtomicUsize::new(0);
            work_off(workers, 10_u32, |depth, push| match depth {
                0 => _ = leaves.fetch_add(1, SeqCst),
                _ => (0..2).for_each(|_| push(depth - 1)),
            });
            assert_eq!(leaves.into_inner(), 1 << 10);
        }
    });
}
