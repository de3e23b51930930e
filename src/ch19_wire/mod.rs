//! # 19 · Wire — a value as one line of text
//!
//! Needs: nothing but std.   Reading time: 12 min.
//! Run it: cargo run --example ch19_wire
//!
//! ## Why
//!
//! A thread pool hands a closure to another thread: both see the same memory. Another process sees
//! none of it. What goes there goes through a pipe, as bytes, and has to become a value again on
//! the other side. Here the bytes are one line of JSON, so that a person can type them and any
//! language can read them.
//!
//! ## Picture
//!
//! ```text
//! (7, "a\nb", None)                                  (7, "a\nb", None)
//!        │ encode: appends to a String                      ▲
//!        ▼                                                  │ decode: a cursor,
//! [7,"a\nb",null]  ────── one line, no newline ──────▶      │ no tree in between
//!   ▲
//!   └ Reader { text, at, depth }:  what type comes next is known from `T`,
//!     so each step either finds it or says column, expected, found
//! ```
//!
//! | Rust | JSON | |
//! | --- | --- | --- |
//! | whole numbers | `255` | exact over the whole range, 128 bits too |
//! | `f32`, `f64` | `0.1`, `-0.0`, `"NaN"`, `"inf"`, `"-inf"` | the shortest text that reads back the same |
//! | `bool`, `()` | `true`, `null` | |
//! | `String` | `"a\nb\u001e"` | line breaks of every kind and control characters are escaped |
//! | `Vec`, tuples | `[1,2]` | |
//! | `Box<T>` | as `T` | |
//! | `Option<T>` | `null` or as `T` | if `T` itself can be `null`: `null` or `[x]` |
//!
//! The room `records` adds what has names, and the rest:
//!
//! | Rust | JSON |
//! | --- | --- |
//! | `struct` | `{"path":"a.txt","size":12}` |
//! | `enum` | the name of the variant, then its fields: `["Circle",1.5]`, `["Empty"]` |
//! | `Result` | `{"ok":1}` or `{"err":"why"}` |
//! | maps with `String` keys | `{"a":1}` |
//! | maps with other keys | an array of pairs: `[[1,"a"],[2,"b"]]` |
//! | `VecDeque`, sets, `[T; N]` | `[1,2]`; an array has exactly `N` items |
//! | `char` | a string of one character |
//! | `Duration` | seconds: `1.5`, exact to the nanosecond |
//!
//! ## Promises
//!
//! - What is written reads back as the same value. (A NaN is a NaN, its bits are not kept. A value
//!   nested more than 128 deep is written, but refused when it is read.)
//! - What is written is one line and valid JSON; what JSON allows is read, white space included,
//!   and so are the bare `NaN` and `Infinity` that Python writes. What JSON does not allow is an
//!   error: `+5`, `007`, `[1,]`.
//! - Reading never panics and never runs out of stack, and memory grows only with the text: no
//!   number in the text is believed.
//! - An error names the column, counted in characters from 1, what was expected there, and what was
//!   found.
//! - A number too large for a float becomes infinite, as in Python. A number too large for a whole
//!   number is an error.
//!
//! ## The trap
//!
//! "Length first, then the bytes" is the usual framing. A reader that trusts the length reserves
//! what a stranger asks for:
//!
//! ```should_panic
//! let line = "18446744073709551615 hello";
//! let (length, text) = line.split_once(' ').unwrap();
//! let mut bytes: Vec<u8> = Vec::with_capacity(length.parse().unwrap()); // panics: capacity overflow
//! bytes.extend(text.bytes());
//! ```
//!
//! And a reader that recurses for each `[` dies of a line of brackets: no error, no unwinding, the
//! process is gone. Here [`Reader::item`] counts how deep it is, and everything inside of something
//! else is read with it.
//!
//! ## Elsewhere
//!
//! - Python pickles: any object, but a pickle is a program, and reading a stranger's runs it.
//! - serde has a data model of 29 types between type and text; here there is one text and two
//!   functions.
//! - JSON in JavaScript rounds whole numbers beyond 2^53; here they are exact.
//!
//! ## Try
//!
//! 1. Predict: what is `to_line(&Some(Some(None::<u8>)))`?
//! 2. Predict: `struct Nest(Vec<Nest>)` is written as its `Vec`. How many brackets can one inside
//!    of the other be read, and which column does the error for one more name?
//! 3. Extend: write `Wire` for a `Celsius(f64)` that refuses anything below -273.15 with an error
//!    of its own.
//!
//! The answers are in `tests/ch19_wire.rs`.

mod records;
mod text;

pub use records::{Ignored, entries, present, put_entry, start};

use std::fmt::{self, Display, Write};
use std::iter::from_fn;
use text::{is_number, quote, unquote};

/// What reading a value gives: the value, or what is wrong with the text.
pub type Decoded<T> = Result<T, WireError>;

/// A value that can be written as one line of JSON and read back.
///
/// # Examples
/// A type of your own is an array of its fields, or an array that starts with the name of the
/// variant. Whatever stands inside of it is written with [`put`] and read with [`Reader::item`].
///
/// ```
/// use concurrent_explained::ch19_wire::{Decoded, Reader, Wire, from_line, put, to_line};
///
/// #[derive(Debug, PartialEq)]
/// enum Shape {
///     Empty,
///     Rectangle { width: f64, height: f64 },
/// }
///
/// impl Wire for Shape {
///     fn encode(&self, out: &mut String) {
///         match self {
///             Shape::Empty => out.push_str("[\"empty\""),
///             Shape::Rectangle { width, height } => {
///                 out.push_str("[\"rectangle\"");
///                 put(out, width);
///                 put(out, height);
///             }
///         }
///         out.push(']');
///     }
///
///     fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
///         input.expect('[')?;
///         let shape = match input.item::<String>()?.as_str() {
///             "empty" => Shape::Empty,
///             "rectangle" => Shape::Rectangle { width: input.item()?, height: input.item()? },
///             _ => return Err(input.error("\"empty\" or \"rectangle\" before this")),
///         };
///         input.expect(']')?;
///         Ok(shape)
///     }
/// }
///
/// let shapes = vec![Shape::Empty, Shape::Rectangle { width: 2.0, height: 0.5 }];
/// assert_eq!(to_line(&shapes), r#"[["empty"],["rectangle",2.0,0.5]]"#);
/// assert_eq!(from_line::<Vec<Shape>>(&to_line(&shapes)), Ok(shapes));
///
/// let error = from_line::<Shape>(r#"["circle",1]"#).unwrap_err();
/// assert_eq!(error.to_string(), r#"column 10: expected "empty" or "rectangle" before this, found ",1]""#);
/// ```
pub trait Wire: Sized {
    /// Whether the text of a value can be `null`. A type that writes `null` has to say so: `Some`
    /// of it then stands in brackets, or it would read back as `None`.
    const NULLABLE: bool = false;

    /// Appends the value to `out`: valid JSON, no newline.
    fn encode(&self, out: &mut String);

    /// Reads one value from `input` and leaves the rest.
    ///
    /// # Errors
    /// What was expected, and where, if the text is something else. `input` is then of no more use.
    fn decode(input: &mut Reader<'_>) -> Decoded<Self>;
}

/// `value` as one line, without the newline.
///
/// # Examples
/// ```
/// use concurrent_explained::to_line;
///
/// assert_eq!(to_line(&(u128::MAX, "a\nb".to_string(), Some(0.1))),
///     r#"[340282366920938463463374607431768211455,"a\nb",0.1]"#);
/// ```
pub fn to_line<T: Wire>(value: &T) -> String {
    let mut out = String::new();
    value.encode(&mut out);
    out
}

/// The value that the whole of `text` stands for.
///
/// # Errors
/// If `text` is not a `T`, or if something follows it.
///
/// # Examples
/// ```
/// use concurrent_explained::from_line;
///
/// let error = from_line::<Vec<u8>>("[1, 2, x]").unwrap_err();
/// assert_eq!(error.to_string(), r#"column 8: expected a whole number from 0 to 255, found "x]""#);
/// ```
pub fn from_line<T: Wire>(text: &str) -> Decoded<T> {
    let mut input = Reader { text, at: 0, depth: 0 };
    let value = T::decode(&mut input)?;
    let end = input.rest().is_empty();
    end.then_some(value).ok_or_else(|| input.error("the end of the line"))
}

/// Why a text is not the value asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// Where: the first character of the line is in column 1.
    pub column: usize,
    /// What could have stood there.
    pub expected: String,
    /// The next 20 characters; empty at the end of the line.
    pub found: String,
}

impl Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: expected {}, found {:?}", self.column, self.expected, self.found)
    }
}

impl std::error::Error for WireError {}

/// A place in a line that is being read.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    /// The whole line.
    text: &'a str,
    /// How many bytes of it are read. Moves forward only, and only over what was understood.
    at: usize,
    /// How many values are being read around this place: at most 128.
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Steps over white space; what is left of the line.
    pub fn rest(&mut self) -> &'a str {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.text.as_bytes()[self.at..].iter().take_while(|byte| space(byte)).count();
        &self.text[self.at..]
    }

    /// The error "expected this, found that" for this place.
    ///
    /// It counts characters from the start of the line: make it only to return it.
    pub fn error(&self, expected: impl Display) -> WireError {
        let (before, after) = self.text.split_at(self.at);
        let (column, found) = (before.chars().count() + 1, after.chars().take(20).collect());
        WireError { column, expected: expected.to_string(), found }
    }

    /// Steps over a bracket, comma or colon.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn expect(&mut self, mark: char) -> Decoded<()> {
        let found = self.rest().starts_with(mark).then(|| self.at += mark.len_utf8());
        found.ok_or_else(|| self.error(format_args!("`{mark}`")))
    }

    /// The next value inside of the one being read, after the comma it may need.
    ///
    /// # Errors
    /// Those of `T`, and "at most 128 levels": the stack is finite, the brackets in a line are not.
    pub fn item<T: Wire>(&mut self) -> Decoded<T> {
        // After an opening bracket, a comma or a colon no comma is due. No value ends with one of
        // them.
        let before = self.text[..self.at].trim_ascii_end().bytes().last();
        if !matches!(before, None | Some(b'[' | b'{' | b',' | b':')) {
            self.expect(',')?;
        }
        self.depth += 1;
        let value = (self.depth <= 128).then(|| T::decode(self));
        self.depth -= 1;
        value.unwrap_or_else(|| Err(self.error("at most 128 levels")))
    }

    /// All items of an array, into any collection. Room is made as they come.
    ///
    /// # Errors
    /// Those of the items, and of the brackets and commas around them.
    pub fn items<T: Wire, C: FromIterator<T>>(&mut self) -> Decoded<C> {
        self.expect('[')?;
        let next = || (!self.rest().starts_with(']')).then(|| self.item());
        let all = from_fn(next).collect::<Decoded<C>>()?;
        self.expect(']').map(|()| all)
    }

    /// The next number, word or string (with its quotes and escapes), if `read` takes it; `what` it
    /// should be if not.
    ///
    /// # Errors
    /// If `read` says `None`.
    pub fn word<T>(&mut self, what: impl Display, read: fn(&str) -> Option<T>) -> Decoded<T> {
        let rest = self.rest();
        // A quote after an odd number of backslashes does not end the string.
        let escaped = |at: &usize| (at - rest[..*at].trim_end_matches('\\').len()) % 2 == 1;
        let mut quotes = rest.match_indices('"').skip(1).map(|(at, _)| at);
        let part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let end = match rest.starts_with('"') {
            true => quotes.find(|at| !escaped(at)).map(|at| at + 1),
            false => rest.bytes().position(|byte| !part(byte)),
        };
        let word = &rest[..end.unwrap_or(rest.len())];
        let value = read(word).ok_or_else(|| self.error(what))?;
        self.at += word.len();
        Ok(value)
    }
}

/// Appends a value inside of the one being written, after the comma it may need.
pub fn put<T: Wire>(out: &mut String, value: &T) {
    comma(out);
    value.encode(out);
}

fn comma(out: &mut String) {
    if !out.ends_with(['[', '{', ':']) {
        out.push(',');
    }
}

/// Appends an array of all `items`.
pub fn put_all<'v, T: Wire + 'v>(out: &mut String, items: impl IntoIterator<Item = &'v T>) {
    out.push('[');
    items.into_iter().for_each(|item| put(out, item));
    out.push(']');
}

// One row a type: its generics, its name, whether it can be `null`, how it is written, how it is
// read.
macro_rules! table {
    ($([$($generics:tt)*] $type:ty, $nullable:expr,
        |$value:ident, $out:ident| $encode:expr, |$input:ident| $decode:expr;)+) => {$(
        impl<$($generics)*> Wire for $type {
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
    [] (), true, |_unit, out| out.push_str("null"),
        |input| input.word("null", |word| (word == "null").then_some(()));
    [] bool, false, |bool, out| _ = write!(out, "{bool}"),
        |input| input.word("true or false", |word| word.parse().ok());
    [] String, false, |text, out| quote(text, out), |input| input.word("a string", unquote);
    [T: Wire] Vec<T>, false, |items, out| put_all(out, items), |input| input.items();
    [T: Wire] Box<T>, T::NULLABLE, |v, out| T::encode(v, out), |input| input.item().map(Box::new);
    [T: Wire] Option<T>, true,
        |option, out| match option {
            None => out.push_str("null"),
            Some(value) if T::NULLABLE => put_all(out, [value]),
            Some(value) => value.encode(out),
        },
        |input| match input.rest().starts_with('n') {
            true => <()>::decode(input).map(|()| None),
            _ if T::NULLABLE => <(T,)>::decode(input).map(|(value,)| Some(value)),
            _ => T::decode(input).map(Some),
        };
}

macro_rules! whole_numbers {
    ($($int:ty)+) => { table! { $([] $int, false, |int, out| _ = write!(out, "{int}"),
        |input| input.word(format_args!("a whole number from {} to {}", <$int>::MIN, <$int>::MAX),
            |word| word.parse().ok().filter(|_| is_number(word)));
    )+ } };
}
whole_numbers! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize }

macro_rules! floats {
    ($($float:ty)+) => { table! { $([] $float, false,
        |x, out| _ = if x.is_finite() { write!(out, "{x:?}") } else { write!(out, "\"{x}\"") },
        |input| input.word("a number", |word| match word {
            "\"NaN\"" | "\"inf\"" | "\"-inf\"" => word.trim_matches('"').parse().ok(),
            "NaN" | "Infinity" | "-Infinity" => word.parse().ok(),
            _ => word.parse().ok().filter(|_| is_number(word)),
        });
    )+ } };
}
floats! { f32 f64 }

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
