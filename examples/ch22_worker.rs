//! This program starts itself as a worker and talks to it. Look at request 2: the parent has set
//! its rate to 3, and the worker does not know. Then at requests 3 to 6: what fails, fails alone. ␞
//! stands for the mark, ASCII 30.
//!
//! Expected output:
//!
//! ```text
//! < ␞ready 1 {"pid":…,"tasks":["chat","rated","reciprocal","square"],"lookahead":1024}
//! > 1 square 12
//! < ␞1 ok 144
//! > 2 rated 5
//! < ␞2 ok 5
//! > 3 chat null
//! < I print what I like ␞3 ok null
//! > 4 reciprocal 0
//! < ␞4 err panicked "no reciprocal of 0"
//! > 5 square "x"
//! < ␞5 err bad_argument "column 1: expected a whole number from 0 to 18446744073709551615, found \"\\\"x\\\"\""
//! > 6 cube 2
//! < ␞6 err unknown_task "no task \"cube\", only chat, rated, reciprocal, square"
//! > 7 square 13
//! < ␞7 ok 169
//! the pipe is closed: the worker leaves with exit code 0
//! ```

use std::env::current_exe;
use std::io::{BufReader, Write};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use concurrent_explained::{Incoming, Lines, Tasks, worker_mark};

static RATE: AtomicU64 = AtomicU64::new(1);

fn square(n: u64) -> u64 {
    n * n
}

fn rated(n: u64) -> u64 {
    n * RATE.load(Ordering::Relaxed)
}

fn chat((): ()) {
    print!("I print what I like ");
}

fn reciprocal(x: f64) -> f64 {
    if x == 0.0 { panic!("no reciprocal of {x}") } else { 1.0 / x }
}

fn main() -> std::io::Result<()> {
    let tasks = Tasks::new().with("square", square).with("rated", rated);
    let tasks = tasks.with("chat", chat).with("reciprocal", reciprocal);
    tasks.serve_if_worker(); // the worker never gets beyond this line

    RATE.store(3, Ordering::Relaxed);
    let mut command = Command::new(current_exe()?);
    command.arg(worker_mark(None)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut worker = command.stderr(Stdio::null()).spawn()?;
    let mut requests = worker.stdin.take().expect("it is piped");
    let stdout = worker.stdout.take().expect("it is piped");
    let mut answers = Lines::from_worker(BufReader::new(stdout), None);
    let pid = format!("\"pid\":{}", worker.id());
    print_answer(&mut answers, &pid)?;
    let first = ["1 square 12", "2 rated 5", "3 chat null", "4 reciprocal 0"];
    for line in first.into_iter().chain(["5 square \"x\"", "6 cube 2", "7 square 13"]) {
        println!("> {line}");
        requests.write_all(format!("{line}\n").as_bytes())?;
        print_answer(&mut answers, &pid)?;
    }
    drop(requests);
    let code = worker.wait()?.code().unwrap_or(-1);
    println!("the pipe is closed: the worker leaves with exit code {code}");
    Ok(())
}

/// Prints all that comes down the pipe up to the next message, but for what differs from run to
/// run.
fn print_answer(answers: &mut Lines<BufReader<ChildStdout>>, pid: &str) -> std::io::Result<()> {
    let mut shown = String::new();
    while let Some(incoming) = answers.read()? {
        match incoming {
            Incoming::Output(bytes) => shown += &String::from_utf8_lossy(bytes),
            Incoming::Message(text) => {
                let place = text.find(", at examples").unwrap_or(text.len());
                let quote = if place < text.len() { "\"" } else { "" };
                let text = text[..place].replace(pid, "\"pid\":…");
                println!("< {shown}␞{text}{quote}");
                return Ok(());
            }
            other => println!("unexpected: {other:?}"),
        }
    }
    Ok(())
}
