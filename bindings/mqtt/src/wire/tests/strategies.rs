//! Random values for the property tests, owned. What a packet borrows is lent by `view`.

use mqtt_plane::{PayloadFormat, Qos, ReasonCode, RetainHandling, Subscription, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::wire::{
    Ack, Auth, Connack, ConnackProperties, Connect, ConnectProperties, Disconnect, PublishPacket,
    Suback, SubscriptionIdView, Unsuback, User, WillView,
};

pub(super) fn version() -> impl Strategy<Value = Version> {
    select(&[Version::V311, Version::V5][..])
}

pub(super) fn qos() -> impl Strategy<Value = Qos> {
    select(&[Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][..])
}

fn payload_format() -> impl Strategy<Value = PayloadFormat> {
    select(&[PayloadFormat::Bytes, PayloadFormat::Utf8][..])
}

/// A UTF-8 Encoded String: any characters but U+0000.
pub(super) fn text() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_map(|c| if c == '\0' { '\u{FEFF}' } else { c }), 0..12)
        .prop_map(String::from_iter)
}

/// A topic name.
pub(super) fn topic() -> impl Strategy<Value = String> {
    text().prop_map(|text| format!("/{}", text.replace(['+', '#'], "/")))
}

pub(super) fn data() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

pub(super) fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(), text()), 0..4)
}

pub(super) fn packet_id() -> impl Strategy<Value = u16> {
    1..=u16::MAX
}

/// A Subscription Identifier.
pub(super) fn subscription_id() -> impl Strategy<Value = u32> {
    prop_oneof![1_u32..=300, 1_u32..=268_435_455]
}

/// One of `codes`, or success.
pub(super) fn reason(codes: &'static [u8]) -> impl Strategy<Value = ReasonCode> {
    prop_oneof![Just(ReasonCode::SUCCESS), select(codes).prop_map(ReasonCode)]
}

/// Whether a packet has properties, and the version that it is in.
fn is_v5(version: Version) -> bool {
    version == Version::V5
}

#[derive(Clone, Debug)]
pub(super) struct AckOwned {
    packet_id: u16,
    reason: ReasonCode,
    reason_string: Option<String>,
    user: Vec<(String, String)>,
}

pub(super) fn ack(codes: &'static [u8]) -> impl Strategy<Value = AckOwned> {
    (packet_id(), reason(codes), option::of(text()), pairs()).prop_map(
        |(packet_id, reason, reason_string, user)| AckOwned {
            packet_id,
            reason,
            reason_string,
            user,
        },
    )
}

impl AckOwned {
    pub(super) fn view(&self, version: Version) -> Ack<'_> {
        if !is_v5(version) {
            return Ack::new(self.packet_id, ReasonCode::SUCCESS);
        }
        Ack {
            reason_string: self.reason_string.as_deref(),
            user: User::new(&self.user),
            ..Ack::new(self.packet_id, self.reason)
        }
    }

    pub(super) fn suback<'a>(&'a self, version: Version, codes: &'a [u8]) -> Suback<'a> {
        let Ack { packet_id, reason_string, user, .. } = self.view(version);
        Suback { packet_id, reason_string, user, codes }
    }

    pub(super) fn unsuback<'a>(&'a self, version: Version, codes: &'a [u8]) -> Unsuback<'a> {
        let Ack { packet_id, reason_string, user, .. } = self.view(version);
        let codes = if is_v5(version) { codes } else { &[] };
        Unsuback { packet_id, reason_string, user, codes }
    }

    pub(super) fn user(&self, version: Version) -> User<'_> {
        self.view(version).user
    }
}

/// The properties that PUBLISH and wills share, and some to spare.
#[derive(Clone, Debug)]
pub(super) struct MessageOwned {
    topic: String,
    payload: Vec<u8>,
    qos: Qos,
    retain: bool,
    payload_format: Option<PayloadFormat>,
    message_expiry: Option<u32>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Vec<u8>>,
    user: Vec<(String, String)>,
}

fn message() -> impl Strategy<Value = MessageOwned> {
    let properties = (
        option::of(payload_format()),
        option::of(any::<u32>()),
        option::of(text()),
        option::of(topic()),
        option::of(data()),
        pairs(),
    );
    (topic(), prop_oneof![data(), vec(any::<u8>(), 100..300)], qos(), any::<bool>(), properties)
        .prop_map(|(topic, payload, qos, retain, properties)| {
            let (payload_format, message_expiry, content_type, response_topic, ..) =
                properties.clone();
            let (.., correlation_data, user) = properties;
            MessageOwned {
                topic,
                payload,
                qos,
                retain,
                payload_format,
                message_expiry,
                content_type,
                response_topic,
                correlation_data,
                user,
            }
        })
}

#[derive(Clone, Debug)]
pub(super) struct PublishOwned {
    message: MessageOwned,
    dup: bool,
    packet_id: u16,
    topic_alias: Option<u16>,
    omits_topic: bool,
    subscription_ids: Vec<u32>,
}

pub(super) fn publish() -> impl Strategy<Value = PublishOwned> {
    (
        message(),
        any::<bool>(),
        packet_id(),
        option::of(1..=u16::MAX),
        any::<bool>(),
        vec(subscription_id(), 0..4),
    )
        .prop_map(|(message, dup, packet_id, topic_alias, omits_topic, subscription_ids)| {
            PublishOwned { message, dup, packet_id, topic_alias, omits_topic, subscription_ids }
        })
}

impl PublishOwned {
    pub(super) fn view(&self, version: Version) -> PublishPacket<'_> {
        let message = &self.message;
        let identified = message.qos != Qos::AtMostOnce;
        let plain = PublishPacket {
            dup: self.dup && identified,
            qos: message.qos,
            retain: message.retain,
            topic: &message.topic,
            packet_id: if identified { self.packet_id } else { 0 },
            topic_alias: None,
            payload_format: None,
            message_expiry: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user: User::NONE,
            subscription_ids: SubscriptionIdView::NONE,
            payload: &message.payload,
        };
        if !is_v5(version) {
            return plain;
        }
        let omits_topic = self.omits_topic && self.topic_alias.is_some();
        PublishPacket {
            topic: if omits_topic { "" } else { &message.topic },
            topic_alias: self.topic_alias,
            payload_format: message.payload_format,
            message_expiry: message.message_expiry,
            content_type: message.content_type.as_deref(),
            response_topic: message.response_topic.as_deref(),
            correlation_data: message.correlation_data.as_deref(),
            user: User::new(&message.user),
            subscription_ids: SubscriptionIdView::new(&self.subscription_ids),
            ..plain
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ConnectOwned {
    clean_start: bool,
    keep_alive: u16,
    client_id: String,
    will: Option<(MessageOwned, u32)>,
    user_name: Option<String>,
    password: Option<Vec<u8>>,
    session_expiry: u32,
    receive_maximum: u16,
    maximum_packet_size: Option<u32>,
    topic_alias_maximum: u16,
    requests: (bool, bool),
    user: Vec<(String, String)>,
    authentication: Option<(String, Option<Vec<u8>>)>,
}

pub(super) fn connect() -> impl Strategy<Value = ConnectOwned> {
    let fields = (
        any::<bool>(),
        any::<u16>(),
        text(),
        option::of((message(), any::<u32>())),
        option::of(text()),
        option::of(data()),
    );
    let properties = (
        prop_oneof![Just(0), any::<u32>()],
        1..=u16::MAX,
        option::of(1..=u32::MAX),
        prop_oneof![Just(0), any::<u16>()],
        any::<(bool, bool)>(),
        pairs(),
        option::of((text(), option::of(data()))),
    );
    (fields, properties).prop_map(|(fields, properties)| {
        let (clean_start, keep_alive, client_id, will, user_name, password) = fields;
        let (session_expiry, receive_maximum, maximum_packet_size, topic_alias_maximum, ..) =
            properties;
        let (.., requests, user, authentication) = properties;
        ConnectOwned {
            clean_start,
            keep_alive,
            client_id,
            will,
            user_name,
            password,
            session_expiry,
            receive_maximum,
            maximum_packet_size,
            topic_alias_maximum,
            requests,
            user,
            authentication,
        }
    })
}

impl ConnectOwned {
    pub(super) fn view(&self, version: Version) -> Connect<'_> {
        let will = self.will.as_ref().map(|(message, delay)| {
            let plain =
                WillView::new(&message.topic, &message.payload, message.qos, message.retain);
            if !is_v5(version) {
                return plain;
            }
            WillView {
                delay: *delay,
                payload_format: message.payload_format,
                message_expiry: message.message_expiry,
                content_type: message.content_type.as_deref(),
                response_topic: message.response_topic.as_deref(),
                correlation_data: message.correlation_data.as_deref(),
                user: User::new(&message.user),
                ..plain
            }
        });
        let plain = Connect {
            keep_alive: self.keep_alive,
            will,
            user_name: self.user_name.as_deref(),
            ..Connect::new(version, &self.client_id)
        };
        if !is_v5(version) {
            return Connect {
                clean_start: self.clean_start || self.client_id.is_empty(),
                password: plain.user_name.and(self.password.as_deref()),
                ..plain
            };
        }
        let authentication = self.authentication.as_ref();
        let properties = ConnectProperties {
            session_expiry: self.session_expiry,
            receive_maximum: self.receive_maximum,
            maximum_packet_size: self.maximum_packet_size,
            topic_alias_maximum: self.topic_alias_maximum,
            request_response_information: self.requests.0,
            request_problem_information: self.requests.1,
            user: User::new(&self.user),
            authentication_method: authentication.map(|(method, _)| method.as_str()),
            authentication_data: authentication.and_then(|(_, data)| data.as_deref()),
        };
        Connect {
            clean_start: self.clean_start,
            password: self.password.as_deref(),
            properties,
            ..plain
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ConnackOwned {
    session_present: bool,
    reason: ReasonCode,
    numbers: (Option<u32>, u16, Qos, Option<u32>, u16, Option<u16>),
    available: (bool, bool, bool, bool),
    texts: [Option<String>; 5],
    data: Option<Vec<u8>>,
    user: Vec<(String, String)>,
}

/// With reasons that 3.1.1 has too.
pub(super) fn connack() -> impl Strategy<Value = ConnackOwned> {
    (
        any::<bool>(),
        reason(&[0x84, 0x85, 0x86, 0x87, 0x88]),
        (
            option::of(any::<u32>()),
            1..=u16::MAX,
            qos(),
            option::of(1..=u32::MAX),
            any::<u16>(),
            option::of(any::<u16>()),
        ),
        any::<(bool, bool, bool, bool)>(),
        proptest::array::uniform5(option::of(text())),
        option::of(data()),
        pairs(),
    )
        .prop_map(|(session_present, reason, numbers, available, texts, data, user)| {
            ConnackOwned { session_present, reason, numbers, available, texts, data, user }
        })
}

impl ConnackOwned {
    pub(super) fn view(&self, version: Version) -> Connack<'_> {
        let plain = Connack {
            session_present: self.session_present && self.reason == ReasonCode::SUCCESS,
            ..Connack::refusal(self.reason)
        };
        if !is_v5(version) {
            return plain;
        }
        let [client_id, reason_string, information, reference, method] =
            self.texts.each_ref().map(Option::as_deref);
        let (session_expiry, receive_maximum, maximum_qos, maximum_packet_size, ..) = self.numbers;
        let (.., topic_alias_maximum, server_keep_alive) = self.numbers;
        let properties = ConnackProperties {
            session_expiry,
            receive_maximum,
            maximum_qos,
            retain_available: self.available.0,
            maximum_packet_size,
            assigned_client_id: client_id,
            topic_alias_maximum,
            reason_string,
            user: User::new(&self.user),
            wildcard_subscription_available: self.available.1,
            subscription_id_available: self.available.2,
            shared_subscription_available: self.available.3,
            server_keep_alive,
            response_information: information,
            server_reference: reference,
            authentication_method: method,
            authentication_data: self.data.as_deref(),
        };
        Connack { properties, ..plain }
    }
}

/// A topic filter, mostly a valid one, and its options.
#[derive(Clone, Debug)]
pub(super) struct SubscriptionOwned {
    pub(super) filter: String,
    qos: Qos,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: RetainHandling,
}

pub(super) fn subscriptions() -> impl Strategy<Value = Vec<SubscriptionOwned>> {
    let filter = prop_oneof![
        4 => topic(),
        1 => topic().prop_map(|topic| format!("+{topic}/#")),
        1 => topic().prop_map(|topic| format!("$share/g{topic}")),
        1 => text(),
    ];
    let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
    let subscription = (filter, qos(), any::<bool>(), any::<bool>(), select(handling.to_vec()))
        .prop_map(|(filter, qos, no_local, retain_as_published, retain_handling)| {
            SubscriptionOwned { filter, qos, no_local, retain_as_published, retain_handling }
        });
    vec(subscription, 1..5)
}

impl SubscriptionOwned {
    pub(super) fn view(&self, version: Version, id: Option<u32>) -> Subscription<'_> {
        let is_v5 = is_v5(version);
        let is_shared = self.filter.starts_with("$share/");
        Subscription {
            filter: &self.filter,
            qos: self.qos,
            no_local: is_v5 && self.no_local && !is_shared,
            retain_as_published: is_v5 && self.retain_as_published,
            retain_handling: if is_v5 { self.retain_handling } else { RetainHandling::Send },
            id: id.filter(|_| is_v5),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct EndOwned {
    reason: ReasonCode,
    session_expiry: Option<u32>,
    texts: [Option<String>; 2],
    data: Option<Vec<u8>>,
    user: Vec<(String, String)>,
}

/// The fields of DISCONNECT and AUTH.
pub(super) fn end(codes: &'static [u8]) -> impl Strategy<Value = EndOwned> {
    (
        reason(codes),
        option::of(any::<u32>()),
        proptest::array::uniform2(option::of(text())),
        option::of(data()),
        pairs(),
    )
        .prop_map(|(reason, session_expiry, texts, data, user)| EndOwned {
            reason,
            session_expiry,
            texts,
            data,
            user,
        })
}

impl EndOwned {
    pub(super) fn disconnect(&self, version: Version) -> Disconnect<'_> {
        if !is_v5(version) {
            return Disconnect::new(ReasonCode::SUCCESS);
        }
        let [reason_string, server_reference] = self.texts.each_ref().map(Option::as_deref);
        let user = User::new(&self.user);
        let session_expiry = self.session_expiry;
        Disconnect { reason: self.reason, session_expiry, reason_string, server_reference, user }
    }

    pub(super) fn auth(&self) -> Auth<'_> {
        let [reason_string, method] = self.texts.each_ref().map(Option::as_deref);
        if method.is_none() {
            return Auth::new(ReasonCode::SUCCESS);
        }
        Auth {
            reason: self.reason,
            authentication_method: method,
            authentication_data: self.data.as_deref(),
            reason_string,
            user: User::new(&self.user),
        }
    }
}
