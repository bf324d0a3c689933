//! One client's subscriptions to `$SYS` topics.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use mqtt_plane::{
    Appetite, Cause, Closed, Delivery, Event, Keep, Position, Publish, Qos, ReasonCode,
    RetainHandling, Session, Stage, Subscription, SubscriptionIds, Ticket,
};

use super::{Snapshot, System};
use crate::state::TopicSet;

/// Filters of one client: there are fewer topics.
const SUBSCRIPTIONS: usize = 100;

/// A subscription.
pub(in crate::server) struct Held {
    filter: Box<str>,
    retain_as_published: bool,
    id: Option<u32>,
    topics: TopicSet,
    /// What is to be sent as retained messages.
    replay: TopicSet,
}

/// What the session and those who tell it share.
pub(super) struct Member(RefCell<State>);

struct State {
    subscriptions: Vec<Held>,
    answers: VecDeque<Event>,
    /// What is told of each topic: the one copy that a slow client costs.
    snapshot: Rc<Snapshot>,
    /// Topics whose message has changed since it was sent.
    changed: TopicSet,
    waker: Option<Waker>,
}

impl Member {
    /// Time has passed.
    pub(super) fn advance(&self, snapshot: &Rc<Snapshot>) {
        let mut state = self.0.borrow_mut();
        state.advance(snapshot);
        if !state.changed.is_empty() {
            state.wake();
        }
    }
}

impl State {
    fn advance(&mut self, snapshot: &Rc<Snapshot>) {
        let changed = snapshot.changed_since(&self.snapshot);
        let wanted = self.subscriptions.iter().map(|held| held.topics);
        let wanted = wanted.fold(TopicSet::default(), TopicSet::or);
        self.changed = self.changed.or(changed.and(wanted));
        self.snapshot = Rc::clone(snapshot);
    }

    fn answer(&mut self, answer: Event) {
        self.answers.push_back(answer);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn remove(&mut self, filter: &str) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|held| *held.filter != *filter);
        self.subscriptions.len() < before
    }

    /// The next message: what was retained first, then what has changed since.
    fn next(&mut self) -> Option<Delivery> {
        for held in &mut self.subscriptions {
            if let Some(index) = held.replay.take_first() {
                let ids: SubscriptionIds = held.id.map(|id| Rc::from([id]));
                return Some(self.delivery(index, true, ids));
            }
        }
        while let Some(index) = self.changed.take_first() {
            let matching = || self.subscriptions.iter().filter(|held| held.topics.contains(index));
            // It may have been unsubscribed from meanwhile.
            if matching().next().is_none() {
                continue;
            }
            // One copy with all identifiers [MQTT-3.3.4-3], [MQTT-3.3.4-4], with RETAIN only for
            // who wants it as it was published [MQTT-3.3.1-12], [MQTT-3.3.1-13].
            let retain = matching().any(|held| held.retain_as_published);
            let ids: Rc<[u32]> = matching().filter_map(|held| held.id).collect();
            let ids: SubscriptionIds = Some(ids).filter(|ids| !ids.is_empty());
            return Some(self.delivery(index, retain, ids));
        }
        None
    }

    fn delivery(&self, index: u32, retain: bool, subscription_ids: SubscriptionIds) -> Delivery {
        Delivery {
            messages: Rc::<Snapshot>::clone(&self.snapshot),
            index,
            is_shared: true,
            qos: Qos::AtMostOnce,
            retain,
            subscription_ids,
            position: Position::default(),
        }
    }
}

/// One client's session with the server itself.
pub(super) struct SystemSession {
    system: Rc<System>,
    key: u64,
    client_id: Rc<str>,
    most_subscriptions: usize,
    member: Rc<Member>,
}

impl SystemSession {
    /// A session with what an earlier connection subscribed to.
    pub(super) fn new(
        system: &Rc<System>,
        client_id: &Rc<str>,
        most_subscriptions: u32,
        subscriptions: Vec<Held>,
    ) -> Self {
        let key = system.key();
        let is_subscribed = !subscriptions.is_empty();
        system.subscriptions.add(count(&subscriptions));
        let member = Rc::new(Member(RefCell::new(State {
            subscriptions,
            answers: VecDeque::new(),
            snapshot: system.snapshot(),
            changed: TopicSet::default(),
            waker: None,
        })));
        if is_subscribed {
            system.join(key, &member);
        }
        Self {
            system: Rc::clone(system),
            key,
            client_id: Rc::clone(client_id),
            most_subscriptions: SUBSCRIPTIONS.min(most_subscriptions as usize),
            member,
        }
    }

    /// Subscribes to nothing any more; what it has subscribed to.
    fn end(&self) -> Vec<Held> {
        self.system.leave(self.key);
        let subscriptions = std::mem::take(&mut self.member.0.borrow_mut().subscriptions);
        self.system.subscriptions.add(-count(&subscriptions));
        subscriptions
    }

    fn subscribe_one(&self, asked: &Subscription<'_>) -> ReasonCode {
        let mut state = self.member.0.borrow_mut();
        // [MQTT-3.8.4-3]
        let is_new = !state.remove(asked.filter);
        if is_new {
            if state.subscriptions.len() >= self.most_subscriptions {
                return ReasonCode::QUOTA_EXCEEDED;
            }
            self.system.subscriptions.increment();
        }
        let topics = TopicSet::matched_by(asked.filter);
        let is_replayed = match asked.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        state.subscriptions.push(Held {
            filter: asked.filter.into(),
            retain_as_published: asked.retain_as_published,
            id: asked.id,
            topics,
            replay: if is_replayed { topics } else { TopicSet::default() },
        });
        // Messages are of QoS 0 whatever is granted.
        ReasonCode(asked.qos as u8)
    }
}

fn count(subscriptions: &[Held]) -> i64 {
    i64::try_from(subscriptions.len()).unwrap_or(0)
}

impl Drop for SystemSession {
    fn drop(&mut self) {
        self.end();
    }
}

impl Session for SystemSession {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        Poll::Ready(Ok(()))
    }

    /// The server lets no client publish here.
    fn publish(&mut self, _: Ticket, _: &Publish<'_>) -> Result<(), ReasonCode> {
        Err(ReasonCode::TOPIC_NAME_INVALID)
    }

    fn subscribe(&mut self, ticket: Ticket, subscriptions: &[Subscription<'_>]) {
        // Before there are new ones: what they match is told as it is now.
        self.member.0.borrow_mut().advance(&self.system.snapshot());
        let reasons = subscriptions.iter().map(|asked| self.subscribe_one(asked)).collect();
        self.member.0.borrow_mut().answer(Event::Subscribed { ticket, reasons });
        self.system.join(self.key, &self.member);
    }

    fn unsubscribe(&mut self, ticket: Ticket, filters: &[&str]) {
        let mut state = self.member.0.borrow_mut();
        let mut remove = |filter: &&str| {
            if !state.remove(filter) {
                return ReasonCode::NO_SUBSCRIPTION_EXISTED;
            }
            self.system.subscriptions.decrement();
            ReasonCode::SUCCESS
        };
        let reasons = filters.iter().map(&mut remove).collect();
        if state.subscriptions.is_empty() {
            self.system.leave(self.key);
        }
        if ticket != 0 {
            state.answer(Event::Unsubscribed { ticket, reasons });
        }
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.member.0.borrow_mut();
        let before = out.len();
        out.extend(state.answers.drain(..));
        let mut bytes = 0;
        while bytes < appetite.bytes
            && let Some(delivery) = state.next()
        {
            bytes += delivery.messages.publish(delivery.index).payload.len();
            out.push(Event::Deliver(delivery));
        }
        if out.len() > before {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Everything is of QoS 0.
    fn acknowledge(&mut self, _: Position, _: Stage) {}

    fn close(&mut self, _: Cause, keep: Option<Keep>) {
        let subscriptions = self.end();
        if let Some(Keep { expiry, .. }) = keep
            && !subscriptions.is_empty()
        {
            self.system.keep(&self.client_id, subscriptions, expiry);
        }
    }
}
