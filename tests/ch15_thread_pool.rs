//! Chapter 15: each cell of the table of ends, each invariant, CPython's cases, races, and the
//! answers to `Try`.

mod support;

mod ch15_thread_pool {
    mod demand;
    mod ends;
    mod initializer;
    mod nested;
    mod tasks;
}

pub(crate) use std::cell::Cell;
pub(crate) use std::panic::{self, AssertUnwindSafe, resume_unwind};
pub(crate) use std::process::Command;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
pub(crate) use std::sync::{Arc, Barrier, LazyLock, Mutex, OnceLock, mpsc};
pub(crate) use std::thread::{self, ThreadId};
pub(crate) use std::time::Duration;
pub(crate) use std::{env, iter};

pub(crate) use concurrent_explained::ch09_outcome::catch;
pub(crate) use concurrent_explained::ch15_thread_pool::Builder;
pub(crate) use concurrent_explained::{
    Error, Future, ReturnWhen, ThreadPool, as_completed, oneshot, set_failure_hook, wait,
};
pub(crate) use support::{Gate, Grenade, until, watchdog};

pub(crate) const ZERO: Duration = Duration::ZERO;

pub(crate) fn pool(workers: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPool::new(workers))
}

/// A pool that counts its threads: how many have started, and how many have ended.
pub(crate) fn counted(builder: Builder) -> (ThreadPool, Arc<AtomicUsize>, Arc<AtomicUsize>) {
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
pub(crate) fn blocked(pool: &ThreadPool, gate: &Gate) -> Future<'static, ()> {
    let gate = gate.clone();
    pool.spawn(move || gate.pass())
}

pub(crate) fn begun<T>(future: Future<'static, T>) -> Future<'static, T> {
    until("the task has begun", || future.is_running());
    future
}

/// True once the pool refuses work. Waits for nothing that may be blocked.
pub(crate) fn is_shut(pool: &ThreadPool) -> bool {
    let probe = pool.spawn(|| ());
    probe.cancel();
    probe.result() == Err(Error::ShutDown)
}

/// A panic without the message on standard error.
pub(crate) fn quiet_panic(message: &str) -> ! {
    resume_unwind(Box::new(message.to_owned()))
}

pub(crate) fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

pub(crate) fn panic_text<T>(make: impl FnOnce() -> T) -> String {
    let Err(Error::Panicked { message }) = catch(make) else { panic!("it did not panic") };
    message.into()
}

pub(crate) fn here() -> ThreadId {
    thread::current().id()
}

/// What the failure hook heard, of all tests of this file.
pub(crate) static REPORTS: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| {
    set_failure_hook(|what, error| REPORTS.lock().unwrap().push(format!("{what}: {error}")));
    Mutex::default()
});

pub(crate) fn reports(part: &str) -> usize {
    REPORTS.lock().unwrap().iter().filter(|report| report.contains(part)).count()
}

/// Runs the test `name` of this file as a program of its own, which finds `is_child(name)` to be
/// true.
pub(crate) fn child(name: &str, through: Option<&str>) -> String {
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

pub(crate) fn is_child(name: &str) -> bool {
    env::var("CHILD").is_ok_and(|child| child == name)
}

// The pool itself.

#[test]
fn a_pool_is_send_and_sync_and_its_debug_does_not_block() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    let builder = ThreadPool::builder().workers(3).name("debug");
    assert_eq!(format!("{builder:?}"), "Builder { workers: 3, name: \"debug\", .. }");
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

#[test]
fn a_named_function_is_submitted_with_its_argument_and_a_closure_needs_no_copy() {
    let (pool, prefix) = (pool(1), Arc::new(String::from("page ")));
    assert_eq!(pool.submit(f64::sqrt, 2.25).result(), Ok(1.5));
    let page = move |n: u32| format!("{prefix}{n}");
    assert_eq!(pool.submit(page, 7).result().as_deref(), Ok("page 7"));
}

#[test]
fn a_pool_says_how_many_workers_it_has_and_how_much_waits() {
    watchdog("a pool of one that is busy", || {
        let (pool, gate) = (pool(1), Gate::default());
        assert_eq!((pool.workers(), pool.pending()), (1, 0));
        let running = begun(blocked(&pool, &gate));
        let queued: Vec<_> = (0..3).map(|_| pool.spawn(|| ())).collect();
        assert_eq!(pool.pending(), 3);
        gate.open();
        assert!(queued.into_iter().chain([running]).all(|task| task.result() == Ok(())));
        assert_eq!(pool.pending(), 0);
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

// Tasks that wait for tasks.

#[test]
fn i4_the_awaited_task_overtakes_the_one_before_it() {
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
fn i4_a_sum_in_halves_each_level_waits_for_the_next() {
    /// Runs `g` on the pool and `f` here. Safe on a worker: if no other has begun `g` by then, this
    /// one does.
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

// The answers to `Try`.

// Two. When the second task is spawned, each worker there is, one, has something to do. One would
// be enough, as that worker does the second task itself (I4); but a pool cannot know that it will
// wait.
#[test]
fn try_1_a_task_that_waits_for_another_starts_a_second_thread() {
    watchdog("an outer task and an inner one", || {
        let (pool, started, _) = counted(ThreadPool::builder().workers(4));
        let pool = Arc::new(pool);
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.spawn(|| 1).result());
        assert_eq!(outer.result(), Ok(Ok(1)));
        pool.shutdown();
        assert_eq!(started.load(SeqCst), 2);

        let (pool, started, _) = counted(ThreadPool::builder().workers(1));
        let pool = Arc::new(pool);
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.spawn(|| 1).result());
        assert_eq!((outer.result(), started.load(SeqCst)), (Ok(Ok(1)), 1));
    });
}

#[test]
fn try_3_a_shutdown_with_a_limit() {
    /// A thread of its own waits, for `shutdown` has no limit; chapter 08 tells of its end. After
    /// the limit it waits on, with a handle of its own on the pool.
    fn shutdown_within(pool: &Arc<ThreadPool>, limit: Duration) -> bool {
        let (over, ended) = oneshot();
        let pool = pool.clone();
        thread::spawn(move || {
            pool.shutdown();
            over.send(())
        });
        ended.recv_timeout(limit).is_ok()
    }
    watchdog("a pool that is shut down twice", || {
        let (pool, started, ended) = counted(ThreadPool::builder().workers(2));
        let (pool, gate) = (Arc::new(pool), Gate::default());
        let _running = begun(blocked(&pool, &gate));
        assert!(!shutdown_within(&pool, Duration::from_millis(20)));
        assert_eq!(pool.spawn(|| ()).result(), Err(Error::ShutDown));
        gate.open();
        assert!(shutdown_within(&pool, Duration::MAX));
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (1, 1));
    });
}
