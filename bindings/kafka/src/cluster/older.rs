//! Records that memory no longer holds, for those who come back late or are slow: one thread of a
//! cluster answers the questions of all workers, from where the records are kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::runtime::Clock;
use engine::telemetry::Counter;
use kafka_plane::{Batch, Fault, Older};

use super::{Answer, Cluster, Lane, Topic};

/// What was read last is kept for others who ask for the same, bytes.
const KEPT: usize = 4 << 20;

/// How long it is kept: who asks later than that gets what there is then.
const FRESH: Duration = Duration::from_secs(2);

/// A question that was answered for nobody is looked at no longer than so.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// A worker's question, by its own key.
#[derive(Debug)]
pub(crate) struct AskOlder {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: u32,
    /// The first offset that is wanted.
    pub(crate) offset: i64,
    pub(crate) lane: Arc<Lane>,
    pub(crate) key: usize,
}

impl AskOlder {
    pub(crate) fn answer(self, found: Result<Older, Fault>) {
        self.lane.answers.push(Answer::Older(self.key, found));
    }
}

/// What is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) topic: &'a Arc<Topic>,
    pub(crate) partition: u32,
    /// The first offset.
    pub(crate) offset: i64,
}

/// What a read found.
pub(crate) enum Found {
    /// The records that follow the offset, at least one.
    Records(Batch),
    /// Only gaps, up to here.
    Gap(i64),
    /// The partition begins here.
    Gone(i64),
    /// Nothing: why.
    Fault(Fault),
    /// Not yet; others may have their turn first.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "Kafka finds it at once"))]
    Later,
}

/// What reads records from where they are kept.
pub(crate) trait ReadOlder {
    /// Reads some. May wait, for some seconds.
    fn read(&mut self, wanted: Wanted<'_>) -> Found;

    /// Nobody has asked for `idle`; returns when to say so again at the latest.
    fn rest(&mut self, idle: Duration) -> Duration;
}

/// The thread: answers questions until the cluster ends.
pub(crate) fn read_older(cluster: &Cluster, mut reader: impl ReadOlder) {
    cluster.older.sleeper.adopt();
    let clock = Clock::new();
    let mut desk = Desk::new(cluster);
    let mut asks = Vec::new();
    let mut busy = clock.now();
    while !cluster.is_stopped() {
        cluster.older.swap(&mut asks);
        desk.waiting.extend(asks.drain(..));
        let now = clock.now();
        if desk.serve(&mut reader, now) {
            busy = now;
            continue;
        }
        let idle = now.saturating_duration_since(busy);
        let mut most = reader.rest(idle).min(LONGEST_SLEEP);
        if !desk.recent.is_empty() {
            most = most.min(FRESH);
        }
        cluster.older.sleep_unless(most, || cluster.is_stopped());
    }
    cluster.older.swap(&mut asks);
    for ask in asks.into_iter().chain(desk.waiting) {
        ask.answer(Err(Fault::Unavailable));
    }
}

/// Questions, and what was read last.
struct Desk {
    waiting: VecDeque<AskOlder>,
    recent: VecDeque<Recent>,
    reads: Counter,
    records: Counter,
    shared: Counter,
}

/// What was read from an offset on.
struct Recent {
    topic: u32,
    partition: u32,
    offset: i64,
    batch: Arc<Batch>,
    at: Instant,
}

impl Recent {
    fn answers(&self, ask: &AskOlder) -> bool {
        self.topic == ask.topic.id
            && self.partition == ask.partition
            && (self.offset..self.batch.next_offset()).contains(&ask.offset)
    }
}

impl Desk {
    fn new(cluster: &Cluster) -> Self {
        Self {
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            reads: cluster.counter("older_reads"),
            records: cluster.counter("older_records_read"),
            shared: cluster.counter("older_reads_shared"),
        }
    }

    /// Answers all that can be answered from what was read last, and reads once for the first that
    /// cannot. Whether there was a question.
    fn serve(&mut self, reader: &mut impl ReadOlder, now: Instant) -> bool {
        self.forget(now);
        self.waiting.retain(|ask| !ask.lane.is_gone());
        let had_some = !self.waiting.is_empty();
        self.share();
        let Some(ask) = self.waiting.pop_front() else { return had_some };
        let wanted = Wanted { topic: &ask.topic, partition: ask.partition, offset: ask.offset };
        let found = reader.read(wanted);
        self.reads.increment();
        let answer = match found {
            Found::Records(batch) => {
                self.records.add(i64::from(batch.len()));
                let batch = Arc::new(batch);
                self.recent.push_back(Recent {
                    topic: ask.topic.id,
                    partition: ask.partition,
                    offset: ask.offset,
                    batch: Arc::clone(&batch),
                    at: now,
                });
                let next = batch.next_offset();
                Ok(Older::Next(Some(batch), next))
            }
            Found::Gap(next) if next > ask.offset => Ok(Older::Next(None, next)),
            // Behind what was in memory there is more.
            Found::Gap(_) => Err(Fault::Unavailable),
            Found::Gone(start) => Ok(Older::Gone(start)),
            Found::Fault(fault) => {
                self.refuse(&ask, fault);
                Err(fault)
            }
            Found::Later => {
                self.waiting.push_back(ask);
                return true;
            }
        };
        ask.answer(answer);
        true
    }

    /// Answers those who ask for what was read last.
    fn share(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(ask) = self.waiting.pop_front() else { return };
            match self.recent.iter().rev().find(|recent| recent.answers(&ask)) {
                Some(recent) => {
                    self.shared.increment();
                    let batch = Arc::clone(&recent.batch);
                    let next = batch.next_offset();
                    ask.answer(Ok(Older::Next(Some(batch), next)));
                }
                None => self.waiting.push_back(ask),
            }
        }
    }

    /// Answers all others who wait for this partition: they would only wait as long.
    fn refuse(&mut self, refused: &AskOlder, fault: Fault) {
        for _ in 0..self.waiting.len() {
            let Some(ask) = self.waiting.pop_front() else { return };
            if ask.topic.id == refused.topic.id && ask.partition == refused.partition {
                ask.answer(Err(fault));
            } else {
                self.waiting.push_back(ask);
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        let mut bytes: usize = self.recent.iter().map(|recent| recent.batch.footprint()).sum();
        while let Some(oldest) = self.recent.front() {
            let is_fresh = now.saturating_duration_since(oldest.at) < FRESH;
            if is_fresh && bytes <= KEPT {
                return;
            }
            bytes -= oldest.batch.footprint();
            self.recent.pop_front();
        }
    }
}
