//! The same panic three times. Look at who hears of it: nobody, a thread that joins, a hook.
//!
//! Expected output:
//!
//! ```text
//! a thread that nobody joins: `main` goes on, and knows of nothing
//! join: the payload is text: yes; it can be printed, compared, cloned: no
//! catch: Err(Panicked { message: "no such page" })
//! catch: as a sentence: panicked: no such page
//! a payload that panics while it is dropped: panicked: a panic whose payload is not text
//! a failure: Panicked yes, Abandoned yes, ShutDown yes, Cancelled no
//! nobody reads it: the hook hears: the task of page 7 failed: panicked: no such page
//! ```

use concurrent_explained::ch09_outcome::{catch, report};
use concurrent_explained::{Error, set_failure_hook};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::panic::panic_any;
use std::sync::{Arc, Mutex};
use std::thread;

fn page() -> u32 {
    panic!("no such page")
}

/// The smallest version: what a panic is worth as a value.
fn smallest<T>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
{
    thread::spawn(work).join().map_err(|payload| match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => "not text".to_owned(), // dropped at the end of this line: and if that panics?
    })
}

struct Bad;

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("in the drop of a payload");
    }
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let nobody = thread::spawn(page);
    drop(nobody);
    writeln!(story, "a thread that nobody joins: `main` goes on, and knows of nothing")?;
    let text = if smallest(page).is_err_and(|text| text == "no such page") { "yes" } else { "no" };
    writeln!(story, "join: the payload is text: {text}; it can be printed, compared, cloned: no")?;

    let outcome = catch(page);
    writeln!(story, "catch: {outcome:?}")?;
    writeln!(story, "catch: as a sentence: {}", outcome.unwrap_err())?;
    let bad = catch(|| -> u32 { panic_any(Bad) }).unwrap_err();
    writeln!(story, "a payload that panics while it is dropped: {bad}")?;

    let is = |error: Error| if error.is_failure() { "yes" } else { "no" };
    let (panicked, abandoned) = (is(catch(page).unwrap_err()), is(Error::Abandoned));
    let (shut_down, cancelled) = (is(Error::ShutDown), is(Error::Cancelled));
    write!(story, "a failure: Panicked {panicked}, Abandoned {abandoned}, ")?;
    writeln!(story, "ShutDown {shut_down}, Cancelled {cancelled}")?;

    let heard = Arc::new(Mutex::new(String::new()));
    let hook = heard.clone();
    set_failure_hook(move |what, error| *hook.lock().unwrap() = format!("{what} failed: {error}"));
    report("the task of page 7", catch(page).map(drop));
    writeln!(story, "nobody reads it: the hook hears: {}", heard.lock().unwrap())?;
    Ok(story)
}

fn main() {
    std::panic::set_hook(Box::new(|_| ())); // the panics are meant; their messages are noise here
    let story = tell().expect("a String takes any text");
    let _ = io::stdout().write_all(story.as_bytes()); // a closed pipe is a reader that has left
}
