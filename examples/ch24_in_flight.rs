//! Look at what a slow call takes hostage: first with a window that counts calls, then with one
//! that counts time. In the last lines a worker dies, and the order of its answers says who pays.
//!
//! Expected output:
//!
//! ```text
//! 200 calls: 100 take a microsecond, the next one an hour, then 99 more take a microsecond
//! a window of 100 calls: when the slow one runs, 99 calls wait behind it
//!   and they wait for an hour, beside an idle worker
//! a window of 3 ms: when the slow one runs, 99 calls wait behind it
//!   after  5 ms nothing is due
//!   after 10 ms the others are called back: 99 came back, the slow one runs on
//! a window of 3 ms, and calls of 2 ms each: at most 1 in flight
//! 7, 8 and 9 are sent, 7 is answered, the worker dies: 8 died, 9 goes back
//! 7 is only half written, the worker dies: nobody died, 7 goes back
//! ```

use concurrent_explained::ch24_in_flight::{Due, End, InFlight};
use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

/// The smallest books there are: a count, and a queue.
struct Counted {
    sent: VecDeque<u64>,
    window: usize,
}

impl Counted {
    fn has_room(&self) -> bool {
        self.sent.len() < self.window
    }

    fn push(&mut self, id: u64) {
        self.sent.push_back(id);
    }

    fn answered(&mut self, id: u64) {
        assert_eq!(self.sent.pop_front(), Some(id), "answers come in order");
    }
}

/// The call that takes an hour.
const SLOW_ONE: u64 = 100;

/// How many calls are behind the slow one when it begins.
fn hostages_of_a_count() -> usize {
    let (mut books, mut waiting) = (Counted { sent: VecDeque::new(), window: 100 }, 0..200);
    loop {
        while books.has_room()
            && let Some(id) = waiting.next()
        {
            books.push(id);
        }
        if books.sent[0] == SLOW_ONE {
            return books.sent.len() - 1;
        }
        books.answered(books.sent[0]);
    }
}

/// The same with this chapter's books, up to the moment at which the slow one begins.
fn up_to_the_slow_one(now: &mut Instant) -> InFlight<u64> {
    let (mut books, mut waiting) = (InFlight::new(), 0..200);
    books.reads_ahead(1024);
    for id in 0.. {
        while books.has_room_for(20)
            && let Some(next) = waiting.next()
        {
            books.push(next, 20, None, next, *now);
        }
        books.written();
        if id == SLOW_ONE {
            break;
        }
        *now += Duration::from_micros(1);
        books.answered(id, *now).unwrap();
    }
    books
}

fn main() {
    let mut text = String::new();
    let mut say = |line: String| text += &(line + "\n");
    say("200 calls: 100 take a microsecond, the next one an hour, then 99 more take a microsecond"
        .into());
    let hostages = hostages_of_a_count();
    say(format!("a window of 100 calls: when the slow one runs, {hostages} calls wait behind it"));
    say("  and they wait for an hour, beside an idle worker".into());

    let mut now = Instant::now();
    let mut books = up_to_the_slow_one(&mut now);
    let behind = books.len() - 1;
    say(format!("a window of 3 ms: when the slow one runs, {behind} calls wait behind it"));
    assert_eq!(books.due(now + Duration::from_millis(5)), None);
    say("  after  5 ms nothing is due".into());
    now += Duration::from_millis(10);
    assert_eq!(books.due(now), Some(Due::Recall));
    books.recalled(now);
    let back = (SLOW_ONE + 1..200).filter(|id| books.returned(*id, now).is_ok()).count();
    assert_eq!((books.len(), books.due(now)), (1, None));
    say(format!(
        "  after 10 ms the others are called back: {back} came back, the slow one runs on"
    ));

    let (mut slow, mut most) = (InFlight::new(), 0);
    slow.reads_ahead(1024);
    let mut waiting = 0..100;
    for id in 0..100 {
        while slow.has_room_for(20)
            && let Some(next) = waiting.next()
        {
            slow.push(next, 20, None, (), now);
        }
        most = most.max(slow.len());
        now += Duration::from_millis(2);
        slow.answered(id, now).unwrap();
    }
    say(format!("a window of 3 ms, and calls of 2 ms each: at most {most} in flight"));

    let mut books = InFlight::new();
    (7..10).for_each(|id| books.push(id, 20, None, id, now));
    books.written();
    books.answered(7, now).unwrap();
    let ended = books.end(End::Died);
    let (victim, back) = (ended.victim.unwrap().0, ended.back[0].0);
    say(format!(
        "7, 8 and 9 are sent, 7 is answered, the worker dies: {victim} died, {back} goes back"
    ));

    let mut books = InFlight::new();
    books.push(7, 100_000, None, 7, now);
    let ended = books.end(End::Died);
    assert!(ended.victim.is_none());
    say(format!(
        "7 is only half written, the worker dies: nobody died, {} goes back",
        ended.back[0].0
    ));

    let _ = std::io::stdout().write_all(text.as_bytes()); // a reader that goes away is no error
}
