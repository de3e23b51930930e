//! A worker dies: what that costs, and what it does not.

use crate::*;

// CPython: ProcessPoolExecutorTest::test_killed_child
#[test]
fn i1_killed_while_running_task_37_of_100_loses_that_task_and_runs_the_others_once() {
    watchdog("100 outcomes", || {
        let file = plays::fresh_path("log");
        let pool = pool(2).build();
        let futures: Vec<_> =
            (0..100).map(|n| pool.submit(log_or_die, (file.clone(), n))).collect();
        for (n, result) in (0..).zip(results(futures)) {
            match result {
                Ok(value) => assert_eq!(value, n),
                Err(Error::Died(death)) => {
                    assert_eq!(n, 37);
                    assert_eq!(death.task, "log_or_die");
                    assert_eq!(death.status.and_then(|status| status.signal()), Some(9));
                    assert!(death.pid > 0 && death.pid != process::id());
                    assert!(death.to_string().contains("signal: 9"), "{death}");
                }
                Err(error) => panic!("task {n}: {error}"),
            }
        }
        pool.shutdown();
        let mut runs: Vec<u64> =
            fs::read_to_string(&file).unwrap().lines().map(|n| n.parse().unwrap()).collect();
        runs.sort_unstable();
        assert_eq!(runs, (0..100).collect::<Vec<_>>(), "each task ran once, the deadly one too");
        fs::remove_file(file).unwrap();
    });
}

// CPython: ProcessPoolExecutorTest::test_traceback_when_child_process_terminates_abruptly
#[test]
fn a_task_that_exits_its_process_dies_with_that_code_and_its_last_words() {
    watchdog("one death", || {
        let pool = pool(1).build();
        let Err(Error::Died(death)) =
            pool.submit(plays::speak_and_exit, "farewell".to_owned()).result()
        else {
            panic!("it lived on")
        };
        assert_eq!(death.status.and_then(|status| status.code()), Some(99));
        assert!(death.stderr.ends_with("farewell"), "{death}");
        assert_eq!(death.cause, "it ended");
    });
}

#[test]
fn i7_deaths_in_a_row_break_the_pool_with_the_last_cause_before_the_last_victim_tells() {
    watchdog("a broken pool", || {
        let pool = Arc::new(pool(1).max_deaths(3).build());
        let exits: Vec<_> = (0..5).map(|_| pool.submit(commit, deed(Deed::Exit))).collect();
        let (tell, told) = channel();
        let theirs = pool.clone();
        exits[2].add_done_callback(move |_| tell.send(theirs.submit(square, 3).result()).unwrap());
        let outcomes = results(exits);
        assert!(
            outcomes[..3].iter().all(|outcome| matches!(outcome, Err(Error::Died(_)))),
            "{outcomes:?}"
        );
        for broken in [outcomes[3].clone(), outcomes[4].clone(), told.recv().unwrap().map(|_| ())] {
            let Err(Error::Broken { cause }) = broken else { panic!("{broken:?}") };
            assert!(
                cause.starts_with("3 workers died") && cause.contains("exit status: 3"),
                "{cause}"
            );
        }
        pool.shutdown();
        assert!(
            matches!(pool.submit(square, 3).result(), Err(Error::Broken { .. })),
            "broken goes before shut down"
        );
    });
}

#[test]
fn an_answer_between_two_deaths_forgives_the_first() {
    watchdog("alternating deaths", || {
        let pool = pool(1).max_deaths(2).build();
        for n in 0..4 {
            assert!(matches!(pool.submit(commit, deed(Deed::Exit)).result(), Err(Error::Died(_))));
            assert_eq!(pool.submit(square, n).result(), Ok(n * n));
        }
    });
}

// CPython: ExecutorDeadlockTest::test_shutdown_deadlock
#[test]
fn a_worker_dies_after_shutdown_began_and_the_queue_is_still_served() {
    watchdog("shutdown", || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        let dies = pool.submit(plays::at_gate_then, (gate.path(), deed(Deed::Abort)));
        let after: Vec<_> = (0..5).map(|n| pool.submit(square, n)).collect();
        let guest = gate.arrival();
        pool.detach();
        drop(guest);
        pool.shutdown();
        assert!(matches!(dies.result(), Err(Error::Died(_))));
        assert_eq!(results(after), (0..5).map(|n| Ok(n * n)).collect::<Vec<_>>());
    });
}

#[test]
fn a_worker_killed_from_outside_while_idle_costs_nothing_and_leaves_no_zombie() {
    watchdog("an idle death", || {
        let pool = pool(1).build();
        let first = pool.submit(who, ()).result().unwrap();
        assert_eq!(pool.pids(), [first]);
        plays::kill(first);
        until("the pool has noticed", || pool.pids().is_empty() && !is_alive(first));
        assert_ne!(pool.submit(who, ()).result().unwrap(), first);
    });
}

#[test]
fn i2_an_answer_that_is_in_the_pipe_counts_however_late_it_is_read() {
    watchdog("a slow callback", || {
        // No worker starts before both calls and the callback are there.
        let (start, may_start) = channel::<()>();
        let may_start = Mutex::new(may_start);
        let command = move || {
            let _ = may_start.lock().unwrap().recv();
            let mut command = rogue::myself("rogue_entry");
            command.args(["by-hand", "deed:Exit", "moment:Idle"]);
            command
        };
        let pool = Arc::new(ProcessPool::builder(tasks()).workers(1).command(command).build());
        let first = pool.call::<u64, u64>("good", 1);
        let (_open, never) = channel::<()>();
        let (never, theirs) = (Mutex::new(never), pool.clone());
        first.add_done_callback(move |_| {
            until("the second is answered, and its worker dead", || theirs.pids().is_empty());
            // Longer than anybody waits for a reader that has nothing to do.
            let _ = never.lock().unwrap().recv_timeout(Duration::from_millis(700));
        });
        let second = pool.call::<u64, u64>("arm", 2);
        drop(start);
        assert_eq!(results(vec![first, second]), [Ok(1), Ok(2)]);
    });
}

#[test]
fn a_worker_that_answers_the_second_of_two_requests_first_loses_the_first_one_only() {
    watchdog("answers out of order", || {
        let swaps = AtomicU32::new(0);
        let command = move || {
            let mut command = rogue::myself("rogue_entry");
            command.args([
                "by-hand",
                if swaps.fetch_add(1, Ordering::SeqCst) == 0 { "swaps" } else { "honest" },
            ]);
            command
        };
        let pool = ProcessPool::builder(tasks()).workers(1).command(command).build();
        // It swaps when it has two requests: when its answers have come quickly enough to be
        // trusted with two.
        for _ in 0.. {
            let futures: Vec<_> = (0..200).map(|n| pool.call::<u64, u64>("good", n)).collect();
            let outcomes: Vec<_> =
                (0..).zip(results(futures)).filter(|(n, outcome)| *outcome != Ok(*n)).collect();
            match &outcomes[..] {
                [] => {}
                [(_, Err(Error::Died(death)))] => {
                    assert!(death.cause.ends_with("which was not due"), "{death}");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    });
}
