//! Encoding. Each function appends one packet to a buffer, and allocates nothing but the buffer's
//! growth.
//!
//! Strings are taken as they are, checked for their length only: U+0000 [MQTT-1.5.4-2] and
//! wildcards in topic names [MQTT-3.3.2-2] are the caller's to keep out. A reason code that a
//! packet does not have is sent as the general one of its kind, and what 3.1.1 does not have is
//! left out.

mod connection;
mod publish;
mod subscription;
mod writer;

use std::fmt;

use mqtt_plane::{ReasonCode, Version};

use super::header::PacketType;
use super::reasons::Reasons;
use super::{Ack, Packet};

pub use connection::{encode_auth, encode_connack, encode_connect, encode_disconnect};
pub use publish::{PublishExtras, encode_publish, publish_len, set_packet_id, set_publish_flags};
pub use subscription::{encode_suback, encode_subscribe, encode_unsuback, encode_unsubscribe};

/// What MQTT cannot say: a string or binary field of more than 65,535 bytes [MQTT-4.7.3-3], an
/// integer or a packet of more than 268,435,455. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packet, or a field of it, is longer than MQTT allows")
    }
}

impl std::error::Error for TooLong {}

/// Which of the acknowledgements of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// QoS 1, complete.
    Puback,
    /// QoS 2, first step.
    Pubrec,
    /// QoS 2, second step.
    Pubrel,
    /// QoS 2, complete.
    Pubcomp,
}

impl AckKind {
    const fn first(self) -> u8 {
        match self {
            Self::Puback => first(PacketType::Puback),
            Self::Pubrec => first(PacketType::Pubrec),
            Self::Pubrel => first(PacketType::Pubrel),
            Self::Pubcomp => first(PacketType::Pubcomp),
        }
    }

    const fn reasons(self) -> Reasons {
        match self {
            Self::Puback | Self::Pubrec => Reasons::Received,
            Self::Pubrel | Self::Pubcomp => Reasons::Released,
        }
    }
}

/// The first byte of a packet other than PUBLISH [MQTT-2.1.3-1].
const fn first(packet: PacketType) -> u8 {
    let flags = match packet {
        PacketType::Pubrel | PacketType::Subscribe | PacketType::Unsubscribe => 0b0010,
        _ => 0,
    };
    (packet as u8) << 4 | flags
}

/// Appends any packet. CONNECT is encoded in its own version.
///
/// # Errors
/// [`TooLong`].
pub fn encode(out: &mut Vec<u8>, version: Version, packet: &Packet<'_>) -> Result<(), TooLong> {
    match packet {
        Packet::Connect(connect) => encode_connect(out, connect),
        Packet::Connack(connack) => encode_connack(out, version, connack),
        Packet::Publish(packet) => {
            let extras = PublishExtras {
                dup: packet.dup,
                packet_id: packet.packet_id,
                topic_alias: packet.topic_alias,
                subscription_ids: packet.subscription_ids,
                ..PublishExtras::of(&packet.publish())
            };
            encode_publish(out, version, &packet.publish(), &extras).map(drop)
        }
        Packet::Puback(ack) => encode_ack_with(out, version, AckKind::Puback, ack),
        Packet::Pubrec(ack) => encode_ack_with(out, version, AckKind::Pubrec, ack),
        Packet::Pubrel(ack) => encode_ack_with(out, version, AckKind::Pubrel, ack),
        Packet::Pubcomp(ack) => encode_ack_with(out, version, AckKind::Pubcomp, ack),
        Packet::Subscribe(subscribe) => subscription::subscribe_packet(out, version, subscribe),
        Packet::Suback(suback) => subscription::suback_packet(out, version, suback),
        Packet::Unsubscribe(packet) => subscription::unsubscribe_packet(out, version, packet),
        Packet::Unsuback(unsuback) => subscription::unsuback_packet(out, version, unsuback),
        Packet::Pingreq => {
            encode_pingreq(out);
            Ok(())
        }
        Packet::Pingresp => {
            encode_pingresp(out);
            Ok(())
        }
        Packet::Disconnect(disconnect) => encode_disconnect(out, version, disconnect),
        Packet::Auth(auth) => encode_auth(out, auth),
    }
}

/// Appends an acknowledgement without properties: 4 bytes, or 5 with a reason other than success.
/// That is never what makes it too large: [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2],
/// [MQTT-3.5.2-3], [MQTT-3.6.2-2], [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3]. 3.1.1 has no
/// reason codes: there a refusal acknowledges all the same.
#[inline]
pub fn encode_ack(
    out: &mut Vec<u8>,
    version: Version,
    kind: AckKind,
    packet_id: u16,
    reason: ReasonCode,
) {
    let [high, low] = packet_id.to_be_bytes();
    let reason = kind.reasons().sendable(reason);
    if version == Version::V311 || reason == ReasonCode::SUCCESS {
        out.extend_from_slice(&[kind.first(), 2, high, low]);
    } else {
        out.extend_from_slice(&[kind.first(), 3, high, low, reason.0]);
    }
}

/// Appends an acknowledgement with its properties. Whether the peer wants them [MQTT-3.1.2-29] and
/// takes a packet that large [MQTT-3.4.2-2] is the caller's to know.
///
/// # Errors
/// [`TooLong`].
pub fn encode_ack_with(
    out: &mut Vec<u8>,
    version: Version,
    kind: AckKind,
    ack: &Ack<'_>,
) -> Result<(), TooLong> {
    if version == Version::V311 || !writer::has_ack_properties(ack.reason_string, ack.user) {
        encode_ack(out, version, kind, ack.packet_id, ack.reason);
        return Ok(());
    }
    writer::packet(out, kind.first(), |w| {
        w.u16(ack.packet_id);
        w.u8(kind.reasons().sendable(ack.reason).0);
        w.ack_properties(ack.reason_string, ack.user);
    })
}

/// Appends a PINGREQ.
pub fn encode_pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[first(PacketType::Pingreq), 0]);
}

/// Appends a PINGRESP.
pub fn encode_pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[first(PacketType::Pingresp), 0]);
}
