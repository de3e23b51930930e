//! A run as a story: a column for each thread, a row for each step.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::report::End;
use real::boxed::Box;
use real::cell::Cell;
use real::format;
use real::panic::Location;
use real::string::{String, ToString};
use real::vec::Vec;
use real::{fmt, mem};

/// What a step is done to: by address, or by number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Object {
    Nothing,
    Mutex(usize),
    Condvar(usize),
    Atomic(usize),
    Thread(usize),
}

/// A step, and the line of the program that makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) verb: &'static str,
    pub(super) object: Object,
    pub(super) at: &'static Location<'static>,
}

impl Place {
    /// File and line, without the folders.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", file_name(self.at), self.at.line())
    }
}

pub(super) fn file_name<'a>(at: &Location<'a>) -> &'a str {
    at.file().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// One step of a [`Story`].
#[derive(Clone, Debug)]
pub struct Step {
    /// 0 is the thread that runs the body, A in the picture.
    pub thread: usize,
    /// Such as `lock M1` or `load N1 = 2`.
    pub what: String,
    /// The line of the program.
    pub file: String,
    /// Its number.
    pub line: u32,
}

/// A thread at a [`Moment`].
#[derive(Clone, Debug)]
pub struct View {
    /// The step that it makes when it goes on.
    pub next: String,
    /// The line that makes it.
    pub file: &'static str,
    /// Its number.
    pub line: u32,
    /// Whether it can go on, or for what it waits.
    pub state: String,
}

/// A choice of a [`Story`]: where another schedule would have gone on in another way.
#[derive(Clone, Debug)]
pub struct Moment {
    /// How many steps were made before.
    pub steps: usize,
    /// All threads that there are.
    pub threads: Vec<View>,
    /// The ways to go on: the digit of the schedule, and what it means.
    pub ways: Vec<(char, String)>,
    /// What [`watch`](super::watch) shows.
    pub shared: Vec<(&'static str, String)>,
}

type Watched = (&'static str, Box<dyn Fn() -> String + Send>);

/// What happened under one schedule. `Display` draws it.
pub struct Story {
    /// Row for row.
    pub steps: Vec<Step>,
    /// The choices, in order.
    pub moments: Vec<Moment>,
    /// How it ended.
    pub end: End,
    pub(super) is_told: bool,
    watched: Vec<Watched>,
    /// Mutexes, condvars and atomics, in the order in which they were met.
    names: Vec<Object>,
}

impl Story {
    pub(super) fn new(is_told: bool) -> Self {
        let (steps, moments, watched, names) = Default::default();
        Story { steps, moments, end: End::Changed, is_told, watched, names }
    }

    pub(super) fn watch(&mut self, name: &'static str, look: Box<dyn Fn() -> String + Send>) {
        if self.is_told {
            self.watched.push((name, look));
        }
    }

    pub(super) fn step(&mut self, thread: usize, place: Place) {
        if self.is_told {
            let what = self.text(place);
            self.push(thread, what, place.at);
        }
    }

    /// Adds to the step that was made last.
    pub(super) fn add(&mut self, what: impl FnOnce() -> String) {
        if let Some(step) = self.steps.last_mut() {
            step.what += &what();
        }
    }

    pub(super) fn panic(&mut self, thread: usize, at: &Location<'_>) {
        if self.is_told {
            self.push(thread, "panic".to_string(), at);
        }
    }

    fn push(&mut self, thread: usize, what: String, at: &Location<'_>) {
        self.steps.push(Step { thread, what, file: at.file().to_string(), line: at.line() });
    }

    pub(super) fn moment(&mut self, threads: Vec<View>, ways: Vec<(char, String)>) {
        let shared = self.watched.iter().map(|(name, look)| (*name, looking(look))).collect();
        self.moments.push(Moment { steps: self.steps.len(), threads, ways, shared });
    }

    pub(super) fn text(&mut self, place: Place) -> String {
        let Place { verb, object, .. } = place;
        match object {
            Object::Nothing => verb.to_string(),
            Object::Thread(thread) => format!("{verb} {}", letter(thread)),
            Object::Mutex(_) => format!("{verb} M{}", self.number(object)),
            Object::Condvar(_) => format!("{verb} C{}", self.number(object)),
            Object::Atomic(_) => format!("{verb} N{}", self.number(object)),
        }
    }

    fn number(&mut self, object: Object) -> usize {
        if !self.names.contains(&object) {
            self.names.push(object);
        }
        let kind = mem::discriminant(&object);
        let same = self.names.iter().filter(|name| mem::discriminant(*name) == kind);
        same.take_while(|&&name| name != object).count() + 1
    }
}

/// A column for each thread, a row for each step, with its line; then the end.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.steps.iter().map(|step| step.thread).max().unwrap_or(0) + 1;
        let cell = |step: &Step| format!("{} :{}", step.what, step.line);
        let width = self.steps.iter().map(|step| cell(step).len() + 2).max().unwrap_or(0);
        let heads: String =
            (0..threads).map(|thread| format!("{:width$}", letter(thread))).collect();
        writeln!(f, "{}", heads.trim_end())?;
        for step in &self.steps {
            writeln!(f, "{:indent$}{}", "", cell(step), indent = step.thread * width)?;
        }
        write!(f, "{}", self.end)
    }
}

thread_local! {
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread looks at the shared state between two steps, which is no step.
pub(super) fn is_looking() -> bool {
    LOOKS.try_with(Cell::get) != Ok(false)
}

fn looking<R>(look: impl FnOnce() -> R) -> R {
    LOOKS.set(true);
    let seen = look();
    LOOKS.set(false);
    seen
}

/// A for thread 0, B for thread 1.
pub(super) fn letter(thread: usize) -> char {
    char::from_u32('A' as u32 + thread as u32).unwrap_or('?')
}

// Plumbing

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Story")
            .field("steps", &self.steps)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
