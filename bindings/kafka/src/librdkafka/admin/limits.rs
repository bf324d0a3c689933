//! What the configuration of topics says: how large a record may be, and whether what must be
//! compacted is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_plane::Fault;

use super::Admin;
use crate::cluster::{Topic, spawn};
use crate::librdkafka::acl::Operation;
use crate::librdkafka::settings::MESSAGE_MAX;
use crate::librdkafka::topic_config::{self, TopicConfig, is_compacted};
use crate::librdkafka::{Client, DEFAULT_RECORD_BYTES, RECORD_OVERHEAD};

/// How long the topics' limits may take to be told.
const LIMITS: Duration = Duration::from_secs(2);

/// Why a topic is not served whose records Kafka would delete though each is the last of its key.
const NOT_COMPACTED: Fault = Fault::Refused("the cleanup.policy of the Kafka topic is not compact");

impl Admin {
    /// Asks for the topics' limits where some are not known.
    pub(super) fn ask_limits(&mut self) {
        if self.down.is_some() || self.limits.values().all(Option::is_some) {
            return;
        }
        let unknown: Vec<_> = self.cluster.all_topics();
        let unknown: Vec<_> =
            unknown.iter().filter(|topic| self.limits.get(&topic.id) == Some(&None)).collect();
        let names: Vec<&str> = unknown.iter().map(|topic| &*topic.name).collect();
        let found = describe(&self.cluster, &names).unwrap_or_else(|error| {
            tracing::warn!(
                event = "kafka.limits.unknown",
                cluster = %self.cluster.name,
                "{error}; taking Kafka's default of {DEFAULT_RECORD_BYTES} bytes",
            );
            Vec::new()
        });
        for (at, topic) in unknown.iter().enumerate() {
            let config = found.get(at).cloned().unwrap_or_default();
            self.note_denied(topic, config.is_denied);
            let limit = config.max_message_bytes.unwrap_or(DEFAULT_RECORD_BYTES);
            self.limits.insert(topic.id, Some(limit));
            self.note_policy(topic, config.cleanup_policy.as_deref());
        }
        let smallest = self.limits.values().flatten().copied().min();
        let smallest = smallest.unwrap_or(DEFAULT_RECORD_BYTES).min(MESSAGE_MAX);
        let limit = smallest.saturating_sub(RECORD_OVERHEAD).max(1);
        self.cluster.record_bytes.store(limit, Ordering::Relaxed);
        self.cluster.are_limits_known.store(true, Ordering::Release);
    }

    /// The fault of a topic that exists, if it has one: it must be compacted and is not.
    pub(super) fn policy_fault(&self, topic: &Topic) -> Option<Fault> {
        (topic.is_state() && self.uncompacted.contains_key(&topic.id)).then_some(NOT_COMPACTED)
    }

    /// Has the configuration of topics asked for again that are not served for their policy.
    pub(super) fn doubt_policies(&mut self) {
        for topic in self.cluster.all_topics() {
            if self.policy_fault(&topic).is_some() || self.undescribed.contains(&topic.id) {
                self.limits.insert(topic.id, None);
            }
        }
    }

    /// What is not told is taken for Kafka's default, and asked for again.
    fn note_denied(&mut self, topic: &Topic, is_denied: bool) {
        if !is_denied {
            self.undescribed.remove(&topic.id);
        } else if self.undescribed.insert(topic.id) {
            self.cluster.tell_denied(Operation::DescribeConfigs, &topic.name);
        }
    }

    fn note_policy(&mut self, topic: &Arc<Topic>, policy: Option<&str>) {
        let Some(policy) = policy else { return };
        if is_compacted(policy) {
            self.uncompacted.remove(&topic.id);
        } else {
            self.uncompacted.insert(topic.id, policy.to_owned());
        }
        self.settle_fault(topic);
    }

    /// Sets or clears the fault of a topic that exists, and says so where that changed anything.
    pub(super) fn settle_fault(&self, topic: &Topic) {
        let fault = self.policy_fault(topic);
        if !topic.set_fault(fault) {
            return;
        }
        if fault.is_none() {
            tracing::info!(
                event = "kafka.topic.found",
                cluster = %self.cluster.name,
                topic = %topic.name,
                partitions = topic.count(),
            );
            return;
        }
        tracing::error!(
            event = "kafka.topic.policy",
            cluster = %self.cluster.name,
            topic = %topic.name,
            policy = self.uncompacted.get(&topic.id),
            "Kafka would delete what this topic must keep; make it compacted: {}",
            self.cluster.settings.commands().configure(&topic.name, "cleanup.policy", "compact"),
        );
    }
}

/// The configuration of topics. The client ends on a thread of its own.
fn describe(cluster: &Client, names: &[&str]) -> Result<Vec<TopicConfig>, String> {
    let client = topic_config::client(&cluster.settings)?;
    let found = topic_config::describe(&client, names, LIMITS);
    spawn(&cluster.cluster, "kafka-describe", move || drop(client))?;
    found
}
