//! The tree of files that the checks read.

use super::text::{Page, code, words};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, iter, thread};

/// What a check finds wrong: one entry for each fault, naming the file. Empty is good.
pub(crate) type Complaints = Vec<String>;

/// All that lies beside `Cargo.toml`.
pub(crate) const TOP_LEVEL: [&str; 13] = [
    ".ci",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "CHAPTERS.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "examples",
    "src",
    "tests",
];

/// A tree of files and what it is expected to be.
pub(crate) struct Book {
    /// The directory of `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where one profile is built, such as `target/debug`.
    pub(crate) build: PathBuf,
    /// The names of all chapters, in order.
    pub(crate) chapters: &'static [&'static str],
    /// The names of those that may be missing.
    pub(crate) not_built_yet: &'static [&'static str],
    /// The names of those whose header still has an older form.
    pub(crate) not_rewritten_yet: &'static [&'static str],
    /// The commands printed in the README.
    pub(crate) commands: [&'static str; 2],
    /// What the first command prints.
    pub(crate) promise: &'static str,
    /// How long an example may run.
    pub(crate) patience: Duration,
}

/// A chapter that is there.
pub(crate) struct Chapter {
    pub(crate) name: &'static str,
    /// The file of its name, or `mod.rs` in the folder of its name and the other files there.
    pub(crate) files: Vec<File>,
}

/// A file and what is in it.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Book {
    /// The text of a file. A missing one is empty: that it is missing, the layout complains.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// Whether the tree has this file or directory.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Whether a file still has an older form, and is not asked for the new one.
    pub(crate) fn is_old(&self, path: &str) -> bool {
        let waiting = self.not_rewritten_yet;
        let is_page = path.ends_with(".md");
        is_page && !waiting.is_empty() || waiting.iter().any(|chapter| path.contains(chapter))
    }

    /// The chapters that have the form which all are to share.
    pub(crate) fn rewritten(&self) -> Vec<Chapter> {
        let mut chapters = self.built();
        chapters.retain(|chapter| !self.is_old(chapter.name));
        chapters
    }

    /// Where a chapter begins: in a file of its name, or in `mod.rs` beside its further files.
    pub(crate) fn source(&self, chapter: &str) -> String {
        let folder = format!("src/{chapter}/mod.rs");
        if self.has(&folder) { folder } else { format!("src/{chapter}.rs") }
    }

    /// The chapters whose source is there, in order.
    pub(crate) fn built(&self) -> Vec<Chapter> {
        let names = self.chapters.iter().copied();
        let built = names.filter(|name| self.has(&self.source(name)));
        let chapters = built.map(|name| {
            let mut others = self.names_in(&format!("src/{name}"));
            others.retain(|other| other != "mod.rs");
            let others = others.iter().map(|other| format!("src/{name}/{other}"));
            let paths = iter::once(self.source(name)).chain(others);
            let files = paths.map(|path| File { text: self.read(&path), path });
            Chapter { name, files: files.collect() }
        });
        chapters.collect()
    }

    /// The `("04", "Event")` of every heading `## 04 · Event` in CHAPTERS.md.
    pub(crate) fn sections(&self) -> Vec<(String, String)> {
        let story = self.read("CHAPTERS.md");
        let headings = Page::new(story.lines()).headings();
        let titles = headings.iter().filter_map(|heading| heading.strip_prefix("## "));
        let parts = titles.filter_map(|title| title.split_once(" · "));
        parts.map(|(number, title)| (number.into(), title.into())).collect()
    }

    /// The names in one directory, sorted.
    pub(crate) fn names_in(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(directory)).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into()).collect();
        names.sort();
        names
    }

    /// All tests of one chapter: the file of its name and those in the folder of its name.
    pub(crate) fn tests_of(&self, chapter: &str) -> String {
        let folder = format!("tests/{chapter}");
        let others = self.names_in(&folder).into_iter().map(|name| format!("{folder}/{name}"));
        let paths = iter::once(format!("{folder}.rs")).chain(others);
        paths.map(|path| self.read(&path)).collect()
    }

    /// The Rust files in some of the directories of the top level, at any depth.
    pub(crate) fn rust_files(&self, directories: &[&str]) -> Vec<String> {
        let mut files = self.files();
        files.retain(|path| {
            let top = path.split('/').next().unwrap_or_default();
            directories.contains(&top) && path.ends_with(".rs")
        });
        files
    }

    /// Every file of the book, as a path from the root. A clone asks git, so that what a reader
    /// leaves lying about is no fault; a copy without git takes all but builds and hidden files.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut git = Command::new("git");
        // In a hook of git these point at the tree of the hook.
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        let listed = git.args(["ls-files", "-z"]).current_dir(&self.root).output();
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let listed = String::from_utf8_lossy(&listed);
        let mut files: Vec<_> = listed.split_terminator('\0').map(String::from).collect();
        if files.is_empty() {
            for name in self.names_in(".") {
                let is_hidden = name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str());
                // A package has the manifest twice: as it was, and as cargo has put it in order.
                if !is_hidden && name != "target" && name != "Cargo.toml.orig" {
                    self.walk(name, &mut files);
                }
            }
        }
        files.sort();
        files
    }

    fn walk(&self, path: String, files: &mut Vec<String>) {
        if self.root.join(&path).is_dir() {
            for name in self.names_in(&path) {
                self.walk(format!("{path}/{name}"), files);
            }
        } else {
            files.push(path);
        }
    }
}

impl Chapter {
    /// The names of the other chapters in its code.
    pub(crate) fn imports(&self) -> BTreeSet<String> {
        let code: String = self.files.iter().map(|file| code(&file.text)).collect();
        let chapters = words(&code).filter(|word| number(word).is_some() && *word != self.name);
        chapters.map(String::from).collect()
    }

    /// The code lines of all its files: neither blank nor comment.
    pub(crate) fn code_lines(&self) -> usize {
        self.files.iter().map(|file| count(&file.text).0).sum()
    }

    /// The first file's name as a module path would have it is the chapter's; the others' are
    /// theirs.
    pub(crate) fn siblings(&self) -> Vec<&str> {
        let names = self.files.iter().skip(1).map(|file| file.path.rsplit_once('/').unwrap().1);
        names.map(|name| name.trim_end_matches(".rs")).collect()
    }

    /// The `04` of `ch04_event`.
    pub(crate) fn number(&self) -> &'static str {
        number(self.name).expect("the table holds names of chapters")
    }
}

/// How many lines of code and how many of comment a file has.
pub(crate) fn count(text: &str) -> (usize, usize) {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (comments, code): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("//"));
    (code.len(), comments.len())
}

/// All that a slow check has to complain about, in the order of the chapters. Two threads ask.
pub(crate) fn of_each(
    chapters: &[Chapter],
    check: impl Fn(&Chapter) -> Complaints + Sync,
) -> Complaints {
    let (next, found) = (Mutex::new(chapters.iter()), Mutex::new(BTreeMap::new()));
    let ask = || {
        // The block ends before the check begins, and the lock with it: checks run side by side.
        while let Some(chapter) = { next.lock().unwrap().next() } {
            let complaints = check(chapter);
            found.lock().unwrap().insert(chapter.name, complaints);
        }
    };
    thread::scope(|scope| {
        scope.spawn(ask);
        ask();
    });
    found.into_inner().unwrap().into_values().flatten().collect()
}

/// The `04` in `ch04_event`; `None` in a name that is no chapter's.
pub(crate) fn number(name: &str) -> Option<&str> {
    let (number, rest) = name.strip_prefix("ch")?.split_at_checked(2)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.starts_with('_')).then_some(number)
}

/// An empty directory of its own. Dropped, also by a panic, it is gone.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(format!("concurrent-explained-{process}-{next}"));
        fs::create_dir(&path).expect("a new directory for temporary files");
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and the directories above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        let directory = path.parent().expect("a file is in a directory");
        fs::create_dir_all(directory).expect("a scratch directory takes directories");
        fs::write(path, text).expect("a scratch directory takes files");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_scratch_directory_is_gone_after_a_panic() {
    let (send_path, path) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let scratch = Scratch::new();
        fs::write(scratch.path().join("file"), "text").unwrap();
        send_path.send(scratch.path().to_path_buf()).unwrap();
        panic!("expected by this test");
    });
    assert!(panicked.join().is_err());
    assert!(!path.recv().unwrap().exists());
}
