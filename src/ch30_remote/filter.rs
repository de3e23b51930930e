//! The worker inside somebody else's engine: bare arguments in, bare results out.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch21_protocol::{MARK, Message};
use super::super::ch22_worker::Tasks;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{env, process};

/// How many requests are on their way at once. The worker reads as fast as it can, and the input
/// may be longer than the memory.
const WINDOW: usize = 1024;

/// If this program was called as `program --filter NAME`, runs that task on each line of standard
/// input and ends the program: with 0, with 1 if a line failed, with 2 if there is no such task.
/// Otherwise it returns.
pub fn filter_if_asked(tasks: &Tasks) {
    let words: Vec<_> = env::args().skip(1).take(2).collect();
    let [option, name] = &words[..] else { return };
    if option != "--filter" {
        return;
    }
    if !tasks.names().any(|known| known == name) {
        let known: Vec<_> = tasks.names().collect();
        eprintln!("--filter: there is no task {name:?}, only {}", known.join(", "));
        process::exit(2);
    }
    let input = io::BufReader::new(io::stdin());
    let failed = filter(tasks, name, input, io::stdout(), io::stderr());
    process::exit(i32::from(!matches!(failed, Ok(0))));
}

/// Runs the task `name` once for each line of `input`, which is an argument as JSON; writes each
/// result as a line to `output`, and each failure as a line to `errors`. Empty lines are skipped.
/// Gives the number of failures.
///
/// # Errors
/// What reading or writing ran into; and that the tasks' initializer failed.
///
/// # Examples
/// ```
/// use concurrent_explained::{Tasks, ch30_remote::filter};
///
/// let tasks = Tasks::new().with("square", |n: u32| n * n);
/// let (mut results, mut errors) = (Vec::new(), Vec::new());
/// let failed = filter(&tasks, "square", &b"12\noops\n3\n"[..], &mut results, &mut errors)?;
/// assert_eq!((failed, &results[..]), (1, &b"144\n9\n"[..]));
/// assert!(errors.starts_with(b"line 2: "));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn filter<R, W, E>(tasks: &Tasks, name: &str, input: R, output: W, errors: E) -> io::Result<u64>
where
    R: BufRead + Send,
    W: Write + Send,
    E: Write + Send,
{
    let mut failed = 0;
    let (enter, leave) = sync_channel(WINDOW);
    let requests = Requests { input, name, number: 0, line: Vec::new(), read: 0, enter };
    let results =
        Results { output, errors, line: Vec::new(), failed: &mut failed, leave: Some(leave) };
    tasks.serve(io::BufReader::new(requests), results, None)?;
    Ok(failed)
}

/// (3) Bare lines as requests: their ids are the numbers of the lines.
struct Requests<'a, R> {
    input: R,
    name: &'a str,
    number: u64,
    /// One request, and how much of it has been read.
    line: Vec<u8>,
    read: usize,
    /// A token for each request; `send` blocks while the window is full.
    enter: SyncSender<()>,
}

impl<R: BufRead> Read for Requests<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.line.len() {
            let mut argument = Vec::new();
            if self.input.read_until(b'\n', &mut argument)? == 0 {
                return Ok(0);
            }
            self.number += 1;
            let argument = argument.trim_ascii();
            (self.line, self.read) = (Vec::new(), 0);
            if !argument.is_empty() {
                write!(self.line, "{} {} ", self.number, self.name)?;
                self.line.extend_from_slice(argument);
                self.line.push(b'\n');
                if self.enter.send(()).is_err() {
                    self.line.clear(); // nobody reads the results any more: the input ends here
                    return Ok(0);
                }
            }
        }
        let read = (&self.line[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

/// (4) Replies as bare lines, each to where it belongs (I3).
struct Results<'a, W, E> {
    output: W,
    errors: E,
    /// What has been written of a line that has no end yet.
    line: Vec<u8>,
    failed: &'a mut u64,
    /// Where the tokens come out again. `None` once the results could not be written.
    leave: Option<Receiver<()>>,
}

impl<W: Write, E: Write> Write for Results<'_, W, E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let message = String::from_utf8_lossy(&line);
                let passed = self.pass_on(message.trim().trim_start_matches(MARK));
                if passed.is_err() {
                    self.leave = None;
                    return passed.map(|()| 0);
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: Write, E: Write> Results<'_, W, E> {
    fn pass_on(&mut self, message: &str) -> io::Result<()> {
        let Ok(Message::Reply { id, outcome }) = Message::parse(message) else {
            return Ok(()); // `ready`, and the sign of life of a worker at work
        };
        if let Some(leave) = &self.leave {
            _ = leave.try_recv(); // one token for each reply: never empty
        }
        match outcome {
            Ok(result) => writeln!(self.output, "{result}"),
            Err((kind, why)) => {
                *self.failed += 1;
                writeln!(self.errors, "line {id}: {kind}: {why}")
            }
        }
    }
}
