//! What one run knows: where each thread is, and so in which ways it can go on.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::choices::{Choices, digit};
use super::report::{End, Limits};
use super::runner::{Runner, SPINS, Status, Way, Why, is_asleep_on};
use super::story::{Place, Story, View, letter};
use real::format;
use real::string::String;
use real::time::Duration;
use real::vec::Vec;

#[derive(Debug)]
pub(super) struct State {
    pub(super) runners: Vec<Runner>,
    pub(super) choices: Choices,
    pub(super) story: Story,
    /// Each taken mutex, and the thread that has it.
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
            // Not zero, so that `Duration::MAX` from now overflows, as in std: no deadline.
            clock: Duration::from_secs(1),
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
        self.runners.push(Runner {
            status,
            why,
            next,
            spins: None,
            token: false,
            real: None,
            id: None,
        });
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

    /// Says which thread goes on, and why; or how the run ends, and `None`.
    pub(super) fn next(&mut self, me: usize) -> Option<Way> {
        self.steps += 1;
        let ways = self.ways(me);
        if ways.is_empty() || self.steps > self.limits.steps {
            self.end = Some(self.nobody_goes_on()); // (I4)
            return None;
        }
        let allowed = (0..ways.len()).filter(|&way| self.is_allowed(me, ways[0], ways[way]));
        let allowed = allowed.collect();
        let (thread, why) = self.choose(me, &ways, allowed)?;
        self.preemptions += usize::from(self.preempts(me, ways[0], (thread, why)));
        self.timeouts += usize::from(why == Why::TimedOut && ways[0].1 != Why::TimedOut);
        self.spurious += usize::from(why == Why::Spurious);
        let before = self.runners[thread].status;
        if let (Why::TimedOut, Status::Sleeping { until: Some(until), .. }) = (why, before) {
            self.clock = self.clock.max(until);
        }
        if (thread, why) != (me, Why::Turn) {
            // Somebody else makes a step, and that is what those who yield wait for.
            self.wake(Why::Turn, |status| status == Status::Yielded);
        }
        self.runners[thread].status = Status::Ready;
        match why {
            Why::Turn => {}
            Why::Spins => self.runners[thread].spins = Some(SPINS),
            Why::Notified | Why::TimedOut | Why::Spurious => self.runners[thread].why = why,
        }
        Some((thread, why))
    }

    /// (2) Every way to go on, whatever the limits say, so that a schedule means the same under all
    /// limits. The first is to go on without a switch, where that is possible.
    fn ways(&self, me: usize) -> Vec<Way> {
        let mut ways = self.those(Why::Turn, |status| status == Status::Ready);
        ways.sort_by_key(|way| way.0 != me);
        let has_limit = |status| matches!(status, Status::Sleeping { until: Some(_), .. });
        ways.extend(self.those(Why::TimedOut, has_limit));
        if self.runners[me].status == Status::Yielded {
            if ways.is_empty() {
                ways.push((me, Why::Turn));
            } else if self.runners[me].spins.is_none() {
                ways.push((me, Why::Spins)); // once, or a loop that never sleeps would have no end
            }
        }
        // Nobody can count on a wake-up for nothing: alone, it is no way.
        if self.choices.spurious && !ways.is_empty() {
            let waits = |status| matches!(status, Status::Sleeping { on, .. } if on != usize::MAX);
            ways.extend(self.those(Why::Spurious, waits));
        }
        ways
    }

    /// A way preempts if a thread could have gone on and did not, or yields and goes on.
    fn preempts(&self, me: usize, first: Way, way: Way) -> bool {
        let could_go_on = first == (me, Why::Turn) && self.runners[me].status == Status::Ready;
        way != first && (could_go_on || way.1 == Why::Spins)
    }

    fn is_allowed(&self, me: usize, first: Way, way: Way) -> bool {
        let is_within = match way.1 {
            Why::TimedOut => first.1 == Why::TimedOut || self.timeouts < self.limits.timeouts,
            Why::Spurious => self.spurious < self.limits.spurious,
            Why::Turn | Why::Notified | Why::Spins => true,
        };
        is_within && (self.preemptions < self.limits.preemptions || !self.preempts(me, first, way))
    }

    /// One of `ways`. It is a choice only if there are two.
    pub(super) fn choose(&mut self, me: usize, ways: &[Way], allowed: Vec<usize>) -> Option<Way> {
        if ways.len() == 1 {
            return Some(ways[0]);
        }
        if self.story.is_told {
            let threads = (0..self.runners.len()).map(|thread| self.view(thread)).collect();
            let ways = allowed.iter().map(|&way| (digit(way), text(ways[way]))).collect();
            self.story.moment(threads, ways);
        }
        let asked = (ways.len(), me, self.runners[me].next.at.line());
        let taken = self.choices.take(asked, allowed); // (3)
        if taken.is_none() {
            self.end = Some(End::Changed); // (I5)
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

fn text((thread, why): Way) -> String {
    let what = match why {
        Why::Turn => "goes on",
        Why::Notified => "is the one that is notified",
        Why::TimedOut => "runs out of time",
        Why::Spins => "goes on without letting others go first",
        Why::Spurious => "wakes up for nothing",
    };
    format!("{} {what}", letter(thread))
}
