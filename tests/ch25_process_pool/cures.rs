//! What went wrong in a first version of this pool, each as a test.

use crate::alone::{self, alone, count, is_alone, program};
use crate::*;
use std::io::{self, Write};
use std::path::PathBuf;

fn path(what: &str) -> PathBuf {
    plays::fresh_path(what).into()
}

/// This program in a process of its own, started by way of `env` or a shell.
fn by_way_of(first: &[&str], name: &str) -> Command {
    let original = program(name);
    let mut command = Command::new(first[0]);
    command.args(&first[1..]).arg(original.get_program()).args(original.get_args());
    command.envs(original.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[track_caller]
fn succeeds(mut command: Command) {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

macro_rules! name {
    ($name:literal) => {
        concat!("ch25_process_pool::cures::", $name)
    };
}

#[test]
fn a_parent_that_holds_the_lock_of_stdout_waits_for_a_task_that_prints() {
    alone(name!("a_parent_that_holds_the_lock_of_stdout_waits_for_a_task_that_prints"), || {
        let pool = pool(1).build();
        let (mut out, _err) = (io::stdout().lock(), io::stderr().lock());
        let printed = pool.call::<_, ()>("print", "a line of a task\n".to_owned());
        writeln!(out, "{:?}", printed.result()).unwrap();
    });
}

#[test]
fn a_callback_that_waits_for_another_call_of_its_pool_gets_it() {
    watchdog("a callback that waits", || {
        let (pool, gate) = (Arc::new(pool(1).build()), Gate::new());
        let first = pool.submit(at_gate, gate.path());
        let (tell, told) = channel();
        let theirs = pool.clone();
        first.add_done_callback(move |_| {
            let nested = theirs.submit(square, 12);
            let inner = tell.clone();
            let again = theirs.clone();
            nested
                .add_done_callback(move |_| inner.send(again.submit(square, 13).result()).unwrap());
            tell.send(nested.result()).unwrap();
        });
        drop(gate.arrival());
        let mut results = [told.recv().unwrap(), told.recv().unwrap()];
        results.sort_by_key(|result| result.clone().unwrap());
        assert_eq!(results, [Ok(144), Ok(169)]);
        assert!(first.result().is_ok());
        pool.shutdown();
    });
}

#[test]
fn i7_starts_that_fail_break_no_pool_that_has_a_worker_at_work() {
    watchdog("one worker of six", || {
        let starts = AtomicU32::new(0);
        let command = move || match starts.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let mut command = rogue::myself("rogue_entry");
                command.arg("by-hand");
                command
            }
            _ => Command::new("/no/such/program"),
        };
        let pool = ProcessPool::builder(tasks()).workers(6).command(command).build();
        let first = pool.call::<u64, u64>("good", 0);
        assert_eq!(first.result(), Ok(0));
        let calls: Vec<_> = (0..60).map(|n| pool.call::<u64, u64>("good", n)).collect();
        assert_eq!(results(calls), (0..60).map(Ok).collect::<Vec<_>>());
    });
}

#[test]
fn i7_workers_that_die_at_one_moment_are_one_death() {
    watchdog("twelve deaths at once", || {
        let (pool, gate) = (pool(12).build(), Gate::new());
        let running: Vec<_> = (0..12).map(|_| pool.submit(at_gate, gate.path())).collect();
        let _guests: Vec<_> = (0..12).map(|_| gate.arrival()).collect();
        let queued: Vec<_> = (0..25).map(|n| pool.submit(square, n)).collect();
        let all = pool.pids().iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        assert!(
            Command::new("sh").args(["-c", &format!("kill -9 {all}")]).status().unwrap().success()
        );
        assert!(results(running).iter().all(|outcome| matches!(outcome, Err(Error::Died(_)))));
        assert_eq!(results(queued), (0..25).map(|n| Ok(n * n)).collect::<Vec<_>>());
    });
}

#[test]
fn a_program_that_never_serves_is_told_the_line_to_add() {
    watchdog("no such entry", || {
        for (entry, limit) in [("no_such_entry", 10_000), ("sleepy_entry", 300)] {
            let builder = pool_of(entry, 1).start_timeout(Duration::from_millis(limit));
            let Err(Error::Broken { cause }) = builder.build().submit(square, 1).result() else {
                panic!("it serves")
            };
            assert!(cause.contains("serve_if_worker"), "{cause}");
        }
    });
}

#[test]
fn i5_with_sigchld_ignored_an_end_is_noticed_at_once() {
    const NAME: &str = name!("i5_with_sigchld_ignored_an_end_is_noticed_at_once");
    if is_alone(NAME) {
        return watchdog(NAME, || {
            let pool = pool(1).build();
            let begin = Instant::now();
            let deaths = (0..5).map(|_| {
                assert_eq!(pool.submit(square, 3).result(), Ok(9));
                let begin = Instant::now();
                let died = pool.submit(commit, deed(Deed::Exit)).result();
                assert!(matches!(died, Err(Error::Died(_))));
                begin.elapsed()
            });
            // An end that is not noticed is waited for, half a second each time.
            let fastest = deaths.min().unwrap();
            assert!(fastest < Duration::from_millis(400), "{fastest:?} for the fastest death");
            pool.shutdown();
            assert!(
                begin.elapsed() < Duration::from_secs(4),
                "{:?} for five deaths",
                begin.elapsed()
            );
        });
    }
    let ignores = ["env", "--ignore-signal=CHLD"];
    if !Command::new("env")
        .args(["--ignore-signal=CHLD", "true"])
        .status()
        .is_ok_and(|ok| ok.success())
    {
        return alone::say("SKIPPED: `env` cannot ignore a signal here");
    }
    succeeds(by_way_of(&ignores, NAME));
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_whose_file_is_gone_goes_on_starting_workers() {
    const NAME: &str = name!("a_program_whose_file_is_gone_goes_on_starting_workers");
    if is_alone(NAME) {
        return watchdog(NAME, || {
            fs::remove_file(env::current_exe().unwrap()).unwrap();
            assert_eq!(pool(1).build().submit(square, 3).result(), Ok(9));
        });
    }
    let copy = path("program");
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    let original = program(NAME);
    let mut command = Command::new(&copy);
    command.args(original.get_args());
    command.envs(original.get_envs().filter_map(|(name, value)| Some((name, value?))));
    succeeds(command);
}

#[test]
fn the_last_words_of_an_earlier_task_are_not_those_of_a_later_one() {
    watchdog("last words", || {
        let pool = pool(1).build();
        pool.call::<_, ()>("murmur", "early words".to_owned()).result().unwrap();
        for n in 0..100 {
            assert_eq!(pool.submit(square, n).result(), Ok(n * n)); // they have arrived by now
        }
        let Err(Error::Died(death)) = pool.submit(commit, deed(Deed::Exit)).result() else {
            panic!("it lives")
        };
        assert_eq!(death.stderr, "");
    });
}

#[test]
fn n_workers_at_work_have_2_n_threads_and_one_and_none_after_shutdown() {
    alone(name!("n_workers_at_work_have_2_n_threads_and_one_and_none_after_shutdown"), || {
        let before = count("task");
        for n in [1, 2, 5] {
            let (pool, gate) = (pool(n).build(), Gate::new());
            let calls: Vec<_> = (0..n).map(|_| pool.submit(at_gate, gate.path())).collect();
            let guests: Vec<_> = (0..n).map(|_| gate.arrival()).collect();
            assert!(count("task") - before <= 2 * n + 1, "{} for {n}", count("task") - before);
            drop(guests);
            assert!(results(calls).iter().all(Result::is_ok));
            pool.shutdown();
            until("the system has forgotten them", || count("task") == before);
        }
    });
}

#[test]
fn a_pool_says_how_many_workers_it_has_and_how_many_calls_wait() {
    watchdog("getters", || {
        let (pool, gate) = (pool(1).build(), Gate::new());
        assert_eq!((pool.workers(), pool.pending()), (1, 0));
        let running = pool.submit(at_gate, gate.path());
        let guest = gate.arrival();
        let waiting: Vec<_> = (0..7).map(|n| pool.submit(square, n)).collect();
        assert_eq!(pool.pending(), 7);
        drop(guest);
        assert!(running.result().is_ok() && results(waiting).iter().all(Result::is_ok));
        assert_eq!(pool.pending(), 0);
    });
}

#[test]
fn each_worker_is_started_with_a_number_that_no_other_at_work_has() {
    watchdog("numbers", || {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let theirs = seen.clone();
        let command = move |number| {
            theirs.lock().unwrap().insert(number);
            rogue::myself("worker_entry")
        };
        let (pool, gate) =
            (ProcessPool::builder(tasks()).workers(3).command_for(command).build(), Gate::new());
        let calls: Vec<_> = (0..3).map(|_| pool.submit(at_gate, gate.path())).collect();
        drop((0..3).map(|_| gate.arrival()).collect::<Vec<_>>());
        assert!(results(calls).iter().all(Result::is_ok));
        assert_eq!(*seen.lock().unwrap(), BTreeSet::from([0, 1, 2]));
    });
}
