//! CONNACK (MQTT 5.0 section 3.2).

use mqtt_plane::{Qos, ReasonCode, Version};

use super::cursor::Cursor;
use super::property::{Properties, Property, Set};
use super::reasons::{self, Reasons};
use super::{Malformed, User};

/// The answer to a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connack<'a> {
    /// Whether the server has a session of the client; with success only [MQTT-3.2.2-6].
    pub session_present: bool,
    /// Connect Reason Code. A return code of 3.1.1 reads as the reason code that says the same.
    pub reason: ReasonCode,
    /// The properties; the defaults in 3.1.1.
    pub properties: ConnackProperties<'a>,
}

impl Connack<'_> {
    /// A refusal without properties.
    #[must_use]
    pub const fn refusal(reason: ReasonCode) -> Self {
        Self { session_present: false, reason, properties: ConnackProperties::DEFAULT }
    }
}

/// The properties of CONNACK (section 3.2.2.3). Where an absent property and one value mean the
/// same, it is that value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnackProperties<'a> {
    /// Session Expiry Interval, seconds; absent: as the client asked.
    pub session_expiry: Option<u32>,
    /// Receive Maximum, 1 to 65,535, which is the default.
    pub receive_maximum: u16,
    /// Maximum QoS, default 2.
    pub maximum_qos: Qos,
    /// Retain Available, default true.
    pub retain_available: bool,
    /// Maximum Packet Size, bytes, not 0; absent: no limit.
    pub maximum_packet_size: Option<u32>,
    /// Assigned Client Identifier.
    pub assigned_client_id: Option<&'a str>,
    /// Topic Alias Maximum, default 0.
    pub topic_alias_maximum: u16,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Property, in order.
    pub user: User<'a>,
    /// Wildcard Subscription Available, default true.
    pub wildcard_subscription_available: bool,
    /// Subscription Identifiers Available, default true.
    pub subscription_id_available: bool,
    /// Shared Subscription Available, default true.
    pub shared_subscription_available: bool,
    /// Server Keep Alive, seconds; absent: as the client asked.
    pub server_keep_alive: Option<u16>,
    /// Response Information.
    pub response_information: Option<&'a str>,
    /// Server Reference.
    pub server_reference: Option<&'a str>,
    /// Authentication Method.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data.
    pub authentication_data: Option<&'a [u8]>,
}

impl ConnackProperties<'_> {
    const DEFAULT: Self = Self {
        session_expiry: None,
        receive_maximum: u16::MAX,
        maximum_qos: Qos::ExactlyOnce,
        retain_available: true,
        maximum_packet_size: None,
        assigned_client_id: None,
        topic_alias_maximum: 0,
        reason_string: None,
        user: User::NONE,
        wildcard_subscription_available: true,
        subscription_id_available: true,
        shared_subscription_available: true,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    };
}

impl Default for ConnackProperties<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

pub(super) fn decode<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Connack<'a>, Malformed> {
    let session_present = match cursor.u8()? {
        0 => false,
        1 => true,
        // [MQTT-3.2.2-1]
        _ => return Err(Malformed::packet("reserved CONNACK flags are set")),
    };
    let code = cursor.u8()?;
    let reason = match version {
        Version::V5 => Reasons::Connack.check(code)?,
        Version::V311 => reasons::connack_of_v311(code)?,
    };
    if session_present && reason != ReasonCode::SUCCESS {
        // [MQTT-3.2.2-6]
        return Err(Malformed::protocol("session present in a CONNACK that refuses"));
    }
    let properties = match version {
        Version::V5 => decode_properties(cursor)?,
        Version::V311 => ConnackProperties::default(),
    };
    Ok(Connack { session_present, reason, properties })
}

fn decode_properties<'a>(cursor: &mut Cursor<'a>) -> Result<ConnackProperties<'a>, Malformed> {
    let block = cursor.block()?;
    let mut properties = Properties::new(block, Set::CONNACK);
    let mut found = ConnackProperties::default();
    while let Some(property) = properties.next()? {
        match property {
            Property::SessionExpiry(seconds) => found.session_expiry = Some(seconds),
            Property::ReceiveMaximum(count) => found.receive_maximum = count,
            Property::MaximumQos(qos) => found.maximum_qos = qos,
            Property::RetainAvailable(is) => found.retain_available = is,
            Property::MaximumPacketSize(bytes) => found.maximum_packet_size = Some(bytes),
            Property::AssignedClientId(id) => found.assigned_client_id = Some(id),
            Property::TopicAliasMaximum(count) => found.topic_alias_maximum = count,
            Property::ReasonString(text) => found.reason_string = Some(text),
            Property::WildcardSubscriptionAvailable(is) => {
                found.wildcard_subscription_available = is;
            }
            Property::SubscriptionIdAvailable(is) => found.subscription_id_available = is,
            Property::SharedSubscriptionAvailable(is) => found.shared_subscription_available = is,
            Property::ServerKeepAlive(seconds) => found.server_keep_alive = Some(seconds),
            Property::ResponseInformation(text) => found.response_information = Some(text),
            Property::ServerReference(text) => found.server_reference = Some(text),
            Property::AuthenticationMethod(method) => found.authentication_method = Some(method),
            Property::AuthenticationData(data) => found.authentication_data = Some(data),
            _ => {}
        }
    }
    found.user = User::found(&properties, block);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::tests::{assert_both_ways, assert_refused, bytes, framed, pairs, read};
    use crate::wire::{Packet, encode_connack};

    const ACCEPTED: Connack<'_> = Connack {
        session_present: true,
        reason: ReasonCode::SUCCESS,
        properties: ConnackProperties::DEFAULT,
    };

    #[test]
    fn a_connack_has_all_its_properties() {
        assert_both_ways(V5, 0x20, "01 00 00", &Packet::Connack(ACCEPTED));
        assert_both_ways(V311, 0x20, "01 00", &Packet::Connack(ACCEPTED));
        let user = pairs(&[("k", "v"), ("", "")]);
        let properties = ConnackProperties {
            session_expiry: Some(0),
            receive_maximum: 20,
            maximum_qos: Qos::AtLeastOnce,
            retain_available: false,
            maximum_packet_size: Some(65_536),
            assigned_client_id: Some("id"),
            topic_alias_maximum: 10,
            reason_string: Some("r"),
            user: User::new(&user),
            wildcard_subscription_available: false,
            subscription_id_available: false,
            shared_subscription_available: false,
            server_keep_alive: Some(60),
            response_information: Some("i"),
            server_reference: Some("s"),
            authentication_method: Some("M"),
            authentication_data: Some(b"d"),
        };
        assert_both_ways(
            V5,
            0x20,
            r#"00 00 42 11 00000000 21 0014 22 000a 24 01 25 00 27 00010000 12 "id" 1f "r"
               26 "k" "v" 26 "" "" 28 00 29 00 2a 00 13 003c 1a "i" 1c "s" 15 "M" 16 0001 'd'"#,
            &Packet::Connack(Connack { session_present: false, properties, ..ACCEPTED }),
        );
    }

    #[test]
    fn each_return_code_of_3_1_1_is_read_and_written() {
        for (code, reason) in [
            (1, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
            (2, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
            (3, ReasonCode::SERVER_UNAVAILABLE),
            (4, ReasonCode::BAD_USER_NAME_OR_PASSWORD),
            (5, ReasonCode::NOT_AUTHORIZED),
        ] {
            let refusal = Packet::Connack(Connack::refusal(reason));
            assert_both_ways(V311, 0x20, &format!("00 {code:02x}"), &refusal);
        }
    }

    #[test]
    fn a_refusal_that_3_1_1_cannot_say_is_not_sent() {
        let mut out = Vec::new();
        let refusal = Connack::refusal(ReasonCode::MALFORMED_PACKET);
        encode_connack(&mut out, V311, &refusal).unwrap();
        assert!(out.is_empty(), "{out:02x?}");
        encode_connack(&mut out, V5, &refusal).unwrap();
        assert_eq!(out, [0x20, 3, 0, 0x81, 0]);
    }

    /// [MQTT-3.2.2-6]
    #[test]
    fn a_refusal_does_not_say_that_a_session_is_present() {
        let refusal = Connack { session_present: true, ..Connack::refusal(ReasonCode::BANNED) };
        for (version, expected) in
            [(V5, [0x20, 3, 0, 0x8A, 0].as_slice()), (V311, [0x20, 2, 0, 5].as_slice())]
        {
            let mut out = Vec::new();
            encode_connack(&mut out, version, &refusal).unwrap();
            assert_eq!(out, expected, "{version:?}");
        }
    }

    #[test]
    fn malformed_connacks_are_refused() {
        assert_refused(
            V5,
            0x20,
            &[
                ("", 0x81, "packet ends within a field"),
                ("00 00", 0x81, "packet ends within a field"),
                // [MQTT-3.2.2-1]
                ("02 00 00", 0x81, "reserved CONNACK flags are set"),
                // [MQTT-3.2.2-6]
                ("01 80 00", 0x82, "session present in a CONNACK that refuses"),
                // [MQTT-3.2.2-8]
                ("00 01 00", 0x82, "reason code that this packet does not have"),
                ("00 8e 00", 0x82, "reason code that this packet does not have"),
                ("00 00 03 21 0000", 0x82, "Receive Maximum is 0"),
                ("00 00 02 24 02", 0x82, "Maximum QoS is neither 0 nor 1"),
                ("00 00 02 25 02", 0x82, "property is neither 0 nor 1"),
                ("00 00 02 28 02", 0x82, "property is neither 0 nor 1"),
                ("00 00 02 29 02", 0x82, "property is neither 0 nor 1"),
                ("00 00 02 2a 02", 0x82, "property is neither 0 nor 1"),
                ("00 00 05 27 00000000", 0x82, "Maximum Packet Size is 0"),
                ("00 00 04 24 00 24 00", 0x82, "property more than once"),
                ("00 00 02 17 00", 0x81, "property that this packet does not have"),
                ("00 00 02 7f 00", 0x81, "property that this packet does not have"),
                ("00 00 02 ff01", 0x81, "property that this packet does not have"),
                ("00 00 00 00", 0x81, "packet goes on behind its last field"),
            ],
        );
        assert_refused(
            V311,
            0x20,
            &[
                ("00 06", 0x81, "reserved CONNACK return code"),
                ("01 05", 0x82, "session present in a CONNACK that refuses"),
                ("00 00 00", 0x81, "packet goes on behind its last field"),
            ],
        );
    }

    #[test]
    fn defaults_that_are_spelt_out_are_defaults() {
        let packet = framed(0x20, &bytes("01 00 0e 21 ffff 22 0000 25 01 28 01 29 01 2a 01"));
        assert_eq!(read(V5, &packet), Ok(Packet::Connack(ACCEPTED)));
    }
}
