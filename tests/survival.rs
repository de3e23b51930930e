//! Chapter 25 once more: nobody is left behind, nobody is stuck at a pipe, whoever dies and
//! whenever. What is left is counted by the operating system: `/proc`.
//!
//! Each test runs in a process of its own, so that what it counts is its own. Some of those are
//! killed on the way.

#[path = "support/alone.rs"]
mod alone;
#[path = "support/door.rs"]
mod door;
mod support;

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, thread};

use alone::{
    Ended, alone, children, children_of, count, finish, heedful, is_alone, is_gone, memory_now,
    peak_memory, program,
};
use alone::{say, signal, state};
use concurrent_explained::ch19_wire::{Decoded, Reader, to_line};
use concurrent_explained::ch25_process_pool::Builder;
use concurrent_explained::{Error, Future, Overrun, ProcessPool, Tasks, Wire, as_completed};
use door::{Door, Guest, stand_at};
use support::{process_until as until, process_watchdog as watchdog};

/// How soon a worker is gone after its parent: a second is promised, and a machine that does other
/// things gets five.
const SOON: Duration = Duration::from_secs(5);
const MIB: usize = 1 << 20;

fn tasks() -> Tasks {
    let tasks = Tasks::new().with("square", square).with("echo", echo).with("stand_at", stand_at);
    let tasks = tasks
        .with("spin_at", spin_at)
        .with("shout", shout)
        .with("leave", leave)
        .with("risky", risky);
    let tasks = tasks.with("noise", noise).with("flood", flood).with("work", work);
    match env::var(SLOW_START) {
        Ok(door) => tasks.initializer(move || {
            stand_at(door.parse().unwrap());
            Ok(())
        }),
        Err(_) => tasks,
    }
}

/// The door at which a worker stands before it is ready, if there is one.
const SLOW_START: &str = "SURVIVAL_SLOW_START";

#[test]
fn worker() {
    tasks().serve_if_worker();
}

/// A pool whose workers run this program, told to run the test called `worker`.
fn builder(workers: usize) -> Builder {
    let builder = ProcessPool::builder(tasks()).workers(workers);
    alone::arguments("worker").into_iter().fold(builder, |builder, argument| builder.arg(argument))
}

fn pool(workers: usize) -> ProcessPool {
    builder(workers).build()
}

/// A pool whose workers are this shell script, which starts in a millisecond.
fn shell(workers: usize, script: &'static str) -> Builder {
    ProcessPool::builder(Tasks::new()).workers(workers).command(move || {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    })
}

/// Answers with the argument.
const ECHO: &str = "printf '\\036ready 1\\n'
    while read -r id task argument; do
        case $id in recall) ;; *) printf '\\036%s ok %s\\n' \"$id\" \"$argument\" ;; esac
    done";

fn square(n: u64) -> u64 {
    n * n
}

fn echo(text: String) -> String {
    text
}

/// Stands at a door and never rests there.
fn spin_at(door: u16) -> u32 {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", door)).unwrap();
    writeln!(stream, "{}", process::id()).unwrap();
    stream.set_nonblocking(true).unwrap();
    while stream.read(&mut [0]).is_err() {
        thread::yield_now();
    }
    process::id()
}

fn shout(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Ends its process for every number that ends in 9.
fn risky(n: u64) -> u32 {
    if n % 10 == 9 {
        process::exit(9);
    }
    process::id()
}

/// Nothing may be left when the body is over: no child, no thread, no descriptor.
fn leaves_nothing(body: impl FnOnce()) {
    let before = (count("task"), count("fd"));
    body();
    assert_eq!(children(), [], "children are left, dead or alive");
    until("the threads are gone from the list of the system", || count("task") == before.0);
    assert_eq!(count("fd"), before.1, "descriptors are left");
}

// ---- Nobody is left behind when the parent ends, whatever it and its workers are doing ----

/// What the workers are doing when their parent ends.
const STAGES: [&str; 5] = ["starting", "idle", "waiting", "spinning", "at a full pipe"];
/// How the parent ends.
const ENDS: [&str; 6] = ["SIGKILL", "Ctrl-C", "exit", "abort", "panic", "return"];

/// The parent: two workers in the stage, then the end.
#[test]
fn parent() {
    if !is_alone("parent") {
        return;
    }
    let number = |name: &str| env::var(name).unwrap().parse::<u16>().unwrap();
    let (stage, end) = (env::var("STAGE").unwrap(), env::var("END").unwrap());
    let (door, last) = (number("DOOR"), number("LAST"));
    let pool = pool(2);
    let futures: Vec<Future<'static, u32>> = match stage.as_str() {
        "starting" => (0..2).map(|n| pool.submit(risky, n)).collect(),
        "idle" => {
            let both = [pool.submit(stand_at, door), pool.submit(stand_at, door)];
            both.into_iter().for_each(|future| _ = future.result());
            Vec::new()
        }
        "waiting" => (0..9).map(|_| pool.submit(stand_at, door)).collect(),
        "spinning" => (0..9).map(|_| pool.submit(spin_at, door)).collect(),
        "at a full pipe" => {
            // The threads that read are held up in callbacks, so the workers get rid of nothing
            // more.
            for _ in 0..2 {
                pool.submit(stand_at, door).add_done_callback(move |_| _ = stand_at(door));
            }
            (0..9).for_each(|_| drop(pool.submit(shout, MIB)));
            Vec::new()
        }
        _ => unreachable!("{stage}"),
    };
    stand_at(last);
    match end.as_str() {
        "exit" => process::exit(3),
        "abort" => process::abort(),
        "panic" => panic!("the parent panics with a pool"),
        "return" => drop((pool, futures)),
        _ => _ = stand_at(last),
    }
}

fn parent_ends(stage: &'static str, end: &'static str) {
    let what = format!("the end of a parent by {end} while its workers are {stage}");
    let (door, last) = (Door::new(), Door::new());
    let program = program("parent");
    let mut command = match end {
        "Ctrl-C" => match heedful(program.get_program().as_ref()) {
            Some(command) => command,
            None => return,
        },
        _ => Command::new(program.get_program()),
    };
    command
        .args(program.get_args())
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("STAGE", stage).env("END", end).env_remove("RUST_BACKTRACE");
    command.env("DOOR", door.number().to_string()).env("LAST", last.number().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    if stage == "starting" {
        command.env(SLOW_START, door.number().to_string()); // their initializer finds it
    }
    let mut parent = command.spawn().unwrap();
    let mut guests = vec![door.guest(), door.guest()]; // one for each worker
    if ["idle", "at a full pipe"].contains(&stage) {
        guests.drain(..).for_each(Guest::pass);
    }
    if stage == "at a full pipe" {
        guests.extend([door.guest(), door.guest()]); // the callbacks
    }
    let at_the_end = last.guest();
    let workers = children_of(parent.id());
    assert_eq!(workers.len(), 2, "{what}");
    match end {
        "SIGKILL" => parent.kill().unwrap(),
        "Ctrl-C" => signal("INT", &format!("-{}", parent.id())),
        _ => at_the_end.pass(),
    }
    if ["panic", "return"].contains(&end) {
        // These wait for what runs, and a return also for what is queued.
        drop(guests);
        until(&what, || {
            let _whoever_stood_there_has_passed = !door.is_lonely();
            parent.try_wait().unwrap().is_some()
        });
        finish_as(&what, finish(&what, parent), end);
    } else {
        let ended = finish(&what, parent);
        let since = Instant::now();
        until(&what, || workers.iter().all(is_gone));
        assert!(since.elapsed() < SOON, "{what}: workers lived on for {:?}", since.elapsed());
        finish_as(&what, ended, end);
        drop(guests); // they were held at the door till now
    }
    assert!(workers.iter().all(is_gone), "{what}");
}

fn finish_as(what: &str, ended: Ended, end: &str) {
    let expected = match end {
        "SIGKILL" => (None, Some(9)),
        "Ctrl-C" => (None, Some(2)),
        "abort" => (None, Some(6)),
        "exit" => (Some(3), None),
        "panic" => (Some(101), None),
        _ => (Some(0), None),
    };
    assert_eq!(
        (ended.status.code(), ended.status.signal()),
        expected,
        "{what}: {}",
        ended.stderr()
    );
}

/// Each line is a test: the parent ends in each way while its workers are in that stage.
macro_rules! stages {
    ($($name:ident: $stage:literal,)*) => {
        $(#[test] fn $name() {
            watchdog(stringify!($name), || ENDS.iter().for_each(|end| parent_ends($stage, end)));
        })*
        #[test] fn every_stage_is_tested() {
            assert_eq!(STAGES, [$($stage),*]);
        }
    };
}

// I6
stages! {
    the_parent_ends_while_workers_start: "starting",
    the_parent_ends_while_workers_are_idle: "idle",
    the_parent_ends_while_tasks_wait: "waiting",
    the_parent_ends_while_tasks_never_rest: "spinning",
    the_parent_ends_while_results_do_not_fit_in_the_pipe: "at a full pipe",
}

#[test]
fn a_pool_dropped_in_its_own_callback_goes_in_peace() {
    alone("a_pool_dropped_in_its_own_callback_goes_in_peace", || {
        let before = (count("task"), count("fd"));
        let (door, shared) = (Door::new(), Arc::new(Mutex::new(Some(pool(2)))));
        let (future, behind) = {
            let pool = shared.lock().unwrap();
            let pool = pool.as_ref().unwrap();
            let future = pool.submit(stand_at, door.number());
            let last_owner = shared.clone();
            future.add_done_callback(move |_| {
                let pool = last_owner.lock().unwrap().take();
                drop(pool); // on a thread that it would have to wait for
            });
            (future, pool.submit(square, 3))
        };
        door.guest().pass();
        assert!(future.result().is_ok());
        assert_eq!(behind.result(), Ok(9), "what was accepted runs");
        until("the workers are gone", || children().is_empty());
        until("the threads are gone", || count("task") == before.0);
        drop(door);
        assert_eq!(count("fd"), before.1);
    });
}

#[test]
fn a_pool_dropped_at_the_end_of_main_has_done_its_work() {
    // CPython: ExecutorShutdownTest::test_interpreter_shutdown
    let name = "a_pool_dropped_at_the_end_of_main_has_done_its_work";
    if is_alone(name) {
        let pool = pool(1);
        pool.submit(noise, "apple".to_string())
            .add_done_callback(|outcome| assert!(outcome.is_ok()));
        return;
    }
    let ended = finish(name, program(name).spawn().unwrap());
    assert!(ended.status.success() && ended.stdout().contains("apple"), "{}", ended.stdout());
    assert_eq!(ended.stderr(), "");
}

#[test]
fn a_detached_pool_does_not_wait_and_does_not_hold_up_the_end() {
    // CPython: ExecutorShutdownTest::test_hang_gh83386
    let name = "a_detached_pool_does_not_wait_and_does_not_hold_up_the_end";
    if is_alone(name) {
        let pool = pool(1);
        let door = env::var("DOOR").unwrap().parse().unwrap();
        let (running, queued) = (pool.submit(stand_at, door), pool.submit(stand_at, door));
        stand_at(door);
        pool.detach();
        drop(pool); // both return although the tasks stand at the door
        println!("detached");
        drop((running, queued));
        return;
    }
    let door = Door::new();
    let mut command = program(name);
    let child = command.env("DOOR", door.number().to_string()).spawn().unwrap();
    let parent = child.id();
    let (worker, main) = watchdog("a task and its parent", move || {
        let (one, other) = (door.guest(), door.guest());
        if one.pid == parent { (other, one) } else { (one, other) }
    });
    main.pass();
    let ended = finish(name, child);
    assert!(ended.status.success() && ended.stdout().contains("detached"), "{}", ended.stderr());
    until("the worker is gone with its parent, in the middle of its task", || is_gone(&worker.pid));
}

#[test]
fn a_detached_pool_goes_on_and_then_goes() {
    alone("a_detached_pool_goes_on_and_then_goes", || {
        leaves_nothing(|| {
            let (pool, door) = (pool(1), Door::new());
            let running = pool.submit(stand_at, door.number());
            let queued = pool.submit(square, 7);
            let guest = door.guest();
            pool.detach();
            assert_eq!(pool.submit(square, 8).result(), Err(Error::ShutDown));
            drop(pool);
            assert!(running.is_running());
            guest.pass();
            assert!(running.result().is_ok());
            assert_eq!(queued.result(), Ok(49));
            until("the worker is gone", || children().is_empty());
        });
    });
}

#[test]
fn cancelled_and_detached_it_does_not_hold_up_the_end() {
    // CPython: ThreadPoolShutdownTest::test_cancel_futures_wait_false
    alone("cancelled_and_detached_it_does_not_hold_up_the_end", || {
        leaves_nothing(|| {
            let (pool, door) = (pool(1), Door::new());
            let futures: Vec<_> = (0..20).map(|_| pool.submit(stand_at, door.number())).collect();
            let guest = door.guest();
            assert_eq!(futures.iter().filter(|future| future.cancel()).count(), 19);
            pool.detach();
            drop(pool);
            guest.pass();
            until("the worker is gone", || children().is_empty());
            assert!(door.is_lonely());
        });
    });
}

// ---- Nothing leaks ----

#[test]
fn a_thousand_workers_leave_no_descriptor_no_thread_no_zombie() {
    // I5. `SURVIVAL_WORKERS` says how many, if not a thousand.
    alone("a_thousand_workers_leave_no_descriptor_no_thread_no_zombie", || {
        let workers = env::var("SURVIVAL_WORKERS").map_or(1000, |number| number.parse().unwrap());
        let before = count("fd");
        leaves_nothing(|| {
            let pool = shell(2, ECHO).max_tasks_per_worker(1).build();
            let futures: Vec<_> =
                (0..workers).map(|n: u64| pool.call::<u64, u64>("echo", n)).collect();
            for (n, future) in (0..workers).zip(futures) {
                assert_eq!(future.result(), Ok(n));
                // Three pipes for each of two workers, and as many while the next two start.
                assert!(
                    count("fd") <= before + 16,
                    "{} descriptors after {n} workers",
                    count("fd")
                );
                assert!(children().len() <= 2, "more processes than seats");
            }
        });
    });
}

#[test]
fn a_hundred_pools_leave_nothing() {
    alone("a_hundred_pools_leave_nothing", || {
        leaves_nothing(|| {
            for n in 0..100 {
                let pool = shell(2, ECHO).build();
                let future = (n % 4 > 0).then(|| pool.call::<u64, u64>("echo", n));
                match n % 3 {
                    0 => pool.shutdown(),
                    1 => drop(pool),
                    _ => pool.shutdown_now(),
                }
                let outcome = future.map(Future::result);
                assert!(
                    matches!(outcome, None | Some(Ok(_) | Err(Error::Cancelled))),
                    "{outcome:?}"
                );
            }
        });
    });
}

#[test]
fn the_dead_are_buried_before_their_error_arrives() {
    // I5
    alone("the_dead_are_buried_before_their_error_arrives", || {
        leaves_nothing(|| {
            let pool = pool(2);
            for n in 0..30 {
                match pool.submit(risky, n * 10 + 9).result() {
                    Err(Error::Died(death)) => assert_eq!(state(death.pid), None, "a zombie"),
                    other => panic!("{other:?}"),
                }
                assert!(pool.submit(risky, n * 10).result().is_ok());
            }
        });
    });
}

// CPython: FailingInitializerResourcesTest::test_spawn
#[test]
fn a_pool_whose_initializer_fails_leaves_nothing() {
    alone("a_pool_whose_initializer_fails_leaves_nothing", || {
        leaves_nothing(|| {
            let failing = || {
                let mut shell = Command::new("sh");
                shell.args(["-c", r#"printf '\0360 err failed_start "no network"\n'"#]);
                shell
            };
            let pool = ProcessPool::builder(Tasks::new()).workers(3).command(failing).build();
            let futures: Vec<_> = (0..20).map(|n| pool.call::<u32, u32>("square", n)).collect();
            for future in futures {
                let outcome = future.result();
                assert!(
                    matches!(&outcome, Err(Error::Broken { cause }) if cause.contains("no network")),
                    "{outcome:?}"
                );
            }
        });
    });
}

#[test]
fn every_way_to_end_a_pool_leaves_nothing() {
    alone("every_way_to_end_a_pool_leaves_nothing", || {
        let ends: [fn(ProcessPool); 5] = [
            |pool| pool.shutdown(),
            |pool| pool.shutdown_now(),
            |pool| pool.kill(),
            drop,
            |pool| {
                let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let _pool = pool;
                    std::panic::resume_unwind(Box::new("the user's scope ends"));
                }));
                assert!(unwound.is_err());
            },
        ];
        for end in ends {
            leaves_nothing(|| {
                let pool = pool(3);
                let futures: Vec<_> = (0..40).map(|n| pool.submit(risky, n)).collect();
                end(pool);
                for future in futures {
                    let known = |error: &Error| {
                        matches!(error, Error::Died(_) | Error::Cancelled | Error::Killed { .. })
                    };
                    let outcome = future.result();
                    assert!(outcome.as_ref().err().is_none_or(known), "{outcome:?}");
                }
            });
        }
    });
}

/// Starts a process that holds all three pipes for a long time, and tells which; or ends its own
/// process after that.
fn leave((end, file): (bool, String)) -> u32 {
    #[expect(clippy::zombie_processes, reason = "it is left behind on purpose")]
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(file, child.id().to_string()).unwrap();
    if end {
        process::exit(4);
    }
    child.id()
}

#[test]
fn a_grandchild_that_holds_the_pipes_holds_up_nobody() {
    // I5
    alone("a_grandchild_that_holds_the_pipes_holds_up_nobody", || {
        leaves_nothing(|| {
            let file = env::temp_dir().join(format!("survival-{}", process::id()));
            let path = file.to_str().unwrap();
            let grandchild = || fs::read_to_string(path).unwrap();
            let mut pipe_holders = Vec::new();

            let pool = pool(1);
            let died = pool.submit(leave, (true, path.to_string()));
            let behind = pool.submit(square, 5);
            assert!(
                matches!(died.result(), Err(Error::Died(death)) if death.status.unwrap().code() == Some(4))
            );
            pipe_holders.push(grandchild());
            assert_eq!(behind.result(), Ok(25), "another worker runs what was behind it");

            assert!(pool.submit(leave, (false, path.to_string())).result().is_ok());
            pipe_holders.push(grandchild());
            pool.shutdown();
            assert_eq!(children(), []);
            // What may still be there are the threads at the pipes. They end with the
            // grandchildren.
            assert!(pipe_holders.iter().all(|pid| state(pid.parse().unwrap()) == Some('S')));
            pipe_holders.iter().for_each(|pid| signal("KILL", pid));
            fs::remove_file(&file).unwrap();
            until("their pipes are closed", || !holds_pipes());
        });
    });
}

/// True while one of the threads at a worker's pipes is there.
fn holds_pipes() -> bool {
    let names = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names
        .into_iter()
        .any(|name| ["worker-", "stderr", "writer"].iter().any(|role| name.starts_with(role)))
}

// ---- Nobody is stuck at a pipe ----

#[test]
fn a_megabyte_each_way_from_many_threads_and_memory_stays_in_bounds() {
    // I3, I4
    alone("a_megabyte_each_way_from_many_threads_and_memory_stays_in_bounds", || {
        leaves_nothing(|| {
            let pool = pool(2);
            thread::scope(|scope| {
                for submitter in 0..8_u8 {
                    let pool = &pool;
                    scope.spawn(move || {
                        let letter = char::from(b'a' + submitter).to_string();
                        let futures: Vec<_> =
                            (0..3).map(|_| pool.submit(echo, letter.repeat(MIB))).collect();
                        for future in as_completed(futures) {
                            let text = future.result().unwrap();
                            assert!(
                                text.len() == MIB
                                    && text.starts_with(&letter)
                                    && text.ends_with(&letter)
                            );
                        }
                    });
                }
            });
            pool.shutdown();
            // 24 MiB go in, 24 come out, and each passes a buffer or two on its way.
            let peak = peak_memory(process::id());
            assert!(peak < 24 * 4 * 1024 + 32 * 1024, "{peak} KiB for 24 MiB each way");
        });
    });
}

#[test]
fn a_very_long_line_leaves_no_buffer_of_its_length_behind() {
    // I4: a buffer keeps some room from one line to the next, not all it ever had. (Up to 32 MiB,
    // malloc may keep it.)
    alone("a_very_long_line_leaves_no_buffer_of_its_length_behind", || {
        leaves_nothing(|| {
            let pool = pool(1);
            for size in [40 * MIB, 1, 1] {
                assert_eq!(pool.submit(echo, "x".repeat(size)).result().unwrap().len(), size);
            }
            for pid in [process::id(), pool.pids()[0]] {
                let now = memory_now(pid);
                assert!((1..24 * 1024).contains(&now), "{now} KiB after 40 MiB each way");
            }
        });
    });
}

#[test]
fn sixty_four_megabytes_each_way_at_once() {
    // I3
    alone("sixty_four_megabytes_each_way_at_once", || {
        leaves_nothing(|| {
            let pool =
                ProcessPool::builder(Tasks::new()).workers(2).command(mirror_command).build();
            let sizes = [64 * MIB, 64 * MIB, 1, 0xFFFF, MIB, 5 * MIB];
            let futures = sizes.map(|size| pool.call::<_, Letters>("mirror", Letters(size)));
            for (size, future) in sizes.into_iter().zip(futures) {
                assert_eq!(future.result(), Ok(Letters(size)));
            }
        });
    });
}

fn mirror_command() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(MIRROR).args(alone::arguments("mirror"));
    command
}

const MIRROR: &str = "mirror-worker";

/// A worker written without this crate, and the worst there is for a pipe: it sends each argument
/// back as its result while it is still reading it.
#[test]
fn mirror() {
    if env::args().nth(1).is_none_or(|argument| argument != MIRROR) {
        return;
    }
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    writeln!(output, "\n\u{1e}ready 1").unwrap();
    let (mut id, mut task) = (Vec::new(), Vec::new());
    while input.read_until(b' ', &mut id).unwrap() > 0 {
        input.read_until(b' ', &mut task).unwrap();
        write!(output, "\u{1e}{}ok ", String::from_utf8_lossy(&id)).unwrap();
        let is_over = |bytes: &[u8]| bytes.ends_with(b"\n");
        loop {
            let bytes = input.fill_buf().unwrap();
            let (len, over) = (bytes.len(), is_over(bytes));
            output.write_all(bytes).unwrap();
            input.consume(len);
            if over {
                break;
            }
        }
        output.flush().unwrap();
        id.clear();
    }
    process::exit(0);
}

/// A string of so many equal letters: quick to write and to read, even in a build that is not
/// optimized.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letters(usize);

impl Wire for Letters {
    fn encode(&self, out: &mut String) {
        *out += &format!("\"{}\"", "x".repeat(self.0));
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        input.word("equal letters", |word| {
            let letters = Letters(word.len().checked_sub(2)?);
            (to_line(&letters) == word).then_some(letters)
        })
    }
}

/// Says that it is ready, and reads nothing, ever.
const DEAF: &str = "printf '\\036ready 1\\n'; exec sleep 1000";

#[test]
fn a_worker_that_never_reads_is_stopped_in_every_way_a_pool_has() {
    // I3, I8
    alone("a_worker_that_never_reads_is_stopped_in_every_way_a_pool_has", || {
        let limit = Duration::from_millis(100);
        let large = || Letters(MIB);
        let deaf = || shell(1, DEAF).exit_timeout(limit); // it does not hear the end either
        leaves_nothing(|| {
            let pool = deaf().task_timeout(limit).build();
            let outcome = pool.call::<_, u64>("never", large()).result();
            assert_eq!(
                outcome,
                Err(Error::TimedOut(Box::new(Overrun { task: "never".into(), limit })))
            );
            let outcome = pool.call::<_, u64>("never", 1_u64).result();
            assert!(
                matches!(outcome, Err(Error::TimedOut { .. })),
                "the next one has no better luck"
            );
        });
        leaves_nothing(|| {
            let pool = deaf().build();
            let (stuck, behind) =
                (pool.call::<_, u64>("never", large()), pool.call::<_, u64>("never", large()));
            until("the first is given to the worker", || stuck.is_running());
            assert!(behind.cancel() && !stuck.cancel() && stuck.kill());
            // Its request is not wholly in the pipe, so it was not begun: either word is true.
            assert!(matches!(stuck.result(), Err(Error::Killed { .. } | Error::Cancelled)));
            assert_eq!(behind.result(), Err(Error::Cancelled));
        });
        leaves_nothing(|| {
            let pool = deaf().build();
            let futures = [large(), large()].map(|large| pool.call::<_, u64>("never", large));
            until("the first is given to the worker", || futures[0].is_running());
            pool.kill();
            assert!(futures.into_iter().all(|future| future.result().is_err()));
        });
    });
}

#[test]
fn a_pool_of_one_whose_reader_is_held_up_fills_its_pipe_and_goes_on() {
    // I3: the worker stands at a full pipe, the parent writes to it all the same.
    alone("a_pool_of_one_whose_reader_is_held_up_fills_its_pipe_and_goes_on", || {
        leaves_nothing(|| {
            let (pool, door) = (pool(1), Door::new());
            let first = pool.submit(shout, 1);
            let number = door.number();
            first.add_done_callback(move |_| _ = stand_at(number));
            let futures: Vec<_> =
                (0..4).map(|n| pool.submit(echo, n.to_string().repeat(MIB))).collect();
            let guest = door.guest();
            assert!(!first.is_done(), "its callback has not returned");
            guest.pass();
            for (n, future) in futures.into_iter().enumerate() {
                assert_eq!(future.result(), Ok(n.to_string().repeat(MIB)));
            }
        });
    });
}

/// Writes much to standard error; with `end`, ends its process after that.
fn flood(end: bool) {
    let line = "x".repeat(1023) + "\n";
    (0..4096).for_each(|_| io::stderr().write_all(line.as_bytes()).unwrap());
    eprintln!("these are my last words");
    if end {
        process::exit(5);
    }
}

#[test]
fn a_flood_of_errors_passes_and_leaves_the_last_words() {
    let name = "a_flood_of_errors_passes_and_leaves_the_last_words";
    if is_alone(name) {
        let pool = pool(1);
        assert_eq!(pool.submit(flood, false).result(), Ok(()));
        let Err(Error::Died(death)) = pool.submit(flood, true).result() else { panic!("it lives") };
        assert!(death.stderr.len() <= 4096 && death.stderr.ends_with("these are my last words"));
        return;
    }
    let ended = finish(name, program(name).spawn().unwrap());
    assert!(ended.status.success());
    assert_eq!(
        ended.stderr.len(),
        2 * (4 * MIB + "these are my last words\n".len()),
        "all of it is passed on"
    );
}

/// Prints, past everything that would keep lines whole.
fn noise(text: String) -> usize {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).unwrap();
    stdout.write_all(b"\xff\xfe").unwrap();
    text.len()
}

#[test]
fn what_tasks_print_arrives_and_forges_nothing() {
    let name = "what_tasks_print_arrives_and_forges_nothing";
    let forged = "no newline \u{1e}1 ok 1\n\u{1e}2 ok 2\n2 ok 3\n\u{1e}ready 2\n\u{1e}";
    let texts = [forged.to_string(), "much\n".repeat(MIB / 5), forged.repeat(100)];
    if is_alone(name) {
        let pool = pool(1);
        for text in texts {
            let len = text.len();
            assert_eq!(pool.submit(noise, text).result(), Ok(len));
        }
        return;
    }
    let ended = finish(name, program(name).spawn().unwrap());
    assert!(ended.status.success(), "{}", ended.stderr());
    let mut rest = &ended.stdout[..];
    for text in texts {
        let printed = [text.as_bytes(), b"\xff\xfe"].concat();
        let at = rest.windows(printed.len()).position(|window| window == printed);
        rest = &rest[at.expect("all of what a task printed, in one piece") + printed.len()..];
    }
}

// ---- A soak: workers die at random moments ----

/// Notes in a file that it was begun, and then does what its number says.
fn work((file, number, text): (String, u64, String)) -> (u64, u32, String) {
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(format!("{number}\n").as_bytes()).unwrap(); // one write: nobody writes into it
    match number % 256 {
        1 => panic!("{number} panics"),
        2 => process::exit(2),
        3 => process::abort(),
        4 => loop {
            thread::park(); // until the pool's limit
        },
        _ => (number, process::id(), text),
    }
}

/// As random as a soak needs.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What the soak has seen of its tasks.
#[derive(Default)]
struct Seen {
    /// By the kind of their end.
    ends: Mutex<HashMap<&'static str, u64>>,
    /// How often a callback ran for each task.
    told: Mutex<HashMap<u64, u64>>,
    /// Those that must have been begun once, and those that must not have been begun.
    begun: Mutex<HashSet<u64>>,
    unbegun: Mutex<HashSet<u64>>,
    /// Workers that have died, and workers that have answered.
    dead: Mutex<HashSet<u32>>,
    alive: Mutex<Vec<u32>>,
    answers: AtomicU64,
}

impl Seen {
    /// `stopped` says that its caller has cancelled or killed it, or tried to.
    fn end(
        &self,
        number: u64,
        text_len: usize,
        stopped: bool,
        outcome: Result<(u64, u32, String), Error>,
    ) {
        let (kind, begun) = match outcome {
            Ok((same, pid, text)) => {
                assert!(
                    same == number && text.len() == text_len && !(1..5).contains(&(number % 256))
                );
                self.alive.lock().unwrap().push(pid);
                ("results", Some(true))
            }
            Err(Error::Panicked { message }) => {
                assert!(number % 256 == 1 && message.contains(&format!("{number} panics")));
                ("panics", Some(true))
            }
            Err(Error::Died(death)) => {
                assert!(death.task == "work" && is_gone(&death.pid));
                assert!(self.dead.lock().unwrap().insert(death.pid), "one death, two errors"); // I2
                ("deaths", None)
            }
            Err(Error::TimedOut { .. }) => ("limits", None),
            Err(Error::Killed { .. }) if stopped => ("kills", None),
            Err(Error::Cancelled) if stopped => ("cancellations", Some(false)),
            Err(other) => panic!("{number}: {other}"),
        };
        self.answers.fetch_add(1, Ordering::Relaxed);
        *self.ends.lock().unwrap().entry(kind).or_default() += 1;
        match begun {
            Some(true) => assert!(self.begun.lock().unwrap().insert(number)),
            Some(false) => assert!(self.unbegun.lock().unwrap().insert(number)),
            None => {}
        }
    }
}

/// Calls, cancels and kills tasks for that long, while somebody kills their workers.
fn soak(length: Duration) {
    let seed = env::var("SURVIVAL_SEED")
        .map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
    println!("SURVIVAL_SEED={seed}"); // shown if the test fails
    let file = env::temp_dir().join(format!("survival-soak-{}", process::id()));
    fs::write(&file, "").unwrap();
    let (seen, over) = (Arc::new(Seen::default()), AtomicBool::new(false));
    let (numbers, kills) = (AtomicU64::new(0), AtomicU64::new(0));
    leaves_nothing(|| {
        let pool = builder(4).max_deaths(u32::MAX).task_timeout(Duration::from_millis(200));
        let pool = pool.max_tasks_per_worker(500).build();
        thread::scope(|scope| {
            let submitters = [1, 2].map(|submitter| {
                let (pool, seen, file, numbers) = (&pool, &seen, &file, &numbers);
                scope.spawn(move || {
                    let (mut dice, end) = (Dice((seed ^ submitter) | 1), Instant::now() + length);
                    while Instant::now() < end {
                        let mut futures = Vec::new();
                        for _ in 0..=dice.roll(64) {
                            let number = numbers.fetch_add(1, Ordering::Relaxed);
                            let len =
                                if dice.roll(16) == 0 { dice.roll(200_000) } else { dice.roll(20) }
                                    as usize;
                            let argument =
                                (file.to_str().unwrap().to_string(), number, "y".repeat(len));
                            let future = pool.submit(work, argument);
                            let told = seen.clone();
                            future.add_done_callback(move |_| {
                                *told.told.lock().unwrap().entry(number).or_default() += 1
                            });
                            let whim = dice.roll(40);
                            match whim {
                                0 => _ = future.cancel(),
                                1 => _ = future.kill(),
                                _ => {}
                            }
                            futures.push((number, len, whim < 2, future));
                        }
                        for (number, len, stopped, future) in futures {
                            let whim = dice.roll(200) == 0 && future.kill();
                            seen.end(number, len, stopped || whim, future.result());
                        }
                    }
                })
            });
            let killer = scope.spawn(|| {
                let (mut dice, mut since_start) = (Dice(seed | 1), 0);
                let mut shell = Command::new("sh");
                shell.args(["-c", "while read -r pid; do kill -KILL $pid; done"]);
                let mut shell = shell.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
                let mut victims = shell.stdin.take().unwrap();
                while !over.load(Ordering::Relaxed) {
                    let pids = pool.pids();
                    let Some(pid) = pids.get(dice.roll(pids.len().max(1) as u64) as usize) else {
                        thread::yield_now();
                        continue;
                    };
                    // Three starts in one seat that come to nothing break the pool, so most of the
                    // victims have answered.
                    let has_answered = seen.alive.lock().unwrap().contains(pid);
                    since_start = if has_answered { since_start + 1 } else { 0 };
                    if !has_answered && since_start < 8 {
                        thread::yield_now();
                        continue;
                    }
                    writeln!(victims, "{pid}").unwrap();
                    kills.fetch_add(1, Ordering::Relaxed);
                    let enough = seen.answers.load(Ordering::Relaxed) + dice.roll(40);
                    while seen.answers.load(Ordering::Relaxed) < enough
                        && !over.load(Ordering::Relaxed)
                    {
                        thread::yield_now();
                    }
                }
                drop(victims);
                shell.wait().unwrap();
            });
            let submitters = submitters.map(thread::ScopedJoinHandle::join);
            over.store(true, Ordering::Relaxed); // whatever has become of them: the killer must end
            killer.join().unwrap();
            submitters.into_iter().for_each(Result::unwrap);
        });
        pool.shutdown();
    });
    let total = numbers.load(Ordering::Relaxed);
    let log = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let mut begun: HashMap<u64, u64> = HashMap::new();
    log.lines().for_each(|line| *begun.entry(line.parse().unwrap()).or_default() += 1);
    let ends = seen.ends.lock().unwrap();
    say(&format!(
        "SOAK: {total} tasks, {} workers killed, {} tasks begun: {ends:?}",
        kills.load(Ordering::Relaxed),
        begun.len()
    ));
    // I1: each has one end, its callback ran once, no task was begun twice, and what the outcome
    // says is true.
    assert_eq!(ends.values().sum::<u64>(), total);
    let told = seen.told.lock().unwrap();
    assert!(told.len() as u64 == total && told.values().all(|times| *times == 1));
    assert!(begun.values().all(|times| *times == 1), "a task was run twice");
    assert!(seen.begun.lock().unwrap().iter().all(|number| begun.contains_key(number)));
    assert!(seen.unbegun.lock().unwrap().iter().all(|number| !begun.contains_key(number)));
    assert!(kills.load(Ordering::Relaxed) > 0 && ends["results"] > total / 2);
}

const SOAK: &str = "each_task_ends_once_while_workers_die";

#[test]
fn each_task_ends_once_while_workers_die() {
    let length = env::var("SURVIVAL_MILLIS").map_or(1500, |millis| millis.parse().unwrap());
    alone(SOAK, move || soak(Duration::from_millis(length)));
}

/// `cargo test --test survival -- --ignored --nocapture`; `SURVIVAL_SECONDS` says how long, if not
/// ten.
#[test]
#[ignore = "a soak of ten seconds; the test above is its short form"]
fn each_task_ends_once_while_workers_die_for_long() {
    let seconds = env::var("SURVIVAL_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let left = (end - Instant::now()).min(Duration::from_secs(10)).as_millis();
        let ended =
            finish(SOAK, program(SOAK).env("SURVIVAL_MILLIS", left.to_string()).spawn().unwrap());
        assert!(ended.status.success(), "{}\n{}", ended.stdout(), ended.stderr());
        alone::say_loud(&ended);
    }
}

// ---- Workers in other languages ----

fn foreign(interpreter: &'static str, file: &'static str) {
    if Command::new(interpreter).arg("-c").arg("").stdin(Stdio::null()).output().is_err() {
        return say(&format!("SKIPPED: there is no `{interpreter}` here to run {file}"));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workers").join(file);
    leaves_nothing(|| {
        let make = move || {
            let mut command = Command::new(interpreter);
            command.arg(&file);
            command
        };
        let pool = ProcessPool::builder(Tasks::new().with("square", square))
            .workers(2)
            .command(make)
            .build();
        let futures: Vec<_> = (0..300).map(|n| pool.submit(square, n)).collect();
        for (n, future) in (0..).zip(futures) {
            assert_eq!(future.result(), Ok(n * n), "{interpreter}");
        }
        let strange = pool.call::<_, u64>("square", "twelve".to_string()).result();
        assert!(
            matches!(strange, Err(Error::Refused { .. } | Error::Panicked { .. })),
            "{interpreter}: {strange:?}"
        );
        let unknown = pool.call::<u64, u64>("cube", 3).result();
        assert!(matches!(unknown, Err(Error::Refused { .. })), "{interpreter}: {unknown:?}");
        assert_eq!(pool.submit(square, 20).result(), Ok(400), "{interpreter} lives on");
        for pid in pool.pids() {
            signal("KILL", &pid.to_string());
        }
        // Each of the two may have been killed with a call in its hands.
        let mut outcomes = (0..3).map(|_| pool.submit(square, 21).result());
        assert!(outcomes.any(|outcome| outcome == Ok(441)), "{interpreter}: others follow");
    });
}

#[test]
fn a_worker_in_shell() {
    alone("a_worker_in_shell", || foreign("sh", "square.sh"));
}

#[test]
fn a_worker_in_python() {
    alone("a_worker_in_python", || foreign("python3", "square.py"));
}

#[test]
fn a_worker_in_node() {
    alone("a_worker_in_node", || foreign("node", "square.mjs"));
}
