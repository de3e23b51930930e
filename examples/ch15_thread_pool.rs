//! A job that waits for the job behind it. Look at the first two lines: one thread each, the same
//! program; then at the number of threads, and at what each way to end does to the same three tasks.
//!
//! Expected output:
//!
//! ```text
//! Workers(1):    a job waits for the job behind it: in vain
//! ThreadPool(1): ten tasks, each waits for the next: 10
//! three tasks, one after another: 1 thread; three at once: 3 threads
//! a task panics: panicked: no such page; the next one on the same thread: 7
//!                 running   queued      spawned later
//! shutdown        Ok(1)     Ok(2)       ShutDown
//! shutdown_now    Ok(1)     Cancelled   ShutDown
//! detach          Ok(1)     Ok(2)       ShutDown
//! ```

use concurrent_explained::{Error, ThreadPool, Workers};
use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// A job hands a second one to the same workers and waits for its answer, at most as long as this watchdog.
fn a_job_that_waits_for_the_next(threads: usize) -> &'static str {
    let workers = Arc::new(Workers::new(threads));
    let inner = workers.clone();
    let first =
        workers.run(move || match inner.run(|| ()).recv_timeout(Duration::from_millis(100)) {
            Ok(_) => "heard",
            Err(_) => "in vain",
        });
    first.recv().unwrap()
}

fn chain(pool: &Arc<ThreadPool>, length: u32) -> u32 {
    if length == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + pool.spawn(move || chain(&inner, length - 1)).result().unwrap()
}

fn threads(ids: impl IntoIterator<Item = thread::ThreadId>) -> String {
    match ids.into_iter().collect::<HashSet<_>>().len() {
        1 => "1 thread".into(),
        n => format!("{n} threads"),
    }
}

fn show(outcome: Result<i32, Error>) -> String {
    outcome.map_or_else(|error| format!("{error:?}"), |value| format!("Ok({value})"))
}

fn main() -> Result<(), Error> {
    println!(
        "Workers(1):    a job waits for the job behind it: {}",
        a_job_that_waits_for_the_next(1)
    );
    println!(
        "ThreadPool(1): ten tasks, each waits for the next: {}",
        chain(&Arc::new(ThreadPool::new(1)), 10)
    );

    let (pool, meeting) = (ThreadPool::new(8), Arc::new(Barrier::new(3)));
    let id = || thread::current().id();
    let in_turn: Vec<_> = (0..3).map(|_| pool.spawn(id).result().unwrap()).collect();
    let meet = |meeting: Arc<Barrier>| pool.spawn(move || (meeting.wait(), id()).1);
    let at_once: Vec<_> = (0..3).map(|_| meet(meeting.clone())).collect();
    let at_once = at_once.into_iter().map(|task| task.result().unwrap());
    println!(
        "three tasks, one after another: {}; three at once: {}",
        threads(in_turn),
        threads(at_once)
    );

    std::panic::set_hook(Box::new(|_| ())); // the panic below is meant
    let pool = ThreadPool::new(1);
    let lost = pool.spawn(|| -> i32 { panic!("no such page") }).result().unwrap_err();
    println!(
        "a task panics: {lost}; the next one on the same thread: {}",
        pool.spawn(|| 7).result()?
    );

    println!("{:<16}{:<10}{:<12}spawned later", "", "running", "queued");
    type End = fn(&ThreadPool);
    let ends: [(&str, End); 3] = [
        ("shutdown", ThreadPool::shutdown),
        ("shutdown_now", ThreadPool::shutdown_now),
        ("detach", ThreadPool::detach),
    ];
    for (name, end) in ends {
        let (pool, gate) = (Arc::new(ThreadPool::new(1)), Arc::new(Barrier::new(2)));
        let (ends, opens) = (pool.clone(), gate.clone());
        let running = pool.spawn(move || {
            opens.wait();
            end(&ends); // on a worker: it does not wait, or it would wait for itself
            1
        });
        let queued = pool.spawn(|| 2);
        gate.wait();
        let running = show(running.result());
        let later = pool.spawn(|| 3).result();
        println!("{name:<16}{running:<10}{:<12}{}", show(queued.result()), show(later));
    }
    Ok(())
}
