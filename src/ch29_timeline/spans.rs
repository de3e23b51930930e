//! What is recorded: for each task its worker, and when it was queued, started and ended.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A recorder that tasks write into. Clones are handles on the same record.
///
/// # Examples
/// ```
/// use concurrent_explained::ch29_timeline::{Timeline, chart};
///
/// let timeline = Timeline::new();
/// let work = timeline.task("square", || 12 * 12); // queued now
/// assert_eq!(work(), 144); // started and ended here, perhaps on a thread of a pool
/// assert_eq!(timeline.spans()[0].task, "square");
/// print!("{}", chart(&timeline.spans(), 80));
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    /// In the order in which they ended.
    spans: Arc<Mutex<Vec<Span>>>,
}

/// The life of one task. Times count from the beginning of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The name it was given.
    pub task: String,
    /// The name of the thread or process it ran on.
    pub worker: String,
    /// When it was submitted.
    pub queued: Duration,
    /// When a worker began it.
    pub started: Duration,
    /// When it returned, or panicked.
    pub ended: Duration,
}

impl Timeline {
    /// An empty record that begins now.
    pub fn new() -> Self {
        Timeline { start: Instant::now(), spans: Arc::default() }
    }

    /// (1) Wraps `work` for a thread pool, a scope or a thread: it counts as queued now, and the
    /// record gets a span when it has run, also if it panics. Work that never runs leaves none.
    pub fn task<T, F>(&self, name: &str, work: F) -> impl FnOnce() -> T + use<T, F>
    where
        F: FnOnce() -> T,
    {
        let timeline = self.clone();
        let (task, queued) = (name.to_owned(), self.start.elapsed());
        move || {
            let (worker, started) = (this_thread(), timeline.start.elapsed());
            let span = Span { task, worker, queued, started, ended: started };
            // (2) Its drop records the end: a panic of `work` passes through here (I1).
            let _end = RecordEnd { timeline: &timeline, span };
            work()
        }
    }

    /// Records a task that has ended this moment, for a pool that knows its own times: it `waited`
    /// in the queue, then `ran` on `worker`.
    pub fn record(&self, task: &str, worker: &str, waited: Duration, ran: Duration) {
        let ended = self.start.elapsed();
        let started = ended.saturating_sub(ran);
        let queued = started.saturating_sub(waited);
        let span = Span { task: task.into(), worker: worker.into(), queued, started, ended };
        self.spans.lock().unwrap().push(span);
    }

    /// What has ended so far, in the order of the starts.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = self.spans.lock().unwrap().clone();
        spans.sort_by_key(|span| (span.started, span.ended));
        spans
    }
}

struct RecordEnd<'a> {
    timeline: &'a Timeline,
    span: Span,
}

impl Drop for RecordEnd<'_> {
    fn drop(&mut self) {
        self.span.ended = self.timeline.start.elapsed();
        self.timeline.spans.lock().unwrap().push(self.span.clone());
    }
}

fn this_thread() -> String {
    let thread = thread::current();
    thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_owned)
}

/// What `name` says of the spans, each once, in the order in which it occurs first.
pub(super) fn distinct<'a>(
    spans: &'a [Span],
    name: impl Fn(&'a Span) -> &'a String,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in spans.iter().map(|span| name(span).as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// From the first queued task to the last end. Never empty, so that it can be divided by.
pub(super) fn extent(spans: &[Span]) -> (Duration, Duration) {
    let first = spans.iter().map(|span| span.queued).min().unwrap_or_default();
    let last = spans.iter().map(|span| span.ended).max().unwrap_or_default();
    (first, last.max(first + Duration::from_nanos(1)))
}
