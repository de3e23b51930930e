//! Chapter 16: each row of the table, each invariant, the sort of the example, and the answers to
//! `Try`.

mod support;

#[path = "../examples/ch16_scope.rs"]
#[allow(dead_code, reason = "its sort is tested here, its main by the book's test")]
mod example;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::{env, iter, thread};

use concurrent_explained::{
    Error, Queue, ReturnWhen, Scope, ThreadPool, as_completed, scope, set_failure_hook, wait,
};
use support::{Grenade, until, watchdog};

/// A panic without the message on standard error.
fn quiet_panic(message: &str) -> ! {
    resume_unwind(Box::new(message.to_owned()))
}

fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

/// Runs `body`, which panics, and says with what.
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    static HOOK: LazyLock<()> = LazyLock::new(|| set_failure_hook(|_, _| ())); // quiet
    LazyLock::force(&HOOK);
    let payload = catch_unwind(AssertUnwindSafe(body)).err().expect("a panic");
    let text = payload.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| (*payload.downcast_ref::<&str>().unwrap()).to_owned())
}

const UNREAD: &str = "a scoped task failed, and nobody read its future";

#[test]
fn a_scope_is_send_and_sync_and_its_debug_does_not_block() {
    fn send_and_sync<T: Send + Sync + Clone>(_: &T) {}
    watchdog("an empty scope", || {
        scope(1, |pool| {
            send_and_sync(pool);
            assert!(format!("{pool:?}").starts_with("Scope { backlog: Backlog {"));
        });
    });
}

#[test]
fn tasks_borrow_and_change_what_the_caller_owns() {
    watchdog("the tasks of a scope", || {
        let mut numbers = [1, 2, 3, 4, 5, 6];
        let factor = 10;
        scope(2, |pool| {
            for part in numbers.chunks_mut(2) {
                drop(pool.spawn(|| part.iter_mut().for_each(|n| *n *= factor)));
            }
        });
        assert_eq!(numbers, [10, 20, 30, 40, 50, 60]);
    });
}

#[test]
fn results_come_by_future_in_the_body_and_after_the_scope() {
    watchdog("the results", || {
        let words = ["news", "lock", "end"];
        let (inside, outside) = scope(2, |pool| {
            let futures: Vec<_> = words.iter().map(|word| pool.spawn(|| word.len())).collect();
            let inside: Vec<_> =
                futures.into_iter().map(|length| length.result().unwrap()).collect();
            (inside, pool.spawn(|| words.concat()))
        });
        assert_eq!(inside, [4, 4, 3]);
        assert_eq!(
            outside.result().unwrap(),
            "newslockend",
            "it may outlive the scope, not the words"
        );
    });
}

#[test]
fn i1_no_task_runs_once_the_scope_has_returned_not_even_a_grandchild() {
    fn family<'env>(pool: &Scope<'env>, ran: &'env AtomicUsize, generations: u32) {
        let inner = pool.clone();
        drop(pool.spawn(move || {
            ran.fetch_add(1, SeqCst);
            if generations > 1 {
                family(&inner, ran, generations - 1);
                family(&inner, ran, generations - 1);
            }
        }));
    }
    watchdog("five hundred families", || {
        for workers in 1..=2 {
            for _ in 0..250 {
                let ran = AtomicUsize::new(0);
                scope(workers, |pool| family(pool, &ran, 4));
                assert_eq!(ran.into_inner(), 15);
            }
        }
    });
}

#[test]
fn i2_the_body_keeps_the_scope_open_between_its_tasks() {
    watchdog("tasks one after another", || {
        scope(2, |pool| {
            for n in 0..100 {
                assert_eq!(pool.spawn(move || n).result(), Ok(n));
            }
        });
    });
}

#[test]
fn i1_a_body_that_panics_cancels_what_has_not_started_and_its_panic_goes_on() {
    // the second row of the table.
    watchdog("a scope whose body panics", || {
        let (gate, ran) = (Queue::<()>::unbounded(), AtomicUsize::new(0));
        let cancelled = Mutex::new(Vec::new());
        let panic = panic_of(|| {
            scope(1, |pool| {
                let running = pool.spawn(|| {
                    assert_eq!(gate.pop(), None);
                    ran.fetch_add(1, SeqCst);
                    quiet_panic("and so does a task")
                });
                until("the first task has begun", || running.is_running());
                let queued = pool.spawn(|| ran.fetch_add(100, SeqCst));
                queued.add_done_callback(|outcome| {
                    cancelled.lock().unwrap().push(outcome.clone());
                    gate.close();
                });
                quiet_panic("the body")
            })
        });
        assert_eq!(panic, "the body", "not the task's");
        assert_eq!(ran.into_inner(), 1, "what ran has ended, what was queued never ran");
        assert_eq!(cancelled.into_inner().unwrap(), [Err(Error::Cancelled)]);
    });
}

#[test]
fn after_a_body_that_panicked_running_tasks_spawn_in_vain() {
    watchdog("a task that spawns after the body has panicked", || {
        let (gate, late) = (Queue::<()>::unbounded(), Mutex::new(None));
        let panic = panic_of(|| {
            scope(1, |pool| {
                let inner = pool.clone();
                let running = pool.spawn(|| {
                    assert_eq!(gate.pop(), None);
                    *late.lock().unwrap() = Some(inner.spawn(|| 1).result());
                    drop(inner);
                });
                until("the task has begun", || running.is_running());
                pool.spawn(|| ()).add_done_callback(|_| gate.close()); // cancelled: the body is over
                quiet_panic("the body")
            })
        });
        assert_eq!(panic, "the body");
        assert_eq!(late.into_inner().unwrap(), Some(Err(Error::ShutDown)));
    });
}

#[test]
fn i3_a_failure_that_is_read_harms_nobody() {
    // the third row.
    watchdog("a task that panics", || {
        let read = scope(1, |pool| pool.spawn(|| -> () { quiet_panic("read") }).result());
        assert_eq!(read, Err(panicked("read")));
        scope(1, |pool| {
            let seen = pool.spawn(|| -> () { quiet_panic("seen by a callback") });
            seen.add_done_callback(|outcome| assert!(outcome.is_err()));
            drop(seen);
        });
        scope(2, |pool| {
            let all = (0..10).map(|_| pool.spawn(|| -> () { quiet_panic("read by another task") }));
            let all: Vec<_> = all.collect();
            let reader =
                pool.spawn(|| all.into_iter().filter_map(|task| task.result().err()).count());
            assert_eq!(reader.result(), Ok(10));
        });
    });
}

#[test]
fn i3_a_failure_nobody_read_panics_after_all_tasks_have_ended() {
    // the fourth row.
    watchdog("a task that panics", || {
        let ran = AtomicUsize::new(0);
        let panic = panic_of(|| {
            scope(2, |pool| {
                drop(pool.spawn(|| -> () { quiet_panic("unread") }));
                for _ in 0..20 {
                    drop(pool.spawn(|| ran.fetch_add(1, SeqCst)));
                }
            })
        });
        assert_eq!(panic, UNREAD);
        assert_eq!(ran.into_inner(), 20);
        assert_eq!(
            panic_of(|| scope(1, |pool| pool.spawn(|| -> () { quiet_panic("kept") }))),
            UNREAD
        );
    });
}

#[test]
fn i3_a_failure_of_a_task_that_its_waiter_ran_counts_as_well() {
    // the job is taken from the queue while another worker is in the middle of it.
    watchdog("nested tasks that panic", || {
        for _ in 0..200 {
            let panic = panic_of(|| {
                scope(2, |pool| {
                    let inner = pool.clone();
                    drop(pool.spawn(move || {
                        let task = inner.spawn(|| -> () { quiet_panic("unread") });
                        task.wait(); // runs it, and does not look
                    }));
                })
            });
            assert_eq!(panic, UNREAD);
        }
    });
}

#[test]
fn a_handle_that_outlives_its_scope_spawns_in_vain() {
    // The fifth row.
    watchdog("a task spawned too late", || {
        let ran = AtomicUsize::new(0);
        let handle = scope(1, Scope::clone);
        let late = handle.spawn(|| ran.fetch_add(1, SeqCst));
        assert!(late.is_done());
        assert_eq!(late.result(), Err(Error::ShutDown));
        assert_eq!(ran.load(SeqCst), 0);
    });
}

#[test]
fn i1_a_thread_from_outside_spawns_against_the_end_and_every_future_ends() {
    // what was accepted has run when the scope returns, the rest is refused.
    watchdog("every future", || {
        for round in 0..300 {
            let (ran, there, handles) = (AtomicUsize::new(0), Barrier::new(2), Queue::unbounded());
            thread::scope(|threads| {
                let outside = threads.spawn(|| {
                    let pool: Scope = handles.pop().unwrap();
                    there.wait();
                    let spawn = || pool.spawn(|| ran.fetch_add(1, SeqCst));
                    let futures: Vec<_> = iter::repeat_with(spawn).take(20).collect();
                    futures
                        .into_iter()
                        .filter(|task| {
                            task.wait_timeout(std::time::Duration::MAX) && !task.is_failed()
                        })
                        .count()
                });
                scope(2, |pool| {
                    handles.push(pool.clone()).unwrap();
                    there.wait();
                    (0..round % 30).for_each(|_| thread::yield_now());
                });
                let at_the_end = ran.load(SeqCst);
                assert_eq!(outside.join().unwrap(), at_the_end);
                assert_eq!(ran.load(SeqCst), at_the_end);
            });
        }
    });
}

#[test]
fn a_scope_opened_while_a_panic_unwinds_runs_its_tasks_all_the_same() {
    struct Cleans<'a>(&'a AtomicUsize);
    impl Drop for Cleans<'_> {
        fn drop(&mut self) {
            scope(1, |pool| (0..50).for_each(|_| drop(pool.spawn(|| self.0.fetch_add(1, SeqCst)))));
        }
    }
    watchdog("a scope in a drop", || {
        let ran = AtomicUsize::new(0);
        let panic = panic_of(|| {
            let _cleans = Cleans(&ran);
            quiet_panic("the reason to clean up");
        });
        assert_eq!((panic.as_str(), ran.into_inner()), ("the reason to clean up", 50));
    });
}

#[test]
fn zero_workers_are_a_panic_at_the_call_and_the_body_does_not_run() {
    let panic = panic_of(|| scope(0, |_| unreachable!("the body")));
    assert_eq!(panic, "a scope needs at least one worker");
}

#[test]
fn as_many_tasks_meet_as_there_are_workers() {
    watchdog("tasks that meet", || {
        for workers in [2, 3, 4] {
            scope(workers, |pool| {
                for _ in 0..200 {
                    let all = Arc::new(Barrier::new(workers));
                    let meet = |_| {
                        let all = all.clone();
                        pool.spawn(move || {
                            all.wait();
                        })
                    };
                    let tasks: Vec<_> = (0..workers).map(meet).collect();
                    assert!(tasks.into_iter().all(|task| task.result() == Ok(())));
                }
            });
        }
    });
}

#[test]
fn the_body_waits_and_runs_no_task() {
    watchdog("a task for which the body waits", || {
        let body = thread::current().id();
        scope(1, |pool| {
            for _ in 0..100 {
                let all = wait([pool.spawn(|| thread::current().id())], ReturnWhen::AllCompleted);
                assert!(all.done.into_iter().all(|task| task.result() != Ok(body)));
            }
        });
    });
}

#[test]
fn the_worker_outlives_results_and_callbacks_that_panic() {
    watchdog("the only worker", || {
        let gate = Queue::<()>::unbounded();
        panic_of(|| {
            scope(1, |pool| {
                let bad = Grenade(3);
                let first = pool.spawn(|| {
                    assert_eq!(gate.pop(), None);
                    bad // nobody is left to take it: the worker drops it
                });
                first.add_done_callback(|_| quiet_panic("a callback"));
                until("the task has begun", || first.is_running());
                drop(first);
                gate.close();
                assert_eq!(pool.spawn(|| 1).result(), Ok(1));
                quiet_panic("reached the end")
            })
        });
        assert_eq!(scope(1, |pool| pool.spawn(|| 2).result()), Ok(2));
    });
}

// Nested waits (I4).

fn nested(pool: &Scope<'_>, depth: u32) -> u32 {
    if depth == 0 {
        return 0;
    }
    let inner = pool.clone();
    pool.spawn(move || nested(&inner, depth - 1)).result().unwrap() + 1
}

fn fib(pool: &Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let call = |n| {
        let inner = pool.clone();
        pool.spawn(move || fib(&inner, n))
    };
    as_completed([call(n - 1), call(n - 2)]).map(|part| part.result().unwrap()).sum()
}

#[test]
fn i4_waits_nest_to_any_depth_on_one_worker() {
    watchdog("nested tasks", || {
        let depths = scope(1, |pool| [10, 2_000].map(|depth| nested(pool, depth)));
        assert_eq!(depths, [10, 2_000]);
        for workers in 1..=2 {
            assert_eq!(scope(workers, |pool| fib(pool, 15)), 610);
        }
    });
}

#[test]
fn scopes_nest_in_tasks_of_scopes_and_pools() {
    watchdog("a scope in a task", || {
        let numbers: Vec<u32> = (0..100).collect();
        let sum = scope(1, |pool| {
            let outer = pool.spawn(|| {
                let halves = numbers.split_at(50);
                scope(1, |inner| {
                    let low = inner.spawn(|| halves.0.iter().sum::<u32>());
                    let high = inner.spawn(|| halves.1.iter().sum::<u32>());
                    low.result().unwrap() + high.result().unwrap()
                })
            });
            outer.result()
        });
        assert_eq!(sum, Ok(4_950));
        let pool = ThreadPool::new(1);
        let task = pool.spawn(|| scope(1, |inner| inner.spawn(|| 1).result()));
        assert_eq!(task.result(), Ok(Ok(1)));
    });
}

// Threads that do not start.

#[cfg(target_os = "linux")]
#[test]
fn a_scope_makes_do_with_the_threads_it_gets_and_panics_without_any() {
    const NAME: &str = "a_scope_makes_do_with_the_threads_it_gets_and_panics_without_any";
    if env::var("CHILD").is_ok() {
        let sum = scope(100, |pool| {
            let tasks: Vec<_> = (0..1_000_u32).map(|n| pool.spawn(move || n)).collect();
            tasks.into_iter().map(|task| task.result().unwrap()).sum::<u32>()
        });
        let gate = Queue::<()>::unbounded();
        let panic = thread::scope(|threads| {
            let block = || assert_eq!(gate.pop(), None);
            loop {
                while thread::Builder::new().spawn_scoped(threads, block).is_ok() {}
                // A thread of the first scope may leave only now, and make room for one more.
                if let Err(panic) = catch_unwind(|| scope(2, |_| ())) {
                    gate.close();
                    return panic;
                }
            }
        });
        let panic = panic.downcast::<String>().unwrap();
        return println!("sum {sum}, then: {panic}");
    }
    // Its address space has room for nine stacks of 1 GiB.
    watchdog("the child", || {
        let mut child = Command::new("sh");
        child
            .args(["-c", "ulimit -v 10700000; exec \"$0\" \"$@\""])
            .arg(env::current_exe().unwrap());
        let output = child
            .args([NAME, "--exact", "--nocapture"])
            .env("CHILD", NAME)
            .env("RUST_MIN_STACK", "1073741824")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("sum 499500, then: a scope could not start any worker"), "{said}");
    });
}

// The example, and the answers to `Try`.

#[test]
fn the_example_sorts_every_slice_in_place() {
    watchdog("the sorts", || {
        let mut cases = vec![vec![], vec![3], vec![7; 5_000], (0..9_000).rev().collect()];
        cases.push(example::shuffled().into_iter().map(|n| n % 10).take(9_000).collect());
        for numbers in cases {
            for workers in [1, 3] {
                let (mut sorted, mut numbers) = (numbers.clone(), numbers.clone());
                sorted.sort_unstable();
                let place = numbers.as_ptr();
                scope(workers, |pool| example::quicksort(pool, &mut numbers));
                assert!(numbers == sorted && numbers.as_ptr() == place);
            }
        }
    });
}

#[test]
fn try_1_a_future_that_leaves_its_scope_is_done() {
    watchdog("scopes that return a future", || {
        for workers in [1, 2] {
            for _ in 0..200 {
                let future = scope(workers, |pool| pool.spawn(|| 1));
                assert!(future.is_done());
                assert_eq!(future.result(), Ok(1));
            }
        }
    });
}

// Try 2: those that a task spawns when the body is over. Red: this one, `i1_no_task_…`, the
// example's sort, and `i3_a_failure_of_a_task_that_its_waiter_ran_…`.
#[test]
fn try_2_the_last_task_may_still_spawn() {
    watchdog("a task that spawns when all others are over", || {
        for _ in 0..100 {
            let ran = AtomicUsize::new(0);
            scope(1, |pool| {
                let inner = pool.clone();
                drop(pool.spawn(|| {
                    let inner = inner;
                    thread::yield_now(); // the body is over by now, as a rule
                    drop(inner.spawn(|| ran.fetch_add(1, SeqCst)));
                }));
            });
            assert_eq!(ran.into_inner(), 1);
        }
    });
}

#[test]
fn try_3_the_largest_of_a_borrowed_slice() {
    fn largest<T: Ord + Sync>(items: &[T], workers: usize) -> Option<&T> {
        let part = items.len().div_ceil(workers).max(1);
        scope(workers, |pool| {
            let parts: Vec<_> =
                items.chunks(part).map(|part| pool.spawn(|| part.iter().max())).collect();
            parts.into_iter().filter_map(|largest| largest.result().unwrap()).max()
        })
    }
    watchdog("the largest", || {
        let numbers = example::shuffled();
        for workers in [1, 2, 5] {
            assert_eq!(largest(&numbers, workers), Some(&99_999));
            assert_eq!(largest::<u32>(&[], workers), None);
        }
    });
}
