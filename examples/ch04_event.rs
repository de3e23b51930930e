//! Look at the two numbers: three threads sleep, the flag is set and cleared at once, and who asks
//! only for the flag sleeps on. Then a starting gun, which is what events are for.
//!
//! Expected output:
//!
//! ```text
//! a flag, set and cleared at once:      0 of 3 sleepers freed
//! Event { set: false, waiting: 3, .. }
//! an event, set and cleared at once:    3 of 3 sleepers freed
//! before the gun: 0 of 4 run, after it: 4 of 4
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use concurrent_explained::Event;

/// The wrong event: a flag and a loop that asks for it.
#[derive(Default)]
struct Flag {
    /// The flag, and how many sleep.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Flag {
    /// With a watchdog, so that this program ends.
    fn wait(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        let limit = Duration::from_millis(100);
        !self.changed.wait_timeout_while(state, limit, |(set, _)| !*set).unwrap().1.timed_out()
    }

    /// Both under one lock: what a fast thread does when it gets the lock back before any sleeper.
    fn set_and_clear(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        self.changed.notify_all();
        state.0 = false;
    }
}

fn until(mut fact: impl FnMut() -> bool) {
    while !fact() {
        thread::yield_now();
    }
}

fn main() {
    let flag = Flag::default();
    let freed = thread::scope(|scope| {
        let sleepers = [(); 3].map(|()| scope.spawn(|| flag.wait()));
        until(|| flag.state.lock().unwrap().1 == 3);
        flag.set_and_clear();
        sleepers.map(|sleeper| sleeper.join().unwrap()).into_iter().filter(|&free| free).count()
    });
    println!("a flag, set and cleared at once:      {freed} of 3 sleepers freed");

    let event = Event::new();
    let freed = thread::scope(|scope| {
        let sleepers = [(); 3].map(|()| scope.spawn(|| event.wait_timeout(Duration::MAX)));
        until(|| format!("{event:?}").contains("waiting: 3"));
        println!("{event:?}");
        event.set();
        event.clear();
        sleepers.map(|sleeper| sleeper.join().unwrap()).into_iter().filter(|&free| free).count()
    });
    println!("an event, set and cleared at once:    {freed} of 3 sleepers freed");

    let (gun, running) = (Event::new(), AtomicUsize::new(0));
    let before = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                gun.wait();
                running.fetch_add(1, Ordering::Relaxed);
            });
        }
        until(|| format!("{gun:?}").contains("waiting: 4"));
        let before = running.load(Ordering::Relaxed);
        gun.set();
        before
    });
    println!("before the gun: {before} of 4 run, after it: {} of 4", running.into_inner());
}
