//! Both ends of a server: a client that sends and expects bytes, an exit that notes what it is
//! asked and answers as it is told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use engine::bytes::{Accept, Acceptor, Conn, ConnMeta, Io};
use engine::config::NodeName;
use engine::spi::{Link, WorkerCx};
use engine::telemetry::Counter;
use mqtt_plane::{
    Appetite, Cause, Closed, Delivery, Event, Frames, Keep, Limits, Messages, MqttExit, Opened,
    Position, Publish, Qos, ReasonCode, Session, SessionBegin, Stage, Subscription, Ticket,
    Unfinished, Version, Will,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::server::node::{Server, Table};
use crate::state::{Policy, Route, Routes, Versions};
use crate::wire::{Connect, Packet, decode, encode, encode_connect, header};

pub(super) const SUCCESS: ReasonCode = ReasonCode::SUCCESS;

/// What an exit was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Open {
        client_id: String,
        clean_start: bool,
        session_expiry: u32,
        will: Option<String>,
    },
    Publish {
        ticket: Ticket,
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        retain: bool,
    },
    Subscribe {
        ticket: Ticket,
        filters: Vec<(String, u8, Option<u32>)>,
    },
    Unsubscribe {
        ticket: Ticket,
        filters: Vec<String>,
    },
    Acknowledge {
        offset: i64,
    },
    Receive {
        offset: i64,
    },
    Close {
        client_id: String,
        cause: Cause,
    },
    /// Follows a close after which the session is kept.
    Keep(Keep),
}

/// What an exit does.
pub(super) struct Script {
    pub(super) limits: Limits,
    pub(super) asked: Vec<Asked>,
    pub(super) events: VecDeque<Event>,
    pub(super) is_ready: bool,
    /// Answers publishes and requests with success at once.
    pub(super) answers: bool,
    /// What publishes are refused with.
    pub(super) refuses: Option<ReasonCode>,
    /// What sessions are refused with.
    pub(super) refuses_sessions: Option<Closed>,
    /// What the next session takes over.
    pub(super) resumes: Option<Unfinished>,
    /// Whether a session of every client is kept.
    pub(super) keeps: bool,
    /// What sessions end with.
    pub(super) ends: Option<Closed>,
    pub(super) last_appetite: Appetite,
    wakers: Vec<Waker>,
}

/// An exit that follows a script.
#[derive(Clone)]
pub(super) struct Exit(pub(super) Rc<RefCell<Script>>);

impl Exit {
    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(Script {
            limits: Limits {
                maximum_qos: Qos::ExactlyOnce,
                maximum_packet_size: 1000,
                receive_maximum: 3,
                keeps_sessions: false,
            },
            asked: Vec::new(),
            events: VecDeque::new(),
            is_ready: true,
            answers: true,
            refuses: None,
            refuses_sessions: None,
            resumes: None,
            keeps: false,
            ends: None,
            last_appetite: Appetite::default(),
            wakers: Vec::new(),
        })))
    }

    /// Changes the script and wakes the sessions.
    pub(super) fn set(&self, change: impl FnOnce(&mut Script)) {
        let mut script = self.0.borrow_mut();
        change(&mut script);
        script.wakers.drain(..).for_each(Waker::wake);
    }

    pub(super) fn push(&self, event: Event) {
        self.set(|script| script.events.push_back(event));
    }

    /// Takes what the exit was asked since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.borrow_mut().asked)
    }

    /// The tickets of the publishes since the last call.
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        let asked = self.asked().into_iter();
        asked
            .filter_map(|asked| match asked {
                Asked::Publish { ticket, .. } => Some(ticket),
                _ => None,
            })
            .collect()
    }
}

impl MqttExit for Exit {
    fn limits(&self) -> Limits {
        self.0.borrow().limits
    }

    fn keeps(&self, _: &str) -> bool {
        self.0.borrow().keeps
    }

    fn open(&self, begin: SessionBegin<'_>) -> Result<Opened, Closed> {
        let mut script = self.0.borrow_mut();
        if let Some(closed) = script.refuses_sessions.clone() {
            return Err(closed);
        }
        script.asked.push(Asked::Open {
            client_id: begin.client_id.to_string(),
            clean_start: begin.clean_start,
            session_expiry: begin.session_expiry,
            will: begin.will.map(|will: Will| will.topic.into()),
        });
        let client_id = Rc::clone(begin.client_id);
        let session = Box::new(ExitSession { script: Rc::clone(&self.0), client_id });
        Ok(Opened { session, resumed: script.resumes.take() })
    }
}

struct ExitSession {
    script: Rc<RefCell<Script>>,
    client_id: Rc<str>,
}

impl Session for ExitSession {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut script = self.script.borrow_mut();
        if script.is_ready {
            return Poll::Ready(Ok(()));
        }
        script.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn publish(&mut self, ticket: Ticket, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        let mut script = self.script.borrow_mut();
        if let Some(reason) = script.refuses {
            return Err(reason);
        }
        script.asked.push(Asked::Publish {
            ticket,
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_owned(),
            qos: publish.qos as u8,
            retain: publish.retain,
        });
        if script.answers && ticket != 0 {
            script.events.push_back(Event::Published { ticket, reason: SUCCESS });
        }
        Ok(())
    }

    fn subscribe(&mut self, ticket: Ticket, subscriptions: &[Subscription<'_>]) {
        let mut script = self.script.borrow_mut();
        let filters = subscriptions.iter();
        let filters = filters.map(|each| (each.filter.to_owned(), each.qos as u8, each.id));
        script.asked.push(Asked::Subscribe { ticket, filters: filters.collect() });
        if script.answers {
            let reasons = subscriptions.iter().map(|each| ReasonCode(each.qos as u8)).collect();
            script.events.push_back(Event::Subscribed { ticket, reasons });
        }
    }

    fn unsubscribe(&mut self, ticket: Ticket, filters: &[&str]) {
        let mut script = self.script.borrow_mut();
        let reasons = filters.iter().map(|_| SUCCESS).collect();
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        script.asked.push(Asked::Unsubscribe { ticket, filters });
        if script.answers && ticket != 0 {
            script.events.push_back(Event::Unsubscribed { ticket, reasons });
        }
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>> {
        let mut script = self.script.borrow_mut();
        script.last_appetite = appetite;
        let (mut bytes, mut in_flight) = (0, 0);
        let before = out.len();
        while let Some(event) = script.events.front() {
            if let Event::Deliver(delivery) | Event::Redeliver { delivery, .. } = event {
                let is_counted = delivery.qos != Qos::AtMostOnce;
                if bytes >= appetite.bytes || is_counted && in_flight >= appetite.in_flight {
                    break;
                }
                bytes += delivery.messages.publish(delivery.index).payload.len();
                in_flight += u16::from(is_counted);
            }
            out.extend(script.events.pop_front());
        }
        if let Some(closed) = script.ends.clone() {
            return Poll::Ready(Err(closed));
        }
        if out.len() > before {
            return Poll::Ready(Ok(()));
        }
        script.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn acknowledge(&mut self, position: Position, stage: Stage) {
        let offset = position.offset;
        self.script.borrow_mut().asked.push(match stage {
            Stage::Received => Asked::Receive { offset },
            Stage::Completed => Asked::Acknowledge { offset },
        });
    }

    fn close(&mut self, cause: Cause, keep: Option<Keep>) {
        let client_id = self.client_id.to_string();
        let mut script = self.script.borrow_mut();
        script.asked.push(Asked::Close { client_id, cause });
        script.asked.extend(keep.map(Asked::Keep));
    }
}

/// A run of one message.
struct OneMessage {
    topic: &'static str,
    payload: Vec<u8>,
    expiry: Option<u32>,
    frames: Frames,
}

impl Messages for OneMessage {
    fn publish(&self, _: u32) -> Publish<'_> {
        Publish {
            topic: self.topic,
            payload: &self.payload,
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: mqtt_plane::PublishProperties::default(),
        }
    }

    fn remaining_expiry(&self, _: u32) -> Option<u32> {
        self.expiry
    }

    fn frames(&self) -> &Frames {
        &self.frames
    }
}

/// A delivery of a message of its own.
pub(super) fn delivery(
    topic: &'static str,
    payload: &[u8],
    qos: Qos,
    offset: i64,
    expiry: Option<u32>,
) -> Delivery {
    let frames = Frames::new(1);
    let message = OneMessage { topic, payload: payload.to_owned(), expiry, frames };
    Delivery {
        messages: Rc::new(message),
        index: 0,
        is_shared: false,
        qos,
        retain: false,
        subscription_ids: None,
        position: Position { log: 0, offset },
    }
}

/// A server with its exits.
pub(super) struct Bench {
    pub(super) server: Rc<Server>,
    pub(super) exits: Vec<Exit>,
}

impl Bench {
    /// A server that takes everything to one exit.
    pub(super) fn new() -> Self {
        Self::with(vec![Route { exit: 0, when: Vec::new() }], Versions::ALL)
    }

    /// A server that takes everything to one exit and decides by `policy`.
    pub(super) fn with_policy(policy: Policy) -> Self {
        Self::with_both(vec![Route { exit: 0, when: Vec::new() }], policy)
    }

    pub(super) fn with(routes: Vec<Route>, versions: Versions) -> Self {
        Self::with_both(routes, Policy { versions, ..Policy::DEFAULT })
    }

    fn with_both(routes: Vec<Route>, policy: Policy) -> Self {
        let count = routes.iter().map(|route| route.exit + 1).max().unwrap_or(0);
        let exits: Vec<Exit> = (0..count).map(|_| Exit::new()).collect();
        let table = Self::table(routes, policy, &exits);
        let name = NodeName::new("test", "mqtt");
        let server = Rc::new(Server::new(&WorkerCx::detached(), &name, Arc::default(), table));
        Self { server, exits }
    }

    fn table(routes: Vec<Route>, policy: Policy, exits: &[Exit]) -> Table {
        let links = exits.iter().enumerate().map(|(index, exit)| {
            let link = Link::to(Rc::new(exit.clone()) as Rc<dyn MqttExit>);
            (NodeName::new("test", &format!("exit{index}")), link)
        });
        Table::new(Routes::new(routes), policy, links.collect())
    }

    /// Reloads the routes.
    pub(super) fn set_routes(&self, routes: Vec<Route>) {
        self.server.set_table(Self::table(routes, Policy::DEFAULT, &self.exits));
    }

    /// Reloads the policy.
    pub(super) fn set_policy(&self, policy: Policy) {
        let routes = vec![Route { exit: 0, when: Vec::new() }];
        self.server.set_table(Self::table(routes, policy, &self.exits));
    }

    pub(super) fn exit(&self) -> &Exit {
        &self.exits[0]
    }

    pub(super) fn count(
        &self,
        counter: impl FnOnce(&super::super::counters::Counters) -> &Counter,
    ) -> i64 {
        counter(&self.server.counters).value()
    }

    /// A client that has connected its stream.
    pub(super) fn stream(&self, version: Version) -> Client {
        self.stream_of(version, 64 * 1024)
    }

    /// A client whose stream holds `capacity` bytes each way.
    pub(super) fn stream_of(&self, version: Version, capacity: usize) -> Client {
        let (io, theirs) = tokio::io::duplex(capacity);
        self.serve(Box::new(theirs));
        Client { io, version }
    }

    /// Serves a stream.
    pub(super) fn serve(&self, io: Box<dyn Io>) {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let meta = ConnMeta { peer: address, local: address, acceptor: Acceptor::default() };
        let server = Rc::clone(&self.server);
        let serving = server.serve(Conn { io, meta });
        tokio::task::spawn_local(async move {
            serving.await;
        });
    }

    /// A client with a session, its exit's note of that taken. It wants codes and no words.
    pub(super) async fn client(&self, version: Version, client_id: &str) -> Client {
        let mut client = self.stream(version);
        let mut connect = Connect::new(version, client_id);
        connect.properties.request_problem_information = false;
        client.connect(&connect).await;
        client.expect_connack().await;
        self.exits.iter().for_each(|exit| drop(exit.asked()));
        client
    }
}

/// A client.
pub(super) struct Client {
    pub(super) io: DuplexStream,
    pub(super) version: Version,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
        settle().await;
    }

    pub(super) async fn send_packet(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(&mut bytes, self.version, packet).unwrap();
        self.send(&bytes).await;
    }

    pub(super) async fn connect(&mut self, connect: &Connect<'_>) {
        let mut bytes = Vec::new();
        encode_connect(&mut bytes, connect).unwrap();
        self.send(&bytes).await;
    }

    /// Receives exactly these bytes next.
    pub(super) async fn expect(&mut self, bytes: &[u8]) {
        let mut received = vec![0; bytes.len()];
        let read =
            tokio::time::timeout(Duration::from_millis(500), self.io.read_exact(&mut received));
        match read.await {
            Ok(Ok(_)) => assert_eq!(received, bytes),
            other => panic!("{other:?} instead of {bytes:02x?}; so far {received:02x?}"),
        }
    }

    /// Connects without a client identifier; returns the one that it is assigned.
    pub(super) async fn connect_unnamed(&mut self) -> String {
        self.connect(&Connect::new(Version::V5, "")).await;
        self.expect_packet(|packet| match packet {
            Packet::Connack(connack) => connack.properties.assigned_client_id.unwrap().to_owned(),
            other => panic!("{other:?} instead of CONNACK"),
        })
        .await
    }

    /// Receives a whole packet and shows it to `check`.
    pub(super) async fn expect_packet<T>(&mut self, check: impl FnOnce(Packet<'_>) -> T) -> T {
        let mut bytes = Vec::new();
        loop {
            if let Some(header) = header(&bytes).unwrap()
                && bytes.len() >= header.total_len()
            {
                return check(decode(self.version, header, &bytes).unwrap());
            }
            let byte = tokio::time::timeout(Duration::from_millis(500), self.io.read_u8());
            bytes.push(byte.await.expect("a packet in time").expect("a packet before the end"));
        }
    }

    pub(super) async fn expect_connack(&mut self) {
        self.expect_packet(|packet| match packet {
            Packet::Connack(connack) => assert_eq!(connack.reason, SUCCESS),
            other => panic!("{other:?} instead of CONNACK"),
        })
        .await;
    }

    /// Receives a DISCONNECT with this code, then the end [MQTT-3.14.4-2]; 3.1.1 the end alone.
    pub(super) async fn expect_end(&mut self, reason: ReasonCode) {
        if self.version == Version::V5 {
            self.expect_packet(|packet| match packet {
                Packet::Disconnect(disconnect) => assert_eq!(disconnect.reason, reason),
                other => panic!("{other:?} instead of DISCONNECT"),
            })
            .await;
        }
        self.expect_close().await;
    }

    /// Receives the end of the stream and nothing before it.
    pub(super) async fn expect_close(&mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_millis(500), self.io.read_to_end(&mut rest));
        read.await.expect("the end in time").unwrap();
        assert_eq!(rest, b"", "bytes before the end");
    }

    /// Receives nothing for now.
    pub(super) async fn expect_silence(&mut self) {
        let byte = tokio::time::timeout(Duration::from_millis(10), self.io.read_u8()).await;
        assert!(byte.is_err(), "{byte:?} instead of silence");
    }
}

/// Lets the server's tasks run until they wait.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Runs a test on one thread with paused time.
pub(super) fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
