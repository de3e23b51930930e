//! Chapter 27: the program as its user meets it, from outside: each line and status, the terminal,
//! the reader that goes away, Ctrl-C; the sum itself on both pools; the answers to `Try`.

#[path = "support/alone.rs"]
mod alone;
mod support;

use std::cell::Cell;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use alone::{Ended, alone, children_of, finish, heedful, is_gone, peak_memory, say, signal};
use concurrent_explained::ch26_executor::{Outcomes, Task, Value};
use concurrent_explained::ch27_square_sum::{LARGEST, run, square, square_sum, tasks};
use concurrent_explained::{
    Error, Executor, Future, ProcessPool, Tasks, ThreadPool, as_completed, promise,
};
use support::{process_until as until, process_watchdog as watchdog};

/// The file of the example. `cargo test --test ch27_square_sum` does not build it, so this does.
fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        // This program is target/debug/deps/ch27…, the example is in target/debug/examples.
        let this = env::current_exe().unwrap();
        let build = this.ancestors().nth(2).unwrap();
        let profile = build.file_name().filter(|name| *name != "debug").unwrap_or("dev".as_ref());
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["build", "--quiet", "--offline", "--example", "ch27_square_sum", "--profile"])
            .arg(profile);
        cargo
            .arg("--target-dir")
            .arg(build.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().unwrap().success(), "cargo does not build the example");
        build.join("examples").join(format!("ch27_square_sum{}", env::consts::EXE_SUFFIX))
    })
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(file());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(arguments: &[&str]) -> Ended {
    finish(&format!("the program with {arguments:?}"), program(arguments).spawn().unwrap())
}

/// The program with these arguments says this one line, nothing else anywhere, and exits with this
/// status.
#[track_caller]
fn says(arguments: &[&str], line: &str, status: i32) {
    let ended = ended(arguments);
    assert_eq!(ended.stdout(), format!("{line}\n"), "{arguments:?}"); // I1
    assert_eq!(
        (ended.status.code(), ended.stderr()),
        (Some(status), String::new()),
        "{arguments:?}"
    );
}

#[test]
fn each_n_has_its_sum_on_both_pools() {
    for (n, sum) in [
        (0, 0),
        (1, 1),
        (1000, 333_833_500),
        (20_000, 2_666_866_670_000),
        (200_000, 2_666_686_666_700_000_u64),
    ] {
        let line = format!("The sum of squares from 1 to {n} is {sum}");
        let n = n.to_string();
        says(&[&n], &line, 0);
        says(&[&n, "--threads"], &line, 0);
    }
    says(&["--threads", "3"], "The sum of squares from 1 to 3 is 14", 0);
}

#[test]
fn no_number_or_too_many_show_the_usage() {
    let usage = "Usage: ch27_square_sum N [--threads]";
    for arguments in [
        &[] as &[&str],
        &["--threads"],
        &["1", "2"],
        &["1", "2", "3"],
        &["1", "--threads", "--threads"],
    ] {
        says(arguments, usage, 1);
    }
}

#[test]
fn who_asks_for_help_sees_the_usage() {
    let usage = "Usage: ch27_square_sum N [--threads]";
    for arguments in [&["--help"] as &[&str], &["-h"], &["1000", "--help"], &["--threads", "-h"]] {
        says(arguments, usage, 0);
    }
}

#[test]
fn what_is_no_integer_is_said_to_be_none() {
    for n in [
        "ten",
        "",
        "1.5",
        "1e3",
        "0x10",
        " 1",
        "1 ",
        "-1",
        "-99999999999999999999",
        "9".repeat(99).replace('9', "x").as_str(),
    ] {
        says(&[n], "N must be an integer.", 1);
        says(&["--threads", n], "N must be an integer.", 1);
    }
    let mut command = program(&[]);
    command.arg(OsString::from_vec(vec![0xff, 0xfe]));
    let ended = finish("the program with an argument that is no text", command.spawn().unwrap());
    assert_eq!((ended.stdout(), ended.status.code()), ("N must be an integer.\n".into(), Some(1)));
}

#[test]
fn a_number_out_of_range_is_told_the_range() {
    let line = format!("N must be at most {LARGEST}.");
    for n in ["6000000000001", "18446744073709551615", "18446744073709551616", &"9".repeat(99)] {
        says(&[n], &line, 1);
        says(&[n, "--threads"], &line, 1);
    }
}

#[test]
fn i2_the_largest_sum_fits_and_the_first_that_does_not_is_an_error() {
    // I2
    let sum_up_to = |n: u128| n * (n + 1) / 2 * (2 * n + 1) / 3;
    assert!(square(u64::MAX) == u128::from(u64::MAX).pow(2));
    assert!(sum_up_to(u128::from(LARGEST)) < u128::from(LARGEST).pow(3));
    assert!(u128::from(LARGEST).checked_pow(3).is_some());
    // Where 64 bits end, as the header says.
    let fits = |n: u128| sum_up_to(n) <= u128::from(u64::MAX);
    assert!(fits(3_810_777) && !fits(3_810_778));
    let huge = Answers(|_| Ok(u128::MAX / 2));
    assert_eq!(square_sum(&huge, 2, |_| ()), Ok(u128::MAX - 1));
    assert!(matches!(square_sum(&huge, 3, |_| ()), Err(Error::Refused { .. })));
}

/// An executor that has its answers ready.
struct Answers(fn(u64) -> Result<u128, Error>);

impl Executor for Answers {
    fn submit<F: Task<A, R>, A: Value, R: Value>(&self, _: F, argument: A) -> Future<'static, R> {
        let over_the_wire =
            |line: String| concurrent_explained::ch19_wire::from_line(&line).unwrap();
        let n = concurrent_explained::ch19_wire::to_line(&argument).parse().unwrap();
        let outcome = self.0(n).map(|answer| over_the_wire(answer.to_string()));
        let (promise, future) = promise();
        promise.complete(outcome).unwrap_or_else(|_| unreachable!("nobody can cancel it yet"));
        future
    }

    fn submit_chunk<F: Task<A, R>, A: Value, R: Value>(&self, _: F, _: Vec<A>) -> Outcomes<R> {
        unreachable!("the sum takes one task for each number")
    }

    fn shutdown(&self) {}
}

#[test]
fn progress_counts_each_number_once_and_the_first_failure_ends_it() {
    let pool = ThreadPool::new(2);
    let mut told = Vec::new();
    assert_eq!(square_sum(&pool, 100, |count| told.push(count)), Ok(338_350));
    assert!(told.into_iter().eq(1..=100));
    let fails = Answers(|n| if n == 3 { Err(Error::Abandoned) } else { Ok(1) });
    assert_eq!(square_sum(&fails, 10, |_| ()), Err(Error::Abandoned));
}

thread_local! {
    /// How many numbers this thread has submitted to [`Answers`].
    static SUBMITTED: Cell<u64> = const { Cell::new(0) };
}

fn counted(n: u64) -> Result<u128, Error> {
    SUBMITTED.set(SUBMITTED.get() + 1);
    if n == 30_000 { Err(Error::Abandoned) } else { Ok(square(n)) }
}

/// How many numbers are under way after each that was added up.
fn ahead() -> Vec<u64> {
    let mut ahead = Vec::new();
    let note = |count| ahead.push(SUBMITTED.get() - count);
    assert_eq!(square_sum(&Answers(counted), 20_000, note), Ok(2_666_866_670_000));
    ahead
}

#[test]
fn i3_a_block_is_ahead_of_the_one_that_is_added_up() {
    let ahead = ahead();
    assert_eq!((ahead[0], ahead.iter().max()), (8191, Some(&8191)));
}

/// One line, "could not be computed", with the message of the panic, and the status 1. Behind the
/// block of the failure there is one more that is submitted, and nothing after it.
#[test]
fn try_1_a_failure_ends_the_sum_within_two_blocks() {
    assert_eq!(square_sum(&Answers(counted), LARGEST, |_| ()), Err(Error::Abandoned));
    let block_of_the_failure = 30_000_u64.div_ceil(4096);
    assert_eq!(SUBMITTED.get(), (block_of_the_failure + 1) * 4096);
}

// At how much is under way: 4 095 after the first number, and none after the last of a block. Red
// are this one and `i3_a_block_is_ahead_of_the_one_that_is_added_up`.
#[test]
fn try_2_after_the_last_number_of_a_block_the_next_one_is_under_way() {
    assert_eq!(ahead()[4095], 4096);
}

#[test]
fn i3_memory_does_not_grow_with_the_number() {
    // I3: the program's memory at N = 400 000 is that at N = 100 000, give or take a fifth.
    let peak = |n: &str| {
        let mut child = program(&[n, "--threads"]).spawn().unwrap();
        let (mut peak, pid) = (0, child.id());
        until("the program ends", || {
            peak = peak.max(peak_memory(pid));
            child.try_wait().unwrap().is_some()
        });
        peak
    };
    let (short, long) = (peak("100000"), peak("400000"));
    assert!(
        long < short + short / 5 + 4096,
        "{long} KiB for four times the numbers of {short} KiB"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    for option in [&["1000"] as &[&str], &["1000", "--threads"], &["ten"], &[]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader); // before the program can have written anything
        let ended =
            finish("the program without a reader", program(option).stdout(writer).spawn().unwrap());
        assert_eq!((ended.status.code(), ended.stderr()), (Some(1), String::new()), "{option:?}");
    }
}

/// The program, started by `command`, at work on more than it can ever do; and its workers.
fn at_work(mut command: Command) -> (Child, Vec<u32>) {
    command.arg(LARGEST.to_string()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let mut workers = Vec::new();
    until("the program has a worker", || {
        workers = children_of(child.id());
        !workers.is_empty()
    });
    (child, workers)
}

#[test]
fn i4_killed_it_leaves_no_worker() {
    // I4
    watchdog("the workers of a program that was killed", || {
        let (mut child, workers) = at_work(Command::new(file()));
        child.kill().unwrap();
        let ended = finish("the killed program", child);
        assert_eq!((ended.status.signal(), ended.stdout()), (Some(9), String::new()));
        until("its workers are gone", || workers.iter().all(is_gone));
    });
}

#[test]
fn i4_interrupted_it_leaves_no_worker() {
    // I4
    let Some(command) = heedful(file()) else { return };
    watchdog("the workers of a program that was interrupted", move || {
        let (child, workers) = at_work(command);
        signal("INT", &format!("-{}", child.id())); // to the group, as a terminal does
        let ended = finish("the interrupted program", child);
        assert_eq!((ended.status.signal(), ended.stdout()), (Some(2), String::new()));
        until("its workers are gone", || workers.iter().all(is_gone));
    });
}

#[test]
fn i4_in_peace_it_leaves_no_worker() {
    // I4
    for arguments in [&["0"] as &[&str], &["1000"], &["ten"], &[], &["1000", "--threads"]] {
        let mut child = program(arguments).spawn().unwrap();
        let mut workers = Vec::new();
        until("the program ends", || {
            workers.extend(children_of(child.id()));
            child.try_wait().unwrap().is_some()
        });
        assert!(workers.iter().all(is_gone), "{arguments:?}");
    }
}

/// A terminal for the program: `script` or Python, whichever is here.
fn on_a_terminal(arguments: &str) -> Option<Ended> {
    let program = file().to_str().unwrap();
    let python =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut terminals = [Command::new("script"), Command::new("python3")];
    terminals[0].args(["-qec", &format!("'{program}' {arguments}"), "/dev/null"]);
    terminals[1].args(["-c", python, program]).args(arguments.split(' '));
    terminals.into_iter().find_map(|mut terminal| {
        terminal.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish("the program on a terminal", terminal.spawn().ok()?);
        ended.stdout().contains("The sum").then_some(ended)
    })
}

#[test]
fn i1_on_a_terminal_a_long_run_shows_its_progress() {
    // I1. Both standard output and standard error are the terminal here.
    let Some(short) = on_a_terminal("10 --threads") else {
        return say("SKIPPED: neither `script` nor `python3` has a terminal here");
    };
    assert_eq!(
        short.stdout(),
        "The sum of squares from 1 to 10 is 385\r\n",
        "a short run has nothing to show"
    );
    let mut n = 100_000;
    let long = loop {
        let ended = on_a_terminal(&n.to_string()).unwrap();
        match ended.stdout().contains(" of ") {
            true => break ended.stdout(),
            false => n *= 4, // a fast machine: it was over before anybody could ask
        }
    };
    let (progress, answer) = long.rsplit_once("\r\u{1b}[K").unwrap();
    assert!(
        answer.starts_with(&format!("The sum of squares from 1 to {n} is "))
            && answer.ends_with("\r\n")
    );
    let counts: Vec<u64> = progress
        .split("\r\u{1b}[K")
        .skip(1)
        .map(|line| {
            let (count, total) = line.split_once(" of ").unwrap();
            assert_eq!(total, n.to_string());
            count.parse().unwrap()
        })
        .collect();
    assert!(
        !counts.is_empty()
            && counts.is_sorted()
            && counts.iter().all(|count| (1..=n).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn inside_another_program_it_prints_and_returns_its_status() {
    alone("inside_another_program_it_prints_and_returns_its_status", || {
        assert_eq!(run(["3".into(), "--threads".into()]), 0);
        assert_eq!(run([]), 1);
        assert_eq!(format!("{:?}", tasks()), "{\"square\"}");
    });
}

// A range for a task. One task costs about a microsecond, one square a nanosecond: from a few
// thousand numbers a task on, the pool costs nothing, and two processes take half the time of one
// loop.
fn squares_between((first, last): (u64, u64)) -> u128 {
    (first..=last).map(square).sum()
}

fn sum_of_ranges(executor: &impl Executor, n: u64, length: u64) -> Result<u128, Error> {
    let ranges = (1..=n).step_by(length as usize).map(|first| (first, n.min(first + length - 1)));
    as_completed(executor.submit_all(squares_between, ranges)).map(|future| future.result()).sum()
}

#[test]
fn try_3_ranges_add_up_to_the_same_sum() {
    alone("try_3_ranges_add_up_to_the_same_sum", || {
        let threads = ThreadPool::new(2);
        let builder = ProcessPool::builder(ranges()).workers(2);
        let builder = alone::arguments("worker")
            .into_iter()
            .fold(builder, |builder, argument| builder.arg(argument));
        let processes = builder.build();
        for length in [1, 7, 1000, 5000] {
            assert_eq!(sum_of_ranges(&threads, 1000, length), Ok(333_833_500));
            assert_eq!(sum_of_ranges(&processes, 1000, length), Ok(333_833_500));
        }
    });
}

fn ranges() -> Tasks {
    Tasks::new().with("squares_between", squares_between)
}

#[test]
fn worker() {
    ranges().serve_if_worker();
}
