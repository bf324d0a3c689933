//! The back end that needs no Kafka: a log kept in this process, on disk.
//!
//! One thread takes the drafts of all workers, gives them partitions and offsets, writes them as
//! chunks with checksums behind each other in one file, and hands them to the readers. A second one
//! makes all that was written meanwhile durable by one fsync, and answers those who wait. Readers
//! may see a record before it is durable, as nobody was promised it then; an offset that was seen
//! is never given to another record, since offsets are reserved durably before they are used. A
//! third thread keeps house, and a fourth reads again what memory no longer holds.
//!
//! See `docs/decisions/0006-embedded-store.md` for why it is a format of our own.

mod files;
mod home;
mod keeper;
mod offsets;
mod older;
mod options;
mod read;
mod recover;
mod syncer;
mod table;
mod walk;
mod wire;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::shared::Store;
use engine::telemetry::Metrics;

use crate::cluster::{Calls, Cluster, Lease, Opening, read_older, spawn};
use home::Home;
use keeper::{Job, Keeper};
use syncer::{Syncer, Syncs};
use writer::Writer;

pub use options::Options;
pub use read::{Found, read};

/// The largest record: key, value and headers, bytes.
pub const RECORD_BYTES: u32 = 1 << 20;

/// A log as its threads share it.
struct Log {
    cluster: Arc<Cluster>,
    options: Options,
    /// What the keeper is told.
    keep: Calls<Job>,
    syncs: Arc<Syncs>,
    /// The directory, ours until all threads have ended.
    _home: Home,
}

/// The log of these options: the one that this process has open, or one opened now. `log_bytes` is
/// the bound of what is kept of each partition in memory until a cache says otherwise.
///
/// # Errors
/// Where another process uses the directory, where it holds something else or cannot be read or
/// written, or where the system refuses a thread.
pub fn open(
    store: &Store,
    options: &Options,
    name: &str,
    metrics: &Arc<Metrics>,
    log_bytes: usize,
) -> Result<Lease, String> {
    let key = format!("embedded log {}", options.dir.display());
    let opening = Opening { store, key, name, metrics, log_bytes, record_bytes: RECORD_BYTES };
    opening.open(|cluster| start(cluster, options))
}

fn start(cluster: &Arc<Cluster>, options: &Options) -> Result<(), String> {
    let home = Home::open(&options.dir)?;
    let told = |error: std::io::Error| format!("{}: {error}", options.dir.display());
    let found = recover::recover(&home.dir, &cluster.name).map_err(told)?;
    // It is set once a cluster.
    cluster.id.set(Arc::clone(&home.id)).ok();
    let keep = Calls::default();
    cluster.sleepers.lock().push(Arc::clone(&keep.sleeper));
    tracing::info!(
        event = "kafka.log.opened",
        cluster = %cluster.name,
        dir = %options.dir.display(),
        topics = found.topics.len(),
        segments = found.digested.len() + found.sealed.len() + 1,
        sync = if options.is_synced { "fsync" } else { "none" },
    );
    if !options.is_synced {
        tracing::warn!(
            event = "kafka.log.unsynced",
            cluster = %cluster.name,
            "sync=none: a power cut may lose what was acknowledged; for trials only",
        );
    }
    let log = Arc::new(Log {
        cluster: Arc::clone(cluster),
        options: options.clone(),
        keep,
        syncs: Arc::default(),
        _home: home,
    });
    log.syncs.set_durable((found.active.number, found.active.tail));
    let syncer = Syncer::new(&log);
    let compacted = (0..).zip(&found.topics).filter(|(_, entry)| entry.is_compacted);
    let compacted = compacted.map(|(number, _)| number).collect();
    let keeper = Keeper::new(&log, found.digested, found.sealed, compacted);
    let older = older::OlderReader::new(&log);
    let writer = Writer::new(log, found.topics, found.ends, found.active);
    cluster.is_producer_ready.store(true, Ordering::Release);
    cluster.has_answered.store(true, Ordering::Release);
    spawn(cluster, "kafka-keep", move || keeper.run())?;
    spawn(cluster, "kafka-sync", move || syncer.run())?;
    let asked = Arc::clone(cluster);
    spawn(cluster, "kafka-older", move || read_older(&asked, older))?;
    spawn(cluster, "kafka-append", move || writer.run())
}
