//! Look at the first three lines: the same two tasks, each waits for the other. Then at the order
//! in which tasks end and outcomes come out, and at how far ahead of its reader each map runs.
//!
//! Expected output:
//!
//! ```text
//! a lazy map of futures: 0 of 2 tasks met the other
//! all submitted first:   2 of 2 tasks met the other
//! map:                   2 of 2 tasks met the other
//! the tasks end in the order   [3, 2, 1]
//! the outcomes come in order   [1, 2, 3]
//! endless inputs, window of 3: 5 squares [0, 1, 4, 9, 16], 8 inputs pulled
//! one item of four panics:     [12, error, 4, 3]
//! in chunks of 2:              [12, error, 4, 3], in 2 tasks
//! a deadline of zero:          [TooLate], and 2 of 3 tasks never ran
//! ```
//!
//! `cargo run --example ch17_map -- 0` replays the first line without patience: both would wait.

extern crate self as std;
extern crate std as real;

use concurrent_explained::ch31_schedules::{replay, sync, thread, time};
use concurrent_explained::{Error, Future, ThreadPool, each, map, map_chunked, map_windowed};
use real::*;
use std::cell::Cell;
use std::env::args;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

/// The smallest version: lazy, as iterators are. A task is submitted when the one before is read.
pub(crate) fn lazy_map<'env, A, T>(
    inputs: impl IntoIterator<Item = A>,
    submit: impl FnMut(A) -> Future<'env, T>,
) -> impl Iterator<Item = Result<T, Error>> {
    inputs.into_iter().map(submit).map(Future::result)
}

/// The next one: all are submitted first. It cannot be given inputs without end, and when its
/// reader leaves early, the tasks run all the same.
pub(crate) fn eager_map<'env, A, T>(
    inputs: impl IntoIterator<Item = A>,
    submit: impl FnMut(A) -> Future<'env, T>,
) -> impl Iterator<Item = Result<T, Error>> {
    let submitted: Vec<_> = inputs.into_iter().map(submit).collect();
    submitted.into_iter().map(Future::result)
}

/// For a schedule: the same lazy map, with a thread for each task. Each task waits for the other.
pub(crate) fn two_meet_lazily() {
    let (inside, both) = (Mutex::new(0), Condvar::new());
    let meet = || {
        let mut inside = inside.lock().unwrap();
        *inside += 1;
        both.notify_one();
        while *inside < 2 {
            inside = both.wait(inside).unwrap();
        }
    };
    thread::scope(|scope| {
        let lazy = (0..2).map(|_| scope.spawn(meet)).map(|task| task.join().unwrap());
        lazy.for_each(drop); // spawns the second when the first has ended
    });
}

/// A task for each of two that waits until both are inside, or has no patience left.
fn meeting(pool: &ThreadPool, patience: Duration) -> impl FnMut(u32) -> Future<'static, bool> {
    let inside = Arc::new((Mutex::new(0), Condvar::new()));
    move |_| {
        let inside = inside.clone();
        pool.spawn(move || {
            let (count, news) = &*inside;
            let mut count = count.lock().unwrap();
            *count += 1;
            news.notify_one();
            let both = |inside: &mut usize| *inside < 2;
            let (mut count, wait) = news.wait_timeout_while(count, patience, both).unwrap();
            *count -= usize::from(wait.timed_out()); // leaves as it came
            !wait.timed_out()
        })
    }
}

fn met(outcomes: impl Iterator<Item = Result<bool, Error>>) -> usize {
    outcomes.filter(|met| *met == Ok(true)).count()
}

fn show(outcomes: impl Iterator<Item = Result<u32, Error>>) -> String {
    let show =
        |outcome: Result<u32, Error>| outcome.map_or("error".into(), |value| value.to_string());
    format!("[{}]", outcomes.map(show).collect::<Vec<_>>().join(", "))
}

/// A map over three tasks that end in the order 3, 2, 1: how they ended, and how they came out.
fn in_reverse(pool: &ThreadPool) -> (Vec<usize>, Vec<usize>) {
    let ended = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let outcomes = map(1..=3, |n| {
        let ended = ended.clone();
        pool.spawn(move || {
            let before_me = |ended: &mut Vec<usize>| ended.len() < 3 - n;
            ended.1.wait_while(ended.0.lock().unwrap(), before_me).unwrap().push(n);
            ended.1.notify_all();
            n
        })
    });
    let outcomes = outcomes.map(Result::unwrap).collect();
    let ended = ended.0.lock().unwrap().clone();
    (ended, outcomes)
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let pool = ThreadPool::new(3);
    let (briefly, long) = (Duration::from_millis(100), Duration::MAX);
    let lazy = met(lazy_map(0..2, meeting(&pool, briefly)));
    writeln!(story, "a lazy map of futures: {lazy} of 2 tasks met the other")?;
    let eager = met(eager_map(0..2, meeting(&pool, long)));
    writeln!(story, "all submitted first:   {eager} of 2 tasks met the other")?;
    let ours = met(map(0..2, meeting(&pool, long)));
    writeln!(story, "map:                   {ours} of 2 tasks met the other")?;

    let (ended, outcomes) = in_reverse(&pool);
    writeln!(story, "the tasks end in the order   {ended:?}")?;
    writeln!(story, "the outcomes come in order   {outcomes:?}")?;

    let pulled = Cell::new(0);
    let endless = (0_u32..).inspect(|_| pulled.set(pulled.get() + 1));
    let mut squares = map_windowed(3, endless, |n| pool.spawn(move || n * n));
    let five: Vec<_> = squares.by_ref().take(5).map(Result::unwrap).collect();
    let pulled = pulled.get();
    writeln!(story, "endless inputs, window of 3: 5 squares {five:?}, {pulled} inputs pulled")?;
    drop(squares);

    std::panic::set_hook(Box::new(|_| ())); // the panics below are meant
    let inputs = [1_u32, 0, 3, 4];
    let outcomes = show(map(inputs, |n| pool.spawn(move || 12 / n)));
    writeln!(story, "one item of four panics:     {outcomes}")?;
    let tasks = Cell::new(0);
    let outcomes = show(map_chunked(2, inputs, |chunk| {
        tasks.set(tasks.get() + 1);
        pool.spawn(move || each(chunk, |n| 12 / n))
    }));
    writeln!(story, "in chunks of 2:              {outcomes}, in {} tasks", tasks.get())?;

    let (busy, gate) = (ThreadPool::new(1), Arc::new(Barrier::new(2)));
    let ran = Arc::new(Mutex::new(0));
    let task = |_| {
        let (gate, ran) = (gate.clone(), ran.clone());
        busy.spawn(move || {
            *ran.lock().unwrap() += 1;
            gate.wait(); // it has begun
            gate.wait(); // and ends when it may
        })
    };
    let late = map(0..3, task).within(Duration::ZERO);
    gate.wait();
    let late: Vec<_> = late.map(Result::unwrap_err).collect();
    gate.wait();
    busy.shutdown();
    let unrun = 3 - *ran.lock().unwrap();
    writeln!(story, "a deadline of zero:          {late:?}, and {unrun} of 3 tasks never ran")?;
    Ok(story)
}

fn main() -> Result<(), std::fmt::Error> {
    let story = match args().nth(1) {
        Some(schedule) => format!("{}\n", replay(&schedule, two_meet_lazily)),
        None => tell()?,
    };
    let _ = io::stdout().write_all(story.as_bytes()); // a reader that has left is no error
    Ok(())
}
