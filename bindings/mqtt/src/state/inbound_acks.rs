//! QoS 1 publishes of a client that are not acknowledged yet.

use std::collections::VecDeque;

use mqtt_plane::{ReasonCode, Ticket};

/// Set in every ticket of a publish, so that none is 0, which asks for no answer.
const MARK: Ticket = 1 << 31;

/// Memory kept while nothing is outstanding, entries.
const KEPT: usize = 16;

/// The QoS 1 publishes that a client waits for, in order of receipt. An exit may answer them in any
/// order; they are acknowledged in order of receipt [MQTT-4.6.0-2].
#[derive(Debug, Default)]
pub struct InboundAcks {
    entries: VecDeque<Entry>,
    /// The ticket of the first entry.
    first: Ticket,
    /// Whether the packet identifiers of the entries follow each other, as most clients choose
    /// them: then one of them is found without a search.
    has_gaps: bool,
}

#[derive(Debug)]
struct Entry {
    packet_id: u16,
    reason: Option<ReasonCode>,
}

impl InboundAcks {
    /// How many publishes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a publish with this packet identifier waits.
    #[must_use]
    pub fn contains(&self, packet_id: u16) -> bool {
        let Some(first) = self.entries.front() else { return false };
        if self.has_gaps {
            self.entries.iter().any(|entry| entry.packet_id == packet_id)
        } else {
            distance(first.packet_id, packet_id) < self.entries.len()
        }
    }

    /// Adds a publish; returns the ticket to publish it with. It must not be contained.
    pub fn begin(&mut self, packet_id: u16) -> Ticket {
        self.has_gaps = match (self.entries.front(), self.entries.back()) {
            (Some(_), Some(last)) => self.has_gaps || distance(last.packet_id, packet_id) != 1,
            _ => false,
        };
        let len = Ticket::try_from(self.entries.len()).unwrap_or(0);
        self.entries.push_back(Entry { packet_id, reason: None });
        MARK | self.first.wrapping_add(len)
    }

    /// The publish of `ticket` has been answered. A ticket that is unknown changes nothing.
    pub fn complete(&mut self, ticket: Ticket, reason: ReasonCode) {
        let index = (ticket & !MARK).wrapping_sub(self.first) & !MARK;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.reason = Some(reason);
        }
    }

    /// The next publish to acknowledge, if its answer is there.
    pub fn next_acknowledged(&mut self) -> Option<(u16, ReasonCode)> {
        let reason = self.entries.front()?.reason?;
        let entry = self.entries.pop_front()?;
        self.first = self.first.wrapping_add(1) & !MARK;
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            self.entries = VecDeque::new();
        }
        Some((entry.packet_id, reason))
    }
}

/// How far `to` lies behind `from` in the circle of packet identifiers, 1 to 65,535.
fn distance(from: u16, to: u16) -> usize {
    let (from, to) = (usize::from(from), usize::from(to));
    if to >= from { to - from } else { to + usize::from(u16::MAX) - from }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-4.6.0-2]
    #[test]
    fn publishes_are_acknowledged_in_order_of_receipt_however_they_are_answered() {
        let mut acks = InboundAcks::default();
        let tickets: Vec<Ticket> = (1..=3).map(|id| acks.begin(id)).collect();
        assert!(tickets.iter().all(|ticket| *ticket != 0));
        acks.complete(tickets[2], ReasonCode::SUCCESS);
        acks.complete(tickets[1], ReasonCode::QUOTA_EXCEEDED);
        assert_eq!(acks.next_acknowledged(), None);
        acks.complete(tickets[0], ReasonCode::SUCCESS);
        let order: Vec<_> = std::iter::from_fn(|| acks.next_acknowledged()).collect();
        let success = ReasonCode::SUCCESS;
        assert_eq!(order, [(1, success), (2, ReasonCode::QUOTA_EXCEEDED), (3, success)]);
        assert!(acks.is_empty());
        acks.complete(tickets[0], success);
        assert!(acks.is_empty());
    }

    #[test]
    fn identifiers_in_use_are_found_with_and_without_gaps() {
        let mut acks = InboundAcks::default();
        for id in [65_534, 65_535, 1, 2] {
            assert!(!acks.contains(id));
            acks.begin(id);
        }
        assert!(!acks.has_gaps);
        assert!(acks.contains(65_535) && acks.contains(1) && acks.contains(2));
        assert!(!acks.contains(3) && !acks.contains(65_533) && !acks.contains(1000));
        acks.begin(1000);
        assert!(acks.has_gaps && acks.contains(1000) && acks.contains(1) && !acks.contains(3));
    }

    #[test]
    fn tickets_stay_in_step_over_their_wrap() {
        let mut acks = InboundAcks { first: !MARK - 1, ..InboundAcks::default() };
        for round in 0..5_u16 {
            let (a, b) = (acks.begin(2 * round + 1), acks.begin(2 * round + 2));
            acks.complete(b, ReasonCode::SUCCESS);
            assert_eq!(acks.next_acknowledged(), None);
            acks.complete(a, ReasonCode::SUCCESS);
            assert_eq!(acks.next_acknowledged(), Some((2 * round + 1, ReasonCode::SUCCESS)));
            assert_eq!(acks.next_acknowledged(), Some((2 * round + 2, ReasonCode::SUCCESS)));
        }
    }
}
