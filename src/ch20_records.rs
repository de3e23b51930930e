//! # 20 · Records — values under names can grow
//!
//! | needs | [19](super::ch19_wire) |
//! | --- | --- |
//! | reading time | 16 min, exercises not counted |
//! | run it | `cargo run --example ch20_records` |
//! | files | [example](../../../../examples/ch20_records.rs), [test](../../../../tests/ch20_records.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [19](../ch19_wire/index.html), [21](../ch21_protocol/index.html) |
//!
//! ## Why
//!
//! A tuple is known by its order. Add a field to it, and a worker that was started yesterday can
//! read nothing that a parent of today sends. And writing `Wire` by hand for each struct is twenty
//! lines in which the names stand twice. No later chapter needs this one: skip it if your tasks
//! take numbers, texts and tuples.
//!
//! ## Steps
//!
//! 1. Write the names into the line: `{"path":"a.txt","size":12}`. They may then come in any order.
//! 2. Skip a name that is not known, and take a name that is missing for `null`. Now either side
//!    can be the newer one, as long as what is new is an `Option`.
//! 3. Have the two functions written by [`wire!`](macro@wire) from a list of the names. It is a
//!    list and not a derive, because a derive needs a crate of its own.
//!
//! ## Picture
//!
//! ```text
//! wire!(struct Job { path, size, urgent })     a parent of today
//!      │
//!      ▼  {"path":"a.txt","size":12,"urgent":true}
//!      │
//! wire!(struct Job { path, size, owner })      a worker of yesterday
//!                             └ (1) a name that is missing reads as null:
//!                                   None if it is an Option, else an error
//!       (2) `urgent` is a name that it does not know: skipped
//! ```
//!
//! | Rust | JSON | |
//! | --- | --- | --- |
//! | `struct` | `{"path":"a.txt","size":12}` | |
//! | `enum` | `["Circle",1.5]`, `["Empty"]` | the name of the variant, then its fields |
//! | maps with `String` keys | `{"a":1}` | |
//! | maps with other keys | `[[1,"a"],[2,"b"]]` | as names, `1` and `"1"` would be one key |
//! | `VecDeque`, sets, `[T; N]` | `[1,2]` | an array has exactly `N` items |
//! | `char` | `"x"` | a string of one character |
//! | `Duration` | `1.5` | seconds, exact to the nanosecond |
//! | `PathBuf` | `"/tmp/a.txt"`, `[47,255]` | as a string; on Unix as bytes if it is no Unicode |
//!
//! ## Promises
//!
//! - I1. Names may come in any order. Of a name that comes twice the last one counts, as in Python.
//! - I2. A name that is not known is skipped, whatever stands behind it. A name that is missing is
//!   `null`; where that is no value of the field, the error names it.
//! - I3. A map comes back with the same keys, an array with the same length, a duration with the
//!   same nanoseconds, a path with the same bytes. What would not be the same is an error.
//! - Not promised: that the order of the fields of an enum variant may change. They are a list.
//! - Not promised: a path that is no Unicode, beyond Unix. It is written, and an error when it is
//!   read: there is no safe way back from its bytes.
//!
//! ## The trap
//!
//! A macro that writes `$crate::ch20_records::Wire` works in this crate, and in no other: a copy
//! lives in `crate::vendored::ch20_records`, or deeper. This one writes plain names, and the module
//! that calls it brings them in with one line, which is the same at any depth:
//!
//! ```
//! use concurrent_explained::ch20_records::*; // in a copy: use super::ch20_records::*;
//! ```
//!
//! ## Elsewhere
//!
//! - serde derives the same, for any format, with attributes for renaming and defaults.
//! - Protocol Buffers number the names, and skip numbers they do not know, for the same reason.
//! - Python pickles the names of the attributes; a class that has lost one still gets it.
//!
//! ## Try
//!
//! 1. Predict: what is a `HashMap<Option<String>, u8>` with one entry?
//! 2. Break: in [`wire!`](macro@wire), let an unknown name be an error. Which side of an update has
//!    to come first now?
//! 3. Extend: make a binary tree of numbers `Wire`. Which `enum` is it?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::iter::from_fn;
use std::path::{Path, PathBuf};
use std::time::Duration;

// What `wire!` needs to find where it is called, beside what is below.
pub use super::ch19_wire::{Decoded, Ignored, Reader, Wire, put};

use super::ch19_wire::{comma, from_line, put_all};

/// Makes a `struct` with named fields or an `enum` of yours [`Wire`], given the names of its parts.
/// The module that calls it needs the line `use concurrent_explained::ch20_records::*;`.
///
/// # Examples
/// ```
/// use concurrent_explained::ch20_records::*;
/// use concurrent_explained::{from_line, to_line};
///
/// #[derive(Debug, PartialEq)]
/// struct Point {
///     x: f64,
///     label: Option<String>,
/// }
/// wire!(struct Point { x, label });
///
/// #[derive(Debug, PartialEq)]
/// enum Shape {
///     Empty,
///     Circle(Point, f64),
/// }
/// wire!(enum Shape { Empty, Circle(center, radius) });
///
/// let circle = Shape::Circle(Point { x: 1.0, label: None }, 0.5);
/// assert_eq!(to_line(&circle), r#"["Circle",{"x":1.0,"label":null},0.5]"#);
/// assert_eq!(from_line(r#"["Circle",{"color":[1,2],"x":1},0.5]"#), Ok(circle));
/// assert_eq!(from_line(r#"["Empty"]"#), Ok(Shape::Empty));
///
/// let error = from_line::<Point>("{}").unwrap_err();
/// assert_eq!(error.to_string(), r#"column 1: expected an object with "x", found "{}""#);
/// ```
///
/// What is generic is `Wire` where its parameters are.
///
/// ```
/// # use concurrent_explained::ch20_records::*;
/// struct Pair<A, B: Ord> {
///     left: A,
///     right: B,
/// }
/// wire!(struct Pair<A, B: Ord> { left, right });
/// ```
#[macro_export]
macro_rules! wire {
    // `$(<…>)?` are the parameters of a generic type. Each is `Wire` and has the bound given, and
    // the names alone, without their bounds, stand behind the name of the type.
    (struct $name:ident $(<$($param:ident $(: $bound:path)?),+>)? { $($field:ident),+ $(,)? }) => {
        impl $(<$($param: Wire $(+ $bound)?),+>)? Wire for $name $(<$($param),+>)? {
            fn encode(&self, out: &mut String) {
                out.push('{');
                $(put_entry(out, stringify!($field), &self.$field);)+
                out.push('}');
            }

            fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
                let here = input.here()?;
                // One variable a field, with the field's name: a field called `here` or `input` is
                // no trouble, since a macro's own names are others than its caller's.
                $(let mut $field = None;)+
                input.expect('{')?;
                while let Some(key) = input.key::<String>()? {
                    match key.as_str() {
                        // The type of the field says what is read here: nobody has to write it.
                        $(stringify!($field) => $field = Some(input.item()?),)+ // (I1)
                        _ => drop(input.item::<Ignored>()?), // (2) (I2)
                    }
                }
                $(let $field = present(&here, stringify!($field), $field)?;)+
                Ok($name { $($field),+ })
            }
        }
    };
    // An enum is a list: the name of the variant, then its fields, of which the macro must know how
    // many, and whether they are in `( )` or `{ }`.
    (enum $name:ident $(<$($param:ident $(: $bound:path)?),+>)? {
        $($variant:ident $(($($field:ident),+))? $({ $($named:ident),+ $(,)? })?),+ $(,)?
    }) => {
        impl $(<$($param: Wire $(+ $bound)?),+>)? Wire for $name $(<$($param),+>)? {
            fn encode(&self, out: &mut String) {
                match self {
                    $($name::$variant $(($($field),+))? $({ $($named),+ })? => {
                        out.push_str(concat!("[\"", stringify!($variant), "\""));
                        $($(put(out, $field);)+)?
                        $($(put(out, $named);)+)?
                    })+
                }
                out.push(']');
            }

            fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
                input.expect('[')?;
                let here = input.here()?;
                let value = match input.item::<String>()?.as_str() {
                    $(stringify!($variant) => {
                        $($(let $field = input.item()?;)+)?
                        $($(let $named = input.item()?;)+)?
                        $name::$variant $(($($field),+))? $({ $($named),+ })?
                    })+
                    _ => return Err(here.error(concat!("one of", $(" ", stringify!($variant)),+))),
                };
                input.expect(']')?;
                Ok(value)
            }
        }
    };
}

pub use wire;

/// Appends a field. `name` is written as it is: a name of Rust's needs no escape.
pub fn put_entry<T: Wire>(out: &mut String, name: &str, value: &T) {
    comma(out);
    out.extend(["\"", name, "\":"]);
    value.encode(out);
}

/// The value of a field; or what `null` stands for, if there was none. (1)
///
/// # Errors
/// If there was none and the type has no `null`. `here` is the object that should have had it.
pub fn present<T: Wire>(here: &Reader<'_>, name: &str, value: Option<T>) -> Decoded<T> {
    match value {
        Some(value) => Ok(value),
        None => from_line("null").map_err(|_| here.error(format_args!("an object with {name:?}"))),
    }
}

// One row a type: its generics, its name, what writes it, what reads it. None of them can be
// `null`, so there is no column for that, as there is in chapter 19. A length in the text is never
// believed: all of them grow as their items come.
macro_rules! table {
    ($([$($generics:tt)*] $type:ty, $put:expr, $read:expr;)+) => { $(
        impl<$($generics)*> Wire for $type {
            fn encode(&self, out: &mut String) {
                $put(out, self)
            }

            fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
                $read(input)
            }
        }
    )+ };
}
table! {
    [T: Wire] VecDeque<T>, put_all, Reader::items;
    [T: Wire + Ord] BTreeSet<T>, put_all, Reader::items;
    [T: Wire + Eq + Hash, S: BuildHasher + Default] HashSet<T, S>, put_all, Reader::items;
    [T: Wire, const N: usize] [T; N], put_all, read_array;
    [K: Wire + Ord + 'static, V: Wire] BTreeMap<K, V>, put_map, read_map;
    [K: Wire + Eq + Hash + 'static, V: Wire, S: BuildHasher + Default] HashMap<K, V, S>,
        put_map, read_map;
    [] char, |out: &mut String, char: &char| char.to_string().encode(out), read_char;
    [] Duration, put_seconds, read_seconds;
    [] PathBuf, put_path, read_path;
}

/// Through a vector: an array cannot grow, and one that is half full cannot be returned.
fn read_array<T: Wire, const N: usize>(input: &mut Reader<'_>) -> Decoded<[T; N]> {
    let here = input.here()?;
    let items: Vec<T> = input.items()?;
    items.try_into().map_err(|_| here.error(format_args!("{N} items")))
}

/// `parse` takes a text of one character, and refuses none and two.
fn read_char(input: &mut Reader<'_>) -> Decoded<char> {
    let here = input.here()?;
    input.string()?.parse().map_err(|_| here.error("a string of one character"))
}

/// Whether a map with such keys is an object. (I3)
///
/// It must be known before the first key, for an empty map too, so the type has to say it. A type
/// with an id must be `'static`: that is why keys are.
fn is_name<K: 'static>() -> bool {
    TypeId::of::<K>() == TypeId::of::<String>()
}

/// An object, or an array of pairs. The order is that of the map.
fn put_map<'m, K: Wire + 'static, V: Wire + 'm>(
    out: &mut String,
    map: impl IntoIterator<Item = (&'m K, &'m V)>,
) {
    let ends = if is_name::<K>() { ['{', '}'] } else { ['[', ']'] };
    out.push(ends[0]);
    for (key, value) in map {
        if is_name::<K>() {
            put(out, key);
            out.push(':');
            put(out, value);
        } else {
            comma(out);
            out.push('[');
            put(out, key);
            put(out, value);
            out.push(']');
        }
    }
    out.push(ends[1]);
}

/// Of a key that comes twice the last one counts: `collect` inserts one after the other. (I1)
fn read_map<K: Wire + 'static, V: Wire, C: FromIterator<(K, V)>>(
    input: &mut Reader<'_>,
) -> Decoded<C> {
    if !is_name::<K>() {
        return input.items();
    }
    input.expect('{')?;
    let mut pair = || -> Decoded<Option<(K, V)>> {
        let Some(key) = input.key()? else { return Ok(None) };
        Ok(Some((key, input.item()?)))
    };
    from_fn(|| pair().transpose()).collect()
}

/// `12`, `1.5`: all nine places, without the zeros at the end.
fn put_seconds(out: &mut String, time: &Duration) {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    out.push_str(text.trim_end_matches('0').trim_end_matches('.'));
}

/// Reads any number, for a person or another language may write `1e-3`.
fn read_seconds(input: &mut Reader<'_>) -> Decoded<Duration> {
    let here = input.here()?;
    // Digit by digit where that is possible: a float cannot hold all of them.
    let exact = input.clone().word("a number", |word| Some(exact(word)))?;
    let float = f64::decode(input)?;
    let seconds = exact.or_else(|| Duration::try_from_secs_f64(float).ok());
    seconds.ok_or_else(|| here.error("a number of seconds from 0 to 18446744073709551615"))
}

/// The duration that `12` or `12.5` stands for, if it has at most nine places: the places are a
/// number of nanoseconds, short of zeros.
fn exact(word: &str) -> Option<Duration> {
    let (seconds, places) = word.split_once('.').unwrap_or((word, "0"));
    let nanos = places.parse::<u32>().ok().filter(|_| places.len() <= 9)?;
    Some(Duration::new(seconds.parse().ok()?, nanos * 10_u32.pow(9 - places.len() as u32)))
}

/// A path is text nearly always. If it is not, its bytes are a list of numbers: a text with the bad
/// ones replaced would be another file. (I3)
fn put_path(out: &mut String, path: &Path) {
    match path.to_str() {
        Some(text) => text.to_string().encode(out),
        None => put_all(out, path.as_os_str().as_encoded_bytes()),
    }
}

fn read_path(input: &mut Reader<'_>) -> Decoded<PathBuf> {
    let here = input.here()?;
    if !input.rest().starts_with('[') {
        return input.string().map(PathBuf::from);
    }
    path_of(input.items()?).ok_or_else(|| here.error("a path that is Unicode"))
}

/// The path of these bytes. Unix takes any; elsewhere only the system knows which are one.
#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}
