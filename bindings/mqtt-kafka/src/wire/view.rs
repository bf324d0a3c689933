//! A record as a publish.

use std::sync::Arc;

use kafka_plane::{Batch, Record};
use mqtt_plane::{PayloadFormat, Publish, PublishProperties, Qos, UserProperties, check_topic};

use super::headers::filter_levels;

const NONE: u16 = u16::MAX;

/// A record of the messages or retained topic, read as a publish.
///
/// Control headers are recognised by their place: at the front in the order of the format, each
/// once, and `zilla:qos` only as the last. Whatever else there is is a user property, also if its
/// name looks like a control header's; a header without a value is none, and keeps what follows it
/// from being a control header. One ambiguity is left, in records of other producers: a *first*
/// user property that is named like a control header which the message does not have.
#[derive(Clone)]
pub struct View {
    batch: Arc<Batch>,
    index: u32,
    qos: Qos,
    payload_format: Option<PayloadFormat>,
    expiry: Option<u32>,
    local: u16,
    content_type: u16,
    reply_to: u16,
    reply_key: u16,
    correlation: u16,
    user_start: u16,
    user_end: u16,
}

/// The topic that a record is about: its key, where that is a topic name (UTF-8, no wildcard).
#[must_use]
pub fn topic_of<'a>(record: &Record<'a>) -> Option<&'a str> {
    let topic = std::str::from_utf8(record.key()?).ok()?;
    (topic.len() <= usize::from(u16::MAX) && check_topic(topic).is_ok()).then_some(topic)
}

/// A value as a UTF-8 Encoded String of MQTT: without U+0000, 65,535 bytes at most
/// [MQTT-1.5.4-2]. Other producers may write what is none.
fn text(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    (text.len() <= usize::from(u16::MAX) && !text.contains('\0')).then_some(text)
}

impl View {
    /// Reads the headers of the record at `index`, whose key is `topic`.
    #[must_use]
    pub fn new(batch: Arc<Batch>, index: u32, topic: &str) -> Self {
        let mut view = Self {
            batch,
            index,
            // Without the header: QoS 0, as other producers' records are.
            qos: Qos::AtMostOnce,
            payload_format: None,
            expiry: None,
            local: NONE,
            content_type: NONE,
            reply_to: NONE,
            reply_key: NONE,
            correlation: NONE,
            user_start: 0,
            user_end: 0,
        };
        view.read(topic);
        view
    }

    fn read(&mut self, topic: &str) {
        let batch = Arc::clone(&self.batch);
        let mut headers = batch.record(self.index).headers();
        // A record cannot have more: the codec and the log bound both are far below.
        let mut end = u16::try_from(headers.len()).unwrap_or(NONE);
        if let Some((b"zilla:qos", Some([digit @ b'0'..=b'2']))) = headers.clone().next_back() {
            self.qos = Qos::from_bits(digit - b'0').unwrap_or(self.qos);
            headers.next_back();
            end -= 1;
        }
        let mut next = headers.next();
        let mut at = 0;
        for level in filter_levels(topic) {
            if next != Some((b"zilla:filter", Some(level))) {
                break;
            }
            next = headers.next();
            at += 1;
        }
        let mut take = |name: &[u8], accept: &mut dyn FnMut(&[u8]) -> bool| {
            let is_taken = next
                .is_some_and(|(header, value)| header == name && value.is_some_and(&mut *accept));
            if !is_taken {
                return NONE;
            }
            next = headers.next();
            at += 1;
            at - 1
        };
        // What is no text is left out when it is asked for.
        let any = &mut |_: &[u8]| true;
        self.local = take(b"zilla:local", any);
        take(b"zilla:expiry", &mut |value| {
            self.expiry = value.try_into().ok().map(u32::from_be_bytes);
            self.expiry.is_some()
        });
        self.content_type = take(b"zilla:content-type", any);
        take(b"zilla:format", &mut |value| {
            self.payload_format = match value {
                b"BINARY" => Some(PayloadFormat::Bytes),
                b"TEXT" => Some(PayloadFormat::Utf8),
                _ => None,
            };
            self.payload_format.is_some()
        });
        self.reply_to = take(b"zilla:reply-to", any);
        self.reply_key = take(b"zilla:reply-key", any);
        if let Some(key) = self.text(self.reply_key).map(str::to_owned) {
            for level in key.split('/') {
                if take(b"zilla:reply-filter", &mut |value| value == level.as_bytes()) == NONE {
                    break;
                }
            }
        }
        self.correlation = take(b"zilla:correlation-id", any);
        self.user_start = at;
        self.user_end = end;
    }

    fn record(&self) -> Record<'_> {
        self.batch.record(self.index)
    }

    fn value(&self, header: u16) -> Option<&[u8]> {
        if header == NONE {
            return None;
        }
        self.record().headers().nth(usize::from(header))?.1
    }

    fn text(&self, header: u16) -> Option<&str> {
        self.value(header).and_then(text)
    }

    /// The QoS that it was published with.
    #[must_use]
    pub fn qos(&self) -> Qos {
        self.qos
    }

    /// The client that published it; none for wills and other producers' records.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.text(self.local)
    }

    /// When it was published, milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.record().timestamp()
    }

    /// How long its payload is, bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.record().value().map_or(0, <[u8]>::len)
    }

    /// Whether it has an expiry interval.
    #[must_use]
    pub fn can_expire(&self) -> bool {
        self.expiry.is_some()
    }

    /// The batch that it lies in.
    #[must_use]
    pub fn batch(&self) -> &Arc<Batch> {
        &self.batch
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> (u32, i64) {
        (self.batch.partition(), self.record().offset())
    }

    /// Seconds left before it expires at `now` (milliseconds since the epoch), rounded up so that
    /// a message is not announced as expired before it is; `Some(0)` when it has expired.
    #[must_use]
    pub fn remaining_expiry(&self, now: i64) -> Option<u32> {
        let expiry = self.expiry?;
        let due = self.timestamp() + i64::from(expiry) * 1000;
        let left = u64::try_from(due - now).unwrap_or(0).div_ceil(1000);
        // Clocks differ: never more than it began with [MQTT-3.3.2-6].
        Some(u32::try_from(left).unwrap_or(u32::MAX).min(expiry))
    }

    /// The publish.
    #[must_use]
    pub fn publish(&self) -> Publish<'_> {
        let record = self.record();
        // The response topic is the MQTT topic of `zilla:reply-key`; `zilla:reply-to` names a
        // Kafka topic, but other producers give only that.
        let response = if self.reply_key == NONE { self.reply_to } else { self.reply_key };
        Publish {
            topic: record.key().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default(),
            payload: record.value().unwrap_or_default(),
            qos: self.qos,
            retain: false,
            properties: PublishProperties {
                payload_format: self.payload_format,
                message_expiry: self.expiry,
                content_type: self.text(self.content_type),
                response_topic: self.text(response).filter(|topic| check_topic(topic).is_ok()),
                correlation_data: self
                    .value(self.correlation)
                    .filter(|data| data.len() <= usize::from(u16::MAX)),
                user: self,
            },
        }
    }
}

impl UserProperties for View {
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, &'s str)) {
        let count = usize::from(self.user_end.saturating_sub(self.user_start));
        let headers = self.record().headers().skip(usize::from(self.user_start)).take(count);
        for (name, value) in headers {
            // A header that is not text, or null, cannot be a user property.
            if let (Some(name), Some(value)) = (text(name), value.and_then(text)) {
                visit(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PublishHeaders;
    use kafka_plane::{BatchBuilder, DraftHeaders};

    fn view(key: &str, headers: &[(&str, &[u8])]) -> View {
        let mut builder = BatchBuilder::new();
        builder.record(5, 1_000, Some(key.as_bytes()), Some(b"v"));
        for (name, value) in headers {
            builder.header(name.as_bytes(), Some(value));
        }
        View::new(Arc::new(builder.finish(0)), 0, key)
    }

    /// A publish by `client_id`, written and read.
    fn written(publish: &Publish<'_>, client_id: Option<&str>) -> View {
        let headers = PublishHeaders::new(publish, client_id, "messages");
        let mut builder = BatchBuilder::new();
        builder.record(5, 1_000, Some(publish.topic.as_bytes()), Some(publish.payload));
        headers.for_each(&mut |name, value| builder.header(name.as_bytes(), value));
        View::new(Arc::new(builder.finish(2)), 0, publish.topic)
    }

    fn user(view: &View) -> Vec<(String, String)> {
        let mut list = Vec::new();
        view.for_each(&mut |name, value| list.push((name.to_owned(), value.to_owned())));
        list
    }

    #[test]
    fn what_is_written_is_read_back_with_names_that_look_like_ours() {
        let properties = vec![
            ("first".to_owned(), "1".to_owned()),
            ("zilla:qos".to_owned(), "0".to_owned()),
            ("zilla:filter".to_owned(), "x".to_owned()),
            ("zilla:local".to_owned(), "forged".to_owned()),
        ];
        let publish = Publish {
            topic: "a/b/",
            payload: b"v",
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: PublishProperties {
                payload_format: Some(PayloadFormat::Bytes),
                message_expiry: Some(10),
                content_type: Some("t"),
                response_topic: Some("r/s"),
                correlation_data: Some(b"\xff"),
                user: &properties,
            },
        };
        let view = written(&publish, Some("me"));
        let back = view.publish();
        assert_eq!((back.topic, back.payload, back.qos), ("a/b/", &b"v"[..], Qos::AtLeastOnce));
        assert_eq!(back.properties.payload_format, Some(PayloadFormat::Bytes));
        assert_eq!(back.properties.message_expiry, Some(10));
        assert_eq!(back.properties.content_type, Some("t"));
        assert_eq!(back.properties.response_topic, Some("r/s"));
        assert_eq!(back.properties.correlation_data, Some(&b"\xff"[..]));
        assert_eq!(view.local(), Some("me"));
        assert_eq!(user(&view), properties);
        assert_eq!(view.place(), (2, 5));
    }

    /// [MQTT-3.3.2-17], [MQTT-3.3.2-18]
    #[test]
    fn a_first_user_property_that_is_named_like_a_header_of_ours_stays_one() {
        for name in [
            "zilla:filter",
            "zilla:local",
            "zilla:expiry",
            "zilla:content-type",
            "zilla:format",
            "zilla:reply-to",
            "zilla:reply-key",
            "zilla:reply-filter",
            "zilla:correlation-id",
            "zilla:qos",
            "zilla:user",
        ] {
            // A value that each of them takes.
            for value in ["TEXT", "a"] {
                let properties = vec![(name.to_owned(), value.to_owned()); 2];
                let with_user =
                    PublishProperties { user: &properties, ..PublishProperties::default() };
                let publish = Publish {
                    topic: "a",
                    payload: b"v",
                    qos: Qos::AtMostOnce,
                    retain: false,
                    properties: with_user,
                };
                // A will names no client.
                let view = written(&publish, None);
                assert_eq!(user(&view), properties);
                let back = view.publish().properties;
                assert_eq!(back.message_expiry, None, "{name}");
                assert_eq!(back.payload_format, None, "{name}");
                let texts = (back.content_type, back.response_topic, view.local());
                assert_eq!(texts, (None, None, None), "{name}");
                assert_eq!(back.correlation_data, None, "{name}");
            }
        }
    }

    #[test]
    fn a_record_of_another_producer_is_a_publish_at_qos_0() {
        let bare = view("a/b", &[]);
        assert_eq!((bare.qos(), bare.local()), (Qos::AtMostOnce, None));
        assert!(user(&bare).is_empty());
        let foreign = view("a/b", &[("trace", b"7"), ("zilla:qos", b"1"), ("other", b"\xff")]);
        assert_eq!(foreign.qos(), Qos::AtMostOnce);
        let expected = [("trace", "7"), ("zilla:qos", "1")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(user(&foreign), expected);
        let reply = view("a", &[("zilla:filter", b"a"), ("zilla:reply-to", b"r")]);
        assert_eq!(reply.publish().properties.response_topic, Some("r"));
    }

    #[test]
    fn what_mqtt_cannot_carry_is_left_out_and_the_rest_is_kept() {
        let long = vec![b'x'; 65_536];
        let record = view(
            "a",
            &[
                ("zilla:filter", b"a"),
                ("zilla:content-type", b"a\0b"),
                ("zilla:format", b"TEXT"),
                ("zilla:reply-key", b"\xff"),
                ("zilla:correlation-id", &long),
                ("k", b"v"),
                ("null", b"\0"),
                ("long", &long),
            ],
        );
        let properties = record.publish().properties;
        assert_eq!((properties.content_type, properties.response_topic), (None, None));
        assert_eq!(properties.correlation_data, None);
        assert_eq!(properties.payload_format, Some(PayloadFormat::Utf8));
        assert_eq!(user(&record), [("k".to_owned(), "v".to_owned())]);
    }

    #[test]
    fn only_topic_names_are_topics() {
        let mut builder = BatchBuilder::new();
        for key in [Some(&b"a/b"[..]), Some(b""), Some(b"a/+"), Some(b"\xff"), Some(b"a\0"), None] {
            builder.record(0, 0, key, Some(b""));
        }
        let batch = builder.finish(0);
        let topics: Vec<_> = (0..6).map(|index| topic_of(&batch.record(index))).collect();
        assert_eq!(topics, [Some("a/b"), None, None, None, None, None]);
    }

    #[test]
    fn expiry_counts_down_in_seconds_and_never_up() {
        let view = view("a", &[("zilla:filter", b"a"), ("zilla:expiry", &[0, 0, 0, 10])]);
        let left = |now| view.remaining_expiry(now);
        assert_eq!(left(1_000), Some(10));
        assert_eq!(left(500), Some(10));
        assert_eq!(left(1_001), Some(10));
        assert_eq!(left(2_000), Some(9));
        assert_eq!(left(10_999), Some(1));
        assert_eq!(left(11_000), Some(0));
        assert_eq!(left(99_000), Some(0));
    }
}
