//! The typed process pool of chapter 23's example, copied.

use book::ch09_outcome::Error;
use book::ch19_wire::Wire;
use book::ch22_worker::Tasks;
use book::ch23_process::{Process, Start};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

fn square(n: u64) -> u64 {
    n * n
}

fn main() {
    Tasks::new().with("square", square).serve_if_worker();
    let pool = Small::new(2, Start::this_program);
    let squares: Vec<_> = (1..=3_u64).map(|n| pool.call::<u64, u64>("square", n)).collect();
    let squares: Vec<_> = squares.iter().map(|square| square.recv().unwrap()).collect();
    assert_eq!(squares, [Ok(1), Ok(4), Ok(9)]);
    println!("ok");
}
