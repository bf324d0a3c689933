//! Encoding SUBSCRIBE, UNSUBSCRIBE and their answers.

use mqtt_plane::{ReasonCode, Subscription, Version};

use super::writer::{self, Writer};
use super::{TooLong, first};
use crate::wire::header::PacketType;
use crate::wire::reasons::Reasons;
use crate::wire::{Suback, Subscribe, Unsuback, Unsubscribe, User};

/// Appends a SUBSCRIBE. `id` is the Subscription Identifier for all of `subscriptions`, whose own
/// are not looked at. 3.1.1 has the filters and their QoS only.
///
/// # Errors
/// [`TooLong`].
pub fn encode_subscribe(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    id: Option<u32>,
    user: User<'_>,
    subscriptions: &[Subscription<'_>],
) -> Result<(), TooLong> {
    subscribe(out, version, packet_id, id, user, |w| {
        for subscription in subscriptions {
            w.string(subscription.filter);
            w.u8(options(version, subscription));
        }
    })
}

/// Appends a SUBACK without user properties; one reason a filter, in order [MQTT-3.9.3-1]. Whether
/// the peer wants the Reason String [MQTT-3.1.2-29] and takes a packet that large [MQTT-3.9.2-1] is
/// the caller's to know. To 3.1.1 all failures are 0x80.
///
/// # Errors
/// [`TooLong`].
pub fn encode_suback(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    reason_string: Option<&str>,
    reasons: &[ReasonCode],
) -> Result<(), TooLong> {
    suback(out, version, packet_id, (reason_string, User::NONE), reasons.iter().copied())
}

/// Appends an UNSUBSCRIBE.
///
/// # Errors
/// [`TooLong`].
pub fn encode_unsubscribe(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    user: User<'_>,
    filters: &[&str],
) -> Result<(), TooLong> {
    unsubscribe(out, version, packet_id, user, |w| {
        for filter in filters {
            w.string(filter);
        }
    })
}

/// Appends an UNSUBACK as [`encode_suback`] does a SUBACK [MQTT-3.11.2-1]; one reason a filter, in
/// order [MQTT-3.11.3-1]. 3.1.1 has no reasons in it.
///
/// # Errors
/// [`TooLong`].
pub fn encode_unsuback(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    reason_string: Option<&str>,
    reasons: &[ReasonCode],
) -> Result<(), TooLong> {
    unsuback(out, version, packet_id, (reason_string, User::NONE), reasons.iter().copied())
}

pub(super) fn subscribe_packet(
    out: &mut Vec<u8>,
    version: Version,
    packet: &Subscribe<'_>,
) -> Result<(), TooLong> {
    subscribe(out, version, packet.packet_id, packet.id, packet.user, |w| w.raw(packet.filters))
}

pub(super) fn suback_packet(
    out: &mut Vec<u8>,
    version: Version,
    packet: &Suback<'_>,
) -> Result<(), TooLong> {
    let properties = (packet.reason_string, packet.user);
    suback(out, version, packet.packet_id, properties, packet.reasons())
}

pub(super) fn unsubscribe_packet(
    out: &mut Vec<u8>,
    version: Version,
    packet: &Unsubscribe<'_>,
) -> Result<(), TooLong> {
    unsubscribe(out, version, packet.packet_id, packet.user, |w| w.raw(packet.filters))
}

pub(super) fn unsuback_packet(
    out: &mut Vec<u8>,
    version: Version,
    packet: &Unsuback<'_>,
) -> Result<(), TooLong> {
    let properties = (packet.reason_string, packet.user);
    unsuback(out, version, packet.packet_id, properties, packet.reasons())
}

fn subscribe(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    id: Option<u32>,
    user: User<'_>,
    filters: impl Fn(&mut Writer<'_>),
) -> Result<(), TooLong> {
    writer::packet(out, first(PacketType::Subscribe), |w| {
        w.u16(packet_id);
        if version == Version::V5 {
            w.block(|w| {
                w.subscription_id(id);
                w.user(&user);
            });
        }
        filters(w);
    })
}

/// The Subscription Options (section 3.8.3.1).
fn options(version: Version, subscription: &Subscription<'_>) -> u8 {
    let qos = subscription.qos as u8;
    match version {
        Version::V311 => qos,
        Version::V5 => {
            qos | u8::from(subscription.no_local) << 2
                | u8::from(subscription.retain_as_published) << 3
                | (subscription.retain_handling as u8) << 4
        }
    }
}

fn suback(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    (reason_string, user): (Option<&str>, User<'_>),
    reasons: impl Iterator<Item = ReasonCode> + Clone,
) -> Result<(), TooLong> {
    writer::packet(out, first(PacketType::Suback), |w| {
        w.u16(packet_id);
        if version == Version::V5 {
            w.ack_properties(reason_string, user);
        }
        for reason in reasons.clone() {
            let reason = match Reasons::Suback.sendable(reason) {
                reason if version == Version::V311 && reason.is_error() => {
                    ReasonCode::UNSPECIFIED_ERROR
                }
                reason => reason,
            };
            w.u8(reason.0);
        }
    })
}

fn unsubscribe(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    user: User<'_>,
    filters: impl Fn(&mut Writer<'_>),
) -> Result<(), TooLong> {
    writer::packet(out, first(PacketType::Unsubscribe), |w| {
        w.u16(packet_id);
        if version == Version::V5 {
            w.block(|w| w.user(&user));
        }
        filters(w);
    })
}

fn unsuback(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    (reason_string, user): (Option<&str>, User<'_>),
    reasons: impl Iterator<Item = ReasonCode> + Clone,
) -> Result<(), TooLong> {
    writer::packet(out, first(PacketType::Unsuback), |w| {
        w.u16(packet_id);
        if version == Version::V5 {
            w.ack_properties(reason_string, user);
            for reason in reasons.clone() {
                w.u8(Reasons::Unsuback.sendable(reason).0);
            }
        }
    })
}
