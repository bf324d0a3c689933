//! What Kafka does not let this principal do, and the command that permits it.

use std::sync::atomic::Ordering;

use super::Client;
use crate::cluster::Topic;

/// What an access control list may permit for a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Everything that is done with a topic.
    Any,
    /// Know that it is there; who may read or write it may do that too.
    Describe,
    Read,
    Write,
    DescribeConfigs,
}

impl Operation {
    /// What it is, in a sentence.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Any => "use",
            Self::Describe => "see",
            Self::Read => "read",
            Self::Write => "write to",
            Self::DescribeConfigs => "learn the configuration of",
        }
    }

    /// The operations to permit, as Kafka's tools spell them.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Any => &["Read", "Write", "DescribeConfigs"],
            Self::Describe => &["Describe"],
            Self::Read => &["Read"],
            Self::Write => &["Write"],
            Self::DescribeConfigs => &["DescribeConfigs"],
        }
    }
}

impl Client {
    /// Says that Kafka does not permit something.
    pub(super) fn tell_denied(&self, operation: Operation, topic: &str) {
        tracing::error!(
            event = "kafka.topic.denied",
            cluster = %self.name,
            topic,
            principal = %self.settings.principal(),
            "Kafka does not let this principal {} the topic; permit it: {}",
            operation.verb(),
            self.settings.commands().permit(&[operation], topic),
        );
    }

    /// Notes that Kafka took no record for a topic, and says so where that is new.
    pub(super) fn deny_writes(&self, topic: &Topic) {
        self.are_reports_named.store(true, Ordering::Relaxed);
        if topic.writes.deny() {
            self.tell_denied(Operation::Write, &topic.name);
        }
    }

    /// Notes that Kafka permits again what it did not, and says so where that is new.
    pub(super) fn tell_granted(&self, operation: Operation, topic: &Topic) {
        tracing::info!(
            event = "kafka.topic.granted",
            cluster = %self.name,
            topic = %topic.name,
            "Kafka lets this principal {} the topic",
            operation.verb(),
        );
    }
}
