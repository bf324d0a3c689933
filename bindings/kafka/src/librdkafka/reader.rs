//! One partition that is read: from librdkafka's queue to the log or the table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::runtime::Clock;
use engine::telemetry::Counter;
use kafka_plane::BatchBuilder;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};

use super::context::FetchContext;
use crate::cluster::{Partition, TableCounts, Topic};

/// A batch is closed at so many records or bytes.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 512 * 1024;

/// What the fetcher's thread counts.
pub(super) struct Counts {
    pub(super) records: Counter,
    pub(super) batches: Counter,
    pub(super) unreadable_headers: Counter,
    pub(super) applied: TableCounts,
}

/// A partition that is read.
pub(super) struct Reader {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: Arc<Partition>,
    queue: PartitionQueue<FetchContext>,
    /// Set by librdkafka when the queue is no longer empty.
    has_work: Arc<AtomicBool>,
    clock: Clock,
}

/// What a drain came to.
pub(super) struct Drained {
    /// Whether a batch was appended or the end moved.
    pub(super) advanced: bool,
    /// Whether Kafka let the partition be read: there were records, or nothing more.
    pub(super) is_served: bool,
    pub(super) error: Option<KafkaError>,
}

impl Reader {
    /// Gives the partition a queue of its own, whose work `wake` is told of. Done before the
    /// partition is assigned, so that nothing of it ever comes by the consumer's common queue:
    /// only the queue says of which topic an end of partition is.
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<FetchContext>>,
        topic: Arc<Topic>,
        partition: Arc<Partition>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        let index = super::offsets::index(partition.index);
        let mut queue = consumer.split_partition_queue(&topic.name, index)?;
        // The queue may hold something of an earlier assignment, and is then never found empty.
        let has_work = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&has_work);
        queue.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            wake();
        });
        Some(Self { topic, partition, queue, has_work, clock: Clock::new() })
    }

    /// Whether there may be something to drain; asking clears it.
    pub(super) fn take_work(&self) -> bool {
        self.has_work.swap(false, Ordering::AcqRel)
    }

    /// Whether there is more to drain.
    pub(super) fn peek_work(&self) -> bool {
        self.has_work.load(Ordering::Acquire)
    }

    /// Takes what librdkafka has, up to one batch, into the log or the table.
    pub(super) fn drain(
        &self,
        consumer: &BaseConsumer<FetchContext>,
        builder: &mut BatchBuilder,
        counts: &Counts,
    ) -> Drained {
        let mut drained = Drained { advanced: false, is_served: false, error: None };
        let mut end = None;
        let mut records = 0;
        loop {
            if records >= BATCH_RECORDS || builder.len_bytes() >= BATCH_BYTES {
                // The queue is not empty, so librdkafka will not call again.
                self.has_work.store(true, Ordering::Release);
                break;
            }
            match self.queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    self.take(&message, builder, counts);
                    records += 1;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    end = consumer.context().take_eof().or(end);
                }
                Some(Err(error)) => drained.error = Some(error),
            }
        }
        drained.is_served = records > 0 || end.is_some();
        if records > 0 {
            let batch = builder.finish(self.partition.index).with_read_at(self.clock.now());
            counts.records.add(i64::from(batch.len()));
            counts.batches.increment();
            self.topic.take(&self.partition, batch, builder, &counts.applied);
            drained.advanced = true;
        }
        if let Some(end) = end.filter(|end| *end > self.partition.position()) {
            self.partition.set_known_end(end);
            self.partition.log.advance(end);
            self.partition.set_position(end);
            drained.advanced = true;
        }
        drained
    }

    fn take(&self, message: &BorrowedMessage<'_>, builder: &mut BatchBuilder, counts: &Counts) {
        if copy(message, builder) {
            return;
        }
        counts.unreadable_headers.increment();
        if counts.unreadable_headers.value() == 1 {
            tracing::warn!(
                event = "kafka.record.headers.unreadable",
                topic = %self.topic.name,
                partition = self.partition.index,
                offset = message.offset(),
                "a header's name is not UTF-8; it and those after it are left out. Told once",
            );
        }
    }
}

/// Copies a record; false where headers of it are left out, since a name is not UTF-8.
pub(super) fn copy(message: &BorrowedMessage<'_>, builder: &mut BatchBuilder) -> bool {
    let timestamp = message.timestamp().to_millis().unwrap_or(-1);
    builder.record(message.offset(), timestamp, message.key(), message.payload());
    let Some(headers) = message.headers() else { return true };
    // rdkafka panics on a header whose name is not UTF-8, and anyone can write such a record.
    let copied = catch_unwind(AssertUnwindSafe(|| {
        for header in headers.iter() {
            builder.header(header.key.as_bytes(), header.value);
        }
    }));
    copied.is_ok()
}
