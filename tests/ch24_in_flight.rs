//! The books of one worker: no process, no thread, no clock. Each cell of the chapter's table is a
//! test.

use concurrent_explained::ch24_in_flight::{
    Due, End, Ended, InFlight, PIPE_BYTES, PIPE_TIME, SLOW, Verdict,
};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const US: Duration = Duration::from_micros(1);

/// Books with these calls in flight, wholly written at `now`, of a worker that reads far ahead.
fn books(ids: &[u64], limit: Option<Duration>, now: Instant) -> InFlight<u64> {
    let mut books = InFlight::new();
    books.reads_ahead(1000);
    for id in ids {
        books.push(*id, 20, limit, *id, now);
    }
    books.written();
    books
}

type Parts = (Option<(u64, Verdict)>, Vec<(u64, bool)>);

fn parts(ended: Ended<u64>) -> Parts {
    (ended.victim, ended.back)
}

/// Sends calls, numbered from `next` on, for as long as there is room; how many are in flight then.
fn fill(books: &mut InFlight<u64>, next: &mut u64, now: Instant) -> usize {
    while books.has_room_for(1) {
        books.push(*next, 1, None, *next, now);
        *next += 1;
    }
    books.written();
    books.len()
}

// ---- what is sent, and what is answered
// --------------------------------------------------------------------

#[test]
fn i1_an_answer_removes_the_first_call_and_no_other() {
    let now = Instant::now();
    let mut books = books(&[7, 8, 9], None, now);
    for wrong in [8, 9, 6, 0] {
        let error = books.answered(wrong, now).unwrap_err();
        assert_eq!(error, format!("it answered {wrong}, which was not due"));
    }
    assert_eq!(books.answered(7, now), Ok(7));
    assert!(books.answered(7, now).is_err(), "an answer given twice");
    assert_eq!(books.answered(8, now), Ok(8));
    assert_eq!(books.answered(9, now), Ok(9));
    assert!(books.is_empty() && books.answered(9, now).is_err());
}

#[test]
fn i3_a_worker_that_has_not_announced_more_gets_one_call_at_a_time() {
    let (mut books, mut now, mut next) = (InFlight::new(), Instant::now(), 0);
    for id in 0..100 {
        assert_eq!(fill(&mut books, &mut next, now), 1);
        now += US;
        assert_eq!(books.answered(id, now), Ok(id));
    }
}

#[test]
fn i3_more_than_one_call_stays_within_what_the_worker_reads_ahead() {
    for ahead in [0, 1, 2, 5] {
        let (mut books, mut now, mut next, mut most) = (InFlight::new(), Instant::now(), 0, 0);
        books.reads_ahead(ahead);
        for id in 0..100 {
            most = most.max(fill(&mut books, &mut next, now));
            now += US;
            books.answered(id, now).unwrap();
        }
        assert_eq!(most, ahead.max(1));
    }
}

#[test]
fn i3_more_than_one_call_stays_within_32_kib_and_a_larger_one_goes_alone() {
    let (mut now, mut next) = (Instant::now(), 0);
    let mut books = books(&[], None, now);
    for id in 0..20 {
        fill(&mut books, &mut next, now);
        now += US;
        books.answered(id, now).unwrap();
    }
    let bytes = books.len(); // one each
    assert!(bytes > 2, "it is trusted with many");
    assert!(books.has_room_for(PIPE_BYTES - bytes) && !books.has_room_for(PIPE_BYTES - bytes + 1));
    books.push(next, PIPE_BYTES - bytes, None, next, now);
    assert!(!books.has_room_for(1));
    for id in 20..=next {
        books.answered(id, now).unwrap();
    }
    assert!(books.has_room_for(1 << 30), "an idle worker may be sent any");
    books.push(next + 1, 1 << 30, None, 0, now);
    assert!(!books.has_room_for(0));
}

#[test]
fn i4_the_window_doubles_with_quick_answers() {
    let (mut now, mut next) = (Instant::now(), 0);
    let mut books = books(&[], None, now);
    let mut sizes = Vec::new();
    for id in 0..6 {
        sizes.push(fill(&mut books, &mut next, now));
        now += US;
        books.answered(id, now).unwrap();
    }
    // The first answer left it idle, which begins with two.
    assert_eq!(sizes, [1, 2, 4, 8, 16, 32]);
}

#[test]
fn i4_as_many_as_fit_into_three_milliseconds() {
    for (took, most) in [(MS, 3), (MS / 2, 6), (2 * MS, 1), (3 * MS, 1), (4 * MS, 1), (9 * MS, 1)] {
        let (mut now, mut next) = (Instant::now(), 0);
        let mut books = books(&[], None, now);
        let mut size = 0;
        for id in 0..20 {
            size = fill(&mut books, &mut next, now);
            now += took;
            books.answered(id, now).unwrap();
        }
        assert_eq!(size, most, "{took:?}");
        assert!(took * size as u32 <= PIPE_TIME.max(took));
    }
}

#[test]
fn i4_one_slow_answer_makes_the_window_small_and_quick_ones_make_it_large_again() {
    let (mut now, mut next) = (Instant::now(), 0);
    let mut books = books(&[], None, now);
    for id in 0..10 {
        fill(&mut books, &mut next, now);
        now += US;
        books.answered(id, now).unwrap();
    }
    fill(&mut books, &mut next, now);
    now += 5 * MS;
    books.answered(10, now).unwrap();
    let (before, mut id) = (books.len(), 11);
    assert!(!books.has_room_for(1) && before > 100, "nothing is taken back, nothing more is sent");
    while !books.has_room_for(1) {
        now += US;
        books.answered(id, now).unwrap();
        id += 1;
    }
    assert!(id < 11 + 12, "a few quick answers, and not all {before}: {id}");
}

#[test]
fn a_worker_wants_more_when_half_of_its_window_is_answered() {
    let (mut now, mut next, mut id) = (Instant::now(), 0, 0);
    let mut books = books(&[], None, now);
    while next < 64 {
        fill(&mut books, &mut next, now);
        now += US;
        books.answered(id, now).unwrap();
        id += 1;
    }
    books.reads_ahead(32); // the window stays at 32 from here on
    while books.len() > 16 {
        assert!(books.len() > 32 || !books.wants_more(), "{}", books.len());
        now += US;
        books.answered(id, now).unwrap();
        id += 1;
    }
    assert!(books.wants_more());
}

#[test]
fn an_idle_worker_begins_with_two_again() {
    let (mut now, mut next, mut id) = (Instant::now(), 0, 0);
    let mut books = books(&[], None, now);
    while id < 20 || !books.is_empty() {
        if id < 20 {
            fill(&mut books, &mut next, now);
        }
        now += US;
        books.answered(id, now).unwrap();
        id += 1;
    }
    assert!(next > 100, "it was trusted with many");
    assert!(books.is_empty());
    assert_eq!(fill(&mut books, &mut next, now), 2);
}

// ---- what is called back
// -------------------------------------------------------------------------------------

#[test]
fn i5_those_behind_a_slow_call_are_called_back_once() {
    let now = Instant::now();
    let mut books = books(&[7, 8, 9], None, now);
    assert_eq!(books.due(now + SLOW - US), None);
    assert_eq!(books.due(now + SLOW), Some(Due::Recall));
    books.recalled(now + SLOW);
    assert_eq!(books.due(now + SLOW), None);
    assert_eq!(books.due(now + 100 * SLOW), None, "once, and a slow call without a limit runs on");
    assert_eq!(books.returned(8, now + SLOW), Ok((8, false)));
    assert_eq!(books.returned(9, now + SLOW), Ok((9, false)));
    assert_eq!(books.answered(7, now + 100 * SLOW), Ok(7));
    assert!(books.is_empty());
}

#[test]
fn i5_behind_the_next_slow_call_they_are_called_back_again() {
    let now = Instant::now();
    let mut books = books(&[7, 8, 9], None, now);
    books.recalled(now + SLOW);
    books.answered(7, now + SLOW).unwrap(); // 8 was begun before the recall was read
    assert_eq!(books.due(now + SLOW + MS), None, "it has run for a millisecond");
    assert_eq!(books.due(now + 2 * SLOW), Some(Due::Recall));
}

#[test]
fn a_call_alone_is_never_called_back() {
    let now = Instant::now();
    assert_eq!(books(&[7], None, now).due(now + 1000 * SLOW), None);
    assert_eq!(books(&[], None, now).due(now + 1000 * SLOW), None);
}

#[test]
fn nothing_is_sent_behind_a_recall_until_all_have_come_back_or_are_answered() {
    let now = Instant::now();
    let mut books = books(&[7, 8, 9], None, now);
    books.recalled(now);
    books.answered(7, now + US).unwrap();
    assert!(!books.has_room_for(1), "8 may still come back, and 10 would overtake it");
    books.returned(9, now).unwrap();
    assert!(!books.has_room_for(1));
    books.returned(8, now).unwrap();
    assert!(books.has_room_for(1));
    books.push(10, 1, None, 10, now);
    assert!(books.returned(10, now).is_err(), "that recall is over");
}

#[test]
fn what_was_not_called_back_or_is_not_in_flight_cannot_come_back() {
    let now = Instant::now();
    let mut books = books(&[7, 8], None, now);
    let error = books.returned(8, now).unwrap_err();
    assert_eq!(error, "it gave back 8, which nobody had called back");
    books.recalled(now);
    assert!(books.returned(9, now).is_err());
    assert_eq!(books.returned(8, now), Ok((8, false)));
    assert!(books.returned(8, now).is_err(), "twice");
}

// ---- what is ended
// -------------------------------------------------------------------------------------------

#[test]
fn i6_a_call_alone_is_ended_at_its_limit() {
    let now = Instant::now();
    let books = books(&[7], Some(5 * MS), now);
    assert_eq!(books.due(now + 4 * MS), None);
    assert_eq!(books.due(now + 5 * MS), Some(Due::End(End::TimedOut(7))));
}

#[test]
fn i6_those_behind_it_are_called_back_before_a_call_is_ended() {
    for kill in [false, true] {
        let now = Instant::now();
        let mut books = books(&[7, 8], Some(5 * MS), now);
        let end = if kill { End::Killed } else { End::TimedOut(7) };
        let late = if kill { now } else { now + 5 * MS };
        if kill {
            assert!(books.kill(7));
        }
        assert_eq!(books.due(late), Some(Due::Recall));
        books.recalled(late);
        assert_eq!(books.due(late + SLOW - US), None, "they have the time to come back");
        assert_eq!(books.due(late + SLOW), Some(Due::End(end)), "it does not answer");
        books.returned(8, late).unwrap();
        assert_eq!(books.due(late), Some(Due::End(end)), "it is alone");
    }
}

#[test]
fn the_limit_of_a_call_counts_from_the_answer_before_it() {
    let now = Instant::now();
    let mut books = books(&[7, 8], Some(5 * MS), now);
    books.answered(7, now + 4 * MS).unwrap();
    assert_eq!(books.due(now + 8 * MS), None);
    assert_eq!(books.due(now + 9 * MS), Some(Due::End(End::TimedOut(8))));
}

#[test]
fn a_call_that_is_to_be_killed_is_killed_when_its_turn_comes_or_when_it_comes_back() {
    let now = Instant::now();
    let mut books = books(&[7, 8, 9], None, now);
    assert!(books.kill(8) && books.kill(9) && !books.kill(10));
    assert_eq!(books.due(now), None, "7 is innocent");
    books.recalled(now);
    assert_eq!(books.returned(9, now), Ok((9, true)));
    books.answered(7, now).unwrap();
    assert_eq!(books.due(now), Some(Due::End(End::Killed)));
    assert_eq!(parts(books.end(End::Killed)), (Some((8, Verdict::Killed)), vec![]));
}

// ---- the worker ends
// -----------------------------------------------------------------------------------------

#[test]
fn i2_the_first_pays_and_the_others_go_back() {
    let now = Instant::now();
    let back = vec![(8, false), (9, true)];
    let ended = |end: fn(u64) -> End, kill: bool| {
        let mut books = books(&[7, 8, 9], Some(MS), now);
        books.kill(9);
        if kill {
            books.kill(7);
        }
        parts(books.end(end(7)))
    };
    assert_eq!(ended(|_| End::Died, false), (Some((7, Verdict::Died)), back.clone()));
    assert_eq!(ended(End::TimedOut, false), (Some((7, Verdict::TimedOut(MS))), back.clone()));
    assert_eq!(ended(|_| End::Killed, true), (Some((7, Verdict::Killed)), back));
}

#[test]
fn i2_a_worker_without_calls_costs_nothing() {
    let now = Instant::now();
    for end in [End::Died, End::Killed, End::TimedOut(7)] {
        assert_eq!(parts(books(&[], None, now).end(end)), (None, vec![]));
    }
}

#[test]
fn a_first_call_that_is_not_wholly_in_the_pipe_goes_back_but_for_its_limit() {
    let now = Instant::now();
    let half = |kill: bool| {
        let mut books = InFlight::new();
        books.push(7, 1 << 20, Some(MS), 7, now);
        if kill {
            books.kill(7);
        }
        books
    };
    assert_eq!(parts(half(false).end(End::Died)), (None, vec![(7, false)]));
    assert_eq!(parts(half(true).end(End::Killed)), (None, vec![(7, true)]));
    let late = parts(half(false).end(End::TimedOut(7)));
    assert_eq!(late, (Some((7, Verdict::TimedOut(MS))), vec![]));
}

#[test]
fn a_write_that_fails_concerns_its_own_calls_only() {
    let now = Instant::now();
    let mut books = books(&[7], None, now);
    books.push(8, 20, None, 8, now); // and no `written`
    assert_eq!(parts(books.end(End::Died)), (Some((7, Verdict::Died)), vec![(8, false)]));
}

#[test]
fn an_answer_that_comes_before_the_end_counts_and_the_next_may_have_begun() {
    let now = Instant::now();
    for end in [End::TimedOut(7), End::Killed] {
        let mut books = books(&[7, 8, 9], Some(MS), now);
        books.kill(7);
        books.answered(7, now).unwrap();
        assert_eq!(parts(books.end(end)), (Some((8, Verdict::Died)), vec![(9, false)]));
    }
}

#[test]
fn all_are_killed_at_once() {
    let now = Instant::now();
    let mut books = books(&[7, 8], None, now);
    books.kill_all();
    assert_eq!(parts(books.end(End::Killed)), (Some((7, Verdict::Killed)), vec![(8, true)]));
}

// ---- the answers to `Try`
// ------------------------------------------------------------------------------------

#[test]
fn try_1_a_recall_first_and_then_the_limit() {
    let start = Instant::now();
    let mut books = books(&[7, 8, 9], Some(5 * MS), start);
    books.answered(7, start + MS).unwrap();
    let (then, later) = (start + 21 * MS, start + 31 * MS);
    assert_eq!(books.due(then), Some(Due::Recall), "8 is late, and 9 is behind it");
    books.recalled(then);
    assert_eq!(books.due(later), Some(Due::End(End::TimedOut(8))), "although 9 did not come back");
}

// Break: with `let begun = true;` in `end`,
// `a_first_call_that_is_not_wholly_in_the_pipe_goes_back_but_for_its_limit` goes red, and this
// test: a worker that dies while it reads a long request would cost a call that no worker has
// begun.
#[test]
fn try_2_a_call_that_is_half_in_the_pipe_is_not_begun() {
    let now = Instant::now();
    let mut books = books(&[], None, now);
    books.push(7, PIPE_BYTES + 1, None, 7, now);
    assert_eq!(parts(books.end(End::Died)), (None, vec![(7, false)]));
}

// Extend: `fn oldest(&self, now) -> Option<Duration> {
// Some(now.saturating_duration_since(self.since?)) }`. A call that became the first by an answer
// runs since that answer, so its age begins at zero there.
#[test]
fn try_3_a_call_runs_since_the_answer_before_it() {
    let now = Instant::now();
    let mut books = books(&[7, 8, 9], None, now);
    books.answered(7, now + 5 * SLOW).unwrap();
    assert_eq!(books.due(now + 5 * SLOW + MS), None, "8 is not as old as 7 was");
    assert_eq!(books.due(now + 6 * SLOW), Some(Due::Recall));
}
