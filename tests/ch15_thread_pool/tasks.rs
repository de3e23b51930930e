//! What a worker survives; who holds what, and for how long.

use crate::*;

#[test]
fn i3_the_worker_outlives_tasks_callbacks_and_drops_that_panic() {
    // I3. Each step on the only worker of a pool; `next` says that it is still the same thread.
    watchdog("the only worker of a pool", || {
        LazyLock::force(&REPORTS);
        let (pool, started, _) = counted(ThreadPool::builder().workers(1));
        let worker = pool.spawn(here).result().unwrap();
        let next = || assert_eq!(pool.spawn(here).result(), Ok(worker));

        let task: Future<()> = pool.spawn(|| quiet_panic("as text"));
        assert_eq!(task.result(), Err(panicked("as text")));
        next();

        let task: Future<()> = pool.spawn(|| resume_unwind(Box::new(Grenade(5))));
        assert_eq!(task.result(), Err(panicked("a panic whose payload is not text")));
        next();

        drop(pool.spawn(|| Grenade(1))); // a result nobody reads, dropped by the worker or by us
        next();

        let gate = Gate::default();
        let (passing, kept) = (gate.clone(), Grenade(1));
        drop(begun(pool.spawn(move || {
            passing.pass();
            kept // dropped by the worker for certain: the future is gone
        })));
        gate.open();
        next();

        let captured = Grenade(2);
        let task = pool.spawn(move || {
            let _dropped_with_the_closure = &captured;
        });
        assert!(matches!(task.result(), Err(Error::Panicked { .. })));
        next();

        let gate = Gate::default();
        let (task, heard) = (begun(blocked(&pool, &gate)), Arc::new(AtomicBool::new(false)));
        task.add_done_callback(|_| quiet_panic("a callback of chapter 15"));
        let hear = heard.clone();
        task.add_done_callback(move |_| hear.store(true, SeqCst));
        gate.open();
        assert_eq!(task.result(), Ok(()));
        assert!(heard.load(SeqCst), "the callback after the one that panicked");
        assert_eq!(reports("a callback of chapter 15"), 1);
        next();
        pool.shutdown();
        assert_eq!(started.load(SeqCst), 1);
    });
}

#[test]
fn a_result_may_use_the_pool_while_it_is_dropped() {
    struct Spawns(Arc<ThreadPool>, mpsc::Sender<Result<u32, Error>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.spawn(|| 1).result());
        }
    }
    watchdog("a task spawned by a drop", || {
        let (pool, gate, (sender, results)) = (pool(1), Gate::default(), mpsc::channel());
        let (passing, result) = (gate.clone(), Spawns(pool.clone(), sender.clone()));
        drop(begun(pool.spawn(move || {
            passing.pass();
            result
        })));
        gate.open();
        assert_eq!(results.recv(), Ok(Ok(1)), "dropped as a result nobody reads");

        let (gate, work) = (Gate::default(), Spawns(pool.clone(), sender));
        let first = begun(blocked(&pool, &gate));
        let second = pool.spawn(move || drop(work));
        let cancelling = thread::spawn(move || second.cancel());
        gate.open();
        assert_eq!(results.recv(), Ok(Ok(1)), "dropped as work that was cancelled, or run");
        cancelling.join().unwrap();
        first.result().unwrap();
    });
}

#[test]
fn a_callback_may_wait_for_another_task_of_its_own_worker() {
    watchdog("a callback on the only worker", || {
        let (pool, gate, (sender, results)) = (pool(1), Gate::default(), mpsc::channel());
        let task = begun(blocked(&pool, &gate));
        let inner = pool.clone();
        task.add_done_callback(move |_| sender.send(inner.spawn(|| 5).result()).unwrap());
        gate.open();
        assert_eq!(results.recv(), Ok(Ok(5)));
        assert_eq!(task.result(), Ok(()));
    });
}

// Who holds what, and for how long.

#[test]
fn a_task_nobody_reads_leaves_nothing_behind() {
    // CPython: ExecutorTest::test_no_stale_references
    watchdog("what the task captured and returned", || {
        let (pool, captured, result) = (pool(1), Arc::new(()), Arc::new(()));
        let (seen, returned) = (Arc::downgrade(&captured), Arc::downgrade(&result));
        drop(pool.spawn(move || {
            drop(captured);
            result
        }));
        until("both are gone, and no other task came", || {
            seen.upgrade().is_none() && returned.upgrade().is_none()
        });
    });
}

#[test]
fn cancel_drops_the_work_at_once() {
    watchdog("a cancelled task behind a blocked one", || {
        let (pool, gate, captured) = (pool(1), Gate::default(), Arc::new(()));
        let _first = begun(blocked(&pool, &gate));
        let seen = Arc::downgrade(&captured);
        let second = pool.spawn(move || drop(captured));
        assert!(second.cancel());
        assert!(seen.upgrade().is_none());
        gate.open();
    });
}

#[test]
fn running_means_that_a_worker_is_at_it_and_everything_else_can_be_cancelled() {
    watchdog("two tasks on one worker", || {
        let (pool, gate) = (pool(1), Gate::default());
        let first = begun(blocked(&pool, &gate));
        let others: Vec<_> = (0..10).map(|_| pool.spawn(|| ())).collect();
        assert!(!others.iter().any(|task| task.is_running() || task.is_done()));
        assert!(others.iter().all(Future::cancel));
        assert!(first.is_running() && !first.cancel() && !first.is_cancelled());
        gate.open();
        assert!(first.wait_timeout(Duration::MAX));
        assert!(!first.is_running() && !first.cancel());
    });
}

#[test]
fn cancel_races_the_worker_and_exactly_one_wins() {
    watchdog("a thousand races", || {
        let pool = pool(2);
        for _ in 0..1_000 {
            let ran = Arc::new(AtomicBool::new(false));
            let run = ran.clone();
            let task = pool.spawn(move || run.store(true, SeqCst));
            thread::yield_now();
            let cancelled = task.cancel();
            let expected = if cancelled { Err(Error::Cancelled) } else { Ok(()) };
            assert_eq!(task.result(), expected);
            assert_eq!(ran.load(SeqCst), !cancelled);
        }
    });
}

#[test]
fn i5_a_thread_from_outside_that_waits_runs_nothing() {
    // I5
    watchdog("tasks waited for from outside", || {
        let (pool, gate) = (pool(1), Gate::default());
        let worker = pool.spawn(here).result().unwrap();
        let _first = begun(blocked(&pool, &gate));
        thread::scope(|scope| {
            for n in 0..8 {
                let task = pool.spawn(here);
                scope.spawn(move || match n % 3 {
                    0 => assert_eq!(task.result(), Ok(worker)),
                    1 => assert_eq!(as_completed([task]).next().unwrap().result(), Ok(worker)),
                    _ => {
                        let all = wait([task], ReturnWhen::AllCompleted);
                        assert!(all.done.into_iter().all(|task| task.result() == Ok(worker)));
                    }
                });
            }
            (0..100).for_each(|_| thread::yield_now());
            gate.open();
        });
    });
}
