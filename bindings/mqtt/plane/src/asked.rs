//! What a client does, as `zilla explain` and `zilla test` name it, read for the bindings that
//! decide about it; and how a refusal is told.

use engine::spi::{Action, Denial};

use crate::{Publish, PublishProperties, Qos, ReasonCode, RetainHandling, Subscription, Version};

/// Who asks, as far as a client says so itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The client identifier; empty: the server assigns one.
    pub client_id: String,
    /// The user name.
    pub user_name: Option<String>,
}

/// What a client does.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub identity: Identity,
    /// The protocol version of the connection.
    pub version: Version,
    /// What for.
    pub request: AskedFor,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub enum AskedFor {
    /// To connect.
    Connect,
    /// To publish.
    Publish(Box<Message>),
    /// To subscribe.
    Subscribe {
        /// The topic filter.
        filter: String,
        /// The QoS asked for.
        qos: Qos,
    },
}

/// A message that a client publishes.
#[derive(Clone, Debug)]
pub struct Message {
    topic: String,
    payload: String,
    qos: Qos,
    retain: bool,
    message_expiry: Option<u32>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<String>,
    user: Vec<(String, String)>,
}

impl Message {
    /// The message, borrowed as everywhere.
    #[must_use]
    pub fn publish(&self) -> Publish<'_> {
        Publish {
            topic: &self.topic,
            payload: self.payload.as_bytes(),
            qos: self.qos,
            retain: self.retain,
            properties: PublishProperties {
                payload_format: None,
                message_expiry: self.message_expiry,
                content_type: self.content_type.as_deref(),
                response_topic: self.response_topic.as_deref(),
                correlation_data: self.correlation_data.as_deref().map(str::as_bytes),
                user: &self.user,
            },
        }
    }
}

impl Asked {
    /// Reads an action; `None` where it is none of an MQTT client.
    #[must_use]
    pub fn read(action: &Action) -> Option<Self> {
        let version = match action.text("version").as_deref() {
            Some("3.1.1") => Version::V311,
            _ => Version::V5,
        };
        let request = match action.verb() {
            "connect" => AskedFor::Connect,
            "publish" => AskedFor::Publish(Box::new(message(action, version)?)),
            "subscribe" => {
                AskedFor::Subscribe { filter: action.text("filter")?, qos: qos_of(action, "qos") }
            }
            _ => return None,
        };
        let client_id = action.text("client-id").unwrap_or_default();
        let identity = Identity { client_id, user_name: action.text("username") };
        Some(Self { identity, version, request })
    }
}

fn message(action: &Action, version: Version) -> Option<Message> {
    let is_v5 = version == Version::V5;
    // 3.1.1 has no properties.
    let property = |name: &str| action.text(name).filter(|_| is_v5);
    let user = action.list("user-property").into_iter().filter(|_| is_v5);
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    Some(Message {
        topic: action.text("topic")?,
        payload: action.text("payload").unwrap_or_else(|| "x".to_owned()),
        qos: qos_of(action, "qos"),
        retain: action.flag("retain").unwrap_or_default(),
        message_expiry: action.number("message-expiry").filter(|_| is_v5),
        content_type: property("content-type"),
        response_topic: property("response-topic"),
        correlation_data: property("correlation-data"),
        user: user.map(pair).collect(),
    })
}

/// An argument that is a QoS; 0 where it is not given.
#[must_use]
pub fn qos_of(action: &Action, name: &str) -> Qos {
    action.number(name).and_then(Qos::from_bits).unwrap_or(Qos::AtMostOnce)
}

/// A subscription of this filter with the options that a client mostly leaves as they are.
#[must_use]
pub const fn subscription(filter: &str, qos: Qos) -> Subscription<'_> {
    Subscription {
        filter,
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
        id: None,
    }
}

fn denial(reason: ReasonCode, detail: &str, v5: String, v311: String) -> Denial {
    let answers = vec![("5.0", v5), ("3.1.1", v311)];
    Denial { code: reason.0, name: reason.name(), detail: detail.to_owned(), answers }
}

/// A CONNECT is refused.
#[must_use]
pub fn connect_denied(reason: ReasonCode, detail: &str) -> Denial {
    let v311 = match reason.connack_v311() {
        Some(code) => format!("CONNACK 0x{code:02X}"),
        None => "the connection is closed without CONNACK".to_owned(),
    };
    denial(reason, detail, format!("CONNACK 0x{:02X}", reason.0), v311)
}

/// A packet ends its connection.
#[must_use]
pub fn connection_ended(reason: ReasonCode, detail: &str) -> Denial {
    let v311 = "the connection is closed".to_owned();
    denial(reason, detail, format!("DISCONNECT 0x{:02X}", reason.0), v311)
}

/// A publish is refused.
#[must_use]
pub fn publish_denied(reason: ReasonCode, detail: &str, qos: Qos) -> Denial {
    if qos == Qos::AtMostOnce {
        let silence = "no answer, as to every QoS 0: the message is dropped".to_owned();
        return denial(reason, detail, silence.clone(), silence);
    }
    let packet = if qos == Qos::ExactlyOnce { "PUBREC" } else { "PUBACK" };
    let v311 = format!("{packet}, which has no code: the message is dropped");
    denial(reason, detail, format!("{packet} 0x{:02X}", reason.0), v311)
}

/// A subscription is refused.
#[must_use]
pub fn subscription_denied(reason: ReasonCode, detail: &str) -> Denial {
    denial(reason, detail, format!("SUBACK 0x{:02X}", reason.0), "SUBACK 0x80".to_owned())
}

/// A subscription is of a kind that CONNACK has said is not available.
#[must_use]
pub fn subscription_unavailable(reason: ReasonCode, detail: &str) -> Denial {
    denial(reason, detail, format!("DISCONNECT 0x{:02X}", reason.0), "SUBACK 0x80".to_owned())
}
