//! The answers to the exercises of the chapter.

use crate::alone::{alone, peak_memory};
use crate::*;
use concurrent_explained::Wire;

/// Ends its process for every number that ends in 9.
pub(crate) fn risky(n: u64) -> u32 {
    if n % 10 == 9 {
        process::exit(9);
    }
    process::id()
}

// Predict: 90 results, 10 errors, 10 processes: an eleventh would have nothing to do.
// `max_deaths(5)` changes nothing, for there are answers between the deaths. Ten in a row are one
// too many: the pool breaks at the tenth.
#[test]
fn try_1_every_tenth_task_ends_its_process() {
    watchdog("ten deaths, and ten in a row", || {
        let few = pool(1).max_deaths(5).build();
        let futures: Vec<_> = (0..100).map(|n| few.submit(risky, n)).collect();
        let pids: Vec<_> = results(futures).into_iter().flatten().collect();
        assert_eq!((pids.len(), pids.iter().collect::<BTreeSet<_>>().len()), (90, 10));

        let pool = pool(1).build();
        let tasks = (0..10).map(|n| n * 10 + 9).chain(0..9);
        let outcomes = results(tasks.map(|n| pool.submit(risky, n)).collect());
        let (deadly, others) = outcomes.split_at(10);
        assert!(deadly.iter().all(|outcome| matches!(outcome, Err(Error::Died(_)))), "{deadly:?}");
        let broken = |outcome: &Result<u32, Error>| matches!(outcome, Err(Error::Broken { .. }));
        assert!(others.iter().all(broken), "{others:?}");
    });
}

// Break: it says that twelve workers died one after the other, and is broken: the 25 calls in its
// queue are lost. `i7_workers_that_die_at_one_moment_are_one_death` goes red, and this test.
#[test]
fn try_2_deaths_at_one_moment_leave_the_queue_alone() {
    watchdog("ten deaths at once", || {
        let (pool, gate) = (pool(3).max_deaths(2).build(), Gate::new());
        let running: Vec<_> = (0..3).map(|_| pool.submit(at_gate, gate.path())).collect();
        let _guests: Vec<_> = (0..3).map(|_| gate.arrival()).collect();
        let queued = pool.submit(square, 5);
        let all = pool.pids().iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let killed = Command::new("sh").args(["-c", &format!("kill -9 {all}")]).status();
        assert!(killed.unwrap().success());
        assert!(results(running).iter().all(Result::is_err));
        assert_eq!(queued.result(), Ok(25));
    });
}

// Extend: the call may be made again, so the argument must be there again. Only `Died` says that
// another worker may have better luck: a panic, a limit or a refusal comes again, and a caller that
// cancels or kills does not want the task.
fn persist<F, A, R>(pool: &ProcessPool, times: u32, function: F, argument: A) -> Result<R, Error>
where
    F: Fn(A) -> R + Copy + Send + Sync + 'static,
    A: Wire + Clone,
    R: Wire + Send + 'static,
{
    match pool.submit(function, argument.clone()).result() {
        Err(Error::Died(_)) if times > 1 => persist(pool, times - 1, function, argument),
        outcome => outcome,
    }
}

#[test]
fn try_3_a_call_that_persists_gets_the_result_of_a_task_that_may_run_twice() {
    watchdog("a second try", || {
        let (pool, gate) = (Arc::new(pool(1).build()), Gate::new());
        let (theirs, path) = (pool.clone(), gate.path());
        let caller = thread::spawn(move || persist(&theirs, 2, at_gate, path));
        let _first = gate.arrival();
        let pid = pool.pids()[0];
        plays::kill(pid);
        drop(gate.arrival());
        let second = caller.join().unwrap().unwrap();
        assert_ne!(second, pid);
        assert!(matches!(persist(&pool, 3, risky, 9), Err(Error::Died(_))));
    });
}

#[test]
fn i4_many_long_calls_take_the_memory_of_what_was_submitted() {
    const NAME: &str =
        "ch25_process_pool::tries::i4_many_long_calls_take_the_memory_of_what_was_submitted";
    alone(NAME, || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        let stuck = pool.submit(at_gate, gate.path());
        let guest = gate.arrival();
        let text = "x".repeat(rogue::MIB);
        let calls: Vec<_> = (0..24).map(|_| pool.submit(plays::length, text.clone())).collect();
        let peak = peak_memory(process::id());
        assert!(peak < 24 * 1024 + 32 * 1024, "{peak} KiB for 24 MiB");
        drop(guest);
        assert!(stuck.result().is_ok());
        assert!(results(calls).iter().all(|outcome| *outcome == Ok(rogue::MIB)));
    });
}

#[test]
fn i6_a_worker_ends_with_its_parent() {
    const NAME: &str = "ch25_process_pool::tries::i6_a_worker_ends_with_its_parent";
    if crate::alone::is_alone(NAME) {
        let pool = pool(1).build();
        println!("worker {}", pool.submit(who, ()).result().unwrap());
        process::abort();
    }
    let ended = crate::alone::finish(NAME, crate::alone::program(NAME).spawn().unwrap());
    let said = ended.stdout();
    let pid = said.lines().find_map(|line| line.strip_prefix("worker ")).expect("it says so");
    let pid: u32 = pid.trim().parse().unwrap();
    until("the worker is gone", || crate::alone::is_gone(&pid));
}
