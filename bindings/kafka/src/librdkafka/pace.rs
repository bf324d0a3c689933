//! How long drafts are collected while earlier ones are under way.

use std::time::{Duration, Instant};

/// Collects longer the more records come: a produce request costs Kafka and us far more than a
/// record in it, and at a high rate a millisecond more is less than what a full queue would add.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long is collected at a moderate rate.
    unit: Duration,
    /// How many units are collected now; 0: so few records come that nothing is gained.
    units: u32,
    /// When counting began, and how many records came since.
    since: Instant,
    records: u32,
}

/// From so many records a millisecond on, so many units are collected.
const STEPS: [(u32, u32); 4] = [(40, 8), (25, 4), (15, 2), (2, 1)];

/// How long records are counted at least before the pace follows them.
const WINDOW: Duration = Duration::from_millis(1);

impl Pace {
    /// A pace that collects for `unit` at a moderate rate.
    pub(super) fn new(unit: Duration, now: Instant) -> Self {
        Self { unit, units: 0, since: now, records: 0 }
    }

    /// How long to collect next, when `records` came since this was asked last and it is `now`;
    /// `None` where so few come that nothing is to be waited for.
    pub(super) fn next(&mut self, records: u32, now: Instant) -> Option<Duration> {
        self.records = self.records.saturating_add(records);
        let counted = now.saturating_duration_since(self.since);
        if counted >= WINDOW {
            let micros = u32::try_from(counted.as_micros()).unwrap_or(u32::MAX);
            let rate = u64::from(self.records) * 1000 / u64::from(micros);
            let step = STEPS.iter().find(|(from, _)| rate >= u64::from(*from));
            self.units = step.map_or(0, |(_, units)| *units);
            self.since = now;
            self.records = 0;
        }
        (self.units > 0).then(|| self.unit * self.units)
    }
}

#[cfg(test)]
mod tests {
    use engine::runtime::Clock;

    use super::*;

    const UNIT: Duration = Duration::from_micros(500);

    #[test]
    fn the_pace_follows_the_rate_and_stays_where_the_rate_does() {
        let mut now = Clock::new().now();
        let mut pace = Pace::new(UNIT, now);
        for (per_milli, units) in [(0, 0), (1, 0), (2, 1), (10, 1), (20, 2), (30, 4), (200, 8)] {
            for round in 0..8 {
                // As after a sleep of what was asked for.
                let millis = if pace.units > 2 { pace.units / 2 } else { 1 };
                now += Duration::from_millis(u64::from(millis));
                let next = pace.next(per_milli * millis, now);
                assert_eq!(next, (units > 0).then(|| UNIT * units), "{per_milli} {round}");
            }
        }
        now += Duration::from_millis(200);
        assert_eq!(pace.next(1, now), None, "one record after a rest goes at once");
    }

    #[test]
    fn records_in_quick_succession_do_not_hide_the_rate() {
        let mut now = Clock::new().now();
        let mut pace = Pace::new(UNIT, now);
        for _ in 0..20 {
            now += Duration::from_micros(100);
            pace.next(1, now);
        }
        assert_eq!(pace.next(0, now), Some(UNIT), "ten a millisecond, one at a time");
    }
}
