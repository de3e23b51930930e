//! The map from CPython's own tests to ours.
//!
//! CPython, 3.13 and newer, has tests for its `concurrent.futures`, its locks and its queues. Each
//! of those cases is in the table below: a test here says in a comment that it covers the case, or
//! the table says why there is nothing to test. Cases of a mixin are named after the mixin, since
//! all its instances share them.
//!
//! See the whole map: `cargo test --test cpython -- --nocapture`.

use Verdict::{Adapt, NotApplicable, Port};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What becomes of a case here.
#[derive(Clone, Copy)]
enum Verdict {
    /// The same assertion.
    Port,
    /// The same question, asked of other types.
    Adapt,
    /// Nothing is left to test, and why.
    NotApplicable(&'static str),
}

const UNCOUNTED: Verdict =
    NotApplicable("this queue does not count what is finished, so nothing joins it");
const NEVER_NEGATIVE: Verdict = NotApplicable("a Duration is never negative");
const NO_FORK: Verdict =
    NotApplicable("a Rust program with threads does not fork: a worker process is started anew");
const NO_INTERPRETER: Verdict = NotApplicable(
    "no interpreter: the cases of the thread pool and the process pool cover the rest",
);
const NO_EVENT_LOOP: Verdict = NotApplicable("the standard library has no event loop");

/// Every case, and what becomes of it.
const CASES: &[(&str, Verdict)] = &[
    // concurrent.futures: what both pools promise
    ("ExecutorTest::test_submit", Port),
    ("ExecutorTest::test_map", Port),
    ("ExecutorTest::test_map_exception", Port),
    ("ExecutorTest::test_map_timeout", Port),
    ("ExecutorTest::test_map_timeout_from_callable", Port),
    ("ExecutorTest::test_map_buffersize", Port),
    ("ExecutorTest::test_map_buffersize_on_infinite_iterable", Port),
    ("ExecutorTest::test_map_buffersize_on_empty_iterable", Port),
    ("ExecutorTest::test_map_buffersize_when_buffer_is_full", Port),
    ("ExecutorTest::test_shutdown_race_issue12456", Port),
    ("ExecutorTest::test_no_stale_references", Adapt),
    ("ExecutorTest::test_max_workers_negative", Adapt),
    ("ExecutorTest::test_free_reference", Adapt),
    ("ExecutorTest::test_map_close", Adapt),
    ("ExecutorTest::test_map_buffersize_value_validation", Adapt),
    ("ExecutorTest::test_map_buffersize_on_multiple_iterables", Adapt),
    ("ExecutorTest::test_map_buffersize_on_multiple_infinite_iterables", Adapt),
    (
        "ExecutorTest::test_submit_keyword",
        NotApplicable("a call has no keyword arguments: a closure captures what it needs"),
    ),
    (
        "ExecutorTest::test_map_buffersize_type_validation",
        NotApplicable("the compiler knows that a window is a number"),
    ),
    (
        "ExecutorTest::test_map_buffersize_without_iterable",
        NotApplicable("the signature asks for an input"),
    ),
    ("InitializerMixin::test_initializer", Adapt),
    ("FailingInitializerMixin::test_initializer", Adapt),
    ("FailingInitializerResourcesTest::test_spawn", Adapt),
    (
        "FailingInitializerResourcesTest::test_forkserver",
        NotApplicable("there is one way to start a process: see test_spawn"),
    ),
    ("ExecutorShutdownTest::test_run_after_shutdown", Port),
    ("ExecutorShutdownTest::test_hang_issue12364", Port),
    ("ExecutorShutdownTest::test_cancel_futures", Port),
    ("ExecutorShutdownTest::test_interpreter_shutdown", Adapt),
    ("ExecutorShutdownTest::test_hang_gh83386", Adapt),
    (
        "ExecutorShutdownTest::test_submit_after_interpreter_shutdown",
        NotApplicable("nothing of ours runs after main: the standard library has no exit handlers"),
    ),
    // concurrent.futures: futures
    ("FutureTests::test_done_callback_with_result", Port),
    ("FutureTests::test_done_callback_with_exception", Port),
    ("FutureTests::test_done_callback_with_cancel", Port),
    ("FutureTests::test_done_callback_already_successful", Port),
    ("FutureTests::test_done_callback_already_failed", Port),
    ("FutureTests::test_done_callback_already_cancelled", Port),
    ("FutureTests::test_cancel", Port),
    ("FutureTests::test_cancelled", Port),
    ("FutureTests::test_done", Port),
    ("FutureTests::test_running", Port),
    ("FutureTests::test_result_with_timeout", Port),
    ("FutureTests::test_result_with_success", Port),
    ("FutureTests::test_result_with_cancel", Port),
    ("FutureTests::test_exception_with_timeout", Port),
    ("FutureTests::test_done_callback_raises", Adapt),
    ("FutureTests::test_done_callback_raises_already_succeeded", Adapt),
    ("FutureTests::test_repr", Adapt),
    ("FutureTests::test_exception_with_success", Adapt),
    ("FutureTests::test_multiple_set_result", Adapt),
    ("FutureTests::test_multiple_set_exception", Adapt),
    ("FutureTests::test_get_snapshot", Adapt),
    ("AsCompletedTests::test_no_timeout", Port),
    ("AsCompletedTests::test_future_times_out", Port),
    ("AsCompletedTests::test_duplicate_futures", Adapt),
    ("AsCompletedTests::test_free_reference_yielded_future", Adapt),
    ("AsCompletedTests::test_correct_timeout_exception_msg", Adapt),
    (
        "WaitTests::test_20369",
        NotApplicable("a future has one owner: it cannot stand in the list twice"),
    ),
    ("WaitTests::test_first_completed_some_already_completed", Port),
    ("WaitTests::test_first_exception", Port),
    ("WaitTests::test_first_exception_some_already_complete", Port),
    ("WaitTests::test_first_exception_one_already_failed", Port),
    ("WaitTests::test_all_completed", Port),
    ("WaitTests::test_timeout", Port),
    ("WaitTests::test_first_completed", Adapt),
    ("ThreadPoolWaitTests::test_pending_calls_race", Port),
    // concurrent.futures: threads
    ("ThreadPoolExecutorTest::test_map_submits_without_iteration", Port),
    ("ThreadPoolExecutorTest::test_default_workers", Port),
    ("ThreadPoolExecutorTest::test_saturation", Port),
    ("ThreadPoolExecutorTest::test_idle_thread_reuse", Port),
    ("ThreadPoolExecutorTest::test_executor_map_current_future_cancel", Port),
    ("ThreadPoolExecutorTest::test_hang_global_shutdown_lock", NO_FORK),
    ("ThreadPoolExecutorTest::test_process_fork_from_a_threadpool", NO_FORK),
    ("ThreadPoolShutdownTest::test_threads_terminate", Port),
    ("ThreadPoolShutdownTest::test_shutdown_no_wait", Port),
    ("ThreadPoolShutdownTest::test_thread_names_assigned", Port),
    ("ThreadPoolShutdownTest::test_thread_names_default", Port),
    ("ThreadPoolShutdownTest::test_context_manager_shutdown", Adapt),
    ("ThreadPoolShutdownTest::test_del_shutdown", Adapt),
    ("ThreadPoolShutdownTest::test_cancel_futures_wait_false", Adapt),
    ("InterpreterPoolExecutorTest::test_blocking_with_limited_workers", Adapt),
    ("InterpreterPoolExecutorTest::test_init_script", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_script_args", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_func", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_with___main___global", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_closure", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_instance_method", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_exception_in_script", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_init_exception_in_func", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_script", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_closure", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_local_instance", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_instance_method", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_func_globals", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_exception_in_script", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_submit_exception_in_func", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_saturation", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_idle_thread_reuse", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_no_stale_references", NO_INTERPRETER),
    ("InterpreterPoolExecutorTest::test_free_reference", NO_INTERPRETER),
    ("AsyncioTest::test_run_in_executor", NO_EVENT_LOOP),
    ("AsyncioTest::test_run_in_executor_cancel", NO_EVENT_LOOP),
    ("AsyncioTest::test_default_executor", NO_EVENT_LOOP),
    // concurrent.futures: processes
    ("ProcessPoolExecutorTest::test_killed_child", Port),
    ("ProcessPoolExecutorTest::test_map_chunksize", Port),
    ("ProcessPoolExecutorTest::test_saturation", Port),
    ("ProcessPoolExecutorTest::test_idle_process_reuse_one", Port),
    ("ProcessPoolExecutorTest::test_idle_process_reuse_multiple", Port),
    ("ProcessPoolExecutorTest::test_max_tasks_per_child", Port),
    ("ProcessPoolExecutorTest::test_max_tasks_early_shutdown", Port),
    ("ProcessPoolExecutorTest::test_traceback_when_child_process_terminates_abruptly", Port),
    ("ProcessPoolExecutorTest::test_max_tasks_per_child_pending_tasks_gh115634", Port),
    ("ProcessPoolExecutorTest::test_force_shutdown_workers_dead_workers", Port),
    ("ProcessPoolExecutorTest::test_traceback", Adapt),
    ("ProcessPoolExecutorTest::test_python_finalization_error", Adapt),
    ("ProcessPoolExecutorTest::test_shutdown_no_wait_max_tasks_gh119592", Adapt),
    ("ProcessPoolExecutorTest::test_gc_during_max_tasks_worker_exit_gh152967", Adapt),
    ("ProcessPoolExecutorTest::test_failed_worker_replacement_breaks_pool", Adapt),
    ("ProcessPoolExecutorTest::test_force_shutdown_workers", Adapt),
    (
        "ProcessPoolExecutorTest::test_max_workers_too_large",
        NotApplicable("a limit of one Windows call that nothing here makes"),
    ),
    (
        "ProcessPoolExecutorTest::test_ressources_gced_in_workers",
        NotApplicable("an argument crosses as text, and the worker drops what it made of it"),
    ),
    (
        "ProcessPoolExecutorTest::test_max_tasks_per_child_defaults_to_spawn_context",
        NotApplicable("there is one way to start a process"),
    ),
    (
        "ProcessPoolExecutorTest::test_broken_process_pool_traceback",
        NotApplicable("an error is a value that nothing appends to"),
    ),
    (
        "ProcessPoolExecutorTest::test_terminate_workers",
        NotApplicable("about internals: see test_force_shutdown_workers"),
    ),
    (
        "ProcessPoolExecutorTest::test_kill_workers",
        NotApplicable("about internals: see test_force_shutdown_workers"),
    ),
    (
        "ProcessPoolExecutorTest::test_force_shutdown_workers_invalid_op",
        NotApplicable("every way to stop is a method of its own"),
    ),
    ("ProcessPoolShutdownTest::test_processes_terminate", Port),
    ("ProcessPoolShutdownTest::test_shutdown_no_wait", Port),
    ("ProcessPoolShutdownTest::test_shutdown_gh_132969_case_1", Port),
    ("ProcessPoolShutdownTest::test_context_manager_shutdown", Adapt),
    ("ProcessPoolShutdownTest::test_del_shutdown", Adapt),
    ("ExecutorDeadlockTest::test_crash_during_func_exec_on_worker", Port),
    ("ExecutorDeadlockTest::test_error_during_func_exec_on_worker", Port),
    ("ExecutorDeadlockTest::test_shutdown_deadlock", Port),
    ("ExecutorDeadlockTest::test_crash_big_data", Port),
    ("ExecutorDeadlockTest::test_error_at_task_pickle", Adapt),
    ("ExecutorDeadlockTest::test_exit_at_task_unpickle", Adapt),
    ("ExecutorDeadlockTest::test_error_at_task_unpickle", Adapt),
    ("ExecutorDeadlockTest::test_crash_at_task_unpickle", Adapt),
    ("ExecutorDeadlockTest::test_exit_during_func_exec_on_worker", Adapt),
    ("ExecutorDeadlockTest::test_crash_during_result_pickle_on_worker", Adapt),
    ("ExecutorDeadlockTest::test_exit_during_result_pickle_on_worker", Adapt),
    ("ExecutorDeadlockTest::test_error_during_result_pickle_on_worker", Adapt),
    ("ExecutorDeadlockTest::test_error_during_result_unpickle_in_result_handler", Adapt),
    (
        "ExecutorDeadlockTest::test_exit_during_result_unpickle_in_result_handler",
        NotApplicable("a decoder that ends the process of the caller does as it says"),
    ),
    (
        "ExecutorDeadlockTest::test_shutdown_deadlock_pickle",
        NotApplicable(
            "the argument is written down inside the call: nothing is left to fail later",
        ),
    ),
    (
        "ExecutorDeadlockTest::test_gh105829_should_not_deadlock_if_wakeup_pipe_full",
        NotApplicable("a thread is woken by a condition variable, which has no capacity"),
    ),
    // threading
    ("BaseLockTests::test_constructor", Port),
    ("BaseLockTests::test_acquire_destroy", Port),
    ("BaseLockTests::test_acquire_release", Port),
    ("BaseLockTests::test_try_acquire", Port),
    ("BaseLockTests::test_try_acquire_contended", Port),
    ("BaseLockTests::test_acquire_contended", Port),
    ("BaseLockTests::test_repr", Adapt),
    ("BaseLockTests::test_locked_repr", Adapt),
    ("BaseLockTests::test_with", Adapt),
    ("BaseLockTests::test_timeout", Adapt),
    ("BaseLockTests::test_constructor_noargs", NotApplicable("the compiler counts arguments")),
    ("BaseLockTests::test_thread_leak", NotApplicable("threads are entered in no list of ours")),
    (
        "BaseLockTests::test_weakref_exists",
        NotApplicable("a Weak of the standard library works for every type"),
    ),
    (
        "BaseLockTests::test_weakref_deleted",
        NotApplicable("a Weak of the standard library works for every type"),
    ),
    ("LockTests::test_reacquire", Port),
    ("LockTests::test_different_thread", Port),
    ("LockTests::test_state_after_timeout", Port),
    ("LockTests::test_at_fork_reinit", NO_FORK),
    ("RLockTests::test_reacquire", Port),
    ("RLockTests::test_release_unacquired", Port),
    ("RLockTests::test_locked_with_2threads", Port),
    ("RLockTests::test_different_thread", Port),
    ("RLockTests::test_repr_count", Adapt),
    ("RLockTests::test_release_save_unacquired", Adapt),
    ("RLockTests::test_recursion_count", Adapt),
    ("RLockTests::test__is_owned", Adapt),
    ("EventTests::test_is_set", Port),
    ("EventTests::test_notify", Port),
    ("EventTests::test_timeout", Port),
    ("EventTests::test_set_and_clear", Port),
    ("EventTests::test_repr", Adapt),
    ("EventTests::test_at_fork_reinit", NO_FORK),
    ("ConditionTests::test_unacquired_wait", Port),
    ("ConditionTests::test_unacquired_notify", Port),
    ("ConditionTests::test_notify", Port),
    ("ConditionTests::test_timeout", Port),
    ("ConditionTests::test_waitfor", Port),
    ("ConditionTests::test_waitfor_timeout", Port),
    ("BaseSemaphoreTests::test_acquire", Port),
    ("BaseSemaphoreTests::test_acquire_destroy", Port),
    ("BaseSemaphoreTests::test_acquire_contended", Port),
    ("BaseSemaphoreTests::test_multirelease", Port),
    ("BaseSemaphoreTests::test_try_acquire", Port),
    ("BaseSemaphoreTests::test_try_acquire_contended", Port),
    ("BaseSemaphoreTests::test_acquire_timeout", Port),
    (
        "BaseSemaphoreTests::test_default_value",
        NotApplicable("the number of permits is always stated: Rust has no default arguments"),
    ),
    ("BaseSemaphoreTests::test_with", Adapt),
    (
        "BaseSemaphoreTests::test_constructor",
        NotApplicable("a number of permits is never negative"),
    ),
    ("SemaphoreTests::test_release_unacquired", Port),
    ("SemaphoreTests::test_repr", Adapt),
    ("BoundedSemaphoreTests::test_release_unacquired", Port),
    ("BoundedSemaphoreTests::test_repr", Adapt),
    ("BarrierTests::test_barrier", Port),
    ("BarrierTests::test_barrier_10", Port),
    ("BarrierTests::test_wait_return", Port),
    ("BarrierTests::test_action", Port),
    ("BarrierTests::test_abort", Port),
    ("BarrierTests::test_reset", Port),
    ("BarrierTests::test_abort_and_reset", Port),
    ("BarrierTests::test_timeout", Port),
    (
        "BarrierTests::test_default_timeout",
        NotApplicable("a limit is stated where the wait is: `wait_timeout`"),
    ),
    ("BarrierTests::test_single_thread", Port),
    ("BarrierTests::test_constructor", Adapt),
    ("BarrierTests::test_repr", Adapt),
    // queue
    ("QueueTest::test_shutdown_nonempty", Port),
    ("QueueTest::test_shutdown_immediate", Port),
    ("QueueTest::test_shutdown_allowed_transitions", Port),
    ("QueueTest::test_shutdown_all_methods_in_many_threads", Port),
    ("QueueTest::test_shutdown_immediate_all_methods_in_many_threads", Port),
    ("QueueTest::test_shutdown_get", Port),
    ("QueueTest::test_shutdown_immediate_get", Port),
    ("QueueTest::test_shutdown_put", Port),
    ("QueueTest::test_shutdown_immediate_put", Port),
    ("QueueTest::test_shutdown_pending_get", Port),
    ("QueueTest::test_basic", Adapt),
    ("QueueTest::test_nowait", Adapt),
    ("QueueTest::test_shutdown_empty", Adapt),
    ("QueueTest::test_shutdown_all_methods_in_one_thread", Adapt),
    ("QueueTest::test_shutdown_immediate_all_methods_in_one_thread", Adapt),
    ("QueueTest::test_negative_timeout_raises_exception", NEVER_NEGATIVE),
    ("QueueTest::test_shrinking_queue", NotApplicable("a capacity does not change")),
    ("QueueTest::test_queue_task_done", UNCOUNTED),
    ("QueueTest::test_queue_join", UNCOUNTED),
    ("QueueTest::test_shutdown_join", UNCOUNTED),
    ("QueueTest::test_shutdown_immediate_join", UNCOUNTED),
    ("QueueTest::test_shutdown_put_join", UNCOUNTED),
    ("QueueTest::test_shutdown_immediate_put_join", UNCOUNTED),
    ("QueueTest::test_shutdown_get_task_done_join", UNCOUNTED),
    (
        "FailingQueueTest::test_failing_queue",
        NotApplicable("nobody can put code of their own into the storage"),
    ),
    ("SimpleQueueTest::test_basic", Port),
    ("SimpleQueueTest::test_order", Port),
    ("SimpleQueueTest::test_many_threads", Port),
    ("SimpleQueueTest::test_many_threads_nonblock", Port),
    ("SimpleQueueTest::test_many_threads_timeout", Port),
    ("SimpleQueueTest::test_references", Adapt),
    ("SimpleQueueTest::test_reentrancy", Adapt),
    ("SimpleQueueTest::test_negative_timeout_raises_exception", NEVER_NEGATIVE),
    ("SimpleQueueTest::test_is_default", NotApplicable("there is one implementation")),
];

/// The tests that name a case, by the case: `ch04_event::set_frees_everyone_waiting`, or
/// `ch17_map::ends::…` for a module of a test file.
type Mentions = BTreeMap<String, Vec<String>>;

#[test]
fn every_case_of_cpython_has_a_test_or_a_reason() {
    let mut mentions = Mentions::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    // A test file may have modules of its own, in the directory of its name.
    let inside = |path| fs::read_dir(path).into_iter().flatten().flatten();
    let files = inside(directory.clone())
        .chain(inside(directory.clone()).flat_map(|file| inside(file.path())));
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    paths.sort();
    for path in paths {
        let inner = path.strip_prefix(&directory).expect("it is inside").with_extension("");
        let file = inner.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "::");
        collect(&file, &fs::read_to_string(&path).expect("a test is text"), &mut mentions);
    }
    println!("{}", map(CASES, &mentions));
    let complaints = complaints(CASES, &mentions);
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

/// Finds the cases that the comments in a file of tests name. Such a comment stands on lines of its
/// own, right above a function or inside of it.
fn collect(file: &str, source: &str, mentions: &mut Mentions) {
    let (mut function, mut comment) = ("", String::new());
    for line in source.lines() {
        if let Some(text) = line.trim_start().strip_prefix("//") {
            let is_documentation = text.starts_with(['/', '!']);
            comment += if is_documentation { "" } else { text };
            continue;
        }
        // These may stand between a comment and its function.
        if line.is_empty() || line.starts_with("#[") {
            continue;
        }
        if let Some(signature) = line.trim_start_matches("pub(crate) ").strip_prefix("fn ") {
            function = signature.split(['(', '<']).next().unwrap_or_default();
        }
        for case in cases(&comment) {
            mentions.entry(case).or_default().push(format!("{file}::{function}"));
        }
        comment.clear();
    }
}

/// The cases that a comment names behind `CPython:`. One without a class is of the class before it.
fn cases(comment: &str) -> Vec<String> {
    let (mut class, mut cases) = ("", Vec::new());
    let named = comment.split_once(" CPython:").unwrap_or_default().1;
    for word in
        named.split(|character: char| !character.is_alphanumeric() && !"_:".contains(character))
    {
        let word = word.trim_end_matches(':');
        let (its_class, case) = word.split_once("::").unwrap_or((class, word));
        if case.starts_with("test_") {
            class = its_class;
            cases.push(format!("{class}::{case}"));
        }
    }
    cases
}

/// What is wrong: a case that is forgotten, one that is unknown, and one that cannot be.
fn complaints(table: &[(&str, Verdict)], mentions: &Mentions) -> Vec<String> {
    let mut complaints = Vec::new();
    for (case, verdict) in table {
        match (verdict, mentions.get(*case)) {
            (Port | Adapt, None) => complaints.push(format!("{case}: no test names it")),
            (NotApplicable(reason), Some(tests)) => {
                let tests = tests.join(", ");
                complaints
                    .push(format!("{case}: {tests} names it, but it is not applicable: {reason}"));
            }
            _ => {}
        }
    }
    for (case, tests) in mentions {
        if !table.iter().any(|(known, _)| known == case) {
            complaints
                .push(format!("{case}: {} names it, but the table does not", tests.join(", ")));
        }
    }
    complaints
}

/// The whole table for a reader: each case, its verdict, and its tests or the reason why it has
/// none.
fn map(table: &[(&str, Verdict)], mentions: &Mentions) -> String {
    let width = table.iter().map(|(case, _)| case.len()).max().unwrap_or_default();
    let line = |(case, verdict): &(&str, Verdict)| {
        let tests = mentions.get(*case).map_or("no test".into(), |tests| tests.join(", "));
        let (verdict, answer) = match verdict {
            Port => ("port", tests),
            Adapt => ("adapt", tests),
            NotApplicable(reason) => ("n/a", (*reason).into()),
        };
        format!("{case:width$}  {verdict:5}  {answer}\n")
    };
    table.iter().map(line).collect()
}

#[test]
fn a_comment_names_cases_for_the_function_below_it_or_around_it() {
    let mut mentions = Mentions::new();
    let source = concat!(
        "//! // CPython: A::test_header\n",
        "use std::fs; // CPython: A::test_beside_code\n\n",
        "// I1. CPython: A::test_1, test_2 (half),\n// B::test__3: as far as it goes; test_4.\n\n",
        "/// Words. CPython: A::test_documentation\n#[test]\nfn below() {\n    code();\n}\n\n",
        "fn around<T>() {\n    // No case. A::test_5\n    code();\n    // CPython: A::test_1\n    more();\n}\n",
        "pub(crate) fn open() {\n    // CPython: A::test_6\n    code();\n}\n",
        "// CPython: A::test_end\n",
    );
    collect("ch00", source, &mut mentions);
    let found = mentions.iter().map(|(case, tests)| format!("{case}: {}", tests.join(" ")));
    let expected = [
        "A::test_1: ch00::below ch00::around",
        "A::test_2: ch00::below",
        "A::test_6: ch00::open",
        "B::test_4: ch00::below",
        "B::test__3: ch00::below",
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn cases_that_are_forgotten_or_unknown_or_impossible_are_reported() {
    let table =
        [("A::test_1", Port), ("A::test_2", Adapt), ("A::test_3", NotApplicable("no fork"))];
    let complaints_about = |comment: &str| {
        let mut mentions = Mentions::new();
        collect("ch00", &format!("// CPython: {comment}\nfn it() {{}}"), &mut mentions);
        complaints(&table, &mentions)
    };
    assert_eq!(complaints_about("A::test_1, test_2"), [""; 0]);
    assert_eq!(complaints_about("A::test_1"), ["A::test_2: no test names it"]);
    assert_eq!(complaints_about("A::test_2"), ["A::test_1: no test names it"]);
    let unknown = "A::test_4: ch00::it names it, but the table does not";
    assert_eq!(complaints_about("A::test_1, test_2, test_4"), [unknown]);
    let impossible = "A::test_3: ch00::it names it, but it is not applicable: no fork";
    assert_eq!(complaints_about("A::test_1, test_2, test_3"), [impossible]);
}
