//! PUBLISH (MQTT 5.0 section 3.3).

use std::fmt;

use mqtt_plane::{PayloadFormat, Publish, PublishProperties, Qos, Version};

use super::cursor::Cursor;
use super::property::{Properties, Property};
use super::{Malformed, User};

/// An application message on a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishPacket<'a> {
    /// DUP; never with QoS 0.
    pub dup: bool,
    /// QoS.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
    /// Topic Name, without wildcards. Empty only with a topic alias, which stands for it then.
    pub topic: &'a str,
    /// Packet Identifier, not 0; with QoS 0, which has none, it is 0 [MQTT-2.2.1-2].
    pub packet_id: u16,
    /// Topic Alias, not 0. Whether it is within the Topic Alias Maximum is not checked.
    pub topic_alias: Option<u16>,
    /// Payload Format Indicator. Whether the payload keeps to it is not checked: see
    /// [`PublishPacket::keeps_payload_format`].
    pub payload_format: Option<PayloadFormat>,
    /// Message Expiry Interval, seconds.
    pub message_expiry: Option<u32>,
    /// Content Type.
    pub content_type: Option<&'a str>,
    /// Response Topic, checked as a topic name.
    pub response_topic: Option<&'a str>,
    /// Correlation Data.
    pub correlation_data: Option<&'a [u8]>,
    /// User Property, in order.
    pub user: User<'a>,
    /// Subscription Identifiers, from a server only.
    pub subscription_ids: SubscriptionIdView<'a>,
    /// The payload, all that is behind the properties.
    pub payload: &'a [u8],
}

impl PublishPacket<'_> {
    /// The properties that belong to the message.
    #[must_use]
    pub const fn properties(&self) -> PublishProperties<'_> {
        PublishProperties {
            payload_format: self.payload_format,
            message_expiry: self.message_expiry,
            content_type: self.content_type,
            response_topic: self.response_topic,
            correlation_data: self.correlation_data,
            user: &self.user,
        }
    }

    /// The message, with the packet's own topic: the topic of an alias is the caller's to put in.
    #[must_use]
    pub const fn publish(&self) -> Publish<'_> {
        Publish {
            topic: self.topic,
            payload: self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: self.properties(),
        }
    }

    /// Whether the payload is what its Payload Format Indicator says. Reads the whole payload
    /// where it says UTF-8. A receiver may check, and answer 0x99 (section 3.3.2.3.2).
    #[must_use]
    pub const fn keeps_payload_format(&self) -> bool {
        keeps_format(self.payload_format, self.payload)
    }

    /// Checks that a client may send this.
    ///
    /// # Errors
    /// A Subscription Identifier [MQTT-3.3.4-6].
    pub fn check_from_client(&self) -> Result<(), Malformed> {
        if self.subscription_ids == SubscriptionIdView::NONE {
            Ok(())
        } else {
            Err(Malformed::protocol("Subscription Identifier in a PUBLISH of a client"))
        }
    }
}

/// Whether a payload is what its Payload Format Indicator says.
pub(super) const fn keeps_format(format: Option<PayloadFormat>, payload: &[u8]) -> bool {
    match format {
        Some(PayloadFormat::Utf8) => std::str::from_utf8(payload).is_ok(),
        Some(PayloadFormat::Bytes) | None => true,
    }
}

/// The Subscription Identifiers of a PUBLISH, or a list of them to be encoded. Two are equal when
/// they hold the same identifiers in the same order.
#[derive(Clone, Copy)]
pub struct SubscriptionIdView<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    /// A property block that is known to be well-formed; other properties may lie between.
    Block(&'a [u8]),
    List(&'a [u32]),
}

impl<'a> SubscriptionIdView<'a> {
    /// No identifier.
    pub const NONE: Self = Self(Repr::List(&[]));

    /// Those of `list`, 1 to 268,435,455 each.
    #[must_use]
    pub const fn new(list: &'a [u32]) -> Self {
        Self(Repr::List(list))
    }

    /// The identifiers, in order.
    #[must_use]
    pub fn iter(&self) -> SubscriptionIdIter<'a> {
        SubscriptionIdIter(match self.0 {
            Repr::Block(block) => IterRepr::Block(Properties::checked(block)),
            Repr::List(list) => IterRepr::List(list.iter()),
        })
    }
}

impl Default for SubscriptionIdView<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<'a> IntoIterator for SubscriptionIdView<'a> {
    type Item = u32;
    type IntoIter = SubscriptionIdIter<'a>;

    fn into_iter(self) -> SubscriptionIdIter<'a> {
        self.iter()
    }
}

impl PartialEq for SubscriptionIdView<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for SubscriptionIdView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Subscription Identifiers, in order.
pub struct SubscriptionIdIter<'a>(IterRepr<'a>);

enum IterRepr<'a> {
    Block(Properties<'a>),
    List(std::slice::Iter<'a, u32>),
}

impl Iterator for SubscriptionIdIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match &mut self.0 {
            IterRepr::Block(properties) => loop {
                if let Property::SubscriptionId(id) = properties.next().ok()?? {
                    return Some(id);
                }
            },
            IterRepr::List(list) => list.next().copied(),
        }
    }
}

/// Reads what follows the fixed header, whose first byte is `first`; its flags are checked.
#[inline]
pub(super) fn decode<'a>(
    version: Version,
    first: u8,
    mut cursor: Cursor<'a>,
) -> Result<PublishPacket<'a>, Malformed> {
    let qos = Qos::from_bits(first >> 1 & 0b11).ok_or(Malformed::packet("PUBLISH with QoS 3"))?;
    // [MQTT-3.3.2-1]
    let topic = cursor.topic()?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { cursor.packet_id()? };
    let mut publish = PublishPacket {
        dup: first & 0b1000 != 0,
        qos,
        retain: first & 0b0001 != 0,
        topic,
        packet_id,
        topic_alias: None,
        payload_format: None,
        message_expiry: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user: User::NONE,
        subscription_ids: SubscriptionIdView::NONE,
        payload: &[],
    };
    if version == Version::V5 {
        let block = cursor.block()?;
        if !block.is_empty() {
            decode_properties(block, &mut publish)?;
        }
    }
    if publish.topic.is_empty() && publish.topic_alias.is_none() {
        // Section 3.3.2.1; [MQTT-4.7.3-1]
        return Err(Malformed::protocol("PUBLISH without a topic"));
    }
    publish.payload = cursor.rest();
    Ok(publish)
}

fn decode_properties<'a>(
    block: &'a [u8],
    publish: &mut PublishPacket<'a>,
) -> Result<(), Malformed> {
    let mut properties = Properties::of_publish(block);
    while let Some(property) = properties.next()? {
        match property {
            Property::PayloadFormat(format) => publish.payload_format = Some(format),
            Property::MessageExpiry(seconds) => publish.message_expiry = Some(seconds),
            Property::TopicAlias(alias) => publish.topic_alias = Some(alias),
            Property::ResponseTopic(topic) => publish.response_topic = Some(topic),
            Property::CorrelationData(data) => publish.correlation_data = Some(data),
            Property::ContentType(text) => publish.content_type = Some(text),
            _ => {}
        }
    }
    publish.user = User::found(&properties, block);
    if properties.has_subscription_id() {
        publish.subscription_ids = SubscriptionIdView(Repr::Block(block));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mqtt_plane::ReasonCode;
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::Packet;
    use crate::wire::tests::{assert_both_ways, assert_refused, bytes, framed, pairs, read};

    const MESSAGE: PublishPacket<'_> = PublishPacket {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic: "a/b",
        packet_id: 0,
        topic_alias: None,
        payload_format: None,
        message_expiry: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user: User::NONE,
        subscription_ids: SubscriptionIdView::NONE,
        payload: b"hi",
    };

    /// [MQTT-2.2.2-1]: a length of 0 where there are no properties; [MQTT-2.2.1-2]
    #[test]
    fn a_publish_has_all_its_fields() {
        assert_both_ways(V5, 0x30, r#""a/b" 00 'hi'"#, &Packet::Publish(MESSAGE));
        assert_both_ways(V311, 0x30, r#""a/b" 'hi'"#, &Packet::Publish(MESSAGE));
        let empty = PublishPacket { payload: &[], retain: true, ..MESSAGE };
        assert_both_ways(V311, 0x31, r#""a/b""#, &Packet::Publish(empty));
        let again = PublishPacket {
            dup: true,
            qos: Qos::AtLeastOnce,
            packet_id: 0x0102,
            retain: true,
            ..MESSAGE
        };
        assert_both_ways(V311, 0x3B, r#""a/b" 0102 'hi'"#, &Packet::Publish(again));
        let user = pairs(&[("k", "v"), ("k", "w")]);
        let full = PublishPacket {
            qos: Qos::ExactlyOnce,
            packet_id: 9,
            topic_alias: Some(3),
            payload_format: Some(PayloadFormat::Bytes),
            message_expiry: Some(60),
            content_type: Some("t"),
            response_topic: Some("r"),
            correlation_data: Some(&[0]),
            user: User::new(&user),
            subscription_ids: SubscriptionIdView::new(&[1, 128, 268_435_455, 1]),
            ..MESSAGE
        };
        assert_both_ways(
            V5,
            0x34,
            r#""a/b" 0009 30 01 00 02 0000003c 23 0003 08 "r" 09 0001 00 26 "k" "v" 26 "k" "w"
               0b 01 0b 8001 0b ffffff7f 0b 01 03 "t" 'hi'"#,
            &Packet::Publish(full),
        );
        let alias = PublishPacket { topic: "", topic_alias: Some(0xFFFF), ..MESSAGE };
        assert_both_ways(V5, 0x30, r#""" 03 23 ffff 'hi'"#, &Packet::Publish(alias));
    }

    #[test]
    fn malformed_publishes_are_refused() {
        let short = "packet ends within a field";
        assert_refused(
            V5,
            0x30,
            &[
                ("", 0x81, short),
                // [MQTT-3.3.2-1]
                (r#""a""#, 0x81, short),
                ("0003 6162", 0x81, short),
                ("0001 ff 00", 0x81, "string is not well-formed UTF-8"),
                // [MQTT-1.5.4-1]: a surrogate, an overlong form, beyond U+10FFFF
                ("0003 eda080 00", 0x81, "string is not well-formed UTF-8"),
                ("0002 c080 00", 0x81, "string is not well-formed UTF-8"),
                ("0002 c1bf 00", 0x81, "string is not well-formed UTF-8"),
                ("0004 f4908080 00", 0x81, "string is not well-formed UTF-8"),
                // [MQTT-1.5.4-2], [MQTT-4.7.3-2]
                ("0003 610062 00", 0x81, "topic name contains U+0000"),
                // [MQTT-3.3.2-2], [MQTT-4.7.0-1]
                (r#""a/+" 00"#, 0x90, "topic name contains a wildcard character"),
                (r##""#" 00"##, 0x90, "topic name contains a wildcard character"),
                // Section 3.3.2.1, [MQTT-4.7.3-1]
                (r#""" 00"#, 0x82, "PUBLISH without a topic"),
                (r#""a" 01"#, 0x81, "property length reaches behind the packet"),
                (r#""a" 8000"#, 0x81, "integer takes more bytes than it needs"),
                (r#""a" 80808080 01"#, 0x81, "integer is longer than four bytes"),
                (r#""a" 02 01 02"#, 0x82, "Payload Format Indicator is neither 0 nor 1"),
                (r#""a" 04 01 00 01 00"#, 0x82, "property more than once"),
                // [MQTT-3.3.2-8]
                (r#""a" 03 23 0000"#, 0x94, "Topic Alias is 0"),
                (r#""a" 06 23 0001 23 0002"#, 0x82, "property more than once"),
                // [MQTT-3.3.2-13], [MQTT-3.3.2-14]
                (r#""a" 04 08 0001 ff"#, 0x81, "string is not well-formed UTF-8"),
                (r##""a" 04 08 "#""##, 0x82, "Response Topic contains a wildcard character"),
                (r#""a" 03 08 """#, 0x82, "Response Topic is empty"),
                // [MQTT-3.3.2-19]
                (r#""a" 04 03 0001 ff"#, 0x81, "string is not well-formed UTF-8"),
                // [MQTT-1.5.7-1]
                (r#""a" 07 26 0001 00 "v""#, 0x81, "string contains U+0000"),
                (r#""a" 07 26 "k" 0001 ff"#, 0x81, "string is not well-formed UTF-8"),
                (r#""a" 04 26 "k""#, 0x81, short),
                (r#""a" 02 0b 00"#, 0x82, "Subscription Identifier is 0"),
                (r#""a" 03 0b 8000"#, 0x81, "integer takes more bytes than it needs"),
                (r#""a" 05 11 00000001"#, 0x81, "property that this packet does not have"),
                (r#""a" 03 8100 00"#, 0x81, "integer takes more bytes than it needs"),
            ],
        );
        let id = [(r#""a" 0000 00"#, 0x82, "packet identifier is 0")];
        // [MQTT-2.2.1-3], [MQTT-2.2.1-4]
        assert_refused(V5, 0x32, &id);
        assert_refused(V5, 0x34, &id);
        assert_refused(
            V311,
            0x30,
            &[
                (r#""""#, 0x82, "PUBLISH without a topic"),
                (r#""a/#""#, 0x90, "topic name contains a wildcard character"),
            ],
        );
        assert_refused(V311, 0x32, &[(r#""a" 00"#, 0x81, short)]);
    }

    /// [MQTT-3.3.1-2], [MQTT-3.3.1-4]
    #[test]
    fn flags_that_contradict_each_other_are_malformed() {
        for (first, detail) in [
            (0x36, "PUBLISH with QoS 3"),
            (0x3F, "PUBLISH with QoS 3"),
            (0x38, "PUBLISH with DUP and QoS 0"),
            (0x39, "PUBLISH with DUP and QoS 0"),
        ] {
            let refusal = read(V5, &framed(first, &bytes(r#""a" 0001 00"#))).unwrap_err();
            assert_eq!(refusal, Malformed::packet(detail), "{first:02x}");
        }
    }

    /// [MQTT-1.5.4-3]
    #[test]
    fn a_byte_order_mark_is_part_of_the_topic() {
        let packet = framed(0x30, &bytes("0004 efbbbf 61 00"));
        let Ok(Packet::Publish(publish)) = read(V5, &packet) else { panic!("no PUBLISH") };
        assert_eq!(publish.topic, "\u{FEFF}a");
    }

    /// [MQTT-3.3.4-6]
    #[test]
    fn a_client_sends_no_subscription_identifier() {
        assert_eq!(MESSAGE.check_from_client(), Ok(()));
        let packet = framed(0x30, &bytes(r#""a" 07 26 "" "" 0b 01"#));
        let Ok(Packet::Publish(publish)) = read(V5, &packet) else { panic!("no PUBLISH") };
        let refusal = publish.check_from_client().unwrap_err();
        assert_eq!(refusal.reason, ReasonCode::PROTOCOL_ERROR);
    }

    #[test]
    fn a_payload_is_held_against_its_format_on_demand() {
        for (payload_format, payload, keeps) in [
            (None, &b"\xFF"[..], true),
            (Some(PayloadFormat::Bytes), b"\xFF", true),
            (Some(PayloadFormat::Utf8), b"\xFF", false),
            (Some(PayloadFormat::Utf8), "\u{0}é".as_bytes(), true),
        ] {
            let publish = PublishPacket { payload_format, payload, ..MESSAGE };
            assert_eq!(publish.keeps_payload_format(), keeps, "{payload_format:?} {payload:?}");
        }
    }

    #[test]
    fn the_message_of_a_packet_is_the_packet_s() {
        let user = pairs(&[("k", "v")]);
        let packet = PublishPacket { user: User::new(&user), message_expiry: Some(1), ..MESSAGE };
        let publish = packet.publish();
        assert_eq!((publish.topic, publish.payload), ("a/b", &b"hi"[..]));
        assert_eq!(publish.properties.message_expiry, Some(1));
        let mut seen = Vec::new();
        publish.properties.user.for_each(&mut |name, value| seen.push((name, value)));
        assert_eq!(seen, [("k", "v")]);
    }
}
