//! What the thread that reads makes possible: all of this happens while a task runs.

use std::io;
use std::thread;

use concurrent_explained::Tasks;

use crate::support::process_watchdog as watchdog;
use crate::{Sink, Spoken, channel, gate, pipe, square};

#[test]
fn i3_recall_is_answered_while_a_task_runs_and_gives_back_what_has_not_started() {
    watchdog("a recall", || {
        let (arrived, open, stand) = gate();
        let worker = Spoken::start(Tasks::new().with("stand", stand).with("square", square));
        worker.say("1 stand null\n2 square 2\n3 square 3\n");
        arrived.recv().unwrap();
        worker.say("not a request\nrecall\n");
        assert_eq!(worker.hear(), "\x1e2 err returned \"not started\"\n");
        assert_eq!(worker.hear(), "\x1e3 err returned \"not started\"\n");
        worker.say(" recall \r\n"); // nothing is there to give back
        worker.say("4 square 4\n");
        open.send(()).unwrap();
        assert_eq!(worker.answer(), "\x1e1 ok null\n");
        assert_eq!(worker.answer(), "\x1e4 ok 16\n");
        worker.end().unwrap();
    });
}

#[test]
fn i4_after_the_end_of_the_input_what_was_received_is_answered_and_still_here_is_said_meanwhile() {
    watchdog("the end of the input", || {
        let (arrived, open, stand) = gate();
        let mut worker = Spoken::start(Tasks::new().with("stand", stand).with("square", square));
        worker.say("1 stand null\n2 square 2\n");
        arrived.recv().unwrap();
        worker.requests = None;
        assert_eq!((worker.hear().trim_end(), worker.hear().trim_end()), ("\x1e", "\x1e"));
        open.send(()).unwrap();
        assert_eq!(worker.answer(), "\x1e1 ok null\n");
        assert_eq!(worker.answer(), "\x1e2 ok 4\n");
        worker.end().unwrap();
    });
}

// F3: in the first edition a request that cannot be read was answered by the thread that reads it,
// and so could a recall be: before `ready`.
#[test]
fn i7_ready_is_first_whatever_comes_before_it() {
    watchdog("a slow initializer", || {
        let (arrived, open, stand) = gate();
        let tasks = Tasks::new().with("square", square).initializer(move || {
            stand(());
            Ok(())
        });
        let (requests, input) = pipe();
        let (output, replies) = channel();
        let worker = thread::spawn(move || tasks.serve(input, Sink(output), None));
        arrived.recv().unwrap();
        requests.send(b"1 square \xff\n2 square 2\nrecall\n3 square 3\n".to_vec()).unwrap();
        drop(requests);
        // Nobody reads the input any more: all of it was seen, and the end too.
        let empty = replies.recv().unwrap();
        assert_eq!(String::from_utf8_lossy(&empty).trim_end(), "\x1e", "it says nothing");
        open.send(()).unwrap();
        let said = replies.iter().map(|line| String::from_utf8(line).unwrap());
        let said: Vec<String> = said.filter(|line| line.trim_end() != "\x1e").collect();
        assert!(said[0].starts_with("\x1eready 1 1024 {"), "{said:?}");
        assert_eq!(
            said[1..],
            ["\x1e1 err garbled \"not UTF-8\"\n", "\x1e2 ok 4\n", "\x1e3 ok 9\n"],
            "each is answered, in order: a recall may give back nothing"
        );
        worker.join().unwrap().unwrap();
    });
}

#[test]
fn an_output_that_nobody_reads_is_an_error() {
    watchdog("a broken output", || {
        let (arrived, open, stand) = gate();
        let Spoken { requests, replies, worker } = Spoken::start(Tasks::new().with("stand", stand));
        requests.as_ref().unwrap().send(b"1 stand null\n2 stand null\n".to_vec()).unwrap();
        arrived.recv().unwrap();
        drop((requests, replies));
        open.send(()).unwrap();
        assert_eq!(worker.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(arrived.try_recv().is_err(), "the second task has not started");
    });
}
