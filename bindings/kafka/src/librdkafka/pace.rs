//! How long drafts are collected while earlier ones are under way.

use std::time::Duration;

/// Collects longer the more records come: a produce request costs Kafka and us far more than a
/// record in it, and at a high rate a millisecond more is less than what a full queue would add.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    least: Duration,
    factor: u32,
}

/// Records in the least time from which on twice and four times that time is taken.
const TWICE: usize = 5;
const FOUR_TIMES: usize = 40;

impl Pace {
    /// A pace that collects for `least` at a low rate.
    pub(super) fn new(least: Duration) -> Self {
        Self { least, factor: 1 }
    }

    /// How long to collect next, when `records` came since this was asked last.
    pub(super) fn next(&mut self, records: usize) -> Duration {
        let rate = records / self.factor as usize;
        self.factor = match rate {
            FOUR_TIMES.. => 4,
            TWICE.. => 2,
            _ => 1,
        };
        self.least * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_rate_and_stays_where_the_rate_does() {
        let least = Duration::from_millis(1);
        for (per_least, times) in [(0, 1), (1, 1), (10, 2), (50, 4)] {
            let mut pace = Pace::new(least);
            let mut next = pace.next(per_least);
            for _ in 0..5 {
                assert_eq!(next, least * times, "{per_least}");
                next = pace.next(per_least * times as usize);
            }
            assert_eq!(pace.next(0), least, "and falls back at once");
        }
    }
}
