//! Threads on demand: how many, and when a worker is free.

use crate::*;

#[test]
fn the_default_size_follows_the_processors() {
    // CPython: ThreadPoolExecutorTest::test_default_workers
    watchdog("a saturated pool of the default size", || {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let (pool, started, _) = counted(ThreadPool::builder());
        let gate = Gate::default();
        let tasks: Vec<_> = (0..60).map(|_| blocked(&pool, &gate)).collect();
        gate.open();
        assert!(tasks.into_iter().all(|task| task.result() == Ok(())));
        pool.shutdown();
        assert_eq!(started.load(SeqCst), (processors + 4).min(32));
    });
}

#[test]
fn i2_nothing_starts_before_the_first_task_and_saturation_stops_at_the_maximum() {
    // I2. CPython: ThreadPoolExecutorTest::test_saturation
    watchdog("sixty tasks on four workers", || {
        let (pool, started, ended) = counted(ThreadPool::builder().workers(4));
        assert_eq!(started.load(SeqCst), 0);
        let gate = Gate::default();
        let tasks: Vec<_> = (0..60).map(|_| blocked(&pool, &gate)).collect();
        until("four have begun", || tasks.iter().filter(|task| task.is_running()).count() == 4);
        gate.open();
        assert!(tasks.into_iter().all(|task| task.result() == Ok(())));
        assert_eq!(ended.load(SeqCst), 0, "an idle worker stays");
        pool.shutdown();
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (4, 4));
    });
}

#[test]
fn each_blocked_task_starts_one_thread_and_shutdown_ends_them_all() {
    // CPython: ThreadPoolShutdownTest::test_threads_terminate
    watchdog("three tasks", || {
        let (pool, started, ended) = counted(ThreadPool::builder().workers(5));
        let gate = Gate::default();
        let tasks: Vec<_> = (0..3).map(|_| begun(blocked(&pool, &gate))).collect();
        assert_eq!(started.load(SeqCst), 3);
        gate.open();
        pool.shutdown();
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (3, 3));
        assert!(tasks.iter().all(Future::is_done));
    });
}

#[test]
fn i2_tasks_one_after_another_use_one_thread_however_one_hears_of_their_end() {
    // I2. CPython: ThreadPoolExecutorTest::test_idle_thread_reuse
    type Hear = fn(Future<'static, ()>);
    let ways: [Hear; 5] = [
        |task| task.result().unwrap(),
        |task| assert!(task.wait_timeout(Duration::MAX)),
        |task| until("done", || task.is_done()),
        |task| assert_eq!(wait([task], ReturnWhen::FirstCompleted).done.len(), 1),
        |task| assert_eq!(as_completed([task]).count(), 1),
    ];
    watchdog("three tasks, many times", move || {
        for (hear, rounds) in ways.into_iter().zip([1_000, 500, 20, 500, 500]) {
            let (pool, started, _) = counted(ThreadPool::builder().workers(8));
            for round in 0..rounds {
                (0..3).for_each(|_| hear(pool.spawn(|| ())));
                assert_eq!(started.load(SeqCst), 1, "in round {round}");
            }
        }
    });
}

#[test]
fn i2_a_task_finished_by_somebody_else_makes_no_worker_idle() {
    // I2, the trap: cancelled in the queue, or done by the worker that waited for it.
    watchdog("two workers, both blocked", || {
        let (pool, started, _) = counted(ThreadPool::builder().workers(2));
        let (pool, gate) = (Arc::new(pool), Gate::default());
        let inner = pool.clone();
        pool.spawn(move || inner.spawn(|| ()).result()).result().unwrap().unwrap();
        let first = begun(blocked(&pool, &gate));
        let second = pool.spawn(|| ());
        if !second.cancel() {
            second.result().unwrap();
        }
        let both = begun(blocked(&pool, &gate)); // hangs here if somebody counts wrongly
        assert_eq!(started.load(SeqCst), 2);
        gate.open();
        assert_eq!((first.result(), both.result()), (Ok(()), Ok(())));
    });
}

// CPython: InterpreterPoolExecutorTest::test_blocking_with_limited_workers
#[test]
fn as_many_tasks_meet_as_there_are_workers() {
    // No wake-up is lost: each round ends only if all its tasks run at once, however they came to
    // lie about.
    watchdog("tasks that meet", || {
        for workers in [2, 3, 4, 7] {
            let pool = pool(workers);
            for round in 0..200 {
                let all = Arc::new(Barrier::new(workers));
                let meet = |_| {
                    let all = all.clone();
                    pool.spawn(move || {
                        all.wait();
                    })
                };
                let fillers: Vec<_> = (0..round % 5).map(|_| pool.spawn(|| ())).collect();
                let tasks: Vec<_> = (0..workers).map(meet).collect();
                assert!(tasks.into_iter().chain(fillers).all(|task| task.result() == Ok(())));
            }
        }
    });
}

#[test]
fn one_worker_begins_tasks_in_the_order_they_came_in() {
    watchdog("a hundred tasks", || {
        let (pool, order) = (pool(1), Arc::new(Mutex::new(Vec::new())));
        let push = |n| {
            let order = order.clone();
            drop(pool.spawn(move || order.lock().unwrap().push(n)));
        };
        (0..100).for_each(push);
        pool.shutdown();
        assert!(order.lock().unwrap().iter().copied().eq(0..100));
    });
}

#[test]
fn a_thread_that_cannot_be_started_leaves_no_task_behind() {
    watchdog("futures of a pool that cannot start", || {
        let pool = ThreadPool::builder().workers(2).stack_size(1 << 60).build();
        for _ in 0..2 {
            let captured = Arc::new(());
            let seen = Arc::downgrade(&captured);
            let task = pool.spawn(move || drop(captured));
            assert!(task.is_done());
            assert!(seen.upgrade().is_none(), "the work was dropped unrun");
            let Err(Error::Broken { cause }) = task.result() else { panic!("it cannot have run") };
            assert!(cause.starts_with("no worker could be started"), "{cause}");
        }
        pool.shutdown();
    });
}

/// The first task runs `hold`, which waits for an event that only the second task sets.
fn the_next_task_gets_a_thread(hold: impl FnOnce(&ThreadPool, Gate, Gate)) {
    let (pool, started, _) = counted(ThreadPool::builder().workers(2));
    let (entered, event) = (Gate::default(), Gate::default());
    hold(&pool, entered.clone(), event.clone());
    entered.pass(); // the first worker is in foreign code of its task
    let set = pool.spawn(move || event.open());
    assert_eq!(set.result(), Ok(()));
    pool.shutdown();
    assert_eq!(started.load(SeqCst), 2);
}

#[test]
fn i2_a_worker_in_a_late_callback_is_busy() {
    watchdog("a callback that waits for an event of the next task", || {
        the_next_task_gets_a_thread(|pool, entered, event| {
            let gate = Gate::default();
            let task = Arc::new(blocked(pool, &gate));
            let own = task.clone();
            task.add_done_callback(move |_| {
                own.add_done_callback(move |_| {
                    entered.open();
                    event.pass();
                });
            });
            gate.open();
        });
    });
}

#[test]
fn i2_a_worker_in_the_drop_of_a_result_whose_future_went_during_the_callbacks_is_busy() {
    struct Holds(Gate, Gate);
    impl Drop for Holds {
        fn drop(&mut self) {
            self.0.open();
            self.1.pass();
        }
    }
    watchdog("a drop that waits for an event of the next task", || {
        the_next_task_gets_a_thread(|pool, entered, event| {
            let (gate, holder) = (Gate::default(), Arc::new(Mutex::new(None)));
            let opened = gate.clone();
            let task = pool.spawn(move || {
                opened.pass();
                Holds(entered, event)
            });
            let own = holder.clone();
            task.add_done_callback(move |_| drop(own.lock().unwrap().take()));
            *holder.lock().unwrap() = Some(task);
            gate.open();
        });
    });
}

// Done as it says, this one goes red, both `i2_a_worker_in_…`, and those in which several tasks are
// to run at once (`each_blocked_…`, `i6_every_caller_…`, `shutdown_now_cancels_…`,
// `tasks_that_run_while_…`, `try_1_…`): the worker counts as free while its task runs, so the
// second task waits behind the first and never begins.
#[test]
fn try_2_a_worker_in_the_middle_of_a_task_is_busy() {
    watchdog("a task that waits for an event of the next one", || {
        the_next_task_gets_a_thread(|pool, entered, event| {
            drop(pool.spawn(move || {
                entered.open();
                event.pass();
            }));
        });
    });
}
