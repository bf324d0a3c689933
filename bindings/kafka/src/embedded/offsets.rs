//! Which offsets records get.

/// How many offsets are reserved at once.
const BLOCK: i64 = 1 << 16;

/// The offsets of a partition. Those below [`Offsets::durable`] were reserved durably: after a
/// crash they are given to no other record, so that a record which was seen and then lost is never
/// replaced by another one at its offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets {
    next: i64,
    reserved: i64,
    durable: i64,
}

impl Offsets {
    /// Offsets that go on at `next`.
    pub(super) fn new(next: i64) -> Self {
        Self { next, reserved: next, durable: next }
    }

    /// The offset of the next record.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Where offsets go on after a crash.
    pub(super) fn reserved(&self) -> i64 {
        self.reserved.max(self.next)
    }

    /// Takes the next offset.
    pub(super) fn take(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    /// Leaves out offsets.
    pub(super) fn skip(&mut self, count: i64) {
        self.next += count;
    }

    /// Up to where a reservation is to be written now, if any: in time, so that it has become
    /// durable with other things when it is needed.
    pub(super) fn reserve(&mut self) -> Option<i64> {
        let is_due = self.next + BLOCK / 2 > self.reserved;
        is_due.then(|| {
            self.reserved = self.next + BLOCK;
            self.reserved
        })
    }

    /// The reservation was not written.
    pub(super) fn unreserve(&mut self) {
        self.reserved = self.durable;
    }

    /// All that was written is durable.
    pub(super) fn synced(&mut self) {
        self.durable = self.reserved;
    }

    /// Whether offsets were taken that are not reserved durably.
    pub(super) fn is_ahead(&self) -> bool {
        self.next > self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_comes_before_it_is_needed_and_is_durable_before_it_is_used() {
        let mut offsets = Offsets::new(10);
        assert_eq!(offsets.take(), 10);
        assert_eq!(offsets.reserve(), Some(11 + BLOCK));
        assert!(offsets.is_ahead());
        offsets.synced();
        assert!(!offsets.is_ahead());
        assert_eq!(offsets.reserve(), None);
        offsets.skip(BLOCK / 2 + 1);
        assert!(offsets.reserve().is_some() && !offsets.is_ahead());
        offsets.unreserve();
        assert_eq!(offsets.reserved(), 11 + BLOCK);
        offsets.skip(BLOCK);
        assert!(offsets.is_ahead());
    }
}
