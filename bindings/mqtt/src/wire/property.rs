//! Properties (MQTT 5.0 section 2.2.2).

use mqtt_plane::{PayloadFormat, Qos, ReasonCode};

use super::{Malformed, cursor::Cursor};

/// One property, its value checked.
pub(super) enum Property<'a> {
    PayloadFormat(PayloadFormat),
    MessageExpiry(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionId(u32),
    SessionExpiry(u32),
    AssignedClientId(&'a str),
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(bool),
    WillDelay(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQos(Qos),
    RetainAvailable(bool),
    User(&'a str, &'a str),
    MaximumPacketSize(u32),
    WildcardSubscriptionAvailable(bool),
    SubscriptionIdAvailable(bool),
    SharedSubscriptionAvailable(bool),
}

/// The identifiers of section 2.2.2.2.
pub(super) mod id {
    pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION_DATA: u8 = 0x09;
    pub(crate) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(crate) const SESSION_EXPIRY: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(crate) const WILL_DELAY: u8 = 0x18;
    pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(crate) const SERVER_REFERENCE: u8 = 0x1C;
    pub(crate) const REASON_STRING: u8 = 0x1F;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(crate) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_ID_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

/// A set of property identifiers, all of which are below 64.
#[derive(Clone, Copy)]
pub(super) struct Set(u64);

impl Set {
    const ALL: Self = Self(u64::MAX);
    const NONE: Self = Self(0);

    const fn of(ids: &[u8]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < ids.len() {
            bits |= 1 << ids[at];
            at += 1;
        }
        Self(bits)
    }

    pub(super) const CONNECT: Self = Self::of(&[
        id::SESSION_EXPIRY,
        id::RECEIVE_MAXIMUM,
        id::MAXIMUM_PACKET_SIZE,
        id::TOPIC_ALIAS_MAXIMUM,
        id::REQUEST_RESPONSE_INFORMATION,
        id::REQUEST_PROBLEM_INFORMATION,
        id::USER,
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
    ]);
    pub(super) const WILL: Self = Self::of(&[
        id::WILL_DELAY,
        id::PAYLOAD_FORMAT,
        id::MESSAGE_EXPIRY,
        id::CONTENT_TYPE,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::USER,
    ]);
    pub(super) const CONNACK: Self = Self::of(&[
        id::SESSION_EXPIRY,
        id::RECEIVE_MAXIMUM,
        id::MAXIMUM_QOS,
        id::RETAIN_AVAILABLE,
        id::MAXIMUM_PACKET_SIZE,
        id::ASSIGNED_CLIENT_ID,
        id::TOPIC_ALIAS_MAXIMUM,
        id::REASON_STRING,
        id::USER,
        id::WILDCARD_SUBSCRIPTION_AVAILABLE,
        id::SUBSCRIPTION_ID_AVAILABLE,
        id::SHARED_SUBSCRIPTION_AVAILABLE,
        id::SERVER_KEEP_ALIVE,
        id::RESPONSE_INFORMATION,
        id::SERVER_REFERENCE,
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
    ]);
    pub(super) const PUBLISH: Self = Self::of(&[
        id::PAYLOAD_FORMAT,
        id::MESSAGE_EXPIRY,
        id::TOPIC_ALIAS,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::USER,
        id::SUBSCRIPTION_ID,
        id::CONTENT_TYPE,
    ]);
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
    pub(super) const ACK: Self = Self::of(&[id::REASON_STRING, id::USER]);
    pub(super) const SUBSCRIBE: Self = Self::of(&[id::SUBSCRIPTION_ID, id::USER]);
    pub(super) const UNSUBSCRIBE: Self = Self::of(&[id::USER]);
    pub(super) const DISCONNECT: Self =
        Self::of(&[id::SESSION_EXPIRY, id::REASON_STRING, id::USER, id::SERVER_REFERENCE]);
    pub(super) const AUTH: Self = Self::of(&[
        id::AUTHENTICATION_METHOD,
        id::AUTHENTICATION_DATA,
        id::REASON_STRING,
        id::USER,
    ]);
}

/// Reads a property block, property by property.
pub(super) struct Properties<'a> {
    cursor: Cursor<'a>,
    allowed: Set,
    repeatable: Set,
    seen: Set,
}

impl<'a> Properties<'a> {
    /// A block of a packet that may carry `allowed`; User Property may repeat.
    pub(super) const fn new(block: &'a [u8], allowed: Set) -> Self {
        Self::with(block, allowed, Set::of(&[id::USER]))
    }

    /// The block of a PUBLISH: Subscription Identifier may repeat too.
    pub(super) const fn of_publish(block: &'a [u8]) -> Self {
        Self::with(block, Set::PUBLISH, Set::of(&[id::USER, id::SUBSCRIPTION_ID]))
    }

    /// A block that was read before, in its packet.
    pub(super) const fn checked(block: &'a [u8]) -> Self {
        Self::with(block, Set::ALL, Set::ALL)
    }

    const fn with(block: &'a [u8], allowed: Set, repeatable: Set) -> Self {
        Self { cursor: Cursor::new(block), allowed, repeatable, seen: Set::NONE }
    }

    /// Whether the block has a User Property, as far as it is read.
    pub(super) const fn has_user(&self) -> bool {
        self.seen.0 & Set::of(&[id::USER]).0 != 0
    }

    /// Whether the block has a Subscription Identifier, as far as it is read.
    pub(super) const fn has_subscription_id(&self) -> bool {
        self.seen.0 & Set::of(&[id::SUBSCRIPTION_ID]).0 != 0
    }

    /// The next property, `None` behind the last.
    ///
    /// An identifier that the packet does not have is malformed (section 2.2.2.2); a repeat, or a
    /// value out of its range, is a protocol error (at each property in section 3).
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Property<'a>>, Malformed> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        // All identifiers fit one byte, but they are Variable Byte Integers by definition.
        let id = self.cursor.varint()?;
        let bit = 1_u64.checked_shl(id).unwrap_or(0);
        if self.allowed.0 & bit == 0 {
            return Err(Malformed::packet("property that this packet does not have"));
        }
        if self.seen.0 & bit & !self.repeatable.0 != 0 {
            return Err(Malformed::protocol("property more than once"));
        }
        self.seen.0 |= bit;
        self.value(id).map(Some)
    }

    fn value(&mut self, id: u32) -> Result<Property<'a>, Malformed> {
        let cursor = &mut self.cursor;
        let id = u8::try_from(id).unwrap_or(0);
        Ok(match id {
            id::PAYLOAD_FORMAT => Property::PayloadFormat(match cursor.u8()? {
                0 => PayloadFormat::Bytes,
                1 => PayloadFormat::Utf8,
                _ => {
                    return Err(Malformed::protocol("Payload Format Indicator is neither 0 nor 1"));
                }
            }),
            id::MESSAGE_EXPIRY => Property::MessageExpiry(cursor.u32()?),
            // [MQTT-3.3.2-19]
            id::CONTENT_TYPE => Property::ContentType(cursor.string()?),
            id::RESPONSE_TOPIC => Property::ResponseTopic(response_topic(cursor)?),
            id::CORRELATION_DATA => Property::CorrelationData(cursor.binary()?),
            id::SUBSCRIPTION_ID => match cursor.varint()? {
                0 => return Err(Malformed::protocol("Subscription Identifier is 0")),
                value => Property::SubscriptionId(value),
            },
            id::SESSION_EXPIRY => Property::SessionExpiry(cursor.u32()?),
            id::ASSIGNED_CLIENT_ID => Property::AssignedClientId(cursor.string()?),
            id::SERVER_KEEP_ALIVE => Property::ServerKeepAlive(cursor.u16()?),
            id::AUTHENTICATION_METHOD => Property::AuthenticationMethod(cursor.string()?),
            id::AUTHENTICATION_DATA => Property::AuthenticationData(cursor.binary()?),
            id::REQUEST_PROBLEM_INFORMATION => Property::RequestProblemInformation(bool(cursor)?),
            id::WILL_DELAY => Property::WillDelay(cursor.u32()?),
            id::REQUEST_RESPONSE_INFORMATION => Property::RequestResponseInformation(bool(cursor)?),
            id::RESPONSE_INFORMATION => Property::ResponseInformation(cursor.string()?),
            id::SERVER_REFERENCE => Property::ServerReference(cursor.string()?),
            id::REASON_STRING => Property::ReasonString(cursor.string()?),
            id::RECEIVE_MAXIMUM => match cursor.u16()? {
                0 => return Err(Malformed::protocol("Receive Maximum is 0")),
                value => Property::ReceiveMaximum(value),
            },
            id::TOPIC_ALIAS_MAXIMUM => Property::TopicAliasMaximum(cursor.u16()?),
            id::TOPIC_ALIAS => match cursor.u16()? {
                // [MQTT-3.3.2-8]
                0 => {
                    return Err(Malformed::new(
                        ReasonCode::TOPIC_ALIAS_INVALID,
                        "Topic Alias is 0",
                    ));
                }
                value => Property::TopicAlias(value),
            },
            id::MAXIMUM_QOS => Property::MaximumQos(match cursor.u8()? {
                0 => Qos::AtMostOnce,
                1 => Qos::AtLeastOnce,
                _ => return Err(Malformed::protocol("Maximum QoS is neither 0 nor 1")),
            }),
            id::RETAIN_AVAILABLE => Property::RetainAvailable(bool(cursor)?),
            // [MQTT-1.5.7-1]
            id::USER => {
                let name = cursor.string()?;
                Property::User(name, cursor.string()?)
            }
            id::MAXIMUM_PACKET_SIZE => match cursor.u32()? {
                0 => return Err(Malformed::protocol("Maximum Packet Size is 0")),
                value => Property::MaximumPacketSize(value),
            },
            id::WILDCARD_SUBSCRIPTION_AVAILABLE => {
                Property::WildcardSubscriptionAvailable(bool(cursor)?)
            }
            id::SUBSCRIPTION_ID_AVAILABLE => Property::SubscriptionIdAvailable(bool(cursor)?),
            id::SHARED_SUBSCRIPTION_AVAILABLE => {
                Property::SharedSubscriptionAvailable(bool(cursor)?)
            }
            _ => return Err(Malformed::packet("unknown property")),
        })
    }
}

fn bool(cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::protocol("property is neither 0 nor 1")),
    }
}

/// A Response Topic is a string [MQTT-3.3.2-13], a Topic Name without wildcards [MQTT-3.3.2-14],
/// and not empty [MQTT-4.7.3-1]. It is not the topic of the packet, hence not 0x90.
fn response_topic<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Malformed> {
    match cursor.topic() {
        Ok("") => Err(Malformed::protocol("Response Topic is empty")),
        Err(error) if error.reason == ReasonCode::TOPIC_NAME_INVALID => {
            Err(Malformed::protocol("Response Topic contains a wildcard character"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Version;

    use super::*;
    use crate::wire::tests::{bytes, framed, read};

    /// The packets that carry properties: first byte, what precedes the properties, what follows.
    const PACKETS: [(&str, u8, &str, &str); 14] = [
        ("connect", 0x10, r#""MQTT" 05 02 0000"#, r#""c""#),
        ("will", 0x10, r#""MQTT" 05 06 0000 00 "c""#, r#""w" "p""#),
        ("connack", 0x20, "00 00", ""),
        ("publish", 0x30, r#""a""#, ""),
        ("puback", 0x40, "0001 00", ""),
        ("pubrec", 0x50, "0001 00", ""),
        ("pubrel", 0x62, "0001 00", ""),
        ("pubcomp", 0x70, "0001 00", ""),
        ("subscribe", 0x82, "0001", r#""f" 00"#),
        ("suback", 0x90, "0001", "00"),
        ("unsubscribe", 0xA2, "0001", r#""f""#),
        ("unsuback", 0xB0, "0001", "00"),
        ("disconnect", 0xE0, "00", ""),
        ("auth", 0xF0, "18", ""),
    ];

    /// Section 2.2.2.2: a value of each property, and the packets that have it.
    const TABLE: [(u8, &str, &str); 27] = [
        (0x01, "01", "publish will"),
        (0x02, "00000001", "publish will"),
        (0x03, r#""t""#, "publish will"),
        (0x08, r#""r""#, "publish will"),
        (0x09, r#""d""#, "publish will"),
        (0x0B, "01", "publish subscribe"),
        (0x11, "00000001", "connect connack disconnect"),
        (0x12, r#""c""#, "connack"),
        (0x13, "0001", "connack"),
        (0x15, r#""M""#, "connect connack auth"),
        (0x16, r#""d""#, "connect connack auth"),
        (0x17, "01", "connect"),
        (0x18, "00000001", "will"),
        (0x19, "01", "connect"),
        (0x1A, r#""i""#, "connack"),
        (0x1C, r#""s""#, "connack disconnect"),
        (0x1F, r#""r""#, "connack puback pubrec pubrel pubcomp suback unsuback disconnect auth"),
        (0x21, "0001", "connect connack"),
        (0x22, "0001", "connect connack"),
        (0x23, "0001", "publish"),
        (0x24, "01", "connack"),
        (0x25, "01", "connack"),
        (
            0x26,
            r#""k" "v""#,
            "connect connack publish will puback pubrec pubrel pubcomp subscribe suback \
             unsubscribe unsuback disconnect auth",
        ),
        (0x27, "00000001", "connect connack"),
        (0x28, "01", "connack"),
        (0x29, "01", "connack"),
        (0x2A, "01", "connack"),
    ];

    /// What a packet with these properties is refused for.
    fn refusal(
        (name, first, before, after): (&str, u8, &str, &str),
        mut properties: Vec<u8>,
        id: u8,
    ) -> Option<Malformed> {
        // What Authentication Data, and every AUTH, needs beside it.
        if id != id::AUTHENTICATION_METHOD && matches!(name, "auth" | "connect") {
            properties.extend(bytes(r#"15 "M""#));
        }
        let mut body = bytes(before);
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend(properties);
        body.extend(bytes(after));
        read(Version::V5, &framed(first, &body)).err()
    }

    #[test]
    fn each_packet_has_its_properties_and_no_others() {
        for id in 0..=0x7F {
            let (value, owners) = TABLE
                .iter()
                .find(|(listed, ..)| *listed == id)
                .map_or((Vec::new(), ""), |&(_, value, owners)| (bytes(value), owners));
            let property = [vec![id], value].concat();
            for packet in PACKETS {
                let name = packet.0;
                let once = refusal(packet, property.clone(), id);
                let twice = refusal(packet, property.repeat(2), id);
                let repeats = id == id::USER || (id, name) == (id::SUBSCRIPTION_ID, "publish");
                if owners.split_whitespace().any(|owner| owner == name) {
                    assert_eq!(once, None, "0x{id:02x} in {name}");
                    let expected =
                        (!repeats).then_some(Malformed::protocol("property more than once"));
                    assert_eq!(twice, expected, "0x{id:02x} twice in {name}");
                } else {
                    let expected = Malformed::packet("property that this packet does not have");
                    assert_eq!(once, Some(expected), "0x{id:02x} in {name}");
                }
            }
        }
    }

    #[test]
    fn each_property_is_refused_where_it_is_cut_off() {
        for (id, value, owners) in TABLE {
            let property = [vec![id], bytes(value)].concat();
            for packet in PACKETS {
                if owners.split_whitespace().any(|owner| owner == packet.0) {
                    for len in 1..property.len() {
                        // Nothing behind it that it could take for its rest.
                        let packet = if packet.0 == "auth" || packet.0 == "connect" {
                            continue;
                        } else {
                            packet
                        };
                        let refusal = refusal(packet, property[..len].to_vec(), id);
                        let expected = Malformed::packet("packet ends within a field");
                        assert_eq!(refusal, Some(expected), "0x{id:02x} in {}", packet.0);
                    }
                }
            }
        }
    }
}
