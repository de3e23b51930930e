//! Look at `report`: it says what is to be done and not where. `main` runs it on threads and on
//! processes, and the two reports are the same, down to the task that fails.
//!
//! Expected output:
//!
//! ```text
//! on threads and on processes alike:
//!   27 reaches one in 111 steps
//!   97 reaches one in 118 steps
//!   0: panicked: zero never reaches one
//!   of all below 1000, 871 takes the most: 178 steps
//!   of all below 20000, asked in chunks, none takes more than 278
//! threads run their tasks in this process:   yes
//! processes run their tasks in this process: no
//! a closure that captures, on threads: 8 steps, 16 steps
//! ```

use concurrent_explained::{Error, Executor, ProcessPool, Tasks, ThreadPool};
use std::io::{self, Write};

/// How many steps of "half if even, else three times and one" lead from `n` to one.
fn steps_to_one(n: u64) -> usize {
    assert!(n > 0, "zero never reaches one");
    let next = |&n: &u64| (n > 1).then(|| if n % 2 == 0 { n / 2 } else { 3 * n + 1 });
    std::iter::successors(Some(n), next).count() - 1
}

fn my_process((): ()) -> u32 {
    std::process::id()
}

/// The work, on any executor.
fn report(pool: &impl Executor) -> Result<String, Error> {
    let mut report = String::new();
    for (n, steps) in [27, 97, 0].into_iter().zip(pool.map(steps_to_one, [27, 97, 0])) {
        report += &match steps {
            Ok(steps) => format!("  {n} reaches one in {steps} steps\n"),
            Err(error) => {
                let error = error.to_string();
                let (what, _where) = error.split_once(", at ").unwrap_or((&error, ""));
                format!("  {n}: {what}\n") // a worker process tells also where it panicked
            }
        };
    }
    let (most, n) = slowest(pool.map(steps_to_one, 1..1000))?;
    report += &format!("  of all below 1000, {n} takes the most: {most} steps\n");
    let chunk = 1000; // a task for each number would cost more than the number
    let (most, _) = slowest(pool.map_chunked(chunk, steps_to_one, 1..20_000))?;
    report += &format!("  of all below 20000, asked in chunks, none takes more than {most}\n");
    Ok(report)
}

/// The most steps, and the number that takes them.
fn slowest(outcomes: impl Iterator<Item = Result<usize, Error>>) -> Result<(usize, u64), Error> {
    let steps: Vec<usize> = outcomes.collect::<Result<_, _>>()?;
    Ok(steps.into_iter().zip(1..).max().expect("there is a number"))
}

fn works_here(pool: &impl Executor) -> Result<&'static str, Error> {
    let process = pool.submit(my_process, ()).result()?;
    Ok(if process == std::process::id() { "yes" } else { "no" })
}

fn main() -> Result<(), Error> {
    std::panic::set_hook(Box::new(|_| {})); // the report tells of the panic; once is enough
    let tasks = Tasks::new().with("steps_to_one", steps_to_one).with("my_process", my_process);
    tasks.serve_if_worker();

    let threads = ThreadPool::new(2);
    let processes = ProcessPool::builder(tasks).workers(2).build();
    let (one, other) = (report(&threads)?, report(&processes)?);
    assert_eq!(one, other);
    let mut story = format!("on threads and on processes alike:\n{one}");
    for (kind, answer) in [
        ("threads run their tasks in this process:  ", works_here(&threads)?),
        ("processes run their tasks in this process:", works_here(&processes)?),
    ] {
        story += &format!("{kind} {answer}\n");
    }

    // On threads a function may capture. On processes this line does not compile.
    let unit = "steps".to_string();
    let counts: Vec<String> = threads
        .map(move |n| format!("{} {unit}", steps_to_one(n)), [6, 7])
        .collect::<Result<_, _>>()?;
    story += &format!("a closure that captures, on threads: {}\n", counts.join(", "));
    let _ = io::stdout().write_all(story.as_bytes()); // an error: nobody reads it
    Ok(())
}
