//! Application messages and subscriptions, borrowed from wherever they lie.

/// A protocol version that the plane knows: 3.1.1 (level 4) and 5.0 (level 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// Quality of service (MQTT 5.0 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Qos {
    /// QoS 0.
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

impl Qos {
    /// The level of two bits on the wire; `None` for 3, which is malformed.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// The Payload Format Indicator (MQTT 5.0 section 3.3.2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PayloadFormat {
    /// Unspecified bytes.
    Bytes = 0,
    /// UTF-8 text.
    Utf8 = 1,
}

/// The user properties of a message, in order, repeats kept (MQTT 5.0 section 3.3.2.3.7).
///
/// Read by a visitor, so that whoever holds them (an encoded property block, the headers of a
/// record, a list) hands them over without a collection in between.
pub trait UserProperties {
    /// Calls `visit` with each name and value, in order.
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, &'s str));
}

/// No user properties.
impl UserProperties for () {
    fn for_each<'s>(&'s self, _: &mut dyn FnMut(&'s str, &'s str)) {}
}

impl UserProperties for Vec<(String, String)> {
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, &'s str)) {
        for (name, value) in self {
            visit(name, value);
        }
    }
}

/// The properties of a PUBLISH that belong to the message, and not to the connection that
/// carries it (MQTT 5.0 section 3.3.2.3). Topic alias and subscription identifiers are absent.
#[derive(Clone, Copy)]
pub struct PublishProperties<'a> {
    /// Payload Format Indicator.
    pub payload_format: Option<PayloadFormat>,
    /// Message Expiry Interval, seconds.
    pub message_expiry: Option<u32>,
    /// Content Type.
    pub content_type: Option<&'a str>,
    /// Response Topic.
    pub response_topic: Option<&'a str>,
    /// Correlation Data.
    pub correlation_data: Option<&'a [u8]>,
    /// User Property, in order.
    pub user: &'a dyn UserProperties,
}

impl Default for PublishProperties<'_> {
    fn default() -> Self {
        Self {
            payload_format: None,
            message_expiry: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user: &(),
        }
    }
}

/// One application message, borrowed.
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    /// The topic name, checked: UTF-8, no wildcard, no U+0000, at least one character.
    pub topic: &'a str,
    /// The payload, as it is.
    pub payload: &'a [u8],
    /// The quality of service it was published with.
    pub qos: Qos,
    /// The RETAIN flag it was published with.
    pub retain: bool,
    /// Its properties; empty for 3.1.1.
    pub properties: PublishProperties<'a>,
}

/// A Will Message, owned, since it outlives the CONNECT that carried it (MQTT 5.0 section 3.1.3).
#[derive(Clone, Debug)]
pub struct Will {
    /// Will Topic, checked as a topic name.
    pub topic: Box<str>,
    /// Will Payload.
    pub payload: Box<[u8]>,
    /// Will QoS.
    pub qos: Qos,
    /// Will Retain: the RETAIN flag of the message [MQTT-3.1.2-14], [MQTT-3.1.2-15].
    pub retain: bool,
    /// Will Delay Interval, seconds.
    pub delay: u32,
    /// Payload Format Indicator.
    pub payload_format: Option<PayloadFormat>,
    /// Message Expiry Interval, seconds.
    pub message_expiry: Option<u32>,
    /// Content Type.
    pub content_type: Option<Box<str>>,
    /// Response Topic.
    pub response_topic: Option<Box<str>>,
    /// Correlation Data.
    pub correlation_data: Option<Box<[u8]>>,
    /// User Property, in order [MQTT-3.1.3-10].
    pub user: Vec<(String, String)>,
}

impl Will {
    /// The message that is published when the will is due.
    #[must_use]
    pub fn publish(&self) -> Publish<'_> {
        Publish {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: PublishProperties {
                payload_format: self.payload_format,
                message_expiry: self.message_expiry,
                content_type: self.content_type.as_deref(),
                response_topic: self.response_topic.as_deref(),
                correlation_data: self.correlation_data.as_deref(),
                user: &self.user,
            },
        }
    }
}

/// When retained messages are sent at SUBSCRIBE (MQTT 5.0 section 3.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RetainHandling {
    /// At every SUBSCRIBE; the only behaviour of 3.1.1.
    Send = 0,
    /// Only if the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// One topic filter of a SUBSCRIBE with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// The topic filter, checked for its syntax.
    pub filter: &'a str,
    /// Maximum QoS.
    pub qos: Qos,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling.
    pub retain_handling: RetainHandling,
    /// Subscription Identifier, 1 to 268,435,455.
    pub id: Option<u32>,
}
