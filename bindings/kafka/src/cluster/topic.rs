//! A topic, as all workers and threads of a process share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use engine::shared::{Lock, Log, Signal, Table};
use engine::telemetry::Counter;
use kafka_plane::{Batch, BatchBuilder, Fault, Record};

#[cfg(feature = "rdkafka")]
use super::Permission;
use super::{Answer, Lane};

/// What a topic is read as. A topic is read once, so it is one of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reading {
    /// Not read: only appended to.
    No = 0,
    /// A log, from its end at first use.
    Log = 1,
    /// A table, from its earliest record.
    Table = 2,
}

/// A partition that is read.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) index: u32,
    /// Its records; empty for ever where the topic is read as a table.
    pub(crate) log: Log<Batch>,
    position: AtomicI64,
    known_end: AtomicI64,
    /// Whether Kafka lets it be read.
    #[cfg(feature = "rdkafka")]
    pub(crate) reads: Permission,
}

impl Partition {
    pub(crate) fn new(index: u32, start: i64, bound: usize) -> Arc<Self> {
        Arc::new(Self {
            index,
            log: Log::new(start, bound),
            position: AtomicI64::new(start),
            known_end: AtomicI64::new(start),
            #[cfg(feature = "rdkafka")]
            reads: Permission::default(),
        })
    }

    /// The offset up to which everything was read, gaps included.
    pub(crate) fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    pub(crate) fn set_position(&self, position: i64) {
        self.position.fetch_max(position, Ordering::AcqRel);
        self.set_known_end(position);
    }

    /// The furthest end that anybody was told. A reader beyond it comes from a topic of the same
    /// name that is gone.
    pub(crate) fn known_end(&self) -> i64 {
        self.known_end.load(Ordering::Acquire)
    }

    pub(crate) fn set_known_end(&self, end: i64) {
        self.known_end.fetch_max(end, Ordering::AcqRel);
    }
}

/// The partitions of a topic that are read, by index.
pub(crate) type Partitions = Arc<[Arc<Partition>]>;

/// Who waits until a table has caught up, and with what.
#[derive(Debug)]
struct Sync {
    ends: Box<[i64]>,
    lane: Arc<Lane>,
    key: usize,
}

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: u32,
    /// The last record of each key, where the topic is read as a table.
    pub(crate) table: Table<Batch>,
    /// Whether Kafka lets it be appended to.
    #[cfg(feature = "rdkafka")]
    pub(crate) writes: Permission,
    reading: AtomicU8,
    /// Whether it holds the last record of each key, though it is not read.
    is_state: AtomicBool,
    count: AtomicU32,
    /// How many partitions are read.
    read_count: AtomicU32,
    fault: Lock<Option<Fault>>,
    partitions: Lock<Partitions>,
    advanced: AtomicU64,
    readers: Lock<Vec<Arc<Signal>>>,
    syncs: Lock<Vec<Sync>>,
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, id: u32) -> Self {
        Self {
            name,
            id,
            table: Table::default(),
            #[cfg(feature = "rdkafka")]
            writes: Permission::default(),
            reading: AtomicU8::new(Reading::No as u8),
            is_state: AtomicBool::new(false),
            count: AtomicU32::new(0),
            read_count: AtomicU32::new(0),
            fault: Lock::new(None),
            partitions: Lock::new(Arc::new([])),
            advanced: AtomicU64::new(0),
            readers: Lock::default(),
            syncs: Lock::default(),
        }
    }

    /// Asks that the topic be read as `reading`; false where it is read as the other already.
    pub(crate) fn read_as(&self, reading: Reading) -> bool {
        let before = self.reading.compare_exchange(
            Reading::No as u8,
            reading as u8,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        before.is_ok() || before == Err(reading as u8)
    }

    /// What it is read as.
    pub(crate) fn reading(&self) -> Reading {
        match self.reading.load(Ordering::Acquire) {
            1 => Reading::Log,
            2 => Reading::Table,
            _ => Reading::No,
        }
    }

    /// Says that the topic holds state by key, so that it must be compacted.
    pub(crate) fn expect_state(&self) {
        self.is_state.store(true, Ordering::Release);
    }

    /// Whether it must be compacted.
    #[cfg(feature = "rdkafka")]
    pub(crate) fn is_state(&self) -> bool {
        self.reading() == Reading::Table || self.is_state.load(Ordering::Acquire)
    }

    /// How many partitions it has; 0 until that is known.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Over how many partitions records are spread at this moment: 0 until that is known, and while
    /// a log's start is being asked for, since what is appended from now on is to lie behind it.
    #[cfg(feature = "rdkafka")]
    pub(crate) fn open_count(&self) -> u32 {
        let is_starting =
            self.reading() == Reading::Log && self.read_count.load(Ordering::Acquire) == 0;
        if is_starting { 0 } else { self.count() }
    }

    pub(crate) fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Release);
    }

    /// Why it is not served, where it is not.
    pub(crate) fn fault(&self) -> Option<Fault> {
        *self.fault.lock()
    }

    /// Why nothing is appended to it, where nothing is.
    pub(crate) fn append_fault(&self) -> Option<Fault> {
        #[cfg(feature = "rdkafka")]
        if self.writes.is_denied() {
            return Some(Fault::NotAuthorized);
        }
        self.fault()
    }

    /// Whether Kafka refused to let it be read when it was asked last.
    #[cfg(feature = "rdkafka")]
    pub(crate) fn are_reads_denied(&self) -> bool {
        self.partitions().iter().any(|partition| partition.reads.is_doubtful())
    }

    /// Sets or clears the fault; whether that changed anything.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) -> bool {
        std::mem::replace(&mut *self.fault.lock(), fault) != fault
    }

    /// The partitions that are read.
    pub(crate) fn partitions(&self) -> Partitions {
        Arc::clone(&self.partitions.lock())
    }

    pub(crate) fn set_partitions(&self, partitions: Partitions) {
        let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
        *self.partitions.lock() = partitions;
        self.read_count.store(count, Ordering::Release);
        self.advance();
    }

    /// Changes whenever there is more to read or a partition more.
    pub(crate) fn advanced(&self) -> u64 {
        self.advanced.load(Ordering::Acquire)
    }

    /// Says that there is more to read, and calls each worker that reads once.
    pub(crate) fn advance(&self) {
        self.advanced.fetch_add(1, Ordering::AcqRel);
        for reader in self.readers.lock().iter() {
            reader.raise();
        }
    }

    /// Registers who is called when there is more to read.
    pub(crate) fn add_reader(&self, signal: &Arc<Signal>) {
        self.readers.lock().push(Arc::clone(signal));
    }

    /// Ends what [`Topic::add_reader`] began.
    pub(crate) fn remove_reader(&self, signal: &Arc<Signal>) {
        let mut readers = self.readers.lock();
        if let Some(at) = readers.iter().position(|reader| Arc::ptr_eq(reader, signal)) {
            readers.swap_remove(at);
        }
    }

    /// Answers once the table has been read up to `ends`.
    pub(crate) fn sync_to(&self, ends: Box<[i64]>, lane: Arc<Lane>, key: usize) {
        self.syncs.lock().push(Sync { ends, lane, key });
        self.settle_syncs();
    }

    /// Answers those whose ends have been reached.
    pub(crate) fn settle_syncs(&self) {
        let mut syncs = self.syncs.lock();
        if syncs.is_empty() {
            return;
        }
        let partitions = self.partitions();
        let reached = |sync: &Sync| {
            sync.ends.len() <= partitions.len()
                && sync.ends.iter().zip(&*partitions).all(|(end, part)| part.position() >= *end)
        };
        for sync in syncs.extract_if(.., |sync| reached(sync)) {
            sync.lane.answers.push(Answer::Synced(sync.key, Ok(())));
        }
    }

    /// Answers all that wait with a fault.
    pub(crate) fn fail_syncs(&self, fault: Fault) {
        for sync in self.syncs.lock().drain(..) {
            sync.lane.answers.push(Answer::Synced(sync.key, Err(fault)));
        }
    }

    /// Takes a batch that was read: into the log of its partition, or into the table.
    pub(crate) fn take(
        &self,
        partition: &Partition,
        batch: Batch,
        builder: &mut BatchBuilder,
        counts: &TableCounts,
    ) {
        let next = batch.next_offset();
        // Before any reader can be there.
        partition.set_known_end(next);
        if self.reading() == Reading::Table {
            self.apply(&batch, builder, counts);
        } else {
            let (first, footprint) = (batch.first_offset(), batch.footprint());
            partition.log.append(first, next, footprint, Arc::new(batch));
        }
        partition.set_position(next);
    }

    /// Puts a batch into the table: the last record of each key, none where its value is null or
    /// empty.
    fn apply(&self, batch: &Batch, builder: &mut BatchBuilder, counts: &TableCounts) {
        let mut changes: Vec<(&[u8], Option<Arc<Batch>>)> =
            Vec::with_capacity(batch.len() as usize);
        for index in 0..batch.len() {
            let record = batch.record(index);
            let Some(key) = record.key() else {
                counts.without_key.increment();
                continue;
            };
            let lives = record.value().is_some_and(|value| !value.is_empty());
            changes.push((key, lives.then(|| Arc::new(single(&record, builder)))));
        }
        self.table.apply(changes.into_iter());
    }
}

/// What is counted while a table is filled, by the thread that fills it.
pub(crate) struct TableCounts {
    pub(crate) without_key: Counter,
}

/// A batch of one record, so that a table holds nothing of its neighbours.
fn single(record: &Record<'_>, builder: &mut BatchBuilder) -> Batch {
    builder.record(record.offset(), record.timestamp(), record.key(), record.value());
    for (name, value) in record.headers() {
        builder.header(name, value);
    }
    builder.finish(record.partition())
}

#[cfg(test)]
mod tests {
    use engine::shared::LogRead;
    use engine::telemetry::Metrics;

    use super::*;

    /// Else it would be taken for one of a topic that is gone, and read everything again.
    #[test]
    fn a_reader_is_never_beyond_the_known_end() {
        const RECORDS: i64 = 100_000;
        let topic = Topic::new("t".into(), 0);
        assert!(topic.read_as(Reading::Log));
        let partition = Partition::new(0, 0, usize::MAX);
        let written = Arc::clone(&partition);
        let writer = std::thread::spawn(move || {
            let counts = TableCounts { without_key: Metrics::default().counter("t", "n") };
            let mut builder = BatchBuilder::new();
            for offset in 0..RECORDS {
                builder.record(offset, 0, None, Some(b""));
                let batch = builder.finish(0);
                topic.take(&written, batch, &mut builder, &counts);
            }
        });
        let mut position = 0;
        let mut batches = Vec::new();
        while position < RECORDS {
            match partition.log.read(position, 1 << 12, Batch::footprint, &mut batches) {
                LogRead::Next(next) => position = next,
                LogRead::Gone(_) => unreachable!("nothing is dropped"),
            }
            batches.clear();
            assert!(position <= partition.known_end());
        }
        writer.join().unwrap();
    }
}
