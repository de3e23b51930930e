//! Look at `main`: a child does nothing but its first line. Then at the hundred calls of which one
//! ends its process, and at what the pool cannot do: each line names the chapter that can.
//!
//! Expected output:
//!
//! ```text
//! square 12 -> 144
//!
//! a hundred calls in two processes, and one of them ends its process:
//!   99 answers
//!   1 error: exit status: 3. Its last words: "the disk is full"
//!
//! and what this pool cannot do:
//!   a line break     the call is refused: it is not one line         (chapter 19)
//!   a stray print    count 2 -> counting, and then square 3 -> 4     (chapter 21)
//!   a panic          costs the process: exit status: 101             (chapter 22)
//!   a thousand tiny calls take more than 5 times as long
//!                    as one call of a thousand numbers: yes          (chapter 24)
//!   a task without end
//!                    no answer in 50 ms, so it is killed             (chapter 25)
//! ```

use concurrent_explained::ch18_child::{Answer, ChildPool, serve_if_child};
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};
use std::{process, thread};

/// What a child can do: the first word of the line says what, the others with what.
fn answer(line: &str) -> String {
    let (task, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let squares = arguments.split(' ').flat_map(str::parse::<u64>).map(|n| n * n);
    match task {
        "square" => squares.sum::<u64>().to_string(),
        "count" => {
            println!("counting"); // into the pipe that the answer goes through
            squares.sum::<u64>().to_string()
        }
        "exit" => {
            eprintln!("the disk is full");
            process::exit(3)
        }
        "panic" => panic!("a child has no net"),
        "loop" => loop {
            thread::park()
        },
        _ => format!("unknown task: {task}"),
    }
}

fn main() {
    serve_if_child(answer); // a child goes no further
    let _ = io::stdout().write_all(story().as_bytes()); // an error: nobody reads it
}

fn story() -> String {
    let pool = ChildPool::new(2);
    let mut story = format!("square 12 -> {}\n\n", told(pool.submit("square 12").recv().unwrap()));

    let lines = (0..100).map(|n| if n == 37 { "exit".into() } else { format!("square {n}") });
    let receivers: Vec<_> = lines.map(|line| pool.submit(line)).collect();
    let outcomes = receivers.iter().map(|receiver| receiver.recv().unwrap());
    let (answers, errors): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    story += "a hundred calls in two processes, and one of them ends its process:\n";
    story += &format!("  {} answers\n", answers.len());
    for error in errors {
        story += &format!("  1 error: {}\n", told(error));
    }

    story += "\nand what this pool cannot do:\n";
    let refused = told(pool.submit("square 1\nsquare 2").recv().unwrap());
    let line = format!("the call is refused: {refused}");
    story += &format!("  a line break     {line:<48}(chapter 19)\n");

    let one = ChildPool::new(1); // one process: the next call is the one that gets the wrong answer
    let stray = told(one.submit("count 2").recv().unwrap());
    let wrong = told(one.submit("square 3").recv().unwrap());
    let line = format!("count 2 -> {stray}, and then square 3 -> {wrong}");
    story += &format!("  a stray print    {line:<48}(chapter 21)\n");

    let panicked = told(pool.submit("panic").recv().unwrap());
    let status = panicked.split_once(". Its last words").map_or("?", |(status, _)| status);
    let line = format!("costs the process: {status}");
    story += &format!("  a panic          {line:<48}(chapter 22)\n");

    let line = if tiny_calls_are_slow(&pool) { "yes" } else { "no" };
    let line = format!("as one call of a thousand numbers: {line}");
    story += "  a thousand tiny calls take more than 5 times as long\n";
    story += &format!("                   {line:<48}(chapter 24)\n");

    let endless = pool.submit("loop");
    let patience = Duration::from_millis(50);
    let line = match endless.recv_timeout(patience) {
        Ok(_) => "an answer",
        Err(_) => "no answer in 50 ms, so it is killed",
    };
    // Again, until it is dead: a kill does not hit a process that has not started yet.
    while endless.recv_timeout(patience).is_err() {
        pool.kill();
    }
    story += &format!("  a task without end\n                   {line:<48}(chapter 25)\n");
    story
}

/// An answer, or why there is none, without the number of the process.
fn told(answer: Answer) -> String {
    answer.unwrap_or_else(|error| match (error.kind(), error.to_string()) {
        (ErrorKind::UnexpectedEof, text) => {
            text.split_once("died: ").map_or(text.clone(), |(_, how)| how.to_string())
        }
        (_, text) => text,
    })
}

/// A call costs a write, a read and a change of process on each side, however little it asks for.
/// The best of three, so that other work on this machine does not decide.
fn tiny_calls_are_slow(pool: &ChildPool) -> bool {
    let numbers = (1..=1000).map(|n: u64| n.to_string()).collect::<Vec<_>>();
    let all_at_once = format!("square {}", numbers.join(" "));
    (0..3).any(|_| {
        let start = Instant::now();
        for number in &numbers {
            let _ = pool.submit(format!("square {number}")).recv();
        }
        let (tiny, start) = (start.elapsed(), Instant::now());
        let _ = pool.submit(&*all_at_once).recv();
        tiny > 5 * start.elapsed()
    })
}
