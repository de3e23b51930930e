//! Two jobs that wait for each other on two threads. Look at `classic`: where does the guard of the
//! lock die? Then look at what a panic costs, and at what `drop` waits for.
//!
//! Expected output:
//!
//! ```text
//! the classic pool: 2 threads, 0 of 2 jobs met the other
//! Workers:          2 threads, 2 of 2 jobs met the other
//! one worker, 10 jobs, every third one panics: 7 have run when `drop` returns
//! the thread's owner is dropped in a job of its own: the job behind it still runs
//! no threads: workers need at least one thread
//! ```

use concurrent_explained::Workers;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// How long to wait in vain.
pub(crate) const BRIEFLY: Duration = Duration::from_millis(100);

/// Wrong: the guard lives as long as the `while let` it was made for, so it is held while the job runs.
pub(crate) fn classic(threads: usize) -> impl Fn(Job) {
    struct Pool(Option<mpsc::Sender<Job>>, Vec<JoinHandle<()>>);
    impl Drop for Pool {
        fn drop(&mut self) {
            self.0 = None;
            self.1.drain(..).for_each(|thread| thread.join().unwrap());
        }
    }
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    let worker = |_| {
        let receiver = receiver.clone();
        thread::spawn(move || {
            while let Ok(job) = receiver.lock().unwrap().recv() {
                job();
            }
        })
    };
    let pool = Pool(Some(sender), (0..threads).map(worker).collect());
    move |job| pool.0.as_ref().unwrap().send(job).unwrap()
}

pub(crate) fn ours(threads: usize) -> impl Fn(Job) {
    let workers = Workers::new(threads).unwrap();
    move |job| workers.run(job)
}

/// How many of two jobs meet: each waits until both are inside, or has no patience left.
pub(crate) fn met(run: impl Fn(Job), patience: Duration) -> usize {
    let rendezvous = Arc::new((Mutex::new(0), Condvar::new()));
    let met = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let (met, rendezvous) = (met.clone(), rendezvous.clone());
        run(Box::new(move || {
            let (inside, news) = &*rendezvous;
            let mut count = inside.lock().unwrap();
            *count += 1;
            news.notify_one();
            let (mut count, wait) =
                news.wait_timeout_while(count, patience, |inside| *inside < 2).unwrap();
            if wait.timed_out() {
                *count -= 1; // leaves as it came
            } else {
                met.fetch_add(1, SeqCst);
            }
        }));
    }
    drop(run); // joins
    met.load(SeqCst)
}

fn main() {
    println!("the classic pool: 2 threads, {} of 2 jobs met the other", met(classic(2), BRIEFLY));
    println!(
        "Workers:          2 threads, {} of 2 jobs met the other",
        met(ours(2), Duration::MAX)
    );

    std::panic::set_hook(Box::new(|_| ())); // the panics below are meant
    let ran = Arc::new(AtomicUsize::new(0));
    let workers = Workers::new(1).unwrap();
    for n in 1..=10 {
        let ran = ran.clone();
        workers.run(move || {
            assert!(n % 3 > 0);
            ran.fetch_add(1, SeqCst);
        });
    }
    drop(workers);
    println!(
        "one worker, 10 jobs, every third one panics: {} have run when `drop` returns",
        ran.load(SeqCst)
    );

    let workers = Arc::new(Workers::new(1).unwrap());
    let (tell, hear) = mpsc::channel();
    let (owner, (let_go, alone)) = (workers.clone(), mpsc::channel::<()>());
    workers.run(move || {
        let _ = alone.recv(); // until the other handle is gone
        drop(owner);
    });
    workers.run(move || tell.send("still runs").unwrap());
    drop(workers);
    drop(let_go);
    println!(
        "the thread's owner is dropped in a job of its own: the job behind it {}",
        hear.recv().unwrap()
    );

    println!("no threads: {}", Workers::new(0).unwrap_err());
}
