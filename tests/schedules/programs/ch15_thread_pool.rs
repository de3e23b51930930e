//! Chapter 15: what is accepted runs, what waits is helped, and idle means idle.

use super::ch04_event::Event;
use super::ch09_outcome::Error;
use super::ch15_thread_pool::ThreadPool;
use crate::program::{bound, programs};
use concurrent_explained::ch31_schedules::Limits;
use std::sync::Arc;
use std::thread;

/// Sets an event when it is dropped, as a value that ends something.
struct WaitsWhenDropped(Arc<Event>);

impl Drop for WaitsWhenDropped {
    fn drop(&mut self) {
        self.0.wait();
    }
}

fn random(schedules: usize) -> Limits {
    Limits { seed: Some(7), schedules, ..Limits::all() }
}

programs! {
    fn a_task_is_spawned_and_the_pool_dropped(bound(1), 12) {
        let pool = ThreadPool::new(1);
        let future = pool.spawn(|| 1);
        drop(pool);
        assert_eq!(future.result(), Ok(1));
    }

    fn a_task_of_a_pool_of_one_waits_for_another(bound(1), 52) {
        let pool = Arc::new(ThreadPool::new(1));
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.spawn(|| 1).result());
        assert_eq!(outer.result(), Ok(Ok(1)));
    }

    fn two_tasks_run_at_the_same_time(bound(0), 954) {
        let (pool, event) = (ThreadPool::new(2), Arc::new(Event::new()));
        let news = event.clone();
        let first = pool.spawn(move || news.wait());
        let second = pool.spawn(move || event.set());
        assert_eq!((first.result(), second.result()), (Ok(()), Ok(())));
    }

    fn a_task_is_spawned_while_the_pool_is_shut_down(bound(1), 560) {
        let pool = Arc::new(ThreadPool::new(1));
        let other = pool.clone();
        let thread = thread::spawn(move || other.shutdown());
        let outcome = pool.spawn(|| 1).result();
        assert!(matches!(outcome, Ok(1) | Err(Error::ShutDown)), "{outcome:?}");
        thread.join().unwrap();
    }

    fn a_task_is_spawned_while_the_pool_is_shut_down_now(bound(1), 558) {
        let pool = Arc::new(ThreadPool::new(1));
        let other = pool.clone();
        let thread = thread::spawn(move || other.shutdown_now());
        let outcome = pool.spawn(|| 1).result();
        assert!(matches!(outcome, Ok(1) | Err(Error::ShutDown | Error::Cancelled)), "{outcome:?}");
        thread.join().unwrap();
    }

    /// A callback waits for an event that the next task sets. The pool has room for a second
    /// thread, which must start, although the first task has an outcome.
    fn a_late_callback_waits_for_the_next_task(random(400), 400) {
        let (pool, event) = (ThreadPool::new(2), Arc::new(Event::new()));
        let news = event.clone();
        let first = pool.spawn(|| ());
        first.add_done_callback(|_| thread::yield_now());
        let thread = thread::spawn(move || first.add_done_callback(move |_| news.wait()));
        pool.spawn(move || event.set()).result().unwrap();
        thread.join().unwrap();
    }

    /// The same with the drop of a result that nobody reads.
    fn the_drop_of_a_result_waits_for_the_next_task(random(400), 400) {
        let (pool, event) = (ThreadPool::new(2), Arc::new(Event::new()));
        let value = WaitsWhenDropped(event.clone());
        let first = pool.spawn(move || value);
        let thread = thread::spawn(move || drop(first));
        pool.spawn(move || event.set()).result().unwrap();
        thread.join().unwrap();
    }
}
