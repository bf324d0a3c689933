//! The thread that reads: one consumer for all topics in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_plane::BatchBuilder;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::acl::Operation;
use super::context::FetchContext;
use super::faults::Refusal;
use super::offsets::index;
use super::reader::{Counts, Reader};
use super::{Client, Trouble, TroubleKind};
use crate::cluster::{Partition, Topic};

/// How long the thread sleeps at most, so that librdkafka's own events are served.
const SLEEP: Duration = Duration::from_millis(200);

/// How long an assignment may take to learn who leads a new topic's partitions.
const METADATA: Duration = Duration::from_secs(2);

/// What the fetcher is told.
#[derive(Debug)]
pub(super) enum Job {
    /// Read these partitions of a topic, each from the given offset.
    Read(Arc<Topic>, Vec<(Arc<Partition>, i64)>),
    /// Go on reading a partition at another offset.
    Restart(Arc<Topic>, u32, i64),
    /// The topic is gone: forget it.
    Forget(Arc<Topic>),
}

/// The thread's state.
pub(super) struct Fetcher {
    cluster: Arc<Client>,
    consumer: Arc<BaseConsumer<FetchContext>>,
    readers: Vec<Reader>,
    /// Set by librdkafka when any queue is no longer empty.
    has_work: Arc<AtomicBool>,
    counts: Counts,
}

impl Fetcher {
    pub(super) fn new(cluster: Arc<Client>) -> Result<Self, Refusal> {
        let consumer: BaseConsumer<FetchContext> =
            cluster.settings.fetcher().create_with_context(FetchContext::new())?;
        let counts = Counts {
            records: cluster.counter("records_fetched"),
            batches: cluster.counter("batches_fetched"),
            unreadable_headers: cluster.counter("records_unreadable_headers"),
            applied: cluster.table_counts(),
        };
        Ok(Self {
            cluster,
            consumer: Arc::new(consumer),
            readers: Vec::new(),
            has_work: Arc::new(AtomicBool::new(false)),
            counts,
        })
    }

    pub(super) fn run(mut self) {
        let cluster = Arc::clone(&self.cluster);
        cluster.fetch.sleeper.adopt();
        let mut jobs = Vec::new();
        let mut builder = BatchBuilder::new();
        let mut touched: Vec<Arc<Topic>> = Vec::new();
        while !cluster.is_stopped() {
            cluster.fetch.swap(&mut jobs);
            for job in jobs.drain(..) {
                self.take(job);
            }
            // The common queue has only errors of the whole client, which its context tells.
            self.consumer.poll(Duration::ZERO);
            if self.has_work.swap(false, Ordering::AcqRel) {
                self.drain(&mut builder, &mut touched);
            }
            // One call a round and worker, however many partitions had something.
            for topic in touched.drain(..) {
                topic.advance();
                topic.settle_syncs();
            }
            let has_work = &self.has_work;
            cluster.fetch.sleep_unless(SLEEP, || has_work.load(Ordering::Acquire));
        }
        // The queues first: a consumer closes only when nothing holds it.
        self.readers.clear();
    }

    fn drain(&self, builder: &mut BatchBuilder, touched: &mut Vec<Arc<Topic>>) {
        for reader in &self.readers {
            if !reader.take_work() {
                continue;
            }
            let drained = reader.drain(&self.consumer, builder, &self.counts);
            if reader.peek_work() {
                self.has_work.store(true, Ordering::Release);
            }
            if drained.advanced && !touched.iter().any(|topic| Arc::ptr_eq(topic, &reader.topic)) {
                touched.push(Arc::clone(&reader.topic));
            }
            if drained.is_served && reader.partition.reads.grant() {
                self.note_granted(&reader.topic);
            }
            if let Some(error) = drained.error {
                self.report(reader, &error);
            }
        }
    }

    /// A partition is read that Kafka did not let be read before.
    fn note_granted(&self, topic: &Topic) {
        if !topic.are_reads_denied() {
            self.cluster.tell_granted(Operation::Read, topic);
        }
    }

    fn report(&self, reader: &Reader, error: &KafkaError) {
        tracing::debug!(
            event = "kafka.partition.error",
            cluster = %self.cluster.name,
            topic = %reader.topic.name,
            partition = reader.partition.index,
            %error,
        );
        let (topic, partition) = (Arc::clone(&reader.topic), reader.partition.index);
        let kind = match error.rdkafka_error_code() {
            // librdkafka looks for no other offset by itself.
            Some(RDKafkaErrorCode::AutoOffsetReset) => TroubleKind::Stopped,
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => TroubleKind::Denied,
            _ => TroubleKind::Passing,
        };
        self.cluster.troubles.lock().push(Trouble { topic, partition, kind });
        self.cluster.admin.sleeper.wake();
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Read(topic, partitions) => self.read(&topic, partitions),
            Job::Restart(topic, partition, offset) => {
                let list = list_of(&topic, [(partition, offset)]);
                self.complain(&topic, self.consumer.incremental_unassign(&list));
                self.complain(&topic, self.consumer.incremental_assign(&list));
            }
            Job::Forget(topic) => {
                let gone: Vec<(u32, i64)> = self
                    .readers
                    .extract_if(.., |reader| Arc::ptr_eq(&reader.topic, &topic))
                    .map(|reader| (reader.partition.index, reader.partition.position()))
                    .collect();
                if !gone.is_empty() {
                    let unassigned = self.consumer.incremental_unassign(&list_of(&topic, gone));
                    self.complain(&topic, unassigned);
                }
                topic.table.clear();
            }
        }
    }

    fn read(&mut self, topic: &Arc<Topic>, partitions: Vec<(Arc<Partition>, i64)>) {
        // Otherwise the client learns of the topic only at its next scan, up to a second later.
        // Where this fails, that scan follows.
        self.consumer.fetch_metadata(Some(&topic.name), METADATA).ok();
        let mut starts = Vec::with_capacity(partitions.len());
        for (partition, start) in partitions {
            let any = Arc::clone(&self.has_work);
            let cluster = Arc::clone(&self.cluster);
            let wake = move || {
                any.store(true, Ordering::Release);
                cluster.fetch.sleeper.wake();
            };
            let index = partition.index;
            match Reader::new(&self.consumer, Arc::clone(topic), partition, wake) {
                Some(reader) => {
                    self.readers.push(reader);
                    starts.push((index, start));
                }
                None => tracing::error!(
                    event = "kafka.partition.unassignable",
                    cluster = %self.cluster.name,
                    topic = %topic.name,
                    partition = index,
                ),
            }
        }
        self.has_work.store(true, Ordering::Release);
        let assigned = self.consumer.incremental_assign(&list_of(topic, starts));
        self.complain(topic, assigned);
    }

    fn complain(&self, topic: &Topic, result: KafkaResult<()>) {
        if let Err(error) = result {
            tracing::error!(
                event = "kafka.topic.unassignable",
                cluster = %self.cluster.name,
                topic = %topic.name,
                %error,
                "it is not read",
            );
        }
    }
}

fn list_of(topic: &Topic, partitions: impl IntoIterator<Item = (u32, i64)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        // Only an offset below 0 is refused, and Kafka gives none.
        list.add_partition_offset(&topic.name, index(partition), Offset::Offset(offset)).ok();
    }
    list
}
