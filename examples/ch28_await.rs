//! Two tasks share one thread. Look at who speaks when: a task that awaits leaves the thread to the
//! other, and comes back when its future has called its waker. Then one `async fn` awaits a thread,
//! a promise and a failure.
//!
//! Expected output:
//!
//! ```text
//! An executor of 25 lines runs two tasks on one thread:
//!   cook: waits for an order
//!   waiter: orders soup
//!   waiter: waits for the soup
//!   cook: got an order of soup
//!   waiter: serves hot soup
//! Polls in all: 4. A loop that asks again and again would need thousands.
//! One async fn, three futures:
//!   a task on a pool: 42
//!   a promise kept by a thread: news
//!   a promise dropped: the promise was dropped without an outcome
//! ```

use concurrent_explained::{Error, ThreadPool, block_on, promise};
use std::cell::RefCell;
use std::error;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread;

// The smallest executor: a queue of tasks that are worth asking. Complete; copy it.

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A waker is a callback: this one writes the number of its task into the queue.
struct Ask(usize, Sender<usize>);

impl Wake for Ask {
    fn wake(self: Arc<Self>) {
        let _ = self.1.send(self.0);
    }
}

/// Runs all tasks to their ends on this thread, and counts how often it asked.
fn run(mut tasks: Vec<Task<'_>>) -> usize {
    let (send, worth_asking) = channel();
    (0..tasks.len()).for_each(|number| send.send(number).unwrap()); // each is asked once at first
    let (mut left, mut polls) = (tasks.len(), 0);
    while left > 0 {
        let number = worth_asking.recv().unwrap(); // sleeps while nothing is worth asking
        let waker = Waker::from(Arc::new(Ask(number, send.clone())));
        let answer = tasks[number].as_mut().poll(&mut Context::from_waker(&waker));
        left -= usize::from(answer.is_ready());
        polls += 1;
    }
    polls
}

fn soup() -> (Vec<String>, usize) {
    let story = RefCell::new(Vec::new());
    let say = |line: &str| story.borrow_mut().push(format!("  {line}"));
    let (order, ordered) = promise();
    let (dish, cooked) = promise();
    let cook: Task<'_> = Box::pin(async {
        say("cook: waits for an order");
        let what = ordered.await.unwrap();
        say(&format!("cook: got an order of {what}"));
        dish.complete(Ok(format!("hot {what}"))).unwrap();
    });
    let waiter: Task<'_> = Box::pin(async {
        say("waiter: orders soup");
        order.complete(Ok("soup")).unwrap();
        say("waiter: waits for the soup");
        let dish = cooked.await.unwrap();
        say(&format!("waiter: serves {dish}"));
    });
    let polls = run(vec![cook, waiter]);
    (story.into_inner(), polls)
}

async fn three_futures() -> Result<Vec<String>, Error> {
    let pool = ThreadPool::new(1);
    let task = pool.spawn(|| 6 * 7);
    let (kept, news) = promise();
    let other = thread::spawn(move || kept.complete(Ok("news")));
    let (dropped, never) = promise::<u8>();
    drop(dropped);
    let lines = vec![
        format!("  a task on a pool: {}", task.await?),
        format!("  a promise kept by a thread: {}", news.await?),
        format!("  a promise dropped: {}", never.await.unwrap_err()),
    ];
    other.join().unwrap().unwrap();
    Ok(lines)
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let (story, polls) = soup();
    let mut text = String::from("An executor of 25 lines runs two tasks on one thread:\n");
    text += &(story.join("\n") + "\n");
    text +=
        &format!("Polls in all: {polls}. A loop that asks again and again would need thousands.\n");
    text += "One async fn, three futures:\n";
    text += &(block_on(three_futures())?.join("\n") + "\n");
    let _ = io::stdout().write_all(text.as_bytes()); // a reader that has left is no failure
    Ok(())
}
