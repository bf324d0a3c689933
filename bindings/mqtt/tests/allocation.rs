//! The QoS 0 steady path allocates nothing: neither a publish on its way in nor a delivery on its
//! way out. An idle connection keeps little.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine::bytes::{Acceptor, Conn, ConnMeta};
use engine::spi::WorkerCx;
use mqtt::wire::{Connect, Packet, PublishExtras, decode, encode_connect, encode_publish, header};
use mqtt_plane::{
    Appetite, Cause, Closed, Delivery, Event, Frames, Keep, Limits, Messages, MqttExit, Opened,
    Position, Publish, PublishProperties, Qos, ReasonCode, Session, SessionBegin, Stage,
    Subscription, Ticket, Version,
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
fn deliveries(version: Version) -> Vec<Event> {
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
                subscription_ids: None,
                position: Position::default(),
            })
        })
        .collect()
}

async fn connect(client: &mut DuplexStream, version: Version, client_id: &str) {
    let mut bytes = Vec::new();
    encode_connect(&mut bytes, &Connect::new(version, client_id)).unwrap();
    client.write_all(&bytes).await.unwrap();
    let mut connack = [0; 128];
    let len = client.read(&mut connack).await.unwrap();
    let header = header(&connack[..len]).unwrap().unwrap();
    let packet = decode(version, header, &connack[..len]).unwrap();
    assert!(matches!(packet, Packet::Connack(connack) if connack.reason == ReasonCode::SUCCESS));
}

fn steady_path(version: Version) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let shared = Rc::new(Shared::default());
        let server = mqtt::detached(&WorkerCx::detached(), Rc::new(Exit(Rc::clone(&shared))));
        let (mut client, io) = tokio::io::duplex(64 * 1024);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let meta = ConnMeta { peer: address, local: address, acceptor: Acceptor::default() };
        let serving = tokio::task::spawn_local(server.serve(Conn { io: Box::new(io), meta }));
        connect(&mut client, version, "steady").await;

        let mut publish = Vec::new();
        let extras = PublishExtras::of(&message(version));
        encode_publish(&mut publish, version, &message(version), &extras).unwrap();
        // A frame larger than one read takes part of the next, and packets lie across reads.
        let publishes = publish.repeat(COUNT);
        let mut received = vec![0; publishes.len()];
        let mut rounds: Vec<Vec<Event>> = (0..ROUNDS).map(|_| deliveries(version)).collect();
        shared.deliveries.borrow_mut().reserve(COUNT);

        let mut before = 0;
        for (round, batch) in rounds.iter_mut().enumerate() {
            if round == WARM_UP {
                before = counting_alloc::allocations();
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
            client.read_exact(&mut received).await.unwrap();
        }
        let allocated = counting_alloc::allocations() - before;
        assert_eq!(received, publishes, "deliveries are the publishes, byte for byte");
        assert_eq!(allocated, 0, "allocations for {} messages", 2 * COUNT * (ROUNDS - WARM_UP));
        drop(client);
        serving.await.unwrap();
    });
}

#[test]
fn a_qos_0_message_of_3_1_1_allocates_nothing_in_or_out() {
    steady_path(Version::V311);
}

#[test]
fn a_qos_0_message_of_5_0_allocates_nothing_in_or_out() {
    steady_path(Version::V5);
}

/// What an idle connection keeps, without what its exit does: its task, its place among the others,
/// and no buffer.
#[test]
fn an_idle_connection_keeps_little() {
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
            connect(client, Version::V5, &format!("client-{at}")).await;
        }
        let bytes = (counting_alloc::held_bytes() - before) / i64::try_from(CONNECTIONS).unwrap();
        assert!(bytes <= 1000, "{bytes} bytes a connection");
    });
}
