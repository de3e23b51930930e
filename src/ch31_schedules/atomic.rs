//! Atomic numbers, each access a step, every ordering the strongest: weak memory is not explored.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::step_on;
use real::fmt::Debug;
use real::sync::atomic;
pub use real::sync::atomic::Ordering;
use real::sync::atomic::Ordering::SeqCst;

/// A step, and the value that it saw or left there in its row of the story.
///
/// The program's own `Ordering` is not used. With `SeqCst` everywhere a run is one order of steps,
/// and that is what is explored. A program that is right here may yet be wrong on a machine that
/// lets two threads see two orders.
#[track_caller]
fn access<N, R: Debug>(verb: &'static str, number: &N, access: impl FnOnce(&N) -> R) -> R {
    let me = step_on(verb, 'N', number);
    let value = access(number);
    if let Some(me) = me {
        me.note(&format!(" = {value:?}"));
    }
    value
}

// A name, its value, and the methods that change it and say what it was.
macro_rules! atomics {
    ($($name:ident, $value:ty: $($change:ident)*;)*) => {$(
        /// The number of the same name in [`std::sync::atomic`](atomic).
        #[derive(Debug, Default)]
        pub struct $name(atomic::$name);

        impl $name {
            /// A number that threads may share.
            pub const fn new(value: $value) -> Self {
                $name(atomic::$name::new(value))
            }

            /// Its value.
            #[track_caller]
            pub fn load(&self, _: Ordering) -> $value {
                access("load", &self.0, |number| number.load(SeqCst))
            }

            /// Gives it a value.
            #[track_caller]
            pub fn store(&self, value: $value, _: Ordering) {
                access("store", &self.0, |number| {
                    number.store(value, SeqCst);
                    value
                });
            }

            /// The value.
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            $(
                /// Changes it, and says what it was.
                #[track_caller]
                pub fn $change(&self, value: $value, _: Ordering) -> $value {
                    access(stringify!($change), &self.0, |number| number.$change(value, SeqCst))
                }
            )*
        }
    )*};
}

atomics! {
    AtomicBool, bool: swap fetch_or;
    AtomicU32, u32: swap fetch_add fetch_sub;
    AtomicUsize, usize: swap fetch_add fetch_sub fetch_max;
}
