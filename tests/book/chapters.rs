//! What a chapter is made of: its needs, its arrows, its length.

use super::miniature::{Miniature, broken};
use super::text::{code, header, in_word, words};
use super::tree::{Book, Chapter, Complaints, File, count, number};
use std::collections::{BTreeMap, BTreeSet};

/// The lines of code in one file and, with few exceptions, in a whole chapter, at most.
const MOST: usize = 200;

/// The chapters that have more. The figures are what they have now: they may shrink, and not grow.
const EXCEPTIONS: [(&str, usize); 9] = [
    ("ch10_future", 445),
    ("ch15_thread_pool", 250),
    // Errors that know their column, twenty types in both directions, and strings by runs of
    // what needs no escape: eight times as fast, for ten lines more.
    ("ch19_wire", 300),
    // The loop is sixty lines; the others keep it alive: a panic with its place, a recall and the
    // end of the input while a task runs, the lock of standard output, being a worker at all.
    ("ch22_worker", 282),
    ("ch23_process", 287),
    ("ch25_process_pool", 1_250),
    ("ch29_timeline", 350),
    ("ch30_remote", 250),
    ("ch31_schedules", 1_110),
];

/// The lines of code of all chapters from 01 to 17, at most.
const PARTS_I_TO_III: usize = 2_600;

/// What a header lists under `needs` is what the code imports, and comes before it.
pub(crate) fn needs(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for chapter in book.built() {
        let File { path, text } = &chapter.files[0];
        let imports = chapter.imports();
        let imported: Vec<_> = imports.iter().map(|name| link(name)).collect();
        let imported =
            if imports.is_empty() { "nothing but std".into() } else { imported.join(", ") };
        let line = header(text).get(2).copied().unwrap_or_default();
        let needs = line.strip_prefix("| needs | ").and_then(|needs| needs.strip_suffix(" |"));
        let is_new = !book.is_old(chapter.name);
        if is_new && needs != Some(&imported) {
            let needs = needs.unwrap_or("nobody knows what");
            complaints.push(format!("{path}: needs {needs}, but imports {imported}"));
        }
        for later in imports.iter().filter(|name| name.as_str() > chapter.name) {
            complaints.push(format!("{path}: imports {later}, which comes later"));
        }
    }
    complaints
}

fn link(chapter: &str) -> String {
    format!("[{}](super::{chapter})", number(chapter).unwrap_or_default())
}

/// A chapter names others from where it stands, so that a copy works in any module.
pub(crate) fn relative_paths(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for File { path, text } in book.rewritten().iter().flat_map(|chapter| &chapter.files) {
        for (line, text) in (1..).zip(code(text).lines()) {
            if text.contains("crate::") {
                complaints.push(format!("{path}: line {line}: a path that starts at the crate"));
            }
        }
    }
    complaints
}

/// The files of a chapter do not need each other in a circle.
pub(crate) fn no_circles(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for chapter in book.rewritten() {
        let mut arrows = arrows(&chapter);
        // Files that need no other leave, again and again; what is left needs each other.
        while let Some(leaf) = arrows.iter().find(|(_, needs)| needs.is_empty()) {
            let leaf = leaf.0.clone();
            arrows.remove(&leaf);
            arrows.values_mut().for_each(|needs| {
                needs.remove(&leaf);
            });
        }
        if !arrows.is_empty() {
            let circle: Vec<_> = arrows.into_keys().collect();
            complaints.push(format!("src/{}: a circle among {}", chapter.name, circle.join(", ")));
        }
    }
    complaints
}

/// Which file of a chapter names which others.
fn arrows(chapter: &Chapter) -> BTreeMap<String, BTreeSet<String>> {
    let siblings = chapter.siblings();
    let mut arrows = BTreeMap::new();
    // What `pub use` passes on is not needed here.
    let first = code(&chapter.files[0].text);
    let first: String = first.lines().filter(|line| !line.starts_with("pub use ")).collect();
    let named = |name: &str| first.contains(&format!("{name}::"));
    let needs = siblings.iter().filter(|name| named(name)).map(ToString::to_string).collect();
    arrows.insert("mod".to_owned(), needs);
    for (sibling, file) in siblings.iter().zip(&chapter.files[1..]) {
        let code = code(&file.text);
        let mut needs = BTreeSet::new();
        for after in code.split("super::").skip(1) {
            for name in first_names(after).into_iter().filter(|name| !name.is_empty()) {
                let is_sibling = siblings.contains(&name);
                if is_sibling && name != *sibling {
                    needs.insert(name.to_owned());
                } else if !is_sibling && name != "super" && number(name).is_none() {
                    needs.insert("mod".to_owned());
                }
            }
        }
        arrows.insert((*sibling).to_owned(), needs);
    }
    arrows
}

/// The names that a path goes on with: one, or several between braces.
fn first_names(path: &str) -> Vec<&str> {
    let Some(inside) = path.strip_prefix('{') else {
        let end = path.find(|character| !in_word(character)).unwrap_or(path.len());
        return vec![&path[..end]];
    };
    let (mut names, mut depth, mut start) = (Vec::new(), 1, 0);
    for (at, character) in inside.char_indices() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        if depth == 0 || depth == 1 && character == ',' {
            names.extend(words(&inside[start..at]).next());
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// The methods of a type stand in the file of the type.
pub(crate) fn methods_at_home(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for File { path, text } in book.rewritten().iter().flat_map(|chapter| &chapter.files) {
        let code = code(text);
        let found: Vec<_> = words(&code).collect();
        let defines = |name: &str| {
            let kinds = ["struct", "enum", "trait", "type", "union"];
            found.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1] == name)
        };
        for line in code.lines().map(str::trim_start) {
            let Some(name) = inherent(line).filter(|name| !defines(name)) else { continue };
            complaints.push(format!("{path}: methods of {name}, which stands in another file"));
        }
    }
    complaints
}

/// The type whose own methods start in this line.
fn inherent(line: &str) -> Option<&str> {
    let mut rest = line.strip_prefix("impl")?;
    if !rest.starts_with(['<', ' ']) || rest.contains(" for ") || !rest.contains('{') {
        return None;
    }
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.char_indices().find(|&(at, character)| {
            let is_arrow = character == '>' && rest[..at].ends_with('-');
            depth += i32::from(character == '<') - i32::from(character == '>' && !is_arrow);
            depth == 0
        });
        rest = &rest[end?.0 + 1..];
    }
    let path = rest.trim_start().split(['<', ' ', '{']).next()?;
    path.rsplit("::").next().map(|name| name.trim_start_matches('$')) // in a macro
}

/// No chapter has more code than a reader takes in. Prints the table of all:
/// `cargo test --test book code_lines -- --nocapture`.
pub(crate) fn code_lines(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    let mut first_parts = 0;
    println!("code  comments");
    for chapter in book.built() {
        for File { path, text } in &chapter.files {
            let (code, comments) = count(text);
            println!("{code:>4}  {comments:>8}  {path}");
            if code > MOST && chapter.files.len() > 1 && !book.is_old(path) {
                complaints.push(format!("{path}: {code} lines of code, over {MOST}"));
            }
        }
        let code = chapter.code_lines();
        let exception = EXCEPTIONS.iter().find(|(name, _)| *name == chapter.name);
        let most = exception.map_or(MOST, |&(_, most)| most);
        if code > most && !book.is_old(chapter.name) {
            let path = &chapter.files[0].path;
            complaints.push(format!("{path}: a chapter of {code} lines of code, over {most}"));
        }
        if chapter.number() <= "17" {
            first_parts += code;
        }
    }
    println!("{first_parts:>4}            chapters 01 to 17");
    if first_parts > PARTS_I_TO_III && book.not_rewritten_yet.is_empty() {
        let line = format!("chapters 01 to 17: {first_parts} lines of code, over {PARTS_I_TO_III}");
        complaints.push(line);
    }
    complaints
}

broken! { needs_that_are_not_the_imports_are_reported, needs:
    "src/ch03_pair/mod.rs", ", [02](super::ch02_event)" => "",
        "needs [01](super::ch01_lock), but imports [01](super::ch01_lock), [02](super::ch02_event)";
    "src/ch02_event.rs", "nothing but std" => "[01](super::ch01_lock)",
        "needs [01](super::ch01_lock), but imports nothing but std";
    "src/ch02_event.rs", "| needs" => "| wants", "needs nobody knows what, but imports nothing but std";
}

#[test]
fn an_import_of_a_later_chapter_is_reported() {
    let miniature = Miniature::sound();
    miniature.replace("src/ch01_lock.rs", "nothing but std", "[02](super::ch02_event)");
    miniature.replace("src/ch01_lock.rs", "Lock;", "Lock(super::ch02_event::Event);");
    let complaint = "src/ch01_lock.rs: imports ch02_event, which comes later";
    assert_eq!(needs(&miniature.book), [complaint]);
}

broken! { a_path_from_the_crate_is_reported, relative_paths:
    "src/ch03_pair/mod.rs", "super::ch02" => "crate::ch02", "line 31: a path that starts at the crate";
}

#[test]
fn a_circle_of_files_is_reported() {
    let miniature = Miniature::sound();
    let first = "src/ch03_pair/first.rs";
    let text = miniature.book.read(first);
    miniature.write(first, &(text.clone() + "fn f(_: super::Pair) {}\n"));
    assert_eq!(no_circles(&miniature.book), ["src/ch03_pair: a circle among first, mod"]);
    miniature.write("src/ch03_pair/second.rs", "");
    miniature.write(first, &(text + "use super::{second::{A, B}, super::ch02_event};\n"));
    assert_eq!(no_circles(&miniature.book), Complaints::new());
    miniature.write("src/ch03_pair/second.rs", "use super::first::{A};\n");
    assert_eq!(no_circles(&miniature.book), ["src/ch03_pair: a circle among first, mod, second"]);
}

broken! { a_method_in_another_file_is_reported, methods_at_home:
    "src/ch03_pair/first.rs", "/// A lock" => "impl<T: Fn() -> A<B>> super::Pair<T> {}\n/// A lock",
        "methods of Pair, which stands in another file";
    "src/ch03_pair/mod.rs", "/// Both" => "impl Fn for First {}\nimpl First {}\n/// Both",
        "methods of First, which stands in another file";
}

#[test]
fn one_line_of_code_over_the_limit_is_reported() {
    let lines = "const _: () = ();\n\n    // no code\n";
    for (path, complaint) in [
        ("src/ch01_lock.rs", "src/ch01_lock.rs: a chapter of 201 lines of code, over 200"),
        ("src/ch03_pair/first.rs", "src/ch03_pair/first.rs: 201 lines of code, over 200"),
    ] {
        let miniature = Miniature::sound();
        miniature.write("src/ch03_pair/mod.rs", "");
        miniature.write(path, &lines.repeat(MOST));
        assert_eq!(code_lines(&miniature.book), Complaints::new());
        miniature.write(path, &lines.repeat(MOST + 1));
        assert_eq!(code_lines(&miniature.book)[0], complaint);
    }
}
