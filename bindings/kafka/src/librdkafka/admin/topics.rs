//! Topics found, missing, grown, deleted and made again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_plane::Fault;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;

use super::{Admin, Down};
use crate::cluster::{Partition, Reading, Topic};
use crate::librdkafka::acl::Operation;
use crate::librdkafka::context::Trouble;
use crate::librdkafka::fetcher::Job;
use crate::librdkafka::offsets::{offsets, partition_count};

/// Events of its own that a client has at most when something has just failed.
const EVENTS: usize = 16;

/// How long a topic that is missing and that nobody uses is not named: workers may still be about to
/// start.
const UNUSED: Duration = Duration::from_secs(5);

impl Admin {
    /// Finds out about a topic and has its partitions read.
    pub(super) fn resolve(&mut self, topic: &Arc<Topic>) -> Result<(), Fault> {
        let result = self.try_resolve(topic);
        match result {
            Ok(()) => {
                self.note_answer();
                self.missing.remove(&topic.id);
                self.unnamed.remove(&topic.id);
                self.settle_fault(topic);
            }
            Err(fault) => self.refuse(topic, fault),
        }
        result
    }

    fn try_resolve(&mut self, topic: &Arc<Topic>) -> Result<(), Fault> {
        let count = partition_count(&self.consumer, &topic.name)?;
        self.note_id(Duration::ZERO);
        if topic.reading() != Reading::No {
            self.read_partitions(topic, count)?;
        }
        topic.set_count(count);
        self.limits.entry(topic.id).or_insert_with(|| {
            self.cluster.are_limits_known.store(false, Ordering::Release);
            None
        });
        Ok(())
    }

    fn read_partitions(&mut self, topic: &Arc<Topic>, count: u32) -> Result<(), Fault> {
        let present = topic.partitions();
        let first = u32::try_from(present.len()).unwrap_or(u32::MAX);
        if first >= count {
            return Ok(());
        }
        let is_new = !self.was_read.contains(&topic.id);
        let from = match topic.reading() {
            Reading::Log if is_new => Offset::End,
            _ => Offset::Beginning,
        };
        let wanted: Vec<_> = (first..count).map(|partition| (topic, partition, from)).collect();
        let found: Result<Vec<i64>, Fault> =
            offsets(&self.consumer, &wanted)?.into_iter().collect();
        let starts = (first..count)
            .zip(found?)
            .map(|(partition, start)| self.inherited(topic, partition).unwrap_or(start));
        let bound = self.cluster.log_bytes.load(Ordering::Relaxed);
        let added: Vec<_> = (first..count)
            .zip(starts)
            .map(|(index, start)| (Partition::new(index, start, bound), start))
            .collect();
        let new = added.iter().map(|(partition, _)| Arc::clone(partition));
        let all = present.iter().map(Arc::clone).chain(new).collect();
        self.was_read.insert(topic.id);
        // First those who read must know of them, so that nothing read goes past them.
        topic.set_partitions(all);
        self.cluster.fetch.push(Job::Read(Arc::clone(topic), added));
        if first > 0 {
            tracing::info!(
                event = "kafka.topic.partitions.added",
                cluster = %self.cluster.name,
                topic = %topic.name,
                before = first,
                now = count,
            );
        }
        Ok(())
    }

    /// Where a log that was read under another description of this cluster goes on.
    fn inherited(&self, topic: &Topic, partition: u32) -> Option<i64> {
        let is_first = topic.reading() == Reading::Log && !self.was_read.contains(&topic.id);
        let inherited = self.cluster.inherited.as_ref().filter(|_| is_first)?;
        inherited.position(self.cluster.id().as_deref(), &topic.name, partition)
    }

    /// Notes that a topic is not served, and says so once.
    fn refuse(&mut self, topic: &Arc<Topic>, fault: Fault) {
        self.note_fault(fault);
        if fault != Fault::Unavailable {
            self.note_answer();
        }
        if fault == Fault::UnknownTopic && topic.count() > 0 {
            // Kafka may say so for a moment while a topic's leader changes: look twice.
            if self.missing.insert(topic.id) {
                return;
            }
            self.forget(topic);
        }
        if topic.count() > 0 && fault == Fault::Unavailable {
            return;
        }
        let is_new = topic.set_fault(Some(fault));
        let is_unused = topic.reading() == Reading::No && !topic.is_state();
        if fault == Fault::UnknownTopic && is_unused {
            // What it is used for decides how it is to be made: it is named when that is known, or
            // when nobody has come to use it.
            let now = self.clock.now();
            if is_new {
                self.unnamed.insert(topic.id, now);
            }
            let since = self.unnamed.get(&topic.id);
            if since.is_some_and(|since| now.saturating_duration_since(*since) < UNUSED) {
                return;
            }
        }
        if self.unnamed.remove(&topic.id).is_none() && !is_new {
            return;
        }
        match fault {
            Fault::Unavailable => {}
            Fault::NotAuthorized => self.cluster.tell_denied(Operation::Any, &topic.name),
            Fault::UnknownTopic => {
                let commands = self.cluster.settings.commands();
                tracing::error!(
                    event = "kafka.topic.missing",
                    cluster = %self.cluster.name,
                    topic = %topic.name,
                    "the topic does not exist; create it: {}",
                    commands.create(&topic.name, 1, topic.is_state()),
                );
            }
            _ => tracing::error!(
                event = "kafka.topic.refused",
                cluster = %self.cluster.name,
                topic = %topic.name,
                "{fault}",
            ),
        }
    }

    fn forget(&mut self, topic: &Arc<Topic>) {
        topic.set_count(0);
        topic.fail_syncs(Fault::UnknownTopic);
        topic.set_partitions(Arc::new([]));
        self.limits.remove(&topic.id);
        self.cluster.fetch.push(Job::Forget(Arc::clone(topic)));
    }

    /// Puts a partition right that could not be read on. `is_stopped`: librdkafka reads on only
    /// when it is told where.
    pub(super) fn mend(&mut self, topic: &Arc<Topic>, index: u32, is_stopped: bool) {
        let partitions = topic.partitions();
        let Some(partition) = partitions.get(index as usize) else { return };
        let wanted = [Offset::Beginning, Offset::End];
        let bounds = wanted.map(|offset| offsets(&self.consumer, &[(topic, index, offset)]));
        let [Ok(low), Ok(high)] = bounds.map(|found| found.and_then(|list| list[0])) else {
            // Missing or unreachable: whatever it is, it is seen there.
            self.resolve(topic).ok();
            if is_stopped {
                self.troubled.insert((topic.id, index), Arc::clone(topic));
            }
            return;
        };
        let position = partition.position();
        if position > high {
            tracing::warn!(
                event = "kafka.topic.recreated",
                cluster = %self.cluster.name,
                topic = %topic.name,
                partition = index,
                position,
                end = high,
                "the topic was deleted and made again; it is read from its beginning",
            );
            self.forget(topic);
            self.resolve(topic).ok();
        } else if position < low {
            tracing::error!(
                event = "kafka.partition.truncated",
                cluster = %self.cluster.name,
                topic = %topic.name,
                partition = index,
                position,
                begins = low,
                "Kafka deleted records before they were read",
            );
            partition.set_known_end(low);
            partition.log.advance(low);
            partition.set_position(low);
            self.cluster.fetch.push(Job::Restart(Arc::clone(topic), index, low));
        } else if is_stopped {
            self.cluster.fetch.push(Job::Restart(Arc::clone(topic), index, position));
        }
    }

    /// Notes that a partition may not be read, and tries again until it may.
    pub(super) fn deny_reads(&mut self, topic: &Arc<Topic>, index: u32) {
        let partitions = topic.partitions();
        let Some(partition) = partitions.get(index as usize) else { return };
        let was_denied = topic.are_reads_denied();
        partition.reads.deny();
        if !was_denied {
            self.cluster.tell_denied(Operation::Read, &topic.name);
        }
        topic.fail_syncs(Fault::NotAuthorized);
        self.troubled.insert((topic.id, index), Arc::clone(topic));
    }

    /// Notes which cluster it is, which the client knows from the metadata that came before.
    pub(super) fn note_id(&self, patience: Duration) {
        if self.cluster.id.get().is_none() {
            let id = self.consumer.client().fetch_cluster_id(patience);
            id.and_then(|id| self.cluster.id.set(id.into()).ok());
        }
    }

    fn note_answer(&mut self) {
        self.cluster.has_answered.store(true, Ordering::Release);
        // This does not wait.
        self.note_id(Duration::ZERO);
        if self.down.take().is_some() {
            tracing::info!(event = "kafka.cluster.available", cluster = %self.cluster.name);
        }
    }

    pub(super) fn note_fault(&mut self, fault: Fault) {
        if fault != Fault::Unavailable {
            return;
        }
        // The reason comes as an event of the client's, one a call.
        for _ in 0..EVENTS {
            self.consumer.poll(Duration::ZERO);
        }
        let Trouble { reason, is_unauthenticated } = self.consumer.context().trouble();
        let down = if is_unauthenticated { Down::Unauthenticated } else { Down::Unreachable };
        // That it is not reached any more may come of the pauses between attempts.
        let is_told = self.down.is_some_and(|told| told == down || down == Down::Unreachable);
        if is_told {
            return;
        }
        self.down = Some(down);
        let cluster = &self.cluster.name;
        let servers = self.cluster.settings.servers.join(",");
        match &self.cluster.settings.sasl {
            Some(sasl) if is_unauthenticated => tracing::error!(
                event = "kafka.cluster.unauthenticated",
                %cluster,
                %servers,
                %reason,
                mechanism = sasl.mechanism,
                username = sasl.username,
                "Kafka refuses the user name or the password of options.sasl; mend them here or in \
                 Kafka, a reload suffices",
            ),
            _ => tracing::error!(
                event = "kafka.cluster.unavailable",
                %cluster,
                %servers,
                %reason,
                "Kafka does not answer; trying again until it does",
            ),
        }
    }
}
