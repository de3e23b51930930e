//! Atomic numbers, each access a step, every ordering the strongest: weak memory is not explored.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::step;
use super::story::Object;
use real::fmt::Debug;
use real::format;
use real::sync::atomic;
pub use real::sync::atomic::Ordering;
use real::sync::atomic::Ordering::SeqCst;

macro_rules! atomics {
    ($($name:ident, $value:ty;)*) => {$(
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
                self.step("load", |number| number.load(SeqCst))
            }

            /// Gives it a value.
            #[track_caller]
            pub fn store(&self, value: $value, _: Ordering) {
                self.step("store", |number| {
                    number.store(value, SeqCst);
                    value
                });
            }

            /// Gives it a value, and says which one it had.
            #[track_caller]
            pub fn swap(&self, value: $value, _: Ordering) -> $value {
                self.step("swap", |number| number.swap(value, SeqCst))
            }

            /// Gives it the value `new` if it has the value `old`.
            ///
            /// # Errors
            /// The value it has, if that is another one.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                _: Ordering,
                _: Ordering,
            ) -> Result<$value, $value> {
                self.step("compare_exchange", |n| n.compare_exchange(old, new, SeqCst, SeqCst))
            }

            /// The value.
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            #[track_caller]
            fn step<R: Debug>(&self, verb: &'static str, access: impl FnOnce(&atomic::$name) -> R) -> R {
                let me = step(verb, Object::Atomic((&raw const self.0).addr()));
                let value = access(&self.0);
                if let Some(me) = me {
                    me.state().story.add(|| format!(" = {value:?}"));
                }
                value
            }
        }
    )*};
}

macro_rules! counting {
    ($($name:ident, $value:ty: $($call:ident)*;)*) => {$(
        impl $name {$(
            /// Changes it, and says what it was.
            #[track_caller]
            pub fn $call(&self, value: $value, _: Ordering) -> $value {
                self.step(stringify!($call), |number| number.$call(value, SeqCst))
            }
        )*}
    )*};
}

atomics! {
    AtomicBool, bool;
    AtomicU32, u32;
    AtomicU64, u64;
    AtomicUsize, usize;
}

counting! {
    AtomicBool, bool: fetch_and fetch_or;
    AtomicU32, u32: fetch_add fetch_sub fetch_max;
    AtomicU64, u64: fetch_add fetch_sub fetch_max;
    AtomicUsize, usize: fetch_add fetch_sub fetch_max;
}
