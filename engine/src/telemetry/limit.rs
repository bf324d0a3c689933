//! A bound on how often the log tells of what clients can cause as often as they like.

use std::cell::Cell;
use std::num::NonZeroU64;

/// Lines in a second.
const LINES: u32 = 10;

/// Lets a few lines of one kind into the log in each second, and counts the others: the next line
/// says how many they were. Each worker has its own.
#[derive(Debug, Default)]
pub struct LogLimit {
    second: Cell<i64>,
    told: Cell<u32>,
    left_out: Cell<u64>,
}

impl LogLimit {
    /// Has `tell` write a line, if few enough were written in the second of `unix_millis`. It is
    /// given how many were left out since the last one, if any.
    pub fn tell(&self, unix_millis: i64, tell: impl FnOnce(Option<NonZeroU64>)) {
        let second = unix_millis / 1000;
        if self.second.replace(second) != second {
            self.told.set(0);
        }
        if self.told.get() == LINES {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        self.told.set(self.told.get() + 1);
        tell(NonZeroU64::new(self.left_out.take()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_are_told_in_a_second_and_the_next_one_counts_the_others() {
        let limit = LogLimit::default();
        let tell = |unix_millis: i64, times: usize| {
            let mut told = Vec::new();
            for _ in 0..times {
                limit.tell(unix_millis, |left_out| told.push(left_out.map_or(0, u64::from)));
            }
            told
        };
        assert_eq!(tell(1000, 9), [0; 9]);
        assert_eq!(tell(1999, 100), [0]);
        assert_eq!(tell(2000, 2), [99, 0]);
        assert_eq!(tell(2001, 9), [0; 8]);
        // The clock was set back.
        assert_eq!(tell(500, 1), [1]);
    }
}
