//! Four almost right queues, then the chapter's own. Look at the inequality: one condvar strands
//! threads exactly when 2 * capacity < pushers + poppers. Here every order of turns is tried.
//!
//! Expected output:
//!
//! ```text
//! one condvar, notify_one after each push and each pop:
//!   pushers 2, poppers 1, capacity 1: 2 * 1 <  2 + 1, 24 of  68 schedules hang
//!   pushers 2, poppers 1, capacity 2: 2 * 2 >= 2 + 1,  0 of   8 schedules hang
//!   pushers 1, poppers 2, capacity 1: 2 * 1 <  1 + 2,  6 of  41 schedules hang
//!   pushers 1, poppers 2, capacity 2: 2 * 2 >= 1 + 2,  0 of  21 schedules hang
//!   pushers 2, poppers 2, capacity 2: 2 * 2 >= 2 + 2,  0 of 252 schedules hang
//! one condvar, notify_all:         8 poppers sleep, 1 item comes: 8 wake, 7 of them in vain
//! two condvars, notify_one:        8 poppers sleep, 1 item comes: 1 wakes
//! notify only if it was empty:     2 poppers sleep, 2 items come: 1 sleeps on beside an item
//! two poppers, a special last item: 1 hears of the end, 1 waits in vain
//! two poppers, `close`:             2 hear of the end, 0 wait in vain
//! a queue of two is full: `try_push(3)` gives 3 back
//! `pop` gives 1: now `push(3)` gets through
//! three poppers add up 1 to 100 from a queue of two: 5050
//! ```
//!
//! `cargo run --example ch07_queue -- 0` replays how two pushers and one popper hang.

extern crate self as std;
extern crate std as real;
pub use concurrent_explained::ch31_schedules::{sync, thread, time};
pub use real::*;

use concurrent_explained::ch31_schedules::{Limits, explore, replay};
use concurrent_explained::{Queue, QueueError};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

// --- the smallest queue, complete ----------------------------------------------------------------

/// The smallest queue: everybody waits at one condvar. It hangs. With `notify_all` in both places
/// it is right, and good enough for a few threads.
struct SmallQueue<T> {
    items: Mutex<VecDeque<T>>,
    changed: Condvar,
    capacity: usize,
}

impl<T> SmallQueue<T> {
    fn push(&self, item: T) {
        let mut items = self.items.lock().unwrap();
        while items.len() == self.capacity {
            items = self.changed.wait(items).unwrap();
        }
        items.push_back(item);
        self.changed.notify_one();
    }

    fn pop(&self) -> T {
        let mut items = self.items.lock().unwrap();
        while items.is_empty() {
            items = self.changed.wait(items).unwrap();
        }
        self.changed.notify_one();
        items.pop_front().unwrap()
    }
}

/// Each pusher pushes 2 items, and the poppers share them. Nobody takes long or does anything else.
fn two_items_each(pushers: usize, poppers: usize, capacity: usize) {
    let queue = SmallQueue { items: Mutex::default(), changed: Condvar::new(), capacity };
    let each = 2 * pushers / poppers;
    thread::scope(|scope| {
        for _ in 0..pushers {
            scope.spawn(|| (0..2).for_each(|n| queue.push(n)));
        }
        for _ in 0..poppers {
            scope.spawn(|| (0..each).for_each(|_| _ = queue.pop()));
        }
    });
}

/// The smallest case that hangs: 2 * 1 < 2 + 1.
fn two_pushers_one_popper() {
    two_items_each(2, 1, 1);
}

// --- what the next steps cost and lose -----------------------------------------------------------

/// How long nothing must happen before this example says that nothing will.
const QUIET: Duration = Duration::from_millis(100);

/// Poppers that wait for one item each, and what there is to count.
#[derive(Default)]
struct Sleepers {
    state: Mutex<Counts>,
    called: Condvar,
}

#[derive(Default)]
struct Counts {
    items: usize,
    asleep: usize,
    wakes: usize,
}

/// When all `poppers` sleep, brings items by `push`. How many wake-ups there were, and how many
/// items lie there, once nothing happens any more.
fn asleep_then(poppers: usize, push: impl FnOnce(&Sleepers)) -> (usize, usize) {
    let sleepers = Sleepers::default();
    let pop = || {
        let mut state = sleepers.state.lock().unwrap();
        state.asleep += 1;
        while state.items == 0 {
            state = sleepers.called.wait(state).unwrap();
            state.wakes += 1;
        }
        state.items -= 1;
    };
    thread::scope(|scope| {
        (0..poppers).for_each(|_| drop(scope.spawn(pop)));
        while sleepers.state.lock().unwrap().asleep < poppers {
            thread::yield_now();
        }
        thread::park_timeout(QUIET); // counted, but perhaps still on the way to sleep
        push(&sleepers);
        let (mut wakes, mut since) = (0, Instant::now());
        while wakes == 0 || since.elapsed() < QUIET {
            thread::park_timeout(Duration::from_millis(1));
            let now = sleepers.state.lock().unwrap().wakes;
            if now != wakes {
                (wakes, since) = (now, Instant::now());
            }
        }
        let mut state = sleepers.state.lock().unwrap();
        let left = state.items;
        state.items += poppers; // only so that this example can end
        sleepers.called.notify_all();
        (wakes, left)
    })
}

/// One item, and the notification that `notify` makes.
fn one_item(notify: fn(&Condvar)) -> impl FnOnce(&Sleepers) {
    move |sleepers| {
        sleepers.state.lock().unwrap().items += 1;
        notify(&sleepers.called);
    }
}

/// Two items in a row, before anybody who is notified can be awake.
fn two_items_with_a_notification_if_it_was_empty(sleepers: &Sleepers) {
    let mut state = sleepers.state.lock().unwrap();
    for _ in 0..2 {
        if state.items == 0 {
            sleepers.called.notify_one();
        }
        state.items += 1;
    }
}

/// How many of two poppers hear of the end that `tell` announces.
fn hear_of_the_end(tell: fn(&Queue<Option<u32>>)) -> usize {
    let queue = Queue::unbounded();
    (1..=5).for_each(|n| queue.push(Some(n)).unwrap());
    tell(&queue);
    let hears = || loop {
        match queue.pop_timeout(QUIET) {
            Ok(Some(_work)) => {}
            Ok(None) | Err(QueueError::Closed) => return true,
            Err(_) => return false,
        }
    };
    thread::scope(|scope| {
        let poppers = [scope.spawn(hears), scope.spawn(hears)];
        poppers.map(|popper| popper.join().unwrap()).into_iter().filter(|&heard| heard).count()
    })
}

fn tell(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "one condvar, notify_one after each push and each pop:")?;
    for (pushers, poppers, capacity) in [(2, 1, 1), (2, 1, 2), (1, 2, 1), (1, 2, 2), (2, 2, 2)] {
        // Tried out: which thread goes on when one has to wait, and which waiter is woken.
        let limits = Limits { stuck: usize::MAX, ..Limits::preemptions(0) };
        let report = explore(limits, move || two_items_each(pushers, poppers, capacity));
        assert!(report.is_complete);
        let (hang, all) = (report.failures(), report.schedules);
        let sign = if 2 * capacity < pushers + poppers { "< " } else { ">=" };
        write!(out, "  pushers {pushers}, poppers {poppers}, capacity {capacity}: ")?;
        write!(out, "2 * {capacity} {sign} {pushers} + {poppers}, ")?;
        writeln!(out, "{hang:2} of {all:3} schedules hang")?;
    }

    let (wakes, _) = asleep_then(8, one_item(Condvar::notify_all));
    let vain = wakes - 1;
    write!(out, "one condvar, notify_all:         8 poppers sleep, 1 item comes: ")?;
    writeln!(out, "{wakes} wake, {vain} of them in vain")?;
    let (wakes, _) = asleep_then(8, one_item(Condvar::notify_one));
    write!(out, "two condvars, notify_one:        8 poppers sleep, 1 item comes: ")?;
    writeln!(out, "{wakes} wakes")?;
    let (_, left) = asleep_then(2, two_items_with_a_notification_if_it_was_empty);
    write!(out, "notify only if it was empty:     2 poppers sleep, 2 items come: ")?;
    writeln!(out, "{left} sleeps on beside an item")?;

    let n = hear_of_the_end(|queue| queue.push(None).unwrap());
    let vain = 2 - n;
    writeln!(out, "two poppers, a special last item: {n} hears of the end, {vain} waits in vain")?;
    let n = hear_of_the_end(|queue| queue.close());
    let vain = 2 - n;
    writeln!(out, "two poppers, `close`:             {n} hear of the end, {vain} wait in vain")?;

    let queue = Queue::bounded(2);
    queue.push(1).unwrap();
    queue.push(2).unwrap();
    let refused = queue.try_push(3).unwrap_err();
    writeln!(out, "a queue of two is full: `try_push(3)` gives {} back", refused.item)?;
    let first = thread::scope(|scope| {
        scope.spawn(|| queue.push(refused.item).unwrap()); // returns only because of the pop
        queue.pop().unwrap()
    });
    writeln!(out, "`pop` gives {first}: now `push(3)` gets through")?;

    let queue = Queue::bounded(2);
    let total: u32 = thread::scope(|scope| {
        let poppers = [(); 3].map(|()| scope.spawn(|| queue.pops().sum::<u32>()));
        (1..=100).for_each(|n| queue.push(n).unwrap());
        queue.close();
        poppers.into_iter().map(|popper| popper.join().unwrap()).sum()
    });
    writeln!(out, "three poppers add up 1 to 100 from a queue of two: {total}")
}

fn main() {
    // A reader that has closed its end has read enough: no error.
    let _ = match env::args().nth(1) {
        Some(schedule) => writeln!(io::stdout(), "{}", replay(&schedule, two_pushers_one_popper)),
        None => tell(&mut io::stdout().lock()),
    };
}
