//! Who uses a cluster, and what happens when nobody does any more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::runtime::Clock;
use engine::shared::{Lock, Store};
use engine::telemetry::Metrics;

use super::{Calls, Cluster, Sleeper};

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

/// Who opens a cluster.
pub(crate) struct Opening<'a> {
    pub(crate) store: &'a Store,
    /// Equal exactly where two bindings mean the same cluster with the same credentials.
    pub(crate) key: String,
    /// What its counters and events are told under.
    pub(crate) name: &'a str,
    pub(crate) metrics: &'a Arc<Metrics>,
    /// The bound of each partition's log until a cache says otherwise, bytes.
    pub(crate) log_bytes: usize,
    /// The largest record until more is known, bytes.
    pub(crate) record_bytes: u32,
}

impl Opening<'_> {
    /// The cluster that runs, or a new one whose threads `begin` starts.
    pub(crate) fn open(
        &self,
        begin: impl Fn(&Arc<Cluster>) -> Result<(), String>,
    ) -> Result<Lease, String> {
        for attempt in 0_u32.. {
            let key = format!("{} {attempt}", self.key);
            let cluster = self.store.get_or_make(&key, || self.start(&begin))?;
            if let Some(lease) = Lease::of(cluster) {
                return Ok(lease);
            }
            // The one found ends: its place is taken until it has.
        }
        Err("no room for another cluster".to_owned())
    }

    fn start(
        &self,
        begin: impl Fn(&Arc<Cluster>) -> Result<(), String>,
    ) -> Result<Arc<Cluster>, String> {
        let cluster = Arc::new(Cluster {
            name: self.name.to_owned(),
            metrics: Arc::clone(self.metrics),
            topics: Lock::default(),
            lanes: Lock::default(),
            lanes_version: AtomicU64::new(0),
            admin: Calls::default(),
            older: Calls::default(),
            produce: Sleeper::default(),
            sleepers: Lock::default(),
            users: Lock::new(Some(0)),
            is_stopped: AtomicBool::new(false),
            threads: AtomicUsize::new(0),
            log_bytes: AtomicUsize::new(self.log_bytes),
            record_bytes: AtomicU32::new(self.record_bytes),
            unacked_records: AtomicUsize::new(0),
            unacked_bytes: AtomicUsize::new(0),
            is_producer_ready: AtomicBool::new(false),
            are_limits_known: AtomicBool::new(true),
            has_answered: AtomicBool::new(false),
            needs_id: AtomicBool::new(false),
            id: OnceLock::new(),
        });
        let started = begin(&cluster);
        if started.is_err() {
            cluster.stop();
        }
        started.map(|()| cluster)
    }
}

/// Starts a thread of a cluster, whose end the cluster waits for.
pub(crate) fn spawn(
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
        self.older.sleeper.wake();
        self.sleepers.lock().iter().for_each(|sleeper| sleeper.wake());
        self.produce.wake();
    }

    /// Whether the producer has its id, it is known which cluster it is where that matters, and each
    /// of `topics` is known or known to be missing.
    fn is_warm(&self, topics: &[String]) -> bool {
        self.is_producer_ready.load(Ordering::Acquire)
            && self.are_limits_known.load(Ordering::Acquire)
            && (self.id.get().is_some() || !self.needs_id.load(Ordering::Acquire))
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

    /// Waits until the producer has its id, it is known which cluster it is where that matters, and
    /// each of `topics` is known or known to be missing, at most for `most`; whether it came to that.
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
