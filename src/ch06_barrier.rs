//! # 06 · Barrier — rounds that cannot overlap
//!
//! Needs: nothing but std.   Reading time: 9 min.
//! Run it: cargo run --example ch06_barrier
//!
//! ## Why
//!
//! A semaphore lets a few threads in and knows nothing of the others. Some work goes in steps: all
//! fill their rows, and only then may anybody read the rows of the others. Here the news that each
//! waits for is "everybody has arrived".
//!
//! ## Picture
//!
//! ```text
//! wait ──▶ arrived 0, 1, ..  ──(1) the last──▶ action ──(2)──▶ outcome: passed
//!          │  sleep in the box of this round ◀── woken ────────┘
//!          │
//!          └─ (3) a limit passed, abort, a panicking action ──▶ outcome: broken
//!             reset ──────────────────────────────────────────▶ outcome: reset
//!
//! a round:   filling ──(1)──▶ complete ──(2)──▶ passed
//!               └──(3)──▶ failed ◀──(3)──┘     the next one fills since (1)
//!
//!           │ wait            limit passes  abort   reset     action panics
//! ──────────┼───────────────────────────────────────────────────────────────
//! filling   │ waits, or (1)   broken        broken  failed    –
//! complete  │ joins the next  broken        passes  passes    broken
//! broken    │ error at once   –             –       filling   –
//! ```
//!
//! ## Promises
//!
//! - I1: nobody passes before all have arrived and the action has returned. What each thread did
//!   before `wait`, and what the action did, is seen by all after it.
//! - I2: each arrival belongs to one round, and a round has one outcome, which all its threads get,
//!   however late they wake. A fast thread that comes again is in the next round.
//! - I3: the action runs once per round, on the last thread to arrive, while no lock is held. It
//!   may use the barrier and sees it as the next round does: nobody waiting. Calling `abort` there
//!   lets this round pass and breaks the next; calling `wait` waits for those who wait for you.
//! - I4: a broken barrier stays broken until `reset`; nobody waits at it.
//! - One party never waits.
//!
//! ## The trap
//!
//! One counter for all rounds: *wait while fewer than n have arrived*. It works once. In the second
//! round the counter is high already, and the first to come passes alone; put it back to zero, and
//! a thread that has not woken from the first round goes back to sleep in it. The example shows the
//! first mistake.
//!
//! ## Elsewhere
//!
//! - std: `Barrier`, no limit, no abort, no action; a dead party is a hang for all.
//! - Python: `threading.Barrier`, whose action runs under its lock: to touch the barrier is a hang.
//! - Java: `CyclicBarrier`, or `Phaser`, where parties come and go.
//!
//! ## Try
//!
//! 1. Four threads use a barrier for three. Predict: can all threads finish three rounds each?
//! 2. Let the last thread set the outcome before the action. Which promise falls?
//! 3. Build a barrier for one round from a semaphore with no permits and a counter.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A meeting point for a fixed number of threads, round after round.
///
/// # Examples
/// ```
/// use concurrent_explained::Barrier;
///
/// let barrier = Barrier::new(2)?.with_action(|| println!("both are here"));
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     let mut indices = [barrier.wait().unwrap(), other.join().unwrap().unwrap()];
///     indices.sort();
///     assert_eq!(indices, [0, 1]);
/// });
/// # Ok::<(), concurrent_explained::BarrierError>(())
/// ```
pub struct Barrier {
    parties: usize,
    action: Option<Box<dyn Fn() + Send + Sync>>,
    /// What `wait` uses; `None` is for ever.
    limit: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The round that is filling.
    round: Arc<Round>,
    /// How many have arrived in it; always less than `parties`.
    arrived: usize,
    /// I4: set by the first failure, cleared by `reset`.
    broken: Option<BrokenBy>,
}

type Outcome = Result<(), BarrierError>;

/// I2: a box that is filled once. Its threads keep it as long as they need it, whatever the barrier
/// does meanwhile. Locked alone, or inside the lock of the state, never around it.
#[derive(Default)]
struct Round {
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
}

impl Barrier {
    /// A barrier for `parties` threads.
    ///
    /// # Errors
    /// [`BarrierError::NoParties`] for 0.
    pub fn new(parties: usize) -> Result<Self, BarrierError> {
        let barrier = Self { parties, action: None, limit: None, state: Mutex::default() };
        (parties > 0).then_some(barrier).ok_or(BarrierError::NoParties)
    }

    /// Sets what the last to arrive runs in each round, before anybody is released.
    #[must_use]
    pub fn with_action(self, action: impl Fn() + Send + Sync + 'static) -> Self {
        Self { action: Some(Box::new(action)), ..self }
    }

    /// Sets the limit that [`wait`](Self::wait) keeps; without it, `wait` waits for ever.
    #[must_use]
    pub fn with_timeout(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Waits until all have arrived. Returns how many were here before: 0 for the first.
    ///
    /// # Blocks
    /// Until the last has arrived and the action has returned, or the round fails.
    ///
    /// # Wakes
    /// Everybody in the round, if this thread is the last.
    ///
    /// # Panics
    /// With the panic of the action, if this thread is the one to run it.
    ///
    /// # Errors
    /// [`BarrierError::TimedOut`] if this thread's limit passed (and thereby broke the barrier),
    /// `Broken` if it was broken before or meanwhile, `Reset` if it was reset meanwhile.
    pub fn wait(&self) -> Result<usize, BarrierError> {
        self.arrive(self.limit)
    }

    /// Like [`wait`](Self::wait), with a limit of its own. The action of another thread counts as
    /// waiting; the action on this thread takes as long as it takes.
    pub fn wait_timeout(&self, limit: Duration) -> Result<usize, BarrierError> {
        self.arrive(Some(limit))
    }

    /// Breaks the barrier until [`reset`](Self::reset). A round that is complete still passes.
    ///
    /// # Wakes
    /// Everybody in the round that is filling.
    pub fn abort(&self) {
        self.state.lock().unwrap().fail(BrokenBy::Abort);
    }

    /// Starts anew: repairs a broken barrier, turns away who waits. A complete round still passes.
    ///
    /// # Wakes
    /// Everybody in the round that is filling.
    pub fn reset(&self) {
        let mut state = self.state.lock().unwrap();
        state.broken = None;
        state.next_round().end(Err(BarrierError::Reset));
    }

    /// How many threads make a round.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many have arrived in the round that is filling.
    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().arrived
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> bool {
        self.state.lock().unwrap().broken.is_some()
    }

    fn arrive(&self, limit: Option<Duration>) -> Result<usize, BarrierError> {
        let mut state = self.state.lock().unwrap();
        if let Some(by) = state.broken {
            return Err(BarrierError::Broken(by));
        }
        let index = state.arrived;
        state.arrived += 1;
        let outcome = if state.arrived == self.parties {
            // (1) Whoever comes from now on is in the next round, also while the action runs.
            let round = state.next_round();
            drop(state);
            self.complete(&round)
        } else {
            let round = state.round.clone();
            drop(state); // the round is the same one whenever this thread comes to wait in it
            round.wait(limit).unwrap_or_else(|| self.give_up(&round))
        };
        outcome.map(|()| index)
    }

    /// Runs the action, then (2) lets the round pass, unless a limit has broken it meanwhile.
    fn complete(&self, round: &Round) -> Outcome {
        let action = || self.action.iter().for_each(|action| action());
        if let Err(payload) = catch_unwind(AssertUnwindSafe(action)) {
            let mut state = self.state.lock().unwrap();
            round.end(Err(BarrierError::Broken(BrokenBy::Panic)));
            state.fail(BrokenBy::Panic);
            drop(state); // a panic that passes a held lock poisons it
            resume_unwind(payload);
        }
        round.end(Ok(())).unwrap_or(Ok(()))
    }

    /// (3) The limit of a thread has passed. An outcome that came at the last moment counts.
    fn give_up(&self, round: &Round) -> Outcome {
        let mut state = self.state.lock().unwrap();
        if let Some(earlier) = round.end(Err(BarrierError::Broken(BrokenBy::Timeout))) {
            return earlier;
        }
        state.fail(BrokenBy::Timeout);
        Err(BarrierError::TimedOut)
    }
}

impl State {
    /// Opens an empty round and returns the one that was filling.
    fn next_round(&mut self) -> Arc<Round> {
        self.arrived = 0;
        std::mem::take(&mut self.round)
    }

    /// Breaks the barrier; the first cause stays.
    fn fail(&mut self, by: BrokenBy) {
        let by = *self.broken.get_or_insert(by);
        self.next_round().end(Err(BarrierError::Broken(by)));
    }
}

impl Round {
    /// Fills the box and wakes its threads, or returns what is in it: the first outcome stays.
    fn end(&self, outcome: Outcome) -> Option<Outcome> {
        let mut held = self.outcome.lock().unwrap();
        if held.is_none() {
            *held = Some(outcome);
            self.ended.notify_all();
            return None;
        }
        *held
    }

    /// Waits for the outcome; `None` if the limit passed first.
    fn wait(&self, limit: Option<Duration>) -> Option<Outcome> {
        let open = |outcome: &mut Option<Outcome>| outcome.is_none();
        let held = self.outcome.lock().unwrap();
        match limit {
            None => *self.ended.wait_while(held, open).unwrap(),
            Some(limit) => *self.ended.wait_timeout_while(held, limit, open).unwrap().0,
        }
    }
}

/// Never waits; while another thread is inside, it shows the parties only.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.arrived, state.broken));
        let mut shown = f.debug_struct("Barrier");
        shown.field("parties", &self.parties);
        if let Ok((waiting, broken)) = seen {
            shown.field("waiting", &waiting).field("broken", &broken);
        }
        shown.finish_non_exhaustive()
    }
}

/// Why a thread did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierError {
    /// A barrier for nobody was asked for.
    NoParties,
    /// The limit of this thread passed; the barrier is broken now.
    TimedOut,
    /// The barrier is broken.
    Broken(BrokenBy),
    /// Somebody called [`Barrier::reset`] while this thread waited.
    Reset,
}

/// What broke a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenBy {
    /// Somebody called [`Barrier::abort`].
    Abort,
    /// The limit of a thread passed.
    Timeout,
    /// The action panicked.
    Panic,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoParties => "a barrier needs at least one party",
            Self::TimedOut => "the limit passed before all had arrived",
            Self::Broken(BrokenBy::Abort) => "the barrier was aborted",
            Self::Broken(BrokenBy::Timeout) => "the barrier broke: another thread's limit passed",
            Self::Broken(BrokenBy::Panic) => "the barrier broke: its action panicked",
            Self::Reset => "the barrier was reset",
        })
    }
}

impl Error for BarrierError {}
