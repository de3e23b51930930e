//! Puzzles of the field, solved with the primitives of chapters 01 to 07: who has to meet whom.
//!
//! Each module is one puzzle: the rule, the trap, the idea, then a solution to copy, then its exam.
//! Allen B. Downey's *The Little Book of Semaphores* tells most of them, and many more.

#[path = "support/stage.rs"]
mod stage;
mod support;

use concurrent_explained::{Barrier, Event, Lock, Queue, Semaphore};
use stage::{Alone, crew, linger};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use support::{until, watchdog};

mod sleeping_barber {
    //! Dijkstra, 1965.
    //! - Rule: a barber sleeps while nobody is there; who finds no free chair to wait in goes away.
    //! - Trap: the barber looks, sees nobody, and before he sleeps a customer sits down: both wait.
    //!   And news for "a customer" may wake the wrong one, who leaves as he came.
    //! - Idea: the row of chairs is a queue: a place to wait, news for the barber, and an order.
    //!   Each customer brings an event of his own.

    use super::*;

    struct Shop {
        chairs: Queue<Arc<Customer>>,
    }

    #[derive(Default)]
    struct Customer {
        name: usize,
        cuts: AtomicUsize,
        done: Event,
    }

    impl Shop {
        /// Whether there was a chair; if so, returns when the hair is cut.
        fn visit(&self, customer: &Arc<Customer>) -> bool {
            let seated = self.chairs.try_push(Arc::clone(customer)).is_ok();
            if seated {
                customer.done.wait();
            }
            seated
        }

        /// Cuts until the shop is closed and the chairs are empty; who was served, in order.
        fn work(&self) -> Vec<usize> {
            self.chairs
                .pops()
                .map(|customer| {
                    customer.cuts.fetch_add(1, Relaxed);
                    customer.done.set();
                    customer.name
                })
                .collect()
        }
    }

    fn customer(name: usize) -> Arc<Customer> {
        Arc::new(Customer { name, ..Customer::default() })
    }

    #[test]
    fn three_sit_down_a_fourth_goes_away_then_the_barber_comes_and_keeps_the_order() {
        watchdog("three haircuts", || {
            let shop = Shop { chairs: Queue::bounded(3) };
            thread::scope(|scope| {
                let shop = &shop;
                for name in 0..3 {
                    scope.spawn(move || assert!(shop.visit(&customer(name))));
                    until("a customer to sit down", || shop.chairs.len() == name + 1);
                }
                assert!(!shop.visit(&customer(3)));
                let barber = scope.spawn(|| shop.work());
                shop.chairs.close();
                assert_eq!(barber.join().unwrap(), [0, 1, 2]);
            });
        });
    }

    #[test]
    fn four_customers_two_chairs_and_nobody_leaves_as_he_came() {
        watchdog("4 000 haircuts", || {
            let shop = Shop { chairs: Queue::bounded(2) };
            thread::scope(|scope| {
                let barber = scope.spawn(|| shop.work().len());
                crew(4, |name| {
                    for _ in 0..1_000 {
                        let customer = customer(name);
                        while !shop.visit(&customer) {
                            linger(); // no chair: he comes again
                        }
                        assert_eq!(customer.cuts.load(Relaxed), 1);
                    }
                });
                shop.chairs.close();
                assert_eq!(barber.join().unwrap(), 4_000);
            });
        });
    }
}

mod water {
    //! An exercise of Berkeley's operating systems course, after Andrews, 1991.
    //! - Rule: two hydrogen atoms and one oxygen atom bond, and all three have bonded before any
    //!   atom of the next molecule bonds.
    //! - Trap: a fast atom bonds, comes again and is counted into the molecule it has left.
    //! - Idea: two seats and one seat round a barrier for three. The seats give the ratio, the
    //!   barrier the moment; the seat is kept until the atom has bonded.

    use super::*;

    struct Water {
        hydrogen: Semaphore,
        oxygen: Semaphore,
        molecule: Barrier,
    }

    impl Water {
        fn new() -> Self {
            let (hydrogen, oxygen) = (Semaphore::new(2), Semaphore::new(1));
            Water { hydrogen, oxygen, molecule: Barrier::new(3) }
        }

        fn hydrogen(&self, bond: impl FnOnce()) {
            self.join(&self.hydrogen, bond);
        }

        fn oxygen(&self, bond: impl FnOnce()) {
            self.join(&self.oxygen, bond);
        }

        fn join(&self, seats: &Semaphore, bond: impl FnOnce()) {
            let _seat = seats.acquire();
            self.molecule.wait().unwrap();
            bond();
        }
    }

    #[test]
    fn two_hydrogen_atoms_do_not_bond_before_oxygen_comes() {
        watchdog("one molecule", || {
            let (water, bonds) = (Water::new(), AtomicUsize::new(0));
            let bond = || _ = bonds.fetch_add(1, Relaxed);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| water.hydrogen(bond));
                }
                until("both to meet", || water.molecule.waiting() == 2);
                assert_eq!(bonds.load(Relaxed), 0);
                water.oxygen(bond);
            });
            assert_eq!(bonds.load(Relaxed), 3);
        });
    }

    #[test]
    fn of_any_three_bonds_two_are_hydrogen() {
        const MOLECULES: usize = 1_000;
        watchdog("1 000 molecules", || {
            let (water, bonds) = (Water::new(), Mutex::new(String::new()));
            let bond = |atom| {
                linger(); // time for an atom of the next molecule, if the seats let it come
                let mut bonds = bonds.lock().unwrap();
                bonds.push(atom);
                if bonds.len() == 3 {
                    assert!(["HHO", "HOH", "OHH"].contains(&bonds.as_str()), "{bonds} is no water");
                    bonds.clear();
                }
            };
            // Four threads bring hydrogen and three oxygen, as many atoms as make whole molecules.
            let (hydrogen, oxygen) = (AtomicUsize::new(0), AtomicUsize::new(0));
            crew(7, |who| {
                if who < 4 {
                    while hydrogen.fetch_add(1, Relaxed) < 2 * MOLECULES {
                        water.hydrogen(|| bond('H'));
                    }
                } else {
                    while oxygen.fetch_add(1, Relaxed) < MOLECULES {
                        water.oxygen(|| bond('O'));
                    }
                }
            });
            assert_eq!(*bonds.lock().unwrap(), "");
        });
    }
}

mod cigarette_smokers {
    //! Patil, 1971; solved by Parnas, 1975.
    //! - Rule: an agent puts two of three ingredients on the table; the smoker who owns the third
    //!   smokes. The agent's code is fixed: it signals ingredients and knows no smokers.
    //! - Trap: each smoker waits for one ingredient, then for the other. Two smokers take one each.
    //! - Idea: a helper for each ingredient. The first to come says what it has, the second knows
    //!   which pair lies there and calls the one smoker it is for.

    use super::*;

    /// Not to be changed.
    struct Agent {
        ingredients: [Semaphore; 3],
        smoked: Semaphore,
    }

    impl Agent {
        fn new() -> Self {
            Agent { ingredients: [const { Semaphore::new(0) }; 3], smoked: Semaphore::new(0) }
        }

        /// Puts down all but one ingredient, then waits until somebody has smoked.
        fn serve(&self, missing: usize) {
            for (kind, ingredient) in self.ingredients.iter().enumerate() {
                if kind != missing {
                    ingredient.release(1).unwrap();
                    linger();
                }
            }
            self.smoked.acquire().forget();
        }
    }

    struct Room {
        agent: Agent,
        table: Lock,
        seen: Alone<Option<usize>>, // guarded by `table`: the ingredient whose helper came first
        smokers: [Semaphore; 3],    // by the ingredient each one owns
    }

    impl Room {
        fn new() -> Self {
            let smokers = [const { Semaphore::new(0) }; 3];
            Room { agent: Agent::new(), table: Lock::new(), seen: Alone::default(), smokers }
        }

        fn help(&self, ingredient: usize) {
            self.agent.ingredients[ingredient].acquire().forget();
            let _table = self.table.lock();
            let mut seen = self.seen.visit();
            match seen.take() {
                None => *seen = Some(ingredient),
                Some(other) => self.smokers[3 - other - ingredient].release(1).unwrap(),
            }
        }

        fn smoke(&self, owns: usize, smoke: impl FnOnce()) {
            self.smokers[owns].acquire().forget();
            smoke();
            self.agent.smoked.release(1).unwrap();
        }
    }

    #[test]
    fn smokers_without_helpers_take_one_ingredient_each_and_nobody_smokes() {
        let agent = Agent::new();
        for kind in [0, 1] {
            agent.ingredients[kind].release(1).unwrap(); // for smoker 2
        }
        let smoker_1 = agent.ingredients[0].try_acquire(); // lacks 2 now
        let smoker_0 = agent.ingredients[1].try_acquire(); // lacks 2 now
        assert!(smoker_0.is_some() && smoker_1.is_some());
        assert!(agent.ingredients.iter().all(|ingredient| ingredient.try_acquire().is_none()));
    }

    #[test]
    fn only_the_smoker_who_owns_the_missing_ingredient_smokes() {
        const EACH: usize = 500;
        watchdog("1 500 cigarettes", || {
            let (room, missing) = (Room::new(), Alone::<Option<usize>>::default());
            crew(7, |who| match who {
                0..3 => (0..2 * EACH).for_each(|_| room.help(who)),
                3..6 => (0..EACH).for_each(|_| {
                    room.smoke(who - 3, || assert_eq!(missing.visit().take(), Some(who - 3)));
                }),
                _ => (0..3 * EACH).for_each(|n| {
                    let choice = (n + n / 3) % 3; // each of the three equally often
                    *missing.visit() = Some(choice);
                    room.agent.serve(choice);
                    assert_eq!(*missing.visit(), None);
                }),
            });
            assert_eq!(*room.seen.visit(), None);
        });
    }
}
