//! Chapter 32: a race is fair to everybody in it. Most of these races are run by scripted clocks.

use concurrent_explained::ch32_measure::{Race, Report};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

/// A contestant whose times are written down beforehand, in milliseconds.
fn scripted(race: &mut Race<'_>, name: &str, times: &[u64]) {
    let mut times: VecDeque<_> = times.iter().copied().map(Duration::from_millis).collect();
    race.enter_timed(name, move || times.pop_front().expect("no more rounds than times"));
}

/// The names in the order in which they ran, as one word for each round.
fn order(contestants: &[&'static str], rounds: usize) -> Vec<String> {
    let ran = RefCell::new(Vec::new());
    let mut race = Race::new();
    for name in contestants {
        race.enter(name, || ran.borrow_mut().push(*name));
    }
    race.run(rounds);
    ran.borrow().chunks(contestants.len()).map(|round| round.concat()).collect()
}

#[test]
fn i1_everybody_runs_once_in_every_round_and_the_order_turns() {
    assert_eq!(order(&["a", "b", "c"], 4), ["abc", "bca", "cab", "abc", "bca"]);
}

#[test]
fn i2_the_first_round_is_run_and_not_counted() {
    let mut race = Race::new();
    scripted(&mut race, "a", &[900, 10, 10, 10]);
    scripted(&mut race, "b", &[1, 20, 20, 20]);
    let report = race.run(3);
    assert_eq!(report.rows[0].median, Duration::from_millis(10));
    assert_eq!(report.rows[1].ratio, 2.0);
}

#[test]
fn i3_a_slow_moment_that_both_meet_does_not_move_the_ratio() {
    let mut race = Race::new();
    scripted(&mut race, "a", &[0, 10, 11, 30, 40, 50]);
    scripted(&mut race, "b", &[0, 20, 22, 60, 80, 100]);
    let report = race.run(5);
    assert_eq!(report.rows[1].ratio, 2.0);
    assert_eq!(report.rows[1].spread, (2.0, 2.0));
    assert_eq!(report.rows[1].median, Duration::from_millis(60));
}

#[test]
fn half_of_the_ratios_lie_within_the_spread() {
    let mut race = Race::new();
    scripted(&mut race, "a", &[0, 10, 10, 10, 10, 10, 10, 10, 10]);
    scripted(&mut race, "b", &[0, 80, 10, 70, 20, 60, 30, 50, 40]);
    let report = race.run(8);
    assert_eq!(report.rows[1].spread, (3.0, 6.0));
    assert_eq!(report.rows[1].ratio, 5.0);
}

#[test]
fn a_single_round_is_its_own_median() {
    let mut race = Race::new();
    scripted(&mut race, "a", &[0, 10]);
    scripted(&mut race, "b", &[0, 5]);
    let report = race.run(1);
    assert_eq!((report.rows[1].ratio, report.rows[1].spread), (0.5, (0.5, 0.5)));
}

#[test]
fn a_time_of_zero_divides_nothing_by_nothing() {
    let mut race = Race::new();
    scripted(&mut race, "a", &[0, 0]);
    scripted(&mut race, "b", &[0, 0]);
    assert_eq!(race.run(1).rows[1].ratio, 1.0);
}

#[test]
#[should_panic(expected = "a race needs at least one round")]
fn no_rounds_panic_at_the_call() {
    Race::new().run(0);
}

#[test]
fn a_race_without_contestants_has_no_rows() {
    assert!(Race::new().run(3).rows.is_empty());
}

#[test]
fn work_is_timed_from_its_call_to_its_return() {
    let mut race = Race::new();
    let mut calls = 0;
    race.enter("a", || calls += 1);
    assert_eq!(format!("{race:?}"), r#"Race { contestants: ["a"] }"#);
    let report = race.run(7);
    assert_eq!(calls, 8);
    assert!(report.rows[0].median < Duration::from_secs(1));
}

#[test]
fn a_report_is_a_table_with_a_bar_beside_each_ratio() {
    let mut race = Race::new();
    scripted(&mut race, "one", &[0, 10]);
    scripted(&mut race, "three", &[0, 30]);
    let table = race.run(1).to_string();
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    let (ten, thirty) = ("#".repeat(10), "#".repeat(30));
    assert_eq!(
        lines,
        [
            "          median    ratio  half of the rounds".to_owned(),
            format!("one       10.0ms     1.00  1.00 to 1.00       {ten}"),
            format!("three     30.0ms     3.00  3.00 to 3.00       {thirty}"),
        ]
    );
}

#[test]
fn try_1_the_same_work_twice_comes_out_even() {
    // The spread of a contest with itself is the width of what this machine cannot tell apart. Here
    // the machine is scripted: it hesitates once for each of the two.
    let mut race = Race::new();
    scripted(&mut race, "a", &[0, 10, 10, 10, 99, 10, 10, 10]);
    scripted(&mut race, "the same", &[0, 10, 99, 10, 10, 10, 10, 10]);
    let report = race.run(7);
    assert_eq!((report.rows[1].ratio, report.rows[1].spread), (1.0, (1.0, 1.0)));
}

// Break: without the turn, `i1_everybody_runs_once_in_every_round_and_the_order_turns` goes red,
// and so does this one: each contestant would always follow the same neighbour.
#[test]
fn try_2_everybody_is_first_and_last_once() {
    let rounds = order(&["a", "b", "c"], 2);
    let firsts: String = rounds.iter().map(|round| &round[..1]).collect();
    let lasts: String = rounds.iter().map(|round| &round[2..]).collect();
    assert_eq!((firsts.as_str(), lasts.as_str()), ("abc", "cab"));
}

#[test]
fn try_3_a_winner_needs_a_lead_that_is_wider_than_the_spread() {
    fn fastest(report: &Report) -> Option<&str> {
        let mut rows: Vec<_> = report.rows.iter().collect();
        rows.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        let (first, second) = (rows.first()?, rows.get(1));
        let is_ahead = second.is_none_or(|second| first.spread.1 < second.spread.0);
        is_ahead.then_some(first.name.as_str())
    }
    let race = |b: &[u64]| {
        let mut race = Race::new();
        scripted(&mut race, "a", &[0, 10, 10, 10, 10]);
        scripted(&mut race, "b", b);
        race.run(4)
    };
    assert_eq!(fastest(&race(&[0, 20, 21, 22, 20])), Some("a"));
    assert_eq!(fastest(&race(&[0, 9, 8, 9, 8])), Some("b"));
    assert_eq!(fastest(&race(&[0, 9, 9, 12, 13])), None);
    assert_eq!(fastest(&Race::new().run(1)), None);
}
