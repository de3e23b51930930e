//! Gates that hold a task in another process, and programs whose whole output is looked at.

use super::rogue::myself;
use concurrent_explained::ch25_process_pool::Builder;
use concurrent_explained::{Error, Tasks};
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A path in the temporary directory that nobody else uses.
pub(crate) fn fresh_path(what: &str) -> String {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let number = LAST.fetch_add(1, Ordering::SeqCst);
    env::temp_dir()
        .join(format!("ch25-{what}-{}-{number}", process::id()))
        .to_str()
        .unwrap()
        .to_owned()
}

/// Where tasks stop until they are let through.
pub(crate) struct Gate {
    listener: UnixListener,
    path: String,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let path = fresh_path("gate");
        Gate { listener: UnixListener::bind(&path).unwrap(), path }
    }

    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    /// Waits for a task to arrive; dropping the guest lets it through.
    pub(crate) fn arrival(&self) -> UnixStream {
        self.listener.accept().unwrap().0
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The task that stops at a gate; then it says in which process that was.
pub(crate) fn at_gate(path: String) -> u32 {
    UnixStream::connect(path).unwrap().read_to_end(&mut Vec::new()).unwrap();
    process::id()
}

pub(crate) fn at_gate_then((path, deed): (String, String)) {
    at_gate(path);
    super::rogue::deed_of(&deed).into_iter().for_each(super::rogue::commit);
}

pub(crate) fn length(text: String) -> usize {
    text.len()
}

pub(crate) fn speak_and_exit(words: String) {
    eprint!("{words}");
    process::exit(99);
}

/// Appends a line, in one piece.
pub(crate) fn log(file: &str, n: u64) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{n}\n").as_bytes()).unwrap();
}

pub(crate) fn kill(pid: u32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
}

// ---- programs

pub(crate) const MEGABYTES: &[u8] = &[b'm'; 2 << 20];

fn noise(n: u64) -> u64 {
    let bytes: &[u8] = match n {
        0 => b"no newline|",
        1 => b"\x1e1 ok 666\n\x1e2 ok 666\n",
        2 => MEGABYTES,
        _ => b"\n\xff\xfe|",
    };
    io::stdout().write_all(bytes).unwrap();
    n
}

/// Starts a process that inherits all pipes but standard input, and says its number.
fn have_grandchild((script, deed): (String, String)) -> u32 {
    #[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
    let grandchild = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn().unwrap();
    super::rogue::deed_of(&deed).into_iter().for_each(super::rogue::commit);
    grandchild.id()
}

pub(crate) fn tasks_of_the_plays(tasks: Tasks) -> Tasks {
    let tasks = tasks.with("noise", noise).with("have_grandchild", have_grandchild);
    tasks.with("at_gate_then", at_gate_then).with("speak_and_exit", speak_and_exit)
}

/// Runs this test program as the program `play`, and returns what it printed.
pub(crate) fn run(play: &str) -> Vec<u8> {
    let mut command = myself("play_entry");
    let output = command
        .arg(format!("play:{play}"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    output.stdout
}

/// The program that the command line names.
pub(crate) fn play(pool: fn(usize) -> Builder) {
    match env::args().find_map(|word| word.strip_prefix("play:").map(str::to_owned)).as_deref() {
        Some("noise") => play_noise(pool(1)),
        Some("grandchildren") => play_grandchildren(pool(1)),
        _ => {}
    }
}

fn play_noise(builder: Builder) {
    let pool = builder.build();
    let futures: Vec<_> = (0..4).map(|n| pool.submit(noise, n)).collect();
    assert!(futures.into_iter().zip(0..).all(|(future, n)| future.result() == Ok(n)));
    pool.shutdown();
    println!("the results are right");
}

fn play_grandchildren(builder: Builder) {
    let pool = builder.build();
    let leashes = [(); 4].map(|()| Leash::new());
    let [silent, noisy, orphan, chatty] = [0, 1, 2, 3].map(|which| {
        let tick = if which % 2 == 0 { "" } else { "echo tick; " };
        format!("while [ -e {} ]; do {tick}sleep 0.02; done", leashes[which].0)
    });
    assert!(pool.submit(have_grandchild, (silent, String::new())).result().is_ok());
    assert!(pool.submit(have_grandchild, (noisy, String::new())).result().is_ok());
    for script in [orphan, chatty] {
        let dies = pool.submit(have_grandchild, (script, "Abort".to_owned()));
        let innocent = pool.submit(noise, 0);
        assert!(matches!(dies.result(), Err(Error::Died(_))));
        assert_eq!(innocent.result(), Ok(0));
    }
    pool.shutdown();
    assert!(pool.pids().is_empty());
    println!("all is well");
}

/// A file as long as which a grandchild lives, so that none is left behind.
struct Leash(String);

impl Leash {
    fn new() -> Self {
        let path = fresh_path("leash");
        fs::write(&path, "").unwrap();
        Leash(path)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
