//! The process pool. This test program is its own worker: `worker_entry` runs the library's loop,
//! `rogue_entry` a worker written by hand that misbehaves as told. Both do nothing when `cargo
//! test` runs them as tests.

#![cfg(unix)]

#[path = "support/alone.rs"]
mod alone;
mod support;

mod ch25_process_pool {
    pub(crate) mod cures;
    pub(crate) mod death;
    pub(crate) mod ends;
    pub(crate) mod lives;
    pub(crate) mod matrix;
    pub(crate) mod plays;
    pub(crate) mod refused;
    pub(crate) mod rogue;
    pub(crate) mod time;
    pub(crate) mod tries;
    pub(crate) mod writers;
}

use ch25_process_pool::plays::{self, Gate, at_gate};
use ch25_process_pool::rogue::{self, Deed, Parcel};
use concurrent_explained::ch25_process_pool::Builder;
use concurrent_explained::{Error, Future, Overrun, ProcessPool, Tasks, worker_mark};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};
use support::{process_until as until, process_watchdog as watchdog};

// ---- the workers --------------------------------------------------------------------------------

fn square(n: u64) -> u64 {
    n * n
}

fn who(_: ()) -> u32 {
    process::id()
}

fn commit(deed: String) {
    rogue::deed_of(&deed).into_iter().for_each(rogue::commit);
}

/// Leaves a line in the file; number 37 kills its process.
fn log_or_die((file, n): (String, u64)) -> u64 {
    plays::log(&file, n);
    if n == 37 {
        rogue::commit(Deed::Sigkill);
    }
    n
}

/// A task with a pool of its own.
fn square_elsewhere(n: u64) -> u64 {
    pool(1).build().submit(square, n).result().unwrap()
}

fn print(text: String) {
    print!("{text}");
}

fn murmur(text: String) {
    eprint!("{text}");
}

fn not_a_task(n: u64) -> u64 {
    n
}

fn tasks() -> Tasks {
    let tasks = Tasks::new().with("square", square).with("who", who).with("commit", commit);
    let tasks = tasks.with("print", print).with("murmur", murmur).with("length", plays::length);
    let tasks = tasks.with("risky", ch25_process_pool::tries::risky);
    let tasks = tasks
        .with("scribble", ch25_process_pool::writers::scribble)
        .with("log_or_die", log_or_die)
        .with("square_elsewhere", square_elsewhere)
        .with("at_gate", at_gate);
    plays::tasks_of_the_plays(rogue::tasks_of_the_matrix(tasks))
}

#[test]
fn worker_entry() {
    tasks().serve_if_worker();
}

#[test]
fn failing_entry() {
    tasks().initializer(|| Err("no license for today".to_owned())).serve_if_worker();
}

#[test]
fn panicking_entry() {
    tasks().initializer(|| panic!("no luck today")).serve_if_worker();
}

/// A program that does something else for a long time.
#[test]
fn sleepy_entry() {
    if env::args().nth(1).is_some_and(|word| word.starts_with(&worker_mark(None))) {
        thread::park_timeout(Duration::from_secs(1000));
    }
}

/// A program that forgets to serve.
#[test]
fn forgetful_entry() {
    if env::args().nth(1) == Some(worker_mark(None)) {
        drop(pool_of("forgetful_entry", 1).build());
    }
}

#[test]
fn rogue_entry() {
    rogue::serve_by_hand();
}

#[test]
fn play_entry() {
    plays::play(pool);
}

/// Workers that are this very program.
fn pool(workers: usize) -> Builder {
    pool_of("worker_entry", workers)
}

fn pool_of(entry: &str, workers: usize) -> Builder {
    ProcessPool::builder(tasks()).workers(workers).arg(entry).arg("--exact").arg("--nocapture")
}

/// Workers that are something else.
fn foreign(script: &'static str) -> Builder {
    let command = move || {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    ProcessPool::builder(tasks()).workers(1).command(command)
}

fn deed(deed: Deed) -> String {
    format!("{deed:?}")
}

fn results<T>(futures: Vec<Future<'static, T>>) -> Vec<Result<T, Error>> {
    futures.into_iter().map(Future::result).collect()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
