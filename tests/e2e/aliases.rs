//! Topic aliases: of the client, of the broker.

use crate::harness::{
    Client, Connect, Publish, Setup, V5, V311, Value, engine, engine_only, message,
    on_one_and_three_workers,
};

fn aliased(topic: &str, payload: &str, qos: u8, alias: u16) -> Publish {
    Publish { properties: vec![(0x23, Value::Two(alias))], ..message(topic, payload, qos) }
}

/// What the broker announced.
fn maximum(client: &Client) -> u16 {
    match client.announced(0x22) {
        Some(Value::Two(maximum)) => *maximum,
        _ => 0,
    }
}

on_one_and_three_workers!(
    a_client_publishes_by_aliases,
    topics_that_repeat_are_sent_by_aliases_to_those_who_allow_it,
);

/// [MQTT-3.3.2-12] [MQTT-3.3.2-7]
fn a_client_publishes_by_aliases(workers: usize) {
    let engine = engine(workers);
    let mut subscriber = Client::connect(engine.port, V311, "subscriber");
    subscriber.subscribe("#", 1);
    let mut client = Client::connect(engine.port, V5, "c");
    let most = maximum(&client);
    assert!(most >= 1, "aliases are announced");
    for qos in [0, 1] {
        for (topic, alias, expected) in [
            ("a/b", 1, "a/b"),
            ("c", most, "c"),
            ("", 1, "a/b"),
            ("", most, "c"),
            ("d", 1, "d"),
            ("", 1, "d"),
            ("", most, "c"),
        ] {
            assert!(client.publish_with(&aliased(topic, "x", qos, alias)) < 0x80);
            let received = subscriber.receive();
            assert_eq!((&*received.topic, received.text(), received.qos), (expected, "x", qos));
        }
    }
    // The next connection has none of them.
    let mut client = Client::connect(engine.port, V5, "c");
    client.send_publish(&aliased("", "x", 1, 1));
    client.refused(0x82);
}

/// [MQTT-3.3.2-8] [MQTT-3.3.2-9]
#[test]
fn aliases_that_cannot_be_are_refused() {
    let engine = engine(1);
    let most = maximum(&Client::connect(engine.port, V5, "c"));
    for (alias, topic, reason) in [
        (0, "t", 0x94),
        (0, "", 0x94),
        (most + 1, "t", 0x94),
        (most + 1, "", 0x94),
        (65535, "t", 0x94),
        (1, "", 0x82),
    ] {
        let mut client = Client::connect(engine.port, V5, "c");
        client.send_publish(&aliased(topic, "x", 1, alias));
        client.refused(reason);
    }
    // An empty topic without an alias.
    for version in [V5, V311] {
        let mut client = Client::connect(engine.port, version, "c");
        client.send_publish(&message("", "x", 1));
        client.refused(0x82);
    }
}

/// [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
fn topics_that_repeat_are_sent_by_aliases_to_those_who_allow_it(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let connect = Connect::new(V5, "few").with_property(0x22, Value::Two(2));
    let mut few = Client::connect_as(engine.port, &connect);
    let mut none = Client::connect(engine.port, V5, "none");
    let mut old = Client::connect(engine.port, V311, "old");
    for client in [&mut few, &mut none, &mut old] {
        client.subscribe("#", 1);
    }
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let topics = ["plant/a", "plant/b", "plant/c", "plant/d"];
    let mut known: [Option<String>; 2] = [None, None];
    let mut by_alias = 0;
    for number in 0..80 {
        // Each comes some times in a row.
        let topic = topics[number / 5 % topics.len()];
        publisher.publish(topic, &number.to_string(), 1);
        for client in [&mut none, &mut old] {
            let received = client.receive();
            assert_eq!((&*received.topic, received.properties.len()), (topic, 0));
        }
        let received = few.receive();
        let alias = received.properties.iter().find_map(|property| match property {
            (0x23, Value::Two(alias)) => Some(usize::from(*alias)),
            _ => None,
        });
        assert_eq!(received.text(), number.to_string());
        match alias {
            None => assert_eq!(received.topic, topic),
            Some(alias) => {
                let known = &mut known[alias - 1];
                if received.topic.is_empty() {
                    by_alias += 1;
                } else {
                    *known = Some(received.topic);
                }
                assert_eq!(known.as_deref(), Some(topic));
            }
        }
    }
    assert!(by_alias >= 40, "only {by_alias} of 80 by an alias alone");
}

/// [MQTT-3.2.2-17] [MQTT-3.2.2-18]
#[test]
fn the_property_sets_the_maximum() {
    engine_only!();
    for (property, alias) in [(0, 1), (3, 4)] {
        let setup = Setup::new(1).with_property("topic.alias.maximum", &property.to_string());
        let engine = setup.start();
        let mut client = Client::connect(engine.port, V5, "c");
        assert_eq!(maximum(&client), property);
        client.send_publish(&aliased("t", "x", 1, alias));
        client.refused(0x94);
    }
}
