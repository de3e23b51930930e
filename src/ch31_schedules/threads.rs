//! `std::thread`: real threads, which wait for the baton before they begin.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::{me, step};
use super::clock::Duration;
use super::state::Status;
use super::story::{Why, letter};
use real::io;
use real::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use real::sync::Mutex;
pub use real::thread::{Result, Thread, ThreadId, available_parallelism, current, panicking};

// The two handles differ in nothing but their lifetime. In a run a thread has a number, and its end
// is waited for by that number first. The real `join` that follows does not wait: what is left of
// the thread then is no part of the program.
macro_rules! handles {
    ($($name:ident $(<$scope:lifetime>)?;)*) => {$(
        /// The handle of the same name in [`std::thread`](real::thread).
        #[derive(Debug)]
        pub struct $name<$($scope,)? T> {
            number: Option<usize>,
            real: real::thread::$name<$($scope,)? T>,
        }

        impl<$($scope,)? T> $name<$($scope,)? T> {
            /// Waits for its end; what it returned, or the payload of its panic.
            #[track_caller]
            pub fn join(self) -> Result<T> {
                wait_for(self.number, Location::caller());
                self.real.join()
            }

            /// Whether it has ended.
            #[track_caller]
            pub fn is_finished(&self) -> bool {
                has_ended(self.number).unwrap_or_else(|| self.real.is_finished())
            }

            /// The thread.
            pub fn thread(&self) -> &Thread {
                self.real.thread()
            }
        }
    )*};
}

handles! {
    JoinHandle;
    ScopedJoinHandle<'scope>;
}

/// Waits for the end of a thread of the run. Not `#[track_caller]`, since a scope says where it is.
fn wait_for(child: Option<usize>, at: &'static Location<'static>) {
    if let (Some(me), Some(child)) = (me(), child) {
        me.pause(format!("join {}", letter(child)), at, Status::Ready);
        me.block(Status::Joining(child));
    }
}

#[track_caller]
fn has_ended(child: Option<usize>) -> Option<bool> {
    let me = step(&format!("is_finished {}", letter(child?)))?;
    let ended = me.state().runners[child?].status == Status::Done;
    Some(ended)
}

/// [`std::thread::Builder`](real::thread::Builder).
#[derive(Debug)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder(real::thread::Builder);

impl Builder {
    /// A thread without a name.
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
    ///
    /// # Errors
    /// If the system has no thread left. In a run that is the end: it waits for a thread that never
    /// comes, and is reported as blocked.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let (number, life) = life(body);
        Ok(JoinHandle { number, real: self.0.spawn(life)? })
    }

    /// Starts it in a scope.
    #[track_caller]
    pub fn spawn_scoped<'scope, T: Send + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let (number, life) = life(body);
        scope.children.lock().unwrap().push(number);
        Ok(ScopedJoinHandle { number, real: self.0.spawn_scoped(scope.real, life)? })
    }
}

/// What a new thread does: inside of a run, where it has a number, it waits for the baton first.
///
/// To spawn is a step of the thread that does it. Whether the new one goes first or the old one
/// goes on, is the choice at the next step of the old one.
#[track_caller]
fn life<T>(body: impl FnOnce() -> T) -> (Option<usize>, impl FnOnce() -> T) {
    let at = Location::caller();
    let child = step("spawn").map(|me| me.add(at));
    let number = child.as_ref().map(|child| child.number);
    let life = move || match child {
        Some(child) => child.live(body),
        None => body(),
    };
    (number, life)
}

/// Starts a thread.
#[track_caller]
pub fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(body).expect("failed to spawn thread")
}

/// [`std::thread::Scope`](real::thread::Scope).
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    real: &'scope real::thread::Scope<'scope, 'env>,
    children: Mutex<Vec<Option<usize>>>,
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that may borrow.
    #[track_caller]
    pub fn spawn<T: Send + 'scope>(
        &'scope self,
        body: impl FnOnce() -> T + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, T> {
        Builder::new().spawn_scoped(self, body).expect("failed to spawn thread")
    }
}

/// Lends to threads what lives longer than this call, which waits for their end.
#[track_caller]
pub fn scope<'env, T>(body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    let at = Location::caller();
    real::thread::scope(|real| {
        // What is lent for `'scope` must live outside of this closure: a few bytes stay behind.
        let scope: &Scope<'_, 'env> =
            Box::leak(Box::new(Scope { real, children: Mutex::default() }));
        let outcome = catch_unwind(AssertUnwindSafe(|| body(scope)));
        // The real scope waits too, but with the baton in its hand: so all children must have ended
        // before it does. A child may start children: look again after each.
        loop {
            let child = scope.children.lock().unwrap().pop();
            let Some(child) = child else { break };
            wait_for(child, at);
        }
        // The real scope panics if a child did that nobody has joined.
        outcome.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

/// For how many looks a thread may be too fast for the others: more than a loop here makes.
const SPINS: usize = 32;

/// Lets others go first: it goes on once another thread has made a step, or none can.
///
/// It is no free choice. Were it one, a loop that looks until something happens would have a
/// schedule for each number of looks, without end. But a loop that looks a few times and then
/// sleeps may come to its end before anybody moves. So there is one choice more, the first time:
/// not to let them, this time and the next ones. It counts as a preemption.
#[track_caller]
pub fn yield_now() {
    let Some(me) = me() else { return real::thread::yield_now() };
    if let Some(left @ 1..) = &mut me.state().runners[me.number].spins {
        *left -= 1;
        return;
    }
    if me.pause("yield".into(), Location::caller(), Status::Yielded) == Why::Spins {
        me.state().runners[me.number].spins = Some(SPINS);
    }
}

/// Sleeps, in a run until nobody else can go on, or earlier, by choice. No name here unparks.
#[track_caller]
pub fn park_timeout(limit: Duration) {
    match step("sleep") {
        Some(me) => _ = me.sleep(0, limit),
        None => real::thread::park_timeout(limit),
    }
}
