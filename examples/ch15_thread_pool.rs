//! Look at the number of threads: first all at once, then on demand. Then at what each way to end
//! does to the same three tasks.
//!
//! Expected output:
//!
//! ```text
//! all at once: one task, 8 threads
//! on demand:   three tasks one after another: 1 thread; three at once: 3 threads
//! ten tasks on a pool of one, each waits for the next: 10
//! a task panics: panicked: no such page; the next one on the same thread: 7
//!                 running   queued      spawned later
//! shutdown        Ok(1)     Ok(2)       ShutDown
//! shutdown_now    Ok(1)     Cancelled   ShutDown
//! detach          Ok(1)     Ok(2)       ShutDown
//! ```

use concurrent_explained::ch13_task::{Job, PoolId, task};
use concurrent_explained::ch14_backlog::Backlog;
use concurrent_explained::{Error, ThreadPool};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Barrier};
use std::thread::{self, ThreadId};

/// The smallest version: all threads at once, one end, and a backlog between. Returns how many
/// threads one task has started.
fn all_at_once(workers: usize) -> usize {
    let (id, backlog) = (PoolId::new(), Backlog::<Arc<dyn Job>>::new(workers));
    thread::scope(|scope| {
        let worker = |me| {
            let backlog = &backlog;
            scope.spawn(move || {
                id.enter();
                while let Some(job) = backlog.next(me) {
                    job.run(&|| ());
                }
            })
        };
        let threads: Vec<_> = (0..workers).map(worker).collect();
        let (job, future) = task(id, || 6 * 7);
        assert!(backlog.push(job).is_ok());
        assert_eq!(future.result(), Ok(42));
        backlog.close();
        threads.len()
    })
}

fn chain(pool: &Arc<ThreadPool>, length: u32) -> u32 {
    if length == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + pool.spawn(move || chain(&inner, length - 1)).result().unwrap()
}

fn threads(ids: impl IntoIterator<Item = ThreadId>) -> String {
    match ids.into_iter().collect::<HashSet<_>>().len() {
        1 => "1 thread".into(),
        n => format!("{n} threads"),
    }
}

fn show(outcome: Result<i32, Error>) -> String {
    outcome.map_or_else(|error| format!("{error:?}"), |value| format!("Ok({value})"))
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    writeln!(story, "all at once: one task, {} threads", all_at_once(8))?;

    let (pool, meeting) = (ThreadPool::new(8), Arc::new(Barrier::new(3)));
    let id = || thread::current().id();
    let in_turn: Vec<_> = (0..3).map(|_| pool.spawn(id).result().unwrap()).collect();
    let meet = |meeting: Arc<Barrier>| pool.spawn(move || (meeting.wait(), id()).1);
    let at_once: Vec<_> = (0..3).map(|_| meet(meeting.clone())).collect();
    let at_once = at_once.into_iter().map(|task| task.result().unwrap());
    let (in_turn, at_once) = (threads(in_turn), threads(at_once));
    write!(story, "on demand:   three tasks one after another: {in_turn}; ")?;
    writeln!(story, "three at once: {at_once}")?;

    let ten = chain(&Arc::new(ThreadPool::new(1)), 10);
    writeln!(story, "ten tasks on a pool of one, each waits for the next: {ten}")?;
    std::panic::set_hook(Box::new(|_| ())); // the panic below is meant
    let pool = ThreadPool::new(1);
    let lost = pool.spawn(|| -> i32 { panic!("no such page") }).result().unwrap_err();
    let next = pool.spawn(|| 7).result().unwrap();
    writeln!(story, "a task panics: {lost}; the next one on the same thread: {next}")?;

    writeln!(story, "{:<16}{:<10}{:<12}spawned later", "", "running", "queued")?;
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
        let later = pool.spawn(|| 3).result().unwrap_err();
        writeln!(story, "{name:<16}{running:<10}{:<12}{later:?}", show(queued.result()))?;
    }
    Ok(story)
}

fn main() {
    let story = tell().expect("a String takes any text");
    let _ = io::stdout().write_all(story.as_bytes()); // a closed pipe is a reader that has left
}
