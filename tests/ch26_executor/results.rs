//! The clauses of the contract that are about one call, one map, one chunk.

use crate::alone::children;
use crate::door::{Door, stand_at};
use crate::{Pool, fail_on, nothing, pow, square, through};
use concurrent_explained::{Error, Future, ReturnWhen};
use concurrent_explained::{as_completed, map_windowed, wait, wait_timeout};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) fn i1_submit_gives_the_result<P: Pool>() {
    // CPython: ExecutorTest::test_submit
    let pool = P::new(2).unwrap();
    assert_eq!(pool.submit(pow, (2, 8)).result(), Ok(256));
}

pub(crate) fn i3_submit_all_returns_the_futures_in_the_order_of_the_arguments<P: Pool>() {
    let pool = P::new(3).unwrap();
    let futures: Vec<Future<'static, u64>> = pool.submit_all(square, 0..200); // I3
    for (n, future) in (0..).zip(futures) {
        assert_eq!(future.result(), Ok(n * n)); // I1
    }
}

pub(crate) fn i3_map_yields_in_the_order_of_the_arguments<P: Pool>() {
    // CPython: ExecutorTest::test_map
    let pool = P::new(3).unwrap();
    let pairs = (0..10).zip(0..10);
    let expected = pairs.clone().map(|pair| Ok(pow(pair)));
    assert!(pool.map(pow, pairs).eq(expected));
}

pub(crate) fn map_runs_everything_even_if_nobody_iterates<P: Pool>() {
    // CPython: ThreadPoolExecutorTest::test_map_submits_without_iteration
    let (pool, doors) = (P::new(3).unwrap(), [Door::new(), Door::new(), Door::new()]);
    let map = pool.map(through, doors.iter().map(Door::number)); // I3
    doors.iter().for_each(|door| door.guest().pass());
    drop(map);
}

pub(crate) fn a_map_that_outlives_its_pool_is_complete<P: Pool>() {
    // CPython: ThreadPoolShutdownTest::test_del_shutdown,
    // ProcessPoolShutdownTest::test_del_shutdown
    let pool = P::new(5).unwrap();
    let map = pool.map(square, 0..20);
    drop(pool);
    assert!(map.eq((0..20).map(|n| Ok(n * n))));
}

pub(crate) fn a_later_task_that_ends_first_completes_first<P: Pool>() {
    let (pool, [early, late]) = (P::new(2).unwrap(), [Door::new(), Door::new()]);
    let mut completed = as_completed(pool.submit_all(through, [early.number(), late.number()]));
    let (first, second) = (early.guest(), late.guest());
    second.pass();
    assert_eq!(completed.next().unwrap().result(), Ok(late.number()));
    first.pass();
    assert_eq!(completed.next().unwrap().result(), Ok(early.number()));
    assert!(completed.next().is_none());
}

pub(crate) fn i5_a_task_that_panics_fails_alone<P: Pool>() {
    // CPython: ExecutorTest::test_map_exception
    let pool = P::new(1).unwrap();
    let mut map = pool.map(fail_on, 1..=4);
    assert_eq!([map.next(), map.next()], [Some(Ok(1)), Some(Ok(2))]);
    match map.next() {
        Some(Err(Error::Panicked { message })) => {
            assert!(message.contains("three is not welcome"), "{message}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!([map.next(), map.next(), map.next()], [Some(Ok(4)), None, None]);
    assert_eq!(pool.submit(square, 5).result(), Ok(25), "its worker lives on");
}

pub(crate) fn an_error_that_speaks_of_time_is_not_the_limit_of_the_map<P: Pool>() {
    // CPython: ExecutorTest::test_map_timeout_from_callable
    let pool = P::new(1).unwrap();
    for limit in [Duration::MAX, Duration::from_secs(50)] {
        let outcomes: Vec<_> = pool.map(fail_on, 2..=4).within(limit).collect();
        assert!(
            matches!(outcomes[..], [Ok(2), Err(Error::Panicked { .. }), Ok(4)]),
            "{outcomes:?}"
        );
    }
}

/// A map over two doors of which the first is entered when it is ended: nobody comes to the second.
fn ended<P: Pool, M>(map: impl FnOnce(&P, [u16; 2]) -> M, end: impl FnOnce(M)) {
    let (pool, first, second) = (P::new(1).unwrap(), Door::new(), Door::new());
    let map = map(&pool, [first.number(), second.number()]);
    let guest = first.guest();
    end(map);
    guest.pass();
    pool.shutdown();
    assert!(second.is_lonely());
}

pub(crate) fn a_map_that_is_closed_is_exhausted_and_cancels_what_has_not_started<P: Pool>() {
    // CPython: ExecutorTest::test_map_close
    let whole = |pool: &P, doors| pool.map(stand_at, doors);
    ended(whole, |mut map| {
        map.close();
        assert!(map.next().is_none());
    });
    let chunked = |pool: &P, doors| pool.map_chunked(1, stand_at, doors);
    ended(chunked, |mut map| {
        map.close();
        assert!(map.next().is_none());
    });
}

pub(crate) fn a_map_that_is_dropped_cancels_what_has_not_started<P: Pool>() {
    ended(|pool: &P, doors| pool.map(stand_at, doors), drop);
}

pub(crate) fn a_map_past_its_limit_cancels_the_one_it_waited_for_and_those_behind<P: Pool>() {
    // CPython: ThreadPoolExecutorTest::test_executor_map_current_future_cancel
    let (pool, busy, never) = (P::new(1).unwrap(), Door::new(), Door::new());
    let running = pool.submit(stand_at, busy.number());
    let guest = busy.guest();
    let mut map = pool.map(stand_at, [never.number(), never.number()]).within(Duration::ZERO);
    assert_eq!([map.next(), map.next()], [Some(Err(Error::TooLate)), None]);
    guest.pass();
    assert!(running.result().is_ok());
    pool.shutdown();
    assert!(never.is_lonely());
}

pub(crate) fn an_endless_map_pulls_no_more_than_its_window<P: Pool>() {
    // CPython: ExecutorTest::test_map_buffersize_on_infinite_iterable,
    // test_map_buffersize_on_multiple_infinite_iterables, test_map_buffersize_when_buffer_is_full
    let (pool, pulled) = (P::new(2).unwrap(), AtomicU32::new(0));
    let endless = (1..).zip(1..).inspect(|_| _ = pulled.fetch_add(1, Ordering::Relaxed));
    let mut map = map_windowed(2, endless, |pair| pool.submit(pow, pair));
    pool.submit(nothing, ()).result().unwrap();
    assert_eq!(pulled.load(Ordering::Relaxed), 2);
    assert_eq!([map.next(), map.next(), map.next()], [Some(Ok(1)), Some(Ok(4)), Some(Ok(27))]);
    assert!(pulled.load(Ordering::Relaxed) <= 5);
    drop(map);
    pool.shutdown();
}

pub(crate) fn a_map_of_nothing_is_empty<P: Pool>() {
    // CPython: ExecutorTest::test_map_buffersize_on_empty_iterable
    let pool = P::new(2).unwrap();
    assert_eq!(pool.map(square, []).next(), None);
    assert!(pool.submit_all(square, []).is_empty());
    pool.shutdown();
    assert_eq!(children(), [], "nothing was asked, so nobody was started");
}

pub(crate) fn chunks_of_every_size_hold_every_argument_once<P: Pool>() {
    // CPython: ProcessPoolExecutorTest::test_map_chunksize
    let pool = P::new(2).unwrap();
    for size in [1, 6, 40, 50] {
        let pairs = (0..40).map(|n| (n, 2));
        let map = pool.map_chunked(size, pow, pairs);
        assert!(map.eq((0..40).map(|n| Ok(n * n))), "{size}"); // I1
    }
    assert_eq!(pool.map_chunked(usize::MAX, square, []).next(), None);
}

pub(crate) fn i5_a_task_that_panics_in_a_chunk_fails_alone<P: Pool>() {
    // CPython: ExecutorTest::test_map_exception
    let pool = P::new(1).unwrap();
    for size in [1, 3, 4] {
        let outcomes: Vec<_> = pool.map_chunked(size, fail_on, 1..=4).collect();
        assert!(
            matches!(outcomes[..], [Ok(1), Ok(2), Err(Error::Panicked { .. }), Ok(4)]),
            "{outcomes:?}"
        );
    }
}

pub(crate) fn cancelled_before_it_starts_a_task_never_runs<P: Pool>() {
    let (pool, busy, never) = (P::new(1).unwrap(), Door::new(), Door::new());
    let running = pool.submit(stand_at, busy.number());
    let guest = busy.guest();
    let [cancelled, later] =
        [never.number(), busy.number()].map(|door| pool.submit(stand_at, door));
    assert!(!cancelled.is_done() && !cancelled.is_running());
    assert!(
        cancelled.cancel() && cancelled.cancel() && cancelled.is_cancelled() && cancelled.is_done()
    );
    guest.pass();
    busy.guest().pass();
    assert!(running.result().is_ok() && later.result().is_ok());
    assert_eq!(cancelled.result(), Err(Error::Cancelled));
    pool.shutdown();
    assert!(never.is_lonely());
}

pub(crate) fn cancel_is_refused_while_the_task_runs<P: Pool>() {
    let (pool, door) = (P::new(1).unwrap(), Door::new());
    let future = pool.submit(stand_at, door.number());
    let guest = door.guest();
    assert!(future.is_running() && !future.is_done());
    assert!(!future.cancel() && !future.is_cancelled() && future.is_running());
    let pid = guest.pid;
    guest.pass();
    assert_eq!(future.result(), Ok(pid));
}

pub(crate) fn wait_sorts_what_runs_from_what_is_done<P: Pool>() {
    // CPython: WaitTests::test_first_completed, test_timeout
    let (pool, door) = (P::new(2).unwrap(), Door::new());
    let futures = [pool.submit(through, door.number()), pool.submit(through, door.number())];
    let (guest, other) = (door.guest(), door.guest());
    let waited = wait_timeout(futures, ReturnWhen::FirstCompleted, Duration::ZERO);
    assert_eq!((waited.done.len(), waited.not_done.len()), (0, 2));
    guest.pass();
    let waited = wait(waited.not_done, ReturnWhen::FirstCompleted);
    assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
    other.pass();
    let waited = wait(waited.not_done, ReturnWhen::AllCompleted);
    assert_eq!((waited.done.len(), waited.not_done.len()), (1, 0));
}

pub(crate) fn a_callback_hears_the_result_before_its_reader<P: Pool>() {
    let (pool, door) = (P::new(1).unwrap(), Door::new());
    let future = pool.submit(stand_at, door.number());
    let heard = Arc::new(OnceLock::new());
    let ear = heard.clone();
    future.add_done_callback(move |outcome| ear.set(outcome.clone()).unwrap());
    assert_eq!(heard.get(), None);
    door.guest().pass();
    let outcome = future.result();
    assert_eq!(heard.get(), Some(&outcome));
}
