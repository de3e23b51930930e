//! First a worker in ten lines, and what it does not notice; then this program starts itself as a
//! worker and talks to it. Look at request 2: the parent has set its rate to 3, and the worker does
//! not know. Then at requests 3 to 6: what fails, fails alone. ␞ stands for the mark, ASCII 30.
//!
//! With `be-the-worker` you are the worker of a real pool. With `referee COMMAND …` a referee plays
//! some forty cases against a worker of yours in any language: `referee python3 square.py`, say.
//!
//! Expected output:
//!
//! ```text
//! the smallest worker
//! > 7 square 12
//! > 8 cube 2
//! > recall
//! < ␞ready 1
//! < ␞7 ok 144
//! < ␞8 err unknown_task "no cube"
//! (recall has come too late: this worker reads when it has nothing else to do)
//!
//! this program, as a worker
//! < ␞ready 1 1024 {"pid":…,"tasks":["chat","rated","reciprocal","square"]}
//! > 1 square 12
//! < ␞1 ok 144
//! > 2 rated 5
//! < ␞2 ok 5
//! > 3 chat null
//! < I print what I like ␞3 ok null
//! > 4 reciprocal 0
//! < ␞4 err panicked "no reciprocal of 0"
//! > 5 square "x"
//! < ␞5 err bad_argument "column 1: expected a whole number from 0 to …"
//! > 6 cube 2
//! < ␞6 err unknown_task "no task \"cube\", only chat, rated, reciprocal, square"
//! > 7 square 13
//! < ␞7 ok 169
//! the pipe is closed: the worker leaves with exit code 0
//! ```

use std::env::{args, current_exe};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use concurrent_explained::{Incoming, Lines, ProcessPool, Tasks, worker_mark};

#[path = "workers/referee.rs"]
mod referee;

/// The smallest worker: it reads a line, runs the task, writes a line, until its input ends.
fn smallest(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    writeln!(output, "\x1eready 1")?;
    for line in input.lines() {
        let line = line?;
        let Some((id, request)) = line.split_once(' ') else { continue };
        match request.split_once(' ') {
            Some(("square", argument)) => match argument.parse::<u64>() {
                Ok(n) => writeln!(output, "\x1e{id} ok {}", square(n))?,
                Err(why) => writeln!(output, "\x1e{id} err bad_argument {:?}", why.to_string())?,
            },
            Some((task, _)) => {
                writeln!(output, "\x1e{id} err unknown_task {:?}", format!("no {task}"))?
            }
            None => writeln!(output, "\x1e{id} err unknown_task \"no name\"")?,
        }
    }
    Ok(())
}

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

fn main() -> io::Result<()> {
    let tasks = Tasks::new().with("square", square).with("rated", rated);
    let tasks = tasks.with("chat", chat).with("reciprocal", reciprocal);
    tasks.serve_if_worker(); // the worker never gets beyond this line

    let arguments: Vec<String> = args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match words[..] {
        [] => tell()?,
        ["be-the-worker"] => be_the_worker("/dev/tty"),
        ["be-the-worker", typed] => be_the_worker(typed),
        ["typist", typed] => return typist(typed),
        ["smallest"] => return smallest(io::stdin().lock(), io::stdout()),
        ["referee"] => referee_says(vec![current_exe()?.display().to_string(), worker_mark(None)]),
        ["referee", ..] => referee_says(arguments[1..].to_vec()),
        _ => "be-the-worker, or referee COMMAND ARGUMENTS\n".to_string(),
    };
    _ = io::stdout().write_all(said.as_bytes()); // nobody may be reading: that is no failure
    Ok(())
}

/// What this example prints.
fn tell() -> io::Result<String> {
    let typed = "7 square 12\n8 cube 2\nrecall\n";
    let mut said = "the smallest worker\n".to_string();
    said.extend(typed.lines().map(|line| format!("> {line}\n")));
    let mut answers = Vec::new();
    smallest(typed.as_bytes(), &mut answers)?;
    let answers = String::from_utf8_lossy(&answers).replace('\x1e', "␞");
    said.extend(answers.lines().map(|line| format!("< {line}\n")));
    said += "(recall has come too late: this worker reads when it has nothing else to do)\n\n";

    said += "this program, as a worker\n";
    RATE.store(3, Ordering::Relaxed);
    let mut command = Command::new(current_exe()?);
    command.arg(worker_mark(None)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut worker = command.stderr(Stdio::null()).spawn()?;
    let mut requests = worker.stdin.take().expect("it is piped");
    let stdout = worker.stdout.take().expect("it is piped");
    let mut answers = Lines::from_worker(BufReader::new(stdout), None);
    let pid = format!("\"pid\":{}", worker.id());
    said += &answer(&mut answers, &pid)?;
    let first = ["1 square 12", "2 rated 5", "3 chat null", "4 reciprocal 0"];
    for line in first.into_iter().chain(["5 square \"x\"", "6 cube 2", "7 square 13"]) {
        requests.write_all(format!("{line}\n").as_bytes())?;
        said += &format!("> {line}\n{}", answer(&mut answers, &pid)?);
    }
    drop(requests);
    let code = worker.wait()?.code().unwrap_or(-1);
    said += &format!("the pipe is closed: the worker leaves with exit code {code}\n");
    Ok(said)
}

/// All that comes down the pipe up to the next message, but for what differs from run to run.
fn answer(answers: &mut Lines<BufReader<ChildStdout>>, pid: &str) -> io::Result<String> {
    let mut shown = String::new();
    while let Some(incoming) = answers.read()? {
        match incoming {
            Incoming::Output(bytes) => shown += &String::from_utf8_lossy(bytes),
            Incoming::Message(text) => {
                let (text, end) = match (text.find(", at examples"), text.find("to 18446")) {
                    (Some(place), _) => (&text[..place], "\""),
                    (_, Some(number)) => (&text[..number], "to …\""),
                    _ => (text, ""),
                };
                return Ok(format!("< {shown}␞{}{end}\n", text.replace(pid, "\"pid\":…")));
            }
            other => return Ok(format!("unexpected: {other:?}\n")),
        }
    }
    Ok(String::new())
}

/// A referee plays against the worker that `words` start.
fn referee_says(words: Vec<String>) -> String {
    let played = referee::play_all(|| {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    });
    referee::report(&played)
}

/// A real pool asks, and you answer: its worker shows you what it is sent, and sends what you type.
fn be_the_worker(typed: &str) -> String {
    let typed = typed.to_string();
    eprintln!(
        "You are a worker, and this is your pipe. First say that you are ready:\n\n    ^ready 1\n\n\
         ^ stands for the mark. Then answer what is asked, for example ^1 ok 144, or ^1 err\n\
         panicked \"no idea\". Print something without a mark; answer what was not asked; or\n\
         press Ctrl-D, which is your end.\n"
    );
    let program = current_exe().expect("a running program has a file");
    let command = move || {
        let mut command = Command::new(&program);
        command.args(["typist", &typed]);
        command
    };
    let pool = ProcessPool::builder(Tasks::new().with("square", square));
    let pool = pool.command(command).workers(1).start_timeout(std::time::Duration::from_secs(600));
    let pool = pool.build();
    let calls: Vec<_> = [12, 13, 14].map(|n| (n, pool.submit(square, n))).into();
    let mut said = String::new();
    for (n, call) in calls {
        let heard = match call.result() {
            Ok(square) => format!("the square of {n} is {square}"),
            Err(error) => format!("there is no square of {n}: {error}"),
        };
        say(&format!("[the pool] {heard}\n"));
        said += &format!("{heard}\n");
    }
    said
}

/// Shows a whole line in one write: typist and pool write to one terminal, and between two pieces
/// of a line, as `eprintln!` writes them, the other's could come.
fn say(line: &str) {
    _ = io::stderr().write_all(line.as_bytes());
}

/// Stands between a pool and a person: requests go to standard error, which the pool passes on, and
/// what is typed goes to the pool.
fn typist(typed: &str) -> io::Result<()> {
    thread::spawn(|| {
        for request in io::stdin().lines().map_while(Result::ok) {
            say(&format!("[you are asked] {request}\n"));
        }
        process::exit(0); // the end of the input
    });
    for line in BufReader::new(File::open(typed)?).lines() {
        let line = line?;
        let line = line.strip_prefix('^').map_or(line.clone(), |said| format!("\x1e{said}"));
        io::stdout().write_all(format!("{line}\n").as_bytes())?;
    }
    Ok(())
}
