//! A window: how many are under way, and how many inputs are pulled.

use crate::*;

#[test]
fn i4_a_window_makes_endless_inputs_possible() {
    // CPython: ExecutorTest::test_map_buffersize_on_infinite_iterable
    watchdog("the first squares of an endless map", || {
        let pool = pool(2);
        let mut squares = map_windowed(2, 0_u64.., |n| pool.spawn(move || n * n));
        assert!(squares.by_ref().take(4).eq([0, 1, 4, 9].map(Ok)));
        drop(squares);
        pool.shutdown();
    });
}

// CPython: ExecutorTest::test_map_buffersize_on_multiple_iterables
#[test]
fn a_window_over_two_endless_inputs() {
    // CPython: ExecutorTest::test_map_buffersize_on_multiple_infinite_iterables
    watchdog("the first products of an endless map", || {
        let pool = pool(2);
        let products = map_windowed(2, (0_u64..).zip(10..), |(a, b)| pool.spawn(move || a * b));
        assert!(products.take(3).eq([0, 11, 24].map(Ok)));
    });
}

#[test]
fn a_window_over_nothing_is_empty() {
    // CPython: ExecutorTest::test_map_buffersize_on_empty_iterable
    let pool = pool(2);
    assert_eq!(map_windowed(2, iter::empty(), |n: u32| pool.spawn(move || n)).next(), None);
    assert_eq!(map(iter::empty(), |n: u32| pool.spawn(move || n)).next(), None);
    assert_eq!(
        map_chunked(2, iter::empty(), |chunk| pool.spawn(move || each(chunk, |n: u32| n))).next(),
        None
    );
}

#[test]
fn i4_a_window_pulls_as_many_as_it_holds_if_nobody_iterates() {
    // CPython: ExecutorTest::test_map_buffersize_when_buffer_is_full
    watchdog("a map nobody iterates", || {
        let (pool, pulled) = (pool(1), Cell::new(0));
        let endless = (0..).inspect(|_| pulled.set(pulled.get() + 1));
        let mut outcomes = map_windowed(2, endless, |n| pool.spawn(move || n));
        pool.shutdown(); // everything submitted has run
        assert_eq!(pulled.get(), 2);
        // What was under way comes out, then the refusals that the window holds, then the end.
        let refused = || Some(Err(Error::ShutDown));
        assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok(0)), Some(Ok(1))));
        assert_eq!((outcomes.next(), outcomes.next()), (refused(), refused()));
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
        assert_eq!(pulled.get(), 4);
    });
}

// CPython: ExecutorTest::test_map_buffersize
#[test]
fn i4_a_window_never_holds_more_than_its_size_and_always_as_much() {
    watchdog("windows of all sizes", || {
        let pool = pool(2);
        for window in [1, 2, 3, 7, 20] {
            let submitted = Cell::new(0);
            let submit = |n| {
                submitted.set(submitted.get() + 1);
                pool.spawn(move || n)
            };
            let mut outcomes = map_windowed(window, 0..15, submit);
            for n in 0..15 {
                assert_eq!(submitted.get(), (n + window).min(15), "before outcome {n}");
                assert_eq!(outcomes.next(), Some(Ok(n)));
            }
            assert_eq!(outcomes.next(), None);
        }
    });
}

#[test]
fn i4_no_more_than_a_window_of_tasks_exists_at_once() {
    // In memory: each task and its outcome carry a token.
    watchdog("a long map through a small window", || {
        let (pool, token) = (pool(2), Arc::new(()));
        let most = Cell::new(0);
        let submit = |_| {
            let token = token.clone();
            most.set(most.get().max(Arc::strong_count(&token)));
            pool.spawn(move || token)
        };
        assert_eq!(
            map_windowed(5, 0..2_000, submit).map(|outcome| drop(outcome.unwrap())).count(),
            2_000
        );
        assert!(
            most.get() <= 1 + 5 + 1,
            "ours, the window, and the one that is being taken: {}",
            most.get()
        );
    });
}

#[test]
fn a_window_and_a_chunk_of_zero_are_a_panic_at_the_call() {
    // CPython: ExecutorTest::test_map_buffersize_value_validation
    let pool = pool(1);
    let window = || drop(map_windowed(0, 0..3, |n| pool.spawn(move || n)));
    let chunk = || drop(map_chunked(0, 0..3, |chunk| pool.spawn(move || each(chunk, |n| n))));
    for (zero, said) in [(&window as &dyn Fn(), "a window needs"), (&chunk, "a chunk needs")] {
        let panic = catch_unwind(AssertUnwindSafe(zero)).unwrap_err();
        assert!(panic.downcast_ref::<&str>().unwrap().starts_with(said));
    }
}
