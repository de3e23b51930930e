//! Thirteen ways to go wrong, at eight moments: a table of what must come of each, and one loop
//! that tries them all.

use super::rogue::{self, DEEDS, Deed, MIB, MOMENTS, Moment, myself};
use crate::support::{process_until as until, process_watchdog as watchdog};
use concurrent_explained::{Error, Future, ProcessPool, Tasks};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, thread};

use Deed::*;
use Moment::*;

/// What becomes of the call that the misbehaving worker was given.
#[derive(Debug, PartialEq)]
enum Fate {
    /// None fails: no task was running, or it has its result.
    NoneFails,
    Died {
        cause: &'static str,
        status: Option<Status>,
    },
    TimedOut,
    Panicked,
    Refused,
    /// Such a thing cannot be.
    Senseless(&'static str),
}

#[derive(Debug, PartialEq)]
enum Status {
    Code(i32),
    Signal(i32),
}

fn died(status: Status) -> Fate {
    Fate::Died { cause: "it ended", status: Some(status) }
}

/// The table.
fn fate_of(deed: Deed, moment: Moment) -> Fate {
    match (deed, moment) {
        (NoHello, BeforeHello) => Fate::NoneFails,
        (NoHello, _) => Fate::Senseless("it has said hello by then"),
        (RepeatedId, BeforeHello) => {
            Fate::Senseless("it has had no request whose id it could repeat")
        }
        // It looks like any other worker at rest, until a call is given to it.
        (Hangs, Idle) => Fate::TimedOut,
        (Hangs, Argument) => Fate::TimedOut,
        // The argument was not yet complete, so the task had not begun: another worker runs it.
        (_, BeforeHello | Idle | Shutdown | Argument) => Fate::NoneFails,
        (Panic, Result) => died(Status::Code(101)),
        (Panic, _) => Fate::Panicked,
        (Exit, _) => died(Status::Code(3)),
        (Abort | Overflow, _) => died(Status::Signal(6)),
        (Sigkill, _) => died(Status::Signal(9)),
        (ClosesStdout, _) => Fate::Died { cause: "it closed its output", status: None },
        (ClosesStdin, Result) => Fate::NoneFails,
        (ClosesStdin, _) => Fate::TimedOut,
        (HalfALine, _) => died(Status::Code(0)),
        (RepeatedId, Replying) => Fate::NoneFails,
        // Half a result, then a newline: the answer is whole, and no JSON.
        (Garbage | WrongId | RepeatedId, Result) => Fate::Refused,
        (Garbage, _) => Fate::Died { cause: "\"IN\" is neither ok nor err", status: None },
        (WrongId | RepeatedId, _) => Fate::Died { cause: "which was not due", status: None },
        (Hangs, _) => Fate::TimedOut,
    }
}

/// A task of a library worker, where any code can do it; a worker by hand, where it takes the
/// protocol.
fn by_hand(deed: Deed, moment: Moment) -> bool {
    !matches!(moment, Decoding | Running | Replying)
        || matches!(deed, Garbage | HalfALine | WrongId | RepeatedId)
}

/// The deed follows an answer. By the protocol the next call, if the worker holds one, is running
/// by then, so none must.
fn after_its_answer(deed: Deed, moment: Moment) -> bool {
    matches!((deed, moment), (Garbage | WrongId | RepeatedId, Result) | (RepeatedId, Replying))
}

struct Cell {
    deed: Deed,
    moment: Moment,
    /// In the environment of its workers and of whatever they turn into.
    mark: String,
    started: Arc<AtomicUsize>,
}

impl Cell {
    fn pool(&self, workers: usize) -> ProcessPool {
        let (deed, moment, mark, started) =
            (self.deed, self.moment, self.mark.clone(), self.started.clone());
        // Only the first process misbehaves where nothing else says which one it is.
        let once = matches!(moment, BeforeHello | Idle | Shutdown | Argument);
        let command = move || {
            let number = started.fetch_add(1, Ordering::SeqCst);
            let mut command =
                myself(if by_hand(deed, moment) { "rogue_entry" } else { "worker_entry" });
            if by_hand(deed, moment) && (number == 0 || !once) {
                command.args([format!("deed:{deed:?}"), format!("moment:{moment:?}")]);
            }
            command.arg("by-hand").env("CH17_CELL", &mark);
            command
        };
        // An honest worker must make it in time on a busy machine, too; only where it matters the
        // limit is short.
        let waits_for_hello =
            matches!((deed, moment), (ClosesStdin | Hangs | NoHello, BeforeHello));
        let start_limit = Duration::from_millis(if waits_for_hello { 3000 } else { 30_000 });
        let builder = ProcessPool::builder(Tasks::new()).workers(workers).command(command);
        builder
            .start_timeout(start_limit)
            .exit_timeout(Duration::from_millis(400))
            .max_deaths(3)
            .build()
    }

    /// Tries it, and says what is wrong with what came of it.
    fn complaint(&self) -> Option<String> {
        let expected = fate_of(self.deed, self.moment);
        let after = after_its_answer(self.deed, self.moment);
        let alone = matches!(self.moment, Idle | Argument) || self.deed == RepeatedId || after;
        let pool = self.pool(if alone { 1 } else { 2 });
        let mut goods: Vec<(u64, Future<'static, u64>)> = Vec::new();
        let some_goods = |goods: &mut Vec<_>, from: u64| {
            goods.extend((from..from + 3).map(|n| (n, pool.call::<u64, u64>("good", n))));
        };
        if self.moment == Idle {
            let armed = pool.call::<u64, u64>("arm", 1);
            assert_eq!(armed.result(), Ok(1));
            let first = pool.pids();
            match self.deed {
                Hangs => {}
                ClosesStdin => until("it is the shell that closed its input", || {
                    first.iter().all(|pid| {
                        fs::read_to_string(format!("/proc/{pid}/comm"))
                            .is_ok_and(|name| name == "sleep\n")
                    })
                }),
                _ => until("its end is noticed", || pool.pids().is_empty()),
            }
        } else {
            some_goods(&mut goods, 0);
        }
        // The victim, if there is one; its limit matters only where the worker does nothing more.
        let hopeless = expected == Fate::TimedOut;
        let limit = if hopeless { Duration::from_millis(300) } else { Duration::MAX };
        let victim = match self.moment {
            BeforeHello | Shutdown => None,
            Idle if hopeless => Some(pool.call_timeout::<u64, String>(limit, "good", 77)),
            Idle => None,
            Argument => Some(pool.call_timeout(limit, "bad", "y".repeat(MIB))),
            Decoding | Running | Replying if !by_hand(self.deed, self.moment) => {
                let task = format!("bad-{:?}", self.moment);
                Some(pool.call_timeout(limit, &task, format!("{:?}", self.deed)))
            }
            _ => Some(pool.call_timeout(limit, "bad", String::new())),
        };
        // A request in a closed pipe ends the worker, too. Without one, only the limit does.
        let later = after || self.deed == ClosesStdin;
        if !later {
            some_goods(&mut goods, 10);
        }
        let outcome = victim.map(Future::result);
        if after {
            until("its end is noticed", || pool.pids().is_empty());
        }
        if later {
            some_goods(&mut goods, 10);
        }
        let mut complaints = Vec::new();
        for (n, good) in goods {
            let result = good.result();
            if result != Ok(n) {
                complaints.push(format!("an innocent call ended with {result:?}"));
            }
        }
        if !agrees(&expected, &outcome) {
            complaints.push(format!("expected {expected:?}, got {outcome:?}"));
        }
        if pool.call::<u64, u64>("good", 99).result() != Ok(99) {
            complaints.push("the pool does not go on".to_owned());
        }
        pool.shutdown();
        let replaced = matches!(expected, Fate::Died { .. } | Fate::TimedOut)
            || matches!(self.moment, Idle | Argument);
        let started = self.started.load(Ordering::SeqCst);
        if replaced && started < 2 {
            complaints.push("the worker was not replaced".to_owned());
        }
        if !pool.pids().is_empty() || !marked(&self.mark).is_empty() {
            complaints.push(format!("left behind: {:?}, {:?}", pool.pids(), marked(&self.mark)));
        }
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }
}

fn agrees(expected: &Fate, outcome: &Option<std::result::Result<String, Error>>) -> bool {
    match (expected, outcome) {
        (Fate::NoneFails, None | Some(Ok(_))) => true,
        (Fate::TimedOut, Some(Err(Error::TimedOut(overrun)))) => {
            overrun.limit == Duration::from_millis(300)
        }
        (Fate::Panicked, Some(Err(Error::Panicked { message }))) => message.starts_with("as told"),
        (Fate::Refused, Some(Err(Error::Refused { reason }))) => reason.contains("column"),
        (Fate::Died { cause, status }, Some(Err(Error::Died(death)))) => {
            let seen = death.status.map(|status: ExitStatus| match status.code() {
                Some(code) => Status::Code(code),
                None => Status::Signal(status.signal().unwrap_or(0)),
            });
            death.cause.contains(cause)
                && seen == *status
                && death.task.starts_with("bad")
                && death.pid > 0
        }
        _ => false,
    }
}

/// The living processes with this mark in their environment.
fn marked(mark: &str) -> Vec<u32> {
    let mark = format!("CH17_CELL={mark}\0");
    let has_mark = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_mark).collect()
}

// CPython: ExecutorDeadlockTest::test_crash_during_func_exec_on_worker,
// test_exit_during_func_exec_on_worker, test_exit_at_task_unpickle, test_crash_at_task_unpickle,
// test_crash_during_result_pickle_on_worker, test_exit_during_result_pickle_on_worker,
// test_crash_big_data
#[test]
fn each_deed_at_each_moment_costs_at_most_the_task_that_was_running() {
    let cells: Vec<(Deed, Moment)> =
        DEEDS.into_iter().flat_map(|deed| MOMENTS.map(|moment| (deed, moment))).collect();
    let next = AtomicUsize::new(0);
    let verdicts = std::sync::Mutex::new(vec![None; cells.len()]);
    let next_cell = || {
        let place = next.fetch_add(1, Ordering::SeqCst);
        cells.get(place).map(|&(deed, moment)| (place, deed, moment))
    };
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some((place, deed, moment)) = next_cell() {
                    if matches!(fate_of(deed, moment), Fate::Senseless(_)) {
                        continue;
                    }
                    let verdict = watchdog(&format!("{deed:?} × {moment:?}"), move || {
                        let mark = format!("{}-{place}", std::process::id());
                        Cell { deed, moment, mark, started: Arc::default() }.complaint()
                    });
                    verdicts.lock().unwrap()[place] = Some(verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap();
    let (table, tried) = table(&cells, &verdicts);
    println!("{table}");
    let complaints: Vec<String> = cells
        .iter()
        .zip(&verdicts)
        .filter_map(|((deed, moment), verdict)| {
            verdict
                .as_ref()?
                .as_ref()
                .map(|complaint| format!("{deed:?} × {moment:?}: {complaint}"))
        })
        .collect();
    assert!(complaints.is_empty(), "{} cells:\n{}", complaints.len(), complaints.join("\n"));
    assert_eq!(tried, 96);
}

/// The matrix for a person to read, and how many cells were tried.
fn table(cells: &[(Deed, Moment)], verdicts: &[Option<Option<String>>]) -> (String, usize) {
    let mut text = format!("\n{:<13}", "");
    MOMENTS.iter().for_each(|moment| text += &format!("{:<12}", format!("{moment:?}")));
    let (mut tried, mut reasons) = (0, Vec::new());
    for (&(deed, moment), verdict) in cells.iter().zip(verdicts) {
        if moment == MOMENTS[0] {
            text += &format!("\n{:<13}", format!("{deed:?}"));
        }
        tried += usize::from(verdict.is_some());
        let word = match (verdict, fate_of(deed, moment)) {
            (Some(Some(_)), _) => "WRONG",
            (_, Fate::NoneFails) => "none fails",
            (_, Fate::Died { .. }) => "Died",
            (_, Fate::TimedOut) => "TimedOut",
            (_, Fate::Panicked) => "Panicked",
            (_, Fate::Refused) => "Refused",
            (_, Fate::Senseless(reason)) => {
                reasons.push(format!("–  {deed:?} × {moment:?}: {reason}\n"));
                "–"
            }
        };
        text += &format!("{word:<12}");
    }
    text +=
        &format!("\n\n{} cells, {tried} tried, {} make no sense:\n", cells.len(), reasons.len());
    (text + &reasons.concat(), tried)
}

#[test]
fn the_rogue_by_hand_is_a_worker_if_it_is_not_told_otherwise() {
    watchdog("three answers", || {
        let command = || {
            let mut command = myself("rogue_entry");
            command.arg("by-hand");
            command
        };
        let pool = ProcessPool::builder(Tasks::new()).workers(1).command(command).build();
        let answers: Vec<_> = (0..3).map(|n| pool.call::<u64, u64>("good", n)).collect();
        assert_eq!(
            answers.into_iter().map(Future::result).collect::<Vec<_>>(),
            [Ok(0), Ok(1), Ok(2)]
        );
        assert_eq!(rogue::good(1), 1);
    });
}
