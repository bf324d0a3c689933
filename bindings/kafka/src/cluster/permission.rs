//! Whether Kafka permits something, as far as it has said so.

use std::sync::atomic::{AtomicU8, Ordering};

const GRANTED: u8 = 0;
const DENIED: u8 = 1;
const TRIED: u8 = 2;

/// What Kafka lets be done until it refuses, then refused without asking, and tried again now and
/// then.
#[derive(Debug, Default)]
pub(crate) struct Permission(AtomicU8);

impl Permission {
    /// Whether it is refused without asking Kafka.
    pub(crate) fn is_denied(&self) -> bool {
        self.0.load(Ordering::Acquire) == DENIED
    }

    /// Whether Kafka refused it the last time that it was asked.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.0.load(Ordering::Acquire) != GRANTED
    }

    /// Kafka refused it; whether that is new.
    pub(crate) fn deny(&self) -> bool {
        self.0.swap(DENIED, Ordering::AcqRel) == GRANTED
    }

    /// Has Kafka asked again where it refused.
    pub(crate) fn try_again(&self) {
        self.0.compare_exchange(DENIED, TRIED, Ordering::AcqRel, Ordering::Acquire).ok();
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&self) {
        self.0.store(GRANTED, Ordering::Release);
    }

    /// Kafka permitted it; whether that is new.
    pub(crate) fn grant(&self) -> bool {
        self.is_doubtful() && self.0.swap(GRANTED, Ordering::AcqRel) != GRANTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_tried_again_and_each_change_is_new_once() {
        let permission = Permission::default();
        assert!(!permission.grant(), "it was never denied");
        assert!(permission.deny());
        assert!(permission.is_denied());
        assert!(!permission.deny());
        permission.try_again();
        assert!(!permission.is_denied() && permission.is_doubtful());
        assert!(!permission.deny(), "denied still");
        permission.try_again();
        assert!(permission.grant());
        assert!(!permission.is_doubtful() && !permission.grant());
    }
}
