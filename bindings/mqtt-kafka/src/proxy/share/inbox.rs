//! What a session has of shared subscriptions: its seats, and what waits for it or is under way.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mqtt_plane::{Messages, Qos, ReasonCode, SubscriptionIds};

use super::letters::{Letter, Parcel};
use super::{WINDOW, WINDOW_BYTES};
use crate::proxy::deliver::run::Run;
use crate::proxy::hub::Hub;
use crate::proxy::kept::store::KeptPlace;
use crate::proxy::member::Member;
use crate::state::Options;

/// A session's part in groups. Boxed in the session, since few have one.
#[derive(Default)]
pub(in crate::proxy) struct Inbox {
    pub(super) seats: Vec<Seat>,
    /// What was handed to it and is not sent, in order.
    pub(super) queue: VecDeque<Item>,
    /// What was sent and is not complete, in order.
    pub(super) open: VecDeque<Open>,
    /// Deliveries that the client takes uncompleted, as far as that was seen.
    pub(super) receive_maximum: u16,
    /// Whether it was last to send: then it is first.
    pub(super) was_last: bool,
}

/// A shared subscription of a session.
pub(super) struct Seat {
    /// `$share/name/filter`.
    pub(super) filter: Rc<str>,
    pub(super) number: u64,
    /// The worker of its group.
    pub(super) home: usize,
    pub(super) options: Options,
    pub(super) ids: SubscriptionIds,
    pub(super) phase: Phase,
    /// What the group said of it, once it has.
    pub(super) answer: Option<Result<(), ReasonCode>>,
    /// The instance that has the group, once that is known.
    pub(super) instance: Option<u64>,
    /// How many messages it may have that are not settled.
    window: u16,
    /// What is settled, or free again, and not told to the group yet.
    settled: Vec<u64>,
    settled_bytes: usize,
    credit: u16,
}

/// How far a seat has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// SUBACK is not given yet.
    Joining,
    /// The subscription is in force.
    Held,
    /// It was ended, and what was sent for it is not complete.
    Leaving,
}

/// A message that is not sent.
pub(super) struct Item {
    pub(super) seat: u64,
    pub(super) number: u64,
    pub(super) messages: Rc<dyn Messages>,
    pub(super) index: u32,
    pub(super) payload: usize,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    /// Where it lies.
    pub(super) at: Lies,
}

/// Where a message lies: its log, partition and offset.
#[derive(Clone, Default)]
pub(in crate::proxy) struct Lies {
    pub(in crate::proxy) place: Option<Arc<KeptPlace>>,
    pub(in crate::proxy) partition: u32,
    pub(in crate::proxy) offset: i64,
}

/// A message that is sent and not complete.
pub(super) struct Open {
    /// The offset of its position.
    pub(super) delivery: i64,
    pub(super) seat: u64,
    pub(super) number: u64,
    pub(super) payload: usize,
    pub(super) qos: Qos,
    pub(super) at: Lies,
    pub(super) ids: SubscriptionIds,
}

impl Seat {
    pub(super) fn new(filter: &Rc<str>, number: u64, home: usize) -> Self {
        let qos = Qos::AtMostOnce;
        Self {
            filter: Rc::clone(filter),
            number,
            home,
            options: Options { qos, no_local: false, retain_as_published: false, id: None },
            ids: None,
            phase: Phase::Joining,
            answer: None,
            instance: None,
            window: 0,
            settled: Vec::new(),
            settled_bytes: 0,
            credit: 0,
        }
    }

    pub(super) fn set_options(&mut self, options: Options) {
        self.options = options;
        self.ids = options.id.map(|id| Rc::from([id]));
    }

    /// Takes a new number: its group begins anew.
    pub(super) fn renew(&mut self, number: u64) {
        self.number = number;
        (self.answer, self.instance) = (None, None);
        (self.window, self.credit) = (0, 0);
        self.settled.clear();
        self.settled_bytes = 0;
    }

    /// A message with a payload of so many bytes is nobody else's any more.
    pub(super) fn settle(&mut self, number: u64, payload: usize) {
        self.settled.push(number);
        self.settled_bytes += payload;
    }

    /// The client takes one more.
    pub(super) fn free(&mut self) {
        self.credit += 1;
    }

    /// Opens its window as far as the client's Receive Maximum goes: what waits for that may go to
    /// others.
    pub(super) fn open_window(&mut self, receive_maximum: u16) {
        let wanted = match self.options.qos {
            Qos::AtMostOnce => WINDOW,
            Qos::AtLeastOnce | Qos::ExactlyOnce => WINDOW.min(receive_maximum),
        };
        if self.phase == Phase::Held && wanted > self.window {
            self.credit += wanted - self.window;
            self.window = wanted;
        }
    }

    /// Tells the group what is settled: when it is half a window, or all of it `at_once`. What is
    /// not told leaves the group with a window that is open.
    pub(super) fn tell(&mut self, hub: &Rc<Hub>, at_once: bool) {
        let is_much = self.credit.max(1) >= self.window.div_ceil(2)
            || self.settled.len() >= usize::from(WINDOW)
            || self.settled_bytes >= WINDOW_BYTES / 2;
        let has_some = self.credit > 0 || !self.settled.is_empty();
        if has_some && (is_much || at_once || self.phase == Phase::Leaving) {
            let numbers = std::mem::take(&mut self.settled);
            let credit = std::mem::take(&mut self.credit);
            self.settled_bytes = 0;
            hub.send(self.home, Letter::Settled { seat: self.number, numbers, credit });
        }
    }
}

impl Inbox {
    /// The seat of a subscription that was not ended.
    pub(super) fn seat_of(&mut self, filter: &str) -> Option<&mut Seat> {
        let mut seats = self.seats.iter_mut();
        seats.find(|seat| *seat.filter == *filter && seat.phase != Phase::Leaving)
    }

    pub(super) fn seat(&mut self, number: u64) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.number == number)
    }

    /// Subscriptions in force.
    pub(in crate::proxy) fn held(&self) -> usize {
        self.seats.iter().filter(|seat| seat.phase == Phase::Held).count()
    }

    /// Drops what waits for a seat; returns the numbers of it.
    pub(super) fn take_back(&mut self, seat: u64) -> Vec<u64> {
        let mut back = Vec::new();
        self.queue.retain(|item| {
            let is_its = item.seat == seat;
            back.extend(is_its.then_some(item.number));
            !is_its
        });
        back
    }

    /// Forgets seats that were left and have nothing open.
    pub(super) fn forget_left(&mut self, hub: &Hub) {
        let open = &self.open;
        self.seats.retain(|seat| {
            let stays =
                seat.phase != Phase::Leaving || open.iter().any(|open| open.seat == seat.number);
            if !stays {
                hub.desk.release(seat.number);
            }
            stays
        });
    }
}

impl Member {
    /// Messages of a group for one of the seats.
    pub(super) fn take_parcels(&self, number: u64, parcels: Vec<Parcel>) {
        let hub = &self.hub;
        let mut state = self.state.borrow_mut();
        let Some(inbox) = &mut state.inbox else { return };
        let Some(seat) = inbox.seat(number) else { return };
        if seat.phase == Phase::Leaving {
            // They have crossed the end of the subscription.
            let back = parcels.iter().map(|parcel| parcel.number).collect();
            return hub.send(seat.home, Letter::Leave { seat: number, back });
        }
        let mut items = Vec::with_capacity(parcels.len());
        let mut views = Vec::with_capacity(parcels.len());
        for Parcel { number, view, retain, place } in parcels {
            let (partition, offset) = view.place();
            items.push((number, retain, Lies { place, partition, offset }));
            views.push(view);
        }
        let run = Rc::new(Run::new(&hub.cx, views));
        let messages: Rc<dyn Messages> = Rc::<Run>::clone(&run);
        for (index, (of_group, retain, at)) in (0_u32..).zip(items) {
            let view = run.view(index as usize);
            inbox.queue.push_back(Item {
                seat: number,
                number: of_group,
                messages: Rc::clone(&messages),
                index,
                payload: view.payload_len(),
                qos: view.qos(),
                retain,
                at,
            });
        }
    }
}
