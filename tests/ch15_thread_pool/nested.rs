//! Nested waits.

use crate::*;

fn nested(pool: &Arc<ThreadPool>, depth: u32) -> u32 {
    if depth == 0 {
        return 0;
    }
    let inner = pool.clone();
    pool.spawn(move || nested(&inner, depth - 1)).result().unwrap() + 1
}

#[test]
fn i4_ten_waits_deep_on_one_worker() {
    watchdog("ten nested tasks", || assert_eq!(nested(&pool(1), 10), 10));
}

#[test]
fn ten_thousand_waits_deep_on_one_worker() {
    watchdog("ten thousand nested tasks", || {
        let (pool, started, _) = counted(ThreadPool::builder().workers(1));
        assert_eq!(nested(&Arc::new(pool), 10_000), 10_000);
        assert_eq!(started.load(SeqCst), 78, "the worker, and a fresh stack for each further 128");
    });
}

/// Two futures, waited for in one of the ways there are.
type Join = fn(Future<'static, u64>, Future<'static, u64>) -> u64;

const JOINS: [Join; 4] = [
    |a, b| a.result().unwrap() + b.result().unwrap(),
    |a, b| {
        let all = wait([a, b], ReturnWhen::AllCompleted).done;
        all.into_iter().map(|task| task.result().unwrap()).sum()
    },
    |a, b| {
        let first = wait([a, b], ReturnWhen::FirstCompleted);
        first.done.into_iter().chain(first.not_done).map(|task| task.result().unwrap()).sum()
    },
    |a, b| as_completed([a, b]).map(|task| task.result().unwrap()).sum(),
];

fn fib(pool: &Arc<ThreadPool>, join: Join, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let call = |n| {
        let inner = pool.clone();
        pool.spawn(move || fib(&inner, join, n))
    };
    join(call(n - 1), call(n - 2))
}

#[test]
fn fib_with_a_task_for_each_call_on_one_and_two_workers() {
    watchdog("fib(20), and fib(14) in every way to wait", || {
        for workers in [1, 2] {
            assert_eq!(fib(&pool(workers), JOINS[0], 20), 6_765);
            for join in JOINS {
                assert_eq!(fib(&pool(workers), join, 14), 377);
            }
        }
    });
}

#[test]
fn waits_from_a_pool_into_another_end() {
    watchdog("a task of one pool that waits for a task of another", || {
        let (a, b) = (pool(1), pool(1));
        let (inner, deep) = (b.clone(), b.clone());
        // The worker of `a` sleeps, the one of `b` helps itself.
        let task = a.spawn(move || inner.spawn(move || nested(&deep, 10)).result());
        assert_eq!(task.result(), Ok(Ok(10)));
        assert_eq!(fib(&a, JOINS[0], 10) + fib(&b, JOINS[0], 10), 110);
    });
}

#[test]
fn two_pools_in_a_ring_are_seen_by_a_deadline() {
    // What the chapter says is still possible: a → b → a, one worker each.
    watchdog("two pools in a ring", || {
        let (a, b) = (pool(1), pool(1));
        let (to_b, to_a) = (b.clone(), a.clone());
        let ring = a.spawn(move || {
            let across = to_b.spawn(move || {
                let back = to_a.spawn(|| "ran");
                back.result_timeout(Duration::from_millis(20)).map_err(|back| back.cancel())
            });
            across.result()
        });
        assert_eq!(
            ring.result(),
            Ok(Ok(Err(true))),
            "nobody could run it, so it could be cancelled"
        );
    });
}

#[test]
fn a_wait_with_a_deadline_does_not_help() {
    watchdog("a task that waits with a deadline", || {
        let pool = pool(1);
        let inner = pool.clone();
        let task = pool.spawn(move || {
            let next = inner.spawn(|| 1);
            let late = !next.wait_timeout(ZERO) && !next.wait_timeout(Duration::from_millis(5));
            (late, next.result())
        });
        assert_eq!(task.result(), Ok((true, Ok(1))));
    });
}

#[test]
fn i5_a_fresh_stack_of_a_deep_wait_is_a_worker_with_its_name_and_its_initializer() {
    thread_local!(static GREETING: Cell<bool> = const { Cell::new(false) });
    fn deep(pool: &Arc<ThreadPool>, depth: u32) -> u32 {
        let own = thread::current().name() == Some("deep_0") && GREETING.get();
        if depth == 0 {
            return u32::from(own);
        }
        let inner = pool.clone();
        u32::from(own) + pool.spawn(move || deep(&inner, depth - 1)).result().unwrap()
    }
    watchdog("300 waits inside each other", || {
        let initializer = || {
            GREETING.set(true);
            Ok(())
        };
        let pool = ThreadPool::builder().workers(1).name("deep").initializer(initializer).build();
        let pool = Arc::new(pool);
        let inner = pool.clone();
        assert_eq!(pool.spawn(move || deep(&inner, 300)).result(), Ok(301));
    });
}
