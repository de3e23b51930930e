//! A chapter can be copied: alone with what it needs, on either edition, in any module.

use super::miniature::Miniature;
use super::tree::{Book, Chapter, Complaints, Scratch, of_each};
use std::collections::BTreeSet;
use std::env;
use std::process::Command;

/// Where the copied chapters stand in the crate that takes them.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// `pub mod` at the root of a library.
    Root,
    /// `pub mod`, three modules deep.
    Nested,
    /// A plain `mod`, three modules deep, with the two lints allowed that the README names.
    Private,
}

/// What a copy of some chapters says to the compiler.
pub(crate) struct Layout {
    pub(crate) edition: &'static str,
    pub(crate) place: Place,
}

const EVERY_LAYOUT: [Layout; 5] = [
    Layout { edition: "2021", place: Place::Root },
    Layout { edition: "2021", place: Place::Nested },
    Layout { edition: "2021", place: Place::Private },
    Layout { edition: "2024", place: Place::Nested },
    Layout { edition: "2024", place: Place::Private },
];

/// The files of a chapter, with those that it needs at any distance, are a crate.
pub(crate) fn compile_alone(book: &Book) -> Complaints {
    let chapters = book.built();
    let root = Layout { edition: "2024", place: Place::Root };
    of_each(&chapters, |chapter| {
        let said = compile(&with_needs(&[chapter.name], &chapters), &root);
        let path = &chapter.files[0].path;
        said.map(|said| format!("{path}: does not compile alone:\n{said}")).into_iter().collect()
    })
}

/// All chapters together compile in every layout that a copier may choose.
pub(crate) fn compile_anywhere(book: &Book) -> Complaints {
    let chapters = book.built();
    let is_new = |chapter: &&Chapter| {
        let needs = with_needs(&[chapter.name], &chapters);
        needs.iter().all(|chapter| !book.is_old(chapter.name))
    };
    let all: Vec<_> = chapters.iter().filter(is_new).collect();
    let faults = EVERY_LAYOUT.iter().filter_map(|layout| {
        let said = compile(&all, layout)?;
        Some(format!("src: on edition {}, {}:\n{said}", layout.edition, layout.place.name()))
    });
    faults.collect()
}

/// Some chapters with those that they need at any distance, in order.
pub(crate) fn with_needs<'a>(names: &[&str], all: &'a [Chapter]) -> Vec<&'a Chapter> {
    let mut needed: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    // Needs point back: one walk from the last chapter to the first meets them all.
    for chapter in all.iter().rev() {
        if needed.contains(chapter.name) {
            needed.extend(chapter.imports());
        }
    }
    all.iter().filter(|chapter| needed.contains(chapter.name)).collect()
}

/// What the compiler says about a crate of these chapters, warnings denied.
fn compile(chapters: &[&Chapter], layout: &Layout) -> Option<String> {
    let copy = Scratch::new();
    let root = layout.place.lay(chapters, &copy);
    copy.write("src/lib.rs", &format!("#![forbid(unsafe_code)]\n{root}"));
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition", layout.edition]);
    if layout.edition == "2021" {
        // Where these two lints are silent, both editions drop values in the same order.
        rustc.args(["-D", "if_let_rescope", "-D", "tail_expr_drop_order"]);
    }
    rustc.args("--crate-type lib --emit metadata -D warnings src/lib.rs".split(' '));
    let output = rustc.current_dir(copy.path()).output().expect("rustc can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::Root => "at the root",
            Place::Nested => "three modules deep",
            Place::Private => "three modules deep and private",
        }
    }

    /// Writes the chapters into a crate, and gives the lines of its root that declare them.
    pub(crate) fn lay(self, chapters: &[&Chapter], copy: &Scratch) -> String {
        let (open, folder, close, visible) = match self {
            Place::Root => ("", "src", "", "pub mod"),
            Place::Nested => ("pub mod a { pub mod b { pub mod c {", "src/a/b/c", "}}}", "pub mod"),
            Place::Private => (
                "mod a { pub mod b { pub mod c {",
                "src/a/b/c",
                "}}}",
                "#[allow(dead_code, unused_imports)] mod",
            ),
        };
        let mut root = format!("{open}\n");
        for chapter in chapters {
            root += &format!("{visible} {};\n", chapter.name);
            for file in &chapter.files {
                copy.write(&file.path.replacen("src", folder, 1), &file.text);
            }
        }
        root + close + "\n"
    }
}

#[test]
fn a_chapter_that_does_not_compile_alone_is_reported() {
    for (old, new, reason) in [
        ("event: super::ch02_event::", "event: super::", "cannot find type `Event`"),
        ("use first", "use std::fs;\nuse first", "unused import"),
        ("pub event", "pub(crate) event", "never read"),
        ("/// Both.", "fn f() { unsafe {} }", "usage of an `unsafe` block"),
    ] {
        let miniature = Miniature::sound();
        miniature.replace("src/ch03_pair/mod.rs", old, new);
        let complaints = compile_alone(&miniature.book);
        let [complaint] = &complaints[..] else { panic!("{old}: {complaints:?}") };
        assert!(complaint.starts_with("src/ch03_pair/mod.rs: does not compile alone:"));
        assert!(complaint.contains(reason), "{complaint}");
    }
}

#[test]
fn a_path_that_works_at_the_root_only_and_syntax_of_one_edition_are_reported() {
    let miniature = Miniature::sound();
    miniature.replace("src/ch03_pair/mod.rs", "super::ch02_event", "crate::ch02_event");
    let [nested, private, ..] = &compile_anywhere(&miniature.book)[..] else { panic!("too few") };
    assert!(nested.starts_with("src: on edition 2021, three modules deep:"), "{nested}");
    assert!(private.starts_with("src: on edition 2021, three modules deep and private:"));
    miniature.replace("src/ch03_pair/mod.rs", "crate::ch02_event", "super::ch02_event");
    let chain =
        "pub fn f(a: Option<u8>) -> bool { if let Some(a) = a && a > 1 { true } else { false } }";
    miniature.replace("src/ch03_pair/mod.rs", "/// Both.", &format!("{chain}\n/// Both."));
    assert_eq!(compile_anywhere(&miniature.book).len(), 3);
}
