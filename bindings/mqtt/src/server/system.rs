//! The `$SYS` topics: an exit of the server's own that tells what the server counts.
//!
//! One instance a worker. While nobody subscribes nothing is read and no timer runs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::config::NodeName;
use engine::spi::WorkerCx;
use engine::telemetry::Counter;
use mqtt_plane::{
    Closed, Frames, Limits, Messages, MqttExit, Opened, Publish, PublishProperties, Qos,
    SessionBegin, Unfinished,
};
use tokio::task::AbortHandle;

use self::session::{Held, Member, SystemSession};
use super::Lasting;
use crate::state::{Figures, SYSTEM_TOPICS, TopicSet, UNLIMITED};

pub(super) mod kept;
mod session;

/// How old what is told at SUBSCRIBE may be, so that a client that subscribes again and again does
/// not have all counters read each time.
const FRESH: Duration = Duration::from_secs(1);

/// What the server tells on one worker.
pub(super) struct System {
    cx: WorkerCx,
    name: String,
    lasting: Arc<Lasting>,
    subscriptions: Counter,
    not_kept: Counter,
    /// What the exits of the routes count under.
    exits: RefCell<Vec<String>>,
    /// How often what has changed is told.
    interval: Cell<Duration>,
    /// Those who subscribe.
    members: RefCell<BTreeMap<u64, Rc<Member>>>,
    last_key: Cell<u64>,
    /// What tells them, while there are any.
    teller: RefCell<Option<AbortHandle>>,
    latest: RefCell<Option<(Instant, Rc<Snapshot>)>>,
}

impl System {
    pub(super) fn new(cx: &WorkerCx, name: &NodeName, lasting: Arc<Lasting>) -> Rc<Self> {
        lasting.started.get_or_init(|| cx.clock().now());
        Rc::new(Self {
            cx: cx.clone(),
            name: name.to_string(),
            lasting,
            subscriptions: cx.counter(name, "system_subscriptions"),
            not_kept: cx.counter(name, "system_subscriptions_not_kept"),
            exits: RefCell::default(),
            interval: Cell::default(),
            members: RefCell::default(),
            last_key: Cell::default(),
            teller: RefCell::default(),
            latest: RefCell::default(),
        })
    }

    /// A reload: how often what has changed is told, 0 for never, and the exits there are.
    pub(super) fn configure<'a>(
        self: &Rc<Self>,
        interval: Duration,
        exits: impl Iterator<Item = &'a NodeName>,
    ) {
        *self.exits.borrow_mut() = exits.map(NodeName::to_string).collect();
        if self.interval.replace(interval) != interval {
            if let Some(teller) = self.teller.take() {
                teller.abort();
            }
            self.keep_telling();
        }
    }

    /// Tells those who subscribe, as long as there are any: one timer a worker, none a connection.
    fn keep_telling(self: &Rc<Self>) {
        let interval = self.interval.get();
        let mut teller = self.teller.borrow_mut();
        let is_running = teller.as_ref().is_some_and(|teller| !teller.is_finished());
        if is_running || interval.is_zero() || self.members.borrow().is_empty() {
            return;
        }
        let system = Rc::clone(self);
        *teller = Some(self.cx.spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                if system.members.borrow().is_empty() {
                    break;
                }
                let snapshot = system.renew();
                system.members.borrow().values().for_each(|member| member.advance(&snapshot));
            }
        }));
    }

    /// A key for a session.
    fn key(&self) -> u64 {
        self.last_key.set(self.last_key.get().wrapping_add(1));
        self.last_key.get()
    }

    /// A session subscribes to something.
    fn join(self: &Rc<Self>, key: u64, member: &Rc<Member>) {
        self.members.borrow_mut().insert(key, Rc::clone(member));
        self.keep_telling();
    }

    /// A session subscribes to nothing any more.
    fn leave(&self, key: u64) {
        self.members.borrow_mut().remove(&key);
    }

    /// Keeps what a client subscribes to while it is away.
    fn keep(&self, client_id: &str, subscriptions: Vec<Held>, expiry: u32) {
        let now = self.cx.clock().now();
        if !self.lasting.kept.keep(client_id, subscriptions, expiry, now) {
            self.not_kept.increment();
        }
    }

    /// What is to be told at this moment, or was a moment ago.
    fn snapshot(&self) -> Rc<Snapshot> {
        let now = self.cx.clock().now();
        let latest = self.latest.borrow().as_ref().and_then(|(at, snapshot)| {
            let is_fresh = now.saturating_duration_since(*at) < FRESH;
            is_fresh.then(|| Rc::clone(snapshot))
        });
        latest.unwrap_or_else(|| self.renew())
    }

    /// What is to be told at this moment.
    fn renew(&self) -> Rc<Snapshot> {
        let snapshot = Rc::new(Snapshot::new(&self.figures()));
        let now = self.cx.clock().now();
        *self.latest.borrow_mut() = Some((now, Rc::clone(&snapshot)));
        snapshot
    }

    fn figures(&self) -> Figures {
        let now = self.cx.clock().now();
        let started = self.lasting.started.get().copied().unwrap_or(now);
        let mut figures = Figures {
            uptime: now.saturating_duration_since(started).as_secs(),
            connected: self.lasting.gate.connections().into(),
            ..Figures::default()
        };
        let exits = self.exits.borrow();
        for (node, metric, count) in self.cx.metrics().read() {
            let count = u64::try_from(count).unwrap_or(0);
            let figure = if node == self.name {
                match metric {
                    "packets_received" => &mut figures.packets_received,
                    "packets_sent" => &mut figures.packets_sent,
                    "publishes_received" => &mut figures.publishes_received,
                    "deliveries_sent" => &mut figures.publishes_sent,
                    "publishes_dropped_no_route"
                    | "publishes_dropped_refused"
                    | "deliveries_skipped_too_large" => &mut figures.publishes_dropped,
                    "bytes_received" => &mut figures.bytes_received,
                    "bytes_sent" => &mut figures.bytes_sent,
                    "system_subscriptions" => &mut figures.subscriptions,
                    _ => continue,
                }
            } else if exits.contains(&node) {
                match metric {
                    "sessions_kept" => &mut figures.disconnected,
                    "publishes_dropped" | "deliveries_skipped" => &mut figures.publishes_dropped,
                    "subscriptions" => &mut figures.subscriptions,
                    _ => continue,
                }
            } else {
                continue;
            };
            *figure = figure.saturating_add(count);
        }
        figures
    }
}

/// What is told at one moment, of all topics.
struct Snapshot {
    texts: Vec<String>,
    frames: Frames,
}

impl Snapshot {
    fn new(figures: &Figures) -> Self {
        let texts = SYSTEM_TOPICS.iter().map(|(_, show)| show(figures)).collect();
        Self { texts, frames: Frames::new(SYSTEM_TOPICS.len()) }
    }

    /// The topics that are told otherwise than in `other`.
    fn changed_since(&self, other: &Self) -> TopicSet {
        TopicSet::of(|index| self.texts[index] != other.texts[index])
    }
}

impl Messages for Snapshot {
    /// Retained messages of QoS 0: what is not read at once is out of date.
    fn publish(&self, index: u32) -> Publish<'_> {
        Publish {
            topic: SYSTEM_TOPICS[index as usize].0,
            payload: self.texts[index as usize].as_bytes(),
            qos: Qos::AtMostOnce,
            retain: true,
            properties: PublishProperties::default(),
        }
    }

    fn remaining_expiry(&self, _: u32) -> Option<u32> {
        None
    }

    fn frames(&self) -> &Frames {
        &self.frames
    }
}

/// The exit that takes subscriptions to `$SYS/…`.
pub(super) struct SystemExit(pub(super) Rc<System>);

impl MqttExit for SystemExit {
    fn limits(&self) -> Limits {
        UNLIMITED
    }

    fn open(&self, begin: SessionBegin<'_>) -> Result<Opened, Closed> {
        let system = &self.0;
        let kept = system.lasting.kept.take(begin.client_id, system.cx.clock().now());
        let kept = kept.filter(|_| !begin.clean_start);
        let resumed = kept.is_some().then(Unfinished::default);
        let session = SystemSession::new(
            system,
            begin.client_id,
            begin.most_subscriptions,
            kept.unwrap_or_default(),
        );
        Ok(Opened { session: Box::new(session), resumed })
    }

    fn keeps(&self, client_id: &str) -> bool {
        self.0.lasting.kept.has(client_id, self.0.cx.clock().now())
    }
}
