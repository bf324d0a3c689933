//! QoS 1 and QoS 2 deliveries that a client has not completed yet (sections 4.3 and 4.9).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use mqtt_plane::{OpenDelivery, Position, Qos};

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

/// What a PUBREC is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pubrec {
    /// The client has the message: PUBREL is due [MQTT-4.3.3-4].
    Received(Source),
    /// The client has said so before: PUBREL is due again.
    Repeated,
    /// The client refuses the message: the delivery is complete [MQTT-4.3.3-2].
    Refused(Source),
    /// No such delivery is in flight.
    Unknown,
}

/// What becomes of a delivery that cannot be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// QoS 1: it is complete.
    Completed(Source),
    /// QoS 2: the client may have the message, and with it the identifier. PUBREL ends the flow
    /// either way.
    Received(Source),
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// An earlier connection sent it; this one has not yet.
    Resumed,
    /// PUBLISH is sent, and unacknowledged until PUBACK [MQTT-4.3.2-3] or PUBREC [MQTT-4.3.3-3].
    Sent,
    /// PUBREC has come, and PUBREL is sent, unacknowledged until PUBCOMP [MQTT-4.3.3-5]. PUBLISH is
    /// not sent again [MQTT-4.3.3-6].
    Received,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    log: u32,
    /// When it was sent, or its PUBREC came, counted in such steps.
    turn: u32,
    slot: u16,
    qos: Qos,
    retain: bool,
    phase: Phase,
    /// Whether it was sent on this connection: only then it counts for Receive Maximum (4.9).
    is_counted: bool,
}

impl Entry {
    fn source(&self) -> Source {
        let position = Position { log: self.log, offset: self.offset };
        Source { slot: self.slot.into(), position }
    }
}

/// The deliveries in flight to a client, by packet identifier.
///
/// Identifiers are given out in turn, so an identifier is an index into a ring, which spans those
/// from the oldest delivery to the latest.
#[derive(Debug)]
pub struct InFlight {
    ring: VecDeque<Option<Entry>>,
    /// The packet identifier of the ring's first entry.
    first: u16,
    limit: u16,
    /// Deliveries that count for Receive Maximum.
    counted: u16,
    turn: u32,
}

impl InFlight {
    /// Nothing in flight, and the Receive Maximum of the client [MQTT-3.3.4-9], [MQTT-4.9.0-1].
    #[must_use]
    pub const fn new(receive_maximum: u16) -> Self {
        Self { ring: VecDeque::new(), first: 1, limit: receive_maximum, counted: 0, turn: 0 }
    }

    /// Takes over what an earlier connection left, by the slots of the sessions that it belongs
    /// to. Nothing may have been begun before.
    pub fn resume(&mut self, left: &[(usize, &[OpenDelivery])]) {
        let ids = left.iter().flat_map(|(_, deliveries)| deliveries.iter().map(|d| d.packet_id));
        let Some((first, span)) = arc(ids.collect()) else { return };
        self.first = first;
        self.ring.resize(span, None);
        for (slot, deliveries) in left {
            for delivery in *deliveries {
                let entry = Entry {
                    offset: delivery.position.offset,
                    log: delivery.position.log,
                    turn: self.next_turn(),
                    slot: u16::try_from(*slot).unwrap_or(u16::MAX),
                    qos: delivery.qos,
                    retain: delivery.retain,
                    phase: if delivery.is_received { Phase::Received } else { Phase::Resumed },
                    is_counted: false,
                };
                let index = self.index(delivery.packet_id);
                if let Some(place) = self.ring.get_mut(index) {
                    *place = Some(entry);
                }
            }
        }
    }

    /// How many more deliveries may be started, or sent again [MQTT-4.9.0-2].
    #[must_use]
    pub fn room(&self) -> u16 {
        let unused = u16::try_from(CIRCLE.saturating_sub(self.ring.len())).unwrap_or(u16::MAX);
        self.limit.saturating_sub(self.counted).min(unused)
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Begins a delivery; returns its packet identifier, which is unused [MQTT-2.2.1-4],
    /// [MQTT-4.3.2-1], [MQTT-4.3.3-1]. There must be room.
    pub fn begin(&mut self, source: Source, qos: Qos, retain: bool) -> u16 {
        let id = step(self.first, self.ring.len());
        let entry = Entry {
            offset: source.position.offset,
            log: source.position.log,
            turn: self.next_turn(),
            slot: u16::try_from(source.slot).unwrap_or(u16::MAX),
            qos,
            retain,
            phase: Phase::Sent,
            is_counted: true,
        };
        self.ring.push_back(Some(entry));
        self.counted += 1;
        id
    }

    /// Takes back the delivery that was begun last: it was not sent.
    pub fn cancel_last(&mut self) {
        self.ring.pop_back();
        self.counted = self.counted.saturating_sub(1);
    }

    /// Whether a delivery of an earlier connection is to be sent again: it is not where it is
    /// complete, or the client has said meanwhile that it has the message.
    #[must_use]
    pub fn is_resumed(&self, packet_id: u16) -> bool {
        let entry = self.ring.get(self.index(packet_id)).and_then(Option::as_ref);
        entry.is_some_and(|entry| entry.phase == Phase::Resumed)
    }

    /// A delivery of an earlier connection is sent again.
    pub fn send_again(&mut self, packet_id: u16) {
        let Some(entry) = self.entry(packet_id) else { return };
        if entry.phase == Phase::Resumed {
            entry.phase = Phase::Sent;
            entry.is_counted = true;
            self.counted += 1;
        }
    }

    /// A delivery is not sent again: its message is gone, has expired or is too large. `None` where
    /// there is no such delivery, or it was sent.
    pub fn drop_resumed(&mut self, packet_id: u16) -> Option<Dropped> {
        let turn = self.turn;
        let entry = self.entry(packet_id)?;
        if entry.phase != Phase::Resumed {
            return None;
        }
        if entry.qos == Qos::ExactlyOnce {
            entry.phase = Phase::Received;
            entry.turn = turn;
            let source = entry.source();
            self.turn = turn.wrapping_add(1);
            return Some(Dropped::Received(source));
        }
        self.remove(packet_id).map(Dropped::Completed)
    }

    /// PUBACK: ends a QoS 1 delivery; `None` where none with this identifier is in flight.
    pub fn acknowledge(&mut self, packet_id: u16) -> Option<Source> {
        let entry = self.entry(packet_id)?;
        if entry.qos != Qos::AtLeastOnce {
            return None;
        }
        self.remove(packet_id)
    }

    /// PUBREC.
    pub fn receive(&mut self, packet_id: u16, is_refused: bool) -> Pubrec {
        let turn = self.turn;
        let Some(entry) = self.entry(packet_id).filter(|entry| entry.qos == Qos::ExactlyOnce)
        else {
            return Pubrec::Unknown;
        };
        match entry.phase {
            Phase::Received => Pubrec::Repeated,
            Phase::Resumed | Phase::Sent if is_refused => {
                self.remove(packet_id).map_or(Pubrec::Unknown, Pubrec::Refused)
            }
            Phase::Resumed | Phase::Sent => {
                entry.phase = Phase::Received;
                entry.turn = turn;
                let source = entry.source();
                self.turn = turn.wrapping_add(1);
                Pubrec::Received(source)
            }
        }
    }

    /// PUBCOMP: ends a QoS 2 delivery; `None` where none with this identifier waits for it.
    pub fn complete(&mut self, packet_id: u16) -> Option<Source> {
        let entry = self.entry(packet_id)?;
        if entry.phase != Phase::Received {
            return None;
        }
        self.remove(packet_id)
    }

    /// What is open of a session, as the next connection of its client takes it over.
    #[must_use]
    pub fn unfinished(&self, slot: usize) -> Vec<OpenDelivery> {
        let mut open: Vec<(bool, u32, OpenDelivery)> = Vec::new();
        for (index, entry) in self.ring.iter().enumerate() {
            let Some(entry) = entry.as_ref().filter(|entry| usize::from(entry.slot) == slot) else {
                continue;
            };
            let is_received = entry.phase == Phase::Received;
            let delivery = OpenDelivery {
                packet_id: step(self.first, index),
                position: entry.source().position,
                qos: entry.qos,
                retain: entry.retain,
                is_received,
            };
            open.push((is_received, self.turn.wrapping_sub(entry.turn), delivery));
        }
        // The oldest turn lies furthest back: it is sent again first [MQTT-4.6.0-1].
        open.sort_by_key(|(is_received, age, _)| (*is_received, std::cmp::Reverse(*age)));
        open.into_iter().map(|(_, _, delivery)| delivery).collect()
    }

    fn next_turn(&mut self) -> u32 {
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        turn
    }

    fn index(&self, packet_id: u16) -> usize {
        (usize::from(packet_id) + CIRCLE - usize::from(self.first)) % CIRCLE
    }

    fn entry(&mut self, packet_id: u16) -> Option<&mut Entry> {
        let index = self.index(packet_id);
        self.ring.get_mut(index)?.as_mut()
    }

    fn remove(&mut self, packet_id: u16) -> Option<Source> {
        let index = self.index(packet_id);
        let entry = self.ring.get_mut(index)?.take()?;
        self.counted = self.counted.saturating_sub(entry.is_counted.into());
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first = step(self.first, 1);
        }
        if self.ring.is_empty() && self.ring.capacity() > KEPT {
            self.ring = VecDeque::new();
        }
        Some(entry.source())
    }
}

/// How many packet identifiers there are.
const CIRCLE: usize = u16::MAX as usize;

/// The identifier `count` steps behind `id` in the circle from 1 to 65,535.
fn step(id: u16, count: usize) -> u16 {
    let index = (usize::from(id) - 1 + count) % CIRCLE;
    u16::try_from(index).unwrap_or(0) + 1
}

/// The shortest arc of the circle that holds these identifiers: its first, and its length.
fn arc(mut ids: Vec<u16>) -> Option<(u16, usize)> {
    ids.sort_unstable();
    let (lowest, highest) = (*ids.first()?, *ids.last()?);
    let around = (usize::from(lowest) + CIRCLE - usize::from(highest), lowest);
    let gaps = ids.windows(2).map(|pair| (usize::from(pair[1] - pair[0]), pair[1]));
    let (gap, first) = gaps.chain([around]).max_by_key(|(gap, _)| *gap)?;
    Some((first, CIRCLE + 1 - gap))
}
