//! Nobody is stuck at a pipe.

use super::*;

#[test]
fn a_megabyte_each_way_from_many_threads_and_memory_stays_in_bounds() {
    // I3, I4
    alone("pipes::a_megabyte_each_way_from_many_threads_and_memory_stays_in_bounds", || {
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
    alone("pipes::a_very_long_line_leaves_no_buffer_of_its_length_behind", || {
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
    alone("pipes::sixty_four_megabytes_each_way_at_once", || {
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

pub(crate) fn mirror_command() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(MIRROR).args(alone::arguments("pipes::mirror"));
    command
}

pub(crate) const MIRROR: &str = "mirror-worker";

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
pub(crate) struct Letters(usize);

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
pub(crate) const DEAF: &str = "printf '\\036ready 1\\n'; exec sleep 1000";

#[test]
fn a_worker_that_never_reads_is_stopped_in_every_way_a_pool_has() {
    // I3, I8
    alone("pipes::a_worker_that_never_reads_is_stopped_in_every_way_a_pool_has", || {
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
    alone("pipes::a_pool_of_one_whose_reader_is_held_up_fills_its_pipe_and_goes_on", || {
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
pub(crate) fn flood(end: bool) {
    let line = "x".repeat(1023) + "\n";
    (0..4096).for_each(|_| io::stderr().write_all(line.as_bytes()).unwrap());
    eprintln!("these are my last words");
    if end {
        process::exit(5);
    }
}

#[test]
fn a_flood_of_errors_passes_and_leaves_the_last_words() {
    let name = "pipes::a_flood_of_errors_passes_and_leaves_the_last_words";
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
pub(crate) fn noise(text: String) -> usize {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).unwrap();
    stdout.write_all(b"\xff\xfe").unwrap();
    text.len()
}

#[test]
fn what_tasks_print_arrives_and_forges_nothing() {
    let name = "pipes::what_tasks_print_arrives_and_forges_nothing";
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
