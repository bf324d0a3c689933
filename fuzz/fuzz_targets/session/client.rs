//! A client that counts what it sends and holds what comes back against it.

use std::collections::BTreeMap;
use std::time::Duration;

use mqtt::wire::{Packet, decode, header};
use mqtt_plane::{Qos, ReasonCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::exit::RECEIVE_MAXIMUM;

/// In paused time: as soon as nobody else has anything to do.
const SOON: Duration = Duration::from_micros(1);

/// Packets by their type and identifier.
type Counts = BTreeMap<(&'static str, u16), usize>;

pub struct Client {
    pub version: Version,
    io: Option<DuplexStream>,
    /// Bytes that the stream has not taken yet.
    unsent: Vec<u8>,
    sent: Vec<u8>,
    /// How much of `sent` is counted.
    counted: usize,
    received: Vec<u8>,
    has_connack: bool,
    pub is_over: bool,
    /// Whether it did not read for a while: its last packets may be cut off.
    pub was_away: bool,
    requests: Counts,
    answers: Counts,
    /// Identifiers of PUBLISHes of QoS 1 and 2, in the order in which they were sent.
    published: [Vec<u16>; 2],
    /// How many of those a successful answer was found for, or passed over.
    answered: [usize; 2],
    /// Deliveries of QoS 1 and 2 that came, less the acknowledgements that may have ended one.
    in_flight: i64,
    last_offset: i64,
    /// Payload bytes that came.
    pub payload: usize,
    /// Identifiers to acknowledge, in order of receipt.
    pub owed: Vec<(Qos, u16)>,
}

impl Client {
    pub fn new(version: Version, io: DuplexStream) -> Self {
        Self {
            version,
            io: Some(io),
            unsent: Vec::new(),
            sent: Vec::new(),
            counted: 0,
            received: Vec::new(),
            has_connack: false,
            is_over: false,
            was_away: false,
            requests: Counts::new(),
            answers: Counts::new(),
            published: Default::default(),
            answered: [0; 2],
            in_flight: 0,
            last_offset: -1,
            payload: 0,
            owed: Vec::new(),
        }
    }

    /// Appends a packet to what is sent next.
    pub fn packet(&mut self, first: u8, body: &[u8]) {
        self.unsent.push(first);
        let mut len = body.len();
        while len >= 128 {
            self.unsent.push((len % 128) as u8 | 128);
            len /= 128;
        }
        self.unsent.push(len as u8);
        self.unsent.extend(body);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// Sends what the server takes at present, `at_most` bytes.
    pub async fn flush(&mut self, at_most: usize) {
        let Some(io) = &mut self.io else { return };
        let mut left = at_most.min(self.unsent.len());
        while left > 0 {
            match tokio::time::timeout(SOON, io.write(&self.unsent[..left])).await {
                Ok(Ok(len)) => {
                    self.sent.extend(self.unsent.drain(..len));
                    left -= len;
                }
                Ok(Err(_)) => self.unsent.clear(),
                Err(_) => break,
            }
            left = left.min(self.unsent.len());
        }
        self.count_sent();
        tokio::time::sleep(SOON).await;
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Ends the stream as a client that is gone.
    pub fn close(&mut self) {
        self.io = None;
    }

    fn count_sent(&mut self) {
        while let Ok(Some(found)) = header(&self.sent[self.counted..]) {
            let end = self.counted + found.total_len();
            let Some(bytes) = self.sent.get(self.counted..end) else { return };
            self.counted = end;
            let Ok(packet) = decode(self.version, found, bytes) else { continue };
            let request = match packet {
                Packet::Publish(publish) => match publish.qos {
                    Qos::AtMostOnce => continue,
                    qos => {
                        self.published[qos as usize - 1].push(publish.packet_id);
                        let name = if qos == Qos::AtLeastOnce { "PUBACK" } else { "PUBREC" };
                        (name, publish.packet_id)
                    }
                },
                Packet::Pubrec(ack) => {
                    self.in_flight -= i64::from(ack.reason.is_error());
                    ("PUBREL", ack.packet_id)
                }
                Packet::Puback(_) | Packet::Pubcomp(_) => {
                    self.in_flight -= 1;
                    continue;
                }
                Packet::Pubrel(ack) => ("PUBCOMP", ack.packet_id),
                Packet::Subscribe(subscribe) => ("SUBACK", subscribe.packet_id),
                Packet::Unsubscribe(unsubscribe) => ("UNSUBACK", unsubscribe.packet_id),
                Packet::Pingreq => ("PINGRESP", 0),
                _ => continue,
            };
            *self.requests.entry(request).or_default() += 1;
        }
    }

    /// Reads what is there, and checks it.
    pub async fn read(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(io) = &mut self.io {
            match tokio::time::timeout(SOON, io.read(&mut buffer)).await {
                Err(_) => break,
                Ok(Ok(0) | Err(_)) => {
                    assert!(self.received.is_empty() || self.was_away, "a packet was cut off");
                    self.is_over = true;
                    self.io = None;
                }
                Ok(Ok(len)) => {
                    assert!(!self.is_over, "nothing comes behind DISCONNECT");
                    self.received.extend(&buffer[..len]);
                    self.take_packets();
                }
            }
        }
    }

    fn take_packets(&mut self) {
        let received = std::mem::take(&mut self.received);
        let mut rest = &received[..];
        while let Some(found) = header(rest).expect("a well-formed header") {
            let Some((bytes, behind)) = rest.split_at_checked(found.total_len()) else { break };
            assert!(!self.is_over, "nothing comes behind DISCONNECT");
            self.take_packet(&decode(self.version, found, bytes).expect("well-formed"));
            rest = behind;
        }
        self.received = rest.to_owned();
    }

    fn take_packet(&mut self, packet: &Packet<'_>) {
        let is_connack = matches!(packet, Packet::Connack(_));
        assert_eq!(is_connack, !self.has_connack, "CONNACK first, and once: {packet:?}");
        let answer = match packet {
            Packet::Connack(_) => {
                self.has_connack = true;
                return;
            }
            Packet::Publish(publish) => {
                return self.take_delivery(publish.qos, publish.packet_id, publish.payload);
            }
            Packet::Disconnect(_) => {
                self.is_over = true;
                return;
            }
            Packet::Puback(ack) => {
                self.check_order(Qos::AtLeastOnce, ack.packet_id, ack.reason);
                ("PUBACK", ack.packet_id)
            }
            Packet::Pubrec(ack) => {
                self.check_order(Qos::ExactlyOnce, ack.packet_id, ack.reason);
                ("PUBREC", ack.packet_id)
            }
            Packet::Pubrel(ack) => ("PUBREL", ack.packet_id),
            Packet::Pubcomp(ack) => ("PUBCOMP", ack.packet_id),
            Packet::Suback(suback) => ("SUBACK", suback.packet_id),
            Packet::Unsuback(unsuback) => ("UNSUBACK", unsuback.packet_id),
            Packet::Pingresp => ("PINGRESP", 0),
            other => panic!("{other:?} is no server's"),
        };
        let count = self.answers.entry(answer).or_default();
        *count += 1;
        let asked = self.requests.get(&answer).copied().unwrap_or(0);
        assert!(*count <= asked, "{answer:?}: {count} for {asked}");
    }

    /// Each of QoS 1 and 2 is acknowledged in its order; a repeated PUBLISH may have no answer.
    fn check_order(&mut self, qos: Qos, packet_id: u16, reason: ReasonCode) {
        if reason == ReasonCode::PACKET_IDENTIFIER_IN_USE {
            return;
        }
        let at = qos as usize - 1;
        let behind = &self.published[at][self.answered[at]..];
        let found = behind.iter().position(|&id| id == packet_id);
        self.answered[at] += found.expect("answers in the order of the publishes") + 1;
    }

    fn take_delivery(&mut self, qos: Qos, packet_id: u16, payload: &[u8]) {
        let (offset, payload) = payload.split_first_chunk().expect("an offset");
        let offset = i64::from_be_bytes(*offset);
        assert!(offset > self.last_offset, "in order, and once");
        self.last_offset = offset;
        self.payload += payload.len();
        if qos != Qos::AtMostOnce {
            self.in_flight += 1;
            let is_bounded =
                self.version == Version::V311 || self.in_flight <= i64::from(RECEIVE_MAXIMUM);
            assert!(is_bounded, "Receive Maximum");
            self.owed.push((qos, packet_id));
        }
    }

    /// Whether all that was sent are whole packets.
    pub fn is_understood(&self) -> bool {
        self.has_connack && self.counted == self.sent.len()
    }

    /// Behind the last answer of the exit nothing is owed any more.
    pub fn check_answered(&self) {
        for (request, asked) in &self.requests {
            let count = self.answers.get(request).copied().unwrap_or(0);
            match request.0 {
                // Identifiers that are in use, and acknowledgements for nothing.
                "PUBACK" | "PUBREC" | "PUBREL" => assert!(count >= 1 || request.0 == "PUBREL"),
                _ => assert_eq!(count, *asked, "{request:?}"),
            }
        }
    }
}
