//! Words that stand nowhere, or not where they are.

use super::miniature::{Miniature, broken};
use super::text::{code, header};
use super::tree::{Book, Complaints};

/// How a function of `std` that sleeps is brought in or called.
const SLEEPS: [&str; 2] = ["thread::sleep", " sleep("];

/// Marks of unfinished work. Here as below, what no file may hold is written in two pieces.
const UNFINISHED: [&str; 6] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
];

/// Package registries, of which a crate on nothing but `std` needs none, and places on one machine.
const ELSEWHERE: [&str; 13] = [
    concat!("crates", ".io"),
    concat!("docs", ".rs"),
    concat!("pypi", ".org"),
    concat!("pypi.python", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".com"),
    concat!("npmjs", ".org"),
    concat!("rubygems", ".org"),
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers"),
];

/// Metaphors and turns of phrase that the book does not use, in lower case. A chapter says what the
/// field says, and a sentence says who does what.
const UNWANTED: [&str; 28] = [
    " judge",
    " condemn",
    " doom",
    " bury",
    "certificate",
    " keeper",
    " seat",
    " flights",
    "a flight",
    "the flight",
    " boarding",
    "for ever",
    "may not have been had",
    ", who ",
    " who finds",
    " who waits",
    " who asks",
    " who comes",
    " who gets",
    " who calls",
    " who has",
    " who wants",
    "whoever",
    "obviously",
    " simply",
    " deaf",
    " dumb",
    " desk",
];

/// The columns of a line of prose or comment, at most. Tables, links and pictures may be wider.
const COLUMNS: usize = 100;

/// Prose and comments are narrow enough to read beside something else.
pub(crate) fn wide_lines(book: &Book) -> Complaints {
    let mut files = book.rust_files(&["src", "examples", "tests"]);
    files.extend(["README.md", "CHAPTERS.md", "CHANGELOG.md"].map(String::from));
    files.retain(|path| !book.is_old(path));
    let mut complaints = Complaints::new();
    for path in files {
        for (number, line) in (1..).zip(book.read(&path).lines()) {
            let text = line.trim_start();
            let is_prose = path.ends_with(".md") || text.starts_with("//");
            let text = text.trim_start_matches(['/', '!']).trim_start();
            let may_be_wide = text.starts_with('|') || text.contains("](");
            if is_prose && !may_be_wide && line.chars().count() > COLUMNS {
                complaints.push(format!("{path}: line {number}: wider than {COLUMNS} columns"));
            }
        }
    }
    complaints
}

/// The lines of a test file, at most: a longer one is split by subject.
const TEST_FILE: usize = 600;

/// A test file is short enough to be read.
pub(crate) fn long_tests(book: &Book) -> Complaints {
    let lines = |path: &String| book.read(path).lines().count();
    let mut files = book.rust_files(&["tests"]);
    files.retain(|path| lines(path) > TEST_FILE);
    files.iter().map(|path| format!("{path}: {} lines, over {TEST_FILE}", lines(path))).collect()
}

/// Prose, comments and messages use the field's words and plain English.
pub(crate) fn plain_words(book: &Book) -> Complaints {
    let mut files = book.rust_files(&["src", "examples"]);
    files.extend(["README.md", "CHAPTERS.md", "CHANGELOG.md"].map(String::from));
    files.retain(|path| !book.is_old(path));
    let plain = |text: &str| text.to_lowercase().replace("for every", "for each");
    lines(book, &files, plain, &UNWANTED)
}

/// Sleeps on a clock of its own, which takes no time.
const VIRTUAL: &str = "tests/ch31_schedules.rs";

/// No test sleeps. An example does only if its header says that its subject is time itself.
pub(crate) fn sleeps(book: &Book) -> Complaints {
    let mut files = book.rust_files(&["examples", "tests"]);
    files.retain(|path| {
        let source = book.read(path);
        let is_about_time = header(&source).iter().any(|line| line.contains("time itself"));
        path != VIRTUAL && (path.starts_with("tests/") || !is_about_time)
    });
    lines(book, &files, code, &SLEEPS)
}

/// No code, comment or string says that something is still to be done.
pub(crate) fn unfinished(book: &Book) -> Complaints {
    let files = book.rust_files(&["src", "examples", "tests"]);
    lines(book, &files, str::to_owned, &UNFINISHED)
}

/// The crate forbids unsafe code. The examples and tests, crates of their own, have none either.
pub(crate) fn unsafe_code(book: &Book) -> Complaints {
    let files = book.rust_files(&["src", "examples", "tests"]);
    let mut complaints = lines(book, &files, code, &["unsafe ", "unsafe("]);
    if !book.read("src/lib.rs").lines().any(|line| line == "#![forbid(unsafe_code)]") {
        complaints.push("src/lib.rs: does not forbid unsafe code".into());
    }
    complaints
}

/// No file names a package registry or a place on one machine.
pub(crate) fn hosts_and_machines(book: &Book) -> Complaints {
    let mut files = book.files();
    // In a package, cargo has put the manifest in order and speaks of a registry on top of it.
    if book.has("Cargo.toml.orig") {
        files.retain(|path| path != "Cargo.toml");
        files.push("Cargo.toml.orig".into());
    }
    lines(book, &files, str::to_owned, &ELSEWHERE)
}

/// The lines of some files that hold something unwanted. A `view` leaves out what does not count.
fn lines(book: &Book, files: &[String], view: fn(&str) -> String, unwanted: &[&str]) -> Complaints {
    let mut complaints = Complaints::new();
    for path in files {
        for (number, line) in (1..).zip(view(&book.read(path)).lines()) {
            let found = unwanted.iter().find(|unwanted| line.contains(**unwanted));
            complaints.extend(found.map(|found| format!("{path}: line {number}: {found}")));
        }
    }
    complaints
}

broken! { a_sleep_in_a_test_or_in_an_example_not_about_time_is_reported, sleeps:
    "tests/ch02_event.rs", "fn i1" => "use std::thread::sleep as nap;\nfn i1", "line 2: thread::sleep";
    "tests/ch02_event.rs", "it() {}" => "it() { thread::sleep_ms(1) }", "line 2: thread::sleep";
    "tests/ch02_event.rs", "it() {}" => "it() { sleep(second) }", "line 2:  sleep(";
    "tests/ch02_event.rs", "#" => "//! About time itself.\nuse thread::sleep;\n#", "line 2: thread::sleep";
    "examples/ch02_event.rs", "time itself" => "an event", "line 10: thread::sleep";
}

#[test]
fn a_sleep_in_words_is_none() {
    let miniature = Miniature::sound();
    let harmless = "{ print!(\"sleep(1)\"); to_sleep(); let sleep = 1; } // sleep(1)";
    miniature.replace("tests/ch02_event.rs", "{}", harmless);
    assert_eq!(sleeps(&miniature.book), Complaints::new());
}

#[test]
fn every_mark_of_unfinished_work_is_reported() {
    for mark in UNFINISHED {
        let miniature = Miniature::sound();
        miniature.write("tests/ch01_lock.rs", &format!("\n// {mark}\n"));
        let complaint = format!("tests/ch01_lock.rs: line 2: {mark}");
        assert_eq!(unfinished(&miniature.book), [complaint]);
    }
}

broken! { unsafe_code_is_reported, unsafe_code:
    "src/lib.rs", "forbid" => "deny", "does not forbid unsafe code";
    "examples/ch01_lock.rs", "println!" => "unsafe {} println!", "line 10: unsafe ";
    "tests/ch01_lock.rs", "fn try_2" => "#[unsafe(no_mangle)] fn try_2", "line 2: unsafe(";
}

#[test]
fn every_registry_and_machine_is_reported() {
    for needle in ELSEWHERE {
        let miniature = Miniature::sound();
        miniature.write(".ci/run", &format!("ls {needle}"));
        let complaint = format!(".ci/run: line 1: {needle}");
        assert_eq!(hosts_and_machines(&miniature.book), [complaint]);
    }
}

broken! { a_wide_line_of_prose_is_reported, wide_lines:
    "CHAPTERS.md", "It needs" => &"It needs ".repeat(12), "line 17: wider than 100 columns";
    "src/ch02_event.rs", "/// Nothing yet." => &format!("/// {}", "a ".repeat(49)), "line 32: wider than 100 columns";
}

broken! { an_unwanted_word_is_reported, plain_words:
    "src/ch02_event.rs", "It is set once" => "It lasts for ever", "line 22: for ever";
    "README.md", "It has" => "Whoever reads has", "line 3: whoever";
}

#[test]
fn what_cargo_says_on_top_of_the_manifest_of_a_package_is_no_fault() {
    let (miniature, registry) = (Miniature::sound(), ELSEWHERE[0]);
    let manifest = miniature.book.read("Cargo.toml");
    miniature.write("Cargo.toml.orig", &manifest);
    miniature.write("Cargo.toml", &format!("# {registry}\n{manifest}"));
    assert_eq!(hosts_and_machines(&miniature.book), Complaints::new());
    miniature.write("Cargo.toml.orig", &format!("# {registry}\n{manifest}"));
    let complaint = format!("Cargo.toml.orig: line 1: {registry}");
    assert_eq!(hosts_and_machines(&miniature.book), [complaint]);
}

#[test]
fn a_test_file_of_one_line_too_many_is_reported() {
    let miniature = Miniature::sound();
    miniature.write("tests/ch01_lock.rs", &"\n".repeat(TEST_FILE));
    assert_eq!(long_tests(&miniature.book), Complaints::new());
    miniature.write("tests/ch01_lock.rs", &"\n".repeat(TEST_FILE + 1));
    assert_eq!(long_tests(&miniature.book), ["tests/ch01_lock.rs: 601 lines, over 600"]);
}
