//! Topic aliases: numbers that stand for topic names within a connection (MQTT 5.0 section
//! 3.3.2.3.4). They end with it [MQTT-3.3.2-7], and each direction has its own.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use mqtt_plane::{Closed, ReasonCode};

/// The aliases of a client, as it has set them. Holds nothing before the first one.
#[derive(Debug, Default)]
pub struct InboundAliases {
    /// By alias, from 1.
    topics: Vec<Option<Rc<str>>>,
}

impl InboundAliases {
    /// The topic of a PUBLISH with an alias, not 0: its own, which the alias stands for from now
    /// on; or, where that is empty, the one that the alias stands for. Each alias up to `maximum`,
    /// the Topic Alias Maximum of the server, is taken [MQTT-3.3.2-12].
    ///
    /// # Errors
    /// An alias above the maximum [MQTT-3.3.2-9], or one that stands for no topic (section
    /// 3.3.2.3.4): the connection ends.
    pub fn resolve(&mut self, maximum: u16, alias: u16, topic: &str) -> Result<Rc<str>, Closed> {
        if alias > maximum {
            let detail = "topic alias above the Topic Alias Maximum";
            return Err(Closed { reason: ReasonCode::TOPIC_ALIAS_INVALID, detail });
        }
        let index = usize::from(alias).saturating_sub(1);
        let known = self.topics.get(index).and_then(Option::as_ref);
        if let Some(known) = known.filter(|known| topic.is_empty() || ***known == *topic) {
            return Ok(Rc::clone(known));
        }
        if topic.is_empty() {
            let detail = "topic alias that stands for no topic";
            return Err(Closed { reason: ReasonCode::PROTOCOL_ERROR, detail });
        }
        if self.topics.len() <= index {
            self.topics.reserve_exact(index + 1 - self.topics.len());
            self.topics.resize(index + 1, None);
        }
        let topic: Rc<str> = topic.into();
        self.topics[index] = Some(Rc::clone(&topic));
        Ok(topic)
    }
}

/// Aliases that one client is given at most, whatever it allows: so many topics, of 65,535 bytes at
/// most, are held for it.
const MAX_OUTBOUND: u16 = 32;

/// Bytes of the property. Shorter topics are sent as they are.
const PROPERTY_LEN: usize = 3;

/// The aliases that the server has set for a client that allows it.
///
/// A topic has one place, by its hash, which is its alias. It gets the alias at once where nobody has
/// it, else the second time that it comes without the one that has it in between: topics that repeat
/// keep their aliases, and those that come once take them from nobody.
#[derive(Debug)]
pub struct OutboundAliases {
    /// Places to have, from the first message on.
    count: u16,
    places: Box<[Place]>,
    hasher: RandomState,
}

#[derive(Clone, Debug, Default)]
struct Place {
    /// What the alias stands for; empty: nothing.
    topic: String,
    /// The hash of the topic that came last and has no alias.
    candidate: Option<u64>,
}

/// How an alias is used for one PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The alias, not 0.
    pub number: u16,
    /// Whether the client knows the topic by it; else the PUBLISH has both, and sets it.
    pub is_known: bool,
}

impl OutboundAliases {
    /// None yet. `maximum` is the Topic Alias Maximum of the client, not 0: no alias is above it
    /// [MQTT-3.1.2-26], [MQTT-3.3.2-11].
    #[must_use]
    pub fn new(maximum: u16) -> Self {
        Self {
            count: maximum.clamp(1, MAX_OUTBOUND),
            places: Box::default(),
            hasher: RandomState::new(),
        }
    }

    /// The alias to send with the next PUBLISH to a topic, if there is one. Where that is not sent,
    /// [`OutboundAliases::forget`] must follow.
    pub fn take(&mut self, topic: &str) -> Option<Alias> {
        if topic.len() <= PROPERTY_LEN {
            return None;
        }
        if self.places.is_empty() {
            self.places = vec![Place::default(); usize::from(self.count)].into();
        }
        let hash = self.hasher.hash_one(topic);
        let index = u16::try_from(hash % u64::from(self.count)).unwrap_or_default();
        let place = self.places.get_mut(usize::from(index))?;
        let number = index + 1;
        if place.topic == topic {
            place.candidate = None;
            return Some(Alias { number, is_known: true });
        }
        if !place.topic.is_empty() && place.candidate != Some(hash) {
            place.candidate = Some(hash);
            return None;
        }
        place.candidate = None;
        place.topic.clear();
        place.topic.push_str(topic);
        Some(Alias { number, is_known: false })
    }

    /// The PUBLISH with this alias was not sent: where it would have set the alias, it has not.
    pub fn forget(&mut self, alias: Alias) {
        if let Some(place) = self.places.get_mut(usize::from(alias.number) - 1)
            && !alias.is_known
        {
            place.topic.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-3.3.2-12]
    #[test]
    fn a_client_sets_uses_and_replaces_aliases() {
        let mut aliases = InboundAliases::default();
        assert_eq!(aliases.topics.capacity(), 0);
        for (alias, topic, expected) in [
            (3, "a/b", "a/b"),
            (3, "", "a/b"),
            (1, "c", "c"),
            (3, "d", "d"),
            (3, "", "d"),
            (1, "", "c"),
            (1, "c", "c"),
        ] {
            assert_eq!(&*aliases.resolve(3, alias, topic).unwrap(), expected);
        }
    }

    /// [MQTT-3.3.2-9], section 3.3.2.3.4
    #[test]
    fn aliases_above_the_maximum_and_those_never_set_end_the_connection() {
        let mut aliases = InboundAliases::default();
        aliases.resolve(3, 3, "a").unwrap();
        for (maximum, alias, topic, reason) in [
            (3, 4, "a", ReasonCode::TOPIC_ALIAS_INVALID),
            (3, 4, "", ReasonCode::TOPIC_ALIAS_INVALID),
            (0, 1, "a", ReasonCode::TOPIC_ALIAS_INVALID),
            (3, 2, "", ReasonCode::PROTOCOL_ERROR),
            (5, 5, "", ReasonCode::PROTOCOL_ERROR),
        ] {
            assert_eq!(aliases.resolve(maximum, alias, topic).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn a_topic_that_repeats_keeps_its_alias() {
        let mut aliases = OutboundAliases::new(8);
        let set = aliases.take("aaaa").unwrap();
        assert!(!set.is_known && (1..=8).contains(&set.number));
        for _ in 0..3 {
            assert_eq!(aliases.take("aaaa"), Some(Alias { is_known: true, ..set }));
        }
        let once = |topic: &u32| aliases.take(&format!("once/{topic}")).is_some();
        assert!((0..1000).filter(once).count() < 8, "those that come once take what is free");
        assert_eq!(aliases.take("aaaa"), Some(Alias { is_known: true, ..set }));
    }

    /// [MQTT-3.1.2-26], [MQTT-3.3.2-11]: one place, so that two topics contend for it.
    #[test]
    fn the_topic_that_repeats_displaces_the_other() {
        let mut aliases = OutboundAliases::new(1);
        let set = Some(Alias { number: 1, is_known: false });
        let known = Some(Alias { number: 1, is_known: true });
        for (topic, expected) in [
            ("aaaa", set),
            ("bbbb", None),
            ("aaaa", known),
            ("bbbb", None),
            ("bbbb", set),
            ("bbbb", known),
            ("aaaa", None),
            ("aaaa", set),
        ] {
            assert_eq!(aliases.take(topic), expected, "{topic}");
        }
        for _ in 0..3 {
            assert_eq!(aliases.take("ttt"), None, "shorter than the property");
        }
        assert_eq!(OutboundAliases::new(u16::MAX).count, MAX_OUTBOUND);
    }

    #[test]
    fn an_alias_that_was_not_sent_is_not_set() {
        let mut aliases = OutboundAliases::new(1);
        let set = aliases.take("aaaa").unwrap();
        aliases.forget(set);
        assert_eq!(aliases.take("aaaa"), Some(set));
        let known = aliases.take("aaaa").unwrap();
        aliases.forget(known);
        assert_eq!(aliases.take("aaaa"), Some(known), "what was set by an earlier one stays");
    }
}
