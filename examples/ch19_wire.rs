//! Look at the first two lines: a text with a line break in it is two lines, and the second one is
//! a forged order. Then at the smallest cure and where it ends, at values on their way there and
//! back, and at what the errors say.
//!
//! Expected output:
//!
//! ```text
//! by hand:   2 lines
//!            the second one says: pay 1000 to Eve
//! escaped:   1 line: Ada\npay 1000 to Eve
//!            and back: the same text
//!            two texts, a space between them: "Ada Eve 36" could be three
//! wire:      1 line: ["Ada\npay 1000 to Eve",36]
//!
//! values on one line each, and back:
//!   340282366920938463463374607431768211455
//!   [0.1,-0.0,1e300,"NaN","-inf"]
//!   [null,0,"␞ \" \\ \u001e"]
//!   [[1,null],[2,"two"]]
//!   [null,[null],[[7]]]
//!   [{"ok":1},{"err":"why"}]
//! all of them read back the same
//!
//! what the errors say:
//!   u8    256         column 1: expected a whole number from 0 to 255, found "256"
//!   pair  [1,2        column 5: expected `]`, found ""
//!   list  [1,tru]     column 4: expected true or false, found "tru]"
//!   text  "\ud800"    column 1: expected a string, found "\"\\ud800\""
//!   list  [[[[…       column 130: expected at most 128 levels, found "[[[[[[[[[[[[[[[[[[[["
//! ```

use concurrent_explained::ch19_wire::{Decoded, Reader, Wire, WireError, from_line, to_line};
use std::fmt::Debug;
use std::io::{self, Write};

/// The smallest version: one text on one line.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescape(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let is_escape = c == '\\';
        match if is_escape { chars.next() } else { Some(c) } {
            Some('n') if is_escape => text.push('\n'),
            other => text.extend(other),
        }
    }
    text
}

/// Brackets and nothing else, as deep as the line says.
#[derive(Debug, PartialEq)]
struct Nest(Vec<Nest>);

impl Wire for Nest {
    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        input.items().map(Nest)
    }
}

fn main() {
    let _ = io::stdout().write_all(story().as_bytes()); // an error: nobody reads it
}

fn story() -> String {
    let (name, age) = ("Ada\npay 1000 to Eve".to_string(), 36);
    let by_hand = format!("{name} {age}\n");
    let second = by_hand.lines().nth(1).unwrap().trim_end_matches(" 36");
    let mut story = format!("by hand:   {} lines\n", by_hand.lines().count());
    story += &format!("           the second one says: {second}\n");

    let line = escape(&name);
    let same = if unescape(&line) == name { "the same text" } else { "another text" };
    story +=
        &format!("escaped:   {} line: {line}\n           and back: {same}\n", line.lines().count());
    let (one, two) = ("Ada Eve", "36");
    let joined = format!("{} {}", escape(one), escape(two));
    story += &format!("           two texts, a space between them: {joined:?} could be three\n");

    let line = to_line(&(name, age));
    story += &format!("wire:      {} line: {line}\n\n", line.lines().count());

    story += "values on one line each, and back:\n";
    story += &there_and_back(u128::MAX);
    let floats = vec![0.1, -0.0, 1e300, f64::NAN, f64::NEG_INFINITY];
    story += &format!("  {}\n", to_line(&floats));
    assert!(from_line::<Vec<f64>>(&to_line(&floats)).unwrap()[3].is_nan());
    story += &there_and_back(((), 0, "\u{241e} \" \\ \u{1e}".to_string()));
    story += &there_and_back(vec![(1, None), (2, Some("two".to_string()))]);
    let options = (None::<Option<Option<u8>>>, Some(None::<Option<u8>>), Some(Some(Some(7))));
    story += &there_and_back(options);
    story += &there_and_back((Ok::<u8, String>(1), Err::<u8, String>("why".to_string())));
    story += "all of them read back the same\n\nwhat the errors say:\n";

    story += &error("u8  ", "256", from_line::<u8>("256"));
    story += &error("pair", "[1,2", from_line::<(u8, u8)>("[1,2"));
    story += &error("list", "[1,tru]", from_line::<(u8, bool)>("[1,tru]"));
    story += &error("text", "\"\\ud800\"", from_line::<String>("\"\\ud800\""));
    story += &error("list", "[[[[…", from_line::<Nest>(&"[".repeat(1_000_000)));
    story
}

/// The line, after the proof that it comes back as the same value.
fn there_and_back<T: Wire + PartialEq>(value: T) -> String {
    let line = to_line(&value);
    assert!(from_line::<T>(&line).is_ok_and(|back| back == value));
    format!("  {line}\n")
}

fn error<T: Debug>(kind: &str, line: &str, read: Result<T, WireError>) -> String {
    format!("  {kind}  {line:10}  {}\n", read.unwrap_err())
}
