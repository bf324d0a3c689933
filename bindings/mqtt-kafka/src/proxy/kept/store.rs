//! Sessions whose client is away: data, without a queue and without a task. The log is the queue.
//!
//! A session that is kept names logs by exit and topic, and records by partition and offset, so
//! that any worker can go on with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use engine::config::NodeName;
use engine::shared::Lock;
use mqtt_plane::{Qos, Will};

use crate::proxy::share::KeptSeat;
use crate::state::Options;

/// Sessions that a binding keeps at most.
pub(in crate::proxy) const SESSIONS: usize = if cfg!(test) { 8 } else { 200_000 };

/// Memory that the sessions which a binding keeps take at most, bytes, about.
const BYTES: usize = 256 << 20;

/// A session whose client is away.
#[derive(Debug)]
pub(in crate::proxy) struct Kept {
    pub(in crate::proxy) subscriptions: Vec<KeptSubscription>,
    pub(in crate::proxy) logs: Vec<KeptLog>,
    /// Its shared subscriptions.
    pub(in crate::proxy) seats: Vec<KeptSeat>,
    /// What was sent and is not complete, in order.
    pub(in crate::proxy) deliveries: Vec<KeptDelivery>,
    /// Identifiers of QoS 2 publishes that were taken and are not released.
    pub(in crate::proxy) received: Vec<u16>,
    /// Retained messages that were about to be sent.
    pub(in crate::proxy) queued: Vec<KeptRetained>,
    /// Retained messages that were still to be looked for.
    pub(in crate::proxy) replays: Vec<KeptReplay>,
    /// When the client went.
    pub(in crate::proxy) since: Instant,
    /// When the session ends; `None`: never.
    pub(in crate::proxy) expires: Option<Instant>,
    /// The will, until its delay has passed.
    pub(in crate::proxy) will: Option<KeptWill>,
    /// Where it stands among those that are due, once it is in the table: of which worker, and
    /// where.
    due: Option<(usize, Due)>,
}

/// A will that waits until its delay has passed or its session ends [MQTT-3.1.2-8].
#[derive(Debug)]
pub(in crate::proxy) struct KeptWill {
    /// When its delay has passed.
    pub(in crate::proxy) at: Instant,
    pub(in crate::proxy) will: Box<Will>,
}

/// A subscription of a session that is kept.
#[derive(Debug)]
pub(in crate::proxy) struct KeptSubscription {
    pub(in crate::proxy) filter: Box<str>,
    pub(in crate::proxy) options: Options,
    pub(in crate::proxy) targets: Vec<KeptTarget>,
}

/// A subscription on one log.
#[derive(Debug)]
pub(in crate::proxy) struct KeptTarget {
    /// Which of [`Kept::logs`].
    pub(in crate::proxy) log: usize,
    pub(in crate::proxy) starts: Vec<i64>,
    pub(in crate::proxy) floors: Vec<i64>,
}

/// A log that a session which is kept reads, or in which what it has open lies.
#[derive(Debug)]
pub(in crate::proxy) struct KeptLog {
    pub(in crate::proxy) place: KeptPlace,
    /// Up to where deliveries were handed out, by partition; empty where no subscription is served
    /// from it.
    pub(in crate::proxy) cursors: Vec<i64>,
}

/// A topic of an exit, or the exit's retained table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct KeptPlace {
    pub(in crate::proxy) exit: NodeName,
    /// Offsets hold as long as the exit leads to this cluster.
    pub(in crate::proxy) cluster: Option<Arc<str>>,
    pub(in crate::proxy) topic: Box<str>,
}

/// Where the record of a delivery lies.
#[derive(Debug)]
pub(in crate::proxy) enum KeptRecord {
    /// In one of [`Kept::logs`].
    Log { log: usize, partition: u32, offset: i64 },
    /// In a table of retained messages.
    Retained(Retained),
    /// It is not needed, or nobody knows.
    None,
}

/// A retained message: the record that its MQTT topic had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Retained {
    pub(in crate::proxy) place: KeptPlace,
    /// The MQTT topic.
    pub(in crate::proxy) topic: Box<str>,
    pub(in crate::proxy) partition: u32,
    pub(in crate::proxy) offset: i64,
}

/// A delivery that is not complete.
#[derive(Debug)]
pub(in crate::proxy) struct KeptDelivery {
    pub(in crate::proxy) packet_id: u16,
    pub(in crate::proxy) record: KeptRecord,
    pub(in crate::proxy) qos: Qos,
    pub(in crate::proxy) retain: bool,
    pub(in crate::proxy) is_received: bool,
    /// The subscription identifiers; `None`: those of the subscriptions that match it.
    pub(in crate::proxy) ids: Option<Box<[u32]>>,
}

/// A retained message that was about to be sent.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct KeptRetained {
    pub(in crate::proxy) record: Retained,
    pub(in crate::proxy) qos: Qos,
    pub(in crate::proxy) ids: Option<Box<[u32]>>,
}

/// A search for retained messages that was not over.
#[derive(Debug)]
pub(in crate::proxy) struct KeptReplay {
    pub(in crate::proxy) filter: Box<str>,
    pub(in crate::proxy) exit: NodeName,
    pub(in crate::proxy) next: Vec<u8>,
    pub(in crate::proxy) done: BTreeSet<Box<[u8]>>,
    /// Messages from this moment on, milliseconds since the epoch, come live.
    pub(in crate::proxy) before: i64,
}

impl Kept {
    pub(in crate::proxy) fn new(since: Instant, expires: Option<Instant>) -> Self {
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
            will: None,
            due: None,
        }
    }

    /// When something of it is due first.
    fn next_due(&self) -> Option<Instant> {
        let will = self.will.as_ref().map(|kept| kept.at);
        will.into_iter().chain(self.expires).min()
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
        let will = self.will.as_ref().map_or(0, |kept| weight_of(&kept.will));
        size_of_val(self)
            + will
            + subscriptions
            + logs
            + replays
            + self.seats.iter().map(|s| size_of_val(s) + s.filter.len()).sum::<usize>()
            + self.deliveries.len() * size_of::<KeptDelivery>()
            + self.queued.len() * size_of::<KeptRetained>()
            + self.received.len() * size_of::<u16>()
    }
}

/// Memory that a will takes, bytes, about.
pub(in crate::proxy) fn weight_of(will: &Will) -> usize {
    let texts = [&will.content_type, &will.response_topic].into_iter().flatten();
    let user = will
        .user
        .iter()
        .map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
    size_of_val(will)
        + will.topic.len()
        + will.payload.len()
        + will.correlation_data.as_deref().map_or(0, <[u8]>::len)
        + texts.map(|text| text.len()).sum::<usize>()
        + user.sum::<usize>()
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
    /// By number.
    workers: Vec<Worker>,
    bytes: usize,
    number: u64,
}

/// What a worker sees to.
#[derive(Debug, Default)]
struct Worker {
    /// The clients whose session or will is due.
    due: BTreeMap<Due, Arc<str>>,
    /// The instances of the binding there. One that takes the place of another is there before
    /// that goes.
    instances: usize,
}

/// What has become due.
#[derive(Debug)]
pub(in crate::proxy) enum Fallen {
    /// A session ends; its will, if it has one still, with it.
    Session(Arc<str>, Box<Kept>),
    /// The delay of a will has passed. Its session is kept on.
    Will(Arc<str>, Box<Will>),
}

impl KeptSessions {
    /// Keeps a session, where none of the client is kept; `worker` sees to what is due of it.
    ///
    /// # Errors
    /// Gives it back where no more are kept.
    pub(in crate::proxy) fn insert(
        &self,
        client_id: &str,
        kept: Box<Kept>,
        worker: usize,
    ) -> Result<(), Box<Kept>> {
        let mut table = self.0.lock();
        let weight = kept.weight() + client_id.len();
        if table.sessions.len() >= SESSIONS || table.bytes + weight > BYTES {
            return Err(kept);
        }
        table.insert(client_id.into(), kept, worker);
        Ok(())
    }

    /// Takes the session of a client.
    pub(in crate::proxy) fn take(&self, client_id: &str) -> Option<Box<Kept>> {
        self.0.lock().remove(client_id)
    }

    /// Whether a session of a client is kept at `now`.
    pub(in crate::proxy) fn holds(&self, client_id: &str, now: Instant) -> bool {
        let table = self.0.lock();
        let kept = table.sessions.get(client_id);
        kept.is_some_and(|kept| kept.expires.is_none_or(|expires| expires > now))
    }

    /// When a worker has something to do next.
    pub(in crate::proxy) fn next_due(&self, worker: usize) -> Option<Instant> {
        let table = self.0.lock();
        let (due, _) = table.workers.get(worker)?.due.first_key_value()?;
        Some(due.0)
    }

    /// Takes what a worker has to see to by `until`, the first of it.
    pub(in crate::proxy) fn take_due(&self, worker: usize, until: Instant) -> Option<Fallen> {
        let mut table = self.0.lock();
        let (due, client_id) = table.workers.get(worker)?.due.first_key_value()?;
        if due.0 > until {
            return None;
        }
        let client_id = Arc::clone(client_id);
        let mut kept = table.remove(&client_id)?;
        let is_over = kept.expires.is_some_and(|expires| expires <= until);
        match kept.will.take_if(|_| !is_over) {
            Some(KeptWill { will, .. }) => {
                table.insert(Arc::clone(&client_id), kept, worker);
                Some(Fallen::Will(client_id, will))
            }
            None => Some(Fallen::Session(client_id, kept)),
        }
    }

    /// An instance of the binding begins on a worker.
    pub(in crate::proxy) fn begin(&self, worker: usize) {
        self.0.lock().worker(worker).instances += 1;
    }

    /// An instance of the binding ends on a worker. With the last, no session is gone on with
    /// there: the wills that the worker was to see to, each with its client.
    pub(in crate::proxy) fn end(&self, worker: usize) -> Vec<(Arc<str>, Box<Will>)> {
        let mut table = self.0.lock();
        let of_worker = table.worker(worker);
        of_worker.instances = of_worker.instances.saturating_sub(1);
        if of_worker.instances > 0 {
            return Vec::new();
        }
        let has_will = |client_id: &&Arc<str>| {
            table.sessions.get(*client_id).is_some_and(|kept| kept.will.is_some())
        };
        let due = table.workers[worker].due.values();
        let clients: Vec<Arc<str>> = due.filter(has_will).map(Arc::clone).collect();
        let mut wills = Vec::new();
        for client_id in clients {
            let Some(mut kept) = table.remove(&client_id) else { continue };
            let will = kept.will.take();
            table.insert(Arc::clone(&client_id), kept, worker);
            wills.extend(will.map(|kept| (client_id, kept.will)));
        }
        wills
    }
}

impl Table {
    fn worker(&mut self, worker: usize) -> &mut Worker {
        if self.workers.len() <= worker {
            self.workers.resize_with(worker + 1, Worker::default);
        }
        &mut self.workers[worker]
    }

    fn insert(&mut self, client_id: Arc<str>, mut kept: Box<Kept>, worker: usize) {
        if let Some(at) = kept.next_due() {
            let due = (at, self.number);
            self.number += 1;
            self.worker(worker).due.insert(due, Arc::clone(&client_id));
            kept.due = Some((worker, due));
        }
        self.bytes += kept.weight() + client_id.len();
        self.sessions.insert(client_id, kept);
    }

    fn remove(&mut self, client_id: &str) -> Option<Box<Kept>> {
        let mut kept = self.sessions.remove(client_id)?;
        self.bytes -= kept.weight() + client_id.len();
        if let Some((worker, due)) = kept.due.take() {
            self.workers[worker].due.remove(&due);
        }
        Some(kept)
    }
}
