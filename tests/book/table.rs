//! The table of copies in README.md: each row is true, within its budget, and runs.

use super::copies::{Layout, Place, with_needs};
use super::tree::{Book, Chapter, Complaints, Scratch, count};
use std::env;
use std::process::Command;

/// One row: what is copied, from which chapters, with which part of an example, and how many lines
/// of code that may be.
struct Row {
    what: &'static str,
    chapters: &'static [&'static str],
    /// The example whose part between the two marks is copied too.
    example: Option<&'static str>,
    most: usize,
    /// The program in `tests/copies/` that uses the copy and says `ok`.
    program: &'static str,
}

/// Where the part of an example that is to be copied begins and ends.
const FROM: &str = "// --- copy from here";
const TO: &str = "// --- to here";

const ROWS: &[Row] = &[
    Row::of("a lock", &["ch01_lock"], 145, "lock"),
    Row::of("an event", &["ch04_event"], 75, "event"),
    Row::of("a semaphore", &["ch05_semaphore"], 200, "semaphore"),
    Row::of("a barrier", &["ch06_barrier"], 165, "barrier"),
    Row::of("a queue that can be closed", &["ch07_queue"], 200, "queue"),
    Row::of("the smallest future", &["ch08_oneshot"], 60, "oneshot"),
    Row::of(
        "the smallest thread pool with answers",
        &["ch08_oneshot", "ch12_workers"],
        120,
        "workers",
    ),
    Row::of(
        "futures with cancel and callbacks, `as_completed`, `wait`",
        &["ch07_queue", "ch09_outcome", "ch10_future", "ch11_wait"],
        1_010,
        "wait",
    ),
    Row {
        example: Some("ch13_task"),
        ..Row::of(
            "a thread pool whose nested waits end",
            &["ch09_outcome", "ch10_future", "ch13_task"],
            750,
            "task",
        )
    },
    Row::of(
        "the whole thread pool",
        &["ch09_outcome", "ch10_future", "ch13_task", "ch14_backlog", "ch15_thread_pool"],
        1_140,
        "thread_pool",
    ),
    Row::of(
        "tasks that borrow",
        &["ch09_outcome", "ch10_future", "ch13_task", "ch14_backlog", "ch16_scope"],
        975,
        "scope",
    ),
    Row::of("the smallest process pool", &["ch18_child"], 150, "child"),
    Row {
        example: Some("ch23_process"),
        ..Row::of(
            "typed calls to worker processes",
            &["ch09_outcome", "ch19_wire", "ch21_protocol", "ch22_worker", "ch23_process"],
            1_227,
            "process",
        )
    },
    Row::of(
        "the whole process pool",
        &[
            "ch09_outcome",
            "ch10_future",
            "ch19_wire",
            "ch21_protocol",
            "ch22_worker",
            "ch23_process",
            "ch24_in_flight",
            "ch25_process_pool",
        ],
        3_050,
        "process_pool",
    ),
];

const LAYOUTS: [Layout; 2] = [
    Layout { edition: "2024", place: Place::Root },
    Layout { edition: "2021", place: Place::Nested },
];

impl Row {
    const fn of(
        what: &'static str,
        chapters: &'static [&'static str],
        most: usize,
        program: &'static str,
    ) -> Row {
        Row { what, chapters, example: None, most, program }
    }

    /// The part of the example that is copied.
    fn part(&self, book: &Book) -> String {
        let Some(example) = self.example else { return String::new() };
        let source = book.read(&format!("examples/{example}.rs"));
        let part = source.split_once(FROM).and_then(|(_, after)| after.split_once(TO));
        part.map_or_else(String::new, |(part, _)| {
            part.split_once('\n').unwrap_or_default().1.into()
        })
    }

    fn lines(&self, book: &Book, all: &[Chapter]) -> usize {
        let chapters = all.iter().filter(|chapter| self.chapters.contains(&chapter.name));
        chapters.map(Chapter::code_lines).sum::<usize>() + count(&self.part(book)).0
    }

    /// The line of the README.
    fn line(&self, book: &Book, all: &[Chapter]) -> String {
        let link = |name: &&str| {
            let source = book.source(name);
            format!("[{}]({})", &name[2..4], source.strip_suffix("/mod.rs").unwrap_or(&source))
        };
        let mut files: Vec<_> = self.chapters.iter().map(link).collect();
        files.extend(self.example.map(|name| format!("[the example's pool](examples/{name}.rs)")));
        format!("| {} | {} | {} |", self.what, files.join(" "), self.lines(book, all))
    }
}

/// The README has the table with the figures as they are, and no row is over its budget. A wrong
/// table is printed as it should be.
pub(crate) fn is_true(book: &Book) -> Complaints {
    let all = book.built();
    let readme = book.read("README.md");
    let mut complaints = Complaints::new();
    for row in ROWS {
        let line = row.line(book, &all);
        if !readme.lines().any(|found| found == line) {
            complaints.push(format!("README.md: has no line\n{line}"));
        }
        let lines = row.lines(book, &all);
        if lines > row.most {
            complaints.push(format!("{}: {lines} lines of code, over {}", row.what, row.most));
        }
        let needed = with_needs(row.chapters, &all);
        if !needed.iter().map(|chapter| chapter.name).eq(row.chapters.iter().copied()) {
            let needed: Vec<_> = needed.iter().map(|chapter| chapter.name).collect();
            complaints.push(format!("{}: needs {}", row.what, needed.join(", ")));
        }
        if row.example.is_some() && row.part(book).is_empty() {
            complaints.push(format!("{}: its example has no marks `{FROM}`, `{TO}`", row.what));
        }
    }
    complaints
}

/// Each row is built from nothing and its program runs.
pub(crate) fn runs(book: &Book) -> Complaints {
    let all = book.built();
    let mut complaints = Complaints::new();
    for row in ROWS {
        for layout in &LAYOUTS {
            let said = run(book, row, layout, &all);
            let place = layout.place.name();
            let fault =
                |said| format!("{}: edition {}, {place}:\n{said}", row.what, layout.edition);
            complaints.extend(said.err().map(fault));
        }
    }
    complaints
}

fn run(book: &Book, row: &Row, layout: &Layout, all: &[Chapter]) -> Result<(), String> {
    let copy = Scratch::new();
    let chapters: Vec<_> =
        all.iter().filter(|chapter| row.chapters.contains(&chapter.name)).collect();
    let root = layout.place.lay(&chapters, &copy);
    let path = match layout.place {
        Place::Root => "crate::",
        Place::Nested | Place::Private => "crate::a::b::c::",
    };
    let program = book.read(&format!("tests/copies/{}.rs", row.program));
    let (header, program) = program.split_once("\n\n").unwrap_or_default();
    let program =
        format!("{header}\n{root}\n{program}\n{}", row.part(book)).replace("book::", path);
    copy.write("src/main.rs", &program);
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition", layout.edition, "-D", "warnings", "src/main.rs", "-o", "program"]);
    let built = rustc.current_dir(copy.path()).output().map_err(|error| error.to_string())?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned());
    }
    let mut program = Command::new(copy.path().join("program"));
    let output = program.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && said == "ok\n" { Ok(()) } else { Err(said + &wrong) }
}
