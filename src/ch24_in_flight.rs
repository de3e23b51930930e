//! # 24 · In flight — the order of the answers names the victim
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 20 min, exercises not counted |
//! | run it | `cargo run --example ch24_in_flight` |
//! | files | [example](../../../../examples/ch24_in_flight.rs), [test](../../../../tests/ch24_in_flight.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [23](../ch23_process/index.html), [25](../ch25_process_pool/index.html) |
//!
//! ## Why
//!
//! One call at a time leaves a worker idle while its answer travels: two switches between processes
//! for each task, 20 µs and more around a task of one. With many calls in one pipe the switch is
//! shared. But then a worker that dies has many calls in hand, a slow task has others stuck behind
//! it, and a pipe that is too full stops both sides. Somebody has to keep the books.
//!
//! This chapter is the books of one worker, and nothing else: no pipe, no thread, no lock, no
//! clock. The time is an argument. So it can be played on paper, and each line of it can be
//! tested.
//!
//! ## Steps
//!
//! 1. A queue of what was sent. An answer removes the first: anything else is a worker gone wrong.
//! 2. A worker that ends has begun the first call at most, so the first pays and the others go
//!    back. Except if the first was not wholly in the pipe: then it was not begun either.
//! 3. How many may be sent? A number is wrong: 1 000 quick ones are a millisecond, 1 000 slow ones
//!    an hour in which nobody else can do them. So the bound is a time: as many as fit into 3 ms.
//! 4. The guess may be wrong. When the first call takes long, the others are called back.
//!
//! ## Picture
//!
//! ```text
//!             has_room_for?                       answered (2)
//!   waiting ──── push (1) ────► [ 9 │ 8 │ 7 ] ──────────────► done
//!      ▲                          │   │   └── the first: the worker runs it
//!      │                          └───┴────── behind it: not begun
//!      └──── returned (4) ◄── recalled (3), when the first takes long
//!
//!   the worker ends (5)    │ the first               │ those behind it
//!   ───────────────────────┼─────────────────────────┼────────────────────
//!   by itself              │ died                    │ back
//!   it overran its limit   │ timed out               │ back
//!   killed on request      │ killed                  │ back
//!   not wholly in the pipe │ back, but for its limit │ back
//! ```
//!
//! ## Promises
//!
//! - I1. Answers come in the order of the requests; the first call without an answer is the one
//!   that may have begun. Another answer is an error.
//! - I2. When the worker ends, at most one call pays; each other one comes back, once.
//! - I3. More than one call is in flight only up to 32 KiB of requests, and up to as many as the
//!   worker reads ahead.
//! - I4. The calls in flight take about 3 ms, at the pace of the last answer; the window at
//!   most doubles.
//! - I5. When a call takes longer than 10 ms, those behind it are called back, once.
//! - I6. A call is ended for its limit, or on request, only when it is alone, or 10 ms after the
//!   others were called back: the worker could begin one of them between its answer and its end.
//! - Not promised: that the first call had begun. It may still be in the pipe.
//!
//! ## The trap
//!
//! To bound the count. With a window of 100 the quick tasks are as fast as can be, and the first
//! slow one takes 99 others hostage, in front of idle workers. The example counts them.
//!
//! ## Elsewhere
//!
//! - TCP keeps bytes in flight by a window too, and doubles it while all goes well.
//! - HTTP/1.1 pipelining has the same rule, answers in order, and the same trouble: one slow answer
//!   holds up all behind it. It has no recall; HTTP/2 gave up the order instead.
//! - Python's process pool keeps one call more than it has workers in a queue that all of them
//!   read.
//!
//! ## Try
//!
//! 1. Predict: on paper, 7, 8 and 9 are sent at 0 ms; 7 is answered at 1 ms; 20 ms later nothing
//!    has come. What is due, and what is due 10 ms after that, if 8 has a limit of 5 ms?
//! 2. Break: in `end`, leave out that the first may be unwritten. Which call fails that nobody
//!    began?
//! 3. Extend: write `oldest(&self, now)`, how long the first call has been running. What is it for
//!    a call that became the first when the one before it was answered?

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests in one pipe stay within this many bytes, unless a single one is larger.
///
/// A pipe of Linux holds 16 pages of 4 096 bytes. Two writes that do not fit into one page take
/// two, so 32 KiB fit in any case, and a thread that writes them does not block.
pub const PIPE_BYTES: usize = 32 * 1024;

/// How much work may lie in one pipe, by the time that the last answer took.
///
/// Less than a millisecond makes quick tasks slower (each write is a system call, shared by what it
/// carries); much more takes work from idle workers.
pub const PIPE_TIME: Duration = Duration::from_millis(3);

/// A worker that takes longer than this for one call gives back those behind it.
pub const SLOW: Duration = Duration::from_millis(10);

/// The calls that one worker has been sent and has not answered.
///
/// # Examples
/// ```
/// use concurrent_explained::ch24_in_flight::{End, InFlight, Verdict};
/// use std::time::Instant;
///
/// let (mut sent, now) = (InFlight::new(), Instant::now());
/// sent.reads_ahead(10);
/// for (id, call) in [(7, "seven"), (8, "eight"), (9, "nine")] {
///     sent.push(id, 20, None, call, now);
/// }
/// sent.written();
/// assert_eq!(sent.answered(7, now), Ok("seven"));
///
/// let ended = sent.end(End::Died); // eight was running
/// assert_eq!(ended.victim, Some(("eight", Verdict::Died)));
/// assert_eq!(ended.back, [("nine", false)]);
/// ```
#[derive(Debug)]
pub struct InFlight<C> {
    /// Oldest first. The worker runs the first one, and answers in this order. (I1)
    calls: VecDeque<Sent<C>>,
    /// How many of the last are not wholly in the pipe: the worker cannot have begun those.
    unwritten: usize,
    /// The length of all requests in `calls`; kept, for it is asked at each `push`.
    bytes: usize,
    /// How many calls may be in flight. Each answer sets it anew. (I4)
    window: usize,
    /// How many requests the worker reads ahead: one, unless it has announced more.
    ahead: usize,
    /// Since when the first call may be running; `None` while there is no call.
    since: Option<Instant>,
    /// The call behind which the others were last called back, and when; `None` once all that were
    /// in flight then have come back or are answered.
    recall: Option<(u64, Instant)>,
}

#[derive(Debug)]
struct Sent<C> {
    id: u64,
    bytes: usize,
    limit: Option<Duration>,
    /// Somebody wants it stopped: when it is its turn, or when it comes back.
    kill: bool,
    call: C,
}

/// What time, or a request to stop, asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The calls behind the first are to be called back.
    Recall,
    /// The worker is to be ended, and this is why.
    End(End),
}

/// How a worker comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, or because it misbehaved.
    Died,
    /// The call with this id overran its limit.
    TimedOut(u64),
    /// Its first call was to be stopped.
    Killed,
}

/// What becomes of the first call when its worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The worker died before it answered.
    Died,
    /// It overran this limit.
    TimedOut(Duration),
    /// It was stopped on request.
    Killed,
}

/// What a worker leaves behind.
#[derive(Debug)]
pub struct Ended<C> {
    /// The call that pays, if one does.
    pub victim: Option<(C, Verdict)>,
    /// The calls that were not begun, oldest first, and whether somebody wants them stopped.
    pub back: Vec<(C, bool)>,
}

impl<C> InFlight<C> {
    /// Nothing in flight, and a worker that reads one request at a time.
    pub fn new() -> Self {
        InFlight {
            calls: VecDeque::new(),
            unwritten: 0,
            bytes: 0,
            window: 1,
            ahead: 1,
            since: None,
            recall: None,
        }
    }

    /// The worker has announced how many requests it reads before it runs them.
    pub fn reads_ahead(&mut self, requests: usize) {
        self.ahead = requests.max(1);
    }

    /// How many calls are in flight.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// True if none is: the worker is idle.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// True if a request of so many bytes may be sent now. An idle worker may be sent any. (I3)
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let fits = self.calls.len() < self.window && self.bytes + bytes <= PIPE_BYTES;
        // What is sent behind a recall overtakes what comes back by it.
        self.calls.is_empty() || fits && self.recall.is_none()
    }

    /// True if enough has been answered to make another write worth its system call.
    ///
    /// At each answer, half of all system calls would carry one request; from half of the window
    /// on, each carries half a window, and the worker still has the other half.
    pub fn wants_more(&self) -> bool {
        self.calls.len() <= self.window / 2
    }

    /// A request is about to be written. (1)
    pub fn push(&mut self, id: u64, bytes: usize, limit: Option<Duration>, call: C, now: Instant) {
        // Of an idle worker the time runs from here: a request that is never read counts too.
        self.since.get_or_insert(now);
        self.bytes += bytes;
        self.unwritten += 1;
        self.calls.push_back(Sent { id, bytes, limit, kill: false, call });
    }

    /// All that was pushed is in the pipe now: from here on the worker may begin it.
    pub fn written(&mut self) {
        self.unwritten = 0;
    }

    /// The worker has answered `id`. (2)
    ///
    /// # Errors
    /// What is wrong with it, if that is not the first call. (I1)
    pub fn answered(&mut self, id: u64, now: Instant) -> Result<C, String> {
        if self.calls.front().is_none_or(|first| first.id != id) {
            return Err(format!("it answered {id}, which was not due"));
        }
        let took = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        // (I4) At this pace, how many fit into the time? One pause of the machine makes the window
        // small, and a few quick answers make it large again.
        let fit = PIPE_TIME.as_nanos() / took.as_nanos().max(1);
        let most = self.window.saturating_mul(2).min(self.ahead);
        self.window = usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, most);
        let call = self.remove(0, now);
        if self.calls.is_empty() {
            // There was nothing more to send, so what comes next may be quite different.
            self.window = self.window.min(2);
        }
        Ok(call)
    }

    /// The worker gives `id` back: the call, and whether somebody wants it stopped. (4)
    ///
    /// # Errors
    /// What is wrong with it, if nothing was called back or it is not in flight.
    pub fn returned(&mut self, id: u64, now: Instant) -> Result<(C, bool), String> {
        let place = self.calls.iter().position(|sent| sent.id == id);
        let Some(place) = place.filter(|_| self.recall.is_some()) else {
            return Err(format!("it gave back {id}, which nobody had called back"));
        };
        let kill = self.calls[place].kill;
        Ok((self.remove(place, now), kill))
    }

    fn remove(&mut self, place: usize, now: Instant) -> C {
        let sent = self.calls.remove(place).expect("the place of a call in flight");
        self.bytes -= sent.bytes;
        self.unwritten = self.unwritten.min(self.calls.len());
        if self.calls.is_empty() {
            self.recall = None;
        }
        if place == 0 {
            // The worker begins the next one now, and not when that was sent.
            self.since = self.calls.front().map(|_| now);
        }
        sent.call
    }

    /// True if `id` is in flight.
    pub fn has(&self, id: u64) -> bool {
        self.calls.iter().any(|sent| sent.id == id)
    }

    /// Somebody wants `id` stopped. False if it is not in flight.
    pub fn kill(&mut self, id: u64) -> bool {
        let found = self.calls.iter_mut().find(|sent| sent.id == id);
        found.map(|sent| sent.kill = true).is_some()
    }

    /// Somebody wants all of them stopped.
    pub fn kill_all(&mut self) {
        self.calls.iter_mut().for_each(|sent| sent.kill = true);
    }

    /// What is to be done now, if anything is.
    pub fn due(&self, now: Instant) -> Option<Due> {
        let (first, age) = (self.calls.front()?, now.saturating_duration_since(self.since?));
        let overrun = first.limit.is_some_and(|limit| age >= limit);
        let end = if first.kill {
            Some(End::Killed)
        } else if overrun {
            Some(End::TimedOut(first.id))
        } else {
            None
        };
        if self.calls.len() == 1 {
            return end.map(Due::End);
        }
        match self.recall.filter(|(behind, _)| *behind == first.id) {
            // (I5) Once for each first call: what it gave back is not sent to it again.
            None if age >= SLOW || end.is_some() => Some(Due::Recall),
            // (I6) Those behind it had the time to come back.
            Some((_, when)) if now.saturating_duration_since(when) >= SLOW => end.map(Due::End),
            _ => None,
        }
    }

    /// A recall is about to be written. (3)
    pub fn recalled(&mut self, now: Instant) {
        self.recall = self.calls.front().map(|first| (first.id, now));
    }

    /// The worker has ended. (5)
    pub fn end(mut self, end: End) -> Ended<C> {
        let begun = self.calls.len() > self.unwritten;
        let verdict = self.calls.front().and_then(|first| match (end, first.limit) {
            // A limit holds for the pipe too: a worker that reads nothing is no excuse.
            (End::TimedOut(id), Some(limit)) if id == first.id => Some(Verdict::TimedOut(limit)),
            (End::Killed, _) if begun && first.kill => Some(Verdict::Killed),
            // Also the one behind a call that was to be ended, and was answered just before: it may
            // have begun in between, and then must not begin elsewhere. (I1)
            _ => begun.then_some(Verdict::Died),
        });
        let first = verdict.and_then(|verdict| Some((self.calls.pop_front()?.call, verdict)));
        let back = self.calls.into_iter().map(|sent| (sent.call, sent.kill)).collect();
        Ended { victim: first, back } // (I2)
    }
}

impl<C> Default for InFlight<C> {
    fn default() -> Self {
        Self::new()
    }
}
