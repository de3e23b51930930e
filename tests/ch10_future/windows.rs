//! The windows: many rounds, many threads ("cases a port needs": 17).

use crate::*;

/// Runs each of `parts` on a thread of its own, all at the same moment.
fn at_once<const N: usize>(parts: [&(dyn Fn() + Sync); N]) {
    let start = Barrier::new(N);
    thread::scope(|scope| {
        for part in parts {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                part();
            });
        }
    });
}

#[test]
fn i1_cancel_against_run_against_fail() {
    // I1, I2, I3
    watchdog("one of cancel, run and fail", || {
        for _ in 0..ROUNDS {
            let (drops, runs) = (counter(), counter());
            let (job, future) = task(PoolId::new(), {
                let (data, runs) = (Counted::new(&drops), runs.clone());
                move || {
                    drop(data);
                    runs.fetch_add(1, SeqCst)
                }
            });
            let (noted, callback) = note();
            future.add_done_callback(callback);
            let said = AtomicBool::new(false);
            at_once([&|| job.run(&|| ()), &|| said.store(future.cancel(), SeqCst), &|| {
                job.fail(Error::ShutDown)
            }]);
            assert_eq!(drops.load(SeqCst), 1);
            assert_eq!(said.load(SeqCst), future.is_cancelled());
            let outcome = future.result();
            assert_eq!(runs.load(SeqCst), usize::from(outcome.is_ok()));
            assert_eq!(said.load(SeqCst), outcome == Err(Error::Cancelled));
            assert_eq!(noted.try_iter().collect::<Vec<_>>(), [outcome]);
        }
    });
}

#[test]
fn cancel_against_start_against_complete() {
    watchdog("one of cancel and complete", || {
        for _ in 0..ROUNDS {
            let (promise, future) = promise();
            let promise = Mutex::new(Some(promise));
            let given_back = Mutex::new(None);
            at_once([&|| _ = future.cancel(), &|| {
                let mut promise = promise.lock().unwrap().take().unwrap();
                let started = promise.start();
                thread::yield_now();
                let outcome = promise.complete(Ok(7));
                assert_eq!(outcome.is_ok(), started, "what has started is not cancelled");
                *given_back.lock().unwrap() = outcome.err();
            }]);
            let cancelled = future.is_cancelled();
            assert_eq!(given_back.into_inner().unwrap(), cancelled.then_some(Ok(7)));
            assert_eq!(future.result(), if cancelled { Err(Error::Cancelled) } else { Ok(7) });
        }
    });
}

#[test]
fn i3_callbacks_added_while_it_completes_run_once_each_in_order() {
    // I3
    watchdog("a callback added in the window", || {
        for round in 0..ROUNDS {
            let (waiting, future) = promise();
            let waiting = Mutex::new(Some(waiting));
            let (sender, receiver) = channel();
            let add = |name: usize| {
                for n in 0..4 {
                    let sender = sender.clone();
                    future.add_done_callback(move |outcome| {
                        sender.send((name, n, outcome.clone())).unwrap()
                    });
                }
            };
            let end = || match round % 2 {
                0 => assert!(future.cancel()),
                _ => waiting.lock().unwrap().take().unwrap().complete(Ok(7)).unwrap(),
            };
            at_once([&|| add(0), &|| add(1), &end]);
            let outcome = future.result();
            let ran: Vec<_> = receiver.try_iter().collect();
            for name in [0, 1] {
                let of_one = ran.iter().filter(|(from, ..)| *from == name);
                assert_eq!(
                    of_one.map(|(_, n, _)| *n).collect::<Vec<_>>(),
                    [0, 1, 2, 3],
                    "of thread {name}"
                );
            }
            assert!(ran.iter().all(|(.., seen)| *seen == outcome));
        }
    });
}

#[test]
fn done_is_never_taken_back_by_late_callbacks() {
    watchdog("many late callbacks", || {
        let (promise, future) = promise();
        let ran = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        promise.complete(Err(panicked("late"))).unwrap();
        let future = Arc::new(future);
        let add = || {
            for _ in 0..ROUNDS {
                let (noted, callback) = note();
                future.add_done_callback(callback);
                assert_eq!(noted.recv(), Ok(Err::<u32, _>(panicked("late")))); // perhaps the other thread runs it
                ran.fetch_add(1, SeqCst);
            }
            over.store(true, SeqCst);
        };
        let look = || {
            while !over.load(SeqCst) {
                assert!(future.is_done() && future.is_failed() && future.wait_timeout(ZERO));
                assert_eq!(future.error(), Some(panicked("late")));
                thread::yield_now();
            }
        };
        at_once([&add, &add, &look]);
        assert_eq!(ran.into_inner(), 2 * ROUNDS);
    });
}

#[test]
fn i5_drop_of_the_future_against_completion_drops_and_reports_once() {
    // I5
    let _turn = hook();
    watchdog("a future that goes while its outcome comes", || {
        let drops = counter();
        for _ in 0..ROUNDS {
            let (job, good) = task(PoolId::new(), {
                let drops = drops.clone();
                move || Counted::new(&drops)
            });
            let (bad_job, bad) = task(PoolId::new(), || -> u32 { panic!("dropped in the window") });
            let futures = Mutex::new(Some((good, bad)));
            at_once([
                &|| {
                    bad_job.run(&|| ());
                    job.run(&|| ());
                },
                &|| drop(futures.lock().unwrap().take()),
            ]);
        }
        assert_eq!(drops.load(SeqCst), ROUNDS);
    });
    assert_eq!(reports_of("dropped in the window").len(), ROUNDS);
}

#[test]
fn everybody_who_waits_is_released() {
    // CPython: FutureTests::test_result_with_success, test_result_with_cancel, with many threads at
    // once
    watchdog("waiters of one future", || {
        for round in 0..ROUNDS / 5 {
            let (waiting, future) = promise();
            let waiting = Mutex::new(Some(waiting));
            let wait = || assert!(future.wait_timeout(Duration::MAX));
            let end = || match round % 3 {
                0 => assert!(future.cancel()),
                1 => waiting.lock().unwrap().take().unwrap().complete(Ok(7)).unwrap(),
                _ => drop(waiting.lock().unwrap().take()),
            };
            at_once([&wait, &wait, &wait, &end]);
            assert!(future.is_done());
        }
    });
}

#[test]
fn watch_against_unwatch_against_completion() {
    watchdog("a watcher in the window", || {
        for _ in 0..ROUNDS {
            let (waiting, future) = promise();
            let waiting = Mutex::new(Some(waiting));
            let (kept, gone) = (Arc::new(Told::default()), Arc::new(Told::default()));
            let watched = AtomicBool::new(false);
            future.watch(gone.clone(), 0);
            at_once([
                &|| watched.store(future.watch(kept.clone(), 1), SeqCst),
                &|| future.unwatch(&(gone.clone() as Arc<dyn Watcher>)),
                &|| waiting.lock().unwrap().take().unwrap().complete(Ok(7)).unwrap(),
            ]);
            assert_eq!(
                kept.times.load(SeqCst),
                usize::from(watched.load(SeqCst)),
                "told if and only if promised"
            );
            assert!(gone.times.load(SeqCst) <= 1);
            assert_eq!(
                (Arc::strong_count(&kept), Arc::strong_count(&gone)),
                (1, 1),
                "nothing is left behind"
            );
        }
    });
}
