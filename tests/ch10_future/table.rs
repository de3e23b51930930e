//! Every state × every event.

use crate::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Pending,
    Running,
    /// Its callback has not returned.
    Completing,
    /// The same, with an error.
    Failing,
    /// The callback of its cancellation has not returned.
    Cancelling,
    Finished,
    Failed,
    Cancelled,
}

use At::*;

const ALL: [At; 8] =
    [Pending, Running, Completing, Failing, Cancelling, Finished, Failed, Cancelled];

/// A future of 7 in one of the states.
pub(crate) struct Case {
    at: At,
    promise: Option<Promise<u32>>,
    future: Arc<Future<'static, u32>>,
    /// Who is busy with the callback of `Completing`, `Failing` or `Cancelling`, until the sender
    /// is dropped.
    busy: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Case {
    fn at(at: At) -> Case {
        let (mut promise, future) = promise();
        let future = Arc::new(future);
        let mut case = Case { at, promise: None, future: future.clone(), busy: None };
        if matches!(at, Completing | Failing | Cancelling) {
            let (entered, has_entered) = channel();
            let (gate, opened) = channel::<()>();
            future.add_done_callback(move |_| {
                entered.send(()).unwrap();
                let _ = opened.recv();
            });
            let thread = if at == Cancelling {
                case.promise = Some(promise);
                thread::spawn(move || assert!(future.cancel()))
            } else {
                thread::spawn(move || promise.complete(Case::fate(at)).unwrap())
            };
            has_entered.recv().unwrap();
            case.busy = Some((gate, thread));
            return case;
        }
        match at {
            Running => assert!(promise.start()),
            Cancelled => assert!(future.cancel()),
            Finished | Failed => {
                promise.complete(Case::fate(at)).unwrap();
                return case;
            }
            _ => {}
        }
        Case { promise: Some(promise), ..case }
    }

    fn is_finished(&self) -> bool {
        matches!(self.at, Finished | Failed | Cancelled)
    }

    /// Lets the callback return, and fulfils the promise if there still is one.
    fn end(&mut self) {
        if let Some((gate, thread)) = self.busy.take() {
            drop(gate);
            thread.join().unwrap();
        }
        if let Some(promise) = self.promise.take() {
            let _ = promise.complete(Ok(7));
        }
    }

    fn into_future(mut self) -> Future<'static, u32> {
        self.end();
        Arc::into_inner(self.future).expect("everybody else has ended")
    }

    /// What becomes of the future if nothing else happens to it.
    fn fate(at: At) -> Result<u32, Error> {
        match at {
            Pending | Running | Completing | Finished => Ok(7),
            Failing | Failed => Err(panicked("seven")),
            Cancelling | Cancelled => Err(Error::Cancelled),
        }
    }
}

fn in_each_state(event: &'static str, check: impl Fn(Case) + Send + 'static) {
    watchdog(event, move || ALL.map(Case::at).into_iter().for_each(check));
}

// CPython: FutureTests::test_cancelled
#[test]
fn each_state_says_what_it_is() {
    // CPython: FutureTests::test_repr, test_done, test_running, test_get_snapshot
    let rows = [
        // state      done   running cancelled failed
        (Pending, [false, false, false, false], None, "Future(Pending)"),
        (Running, [false, true, false, false], None, "Future(Running)"),
        (Completing, [false, false, false, false], None, "Future(Completing)"),
        (Failing, [false, false, false, false], None, "Future(Completing)"),
        (Cancelling, [false, false, true, false], None, "Future(Cancelling)"),
        (Finished, [true, false, false, false], None, "Future(Finished)"),
        (Failed, [true, false, false, true], Some(panicked("seven")), "Future(Failed)"),
        (Cancelled, [true, false, true, false], Some(Error::Cancelled), "Future(Cancelled)"),
    ];
    watchdog("a question that blocks", move || {
        for (at, facts, error, debug) in rows {
            let Case { future, .. } = &Case::at(at);
            let answers =
                [future.is_done(), future.is_running(), future.is_cancelled(), future.is_failed()];
            assert_eq!(answers, facts, "{at:?}");
            assert_eq!(future.error(), error, "{at:?}");
            assert_eq!(format!("{future:?}"), debug);
        }
    });
}

#[test]
fn cancel_in_each_state() {
    // CPython: FutureTests::test_cancel
    in_each_state("cancel", |case| {
        let now_cancelled = matches!(case.at, Pending | Cancelling | Cancelled);
        assert_eq!(case.future.cancel(), now_cancelled, "{:?}", case.at);
        assert_eq!(case.future.cancel(), now_cancelled, "{:?}, again", case.at);
        assert_eq!(case.future.is_cancelled(), now_cancelled, "{:?}", case.at);
        let at = case.at;
        let fate = if now_cancelled { Err(Error::Cancelled) } else { Case::fate(at) };
        assert_eq!(case.into_future().result(), fate, "{at:?}");
    });
}

#[test]
fn start_in_each_state_that_has_a_promise() {
    in_each_state("start", |mut case| {
        let Some(promise) = &mut case.promise else { return };
        let starts = matches!(case.at, Pending | Running);
        assert_eq!(promise.start(), starts, "{:?}", case.at);
        assert_eq!(promise.start(), starts, "{:?}, again", case.at);
        assert_eq!(case.future.is_running(), starts, "{:?}", case.at);
        assert_eq!(case.future.cancel(), !starts, "{:?}", case.at);
    });
}

#[test]
fn complete_in_each_state_that_has_a_promise() {
    // CPython: FutureTests::test_multiple_set_result, test_multiple_set_exception. A second outcome
    // after a first is a compile error (see the doctest of `Promise`); after a cancellation it is
    // given back. I2
    in_each_state("complete", |mut case| {
        let Some(promise) = case.promise.take() else { return };
        let (at, accepts) = (case.at, matches!(case.at, Pending | Running));
        assert_eq!(promise.complete(Ok(8)), if accepts { Ok(()) } else { Err(Ok(8)) }, "{at:?}");
        let fate = if accepts { Ok(8) } else { Err(Error::Cancelled) };
        assert_eq!(case.into_future().result(), fate, "{at:?}");
    });
}

#[test]
fn i4_drop_of_the_promise_in_each_state_that_has_one() {
    // I4
    in_each_state("the drop of a promise", |mut case| {
        let Some(promise) = case.promise.take() else { return };
        let (at, abandons) = (case.at, matches!(case.at, Pending | Running));
        drop(promise);
        let fate = Err(if abandons { Error::Abandoned } else { Error::Cancelled });
        assert_eq!(case.into_future().result(), fate, "{at:?}");
    });
}

// CPython: FutureTests::test_done_callback_already_failed
#[test]
fn callback_added_in_each_state() {
    // CPython: FutureTests::test_done_callback_with_result, test_done_callback_with_exception,
    // test_done_callback_with_cancel, test_done_callback_already_successful,
    // test_done_callback_already_cancelled. C041 is the failed row.
    in_each_state("a callback", |mut case| {
        let (noted, callback) = note();
        case.future.add_done_callback(callback);
        if !case.is_finished() {
            assert!(noted.try_recv().is_err(), "{:?}: kept", case.at);
            case.end();
        }
        assert_eq!(noted.try_recv(), Ok(Case::fate(case.at)), "{:?}", case.at);
        assert!(noted.try_recv().is_err(), "{:?}: only once", case.at);
    });
}

#[test]
fn watch_in_each_state() {
    in_each_state("a watcher", |mut case| {
        let told = Arc::new(Told::default());
        assert_eq!(case.future.watch(told.clone(), 5), !case.is_finished(), "{:?}", case.at);
        assert_eq!(told.times.load(SeqCst), 0, "{:?}", case.at);
        case.end();
        let news = usize::from(!case.is_finished());
        assert_eq!(told.times.load(SeqCst), news, "{:?}: told once, or not at all", case.at);
        assert_eq!(told.key.load(SeqCst), 5 * news);
    });
}

#[test]
fn unwatch_in_each_state() {
    in_each_state("unwatch", |mut case| {
        let (told, other) = (Arc::new(Told::default()), Arc::new(Told::default()));
        case.future.watch(other.clone(), 9);
        case.future.unwatch(&(told.clone() as Arc<dyn Watcher>));
        let watching = 2 - usize::from(case.is_finished());
        assert_eq!(
            Arc::strong_count(&other),
            watching,
            "{:?}: `unwatch` means one watcher",
            case.at
        );
        case.future.watch(told.clone(), 5);
        assert_eq!(Arc::strong_count(&other), 1, "{:?}: a new one takes its place", case.at);
        case.future.unwatch(&(told.clone() as Arc<dyn Watcher>));
        assert_eq!(Arc::strong_count(&told), 1, "{:?}: forgotten on the spot", case.at);
        case.end();
        assert_eq!(told.times.load(SeqCst) + other.times.load(SeqCst), 0, "{:?}", case.at);
    });
}

#[test]
fn waits_in_each_state() {
    // CPython: FutureTests::test_result_with_success, test_result_with_cancel,
    // test_exception_with_success
    in_each_state("a wait", |mut case| {
        let ending = Arc::new(AtomicBool::new(case.is_finished()));
        let waiters = [None, Some(Duration::MAX)].map(|limit| {
            let (future, ending) = (case.future.clone(), ending.clone());
            thread::spawn(move || {
                match limit {
                    None => future.wait(),
                    Some(limit) => assert!(future.wait_timeout(limit)),
                }
                assert!(ending.load(SeqCst), "released by the end, not before");
                future.error()
            })
        });
        thread::yield_now();
        ending.store(true, SeqCst);
        case.end();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Case::fate(case.at).err(), "{:?}", case.at);
        }
    });
}

// CPython: FutureTests::test_result_with_timeout
#[test]
fn waits_without_patience_in_each_state() {
    // CPython: FutureTests::test_exception_with_timeout
    in_each_state("a wait of length zero", |case| {
        let (at, finished) = (case.at, case.is_finished());
        assert_eq!(case.future.wait_timeout(ZERO), finished, "{at:?}");
        assert_eq!(case.into_future().result_timeout(ZERO).unwrap(), Case::fate(at), "{at:?}");
    });
}

#[test]
fn result_timeout_gives_an_unfinished_future_back() {
    let (mut promise, future) = promise();
    let future = future.result_timeout(ZERO).unwrap_err();
    assert!(promise.start());
    let future = future.result_timeout(Duration::from_nanos(1)).unwrap_err();
    promise.complete(Ok(7)).unwrap();
    assert_eq!(future.result_timeout(ZERO).unwrap(), Ok(7));
}

#[test]
fn result_timeout_of_every_length_takes_the_outcome() {
    // "cases a port needs": 13
    for limit in [ZERO, Duration::from_nanos(1), Duration::from_secs(u64::MAX), Duration::MAX] {
        let future = watchdog("a finished future", move || {
            Case::at(Finished).into_future().result_timeout(limit)
        });
        assert_eq!(future.unwrap(), Ok(7), "{limit:?}");
    }
}

#[test]
fn drop_of_the_future_in_each_state() {
    // What nobody will read is dropped once: at once if it is there, else when it comes.
    watchdog("the drop of a future", || {
        let drops = counter();
        let dropped = || drops.swap(0, SeqCst);

        let (waiting, future) = promise();
        drop(future);
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 1, "pending");

        let (mut waiting, future) = promise();
        assert!(waiting.start());
        drop(future);
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 1, "running");

        let (waiting, future) = promise();
        let holder = Arc::new(Mutex::new(None));
        future.add_done_callback({
            let (holder, drops) = (holder.clone(), drops.clone());
            move |_| {
                drop(holder.lock().unwrap().take());
                assert_eq!(drops.load(SeqCst), 0, "the callbacks still look at it");
            }
        });
        *holder.lock().unwrap() = Some(future);
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 1, "completing");

        let (waiting, future) = promise();
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        assert_eq!(dropped(), 0, "finished: kept for the reader");
        drop(future);
        assert_eq!(dropped(), 1, "finished");

        let (waiting, future) = promise();
        assert!(waiting.complete(Ok(Counted::new(&drops))).is_ok());
        let outcome = future.result();
        assert_eq!(dropped(), 0, "taken: it belongs to the reader");
        drop(outcome);
        assert_eq!(dropped(), 1, "taken");

        let (waiting, future) = promise();
        assert!(future.cancel());
        drop(future);
        let given_back = waiting.complete(Ok(Counted::new(&drops)));
        assert_eq!(dropped(), 0, "cancelled: it belongs to whoever promised it");
        drop(given_back);
        assert_eq!(dropped(), 1, "cancelled");
    });
}
