//! What the threads of a pool share: the state under its lock, and who they are.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::settings::Settings;
use super::state::State;
use std::collections::HashSet;
use std::io;
use std::process::ChildStdin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::Instant;

pub(super) struct Shared {
    state: Mutex<State<ChildStdin>>,
    pub(super) settings: Arc<Settings>,
    /// The id of the youngest call.
    pub(super) last_id: AtomicU64,
    /// The threads of the pool, but those that carry one long request and end.
    crew: Mutex<HashSet<ThreadId>>,
    /// Callers of `shutdown` sleep here, until the last thread ends.
    all_gone: Condvar,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Shared {
            state: Mutex::new(State::new(settings.clone())),
            settings,
            last_id: AtomicU64::new(0),
            crew: Mutex::default(),
            all_gone: Condvar::new(),
        }
    }

    /// The state, and in it the time: read before the lock is taken, as everybody wants that.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<ChildStdin>> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        state.now = state.now.max(now);
        state
    }

    /// Starts a thread of the pool.
    ///
    /// # Errors
    /// There is none to be had.
    pub(super) fn start_thread(
        self: &Arc<Self>,
        name: String,
        body: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> io::Result<()> {
        let shared = self.clone();
        // The lock is held until the thread is in the list: it may end before this call does.
        let mut crew = self.crew.lock().unwrap();
        let thread = thread::Builder::new().name(name).spawn(move || {
            body(&shared);
            shared.leave(thread::current().id());
        })?;
        crew.insert(thread.thread().id());
        Ok(())
    }

    /// Nobody waits for this thread from here on: it ends; or it may wait for another process, for
    /// as long as that lives. (I5)
    pub(super) fn leave(&self, thread: ThreadId) {
        let mut crew = self.crew.lock().unwrap();
        crew.remove(&thread);
        // A thread starts others before it leaves, so an empty list means that nothing is under
        // way.
        let last = crew.is_empty();
        drop(crew);
        if last {
            self.all_gone.notify_all();
        }
    }

    /// Waits until the last thread has nothing left to do. On one of them it would wait for itself:
    /// a callback that calls `shutdown`, or drops the pool, goes on at once.
    pub(super) fn join(&self) {
        let me = thread::current().id();
        let mut crew = self.crew.lock().unwrap();
        while !crew.is_empty() && !crew.contains(&me) {
            crew = self.all_gone.wait(crew).unwrap();
        }
    }
}
