//! What cannot be encoded, decoded or found.

use crate::*;

// CPython: ExecutorDeadlockTest::test_error_at_task_pickle
// CPython: ExecutorDeadlockTest::test_error_at_task_unpickle
// CPython: ExecutorDeadlockTest::test_error_during_func_exec_on_worker
// CPython: ExecutorDeadlockTest::test_error_during_result_pickle_on_worker
// CPython: ExecutorDeadlockTest::test_error_during_result_unpickle_in_result_handler
#[test]
fn what_cannot_be_encoded_decoded_or_found_fails_its_call_and_nothing_else() {
    watchdog("refused calls", || {
        let pool = pool(1).build();
        let pid = pool.submit(who, ()).result().unwrap();
        let refused = |outcome: Result<u64, Error>, why: &str| match outcome {
            Err(Error::Refused { reason }) => assert!(reason.contains(why), "{reason}"),
            other => panic!("{why}: {other:?}"),
        };
        refused(pool.submit(not_a_task, 1).result(), "not_a_task");
        refused(pool.call("no-such-task", 1_u64).result(), "no-such-task");
        refused(pool.call("two words", 1_u64).result(), "cannot be the name");
        refused(pool.call("square", "twelve".to_owned()).result(), "a whole number");
        refused(
            pool.call("bad-Running", "a text".to_owned()).result(),
            "the result of `bad-Running`",
        );
        let unsendable = pool.call::<_, u64>("square", Parcel(deed(Deed::Panic))).result();
        assert!(matches!(unsendable, Err(Error::Panicked { .. })), "{unsendable:?}");
        for task in ["bad-Decoding", "bad-Running", "bad-Replying"] {
            let outcome = pool.call::<_, String>(task, deed(Deed::Panic)).result();
            let Err(Error::Panicked { message }) = outcome else { panic!("{task}: {outcome:?}") };
            assert!(message.starts_with("as told") && message.contains("rogue.rs:"), "{message}");
        }
        assert_eq!(pool.submit(who, ()).result(), Ok(pid), "the worker lives on");
    });
}

#[test]
fn a_chunk_has_an_outcome_for_each_item_or_fails_as_a_whole() {
    watchdog("chunks", || {
        let hurried = pool(1).task_timeout(Duration::from_millis(60)).build();
        let pool = pool(1).build();
        let squares = pool.submit_chunk(square, (0..1000).collect()).result().unwrap();
        assert!(squares.into_iter().eq((0..1000).map(|n| Ok(n * n))));
        assert_eq!(pool.submit_chunk(square, Vec::new()).result(), Ok(Vec::new()));
        let deeds = |of: &[Deed]| of.iter().map(|of| deed(*of)).collect::<Vec<_>>();
        // A panic fails its item; what ends the worker fails all of them, and says which task it
        // was.
        let outcomes = pool.submit_chunk(commit, deeds(&[Deed::Panic])).result().unwrap();
        assert!(
            matches!(&outcomes[..], [Err(Error::Panicked { message })] if message.starts_with("as told"))
        );
        let died = pool.submit_chunk(commit, deeds(&[Deed::Panic, Deed::Sigkill])).result();
        let Err(Error::Died(death)) = died else { panic!("{died:?}") };
        assert_eq!((death.task.as_str(), death.status.unwrap().signal()), ("commit*", Some(9)));
        let late = hurried.submit_chunk(commit, deeds(&[Deed::Hangs])).result();
        assert!(matches!(late, Err(Error::TimedOut { .. })), "{late:?}");
        let unknown = pool.submit_chunk(not_a_task, vec![1]).result();
        assert!(matches!(unknown, Err(Error::Refused { .. })), "{unknown:?}");
        // A worker in another language need not know of chunks.
        let plain = foreign(
            r#"printf '\036ready 1 {}\n'; read id rest; printf "\036$id err unknown_task 1\n""#,
        );
        let refused = plain.build().submit_chunk(square, vec![1]).result();
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    });
}

#[test]
fn a_request_or_a_result_over_the_limit_of_the_tasks_is_refused() {
    watchdog("limits of length", || {
        let mut tasks = tasks();
        tasks.limit = Some(1000);
        let builder = ProcessPool::builder(tasks)
            .workers(1)
            .arg("worker_entry")
            .arg("--exact")
            .arg("--nocapture");
        let pool = builder.build();
        let outcome = pool.call::<_, String>("bad-Running", "x".repeat(1000)).result();
        assert!(matches!(outcome, Err(Error::Refused { .. })), "{outcome:?}");
        assert_eq!(
            pool.call::<_, String>("bad-Running", "x".repeat(900)).result(),
            Ok("x".repeat(900))
        );
        assert_eq!(pool.submit(square, 2).result(), Ok(4));
    });
}

#[test]
fn an_answer_that_is_not_utf_8_fails_its_call_and_nothing_else() {
    watchdog("bytes", || {
        let script = "printf '\\036ready 1 {}\\n'; read id rest; printf \"\\\\036$id ok \\\"\\\\377\\\"\\n\"; \
                      read id rest; printf \"\\\\036$id ok 4\\n\"; exec cat >/dev/null";
        let pool = foreign(script).build();
        let outcomes = results((0..2).map(|_| pool.call::<u64, u64>("square", 2)).collect());
        assert!(
            matches!(&outcomes[0], Err(Error::Refused { reason }) if reason.contains("UTF-8")),
            "{outcomes:?}"
        );
        assert_eq!(outcomes[1], Ok(4));
    });
}

#[test]
fn a_worker_that_gives_back_what_nobody_asked_back_is_put_to_an_end() {
    watchdog("unasked returns", || {
        let script = "printf '\\036ready 1 {}\\n'; while read id rest; do printf \"\\\\036$id err returned \\\"\\\"\\n\"; done";
        let pool = foreign(script).build();
        let Err(Error::Died(death)) = pool.call::<u64, u64>("square", 2).result() else {
            panic!("it lives")
        };
        assert!(death.cause.contains("gave back"), "{death}");
    });
}
