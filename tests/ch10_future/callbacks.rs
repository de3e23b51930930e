//! Callbacks and watchers.

use crate::*;

#[test]
fn i3_callbacks_registered_before_completion_have_run_when_result_returns() {
    // I3
    watchdog("a reader behind a callback", || {
        for _ in 0..ROUNDS / 4 {
            let (promise, future) = promise();
            let ran = Arc::new(AtomicBool::new(false));
            future.add_done_callback({
                let ran = ran.clone();
                move |_| {
                    thread::yield_now();
                    ran.store(true, SeqCst);
                }
            });
            let worker = thread::spawn(move || promise.complete(Ok(7)).unwrap());
            assert_eq!(future.result(), Ok(7));
            assert!(ran.load(SeqCst));
            worker.join().unwrap();
        }
    });
}

// Done as it says, these go red: this one and `i3_callbacks_registered_before_completion…`, because
// a reader no longer waits for the callbacks; `each_state_says_what_it_is` and the rows
// `Completing`, `Failing` and `Cancelling` of the table, because such a future says that it is
// done.
#[test]
fn try_2_a_future_is_not_done_while_a_callback_runs() {
    watchdog("a future that is asked by its own callback", || {
        let (promise, future) = promise();
        let future = Arc::new(future);
        let own = future.clone();
        let (told, was_done) = channel();
        future.add_done_callback(move |_| told.send(own.is_done()).unwrap());
        promise.complete(Ok(7)).unwrap();
        assert_eq!(was_done.try_recv(), Ok(false));
        assert!(future.is_done());
    });
}

#[test]
fn i3_callbacks_run_in_the_order_in_which_they_were_added_each_once() {
    // I3
    let (promise, future) = promise();
    let (sender, receiver) = channel();
    for n in 0..100 {
        let sender = sender.clone();
        future.add_done_callback(move |_| sender.send(n).unwrap());
    }
    drop(sender);
    promise.complete(Ok(7)).unwrap();
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_callback_runs_on_the_thread_that_completes_cancels_or_comes_late() {
    let ran_on = |future: &Future<'static, u32>| {
        let (sender, receiver) = channel();
        future.add_done_callback(move |_| sender.send(thread::current().id()).unwrap());
        receiver
    };
    let here = thread::current().id();
    let (waiting, future) = promise();
    let receiver = ran_on(&future);
    let worker = thread::spawn(move || waiting.complete(Ok(7)).unwrap());
    let there = worker.thread().id();
    worker.join().unwrap();
    assert_eq!(receiver.try_recv(), Ok(there), "completed there");
    assert_eq!(ran_on(&future).try_recv(), Ok(here), "added late here");
    let (_waiting, future) = promise();
    let receiver = ran_on(&future);
    future.cancel();
    assert_eq!(receiver.try_recv(), Ok(here), "cancelled here");
}

#[test]
fn try_1_a_callback_added_by_a_callback_runs_after_the_others() {
    // Try 1: whoever runs the first runs it too, before the future is done.
    watchdog("callbacks that add callbacks", || {
        for late in [false, true] {
            let (promise, future) = promise();
            let (future, log) = (Arc::new(future), Arc::new(Mutex::new(Vec::new())));
            let mut promise = Some(promise);
            if late {
                promise.take().unwrap().complete(Ok(7)).unwrap();
            }
            future.add_done_callback({
                let (own, log) = (future.clone(), log.clone());
                move |_| {
                    log.lock().unwrap().push("first");
                    own.add_done_callback({
                        let log = log.clone();
                        move |_| log.lock().unwrap().push("nested")
                    });
                    log.lock().unwrap().push("rest of the first");
                }
            });
            future.add_done_callback({
                let log = log.clone();
                move |_| log.lock().unwrap().push("second")
            });
            promise.into_iter().for_each(|promise| promise.complete(Ok(7)).unwrap());
            let mut wanted = ["first", "rest of the first", "second", "nested"];
            if late {
                wanted.swap(2, 3); // the second was added when the first had ended
            }
            assert_eq!(*log.lock().unwrap(), wanted);
        }
    });
}

#[test]
fn a_callback_may_wait_for_other_futures() {
    watchdog("a callback that waits for another future", || {
        let (first, first_future) = promise();
        let (second, second_future) = promise();
        let (noted, callback) = note();
        first_future.add_done_callback(move |_| callback(&second_future.result()));
        let worker = thread::spawn(move || first.complete(Ok(1)).unwrap());
        second.complete(Ok(2)).unwrap();
        worker.join().unwrap();
        assert_eq!(noted.try_recv(), Ok(Ok(2)));
        assert_eq!(first_future.result(), Ok(1));
    });
}

#[test]
fn a_callback_may_complete_and_cancel_other_futures() {
    watchdog("callbacks in a chain", || {
        let (mut last, first) = promise();
        let first = Arc::new(first);
        let mut chain = vec![first.clone()];
        for _ in 0..100 {
            let (next, future) = promise();
            future.add_done_callback(move |outcome| last.complete(outcome.clone()).unwrap());
            last = next;
            chain.push(Arc::new(future));
        }
        last.complete(Ok(7)).unwrap();
        drop(chain);
        assert_eq!(Arc::into_inner(first).unwrap().result(), Ok(7));
    });
}

#[test]
fn a_panicking_callback_is_reported_and_the_next_still_runs() {
    // CPython: FutureTests::test_done_callback_raises
    let _turn = hook();
    let (promise, future) = promise();
    let (noted, callback) = note();
    future.add_done_callback(|_| panic!("callback 1"));
    future.add_done_callback(|_| std::panic::panic_any(OnDrop(|| panic!("a payload's drop"))));
    future.add_done_callback(callback);
    assert_eq!(promise.complete(Ok(7)), Ok(()));
    assert_eq!(noted.try_recv(), Ok(Ok(7)));
    assert_eq!(reports_of("callback 1"), ["a done callback"]);
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn a_panicking_callback_added_late_is_reported_too() {
    // CPython: FutureTests::test_done_callback_raises_already_succeeded
    let _turn = hook();
    let (promise, future) = promise();
    promise.complete(Ok(7)).unwrap();
    future.add_done_callback(|_| panic!("callback 2"));
    assert_eq!(reports_of("callback 2"), ["a done callback"]);
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn a_panicking_callback_of_a_promise_dropped_in_a_panic_aborts_nothing() {
    let _turn = hook();
    let (promise, future) = promise::<u32>();
    future.add_done_callback(|_| panic!("callback 3"));
    let unwound = catch(move || {
        let _promise = promise;
        panic!("the worker")
    });
    assert_eq!(unwound, Err::<(), _>(panicked("the worker")));
    assert_eq!(reports_of("callback 3"), ["a done callback"]);
    assert_eq!(future.result(), Err(Error::Abandoned));
}

#[test]
fn a_panicking_watcher_is_reported() {
    struct Bad;
    impl Watcher for Bad {
        fn done(&self, _: usize) {
            panic!("watcher 1");
        }
    }
    let _turn = hook();
    let (promise, future) = promise();
    future.watch(Arc::new(Bad), 0);
    promise.complete(Ok(7)).unwrap();
    assert_eq!(reports_of("watcher 1"), ["a watcher"]);
    assert_eq!(future.result(), Ok(7));
}

#[test]
fn done_stays_true_while_a_late_callback_looks() {
    for (fate, debug) in [
        (Ok(7), "Finished"),
        (Err(panicked("late")), "Failed"),
        (Err(Error::Cancelled), "Cancelled"),
    ] {
        watchdog("a finished future, lent to a callback", move || {
            let (promise, future) = promise();
            let future = Arc::new(future);
            promise.complete(fate.clone()).unwrap();
            let (entered, has_entered) = channel();
            let (gate, opened) = channel::<()>();
            let late = thread::spawn({
                let future = future.clone();
                move || {
                    future.add_done_callback(move |_| {
                        entered.send(()).unwrap();
                        let _ = opened.recv();
                    });
                }
            });
            has_entered.recv().unwrap();
            let (noted, callback) = note();
            future.add_done_callback(callback);
            assert!(noted.try_recv().is_err(), "whoever runs the other runs this one after it");
            assert!(future.is_done() && future.wait_timeout(ZERO));
            future.wait();
            assert_eq!(future.error(), fate.clone().err());
            assert_eq!(future.is_failed(), debug == "Failed");
            assert_eq!(future.is_cancelled(), debug == "Cancelled");
            assert_eq!(future.cancel(), debug == "Cancelled");
            assert_eq!(format!("{future:?}"), format!("Future({debug})"));
            assert!(!future.watch(Arc::new(Told::default()), 0));
            drop(gate);
            late.join().unwrap();
            assert_eq!(noted.try_recv(), Ok(fate.clone()));
            assert_eq!(Arc::into_inner(future).unwrap().result(), fate);
        });
    }
}

#[test]
fn a_late_callback_may_wait_for_its_own_future() {
    watchdog("a future that is done", || {
        let (promise, future) = promise();
        let future = Arc::new(future);
        promise.complete(Ok(7)).unwrap();
        let own = future.clone();
        future.add_done_callback(move |_| {
            own.wait();
            assert!(own.is_done());
        });
        assert_eq!(Arc::into_inner(future).unwrap().result(), Ok(7));
    });
}
