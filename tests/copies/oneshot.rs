//! The copied smallest future.

use book::ch08_oneshot::oneshot;

fn main() {
    let (sender, receiver) = oneshot();
    std::thread::spawn(move || sender.send(7));
    assert_eq!(receiver.recv(), Some(7));
    let (sender, receiver) = oneshot::<i32>();
    drop(sender);
    assert_eq!(receiver.recv(), None);
    println!("ok");
}
