//! Look at who goes first. One thread wants both of two permits while small requests keep coming: a
//! counter lets five of them overtake, the semaphore none. Then a room for three.
//!
//! Expected output:
//!
//! ```text
//! a counter:    5 late comers overtake the one who waits for 2
//! a semaphore:  0 late comers overtake the one who waits for 2
//! nine threads, three permits: 3 inside at once, never more
//! nobody inside: release of 1 refused: 0 missing
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;

use concurrent_explained::{BoundedSemaphore, Semaphore};

/// The wrong semaphore: it counts, and has no line.
struct Counter {
    /// How many are available, how many threads wait.
    state: Mutex<(usize, usize)>,
    more: Condvar,
}

impl Counter {
    fn acquire(&self, count: usize) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        state = self.more.wait_while(state, |(available, _)| *available < count).unwrap();
        state.1 -= 1;
        state.0 -= count;
    }

    fn try_acquire(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let enough = state.0 > 0;
        state.0 -= usize::from(enough);
        enough
    }

    fn release(&self) {
        self.state.lock().unwrap().0 += 1;
        self.more.notify_all();
    }
}

fn until(mut fact: impl FnMut() -> bool) {
    while !fact() {
        thread::yield_now();
    }
}

fn main() {
    let counter = Counter { state: Mutex::new((2, 0)), more: Condvar::new() };
    let overtook = thread::scope(|scope| {
        counter.acquire(1);
        scope.spawn(|| counter.acquire(2));
        until(|| counter.state.lock().unwrap().1 == 1);
        // Each late comer takes the free permit before the other one comes back: 2 are never there.
        let overtook =
            (0..5).filter(|_| counter.try_acquire()).inspect(|_| counter.release()).count();
        counter.release();
        overtook
    });
    println!("a counter:    {overtook} late comers overtake the one who waits for 2");

    let semaphore = Semaphore::new(2);
    let overtook = thread::scope(|scope| {
        let first = semaphore.acquire();
        scope.spawn(|| drop(semaphore.acquire_many(2)));
        until(|| format!("{semaphore:?}").contains("waiting: 1"));
        let overtook = (0..5).filter(|_| semaphore.try_acquire().is_some()).count();
        drop(first);
        overtook
    });
    println!("a semaphore:  {overtook} late comers overtake the one who waits for 2");

    let (room, inside, most) = (BoundedSemaphore::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(|| {
                let _permit = room.acquire();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                until(|| most.load(Ordering::SeqCst) >= 3); // the first leaves when three have met
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    println!("nine threads, three permits: {} inside at once, never more", most.into_inner());
    println!("nobody inside: {}", room.release(1).unwrap_err());
}
