//! What a worker has once: its sessions, its readers and the mapping in force.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use engine::config::NodeName;
use engine::spi::{Link, WorkerCx};
use kafka_plane::Kafka;
use mqtt_plane::{Limits, Qos, ReasonCode, SessionBegin};
use slab::Slab;

use super::counters::{Counters, LogLimits};
use super::deliver::dispatch::Scratch;
use super::deliver::reader::Reader;
use super::deliver::ring::Spares;
use super::kept::due::Alarm;
use super::kept::wills::Unpublished;
use super::member::Member;
use super::publish::Destinations;
use super::share::Desk;
use super::shared::Shared;
use super::upstream::Upstream;
use crate::state::Mapping;

/// Partitions of a log that positions of deliveries tell apart.
pub(crate) const PARTITIONS: u32 = 4096;

/// Subscriptions that come or go in one turn, about: other sessions of the worker wait meanwhile.
pub(super) const AT_ONCE: usize = if cfg!(test) { 16 } else { 128 };

/// What a worker has once.
pub(crate) struct Hub {
    pub(super) name: NodeName,
    pub(super) cx: WorkerCx,
    pub(super) counters: Counters,
    pub(super) shared: Arc<Shared>,
    pub(super) spares: Spares,
    pub(super) scratch: RefCell<Scratch>,
    pub(super) destinations: RefCell<Destinations>,
    /// Since when Kafka has taken no more.
    pub(super) full_since: Cell<Option<Instant>>,
    pub(super) is_full_timed: Cell<bool>,
    /// Exits that were replaced and whose publishes are not all answered.
    pub(super) moves: Cell<usize>,
    /// How often subscriptions were moved to a new mapping.
    pub(super) retargets: Cell<u64>,
    pub(super) refusal: Cell<Option<ReasonCode>>,
    pub(super) limits: LogLimits,
    mapping: RefCell<Arc<Mapping>>,
    upstreams: RefCell<Rc<[Rc<Upstream>]>>,
    readers: RefCell<Vec<Weak<Reader>>>,
    next_log: Cell<u32>,
    members: RefCell<Slab<Rc<Member>>>,
    /// How many of them have ended and are still to be taken out of their logs.
    leaving: Cell<usize>,
    dirty: RefCell<Vec<Rc<Member>>>,
    pub(super) unpublished: Unpublished,
    /// The timer of what is due of sessions that are kept, while there is any.
    pub(super) alarm: RefCell<Option<Alarm>>,
    pub(super) desk: Desk,
}

impl Hub {
    /// A hub with these exits, by [`crate::state::Route::exit`].
    pub(crate) fn new(
        name: &NodeName,
        cx: &WorkerCx,
        mapping: Arc<Mapping>,
        exits: Vec<(NodeName, Link<Kafka>)>,
        shared: Arc<Shared>,
    ) -> Rc<Self> {
        let desk = Desk::new(&shared);
        let hub = Self {
            name: name.clone(),
            cx: cx.clone(),
            counters: Counters::new(cx, name),
            shared,
            spares: Spares::default(),
            scratch: RefCell::default(),
            destinations: RefCell::default(),
            full_since: Cell::default(),
            is_full_timed: Cell::default(),
            moves: Cell::default(),
            retargets: Cell::default(),
            refusal: Cell::default(),
            limits: LogLimits::default(),
            upstreams: RefCell::new(Rc::new([])),
            readers: RefCell::default(),
            next_log: Cell::default(),
            members: RefCell::default(),
            leaving: Cell::default(),
            dirty: RefCell::default(),
            unpublished: Unpublished::default(),
            alarm: RefCell::default(),
            desk,
            mapping: RefCell::new(mapping),
        };
        let retained = Arc::clone(&hub.mapping.borrow().retained);
        let open = |(name, link)| hub.upstream(name, link, &retained);
        *hub.upstreams.borrow_mut() = exits.into_iter().map(open).collect();
        hub.open_fixed();
        let hub = Rc::new(hub);
        hub.shared.kept.begin(cx.index());
        // An instance before this one may have had sessions to end.
        hub.arm();
        hub.announce_desk();
        hub
    }

    /// An exit that is new.
    pub(super) fn upstream(
        &self,
        name: NodeName,
        link: Link<Kafka>,
        retained: &str,
    ) -> Rc<Upstream> {
        Rc::new(Upstream::new(name, self.log_id(), link, retained))
    }

    /// A name for the partitions of one more log in positions of deliveries.
    fn log_id(&self) -> u32 {
        let id = self.next_log.get();
        self.next_log.set(id.wrapping_add(PARTITIONS));
        id
    }

    pub(super) fn mapping(&self) -> Arc<Mapping> {
        Arc::clone(&self.mapping.borrow())
    }

    /// Asks the mapping in force.
    pub(super) fn with_mapping<T>(&self, ask: impl FnOnce(&Mapping) -> T) -> T {
        ask(&self.mapping.borrow())
    }

    /// The highest QoS that is taken and granted.
    pub(super) fn qos_max(&self) -> Qos {
        self.mapping.borrow().qos_max
    }

    pub(super) fn upstreams(&self) -> Rc<[Rc<Upstream>]> {
        Rc::clone(&self.upstreams.borrow())
    }

    /// Whether any exit serves. Where one of several has not answered yet, what needs it waits or
    /// is refused by itself.
    pub(super) fn is_available(&self) -> bool {
        self.upstreams().iter().any(|upstream| upstream.exit().fault().is_none())
    }

    /// Takes another mapping and the exits that it counts on. Publishes use it from the next on.
    pub(super) fn set_mapping(&self, mapping: Arc<Mapping>, upstreams: Rc<[Rc<Upstream>]>) {
        *self.mapping.borrow_mut() = mapping;
        *self.upstreams.borrow_mut() = upstreams;
        self.destinations.borrow_mut().clear();
    }

    /// Lets every log be read that the configuration names outright.
    pub(super) fn open_fixed(&self) {
        let mapping = self.mapping();
        let targets = mapping.fixed_targets();
        for (exit, upstream) in self.upstreams().iter().enumerate() {
            let of_exit = targets.iter().filter(|target| target.exit == exit);
            upstream.open_fixed(of_exit.map(|target| &*target.topic));
        }
        if let Some(route) = mapping.routes.last() {
            self.upstreams()[route.exit].exit().expect_table(&mapping.sessions);
        }
    }

    /// The bounds of all sessions.
    pub(super) fn limits(&self) -> Limits {
        let upstreams = self.upstreams();
        let record = upstreams.iter().map(|upstream| upstream.exit().limits().record_bytes).min();
        self.mapping.borrow().limits(record)
    }

    /// The reader of a topic, new where this worker has none.
    pub(super) fn reader(self: &Rc<Self>, upstream: &Rc<Upstream>, topic: &str) -> Rc<Reader> {
        let is_of =
            |reader: &Rc<Reader>| Rc::ptr_eq(&reader.upstream, upstream) && *reader.topic == *topic;
        let known = self.readers.borrow().iter().filter_map(Weak::upgrade).find(is_of);
        known.unwrap_or_else(|| {
            let reader = Reader::new(self, self.log_id(), upstream, topic);
            let mut readers = self.readers.borrow_mut();
            readers.retain(|reader| reader.strong_count() > 0);
            readers.push(Rc::downgrade(&reader));
            drop(readers);
            reader
        })
    }

    /// All readers in use.
    pub(super) fn readers(&self) -> Vec<Rc<Reader>> {
        let mut readers = self.readers.borrow_mut();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.iter().filter_map(Weak::upgrade).collect()
    }

    /// The readers of all logs in which messages that `filter` matches may lie.
    pub(super) fn readers_of(self: &Rc<Self>, filter: &str) -> Vec<Rc<Reader>> {
        let mapping = self.mapping();
        let upstreams = self.upstreams();
        let targets = mapping.subscribe(filter, |_, _| {});
        targets.iter().map(|target| self.reader(&upstreams[target.exit], &target.topic)).collect()
    }

    pub(super) fn enter(self: &Rc<Self>, begin: &SessionBegin<'_>) -> Rc<Member> {
        let mut members = self.members.borrow_mut();
        let vacant = members.vacant_entry();
        let member = Member::new(self, vacant.key(), begin);
        vacant.insert(Rc::clone(&member));
        self.counters.sessions.increment();
        member
    }

    /// A session of a group of shared subscriptions.
    pub(super) fn enter_group(self: &Rc<Self>, name: &str) -> Rc<Member> {
        let mut members = self.members.borrow_mut();
        let vacant = members.vacant_entry();
        let member = Member::of_group(self, vacant.key(), name);
        vacant.insert(Rc::clone(&member));
        self.counters.shared_groups.increment();
        member
    }

    pub(super) fn leave_group(&self, member: &Member) {
        let mut left = member.leave();
        member.drop_some(&mut left, usize::MAX);
        if self.members.borrow_mut().try_remove(member.key).is_some() {
            self.counters.shared_groups.decrement();
        }
    }

    /// A session ends. Where it has many subscriptions, they are taken out of their logs a few at a
    /// time, so that nobody waits for that; its key is free when that is done.
    pub(super) fn leave(self: &Rc<Self>, member: &Rc<Member>) {
        if !self.members.borrow().contains(member.key) {
            return;
        }
        self.counters.sessions.decrement();
        let mut left = member.leave();
        member.drop_some(&mut left, AT_ONCE);
        if left.is_empty() {
            self.members.borrow_mut().remove(member.key);
            return;
        }
        member.close();
        self.leaving.set(self.leaving.get() + 1);
        let (hub, member) = (Rc::clone(self), Rc::clone(member));
        self.cx.spawn(async move {
            while !left.is_empty() {
                tokio::task::yield_now().await;
                member.drop_some(&mut left, AT_ONCE);
            }
            hub.members.borrow_mut().remove(member.key);
            hub.leaving.set(hub.leaving.get() - 1);
        });
    }

    pub(super) fn with_member<T>(
        &self,
        key: usize,
        call: impl FnOnce(&Rc<Member>) -> T,
    ) -> Option<T> {
        self.members.borrow().get(key).map(call)
    }

    pub(super) fn members(&self) -> Vec<Rc<Member>> {
        self.members.borrow().iter().map(|(_, member)| Rc::clone(member)).collect()
    }

    /// How many sessions clients have.
    pub(super) fn len(&self) -> usize {
        self.members.borrow().len() - self.desk.groups() - self.leaving.get()
    }

    /// Notes that a session has something new; [`Hub::wake_dirty`] wakes it.
    pub(super) fn mark(&self, member: &Rc<Member>) {
        if !member.is_dirty.replace(true) {
            self.dirty.borrow_mut().push(Rc::clone(member));
        }
    }

    /// Wakes each session that was marked, once.
    pub(super) fn wake_dirty(&self) {
        let mut dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for member in dirty.drain(..) {
            member.is_dirty.set(false);
            member.wake();
        }
        *self.dirty.borrow_mut() = dirty;
    }
}
