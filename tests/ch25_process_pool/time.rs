//! Limits, and tasks that are killed on request.

use crate::*;

#[test]
fn i8_a_limit_of_the_pool_or_of_the_call_ends_the_task_by_name_and_is_no_death() {
    watchdog("limits", || {
        let (short, long) = (Duration::from_millis(60), Duration::from_secs(3600));
        let hang = || deed(Deed::Hangs);
        let pool = pool(2).task_timeout(short).max_deaths(1).build();
        let overrun =
            |limit| Err(Error::TimedOut(Box::new(Overrun { task: "commit".to_owned(), limit })));
        assert_eq!(pool.submit(commit, hang()).result(), overrun(short));
        assert_eq!(pool.call::<_, ()>("commit", hang()).result(), overrun(short));
        let shorter = Duration::from_millis(5);
        assert_eq!(pool.submit_timeout(shorter, commit, hang()).result(), overrun(shorter));
        assert_eq!(
            pool.call_timeout::<_, ()>(Duration::ZERO, "commit", hang()).result(),
            overrun(Duration::ZERO)
        );
        let gate = Gate::new();
        let patient = [long, Duration::MAX];
        for limit in patient {
            let waits = pool.submit_timeout(limit, at_gate, gate.path());
            let guest = gate.arrival();
            assert_eq!(
                pool.submit(commit, hang()).result(),
                overrun(short),
                "the other worker has time to overrun"
            );
            drop(guest);
            assert!(waits.result().is_ok());
        }
    });
}

#[test]
fn those_behind_a_task_that_overruns_its_limit_get_their_results() {
    watchdog("limits and look-ahead", || {
        let pool = pool(1).build();
        for limit in [1, 15, 40] {
            let mut futures: Vec<_> = (0..200).map(|n| pool.submit(square, n)).collect();
            let stuck =
                pool.submit_timeout(Duration::from_millis(limit), commit, deed(Deed::Hangs));
            futures.extend((200..300).map(|n| pool.submit(square, n)));
            assert!(matches!(stuck.result(), Err(Error::TimedOut { .. })));
            assert_eq!(results(futures), (0..300).map(|n| Ok(n * n)).collect::<Vec<_>>());
        }
    });
}

#[test]
fn i3_a_limit_holds_for_a_worker_that_never_reads_a_large_argument() {
    watchdog("a worker that never reads", || {
        let pool = foreign("printf '\\036ready 1 {}\\n'; exec sleep 1000").build();
        let limit = Duration::from_millis(50);
        let future = pool.call_timeout::<_, u64>(limit, "square", "x".repeat(rogue::MIB));
        assert_eq!(
            future.result(),
            Err(Error::TimedOut(Box::new(Overrun { task: "square".to_owned(), limit })))
        );
        let future = pool.call::<_, u64>("square", "x".repeat(rogue::MIB));
        until("it is given to the worker", || future.is_running());
        assert!(future.kill());
        assert_eq!(future.result(), Err(Error::Cancelled), "it had not begun");
        pool.kill();
    });
}

// CPython: ProcessPoolExecutorTest::test_force_shutdown_workers
#[test]
fn i8_kill_stops_a_running_task_and_its_process_for_good() {
    watchdog("kill", || {
        let (pool, gate) = (pool(1).max_deaths(1).build(), Gate::new());
        let runs = pool.submit(at_gate, gate.path());
        let waits = pool.submit(square, 3);
        let pending = pool.submit(square, 4);
        let _guest = gate.arrival();
        let pids = pool.pids();
        assert!(runs.is_running() && !runs.cancel());
        assert!(pending.kill() && pending.is_cancelled() && pending.kill());
        assert!(runs.kill());
        assert_eq!(runs.result(), Err(Error::Killed { task: "at_gate".into() }));
        assert_eq!(waits.result(), Ok(9));
        let done = pool.submit(square, 5);
        assert!(done.wait_timeout(Duration::MAX) && !done.kill());
        assert_eq!(done.result(), Ok(25));
        assert!(!is_alive(pids[0]) && pool.pids() != pids);
    });
}

#[test]
fn kill_of_calls_that_were_sent_behind_a_slow_one_spares_the_slow_one() {
    watchdog("kill behind", || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        for _ in 0..20 {
            let quick: Vec<_> = (0..200).map(|n| pool.submit(square, n)).collect();
            let slow = pool.submit(at_gate, gate.path());
            let behind: Vec<_> = (0..20).map(|n| pool.submit(square, n)).collect();
            let guest = gate.arrival();
            assert!(behind.iter().all(Future::kill));
            for outcome in results(behind) {
                assert!(matches!(outcome, Err(Error::Cancelled)), "none had begun: {outcome:?}");
            }
            drop(guest);
            assert!(slow.result().is_ok());
            assert!(results(quick).iter().all(Result::is_ok));
        }
    });
}

// CPython: ProcessPoolExecutorTest::test_force_shutdown_workers_dead_workers
#[test]
fn a_pool_is_killed_before_it_started_while_it_runs_and_when_it_is_broken() {
    watchdog("three kills", || {
        let unused = pool(2).build();
        unused.kill();
        unused.kill();
        assert_eq!(unused.submit(square, 2).result(), Err(Error::ShutDown));

        let (busy, gate) = (pool(2).build(), Gate::new());
        let running: Vec<_> = (0..2).map(|_| busy.submit(at_gate, gate.path())).collect();
        let _guests = [gate.arrival(), gate.arrival()];
        let queued: Vec<_> = (0..10).map(|n| busy.submit(square, n)).collect();
        let pids = busy.pids();
        busy.kill();
        assert!(pids.len() == 2 && !pids.into_iter().any(is_alive));
        for outcome in results(running) {
            assert_eq!(outcome, Err(Error::Killed { task: "at_gate".into() }));
        }
        assert!(results(queued).iter().all(|outcome| *outcome == Err(Error::Cancelled)));

        let broken = pool(1).max_deaths(1).build();
        assert!(matches!(broken.submit(commit, deed(Deed::Exit)).result(), Err(Error::Died(_))));
        broken.kill();
        broken.kill();
        assert!(matches!(broken.submit(square, 2).result(), Err(Error::Broken { .. })));
    });
}

#[test]
fn kill_races_with_the_answer_and_one_of_them_is_the_outcome() {
    watchdog("kill against answer", || {
        let pool = pool(2).build();
        for n in 0..100 {
            let future = pool.submit(square, n);
            for _ in 0..n {
                thread::yield_now();
            }
            let asked = future.kill();
            match future.result() {
                Ok(value) => assert_eq!(value, n * n),
                Err(Error::Cancelled | Error::Killed { .. }) => assert!(asked),
                Err(error) => panic!("{error}"),
            }
        }
    });
}
