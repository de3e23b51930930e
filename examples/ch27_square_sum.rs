//! The sum of the squares from 1 to N, one task for each number, on a pool of processes;
//! `--threads` takes threads. Look at `square_sum` in chapter 27: it does not know which.
//!
//! Run with: 1000
//!
//! Expected output:
//!
//! ```text
//! The sum of squares from 1 to 1000 is 333833500
//! ```

use concurrent_explained::ch27_square_sum::{run, tasks};
use std::process::ExitCode;

fn main() -> ExitCode {
    tasks().serve_if_worker(); // first: a worker has other arguments
    let arguments = std::env::args_os().skip(1);
    ExitCode::from(run(arguments.map(|argument| argument.to_string_lossy().into_owned())))
}
