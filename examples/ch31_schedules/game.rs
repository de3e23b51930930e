//! The game: you choose who goes on, line by line on a terminal, and win by breaking the program.

use crate::levels::{LEVELS, Level};
use concurrent_explained::ch31_schedules::{End, Moment, Step, Story, Why, explore, replay};
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;

/// Which version of a level is played.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Wrong,
    Right,
}

pub(crate) struct Game {
    level: &'static Level,
    side: Side,
    /// The digits chosen so far.
    picks: String,
}

const RULES: &str = "\
You are the scheduler. The program runs one thread at a time, and stops before each step: a lock, a
wait, a notification, a load, a store. You say which thread makes its step; where only one can, it
does. A is the thread that runs the program, and B, C, … are those that it starts. You win if the
program panics, or if nobody can ever go on. In the rows of steps M1 is a mutex, C1 a condvar, N1 a
number, and :12 is line 12.";

const KEYS: &str = "\
a, b, …: this thread goes on   Enter: the first of the ways   f: Enter, to the end of the program
u: undo   r: restart   l: list the code   h: hint   g: give up   p: try all schedules   q: quit";

const AT_THE_END: &str = "u: undo   r: restart   h: hint   g: give up";

const COMMAND: &str = "cargo run --example ch31_schedules --";

/// The file with the levels, as it was compiled.
const SOURCE: &str = include_str!("levels.rs");

impl Game {
    pub(crate) fn new(level: &'static Level, side: Side) -> Self {
        Game { level, side, picks: String::new() }
    }

    /// Plays until the player wins or leaves.
    pub(crate) fn play(mut self, input: &mut impl BufRead, out: &mut impl Write) -> io::Result<()> {
        let number = LEVELS.iter().take_while(|level| level.name != self.level.name).count() + 1;
        writeln!(out, "Level {number} of {}: {}\n", LEVELS.len(), self.level.name)?;
        writeln!(out, "{RULES}\n")?;
        self.show_code(out)?;
        writeln!(out, "\nGoal: {}\n\n{KEYS}", self.level.goal)?;
        loop {
            let story = self.story(&self.picks);
            let last_pick = self.picks.len().checked_sub(1);
            let from = last_pick.map_or(0, |pick| story.moments[pick].steps);
            match story.moments.get(self.picks.len()) {
                Some(moment) => {
                    show_steps(&story, from, moment.steps, out)?;
                    if let (true, Some(last)) = (from == moment.steps, self.picks.chars().last()) {
                        let key = key(&story.moments[self.picks.len() - 1], last);
                        writeln!(out, "   {key} comes to its next step.")?;
                    }
                    show(moment, &story.steps[..moment.steps], out)?;
                }
                None if story.end.is_failure() => return self.won(&story, out),
                None => {
                    show_steps(&story, from, story.steps.len(), out)?;
                    writeln!(out, "\nThe program has ended. Nothing broke. {AT_THE_END}")?;
                }
            }
            write!(out, "> ")?;
            out.flush()?;
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return writeln!(out);
            }
            match line.trim() {
                "u" => _ = self.picks.pop(),
                "r" => self.picks.clear(),
                "f" => self.picks += &"0".repeat(story.moments.len() - self.picks.len()),
                "h" => writeln!(out, "{}", self.level.hint)?,
                "l" => self.show_code(out)?,
                "g" => return self.give_up(out),
                "p" => self.prove(self.side, out)?,
                "q" => return Ok(()),
                "" if self.take('0') => {}
                ways if !ways.is_empty() && ways.chars().all(|way| self.take(way)) => {}
                _ if story.moments.len() == self.picks.len() => {}
                _ => writeln!(out, "This is no key here.\n{KEYS}")?,
            }
        }
    }

    fn program(&self, side: Side) -> fn() {
        match side {
            Side::Wrong => self.level.wrong,
            Side::Right => self.level.right,
        }
    }

    /// What happens after these picks.
    fn story(&self, picks: &str) -> Story {
        replay(&format!("{}{picks}", self.prefix()), self.program(self.side))
    }

    /// Wake-ups for nothing are among the ways only where the level says so.
    fn prefix(&self) -> &'static str {
        if (self.level.limits)().spurious > 0 { "s" } else { "" }
    }

    /// Adds a pick, if it is one of the ways.
    fn take(&mut self, way: char) -> bool {
        let story = self.story(&self.picks);
        let Some(moment) = story.moments.get(self.picks.len()) else { return false };
        let way = way.to_ascii_uppercase();
        let mut ways = moment.ways.iter();
        let meant = ways.find(|(digit, _)| *digit == way || key(moment, *digit) == way);
        self.picks.extend(meant.map(|(digit, _)| digit));
        meant.is_some()
    }

    fn won(&self, story: &Story, out: &mut impl Write) -> io::Result<()> {
        let how = match story.end {
            End::Deadlock(_) => "nobody can ever go on",
            _ => "the program panics",
        };
        writeln!(out, "\n{story}\n\nYou broke it, by {}{}: {how}.", self.prefix(), self.picks)?;
        writeln!(out, "The shortest way: {COMMAND} solve {}", self.level.name)?;
        self.prove(Side::Right, out)?;
        let mut others = LEVELS.iter().skip_while(|level| level.name != self.level.name);
        match others.nth(1) {
            Some(next) => writeln!(out, "The next level: {COMMAND} play {}", next.name),
            None => writeln!(out, "That was the last level."),
        }
    }

    fn give_up(&self, out: &mut impl Write) -> io::Result<()> {
        match self.side {
            Side::Wrong => {
                let story = self.story(self.level.solution);
                writeln!(out, "{} breaks it:\n\n{story}", self.level.solution)
            }
            Side::Right => self.prove(Side::Right, out),
        }
    }

    /// Runs every schedule within the limits of the level.
    pub(crate) fn prove(&self, side: Side, out: &mut impl Write) -> io::Result<()> {
        let report = explore((self.level.limits)(), self.program(side));
        let (schedules, broken) = (report.schedules, report.failures());
        let which = if side == Side::Right { "right" } else { "wrong" };
        let all = if report.is_complete { "all" } else { "the first" };
        let broken = if broken == 0 { "none".into() } else { broken.to_string() };
        let verb = if broken == "none" || broken == "1" { "breaks" } else { "break" };
        writeln!(out, "The {which} version: {all} {schedules} schedules, {broken} {verb} it.")
    }

    /// The version that is played, with the numbers of its lines.
    fn show_code(&self, out: &mut impl Write) -> io::Result<()> {
        let begin = format!("mod {} {{", self.level.name);
        let mut is_right = false;
        let lines = SOURCE.lines().zip(1..).skip_while(|(line, _)| !line.ends_with(&begin)).skip(1);
        for (line, number) in lines.take_while(|(line, _)| *line != "}") {
            is_right |= line.contains("fn right()");
            let plumbing = ["    use ", "watch(", "let seen"];
            let is_shown = !line.is_empty() && !plumbing.iter().any(|word| line.contains(word));
            if is_right == (self.side == Side::Right) && is_shown {
                writeln!(out, "{number:>4} {}", line.strip_prefix("    ").unwrap_or(line))?;
            }
        }
        Ok(())
    }
}

/// Some steps of a story, indented by thread.
fn show_steps(story: &Story, from: usize, to: usize, out: &mut impl Write) -> io::Result<()> {
    writeln!(out)?;
    for step in &story.steps[from..to] {
        let (indent, thread) = (3 + 24 * step.thread, letter(step.thread));
        writeln!(out, "{:indent$}{thread}: {} :{}", "", step.what, step.line)?;
    }
    Ok(())
}

/// Where the threads are, and which ways there are to go on.
fn show(moment: &Moment, made: &[Step], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n    {:<26}{:<18}line", "thread", "next step")?;
    for (next, state) in &moment.threads {
        let last = made.iter().rfind(|step| step.thread == next.thread);
        let has_made = last.is_some_and(|step| (&step.what, step.line) == (&next.what, next.line));
        let (state, what) = match next.what.as_str() {
            "begin" => ("has not begun", "begin"),
            _ if has_made && state == "can go on" => ("is woken", "to lock again"),
            _ if has_made => (state.as_str(), ""),
            what => (state.as_str(), what),
        };
        let (thread, source) = (letter(next.thread), source_line(&next.file, next.line));
        writeln!(out, " {thread}  {state:<26}{what:<17}{:>5} {source}", next.line)?;
    }
    for (name, value) in &moment.shared {
        writeln!(out, "    {name} = {value}")?;
    }
    for (digit, (thread, why)) in &moment.ways {
        let what = match why {
            Why::Turn => "goes on",
            Why::Notified => "is the one that is notified",
            Why::TimedOut => "runs out of time",
            Why::Spins => "does not let others go first",
            Why::Spurious => "wakes up for nothing",
        };
        let key = key(moment, *digit).to_ascii_lowercase();
        writeln!(out, " [{key}] {} {what}", letter(*thread))?;
    }
    Ok(())
}

/// What a player types for a way: the letter of its thread, or its digit if that has one before.
fn key(moment: &Moment, digit: char) -> char {
    let mut before = moment.ways.iter().take_while(|way| way.0 != digit);
    match moment.ways.iter().find(|way| way.0 == digit) {
        Some((_, (thread, _))) if before.all(|way| way.1.0 != *thread) => letter(*thread),
        _ => digit,
    }
}

/// A line of the program, if its file is still there.
fn source_line(file: &str, line: u32) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let source = fs::read_to_string(file).unwrap_or_default();
    source.lines().nth(line as usize - 1).unwrap_or_default().trim().to_owned()
}

fn letter(thread: usize) -> char {
    (b'A'..=b'Z').map(char::from).nth(thread).unwrap_or('?')
}
