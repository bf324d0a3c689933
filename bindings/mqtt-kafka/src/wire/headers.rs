//! A publish as the headers of a record.

use kafka_plane::DraftHeaders;
use mqtt_plane::{PayloadFormat, Publish, Qos};

/// The headers of a publish, which carry on what subscribers are to have of it [MQTT-3.3.2-4],
/// [MQTT-3.3.2-15] to [MQTT-3.3.2-17], [MQTT-3.3.2-20]. In the order of the format: `zilla:filter`
/// a level, `zilla:local`, `zilla:expiry`, `zilla:content-type`, `zilla:format`, `zilla:reply-to`,
/// `zilla:reply-key`, `zilla:reply-filter` a level, `zilla:correlation-id`, user properties,
/// `zilla:qos`.
///
/// A first user property whose name begins as theirs do would be read as the header of its name,
/// where the message has none: before it comes a header without a value, which nobody reads as
/// anything.
pub struct PublishHeaders<'a> {
    publish: &'a Publish<'a>,
    client_id: Option<&'a str>,
    reply_to: &'a str,
    expiry: Option<[u8; 4]>,
}

impl<'a> PublishHeaders<'a> {
    /// The headers of `publish` by `client_id` (none for a will); responses are expected in the
    /// Kafka topic `reply_to`.
    #[must_use]
    pub fn new(publish: &'a Publish<'a>, client_id: Option<&'a str>, reply_to: &'a str) -> Self {
        let expiry = publish.properties.message_expiry.map(u32::to_be_bytes);
        Self { publish, client_id, reply_to, expiry }
    }
}

/// The levels that `zilla:filter` names: trailing empty levels are left out, so that `/` has none.
/// As bytes, which are split faster than text: it is done twice for each message.
pub(super) fn filter_levels(topic: &str) -> impl Iterator<Item = &[u8]> {
    let topic = topic.trim_end_matches('/').as_bytes();
    let all = if topic.is_empty() { 0 } else { usize::MAX };
    topic.split(|byte| *byte == b'/').take(all)
}

impl DraftHeaders for PublishHeaders<'_> {
    fn count(&self) -> usize {
        let mut count = 0;
        self.for_each(&mut |_, _| count += 1);
        count
    }

    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, Option<&'s [u8]>)) {
        let publish = self.publish;
        let properties = &publish.properties;
        for level in filter_levels(publish.topic) {
            visit("zilla:filter", Some(level));
        }
        if let Some(client_id) = self.client_id {
            visit("zilla:local", Some(client_id.as_bytes()));
        }
        if let Some(expiry) = &self.expiry {
            visit("zilla:expiry", Some(expiry));
        }
        if let Some(content_type) = properties.content_type {
            visit("zilla:content-type", Some(content_type.as_bytes()));
        }
        if let (Some(format), false) = (properties.payload_format, publish.payload.is_empty()) {
            visit(
                "zilla:format",
                Some(match format {
                    PayloadFormat::Bytes => b"BINARY",
                    PayloadFormat::Utf8 => b"TEXT",
                }),
            );
        }
        if let Some(response_topic) = properties.response_topic {
            visit("zilla:reply-to", Some(self.reply_to.as_bytes()));
            visit("zilla:reply-key", Some(response_topic.as_bytes()));
            for level in response_topic.split('/') {
                visit("zilla:reply-filter", Some(level.as_bytes()));
            }
        }
        if let Some(correlation_data) = properties.correlation_data {
            visit("zilla:correlation-id", Some(correlation_data));
        }
        let mut is_first = true;
        properties.user.for_each(&mut |name, value| {
            if std::mem::take(&mut is_first) && name.starts_with("zilla:") {
                visit("zilla:user", None);
            }
            visit(name, Some(value.as_bytes()));
        });
        visit(
            "zilla:qos",
            Some(match publish.qos {
                Qos::AtMostOnce => b"0",
                Qos::AtLeastOnce => b"1",
                Qos::ExactlyOnce => b"2",
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_plane::PublishProperties;

    fn headers(publish: &Publish<'_>) -> Vec<(String, Vec<u8>)> {
        let mut list = Vec::new();
        let headers = PublishHeaders::new(publish, Some("c1"), "mqtt-messages");
        headers.for_each(&mut |name, value| {
            list.push((name.to_owned(), value.unwrap_or_default().to_vec()));
        });
        assert_eq!(list.len(), headers.count());
        list
    }

    fn plain<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
        let properties = PublishProperties::default();
        Publish { topic, payload, qos: Qos::AtMostOnce, retain: false, properties }
    }

    #[test]
    fn all_headers_come_in_the_order_of_the_format() {
        let user = vec![("k".to_owned(), "v".to_owned()), ("zilla:qos".to_owned(), "x".to_owned())];
        let publish = Publish {
            topic: "/a/b",
            payload: b"p",
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: PublishProperties {
                payload_format: Some(PayloadFormat::Utf8),
                message_expiry: Some(258),
                content_type: Some("t"),
                response_topic: Some("r/"),
                correlation_data: Some(b"\x00\x01"),
                user: &user,
            },
        };
        let expected: [(&str, &[u8]); 15] = [
            ("zilla:filter", b""),
            ("zilla:filter", b"a"),
            ("zilla:filter", b"b"),
            ("zilla:local", b"c1"),
            ("zilla:expiry", &[0, 0, 1, 2]),
            ("zilla:content-type", b"t"),
            ("zilla:format", b"TEXT"),
            ("zilla:reply-to", b"mqtt-messages"),
            ("zilla:reply-key", b"r/"),
            ("zilla:reply-filter", b"r"),
            ("zilla:reply-filter", b""),
            ("zilla:correlation-id", b"\x00\x01"),
            ("k", b"v"),
            ("zilla:qos", b"x"),
            ("zilla:qos", b"1"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        assert_eq!(headers(&publish), expected);
    }

    #[test]
    fn trailing_empty_levels_have_no_filter_header_and_empty_payloads_no_format() {
        let filters = |topic| {
            let list = headers(&plain(topic, b"x"));
            list.iter().filter(|(name, _)| name == "zilla:filter").count()
        };
        assert_eq!([filters("/"), filters("//"), filters("a//"), filters("a//b/")], [0, 0, 1, 3]);
        let mut publish = plain("a", b"");
        publish.properties.payload_format = Some(PayloadFormat::Bytes);
        assert!(headers(&publish).iter().all(|(name, _)| name != "zilla:format"));
    }
}
