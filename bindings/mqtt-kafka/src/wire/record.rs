//! A publish as records.

use kafka_plane::{Draft, DraftHeaders};
use mqtt_plane::Publish;

/// The record of a publish on a topic of messages. `hash_key` chooses its partition where the MQTT
/// topic, its key, does not: either way all messages of a topic lie in one partition, in the order
/// of their publishes [MQTT-4.6.0-5], [MQTT-4.6.0-6]. Its time is the producer's.
#[must_use]
pub fn message<'a>(
    publish: &Publish<'a>,
    topic: &'a str,
    hash_key: Option<&'a str>,
    headers: &'a dyn DraftHeaders,
) -> Draft<'a> {
    Draft {
        topic,
        key: Some(publish.topic.as_bytes()),
        hash_key: hash_key.map(str::as_bytes),
        value: Some(publish.payload),
        timestamp: None,
        headers,
    }
}

/// The same on the topic of retained messages, where the last of a key holds [MQTT-3.3.1-5],
/// whatever becomes of its publisher: [MQTT-3.1.2-7] of 3.1.1. What has no RETAIN does not go there
/// [MQTT-3.3.1-8]. An empty message clears by a tombstone
/// [MQTT-3.3.1-6] [MQTT-3.3.1-7], and itself goes to the topic of messages with an empty value.
#[must_use]
pub fn retained<'a>(message: Draft<'a>, topic: &'a str) -> Draft<'a> {
    let value = message.value.filter(|payload| !payload.is_empty());
    Draft { topic, value, ..message }
}
