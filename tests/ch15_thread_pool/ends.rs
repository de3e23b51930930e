//! The ways to end: rows of the table.

use crate::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Shutdown,
    ShutdownNow,
    Detach,
    Drop,
    DropUnwinding,
    DropDetached,
    DropDetachedUnwinding,
}

use End::{Detach, DropDetached, DropDetachedUnwinding, DropUnwinding, Shutdown, ShutdownNow};

const ENDS: [End; 7] =
    [Shutdown, ShutdownNow, Detach, End::Drop, DropUnwinding, DropDetached, DropDetachedUnwinding];

impl End {
    /// Ends the pool in this way and lets go of this handle on it.
    fn end(self, pool: Arc<ThreadPool>) {
        if matches!(self, Detach | DropDetached | DropDetachedUnwinding) {
            pool.detach();
        }
        match self {
            Shutdown => pool.shutdown(),
            ShutdownNow => pool.shutdown_now(),
            Detach | End::Drop | DropDetached => drop(pool),
            DropUnwinding | DropDetachedUnwinding => {
                let unwinding = move || {
                    let _dropped_on_the_way_out = pool;
                    quiet_panic("out of here");
                };
                assert!(panic::catch_unwind(AssertUnwindSafe(unwinding)).is_err());
            }
        }
    }

    fn leaves_a_handle(self) -> bool {
        matches!(self, Shutdown | ShutdownNow | Detach)
    }

    fn waits(self) -> bool {
        matches!(self, Shutdown | ShutdownNow | End::Drop | DropUnwinding)
    }

    fn queued(self) -> Result<u32, Error> {
        if matches!(self, ShutdownNow | DropUnwinding) { Err(Error::Cancelled) } else { Ok(2) }
    }
}

// CPython: ExecutorShutdownTest::test_hang_issue12364
#[test]
fn i1_every_end_does_to_queued_and_running_work_what_the_table_says() {
    // I1, I6. CPython: ThreadPoolShutdownTest::test_shutdown_no_wait,
    // test_context_manager_shutdown, ExecutorShutdownTest::test_run_after_shutdown
    watchdog("one of the ends", || {
        for end in ENDS {
            let (pool, started, ended) = counted(ThreadPool::builder().workers(1));
            let (pool, gate) = (Arc::new(pool), Gate::default());
            let running = begun(blocked(&pool, &gate));
            let queued = pool.spawn(|| 2);
            let handle = end.leaves_a_handle().then(|| pool.clone());
            let returned = Arc::new(AtomicBool::new(false));
            let back = returned.clone();
            let ending = thread::spawn(move || {
                end.end(pool);
                back.store(true, SeqCst);
            });
            if let Some(pool) = &handle {
                until("spawn is refused", || is_shut(pool));
            }
            if end.queued().is_err() {
                until("what is queued is cancelled, while another task runs", || {
                    queued.is_cancelled()
                });
            }
            if end.waits() {
                (0..200).for_each(|_| thread::yield_now());
                assert!(!returned.load(SeqCst), "{end:?} waits");
            } else {
                ending.join().unwrap();
                assert!(running.is_running(), "{end:?} does not wait");
                gate.open();
                until("the worker has ended", || ended.load(SeqCst) == 1);
                assert_eq!((running.result(), queued.result()), (Ok(()), end.queued()), "{end:?}");
                continue;
            }
            gate.open();
            ending.join().unwrap();
            assert_eq!(
                ended.load(SeqCst),
                started.load(SeqCst),
                "{end:?} has seen the worker's end"
            );
            assert_eq!((running.result(), queued.result()), (Ok(()), end.queued()), "{end:?}");
        }
    });
}

#[test]
fn every_end_called_on_a_worker_returns_and_keeps_its_word() {
    // The last column of the table, and the pool dropped inside one of its own tasks.
    watchdog("one of the ends, on the only worker", || {
        for end in ENDS {
            let (pool, started, ended) = counted(ThreadPool::builder().workers(1));
            let (hand_over, handed) = mpsc::channel::<Arc<ThreadPool>>();
            let task = pool.spawn(move || {
                end.end(handed.recv().unwrap());
                1
            });
            let queued = pool.spawn(|| 2);
            let pool = Arc::new(pool);
            let handle = end.leaves_a_handle().then(|| pool.clone());
            hand_over.send(pool).unwrap();
            assert_eq!((task.result(), queued.result()), (Ok(1), end.queued()), "{end:?}");
            if let Some(pool) = handle {
                assert_eq!(pool.spawn(|| ()).result(), Err(Error::ShutDown), "{end:?}");
            }
            until("the worker has ended", || ended.load(SeqCst) == 1);
            assert_eq!(started.load(SeqCst), 1);
        }
    });
}

#[test]
fn shutdown_in_a_callback_waits_not_on_a_worker_and_waits_elsewhere() {
    watchdog("shutdown called by callbacks", || {
        let (pool, gate) = (pool(1), Gate::default());
        let task = begun(blocked(&pool, &gate));
        let ends = pool.clone();
        task.add_done_callback(move |_| ends.shutdown()); // runs on the worker
        gate.open();
        assert_eq!(task.result(), Ok(()));
        assert_eq!(pool.spawn(|| ()).result(), Err(Error::ShutDown));

        let (pool, started, ended) = counted(ThreadPool::builder().workers(1));
        let (pool, gate) = (Arc::new(pool), Gate::default());
        let _running = begun(blocked(&pool, &gate));
        let (queued, ends) = (pool.spawn(|| ()), pool.clone());
        let opens = gate.clone();
        queued.add_done_callback(move |_| {
            opens.open();
            ends.shutdown(); // runs on this thread
        });
        assert!(queued.cancel());
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (1, 1));
    });
}

#[test]
fn i6_every_caller_of_shutdown_waits() {
    // I6
    watchdog("five callers of shutdown", || {
        let (pool, _, ended) = counted(ThreadPool::builder().workers(2));
        let (gate, returned) = (Gate::default(), AtomicUsize::new(0));
        let _running = [begun(blocked(&pool, &gate)), begun(blocked(&pool, &gate))];
        thread::scope(|scope| {
            for n in 0..5 {
                let (pool, ended, returned) = (&pool, &ended, &returned);
                scope.spawn(move || {
                    if n % 2 == 0 {
                        pool.shutdown()
                    } else {
                        pool.shutdown_now()
                    }
                    assert_eq!(ended.load(SeqCst), 2);
                    returned.fetch_add(1, SeqCst);
                });
            }
            until("shut down", || is_shut(&pool));
            (0..200).for_each(|_| thread::yield_now());
            assert_eq!(returned.load(SeqCst), 0);
            gate.open();
        });
        pool.shutdown(); // and once more, for nothing
    });
}

#[test]
fn cancelling_stays_in_force_and_may_come_second() {
    watchdog("two shutdowns at once", || {
        for cancel_first in [true, false] {
            let (pool, gate) = (pool(1), Gate::default());
            let running = begun(blocked(&pool, &gate));
            let queued: Vec<_> = (0..10).map(|_| pool.spawn(|| ())).collect();
            thread::scope(|scope| {
                let shutdown = || pool.shutdown();
                let shutdown_now = || pool.shutdown_now();
                scope.spawn(move || if cancel_first { shutdown_now() } else { shutdown() });
                until("shut down", || is_shut(&pool));
                scope.spawn(move || if cancel_first { shutdown() } else { shutdown_now() });
                until("all are cancelled", || queued.iter().all(Future::is_cancelled));
                gate.open();
            });
            assert_eq!(running.result(), Ok(()));
        }
    });
}

#[test]
fn shutdown_now_cancels_what_has_not_begun_and_waiters_hear_it_at_once() {
    // CPython: ExecutorShutdownTest::test_cancel_futures
    watchdog("fifty tasks on five workers", || {
        let (pool, gate) = (pool(5), Gate::default());
        let mut tasks: Vec<_> = (0..5).map(|_| begun(blocked(&pool, &gate))).collect();
        tasks.extend((0..45).map(|_| blocked(&pool, &gate)));
        let queued = tasks.split_off(5);
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown_now());
            let waited = wait(queued, ReturnWhen::AllCompleted); // while five others still run
            assert_eq!(waited.done.len(), 45);
            assert!(waited.done.into_iter().all(|task| task.result() == Err(Error::Cancelled)));
            gate.open();
        });
        let all = wait(tasks, ReturnWhen::AllCompleted).done;
        assert!(all.into_iter().all(|task| task.result() == Ok(())));
    });
}

#[test]
fn i1_sixty_four_threads_spawn_against_a_shutdown_and_every_future_ends() {
    // I1
    watchdog("every future", || {
        for round in 0..12 {
            let (pool, ran) = (pool(2), Arc::new(AtomicUsize::new(0)));
            let (values, cancelled) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let all_there = Barrier::new(65);
            thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        all_there.wait();
                        let spawn = || {
                            let run = ran.clone();
                            pool.spawn(move || run.fetch_add(1, SeqCst))
                        };
                        let tasks: Vec<_> = iter::repeat_with(spawn).take(40).collect();
                        let mut refused = false;
                        for task in tasks {
                            match task.result() {
                                Ok(_) => values.fetch_add(1, SeqCst),
                                Err(Error::Cancelled) => cancelled.fetch_add(1, SeqCst),
                                Err(error) => {
                                    assert_eq!(error, Error::ShutDown);
                                    refused = true;
                                    continue;
                                }
                            };
                            assert!(!refused, "after one refusal, everything is refused");
                        }
                    });
                }
                all_there.wait();
                (0..round * 8).for_each(|_| thread::yield_now());
                if round % 2 == 0 { pool.shutdown() } else { pool.shutdown_now() }
            });
            assert_eq!(values.load(SeqCst), ran.load(SeqCst));
            assert!(round % 2 == 1 || cancelled.load(SeqCst) == 0);
        }
    });
}

#[test]
fn work_dropped_by_a_shutdown_may_use_the_pool() {
    struct Spawns(Arc<ThreadPool>, mpsc::Sender<Result<(), Error>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.spawn(|| ()).result());
        }
    }
    watchdog("the drop of cancelled work", || {
        let (pool, gate, (sender, results)) = (pool(1), Gate::default(), mpsc::channel());
        let running = begun(blocked(&pool, &gate));
        let work = Spawns(pool.clone(), sender);
        let queued = pool.spawn(move || drop(work));
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown_now());
            assert_eq!(results.recv(), Ok(Err(Error::ShutDown)));
            gate.open();
        });
        assert_eq!((running.result(), queued.result()), (Ok(()), Err(Error::Cancelled)));
    });
}
