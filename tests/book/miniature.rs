//! A whole book of three chapters in a directory of its own, to break one thing at a time.

use super::tree::{Book, Scratch};
use std::fs;
use std::time::Duration;

/// A book to break. Dropped, it is gone.
pub(crate) struct Miniature {
    pub(crate) book: Book,
    directory: Scratch,
}

impl Miniature {
    /// A book that no check complains about.
    pub(crate) fn sound() -> Miniature {
        let directory = Scratch::new();
        let book = Book {
            root: directory.path().into(),
            build: directory.path().join("target/debug"),
            chapters: &["ch01_lock", "ch02_event", "ch03_pair", "ch04_later"],
            not_built_yet: &["ch04_later"],
            not_rewritten_yet: &[],
            commands: ["cargo run --example ch03_pair -- 2", "cargo test"],
            promise: "A pair of 2",
            patience: Duration::from_secs(60),
        };
        let miniature = Miniature { book, directory };
        for file in FILES.split("\n=== ").skip(1) {
            let (path, text) = file.split_once('\n').expect("a name and lines");
            miniature.write(path, text);
        }
        miniature
    }

    /// Writes a file and the directories above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.directory.write(path, text);
    }

    /// Puts `new` where `old` stands in a file.
    #[track_caller]
    pub(crate) fn replace(&self, path: &str, old: &str, new: &str) {
        let text = self.book.read(path);
        assert!(text.contains(old), "{path} has no {old:?} to break");
        self.write(path, &text.replace(old, new));
    }

    /// Takes a file away.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.book.root.join(path)).expect("the file was there");
    }
}

/// A test that a check can fail. In each row a sound miniature is broken, by a text in a file that
/// becomes another, and the check must say exactly what follows.
macro_rules! broken {
    ($test:ident, $check:ident: $($path:literal, $old:expr => $new:expr, $complaint:expr;)*) => {
        #[test]
        fn $test() {
            $(
                let miniature = $crate::book::miniature::Miniature::sound();
                miniature.replace($path, $old, $new);
                assert_eq!($check(&miniature.book), [concat!($path, ": ", $complaint)]);
            )*
        }
    };
}
pub(crate) use broken;

const FILES: &str = r#"
=== .ci/run
cargo test
=== CHANGELOG.md
# Changes
=== .gitignore
/target
=== .rustfmt.toml
max_width = 100
=== Cargo.lock
version = 4

[[package]]
name = "miniature"
version = "0.1.0"
=== Cargo.toml
[package]
name = "miniature"
version = "0.1.0"
edition = "2024"
=== LICENSE-APACHE
Permitted.
=== LICENSE-MIT
Permitted.
=== README.md
# Miniature

It has a [lock](src/ch01_lock.rs), an [event](src/ch02_event.rs) and a [pair](src/ch03_pair/mod.rs),
which is told [here](CHAPTERS.md#03--pair); there is [more](https://example.org/).

```sh
cargo run --example ch03_pair -- 2
```

```text
A pair of 2
```

```sh
cargo test
```
=== CHAPTERS.md
# Chapters

| [01 · Lock](#01--lock) | it needs none | 1 | – | 7 |
| [02 · Event](#02--event) | it has a picture | 1 | – | 1 |
| [03 · Pair](#03--pair) | it needs two | 1 | 01 02 | 7 |

## 01 · Lock

[src](src/ch01_lock.rs), [example](examples/ch01_lock.rs), [test](tests/ch01_lock.rs)

## 02 · Event

[src](src/ch02_event.rs), [example](examples/ch02_event.rs), [test](tests/ch02_event.rs)

## 03 · Pair

It needs `ch01_lock` and `miniature::ch02_event::Event`. Run `cargo run --example ch03_pair`, read
`tests/ch03_pair.rs::both_are_there` and start your own as `src/chNN_name.rs`.

[src](src/ch03_pair/mod.rs), [example](examples/ch03_pair.rs), [test](tests/ch03_pair.rs)
=== src/lib.rs
#![forbid(unsafe_code)]

pub mod ch01_lock;
pub mod ch02_event;
pub mod ch03_pair;
=== src/ch01_lock.rs
//! # 01 · Lock — it needs none
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 1 min, exercises not counted |
//! | run it | `cargo run --example ch01_lock` |
//! | files | [example](../../../../examples/ch01_lock.rs), [test](../../../../tests/ch01_lock.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [02](../ch02_event/index.html) |
//!
//! ## Why
//!
//! Something comes first, and it never says `use super::ch02_event`.
//!
//! ## Try
//!
//! 1. Predict: what happens?
//! 2. Break: take something away.
//! 3. Extend: add something.

// Part of concurrent-explained, MIT OR Apache-2.0.

/// Nothing yet.
pub struct Lock;

/// Makes one where its name is imported.
#[macro_export]
macro_rules! lock {
    () => {
        Lock
    };
}
=== src/ch02_event.rs
//! # 02 · Event — it has a picture
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 1 min, exercises not counted |
//! | run it | `cargo run --example ch02_event` |
//! | files | [example](../../../../examples/ch02_event.rs), [test](../../../../tests/ch02_event.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [01](../ch01_lock/index.html), [03](../ch03_pair/index.html) |
//!
//! ## Why
//!
//! A lock brings no news.
//!
//! ## Picture
//!
//! ```text
//! clear --(1) set()--> set
//! ```
//!
//! ## Promises
//!
//! - I1. It is set once.
//!
//! ## Try
//!
//! 1. Predict: what happens?
//! 2. Break: take something away.
//! 3. Extend: add something.

// Part of concurrent-explained, MIT OR Apache-2.0.

/// Nothing yet.
pub struct Event; // (1), and never again (I1)
=== src/ch03_pair/mod.rs
//! # 03 · Pair — it needs two
//!
//! | needs | [01](super::ch01_lock), [02](super::ch02_event) |
//! | --- | --- |
//! | reading time | 1 min, exercises not counted |
//! | run it | `cargo run --example ch03_pair` |
//! | files | [example](../../../../examples/ch03_pair.rs), [test](../../../../tests/ch03_pair.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [02](../ch02_event/index.html) |
//!
//! ## Why
//!
//! One is not enough.
//!
//! ## Try
//!
//! 1. Predict: what happens?
//! 2. Break: take something away.
//! 3. Extend: add something.

// Part of concurrent-explained, MIT OR Apache-2.0.

mod first;

use first::First;

/// Both.
pub struct Pair {
    /// The first.
    pub lock: First,
    /// The second.
    pub event: super::ch02_event::Event,
}
=== src/ch03_pair/first.rs
//! What comes first in a pair.
//!
//! ```text
//! clear --(1) set()--> set
//! ```

// Part of concurrent-explained, MIT OR Apache-2.0.

/// A lock does.
pub type First = super::super::ch01_lock::Lock;
=== examples/ch01_lock.rs
//! Look at the one line.
//!
//! Expected output:
//!
//! ```text
//! A lock
//! ```

fn main() {
    println!("A lock");
}
=== examples/ch02_event.rs
//! Look at the one line, after a moment: the subject is time itself.
//!
//! Expected output:
//!
//! ```text
//! An event
//! ```

fn main() {
    std::thread::sleep(std::time::Duration::from_millis(1));
    println!("An event");
}
=== examples/ch03_pair.rs
//! Look at the number.
//!
//! Run with: 2
//!
//! Expected output:
//!
//! ```text
//! A pair of 2
//! ```

fn main() {
    println!("A pair of {}", std::env::args().nth(1).unwrap());
}
=== tests/ch01_lock.rs
fn try_1_a() {}
fn try_2_b() {}
fn try_3_c() {}
=== tests/ch02_event.rs
#[test]
fn i1_no_sleep_proves_it() {}
fn try_1_a() {}
fn try_2_b() {}
fn try_3_c() {}
=== tests/ch03_pair.rs
#[test]
fn both_are_there() {} // all_are_there
fn try_1_a() {}
fn try_2_b() {}
=== tests/ch03_pair/try_3.rs
fn try_3_c() {}
"#;
