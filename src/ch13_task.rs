//! # 13 · Task — work and outcome in one box
//!
//! | needs | [09](super::ch09_outcome), [10](super::ch10_future) |
//! | --- | --- |
//! | reading time | 14 min, exercises not counted |
//! | run it | `cargo run --example ch13_task` |
//! | files | [example](../../../../examples/ch13_task.rs), [test](../../../../tests/ch13_task.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [12](../ch12_workers/index.html), [14](../ch14_backlog/index.html) |
//!
//! ## Why
//!
//! Chapter 12 ends with a promise that it cannot make: a job that waits for another job of the same
//! workers waits in vain, because the thread that could do it is the one that waits. The waiting
//! thread cannot help itself: it has a receiver, and the closure is somewhere in a queue.
//!
//! ## Steps
//!
//! 1. A closure in the queue, a receiver with the caller. Fails on one worker, at the first nested
//!    wait.
//! 2. The closure moves into the future's slot, and the queue holds another handle on that slot. So
//!    a waiting worker sees whether the work has begun; if not, it takes the work and does it.
//! 3. A thread from outside that waits must not do so: it would run work on a thread that the pool
//!    has not started. It has another name, and what a pool does once on each of its threads (open
//!    a connection, say) has not been done there. So a task carries a [`PoolId`], and each worker
//!    knows its own.
//! 4. Waits inside waits are frames on one stack, and 3 000 of them are more than it holds. So the
//!    129th goes on with a fresh stack, on a thread with the worker's name that the pool has
//!    prepared in the same way. The worker sleeps meanwhile.
//!
//! ## Picture
//!
//! ```text
//!                       one allocation
//!   queue ──▶ Arc<dyn Job> ──▶ ┌──────────────────────────┐ ◀── Future<T>
//!             run, fail        │ Pending(work) … Finished │     result, cancel
//!                              └──────────────────────────┘
//!   worker:  (1) job.run ── claims the work, runs it, completes
//!
//!   a worker of the pool that waits:  nobody has begun? (2) claim it, run it
//!   any other thread that waits:      sleeps
//! ```
//!
//! ## Promises
//!
//! - I1. The work runs once, on the first that comes: the queue's worker or the one that waits. The
//!   other finds a job that does nothing.
//! - I2. Nested waits of one pool end, on one worker, at any depth.
//! - I3. Only workers of the task's own pool run its work: threads that have entered the pool, and
//!   fresh stacks of theirs, which have the same name and have been prepared as they were.
//! - I4. A panic of the work is its outcome. The worker goes on.
//! - Not promised: that it ends, if two pools wait for each other in a ring; that a wait with a
//!   limit helps: the work could take longer. Hold no lock over a wait: the task that runs on top
//!   of it may want the same lock.
//!
//! ## The trap
//!
//! To run *any* queued task while waiting. The wait is over when the other task is, and that one
//! may be long, or wait in turn for the task whose frame lies below it on the same stack. Here a
//! worker runs nothing but what it waits for.
//!
//! ## Elsewhere
//!
//! - Python documents the nested wait as a deadlock, and leaves it there.
//! - Java: `ForkJoinTask` is this box; `ThreadPoolExecutor` hangs as Python's does.
//! - rayon: `join` takes its own half back if nobody has stolen it, and else runs other tasks.
//!
//! ## Try
//!
//! 1. Predict: on one worker, a task spawns two others and waits for the second. In which order do
//!    the three begin?
//! 2. Break: let `help` run the work on any thread. Which tests go red?
//! 3. Extend: write `both(pool, f, g)` on the example's pool: `g` is queued, `f` runs on the
//!    calling thread. Is it safe on a worker of the same pool?

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::{Error, catch};
use super::ch10_future::{Future, Slot, Source};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// One piece of work and the future of its result: two handles on one allocation.
///
/// The workers of `pool` may run the work while they wait for it. The holder of the job owes it a
/// [`run`](Job::run) or a [`fail`](Job::fail): one that is only dropped leaves its future waiting.
///
/// # Examples
/// ```
/// use concurrent_explained::ch13_task::{PoolId, task};
///
/// let pool = PoolId::new();
/// pool.enter(); // this thread is the pool's only worker
/// let (_queued, inner) = task(pool, || 6 * 7);
/// assert_eq!(inner.result(), Ok(42)); // nobody has begun it, so it runs right here
/// ```
pub fn task<'env, T, F>(pool: PoolId, work: F) -> (Arc<dyn Job + 'env>, Future<'env, T>)
where
    F: FnOnce() -> T + Send + 'env,
    T: Send + 'env,
{
    let slot = Arc::new(Slot::new(pool, work));
    (slot.clone(), Future::new(slot))
}

/// A task as a queue sees it: something to run, whatever it returns.
pub trait Job: Send + Sync {
    /// Runs the work here, unless somebody has claimed or cancelled it before (I1). `last` is
    /// called once in every case: see [`Slot::complete`].
    fn run(&self, last: &dyn Fn());

    /// Drops the work unrun and ends the task with `error`, unless somebody has claimed or
    /// cancelled it before.
    fn fail(&self, error: Error);

    /// True once the task has ended and no failure of it is left unread.
    fn is_accounted_for(&self) -> bool;

    /// True if the work is surely gone, so that a queue may forget the job. Never blocks.
    fn is_stale(&self) -> bool;
}

impl<F: FnOnce() -> T + Send, T: Send> Job for Slot<'_, PoolId, F, T> {
    fn run(&self, last: &dyn Fn()) {
        Slot::run(self, last); // (1)
    }

    fn fail(&self, error: Error) {
        Slot::fail(self, error);
    }

    fn is_accounted_for(&self) -> bool {
        Slot::is_accounted_for(self)
    }

    fn is_stale(&self) -> bool {
        Slot::is_stale(self)
    }
}

/// Behind a task stands the pool it belongs to: only a worker of that pool may run what it waits
/// for (I3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolId(u32);

/// Prepares a thread for the tasks of a pool; false if it cannot. Chapter 15's pool lets its user
/// say what that is; a pool with nothing to prepare calls [`PoolId::enter`].
pub type Prepare = Arc<dyn Fn() -> bool + Send + Sync>;

thread_local! {
    /// The pool this thread works for, and how many tasks it runs inside waits of other tasks.
    static HERE: Cell<(PoolId, u32)> = const { Cell::new((PoolId(0), 0)) };
    /// How a fresh stack of this worker is prepared.
    static PREPARE: RefCell<Option<Prepare>> = const { RefCell::new(None) };
}

impl<F: FnOnce() -> T + Send, T> Source<F, T> for PoolId {
    fn help(&self, run: &(dyn Fn() + Sync)) -> bool {
        if self.is_here() {
            self.deeper(run); // (2)
        }
        self.is_here()
    }

    fn run(&self, work: F) -> Result<T, Error> {
        catch(work) // (I4)
    }
}

impl PoolId {
    /// Tasks inside tasks on one stack. 2 MiB, what Rust gives a thread, are 16 KiB for each.
    const DEEPEST: u32 = 128;

    /// An id that no other pool has.
    pub fn new() -> PoolId {
        static LAST: AtomicU32 = AtomicU32::new(0);
        PoolId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes this thread a worker of the pool.
    pub fn enter(self) {
        HERE.set((self, 0));
    }

    /// Makes this thread a worker of the pool, whose fresh stacks `prepare` prepares.
    pub fn enter_with(self, prepare: Prepare) {
        self.enter();
        PREPARE.set(Some(prepare));
    }

    /// True on a worker of the pool.
    pub fn is_here(self) -> bool {
        HERE.get().0 == self
    }

    /// Calls `run` one task deeper (I2).
    fn deeper(self, run: &(dyn Fn() + Sync)) {
        let (_, depth) = HERE.get();
        if depth >= PoolId::DEEPEST && self.on_a_fresh_stack(run) {
            return;
        }
        HERE.set((self, depth + 1));
        run();
        HERE.set((self, depth));
    }

    /// False if there is no such thread, or it cannot be prepared: then `run` was not called.
    fn on_a_fresh_stack(self, run: &(dyn Fn() + Sync)) -> bool {
        let prepare = PREPARE.with_borrow(Option::clone);
        let name = thread::current().name().unwrap_or("worker").to_owned();
        let life = move || {
            self.enter();
            let ready = prepare.as_ref().is_none_or(|prepare| prepare());
            PREPARE.set(prepare);
            if ready {
                run();
            }
            ready
        };
        // This thread sleeps until the other has ended: no more tasks are under way at once than
        // before. (That is why `run` is `Fn + Sync`: it may be called on another thread.) If the
        // other panics all the same, `run` may have been called, and must not be called again:
        // true.
        thread::scope(|scope| match thread::Builder::new().name(name).spawn_scoped(scope, life) {
            Ok(fresh) => fresh.join().unwrap_or(true),
            Err(_) => false,
        })
    }
}
