//! Chapter 30: command lines, quoting, hosts that die, `ssh` to this very machine, and filters in a
//! shell, in GNU parallel.

#[path = "support/alone.rs"]
mod alone;
mod support;

use concurrent_explained::ch30_remote::{
    Hosts, docker_run, filter, kubectl_exec, quoted, srun, ssh,
};
use concurrent_explained::{Error, Executor, ProcessPool, Tasks, ThreadPool, block_on};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::{env, fs, process, thread};
use support::{process_until, process_watchdog};

fn square(n: u64) -> u64 {
    n * n
}

fn tasks() -> Tasks {
    Tasks::new().with("square", square).with("die", die)
}

fn die(_: ()) {
    process::exit(3);
}

/// The workers of the pools below: this program, told to run this one test.
#[test]
fn worker_entry() {
    tasks().serve_if_worker();
}

/// What starts this program as a worker.
fn words() -> [String; 5] {
    let program = env::current_exe().unwrap().to_string_lossy().into_owned();
    [program, "serve-tasks".into(), "worker_entry".into(), "--exact".into(), "--nocapture".into()]
}

fn here() -> Command {
    let [program, arguments @ ..] = words();
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn pool(hosts: Hosts) -> ProcessPool {
    let builder = ProcessPool::builder(tasks()).workers(hosts.workers());
    builder.command_for(move |index| hosts.command(index)).build()
}

fn line(command: &Command) -> Vec<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

#[test]
fn command_lines_of_other_engines_are_these() {
    let worker = ["my worker", "serve-tasks"];
    assert_eq!(
        line(&srun(&worker)),
        ["srun", "--ntasks=1", "--nodes=1", "--exact", "--quiet", "my worker", "serve-tasks"]
    );
    assert_eq!(
        line(&kubectl_exec("pod-7", &worker)),
        ["kubectl", "exec", "-i", "pod-7", "--", "my worker", "serve-tasks"]
    );
    assert_eq!(
        line(&docker_run("image:1", &worker)),
        ["docker", "run", "-i", "--rm", "image:1", "my worker", "serve-tasks"]
    );
    assert_eq!(
        line(&ssh(&["-p", "22"], "-host", &worker)),
        ["ssh", "-T", "-o", "BatchMode=yes", "-p", "22", "--", "-host", "'my worker' serve-tasks"]
    );
}

/// What a shell makes of a word.
fn through_a_shell(word: &str) -> Vec<u8> {
    let script = format!("printf %s {}", quoted(word));
    Command::new("sh").args(["-c", &script]).output().unwrap().stdout
}

#[test]
fn i2_a_word_crosses_a_shell_as_it_is() {
    for word in [
        "",
        " ",
        "a b",
        "it's",
        "''",
        "\\",
        "\\'",
        "$HOME",
        "`ls`",
        "$(ls)",
        "a\nb",
        "*",
        "~",
        "#x",
        "-n",
        "\"",
        ";",
        "&",
        "|",
        "<>",
        "é",
        "!!",
        "{a,b}",
        "[a-z]",
        "\t",
        "plain-word_1.0/x",
    ] {
        assert_eq!(through_a_shell(word), word.as_bytes(), "{word:?}");
    }
    assert_eq!(quoted("plain-word_1.0/x"), "plain-word_1.0/x");
}

#[test]
fn i1_the_same_worker_is_always_started_on_the_same_host() {
    let hosts = Hosts::new()
        .with(2, || Command::new("a"))
        .with(1, || Command::new("b"))
        .with(3, || Command::new("c"));
    assert_eq!(hosts.workers(), 6);
    let started: Vec<_> = (0..8).map(|index| line(&hosts.command(index)).concat()).collect();
    assert_eq!(started, ["a", "a", "b", "c", "c", "c", "a", "a"]);
    assert_eq!(format!("{hosts:?}"), "Hosts { workers: [2, 1, 3] }");
}

#[test]
#[should_panic(expected = "a host needs at least one worker")]
fn a_host_without_workers_panics_at_the_call() {
    let _ = Hosts::new().with(0, here);
}

#[test]
#[should_panic(expected = "there is no host")]
fn a_command_of_no_host_panics() {
    let _ = Hosts::new().command(0);
}

#[test]
fn a_host_that_was_never_there_costs_no_task() {
    process_watchdog("the other host does everything", || {
        let pool = pool(Hosts::new().with(1, here).with(2, || Command::new("/no/such/program")));
        let sum: u64 = Executor::map(&pool, square, 1..=200).map(Result::unwrap).sum();
        assert_eq!(sum, 2_686_700);
    });
}

#[test]
fn a_greeting_before_the_first_message_is_skipped() {
    process_watchdog("a worker that greets", || {
        let greets = || {
            let words = words();
            let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            let mut shell = Command::new("sh");
            let script = format!("echo Welcome; echo 7 ok 1; exec {}", line.join(" "));
            shell.args(["-c", &script]);
            shell
        };
        let pool = pool(Hosts::new().with(1, greets));
        assert_eq!(pool.submit(square, 12).result(), Ok(144));
    });
}

#[test]
fn a_greeting_without_a_worker_behind_it_is_shown() {
    process_watchdog("a host that only greets", || {
        let only_greets = || {
            let mut shell = Command::new("sh");
            shell.args(["-c", "echo Your account has expired."]);
            shell
        };
        let pool = pool(Hosts::new().with(1, only_greets));
        let error = pool.submit(square, 12).result().unwrap_err().to_string();
        assert!(error.contains("Your account has expired."), "{error}");
    });
}

#[test]
fn try_1_a_host_that_dies_costs_what_ran_on_it() {
    process_watchdog("one host is killed while all work", || {
        let pool = pool(Hosts::new().with(2, here).with(2, here));
        let dying: Vec<_> = (0..2).map(|_| pool.submit(die, ())).collect();
        let others: Vec<_> = (1..=100).map(|n| pool.submit(square, n)).collect();
        for task in dying {
            assert!(matches!(task.result(), Err(Error::Died(_))));
        }
        let failures = others.into_iter().filter(|_| true).map(|task| task.result());
        assert_eq!(failures.filter(Result::is_err).count(), 0);
    });
}

/// Polls as an executor of another crate would: with a waker of its own, on a thread that does
/// other things in between, and moved from one thread to another on the way.
fn on_a_foreign_executor<F>(mut code: Pin<Box<F>>) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    struct Bell(mpsc::Sender<()>);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }
    let (send, bell) = mpsc::channel();
    let first = Waker::from(Arc::new(Bell(send.clone())));
    if let Poll::Ready(value) = code.as_mut().poll(&mut Context::from_waker(&first)) {
        return value;
    }
    let elsewhere = move || {
        let second = Waker::from(Arc::new(Bell(send)));
        loop {
            if let Poll::Ready(value) = code.as_mut().poll(&mut Context::from_waker(&second)) {
                return value;
            }
            bell.recv().unwrap();
        }
    };
    thread::spawn(elsewhere).join().unwrap()
}

#[test]
fn a_thread_a_process_and_a_remote_worker_are_awaited_in_one_async_fn() {
    async fn sum(
        thread: concurrent_explained::Future<'static, u64>,
        process: concurrent_explained::Future<'static, u64>,
        remote: concurrent_explained::Future<'static, u64>,
    ) -> Result<u64, Error> {
        Ok(thread.await? + process.await? + remote.await?)
    }
    process_watchdog("three futures, two executors", || {
        let threads = ThreadPool::new(1);
        let processes = ProcessPool::builder(tasks()).workers(1).in_tests("worker_entry").build();
        let remote = pool(Hosts::new().with(1, || {
            let line: Vec<_> = words().iter().map(|word| quoted(word)).collect();
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec {}", line.join(" "))]);
            shell
        }));
        let three = || {
            sum(threads.spawn(|| square(1)), processes.submit(square, 2), remote.submit(square, 3))
        };
        assert_eq!(block_on(three()), Ok(14));
        assert_eq!(on_a_foreign_executor(Box::pin(three())), Ok(14));
    });
}

fn run_filter(input: &str) -> (u64, String, String) {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    let failed = filter(&tasks(), "square", input.as_bytes(), &mut results, &mut errors).unwrap();
    (failed, String::from_utf8(results).unwrap(), String::from_utf8(errors).unwrap())
}

#[test]
fn i3_a_filter_answers_line_by_line_in_order() {
    assert_eq!(run_filter("3\n1\n2"), (0, "9\n1\n4\n".into(), String::new()));
    assert_eq!(run_filter(""), (0, String::new(), String::new()));
    assert_eq!(run_filter("\n 3 \r\n\n"), (0, "9\n".into(), String::new()));
    let (failed, results, errors) = run_filter("3\nx\n-1\n2\n");
    assert_eq!((failed, results.as_str()), (2, "9\n4\n"));
    let lines: Vec<_> = errors.lines().collect();
    assert!(lines[0].starts_with("line 2: ") && lines[1].starts_with("line 3: "), "{errors}");
}

#[test]
fn a_panic_fails_its_line_and_no_other() {
    let tasks =
        Tasks::new().with("half", |n: u32| if n.is_multiple_of(2) { n / 2 } else { panic!("odd") });
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    let failed = filter(&tasks, "half", &b"4\n5\n6\n"[..], &mut results, &mut errors).unwrap();
    assert_eq!((failed, results), (1, b"2\n3\n".to_vec()));
    assert!(String::from_utf8(errors).unwrap().contains("odd"));
}

/// Input without end, which counts how much of it was read.
struct Endless<'a>(&'a AtomicUsize);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::SeqCst);
        buffer[..2].copy_from_slice(b"7\n");
        Ok(2)
    }
}

/// Output that takes one line and then fails, as a closed pipe does.
struct OneLine(bool);

impl Write for OneLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_filter_whose_reader_leaves_stops_reading_and_never_reads_far_ahead() {
    let read = process_watchdog("an endless input ends", || {
        let read = AtomicUsize::new(0);
        let input = BufReader::with_capacity(2, Endless(&read));
        let ended = filter(&tasks(), "square", input, OneLine(false), io::sink());
        assert!(ended.is_err());
        read.into_inner()
    });
    assert!(read < 10_000, "{read} lines were read");
}

/// The example, which is a filter and a worker.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let build = env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let profile = build.file_name().unwrap().to_string_lossy().replace("debug", "dev");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args([
            "build",
            "--quiet",
            "--offline",
            "--example",
            "ch30_remote",
            "--profile",
            &profile,
        ]);
        cargo.arg("--target-dir").arg(build.parent().unwrap());
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success());
        build.join("examples/ch30_remote")
    })
}

/// Runs a line in a shell, with the example as `$W`.
fn shell(line: &str) -> (i32, String, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("W", program()).stdin(Stdio::null());
    let output = shell.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let has = found.is_ok_and(|output| output.status.success());
    if !has {
        alone::say(&format!("SKIPPED: there is no {program} here"));
    }
    has
}

#[test]
fn a_filter_in_a_pipe_ends_with_its_failures() {
    process_watchdog("three filters", || {
        assert_eq!(shell("seq 3 | $W --filter square"), (0, "1\n4\n9\n".into(), String::new()));
        let (code, results, errors) = shell("echo x | $W --filter square");
        assert_eq!((code, results.as_str()), (1, ""));
        assert!(errors.starts_with("line 1: "), "{errors}");
        let (code, _, errors) = shell("$W --filter cube");
        assert_eq!(code, 2);
        assert!(errors.contains("no task \"cube\", only square"), "{errors}");
        // A reader that leaves early ends the filter, which is not asked for its status here.
        assert_eq!(shell("seq 100000 | $W --filter square | head -1").1, "1\n");
    });
}

#[test]
fn gnu_parallel_runs_the_filter_in_blocks() {
    if !has("parallel") {
        return;
    }
    process_watchdog("parallel ends", || {
        let parallel = "seq 1 1000 | parallel --will-cite --pipe -k -N 100";
        let sum = "awk '{ s += $1 } END { print NR, s }'";
        let (code, results, errors) = shell(&format!("{parallel} \"$W\" --filter square | {sum}"));
        assert_eq!((code, results.as_str()), (0, "1000 333833500\n"), "{errors}");
        // A block with a failure is told by parallel's own exit status.
        let (code, ..) =
            shell("(seq 1 5; echo x) | parallel --will-cite --pipe -N 3 \"$W\" --filter square");
        assert_eq!(code, 1);
    });
}

/// A real `sshd` on this machine, for as long as this value lives.
struct Sshd {
    folder: PathBuf,
    port: u16,
    server: Child,
}

impl Sshd {
    fn start() -> Option<Sshd> {
        if !["sshd", "ssh", "ssh-keygen"]
            .into_iter()
            .all(|name| has(&format!("{name} || command -v /usr/sbin/{name}")))
        {
            return None;
        }
        let folder = env::temp_dir().join(format!("concurrent-explained-ssh-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let _ = fs::create_dir_all("/run/sshd"); // where there is none, sshd does not start
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key));
            assert!(keygen.status().unwrap().success());
        }
        fs::rename(folder.join("user.pub"), folder.join("authorized")).unwrap();
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let place = folder.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile none\n\
             AuthorizedKeysFile {place}/authorized\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\n"
        );
        fs::write(folder.join("config"), config).unwrap();
        let mut server = Command::new("/usr/sbin/sshd");
        server.args(["-D", "-e", "-f"]).arg(folder.join("config"));
        server.stdin(Stdio::null()).stderr(fs::File::create(folder.join("log")).unwrap());
        let server = server.spawn().ok()?;
        let sshd = Sshd { folder, port, server };
        process_until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(sshd)
    }

    fn run(&self, words: &[&str]) -> Command {
        let (port, key) = (self.port.to_string(), self.folder.join("user").display().to_string());
        let known = "UserKnownHostsFile=/dev/null";
        let options =
            ["-q", "-p", &port, "-i", &key, "-o", known, "-o", "StrictHostKeyChecking=no"];
        ssh(&options, "127.0.0.1", words)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_pool_over_a_real_ssh_works_and_survives_the_death_of_a_worker() {
    let Some(sshd) = Sshd::start() else { return };
    process_watchdog("a pool over ssh", move || {
        let said = sshd.run(&["printf", "%s", "it's one word"]).output().unwrap();
        let log = fs::read_to_string(sshd.folder.join("log")).unwrap_or_default();
        if !said.status.success() {
            return alone::say(&format!("SKIPPED: ssh to this machine does not work: {log}"));
        }
        assert_eq!(said.stdout, b"it's one word");
        let sshd = Arc::new(sshd);
        let remote = sshd.clone();
        let hosts = Hosts::new().with(2, move || {
            let words = words();
            remote.run(&words.each_ref().map(String::as_str))
        });
        let pool = pool(hosts);
        let dies = pool.submit(die, ());
        let sum: u64 = Executor::map(&pool, square, 1..=100).map(Result::unwrap).sum();
        assert_eq!(sum, 338_350);
        assert!(matches!(dies.result(), Err(Error::Died(_))));
        drop(pool);
        // Its last thread may still hold the server: then it would outlive this program.
        process_until("the pool has let go of it", || Arc::strong_count(&sshd) == 1);
    });
}

// Break: without quotes `i2_a_word_crosses_a_shell_as_it_is` goes red at its second word, and over
// ssh a program whose path has a blank in it is not found.
#[test]
fn try_2_a_word_that_needs_no_quotes_has_none() {
    assert_eq!(quoted("/opt/worker"), "/opt/worker");
    assert_eq!(quoted("/opt/my worker"), "'/opt/my worker'");
}

#[test]
fn try_3_a_worker_moves_to_the_next_host_after_so_many_starts() {
    /// Each worker's command comes from its host at first, and from the next one after `times`.
    fn retry(hosts: Hosts, times: usize) -> impl Fn(usize) -> Command {
        let workers = hosts.workers();
        let starts: Vec<_> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        move |index| {
            let started = starts[index].fetch_add(1, Ordering::Relaxed);
            hosts.command(index + started / times)
        }
    }
    let hosts = Hosts::new().with(1, || Command::new("a")).with(1, || Command::new("b"));
    let command = retry(hosts, 2);
    let started: Vec<_> = (0..5).map(|_| line(&command(0)).concat()).collect();
    assert_eq!(started, ["a", "a", "b", "b", "a"]);
}
