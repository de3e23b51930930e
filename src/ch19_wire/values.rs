//! The values of std that a program has anyway: how each is written, and how it is read.
//!
//! Read the first table; the macros below it make more rows of the same kind, for the words and
//! numbers, and for the tuples.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::text::quote;
use super::{Decoded, Reader, Wire, put, put_all};
use std::fmt::{Debug, Write};
use std::str::FromStr;

// One row a type: its generics, its name, whether it can be `null`, how it is written, how it is
// read. A macro, since an `impl` without it is eight lines, of which two say something. What looks
// like a closure in a row is none: it names the arguments of the function, and the body follows. A
// row must name them itself, because names that a macro makes up cannot be seen in its arguments.
macro_rules! table {
    ($([$($generics:tt)*] $type:ty, $nullable:expr,
        |$value:ident, $out:ident| $encode:expr, |$input:ident| $decode:expr;)+) => {$(
        impl<$($generics)*> Wire for $type {
            // `true` where the text can be `null`: then `Some` of it needs brackets.
            const NULLABLE: bool = $nullable;
            fn encode(&self, $out: &mut String) {
                let $value = self;
                $encode
            }
            fn decode($input: &mut Reader<'_>) -> Decoded<Self> {
                $decode
            }
        }
    )+};
}

table! {
    // So a task without an argument or a result is written as well. `null` is a word like any other
    // here: what makes it special is the `true`, which `Option` asks for.
    [] (), true, |_unit, out| out.push_str("null"),
        |input| input.word("null", |word| (word == "null").then_some(()));
    [] String, false, |text, out| quote(text, out), |input| input.string();
    // No capacity is reserved: the only length there is would be the text's own word for it. (I3)
    [T: Wire] Vec<T>, false, |items, out| put_all(out, items), |input| input.items();
    // Through `item`, so that a box in a box in a box is counted as depth: a line without a single
    // bracket could use up the stack too. (I3)
    [T: Wire] Box<T>, T::NULLABLE, |boxed, out| T::encode(boxed, out),
        |input| input.item().map(Box::new);
    // `Some` of what is `null` itself stands in brackets, or it would be read as `None`. (I1) Only
    // there: `Some(5)` is `5`, as a person would type it.
    [T: Wire] Option<T>, true,
        |option, out| match option {
            None => out.push_str("null"),
            Some(value) if T::NULLABLE => put_all(out, [value]),
            Some(value) => value.encode(out),
        },
        |input| if input.rest().starts_with('n') {
            <()>::decode(input).map(|()| None)
        } else if T::NULLABLE {
            <(T,)>::decode(input).map(|(value,)| Some(value)) // a tuple of one: `[x]`
        } else {
            T::decode(input).map(Some)
        };
    // An object with one entry, whose key says what type comes next. So `here` remembers where the
    // key stood: after it is read, an error can only point behind it. A second entry is an error
    // too, because `}` is what must come next: of two answers none is the one that was meant.
    [T: Wire, E: Wire] Result<T, E>, false,
        |result, out| {
            out.push_str(if result.is_ok() { "{\"ok\":" } else { "{\"err\":" });
            match result {
                Ok(value) => value.encode(out),
                Err(error) => error.encode(out),
            }
            out.push('}');
        },
        |input| {
            input.expect('{')?;
            let here = input.here()?;
            let result = match input.key::<String>()?.as_deref() {
                Some("ok") => Ok(input.item()?),
                Some("err") => Err(input.item()?),
                _ => return Err(here.error("\"ok\" or \"err\"")),
            };
            input.expect('}').map(|()| result)
        };
}

// What is one word to the reader: `word` takes all up to a bracket, comma or space, so `trueish` is
// no `true` with something behind it. Each type's own `parse` finds what is out of range, so 128
// bits are exact and `u8` refuses 256: no number passes through a float on its way, as it would in
// a reader that builds a tree first. `Self` in a row is the type of each `impl` that the row makes:
// the range in an error is that of the type, on a machine of 32 bits as well.
macro_rules! words {
    ($($($type:ty)+, $what:expr;)+) => { $(table! { $([] $type, false,
        |value, out| show(out, value), |input| input.word($what, parse);
    )+ })+ };
}
words! {
    bool, "true or false";
    u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize,
        format_args!("a whole number from {} to {}", Self::MIN, Self::MAX);
    f32 f64, "a number";
}

// A bracket, each item after the comma it may need, a bracket. `item::<A>` is where the type says
// what comes next: the one place in this file where a value is made of others of different types.
// One item too few, and `item` finds the bracket; one too many, and `expect` finds the comma. The
// numbers stand in the list below because a macro cannot count.
macro_rules! tuples {
    ($($($name:ident $index:tt)+;)+) => { table! { $([$($name: Wire),+] ($($name,)+), false,
        |tuple, out| { out.push('['); $(put(out, &tuple.$index);)+ out.push(']') },
        |input| {
            input.expect('[')?;
            let tuple = ($(input.item::<$name>()?,)+);
            input.expect(']').map(|()| tuple)
        };
    )+ } };
}
tuples! { A 0; A 0 B 1; A 0 B 1 C 2; A 0 B 1 C 2 D 3; A 0 B 1 C 2 D 3 E 4; A 0 B 1 C 2 D 3 E 4 F 5;
A 0 B 1 C 2 D 3 E 4 F 5 G 6; A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7; }

/// Any JSON, read and forgotten: the value of a name that is not known.
///
/// It is read as strictly as a value that is kept. A reader that only looks for the end of it would
/// take what is not JSON for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored;

table! {
    [] Ignored, true, |_ignored, out| out.push_str("null"),
        |input| match input.rest().bytes().next() {
            // Each item is read as an `Ignored`, and a vector of those takes no memory. (I3)
            Some(b'[') => input.items::<Ignored, Vec<_>>().map(|_| Ignored),
            Some(b'{') => {
                input.expect('{')?;
                // Through `item`, for the commas and the depth: a line of braces is refused as one
                // of brackets is. (I3)
                while input.key::<String>()?.is_some() {
                    input.item::<Ignored>()?;
                }
                Ok(Ignored)
            }
            Some(b'"') => input.string().map(|_| Ignored),
            // A number, `true`, `null`; or a word that is none of them, which is more than JSON
            // has.
            _ => input.word("a value", |word| (!word.is_empty()).then_some(Ignored)),
        };
}

/// Appends a word. `{:?}` writes the shortest text that reads back as the same float (I1), and
/// always a point or an exponent: `1.0` is not `1`, so a reader of another language gets a float
/// too. No `to_string`: a vector of a million numbers would be a million short-lived strings.
fn show(out: &mut String, word: &impl Debug) {
    let start = out.len();
    let _ = write!(out, "{word:?}"); // a `String` takes everything
    if out.ends_with(['N', 'f']) {
        out.insert(start, '"'); // NaN, inf, -inf: JSON has no word for these three
        out.push('"');
    }
}

/// The value of a word: what the type's own `parse` says, of what JSON allows and Python writes. A
/// word that is none of this type, as `true` is no `u8`, is refused by that `parse`. Whole numbers
/// are read as floats all the same: a person types `1`.
fn parse<T: FromStr>(word: &str) -> Option<T> {
    match word {
        "\"NaN\"" | "\"inf\"" | "\"-inf\"" => word.trim_matches('"').parse().ok(),
        "true" | "false" | "NaN" | "Infinity" | "-Infinity" => word.parse().ok(), // from Python
        _ => word.parse().ok().filter(|_| is_number(word)),
    }
}

/// What JSON asks of a number beyond what Rust's `parse` does: no `+5`, `007`, `.5`, `5.`, `nan`.
/// Without it a worker in another language could refuse what we accept, and nobody would know which
/// of the two is wrong. (I2)
///
/// It looks at the digits before the point, and that none is missing behind it; what follows an `e`
/// is as strict in Rust as in JSON.
fn is_number(word: &str) -> bool {
    // A zero stands alone before the point, or `010` would be ten here and eight elsewhere. `inf`
    // and `nan`, which `parse` takes for floats, do not start with a digit.
    let whole = word.strip_prefix('-').unwrap_or(word).as_bytes();
    matches!(whole, [b'0'] | [b'0', b'.' | b'e' | b'E', ..] | [b'1'..=b'9', ..])
        && whole.windows(2).all(|pair| pair[0] != b'.' || pair[1].is_ascii_digit())
        && !whole.ends_with(b".")
}
