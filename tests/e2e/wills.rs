//! Wills: when they are published, and when not.

use std::time::Instant;

use serde_json::json;

use crate::harness::{
    Client, Connect, LIBRARIES, Publish, Script, V5, V311, Value, Will, engine, engine_only, hex,
    message, mosquitto_sub, on_one_and_three_workers, text_property, user,
};

on_one_and_three_workers!(
    a_killed_client_leaves_its_will,
    a_normal_disconnect_discards_the_will,
    a_takeover_publishes_the_will_of_the_old_connection,
);

/// [MQTT-3.1.2-8] [MQTT-3.1.2-14]
fn a_killed_client_leaves_its_will(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will/#", 1);
    for version in ["mqttv311", "mqttv5"] {
        let will = ["--will-topic", "will/mosquitto", "--will-payload", "gone", "--will-qos", "1"];
        let mut victim =
            mosquitto_sub(engine.port, version, &[&["-t", "x"][..], &will[..]].concat());
        victim.kill();
        let publish = watcher.receive();
        assert_eq!(publish, Publish { id: publish.id, ..message("will/mosquitto", "gone", 1) });
    }
    for library in LIBRARIES {
        for version in [V311, V5] {
            let will = json!({"topic": "will/library", "payload": hex(b"lost"), "qos": 0});
            let more = json!({"will": will});
            let mut victim = Script::connect_with(library, engine.port, version, "victim", more);
            victim.kill();
            assert_eq!(watcher.receive(), message("will/library", "lost", 0));
        }
    }
}

/// [MQTT-3.1.2-10] [MQTT-3.14.4-3]
fn a_normal_disconnect_discards_the_will(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "victim").with_will(Will::new("will", b"never"));
        Client::connect_as(engine.port, &connect).disconnect(0);
    }
    watcher.publish("will", "mark", 1);
    assert_eq!(watcher.receive().text(), "mark");

    // DISCONNECT with Will Message.
    let connect = Connect::new(V5, "victim").with_will(Will::new("will", b"asked for"));
    Client::connect_as(engine.port, &connect).disconnect(0x04);
    assert_eq!(watcher.receive().text(), "asked for");
}

/// [MQTT-3.1.2-22] [MQTT-3.1.2-8]
#[test]
fn an_expired_keep_alive_publishes_the_will() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "victim")
            .with_keep_alive(1)
            .with_will(Will::new("will", b"silent"));
        let began = Instant::now();
        let mut victim = Client::connect_as(engine.port, &connect);
        assert_eq!(watcher.receive().text(), "silent");
        assert!(began.elapsed().as_millis() >= 1400, "{:?}", began.elapsed());
        victim.end();
    }
}

/// [MQTT-3.1.4-3]
fn a_takeover_publishes_the_will_of_the_old_connection(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    let connect = Connect::new(V5, "victim").with_will(Will::new("will", b"taken over"));
    let mut old = Client::connect_as(engine.port, &connect);
    let new = Client::connect_as(engine.port, &connect);
    old.refused(0x8e);
    assert_eq!(watcher.receive().text(), "taken over");
    new.disconnect(0);
    watcher.publish("will", "mark", 1);
    assert_eq!(watcher.receive().text(), "mark");
}

/// A malformed packet ends the connection abnormally.
#[test]
fn a_protocol_error_publishes_the_will() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "victim").with_will(Will::new("will", b"malformed"));
        let mut victim = Client::connect_as(engine.port, &connect);
        // QoS 3 [MQTT-3.3.1-4].
        victim.send(&[0x36, 4, 0, 1, b't', 0]);
        victim.refused(0x81);
        assert_eq!(watcher.receive().text(), "malformed");
    }
}

/// The will's properties are delivered, and it may be retained [MQTT-3.1.2-15].
#[test]
fn a_will_keeps_its_properties_and_retain() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will/x", 1);
    let properties = vec![
        (0x01, Value::Byte(1)),
        text_property(0x03, "text/plain"),
        text_property(0x08, "answer"),
        (0x09, Value::Bytes(vec![0, 1])),
        user("a", "1"),
        user("a", "2"),
    ];
    let will = Will { retain: true, properties, ..Will::new("will/x", b"w") };
    let connect = Connect::new(V5, "victim").with_will(will.clone());
    drop(Client::connect_as(engine.port, &connect));
    let mut publish = watcher.receive();
    publish.properties.sort_by_key(|(identifier, _)| *identifier);
    let expected = Publish { properties: will.properties, ..message("will/x", "w", 1) };
    assert_eq!(publish, Publish { id: publish.id, ..expected });
    let mut late = Client::connect(engine.port, V311, "late");
    late.subscribe("will/x", 1);
    let publish = late.receive();
    assert_eq!((publish.text(), publish.retain), ("w", true));
}

/// A will's record has no `zilla:local`, and lies on retained too if it is retained.
#[test]
fn the_record_of_a_will_names_no_publisher() {
    engine_only!();
    let engine = engine(1);
    let will = Will { retain: true, ..Will::new("will/x", b"w") };
    let connect = Connect::new(V5, "victim").with_will(will);
    drop(Client::connect_as(engine.port, &connect));
    let expected: Vec<_> = [("zilla:filter", "will"), ("zilla:filter", "x"), ("zilla:qos", "1")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
        .collect();
    for topic in ["messages", "retained"] {
        let records = engine.records(topic, 1);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].key.as_deref(), Some(&b"will/x"[..]));
        assert_eq!(records[0].value.as_deref(), Some(&b"w"[..]));
        assert_eq!(records[0].headers, expected);
    }
}
