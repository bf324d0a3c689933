//! What waits for a session: bounded.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use mqtt_plane::{Appetite, Delivery, Event, Messages, Qos};

/// Deliveries that a ring holds at most; few in tests, so that they overflow.
pub(in crate::proxy) const MESSAGES: usize = if cfg!(test) { 64 } else { 4096 };

/// Memory that a ring keeps alive at most, bytes, before the last run that it took. Runs are shared:
/// rings that wait for the same messages keep the same memory.
const BYTES: usize = 8 << 20;

/// Deliveries that wait for one session. Empty, it owns no memory.
#[derive(Default)]
pub(in crate::proxy) struct Ring {
    items: VecDeque<Item>,
    bytes: usize,
}

struct Item {
    delivery: Delivery,
    payload: usize,
    /// The footprint of the run, at the first of its deliveries.
    weight: usize,
}

/// Memory of rings that are empty, for those that fill. One a worker.
#[derive(Default)]
pub(in crate::proxy) struct Spares(RefCell<Vec<VecDeque<Item>>>);

/// Rings' memory that a worker keeps.
const SPARES: usize = 512;

/// The largest memory worth keeping, deliveries.
const SPARE_CAPACITY: usize = 256;

impl Ring {
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many deliveries there are.
    pub(in crate::proxy) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it takes another delivery.
    pub(in crate::proxy) fn has_room(&self) -> bool {
        self.items.len() < MESSAGES && self.bytes < BYTES
    }

    /// Adds a delivery with a payload of `payload` bytes, out of a run that keeps `footprint`
    /// bytes alive.
    pub(in crate::proxy) fn push(
        &mut self,
        delivery: Delivery,
        payload: usize,
        footprint: usize,
        spares: &Spares,
    ) {
        if self.items.capacity() == 0 {
            self.items = spares.0.borrow_mut().pop().unwrap_or_default();
        }
        let is_same = |last: &Item| is_same_run(&last.delivery.messages, &delivery.messages);
        let weight = if self.items.back().is_some_and(is_same) { 0 } else { footprint };
        self.bytes += weight;
        self.items.push_back(Item { delivery, payload, weight });
    }

    /// Moves deliveries to `out` while `appetite` lasts, which it lowers. Returns how many had
    /// expired meanwhile and were dropped [MQTT-3.3.2-5].
    pub(in crate::proxy) fn drain(
        &mut self,
        appetite: &mut Appetite,
        out: &mut Vec<Event>,
        spares: &Spares,
    ) -> i64 {
        let mut expired = 0;
        while appetite.bytes > 0 {
            let Some(item) = self.items.front() else { break };
            let takes_flight = item.delivery.qos > Qos::AtMostOnce;
            if takes_flight && appetite.in_flight == 0 {
                break;
            }
            let Some(item) = self.items.pop_front() else { break };
            self.bytes -= item.weight;
            let delivery = item.delivery;
            if delivery.messages.remaining_expiry(delivery.index) == Some(0) {
                expired += 1;
                continue;
            }
            appetite.bytes = appetite.bytes.saturating_sub(item.payload.max(1));
            appetite.in_flight -= u16::from(takes_flight);
            out.push(Event::Deliver(delivery));
        }
        if self.items.is_empty() {
            self.release(spares);
        }
        expired
    }

    /// The deliveries, in order.
    pub(in crate::proxy) fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.items.iter().map(|item| &item.delivery)
    }

    /// Keeps the deliveries that `keep` says.
    pub(in crate::proxy) fn retain(&mut self, mut keep: impl FnMut(&Delivery) -> bool) {
        let mut freed = 0;
        self.items.retain(|item| {
            let kept = keep(&item.delivery);
            freed += if kept { 0 } else { item.weight };
            kept
        });
        self.bytes -= freed;
    }

    /// Drops everything.
    pub(in crate::proxy) fn release(&mut self, spares: &Spares) {
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        self.bytes = 0;
        let mut spares = spares.0.borrow_mut();
        if (1..=SPARE_CAPACITY).contains(&items.capacity()) && spares.len() < SPARES {
            spares.push(items);
        }
    }
}

fn is_same_run(one: &Rc<dyn Messages>, other: &Rc<dyn Messages>) -> bool {
    Rc::as_ptr(one).cast::<()>() == Rc::as_ptr(other).cast::<()>()
}

#[cfg(test)]
mod tests {
    use mqtt_plane::{Frames, Position, Publish};

    use super::*;

    /// A run of which nothing is read.
    struct Unread(Frames);

    impl Messages for Unread {
        fn publish(&self, _: u32) -> Publish<'_> {
            unreachable!("it is not delivered")
        }

        fn remaining_expiry(&self, _: u32) -> Option<u32> {
            None
        }

        fn frames(&self) -> &Frames {
            &self.0
        }
    }

    #[test]
    fn a_ring_has_room_again_when_what_it_holds_is_taken_out() {
        let spares = Spares::default();
        let mut ring = Ring::default();
        let messages: Rc<dyn Messages> = Rc::new(Unread(Frames::new(2)));
        for index in 0..2 {
            let delivery = Delivery {
                messages: Rc::clone(&messages),
                index,
                is_shared: false,
                qos: Qos::AtMostOnce,
                retain: false,
                subscription_ids: None,
                position: Position::default(),
            };
            assert!(ring.has_room(), "a run counts once, and what goes beyond is taken");
            ring.push(delivery, 1, BYTES - 1, &spares);
        }
        assert!(ring.has_room());
        let other: Rc<dyn Messages> = Rc::new(Unread(Frames::new(1)));
        let delivery = Delivery {
            messages: other,
            index: 7,
            is_shared: false,
            qos: Qos::AtMostOnce,
            retain: false,
            subscription_ids: None,
            position: Position::default(),
        };
        ring.push(delivery, 1, 1, &spares);
        assert!(!ring.has_room());
        ring.retain(|delivery| delivery.index != 7);
        assert!(ring.has_room() && ring.len() == 2);
    }
}
