//! The game, played as a player does: on a terminal, level after level.

use crate::support::{process_watchdog, watchdog_for};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The example, built anew if it is not.
fn game() -> PathBuf {
    let this_program = std::env::current_exe().unwrap();
    let build = this_program.ancestors().nth(2).unwrap();
    let profile = match build.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--offline", "--example", "ch31_schedules"]);
    cargo.args(["--profile", profile, "--target-dir"]).arg(build.parent().unwrap());
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    build.join("examples").join(format!("ch31_schedules{}", std::env::consts::EXE_SUFFIX))
}

fn ask(game: &Path, arguments: &[&str]) -> String {
    let output = Command::new(game).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Plays games on terminals: each line of the standard input is one, its arguments and its keys
/// with spaces and bars between. A line is typed after a prompt. Copies what the programs say.
const TERMINAL: &str = r#"
import os, pty, sys
for game in sys.stdin.read().splitlines():
    arguments, *keys = game.split("|")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], [sys.argv[1], "play", *arguments.split()])
    said = b""
    while True:
        try:
            text = os.read(terminal, 65536)
        except OSError:
            break
        said += text
        if not text or said.endswith(b"> ") and not keys:
            break
        if said.endswith(b"> "):
            os.write(terminal, keys.pop(0).encode() + b"\n")
    os.close(terminal)
    os.waitpid(pid, 0)
    sys.stdout.write(said.decode().replace("\r\n", "\n") + "\x1e")
"#;

/// What the game says to each player, by its arguments and keys: on terminals where there is a
/// Python to make them, else through pipes.
fn play(game: &Path, players: &[(String, String)]) -> Vec<String> {
    let has_python = Command::new("python3").args(["-c", "import pty"]).output();
    if !has_python.is_ok_and(|output| output.status.success()) {
        return players.iter().map(|(level, keys)| play_by_pipe(game, level, keys)).collect();
    }
    let players: String = players
        .iter()
        .map(|(level, keys)| format!("{level}|{}\n", keys.replace(' ', "|")))
        .collect();
    let mut python = Command::new("python3");
    let said = type_into(python.args(["-c", TERMINAL]).arg(game), &players);
    said.split_terminator('\x1e').map(str::to_owned).collect()
}

fn play_by_pipe(game: &Path, level: &str, keys: &str) -> String {
    type_into(Command::new(game).arg("play").args(level.split(' ')), &keys.replace(' ', "\n"))
}

fn type_into(command: &mut Command, keys: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    _ = child.stdin.take().unwrap().write_all(keys.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What to type for a schedule: its digits, and then the first way to the end.
fn keys(schedule: &str) -> String {
    let mut keys = String::new();
    for (i, part) in schedule.trim_start_matches('s').split('.').enumerate() {
        match i % 2 {
            0 => keys += part,
            _ => keys += &"0".repeat(part.parse().unwrap()),
        }
    }
    keys + " f"
}

#[test]
fn each_level_is_won_on_a_terminal_and_each_right_version_is_refused() {
    watchdog_for(Duration::from_secs(120), "the game", || {
        let game = game();
        let solutions = ask(&game, &["solve"]);
        let solutions: Vec<(&str, String)> = solutions
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(level, schedule)| (level, keys(schedule.trim())))
            .collect();
        assert_eq!(solutions.len(), 12, "{solutions:?}");
        let players = solutions.iter().flat_map(|(level, keys)| {
            [(level.to_string(), keys.clone()), (format!("{level} right"), format!("{keys} p q"))]
        });
        let said = play(&game, &players.collect::<Vec<_>>());
        for ((level, _), said) in solutions.iter().zip(said.chunks(2)) {
            let (wrong, right) = (&said[0], &said[1]);
            assert!(wrong.contains("You broke it, by "), "{level}: {wrong}");
            assert!(wrong.contains("none breaks it."), "{level}: {wrong}");
            assert!(right.contains("Nothing broke"), "{level}: {right}");
            assert!(!right.contains("You broke it"), "{level}: {right}");
            assert!(right.contains("The right version: all "), "{level}: {right}");
        }
        let list = ask(&game, &["list"]);
        assert!(solutions.iter().all(|(level, _)| list.contains(&format!("play {level}"))));
    });
}

#[test]
fn undo_restart_hint_code_and_a_wrong_key_do_what_they_say() {
    process_watchdog("the game", || {
        let game = game();
        let said = play_by_pipe(&game, "lost_wake_up", "1 u B a B r h l ? g");
        assert!(said.matches("\n    taken = ").count() > 8, "{said}"); // shown after each key
        assert!(said.contains("B has looked."), "{said}");
        assert_eq!(said.matches("struct TwoLooks {").count(), 2, "{said}");
        assert_eq!(said.matches("u: undo   r: restart   l: list").count(), 2, "{said}");
        assert!(said.contains("101 breaks it:"), "{said}");
        let said = play_by_pipe(&game, "lost_wake_up", "101 f");
        assert!(said.contains("You broke it, by 101"), "{said}");
        assert!(ask(&game, &["play", "no_such_level"]).contains("There is no level"));
    });
}
