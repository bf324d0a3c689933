//! An exit that takes everything, answers when it is told to, and gives the client's publishes back.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use mqtt_plane::{
    Appetite, Cause, Closed, Delivery, Event, Frames, Keep, Limits, Messages, MqttExit, Opened,
    Position, Publish, PublishProperties, Qos, ReasonCode, Session, SessionBegin, Stage,
    Subscription, Ticket,
};

pub const RECEIVE_MAXIMUM: u16 = 5;

/// What the client and the session of the exit share.
#[derive(Default)]
pub struct State {
    /// Answers that wait until they are released.
    held: VecDeque<Event>,
    /// Answers to hand out.
    answers: VecDeque<Event>,
    /// Messages to hand out: QoS and payload.
    messages: VecDeque<(Qos, Vec<u8>)>,
    /// Deliveries of QoS 1 and 2 that are not complete, by offset: whether each was received.
    open: BTreeMap<i64, bool>,
    next_offset: i64,
    /// The highest QoS of the subscriptions, where there are any.
    granted: Option<Qos>,
    wakers: Vec<Waker>,
    pub is_ready: bool,
    pub is_prompt: bool,
    pub ends: bool,
    /// Payload bytes handed out.
    pub handed: usize,
    pub publishes: usize,
    pub opened: usize,
    pub closed: usize,
}

impl State {
    /// An exit that is ready; `is_prompt`: it answers at once.
    pub fn new(is_prompt: bool) -> Self {
        Self { is_ready: true, is_prompt, ..Self::default() }
    }

    /// Makes a message for the client, as another client's.
    pub fn message(&mut self, qos: Qos, len: usize) {
        self.messages.push_back((qos, vec![b'm'; len]));
        self.wake();
    }

    /// Releases the answers that were held, `count` at most.
    pub fn answer(&mut self, count: usize) {
        let count = count.min(self.held.len());
        self.answers.extend(self.held.drain(..count));
        self.wake();
    }

    pub fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn ask(&mut self, answer: Event) {
        if self.is_prompt { &mut self.answers } else { &mut self.held }.push_back(answer);
    }
}

pub struct Exit(pub Rc<RefCell<State>>);

impl MqttExit for Exit {
    fn limits(&self) -> Limits {
        Limits {
            maximum_qos: Qos::ExactlyOnce,
            maximum_packet_size: 16 * 1024,
            receive_maximum: RECEIVE_MAXIMUM,
            keeps_sessions: false,
        }
    }

    fn open(&self, _: SessionBegin<'_>) -> Result<Opened, Closed> {
        self.0.borrow_mut().opened += 1;
        Ok(Opened::new(Box::new(ExitSession(Rc::clone(&self.0)))))
    }
}

struct ExitSession(Rc<RefCell<State>>);

impl Session for ExitSession {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut state = self.0.borrow_mut();
        if state.is_ready {
            return Poll::Ready(Ok(()));
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn publish(&mut self, ticket: Ticket, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        let mut state = self.0.borrow_mut();
        assert!(state.is_ready, "published without asking");
        assert_eq!(ticket == 0, publish.qos == Qos::AtMostOnce);
        let is_asked = |event: &Event| matches!(event, Event::Published { ticket: other, .. } if *other == ticket);
        assert!(ticket == 0 || !state.held.iter().chain(&state.answers).any(is_asked));
        state.publishes += 1;
        if publish.payload.first() == Some(&b'!') {
            return Err(ReasonCode::NOT_AUTHORIZED);
        }
        if ticket != 0 {
            state.ask(Event::Published { ticket, reason: ReasonCode::SUCCESS });
        }
        if let Some(granted) = state.granted {
            let qos = granted.min(publish.qos);
            state.messages.push_back((qos, publish.payload.to_owned()));
        }
        Ok(())
    }

    fn subscribe(&mut self, ticket: Ticket, subscriptions: &[Subscription<'_>]) {
        let mut state = self.0.borrow_mut();
        let highest = subscriptions.iter().map(|each| each.qos).max();
        state.granted = state.granted.max(highest);
        let reasons = subscriptions.iter().map(|each| ReasonCode(each.qos as u8)).collect();
        state.ask(Event::Subscribed { ticket, reasons });
    }

    fn unsubscribe(&mut self, ticket: Ticket, filters: &[&str]) {
        let mut state = self.0.borrow_mut();
        state.granted = None;
        let reasons = filters.iter().map(|_| ReasonCode::SUCCESS).collect();
        if ticket != 0 {
            state.ask(Event::Unsubscribed { ticket, reasons });
        }
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let before = out.len();
        out.extend(state.answers.drain(..));
        let (mut bytes, mut in_flight) = (0, 0);
        while let Some((qos, payload)) = state.messages.front() {
            let is_counted = *qos != Qos::AtMostOnce;
            if bytes >= appetite.bytes || is_counted && in_flight >= appetite.in_flight {
                break;
            }
            bytes += payload.len();
            in_flight += u16::from(is_counted);
            let offset = state.next_offset;
            state.next_offset += 1;
            if is_counted {
                state.open.insert(offset, false);
            }
            let Some((qos, payload)) = state.messages.pop_front() else { break };
            out.push(Event::Deliver(delivery(qos, offset, &payload)));
        }
        state.handed += bytes;
        if state.ends {
            let closed = Closed { reason: ReasonCode::QUOTA_EXCEEDED, detail: "told to" };
            return Poll::Ready(Err(closed));
        }
        if out.len() > before {
            return Poll::Ready(Ok(()));
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn acknowledge(&mut self, position: Position, stage: Stage) {
        let mut state = self.0.borrow_mut();
        match stage {
            Stage::Received => {
                let earlier = state.open.insert(position.offset, true);
                assert_eq!(earlier, Some(false), "received once");
            }
            Stage::Completed => {
                let open = state.open.remove(&position.offset);
                assert!(open.is_some(), "completed once");
            }
        }
    }

    fn close(&mut self, _: Cause, _: Option<Keep>) {
        self.0.borrow_mut().closed += 1;
    }
}

/// A run of one message.
struct OneMessage {
    payload: Vec<u8>,
    qos: Qos,
    frames: Frames,
}

impl Messages for OneMessage {
    fn publish(&self, _: u32) -> Publish<'_> {
        Publish {
            topic: "t",
            payload: &self.payload,
            qos: self.qos,
            retain: false,
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

/// A delivery whose payload begins with its offset.
fn delivery(qos: Qos, offset: i64, payload: &[u8]) -> Delivery {
    let payload = [&offset.to_be_bytes()[..], payload].concat();
    Delivery {
        messages: Rc::new(OneMessage { payload, qos, frames: Frames::new(1) }),
        index: 0,
        is_shared: offset % 2 == 0,
        qos,
        retain: offset % 3 == 0,
        subscription_ids: None,
        position: Position { log: 0, offset },
    }
}
