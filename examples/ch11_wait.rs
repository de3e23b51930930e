//! Look at the slow first future: asked in turn, it hides the two that are done. Then at what each
//! wait leaves behind in it, and at what a `?` in the loop leaves to be done.
//!
//! Expected output:
//!
//! ```text
//! in turn:          nothing within 50 ms, though 2 of 3 futures are done
//! by callback:      1000 readers came and left; the slow future still told all 1000
//! as_completed:     b = 20, c = 30, a = 10
//! first completed:  1 done, 3 not
//! first exception:  3 done, the third has failed; 1 not
//! limit of zero:    three come out, then: 1 of 4 unfinished
//! taken back:       1 future, not cancelled
//! `?` in the loop:  the promise was dropped without an outcome; 2 tasks will be done for nobody
//! cancel_on_drop:   the promise was dropped without an outcome; 0 tasks will be done for nobody
//! all completed:    100000 futures, 100000 done
//! ```

use concurrent_explained::{
    AsCompleted, Error, Future, Promise, ReturnWhen, as_completed, promise, wait,
};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

type Number = Future<'static, i32>;
type Pairs = (Vec<Promise<i32>>, Vec<Number>);

/// How often a future has written to a reader that was no longer there.
pub(crate) static IN_VAIN: AtomicUsize = AtomicUsize::new(0);

/// The smallest version: the first future that is done, and the others. It cannot take its
/// callbacks back, so the others remember this reader as long as they live.
pub(crate) fn first_by_callback(mut futures: Vec<Number>) -> (Number, Vec<Number>) {
    let (sender, news) = mpsc::channel();
    for (key, future) in futures.iter().enumerate() {
        let sender = sender.clone();
        future.add_done_callback(move |_| {
            if sender.send(key).is_err() {
                IN_VAIN.fetch_add(1, SeqCst);
            }
        });
    }
    let first = news.recv().expect("every future writes when it is done");
    (futures.remove(first), futures)
}

fn done(value: i32) -> Number {
    let (promise, future) = promise();
    promise.complete(Ok(value)).unwrap();
    future
}

/// Adds what comes out, up to the first failure.
fn sum(news: AsCompleted<'static, i32>) -> Result<i32, Error> {
    let mut sum = 0;
    for future in news {
        sum += future.result()?;
    }
    Ok(sum)
}

/// A sum over four tasks, of which the second fails: its error, and how many are left to be done.
fn fails(setting: fn(AsCompleted<'static, i32>) -> AsCompleted<'static, i32>) -> (Error, usize) {
    let (mut promises, mut futures): Pairs = (0..3).map(|_| promise()).unzip();
    futures.insert(0, done(1));
    drop(promises.remove(0)); // the failure
    let error = sum(setting(as_completed(futures))).unwrap_err();
    let done_for_nobody = |promise: Promise<i32>| promise.complete(Ok(0)).is_ok();
    let left = promises.into_iter().map(done_for_nobody).filter(|done| *done).count();
    (error, left)
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let [(slow, a), (fast, b), (faster, c)] = [promise::<i32>(), promise(), promise()];
    let names = HashMap::from([(a.id(), "a"), (b.id(), "b"), (c.id(), "c")]);
    fast.complete(Ok(20)).unwrap();
    faster.complete(Ok(30)).unwrap();
    if !a.wait_timeout(Duration::from_millis(50)) {
        writeln!(story, "in turn:          nothing within 50 ms, though 2 of 3 futures are done")?;
    }

    let (ends_last, mut slower) = promise();
    for n in 0..1_000 {
        let (_first, mut others) = first_by_callback(vec![slower, done(n)]);
        slower = others.remove(0);
    }
    ends_last.complete(Ok(0)).unwrap();
    let told = IN_VAIN.load(SeqCst);
    writeln!(
        story,
        "by callback:      1000 readers came and left; the slow future still told all {told}"
    )?;

    let mut slow = Some(slow);
    let mut came = Vec::new();
    for future in as_completed([a, b, c]) {
        came.push(format!("{} = {}", names[&future.id()], future.result().unwrap()));
        if came.len() == 2 {
            slow.take().unwrap().complete(Ok(10)).unwrap();
        }
    }
    writeln!(story, "as_completed:     {}", came.join(", "))?;

    let (promises, futures): Pairs = (0..4).map(|_| promise()).unzip();
    let mut promises = promises.into_iter();
    promises.next().unwrap().complete(Ok(1)).unwrap();
    let first = wait(futures, ReturnWhen::FirstCompleted);
    let (done, not_done) = (first.done.len(), first.not_done.len());
    writeln!(story, "first completed:  {done} done, {not_done} not")?;

    let futures = first.done.into_iter().chain(first.not_done);
    promises.next().unwrap().complete(Ok(2)).unwrap();
    promises.next().unwrap().complete(Err(Error::Abandoned)).unwrap();
    let failed = wait(futures, ReturnWhen::FirstException);
    let (done, not_done) = (failed.done.len(), failed.not_done.len());
    writeln!(story, "first exception:  {done} done, the third has failed; {not_done} not")?;

    let futures = failed.done.into_iter().chain(failed.not_done);
    let mut news = as_completed(futures).within(Duration::ZERO);
    let came: Vec<_> = news.by_ref().take(3).map(|future| future.unwrap().result()).collect();
    assert_eq!(came.len(), 3);
    let late = news.next().unwrap().unwrap_err();
    writeln!(story, "limit of zero:    three come out, then: {late}")?;
    let left = news.into_unfinished();
    assert!(!left[0].is_cancelled());
    writeln!(story, "taken back:       {} future, not cancelled", left.len())?;
    promises.next().unwrap().complete(Ok(4)).unwrap();

    let (error, left) = fails(|news| news);
    writeln!(story, "`?` in the loop:  {error}; {left} tasks will be done for nobody")?;
    let (error, left) = fails(AsCompleted::cancel_on_drop);
    writeln!(story, "cancel_on_drop:   {error}; {left} tasks will be done for nobody")?;

    let (promises, futures): Pairs = (0..100_000).map(|_| promise()).unzip();
    let worker =
        thread::spawn(|| promises.into_iter().for_each(|promise| promise.complete(Ok(1)).unwrap()));
    let all = wait(futures, ReturnWhen::AllCompleted);
    let (done, not_done) = (all.done.len(), all.not_done.len());
    writeln!(story, "all completed:    {} futures, {done} done", done + not_done)?;
    worker.join().unwrap();
    Ok(story)
}

fn main() -> Result<(), std::fmt::Error> {
    let _ = io::stdout().write_all(tell()?.as_bytes()); // a reader that has left is no error
    Ok(())
}
