//! What the threads of a pool share: the state under its lock, and the threads themselves.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::settings::Settings;
use super::state::State;
use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::process::ChildStdin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, ThreadId};

pub(super) struct Shared {
    state: Mutex<State<ChildStdin>>,
    pub(super) settings: Settings,
    /// The id of the youngest call.
    pub(super) last_id: AtomicU64,
    /// The clock sleeps here.
    pub(super) tick: Condvar,
    crew: Mutex<Crew>,
    /// Callers of `shutdown` sleep here, until the last thread ends.
    all_gone: Condvar,
}

/// The threads of a pool, but those that carry one long request and end.
#[derive(Default)]
struct Crew {
    at_work: HashMap<ThreadId, JoinHandle<()>>,
    /// They have said that they end, and are to be joined.
    ending: Vec<JoinHandle<()>>,
    has_clock: bool,
}

// A callback runs on a thread of the pool. If it calls `shutdown`, or drops the pool, waiting for
// all threads would be waiting for itself.
thread_local! {
    /// The pool this thread belongs to, by its address; 0 if to none.
    static POOL: Cell<usize> = const { Cell::new(0) };
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Shared {
            state: Mutex::new(State::new()),
            settings,
            last_id: AtomicU64::new(0),
            tick: Condvar::new(),
            crew: Mutex::default(),
            all_gone: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<ChildStdin>> {
        self.state.lock().unwrap()
    }

    /// What tells one pool from another while both live. It is compared, never followed.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// True on a thread of this pool: one that must not wait for all threads of this pool.
    pub(super) fn is_here(&self) -> bool {
        POOL.get() == self.address()
    }

    /// Starts a thread of the pool.
    ///
    /// # Errors
    /// There is none to be had.
    pub(super) fn start_thread(
        self: &Arc<Self>,
        name: String,
        life: impl FnOnce(Arc<Shared>) + Send + 'static,
    ) -> io::Result<()> {
        let shared = self.clone();
        let body = move || {
            // Before anything of the user's can run on this thread.
            POOL.set(shared.address());
            life(shared.clone());
            shared.leave();
        };
        // The lock is held until the thread is in the list: it may end before this call does.
        let mut crew = self.crew.lock().unwrap();
        let thread = thread::Builder::new().name(name).spawn(body)?;
        crew.ending.retain(|thread| !thread.is_finished()); // or the list would grow with each process
        crew.at_work.insert(thread.thread().id(), thread);
        Ok(())
    }

    /// Starts the clock, the first time.
    pub(super) fn start_clock(
        self: &Arc<Self>,
        life: impl FnOnce(Arc<Shared>) + Send + 'static,
    ) -> io::Result<()> {
        // Claimed before it is started, so that of two callers one starts it.
        if std::mem::replace(&mut self.crew.lock().unwrap().has_clock, true) {
            return Ok(());
        }
        let started = self.start_thread("clock".to_owned(), life);
        self.crew.lock().unwrap().has_clock = started.is_ok();
        started
    }

    /// This thread ends.
    fn leave(&self) {
        let mut crew = self.crew.lock().unwrap();
        // A thread that was replaced is not in the list any more.
        let me = crew.at_work.remove(&thread::current().id());
        crew.ending.extend(me);
        // A thread starts others before it leaves, so an empty list means that nothing is under
        // way.
        let last = crew.at_work.is_empty();
        drop(crew);
        if last {
            self.all_gone.notify_all();
        }
    }

    /// Waits no longer for a thread that may wait for another process, for as long as that lives.
    /// (I5)
    pub(super) fn forget_thread(&self, thread: ThreadId) {
        drop(self.crew.lock().unwrap().at_work.remove(&thread));
    }

    /// Waits until the last thread has ended, unless this is one.
    pub(super) fn join(&self) {
        if self.is_here() {
            return;
        }
        let mut crew = self.crew.lock().unwrap();
        while !crew.at_work.is_empty() {
            crew = self.all_gone.wait(crew).unwrap();
        }
        // They have left, but run their last lines still: joined, not even their stacks are left.
        // (I5)
        let ending = std::mem::take(&mut crew.ending);
        drop(crew);
        for thread in ending {
            let _ = thread.join();
        }
    }
}
