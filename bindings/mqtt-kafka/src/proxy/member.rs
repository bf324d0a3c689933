//! A session, as the worker's readers and the client's task share it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;

use mqtt_plane::{
    Closed, Delivery, Event, Messages, Position, Qos, ReasonCode, SessionBegin, Ticket,
};

use super::deliver::catch_up::Behind;
use super::deliver::reader::Reader;
use super::deliver::ring::Ring;
use super::deliver::run::Run;
use super::hub::{Hub, PARTITIONS};
use super::kept::lasting::Lasting;
use super::retained::replay::Replay;
use super::share::Inbox;
use super::subscribe::Requests;
use crate::state::{FilterMap, Grant, Interest, Options, Seldom};

/// A session on this worker.
pub(super) struct Member {
    /// Names it in subscriptions.
    pub(super) key: usize,
    pub(super) client_id: Rc<str>,
    pub(super) most_subscriptions: u32,
    pub(super) hub: Rc<Hub>,
    /// The highest QoS that it may publish at: what was in force when it began.
    pub(super) qos_max: Qos,
    pub(super) state: RefCell<State>,
    pub(super) requests: RefCell<Requests>,
    pub(super) is_dirty: Cell<bool>,
    /// Whether it is a group of shared subscriptions, without a client.
    pub(super) is_group: bool,
    /// Publishes that wait for Kafka's answer.
    pub(super) unanswered: Cell<usize>,
    /// Whether the last publish was one to be acknowledged.
    pub(super) publishes_reliably: Cell<bool>,
    pub(super) events_waker: Cell<Option<Waker>>,
    pub(super) ready_waker: Cell<Option<Waker>>,
    pub(super) this: Weak<Self>,
}

/// What waits for a session, and where it is.
#[derive(Default)]
pub(super) struct State {
    /// Boxed, so that putting one between others moves little.
    pub(super) held: FilterMap<Box<Held>>,
    /// Whether a subscription was granted QoS 1: then nothing may be skipped.
    pub(super) is_reliable: bool,
    /// Whether such a subscription has gone, so that it may hold no more.
    pub(super) has_lost_reliable: bool,
    /// Answers to requests; seldom any, so that it keeps no memory.
    pub(super) answers: Vec<Event>,
    /// Publishes that Kafka has answered.
    pub(super) published: Vec<(Ticket, ReasonCode)>,
    pub(super) ring: Ring,
    /// Logs that it reads by itself.
    pub(super) behind: Vec<Behind>,
    pub(super) replays: Vec<Replay>,
    /// Boxed, since few sessions have shared subscriptions.
    pub(super) inbox: Option<Box<Inbox>>,
    /// Boxed, since most sessions end with their connection.
    pub(super) lasting: Option<Box<Lasting>>,
    pub(super) closed: Option<Closed>,
}

/// A subscription.
pub(super) struct Held {
    pub(super) options: Options,
    /// The logs it is served from.
    pub(super) targets: Vec<Target>,
    /// Logs that a reload took from it, until what was on its way has arrived; each with the
    /// number of that reload.
    pub(super) leaving: Seldom<(Target, u64)>,
    /// Logs that a reload gave to it and whose start is not known yet.
    pub(super) joining: Seldom<Rc<Reader>>,
}

/// A subscription on one log.
pub(super) struct Target {
    pub(super) reader: Rc<Reader>,
    pub(super) interest: Rc<Interest>,
}

/// One message for one session.
pub(super) struct Offer<'a> {
    pub(super) run: &'a Run,
    pub(super) messages: &'a Rc<dyn Messages>,
    pub(super) index: u32,
    pub(super) is_shared: bool,
    pub(super) grant: Grant,
    pub(super) retain: bool,
}

impl Member {
    /// A session without subscriptions.
    pub(super) fn new(hub: &Rc<Hub>, key: usize, begin: &SessionBegin<'_>) -> Rc<Self> {
        // It may outlive its connection.
        let lasting = (begin.session_expiry > 0).then(Box::default);
        Self::with(hub, key, Rc::clone(begin.client_id), begin.most_subscriptions, lasting, false)
    }

    /// The session of a group, which has no client.
    pub(super) fn of_group(hub: &Rc<Hub>, key: usize, name: &str) -> Rc<Self> {
        Self::with(hub, key, name.into(), 1, None, true)
    }

    fn with(
        hub: &Rc<Hub>,
        key: usize,
        client_id: Rc<str>,
        most_subscriptions: u32,
        lasting: Option<Box<Lasting>>,
        is_group: bool,
    ) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            key,
            client_id,
            most_subscriptions,
            hub: Rc::clone(hub),
            qos_max: hub.qos_max(),
            state: RefCell::new(State { lasting, ..State::default() }),
            requests: RefCell::default(),
            is_dirty: Cell::default(),
            is_group,
            unanswered: Cell::default(),
            publishes_reliably: Cell::default(),
            events_waker: Cell::default(),
            ready_waker: Cell::default(),
            this: Weak::clone(this),
        })
    }

    /// Wakes the client's task, which polls for events.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.events_waker.take() {
            waker.wake();
        }
    }

    /// Ends the session with a reason for the client.
    pub(super) fn end(&self, reason: ReasonCode, detail: &'static str) {
        let closed = Closed { reason, detail };
        self.state.borrow_mut().closed.get_or_insert(closed);
        self.wake();
        if let Some(waker) = self.ready_waker.take() {
            waker.wake();
        }
    }

    /// Gives up all that the session has on this worker but its subscriptions, which are returned.
    pub(super) fn leave(&self) -> FilterMap<Box<Held>> {
        self.requests.borrow_mut().abandon();
        let mut state = std::mem::take(&mut *self.state.borrow_mut());
        state.ring.release(&self.hub.spares);
        state.leave_seats(&self.hub);
        std::mem::take(&mut state.held)
    }

    /// Takes so many of the subscriptions that are left out of their logs.
    pub(super) fn drop_some(&self, left: &mut FilterMap<Box<Held>>, most: usize) {
        for _ in 0..most {
            let Some((filter, held)) = left.pop() else { return };
            held.remove(&filter, self.key);
            self.count_subscription(-1);
        }
    }

    /// The session has ended, and its subscriptions are still to be taken out of their logs: it
    /// takes no more messages for them.
    pub(super) fn close(&self) {
        let closed = Closed { reason: ReasonCode::SUCCESS, detail: "the session has ended" };
        self.state.borrow_mut().closed = Some(closed);
    }

    /// Counts a subscription; that of a group is its seats'.
    pub(super) fn count_subscription(&self, change: i64) {
        if !self.is_group {
            self.hub.counters.subscriptions.add(change);
        }
    }

    /// Leaves out what came while all clients of a group were away: QoS 0, or all of it where
    /// nothing was to be missed by nobody.
    pub(super) fn skip_while_away(&self, is_reliable: bool) {
        let mut state = self.state.borrow_mut();
        let mut skipped = 0;
        state.ring.retain(|delivery| {
            let stays = is_reliable && delivery.qos > Qos::AtMostOnce;
            skipped += i64::from(!stays);
            stays
        });
        self.hub.counters.deliveries_skipped.add(skipped);
        if !is_reliable {
            state.behind.clear();
        }
        for behind in &mut state.behind {
            behind.away = behind.reader.positions().into();
        }
    }

    /// A live message of `reader`. A session without room misses it, or, where nothing may be
    /// missed, leaves live dispatch there: it reads the log by itself until it has caught up.
    pub(super) fn offer(&self, reader: &Rc<Reader>, offer: Offer<'_>) {
        let hub = &self.hub;
        let view = offer.run.view(offer.index as usize);
        let mut state = self.state.borrow_mut();
        if state.closed.is_some() || state.behind.iter().any(|b| Rc::ptr_eq(&b.reader, reader)) {
            return;
        }
        if !state.replays.is_empty() {
            state.settle(hub, view);
        }
        let (partition, offset) = view.place();
        if !state.ring.has_room() {
            if state.is_reliable {
                let behind = Behind::new(reader, partition, offset);
                state.behind.push(behind);
                hub.counters.sessions_behind.increment();
            } else {
                hub.counters.deliveries_skipped.increment();
            }
            return;
        }
        let position = position(reader.id, partition, offset);
        state.push(hub, offer, position);
        drop(state);
        if let Some(this) = self.this.upgrade() {
            hub.mark(&this);
        }
    }
}

impl Member {
    /// The worker passes over records of `reader` from `offset` on. A session that must miss
    /// nothing leaves live dispatch there.
    pub(super) fn leave_dispatch(&self, reader: &Rc<Reader>, partition: u32, offset: i64) {
        let mut state = self.state.borrow_mut();
        let is_its = |target: &Target| Rc::ptr_eq(&target.reader, reader);
        let is_concerned = state.held.values().any(|held| held.all_targets().any(is_its));
        let is_behind = state.behind.iter().any(|behind| Rc::ptr_eq(&behind.reader, reader));
        if !state.is_reliable || !is_concerned || is_behind {
            return;
        }
        state.behind.push(Behind::new(reader, partition, offset));
        self.hub.counters.sessions_behind.increment();
        drop(state);
        if let Some(this) = self.this.upgrade() {
            self.hub.mark(&this);
        }
    }
}

/// Where a record of the log `id` lies, as deliveries name it.
pub(super) fn position(id: u32, partition: u32, offset: i64) -> Position {
    Position { log: id.wrapping_add(partition % PARTITIONS), offset }
}

/// The partition of a record that lies at `position`, if that is in the log `id`.
pub(super) fn partition_in(id: u32, position: Position) -> Option<u32> {
    let partition = position.log.wrapping_sub(id);
    (partition < PARTITIONS).then_some(partition)
}

impl State {
    /// Puts a message in the ring, with the lesser of its own QoS and the granted one
    /// [MQTT-3.8.4-8].
    pub(super) fn push(&mut self, hub: &Hub, offer: Offer<'_>, position: Position) {
        let view = offer.run.view(offer.index as usize);
        let delivery = Delivery {
            messages: Rc::clone(offer.messages),
            index: offer.index,
            is_shared: offer.is_shared,
            qos: view.qos().min(offer.grant.qos),
            retain: offer.retain,
            subscription_ids: offer.grant.ids,
            position,
        };
        self.ring.push(delivery, view.payload_len(), offer.run.footprint(), &hub.spares);
        hub.counters.deliveries_queued.increment();
    }

    /// How many deliveries and replays are looked at when a subscription goes.
    pub(super) fn looks(&self) -> usize {
        self.ring.len() + self.replays.len()
    }

    /// How many answers the client has not fetched.
    pub(super) fn unread(&self) -> usize {
        self.answers.len() + self.published.len()
    }

    /// Recomputes what depends on all subscriptions together, if one that mattered has gone.
    pub(super) fn settle_reliability(&mut self) {
        if std::mem::take(&mut self.has_lost_reliable) {
            self.held_changed();
        }
    }

    /// Recomputes what depends on all subscriptions together.
    pub(super) fn held_changed(&mut self) {
        self.is_reliable = self.held.values().any(|held| held.options.qos > Qos::AtMostOnce);
    }
}

impl Held {
    pub(super) fn new(options: Options) -> Self {
        let (leaving, joining) = (Seldom::default(), Seldom::default());
        Self { options, targets: Vec::new(), leaving, joining }
    }

    /// Takes the subscription out of all logs.
    pub(super) fn remove(&self, filter: &str, key: usize) {
        let leaving = self.leaving.iter().map(|(target, _)| target);
        for target in self.targets.iter().chain(leaving) {
            target.reader.subscriptions.borrow_mut().remove(filter, key);
        }
    }

    /// The targets and those that are being left.
    pub(super) fn all_targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().chain(self.leaving.iter().map(|(target, _)| target))
    }
}
