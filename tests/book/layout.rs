//! What lies where: the chapters, the modules, the top level, the manifest.

use super::miniature::{Miniature, broken};
use super::text::code;
use super::tree::{Book, Complaints, TOP_LEVEL, number};

/// A chapter is a source, an example, a test and a section of CHAPTERS.md, or none of them.
pub(crate) fn one_name_in_four_places(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    let sections = book.sections();
    for chapter in book.chapters {
        let twins = ["examples", "tests"].map(|place| format!("{place}/{chapter}.rs"));
        let files = [book.source(chapter)].into_iter().chain(twins);
        let mut pieces: Vec<_> = files.map(|file| (book.has(&file), file)).collect();
        let has_section = sections.iter().any(|section| number(chapter) == Some(&section.0));
        pieces.push((has_section, format!("CHAPTERS.md: the section of {chapter}")));
        let may_be_missing = book.not_built_yet.contains(chapter);
        for (is_there, piece) in pieces {
            match (is_there, may_be_missing) {
                (false, false) => complaints.push(format!("{piece}: is forgotten")),
                (true, true) => complaints.push(format!("{piece}: is built: take it off the list")),
                _ => {}
            }
        }
    }
    complaints
}

/// No file is called like a chapter that the table does not know, and `src/` has nothing else but
/// the files of its chapters.
pub(crate) fn no_strangers(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for chapter in book.chapters {
        let code = code(&book.read(&book.source(chapter)));
        let known = code.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        let known: Vec<_> = known.map(|name| format!("{name}.rs")).collect();
        let mut strangers = book.names_in(&format!("src/{chapter}"));
        strangers.retain(|file| file != "mod.rs" && !known.contains(file));
        let complaint = |file| format!("src/{chapter}/{file}: is no `mod` of src/{chapter}/mod.rs");
        complaints.extend(strangers.iter().map(complaint));
    }
    for directory in ["src", "examples", "tests"] {
        for name in book.names_in(directory) {
            let stem = name.strip_suffix(".rs").unwrap_or(&name);
            let is_numbered =
                stem.strip_prefix("ch").is_some_and(|rest| rest.starts_with(char::is_numeric));
            let must_be_known = is_numbered || directory == "src" && name != "lib.rs";
            if must_be_known && !book.chapters.contains(&stem) {
                complaints.push(format!("{directory}/{name}: is no chapter of the table"));
            }
        }
    }
    complaints
}

/// The numbers have no gap; the modules of the crate and the sections of CHAPTERS.md follow them.
pub(crate) fn in_order(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for (place, chapter) in (1..).zip(book.chapters) {
        if number(chapter) != Some(&format!("{place:02}")) {
            complaints.push(format!("the table of chapters: {chapter} is at place {place:02}"));
        }
    }
    let built: Vec<_> = book.built().iter().map(|chapter| chapter.number()).collect();
    let root = code(&book.read("src/lib.rs"));
    let modules = root.lines().filter_map(|line| number(line.strip_prefix("pub mod ")?));
    let sections = book.sections();
    let sections = sections.iter().map(|(number, _)| number.as_str());
    let found = [("src/lib.rs", modules.collect::<Vec<_>>()), ("CHAPTERS.md", sections.collect())];
    for (file, found) in found {
        if found != built {
            let (found, built) = (found.join(" "), built.join(" "));
            complaints.push(format!("{file}: has {found}, not {built}"));
        }
    }
    complaints
}

/// A stranger who opens the directory sees what the house rules name, and nothing else.
pub(crate) fn top_level(book: &Book) -> Complaints {
    let files = book.files();
    let mut found: Vec<_> = files.iter().filter_map(|path| path.split('/').next()).collect();
    found.dedup();
    let surplus = found.iter().filter(|name| !TOP_LEVEL.contains(name));
    let surplus = surplus.map(|name| format!("{name}: does not belong at the top level"));
    let missing = TOP_LEVEL.iter().filter(|name| !found.contains(name));
    surplus.chain(missing.map(|name| format!("{name}: is missing"))).collect()
}

/// The lock file, which cargo brings up to date before this test is built, knows one package.
pub(crate) fn no_dependencies(book: &Book) -> Complaints {
    let packages = book.read("Cargo.lock").matches("[[package]]").count();
    let complaint = (packages != 1).then(|| format!("Cargo.lock: {packages} packages, not 1"));
    complaint.into_iter().collect()
}

#[test]
fn a_chapter_without_one_of_its_files_is_forgotten() {
    for path in ["src/ch02_event.rs", "examples/ch02_event.rs", "tests/ch02_event.rs"] {
        let miniature = Miniature::sound();
        miniature.remove(path);
        let complaint = format!("{path}: is forgotten");
        assert_eq!(one_name_in_four_places(&miniature.book), [complaint]);
    }
}

broken! { a_chapter_without_its_section_is_forgotten, one_name_in_four_places:
    "CHAPTERS.md", "## 02 · Event" => "## Event", "the section of ch02_event: is forgotten";
}

#[test]
fn a_chapter_on_the_list_with_one_piece_must_leave_the_list() {
    let miniature = Miniature::sound();
    miniature.write("tests/ch04_later.rs", "");
    let complaint = "tests/ch04_later.rs: is built: take it off the list";
    assert_eq!(one_name_in_four_places(&miniature.book), [complaint]);
}

#[test]
fn files_that_the_table_does_not_know_are_strangers() {
    for path in ["src/helper.rs", "examples/ch05_more.rs", "tests/ch1_lock.rs"] {
        let miniature = Miniature::sound();
        miniature.write(path, "");
        let complaint = format!("{path}: is no chapter of the table");
        assert_eq!(no_strangers(&miniature.book), [complaint]);
    }
}

#[test]
fn files_that_no_chapter_declares_are_strangers() {
    for (file, chapter) in [
        ("src/ch03_pair/second.rs", "ch03_pair"),
        ("src/ch03_pair/first", "ch03_pair"),
        ("src/ch04_later/first.rs", "ch04_later"),
    ] {
        let miniature = Miniature::sound();
        miniature.write(file, "//! A stranger.\n");
        let complaint = format!("{file}: is no `mod` of src/{chapter}/mod.rs");
        assert_eq!(no_strangers(&miniature.book), [complaint]);
    }
}

#[test]
fn a_file_that_is_open_to_others_is_a_stranger() {
    let miniature = Miniature::sound();
    miniature.replace("src/ch03_pair/mod.rs", "mod first;", "pub mod first;");
    let complaint = "src/ch03_pair/first.rs: is no `mod` of src/ch03_pair/mod.rs";
    assert_eq!(no_strangers(&miniature.book), [complaint]);
}

#[test]
fn a_gap_in_the_numbers_is_reported() {
    let mut miniature = Miniature::sound();
    miniature.book.chapters = &["ch01_lock", "ch02_event", "ch03_pair", "ch05_later"];
    let complaint = "the table of chapters: ch05_later is at place 04";
    assert_eq!(in_order(&miniature.book), [complaint]);
}

broken! { modules_and_sections_in_another_order_are_reported, in_order:
    "src/lib.rs", "pub mod ch02_event;" => "mod ch02_event;", "has 01 03, not 01 02 03";
    "CHAPTERS.md", "## 02 · Event" => "## 04 · Event", "has 01 04 03, not 01 02 03";
}

#[test]
fn one_entry_more_and_one_less_at_the_top_level_are_reported() {
    let miniature = Miniature::sound();
    miniature.write("notes/today.txt", "");
    miniature.remove("LICENSE-MIT");
    let complaints = ["notes: does not belong at the top level", "LICENSE-MIT: is missing"];
    assert_eq!(top_level(&miniature.book), complaints);
}

#[test]
fn builds_and_hidden_files_are_no_part_of_a_tree_without_git() {
    let miniature = Miniature::sound();
    miniature.write("target/debug/built", "");
    miniature.write(".editor/settings", "");
    assert_eq!(top_level(&miniature.book), Complaints::new());
}

broken! { a_dependency_is_reported, no_dependencies:
    "Cargo.lock", "[[package]]" => "[[package]]\n[[package]]", "2 packages, not 1";
}
