//! All connections of a load, on one thread.

use std::io;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::cli::Common;
use crate::client::{Client, Stage};
use crate::clock::{Clock, nanos_of};
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::wire::{self, Packet};

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

/// How many connections are being made at once.
const CONNECTING: usize = 200;

/// How long nothing may happen while connections are made.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// How long to wait for events at most, so that the end of a phase is not missed.
const WAIT: Duration = Duration::from_millis(10);

/// How often publishers without progress are looked for, in nanoseconds.
const CHECK: u64 = 500_000_000;

/// The connections, subscribers first, and what they did.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) plan: Plan,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    common: Common,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    dirty: Vec<usize>,
    due: Vec<u32>,
    /// Connections that ended before their time, and why the first did.
    pub(crate) dropped: u64,
    pub(crate) reason: Option<String>,
    /// How many answers of the handshakes have come.
    answers: u64,
    is_publishing: bool,
    next_check: u64,
}

impl Swarm {
    /// Connects all clients, and subscribes them unless it is to be measured what that costs.
    ///
    /// # Errors
    ///
    /// A connection or a subscription that is refused.
    pub(crate) fn connect(plan: Plan, common: Common, clock: Clock) -> io::Result<Self> {
        let ledger = Ledger::new(&plan, common.version, common.qos, common.payload);
        let count = plan.subscribers.len() + plan.publishers.len();
        let mut swarm = Self {
            ledger,
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::with_capacity(count),
            buffer: vec![0; BUFFER.max(2 * common.payload + 1024)],
            dirty: Vec::new(),
            due: Vec::new(),
            dropped: 0,
            reason: None,
            answers: 0,
            is_publishing: false,
            next_check: 0,
            plan,
            common,
        };
        while swarm.clients.len() < count {
            let first = swarm.clients.len();
            for at in first..count.min(first + CONNECTING) {
                swarm.add(at)?;
            }
            swarm.finish_handshakes(first)?;
        }
        Ok(swarm)
    }

    fn add(&mut self, at: usize) -> io::Result<()> {
        let subscribers = self.plan.subscribers.len();
        let (kind, number) = if at < subscribers { ("s", at) } else { ("p", at - subscribers) };
        let id = format!("{}-{kind}{number}", self.common.prefix);
        let needs_writer = at >= subscribers && self.plan.rate.is_some();
        let Common { address, version, .. } = self.common;
        let mut client = Client::connect(address, version, &id, needs_writer)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut client.stream, Token(at), interest)?;
        client.flush()?;
        self.clients.push(client);
        Ok(())
    }

    fn finish_handshakes(&mut self, first: usize) -> io::Result<()> {
        let mut seen = self.answers;
        let mut deadline = self.clock.nanos() + nanos_of(HANDSHAKE);
        while self.clients[first..].iter().any(|client| client.stage != Stage::Ready) {
            self.turn(WAIT)?;
            if let Some(reason) = self.reason.take() {
                return Err(io::Error::other(reason));
            }
            if self.answers > seen {
                seen = self.answers;
                deadline = self.clock.nanos() + nanos_of(HANDSHAKE);
            } else if self.clock.nanos() > deadline {
                return Err(io::Error::other("the broker does not answer CONNECT or SUBSCRIBE"));
            }
        }
        Ok(())
    }

    /// Subscribes the clients that are connected and did not subscribe yet, some at a time.
    ///
    /// # Errors
    ///
    /// A subscription that is refused.
    pub(crate) fn subscribe(&mut self) -> io::Result<()> {
        let count = self.plan.subscribers.len();
        for first in (0..count).step_by(CONNECTING) {
            for at in first..count.min(first + CONNECTING) {
                let filters = &self.plan.subscribers[at].filters;
                self.clients[at].subscribe(self.common.version, filters, self.common.qos);
                self.mark(at);
            }
            self.flush();
            self.finish_handshakes(first)?;
        }
        Ok(())
    }

    /// From now on publishers use their windows.
    pub(crate) fn publish(&mut self) {
        self.is_publishing = true;
        self.ledger.make_all_due();
    }

    /// From now on nobody publishes.
    pub(crate) fn stop(&mut self) {
        self.is_publishing = false;
    }

    /// Serves the connections until then, in nanoseconds of the clock.
    pub(crate) fn run_until(&mut self, deadline: u64) -> io::Result<()> {
        loop {
            let now = self.clock.nanos();
            if now >= deadline {
                return Ok(());
            }
            self.turn(WAIT.min(Duration::from_nanos(deadline - now)))?;
            if self.is_publishing && now >= self.next_check {
                self.next_check = now + CHECK;
                self.ledger.give_up_stalled();
            }
        }
    }

    /// Serves the connections until all that was published has arrived and is acknowledged, or
    /// nothing has come for as long as patience lasts.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let mut seen = None;
        let mut deadline = 0;
        loop {
            let progress = (self.ledger.counts.received, self.ledger.counts.acked);
            let now = self.clock.nanos();
            if seen != Some(progress) {
                seen = Some(progress);
                deadline = now + nanos_of(self.common.patience);
            }
            let is_acked = self.common.qos == 0 || progress.1 >= self.ledger.published();
            let is_complete = is_acked && self.ledger.faults(&self.plan).missing == 0;
            if is_complete || now >= deadline {
                return Ok(());
            }
            self.run_until(now + 20_000_000)?;
        }
    }

    /// Waits for events and serves them: reads, publishes what may be published, writes once for
    /// each connection.
    pub(crate) fn turn(&mut self, wait: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let at = event.token().0;
            if self.clients[at].stage == Stage::Gone {
                continue;
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(at);
            }
            if event.is_writable() && !self.clients[at].is_flushed() {
                self.mark(at);
            }
        }
        events.clear();
        self.events = events;
        self.fill();
        self.flush();
        Ok(())
    }

    fn mark(&mut self, at: usize) {
        if !std::mem::replace(&mut self.clients[at].is_dirty, true) {
            self.dirty.push(at);
        }
    }

    fn read(&mut self, at: usize) {
        let now = self.clock.nanos();
        let Self { plan, ledger, common, clients, buffer, answers, .. } = self;
        let subscribers = plan.subscribers.len();
        let result = clients[at].read(buffer, common.version, |client, packet| {
            match packet {
                Packet::Publish { qos, packet_id, label } if at < subscribers => {
                    ledger.delivered(plan, at, label, now);
                    match qos {
                        0 => {}
                        1 => wire::ack(&mut client.out, wire::PUBACK, packet_id),
                        _ => wire::ack(&mut client.out, wire::PUBREC, packet_id),
                    }
                }
                Packet::PubRel { packet_id } if at < subscribers => {
                    wire::ack(&mut client.out, wire::PUBCOMP, packet_id);
                }
                Packet::PubRec { packet_id, reason: 0..0x80 } if at >= subscribers => {
                    wire::ack(&mut client.out, wire::PUBREL, packet_id);
                }
                Packet::PubAck { reason } | Packet::PubRec { reason, .. } if at >= subscribers => {
                    ledger.acknowledged(publisher(at, subscribers), reason);
                }
                Packet::PubComp if at >= subscribers => {
                    ledger.acknowledged(publisher(at, subscribers), 0);
                }
                Packet::ConnAck { reason: 0, receive_maximum } => {
                    *answers += 1;
                    match plan.subscribers.get(at) {
                        Some(_) if plan.counts_subscriptions => client.stage = Stage::Ready,
                        Some(own) => client.subscribe(common.version, &own.filters, common.qos),
                        None => {
                            ledger.flows[at - subscribers].limit(receive_maximum);
                            client.stage = Stage::Ready;
                        }
                    }
                }
                Packet::ConnAck { reason, .. } => {
                    return Err(io::Error::other(format!("CONNECT refused with {reason:#04x}")));
                }
                Packet::SubAck { code } if code >= 0x80 => {
                    return Err(io::Error::other(format!("SUBSCRIBE refused with {code:#04x}")));
                }
                Packet::SubAck { .. } => {
                    *answers += 1;
                    client.stage = match client.stage {
                        Stage::Subscribing(left) if left > 1 => Stage::Subscribing(left - 1),
                        _ => Stage::Ready,
                    };
                }
                Packet::Disconnect { reason } => {
                    return Err(io::Error::other(format!("disconnected with {reason:#04x}")));
                }
                Packet::Publish { .. }
                | Packet::PubAck { .. }
                | Packet::PubRec { .. }
                | Packet::PubRel { .. }
                | Packet::PubComp
                | Packet::Other => {}
            }
            Ok(())
        });
        match result {
            Ok(true) if self.clients[at].is_flushed() => {}
            Ok(true) => self.mark(at),
            Ok(false) => self.lose(at, "the broker closed the connection".to_owned()),
            Err(error) => self.lose(at, error.to_string()),
        }
    }

    fn lose(&mut self, at: usize, reason: String) {
        self.clients[at].stage = Stage::Gone;
        self.dropped += 1;
        self.reason.get_or_insert(reason);
    }

    fn fill(&mut self) {
        if !self.is_publishing {
            return;
        }
        let mut due = std::mem::take(&mut self.due);
        self.ledger.take_due(&mut due);
        let now = self.clock.nanos();
        for publisher in due.drain(..) {
            let at = self.plan.subscribers.len() + publisher as usize;
            if self.clients[at].stage == Stage::Ready {
                self.ledger.flows[publisher as usize].fill(&mut self.clients[at].out, now);
                self.mark(at);
            }
        }
        self.due = due;
    }

    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for at in dirty.drain(..) {
            self.clients[at].is_dirty = false;
            if self.clients[at].stage != Stage::Gone
                && let Err(error) = self.clients[at].flush()
            {
                self.lose(at, error.to_string());
            }
        }
        self.dirty = dirty;
    }

    /// The sockets of the publishers, for a thread that writes to them.
    pub(crate) fn take_writers(&mut self) -> Vec<std::net::TcpStream> {
        let subscribers = self.plan.subscribers.len();
        self.clients[subscribers..].iter_mut().filter_map(|client| client.writer.take()).collect()
    }

    /// How many clients there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Says goodbye.
    pub(crate) fn disconnect(&mut self) {
        for client in self.clients.iter_mut().filter(|client| client.stage != Stage::Gone) {
            client.out.extend_from_slice(&wire::DISCONNECT);
            // Whoever cannot be told sees the end of the connection.
            client.flush().ok();
        }
    }
}

/// Which of the publishers a client is.
fn publisher(at: usize, subscribers: usize) -> u32 {
    u32::try_from(at - subscribers).unwrap_or(u32::MAX)
}
