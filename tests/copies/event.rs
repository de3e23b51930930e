//! A copied event.

use book::ch04_event::Event;

static EVENT: Event = Event::new();

fn main() {
    let waiter = std::thread::spawn(|| EVENT.wait());
    EVENT.set();
    waiter.join().unwrap();
    assert!(EVENT.is_set());
    println!("ok");
}
