//! How many clients come in, over all workers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use engine::shared::Lock;
use mqtt_plane::{Closed, ReasonCode};

use crate::state::Bounds;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Counts connections. Shared by workers and by generations.
#[derive(Debug, Default)]
pub(super) struct Gate {
    handshakes: AtomicU32,
    connections: AtomicU32,
    /// Connections by address, of those that were made while that was bounded.
    addresses: Lock<HashMap<IpAddr, u32>>,
    /// When the first CONNECT came.
    epoch: OnceLock<Instant>,
    /// When the CONNECT packets up to now would have come at the greatest rate that is allowed,
    /// nanoseconds after the epoch.
    paid_until: AtomicU64,
}

impl Gate {
    /// Lets a connection send its CONNECT; `None` where there are too many that have not.
    pub(super) fn begin(self: &Arc<Self>, bounds: &Bounds) -> Option<Handshake> {
        let handshake = Handshake(Arc::clone(self));
        let before = self.handshakes.fetch_add(1, Ordering::Relaxed);
        (before < bounds.handshakes).then_some(handshake)
    }

    /// Lets a CONNECT in that came at `now`, unless they come too fast.
    pub(super) fn admit_rate(&self, bounds: &Bounds, now: Instant) -> Result<(), Closed> {
        let rate = u64::from(bounds.connects_per_second);
        if rate == 0 {
            return Ok(());
        }
        let epoch = *self.epoch.get_or_init(|| now);
        let since = now.saturating_duration_since(epoch).as_nanos();
        let now = u64::try_from(since).unwrap_or(u64::MAX);
        let interval = SECOND / rate;
        // A second's may come at once.
        let pay = |paid_until: u64| {
            let from = paid_until.max(now);
            (from - now <= SECOND - interval).then(|| from.saturating_add(interval))
        };
        let order = Ordering::Relaxed;
        match self.paid_until.fetch_update(order, order, pay) {
            Ok(_) => Ok(()),
            Err(_) => Err(Closed {
                reason: ReasonCode::CONNECTION_RATE_EXCEEDED,
                detail: "more connects in a second than the server takes",
            }),
        }
    }

    /// Clients that were let in and have not ended.
    pub(super) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Lets the client of a CONNECT in. One that takes over its own connection is never one too
    /// many.
    pub(super) fn admit(
        self: &Arc<Self>,
        bounds: &Bounds,
        address: IpAddr,
        is_takeover: bool,
    ) -> Result<(Admission, Option<AddressCount>), Closed> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let admission = Admission(Arc::clone(self));
        if before >= bounds.connections && !is_takeover {
            let detail = "as many connections as the server takes";
            return Err(Closed { reason: ReasonCode::SERVER_BUSY, detail });
        }
        if bounds.connections_per_address == 0 {
            return Ok((admission, None));
        }
        let mut addresses = self.addresses.lock();
        let count = addresses.entry(address).or_default();
        if *count >= bounds.connections_per_address && !is_takeover {
            let detail = "as many connections from this address as the server takes";
            return Err(Closed { reason: ReasonCode::QUOTA_EXCEEDED, detail });
        }
        *count += 1;
        Ok((admission, Some(AddressCount { gate: Arc::clone(self), address })))
    }
}

/// A connection whose CONNECT is not answered yet.
pub(super) struct Handshake(Arc<Gate>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that was let in; it counts until this is dropped.
pub(super) struct Admission(Arc<Gate>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that counts for its address until this is dropped.
pub(super) struct AddressCount {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Drop for AddressCount {
    fn drop(&mut self) {
        let mut addresses = self.gate.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::spi::WorkerCx;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn connections_are_bounded_until_they_end() {
        let gate = Arc::<Gate>::default();
        let bounds = Bounds { connections: 2, ..Bounds::DEFAULT };
        let first = gate.admit(&bounds, address(1), false).unwrap();
        let second = gate.admit(&bounds, address(2), false).unwrap();
        let refused = gate.admit(&bounds, address(3), false).err().unwrap();
        assert_eq!(refused.reason, ReasonCode::SERVER_BUSY);
        let third = gate.admit(&bounds, address(1), true).unwrap();
        drop((first, second));
        assert!(gate.admit(&bounds, address(3), false).is_ok(), "what was refused does not count");
        drop(third);
        assert_eq!(gate.connections.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn each_address_has_a_bound_of_its_own() {
        let gate = Arc::<Gate>::default();
        let uncounted = gate.admit(&Bounds::DEFAULT, address(1), false).unwrap();
        let bounds = Bounds { connections_per_address: 1, ..Bounds::DEFAULT };
        let first = gate.admit(&bounds, address(1), false).unwrap();
        let refused = gate.admit(&bounds, address(1), false).err().unwrap();
        assert_eq!(refused.reason, ReasonCode::QUOTA_EXCEEDED);
        let other = gate.admit(&bounds, address(2), false).unwrap();
        let taken_over = gate.admit(&bounds, address(1), true).unwrap();
        drop((first, uncounted));
        assert!(gate.admit(&bounds, address(1), false).is_err());
        drop(taken_over);
        assert!(gate.admit(&bounds, address(1), false).is_ok());
        drop(other);
        assert!(gate.addresses.lock().is_empty());
        assert_eq!(gate.connections.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_second_s_connects_come_at_once_and_then_in_step() {
        let gate = Gate::default();
        let bounds = Bounds { connects_per_second: 4, ..Bounds::DEFAULT };
        let now = WorkerCx::detached().clock().now();
        let count = |millis| {
            let now = now + Duration::from_millis(millis);
            (0..100).take_while(|_| gate.admit_rate(&bounds, now).is_ok()).count()
        };
        let counts: Vec<usize> = [0, 249, 250, 800, 5000, 5100].map(count).into();
        assert_eq!(counts, [4, 0, 1, 2, 4, 0]);
        let refused = gate.admit_rate(&bounds, now).unwrap_err();
        assert_eq!(refused.reason, ReasonCode::CONNECTION_RATE_EXCEEDED);
        assert!(gate.admit_rate(&Bounds::DEFAULT, now).is_ok());
    }

    #[test]
    fn handshakes_are_bounded_until_they_end() {
        let gate = Arc::<Gate>::default();
        let bounds = Bounds { handshakes: 1, ..Bounds::DEFAULT };
        let first = gate.begin(&bounds);
        assert!(first.is_some());
        assert!(gate.begin(&bounds).is_none());
        drop(first);
        assert!(gate.begin(&bounds).is_some());
        assert_eq!(gate.handshakes.load(Ordering::Relaxed), 0);
    }
}
