//! Subscribing to a group, ending that, and keeping a seat while the client is away.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use mqtt_plane::{Qos, ReasonCode};

use super::inbox::{Phase, Seat};
use super::letters::Letter;
use crate::proxy::hub::Hub;
use crate::proxy::kept::store::Kept;
use crate::proxy::member::{Member, State};
use crate::proxy::subscribe::Wanted;
use crate::state::Options;

/// A seat of a session whose client is away.
#[derive(Debug)]
pub(in crate::proxy) struct KeptSeat {
    pub(in crate::proxy) filter: Box<str>,
    number: u64,
    home: usize,
    options: Options,
}

impl Hub {
    fn next_seat(&self) -> u64 {
        self.shared.seats.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends the seats of a session that is kept no longer.
    pub(in crate::proxy) fn end_seats(self: &Rc<Self>, kept: &Kept) {
        for seat in &kept.seats {
            self.send(seat.home, Letter::Gone { seat: seat.number });
        }
    }
}

impl Member {
    /// Asks for a seat in the group of this filter, unless it has one or has asked. Returns whether
    /// the group has answered.
    pub(in crate::proxy) fn ask_seat(&self, filter: &Rc<str>) -> bool {
        let hub = &self.hub;
        // What is refused anyway asks nobody.
        let found = hub.mapping().grant(filter, Qos::AtMostOnce, || {
            hub.with_mapping(|mapping| vec![(); mapping.subscribe(filter, |_, _| {}).len()])
        });
        if found.is_err() {
            return true;
        }
        let mut state = self.state.borrow_mut();
        let inbox = state.inbox.get_or_insert_default();
        if let Some(seat) = inbox.seat_of(filter) {
            return seat.answer.is_some();
        }
        let seat = Seat::new(filter, hub.next_seat(), hub.home_of(filter));
        self.join(&seat, None);
        inbox.seats.push(seat);
        false
    }

    fn join(&self, seat: &Seat, instead_of: Option<u64>) {
        let hub = &self.hub;
        hub.desk.hold(seat.number, &self.this);
        let (group, worker) = ((*seat.filter).into(), hub.cx.index());
        hub.send(seat.home, Letter::Join { group, seat: seat.number, worker, instead_of });
    }

    /// The group of a seat has answered.
    pub(super) fn take_joined(&self, number: u64, outcome: Result<(), ReasonCode>, instance: u64) {
        let mut state = self.state.borrow_mut();
        let Some(seat) = state.inbox.as_mut().and_then(|inbox| inbox.seat(number)) else { return };
        seat.answer = Some(outcome);
        seat.instance = Some(instance);
        let (filter, phase) = (Rc::clone(&seat.filter), seat.phase);
        if outcome.is_err() && phase == Phase::Held {
            // The group began anew, and cannot be served any more.
            state.drop_seat(&self.hub, &filter);
            self.hub.counters.subscriptions.decrement();
            self.report_unrouted(&filter);
        }
        drop(state);
        if phase == Phase::Joining {
            self.joined(&filter);
        }
    }

    /// Puts a shared subscription in force, or replaces it, and says with which QoS.
    pub(in crate::proxy) fn hold_share(&self, wanted: &Wanted) -> Result<ReasonCode, ReasonCode> {
        let hub = &self.hub;
        let mapping = hub.mapping();
        let granted = mapping
            .grant(&wanted.filter, wanted.qos, || mapping.subscribe(&wanted.filter, |_, _| {}));
        let mut state = self.state.borrow_mut();
        let held = state.count();
        let seat = state.inbox.as_mut().and_then(|inbox| inbox.seat_of(&wanted.filter));
        let Some(seat) = seat else {
            return Err(granted.err().unwrap_or(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR));
        };
        let is_new = seat.phase == Phase::Joining;
        let answer = seat.answer.unwrap_or(Err(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR));
        let refusal = match granted {
            Err(reason) => Some(reason),
            Ok(_) if !is_new => None,
            Ok(_) if held >= self.most_subscriptions as usize => Some(ReasonCode::QUOTA_EXCEEDED),
            Ok(_) => answer.err(),
        };
        if let Some(reason) = refusal {
            if is_new {
                state.drop_seat(hub, &wanted.filter);
            }
            return Err(reason);
        }
        let qos = granted.map(|(qos, _)| qos)?;
        seat.phase = Phase::Held;
        seat.set_options(Options {
            qos,
            no_local: false,
            retain_as_published: wanted.retain_as_published,
            id: wanted.id,
        });
        if is_new {
            hub.counters.subscriptions.increment();
        }
        Ok(ReasonCode(qos as u8))
    }

    /// Ends a shared subscription. What waits for it goes to others; what was sent is the
    /// connection's to complete [MQTT-3.10.4-3].
    pub(in crate::proxy) fn give_up_share(&self, filter: &str) -> ReasonCode {
        let hub = &self.hub;
        let mut state = self.state.borrow_mut();
        let Some(inbox) = &mut state.inbox else { return ReasonCode::NO_SUBSCRIPTION_EXISTED };
        let Some(seat) = inbox.seat_of(filter).filter(|seat| seat.phase == Phase::Held) else {
            return ReasonCode::NO_SUBSCRIPTION_EXISTED;
        };
        seat.tell(hub, true);
        seat.phase = Phase::Leaving;
        let (number, home) = (seat.number, seat.home);
        let back = inbox.take_back(number);
        hub.send(home, Letter::Leave { seat: number, back });
        inbox.forget_left(hub);
        hub.counters.subscriptions.decrement();
        ReasonCode::SUCCESS
    }

    /// Groups of `worker` that another instance had are no more: seats there are taken anew.
    pub(super) fn rejoin(&self, worker: usize, instance: u64) {
        let hub = &self.hub;
        let mut state = self.state.borrow_mut();
        let Some(inbox) = &mut state.inbox else { return };
        let is_lost = |seat: &&mut Seat| {
            let is_there = seat.home == worker && seat.phase != Phase::Leaving;
            is_there && seat.instance != Some(instance)
        };
        for seat in inbox.seats.iter_mut().filter(is_lost) {
            if seat.instance.is_none() {
                // It was not answered: perhaps nobody read it.
                self.join(seat, None);
                continue;
            }
            let old = seat.number;
            hub.desk.release(old);
            seat.renew(hub.next_seat());
            let new = seat.number;
            // What it was handed is still to be sent.
            inbox.queue.iter_mut().filter(|item| item.seat == old).for_each(|i| i.seat = new);
            self.join(seat, None);
        }
        drop(state);
        self.wake();
    }

    /// What is to be kept of its seats: they go on without it.
    pub(in crate::proxy) fn keep_seats(&self) -> Vec<KeptSeat> {
        let hub = &self.hub;
        let Some(inbox) = self.state.borrow_mut().inbox.take() else { return Vec::new() };
        let mut kept = Vec::new();
        for mut seat in inbox.seats {
            hub.desk.release(seat.number);
            seat.tell(hub, true);
            let Seat { number, home, options, .. } = seat;
            if seat.phase != Phase::Held {
                hub.send(home, Letter::Gone { seat: number });
                continue;
            }
            hub.send(home, Letter::Away { seat: number, qos: options.qos });
            hub.counters.subscriptions.decrement();
            kept.push(KeptSeat { filter: (*seat.filter).into(), number, home, options });
        }
        kept
    }

    /// Takes a seat in the place of one that an earlier connection left.
    pub(in crate::proxy) fn resume_seat(&self, state: &mut State, kept: &KeptSeat) {
        let hub = &self.hub;
        let filter: Rc<str> = (*kept.filter).into();
        let qos = kept.options.qos.min(hub.qos_max());
        let mut seat = Seat::new(&filter, hub.next_seat(), kept.home);
        seat.set_options(Options { qos, ..kept.options });
        seat.phase = Phase::Held;
        self.join(&seat, Some(kept.number));
        hub.counters.subscriptions.increment();
        state.inbox.get_or_insert_default().seats.push(seat);
    }
}

impl State {
    /// Subscriptions in force.
    pub(in crate::proxy) fn count(&self) -> usize {
        self.held.len() + self.inbox.as_ref().map_or(0, |inbox| inbox.held())
    }

    fn drop_seat(&mut self, hub: &Rc<Hub>, filter: &str) {
        let Some(inbox) = &mut self.inbox else { return };
        let Some(seat) = inbox.seat_of(filter) else { return };
        let (number, home) = (seat.number, seat.home);
        hub.desk.release(number);
        hub.send(home, Letter::Gone { seat: number });
        inbox.take_back(number);
        inbox.seats.retain(|seat| seat.number != number);
    }

    /// Gives up all seats: the session ends.
    pub(in crate::proxy) fn leave_seats(&mut self, hub: &Rc<Hub>) {
        let Some(inbox) = self.inbox.take() else { return };
        for mut seat in inbox.seats {
            hub.desk.release(seat.number);
            seat.tell(hub, true);
            hub.send(seat.home, Letter::Gone { seat: seat.number });
            if seat.phase == Phase::Held {
                hub.counters.subscriptions.decrement();
            }
        }
    }
}
