//! What a worker writes, read in four ways, each of which mends what the one before got wrong. Look
//! at which call gets a wrong answer, and why. ␞ stands for ASCII 30, and ⏎ for the end of a line.
//!
//! Expected output:
//!
//! ```text
//! A line is an id and an answer. Task 8 prints "9 lives", and 9 has an answer before it runs:
//!   9 has the answer "lives"
//!
//! Ours is marked, everything else is output. Task 8 prints the mark, too:
//!   ready    {"pid":4242,"tasks":["square"]}
//!   output   "9 lives⏎thinking about it "
//!   reply    7 has the answer "144"
//!   reply    8 has the answer "0"
//!   reply    8 has no answer, panicked: overflow
//!   end      a message of 6 bytes was cut short
//!
//! The mark has a seal, k5q, that task 8 does not know:
//!   ready    {"pid":4242,"tasks":["square"]}
//!   output   "9 lives⏎thinking about it "
//!   reply    7 has the answer "144"
//!   output   "␞8 ok 0⏎"
//!   reply    8 has no answer, panicked: overflow
//!   end      a message of 6 bytes was cut short
//!
//! A result of 5000 letters, and a program started by task 7 writes "50 %" into the middle of it:
//!   reply    7 has an answer of 5006 bytes, the wrong one
//! The same, but the message says its length:
//!   reply    7 has no answer, garbled: a message of 5002 bytes came as 5006:
//!            something else writes to the worker's standard output,
//!            perhaps a program that the task has started
//! ```

use std::fmt::Write as _;
use std::io::{self, BufReader, Write as _};

use concurrent_explained::ch21_protocol::{opening, write_message};
use concurrent_explained::{Incoming, Lines, Message};

/// The smallest protocol: a line is an id and an answer.
fn smallest(id: u64, printed: &str) -> Option<&str> {
    printed.lines().find_map(|line| line.strip_prefix(&format!("{id} ")))
}

/// What comes out of the pipe, with the seal in front of what the worker itself says.
fn printed(seal: &str) -> String {
    let lines = [
        "␞SEALready 1 {\"pid\":4242,\"tasks\":[\"square\"]}\n",
        "9 lives\n",
        "thinking about it ␞SEAL7 ok 144\n",
        "␞8 ok 0\n", // printed by task 8
        "␞SEAL8 err panicked \"overflow\"\n",
        "␞SEAL9 ok 8", // the worker dies here
    ];
    lines.concat().replace("SEAL", seal).replace('␞', "\x1e")
}

fn main() {
    let mut story = String::new();
    tell(&mut story).expect("a string takes everything");
    _ = io::stdout().write_all(story.as_bytes()); // nobody may be reading: that is no failure
}

fn tell(story: &mut String) -> std::fmt::Result {
    let heard = printed("");
    writeln!(
        story,
        "A line is an id and an answer. Task 8 prints \"9 lives\", and 9 has an answer before it \
         runs:\n  9 has the answer {:?}\n",
        smallest(9, &heard).unwrap_or("none")
    )?;

    writeln!(story, "Ours is marked, everything else is output. Task 8 prints the mark, too:")?;
    explain(story, &heard, None)?;
    writeln!(story, "\nThe mark has a seal, k5q, that task 8 does not know:")?;
    explain(story, &printed("k5q "), Some("k5q"))?;

    writeln!(
        story,
        "\nA result of 5000 letters, and a program started by task 7 writes \"50 %\" into the \
         middle of it:"
    )?;
    let json = format!("\"{}\"", "x".repeat(5000));
    let mut long = format!("{}7 ok {json}\n", opening(None));
    long.insert_str(4096, "50 %");
    explain(story, &long, None)?;
    writeln!(story, "The same, but the message says its length:")?;
    let mut measured = String::new();
    write_message(&opening(None), "7 ok", &json, &mut measured);
    measured.insert_str(4096, "50 %");
    explain(story, &measured, None)
}

/// Says what comes out of the pipe, piece by piece.
fn explain(story: &mut String, printed: &str, seal: Option<&str>) -> std::fmt::Result {
    let mut lines = Lines::from_worker(BufReader::new(printed.as_bytes()), seal);
    while let Some(incoming) = lines.read().expect("a text in memory can be read") {
        match incoming {
            Incoming::Output(bytes) => {
                let text = String::from_utf8_lossy(bytes).replace('\x1e', "␞").replace('\n', "⏎");
                writeln!(story, "  output   {text:?}")?;
            }
            Incoming::Message(text) => match Message::parse(text) {
                Ok(Message::Ready { about, .. }) => writeln!(story, "  ready    {about}")?,
                Ok(Message::Reply { id, outcome: Ok(json) }) if json.len() > 100 => {
                    let length = json.len();
                    writeln!(
                        story,
                        "  reply    {id} has an answer of {length} bytes, the wrong one"
                    )?;
                }
                Ok(Message::Reply { id, outcome: Ok(json) }) => {
                    writeln!(story, "  reply    {id} has the answer {json:?}")?;
                }
                Ok(Message::Reply { id, outcome: Err((kind, why)) }) => {
                    let why = why.replace(": ", ":\n           ").replace(", ", ",\n           ");
                    writeln!(story, "  reply    {id} has no answer, {kind}: {why}")?;
                }
                other => writeln!(story, "  other    {other:?}")?,
            },
            Incoming::Torn(bytes) => {
                writeln!(story, "  end      a message of {} bytes was cut short", bytes.len())?;
            }
            other => writeln!(story, "  other    {other:?}")?,
        }
    }
    Ok(())
}
