//! `std::thread`: real threads, which wait for the baton before they begin.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::{self, Me, step};
use super::clock::Duration;
use super::handle::{JoinHandle, ScopedJoinHandle, Thread, wait_for};
use super::runner::Status;
use super::story::{Object, Place};
use real::boxed::Box;
use real::io;
use real::num::NonZero;
use real::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use real::string::String;
use real::sync::Mutex;
pub use real::thread::{AccessError, LocalKey, Result, ThreadId, panicking};
use real::vec::Vec;

/// Starts a thread.
#[track_caller]
pub fn spawn<F, T>(body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(body).expect("failed to spawn thread")
}

/// [`std::thread::Builder`](real::thread::Builder).
#[derive(Debug)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder(real::thread::Builder);

impl Builder {
    /// A thread without a name.
    #[expect(clippy::new_without_default, reason = "as in std")]
    pub fn new() -> Self {
        Builder(real::thread::Builder::new())
    }

    /// Names the thread.
    pub fn name(self, name: String) -> Self {
        Builder(self.0.name(name))
    }

    /// Sets the size of its stack.
    pub fn stack_size(self, size: usize) -> Self {
        Builder(self.0.stack_size(size))
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn<F, T>(self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let at = Location::caller();
        let me = step("spawn", Object::Nothing).map(|me| me.add(at));
        let number = me.as_ref().map(|me| me.number);
        let real = self.0.spawn(life(me, body));
        started(number, real.as_ref().ok().map(|real| real.thread().id()));
        let real = real?;
        let thread = Thread(real.thread().clone());
        Ok(JoinHandle { number, real, thread })
    }

    /// Starts it in a scope.
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let at = Location::caller();
        let me = step("spawn", Object::Nothing).map(|me| me.add(at));
        let number = me.as_ref().map(|me| me.number);
        let real = self.0.spawn_scoped(scope.real, life(me, body));
        started(number, real.as_ref().ok().map(|real| real.thread().id()));
        let real = real?;
        scope.children.lock().unwrap().extend(number);
        let thread = Thread(real.thread().clone());
        Ok(ScopedJoinHandle { number, real, thread })
    }
}

/// What a new thread does: inside of a run it waits for the baton first.
fn life<T>(me: Option<Me>, body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || match me {
        None => body(),
        Some(me) => me.live(body).unwrap_or_else(|payload| resume_unwind(payload)),
    }
}

/// Enters a thread of the run with its real id, or as ended if it could not be started.
fn started(child: Option<usize>, id: Option<ThreadId>) {
    if let (Some(me), Some(child)) = (baton::me(), child) {
        let runner = &mut me.state().runners[child];
        runner.id = id;
        if id.is_none() {
            runner.status = Status::Done;
        }
    }
}

/// [`std::thread::Scope`](real::thread::Scope).
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    real: &'scope real::thread::Scope<'scope, 'env>,
    children: Mutex<Vec<usize>>,
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that may borrow.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, body: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Builder::new().spawn_scoped(self, body).expect("failed to spawn thread")
    }
}

/// Lends to threads what lives longer than this call, which waits for their end.
#[track_caller]
pub fn scope<'env, F, T>(body: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let at = Location::caller();
    real::thread::scope(|real| {
        // What is lent for `'scope` must live outside of this closure: a few bytes stay behind.
        let scope: &Scope<'_, 'env> =
            Box::leak(Box::new(Scope { real, children: Mutex::default() }));
        let outcome = catch_unwind(AssertUnwindSafe(|| body(scope)));
        loop {
            // A child may start children: look again after each.
            let child = scope.children.lock().unwrap().pop();
            match child {
                Some(child) => wait_for(child, at),
                None => break,
            }
        }
        outcome.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

/// The thread that calls.
pub fn current() -> Thread {
    Thread(real::thread::current())
}

/// Waits for an `unpark`.
#[track_caller]
pub fn park() {
    match step("park", Object::Nothing) {
        Some(me) => me.park(None),
        None => real::thread::park(),
    }
}

/// Waits for an `unpark`, but no longer than `limit`.
#[track_caller]
pub fn park_timeout(limit: Duration) {
    match step("park", Object::Nothing) {
        Some(me) => me.park(Some(limit)),
        None => real::thread::park_timeout(limit),
    }
}

/// Lets others go first: it goes on once another thread has made a step, or none can. That it does
/// not let them, and so comes to the end of a loop that looks a few times, counts as a preemption.
#[track_caller]
pub fn yield_now() {
    let place = Place { verb: "yield", object: Object::Nothing, at: Location::caller() };
    match baton::me() {
        Some(me) if me.spins() => {}
        Some(me) => me.pause(place, Status::Yielded),
        None => real::thread::yield_now(),
    }
}

/// Sleeps: until time passes because nobody can go on, or earlier, by choice.
#[track_caller]
pub fn sleep(limit: Duration) {
    match step("sleep", Object::Nothing) {
        Some(me) => _ = me.sleep(usize::MAX, Some(limit)),
        None => real::thread::sleep(limit),
    }
}

/// Two inside of a run, so that every machine explores the same.
pub fn available_parallelism() -> io::Result<NonZero<usize>> {
    match baton::me() {
        Some(_) => Ok(NonZero::<usize>::MIN.saturating_add(1)),
        None => real::thread::available_parallelism(),
    }
}
