//! Nobody is left behind when the parent ends, whatever it and its workers are doing.

use super::*;

/// What the workers are doing when their parent ends.
pub(crate) const STAGES: [&str; 5] = ["starting", "idle", "waiting", "spinning", "at a full pipe"];
/// How the parent ends.
pub(crate) const ENDS: [&str; 6] = ["SIGKILL", "Ctrl-C", "exit", "abort", "panic", "return"];

/// The parent: two workers in the stage, then the end.
#[test]
fn parent() {
    if !is_alone("parents::parent") {
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

pub(crate) fn parent_ends(stage: &'static str, end: &'static str) {
    let what = format!("the end of a parent by {end} while its workers are {stage}");
    let (door, last) = (Door::new(), Door::new());
    let program = program("parents::parent");
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

pub(crate) fn finish_as(what: &str, ended: Ended, end: &str) {
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
    alone("parents::a_pool_dropped_in_its_own_callback_goes_in_peace", || {
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
    let name = "parents::a_pool_dropped_at_the_end_of_main_has_done_its_work";
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
    let name = "parents::a_detached_pool_does_not_wait_and_does_not_hold_up_the_end";
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
    alone("parents::a_detached_pool_goes_on_and_then_goes", || {
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
    alone("parents::cancelled_and_detached_it_does_not_hold_up_the_end", || {
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
