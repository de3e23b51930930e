//! The picture in text: a row for each worker, a column for each moment.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::spans::{Span, distinct, extent};
use std::time::Duration;

/// Two marks in turn, so that one task can be told from the next on the same worker.
const MARKS: [char; 2] = ['█', '▒'];

/// Draws `spans`, at most `columns` wide (and at least as wide as the names and ten columns): a row
/// for each worker, `·` where it has nothing to do, and below how many tasks wait, `+` for ten and
/// more.
pub fn chart(spans: &[Span], columns: usize) -> String {
    let workers = distinct(spans, |span| &span.worker);
    let (first, last) = extent(spans);
    let label = workers.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(7);
    let width = columns.saturating_sub(label + 3).max(10);
    // A column stands for the moment in its middle.
    let moment =
        |column: usize| first + (last - first).mul_f64((column as f64 + 0.5) / width as f64);
    let mut text = String::new();
    for worker in workers {
        let tasks: Vec<_> = spans.iter().filter(|span| span.worker == worker).collect();
        let row = (0..width).map(|column| mark(&tasks, moment(column)));
        text += &format!("{worker:label$} │{}│\n", row.collect::<String>());
    }
    let row = (0..width).map(|column| match waiting_at(spans, moment(column)) {
        0 => ' ',
        few @ 1..=9 => char::from(b'0' + few as u8),
        _ => '+',
    });
    text += &format!("{:label$} │{}│\n", "waiting", row.collect::<String>());
    let end = format!("{:.1?}", last - first);
    text + &format!("{:label$}  0{end:>rest$}\n", "", rest = width - 1)
}

/// What a worker does at a moment. A task that runs inside another hides it: it started later.
fn mark(tasks: &[&Span], moment: Duration) -> char {
    let runs = |span: &&Span| span.started <= moment && moment < span.ended;
    tasks.iter().rposition(runs).map_or('·', |place| MARKS[place % 2])
}

/// How many tasks are queued and not started at a moment.
fn waiting_at(spans: &[Span], moment: Duration) -> usize {
    spans.iter().filter(|span| span.queued <= moment && moment < span.started).count()
}
