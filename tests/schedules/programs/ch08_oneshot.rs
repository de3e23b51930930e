//! Chapter 08: the value, or the news that there will be none.

use super::ch08_oneshot::oneshot;
use crate::program::{programs, spurious};
use concurrent_explained::ch31_schedules::Limits;
use std::thread;
use std::time::Duration;

programs! {
    fn a_value_is_sent(Limits::all(), 20) {
        let (sender, receiver) = oneshot();
        let thread = thread::spawn(move || receiver.recv());
        let sent = sender.send(1).is_ok();
        assert_eq!((sent, thread.join().unwrap()), (true, Some(1)));
    }

    fn a_value_is_sent_and_the_reader_wakes_for_nothing(spurious(2), 18) {
        a_value_is_sent();
    }

    fn the_sender_is_dropped(Limits::all(), 15) {
        let (sender, receiver) = oneshot::<i32>();
        let thread = thread::spawn(move || receiver.recv());
        drop(sender);
        assert_eq!(thread.join().unwrap(), None);
    }

    fn the_receiver_is_dropped(Limits::all(), 5) {
        let (sender, receiver) = oneshot();
        let thread = thread::spawn(move || drop(receiver));
        let sent = sender.send(1);
        thread.join().unwrap();
        assert!(matches!(sent, Ok(()) | Err(1)));
        let (sender, receiver) = oneshot();
        drop(receiver);
        assert_eq!(sender.send(2), Err(2));
    }

    fn a_limit_passes_while_a_value_is_sent(Limits::all(), 44) {
        let (sender, receiver) = oneshot();
        let thread = thread::spawn(move || receiver.recv_timeout(Duration::from_secs(1)));
        sender.send(1).unwrap();
        let value = thread.join().unwrap().unwrap_or_else(|receiver| receiver.recv());
        assert_eq!(value, Some(1));
    }
}
