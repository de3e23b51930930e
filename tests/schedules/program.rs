//! A small program over a chapter, and how many schedules it has.

use concurrent_explained::ch31_schedules::Limits;
use real::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::atomic::AtomicUsize;

/// Two or three threads whose every schedule ends, and breaks no `assert`.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) limits: fn() -> Limits,
    pub(crate) run: fn(),
    /// How many schedules there are within the limits.
    pub(crate) schedules: usize,
}

/// Functions with their limits and the number of their schedules, and a list of them.
macro_rules! programs {
    ($($(#[$doc:meta])* fn $name:ident($limits:expr, $schedules:expr) $body:block)*) => {
        $($(#[$doc])* fn $name() $body)*

        pub(crate) const PROGRAMS: &[$crate::program::Program] = &[$(
            $crate::program::Program {
                name: stringify!($name),
                limits: || $limits,
                run: $name,
                schedules: $schedules,
            },
        )*];
    };
}
pub(crate) use programs;

/// A place for one thread at a time.
#[derive(Default)]
pub(crate) struct Alone {
    is_taken: AtomicBool, // std's own: no step
    step: AtomicUsize,
}

impl Alone {
    /// One step long, so that another thread can come meanwhile.
    pub(crate) fn visit(&self) {
        assert!(!self.is_taken.swap(true, SeqCst), "two threads are inside");
        self.step.load(SeqCst);
        self.is_taken.store(false, SeqCst);
    }
}

/// No preemption, one, two.
pub(crate) fn bound(preemptions: usize) -> Limits {
    Limits::preemptions(preemptions)
}

/// The same, and one thread may wake up for nothing.
pub(crate) fn spurious(preemptions: usize) -> Limits {
    Limits { spurious: 1, ..bound(preemptions) }
}
