//! What a chapter is: its header, its needs, its length, its independence.

use super::miniature::{Miniature, broken};
use super::text::{Page, documentation, header};
use super::tree::{Book, Chapter, Complaints, File, Scratch, of_each};
use std::collections::BTreeSet;
use std::env;
use std::process::Command;

/// The headings of a header, in their order. One with nothing to say is left out.
const HEADINGS: &str = "Why, Picture, Promises, The trap, Elsewhere, Try";

/// The columns of a picture, at most.
const PICTURE: usize = 78;

/// The lines of code in a file, at most: as a rule, and without exception.
const RULE: usize = 150;
const WALL: usize = 215;

/// What a header lists under `Needs:` is what the code imports, and comes before it.
pub(crate) fn needs(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for chapter in book.built() {
        let File { path, text } = &chapter.files[0];
        let imports = chapter.imports();
        let imported: Vec<_> = imports.iter().map(|name| &name[..4]).collect();
        let imported =
            if imports.is_empty() { "nothing but std".into() } else { imported.join(", ") };
        let line = header(text).get(2).copied().unwrap_or_default();
        let needs = line.strip_prefix("Needs: ").unwrap_or(line);
        let needs = needs.split_once('.').map_or(needs, |(needs, _)| needs);
        if needs != imported {
            complaints.push(format!("{path}: needs {needs}, but imports {imported}"));
        }
        for later in imports.iter().filter(|name| name.as_str() > chapter.name) {
            complaints.push(format!("{path}: imports {later}, which comes later"));
        }
    }
    complaints
}

/// No file has more code than a reader takes in at one sitting. Prints the table of all:
/// `cargo test --test book code_lines -- --nocapture`.
pub(crate) fn code_lines(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    let row = |code, comments, name: &str| println!("{code:>4}  {comments:>8}  {name}");
    println!("code  comments");
    for chapter in book.built() {
        let (mut all_code, mut all_comments) = (0, 0);
        for File { path, text } in &chapter.files {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let (comments, code): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("//"));
            let (comments, code) = (comments.len(), code.len());
            row(code, comments, &format!("{path}{}", if code > RULE { ", long" } else { "" }));
            if code > WALL {
                complaints.push(format!("{path}: {code} lines of code, over {WALL}"));
            }
            all_code += code;
            all_comments += comments;
        }
        if chapter.files.len() > 1 {
            row(all_code, all_comments, &format!("{} and its rooms", chapter.name));
        }
    }
    complaints
}

/// A header has the lines and headings of the house style, a room says what it is, and their
/// pictures fit on a screen.
pub(crate) fn headers(book: &Book) -> Complaints {
    let sections = book.sections();
    let mut complaints = Complaints::new();
    for chapter in book.built() {
        let number = chapter.number();
        let title = sections.iter().find(|section| section.0 == number);
        let title = title.map_or("Title", |section| &section.1);
        for (place, File { path, text }) in chapter.files.iter().enumerate() {
            let header = header(text);
            let mut faults = pictures(text);
            if place == 0 {
                faults.extend(first_lines(
                    &header,
                    &format!("# {number} · {title} — "),
                    chapter.name,
                ));
                faults.extend(headings(&header));
            } else if header.is_empty() {
                faults.push("does not start with `//!`".into());
            }
            complaints.extend(faults.iter().map(|fault| format!("{path}: {fault}")));
        }
    }
    complaints
}

/// The title, which is that of the section in CHAPTERS.md; what is needed; how to run it.
fn first_lines(header: &[&str], title: &str, chapter: &str) -> Complaints {
    let line = |at: usize| header.get(at).copied().unwrap_or_default();
    let run_it = format!("Run it: cargo run --example {chapter}");
    let time = line(2).split_once(".   Reading time: ").unwrap_or_default().1;
    let is_time = time.strip_suffix(" min.").is_some_and(|time| time.parse::<u8>().is_ok());
    let is_as_it_should_be = [
        (line(0).starts_with(title), format!("line 1 is not `{title}…`")),
        (line(1).is_empty(), "line 2 is not empty".into()),
        (line(2).starts_with("Needs: "), "line 3 is not `Needs: …`".into()),
        (is_time, "line 3 does not end in `.   Reading time: 8 min.`".into()),
        (line(3).split(" -- ").next() == Some(&run_it), format!("line 4 is not `{run_it}`")),
        (line(4).is_empty(), "line 5 is not empty".into()),
    ];
    let faults = is_as_it_should_be.into_iter().filter(|(is_so, _)| !is_so);
    faults.map(|(_, fault)| fault).collect()
}

/// The headings below the title: all known, in order, and why comes first.
fn headings(header: &[&str]) -> Option<String> {
    let page = Page::new(header.iter().copied());
    let found = page.headings();
    let found = found.get(1..).unwrap_or_default();
    let known = HEADINGS.split(", ").map(|heading| format!("## {heading}"));
    let right: Vec<_> =
        known.filter(|known| known == "## Why" || found.contains(&&**known)).collect();
    (found != right).then(|| format!("has {}, not {}", found.join(", "), right.join(", ")))
}

/// The lines of pictures, in the whole file, that are too wide.
fn pictures(source: &str) -> Complaints {
    let page = Page::new(documentation(source));
    let pictures = page.blocks.iter().filter(|block| block.language == "text");
    let lines = pictures.flat_map(|block| &block.lines);
    let wide = lines.filter(|line| line.chars().count() > PICTURE);
    wide.map(|line| format!("wider than {PICTURE} columns: {line}")).collect()
}

/// A reader can copy a chapter: its files, with those it needs at any distance, are a crate.
pub(crate) fn compile_alone(book: &Book) -> Complaints {
    let chapters = book.built();
    of_each(&chapters, |chapter| Complaints::from_iter(compile(chapter, &chapters)))
}

/// What the compiler says about a crate of this chapter and its needs, warnings denied.
fn compile(chapter: &Chapter, all: &[Chapter]) -> Option<String> {
    let copy = Scratch::new();
    let mut root = String::from("#![forbid(unsafe_code)]\n");
    let mut needed = BTreeSet::from([chapter.name.to_owned()]);
    // Needs point back: one walk from the last chapter to the first meets them all.
    for chapter in all.iter().rev() {
        if needed.contains(chapter.name) {
            needed.extend(chapter.imports());
            root += &format!("pub mod {};\n", chapter.name);
            chapter.files.iter().for_each(|file| copy.write(&file.path, &file.text));
        }
    }
    copy.write("src/lib.rs", &root);
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args("--edition 2024 --crate-type lib --emit metadata -D warnings src/lib.rs".split(' '));
    let output = rustc.current_dir(copy.path()).output().expect("rustc can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    let fault = format!("{}: does not compile alone:\n{said}", chapter.files[0].path);
    (!output.status.success()).then_some(fault)
}

broken! { needs_that_are_not_the_imports_are_reported, needs:
    "src/ch03_pair.rs", "ch01, ch02." => "ch01.", "needs ch01, but imports ch01, ch02";
    "src/ch03_pair.rs", "ch01, ch02." => "ch02.", "needs ch02, but imports ch01, ch02";
    "src/ch02_event.rs", "nothing but std." => "ch01.", "needs ch01, but imports nothing but std";
}

#[test]
fn an_import_of_a_later_chapter_is_reported() {
    let miniature = Miniature::sound();
    miniature.replace("src/ch01_lock.rs", "nothing but std.", "ch02.");
    miniature.replace("src/ch01_lock.rs", "Lock;", "Lock(crate::ch02_event::Event);");
    let complaint = "src/ch01_lock.rs: imports ch02_event, which comes later";
    assert_eq!(needs(&miniature.book), [complaint]);
}

#[test]
fn one_line_of_code_over_the_wall_is_reported() {
    for path in ["src/ch01_lock.rs", "src/ch03_pair/first.rs"] {
        let miniature = Miniature::sound();
        let lines = "const _: () = ();\n\n    // no code\n";
        miniature.write(path, &lines.repeat(WALL));
        assert_eq!(code_lines(&miniature.book), Complaints::new());
        miniature.write(path, &lines.repeat(WALL + 1));
        let complaint = format!("{path}: 216 lines of code, over 215");
        assert_eq!(code_lines(&miniature.book), [complaint]);
    }
}

broken! { every_fault_of_a_header_is_reported, headers:
    "src/ch02_event.rs", "Event — " => "Event: ", "line 1 is not `# 02 · Event — …`";
    "src/ch02_event.rs", "02 · Event" => "02 · Flag", "line 1 is not `# 02 · Event — …`";
    "src/ch02_event.rs", "//!\n//! Needs" => "//! a\n//! Needs", "line 2 is not empty";
    "src/ch02_event.rs", "Needs: " => "Needs ", "line 3 is not `Needs: …`";
    "src/ch02_event.rs", " 1 min." => " long.",
        "line 3 does not end in `.   Reading time: 8 min.`";
    "src/ch02_event.rs", "--example ch02_event" => "--example ch01_lock",
        "line 4 is not `Run it: cargo run --example ch02_event`";
    "src/ch02_event.rs", "//!\n//! ## Why" => "//! a\n//! ## Why", "line 5 is not empty";
    "src/ch02_event.rs", "//! ## Why" => "//!", "has ## Picture, ## Try, not ## Why, ## Picture, ## Try";
    "src/ch02_event.rs", "## Picture" => "## Pictures",
        "has ## Why, ## Pictures, ## Try, not ## Why, ## Try";
    "src/ch02_event.rs", "## Picture" => "### Picture",
        "has ## Why, ### Picture, ## Try, not ## Why, ## Try";
    "src/ch02_event.rs", "## Why" => "## The trap\n//!\n//! ## Why",
        "has ## The trap, ## Why, ## Picture, ## Try, not ## Why, ## Picture, ## The trap, ## Try";
    "src/ch03_pair/first.rs", "//!" => "//", "does not start with `//!`";
}

#[test]
fn a_picture_of_one_column_too_many_is_reported() {
    for path in ["src/ch02_event.rs", "src/ch03_pair/first.rs"] {
        for (columns, complaints) in [(PICTURE, 0), (PICTURE + 1, 1)] {
            let miniature = Miniature::sound();
            miniature.replace(path, "clear --set()--> set", &"→".repeat(columns));
            assert_eq!(headers(&miniature.book).len(), complaints);
        }
    }
}

#[test]
fn a_chapter_that_does_not_compile_alone_is_reported() {
    for (old, new, reason) in [
        ("event: crate::ch02_event::", "event: crate::", "cannot find type `Event`"),
        ("use first", "use std::fs;\nuse first", "unused import"),
        ("pub event", "pub(crate) event", "never read"),
        ("/// Both.", "fn f() { unsafe {} }", "usage of an `unsafe` block"),
    ] {
        let miniature = Miniature::sound();
        miniature.replace("src/ch03_pair.rs", old, new);
        let complaints = compile_alone(&miniature.book);
        let [complaint] = &complaints[..] else { panic!("{old}: {complaints:?}") };
        assert!(complaint.starts_with("src/ch03_pair.rs: does not compile alone:"), "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
    }
}
