//! Chapter 26: one contract, run over the pool of threads and the pool of processes; CPython's
//! executor cases for both; the answers to `Try`.
//!
//! Each test runs in a process of its own, so that what it counts is its own.

#[path = "support/alone.rs"]
mod alone;
#[path = "support/door.rs"]
mod door;
mod support;

mod ch26_executor {
    pub(crate) mod results;
}

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::atomic::{AtomicIsize, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::thread;

use alone::{alone, children, count, state};
use ch26_executor::results::*;
use concurrent_explained::ch09_outcome::catch;
use concurrent_explained::ch19_wire::{Decoded, Reader};
use concurrent_explained::ch26_executor::{Outcomes, Task, Value};
use concurrent_explained::{Error, Executor, Future, ProcessPool, Tasks, ThreadPool, Wire};
use concurrent_explained::{as_completed, each, promise};
use door::{Door, Guest, stand_at};
use support::process_until as until;

/// What the contract needs besides the trait.
trait Pool: Executor + Debug + Send + Sync + 'static {
    fn new(workers: usize) -> Result<Self, Error>
    where
        Self: Sized;
}

impl Pool for ThreadPool {
    fn new(workers: usize) -> Result<Self, Error> {
        Ok(ThreadPool::new(workers))
    }
}

impl Pool for ProcessPool {
    fn new(workers: usize) -> Result<Self, Error> {
        let builder = ProcessPool::builder(tasks()).workers(workers);
        Ok(alone::arguments("worker")
            .into_iter()
            .fold(builder, |builder, argument| builder.arg(argument))
            .build())
    }
}

/// The program that the workers run: this one, told to run the test called `worker`.
fn tasks() -> Tasks {
    let tasks = Tasks::new().with("square", square).with("pow", pow).with("fail_on", fail_on);
    let tasks = tasks
        .with("stand_at", stand_at)
        .with("through", through)
        .with("up", up)
        .with("again", again);
    tasks.with("pass", pass).with("nothing", nothing)
}

#[test]
fn worker() {
    tasks().serve_if_worker();
}

fn square(n: u64) -> u64 {
    n * n
}

fn pow((base, exponent): (u64, u32)) -> u64 {
    base.pow(exponent)
}

fn fail_on(n: u64) -> u64 {
    assert_ne!(n, 3, "three is not welcome");
    n
}

fn through(door: u16) -> u16 {
    stand_at(door);
    door
}

fn nothing((): ()) {}

/// A value that is counted while it lives, and is `null` on the wire.
struct Counted;

static LIVE: AtomicIsize = AtomicIsize::new(0);

impl Counted {
    fn new() -> Counted {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wire for Counted {
    fn encode(&self, out: &mut String) {
        ().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        <()>::decode(input).map(|()| Counted::new())
    }
}

fn pass(counted: Counted) -> Counted {
    counted
}

/// Each line is a test of the function of that name, once on threads and once on processes.
macro_rules! contract {
    ($($clause:ident,)*) => {
        mod threads {
            $(#[test] fn $clause() {
                let name = concat!("threads::", stringify!($clause));
                super::alone(name, super::$clause::<super::ThreadPool>);
            })*
        }
        mod processes {
            $(#[test] fn $clause() {
                let name = concat!("processes::", stringify!($clause));
                super::alone(name, super::$clause::<super::ProcessPool>);
            })*
        }
    };
}

contract! {
    i1_submit_gives_the_result,
    i3_submit_all_returns_the_futures_in_the_order_of_the_arguments,
    i3_map_yields_in_the_order_of_the_arguments,
    map_runs_everything_even_if_nobody_iterates,
    a_map_that_outlives_its_pool_is_complete,
    a_later_task_that_ends_first_completes_first,
    i5_a_task_that_panics_fails_alone,
    an_error_that_speaks_of_time_is_not_the_limit_of_the_map,
    a_map_that_is_closed_is_exhausted_and_cancels_what_has_not_started,
    a_map_that_is_dropped_cancels_what_has_not_started,
    a_map_past_its_limit_cancels_the_one_it_waited_for_and_those_behind,
    an_endless_map_pulls_no_more_than_its_window,
    a_map_of_nothing_is_empty,
    chunks_of_every_size_hold_every_argument_once,
    i5_a_task_that_panics_in_a_chunk_fails_alone,
    cancelled_before_it_starts_a_task_never_runs,
    cancel_is_refused_while_the_task_runs,
    wait_sorts_what_runs_from_what_is_done,
    a_callback_hears_the_result_before_its_reader,
    i4_shutdown_waits_for_the_running_and_the_queued,
    every_caller_of_shutdown_waits,
    drop_waits_for_the_running_and_the_queued,
    i2_after_shutdown_nothing_is_accepted,
    no_workers_are_refused,
    the_pool_keeps_no_argument_and_no_result,
    many_threads_submit_at_once,
    workers_start_on_demand_and_never_more_than_the_maximum,
    both_pools_feed_one_as_completed,
    no_thread_and_no_process_is_left,
    try_3_any_pool_is_an_executor,
}

/// The futures of a pool of one worker: of the task that stands at a door, and of ten behind it.
struct Busy(Future<'static, u32>, Vec<Future<'static, u64>>);

impl Busy {
    fn pool<P: Pool>(door: &Door) -> (P, Guest, Busy) {
        let pool = P::new(1).unwrap();
        let running = pool.submit(stand_at, door.number());
        let guest = door.guest();
        let queued = pool.submit_all(square, 0..10);
        (pool, guest, Busy(running, queued))
    }

    fn is_over(&self) -> bool {
        self.0.is_done() && self.1.iter().all(Future::is_done)
    }
}

/// Whether a submission finds the pool closed.
fn is_closed(pool: &impl Executor) -> bool {
    pool.submit(nothing, ()).error() == Some(Error::ShutDown)
}

fn i4_shutdown_waits_for_the_running_and_the_queued<P: Pool>() {
    // CPython: ThreadPoolShutdownTest::test_context_manager_shutdown,
    // ProcessPoolShutdownTest::test_context_manager_shutdown
    let door = Door::new();
    let (pool, guest, busy): (P, _, _) = Busy::pool(&door);
    thread::scope(|scope| {
        let down = scope.spawn(|| {
            pool.shutdown();
            busy.is_over() // I4
        });
        until("the shutdown has begun", || is_closed(&pool));
        assert!(!down.is_finished());
        guest.pass();
        assert!(down.join().unwrap());
    });
    assert!(busy.1.into_iter().all(|future| future.result().is_ok()));
}

fn every_caller_of_shutdown_waits<P: Pool>() {
    let door = Door::new();
    let (pool, guest, busy): (P, _, _) = Busy::pool(&door);
    thread::scope(|scope| {
        let shut_down = || {
            pool.shutdown();
            busy.is_over()
        };
        let callers = [(); 4].map(|()| scope.spawn(shut_down));
        until("a shutdown has begun", || is_closed(&pool));
        assert!(callers.iter().all(|caller| !caller.is_finished()));
        guest.pass();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
    pool.shutdown();
    pool.shutdown();
}

fn drop_waits_for_the_running_and_the_queued<P: Pool>() {
    let door = Door::new();
    let (pool, guest, busy): (P, _, _) = Busy::pool(&door);
    let (sender, receiver) = channel();
    let dropper = thread::spawn(move || {
        sender.send(()).unwrap();
        drop(pool);
        busy.is_over()
    });
    receiver.recv().unwrap();
    assert!(!dropper.is_finished());
    guest.pass();
    assert!(dropper.join().unwrap());
}

fn i2_after_shutdown_nothing_is_accepted<P: Pool>() {
    // CPython: ExecutorShutdownTest::test_run_after_shutdown
    let pool = P::new(2).unwrap();
    pool.shutdown();
    assert_eq!(pool.submit(square, 3).result(), Err(Error::ShutDown)); // I2
    assert!(pool.map(square, [1, 2]).eq([Err(Error::ShutDown), Err(Error::ShutDown)]));
}

fn no_workers_are_refused<P: Pool>() {
    // CPython: ExecutorTest::test_max_workers_negative
    let made = std::panic::catch_unwind(|| P::new(0));
    assert!(made.is_err(), "no pool of none");
}

fn the_pool_keeps_no_argument_and_no_result<P: Pool>() {
    // CPython: ExecutorTest::test_no_stale_references, test_free_reference
    let live = || LIVE.load(Ordering::Relaxed);
    let pool = P::new(1).unwrap();
    drop(pool.submit(pass, Counted::new()).result().unwrap());
    assert_eq!(live(), 0, "neither the pool nor the worker keeps what it has handed over");
    let door = Door::new();
    let busy = pool.submit(stand_at, door.number());
    let guest = door.guest();
    let mut map = pool.map(pass, [(); 3].map(|()| Counted::new()));
    guest.pass();
    busy.result().unwrap();
    pool.submit(nothing, ()).result().unwrap(); // the three before it have ended
    for left in [2, 1, 0] {
        drop(map.next());
        assert_eq!(live(), left);
    }
    drop(pool.submit(pass, Counted::new())); // a result that nobody reads
    pool.shutdown();
    assert_eq!(live(), 0);
}

fn many_threads_submit_at_once<P: Pool>() {
    let pool = P::new(3).unwrap();
    let sums = thread::scope(|scope| {
        let submit = |start: u64| {
            let pool = &pool;
            scope.spawn(move || {
                let futures = as_completed(pool.submit_all(square, start * 200..(start + 1) * 200));
                futures.map(|future| future.result().unwrap()).sum::<u64>()
            })
        };
        let submitters: Vec<_> = (0..8).map(submit).collect();
        submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sums, (0..1600).map(square).sum());
}

fn workers_start_on_demand_and_never_more_than_the_maximum<P: Pool>() {
    // CPython: ThreadPoolExecutorTest::test_saturation, test_idle_thread_reuse,
    // ProcessPoolExecutorTest::test_idle_process_reuse_one,
    // ProcessPoolShutdownTest::test_processes_terminate
    let (before, door) = (count("task"), Door::new());
    let pool = P::new(3).unwrap();
    assert_eq!(
        (children(), count("task")),
        (vec![], before),
        "nothing starts before the first task"
    );
    (0..3).for_each(|n| assert_eq!(pool.submit(square, n).result(), Ok(n * n)));
    let (processes, threads) = (children().len(), count("task") - before);
    assert!(
        processes <= 1 && (processes == 1 || threads == 1),
        "one task at a time needs one worker"
    );
    let futures = pool.submit_all(stand_at, [door.number(); 12]);
    let guests = [(); 3].map(|()| door.guest());
    assert!(door.is_lonely(), "a fourth is at work");
    assert_eq!(children().len(), 3 * processes);
    drop(guests);
    (3..12).for_each(|_| door.guest().pass());
    assert!(futures.into_iter().all(|future| future.result().is_ok()));
}

fn both_pools_feed_one_as_completed<P: Pool>() {
    let (pool, threads) = (P::new(2).unwrap(), ThreadPool::new(2));
    let futures =
        pool.submit_all(square, 1..=50).into_iter().chain(threads.submit_all(square, 51..=100));
    let sum = as_completed(futures).map(|future| future.result()).sum::<Result<u64, _>>();
    assert_eq!(sum, Ok((1..=100).map(square).sum()));
}

fn no_thread_and_no_process_is_left<P: Pool>() {
    let before = (count("task"), count("fd"));
    let pool = P::new(4).unwrap();
    assert!(pool.map(square, 0..100).all(|outcome| outcome.is_ok()));
    let workers = children();
    pool.shutdown();
    assert_eq!(children(), []);
    assert!(workers.into_iter().all(|pid| state(pid).is_none()), "a zombie is left");
    until("the threads are gone from the list of the system", || count("task") == before.0);
    assert_eq!(count("fd"), before.1);
    drop(pool);
}

#[test]
fn a_task_on_threads_submits_to_its_own_pool_and_waits() {
    alone("a_task_on_threads_submits_to_its_own_pool_and_waits", || {
        static POOL: OnceLock<ThreadPool> = OnceLock::new();
        fn countdown(n: u64) -> u64 {
            let pool = POOL.get().unwrap();
            if n == 0 { 0 } else { 1 + Executor::submit(pool, countdown, n - 1).result().unwrap() }
        }
        let pool = POOL.get_or_init(|| ThreadPool::new(1));
        assert_eq!(Executor::submit(pool, countdown, 10).result(), Ok(10));
    });
}

#[test]
fn i2_a_function_that_the_workers_do_not_know_is_refused_in_the_future() {
    fn stranger(n: u64) -> u64 {
        n
    }
    let pool = ProcessPool::new(Tasks::new());
    let refused = Executor::submit(&pool, stranger, 1).result(); // I2
    assert!(matches!(refused, Err(Error::Refused { reason }) if reason.contains("stranger")));
}

#[test]
fn both_pools_are_shared_between_threads() {
    fn shared<E: Executor + Send + Sync + 'static>() {}
    shared::<ThreadPool>();
    shared::<ProcessPool>();
}

// On one thread the counter is the program's and goes on, 1 2 and then 3 4. A worker process has
// its own, which goes on as well, and the program's stays 0.
static COUNTER: AtomicU32 = AtomicU32::new(0);

fn up((): ()) -> u32 {
    COUNTER.fetch_add(1, Ordering::Relaxed) + 1
}

fn again((): ()) -> u32 {
    COUNTER.load(Ordering::Relaxed)
}

#[test]
fn try_1_a_counter_counts_in_the_process_that_runs_the_task() {
    fn twice(pool: &impl Executor) -> Vec<u32> {
        let [once, twice] = [(); 2].map(|()| pool.submit_all(up, [(), ()]));
        once.into_iter().chain(twice).map(|future| future.result().unwrap()).collect()
    }
    alone("try_1_a_counter_counts_in_the_process_that_runs_the_task", || {
        let processes = <ProcessPool as Pool>::new(1).unwrap();
        assert_eq!(twice(&processes), [1, 2, 3, 4]);
        assert_eq!((again(()), Executor::submit(&processes, again, ()).result()), (0, Ok(4)));
        assert_eq!(twice(&ThreadPool::new(1)), [1, 2, 3, 4]);
        assert_eq!(again(()), 4);
    });
}

// Red is `threads::i5_a_task_that_panics_in_a_chunk_fails_alone`: the panic takes the other items
// of its chunk with it. On processes the worker catches each item, in chapter 22.
#[test]
fn try_2_each_item_of_a_chunk_has_an_outcome_of_its_own() {
    alone("try_2_each_item_of_a_chunk_has_an_outcome_of_its_own", || {
        i5_a_task_that_panics_in_a_chunk_fails_alone::<ThreadPool>();
    });
}

#[test]
fn closures_that_capture_are_mapped_on_threads() {
    alone("closures_that_capture_are_mapped_on_threads", || {
        let pool = <ThreadPool as Pool>::new(2).unwrap();
        let folder = PathBuf::from("/tmp");
        let paths = pool.map(move |name: String| folder.join(name), ["a".into(), "b".into()]);
        assert!(paths.eq([Ok(PathBuf::from("/tmp/a")), Ok(PathBuf::from("/tmp/b"))]));
        let (words, seen) =
            (vec!["zero".to_string(), "one".to_string()], Arc::<AtomicU32>::default());
        let counter = seen.clone();
        let word = move |n: usize| {
            counter.fetch_add(1, Ordering::Relaxed);
            words[n].clone()
        };
        assert_eq!(Executor::submit(&pool, word.clone(), 1).result(), Ok("one".to_string()));
        assert_eq!(pool.map_chunked(2, word, [0, 1]).count(), 2);
        assert_eq!(seen.load(Ordering::Relaxed), 3);
    });
}

// A third pool adds a variant and three arms.
#[derive(Debug)]
enum AnyPool {
    Threads(ThreadPool),
    Processes(ProcessPool),
}

impl Executor for AnyPool {
    fn submit<F: Task<A, R>, A: Value, R: Value>(&self, task: F, input: A) -> Future<'static, R> {
        match self {
            AnyPool::Threads(pool) => Executor::submit(pool, task, input),
            AnyPool::Processes(pool) => Executor::submit(pool, task, input),
        }
    }

    fn submit_chunk<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: Vec<A>,
    ) -> Outcomes<R> {
        match self {
            AnyPool::Threads(pool) => Executor::submit_chunk(pool, task, inputs),
            AnyPool::Processes(pool) => Executor::submit_chunk(pool, task, inputs),
        }
    }

    fn shutdown(&self) {
        match self {
            AnyPool::Threads(pool) => pool.shutdown(),
            AnyPool::Processes(pool) => pool.shutdown(),
        }
    }
}

fn try_3_any_pool_is_an_executor<P: Pool>() {
    let threads = format!("{:?}", P::new(1)).contains("Thread");
    let pool = match threads {
        true => AnyPool::Threads(ThreadPool::new(2)),
        false => AnyPool::Processes(Pool::new(2).unwrap()),
    };
    assert!(pool.map(square, 0..10).eq((0..10).map(|n| Ok(n * n))));
    pool.shutdown();
    assert!(is_closed(&pool));
}

// It keeps all that is promised except that `submit` never blocks. `cancel` is never true, because
// every future is done before anybody has it.
#[derive(Debug, Default)]
struct Here {
    closed: OnceLock<()>,
}

impl Here {
    fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R) -> Future<'static, R> {
        let (promise, future) = promise();
        let outcome = match self.closed.get() {
            Some(()) => Err(Error::ShutDown),
            None => catch(work),
        };
        promise.complete(outcome).unwrap_or_else(|_| unreachable!("nobody can cancel it yet"));
        future
    }
}

impl Executor for Here {
    fn submit<F: Task<A, R>, A: Value, R: Value>(&self, task: F, input: A) -> Future<'static, R> {
        self.run(|| task(input))
    }

    fn submit_chunk<F: Task<A, R>, A: Value, R: Value>(
        &self,
        task: F,
        inputs: Vec<A>,
    ) -> Outcomes<R> {
        self.run(|| each(inputs, task))
    }

    fn shutdown(&self) {
        self.closed.get_or_init(|| ());
    }
}

impl Pool for Here {
    fn new(_: usize) -> Result<Self, Error> {
        Ok(Here::default())
    }
}

#[test]
fn try_3_an_executor_that_runs_at_once_keeps_the_order_and_never_cancels() {
    i1_submit_gives_the_result::<Here>();
    i3_submit_all_returns_the_futures_in_the_order_of_the_arguments::<Here>();
    i3_map_yields_in_the_order_of_the_arguments::<Here>();
    a_map_that_outlives_its_pool_is_complete::<Here>();
    i5_a_task_that_panics_fails_alone::<Here>();
    i5_a_task_that_panics_in_a_chunk_fails_alone::<Here>();
    i2_after_shutdown_nothing_is_accepted::<Here>();
    assert!(!Here::default().submit(square, 3).cancel());
}
