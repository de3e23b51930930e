//! Workers in processes of their own: this test program, started again.

use std::cell::Cell;
use std::env::{args, current_exe};
use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use concurrent_explained::ch19_wire::{from_line, to_line};
use concurrent_explained::ch20_records::*;
use concurrent_explained::ch21_protocol::{Incoming, Lines, Message, VERSION};
use concurrent_explained::ch22_worker::{
    LOOKAHEAD, NOT_SERVED, Tasks, is_unserved_worker, unlocked, worker_mark,
};

use crate::support::process_watchdog as watchdog;

/// What a worker tells about itself.
pub(crate) struct About {
    pub(crate) pid: u32,
    pub(crate) tasks: Vec<String>,
}
wire!(struct About { pid, tasks });

/// Said past the harness, which swallows what a passing test prints.
pub(crate) fn skipped(why: &str) {
    io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).unwrap();
}

thread_local! {
    static PREPARED: Cell<usize> = const { Cell::new(0) };
}

fn square(n: u64) -> u64 {
    n * n
}

fn again((): ()) -> bool {
    // No mark on this command line: it is the test program, and lists its tests.
    let program =
        Command::new(current_exe().unwrap()).arg("--list").stdin(Stdio::null()).output().unwrap();
    let listed = String::from_utf8(program.stdout).unwrap();
    listed.contains("process::worker_entry: test") && !listed.contains('\x1e')
}

fn careful_cat((): ()) -> bool {
    Command::new("cat").stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn forge(text: String) -> u64 {
    print!("{text}");
    7
}

fn boom(text: String) -> u64 {
    panic!("{text}")
}

fn recovers((): ()) -> bool {
    std::panic::catch_unwind(|| panic!("loud")).is_err()
}

fn rethrows((): ()) {
    std::panic::resume_unwind(Box::new("rethrown"));
}

fn for_ever((): ()) {
    loop {
        std::thread::park();
    }
}

/// Lets a program print into the long answer of this task.
#[allow(clippy::zombie_processes, reason = "it goes on after its task, on purpose")]
fn scribble(times: usize) -> String {
    let noise =
        format!("echo >&2; i=0; while [ $i -lt {times} ]; do echo '50 %'; i=$((i+1)); done");
    let mut program = Command::new("sh");
    program.args(["-c", &noise]).stdin(Stdio::null()).stderr(Stdio::piped());
    let program = program.spawn().unwrap();
    program.stderr.unwrap().read_exact(&mut [0]).unwrap(); // it has begun, and goes on
    "x".repeat(600_000)
}

/// Holds the lock of standard output without end.
fn holds_stdout((): ()) {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "locked").unwrap();
    for_ever(());
}

/// Leaves the lock of standard output taken, by this thread.
fn keeps_stdout((): ()) {
    std::mem::forget(io::stdout().lock());
}

fn on_main((): ()) -> bool {
    PREPARED.get() == 1
}

fn process_tasks() -> Tasks {
    Tasks::new()
        .with("square", square)
        .with("again", again)
        .with("careful_cat", careful_cat)
        .with("forge", forge)
        .with("boom", boom)
        .with("for_ever", for_ever)
        .with("recovers", recovers)
        .with("rethrows", rethrows)
        .with("on_main", on_main)
        .with("holds_stdout", holds_stdout)
        .with("keeps_stdout", keeps_stdout)
        .with("scribble", scribble)
        .initializer(|| {
            if args().any(|arg| arg == "fail") {
                Err("told to".into())
            } else {
                PREPARED.set(1);
                Ok(())
            }
        })
}

/// Not a test: this is where this program becomes the worker of the tests below.
#[test]
fn worker_entry() {
    process_tasks().serve_if_worker();
}

/// A worker process, and the pieces that come from it.
pub(crate) struct Process {
    pub(crate) child: Child,
    requests: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    output: Vec<u8>,
}

impl Process {
    pub(crate) fn start(mut command: Command, seal: Option<&str>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let requests = child.stdin.take();
        let lines = Lines::from_worker(BufReader::new(child.stdout.take().unwrap()), seal);
        Process { child, requests, lines, output: Vec::new() }
    }

    fn myself(seal: Option<&str>, more: &[&str]) -> Self {
        let mut command = Command::new(current_exe().unwrap());
        command
            .arg(worker_mark(seal))
            .args(["ch22_worker::process::worker_entry", "--exact", "--nocapture"])
            .args(more);
        command.stderr(Stdio::null());
        Process::start(command, seal)
    }

    pub(crate) fn say(&mut self, lines: &str) {
        self.requests.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// The next message; what comes before it goes to `output`.
    pub(crate) fn hear(&mut self) -> Option<String> {
        while let Some(incoming) = self.lines.read().unwrap() {
            match incoming {
                Incoming::Output(bytes) => self.output.extend_from_slice(bytes),
                Incoming::Message(text) => return Some(text.to_string()),
                other => panic!("{other:?}"),
            }
        }
        None
    }

    /// One more piece of output.
    fn hear_output(&mut self) {
        match self.lines.read().unwrap() {
            Some(Incoming::Output(bytes)) => self.output.extend_from_slice(bytes),
            other => panic!("{other:?}"),
        }
    }

    /// Closes the pipe to the worker; its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        drop(self.requests);
        drop(self.lines);
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_process_started_with_the_mark_serves_its_standard_input() {
    watchdog("a worker process", || {
        let mut worker = Process::myself(None, &[]);
        let ready = worker.hear().unwrap();
        let Ok(Message::Ready { version, about }) = Message::parse(&ready) else {
            panic!("{ready}")
        };
        let (ahead, about) = about.split_once(' ').unwrap();
        let about: About = from_line(about).unwrap();
        assert_eq!((version, about.pid), (VERSION, worker.child.id()));
        assert_eq!(ahead, LOOKAHEAD.to_string());
        assert_eq!(
            about.tasks,
            [
                "again",
                "boom",
                "careful_cat",
                "for_ever",
                "forge",
                "holds_stdout",
                "keeps_stdout",
                "on_main",
                "recovers",
                "rethrows",
                "scribble",
                "square"
            ]
        );
        worker.say("1 square 12\n2 on_main null\n");
        assert_eq!(worker.hear().as_deref(), Some("1 ok 144"));
        assert_eq!(worker.hear().as_deref(), Some("2 ok true"));
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn a_process_started_without_the_mark_is_the_program() {
    assert_eq!(worker_mark(Some("k5q")), "serve-tasks=k5q");
    process_tasks().serve_if_worker(); // returns
}

#[test]
fn two_lines_typed_into_a_pipe_are_enough() {
    let typed = format!(
        "printf '7 square 12\\n' | '{}' serve-tasks ch22_worker::process::worker_entry --exact --nocapture",
        current_exe().unwrap().display()
    );
    match Command::new("sh").args(["-c", &typed]).output() {
        Ok(shell) => {
            let printed = String::from_utf8(shell.stdout).unwrap();
            assert!(
                printed.contains("\x1eready 1 1024 {") && printed.ends_with("\x1e7 ok 144\n"),
                "{printed:?}"
            );
            assert!(shell.status.success());
        }
        Err(_) => skipped("there is no sh here, so nobody has typed to a worker"),
    }
}

// CPython: ProcessPoolExecutorTest::test_traceback
#[test]
fn i5_a_panic_in_a_process_says_where() {
    watchdog("a panic in a process", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        worker.say("1 boom \"dam broken\"\n2 square 2\n");
        let panicked = worker.hear().unwrap();
        assert!(panicked.starts_with("1 err panicked \"dam broken, at tests"), "{panicked}");
        assert!(panicked.contains("process.rs:"), "{panicked}");
        assert_eq!(worker.hear().as_deref(), Some("2 ok 4"));
        // The place of a panic that another task has caught is not that of this one.
        worker.say("3 recovers null\n4 rethrows null\n");
        assert_eq!(worker.hear().as_deref(), Some("3 ok true"));
        assert_eq!(worker.hear().as_deref(), Some("4 err panicked \"rethrown\""));
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn what_a_task_prints_comes_out_before_its_answer_and_cannot_forge_one() {
    watchdog("a task that prints", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        let megabyte = "0123456789abcde\n".repeat(1 << 16);
        for text in ["no newline", "\x1e1 ok 666\n", "\x1ek5 1 ok 666\n\x1e", &megabyte] {
            worker.output.clear();
            worker.say(&format!("1 forge {}\n", to_line(&text.to_string())));
            assert_eq!(worker.hear().as_deref(), Some("1 ok 7"));
            assert!(
                worker.output == text.as_bytes(),
                "{:?}",
                String::from_utf8_lossy(&worker.output)
            );
        }
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn a_process_whose_initializer_fails_says_so_and_ends_with_the_pipe_still_open() {
    watchdog("a worker that cannot start", || {
        let mut worker = Process::myself(None, &["fail"]);
        assert_eq!(worker.hear().as_deref(), Some("0 err failed_start \"told to\""));
        assert_eq!(worker.hear(), None);
        assert_eq!(worker.child.wait().unwrap().code(), Some(1));
    });
}

#[test]
fn i6_being_a_worker_is_not_inherited() {
    watchdog("a worker that starts its own program", || {
        let mut worker = Process::myself(None, &[]);
        worker.hear();
        worker.say("1 again null\n2 square 2\n");
        assert_eq!(worker.hear().as_deref(), Some("1 ok true"));
        assert_eq!(worker.hear().as_deref(), Some("2 ok 4"));
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn a_program_with_a_standard_input_of_its_own_eats_no_requests() {
    watchdog("a worker that starts cat", || {
        let mut worker = Process::myself(None, &[]);
        worker.hear();
        worker.say("1 careful_cat null\n2 square 2\n");
        let cat = worker.hear().unwrap();
        if cat == "1 ok false" {
            skipped("there is no cat here");
        }
        assert_eq!(worker.hear().as_deref(), Some("2 ok 4"));
        assert_eq!(worker.end(), Some(0));
    });
}

// Nobody writes to it, nobody reads from it, and its task never ends.
#[test]
fn i4_a_busy_worker_whose_parent_is_gone_leaves_quietly() {
    watchdog("a worker that nobody needs any more", || {
        let mut worker = Process::myself(None, &[]);
        worker.hear();
        worker.say("1 for_ever null\n");
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn i4_a_worker_that_hears_the_end_while_it_is_busy_says_that_it_is_still_here() {
    watchdog("a busy worker", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        worker.say("1 for_ever null\n");
        drop(worker.requests.take());
        assert_eq!(worker.hear().as_deref().map(str::trim_end), Some(""));
        assert_eq!(worker.end(), Some(0));
    });
}

// F8: in the first edition neither the answers to a recall nor the end got past the lock.
#[test]
fn i8_a_task_that_holds_the_lock_of_stdout_holds_up_neither_recall_nor_the_end() {
    watchdog("a task that holds stdout", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        worker.say("1 holds_stdout null\n2 square 2\n3 square 3\n");
        while !worker.output.ends_with(b"locked\n") {
            worker.hear_output();
        }
        worker.say("recall\n");
        assert_eq!(worker.hear().as_deref(), Some("2 err returned \"not started\""));
        assert_eq!(worker.hear().as_deref(), Some("3 err returned \"not started\""));
        assert_eq!(worker.end(), Some(0), "nobody reads it, so it leaves");
    });
}

#[test]
fn i8_a_task_that_keeps_the_lock_of_stdout_still_answers() {
    watchdog("a task that keeps stdout", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        worker.say("1 keeps_stdout null\n2 square 2\n");
        assert_eq!(worker.hear().as_deref(), Some("1 ok null"));
        assert_eq!(worker.hear().as_deref(), Some("2 ok 4"));
        assert_eq!(worker.end(), Some(0));
    });
}

// F9: with a real pipe and another real program. Whether it gets in is chance; what comes must be
// the right text or an error, and all that it prints must come as output or in the damaged line.
#[test]
fn f9_a_program_that_prints_into_a_long_answer_is_never_a_wrong_result() {
    if Command::new("sh").args(["-c", ":"]).status().is_err() {
        return skipped("there is no sh here, so nobody has scribbled");
    }
    watchdog("a task that leaves a program behind", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        let right = format!("\"{}\"", "x".repeat(600_000));
        let mut damaged = 0;
        for id in 1..=5 {
            worker.say(&format!("{id} scribble 100000\n"));
            let text = worker.hear().unwrap();
            match Message::parse(&text) {
                Ok(Message::Reply { id: of, outcome: Ok(json) }) => {
                    assert!(of == id && json == right, "a wrong result of {} bytes", json.len());
                }
                Ok(Message::Reply { id: of, outcome: Err((_, why)) }) => {
                    assert!(of == id && why.contains("something else writes"), "{why}");
                    damaged += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        count(damaged);
        assert_eq!(worker.end(), Some(0));
    });
}

/// What a soak has counted, where the harness does not swallow it.
fn count(damaged: usize) {
    io::stderr().write_all(format!("SOAK: {damaged} of 5 answers damaged\n").as_bytes()).unwrap();
}

// F15: what the process itself can see. What its parent sees is told by chapter 23.
#[test]
fn f15_a_program_that_forgets_to_serve_knows_it() {
    const NAME: &str = "ch22_worker::process::f15_a_program_that_forgets_to_serve_knows_it";
    if args().any(|arg| arg == "forgetful") {
        println!("forgotten: {}", is_unserved_worker());
        return;
    }
    assert!(!is_unserved_worker(), "it is no worker at all");
    assert!(NOT_SERVED.contains("`serve_if_worker()`"), "the line to add");
    for (first, expected) in
        [(worker_mark(Some("k5q")), "true"), (worker_mark(None), "true"), (NAME.into(), "false")]
    {
        let mut command = Command::new(current_exe().unwrap());
        command.arg(first).args([NAME, "--exact", "--nocapture", "forgetful"]);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(said.contains(&format!("forgotten: {expected}")), "{said}");
    }
}

// F14: all that comes before `ready` is the harness.
#[test]
fn f14_a_test_program_is_its_own_worker_and_the_harness_is_heard_before_ready_only() {
    watchdog("a worker in a test harness", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        assert!(worker.hear().unwrap().starts_with("ready 1 1024 {"));
        assert_eq!(String::from_utf8_lossy(&worker.output).trim(), "running 1 test");
        worker.output.clear();
        worker.say("1 forge \"mine\"\n");
        assert_eq!(worker.hear().as_deref(), Some("1 ok 7"));
        assert_eq!(worker.output, b"mine");
        drop(worker.requests.take());
        assert_eq!(worker.hear(), None);
        assert_eq!(worker.output, b"mine", "no report at the end");
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn a_stream_past_the_lock_of_std_is_the_same_stream() {
    let locked = io::stderr().lock();
    unlocked(io::stderr()).unwrap().write_all(b"").unwrap(); // from this thread
    let other = std::thread::spawn(|| unlocked(io::stderr()).unwrap().write_all(b"").is_ok());
    assert!(other.join().unwrap(), "it did not wait for the lock");
    drop(locked);
}
