//! Reads again what memory no longer holds: a consumer of one partition at a time, which is there
//! while somebody asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::runtime::Clock;
use kafka_plane::{BatchBuilder, Fault};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::Client;
use super::context::FetchContext;
use super::faults::{Refusal, fault_of};
use super::offsets::index;
use super::reader::copy;
use crate::cluster::{Found, ReadOlder, Wanted};

/// What is read at a time is closed at so many records or bytes.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 256 * 1024;

/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How often it is looked whether the cluster ends.
const LOOK: Duration = Duration::from_millis(100);

/// After so long without a question nothing is fetched ahead any more.
const PAUSE: Duration = Duration::from_millis(200);

/// After so long without a question the consumer ends.
const IDLE: Duration = Duration::from_secs(60);

/// The reader.
pub(super) struct OlderReader {
    client: Arc<Client>,
    consumer: Option<BaseConsumer<FetchContext>>,
    at: Option<At>,
    /// Topics that the consumer has heard of.
    topics: BTreeSet<u32>,
    builder: BatchBuilder,
    clock: Clock,
}

/// Where the consumer is.
struct At {
    topic: u32,
    partition: u32,
    next: i64,
    /// Where the partition ended when all of it was read.
    end: Option<i64>,
}

impl OlderReader {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        Self {
            client: Arc::clone(client),
            consumer: None,
            at: None,
            topics: BTreeSet::new(),
            builder: BatchBuilder::new(),
            clock: Clock::new(),
        }
    }

    /// Brings the consumer to an offset.
    fn go_to(&mut self, wanted: Wanted<'_>) -> Result<BaseConsumer<FetchContext>, Refusal> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => {
                self.at = None;
                self.topics.clear();
                self.client.settings.older().create_with_context(FetchContext::new())?
            }
        };
        let Wanted { topic, partition, offset } = wanted;
        let is_there = |at: &At| (at.topic, at.partition, at.next) == (topic.id, partition, offset);
        if !self.at.as_ref().is_some_and(is_there) {
            self.at = None;
            if self.topics.insert(topic.id) {
                // Otherwise it learns of the topic only at its next scan, up to a second later.
                consumer.fetch_metadata(Some(&topic.name), ANSWER).ok();
            }
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic.name, index(partition), Offset::Offset(offset))?;
            consumer.assign(&list)?;
            consumer.context().take_eof();
            self.at = Some(At { topic: topic.id, partition, next: offset, end: None });
        }
        Ok(consumer)
    }

    /// Takes records from the consumer, which is where they are.
    fn take(&mut self, consumer: &BaseConsumer<FetchContext>, wanted: Wanted<'_>) -> Found {
        if let Some(at) = &mut self.at
            && let Some(end) = at.end.filter(|end| *end > at.next)
        {
            at.next = end;
            return Found::Gap(end);
        }
        let deadline = self.clock.now() + ANSWER;
        let mut records = 0;
        let mut end = None;
        while records < BATCH_RECORDS && self.builder.len_bytes() < BATCH_BYTES && end.is_none() {
            match consumer.poll(if records == 0 { LOOK } else { Duration::ZERO }) {
                None if records > 0 => break,
                None => {}
                Some(Ok(message)) => {
                    let is_wanted = message.offset() >= wanted.offset
                        && message.partition() == index(wanted.partition)
                        && message.topic() == &*wanted.topic.name;
                    if is_wanted {
                        // That headers are left out was told when it was read first.
                        copy(&message, &mut self.builder);
                        records += 1;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => end = consumer.context().take_eof(),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset) => {
                        return self.without(wanted, begin(consumer, wanted));
                    }
                    Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                        return self.without(wanted, Found::Fault(Fault::NotAuthorized));
                    }
                    // librdkafka tries on by itself.
                    _ => tracing::debug!(event = "kafka.older.error", %error),
                },
            }
            if records == 0
                && end.is_none()
                && (self.clock.now() >= deadline || self.client.is_stopped())
            {
                return self.without(wanted, Found::Fault(Fault::Unavailable));
            }
        }
        let batch = (records > 0).then(|| self.builder.finish(wanted.partition));
        let next = batch.as_ref().map_or(end.unwrap_or(wanted.offset), |batch| batch.next_offset());
        if let Some(at) = &mut self.at {
            (at.next, at.end) = (next, end);
        }
        batch.map_or(Found::Gap(next), Found::Records)
    }

    /// What came of a read that leaves the consumer nowhere.
    fn without(&mut self, wanted: Wanted<'_>, found: Found) -> Found {
        self.at = None;
        self.builder.finish(wanted.partition);
        found
    }
}

/// Where a partition begins from which an offset was asked for that it does not hold.
fn begin(consumer: &BaseConsumer<FetchContext>, wanted: Wanted<'_>) -> Found {
    let Wanted { topic, partition, offset } = wanted;
    match consumer.fetch_watermarks(&topic.name, index(partition), ANSWER) {
        Ok((low, high)) if offset < low || offset > high => Found::Gone(low),
        // It was there by now.
        Ok(_) => Found::Fault(Fault::Unavailable),
        Err(error) => Found::Fault(fault_of(&error)),
    }
}

impl ReadOlder for OlderReader {
    fn read(&mut self, wanted: Wanted<'_>) -> Found {
        let consumer = match self.go_to(wanted) {
            Ok(consumer) => consumer,
            Err(error) => {
                tracing::error!(
                    event = "kafka.topic.unassignable",
                    cluster = %self.client.name,
                    topic = %wanted.topic.name,
                    %error,
                    "what memory no longer holds of it is not read",
                );
                return Found::Fault(Fault::Unavailable);
            }
        };
        let found = self.take(&consumer, wanted);
        self.consumer = Some(consumer);
        found
    }

    fn rest(&mut self, idle: Duration) -> Duration {
        let Some(consumer) = &self.consumer else { return Duration::MAX };
        if idle >= IDLE {
            self.at = None;
            self.consumer = None;
            self.builder = BatchBuilder::new();
            return Duration::MAX;
        }
        if idle < PAUSE {
            return PAUSE;
        }
        if self.at.take().is_some() {
            consumer.unassign().ok();
        }
        // Serves the client's own log.
        consumer.poll(Duration::ZERO);
        Duration::from_secs(1)
    }
}
