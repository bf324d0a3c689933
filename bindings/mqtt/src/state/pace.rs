//! How fast a client sends.

use super::{Bounds, OverRate};

/// Ticks in a second.
const TICKS: u32 = 4;

/// What a client may still send: a bucket for its messages and one for its bytes. Each tick of a
/// quarter of a second adds a quarter of what a second allows, and a bucket holds a second's.
#[derive(Debug)]
pub struct Pace {
    messages: Bucket,
    bytes: Bucket,
    over_rate: OverRate,
    /// The tick up to which the buckets were filled.
    tick: u32,
}

/// Counts in quarters, so that a quarter of any rate is whole.
#[derive(Debug)]
struct Bucket {
    /// Of a second; 0: there is no bound.
    rate: u32,
    /// What is left, in quarters; below 0 after a packet that is larger than what was left.
    left: i64,
}

impl Bucket {
    fn full(rate: u32) -> Self {
        Self { rate, left: i64::from(rate) * i64::from(TICKS) }
    }

    fn fill(&mut self, ticks: u32) {
        let full = i64::from(self.rate) * i64::from(TICKS);
        let added = i64::from(self.rate).saturating_mul(i64::from(ticks));
        self.left = self.left.saturating_add(added).min(full);
    }

    const fn is_empty(&self) -> bool {
        self.rate != 0 && self.left <= 0
    }

    fn take(&mut self, amount: usize) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        self.left = self.left.saturating_sub(amount.saturating_mul(i64::from(TICKS)));
    }
}

impl Pace {
    /// Full buckets at `tick`; `None` where nothing is bounded.
    #[must_use]
    pub fn new(bounds: &Bounds, tick: u32) -> Option<Self> {
        if bounds.messages_per_second == 0 && bounds.bytes_per_second == 0 {
            return None;
        }
        Some(Self {
            messages: Bucket::full(bounds.messages_per_second),
            bytes: Bucket::full(bounds.bytes_per_second),
            over_rate: bounds.over_rate,
            tick,
        })
    }

    /// What becomes of the next packet at `tick` if it comes too soon; `None` where it does not.
    pub fn check(&mut self, tick: u32) -> Option<OverRate> {
        let ticks = tick.wrapping_sub(self.tick);
        self.tick = tick;
        self.messages.fill(ticks);
        self.bytes.fill(ticks);
        (self.messages.is_empty() || self.bytes.is_empty()).then_some(self.over_rate)
    }

    /// A packet of `bytes` was taken. One that came too soon, and was refused, costs nothing.
    pub fn take(&mut self, is_message: bool, bytes: usize) {
        if self.messages.is_empty() || self.bytes.is_empty() {
            return;
        }
        if is_message {
            self.messages.take(1);
        }
        self.bytes.take(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(messages: u32, bytes: u32) -> Pace {
        let bounds = Bounds {
            messages_per_second: messages,
            bytes_per_second: bytes,
            over_rate: OverRate::Refuse,
            ..Bounds::DEFAULT
        };
        Pace::new(&bounds, 7).unwrap()
    }

    /// How many packets of `bytes` are taken at once at `tick`.
    fn burst(pace: &mut Pace, tick: u32, bytes: usize) -> usize {
        (0..100_000)
            .take_while(|_| {
                let is_taken = pace.check(tick).is_none();
                if is_taken {
                    pace.take(true, bytes);
                }
                is_taken
            })
            .count()
    }

    #[test]
    fn a_second_s_messages_come_at_once_and_then_a_quarter_each_tick() {
        let mut pace = pace(10, 0);
        assert_eq!(burst(&mut pace, 7, 1_000_000), 10);
        assert_eq!(pace.check(7), Some(OverRate::Refuse));
        let later: Vec<usize> = (8..12).map(|tick| burst(&mut pace, tick, 1)).collect();
        assert_eq!(later, [3, 2, 3, 2]);
        assert_eq!(burst(&mut pace, 1000, 1), 10, "no more than a second's is saved up");
    }

    #[test]
    fn a_packet_that_is_larger_than_what_is_left_is_paid_for_afterwards() {
        let mut pace = pace(0, 100);
        assert_eq!(burst(&mut pace, 7, 60), 2);
        assert_eq!(burst(&mut pace, 7, 300), 0);
        assert_eq!(burst(&mut pace, 8, 300), 1, "100 - 120 + 25 are left");
        // 295 are owed.
        assert_eq!(burst(&mut pace, 19, 1), 0);
        assert_eq!(burst(&mut pace, 20, 1), 5);
        pace.check(24);
        pace.take(false, 100);
        assert_eq!(burst(&mut pace, 24, 1), 0, "what is no message has bytes too");
        pace.take(true, 1000);
        assert_eq!(burst(&mut pace, 25, 1), 25, "what came too soon costs nothing");
    }

    #[test]
    fn without_a_rate_there_is_nothing_to_keep() {
        assert!(Pace::new(&Bounds::DEFAULT, 0).is_none());
        let mut pace = pace(0, 1);
        pace.take(true, 1);
        assert_eq!(pace.check(u32::MAX), None, "ticks wrap");
    }
}
