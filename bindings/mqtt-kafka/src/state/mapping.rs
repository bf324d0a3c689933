//! Which Kafka topic an MQTT topic lies in: a pure function over the configuration.

use std::fmt;
use std::sync::Arc;

use mqtt_plane::Qos;

use crate::state::{Captures, Pattern};

/// The configuration of a binding, ready to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The Kafka topic of sessions.
    pub sessions: Arc<str>,
    /// The Kafka topic of messages without a route of their own.
    pub messages: Arc<str>,
    /// The Kafka topic of retained messages.
    pub retained: Arc<str>,
    /// The routes, in order; the `exit` of the binding is the last.
    pub routes: Vec<Route>,
    /// Topics of a client: the capture `identity` chooses the partition.
    pub clients: Vec<Pattern>,
    /// The highest QoS that is taken and granted.
    pub qos_max: Qos,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whether it has no condition and takes everything.
    pub is_open: bool,
    /// Topics that may be published.
    pub publish: Vec<Pattern>,
    /// Topics that may be subscribed.
    pub subscribe: Vec<Pattern>,
    /// The Kafka topic; `None`: the binding's messages topic.
    pub messages: Option<Template>,
    /// Which of the binding's exits.
    pub exit: usize,
}

/// A Kafka topic's name in which `${params.name}` may stand for captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Parameter(String),
}

/// As the file writes it.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => f.write_str(text)?,
                Piece::Parameter(name) => write!(f, "${{params.{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Template {
    /// Parses a template.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${params.") {
            let Some((name, tail)) = after.split_once('}') else { break };
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(Piece::Parameter(name.to_owned()));
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Self { pieces }
    }

    /// The names of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The name without parameters; `None` where there are any.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The name with its parameters filled in; `None` where a capture is missing or the result is
    /// no legal Kafka topic name.
    #[must_use]
    pub fn fill(&self, captures: &Captures<'_>) -> Option<String> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => name.push_str(text),
                Piece::Parameter(parameter) => {
                    name.push_str(captures.iter().find(|(other, _)| other == parameter)?.1);
                }
            }
        }
        is_kafka_topic(&name).then_some(name)
    }
}

/// Whether a name is one that Kafka permits for a topic.
#[must_use]
pub(crate) fn is_kafka_topic(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Where messages of an MQTT topic go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target<'a> {
    /// Which of the binding's exits.
    pub exit: usize,
    /// The Kafka topic.
    pub topic: std::borrow::Cow<'a, str>,
}

impl Mapping {
    /// Where a publish to `topic` goes: the first route that takes it; `None` where none does.
    #[must_use]
    pub fn publish<'a>(&'a self, topic: &str) -> Option<Target<'a>> {
        let mut captures = Vec::new();
        self.routes.iter().find_map(|route| {
            if route.is_open {
                return self.target(route, &Vec::new());
            }
            route.publish.iter().find_map(|pattern| {
                if !pattern.matches(topic, &mut captures) {
                    return None;
                }
                self.target(route, &captures)
            })
        })
    }

    /// Where messages that `filter` may match lie: all routes that overlap it, each target once,
    /// in order. A route whose parameters the filter does not fix is left out.
    pub fn subscribe<'a>(&'a self, filter: &str, targets: &mut Vec<Target<'a>>) {
        targets.clear();
        for route in &self.routes {
            let mut add = |target: Option<Target<'a>>| {
                targets.extend(target.filter(|target| !targets.contains(target)));
            };
            if route.is_open {
                add(self.target(route, &Vec::new()));
                continue;
            }
            for pattern in &route.subscribe {
                let mut captures = Vec::new();
                if pattern.overlaps(filter, &mut captures) {
                    add(self.target(route, &captures));
                }
            }
        }
    }

    fn target<'a>(&'a self, route: &'a Route, captures: &Captures<'_>) -> Option<Target<'a>> {
        let topic = match &route.messages {
            None => (&*self.messages).into(),
            Some(template) => match template.fixed() {
                Some(name) => name.into(),
                None => template.fill(captures)?.into(),
            },
        };
        Some(Target { exit: route.exit, topic })
    }

    /// The part of `topic` that chooses its partition, where it is a client's topic.
    #[must_use]
    pub fn hash_key<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        let mut captures = Vec::new();
        self.clients.iter().find_map(|pattern| {
            if !pattern.matches(topic, &mut captures) {
                return None;
            }
            captures.iter().find(|(name, _)| *name == "identity").map(|(_, identity)| *identity)
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let publish = |topic| mapping.publish(topic).map(|target| target.topic.into_owned());
        assert_eq!(publish("sensor/1"), Some("sensors".to_owned()));
        assert_eq!(publish("site/a/x"), Some("site-a".to_owned()));
        assert_eq!(publish("site/a b/x"), Some("m".to_owned()), "no legal topic name");
        assert_eq!(publish("other"), Some("m".to_owned()));
        let subscribe = |filter| {
            let mut targets = Vec::new();
            mapping.subscribe(filter, &mut targets);
            targets.iter().map(|target| target.topic.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(subscribe("sensor/+"), ["sensors", "m"]);
        assert_eq!(subscribe("site/a/x"), ["site-a", "m"]);
        assert_eq!(subscribe("site/+/x"), ["m"], "a parameter that a wildcard leaves open");
        assert_eq!(subscribe("#"), ["sensors", "m"]);
        let fixed: Vec<_> =
            mapping.fixed_targets().iter().map(|target| target.topic.to_string()).collect();
        assert_eq!(fixed, ["sensors", "m"]);
    }

    #[test]
    fn a_clients_topics_share_a_partition_by_any_of_the_patterns() {
        let mapping = mapping();
        assert_eq!(mapping.hash_key("place/p/a/b"), Some("p"));
        assert_eq!(mapping.hash_key("sensor/q"), Some("q"));
        assert_eq!(mapping.hash_key("sensor/q/r"), None);
    }
}
