//! Encoding the packets that open and end a connection.

use mqtt_plane::{Qos, ReasonCode, Version};

use super::writer::{self, Writer};
use super::{TooLong, first};
use crate::wire::header::PacketType;
use crate::wire::property::id;
use crate::wire::reasons::Reasons;
use crate::wire::{
    Auth, Connack, ConnackProperties, Connect, ConnectProperties, Disconnect, WillView,
};

/// Appends a CONNECT, in its own version.
///
/// # Errors
/// [`TooLong`].
pub fn encode_connect(out: &mut Vec<u8>, connect: &Connect<'_>) -> Result<(), TooLong> {
    let level = match connect.version {
        Version::V311 => 4,
        Version::V5 => 5,
    };
    let is_v5 = connect.version == Version::V5;
    let mut flags = u8::from(connect.clean_start) << 1;
    if let Some(will) = &connect.will {
        flags |= 0b100 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
    }
    flags |= u8::from(connect.password.is_some()) << 6;
    flags |= u8::from(connect.user_name.is_some()) << 7;
    writer::packet(out, first(PacketType::Connect), |w| {
        w.string("MQTT");
        w.u8(level);
        w.u8(flags);
        w.u16(connect.keep_alive);
        if is_v5 {
            w.block(|w| connect_properties(w, &connect.properties));
        }
        w.string(connect.client_id);
        if let Some(will) = &connect.will {
            if is_v5 {
                w.block(|w| will_properties(w, will));
            }
            w.string(will.topic);
            w.binary(will.payload);
        }
        if let Some(user_name) = connect.user_name {
            w.string(user_name);
        }
        if let Some(password) = connect.password {
            w.binary(password);
        }
    })
}

fn connect_properties(w: &mut Writer<'_>, properties: &ConnectProperties<'_>) {
    let session_expiry = Some(properties.session_expiry).filter(|&seconds| seconds != 0);
    w.u32_property(id::SESSION_EXPIRY, session_expiry);
    limits(w, properties.receive_maximum, properties.topic_alias_maximum);
    w.u32_property(id::MAXIMUM_PACKET_SIZE, properties.maximum_packet_size);
    w.bool_property(
        id::REQUEST_RESPONSE_INFORMATION,
        properties.request_response_information,
        false,
    );
    w.bool_property(id::REQUEST_PROBLEM_INFORMATION, properties.request_problem_information, true);
    w.user(&properties.user);
    w.string_property(id::AUTHENTICATION_METHOD, properties.authentication_method);
    w.binary_property(id::AUTHENTICATION_DATA, properties.authentication_data);
}

/// Receive Maximum and Topic Alias Maximum, where they are not the default.
fn limits(w: &mut Writer<'_>, receive_maximum: u16, topic_alias_maximum: u16) {
    w.u16_property(
        id::RECEIVE_MAXIMUM,
        Some(receive_maximum).filter(|&maximum| maximum != u16::MAX),
    );
    w.u16_property(
        id::TOPIC_ALIAS_MAXIMUM,
        Some(topic_alias_maximum).filter(|&maximum| maximum != 0),
    );
}

fn will_properties(w: &mut Writer<'_>, will: &WillView<'_>) {
    w.u32_property(id::WILL_DELAY, Some(will.delay).filter(|&seconds| seconds != 0));
    w.byte_property(id::PAYLOAD_FORMAT, will.payload_format.map(|format| format as u8));
    w.u32_property(id::MESSAGE_EXPIRY, will.message_expiry);
    w.string_property(id::CONTENT_TYPE, will.content_type);
    w.string_property(id::RESPONSE_TOPIC, will.response_topic);
    w.binary_property(id::CORRELATION_DATA, will.correlation_data);
    w.user(&will.user);
}

/// Appends a CONNACK. Session Present is sent with success only [MQTT-3.2.2-6].
///
/// A refusal that 3.1.1 has no return code for ([`ReasonCode::connack_v311`] is `None`) appends
/// nothing: a 3.1.1 client is told it by the end of its connection.
///
/// # Errors
/// [`TooLong`].
pub fn encode_connack(
    out: &mut Vec<u8>,
    version: Version,
    connack: &Connack<'_>,
) -> Result<(), TooLong> {
    let first = first(PacketType::Connack);
    if version == Version::V311 {
        if let Some(code) = connack.reason.connack_v311() {
            out.extend_from_slice(&[
                first,
                2,
                u8::from(connack.session_present && code == 0),
                code,
            ]);
        }
        return Ok(());
    }
    let reason = Reasons::Connack.sendable(connack.reason);
    writer::packet(out, first, |w| {
        w.u8(u8::from(connack.session_present && reason == ReasonCode::SUCCESS));
        w.u8(reason.0);
        w.block(|w| connack_properties(w, &connack.properties));
    })
}

fn connack_properties(w: &mut Writer<'_>, properties: &ConnackProperties<'_>) {
    w.u32_property(id::SESSION_EXPIRY, properties.session_expiry);
    limits(w, properties.receive_maximum, properties.topic_alias_maximum);
    w.byte_property(
        id::MAXIMUM_QOS,
        // 2 is said by absence, and cannot be said otherwise.
        Some(properties.maximum_qos as u8).filter(|&qos| qos != Qos::ExactlyOnce as u8),
    );
    w.bool_property(id::RETAIN_AVAILABLE, properties.retain_available, true);
    w.u32_property(id::MAXIMUM_PACKET_SIZE, properties.maximum_packet_size);
    w.string_property(id::ASSIGNED_CLIENT_ID, properties.assigned_client_id);
    w.string_property(id::REASON_STRING, properties.reason_string);
    w.user(&properties.user);
    w.bool_property(
        id::WILDCARD_SUBSCRIPTION_AVAILABLE,
        properties.wildcard_subscription_available,
        true,
    );
    w.bool_property(id::SUBSCRIPTION_ID_AVAILABLE, properties.subscription_id_available, true);
    w.bool_property(
        id::SHARED_SUBSCRIPTION_AVAILABLE,
        properties.shared_subscription_available,
        true,
    );
    w.u16_property(id::SERVER_KEEP_ALIVE, properties.server_keep_alive);
    w.string_property(id::RESPONSE_INFORMATION, properties.response_information);
    w.string_property(id::SERVER_REFERENCE, properties.server_reference);
    w.string_property(id::AUTHENTICATION_METHOD, properties.authentication_method);
    w.binary_property(id::AUTHENTICATION_DATA, properties.authentication_data);
}

/// Appends a DISCONNECT. In 3.1.1 it is empty, and a server does not send it.
///
/// # Errors
/// [`TooLong`].
pub fn encode_disconnect(
    out: &mut Vec<u8>,
    version: Version,
    disconnect: &Disconnect<'_>,
) -> Result<(), TooLong> {
    let first = first(PacketType::Disconnect);
    if version == Version::V311 {
        out.extend_from_slice(&[first, 0]);
        return Ok(());
    }
    let reason = Reasons::Disconnect.sendable(disconnect.reason);
    let properties = |w: &mut Writer<'_>| {
        w.u32_property(id::SESSION_EXPIRY, disconnect.session_expiry);
        w.string_property(id::REASON_STRING, disconnect.reason_string);
        w.user(&disconnect.user);
        w.string_property(id::SERVER_REFERENCE, disconnect.server_reference);
    };
    let has_properties = writer::measure(properties)? != 0;
    writer::packet(out, first, |w| {
        if has_properties || reason != ReasonCode::SUCCESS {
            w.u8(reason.0);
        }
        if has_properties {
            w.block(properties);
        }
    })
}

/// Appends an AUTH, which 5.0 alone has.
///
/// # Errors
/// [`TooLong`].
pub fn encode_auth(out: &mut Vec<u8>, auth: &Auth<'_>) -> Result<(), TooLong> {
    let reason = Reasons::Auth.sendable(auth.reason);
    let properties = |w: &mut Writer<'_>| {
        w.string_property(id::AUTHENTICATION_METHOD, auth.authentication_method);
        w.binary_property(id::AUTHENTICATION_DATA, auth.authentication_data);
        w.string_property(id::REASON_STRING, auth.reason_string);
        w.user(&auth.user);
    };
    let has_properties = writer::measure(properties)? != 0;
    writer::packet(out, first(PacketType::Auth), |w| {
        if has_properties || reason != ReasonCode::SUCCESS {
            w.u8(reason.0);
            w.block(properties);
        }
    })
}
