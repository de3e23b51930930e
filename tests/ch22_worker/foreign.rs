//! Workers in other languages.

use std::process::{Command, Stdio};

use concurrent_explained::ch19_wire::from_line;
use concurrent_explained::ch21_protocol::{ErrKind, Message, VERSION};

use super::process::{About, Process, skipped};
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
        assert_eq!(
            (version, about.pid, about.lookahead),
            (VERSION, worker.child.id(), None),
            "{file}"
        );
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

// Try 1: what a person has to type is what these print.
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
