//! QoS 1 deliveries that a client has not acknowledged yet.

use std::collections::VecDeque;

use mqtt_plane::Position;

/// Deliveries that one client may have unacknowledged, whatever its Receive Maximum.
const MAX_IN_FLIGHT: u16 = 1024;

/// Memory kept while nothing is in flight, entries.
const KEPT: usize = 16;

/// What is acknowledged when a delivery is: the session that it came from, by its slot, and where
/// it lies in the log of that session's exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The slot of the session in its connection.
    pub slot: usize,
    /// The position to acknowledge.
    pub position: Position,
}

/// The deliveries in flight to a client, by packet identifier.
///
/// Identifiers are given out in turn, so an identifier is an index into a ring. The ring spans no
/// more identifiers than deliveries may be in flight: a client that acknowledges out of order gets
/// new ones when it has acknowledged the oldest.
#[derive(Debug)]
pub struct InFlight {
    ring: VecDeque<Option<Source>>,
    /// The packet identifier of the ring's first entry.
    first: u16,
    limit: u16,
}

impl InFlight {
    /// Nothing in flight, and the Receive Maximum of the client [MQTT-3.3.4-9].
    #[must_use]
    pub fn new(receive_maximum: u16) -> Self {
        Self { ring: VecDeque::new(), first: 1, limit: receive_maximum.min(MAX_IN_FLIGHT) }
    }

    /// How many more deliveries may be started.
    #[must_use]
    pub fn room(&self) -> u16 {
        let span = u16::try_from(self.ring.len()).unwrap_or(u16::MAX);
        self.limit.saturating_sub(span)
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Begins a delivery; returns its packet identifier, which is unused [MQTT-2.2.1-4].
    pub fn begin(&mut self, source: Source) -> u16 {
        let id = step(self.first, self.ring.len());
        self.ring.push_back(Some(source));
        id
    }

    /// Takes back the delivery that was begun last: it was not sent.
    pub fn cancel_last(&mut self) {
        self.ring.pop_back();
    }

    /// Ends a delivery; `None` where none with this identifier is in flight.
    pub fn end(&mut self, packet_id: u16) -> Option<Source> {
        let index = (usize::from(packet_id) + CIRCLE - usize::from(self.first)) % CIRCLE;
        let source = self.ring.get_mut(index)?.take()?;
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first = step(self.first, 1);
        }
        if self.ring.is_empty() && self.ring.capacity() > KEPT {
            self.ring = VecDeque::new();
        }
        Some(source)
    }
}

/// How many packet identifiers there are.
const CIRCLE: usize = u16::MAX as usize;

/// The identifier `count` steps behind `id` in the circle from 1 to 65,535.
fn step(id: u16, count: usize) -> u16 {
    let index = (usize::from(id) - 1 + count) % CIRCLE;
    u16::try_from(index).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(offset: i64) -> Source {
        Source { slot: 0, position: Position { log: 0, offset } }
    }

    /// [MQTT-2.2.1-4], [MQTT-3.3.4-9]
    #[test]
    fn identifiers_are_unused_never_zero_and_bounded() {
        let mut in_flight = InFlight::new(3);
        for offset in 0..200_000 {
            let id = in_flight.begin(source(offset));
            assert_ne!(id, 0);
            assert_eq!(in_flight.end(id), Some(source(offset)));
        }
        assert!(in_flight.is_empty());
        let ids: Vec<u16> = (0..3).map(|offset| in_flight.begin(source(offset))).collect();
        assert_eq!(in_flight.room(), 0);
        assert_eq!(in_flight.end(ids[1]), Some(source(1)));
        assert_eq!(in_flight.room(), 0, "the oldest holds the window");
        assert_eq!(in_flight.end(ids[1]), None, "acknowledged twice");
        assert_eq!(in_flight.end(ids[0]), Some(source(0)));
        assert_eq!(in_flight.room(), 2);
        assert_eq!(in_flight.end(ids[2]), Some(source(2)));
        assert_eq!(in_flight.end(0), None);
        assert_eq!(in_flight.end(9), None);
    }

    #[test]
    fn the_circle_of_identifiers_has_no_zero() {
        assert_eq!(step(65_535, 0), 65_535);
        assert_eq!(step(65_535, 1), 1);
        assert_eq!(step(65_534, 3), 2);
        assert_eq!(InFlight::new(u16::MAX).room(), MAX_IN_FLIGHT);
    }
}
