//! The thread that appends: takes drafts of all workers as bursts, writes them in one piece, makes
//! them durable together and answers in batches.

mod commit;
mod part;
mod topics;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::runtime::Clock;
use engine::telemetry::Counter;
use kafka_plane::Fault;

use super::Log;
use super::files::{Active, Ends, Entry};
use crate::cluster::{Answer, Ask, Lane, TableCounts};
use crate::state::{Burst, BurstRecord, partition_of};
use part::{Known, gap};

/// How long the thread sleeps while there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// How long what nobody waits for may lie unsynced.
const LAZY: Duration = Duration::from_millis(100);

/// A chunk is closed at so many records or bytes.
const CHUNK_RECORDS: u32 = 4096;
const CHUNK_BYTES: usize = 512 * 1024;

/// An append that was taken and is not answered.
struct Taken {
    lane: usize,
    completion: Option<u32>,
    records: u32,
    bytes: usize,
    fault: Option<Fault>,
}

/// The thread's state.
pub(super) struct Writer {
    log: Arc<Log>,
    clock: Clock,
    /// The list of topics on disk.
    topics: Vec<Entry>,
    /// Where partitions of topics go on that are not used in this process.
    ends: Ends,
    active: Active,
    /// When the first chunk was written to the active segment, or was found in it.
    begun_at: Option<Instant>,
    /// Topics that are used, by their id in this process.
    known: Vec<Option<Known>>,
    /// The places of those that records were placed in since the last commit.
    touched: Vec<usize>,
    /// Whether a reservation was written that no sync was asked for yet.
    has_reserved: bool,
    /// The request by which the reservations are durable.
    reserved_by: Option<u64>,
    /// The last request for a sync.
    ticket: u64,
    lanes: Vec<Arc<Lane>>,
    lanes_version: u64,
    taken: Vec<Taken>,
    /// Answers, by lane.
    answers: Vec<Vec<Answer>>,
    /// The bytes of a round.
    out: Vec<u8>,
    /// Counts records without a key, which go round the partitions.
    keyless: u32,
    /// Since when something is written that no sync was asked for.
    unsynced_since: Option<Instant>,
    is_failing: Option<Failing>,
    last_fault: Option<Fault>,
    gaps: Option<u64>,
    counts: Counts,
}

/// Why appends are refused.
#[derive(Clone, Copy)]
struct Failing {
    kind: std::io::ErrorKind,
    /// The last request for a sync before that.
    ticket: u64,
}

/// What the thread counts.
struct Counts {
    records: Counter,
    bursts: Counter,
    refused: Counter,
    bytes: Counter,
    tables: TableCounts,
}

impl Writer {
    pub(super) fn new(log: Arc<Log>, topics: Vec<Entry>, ends: Ends, active: Active) -> Self {
        let cluster = &log.cluster;
        let counts = Counts {
            records: cluster.counter("records_appended"),
            bursts: cluster.counter("bursts_appended"),
            refused: cluster.counter("records_refused"),
            bytes: cluster.counter("log_bytes_written"),
            tables: cluster.table_counts(),
        };
        let clock = Clock::new();
        Self {
            begun_at: (active.tail > 0).then(|| clock.now()),
            clock,
            topics,
            ends,
            active,
            known: Vec::new(),
            touched: Vec::new(),
            has_reserved: false,
            reserved_by: None,
            ticket: 0,
            lanes: Vec::new(),
            lanes_version: 0,
            taken: Vec::new(),
            answers: Vec::new(),
            out: Vec::new(),
            keyless: 0,
            unsynced_since: None,
            is_failing: None,
            last_fault: None,
            // Two seeds of 0 and 1 are to differ, and none may be 0.
            gaps: log.options.gaps.map(|seed| seed.wrapping_mul(2).wrapping_add(1)),
            counts,
            log,
        }
    }

    pub(super) fn run(mut self) {
        let log = Arc::clone(&self.log);
        let cluster = &log.cluster;
        cluster.produce.adopt();
        cluster.admin.sleeper.adopt();
        let (mut asks, mut spare) = (Vec::new(), Burst::default());
        while !cluster.is_stopped() {
            self.round(&mut asks, &mut spare);
            self.roll_if_old();
            let most = match self.unsynced_since {
                Some(since) => {
                    let now = self.clock.now();
                    if now >= since + LAZY {
                        self.ask_sync(Vec::new(), (0, 0));
                    }
                    LAZY
                }
                None => IDLE,
            };
            cluster.admin.sleeper.sleep_with(&cluster.produce, most, || {
                !cluster.admin.is_empty() || self.has_bursts() || cluster.is_stopped()
            });
        }
        self.round(&mut asks, &mut spare);
        self.end();
        self.fail_asks(&mut asks);
    }

    fn has_bursts(&self) -> bool {
        self.lanes_version != self.log.cluster.lanes_version.load(Ordering::Acquire)
            || self.lanes.iter().any(|lane| !lane.burst.lock().is_empty())
    }

    /// Answers what is asked, and appends what was left in the lanes.
    fn round(&mut self, asks: &mut Vec<Ask>, spare: &mut Burst) {
        self.look_at_syncs();
        // Before the bursts: what is appended after a question must not lie before its answer.
        self.log.cluster.admin.swap(asks);
        for ask in asks.drain(..) {
            self.answer(ask);
        }
        self.take_lanes();
        self.take_bursts(spare);
        if !self.taken.is_empty() {
            let is_written = self.commit();
            self.settle(is_written);
        }
        self.drop_lanes();
    }

    fn take_lanes(&mut self) {
        let version = self.log.cluster.lanes_version.load(Ordering::Acquire);
        if version != self.lanes_version {
            self.lanes_version = version;
            self.lanes.clone_from(&self.log.cluster.lanes.lock());
            self.answers.resize_with(self.lanes.len(), Vec::new);
        }
    }

    /// Drops lanes that were left before their last burst was taken.
    fn drop_lanes(&mut self) {
        if !self.lanes.iter().any(|lane| lane.is_gone()) {
            return;
        }
        let (gone, stay): (Vec<_>, Vec<_>) =
            self.lanes.drain(..).partition(|lane| lane.is_gone() && lane.burst.lock().is_empty());
        self.lanes = stay;
        let is_gone = |lane: &Arc<Lane>| gone.iter().any(|gone| Arc::ptr_eq(gone, lane));
        self.log.cluster.lanes.lock().retain(|lane| !is_gone(lane));
    }

    fn take_bursts(&mut self, spare: &mut Burst) {
        let lanes = std::mem::take(&mut self.lanes);
        for (lane, owner) in lanes.iter().enumerate() {
            std::mem::swap(&mut *owner.burst.lock(), spare);
            if spare.is_empty() {
                continue;
            }
            self.counts.bursts.increment();
            let base = self.taken.len();
            self.taken.extend(spare.appends().iter().map(|append| Taken {
                lane,
                completion: append.completion,
                records: append.records,
                bytes: append.bytes,
                fault: None,
            }));
            let now = self.clock.unix_millis();
            for record in spare.records() {
                if let Err(fault) = self.place(&record, now) {
                    self.refuse(base + record.append, fault);
                }
            }
            spare.clear();
        }
        self.lanes = lanes;
    }

    /// Gives a record its partition and offset.
    fn place(&mut self, record: &BurstRecord<'_>, now: i64) -> Result<(), Fault> {
        let slot = self.known_of(record.topic)?;
        let (keyless, gap) = (&mut self.keyless, self.gaps.as_mut().map_or(0, gap));
        let Some(Some(known)) = self.known.get_mut(slot) else { return Err(Fault::Unavailable) };
        let hash = record.hash.unwrap_or_else(|| {
            *keyless = keyless.wrapping_add(1);
            *keyless
        });
        let count = u32::try_from(known.parts.len()).unwrap_or(u32::MAX);
        let index = partition_of(hash, count);
        let part = &mut known.parts[index as usize];
        part.offsets.skip(gap);
        let offset = part.offsets.take();
        let timestamp = record.timestamp.unwrap_or(now);
        part.is_touched = true;
        part.records += 1;
        let (key, value, count) = (record.key, record.value, record.header_count());
        let headers = || record.headers().map(|(name, value)| (name.as_bytes(), value));
        part.chunk.record(offset, timestamp, key, value, count, headers());
        part.builder.record(offset, timestamp, key, value);
        for (name, value) in headers() {
            part.builder.header(name, value);
        }
        if !std::mem::replace(&mut known.is_touched, true) {
            self.touched.push(slot);
        }
        if part.records >= CHUNK_RECORDS || part.chunk.len() >= CHUNK_BYTES {
            part.close(known.number, index, &mut self.out);
        }
        Ok(())
    }

    /// Counts a refusal, and says it where it differs from the one before.
    fn refuse(&mut self, taken: usize, fault: Fault) {
        let Some(taken) = self.taken.get_mut(taken) else { return };
        taken.fault = taken.fault.or(Some(fault));
        self.counts.refused.increment();
        if self.last_fault.replace(fault) != Some(fault) {
            tracing::error!(
                event = "kafka.append.refused",
                cluster = %self.log.cluster.name,
                "{fault}; further records refused alike are only counted",
            );
        }
    }

    /// Answers all that was taken, one call a worker: at once, or when what was written is durable.
    fn settle(&mut self, is_written: bool) {
        let is_deferred = is_written && self.log.options.is_synced;
        let (mut now, mut later) = ((0, 0), (0, 0));
        for taken in self.taken.drain(..) {
            let is_awaited = taken.completion.is_some();
            let weight = if is_deferred && is_awaited { &mut later } else { &mut now };
            *weight = (weight.0 + taken.records as usize, weight.1 + taken.bytes);
            if let Some(completion) = taken.completion {
                let outcome = taken.fault.map_or(Ok(()), Err);
                self.answers[taken.lane].push(Answer::Appended(completion, outcome));
            }
        }
        self.log.cluster.settled(now.0, now.1);
        let answers = self.lanes.iter().zip(&mut self.answers);
        if is_deferred && later.0 > 0 {
            let answers = answers
                .filter(|(_, answers)| !answers.is_empty())
                .map(|(lane, answers)| (Arc::clone(lane), std::mem::take(answers)))
                .collect();
            self.ask_sync(answers, later);
        } else {
            answers.for_each(|(lane, answers)| lane.answers.append(answers));
        }
        self.log.cluster.offer_room();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.syncs.end();
    }
}
