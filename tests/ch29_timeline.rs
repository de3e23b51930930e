//! Chapter 29: the same spans as text, as SVG, as trace events and as numbers.

use concurrent_explained::ch29_timeline::{
    Progress, Span, Summary, Timeline, chart, progress_line, svg, trace,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A task that was queued, started and ended at these milliseconds.
fn span(task: &str, worker: &str, [queued, started, ended]: [u64; 3]) -> Span {
    let (queued, started, ended) = (ms(queued), ms(started), ms(ended));
    Span { task: task.into(), worker: worker.into(), queued, started, ended }
}

/// Two workers, three short tasks and a long one.
fn four() -> Vec<Span> {
    vec![
        span("short", "w0", [0, 0, 10]),
        span("short", "w1", [0, 0, 10]),
        span("short", "w0", [0, 10, 20]),
        span("long", "w1", [0, 10, 40]),
    ]
}

#[test]
fn i1_a_task_that_ran_has_one_span_and_one_that_never_ran_has_none() {
    let timeline = Timeline::new();
    let ran = timeline.task("ran", || 7);
    let never = timeline.task("never", || 8);
    let panics = timeline.task("panics", || panic!("on purpose"));
    assert!(timeline.spans().is_empty());
    assert_eq!(ran(), 7);
    drop(never);
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let names: Vec<_> = timeline.spans().into_iter().map(|span| span.task).collect();
    assert_eq!(names, ["ran", "panics"]);
}

#[test]
fn a_span_is_queued_then_started_then_ended_on_the_thread_it_ran_on() {
    let timeline = Timeline::new();
    let work = timeline.task("task", || ());
    thread::Builder::new().name("w7".into()).spawn(work).unwrap().join().unwrap();
    let span = &timeline.spans()[0];
    assert!(span.queued <= span.started && span.started <= span.ended);
    assert_eq!(span.worker, "w7");
    // A thread without a name has at least an id.
    thread::spawn(timeline.task("task", || ())).join().unwrap();
    assert!(timeline.spans()[1].worker.starts_with("ThreadId("));
}

#[test]
fn a_pool_that_knows_its_times_counts_back_from_now() {
    let timeline = Timeline::new();
    timeline.record("task", "pid 7", ms(0), ms(0));
    timeline.record("too early", "pid 7", ms(100_000), ms(100_000)); // before the record began
    let spans = timeline.spans();
    assert_eq!((spans[0].queued, spans[0].started), (ms(0), ms(0)));
    assert_eq!(spans[0].task, "too early");
    assert_eq!(spans[1].started, spans[1].ended);
}

#[test]
fn spans_come_in_the_order_of_their_starts() {
    let timeline = Timeline::new();
    let outer = timeline.task("outer", {
        let timeline = timeline.clone();
        move || timeline.task("inner", || ())()
    });
    outer();
    let names: Vec<_> = timeline.spans().into_iter().map(|span| span.task).collect();
    assert_eq!(names, ["outer", "inner"]); // though inner ended first
}

#[test]
fn a_chart_has_a_row_for_each_worker_and_one_for_those_waiting() {
    let drawn = chart(&four(), 30);
    let lines: Vec<_> = drawn.lines().collect();
    assert_eq!(
        lines,
        [
            "w0      │█████▒▒▒▒▒··········│",
            "w1      │█████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│",
            "waiting │22222               │",
            "         0             40.0ms",
        ]
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 30));
}

#[test]
fn a_chart_of_nothing_and_one_without_room_are_drawn() {
    assert_eq!(chart(&[], 0).lines().count(), 2);
    assert!(chart(&four(), 0).contains("w1      │"));
    let long = [span("t", &"w".repeat(50), [0, 1, 2])];
    assert_eq!(chart(&long, 20).lines().next().unwrap().chars().count(), 50 + 2 + 10 + 1);
}

#[test]
fn a_task_inside_another_is_drawn_over_it() {
    let nested = [span("outer", "w", [0, 0, 40]), span("inner", "w", [0, 10, 20])];
    assert!(chart(&nested, 30).starts_with("w       │█████▒▒▒▒▒██████████│"));
}

#[test]
fn ten_and_more_waiting_are_a_plus() {
    let many: Vec<_> = (0..12).map(|task| span("t", "w", [0, task * 10, task * 10 + 10])).collect();
    let drawn = chart(&many, 22);
    assert!(drawn.contains("waiting │+"), "{drawn}");
}

/// Every tag is closed, in order, and every attribute is quoted.
fn is_well_formed(xml: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else { return false };
        let tag = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        if !tag.matches('"').count().is_multiple_of(2) {
            return false;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    open.is_empty()
}

#[test]
fn i2_the_names_of_tasks_and_workers_break_neither_svg_nor_json() {
    let nasty = "a<b>&\"c\"\\\n\u{1}'é";
    let spans = [span(nasty, nasty, [0, 1, 500])];
    let drawn = svg(&spans);
    assert!(is_well_formed(&drawn), "{drawn}");
    assert!(drawn.contains("a&lt;b&gt;&amp;&quot;c&quot;"), "{drawn}");
    assert!(!is_well_formed("<a><b></a></b>") && !is_well_formed("<a") && !is_well_formed("<a>"));
    let events = trace(&spans);
    assert!(events.contains(r#""name":"a<b>&\"c\"\\\u000a\u0001'é""#), "{events}");
}

#[test]
fn an_svg_stands_alone_and_has_axis_legend_and_waiting() {
    let drawn = svg(&four());
    assert!(drawn.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 "));
    assert!(is_well_formed(&drawn));
    for part in [
        "prefers-color-scheme:dark",
        ">0ns</text>",
        ">10ms</text>",
        ">40ms</text>",
        ">short</text>",
        ">long</text>",
        ">w0</text>",
        ">waiting</text>",
        "long: waited 10.0ms, ran 30.0ms",
        "class=\"wait\"",
    ] {
        assert!(drawn.contains(part), "{part} is missing in\n{drawn}");
    }
    // A bar for each task: the long one takes three quarters of the width.
    assert_eq!(drawn.matches("<g><title>").count(), 4);
    assert!(drawn.contains("width=\"607.5\""), "{drawn}");
    assert!(is_well_formed(&svg(&[])));
}

#[test]
fn a_trace_names_its_rows_and_pairs_its_events() {
    let events = trace(&four());
    for row in ["submitted", "w0", "w1"] {
        assert!(events.contains(&format!("\"thread_name\",\"args\":{{\"name\":\"{row}\"}}")));
    }
    let count = |phase: &str| events.matches(&format!("\"ph\":\"{phase}\"")).count();
    assert_eq!(
        [count("M"), count("X"), count("b"), count("e"), count("s"), count("f")],
        [3, 8, 4, 4, 4, 4]
    );
    let long = "{\"ph\":\"X\",\"pid\":1,\"tid\":2,\"name\":\"long\",\"ts\":10000.000,\
                \"dur\":30000.000,\"args\":{\"waited_us\":10000.000}}";
    assert!(events.contains(long), "{events}");
}

#[test]
fn a_summary_has_percentiles_the_longest_and_idle_shares() {
    let summary = Summary::new(&four());
    assert_eq!(summary.waited, [ms(0), ms(10), ms(10), ms(10)]);
    assert_eq!(summary.ran, [ms(10), ms(30), ms(30), ms(30)]);
    assert_eq!(summary.longest[0], ("long".to_owned(), ms(30)));
    assert_eq!(summary.longest.len(), 4);
    assert_eq!(summary.idle, [("w0".to_owned(), 0.5), ("w1".to_owned(), 0.0)]);
    let text = summary.to_string();
    assert!(text.contains("ran          10.0ms     30.0ms     30.0ms     30.0ms"), "{text}");
    assert!(
        text.contains("longest: long 30.0ms\n") && text.contains("idle:    w0 50 %\n"),
        "{text}"
    );
}

#[test]
fn percentiles_are_those_of_a_hundred_tasks() {
    let spans: Vec<_> = (1..=100).map(|n| span("t", "w", [0, 0, n])).collect();
    assert_eq!(Summary::new(&spans).ran, [ms(50), ms(90), ms(99), ms(100)]);
    assert_eq!(Summary::new(&spans).longest.len(), 5);
    assert_eq!(Summary::new(&[]).ran, [ms(0); 4]);
}

#[test]
fn i3_a_task_inside_another_counts_once_in_the_idle_share() {
    let nested = [
        span("outer", "w", [0, 0, 20]),
        span("inner", "w", [0, 5, 15]),
        span("late", "w", [0, 30, 40]),
    ];
    assert_eq!(Summary::new(&nested).idle, [("w".to_owned(), 0.25)]);
}

#[test]
fn a_progress_line_says_how_much_how_fast_and_how_long() {
    let line = progress_line(120, 500, Duration::from_secs(2));
    assert_eq!(line.trim_end(), "120 / 500   24 %  60.0 per second  6 s left");
    assert_eq!(progress_line(0, 0, ms(0)).trim_end(), "0 / 0  100 %  0.0 per second  0 s left");
    assert!(progress_line(0, 10, ms(1)).contains("0 / 10"));
}

#[test]
fn progress_beyond_its_total_is_no_panic() {
    let mut progress = Progress::new(1);
    progress.advance();
    progress.advance();
    assert!(format!("{progress:?}").contains("done: 2"));
}

/// When each of some tasks would start and end, handed out in order to the worker that is free
/// first.
fn schedule(tasks: &[u64], workers: usize) -> Vec<Span> {
    let mut free = vec![0; workers];
    let give = |&length: &u64| {
        let next = (0..workers).min_by_key(|&worker| free[worker]).unwrap();
        let start = free[next];
        free[next] += length;
        span("t", &format!("w{next}"), [0, start, start + length])
    };
    tasks.iter().map(give).collect()
}

#[test]
fn try_1_the_long_task_last_leaves_a_worker_idle_first_it_does_not() {
    let last = schedule(&[10, 10, 10, 30], 2);
    assert_eq!(last.iter().map(|span| span.ended).max(), Some(ms(40)));
    assert_eq!(Summary::new(&last).idle[0], ("w0".to_owned(), 0.5));
    let first = schedule(&[30, 10, 10, 10], 2);
    assert_eq!(first.iter().map(|span| span.ended).max(), Some(ms(30)));
    assert!(Summary::new(&first).idle.iter().all(|(_, idle)| *idle == 0.0));
}

// Break: without `until`, the two spans of `i3_a_task_inside_another_counts_once_in_the_idle_share`
// and of this test add up to more than the whole time, and the idle share goes wrong, below zero
// here: wherever a waiting worker has run another task.
#[test]
fn try_2_a_worker_that_helps_is_never_less_than_idle() {
    let nested = [span("outer", "w", [0, 0, 20]), span("inner", "w", [0, 5, 15])];
    assert_eq!(Summary::new(&nested).idle, [("w".to_owned(), 0.0)]);
}

#[test]
fn try_3_the_average_concurrency_is_the_sum_of_all_runs_over_the_whole_time() {
    fn concurrency(spans: &[Span]) -> f64 {
        let first = spans.iter().map(|span| span.started).min().unwrap_or_default();
        let last = spans.iter().map(|span| span.ended).max().unwrap_or_default();
        let ran: Duration = spans.iter().map(|span| span.ended - span.started).sum();
        ran.div_duration_f64(last - first)
    }
    assert_eq!(concurrency(&four()), 1.5);
}
