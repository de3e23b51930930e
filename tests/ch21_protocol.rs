//! Chapter 21: every byte is a message or output, wherever the pipe cuts it.

mod support;

use std::io::{self, BufReader, Read};

use concurrent_explained::ch21_protocol::{
    ErrKind, Incoming, LIMIT, Lines, MARK, Message, ONE_WRITE, RECALL, Request, VERSION,
    is_task_name, opening, write_message,
};
use support::watchdog;

/// What came down a pipe, with the output between two messages in one piece.
#[derive(Debug, PartialEq, Clone)]
enum Piece {
    Output(Vec<u8>),
    Message(String),
    Unreadable(Option<u64>, ErrKind),
    Torn(Vec<u8>),
}
use ErrKind::{Garbled, TooLong};
use Piece::{Output, Torn, Unreadable};

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
            (Incoming::Unreadable(id, kind, why), _) => {
                assert_eq!(why, if kind == TooLong { "over the limit" } else { "not UTF-8" });
                pieces.push(Unreadable(id, kind));
            }
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

#[test]
fn i4_a_request_typed_by_hand_may_be_untidy_but_needs_an_id() {
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

/// The line that a worker without a seal writes.
fn written(head: &str, json: &str) -> String {
    let mut line = String::new();
    write_message(&opening(None), head, json, &mut line);
    line
}

#[test]
fn i8_a_newline_or_mark_in_a_payload_cannot_start_another_line() {
    let mut line = String::new();
    Request { id: 1, task: "a", argument: "[1,\n2 square 3\n]" }.write(&mut line);
    assert_eq!(line, "1 a [1, 2 square 3 ]\n");
    assert_eq!(written("1 ok", "[1,\n\u{1e}2 ok 3]"), "\u{1e}1 ok [1,  2 ok 3]\n");
    for (payload, kept) in [("[\n]", "[ ]"), ("[\u{1e}]", "[ ]"), ("[\r]", "[\r]")] {
        assert_eq!(written("1 ok", payload), format!("\u{1e}1 ok {kept}\n"));
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
    let about = r#"64 {"pid":4242,"tasks":["square"]}"#;
    let err = |head: &str, json: &str, message: Message<'static>| {
        (head.to_string(), json.to_string(), message)
    };
    let messages = [
        (format!("ready {VERSION}"), about.to_string(), Message::Ready { version: 1, about }),
        ("7 ok".to_string(), "[1, 2]".to_string(), Message::Reply { id: 7, outcome: Ok("[1, 2]") }),
        err("0 err panicked", r#""a\nb\u001e""#, reply(0, ErrKind::Panicked, "a\nb\u{1e}")),
        err("1 err unknown_task", "\"\"", reply(1, ErrKind::UnknownTask, "")),
        err("2 err bad_argument", "\"x\"", reply(2, ErrKind::BadArgument, "x")),
        err("0 err failed_start", "\"x\"", reply(0, ErrKind::FailedStart, "x")),
        err("4 err too_long", "\"x\"", reply(4, TooLong, "x")),
        err("5 err garbled", "\"x\"", reply(5, Garbled, "x")),
        err("18446744073709551615 err returned", "\"x\"", reply(u64::MAX, ErrKind::Returned, "x")),
    ];
    for (head, json, message) in messages {
        for (seal, start) in [(None, "\u{1e}"), (Some("k5q"), "\u{1e}k5q ")] {
            let mut line = String::new();
            write_message(&opening(seal), &head, &json, &mut line);
            assert_eq!(line, format!("{start}{head} {json}\n"));
            let pieces = collect(Lines::from_worker(line.as_bytes(), seal));
            assert_eq!(pieces, [Piece::Message(format!("{head} {json}"))]);
        }
        assert_eq!(Message::parse(&format!("{head} {json}")), Ok(message.clone()));
        if let Message::Reply { id, outcome: Err((kind, _)) } = message {
            assert_eq!(head, format!("{id} err {kind}"));
        }
    }
    for empty in ["", " ", "\r"] {
        assert_eq!(Message::parse(empty), Ok(Message::StillHere));
    }
}

// An old parent understands it: it takes what it knows from what the worker tells.
#[test]
fn try_3_a_worker_may_tell_more_than_its_parent_knows() {
    let ready = |version, about| Ok(Message::Ready { version, about });
    assert_eq!(Message::parse("ready 1"), ready(1, ""));
    assert_eq!(Message::parse("ready 1 {}\r"), ready(1, "{}"));
    assert_eq!(Message::parse(r#" ready  1  {"memory": 1e9} "#), ready(1, r#"{"memory": 1e9}"#));
    // Another version may tell it in another way.
    assert_eq!(Message::parse("ready 2 pid=7"), ready(2, "pid=7"));
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
    ] {
        assert_eq!(Message::parse(text), Err(why.to_string()), "{text}");
    }
}

#[test]
fn i1_what_is_not_a_message_is_output_wherever_it_stands() {
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

// `12` and `␞7 ok 1` are output, `7 ok 2` is the message.
#[test]
fn try_1_of_two_marks_on_a_line_the_last_one_starts_the_message() {
    assert_eq!(worker("12␞7 ok 1␞7 ok 2\n", None), [output("12\u{1e}7 ok 1"), message("7 ok 2")]);
}

#[test]
fn i2_the_last_mark_on_a_line_starts_the_message() {
    assert_eq!(worker("12␞7 ok 1␞7 ok 2\n", None), [output("12\u{1e}7 ok 1"), message("7 ok 2")]);
    assert_eq!(worker("␞␞␞8 ok 1\n", None), [output("\u{1e}\u{1e}"), message("8 ok 1")]);
}

// Break: the task that printed a lone mark loses its answer, for nobody reads the second one. Red
// are try_1, try_2, i2, f4, i3 and with_a_seal, which have two marks on a line.
#[test]
fn try_2_a_lone_mark_in_the_output_does_not_take_the_answer_with_it() {
    assert_eq!(
        worker("record separator: ␞, then ␞7 ok 1\n", None),
        [output("record separator: \u{1e}, then "), message("7 ok 1")]
    );
}

#[test]
fn f4_the_limit_counts_from_the_last_mark_on() {
    for (seal, start) in [(None, "␞"), (Some("k5q"), "␞k5q ")] {
        // The cut at the limit goes through every byte of the answer.
        for stray in 60..100 {
            let noise = format!("␞{}", "x".repeat(stray));
            let printed = format!("{noise}{start}7 ok 144\n{start}8 ok 1\n").replace('␞', "\x1e");
            for size in [1, 7, 1_000] {
                let input = BufReader::with_capacity(size, printed.as_bytes());
                let mut lines = Lines::from_worker(input, seal);
                lines.limit = 101;
                let expected =
                    [output(&noise.replace('␞', "\x1e")), message("7 ok 144"), message("8 ok 1")];
                assert_eq!(collect(lines), expected, "{stray} bytes in parts of {size}");
            }
        }
    }
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
    // What another writer puts into a sealed message does not cut it in two.
    assert_eq!(worker("␞k5q 7 ok \"␞3 ok 5\n", Some("k5q")), [message("7 ok \"\u{1e}3 ok 5")]);
}

#[test]
fn i3_wherever_the_stream_is_cut_the_pieces_are_the_same() {
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

#[test]
fn i4_a_message_that_is_no_text_is_reported_with_its_id_and_the_next_one_is_read() {
    let printed = b"\x1e7 ok \"\xff\"\n\x1e8 ok 1\n\x1e\xff ok 1\n";
    assert_eq!(
        collect(Lines::from_worker(&printed[..], None)),
        [Unreadable(Some(7), Garbled), message("8 ok 1"), Unreadable(None, Garbled)]
    );
}

#[test]
fn i5_a_message_over_the_limit_is_reported_once_with_its_id_and_skipped() {
    let printed = format!("before\x1e7 ok \"{}\"\n\x1e8 ok 1\nafter", "x".repeat(1000));
    for (limit, id) in [(20, Some(7)), (1008, Some(7)), (2, None)] {
        let expected = Unreadable(id, TooLong);
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
    assert_eq!(
        collect(lines),
        [Unreadable(None, TooLong)],
        "there is no line of no bytes, and no end of them"
    );
    assert_eq!(LIMIT, 512 << 20);
}

// Memory would be gone long before the watchdog.
#[test]
fn i5_an_endless_line_is_skipped_in_little_memory() {
    let endless = "\x1e9 ok "
        .as_bytes()
        .chain(io::repeat(b'1').take(20 << 20))
        .chain(&b"\n\x1e10 ok 2\n"[..]);
    let pieces = watchdog("an endless line", move || {
        let mut lines = Lines::from_worker(BufReader::new(endless), None);
        lines.limit = 1 << 10;
        collect(lines)
    });
    assert_eq!(pieces, [Unreadable(Some(9), TooLong), message("10 ok 2")]);
}

#[test]
fn a_line_of_output_over_the_limit_is_no_loss() {
    let printed = format!("\x1e{}\n\x1ek5q 1 ok 1\n", "x".repeat(1000));
    let mut lines = Lines::from_worker(printed.as_bytes(), Some("k5q"));
    lines.limit = 100;
    let (out, _) = printed.split_at(1002);
    assert_eq!(collect(lines), [output(out), message("1 ok 1")]);
}

#[test]
fn i6_a_line_that_the_end_cuts_short_is_no_message() {
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
        [
            Unreadable(Some(7), TooLong),
            message("8 square 1"),
            Unreadable(None, Garbled),
            Unreadable(Some(9), Garbled)
        ]
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

// Garbage in, the same garbage out.
#[test]
fn i3_of_random_streams_no_byte_is_lost_or_doubled() {
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
                !matches!(piece, Piece::Message(text)
                    if text.contains(start) || text.contains('\n')),
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
    let whole = r#"ready 1 64 {"pid":4242,"tasks":["square"]}"#;
    for end in 0..whole.len() {
        let parsed = Message::parse(&whole[..end]);
        assert_eq!(parsed.is_ok(), end == 0 || end >= 7, "{parsed:?}");
    }
}

#[test]
fn lines_can_be_sent_to_another_thread() {
    fn sendable<T: Send + Sync>() {}
    sendable::<Lines<BufReader<std::process::ChildStdout>>>();
    sendable::<Message<'static>>();
    sendable::<Incoming<'static>>();
}

#[test]
fn i7_a_message_too_long_for_one_write_says_its_length() {
    let json = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let at_most = json(ONE_WRITE - "␞7 ok \n".len() + 2); // ␞ is one byte in the pipe
    let line = written("7 ok", &at_most);
    assert_eq!((line.len(), line.contains('#')), (ONE_WRITE, false));
    for length in [at_most.len() + 1, 300_000] {
        let json = json(length);
        let line = written("7 ok", &json);
        assert_eq!(line, format!("\u{1e}7 ok #{length} {json}\n"));
        let [Piece::Message(text)] = &collect(Lines::from_worker(line.as_bytes(), None))[..] else {
            panic!("{length}")
        };
        assert_eq!(Message::parse(text), Ok(Message::Reply { id: 7, outcome: Ok(&json) }));
    }
    // The head and the seal count; ready and errors say it too; a mark inside does not change it.
    let mut line = String::new();
    write_message(&opening(Some("k5q")), "7 ok", &at_most, &mut line);
    assert!(line.starts_with(&format!("\u{1e}k5q 7 ok #{} \"", at_most.len())));
    let text = written("7 err panicked", &json(5_000));
    assert_eq!(
        Message::parse(text.trim_start_matches(MARK).trim_end()),
        Ok(reply(7, ErrKind::Panicked, &"x".repeat(4_998)))
    );
    assert!(written("ready 1", &json(5_000)).starts_with("\u{1e}ready 1 #5000 \""));
    let marks = "\u{1e}\n".repeat(3_000);
    assert_eq!(written("7 ok", &marks), format!("\u{1e}7 ok #6000 {}\n", " ".repeat(6_000)));
}

// F9: in the first edition each of these was a result.
#[test]
fn f9_what_another_writer_puts_into_a_long_message_is_an_error_that_names_it() {
    let line = written("7 ok", &format!("\"{}\"", "x".repeat(5_000)));
    for intruder in ["50 %", "50 %\n", "\n", "x", "\u{1e}3 ok 5\n", "\u{1e}"] {
        for at in [20, 4_096, line.len() - 1] {
            let mut line = line.clone();
            line.insert_str(at, intruder);
            let sealed = line.replacen(MARK, &opening(Some("k5q")), 1);
            let pieces = collect(Lines::from_worker(sealed.as_bytes(), Some("k5q")));
            let Some(Piece::Message(text)) = pieces.first() else { panic!("{intruder:?} at {at}") };
            let Ok(Message::Reply { id: 7, outcome: Err((Garbled, why)) }) = Message::parse(text)
            else {
                assert_eq!((intruder, at), ("\n", line.len() - 2), "{text}");
                continue;
            };
            assert!(why.starts_with("a message of 5002 bytes came as "), "{why}");
            assert!(why.contains("something else writes to the worker's standard output"), "{why}");
        }
    }
}

#[test]
fn i7_a_length_that_is_no_length_fails_its_call() {
    for wrong in
        ["7 ok #", "7 ok #5", "7 ok #x 12", "7 ok #-1 12", "7 ok #3 12", "7 err panicked #1 12"]
    {
        let parsed = Message::parse(wrong);
        assert!(
            matches!(parsed, Ok(Message::Reply { id: 7, outcome: Err((Garbled, _)) })),
            "{wrong}: {parsed:?}"
        );
    }
    assert_eq!(Message::parse("7 ok #2 12"), Ok(Message::Reply { id: 7, outcome: Ok("12") }));
    assert_eq!(Message::parse("7 ok 12"), Ok(Message::Reply { id: 7, outcome: Ok("12") }));
    assert!(Message::parse("ready 1 #3 {}").unwrap_err().starts_with("a message of 3 bytes"));
    assert!(Message::parse("x7 ok #2 12").is_err(), "nobody knows whose it is");
}
