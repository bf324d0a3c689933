//! Publisher to subscriber through the broker, with each client and both versions.

use std::time::Instant;

use serde_json::json;

use crate::harness::{
    Client, Engine, LIBRARIES, PATIENCE, Publish, Script, V5, V311, Value, engine, hex, message,
    mosquitto_message, mosquitto_pub, mosquitto_sub, on_one_and_three_workers, text_property, user,
};

on_one_and_three_workers!(
    every_client_reaches_every_other,
    mosquitto_programs_exchange_messages,
    thousands_arrive_once_and_in_order,
    publishers_and_subscribers_on_all_workers_meet,
);

fn every_client_reaches_every_other(workers: usize) {
    let engine = engine(workers);
    for qos in [0, 1, 2] {
        let mut subscribers = Vec::new();
        for library in LIBRARIES {
            for version in [V311, V5] {
                let id = format!("sub-{library:?}-{version}");
                let mut script = Script::connect(library, engine.port, version, &id);
                script.subscribe("x/+/y/#", qos);
                subscribers.push(script);
            }
        }
        let mut raw = Client::connect(engine.port, V5, "raw");
        raw.subscribe("x/#", qos);
        for library in LIBRARIES {
            for version in [V311, V5] {
                let id = format!("pub-{library:?}-{version}");
                let mut script = Script::connect(library, engine.port, version, &id);
                let topic = format!("x/{id}/y/z");
                script.publish(&topic, b"\x00\xffpayload", qos);
                for subscriber in &mut subscribers {
                    let message = subscriber.message();
                    assert_eq!((&*message.topic, message.retain), (&*topic, false));
                    assert_eq!(message.payload, b"\x00\xffpayload");
                    assert_eq!(message.qos, u64::from(qos));
                }
                assert_eq!(raw.receive().topic, topic);
            }
        }
    }
}

/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
#[test]
fn properties_arrive_as_they_were_sent() {
    let engine = engine(1);
    let mut subscriber = Client::connect(engine.port, V5, "s");
    subscriber.subscribe("p", 1);
    let mut older = Client::connect(engine.port, V311, "older");
    older.subscribe("p", 1);
    let mut publisher = Client::connect(engine.port, V5, "p");
    let publish = Publish {
        properties: vec![
            (0x01, Value::Byte(1)),
            text_property(0x03, "text/plain"),
            text_property(0x08, "answer/here"),
            (0x09, Value::Bytes(b"\x00\x01".to_vec())),
            user("a", "1"),
            user("b", "2"),
            user("a", "3"),
            user("zilla:qos", "0"),
        ],
        ..message("p", "text", 1)
    };
    assert!(publisher.publish_with(&publish) < 0x80);
    let mut received = subscriber.receive();
    received.properties.sort_by_key(|(identifier, _)| *identifier);
    assert_eq!(received, Publish { id: received.id, ..publish.clone() });
    let received = older.receive();
    assert_eq!(received, Publish { id: received.id, ..message("p", "text", 1) });

    for library in LIBRARIES {
        let mut script = Script::connect(library, engine.port, V5, "library");
        script.subscribe("q", 1);
        let properties = json!({
            "payload_format": 1,
            "content_type": "c",
            "response_topic": "r",
            "correlation_data": "00ff",
            "user": [["a", "1"], ["b", "2"]],
        });
        script.publish_with("q", "é".as_bytes(), 1, false, &properties);
        assert_eq!(script.message().properties, properties);
    }
}

/// [MQTT-3.3.2-5] [MQTT-3.3.2-6]
#[test]
fn a_message_expiry_interval_reaches_the_subscriber() {
    let engine = engine(1);
    let mut subscriber = Client::connect(engine.port, V5, "s");
    subscriber.subscribe("e", 1);
    let mut publisher = Client::connect(engine.port, V5, "p");
    let properties = vec![(0x02, Value::Four(1000))];
    assert!(publisher.publish_with(&Publish { properties, ..message("e", "x", 1) }) < 0x80);
    let received = subscriber.receive();
    let [(0x02, Value::Four(left))] = received.properties[..] else { panic!("{received:?}") };
    assert!((970..=1000).contains(&left), "seconds, not milliseconds: {left}");
}

/// [MQTT-3.3.2-5] [MQTT-3.3.2-6]: each who comes is told what is left, until nothing is.
#[test]
fn a_retained_message_expires() {
    let engine = engine(1);
    let mut publisher = Client::connect(engine.port, V5, "p");
    let properties = vec![(0x02, Value::Four(3))];
    publisher.publish_with(&Publish { retain: true, properties, ..message("e", "x", 1) });
    let mut left = 3;
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "it is still there after {PATIENCE:?}");
        let mut subscriber = Client::connect(engine.port, V5, "s");
        subscriber.subscribe("e", 1);
        publisher.publish("e", "live", 1);
        let received = subscriber.receive();
        if received.text() == "live" {
            break;
        }
        assert!(received.retain, "{received:?}");
        let [(0x02, Value::Four(now))] = received.properties[..] else { panic!("{received:?}") };
        assert!((1..=left).contains(&now), "{now} s after {left} s");
        left = now;
    }
}

fn mosquitto_programs_exchange_messages(workers: usize) {
    let engine = engine(workers);
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let subscriber = mosquitto_sub(engine.port, version, &["-q", qos, "-t", "m/#"]);
            mosquitto_pub(engine.port, version, &["-q", qos, "-t", "m/1", "-m", "hello"]);
            let expected = format!("m/1 {qos} 0 {}", hex(b"hello"));
            assert_eq!(mosquitto_message(&subscriber), expected, "{version}");
        }
    }
}

/// [MQTT-4.6.0-5] [MQTT-4.3.2-4] [MQTT-4.3.3-13]
fn thousands_arrive_once_and_in_order(workers: usize) {
    let engine = engine(workers);
    for qos in [1, 2] {
        thousands_arrive(&engine, qos);
    }
}

fn thousands_arrive(engine: &Engine, qos: u8) {
    const COUNT: usize = 3000;
    let mut raw: Vec<Client> = [V311, V5]
        .into_iter()
        .map(|version| {
            let mut client = Client::connect(engine.port, version, &format!("raw-{version}"));
            client.subscribe("order/#", qos);
            client
        })
        .collect();
    let mut publishers: Vec<Script> = LIBRARIES
        .into_iter()
        .map(|library| Script::connect(library, engine.port, V5, &format!("pub-{library:?}")))
        .collect();
    for (publisher, library) in publishers.iter_mut().zip(LIBRARIES) {
        publisher.command(&json!({
            "do": "publish_many", "topic": format!("order/{library:?}"), "qos": qos, "count": COUNT,
        }));
    }
    for client in &mut raw {
        let mut next = [0; 2];
        for _ in 0..2 * COUNT {
            let publish = client.receive();
            assert!(!publish.dup, "nothing is sent twice within a connection");
            let of = LIBRARIES
                .iter()
                .position(|library| publish.topic == format!("order/{library:?}"))
                .unwrap();
            assert_eq!(publish.text(), next[of].to_string(), "{}", publish.topic);
            next[of] += 1;
        }
    }
    for publisher in &mut publishers {
        assert_eq!(publisher.event("published_all")["count"], COUNT);
    }
}

fn publishers_and_subscribers_on_all_workers_meet(workers: usize) {
    let engine = engine(workers);
    let mut clients: Vec<Client> = (0..12)
        .map(|number| {
            let version = if number % 2 == 0 { V5 } else { V311 };
            let mut client = Client::connect(engine.port, version, &format!("c{number}"));
            client.subscribe("all/#", 1);
            client
        })
        .collect();
    for number in 0..12 {
        let topic = format!("all/{number}");
        clients[number].publish(&topic, "x", 1);
        for client in &mut clients {
            assert_eq!(client.receive().topic, topic);
        }
    }
}
