//! The smallest semaphore, then requests for more than one permit. Look at which threads go first:
//! a count without a queue lets late requests overtake, and with `notify_one` it hangs.
//!
//! Expected output:
//!
//! ```text
//! SmallSemaphore: 1, 2, 3 wait in this order; three releases; 1, 2, 3 go
//! a bare count:   (wrong) 5 late requests for 1 overtake the thread that waits for 2
//! Semaphore:      0 late requests for 1 overtake the thread that waits for 2
//! Semaphore:      nine threads, three permits: 3 inside at once, never more
//! Semaphore:      the permit of a task came back when the task panicked: 1 available
//! a bounded one:  its permit is in use: release of 1 refused: 0 missing
//! ```
//!
//! `cargo run --example ch05_semaphore -- 1001` replays the bare count on that schedule.

extern crate self as std;
extern crate std as real;
pub use concurrent_explained::ch31_schedules::{sync, thread, time};
pub use real::*;

use concurrent_explained::ch31_schedules::replay;
use concurrent_explained::{Condition, Lock, Semaphore};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{scope, yield_now};

// --- the smallest semaphore, complete ------------------------------------------------------------

#[derive(Default)]
struct SmallSemaphore {
    lock: Lock,
    available: AtomicUsize, // read and written under the lock
    given: Condition,
}

impl SmallSemaphore {
    fn acquire(&self) {
        let mut guard = self.lock.lock();
        match self.available.load(SeqCst) {
            0 => self.given.wait(&mut guard), // notified: the permit is this thread's
            n => self.available.store(n - 1, SeqCst),
        }
    }

    fn release(&self) {
        let guard = self.lock.lock();
        if self.given.notify(&guard, 1) == 0 {
            self.available.fetch_add(1, SeqCst); // nobody waits: it stays here
        }
    }
}

// --- the mistake: a count for requests of any size -----------------------------------------------

#[derive(Default)]
struct BareCount {
    state: Mutex<(usize, usize)>, // permits available, threads that have come to wait
    changed: Condvar,
}

impl BareCount {
    fn acquire(&self, wanted: usize) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        while state.0 < wanted {
            state = self.changed.wait(state).unwrap();
        }
        state.1 -= 1;
        state.0 -= wanted;
    }

    fn try_acquire(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let is_there = state.0 > 0;
        state.0 -= usize::from(is_there);
        is_there
    }

    fn release(&self) {
        self.state.lock().unwrap().0 += 1;
        self.changed.notify_one();
    }
}

/// B wants 2 permits, C wants 1. A gives one, sees C go, and gives two more.
fn two_wants() {
    let semaphore = Arc::new(BareCount::default());
    let wants = |wanted| {
        let semaphore = Arc::clone(&semaphore);
        thread::spawn(move || semaphore.acquire(wanted))
    };
    let (large, small) = (wants(2), wants(1));
    semaphore.release();
    small.join().unwrap();
    semaphore.release();
    semaphore.release();
    large.join().unwrap();
}

// --- the story -----------------------------------------------------------------------------------

/// Waits until the `Debug` of a primitive shows so many waiting threads.
fn until_waiting(primitive: &impl fmt::Debug, waiting: usize) {
    while !format!("{primitive:?}").contains(&format!("waiting: {waiting}")) {
        yield_now();
    }
}

fn tell(out: &mut impl Write) -> io::Result<()> {
    let (small, order) = (SmallSemaphore::default(), Mutex::new(Vec::new()));
    scope(|threads| {
        for number in 1..=3 {
            let (small, order) = (&small, &order);
            threads.spawn(move || {
                small.acquire();
                order.lock().unwrap().push(number.to_string());
            });
            until_waiting(&small.given, number);
        }
        for number in 1..=3 {
            small.release();
            while order.lock().unwrap().len() < number {
                yield_now();
            }
        }
    });
    let order = order.into_inner().unwrap().join(", ");
    writeln!(out, "SmallSemaphore: 1, 2, 3 wait in this order; three releases; {order} go")?;

    let bare = BareCount::default();
    bare.release();
    let overtook = scope(|threads| {
        threads.spawn(|| bare.acquire(2));
        while bare.state.lock().unwrap().1 == 0 {
            yield_now();
        }
        let mut overtook = 0;
        for _ in 0..5 {
            if bare.try_acquire() {
                overtook += 1;
                bare.release(); // before the next permit comes, this one is taken again
            }
        }
        bare.release();
        overtook
    });
    let line = "late requests for 1 overtake the thread that waits for 2";
    writeln!(out, "a bare count:   (wrong) {overtook} {line}")?;

    let semaphore = Semaphore::new(1);
    let overtook = scope(|threads| {
        threads.spawn(|| drop(semaphore.acquire_many(2)));
        until_waiting(&semaphore, 1);
        let overtook = (0..5).filter(|_| semaphore.try_acquire().is_some()).count();
        semaphore.release(1).unwrap();
        overtook
    });
    writeln!(out, "Semaphore:      {overtook} {line}")?;

    let (room, inside, most) = (Semaphore::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
    scope(|threads| {
        for _ in 0..9 {
            threads.spawn(|| {
                let _permit = room.acquire();
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                while most.load(SeqCst) < 3 {
                    yield_now(); // the first leaves when three have met
                }
                inside.fetch_sub(1, SeqCst);
            });
        }
    });
    let most = most.into_inner();
    let line = "nine threads, three permits";
    writeln!(out, "Semaphore:      {line}: {most} inside at once, never more")?;

    let tasks = Arc::new(Semaphore::new(1));
    let permit = tasks.acquire_owned();
    let task = thread::spawn(move || {
        let _permit = permit;
        panic::resume_unwind(Box::new("no message")); // a panic that prints nothing
    });
    let outcome = if task.join().is_err() { "panicked" } else { "ended" };
    let n = tasks.available();
    let line = "the permit of a task came back when the task";
    writeln!(out, "Semaphore:      {line} {outcome}: {n} available")?;

    let bounded = Semaphore::bounded(1);
    let _permit = bounded.acquire();
    let refused = bounded.release(1).unwrap_err();
    writeln!(out, "a bounded one:  its permit is in use: {refused}")
}

fn main() {
    // A reader that has closed its end has read enough: no error.
    let _ = match env::args().nth(1) {
        Some(schedule) => writeln!(io::stdout(), "{}", replay(&schedule, two_wants)),
        None => tell(&mut io::stdout().lock()),
    };
}
