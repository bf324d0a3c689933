//! The codec of MQTT 3.1.1 and 5.0, for both ends of a connection.
//!
//! [`header`] finds a packet in a buffer, [`decode`] reads it, the `encode_…` functions append one
//! to a buffer. Decoded packets are views of the bytes they came from: nothing is allocated for a
//! packet. Everything that one packet by itself can do wrong is refused here, with the reason code
//! that the specification names for it. What takes a connection's state to see (a packet at the
//! wrong time or from the wrong side, a limit of CONNECT or CONNACK exceeded) is left to the owner
//! of the connection.
//!
//! No input makes it panic, it does no I/O and reads no clock.

mod ack;
mod auth;
mod connack;
mod connect;
mod cursor;
mod disconnect;
mod encode;
mod header;
mod property;
mod publish;
mod reasons;
mod suback;
mod subscribe;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;

use mqtt_plane::{ReasonCode, Version};

pub use ack::Ack;
pub use auth::Auth;
pub use connack::{Connack, ConnackProperties};
pub use connect::{Connect, ConnectProperties, WillView, connect_version};
pub use disconnect::Disconnect;
pub use encode::{
    AckKind, PublishExtras, TooLong, encode, encode_ack, encode_ack_with, encode_auth,
    encode_connack, encode_connect, encode_disconnect, encode_pingreq, encode_pingresp,
    encode_publish, encode_suback, encode_subscribe, encode_unsuback, encode_unsubscribe,
    publish_len, set_packet_id, set_publish_flags,
};
pub use header::{Header, MAX_REMAINING_LEN, PacketType, header};
pub use mqtt_plane::share;
pub use publish::{PublishPacket, SubscriptionIdIter, SubscriptionIdView};
pub use suback::{Suback, Unsuback};
pub use subscribe::{FilterIter, Subscribe, SubscriptionIter, Unsubscribe};
pub use user::User;

use cursor::Cursor;
use reasons::Reasons;

/// What is wrong with a packet. The connection cannot go on after it [MQTT-4.13.1-1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The code to tell the peer, in CONNACK or DISCONNECT. 3.1.1 has no way to tell it, but for
    /// an unsupported version.
    pub reason: ReasonCode,
    /// What was found, for the log and the Reason String.
    pub detail: &'static str,
}

impl Malformed {
    pub(super) const fn new(reason: ReasonCode, detail: &'static str) -> Self {
        Self { reason, detail }
    }

    /// A packet that cannot be parsed: 0x81.
    const fn packet(detail: &'static str) -> Self {
        Self::new(ReasonCode::MALFORMED_PACKET, detail)
    }

    /// A packet that can be parsed but says what the protocol does not allow: 0x82.
    const fn protocol(detail: &'static str) -> Self {
        Self::new(ReasonCode::PROTOCOL_ERROR, detail)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.reason)
    }
}

impl std::error::Error for Malformed {}

/// A control packet (MQTT 5.0 section 3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packet<'a> {
    /// Section 3.1, client to server.
    Connect(Connect<'a>),
    /// Section 3.2, server to client.
    Connack(Connack<'a>),
    /// Section 3.3, either way.
    Publish(PublishPacket<'a>),
    /// Section 3.4, either way.
    Puback(Ack<'a>),
    /// Section 3.5, either way.
    Pubrec(Ack<'a>),
    /// Section 3.6, either way.
    Pubrel(Ack<'a>),
    /// Section 3.7, either way.
    Pubcomp(Ack<'a>),
    /// Section 3.8, client to server.
    Subscribe(Subscribe<'a>),
    /// Section 3.9, server to client.
    Suback(Suback<'a>),
    /// Section 3.10, client to server.
    Unsubscribe(Unsubscribe<'a>),
    /// Section 3.11, server to client.
    Unsuback(Unsuback<'a>),
    /// Section 3.12, client to server.
    Pingreq,
    /// Section 3.13, server to client.
    Pingresp,
    /// Section 3.14, either way; in 3.1.1 client to server.
    Disconnect(Disconnect<'a>),
    /// Section 3.15, either way; not in 3.1.1.
    Auth(Auth<'a>),
}

/// Reads the one packet that fills `packet`, whose fixed header is `header`, as [`header()`] found
/// it. CONNECT names its own version; `version` is ignored for it.
///
/// # Errors
/// What makes the packet unacceptable by itself, and the reason code for it.
pub fn decode<'a>(
    version: Version,
    header: Header,
    packet: &'a [u8],
) -> Result<Packet<'a>, Malformed> {
    header::check_flags(header.first)?;
    let body = match packet.get(header.header_len..) {
        Some(body) if body.len() == header.remaining_len => body,
        _ => return Err(Malformed::packet("packet is not as long as its header says")),
    };
    let mut cursor = Cursor::new(body);
    let decoded = match header.packet_type() {
        // The payload of a PUBLISH takes all that is left, so there is no end to check.
        PacketType::Publish => {
            return publish::decode(version, header.first, cursor).map(Packet::Publish);
        }
        PacketType::Connect => Packet::Connect(connect::decode(&mut cursor)?),
        PacketType::Connack => Packet::Connack(connack::decode(version, &mut cursor)?),
        PacketType::Puback => Packet::Puback(ack::decode(version, Reasons::Received, &mut cursor)?),
        PacketType::Pubrec => Packet::Pubrec(ack::decode(version, Reasons::Received, &mut cursor)?),
        PacketType::Pubrel => Packet::Pubrel(ack::decode(version, Reasons::Released, &mut cursor)?),
        PacketType::Pubcomp => {
            Packet::Pubcomp(ack::decode(version, Reasons::Released, &mut cursor)?)
        }
        PacketType::Subscribe => Packet::Subscribe(subscribe::decode(version, &mut cursor)?),
        PacketType::Suback => Packet::Suback(suback::decode(version, &mut cursor)?),
        PacketType::Unsubscribe => {
            Packet::Unsubscribe(subscribe::decode_unsubscribe(version, &mut cursor)?)
        }
        PacketType::Unsuback => Packet::Unsuback(suback::decode_unsuback(version, &mut cursor)?),
        PacketType::Pingreq => Packet::Pingreq,
        PacketType::Pingresp => Packet::Pingresp,
        PacketType::Disconnect => Packet::Disconnect(disconnect::decode(version, &mut cursor)?),
        PacketType::Auth => match version {
            Version::V5 => Packet::Auth(auth::decode(&mut cursor)?),
            Version::V311 => return Err(header::RESERVED_TYPE),
        },
        PacketType::Reserved => return Err(header::RESERVED_TYPE),
    };
    cursor.finish()?;
    Ok(decoded)
}
