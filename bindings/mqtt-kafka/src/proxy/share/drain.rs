//! From a session's inbox to its client.

use std::rc::Rc;

use mqtt_plane::{Appetite, Delivery, Event, OpenDelivery, Position, Qos, Stage};

use super::LOG;
use super::inbox::{Inbox, Lies, Open};
use crate::proxy::hub::Hub;
use crate::proxy::member::{Member, State};

impl State {
    /// Moves messages to `out`, while `appetite` lasts: those of shared subscriptions and all
    /// others, each first by turns.
    pub(in crate::proxy) fn drain(
        &mut self,
        hub: &Rc<Hub>,
        appetite: &mut Appetite,
        out: &mut Vec<Event>,
    ) {
        let is_first = self.inbox.as_mut().is_some_and(|inbox| {
            inbox.was_last = !inbox.was_last;
            !inbox.was_last
        });
        if let Some(inbox) = self.inbox.as_mut().filter(|_| is_first) {
            inbox.drain(hub, appetite, out);
        }
        let drained = out.len();
        let expired = self.ring.drain(appetite, out, &hub.spares);
        self.note_retained(&out[drained..]);
        hub.counters.deliveries_expired.add(expired);
        if let Some(inbox) = self.inbox.as_mut().filter(|_| !is_first) {
            inbox.drain(hub, appetite, out);
        }
    }
}

impl Inbox {
    fn drain(&mut self, hub: &Rc<Hub>, appetite: &mut Appetite, out: &mut Vec<Event>) {
        if appetite.bytes == 0 {
            return;
        }
        self.receive_maximum = self.receive_maximum.max(appetite.in_flight);
        while appetite.bytes > 0
            && let Some(item) = self.queue.front()
        {
            let seats = self.seats.iter_mut();
            let mut seats = seats.filter(|seat| seat.number == item.seat);
            let (Some(seat), number) = (seats.next(), item.number) else {
                self.queue.pop_front();
                continue;
            };
            // [MQTT-4.8.2-3]
            let qos = item.qos.min(seat.options.qos);
            if qos > Qos::AtMostOnce && appetite.in_flight == 0 {
                break;
            }
            let Some(item) = self.queue.pop_front() else { break };
            if item.messages.remaining_expiry(item.index) == Some(0) {
                hub.counters.deliveries_expired.increment();
                seat.settle(number, item.payload);
                seat.free();
                continue;
            }
            appetite.bytes = appetite.bytes.saturating_sub(item.payload.max(1));
            let delivery = hub.desk.next_delivery();
            let ids = seat.ids.clone();
            // Of QoS 2 it is this client's from now on, whatever becomes of it [MQTT-4.8.2-5].
            if qos != Qos::AtLeastOnce {
                seat.settle(number, item.payload);
            }
            if qos == Qos::AtMostOnce {
                seat.free();
            } else {
                appetite.in_flight -= 1;
                let (at, ids) = match qos {
                    Qos::ExactlyOnce => (item.at, ids.clone()),
                    _ => (Lies::default(), None),
                };
                let (seat, payload) = (item.seat, item.payload);
                self.open.push_back(Open { delivery, seat, number, payload, qos, at, ids });
            }
            out.push(Event::Deliver(Delivery {
                messages: item.messages,
                index: item.index,
                is_shared: false,
                qos,
                retain: item.retain && seat.options.retain_as_published,
                subscription_ids: ids,
                position: Position { log: LOG, offset: delivery },
            }));
        }
        for seat in &mut self.seats {
            seat.open_window(self.receive_maximum);
            seat.tell(hub, false);
        }
    }

    fn find(&self, position: Position) -> Option<usize> {
        let sought = |open: &Open| open.delivery.cmp(&position.offset);
        self.open.binary_search_by(sought).ok().filter(|_| position.log == LOG)
    }

    /// What is in flight that only this client may have, where it was sent; `None` where it is no
    /// delivery of a shared subscription.
    pub(in crate::proxy) fn own(&self, open: &OpenDelivery) -> Option<(&Lies, Option<u32>)> {
        let open = &self.open[self.find(open.position)?];
        let id = open.ids.as_deref().and_then(|ids| ids.first().copied());
        Some((&open.at, id))
    }
}

/// Whether a delivery came by a shared subscription.
pub(in crate::proxy) fn is_shared(position: Position) -> bool {
    position.log == LOG && position.offset < i64::MAX
}

impl Member {
    /// A delivery of a shared subscription has come so far. One that the client refuses is complete
    /// too, and goes to nobody else [MQTT-4.8.2-6].
    pub(in crate::proxy) fn acknowledge_shared(&self, position: Position, stage: Stage) {
        if stage == Stage::Received {
            return;
        }
        let mut state = self.state.borrow_mut();
        let Some(inbox) = &mut state.inbox else { return };
        let Some(open) = inbox.find(position).and_then(|at| inbox.open.remove(at)) else { return };
        if let Some(seat) = inbox.seat(open.seat) {
            if open.qos == Qos::AtLeastOnce {
                seat.settle(open.number, open.payload);
            }
            seat.free();
            seat.tell(&self.hub, false);
        }
        inbox.forget_left(&self.hub);
    }
}
