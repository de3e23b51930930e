//! Processes start on demand, are reused and replaced; starts that fail; calls that wait.

use crate::*;

/// How many processes the calls of `who` needed.
fn processes(futures: Vec<Future<'static, u32>>) -> usize {
    results(futures).into_iter().map(Result::unwrap).collect::<BTreeSet<_>>().len()
}

// CPython: ProcessPoolExecutorTest::test_max_tasks_early_shutdown
// CPython: ProcessPoolExecutorTest::test_max_tasks_per_child_pending_tasks_gh115634
// CPython: ProcessPoolExecutorTest::test_max_tasks_per_child
#[test]
fn a_worker_at_its_limit_is_replaced_while_calls_are_queued() {
    watchdog("replacements", || {
        for (workers, most, calls) in [(3, 1, 6), (1, 2, 6), (2, 2, 8), (1, 1, 5)] {
            let pool = pool(workers).max_tasks_per_worker(most).build();
            let futures = (0..calls).map(|_| pool.submit(who, ())).collect();
            pool.shutdown();
            let processes = processes(futures);
            assert!(
                processes >= calls / most,
                "{processes} processes for {calls} calls, {most} each"
            );
        }
    });
}

// CPython: ProcessPoolExecutorTest::test_shutdown_no_wait_max_tasks_gh119592
// CPython: ProcessPoolExecutorTest::test_gc_during_max_tasks_worker_exit_gh152967
// CPython: ProcessPoolShutdownTest::test_shutdown_gh_132969_case_1
// CPython: ProcessPoolShutdownTest::test_shutdown_no_wait
#[test]
fn a_worker_at_its_limit_is_replaced_in_a_pool_that_was_let_go() {
    watchdog("replacements without an owner", || {
        let pool = pool(2).max_tasks_per_worker(1).build();
        let first = pool.submit(square, 2);
        let fails = pool.submit(commit, deed(Deed::Panic));
        let rest: Vec<_> = (0..6).map(|n| pool.submit(square, n)).collect();
        pool.detach();
        drop(pool);
        assert_eq!(first.result(), Ok(4));
        assert!(matches!(fails.result(), Err(Error::Panicked { .. })));
        assert_eq!(results(rest), (0..6).map(|n| Ok(n * n)).collect::<Vec<_>>());
    });
}

// CPython: ProcessPoolExecutorTest::test_idle_process_reuse_one
#[test]
fn calls_one_after_the_other_need_one_process() {
    watchdog("reuse", || {
        let pool = pool(4).build();
        let pids: BTreeSet<u32> =
            (0..200).map(|_| pool.submit(who, ()).result().unwrap()).collect();
        assert_eq!(pids.len(), 1);
    });
}

// CPython: ProcessPoolExecutorTest::test_idle_process_reuse_multiple
#[test]
fn six_calls_of_which_three_overlap_need_at_most_three_processes() {
    watchdog("reuse", || {
        let pool = pool(5).build();
        let mut pids = BTreeSet::new();
        pids.insert(pool.submit(who, ()).result().unwrap());
        for overlapping in [2, 3] {
            let gate = Gate::new();
            let futures: Vec<_> =
                (0..overlapping).map(|_| pool.submit(at_gate, gate.path())).collect();
            drop((0..overlapping).map(|_| gate.arrival()).collect::<Vec<_>>());
            pids.extend(results(futures).into_iter().map(Result::unwrap));
        }
        assert!(pids.len() <= 3, "{pids:?}");
    });
}

// CPython: ProcessPoolShutdownTest::test_processes_terminate
// CPython: ProcessPoolShutdownTest::test_context_manager_shutdown
// CPython: ProcessPoolShutdownTest::test_del_shutdown
// CPython: ProcessPoolExecutorTest::test_saturation
#[test]
fn three_blocked_calls_start_three_of_five_processes_and_drop_ends_them() {
    watchdog("start on demand", || {
        let (pool, gate) = (pool(5).build(), Gate::new());
        assert!(pool.pids().is_empty(), "nothing starts before the first call");
        let futures: Vec<_> = (0..3).map(|_| pool.submit(at_gate, gate.path())).collect();
        let guests = [gate.arrival(), gate.arrival(), gate.arrival()];
        let pids = pool.pids();
        assert_eq!(pids.len(), 3);
        drop(guests);
        drop(pool);
        assert!(!pids.into_iter().any(is_alive));
        assert_eq!(processes(futures), 3);
    });
}

#[test]
fn a_call_runs_when_a_worker_has_it_and_can_be_cancelled_until_then() {
    watchdog("running", || {
        let (pool, gate) = (pool(2).build(), Gate::new());
        let running: Vec<_> = (0..2).map(|_| pool.submit(at_gate, gate.path())).collect();
        let guests = [gate.arrival(), gate.arrival()];
        let queued: Vec<_> = (0..5).map(|n| pool.submit(square, n)).collect();
        assert!(running.iter().all(|future| future.is_running() && !future.cancel()));
        assert!(
            queued
                .iter()
                .all(|future| !future.is_running() && future.cancel() && future.is_cancelled())
        );
        drop(guests);
        pool.shutdown(); // with nothing but cancelled calls in the queue
        assert!(results(running).iter().all(Result::is_ok));
    });
}

#[test]
fn quick_calls_behind_a_slow_one_are_done_elsewhere() {
    watchdog("recall", || {
        let (pool, gate) = (pool(2).build(), Gate::new());
        for _ in 0..10 {
            let mut quick: Vec<_> = (0..300).map(|n| pool.submit(square, n)).collect();
            let slow = pool.submit(at_gate, gate.path());
            quick.extend((300..600).map(|n| pool.submit(square, n)));
            assert_eq!(results(quick), (0..600).map(|n| Ok(n * n)).collect::<Vec<_>>());
            assert!(slow.is_running());
            drop(gate.arrival());
            assert!(slow.result().is_ok());
        }
    });
}

#[test]
fn quick_calls_behind_a_slow_one_can_be_cancelled_again() {
    watchdog("recall", || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        let quick: Vec<_> = (0..300).map(|n| pool.submit(square, n)).collect();
        let slow = pool.submit(at_gate, gate.path());
        let behind: Vec<_> = (0..50).map(|n| pool.submit(square, n)).collect();
        let guest = gate.arrival();
        until("they are back", || behind.iter().all(|future| !future.is_running()));
        assert!(behind.iter().all(Future::cancel) && slow.is_running());
        drop(guest);
        assert!(slow.result().is_ok() && results(quick).iter().all(Result::is_ok));
    });
}

fn cause_of<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    let Err(Error::Broken { cause }) = outcome else { panic!("not broken: {outcome:?}") };
    cause.into()
}

// CPython: ProcessPoolExecutorTest::test_failed_worker_replacement_breaks_pool
#[test]
fn a_program_that_is_no_worker_breaks_the_pool_with_its_command_line_its_end_and_what_it_printed() {
    watchdog("failed starts", || {
        let short = Duration::from_millis(200);
        let cases: [(Builder, &[&str]); 5] = [
            (
                ProcessPool::builder(tasks())
                    .workers(1)
                    .command(|| Command::new("/no/such/program"))
                    .arg("--now"),
                &["cannot start \"/no/such/program\" \"--now\"", "No such file"],
            ),
            (
                foreign("true"),
                &["\"sh\" \"-c\" \"true\" is no worker", "it ended", "exit status: 0"],
            ),
            (foreign("exec cat").start_timeout(short), &["exec cat", "it was not ready in time"]),
            (
                foreign("echo good $((3 + 4)) day; echo no $((1 + 1)) manners >&2; exit 7"),
                &["exit status: 7", "good 7 day", "no 2 manners"],
            ),
            (
                foreign("printf '\\036ready 2 {\"new\":\"times\"}\\n'; exec cat"),
                &["it speaks version 2 of the protocol, not 1"],
            ),
        ];
        for (builder, parts) in cases {
            let pool = builder.build();
            let futures: Vec<_> = (0..3).map(|n| pool.submit(square, n)).collect();
            for outcome in results(futures) {
                let cause = cause_of(outcome);
                assert!(parts.iter().all(|part| cause.contains(part)), "{parts:?} in: {cause}");
            }
            cause_of(pool.submit(square, 1).result());
            pool.shutdown();
            assert!(pool.pids().is_empty());
        }
    });
}

// CPython: ProcessPoolExecutorTest::test_python_finalization_error
#[test]
fn a_command_that_panics_breaks_the_pool_and_not_the_keeper() {
    watchdog("a panicking command", || {
        let pool =
            ProcessPool::builder(tasks()).workers(1).command(|| panic!("which program?")).build();
        assert!(cause_of(pool.submit(square, 1).result()).contains("which program?"));
    });
}

// CPython: ProcessPoolExecutorTest::test_failed_worker_replacement_breaks_pool
#[test]
fn a_replacement_that_cannot_be_started_breaks_the_pool() {
    watchdog("no replacement", || {
        let link = plays::fresh_path("program");
        std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
        let program = link.clone();
        let command = move || {
            let mut command = Command::new(&program);
            command.args([
                "-c",
                "printf '\\036ready 1 {}\\n'; read id task argument; printf '\\036%s ok 7\\n' $id",
            ]);
            command
        };
        let pool = ProcessPool::builder(tasks())
            .workers(1)
            .max_tasks_per_worker(1)
            .command(command)
            .build();
        assert_eq!(pool.call::<u64, u64>("any", 1).result(), Ok(7));
        fs::remove_file(link).unwrap();
        assert!(cause_of(pool.call::<u64, u64>("any", 1).result()).contains("cannot start"));
    });
}

// CPython: FailingInitializerMixin::test_initializer
#[test]
fn an_initializer_that_fails_breaks_the_pool_with_its_cause() {
    watchdog("failed initializers", || {
        for (entry, why) in
            [("failing_entry", "no license for today"), ("panicking_entry", "no luck today")]
        {
            let pool = pool_of(entry, 2).build();
            let futures: Vec<_> = (0..4).map(|n| pool.submit(square, n)).collect();
            // A cancelled call in the queue is no obstacle. The pool may be broken before that.
            let cancelled = futures[3].cancel();
            let outcomes = results(futures);
            assert_eq!(outcomes[3] == Err(Error::Cancelled), cancelled);
            for outcome in outcomes.into_iter().take(3).chain([pool.submit(square, 1).result()]) {
                let cause = cause_of(outcome);
                assert!(
                    cause.contains("is no worker: its initializer failed: ") && cause.contains(why),
                    "{cause}"
                );
            }
        }
    });
}

#[test]
fn a_pool_of_nothing_panics_where_it_is_built() {
    for builder in
        [pool(0), pool(1).max_tasks_per_worker(0), pool(1).max_deaths(0), pool(usize::MAX)]
    {
        let built = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.build()));
        assert!(built.is_err());
    }
}

#[test]
fn a_worker_that_forgot_to_serve_has_no_pool_of_workers_that_forget_to_serve() {
    watchdog("a chain that breaks", || {
        let mut command = Command::new(env::current_exe().unwrap());
        let command =
            command.args([&worker_mark(None), "forgetful_entry", "--exact", "--nocapture"]);
        let output = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert!(output.contains("panicked") && output.contains("serve_if_worker"), "{output}");
    });
}

#[test]
fn a_task_has_a_pool_of_its_own() {
    watchdog("workers of a worker", || {
        assert_eq!(pool(1).build().submit(square_elsewhere, 12).result(), Ok(144));
    });
}

#[test]
fn failed_starts_do_not_add_up_over_a_pool_that_works() {
    watchdog("flaky starts", || {
        let starts = AtomicU32::new(0);
        let command = move || match starts.fetch_add(1, Ordering::SeqCst) % 3 {
            2 => {
                let mut worker = rogue::myself("rogue_entry");
                worker.arg("by-hand");
                worker
            }
            _ => Command::new("true"),
        };
        let pool = ProcessPool::builder(tasks())
            .workers(1)
            .max_tasks_per_worker(1)
            .command(command)
            .build();
        let answers: Vec<_> = (0..3).map(|n| pool.call::<u64, u64>("good", n)).collect();
        assert_eq!(results(answers), [Ok(0), Ok(1), Ok(2)]);
    });
}
