//! The QoS 0 steady path allocates nothing: neither a publish on its way in nor a delivery on its
//! way out. An idle connection keeps little.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use engine::bytes::{Acceptor, Conn, ConnMeta};
use engine::spi::WorkerCx;
use mqtt::wire::{
    Connect, Packet, PublishExtras, SubscriptionIdView, decode, encode_connect, encode_publish,
    header,
};
use mqtt_plane::{
    Appetite, Cause, Closed, Delivery, Event, Frames, Keep, Limits, Messages, MqttExit, Opened,
    Position, Publish, PublishProperties, Qos, ReasonCode, Session, SessionBegin, Stage,
    Subscription, SubscriptionIds, Ticket, Version,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

#[global_allocator]
static ALLOCATOR: counting_alloc::CountingAllocator = counting_alloc::CountingAllocator;

/// Messages in a round.
const COUNT: usize = 1000;

/// Rounds; the first ones let buffers grow to their size.
const ROUNDS: usize = 8;
const WARM_UP: usize = 3;

fn message<'a>(version: Version) -> Publish<'a> {
    let properties = match version {
        Version::V311 => PublishProperties::default(),
        Version::V5 => PublishProperties {
            content_type: Some("application/json"),
            response_topic: Some("answers/17"),
            ..PublishProperties::default()
        },
    };
    let payload = b"{\"t\":21.5,\"unit\":\"C\"}";
    Publish {
        topic: "sensors/17/temperature",
        payload,
        qos: Qos::AtMostOnce,
        retain: false,
        properties,
    }
}

/// What the test and the session of the exit share.
#[derive(Default)]
struct Shared {
    published: Cell<usize>,
    deliveries: RefCell<VecDeque<Event>>,
    waker: RefCell<Option<Waker>>,
}

struct Exit(Rc<Shared>);

impl MqttExit for Exit {
    fn limits(&self) -> Limits {
        Limits {
            maximum_qos: Qos::AtLeastOnce,
            maximum_packet_size: 1024 * 1024,
            receive_maximum: 100,
            keeps_sessions: false,
        }
    }

    fn open(&self, _: SessionBegin<'_>) -> Result<Opened, Closed> {
        Ok(Opened::new(Box::new(ExitSession(Rc::clone(&self.0)))))
    }
}

struct ExitSession(Rc<Shared>);

impl Session for ExitSession {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        Poll::Ready(Ok(()))
    }

    fn publish(&mut self, _: Ticket, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        assert_eq!(publish.topic, "sensors/17/temperature");
        self.0.published.set(self.0.published.get() + 1);
        Ok(())
    }

    fn subscribe(&mut self, _: Ticket, _: &[Subscription<'_>]) {}

    fn unsubscribe(&mut self, _: Ticket, _: &[&str]) {}

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>> {
        let mut deliveries = self.0.deliveries.borrow_mut();
        let mut bytes = 0;
        while bytes < appetite.bytes
            && let Some(event) = deliveries.pop_front()
        {
            bytes += message(Version::V5).payload.len();
            out.push(event);
        }
        if bytes > 0 {
            return Poll::Ready(Ok(()));
        }
        let mut waker = self.0.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn acknowledge(&mut self, _: Position, _: Stage) {}

    fn close(&mut self, _: Cause, _: Option<Keep>) {}
}

/// A run of messages as a worker receives it.
struct Run {
    version: Version,
    frames: Frames,
}

impl Messages for Run {
    fn publish(&self, _: u32) -> Publish<'_> {
        message(self.version)
    }

    fn remaining_expiry(&self, _: u32) -> Option<u32> {
        None
    }

    fn frames(&self) -> &Frames {
        &self.frames
    }
}

/// Deliveries of a round, shared (encoded once for all) and alone in turn. Made ahead: a run is
/// allocated where it is received, which is not what is measured here.
fn deliveries(version: Version, ids: &SubscriptionIds) -> Vec<Event> {
    let run: Rc<dyn Messages> = Rc::new(Run { version, frames: Frames::new(COUNT) });
    // As if another session had received them before.
    for index in 0..u32::try_from(COUNT).unwrap() {
        let kind = mqtt_plane::FrameKind::new(version, Qos::AtMostOnce);
        let extras = PublishExtras::of(&message(version));
        run.frames().copy_into(index, kind, &mut Vec::new(), |arena| {
            encode_publish(arena, version, &message(version), &extras).unwrap()
        });
    }
    (0..COUNT)
        .map(|index| {
            Event::Deliver(Delivery {
                messages: Rc::clone(&run),
                index: u32::try_from(index).unwrap(),
                is_shared: index % 2 == 0,
                qos: Qos::AtMostOnce,
                retain: false,
                subscription_ids: ids.clone(),
                position: Position::default(),
            })
        })
        .collect()
}

async fn connect(client: &mut DuplexStream, version: Version, client_id: &str, aliases: u16) {
    let mut bytes = Vec::new();
    let mut connect = Connect::new(version, client_id);
    connect.properties.topic_alias_maximum = aliases;
    encode_connect(&mut bytes, &connect).unwrap();
    client.write_all(&bytes).await.unwrap();
    let mut connack = [0; 128];
    let len = client.read(&mut connack).await.unwrap();
    let header = header(&connack[..len]).unwrap().unwrap();
    let packet = decode(version, header, &connack[..len]).unwrap();
    assert!(matches!(packet, Packet::Connack(connack) if connack.reason == ReasonCode::SUCCESS));
}

/// What a client's deliveries have beside the message.
#[derive(Clone, Copy, Default)]
struct Extra {
    /// The Topic Alias Maximum.
    aliases: u16,
    /// The Subscription Identifier.
    id: Option<u32>,
}

impl Extra {
    /// How long a delivery is, where it has the alias of its topic or where it has both.
    fn len(self, version: Version, has_alias: bool, omits_topic: bool) -> usize {
        let ids = self.id.map_or_else(Vec::new, |id| vec![id]);
        let extras = PublishExtras {
            topic_alias: has_alias.then_some(1),
            omits_topic,
            subscription_ids: SubscriptionIdView::new(&ids),
            ..PublishExtras::of(&message(version))
        };
        let mut bytes = Vec::new();
        encode_publish(&mut bytes, version, &message(version), &extras).unwrap();
        bytes.len()
    }

    /// How long the deliveries of a round are together: the first of all sets the alias of the
    /// topic.
    fn round_len(self, version: Version, round: usize) -> usize {
        let known = self.len(version, true, true);
        match (self.aliases, round) {
            (0, _) => COUNT * self.len(version, false, false),
            (_, 0) => self.len(version, true, false) + (COUNT - 1) * known,
            _ => COUNT * known,
        }
    }
}

/// Sends messages in and out. Returns how long one took on its way out.
fn steady_path(version: Version, extra: Extra) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let shared = Rc::new(Shared::default());
        let server = mqtt::detached(&WorkerCx::detached(), Rc::new(Exit(Rc::clone(&shared))));
        let (mut client, io) = tokio::io::duplex(64 * 1024);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let meta = ConnMeta { peer: address, local: address, acceptor: Acceptor::default() };
        let serving = tokio::task::spawn_local(server.serve(Conn { io: Box::new(io), meta }));
        connect(&mut client, version, "steady", extra.aliases).await;

        let mut publish = Vec::new();
        let extras = PublishExtras::of(&message(version));
        encode_publish(&mut publish, version, &message(version), &extras).unwrap();
        // A frame larger than one read takes part of the next, and packets lie across reads.
        let publishes = publish.repeat(COUNT);
        let mut received = vec![0; COUNT * extra.len(version, true, false)];
        let lens: Vec<_> = (0..ROUNDS).map(|round| extra.round_len(version, round)).collect();
        let ids: SubscriptionIds = extra.id.map(|id| Rc::from([id]));
        let mut rounds: Vec<Vec<Event>> = (0..ROUNDS).map(|_| deliveries(version, &ids)).collect();
        shared.deliveries.borrow_mut().reserve(COUNT);

        let (mut before, mut took) = (0, Duration::ZERO);
        for (round, batch) in rounds.iter_mut().enumerate() {
            if round == WARM_UP {
                before = counting_alloc::allocations();
                took = Duration::ZERO;
            }
            for chunk in publishes.chunks(10_000) {
                client.write_all(chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
            while shared.published.get() < COUNT * (round + 1) {
                tokio::task::yield_now().await;
            }
            shared.deliveries.borrow_mut().extend(batch.drain(..));
            if let Some(waker) = &*shared.waker.borrow() {
                waker.wake_by_ref();
            }
            #[expect(clippy::disallowed_methods, reason = "what takes time is measured")]
            let begun = Instant::now();
            client.read_exact(&mut received[..lens[round]]).await.unwrap();
            took += begun.elapsed();
        }
        let allocated = counting_alloc::allocations() - before;
        if extra.aliases == 0 && extra.id.is_none() {
            let received = &received[..publishes.len()];
            assert_eq!(received, publishes, "deliveries are the publishes, byte for byte");
        }
        assert_eq!(allocated, 0, "allocations for {} messages", 2 * COUNT * (ROUNDS - WARM_UP));
        drop(client);
        serving.await.unwrap();
        took / u32::try_from(COUNT * (ROUNDS - WARM_UP)).unwrap()
    })
}

#[test]
fn a_qos_0_message_of_3_1_1_allocates_nothing_in_or_out() {
    steady_path(Version::V311, Extra::default());
}

#[test]
fn a_qos_0_message_of_5_0_allocates_nothing_in_or_out() {
    steady_path(Version::V5, Extra::default());
}

#[test]
fn aliases_and_identifiers_allocate_nothing_once_they_are_set() {
    steady_path(Version::V5, Extra { aliases: 10, id: None });
    steady_path(Version::V5, Extra { aliases: 0, id: Some(300) });
}

/// What a delivery costs with aliases and identifiers and without them, by `cargo test --release -p
/// mqtt --test allocation -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_a_delivery_costs() {
    let extras = [
        ("3.1.1", Version::V311, Extra::default()),
        ("5.0", Version::V5, Extra::default()),
        ("5.0, an identifier", Version::V5, Extra { aliases: 0, id: Some(300) }),
        ("5.0, aliases", Version::V5, Extra { aliases: 10, id: None }),
        ("5.0, both", Version::V5, Extra { aliases: 10, id: Some(300) }),
    ];
    for (name, version, extra) in extras {
        let mut times: Vec<Duration> = (0..41).map(|_| steady_path(version, extra)).collect();
        times.sort();
        eprintln!("{name:20} {:?} (least {:?}) a message", times[times.len() / 2], times[0]);
    }
}

/// What an idle connection keeps, without what its exit does: its task, its place among the others,
/// and no buffer.
#[test]
fn an_idle_connection_keeps_little() {
    let bytes = idle_bytes(0);
    assert!(bytes <= 1000, "{bytes} bytes a connection");
    // Only who allows aliases has room for them.
    let with_aliases = idle_bytes(10);
    assert!(bytes + 64 <= with_aliases, "{bytes} without, {with_aliases} with aliases");
}

/// What an idle connection keeps of a client with this Topic Alias Maximum, bytes.
fn idle_bytes(aliases: u16) -> i64 {
    const CONNECTIONS: usize = 200;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let shared = Rc::new(Shared::default());
        let server = mqtt::detached(&WorkerCx::detached(), Rc::new(Exit(Rc::clone(&shared))));
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let meta = ConnMeta { peer: address, local: address, acceptor: Acceptor::default() };
        // Each end has written before, so that its buffer is not counted.
        let mut streams = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let (mut client, mut io) = tokio::io::duplex(128);
            for (from, to) in [(0, 1), (1, 0)] {
                let ends = [&mut client, &mut io];
                ends[from].write_all(&[0; 128]).await.unwrap();
                ends[to].read_exact(&mut [0; 128]).await.unwrap();
            }
            streams.push((client, Some(io)));
        }
        let before = counting_alloc::held_bytes();
        for (at, (client, io)) in streams.iter_mut().enumerate() {
            let io = Box::new(io.take().unwrap());
            drop(tokio::task::spawn_local(server.clone().serve(Conn { io, meta: meta.clone() })));
            connect(client, Version::V5, &format!("client-{at}"), aliases).await;
        }
        (counting_alloc::held_bytes() - before) / i64::try_from(CONNECTIONS).unwrap()
    })
}
