//! Chapter 17: each row of the table, each invariant, CPython's cases, and the answers to `Try`.

// The example replays schedules under std's names. Outside of a replay they are what they were.
extern crate self as std;
extern crate std as real;
use concurrent_explained::ch31_schedules::{replay, sync, thread, time};
use real::*;

mod support;

#[path = "../examples/ch17_map.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "its smaller versions are tested here, its main by the book's test"
)]
mod example;

mod ch17_map {
    mod ends;
    mod window;
}

pub(crate) use std::cell::Cell;
pub(crate) use std::iter;
pub(crate) use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
pub(crate) use std::sync::{Arc, Mutex, Weak};
pub(crate) use std::time::{Duration, Instant};

pub(crate) use concurrent_explained::{
    Error, Future, Promise, ThreadPool, each, map, map_chunked, map_windowed, promise, scope,
};
pub(crate) use support::{Gate, until, watchdog};

pub(crate) const ZERO: Duration = Duration::ZERO;

pub(crate) fn pool(workers: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPool::new(workers))
}

/// A pool of one whose worker is blocked until the gate opens.
pub(crate) fn blocked() -> (Arc<ThreadPool>, Gate, Future<'static, ()>) {
    let (pool, gate) = (pool(1), Gate::default());
    let passing = gate.clone();
    let running = pool.spawn(move || passing.pass());
    until("the task has begun", || running.is_running());
    (pool, gate, running)
}

/// A panic without the message on standard error.
pub(crate) fn quiet_panic(message: &str) -> ! {
    resume_unwind(Box::new(message.to_owned()))
}

pub(crate) fn panicked(message: &str) -> Error {
    Error::Panicked { message: message.into() }
}

// Order, errors, one outcome for each input.

#[test]
fn i1_map_gives_what_the_serial_map_gives() {
    // CPython: ExecutorTest::test_map
    watchdog("a thousand squares", || {
        let (pool, serial) = (pool(2), (0..1_000_u64).map(|n| n * n));
        assert!(map(0..1_000_u64, |n| pool.spawn(move || n * n)).eq(serial.clone().map(Ok)));
        for n in [1, 3, 999, 1_000, 5_000] {
            let windowed = map_windowed(n, 0..1_000_u64, |n| pool.spawn(move || n * n));
            assert!(windowed.eq(serial.clone().map(Ok)), "in a window of {n}");
            let chunked =
                map_chunked(n, 0..1_000_u64, |chunk| pool.spawn(move || each(chunk, |n| n * n)));
            assert!(chunked.eq(serial.clone().map(Ok)), "in chunks of {n}");
        }
    });
}

#[test]
fn chunks_of_every_size_hold_every_input_once() {
    // CPython: ProcessPoolExecutorTest::test_map_chunksize
    watchdog("forty inputs in chunks", || {
        let pool = pool(2);
        for n in [1, 6, 40, 50] {
            let tasks = Cell::new(0);
            let submit = |chunk| {
                tasks.set(tasks.get() + 1);
                pool.spawn(|| each(chunk, |n| n))
            };
            assert!(map_chunked(n, 0..40, submit).eq((0..40).map(Ok)));
            assert_eq!(tasks.get(), 40_usize.div_ceil(n));
        }
    });
}

#[test]
fn i1_outcomes_come_in_order_when_tasks_end_in_reverse() {
    watchdog("promises fulfilled from the last to the first", || {
        let (mut promises, futures): (Vec<Promise<u32>>, Vec<_>) =
            (0..50).map(|_| promise()).unzip();
        let outcomes = map(futures, |future| future);
        for n in (0..50).rev() {
            promises.pop().unwrap().complete(Ok(n)).unwrap();
        }
        assert!(outcomes.eq((0..50).map(Ok)));
    });
}

#[test]
fn i2_an_error_ends_its_own_item_and_the_map_goes_on() {
    // CPython: ExecutorTest::test_map_exception
    watchdog("four divisions, one by zero", || {
        let divide = |n| 12_u32.checked_div(n).unwrap_or_else(|| quiet_panic("division by zero"));
        let expected = [Ok(6), Ok(4), Err(panicked("division by zero")), Ok(12)];
        let pool = pool(2);
        let mut outcomes = map([2, 3, 0, 1], |n| pool.spawn(move || divide(n)));
        assert!(outcomes.by_ref().eq(expected.clone()));
        assert_eq!((outcomes.next(), outcomes.next()), (None, None), "and stays at its end");
        for n in [1, 2, 3, 4] {
            let windowed = map_windowed(n, [2, 3, 0, 1], |n| pool.spawn(move || divide(n)));
            assert!(windowed.eq(expected.clone()));
            let mut chunked =
                map_chunked(n, [2, 3, 0, 1], |chunk| pool.spawn(move || each(chunk, divide)));
            assert!(chunked.by_ref().eq(expected.clone()), "in chunks of {n}");
            assert_eq!((chunked.next(), chunked.next()), (None, None));
        }
    });
}

#[test]
fn i1_a_chunk_that_fails_as_a_whole_fails_each_of_its_items() {
    watchdog("chunks of a pool that is shut down after the first", || {
        let (pool, chunks) = (pool(1), Cell::new(0));
        let submit = |chunk| {
            chunks.set(chunks.get() + 1);
            if chunks.get() == 2 {
                pool.shutdown();
            }
            pool.spawn(|| each(chunk, |n| n))
        };
        let outcomes: Vec<_> = map_chunked(2, 0..5, submit).collect();
        let refused = Err(Error::ShutDown);
        assert_eq!(outcomes, [Ok(0), Ok(1), refused.clone(), refused.clone(), refused]);
    });
}

#[test]
fn i1_a_chunk_with_an_outcome_too_few_or_too_many_fails_each_of_its_items() {
    watchdog("chunks of two inputs", || {
        let pool = pool(1);
        for wrong in [0, 1, 3] {
            let outcomes = map_chunked(2, 0..4, |_| pool.spawn(move || vec![Ok(7); wrong]));
            let reason = format!("{wrong} outcomes for 2 inputs");
            assert!(outcomes.eq(vec![Err(Error::Refused { reason: reason.into() }); 4]));
        }
    });
}

#[test]
fn i2_each_goes_on_behind_every_panic_and_drops_each_input_once() {
    struct Counted<'a>(u32, &'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
        }
    }
    let dropped = AtomicUsize::new(0);
    let inputs: Vec<_> = (0..10).map(|n| Counted(n, &dropped)).collect();
    let outcomes = each(inputs, |input| match input.0 {
        0 | 4 | 5 | 9 => quiet_panic("an item"),
        n => n,
    });
    let expected = |n| match n {
        0 | 4 | 5 | 9 => Err(panicked("an item")),
        n => Ok(n),
    };
    assert!(outcomes.into_iter().eq((0..10).map(expected)));
    assert_eq!(dropped.load(SeqCst), 10);
    assert_eq!(each(Vec::<u32>::new(), |n| n), []);
}

// Eager.

#[test]
fn i3_map_runs_everything_though_nobody_iterates() {
    // CPython: ThreadPoolExecutorTest::test_map_submits_without_iteration
    watchdog("the tasks of an idle map", || {
        let (pool, ran) = (pool(2), Arc::new(AtomicUsize::new(0)));
        let count = |_| {
            let ran = ran.clone();
            pool.spawn(move || ran.fetch_add(1, SeqCst))
        };
        let outcomes = map(0..100, count);
        pool.shutdown();
        assert_eq!(ran.load(SeqCst), 100);
        assert_eq!(outcomes.count(), 100);
    });
}

#[test]
fn map_after_a_shutdown_fails_each_item() {
    let pool = pool(1);
    pool.shutdown();
    assert!(map(0..3, |n| pool.spawn(move || n)).eq(iter::repeat_n(Err(Error::ShutDown), 3)));
}

#[test]
fn a_source_that_ended_is_not_asked_again() {
    watchdog("an iterator with a second wind", || {
        let pool = pool(1);
        let flicker = || {
            let mut asked = 0;
            iter::from_fn(move || {
                asked += 1;
                (asked != 3).then_some(asked)
            })
        };
        assert!(map(flicker(), |n| pool.spawn(move || n)).eq([Ok(1), Ok(2)]));
        assert!(map_windowed(2, flicker(), |n| pool.spawn(move || n)).eq([Ok(1), Ok(2)]));
        assert!(
            map_chunked(2, flicker(), |chunk| pool.spawn(move || each(chunk, |n| n)))
                .eq([Ok(1), Ok(2)])
        );
    });
}

#[test]
fn a_map_may_own_its_pool_and_ends_it_when_it_is_dropped() {
    // CPython: ThreadPoolShutdownTest::test_del_shutdown
    watchdog("a map that owns its pool", || {
        let on_worker = Arc::new(Mutex::new(Weak::new()));
        let alive = on_worker.clone();
        thread_local!(static SENTINEL: Cell<Option<Arc<()>>> = const { Cell::new(None) });
        let initializer = move || {
            let sentinel = Arc::new(());
            *alive.lock().unwrap() = Arc::downgrade(&sentinel);
            SENTINEL.set(Some(sentinel));
            Ok(())
        };
        let pool = ThreadPool::builder().workers(1).initializer(initializer).build();
        let mut outcomes = map(0..3, move |n| pool.spawn(move || n));
        assert!(outcomes.by_ref().eq((0..3).map(Ok)));
        assert!(on_worker.lock().unwrap().upgrade().is_some(), "an idle worker stays");
        drop(outcomes);
        assert!(on_worker.lock().unwrap().upgrade().is_none(), "the thread has ended");
    });
}

#[test]
fn i6_a_map_that_owns_its_pool_cancels_before_the_pool_runs_the_rest() {
    watchdog("a map dropped early", || {
        let (gate, ran) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let pool = ThreadPool::new(1);
        let (passing, count) = (gate.clone(), ran.clone());
        let outcomes = map(0..10, move |_| {
            let (gate, count) = (passing.clone(), count.clone());
            pool.spawn(move || {
                count.fetch_add(1, SeqCst);
                gate.pass();
            })
        });
        until("the first has begun", || ran.load(SeqCst) == 1);
        let dropping = std::thread::spawn(move || drop(outcomes)); // waits for the worker
        // Ours, that of the closure that submits, and those of the tasks.
        until("all are cancelled but the one that runs", || Arc::strong_count(&ran) <= 3);
        gate.open();
        dropping.join().unwrap();
        assert_eq!(ran.load(SeqCst), 1);
    });
}

#[test]
fn a_scope_maps_what_it_borrows() {
    watchdog("lengths of borrowed words", || {
        let words = ["news", "lock", "end"];
        let lengths: Result<Vec<_>, _> =
            scope(2, |pool| map(&words, |word| pool.spawn(|| word.len())).collect());
        assert_eq!(lengths.unwrap(), [4, 4, 3]);
    });
}

// On a worker.

#[test]
fn a_map_iterated_on_a_worker_does_the_work_itself() {
    // Nested waits, the fourth way; see chapter 15 for the other three.
    fn fib(pool: &Arc<ThreadPool>, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let calls = map([n - 1, n - 2], |n| {
            let inner = pool.clone();
            pool.spawn(move || fib(&inner, n))
        });
        calls.map(Result::unwrap).sum()
    }
    watchdog("fib through map", || {
        for workers in [1, 2] {
            let (pool, inner) = (pool(workers), pool(workers));
            assert_eq!(fib(&pool, 16), 987);
            let task = pool.spawn(move || {
                let windowed = map_windowed(2, 0_u64..10, |n| inner.spawn(move || n));
                windowed.map(Result::unwrap).sum::<u64>()
            });
            assert_eq!(task.result(), Ok(45));
        }
        let pool = pool(1);
        let inner = pool.clone();
        let task = pool.spawn(move || {
            let chunked =
                map_chunked(3, 0_u64..10, |chunk| inner.spawn(move || each(chunk, |n| n)));
            chunked.map(Result::unwrap).sum::<u64>()
        });
        assert_eq!(task.result(), Ok(45));
    });
}

#[test]
fn maps_say_what_they_are() {
    let pool = pool(1);
    let one = map([1], |n| pool.spawn(move || n));
    assert!(format!("{one:?}").starts_with("Map { submitted: [Future("));
    let chunked = map_chunked(1, [1], |chunk| pool.spawn(move || each(chunk, |n| n)));
    assert!(format!("{chunked:?}").starts_with("MapChunked { chunks: Map {"));
}

// The answers to `Try`.

#[test]
fn try_1_a_window_behind_a_first_item_that_never_ends() {
    watchdog("a window of three", || {
        let (pool, gate) = (pool(2), Gate::default());
        let pulled = Arc::new(AtomicUsize::new(0));
        let (pull, passing) = (pulled.clone(), gate.clone());
        let endless = (0..).inspect(move |_| {
            pull.fetch_add(1, SeqCst);
        });
        let waiting = std::thread::spawn(move || {
            let submit = |n: u32| {
                let gate = passing.clone();
                pool.spawn(move || {
                    if n == 0 {
                        gate.pass()
                    }
                })
            };
            map_windowed(3, endless, submit).next()
        });
        until("the window is full", || pulled.load(SeqCst) == 3);
        (0..200).for_each(|_| std::thread::yield_now());
        assert_eq!(
            pulled.load(SeqCst),
            3,
            "the other two are done by now, and wait behind the first"
        );
        gate.open();
        assert_eq!(waiting.join().unwrap(), Some(Ok(())));
        assert_eq!(pulled.load(SeqCst), 4);
    });
}

#[test]
fn every_schedule_of_the_lazy_map_of_the_example_ends_in_a_deadlock() {
    let story = replay("0", example::two_meet_lazily);
    assert!(story.end.is_failure(), "{story}");
}

// Try 2: each task is submitted when the one before it is read: I3 falls, and with it all that is
// there to be cancelled or counted. Red: `i3_…`, `try_1_…`, `try_2_…`, the windows that are counted
// (`i4_…_as_much`, `i4_…_nobody_iterates`), `i6_dropping_…`. What asks for results stays green.
#[test]
fn try_2_two_tasks_of_a_map_meet() {
    watchdog("two tasks that wait for each other", || {
        let (pool, both) = (pool(2), Arc::new(std::sync::Barrier::new(2)));
        let meet = |_| {
            let both = both.clone();
            pool.spawn(move || both.wait().is_leader())
        };
        assert_eq!(map(0..2, meet).filter(|leader| *leader == Ok(true)).count(), 1);
        assert_eq!(example::eager_map(0..2, meet).filter(|leader| *leader == Ok(true)).count(), 1);
    });
}

#[test]
fn the_lazy_map_of_the_example_submits_when_it_is_read() {
    let pulled = Cell::new(0);
    let submit = |n: u32| {
        pulled.set(pulled.get() + 1);
        let (promise, future) = promise();
        promise.complete(Ok(n)).unwrap();
        future
    };
    let mut lazy = example::lazy_map(0..2, submit);
    assert_eq!((pulled.get(), lazy.next(), pulled.get()), (0, Some(Ok(0)), 1));
    assert_eq!(map(0..2, submit).count(), 2);
}

#[test]
fn try_3_the_first_some() {
    fn first_some<T>(mut map: impl Iterator<Item = Result<Option<T>, Error>>) -> Option<T> {
        map.find_map(|outcome| outcome.ok().flatten()) // and the drop of `map` cancels the rest
    }
    watchdog("the first number with a property", || {
        let pool = pool(2);
        let found = first_some(map_windowed(4, 1_u64.., |n| {
            pool.spawn(move || (n * n > 2_000).then_some(n))
        }));
        assert_eq!(found, Some(45));
        assert_eq!(first_some(map(0..9, |_| pool.spawn(|| None::<u8>))), None);
    });
}
