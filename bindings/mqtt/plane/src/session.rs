//! The session object between a binding that speaks MQTT and its exit.

use std::rc::Rc;
use std::task::{Context, Poll};

use engine::spi::{Plane, Rule};

use crate::{Delivery, Position, Publish, Qos, ReasonCode, Subscription, Version, Will};

/// The mqtt plane.
pub struct Mqtt;

impl Plane for Mqtt {
    const NAME: &'static str = "mqtt";
    type Exit = dyn MqttExit;
}

/// Names a publish, a subscribe or an unsubscribe until the exit has answered it. Chosen by the
/// binding that speaks MQTT; opaque to the exit. 0 asks for no answer.
pub type Ticket = u32;

/// What a CONNECT asks of the exit.
pub struct SessionBegin<'a> {
    /// The client identifier, assigned or chosen, as it appears in records: it names the session
    /// [MQTT-3.1.3-2].
    pub client_id: &'a Rc<str>,
    /// The protocol version of the connection.
    pub version: Version,
    /// Clean Start (Clean Session in 3.1.1).
    pub clean_start: bool,
    /// Session Expiry Interval, seconds.
    pub session_expiry: u32,
    /// How many subscriptions the session may have; more are refused with 0x97.
    pub most_subscriptions: u32,
    /// The Will Message, which the exit holds with the session [MQTT-3.1.2-7] and publishes unless
    /// the session closes with [`Cause::Normal`] or [`Cause::Secondary`]; once published or
    /// discarded it is over [MQTT-3.1.2-10]. Where the session is kept it waits until its delay has
    /// passed or the session ends, and is discarded if the session goes on before
    /// [MQTT-3.1.3-9].
    pub will: Option<Will>,
}

/// The bounds that an exit puts on all its sessions, to be announced in CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The highest QoS that the exit takes from publishers and grants to subscribers.
    pub maximum_qos: Qos,
    /// The largest packet, bytes, that a client may send: what a record may hold, less overhead.
    pub maximum_packet_size: u32,
    /// How many QoS 1 and QoS 2 publishes one client may have unanswered.
    pub receive_maximum: u16,
    /// Whether sessions outlive their connection.
    pub keeps_sessions: bool,
}

/// The bounds that the file and properties put on an exit, and which rule has them: what a
/// definition answers to [`engine::spi::Definition::bounds`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// The bounds.
    pub limits: Limits,
    /// The rule of the binding that sets the maximum QoS.
    pub maximum_qos: Rule,
}

/// Why the exit cannot open or continue a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The code to tell the client.
    pub reason: ReasonCode,
    /// What happened, for the log and the Reason String.
    pub detail: &'static str,
}

/// What a binding offers to bindings that speak MQTT.
///
/// Called on the worker that owns it; one instance a worker.
pub trait MqttExit {
    /// The bounds in force. Called at CONNECT.
    fn limits(&self) -> Limits;

    /// Whether a session can be opened at present. Asked at CONNECT before any exit opens one, so
    /// that a session goes on on all exits or on none.
    ///
    /// # Errors
    /// Where the exit cannot serve at present, with the code for CONNACK.
    fn admit(&self) -> Result<(), Closed> {
        Ok(())
    }

    /// Opens a session. Called once for each admitted CONNECT, before CONNACK. With Clean Start a
    /// session that is kept for the client ends first [MQTT-3.1.2-4], [MQTT-3.1.4-4]; without, it
    /// goes on [MQTT-3.1.2-5], and where there is none one begins [MQTT-3.1.2-6].
    ///
    /// # Errors
    /// Where the exit cannot serve at present, with the code for CONNACK.
    fn open(&self, begin: SessionBegin<'_>) -> Result<Opened, Closed>;

    /// Whether a session of this client is kept that an earlier connection left.
    fn keeps(&self, client_id: &str) -> bool {
        let _ = client_id;
        false
    }
}

/// A session that was opened.
pub struct Opened {
    /// The session.
    pub session: Box<dyn Session>,
    /// What an earlier connection left unfinished, where its session goes on: Session Present.
    pub resumed: Option<Unfinished>,
}

impl Opened {
    /// A session that begins.
    #[must_use]
    pub fn new(session: Box<dyn Session>) -> Self {
        Self { session, resumed: None }
    }
}

/// The QoS 1 and QoS 2 flows of a session that are not complete: what a connection leaves to the
/// next one of its client (section 4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Messages on their way to the client: first those that it has not acknowledged, in the order
    /// in which they were sent, then those that it has received, in the order of their PUBRECs.
    pub deliveries: Vec<OpenDelivery>,
    /// The packet identifiers of QoS 2 publishes that the exit has and the client has not released.
    pub received: Vec<u16>,
}

/// A message on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDelivery {
    /// Its packet identifier.
    pub packet_id: u16,
    /// Where it lies.
    pub position: Position,
    /// The QoS it was delivered with, 1 or 2.
    pub qos: Qos,
    /// The RETAIN flag it was delivered with.
    pub retain: bool,
    /// Whether the client has sent PUBREC: only PUBREL and PUBCOMP are left then.
    pub is_received: bool,
}

/// How a session outlives its connection [MQTT-3.1.2-23].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Session Expiry Interval, seconds, not 0; [`u32::MAX`]: it does not expire.
    pub expiry: u32,
    /// What the connection leaves unfinished on this exit.
    pub unfinished: Unfinished,
}

/// How much the caller can take at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Appetite {
    /// Bytes of room in the connection's out-buffer. A delivery is handed out while the payloads
    /// handed out so far are below it; 0 asks for answers only, not for deliveries.
    pub bytes: usize,
    /// QoS 1 and QoS 2 deliveries that may be started within the client's Receive Maximum.
    /// The first delivery beyond it, and all behind it, wait.
    pub in_flight: u16,
}

/// What the exit has for the connection.
pub enum Event {
    /// The exit has taken responsibility for the publish (or refused it).
    Published {
        /// As given to [`Session::publish`].
        ticket: Ticket,
        /// Success, or why the message was refused.
        reason: ReasonCode,
    },
    /// All filters of a SUBSCRIBE are decided; deliveries for them come only after this event.
    Subscribed {
        /// As given to [`Session::subscribe`].
        ticket: Ticket,
        /// One code a filter, in order [MQTT-3.9.3-1].
        reasons: Box<[ReasonCode]>,
    },
    /// An UNSUBSCRIBE is done; no delivery for its filters follows.
    Unsubscribed {
        /// As given to [`Session::unsubscribe`].
        ticket: Ticket,
        /// One code a filter, in order [MQTT-3.11.3-2].
        reasons: Box<[ReasonCode]>,
    },
    /// A message for the client.
    Deliver(Delivery),
    /// A message that an earlier connection sent and that the client has not acknowledged: to be
    /// sent again under its packet identifier [MQTT-4.4.0-1]. All of a session come in their order,
    /// before other deliveries, and count in [`Appetite::in_flight`] as those do.
    Redeliver {
        /// The identifier.
        packet_id: u16,
        /// The message, with the QoS and the RETAIN flag that it had.
        delivery: Delivery,
    },
    /// The exit no longer has a message that would have to be sent again.
    Gone {
        /// The identifier that it was sent with.
        packet_id: u16,
    },
}

/// How far a QoS 1 or QoS 2 delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// PUBREC: the client has the message.
    Received,
    /// PUBACK or PUBCOMP: the delivery is complete.
    Completed,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// DISCONNECT 0x00: the will is discarded [MQTT-3.1.2-8].
    Normal,
    /// Anything else: the connection was lost, timed out or ended with an error, or the client
    /// asked for its will with DISCONNECT 0x04. The will is published, after its delay where the
    /// session is kept.
    Abnormal,
    /// The session ends on this exit only, its client goes on: the will is discarded here.
    Secondary,
}

/// One client's session on an exit. Owned by the task that owns the connection, and not discarded
/// before that has ended [MQTT-4.1.0-1].
///
/// A reload reaches a session through the exit that it was opened on: the exit moves it to the new
/// configuration, or ends it by an error from [`Session::poll_events`].
///
/// Dropping it without [`Session::close`] counts as [`Cause::Abnormal`], and nothing is kept.
pub trait Session {
    /// Whether the exit takes another publish: the whole of inbound back-pressure. While pending,
    /// the caller stops reading the client's socket.
    ///
    /// # Errors
    /// The session has ended.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>>;

    /// Publishes a message. Call only after [`Session::poll_ready`] was ready. With a ticket other
    /// than 0 an [`Event::Published`] follows when the exit has taken responsibility.
    ///
    /// # Errors
    /// The message is refused at once; no event follows.
    fn publish(&mut self, ticket: Ticket, publish: &Publish<'_>) -> Result<(), ReasonCode>;

    /// Adds subscriptions; an [`Event::Subscribed`] follows. A filter that the session has already
    /// is replaced [MQTT-3.8.4-3].
    fn subscribe(&mut self, ticket: Ticket, subscriptions: &[Subscription<'_>]);

    /// Removes subscriptions; an [`Event::Unsubscribed`] follows.
    fn unsubscribe(&mut self, ticket: Ticket, filters: &[&str]);

    /// Moves what the exit has for the client into `out`, within `appetite`. `Ready` when anything
    /// was moved; `Pending` registers the waker. `out` is the caller's scratch: appended to.
    ///
    /// # Errors
    /// The session has ended; what is in `out` still goes to the client first.
    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>>;

    /// The client has acknowledged a QoS 1 or QoS 2 delivery.
    fn acknowledge(&mut self, position: Position, stage: Stage);

    /// The connection has ended. Called once, last. The session ends with it, or is kept for a
    /// later connection, of which [`MqttExit::keeps`] and [`MqttExit::open`] tell.
    fn close(&mut self, cause: Cause, keep: Option<Keep>);
}
