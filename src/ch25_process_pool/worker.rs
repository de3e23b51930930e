//! The record of one worker process. It is numbered, and dies with its process: a number that is no
//! longer found belongs to one that has ended, and what is said of it is ignored.
//!
//! ```text
//!   Starting ──ready──► Serving ──input closed──► Leaving
//!       │                  │                         │
//!       ├──────────────────┴── its output ends ──────┴────► Ending ──┐
//!       │                                                     │ late ├──► reaped, removed
//!       └── limit, kill ──────────────────────► Killing ◄─────┘      │
//!                                                  └────► Killed ────┘
//! ```

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::{Death, Error, Overrun};
use super::super::ch23_process::{Killer, LAST_MOMENT, TOO_LATE};
use super::super::ch24_in_flight::{Due, End, InFlight, Verdict};
use super::call::Given;
use super::settings::Settings;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// What the pool knows of one worker process.
pub(super) struct Worker<I> {
    /// No other worker of the pool has had it.
    pub(super) number: u64,
    /// Its place among those that run at once: what it is started by may depend on it.
    pub(super) index: usize,
    pub(super) life: Life,
    pub(super) input: Input<I>,
    /// `None` until it is started.
    pub(super) process: Option<Killer>,
    /// The thread that reads its output; `None` once another one ends it in that thread's place.
    pub(super) thread: Option<ThreadId>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) ledger: InFlight<Given>,
    /// Calls sent to it and not given back.
    pub(super) served: usize,
    /// Since when its process is known to have exited.
    exited: Option<Instant>,
}

/// Where it is in its life.
#[derive(Debug)]
pub(super) enum Life {
    /// Its process is being started, since then, and has not said that it is ready.
    Starting(Instant),
    /// It takes requests.
    Serving,
    /// Its input was closed then: nothing is left for it but to exit.
    Leaving(Instant),
    /// It is ending by itself, since then.
    Ending(Why, Instant),
    /// Its process is to be killed next.
    Killing(Why),
    /// Its process was killed.
    Killed(Why),
}

impl Life {
    /// What is wrong with a worker that took too long to get ready.
    pub(super) fn too_late(&self) -> Option<String> {
        match self {
            Life::Killing(Why::NotReady(cause)) | Life::Killed(Why::NotReady(cause)) => {
                Some(cause.clone())
            }
            _ => None,
        }
    }
}

/// Why a worker ends.
#[derive(Debug, Clone)]
pub(super) enum Why {
    /// It was never ready, and that is why.
    NotReady(String),
    /// It has ended by itself, or closed a pipe: that is what was seen.
    Gone(&'static str),
    /// It misbehaves.
    Unfit(String),
    /// The call with this id overran its limit.
    TimedOut(u64),
    /// A caller wants its task stopped.
    Killed,
    /// It was told to go.
    Left,
}

/// The end of the pipe that requests are written to. The thread that writes has it, so no two do.
pub(super) enum Input<I> {
    /// Not there yet, or not any more.
    Closed,
    /// Nobody writes.
    Here(I),
    /// Somebody writes, since then.
    Writing(Instant),
}

/// What the reader of a worker's output lets others know without a lock.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// It waits at the pipe, with nothing in hand.
    pub(super) at_pipe: AtomicBool,
    /// Many answers are due.
    pub(super) many: AtomicBool,
}

impl<I> Worker<I> {
    pub(super) fn new(number: u64, index: usize, now: Instant) -> Self {
        Worker {
            number,
            index,
            life: Life::Starting(now),
            input: Input::Closed,
            process: None,
            thread: None,
            gauge: Arc::default(),
            ledger: InFlight::new(),
            served: 0,
            exited: None,
        }
    }

    /// The number of its process, until that has exited: after that it may be another's.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().filter(|_| self.exited.is_none()).map(Killer::pid)
    }

    /// It may be sent a request, if it has room.
    pub(super) fn is_open(&self, most: usize) -> bool {
        let here = matches!(self.input, Input::Here(_));
        here && matches!(self.life, Life::Serving) && self.served < most
    }

    /// It can be told to go: it has nothing in hand.
    pub(super) fn can_leave(&self) -> bool {
        let alive = matches!(self.life, Life::Serving | Life::Starting(_));
        alive && matches!(self.input, Input::Here(_)) && self.ledger.is_empty()
    }

    /// It is the clock's concern: something about it is due, or may be soon.
    pub(super) fn is_restless(&self) -> bool {
        !matches!(self.life, Life::Serving) || !self.ledger.is_empty()
    }

    /// Takes the input, for somebody to write. From here to `State::written` nobody else can: that
    /// keeps the order of requests on the pipe that of the ledger.
    pub(super) fn take_input(&mut self, now: Instant) -> Option<I> {
        match std::mem::replace(&mut self.input, Input::Writing(now)) {
            Input::Here(input) => Some(input),
            other => {
                self.input = other;
                None
            }
        }
    }

    /// It is told to go: the input, to be dropped.
    pub(super) fn leave(&mut self, now: Instant) -> Option<I> {
        let input = self.take_input(now);
        (self.life, self.input) = (Life::Leaving(now), Input::Closed);
        input
    }

    /// It is about to be killed; `None` if it is not to be, or has no process yet.
    pub(super) fn killed(&mut self) -> Option<Killer> {
        if let (Life::Killing(why), Some(_)) = (&self.life, &self.process) {
            self.life = Life::Killed(why.clone());
            return self.process.clone();
        }
        None
    }

    /// It is to be ended, for this reason, unless it is ending already.
    pub(super) fn end_by_force(&mut self, why: Why) {
        self.life = match self.life {
            Life::Starting(_) | Life::Serving => Life::Killing(why),
            Life::Leaving(_) => Life::Killing(Why::Left), // it has nothing in hand: nobody pays
            Life::Ending(..) | Life::Killing(_) | Life::Killed(_) => return,
        };
    }

    /// It has ended by itself, or is about to. What it is told from here on is to no purpose.
    pub(super) fn end_by_itself(&mut self, why: Why, now: Instant) {
        self.life = match (&self.life, why) {
            (Life::Starting(_) | Life::Serving, why) => Life::Ending(why, now),
            (Life::Leaving(_), _) => Life::Ending(Why::Left, now),
            // The whole story of a late start is known only now.
            (
                Life::Killing(Why::NotReady(_)) | Life::Killed(Why::NotReady(_)),
                Why::NotReady(why),
            ) => Life::Killed(Why::NotReady(why)),
            (Life::Ending(..) | Life::Killing(_) | Life::Killed(_), _) => return,
        };
    }

    /// Looks at the time. True if the others behind its first call are to be called back. (I8)
    pub(super) fn tick(&mut self, now: Instant, settings: &Settings) -> bool {
        let since = |when: Instant, limit: Duration| now.saturating_duration_since(when) >= limit;
        // Not the end of the output, which its reader waits for: another process may hold that
        // open.
        if self.exited.is_none() && self.process.as_ref().is_some_and(|it| it.exit().is_some()) {
            self.exited = Some(now);
        }
        match &self.life {
            Life::Starting(when) if since(*when, settings.start_timeout) => {
                self.end_by_force(Why::NotReady(TOO_LATE.to_owned()));
            }
            Life::Leaving(when) if since(*when, settings.exit_timeout) => {
                self.end_by_force(Why::Left)
            }
            Life::Ending(why, when) if self.exited.is_none() && since(*when, LAST_MOMENT) => {
                self.life = Life::Killing(why.clone());
            }
            Life::Serving if self.exited.is_some() => {
                self.end_by_itself(Why::Gone("it ended"), now)
            }
            Life::Serving => match (self.ledger.due(now), &self.input) {
                (Some(Due::Recall), _) => return true,
                (Some(Due::End(End::TimedOut(id))), _) => self.end_by_force(Why::TimedOut(id)),
                (Some(Due::End(_)), _) => self.end_by_force(Why::Killed),
                // It has answered a request that it has not read.
                (None, Input::Writing(when))
                    if self.ledger.is_empty() && since(*when, settings.exit_timeout) =>
                {
                    self.end_by_force(Why::Unfit("it does not read its input".to_owned()));
                }
                (None, _) => {}
            },
            _ => {}
        }
        false
    }

    /// True if its process is gone for a while, but not its output: another process holds that
    /// open, and the thread that reads it would wait for that one. (I5)
    pub(super) fn is_held_open(&self, now: Instant) -> bool {
        // `at_pipe`: it may also be in a callback, and then it comes to the end by itself.
        let gone =
            self.exited.is_some_and(|when| now.saturating_duration_since(when) >= LAST_MOMENT);
        gone && self.gauge.at_pipe.load(Relaxed)
    }

    /// Settles the accounts of a process that is reaped. (I2)
    pub(super) fn end(self, status: Option<ExitStatus>) -> Accounts {
        // The status of a process that we have killed is ours, and says nothing about its task.
        let (why, status) = match self.life {
            Life::Ending(why, _) => (why, status),
            Life::Killing(why) | Life::Killed(why) => (why, None),
            Life::Starting(_) | Life::Serving | Life::Leaving(_) => (Why::Left, status),
        };
        let end = match why {
            Why::TimedOut(id) => End::TimedOut(id),
            Why::Killed => End::Killed,
            _ => End::Died,
        };
        let seen = match &why {
            Why::Unfit(seen) => Some(seen.as_str()),
            Why::Gone(seen) if status.is_none() => Some(*seen),
            Why::TimedOut(_) | Why::Killed => Some("it was killed for the call before this one"),
            _ => None,
        };
        let ended = self.ledger.end(end);
        let describe = |task: &str, from| match &self.process {
            Some(process) => process.death(task, status, seen, from),
            None => Death {
                pid: 0,
                task: task.to_owned(),
                status,
                cause: String::new(),
                stderr: String::new(),
            },
        };
        let victim = ended.victim.map(|(given, verdict)| {
            let task = given.task().to_owned();
            let error = match verdict {
                Verdict::Died => Error::Died(Box::new(describe(&task, given.words))),
                Verdict::TimedOut(limit) => Error::TimedOut(Box::new(Overrun { task, limit })),
                Verdict::Killed => Error::Killed { task: task.into() },
            };
            (given, error)
        });
        Accounts { victim, back: ended.back, last: describe("", 0), why }
    }
}

/// What a worker leaves behind.
pub(super) struct Accounts {
    /// The call that pays.
    pub(super) victim: Option<(Given, Error)>,
    /// Those that were not begun, and whether somebody wants them stopped.
    pub(super) back: Vec<(Given, bool)>,
    /// How it ended, with all of its last words.
    pub(super) last: Death,
    pub(super) why: Why,
}
