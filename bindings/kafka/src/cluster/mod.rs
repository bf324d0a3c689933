//! A cluster as a process uses it: what workers and a back end exchange. Workers never call the
//! back end. They leave drafts and questions, and are called with answers; a back end
//! (`librdkafka` or `embedded`) takes those on threads of its own.

mod calls;
#[cfg(feature = "rdkafka")]
mod inherited;
mod lane;
mod lease;
mod older;
#[cfg(feature = "rdkafka")]
mod permission;
mod topic;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use engine::shared::Lock;
use engine::telemetry::{Counter, Metrics};
use kafka_plane::{Fault, Limits};

pub(crate) use calls::{Calls, Sleeper};
#[cfg(feature = "rdkafka")]
pub(crate) use inherited::Inherited;
pub(crate) use lane::{Answer, Lane};
pub use lease::Lease;
pub(crate) use lease::{Opening, spawn};
pub(crate) use older::{AskOlder, Found, ReadOlder, Wanted, read_older};
#[cfg(feature = "rdkafka")]
pub(crate) use permission::Permission;
pub(crate) use topic::{Partition, Reading, TableCounts, Topic};

/// Records that may be unacknowledged, over all workers.
const UNACKED_RECORDS: usize = 100_000;

/// Bytes of keys, values and headers that may be unacknowledged, over all workers.
const UNACKED_BYTES: usize = 64 * 1024 * 1024;

/// A cluster in use.
#[derive(Debug)]
pub struct Cluster {
    /// What its counters and events are told under.
    pub(crate) name: String,
    metrics: Arc<Metrics>,
    topics: Lock<Topics>,
    pub(crate) lanes: Lock<Vec<Arc<Lane>>>,
    pub(crate) lanes_version: AtomicU64,
    /// Questions, and the thread that answers them.
    pub(crate) admin: Calls<Ask>,
    /// Questions for records that memory no longer holds, and the thread that answers them.
    pub(crate) older: Calls<AskOlder>,
    /// The thread that takes what is left in the lanes.
    pub(crate) produce: Sleeper,
    /// Further threads that are to know at once when the cluster ends.
    pub(crate) sleepers: Lock<Vec<Arc<Sleeper>>>,
    /// `None`: it ends, and takes no more users.
    users: Lock<Option<usize>>,
    is_stopped: AtomicBool,
    threads: AtomicUsize,
    pub(crate) log_bytes: AtomicUsize,
    pub(crate) record_bytes: AtomicU32,
    pub(crate) unacked_records: AtomicUsize,
    unacked_bytes: AtomicUsize,
    /// Whether it has its id, or it is known that it gets none.
    pub(crate) is_producer_ready: AtomicBool,
    pub(crate) are_limits_known: AtomicBool,
    pub(crate) has_answered: AtomicBool,
    /// Whether what goes on here depends on which cluster it is.
    pub(crate) needs_id: AtomicBool,
    /// The id that the cluster gives itself.
    pub(crate) id: OnceLock<Arc<str>>,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    by_id: Vec<Arc<Topic>>,
}

/// What is asked of the thread that knows about topics.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Find out about a topic that is new here.
    Resolve(Arc<Topic>),
    /// The ends of a topic's partitions.
    Ends { topic: Arc<Topic>, lane: Arc<Lane>, key: usize },
    /// As [`Ask::Ends`], and wait until the table is read up to there.
    Sync { topic: Arc<Topic>, lane: Arc<Lane>, key: usize },
}

impl Cluster {
    /// The topic of a name, which may not exist in Kafka.
    pub(crate) fn topic(&self, name: &str) -> Arc<Topic> {
        self.topic_of(name, |_| {})
    }

    /// Has a topic looked for that must be compacted.
    pub(crate) fn expect_state(&self, name: &str) {
        self.topic_of(name, Topic::expect_state).expect_state();
    }

    /// `prepare` says what a topic that is new here is for, before it is looked for: an event about
    /// one that is missing says how to make it.
    fn topic_of(&self, name: &str, prepare: impl FnOnce(&Topic)) -> Arc<Topic> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.by_name.get(name) {
            return Arc::clone(topic);
        }
        let name: Arc<str> = name.into();
        let id = u32::try_from(topics.by_id.len()).unwrap_or(u32::MAX);
        let topic = Arc::new(Topic::new(Arc::clone(&name), id));
        prepare(&topic);
        topics.by_id.push(Arc::clone(&topic));
        topics.by_name.insert(name, Arc::clone(&topic));
        drop(topics);
        self.admin.push(Ask::Resolve(Arc::clone(&topic)));
        topic
    }

    /// The topic of a name, read as `reading` from now on; refused where it is read as the other.
    pub(crate) fn read(&self, name: &str, reading: Reading) -> Result<Arc<Topic>, Arc<Topic>> {
        let topic = self.topic_of(name, |topic| {
            topic.read_as(reading);
        });
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

    pub(crate) fn topic_by_id(&self, id: u32) -> Option<Arc<Topic>> {
        self.topics.lock().by_id.get(id as usize).map(Arc::clone)
    }

    pub(crate) fn all_topics(&self) -> Vec<Arc<Topic>> {
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

    /// Asks for records that memory no longer holds; the answer comes by the question's lane.
    pub(crate) fn ask_older(&self, ask: AskOlder) {
        if self.is_stopped() {
            return ask.answer(Err(Fault::Unavailable));
        }
        self.older.push(ask);
        if self.is_stopped() {
            // The thread may have ended just before.
            let mut left = Vec::new();
            self.older.swap(&mut left);
            left.into_iter().for_each(|ask| ask.answer(Err(Fault::Unavailable)));
        }
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

    /// Tells the workers that wait for room that there is some, where there is.
    #[cfg(feature = "embedded")]
    pub(crate) fn offer_room(&self) {
        if self.has_room() {
            self.lanes.lock().iter().for_each(|lane| lane.offer_room());
        }
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

    /// Counts records that were answered.
    pub(crate) fn settled(&self, records: usize, bytes: usize) {
        self.unacked_records.fetch_sub(records, Ordering::AcqRel);
        self.unacked_bytes.fetch_sub(bytes, Ordering::AcqRel);
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

    /// Whether the cluster has told anything since this process began to use it.
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Acquire)
    }

    /// Whether it ends or has ended.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// A cell of a counter, for one thread.
    pub(crate) fn counter(&self, metric: &'static str) -> Counter {
        self.metrics.counter(&self.name, metric)
    }

    /// The counters of a thread that fills tables.
    pub(crate) fn table_counts(&self) -> TableCounts {
        TableCounts { without_key: self.counter("records_without_key") }
    }
}
