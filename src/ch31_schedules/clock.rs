//! A clock: inside of `explore` it stands still until a limit runs out.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::baton;
use real::ops::{Add, Sub};
use real::sync::OnceLock;
pub use real::time::Duration;

/// A moment: of the virtual clock inside of `explore`, of the real one outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// This moment.
    pub fn now() -> Self {
        static START: OnceLock<real::time::Instant> = OnceLock::new();
        Instant(match baton::me() {
            Some(me) => me.state().clock,
            None => START.get_or_init(real::time::Instant::now).elapsed() + Duration::from_secs(1),
        })
    }

    /// The moment `limit` later, or `None` if there is no such moment.
    pub fn checked_add(&self, limit: Duration) -> Option<Self> {
        self.0.checked_add(limit).map(Instant)
    }

    /// How long after `earlier` this is; zero if it is before it.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long after `earlier` this is; zero if it is before it.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long ago this was.
    pub fn elapsed(&self) -> Duration {
        Instant::now() - *self
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, limit: Duration) -> Instant {
        Instant(self.0 + limit)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
