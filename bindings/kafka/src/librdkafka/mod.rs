//! The back end that is Kafka: one consumer that reads all topics in use, one producer, one client
//! that asks for metadata and offsets, each on one thread beside librdkafka's own; and one that
//! reads again what memory no longer holds, with a consumer while there is any of that.

mod acl;
mod admin;
mod commands;
mod context;
mod eof;
mod faults;
mod fetcher;
mod offsets;
mod older;
mod pace;
mod pending;
mod producer;
mod reader;
mod settings;
mod topic_config;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::shared::{Lock, Store};
use engine::telemetry::Metrics;

use crate::cluster::{Calls, Cluster, Inherited, Lease, Opening, Topic, read_older, spawn};
use faults::Refusal;

pub(crate) use acl::Operation;
pub(crate) use commands::Commands;
pub(crate) use context::AdminContext;
pub(crate) use settings::MESSAGE_MAX;
pub use settings::{Batching, Sasl, Settings};
pub(crate) use topic_config::{TopicConfig, block_on, client, describe, is_compacted};

/// `max.message.bytes` where the cluster does not say.
const DEFAULT_RECORD_BYTES: u32 = 1_000_012;

/// librdkafka's default `batch.size`.
const BATCH_BYTES: u32 = 1_000_000;

/// What a record batch adds to the record in it, generously, bytes.
pub(crate) const RECORD_OVERHEAD: u32 = 512;

/// The cluster of these settings: the one that runs, or a new one. `log_bytes` is the bound of
/// each partition's log until a cache says otherwise.
///
/// # Errors
/// Where librdkafka refuses the settings or the system refuses a thread. Never because Kafka does
/// not answer.
pub fn open(
    store: &Store,
    settings: &Settings,
    name: &str,
    metrics: &Arc<Metrics>,
    log_bytes: usize,
) -> Result<Lease, String> {
    open_after(store, settings, name, metrics, log_bytes, None)
}

/// As [`open`]. Where it is the cluster that was used as `before`, logs go on where they are there.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_after(
    store: &Store,
    settings: &Settings,
    name: &str,
    metrics: &Arc<Metrics>,
    log_bytes: usize,
    before: Option<&Cluster>,
) -> Result<Lease, String> {
    let record_bytes = DEFAULT_RECORD_BYTES - RECORD_OVERHEAD;
    let opening = Opening { store, key: settings.key(), name, metrics, log_bytes, record_bytes };
    opening.open(|cluster| start(cluster, settings, before.and_then(Inherited::of)))
}

fn start(
    cluster: &Arc<Cluster>,
    settings: &Settings,
    inherited: Option<Inherited>,
) -> Result<(), String> {
    let fetch = Calls::default();
    cluster.sleepers.lock().push(Arc::clone(&fetch.sleeper));
    cluster.needs_id.store(inherited.is_some(), Ordering::Release);
    let client = Arc::new(Client {
        cluster: Arc::clone(cluster),
        settings: settings.clone(),
        inherited,
        fetch,
        troubles: Lock::default(),
        are_reports_named: Arc::default(),
    });
    let refused = |error: Refusal| format!("librdkafka refuses the settings: {error}");
    let admin = admin::Admin::new(Arc::clone(&client)).map_err(refused)?;
    let fetcher = fetcher::Fetcher::new(Arc::clone(&client)).map_err(refused)?;
    let older = older::OlderReader::new(&client);
    let producer = producer::Producer::new(client).map_err(refused)?;
    spawn(cluster, "kafka-admin", move || admin.run())?;
    spawn(cluster, "kafka-fetch", move || fetcher.run())?;
    let asked = Arc::clone(cluster);
    spawn(cluster, "kafka-older", move || read_older(&asked, older))?;
    spawn(cluster, "kafka-produce", move || producer.run())
}

/// A cluster as the three threads share it.
struct Client {
    cluster: Arc<Cluster>,
    settings: Settings,
    /// Where logs go on, if it is the cluster that was used before.
    inherited: Option<Inherited>,
    /// What the fetcher is told.
    fetch: Calls<fetcher::Job>,
    /// What the fetcher tells the admin thread, which is woken for it.
    troubles: Lock<Vec<Trouble>>,
    /// Whether delivery reports are to name the topic of records that were delivered, too: while
    /// Kafka refused some topic's.
    are_reports_named: Arc<AtomicBool>,
}

impl std::ops::Deref for Client {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// Reading a partition failed: the topic may be gone, or what was to be read next.
struct Trouble {
    topic: Arc<Topic>,
    partition: u32,
    kind: TroubleKind,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TroubleKind {
    /// librdkafka tries on by itself.
    Passing,
    /// librdkafka reads on only when it is told where.
    Stopped,
    /// This principal may not read it. librdkafka tries on, and says so once.
    Denied,
}

impl Client {
    /// The largest batch that every topic takes, bytes; librdkafka's default if that is less.
    fn batch_bytes(&self) -> u32 {
        self.record_bytes.load(Ordering::Relaxed).min(BATCH_BYTES)
    }
}
