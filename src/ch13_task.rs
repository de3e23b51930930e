//! HEADER

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::ch09_outcome::{Error, catch};
use super::ch10_future::{Future, Slot, Source};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// One piece of work and the future of its result: two handles on one allocation.
///
/// The workers of `pool` may run the work while they wait for it. The holder of the job owes it a
/// [`run`](Job::run) or a [`fail`](Job::fail): one that is only dropped leaves its future waiting.
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
    /// Runs the work here, unless somebody has claimed or cancelled it before. `last` is called once
    /// in every case: see [`Slot::complete`].
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
        Slot::run(self, last);
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
/// for. (A thread from outside that did so would break the pool's promises about threads: their
/// number, their names, what their initializer set up.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolId(u32);

thread_local! {
    /// The pool this thread works for, and how many tasks it is in the middle of.
    static HERE: Cell<(PoolId, u32)> = const { Cell::new((PoolId(0), 0)) };
}

impl<F: FnOnce() -> T + Send, T> Source<F, T> for PoolId {
    fn help(&self, run: &(dyn Fn() + Sync)) {
        if self.is_here() {
            self.deeper(run);
        }
    }

    fn run(&self, work: F) -> Result<T, Error> {
        catch(work)
    }
}

impl PoolId {
    /// Tasks inside tasks on one stack; beyond it the next goes on with a fresh one, which has
    /// neither the worker's name nor its thread-locals. 2 MiB of stack are 16 KiB for each.
    const DEEPEST: u32 = 128;

    /// An id that no other pool has.
    #[expect(clippy::new_without_default, reason = "no two are alike, and a default should be")]
    pub fn new() -> PoolId {
        static LAST: AtomicU32 = AtomicU32::new(0);
        PoolId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes this thread a worker of the pool.
    pub fn enter(self) {
        HERE.set((self, 0));
    }

    /// True on a worker of the pool.
    pub fn is_here(self) -> bool {
        HERE.get().0 == self
    }

    fn deeper(self, run: &(dyn Fn() + Sync)) {
        let (_, depth) = HERE.get();
        let on_this_stack = || {
            HERE.set((self, depth + 1));
            run();
            HERE.set((self, depth));
        };
        let on_a_fresh_one = || {
            self.enter();
            run();
        };
        // While the fresh thread runs, this one sleeps: no more tasks are under way at once than
        // before.
        let started = depth >= PoolId::DEEPEST
            && thread::scope(|scope| {
                thread::Builder::new().spawn_scoped(scope, on_a_fresh_one).is_ok()
            });
        if !started {
            on_this_stack();
        }
    }
}
