//! What a panic says, and where it was.

use std::cell::RefCell;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs foreign code: a panic becomes what was said, and where.
pub(super) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    PLACE.take();
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("not a text");
        let text = text.to_string() + &PLACE.take();
        // The payload may panic when it is dropped, and what it then panics with may too.
        _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(forget);
        text
    })
}

/// From here on [`caught`] knows the place too: only the hook of the process is told. It goes on to
/// print as before.
pub(super) fn note_places() {
    let print = take_hook();
    set_hook(Box::new(move |info| {
        let place = info.location().map_or(String::new(), |place| format!(", at {place}"));
        _ = PLACE.try_with(|last| last.replace(place));
        print(info);
    }));
}
