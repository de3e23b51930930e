//! # 19 · Wire — a value is one line of text, and its type says what comes next
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 29 min, exercises not counted |
//! | run it | `cargo run --example ch19_wire` |
//! | files | [example](../../../../examples/ch19_wire.rs), [test](../../../../tests/ch19_wire.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [18](../ch18_child/index.html), [20](../ch20_records/index.html) |
//!
//! ## Why
//!
//! The pool of chapter 18 sends a line of text and refuses one with a line break in it. A task that
//! takes two numbers and a name takes them apart by hand, and the child dies of each mistake in it.
//! What is needed: any value as one line, and the same value back, or an error that says where the
//! line is wrong.
//!
//! ## Steps
//!
//! 1. Escape the line break: `\` and `n`. And the backslash, or `\n` could be both. (The example
//!    has this version in twelve lines.) It carries one text; a second one needs a mark between
//!    them, and that mark an escape as well.
//! 2. Take the marks of JSON. A person can type them, and every language reads them.
//! 3. Let the type read. A reader of any JSON builds a tree first and looks for the value in it.
//!    But what comes next is known: a `(u64, String)` is a bracket, a number, a comma, a string, a
//!    bracket. So there is no tree, and each step either finds what it needs or says what it found.
//! 4. Trust nothing. A line of a million brackets must not use up the stack, and a length that
//!    stands in the text must not reserve memory.
//!
//! ## Picture
//!
//! ```text
//! (7, "a\nb", None)                           (7, "a\nb", None)
//!        │ (1) encode: appends to a String           ▲
//!        ▼                                           │ (2) decode: a cursor,
//! [7,"a\nb",null]  ── one line, no newline ──▶       │     no tree in between
//!   ▲
//!   └ Reader { text, rest, depth }
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
//! | `Result` | `{"ok":1}` or `{"err":"why"}` | |
//!
//! Chapter 20 adds structs and enums of yours, maps, sets, arrays, paths and durations.
//!
//! ## Promises
//!
//! - I1. What is written reads back as the same value. (A NaN is a NaN, its bits are not kept.)
//! - I2. What is written is one line and valid JSON. What JSON allows is read, white space too, and
//!   so are the bare `NaN` and `Infinity` that Python writes. What it does not allow is an error:
//!   `+5`, `007`, `[1,]`.
//! - I3. Reading never panics, never runs out of stack, and takes memory only as the text grows: no
//!   number in the text is believed, and a value more than 128 deep is refused.
//! - I4. An error names the column, counted in characters from 1, what was expected there, and what
//!   was found.
//! - Not promised: that a float of the text is exact. One that is too large is infinite, as in
//!   Python. (A whole number that is too large is an error.)
//! - Not promised: that what is more than 128 deep can be read back. It is written, since `encode`
//!   has no errors.
//!
//! ## The trap
//!
//! "Length first, then the bytes" is the usual framing. A reader that trusts the length reserves
//! what a stranger asks for:
//!
//! ```should_panic
//! let line = "18446744073709551615 hello";
//! let (length, text) = line.split_once(' ').unwrap();
//! let mut bytes: Vec<u8> = Vec::with_capacity(length.parse().unwrap()); // panics: overflow
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
//! 1. Predict: what is `to_line(&Some(Some(None::<u8>)))`? And how many brackets, one inside of the
//!    other, can a `struct Nest(Vec<Nest>)` be read from?
//! 2. Break: in [`Reader::item`], do not count. Which line ends the test program, and how?
//! 3. Extend: write `Wire` for a `Celsius(f64)` that refuses anything below -273.15 with an error
//!    of its own, which points at the number.

// Part of concurrent-explained, MIT OR Apache-2.0.

mod text;
mod values;

pub use values::Ignored;

use std::fmt::{self, Display};
use std::iter::from_fn;

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
///         let name = input.here()?; // where to point if there is no such variant
///         let shape = match input.item::<String>()?.as_str() {
///             "empty" => Shape::Empty,
///             "rectangle" => Shape::Rectangle { width: input.item()?, height: input.item()? },
///             _ => return Err(name.error("\"empty\" or \"rectangle\"")),
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
/// assert_eq!((error.column, &*error.expected), (2, r#""empty" or "rectangle""#));
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be sent to another process: it is not `Wire`",
    note = "for a type of yours: `wire!(struct Name {{ field, field }});`, which is chapter 20",
    note = "or implement `Wire` by hand, as its documentation shows"
)]
pub trait Wire: Sized {
    /// Whether the text of a value can be `null`. A type that writes `null` has to say so: `Some`
    /// of it then stands in brackets, or it would read back as `None`.
    const NULLABLE: bool = false;

    /// (1) Appends the value to `out`: valid JSON, no newline. (I2)
    fn encode(&self, out: &mut String);

    /// (2) Reads one value from `input` and leaves the rest.
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
    let mut input = Reader::new(text);
    let value = T::decode(&mut input)?;
    if input.rest().is_empty() { Ok(value) } else { Err(input.error("the end of the line")) }
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

/// A place in a line that is being read.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    /// The whole line.
    text: &'a str,
    /// What of it is not read. Becomes shorter, and only by what was understood.
    rest: &'a str,
    /// How many values are being read around this place: at most 128.
    depth: usize,
}

/// What a value may come after without a comma, beside nothing at all. No value ends with one of
/// them, so neither writing nor reading has to remember which item is the first.
const OPENING: [char; 4] = ['[', '{', ',', ':'];

impl<'a> Reader<'a> {
    /// The start of `text`. For one value that is all of the line there is [`from_line`].
    ///
    /// # Examples
    /// What is known of an object, and the rest of it skipped:
    ///
    /// ```
    /// use concurrent_explained::ch19_wire::{Decoded, Ignored, Reader};
    ///
    /// fn pid(text: &str) -> Decoded<Option<u32>> {
    ///     let (mut input, mut pid) = (Reader::new(text), None);
    ///     input.expect('{')?;
    ///     while let Some(key) = input.key::<String>()? {
    ///         match key.as_str() {
    ///             "pid" => pid = input.item()?,
    ///             _ => _ = input.item::<Ignored>()?,
    ///         }
    ///     }
    ///     Ok(pid)
    /// }
    ///
    /// assert_eq!(pid(r#"{"tasks":["square"],"pid":42}"#), Ok(Some(42)));
    /// assert!(pid(r#"{"tasks":["square" 2],"pid":42}"#).is_err());
    /// ```
    pub fn new(text: &'a str) -> Self {
        Reader { text, rest: text, depth: 0 }
    }

    /// Steps over white space; what is left of the line.
    pub fn rest(&mut self) -> &'a str {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest
    }

    /// The error "expected this, found that" for this place. (I4)
    ///
    /// It counts characters from the start of the line: make it only to return it.
    pub fn error(&self, expected: impl Display) -> WireError {
        let before = &self.text[..self.text.len() - self.rest.len()];
        let (column, found) = (before.chars().count() + 1, self.rest.chars().take(20).collect());
        WireError { column, expected: expected.to_string(), found }
    }

    /// Steps over a bracket, comma or colon, if it comes next; whether it did.
    pub fn steps_over(&mut self, mark: char) -> bool {
        let after = self.rest().strip_prefix(mark);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Steps over a bracket, comma or colon.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn expect(&mut self, mark: char) -> Decoded<()> {
        if self.steps_over(mark) { Ok(()) } else { Err(self.error(format_args!("`{mark}`"))) }
    }

    /// Steps to the next value, over the comma it may need. What it returns stays there: it can
    /// point at the value after the value was read.
    ///
    /// # Errors
    /// If there is no comma where one is due.
    pub fn here(&mut self) -> Decoded<Self> {
        let before = self.text[..self.text.len() - self.rest.len()].trim_ascii_end();
        if !before.is_empty() && !before.ends_with(OPENING) {
            self.expect(',')?;
        }
        self.rest();
        Ok(self.clone())
    }

    /// The next value inside of the one being read, after the comma it may need.
    ///
    /// # Errors
    /// Those of `T`, and "at most 128 levels": the stack is finite, the brackets in a line are not.
    pub fn item<T: Wire>(&mut self) -> Decoded<T> {
        self.here()?;
        if self.depth == 128 {
            return Err(self.error("at most 128 levels")); // (I3)
        }
        self.depth += 1;
        let value = T::decode(self);
        self.depth -= 1;
        value
    }

    /// All items of an array, into any collection. It grows as they come. (I3)
    ///
    /// # Errors
    /// Those of the items, and of the brackets and commas around them.
    pub fn items<T: Wire, C: FromIterator<T>>(&mut self) -> Decoded<C> {
        self.expect('[')?;
        from_fn(|| if self.steps_over(']') { None } else { Some(self.item()) }).collect()
    }

    /// The key of the next entry of an object. Its value is what is read next, with
    /// [`item`](Reader::item). `None` at the closing brace, which is stepped over.
    ///
    /// # Errors
    /// Those of the key, and of the comma and the colon around it.
    pub fn key<K: Wire>(&mut self) -> Decoded<Option<K>> {
        if self.steps_over('}') {
            return Ok(None);
        }
        let key = self.item()?;
        self.expect(':')?;
        Ok(Some(key))
    }

    /// The next number or word, if `read` takes it; `what` it should be if not.
    ///
    /// # Errors
    /// If `read` says `None`.
    pub fn word<T>(&mut self, what: impl Display, read: fn(&str) -> Option<T>) -> Decoded<T> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '"');
        let rest = self.rest().trim_start_matches(is_part);
        let word = &self.rest[..self.rest.len() - rest.len()];
        let value = read(word).ok_or_else(|| self.error(what))?;
        self.rest = rest;
        Ok(value)
    }

    /// The next string, if it is in quotes and all of its escapes are those of JSON.
    ///
    /// # Errors
    /// If it is not.
    pub fn string(&mut self) -> Decoded<String> {
        let (text, rest) = text::unquote(self.rest()).ok_or_else(|| self.error("a string"))?;
        self.rest = rest;
        Ok(text)
    }
}

/// Appends a value inside of the one being written, after the comma it may need.
pub fn put<T: Wire>(out: &mut String, value: &T) {
    comma(out);
    value.encode(out);
}

/// Appends the comma that the next value may need: as in [`Reader::here`], none is due after what
/// has just been opened.
pub fn comma(out: &mut String) {
    if !out.ends_with(OPENING) {
        out.push(',');
    }
}

/// Appends an array of all `items`.
pub fn put_all<'v, T: Wire + 'v>(out: &mut String, items: impl IntoIterator<Item = &'v T>) {
    out.push('[');
    items.into_iter().for_each(|item| put(out, item));
    out.push(']');
}

// Plumbing

impl Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: expected {}, found {:?}", self.column, self.expected, self.found)
    }
}

impl std::error::Error for WireError {}
