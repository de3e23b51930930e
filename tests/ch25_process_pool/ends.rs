//! The end of a pool, what its tasks print, and what they leave behind.

use crate::*;

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
