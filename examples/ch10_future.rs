//! Look at who holds the data of a cancelled task, and at the worker that waits for a task which
//! only itself could run. First with a closure and a channel, then with a future.
//!
//! Expected output:
//!
//! ```text
//! a closure and a channel
//!   the caller has left:     the data has 2 owners
//!   a worker of one waits:   no answer after 100 ms
//! a future
//!   the caller cancels:      the data has 1 owner
//!   a worker of one waits:   6 * 7 = 42
//!   a task panics:           panicked: division by zero
//!   a promise is dropped:    the promise was dropped without an outcome
//!   callbacks hear of it:    first Ok(7), second Ok(7)
//!   too early for a result:  the future comes back as Future(Pending)
//!   nobody reads a failure:  a task that nobody read, panicked: unheard
//! ```

use concurrent_explained::ch13_task::{Job, PoolId, task};
use concurrent_explained::{Error, Queue, promise, set_failure_hook};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const WATCHDOG: Duration = Duration::from_millis(100);

fn main() {
    println!("a closure and a channel");
    let queue = Arc::new(Queue::<Box<dyn FnOnce() + Send>>::unbounded());
    let data = Arc::new("a large file");
    let (sender, receiver) = channel();
    let captured = data.clone();
    queue.push(Box::new(move || _ = sender.send(captured.len()))).unwrap();
    drop(receiver); // nobody wants the answer any more, but the queue does not know
    println!("  the caller has left:     the data has {} owners", Arc::strong_count(&data));
    drop(queue.pop());

    let (answer, answered) = channel();
    let inside = queue.clone();
    let outer = move || {
        let (sender, receiver) = channel();
        inside.push(Box::new(move || _ = sender.send(6 * 7))).unwrap();
        answer.send(receiver.recv_timeout(WATCHDOG)).unwrap(); // without the watchdog: for ever
    };
    queue.push(Box::new(outer)).unwrap();
    let worker = thread::spawn(move || queue.pops().for_each(|work| work()));
    match answered.recv().unwrap() {
        Ok(product) => println!("  a worker of one waits:   6 * 7 = {product}"),
        Err(_) => println!("  a worker of one waits:   no answer after 100 ms"),
    }
    drop(worker); // it waits for a queue that nobody closes; the end of `main` ends it

    println!("a future");
    let queue = Arc::new(Queue::<Arc<dyn Job>>::unbounded());
    let home = PoolId::new();
    let captured = data.clone();
    let (job, future) = task(home, move || captured.len());
    queue.push(job).unwrap();
    assert!(future.cancel());
    println!("  the caller cancels:      the data has {} owner", Arc::strong_count(&data));

    let inside = queue.clone();
    let (job, outer) = task(home, move || {
        let (job, inner) = task(home, || 6 * 7);
        inside.push(job).unwrap();
        inner.result() // nobody has started it: it runs right here
    });
    queue.push(job).unwrap();
    let (job, panics) = task(home, || -> i32 { panic!("division by zero") });
    queue.push(job).unwrap();
    std::panic::set_hook(Box::new(|_| {})); // the panic is a value below; its message on stderr is noise
    let worker = thread::spawn({
        let queue = queue.clone();
        move || {
            home.enter();
            queue.pops().for_each(|job| job.run(&|| ())); // the cancelled one is a no-op
        }
    });
    println!("  a worker of one waits:   6 * 7 = {}", outer.result().unwrap().unwrap());
    println!("  a task panics:           {}", panics.result().unwrap_err());
    queue.close();
    worker.join().unwrap();

    let (waiting, future) = promise::<i32>();
    drop(waiting);
    println!("  a promise is dropped:    {}", future.result().unwrap_err());

    let (waiting, future) = promise::<i32>();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for name in ["first", "second"] {
        let heard = heard.clone();
        future.add_done_callback(move |outcome| {
            heard.lock().unwrap().push(format!("{name} {outcome:?}"))
        });
    }
    waiting.complete(Ok(7)).unwrap();
    println!("  callbacks hear of it:    {}", heard.lock().unwrap().join(", "));

    let (_waiting, future) = promise::<i32>();
    let future = future.result_timeout(Duration::ZERO).unwrap_err();
    println!("  too early for a result:  the future comes back as {future:?}");

    set_failure_hook(|what, error| println!("  nobody reads a failure:  {what}, {error}"));
    let (waiting, future) = promise::<i32>();
    waiting.complete(Err(Error::Panicked { message: "unheard".into() })).unwrap();
    drop(future);
}
