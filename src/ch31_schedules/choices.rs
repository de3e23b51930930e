//! A stack of choices: what makes a run repeatable, and the next run a different one.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use real::fmt::{self, Write};
use real::vec::Vec;

/// How many ways there are, which thread asks, and in which line.
pub(super) type Asked = (usize, usize, u32);

/// One place where a run could have gone on in more than one way.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    taken: usize,
    /// Other ways that are within the limits and not yet explored, the next one last.
    left: Vec<usize>,
    /// What every run that comes here must ask. `None` in a schedule that was read from text, until
    /// a run comes by.
    asked: Option<Asked>,
}

/// The choices of one run, in order: first those that the stack says, then new ones on top of it.
#[derive(Debug, Default)]
pub(super) struct Choices {
    stack: Vec<Choice>,
    made: usize,
    /// Random numbers in place of depth first.
    random: Option<u64>,
    /// Whether a thread may wake for nothing. It is one way more at most choices, so it is part of
    /// the schedule's text.
    pub(super) spurious: bool,
}

impl Choices {
    pub(super) fn new(spurious: bool, seed: Option<u64>) -> Self {
        let random = seed.map(|seed| seed.wrapping_mul(2).wrapping_add(1));
        Choices { stack: Vec::new(), made: 0, random, spurious }
    }

    /// Reads what `Display` wrote.
    pub(super) fn read(schedule: &str) -> Option<Self> {
        let (spurious, digits) = match schedule.strip_prefix('s') {
            Some(digits) => (true, digits),
            None => (false, schedule),
        };
        let mut choices = Choices::new(spurious, None);
        for (i, part) in digits.split('.').enumerate() {
            if i % 2 == 0 {
                for digit in part.chars() {
                    choices.push(digit.to_digit(36)? as usize);
                }
            } else {
                for _ in 0..part.parse::<u16>().ok()? {
                    choices.push(0);
                }
            }
        }
        Some(choices)
    }

    fn push(&mut self, taken: usize) {
        self.stack.push(Choice { taken, left: Vec::new(), asked: None });
    }

    /// Takes one of the ways that are `allowed`. `None` if a run before found something else here:
    /// then something beside the schedule decides what the program does.
    pub(super) fn take(&mut self, asked: Asked, mut allowed: Vec<usize>) -> Option<usize> {
        if self.made == self.stack.len() {
            let taken = match &mut self.random {
                Some(random) => allowed[next_random(random) % allowed.len()],
                None => allowed.remove(0),
            };
            allowed.reverse();
            self.stack.push(Choice { taken, left: allowed, asked: Some(asked) });
        }
        let choice = &mut self.stack[self.made];
        self.made += 1;
        if choice.asked.is_none() && choice.taken < asked.0 {
            choice.asked = Some(asked);
        }
        (choice.asked == Some(asked)).then_some(choice.taken)
    }

    /// Goes on to the next run: the last choice that has another way left takes it, and those after
    /// it are forgotten. False if none has: all runs have been made.
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
        if self.spurious {
            f.write_char('s')?;
        }
        let mut zeros = 0;
        let mut empty = true;
        for choice in &self.stack {
            if choice.taken == 0 {
                zeros += 1;
                continue;
            }
            match zeros {
                0..6 => f.write_str(&"00000"[..zeros])?,
                _ => write!(f, ".{zeros}.")?,
            }
            f.write_char(digit(choice.taken))?;
            (zeros, empty) = (0, false);
        }
        if empty { f.write_char('0') } else { Ok(()) }
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
