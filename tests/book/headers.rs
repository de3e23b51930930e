//! What a header says, and whether the rest of the chapter keeps it.

use super::links::slug;
use super::miniature::{Miniature, broken};
use super::text::{Page, documentation, header};
use super::tree::{Book, Chapter, Complaints, File};
use std::collections::BTreeSet;

/// The headings of a header, in their order. One with nothing to say is left out.
const HEADINGS: [&str; 7] = ["Why", "Steps", "Picture", "Promises", "The trap", "Elsewhere", "Try"];

/// The columns of a picture, at most.
const PICTURE: usize = 78;

/// What every file of a chapter says, so that a copy says where it is from.
const LICENCE: &str = "// Part of concurrent-explained, MIT OR Apache-2.0.";

/// The three exercises.
const EXERCISES: [&str; 3] = ["1. Predict: ", "2. Break: ", "3. Extend: "];

/// A header has the lines and headings of the house style, any other file says what it is, all say
/// their licence, and their pictures fit on a screen.
pub(crate) fn form(book: &Book) -> Complaints {
    let sections = book.sections();
    let built: Vec<_> = book.built().iter().map(|chapter| chapter.name).collect();
    let mut complaints = Complaints::new();
    for chapter in book.rewritten() {
        let number = chapter.number();
        let title = sections.iter().find(|section| section.0 == number);
        let title = title.map_or("Title", |section| &section.1);
        for (place, File { path, text }) in chapter.files.iter().enumerate() {
            let header = header(text);
            let mut faults = pictures(text);
            if place == 0 {
                faults.extend(first_lines(&header, &chapter, title, &built));
                faults.extend(headings(&header));
            } else if header.is_empty() {
                faults.push("does not start with `//!`".into());
            }
            if !text.lines().any(|line| line == LICENCE) {
                faults.push(format!("does not say `{LICENCE}`"));
            }
            complaints.extend(faults.iter().map(|fault| format!("{path}: {fault}")));
        }
    }
    complaints
}

/// The title, which is that of the section in CHAPTERS.md, and the table below it.
fn first_lines(header: &[&str], chapter: &Chapter, title: &str, built: &[&str]) -> Complaints {
    let (name, number) = (chapter.name, chapter.number());
    let line = |at: usize| header.get(at).copied().unwrap_or_default();
    let title = format!("# {number} · {title} — ");
    let run_it = format!("| run it | `cargo run --example {name}");
    let run_it_with_release = format!("| run it | `cargo run --release --example {name}");
    let up = "../../../..";
    let files = format!(
        "| files | [example]({up}/examples/{name}.rs), [test]({up}/tests/{name}.rs), \
         [the story]({up}/CHAPTERS.md) |"
    );
    let place = built.iter().position(|other| *other == name).unwrap_or_default();
    let before = place.checked_sub(1).and_then(|place| built.get(place));
    let neighbours = before.into_iter().chain(built.get(place + 1));
    let neighbours = neighbours.map(|name| format!("[{}](../{name}/index.html)", &name[2..4]));
    let neighbours = neighbours.collect::<Vec<_>>().join(", ");
    let neighbours = format!("| before, after | {neighbours} |");
    let time = line(4).strip_prefix("| reading time | ");
    let time = time.and_then(|time| time.strip_suffix(" min, exercises not counted |"));
    let is_time = time.is_some_and(|time| time.parse::<u8>().is_ok());
    let is_run = line(5).starts_with(&run_it) || line(5).starts_with(&run_it_with_release);
    let is_as_it_should_be = [
        (line(0).starts_with(&title), format!("line 1 is not `{title}…`")),
        (line(1).is_empty(), "line 2 is not empty".into()),
        (line(2).starts_with("| needs | "), "line 3 is not `| needs | … |`".into()),
        (line(3) == "| --- | --- |", "line 4 is not `| --- | --- |`".into()),
        (is_time, "line 5 is not `| reading time | 8 min, exercises not counted |`".into()),
        (is_run, format!("line 6 is not `{run_it}` |`")),
        (line(6) == files, format!("line 7 is not `{files}`")),
        (line(7) == neighbours, format!("line 8 is not `{neighbours}`")),
        (line(8).is_empty(), "line 9 is not empty".into()),
    ];
    let faults = is_as_it_should_be.into_iter().filter(|(is_so, _)| !is_so);
    faults.map(|(_, fault)| fault).collect()
}

/// The headings below the title: all known, in order, and the first and the last are there.
fn headings(header: &[&str]) -> Option<String> {
    let page = Page::new(header.iter().copied());
    let found = page.headings();
    let found = found.get(1..).unwrap_or_default();
    let known = HEADINGS.map(|heading| format!("## {heading}"));
    let must = |heading: &str| heading == "## Why" || heading == "## Try";
    let right: Vec<_> =
        known.iter().filter(|known| must(known) || found.contains(&known.as_str())).collect();
    let is_right = found.iter().eq(right.iter().copied());
    let right: Vec<_> = right.into_iter().map(String::as_str).collect();
    (!is_right).then(|| format!("has {}, not {}", found.join(", "), right.join(", ")))
}

/// The lines of pictures, in the whole file, that are too wide.
fn pictures(source: &str) -> Complaints {
    let page = Page::new(documentation(source));
    let pictures = page.blocks.iter().filter(|block| block.language == "text");
    let lines = pictures.flat_map(|block| &block.lines);
    let wide = lines.filter(|line| line.chars().count() > PICTURE);
    wide.map(|line| format!("wider than {PICTURE} columns: {line}")).collect()
}

/// Each promise `I1.` of a header and each number `(1)` of its picture is met again in the code,
/// and each promise has a test that is named for it.
pub(crate) fn promises(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for chapter in book.rewritten() {
        let path = &chapter.files[0].path;
        let header = header(&chapter.files[0].text);
        let tests = book.tests_of(chapter.name);
        let code: String = chapter.files.iter().flat_map(|file| comments(&file.text)).collect();
        let mut numbers = BTreeSet::new();
        for line in section(&header, "## Promises") {
            let Some(number) = line.strip_prefix("- I").and_then(|line| line.split_once(". "))
            else {
                continue;
            };
            numbers.insert(number.0.to_owned());
        }
        for number in numbers {
            let says = |end: char| code.contains(&format!("I{number}{end}"));
            if ![',', ')', '.', ':', ' '].into_iter().any(says) {
                complaints.push(format!("{path}: no line of the code says I{number}"));
            }
            if !tests.contains(&format!("fn i{number}_")) {
                complaints.push(format!("{path}: no test is named i{number}_…"));
            }
        }
        let picture = section(&header, "## Picture").join("\n");
        for number in (1..20).map(|number| format!("({number})")) {
            if picture.contains(&number) && !code.contains(&number) {
                complaints.push(format!("{path}: {number} of the picture is not in the code"));
            }
        }
    }
    complaints
}

/// A header has three exercises, and the tests have an answer to each. CHAPTERS.md has none.
pub(crate) fn exercises(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for chapter in book.rewritten() {
        let path = &chapter.files[0].path;
        let header = header(&chapter.files[0].text);
        let tests = book.tests_of(chapter.name);
        let lines = section(&header, "## Try");
        let starts = lines.iter().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let starts: Vec<_> = starts.collect();
        let is_so = |(line, start): (&&&str, &&str)| line.starts_with(start);
        if starts.len() != 3 || !starts.iter().zip(&EXERCISES).all(is_so) {
            complaints.push(format!("{path}: its exercises are not {}…", EXERCISES.join("…, ")));
        }
        for number in 1..=3 {
            if !tests.contains(&format!("fn try_{number}_")) {
                complaints.push(format!("{path}: no test is named try_{number}_…"));
            }
        }
        let title = format!("{} · ", chapter.number());
        let story = book.read("CHAPTERS.md");
        let told = story.split("\n## ").find(|section| section.starts_with(&title));
        if told.is_some_and(|section| section.contains("xercise")) {
            complaints.push(format!("CHAPTERS.md: {title}exercises stand in the source only"));
        }
    }
    complaints
}

/// CHAPTERS.md has a table of contents with what each chapter says of itself. A wrong line is
/// printed as it should be.
pub(crate) fn contents(book: &Book) -> Complaints {
    let story = book.read("CHAPTERS.md");
    let mut complaints = Complaints::new();
    for chapter in book.rewritten() {
        let header = header(&chapter.files[0].text);
        let line = |at: usize| header.get(at).copied().unwrap_or_default();
        let (title, idea) = line(0).trim_start_matches("# ").split_once(" — ").unwrap_or_default();
        let minutes = line(4).split(' ').nth(4).unwrap_or_default();
        let needs: Vec<_> = chapter.imports().iter().map(|name| name[2..4].to_owned()).collect();
        let needs = if needs.is_empty() { "–".into() } else { needs.join(" ") };
        let (anchor, lines) = (slug(title), chapter.code_lines());
        let row = format!("| [{title}](#{anchor}) | {idea} | {minutes} | {needs} | {lines} |");
        if !story.lines().any(|line| line == row) {
            complaints.push(format!("CHAPTERS.md: has no line\n{row}"));
        }
    }
    complaints
}

/// The lines of a header below one heading.
fn section<'a>(header: &[&'a str], heading: &str) -> Vec<&'a str> {
    let lines = header.iter().skip_while(|line| **line != heading).skip(1);
    lines.take_while(|line| !line.starts_with("## ")).copied().collect()
}

/// The comments below the header of a file, documentation included.
fn comments(source: &str) -> Vec<&str> {
    let lines = source.lines().filter(|line| !line.starts_with("//!"));
    lines.filter_map(|line| line.find("//").map(|at| &line[at..])).collect()
}

broken! { every_fault_of_a_header_is_reported, form:
    "src/ch02_event.rs", "Event — " => "Event: ", "line 1 is not `# 02 · Event — …`";
    "src/ch02_event.rs", "02 · Event" => "02 · Flag", "line 1 is not `# 02 · Event — …`";
    "src/ch02_event.rs", "//!\n//! | needs" => "//! a\n//! | needs", "line 2 is not empty";
    "src/ch02_event.rs", "| needs" => "| Needs", "line 3 is not `| needs | … |`";
    "src/ch02_event.rs", "| --- | --- |" => "|---|---|", "line 4 is not `| --- | --- |`";
    "src/ch02_event.rs", "| 1 min" => "| long",
        "line 5 is not `| reading time | 8 min, exercises not counted |`";
    "src/ch02_event.rs", "--example ch02_event" => "--example ch01_lock",
        "line 6 is not `| run it | `cargo run --example ch02_event` |`";
    "src/ch02_event.rs", "examples/ch02_event" => "examples/ch01_lock",
        "line 7 is not `| files | [example](../../../../examples/ch02_event.rs), \
         [test](../../../../tests/ch02_event.rs), [the story](../../../../CHAPTERS.md) |`";
    "src/ch02_event.rs", "[01](../ch01_lock/index.html), " => "",
        "line 8 is not `| before, after | [01](../ch01_lock/index.html), \
         [03](../ch03_pair/index.html) |`";
    "src/ch02_event.rs", "//!\n//! ## Why" => "//! a\n//! ## Why", "line 9 is not empty";
    "src/ch02_event.rs", "//! ## Why" => "//!", "has ## Picture, ## Promises, ## Try, \
         not ## Why, ## Picture, ## Promises, ## Try";
    "src/ch02_event.rs", "## Picture" => "## Pictures",
        "has ## Why, ## Pictures, ## Promises, ## Try, not ## Why, ## Promises, ## Try";
    "src/ch02_event.rs", "// Part of" => "// From", "does not say `// Part of \
         concurrent-explained, MIT OR Apache-2.0.`";
    "src/ch03_pair/first.rs", "//!" => "//", "does not start with `//!`";
}

#[test]
fn a_picture_of_one_column_too_many_is_reported() {
    for path in ["src/ch02_event.rs", "src/ch03_pair/first.rs"] {
        for (columns, complaints) in [(PICTURE, 0), (PICTURE + 1, 1)] {
            let miniature = Miniature::sound();
            miniature.replace(path, "clear --(1) set()--> set", &"→".repeat(columns));
            assert_eq!(form(&miniature.book).len(), complaints);
        }
    }
}

broken! { a_promise_or_a_number_that_is_not_met_again_is_reported, promises:
    "src/ch02_event.rs", " (I1)" => "", "no line of the code says I1";
    "src/ch02_event.rs", "// (1)" => "//", "(1) of the picture is not in the code";
}

broken! { exercises_without_answers_are_reported, exercises:
    "src/ch02_event.rs", "2. Break" => "2. Brake",
        "its exercises are not 1. Predict: …, 2. Break: …, 3. Extend: …";
}

#[test]
fn tests_that_are_missing_are_reported() {
    let miniature = Miniature::sound();
    miniature.replace("tests/ch02_event.rs", "i1_no", "no");
    miniature.replace("tests/ch02_event.rs", "try_2", "try_4");
    assert_eq!(promises(&miniature.book), ["src/ch02_event.rs: no test is named i1_…"]);
    assert_eq!(exercises(&miniature.book), ["src/ch02_event.rs: no test is named try_2_…"]);
    miniature.replace("CHAPTERS.md", "## 02 · Event", "## 02 · Event\n\nExercise: none.");
    let complaint = "CHAPTERS.md: 02 · exercises stand in the source only";
    assert_eq!(exercises(&miniature.book)[1], complaint);
}

broken! { a_wrong_line_of_the_contents_is_reported, contents:
    "CHAPTERS.md", "| 1 | 01 02 |" => "| 2 | 01 02 |",
        "has no line\n| [03 · Pair](#03--pair) | it needs two | 1 | 01 02 | 7 |";
}
