//! What a client publishes lies in Kafka byte for byte as the record format says.

use serde_json::json;

use crate::harness::{
    Client, LIBRARIES, Library, Publish, Record, Script, V5, V311, Value, engine, engine_only,
    message, mosquitto_pub, on_one_and_three_workers, text_property, user,
};

on_one_and_three_workers!(
    each_client_writes_the_same_record,
    all_properties_become_headers_in_order,
    a_retained_message_lies_in_both_topics,
);

/// The headers of a plain message: its levels, who published it, its QoS.
fn plain_headers(levels: &[&str], client_id: &str, qos: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let mut headers: Vec<_> = levels.iter().map(|level| ("zilla:filter", *level)).collect();
    headers.extend([("zilla:local", client_id), ("zilla:qos", qos)]);
    owned(&headers)
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, Option<Vec<u8>>)> {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec())))
        .collect()
}

fn milliseconds_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Key, value and partition, and that it was stamped with the time of the publish.
fn assert_record(record: &Record, key: &str, value: &[u8]) {
    assert_eq!(record.key.as_deref(), Some(key.as_bytes()));
    assert_eq!(record.value.as_deref(), Some(value), "{record:?}");
    assert_eq!(Some(record.partition), record.partition_of_key, "murmur2 of the key: {record:?}");
    let age = milliseconds_now() - record.timestamp;
    assert!((-1000..60_000).contains(&age), "timestamp {age} ms ago");
}

fn each_client_writes_the_same_record(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    for version in ["mqttv311", "mqttv5"] {
        mosquitto_pub(
            engine.port,
            version,
            &["-i", "c", "-t", "a/mosquitto/x", "-m", "hé\u{1f600}", "-q", "1"],
        );
        // QoS 0: durable at some time, before anything that this client's connection sent later.
        mosquitto_pub(
            engine.port,
            version,
            &["-i", "c", "-t", "a/mosquitto/y", "-m", "", "-q", "0"],
        );
    }
    for library in LIBRARIES {
        for version in [V311, V5] {
            let mut script = Script::connect(library, engine.port, version, "c");
            let topic = format!("a/{library:?}/x");
            script.publish(&topic, b"", 0);
            script.publish(&topic, b"\x00\xff\r\n", 1);
        }
    }
    let records = engine.records("messages", 12);
    assert_eq!(records.len(), 12, "one record a publish: {records:?}");
    for name in ["mosquitto", "Paho", "MqttJs"] {
        let of = |topic: &str| -> Vec<&Record> {
            let key = topic.as_bytes().to_vec();
            records.iter().filter(|record| record.key.as_ref() == Some(&key)).collect()
        };
        let x = format!("a/{name}/x");
        let x_records = of(&x);
        let expected: &[(&[u8], &str)] = if name == "mosquitto" {
            &[("hé\u{1f600}".as_bytes(), "1"); 2]
        } else {
            &[(b"", "0"), (b"\x00\xff\r\n", "1"), (b"", "0"), (b"\x00\xff\r\n", "1")]
        };
        assert_eq!(x_records.len(), expected.len(), "{x}: {records:?}");
        for (record, (value, qos)) in x_records.iter().zip(expected) {
            assert_record(record, &x, value);
            assert_eq!(record.headers, plain_headers(&["a", name, "x"], "c", qos));
        }
    }
    assert!(engine.records("retained", 0).is_empty());
}

fn all_properties_become_headers_in_order(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    // A client's own names that look like control headers are user properties like others.
    let mut client = Client::connect(engine.port, V5, "client-1");
    let reason = client.publish_with(&Publish {
        payload: "grün".as_bytes().to_vec(),
        properties: vec![
            user("k1", "v1"),
            (0x01, Value::Byte(1)),
            user("zilla:qos", "9"),
            (0x02, Value::Four(0x0102_0304)),
            text_property(0x03, "text/plain"),
            user("k1", "v2"),
            text_property(0x08, "reply/to//"),
            (0x09, Value::Bytes(vec![0, 1, 0xff])),
            user("", ""),
        ],
        ..message("/sensor//one/", "", 1)
    });
    assert!(reason < 0x80);
    let records = engine.records("messages", 1);
    assert_eq!(records.len(), 1);
    assert_record(&records[0], "/sensor//one/", "grün".as_bytes());
    let mut expected = owned(&[
        ("zilla:filter", ""),
        ("zilla:filter", "sensor"),
        ("zilla:filter", ""),
        ("zilla:filter", "one"),
        ("zilla:local", "client-1"),
    ]);
    expected.push(("zilla:expiry".to_owned(), Some(vec![1, 2, 3, 4])));
    expected.extend(owned(&[
        ("zilla:content-type", "text/plain"),
        ("zilla:format", "TEXT"),
        ("zilla:reply-to", &engine.topic("messages")),
        ("zilla:reply-key", "reply/to//"),
        ("zilla:reply-filter", "reply"),
        ("zilla:reply-filter", "to"),
        ("zilla:reply-filter", ""),
        ("zilla:reply-filter", ""),
    ]));
    expected.push(("zilla:correlation-id".to_owned(), Some(vec![0, 1, 0xff])));
    expected.extend(owned(&[
        ("k1", "v1"),
        ("zilla:qos", "9"),
        ("k1", "v2"),
        ("", ""),
        ("zilla:qos", "1"),
    ]));
    assert_eq!(records[0].headers, expected);

    // The same from the libraries, as far as they have it.
    for library in LIBRARIES {
        let mut script = Script::connect(library, engine.port, V5, "client-2");
        let topic = format!("{library:?}");
        let properties = json!({
            "payload_format": 0,
            "message_expiry": 300,
            "content_type": "b",
            "response_topic": "r",
            "correlation_data": "00ff",
            "user": [["u", "1"], ["u", "2"], ["v", "3"]],
        });
        script.publish_with(&topic, b"x", 1, false, &properties);
        let records = engine.records("messages", 1);
        let record =
            records.iter().find(|record| record.key.as_deref() == Some(topic.as_bytes())).unwrap();
        let mut expected = owned(&[("zilla:filter", &topic), ("zilla:local", "client-2")]);
        expected.push(("zilla:expiry".to_owned(), Some(vec![0, 0, 1, 44])));
        expected.extend(owned(&[
            ("zilla:content-type", "b"),
            ("zilla:format", "BINARY"),
            ("zilla:reply-to", &engine.topic("messages")),
            ("zilla:reply-key", "r"),
            ("zilla:reply-filter", "r"),
        ]));
        expected.push(("zilla:correlation-id".to_owned(), Some(vec![0, 255])));
        expected.extend(owned(&[("u", "1"), ("u", "2"), ("v", "3"), ("zilla:qos", "1")]));
        assert_eq!(record.headers, expected, "{library:?}");
    }
}

fn a_retained_message_lies_in_both_topics(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut script = Script::connect(Library::Paho, engine.port, V5, "c");
    let properties = json!({"content_type": "t", "response_topic": "r/", "user": [["u", "1"]]});
    script.publish_with("lamp/1", b"on", 1, true, &properties);
    let messages = engine.records("messages", 1);
    let retained = engine.records("retained", 1);
    assert_eq!((messages.len(), retained.len()), (1, 1));
    assert_record(&retained[0], "lamp/1", b"on");
    assert_eq!(
        (&messages[0].key, &messages[0].value, &messages[0].headers, messages[0].timestamp),
        (&retained[0].key, &retained[0].value, &retained[0].headers, retained[0].timestamp),
        "reply-to names the messages topic in both"
    );
    assert!(
        messages[0]
            .headers
            .contains(&("zilla:reply-to".to_owned(), Some(engine.topic("messages").into_bytes())))
    );

    // Clearing: a tombstone on retained, a zero-length value on messages [MQTT-3.3.1-6].
    script.publish_with("lamp/1", b"", 1, true, &json!({}));
    let messages = engine.records("messages", 2);
    let retained = engine.records("retained", 2);
    assert_eq!((messages.len(), retained.len()), (2, 2));
    assert_record(&messages[1], "lamp/1", b"");
    assert_eq!(retained[1].key.as_deref(), Some(&b"lamp/1"[..]));
    assert_eq!(retained[1].value, None);
    assert_eq!(retained[1].partition, retained[0].partition);

    // QoS 0, 3.1.1.
    mosquitto_pub(engine.port, "mqttv311", &["-i", "m", "-t", "lamp/2", "-m", "off", "-r"]);
    let retained = engine.records("retained", 3);
    let record = &retained.iter().find(|record| record.value.as_deref() == Some(b"off")).unwrap();
    assert_record(record, "lamp/2", b"off");
    assert_eq!(record.headers, plain_headers(&["lamp", "2"], "m", "0"));
}

/// Java's split leaves trailing empty levels out, and a topic of separators only has no level.
#[test]
fn levels_are_split_as_the_format_says() {
    engine_only!();
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V311, "c");
    for (topic, levels) in
        [("/", &[][..]), ("a/", &["a"]), ("/a", &["", "a"]), ("a//b", &["a", "", "b"])]
    {
        client.publish(topic, "x", 1);
        let records = engine.records("messages", 1);
        let key = Some(topic.as_bytes());
        let record = records.iter().find(|record| record.key.as_deref() == key).unwrap();
        assert_eq!(record.headers, plain_headers(levels, "c", "1"), "{topic}");
    }
}

/// Order within a topic is the order of the publishes, whatever the QoS.
#[test]
fn records_of_a_client_keep_the_order_of_its_publishes() {
    engine_only!();
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    for number in 0..200_u32 {
        let qos = u8::from(number % 3 == 0);
        client.send_publish(&message("one/topic", &number.to_string(), qos));
    }
    let records = engine.records("messages", 200);
    let values: Vec<_> = records
        .iter()
        .map(|record| String::from_utf8(record.value.clone().unwrap()).unwrap())
        .collect();
    let expected: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
}
