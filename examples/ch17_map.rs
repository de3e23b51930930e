//! Look at the first two lines: the same two tasks, each waits for the other. Then at the order in which
//! tasks end and results come out, and at how far ahead of its reader each map runs.
//!
//! Expected output:
//!
//! ```text
//! a lazy map of futures: 0 of 2 tasks met the other
//! map:                   2 of 2 tasks met the other
//! the tasks end in the order   [3, 2, 1]
//! the outcomes come in order   [1, 2, 3]
//! endless inputs, window of 3: 5 squares [0, 1, 4, 9, 16], 8 inputs pulled
//! one item of four panics:     [12, error, 4, 3]
//! in chunks of 2:              [12, error, 4, 3]
//! a deadline of zero:          [TooLate], and 2 of 3 tasks never ran
//! ```

use concurrent_explained::{Error, Future, ThreadPool, each, map, map_chunked, map_windowed};
use std::cell::Cell;
use std::num::NonZero;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

/// Two tasks: each waits until both are inside, or has no patience left.
fn two_that_meet(
    pool: &ThreadPool,
    patience: Duration,
) -> impl Iterator<Item = Future<'static, bool>> {
    let inside = Arc::new((Mutex::new(0), Condvar::new()));
    (0..2).map(move |_| {
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
    })
}

fn met(outcomes: impl Iterator<Item = Result<bool, Error>>) -> usize {
    outcomes.filter(|met| *met == Ok(true)).count()
}

fn show(outcomes: impl Iterator<Item = Result<u32, Error>>) -> String {
    let show =
        |outcome: Result<u32, Error>| outcome.map_or("error".into(), |value| value.to_string());
    format!("[{}]", outcomes.map(show).collect::<Vec<_>>().join(", "))
}

fn main() -> Result<(), Error> {
    let pool = ThreadPool::new(3)?;
    let in_vain = Duration::from_millis(100);
    let lazy = met(two_that_meet(&pool, in_vain).map(Future::result));
    println!("a lazy map of futures: {lazy} of 2 tasks met the other");
    let eager = met(map(two_that_meet(&pool, Duration::MAX), |future| future));
    println!("map:                   {eager} of 2 tasks met the other");

    let ended = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let outcomes = map(1..=3, |n| {
        let ended = ended.clone();
        pool.spawn(move || {
            let before_me = |ended: &mut Vec<usize>| ended.len() < 3 - n; // 3 first, then 2, then 1
            ended.1.wait_while(ended.0.lock().unwrap(), before_me).unwrap().push(n);
            ended.1.notify_all();
            n
        })
    });
    let outcomes: Vec<_> = outcomes.map(Result::unwrap).collect();
    println!("the tasks end in the order   {:?}", ended.0.lock().unwrap());
    println!("the outcomes come in order   {outcomes:?}");

    let pulled = Cell::new(0);
    let endless = (0_u32..).inspect(|_| pulled.set(pulled.get() + 1));
    let mut squares =
        map_windowed(NonZero::new(3).unwrap(), endless, |n| pool.spawn(move || n * n));
    let five: Vec<_> = squares.by_ref().take(5).map(Result::unwrap).collect();
    println!("endless inputs, window of 3: 5 squares {five:?}, {} inputs pulled", pulled.get());
    drop(squares);

    std::panic::set_hook(Box::new(|_| ())); // the panics below are meant
    let inputs = [1_u32, 0, 3, 4];
    println!("one item of four panics:     {}", show(map(inputs, |n| pool.spawn(move || 12 / n))));
    let chunked = map_chunked(NonZero::new(2).unwrap(), inputs, |chunk| {
        pool.spawn(move || each(chunk, |n| 12 / n))
    });
    println!("in chunks of 2:              {}", show(chunked));

    let (busy, gate) = (ThreadPool::new(1)?, Arc::new(Barrier::new(2)));
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
    println!(
        "a deadline of zero:          {late:?}, and {} of 3 tasks never ran",
        3 - *ran.lock().unwrap()
    );
    Ok(())
}
