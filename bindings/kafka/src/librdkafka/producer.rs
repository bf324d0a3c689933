//! The thread that appends: takes drafts of all workers as bursts, and answers in batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::runtime::Clock;
use engine::telemetry::Counter;
use kafka_plane::Fault;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka_wake::WakingProducer;

use super::Client;
use super::context::{Delivery, ProduceContext, Reports};
use super::faults::{Refusal, fault_of_code};
use super::offsets::index;
use super::pace::Pace;
use super::pending::Pending;
use crate::cluster::{Lane, Topic};
use crate::state::{Burst, BurstAppend, BurstRecord, partition_of};

/// How long the thread sleeps while nobody calls it.
const IDLE: Duration = Duration::from_millis(200);

/// How long, while it waits for what nobody calls it for: the producer's id, a topic's partitions,
/// the end of what is under way.
const LOOKING: Duration = Duration::from_millis(2);

/// How long a topic's partitions may take to be told, where librdkafka's view is older than ours.
const METADATA: Duration = Duration::from_secs(1);

/// How long a producer is used at least before a new one takes its place.
const RENEW: Duration = Duration::from_secs(1);

/// The thread's state.
pub(super) struct Producer {
    cluster: Arc<Client>,
    producer: WakingProducer<ProduceContext>,
    reports: Arc<Reports>,
    lanes: Vec<Arc<Lane>>,
    lanes_version: u64,
    has_asked_for_id: bool,
    pending: Pending,
    /// Topics by id, as far as records came for them.
    topics: Vec<Option<Arc<Topic>>>,
    /// Records of topics whose partitions are not known yet, by topic, in order.
    waiting: BTreeMap<u32, Burst>,
    /// Counts records without a key, which go round the partitions.
    keyless: u32,
    deliveries: Vec<Delivery>,
    pace: Pace,
    clock: Clock,
    /// Records that were taken in this round.
    taken: u32,
    bursts: Counter,
    renewals: Counter,
    made_at: Instant,
    /// Why the last producer could do nothing more, until the present one has its id.
    fatal: Option<RDKafkaErrorCode>,
    /// The largest batch that the producer was told to make.
    batch_bytes: u32,
}

impl Producer {
    pub(super) fn new(cluster: Arc<Client>) -> Result<Self, Refusal> {
        let batch_bytes = cluster.batch_bytes();
        let (producer, reports) = connect(&cluster, batch_bytes)?;
        let clock = Clock::new();
        let pace = Pace::new(cluster.settings.batching.collect, clock.now());
        let pending = Pending::new(&cluster);
        let bursts = cluster.counter("bursts_appended");
        let renewals = cluster.counter("producers_renewed");
        Ok(Self {
            cluster,
            producer,
            reports,
            lanes: Vec::new(),
            lanes_version: 0,
            has_asked_for_id: false,
            pending,
            topics: Vec::new(),
            waiting: BTreeMap::new(),
            keyless: 0,
            deliveries: Vec::new(),
            pace,
            taken: 0,
            bursts,
            renewals,
            made_at: clock.now(),
            clock,
            fatal: None,
            batch_bytes,
        })
    }

    pub(super) fn run(mut self) {
        let cluster = Arc::clone(&self.cluster);
        cluster.produce.adopt();
        let mut spare = Burst::default();
        while !cluster.is_stopped() {
            self.take_lanes(&mut spare);
            let fits = self.is_usable() && self.fits_batches();
            if fits {
                self.take_bursts(&mut spare);
                self.take_waiting();
            }
            self.take_reports();
            self.ask_for_id();
            self.pending.answer();
            self.sleep(fits);
        }
        self.take_lanes(&mut spare);
        self.take_bursts(&mut spare);
        // Dropping the producer gives up what is under way, and reports it.
        drop(self.producer);
        self.reports.swap(&mut self.deliveries);
        for delivery in self.deliveries.drain(..) {
            self.pending.settle(&delivery);
        }
        self.pending.fail_all();
        self.pending.answer();
    }

    /// Sleeps until there is something to do. `fits`: drafts are taken at present.
    fn sleep(&mut self, fits: bool) {
        let collect = self.pace.next(std::mem::take(&mut self.taken), self.clock.now());
        let is_ready = self.cluster.is_producer_ready.load(Ordering::Acquire);
        let unacked = || self.cluster.unacked_records.load(Ordering::Acquire);
        if !is_ready || !fits || !self.waiting.is_empty() {
            std::thread::park_timeout(LOOKING);
        } else if let Some(collect) = collect.filter(|_| unacked() > 0) {
            // Not to be woken: what comes meanwhile is collected.
            std::thread::park_timeout(collect);
        } else {
            let taken = self.pending.under_way();
            let has_work = || self.reports.take_call() || unacked() > taken;
            self.cluster.produce.sleep(IDLE, has_work);
        }
    }

    /// Has librdkafka ask for the producer's id as soon as a broker answers: it does when metadata
    /// comes, and by itself only every 500 ms.
    fn ask_for_id(&mut self) {
        if self.has_asked_for_id || self.cluster.is_producer_ready.load(Ordering::Acquire) {
            return;
        }
        // One of those in use: its metadata is needed for its first record in any case.
        if let Some(topic) = self.cluster.all_topics().first() {
            self.has_asked_for_id = true;
            self.producer.client().fetch_metadata(Some(&topic.name), METADATA).ok();
        }
    }

    /// Takes over lanes that are new, and drops those that are gone once they are empty.
    fn take_lanes(&mut self, spare: &mut Burst) {
        let version = self.cluster.lanes_version.load(Ordering::Acquire);
        if version == self.lanes_version {
            return;
        }
        self.lanes_version = version;
        self.lanes.clone_from(&self.cluster.lanes.lock());
        let gone: Vec<_> = self.lanes.iter().filter(|lane| lane.is_gone()).cloned().collect();
        if gone.is_empty() {
            return;
        }
        self.take_bursts(spare);
        let stays = |lane: &Arc<Lane>| !gone.iter().any(|gone| Arc::ptr_eq(gone, lane));
        self.cluster.lanes.lock().retain(stays);
        self.lanes.retain(stays);
        self.pending.retain_lanes(&self.lanes);
    }

    fn take_bursts(&mut self, spare: &mut Burst) {
        let lanes = std::mem::take(&mut self.lanes);
        for lane in &lanes {
            std::mem::swap(&mut *lane.burst.lock(), spare);
            if !spare.is_empty() {
                self.bursts.increment();
                self.submit(lane, spare);
                spare.clear();
            }
        }
        self.lanes = lanes;
    }

    fn submit(&mut self, lane: &Arc<Lane>, burst: &Burst) {
        let opened = self.pending.open(lane, burst.appends());
        for record in burst.records() {
            let Some(topic) = self.topic(record.topic) else { continue };
            let opaque = opened.opaque(record.append);
            self.taken += 1;
            match topic.open_count() {
                count if count > 0 && !self.waiting.contains_key(&record.topic) => {
                    self.send(&topic, count, &record, opaque);
                }
                // Behind those that wait already, so that order is kept.
                _ => {
                    let waiting = self.waiting.entry(record.topic).or_default();
                    // Its own append knows the rest.
                    let completion = u32::try_from(opaque).ok();
                    waiting.open_append(BurstAppend { completion, records: 1, bytes: 0 });
                    waiting.push_copy(&record);
                }
            }
        }
        self.pending.close(opened);
    }

    /// Sends what waited for topics that are known now, and refuses what waited for those that
    /// are known to be missing.
    fn take_waiting(&mut self) {
        let ids: Vec<u32> = self.waiting.keys().copied().collect();
        for id in ids {
            let Some(topic) = self.topic(id) else { continue };
            let (count, fault) = (topic.open_count(), topic.fault());
            let waits_on = count == 0 && fault.is_none_or(|fault| fault == Fault::Unavailable);
            if waits_on {
                continue;
            }
            let Some(waiting) = self.waiting.remove(&id) else { continue };
            for record in waiting.records() {
                let opaque = waiting.appends()[record.append].completion;
                let opaque = opaque.map_or(usize::MAX, |opaque| opaque as usize);
                if count > 0 {
                    self.send(&topic, count, &record, opaque);
                } else {
                    let fault = fault.unwrap_or(Fault::Unavailable);
                    self.pending.refuse(opaque, fault, &topic.name);
                }
            }
        }
    }

    fn topic(&mut self, id: u32) -> Option<Arc<Topic>> {
        let at = id as usize;
        if self.topics.len() <= at {
            self.topics.resize(at + 1, None);
        }
        if self.topics[at].is_none() {
            self.topics[at] = self.cluster.topic_by_id(id);
        }
        self.topics[at].clone()
    }

    fn send(&mut self, topic: &Topic, count: u32, record: &BurstRecord<'_>, opaque: usize) {
        let hash = record.hash.unwrap_or_else(|| {
            self.keyless = self.keyless.wrapping_add(1);
            self.keyless
        });
        let partition = partition_of(hash, count);
        if topic.writes.is_denied() {
            return self.pending.refuse(opaque, Fault::NotAuthorized, &topic.name);
        }
        let mut result = self.hand_over(topic, partition, record, opaque);
        let is_outdated = match result {
            // Partitions were added.
            Err(RDKafkaErrorCode::UnknownPartition) => true,
            // It was refused before, and perhaps is no longer.
            Err(RDKafkaErrorCode::TopicAuthorizationFailed) => topic.writes.is_doubtful(),
            _ => false,
        };
        if is_outdated {
            // librdkafka has not looked since.
            self.producer.client().fetch_metadata(Some(&topic.name), METADATA).ok();
            result = self.hand_over(topic, partition, record, opaque);
        }
        if let Err(code) = result {
            self.pending.refuse(opaque, fault_of_code(code), &topic.name);
        }
    }

    fn hand_over(
        &self,
        topic: &Topic,
        partition: u32,
        record: &BurstRecord<'_>,
        opaque: usize,
    ) -> Result<(), RDKafkaErrorCode> {
        let headers = (record.header_count() > 0).then(|| {
            let empty = OwnedHeaders::new_with_capacity(record.header_count());
            record
                .headers()
                .fold(empty, |headers, (key, value)| headers.insert(Header { key, value }))
        });
        let draft = BaseRecord {
            topic: &topic.name,
            partition: Some(index(partition)),
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp,
            headers,
            delivery_opaque: opaque,
        };
        self.producer
            .send(draft)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))
    }

    /// Serves librdkafka's events, delivery reports above all.
    fn take_reports(&mut self) {
        self.reports.take_call();
        loop {
            // One event a call, and no way to learn whether there was one but by what it left. To
            // the last: only a queue that was empty calls.
            let before = self.reports.served();
            self.producer.poll(Duration::ZERO);
            if self.reports.served() == before {
                break;
            }
        }
        self.reports.swap(&mut self.deliveries);
        let reported = !self.deliveries.is_empty();
        for delivery in self.deliveries.drain(..) {
            self.pending.settle(&delivery);
        }
        if reported && self.cluster.has_room() {
            self.lanes.iter().for_each(|lane| lane.offer_room());
        }
        // One that failed is no more ready when it is waited for.
        let is_ready = self.reports.is_initialised() || self.fatal.is_some();
        self.cluster.is_producer_ready.store(is_ready, Ordering::Release);
    }

    /// Whether the producer can do anything. One that cannot is replaced, after a while.
    fn is_usable(&mut self) -> bool {
        let Some((code, reason)) = self.producer.client().fatal_error() else {
            if self.reports.is_initialised()
                && self.fatal.take() == Some(RDKafkaErrorCode::ClusterAuthorizationFailed)
            {
                // Something may be written again: what, is seen when it is.
                for topic in self.cluster.all_topics() {
                    topic.writes.forget();
                }
            }
            return true;
        };
        if self.fatal.replace(code) != Some(code) {
            tracing::error!(
                event = "kafka.producer.failed",
                cluster = %self.cluster.name,
                ?code,
                "{reason}; what is under way is refused, and a new producer takes its place",
            );
        }
        if code == RDKafkaErrorCode::ClusterAuthorizationFailed {
            // Kafka gives an id to whom it lets write to any topic.
            let topics = self.cluster.all_topics();
            topics.iter().for_each(|topic| self.cluster.deny_writes(topic));
        }
        if self.clock.now().saturating_duration_since(self.made_at) < RENEW {
            return false;
        }
        self.renewals.increment();
        self.renew();
        false
    }

    /// Whether every topic takes a batch of the size that the producer makes. Kafka refuses a
    /// batch as a whole, so a producer that makes larger ones is drained and renewed first.
    fn fits_batches(&mut self) -> bool {
        if self.cluster.batch_bytes() >= self.batch_bytes {
            return true;
        }
        if self.producer.in_flight_count() > 0 {
            return false;
        }
        self.renew();
        self.cluster.batch_bytes() >= self.batch_bytes
    }

    fn renew(&mut self) {
        let batch_bytes = self.cluster.batch_bytes();
        match connect(&self.cluster, batch_bytes) {
            Ok((producer, reports)) => {
                drop(std::mem::replace(&mut self.producer, producer));
                self.has_asked_for_id = false;
                let old = std::mem::replace(&mut self.reports, reports);
                old.swap(&mut self.deliveries);
                for mut delivery in self.deliveries.drain(..) {
                    // What it held had the same end as what it sent.
                    delivery.error = delivery.error.map(|error| self.fatal.unwrap_or(error));
                    self.pending.settle(&delivery);
                }
                self.made_at = self.clock.now();
                self.batch_bytes = batch_bytes;
            }
            Err(error) => {
                tracing::error!(
                    event = "kafka.producer.refused",
                    cluster = %self.cluster.name,
                    %error,
                    "trying again",
                );
            }
        }
    }
}

fn connect(
    cluster: &Arc<Client>,
    batch_bytes: u32,
) -> Result<(WakingProducer<ProduceContext>, Arc<Reports>), Refusal> {
    let reports = Arc::new(Reports::new(&cluster.are_reports_named));
    let context = ProduceContext { shared: Arc::clone(&reports) };
    let producer: BaseProducer<_> =
        cluster.settings.producer(batch_bytes).create_with_context(context)?;
    let (called, sleeper) = (Arc::clone(&reports), Arc::clone(cluster));
    let wake = move || {
        called.call();
        sleeper.produce.wake();
    };
    Ok((WakingProducer::new(producer, wake), reports))
}
