//! Nothing leaks.

use super::*;

#[test]
fn a_thousand_workers_leave_no_descriptor_no_thread_no_zombie() {
    // I5. `SURVIVAL_WORKERS` says how many, if not a thousand.
    alone("leaks::a_thousand_workers_leave_no_descriptor_no_thread_no_zombie", || {
        let workers = env::var("SURVIVAL_WORKERS").map_or(1000, |number| number.parse().unwrap());
        let before = count("fd");
        leaves_nothing(|| {
            let pool = shell(2, ECHO).max_tasks_per_worker(1).build();
            let futures: Vec<_> =
                (0..workers).map(|n: u64| pool.call::<u64, u64>("echo", n)).collect();
            for (n, future) in (0..workers).zip(futures) {
                assert_eq!(future.result(), Ok(n));
                // Three pipes and two duplicates for each of two workers; as many for two that end,
                // whose threads have not closed them yet, and for the two that start after them.
                assert!(
                    count("fd") <= before + 32,
                    "{} descriptors after {n} workers",
                    count("fd")
                );
                assert!(children().len() <= 2, "more processes than workers");
            }
        });
    });
}

#[test]
fn a_hundred_pools_leave_nothing() {
    alone("leaks::a_hundred_pools_leave_nothing", || {
        leaves_nothing(|| {
            for n in 0..100 {
                let pool = shell(2, ECHO).build();
                let future = (n % 4 > 0).then(|| pool.call::<u64, u64>("echo", n));
                match n % 3 {
                    0 => pool.shutdown(),
                    1 => drop(pool),
                    _ => pool.shutdown_now(),
                }
                let outcome = future.map(Future::result);
                assert!(
                    matches!(outcome, None | Some(Ok(_) | Err(Error::Cancelled))),
                    "{outcome:?}"
                );
            }
        });
    });
}

#[test]
fn the_dead_are_buried_before_their_error_arrives() {
    // I5
    alone("leaks::the_dead_are_buried_before_their_error_arrives", || {
        leaves_nothing(|| {
            let pool = pool(2);
            for n in 0..30 {
                match pool.submit(risky, n * 10 + 9).result() {
                    Err(Error::Died(death)) => assert_eq!(state(death.pid), None, "a zombie"),
                    other => panic!("{other:?}"),
                }
                assert!(pool.submit(risky, n * 10).result().is_ok());
            }
        });
    });
}

// CPython: FailingInitializerResourcesTest::test_spawn
#[test]
fn a_pool_whose_initializer_fails_leaves_nothing() {
    alone("leaks::a_pool_whose_initializer_fails_leaves_nothing", || {
        leaves_nothing(|| {
            let failing = || {
                let mut shell = Command::new("sh");
                shell.args(["-c", r#"printf '\0360 err failed_start "no network"\n'"#]);
                shell
            };
            let pool = ProcessPool::builder(Tasks::new()).workers(3).command(failing).build();
            let futures: Vec<_> = (0..20).map(|n| pool.call::<u32, u32>("square", n)).collect();
            for future in futures {
                let outcome = future.result();
                assert!(
                    matches!(&outcome, Err(Error::Broken { cause }) if cause.contains("no network")),
                    "{outcome:?}"
                );
            }
        });
    });
}

#[test]
fn every_way_to_end_a_pool_leaves_nothing() {
    alone("leaks::every_way_to_end_a_pool_leaves_nothing", || {
        let ends: [fn(ProcessPool); 5] = [
            |pool| pool.shutdown(),
            |pool| pool.shutdown_now(),
            |pool| pool.kill(),
            drop,
            |pool| {
                let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let _pool = pool;
                    std::panic::resume_unwind(Box::new("the user's scope ends"));
                }));
                assert!(unwound.is_err());
            },
        ];
        for end in ends {
            leaves_nothing(|| {
                let pool = pool(3);
                let futures: Vec<_> = (0..40).map(|n| pool.submit(risky, n)).collect();
                end(pool);
                for future in futures {
                    let known = |error: &Error| {
                        matches!(error, Error::Died(_) | Error::Cancelled | Error::Killed { .. })
                    };
                    let outcome = future.result();
                    assert!(outcome.as_ref().err().is_none_or(known), "{outcome:?}");
                }
            });
        }
    });
}

/// Starts a process that holds all three pipes for a long time, and tells which; or ends its own
/// process after that.
pub(crate) fn leave((end, file): (bool, String)) -> u32 {
    #[expect(clippy::zombie_processes, reason = "it is left behind on purpose")]
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(file, child.id().to_string()).unwrap();
    if end {
        process::exit(4);
    }
    child.id()
}

#[test]
fn a_grandchild_that_holds_the_pipes_holds_up_nobody() {
    // I5
    alone("leaks::a_grandchild_that_holds_the_pipes_holds_up_nobody", || {
        leaves_nothing(|| {
            let file = env::temp_dir().join(format!("survival-{}", process::id()));
            let path = file.to_str().unwrap();
            let grandchild = || fs::read_to_string(path).unwrap();
            let mut pipe_holders = Vec::new();

            let pool = pool(1);
            let died = pool.submit(leave, (true, path.to_string()));
            let behind = pool.submit(square, 5);
            assert!(
                matches!(died.result(), Err(Error::Died(death)) if death.status.unwrap().code() == Some(4))
            );
            pipe_holders.push(grandchild());
            assert_eq!(behind.result(), Ok(25), "another worker runs what was behind it");

            assert!(pool.submit(leave, (false, path.to_string())).result().is_ok());
            pipe_holders.push(grandchild());
            pool.shutdown();
            assert_eq!(children(), []);
            // What may still be there are the threads at the pipes. They end with the
            // grandchildren.
            assert!(pipe_holders.iter().all(|pid| state(pid.parse().unwrap()) == Some('S')));
            pipe_holders.iter().for_each(|pid| signal("KILL", pid));
            fs::remove_file(&file).unwrap();
            until("their pipes are closed", || !holds_pipes());
        });
    });
}

/// True while one of the threads at a worker's pipes is there.
pub(crate) fn holds_pipes() -> bool {
    let names = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names
        .into_iter()
        .any(|name| ["worker-", "stderr", "writer"].iter().any(|role| name.starts_with(role)))
}
