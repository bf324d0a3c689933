//! Sessions whose client is away: data, without a queue and without a task. The log is the queue.
//!
//! A session that is kept names logs by exit and topic, and records by partition and offset, so
//! that any worker can go on with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use engine::config::NodeName;
use engine::shared::Lock;
use mqtt_plane::Qos;

use super::share::KeptSeat;
use crate::state::Options;

/// Sessions that a binding keeps at most.
pub(super) const SESSIONS: usize = if cfg!(test) { 8 } else { 200_000 };

/// Memory that the sessions which a binding keeps take at most, bytes, about.
const BYTES: usize = 256 << 20;

/// A session whose client is away.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) subscriptions: Vec<KeptSubscription>,
    pub(super) logs: Vec<KeptLog>,
    /// Its shared subscriptions.
    pub(super) seats: Vec<KeptSeat>,
    /// What was sent and is not complete, in order.
    pub(super) deliveries: Vec<KeptDelivery>,
    /// Identifiers of QoS 2 publishes that were taken and are not released.
    pub(super) received: Vec<u16>,
    /// Retained messages that were about to be sent.
    pub(super) queued: Vec<KeptRetained>,
    /// Retained messages that were still to be looked for.
    pub(super) replays: Vec<KeptReplay>,
    /// When the client went.
    pub(super) since: Instant,
    /// When the session ends; `None`: never.
    pub(super) expires: Option<Instant>,
    /// Where it stands among those that are due, once it is in the table: of which worker, and
    /// where.
    due: Option<(usize, Due)>,
}

/// A subscription of a session that is kept.
#[derive(Debug)]
pub(super) struct KeptSubscription {
    pub(super) filter: Box<str>,
    pub(super) options: Options,
    pub(super) targets: Vec<KeptTarget>,
}

/// A subscription on one log.
#[derive(Debug)]
pub(super) struct KeptTarget {
    /// Which of [`Kept::logs`].
    pub(super) log: usize,
    pub(super) starts: Vec<i64>,
    pub(super) floors: Vec<i64>,
}

/// A log that a session which is kept reads, or in which what it has open lies.
#[derive(Debug)]
pub(super) struct KeptLog {
    pub(super) place: KeptPlace,
    /// Up to where deliveries were handed out, by partition; empty where no subscription is served
    /// from it.
    pub(super) cursors: Vec<i64>,
}

/// A topic of an exit, or the exit's retained table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptPlace {
    pub(super) exit: NodeName,
    /// Offsets hold as long as the exit leads to this cluster.
    pub(super) cluster: Option<Arc<str>>,
    pub(super) topic: Box<str>,
}

/// Where the record of a delivery lies.
#[derive(Debug)]
pub(super) enum KeptRecord {
    /// In one of [`Kept::logs`].
    Log { log: usize, partition: u32, offset: i64 },
    /// In a table of retained messages.
    Retained(Retained),
    /// It is not needed, or nobody knows.
    None,
}

/// A retained message: the record that its MQTT topic had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retained {
    pub(super) place: KeptPlace,
    /// The MQTT topic.
    pub(super) topic: Box<str>,
    pub(super) partition: u32,
    pub(super) offset: i64,
}

/// A delivery that is not complete.
#[derive(Debug)]
pub(super) struct KeptDelivery {
    pub(super) packet_id: u16,
    pub(super) record: KeptRecord,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) is_received: bool,
    /// The subscription identifiers; `None`: those of the subscriptions that match it.
    pub(super) ids: Option<Box<[u32]>>,
}

/// A retained message that was about to be sent.
#[derive(Clone, Debug)]
pub(super) struct KeptRetained {
    pub(super) record: Retained,
    pub(super) qos: Qos,
    pub(super) ids: Option<Box<[u32]>>,
}

/// A search for retained messages that was not over.
#[derive(Debug)]
pub(super) struct KeptReplay {
    pub(super) filter: Box<str>,
    pub(super) exit: NodeName,
    pub(super) next: Vec<u8>,
    pub(super) done: BTreeSet<Box<[u8]>>,
    /// Messages from this moment on, milliseconds since the epoch, come live.
    pub(super) before: i64,
}

impl Kept {
    pub(super) fn new(since: Instant, expires: Option<Instant>) -> Self {
        Self {
            subscriptions: Vec::new(),
            logs: Vec::new(),
            seats: Vec::new(),
            deliveries: Vec::new(),
            received: Vec::new(),
            queued: Vec::new(),
            replays: Vec::new(),
            since,
            expires,
            due: None,
        }
    }

    /// Memory that it takes, bytes, about.
    fn weight(&self) -> usize {
        let places = |list: &[i64]| size_of_val(list);
        let targets = |subscription: &KeptSubscription| {
            let targets = subscription.targets.iter();
            targets.map(|t| size_of_val(t) + places(&t.starts) + places(&t.floors)).sum::<usize>()
        };
        let subscriptions = self.subscriptions.iter();
        let subscriptions: usize =
            subscriptions.map(|s| size_of_val(s) + s.filter.len() + targets(s)).sum();
        let logs = self.logs.iter();
        let logs: usize =
            logs.map(|l| size_of_val(l) + l.place.topic.len() + places(&l.cursors)).sum();
        let replays = self.replays.iter();
        let replays: usize = replays
            .map(|r| size_of_val(r) + r.filter.len() + r.next.len() + r.done.len() * 64)
            .sum();
        size_of_val(self)
            + subscriptions
            + logs
            + replays
            + self.seats.iter().map(|s| size_of_val(s) + s.filter.len()).sum::<usize>()
            + self.deliveries.len() * size_of::<KeptDelivery>()
            + self.queued.len() * size_of::<KeptRetained>()
            + self.received.len() * size_of::<u16>()
    }
}

/// When something is due, and a number that no other has.
type Due = (Instant, u64);

/// The sessions that a binding keeps, by client id. Shared by its workers, over its reloads; touched
/// at CONNECT and at the end of a connection.
#[derive(Debug, Default)]
pub(crate) struct KeptSessions(Lock<Table>);

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<Arc<str>, Box<Kept>>,
    /// What is due, by worker.
    due: Vec<BTreeMap<Due, Arc<str>>>,
    bytes: usize,
    number: u64,
}

impl KeptSessions {
    /// Keeps a session, where none of the client is kept; `worker` ends it when it expires.
    ///
    /// # Errors
    /// Gives it back where no more are kept.
    pub(super) fn insert(
        &self,
        client_id: &str,
        mut kept: Box<Kept>,
        worker: usize,
    ) -> Result<(), Box<Kept>> {
        let table = &mut *self.0.lock();
        let weight = kept.weight() + client_id.len();
        if table.sessions.len() >= SESSIONS || table.bytes + weight > BYTES {
            return Err(kept);
        }
        let client_id: Arc<str> = client_id.into();
        if let Some(at) = kept.expires {
            let due = (at, table.number);
            table.number += 1;
            if table.due.len() <= worker {
                table.due.resize_with(worker + 1, BTreeMap::new);
            }
            table.due[worker].insert(due, Arc::clone(&client_id));
            kept.due = Some((worker, due));
        }
        table.bytes += weight;
        table.sessions.insert(client_id, kept);
        Ok(())
    }

    /// Takes the session of a client.
    pub(super) fn take(&self, client_id: &str) -> Option<Box<Kept>> {
        self.0.lock().remove(client_id)
    }

    /// Whether a session of a client is kept at `now`.
    pub(super) fn holds(&self, client_id: &str, now: Instant) -> bool {
        let table = self.0.lock();
        let kept = table.sessions.get(client_id);
        kept.is_some_and(|kept| kept.expires.is_none_or(|expires| expires > now))
    }

    /// When a worker has something to do next.
    pub(super) fn next_due(&self, worker: usize) -> Option<Instant> {
        let table = self.0.lock();
        let (due, _) = table.due.get(worker)?.first_key_value()?;
        Some(due.0)
    }

    /// Takes a session of a worker that ends by `until`.
    pub(super) fn take_expired(
        &self,
        worker: usize,
        until: Instant,
    ) -> Option<(Arc<str>, Box<Kept>)> {
        let mut table = self.0.lock();
        let (due, client_id) = table.due.get(worker)?.first_key_value()?;
        if due.0 > until {
            return None;
        }
        let client_id = Arc::clone(client_id);
        let kept = table.remove(&client_id)?;
        Some((client_id, kept))
    }
}

impl Table {
    fn remove(&mut self, client_id: &str) -> Option<Box<Kept>> {
        let mut kept = self.sessions.remove(client_id)?;
        self.bytes -= kept.weight() + client_id.len();
        if let Some((worker, due)) = kept.due.take() {
            self.due[worker].remove(&due);
        }
        Some(kept)
    }
}
