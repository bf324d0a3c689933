//! The proxy on a Kafka in memory.

mod allocation;
mod dispatch;
mod kafka;
mod publish;
mod reload;
mod retained;
mod sessions;
mod share;
mod subscribe;
mod wills;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use engine::config::NodeName;
use engine::spi::{Link, WorkerCx};
use mqtt_plane::{
    Appetite, Closed, Event, MqttExit, Opened, Publish, PublishProperties, Qos, ReasonCode,
    RetainHandling, Session, SessionBegin, Subscription, Version, Will,
};

use super::{Hub, MqttKafka};
use crate::state::{Mapping, Pattern, Route, Template};
use kafka::Kafka;

pub(super) const EXIT: &str = "kafka0";

/// Runs a test as a worker does: one thread, a paused clock.
fn on_worker(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

/// Subscriptions that a session may have.
const MOST_SUBSCRIPTIONS: u32 = 50;

struct World {
    kafka: Rc<Kafka>,
    hub: Rc<Hub>,
}

impl World {
    fn new() -> Self {
        Self::with(mapping(&[]))
    }

    fn with(mapping: Mapping) -> Self {
        let kafka = Kafka::new("one");
        let exits = vec![(NodeName::new("n", EXIT), Link::to(kafka.exit()))];
        let name = NodeName::new("n", "map0");
        let hub = Hub::new(&name, &WorkerCx::detached(), Arc::new(mapping), exits, Arc::default());
        kafka.run();
        Self { kafka, hub }
    }

    /// Another worker of the same binding.
    fn beside(&self) -> Self {
        let exits = vec![(NodeName::new("n", EXIT), Link::to(self.kafka.exit()))];
        let name = NodeName::new("n", "map0");
        let (mapping, shared) = (self.hub.mapping(), Arc::clone(&self.hub.shared));
        let hub = Hub::new(&name, &WorkerCx::detached(), mapping, exits, shared);
        self.kafka.run();
        Self { kafka: Rc::clone(&self.kafka), hub }
    }

    /// So many workers of one binding.
    fn workers(count: usize) -> Vec<Self> {
        let kafka = Kafka::new("one");
        let (mapping, shared) = (Arc::new(mapping(&[])), Arc::default());
        let hubs = WorkerCx::detached_beside_each_other(count).into_iter().map(|cx| {
            let exits = vec![(NodeName::new("n", EXIT), Link::to(kafka.exit()))];
            let name = NodeName::new("n", "map0");
            Hub::new(&name, &cx, Arc::clone(&mapping), exits, Arc::clone(&shared))
        });
        let worlds = hubs.map(|hub| Self { kafka: Rc::clone(&kafka), hub }).collect();
        kafka.run();
        worlds
    }

    fn reload(&self, mapping: Mapping, kafka: &Rc<Kafka>) {
        let exits = vec![(NodeName::new("n", EXIT), Link::to(kafka.exit()))];
        self.hub.update(Arc::new(mapping), exits);
    }

    fn open(&self, client_id: &str) -> Client {
        self.open_with(client_id, None)
    }

    fn open_with(&self, client_id: &str, will: Option<Will>) -> Client {
        self.client(self.begin(client_id, true, 0, will).session)
    }

    /// Begins a session, or goes on with one.
    fn begin(
        &self,
        client_id: &str,
        clean_start: bool,
        session_expiry: u32,
        will: Option<Will>,
    ) -> Opened {
        let begin = SessionBegin {
            client_id: &client_id.into(),
            version: Version::V5,
            clean_start,
            session_expiry,
            most_subscriptions: MOST_SUBSCRIPTIONS,
            will,
        };
        MqttKafka(Rc::clone(&self.hub)).open(begin).unwrap()
    }

    fn client(&self, session: Box<dyn Session>) -> Client {
        Client { session, wakes: Arc::default(), kafka: Rc::clone(&self.kafka) }
    }

    /// A client that is subscribed.
    fn subscriber(&self, client_id: &str, filter: &str, qos: Qos) -> Client {
        let mut client = self.open(client_id);
        assert_eq!(client.subscribe(&[subscription(filter, qos)]), [ReasonCode(qos as u8)]);
        client
    }
}

/// A mapping with these routes, `(pattern, Kafka topic)`, and one to the messages topic.
fn mapping(routes: &[(&str, &str)]) -> Mapping {
    let mut all: Vec<Route> = routes.iter().map(|(pattern, topic)| route(pattern, topic)).collect();
    all.push(Route { is_open: true, publish: vec![], subscribe: vec![], messages: None, exit: 0 });
    Mapping {
        sessions: "sessions".into(),
        messages: "messages".into(),
        retained: "retained".into(),
        routes: all,
        clients: vec![],
        qos_max: Qos::ExactlyOnce,
    }
}

fn route(pattern: &str, topic: &str) -> Route {
    let patterns = || vec![Pattern::parse(pattern).unwrap()];
    Route {
        is_open: false,
        publish: patterns(),
        subscribe: patterns(),
        messages: Some(Template::parse(topic)),
        exit: 0,
    }
}

fn subscription(filter: &str, qos: Qos) -> Subscription<'_> {
    Subscription {
        filter,
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
        id: None,
    }
}

fn message<'a>(topic: &'a str, payload: &'a str, qos: Qos) -> Publish<'a> {
    let properties = PublishProperties::default();
    Publish { topic, payload: payload.as_bytes(), qos, retain: false, properties }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A message as a client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    topic: String,
    payload: String,
    qos: Qos,
    retain: bool,
    ids: Vec<u32>,
}

struct Client {
    session: Box<dyn Session>,
    wakes: Arc<Wakes>,
    kafka: Rc<Kafka>,
}

impl Client {
    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.wakes))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }

    fn poll_once(&mut self, appetite: Appetite, out: &mut Vec<Event>) -> Poll<Result<(), Closed>> {
        let waker = self.waker();
        self.session.poll_events(&mut Context::from_waker(&waker), appetite, out)
    }

    /// Everything that is there, until there is no more.
    fn events(&mut self) -> Result<Vec<Event>, Closed> {
        let mut out = Vec::new();
        let appetite = Appetite { bytes: 1 << 20, in_flight: 10_000 };
        loop {
            self.wakes();
            match self.poll_once(appetite, &mut out) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(closed)) => return Err(closed),
                Poll::Pending if self.wakes() > 0 => {}
                Poll::Pending => return Ok(out),
            }
        }
    }

    fn received(&mut self) -> Vec<Received> {
        received(&self.events().unwrap())
    }

    fn payloads(&mut self) -> Vec<String> {
        self.received().into_iter().map(|message| message.payload).collect()
    }

    fn subscribe(&mut self, subscriptions: &[Subscription<'_>]) -> Vec<ReasonCode> {
        self.session.subscribe(1, subscriptions);
        self.kafka.run();
        // Only the answer: messages stay for the test.
        let mut out = Vec::new();
        drop(self.poll_once(Appetite::default(), &mut out));
        match out.as_slice() {
            [Event::Subscribed { ticket: 1, reasons }] => reasons.to_vec(),
            _ => panic!("no SUBACK, or more than that"),
        }
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        let ticket = u32::from(publish.qos > Qos::AtMostOnce);
        self.session.publish(ticket, publish)
    }
}

fn received(events: &[Event]) -> Vec<Received> {
    let deliveries = events.iter().filter_map(|event| match event {
        Event::Deliver(delivery) => Some(delivery),
        _ => None,
    });
    let receive = |delivery: &mqtt_plane::Delivery| {
        let publish = delivery.messages.publish(delivery.index);
        let mut ids = delivery.subscription_ids.as_deref().unwrap_or_default().to_vec();
        ids.sort_unstable();
        Received {
            topic: publish.topic.to_owned(),
            payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
            qos: delivery.qos,
            retain: delivery.retain,
            ids,
        }
    };
    deliveries.map(receive).collect()
}
