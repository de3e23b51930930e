//! A pool in twenty lines on which nested waits cannot hang. Look at `worker`: one line makes the
//! thread a worker of its pool, and that line is all that a wait needs to know.
//!
//! Expected output:
//!
//! ```text
//! closures and channels, one worker: the outer task has no answer after 100 ms
//! tasks, one worker:                 the outer task has the answer 42
//! ten tasks, each waits for the next, one worker: 10
//! fib(15), a task for each call, two workers: 610
//! cancelled in the queue: the data has 1 owner left
//! a task panics: panicked: no such page; the next one on the same worker: 7
//! ```

use concurrent_explained::ch13_task::{Job, PoolId, task};
use concurrent_explained::{Error, Future};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

type Closure = Box<dyn FnOnce() + Send>;

/// The smallest version: a closure in the queue, a channel for its answer. One worker.
fn closures_and_channels() -> Option<i32> {
    let (queue, jobs) = mpsc::channel::<Closure>();
    thread::spawn(move || jobs.iter().for_each(|job| job())); // ends with the last sender
    let (answer, answered) = mpsc::channel();
    let inside = queue.clone();
    let outer = move || {
        let (inner_answer, inner) = mpsc::channel();
        let job = move || _ = inner_answer.send(6 * 7);
        inside.send(Box::new(job)).unwrap();
        // The only worker is here, waiting for what it should do itself.
        let _ = answer.send(inner.recv_timeout(Duration::from_millis(100)).ok());
    };
    queue.send(Box::new(outer)).unwrap();
    answered.recv().unwrap()
}

// --- copy from here: a pool whose nested waits end -----------------------------------------------

/// The pool: tasks in the queue.
pub(crate) struct Pool {
    id: PoolId,
    queue: Option<mpsc::Sender<Arc<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Pool {
        let (id, (queue, jobs)) = (PoolId::new(), mpsc::channel::<Arc<dyn Job>>());
        let jobs = Arc::new(Mutex::new(jobs));
        let worker = |_| {
            let jobs = jobs.clone();
            let next = move || jobs.lock().unwrap().recv().ok();
            thread::spawn(move || {
                id.enter();
                while let Some(job) = next() {
                    job.run(&|| ());
                }
            })
        };
        Pool { id, queue: Some(queue), threads: (0..threads).map(worker).collect() }
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Future<'static, T> {
        let (job, future) = task(self.id, work);
        self.queue.as_ref().expect("open until the drop").send(job).expect("a worker is there");
        future
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue = None; // the workers take what is queued, and end
        if self.id.is_here() {
            return; // a worker cannot wait for itself
        }
        for thread in self.threads.drain(..) {
            thread.join().expect("a worker catches what it runs");
        }
    }
}

// --- to here
// --------------------------------------------------------------------------------------

fn chain(pool: &Arc<Pool>, length: u32) -> u32 {
    if length == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + pool.spawn(move || chain(&inner, length - 1)).result().unwrap()
}

fn fib(pool: &Arc<Pool>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let inner = pool.clone();
    let one = pool.spawn(move || fib(&inner, n - 1));
    fib(pool, n - 2) + one.result().unwrap()
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let answer = match closures_and_channels() {
        Some(answer) => format!("has the answer {answer}"),
        None => "has no answer after 100 ms".to_owned(),
    };
    writeln!(story, "closures and channels, one worker: the outer task {answer}")?;

    let pool = Arc::new(Pool::new(1));
    let inner = pool.clone();
    let outer = pool.spawn(move || inner.spawn(|| 6 * 7).result());
    let answer = outer.result().and_then(|inner| inner).unwrap();
    writeln!(story, "tasks, one worker:                 the outer task has the answer {answer}")?;
    let ten = chain(&pool, 10);
    writeln!(story, "ten tasks, each waits for the next, one worker: {ten}")?;
    let two = Arc::new(Pool::new(2));
    writeln!(story, "fib(15), a task for each call, two workers: {}", fib(&two, 15))?;

    let (gate, data) = (Arc::new(Barrier::new(2)), Arc::new("a large file"));
    let (opened, captured) = (gate.clone(), data.clone());
    let busy = pool.spawn(move || _ = opened.wait());
    let queued = pool.spawn(move || captured.len());
    assert!(queued.cancel());
    let owners = Arc::strong_count(&data);
    writeln!(story, "cancelled in the queue: the data has {owners} owner left")?;
    gate.wait();
    busy.result().unwrap();

    std::panic::set_hook(Box::new(|_| ())); // the panic below is meant
    let lost: Result<i32, Error> = pool.spawn(|| panic!("no such page")).result();
    let next = pool.spawn(|| 7).result().unwrap();
    let lost = lost.unwrap_err();
    writeln!(story, "a task panics: {lost}; the next one on the same worker: {next}")?;
    Ok(story)
}

fn main() {
    let story = tell().expect("a String takes any text");
    let _ = io::stdout().write_all(story.as_bytes()); // a closed pipe is a reader that has left
}
