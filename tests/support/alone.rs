//! A test in a process of its own: then its descriptors, its threads and its children can be
//! counted, it can be killed, and what its workers print does not mix with the report of the tests.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses the part it needs"
)]

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, fs, thread};

use crate::support::process_watchdog as watchdog;

/// Holds the name of the test in its own process.
const ALONE: &str = "TEST_ALONE";

/// The arguments that make the program of these tests run the test called `name`.
pub fn arguments(name: &str) -> [&str; 3] {
    [name, "--exact", "--nocapture"]
}

/// The program of these tests, about to run its test `name` alone, with its output to be read.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("a running program has a file"));
    command.args(arguments(name)).env(ALONE, name).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// True in the process that [`program`] started to run the test called `name`.
pub fn is_alone(name: &str) -> bool {
    env::var(ALONE).is_ok_and(|alone| alone == name)
}

/// Runs `body` in a process of its own, which must succeed. `name` is that of the test around it.
pub fn alone(name: &'static str, body: impl FnOnce() + Send + 'static) {
    if is_alone(name) {
        return watchdog(name, body);
    }
    let ended = finish(name, program(name).spawn().expect("this program can be started"));
    assert!(
        ended.status.success(),
        "{name}: {}\n{}\n{}",
        ended.status,
        ended.stdout(),
        ended.stderr()
    );
    say_loud(&ended);
}

/// What a test says although it succeeds: what it skipped, and what a soak has counted.
pub fn say_loud(ended: &Ended) {
    let is_loud = |line: &&str| line.starts_with("SKIPPED") || line.starts_with("SOAK");
    ended.stderr().lines().filter(is_loud).for_each(say);
}

/// Says it where the harness does not swallow it.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// How a program has ended, and what it said.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Ended {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Reads what `program` says and waits for its end.
pub fn finish(what: &str, mut program: Child) -> Ended {
    watchdog(what, move || {
        let mut pipe = program.stderr.take();
        let stderr = thread::spawn(move || read_all(pipe.as_mut()));
        let stdout = read_all(program.stdout.as_mut());
        let stderr = stderr.join().unwrap();
        Ended { status: program.wait().unwrap(), stdout, stderr }
    })
}

fn read_all(pipe: Option<&mut impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.map(|pipe| pipe.read_to_end(&mut bytes).unwrap());
    bytes
}

/// The state of a process as one letter, `Z` for one that is dead and not reaped; `None` if there
/// is none.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The children of this process, dead ones that are not reaped included.
pub fn children() -> Vec<u32> {
    children_of(std::process::id())
}

/// The children of a process.
pub fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok())
            == Some(parent)
    };
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).filter(is_child).collect()
}

/// True if the process runs no more. An orphan is reaped by whoever adopts it, in its own time.
pub fn is_gone(pid: &u32) -> bool {
    matches!(state(*pid), None | Some('Z' | 'X'))
}

/// The most memory that a process has had, in KiB; 0 if there is none.
pub fn peak_memory(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

/// The memory that a process has now, in KiB; 0 if there is none.
pub fn memory_now(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// `program`, started so that Ctrl-C ends it: who runs the tests may have that signal ignored,
/// which children inherit. `None`, said loudly, if this system cannot do that.
pub fn heedful(program: &Path) -> Option<Command> {
    let env = |program: &Path| {
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(program);
        command
    };
    if !env("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
        say("SKIPPED: `env` cannot undo an ignored Ctrl-C here");
        return None;
    }
    Some(env(program))
}

/// Sends a signal as a terminal or a person does: to a process, or with a minus to a group.
pub fn signal(name: &str, target: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {target}")]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {target}");
}

/// How many entries a directory of `/proc/self` has: `fd` or `task`.
pub fn count(directory: &str) -> usize {
    fs::read_dir(format!("/proc/self/{directory}")).unwrap().count()
}
