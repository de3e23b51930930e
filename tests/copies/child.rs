//! The copied smallest process pool.

use book::ch18_child::{ChildPool, serve_if_child};

fn main() {
    serve_if_child(|line| line.to_uppercase());
    let pool = ChildPool::new(2);
    let answers: Vec<_> = ["lock", "news"].iter().map(|line| pool.submit(*line)).collect();
    let answers = answers.iter().map(|answer| answer.recv().unwrap().unwrap());
    assert_eq!(answers.collect::<Vec<_>>(), ["LOCK", "NEWS"]);
    println!("ok");
}
