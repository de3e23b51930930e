//! # 27 · Square sum — the exam
//!
//! Needs: ch10, ch11, ch15, ch22, ch25, ch26.   Reading time: 8 min.
//! Run it: cargo run --example ch27_square_sum
//!
//! ## Why
//!
//! Every chapter so far has shown one thing and nothing else. A program that somebody uses needs all
//! of them at once, and a few lines more: arguments that are wrong, a reader that goes away, a user
//! who presses Ctrl-C, a number too large for its type.
//!
//! ## Picture
//!
//! ```text
//!   arguments ──► N ──► a pool of processes, or of threads     `run`
//!                                    │
//!   `square_sum`: the same for both  │
//!                                    ▼
//!      1 .. 4096 ── submit_all ──► Future Future Future ..   one for each number
//!                                    │
//!            sum ◄── + ── result ── as_completed             in any order
//!             │
//!             └── the next 4096 are under way already, until N
//!
//!   arguments                        line on standard output            status
//!   ──────────────────────────────────────────────────────────────────────────
//!   1000                             The sum of squares from 1 to       0
//!                                    1000 is 333833500
//!   none, or too many                Usage: ch27_square_sum N           1
//!                                    [--threads]
//!   ten, 1.5, -1                     N must be an integer.              1
//!   6000000000001                    N must be at most 6000000000000.   1
//! ```
//!
//! ## Promises
//!
//! - I1: one line on standard output, and nothing else. Progress goes to standard error, and only
//!   if that is a terminal and the run is long enough for anybody to ask.
//! - I2: the sum is exact or there is none: no sum wraps around.
//! - I3: at most 8 192 numbers are under way, so memory stays flat however large N is.
//! - I4: no worker stays behind, whichever way the program ends.
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
//! - Python: `sum(f.result() for f in as_completed(pool.submit(square, i) for i in range(1, n + 1)))`.
//! - rayon: `(1..=n).into_par_iter().map(square).sum()`, which splits the range instead of queueing
//!   each number.
//! - On paper: n (n + 1) (2n + 1) / 6. A test wants to know the answer beforehand.
//!
//! ## Try
//!
//! 1. Predict: without blocks, how much memory does N = 10 000 000 take? Look at what a future needs.
//! 2. Extend: let a task add up a whole range, `(first, last)`. From which length on is the program
//!    no faster on two processes than in a plain loop on one?
//! 3. Break: let `square` panic for one number. What does the program print, with which status, and
//!    how many squares are computed after it?

use super::ch09_outcome::Error;
use super::ch11_wait::as_completed;
use super::ch15_thread_pool::ThreadPool;
use super::ch22_worker::Tasks;
use super::ch25_process_pool::ProcessPool;
use super::ch26_executor::Executor;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::num::IntErrorKind;
use std::time::{Duration, Instant};

/// The largest N that the program takes: N³ fits in 128 bits, and so does the sum.
pub const LARGEST: u64 = 6_000_000_000_000;

/// Of two blocks of numbers, one is being added up while the other is being computed (I3).
const BLOCK: u64 = 4096;

/// The square of `n`, in a type that holds it for every `n`.
pub fn square(n: u64) -> u128 {
    u128::from(n) * u128::from(n)
}

/// What a worker of this program can do.
pub fn tasks() -> Tasks {
    Tasks::new().with("square", square)
}

/// The sum of the squares from 1 to `n`, each computed by `executor`, added up as they come.
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
    executor: &E,
    n: u64,
    mut progress: impl FnMut(u64),
) -> Result<u128, Error> {
    let mut blocks = (0..n.div_ceil(BLOCK)).map(|block| {
        let first = block * BLOCK + 1;
        executor.submit_all(square, first..=n.min(first.saturating_add(BLOCK - 1)))
    });
    let (mut sum, mut count) = (0_u128, 0);
    // The workers have the next block before this one is added up. (I3)
    let mut next = blocks.next();
    while let Some(block) = mem::replace(&mut next, blocks.next()) {
        for future in as_completed(block) {
            let too_large = || Error::Refused { reason: "the sum is over 128 bits".into() };
            sum = sum.checked_add(future.result()?).ok_or_else(too_large)?;
            count += 1;
            progress(count);
        }
    }
    Ok(sum)
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
    let (options, numbers): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|argument| argument == "--threads");
    let ([] | [_], [n]) = (&options[..], &numbers[..]) else {
        return Err("Usage: ch27_square_sum N [--threads]".into());
    };
    let n = match n.parse::<u64>() {
        Ok(n) if n <= LARGEST => n,
        Err(error) if *error.kind() != IntErrorKind::PosOverflow => {
            return Err("N must be an integer.".into());
        }
        _ => return Err(format!("N must be at most {LARGEST}.")),
    };
    let mut meter = Meter::new(n);
    let progress = |count| meter.show(count);
    // The arms end by dropping their pool: when the line is printed, no worker is left. (I4)
    let sum = if options.is_empty() {
        ProcessPool::new(tasks()).and_then(|pool| square_sum(&pool, n, progress))
    } else {
        square_sum(&ThreadPool::builder().build(), n, progress)
    };
    drop(meter);
    match sum {
        Ok(sum) => Ok(format!("The sum of squares from 1 to {n} is {sum}")),
        Err(error) => {
            Err(format!("The sum of squares from 1 to {n} could not be computed: {error}"))
        }
    }
}

/// One line on a terminal, ten times a second, gone when it is dropped; nothing into a pipe or a file. (I1)
struct Meter {
    total: u64,
    /// When the line is to be written next; `None` if standard error is no terminal.
    due: Option<Instant>,
    written: bool,
}

impl Meter {
    fn new(total: u64) -> Self {
        let due = io::stderr().is_terminal().then(|| Instant::now() + Duration::from_millis(500));
        Meter { total, due, written: false }
    }

    fn show(&mut self, count: u64) {
        if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = Some(Instant::now() + Duration::from_millis(100));
            self.written = write!(io::stderr(), "\r\x1b[K{count} of {}", self.total).is_ok();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.written {
            let _ = write!(io::stderr(), "\r\x1b[K"); // the answer begins at the left edge
        }
    }
}
