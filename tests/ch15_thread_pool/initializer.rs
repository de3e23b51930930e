//! The initializer, and a pool that it breaks.

use crate::*;

#[test]
fn every_worker_is_initialized_before_its_first_task() {
    // CPython: InitializerMixin::test_initializer
    thread_local!(static GREETING: Cell<&'static str> = const { Cell::new("uninitialized") });
    watchdog("tasks on all workers", || {
        let initializer = || {
            GREETING.set("initialized");
            Ok(())
        };
        let pool = ThreadPool::builder().workers(3).initializer(initializer).build();
        let all = Arc::new(Barrier::new(3));
        let greet = |_| {
            let all = all.clone();
            pool.spawn(move || {
                all.wait();
                GREETING.get()
            })
        };
        let tasks: Vec<_> = (0..3).map(greet).collect();
        assert!(tasks.into_iter().all(|task| task.result() == Ok("initialized")));
        assert_eq!(GREETING.get(), "uninitialized");
    });
}

/// A pool whose first initializer waits for `gate` and then fails as `fail` does.
fn failing(gate: &Gate, fail: fn() -> Result<(), String>) -> ThreadPool {
    LazyLock::force(&REPORTS);
    let gate = gate.clone();
    let initializer = move || {
        gate.pass();
        fail()
    };
    ThreadPool::builder().workers(1).initializer(initializer).build()
}

#[test]
fn an_initializer_that_fails_breaks_the_pool_with_its_cause() {
    // CPython: FailingInitializerMixin::test_initializer
    type Fail = fn() -> Result<(), String>;
    let ways: [(Fail, &str); 2] = [
        (|| Err("no database".into()), "no database"),
        (|| quiet_panic("no network"), "panicked: no network"),
    ];
    watchdog("the futures of a broken pool", move || {
        for (fail, cause) in ways {
            let gate = Gate::default();
            let pool = failing(&gate, fail);
            let mut tasks: Vec<_> = (0..5).map(|_| pool.spawn(|| ())).collect();
            let cancelled = tasks.remove(2);
            assert!(cancelled.cancel());
            gate.open();
            let broken = Error::Broken { cause: cause.into() };
            for task in tasks {
                assert_eq!(task.result(), Err(broken.clone()), "queued");
            }
            assert_eq!(cancelled.result(), Err(Error::Cancelled), "cancelled in the queue");
            assert_eq!(pool.spawn(|| ()).result(), Err(broken.clone()), "spawned later");
            pool.shutdown();
            pool.shutdown_now();
            pool.detach();
            assert_eq!(pool.spawn(|| ()).result(), Err(broken), "I7: broken beats shut down");
            assert_eq!(reports(cause), 1);
        }
    });
}

#[test]
fn i7_a_pool_that_breaks_after_its_shutdown_is_broken_and_fails_what_is_queued() {
    // I7, I1
    watchdog("the future of a pool that breaks late", || {
        let gate = Gate::default();
        let pool = failing(&gate, || Err("too late".into()));
        let task = pool.spawn(|| ());
        pool.detach();
        assert_eq!(pool.spawn(|| ()).result(), Err(Error::ShutDown));
        gate.open();
        let broken = Err(Error::Broken { cause: "too late".into() });
        assert_eq!(task.result(), broken);
        assert_eq!(pool.spawn(|| ()).result(), broken);
    });
}

#[test]
fn tasks_that_run_while_the_pool_breaks_end_as_usual() {
    watchdog("a task that runs beside a failing initializer", || {
        LazyLock::force(&REPORTS);
        let (gate, first) = (Gate::default(), AtomicBool::new(true));
        let initializer =
            move || if first.swap(false, SeqCst) { Ok(()) } else { Err("the second".into()) };
        let pool = ThreadPool::builder().workers(2).initializer(initializer).build();
        let passing = gate.clone();
        let running = begun(pool.spawn(move || {
            passing.pass();
            7
        }));
        let doomed = pool.spawn(|| 8);
        assert_eq!(doomed.result(), Err(Error::Broken { cause: "the second".into() }));
        gate.open();
        assert_eq!(running.result(), Ok(7));
    });
}

#[test]
fn an_initializer_may_shut_its_own_pool_down() {
    watchdog("the task of a pool that shuts itself down", || {
        let cell: Arc<OnceLock<Arc<ThreadPool>>> = Arc::default();
        let itself = cell.clone();
        let initializer = move || {
            itself.wait().shutdown();
            Ok(())
        };
        let pool = Arc::new(ThreadPool::builder().workers(1).initializer(initializer).build());
        let task = pool.spawn(|| 1);
        cell.set(pool.clone()).unwrap();
        assert_eq!(task.result(), Ok(1));
        assert_eq!(pool.spawn(|| 2).result(), Err(Error::ShutDown));
    });
}
