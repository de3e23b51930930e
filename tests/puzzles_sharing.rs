//! Puzzles of the field, solved with the primitives of chapters 01 to 07: who may use what, and
//! when.
//!
//! Each module is one puzzle: the rule, the trap, the idea, then a solution to copy, then its exam.
//! Allen B. Downey's *The Little Book of Semaphores* tells most of them, and many more.

#[path = "support/stage.rs"]
mod stage;
mod support;

use concurrent_explained::{Barrier, Condition, Lock, Permit, Queue, Semaphore};
use stage::{Alone, crew, linger};
use std::thread;
use support::watchdog;

mod readers_writers {
    //! Courtois, Heymans and Parnas, 1971.
    //! - Rule: readers may be in the room together, a writer only alone.
    //! - Trap: readers who overlap keep the room occupied, and a writer waits outside for ever.
    //! - Idea: one turnstile for all, first come first served. A writer stays in it until it has
    //!   written, so whoever comes later waits behind: neither writers nor readers starve.

    use super::*;
    use std::sync::RwLock;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    struct Room {
        turnstile: Semaphore,
        free: Semaphore, // one permit: the room belongs to one writer, or to the readers inside
        switch: Lock,
        readers: Alone<usize>, // guarded by `switch`
    }

    #[must_use]
    struct Reading<'a>(&'a Room);

    impl Room {
        fn new() -> Self {
            let [turnstile, free] = [(); 2].map(|()| Semaphore::new(1));
            Room { turnstile, free, switch: Lock::new(), readers: Alone::default() }
        }

        fn read(&self) -> Reading<'_> {
            self.enter(self.turnstile.acquire())
        }

        /// `None` if a writer is inside or waits.
        fn try_read(&self) -> Option<Reading<'_>> {
            Some(self.enter(self.turnstile.try_acquire()?))
        }

        /// Keeps the turnstile too: the next one enters when both permits are dropped.
        fn write(&self) -> [Permit<&Semaphore>; 2] {
            let turnstile = self.turnstile.acquire();
            [self.free.acquire(), turnstile]
        }

        fn enter(&self, _turnstile: Permit<&Semaphore>) -> Reading<'_> {
            let _switch = self.switch.lock();
            let mut readers = self.readers.visit();
            *readers += 1;
            if *readers == 1 {
                self.free.acquire().forget(); // the first in takes the room for all
            }
            Reading(self)
        }
    }

    impl Drop for Reading<'_> {
        fn drop(&mut self) {
            let _switch = self.0.switch.lock();
            let mut readers = self.0.readers.visit();
            *readers -= 1;
            if *readers == 0 {
                self.0.free.release(1).unwrap(); // the last out gives it back
            }
        }
    }

    #[test]
    fn readers_are_in_together() {
        watchdog("three readers to meet inside", || {
            let (room, inside) = (Room::new(), Barrier::new(3));
            crew(3, |_| {
                let _reading = room.read();
                inside.wait().unwrap();
            });
        });
    }

    #[test]
    fn writers_are_in_alone() {
        watchdog("2 writers and 3 readers, 1 000 visits each", || {
            let (room, book) = (Room::new(), RwLock::new(0)); // never waited for: a clash panics
            crew(5, |who| {
                for _ in 0..1_000 {
                    if who < 2 {
                        let _writing = room.write();
                        *book.try_write().expect("a writer is alone") += 1;
                    } else {
                        let _reading = room.read();
                        let _book = book.try_read().expect("readers find no writer");
                        linger();
                    }
                }
            });
            assert_eq!(book.into_inner().unwrap(), 2_000);
        });
    }

    #[test]
    fn a_waiting_writer_ends_a_stream_of_readers_and_a_late_reader_comes_after_it() {
        watchdog("the writer to get in", || {
            let room = Room::new();
            for _ in 0..40 {
                let (mut reading, written) = (room.read(), AtomicBool::new(false));
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let _writing = room.write();
                        written.store(true, Relaxed);
                    });
                    while let Some(next) = room.try_read() {
                        reading = next; // the next is in before the last is out
                    }
                    scope.spawn(|| {
                        let _reading = room.read();
                        assert!(written.load(Relaxed), "a late reader went before the writer");
                    });
                    linger();
                    drop(reading);
                });
            }
        });
    }
}

mod dining_philosophers {
    //! Dijkstra, 1965; the table and the spaghetti are Hoare's.
    //! - Rule: five at a round table, one fork between any two, and eating takes both neighbours.
    //! - Trap: all five take the left fork at the same moment; each waits for its right neighbour.
    //! - Idea: break the circle. Number the forks and take the lower one first (Dijkstra), let only
    //!   four sit down (Scholten), or take both in one step or none (Dijkstra, 1971).

    use super::*;
    use std::time::Duration;

    /// Which fork first, which second.
    type Reach = (usize, usize);

    fn left_first(who: usize) -> Reach {
        (who, (who + 1) % 5)
    }

    /// Cure 1. Who waits for the highest wanted fork waits for somebody who eats: if its holder
    /// waited too, it would want a higher one still.
    fn lower_first(who: usize) -> Reach {
        let (left, right) = left_first(who);
        (left.min(right), left.max(right))
    }

    #[derive(Default)]
    struct Table {
        forks: [Lock; 5],
        used: [Alone<()>; 5], // each guarded by its fork
    }

    impl Table {
        fn eat(&self, (first, second): Reach) {
            let _first = self.forks[first].lock();
            linger(); // the moment of the trap
            let _second = self.forks[second].lock();
            let _eating = [self.used[first].visit(), self.used[second].visit()];
        }
    }

    /// Cure 2. With four at the table one fork stays, and somebody can reach it.
    struct FourSeats {
        table: Table,
        seats: Semaphore,
    }

    impl FourSeats {
        fn eat(&self, who: usize) {
            let _seat = self.seats.acquire();
            self.table.eat(left_first(who));
        }
    }

    /// Cure 3. Nobody holds one fork and waits. Not promised: that two neighbours who eat by turns
    /// leave the one between them a moment with both forks down.
    #[derive(Default)]
    struct BothOrNone {
        lock: Lock,
        put_down: Condition,
        taken: Alone<[bool; 5]>, // guarded by `lock`
        used: [Alone<()>; 5],    // each guarded by its place in `taken`
    }

    impl BothOrNone {
        fn eat(&self, who: usize) {
            let (left, right) = left_first(who);
            let mut lock = self.lock.lock();
            self.put_down.wait_for(&mut lock, || {
                let mut taken = self.taken.visit();
                let both = !taken[left] && !taken[right];
                if both {
                    (taken[left], taken[right]) = (true, true);
                }
                both
            });
            drop(lock);
            drop([self.used[left].visit(), self.used[right].visit()]);
            let lock = self.lock.lock();
            let mut taken = self.taken.visit();
            (taken[left], taken[right]) = (false, false);
            self.put_down.notify_all(&lock);
        }
    }

    /// One fork in hand, or none; the fork that did not come; whether it ate.
    #[derive(Debug, PartialEq)]
    enum Hands {
        Empty,
        Waits { holds: usize, wants: usize },
        Eats,
    }

    /// Forces the moment of the trap: nobody reaches for the second fork before all have reached
    /// for the first, and nobody puts a fork down before all have tried.
    fn worst_moment(reaches: &[Reach]) -> Vec<Hands> {
        let (table, all) = (Table::default(), Barrier::new(reaches.len()));
        crew(reaches.len(), |who| {
            let (first, second) = reaches[who];
            let held = table.forks[first].try_lock();
            all.wait().unwrap();
            let both = held
                .as_ref()
                .and_then(|_| table.forks[second].lock_timeout(Duration::from_millis(1)));
            all.wait().unwrap();
            match (held, both) {
                (None, _) => Hands::Empty,
                (_, None) => Hands::Waits { holds: first, wants: second },
                _ => Hands::Eats,
            }
        })
    }

    /// Follows who waits for whom, as many steps as there are people: whoever meets nobody that can
    /// go on walks in a circle, and nothing in it will ever move.
    fn deadlock(hands: &[Hands]) -> Option<String> {
        let mut way = vec![0];
        for _ in hands {
            let Hands::Waits { wants, .. } = hands[*way.last()?] else { return None };
            way.push(
                hands
                    .iter()
                    .position(|h| matches!(h, Hands::Waits { holds, .. } if *holds == wants))?,
            );
        }
        Some(Vec::from_iter(way.iter().map(usize::to_string)).join(" waits for "))
    }

    #[test]
    fn all_take_the_left_fork_first_and_the_deadlock_is_reported() {
        watchdog("all five to give up", || {
            for _ in 0..10 {
                let hands = worst_moment(&[0, 1, 2, 3, 4].map(left_first));
                for (who, hands) in hands.iter().enumerate() {
                    assert_eq!(*hands, Hands::Waits { holds: who, wants: (who + 1) % 5 });
                }
                let circle = "0 waits for 1 waits for 2 waits for 3 waits for 4 waits for 0";
                assert_eq!(deadlock(&hands).as_deref(), Some(circle));
            }
        });
    }

    #[test]
    fn in_the_worst_moment_of_cures_1_and_2_one_eats() {
        watchdog("everybody to eat or to give up", || {
            for _ in 0..10 {
                let lower = worst_moment(&[0, 1, 2, 3, 4].map(lower_first));
                let four = worst_moment(&[0, 1, 2, 3].map(left_first));
                for hands in [lower, four] {
                    assert_eq!(hands.iter().filter(|&hands| *hands == Hands::Eats).count(), 1);
                    assert_eq!(deadlock(&hands), None);
                }
            }
        });
    }

    fn everybody_eats(eat: impl Fn(usize) + Sync) {
        crew(5, |who| (0..1_000).for_each(|_| eat(who)));
    }

    #[test]
    fn cured_by_an_order_of_the_forks() {
        watchdog("five philosophers to eat 1 000 times each", || {
            let table = Table::default();
            everybody_eats(|who| table.eat(lower_first(who)));
        });
    }

    #[test]
    fn cured_by_four_seats() {
        watchdog("five philosophers to eat 1 000 times each", || {
            let house = FourSeats { table: Table::default(), seats: Semaphore::new(4) };
            everybody_eats(|who| house.eat(who));
        });
    }

    #[test]
    fn cured_by_both_forks_or_none() {
        watchdog("five philosophers to eat 1 000 times each", || {
            let house = BothOrNone::default();
            everybody_eats(|who| house.eat(who));
        });
    }
}

mod bounded_buffer {
    //! Dijkstra, 1965.
    //! - Rule: producers wait while the shelf is full, consumers while it is empty.
    //! - Trap: to take the lock first and wait for a place inside: nobody can come to make room.
    //! - Idea: a permit for each place and one for each item. Each step takes one sort and releases
    //!   the other, so a permit changes sides and the lock guards the shelf alone.

    use super::*;
    use std::collections::VecDeque;

    struct Buffer<T> {
        capacity: usize,
        places: Semaphore,
        items: Semaphore,
        lock: Lock,
        shelf: Alone<VecDeque<T>>, // guarded by `lock`
    }

    impl<T> Buffer<T> {
        fn new(capacity: usize) -> Self {
            let (places, items) = (Semaphore::new(capacity), Semaphore::new(0));
            Buffer { capacity, places, items, lock: Lock::new(), shelf: Alone::default() }
        }

        fn push(&self, item: T) {
            self.store(item, self.places.acquire());
        }

        fn try_push(&self, item: T) -> bool {
            self.places.try_acquire().map(|place| self.store(item, place)).is_some()
        }

        fn pop(&self) -> T {
            self.fetch(self.items.acquire())
        }

        fn try_pop(&self) -> Option<T> {
            self.items.try_acquire().map(|item| self.fetch(item))
        }

        fn store(&self, item: T, place: Permit<&Semaphore>) {
            let locked = self.lock.lock();
            let mut shelf = self.shelf.visit();
            assert!(shelf.len() < self.capacity, "a permit promised a place");
            shelf.push_back(item);
            drop((shelf, locked));
            place.forget();
            self.items.release(1).unwrap();
        }

        fn fetch(&self, permit: Permit<&Semaphore>) -> T {
            let locked = self.lock.lock();
            let mut shelf = self.shelf.visit();
            let item = shelf.pop_front().expect("a permit promised an item");
            drop((shelf, locked));
            permit.forget();
            self.places.release(1).unwrap();
            item
        }
    }

    const EACH: usize = 1_000;

    /// Two producers, two consumers: every item comes out once, those of one producer in order.
    fn exam(push: impl Fn(usize) + Sync, pop: impl Fn() -> usize + Sync) {
        let taken = crew(4, |who| {
            if who < 2 {
                (0..EACH).for_each(|n| push(who * EACH + n));
                return Vec::new();
            }
            Vec::from_iter((0..EACH).map(|_| pop()))
        });
        for consumer in &taken {
            let (first, second): (Vec<usize>, Vec<usize>) =
                consumer.iter().partition(|item| **item < EACH);
            assert!(first.is_sorted() && second.is_sorted(), "an item was overtaken");
        }
        let mut all = taken.concat();
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..2 * EACH));
    }

    #[test]
    fn two_producers_and_two_consumers_share_three_places() {
        watchdog("2 000 items to go through the buffer", || {
            let buffer = Buffer::new(3);
            exam(|item| buffer.push(item), || buffer.pop());
            assert_eq!((buffer.places.available(), buffer.items.available()), (3, 0));
        });
    }

    /// The same exam for chapter 07, which needs one mutex for a step where the buffer needs three,
    /// and which has an end: a semaphore cannot say that nothing more will come.
    #[test]
    fn the_queue_passes_the_same_exam() {
        watchdog("2 000 items to go through the queue", || {
            let queue = Queue::bounded(3);
            exam(|item| queue.push(item).unwrap(), || queue.pop().unwrap());
            assert!(queue.is_empty());
        });
    }

    #[test]
    fn buffer_and_queue_give_the_same_answers() {
        let (buffer, queue) = (Buffer::new(3), Queue::bounded(3));
        for n in 0..1_000_usize {
            if (n / 8 % 2 == 0) != (n % 5 == 0) {
                assert_eq!(buffer.try_push(n), queue.try_push(n).is_ok());
            } else {
                assert_eq!(buffer.try_pop(), queue.try_pop().ok());
            }
        }
    }
}
