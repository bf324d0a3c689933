//! A Kafka cluster, as a process uses it with one set of credentials: one consumer that reads all
//! topics in use, one producer, one client that asks for metadata and offsets, each on one thread.
//! Workers never call librdkafka. They leave drafts and questions, and are called with answers.

mod admin;
mod calls;
mod context;
mod faults;
mod fetcher;
mod lane;
mod lease;
mod offsets;
mod pending;
mod producer;
mod reader;
mod settings;
mod topic;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use engine::shared::Lock;
use engine::telemetry::{Counter, Metrics};
use kafka_plane::{Fault, Limits};

use calls::{Calls, Sleeper};

pub(crate) use lane::{Answer, Lane};
pub use lease::{Lease, open};
pub use settings::{Batching, Sasl, Settings};
pub(crate) use topic::{Reading, Topic};

/// Records that may be unacknowledged, over all workers.
const UNACKED_RECORDS: usize = 100_000;

/// Bytes of keys, values and headers that may be unacknowledged, over all workers.
const UNACKED_BYTES: usize = 64 * 1024 * 1024;

/// `max.message.bytes` where the cluster does not say.
const DEFAULT_RECORD_BYTES: u32 = 1_000_012;

/// librdkafka's default `batch.size`.
const BATCH_BYTES: u32 = 1_000_000;

/// What a record batch adds to the record in it, generously, bytes.
const RECORD_OVERHEAD: u32 = 512;

/// A cluster in use.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    /// What its counters and events are told under.
    name: String,
    metrics: Arc<Metrics>,
    topics: Lock<Topics>,
    lanes: Lock<Vec<Arc<Lane>>>,
    lanes_version: AtomicU64,
    admin: Calls<Ask>,
    fetch: Calls<fetcher::Job>,
    produce: Sleeper,
    /// `None`: it ends, and takes no more users.
    users: Lock<Option<usize>>,
    is_stopped: AtomicBool,
    threads: AtomicUsize,
    log_bytes: AtomicUsize,
    record_bytes: AtomicU32,
    unacked_records: AtomicUsize,
    unacked_bytes: AtomicUsize,
    is_producer_ready: AtomicBool,
    are_limits_known: AtomicBool,
    /// The id that the cluster gives itself.
    id: OnceLock<Arc<str>>,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    by_id: Vec<Arc<Topic>>,
}

/// What is asked of the admin thread.
#[derive(Debug)]
enum Ask {
    /// Find out about a topic that is new here.
    Resolve(Arc<Topic>),
    /// The ends of a topic's partitions.
    Ends { topic: Arc<Topic>, lane: Arc<Lane>, key: usize },
    /// As [`Ask::Ends`], and wait until the table is read up to there.
    Sync { topic: Arc<Topic>, lane: Arc<Lane>, key: usize },
    /// Reading a partition failed: the topic may be gone, or what was to be read next.
    Trouble { topic: Arc<Topic>, partition: u32, is_stopped: bool },
}

impl Cluster {
    /// The topic of a name, which may not exist in Kafka.
    pub(crate) fn topic(&self, name: &str) -> Arc<Topic> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.by_name.get(name) {
            return Arc::clone(topic);
        }
        let name: Arc<str> = name.into();
        let id = u32::try_from(topics.by_id.len()).unwrap_or(u32::MAX);
        let topic = Arc::new(Topic::new(Arc::clone(&name), id));
        topics.by_id.push(Arc::clone(&topic));
        topics.by_name.insert(name, Arc::clone(&topic));
        drop(topics);
        self.admin.push(Ask::Resolve(Arc::clone(&topic)));
        topic
    }

    /// The topic of a name, read as `reading` from now on; refused where it is read as the other.
    pub(crate) fn read(&self, name: &str, reading: Reading) -> Result<Arc<Topic>, Arc<Topic>> {
        let topic = self.topic(name);
        let was = topic.reading();
        if !topic.read_as(reading) {
            tracing::error!(
                event = "kafka.topic.conflict",
                cluster = %self.name,
                topic = name,
                "one topic cannot be both a log of messages and a table of retained messages",
            );
            return Err(topic);
        }
        if was == Reading::No {
            self.admin.push(Ask::Resolve(Arc::clone(&topic)));
        }
        Ok(topic)
    }

    fn topic_by_id(&self, id: u32) -> Option<Arc<Topic>> {
        self.topics.lock().by_id.get(id as usize).map(Arc::clone)
    }

    fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.lock().by_id.clone()
    }

    /// Asks for the ends of a topic; the answer comes by `lane`.
    pub(crate) fn ask_ends(&self, topic: &Arc<Topic>, lane: &Arc<Lane>, key: usize) {
        if self.is_stopped() {
            return lane.answers.push(Answer::Ends(key, Err(Fault::Unavailable)));
        }
        self.admin.push(Ask::Ends { topic: Arc::clone(topic), lane: Arc::clone(lane), key });
    }

    /// Asks that a table be brought up to the end that its topic has; the answer comes by `lane`.
    pub(crate) fn ask_sync(&self, topic: &Arc<Topic>, lane: &Arc<Lane>, key: usize) {
        if self.is_stopped() {
            return lane.answers.push(Answer::Synced(key, Err(Fault::Unavailable)));
        }
        self.admin.push(Ask::Sync { topic: Arc::clone(topic), lane: Arc::clone(lane), key });
    }

    /// Lets a worker exchange with the threads.
    pub(crate) fn add_lane(&self, lane: &Arc<Lane>) {
        self.lanes.lock().push(Arc::clone(lane));
        self.lanes_version.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends what [`Cluster::add_lane`] began; the producer takes what it still holds.
    pub(crate) fn remove_lane(&self, lane: &Lane) {
        lane.leave();
        self.lanes_version.fetch_add(1, Ordering::AcqRel);
        self.produce.wake();
    }

    /// Whether another append is taken.
    pub(crate) fn has_room(&self) -> bool {
        self.unacked_records.load(Ordering::Acquire) < UNACKED_RECORDS
            && self.unacked_bytes.load(Ordering::Acquire) < UNACKED_BYTES
    }

    /// Counts records that are about to be left in a lane.
    pub(crate) fn reserve(&self, records: usize, bytes: usize) {
        self.unacked_records.fetch_add(records, Ordering::AcqRel);
        self.unacked_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Calls the producer if it sleeps: records were left in a lane.
    pub(crate) fn call_producer(&self) {
        self.produce.wake();
    }

    fn settled(&self, records: usize, bytes: usize) {
        self.unacked_records.fetch_sub(records, Ordering::AcqRel);
        self.unacked_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// The largest batch that every topic takes, bytes; librdkafka's default if that is less.
    fn batch_bytes(&self) -> u32 {
        self.record_bytes.load(Ordering::Relaxed).min(BATCH_BYTES)
    }

    /// The bounds that hold for appends.
    pub(crate) fn limits(&self) -> Limits {
        Limits { record_bytes: self.record_bytes.load(Ordering::Relaxed) }
    }

    /// Bounds each partition's log, bytes, now and for partitions to come.
    pub(crate) fn set_log_bytes(&self, bytes: usize) {
        self.log_bytes.store(bytes, Ordering::Relaxed);
        for topic in self.all_topics() {
            for partition in topic.partitions().iter() {
                partition.log.set_bound(bytes);
            }
        }
    }

    /// The id that the cluster gives itself, once it is known.
    pub(crate) fn id(&self) -> Option<Arc<str>> {
        self.id.get().map(Arc::clone)
    }

    /// Whether it ends or has ended.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    fn counter(&self, metric: &'static str) -> Counter {
        self.metrics.counter(&self.name, metric)
    }

    /// The address that messages to people name.
    fn address(&self) -> &str {
        self.settings.servers.first().map_or("", String::as_str)
    }
}
