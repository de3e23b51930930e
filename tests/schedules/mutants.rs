//! Mutants: a chapter with one thought changed, compiled over the explorer, and its programs run.
//!
//! What no test can see may as well not be there. So each change must be caught by a schedule, or
//! the reason stands beside it why none can catch it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Mutant {
    /// What is wrong now.
    what: &'static str,
    /// The file in `src`.
    file: &'static str,
    /// Each text occurs there once, and is replaced.
    changes: &'static [(&'static str, &'static str)],
    /// The programs that are run: of this chapter.
    programs: &'static str,
    /// Why no schedule catches it.
    survives: Option<&'static str>,
}

/// The chapters that the programs of a chapter need.
fn needs(programs: &str) -> &'static [&'static str] {
    match programs {
        "ch01_lock" => &["ch01_lock"],
        "ch02_rlock" => &["ch01_lock", "ch02_rlock"],
        "ch03_condition" => &["ch01_lock", "ch02_rlock", "ch03_condition"],
        "ch04_event" => &["ch04_event"],
        "ch05_semaphore" => &["ch05_semaphore"],
        "ch06_barrier" => &["ch06_barrier"],
        "ch07_queue" => &["ch07_queue"],
        "ch08_oneshot" => &["ch08_oneshot"],
        "ch10_future" => &["ch09_outcome", "ch10_future"],
        "ch11_wait" => &["ch07_queue", "ch09_outcome", "ch10_future", "ch11_wait"],
        "ch12_workers" => &["ch08_oneshot", "ch12_workers"],
        "ch13_task" => &["ch09_outcome", "ch10_future", "ch13_task"],
        "ch14_backlog" => &["ch14_backlog"],
        "ch15_thread_pool" => &[
            "ch04_event",
            "ch09_outcome",
            "ch10_future",
            "ch13_task",
            "ch14_backlog",
            "ch15_thread_pool",
        ],
        "ch16_scope" => &["ch09_outcome", "ch10_future", "ch13_task", "ch14_backlog", "ch16_scope"],
        "ch17_map" => &["ch08_oneshot", "ch09_outcome", "ch10_future", "ch12_workers", "ch17_map"],
        other => panic!("what do the programs of {other} need?"),
    }
}

macro_rules! mutants {
    ($($what:literal in $file:literal by $programs:literal $(survives $why:literal)? {
        $($from:literal => $to:literal)*
    })*) => {
        &[$(Mutant {
            what: $what,
            file: $file,
            changes: &[$(($from, $to)),*],
            programs: $programs,
            survives: mutants!(@ $($why)?),
        }),*]
    };
    (@) => { None };
    (@ $why:literal) => { Some($why) };
}

/// Part I and the smallest future.
const WAITING: &[Mutant] = mutants! {
    "try_2: `if` for `while` in `lock_until`" in "ch01_lock.rs" by "ch01_lock" {
        "while state.hold != Hold::Free {" => "if state.hold != Hold::Free {"
    }
    "the last waiter is not notified" in "ch01_lock.rs" by "ch01_lock" {
        "let notifies = state.waiting > 0 &&" => "let notifies = state.waiting > 1 &&"
    }
    "waiters are not counted" in "ch01_lock.rs" by "ch01_lock" {
        "            state.waiting += 1;\n" => ""
        "            state.waiting -= 1; // by" => "            // by"
    }
    "a woken thread does not say that it has looked" in "ch01_lock.rs" by "ch01_lock" {
        "            state.woken = false; // if" => "            // if"
    }
    "the clock is asked before the lock" in "ch01_lock.rs" by "ch01_lock" {
        "            state.waiting -= 1; // by"
            => "            state.waiting -= 1;\n            state.woken = false;\n            if time_left(deadline).is_zero() {\n                return None;\n            }\n            // by"
    }
    "notified before the mutex is released" in "ch01_lock.rs" by "ch01_lock"
        survives "nothing is wrong: the woken thread waits for the mutex, which costs time only" {
        "        drop(state); // before the notification: the woken thread needs the mutex first of all\n" => ""
    }
    "try_2: any thread is the owner" in "ch02_rlock.rs" by "ch02_rlock" {
        "hold.as_mut().filter(|hold| hold.owner == thread::current().id())" => "hold.as_mut()"
    }
    "the lock is free before the hold has ended" in "ch02_rlock.rs" by "ch02_rlock" {
        "        let ended = hold.take();\n        drop(hold);\n"
            => "        drop(hold);\n        self.lock.unlock().unwrap();\n        let ended = self.hold.lock().unwrap().take();\n"
        "        self.lock.unlock().expect(\"taken by `enter`, and its guard forgotten\"); // (4)\n" => ""
    }
    "try_2: queued after the lock is released" in "ch03_condition.rs" by "ch03_condition" {
        "        self.queue.lock().unwrap().push_back(waiter); // (1)\n" => ""
        "            let mut queue = self.queue.lock().unwrap();\n            // Am I"
            => "            let mut queue = self.queue.lock().unwrap();\n            queue.push_back(waiter);\n            // Am I"
    }
    "a waiter whose limit has passed stays in the queue" in "ch03_condition.rs" by "ch03_condition" {
        "queue.remove(place); // (5)" => "let _ = place;"
    }
    "a wait ends by a wake-up for nothing" in "ch03_condition.rs" by "ch03_condition" {
        "while let Some(place) = queue.iter()" => "if let Some(place) = queue.iter()"
    }
    "try_2: waits for the flag" in "ch04_event.rs" by "ch04_event" {
        "while state.generation == came_in {" => "let _ = came_in;\n        while !state.set {"
    }
    "a set wakes one" in "ch04_event.rs" by "ch04_event" {
        "self.was_set.notify_all(); // (1)" => "self.was_set.notify_one(); // (1)"
    }
    "a waiter whose limit has passed stays counted" in "ch04_event.rs" by "ch04_event" {
        "state.waiting -= 1; // under" => "// under"
    }
    "try_2: a waiter that gives up lets nobody pass" in "ch05_semaphore.rs" by "ch05_semaphore" {
        "self.admit(state); // (3)" => "drop(state); // (3)"
    }
    "a permit comes back and nobody is told" in "ch05_semaphore.rs" by "ch05_semaphore" {
        "state.available += self.count; // (I1)\n        self.semaphore.admit(state);"
            => "state.available += self.count; // (I1)"
    }
    "a release lets one go and not all that can" in "ch05_semaphore.rs" by "ch05_semaphore" {
        "        while state.queue.front()" => "        if state.queue.front()"
    }
    "a newcomer passes the line" in "ch05_semaphore.rs" by "ch05_semaphore"
        survives "unfair and never wrong: a program of bounded length starves nobody" {
        "if !self.queue.is_empty() || count > self.available {" => "if count > self.available {"
    }
    "the round is taken after the state is released" in "ch06_barrier.rs" by "ch06_barrier" {
        "            let round = Arc::clone(&state.round);\n            drop(state);"
            => "            drop(state);\n            let round = Arc::clone(&self.state.lock().unwrap().round);"
    }
    "try_2: a round passes before its action" in "ch06_barrier.rs" by "ch06_barrier" {
        "        let action = AssertUnwindSafe(|| {" => "        round.end(Ok(()));\n        let action = AssertUnwindSafe(|| {"
    }
    "a round ends for one" in "ch06_barrier.rs" by "ch06_barrier" {
        "self.ended.notify_all();" => "self.ended.notify_one();"
    }
    "a limit overrules the outcome" in "ch06_barrier.rs" by "ch06_barrier" {
        "            return earlier;\n" => "            let _ = earlier;\n"
    }
    "try_2: a push notifies only if the queue was empty" in "ch07_queue.rs" by "ch07_queue" {
        "let notifies = state.items.len() <= state.poppers;" => "let notifies = state.items.len() == 1;"
    }
    "`<` for `<=`" in "ch07_queue.rs" by "ch07_queue" {
        "let notifies = state.items.len() <= state.poppers;" => "let notifies = state.items.len() < state.poppers;"
    }
    "pushers do not hear of a close" in "ch07_queue.rs" by "ch07_queue" {
        "        self.not_empty.notify_all();\n        self.not_full.notify_all();\n"
            => "        self.not_empty.notify_all();\n"
    }
    "`if` for `while` in `wait_for_item`" in "ch07_queue.rs" by "ch07_queue" {
        "while must_wait(&state) && !time_left(deadline).is_zero() {\n            state = self.not_empty"
            => "if must_wait(&state) && !time_left(deadline).is_zero() {\n            state = self.not_empty"
    }
    "try_2: an end goes without a word" in "ch08_oneshot.rs" by "ch08_oneshot" {
        "self.0.filling.lock().unwrap().get_or_insert(None);" => "drop(self.0.filling.lock().unwrap());"
    }
    "`if` for `while` in `recv_timeout`" in "ch08_oneshot.rs" by "ch08_oneshot" {
        "while filling.is_none() {" => "if filling.is_none() {"
    }
    "a reader that is gone is not asked for" in "ch08_oneshot.rs" by "ch08_oneshot" {
        "Arc::strong_count(&self.0) == 1" => "Arc::strong_count(&self.0) == 0"
    }
    "nobody is notified" in "ch08_oneshot.rs" by "ch08_oneshot" {
        "        self.0.filled.notify_one();" => "        //"
    }
};

/// Futures and threads.
const WORKING: &[Mutant] = mutants! {
    "a callback is added by a look and a push" in "ch10_future/slot.rs" by "ch10_future" {
        "        let mut state = self.lock();\n        state.listeners.get_or_insert_default().0.push(callback);\n"
            => "        let is_done = self.lock().is_done;\n        let mut state = self.lock();\n        state.listeners.get_or_insert_default().0.push(callback);\n        if !is_done {\n            return;\n        }\n"
    }
    "a single sleeper is not notified" in "ch10_future/slot.rs" by "ch10_future" {
        "if sleepers > 0 {" => "if sleepers > 1 {"
    }
    "try_2: an outcome is readable before its callbacks have run" in "ch10_future/slot.rs" by "ch10_future" {
        "            state.seen = true;\n" => "            state.seen = true;\n            state.is_done = true;\n"
    }
    "F1 (a): idle after the first callbacks" in "ch10_future/slot.rs" by "ch15_thread_pool" {
        "        while let Some(callbacks) = state.take_callbacks() {\n"
            => "        let mut told = false;\n        while let Some(callbacks) = state.take_callbacks() {\n"
        "            state = self.lock();\n        }\n        state.is_done = true;"
            => "            state = self.lock();\n            if !told {\n                last();\n                told = true;\n            }\n        }\n        state.is_done = true;"
        "        last(); // (I7)\n" => "        if !told {\n            last();\n        }\n"
    }
    "F1 (b): idle before the drop of the result" in "ch10_future/slot.rs" by "ch15_thread_pool" {
        "        if state.reader_dropped {\n            // Nobody"
            => "        last();\n        if state.reader_dropped {\n            // Nobody"
        "        last(); // (I7)\n" => ""
    }
    "try_2: `is_done` and then `watch`" in "ch11_wait.rs" by "ch11_wait" {
        "        if !future.watch(news.clone(), key) {\n            done.push(key);\n        }\n"
            => "        if future.is_done() {\n            done.push(key);\n        } else {\n            future.watch(news.clone(), key);\n        }\n"
    }
    "try_2: a worker takes a job and runs it in one line" in "ch12_workers.rs" by "ch12_workers" {
        "    loop {\n" => "    while let Ok(job) = jobs.lock().unwrap().recv() {\n"
        "        let job = jobs.lock().unwrap().recv();\n" => ""
        "        let Ok(job) = job else { return };\n" => ""
    }
    "a panic ends its worker" in "ch12_workers.rs" by "ch12_workers" {
        "catch_unwind(AssertUnwindSafe(job))" => "job()"
        "mem::forget(catch_unwind(AssertUnwindSafe(run)))" => "run()"
    }
    "try_2: anybody helps" in "ch13_task.rs" by "ch13_task" {
        "if self.is_here() {" => "if true {"
    }
    "try_2: a round of a shelf never ends" in "ch14_backlog.rs" by "ch14_backlog"
        survives "unfair to the inbox: a program of bounded length ends all the same" {
        "if shelf.round > 0 {\n            shelf.round -= 1;" => "if !shelf.jobs.is_empty() {"
    }
    "a worker looks at the shelves before it counts as idle" in "ch14_backlog.rs" by "ch14_backlog" {
        "        self.idle.fetch_add(1, Ordering::Relaxed); // before the look: see `put`\n" => ""
        "            if job.is_some() || self" => "            self.idle.fetch_add(1, Ordering::Relaxed);\n            if job.is_some() || self"
        "                (*searching, i_search, looks) = (true, true, looks + 1);"
            => "                self.idle.fetch_sub(1, Ordering::Relaxed);\n                (*searching, i_search, looks) = (true, true, looks + 1);"
        "                searching = self.news.wait(searching).unwrap();"
            => "                searching = self.news.wait(searching).unwrap();\n                self.idle.fetch_sub(1, Ordering::Relaxed);"
    }
    "a job is accepted by a look and a push" in "ch14_backlog.rs" by "ch15_thread_pool" {
        "        let mut shelf = at.lock().unwrap();\n" => ""
        "        let newest_is_over =" => "        let mut shelf = at.lock().unwrap();\n        let newest_is_over ="
    }
    "a worker with more jobs wakes nobody" in "ch14_backlog.rs" by "ch14_backlog" {
        "if self.shelves.iter().any(|shelf| !shelf.lock().unwrap().jobs.is_empty()) {" => "if false {"
    }
    "a close wakes one worker" in "ch14_backlog.rs" by "ch14_backlog" {
        "        drop(searching);\n        self.news.notify_all();" => "        drop(searching);\n        self.news.notify_one();"
    }
    "the searcher forgets to say that it searches no more" in "ch14_backlog.rs" by "ch14_backlog" {
        "        *searching &= !i_search;\n        if self.shelves" => "        if self.shelves"
    }
    "try_2: idle before the task has run" in "ch15_thread_pool/shared.rs" by "ch15_thread_pool" {
        "            job.run(&|| {\n                if self.is_growing() {\n                    self.under_way.fetch_sub(1, Ordering::Relaxed);\n                }\n            });"
            => "            if self.is_growing() {\n                self.under_way.fetch_sub(1, Ordering::Relaxed);\n            }\n            job.run(&|| ());"
    }
    "one task is one too few for a thread" in "ch15_thread_pool/shared.rs" by "ch15_thread_pool" {
        "if others >= self.started.load(Ordering::Relaxed) {"
            => "if others > self.started.load(Ordering::Relaxed) {"
    }
    "try_2: a scope closes and does not wait to be idle" in "ch16_scope.rs" by "ch16_scope" {
        "shared.backlog.close_when_idle(started);" => "shared.backlog.close();"
    }
    "a scope is idle while one still works" in "ch14_backlog.rs" by "ch16_scope" {
        "if self.idle.load(Ordering::Relaxed) == self.all_idle.load(Ordering::Relaxed) {"
            => "if self.idle.load(Ordering::Relaxed) + 1 >= self.all_idle.load(Ordering::Relaxed) {"
    }
    "all sleep already, and nobody sees that it is the end" in "ch14_backlog.rs" by "ch16_scope" {
        "        self.wake_one(searching); // if all" => "        drop(searching); // if all"
    }
    "try_2: `map` submits the first input only" in "ch17_map.rs" by "ch17_map" {
        "while map.submitted.len() < window && map.submit_next() {}" => "map.submit_next();"
    }
    "the window opens before the oldest has ended" in "ch17_map.rs" by "ch17_map" {
        "        let outcome = self.submitted.pop_front()?.result();"
            => "        self.submit_next();\n        let outcome = self.submitted.pop_front()?.result();"
    }
};

#[test]
fn mutants_of_waiting() {
    check("waiting", WAITING);
}

#[test]
fn mutants_of_working() {
    check("working", WORKING);
}

#[test]
fn most_mutants_are_to_be_caught() {
    let all = || WAITING.iter().chain(WORKING);
    let survivors = all().filter(|mutant| mutant.survives.is_some()).count();
    assert!(all().count() >= 25 && all().count() - survivors >= 22);
}

/// Compiles all mutants into one program, runs it, and compares what it says of each.
fn check(name: &str, mutants: &[Mutant]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mutants_{name}"));
    fs::create_dir_all(&folder).unwrap();
    let root = write(&folder, mutants);
    let program = folder.join("mutants").with_extension(std::env::consts::EXE_EXTENSION);
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--cap-lints", "allow", "-C", "debuginfo=0", "-o"]);
    let output = rustc.arg(&program).arg(&root).output().expect("rustc is there, as cargo is");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new(&program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    let mut wrong = Vec::new();
    for (mutant, line) in mutants.iter().zip(said.lines()) {
        if line.contains("survives") != mutant.survives.is_some() {
            wrong.push(format!("{}: {}: {line}", mutant.file, mutant.what));
        }
    }
    assert_eq!(said.lines().count(), mutants.len(), "{said}");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Writes the program: a module for each mutant, with its chapters and its programs.
fn write(folder: &Path, mutants: &[Mutant]) -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = |chapter: &str| {
        let file = home.join("src").join(format!("{chapter}.rs"));
        if file.exists() { file } else { home.join("src").join(chapter).join("mod.rs") }
    };
    let mut main = format!(
        "extern crate self as concurrent_explained;\n\
         extern crate self as std;\n\
         extern crate std as real;\n\
         use real::*;\n\
         use ch31_schedules::{{explore, sync, thread, time, Limits}};\n\
         #[path = {:?}]\n\
         pub mod ch31_schedules;\n\
         #[path = {:?}]\n\
         mod program;\n\
         fn run(number: usize, what: &str, programs: &[program::Program]) {{\n\
             let mut schedules = 0;\n\
             for program in programs {{\n\
                 let limits = Limits {{ stuck: 1, ..(program.limits)() }};\n\
                 let report = explore(limits, program.run);\n\
                 schedules += report.schedules;\n\
                 if let Some(failure) = report.failure() {{\n\
                     let (name, schedule, end) = (program.name, &failure.schedule, &failure.end);\n\
                     return println!(\"{{what}}: {{name}} by {{schedule}}: {{end}}\");\n\
                 }}\n\
             }}\n\
             println!(\"{{what}}: survives {{schedules}} schedules\");\n\
         }}\n",
        source("ch31_schedules"),
        home.join("tests/schedules/program.rs"),
    );
    let mut calls = String::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let mut chapters = String::new();
        for chapter in needs(mutant.programs) {
            let file = source(chapter);
            let is_changed = mutant.file.split(['.', '/']).next() == Some(chapter);
            let file = if is_changed { change(folder, number, mutant, &file) } else { file };
            _ = writeln!(chapters, "#[path = {file:?}]\npub mod {chapter};");
        }
        let programs = home.join(format!("tests/schedules/programs/{}.rs", mutant.programs));
        _ = writeln!(
            main,
            "mod m{number} {{\n{chapters}#[path = {programs:?}]\npub mod programs;\n}}"
        );
        let what = mutant.what;
        _ = writeln!(calls, "    run({number}, {what:?}, m{number}::programs::PROGRAMS);");
    }
    _ = writeln!(main, "fn main() {{\n{calls}}}");
    let root = folder.join("main.rs");
    fs::write(&root, main).unwrap();
    root
}

/// Writes the changed chapter, all its files, and says where it begins.
fn change(folder: &Path, number: usize, mutant: &Mutant, begin: &Path) -> PathBuf {
    let copy = folder.join(format!("m{number}"));
    fs::create_dir_all(&copy).unwrap();
    let changed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(mutant.file);
    let files: BTreeSet<PathBuf> = match begin.ends_with("mod.rs") {
        false => [begin.to_owned()].into(),
        true => {
            let files = fs::read_dir(begin.parent().unwrap()).unwrap();
            files.map(|entry| entry.unwrap().path()).collect()
        }
    };
    for file in files {
        let mut text = fs::read_to_string(&file).unwrap();
        if file == changed {
            for (from, to) in mutant.changes {
                let found = text.matches(from).count();
                assert_eq!(
                    found, 1,
                    "{}: {}: {from:?} is there {found} times",
                    mutant.file, mutant.what
                );
                text = text.replace(from, to);
            }
        }
        fs::write(copy.join(file.file_name().unwrap()), text).unwrap();
    }
    copy.join(begin.file_name().unwrap())
}
