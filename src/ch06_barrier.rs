//! # 06 · Barrier — a round is a box that is filled once
//!
//! | needs | nothing but std |
//! | --- | --- |
//! | reading time | 17 min, exercises not counted |
//! | run it | `cargo run --example ch06_barrier` |
//! | files | [example](../../../../examples/ch06_barrier.rs), [test](../../../../tests/ch06_barrier.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [05](../ch05_semaphore/index.html), [07](../ch07_queue/index.html) |
//!
//! ## Why
//!
//! A semaphore lets a few threads in and knows nothing of the others. Some work goes in steps: all
//! fill their rows, and only then may any of them read the rows of the others. Here the news is
//! "all have arrived", again and again.
//!
//! ## Steps
//!
//! 1. Count the arrivals, and let the last put the count back to 0. It works for one round. In the
//!    next, a fast thread laps a slow one: see the trap.
//! 2. Chapter 04's generation tells the rounds apart: `SmallBarrier`, complete and right, is in the
//!    example. std's `Barrier` is that. If one party dies, the others wait without end.
//! 3. So a wait gets a limit, and `abort` and `reset` arrive. Now a round can end in three ways,
//!    and a generation number says only *that* it has ended. A flag `broken` beside it belongs to
//!    the barrier, not to the round: a thread that wakes late reads what happened after its round.
//! 4. So a round is a box of its own, and its outcome is put in once. Each thread keeps the box of
//!    its round, and reads the same answer however late it wakes.
//!
//! ## Picture
//!
//! ```text
//! wait ──▶ arrived 0, 1, ..  ──(1) the last──▶ action ──(2)──▶ outcome: passed
//!          │  sleep beside the box of this round ◀─ woken ─────┘
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
//! - I1. Nobody passes before all have arrived and the action has returned. What each thread did
//!   before `wait`, and what the action did, is seen by all after it.
//! - I2. Each arrival belongs to one round, and a round has one outcome, which all its threads get,
//!   however late they wake. A fast thread that comes again is in the next round.
//! - I3. The action runs once in each round, on the last thread to arrive, while no lock is held.
//!   It may use the barrier and sees it as the next round does: nobody waiting. To call `abort`
//!   there lets this round pass and breaks the next; to call `wait` waits for those that wait for
//!   you.
//! - I4. A broken barrier stays broken until `reset`; nobody waits at it.
//! - One party never waits.
//!
//! ## The trap
//!
//! One counter for all rounds: the last thread puts it back to 0, and the others sleep *while it is
//! not 0*. The last thread goes on at once, finishes its next step, and arrives again: the count
//! is 1. Only now does a thread of the first round wake up. It reads 1, takes that for its own
//! round, and goes back to sleep. Each waits for the other. The rounds have overlapped.
//!
//! `cargo run --example ch06_barrier -- 0` replays the shortest schedule, in which no thread is
//! even interrupted. With at most two preemptions, 11 of 16 schedules end like that.
//!
//! ## Elsewhere
//!
//! - std: `Barrier` has no limit, no abort, no action.
//! - Python: `threading.Barrier` runs its action under its lock: to touch the barrier there hangs.
//! - Java: `CyclicBarrier` gives each round an object, too; in `Phaser`, parties come and go.
//!
//! ## Try
//!
//! 1. Predict: four threads use a barrier for three, three times each. Can all of them finish?
//! 2. Break: in `complete`, let the round pass before the action runs: put `round.end(Ok(()))` into
//!    the first line. Which tests go red?
//! 3. Extend: build a barrier for one round from a semaphore without permits and a counter.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{error, fmt};

/// A meeting point for a fixed number of threads, round after round.
///
/// # Examples
/// ```
/// use concurrent_explained::Barrier;
///
/// let barrier = Barrier::new(2).with_action(|| println!("both are here"));
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     let mut indices = [barrier.wait().unwrap(), other.join().unwrap().unwrap()];
///     indices.sort();
///     assert_eq!(indices, [0, 1]);
/// });
/// ```
pub struct Barrier {
    parties: usize,
    action: Option<Box<dyn Fn() + Send + Sync>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The round that is filling.
    round: Arc<Round>,
    /// How many have arrived in it: always fewer than `parties`.
    arrived: usize,
    /// Set by the first failure, cleared by `reset` (I4).
    broken: Option<BrokenBy>,
}

type Outcome = Result<(), BarrierError>;

/// A box that is filled once (I2). Its threads keep it as long as they need it, whatever the
/// barrier does meanwhile. Its mutex is taken alone, or while that of the state is held; never the
/// other way round.
#[derive(Default)]
struct Round {
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
}

impl Barrier {
    /// A barrier for `parties` threads.
    ///
    /// # Panics
    /// If `parties` is 0: no thread could be the last.
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier needs at least one party");
        Self { parties, action: None, state: Mutex::default() }
    }

    /// Sets what the last to arrive runs in each round, before anybody is released.
    #[must_use]
    pub fn with_action(self, action: impl Fn() + Send + Sync + 'static) -> Self {
        Self { action: Some(Box::new(action)), ..self }
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
    /// [`BarrierError::Broken`] if the barrier was broken before or meanwhile, `Reset` if it was
    /// reset meanwhile.
    pub fn wait(&self) -> Result<usize, BarrierError> {
        self.wait_timeout(Duration::MAX)
    }

    /// Like [`wait`](Self::wait), but no longer than `limit`. The action of another thread counts
    /// as waiting; the action on this thread takes as long as it takes.
    ///
    /// # Errors
    /// Also [`BarrierError::TimedOut`] if the limit passed, which breaks the barrier.
    pub fn wait_timeout(&self, limit: Duration) -> Result<usize, BarrierError> {
        let deadline = Instant::now().checked_add(limit);
        let mut state = self.state.lock().unwrap();
        if let Some(by) = state.broken {
            return Err(BarrierError::Broken(by)); // (I4)
        }
        let index = state.arrived;
        state.arrived += 1;
        let outcome = if state.arrived == self.parties {
            // (1) A thread that comes from here on is in the next round, even while the action
            // runs. Without this, a fast thread would be counted in the round that it has left.
            let round = state.next_round();
            drop(state); // foreign code comes next (I3)
            self.complete(&round)
        } else {
            let round = Arc::clone(&state.round);
            drop(state); // whatever happens before the sleep, it is in this box
            round.wait(deadline).unwrap_or_else(|| self.give_up(&round))
        };
        outcome.map(|()| index)
    }

    /// Breaks the barrier until [`reset`](Self::reset). A round that is complete still passes.
    ///
    /// # Wakes
    /// Everybody in the round that is filling.
    pub fn abort(&self) {
        self.state.lock().unwrap().fail(BrokenBy::Abort);
    }

    /// Starts anew: a broken barrier works again, and the threads that wait get
    /// [`BarrierError::Reset`]. A complete round still passes.
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
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().arrived
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> bool {
        self.state.lock().unwrap().broken.is_some()
    }

    /// Runs the action, then (2) lets the round pass, unless a limit has broken it meanwhile.
    fn complete(&self, round: &Round) -> Outcome {
        let action = AssertUnwindSafe(|| {
            if let Some(action) = &self.action {
                action(); // (I1)
            }
        });
        if let Err(payload) = catch_unwind(action) {
            let mut state = self.state.lock().unwrap();
            round.end(Err(BarrierError::Broken(BrokenBy::Panic)));
            state.fail(BrokenBy::Panic);
            drop(state); // a panic that passes a mutex in use poisons it
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
    /// Fills the box and wakes its threads, or returns what is in it: the first outcome stays (I2).
    /// Some callers hold the state's mutex. The woken threads do not need that one.
    fn end(&self, outcome: Outcome) -> Option<Outcome> {
        let mut held = self.outcome.lock().unwrap();
        if held.is_some() {
            return *held;
        }
        *held = Some(outcome);
        drop(held);
        self.ended.notify_all();
        None
    }

    /// Waits for the outcome; `None` if the deadline passed first.
    fn wait(&self, deadline: Option<Instant>) -> Option<Outcome> {
        let mut held = self.outcome.lock().unwrap();
        while held.is_none() && !time_left(deadline).is_zero() {
            held = self.ended.wait_timeout(held, time_left(deadline)).unwrap().0;
        }
        *held
    }
}

/// How long a wait may go on: without a deadline, longer than any program runs.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

/// Why a thread did not pass.
#[doc(alias = "BrokenBarrierError")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierError {
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

// Plumbing

/// Does not block: while another thread is at the state, it shows the parties only.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.state.try_lock().map(|state| (state.arrived, state.broken));
        let mut out = f.debug_struct("Barrier"); // the mutex is free again while `f` writes
        out.field("parties", &self.parties);
        let Ok((waiting, broken)) = seen else { return out.finish_non_exhaustive() };
        out.field("waiting", &waiting).field("broken", &broken).finish()
    }
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the limit passed before all had arrived",
            Self::Broken(BrokenBy::Abort) => "the barrier was aborted",
            Self::Broken(BrokenBy::Timeout) => "the barrier broke: another thread's limit passed",
            Self::Broken(BrokenBy::Panic) => "the barrier broke: its action panicked",
            Self::Reset => "the barrier was reset",
        })
    }
}

impl error::Error for BarrierError {}
