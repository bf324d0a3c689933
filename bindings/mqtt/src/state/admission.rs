//! What becomes of a CONNECT: the terms of its connection, or why it is refused.

use std::rc::Rc;

use mqtt_plane::{Closed, Limits, Qos, ReasonCode, RetainHandling, Subscription, Version};

use super::{Policy, Refusal, Rule};
use crate::wire::{Connect, PublishPacket};

/// Deliveries that a 3.1.1 client, which has no way to say how many it takes, may have uncompleted.
const RECEIVE_MAXIMUM_V311: u16 = 1024;

/// The shortest client identifier that is assigned, bytes: a shorter one might be in use.
pub const SHORTEST_ASSIGNED: u16 = 16;

/// What a connection keeps to, as CONNECT and CONNACK say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The protocol version.
    pub version: Version,
    /// Keep Alive, seconds; 0: none.
    pub keep_alive: u16,
    /// Session Expiry Interval of CONNECT, seconds.
    pub session_expiry_asked: u32,
    /// Session Expiry Interval in force, seconds.
    pub session_expiry: u32,
    /// QoS 1 and QoS 2 deliveries that the client takes uncompleted.
    pub client_receive_maximum: u16,
    /// The largest packet that the client takes, bytes.
    pub client_maximum_packet_size: u32,
    /// QoS 1 and QoS 2 publishes that the client may have uncompleted.
    pub receive_maximum: u16,
    /// The largest packet that the client may send, bytes.
    pub maximum_packet_size: u32,
    /// What the server decided by when the client connected. A reload changes nothing of it.
    pub policy: Rc<Policy>,
    /// The highest QoS of a publish or a will of the client, and of a subscription granted.
    pub maximum_qos: Qos,
}

impl Terms {
    /// Decides a PUBLISH, before its route.
    ///
    /// # Errors
    /// The code and the words that the connection ends with [MQTT-3.2.2-11], [MQTT-3.2.2-14].
    pub fn admit_publish(&self, qos: Qos, retain: bool) -> Result<(), Refusal> {
        if qos > self.maximum_qos {
            let detail = "PUBLISH with a QoS above the Maximum QoS";
            let refusal = Refusal::new(ReasonCode::QOS_NOT_SUPPORTED, detail);
            return Err(refusal.by(Rule::MaximumQos));
        }
        if retain && !self.policy.offer.retain {
            let detail = "PUBLISH with RETAIN, which is not available";
            let refusal = Refusal::new(ReasonCode::RETAIN_NOT_SUPPORTED, detail);
            return Err(refusal.by(RETAIN_AVAILABLE));
        }
        Ok(())
    }

    /// Decides the message of a PUBLISH, before its route: the connection goes on where it is
    /// refused.
    ///
    /// # Errors
    /// The code of its acknowledgement, and the words for it.
    pub fn admit_message(&self, packet: &PublishPacket<'_>) -> Result<(), Refusal> {
        let bounds = &self.policy.bounds;
        bounds.admit_topic(packet.topic)?;
        bounds.admit_user(&packet.user)
    }

    /// Decides the payload of a PUBLISH, as [`Terms::admit_message`] decides the rest. Reads all of
    /// it where it is said to be UTF-8 and is to be checked.
    ///
    /// # Errors
    /// The code of its acknowledgement, and the words for it.
    pub fn admit_payload(&self, packet: &PublishPacket<'_>) -> Result<(), Refusal> {
        if self.policy.checks_payload_format && !packet.keeps_payload_format() {
            return Err(PAYLOAD_FORMAT);
        }
        Ok(())
    }

    /// Decides a subscription: where `route` leads, and what to ask for there. Any QoS may be asked
    /// for [MQTT-3.2.2-10]; where messages cannot be retained, none is sent as such.
    ///
    /// # Errors
    /// The code of SUBACK, or of what [`Terms::forbids`].
    pub fn admit_subscription<'a, R>(
        &self,
        asked: Subscription<'a>,
        route: impl FnOnce() -> Result<R, ReasonCode>,
    ) -> Result<(R, Subscription<'a>), ReasonCode> {
        self.policy.offer.admit_subscription(&asked)?;
        self.policy.admit_shared(asked.filter)?;
        self.admit_filter(asked.filter)?;
        let mut subscription = asked;
        subscription.qos = asked.qos.min(self.maximum_qos);
        if !self.policy.offer.retain {
            subscription.retain_handling = RetainHandling::DoNotSend;
            subscription.retain_as_published = false;
        }
        Ok((route()?, subscription))
    }

    /// Decides a filter, whatever is to be done with it.
    ///
    /// # Errors
    /// The code of SUBACK or UNSUBACK.
    pub fn admit_filter(&self, filter: &str) -> Result<(), ReasonCode> {
        let admitted = self.policy.bounds.admit_topic(filter);
        admitted.map_err(|_| ReasonCode::TOPIC_FILTER_INVALID)
    }

    /// Why a subscription that is refused so ends the connection of a 5.0 client: CONNACK has said
    /// that there is no such thing (sections 3.2.2.3.11 to 3.2.2.3.13). A 3.1.1 client was not
    /// told, and has its answer in SUBACK.
    #[must_use]
    pub fn forbids(&self, reason: ReasonCode) -> Option<Closed> {
        unavailable(reason).filter(|_| self.version == Version::V5).map(Closed::from)
    }
}

/// What is not available, of the kinds of subscriptions that a server can do without.
#[must_use]
pub const fn unavailable(reason: ReasonCode) -> Option<Refusal> {
    let (detail, property) = match reason {
        ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED => (
            "shared subscriptions are not available",
            "zilla.binding.mqtt.shared.subscription.available",
        ),
        ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED => (
            "subscription identifiers are not available",
            "zilla.binding.mqtt.subscription.identifiers.available",
        ),
        ReasonCode::PROTOCOL_ERROR => ("No Local is not available", "zilla.binding.mqtt.no.local"),
        ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED => (
            "wildcard subscriptions are not available",
            "zilla.binding.mqtt.wildcard.subscription.available",
        ),
        _ => return None,
    };
    Some(Refusal { reason, detail, rule: Rule::Property(property) })
}

/// What says whether messages can be retained.
const RETAIN_AVAILABLE: Rule = Rule::Property("zilla.binding.mqtt.retain.available");

/// A payload is not what its Payload Format Indicator says (sections 3.1.3.2.3 and 3.3.2.3.2).
const PAYLOAD_FORMAT: Refusal = Refusal {
    reason: ReasonCode::PAYLOAD_FORMAT_INVALID,
    detail: "payload is not UTF-8, which its Payload Format Indicator says it is",
    rule: Rule::Option("/options/payload-format"),
};

/// No route takes a session, a publish or a filter.
pub const NO_ROUTE: Closed =
    Closed { reason: ReasonCode::NOT_AUTHORIZED, detail: "no route takes this client" };

/// No route takes the Will Topic of a CONNECT.
pub const NO_WILL_ROUTE: Closed = Closed { detail: "no route takes the Will Topic", ..NO_ROUTE };

/// The bounds of a server before those of its exits.
pub const UNLIMITED: Limits = Limits {
    maximum_qos: Qos::ExactlyOnce,
    maximum_packet_size: u32::MAX,
    receive_maximum: u16::MAX,
    keeps_sessions: true,
};

/// Decides a packet from a client by its length, bytes.
///
/// # Errors
/// It is longer than what the client was told (section 3.2.2.3.6).
pub const fn admit_packet(len: usize, maximum_packet_size: u32) -> Result<(), Refusal> {
    if len > maximum_packet_size as usize {
        let detail = "packet is larger than the Maximum Packet Size";
        let rule = Rule::Option("/options/limits/packet-size");
        return Err(Refusal::new(ReasonCode::PACKET_TOO_LARGE, detail).by(rule));
    }
    Ok(())
}

/// Agrees on the terms of a connection, or refuses it.
///
/// # Errors
/// The code for CONNACK and what is wrong.
pub fn admit(connect: &Connect<'_>, policy: &Rc<Policy>, limits: Limits) -> Result<Terms, Refusal> {
    let refuse = |reason, detail| Err(Refusal::new(reason, detail));
    let refuse_by = |rule, reason, detail| Err(Refusal { reason, detail, rule });
    let version = connect.version;
    let properties = &connect.properties;
    let bounds = &policy.bounds;
    if !policy.versions.accepts(version) {
        // [MQTT-3.1.2-2]
        return refuse_by(
            Rule::Option("/options/versions"),
            ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            "this protocol version is not accepted here",
        );
    }
    if properties.authentication_method.is_some() {
        // [MQTT-4.12.0-1], [MQTT-4.12.0-4]: the server supports no method.
        return refuse(
            ReasonCode::BAD_AUTHENTICATION_METHOD,
            "enhanced authentication is not supported",
        );
    }
    // [MQTT-3.1.3-8]; `#` separates the parts of the keys under which session state is kept.
    if connect.client_id.len() > usize::from(bounds.client_id_length) {
        return refuse_by(
            Rule::Option("/options/limits/client-id-length"),
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            "client identifier is longer than the server takes",
        );
    }
    if connect.client_id.contains('#') {
        return refuse(
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            "client identifier contains the character #",
        );
    }
    if connect.client_id.is_empty() && bounds.client_id_length < SHORTEST_ASSIGNED {
        // [MQTT-3.1.3-6]: the server may assign one, and need not.
        return refuse(
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            "empty client identifier, and none that is assigned is as short as the server's limit",
        );
    }
    if version == Version::V311 && connect.client_id.is_empty() && !connect.clean_start {
        // [MQTT-3.1.3-8] of 3.1.1
        return refuse(
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            "empty client identifier without Clean Session",
        );
    }
    bounds.admit_user(&properties.user)?;
    if let Some(will) = &connect.will {
        bounds.admit_user(&will.user)?;
        bounds.admit_topic(will.topic)?;
        policy.admit_topic(will.topic)?;
        if policy.checks_payload_format && !will.keeps_payload_format() {
            return Err(PAYLOAD_FORMAT);
        }
    }
    let maximum_qos = limits.maximum_qos.min(policy.offer.maximum_qos);
    if connect.will.is_some_and(|will| will.qos > maximum_qos) {
        // [MQTT-3.2.2-12]
        let detail = "Will QoS is above the Maximum QoS";
        return refuse_by(Rule::MaximumQos, ReasonCode::QOS_NOT_SUPPORTED, detail);
    }
    if connect.will.is_some_and(|will| will.retain) && !policy.offer.retain {
        // [MQTT-3.2.2-13]
        let detail = "Will Retain, which is not available";
        return refuse_by(RETAIN_AVAILABLE, ReasonCode::RETAIN_NOT_SUPPORTED, detail);
    }
    let keep_alive = policy.offer.keep_alive(version, connect.keep_alive);
    let session_expiry_asked = match version {
        Version::V5 => properties.session_expiry,
        // Without Clean Session a session of 3.1.1 does not expire.
        Version::V311 if connect.clean_start => 0,
        Version::V311 => u32::MAX,
    };
    Ok(Terms {
        version,
        keep_alive,
        session_expiry_asked,
        session_expiry: match limits.keeps_sessions {
            true => session_expiry_asked.min(bounds.session_expiry),
            false => 0,
        },
        client_receive_maximum: bounds.in_flight.min(match version {
            Version::V5 => properties.receive_maximum,
            Version::V311 => RECEIVE_MAXIMUM_V311,
        }),
        client_maximum_packet_size: properties.maximum_packet_size.unwrap_or(u32::MAX),
        receive_maximum: limits.receive_maximum.max(1),
        maximum_packet_size: limits.maximum_packet_size,
        policy: Rc::clone(policy),
        maximum_qos,
    })
}

/// The bounds that hold on each of two exits.
#[must_use]
pub fn stricter(a: Limits, b: Limits) -> Limits {
    Limits {
        maximum_qos: a.maximum_qos.min(b.maximum_qos),
        maximum_packet_size: a.maximum_packet_size.min(b.maximum_packet_size),
        receive_maximum: a.receive_maximum.min(b.receive_maximum),
        keeps_sessions: a.keeps_sessions && b.keeps_sessions,
    }
}

#[cfg(test)]
mod tests {
    use mqtt_plane::asked::subscription;

    use super::*;
    use crate::state::{Bounds, Offer, Versions};
    use crate::wire::WillView;

    const LIMITS: Limits = Limits {
        maximum_qos: Qos::AtLeastOnce,
        maximum_packet_size: 1000,
        receive_maximum: 100,
        keeps_sessions: false,
    };

    fn default() -> Rc<Policy> {
        Rc::new(Policy::DEFAULT)
    }

    fn refusal(connect: &Connect<'_>) -> ReasonCode {
        admit(connect, &Rc::new(Policy::DEFAULT), LIMITS).unwrap_err().reason
    }

    #[test]
    fn connects_that_cannot_be_served_are_refused_with_their_reason() {
        let connect = Connect::new(Version::V5, "c");
        let versions = Versions { v311: false, v5: true };
        let v5_only = Rc::new(Policy { versions, ..Policy::DEFAULT });
        let old = Connect::new(Version::V311, "c");
        assert_eq!(
            admit(&old, &v5_only, LIMITS).unwrap_err().reason,
            ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
        );
        let mut authenticated = connect;
        authenticated.properties.authentication_method = Some("SCRAM-SHA-1");
        assert_eq!(refusal(&authenticated), ReasonCode::BAD_AUTHENTICATION_METHOD);
        let long = "x".repeat(257);
        for client_id in [&long, "a#b"] {
            let connect = Connect::new(Version::V5, client_id);
            assert_eq!(refusal(&connect), ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
        }
        let mut unnamed = Connect::new(Version::V311, "");
        assert!(admit(&unnamed, &default(), LIMITS).is_ok());
        unnamed.clean_start = false;
        assert_eq!(refusal(&unnamed), ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
        for (client_id_length, is_given_one) in [(15, false), (16, true)] {
            let bounds = Bounds { client_id_length, ..Bounds::DEFAULT };
            let policy = Rc::new(Policy { bounds, ..Policy::DEFAULT });
            let admitted = admit(&Connect::new(Version::V5, ""), &policy, LIMITS);
            assert_eq!(admitted.is_ok(), is_given_one);
        }
        let mut will = connect;
        will.will = Some(WillView::new("t", b"", Qos::ExactlyOnce, false));
        assert_eq!(refusal(&will), ReasonCode::QOS_NOT_SUPPORTED);
    }

    fn terms(version: Version, offer: Offer) -> Terms {
        let policy = Rc::new(Policy { offer, ..Policy::DEFAULT });
        admit(&Connect::new(version, "c"), &policy, LIMITS).unwrap()
    }

    /// [MQTT-3.2.2-11], [MQTT-3.2.2-12], [MQTT-3.2.2-13], [MQTT-3.2.2-14]
    #[test]
    fn what_is_not_offered_is_refused_in_publishes_and_wills() {
        let offer = Offer { retain: false, maximum_qos: Qos::AtMostOnce, ..Offer::DEFAULT };
        for (qos, retain, expected) in [
            (Qos::AtMostOnce, false, None),
            (Qos::AtLeastOnce, false, Some(ReasonCode::QOS_NOT_SUPPORTED)),
            (Qos::AtMostOnce, true, Some(ReasonCode::RETAIN_NOT_SUPPORTED)),
        ] {
            for version in [Version::V5, Version::V311] {
                let refused = terms(version, offer).admit_publish(qos, retain).err();
                assert_eq!(refused.map(|closed| closed.reason), expected);
                let mut connect = Connect::new(version, "c");
                connect.will = Some(WillView::new("t", b"", qos, retain));
                let policy = Rc::new(Policy { offer, ..Policy::DEFAULT });
                let refused = admit(&connect, &policy, LIMITS).err();
                assert_eq!(refused.map(|closed| closed.reason), expected);
            }
        }
    }

    #[test]
    fn without_retained_messages_a_subscription_asks_for_none() {
        let asked = Subscription {
            retain_handling: RetainHandling::Send,
            retain_as_published: true,
            ..subscription("a", Qos::AtMostOnce)
        };
        let admitted =
            |offer| terms(Version::V5, offer).admit_subscription(asked, || Ok(())).unwrap().1;
        assert_eq!(admitted(Offer::DEFAULT), asked);
        let expected = Subscription {
            retain_handling: RetainHandling::DoNotSend,
            retain_as_published: false,
            ..asked
        };
        assert_eq!(admitted(Offer { retain: false, ..Offer::DEFAULT }), expected);
    }

    #[test]
    fn a_session_that_is_not_kept_expires_at_once() {
        let mut connect = Connect::new(Version::V5, "c");
        connect.properties.session_expiry = 60;
        let terms = admit(&connect, &default(), LIMITS).unwrap();
        assert_eq!((terms.session_expiry_asked, terms.session_expiry), (60, 0));
        let kept = Limits { keeps_sessions: true, ..LIMITS };
        assert_eq!(admit(&connect, &default(), kept).unwrap().session_expiry, 60);
        let mut old = Connect::new(Version::V311, "c");
        old.clean_start = false;
        assert_eq!(admit(&old, &default(), kept).unwrap().session_expiry, u32::MAX);
        let bounds = Bounds { session_expiry: 50, ..Bounds::DEFAULT };
        let policy = Rc::new(Policy { bounds, ..(*default()).clone() });
        for connect in [connect, old] {
            assert_eq!(admit(&connect, &policy, kept).unwrap().session_expiry, 50);
        }
    }
}
