//! Who uses a cluster, and what happens when nobody does any more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::runtime::Clock;
use engine::shared::{Lock, Store};
use engine::telemetry::Metrics;

use super::faults::Refusal;
use super::{
    Calls, Cluster, DEFAULT_RECORD_BYTES, RECORD_OVERHEAD, Settings, Sleeper, admin, fetcher,
    producer,
};

/// The use of a cluster by one generation of a binding. When the last one is dropped, the threads
/// end.
#[derive(Debug)]
pub struct Lease(Arc<Cluster>);

impl std::ops::Deref for Lease {
    type Target = Arc<Cluster>;

    fn deref(&self) -> &Arc<Cluster> {
        &self.0
    }
}

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
    for attempt in 0_u32.. {
        let key = format!("{} {attempt}", settings.key());
        let cluster =
            store.get_or_make(&key, || start(settings.clone(), name, metrics, log_bytes))?;
        if let Some(lease) = Lease::of(cluster) {
            return Ok(lease);
        }
        // The one found ends: its place is taken until it has.
    }
    Err("no room for another cluster".to_owned())
}

fn start(
    settings: Settings,
    name: &str,
    metrics: &Arc<Metrics>,
    log_bytes: usize,
) -> Result<Arc<Cluster>, String> {
    let cluster = Arc::new(Cluster {
        settings,
        name: name.to_owned(),
        metrics: Arc::clone(metrics),
        topics: Lock::default(),
        lanes: Lock::default(),
        lanes_version: AtomicU64::new(0),
        admin: Calls::default(),
        fetch: Calls::default(),
        produce: Sleeper::default(),
        users: Lock::new(Some(0)),
        is_stopped: AtomicBool::new(false),
        threads: AtomicUsize::new(0),
        log_bytes: AtomicUsize::new(log_bytes),
        record_bytes: AtomicU32::new(DEFAULT_RECORD_BYTES - RECORD_OVERHEAD),
        unacked_records: AtomicUsize::new(0),
        unacked_bytes: AtomicUsize::new(0),
        is_producer_ready: AtomicBool::new(false),
        are_limits_known: AtomicBool::new(true),
        id: OnceLock::new(),
    });
    let started = start_threads(&cluster);
    if started.is_err() {
        cluster.stop();
    }
    started.map(|()| cluster)
}

fn start_threads(cluster: &Arc<Cluster>) -> Result<(), String> {
    let refused = |error: Refusal| format!("librdkafka refuses the settings: {error}");
    let admin = admin::Admin::new(Arc::clone(cluster)).map_err(refused)?;
    let fetcher = fetcher::Fetcher::new(Arc::clone(cluster)).map_err(refused)?;
    let producer = producer::Producer::new(Arc::clone(cluster)).map_err(refused)?;
    spawn(cluster, "kafka-admin", move || admin.run())?;
    spawn(cluster, "kafka-fetch", move || fetcher.run())?;
    spawn(cluster, "kafka-produce", move || producer.run())
}

fn spawn(
    cluster: &Arc<Cluster>,
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<(), String> {
    let running = Running { cluster: Arc::clone(cluster), name };
    cluster.threads.fetch_add(1, Ordering::AcqRel);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _running = running;
            run();
        })
        .map(drop)
        .map_err(|error| format!("the thread {name} did not start: {error}"))
}

/// Dropped when a thread ends.
struct Running {
    cluster: Arc<Cluster>,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                event = "kafka.thread.panicked",
                cluster = %self.cluster.name,
                thread = self.name,
                "nothing more is read from or appended to this cluster; start the engine anew",
            );
            self.cluster.stop();
        }
        self.cluster.threads.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Cluster {
    fn stop(&self) {
        *self.users.lock() = None;
        self.is_stopped.store(true, Ordering::Release);
        self.admin.sleeper.wake();
        self.fetch.sleeper.wake();
        self.produce.wake();
    }

    /// Whether the producer has its id and each of `topics` is known or known to be missing.
    fn is_warm(&self, topics: &[String]) -> bool {
        self.is_producer_ready.load(Ordering::Acquire)
            && self.are_limits_known.load(Ordering::Acquire)
            && topics.iter().all(|name| {
                let topic = self.topic(name);
                topic.count() > 0 || topic.fault().is_some()
            })
    }
}

impl Cluster {
    /// Has these topics looked up, without waiting.
    pub(crate) fn expect_topics(&self, names: &[String]) {
        for name in names {
            self.topic(name);
        }
    }
}

impl Lease {
    fn of(cluster: Arc<Cluster>) -> Option<Self> {
        let mut users = cluster.users.lock();
        *users = Some(users.as_ref()? + 1);
        drop(users);
        Some(Self(cluster))
    }

    /// Waits until the producer has its id and each of `topics` is known or known to be missing,
    /// at most for `most`; whether it came to that.
    pub async fn warm(&self, topics: &[String], most: Duration) -> bool {
        let clock = Clock::new();
        let deadline = clock.now() + most;
        while !self.0.is_warm(topics) {
            if clock.now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// Waits until all that was appended is in Kafka; ends the threads where nobody else uses the
    /// cluster. Both together take at most `most`.
    pub async fn release(&self, most: Duration) {
        let clock = Clock::new();
        let deadline = clock.now() + most;
        let pause = Duration::from_millis(2);
        while self.0.unacked_records.load(Ordering::Acquire) > 0 && clock.now() < deadline {
            tokio::time::sleep(pause).await;
        }
        let left = self.0.unacked_records.load(Ordering::Acquire);
        if left > 0 {
            tracing::error!(
                event = "kafka.producer.unflushed",
                cluster = %self.0.name,
                records = left,
                "Kafka did not acknowledge them in time",
            );
        }
        let is_last = *self.0.users.lock() == Some(1);
        if is_last {
            self.0.stop();
            while self.0.threads.load(Ordering::Acquire) > 0 && clock.now() < deadline {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut users = self.0.users.lock();
        let Some(count) = users.as_mut() else { return };
        *count -= 1;
        let is_last = *count == 0;
        drop(users);
        if is_last {
            self.0.stop();
        }
    }
}
