//! Chapter 25 once more: nobody is left behind, nobody is stuck at a pipe, whoever dies and
//! whenever. What is left is counted by the operating system: `/proc`.
//!
//! Each test runs in a process of its own, so that what it counts is its own. Some of those are
//! killed on the way.

#[path = "support/alone.rs"]
mod alone;
#[path = "support/door.rs"]
mod door;
#[path = "survival/leaks.rs"]
mod leaks;
#[path = "survival/parents.rs"]
mod parents;
#[path = "survival/pipes.rs"]
mod pipes;
#[path = "survival/soak.rs"]
mod soak;
mod support;

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, thread};

use alone::{
    Ended, alone, children, children_of, count, finish, heedful, is_alone, is_gone, memory_now,
    peak_memory, program,
};
use alone::{say, signal, state};
use concurrent_explained::ch19_wire::{Decoded, Reader, to_line};
use concurrent_explained::ch25_process_pool::Builder;
use concurrent_explained::{Error, Future, Overrun, ProcessPool, Tasks, Wire, as_completed};
use door::{Door, Guest, stand_at};
use leaks::leave;
use pipes::{flood, noise};
use soak::work;
use support::{process_until as until, process_watchdog as watchdog};

/// How soon a worker is gone after its parent: a second is promised, and a machine that does other
/// things gets five.
const SOON: Duration = Duration::from_secs(5);
const MIB: usize = 1 << 20;

fn tasks() -> Tasks {
    let tasks = Tasks::new().with("square", square).with("echo", echo).with("stand_at", stand_at);
    let tasks = tasks
        .with("spin_at", spin_at)
        .with("shout", shout)
        .with("leave", leave)
        .with("risky", risky);
    let tasks = tasks.with("noise", noise).with("flood", flood).with("work", work);
    match env::var(SLOW_START) {
        Ok(door) => tasks.initializer(move || {
            stand_at(door.parse().unwrap());
            Ok(())
        }),
        Err(_) => tasks,
    }
}

/// The door at which a worker stands before it is ready, if there is one.
const SLOW_START: &str = "SURVIVAL_SLOW_START";

#[test]
fn worker() {
    tasks().serve_if_worker();
}

/// A pool whose workers run this program, told to run the test called `worker`.
fn builder(workers: usize) -> Builder {
    let builder = ProcessPool::builder(tasks()).workers(workers);
    alone::arguments("worker").into_iter().fold(builder, |builder, argument| builder.arg(argument))
}

fn pool(workers: usize) -> ProcessPool {
    builder(workers).build()
}

/// A pool whose workers are this shell script, which starts in a millisecond.
fn shell(workers: usize, script: &'static str) -> Builder {
    ProcessPool::builder(Tasks::new()).workers(workers).command(move || {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    })
}

/// Answers with the argument.
const ECHO: &str = "printf '\\036ready 1\\n'
    while read -r id task argument; do
        case $id in recall) ;; *) printf '\\036%s ok %s\\n' \"$id\" \"$argument\" ;; esac
    done";

fn square(n: u64) -> u64 {
    n * n
}

fn echo(text: String) -> String {
    text
}

/// Stands at a door and never rests there.
fn spin_at(door: u16) -> u32 {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", door)).unwrap();
    writeln!(stream, "{}", process::id()).unwrap();
    stream.set_nonblocking(true).unwrap();
    while stream.read(&mut [0]).is_err() {
        thread::yield_now();
    }
    process::id()
}

fn shout(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Ends its process for every number that ends in 9.
fn risky(n: u64) -> u32 {
    if n % 10 == 9 {
        process::exit(9);
    }
    process::id()
}

/// Nothing may be left when the body is over: no child, no thread, no descriptor.
fn leaves_nothing(body: impl FnOnce()) {
    let before = (count("task"), count("fd"));
    body();
    assert_eq!(children(), [], "children are left, dead or alive");
    until("the threads are gone from the list of the system", || count("task") == before.0);
    assert_eq!(count("fd"), before.1, "descriptors are left");
}
// ---- Workers in other languages ----

fn foreign(interpreter: &'static str, file: &'static str) {
    if Command::new(interpreter).arg("-c").arg("").stdin(Stdio::null()).output().is_err() {
        return say(&format!("SKIPPED: there is no `{interpreter}` here to run {file}"));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workers").join(file);
    leaves_nothing(|| {
        let make = move || {
            let mut command = Command::new(interpreter);
            command.arg(&file);
            command
        };
        let pool = ProcessPool::builder(Tasks::new().with("square", square))
            .workers(2)
            .command(make)
            .build();
        let futures: Vec<_> = (0..300).map(|n| pool.submit(square, n)).collect();
        for (n, future) in (0..).zip(futures) {
            assert_eq!(future.result(), Ok(n * n), "{interpreter}");
        }
        let strange = pool.call::<_, u64>("square", "twelve".to_string()).result();
        assert!(
            matches!(strange, Err(Error::Refused { .. } | Error::Panicked { .. })),
            "{interpreter}: {strange:?}"
        );
        let unknown = pool.call::<u64, u64>("cube", 3).result();
        assert!(matches!(unknown, Err(Error::Refused { .. })), "{interpreter}: {unknown:?}");
        assert_eq!(pool.submit(square, 20).result(), Ok(400), "{interpreter} lives on");
        for pid in pool.pids() {
            signal("KILL", &pid.to_string());
        }
        // Each of the two may have been killed with a call in its hands.
        let mut outcomes = (0..3).map(|_| pool.submit(square, 21).result());
        assert!(outcomes.any(|outcome| outcome == Ok(441)), "{interpreter}: others follow");
    });
}

#[test]
fn a_worker_in_shell() {
    alone("a_worker_in_shell", || foreign("sh", "square.sh"));
}

#[test]
fn a_worker_in_python() {
    alone("a_worker_in_python", || foreign("python3", "square.py"));
}

#[test]
fn a_worker_in_node() {
    alone("a_worker_in_node", || foreign("node", "square.mjs"));
}
