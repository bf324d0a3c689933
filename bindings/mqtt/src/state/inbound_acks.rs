//! QoS 1 and QoS 2 publishes of a client that are not complete yet.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use mqtt_plane::{Qos, ReasonCode, Ticket, Version};

/// Set in every ticket of a publish, so that none is 0, which asks for no answer.
const MARK: Ticket = 1 << 31;

/// Memory kept while nothing is outstanding, entries.
const KEPT: usize = 16;

/// The publishes that a client waits for.
///
/// An exit may answer them in any order; they are acknowledged in order of receipt
/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]. PUBREC leaves the packet identifier of a QoS 2 publish behind,
/// until PUBREL: meanwhile the same publish is not taken again [MQTT-4.3.3-10].
#[derive(Debug, Default)]
pub struct InboundAcks {
    entries: VecDeque<Entry>,
    /// The ticket of the first entry.
    first: Ticket,
    /// Whether the packet identifiers of the entries follow each other, as most clients choose
    /// them: then one of them is found without a search.
    has_gaps: bool,
    /// Entries that stand for a publish that was taken before.
    repeats: u16,
    /// Boxed, since most clients publish nothing at QoS 2.
    received: Option<Box<Received>>,
}

/// Packet identifiers that PUBREC was sent for and PUBREL has not come for, ascending.
#[derive(Debug, Default)]
struct Received {
    /// Of publishes of this connection.
    here: VecDeque<u16>,
    /// Of publishes of an earlier one. They do not count for Receive Maximum (section 4.9).
    before: VecDeque<u16>,
}

#[derive(Debug)]
struct Entry {
    packet_id: u16,
    qos: Qos,
    /// Whether it stands for a publish that was taken before.
    is_repeat: bool,
    reason: Option<ReasonCode>,
}

/// What a packet identifier is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// A publish of this QoS waits for the exit's answer.
    Waiting(Qos),
    /// A QoS 2 publish was taken and is not released.
    Received,
}

/// A publish to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Its packet identifier [MQTT-2.2.1-5].
    pub packet_id: u16,
    /// 1: PUBACK; 2: PUBREC.
    pub qos: Qos,
    /// The code.
    pub reason: ReasonCode,
}

impl InboundAcks {
    /// Takes over what an earlier connection left: identifiers of QoS 2 publishes that are taken
    /// and not released.
    pub fn resume(&mut self, mut received: Vec<u16>) {
        received.sort_unstable();
        received.dedup();
        self.received = (!received.is_empty())
            .then(|| Box::new(Received { here: VecDeque::new(), before: received.into() }));
    }

    /// How many publishes wait for the exit's answer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// How many publishes of this connection are not complete: what Receive Maximum bounds.
    #[must_use]
    pub fn open(&self) -> usize {
        let received = self.received.as_ref().map_or(0, |received| received.here.len());
        self.entries.len() - usize::from(self.repeats) + received
    }

    /// Whether none waits for the exit's answer.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a QoS 2 publish waits for the exit's answer: until it is there, nobody knows whether
    /// the message is to be taken when the client sends it again.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.entries.iter().any(|entry| entry.qos == Qos::ExactlyOnce && entry.reason.is_none())
    }

    /// The identifiers of QoS 2 publishes that are taken and not released, whether their PUBREC was
    /// sent or not.
    #[must_use]
    pub fn received(&self) -> Vec<u16> {
        let lists = self.received.iter().flat_map(|received| received.lists());
        let is_taken = |entry: &&Entry| {
            let is_success = entry.reason.is_some_and(|reason| !reason.is_error());
            entry.qos == Qos::ExactlyOnce && is_success && !entry.is_repeat
        };
        let unsent = self.entries.iter().filter(is_taken).map(|entry| entry.packet_id);
        lists.flatten().copied().chain(unsent).collect()
    }

    /// What a packet identifier is in use for.
    #[must_use]
    pub fn in_use(&self, packet_id: u16) -> Option<InUse> {
        if let Some(entry) = self.find(packet_id) {
            return Some(InUse::Waiting(entry.qos));
        }
        let mut lists = self.received.iter().flat_map(|received| received.lists());
        lists.any(|list| list.binary_search(&packet_id).is_ok()).then_some(InUse::Received)
    }

    fn find(&self, packet_id: u16) -> Option<&Entry> {
        let first = self.entries.front()?;
        if self.has_gaps {
            self.entries.iter().find(|entry| entry.packet_id == packet_id && !entry.is_repeat)
        } else {
            self.entries.get(distance(first.packet_id, packet_id)).filter(|entry| !entry.is_repeat)
        }
    }

    /// Adds a publish; returns the ticket to publish it with. Its identifier must not be in use.
    pub fn begin(&mut self, packet_id: u16, qos: Qos) -> Ticket {
        self.push(Entry { packet_id, qos, is_repeat: false, reason: None })
    }

    /// Adds a QoS 2 publish that was received before: it is answered in its turn, and not taken.
    pub fn repeat(&mut self, packet_id: u16) {
        // The client counts it anew.
        if let Some(received) = &mut self.received
            && let Ok(at) = received.before.binary_search(&packet_id)
        {
            received.before.remove(at);
            received.keep(packet_id);
        }
        let reason = Some(ReasonCode::SUCCESS);
        self.repeats += 1;
        self.push(Entry { packet_id, qos: Qos::ExactlyOnce, is_repeat: true, reason });
    }

    fn push(&mut self, entry: Entry) -> Ticket {
        self.has_gaps = match (self.entries.front(), self.entries.back()) {
            (Some(_), Some(last)) => {
                self.has_gaps || distance(last.packet_id, entry.packet_id) != 1
            }
            _ => false,
        };
        let len = Ticket::try_from(self.entries.len()).unwrap_or(0);
        self.entries.push_back(entry);
        MARK | self.first.wrapping_add(len)
    }

    /// The publish of `ticket` has been answered. A ticket that is unknown changes nothing.
    pub fn complete(&mut self, ticket: Ticket, reason: ReasonCode) {
        let index = (ticket & !MARK).wrapping_sub(self.first) & !MARK;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.reason = Some(reason);
        }
    }

    /// The code of the publish that is to be acknowledged next, if its answer is there.
    #[must_use]
    pub fn answer(&self) -> Option<ReasonCode> {
        self.entries.front()?.reason
    }

    /// Acknowledges the next publish, if its answer is there: PUBACK frees the packet identifier
    /// [MQTT-4.3.2-5]. In 5.0 a refusal does, too [MQTT-4.3.3-9]; 3.1.1 cannot refuse, and its
    /// client releases it as any other.
    pub fn acknowledge(&mut self, version: Version) -> Option<Acknowledgement> {
        let reason = self.answer()?;
        let Entry { packet_id, qos, is_repeat, .. } = self.entries.pop_front()?;
        self.first = self.first.wrapping_add(1) & !MARK;
        self.repeats -= u16::from(is_repeat);
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            self.entries = VecDeque::new();
        }
        let is_refused = version == Version::V5 && reason.is_error();
        if qos == Qos::ExactlyOnce && !is_repeat && !is_refused {
            self.received.get_or_insert_default().keep(packet_id);
        }
        Some(Acknowledgement { packet_id, qos, reason })
    }

    /// PUBREL: the client has released a packet identifier, which is free from PUBCOMP on
    /// [MQTT-4.3.3-12]. `false` where it was not received.
    #[must_use]
    pub fn release(&mut self, packet_id: u16) -> bool {
        let Some(received) = &mut self.received else { return false };
        let Received { here, before } = &mut **received;
        for list in [here, before] {
            if let Ok(at) = list.binary_search(&packet_id) {
                list.remove(at);
                if list.is_empty() && list.capacity() > KEPT {
                    *list = VecDeque::new();
                }
                return true;
            }
        }
        false
    }
}

impl Received {
    fn lists(&self) -> [&VecDeque<u16>; 2] {
        [&self.here, &self.before]
    }

    fn keep(&mut self, packet_id: u16) {
        if let Err(at) = self.here.binary_search(&packet_id) {
            self.here.insert(at, packet_id);
        }
    }
}

/// How far `to` lies behind `from` in the circle of packet identifiers, 1 to 65,535.
fn distance(from: u16, to: u16) -> usize {
    let (from, to) = (usize::from(from), usize::from(to));
    if to >= from { to - from } else { to + usize::from(u16::MAX) - from }
}
