//! A connection whose session is open: one task, one turn a wake.

use std::future::poll_fn;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::task::{Context, Poll};

use engine::bytes::{Buffer, Ended, Io};
use mqtt_plane::{Cause, Closed, OpenDelivery, ReasonCode, Version};

use super::connect::Opened;
use super::gate::Admission;
use super::handover::Rest;
use super::inbound::next_turn;
use super::node::{Server, Table};
use super::rare::Rare;
use super::registry::{Order, Registration};
use super::sessions::Sessions;
use crate::state::{InFlight, InboundAcks, Pace, Requests, Terms};
use crate::wire::{AckKind, Disconnect, encode_disconnect};

/// Why a connection ends.
pub(super) enum End {
    /// The client has sent DISCONNECT.
    Client {
        cause: Cause,
        /// A Session Expiry Interval that takes the place of CONNECT's, seconds.
        session_expiry: Option<u32>,
    },
    /// The stream has ended or failed.
    Lost,
    /// This side ends it.
    Server(By, Closed),
}

/// On whose account this side ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The client broke the protocol.
    Client,
    /// The client sent more than it may.
    Limit,
    /// An exit has ended the session.
    Exit,
    /// The server was told to.
    Order(Order),
}

impl End {
    /// The client broke the protocol [MQTT-4.13.1-1].
    pub(super) const fn violation(reason: ReasonCode, detail: &'static str) -> Self {
        Self::Server(By::Client, Closed { reason, detail })
    }
}

/// Why packets that are there are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// They came with CONNECT: the session was not open yet.
    Handshake,
    /// The exit is not ready for a publish.
    Exit,
    /// The client has as much unanswered as it may have.
    Unanswered,
    /// They begin with a publish, and a SUBSCRIBE before it is undecided.
    Subscribing,
    /// The client does not read its answers.
    Output,
    /// The client sends faster than it may.
    Rate,
    /// Others have their turn first.
    Turn,
}

/// A connection whose session is open.
pub(super) struct Connection {
    pub(super) server: Rc<Server>,
    pub(super) io: Box<dyn Io>,
    pub(super) terms: Terms,
    pub(super) table: Rc<Table>,
    pub(super) sessions: Sessions,
    /// Behind the sessions: they are dropped before those who wait for that are told.
    pub(super) registration: Registration,
    pub(super) acks: InboundAcks,
    pub(super) in_flight: InFlight,
    pub(super) requests: Requests,
    /// None for most.
    pub(super) rare: Option<Box<Rare>>,
    /// That the connection counts; none once its session has ended.
    admission: Option<Admission>,
    /// Bytes received that are not taken yet; none while the client is idle.
    pub(super) inbound: Option<Buffer>,
    pub(super) blocked: Option<Blocked>,
    /// Bytes to send, of which `written` are sent; none while the client is idle.
    pub(super) outbound: Option<Buffer>,
    pub(super) written: usize,
    pub(super) needs_flush: bool,
    pub(super) is_draining: bool,
    /// Whether the client is told in words, too, why something is refused.
    pub(super) explains: bool,
}

impl Connection {
    pub(super) fn new(
        server: Rc<Server>,
        registration: Registration,
        io: Box<dyn Io>,
        opened: Opened,
        inbound: Option<Buffer>,
    ) -> Self {
        let Opened {
            terms,
            table,
            sessions,
            outbound,
            alias_maximum,
            explains,
            admission,
            address,
        } = opened;
        let pace = Pace::new(&terms.policy.bounds, server.tick());
        let mut connection = Self {
            server,
            registration,
            io,
            in_flight: InFlight::new(terms.client_receive_maximum),
            terms,
            table,
            sessions,
            acks: InboundAcks::default(),
            requests: Requests::default(),
            rare: Rare::new(alias_maximum, pace, address),
            admission: Some(admission),
            blocked: inbound.is_some().then_some(Blocked::Handshake),
            inbound,
            outbound: Some(outbound),
            written: 0,
            needs_flush: false,
            is_draining: false,
            explains,
        };
        connection.resume();
        connection
    }

    /// Takes over what an earlier connection left.
    fn resume(&mut self) {
        let left = self.sessions.take_resumed();
        let deliveries: Vec<(usize, &[OpenDelivery])> =
            left.iter().map(|(slot, left)| (*slot, &*left.deliveries)).collect();
        self.in_flight.resume(&deliveries);
        let received = left.iter().flat_map(|(_, left)| &left.received);
        self.acks.resume(received.copied().collect());
        // [MQTT-4.4.0-1], [MQTT-4.6.0-4]
        for delivery in deliveries.iter().flat_map(|(_, deliveries)| *deliveries) {
            if delivery.is_received {
                self.answer(AckKind::Pubrel, delivery.packet_id, ReasonCode::SUCCESS);
            }
        }
    }

    /// Serves the client until the connection ends.
    pub(super) async fn run(mut self: Box<Self>) -> Ended {
        let rest = poll_fn(|cx| match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(self.end(&end)),
        })
        .await;
        if rest.has_last_words || rest.undecided.is_some() {
            // Boxed, since only few connections come here.
            Box::pin(self.finish(rest)).await;
        }
        Ended::Closed
    }

    /// Ends the session; what is left to do.
    fn end(&mut self, end: &End) -> Rest {
        self.inbound = None;
        self.report(end);
        self.admission = None;
        if let Some(rare) = &mut self.rare {
            rare.address = None;
        }
        let undecided = self.leave(self.leaving(end));
        let has_last_words = match end {
            End::Server(_, closed) => {
                self.write_disconnect(closed);
                true
            }
            // What the client is told of packets before its DISCONNECT still goes out.
            End::Client { .. } => self.outbound.is_some(),
            End::Lost => false,
        };
        Rest { has_last_words, undecided }
    }

    /// One wake: take what came, fetch what there is, write once.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        self.registration.park(cx.waker());
        self.server.spent.set(0);
        self.obey()?;
        if !self.server.is_current(&self.table) {
            self.table = self.server.table();
            self.sessions.forget_decisions();
        }
        if !self.is_draining {
            self.poll_inbound(cx)?;
        }
        self.poll_events(cx)?;
        self.poll_write(cx)?;
        self.settle(cx)
    }

    fn obey(&mut self) -> Result<(), End> {
        let Some(order) = self.registration.ordered() else { return Ok(()) };
        let (reason, detail) = match order {
            Order::Drain => {
                self.is_draining = true;
                return Ok(());
            }
            Order::Shutdown => SHUTTING_DOWN,
            Order::Remove => (
                ReasonCode::ADMINISTRATIVE_ACTION,
                "what this client is connected to was removed from the configuration",
            ),
            Order::KeepAlive => (ReasonCode::KEEP_ALIVE_TIMEOUT, "client was silent for too long"),
            Order::TakenOver => {
                (ReasonCode::SESSION_TAKEN_OVER, "client identifier has connected again")
            }
        };
        Err(End::Server(By::Order(order), Closed { reason, detail }))
    }

    /// What the turn has changed for the next.
    fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if self.is_draining
            && self.acks.is_answered()
            && self.requests.is_empty()
            && self.outbound.is_none()
        {
            let (reason, detail) = SHUTTING_DOWN;
            return Err(End::Server(By::Order(Order::Drain), Closed { reason, detail }));
        }
        let is_free = match self.blocked {
            Some(Blocked::Handshake | Blocked::Turn) => true,
            Some(Blocked::Unanswered) => !self.is_unanswered_full(),
            Some(Blocked::Subscribing) => !self.requests.is_subscribing(),
            Some(Blocked::Output) => !self.is_output_full(),
            // The exit wakes this task when it is ready.
            Some(Blocked::Exit) | None => false,
            // The next tick wakes it.
            Some(Blocked::Rate) => false,
        };
        // While draining nothing is taken.
        if is_free && !self.is_draining {
            next_turn(cx);
        }
        // A client that does not read is not excused: what it accepts is heard instead.
        let is_deaf = matches!(
            self.blocked,
            Some(Blocked::Exit | Blocked::Unanswered | Blocked::Subscribing | Blocked::Rate)
        );
        self.registration.is_paced.set(self.blocked == Some(Blocked::Rate));
        self.registration.is_deaf.set(is_deaf);
        Ok(())
    }

    /// Whether the client has as much unanswered as it may have. 5.0 clients keep to the Receive
    /// Maximum themselves, so that only requests count for them.
    pub(super) fn is_unanswered_full(&self) -> bool {
        let is_publishing_full = self.terms.version == Version::V311
            && self.acks.waiting() >= usize::from(self.terms.receive_maximum);
        is_publishing_full || self.requests.is_full()
    }

    /// Tells and counts how the connection ends.
    fn report(&self, end: &End) {
        let counters = &self.server.counters;
        let client_id = &*self.sessions.client_id;
        let binding = &self.server.name;
        match end {
            End::Client { .. } | End::Lost => {
                let cause = self.leaving(end).cause;
                tracing::debug!(event = "mqtt.session.closed", %binding, client_id, ?cause);
            }
            End::Server(by, Closed { reason, detail }) => {
                let counter = match by {
                    By::Client => Some(&counters.protocol_errors),
                    By::Limit => Some(&counters.connections_ended_by_limit),
                    By::Exit => Some(&counters.sessions_ended_by_exit),
                    By::Order(Order::KeepAlive) => Some(&counters.keep_alive_timeouts),
                    By::Order(Order::TakenOver) => Some(&counters.connections_taken_over),
                    By::Order(_) => None,
                };
                let tell = |left_out: Option<NonZeroU64>| {
                    tracing::info!(
                        event = "mqtt.session.ended",
                        %binding,
                        client_id,
                        %reason,
                        detail,
                        left_out,
                    );
                };
                let Some(counter) = counter else { return tell(None) };
                counter.increment();
                self.server.limits.ended.tell(self.server.cx.clock().unix_millis(), tell);
            }
        }
    }

    /// Appends the DISCONNECT that says why, without user properties [MQTT-3.14.2-4]. 3.1.1 has
    /// none from a server.
    fn write_disconnect(&mut self, closed: &Closed) {
        if self.terms.version == Version::V311 {
            return;
        }
        let limit = self.terms.client_maximum_packet_size as usize;
        let out = self.out();
        let start = out.len();
        // [MQTT-3.14.2-3]: the Reason String only where it fits, and no User Property
        // [MQTT-3.14.2-4]; nothing [MQTT-3.1.2-24] where not even the code does.
        for reason_string in [Some(closed.detail), None] {
            let disconnect = Disconnect { reason_string, ..Disconnect::new(closed.reason) };
            if encode_disconnect(out, Version::V5, &disconnect).is_ok()
                && out.len() - start <= limit
            {
                self.server.counters.packets_sent.increment();
                return;
            }
            out.truncate(start);
        }
    }
}

const SHUTTING_DOWN: (ReasonCode, &str) =
    (ReasonCode::SERVER_SHUTTING_DOWN, "server is shutting down");
