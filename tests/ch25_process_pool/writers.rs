//! What else comes down the pipes of a worker: other writers, the harness of a test program, and
//! what an error says of a call that may not have begun.

use crate::alone::{self, alone, finish, is_alone, program};
use crate::*;
use std::io::Read;
use std::process::Stdio;

/// Lets a program print into the long answer of this task.
#[allow(clippy::zombie_processes, reason = "it goes on after its task, on purpose")]
pub(crate) fn scribble(times: usize) -> String {
    let noise =
        format!("echo >&2; i=0; while [ $i -lt {times} ]; do printf '50 %%'; i=$((i+1)); done");
    let mut program = Command::new("sh");
    program.args(["-c", &noise]).stdin(Stdio::null()).stderr(Stdio::piped());
    let program = program.spawn().unwrap();
    program.stderr.unwrap().read_exact(&mut [0]).unwrap(); // it has begun, and goes on
    "x".repeat(600_000)
}

macro_rules! name {
    ($name:literal) => {
        concat!("ch25_process_pool::writers::", $name)
    };
}

// F9, with a real program: whether it gets in is chance. What comes is the right text or an error.
#[test]
fn f9_what_another_writer_puts_into_a_long_result_is_never_a_wrong_result() {
    alone(name!("f9_what_another_writer_puts_into_a_long_result_is_never_a_wrong_result"), || {
        let (pool, right, mut damaged) = (pool(1).build(), "x".repeat(600_000), 0);
        for _ in 0..10 {
            match pool.submit(scribble, 20_000).result() {
                Ok(text) => assert!(text == right, "a wrong result of {} bytes", text.len()),
                Err(Error::Refused { reason }) => {
                    assert!(reason.contains("something else writes"), "{reason}");
                    damaged += 1;
                }
                Err(error) => panic!("{error}"),
            }
            assert_eq!(pool.submit(square, 3).result(), Ok(9), "the next call is not concerned");
        }
        alone::say(&format!("SOAK: {damaged} of 10 results damaged"));
    });
}

// F9, without chance: a worker whose long answer has four bytes of another writer in the middle.
#[test]
fn f9_an_intruder_in_a_long_result_fails_that_call_and_no_other() {
    let script = r#"printf '\036ready 1\n'; while read -r id task n; do
        case $n in
            1) printf '\036%s ok #5002 "%02500d50 %%%02500d"\n' $id 0 0 ;;
            *) printf '\036%s ok #5002 "%05000d"\n' $id 0 ;;
        esac; done"#;
    watchdog("an intruder", move || {
        let pool = foreign(script).build();
        let outcomes: Vec<Result<String, _>> =
            (0..3).map(|n: u64| pool.call("length", n).result()).collect();
        assert_eq!(outcomes[0], Ok("0".repeat(5000)));
        assert_eq!(outcomes[2], Ok("0".repeat(5000)));
        let Err(Error::Refused { reason }) = &outcomes[1] else { panic!("{:?}", outcomes[1]) };
        assert!(reason.contains("a message of 5002 bytes came as 5006"), "{reason}");
        assert!(reason.contains("something else writes to the worker's standard output"));
    });
}

// F14: the report of a test program with a pool is its own, and no line of its workers' harnesses.
#[test]
fn f14_a_pool_in_a_test_leaves_no_running_1_test_of_its_workers() {
    const NAME: &str = name!("f14_a_pool_in_a_test_leaves_no_running_1_test_of_its_workers");
    if is_alone(NAME) {
        return watchdog(NAME, || {
            let pool = ProcessPool::builder(tasks()).workers(2).in_tests("worker_entry").build();
            pool.call::<_, ()>("print", "a line of a task\n".to_owned()).result().unwrap();
            let calls: Vec<_> = (0..20).map(|n| pool.submit(square, n)).collect();
            assert!(results(calls).iter().all(Result::is_ok));
        });
    }
    let ended = finish(NAME, program(NAME).spawn().unwrap());
    assert!(ended.status.success(), "{}", ended.stderr());
    assert_eq!(ended.stdout().matches("running 1 test").count(), 1, "{}", ended.stdout());
    assert_eq!(ended.stdout().matches("a line of a task\n").count(), 1, "{}", ended.stdout());
}

// F19: a call that is sent may not have entered its function, so it is not said to have run.
#[test]
fn f19_a_death_is_told_as_far_as_it_is_known() {
    watchdog("a worker that dies before it runs anything", || {
        // It has read the request, and nothing of the task has run.
        let script = r"printf '\036ready 1\n'; read -r line; exit 3";
        let Err(error) = foreign(script).build().call::<u64, u64>("square", 1).result() else {
            panic!("it lives")
        };
        let said = error.to_string();
        assert!(!said.contains("running"), "{said}");
        assert!(said.contains("died before it answered `square`"), "{said}");
    });
}
