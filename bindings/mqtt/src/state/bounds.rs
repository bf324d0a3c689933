//! How much of everything one client may have, and how many clients there may be.

use mqtt_plane::{Limits, Qos, ReasonCode, UserProperties};

use super::{Refusal, Rule};

/// The bounds of a server, beside those of its exits: `options.limits` of the file. A connection
/// keeps those that were in force when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest packet that a client may send, bytes, where the exits take it: Maximum Packet
    /// Size.
    pub packet_size: u32,
    /// The longest client identifier, bytes: below 23 only where the file says so [MQTT-3.1.3-5].
    pub client_id_length: u16,
    /// The longest topic name or filter, bytes.
    pub topic_length: u16,
    /// The most levels of a topic name or filter.
    pub topic_levels: u16,
    /// Subscriptions of one client, on each exit.
    pub subscriptions: u32,
    /// How long a session is kept without a connection, seconds; 0: not at all, [`u32::MAX`]: for
    /// ever. CONNACK tells 5.0 clients that ask for longer (section 3.2.2.3.2).
    pub session_expiry: u32,
    /// Filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_per_packet: u16,
    /// User properties in one packet, and in its will.
    pub user_properties: u16,
    /// Messages of QoS 1 and 2 that are not acknowledged, each way, where the other side takes
    /// them: Receive Maximum. Not 0.
    pub in_flight: u16,
    /// Bytes that wait to be sent to one client, beyond which it is given nothing that could wait
    /// elsewhere.
    pub queued_bytes: u32,
    /// Connections of the binding, over all workers.
    pub connections: u32,
    /// Of them, those from one address; 0: not counted.
    pub connections_per_address: u32,
    /// CONNECT packets in a second, over all workers; 0: not counted.
    pub connects_per_second: u32,
    /// Connections whose CONNECT is not answered yet, over all workers.
    pub handshakes: u32,
    /// PUBLISH packets of one client in a second; 0: not counted.
    pub messages_per_second: u32,
    /// Bytes from one client in a second; 0: not counted.
    pub bytes_per_second: u32,
    /// What becomes of what comes faster.
    pub over_rate: OverRate,
}

/// What becomes of what a client sends faster than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverRate {
    /// It waits: the client is not read.
    Wait,
    /// Publishes are refused with 0x97, those of QoS 0 dropped.
    Refuse,
    /// The connection ends with 0x96.
    Disconnect,
}

impl Bounds {
    /// What holds where the file says nothing. What a client can make the server hold is bounded;
    /// how many clients there are, and how fast, is not, since the number that is too large is
    /// another for each machine: but for those that have not said who they are.
    pub const DEFAULT: Self = Self {
        packet_size: u32::MAX,
        client_id_length: 256,
        topic_length: 4096,
        topic_levels: 128,
        subscriptions: 10_000,
        session_expiry: u32::MAX,
        filters_per_packet: 1000,
        user_properties: 128,
        in_flight: u16::MAX,
        queued_bytes: 64 * 1024,
        connections: u32::MAX,
        connections_per_address: 0,
        connects_per_second: 0,
        handshakes: 10_000,
        messages_per_second: 0,
        bytes_per_second: 0,
        over_rate: OverRate::Wait,
    };

    /// The bounds of the server that exits have too.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits {
            maximum_qos: Qos::ExactlyOnce,
            maximum_packet_size: self.packet_size,
            receive_maximum: self.in_flight,
            keeps_sessions: true,
        }
    }

    /// Whether a topic name or filter is short enough, and has few enough levels.
    ///
    /// # Errors
    /// The code for a topic name, and the words for it.
    pub fn admit_topic(&self, topic: &str) -> Result<(), Refusal> {
        let refuse = |option, detail| {
            Err(Refusal::new(ReasonCode::TOPIC_NAME_INVALID, detail).by(Rule::Option(option)))
        };
        if topic.len() > usize::from(self.topic_length) {
            return refuse("/options/limits/topic-length", "topic is longer than the server takes");
        }
        // A text has no more levels than bytes and one: most are not looked at.
        let limit = usize::from(self.topic_levels);
        if topic.len() >= limit && topic.split('/').take(limit + 1).count() > limit {
            let detail = "topic has more levels than the server takes";
            return refuse("/options/limits/topic-levels", detail);
        }
        Ok(())
    }

    /// Whether the user properties of a packet are few enough.
    ///
    /// # Errors
    /// The code and the words for it.
    pub fn admit_user(&self, user: &dyn UserProperties) -> Result<(), Refusal> {
        let mut count = 0_usize;
        user.for_each(&mut |_, _| count += 1);
        if count > usize::from(self.user_properties) {
            let detail = "more user properties than the server takes";
            let rule = Rule::Option("/options/limits/user-properties");
            return Err(Refusal::new(ReasonCode::QUOTA_EXCEEDED, detail).by(rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_bounded_in_length_and_levels() {
        let bounds = Bounds { topic_length: 10, topic_levels: 3, ..Bounds::DEFAULT };
        for (topic, is_admitted) in [
            ("", true),
            ("/", true),
            ("a/b/c", true),
            ("//", true),
            ("///", false),
            ("a/b/c/d", false),
            ("0123456789", true),
            ("01234567890", false),
            ("a/b/c/d/e/f/g", false),
        ] {
            assert_eq!(bounds.admit_topic(topic).is_ok(), is_admitted, "{topic}");
        }
        let bounds = Bounds { topic_levels: 1, ..bounds };
        assert!(bounds.admit_topic("a").is_ok() && bounds.admit_topic("/").is_err());
    }

    #[test]
    fn user_properties_are_counted() {
        let bounds = Bounds { user_properties: 1, ..Bounds::DEFAULT };
        let pair = || ("a".to_owned(), "b".to_owned());
        assert!(bounds.admit_user(&()).is_ok());
        assert!(bounds.admit_user(&vec![pair()]).is_ok());
        let refused = bounds.admit_user(&vec![pair(), pair()]).unwrap_err();
        assert_eq!(refused.reason, ReasonCode::QUOTA_EXCEEDED);
    }
}
