//! # 30 · Remote — the protocol does not care where the pipe ends
//!
//! | needs | [21](super::ch21_protocol), [22](super::ch22_worker) |
//! | --- | --- |
//! | reading time | 12 min, exercises not counted |
//! | run it | `cargo run --example ch30_remote` |
//! | files | [example](../../../../examples/ch30_remote.rs), [test](../../../../tests/ch30_remote.rs), [the story](../../../../CHAPTERS.md) |
//! | before, after | [29](../ch29_timeline/index.html), [31](../ch31_schedules/index.html) |
//!
//! ## Why
//!
//! The pool of chapter 25 starts a command and talks to its standard input and output. Nothing in
//! it asks where that command runs. `ssh host worker` is a command too, and so are the front ends
//! of clusters and containers. What they add is trouble of three kinds: words that pass through a
//! shell, greetings printed before the worker speaks, and hosts that die as a whole.
//!
//! And there are engines that already spread work over hundreds of machines. They want no pool of
//! ours, but they gladly run a program that turns lines into lines: the same worker, as a filter.
//!
//! ## Steps
//!
//! 1. `pool.command(|| Command::new("ssh")…)`: works, until an argument has a blank in it. ssh
//!    joins its words and gives them to a shell on the other side: [`quoted`].
//! 2. A command for each host, with a number of workers each: [`Hosts`].
//! 3. The other way round: an engine calls us. Bare lines in, bare lines out: [`filter`].
//!
//! ## Picture
//!
//! ```text
//!               pool (chapter 25)                  an engine
//!              /        |        \                     │ lines
//!      (1) worker 0  worker 1  worker 2                ▼
//!             │         │         │          (3) filter: 12 becomes 1 square 12
//!          local     ssh alpha  ssh alpha              │
//!         process       │         │          (2) worker loop (chapter 22)
//!                       └── one host ──┘               │
//!                                           (4) ␞1 ok 144 becomes 144
//! ```
//!
//! ## Promises
//!
//! - I1. Worker `i` is always started on the same host, so a host that dies costs what ran there;
//!   the pool gives what waits to the workers of the others.
//! - I2. A word arrives on the other side of a shell as it was, whatever it holds.
//! - I3. A filter answers line by line, in order. A line that fails leaves no line in the output;
//!   it is told on standard error, counted, and makes the exit status 1.
//! - What stands before the first message of a remote worker is skipped, and shown if none comes:
//!   chapter 25 does that for each worker that is a command of the user's.
//! - Not promised: that a filter's task may print. Its output is the filter's output.
//!
//! ## The trap
//!
//! A failure that looks like a short result. An engine that reads a filter's output sees a line
//! less and goes on, unless it checks the exit status. GNU parallel tells it in its own exit
//! status; Spark does only with `checkCode=True`. Compare the counts as well: lines in, lines out.
//!
//! ## Elsewhere
//!
//! - One machine is not enough, and the work is a list: GNU parallel, with `--sshlogin` or
//!   `--pipe`.
//! - The work is a table larger than memory: Spark, with `rdd.pipe`. A queue of a cluster: Slurm,
//!   with `srun` or an array job. Each can run this chapter's filter.
//! - Use such an engine, and not this pool, where tasks must survive the death of the parent, where
//!   data must move to the worker by other ways than a pipe, or where others share the machines.
//!
//! The commands:
//!
//! ```text
//! seq 1 1000 | parallel --pipe -N 100 worker --filter square
//! rdd.pipe("worker --filter square", env=dict(os.environ), checkCode=True)
//! hadoop jar hadoop-streaming.jar -mapper "worker --filter square" …
//! srun --ntasks=1 --nodes=1 --exact --quiet worker serve-tasks
//! kubectl exec -i pod -- worker serve-tasks     no -t: a terminal changes bytes
//! docker run -i --rm image worker serve-tasks
//! ```
//!
//! The tests run GNU parallel, and `ssh` to this machine, where they are installed. Spark is run by
//! hand: `tests/remote/spark.py`. There a bare newline ends an argument, and the environment of a
//! piped program is empty unless it is given one.
//!
//! ## Try
//!
//! 1. Predict: two hosts with two workers each, and one of them is switched off in the middle of a
//!    hundred tasks. How many tasks fail?
//! 2. Break: let `quoted` give every word as it is. Which test goes red first?
//! 3. Extend: `retry(hosts, times)`, hosts whose command for a worker is taken from the next host
//!    after so many starts of it.

// Part of concurrent-explained, MIT OR Apache-2.0.

mod filter;

pub use filter::{filter, filter_if_asked};

use std::fmt;
use std::process::Command;

/// Where the workers of a pool run: commands, each with its number of workers.
///
/// # Examples
/// ```
/// use concurrent_explained::ch30_remote::{Hosts, ssh};
/// use std::process::Command;
///
/// let hosts = Hosts::new()
///     .with(2, || Command::new("worker"))
///     .with(4, || ssh(&[], "alpha", &["/opt/my worker", "serve-tasks"]));
/// assert_eq!(hosts.workers(), 6);
/// assert_eq!(hosts.command(1).get_program(), "worker");
/// assert_eq!(hosts.command(2).get_program(), "ssh");
/// ```
#[derive(Default)]
pub struct Hosts {
    hosts: Vec<(usize, Box<dyn Fn() -> Command + Send + Sync>)>,
}

impl Hosts {
    /// No hosts yet.
    pub fn new() -> Self {
        Hosts::default()
    }

    /// Adds a host that runs `workers` workers, each started by a command of its own.
    ///
    /// # Panics
    /// If `workers` is zero.
    #[must_use]
    #[track_caller]
    pub fn with<C>(mut self, workers: usize, command: C) -> Self
    where
        C: Fn() -> Command + Send + Sync + 'static,
    {
        assert!(workers > 0, "a host needs at least one worker");
        self.hosts.push((workers, Box::new(command)));
        self
    }

    /// How many workers there are in all: what the pool is to be told.
    pub fn workers(&self) -> usize {
        self.hosts.iter().map(|(workers, _)| workers).sum()
    }

    /// (1) The command that starts the worker with this index, which counts from 0.
    ///
    /// # Panics
    /// If there is no host. An index beyond the last worker begins again at the first host.
    #[track_caller]
    pub fn command(&self, index: usize) -> Command {
        assert!(!self.hosts.is_empty(), "there is no host");
        let mut place = index % self.workers();
        for (workers, command) in &self.hosts {
            if place < *workers {
                return command(); // the same host for the same index, every time (I1)
            }
            place -= workers;
        }
        unreachable!("the place is less than the sum of all workers")
    }
}

/// `ssh`, which runs `words` on `host`. It asks no questions, and takes no terminal. `options` are
/// ssh's own.
pub fn ssh(options: &[&str], host: &str, words: &[&str]) -> Command {
    // ssh joins what follows the host with blanks and hands it to a shell: each word is quoted for
    // it (I2). A host that starts with a dash is no option.
    let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    let mut command = Command::new("ssh");
    command.args(["-T", "-o", "BatchMode=yes"]).args(options).args(["--", host, &line.join(" ")]);
    command
}

/// `srun`, which runs `words` as one step of a Slurm job. No shell is in between.
pub fn srun(words: &[&str]) -> Command {
    let mut command = Command::new("srun");
    command.args(["--ntasks=1", "--nodes=1", "--exact", "--quiet"]).args(words);
    command
}

/// `kubectl exec`, which runs `words` in `pod`: without a terminal, which would change bytes.
pub fn kubectl_exec(pod: &str, words: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(["exec", "-i", pod, "--"]).args(words);
    command
}

/// `docker run`, which runs `words` in a new container of `image` that is removed when it ends.
pub fn docker_run(image: &str, words: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(["run", "-i", "--rm", image]).args(words);
    command
}

/// `word` as a shell must read it to see that word and nothing else.
pub fn quoted(word: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    // Within single quotes a shell changes nothing. A single quote itself stands outside of them.
    format!("'{}'", word.replace('\'', r"'\''"))
}

// Plumbing

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers: Vec<_> = self.hosts.iter().map(|(workers, _)| workers).collect();
        f.debug_struct("Hosts").field("workers", &workers).finish()
    }
}
