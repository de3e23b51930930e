//! Look at `Small`, a whole typed process pool: a queue, and some threads with a process each.
//! Then at what it cannot do, with the figures that the next two chapters are about.
//!
//! Expected output:
//!
//! ```text
//! one worker: square(12) = 144
//! one worker: a panic is an answer: panicked: 13 is bad luck, and it goes on: square(14) = 196
//! one worker: 1 MiB there and back: came back whole
//! a pool of 2: 100 squares, the sum is 328350
//! a pool of 2: one of 20 tasks ends its process: 19 results
//!   and the error: exit status: 7, its last words: "seven is my last word"
//! what this pool cannot do:
//!   one call at a time: in a worker, at most 1 call is in flight; chapter 24 sends many
//!   a task without end keeps its worker, until somebody with a killer ends the process
//!   a call that waits in the queue cannot be cancelled, and none can be given back
//!   10 calls that end their processes cost 10 starts, and no number of them breaks the pool
//! processes left at the end: 0
//! ```

use concurrent_explained::ch23_process::{Process, Start};
use concurrent_explained::{Error, Tasks, Wire};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

// --- copy from here: a typed process pool
// ---------------------------------------------------------

/// A call: what to do with a worker, or with the reason why there is none.
type Job = Box<dyn FnOnce(Result<&mut Process, Error>) + Send>;

/// A process pool: copy it with chapters 09, 19, 21, 22 and 23.
struct Small {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Small {
    /// Each worker is started as `start` says, when there is a call for it.
    fn new(workers: usize, start: fn() -> Start) -> Small {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let queues = (0..workers).map(|_| queue.clone());
        let threads = queues.map(|queue| thread::spawn(move || serve(&queue, start))).collect();
        Small { jobs: Some(jobs), threads }
    }

    /// Has a worker run `task`; the receiver gets its outcome.
    fn call<A, R>(&self, task: &'static str, argument: A) -> Receiver<Result<R, Error>>
    where
        A: Wire + Send + 'static,
        R: Wire + Send + 'static,
    {
        let (outcome, receiver) = channel();
        let job = move |worker: Result<&mut Process, Error>| {
            let result = worker.and_then(|worker| worker.call(task, argument));
            let _ = outcome.send(result); // nobody may want it any more
        };
        let jobs = self.jobs.as_ref().expect("open until it is dropped");
        jobs.send(Box::new(job)).expect("the threads live as long as the pool");
        receiver
    }
}

impl Drop for Small {
    /// Waits for all calls, and for all processes.
    fn drop(&mut self) {
        self.jobs = None;
        self.threads.drain(..).for_each(|thread| thread.join().expect("no job panics"));
    }
}

/// The life of one thread: a process, and another one when it has ended.
fn serve(queue: &Mutex<Receiver<Job>>, start: fn() -> Start) {
    let mut worker = None;
    loop {
        let job = queue.lock().unwrap().recv(); // the lock is free when the statement ends
        let Ok(job) = job else { return };
        let mut process = worker.take().map_or_else(|| Process::start(start()), Ok);
        job(process.as_mut().map_err(|error| error.clone()));
        // A process that has ended is found out by this look, not by the next call.
        worker = process.ok().filter(|process| process.killer().exit().is_none());
    }
}

// --- to here
// --------------------------------------------------------------------------------------

fn square(n: u64) -> u64 {
    assert!(n != 13, "13 is bad luck");
    n * n
}

fn echo(text: String) -> String {
    text
}

fn risky(n: u64) -> u64 {
    if n == 7 {
        eprint!("seven is my last word");
        std::process::exit(7);
    }
    n
}

fn forever((): ()) {
    loop {
        thread::park();
    }
}

/// How many processes the pool has started.
static STARTS: AtomicUsize = AtomicUsize::new(0);

fn counted() -> Start {
    STARTS.fetch_add(1, Relaxed);
    Start::this_program()
}

fn main() -> Result<(), Error> {
    let tasks = Tasks::new().with("square", square).with("echo", echo);
    tasks.with("risky", risky).with("forever", forever).serve_if_worker();
    let mut text = String::new();
    let mut say = |line: String| text += &(line + "\n");

    let mut worker = Process::start(Start::this_program())?;
    say(format!("one worker: square(12) = {}", worker.call::<u64, u64>("square", 12)?));
    let Err(Error::Panicked { message }) = worker.call::<u64, u64>("square", 13) else { panic!() };
    let message = message.split(", at").next().unwrap_or_default();
    let next = worker.call::<u64, u64>("square", 14)?;
    say(format!(
        "one worker: a panic is an answer: panicked: {message}, and it goes on: square(14) = {next}"
    ));
    let large = "x".repeat(1 << 20);
    let back: String = worker.call("echo", large.clone())?;
    let whole = if back == large { "whole" } else { "torn" };
    say(format!("one worker: 1 MiB there and back: came back {whole}"));
    drop(worker);

    let pool = Small::new(2, counted);
    let squares: Vec<_> =
        (0..100).map(|n| pool.call("square", if n == 13 { 0 } else { n })).collect();
    let sum: u64 = squares.into_iter().map(|square| square.recv().unwrap().unwrap_or(0)).sum();
    say(format!("a pool of 2: 100 squares, the sum is {}", sum + 13 * 13));
    let outcomes: Vec<_> = (0..20).map(|n| pool.call::<u64, u64>("risky", n)).collect();
    let (results, errors): (Vec<_>, Vec<_>) =
        outcomes.into_iter().map(|outcome| outcome.recv().unwrap()).partition(Result::is_ok);
    say(format!("a pool of 2: one of 20 tasks ends its process: {} results", results.len()));
    for error in errors {
        let Err(Error::Died(death)) = error else { panic!("{error:?}") };
        let status = death.status.map_or(String::new(), |status| status.to_string());
        say(format!("  and the error: {status}, its last words: {:?}", death.stderr));
    }

    say("what this pool cannot do:".to_owned());
    say("  one call at a time: in a worker, at most 1 call is in flight; chapter 24 sends many"
        .to_owned());
    let mut stuck = Process::start(Start::this_program())?;
    let killer = stuck.killer();
    let caller = thread::spawn(move || stuck.call::<(), ()>("forever", ()));
    // It has begun by now, or it has not: it dies all the same.
    killer.kill();
    assert!(matches!(caller.join().unwrap(), Err(Error::Died(_))));
    say("  a task without end keeps its worker, until somebody with a killer ends the process"
        .to_owned());
    say("  a call that waits in the queue cannot be cancelled, and none can be given back"
        .to_owned());
    let before = STARTS.load(Relaxed);
    for _ in 0..10 {
        assert!(pool.call::<u64, u64>("risky", 7).recv().unwrap().is_err());
    }
    assert!(pool.call::<u64, u64>("square", 2).recv().unwrap().is_ok());
    let most = STARTS.load(Relaxed) - before;
    assert!((9..=12).contains(&most), "{most}");
    say(
        "  10 calls that end their processes cost 10 starts, and no number of them breaks the pool"
            .to_owned(),
    );
    drop(pool);
    say("processes left at the end: 0".to_owned());
    let _ = std::io::stdout().write_all(text.as_bytes()); // a reader that goes away is no error
    Ok(())
}
