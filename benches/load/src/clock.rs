//! The one place that reads the time.

use std::time::{Duration, Instant};

/// Nanoseconds since the program began to measure, on the monotonic clock. It is what a message
/// carries as its stamp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, not a binding")]
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Nanoseconds since [`Clock::start`].
    pub(crate) fn nanos(self) -> u64 {
        nanos_of(self.began.elapsed())
    }

    /// Sleeps until `due` nanoseconds have passed; not at all if they have.
    pub(crate) fn sleep_until(self, due: u64) {
        if let Some(rest) = due.checked_sub(self.nanos()).filter(|rest| *rest > 0) {
            std::thread::sleep(Duration::from_nanos(rest));
        }
    }
}

/// A duration in nanoseconds, at most `u64::MAX`.
pub(crate) fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
