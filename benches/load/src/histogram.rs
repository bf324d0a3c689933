//! A histogram of latencies, with a bounded relative error.

/// Buckets in each power of two: a bucket is at most 1/64 (1.6 %) wide.
const STEPS: u32 = 64;

/// log2 of [`STEPS`].
const BITS: u32 = STEPS.trailing_zeros();

/// Counts values, nanoseconds for instance, from 0 to `u64::MAX`. Values below [`STEPS`] are exact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, value: u64) {
        let index = index_of(value);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    /// How many values were recorded.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The largest value, exactly; 0 if there is none.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The least value that `share` (0 to 1) of all values do not exceed, rounded up to the end of
    /// its bucket; `None` if there are no values.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > 0 && seen as f64 >= share * self.total as f64 {
                return Some(last_of(index).min(self.max));
            }
        }
        Some(self.max)
    }
}

fn index_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    let step = value >> shift;
    // At most 58 * 64 + 127.
    usize::try_from(u64::from(shift * STEPS) + step).unwrap_or(usize::MAX)
}

/// The largest value that falls into the bucket.
fn last_of(index: usize) -> u64 {
    let steps = STEPS as usize;
    if index < 2 * steps {
        return index as u64;
    }
    let shift = index / steps - 1;
    let step = (index - shift * steps) as u64;
    (step << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_values_are_exact_and_none_has_no_quantile() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.max()), (None, 0));
        (1..=100).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile(0.0), Some(1));
        assert_eq!(histogram.quantile(0.5), Some(50));
        assert_eq!(histogram.quantile(0.99), Some(99));
        assert_eq!(histogram.quantile(1.0), Some(100));
        assert_eq!((histogram.total(), histogram.max()), (100, 100));
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_one_sixty_fourth_above_its_values(value in any::<u64>()) {
            let last = last_of(index_of(value));
            prop_assert!(last >= value);
            prop_assert!(last - value <= value / u64::from(STEPS));
            prop_assert_eq!(index_of(last), index_of(value));
            if last < u64::MAX {
                prop_assert_eq!(index_of(last + 1), index_of(value) + 1);
            }
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_list(
            mut values in prop::collection::vec(0_u64..1 << 40, 1..200),
            share in 0.0_f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let rank = values.iter().enumerate().map(|(at, _)| at + 1)
                .find(|rank| *rank as f64 >= share * values.len() as f64).unwrap();
            let exact = values[rank - 1];
            let found = histogram.quantile(share).unwrap();
            prop_assert!(found >= exact && found - exact <= exact / u64::from(STEPS));
        }
    }
}
