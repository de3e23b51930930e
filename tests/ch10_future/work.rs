//! The work: claimed once, dropped on the spot, handed back; and the end of a task as its worker
//! hears it.

use crate::*;

#[test]
fn i1_work_that_ran_does_not_run_again() {
    // I1
    let runs = counter();
    let (job, future) = task(PoolId::new(), {
        let runs = runs.clone();
        move || runs.fetch_add(1, SeqCst)
    });
    job.run(&|| ());
    job.run(&|| ());
    job.fail(Error::ShutDown);
    assert!(!future.cancel());
    assert_eq!(future.result(), Ok(0));
    assert_eq!(runs.load(SeqCst), 1);
}

#[test]
fn i1_cancel_drops_the_captured_data_at_once_and_the_work_never_runs() {
    // I1
    let (drops, runs) = (counter(), counter());
    let (job, future) = task(PoolId::new(), {
        let (data, runs) = (Counted::new(&drops), runs.clone());
        move || {
            runs.fetch_add(1, SeqCst);
            drop(data);
        }
    });
    assert!(future.cancel());
    assert_eq!(drops.load(SeqCst), 1, "while the queue still holds the job");
    job.run(&|| ());
    job.fail(Error::ShutDown);
    assert_eq!(future.result(), Err(Error::Cancelled));
    assert_eq!((runs.load(SeqCst), drops.load(SeqCst)), (0, 1));
}

#[test]
fn fail_drops_the_captured_data_at_once_and_cancel_comes_too_late() {
    let drops = counter();
    let data = Counted::new(&drops);
    let (job, future) = task(PoolId::new(), move || drop(data));
    job.fail(Error::Broken { cause: "no initializer".into() });
    assert_eq!(drops.load(SeqCst), 1);
    assert!(!future.cancel());
    job.run(&|| ());
    assert_eq!(future.result(), Err(Error::Broken { cause: "no initializer".into() }));
}

#[test]
fn captured_data_is_gone_before_anybody_hears_of_the_end() {
    let drops = counter();
    let data = Counted::new(&drops);
    let (job, future) = task(PoolId::new(), move || data.0.load(SeqCst));
    future.add_done_callback({
        let drops = drops.clone();
        move |_| assert_eq!(drops.load(SeqCst), 1)
    });
    job.run(&|| ());
    assert_eq!((future.result(), drops.load(SeqCst)), (Ok(0), 1));
}

#[test]
fn nothing_is_kept_longer_than_task_and_reader() {
    // CPython: ExecutorTest::test_no_stale_references, as far as the future is concerned
    let drops = counter();
    let (job, future) = task(PoolId::new(), {
        let drops = drops.clone();
        move || Counted::new(&drops)
    });
    job.run(&|| ());
    let outcome = future.result();
    assert_eq!(drops.load(SeqCst), 0);
    drop(outcome);
    assert_eq!(drops.load(SeqCst), 1, "the job is still there, the result is not");
    drop(job);
    assert_eq!(drops.load(SeqCst), 1);
}

/// A task whose captured data, when dropped, asks its own future everything there is to ask.
fn inquisitive() -> (Arc<dyn Job>, Arc<Future<'static, ()>>, Arc<AtomicUsize>) {
    let asked = counter();
    let own = Arc::new(OnceLock::<Arc<Future<'static, ()>>>::new());
    let data = OnDrop({
        let (own, asked) = (own.clone(), asked.clone());
        move || {
            let future = own.get().unwrap();
            assert!(!future.is_done());
            let _ = (
                future.is_running(),
                future.is_failed(),
                future.error(),
                future.cancel(),
                future.help(),
            );
            future.add_done_callback({
                let asked = asked.clone();
                move |_| _ = asked.fetch_add(1, SeqCst)
            });
            asked.fetch_add(1, SeqCst);
        }
    });
    let home = PoolId::new();
    home.enter(); // `help` finds nothing to do, but it looks
    let (job, future) = task(home, move || drop(data));
    let future = Arc::new(future);
    assert!(own.set(future.clone()).is_ok());
    (job, future, asked)
}

#[test]
fn captured_data_is_dropped_outside_every_lock() {
    // "cases a port needs": 14
    watchdog("a drop of captured data that asks its own future", || {
        let (_job, future, asked) = inquisitive();
        assert!(future.cancel());
        assert_eq!(asked.load(SeqCst), 2, "cancelled; the callback added by the drop has run too");
        let (job, _future, asked) = inquisitive();
        job.fail(Error::ShutDown);
        assert_eq!(asked.load(SeqCst), 2, "failed");
        let (job, _future, asked) = inquisitive();
        job.run(&|| ());
        assert_eq!(asked.load(SeqCst), 2, "run");
    });
}

#[test]
fn a_result_nobody_reads_is_dropped_outside_every_lock() {
    // "cases a port needs": 14
    watchdog("the drop of a result that asks its own task", || {
        let (sender, receiver) = channel();
        let own = Arc::new(OnceLock::<Arc<dyn Job>>::new());
        let make = move || {
            let own = own.clone();
            let (job, future) = task(PoolId::new(), {
                let (own, sender) = (own.clone(), sender.clone());
                move || OnDrop(move || sender.send(own.get().unwrap().is_accounted_for()).unwrap())
            });
            let _ = own.set(job.clone());
            (job, future)
        };
        let (job, future) = make();
        drop(future);
        job.run(&|| ()); // the worker drops it
        assert_eq!(receiver.try_recv(), Ok(true));
        let (job, future) = make();
        job.run(&|| ());
        drop(future); // the reader drops it
        assert_eq!(receiver.try_recv(), Ok(true));
    });
}

#[test]
fn i4_a_task_that_panics_is_an_error_of_its_future() {
    // I4
    let (job, future) = task(PoolId::new(), || -> u32 { panic!("over{}", "flow") });
    job.run(&|| ());
    assert!(future.is_failed() && !future.is_cancelled());
    assert_eq!(future.error(), Some(panicked("overflow")));
    assert_eq!(future.result(), Err(panicked("overflow")));
}

#[test]
fn a_payload_that_panics_on_drop_does_no_harm() {
    // "cases a port needs": 15
    let (job, future) =
        task(PoolId::new(), || std::panic::panic_any(OnDrop(|| panic!("the payload's drop"))));
    job.run(&|| ());
    assert_eq!(future.result(), Err::<(), _>(panicked("a panic whose payload is not text")));
}

#[test]
fn an_error_of_the_task_that_looks_like_ours_is_a_value() {
    // CPython: two cases in one: a task that raises TimeoutError or CancelledError. "cases a port
    // needs": 5
    let (job, future) = task(PoolId::new(), || Err::<(), _>(Error::Cancelled));
    job.run(&|| ());
    assert!(future.is_done() && !future.is_cancelled() && !future.is_failed());
    assert_eq!(future.result(), Ok(Err(Error::Cancelled)));
}

#[test]
fn i7_last_is_called_once_in_every_case_and_after_the_callbacks() {
    let calls = Cell::new(0);
    let tell = || calls.set(calls.get() + 1);
    let (job, future) = task(PoolId::new(), || 7);
    let (noted, callback) = note();
    future.add_done_callback(callback);
    job.run(&|| {
        assert_eq!(noted.try_recv(), Ok(Ok(7)), "the callbacks have run");
        tell();
    });
    assert_eq!((calls.replace(0), future.is_done()), (1, true));
    job.run(&tell);
    assert_eq!(calls.replace(0), 1, "somebody else has run it");
    let (job, future) = task(PoolId::new(), || 7);
    future.cancel();
    job.run(&tell);
    assert_eq!(calls.replace(0), 1, "cancelled");
}

#[test]
fn i7_last_comes_after_a_callback_that_is_added_while_callbacks_run() {
    // A worker that is told of its freedom while foreign code of its task still runs is not free.
    watchdog("callbacks of one task", || {
        let (job, future) = task(PoolId::new(), || 7);
        let (future, log) = (Arc::new(future), Arc::new(Mutex::new(Vec::new())));
        let (own, first) = (future.clone(), log.clone());
        future.add_done_callback(move |_| {
            let late = first.clone();
            own.add_done_callback(move |_| late.lock().unwrap().push("late"));
            first.lock().unwrap().push("first");
        });
        job.run(&|| log.lock().unwrap().push("last"));
        assert_eq!(*log.lock().unwrap(), ["first", "late", "last"]);
    });
}

#[test]
fn i7_last_comes_after_the_drop_of_a_result_whose_future_goes_during_the_callbacks() {
    watchdog("the drop of a result", || {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (job, future) = task(PoolId::new(), {
            let log = log.clone();
            move || OnDrop(move || log.lock().unwrap().push("drop of the result"))
        });
        let holder = Arc::new(Mutex::new(None));
        let own = holder.clone();
        future.add_done_callback(move |_| drop(own.lock().unwrap().take()));
        *holder.lock().unwrap() = Some(future);
        job.run(&|| log.lock().unwrap().push("last"));
        assert_eq!(*log.lock().unwrap(), ["drop of the result", "last"]);
    });
}

#[test]
fn a_claim_that_is_handed_back_can_be_claimed_or_cancelled() {
    let slot = Slot::new(Elsewhere, "the request");
    assert_eq!((slot.claim(), slot.claim()), (Some("the request"), None));
    slot.hand_back("again");
    assert_eq!(slot.claim(), Some("again"));
    slot.complete(Ok(7), &|| ());
    assert_eq!(format!("{slot:?}"), "Slot(Finished)");

    let slot = Arc::new(Slot::new(Elsewhere, "the request"));
    let future = Future::new(slot.clone());
    assert!(slot.claim().is_some() && !future.cancel());
    slot.hand_back("again");
    assert!(future.cancel() && slot.claim().is_none());
}

#[test]
fn i2_a_slot_accepts_one_outcome_and_only_from_a_claimer() {
    // I2
    let slot = Arc::new(Slot::new(Elsewhere, "the request"));
    let future = Future::new(slot.clone());
    slot.complete(Ok(1), &|| ());
    slot.hand_back("another");
    assert!(!future.is_done(), "nobody had claimed it");
    assert_eq!(slot.claim(), Some("the request"));
    slot.complete(Ok(2), &|| ());
    slot.complete(Ok(3), &|| ());
    slot.hand_back("another");
    assert!(slot.claim().is_none());
    assert_eq!(future.result(), Ok(2));
}
