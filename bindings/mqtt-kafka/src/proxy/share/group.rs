//! A group: a session without a client, and the seats among which it spreads what it receives.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use mqtt_plane::{Qos, ReasonCode, RetainHandling, plain};

use super::WINDOW_BYTES;
use super::letters::Parcel;
use crate::proxy::hub::Hub;
use crate::proxy::member::Member;
use crate::proxy::subscribe::{Request, Wanted};

/// All subscriptions to one `$share/name/filter`. It begins with the first of them, where the logs
/// end then, and ends with the last.
pub(super) struct Group {
    pub(super) name: Arc<str>,
    /// Its own session.
    pub(super) member: Rc<Member>,
    pub(super) state: RefCell<State>,
    pub(super) waker: Cell<Option<Waker>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) seats: Vec<Seat>,
    /// The seat whose turn is next.
    pub(super) next: usize,
    /// What is to be handed out before anything else, by its number: what came back, and what no
    /// seat has taken yet.
    pub(super) queue: BTreeMap<u64, Parcel>,
    /// The number of the message received last.
    pub(super) last: u64,
    /// Whether its own subscription is in force.
    pub(super) is_in_force: bool,
    pub(super) is_over: bool,
}

/// One session's place in a group.
pub(super) struct Seat {
    pub(super) number: u64,
    pub(super) worker: usize,
    pub(super) phase: Phase,
    /// Messages that it takes at present.
    pub(super) credit: usize,
    /// What it was handed and has not settled.
    pub(super) open: VecDeque<Parcel>,
    /// Payloads in `open`, bytes.
    pub(super) bytes: usize,
    /// What is on its way to it.
    pub(super) batch: Vec<Parcel>,
}

/// What can be expected of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its client is connected.
    Here,
    /// Its client is away, and its session is kept: it was granted this QoS.
    Away(Qos),
    /// It takes no more, and settles what it has.
    Leaving,
}

impl Seat {
    fn new(number: u64, worker: usize) -> Self {
        Self {
            number,
            worker,
            phase: Phase::Here,
            credit: 0,
            open: VecDeque::new(),
            bytes: 0,
            batch: Vec::new(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.phase == Phase::Here && self.credit > 0 && self.bytes < WINDOW_BYTES
    }

    /// Takes a message out of what is open.
    fn take(&mut self, number: u64) -> Option<Parcel> {
        let at = self.open.iter().position(|parcel| parcel.number == number)?;
        let parcel = self.open.remove(at)?;
        self.bytes -= parcel.view.payload_len();
        Some(parcel)
    }
}

impl Group {
    /// Begins a group: it asks where the logs end.
    pub(super) fn begin(hub: &Rc<Hub>, name: &Arc<str>) -> Rc<Self> {
        let member = hub.enter_group(name);
        member.request(Request::Subscribe {
            ticket: 1,
            wanted: vec![Wanted {
                filter: plain(name).into(),
                // As published; each seat has its own.
                qos: Qos::ExactlyOnce,
                no_local: false,
                retain_as_published: true,
                // Retained messages are not sent to shared subscriptions.
                handling: RetainHandling::DoNotSend,
                id: None,
            }],
        });
        let name = Arc::clone(name);
        let state = RefCell::default();
        let group = Rc::new(Self { name, member, state, waker: Cell::default() });
        let (weak, task) = (Rc::downgrade(hub), Rc::clone(&group));
        hub.cx.spawn(poll_fn(move |cx| task.poll(&weak, cx)));
        group
    }

    /// Lets its task look again.
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn join(&self, hub: &Rc<Hub>, number: u64, worker: usize, instead_of: Option<u64>) {
        let mut state = self.state.borrow_mut();
        if state.seats.iter().any(|seat| seat.number == number) {
            // Asked again; the answer is on its way, or comes when the group has begun.
            return;
        }
        state.come_back(self);
        if let Some(old) = state.seats.iter_mut().find(|seat| Some(seat.number) == instead_of) {
            // Here still: what it has comes back when its last letters are read.
            let is_away = old.phase != Phase::Here;
            old.phase = Phase::Leaving;
            if is_away {
                state.remove(hub, instead_of.unwrap_or_default());
            }
        }
        state.seats.push(Seat::new(number, worker));
        if state.is_in_force {
            hub.tell_joined(worker, number, Ok(()));
        }
    }

    /// What the first seats wait for has come.
    pub(super) fn begun(&self, hub: &Rc<Hub>, reason: ReasonCode) {
        let mut state = self.state.borrow_mut();
        let outcome = if reason.is_error() { Err(reason) } else { Ok(()) };
        for seat in &state.seats {
            hub.tell_joined(seat.worker, seat.number, outcome);
        }
        state.is_in_force = true;
        if outcome.is_err() {
            self.end(hub, &mut state);
        }
    }

    pub(super) fn settle(&self, seat: u64, numbers: &[u64], credit: u16) {
        let state = &mut *self.state.borrow_mut();
        let Some(seat) = state.seats.iter_mut().find(|known| known.number == seat) else { return };
        for number in numbers {
            seat.take(*number);
        }
        seat.credit += usize::from(credit);
        self.wake();
    }

    /// The seat's subscription was ended. What was sent to its client is the connection's to
    /// complete [MQTT-3.10.4-3]; the rest is for others.
    pub(super) fn leave(&self, hub: &Rc<Hub>, seat: u64, back: &[u64]) {
        let mut state = self.state.borrow_mut();
        let Some(at) = state.seats.iter().position(|known| known.number == seat) else { return };
        state.seats[at].phase = Phase::Leaving;
        for number in back {
            if let Some(parcel) = state.seats[at].take(*number) {
                state.queue.insert(*number, parcel);
                hub.counters.shared_redelivered.increment();
            }
        }
        self.leave_empty(hub, &mut state);
        self.wake();
    }

    /// What the client of the seat has not acknowledged may go to another at once.
    pub(super) fn away(&self, hub: &Rc<Hub>, seat: u64, qos: Qos) {
        let mut state = self.state.borrow_mut();
        let Some(at) = state.seats.iter().position(|known| known.number == seat) else { return };
        let was_replaced = state.seats[at].phase == Phase::Leaving;
        if was_replaced || hub.refusal.get().is_some() {
            state.remove(hub, seat);
            self.end_if_empty(hub, &mut state);
        } else {
            state.give_back(hub, at);
            state.seats[at].phase = Phase::Away(qos);
            state.seats[at].credit = 0;
        }
        self.wake();
    }

    /// What the seat has not settled goes to another.
    pub(super) fn gone(&self, hub: &Rc<Hub>, seat: u64) {
        let mut state = self.state.borrow_mut();
        state.remove(hub, seat);
        self.end_if_empty(hub, &mut state);
        self.wake();
    }

    /// Removes a seat that leaves, once it has settled everything.
    pub(super) fn leave_empty(&self, hub: &Rc<Hub>, state: &mut State) {
        let is_done = |seat: &&Seat| seat.phase == Phase::Leaving && seat.open.is_empty();
        while let Some(seat) = state.seats.iter().find(is_done).map(|seat| seat.number) {
            state.remove(hub, seat);
        }
        self.end_if_empty(hub, state);
    }

    fn end_if_empty(&self, hub: &Rc<Hub>, state: &mut State) {
        if state.seats.is_empty() {
            self.end(hub, state);
        }
    }

    fn end(&self, hub: &Rc<Hub>, state: &mut State) {
        if std::mem::replace(&mut state.is_over, true) {
            return;
        }
        for seat in state.seats.drain(..) {
            hub.desk.forget_seat(seat.number);
        }
        state.queue.clear();
        hub.forget_group(&self.name);
        hub.leave_group(&self.member);
        self.wake();
    }

    /// The binding is to end.
    pub(super) fn retire(&self, hub: &Rc<Hub>, all: bool) {
        let mut state = self.state.borrow_mut();
        let ends = |seat: &&Seat| all || matches!(seat.phase, Phase::Away(_));
        while let Some(seat) = state.seats.iter().find(ends).map(|seat| seat.number) {
            state.remove(hub, seat);
        }
        self.end_if_empty(hub, &mut state);
    }
}

impl State {
    /// Removes a seat; what it has not settled comes back.
    fn remove(&mut self, hub: &Rc<Hub>, seat: u64) {
        let Some(at) = self.seats.iter().position(|known| known.number == seat) else { return };
        self.give_back(hub, at);
        self.seats.remove(at);
        if at < self.next {
            self.next -= 1;
        }
        hub.desk.forget_seat(seat);
    }

    fn give_back(&mut self, hub: &Hub, at: usize) {
        let seat = &mut self.seats[at];
        seat.bytes = 0;
        for parcel in seat.open.drain(..) {
            hub.counters.shared_redelivered.increment();
            self.queue.insert(parcel.number, parcel);
        }
    }

    /// The first client is about to come back to a group whose clients were all away: as to any
    /// session, nothing of QoS 0 was kept for them, and nothing at all where none was granted more.
    fn come_back(&mut self, group: &Group) {
        let is_here = |seat: &Seat| seat.phase == Phase::Here;
        if !self.is_in_force || self.seats.iter().any(is_here) {
            return;
        }
        let keeps = |seat: &Seat| matches!(seat.phase, Phase::Away(qos) if qos > Qos::AtMostOnce);
        let is_reliable = self.seats.iter().any(keeps);
        self.queue.retain(|_, parcel| is_reliable && parcel.view.qos() > Qos::AtMostOnce);
        group.member.skip_while_away(is_reliable);
    }
}
