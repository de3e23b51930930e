//! A failure that nobody looked at, and the hook that hears of it.

use crate::*;

/// A task that has panicked with `message`, and its future.
fn failed_task(message: &'static str) -> (Arc<dyn Job>, Future<'static, u32>) {
    let (job, future) = task(PoolId::new(), move || panic!("{message}"));
    job.run(&|| ());
    (job, future)
}

const UNREAD: [&str; 1] = ["a task that nobody read"];

#[test]
fn i5_a_failure_nobody_read_is_reported_once_when_its_future_is_dropped() {
    // I5
    let _turn = hook();
    let (job, future) = failed_task("unread 1");
    assert!(!job.is_accounted_for() && reports_of("unread 1").is_empty());
    drop(future);
    drop(job);
    assert_eq!(reports_of("unread 1"), UNREAD);
}

#[test]
fn i5_a_failure_whose_future_is_gone_already_is_reported_when_it_happens() {
    // I5
    let _turn = hook();
    let (job, future) = task(PoolId::new(), || -> u32 { panic!("unread 2") });
    drop(future);
    assert!(reports_of("unread 2").is_empty());
    job.run(&|| ());
    drop(job);
    assert_eq!(reports_of("unread 2"), UNREAD);
}

#[test]
fn i5_to_ask_whether_it_failed_is_not_to_read_it() {
    // I5
    let _turn = hook();
    let (_job, future) = failed_task("unread 3");
    assert!(future.is_failed() && future.is_done() && future.wait_timeout(ZERO));
    assert!(!future.watch(Arc::new(Told::default()), 0));
    drop(future);
    assert_eq!(reports_of("unread 3"), UNREAD);
}

#[test]
fn i5_a_failure_that_was_read_is_not_reported() {
    // I5
    let _turn = hook();
    assert_eq!(failed_task("looked at 1").1.result(), Err(panicked("looked at 1")));
    assert_eq!(
        failed_task("looked at 2").1.result_timeout(ZERO).unwrap(),
        Err(panicked("looked at 2"))
    );
    let (job, future) = failed_task("looked at 3");
    assert_eq!(future.error(), Some(panicked("looked at 3")));
    assert!(job.is_accounted_for());
    drop(future);
    let (job, future) = failed_task("looked at 4");
    future.add_done_callback(|outcome| assert!(outcome.is_err()));
    assert!(job.is_accounted_for());
    drop(future);
    let (promise, future) = promise::<u32>();
    future.add_done_callback(|outcome| assert!(outcome.is_err()));
    drop(future);
    promise.complete(Err(panicked("looked at 5"))).unwrap();
    for message in ["looked at 1", "looked at 2", "looked at 3", "looked at 4", "looked at 5"] {
        assert!(reports_of(message).is_empty(), "{message}");
    }
}

#[test]
fn i5_every_failure_is_reported_and_a_cancellation_is_none() {
    // I5, and the one meaning of failure: every error but `Cancelled`.
    let _turn = hook();
    let unread = |error: Error| {
        let (promise, future) = promise::<u32>();
        promise.complete(Err(error.clone())).unwrap();
        assert_eq!(future.is_failed(), error.is_failure(), "{error}");
        drop(future);
    };
    let reason = "unread 4";
    unread(Error::Broken { cause: reason.into() });
    unread(Error::Refused { reason: reason.into() });
    unread(Error::Panicked { message: reason.into() });
    assert_eq!(reports_of(reason), [UNREAD[0]; 3]);
    let limit = Duration::from_secs(1);
    unread(Error::TimedOut(Box::new(Overrun { task: "unread 4".into(), limit })));
    assert_eq!(reports_of("`unread 4` ran longer than 1s"), UNREAD);
    unread(Error::Cancelled);
    let (_promise, future) = promise::<u32>();
    assert!(future.cancel());
    drop(future);
    assert!(reports_of("cancelled before it started").is_empty());
}

#[test]
fn a_result_and_unrun_work_that_panic_on_drop_are_reported() {
    // "cases a port needs": 15
    let _turn = hook();
    let bad = |message: &'static str| move || OnDrop(move || panic!("{message}"));
    let (job, future) = task(PoolId::new(), bad("drop 1"));
    drop(future);
    job.run(&|| ());
    assert_eq!(reports_of("drop 1"), ["the drop of a result"]);
    let (job, future) = task(PoolId::new(), bad("drop 2"));
    job.run(&|| ());
    drop(future); // the drop of a future does not panic
    assert_eq!(reports_of("drop 2"), ["the drop of a result"]);
    let data = bad("drop 3")();
    let (_job, future) = task(PoolId::new(), move || drop(data));
    assert!(future.cancel());
    assert_eq!(reports_of("drop 3"), ["the drop of unrun work"]);
    assert_eq!(future.result(), Err(Error::Cancelled));
}

#[test]
fn a_hook_may_ask_the_task_it_hears_of() {
    let _turn = hook();
    watchdog("a hook that asks", || {
        let (job, future) = failed_task("unread 5");
        *PROBE.lock().unwrap() = Some(job);
        drop(future);
    });
    assert_eq!(reports_of("unread 5"), UNREAD);
    assert!(PROBE.lock().unwrap().is_none(), "it has asked");
}

#[test]
fn a_hook_that_panics_harms_nobody() {
    let _turn = hook();
    drop(failed_task("the hook fails"));
    drop(failed_task("and works again"));
    assert_eq!(reports_of("and works again"), UNREAD);
}

#[test]
fn a_hook_that_is_replaced_is_dropped_outside_the_lock() {
    let _turn = hook();
    watchdog("a hook whose drop reports something", || {
        let mut last_words = Some("the last words of a hook");
        let in_hook = OnDrop(move || {
            collect_reports();
            report(last_words.take().unwrap(), Err(panicked("replaced")));
        });
        set_failure_hook(move |_, _| assert!(size_of_val(&in_hook) > 0));
        collect_reports();
    });
    assert_eq!(reports_of("replaced"), ["the last words of a hook"]);
}

#[test]
fn what_went_well_is_not_reported() {
    let _turn = hook();
    report("nothing", Ok(()));
    assert!(REPORTS.lock().unwrap().iter().all(|(what, _)| what != "nothing"));
}
