//! What a server tells of itself under `$SYS/broker/…`: the topics that mosquitto has, as far as
//! there is something to say.

use mqtt_plane::filter_matches;

/// Whether a topic name or a topic filter begins with the level `$SYS`: no filter that begins with
/// a wildcard matches those [MQTT-4.7.2-1].
#[must_use]
pub fn is_system(topic: &str) -> bool {
    topic.strip_prefix("$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What there is to tell, of one server in this process since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Seconds since the start.
    pub uptime: u64,
    /// Clients that are connected.
    pub connected: u64,
    /// Clients that are away and whose session is kept.
    pub disconnected: u64,
    /// Packets of clients, of all types.
    pub packets_received: u64,
    /// Packets to clients, of all types.
    pub packets_sent: u64,
    /// PUBLISH packets of clients.
    pub publishes_received: u64,
    /// PUBLISH packets to clients.
    pub publishes_sent: u64,
    /// Messages refused, and messages that a subscriber did not get.
    pub publishes_dropped: u64,
    /// Bytes of clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
    /// Subscriptions of all clients, those that are away included.
    pub subscriptions: u64,
}

/// What a topic's message says.
type Show = fn(&Figures) -> String;

/// The topics, each with what its message says.
pub const SYSTEM_TOPICS: &[(&str, Show)] = &[
    ("$SYS/broker/version", |_| concat!("zilla version ", env!("CARGO_PKG_VERSION")).to_owned()),
    ("$SYS/broker/uptime", |figures| format!("{} seconds", figures.uptime)),
    ("$SYS/broker/clients/total", |figures| {
        figures.connected.saturating_add(figures.disconnected).to_string()
    }),
    ("$SYS/broker/clients/connected", |figures| figures.connected.to_string()),
    ("$SYS/broker/clients/disconnected", |figures| figures.disconnected.to_string()),
    ("$SYS/broker/messages/received", |figures| figures.packets_received.to_string()),
    ("$SYS/broker/messages/sent", |figures| figures.packets_sent.to_string()),
    ("$SYS/broker/publish/messages/received", |figures| figures.publishes_received.to_string()),
    ("$SYS/broker/publish/messages/sent", |figures| figures.publishes_sent.to_string()),
    ("$SYS/broker/publish/messages/dropped", |figures| figures.publishes_dropped.to_string()),
    ("$SYS/broker/bytes/received", |figures| figures.bytes_received.to_string()),
    ("$SYS/broker/bytes/sent", |figures| figures.bytes_sent.to_string()),
    ("$SYS/broker/subscriptions/count", |figures| figures.subscriptions.to_string()),
];

/// Some of [`SYSTEM_TOPICS`], by their index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicSet(u32);

// One bit a topic.
const _: () = assert!(SYSTEM_TOPICS.len() <= u32::BITS as usize);

impl TopicSet {
    /// The topics for which `is_in` says so.
    #[must_use]
    pub fn of(is_in: impl Fn(usize) -> bool) -> Self {
        let bits = (0..SYSTEM_TOPICS.len()).filter(|&index| is_in(index));
        Self(bits.fold(0, |bits, index| bits | 1 << index))
    }

    /// The topics that a filter matches.
    #[must_use]
    pub fn matched_by(filter: &str) -> Self {
        Self::of(|index| filter_matches(filter, SYSTEM_TOPICS[index].0))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a topic is one of them.
    #[must_use]
    pub const fn contains(self, index: u32) -> bool {
        self.0 & 1 << index != 0
    }

    /// Takes the first out.
    pub const fn take_first(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(index)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use mqtt_plane::check_topic;

    use super::*;

    #[test]
    fn only_topics_whose_first_level_is_sys_are_the_servers() {
        for topic in ["$SYS", "$SYS/", "$SYS/broker/uptime", "$SYS/#", "$SYS/+/x"] {
            assert!(is_system(topic), "{topic}");
        }
        for topic in ["", "$", "$SYSTEM/x", "$sys/x", "a/$SYS/x", "/$SYS", "#", "+/broker/uptime"] {
            assert!(!is_system(topic), "{topic}");
        }
        for (topic, _) in SYSTEM_TOPICS {
            assert!(is_system(topic) && check_topic(topic).is_ok(), "{topic}");
        }
    }

    /// [MQTT-4.7.2-1]
    #[test]
    fn filters_find_the_topics_and_those_that_begin_with_a_wildcard_none() {
        let names = |filter: &str| {
            let mut set = TopicSet::matched_by(filter);
            let mut names = Vec::new();
            while let Some(index) = set.take_first() {
                names.push(SYSTEM_TOPICS[index as usize].0);
            }
            names
        };
        assert_eq!(names("$SYS/#").len(), SYSTEM_TOPICS.len());
        assert_eq!(names("$SYS/broker/uptime"), ["$SYS/broker/uptime"]);
        assert_eq!(
            names("$SYS/broker/+"),
            ["$SYS/broker/version", "$SYS/broker/uptime"],
            "one level"
        );
        assert_eq!(names("$SYS/+/bytes/#").len(), 2);
        for filter in ["#", "+/#", "+/broker/uptime", "$SYS", "$SYS/+", "$SYS/broker/uptime/x"] {
            assert!(names(filter).is_empty(), "{filter}");
            assert!(TopicSet::matched_by(filter).is_empty(), "{filter}");
        }
    }

    #[test]
    fn each_topic_tells_its_own_figure() {
        let figures = Figures {
            uptime: 1,
            connected: 2,
            disconnected: 30,
            packets_received: 4,
            packets_sent: 5,
            publishes_received: 6,
            publishes_sent: 7,
            publishes_dropped: 8,
            bytes_received: 9,
            bytes_sent: 10,
            subscriptions: 11,
        };
        let told = SYSTEM_TOPICS.iter().skip(1).map(|(topic, show)| (*topic, show(&figures)));
        let expected = [
            ("uptime", "1 seconds"),
            ("clients/total", "32"),
            ("clients/connected", "2"),
            ("clients/disconnected", "30"),
            ("messages/received", "4"),
            ("messages/sent", "5"),
            ("publish/messages/received", "6"),
            ("publish/messages/sent", "7"),
            ("publish/messages/dropped", "8"),
            ("bytes/received", "9"),
            ("bytes/sent", "10"),
            ("subscriptions/count", "11"),
        ];
        let expected = expected.map(|(topic, text)| (format!("$SYS/broker/{topic}"), text));
        let expected: Vec<_> = expected.iter().map(|(topic, text)| (&**topic, *text)).collect();
        let told: Vec<_> = told.collect();
        let told: Vec<_> = told.iter().map(|(topic, text)| (*topic, &**text)).collect();
        assert_eq!(told, expected);
        assert!(SYSTEM_TOPICS[0].1(&figures).starts_with("zilla version "));
    }
}
