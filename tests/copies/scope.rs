//! Copied tasks that borrow.

use book::ch16_scope::scope;

fn main() {
    let mut words = vec!["news", "lock", "end"];
    let (front, back) = words.split_at_mut(2);
    let length = scope(2, |tasks| {
        let length = tasks.spawn(|| back.iter().map(|word| word.len()).sum::<usize>());
        let sorted = tasks.spawn(|| front.sort_unstable());
        sorted.result().and(length.result())
    });
    assert_eq!(length, Ok(3));
    assert_eq!(words, ["lock", "news", "end"]);
    println!("ok");
}
