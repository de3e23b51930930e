//! The levels: a wrong version of something in the book, how it can break, and the right one.

use concurrent_explained::ch31_schedules::{Limits, watch};
use std::fmt::Debug;
use std::sync::Mutex;

pub(crate) struct Level {
    pub(crate) name: &'static str,
    pub(crate) goal: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) wrong: fn(),
    pub(crate) right: fn(),
    /// The limits of both proofs: that the wrong one breaks, that the right one does not.
    pub(crate) limits: fn() -> Limits,
    /// Picks that break the wrong one; then the first way, to the end.
    pub(crate) solution: &'static str,
}

fn all() -> Limits {
    Limits::all()
}

fn one_preemption() -> Limits {
    Limits::preemptions(1)
}

fn no_preemption() -> Limits {
    Limits::preemptions(0)
}

fn two_preemptions() -> Limits {
    Limits::preemptions(2)
}

fn one_spurious() -> Limits {
    Limits { spurious: 1, ..Limits::preemptions(1) }
}

/// A value as the player sees it: without a step.
fn look<T: Debug>(value: &Mutex<T>) -> String {
    value.try_lock().map_or("(locked)".into(), |value| format!("{:?}", *value))
}

pub(crate) const LEVELS: &[Level] = &[
    Level {
        name: "counter",
        goal: "A and B both add 1 to the same number. Make one of the additions get lost.",
        hint: "Stop A after its load, before its store. Then B.",
        wrong: counter::wrong,
        right: counter::right,
        limits: all,
        solution: "01",
    },
    Level {
        name: "lost_wake_up",
        goal: "B waits for a lock that A gives back. Make B sleep for good by a free lock.",
        hint: "B has looked. Now A tells the news, and nobody sleeps yet who could hear it.",
        wrong: lost_wake_up::wrong,
        right: lost_wake_up::right,
        limits: all,
        solution: "101",
    },
    Level {
        name: "if_for_while",
        goal: "A has the lock, B and C want it. Get both of them inside at once.",
        hint: "Let B sleep and A wake it. Before B goes on, C may be faster.",
        wrong: if_for_while::wrong,
        right: if_for_while::right,
        limits: two_preemptions,
        solution: "002002",
    },
    Level {
        name: "spurious_wake_up",
        goal: "The same lock, A and B only. B may wake up for nothing, once: get it inside too.",
        hint: "Let B sleep, and wake it while A still has the lock.",
        wrong: spurious_wake_up::wrong,
        right: spurious_wake_up::right,
        limits: one_spurious,
        solution: "1001",
    },
    Level {
        name: "two_kinds",
        goal: "Some wait for `full`, some for not `full`, on one condvar. Make all of them sleep.",
        hint: "A notification that wakes the wrong kind is used up: that one sleeps again.",
        wrong: two_kinds::wrong,
        right: two_kinds::right,
        limits: no_preemption,
        solution: "000000000001",
    },
    Level {
        name: "set_then_clear",
        goal: "A sets a flag, notifies B, lets it go first, and clears the flag. Leave B asleep.",
        hint: "B is awake, but it still has to lock and look. Let A go on before it does.",
        wrong: set_then_clear::wrong,
        right: set_then_clear::right,
        limits: one_preemption,
        solution: "00001",
    },
    Level {
        name: "barrier_rounds",
        goal: "A and B meet twice at a barrier that counts to 2. Let one run ahead by a round.",
        hint: "The one that comes last need not let the other look before it comes again.",
        wrong: barrier_rounds::wrong,
        right: barrier_rounds::right,
        limits: one_preemption,
        solution: "001",
    },
    Level {
        name: "one_condvar",
        goal: "Two push, two pop, there is room for one, on one condvar. Make all of them sleep.",
        hint: "It needs 2 · capacity < producers + consumers, and no preemption.",
        wrong: one_condvar::wrong,
        right: one_condvar::right,
        limits: no_preemption,
        solution: "000020020000000001",
    },
    Level {
        name: "cancel_or_complete",
        goal: "A cancels and B completes the same promise. Make both believe to be the first.",
        hint: "Both look first. Then both write.",
        wrong: cancel_or_complete::wrong,
        right: cancel_or_complete::right,
        limits: one_preemption,
        solution: "01",
    },
    Level {
        name: "callback",
        goal: "A adds a callback while B completes the promise. Make nobody call it.",
        hint: "It is not done yet, says the look. Now it is.",
        wrong: callback::wrong,
        right: callback::right,
        limits: one_preemption,
        solution: "01",
    },
    Level {
        name: "nested_wait",
        goal: "On a pool of one thread, a task waits for another task. Make it wait for good.",
        hint: "B is the worker. C brings the task that waits: let it be first.",
        wrong: nested_wait::wrong,
        right: nested_wait::right,
        limits: one_preemption,
        solution: "02",
    },
    Level {
        name: "shutdown",
        goal: "C shuts the pool down while A hands in a task. Make the task never run.",
        hint: "The pool is open, says A's look. Its worker ends. Then the task comes.",
        wrong: shutdown::wrong,
        right: shutdown::right,
        limits: one_preemption,
        solution: "00201",
    },
];

mod counter {
    use super::watch;
    use crate::ch01_lock::Lock;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    pub(super) fn wrong() {
        let number = Arc::new(AtomicUsize::new(0));
        let other = number.clone();
        let seen = number.clone();
        watch("number", move || seen.load(SeqCst).to_string());
        let thread = thread::spawn(move || add_one(&other));
        add_one(&number);
        thread.join().unwrap();
        assert!(number.load(SeqCst) == 2, "an addition is lost");
    }

    fn add_one(number: &AtomicUsize) {
        let read = number.load(SeqCst);
        number.store(read + 1, SeqCst);
    }

    pub(super) fn right() {
        let shared = Arc::new((Lock::new(), AtomicUsize::new(0)));
        let other = shared.clone();
        let add = |shared: &(Lock, AtomicUsize)| {
            let _guard = shared.0.lock();
            add_one(&shared.1);
        };
        let thread = thread::spawn(move || add(&other));
        add(&shared);
        thread.join().unwrap();
        assert!(shared.1.load(SeqCst) == 2, "an addition is lost");
    }
}

mod lost_wake_up {
    use super::{look, watch};
    use crate::ch01_lock::Lock;
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;

    #[derive(Default)]
    struct TwoLooks {
        taken: Mutex<bool>,
        freed: Condvar,
    }

    pub(super) fn wrong() {
        let lock = Arc::new(TwoLooks { taken: Mutex::new(true), freed: Condvar::new() });
        let other = lock.clone();
        let seen = lock.clone();
        watch("taken", move || look(&seen.taken));
        let thread = thread::spawn(move || {
            let taken = *other.taken.lock().unwrap();
            if taken {
                let guard = other.taken.lock().unwrap();
                drop(other.freed.wait(guard).unwrap());
            }
        });
        *lock.taken.lock().unwrap() = false;
        lock.freed.notify_one();
        thread.join().unwrap();
    }

    pub(super) fn right() {
        let lock = Arc::new(Lock::new());
        let guard = lock.lock();
        let other = lock.clone();
        let thread = thread::spawn(move || drop(other.lock()));
        drop(guard);
        thread.join().unwrap();
    }
}

mod if_for_while {
    use super::{look, watch};
    use crate::ch01_lock::Lock;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;

    #[derive(Default)]
    pub(super) struct LockByIf {
        pub(super) taken: Mutex<bool>,
        freed: Condvar,
    }

    impl LockByIf {
        pub(super) fn lock(&self) {
            let mut taken = self.taken.lock().unwrap();
            if *taken {
                taken = self.freed.wait(taken).unwrap();
            }
            *taken = true;
        }

        pub(super) fn unlock(&self) {
            *self.taken.lock().unwrap() = false;
            self.freed.notify_one();
        }
    }

    pub(super) fn wrong() {
        let (lock, inside) = (Arc::new(LockByIf::default()), AtomicUsize::new(0));
        let seen = lock.clone();
        watch("taken", move || look(&seen.taken));
        lock.lock();
        let enter = || {
            lock.lock();
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two are inside");
            inside.fetch_sub(1, SeqCst);
            lock.unlock();
        };
        thread::scope(|scope| {
            scope.spawn(enter);
            scope.spawn(enter);
            lock.unlock();
        });
    }

    pub(super) fn right() {
        let (lock, inside) = (Arc::new(Lock::new()), AtomicUsize::new(0));
        let guard = lock.lock();
        let enter = || {
            let guard = lock.lock();
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two are inside");
            inside.fetch_sub(1, SeqCst);
            drop(guard);
        };
        thread::scope(|scope| {
            scope.spawn(enter);
            scope.spawn(enter);
            drop(guard);
        });
    }
}

mod spurious_wake_up {
    use super::if_for_while::LockByIf;
    use super::{look, watch};
    use crate::ch01_lock::Lock;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;

    pub(super) fn wrong() {
        let (lock, mine) = (Arc::new(LockByIf::default()), Arc::new(AtomicBool::new(true)));
        let seen = lock.clone();
        watch("taken", move || look(&seen.taken));
        lock.lock();
        let (other, taken) = (lock.clone(), mine.clone());
        let thread = thread::spawn(move || {
            other.lock();
            assert!(!taken.load(SeqCst), "two are inside");
        });
        mine.store(false, SeqCst);
        lock.unlock();
        thread.join().unwrap();
    }

    pub(super) fn right() {
        let (lock, mine) = (Arc::new(Lock::new()), Arc::new(AtomicBool::new(true)));
        let guard = lock.lock();
        let (other, taken) = (lock.clone(), mine.clone());
        let thread = thread::spawn(move || {
            let _guard = other.lock();
            assert!(!taken.load(SeqCst), "two are inside");
        });
        mine.store(false, SeqCst);
        drop(guard);
        thread.join().unwrap();
    }
}

mod two_kinds {
    use super::{look, watch};
    use crate::ch07_queue::Queue;
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;

    pub(super) fn wrong() {
        let (full, news) = (Arc::new(Mutex::new(false)), Condvar::new());
        let seen = full.clone();
        watch("full", move || look(&seen));
        let wait_until = |wanted: bool| {
            let mut full = full.lock().unwrap();
            while *full != wanted {
                full = news.wait(full).unwrap();
            }
            full
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                *wait_until(true) = false; // takes
                news.notify_one();
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    *wait_until(false) = true; // puts
                    news.notify_one();
                });
            }
            drop(wait_until(true)); // looks
            *wait_until(true) = false;
            news.notify_one();
        });
    }

    pub(super) fn right() {
        let queue = Queue::bounded(1);
        thread::scope(|scope| {
            scope.spawn(|| queue.pop());
            for _ in 0..2 {
                scope.spawn(|| queue.push(()).unwrap());
            }
            queue.pop()
        });
    }
}

mod set_then_clear {
    use super::{look, watch};
    use crate::ch04_event::Event;
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;

    pub(super) fn wrong() {
        let event = Arc::new((Mutex::new((false, 0)), Condvar::new()));
        let other = event.clone();
        let seen = event.clone();
        watch("(is_set, waiting)", move || look(&seen.0));
        let thread = thread::spawn(move || {
            let mut state = other.0.lock().unwrap();
            state.1 += 1;
            while !state.0 {
                state = other.1.wait(state).unwrap();
            }
        });
        while event.0.lock().unwrap().1 == 0 {
            thread::yield_now();
        }
        event.0.lock().unwrap().0 = true;
        event.1.notify_all();
        thread::yield_now(); // B should go first
        event.0.lock().unwrap().0 = false;
        thread.join().unwrap();
    }

    pub(super) fn right() {
        let event = Arc::new(Event::new());
        let other = event.clone();
        let thread = thread::spawn(move || other.wait());
        while !format!("{event:?}").contains("waiting: 1") {
            thread::yield_now();
        }
        event.set();
        event.clear();
        thread.join().unwrap();
    }
}

mod barrier_rounds {
    use super::{look, watch};
    use crate::ch06_barrier::Barrier;
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;

    #[derive(Default)]
    struct Counting {
        here: Mutex<usize>,
        all_here: Condvar,
    }

    impl Counting {
        fn wait(&self) {
            let mut here = self.here.lock().unwrap();
            *here += 1;
            if *here == 2 {
                *here = 0;
                self.all_here.notify_all();
            }
            while *here != 0 {
                here = self.all_here.wait(here).unwrap();
            }
        }
    }

    pub(super) fn wrong() {
        let barrier = Arc::new(Counting::default());
        let seen = barrier.clone();
        watch("here", move || look(&seen.here));
        let meet_twice = || {
            barrier.wait();
            thread::yield_now(); // the other should go first
            barrier.wait();
        };
        thread::scope(|scope| {
            scope.spawn(meet_twice);
            meet_twice();
        });
    }

    pub(super) fn right() {
        let barrier = Barrier::new(2);
        let meet_twice = || (barrier.wait().unwrap(), barrier.wait().unwrap());
        thread::scope(|scope| {
            scope.spawn(meet_twice);
            meet_twice()
        });
    }
}

pub(crate) mod one_condvar {
    use super::{look, watch};
    use crate::ch07_queue::Queue;
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread;

    struct OneCondvar {
        items: Mutex<usize>,
        capacity: usize,
        news: Condvar,
    }

    impl OneCondvar {
        fn push(&self) {
            let mut items = self.items.lock().unwrap();
            while *items == self.capacity {
                items = self.news.wait(items).unwrap();
            }
            *items += 1;
            self.news.notify_one();
        }

        fn pop(&self) {
            let mut items = self.items.lock().unwrap();
            while *items == 0 {
                items = self.news.wait(items).unwrap();
            }
            *items -= 1;
            self.news.notify_one();
        }
    }

    pub(super) fn wrong() {
        run(2, 2, 1, 1);
    }

    /// So many producers, each of which pushes so often, and consumers.
    pub(crate) fn run(producers: usize, consumers: usize, capacity: usize, each: usize) {
        let (items, news) = (Mutex::new(0), Condvar::new());
        let queue = Arc::new(OneCondvar { items, capacity, news });
        let seen = queue.clone();
        watch("items", move || look(&seen.items));
        thread::scope(|scope| {
            for _ in 0..producers {
                scope.spawn(|| (0..each).for_each(|_| queue.push()));
            }
            for _ in 0..consumers {
                scope.spawn(|| (0..producers * each / consumers).for_each(|_| queue.pop()));
            }
        });
    }

    pub(super) fn right() {
        let queue = Queue::bounded(1);
        thread::scope(|scope| {
            scope.spawn(|| queue.push(()).unwrap());
            scope.spawn(|| queue.push(()).unwrap());
            scope.spawn(|| queue.pop());
            scope.spawn(|| queue.pop());
        });
    }
}

mod cancel_or_complete {
    use super::{look, watch};
    use crate::ch10_future::promise;
    use std::sync::{Arc, Mutex};
    use std::thread;

    pub(super) fn wrong() {
        let outcome = Arc::new(Mutex::new(None));
        let seen = outcome.clone();
        watch("outcome", move || look(&seen));
        let finish = |outcome: &Mutex<Option<&str>>, with| {
            let is_pending = outcome.lock().unwrap().is_none();
            if is_pending {
                *outcome.lock().unwrap() = Some(with);
            }
            is_pending
        };
        let other = outcome.clone();
        let thread = thread::spawn(move || finish(&other, "a value"));
        let cancelled = finish(&outcome, "cancelled");
        let completed = thread.join().unwrap();
        assert!(!(cancelled && completed), "both were told that they were first");
    }

    pub(super) fn right() {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok("a value")).is_ok());
        let cancelled = future.cancel();
        let completed = thread.join().unwrap();
        assert!(!(cancelled && completed), "both were told that they were first");
    }
}

mod callback {
    use super::{look, watch};
    use crate::ch10_future::promise;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::{Arc, Mutex};
    use std::thread;

    #[derive(Default)]
    struct News {
        is_done: Mutex<bool>,
        callbacks: Mutex<Vec<fn() -> usize>>,
    }

    pub(super) fn wrong() {
        let news = Arc::new(News::default());
        let other = news.clone();
        let seen = news.clone();
        watch("is_done", move || look(&seen.is_done));
        let thread = thread::spawn(move || {
            *other.is_done.lock().unwrap() = true;
            let callbacks = std::mem::take(&mut *other.callbacks.lock().unwrap());
            callbacks.into_iter().map(|call| call()).sum::<usize>()
        });
        let is_done = *news.is_done.lock().unwrap();
        let mut calls = usize::from(is_done);
        if !is_done {
            news.callbacks.lock().unwrap().push(|| 1);
        }
        calls += thread.join().unwrap();
        assert_eq!(calls, 1, "nobody calls the callback");
    }

    pub(super) fn right() {
        let (promise, future) = promise();
        let thread = thread::spawn(move || promise.complete(Ok(())).is_ok());
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        future.add_done_callback(move |_| _ = count.fetch_add(1, SeqCst));
        thread.join().unwrap();
        assert_eq!(calls.load(SeqCst), 1, "nobody calls the callback");
    }
}

mod nested_wait {
    use crate::ch08_oneshot::oneshot;
    use crate::ch12_workers::Workers;
    use crate::ch15_thread_pool::ThreadPool;
    use std::sync::Arc;
    use std::thread;

    pub(super) fn wrong() {
        let pool = Arc::new(Workers::new(1));
        let (sender, receiver) = oneshot();
        let other = pool.clone();
        let thread = thread::spawn(move || other.run(|| receiver.recv()).recv());
        pool.run(|| sender.send(())).recv();
        thread.join().unwrap();
    }

    pub(super) fn right() {
        let pool = Arc::new(ThreadPool::new(1));
        let inner = pool.clone();
        let outer = pool.spawn(move || inner.spawn(|| ()).result());
        outer.result().unwrap().unwrap();
    }
}

mod shutdown {
    use super::watch;
    use crate::ch08_oneshot::{Sender, oneshot};
    use crate::ch12_workers::Workers;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::{Arc, Mutex};
    use std::thread;

    #[derive(Default)]
    struct Pool {
        is_closed: AtomicBool,
        tasks: Mutex<Vec<Sender<()>>>,
    }

    impl Pool {
        fn work(&self) {
            loop {
                let is_last = self.is_closed.load(SeqCst);
                for task in std::mem::take(&mut *self.tasks.lock().unwrap()) {
                    task.send(()).unwrap();
                }
                if is_last {
                    return;
                }
                thread::yield_now();
            }
        }
    }

    pub(super) fn wrong() {
        let pool = Arc::new(Pool::default());
        let worker = pool.clone();
        let seen = pool.clone();
        watch("is_closed", move || seen.is_closed.load(SeqCst).to_string());
        let thread = thread::spawn(move || worker.work());
        let closer = pool.clone();
        let close = thread::spawn(move || closer.is_closed.store(true, SeqCst));
        if !pool.is_closed.load(SeqCst) {
            let (task, done) = oneshot();
            pool.tasks.lock().unwrap().push(task);
            done.recv().expect("accepted, so it runs");
        }
        close.join().unwrap();
        thread.join().unwrap();
    }

    pub(super) fn right() {
        let pool = Workers::new(1);
        let done = pool.run(|| ());
        drop(pool);
        done.recv().expect("accepted, so it runs");
    }
}
