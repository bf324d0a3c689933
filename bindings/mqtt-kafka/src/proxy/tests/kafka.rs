//! Kafka in memory, for one thread: logs whose offsets have random gaps, and answers that come
//! when the test lets them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use kafka_plane::{
    Batch, BatchBuilder, Completion, Draft, Ends, Fault, KafkaExit, Limits, Listener, Older,
    Producer, Read, Scan, Then, TopicLog, TopicTable,
};

pub(super) const PARTITIONS: usize = 3;

/// One record as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) timestamp: i64,
    pub(super) partition: usize,
}

#[derive(Default)]
struct Topic {
    batches: [Vec<Arc<Batch>>; PARTITIONS],
    starts: [i64; PARTITIONS],
    /// What Kafka holds, whatever memory does, and where that begins.
    kept: [Vec<Arc<Batch>>; PARTITIONS],
    lows: [i64; PARTITIONS],
    ends: [i64; PARTITIONS],
    table: BTreeMap<Vec<u8>, Arc<Batch>>,
    stored: Vec<Stored>,
    listeners: Vec<Weak<dyn Listener>>,
    is_known: bool,
    has_advanced: bool,
}

type Job = Box<dyn FnOnce()>;

pub(super) struct Kafka {
    this: Weak<Self>,
    topics: RefCell<BTreeMap<String, Topic>>,
    jobs: RefCell<VecDeque<Job>>,
    seed: Cell<u64>,
    cluster: Option<Arc<str>>,
    /// Names of all appended records, in order.
    pub(super) appended: RefCell<Vec<String>>,
    pub(super) room: Cell<usize>,
    /// Whether appended records are thrown away.
    pub(super) discards: Cell<bool>,
    /// Whether appended records are on their way until they are released.
    pub(super) holds: Cell<bool>,
    held: RefCell<Vec<(String, Stored)>>,
    unanswered: RefCell<Vec<Completion>>,
    /// When batches are read, for those to come; `None`: long ago.
    pub(super) read_at: Cell<Option<Instant>>,
    wakers: RefCell<Vec<Waker>>,
    pub(super) faults: RefCell<BTreeMap<String, Fault>>,
    /// Whether it has never answered.
    pub(super) is_silent: Cell<bool>,
}

impl Kafka {
    pub(super) fn new(cluster: &str) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            topics: RefCell::default(),
            jobs: RefCell::default(),
            seed: Cell::new(7),
            cluster: Some(cluster.into()),
            appended: RefCell::default(),
            room: Cell::new(usize::MAX),
            discards: Cell::default(),
            read_at: Cell::default(),
            holds: Cell::default(),
            held: RefCell::default(),
            unanswered: RefCell::default(),
            wakers: RefCell::default(),
            faults: RefCell::default(),
            is_silent: Cell::default(),
        })
    }

    pub(super) fn exit(self: &Rc<Self>) -> Rc<dyn KafkaExit> {
        Rc::new(Exit(Rc::clone(self)))
    }

    pub(super) fn random(&self, below: u64) -> u64 {
        let next = self.seed.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.seed.set(next);
        (next >> 33) % below
    }

    fn with<T>(&self, topic: &str, call: impl FnOnce(&mut Topic) -> T) -> T {
        call(self.topics.borrow_mut().entry(topic.to_owned()).or_default())
    }

    fn later(&self, job: impl FnOnce() + 'static) {
        self.jobs.borrow_mut().push_back(Box::new(job));
    }

    /// One answer that is due.
    pub(super) fn answer_one(&self) -> bool {
        let job = self.jobs.borrow_mut().pop_front();
        job.map(|job| job()).is_some()
    }

    /// Tells listeners of topics that have more.
    pub(super) fn notify(&self) {
        let mut listeners = Vec::new();
        for topic in self.topics.borrow_mut().values_mut() {
            if std::mem::take(&mut topic.has_advanced) {
                listeners.extend(topic.listeners.iter().filter_map(Weak::upgrade));
            }
        }
        listeners.iter().for_each(|listener| listener.advanced());
    }

    /// Gives all answers that are due and tells all listeners.
    pub(super) fn run(&self) {
        while self.answer_one() {}
        self.notify();
        while self.answer_one() {}
    }

    /// Lets a producer have room again.
    pub(super) fn set_room(&self, room: usize) {
        self.room.set(room);
        self.wakers.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Forgets all records, as a log does beyond its bound. Kafka has them still.
    pub(super) fn trim(&self, topic: &str) {
        self.with(topic, |topic| {
            topic.batches = Default::default();
            topic.starts = topic.ends;
        });
    }

    /// Deletes all records, as Kafka does beyond a topic's retention. Memory may have them still.
    pub(super) fn delete(&self, topic: &str) {
        self.with(topic, |topic| {
            topic.kept = Default::default();
            topic.lows = topic.ends;
        });
    }

    /// Begins to read a topic of the same cluster where `other` has come to, or at its beginning.
    pub(super) fn begin_like(&self, other: &Self, topic: &str, is_at_end: bool) {
        let ends = other.with(topic, |topic| topic.ends);
        let kept = other.with(topic, |topic| (topic.kept.clone(), topic.lows));
        self.with(topic, |topic| {
            topic.starts = if is_at_end { ends } else { Default::default() };
            (topic.ends, topic.is_known) = (topic.starts, true);
            (topic.kept, topic.lows) = kept;
        });
    }

    /// Reads a topic of the same cluster as far as `other` has.
    pub(super) fn catch_up(&self, other: &Self, topic: &str) {
        let (batches, ends) = other.with(topic, |topic| (topic.batches.clone(), topic.ends));
        let kept = other.with(topic, |topic| (topic.kept.clone(), topic.lows));
        self.with(topic, |topic| {
            (topic.kept, topic.lows) = kept;
            (topic.batches, topic.ends, topic.has_advanced) = (batches, ends, true);
        });
    }

    /// Deletes a topic and makes it again.
    pub(super) fn make_anew(&self, topic: &str) {
        self.with(topic, |topic| {
            (topic.batches, topic.kept) = Default::default();
            (topic.starts, topic.lows, topic.ends) = Default::default();
        });
    }

    /// The records of a topic in the order of their appends.
    pub(super) fn stored(&self, topic: &str) -> Vec<Stored> {
        self.with(topic, |topic| topic.stored.clone())
    }

    /// Appends records, each `(key, value, headers)`, as one batch of a partition.
    pub(super) fn append_batch(&self, topic: &str, partition: usize, records: &[Stored]) {
        let mut builder = BatchBuilder::new();
        let mut next = self.with(topic, |topic| topic.ends[partition]);
        for record in records {
            next += i64::try_from(self.random(4)).unwrap();
            let key = Some(record.key.as_bytes());
            builder.record(next, record.timestamp, key, record.value.as_deref());
            for (name, value) in &record.headers {
                builder.header(name.as_bytes(), Some(value));
            }
            next += 1;
        }
        let batch = builder.finish(u32::try_from(partition).unwrap());
        let batch = Arc::new(match self.read_at.get() {
            Some(read_at) => batch.with_read_at(read_at),
            None => batch,
        });
        self.with(topic, |topic| {
            topic.kept[partition].push(Arc::clone(&batch));
            topic.batches[partition].push(batch);
            topic.ends[partition] = next;
            topic.stored.extend(records.iter().cloned());
            topic.has_advanced = true;
        });
    }

    /// Lets what is on its way to one topic arrive; nobody is told.
    pub(super) fn release_of(&self, topic: &str) {
        let (of_topic, others) = self.held.take().into_iter().partition(|(of, _)| of == topic);
        *self.held.borrow_mut() = others;
        self.store_all(of_topic);
    }

    fn store_all(&self, records: Vec<(String, Stored)>) {
        records.into_iter().for_each(|(topic, record)| self.store(&topic, record));
    }

    /// Lets what is on its way arrive.
    pub(super) fn release(&self) {
        self.holds.set(false);
        self.store_all(self.held.take());
        for Completion { owner, token } in self.unanswered.take() {
            self.later(move || owner.appended(token, Ok(())));
        }
    }

    fn append(&self, draft: &Draft<'_>) {
        let mut headers = Vec::new();
        draft.headers.for_each(&mut |name, value| {
            headers.push((name.to_owned(), value.unwrap_or_default().to_vec()));
        });
        assert_eq!(headers.len(), draft.headers.count());
        let key = draft.key.unwrap_or_default();
        let hash = draft.hash_key.unwrap_or(key);
        let partition = hash.iter().map(|byte| usize::from(*byte)).sum::<usize>() % PARTITIONS;
        let record = Stored {
            key: String::from_utf8(key.to_vec()).unwrap(),
            value: draft.value.map(<[u8]>::to_vec),
            headers,
            timestamp: draft.timestamp.unwrap_or_else(now),
            partition,
        };
        self.appended.borrow_mut().push(format!("{} {}", draft.topic, record.key));
        if self.holds.get() {
            self.held.borrow_mut().push((draft.topic.to_owned(), record));
            return;
        }
        self.store(draft.topic, record);
    }

    /// Appends a record; a table has it a little later.
    fn store(&self, topic: &str, record: Stored) {
        let partition = record.partition;
        self.append_batch(topic, partition, std::slice::from_ref(&record));
        let (this, topic) = (Weak::clone(&self.this), topic.to_owned());
        self.later(move || {
            let Some(this) = this.upgrade() else { return };
            this.with(&topic, |topic| {
                let batch = topic.batches[partition].last().map(Arc::clone);
                let batches = topic.batches[partition].iter().rev();
                let mut of_key =
                    batches.filter(|b| b.record(0).key() == Some(record.key.as_bytes()));
                let batch = of_key.next().map(Arc::clone).or(batch);
                match batch.filter(|b| b.record(0).value().is_some_and(|v| !v.is_empty())) {
                    Some(batch) => topic.table.insert(record.key.clone().into_bytes(), batch),
                    None => topic.table.remove(record.key.as_bytes()),
                };
            });
        });
    }
}

pub(super) fn now() -> i64 {
    engine::spi::WorkerCx::detached().clock().unix_millis()
}

struct Exit(Rc<Kafka>);

impl KafkaExit for Exit {
    fn log(&self, topic: &str) -> Rc<dyn TopicLog> {
        let (kafka, name) = (Rc::clone(&self.0), topic.to_owned());
        // As the log of a cache: it begins where the topic ended when it was first read.
        self.0.later(move || {
            if !kafka.faults.borrow().contains_key(&name) {
                kafka.with(&name, |topic| {
                    if !std::mem::replace(&mut topic.is_known, true) {
                        topic.has_advanced = true;
                    }
                });
            }
        });
        Rc::new(Log { kafka: Rc::clone(&self.0), topic: topic.to_owned() })
    }

    fn table(&self, topic: &str) -> Rc<dyn TopicTable> {
        Rc::new(Log { kafka: Rc::clone(&self.0), topic: topic.to_owned() })
    }

    fn producer(&self) -> Rc<dyn Producer> {
        Rc::new(Self(Rc::clone(&self.0)))
    }

    fn limits(&self) -> Limits {
        Limits { record_bytes: 1_000_000 }
    }

    fn fault(&self) -> Option<Fault> {
        self.0.is_silent.get().then_some(Fault::Unavailable)
    }

    fn cluster(&self) -> Option<Arc<str>> {
        self.0.cluster.clone()
    }
}

impl Producer for Exit {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.0.room.get() > 0 {
            return Poll::Ready(Ok(()));
        }
        self.0.wakers.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    fn append(
        &self,
        records: &[Draft<'_>],
        atomic: bool,
        completion: Option<Completion>,
    ) -> Result<(), Fault> {
        assert!(!atomic);
        if self.0.discards.get() {
            return Ok(());
        }
        let faults = self.0.faults.borrow();
        let fault = records.iter().find_map(|draft| faults.get(draft.topic)).copied();
        if fault.is_none() {
            records.iter().for_each(|draft| self.0.append(draft));
        }
        self.0.room.set(self.0.room.get().saturating_sub(records.len()));
        if self.0.holds.get() {
            self.0.unanswered.borrow_mut().extend(completion);
        } else if let Some(Completion { owner, token }) = completion {
            self.0.later(move || owner.appended(token, fault.map_or(Ok(()), Err)));
        }
        Ok(())
    }
}

struct Log {
    kafka: Rc<Kafka>,
    topic: String,
}

impl TopicLog for Log {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn listen(&self, listener: Weak<dyn Listener>) {
        self.kafka.with(&self.topic, |topic| topic.listeners.push(listener));
    }

    fn partitions(&self) -> u32 {
        self.kafka.with(&self.topic, |topic| {
            if topic.is_known { u32::try_from(PARTITIONS).unwrap() } else { 0 }
        })
    }

    fn ends(&self, then: Then<Ends>) {
        let (kafka, name) = (Rc::clone(&self.kafka), self.topic.clone());
        self.kafka.later(move || {
            let fault = kafka.faults.borrow().get(&name).copied();
            let ends = kafka.with(&name, |topic| Ends::from(topic.ends));
            then(fault.map_or(Ok(ends), Err));
        });
    }

    fn known_ends(&self) -> Option<Ends> {
        self.kafka.with(&self.topic, |topic| topic.is_known.then(|| Ends::from(topic.ends)))
    }

    fn ends_at(&self, moment: Instant) -> Option<Ends> {
        self.kafka.with(&self.topic, |topic| {
            let is_later = |batch: &Arc<Batch>| batch.read_at().is_some_and(|at| at > moment);
            let end = |partition: usize| {
                let mut ends = topic.batches[partition].iter().filter(|batch| is_later(batch));
                ends.next().map_or(topic.ends[partition], |batch| batch.first_offset())
            };
            topic.is_known.then(|| (0..PARTITIONS).map(end).collect())
        })
    }

    fn read(
        &self,
        partition: u32,
        offset: i64,
        max_bytes: usize,
        out: &mut Vec<Arc<Batch>>,
    ) -> Read {
        let partition = partition as usize;
        self.kafka.with(&self.topic, |topic| {
            if offset < topic.starts[partition] || offset > topic.ends[partition] {
                return Read::Gone(topic.starts[partition]);
            }
            let mut bytes = 0;
            for batch in &topic.batches[partition] {
                if batch.next_offset() <= offset {
                    continue;
                }
                if bytes > max_bytes {
                    return Read::Next(batch.first_offset());
                }
                bytes += batch.footprint();
                out.push(Arc::clone(batch));
            }
            Read::Next(topic.ends[partition].max(offset))
        })
    }

    fn older(&self, partition: u32, offset: i64, then: Then<Older>) {
        let (kafka, name, at) = (Rc::clone(&self.kafka), self.topic.clone(), partition as usize);
        self.kafka.later(move || {
            let fault = kafka.faults.borrow().get(&name).copied();
            let older = kafka.with(&name, |topic| {
                if offset < topic.lows[at] || offset > topic.ends[at] {
                    return Older::Gone(topic.lows[at]);
                }
                let mut batches = topic.kept[at].iter();
                match batches.find(|batch| batch.next_offset() > offset) {
                    Some(batch) => Older::Next(Some(Arc::clone(batch)), batch.next_offset()),
                    None => Older::Next(None, topic.ends[at]),
                }
            });
            then(fault.map_or(Ok(older), Err));
        });
    }
}

impl TopicTable for Log {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn sync(&self, then: Then<()>) {
        let fault = self.kafka.faults.borrow().get(&self.topic).copied();
        self.kafka.later(move || then(fault.map_or(Ok(()), Err)));
    }

    fn get(&self, key: &[u8]) -> Option<Arc<Batch>> {
        self.kafka.with(&self.topic, |topic| topic.table.get(key).map(Arc::clone))
    }

    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &Arc<Batch>) -> ControlFlow<(), Scan>,
    ) {
        let table = self.kafka.with(&self.topic, |topic| topic.table.clone());
        let mut from = from.to_vec();
        while let Some((key, batch)) = table.range(from..).next() {
            from = match visit(key, batch) {
                ControlFlow::Break(()) => return,
                ControlFlow::Continue(Scan::Seek(to)) if to > *key => to,
                ControlFlow::Continue(_) => [key.as_slice(), b"\0"].concat(),
            };
        }
    }
}
