//! A soak: workers die at random moments, and each task ends once.

use super::*;

/// Notes in a file that it was begun, and then does what its number says.
pub(crate) fn work((file, number, text): (String, u64, String)) -> (u64, u32, String) {
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
pub(crate) struct Dice(u64);

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
pub(crate) struct Seen {
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
pub(crate) fn soak(length: Duration) {
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

pub(crate) const SOAK: &str = "soak::each_task_ends_once_while_workers_die";

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
