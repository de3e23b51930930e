//! Look at the first line: one thread at two pipes, and two processes wait for each other. Then
//! the pool: a hundred tasks of which one ends its process, and a task that never ends.
//!
//! Expected output:
//!
//! ```text
//! one thread at two pipes: stuck with 1 MiB in each direction
//! a pool, 1 MiB in each direction: 8 of 8 came back
//! submit(square, 12) = 144, call("square", 13) = 169
//! a hundred tasks, one of which ends its process: 99 results
//!   `risky` of 13: exit status: 13, and its last words: thirteen is bad luck
//! without end: `forever` ran longer than 100ms
//! one worker, and what it still does: square(14) = 196
//! processes left at the end: 0
//! ```

use std::io::{Read, Write, copy, stdin, stdout};
use std::process::{Command, Stdio, exit};
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{env, thread};

use concurrent_explained::{Error, ProcessPool, Tasks};

fn square(n: u64) -> u64 {
    n * n
}

fn echo(text: String) -> String {
    text
}

fn risky(n: u64) -> u64 {
    if n == 13 {
        eprintln!("thirteen is bad luck");
        exit(13);
    }
    n
}

fn forever((): ()) {
    loop {
        thread::park();
    }
}

/// Writes a megabyte to a process that sends everything back, and only then reads. True if that is
/// still not done after a while (the watchdog of this example).
fn one_thread_is_stuck() -> bool {
    let mut command = Command::new(env::current_exe().unwrap());
    let mut child =
        command.arg("mirror").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (sender, done) = channel();
    let both = thread::spawn(move || {
        let written = input.write_all(&[b'x'; 1 << 20]);
        drop(input);
        let _ = sender.send(written.and_then(|()| output.read_to_end(&mut Vec::new())));
    });
    let is_stuck = done.recv_timeout(Duration::from_millis(200)).is_err();
    child.kill().and_then(|()| child.wait()).unwrap();
    both.join().unwrap();
    is_stuck
}

fn main() -> Result<(), Error> {
    let tasks = Tasks::new().with("square", square).with("echo", echo).with("risky", risky);
    let tasks = tasks.with("forever", forever);
    tasks.serve_if_worker();
    if env::args().nth(1).is_some_and(|argument| argument == "mirror") {
        copy(&mut stdin(), &mut stdout()).unwrap();
        return Ok(());
    }
    let stuck = if one_thread_is_stuck() { "stuck" } else { "not stuck" };
    let mut text = String::new();
    let mut say = |line: String| text += &(line + "\n");
    say(format!("one thread at two pipes: {stuck} with 1 MiB in each direction"));

    let pool = ProcessPool::builder(tasks).workers(1).build();
    let futures: Vec<_> =
        (0..8).map(|n| pool.submit(echo, n.to_string().repeat(1 << 20))).collect();
    let echoed =
        futures.into_iter().filter_map(|future| future.result().ok()).map(|text| text.len());
    say(format!(
        "a pool, 1 MiB in each direction: {} of 8 came back",
        echoed.filter(|len| *len == 1 << 20).count()
    ));

    let twelve = pool.submit(square, 12);
    let thirteen = pool.call::<u64, u64>("square", 13); // for workers whose functions are not in this program
    say(format!(
        "submit(square, 12) = {}, call(\"square\", 13) = {}",
        twelve.result()?,
        thirteen.result()?
    ));

    let futures: Vec<_> = (0..100).map(|n| pool.submit(risky, n)).collect();
    let (results, errors): (Vec<_>, Vec<_>) =
        futures.into_iter().map(|future| future.result()).partition(Result::is_ok);
    say(format!("a hundred tasks, one of which ends its process: {} results", results.len()));
    for error in errors {
        let Err(Error::Died(death)) = error else { panic!("{error:?}") };
        let status = death.status.map_or("no status".into(), |status| status.to_string());
        say(format!("  `{}` of 13: {status}, and its last words: {}", death.task, death.stderr));
    }

    let endless = pool.call_timeout::<(), ()>(Duration::from_millis(100), "forever", ());
    say(format!("without end: {}", endless.result().unwrap_err()));
    say(format!(
        "one worker, and what it still does: square(14) = {}",
        pool.submit(square, 14).result()?
    ));

    pool.shutdown();
    say(format!("processes left at the end: {}", pool.pids().len()));
    let _ = stdout().write_all(text.as_bytes()); // an error: nobody reads it
    Ok(())
}
