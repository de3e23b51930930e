//! A pool over three hosts, played by this machine: one greets before it works, one is switched
//! off. Look at the sum: it is right all the same. Then the same worker is a filter in a shell's
//! pipe.
//!
//! As a worker: `ch30_remote serve-tasks`. As a filter: `seq 3 | ch30_remote --filter square`.
//!
//! Expected output:
//!
//! ```text
//! Three hosts with four workers: alpha works, beta greets first, gamma is switched off.
//! The squares of 1 to 100, one task each: sum 338350, failures 0
//! Without quotes a shell sees 3 words; quoted it sees 1: it's one word
//! As a filter, 1 to 4 and a line that is no number:
//!   1
//!   4
//!   9
//!   16
//!   exit status 1, for one line failed
//! ```

use concurrent_explained::ch30_remote::{Hosts, filter_if_asked, quoted};
use concurrent_explained::{Executor, ProcessPool, Tasks};
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, io::Read};

fn square(n: u64) -> u64 {
    n * n
}

fn tasks() -> Tasks {
    Tasks::new().with("square", square)
}

/// Where this program is to run, as if each were another machine.
fn hosts(program: &Path) -> Hosts {
    let (here, there) = (program.to_owned(), program.to_owned());
    Hosts::new()
        .with(2, move || {
            let mut alpha = Command::new(&here);
            alpha.arg("serve-tasks");
            alpha
        })
        .with(1, move || {
            let line = format!(
                "echo Welcome to beta!; exec {} serve-tasks",
                quoted(&there.to_string_lossy())
            );
            let mut beta = Command::new("sh");
            beta.args(["-c", &line]);
            beta
        })
        .with(1, || Command::new("false")) // gamma ends before it says a word
}

/// How many words a shell finds in this line, and the first of them.
fn words(line: &str) -> io::Result<String> {
    let script = format!("set -- {line}; echo \"$#:$1\"");
    let output = Command::new("sh").args(["-c", &script]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Feeds this program, run as a filter.
fn as_a_filter(program: &Path, input: &str) -> io::Result<String> {
    let mut filter = Command::new(program);
    filter.args(["--filter", "square"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut filter = filter.stderr(Stdio::null()).spawn()?;
    filter.stdin.take().expect("it is piped").write_all(input.as_bytes())?;
    let mut text = String::new();
    filter.stdout.take().expect("it is piped").read_to_string(&mut text)?;
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let code = filter.wait()?.code().unwrap_or(-1);
    Ok(format!("{lines}  exit status {code}, for one line failed\n"))
}

fn main() -> Result<(), Box<dyn Error>> {
    tasks().serve_if_worker();
    filter_if_asked(&tasks());

    let program = env::current_exe()?;
    let hosts = hosts(&program);
    let mut text = String::from(
        "Three hosts with four workers: alpha works, beta greets first, gamma is switched off.\n",
    );
    let pool = ProcessPool::builder(tasks())
        .workers(hosts.workers())
        .command_for(move |index| hosts.command(index))
        .build();
    let outcomes: Vec<_> = Executor::map(&pool, square, 1..=100).collect();
    let sum: u64 = outcomes.iter().flatten().sum();
    let failures = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    text += &format!("The squares of 1 to 100, one task each: sum {sum}, failures {failures}\n");

    let word = "it's one word";
    let bare = words(&word.replace('\'', r"\'"))?;
    let (bare, _) = bare.split_once(':').unwrap_or_default();
    let seen = words(&quoted(word))?;
    let (count, first) = seen.split_once(':').unwrap_or_default();
    text += &format!("Without quotes a shell sees {bare} words; quoted it sees {count}: {first}\n");

    text += "As a filter, 1 to 4 and a line that is no number:\n";
    text += &as_a_filter(&program, "1\n2\nthree\n3\n4\n")?;
    let _ = io::stdout().write_all(text.as_bytes()); // a reader that has left is no failure
    Ok(())
}
