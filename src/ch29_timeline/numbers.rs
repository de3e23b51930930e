//! The record in numbers, and a line that says how far the work has come.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::spans::{Span, distinct, extent};
use std::cmp::Reverse;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// What a record says in numbers. `Display` writes a few lines.
#[derive(Clone, Debug)]
pub struct Summary {
    /// From submission to start: the median, the 90th and the 99th percentile, the longest.
    pub waited: [Duration; 4],
    /// From start to end: the same four.
    pub ran: [Duration; 4],
    /// The five tasks that ran longest, the longest first.
    pub longest: Vec<(String, Duration)>,
    /// For each worker the share of the whole time, between 0 and 1, in which it ran nothing.
    pub idle: Vec<(String, f64)>,
}

impl Summary {
    /// Summarizes `spans`, which are in the order of their starts.
    pub fn new(spans: &[Span]) -> Self {
        let (first, last) = extent(spans);
        let ran = |span: &Span| span.ended - span.started;
        let mut longest: Vec<_> = spans.iter().collect();
        longest.sort_by_key(|span| Reverse(ran(span)));
        let longest = longest.into_iter().take(5);
        let idle = distinct(spans, |span| &span.worker).into_iter().map(|worker| {
            let busy = busy(spans.iter().filter(|span| span.worker == worker));
            (worker.to_owned(), 1.0 - busy.as_secs_f64() / (last - first).as_secs_f64())
        });
        Summary {
            waited: percentiles(spans.iter().map(|span| span.started - span.queued)),
            ran: percentiles(spans.iter().map(ran)),
            longest: longest.map(|span| (span.task.clone(), ran(span))).collect(),
            idle: idle.collect(),
        }
    }
}

/// The time covered by at least one span: one that runs inside another counts once (I3).
fn busy<'a>(spans: impl Iterator<Item = &'a Span>) -> Duration {
    let (mut busy, mut until) = (Duration::ZERO, Duration::ZERO);
    for span in spans {
        busy += span.ended.saturating_sub(span.started.max(until));
        until = until.max(span.ended);
    }
    busy
}

fn percentiles(times: impl Iterator<Item = Duration>) -> [Duration; 4] {
    let mut times: Vec<_> = times.collect();
    times.sort();
    [50, 90, 99, 100].map(|percent| {
        // The smallest time that at least so many per cent of the tasks do not exceed.
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).copied().unwrap_or_default()
    })
}

/// Writes how far the work has come to standard error, in place, if that is a terminal. What else
/// is written there meanwhile ends up on the same line: collect it until the work is done.
///
/// # Examples
/// ```
/// use concurrent_explained::ch29_timeline::Progress;
///
/// let mut progress = Progress::new(3);
/// for _ in 0..3 {
///     progress.advance(); // writes nothing here: standard error is a file
/// }
/// ```
#[derive(Debug)]
pub struct Progress {
    done: usize,
    total: usize,
    start: Instant,
}

impl Progress {
    /// None of `total` tasks is done.
    pub fn new(total: usize) -> Self {
        Progress { done: 0, total, start: Instant::now() }
    }

    /// One more is done. Writes whenever that makes another percent.
    pub fn advance(&mut self) {
        self.done += 1;
        let percent = |done: usize| done * 100 / self.total.max(1);
        if percent(self.done) > percent(self.done - 1) && io::stderr().is_terminal() {
            let line = progress_line(self.done, self.total, self.start.elapsed());
            let end = if self.done == self.total { "\n" } else { "" };
            // A terminal that has gone away is no reason to stop the work.
            let _ = write!(io::stderr(), "\r{line}{end}");
        }
    }
}

/// The text of a progress line, with the rate since the start and, from that, the time left.
pub fn progress_line(done: usize, total: usize, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
    let percent = (done * 100).checked_div(total).unwrap_or(100);
    let left = total.saturating_sub(done) as f64 / rate.max(1e-9);
    format!("{done} / {total}  {percent:>3} %  {rate:.1} per second  {left:.0} s left   ")
}

// Plumbing

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "         {:>10} {:>10} {:>10} {:>10}", "median", "90 %", "99 %", "longest")?;
        for (name, times) in [("waited", self.waited), ("ran", self.ran)] {
            let times = times.map(|time| format!("{time:>10.1?}")).join(" ");
            writeln!(f, "{name:<8} {times}")?;
        }
        for (task, ran) in &self.longest {
            writeln!(f, "longest: {task} {ran:.1?}")?;
        }
        for (worker, idle) in &self.idle {
            writeln!(f, "idle:    {worker} {:.0} %", idle * 100.0)?;
        }
        Ok(())
    }
}
