//! Chapter 15: each cell of the table of ends, each invariant, CPython's cases, races, and the answers to `Try`.

mod support;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock, Mutex, OnceLock, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;
use std::{env, iter};

use concurrent_explained::ch09_outcome::catch;
use concurrent_explained::ch15_thread_pool::Builder;
use concurrent_explained::{
    Error, Future, ReturnWhen, ThreadPool, as_completed, set_failure_hook, wait,
};
use support::{Gate, Grenade, until, watchdog};

const ZERO: Duration = Duration::ZERO;

fn pool(workers: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPool::new(workers))
}

/// A pool that counts its threads: how many have started, and how many have ended.
fn counted(builder: Builder) -> (ThreadPool, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    struct OnExit(Arc<AtomicUsize>);
    impl Drop for OnExit {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    thread_local!(static SENTINEL: Cell<Option<OnExit>> = const { Cell::new(None) });

    let (started, ended) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (start, end) = (started.clone(), ended.clone());
    let count = move || {
        start.fetch_add(1, SeqCst);
        SENTINEL.set(Some(OnExit(end.clone())));
        Ok(())
    };
    (builder.initializer(count).build(), started, ended)
}

/// A task that runs until the gate opens, begun already if there is a worker for it.
fn blocked(pool: &ThreadPool, gate: &Gate) -> Future<'static, ()> {
    let gate = gate.clone();
    pool.spawn(move || gate.pass())
}

fn begun<T>(future: Future<'static, T>) -> Future<'static, T> {
    until("the task has begun", || future.is_running());
    future
}

/// True once the pool refuses work. Waits for nothing that may be blocked.
fn is_shut(pool: &ThreadPool) -> bool {
    let probe = pool.spawn(|| ());
    probe.cancel();
    probe.result() == Err(Error::ShutDown)
}

/// A panic without the message on standard error.
fn quiet_panic(message: &str) -> ! {
    resume_unwind(Box::new(message.to_owned()))
}

fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

fn panic_text<T>(make: impl FnOnce() -> T) -> String {
    let Err(Error::Panicked { message }) = catch(make) else { panic!("it did not panic") };
    message.into()
}

fn here() -> ThreadId {
    thread::current().id()
}

/// What the failure hook heard, of all tests of this file.
static REPORTS: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| {
    set_failure_hook(|what, error| REPORTS.lock().unwrap().push(format!("{what}: {error}")));
    Mutex::default()
});

fn reports(part: &str) -> usize {
    REPORTS.lock().unwrap().iter().filter(|report| report.contains(part)).count()
}

/// Runs the test `name` of this file as a program of its own, which finds `is_child(name)` to be true.
fn child(name: &str, through: Option<&str>) -> String {
    let exe = env::current_exe().unwrap();
    let mut command = Command::new(through.map_or(exe.as_os_str(), |_| "sh".as_ref()));
    if let Some(setup) = through {
        command.args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")]).arg(exe);
    }
    let output =
        command.args([name, "--exact", "--nocapture"]).env("CHILD", name).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert_eq!(err, "", "nothing on standard error");
    out.into_owned()
}

fn is_child(name: &str) -> bool {
    env::var("CHILD").is_ok_and(|child| child == name)
}

// The pool itself.

#[test]
fn a_pool_is_send_and_sync_and_its_debug_does_not_block() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    let builder = ThreadPool::builder().workers(3).name("debug");
    assert_eq!(format!("{builder:?}"), "Builder { workers: 3, name: Some(\"debug\"), .. }");
    let pool = builder.build();
    send_and_sync(&pool);
    assert_eq!(format!("{pool:?}"), "ThreadPool { name: \"debug\", .. }");
}

#[test]
fn what_is_spawned_is_computed() {
    // CPython: ExecutorTest::test_submit
    let pool = pool(2);
    assert_eq!(pool.spawn(|| 256_u32.pow(2)).result(), Ok(65_536));
}

#[test]
fn no_workers_panic_when_the_pool_is_built() {
    // CPython: ExecutorTest::test_max_workers_negative
    let message = |make: fn() -> ThreadPool| panic_text(make);
    assert_eq!(message(|| ThreadPool::new(0)), "a pool needs at least one worker");
    assert_eq!(
        message(|| ThreadPool::builder().workers(0).build()),
        "a pool needs at least one worker"
    );
}

#[test]
fn a_name_that_no_thread_can_have_panics_when_the_pool_is_built() {
    let text = panic_text(|| ThreadPool::builder().name("a\0b").build());
    assert_eq!(text, "the name of a thread contains no zero byte: \"a\\0b\"");
}

#[test]
fn threads_are_named_in_the_order_of_their_start() {
    // CPython: ThreadPoolShutdownTest::test_thread_names_assigned
    watchdog("five tasks that meet", || {
        let pool = ThreadPool::builder().workers(5).name("fetch").build();
        let all = Arc::new(Barrier::new(5));
        let name = |_| {
            let all = all.clone();
            pool.spawn(move || {
                all.wait();
                thread::current().name().unwrap().to_owned()
            })
        };
        let futures: Vec<_> = (0..5).map(name).collect();
        let mut names: Vec<_> = futures.into_iter().map(|name| name.result().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["fetch_0", "fetch_1", "fetch_2", "fetch_3", "fetch_4"]);
    });
}

#[test]
fn pools_without_a_name_are_numbered_and_so_are_their_threads() {
    // CPython: ThreadPoolShutdownTest::test_thread_names_default
    let name_of = |pool: &ThreadPool| {
        pool.spawn(|| thread::current().name().unwrap().to_owned()).result().unwrap()
    };
    let numbers = |name: String| {
        let (pool, thread) = name.strip_prefix("ThreadPool-").unwrap().split_once('_').unwrap();
        (pool.parse::<usize>().unwrap(), thread.parse::<usize>().unwrap())
    };
    let (first, second) = (pool(1), pool(1));
    let ((k, n), (l, m)) = (numbers(name_of(&first)), numbers(name_of(&second)));
    assert!(k < l, "each pool has a number of its own");
    assert_eq!((n, m), (0, 0));
}

// Threads on demand.

#[test]
fn the_default_size_follows_the_processors() {
    // CPython: ThreadPoolExecutorTest::test_default_workers
    watchdog("a saturated pool of the default size", || {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let (pool, started, _) = counted(ThreadPool::builder());
        let gate = Gate::default();
        let tasks: Vec<_> = (0..60).map(|_| blocked(&pool, &gate)).collect();
        gate.open();
        assert!(tasks.into_iter().all(|task| task.result() == Ok(())));
        pool.shutdown();
        assert_eq!(started.load(SeqCst), (processors + 4).min(32));
    });
}

#[test]
fn nothing_starts_before_the_first_task_and_saturation_stops_at_the_maximum() {
    // I2. CPython: ThreadPoolExecutorTest::test_saturation
    watchdog("sixty tasks on four workers", || {
        let (pool, started, ended) = counted(ThreadPool::builder().workers(4));
        assert_eq!(started.load(SeqCst), 0);
        let gate = Gate::default();
        let tasks: Vec<_> = (0..60).map(|_| blocked(&pool, &gate)).collect();
        until("four have begun", || tasks.iter().filter(|task| task.is_running()).count() == 4);
        gate.open();
        assert!(tasks.into_iter().all(|task| task.result() == Ok(())));
        assert_eq!(ended.load(SeqCst), 0, "an idle worker stays");
        pool.shutdown();
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (4, 4));
    });
}

#[test]
fn each_blocked_task_starts_one_thread_and_shutdown_ends_them_all() {
    // CPython: ThreadPoolShutdownTest::test_threads_terminate
    watchdog("three tasks", || {
        let (pool, started, ended) = counted(ThreadPool::builder().workers(5));
        let gate = Gate::default();
        let tasks: Vec<_> = (0..3).map(|_| begun(blocked(&pool, &gate))).collect();
        assert_eq!(started.load(SeqCst), 3);
        gate.open();
        pool.shutdown();
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (3, 3));
        assert!(tasks.iter().all(Future::is_done));
    });
}

#[test]
fn tasks_one_after_another_use_one_thread_however_one_hears_of_their_end() {
    // I2. CPython: ThreadPoolExecutorTest::test_idle_thread_reuse
    type Hear = fn(Future<'static, ()>);
    let ways: [Hear; 5] = [
        |task| task.result().unwrap(),
        |task| assert!(task.wait_timeout(Duration::MAX)),
        |task| until("done", || task.is_done()),
        |task| assert_eq!(wait([task], ReturnWhen::FirstCompleted).done.len(), 1),
        |task| assert_eq!(as_completed([task]).count(), 1),
    ];
    watchdog("three tasks, many times", move || {
        for (hear, rounds) in ways.into_iter().zip([1_000, 500, 20, 500, 500]) {
            let (pool, started, _) = counted(ThreadPool::builder().workers(8));
            for round in 0..rounds {
                (0..3).for_each(|_| hear(pool.spawn(|| ())));
                assert_eq!(started.load(SeqCst), 1, "in round {round}");
            }
        }
    });
}

#[test]
fn a_task_finished_by_somebody_else_makes_no_worker_idle() {
    // I2, the trap: cancelled in the queue, or done by the worker that waited for it.
    watchdog("two workers, both blocked", || {
        let (pool, started, _) = counted(ThreadPool::builder().workers(2));
        let (pool, gate) = (Arc::new(pool), Gate::default());
        let inner = pool.clone();
        pool.spawn(move || inner.spawn(|| ()).result()).result().unwrap().unwrap();
        let first = begun(blocked(&pool, &gate));
        let second = pool.spawn(|| ());
        if !second.cancel() {
            second.result().unwrap();
        }
        let both = begun(blocked(&pool, &gate)); // hangs here if somebody counts wrongly
        assert_eq!(started.load(SeqCst), 2);
        gate.open();
        assert_eq!((first.result(), both.result()), (Ok(()), Ok(())));
    });
}

// CPython: InterpreterPoolExecutorTest::test_blocking_with_limited_workers
#[test]
fn as_many_tasks_meet_as_there_are_workers() {
    // No wake-up is lost: each round ends only if all its tasks run at once, however they came to lie about.
    watchdog("tasks that meet", || {
        for workers in [2, 3, 4, 7] {
            let pool = pool(workers);
            for round in 0..200 {
                let all = Arc::new(Barrier::new(workers));
                let meet = |_| {
                    let all = all.clone();
                    pool.spawn(move || {
                        all.wait();
                    })
                };
                let fillers: Vec<_> = (0..round % 5).map(|_| pool.spawn(|| ())).collect();
                let tasks: Vec<_> = (0..workers).map(meet).collect();
                assert!(tasks.into_iter().chain(fillers).all(|task| task.result() == Ok(())));
            }
        }
    });
}

#[test]
fn one_worker_begins_tasks_in_the_order_they_came_in() {
    watchdog("a hundred tasks", || {
        let (pool, order) = (pool(1), Arc::new(Mutex::new(Vec::new())));
        let push = |n| {
            let order = order.clone();
            drop(pool.spawn(move || order.lock().unwrap().push(n)));
        };
        (0..100).for_each(push);
        pool.shutdown();
        assert!(order.lock().unwrap().iter().copied().eq(0..100));
    });
}

#[test]
fn a_thread_that_cannot_be_started_leaves_no_task_behind() {
    watchdog("futures of a pool that cannot start", || {
        let pool = ThreadPool::builder().workers(2).stack_size(1 << 60).build();
        for _ in 0..2 {
            let captured = Arc::new(());
            let seen = Arc::downgrade(&captured);
            let task = pool.spawn(move || drop(captured));
            assert!(task.is_done());
            assert!(seen.upgrade().is_none(), "the work was dropped unrun");
            let Err(Error::Broken { cause }) = task.result() else { panic!("it cannot have run") };
            assert!(cause.starts_with("no worker could be started"), "{cause}");
        }
        pool.shutdown();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn workers_that_cannot_be_started_leave_their_tasks_to_those_that_could() {
    const NAME: &str = "workers_that_cannot_be_started_leave_their_tasks_to_those_that_could";
    if !is_child(NAME) {
        // Its address space has room for nine stacks of 1 GiB.
        let room = "ulimit -v 10700000; export RUST_MIN_STACK=1073741824";
        let said = watchdog("the child", || child(NAME, Some(room)));
        return assert!(said.contains("all done"), "{said}");
    }
    let (pool, started, _) = counted(ThreadPool::builder().workers(100));
    let gate = Gate::default();
    let tasks: Vec<_> = (0..100).map(|_| blocked(&pool, &gate)).collect();
    gate.open();
    assert!(tasks.into_iter().all(|task| task.result() == Ok(())));
    pool.shutdown();
    assert!((1..100).contains(&started.load(SeqCst)));
    println!("all done");
}

// The initializer.

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
fn a_pool_that_breaks_after_its_shutdown_is_broken_and_fails_what_is_queued() {
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

// What a worker survives.

#[test]
fn the_worker_outlives_tasks_callbacks_and_drops_that_panic() {
    // I3. Each step on the only worker of a pool; `next` says that it is still the same thread.
    watchdog("the only worker of a pool", || {
        LazyLock::force(&REPORTS);
        let (pool, started, _) = counted(ThreadPool::builder().workers(1));
        let worker = pool.spawn(here).result().unwrap();
        let next = || assert_eq!(pool.spawn(here).result(), Ok(worker));

        let task: Future<()> = pool.spawn(|| quiet_panic("as text"));
        assert_eq!(task.result(), Err(panicked("as text")));
        next();

        let task: Future<()> = pool.spawn(|| resume_unwind(Box::new(Grenade(5))));
        assert_eq!(task.result(), Err(panicked("a panic whose payload is not text")));
        next();

        drop(pool.spawn(|| Grenade(1))); // a result nobody reads, dropped by the worker or by us
        next();

        let gate = Gate::default();
        let (passing, kept) = (gate.clone(), Grenade(1));
        drop(begun(pool.spawn(move || {
            passing.pass();
            kept // dropped by the worker for certain: the future is gone
        })));
        gate.open();
        next();

        let captured = Grenade(2);
        let task = pool.spawn(move || {
            let _dropped_with_the_closure = &captured;
        });
        assert!(matches!(task.result(), Err(Error::Panicked { .. })));
        next();

        let gate = Gate::default();
        let (task, heard) = (begun(blocked(&pool, &gate)), Arc::new(AtomicBool::new(false)));
        task.add_done_callback(|_| quiet_panic("a callback of chapter 15"));
        let hear = heard.clone();
        task.add_done_callback(move |_| hear.store(true, SeqCst));
        gate.open();
        assert_eq!(task.result(), Ok(()));
        assert!(heard.load(SeqCst), "the callback after the one that panicked");
        assert_eq!(reports("a callback of chapter 15"), 1);
        next();
        pool.shutdown();
        assert_eq!(started.load(SeqCst), 1);
    });
}

#[test]
fn a_result_may_use_the_pool_while_it_is_dropped() {
    struct Spawns(Arc<ThreadPool>, mpsc::Sender<Result<u32, Error>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.spawn(|| 1).result());
        }
    }
    watchdog("a task spawned by a drop", || {
        let (pool, gate, (sender, results)) = (pool(1), Gate::default(), mpsc::channel());
        let (passing, result) = (gate.clone(), Spawns(pool.clone(), sender.clone()));
        drop(begun(pool.spawn(move || {
            passing.pass();
            result
        })));
        gate.open();
        assert_eq!(results.recv(), Ok(Ok(1)), "dropped as a result nobody reads");

        let (gate, work) = (Gate::default(), Spawns(pool.clone(), sender));
        let first = begun(blocked(&pool, &gate));
        let second = pool.spawn(move || drop(work));
        let cancelling = thread::spawn(move || second.cancel());
        gate.open();
        assert_eq!(results.recv(), Ok(Ok(1)), "dropped as work that was cancelled, or run");
        cancelling.join().unwrap();
        first.result().unwrap();
    });
}

#[test]
fn a_callback_may_wait_for_another_task_of_its_own_worker() {
    watchdog("a callback on the only worker", || {
        let (pool, gate, (sender, results)) = (pool(1), Gate::default(), mpsc::channel());
        let task = begun(blocked(&pool, &gate));
        let inner = pool.clone();
        task.add_done_callback(move |_| sender.send(inner.spawn(|| 5).result()).unwrap());
        gate.open();
        assert_eq!(results.recv(), Ok(Ok(5)));
        assert_eq!(task.result(), Ok(()));
    });
}

// Who holds what, and for how long.

#[test]
fn a_task_nobody_reads_leaves_nothing_behind() {
    // CPython: ExecutorTest::test_no_stale_references
    watchdog("what the task captured and returned", || {
        let (pool, captured, result) = (pool(1), Arc::new(()), Arc::new(()));
        let (seen, returned) = (Arc::downgrade(&captured), Arc::downgrade(&result));
        drop(pool.spawn(move || {
            drop(captured);
            result
        }));
        until("both are gone, and no other task came", || {
            seen.upgrade().is_none() && returned.upgrade().is_none()
        });
    });
}

#[test]
fn cancel_drops_the_work_at_once() {
    watchdog("a cancelled task behind a blocked one", || {
        let (pool, gate, captured) = (pool(1), Gate::default(), Arc::new(()));
        let _first = begun(blocked(&pool, &gate));
        let seen = Arc::downgrade(&captured);
        let second = pool.spawn(move || drop(captured));
        assert!(second.cancel());
        assert!(seen.upgrade().is_none());
        gate.open();
    });
}

#[test]
fn running_means_that_a_worker_is_at_it_and_everything_else_can_be_cancelled() {
    watchdog("two tasks on one worker", || {
        let (pool, gate) = (pool(1), Gate::default());
        let first = begun(blocked(&pool, &gate));
        let others: Vec<_> = (0..10).map(|_| pool.spawn(|| ())).collect();
        assert!(!others.iter().any(|task| task.is_running() || task.is_done()));
        assert!(others.iter().all(Future::cancel));
        assert!(first.is_running() && !first.cancel() && !first.is_cancelled());
        gate.open();
        assert!(first.wait_timeout(Duration::MAX));
        assert!(!first.is_running() && !first.cancel());
    });
}

#[test]
fn cancel_races_the_worker_and_exactly_one_wins() {
    watchdog("a thousand races", || {
        let pool = pool(2);
        for _ in 0..1_000 {
            let ran = Arc::new(AtomicBool::new(false));
            let run = ran.clone();
            let task = pool.spawn(move || run.store(true, SeqCst));
            thread::yield_now();
            let cancelled = task.cancel();
            let expected = if cancelled { Err(Error::Cancelled) } else { Ok(()) };
            assert_eq!(task.result(), expected);
            assert_eq!(ran.load(SeqCst), !cancelled);
        }
    });
}

#[test]
fn a_thread_from_outside_that_waits_runs_nothing() {
    // I5
    watchdog("tasks waited for from outside", || {
        let (pool, gate) = (pool(1), Gate::default());
        let worker = pool.spawn(here).result().unwrap();
        let _first = begun(blocked(&pool, &gate));
        thread::scope(|scope| {
            for n in 0..8 {
                let task = pool.spawn(here);
                scope.spawn(move || match n % 3 {
                    0 => assert_eq!(task.result(), Ok(worker)),
                    1 => assert_eq!(as_completed([task]).next().unwrap().result(), Ok(worker)),
                    _ => {
                        let all = wait([task], ReturnWhen::AllCompleted);
                        assert!(all.done.into_iter().all(|task| task.result() == Ok(worker)));
                    }
                });
            }
            (0..100).for_each(|_| thread::yield_now());
            gate.open();
        });
    });
}

// Nested waits (I4).

fn nested(pool: &Arc<ThreadPool>, depth: u32) -> u32 {
    if depth == 0 {
        return 0;
    }
    let inner = pool.clone();
    pool.spawn(move || nested(&inner, depth - 1)).result().unwrap() + 1
}

#[test]
fn ten_waits_deep_on_one_worker() {
    watchdog("ten nested tasks", || assert_eq!(nested(&pool(1), 10), 10));
}

#[test]
fn ten_thousand_waits_deep_on_one_worker() {
    watchdog("ten thousand nested tasks", || {
        let (pool, started, _) = counted(ThreadPool::builder().workers(1));
        assert_eq!(nested(&Arc::new(pool), 10_000), 10_000);
        assert_eq!(started.load(SeqCst), 1, "fresh stacks are no workers");
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

// The ways to end: rows of the table.

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Shutdown,
    ShutdownNow,
    Detach,
    Drop,
    DropUnwinding,
    DropDetached,
    DropDetachedUnwinding,
}

use End::{Detach, DropDetached, DropDetachedUnwinding, DropUnwinding, Shutdown, ShutdownNow};

const ENDS: [End; 7] =
    [Shutdown, ShutdownNow, Detach, End::Drop, DropUnwinding, DropDetached, DropDetachedUnwinding];

impl End {
    /// Ends the pool in this way and lets go of this handle on it.
    fn end(self, pool: Arc<ThreadPool>) {
        if matches!(self, Detach | DropDetached | DropDetachedUnwinding) {
            pool.detach();
        }
        match self {
            Shutdown => pool.shutdown(),
            ShutdownNow => pool.shutdown_now(),
            Detach | End::Drop | DropDetached => drop(pool),
            DropUnwinding | DropDetachedUnwinding => {
                let unwinding = move || {
                    let _dropped_on_the_way_out = pool;
                    quiet_panic("out of here");
                };
                assert!(panic::catch_unwind(AssertUnwindSafe(unwinding)).is_err());
            }
        }
    }

    fn leaves_a_handle(self) -> bool {
        matches!(self, Shutdown | ShutdownNow | Detach)
    }

    fn waits(self) -> bool {
        matches!(self, Shutdown | ShutdownNow | End::Drop | DropUnwinding)
    }

    fn queued(self) -> Result<u32, Error> {
        if matches!(self, ShutdownNow | DropUnwinding) { Err(Error::Cancelled) } else { Ok(2) }
    }
}

// CPython: ExecutorShutdownTest::test_hang_issue12364
#[test]
fn every_end_does_to_queued_and_running_work_what_the_table_says() {
    // I1, I6. CPython: ThreadPoolShutdownTest::test_shutdown_no_wait, test_context_manager_shutdown,
    // ExecutorShutdownTest::test_run_after_shutdown
    watchdog("one of the ends", || {
        for end in ENDS {
            let (pool, started, ended) = counted(ThreadPool::builder().workers(1));
            let (pool, gate) = (Arc::new(pool), Gate::default());
            let running = begun(blocked(&pool, &gate));
            let queued = pool.spawn(|| 2);
            let handle = end.leaves_a_handle().then(|| pool.clone());
            let returned = Arc::new(AtomicBool::new(false));
            let back = returned.clone();
            let ending = thread::spawn(move || {
                end.end(pool);
                back.store(true, SeqCst);
            });
            if let Some(pool) = &handle {
                until("spawn is refused", || is_shut(pool));
            }
            if end.queued().is_err() {
                until("what is queued is cancelled, while another task runs", || {
                    queued.is_cancelled()
                });
            }
            if end.waits() {
                (0..200).for_each(|_| thread::yield_now());
                assert!(!returned.load(SeqCst), "{end:?} waits");
            } else {
                ending.join().unwrap();
                assert!(running.is_running(), "{end:?} does not wait");
                gate.open();
                until("the worker has ended", || ended.load(SeqCst) == 1);
                assert_eq!((running.result(), queued.result()), (Ok(()), end.queued()), "{end:?}");
                continue;
            }
            gate.open();
            ending.join().unwrap();
            assert_eq!(
                ended.load(SeqCst),
                started.load(SeqCst),
                "{end:?} has seen the worker's end"
            );
            assert_eq!((running.result(), queued.result()), (Ok(()), end.queued()), "{end:?}");
        }
    });
}

#[test]
fn every_end_called_on_a_worker_returns_and_keeps_its_word() {
    // The last column of the table, and the pool dropped inside one of its own tasks.
    watchdog("one of the ends, on the only worker", || {
        for end in ENDS {
            let (pool, started, ended) = counted(ThreadPool::builder().workers(1));
            let (hand_over, handed) = mpsc::channel::<Arc<ThreadPool>>();
            let task = pool.spawn(move || {
                end.end(handed.recv().unwrap());
                1
            });
            let queued = pool.spawn(|| 2);
            let pool = Arc::new(pool);
            let handle = end.leaves_a_handle().then(|| pool.clone());
            hand_over.send(pool).unwrap();
            assert_eq!((task.result(), queued.result()), (Ok(1), end.queued()), "{end:?}");
            if let Some(pool) = handle {
                assert_eq!(pool.spawn(|| ()).result(), Err(Error::ShutDown), "{end:?}");
            }
            until("the worker has ended", || ended.load(SeqCst) == 1);
            assert_eq!(started.load(SeqCst), 1);
        }
    });
}

#[test]
fn shutdown_in_a_callback_waits_not_on_a_worker_and_waits_elsewhere() {
    watchdog("shutdown called by callbacks", || {
        let (pool, gate) = (pool(1), Gate::default());
        let task = begun(blocked(&pool, &gate));
        let ends = pool.clone();
        task.add_done_callback(move |_| ends.shutdown()); // runs on the worker
        gate.open();
        assert_eq!(task.result(), Ok(()));
        assert_eq!(pool.spawn(|| ()).result(), Err(Error::ShutDown));

        let (pool, started, ended) = counted(ThreadPool::builder().workers(1));
        let (pool, gate) = (Arc::new(pool), Gate::default());
        let _running = begun(blocked(&pool, &gate));
        let (queued, ends) = (pool.spawn(|| ()), pool.clone());
        let opens = gate.clone();
        queued.add_done_callback(move |_| {
            opens.open();
            ends.shutdown(); // runs on this thread
        });
        assert!(queued.cancel());
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (1, 1));
    });
}

#[test]
fn every_caller_of_shutdown_waits() {
    // I6
    watchdog("five callers of shutdown", || {
        let (pool, _, ended) = counted(ThreadPool::builder().workers(2));
        let (gate, returned) = (Gate::default(), AtomicUsize::new(0));
        let _running = [begun(blocked(&pool, &gate)), begun(blocked(&pool, &gate))];
        thread::scope(|scope| {
            for n in 0..5 {
                let (pool, ended, returned) = (&pool, &ended, &returned);
                scope.spawn(move || {
                    if n % 2 == 0 {
                        pool.shutdown()
                    } else {
                        pool.shutdown_now()
                    }
                    assert_eq!(ended.load(SeqCst), 2);
                    returned.fetch_add(1, SeqCst);
                });
            }
            until("shut down", || is_shut(&pool));
            (0..200).for_each(|_| thread::yield_now());
            assert_eq!(returned.load(SeqCst), 0);
            gate.open();
        });
        pool.shutdown(); // and once more, for nothing
    });
}

#[test]
fn cancelling_stays_in_force_and_may_come_second() {
    watchdog("two shutdowns at once", || {
        for cancel_first in [true, false] {
            let (pool, gate) = (pool(1), Gate::default());
            let running = begun(blocked(&pool, &gate));
            let queued: Vec<_> = (0..10).map(|_| pool.spawn(|| ())).collect();
            thread::scope(|scope| {
                let shutdown = || pool.shutdown();
                let shutdown_now = || pool.shutdown_now();
                scope.spawn(move || if cancel_first { shutdown_now() } else { shutdown() });
                until("shut down", || is_shut(&pool));
                scope.spawn(move || if cancel_first { shutdown() } else { shutdown_now() });
                until("all are cancelled", || queued.iter().all(Future::is_cancelled));
                gate.open();
            });
            assert_eq!(running.result(), Ok(()));
        }
    });
}

#[test]
fn shutdown_now_cancels_what_has_not_begun_and_waiters_hear_it_at_once() {
    // CPython: ExecutorShutdownTest::test_cancel_futures
    watchdog("fifty tasks on five workers", || {
        let (pool, gate) = (pool(5), Gate::default());
        let mut tasks: Vec<_> = (0..5).map(|_| begun(blocked(&pool, &gate))).collect();
        tasks.extend((0..45).map(|_| blocked(&pool, &gate)));
        let queued = tasks.split_off(5);
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown_now());
            let waited = wait(queued, ReturnWhen::AllCompleted); // while five others still run
            assert_eq!(waited.done.len(), 45);
            assert!(waited.done.into_iter().all(|task| task.result() == Err(Error::Cancelled)));
            gate.open();
        });
        let all = wait(tasks, ReturnWhen::AllCompleted).done;
        assert!(all.into_iter().all(|task| task.result() == Ok(())));
    });
}

#[test]
fn sixty_four_threads_spawn_against_a_shutdown_and_every_future_ends() {
    // I1
    watchdog("every future", || {
        for round in 0..12 {
            let (pool, ran) = (pool(2), Arc::new(AtomicUsize::new(0)));
            let (values, cancelled) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let all_there = Barrier::new(65);
            thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        all_there.wait();
                        let spawn = || {
                            let run = ran.clone();
                            pool.spawn(move || run.fetch_add(1, SeqCst))
                        };
                        let tasks: Vec<_> = iter::repeat_with(spawn).take(40).collect();
                        let mut refused = false;
                        for task in tasks {
                            match task.result() {
                                Ok(_) => values.fetch_add(1, SeqCst),
                                Err(Error::Cancelled) => cancelled.fetch_add(1, SeqCst),
                                Err(error) => {
                                    assert_eq!(error, Error::ShutDown);
                                    refused = true;
                                    continue;
                                }
                            };
                            assert!(!refused, "after one refusal, everything is refused");
                        }
                    });
                }
                all_there.wait();
                (0..round * 8).for_each(|_| thread::yield_now());
                if round % 2 == 0 { pool.shutdown() } else { pool.shutdown_now() }
            });
            assert_eq!(values.load(SeqCst), ran.load(SeqCst));
            assert!(round % 2 == 1 || cancelled.load(SeqCst) == 0);
        }
    });
}

#[test]
fn work_dropped_by_a_shutdown_may_use_the_pool() {
    struct Spawns(Arc<ThreadPool>, mpsc::Sender<Result<(), Error>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.spawn(|| ()).result());
        }
    }
    watchdog("the drop of cancelled work", || {
        let (pool, gate, (sender, results)) = (pool(1), Gate::default(), mpsc::channel());
        let running = begun(blocked(&pool, &gate));
        let work = Spawns(pool.clone(), sender);
        let queued = pool.spawn(move || drop(work));
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown_now());
            assert_eq!(results.recv(), Ok(Err(Error::ShutDown)));
            gate.open();
        });
        assert_eq!((running.result(), queued.result()), (Ok(()), Err(Error::Cancelled)));
    });
}

// The end of the process. Each of these runs itself as a program.

#[test]
fn a_pool_dropped_at_the_end_of_the_program_runs_its_tasks_first() {
    // CPython: ExecutorShutdownTest::test_interpreter_shutdown
    const NAME: &str = "a_pool_dropped_at_the_end_of_the_program_runs_its_tasks_first";
    if !is_child(NAME) {
        let said = watchdog("the child", || child(NAME, None));
        return assert!(said.contains("apple"), "{said}");
    }
    let pool = ThreadPool::new(1);
    drop(pool.spawn(|| {
        (0..100).for_each(|_| thread::yield_now());
        println!("apple");
    }));
}

#[test]
fn a_detached_pool_keeps_no_program_alive() {
    // CPython: ExecutorShutdownTest::test_hang_gh83386
    const NAME: &str = "a_detached_pool_keeps_no_program_alive";
    if !is_child(NAME) {
        let said = watchdog("the child, whose task never ends", || child(NAME, None));
        return assert!(said.contains("apple") && !said.contains("pear"), "{said}");
    }
    let (pool, never) = (ThreadPool::new(1), Gate::default());
    println!("apple");
    let _running = begun(blocked(&pool, &never));
    drop(pool.spawn(|| println!("pear")));
    pool.detach();
}

#[test]
fn a_program_that_cancels_its_tasks_and_ends_neither_hangs_nor_complains() {
    // CPython: ThreadPoolShutdownTest::test_cancel_futures_wait_false
    const NAME: &str = "a_program_that_cancels_its_tasks_and_ends_neither_hangs_nor_complains";
    if !is_child(NAME) {
        let said = watchdog("the child", || child(NAME, None));
        return assert!(said.matches("apple").count() <= 1, "{said}");
    }
    let pool = ThreadPool::new(1);
    drop(pool.spawn(|| println!("apple")));
    pool.shutdown_now();
}

// The answers to `Try`.

#[test]
fn try_1_the_awaited_task_overtakes_the_one_before_it() {
    watchdog("an outer task and two inner ones", || {
        for (limit, expected) in [(None, ["outer", "b", "a"]), (Some(ZERO), ["outer", "a", "b"])] {
            let (pool, begun) = (pool(1), Arc::new(Mutex::new(Vec::new())));
            let (inner, begin) = (pool.clone(), begun.clone());
            let outer = pool.spawn(move || {
                begin.lock().unwrap().push("outer");
                let spawn = |name| {
                    let begin = begin.clone();
                    inner.spawn(move || begin.lock().unwrap().push(name))
                };
                let (_a, b) = (spawn("a"), spawn("b"));
                match limit {
                    None => b.wait(),
                    Some(limit) => assert!(!b.wait_timeout(limit)),
                }
            });
            assert_eq!(outer.result(), Ok(()));
            pool.shutdown();
            assert_eq!(*begun.lock().unwrap(), expected);
        }
    });
}

#[test]
fn try_3_both() {
    /// Runs `g` on the pool and `f` here. Safe on a worker: if no other has begun `g` by then, this one does.
    fn both<A, B: Send + 'static>(
        pool: &ThreadPool,
        f: impl FnOnce() -> A,
        g: impl FnOnce() -> B + Send + 'static,
    ) -> Result<(A, B), Error> {
        let other = pool.spawn(g);
        let value = f();
        Ok((value, other.result()?))
    }
    fn sum(pool: &Arc<ThreadPool>, from: u64, to: u64) -> u64 {
        if to - from < 2 {
            return from;
        }
        let (middle, inner) = (from.midpoint(to), pool.clone());
        let halves = both(pool, || sum(pool, from, middle), move || sum(&inner, middle, to));
        halves.map(|(low, high)| low + high).unwrap()
    }
    watchdog("a sum in halves", || {
        for workers in [1, 2] {
            let pool = pool(workers);
            assert_eq!(sum(&pool, 0, 1_000), 499_500);
            assert_eq!(both(&pool, || 1, || -> u32 { quiet_panic("g") }), Err(panicked("g")));
        }
    });
}
