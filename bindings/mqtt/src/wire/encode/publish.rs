//! Encoding PUBLISH, and changing a frame that is encoded already.

use mqtt_plane::{Publish, Qos, Version};

use super::TooLong;
use super::writer::{self, Writer};
use crate::wire::SubscriptionIdView;
use crate::wire::header::{MAX_REMAINING_LEN, PacketType};
use crate::wire::property::id;

/// What a PUBLISH has from the connection that carries it, and not from its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishExtras<'a> {
    /// DUP; never sent with QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// QoS to deliver with; that of the message is not looked at.
    pub qos: Qos,
    /// RETAIN flag to deliver with; that of the message is not looked at.
    pub retain: bool,
    /// Packet Identifier; not sent with QoS 0 [MQTT-2.2.1-2].
    pub packet_id: u16,
    /// What is left of the Message Expiry Interval, seconds [MQTT-3.3.2-6]; that of the message is
    /// not looked at.
    pub message_expiry: Option<u32>,
    /// Topic Alias, not 0.
    pub topic_alias: Option<u16>,
    /// Whether the alias stands for the topic, which the receiver knows by it.
    pub omits_topic: bool,
    /// Subscription Identifiers, to a client only [MQTT-3.3.4-6].
    pub subscription_ids: SubscriptionIdView<'a>,
}

impl PublishExtras<'_> {
    /// The message as it was published: its own QoS, RETAIN and expiry, nothing else. The packet
    /// identifier is 0, for [`set_packet_id`] to change.
    #[must_use]
    pub const fn of(publish: &Publish<'_>) -> Self {
        Self {
            dup: false,
            qos: publish.qos,
            retain: publish.retain,
            packet_id: 0,
            message_expiry: publish.properties.message_expiry,
            topic_alias: None,
            omits_topic: false,
            subscription_ids: SubscriptionIdView::NONE,
        }
    }
}

/// Appends a PUBLISH. Returns where its packet identifier lies, in bytes from the packet's start,
/// for [`set_packet_id`]; 0 with QoS 0, which has none.
///
/// # Errors
/// [`TooLong`].
pub fn encode_publish(
    out: &mut Vec<u8>,
    version: Version,
    publish: &Publish<'_>,
    extras: &PublishExtras<'_>,
) -> Result<u32, TooLong> {
    let start = out.len();
    let lengths = Lengths::of(version, publish, extras)?;
    out.reserve(lengths.total());
    out.push(first(extras.dup, extras.qos, extras.retain));
    writer::put_varint(out, lengths.remaining);
    let mut w = Writer::into(out);
    w.string(topic(version, publish, extras));
    let mut packet_id_at = 0;
    if extras.qos != Qos::AtMostOnce {
        // At most five bytes of fixed header and a topic lie before it.
        packet_id_at = u32::try_from(w.written() - start).unwrap_or(0);
        w.u16(extras.packet_id);
    }
    if let Some(properties) = lengths.properties {
        w.varint(properties);
        write_properties(&mut w, publish, extras);
    }
    w.raw(publish.payload);
    Ok(packet_id_at)
}

/// Bytes of the packet that [`encode_publish`] appends for the same arguments, to compare with the
/// receiver's Maximum Packet Size [MQTT-3.1.2-24].
///
/// # Errors
/// [`TooLong`].
pub fn publish_len(
    version: Version,
    publish: &Publish<'_>,
    extras: &PublishExtras<'_>,
) -> Result<usize, TooLong> {
    Lengths::of(version, publish, extras).map(|lengths| lengths.total())
}

/// Sets the packet identifier of a PUBLISH, which lies at `at` as [`encode_publish`] returned it.
/// 0: the frame has none and stays as it is.
///
/// # Panics
/// If `frame` ends before the packet identifier.
pub fn set_packet_id(frame: &mut [u8], at: u32, packet_id: u16) {
    if at != 0 {
        let at = at as usize;
        frame[at..at + 2].copy_from_slice(&packet_id.to_be_bytes());
    }
}

/// Sets the flags of a PUBLISH. A frame with a packet identifier stays one of QoS 1 or 2, one
/// without stays one of QoS 0: the caller sees to it.
///
/// # Panics
/// If `frame` is empty.
pub fn set_publish_flags(frame: &mut [u8], dup: bool, qos: Qos, retain: bool) {
    frame[0] = first(dup, qos, retain);
}

/// The first byte; DUP is 0 with QoS 0 [MQTT-3.3.1-2], [MQTT-4.3.1-1].
const fn first(dup: bool, qos: Qos, retain: bool) -> u8 {
    let dup = dup && !matches!(qos, Qos::AtMostOnce);
    (PacketType::Publish as u8) << 4 | (dup as u8) << 3 | (qos as u8) << 1 | retain as u8
}

const fn topic<'a>(version: Version, publish: &Publish<'a>, extras: &PublishExtras<'_>) -> &'a str {
    match version {
        Version::V5 if extras.omits_topic && extras.topic_alias.is_some() => "",
        _ => publish.topic,
    }
}

/// The message's own are written as they came: [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16],
/// [MQTT-3.3.2-17], [MQTT-3.3.2-20].
fn write_properties(w: &mut Writer<'_>, publish: &Publish<'_>, extras: &PublishExtras<'_>) {
    let properties = &publish.properties;
    w.byte_property(id::PAYLOAD_FORMAT, properties.payload_format.map(|format| format as u8));
    w.u32_property(id::MESSAGE_EXPIRY, extras.message_expiry);
    w.u16_property(id::TOPIC_ALIAS, extras.topic_alias);
    w.string_property(id::RESPONSE_TOPIC, properties.response_topic);
    w.binary_property(id::CORRELATION_DATA, properties.correlation_data);
    w.user(properties.user);
    for subscription_id in extras.subscription_ids {
        w.subscription_id(Some(subscription_id));
    }
    w.string_property(id::CONTENT_TYPE, properties.content_type);
}

/// The lengths within a PUBLISH, bytes.
struct Lengths {
    /// Property Length; `None` in 3.1.1.
    properties: Option<usize>,
    remaining: usize,
}

impl Lengths {
    fn of(
        version: Version,
        publish: &Publish<'_>,
        extras: &PublishExtras<'_>,
    ) -> Result<Self, TooLong> {
        let topic = topic(version, publish, extras);
        if topic.len() > usize::from(u16::MAX) {
            // [MQTT-4.7.3-3]
            return Err(TooLong);
        }
        let mut remaining = 2 + topic.len() + publish.payload.len();
        if extras.qos != Qos::AtMostOnce {
            remaining += 2;
        }
        let mut properties = None;
        if version == Version::V5 {
            let len = writer::measure(|w| write_properties(w, publish, extras))?;
            remaining += writer::varint_len(len) + len;
            properties = Some(len);
        }
        if remaining > MAX_REMAINING_LEN {
            return Err(TooLong);
        }
        Ok(Self { properties, remaining })
    }

    const fn total(&self) -> usize {
        1 + writer::varint_len(self.remaining) + self.remaining
    }
}

#[cfg(test)]
mod tests {
    use mqtt_plane::PublishProperties;
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::tests::{bytes, pairs};

    const MESSAGE: Publish<'_> = Publish {
        topic: "a/b",
        payload: b"hi",
        qos: Qos::AtLeastOnce,
        retain: true,
        properties: PublishProperties {
            payload_format: None,
            message_expiry: Some(60),
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user: &(),
        },
    };

    #[test]
    fn what_a_connection_says_is_sent_and_not_what_the_message_says() {
        let extras = PublishExtras {
            dup: true,
            qos: Qos::AtMostOnce,
            retain: false,
            packet_id: 7,
            message_expiry: Some(5),
            ..PublishExtras::of(&MESSAGE)
        };
        let mut out = vec![0xAA];
        assert_eq!(encode_publish(&mut out, V5, &MESSAGE, &extras), Ok(0));
        assert_eq!(out, bytes(r#"aa 30 0d "a/b" 05 02 00000005 'hi'"#));
        assert_eq!(publish_len(V5, &MESSAGE, &extras), Ok(out.len() - 1));
        out.clear();
        assert_eq!(encode_publish(&mut out, V311, &MESSAGE, &extras), Ok(0));
        assert_eq!(out, bytes(r#"30 07 "a/b" 'hi'"#));
        assert_eq!(publish_len(V311, &MESSAGE, &extras), Ok(out.len()));
    }

    #[test]
    fn an_alias_can_stand_for_the_topic_in_5_0() {
        let extras = PublishExtras {
            topic_alias: Some(1),
            omits_topic: true,
            message_expiry: None,
            qos: Qos::AtMostOnce,
            ..PublishExtras::of(&MESSAGE)
        };
        let mut out = Vec::new();
        encode_publish(&mut out, V5, &MESSAGE, &extras).unwrap();
        assert_eq!(out, bytes(r#"31 08 "" 03 23 0001 'hi'"#));
        out.clear();
        encode_publish(&mut out, V311, &MESSAGE, &extras).unwrap();
        assert_eq!(out, bytes(r#"31 07 "a/b" 'hi'"#));
        out.clear();
        let extras = PublishExtras { topic_alias: None, ..extras };
        encode_publish(&mut out, V5, &MESSAGE, &extras).unwrap();
        assert_eq!(out, bytes(r#"31 08 "a/b" 00 'hi'"#));
    }

    #[test]
    fn a_frame_can_be_changed_for_each_receiver() {
        // Two bytes of Remaining Length, and something before the frame.
        let long = Publish { payload: &[b'x'; 200], ..MESSAGE };
        let mut out = vec![0xAA; 3];
        let extras = PublishExtras { packet_id: 1, dup: true, ..PublishExtras::of(&long) };
        let at = encode_publish(&mut out, V5, &long, &extras).unwrap();
        let frame = &mut out[3..];
        assert_eq!(frame[0], 0x3B);
        assert_eq!(frame[at as usize..][..2], [0, 1]);
        set_packet_id(frame, at, 0x1234);
        set_publish_flags(frame, false, Qos::ExactlyOnce, false);
        let mut expected = Vec::new();
        let changed = PublishExtras {
            packet_id: 0x1234,
            dup: false,
            qos: Qos::ExactlyOnce,
            retain: false,
            ..extras
        };
        assert_eq!(encode_publish(&mut expected, V5, &long, &changed), Ok(at));
        assert_eq!(frame, expected);
        set_packet_id(frame, 0, 0xFFFF);
        assert_eq!(frame, expected, "a frame without an identifier stays as it is");
        // [MQTT-3.3.1-2]
        set_publish_flags(frame, true, Qos::AtMostOnce, true);
        assert_eq!(frame[0], 0x31);
    }

    #[test]
    fn what_is_too_long_is_refused_and_leaves_the_buffer_as_it_was() {
        let longest = "x".repeat(65_535);
        let too_long = "x".repeat(65_536);
        let fits = pairs(&[(&longest, &longest)]);
        let value_too_long = pairs(&[("a", "b"), ("k", &too_long)]);
        let with_user = |user| Publish {
            properties: PublishProperties { user, ..MESSAGE.properties },
            ..MESSAGE
        };
        for (publish, version, expected) in [
            (Publish { topic: &longest, ..MESSAGE }, V5, true),
            (Publish { topic: &too_long, ..MESSAGE }, V5, false),
            (Publish { topic: &too_long, ..MESSAGE }, V311, false),
            (with_user(&fits), V5, true),
            (with_user(&value_too_long), V5, false),
            (with_user(&value_too_long), V311, true),
        ] {
            let extras = PublishExtras::of(&publish);
            let mut out = vec![0xAA];
            let encoded = encode_publish(&mut out, version, &publish, &extras);
            assert_eq!(encoded.is_ok(), expected);
            if !expected {
                assert_eq!(out, [0xAA]);
            }
            assert_eq!(publish_len(version, &publish, &extras).is_ok(), expected);
        }
        let ids = [1, 268_435_456];
        let subscription_ids = SubscriptionIdView::new(&ids);
        let extras = PublishExtras { subscription_ids, ..PublishExtras::of(&MESSAGE) };
        assert_eq!(publish_len(V5, &MESSAGE, &extras), Err(TooLong));
    }

    #[test]
    fn a_packet_is_at_most_256_mib() {
        // Never written to: the pages of it stay untouched.
        let payload = vec![0; MAX_REMAINING_LEN];
        let extras = PublishExtras { qos: Qos::AtMostOnce, ..PublishExtras::of(&MESSAGE) };
        let largest = Publish { payload: &payload[5..], ..MESSAGE };
        assert_eq!(publish_len(V311, &largest, &extras), Ok(5 + MAX_REMAINING_LEN));
        let too_large = Publish { payload: &payload[4..], ..MESSAGE };
        assert_eq!(publish_len(V311, &too_large, &extras), Err(TooLong));
        assert_eq!(encode_publish(&mut Vec::new(), V311, &too_large, &extras), Err(TooLong));
    }
}
