//! What is known of another thread: when it ends, and how to wake it.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::{self, step};
use super::runner::{Status, Why, is_asleep_on};
use super::story::{Object, Place};
use real::panic::Location;
use real::thread::{Result, ThreadId};

/// Waits for the end of a thread of the run.
pub(super) fn wait_for(child: usize, at: &'static Location<'static>) {
    let Some(me) = baton::me() else { return };
    me.pause(Place { verb: "join", object: Object::Thread(child), at }, Status::Ready);
    while me.state().runners[child].status != Status::Done {
        me.block(Status::Joining(child));
    }
}

#[track_caller]
fn has_ended(child: Option<usize>) -> Option<bool> {
    let me = step("is_finished", Object::Thread(child?))?;
    let ended = me.state().runners[child?].status == Status::Done;
    Some(ended)
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident $(<$scope:lifetime>)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($scope,)? T> {
            pub(super) number: Option<usize>,
            pub(super) real: real::thread::$name<$($scope,)? T>,
            pub(super) thread: Thread,
        }

        impl<$($scope,)? T> $name<$($scope,)? T> {
            /// Waits for its end; what it returned, or the payload of its panic.
            #[track_caller]
            pub fn join(self) -> Result<T> {
                if let Some(number) = self.number {
                    wait_for(number, Location::caller());
                }
                self.real.join()
            }

            /// Whether it has ended.
            #[track_caller]
            pub fn is_finished(&self) -> bool {
                has_ended(self.number).unwrap_or_else(|| self.real.is_finished())
            }

            /// The thread.
            pub fn thread(&self) -> &Thread {
                &self.thread
            }
        }
    )*};
}

handles! {
    /// [`std::thread::JoinHandle`](real::thread::JoinHandle).
    JoinHandle;
    /// [`std::thread::ScopedJoinHandle`](real::thread::ScopedJoinHandle).
    ScopedJoinHandle<'scope>;
}

/// [`std::thread::Thread`](real::thread::Thread).
#[derive(Clone, Debug)]
pub struct Thread(pub(super) real::thread::Thread);

impl Thread {
    /// Its number among all of the process.
    pub fn id(&self) -> ThreadId {
        self.0.id()
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// Wakes it if it is parked; if not, its next `park` returns at once.
    #[track_caller]
    pub fn unpark(&self) {
        let Some(me) = baton::me() else { return self.0.unpark() };
        let id = Some(self.id());
        let Some(parked) = me.state().runners.iter().position(|runner| runner.id == id) else {
            return self.0.unpark();
        };
        let Some(me) = step("unpark", Object::Thread(parked)) else { return };
        let mut state = me.state();
        state.runners[parked].token = true;
        state.wake(Why::Notified, |status| is_asleep_on(status, parked));
    }
}
