//! Look at round 2. A counter holds everybody back once; then it is high, and a thread passes
//! alone. The barrier holds in every round, and tells whoever waits in vain why.
//!
//! Expected output:
//!
//! ```text
//! a counter, round 1: both meet
//! a counter, round 2: one passes alone
//! a barrier, round 1: all 3 have drawn
//! a barrier, round 2: all 3 have drawn
//! a barrier, round 3: all 3 have drawn
//! first to come: the barrier broke: another thread's limit passed
//! the impatient: the limit passed before all had arrived
//! who comes late: the barrier broke: another thread's limit passed
//! after reset: all three meet
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use concurrent_explained::Barrier;

/// The wrong barrier: one counter for all rounds.
#[derive(Default)]
struct Counter {
    arrived: Mutex<usize>,
    enough: Condvar,
}

impl Counter {
    /// Waits for two, with a watchdog. Returns whether they were two.
    fn wait(&self) -> bool {
        let mut arrived = self.arrived.lock().unwrap();
        *arrived += 1;
        self.enough.notify_all();
        let limit = Duration::from_secs(60);
        !self
            .enough
            .wait_timeout_while(arrived, limit, |arrived| *arrived < 2)
            .unwrap()
            .1
            .timed_out()
    }
}

fn main() {
    let counter = Counter::default();
    let met = thread::scope(|scope| {
        let other = scope.spawn(|| counter.wait());
        counter.wait() && other.join().unwrap()
    });
    println!("a counter, round 1: {}", if met { "both meet" } else { "nobody comes" });
    let alone = counter.wait(); // there is no other thread any more
    println!("a counter, round 2: {}", if alone { "one passes alone" } else { "nobody comes" });

    static DRAWN: AtomicUsize = AtomicUsize::new(0);
    static ROUND: AtomicUsize = AtomicUsize::new(1);
    let barrier = Barrier::new(3).unwrap().with_action(|| {
        let (round, drawn) =
            (ROUND.fetch_add(1, Ordering::Relaxed), DRAWN.swap(0, Ordering::Relaxed));
        println!("a barrier, round {round}: all {drawn} have drawn");
    });
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..3 {
                    DRAWN.fetch_add(1, Ordering::Relaxed);
                    barrier.wait().unwrap();
                }
            });
        }
    });

    let barrier = Barrier::new(3).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| barrier.wait());
        while barrier.waiting() == 0 {
            thread::yield_now();
        }
        let impatient = barrier.wait_timeout(Duration::from_millis(10));
        println!("first to come: {}", first.join().unwrap().unwrap_err());
        println!("the impatient: {}", impatient.unwrap_err());
        println!("who comes late: {}", barrier.wait().unwrap_err());
    });
    barrier.reset();
    thread::scope(|scope| {
        let others = [(); 2].map(|()| scope.spawn(|| barrier.wait().is_ok()));
        let met = barrier.wait().is_ok() && others.map(|other| other.join().unwrap()) == [true; 2];
        println!("after reset: {}", if met { "all three meet" } else { "broken" });
    });
}
