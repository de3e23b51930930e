//! The record as trace events: a JSON file for Perfetto and chrome://tracing.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::spans::{Span, distinct};
use std::time::Duration;

/// Writes `spans` in the trace event format. Row 0 holds the submissions, each worker has a row of
/// its own; an arrow leads from a submission to the run. Times in it are microseconds.
///
/// Slices on one row must nest, and waiting tasks overlap: so a wait is an asynchronous pair of
/// events, which has a row to itself.
pub fn trace(spans: &[Span]) -> String {
    let workers = distinct(spans, |span| &span.worker);
    let mut events = vec![row_name(0, "submitted")];
    events.extend((1..).zip(&workers).map(|(row, worker)| row_name(row, worker)));
    for (id, span) in (1..).zip(spans) {
        let row = 1 + workers.iter().position(|worker| *worker == span.worker).unwrap_or_default();
        let task = quoted(&span.task);
        let (queued, started) = (micros(span.queued), micros(span.started));
        let event = |phase: &str, row: usize, time: &str, rest: &str| {
            format!(r#"{{"ph":"{phase}","pid":1,"tid":{row},"name":{task},"ts":{time}{rest}}}"#)
        };
        let waiting = format!(r#","cat":"waiting","id":{id}"#);
        let arrow = format!(r#","cat":"submit","id":{id}"#);
        events.push(event("b", 0, &queued, &waiting));
        events.push(event("e", 0, &started, &waiting));
        // An arrow starts and ends in a slice: this one stands for the call of `submit`.
        events.push(event("X", 0, &queued, r#","dur":0"#));
        events.push(event("s", 0, &queued, &arrow));
        events.push(event("f", row, &started, &format!(r#"{arrow},"bp":"e""#)));
        let (ran, waited) = (micros(span.ended - span.started), micros(span.started - span.queued));
        let args = format!(r#","dur":{ran},"args":{{"waited_us":{waited}}}"#);
        events.push(event("X", row, &started, &args));
    }
    format!("{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n", events.join(",\n"))
}

/// Says what a row is called.
fn row_name(row: usize, name: &str) -> String {
    let args = format!(r#"{{"name":{}}}"#, quoted(name));
    format!(r#"{{"ph":"M","pid":1,"tid":{row},"name":"thread_name","args":{args}}}"#)
}

fn micros(time: Duration) -> String {
    format!("{}.{:03}", time.as_micros(), time.as_nanos() % 1_000)
}

/// A name may hold anything (I2).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => quoted += &format!("\\u{:04x}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}
