//! One worker process as a value. This program is its own worker: `worker_entry` serves, and does
//! nothing as a test.

#![cfg(unix)]

#[path = "support/alone.rs"]
mod alone;
mod support;

use alone::{alone, children, count, finish, is_alone, is_gone, program, signal};
use concurrent_explained::ch23_process::{Killer, Process, Start};
use concurrent_explained::{Death, Error, Tasks};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};
use std::sync::mpsc::channel;
use std::thread;
use support::{process_until as until, process_watchdog as watchdog};

fn square(n: u64) -> u64 {
    n * n
}

fn shout(text: String) -> String {
    println!("heard: {text}");
    eprintln!("noted: {text}");
    text
}

/// Says something to standard error, and then ends its process, for any code but 0.
fn say_and_exit((words, code): (String, i32)) {
    eprint!("{words}");
    if code != 0 {
        process::exit(code);
    }
}

fn flood(bytes: usize) {
    io::stderr().write_all(&vec![b'e'; bytes]).unwrap();
    io::stdout().write_all(&vec![b'o'; bytes]).unwrap();
}

fn forever((): ()) {
    loop {
        thread::park();
    }
}

fn tasks() -> Tasks {
    let tasks = Tasks::new().with("square", square).with("shout", shout).with("flood", flood);
    tasks.with("say_and_exit", say_and_exit).with("forever", forever)
}

#[test]
fn worker_entry() {
    tasks().serve_if_worker();
}

#[test]
fn failing_entry() {
    tasks().initializer(|| Err("no license for today".to_owned())).serve_if_worker();
}

fn start(entry: &str) -> Start {
    let mut start = Start::this_program();
    start.command.args([entry, "--exact", "--nocapture"]);
    start.skips_noise = true;
    start
}

fn worker() -> Process {
    Process::start(start("worker_entry")).unwrap()
}

fn shell(script: &str) -> Start {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Start::command(command)
}

fn broken(start: Start) -> String {
    match Process::start(start) {
        Err(Error::Broken { cause }) => cause.to_string(),
        other => panic!("{other:?}"),
    }
}

fn death(outcome: Result<(), Error>) -> Death {
    match outcome {
        Err(Error::Died(death)) => *death,
        other => panic!("{other:?}"),
    }
}

#[test]
fn i1_what_is_no_worker_is_an_error_with_its_command_its_end_and_its_words() {
    watchdog("starts that fail", || {
        let cause = broken(shell("echo good day; echo no manners >&2; exit 7"));
        for part in
            ["\"sh\" \"-c\"", "is no worker: it ended (exit status: 7)", "good day", "no manners"]
        {
            assert!(cause.contains(part), "{part} in {cause}");
        }
        let cause = broken(Start::command(Command::new("/no/such/program")));
        assert!(cause.starts_with("cannot start \"/no/such/program\""), "{cause}");
        let cause = broken(start("failing_entry"));
        assert!(cause.contains("its initializer failed: no license for today"), "{cause}");
    });
}

#[test]
fn i1_this_program_without_serve_is_told_the_line_to_add() {
    watchdog("a test that does not exist", || {
        let cause = broken(start("no_such_entry"));
        assert!(cause.contains("serve_if_worker") && cause.contains("exit status: 0"), "{cause}");
    });
}

#[test]
fn i1_ready_is_read_generously_and_only_once() {
    watchdog("several hellos", || {
        for hello in [
            "ready 1",
            "ready 1 {}",
            "ready 1 3 {\"new\":[1,{\"a\":\"b\"}]}",
            "ready 1 -3 anything",
        ] {
            let script =
                format!("printf '\\036{hello}\\n'; read id rest; printf \"\\036$id ok 4\\n\"");
            let mut worker = Process::start(shell(&script)).unwrap();
            assert_eq!(worker.call::<u64, u64>("any", 2), Ok(4), "{hello}");
        }
        for (hello, why) in [
            ("ready 1 #9 {}", "a message of 9 bytes came as 2"),
            ("ready 2 {}", "it speaks version 2 of the protocol, not 1"),
            ("1 ok 1", "it answered 1 before it was ready"),
        ] {
            let cause = broken(shell(&format!("printf '\\036{hello}\\n'; exec cat")));
            assert!(cause.contains(why), "{hello}: {cause}");
        }
        let twice = "printf '\\036ready 1\\n'; read id rest; printf '\\036ready 1\\n'; exec cat";
        let mut worker = Process::start(shell(twice)).unwrap();
        let died = death(worker.call("any", 1_u64));
        assert_eq!((died.cause.as_str(), died.status), ("it was ready twice", None));
    });
}

#[test]
fn i2_a_call_has_its_value_or_says_why_there_is_none() {
    watchdog("calls", || {
        let mut worker = worker();
        assert_eq!(worker.call::<u64, u64>("square", 12), Ok(144));
        assert!(matches!(
            worker.call::<_, u64>("square", "x".to_owned()),
            Err(Error::Refused { .. })
        ));
        assert!(matches!(worker.call::<u64, u64>("cube", 2), Err(Error::Refused { .. })));
        assert!(matches!(worker.call::<u64, String>("square", 2), Err(Error::Refused { .. })));
        assert!(matches!(worker.call::<u64, u64>("square", u64::MAX), Err(Error::Panicked { .. })));
        assert_eq!(worker.call::<u64, u64>("square", 13), Ok(169), "none of that ended it");
    });
}

#[test]
fn i2_a_death_names_the_task_the_status_and_the_words_of_that_call() {
    watchdog("deaths", || {
        let mut worker = worker();
        let (pid, heard) = (worker.killer().pid(), worker.killer());
        let before = heard.words() + "not these".len() as u64;
        worker.call::<_, ()>("say_and_exit", ("not these".to_owned(), 0)).unwrap();
        until("the words have arrived", || heard.words() >= before);
        let died = death(worker.call("say_and_exit", ("but these".to_owned(), 9)));
        assert_eq!(
            (died.pid, died.task.as_str(), died.cause.as_str()),
            (pid, "say_and_exit", "it ended")
        );
        assert_eq!(died.status.and_then(|status| status.code()), Some(9));
        assert_eq!(died.stderr, "but these");
        let again = death(worker.call("say_and_exit", (String::new(), 0)));
        assert_eq!(again.status, died.status, "it stays dead");
    });
}

#[test]
fn i3_a_megabyte_of_each_kind_at_once_holds_up_nothing() {
    let name = "i3_a_megabyte_of_each_kind_at_once_holds_up_nothing";
    if is_alone(name) {
        return watchdog("floods", || {
            let mut worker = worker();
            assert_eq!(worker.call::<usize, ()>("flood", 1 << 20), Ok(()));
            let text = "t".repeat(1 << 20);
            assert!(worker.call::<String, String>("shout", text.clone()) == Ok(text));
        });
    }
    let ended = finish(name, program(name).spawn().unwrap());
    assert!(ended.status.success(), "{}", ended.stderr());
    assert!(ended.stdout.len() >= 2 << 20 && ended.stderr.len() >= 2 << 20, "all is passed on");
}

#[test]
fn i4_a_thread_that_holds_the_locks_of_our_streams_waits_for_a_task_that_prints() {
    alone("i4_a_thread_that_holds_the_locks_of_our_streams_waits_for_a_task_that_prints", || {
        let mut worker = worker();
        let (_out, _err) = (io::stdout().lock(), io::stderr().lock());
        assert_eq!(worker.call::<_, String>("shout", "hello".to_owned()), Ok("hello".to_owned()));
    });
}

#[test]
fn i5_dropped_it_is_gone_and_nothing_is_left() {
    alone("i5_dropped_it_is_gone_and_nothing_is_left", || {
        let before = (count("task"), count("fd"));
        for _ in 0..20 {
            drop(worker());
        }
        drop(Process::start(shell("exit 1")));
        assert_eq!(children(), []);
        until("the threads are gone", || count("task") == before.0);
        assert_eq!(count("fd"), before.1);
    });
}

#[test]
fn i5_a_worker_that_ignores_the_end_of_its_input_is_killed() {
    alone("i5_a_worker_that_ignores_the_end_of_its_input_is_killed", || {
        let worker = Process::start(shell("printf '\\036ready 1\\n'; exec sleep 1000")).unwrap();
        let pid = worker.killer().pid();
        drop(worker);
        assert!(is_gone(&pid) && children().is_empty());
    });
}

#[test]
fn a_killer_ends_a_task_without_end() {
    watchdog("a task without end", || {
        let mut worker = worker();
        let killer = worker.killer();
        let caller = thread::spawn(move || worker.call::<(), ()>("forever", ()));
        killer.kill();
        let died = death(caller.join().unwrap());
        assert_eq!(died.status.and_then(|status| status.signal()), Some(9));
        killer.kill(); // again, and nobody is hit
    });
}

#[test]
fn a_worker_killed_by_somebody_else_is_a_death() {
    watchdog("a signal", || {
        let mut worker = worker();
        signal("TERM", &worker.killer().pid().to_string());
        let died = death(worker.call::<(), ()>("forever", ()));
        assert_eq!(died.status.and_then(|status| status.signal()), Some(15));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_whose_file_is_gone_starts_itself_all_the_same() {
    let name = "a_program_whose_file_is_gone_starts_itself_all_the_same";
    if is_alone(name) {
        let file = std::env::current_exe().unwrap();
        std::fs::remove_file(file).unwrap();
        return watchdog(name, || assert_eq!(worker().call::<u64, u64>("square", 3), Ok(9)));
    }
    let copy = std::env::temp_dir().join(format!("ch23-{}", process::id()));
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let original = program(name);
    let mut command = Command::new(&copy);
    command.args(original.get_args());
    command.envs(original.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(!copy.exists());
}

// ---- the answers to `Try`
// --------------------------------------------------------------------------------------

// Predict: nothing. The system has reaped the process, so nobody can tell how it ended; but its
// end is noticed at once.
#[test]
fn try_1_with_sigchld_ignored_a_death_has_no_status() {
    let name = "try_1_with_sigchld_ignored_a_death_has_no_status";
    if is_alone(name) {
        return watchdog(name, || {
            let mut worker = worker();
            let died = death(worker.call("say_and_exit", ("bye".to_owned(), 9)));
            assert_eq!((died.status, died.stderr.as_str()), (None, "bye"));
        });
    }
    let original = program(name);
    let mut command = Command::new("env");
    if !command.args(["--ignore-signal=CHLD", "true"]).status().is_ok_and(|ok| ok.success()) {
        return alone::say("SKIPPED: `env` cannot ignore a signal here");
    }
    let mut command = Command::new("env");
    command.arg("--ignore-signal=CHLD").arg(original.get_program());
    command.args(original.get_args());
    command.envs(original.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

// Break: without the thread nobody reads that pipe. A write to it fails, so `eprintln!` panics, and
// the task with it: red are this test, `i2_a_death_…`, `i3_…`, `i4_…` and `try_1_…`, each within a
// second; `i1_what_is_no_worker_…` misses the words. (A reader that is there and does not read
// would be worse: the task waits as soon as the pipe is full.)
#[test]
fn try_2_a_task_that_writes_much_to_standard_error_needs_a_reader_there() {
    let name = "try_2_a_task_that_writes_much_to_standard_error_needs_a_reader_there";
    alone(name, || assert_eq!(worker().call::<usize, ()>("flood", 200_000), Ok(())));
}

// Extend: a thread that kills when the limit has passed, unless the call is over. After that the
// process is dead, so the next call is `Died` too.
fn call_timeout(
    process: &mut Process,
    limit: std::time::Duration,
    task: &str,
) -> Result<(), Error> {
    let killer: Killer = process.killer();
    let (over, is_over) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_over.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                killer.kill();
            }
        });
        let outcome = process.call(task, ());
        drop(over);
        outcome
    })
}

#[test]
fn try_3_a_limit_is_a_killer_and_a_thread() {
    watchdog("a limit", || {
        let mut worker = worker();
        let limit = std::time::Duration::from_millis(20);
        assert!(matches!(call_timeout(&mut worker, limit, "forever"), Err(Error::Died(_))));
        assert!(matches!(worker.call::<u64, u64>("square", 2), Err(Error::Died(_))));
    });
}
