//! # 27 · Square sum — a program is its edges
//!
//! | needs | [09](super::ch09_outcome), [11](super::ch11_wait), [15](super::ch15_thread_pool), [22](super::ch22_worker), [25](super::ch25_process_pool), [26](super::ch26_executor) |
//! | --- | --- |
//! | reading time | 10 min, exercises not counted |
//! | run it | `cargo run --example ch27_square_sum -- 1000` |
//! | files | [example](../../../../examples/ch27_square_sum.rs), [test](../../../../tests/ch27_square_sum.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [26](../ch26_executor/index.html), [28](../ch28_await/index.html) |
//!
//! ## Why
//!
//! Every chapter so far has shown one thing and nothing else. A program that somebody uses needs
//! all of them at once, and a few lines more: arguments that are wrong, a reader that goes away, a
//! user who presses Ctrl-C, a number too large for its type.
//!
//! ## Steps
//!
//! 1. `submit_all` for every number, then add up what `as_completed` yields. Right, and N =
//!    10 000 000 takes gigabytes, because each call under way has a future.
//! 2. So submit a block at a time. Right, and the workers have nothing to do while the last few
//!    results of a block are read.
//! 3. So submit the next block before this one is added up. That is [`square_sum`].
//!
//! ## Picture
//!
//! ```text
//!   arguments ──► N ──► a pool of processes, or of threads     `run`
//!                                    │
//!   `square_sum`: the same for both  │
//!                                    ▼
//!  (1) 1 .. 4096 ── submit_all ──► Future Future Future ..   one for each number
//!                                    │
//!            sum ◄── + ── result ── as_completed  (2)        in any order
//!             │
//!             └── (3) the next 4096 are under way already, until N
//!
//!   arguments                        line on standard output            status
//!   ──────────────────────────────────────────────────────────────────────────
//!   1000                             The sum of squares from 1 to       0
//!                                    1000 is 333833500
//!   --help, -h                       Usage: ch27_square_sum N           0
//!                                    [--threads]
//!   none, or too many                the same                           1
//!   ten, 1.5, -1                     N must be an integer.              1
//!   6000000000001                    N must be at most 6000000000000.   1
//! ```
//!
//! ## Promises
//!
//! - I1. One line on standard output, and nothing else. Progress goes to standard error, and only
//!   if that is a terminal and the run is long enough for anybody to ask.
//! - I2. The sum is exact or there is none: no sum wraps around.
//! - I3. At most 8 192 numbers are under way, so memory stays flat however large N is.
//! - I4. No worker stays behind, whichever way the program ends.
//! - Not promised: speed. A task for each number costs more than the number (Try 2).
//!
//! ## The trap
//!
//! `sum += n * n` with 64 bits is right up to N = 3 810 777 and wrong from there on, without a word
//! in a release build. A wider type moves the limit out of sight, and only `checked_add` makes it
//! an error. The test finds the first wrong N.
//!
//! The other trap is the `main` of a program that is its own worker. Whatever it does before
//! `serve_if_worker` is done in each worker again: one that reads its arguments first would print
//! its usage into the pipe.
//!
//! ## Elsewhere
//!
//! - Python: `sum(f.result() for f in as_completed([pool.submit(square, i) for i in numbers]))`.
//! - rayon: `(1..=n).into_par_iter().map(square).sum()`, which splits the range instead of queueing
//!   each number.
//! - On paper: n (n + 1) (2n + 1) / 6. A test wants to know the answer beforehand.
//!
//! ## Try
//!
//! 1. Predict: `square` panics for one number. What does the program print, with which status, and
//!    how many numbers are submitted after it?
//! 2. Break: leave out `blocks.peek()`. The sum stays right: what does a test have to look at?
//! 3. Extend: let a task add up a whole range, `(first, last)`. From which length on is the program
//!    no faster on two processes than in a plain loop on one?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::Error;
use super::ch11_wait::as_completed;
use super::ch15_thread_pool::ThreadPool;
use super::ch22_worker::Tasks;
use super::ch25_process_pool::ProcessPool;
use super::ch26_executor::Executor;
use std::io::{self, IsTerminal, Write};
use std::num::IntErrorKind::PosOverflow;
use std::time::{Duration, Instant};

/// The largest N that the program takes: N³ fits in 128 bits, and so does the sum.
pub const LARGEST: u64 = 6_000_000_000_000;

/// Of two blocks of numbers, one is being added up while the other is being computed (I3).
const BLOCK: usize = 4096;

/// The square of `n`, in a type that holds it for every `n`.
pub fn square(n: u64) -> u128 {
    u128::from(n) * u128::from(n)
}

/// What a worker of this program can do.
pub fn tasks() -> Tasks {
    Tasks::new().with("square", square)
}

/// The sum of the squares from 1 to `n`, each computed by `pool`, added up as they come.
/// `progress` is told after each one how many there are.
///
/// # Blocks
/// Until the sum is there, or a task has failed.
///
/// # Errors
/// The first failure of a task; [`Error::Refused`] if the sum is over 128 bits. (I2)
///
/// # Examples
/// ```
/// use concurrent_explained::ThreadPool;
/// use concurrent_explained::ch27_square_sum::square_sum;
///
/// let pool = ThreadPool::new(2);
/// assert_eq!(square_sum(&pool, 1000, |_| ())?, 333_833_500);
/// # Ok::<(), concurrent_explained::Error>(())
/// ```
pub fn square_sum<E: Executor>(
    pool: &E,
    n: u64,
    mut progress: impl FnMut(u64),
) -> Result<u128, Error> {
    // (1) A future for each number, a block at a time.
    let last = |first: u64| n.min(first.saturating_add(BLOCK as u64 - 1));
    let blocks = (1..=n).step_by(BLOCK).map(|first| pool.submit_all(square, first..=last(first)));
    let (mut sum, mut count, mut blocks) = (0_u128, 0, blocks.peekable());
    loop {
        let next = blocks.next();
        let Some(block) = next else { return Ok(sum) };
        blocks.peek(); // (3) submits the next one: the workers have it before this one is done (I3)
        let done = as_completed(block);
        for future in done {
            let too_large = || Error::Refused { reason: "the sum is over 128 bits".into() };
            sum = sum.checked_add(future.result()?).ok_or_else(too_large)?; // (2)
            count += 1;
            progress(count);
        }
    }
}

/// The program: says the sum, or what is wrong, in one line on standard output, and returns the
/// exit status.
///
/// `arguments` come without the program's name: `N`, and `--threads` for threads instead of
/// processes. The `main` around it first calls [`Tasks::serve_if_worker`] on [`tasks`].
pub fn run(arguments: impl IntoIterator<Item = String>) -> u8 {
    let answer = answer(arguments);
    let (Ok(line) | Err(line)) = &answer;
    // `println!` would panic here if the reader has gone. An answer that nobody got is no success.
    let written = writeln!(io::stdout(), "{line}");
    u8::from(answer.is_err() || written.is_err())
}

fn answer(arguments: impl IntoIterator<Item = String>) -> Result<String, String> {
    let usage = "Usage: ch27_square_sum N [--threads]".to_string();
    let (options, numbers): (Vec<_>, Vec<_>) = arguments
        .into_iter()
        .partition(|argument| ["--threads", "--help", "-h"].contains(&argument.as_str()));
    if options.iter().any(|option| option != "--threads") {
        return Ok(usage);
    }
    let ([] | [_], [n]) = (&options[..], &numbers[..]) else { return Err(usage) };
    let n = match n.parse::<u64>() {
        Ok(n) if n <= LARGEST => n,
        Err(error) if *error.kind() != PosOverflow => return Err("N must be an integer.".into()),
        _ => return Err(format!("N must be at most {LARGEST}.")),
    };
    // A short run has nothing to show, and nobody reads it in a pipe or a file. (I1)
    let due = io::stderr().is_terminal().then(|| Instant::now() + Duration::from_millis(500));
    let mut meter = Meter { total: n, due, is_written: false };
    let progress = |count| meter.show(count);
    // The arms end by dropping their pool: when the line is printed, no worker is left. (I4)
    let sum = if options.is_empty() {
        square_sum(&ProcessPool::new(tasks()), n, progress)
    } else {
        square_sum(&ThreadPool::builder().build(), n, progress)
    };
    meter.clear();
    let what = format!("The sum of squares from 1 to {n}");
    match sum {
        Ok(sum) => Ok(format!("{what} is {sum}")),
        Err(error) => Err(format!("{what} could not be computed: {error}")),
    }
}

/// One line on a terminal, ten times a second.
struct Meter {
    total: u64,
    /// When the line is to be written next; `None` if standard error is no terminal.
    due: Option<Instant>,
    is_written: bool,
}

impl Meter {
    fn show(&mut self, count: u64) {
        if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = Some(Instant::now() + Duration::from_millis(100));
            self.is_written = write!(io::stderr(), "\r\x1b[K{count} of {}", self.total).is_ok();
        }
    }

    fn clear(&self) {
        if self.is_written {
            let _ = write!(io::stderr(), "\r\x1b[K"); // the answer begins at the left edge
        }
    }
}
