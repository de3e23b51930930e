//! A stack of choices: what makes a run repeatable, and the next run a different one.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use real::fmt::{self, Write};

/// How many ways there are, which thread asks, and in which line. Two runs that have made the same
/// choices must ask the same next, or something beside the schedule decides.
type Asked = (usize, usize, u32);

/// One place where a run could have gone on in more than one way.
#[derive(Debug)]
struct Choice {
    /// The digit of the schedule.
    taken: usize,
    /// Other ways that are within the limits and not yet explored, the next one last.
    left: Vec<usize>,
    /// What every run that comes here must ask.
    asked: Asked,
}

/// The choices of one run, in order: first those that the stack says, then new ones on top of it.
///
/// A stack is all that a walk through a tree needs. The tree itself, of thousands of runs, is never
/// in the memory: each run is one path from its root, and the next path differs from it as late as
/// possible.
#[derive(Debug, Default)]
pub(super) struct Choices {
    stack: Vec<Choice>,
    /// How many of them this run has come by.
    made: usize,
    /// What a schedule that was read says of choices that come on top of the stack.
    given: Vec<usize>,
    /// Random numbers in place of depth first.
    random: Option<u64>,
    /// Whether a thread may wake for nothing. It is one way more at most choices, so it is part of
    /// the schedule's text.
    pub(super) spurious: bool,
}

impl Choices {
    /// An empty stack: the first run takes the first way everywhere, or wanders.
    pub(super) fn new(spurious: bool, seed: Option<u64>) -> Self {
        // Odd, because xorshift never leaves zero.
        let random = seed.map(|seed| seed.wrapping_mul(2).wrapping_add(1));
        Choices { random, spurious, ..Choices::default() }
    }

    /// Reads what `Display` wrote.
    pub(super) fn read(schedule: &str) -> Option<Self> {
        let digits = schedule.strip_prefix('s').unwrap_or(schedule);
        let mut given = Vec::new();
        for (i, part) in digits.split('.').enumerate() {
            if i % 2 == 0 {
                for digit in part.chars() {
                    given.push(digit.to_digit(36)? as usize);
                }
            } else {
                given.resize(given.len() + usize::from(part.parse::<u16>().ok()?), 0);
            }
        }
        Some(Choices { given, spurious: digits != schedule, ..Choices::default() })
    }

    /// Takes one of the ways that are `allowed`, the same as in the run before as long as the stack
    /// goes. `None` if a run before found something else here:
    /// then something beside the schedule decides what the program does.
    pub(super) fn take(&mut self, asked: Asked, mut allowed: Vec<usize>) -> Option<usize> {
        if self.made == self.stack.len() {
            let taken = match (self.given.get(self.made), &mut self.random) {
                (Some(&given), _) => given,
                (None, Some(random)) => allowed[next_random(random) % allowed.len()],
                (None, None) => allowed.remove(0),
            };
            allowed.reverse(); // the next one last, where `pop` finds it
            self.stack.push(Choice { taken, left: allowed, asked });
        }
        let choice = &self.stack[self.made];
        self.made += 1;
        (choice.asked == asked && choice.taken < asked.0).then_some(choice.taken)
    }

    /// Goes on to the next run: the last choice that has another way left takes it, and those after
    /// it are forgotten. False if none has: all runs have been made, each once (I3).
    ///
    /// Random walks remember nothing, and have no end.
    pub(super) fn advance(&mut self) -> bool {
        self.made = 0;
        if self.random.is_some() {
            self.stack.clear();
            return true;
        }
        while let Some(choice) = self.stack.last_mut() {
            if let Some(next) = choice.left.pop() {
                choice.taken = next;
                return true;
            }
            self.stack.pop();
        }
        false
    }
}

/// A digit for each choice. Zeros at the end are left out, six or more in the middle are counted:
/// `1.12.2` is 1, twelve times 0, and 2.
impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.spurious { "s" } else { "" })?;
        let taken: Vec<usize> = self.stack.iter().map(|choice| choice.taken).collect();
        let Some(last) = taken.iter().rposition(|&taken| taken > 0) else {
            return f.write_char('0');
        };
        for zeros_and_one in taken[..=last].split_inclusive(|&taken| taken > 0) {
            match zeros_and_one.len() - 1 {
                zeros @ 0..6 => f.write_str(&"00000"[..zeros])?,
                zeros => write!(f, ".{zeros}.")?,
            }
            f.write_char(digit(zeros_and_one[zeros_and_one.len() - 1]))?;
        }
        Ok(())
    }
}

/// The way with this number in the text of a schedule.
pub(super) fn digit(way: usize) -> char {
    char::from_digit(way as u32, 36).unwrap_or('?')
}

/// Xorshift: good enough to wander.
fn next_random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}
