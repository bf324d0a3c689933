//! Records of other producers reach subscribers.

use crate::harness::{
    Client, Publish, V5, V311, Value, engine, kafka_only, message, on_one_and_three_workers,
    text_property, user,
};

on_one_and_three_workers!(
    a_record_in_the_peers_layout_is_delivered_with_its_properties,
    a_record_with_a_key_only_is_delivered_at_qos_0,
);

fn a_record_in_the_peers_layout_is_delivered_with_its_properties(workers: usize) {
    kafka_only!();
    let engine = engine(workers);
    let mut five = Client::connect(engine.port, V5, "five");
    five.subscribe("sensor/#", 1);
    let mut three = Client::connect(engine.port, V311, "three");
    three.subscribe("sensor/+", 1);
    engine.topics.borrow_mut().produce(
        "messages",
        Some(b"sensor/one"),
        Some(b"\x00payload\xff"),
        &[
            ("zilla:filter", b"sensor"),
            ("zilla:filter", b"one"),
            ("zilla:local", b"another"),
            ("zilla:expiry", &[0, 0, 14, 16]),
            ("zilla:content-type", b"text/plain"),
            ("zilla:format", b"BINARY"),
            ("zilla:reply-to", b"some-kafka-topic"),
            ("zilla:reply-key", b"reply/here"),
            ("zilla:reply-filter", b"reply"),
            ("zilla:reply-filter", b"here"),
            ("zilla:correlation-id", &[1, 0, 255]),
            ("a", b"1"),
            ("b", b"2"),
            ("a", b"3"),
            ("zilla:qos", b"1"),
        ],
    );
    let mut publish = five.receive();
    // What is left of the expiry: the interval less the time since the record's timestamp
    // [MQTT-3.3.2-6].
    let expiry = publish.properties.iter().position(|(identifier, _)| *identifier == 0x02);
    let (_, Value::Four(left)) = publish.properties.remove(expiry.expect("an expiry")) else {
        panic!("an expiry of four bytes");
    };
    assert!((3540..=3600).contains(&left), "{left}");
    publish.properties.sort_by_key(|(identifier, _)| *identifier);
    assert_eq!(
        publish,
        Publish {
            payload: b"\x00payload\xff".to_vec(),
            id: publish.id,
            properties: vec![
                (0x01, Value::Byte(0)),
                text_property(0x03, "text/plain"),
                text_property(0x08, "reply/here"),
                (0x09, Value::Bytes(vec![1, 0, 255])),
                user("a", "1"),
                user("b", "2"),
                user("a", "3"),
            ],
            ..message("sensor/one", "", 1)
        }
    );
    let publish = three.receive();
    assert_eq!((&*publish.topic, publish.qos), ("sensor/one", 1));
    assert_eq!(publish.payload, b"\x00payload\xff");
}

fn a_record_with_a_key_only_is_delivered_at_qos_0(workers: usize) {
    kafka_only!();
    let engine = engine(workers);
    let mut client = Client::connect(engine.port, V5, "c");
    client.subscribe("native/#", 1);
    let produce = |key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]| {
        engine.topics.borrow_mut().produce("messages", key, value, headers);
    };
    produce(Some(b"native/1"), Some(b"first"), &[("trace", b"t-1")]);
    let publish = client.receive();
    assert_eq!(
        publish,
        Publish { properties: vec![user("trace", "t-1")], ..message("native/1", "first", 0) }
    );
    // A null value is a message without payload; what is no topic is left out and counted.
    produce(Some(b"native/1"), None, &[]);
    assert_eq!(client.receive(), message("native/1", "", 0));
    produce(None, Some(b"no key"), &[]);
    produce(Some(b"native/+"), Some(b"a filter"), &[]);
    produce(Some(b"native/\xff\xfe"), Some(b"no text"), &[]);
    for partition in 0..24 {
        // Some of these lie behind each of the three, in its partition.
        produce(Some(format!("native/end/{partition}").as_bytes()), Some(b"end"), &[]);
    }
    for _ in 0..24 {
        assert_eq!(client.receive().text(), "end");
    }
    assert_eq!(engine.counter("records_skipped_key"), 3);
}

/// What was written before the engine started is no live message, and a retained record of
/// another producer is replayed.
#[test]
fn records_from_before_the_start_are_not_live() {
    kafka_only!();
    let first = engine(1);
    let mut client = Client::connect(first.port, V5, "c");
    client.subscribe("t", 0);
    first.topics.borrow_mut().produce("retained", Some(b"r/t"), Some(b"kept"), &[]);
    first.topics.borrow_mut().produce("messages", Some(b"t"), Some(b"1"), &[]);
    assert_eq!(client.receive().text(), "1");
    let mut late = Client::connect(first.port, V5, "late");
    late.subscribe("#", 0);
    assert_eq!(late.receive(), Publish { retain: true, ..message("r/t", "kept", 0) });
    first.topics.borrow_mut().produce("messages", Some(b"t"), Some(b"2"), &[]);
    assert_eq!(late.receive().text(), "2", "nothing of before the subscription");
}
