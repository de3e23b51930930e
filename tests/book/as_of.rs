//! The book as of a chapter: a reader who has come so far needs nothing that comes later.

use super::copies::with_needs;
use super::miniature::Miniature;
use super::text::words;
use super::tree::{Book, Chapter, Complaints, Scratch, number, of_each};
use std::env;
use std::path::Path;
use std::process::Command;

/// The chapter that examples and tests may use as a tool before its turn.
const TOOL: &str = "ch31_schedules";

/// Tests that look ahead: what a worker does with a future cannot be shown before there is one.
const LOOKS_AHEAD: [(&str, &str); 2] =
    [("ch10_future", "ch13_task"), ("ch11_wait", "ch15_thread_pool")];

/// With the chapters 01 to NN alone the crate compiles, and so do the tests of NN.
pub(crate) fn compiles(book: &Book) -> Complaints {
    let chapters = book.built();
    of_each(&chapters, |chapter| {
        let copy = Scratch::new();
        let built = build(book, chapter, &chapters, &copy, "metadata");
        built.err().into_iter().collect()
    })
}

/// The tests of NN pass in the book as of NN. Slow: everything is compiled once for each chapter.
pub(crate) fn passes(book: &Book) -> Complaints {
    let chapters = book.built();
    of_each(&chapters, |chapter| {
        let copy = Scratch::new();
        let run = || {
            let program = build(book, chapter, &chapters, &copy, "link")?;
            let output = Command::new(copy.path().join(program)).current_dir(&book.root).output();
            let output = output.map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&output.stdout);
            let fault = format!("tests/{}.rs: fails as of its chapter:\n{said}", chapter.name);
            if output.status.success() { Ok(()) } else { Err(fault) }
        };
        run().err().into_iter().collect()
    })
}

/// Builds the crate with the chapters up to this one, then this one's tests. Gives their file.
fn build<'a>(
    book: &Book,
    chapter: &'a Chapter,
    all: &[Chapter],
    copy: &Scratch,
    emit: &str,
) -> Result<&'a str, String> {
    let mut names: Vec<_> = all.iter().map(|chapter| chapter.name).collect();
    let ahead = LOOKS_AHEAD.iter().find(|(name, _)| *name == chapter.name).map(|(_, ahead)| *ahead);
    names.retain(|name| *name <= chapter.name || *name == TOOL || Some(*name) == ahead);
    let chapters = with_needs(&names, all);
    let mut root = String::from("#![forbid(unsafe_code)]\n");
    for chapter in &chapters {
        root += &format!("pub mod {};\n", chapter.name);
        chapter.files.iter().for_each(|file| copy.write(&file.path, &file.text));
    }
    for statement in exports(&book.read("src/lib.rs")) {
        let exports = |chapter: &&&Chapter| statement.contains(&format!("{}::", chapter.name));
        if chapters.iter().any(|chapter| exports(&chapter)) {
            root += &format!("{statement};\n");
        }
    }
    copy.write("src/lib.rs", &root);
    let name = "concurrent_explained";
    let mut library = rustc(book, copy, emit);
    library.args(["--crate-name", name, "--crate-type", "lib"]).arg(copy.path().join("src/lib.rs"));
    finish(&mut library, chapter)?;
    let kind = if emit == "link" { "rlib" } else { "rmeta" };
    let library = copy.path().join(format!("lib{name}.{kind}"));
    let mut tests = rustc(book, copy, emit);
    tests.arg("--test").arg("--extern").arg(format!("{name}={}", library.display()));
    tests.arg(Path::new("tests").join(format!("{}.rs", chapter.name)));
    finish(&mut tests, chapter).map(|()| chapter.name)
}

/// The statements `pub use chNN_name::…` of the root.
fn exports(root: &str) -> impl Iterator<Item = &str> {
    let statements =
        root.split(';').filter_map(|text| text.find("pub use ch").map(|at| &text[at..]));
    statements
        .filter(|statement| words(statement).nth(2).is_some_and(|name| number(name).is_some()))
}

fn rustc(book: &Book, copy: &Scratch, emit: &str) -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition", "2024", "--cap-lints", "allow", "--emit", emit, "--out-dir"]);
    rustc.arg(copy.path()).current_dir(&book.root).env("CARGO_MANIFEST_DIR", &book.root);
    rustc.env("CARGO_TARGET_TMPDIR", copy.path());
    rustc
}

fn finish(rustc: &mut Command, chapter: &Chapter) -> Result<(), String> {
    let output = rustc.output().expect("rustc can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    let fault = format!("the book as of {} does not compile:\n{said}", chapter.name);
    if output.status.success() { Ok(()) } else { Err(fault) }
}

#[test]
fn a_test_that_needs_a_later_chapter_is_reported() {
    let miniature = Miniature::sound();
    let early = "fn f() { let _ = concurrent_explained::ch03_pair::Pair; }";
    miniature.write("tests/ch02_event.rs", early);
    let complaints = compiles(&miniature.book);
    let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(complaint.starts_with("the book as of ch02_event does not compile:"), "{complaint}");
    assert!(complaint.contains("ch03_pair"), "{complaint}");
}

#[test]
fn a_test_that_fails_is_reported() {
    let mut miniature = Miniature::sound();
    miniature.book.chapters = &["ch01_lock"];
    assert_eq!(passes(&miniature.book), Complaints::new());
    miniature.write("tests/ch01_lock.rs", "#[test] fn f() { panic!() }");
    let complaints = passes(&miniature.book);
    assert!(complaints[0].starts_with("tests/ch01_lock.rs: fails as of its chapter:"));
}
