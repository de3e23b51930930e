//! The prose in README.md and CHAPTERS.md: links lead somewhere, names are known, commands right.

use super::miniature::broken;
use super::text::{Page, code, in_word, words};
use super::tree::{Book, Complaints, number};

/// Links lead to files and headings of this tree, and code in the prose names what is there.
/// Addresses elsewhere are not visited.
pub(crate) fn resolve(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    for path in ["README.md", "CHAPTERS.md"] {
        let text = book.read(path);
        let page = Page::new(text.lines());
        let prose = page.prose.join("\n");
        // Between backticks is code: every second piece.
        let pieces: Vec<_> = prose.split('`').collect();
        if pieces.len() % 2 == 0 {
            complaints.push(format!("{path}: a backtick without its pair"));
        }
        let codes = pieces.iter().copied().skip(1).step_by(2);
        let prose: String = pieces.iter().copied().step_by(2).collect();
        for target in targets(&prose).filter(|target| !leads_somewhere(book, path, target)) {
            complaints.push(format!("{path}: a dead link: {target}"));
        }
        for name in codes.chain(typed(&page)).flat_map(|code| unknown_names(book, code)) {
            complaints.push(format!("{path}: unknown: {name}"));
        }
    }
    complaints
}

/// The README links the source of each chapter, and a chapter's section its three files.
pub(crate) fn chapters_are_linked(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    let (readme, story) = (book.read("README.md"), book.read("CHAPTERS.md"));
    for chapter in book.built() {
        let title = format!("{} · ", chapter.number());
        let section = story.split("\n## ").find(|section| section.starts_with(&title));
        let section = section.unwrap_or_default();
        for (page, text, place) in [
            ("README.md", readme.as_str(), "src"),
            ("CHAPTERS.md", section, "src"),
            ("CHAPTERS.md", section, "examples"),
            ("CHAPTERS.md", section, "tests"),
        ] {
            let twin = format!("{place}/{}.rs", chapter.name);
            let file = if place == "src" { book.source(chapter.name) } else { twin };
            if !targets(text).any(|target| target == file) {
                complaints.push(format!("{page}: where is the link to {file}?"));
            }
        }
    }
    complaints
}

/// The README prints two commands to type, and what the first of them prints.
pub(crate) fn commands(book: &Book) -> Complaints {
    let mut complaints = Complaints::new();
    let readme = book.read("README.md");
    let page = Page::new(readme.lines());
    let (typed, expected) = (typed(&page).collect::<Vec<_>>(), book.commands);
    if typed != expected {
        let (typed, expected) = (typed.join(", "), expected.join(", "));
        complaints.push(format!("README.md: has {typed}, not {expected}"));
    }
    if !page.blocks.iter().any(|block| block.lines == [book.promise]) {
        complaints.push(format!("README.md: does not promise: {}", book.promise));
    }
    complaints
}

/// The commands to type: the lines in blocks that call cargo.
fn typed<'a>(page: &Page<'a>) -> impl Iterator<Item = &'a str> {
    let lines = page.blocks.iter().flat_map(|block| &block.lines).copied();
    lines.filter(|line| line.starts_with("cargo "))
}

/// The `target` of every `[text](target)`.
fn targets(prose: &str) -> impl Iterator<Item = &str> {
    let openings = prose.split("](").skip(1);
    openings.filter_map(|after| Some(after.split_once(')')?.0))
}

/// Whether a link in the file `from` leads to a file, and to the heading in it that it names.
fn leads_somewhere(book: &Book, from: &str, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { from } else { path };
    let text = book.read(path);
    let headings = Page::new(text.lines()).headings();
    let has_anchor = anchor.is_empty() || headings.iter().any(|heading| slug(heading) == anchor);
    target.starts_with("https://") || book.has(path) && has_anchor
}

/// The anchor of a heading where such pages are shown: that of `## 03 · Pair` is `03--pair`.
pub(crate) fn slug(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    title.chars().filter(|&character| in_word(character) || character == '-').collect()
}

/// The files, functions, chapters and programs in a piece of code that the tree does not have.
fn unknown_names(book: &Book, code: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut before = "";
    for token in code.split_whitespace() {
        let name = match before {
            "--example" => format!("examples/{token}.rs"),
            "--test" => format!("tests/{token}.rs"),
            _ => token.into(),
        };
        before = token;
        // `chNN_name` stands for any chapter.
        if !name.contains("NN") && !is_known(book, &name) {
            unknown.push(name);
        }
    }
    unknown
}

fn is_known(book: &Book, name: &str) -> bool {
    if ["src/", "examples/", "tests/"].iter().any(|place| name.starts_with(place)) {
        let (path, item) = name.split_once("::").unwrap_or((name, ""));
        let code = code(&book.read(path));
        book.has(path) && words(item).all(|name| words(&code).any(|word| word == name))
    } else {
        let mut chapters = words(name).filter(|word| number(word).is_some());
        chapters.all(|chapter| book.has(&book.source(chapter)))
    }
}

broken! { a_link_or_name_that_leads_nowhere_is_reported, resolve:
    "README.md", "src/ch01_lock.rs" => "src/ch01_look.rs", "a dead link: src/ch01_look.rs";
    "README.md", "#03--pair" => "#03-pair", "a dead link: CHAPTERS.md#03-pair";
    "README.md", "told" => "[`told`](#told)", "a dead link: #told";
    "README.md", "told" => "`tests/none.rs`", "unknown: tests/none.rs";
    "README.md", "told" => "`cargo run --example none -- 1`", "unknown: examples/none.rs";
    "README.md", "cargo test" => "cargo test --test none", "unknown: tests/none.rs";
    "README.md", "told" => "`told", "a backtick without its pair";
    "CHAPTERS.md", "::both" => "::all", "unknown: tests/ch03_pair.rs::all_are_there";
    "CHAPTERS.md", "::ch02_event" => "::ch04_later", "unknown: miniature::ch04_later::Event";
}

broken! { a_chapter_without_its_links_is_reported, chapters_are_linked:
    "README.md", "src/ch02_event.rs" => "src/lib.rs", "where is the link to src/ch02_event.rs?";
    "CHAPTERS.md", "tests/ch02_event.rs" => "tests", "where is the link to tests/ch02_event.rs?";
}

broken! { another_command_or_promise_is_reported, commands:
    "README.md", "cargo test" => "cargo bench",
        "has cargo run --example ch03_pair -- 2, cargo bench, not cargo run --example ch03_pair -- 2, cargo test";
    "README.md", "A pair of 2\n" => "A pair of 2\nand more\n", "does not promise: A pair of 2";
}
