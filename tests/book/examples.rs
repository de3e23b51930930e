//! The examples: each ends by itself, prints what its header says, and is quiet if nobody reads it.

use super::miniature::Miniature;
use super::text::{Page, header};
use super::tree::{Book, Chapter, Complaints, of_each};
use std::env;
use std::io::{Read, pipe};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Each chapter's example prints exactly what its header promises, and exits with success.
pub(crate) fn expected_output(book: &Book) -> Complaints {
    let mut complaints = Complaints::from_iter(build(book));
    complaints.extend(of_each(&book.built(), |chapter| {
        let faults = faults(book, chapter);
        faults.iter().map(|fault| format!("examples/{}.rs: {fault}", chapter.name)).collect()
    }));
    complaints
}

/// What is wrong with one example.
fn faults(book: &Book, chapter: &Chapter) -> Complaints {
    let source = book.read(&format!("examples/{}.rs", chapter.name));
    let Some((arguments, promised)) = promise(&source) else {
        return vec!["no text block after `Expected output:`".into()];
    };
    let mut command = Command::new(program(book, chapter));
    let output = match run(command.args(arguments), Stdio::piped(), book.patience) {
        Ok(output) => output,
        Err(trouble) => return vec![trouble],
    };
    let (printed, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let faults = [
        (!is_as_promised(&printed, &promised), format!("says\n{promised}and prints\n{printed}")),
        (!output.status.success(), format!("{}\n{said}", output.status)),
    ];
    faults.into_iter().filter(|(is_one, _)| *is_one).map(|(_, fault)| fault).collect()
}

/// Each chapter's example ends without a panic if nobody reads what it prints, as in `| head -1`.
/// It may say so by its exit status.
pub(crate) fn quiet_end(book: &Book) -> Complaints {
    let mut complaints = Complaints::from_iter(build(book));
    complaints.extend(of_each(&book.built(), |chapter| {
        let source = book.read(&format!("examples/{}.rs", chapter.name));
        let (arguments, _) = promise(&source).unwrap_or_default();
        let mut command = Command::new(program(book, chapter));
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let fault = match run(command.args(arguments), writer.into(), book.patience) {
            Err(trouble) => Some(trouble),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let is_panic = output.status.code().is_none_or(|code| code == 101);
                let is_quiet = !is_panic && !said.contains("failed printing to");
                (!is_quiet).then(|| format!("nobody reads its output: {}\n{said}", output.status))
            }
        };
        fault.iter().map(|fault| format!("examples/{}.rs: {fault}", chapter.name)).collect()
    }));
    complaints
}

fn program(book: &Book, chapter: &Chapter) -> PathBuf {
    book.build.join(format!("examples/{}{}", chapter.name, env::consts::EXE_SUFFIX))
}

/// Whether the lines are those that were promised. `…` in a promise stands for what differs from
/// run to run.
fn is_as_promised(printed: &str, promised: &str) -> bool {
    let matches = |(printed, promised): (&str, &str)| {
        let mut pieces = promised.split('…');
        let Some(mut rest) = printed.strip_prefix(pieces.next().unwrap_or_default()) else {
            return false;
        };
        let mut pieces: Vec<_> = pieces.collect();
        let Some(last) = pieces.pop() else { return rest.is_empty() };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    };
    printed.lines().count() == promised.lines().count()
        && printed.lines().zip(promised.lines()).all(matches)
}

/// What a header says: the arguments behind `Run with:`, and the output in the block after
/// `Expected output:`.
fn promise(source: &str) -> Option<(Vec<&str>, String)> {
    let page = Page::new(header(source));
    let arguments = page.prose.iter().find_map(|line| line.strip_prefix("Run with: "));
    let arguments = arguments.unwrap_or_default().split_whitespace().collect();
    let announced = page.prose.iter().position(|line| *line == "Expected output:")?;
    let block = page.blocks.iter().find(|block| block.after > announced)?;
    let output = block.lines.iter().flat_map(|line| [line, "\n"]).collect();
    (block.language == "text").then_some((arguments, output))
}

/// Has cargo build the examples, in the place where it built this test. `cargo test` did that
/// already; `cargo test --test book` did not, or left old ones there.
fn build(book: &Book) -> Option<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    let (target, profile) = (book.build.parent()?, book.build.file_name()?);
    let profile = if profile == "debug" { "dev".as_ref() } else { profile };
    cargo.args(["build", "--quiet", "--offline", "--examples", "--profile"]).arg(profile);
    cargo.arg("--target-dir").arg(target).current_dir(&book.root);
    let output = cargo.output().expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| format!("examples: cargo does not build them:\n{said}"))
}

/// Runs a program without input. If it, or a program that it started, still holds its output open
/// when `patience` ends, it is killed.
fn run(command: &mut Command, stdout: Stdio, patience: Duration) -> Result<Output, String> {
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let mut program = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let stdout = read_to_end(program.stdout.take());
    let stderr = read_to_end(program.stderr.take());
    let streams = stdout.recv_timeout(patience).and_then(|stdout| {
        // Whoever has closed the one is about to close the other: no second term is needed.
        stderr.recv_timeout(patience).map(|stderr| (stdout, stderr))
    });
    if streams.is_err() {
        let _ = program.kill();
    }
    // A safe program closes its output only by ending, so this waits for a moment at most.
    let status = program.wait().map_err(|error| format!("cannot be waited for: {error}"))?;
    match streams {
        Ok((stdout, stderr)) => Ok(Output { status, stdout, stderr }),
        Err(_) => Err(format!("its output is still open after {patience:?}")),
    }
}

/// All that comes out of a stream, once it ends. Nothing if it is not ours to read.
fn read_to_end(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send_all, all) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
        let _ = send_all.send(bytes);
    });
    all
}

#[test]
fn examples_that_print_something_else_or_fail_are_reported() {
    let miniature = Miniature::sound();
    miniature.replace("examples/ch01_lock.rs", "//! A lock", "//! A key");
    miniature.replace("examples/ch02_event.rs", "Expected output:", "Output:");
    let failure = "eprintln!(\"no\"); std::process::exit(3); println!";
    miniature.replace("examples/ch03_pair.rs", "println!", failure);
    let complaints = [
        "examples/ch01_lock.rs: says\nA key\nand prints\nA lock\n",
        "examples/ch02_event.rs: no text block after `Expected output:`",
        "examples/ch03_pair.rs: says\nA pair of 2\nand prints\n",
        "examples/ch03_pair.rs: exit status: 3\nno\n",
    ];
    assert_eq!(expected_output(&miniature.book), complaints);
}

#[test]
fn an_example_that_panics_because_nobody_reads_it_is_reported() {
    let mut miniature = Miniature::sound();
    miniature.book.chapters = &["ch01_lock"];
    build(&miniature.book);
    let complaints = quiet_end(&miniature.book);
    let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
    let start = "examples/ch01_lock.rs: nobody reads its output: exit status: 101\n";
    assert!(complaint.starts_with(start), "{complaint}");
    let quiet = "use std::io::Write; let _ = writeln!(std::io::stdout(),";
    miniature.replace("examples/ch01_lock.rs", "println!(", quiet);
    assert_eq!(quiet_end(&miniature.book), Complaints::new());
}

#[test]
fn an_example_that_never_ends_is_killed_and_reported() {
    let mut miniature = Miniature::sound();
    miniature.replace("examples/ch01_lock.rs", "println!", "loop { thread::park() } println!");
    miniature.replace("examples/ch01_lock.rs", "fn main", "use std::thread;\nfn main");
    miniature.book.chapters = &["ch01_lock"];
    miniature.book.patience = Duration::from_millis(100);
    let complaint = "examples/ch01_lock.rs: its output is still open after 100ms";
    assert_eq!(expected_output(&miniature.book), [complaint]);
}

#[test]
fn examples_that_cannot_be_built_are_reported() {
    let mut miniature = Miniature::sound();
    miniature.replace("examples/ch01_lock.rs", "fn main", "fn man");
    miniature.book.chapters = &[];
    let complaints = expected_output(&miniature.book);
    let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(complaint.starts_with("examples: cargo does not build them:"), "{complaint}");
}

#[test]
fn dots_stand_for_what_differs_from_run_to_run() {
    for (printed, promised, is_so) in [
        ("a\nb\n", "a\nb\n", true),
        ("a 17 ms b", "a … b", true),
        ("a 17 ms b 2 c", "a … b … c", true),
        ("a 17 ms", "a …", true),
        ("a 17 ms b", "a …", true),
        ("a 17 ms b", "… ms", false),
        ("b 17", "a …", false),
        ("a c b", "a … b … c", false),
        ("ab", "a", false),
        ("a\nb", "a", false),
    ] {
        assert_eq!(is_as_promised(printed, promised), is_so, "{printed:?} {promised:?}");
    }
}
