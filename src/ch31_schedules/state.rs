//! What one run knows: where each thread is, and so in which ways it can go on.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::choices::Choices;
use super::real::format;
use super::real::string::String;
use super::real::thread::{Thread, ThreadId};
use super::real::time::Duration;
use super::real::vec::Vec;
use super::story::{Place, Story, View, letter};
use super::{End, Limits};

/// What a thread does, as far as the others are concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Status {
    /// It can go on.
    Ready,
    /// It can go on once somebody else has made a step.
    Yielded,
    /// It wants the mutex at this address.
    Locking(usize),
    /// It sleeps: on the condvar at this address, or parked (on its own number), or on nothing but
    /// the clock (`usize::MAX`).
    Sleeping { on: usize, until: Option<Duration> },
    /// It waits for the end of this thread.
    Joining(usize),
    /// It has ended.
    Done,
}

pub(super) fn is_asleep_on(status: Status, condvar: usize) -> bool {
    matches!(status, Status::Sleeping { on, .. } if on == condvar)
}

/// Why a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Why {
    Turn,
    Notified,
    TimedOut,
    Spurious,
}

/// One way to go on: this thread, for this reason.
pub(super) type Way = (usize, Why);

/// A thread of a run.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) status: Status,
    pub(super) why: Why,
    /// The step that it makes next.
    pub(super) next: Place,
    /// Left by `unpark` for the next `park`.
    pub(super) token: bool,
    /// The real thread and its id, once they are known.
    pub(super) real: Option<Thread>,
    pub(super) id: Option<ThreadId>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) runners: Vec<Runner>,
    pub(super) choices: Choices,
    pub(super) story: Story,
    /// Each taken mutex, and who has it.
    pub(super) held: Vec<(usize, usize)>,
    pub(super) clock: Duration,
    pub(super) steps: usize,
    /// How the first thread ended, and how the run did.
    pub(super) said: Option<End>,
    pub(super) end: Option<End>,
    pub(super) limits: Limits,
    // What this run has used up of the limits.
    preemptions: usize,
    timeouts: usize,
    spurious: usize,
}

impl State {
    pub(super) fn new(limits: Limits, choices: Choices, story: Story) -> Self {
        State {
            runners: Vec::new(),
            choices,
            story,
            held: Vec::new(),
            clock: Duration::from_secs(1), // then `Duration::MAX` from now overflows: no limit
            steps: 0,
            said: None,
            end: None,
            limits,
            preemptions: 0,
            timeouts: 0,
            spurious: 0,
        }
    }

    pub(super) fn add(&mut self, next: Place) -> usize {
        let (status, why) = (Status::Ready, Why::Turn);
        self.runners.push(Runner { status, why, next, token: false, real: None, id: None });
        self.runners.len() - 1
    }

    /// Makes ready every thread of whose status `which` is true.
    pub(super) fn wake(&mut self, why: Why, which: impl Fn(Status) -> bool) {
        for runner in &mut self.runners {
            if which(runner.status) {
                (runner.status, runner.why) = (Status::Ready, why);
            }
        }
    }

    pub(super) fn sleepers(&self, condvar: usize) -> Vec<Way> {
        self.those(Why::Notified, |status| is_asleep_on(status, condvar))
    }

    fn those(&self, why: Why, which: impl Fn(Status) -> bool) -> Vec<Way> {
        let which = |&number: &usize| which(self.runners[number].status);
        (0..self.runners.len()).filter(which).map(|number| (number, why)).collect()
    }

    /// Gives the turn to a thread: says to which and why, or ends the run and says `None`.
    pub(super) fn next(&mut self, me: usize) -> Option<Way> {
        self.steps += 1;
        let stays = self.runners[me].status == Status::Ready;
        let mut ways = self.those(Why::Turn, |status| status == Status::Ready);
        if stays {
            ways.retain(|way| way.0 != me);
            ways.insert(0, (me, Why::Turn)); // to go on is the first way
        }
        let ready = !ways.is_empty();
        ways.extend(self.those(Why::TimedOut, |status| {
            matches!(status, Status::Sleeping { until: Some(_), .. })
        }));
        // Where nobody is ready, time passes; a thread that yields and yields is not fair to it.
        let time_passes = !ready && !ways.is_empty();
        if !ready {
            ways.extend(self.those(Why::Turn, |status| status == Status::Yielded));
        }
        if ways.is_empty() || self.steps > self.limits.steps {
            self.end = Some(self.nobody_goes_on());
            return None;
        }
        if self.choices.spurious {
            ways.extend(self.those(
                Why::Spurious,
                |status| matches!(status, Status::Sleeping { on, .. } if on != usize::MAX),
            ));
        }
        let preempts = |&(number, why): &Way| {
            (stays && (number, why) != (me, Why::Turn)) || (time_passes && why == Why::Turn)
        };
        let allowed = |way: &Way| {
            (self.preemptions < self.limits.preemptions || !preempts(way))
                && match way.1 {
                    Why::TimedOut => time_passes || self.timeouts < self.limits.timeouts,
                    Why::Spurious => self.spurious < self.limits.spurious,
                    Why::Turn | Why::Notified => true,
                }
        };
        let allowed = (0..ways.len()).filter(|&way| allowed(&ways[way])).collect();
        let (number, why) = self.choose(me, &ways, allowed)?;
        self.preemptions += usize::from(preempts(&(number, why)));
        self.timeouts += usize::from(why == Why::TimedOut && !time_passes);
        self.spurious += usize::from(why == Why::Spurious);
        let before = self.runners[number].status;
        if let (Why::TimedOut, Status::Sleeping { until: Some(until), .. }) = (why, before) {
            self.clock = self.clock.max(until);
        }
        if (number, why) != (me, Why::Turn) {
            self.wake(Why::Turn, |status| status == Status::Yielded);
        }
        self.runners[number].status = Status::Ready;
        if why != Why::Turn {
            self.runners[number].why = why;
        }
        Some((number, why))
    }

    /// One of `ways`. It is a choice only if there are two.
    pub(super) fn choose(&mut self, me: usize, ways: &[Way], allowed: Vec<usize>) -> Option<Way> {
        if ways.len() == 1 {
            return Some(ways[0]);
        }
        if self.story.is_told {
            let threads = (0..self.runners.len()).map(|thread| self.view(thread)).collect();
            let allowed = allowed.iter().map(|&way| (way, ways[way].0, ways[way].1)).collect();
            self.story.moment(threads, allowed);
        }
        let asked = (ways.len(), me, self.runners[me].next.at.line());
        let taken = self.choices.take(asked, allowed);
        if taken.is_none() {
            self.end = Some(End::Changed);
        }
        taken.map(|taken| ways[taken])
    }

    fn view(&mut self, thread: usize) -> View {
        let runner = &self.runners[thread];
        let (status, next) = (runner.status, runner.next);
        let (file, line) = (next.at.file(), next.at.line());
        View { next: self.story.text(next), file, line, state: self.describe(status) }
    }

    fn describe(&self, status: Status) -> String {
        let has = |mutex| self.held.iter().find(|held| held.0 == mutex);
        match status {
            Status::Ready => "can go on".into(),
            Status::Yielded => "lets others go first".into(),
            Status::Locking(mutex) => match has(mutex) {
                Some(&(_, owner)) => format!("waits for the mutex of {}", letter(owner)),
                None => "waits for a mutex".into(),
            },
            Status::Sleeping { until: Some(_), .. } => "sleeps until a limit".into(),
            Status::Sleeping { .. } => "sleeps".into(),
            Status::Joining(thread) => format!("waits for the end of {}", letter(thread)),
            Status::Done => "has ended".into(),
        }
    }

    fn nobody_goes_on(&mut self) -> End {
        let left: Vec<String> = (0..self.runners.len())
            .filter(|&thread| self.runners[thread].status != Status::Done)
            .map(|thread| {
                let runner = &self.runners[thread];
                let (state, place) = (self.describe(runner.status), runner.next.place());
                format!("{} {state} ({place})", letter(thread))
            })
            .collect();
        if self.steps > self.limits.steps {
            End::Livelock(left.join(", "))
        } else if !left.is_empty() {
            End::Deadlock(left.join(", "))
        } else {
            self.said.take().unwrap_or(End::Changed)
        }
    }
}
