//! What a server decides by, beside the routes and the limits of its exits.

use std::sync::Arc;

use mqtt_plane::{Qos, ReasonCode, Subscription, Version, is_share, share};

use super::{Bounds, Refusal, Rule, is_system};

/// The protocol versions that a binding accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// MQTT 3.1.1.
    pub v311: bool,
    /// MQTT 5.0.
    pub v5: bool,
}

impl Versions {
    /// Both.
    pub const ALL: Self = Self { v311: true, v5: true };

    pub(super) const fn accepts(self, version: Version) -> bool {
        match version {
            Version::V311 => self.v311,
            Version::V5 => self.v5,
        }
    }
}

/// What a server offers, of what MQTT leaves to the server. Zilla's properties set it, for a whole
/// run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How long a client may take until its CONNECT is there, seconds, not 0.
    pub connect_timeout: u16,
    /// The shortest keep alive that a 5.0 client is given, seconds.
    pub keep_alive_minimum: u16,
    /// The longest one, seconds; not below the shortest.
    pub keep_alive_maximum: u16,
    /// The highest QoS of publishes and subscriptions, where the exits do not have a lower one.
    pub maximum_qos: Qos,
    /// Topic Alias Maximum: aliases that a client may set; 0: none.
    pub topic_alias_maximum: u16,
    /// Whether messages can be retained.
    pub retain: bool,
    /// Whether filters may have wildcards.
    pub wildcard_subscriptions: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_ids: bool,
    /// Whether subscriptions can leave out what their own client publishes. Every server of MQTT
    /// 5.0 has to: CONNACK cannot say otherwise.
    pub no_local: bool,
    /// Whether subscriptions can be shared.
    pub shared_subscriptions: bool,
}

impl Offer {
    /// What is offered where nothing else is said. It differs from Zilla's: to be silent for less
    /// than 10 s costs nothing and is allowed; a few dozen topic aliases cost nothing to those who
    /// use none, and those who do hold no more than as many topics.
    pub const DEFAULT: Self = Self {
        connect_timeout: 3,
        keep_alive_minimum: 0,
        keep_alive_maximum: 1000,
        maximum_qos: Qos::ExactlyOnce,
        topic_alias_maximum: 32,
        retain: true,
        wildcard_subscriptions: true,
        subscription_ids: true,
        no_local: true,
        shared_subscriptions: true,
    };

    /// The keep alive to enforce, seconds; to be announced where it is not what was asked for
    /// [MQTT-3.2.2-21], [MQTT-3.2.2-22]. 0 stays: the client wants none. A 3.1.1 client cannot be
    /// told of another, so it keeps its own.
    pub(super) fn keep_alive(&self, version: Version, asked: u16) -> u16 {
        if asked == 0 || version == Version::V311 {
            return asked;
        }
        asked.max(self.keep_alive_minimum).min(self.keep_alive_maximum)
    }

    /// Whether something of this subscription is not offered, and the code that says what.
    pub(super) fn admit_subscription(&self, asked: &Subscription<'_>) -> Result<(), ReasonCode> {
        if is_share(asked.filter) && !self.shared_subscriptions {
            return Err(ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        if asked.id.is_some() && !self.subscription_ids {
            return Err(ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED);
        }
        if asked.no_local && !self.no_local {
            return Err(ReasonCode::PROTOCOL_ERROR);
        }
        if asked.filter.contains(['+', '#']) && !self.wildcard_subscriptions {
            return Err(ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        Ok(())
    }
}

/// What a server decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The protocol versions that are accepted.
    pub versions: Versions,
    /// What is offered.
    pub offer: Offer,
    /// How much of everything.
    pub bounds: Bounds,
    /// Whether a payload is held against its Payload Format Indicator.
    pub checks_payload_format: bool,
    /// What [`Policy::response_information`] makes Response Information from, if there is any.
    pub response_information: Option<Arc<str>>,
    /// How often the server tells what has changed of its `$SYS` topics, seconds; 0: it has none,
    /// and they are topics like others.
    pub system_interval: u32,
}

impl Policy {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = Self {
        versions: Versions::ALL,
        offer: Offer::DEFAULT,
        bounds: Bounds::DEFAULT,
        checks_payload_format: false,
        response_information: None,
        system_interval: SYSTEM_INTERVAL,
    };

    /// Refuses a message to a topic of the server's own.
    ///
    /// # Errors
    /// The code of its acknowledgement or of CONNACK, and the words for it.
    pub fn admit_topic(&self, topic: &str) -> Result<(), Refusal> {
        if self.system_interval > 0 && is_system(topic) {
            return Err(SYSTEM_TOPIC);
        }
        Ok(())
    }

    /// Refuses to share a subscription to topics of the server's own: each who wants to know is
    /// told.
    ///
    /// # Errors
    /// The code of SUBACK.
    pub fn admit_shared(&self, filter: &str) -> Result<(), ReasonCode> {
        let is_shared_system = || share(filter).is_some_and(|(_, filter)| is_system(filter));
        if self.system_interval > 0 && is_shared_system() {
            return Err(ReasonCode::TOPIC_FILTER_INVALID);
        }
        Ok(())
    }

    /// Response Information for a client that asks for it: `{client-id}` in the text of the file
    /// stands for its client identifier.
    #[must_use]
    pub fn response_information(&self, client_id: &str) -> Option<String> {
        self.response_information.as_deref().map(|text| text.replace("{client-id}", client_id))
    }
}

/// How often what has changed of the `$SYS` topics is told, seconds: mosquitto's default.
pub const SYSTEM_INTERVAL: u32 = 10;

/// A message to a topic of the server's own.
const SYSTEM_TOPIC: Refusal = Refusal {
    reason: ReasonCode::TOPIC_NAME_INVALID,
    detail: "topics that begin with $SYS are the server's: publish to another one",
    rule: Rule::Option("/options/sys-interval"),
};

#[cfg(test)]
mod tests {
    use mqtt_plane::asked::subscription;

    use super::*;

    /// [MQTT-3.2.2-21], [MQTT-3.2.2-22]
    #[test]
    fn keep_alive_is_kept_within_bounds_and_a_5_0_client_is_told() {
        let none = Offer::DEFAULT;
        let bounded = Offer { keep_alive_minimum: 10, ..none };
        let contradictory = Offer { keep_alive_minimum: 2000, ..none };
        for (offer, asked, v5) in [
            (none, 0, 0),
            (none, 1, 1),
            (none, 60, 60),
            (none, 1000, 1000),
            (none, 5000, 1000),
            (bounded, 0, 0),
            (bounded, 9, 10),
            (bounded, 10, 10),
            (contradictory, 60, 1000),
        ] {
            assert_eq!(offer.keep_alive(Version::V5, asked), v5);
            assert_eq!(offer.keep_alive(Version::V311, asked), asked);
        }
    }

    #[test]
    fn a_subscription_is_refused_by_what_is_not_offered() {
        let all = Offer::DEFAULT;
        let plain = |filter| subscription(filter, Qos::AtMostOnce);
        let identified = Subscription { id: Some(1), ..plain("a") };
        for asked in [plain("a"), plain("+/a/#"), plain("$share/g/a"), identified] {
            assert_eq!(all.admit_subscription(&asked), Ok(()));
        }
        let refused = |offer: Offer, asked: &Subscription<'_>| {
            assert_eq!(offer.admit_subscription(&plain("a")), Ok(()));
            offer.admit_subscription(asked).unwrap_err()
        };
        for filter in ["+", "a/#", "$share/g/+"] {
            let offer = Offer { wildcard_subscriptions: false, ..all };
            let reason = ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED;
            assert_eq!(refused(offer, &plain(filter)), reason);
        }
        let offer = Offer { subscription_ids: false, ..all };
        let reason = ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
        assert_eq!(refused(offer, &identified), reason);
        let no_local = Subscription { no_local: true, ..plain("a") };
        assert_eq!(all.admit_subscription(&no_local), Ok(()));
        let offer = Offer { no_local: false, ..all };
        assert_eq!(refused(offer, &no_local), ReasonCode::PROTOCOL_ERROR);
        let offer = Offer { shared_subscriptions: false, ..all };
        let reason = ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
        assert_eq!(refused(offer, &plain("$share/g/a")), reason);
    }
}
