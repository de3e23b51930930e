//! The process pool. This test program is its own worker: `worker_entry` runs the library's loop, `rogue_entry` a
//! worker written by hand that misbehaves as told. Both do nothing when `cargo test` runs them as tests.

#![cfg(unix)]

mod support;

mod ch25_process_pool {
    pub(crate) mod matrix;
    pub(crate) mod plays;
    pub(crate) mod rogue;
}

use ch25_process_pool::plays::{self, Gate, at_gate};
use ch25_process_pool::rogue::{self, Deed, Parcel};
use concurrent_explained::ch25_process_pool::Builder;
use concurrent_explained::{Error, Future, Overrun, ProcessPool, Tasks, worker_mark};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};
use support::{process_until as until, process_watchdog as watchdog};

// ---- the workers ------------------------------------------------------------------------------------------------

fn square(n: u64) -> u64 {
    n * n
}

fn who(_: ()) -> u32 {
    process::id()
}

fn commit(deed: String) {
    rogue::deed_of(&deed).into_iter().for_each(rogue::commit);
}

/// Leaves a line in the file; number 37 kills its process.
fn log_or_die((file, n): (String, u64)) -> u64 {
    plays::log(&file, n);
    if n == 37 {
        rogue::commit(Deed::Sigkill);
    }
    n
}

/// A task with a pool of its own.
fn square_elsewhere(n: u64) -> u64 {
    pool(1).build().submit(square, n).result().unwrap()
}

fn not_a_task(n: u64) -> u64 {
    n
}

fn tasks() -> Tasks {
    let tasks = Tasks::new().with("square", square).with("who", who).with("commit", commit);
    let tasks = tasks
        .with("log_or_die", log_or_die)
        .with("square_elsewhere", square_elsewhere)
        .with("at_gate", at_gate);
    plays::tasks_of_the_plays(rogue::tasks_of_the_matrix(tasks))
}

#[test]
fn worker_entry() {
    tasks().serve_if_worker();
}

#[test]
fn failing_entry() {
    tasks().initializer(|| Err("no license for today".to_owned())).serve_if_worker();
}

#[test]
fn panicking_entry() {
    tasks().initializer(|| panic!("no luck today")).serve_if_worker();
}

/// A program that forgets to serve.
#[test]
fn forgetful_entry() {
    if env::args().nth(1) == Some(worker_mark(None)) {
        drop(pool_of("forgetful_entry", 1).build());
    }
}

#[test]
fn rogue_entry() {
    rogue::serve_by_hand();
}

#[test]
fn play_entry() {
    plays::play(pool);
}

/// Workers that are this very program.
fn pool(workers: usize) -> Builder {
    pool_of("worker_entry", workers)
}

fn pool_of(entry: &str, workers: usize) -> Builder {
    ProcessPool::builder(tasks()).workers(workers).arg(entry).arg("--exact").arg("--nocapture")
}

/// Workers that are something else.
fn foreign(script: &'static str) -> Builder {
    let command = move || {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    ProcessPool::builder(tasks()).workers(1).command(command)
}

fn deed(deed: Deed) -> String {
    format!("{deed:?}")
}

fn results<T>(futures: Vec<Future<'static, T>>) -> Vec<Result<T, Error>> {
    futures.into_iter().map(Future::result).collect()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

// ---- death ------------------------------------------------------------------------------------------------------

// CPython: ProcessPoolExecutorTest::test_killed_child
#[test]
fn killed_while_running_task_37_of_100_loses_that_task_and_runs_the_others_once() {
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
fn deaths_in_a_row_break_the_pool_with_the_last_cause_before_the_last_victim_tells() {
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
fn an_answer_that_is_in_the_pipe_counts_however_late_it_is_read() {
    watchdog("a slow callback", || {
        let command = || {
            let mut command = rogue::myself("rogue_entry");
            command.args(["by-hand", "deed:Exit", "moment:Idle"]);
            command
        };
        let pool = Arc::new(ProcessPool::builder(tasks()).workers(1).command(command).build());
        let (open, gate) = channel::<()>();
        let (never, theirs) = (Mutex::new(gate), pool.clone());
        let first = pool.call::<u64, u64>("good", 1);
        first.add_done_callback(move |_| {
            never.lock().unwrap().recv().unwrap(); // the second call is submitted
            until("the second is answered, and its worker dead", || theirs.pids().is_empty());
            // Longer than anybody waits for a reader that has nothing to do.
            let _ = never.lock().unwrap().recv_timeout(Duration::from_millis(700));
        });
        let second = pool.call::<u64, u64>("arm", 2);
        open.send(()).unwrap();
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
        // It swaps when it has two requests: when its answers have come quickly enough to be trusted with two.
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

// ---- time -------------------------------------------------------------------------------------------------------

#[test]
fn a_limit_of_the_pool_or_of_the_call_ends_the_task_by_name_and_is_no_death() {
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
fn a_limit_holds_for_a_worker_that_never_reads_a_large_argument() {
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

// ---- kill -------------------------------------------------------------------------------------------------------

// CPython: ProcessPoolExecutorTest::test_force_shutdown_workers
#[test]
fn kill_stops_a_running_task_and_its_process_for_good() {
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

// ---- one process after the other -----------------------------------------------------------------------------------

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

// ---- running, and not yet running -----------------------------------------------------------------------------------

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

// ---- start ------------------------------------------------------------------------------------------------------

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
            futures[3].cancel(); // a cancelled call in the queue is no obstacle
            let outcomes = results(futures);
            assert_eq!(outcomes[3], Err(Error::Cancelled));
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

// ---- calls that cannot be ---------------------------------------------------------------------------------------

// CPython: ExecutorDeadlockTest::test_error_at_task_pickle
// CPython: ExecutorDeadlockTest::test_error_at_task_unpickle
// CPython: ExecutorDeadlockTest::test_error_during_func_exec_on_worker
// CPython: ExecutorDeadlockTest::test_error_during_result_pickle_on_worker
// CPython: ExecutorDeadlockTest::test_error_during_result_unpickle_in_result_handler
#[test]
fn what_cannot_be_encoded_decoded_or_found_fails_its_call_and_nothing_else() {
    watchdog("refused calls", || {
        let pool = pool(1).build();
        let pid = pool.submit(who, ()).result().unwrap();
        let refused = |outcome: Result<u64, Error>, why: &str| match outcome {
            Err(Error::Refused { reason }) => assert!(reason.contains(why), "{reason}"),
            other => panic!("{why}: {other:?}"),
        };
        refused(pool.submit(not_a_task, 1).result(), "not_a_task");
        refused(pool.call("no-such-task", 1_u64).result(), "no-such-task");
        refused(pool.call("two words", 1_u64).result(), "cannot be the name");
        refused(pool.call("square", "twelve".to_owned()).result(), "a whole number");
        refused(
            pool.call("bad-Running", "a text".to_owned()).result(),
            "the result of `bad-Running`",
        );
        let unsendable = pool.call::<_, u64>("square", Parcel(deed(Deed::Panic))).result();
        assert!(matches!(unsendable, Err(Error::Panicked { .. })), "{unsendable:?}");
        for task in ["bad-Decoding", "bad-Running", "bad-Replying"] {
            let outcome = pool.call::<_, String>(task, deed(Deed::Panic)).result();
            let Err(Error::Panicked { message }) = outcome else { panic!("{task}: {outcome:?}") };
            assert!(message.starts_with("as told") && message.contains("rogue.rs:"), "{message}");
        }
        assert_eq!(pool.submit(who, ()).result(), Ok(pid), "the worker lives on");
    });
}

#[test]
fn a_chunk_has_an_outcome_for_each_item_or_fails_as_a_whole() {
    watchdog("chunks", || {
        let hurried = pool(1).task_timeout(Duration::from_millis(60)).build();
        let pool = pool(1).build();
        let squares = pool.submit_chunk(square, (0..1000).collect()).result().unwrap();
        assert!(squares.into_iter().eq((0..1000).map(|n| Ok(n * n))));
        assert_eq!(pool.submit_chunk(square, Vec::new()).result(), Ok(Vec::new()));
        let deeds = |of: &[Deed]| of.iter().map(|of| deed(*of)).collect::<Vec<_>>();
        // A panic fails its item; what ends the worker fails all of them, and says which task it was.
        let outcomes = pool.submit_chunk(commit, deeds(&[Deed::Panic])).result().unwrap();
        assert!(
            matches!(&outcomes[..], [Err(Error::Panicked { message })] if message.starts_with("as told"))
        );
        let died = pool.submit_chunk(commit, deeds(&[Deed::Panic, Deed::Sigkill])).result();
        let Err(Error::Died(death)) = died else { panic!("{died:?}") };
        assert_eq!((death.task.as_str(), death.status.unwrap().signal()), ("commit*", Some(9)));
        let late = hurried.submit_chunk(commit, deeds(&[Deed::Hangs])).result();
        assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
        let unknown = pool.submit_chunk(not_a_task, vec![1]).result();
        assert!(matches!(unknown, Err(Error::Refused { .. })), "{unknown:?}");
        // A worker in another language need not know of chunks.
        let plain = foreign(
            r#"printf '\036ready 1 {}\n'; read id rest; printf "\036$id err unknown_task 1\n""#,
        );
        let refused = plain.build().submit_chunk(square, vec![1]).result();
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    });
}

#[test]
fn a_request_or_a_result_over_the_limit_of_the_tasks_is_refused() {
    watchdog("limits of length", || {
        let mut tasks = tasks();
        tasks.limit = Some(1000);
        let builder = ProcessPool::builder(tasks)
            .workers(1)
            .arg("worker_entry")
            .arg("--exact")
            .arg("--nocapture");
        let pool = builder.build();
        let outcome = pool.call::<_, String>("bad-Running", "x".repeat(1000)).result();
        assert!(matches!(outcome, Err(Error::Refused { .. })), "{outcome:?}");
        assert_eq!(
            pool.call::<_, String>("bad-Running", "x".repeat(900)).result(),
            Ok("x".repeat(900))
        );
        assert_eq!(pool.submit(square, 2).result(), Ok(4));
    });
}

#[test]
fn an_answer_that_is_not_utf_8_fails_its_call_and_nothing_else() {
    watchdog("bytes", || {
        let script = "printf '\\036ready 1 {}\\n'; read id rest; printf \"\\\\036$id ok \\\"\\\\377\\\"\\n\"; \
                      read id rest; printf \"\\\\036$id ok 4\\n\"; exec cat >/dev/null";
        let pool = foreign(script).build();
        let outcomes = results((0..2).map(|_| pool.call::<u64, u64>("square", 2)).collect());
        assert!(
            matches!(&outcomes[0], Err(Error::Refused { reason }) if reason.contains("UTF-8")),
            "{outcomes:?}"
        );
        assert_eq!(outcomes[1], Ok(4));
    });
}

#[test]
fn a_worker_that_gives_back_what_nobody_asked_back_is_put_to_an_end() {
    watchdog("unasked returns", || {
        let script = "printf '\\036ready 1 {}\\n'; while read id rest; do printf \"\\\\036$id err returned \\\"\\\"\\n\"; done";
        let pool = foreign(script).build();
        let Err(Error::Died(death)) = pool.call::<u64, u64>("square", 2).result() else {
            panic!("it lives")
        };
        assert!(death.cause.contains("gave back"), "{death}");
    });
}

// ---- the end ----------------------------------------------------------------------------------------------------

#[test]
fn shutdown_now_cancels_what_no_worker_has_begun_and_a_later_shutdown_does_not_revoke_it() {
    watchdog("shutdown_now", || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        let quick: Vec<_> = (0..200).map(|n| pool.submit(square, n)).collect();
        let slow = pool.submit(at_gate, gate.path());
        let behind: Vec<_> = (0..30).map(|n| pool.submit(square, n)).collect();
        let guest = gate.arrival();
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown_now());
            until("it is closed", || pool.submit(square, 1).is_done());
            scope.spawn(|| pool.shutdown());
            assert!(results(behind).iter().all(|outcome| *outcome == Err(Error::Cancelled)));
            drop(guest);
        });
        assert!(slow.result().is_ok() && results(quick).iter().all(Result::is_ok));
        assert_eq!(pool.submit(square, 1).result(), Err(Error::ShutDown));
    });
}

#[test]
fn every_caller_of_shutdown_waits_until_all_is_over() {
    watchdog("shutdown", || {
        let (pool, gate) = (pool(2).build(), Gate::new());
        let slow = pool.submit(at_gate, gate.path());
        let guest = gate.arrival();
        let back = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    pool.shutdown();
                    assert!(slow.is_done() && pool.pids().is_empty());
                    *back.lock().unwrap() += 1;
                });
            }
            until("it is closed", || pool.submit(square, 1).is_done());
            assert_eq!(*back.lock().unwrap(), 0);
            drop(guest);
        });
        assert_eq!(*back.lock().unwrap(), 3);
    });
}

#[test]
fn shutdown_and_drop_in_a_callback_do_not_wait_for_themselves() {
    watchdog("callbacks", || {
        let (tell, told) = channel();
        let builder = Arc::new(pool(1).build());
        let (gate, theirs) = (Gate::new(), builder.clone());
        let first = builder.submit(at_gate, gate.path());
        let second = builder.submit(square, 3);
        first.add_done_callback(move |_| {
            theirs.shutdown();
            drop(theirs);
            tell.send(()).unwrap();
        });
        drop(builder); // the callback has the last one
        drop(gate.arrival());
        told.recv().unwrap();
        assert_eq!(second.result(), Ok(9));
        assert!(first.result().is_ok());
    });
}

#[test]
fn a_pool_dropped_in_a_panic_cancels_what_has_not_begun() {
    watchdog("unwinding", || {
        let (give, given) = channel();
        let unwinds = thread::spawn(move || {
            let (pool, gate) = (pool(1).build(), Gate::new());
            let slow = pool.submit(at_gate, gate.path());
            let queued: Vec<_> = (0..5).map(|n| pool.submit(square, n)).collect();
            give.send((slow, queued, gate.arrival())).unwrap();
            panic::resume_unwind(Box::new("a body that fails"));
        });
        let (slow, queued, guest) = given.recv().unwrap();
        assert!(results(queued).iter().all(|outcome| *outcome == Err(Error::Cancelled)));
        drop(guest);
        assert!(slow.result().is_ok());
        assert!(unwinds.join().is_err());
    });
}

#[test]
fn a_detached_pool_is_dropped_at_once_and_does_the_rest() {
    watchdog("detach", || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        let slow = pool.submit(at_gate, gate.path());
        let queued = pool.submit(square, 3);
        let guest = gate.arrival();
        pool.detach();
        assert_eq!(pool.submit(square, 3).result(), Err(Error::ShutDown));
        let pids = pool.pids();
        drop(pool); // the gate is still shut
        drop(guest);
        assert!(slow.result().is_ok());
        assert_eq!(queued.result(), Ok(9));
        until("its worker has left", || !pids.iter().copied().any(is_alive));
    });
}

#[test]
fn a_worker_that_does_not_leave_is_killed_after_its_grace() {
    watchdog("grace", || {
        let script = "printf '\\036ready 1 {}\\n'; read id rest; printf \"\\\\036$id ok 4\\n\"; exec sleep 1000";
        let pool = foreign(script).exit_timeout(Duration::from_millis(50)).build();
        assert_eq!(pool.call::<u64, u64>("square", 2).result(), Ok(4));
        let (pids, begin) = (pool.pids(), Instant::now());
        pool.shutdown();
        assert!(begin.elapsed() >= Duration::from_millis(50));
        assert!(!pids.into_iter().any(is_alive));
    });
}

// CPython: ExecutorTest::test_shutdown_race_issue12456
#[test]
fn submitters_race_with_shutdown_and_every_call_has_an_outcome() {
    watchdog("submit against shutdown", || {
        for round in 0..10 {
            let pool = Arc::new(pool(2).build());
            let start = Arc::new(Barrier::new(5));
            let submitters: Vec<_> = (0..4)
                .map(|_| {
                    let (pool, start) = (pool.clone(), start.clone());
                    thread::spawn(move || {
                        start.wait();
                        let futures: Vec<_> =
                            (0..50).map(|n| (n, pool.submit(square, n))).collect();
                        futures
                            .into_iter()
                            .map(|(n, future)| (n, future.result()))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            start.wait();
            match round % 3 {
                0 => pool.shutdown(),
                1 => pool.shutdown_now(),
                _ => pool.kill(),
            }
            for (n, outcome) in
                submitters.into_iter().flat_map(|submitter| submitter.join().unwrap())
            {
                match outcome {
                    Ok(value) => assert_eq!(value, n * n),
                    Err(Error::ShutDown) => {}
                    Err(Error::Cancelled) => assert!(round % 3 > 0),
                    Err(Error::Killed { .. }) => assert!(round % 3 > 1),
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(pool.pids().is_empty());
        }
    });
}

// ---- stray output, and those left behind ----------------------------------------------------------------------------

#[test]
fn what_tasks_print_reaches_our_output_and_forges_nothing() {
    watchdog("a noisy program", || {
        let output = plays::run("noise");
        let heard = output
            .windows(plays::MEGABYTES.len())
            .filter(|window| *window == plays::MEGABYTES)
            .count();
        assert_eq!(heard, 1, "megabytes, in one piece");
        let text = String::from_utf8_lossy(&output)
            .replace(&*String::from_utf8_lossy(plays::MEGABYTES), "[megabytes]");
        let text = text.replace("\nrunning 1 test\n", ""); // the harness of the worker
        let expected = "no newline|\u{1e}1 ok 666\n\u{1e}2 ok 666\n[megabytes]\n\u{fffd}\u{fffd}|the results are right\n";
        assert!(text.contains(expected), "{text}");
    });
}

#[test]
fn a_grandchild_that_holds_the_pipes_and_goes_on_printing_holds_up_nobody() {
    watchdog("grandchildren", || {
        let output = String::from_utf8(plays::run("grandchildren")).unwrap();
        assert!(output.contains("all is well"), "{output}");
    });
}

#[test]
fn pools_and_builders_can_be_shared_sent_and_shown() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    fn sent<T: Send + std::fmt::Debug>() {}
    shared::<ProcessPool>();
    sent::<Builder>();
}
