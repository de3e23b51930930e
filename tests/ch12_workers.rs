//! Chapter 12: each cell of the table, each invariant, the trap, and the answers to `Try`.

mod support;

#[path = "../examples/ch12_workers.rs"]
#[allow(dead_code, reason = "its wrong version is tested here, its main by the book's test")]
mod example;

use std::panic::{self, AssertUnwindSafe, panic_any};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::{env, thread};

use concurrent_explained::{Queue, Workers, WorkersError};
use support::{until, watchdog};

fn counter() -> (Arc<AtomicUsize>, impl Fn() + Clone + Send + 'static) {
    let counter = Arc::new(AtomicUsize::new(0));
    let count = counter.clone();
    (counter, move || {
        count.fetch_add(1, Ordering::Relaxed);
    })
}

#[test]
fn workers_are_send_and_sync_and_say_what_they_are() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    let workers = Workers::new(1).unwrap();
    send_and_sync(&workers);
    assert!(format!("{workers:?}").starts_with("Workers {"));
}

#[test]
fn zero_threads_are_an_error_and_no_workers() {
    assert_eq!(Workers::new(0).unwrap_err(), WorkersError::NoThreads);
    assert_eq!(WorkersError::NoThreads.to_string(), "workers need at least one thread");
    let error: &dyn std::error::Error =
        &WorkersError::NotStarted { number: 7, cause: "no memory".into() };
    assert_eq!(error.to_string(), "worker_7 did not start: no memory");
}

#[test]
fn drop_waits_until_everything_queued_has_run_once() {
    // I1, I4; cells: drop on some thread × queued, running.
    watchdog("the drop of the workers", || {
        for threads in 1..=4 {
            let (ran, count) = counter();
            let workers = Workers::new(threads).unwrap();
            let gate = Arc::new(Barrier::new(2));
            let opened = gate.clone();
            workers.run(move || {
                opened.wait();
            }); // running, and everything else behind it for one thread
            (0..100).for_each(|_| workers.run(count.clone()));
            gate.wait();
            drop(workers);
            assert_eq!(ran.load(Ordering::Relaxed), 100);
        }
    });
}

#[test]
fn drop_while_a_panic_unwinds_runs_everything_too() {
    watchdog("the drop of the workers", || {
        let (ran, count) = counter();
        let unwound = panic::catch_unwind(AssertUnwindSafe(|| {
            let workers = Workers::new(1).unwrap();
            (0..10).for_each(|_| workers.run(count.clone()));
            panic_any("out of here");
        }));
        assert!(unwound.is_err());
        assert_eq!(ran.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn one_worker_runs_jobs_in_the_order_they_came_in() {
    // I1
    let order = Arc::new(Mutex::new(Vec::new()));
    let workers = Workers::new(1).unwrap();
    for n in 0..100 {
        let order = order.clone();
        workers.run(move || order.lock().unwrap().push(n));
    }
    watchdog("the drop of the workers", || drop(workers));
    assert!(order.lock().unwrap().iter().copied().eq(0..100));
}

#[test]
fn as_many_jobs_meet_as_there_are_workers() {
    // I2: each round ends only if all its jobs run at once.
    watchdog("jobs that meet", || {
        for threads in [2, 3, 4] {
            let workers = Workers::new(threads).unwrap();
            for _ in 0..300 {
                let all = Arc::new(Barrier::new(threads + 1));
                for _ in 0..threads {
                    let all = all.clone();
                    workers.run(move || {
                        all.wait();
                    });
                }
                all.wait();
            }
        }
    });
}

#[test]
fn the_classic_loop_runs_one_job_at_a_time_and_ours_does_not() {
    watchdog("the jobs of the example", || {
        assert_eq!(example::met(example::classic(2), example::BRIEFLY), 0);
        assert_eq!(example::met(example::ours(2), std::time::Duration::MAX), 2);
    });
}

#[test]
fn threads_are_named_in_the_order_of_their_start() {
    watchdog("four jobs that meet", || {
        let (sender, names) = mpsc::channel();
        let (workers, all) = (Workers::new(4).unwrap(), Arc::new(Barrier::new(4)));
        for _ in 0..4 {
            let (sender, all) = (sender.clone(), all.clone());
            workers.run(move || {
                sender.send(thread::current().name().unwrap().to_owned()).unwrap();
                all.wait(); // so that nobody runs two
            });
        }
        let mut names: Vec<_> = names.iter().take(4).collect();
        names.sort();
        assert_eq!(names, ["worker_0", "worker_1", "worker_2", "worker_3"]);
    });
}

/// Its own drop panics, and so does the payload of that panic.
struct Grenade(u32);

impl Drop for Grenade {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Grenade(self.0 - 1));
        }
    }
}

#[test]
fn a_worker_outlives_jobs_that_panic_whatever_they_panic_with() {
    // I3
    watchdog("a job after the panics", || {
        let (ran, count) = counter();
        let workers = Workers::new(1).unwrap();
        workers.run(|| panic!("as text"));
        workers.run(|| panic_any(7));
        workers.run(|| panic_any(Grenade(1)));
        workers.run(|| panic_any(Grenade(5)));
        let payload = Arc::new(());
        let seen = Arc::downgrade(&payload);
        workers.run(|| panic_any(payload));
        let captured = Grenade(1);
        workers.run(move || {
            let _dropped_here = &captured;
        });
        workers.run(count);
        drop(workers);
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        assert!(seen.upgrade().is_none(), "a payload is dropped, not leaked");
    });
}

#[test]
fn the_last_handle_dropped_in_a_job_neither_hangs_nor_loses_what_is_queued() {
    // I4; cells: drop on a worker × queued, running. The first job waits for nothing, the others still run.
    watchdog("jobs behind the one that drops the workers", || {
        for threads in [1, 2] {
            let (ran, count) = counter();
            let workers = Arc::new(Workers::new(threads).unwrap());
            let (gate, opened) = mpsc::channel::<()>();
            let last = workers.clone();
            workers.run(move || {
                let _ = opened.recv();
                drop(last);
            });
            (0..50).for_each(|_| workers.run(count.clone()));
            drop(workers);
            drop(gate); // now the handle in the job is the last
            until("all jobs have run", || ran.load(Ordering::Relaxed) == 50);
        }
    });
}

#[test]
fn a_job_that_drops_the_workers_may_owe_another_job_its_news() {
    // I4: were the other worker joined here, both would wait for ever.
    watchdog("two jobs, of which the second waits for the first", || {
        let workers = Arc::new(Workers::new(2).unwrap());
        let (last, both_run) = (workers.clone(), Arc::new(Barrier::new(2)));
        let (news, newsreader) = mpsc::channel();
        let (done, all_done) = mpsc::channel();
        let met = both_run.clone();
        let (let_go, alone) = mpsc::channel::<()>();
        workers.run(move || {
            met.wait();
            let _ = alone.recv();
            drop(last);
            news.send(()).unwrap();
        });
        workers.run(move || {
            both_run.wait();
            done.send(newsreader.recv()).unwrap();
        });
        drop(workers);
        drop(let_go);
        assert_eq!(all_done.recv(), Ok(Ok(())));
    });
}

#[test]
fn jobs_come_from_many_threads_and_from_jobs() {
    watchdog("all jobs", || {
        let (ran, count) = counter();
        let workers = Arc::new(Workers::new(2).unwrap());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let (inner, count) = (Arc::downgrade(&workers), count.clone());
                        workers.run(move || match inner.upgrade() {
                            Some(workers) => workers.run(count),
                            None => count(),
                        });
                    }
                });
            }
        });
        until("all jobs have run", || ran.load(Ordering::Relaxed) == 800);
    });
}

#[test]
fn what_a_job_captured_is_dropped_when_it_has_run() {
    watchdog("the job", || {
        let (workers, captured) = (Workers::new(1).unwrap(), Arc::new(()));
        let seen = Arc::downgrade(&captured);
        workers.run(move || drop(captured));
        until("the captured value is gone", || seen.upgrade().is_none());
        drop(workers);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_thread_that_cannot_start_ends_those_before_it() {
    // I5. In a child whose address space has room for nine stacks of 1 GiB.
    const NAME: &str = "a_thread_that_cannot_start_ends_those_before_it";
    if env::var_os("CHILD").is_some() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let refused = Workers::new(100).unwrap_err();
        assert!(matches!(refused, WorkersError::NotStarted { number: 1.., .. }), "{refused}");
        until("all threads have left", || threads() == before);
        return println!("nobody left");
    }
    watchdog("the child", || {
        let mut child = Command::new("sh");
        child
            .args(["-c", "ulimit -v 10700000; exec \"$0\" \"$@\""])
            .arg(env::current_exe().unwrap());
        let output = child
            .args([NAME, "--exact", "--nocapture"])
            .env("CHILD", "1")
            .env("RUST_MIN_STACK", "1073741824")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("nobody left"), "{said}");
    });
}

#[test]
fn try_1_more_jobs_that_meet_than_workers_do_not_meet() {
    // Drop waits for ever, so the third party is this thread, and then they can go on.
    watchdog("three jobs on two workers", || {
        let (workers, three) = (Workers::new(2).unwrap(), Arc::new(Barrier::new(3)));
        let started = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let (three, started) = (three.clone(), started.clone());
            workers.run(move || {
                started.fetch_add(1, Ordering::Relaxed);
                three.wait();
            });
        }
        until("two have started", || started.load(Ordering::Relaxed) == 2);
        (0..1_000).for_each(|_| thread::yield_now());
        assert_eq!(started.load(Ordering::Relaxed), 2, "the third has no worker");
        three.wait();
        until("the third has started", || started.load(Ordering::Relaxed) == 3);
        let fourth = three.clone();
        workers.run(move || {
            fourth.wait();
        }); // it, the third and this thread are three again
        three.wait();
        drop(workers);
    });
}

#[test]
fn try_3_a_job_that_answers() {
    /// Where the value of `work` will be: a queue of at most one item, closed when no answer will come.
    fn ask<T: Send + 'static>(
        workers: &Workers,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Arc<Queue<T>> {
        struct Ends<T>(Arc<Queue<T>>);
        impl<T> Drop for Ends<T> {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let answer = Arc::new(Queue::unbounded());
        let ends = Ends(answer.clone());
        workers.run(move || {
            let _ = ends.0.push(work());
        });
        answer
    }
    watchdog("two answers", || {
        let workers = Workers::new(1).unwrap();
        let (sum, never) =
            (ask(&workers, || 1 + 1), ask(&workers, || -> u32 { panic!("no answer") }));
        assert_eq!((sum.pop(), sum.pop()), (Some(2), None));
        assert_eq!(never.pop(), None, "the reader of a job that panicked is not left waiting");
    });
}
