//! Work and outcome in one box: what a pool queues, and what a waiting worker may run by itself.

use super::error::{Error, contain};
use super::{Awaited, Future, Slot};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// One piece of work and the future of its result: two handles on one allocation.
///
/// The workers that have [settled](Home::settle) at `home` may run the work while they wait for it.
/// Whoever holds the job owes it a [`run`](Job::run) or a [`fail`](Job::fail): one that is only
/// dropped leaves its future waiting.
pub fn task<'env, T, F>(home: Home, work: F) -> (Arc<dyn Job + 'env>, Future<'env, T>)
where
    F: FnOnce() -> T + Send + 'env,
    T: Send + 'env,
{
    let task = Arc::new(Task { slot: Slot::default(), work: Mutex::new(Some(work)), home });
    (task.clone(), Future::new(task))
}

/// A task as a queue sees it: something to run, whatever it returns.
pub trait Job: Send + Sync {
    /// Runs the work here, unless somebody has claimed or cancelled it before. `before_news` is
    /// called once in every case: if the work runs here, before anybody can see its outcome.
    fn run(&self, before_news: Option<&dyn Fn()>);

    /// Drops the work unrun and ends the task with `error`, unless somebody has claimed or
    /// cancelled it before.
    fn fail(&self, error: Error);

    /// True once the task has ended and no failure of it is left unread.
    fn is_settled(&self) -> bool;
}

struct Task<'env, F, T> {
    slot: Slot<'env, T>,
    /// Only the one who moved `slot` out of `Pending` takes it (I1). A lock of its own, because the
    /// slot of a task that runs elsewhere has no work beside it.
    work: Mutex<Option<F>>,
    home: Home,
}

impl<F: FnOnce() -> T + Send, T: Send> Job for Task<'_, F, T> {
    fn run(&self, before_news: Option<&dyn Fn()>) {
        if !self.slot.claim() {
            before_news.inspect(|tell| tell());
            return;
        }
        let work = self.work.lock().unwrap().take();
        let outcome = work.map_or(Err(Error::Abandoned), contain);
        self.slot.complete(outcome, before_news);
    }

    fn fail(&self, error: Error) {
        self.slot.end_unrun(error, || self.drop_work());
    }

    fn is_settled(&self) -> bool {
        self.slot.is_settled()
    }
}

impl<'env, F: FnOnce() -> T + Send, T: Send> Awaited<'env, T> for Task<'env, F, T> {
    fn slot(&self) -> &Slot<'env, T> {
        &self.slot
    }

    fn drop_work(&self) {
        let work = self.work.lock().unwrap().take();
        drop(work); // foreign values: two statements, so that the lock is released between them
    }

    fn help(&self) {
        if self.home.is_here() {
            self.home.deeper(&|| self.run(None));
        }
    }
}

/// The pool a task belongs to: only a worker of that pool may run what it waits for. (A thread from
/// outside that did so would break the pool's promises about threads: their number, their names,
/// what their initializer set up.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home(usize);

thread_local! {
    /// The pool this thread works for, and how many tasks it is in the middle of.
    static HERE: Cell<(Home, u32)> = const { Cell::new((Home(0), 0)) };
}

impl Home {
    /// Tasks inside tasks on one stack; beyond it the next goes on with a fresh one, which has
    /// neither the worker's name nor its thread-locals. 2 MiB of stack are 16 KiB for each.
    const DEEPEST: u32 = 128;

    /// A home that no other pool has.
    #[expect(
        clippy::new_without_default,
        reason = "no two are alike, and a default value should be"
    )]
    pub fn new() -> Home {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        Home(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes this thread a worker of the pool.
    pub fn settle(self) {
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
            self.settle();
            run();
        };
        // While the fresh thread runs, this one sleeps: no more tasks are under way at once than
        // before.
        let started = depth >= Home::DEEPEST
            && thread::scope(|scope| {
                thread::Builder::new().spawn_scoped(scope, on_a_fresh_one).is_ok()
            });
        if !started {
            on_this_stack();
        }
    }
}
