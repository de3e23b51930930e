//! A worker answers while its task prints. Look at what is a message and what is output; then at
//! the forged answer, and at what the seal makes of it. ␞ stands for the mark, ASCII 30, and ⏎ for
//! the end of a line.
//!
//! Expected output:
//!
//! ```text
//! line by line, without marks
//!   7 has no answer
//!   8 has the answer 0
//!
//! marked, without a seal
//!   message  Ready { version: 1, about: About { pid: 4242, tasks: ["square"], lookahead: 1 } }
//!   output   "thinking about it "
//!   message  Reply { id: 7, outcome: Ok("144") }
//!   message  Reply { id: 8, outcome: Ok("0") }
//!   message  Reply { id: 8, outcome: Err((Panicked, "overflow")) }
//!   end      a message of 6 bytes was cut short
//!
//! marked, sealed with k5q
//!   message  Ready { version: 1, about: About { pid: 4242, tasks: ["square"], lookahead: 1 } }
//!   output   "thinking about it "
//!   message  Reply { id: 7, outcome: Ok("144") }
//!   output   "␞8 ok 0⏎"
//!   message  Reply { id: 8, outcome: Err((Panicked, "overflow")) }
//!   end      a message of 6 bytes was cut short
//! ```

use std::io::BufReader;

use concurrent_explained::{Incoming, Lines, Message};

/// What comes out of the pipe, with the seal in front of what the worker itself says.
fn printed(seal: &str) -> String {
    let lines = [
        "␞SEALready 1 {\"pid\":4242,\"tasks\":[\"square\"]}\n",
        "thinking about it ␞SEAL7 ok 144\n",
        "␞8 ok 0\n", // printed by task 8
        "␞SEAL8 err panicked \"overflow\"\n",
        "␞SEAL9 ok 1", // the worker dies here
    ];
    lines.concat().replace("SEAL", seal).replace('␞', "\x1e")
}

fn main() {
    println!("line by line, without marks");
    for id in [7, 8] {
        let start = format!("{id} ok ");
        let text = printed("").replace('\x1e', "");
        match text.lines().find_map(|line| line.strip_prefix(&start)) {
            Some(answer) => println!("  {id} has the answer {answer}"),
            None => println!("  {id} has no answer"),
        }
    }

    println!("\nmarked, without a seal");
    explain(&printed(""), None);
    println!("\nmarked, sealed with k5q");
    explain(&printed("k5q "), Some("k5q"));
}

fn explain(printed: &str, seal: Option<&str>) {
    let mut lines = Lines::from_worker(BufReader::with_capacity(64, printed.as_bytes()), seal);
    while let Some(incoming) = lines.read().expect("a text in memory can be read") {
        match incoming {
            Incoming::Output(bytes) => {
                let text = String::from_utf8_lossy(bytes).replace('\x1e', "␞").replace('\n', "⏎");
                println!("  output   {text:?}");
            }
            Incoming::Message(text) => match Message::parse(text) {
                Ok(message) => println!("  message  {message:?}"),
                Err(wrong) => println!("  garbage  {wrong}"),
            },
            Incoming::Torn(bytes) => {
                println!("  end      a message of {} bytes was cut short", bytes.len())
            }
            other => println!("  other    {other:?}"),
        }
    }
}
