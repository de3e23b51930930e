//! Chapter 21: every byte is a message or output, wherever the pipe cuts it, and no message can be forged, torn or lost.

mod support;

use std::io::{self, BufReader, Read};

use concurrent_explained::ch21_protocol::{
    About, ErrKind, Incoming, LIMIT, Lines, MARK, Message, RECALL, Request, VERSION, is_task_name,
};
use support::watchdog;

/// What came down a pipe, with the output between two messages in one piece.
#[derive(Debug, PartialEq, Clone)]
enum Piece {
    Output(Vec<u8>),
    Message(String),
    TooLong(Option<u64>),
    NotText(Option<u64>),
    Torn(Vec<u8>),
}
use Piece::{NotText, Output, TooLong, Torn};

fn output(text: &str) -> Piece {
    Output(text.as_bytes().to_vec())
}

fn message(text: &str) -> Piece {
    Piece::Message(text.to_string())
}

fn collect<R: io::BufRead>(mut lines: Lines<R>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some(incoming) = lines.read().unwrap() {
        match (incoming, pieces.last_mut()) {
            (Incoming::Output(bytes), Some(Output(before))) => before.extend_from_slice(bytes),
            (Incoming::Output(bytes), _) => pieces.push(Output(bytes.to_vec())),
            (Incoming::Message(text), _) => pieces.push(message(text)),
            (Incoming::TooLong(id), _) => pieces.push(TooLong(id)),
            (Incoming::NotText(id), _) => pieces.push(NotText(id)),
            (Incoming::Torn(bytes), _) => pieces.push(Torn(bytes.to_vec())),
        }
    }
    assert_eq!(lines.read().unwrap(), None, "the end stays the end");
    pieces
}

/// `␞` stands for the mark.
fn worker(printed: &str, seal: Option<&str>) -> Vec<Piece> {
    collect(Lines::from_worker(printed.replace('␞', "\x1e").as_bytes(), seal))
}

/// Reads the parts one by one, with an interruption before each.
struct Parts<'a> {
    parts: Vec<&'a [u8]>,
    interrupted: bool,
}

impl<'a> Parts<'a> {
    fn new(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut parts: Vec<_> = parts.collect();
        parts.reverse();
        Parts { parts, interrupted: false }
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some(mut part) = self.parts.pop() else { return Ok(0) };
        let length = part.read(buffer)?;
        if !part.is_empty() {
            self.parts.push(part);
        }
        Ok(length)
    }
}

#[test]
fn a_request_is_written_and_read() {
    let mut line = String::new();
    Request { id: u64::MAX, task: "square", argument: "[1, \"a b\"]" }.write(&mut line);
    assert_eq!(line, "18446744073709551615 square [1, \"a b\"]\n");
    let request = Request::parse(&line).unwrap();
    assert_eq!(request, Request { id: u64::MAX, task: "square", argument: "[1, \"a b\"]" });
}

// I4
#[test]
fn a_request_typed_by_hand_may_be_untidy_but_needs_an_id() {
    let square = Some(Request { id: 7, task: "square", argument: "12" });
    assert_eq!(Request::parse("7 square 12"), square);
    assert_eq!(Request::parse("  7   square   12 \r\n"), square);
    assert_eq!(Request::parse("7"), Some(Request { id: 7, task: "", argument: "" }));
    assert_eq!(Request::parse("7 square"), Some(Request { id: 7, task: "square", argument: "" }));
    for wrong in [
        "",
        " ",
        "square 12",
        "-7 square 12",
        "7.0 square 12",
        "18446744073709551616 square 12",
        RECALL,
    ] {
        assert_eq!(Request::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_newline_or_mark_in_a_payload_cannot_start_another_line() {
    let mut line = String::new();
    Request { id: 1, task: "a", argument: "[1,\n2 square 3\n]" }.write(&mut line);
    assert_eq!(line, "1 a [1, 2 square 3 ]\n");
    line.clear();
    Message::Reply { id: 1, outcome: Ok("[1,\n\u{1e}2 ok 3]") }.write(None, &mut line);
    assert_eq!(line, "\u{1e}1 ok [1,  2 ok 3]\n");
    for (payload, kept) in [("[\n]", "[ ]"), ("[\u{1e}]", "[ ]"), ("[\r]", "[\r]")] {
        line.clear();
        Message::Reply { id: 1, outcome: Ok(payload) }.write(None, &mut line);
        assert_eq!(line, format!("\u{1e}1 ok {kept}\n"));
    }
}

#[test]
fn task_names_have_no_white_space_nothing_invisible_and_no_star_at_the_end() {
    for name in ["square", "a::b::<u64>", "größe", "{{closure}}", "7", "*p"] {
        assert!(is_task_name(name), "{name}");
    }
    for name in ["", " ", "a b", "a\n", "\u{1e}a", "a\u{a0}b", "a\u{2028}", "\u{7f}", "a*", "*"] {
        assert!(!is_task_name(name), "{name:?}");
    }
}

fn reply(id: u64, kind: ErrKind, why: &str) -> Message<'static> {
    Message::Reply { id, outcome: Err((kind, why.to_string())) }
}

#[test]
fn every_message_is_written_and_read_with_and_without_a_seal() {
    let about = About { pid: 4242, tasks: vec!["square".into(), "\"".into()], lookahead: 64 };
    let messages = [
        (
            Message::Ready { version: VERSION, about },
            r#"ready 1 {"pid":4242,"tasks":["square","\""],"lookahead":64}"#,
        ),
        (Message::Reply { id: 7, outcome: Ok("[1, 2]") }, "7 ok [1, 2]"),
        (Message::StillHere, ""),
        (reply(0, ErrKind::Panicked, "a\nb\u{1e}"), r#"0 err panicked "a\nb\u001e""#),
        (reply(1, ErrKind::UnknownTask, ""), r#"1 err unknown_task """#),
        (reply(2, ErrKind::BadArgument, "x"), r#"2 err bad_argument "x""#),
        (reply(0, ErrKind::FailedStart, "x"), r#"0 err failed_start "x""#),
        (reply(4, ErrKind::TooLong, "x"), r#"4 err too_long "x""#),
        (reply(u64::MAX, ErrKind::Returned, "x"), r#"18446744073709551615 err returned "x""#),
    ];
    for (message, text) in messages {
        for (seal, start) in [(None, "\u{1e}".to_string()), (Some("k5q"), "\u{1e}k5q ".to_string())]
        {
            let mut line = String::new();
            message.write(seal, &mut line);
            assert_eq!(line, format!("{start}{text}\n"));
            let pieces = collect(Lines::from_worker(line.as_bytes(), seal));
            assert_eq!(pieces, [Piece::Message(text.to_string())]);
        }
        assert_eq!(Message::parse(text), Ok(message));
    }
}

// Try 3: yes, if what it tells is a number, a word or a string.
#[test]
fn ready_is_read_generously() {
    let ready = |pid, tasks: &[&str], lookahead| {
        let tasks = tasks.iter().map(|task| task.to_string()).collect();
        Ok(Message::Ready { version: 1, about: About { pid, tasks, lookahead } })
    };
    assert_eq!(Message::parse("ready 1"), ready(0, &[], 1));
    assert_eq!(Message::parse("ready 1 {}\r"), ready(0, &[], 1));
    assert_eq!(
        Message::parse(r#" ready 1 { "tasks" : [ "a" ] , "pid" : 7 } "#),
        ready(7, &["a"], 1)
    );
    let later = r#"ready 1 {"memory":1e9,"lookahead":2,"name":"}\"","gpu":false,"cpu":null}"#;
    assert_eq!(Message::parse(later), ready(0, &[], 2));
    // Another version may tell it in another way.
    let about = About { pid: 0, tasks: vec![], lookahead: 1 };
    assert_eq!(Message::parse("ready 2 pid=7"), Ok(Message::Ready { version: 2, about }));
}

#[test]
fn an_error_of_a_sloppy_worker_needs_no_quotes() {
    assert_eq!(
        Message::parse("7 err panicked division by zero"),
        Ok(reply(7, ErrKind::Panicked, "division by zero"))
    );
    assert_eq!(Message::parse("7 err panicked"), Ok(reply(7, ErrKind::Panicked, "")));
    assert_eq!(Message::parse("7 ok"), Ok(Message::Reply { id: 7, outcome: Ok("") }));
}

#[test]
fn what_is_no_message_says_why() {
    for (text, why) in [
        ("7 fine 144", r#""fine" is neither ok nor err"#),
        ("7", r#""" is neither ok nor err"#),
        ("seven ok 144", r#""seven" is not a number"#),
        ("-7 ok 144", r#""-7" is not a number"#),
        ("7 err tired \"x\"", r#""tired" is not a kind of error"#),
        ("ready one {}", r#""one" is not a number"#),
        ("ready", r#""" is not a number"#),
        (
            "ready 1 {\"pid\":\"x\"}",
            "ready: column 8: expected a whole number from 0 to 4294967295, found \"\\\"x\\\"}\"",
        ),
        ("ready 1 []", "ready: column 1: expected `{`, found \"[]\""),
    ] {
        assert_eq!(Message::parse(text), Err(why.to_string()), "{text}");
    }
}

// I1
#[test]
fn what_is_not_a_message_is_output_wherever_it_stands() {
    assert_eq!(worker("", None), []);
    assert_eq!(worker("hello\nworld", None), [output("hello\nworld")]);
    assert_eq!(worker("7 ok 144\n", None), [output("7 ok 144\n")]);
    assert_eq!(worker("␞7 ok 144\n", None), [message("7 ok 144")]);
    assert_eq!(
        worker("no newline ␞7 ok 144\nmore", None),
        [output("no newline "), message("7 ok 144"), output("more")]
    );
    assert_eq!(
        worker("␞1 ok 1\n␞\n\n␞2 ok 2\n", None),
        [message("1 ok 1"), message(""), output("\n"), message("2 ok 2")]
    );
    let binary = b"\xff\xfe\0\r\n\x1e7 ok 1\n\x80";
    assert_eq!(
        collect(Lines::from_worker(&binary[..], None)),
        [Output(b"\xff\xfe\0\r\n".to_vec()), message("7 ok 1"), Output(b"\x80".to_vec())]
    );
}

// I1: what is there is handed out before more is asked for.
#[test]
fn output_without_a_newline_is_handed_on_before_more_is_read() {
    let parts = [b"50 %".as_slice(), b" 60 %", b"\x1e7 ok 1\n"];
    let mut lines = Lines::from_worker(BufReader::new(Parts::new(parts.into_iter())), None);
    assert_eq!(lines.read().unwrap(), Some(Incoming::Output(b"50 %")));
    assert_eq!(lines.read().unwrap(), Some(Incoming::Output(b" 60 %")));
    assert_eq!(lines.read().unwrap(), Some(Incoming::Message("7 ok 1")));
}

// I2, and Try 1: `12` and `␞7 ok 1` are output, `7 ok 2` is the message.
#[test]
fn the_last_mark_on_a_line_starts_the_message() {
    assert_eq!(worker("12␞7 ok 1␞7 ok 2\n", None), [output("12\u{1e}7 ok 1"), message("7 ok 2")]);
    assert_eq!(worker("␞␞␞8 ok 1\n", None), [output("\u{1e}\u{1e}"), message("8 ok 1")]);
}

// Try 2: with the first mark on a line, the task that printed a lone one loses its answer, for nobody reads the second.
#[test]
fn a_lone_mark_in_the_output_does_not_take_the_answer_with_it() {
    assert_eq!(
        worker("record separator: ␞, then ␞7 ok 1\n", None),
        [output("record separator: \u{1e}, then "), message("7 ok 1")]
    );
}

#[test]
fn with_a_seal_only_what_is_sealed_is_a_message() {
    assert_eq!(worker("␞k5q 7 ok 1\n", Some("k5q")), [message("7 ok 1")]);
    for forged in [
        "␞7 ok 1\n",
        "␞k5 7 ok 1\n",
        "␞k5q7 ok 1\n",
        "␞K5Q 7 ok 1\n",
        "␞ k5q 7 ok 1\n",
        "k5q 7 ok 1\n",
        "␞k5q\n",
        "␞",
        "␞k5q",
    ] {
        assert_eq!(
            worker(forged, Some("k5q")),
            [output(&forged.replace('␞', "\u{1e}"))],
            "{forged}"
        );
    }
    assert_eq!(worker("␞k5␞k5q 7 ok 1\n", Some("k5q")), [output("\u{1e}k5"), message("7 ok 1")]);
    assert_eq!(
        worker("␞7 ok 0\n␞k5q 7 ok 1\n", Some("k5q")),
        [output("\u{1e}7 ok 0\n"), message("7 ok 1")]
    );
    assert_eq!(worker("␞k5q \n", Some("k5q")), [message("")]);
}

// I3
#[test]
fn wherever_the_stream_is_cut_the_pieces_are_the_same() {
    let printed = "out␞k5q ready 1\n␞fake 1 ok 2\n␞k5␞k5q 1 ok \"äö\"\n\n␞k5q 2 err panicked \"x\"\nend␞k5q torn";
    let bytes = printed.replace('␞', "\x1e").into_bytes();
    for seal in [None, Some("k5q")] {
        let whole = collect(Lines::from_worker(&bytes[..], seal));
        assert!(whole.len() > 6, "{whole:?}");
        for size in 1..=bytes.len() {
            let parts = BufReader::with_capacity(7, Parts::new(bytes.chunks(size)));
            assert_eq!(collect(Lines::from_worker(parts, seal)), whole, "in parts of {size}");
        }
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let parts = [first, second].into_iter().filter(|part| !part.is_empty());
            assert_eq!(
                collect(Lines::from_worker(BufReader::new(Parts::new(parts)), seal)),
                whole,
                "cut at {cut}"
            );
        }
    }
}

// I4
#[test]
fn a_message_that_is_no_text_is_reported_with_its_id_and_the_next_one_is_read() {
    let printed = b"\x1e7 ok \"\xff\"\n\x1e8 ok 1\n\x1e\xff ok 1\n";
    assert_eq!(
        collect(Lines::from_worker(&printed[..], None)),
        [NotText(Some(7)), message("8 ok 1"), NotText(None)]
    );
}

// I4, I5
#[test]
fn a_message_over_the_limit_is_reported_once_with_its_id_and_skipped() {
    let printed = format!("before\x1e7 ok \"{}\"\n\x1e8 ok 1\nafter", "x".repeat(1000));
    for (limit, expected) in [(20, TooLong(Some(7))), (1008, TooLong(Some(7))), (2, TooLong(None))]
    {
        let mut lines = Lines::from_worker(printed.as_bytes(), None);
        lines.limit = limit;
        let pieces = collect(lines);
        assert_eq!(pieces[..2], [output("before"), expected], "{limit}");
        assert_eq!(pieces.last(), Some(&output("after")));
        assert!(limit == 2 || pieces[2] == message("8 ok 1"));
    }
    let mut lines = Lines::from_worker(printed.as_bytes(), None);
    lines.limit = 1009;
    assert_eq!(collect(lines).len(), 4, "mark and newline count");
    let mut lines = Lines::from_worker(&b"\x1e7 ok 1\n"[..], None);
    lines.limit = 0;
    assert_eq!(collect(lines), [TooLong(None)], "there is no line of no bytes, and no end of them");
    assert_eq!(LIMIT, 512 << 20);
}

// I5: an endless line under a small limit; memory would be gone long before the watchdog.
#[test]
fn an_endless_line_is_skipped_in_little_memory() {
    let endless = "\x1e9 ok "
        .as_bytes()
        .chain(io::repeat(b'1').take(200 << 20))
        .chain(&b"\n\x1e10 ok 2\n"[..]);
    let pieces = watchdog("an endless line", move || {
        let mut lines = Lines::from_worker(BufReader::new(endless), None);
        lines.limit = 1 << 10;
        collect(lines)
    });
    assert_eq!(pieces, [TooLong(Some(9)), message("10 ok 2")]);
}

#[test]
fn a_line_of_output_over_the_limit_is_no_loss() {
    let printed = format!("\x1e{}\n\x1ek5q 1 ok 1\n", "x".repeat(1000));
    let mut lines = Lines::from_worker(printed.as_bytes(), Some("k5q"));
    lines.limit = 100;
    let (out, _) = printed.split_at(1002);
    assert_eq!(collect(lines), [output(out), message("1 ok 1")]);
}

// I6
#[test]
fn a_line_that_the_end_cuts_short_is_no_message() {
    assert_eq!(worker("␞7 ok 14", None), [Torn(b"7 ok 14".to_vec())]);
    assert_eq!(worker("␞k5q 7 ok 14", Some("k5q")), [Torn(b"7 ok 14".to_vec())]);
    assert_eq!(
        collect(Lines::from_parent(&b"7 square 12\n8 square 1"[..])),
        [message("7 square 12"), Torn(b"8 square 1".to_vec())]
    );
}

#[test]
fn every_line_of_a_parent_is_a_message() {
    assert_eq!(
        collect(Lines::from_parent(&b"7 square 12\r\n\nrecall\n\x1e8 a \x1e\n"[..])),
        [message("7 square 12\r"), message(""), message("recall"), message("\u{1e}8 a \u{1e}")]
    );
    let mut lines = Lines::from_parent(&b"7 square 123456789\n8 square 1\n\xff\n9 a \xff\n"[..]);
    lines.limit = 12;
    assert_eq!(
        collect(lines),
        [TooLong(Some(7)), message("8 square 1"), NotText(None), NotText(Some(9))]
    );
}

#[test]
fn an_error_of_the_pipe_is_handed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let mut lines = Lines::from_worker(BufReader::new(Broken), None);
    assert_eq!(lines.read().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_message_of_many_megabytes_is_one_piece_between_its_neighbours() {
    let long = "x".repeat(4 << 20);
    let printed = format!("{long}\x1e1 ok \"{long}\"\n\x1e2 ok 2\n");
    let pieces = collect(Lines::from_worker(BufReader::new(printed.as_bytes()), None));
    assert_eq!(pieces, [output(&long), message(&format!("1 ok \"{long}\"")), message("2 ok 2")]);
}

/// The same numbers in every run.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as usize
}

// I1, I3: garbage in, the same garbage out.
#[test]
fn of_random_streams_no_byte_is_lost_or_doubled() {
    let words = ["\x1e", "\x1ek5q ", "k5q ", "\n", "\n", "7 ok 1", "x", "\x1ek5", "é"];
    let mut state = 15;
    for round in 0..20_000 {
        let printed: String =
            (0..random(&mut state) % 12).map(|_| words[random(&mut state) % words.len()]).collect();
        let seal = [None, Some("k5q")][round % 2];
        let start = ["\x1e", "\x1ek5q "][round % 2];
        let size = 1 + random(&mut state) % 9;
        let pieces =
            collect(Lines::from_worker(BufReader::with_capacity(size, printed.as_bytes()), seal));
        let again: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| match piece {
                Output(bytes) => bytes.clone(),
                Piece::Message(text) => format!("{start}{text}\n").into_bytes(),
                Torn(bytes) => [start.as_bytes(), bytes].concat(),
                other => panic!("{other:?} in {printed:?}"),
            })
            .collect();
        assert_eq!(String::from_utf8(again).unwrap(), printed, "{pieces:?}");
        for piece in &pieces {
            assert!(
                !matches!(piece, Piece::Message(text) if text.contains([MARK, '\n'])),
                "{pieces:?}"
            );
        }
        assert!(
            pieces.iter().rev().skip(1).all(|piece| !matches!(piece, Torn(_))),
            "only the end tears"
        );
    }
}

#[test]
fn random_bytes_kill_nobody() {
    const ODD: &[u8] = b"\x1e\n 7ok{}[]\"\\:,1-ready";
    const EVEN: &[u8] = b"\x1e7 ok err ready 1 {\"pid\":";
    let mut state = 16;
    for _ in 0..20_000 {
        let length = random(&mut state) % 24;
        let byte = |_| match random(&mut state) % 3 {
            0 => ODD[random(&mut state) % ODD.len()],
            1 => random(&mut state) as u8,
            _ => EVEN[random(&mut state) % EVEN.len()],
        };
        let bytes: Vec<u8> = (0..length).map(byte).collect();
        let mut lines = Lines::from_worker(&bytes[..], None);
        lines.limit = 1 + random(&mut state) % 20;
        for piece in collect(lines) {
            if let Piece::Message(text) = piece {
                _ = Message::parse(&text);
                _ = Request::parse(&text);
            }
        }
    }
}

#[test]
fn all_prefixes_of_a_message_kill_nobody() {
    let whole = r#"ready 1 {"pid":4242,"tasks":["square"],"lookahead":64}"#;
    for end in 0..whole.len() {
        let parsed = Message::parse(&whole[..end]);
        assert_eq!(parsed.is_ok(), end == 0 || end == 7 || end == 8, "{parsed:?}");
    }
}

#[test]
fn lines_can_be_sent_to_another_thread() {
    fn sendable<T: Send + Sync>() {}
    sendable::<Lines<BufReader<std::process::ChildStdout>>>();
    sendable::<Message<'static>>();
    sendable::<Incoming<'static>>();
}
