//! Chapter 18: a process that dies at any point costs one call at most, and nothing waits without
//! end. The children are a copy of the chapter in a program of its own, compiled on edition 2021.

#![cfg(unix)]

#[path = "support/alone.rs"]
mod alone;
#[path = "support/door.rs"]
mod door;
mod support;

use alone::{alone, children, count, is_gone, signal};
use concurrent_explained::ch18_child::{Answer, ChildPool};
use door::Door;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;
use std::{env, fs, panic, thread};
use support::{process_until as until, process_watchdog as watchdog};

/// The program of the children.
fn program() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let path = PROGRAM.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let (new, path) =
            (folder.join(format!("ch18_child_{}", process::id())), folder.join("ch18_child"));
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc.args(["--edition", "2021", "-C", "debuginfo=0", "-o"]).arg(&new);
        rustc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ch18_child/program.rs"));
        let output = rustc.output().expect("rustc can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(new, &path).unwrap(); // in one step: these tests may run twice at once
        path
    });
    let mut command = Command::new(path);
    command.env_remove("RUST_BACKTRACE");
    command
}

/// A pool of children.
fn pool(processes: usize) -> ChildPool {
    let mut command = program();
    command.arg("answer-lines");
    ChildPool::with_command(processes, command)
}

/// A pool of one shell that runs `script`.
fn shell(script: &str) -> ChildPool {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    ChildPool::with_command(1, command)
}

fn ask(pool: &ChildPool, line: &str) -> Answer {
    let answer = pool.submit(line);
    watchdog(&format!("an answer to {:?}", line.get(..40).unwrap_or(line)), move || {
        answer.recv().unwrap()
    })
}

fn answers(receivers: Vec<Receiver<Answer>>) -> Vec<Answer> {
    watchdog("all answers", move || receivers.iter().map(|one| one.recv().unwrap()).collect())
}

/// What is said of a process that died.
#[track_caller]
fn death(answer: Answer) -> String {
    let error = answer.expect_err("a process that died gives no answer");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
    error.to_string()
}

/// The process of which [`death`] speaks.
fn dead(news: &str) -> u32 {
    news.split(' ').nth(1).unwrap().parse().unwrap()
}

fn close(pool: ChildPool) {
    watchdog("the end of the pool", move || drop(pool));
}

// ---- a line out, a line back --------------------------------------------------------------------

#[test]
fn a_line_comes_back_as_it_went() {
    let pool = pool(1);
    let long = "é".repeat(1 << 20);
    for line in ["", " ", "a", "\r", "a\r", "\"", "\0", "\u{85}\u{2028}", "é–😀", &long] {
        assert_eq!(ask(&pool, &format!("echo {line}")).unwrap(), line);
    }
    close(pool);
}

#[test]
fn i1_lines_start_in_the_order_of_submit() {
    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ch18_order_{}", process::id()));
    let _ = fs::remove_file(&file);
    let pool = pool(1);
    let lines = (0..100).map(|n| pool.submit(format!("log {n} {}", file.display()))).collect();
    assert!(answers(lines).iter().all(Result::is_ok));
    let log = fs::read_to_string(&file).unwrap();
    assert_eq!(
        log.lines().collect::<Vec<_>>(),
        (0..100).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    fs::remove_file(file).unwrap();
}

#[test]
fn i1_a_process_has_one_line_at_a_time_and_all_processes_work() {
    let (pool, door) = (pool(2), Door::new());
    let lines = (0..3).map(|_| pool.submit(format!("door {}", door.number()))).collect();
    watchdog("three calls in two processes", move || {
        let (one, two) = (door.guest(), door.guest());
        assert_ne!(one.pid, two.pid);
        assert!(door.is_lonely(), "the third call waits for one of the two processes");
        let first = one.pid;
        one.pass();
        let three = door.guest();
        assert_eq!(three.pid, first);
        drop((two, three));
    });
    assert!(answers(lines).iter().all(Result::is_ok));
}

#[test]
fn many_threads_submit_and_each_gets_its_own_answers() {
    watchdog("8 threads of 50 calls", || {
        let pool = pool(3);
        thread::scope(|scope| {
            for thread in 0..8 {
                let pool = &pool;
                scope.spawn(move || {
                    let lines = (0..50).map(|n| format!("{thread} {n}"));
                    let asked: Vec<_> =
                        lines.map(|line| (pool.submit(format!("echo {line}")), line)).collect();
                    for (answer, line) in asked {
                        assert_eq!(answer.recv().unwrap().unwrap(), line);
                    }
                });
            }
        });
    });
}

#[test]
fn a_question_of_two_lines_is_refused_and_reaches_no_process() {
    let pool = pool(1);
    let error = ask(&pool, "echo one\necho two").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(ask(&pool, "echo three").unwrap(), "three");
}

#[test]
fn an_answer_of_two_lines_is_a_panic_of_the_child() {
    let pool = pool(1);
    let news = death(ask(&pool, "two"));
    assert!(news.contains("an answer must be one line"), "{news}");
    assert_eq!(ask(&pool, "echo one").unwrap(), "one");
}

// ---- death --------------------------------------------------------------------------------------

#[test]
fn i2_who_has_died_is_told_with_the_status_and_the_last_words() {
    let pool = pool(1);
    let pid = ask(&pool, "pid").unwrap();
    let news = death(ask(&pool, "exit 3"));
    let said = format!("process {pid} died: exit status: 3. Its last words: \"the last words\"");
    assert_eq!(news, said);
    let news = death(ask(&pool, "panic"));
    assert!(news.contains("died: exit status: 101") && news.contains("a child has no net"));
    assert!(!news.contains("the last words"), "those of the process before: {news}");
}

#[test]
fn i2_the_last_of_a_flood_of_words_is_kept_and_the_flood_does_not_block() {
    // In a process of its own: the flood is passed on.
    alone("i2_the_last_of_a_flood_of_words_is_kept_and_the_flood_does_not_block", || {
        let news = death(ask(&pool(1), "flood"));
        assert!(news.ends_with("xxxthe end\"") && news.len() < 5000, "{news}");
    });
}

#[test]
fn i2_each_call_ends_once_although_processes_are_killed_all_the_time() {
    let pool = pool(3);
    let lines: Vec<_> = (0..300).map(|n| pool.submit(format!("echo {n}"))).collect();
    let outcomes = watchdog("300 calls under fire", move || {
        thread::scope(|scope| {
            let pool = &pool;
            let last = scope.spawn(move || {
                let outcomes: Vec<Answer> = lines.iter().map(|one| one.recv().unwrap()).collect();
                assert!(lines.iter().all(|line| line.try_recv().is_err()), "a second answer");
                outcomes
            });
            while !last.is_finished() {
                pool.kill();
                thread::yield_now();
            }
            last.join().unwrap()
        })
    });
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(answer) => assert_eq!(answer, n.to_string()),
            killed => assert!(death(killed).contains("signal: 9")),
        }
    }
}

#[test]
fn i3_a_death_costs_the_call_that_was_running_and_no_other() {
    let (pool, door) = (pool(1), Door::new());
    let running = pool.submit(format!("door {}", door.number()));
    let behind = (0..10).map(|n| pool.submit(format!("echo {n}"))).collect();
    let pid = watchdog("a task at the door", move || {
        let guest = door.guest();
        signal("KILL", &guest.pid.to_string());
        let pid = guest.pid;
        guest.dies();
        pid
    });
    let news = death(answers(vec![running]).remove(0));
    assert!(dead(&news) == pid && news.contains("signal: 9"), "{news}");
    for (n, answer) in answers(behind).into_iter().enumerate() {
        assert_eq!(answer.unwrap(), n.to_string());
    }
}

#[test]
fn i3_a_process_that_dies_with_nothing_to_do_costs_no_call() {
    let pool = pool(1);
    for _ in 0..3 {
        let pid: u32 = ask(&pool, "pid").unwrap().parse().unwrap();
        signal("KILL", &pid.to_string());
        until("it is dead", || is_gone(&pid));
        assert_ne!(ask(&pool, "pid").unwrap(), pid.to_string());
    }
}

#[test]
fn i3_a_process_that_dies_with_half_of_a_question_costs_no_call() {
    // The first question is answered. Of the second, ten bytes are read.
    let pool = shell("read line; echo $$; head -c 10 > /dev/null; kill -9 $$");
    let first = ask(&pool, "one").unwrap();
    let second = ask(&pool, &"x".repeat(1 << 20)).unwrap();
    assert_ne!(first, second);
}

#[test]
fn i3_a_question_that_kills_each_process_while_it_is_read_starts_two_of_them_at_most() {
    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ch18_starts_{}", process::id()));
    let _ = fs::remove_file(&file);
    let script = "echo >> FILE; head -c 2 > /dev/null; echo a; head -c 10 > /dev/null; kill -9 $$";
    let pool = shell(&script.replace("FILE", file.to_str().unwrap()));
    assert_eq!(ask(&pool, "1").unwrap(), "a");
    let long = "x".repeat(1 << 20);
    // The new one takes two bytes of it, and says `a` before it has read the line.
    let answer = ask(&pool, &long);
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer == "a"));
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
    fs::remove_file(file).unwrap();
}

#[test]
fn i5_half_an_answer_is_none() {
    let pool = pool(1);
    let news = death(ask(&pool, "half"));
    assert!(news.contains("signal: 9"), "{news}");
    assert_eq!(ask(&pool, "echo one").unwrap(), "one");
}

#[test]
fn i5_half_a_question_is_not_answered() {
    let mut child = program();
    child.arg("answer-lines").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo one\necho tw").unwrap();
    let output = watchdog("the end of a child", move || child.wait_with_output().unwrap());
    assert_eq!(output.stdout, b"one\n");
    assert!(output.status.success());
}

#[test]
fn i5_a_child_that_nobody_reads_ends_quietly() {
    let mut child = program();
    child.arg("answer-lines").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"echo one\n").unwrap();
    let output = watchdog("the end of a child", move || child.wait_with_output().unwrap());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn i5_an_idle_child_does_not_outlive_its_parent() {
    let mut parent: Child = program().arg("idle").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let child: u32 = watchdog("the first answer", move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    });
    assert!(!is_gone(&child));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the child is gone", || is_gone(&child));
}

#[test]
fn what_is_no_text_is_a_death_and_the_process_is_killed() {
    let pool = shell(r"read line; printf '\377\n'; read line");
    assert!(death(ask(&pool, "one")).contains("signal: 9"));
    assert!(death(ask(&pool, "two")).contains("signal: 9"));
}

#[test]
fn a_process_that_closes_its_output_and_lives_on_is_killed() {
    let pool = shell("read line; exec >&-; sleep 5 2>&-");
    assert!(death(ask(&pool, "one")).contains("signal: 9"));
}

#[test]
fn a_process_that_closes_its_input_and_lives_on_is_killed() {
    // With an answer, so that the question that cannot be written goes to a new one.
    let pool = shell("read line; exec <&-; echo $$; sleep 5 >&- 2>&-");
    let (one, two) = (ask(&pool, "one").unwrap(), ask(&pool, "two").unwrap());
    assert_ne!(one, two);
    pool.kill();
    close(pool);
}

#[test]
fn a_program_that_cannot_be_started_fails_each_call() {
    let pool = ChildPool::with_command(1, Command::new("/nowhere/at/all"));
    for line in ["one", "two"] {
        assert_eq!(ask(&pool, line).unwrap_err().kind(), ErrorKind::NotFound);
    }
    close(pool);
}

#[test]
fn a_program_that_ends_at_once_costs_one_process_a_call() {
    let pool = shell("echo nothing to do here >&2; exit 7");
    for line in ["one", "two"] {
        let news = death(ask(&pool, line));
        assert!(news.ends_with("exit status: 7. Its last words: \"nothing to do here\""), "{news}");
    }
}

// ---- the end ------------------------------------------------------------------------------------

#[test]
fn kill_ends_what_runs_and_the_queue_goes_on() {
    let (pool, door) = (pool(2), Door::new());
    let at_door = (0..2).map(|_| pool.submit(format!("door {}", door.number()))).collect();
    let behind = (0..10).map(|n| pool.submit(format!("echo {n}"))).collect();
    let guests = watchdog("two tasks at the door", move || [door.guest(), door.guest()]);
    pool.kill();
    for (answer, guest) in answers(at_door).into_iter().zip(guests) {
        assert!(death(answer).contains("signal: 9"));
        guest.dies();
    }
    assert!(answers(behind).iter().all(Result::is_ok));
    pool.kill(); // Two idle ones, of which each may take one more line before it is dead.
    assert!((0..3).any(|_| ask(&pool, "echo one").is_ok()));
}

#[test]
fn i4_drop_waits_for_each_call_and_each_process() {
    alone("i4_drop_waits_for_each_call_and_each_process", || {
        let (threads, files) = (count("task"), count("fd"));
        let pool = pool(2);
        let lines: Vec<_> = (0..50).map(|n| pool.submit(format!("echo {n}"))).collect();
        let died = pool.submit("exit 1");
        drop(pool);
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(line.try_recv().unwrap().unwrap(), n.to_string());
        }
        death(died.try_recv().unwrap());
        assert_eq!(children(), []);
        // A thread that has been joined may be in `/proc` for a moment longer.
        until("no thread is left", || count("task") == threads);
        assert_eq!(count("fd"), files);
    });
}

#[test]
fn a_receiver_that_is_dropped_takes_no_line_back() {
    let (pool, door) = (pool(1), Door::new());
    drop(pool.submit(format!("door {}", door.number())));
    watchdog("the task comes all the same", move || door.guest().pass());
    assert_eq!(ask(&pool, "echo one").unwrap(), "one");
}

#[test]
fn a_pool_that_is_not_used_starts_nothing() {
    alone("a_pool_that_is_not_used_starts_nothing", || {
        let pool = pool(4);
        assert_eq!(children(), []);
        drop(pool);
    });
}

#[test]
fn no_processes_are_a_mistake_at_the_call() {
    let payload = panic::catch_unwind(|| pool(0)).unwrap_err();
    let message = payload.downcast_ref::<&str>().unwrap();
    assert_eq!(*message, "a pool needs at least one process");
}

#[test]
fn a_child_that_forgets_to_serve_says_so_and_starts_nothing() {
    let mut command = program();
    command.args(["answer-lines", "and forget it"]);
    let pool = ChildPool::with_command(1, command);
    let news = death(ask(&pool, "echo one"));
    assert!(news.contains("call serve_if_child first in main"), "{news}");
}

#[test]
fn a_copy_in_a_program_of_its_own_works() {
    let mut parent = program();
    let mut parent = parent.arg("parent").stdout(Stdio::piped()).spawn().unwrap();
    let said = watchdog("the program", move || {
        let mut said = String::new();
        parent.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(parent.wait().unwrap().success());
        said
    });
    assert_eq!(said.lines().nth(1), Some("done"));
}

// ---- answers to the exercises -------------------------------------------------------------------

/// Ten: after a death there is no process, and the next call starts one.
#[test]
fn try_1_each_death_is_followed_by_a_start() {
    let pool = pool(2);
    let lines = (0..10).map(|_| pool.submit("exit 0")).collect();
    let mut processes: Vec<u32> = answers(lines).into_iter().map(|one| dead(&death(one))).collect();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), 10);
}

// It gets `Ok("")`. Red are the tests that hear of a death, for there is none any more: those of
// I2, `i3_a_death_…`, `i5_half_an_answer_is_none`, `kill_…`, `try_1_…` and this one.
#[test]
fn try_2_the_end_of_a_file_is_not_an_answer() {
    let pool = pool(1);
    death(ask(&pool, "exit 0"));
    death(ask(&pool, "half"));
}

/// What the exercise asks for: the answer that has the number of its question.
fn ask_numbered(pool: &ChildPool, number: u32, question: &str) -> Result<String, String> {
    let line = ask(pool, &format!("numbered {number} {question}")).unwrap();
    let answer = line.split_once(' ').filter(|(first, _)| *first == number.to_string());
    answer.map(|(_, answer)| answer.to_string()).ok_or(line)
}

/// It is noticed. It is not cured: the answers that follow are still those of the question before,
/// until somebody looks further than one line for the right one.
#[test]
fn try_3_a_stray_line_is_no_answer() {
    let pool = pool(1);
    assert_eq!(ask_numbered(&pool, 1, "echo one"), Ok("one".into()));
    assert_eq!(ask_numbered(&pool, 2, "print hello"), Err("hello".into()));
    assert_eq!(ask_numbered(&pool, 3, "echo three"), Err("2 printed".into()));
}
