//! The configuration of a binding, ready to decide.

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

impl Mapping {
    /// The same in a process that takes and grants no higher QoS than this, whatever the file says.
    #[must_use]
    pub fn bounded(self: &Arc<Self>, qos_max: Option<Qos>) -> Arc<Self> {
        match qos_max {
            Some(most) if most < self.qos_max => {
                Arc::new(Self { qos_max: most, ..Self::clone(self) })
            }
            _ => Arc::clone(self),
        }
    }
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
