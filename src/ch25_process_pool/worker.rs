//! The record of one worker process. It is numbered, and dies with its process: a number that is no
//! longer found belongs to one that has ended, and what is said of it is ignored.
//!
//! ```text
//!   Starting ──ready──► Serving ──told to go, or ends──► Leaving ──┐
//!       │                  │                                │ late ├──► reaped,
//!       └──────────────────┴── limit, kill ──► Killed ◄─────┘      │    removed
//!                                                └─────────────────┘
//! ```

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::super::ch09_outcome::{Death, Error, Overrun};
use super::super::ch21_protocol::ONE_WRITE;
use super::super::ch23_process::{Killer, LAST_MOMENT, TOO_LATE};
use super::super::ch24_in_flight::{Due, End, InFlight, Verdict};
use super::call::Given;
use super::queue::{Over, Queue};
use super::settings::Settings;
use std::mem;
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
    /// Its reader waits at the pipe, with nothing in hand.
    pub(super) at_pipe: Arc<AtomicBool>,
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
    /// Nothing is left for it but to exit, since then: it was told to go, or ends by itself.
    Leaving(Why, Instant),
    /// Its process was killed, or will be as soon as there is one.
    Killed(Why),
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
    /// For a call of its own: to be stopped, or over its limit.
    Stopped(End),
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

impl<I> Worker<I> {
    pub(super) fn new(number: u64, index: usize, now: Instant) -> Self {
        Worker {
            number,
            index,
            life: Life::Starting(now),
            input: Input::Closed,
            process: None,
            thread: None,
            at_pipe: Arc::default(),
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

    /// Takes from the queue what it is to get now: for one write, or one long request. (I3)
    pub(super) fn fill(
        &mut self,
        queue: &mut Queue,
        most: usize,
        now: Instant,
    ) -> Option<Arc<String>> {
        // The last words of each of these calls begin where standard error is now.
        let words = self.process.as_ref().map_or(0, Killer::words);
        let mut lines: Option<Arc<String>> = None;
        while self.served < most {
            let length = lines.as_ref().map_or(0, |lines| lines.len());
            let one_write = |size| length == 0 || length + size <= ONE_WRITE;
            let fits = |size| one_write(size) && self.ledger.has_room_for(size);
            let Some((call, request)) = queue.take(fits) else { break };
            match &mut lines {
                None => lines = Some(request.clone()),
                Some(lines) => Arc::make_mut(lines).push_str(&request),
            }
            let (id, limit, size) = (call.id, call.limit, request.len());
            self.ledger.push(id, size, limit, Given { call, request, words }, now);
            self.served += 1;
        }
        lines
    }

    /// Takes the input out, to write or to close it, unless somebody writes. From here to
    /// `State::written` nobody else can: that keeps the order of requests on the pipe that of the
    /// ledger.
    pub(super) fn take_input(&mut self, then: Input<I>) -> Option<I> {
        match mem::replace(&mut self.input, then) {
            Input::Here(input) => Some(input),
            other => {
                self.input = other;
                None
            }
        }
    }

    /// It is leaving: nothing it is told from here on is to any purpose. The first reason counts,
    /// but the whole story of a late start is known only when it is over.
    pub(super) fn leave(&mut self, why: Why, now: Instant) {
        match (&self.life, &why) {
            (Life::Starting(_) | Life::Serving, _) => self.life = Life::Leaving(why, now),
            (Life::Killed(Why::NotReady(_)), Why::NotReady(_)) => self.life = Life::Killed(why),
            _ => {}
        }
    }

    /// Kills its process. That waits for nothing, so it may be done under the lock.
    pub(super) fn kill(&mut self, why: Why) {
        self.life = Life::Killed(why);
        if let Some(process) = &self.process {
            process.kill();
        }
    }

    /// Everything it does is to be stopped.
    pub(super) fn stop(&mut self) {
        self.ledger.kill_all();
        match self.life {
            Life::Starting(_) | Life::Serving => self.kill(Why::Stopped(End::Killed)),
            Life::Leaving(Why::Left, _) => self.kill(Why::Left),
            _ => {} // it ends by itself, and how that was is worth more
        }
    }

    /// Looks at the time. True if the others behind its first call are to be called back. (I8)
    pub(super) fn tick(&mut self, now: Instant, settings: &Settings) -> bool {
        let since = |when: Instant| now.saturating_duration_since(when);
        // Not the end of the output, which its reader waits for: another process may hold that
        // open.
        if self.exited.is_none() && self.process.as_ref().is_some_and(|it| it.exit().is_some()) {
            self.exited = Some(now);
        }
        let writing = match self.input {
            Input::Writing(when) => since(when),
            _ => Duration::ZERO,
        };
        match (&self.life, self.ledger.due(now)) {
            (Life::Starting(when), _) if since(*when) >= settings.start_timeout => {
                self.kill(Why::NotReady(TOO_LATE.to_owned()));
            }
            (Life::Leaving(why, when), _) if self.exited.is_none() => {
                let left = matches!(why, Why::Left);
                let patience = if left { settings.exit_timeout } else { LAST_MOMENT };
                if since(*when) >= patience {
                    self.kill(why.clone());
                }
            }
            (Life::Serving, _) if self.exited.is_some() => self.leave(Why::Gone("it ended"), now),
            (Life::Serving, Some(Due::Recall)) => return true,
            (Life::Serving, Some(Due::End(end))) => self.kill(Why::Stopped(end)),
            // It has answered a request that it has not read.
            (Life::Serving, None) if self.ledger.is_empty() && writing > settings.exit_timeout => {
                self.kill(Why::Unfit("it does not read its input".to_owned()));
            }
            _ => {}
        }
        false
    }

    /// The thread that waits at its output, if its process is gone for a while: another process
    /// holds that open, and the thread would wait for that one. (I5)
    pub(super) fn held_up(&mut self, now: Instant) -> Option<ThreadId> {
        let gone = |when| now.saturating_duration_since(when) >= LAST_MOMENT;
        // `at_pipe`: it may also be in a callback, and then it comes to the end by itself.
        let is_held_open = self.exited.is_some_and(gone) && self.at_pipe.load(Relaxed);
        if is_held_open { self.thread.take() } else { None }
    }

    /// Settles the accounts of a process that is reaped. (I2)
    pub(super) fn end(self, status: Option<ExitStatus>) -> Accounts {
        // The status of a process that we have killed is ours, and says nothing about its task.
        let (why, status) = match self.life {
            Life::Killed(why) => (why, None),
            Life::Leaving(why, _) => (why, status),
            Life::Starting(_) | Life::Serving => unreachable!("it is said to leave before"),
        };
        let (end, seen) = match &why {
            Why::Stopped(end) => (*end, Some("it was killed for the call before this one")),
            Why::Unfit(seen) => (End::Died, Some(seen.as_str())),
            Why::Gone(seen) if status.is_none() => (End::Died, Some(*seen)),
            _ => (End::Died, None),
        };
        let death = |task: &str, from| {
            self.process.as_ref().map(|process| process.death(task, status, seen, from))
        };
        let ended = self.ledger.end(end);
        let victim = ended.victim.map(|(given, verdict)| {
            let task = given.task().to_owned();
            let error = match verdict {
                Verdict::Died => death(&task, given.words)
                    .map_or(Error::Abandoned, |death| Error::Died(Box::new(death))),
                Verdict::TimedOut(limit) => Error::TimedOut(Box::new(Overrun { task, limit })),
                Verdict::Killed => Error::Killed { task: task.into() },
            };
            (given.call, error)
        });
        Accounts { victim, back: ended.back, last: death("any call", 0), why }
    }
}

/// What a worker leaves behind.
pub(super) struct Accounts {
    /// The call that pays.
    pub(super) victim: Option<Over>,
    /// Those that were not begun, and whether somebody wants them stopped.
    pub(super) back: Vec<(Given, bool)>,
    /// How it ended, with all of its last words; `None` if it had no process.
    pub(super) last: Option<Death>,
    pub(super) why: Why,
}
