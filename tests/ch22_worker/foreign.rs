//! Workers in other languages, and the referee that plays against them.

use std::env::current_exe;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::{fs, process};

use concurrent_explained::ch19_wire::from_line;
use concurrent_explained::ch21_protocol::{ErrKind, Message, VERSION};

use super::process::{About, Process, skipped};
use crate::referee::{Played, play_all, report};
use crate::support::process_watchdog as watchdog;

/// Speaks to a worker in another language; `None` if its interpreter is not there.
fn foreign(interpreter: &str, file: &str) {
    let script = format!("{}/examples/workers/{file}", env!("CARGO_MANIFEST_DIR"));
    if Command::new(interpreter).arg("--version").stdin(Stdio::null()).output().is_err() {
        skipped(&format!("there is no {interpreter} here, so {file} has not been tried"));
        return;
    }
    let (interpreter, file) = (interpreter.to_string(), file.to_string());
    watchdog("a worker in another language", move || {
        let mut command = Command::new(interpreter);
        command.arg(script);
        let mut worker = Process::start(command, None);
        let ready = worker.hear().unwrap_or_else(|| panic!("{file} says nothing"));
        let Ok(Message::Ready { version, about }) = Message::parse(&ready) else {
            panic!("{file}: {ready}")
        };
        let about: About = from_line(about).unwrap();
        assert_eq!((version, about.pid), (VERSION, worker.child.id()), "{file}");
        assert_eq!(about.tasks, ["square"]);
        // One by one: it answers at once, and does not wait for more.
        for n in [0, 1, 12, 999_999_999_u64] {
            worker.say(&format!("{n} square {n}\n"));
            assert_eq!(worker.hear(), Some(format!("{n} ok {}", n * n)), "{file}");
        }
        worker.say("recall\n7 cube 3\n8 square \"x\"\n9 square [1]\n10 square 3\n");
        for (id, kinds) in [
            (7, [ErrKind::UnknownTask; 2]),
            (8, [ErrKind::BadArgument, ErrKind::Panicked]),
            (9, [ErrKind::BadArgument, ErrKind::Panicked]),
        ] {
            let text = worker.hear().unwrap();
            let Ok(Message::Reply { id: of, outcome: Err((kind, _)) }) = Message::parse(&text)
            else {
                panic!("{text}")
            };
            assert!(of == id && kinds.contains(&kind), "{file}: {text}");
        }
        assert_eq!(worker.hear().as_deref(), Some("10 ok 9"), "{file}");
        assert_eq!(worker.end(), Some(0), "{file}");
    });
}

#[test]
fn a_worker_in_python() {
    foreign("python3", "square.py");
}

#[test]
fn a_worker_in_shell() {
    foreign("sh", "square.sh");
}

#[test]
fn a_worker_in_node() {
    foreign("node", "square.mjs");
}

/// The cases that a worker breaks, as the referee tells them.
fn broken(command: impl Fn() -> Command + Send + 'static) -> Vec<Played> {
    watchdog("a referee", move || {
        let played = play_all(|| {
            let mut command = command();
            command.stderr(Stdio::null());
            command
        });
        assert!(played.len() == 45 || played.iter().any(|case| case.fault.is_some()));
        played.into_iter().filter(|case| case.fault.is_some()).collect()
    })
}

/// Plays against a worker in another language.
fn keeps_all_rules(interpreter: &str, file: &str) {
    let script = format!("{}/examples/workers/{file}", env!("CARGO_MANIFEST_DIR"));
    if Command::new(interpreter).arg("--version").stdin(Stdio::null()).output().is_err() {
        return skipped(&format!("there is no {interpreter} here, so {file} has met no referee"));
    }
    let interpreter = interpreter.to_string();
    let broken = broken(move || {
        let mut command = Command::new(&interpreter);
        command.arg(&script);
        command
    });
    assert!(broken.is_empty(), "{}", report(&broken));
}

#[test]
fn the_worker_in_python_keeps_all_rules() {
    keeps_all_rules("python3", "square.py");
}

#[test]
fn the_worker_in_shell_keeps_all_rules() {
    keeps_all_rules("sh", "square.sh");
}

#[test]
fn the_worker_in_node_keeps_all_rules() {
    keeps_all_rules("node", "square.mjs");
}

#[test]
fn the_worker_of_this_chapter_keeps_all_rules() {
    let broken = broken(|| {
        let mut command = Command::new(current_exe().unwrap());
        command.args(["serve-tasks", "ch22_worker::process::worker_entry", "--exact"]);
        command
    });
    assert!(broken.is_empty(), "{}", report(&broken));
}

// Each breaks one rule, and the referee names the first case, the line, the byte and the rule.
#[test]
fn the_referee_names_line_byte_and_rule() {
    if Command::new("sh").args(["-c", ":"]).status().is_err() {
        return skipped("there is no sh here, so the referee has met nobody");
    }
    let answer = |ready: &str, reply: &str| {
        let body = r#"case $id/$task/$n in recall*) ;;
            */square/ | */square/*[!0-9]*) printf '\036%s err bad_argument "no"\n' $id ;;
            */square/*) REPLY ;;
            *) printf '\036%s err unknown_task "no"\n' $id ;; esac"#;
        format!(
            "printf '{ready}\\n'; while read -r id task n; do {}; done",
            body.replace("REPLY", reply)
        )
    };
    let right = r"printf '\036%s ok %d\n' $id $((n*n))";
    for (script, name, rule, line, byte, what) in [
        (answer("\\036ready 2", right), "it gets ready", 1, 1, 8, "expected version 1, found 2"),
        (
            answer("ready 1", right),
            "it gets ready",
            2,
            1,
            1,
            "`ready` without ␞ in front is output",
        ),
        (answer("\\036hello", right), "it gets ready", 1, 1, 2, "expected `ready`, found hello"),
        (
            answer("\\036ready 1 {\"tasks\":[]}", right),
            "it gets ready",
            1,
            1,
            10,
            "no `square` among its tasks []",
        ),
        (
            answer("\\036ready 1 [", right),
            "it gets ready",
            1,
            1,
            10,
            "column 1: expected `{`, found \"[\"",
        ),
        ("exit 3".into(), "it gets ready", 1, 0, 1, "the output ends before any message"),
        (
            answer("\\036ready 1", r"printf '\036%s okay %d\n' $id $((n*n))"),
            "it gets ready",
            3,
            2,
            10,
            "expected ok or err, found okay",
        ),
        (
            answer("\\036ready 1", r"printf '\036x%s ok %d\n' $id $((n*n))"),
            "it gets ready",
            3,
            2,
            2,
            "expected an id, found x1000001",
        ),
        (
            answer("\\036ready 1", r"printf '\0361%s ok %d\n' $id $((n*n))"),
            "it gets ready",
            4,
            2,
            2,
            "expected 1000001, which is due, found 11000001",
        ),
        (
            answer("\\036ready 1", r"printf 'out\036%s ok %d\n' $id $((n+n))"),
            "it gets ready",
            5,
            2,
            16,
            "expected 1, found 2",
        ),
        (
            answer("\\036ready 1", r"printf '\036%s ok #3 %d\n' $id $((n*n))"),
            "it gets ready",
            7,
            2,
            13,
            "it says 3 bytes, and 1 come",
        ),
        (
            answer("\\036ready 1", r"printf '\036%s ok \377\n' $id"),
            "it gets ready",
            2,
            2,
            13,
            "not UTF-8",
        ),
        (
            answer("\\036ready 1", r"printf '\036%s ok %d' $id $((n*n)); exit"),
            "it gets ready",
            2,
            2,
            14,
            "the message has no newline at its end",
        ),
        (
            answer("\\036ready 1", r"printf '\036%s ok %d\n\036%s ok 0\n' $id $((n*n)) $id"),
            "the square of 0",
            4,
            1,
            2,
            "expected 7, which is due, found 1000001",
        ),
        (
            answer("\\036ready 1", r#"printf '\036%s err tired "x"\n' $id"#),
            "it gets ready",
            5,
            2,
            10,
            "expected ok, found err",
        ),
        (
            answer("\\036ready 1", right).replace("unknown_task", "unknown"),
            "a task it does not know",
            6,
            1,
            8,
            "expected unknown_task, found unknown",
        ),
        (
            answer("\\036ready 1", right).replace("bad_argument \"no\"", "bad_argument no"),
            "the square of a string",
            3,
            1,
            21,
            "expected a JSON string, found no",
        ),
        (
            answer("\\036ready 1", right)
                .replace("recall*) ;;", "recall*) printf '\\036recall ok 1\\n' ;;"),
            "recall, and there is nothing to give back",
            3,
            1,
            2,
            "expected an id, found recall",
        ),
        (
            answer("\\036ready 1", right) + "; exit 3",
            "the end, before any request",
            9,
            0,
            1,
            "it exits with exit status: 3",
        ),
    ] {
        let what_it_runs = script.clone();
        let broken = broken(move || {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            command
        });
        let first = broken.first().unwrap_or_else(|| panic!("all kept: {what_it_runs}"));
        let fault = first.fault.as_ref().unwrap();
        assert_eq!(
            (&first.name[..], fault.rule, fault.line, fault.byte, &fault.what[..]),
            (name, rule, line, byte, what),
            "{what_it_runs}\n{first}"
        );
    }
}

// The exercise by hand: what a person types at `be-the-worker`, through a pipe with a name.
#[test]
fn a_person_can_be_the_worker_of_a_real_pool() {
    let target = current_exe().unwrap();
    let example = target.ancestors().nth(2).unwrap().join("examples/ch22_worker");
    let pipe = std::env::temp_dir().join(format!("ch22-typed-{}", process::id()));
    let made = Command::new("mkfifo").arg(&pipe).status().is_ok_and(|made| made.success());
    if !made || !example.exists() {
        return skipped("there is no mkfifo here, or no example: nobody has been the worker");
    }
    watchdog("a person who types", move || {
        let mut program = Command::new(example);
        program.args(["be-the-worker".as_ref(), pipe.as_os_str()]);
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = program.spawn().unwrap();
        let mut seen = BufReader::new(program.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut typed = OpenOptions::new().write(true).open(&pipe).unwrap();
        writeln!(typed, "^ready 1").unwrap();
        for (request, reply) in [
            ("1 square 12", "^1 ok 144"),
            ("2 square 13", "a word without a mark\n^2 err panicked \"no idea\""),
            ("3 square 14", "^3 ok fourteen"),
        ] {
            let asked = format!("[you are asked] {request}");
            assert!(seen.any(|line| line.contains(&asked)), "{request}");
            writeln!(typed, "{reply}").unwrap();
        }
        let said: Vec<String> = seen.collect();
        let output = program.wait_with_output().unwrap();
        let heard = String::from_utf8(output.stdout).unwrap();
        assert!(heard.contains("the square of 12 is 144\n"), "{heard}{said:?}");
        assert!(heard.contains("a word without a mark\n"), "{heard}");
        assert!(heard.contains("no square of 13: panicked: no idea"), "{heard}");
        assert!(heard.contains("no square of 14: refused: the result of `square`"), "{heard}");
        fs::remove_file(&pipe).unwrap();
    });
}
