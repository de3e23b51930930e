//! Values under names: a `struct` or an `enum` of yours, maps; and the types beside them.
//!
//! A tuple is known by its order: add a field, and a worker that was started yesterday can read
//! nothing that a parent of today sends. Values under names can grow.
//!
//! ```text
//! wire!(struct Job { path, size, urgent })     a parent of today
//!      │
//!      ▼  {"path":"a.txt","size":12,"urgent":true}
//!      │
//! wire!(struct Job { path, size, owner })      a worker of yesterday
//!                             │   └ a name that is missing reads as null:
//!                             │     None if `owner` is an Option, else an error
//!                             └ `urgent` is a name it does not know: skipped
//! ```
//!
//! Names may come in any order; of one that comes twice the last counts, as in Python. Only `String`
//! keys become names: an object made from the keys `1` and `"1"` would have one entry.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::text::quote;
use super::{Decoded, Reader, Wire, comma, from_line, put_all};

/// Makes a `struct` with named fields or an `enum` of yours [`Wire`], given the names of its parts.
///
/// # Examples
/// ```
/// use concurrent_explained::{from_line, to_line, wire};
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
#[macro_export]
macro_rules! wire {
    (struct $name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::ch19_wire::Wire for $name {
            fn encode(&self, out: &mut String) {
                out.push('{');
                $($crate::ch19_wire::put_entry(out, stringify!($field), &self.$field);)+
                out.push('}');
            }

            fn decode(
                input: &mut $crate::ch19_wire::Reader<'_>,
            ) -> $crate::ch19_wire::Decoded<Self> {
                let start = $crate::ch19_wire::start(input);
                $(let mut $field = None;)+
                $crate::ch19_wire::entries(input, |key: String, input| {
                    match key.as_str() {
                        $(stringify!($field) => $field = Some(input.item()?),)+
                        _ => _ = input.item::<$crate::ch19_wire::Ignored>()?,
                    }
                    Ok(())
                })?;
                $(let $field = $crate::ch19_wire::present(&start, stringify!($field), $field)?;)+
                Ok($name { $($field),+ })
            }
        }
    };
    (enum $name:ident { $($variant:ident $(($($field:ident),+))?),+ $(,)? }) => {
        impl $crate::ch19_wire::Wire for $name {
            fn encode(&self, out: &mut String) {
                out.push('[');
                match self {
                    $($name::$variant $(($($field),+))? => {
                        $crate::ch19_wire::put(out, &stringify!($variant).to_string());
                        $($($crate::ch19_wire::put(out, $field);)+)?
                    })+
                }
                out.push(']');
            }

            fn decode(
                input: &mut $crate::ch19_wire::Reader<'_>,
            ) -> $crate::ch19_wire::Decoded<Self> {
                let start = $crate::ch19_wire::start(input);
                input.expect('[')?;
                let value = match input.item::<String>()?.as_str() {
                    $(stringify!($variant) => {
                        $($(let $field = input.item()?;)+)?
                        $name::$variant $(($($field),+))?
                    })+
                    _ => return Err(start.error(concat!("one of", $(" ", stringify!($variant)),+))),
                };
                input.expect(']').map(|()| value)
            }
        }
    };
}

/// Appends an entry of an object, after the comma it may need.
pub fn put_entry<V: Wire>(out: &mut String, name: &str, value: &V) {
    comma(out);
    quote(name, out);
    out.push(':');
    value.encode(out);
}

/// Reads an object: for each entry its key, then `value` reads the value.
///
/// # Errors
/// Those of the keys and values, and of the brackets, commas and colons around them.
pub fn entries<K: Wire>(
    input: &mut Reader<'_>,
    mut value: impl FnMut(K, &mut Reader<'_>) -> Decoded<()>,
) -> Decoded<()> {
    input.expect('{')?;
    while !input.rest().starts_with('}') {
        let key = input.item()?;
        input.expect(':')?;
        value(key, input)?;
    }
    input.expect('}')
}

/// The place of the next value, to point at if it is wrong.
pub fn start<'a>(input: &mut Reader<'a>) -> Reader<'a> {
    input.rest();
    input.clone()
}

/// The value of a field, or what `null` stands for if there was none.
///
/// # Errors
/// If there was none and the type has no `null`.
pub fn present<T: Wire>(start: &Reader<'_>, name: &str, value: Option<T>) -> Decoded<T> {
    let absent = |_| start.error(format_args!("an object with {name:?}"));
    value.map_or_else(|| from_line("null").map_err(absent), Ok)
}

/// Any JSON, read and forgotten: no closer than it takes to find its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored;

impl Wire for Ignored {
    const NULLABLE: bool = true;

    fn encode(&self, out: &mut String) {
        out.push_str("null");
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        match input.rest().chars().next() {
            Some('[') => input.items::<Self, Vec<_>>().map(|_| Self),
            Some('{') => entries::<String>(input, |_, at| at.item().map(|Self| ())).map(|()| Self),
            _ => input.word("a value", |word| (!word.is_empty()).then_some(Self)),
        }
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn encode(&self, out: &mut String) {
        out.push('{');
        match self {
            Ok(value) => put_entry(out, "ok", value),
            Err(error) => put_entry(out, "err", error),
        }
        out.push('}');
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        input.expect('{')?;
        let is_ok = input.word("\"ok\" or \"err\"", |word| match word {
            "\"ok\"" => Some(true),
            "\"err\"" => Some(false),
            _ => None,
        })?;
        input.expect(':')?;
        let result = if is_ok { Ok(input.item()?) } else { Err(input.item()?) };
        input.expect('}').map(|()| result)
    }
}

// One row a type: its generics, its name, what writes it, what reads it.
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
}

fn read_array<T: Wire, const N: usize>(input: &mut Reader<'_>) -> Decoded<[T; N]> {
    let start = start(input);
    let items: Vec<T> = input.items()?;
    items.try_into().map_err(|_| start.error(format_args!("{N} items")))
}

fn read_char(input: &mut Reader<'_>) -> Decoded<char> {
    let start = start(input);
    let text = String::decode(input)?;
    text.parse().map_err(|_| start.error("a string of one character"))
}

/// Whether a map with such keys is an object.
fn is_name<K: 'static>() -> bool {
    TypeId::of::<K>() == TypeId::of::<String>()
}

fn put_map<'m, K: Wire + 'static, V: Wire + 'm>(
    out: &mut String,
    map: impl IntoIterator<Item = (&'m K, &'m V)>,
) {
    let marks = if is_name::<K>() { ["{", "", ":", "", "}"] } else { ["[", "[", ",", "]", "]"] };
    out.push_str(marks[0]);
    for (index, (key, value)) in map.into_iter().enumerate() {
        *out += if index > 0 { "," } else { "" };
        *out += marks[1];
        key.encode(out);
        *out += marks[2];
        value.encode(out);
        *out += marks[3];
    }
    out.push_str(marks[4]);
}

fn read_map<K: Wire + 'static, V: Wire, C: FromIterator<(K, V)>>(input: &mut Reader) -> Decoded<C> {
    if !is_name::<K>() {
        return input.items();
    }
    let mut pairs = Vec::new();
    entries(input, |key, input| input.item().map(|value| pairs.push((key, value))))?;
    Ok(pairs.into_iter().collect())
}

fn put_seconds(out: &mut String, time: &Duration) {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    out.push_str(text.trim_end_matches('0').trim_end_matches('.'));
}

fn read_seconds(input: &mut Reader<'_>) -> Decoded<Duration> {
    let start = start(input);
    // Digit by digit where that is possible: a float has no room for all of them.
    let exact = input.clone().word("a number", |word| Some(exact(word)))?;
    let float = f64::decode(input)?;
    let seconds = exact.or_else(|| Duration::try_from_secs_f64(float).ok());
    seconds.ok_or_else(|| start.error("a number of seconds from 0 to 18446744073709551615"))
}

/// The duration that `12` or `12.5` stands for, if it has at most nine places.
fn exact(word: &str) -> Option<Duration> {
    let (seconds, places) = word.split_once('.').unwrap_or((word, "0"));
    let nanos = places.parse::<u32>().ok().filter(|_| places.len() <= 9)?;
    Some(Duration::new(seconds.parse().ok()?, nanos * 10_u32.pow(9 - places.len() as u32)))
}
