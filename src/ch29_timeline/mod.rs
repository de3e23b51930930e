//! # 29 · Timeline — seeing is believing
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 15 min, exercises not counted |
//! | run it | `cargo run --release --example ch29_timeline` |
//! | files | [example](../../../../examples/ch29_timeline.rs), [test](../../../../tests/ch29_timeline.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [28](../ch28_await/index.html), [30](../ch30_remote/index.html) |
//!
//! ## Why
//!
//! A pool says that it runs tasks side by side. A total time says little about whether it does: a
//! worker may stand idle behind one long task, or start late, or spend its time on tasks too small
//! to be worth handing over. Each of these is plain to see in a picture of who did what when.
//!
//! ## Steps
//!
//! 1. Three times for each task are enough: queued, started, ended. Closures are wrapped, so a
//!    thread pool needs no hook; a process pool reports its own times.
//! 2. A row for each worker, in text. It fails for a thousand tasks: a column hides many of them.
//! 3. The same rows as SVG, where the pointer shows each task; and as trace events, for tools that
//!    zoom.
//! 4. Numbers: what a picture shows at a glance, as percentiles and shares.
//!
//! ## Picture
//!
//! ```text
//!   spawn                 a worker takes it            it returns or panics
//!     │ (1)                    │                            │ (2)
//!     ▼        waited          ▼            ran             ▼
//!   queued ────────────────► started ───────────────────► ended
//!
//!   Timeline ──spans()──► chart    text, as wide as the terminal
//!                         svg      a picture for a browser
//!                         trace    events for Perfetto
//!                         Summary  percentiles, the longest, idle shares
//! ```
//!
//! ## Promises
//!
//! - I1. A task that ran has one span, also if it panicked. A task that never ran has none.
//! - I2. Whatever a task or a worker is called, the SVG and the JSON stay well formed.
//! - I3. A task that a waiting worker runs inside another one counts once in the idle share.
//! - A timeline costs nothing where it is not used: no pool knows of it.
//! - Not promised: the cost of recording, which is two readings of the clock and one lock a task.
//!   It shows in tasks of less than about ten microseconds.
//!
//! ## The trap
//!
//! To look at the total alone. Eight tasks, one of which takes as long as the seven others, on two
//! workers: the total is what it must be, and one worker is idle half of the time. More workers do
//! not help; the picture shows why, and what does: starting the long one first.
//!
//! ## Elsewhere
//!
//! - Chrome and Perfetto read the trace event format; Python's `viztracer` writes it.
//! - rayon, tokio and Java's flight recorder have hooks and tools of their own for such pictures.
//!
//! ## Try
//!
//! 1. Predict: two workers, four tasks of 10, 10, 10 and 30 ms, queued in this order. When is the
//!    last one done, and how much of the time is one worker idle? And in the opposite order?
//! 2. Break: in `busy`, add up the spans without `until`. Which share goes wrong, and when?
//! 3. Extend: `concurrency(spans)`, the average number of tasks that ran at the same time.

// Part of concurrent-explained, MIT OR Apache-2.0.

mod chart;
mod numbers;
mod spans;
mod svg;
mod trace;

pub use chart::chart;
pub use numbers::{Progress, Summary, progress_line};
pub use spans::{Span, Timeline};
pub use svg::svg;
pub use trace::trace;
