//! What a client may do and where its messages lie: pure functions of the configuration and of what
//! is asked. Nothing else decides: sessions remember what comes of these functions, and what
//! explains a configuration calls them.
//!
//! A route is looked at by [`Route::publish`] or [`Route::subscribe`]. Who wants to know what
//! became of each is called back, with the index of the route; sessions do not, and pay nothing.

use std::borrow::Cow;

use mqtt_plane::{Limits, Qos, ReasonCode, is_share, plain, share};

use crate::state::{Captures, Mapping, Route};

/// QoS 1 publishes that one client may have unanswered: enough that a client that keeps to it is
/// never paused.
pub const RECEIVE_MAXIMUM: u16 = 1024;

/// Bytes of a record that a packet of the same message does not have: levels of its topic again,
/// names and framing of headers.
pub const RECORD_OVERHEAD: u32 = 4096;

/// Where messages of an MQTT topic go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target<'a> {
    /// Which of the binding's exits.
    pub exit: usize,
    /// The Kafka topic.
    pub topic: Cow<'a, str>,
}

/// What a route says to a topic or a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It takes it.
    Taken {
        /// Which of its patterns, in the order of the file; `None` where it has no condition.
        pattern: Option<usize>,
        /// Where to.
        target: Target<'a>,
    },
    /// A pattern matches, but what it captures makes no legal name of a Kafka topic, or is left
    /// open by a wildcard.
    Unnamed {
        /// The last of these patterns.
        pattern: usize,
    },
    /// No pattern matches.
    Unmatched,
}

impl Mapping {
    /// The bounds of all sessions, where Kafka takes records of so many bytes.
    #[must_use]
    pub fn limits(&self, record_bytes: Option<u32>) -> Limits {
        Limits {
            maximum_qos: self.qos_max,
            maximum_packet_size: record_bytes.map_or(u32::MAX, |bytes| {
                bytes.saturating_sub(RECORD_OVERHEAD).max(RECORD_OVERHEAD)
            }),
            receive_maximum: RECEIVE_MAXIMUM,
            keeps_sessions: true,
        }
    }

    /// Decides a publish of this QoS by a client that was told of `agreed` as the highest: what is
    /// in force when a session begins holds for it to its end. `destination` finds where its topic
    /// goes, by [`Mapping::publish`] or from what is remembered of it.
    ///
    /// # Errors
    /// The code that refuses it.
    pub fn admit_publish<D>(
        &self,
        qos: Qos,
        agreed: Qos,
        destination: impl FnOnce() -> Option<D>,
    ) -> Result<D, ReasonCode> {
        if qos > self.qos_max.max(agreed) {
            return Err(ReasonCode::QOS_NOT_SUPPORTED);
        }
        destination().ok_or(ReasonCode::NOT_AUTHORIZED)
    }

    /// Decides a subscription that asks for this QoS: the QoS that is granted [MQTT-3.8.4-7], and
    /// what it is served from. `sources` finds that, by [`Mapping::subscribe`].
    ///
    /// # Errors
    /// The code that refuses it.
    pub fn grant<S>(
        &self,
        filter: &str,
        qos: Qos,
        sources: impl FnOnce() -> Vec<S>,
    ) -> Result<(Qos, Vec<S>), ReasonCode> {
        // One that is shared within another would be nobody's.
        if is_share(filter) && share(filter).is_none_or(|(_, plain)| is_share(plain)) {
            return Err(ReasonCode::TOPIC_FILTER_INVALID);
        }
        let sources = sources();
        if sources.is_empty() {
            return Err(ReasonCode::NOT_AUTHORIZED);
        }
        Ok((qos.min(self.qos_max), sources))
    }

    /// Where a publish to `topic` goes: the first route that takes it; `None` where none does.
    #[must_use]
    pub fn publish<'a>(
        &'a self,
        topic: &str,
        mut seen: impl FnMut(usize, &Verdict<'a>),
    ) -> Option<Target<'a>> {
        self.routes.iter().enumerate().find_map(|(index, route)| {
            let verdict = route.publish(topic, self);
            seen(index, &verdict);
            match verdict {
                Verdict::Taken { target, .. } => Some(target),
                Verdict::Unnamed { .. } | Verdict::Unmatched => None,
            }
        })
    }

    /// Where messages that `filter` may match lie: all routes that overlap it, each target once,
    /// in order. A route whose parameters the filter does not fix is left out. A route may have a
    /// verdict for each of its patterns. A shared subscription is served as its plain filter is.
    #[must_use]
    pub fn subscribe<'a>(
        &'a self,
        filter: &str,
        mut seen: impl FnMut(usize, &Verdict<'a>),
    ) -> Vec<Target<'a>> {
        let filter = plain(filter);
        let mut targets = Vec::new();
        for (index, route) in self.routes.iter().enumerate() {
            route.subscribe(filter, self, |verdict| {
                seen(index, &verdict);
                if let Verdict::Taken { target, .. } = verdict
                    && !targets.contains(&target)
                {
                    targets.push(target);
                }
            });
        }
        targets
    }

    /// The part of `topic` that chooses its partition, where it is a client's topic, and which of
    /// [`Mapping::clients`] says so.
    #[must_use]
    pub fn hash_key<'a>(&'a self, topic: &'a str) -> Option<(usize, &'a str)> {
        let mut captures = Vec::new();
        self.clients.iter().enumerate().find_map(|(index, pattern)| {
            if !pattern.matches(topic, &mut captures) {
                return None;
            }
            let identity = captures.iter().find(|(name, _)| *name == "identity")?.1;
            Some((index, identity))
        })
    }

    /// The targets that the configuration names outright: those that are read from the start.
    #[must_use]
    pub fn fixed_targets(&self) -> Vec<Target<'_>> {
        let mut targets = Vec::new();
        for route in &self.routes {
            let topic = match &route.messages {
                None => &*self.messages,
                Some(template) => match template.fixed() {
                    Some(name) => name,
                    None => continue,
                },
            };
            let target = Target { exit: route.exit, topic: topic.into() };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        targets
    }
}

impl Route {
    fn publish<'a>(&'a self, topic: &str, mapping: &'a Mapping) -> Verdict<'a> {
        if self.is_open {
            return self.open(mapping);
        }
        let mut captures = Vec::new();
        let mut verdict = Verdict::Unmatched;
        for (pattern, candidate) in self.publish.iter().enumerate() {
            if !candidate.matches(topic, &mut captures) {
                continue;
            }
            match self.target(&captures, mapping) {
                Some(target) => return Verdict::Taken { pattern: Some(pattern), target },
                None => verdict = Verdict::Unnamed { pattern },
            }
        }
        verdict
    }

    fn subscribe<'a>(
        &'a self,
        filter: &str,
        mapping: &'a Mapping,
        mut verdict: impl FnMut(Verdict<'a>),
    ) {
        if self.is_open {
            return verdict(self.open(mapping));
        }
        let mut is_matched = false;
        let mut captures = Vec::new();
        for (pattern, candidate) in self.subscribe.iter().enumerate() {
            if !candidate.overlaps(filter, &mut captures) {
                continue;
            }
            is_matched = true;
            verdict(match self.target(&captures, mapping) {
                Some(target) => Verdict::Taken { pattern: Some(pattern), target },
                None => Verdict::Unnamed { pattern },
            });
        }
        if !is_matched {
            verdict(Verdict::Unmatched);
        }
    }

    /// A route without conditions; its template, without captures to fill it, may give no name.
    fn open<'a>(&'a self, mapping: &'a Mapping) -> Verdict<'a> {
        match self.target(&Vec::new(), mapping) {
            Some(target) => Verdict::Taken { pattern: None, target },
            None => Verdict::Unmatched,
        }
    }

    fn target<'a>(&'a self, captures: &Captures<'_>, mapping: &'a Mapping) -> Option<Target<'a>> {
        let topic = match &self.messages {
            None => (&*mapping.messages).into(),
            Some(template) => match template.fixed() {
                Some(name) => name.into(),
                None => template.fill(captures)?.into(),
            },
        };
        Some(Target { exit: self.exit, topic })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Pattern, Template};

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect()
    }

    fn mapping() -> Mapping {
        let route = |publish: &[&str], subscribe: &[&str], messages: &str| Route {
            is_open: false,
            publish: patterns(publish),
            subscribe: patterns(subscribe),
            messages: Some(Template::parse(messages)),
            exit: 0,
        };
        Mapping {
            sessions: "s".into(),
            messages: "m".into(),
            retained: "r".into(),
            routes: vec![
                route(&["sensor/#"], &["sensor/#"], "sensors"),
                route(&["site/{site}/x"], &["site/{site}/x"], "site-${params.site}"),
                Route {
                    is_open: true,
                    publish: vec![],
                    subscribe: vec![],
                    messages: None,
                    exit: 0,
                },
            ],
            clients: patterns(&["place/{identity}/#", "sensor/{identity}"]),
            qos_max: Qos::AtLeastOnce,
        }
    }

    #[test]
    fn a_publish_takes_the_first_route_and_a_subscribe_all() {
        let mapping = mapping();
        let publish =
            |topic| mapping.publish(topic, |_, _| {}).map(|target| target.topic.into_owned());
        assert_eq!(publish("sensor/1"), Some("sensors".to_owned()));
        assert_eq!(publish("site/a/x"), Some("site-a".to_owned()));
        assert_eq!(publish("site/a b/x"), Some("m".to_owned()), "no legal topic name");
        assert_eq!(publish("other"), Some("m".to_owned()));
        let subscribe = |filter| {
            let targets = mapping.subscribe(filter, |_, _| {});
            targets.iter().map(|target| target.topic.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(subscribe("sensor/+"), ["sensors", "m"]);
        assert_eq!(subscribe("site/a/x"), ["site-a", "m"]);
        assert_eq!(subscribe("site/+/x"), ["m"], "a parameter that a wildcard leaves open");
        assert_eq!(subscribe("#"), ["sensors", "m"]);
        assert_eq!(subscribe("$share/g/site/a/x"), ["site-a", "m"], "as its plain filter");
        let fixed: Vec<_> =
            mapping.fixed_targets().iter().map(|target| target.topic.to_string()).collect();
        assert_eq!(fixed, ["sensors", "m"]);
    }

    #[test]
    fn a_clients_topics_share_a_partition_by_any_of_the_patterns() {
        let mapping = mapping();
        assert_eq!(mapping.hash_key("place/p/a/b"), Some((0, "p")));
        assert_eq!(mapping.hash_key("sensor/q"), Some((1, "q")));
        assert_eq!(mapping.hash_key("sensor/q/r"), None);
    }

    #[test]
    fn each_route_says_why_it_takes_or_skips() {
        let mapping = mapping();
        let verdicts = |topic| {
            let mut verdicts = Vec::new();
            let _target = mapping.publish(topic, |route, verdict| {
                let pattern = match verdict {
                    Verdict::Taken { pattern, .. } => format!("taken {pattern:?}"),
                    Verdict::Unnamed { pattern } => format!("unnamed {pattern}"),
                    Verdict::Unmatched => "unmatched".to_owned(),
                };
                verdicts.push(format!("{route} {pattern}"));
            });
            verdicts
        };
        assert_eq!(verdicts("sensor/1"), ["0 taken Some(0)"], "later routes are not looked at");
        assert_eq!(verdicts("site/a b/x"), ["0 unmatched", "1 unnamed 0", "2 taken None"]);
    }

    #[test]
    fn what_is_above_the_maximum_qos_or_has_no_route_is_refused() {
        let mapping = mapping();
        let publish = |qos, found| mapping.admit_publish(qos, mapping.qos_max, || found);
        assert_eq!(publish(Qos::AtLeastOnce, Some(1)), Ok(1));
        assert_eq!(publish(Qos::ExactlyOnce, Some(1)), Err(ReasonCode::QOS_NOT_SUPPORTED));
        assert_eq!(publish(Qos::AtMostOnce, None), Err(ReasonCode::NOT_AUTHORIZED));
        let grant = |filter, found: Vec<i32>| mapping.grant(filter, Qos::ExactlyOnce, || found);
        assert_eq!(grant("a", vec![1]), Ok((Qos::AtLeastOnce, vec![1])));
        assert_eq!(grant("a", vec![]), Err(ReasonCode::NOT_AUTHORIZED));
        assert_eq!(grant("$share/g/a", vec![1]), Ok((Qos::AtLeastOnce, vec![1])));
        for filter in ["$share/g", "$share//a", "$share/g/$share/h/a"] {
            assert_eq!(grant(filter, vec![1]), Err(ReasonCode::TOPIC_FILTER_INVALID), "{filter}");
        }
    }
}
