//! First a race that is run by scripted clocks, so that its result is known: B takes as long as A,
//! and the machine is twice as slow in the second half. Look at what one after the other makes of
//! it. Then a real race: the same tiny tasks on our pools, and on what std alone offers. Only the
//! ratios mean something, and only those of one run.
//!
//! More rounds: `cargo run --release --example ch32_measure -- long`
//!
//! Expected output:
//!
//! ```text
//! B takes as long as A, on a machine that is slow in the second half:
//!   one after the other: B takes 2.00 times as long
//!   in turn:             B takes 1.00 times as long
//!
//! The sum of 400 tiny tasks, two workers, 9 rounds:
//! …median    ratio  half of the rounds
//! a plain loop …#…
//! a thread for each task …#…
//! two threads, one receiver …#…
//! chapter 12, workers …#…
//! chapter 15, thread pool …#…
//! chapter 17, chunks of 100 …#…
//! CPython's ThreadPoolExecutor…
//! ```

use concurrent_explained::ch32_measure::{Race, Report};
use concurrent_explained::{ThreadPool, Workers, each, map_chunked};
use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{env, thread};

const TASKS: u64 = 400;

/// About a microsecond of work.
fn work(n: u64) -> u64 {
    (0..500).fold(n, |sum, step| black_box(sum.wrapping_mul(31).wrapping_add(step)))
}

/// The time that each of two equal contestants takes, in milliseconds, when its turn comes.
fn scripted(moment: usize) -> Duration {
    Duration::from_millis(if moment < 10 { 10 } else { 20 })
}

fn one_after_the_other() -> f64 {
    let a: Duration = (0..10).map(scripted).sum();
    let b: Duration = (10..20).map(scripted).sum();
    b.as_secs_f64() / a.as_secs_f64()
}

fn in_turn() -> f64 {
    let moment = std::cell::Cell::new(0_usize);
    let next = || {
        moment.set(moment.get() + 1);
        scripted(moment.get() / 2 * 2) // both of a round in the same mood
    };
    let mut race = Race::new();
    race.enter_timed("A", next);
    race.enter_timed("B", next);
    race.run(9).rows[1].ratio
}

fn a_plain_loop() {
    black_box((0..TASKS).map(work).fold(0, u64::wrapping_add));
}

fn a_thread_for_each_task() {
    let threads: Vec<_> = (0..TASKS).map(|n| thread::spawn(move || work(n))).collect();
    threads.into_iter().for_each(|thread| drop(black_box(thread.join())));
}

type Job = Box<dyn FnOnce() + Send>;

/// What std alone offers: two threads that share one receiver, and a channel for each answer.
fn one_receiver() -> mpsc::Sender<Job> {
    let (jobs, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..2 {
        let receiver = receiver.clone();
        thread::spawn(move || {
            loop {
                let job = receiver.lock().unwrap().recv();
                let Ok(job) = job else { return };
                job();
            }
        });
    }
    jobs
}

fn on_one_receiver(jobs: &mpsc::Sender<Job>) {
    let answers: Vec<_> = (0..TASKS)
        .map(|n| {
            let (answer, receiver) = mpsc::channel();
            let _ = jobs.send(Box::new(move || _ = answer.send(work(n))));
            receiver
        })
        .collect();
    answers.iter().for_each(|answer| _ = black_box(answer.recv()));
}

/// CPython's pool on the same work, timed by itself: its start is not counted.
struct Python {
    program: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Python {
    fn start() -> Option<Python> {
        let script = format!(
            "import sys, time\nfrom concurrent.futures import ThreadPoolExecutor\n\
             def work(n):\n    for step in range(500): n = (n * 31 + step) % 2**64\n    return n\n\
             pool = ThreadPoolExecutor(2)\n\
             for line in sys.stdin:\n    start = time.perf_counter_ns()\n    \
             for future in [pool.submit(work, n) for n in range({TASKS})]: future.result()\n    \
             print(time.perf_counter_ns() - start, flush=True)\n"
        );
        let mut python = Command::new("python3");
        python.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = python.stderr(Stdio::null()).spawn().ok()?;
        let answers = BufReader::new(program.stdout.take()?);
        let mut python = Python { program, answers };
        python.run().map(|_| python)
    }

    fn run(&mut self) -> Option<Duration> {
        self.program.stdin.as_mut()?.write_all(b"go\n").ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        Some(Duration::from_nanos(line.trim().parse().ok()?))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.program.stdin.take()); // the end of its input is the end of the program
        let _ = self.program.wait();
    }
}

fn real_race(rounds: usize) -> (Report, bool) {
    let (jobs, workers, pool) = (one_receiver(), Workers::new(2), ThreadPool::new(2));
    let python = Python::start();
    let has_python = python.is_some();
    let mut race = Race::new();
    race.enter("a plain loop", a_plain_loop);
    race.enter("a thread for each task", a_thread_for_each_task);
    race.enter("two threads, one receiver", || on_one_receiver(&jobs));
    race.enter("chapter 12, workers", || {
        let answers: Vec<_> = (0..TASKS).map(|n| workers.run(move || work(n))).collect();
        answers.into_iter().for_each(|answer| _ = black_box(answer.recv()));
    });
    race.enter("chapter 15, thread pool", || {
        let futures: Vec<_> = (0..TASKS).map(|n| pool.spawn(move || work(n))).collect();
        futures.into_iter().for_each(|future| drop(black_box(future.result())));
    });
    race.enter("chapter 17, chunks of 100", || {
        let chunks = map_chunked(100, 0..TASKS, |chunk| pool.spawn(move || each(chunk, work)));
        chunks.for_each(|outcome| drop(black_box(outcome)));
    });
    if let Some(mut python) = python {
        let run = move || python.run().unwrap_or_default();
        race.enter_timed("CPython's ThreadPoolExecutor", run);
    }
    (race.run(rounds), has_python)
}

fn main() -> Result<(), Box<dyn Error>> {
    let is_long = env::args().nth(1).is_some_and(|argument| argument == "long");
    let rounds = if is_long { 199 } else { 9 };
    let mut text =
        String::from("B takes as long as A, on a machine that is slow in the second half:\n");
    writeln!(text, "  one after the other: B takes {:.2} times as long", one_after_the_other())?;
    writeln!(text, "  in turn:             B takes {:.2} times as long\n", in_turn())?;
    writeln!(text, "The sum of {TASKS} tiny tasks, two workers, {rounds} rounds:")?;
    let (report, has_python) = real_race(rounds);
    write!(text, "{report}")?;
    if !has_python {
        writeln!(text, "CPython's ThreadPoolExecutor: there is no python3 here")?;
    }
    let _ = io::stdout().write_all(text.as_bytes()); // a reader that has left is no failure
    Ok(())
}
