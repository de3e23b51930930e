//! The referee: plays a parent against a worker in any language, some forty cases, and says which
//! rule it breaks, in which line of its output and at which byte. A process that keeps to the rules
//! plays the next case as well, until one ends it.
//!
//! The worker has one task, `square`, for whole numbers up to 999 999 999.

use std::fmt::{self, Write as _};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use concurrent_explained::ch21_protocol::{EACH, MARK, RECALL};
use concurrent_explained::{Reader, Wire, from_line};

/// The rules of the protocol, for a worker.
pub(crate) const RULES: [&str; 9] = [
    "`ready` is the first message, once: ␞ready 1, then a number or nothing, then a JSON object or nothing",
    "a message starts with ␞ (ASCII 30), ends with a newline, and is UTF-8",
    "a reply is the id of its request, then `ok` and JSON, or `err`, a kind and a JSON string",
    "each request has one reply, in the order of the requests, and none waits for more input",
    "`ok` carries the result",
    "`unknown_task` for a name it does not know, `bad_argument` or `panicked` for an argument",
    "the number behind # is that of the bytes from behind its space to the newline",
    "`recall` has no reply of its own: what is not started may come back as `returned`",
    "after the end of its input a worker answers what it has received whole, and exits with 0",
];

/// How long the referee waits for a line, or for an exit.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that happens in a case.
enum Move {
    /// The referee writes this.
    Send(String),
    /// The worker replies to this id.
    Hear(u64, Answer),
    /// The input ends, and then the worker.
    End,
}
use Move::{End, Hear, Send};

/// What a reply has to be.
enum Answer {
    Square(u64),
    UnknownTask,
    BadArgument,
    /// A worker may know `square*`, or not.
    EachOrUnknown(&'static str),
}
use Answer::{BadArgument, EachOrUnknown, Square, UnknownTask};

/// What is wrong, and where: lines and bytes are counted from 1.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) rule: usize,
    pub(crate) line: usize,
    pub(crate) byte: usize,
    pub(crate) what: String,
}

/// A case that was played.
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) fault: Option<Fault>,
    exchange: Vec<String>,
}

/// The cases, each with what happens after `ready`.
fn cases() -> Vec<(String, Vec<Move>)> {
    let request = |id: u64, argument: &str| Send(format!("{id} square {argument}\n"));
    let ask = |id: u64, n: u64| [request(id, &n.to_string()), Hear(id, Square(n))];
    let refuse = |text: &str, answer: Answer| [Send(format!("7 {text}\n")), Hear(7, answer)];
    let mut cases: Vec<(String, Vec<Move>)> = Vec::new();
    let mut add = |name: &str, moves: Vec<Move>| cases.push((name.to_string(), moves));
    let batch = |ids: &[u64]| {
        let lines = ids.iter().map(|id| format!("{id} square {id}\n")).collect();
        let hears = ids.iter().map(|id| Hear(*id, Square(*id)));
        [Send(lines)].into_iter().chain(hears).collect::<Vec<_>>()
    };

    add("it gets ready", vec![]);
    for n in [0, 1, 2, 3, 9, 10, 12, 255, 46_341, 65_536, 999_999_999] {
        add(&format!("the square of {n}"), ask(7, n).into());
    }
    add("the smallest id", ask(0, 12).into());
    add("the largest id", ask(u64::MAX, 12).into());
    add("ids that go down", [ask(9, 3), ask(5, 4)].into_iter().flatten().collect());
    add(
        "one id twice, one call after the other",
        [ask(7, 3), ask(7, 4)].into_iter().flatten().collect(),
    );
    add("ten calls, one after the other", (1..=10).flat_map(|n| ask(n, n)).collect());
    add("two requests in one write", batch(&[1, 2]));
    add("ten requests in one write", batch(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]));
    add("two hundred requests in one write", batch(&(1..=200).collect::<Vec<_>>()));
    add(
        "a request in two writes",
        vec![Send("7 squ".into()), Send("are 12\n".into()), Hear(7, Square(12))],
    );
    add(
        "a request byte by byte",
        "7 square 12\n".chars().map(|c| Send(c.into())).chain([Hear(7, Square(12))]).collect(),
    );
    add(
        "a request and a half, then the other half",
        vec![
            Send("7 square 12\n8 square 1".into()),
            Hear(7, Square(12)),
            Send("3\n".into()),
            Hear(8, Square(13)),
        ],
    );
    add("a task it does not know", refuse("cube 3", UnknownTask).into());
    add("a task with a name like another", refuse("squares 3", UnknownTask).into());
    add("a task whose name is not ASCII", refuse("größe 3", UnknownTask).into());
    add("a task with a long name", refuse(&format!("{} 3", "x".repeat(300)), UnknownTask).into());
    add(
        "the task for each item of an array",
        refuse(&format!("square{EACH} [2,3]"), EachOrUnknown("[{\"ok\":4},{\"ok\":9}]")).into(),
    );
    for (name, argument) in [
        ("a string", "\"x\""),
        ("a string that is not ASCII", "\"é␞\""),
        ("an array", "[1]"),
        ("an object", "{\"n\":1}"),
        ("null", "null"),
        ("half of an array", "[1"),
        ("two numbers", "1 2"),
        ("nothing", ""),
        ("a word", "twelve"),
    ] {
        add(
            &format!("the square of {name}"),
            refuse(&format!("square {argument}"), BadArgument).into(),
        );
    }
    let long = format!("square \"{}\"", "x".repeat(100_000));
    add("the square of a string of 100 000 bytes", refuse(&long, BadArgument).into());
    let after = refuse("square [1]", BadArgument).into_iter().chain(ask(8, 12));
    add("a call after one that failed", after.collect());
    let recall = || Send(format!("{RECALL}\n"));
    add(
        "recall, and there is nothing to give back",
        [recall()].into_iter().chain(ask(7, 12)).collect(),
    );
    add(
        "recall between two calls",
        ask(7, 12).into_iter().chain([recall()]).chain(ask(8, 13)).collect(),
    );
    add("the end, before any request", vec![End]);
    add("the end, after a call", ask(7, 12).into_iter().chain([End]).collect());
    add("the end, right behind a request", vec![request(7, "12"), End, Hear(7, Square(12))]);
    add("the end, in the middle of a request", vec![Send("7 square 1".into()), End]);
    cases
}

/// Plays all cases against the worker that `command` starts.
pub(crate) fn play_all(command: impl Fn() -> Command) -> Vec<Played> {
    let mut game: Option<Game> = None;
    let mut played = Vec::new();
    for (number, (name, moves)) in (1..).zip(cases()) {
        let mut now = match game.take() {
            Some(game) => game,
            None => match Game::start(command()) {
                Ok(game) => game,
                Err(what) => {
                    let fault = Some(Fault { rule: 1, line: 0, byte: 0, what });
                    played.push(Played { name, fault, exchange: Vec::new() });
                    return played; // the next one would not start either
                }
            },
        };
        let fault = now.play(&moves, number).err();
        played.push(Played { name, exchange: std::mem::take(&mut now.exchange), fault });
        let is_kept = played.last().is_some_and(|case| case.fault.is_none());
        if !now.is_ready {
            return played; // nor would the next one get ready
        }
        game = Some(now).filter(|now| is_kept && now.input.is_some());
    }
    played
}

/// A case in play.
struct Game {
    child: Child,
    input: Option<ChildStdin>,
    /// What comes from the worker, line by line.
    lines: Receiver<Vec<u8>>,
    is_ready: bool,
    /// How many lines have come in this case.
    line: usize,
    exchange: Vec<String>,
}

/// A message, as far as it is right, with the byte at which each part starts.
struct Said {
    head: (usize, String),
    second: (usize, String),
    payload: (usize, String),
}

impl Drop for Game {
    fn drop(&mut self) {
        _ = self.child.kill(); // an error: it has ended
        _ = self.child.wait();
    }
}

impl Game {
    /// Starts a worker.
    fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn();
        let mut child = child.map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let (sender, lines) = channel();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                _ = sender.send(std::mem::take(&mut line)); // an error: the case is over
            }
        });
        let input = child.stdin.take();
        Ok(Game { child, input, lines, is_ready: false, line: 0, exchange: Vec::new() })
    }

    fn play(&mut self, moves: &[Move], number: u64) -> Result<(), Fault> {
        self.line = 0;
        if !self.is_ready {
            let Some(said) = self.message()? else {
                return Err(self.fault(1, 1, "the output ends before any message"));
            };
            self.check_ready(&said)?;
            self.is_ready = true;
        }
        for (at, step) in moves.iter().enumerate() {
            match step {
                Send(text) => self.send(text),
                Hear(id, answer) => {
                    let Some(said) = self.message()? else {
                        let rule = if self.input.is_some() { 4 } else { 9 };
                        return Err(self.fault(
                            rule,
                            1,
                            &format!("the output ends, without a reply to {id}"),
                        ));
                    };
                    self.is_reply(&said, *id, answer)?;
                }
                End => {
                    self.draw("───", "the end of the input", "──▶");
                    self.input = None;
                    return self.end(&moves[at + 1..]);
                }
            }
        }
        // A reply too many would come before this one.
        let last = 1_000_000 + number;
        self.send(&format!("{last} square {number}\n"));
        match self.message()? {
            Some(said) => self.is_reply(&said, last, &Square(number)),
            None => Err(self.fault(4, 1, &format!("the output ends, without a reply to {last}"))),
        }
    }

    /// The worker answers what is left of the moves, and exits.
    fn end(&mut self, left: &[Move]) -> Result<(), Fault> {
        for step in left {
            let Hear(id, answer) = step else { continue };
            let Some(said) = self.message()? else {
                return Err(self.fault(9, 1, &format!("the output ends, without a reply to {id}")));
            };
            self.is_reply(&said, *id, answer)?;
        }
        if let Some(said) = self.message()? {
            return Err(self.fault(9, said.head.0, "a message that no request asks for"));
        }
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if start.elapsed() < PATIENCE => {
                    thread::park_timeout(Duration::from_millis(5))
                }
                status => break status.ok().flatten(),
            }
        };
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.fault(9, 1, &format!("it exits with {status}"))),
            None => Err(self.fault(9, 1, "it closes its output and does not exit")),
        }
    }

    fn send(&mut self, text: &str) {
        for line in text.split_inclusive('\n').take(4) {
            self.draw("───", line, "──▶");
        }
        // A worker that has left gives no answer either: that is what is then told.
        _ = self.input.as_mut().map(|input| input.write_all(text.as_bytes()));
    }

    /// The next message that is not empty; `None` at the end of the output.
    fn message(&mut self) -> Result<Option<Said>, Fault> {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    return Ok(None);
                }
                Err(_) if self.input.is_none() => {
                    return Err(self.fault(9, 1, "10 s later it has not ended"));
                }
                Err(_) => {
                    let rule = if self.is_ready { 4 } else { 1 };
                    return Err(self.fault(rule, 1, "10 s later there is no message"));
                }
            };
            self.line += 1;
            let shown = String::from_utf8_lossy(&line).into_owned();
            let Some(mark) = line.iter().rposition(|byte| *byte == MARK as u8) else {
                self.draw("◀··", &shown, "···");
                if !self.is_ready && shown.starts_with("ready") {
                    return Err(self.fault(2, 1, "`ready` without ␞ in front is output"));
                }
                continue;
            };
            self.draw("◀──", &shown, "───");
            let start = mark + 2; // the byte behind the mark, counted from 1
            let Some(text) = line[mark + 1..].strip_suffix(b"\n") else {
                return Err(self.fault(2, line.len() + 1, "the message has no newline at its end"));
            };
            let text = match std::str::from_utf8(text) {
                Ok(text) => text,
                Err(error) => return Err(self.fault(2, start + error.valid_up_to(), "not UTF-8")),
            };
            if !text.trim_ascii().is_empty() {
                return self.split(start, text).map(Some);
            }
        }
    }

    /// The three parts of a message, and the length of the last one if it is told.
    fn split(&self, start: usize, text: &str) -> Result<Said, Fault> {
        let mut parts = text.splitn(3, ' ');
        let mut at = start;
        let mut next = || {
            let part = (at, parts.next().unwrap_or_default().to_string());
            at += part.1.len() + 1;
            part
        };
        let (head, second, mut payload) = (next(), next(), next());
        let mut kind = String::new();
        if second.1 == "err" {
            // The kind belongs to the head, the text behind it has the length.
            let (first, rest) = payload.1.split_once(' ').unwrap_or((&payload.1, ""));
            kind = format!("{first} ");
            payload = (payload.0 + kind.len(), rest.to_string());
        }
        if let Some(measured) = payload.1.strip_prefix('#') {
            let (length, json) = measured.split_once(' ').unwrap_or((measured, ""));
            if length.parse() != Ok(json.len()) {
                let what = format!("it says {length} bytes, and {} come", json.len());
                return Err(self.fault(7, payload.0, &what));
            }
            payload = (payload.0 + length.len() + 2, json.to_string());
        }
        payload = (payload.0 - kind.len(), kind + &payload.1);
        Ok(Said { head, second, payload })
    }

    fn check_ready(&self, said: &Said) -> Result<(), Fault> {
        let (head, second, payload) = (&said.head, &said.second, &said.payload);
        if head.1 != "ready" {
            return Err(self.found(1, head, "`ready`"));
        }
        if second.1 != "1" {
            return Err(self.found(1, second, "version 1"));
        }
        // How many requests it will hold: the referee sends one after the other all the same.
        let told = payload.1.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let about = if told.is_empty() { Ok(About::default()) } else { from_line(told) };
        let about = about.map_err(|error| self.fault(1, payload.0, &error.to_string()))?;
        match about {
            About { tasks: Some(tasks), .. } if !tasks.iter().any(|task| task == "square") => {
                Err(self.fault(1, payload.0, &format!("no `square` among its tasks {tasks:?}")))
            }
            About { pid: Some(pid), .. } if pid == std::process::id() => {
                Err(self.fault(1, payload.0, &format!("{pid} is the process of the referee")))
            }
            _ => Ok(()),
        }
    }

    fn is_reply(&self, said: &Said, id: u64, answer: &Answer) -> Result<(), Fault> {
        let (head, second, payload) = (&said.head, &said.second, &said.payload);
        if head.1 == "ready" {
            return Err(self.fault(1, head.0, "`ready` a second time"));
        }
        let Ok(of) = head.1.parse::<u64>() else {
            return Err(self.found(3, head, "an id"));
        };
        if of != id {
            return Err(self.found(4, head, &format!("{id}, which is due")));
        }
        match second.1.as_str() {
            "ok" => match answer {
                Square(n) if payload.1 == (u128::from(*n) * u128::from(*n)).to_string() => Ok(()),
                EachOrUnknown(expected) if payload.1.replace(' ', "") == *expected => Ok(()),
                Square(n) => {
                    Err(self.found(5, payload, &(u128::from(*n) * u128::from(*n)).to_string()))
                }
                EachOrUnknown(expected) => Err(self.found(5, payload, expected)),
                UnknownTask => Err(self.found(6, second, "err unknown_task")),
                BadArgument => Err(self.found(6, second, "err bad_argument or err panicked")),
            },
            "err" => {
                let (kind, text) = payload.1.split_once(' ').unwrap_or((&payload.1, ""));
                let kinds: &[&str] = match answer {
                    Square(_) => return Err(self.found(5, second, "ok")),
                    UnknownTask | EachOrUnknown(_) => &["unknown_task"],
                    BadArgument => &["bad_argument", "panicked"],
                };
                if !kinds.contains(&kind) {
                    let kind = (payload.0, kind.to_string());
                    return Err(self.found(6, &kind, &kinds.join(" or ")));
                }
                let text = (payload.0 + kind.len() + 1, text.to_string());
                match from_line::<String>(&text.1) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(self.found(3, &text, "a JSON string")),
                }
            }
            _ => Err(self.found(3, second, "ok or err")),
        }
    }

    fn found(&self, rule: usize, part: &(usize, String), expected: &str) -> Fault {
        self.fault(rule, part.0, &format!("expected {expected}, found {}", short(&part.1)))
    }

    fn fault(&self, rule: usize, byte: usize, what: &str) -> Fault {
        Fault { rule, line: self.line, byte, what: what.to_string() }
    }

    /// Adds a line to the picture of the exchange.
    fn draw(&mut self, start: &str, text: &str, end: &str) {
        let text = short(text.trim_end_matches('\n'));
        let gap = if start.contains('·') { "·" } else { "─" };
        let line = gap.repeat(50_usize.saturating_sub(text.chars().count()));
        self.exchange.push(format!("│ {start} {text} {line}{end} │"));
    }
}

/// At most 46 characters of it, the mark visible.
fn short(text: &str) -> String {
    let text = text.replace(MARK, "␞");
    if text.chars().count() <= 46 { text } else { text.chars().take(45).chain(['…']).collect() }
}

/// What a worker tells about itself, as far as the referee looks at it.
#[derive(Default)]
struct About {
    pid: Option<u32>,
    tasks: Option<Vec<String>>,
}

impl Wire for About {
    fn encode(&self, _: &mut String) {}

    fn decode(input: &mut Reader<'_>) -> Result<Self, concurrent_explained::WireError> {
        let mut about = About::default();
        input.expect('{')?;
        while let Some(key) = input.key::<String>()? {
            match key.as_str() {
                "pid" => about.pid = Some(input.item()?),
                "tasks" => about.tasks = Some(input.item()?),
                _ => _ = input.item::<concurrent_explained::ch19_wire::Ignored>()?,
            }
        }
        Ok(about)
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(fault) = &self.fault else { return writeln!(f, "  kept    {}", self.name) };
        let mut picture = String::new();
        for line in &self.exchange {
            writeln!(picture, "            {line}")?;
        }
        writeln!(f, "  BROKEN  {}\n            referee {:>52}", self.name, "worker")?;
        f.write_str(&picture)?;
        let place = format!("line {}, byte {}", fault.line, fault.byte);
        let place = if fault.line == 0 { "before any line" } else { &place };
        writeln!(f, "          {place}: {}", fault.what)?;
        writeln!(f, "          rule {}: {}", fault.rule, RULES[fault.rule - 1])
    }
}

/// What is to be said about all of them.
pub(crate) fn report(played: &[Played]) -> String {
    let mut said: String = played.iter().map(ToString::to_string).collect();
    let kept = played.iter().filter(|case| case.fault.is_none()).count();
    _ = writeln!(said, "{kept} of {} cases kept", played.len());
    said
}
