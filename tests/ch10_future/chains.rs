//! Chains: callbacks that complete, drop and wait for other promises (I6).

use crate::*;

const LINKS: usize = 100_000;

/// The first promise of a chain and its last future: each future but the last has a callback that
/// does `pass` with the next promise.
fn chain(
    pass: fn(Promise<usize>, &Outcome<usize>),
) -> (Promise<usize>, Vec<Future<'static, usize>>) {
    let (first, mut future) = promise();
    let mut futures = Vec::new();
    for _ in 0..LINKS {
        let (next, next_future) = promise();
        future.add_done_callback(move |outcome| pass(next, outcome));
        futures.push(future);
        future = next_future;
    }
    futures.push(future);
    (first, futures)
}

#[test]
fn i6_a_chain_of_promises_that_callbacks_complete_is_a_loop() {
    watchdog("a hundred thousand links", || {
        let (first, mut futures) = chain(|next, outcome| next.complete(outcome.clone()).unwrap());
        let (noted, callback) = note();
        futures[LINKS].add_done_callback(callback);
        first.complete(Ok(7)).unwrap();
        assert_eq!(noted.try_recv(), Ok(Ok(7)), "the whole chain has run when `complete` returns");
        assert_eq!(futures.pop().unwrap().result(), Ok(7));
        assert!(futures.iter().all(Future::is_done));
    });
}

#[test]
fn i6_a_chain_of_promises_that_callbacks_drop_is_a_loop() {
    watchdog("a hundred thousand links", || {
        let (first, mut futures) = chain(|next, _| drop(next));
        drop(first);
        assert_eq!(futures.pop().unwrap().result(), Err(Error::Abandoned));
        assert!(futures.iter().all(|future| future.error() == Some(Error::Abandoned)));
    });
}

#[test]
fn i6_a_promise_completed_by_a_callback_that_has_no_callback_is_done_at_once() {
    let (outer, outer_future) = promise::<usize>();
    let (inner, inner_future) = promise::<usize>();
    outer_future.add_done_callback(move |_| {
        inner.complete(Ok(7)).unwrap();
        assert!(inner_future.is_done());
    });
    outer.complete(Ok(1)).unwrap();
    assert_eq!(outer_future.result(), Ok(1));
}

#[test]
fn i6_a_callback_may_wait_for_what_it_has_put_off() {
    // The completion is put off until the callback returns, and the callback waits for it.
    watchdog("a callback that completes a future and waits for it", || {
        let (outer, outer_future) = promise::<usize>();
        let (inner, inner_future) = promise::<usize>();
        let (noted, callback) = note();
        inner_future.add_done_callback(callback);
        let (told, waited) = channel();
        outer_future.add_done_callback(move |_| {
            inner.complete(Ok(7)).unwrap();
            told.send(inner_future.result()).unwrap();
        });
        outer.complete(Ok(1)).unwrap();
        assert_eq!(waited.try_recv(), Ok(Ok(7)));
        assert_eq!(noted.try_recv(), Ok(Ok(7)));
        assert_eq!(outer_future.result(), Ok(1));
    });
}

#[test]
fn i7_last_comes_after_what_the_callbacks_put_off() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (job, future) = task(PoolId::new(), || 7);
    let (inner, inner_future) = promise::<usize>();
    let (first, second) = (log.clone(), log.clone());
    inner_future.add_done_callback(move |_| second.lock().unwrap().push("inner callback"));
    future.add_done_callback(move |_| {
        inner.complete(Ok(1)).unwrap();
        first.lock().unwrap().push("outer callback");
    });
    job.run(&|| log.lock().unwrap().push("last"));
    assert_eq!(*log.lock().unwrap(), ["outer callback", "inner callback", "last"]);
    assert_eq!((future.result(), inner_future.result()), (Ok(7), Ok(1)));
}
