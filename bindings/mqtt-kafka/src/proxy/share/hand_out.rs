//! From a group's own session to its seats.

use std::any::Any;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use mqtt_plane::{Appetite, Delivery, Event};

use super::group::{Group, State};
use super::letters::{Letter, Parcel};
use crate::proxy::deliver::run::Run;
use crate::proxy::hub::Hub;
use crate::proxy::kept::store::KeptPlace;
use crate::proxy::member::partition_in;

/// Payloads that a group pulls at a time, bytes.
const PULL: usize = 256 << 10;

/// The log that the last delivery lay in: most lie in the same.
type Last = Option<(u32, Option<Arc<KeptPlace>>)>;

impl Group {
    /// Hands out what there is and what seats take; ends with the group.
    pub(super) fn poll(&self, hub: &Weak<Hub>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(hub) = hub.upgrade() else { return Poll::Ready(()) };
        if self.state.borrow().is_over {
            return Poll::Ready(());
        }
        self.waker.set(Some(cx.waker().clone()));
        if !self.state.borrow().is_in_force {
            self.pull(&hub, cx, Appetite::default());
            return Poll::Pending;
        }
        self.leave_empty(&hub, &mut self.state.borrow_mut());
        self.state.borrow_mut().hand_out_queue();
        let room = self.state.borrow().room();
        // Without room for anything it is not pulled: no message wakes it then.
        if room > 0 {
            let in_flight = u16::try_from(room).unwrap_or(u16::MAX);
            if self.pull(&hub, cx, Appetite { bytes: PULL, in_flight }) {
                // Others first; there may be more.
                cx.waker().wake_by_ref();
            }
        }
        self.state.borrow_mut().send(&hub);
        Poll::Pending
    }

    /// Pulls its own session. Returns whether there was something.
    fn pull(&self, hub: &Rc<Hub>, cx: &mut Context<'_>, appetite: Appetite) -> bool {
        let mut events = Vec::new();
        // It ends with the binding alone, which ends the group too.
        let is_ready = self.member.poll_events(cx, appetite, &mut events).is_ready();
        let has_some = !events.is_empty();
        let mut last: Last = None;
        for event in events {
            match event {
                Event::Deliver(delivery) => {
                    if let Some(parcel) = self.parcel(hub, &delivery, &mut last) {
                        self.state.borrow_mut().hand_out(parcel);
                    }
                }
                Event::Subscribed { reasons, .. } => {
                    if let Some(reason) = reasons.first() {
                        self.begun(hub, *reason);
                    }
                    cx.waker().wake_by_ref();
                }
                _ => {}
            }
        }
        is_ready && has_some
    }

    fn parcel(&self, hub: &Rc<Hub>, delivery: &Delivery, last: &mut Last) -> Option<Parcel> {
        let messages: &dyn Any = &*delivery.messages;
        let view = messages.downcast_ref::<Run>()?.view(delivery.index as usize).clone();
        let log = delivery.position.log;
        let place = match last {
            Some((known, place)) if *known == log => place.clone(),
            _ => {
                let place = place_of(hub, delivery);
                *last = Some((log, place.clone()));
                place
            }
        };
        let mut state = self.state.borrow_mut();
        state.last += 1;
        Some(Parcel { number: state.last, view, retain: delivery.retain, place })
    }
}

fn place_of(hub: &Rc<Hub>, delivery: &Delivery) -> Option<Arc<KeptPlace>> {
    let readers = hub.readers();
    let mut readers = readers.iter();
    let reader = readers.find(|reader| partition_in(reader.id, delivery.position).is_some())?;
    Some(Arc::new(reader.upstream.place(&reader.topic)))
}

impl State {
    /// Messages that seats take at present.
    fn room(&self) -> usize {
        self.seats.iter().filter(|seat| seat.has_room()).map(|seat| seat.credit).sum()
    }

    /// Hands a message to the next seat that takes one.
    fn hand_out(&mut self, parcel: Parcel) -> bool {
        let count = self.seats.len();
        let mut turns = (0..count).map(|step| (self.next + step) % count);
        let Some(at) = turns.find(|at| self.seats[*at].has_room()) else {
            self.queue.insert(parcel.number, parcel);
            return false;
        };
        self.next = at + 1;
        let seat = &mut self.seats[at];
        seat.credit -= 1;
        seat.bytes += parcel.view.payload_len();
        seat.batch.push(parcel.clone());
        seat.open.push_back(parcel);
        true
    }

    /// Hands out what came back, in its order.
    fn hand_out_queue(&mut self) {
        while let Some((_, parcel)) = self.queue.pop_first() {
            if !self.hand_out(parcel) {
                return;
            }
        }
    }

    /// Sends each seat what it was handed.
    fn send(&mut self, hub: &Rc<Hub>) {
        for seat in self.seats.iter_mut().filter(|seat| !seat.batch.is_empty()) {
            let parcels = std::mem::take(&mut seat.batch);
            let count = i64::try_from(parcels.len()).unwrap_or_default();
            hub.counters.shared_handed_out.add(count);
            hub.send(seat.worker, Letter::Parcels { seat: seat.number, parcels });
        }
    }
}
