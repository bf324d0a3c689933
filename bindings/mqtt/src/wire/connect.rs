//! CONNECT (MQTT 5.0 section 3.1).

use mqtt_plane::{PayloadFormat, Publish, PublishProperties, Qos, ReasonCode, UserProperties};
use mqtt_plane::{Version, Will};

use super::cursor::Cursor;
use super::header::Header;
use super::property::{Properties, Property, Set};
use super::publish::keeps_format;
use super::{Malformed, User};

#[cfg(test)]
mod tests;

/// The request that opens a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connect<'a> {
    /// The version that the client speaks.
    pub version: Version,
    /// Clean Start; Clean Session in 3.1.1.
    pub clean_start: bool,
    /// Keep Alive, seconds; 0 for none.
    pub keep_alive: u16,
    /// Client Identifier; empty where the server is to assign one [MQTT-3.1.3-6].
    pub client_id: &'a str,
    /// The properties; the defaults in 3.1.1.
    pub properties: ConnectProperties<'a>,
    /// The Will Message.
    pub will: Option<WillView<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
}

impl<'a> Connect<'a> {
    /// A CONNECT with Clean Start and nothing else.
    #[must_use]
    pub fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            properties: ConnectProperties::default(),
            will: None,
            user_name: None,
            password: None,
        }
    }
}

/// The properties of CONNECT (section 3.1.2.11). Where an absent property and one value mean the
/// same, it is that value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectProperties<'a> {
    /// Session Expiry Interval, seconds, default 0; `u32::MAX`: never. A 3.1.1 client without
    /// Clean Session means never, and reads as 0 here all the same.
    pub session_expiry: u32,
    /// Receive Maximum, 1 to 65,535, which is the default.
    pub receive_maximum: u16,
    /// Maximum Packet Size, bytes, not 0; absent: no limit.
    pub maximum_packet_size: Option<u32>,
    /// Topic Alias Maximum, default 0.
    pub topic_alias_maximum: u16,
    /// Request Response Information, default false.
    pub request_response_information: bool,
    /// Request Problem Information, default true.
    pub request_problem_information: bool,
    /// User Property, in order.
    pub user: User<'a>,
    /// Authentication Method.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data; only with a method.
    pub authentication_data: Option<&'a [u8]>,
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry: 0,
            receive_maximum: u16::MAX,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            user: User::NONE,
            authentication_method: None,
            authentication_data: None,
        }
    }
}

/// A Will Message as it lies in its CONNECT (sections 3.1.3.2 to 3.1.3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WillView<'a> {
    /// Will Topic, checked as a topic name.
    pub topic: &'a str,
    /// Will Payload.
    pub payload: &'a [u8],
    /// Will QoS.
    pub qos: Qos,
    /// Will Retain.
    pub retain: bool,
    /// Will Delay Interval, seconds, default 0.
    pub delay: u32,
    /// Payload Format Indicator. Whether the payload keeps to it is not checked: see
    /// [`WillView::keeps_payload_format`].
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
}

impl<'a> WillView<'a> {
    /// A will without properties.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8], qos: Qos, retain: bool) -> Self {
        Self {
            topic,
            payload,
            qos,
            retain,
            delay: 0,
            payload_format: None,
            message_expiry: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user: User::NONE,
        }
    }

    /// Whether the payload is what its Payload Format Indicator says. Reads the whole payload
    /// where it says UTF-8. A server may check, and answer 0x99 (section 3.1.3.2.3).
    #[must_use]
    pub const fn keeps_payload_format(&self) -> bool {
        keeps_format(self.payload_format, self.payload)
    }

    /// The message that is published when the will is due.
    #[must_use]
    pub const fn publish(&self) -> Publish<'_> {
        Publish {
            topic: self.topic,
            payload: self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: PublishProperties {
                payload_format: self.payload_format,
                message_expiry: self.message_expiry,
                content_type: self.content_type,
                response_topic: self.response_topic,
                correlation_data: self.correlation_data,
                user: &self.user,
            },
        }
    }

    /// A copy that outlives the packet.
    #[must_use]
    pub fn to_will(&self) -> Will {
        let mut user = Vec::new();
        self.user.for_each(&mut |name, value| user.push((name.to_owned(), value.to_owned())));
        Will {
            topic: self.topic.into(),
            payload: self.payload.into(),
            qos: self.qos,
            retain: self.retain,
            delay: self.delay,
            payload_format: self.payload_format,
            message_expiry: self.message_expiry,
            content_type: self.content_type.map(Into::into),
            response_topic: self.response_topic.map(Into::into),
            correlation_data: self.correlation_data.map(Into::into),
            user,
        }
    }
}

/// The version to answer a CONNECT in that [`decode`](super::decode) refused, or that is too large
/// to be read: `packet` may be cut off anywhere.
///
/// A version that is unknown is answered in the known one that its client is the likeliest to
/// understand: 3.1.1 for what is older (3.1, "MQIsdp", has the same CONNACK), 5.0 for what is
/// newer. `None`: not a CONNECT of MQTT at all, or one that ends before its version.
#[must_use]
pub fn connect_version(header: Header, packet: &[u8]) -> Option<Version> {
    let mut cursor = Cursor::new(packet.get(header.header_len..)?);
    match (cursor.binary().ok()?, cursor.u8().ok()?) {
        // Bit 7 marks a bridge, by custom.
        (NAME, level) if level & 0x7F > 4 => Some(Version::V5),
        (NAME | NAME_OF_V31, _) => Some(Version::V311),
        _ => None,
    }
}

const NAME: &[u8] = b"MQTT";
const NAME_OF_V31: &[u8] = b"MQIsdp";

mod flag {
    pub(super) const RESERVED: u8 = 0x01;
    pub(super) const CLEAN_START: u8 = 0x02;
    pub(super) const WILL: u8 = 0x04;
    pub(super) const WILL_QOS: u8 = 0x18;
    pub(super) const WILL_RETAIN: u8 = 0x20;
    pub(super) const PASSWORD: u8 = 0x40;
    pub(super) const USER_NAME: u8 = 0x80;
}

pub(super) fn decode<'a>(cursor: &mut Cursor<'a>) -> Result<Connect<'a>, Malformed> {
    let version = decode_version(cursor)?;
    let flags = cursor.u8()?;
    if flags & flag::RESERVED != 0 {
        // [MQTT-3.1.2-3]
        return Err(Malformed::packet("reserved CONNECT flag is set"));
    }
    let has_password = flags & flag::PASSWORD != 0;
    let has_user_name = flags & flag::USER_NAME != 0;
    if version == Version::V311 && has_password && !has_user_name {
        // [MQTT-3.1.2-22] of 3.1.1
        return Err(Malformed::packet("password without a user name"));
    }
    let clean_start = flags & flag::CLEAN_START != 0;
    let keep_alive = cursor.u16()?;
    let properties = match version {
        Version::V5 => decode_properties(cursor)?,
        Version::V311 => ConnectProperties::default(),
    };
    // The order of the payload: [MQTT-3.1.3-1].
    let client_id = cursor.string()?;
    if version == Version::V311 && client_id.is_empty() && !clean_start {
        // [MQTT-3.1.3-8] of 3.1.1
        return Err(Malformed::new(
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            "empty client identifier without Clean Session",
        ));
    }
    let will = decode_will(version, flags, cursor)?;
    // [MQTT-3.1.2-16] to [MQTT-3.1.2-19]
    let user_name = if has_user_name { Some(cursor.string()?) } else { None };
    let password = if has_password { Some(cursor.binary()?) } else { None };
    Ok(Connect {
        version,
        clean_start,
        keep_alive,
        client_id,
        properties,
        will,
        user_name,
        password,
    })
}

/// The protocol name and level [MQTT-3.1.2-1], [MQTT-3.1.2-2].
fn decode_version(cursor: &mut Cursor<'_>) -> Result<Version, Malformed> {
    const fn unsupported(detail: &'static str) -> Malformed {
        Malformed::new(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION, detail)
    }
    match cursor.binary()? {
        NAME => {}
        NAME_OF_V31 => return Err(unsupported("MQTT 3.1 is not supported")),
        _ => return Err(unsupported("protocol name is not MQTT")),
    }
    match cursor.u8()? {
        4 => Ok(Version::V311),
        5 => Ok(Version::V5),
        _ => Err(unsupported("protocol version is neither 3.1.1 nor 5.0")),
    }
}

fn decode_properties<'a>(cursor: &mut Cursor<'a>) -> Result<ConnectProperties<'a>, Malformed> {
    let block = cursor.block()?;
    let mut properties = Properties::new(block, Set::CONNECT);
    let mut found = ConnectProperties::default();
    while let Some(property) = properties.next()? {
        match property {
            Property::SessionExpiry(seconds) => found.session_expiry = seconds,
            Property::ReceiveMaximum(count) => found.receive_maximum = count,
            Property::MaximumPacketSize(bytes) => found.maximum_packet_size = Some(bytes),
            Property::TopicAliasMaximum(count) => found.topic_alias_maximum = count,
            Property::RequestResponseInformation(is) => found.request_response_information = is,
            Property::RequestProblemInformation(is) => found.request_problem_information = is,
            Property::AuthenticationMethod(method) => found.authentication_method = Some(method),
            Property::AuthenticationData(data) => found.authentication_data = Some(data),
            _ => {}
        }
    }
    if found.authentication_data.is_some() && found.authentication_method.is_none() {
        // Section 3.1.2.11.10
        return Err(Malformed::protocol("Authentication Data without Authentication Method"));
    }
    found.user = User::found(&properties, block);
    Ok(found)
}

fn decode_will<'a>(
    version: Version,
    flags: u8,
    cursor: &mut Cursor<'a>,
) -> Result<Option<WillView<'a>>, Malformed> {
    let qos = Qos::from_bits((flags & flag::WILL_QOS) >> 3)
        // [MQTT-3.1.2-12]
        .ok_or(Malformed::packet("Will QoS is 3"))?;
    let retain = flags & flag::WILL_RETAIN != 0;
    if flags & flag::WILL == 0 {
        if qos != Qos::AtMostOnce || retain {
            // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
            return Err(Malformed::packet("Will QoS or Will Retain without a will"));
        }
        return Ok(None);
    }
    // [MQTT-3.1.2-9]
    let mut will = WillView::new("", &[], qos, retain);
    if version == Version::V5 {
        decode_will_properties(cursor, &mut will)?;
    }
    will.topic = cursor.topic()?;
    if will.topic.is_empty() {
        // [MQTT-4.7.3-1]
        return Err(Malformed::new(ReasonCode::TOPIC_NAME_INVALID, "Will Topic is empty"));
    }
    will.payload = cursor.binary()?;
    Ok(Some(will))
}

fn decode_will_properties<'a>(
    cursor: &mut Cursor<'a>,
    will: &mut WillView<'a>,
) -> Result<(), Malformed> {
    let block = cursor.block()?;
    let mut properties = Properties::new(block, Set::WILL);
    while let Some(property) = properties.next()? {
        match property {
            Property::WillDelay(seconds) => will.delay = seconds,
            Property::PayloadFormat(format) => will.payload_format = Some(format),
            Property::MessageExpiry(seconds) => will.message_expiry = Some(seconds),
            Property::ContentType(text) => will.content_type = Some(text),
            Property::ResponseTopic(topic) => will.response_topic = Some(topic),
            Property::CorrelationData(data) => will.correlation_data = Some(data),
            _ => {}
        }
    }
    will.user = User::found(&properties, block);
    Ok(())
}
