//! Chapter 12: each cell of the table, each invariant, the trap, and the answers to `Try`.

// The example replays schedules under std's names. Outside of a replay they are what they were.
extern crate self as std;
extern crate std as real;
use concurrent_explained::ch31_schedules::{sync, thread, time};
use real::*;

mod support;

#[path = "../examples/ch12_workers.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "its wrong version is tested here, its main by the book's test"
)]
mod example;

use std::env;
use std::panic::{self, AssertUnwindSafe, panic_any};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};

use concurrent_explained::Workers;
use support::{Gate, Grenade, until, watchdog};

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
    let workers = Workers::new(1);
    send_and_sync(&workers);
    assert_eq!(format!("{workers:?}"), "Workers { threads: 1 }");
}

#[test]
fn zero_threads_are_a_panic_at_the_call() {
    let refused = panic::catch_unwind(|| Workers::new(0)).unwrap_err();
    assert_eq!(refused.downcast_ref(), Some(&"workers need at least one thread"));
}

#[test]
fn i1_i4_drop_waits_until_everything_queued_has_run_once() {
    // cells: drop on some thread × queued, running.
    watchdog("the drop of the workers", || {
        for threads in 1..=4 {
            let (ran, count) = counter();
            let workers = Workers::new(threads);
            let gate = Arc::new(Barrier::new(2));
            let opened = gate.clone();
            workers.run(move || {
                opened.wait();
            }); // running, and everything else behind it for one thread
            (0..100).for_each(|_| drop(workers.run(count.clone())));
            gate.wait();
            drop(workers);
            assert_eq!(ran.load(Ordering::Relaxed), 100);
        }
    });
}

#[test]
fn i4_drop_while_a_panic_unwinds_runs_everything_too() {
    watchdog("the drop of the workers", || {
        let (ran, count) = counter();
        let unwound = panic::catch_unwind(AssertUnwindSafe(|| {
            let workers = Workers::new(1);
            (0..10).for_each(|_| drop(workers.run(count.clone())));
            panic_any("out of here");
        }));
        assert!(unwound.is_err());
        assert_eq!(ran.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn i1_one_worker_runs_jobs_in_the_order_in_which_they_came() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let workers = Workers::new(1);
    for n in 0..100 {
        let order = order.clone();
        workers.run(move || order.lock().unwrap().push(n));
    }
    watchdog("the drop of the workers", || drop(workers));
    assert!(order.lock().unwrap().iter().copied().eq(0..100));
}

#[test]
fn i2_as_many_jobs_meet_as_there_are_workers() {
    // each round ends only if all its jobs run at once.
    watchdog("jobs that meet", || {
        for threads in [2, 3, 4] {
            let workers = Workers::new(threads);
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
fn i2_the_classic_loop_runs_one_job_at_a_time_and_ours_does_not() {
    watchdog("the jobs of the example", || {
        assert_eq!(example::met(example::classic(2), example::BRIEFLY), 0);
        assert_eq!(example::met(example::ours(2), std::time::Duration::MAX), 2);
    });
}

#[test]
fn threads_are_named_in_the_order_of_their_start() {
    watchdog("four jobs that meet", || {
        let (sender, names) = mpsc::channel();
        let (workers, all) = (Workers::new(4), Arc::new(Barrier::new(4)));
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

#[test]
fn i3_a_worker_outlives_jobs_that_panic_whatever_they_panic_with() {
    watchdog("a job after the panics", || {
        let (ran, count) = counter();
        let workers = Workers::new(1);
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
fn i4_the_last_handle_dropped_in_a_job_neither_hangs_nor_loses_what_is_queued() {
    // cells: drop on a worker × queued, running. The first job waits for nothing, the others run.
    watchdog("jobs behind the one that drops the workers", || {
        for threads in [1, 2] {
            let (ran, count) = counter();
            let workers = Arc::new(Workers::new(threads));
            let (gate, opened) = mpsc::channel::<()>();
            let last = workers.clone();
            workers.run(move || {
                let _ = opened.recv();
                drop(last);
            });
            (0..50).for_each(|_| drop(workers.run(count.clone())));
            drop(workers);
            drop(gate); // now the handle in the job is the last
            until("all jobs have run", || ran.load(Ordering::Relaxed) == 50);
        }
    });
}

#[test]
fn i4_a_job_that_drops_the_workers_may_owe_another_job_its_news() {
    // were the other worker joined here, both would wait for ever.
    watchdog("two jobs, of which the second waits for the first", || {
        let workers = Arc::new(Workers::new(2));
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

/// A panic without the message on standard error.
fn quiet_panic<T>() -> T {
    panic::resume_unwind(Box::new("no answer"))
}

#[test]
fn a_job_answers_and_the_answer_outlives_the_workers() {
    watchdog("three answers", || {
        let workers = Workers::new(2);
        let answers = [1, 2, 3].map(|n| workers.run(move || n * n));
        drop(workers);
        assert!(answers.iter().all(|answer| answer.is_ready()));
        assert_eq!(answers.map(|answer| answer.recv()), [Some(1), Some(4), Some(9)]);
    });
}

#[test]
fn i3_a_job_that_panics_answers_with_none_and_the_next_one_runs() {
    watchdog("an answer that will not be", || {
        let workers = Workers::new(1);
        let (lost, next) = (workers.run(quiet_panic::<u32>), workers.run(|| 7));
        assert_eq!((lost.recv(), next.recv()), (None, Some(7)));
    });
}

#[test]
fn i3_an_answer_that_nobody_wants_and_that_is_bad_to_drop_costs_no_worker() {
    watchdog("the job behind it", || {
        let workers = Workers::new(1);
        let (gate, opened) = (Gate::default(), Gate::default());
        let passing = opened.clone();
        drop(workers.run(move || {
            passing.pass(); // until its receiver is gone
            Grenade(3)
        }));
        opened.open();
        workers.run(move || gate.open());
        assert_eq!(workers.run(|| 7).recv(), Some(7));
    });
}

#[test]
fn when_an_answer_is_there_what_its_job_captured_is_gone() {
    watchdog("a thousand answers", || {
        let workers = Workers::new(2);
        for _ in 0..1_000 {
            let captured = Arc::new(());
            let seen = Arc::downgrade(&captured);
            let kept = move || Arc::strong_count(&captured);
            assert_eq!(workers.run(kept).recv(), Some(1));
            assert!(seen.upgrade().is_none());
        }
    });
}

#[test]
fn jobs_come_from_many_threads_and_from_jobs() {
    watchdog("all jobs", || {
        let (ran, count) = counter();
        let workers = Arc::new(Workers::new(2));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let (inner, count) = (Arc::downgrade(&workers), count.clone());
                        workers.run(move || match inner.upgrade() {
                            Some(workers) => drop(workers.run(count)),
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
        let (workers, captured) = (Workers::new(1), Arc::new(()));
        let seen = Arc::downgrade(&captured);
        workers.run(move || drop(captured));
        until("the captured value is gone", || seen.upgrade().is_none());
        drop(workers);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn i5_a_thread_that_cannot_start_ends_those_before_it() {
    // I5. In a child whose address space has room for nine stacks of 1 GiB.
    const NAME: &str = "i5_a_thread_that_cannot_start_ends_those_before_it";
    if env::var_os("CHILD").is_some() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let refused = panic::catch_unwind(|| Workers::new(100)).unwrap_err();
        let said = refused.downcast::<String>().unwrap();
        assert!(said.contains(" could not start: "), "{said}");
        assert!(!said.starts_with("worker_0 "), "some had started: {said}");
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
        let (workers, three) = (Workers::new(2), Arc::new(Barrier::new(3)));
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

// Try 2: red is each test whose jobs meet: `i2_…` (both), `i4_a_job_that_drops_the_workers_…`,
// `threads_are_named_…`, `try_1_…`, `try_2_…`, `try_3_…`. The others ask for results only.
#[test]
fn try_2_two_jobs_meet_though_two_panicked_before_them() {
    watchdog("two jobs that meet after two panics", || {
        let workers = Workers::new(2);
        for _ in 0..2 {
            assert_eq!(workers.run(|| -> u32 { quiet_panic() }).recv(), None);
        }
        let both = Arc::new(Barrier::new(2));
        let met = [0, 1].map(|_| {
            let both = both.clone();
            workers.run(move || both.wait().is_leader())
        });
        assert_eq!(met.map(|leader| leader.recv().unwrap()).iter().filter(|is| **is).count(), 1);
    });
}

#[test]
fn try_3_all_answers_in_the_order_of_the_jobs() {
    /// All are handed in first: `collect` ends the first iterator before the second begins. Without
    /// it the second job would come in after the answer of the first, and one worker would do all.
    fn run_all<T: Send + 'static>(
        workers: &Workers,
        jobs: Vec<Box<dyn FnOnce() -> T + Send>>,
    ) -> Vec<Option<T>> {
        let answers: Vec<_> = jobs.into_iter().map(|job| workers.run(job)).collect();
        answers.into_iter().map(|answer| answer.recv()).collect()
    }
    watchdog("jobs that meet", || {
        let both = Arc::new(Barrier::new(2));
        let meets = both.clone();
        let answers = run_all(
            &Workers::new(2),
            vec![
                Box::new(move || _ = both.wait()),
                Box::new(move || _ = meets.wait()),
                Box::new(quiet_panic),
            ],
        );
        assert_eq!(answers, [Some(()), Some(()), None]);
    });
}
