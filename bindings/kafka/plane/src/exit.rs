//! What a binding that answers from Kafka offers, as one worker sees it.

use std::ops::ControlFlow;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use engine::spi::Plane;

use crate::{Batch, Draft, Fault};

/// The kafka plane.
pub struct Kafka;

impl Plane for Kafka {
    const NAME: &'static str = "kafka";
    type Exit = dyn KafkaExit;
}

/// Called once, later, on the worker that asked; never from within the call that asked.
pub type Then<T> = Box<dyn FnOnce(Result<T, Fault>)>;

/// What a binding offers to bindings that ask Kafka. One instance a worker.
pub trait KafkaExit {
    /// A topic read as a log from the end that it had when the process first read it. All views
    /// of one topic in the process share one log.
    fn log(&self, topic: &str) -> Rc<dyn TopicLog>;

    /// A compacted topic read from its earliest record: the last record of each key.
    fn table(&self, topic: &str) -> Rc<dyn TopicTable>;

    /// Has a compacted topic looked for that is not read: an event says where it is missing or is
    /// not compacted, and what makes it right.
    fn expect_table(&self, topic: &str) {
        let _ = topic;
    }

    /// The producer of the cluster.
    fn producer(&self) -> Rc<dyn Producer>;

    /// The bounds that hold for appends.
    fn limits(&self) -> Limits;

    /// Why nothing can be served yet: the cluster has not answered since the process began to use
    /// it. A cluster that has answered once is served on through an outage: appends wait within
    /// their bounds, and reads have what was read before.
    fn fault(&self) -> Option<Fault> {
        None
    }

    /// The id that the cluster gives itself, once it is known. Offsets hold across two exits whose
    /// ids are equal; without an id nobody relies on that.
    fn cluster(&self) -> Option<Arc<str>> {
        None
    }
}

/// Bounds that hold for appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest record, bytes, key, value and headers together, that every topic takes.
    pub record_bytes: u32,
}

/// Told when a topic has more to read. Called on the worker, once a batch of fetches.
pub trait Listener {
    /// There is more to read than at the last call, or a partition more.
    fn advanced(&self);
}

/// The offsets at which each partition ends, by partition.
pub type Ends = Rc<[i64]>;

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Batches were appended to the caller's list, or there is nothing new; go on at this offset.
    Next(i64),
    /// The log no longer holds what was asked for; it begins here. Nothing was appended.
    Gone(i64),
}

/// What was found of records that this process no longer holds.
#[derive(Clone, Debug)]
pub enum Older {
    /// The records that follow the offset asked for, some of them, and where to go on: beyond that
    /// offset, but where the partition ends there. No batch: there are only gaps.
    Next(Option<Arc<Batch>>, i64),
    /// The partition no longer holds the offset asked for, and begins here. If that is not beyond
    /// the offset, the topic was made anew and has not come so far.
    Gone(i64),
}

/// A worker's view of the log of one topic.
///
/// Reading never blocks and never holds back the log. A batch may begin before the offset that was
/// asked for: skip to it by [`Batch::index_of`].
pub trait TopicLog {
    /// The Kafka topic's name.
    fn topic(&self) -> &str;

    /// Registers who is told when there is more to read, until it is dropped.
    fn listen(&self, listener: Weak<dyn Listener>);

    /// Partitions that are being read; 0 until the topic is known.
    fn partitions(&self) -> u32;

    /// Fixes where a reader that begins now starts: whatever is appended to Kafka after `then` was
    /// called lies at or after it, and what this process was told to be appended before lies
    /// before it. Fails where the topic cannot be read.
    fn ends(&self, then: Then<Ends>);

    /// The ends as far as this process knows without asking; `None` until the topic is known.
    fn known_ends(&self) -> Option<Ends>;

    /// The ends that this process knew at `moment`, within the last seconds: whatever was appended
    /// after it lies at or after them, and of what was appended before it perhaps the last. `None`
    /// until the topic is known.
    fn ends_at(&self, moment: Instant) -> Option<Ends>;

    /// Appends batches of `partition` from `offset` on to `out`, until their footprint passes
    /// `max_bytes`.
    fn read(
        &self,
        partition: u32,
        offset: i64,
        max_bytes: usize,
        out: &mut Vec<Arc<Batch>>,
    ) -> Read;

    /// Reads records of `partition` from `offset` on that [`TopicLog::read`] says are gone: from
    /// where they are kept, which takes its time. Some hundred KiB come at a time. Who asks has one
    /// question open; those of many for the same records are answered by one read. Fails where the
    /// cluster does not answer: to be asked again later.
    fn older(&self, partition: u32, offset: i64, then: Then<Older>);
}

/// What a visitor of a table asks for next.
pub enum Scan {
    /// The next key.
    Next,
    /// The first key at or after this one.
    Seek(Vec<u8>),
}

/// A worker's view of a compacted topic: the last record of each key whose value is neither null
/// nor empty, in byte order of the keys.
pub trait TopicTable {
    /// The Kafka topic's name.
    fn topic(&self) -> &str;

    /// Calls `then` when the table holds all that the topic held when it was called.
    fn sync(&self, then: Then<()>);

    /// The record of a key, as a batch of one.
    fn get(&self, key: &[u8]) -> Option<Arc<Batch>>;

    /// Visits records in key order from `from` on, until `visit` breaks or there are no more.
    /// A lock is held meanwhile: visit some hundred keys, break, and go on from there later.
    #[expect(clippy::type_complexity, reason = "a visitor, written out once")]
    fn scan(&self, from: &[u8], visit: &mut dyn FnMut(&[u8], &Arc<Batch>) -> ControlFlow<(), Scan>);
}

/// Told what became of an append. Called on the worker that appended, in the order of completion.
pub trait Appended {
    /// All records of the append that was given `token` are in Kafka (acks=all), or the first
    /// fault among them.
    fn appended(&self, token: u64, outcome: Result<(), Fault>);
}

/// Whom to tell about an append, and by which token.
pub struct Completion {
    /// Whom.
    pub owner: Rc<dyn Appended>,
    /// The asker's own token.
    pub token: u64,
}

/// A worker's view of the producer that the whole process shares for one cluster: idempotent,
/// acks=all. Records of one worker to one partition keep their order.
pub trait Producer {
    /// Whether another append is taken. Pending while the bound of unacknowledged records is
    /// reached; wakes when there is room.
    ///
    /// # Errors
    /// The cluster cannot be appended to at present.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>>;

    /// Appends records, in order. With `atomic`, all of them become visible or none (a
    /// transaction); an implementation without transactions refuses it. Without a completion
    /// nobody waits: a fault is counted and reported as an event by the producer.
    ///
    /// # Errors
    /// Nothing was appended, and the completion is not called.
    fn append(
        &self,
        records: &[Draft<'_>],
        atomic: bool,
        completion: Option<Completion>,
    ) -> Result<(), Fault>;
}
