//! Chapter 13: work and outcome in one box, nested waits, and the solutions to `Try`.

mod support;

use concurrent_explained::Error;
use concurrent_explained::ch10_future::Slot;
use concurrent_explained::ch13_task::{PoolId, task};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;
use support::{until, watchdog};

const ROUNDS: usize = 1_000;

#[path = "../examples/ch13_task.rs"]
#[allow(dead_code, reason = "its pool is tested here, its main by the book's test")]
mod example;

fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

#[test]
fn i3_a_wait_at_home_runs_unstarted_work_and_a_wait_elsewhere_does_not() {
    watchdog("work that the waiter must do itself", || {
        let home = PoolId::new();
        let (_job, future) = task(home, || thread::current().id());
        future.help();
        assert!(!future.is_done(), "this thread works for nobody");
        PoolId::new().enter();
        future.help();
        assert!(!future.is_done(), "it works for somebody else");
        home.enter();
        assert_eq!(future.result(), Ok(thread::current().id()));
    });
}

#[test]
fn a_wait_with_a_deadline_does_no_work() {
    watchdog("a deadline at home", || {
        let home = PoolId::new();
        home.enter();
        let (job, future) = task(home, || 7);
        let future = future.result_timeout(Duration::from_millis(1)).unwrap_err();
        assert!(!future.is_running() && !future.is_done());
        assert_eq!(future.result_timeout(Duration::MAX).unwrap(), Ok(7), "for ever is no deadline");
        assert!(job.is_accounted_for());
    });
}

fn fib(home: PoolId, n: u64) -> u64 {
    let below = |n| move || fib(home, n);
    if n < 2 {
        return n;
    }
    let (_job, one) = task(home, below(n - 1));
    let (_job, two) = task(home, below(n - 2));
    one.result().unwrap() + two.result().unwrap()
}

#[test]
fn i2_nested_waits_end_on_one_thread() {
    let sum = watchdog("fib(12), a task per call, on one thread", || {
        let home = PoolId::new();
        home.enter();
        fib(home, 12)
    });
    assert_eq!(sum, 144);
}

#[test]
fn i2_nested_waits_end_at_any_depth() {
    fn deep(home: PoolId, depth: u32) -> u32 {
        let (_job, future) = task(home, move || if depth == 0 { 0 } else { deep(home, depth - 1) });
        future.result().unwrap() + 1
    }
    let depth = watchdog("3000 waits inside each other", || {
        let home = PoolId::new();
        home.enter();
        assert_eq!(deep(home, 3000), 3001);
        assert!(home.is_here(), "and this thread is where it was");
        deep(home, 10)
    });
    assert_eq!(depth, 11);
}

#[test]
fn waits_one_after_the_other_stay_on_one_stack() {
    watchdog("many waits, none inside another", || {
        let home = PoolId::new();
        home.enter();
        for _ in 0..1_000 {
            let (_job, future) = task(home, || thread::current().id());
            assert_eq!(future.result(), Ok(thread::current().id()));
        }
    });
}

#[test]
fn i4_a_task_run_by_its_waiter_that_panics_leaves_the_waiter_alone() {
    watchdog("a panic on top of a wait", || {
        let home = PoolId::new();
        home.enter();
        let (_job, future) = task(home, || -> u32 { panic!("inner") });
        assert_eq!(future.result(), Err(panicked("inner")));
        let (_job, future) = task(home, || 7);
        assert_eq!(future.result(), Ok(7));
    });
}

#[test]
fn i1_two_waiters_at_home_run_a_task_once() {
    watchdog("two workers that want the same result", || {
        for _ in 0..ROUNDS {
            let (home, runs) = (PoolId::new(), AtomicUsize::new(0));
            let (_job, future) = task(home, || runs.fetch_add(1, SeqCst));
            let wait = || {
                home.enter();
                future.wait();
            };
            let start = Barrier::new(2);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        start.wait();
                        wait();
                    });
                }
            });
            assert_eq!(future.result(), Ok(0));
        }
    });
}

#[test]
fn i1_the_job_of_work_that_its_waiter_has_run_does_nothing() {
    watchdog("a job that comes too late", || {
        let (home, runs) = (PoolId::new(), Arc::new(AtomicUsize::new(0)));
        home.enter();
        let counted = runs.clone();
        let (job, future) = task(home, move || counted.fetch_add(1, SeqCst));
        assert!(!job.is_stale());
        assert_eq!(future.result(), Ok(0));
        assert!(job.is_stale() && job.is_accounted_for());
        job.run(&|| ());
        job.fail(Error::ShutDown);
        assert_eq!(runs.load(SeqCst), 1);
    });
}

thread_local!(static LOCAL: RefCell<Option<&'static str>> = const { RefCell::new(None) });

/// The name of each thread, and whether it was prepared.
type Seen = Arc<Mutex<Vec<(Option<String>, bool)>>>;

/// A chain of `depth` waits; what each task sees of its thread.
fn deep(home: PoolId, depth: u32, seen: &Seen) {
    let name = thread::current().name().map(str::to_owned);
    seen.lock().unwrap().push((name, LOCAL.with_borrow(|local| *local == Some("prepared"))));
    if depth > 0 {
        let seen = seen.clone();
        let (_job, future) = task(home, move || deep(home, depth - 1, &seen));
        future.result().unwrap();
    }
}

fn deep_on_a_prepared_worker(can_prepare: fn(usize) -> bool) -> (usize, usize) {
    let (home, asked) = (PoolId::new(), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    let worker = thread::Builder::new().name("worker_0".into()).stack_size(16 << 20);
    let worker = worker.spawn(move || {
        LOCAL.set(Some("prepared"));
        home.enter_with(Arc::new(move || {
            LOCAL.set(Some("prepared"));
            can_prepare(counted.fetch_add(1, SeqCst))
        }));
        let seen = Arc::default();
        deep(home, 300, &seen);
        Arc::into_inner(seen).unwrap().into_inner().unwrap()
    });
    let seen = worker.unwrap().join().unwrap();
    let same = |(name, prepared): &&(Option<String>, bool)| {
        name.as_deref() == Some("worker_0") && *prepared
    };
    (seen.iter().filter(same).count(), asked.load(SeqCst))
}

#[test]
fn i3_a_fresh_stack_has_the_name_of_its_worker_and_is_prepared_as_it_was() {
    let (alike, prepared) =
        watchdog("300 waits inside each other", || deep_on_a_prepared_worker(|_| true));
    assert_eq!((alike, prepared), (301, 2), "300 levels are two further stacks");
}

#[test]
fn i3_a_stack_that_cannot_be_prepared_runs_nothing() {
    let (alike, asked) =
        watchdog("300 waits inside each other", || deep_on_a_prepared_worker(|_| false));
    assert_eq!(alike, 301, "the worker goes on with its own stack");
    assert!(asked > 0);
}

#[test]
fn work_outcome_and_handles_take_at_most_112_bytes() {
    fn slot<F: FnOnce() -> u64>(_: &F) -> usize {
        size_of::<Slot<'static, PoolId, F, u64>>()
    }
    let n = 7_u64;
    let work = move || n * n;
    assert_eq!(size_of_val(&work), 8);
    let counts = 2 * size_of::<usize>(); // of the `Arc`
    let handles = size_of_val(&task(PoolId::new(), work));
    assert_eq!(handles, 32, "a job and a future");
    assert!(counts + slot(&work) + handles <= 112, "{}", counts + slot(&work) + handles);
}

// ---- Try.

#[test]
fn try_1_the_awaited_task_overtakes_the_one_before_it() {
    let begun = watchdog("three tasks on one worker", || {
        let (pool, begun) = (Arc::new(example::Pool::new(1)), Arc::new(Mutex::new(Vec::new())));
        let (inner, log) = (pool.clone(), begun.clone());
        let outer = pool.spawn(move || {
            log.lock().unwrap().push("outer");
            let begin = |name| {
                let log = log.clone();
                move || log.lock().unwrap().push(name)
            };
            let (_first, second) = (inner.spawn(begin("first")), inner.spawn(begin("second")));
            second.result().unwrap();
        });
        outer.result().unwrap();
        until("the first has begun", || begun.lock().unwrap().len() == 3);
        if let Some(a) = Arc::into_inner(pool) {
            drop(a)
        }
        begun.lock().unwrap().clone()
    });
    assert_eq!(begun, ["outer", "second", "first"]);
}

// Done as it says, these go red: this one and `i3_a_wait_at_home_runs…`, because a thread that
// works for nobody runs the task.
#[test]
fn try_2_a_thread_from_outside_that_waits_leaves_the_work_to_the_workers() {
    let (ran_on, worker) = watchdog("a task of a pool", || {
        let pool = PoolId::new();
        let (job, future) = task(pool, || thread::current().id());
        let worker = thread::spawn(move || {
            pool.enter();
            job.run(&|| ());
        });
        let worker_id = worker.thread().id();
        let ran_on = future.result().unwrap();
        worker.join().unwrap();
        (ran_on, worker_id)
    });
    assert_eq!(ran_on, worker);
}

/// Runs `g` on the pool and `f` here. Safe on a worker: if nobody has begun `g` by then, this one
/// does it.
fn both<A, B: Send + 'static>(
    pool: &example::Pool,
    f: impl FnOnce() -> A,
    g: impl FnOnce() -> B + Send + 'static,
) -> Result<(A, B), Error> {
    let g = pool.spawn(g);
    let a = f();
    Ok((a, g.result()?))
}

#[test]
fn try_3_both() {
    watchdog("two halves", || {
        let pool = Arc::new(example::Pool::new(1));
        assert_eq!(both(&pool, || 1, || 2), Ok((1, 2)));
        let inner = pool.clone();
        let nested = pool.spawn(move || both(&inner, || 3, || 4));
        assert_eq!(nested.result(), Ok(Ok((3, 4))));
    });
}
