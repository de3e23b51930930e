//! What one run knows: where each thread is, and so in which ways it can go on.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::choices::{Choices, digit};
use super::report::{End, Limits};
use super::story::{Moment, Step, Story, Way, Why, letter};
use real::sync::{Arc, Condvar};
use real::time::Duration;

/// What a thread does, as far as the others are concerned. Whether it can go on follows from this,
/// and from what the others do: see `can_go_on`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Status {
    /// It can go on.
    Ready,
    /// It can go on, but would rather see another do so. Only while that is decided.
    Yielded,
    /// It wants the mutex at this address.
    Locking(usize),
    /// It sleeps on the condvar at this address, or on nothing but the clock (0).
    Sleeping { on: usize, until: Option<Duration> },
    /// It waits for the end of this thread.
    Joining(usize),
    /// It has ended.
    Done,
}

/// A thread of a run.
pub(super) struct Runner {
    pub(super) status: Status,
    /// The step that it makes next.
    pub(super) next: Step,
    /// So many of its next yields do not let others go first: a loop that looks a few times comes
    /// to its end before the others have moved. `None` again once it has slept.
    pub(super) spins: Option<usize>,
    /// Notified when the thread gets the baton. Its own: one condvar for all would wake them all,
    /// at each step, and takes twice the time.
    pub(super) called: Arc<Condvar>,
}

type Look = Box<dyn Fn() -> String + Send>;

/// What a run knows. It is behind one lock, and only the thread that has the baton uses it.
#[derive(Default)]
pub(super) struct State {
    pub(super) runners: Vec<Runner>,
    /// The thread that has the baton, and why it got it. `None`: the run is over.
    pub(super) turn: Option<Way>,
    pub(super) choices: Choices,
    /// What is left of them: a preemption takes one from `preemptions`.
    limits: Limits,
    /// How often somebody asked who goes on.
    pub(super) steps: usize,
    /// It moves when a limit runs out, and at no other time.
    pub(super) clock: Duration,
    /// Each taken mutex, and the thread that has it.
    pub(super) held: Vec<(usize, usize)>,
    /// M, a mutex, C, a condvar, or N, a number, and its address, in the order of their first use.
    named: Vec<(char, usize)>,
    /// What a story shows at each choice.
    pub(super) watched: Vec<(&'static str, Look)>,
    pub(super) story: Story,
    /// What the body returned, once it has.
    pub(super) returned: Option<String>,
    /// What the last panic said. It is the end of the run if the body does not return.
    pub(super) panicked: Option<String>,
    /// Set once. From then on nobody gets the baton.
    pub(super) end: Option<End>,
}

impl State {
    pub(super) fn new(limits: Limits, choices: Choices) -> Self {
        // Not zero, so that `Duration::MAX` from now overflows, as in std: no deadline.
        State { limits, choices, clock: Duration::from_secs(1), ..State::default() }
    }

    /// Adds a thread that is ready to make this step.
    pub(super) fn add(&mut self, next: Step) {
        let (status, spins, called) = (Status::Ready, None, Arc::default());
        self.runners.push(Runner { status, next, spins, called });
    }

    /// The name of what is at this address, such as M1.
    pub(super) fn name(&mut self, kind: char, address: usize) -> String {
        if !self.named.contains(&(kind, address)) {
            self.named.push((kind, address));
        }
        let same_kind = self.named.iter().filter(|named| named.0 == kind);
        let before = same_kind.take_while(|named| named.1 != address);
        format!("{kind}{}", before.count() + 1)
    }

    /// Makes ready every thread of whose status `which` is true.
    pub(super) fn wake(&mut self, which: impl Fn(Status) -> bool) {
        for runner in self.runners.iter_mut().filter(|runner| which(runner.status)) {
            runner.status = Status::Ready;
        }
    }

    /// Makes ready all that sleep on a condvar.
    pub(super) fn wake_all(&mut self, condvar: usize) {
        self.wake(|status| matches!(status, Status::Sleeping { on, .. } if on == condvar));
    }

    /// Makes ready one of those that sleep on a condvar: which one is a choice, for std promises
    /// nothing about it. If nobody sleeps, nothing happens, and nothing is kept: that is how a
    /// wake-up gets lost.
    pub(super) fn wake_one(&mut self, me: usize, condvar: usize) {
        let sleeps = |status| matches!(status, Status::Sleeping { on, .. } if on == condvar);
        let sleepers = self.those(Why::Notified, sleeps);
        if let Some((woken, _)) = self.choose(me, &sleepers) {
            self.runners[woken].status = Status::Ready;
        }
    }

    /// Says which thread goes on, and why; or how the run ends, and `None`.
    pub(super) fn next(&mut self, me: usize) -> Option<Way> {
        self.steps += 1;
        let ways = self.ways(me);
        if self.end.is_none() && (ways.is_empty() || self.steps > self.limits.steps) {
            self.end = Some(self.nobody_goes_on()); // (I4)
        }
        if self.end.is_some() {
            return None;
        }
        let (thread, why) = self.choose(me, &ways)?;
        // Whichever way was taken, another thread has moved, or none could.
        self.wake(|status| status == Status::Yielded);
        let runner = &mut self.runners[thread];
        if let (Why::TimedOut, Status::Sleeping { until: Some(until), .. }) = (why, runner.status) {
            self.clock = self.clock.max(until);
        }
        runner.status = Status::Ready;
        Some((thread, why))
    }

    /// (2) Every way to go on, whatever the limits say, so that a digit means the same under all of
    /// them: what a search within narrow limits has found, `replay` finds without any.
    ///
    /// The first is to go on without a switch, where that is possible. So the schedule `0`, which
    /// is tried first, is the calm one, and what a schedule says beside zeros is what goes wrong.
    fn ways(&self, me: usize) -> Vec<Way> {
        let mut ways = self.those(Why::Turn, |status| self.can_go_on(status));
        ways.sort_by_key(|way| way.0 != me);
        // Only the scheduler's will decides when a limit runs out: a thread can be that slow.
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
            let waits = |status| matches!(status, Status::Sleeping { on: 1.., .. });
            ways.extend(self.those(Why::Spurious, waits));
        }
        ways
    }

    /// Nobody has to wake what waits for a lock or an end: whether it can go on, is looked up.
    pub(super) fn can_go_on(&self, status: Status) -> bool {
        match status {
            Status::Ready => true,
            Status::Locking(mutex) => self.held.iter().all(|held| held.0 != mutex),
            Status::Joining(thread) => self.runners[thread].status == Status::Done,
            Status::Yielded | Status::Sleeping { .. } | Status::Done => false,
        }
    }

    /// All threads of whose status `which` is true, as ways.
    fn those(&self, why: Why, which: impl Fn(Status) -> bool) -> Vec<Way> {
        let which = |&thread: &usize| which(self.runners[thread].status);
        (0..self.runners.len()).filter(which).map(|thread| (thread, why)).collect()
    }

    /// One of `ways`, if there is one. It is a choice, and a digit, only if there are two.
    fn choose(&mut self, me: usize, ways: &[Way]) -> Option<Way> {
        if ways.len() < 2 {
            return ways.first().copied();
        }
        // The others are not taken, and yet are counted: see `ways`.
        let left = |way: usize| self.left_after(me, ways[0], ways[way]);
        let allowed: Vec<usize> = (0..ways.len()).filter(|&way| left(way).is_some()).collect();
        self.story.moments.push(Moment {
            steps: self.story.steps.len(),
            threads: self
                .runners
                .iter()
                .map(|r| (r.next.clone(), self.describe(r.status)))
                .collect(),
            ways: allowed.iter().map(|&way| (digit(way), ways[way])).collect(),
            shared: self.watched.iter().map(|(name, look)| (*name, look())).collect(),
        });
        // What every run must ask that has come here by the same choices (I5).
        let asked = (ways.len(), me, self.runners[me].next.line); // (3)
        let Some(taken) = self.choices.take(asked, allowed) else {
            self.end = Some(End::Changed);
            return None;
        };
        self.limits = self.left_after(me, ways[0], ways[taken]).unwrap_or(self.limits);
        Some(ways[taken])
    }

    /// What is left of the limits after this way; `None` if they do not allow it.
    ///
    /// A way preempts if a thread could have gone on and did not, or has yielded and goes on. To
    /// let another one run because this one waits or has ended costs nothing: there is no other
    /// way.
    fn left_after(&self, me: usize, first: Way, way: Way) -> Option<Limits> {
        let could_go_on = first == (me, Why::Turn) && self.runners[me].status == Status::Ready;
        let preempts = way != first && (could_go_on || way.1 == Why::Spins);
        let runs_out = way.1 == Why::TimedOut && first.1 != Why::TimedOut;
        let less = |limit: usize, is_used: bool| limit.checked_sub(usize::from(is_used));
        let mut left = self.limits;
        left.preemptions = less(left.preemptions, preempts)?;
        left.timeouts = less(left.timeouts, runs_out)?;
        left.spurious = less(left.spurious, way.1 == Why::Spurious)?;
        Some(left)
    }

    /// The story of a deadlock is made of these.
    fn describe(&self, status: Status) -> String {
        match status {
            Status::Ready => "can go on".into(),
            Status::Yielded => "lets others go first".into(),
            Status::Locking(mutex) => match self.held.iter().find(|held| held.0 == mutex) {
                Some(&(_, owner)) => format!("waits for the mutex of {}", letter(owner)),
                None => "waits for a mutex".into(),
            },
            Status::Sleeping { until: Some(_), .. } => "sleeps until a limit".into(),
            Status::Sleeping { .. } => "sleeps".into(),
            Status::Joining(thread) => format!("waits for the end of {}", letter(thread)),
            Status::Done => "has ended".into(),
        }
    }

    /// How a run ends in which no thread can go on, or none is to.
    fn nobody_goes_on(&self) -> End {
        let left = self.runners.iter().filter(|runner| runner.status != Status::Done);
        let left = left.map(|Runner { status, next, .. }| {
            format!("{} {} ({})", letter(next.thread), self.describe(*status), next.place())
        });
        let left = left.collect::<Vec<_>>().join(", ");
        match (&self.returned, &self.panicked) {
            _ if self.steps > self.limits.steps => End::Livelock(left),
            _ if !left.is_empty() => End::Deadlock(left),
            (Some(value), _) => End::Returned(value.clone()),
            (None, Some(message)) => End::Panicked(message.clone()),
            (None, None) => End::Changed, // the body was unwound without a panic
        }
    }
}
