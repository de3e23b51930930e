//! The copied smallest thread pool.

use book::ch12_workers::Workers;

fn main() {
    let workers = Workers::new(2);
    let answers: Vec<_> = (1..=3).map(|n| workers.run(move || n * n)).collect();
    let squares: Option<Vec<i32>> = answers.into_iter().map(|answer| answer.recv()).collect();
    assert_eq!(squares, Some(vec![1, 4, 9]));
    println!("ok");
}
