//! The same eight tasks in four ways; seven take a while, one takes four times as long. Look at the
//! rows: side by side is faster, a straggler at the end leaves a worker idle, the same straggler at
//! the front does not, and processes take a moment to start. The subject is time itself, so the
//! tasks sleep.
//!
//! With a folder it also writes `threads.svg`, for a browser, and `threads.json`, for Perfetto:
//! `cargo run --example ch29_timeline -- /tmp`
//!
//! Expected output:
//!
//! ```text
//! One thread:
//! main …│…│
//! waiting …│…│
//! …0…
//! A pool of two threads, the long task last:
//! pool_…│…│
//! pool_…│…│
//! waiting …│…│
//! …0…
//! The same pool, the long task first:
//! pool_…│…│
//! pool_…│…│
//! waiting …│…│
//! …0…
//! A pool of two processes, the long task first:
//! process …│…│
//! process …│…│
//! waiting …│…│
//! …0…
//! Two threads, 40 tiny tasks, each handed over by itself:
//! pool_…│…│
//! pool_…│…│
//! waiting …│…│
//! …0…
//! Two threads, the same 40 in 4 chunks:
//! pool_…│…│
//! pool_…│…│
//! waiting …│…│
//! …0…
//! ```

use concurrent_explained::ch29_timeline::{Span, Timeline, chart, svg, trace};
use concurrent_explained::{Error, ProcessPool, Tasks, ThreadPool};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// A task takes this many times as long as a short one.
const LAST: [u64; 8] = [1, 1, 1, 1, 1, 1, 1, 4];
const FIRST: [u64; 8] = [4, 1, 1, 1, 1, 1, 1, 1];

/// Takes so many times 4 ms, and says in which process and for how many microseconds.
fn nap(times: u64) -> (u32, u64) {
    let start = Instant::now();
    thread::sleep(Duration::from_millis(4 * times));
    (process::id(), start.elapsed().as_micros() as u64)
}

fn name(times: u64) -> &'static str {
    if times == 1 { "short" } else { "long" }
}

fn on_one_thread() -> Vec<Span> {
    let timeline = Timeline::new();
    let tasks: Vec<_> = LAST.map(|times| timeline.task(name(times), move || nap(times))).into();
    tasks.into_iter().for_each(|task| _ = task());
    timeline.spans()
}

fn on_threads(tasks: [u64; 8]) -> Result<Vec<Span>, Error> {
    let timeline = Timeline::new();
    let pool = ThreadPool::builder().workers(2).name("pool").build();
    let naps = tasks.map(|times| pool.spawn(timeline.task(name(times), move || nap(times))));
    for nap in naps {
        nap.result()?;
    }
    Ok(timeline.spans())
}

/// Forty naps of a quarter of a millisecond, `size` in one task.
fn tiny(size: u32) -> Result<Vec<Span>, Error> {
    let timeline = Timeline::new();
    let pool = ThreadPool::builder().workers(2).name("pool").build();
    let chunk = move || thread::sleep(Duration::from_micros(250) * size);
    let tasks: Vec<_> = (0..40 / size).map(|_| pool.spawn(timeline.task("tiny", chunk))).collect();
    for task in tasks {
        task.result()?;
    }
    Ok(timeline.spans())
}

/// A process cannot write into our record. So its task says how long it ran, and the rest of the
/// time since the submission it waited.
fn on_processes(pool: &ProcessPool) -> Result<Vec<Span>, Error> {
    let timeline = Timeline::new();
    let naps = FIRST.map(|times| {
        let (queued, timeline) = (Instant::now(), timeline.clone());
        let future = pool.submit(nap, times);
        future.add_done_callback(move |outcome| {
            let Ok((pid, ran)) = *outcome else { return };
            let ran = Duration::from_micros(ran);
            let waited = queued.elapsed().saturating_sub(ran);
            timeline.record(name(times), &format!("process {pid}"), waited, ran);
        });
        future
    });
    for nap in naps {
        nap.result()?;
    }
    Ok(timeline.spans())
}

/// The first of some attempts in which both workers had a task: on a busy machine one of them may
/// be awake before the other, and do it all.
fn both(mut attempt: impl FnMut() -> Result<Vec<Span>, Error>) -> Result<Vec<Span>, Error> {
    let mut spans = attempt()?;
    for _ in 0..50 {
        if spans.iter().any(|span| span.worker != spans[0].worker) {
            break;
        }
        spans = attempt()?;
    }
    Ok(spans)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = || Tasks::new().with("nap", nap);
    tasks().serve_if_worker();

    let last = both(|| on_threads(LAST))?;
    let mut text = String::new();
    for (title, spans) in [
        ("One thread", on_one_thread()),
        ("A pool of two threads, the long task last", last.clone()),
        ("The same pool, the long task first", both(|| on_threads(FIRST))?),
        (
            "A pool of two processes, the long task first",
            both(|| on_processes(&ProcessPool::builder(tasks()).workers(2).build()))?,
        ),
        ("Two threads, 40 tiny tasks, each handed over by itself", both(|| tiny(1))?),
        ("Two threads, the same 40 in 4 chunks", both(|| tiny(10))?),
    ] {
        text += &format!("{title}:\n{}", chart(&spans, 76));
    }
    if let Some(folder) = env::args().nth(1) {
        fs::write(Path::new(&folder).join("threads.svg"), svg(&last))?;
        fs::write(Path::new(&folder).join("threads.json"), trace(&last))?;
    }
    let _ = io::stdout().write_all(text.as_bytes()); // a reader that has left is no failure
    Ok(())
}
