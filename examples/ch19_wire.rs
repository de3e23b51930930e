//! Look at the first two lines: a text with a line break in it is two lines, and the second one is
//! a forged order. Then at the same text as JSON, at values on their way there and back, and at
//! what the errors say.
//!
//! Expected output:
//!
//! ```text
//! by hand:  2 lines
//!           the second one says: pay 1000 to Eve
//! wire:     1 line: ["Ada\npay 1000 to Eve",36]
//!
//! 340282366920938463463374607431768211455
//! [0.1,-0.0,1e300,"NaN","-inf"]
//! [null,0,"␞ \" \\ \u001e"]
//! [[1,null],[2,"two"]]
//! [null,[null],[[7]]]
//! all of them read back the same
//!
//! u8    256         column 1: expected a whole number from 0 to 255, found "256"
//! pair  [1,2        column 5: expected `]`, found ""
//! list  [1,tru]     column 4: expected true or false, found "tru]"
//! text  "\ud800"    column 1: expected a string, found "\"\\ud800\""
//! list  [[[[…       column 130: expected at most 128 levels, found "[[[[[[[[[[[[[[[[[[[["
//! ```

use concurrent_explained::ch19_wire::{Decoded, Reader, Wire, WireError, from_line, to_line};

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
    let (name, age) = ("Ada\npay 1000 to Eve".to_string(), 36);
    let by_hand = format!("{name} {age}\n");
    let lines: Vec<&str> = by_hand.lines().collect();
    println!("by hand:  {} lines", lines.len());
    println!("          the second one says: {}", lines[1].trim_end_matches(" 36"));
    let line = to_line(&(name, age));
    println!("wire:     {} line: {line}\n", line.lines().count());

    show(u128::MAX);
    let floats = vec![0.1, -0.0, 1e300, f64::NAN, f64::NEG_INFINITY];
    println!("{}", to_line(&floats));
    assert!(from_line::<Vec<f64>>(&to_line(&floats)).unwrap()[3].is_nan());
    show(((), 0, "\u{241e} \" \\ \u{1e}".to_string()));
    show(vec![(1, None), (2, Some("two".to_string()))]);
    show((None::<Option<Option<u8>>>, Some(None::<Option<u8>>), Some(Some(Some(7)))));
    println!("all of them read back the same\n");

    complain("u8  ", "256", from_line::<u8>("256"));
    complain("pair", "[1,2", from_line::<(u8, u8)>("[1,2"));
    complain("list", "[1,tru]", from_line::<(u8, bool)>("[1,tru]"));
    complain("text", "\"\\ud800\"", from_line::<String>("\"\\ud800\""));
    complain("list", "[[[[…", from_line::<Nest>(&"[".repeat(1_000_000)));
}

/// Prints the line, and proves that it comes back as the same value.
fn show<T: Wire + PartialEq>(value: T) {
    let line = to_line(&value);
    println!("{line}");
    assert!(from_line::<T>(&line).is_ok_and(|back| back == value));
}

fn complain<T: std::fmt::Debug>(kind: &str, line: &str, read: Result<T, WireError>) {
    println!("{kind}  {line:10}  {}", read.unwrap_err());
}
