//! CONNACK: what is agreed, or why not.

use std::net::SocketAddr;

use engine::bytes::Io;
use mqtt_plane::ReasonCode;

use super::connect::Refused;
use super::counters::length;
use super::linger;
use super::node::Server;
use crate::state::Terms;
use crate::wire::{Connack, ConnackProperties, Connect, TooLong, encode_connack};

/// The answer to CONNECT [MQTT-3.1.4-5]: the first that the client receives [MQTT-3.2.0-1], and
/// once [MQTT-3.2.0-2]. Where it would be larger than the client takes [MQTT-3.1.2-24], the
/// Response Information is left out, which a server need not give (section 3.2.2.3.15).
pub(super) fn write_connack(
    out: &mut Vec<u8>,
    connect: &Connect<'_>,
    terms: &Terms,
    client_id: &str,
    session_present: bool,
) -> Result<(), TooLong> {
    let offer = &terms.policy.offer;
    // [MQTT-3.1.2-28]
    let asks_for_response = connect.properties.request_response_information;
    let response_information =
        asks_for_response.then(|| terms.policy.response_information(client_id)).flatten();
    let is_expiry_ours = terms.session_expiry != terms.session_expiry_asked;
    let start = out.len();
    let mut connack = Connack {
        // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
        session_present,
        reason: ReasonCode::SUCCESS,
        properties: ConnackProperties {
            session_expiry: is_expiry_ours.then_some(terms.session_expiry),
            receive_maximum: terms.receive_maximum,
            // [MQTT-3.2.2-9]
            maximum_qos: terms.maximum_qos,
            maximum_packet_size: Some(terms.maximum_packet_size),
            // [MQTT-3.2.2-16]
            assigned_client_id: connect.client_id.is_empty().then_some(client_id),
            retain_available: offer.retain,
            topic_alias_maximum: offer.topic_alias_maximum,
            wildcard_subscription_available: offer.wildcard_subscriptions,
            subscription_id_available: offer.subscription_ids,
            shared_subscription_available: offer.shared_subscriptions,
            // [MQTT-3.2.2-21]
            server_keep_alive: (terms.keep_alive != connect.keep_alive).then_some(terms.keep_alive),
            response_information: response_information.as_deref(),
            ..ConnackProperties::default()
        },
    };
    encode_connack(out, terms.version, &connack)?;
    let is_too_large = out.len() - start > terms.client_maximum_packet_size as usize;
    if is_too_large && connack.properties.response_information.take().is_some() {
        out.truncate(start);
        encode_connack(out, terms.version, &connack)?;
    }
    Ok(())
}

/// Ends a connection before its session, with a CONNACK where there is one to give, and never a
/// DISCONNECT [MQTT-3.14.0-1]. Then it is closed [MQTT-3.2.2-7], [MQTT-4.13.2-1]; what the client
/// has sent behind CONNECT is not looked at [MQTT-3.1.4-6].
pub(super) async fn refuse(server: &Server, io: Box<dyn Io>, peer: SocketAddr, refused: &Refused) {
    server.counters.connections_refused.increment();
    let (detail, reason) = match refused {
        Refused::Silently(detail) => (*detail, None),
        Refused::Told { closed, .. } => (closed.detail, Some(closed.reason)),
    };
    let is_limit = reason.is_some_and(is_limit);
    if is_limit {
        server.counters.connections_refused_by_limit.increment();
    }
    if reason == Some(ReasonCode::SERVER_UNAVAILABLE) || is_limit {
        // All clients come again and again: what is not available says so itself, once, and what
        // is beyond a limit is counted.
        tracing::debug!(event = "mqtt.connection.refused", binding = %server.name, %peer, detail);
    } else {
        server.limits.refused.tell(server.cx.clock().unix_millis(), |left_out| {
            tracing::info!(
                event = "mqtt.connection.refused",
                binding = %server.name,
                %peer,
                reason = reason.map(tracing::field::display),
                detail,
                left_out,
            );
        });
    }
    let mut answer = server.cx.pool().take();
    if let Refused::Told { version, limit, closed } = refused {
        // [MQTT-3.2.2-19]: the Reason String only where it fits. Where 3.1.1 cannot say it, nothing
        // is said [MQTT-3.1.4-2]; [MQTT-3.2.2-6] of 3.1.1. User properties it has none
        // [MQTT-3.2.2-20].
        for reason_string in [Some(closed.detail), None] {
            let mut connack = Connack::refusal(closed.reason);
            connack.properties.reason_string = reason_string;
            answer.clear();
            if encode_connack(&mut answer, *version, &connack).is_ok()
                && answer.len() <= *limit as usize
            {
                break;
            }
            answer.clear();
        }
    }
    server.counters.packets_sent.add(i64::from(!answer.is_empty()));
    server.counters.bytes_sent.add(length(&answer));
    linger::close(io, &answer, server.cx.pool()).await;
}

/// Whether a CONNECT that is refused so was one too many.
const fn is_limit(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::SERVER_BUSY | ReasonCode::QUOTA_EXCEEDED | ReasonCode::CONNECTION_RATE_EXCEEDED
    )
}
