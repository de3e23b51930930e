//! A worker that waits does the unstarted work of its own pool (I7).

use crate::*;

type Tasks = (Vec<Arc<dyn Job>>, Vec<Number>);

/// Tasks at the home of this thread that nobody else will ever start.
fn unstarted(count: usize) -> Tasks {
    let home = PoolId::new();
    home.enter();
    let (jobs, futures): Tasks = (0..count).map(|n| task(home, move || n)).unzip();
    (jobs, futures)
}

#[test]
fn i7_a_worker_that_waits_does_the_work_itself() {
    watchdog("work that only the waiter can do", || {
        for when in EVERY {
            let (_jobs, futures) = unstarted(3);
            let Waited { done, not_done } = wait(futures, when);
            let enough = if when == FirstCompleted { 1 } else { 3 };
            assert_eq!(
                (done.len(), not_done.len()),
                (enough, 3 - enough),
                "{when:?}: no more than needed"
            );
        }
        let (jobs, futures) = unstarted(3);
        let mut news = as_completed(futures);
        for n in 0..3 {
            let begun = jobs.iter().filter(|job| job.is_accounted_for()).count();
            assert_eq!(begun, n, "one at a time, when it is asked for");
            assert_eq!(news.next().unwrap().result(), Ok(n));
        }
        let (_jobs, futures) = unstarted(3);
        assert_eq!(as_completed(futures).within(Duration::MAX).count(), 3);
    });
}

#[test]
fn i7_a_worker_with_a_limit_does_no_work() {
    watchdog("a limit on a worker", || {
        for when in EVERY {
            let (_jobs, futures) = unstarted(3);
            assert_eq!(wait_timeout(futures, when, ZERO).not_done.len(), 3, "{when:?}");
        }
        let (_jobs, futures) = unstarted(3);
        let error = as_completed(futures).within(ZERO).next().unwrap().unwrap_err();
        assert_eq!(error, Unfinished { unfinished: 3, total: 3 });
    });
}

#[test]
fn i7_a_worker_begins_what_it_can_before_it_sleeps() {
    watchdog("a future that only the last task of the list completes", || {
        for when in [FirstException, AllCompleted] {
            let home = PoolId::new();
            home.enter();
            let (waiting, first) = promise();
            let (_job, last) = task(home, move || waiting.complete(Ok(7)).map_or(0, |()| 8));
            assert_eq!(outcomes(wait([first, last], when).done), [Ok(7), Ok(8)]);
        }
    });
}

#[test]
fn futures_of_several_pools_and_promises_mix() {
    watchdog("two pools, a promise and a wait inside a pool of one", || {
        let (one, two) = (ThreadPool::new(1), ThreadPool::new(2));
        let (waiting, by_hand) = promise();
        let mixed = [one.spawn(|| 1), by_hand, two.spawn(|| 2), two.spawn(|| 3), one.spawn(|| 4)];
        waiting.complete(Ok(5)).unwrap();
        let mut sum: Vec<usize> =
            as_completed(mixed).map(|future| future.result().unwrap()).collect();
        sum.sort_unstable();
        assert_eq!(sum, [1, 2, 3, 4, 5]);

        let one = Arc::new(one);
        let nested = one.spawn({
            let one = one.clone();
            move || {
                let spawn = |n| (0..n).map(|n| one.spawn(move || n)).collect::<Vec<Number>>();
                let all = wait(spawn(5), AllCompleted).done.len();
                let first = wait(spawn(5), FirstCompleted).done.len();
                (all, first, as_completed(spawn(5)).count())
            }
        });
        assert_eq!(nested.result(), Ok((5, 1, 5)));
    });
}
