//! Publishes, as records.

use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_plane::{Appended, Completion, Draft, Fault, Producer};
use mqtt_plane::{Closed, Publish, Qos, ReasonCode, Ticket};

use super::hub::Hub;
use super::member::Member;
use super::retained::pairs::Pair;
use super::upstream::Upstream;
use crate::state::RECEIVE_MAXIMUM;
use crate::wire::{PublishHeaders, message, retained};

/// MQTT topics whose destination is remembered; when they are too many they are found anew.
const DESTINATIONS: usize = 16_384;

/// How long publishers are paused while Kafka takes no more, before QoS 0 is dropped instead, so
/// that the other packets of those clients are read.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Where messages of an MQTT topic go.
pub(super) struct Destination {
    upstream: Rc<Upstream>,
    producer: Rc<dyn Producer>,
    topic: Box<str>,
    hash_key: Option<Box<str>>,
}

/// Where messages of each MQTT topic go; `None` for nowhere.
#[derive(Default)]
pub(super) struct Destinations(HashMap<Box<str>, Option<Rc<Destination>>>);

impl Destinations {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Hub {
    /// The token of an append: the ticket of its answer, and the generation that it is counted
    /// under while it is on its way.
    pub(super) fn token(&self, ticket: Ticket) -> u64 {
        (self.cx.generation() << Ticket::BITS) | u64::from(ticket)
    }

    pub(super) fn destination(&self, topic: &str) -> Option<Rc<Destination>> {
        let mut known = self.destinations.borrow_mut();
        if let Some(destination) = known.0.get(topic) {
            return destination.clone();
        }
        let mapping = self.mapping();
        let destination = mapping.publish(topic, |_, _| {}).map(|target| {
            let upstream = Rc::clone(&self.upstreams()[target.exit]);
            Rc::new(Destination {
                producer: upstream.producer(),
                upstream,
                topic: target.topic.into(),
                hash_key: mapping.hash_key(topic).map(|(_, key)| key.into()),
            })
        });
        if known.0.len() >= DESTINATIONS {
            known.clear();
        }
        known.0.insert(topic.into(), destination.clone());
        destination
    }

    /// Decides a publish, once for each topic that is remembered.
    fn admit_publish(
        &self,
        publish: &Publish<'_>,
        agreed: Qos,
    ) -> Result<Rc<Destination>, ReasonCode> {
        let find = || self.destination(publish.topic);
        self.with_mapping(|mapping| mapping.admit_publish(publish.qos, agreed, find))
    }

    /// Appends a publish: with RETAIN the retained record first, so that nobody who was told of
    /// the message finds an older one retained.
    pub(super) fn append(
        &self,
        destination: &Destination,
        publish: &Publish<'_>,
        client_id: Option<&str>,
        completion: Option<Completion>,
    ) -> Result<(), Fault> {
        // Answers are awaited where their own topic leads, if it leads anywhere.
        let response_topic = publish.properties.response_topic;
        let answers = response_topic.and_then(|topic| self.destination(topic));
        let reply_to = answers.as_ref().map_or(&destination.topic, |answers| &answers.topic);
        let headers = PublishHeaders::new(publish, client_id, reply_to);
        let hash_key = destination.hash_key.as_deref();
        let message = message(publish, &destination.topic, hash_key, &headers);
        if !publish.retain {
            return destination.producer.append(&[message], false, completion);
        }
        // The two are recognised as one publish by their time.
        let millis = self.cx.clock().unix_millis();
        let message = Draft { timestamp: Some(millis), ..message };
        self.shared.marks.note(publish.topic, millis, publish.payload);
        let table = destination.upstream.retained();
        let retained = retained(message, table.topic());
        let completion = Pair::begin(&self.shared, completion);
        destination.producer.append(&[retained, message], false, Some(completion))
    }

    /// Whether every exit takes another append.
    fn poll_upstreams(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut poll = Poll::Ready(());
        for upstream in self.upstreams().iter() {
            // A cluster that cannot be appended to refuses each publish by itself.
            if upstream.producer().poll_ready(cx).is_pending() {
                poll = Poll::Pending;
            }
        }
        if poll.is_ready() {
            self.full_since.set(None);
        }
        poll
    }

    /// Whether Kafka has taken no more for so long that QoS 0 is dropped.
    fn sheds(self: &Rc<Self>) -> bool {
        let now = self.cx.clock().now();
        let since = self.full_since.get().unwrap_or(now);
        self.full_since.set(Some(since));
        if now.duration_since(since) >= PATIENCE {
            return true;
        }
        if !self.is_full_timed.replace(true) {
            let hub = Rc::downgrade(self);
            self.cx.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                let Some(hub) = hub.upgrade() else { return };
                hub.is_full_timed.set(false);
                if hub.full_since.get().is_some() {
                    tracing::warn!(
                        event = "mqtt_kafka.publish.shedding",
                        binding = %hub.name,
                        "Kafka takes no more: QoS 0 publishes are dropped and counted until it does"
                    );
                }
                for member in hub.members() {
                    member.wake_publisher();
                }
            });
        }
        false
    }
}

impl Member {
    pub(super) fn wake_publisher(&self) {
        if let Some(waker) = self.ready_waker.take() {
            waker.wake();
        }
    }

    /// Whether the session takes another publish. A client is paused at the bound of its
    /// unanswered publishes and of the answers that it has not read, which one that keeps to
    /// Receive Maximum does not reach, while an exit is replaced, and while Kafka takes no more; one
    /// that publishes QoS 0 for a moment only.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let state = self.state.borrow();
        if let Some(closed) = &state.closed {
            return Poll::Ready(Err(closed.clone()));
        }
        let open = self.unanswered.get() + state.unread();
        drop(state);
        if open < usize::from(RECEIVE_MAXIMUM) && self.hub.moves.get() == 0 {
            if self.hub.poll_upstreams(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.hub.sheds() && !self.publishes_reliably.get() {
                return Poll::Ready(Ok(()));
            }
        }
        self.ready_waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Appends a publish. One with a ticket is answered when Kafka has it (acks=all).
    pub(super) fn publish(&self, ticket: Ticket, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        let hub = &self.hub;
        self.publishes_reliably.set(publish.qos > Qos::AtMostOnce);
        let refuse = |reason| {
            hub.counters.publishes_refused.increment();
            Err(reason)
        };
        let destination = match hub.admit_publish(publish, self.qos_max) {
            Ok(destination) => destination,
            Err(reason) => return refuse(reason),
        };
        if hub.full_since.get().is_some() {
            let mut cx = Context::from_waker(Waker::noop());
            if destination.producer.poll_ready(&mut cx).is_pending() {
                if publish.qos == Qos::AtMostOnce {
                    hub.counters.publishes_dropped.increment();
                    return Ok(());
                }
                return refuse(ReasonCode::QUOTA_EXCEEDED);
            }
        }
        let completion = (ticket != 0).then(|| self.this.upgrade()).flatten();
        let is_awaited = completion.is_some();
        let completion = completion.map(|owner| Completion { owner, token: hub.token(ticket) });
        match hub.append(&destination, publish, Some(&self.client_id), completion) {
            Ok(()) => {
                hub.counters.publishes_appended.increment();
                if is_awaited {
                    self.unanswered.set(self.unanswered.get() + 1);
                    hub.shared.underway.enter(hub.cx.generation());
                }
                Ok(())
            }
            Err(fault) if publish.qos == Qos::AtMostOnce => {
                // Nobody is told of a lost QoS 0 message: it is counted.
                hub.counters.publishes_failed.increment();
                tracing::debug!(
                    event = "mqtt_kafka.publish.failed",
                    binding = %hub.name,
                    fault = %fault,
                    "a QoS 0 publish was lost"
                );
                Ok(())
            }
            Err(fault) => refuse(reason_of(fault)),
        }
    }
}

/// The ticket of a token and, as far as they are told apart, the generation.
pub(super) fn of_token(token: u64) -> (Ticket, u64) {
    (Ticket::try_from(token & u64::from(Ticket::MAX)).unwrap_or_default(), token >> Ticket::BITS)
}

/// The code of PUBACK for a fault, among those that PUBACK may have [MQTT-3.4.2-1].
fn reason_of(fault: Fault) -> ReasonCode {
    match fault {
        Fault::NotAuthorized => ReasonCode::NOT_AUTHORIZED,
        Fault::TooLarge => ReasonCode::QUOTA_EXCEEDED,
        Fault::Unavailable | Fault::UnknownTopic | Fault::Refused(_) => {
            ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR
        }
    }
}

impl Appended for Member {
    fn appended(&self, token: u64, outcome: Result<(), Fault>) {
        let (ticket, generation) = of_token(token);
        self.unanswered.set(self.unanswered.get().saturating_sub(1));
        self.hub.shared.underway.leave(generation);
        let reason = match outcome {
            Ok(()) => ReasonCode::SUCCESS,
            Err(fault) => {
                self.hub.counters.publishes_failed.increment();
                reason_of(fault)
            }
        };
        self.state.borrow_mut().published.push((ticket, reason));
        self.wake();
    }
}
