//! The groups that live on a worker, the seats that its sessions have, and letters to be sent.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mqtt_plane::ReasonCode;

use super::group::Group;
use super::letters::Letter;
use crate::proxy::hub::Hub;
use crate::proxy::member::Member;
use crate::proxy::shared::Shared;

/// What a worker has of shared subscriptions. Empty, it owns no memory.
#[derive(Default)]
pub(in crate::proxy) struct Desk {
    /// The groups that live here, by name.
    groups: RefCell<BTreeMap<Arc<str>, Rc<Group>>>,
    /// The groups that live here, by seat.
    seats: RefCell<HashMap<u64, Rc<Group>>>,
    /// Sessions of this worker, by seat.
    holders: RefCell<HashMap<u64, Weak<Member>>>,
    /// Letters to be sent, by worker.
    outbox: RefCell<BTreeMap<usize, Vec<Letter>>>,
    pub(super) is_posting: Cell<bool>,
    deliveries: Cell<i64>,
    /// Tells this instance from one before it on the same worker.
    instance: u64,
}

impl Desk {
    pub(in crate::proxy) fn new(shared: &Shared) -> Self {
        Self { instance: shared.seats.fetch_add(1, Ordering::Relaxed), ..Self::default() }
    }

    pub(super) fn put(&self, worker: usize, letter: Letter) {
        self.outbox.borrow_mut().entry(worker).or_default().push(letter);
    }

    pub(super) fn take_letters(&self) -> BTreeMap<usize, Vec<Letter>> {
        self.outbox.take()
    }

    /// What could not be sent goes before what came meanwhile.
    pub(super) fn put_back(&self, worker: usize, mut letters: Vec<Letter>) {
        let mut outbox = self.outbox.borrow_mut();
        let later = outbox.entry(worker).or_default();
        letters.append(later);
        *later = letters;
    }

    /// The offset of one more delivery in its position.
    pub(super) fn next_delivery(&self) -> i64 {
        let next = self.deliveries.get();
        self.deliveries.set(next + 1);
        next
    }

    pub(super) fn holder(&self, seat: u64) -> Option<Rc<Member>> {
        self.holders.borrow().get(&seat)?.upgrade()
    }

    pub(super) fn hold(&self, seat: u64, member: &Weak<Member>) {
        self.holders.borrow_mut().insert(seat, Weak::clone(member));
    }

    pub(super) fn release(&self, seat: u64) {
        self.holders.borrow_mut().remove(&seat);
    }

    /// How many groups live here.
    pub(in crate::proxy) fn groups(&self) -> usize {
        self.groups.borrow().len()
    }

    pub(super) fn forget_seat(&self, seat: u64) {
        self.seats.borrow_mut().remove(&seat);
    }
}

impl Hub {
    /// The worker on which a group lives: all workers choose the same.
    pub(super) fn home_of(&self, group: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        group.hash(&mut hasher);
        let workers = u64::try_from(self.cx.count()).unwrap_or(1).max(1);
        usize::try_from(hasher.finish() % workers).unwrap_or_default()
    }

    pub(super) fn tell_joined(
        self: &Rc<Self>,
        worker: usize,
        seat: u64,
        outcome: Result<(), ReasonCode>,
    ) {
        self.send(worker, Letter::Joined { seat, outcome, instance: self.desk.instance });
    }

    /// Tells sessions of other workers that the groups which an instance before this one had are no
    /// more: this one may take the place of one that ended with a panic.
    pub(in crate::proxy) fn announce_desk(self: &Rc<Self>) {
        let here = self.cx.index();
        for worker in (0..self.cx.count()).filter(|worker| *worker != here) {
            // A worker that has no instance yet has no seats either.
            let renewed = Letter::Renewed { worker: here, instance: self.desk.instance };
            self.cx.post(worker, &self.name, Box::new(vec![renewed])).ok();
        }
    }

    pub(super) fn with_group(&self, seat: u64, call: impl FnOnce(&Rc<Group>)) {
        let group = self.desk.seats.borrow().get(&seat).map(Rc::clone);
        // A seat that is gone may still have letters on their way.
        if let Some(group) = group {
            call(&group);
        }
    }

    pub(super) fn take_join(
        self: &Rc<Self>,
        name: &Arc<str>,
        seat: u64,
        worker: usize,
        instead_of: Option<u64>,
    ) {
        if self.refusal.get().is_some() {
            let outcome = Err(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR);
            return self.tell_joined(worker, seat, outcome);
        }
        let known = self.desk.groups.borrow().get(name).map(Rc::clone);
        let group = known.unwrap_or_else(|| {
            let group = Group::begin(self, name);
            self.desk.groups.borrow_mut().insert(Arc::clone(name), Rc::clone(&group));
            group
        });
        self.desk.seats.borrow_mut().insert(seat, Rc::clone(&group));
        group.join(self, seat, worker, instead_of);
    }

    /// Forgets a group that is over.
    pub(super) fn forget_group(&self, name: &str) {
        self.desk.groups.borrow_mut().remove(name);
    }

    /// The binding is to end: groups whose members are all away end, and all of them where the
    /// sessions end too.
    pub(in crate::proxy) fn end_groups(self: &Rc<Self>, all: bool) {
        let groups: Vec<_> = self.desk.groups.borrow().values().map(Rc::clone).collect();
        for group in groups {
            group.retire(self, all);
        }
    }
}
