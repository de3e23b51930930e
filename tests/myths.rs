//! Sentences that popular tutorials say and that are not so: each is refuted by the test that
//! CHAPTERS.md names beside it.

#[path = "support/alone.rs"]
mod alone;
mod support;

use concurrent_explained::{
    Condition, Error, Event, Executor, Lock, ProcessPool, RLock, ReturnWhen, Semaphore, Tasks,
    ThreadPool, as_completed, wait_timeout,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use support::{Gate, process_watchdog, watchdog};

#[test]
fn submit_does_not_wait_for_the_task() {
    watchdog("submit returns while its task is behind a gate", || {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let inside = gate.clone();
        let future = pool.spawn(move || inside.pass());
        assert!(!future.is_done());
        gate.open();
        assert_eq!(future.result(), Ok(()));
    });
}

#[test]
fn add_done_callback_does_not_return_the_future() {
    let pool = ThreadPool::new(1);
    let future = pool.spawn(|| 7);
    let () = future.add_done_callback(|_| ()); // nothing to chain on: keep the future, then add
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn a_callback_does_not_run_on_the_thread_that_added_it() {
    watchdog("the callback runs on the worker", || {
        let (pool, gate) = (ThreadPool::builder().workers(1).name("w").build(), Gate::default());
        let inside = gate.clone();
        let future = pool.spawn(move || inside.pass());
        let (send, receive) = mpsc::channel();
        future.add_done_callback(move |_| {
            send.send(thread::current().name().map(str::to_owned)).unwrap();
        });
        gate.open();
        assert_eq!(receive.recv().unwrap().as_deref(), Some("w_0"));
    });
}

#[test]
fn more_threads_do_not_help_where_one_lock_is_held() {
    watchdog("eight workers, one at a time", || {
        static LOCK: Lock = Lock::new();
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let pool = ThreadPool::new(8);
        let tasks = (0..100).map(|_| {
            pool.spawn(|| {
                let _guard = LOCK.lock();
                let most = INSIDE.fetch_add(1, Ordering::SeqCst) + 1;
                thread::yield_now();
                INSIDE.fetch_sub(1, Ordering::SeqCst);
                most
            })
        });
        let tasks: Vec<_> = tasks.collect();
        assert!(tasks.into_iter().all(|task| task.result() == Ok(1)));
    });
}

#[test]
fn cancel_does_not_stop_a_running_task() {
    watchdog("a running task ends by itself", || {
        let (pool, gate, started) = (ThreadPool::new(1), Gate::default(), Gate::default());
        let (inside, begun) = (gate.clone(), started.clone());
        let future = pool.spawn(move || {
            begun.open();
            inside.pass();
            7
        });
        started.pass();
        assert!(!future.cancel());
        gate.open();
        assert_eq!(future.result(), Ok(7));
    });
}

#[test]
fn a_thread_that_nobody_joins_does_not_clean_up_at_the_end_of_main() {
    struct CleanUp;
    impl Drop for CleanUp {
        fn drop(&mut self) {
            println!("cleaned up");
        }
    }
    let name = "a_thread_that_nobody_joins_does_not_clean_up_at_the_end_of_main";
    if alone::is_alone(name) {
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let _clean_up = CleanUp;
            send.send(()).unwrap();
            thread::park();
        });
        receive.recv().unwrap();
        std::process::exit(0); // as the end of main does: the thread is gone, its values are not dropped
    }
    let child = alone::program(name).spawn().unwrap();
    let ended = alone::finish(name, child);
    assert!(ended.status.success());
    assert!(!ended.stdout().contains("cleaned up"));
}

#[test]
fn map_does_not_stop_at_the_first_error() {
    let pool = ThreadPool::new(2);
    let outcomes: Vec<_> = Executor::map(&pool, |n: u32| 12 / n, [3, 0, 4]).collect();
    assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(4), &Ok(3)));
    assert!(matches!(outcomes[1], Err(Error::Panicked { .. })));
}

#[test]
fn as_completed_does_not_keep_the_order_of_submission() {
    watchdog("the second comes first", || {
        let (pool, gate) = (ThreadPool::new(2), Gate::default());
        let inside = gate.clone();
        let slow = pool.spawn(move || {
            inside.pass();
            "slow"
        });
        let fast = pool.spawn(|| "fast");
        let mut done = as_completed([slow, fast]);
        assert_eq!(done.next().unwrap().result(), Ok("fast"));
        gate.open();
        assert_eq!(done.next().unwrap().result(), Ok("slow"));
    });
}

#[test]
fn a_wait_that_runs_out_of_time_cancels_nothing() {
    watchdog("what was not done ends later", || {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let inside = gate.clone();
        let future = pool.spawn(move || inside.pass());
        let mut waited = wait_timeout([future], ReturnWhen::AllCompleted, Duration::ZERO);
        assert_eq!((waited.done.len(), waited.not_done.len()), (0, 1));
        gate.open();
        assert_eq!(waited.not_done.remove(0).result(), Ok(()));
    });
}

#[test]
fn a_result_that_is_late_is_no_failure_of_its_task() {
    watchdog("the future comes back and gives its value later", || {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let inside = gate.clone();
        let future = pool.spawn(move || inside.pass());
        let future = future.result_timeout(Duration::ZERO).unwrap_err();
        assert!(!future.is_failed());
        gate.open();
        assert_eq!(future.result(), Ok(()));
    });
}

#[test]
fn shutdown_does_not_drop_what_is_queued() {
    let pool = ThreadPool::new(1);
    let futures: Vec<_> = (0..50).map(|n| pool.spawn(move || n)).collect();
    pool.shutdown();
    assert!(futures.into_iter().map(|future| future.result()).eq((0..50).map(Ok)));
}

#[test]
fn a_panic_neither_gets_lost_nor_kills_its_worker() {
    let pool = ThreadPool::new(1);
    let panics = pool.spawn(|| -> u8 { panic!("on purpose") });
    let next = pool.spawn(|| 7);
    assert!(
        matches!(panics.result(), Err(Error::Panicked { message }) if &*message == "on purpose")
    );
    assert_eq!(next.result(), Ok(7));
}

#[test]
fn a_task_that_waits_for_another_of_its_pool_need_not_hang() {
    watchdog("a pool of one", || {
        let pool = Arc::new(ThreadPool::new(1));
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.spawn(|| 20).result().map(|n| n + 1));
        assert_eq!(outer.result(), Ok(Ok(21)));
    });
}

#[test]
fn a_notification_is_not_kept_for_the_next_to_wait() {
    let (lock, news) = (Lock::new(), Condition::new());
    let mut guard = lock.lock();
    assert_eq!(news.notify(&guard, 1), 0);
    assert!(!news.wait_timeout(&mut guard, Duration::ZERO));
}

#[test]
fn an_event_is_kept_for_the_next_to_wait() {
    let event = Event::new();
    event.set();
    assert!(event.wait_timeout(Duration::ZERO));
}

#[test]
fn a_semaphore_of_one_is_no_lock_for_anybody_may_release_it() {
    let semaphore = Semaphore::new(0);
    semaphore.release(1).unwrap();
    assert!(semaphore.try_acquire().is_some());
}

#[test]
fn a_lock_does_not_let_its_holder_in_twice() {
    let (lock, again) = (Lock::new(), RLock::new());
    let _guard = lock.lock();
    assert!(lock.try_lock().is_none());
    let _outer = again.lock();
    assert!(again.try_lock().is_some());
}

static SHARED: AtomicUsize = AtomicUsize::new(1);

fn shared(_: ()) -> usize {
    SHARED.load(Ordering::SeqCst)
}

fn die(_: ()) {
    std::process::exit(7);
}

fn tasks() -> Tasks {
    Tasks::new().with("shared", shared).with("die", die)
}

/// The workers of the two tests below: this program, told to run this one test.
#[test]
fn worker_entry() {
    tasks().serve_if_worker();
}

fn processes() -> ProcessPool {
    ProcessPool::builder(tasks()).workers(1).in_tests("worker_entry").build()
}

#[test]
fn a_process_does_not_see_what_its_parent_has_changed() {
    process_watchdog("a worker process has memory of its own", || {
        SHARED.store(2, Ordering::SeqCst);
        assert_eq!(processes().submit(shared, ()).result(), Ok(1));
    });
}

#[test]
fn a_dead_worker_does_not_break_the_pool() {
    process_watchdog("one task dies, the next one runs", || {
        let pool = processes();
        let dies = pool.submit(die, ());
        let next = pool.submit(shared, ());
        assert!(matches!(dies.result(), Err(Error::Died(_))));
        assert!(next.result().is_ok());
    });
}
