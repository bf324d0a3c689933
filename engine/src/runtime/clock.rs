//! The worker's clock: the one place where time is read.

#![expect(clippy::disallowed_methods, reason = "the one place where clocks are read")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock. Protocol code is given its readings and never reads one itself.
#[derive(Debug, Default)]
pub struct Clock(());

impl Clock {
    /// The process's clock.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// Monotonic time.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn unix_millis(&self) -> i64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}
