//! # 32 · Measure — how to know which of two is faster
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 9 min, exercises not counted |
//! | run it | `cargo run --release --example ch32_measure` |
//! | files | [example](../../../../examples/ch32_measure.rs), [test](../../../../tests/ch32_measure.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [31](../ch31_schedules/index.html) |
//!
//! ## Why
//!
//! This book says "times" often: a notification that nobody hears costs thirty times a lock. Such a
//! sentence is worth as much as the measurement behind it. The explorer of chapter 31 knows what
//! can happen; it does not know how long it takes. A stopwatch does, and a stopwatch lies: the
//! machine has other work, the processor changes its speed, the first run finds cold caches, and
//! the compiler removes work whose result nobody uses.
//!
//! ## Steps
//!
//! 1. `let start = Instant::now(); work(); start.elapsed()`: one number, and the next run gives
//!    another.
//! 2. The median of many runs: fails because the machine was slow for the whole first half.
//! 3. A, B, A, B, …: both meet the same machine. Fails if A always finds what B left in the cache.
//! 4. A, B, B, A, …: the order turns, and a ratio is taken within each round. That is this chapter.
//!
//! ## Picture
//!
//! ```text
//!  round     order          times              ratio to A
//!  ──────────────────────────────────────────────────────────
//!    0 (1)   A  B  C                           thrown away
//!    1       B  C  A        A 10  B 21  C 40   B 2.1   C 4.0
//!    2 (2)   C  A  B        A 30  B 60  C 99   B 2.0   C 3.3  a slow moment
//!    3       A  B  C        A 11  B 20  C 45   B 1.8   C 4.1
//!                               │                  │
//!                    (3) median of each     (4) median of the ratios
//! ```
//!
//! ## Promises
//!
//! - I1. Every contestant runs once in every round, and the round's order turns by one place each
//!   time: nobody is always first, nobody always follows the same neighbour at the same place.
//! - I2. The first round warms up. It is run and not counted.
//! - I3. A ratio compares two times of one round, and the median of these ratios is the result;
//!   half of them lie between the two figures of the spread.
//! - Not promised: that a time of this machine says anything about another one. A ratio often does.
//!
//! ## The trap
//!
//! A mean instead of a median: one pause of the system in a hundred rounds moves it, in either
//! direction. And work without an observer: `(0..n).map(square).sum::<u64>();` whose sum nobody
//! reads is removed, and the contest is against nothing. Hand results to
//! [`black_box`](std::hint::black_box).
//!
//! ## Elsewhere
//!
//! - Criterion for Rust draws distributions and models the warm-up; it runs one contestant at a
//!   time.
//! - Python has `timeit`, which takes the best of several runs; hyperfine times whole programs.
//!
//! ## Try
//!
//! 1. Predict: the same work is entered twice under two names. Which ratio comes out, and how wide
//!    is its spread?
//! 2. Break: let the order stay the same in all rounds: do not rotate in `Race::run`. Which test
//!    notices?
//! 3. Extend: `fastest(report)`, the name of the fastest contestant, or nothing if its spread
//!    overlaps with that of the next.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::fmt;
use std::time::{Duration, Instant};

/// Several ways to do the same work, measured in turn.
///
/// # Examples
/// ```
/// use concurrent_explained::ch32_measure::Race;
/// use std::hint::black_box;
///
/// let mut race = Race::new();
/// race.enter("a thousand", || {
///     black_box((0..1_000_u64).map(black_box).sum::<u64>());
/// });
/// race.enter("ten thousand", || {
///     black_box((0..10_000_u64).map(black_box).sum::<u64>());
/// });
/// let report = race.run(9);
/// assert_eq!(report.rows[0].ratio, 1.0);
/// println!("{report}");
/// ```
#[derive(Default)]
pub struct Race<'a> {
    /// The first is the one to which the others are compared.
    contestants: Vec<(String, Box<dyn FnMut() -> Duration + 'a>)>,
}

impl<'a> Race<'a> {
    /// A race without contestants.
    pub fn new() -> Self {
        Race::default()
    }

    /// Enters `work`, to be timed from its call to its return.
    pub fn enter(&mut self, name: &str, mut work: impl FnMut() + 'a) {
        self.enter_timed(name, move || {
            let start = Instant::now();
            work();
            start.elapsed()
        });
    }

    /// Enters work that says itself how long it took: another program, say, whose start is not to
    /// be counted.
    pub fn enter_timed(&mut self, name: &str, work: impl FnMut() -> Duration + 'a) {
        self.contestants.push((name.into(), Box::new(work)));
    }

    /// Runs everybody `rounds` times, in turn, after one round that is not counted.
    ///
    /// # Panics
    /// If `rounds` is zero.
    #[track_caller]
    pub fn run(mut self, rounds: usize) -> Report {
        assert!(rounds > 0, "a race needs at least one round");
        let runners = self.contestants.len();
        let mut times = vec![Vec::with_capacity(rounds); runners];
        for round in 0..=rounds {
            for place in 0..runners {
                let runner = (place + round) % runners; // (2): the order turns (I1)
                let time = (self.contestants[runner].1)();
                // (1): the first round fills caches, starts threads and wakes the processor (I2).
                if round > 0 {
                    times[runner].push(time);
                }
            }
        }
        let names = self.contestants.into_iter().map(|(name, _)| name);
        let rows = names.zip(&times).map(|(name, own)| Row::new(name, own, &times[0]));
        Report { rows: rows.collect() }
    }
}

/// What a [`Race`] has found. `Display` draws it as a table.
#[derive(Clone, Debug)]
pub struct Report {
    /// In the order of entry.
    pub rows: Vec<Row>,
}

/// One contestant of a [`Report`].
#[derive(Clone, Debug)]
pub struct Row {
    /// As entered.
    pub name: String,
    /// Half of the rounds took longer.
    pub median: Duration,
    /// How many times the first contestant's time of the same round, in the median.
    pub ratio: f64,
    /// Half of the ratios lie between these two.
    pub spread: (f64, f64),
}

impl Row {
    fn new(name: String, own: &[Duration], first: &[Duration]) -> Row {
        let mut sorted = own.to_vec();
        sorted.sort();
        // (4): both times of a pair come from one round, and a slow moment cancels out (I3).
        let pairs = own.iter().zip(first);
        let mut ratios: Vec<_> = pairs.map(|(own, first)| ratio(*own, *first)).collect();
        ratios.sort_by(f64::total_cmp);
        let (quarter, half) = (ratios.len() / 4, ratios.len() / 2);
        let spread = (ratios[quarter], ratios[ratios.len() - 1 - quarter]);
        Row { name, median: sorted[half], ratio: ratios[half], spread } // (3)
    }
}

/// No clock is finer than a nanosecond: a time of zero counts as one.
fn ratio(own: Duration, first: Duration) -> f64 {
    let nanoseconds = |time: Duration| time.as_nanos().max(1) as f64;
    nanoseconds(own) / nanoseconds(first)
}

// Plumbing

/// The characters of the longest bar.
const BAR: f64 = 30.0;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.rows.iter().map(|row| row.name.chars().count());
        let width = widths.max().unwrap_or_default();
        let longest = self.rows.iter().map(|row| row.ratio).fold(0.0, f64::max);
        writeln!(f, "{:width$} {:>10} {:>8}  half of the rounds", "", "median", "ratio")?;
        for row in &self.rows {
            let (low, high) = row.spread;
            let median = format!("{:.1?}", row.median);
            let bar = "#".repeat((row.ratio / longest * BAR).ceil() as usize);
            let spread = format!("{low:.2} to {high:.2}");
            writeln!(f, "{:width$} {median:>10} {:>8.2}  {spread:<18} {bar}", row.name, row.ratio)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Race<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.contestants.iter().map(|(name, _)| name).collect();
        f.debug_struct("Race").field("contestants", &names).finish()
    }
}
