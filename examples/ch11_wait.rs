//! Look at the slow first future: asked in turn, it holds up the two that are ready. One queue of
//! news hands out whichever is done; here the slow one is fulfilled only after the others came out.
//!
//! Expected output:
//!
//! ```text
//! in turn:           nothing within 50 ms, though 2 of 3 are done
//! as completed:      b = 20, c = 30, a = 10
//! first completed:   1 done, 3 not
//! first exception:   3 done, 1 not
//! with a limit:      three came out, then: 1 of 4 unfinished
//! taken back:        1 future, not cancelled
//! all completed:     100000 futures, 100000 done
//! ```

use concurrent_explained::{Error, Future, Promise, ReturnWhen, as_completed, promise, wait};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

type Pairs = (Vec<Promise<i32>>, Vec<Future<'static, i32>>);

fn main() {
    let [(slow, a), (fast, b), (faster, c)] = [promise::<i32>(), promise(), promise()];
    let names = HashMap::from([(a.id(), "a"), (b.id(), "b"), (c.id(), "c")]);
    fast.complete(Ok(20)).unwrap();
    faster.complete(Ok(30)).unwrap();
    if !a.wait_timeout(Duration::from_millis(50)) {
        println!("in turn:           nothing within 50 ms, though 2 of 3 are done");
    }

    let mut slow = Some(slow);
    let mut came = Vec::new();
    for future in as_completed([a, b, c]) {
        came.push(format!("{} = {}", names[&future.id()], future.result().unwrap()));
        if came.len() == 2 {
            slow.take().unwrap().complete(Ok(10)).unwrap();
        }
    }
    println!("as completed:      {}", came.join(", "));

    let (promises, futures): Pairs = (0..4).map(|_| promise()).unzip();
    let mut promises = promises.into_iter();
    promises.next().unwrap().complete(Ok(1)).unwrap();
    let first = wait(futures, ReturnWhen::FirstCompleted, None);
    println!("first completed:   {} done, {} not", first.done.len(), first.not_done.len());

    let futures = first.done.into_iter().chain(first.not_done);
    promises.next().unwrap().complete(Ok(2)).unwrap();
    promises.next().unwrap().complete(Err(Error::Abandoned)).unwrap();
    let failed = wait(futures, ReturnWhen::FirstException, None);
    println!("first exception:   {} done, {} not", failed.done.len(), failed.not_done.len());

    let mut news =
        as_completed(failed.done.into_iter().chain(failed.not_done)).within(Duration::ZERO);
    let came = news.by_ref().take(3).filter(Result::is_ok).count();
    assert_eq!(came, 3);
    println!("with a limit:      three came out, then: {}", news.next().unwrap().unwrap_err());
    let left = news.into_unfinished();
    assert!(!left[0].cancelled());
    println!("taken back:        {} future, not cancelled", left.len());

    let (promises, futures): Pairs = (0..100_000).map(|_| promise()).unzip();
    let worker =
        thread::spawn(|| promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap()));
    let all = wait(futures, ReturnWhen::AllCompleted, None);
    println!(
        "all completed:     {} futures, {} done",
        all.done.len() + all.not_done.len(),
        all.done.len()
    );
    worker.join().unwrap();
}
