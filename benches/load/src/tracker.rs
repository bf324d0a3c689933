//! Which messages of a publisher a subscriber has.

use std::ops::Range;

/// What a message was to its subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Later than all before. The range: what is new with it, itself and what was left out.
    Next(Range<u64>),
    /// One that had been left out: out of order.
    Late,
    /// It was there already.
    Duplicate,
}

/// The numbers, from 0, that have arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracker {
    next: u64,
    /// Ranges below `next` that have not arrived, ascending.
    gaps: Vec<Range<u64>>,
    late: u64,
    duplicates: u64,
}

impl Tracker {
    pub(crate) fn note(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            let fresh = self.next..number + 1;
            if number > self.next {
                self.gaps.push(self.next..number);
            }
            self.next = number + 1;
            return Arrival::Next(fresh);
        }
        let Some(at) = self.gaps.iter().position(|gap| gap.contains(&number)) else {
            self.duplicates += 1;
            return Arrival::Duplicate;
        };
        let gap = self.gaps.remove(at);
        for part in [number + 1..gap.end, gap.start..number] {
            if !part.is_empty() {
                self.gaps.insert(at, part);
            }
        }
        self.late += 1;
        Arrival::Late
    }

    /// How many of the first `published` have not arrived.
    pub(crate) fn missing(&self, published: u64) -> u64 {
        let inside: u64 = self.gaps.iter().map(|gap| gap.end - gap.start).sum();
        inside + published.saturating_sub(self.next)
    }

    /// How many arrived after a later one.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// How many arrived again.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_are_missing_until_they_are_filled() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.note(0), Arrival::Next(0..1));
        assert_eq!(tracker.note(4), Arrival::Next(1..5));
        assert_eq!(tracker.missing(6), 4);
        assert_eq!(tracker.note(2), Arrival::Late);
        assert_eq!(tracker.note(2), Arrival::Duplicate);
        assert_eq!(tracker.note(4), Arrival::Duplicate);
        assert_eq!(tracker.missing(6), 3);
        assert_eq!((tracker.late(), tracker.duplicates()), (1, 2));
    }

    proptest! {
        #[test]
        fn it_counts_as_a_set_does(numbers in prop::collection::vec(0_u64..40, 0..120)) {
            let (mut tracker, mut set) = (Tracker::default(), BTreeSet::new());
            let mut duplicates = 0;
            for number in numbers {
                duplicates += u64::from(!set.insert(number));
                tracker.note(number);
            }
            prop_assert_eq!(tracker.missing(40), 40 - set.len() as u64);
            prop_assert_eq!(tracker.duplicates(), duplicates);
        }
    }
}
