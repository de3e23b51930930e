//! A clock: inside of `explore` it stands still until a limit runs out.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton::me;
use real::sync::OnceLock;
pub use real::time::Duration;

/// A moment: of the virtual clock inside of `explore`, of the real one outside. Both are counted
/// from a second after some beginning, so that the two are one type, and moments compare.
///
/// A program that is explored takes no time: it may wait for a day, and its limits run out in every
/// possible order, for the price of a choice each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// This moment.
    pub fn now() -> Self {
        static START: OnceLock<real::time::Instant> = OnceLock::new();
        Instant(match me() {
            Some(me) => me.state().clock,
            None => START.get_or_init(real::time::Instant::now).elapsed() + Duration::from_secs(1),
        })
    }

    /// The moment `limit` later, or `None` if there is no such moment: then there is no deadline.
    pub fn checked_add(&self, limit: Duration) -> Option<Self> {
        self.0.checked_add(limit).map(Instant)
    }

    /// How long after `earlier` this is; zero if it is before it.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long ago this was.
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }
}
