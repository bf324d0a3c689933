//! The thread that keeps house: digests sealed segments, compacts tables, deletes what is too old
//! or too much. It never holds up an append, but for the first use of a table, which it reads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use engine::runtime::Clock;
use kafka_plane::{Batch, BatchBuilder};

use super::Log;
use super::files::{Ends, Summary, path};
use super::recover::{Digested, Sealed};
use super::table::TableFile;
use super::wire::{Chunk, Kind, Piece, Scan};
use crate::cluster::{Partition, TableCounts, Topic};

/// How long the thread waits before it tries again what the disk refused.
const RETRY: Duration = Duration::from_secs(1);

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Job {
    /// A segment was sealed.
    Sealed(Sealed),
    /// Fill a topic's table.
    Load(Load),
}

/// A topic that is to be read as a table.
#[derive(Debug)]
pub(super) struct Load {
    /// Its number in chunks.
    pub(super) number: u32,
    pub(super) topic: Arc<Topic>,
    pub(super) partitions: Vec<Arc<Partition>>,
    /// Whether it has been compacted, so that its tables' files are complete.
    pub(super) is_compacted: bool,
    /// The segment that is appended to, which nobody does meanwhile.
    pub(super) active: u64,
    pub(super) done: SyncSender<io::Result<()>>,
}

/// The thread's state.
pub(super) struct Keeper {
    log: Arc<Log>,
    clock: Clock,
    digested: VecDeque<Digested>,
    sealed: VecDeque<Sealed>,
    compacted: BTreeSet<u32>,
    tables: BTreeMap<(u32, u32), TableFile>,
    is_failing: bool,
    counts: TableCounts,
}

impl Keeper {
    pub(super) fn new(
        log: &Arc<Log>,
        digested: Vec<Digested>,
        sealed: Vec<Sealed>,
        compacted: BTreeSet<u32>,
    ) -> Self {
        Self {
            log: Arc::clone(log),
            clock: Clock::new(),
            digested: digested.into(),
            sealed: sealed.into(),
            compacted,
            tables: BTreeMap::new(),
            is_failing: false,
            counts: log.cluster.table_counts(),
        }
    }

    pub(super) fn run(mut self) {
        let log = Arc::clone(&self.log);
        log.keep.sleeper.adopt();
        let look = i64::clamp(log.options.retention_ms / 10, 100, 60_000);
        let look = Duration::from_millis(look.unsigned_abs());
        let mut jobs = Vec::new();
        while !log.cluster.is_stopped() {
            log.keep.swap(&mut jobs);
            for job in jobs.drain(..) {
                match job {
                    Job::Sealed(sealed) => self.sealed.push_back(sealed),
                    Job::Load(load) => {
                        let result = self.load(&load);
                        // Who asked has gone where nobody takes it.
                        load.done.send(result).ok();
                    }
                }
            }
            // Room first: what is digested needs some.
            let done = self.delete_old().and_then(|()| self.digest_one());
            self.tell(&done);
            let is_idle = done.is_err() || self.sealed.is_empty();
            if is_idle {
                let most = if done.is_err() { RETRY } else { look };
                log.keep.sleep_unless(most, || log.cluster.is_stopped());
            }
        }
    }

    fn tell(&mut self, done: &io::Result<()>) {
        match done {
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => tracing::error!(
                event = "kafka.log.upkeep.failed",
                cluster = %self.log.cluster.name,
                dir = %self.log.options.dir.display(),
                %error,
                "old records are neither compacted nor deleted; trying again until it works",
            ),
            Err(_) => {}
            Ok(()) if std::mem::take(&mut self.is_failing) => {
                tracing::info!(event = "kafka.log.upkeep.works", cluster = %self.log.cluster.name);
            }
            Ok(()) => {}
        }
    }

    /// Deletes the oldest segments while there is too much or they are too old. The newest summary
    /// stays, since it alone may say where a quiet partition ends.
    fn delete_old(&mut self) -> io::Result<()> {
        let log = Arc::clone(&self.log);
        let options = &log.options;
        let oldest = self.clock.unix_millis().saturating_sub(options.retention_ms);
        let waiting: u64 = self.sealed.iter().map(|sealed| sealed.bytes).sum();
        let kept: u64 = self.digested.iter().map(|digested| digested.bytes).sum();
        let mut bytes = waiting + kept + options.segment_bytes;
        while let Some(Digested { number, bytes: size, sealed_at }) = self.digested.front().copied()
        {
            let is_last = self.digested.len() == 1;
            let is_old = sealed_at < oldest;
            let goes = is_old || bytes > options.retention_bytes;
            if !goes || (size == 0 && is_last) {
                break;
            }
            remove(&options.dir, number, "log")?;
            bytes -= size;
            if size > 0 {
                tracing::info!(
                    event = "kafka.log.segment.deleted",
                    cluster = %self.log.cluster.name,
                    segment = number,
                    bytes = size,
                    because = if is_old { "retention.ms" } else { "retention.bytes" },
                );
            }
            if is_last {
                self.digested[0].bytes = 0;
                break;
            }
            remove(&options.dir, number, "sum")?;
            self.digested.pop_front();
        }
        Ok(())
    }

    /// Copies the records of compacted topics from the oldest sealed segment to the tables' files
    /// and compacts those that are due; writes the segment's summary.
    fn digest_one(&mut self) -> io::Result<()> {
        let Some(Sealed { number, bytes, ends }) = self.sealed.front().cloned() else {
            return Ok(());
        };
        let segment = std::fs::read(path(&self.log.options.dir, number, "log"))?;
        let compacted = std::mem::take(&mut self.compacted);
        let copied = self.copy(&segment, |chunk| compacted.contains(&chunk.topic));
        self.compacted = compacted;
        for key in copied? {
            let Some(table) = self.tables.get_mut(&key) else { continue };
            if let Some((before, after)) = table.compact_if_due()? {
                tracing::info!(
                    event = "kafka.log.compacted",
                    cluster = %self.log.cluster.name,
                    topic = key.0,
                    partition = key.1,
                    before,
                    after,
                );
            }
        }
        self.summarise(number, bytes, ends)?;
        self.sealed.pop_front();
        Ok(())
    }

    fn summarise(&mut self, number: u64, bytes: u64, ends: Ends) -> io::Result<()> {
        let sealed_at = self.clock.unix_millis();
        Summary { sealed_at, ends }.write(&self.log.options.dir, number)?;
        self.digested.push_back(Digested { number, bytes, sealed_at });
        Ok(())
    }

    /// Copies chunks to the files of their tables, durably; returns which those are.
    fn copy(
        &mut self,
        segment: &[u8],
        is_wanted: impl Fn(&Chunk<'_>) -> bool,
    ) -> io::Result<Vec<(u32, u32)>> {
        let mut copies: BTreeMap<(u32, u32), (i64, Vec<u8>)> = BTreeMap::new();
        for piece in Scan::new(segment) {
            let Piece::Chunk(chunk) = piece else { continue };
            if chunk.kind != Kind::Records || !is_wanted(&chunk) {
                continue;
            }
            let key = (chunk.topic, chunk.partition);
            let table = self.table(key)?;
            let (next, bytes) = copies.entry(key).or_insert((table.next(), Vec::new()));
            // What is there already was copied before a crash.
            if chunk.first >= *next {
                *next = chunk.next;
                bytes.extend_from_slice(chunk.bytes);
            }
        }
        for (key, (next, bytes)) in &copies {
            self.table(*key)?.append(bytes, *next)?;
        }
        Ok(copies.into_keys().collect())
    }

    fn table(&mut self, key: (u32, u32)) -> io::Result<&mut TableFile> {
        let entry = match self.tables.entry(key) {
            std::collections::btree_map::Entry::Occupied(entry) => return Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => entry,
        };
        Ok(entry.insert(TableFile::open(&self.log.options.dir, key)?))
    }

    fn load(&mut self, load: &Load) -> io::Result<()> {
        let keys: Vec<_> = load.partitions.iter().map(|part| (load.number, part.index)).collect();
        if !load.is_compacted {
            for key in &keys {
                self.tables.insert(*key, TableFile::create(&self.log.options.dir, *key)?);
            }
            for digested in self.digested.clone() {
                if digested.bytes > 0 {
                    let file = path(&self.log.options.dir, digested.number, "log");
                    self.copy(&std::fs::read(file)?, |chunk| chunk.topic == load.number)?;
                }
            }
        }
        self.compacted.insert(load.number);
        let mut builder = BatchBuilder::new();
        let mut read = vec![0; load.partitions.len()];
        for key in keys {
            let bytes = self.table(key)?.read()?;
            self.apply(load, &bytes, &mut read, &mut builder);
        }
        let numbers: Vec<_> =
            self.sealed.iter().map(|sealed| sealed.number).chain([load.active]).collect();
        for number in numbers {
            let bytes = std::fs::read(path(&self.log.options.dir, number, "log"))?;
            self.apply(load, &bytes, &mut read, &mut builder);
        }
        Ok(())
    }

    /// Takes a file's chunks of a topic into its table, but for those that were taken before.
    fn apply(&self, load: &Load, bytes: &[u8], read: &mut [i64], builder: &mut BatchBuilder) {
        for piece in Scan::new(bytes) {
            let Piece::Chunk(chunk) = piece else { continue };
            let index = chunk.partition as usize;
            let Some(next) = read.get_mut(index) else { continue };
            let is_new = chunk.kind == Kind::Records && chunk.first >= *next;
            if chunk.topic == load.number && is_new {
                *next = chunk.next;
                let batch = batch_of(&chunk, builder);
                load.topic.take(&load.partitions[index], batch, builder, &self.counts);
            }
        }
    }
}

/// A chunk's records as readers have them.
pub(super) fn batch_of(chunk: &Chunk<'_>, builder: &mut BatchBuilder) -> Batch {
    for record in chunk.records() {
        builder.record(record.offset, record.timestamp, record.key, record.value);
        for (name, value) in record.headers {
            builder.header(name, value);
        }
    }
    builder.finish(chunk.partition)
}

/// Removes a file that may be gone already.
fn remove(dir: &std::path::Path, number: u64, kind: &str) -> io::Result<()> {
    match std::fs::remove_file(path(dir, number, kind)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
