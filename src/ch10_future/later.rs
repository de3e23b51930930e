//! Done callbacks that complete promises: a loop instead of a recursion.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;

type Steps = VecDeque<Box<dyn FnOnce()>>;

thread_local! {
    /// This thread is in the middle of done callbacks.
    static IN_CALLBACKS: Cell<bool> = const { Cell::new(false) };
    /// What they have put off, oldest first. Never dropped, so that a thread may still complete a
    /// promise while it drops its other thread-locals; empty between two rounds of callbacks.
    static LATER: ManuallyDrop<RefCell<Steps>> =
        const { ManuallyDrop::new(RefCell::new(VecDeque::new())) };
}

/// Runs `step` now, or puts it off if this thread is in the middle of done callbacks.
///
/// A promise that is completed by a callback completes after that callback. Done at once, a chain
/// of promises, each completed by a callback of the one before, would be as deep on the stack as it
/// is long (I6).
pub(super) fn now_or_later(step: impl FnOnce() + 'static) {
    if IN_CALLBACKS.get() {
        LATER.with(|later| later.borrow_mut().push_back(Box::new(step)));
    } else {
        step();
    }
}

/// Runs `callbacks`; if no others of this thread surround them, then also what they put off.
pub(super) fn run_callbacks(callbacks: impl FnOnce()) {
    let outermost = !IN_CALLBACKS.replace(true);
    callbacks();
    if outermost {
        run_put_off();
        IN_CALLBACKS.set(false);
        LATER.with(|later| later.take()); // the memory of a long chain is given back
    }
}

/// Runs what this thread has put off so far. A callback that waits calls this first: it may wait
/// for what it has put off itself.
pub(super) fn run_put_off() {
    let next = || LATER.with(|later| later.borrow_mut().pop_front());
    while let Some(step) = next() {
        step();
    }
}
