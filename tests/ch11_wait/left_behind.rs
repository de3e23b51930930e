//! What a wait leaves behind in the futures, which is nothing (I4), and what it costs (I3).

use crate::*;
use crate::{alone, example, support};

#[test]
fn i4_an_end_that_comes_after_everybody_left_finds_nobody() {
    let (waiting, future) = promise();
    drop(as_completed([future]));
    assert_eq!(waiting.complete(Ok(7)), Ok(()));
    // A queue of keys that was closed by its owner is a reader who has left, too.
    let (waiting, future) = promise::<usize>();
    let news = Arc::new(Queue::<usize>::unbounded());
    assert!(future.watch(news.clone() as Arc<dyn Watcher>, 0));
    news.close();
    waiting.complete(Ok(7)).unwrap();
    assert_eq!(future.result(), Ok(7));
}

const MANY: usize = 100_000;

#[test]
fn i3_a_hundred_thousand_futures() {
    // I3: with a cost per end that grows with the number of futures, this takes minutes.
    watchdog("a hundred thousand ends", || {
        for when in EVERY {
            let (mut promises, futures) = pairs(MANY);
            let last = promises.pop().unwrap();
            let worker = thread::spawn(move || {
                promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap());
                last.complete(Err(boom())).unwrap();
            });
            let Waited { done, not_done } = wait(futures, when);
            assert_eq!(done.len() + not_done.len(), MANY);
            assert!(!done.is_empty() && (when == FirstCompleted || not_done.is_empty()));
            worker.join().unwrap();
        }
        let (promises, futures) = pairs(MANY);
        let worker = thread::spawn(move || {
            promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap());
        });
        let sum: usize = as_completed(futures).map(|future| future.result().unwrap()).sum();
        assert_eq!(sum, MANY);
        worker.join().unwrap();
    });
}

#[test]
fn the_callbacks_of_the_example_stay_when_their_reader_leaves() {
    watchdog("two waits by callback", || {
        let before = example::IN_VAIN.load(SeqCst);
        let (waiting, mut slow) = promise();
        for n in 0..2 {
            let (done, future) = promise();
            done.complete(Ok(n)).unwrap();
            let (first, mut others) = example::first_by_callback(vec![slow, future]);
            assert_eq!(first.result(), Ok(n));
            slow = others.remove(0);
        }
        waiting.complete(Ok(7)).unwrap();
        assert_eq!(example::IN_VAIN.load(SeqCst) - before, 2, "told, though nobody listens");
    });
}

/// Four tasks, of which one is done, one fails, one runs and one has not started: the promises of
/// the last two.
fn one_fails() -> ([Promise<usize>; 2], Vec<Number>) {
    let ([mut runs, waits], left): ([_; 2], [_; 2]) = {
        let [(a, b), (c, d)] = [promise(), promise()];
        ([a, c], [b, d])
    };
    assert!(runs.start());
    let mut futures = vec![finished(1), failed()];
    futures.extend(left);
    ([runs, waits], futures)
}

/// The shape that a program has: `?` leaves the loop at the first failure.
fn sum(news: AsCompleted<'static, usize>) -> Result<usize, Error> {
    let mut sum = 0;
    for future in news {
        sum += future.result()?;
    }
    Ok(sum)
}

#[test]
fn i5_a_loop_that_ends_with_the_first_failure_cancels_nothing_by_itself() {
    let ([runs, mut waits], futures) = one_fails();
    assert_eq!(sum(as_completed(futures)), Err(boom()));
    assert!(waits.start(), "it will be done, for nobody");
    assert_eq!(runs.complete(Ok(2)), Ok(()));
}

#[test]
fn i5_cancel_on_drop_cancels_what_has_not_started_on_every_way_out() {
    let ([runs, mut waits], futures) = one_fails();
    assert_eq!(sum(as_completed(futures).cancel_on_drop()), Err(boom()));
    assert!(!waits.start(), "cancelled");
    assert_eq!(runs.complete(Ok(2)), Ok(()), "what runs goes on");

    let (_runs, futures) = one_fails();
    let first = as_completed(futures).cancel_on_drop().map(Future::result).find(Result::is_err);
    assert_eq!(first, Some(Err(boom())));

    let ([_runs, mut waits], futures) = one_fails();
    drop(as_completed(futures).cancel_on_drop().within(ZERO));
    assert!(!waits.start(), "with a deadline too");

    let ([_runs, mut waits], futures) = one_fails();
    let left = as_completed(futures).cancel_on_drop().into_unfinished();
    assert_eq!(left.len(), 4);
    assert!(waits.start(), "what is taken back lives on");
}

#[test]
fn i5_the_first_failure_of_many_tasks_ends_the_work() {
    // The pool is dropped after the loop, and runs what is queued: 400 tasks, or the two that run.
    watchdog("a pool whose tasks fail", || {
        let ran = Arc::new(AtomicUsize::new(0));
        let pool = ThreadPool::new(1);
        let gate = support::Gate::default();
        let task = |n| {
            let (ran, gate) = (ran.clone(), gate.clone());
            pool.spawn(move || {
                ran.fetch_add(1, SeqCst);
                match n {
                    0 => std::panic::resume_unwind(Box::new("no value")),
                    _ => gate.pass(),
                }
                n
            })
        };
        let futures: Vec<_> = (0..400).map(task).collect();
        assert!(sum(as_completed(futures).cancel_on_drop()).is_err());
        gate.open();
        drop(pool);
        assert!(ran.load(SeqCst) <= 2, "{} of 400 tasks ran", ran.load(SeqCst));
    });
}

/// What this process has in memory, in KiB.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The queue of a reader that has left, with its eight thousand keys, is 64 KiB. A future that goes
/// on would keep one of them.
#[cfg(target_os = "linux")]
#[test]
fn i4_futures_that_go_on_keep_no_queue_of_a_reader_that_has_left() {
    let name =
        "ch11_wait::left_behind::i4_futures_that_go_on_keep_no_queue_of_a_reader_that_has_left";
    alone::alone(name, || {
        let round = || {
            let (going_on, slow) = promise();
            let (promises, mut futures) = pairs(8_000);
            futures.push(slow);
            let news = as_completed(futures);
            promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap());
            (going_on, news.into_unfinished().pop())
        };
        let mut left: Vec<_> = (0..20).map(|_| round()).collect();
        let before = resident();
        left.extend((0..60).map(|_| round()));
        let grown = resident().saturating_sub(before);
        assert!(grown < 2_000, "{grown} KiB more after 60 readers");
    });
}
