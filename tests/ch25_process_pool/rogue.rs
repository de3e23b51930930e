//! Workers that misbehave as told: what they do, when they do it, and two ways to be a worker.

use concurrent_explained::ch19_wire::{Decoded, Reader};
use concurrent_explained::{Tasks, Wire, worker_mark};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};
use std::{env, hint, thread};

/// What a worker does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Panic,
    Exit,
    Abort,
    Sigkill,
    Overflow,
    ClosesStdout,
    ClosesStdin,
    Garbage,
    HalfALine,
    WrongId,
    RepeatedId,
    NoHello,
    Hangs,
}

/// When it does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    BeforeHello,
    Idle,
    Decoding,
    Running,
    Replying,
    Shutdown,
    Argument,
    Result,
}

use Deed::*;
use Moment::*;

pub(crate) const DEEDS: [Deed; 13] = [
    Panic,
    Exit,
    Abort,
    Sigkill,
    Overflow,
    ClosesStdout,
    ClosesStdin,
    Garbage,
    HalfALine,
    WrongId,
    RepeatedId,
    NoHello,
    Hangs,
];
pub(crate) const MOMENTS: [Moment; 8] =
    [BeforeHello, Idle, Decoding, Running, Replying, Shutdown, Argument, Result];

pub(crate) const MIB: usize = 1 << 20;

/// This test program as a worker of the library, or as one written by hand.
pub(crate) fn myself(entry: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    if entry == "worker_entry" {
        command.arg(worker_mark(None));
    }
    command.args([entry, "--exact", "--nocapture"]);
    command
}

/// The deed that a word on the command line names.
pub(crate) fn deed_of(word: &str) -> Option<Deed> {
    DEEDS.into_iter().find(|deed| format!("{deed:?}") == word)
}

/// Becomes a process that has closed a descriptor and lives on. Safe Rust cannot close its own,
/// but a shell can.
fn become_a_shell(script: &str) -> ! {
    let error = Command::new("sh").args(["-c", script]).exec();
    panic!("no shell: {error}");
}

fn linger() -> ! {
    loop {
        thread::park();
    }
}

/// What needs no protocol: any code in a worker can do it.
pub(crate) fn commit(deed: Deed) {
    match deed {
        Panic => panic!("as told"),
        Exit => process::exit(3),
        Abort => process::abort(),
        Sigkill => {
            let _ = Command::new("sh").args(["-c", "kill -9 $PPID"]).stdin(Stdio::null()).status();
            linger()
        }
        Overflow => _ = dig(1),
        ClosesStdout => become_a_shell("exec 1>&-; exec sleep 1000"),
        ClosesStdin => become_a_shell("exec 0<&-; exec sleep 1000"),
        NoHello | Hangs => linger(),
        Garbage | HalfALine | WrongId | RepeatedId => unreachable!("a matter of the protocol"),
    }
}

#[expect(unconditional_recursion, reason = "that is the deed")]
fn dig(depth: u64) -> u64 {
    let pit = hint::black_box([depth; 512]);
    dig(pit[7] + 1) + pit[9]
}

// ---- a worker of the library whose tasks misbehave
// -------------------------------------------------------------

/// Commits a deed while it is decoded.
#[derive(Debug)]
pub(crate) struct Trap(pub(crate) String);

impl Wire for Trap {
    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let word = String::decode(input)?;
        deed_of(&word).into_iter().for_each(commit);
        Ok(Trap(word))
    }
}

/// Commits a deed while it is encoded.
#[derive(Debug)]
pub(crate) struct Parcel(pub(crate) String);

impl Wire for Parcel {
    fn encode(&self, out: &mut String) {
        out.push('"');
        deed_of(&self.0).into_iter().for_each(commit);
        out.push('"');
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        String::decode(input).map(Parcel)
    }
}

pub(crate) fn good(n: u64) -> u64 {
    n
}

/// The tasks of the matrix, for a worker of the library.
pub(crate) fn tasks_of_the_matrix(tasks: Tasks) -> Tasks {
    let run = |word: String| {
        deed_of(&word).into_iter().for_each(commit);
        word
    };
    tasks
        .with("good", good)
        .with("bad-Decoding", |trap: Trap| trap.0)
        .with("bad-Running", run)
        .with("bad-Replying", |word: String| Parcel(word))
}

// ---- a worker written by hand
// ----------------------------------------------------------------------------------

/// Speaks the protocol by hand, and commits the deed at the moment that the command line names
/// (`deed:Exit`, `moment:Idle`); without them it is a well-behaved worker. Run by `cargo test` as
/// a test, it does nothing.
pub(crate) fn serve_by_hand() {
    let told = |key: &str| env::args().find_map(|word| word.strip_prefix(key).map(str::to_owned));
    if told("by-hand").is_none() {
        return;
    }
    let deed = told("deed:").and_then(|word| deed_of(&word));
    let moment = told("moment:")
        .and_then(|word| MOMENTS.into_iter().find(|moment| format!("{moment:?}") == word));
    let mut hand = Hand { deed, moment, last: None };
    hand.act(BeforeHello, None);
    hand.say("\x1eready 1 4\n");
    let mut input = BufReader::new(File::open("/dev/stdin").unwrap());
    while let Some((id, task)) = read_head(&mut input) {
        let bad = task == "bad";
        if bad && hand.moment == Some(Argument) {
            let _ = input.by_ref().take(100_000).read_to_end(&mut Vec::new());
            hand.act(Argument, None);
        }
        let mut argument = String::new();
        let _ = input.read_line(&mut argument);
        if bad {
            hand.act(Decoding, Some(id));
            hand.say("\x1e\n"); // still here
            hand.act(Running, Some(id));
            if hand.moment == Some(Result) {
                let half = "x".repeat(MIB / 2);
                hand.say(&format!("\x1e{id} ok \"{half}"));
                hand.act(Result, Some(id));
            } else {
                hand.act(Replying, Some(id));
            }
        }
        // What is there already: a look at it must not wait.
        let ahead = input.buffer();
        if told("swaps").is_some() && ahead.contains(&b'\n') && !ahead.starts_with(b"recall") {
            let (second, _) = read_head(&mut input).unwrap();
            let mut its_argument = String::new();
            let _ = input.read_line(&mut its_argument);
            hand.say(&format!("\x1e{second} ok {}\n", its_argument.trim_end()));
        }
        hand.say(&format!("\x1e{id} ok {}\n", argument.trim_end()));
        hand.last = Some(id);
        if task == "arm" {
            hand.act(Idle, None);
        }
    }
    hand.act(Shutdown, None);
    process::exit(0);
}

/// The id and the task of the next request; its argument is left unread. Recalls find nothing that
/// waits.
fn read_head(input: &mut impl BufRead) -> Option<(u64, String)> {
    let mut words = [String::new(), String::new()];
    let mut which = 0;
    while which < 2 {
        let mut byte = [0];
        input.read_exact(&mut byte).ok()?;
        match byte[0] {
            b' ' => which += 1,
            b'\n' => (words, which) = Default::default(), // a recall
            byte => words[which].push(char::from(byte)),
        }
    }
    let [id, task] = words;
    Some((id.parse().ok()?, task))
}

struct Hand {
    deed: Option<Deed>,
    moment: Option<Moment>,
    last: Option<u64>,
}

impl Hand {
    fn say(&self, text: &str) {
        let mut output = io::stdout().lock();
        if output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_err() {
            process::exit(0);
        }
    }

    /// Commits the deed, if this is the moment; `id` is that of the running call.
    fn act(&self, now: Moment, id: Option<u64>) {
        let Some(deed) = self.deed.filter(|_| self.moment == Some(now)) else { return };
        if now == Result && matches!(deed, Garbage | WrongId | RepeatedId) {
            self.say("\n"); // so much for the half
        }
        let last = self.last.unwrap_or(0);
        match (deed, id) {
            (Garbage, _) => self.say("\x1eGARBAGE IN\n"),
            (WrongId, _) => self.say("\x1e999999 ok 1\n"),
            (RepeatedId, Some(id)) if now == Replying => {
                self.say(&format!("\x1e{id} ok \"\"\n\x1e{id} ok \"\"\n"))
            }
            (RepeatedId, _) => self.say(&format!("\x1e{last} ok 1\n")),
            (HalfALine, _) => {
                let half = if now == Result { "" } else { "\x1e7 o" };
                self.say(half);
                process::exit(0);
            }
            // As a `main` that panics; the harness would go on printing.
            (Panic, _) => {
                let _ = std::panic::catch_unwind(|| commit(Panic));
                process::exit(101);
            }
            // It still gives its answer, but takes no more requests.
            (ClosesStdin, Some(_)) => become_a_shell(&format!(
                "exec 0<&-; head -c {} /dev/zero | tr '\\0' x; echo '\"'; exec sleep 1000",
                MIB / 2
            )),
            (deed, _) => commit(deed),
        }
        linger()
    }
}
