//! Chapter 22: each request gets one answer, in order, whatever the task does; and a worker does not outlive its parent.

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::env::{args, current_exe};
use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use concurrent_explained::ch19_wire::{from_line, to_line};
use concurrent_explained::ch20_records::*;
use concurrent_explained::ch21_protocol::{ErrKind, Incoming, Lines, Message, VERSION};
use concurrent_explained::ch22_worker::{LOOKAHEAD, Tasks, worker_mark};
use support::process_watchdog as watchdog;

fn square(n: u64) -> u64 {
    n.checked_mul(n).expect("it fits")
}

/// What a worker tells about itself.
struct About {
    pid: u32,
    tasks: Vec<String>,
    lookahead: Option<usize>,
}
wire!(struct About { pid, tasks, lookahead });

fn twice<T: Clone>(value: T) -> Vec<T> {
    vec![value.clone(), value]
}

// ---- in memory -------------------------------------------------------------------------------------------------------

/// Serves `input` at once and gives back the lines, `␞` for the mark.
fn answers(tasks: &Tasks, input: &str) -> Vec<String> {
    let mut output = Vec::new();
    tasks.serve(input.as_bytes(), &mut output, None).unwrap();
    split(&output)
}

fn split(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    assert!(text.ends_with('\n'));
    let lines = text.lines().filter(|line| *line != "\x1e"); // "still here" may come at any time after the end
    lines.map(|line| line.replace('\x1e', "␞")).collect()
}

/// The reading end of a pipe in memory: what is sent is read, and a dropped sender is its end.
struct Pipe {
    parts: Receiver<Vec<u8>>,
    part: Vec<u8>,
}

fn pipe() -> (Sender<Vec<u8>>, BufReader<Pipe>) {
    let (sender, parts) = channel();
    (sender, BufReader::new(Pipe { parts, part: Vec::new() }))
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.part = self.parts.recv().unwrap_or_default();
        }
        let length = self.part.as_slice().read(buffer)?;
        self.part.drain(..length);
        Ok(length)
    }
}

/// The writing end: each `write` is one part; an error when nobody reads.
struct Sink(Sender<Vec<u8>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A worker on a thread, spoken to line by line.
struct Spoken {
    requests: Option<Sender<Vec<u8>>>,
    replies: Receiver<Vec<u8>>,
    worker: thread::JoinHandle<io::Result<()>>,
}

impl Spoken {
    fn start(tasks: Tasks) -> Self {
        let (requests, input) = pipe();
        let (output, replies) = channel();
        let worker = thread::spawn(move || tasks.serve(input, Sink(output), None));
        let spoken = Spoken { requests: Some(requests), replies, worker };
        assert!(spoken.hear().starts_with("\x1eready 1 {"));
        spoken
    }

    fn say(&self, lines: &str) {
        self.requests.as_ref().unwrap().send(lines.as_bytes().to_vec()).unwrap();
    }

    fn hear(&self) -> String {
        String::from_utf8(self.replies.recv().unwrap()).unwrap()
    }

    /// The next line that is not "still here".
    fn answer(&self) -> String {
        loop {
            let line = self.hear();
            if line != "\x1e\n" {
                return line;
            }
        }
    }

    fn end(mut self) -> io::Result<()> {
        self.requests = None;
        self.worker.join().unwrap()
    }
}

/// A gate that a task passes when the test opens it, and a sign that the task stands there.
fn gate() -> (Receiver<()>, Sender<()>, impl Fn(()) + Send + Sync + 'static) {
    let (arrive, arrived) = channel();
    let (open, opened) = channel();
    let ends = Mutex::new((arrive, opened));
    (arrived, open, move |()| {
        let ends = ends.lock().unwrap();
        ends.0.send(()).unwrap();
        ends.1.recv().unwrap();
    })
}

#[test]
fn every_request_is_answered_in_order_and_the_end_of_the_input_ends_it() {
    let tasks = Tasks::new().with("square", square).with("twice", twice::<String>);
    let got = answers(&tasks, "1 square 12\n2 twice \"a\"\n 3  square  13 \r\n");
    let ready = format!(
        "␞ready 1 {{\"pid\":{},\"tasks\":[\"square\",\"twice\"],\"lookahead\":1024}}",
        std::process::id()
    );
    assert_eq!(got, [ready.as_str(), "␞1 ok 144", "␞2 ok [\"a\",\"a\"]", "␞3 ok 169"]);
    assert_eq!((VERSION, LOOKAHEAD), (1, 1024));
    assert_eq!(answers(&Tasks::new(), "").len(), 1);
}

#[test]
fn a_seal_stands_in_front_of_every_message() {
    let mut output = Vec::new();
    Tasks::new()
        .with("square", square)
        .serve(&b"1 square 2\n2 x 1\n"[..], &mut output, Some("k5q"))
        .unwrap();
    assert!(split(&output).iter().all(|line| line.starts_with("␞k5q ")));
}

#[test]
fn what_cannot_be_run_fails_alone() {
    let tasks =
        Tasks::new().with("square", square).with("sum", |(a, b): (u8, u8)| a.saturating_add(b));
    let got = answers(
        &tasks,
        "1 square x\n2 cube 2\n3\n4 sum [1]\n5 square\nhello\n\n6 square 12 13\n7 sum [1,2]\n8 square 1",
    );
    assert_eq!(
        got[1..],
        [
            "␞1 err bad_argument \"column 1: expected a whole number from 0 to 18446744073709551615, found \\\"x\\\"\"",
            "␞2 err unknown_task \"no task \\\"cube\\\", only square, sum\"",
            "␞3 err unknown_task \"no task \\\"\\\", only square, sum\"",
            "␞4 err bad_argument \"column 3: expected `,`, found \\\"]\\\"\"",
            "␞5 err bad_argument \"column 1: expected a whole number from 0 to 18446744073709551615, found \\\"\\\"\"",
            "␞6 err bad_argument \"column 4: expected the end of the line, found \\\"13\\\"\"",
            "␞7 ok 3",
        ],
        "and 8 is cut short: it is not run"
    );
}

#[test]
fn a_request_that_is_no_text_is_refused_by_its_id() {
    let mut output = Vec::new();
    let input = b"\xff\n1 square \xff\n2 square 2\n";
    Tasks::new().with("square", square).serve(&input[..], &mut output, None).unwrap();
    let mut got = split(&output);
    got.sort();
    assert_eq!(got[..2], ["␞1 err garbled \"not UTF-8\"", "␞2 ok 4"]);
}

// I5
#[test]
fn requests_and_results_over_the_limit_are_refused() {
    let mut tasks = Tasks::new()
        .with("repeat", |n: usize| "x".repeat(n))
        .with("len", |text: String| text.len());
    tasks.limit = Some(100);
    let input = format!("1 repeat 98\n2 repeat 99\n3 len \"{}\"\n4 len \"abc\"\n", "x".repeat(100));
    let mut got = answers(&tasks, &input);
    got.sort();
    assert!(got[0].starts_with("␞1 ok \"xxx"));
    assert_eq!(
        got[1..4],
        [
            "␞2 err too_long \"a result of 101 bytes\"",
            "␞3 err too_long \"over the limit\"",
            "␞4 ok 3"
        ]
    );
}

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("mine");
    }
}

/// Panics wherever it is told to.
struct Brittle(String);

impl Wire for Brittle {
    fn encode(&self, out: &mut String) {
        out.push_str("[1,");
        assert!(self.0 != "encode", "while writing");
        out.push_str("2]");
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let text = String::decode(input)?;
        assert!(text != "decode", "while reading");
        Ok(Brittle(text))
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        assert!(self.0 != "drop", "while dropping");
    }
}

// I5, and Try 2: request 5, which panics while it is read.
#[test]
fn a_panic_costs_one_answer_wherever_it_happens() {
    let tasks = Tasks::new()
        .with("str", |()| -> () { panic!("plain") })
        .with("string", |n: u8| -> () { panic!("number {n}") })
        .with("other", |()| -> () { std::panic::panic_any(5) })
        .with("mine", |()| -> () { std::panic::panic_any(Mine) })
        .with("brittle", |value: Brittle| value)
        .with("square", square);
    let got = answers(
        &tasks,
        "1 str null\n2 string 7\n3 other null\n4 mine null\n5 brittle \"decode\"\n6 brittle \"encode\"\n\
        7 brittle \"drop\"\n8 brittle \"fine\"\n9 square 4294967296\n10 square 2\n",
    );
    assert_eq!(
        got[1..],
        [
            "␞1 err panicked \"plain\"",
            "␞2 err panicked \"number 7\"",
            "␞3 err panicked \"not a text\"",
            "␞4 err panicked \"not a text\"",
            "␞5 err panicked \"while reading\"",
            "␞6 err panicked \"while writing\"",
            "␞7 err panicked \"while dropping\"",
            "␞8 ok [1,2]",
            "␞9 err panicked \"it fits\"",
            "␞10 ok 4",
        ]
    );
}

#[test]
fn a_star_runs_a_task_on_each_item_of_an_array() {
    let tasks = Tasks::new()
        .with("square", square)
        .with("odd", |n: u8| assert_eq!(n % 2, 1, "{n} is even"))
        .with("brittle", |value: Brittle| value)
        .with("both", |(a, b): (u8, u8)| a + b);
    let got = answers(
        &tasks,
        "1 square* [1,2,3]\n2 square* []\n3 odd* [1,2,3]\n4 both* [[1,2],[3,4]]\n\
        5 brittle* [\"encode\",\"fine\",\"drop\"]\n6 square* 7\n7 square* [1,-1]\n8 cube* [1]\n9 square 2\n",
    );
    assert_eq!(got.len(), 10);
    assert_eq!(got[1], r#"␞1 ok [{"ok":1},{"ok":4},{"ok":9}]"#);
    assert_eq!(got[2], "␞2 ok []");
    // I5: a panic costs one item.
    let even = "assertion `left == right` failed: 2 is even\\n  left: 0\\n right: 1";
    assert_eq!(got[3], format!(r#"␞3 ok [{{"ok":null}},{{"err":"{even}"}},{{"ok":null}}]"#));
    assert_eq!(got[4], r#"␞4 ok [{"ok":3},{"ok":7}]"#);
    assert_eq!(got[5], r#"␞5 ok [{"err":"while writing"},{"ok":[1,2]},{"err":"while dropping"}]"#);
    // An array that cannot be read has no items to blame.
    assert!(got[6].starts_with("␞6 err bad_argument \"column 1: expected `[`"), "{}", got[6]);
    assert!(got[7].starts_with("␞7 err bad_argument \"column 4: "), "{}", got[7]);
    assert!(got[8].starts_with(r#"␞8 err unknown_task "no task \"cube*\", only"#), "{}", got[8]);
    assert_eq!(got[9], "␞9 ok 4");
}

#[test]
fn a_hand_written_wire_cannot_start_a_line_of_its_own() {
    struct Pretty;
    impl Wire for Pretty {
        fn encode(&self, out: &mut String) {
            out.push_str("[\n\x1e2 ok 666\n]");
        }
        fn decode(_: &mut Reader<'_>) -> Decoded<Self> {
            Ok(Pretty)
        }
    }
    let tasks = Tasks::new().with("pretty", |()| Pretty).with("square", square);
    assert_eq!(
        answers(&tasks, "1 pretty null\n2 square 2\n")[1..],
        ["␞1 ok [  2 ok 666 ]", "␞2 ok 4"]
    );
}

thread_local! {
    static PREPARED: Cell<usize> = const { Cell::new(0) };
}

// I1, and Try 3: a worker that counts.
#[test]
fn the_initializer_and_all_tasks_run_on_the_thread_that_serves() {
    let here = format!("{:?}", thread::current().id());
    let tasks = Tasks::new()
        .initializer(|| {
            PREPARED.set(PREPARED.get() + 100);
            Ok(())
        })
        .with("count", |()| {
            PREPARED.set(PREPARED.get() + 1);
            PREPARED.get()
        })
        .with("thread", |()| format!("{:?}", thread::current().id()));
    PREPARED.set(0);
    let got = answers(&tasks, "1 count null\n2 count null\n3 thread null\n");
    assert_eq!(
        got[1..],
        ["␞1 ok 101".to_string(), "␞2 ok 102".to_string(), format!("␞3 ok {}", to_line(&here))]
    );
}

#[test]
fn an_initializer_that_fails_or_panics_is_told_instead_of_ready() {
    let fails = Tasks::new().with("square", square).initializer(|| Err("no database".to_string()));
    let panics = Tasks::new().with("square", square).initializer(|| panic!("no \"disk\""));
    for (tasks, cause, line) in [
        (fails, "no database", "␞0 err failed_start \"no database\""),
        (panics, "no \"disk\"", r#"␞0 err failed_start "no \"disk\"""#),
    ] {
        let mut output = Vec::new();
        let error = tasks.serve(&b"1 square 2\n"[..], &mut output, None).unwrap_err();
        assert_eq!(error.to_string(), cause);
        assert_eq!(split(&output), [line]);
    }
}

// I2
#[test]
fn an_answer_is_written_in_one_piece_before_the_next_task_starts() {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<Vec<u8>>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let output = Shared::default();
    let seen = output.clone();
    let tasks = Tasks::new().with("written", move |_: String| seen.0.lock().unwrap().len());
    let long = format!("1 written \"{}\"\n2 written \"\"\n3 written \"\"\n", "x".repeat(100_000));
    tasks.serve(long.as_bytes(), output.clone(), None).unwrap();
    let written: Vec<String> = output
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|bytes| String::from_utf8(bytes.clone()).unwrap())
        .collect();
    let answers: Vec<&str> =
        written.iter().skip(1).map(String::as_str).filter(|line| *line != "\x1e\n").collect();
    // Had an answer come in two pieces, or late, the counts would be others. "Still here" may have come between.
    let counts = answers
        .iter()
        .map(|line| line.trim_end().rsplit(' ').next().unwrap().parse::<usize>().unwrap());
    for (index, (count, line)) in counts.zip(&answers).enumerate() {
        assert_eq!(line.matches('\n').count(), 1);
        let here = written.iter().position(|other| other == line).unwrap();
        assert!(count <= here && count > index, "{count} pieces before {line:?}, piece {here}");
    }
    assert_eq!(answers.len(), 3);
}

#[test]
fn an_output_with_a_buffer_is_flushed_after_every_answer() {
    watchdog("an answer behind a buffer", || {
        let (requests, input) = pipe();
        let (output, replies) = channel();
        let tasks = Tasks::new().with("square", square);
        let worker =
            thread::spawn(move || tasks.serve(input, io::BufWriter::new(Sink(output)), None));
        assert!(replies.recv().unwrap().starts_with(b"\x1eready"));
        requests.send(b"1 square 12\n".to_vec()).unwrap();
        assert_eq!(replies.recv().unwrap(), b"\x1e1 ok 144\n");
        drop(requests);
        worker.join().unwrap().unwrap();
    });
}

// I3
#[test]
fn recall_is_answered_while_a_task_runs_and_gives_back_what_has_not_started() {
    watchdog("a recall", || {
        let (arrived, open, stand) = gate();
        let worker = Spoken::start(Tasks::new().with("stand", stand).with("square", square));
        worker.say("1 stand null\n2 square 2\n3 square 3\n");
        arrived.recv().unwrap();
        worker.say("not a request\nrecall\n");
        assert_eq!(
            worker.hear(),
            "\x1e2 err returned \"not started\"\n\x1e3 err returned \"not started\"\n"
        );
        worker.say(" recall \r\n"); // nothing is there to give back
        worker.say("4 square 4\n");
        open.send(()).unwrap();
        assert_eq!(worker.answer(), "\x1e1 ok null\n");
        assert_eq!(worker.answer(), "\x1e4 ok 16\n");
        worker.end().unwrap();
    });
}

// I3
#[test]
fn a_request_is_run_or_given_back_and_never_both() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    watchdog("thousands of recalls", || {
        let mut both = [0, 0];
        let worker =
            Spoken::start(Tasks::new().with("count", |()| RUNS.fetch_add(1, Ordering::Relaxed)));
        for round in 0..2_000 {
            let ids: Vec<usize> = (0..4).map(|index| round * 4 + index).collect();
            worker.say(&ids.iter().map(|id| format!("{id} count null\n")).collect::<String>());
            (0..round % 50).for_each(|_| thread::yield_now());
            worker.say("recall\n");
            let mut seen: BTreeMap<usize, bool> = BTreeMap::new();
            while seen.len() < 4 {
                for line in worker.answer().lines() {
                    let Ok(Message::Reply { id, outcome }) = Message::parse(&line[1..]) else {
                        panic!("{line}")
                    };
                    let ran = match outcome {
                        Ok(_) => true,
                        Err((kind, _)) => {
                            assert_eq!(kind, ErrKind::Returned);
                            false
                        }
                    };
                    assert!(ids.contains(&(id as usize)));
                    assert_eq!(seen.insert(id as usize, ran), None, "{id} is answered twice");
                    both[usize::from(ran)] += 1;
                }
            }
        }
        worker.end().unwrap();
        assert_eq!(both[0] + both[1], 8_000);
        assert_eq!(RUNS.load(Ordering::Relaxed), both[1], "what was given back was not run");
    });
}

// I4
#[test]
fn after_the_end_of_the_input_what_was_received_is_answered_and_still_here_is_said_meanwhile() {
    watchdog("the end of the input", || {
        let (arrived, open, stand) = gate();
        let mut worker = Spoken::start(Tasks::new().with("stand", stand).with("square", square));
        worker.say("1 stand null\n2 square 2\n");
        arrived.recv().unwrap();
        worker.requests = None;
        assert_eq!((worker.hear(), worker.hear()), ("\x1e\n".to_string(), "\x1e\n".to_string()));
        open.send(()).unwrap();
        assert_eq!(worker.answer(), "\x1e1 ok null\n");
        assert_eq!(worker.answer(), "\x1e2 ok 4\n");
        worker.end().unwrap();
    });
}

#[test]
fn an_output_that_nobody_reads_is_an_error() {
    watchdog("a broken output", || {
        let (arrived, open, stand) = gate();
        let Spoken { requests, replies, worker } = Spoken::start(Tasks::new().with("stand", stand));
        requests.as_ref().unwrap().send(b"1 stand null\n2 stand null\n".to_vec()).unwrap();
        arrived.recv().unwrap();
        drop((requests, replies));
        open.send(()).unwrap();
        assert_eq!(worker.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(arrived.try_recv().is_err(), "the second task has not started");
    });
}

#[test]
fn an_output_that_panics_is_an_error_of_the_output() {
    struct Panics;
    impl Write for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("no output")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let served = std::panic::catch_unwind(|| Tasks::new().serve(&b""[..], Panics, None));
    assert!(served.is_err(), "it is the caller's panic");
}

#[test]
fn a_function_is_found_by_its_type() {
    fn cube(n: u64) -> u64 {
        n * n * n
    }
    fn name<F: Fn(u64) -> R + 'static, R>(tasks: &Tasks, _: &F) -> Option<String> {
        tasks.name_of::<F>().map(String::from)
    }
    let add = 1;
    let plain = |n: u64| n + 1;
    let capturing = move |n: u64| n + add;
    let pointer: fn(u64) -> u64 = cube;
    let tasks = Tasks::new()
        .with("square", square)
        .with("twice", twice::<u64>)
        .with("plain", plain)
        .with("capturing", capturing)
        .with("pointer", pointer);
    assert_eq!(name(&tasks, &square).as_deref(), Some("square"));
    assert_eq!(name(&tasks, &twice::<u64>).as_deref(), Some("twice"));
    assert_eq!(name(&tasks, &plain).as_deref(), Some("plain"));
    assert_eq!(name(&tasks, &cube), None, "it is not there");
    assert_eq!(tasks.name_of::<fn(u8) -> Vec<u8>>(), None);
    assert_eq!(name(&tasks, &capturing), None, "its type does not tell what it captured");
    assert_eq!(name(&tasks, &pointer), None, "its type does not tell which function it is");
    assert_eq!(
        tasks.names().collect::<Vec<_>>(),
        ["capturing", "plain", "pointer", "square", "twice"]
    );
    assert_eq!(format!("{tasks:?}"), r#"{"capturing", "plain", "pointer", "square", "twice"}"#);
    assert_eq!(
        answers(&tasks, "1 pointer 2\n2 capturing 2\n")[1..],
        ["␞1 ok 8", "␞2 ok 3"],
        "by name they can be called"
    );
}

#[test]
fn a_later_task_of_the_same_name_replaces_the_older_one() {
    let tasks = Tasks::new().with("f", |n: u8| n).with("f", square);
    assert_eq!(answers(&tasks, "1 f 12\n")[1..], ["␞1 ok 144"]);
}

#[test]
fn a_name_that_no_request_could_call_is_refused() {
    for name in ["", "two words", "new\nline", "square*"] {
        let added = std::panic::catch_unwind(|| Tasks::new().with(name, square));
        assert!(added.is_err(), "{name:?}");
    }
}

#[test]
fn tasks_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Tasks>();
}

/// Said past the harness, which swallows what a passing test prints.
fn skipped(why: &str) {
    io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).unwrap();
}

// ---- real processes --------------------------------------------------------------------------------------------------

fn again((): ()) -> bool {
    // No mark on this command line: it is the test program, and lists its tests.
    let program =
        Command::new(current_exe().unwrap()).arg("--list").stdin(Stdio::null()).output().unwrap();
    let listed = String::from_utf8(program.stdout).unwrap();
    listed.contains("worker_entry: test") && !listed.contains('\x1e')
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
        thread::park();
    }
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
struct Process {
    child: Child,
    requests: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    output: Vec<u8>,
}

impl Process {
    fn start(mut command: Command, seal: Option<&str>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let requests = child.stdin.take();
        let lines = Lines::from_worker(BufReader::new(child.stdout.take().unwrap()), seal);
        Process { child, requests, lines, output: Vec::new() }
    }

    fn myself(seal: Option<&str>, more: &[&str]) -> Self {
        let mut command = Command::new(current_exe().unwrap());
        command.arg(worker_mark(seal)).args(["worker_entry", "--exact", "--nocapture"]).args(more);
        command.stderr(Stdio::null());
        Process::start(command, seal)
    }

    fn say(&mut self, lines: &str) {
        self.requests.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// The next message; what comes before it goes to `output`.
    fn hear(&mut self) -> Option<String> {
        while let Some(incoming) = self.lines.read().unwrap() {
            match incoming {
                Incoming::Output(bytes) => self.output.extend_from_slice(bytes),
                Incoming::Message(text) => return Some(text.to_string()),
                other => panic!("{other:?}"),
            }
        }
        None
    }

    /// Closes the pipe to the worker; its exit code.
    fn end(mut self) -> Option<i32> {
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
        let about: About = from_line(about).unwrap();
        assert_eq!(
            (version, about.pid, about.lookahead),
            (VERSION, worker.child.id(), Some(LOOKAHEAD))
        );
        assert_eq!(
            about.tasks,
            [
                "again",
                "boom",
                "careful_cat",
                "for_ever",
                "forge",
                "on_main",
                "recovers",
                "rethrows",
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
        "printf '7 square 12\\n' | '{}' serve-tasks worker_entry --exact --nocapture",
        current_exe().unwrap().display()
    );
    match Command::new("sh").args(["-c", &typed]).output() {
        Ok(shell) => {
            let printed = String::from_utf8(shell.stdout).unwrap();
            assert!(
                printed.contains("\x1eready 1 {") && printed.ends_with("\x1e7 ok 144\n"),
                "{printed:?}"
            );
            assert!(shell.status.success());
        }
        Err(_) => skipped("there is no sh here, so nobody has typed to a worker"),
    }
}

// I5
// CPython: ProcessPoolExecutorTest::test_traceback
#[test]
fn a_panic_in_a_process_says_where() {
    watchdog("a panic in a process", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        worker.say("1 boom \"dam broken\"\n2 square 2\n");
        let panicked = worker.hear().unwrap();
        assert!(panicked.starts_with("1 err panicked \"dam broken, at tests"), "{panicked}");
        assert!(panicked.contains("ch22_worker.rs:"), "{panicked}");
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

// I6
#[test]
fn being_a_worker_is_not_inherited() {
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

// I4: nobody writes to it, nobody reads from it, and its task never ends.
#[test]
fn a_busy_worker_whose_parent_is_gone_leaves_quietly() {
    watchdog("a worker that nobody needs any more", || {
        let mut worker = Process::myself(None, &[]);
        worker.hear();
        worker.say("1 for_ever null\n");
        assert_eq!(worker.end(), Some(0));
    });
}

#[test]
fn a_worker_that_hears_the_end_while_it_is_busy_says_that_it_is_still_here() {
    watchdog("a busy worker", || {
        let mut worker = Process::myself(Some("k5q"), &[]);
        worker.hear();
        worker.say("1 for_ever null\n");
        drop(worker.requests.take());
        assert_eq!(worker.hear().as_deref(), Some(""));
        assert_eq!(worker.end(), Some(0));
    });
}

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
