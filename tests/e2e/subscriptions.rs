//! Topic filters and subscription options.

use crate::harness::{
    Client, LIBRARIES, Script, V5, V311, engine, identifier, message, on_one_and_three_workers,
};

/// Subscription options, beside the QoS.
const NO_LOCAL: u8 = 0x04;

on_one_and_three_workers!(
    filters_match_as_the_specification_says,
    overlapping_subscriptions_send_their_identifiers,
    no_local_leaves_out_own_messages_only,
);

/// [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-4.7.3-4] [MQTT-3.3.2-3]
fn filters_match_as_the_specification_says(workers: usize) {
    let topics = ["a", "a/b", "a/b/c", "A/b", "/a", "a/", "/", "a//b", "$own/a", "b", "é/ü"];
    let table: [(&str, &[&str]); 14] = [
        ("#", &["a", "a/b", "a/b/c", "A/b", "/a", "a/", "/", "a//b", "b", "é/ü"]),
        ("+", &["a", "b"]),
        ("a/#", &["a", "a/b", "a/b/c", "a/", "a//b"]),
        ("a/+", &["a/b", "a/"]),
        ("+/+", &["a/b", "A/b", "/a", "a/", "/", "é/ü"]),
        ("/+", &["/a", "/"]),
        ("+/b", &["a/b", "A/b"]),
        ("a/+/c", &["a/b/c"]),
        ("a/+/b", &["a//b"]),
        ("+/+/#", &["a/b", "a/b/c", "A/b", "/a", "a/", "/", "a//b", "é/ü"]),
        ("$own/#", &["$own/a"]),
        ("+/a", &["/a"]),
        ("a/b", &["a/b"]),
        ("é/+", &["é/ü"]),
    ];
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V311, "publisher");
    let mut subscribers: Vec<Client> = table
        .iter()
        .enumerate()
        .map(|(number, (filter, _))| {
            let version = if number % 2 == 0 { V5 } else { V311 };
            let mut client = Client::connect(engine.port, version, &format!("s{number}"));
            client.subscribe(filter, 1);
            client
        })
        .collect();
    for topic in topics {
        publisher.publish(topic, "x", 1);
    }
    // Partitions have no common order: the end comes to each when it has all or one too many.
    for (client, (filter, expected)) in subscribers.iter_mut().zip(table) {
        let mut got: Vec<String> = (0..expected.len()).map(|_| client.receive().topic).collect();
        got.sort();
        let mut expected: Vec<_> = expected.iter().map(|topic| (*topic).to_owned()).collect();
        expected.sort();
        assert_eq!(got, expected, "{filter}");
    }
    // Nothing more: what is published now to each partition comes next.
    for client in &mut subscribers {
        client.subscribe("end/#", 1);
    }
    for number in 0..24 {
        publisher.publish(&format!("end/{number}"), "x", 1);
    }
    for (client, (filter, _)) in subscribers.iter_mut().zip(table) {
        for _ in 0..24 {
            let topic = client.receive().topic;
            assert!(topic.starts_with("end/"), "{filter} got {topic}");
        }
    }
}

/// [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]
fn overlapping_subscriptions_send_their_identifiers(workers: usize) {
    let engine = engine(workers);
    let mut client = Client::connect(engine.port, V5, "c");
    assert_eq!(client.subscribe_with(&[("a/#", 0)], &[identifier(1)]), [0]);
    assert_eq!(client.subscribe_with(&[("a/+", 1), ("+/b", 0)], &[identifier(120)]), [1, 0]);
    assert_eq!(client.subscribe_with(&[("a/b/#", 1)], &[identifier(268_435_455)]), [1]);
    assert_eq!(client.subscribe_with(&[("#", 0)], &[]), [0]);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    publisher.publish("a/b", "x", 1);
    publisher.publish("a/b", "end", 1);
    // One copy or one for each subscription: both are permitted.
    let mut copies = Vec::new();
    loop {
        let publish = client.receive();
        if publish.text() == "end" {
            break;
        }
        copies.push((publish.qos, publish.identifiers()));
    }
    let mut identifiers: Vec<u32> = copies.iter().flat_map(|(_, all)| all.clone()).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    assert_eq!(identifiers, [1, 120, 268_435_455], "{copies:?}");
    assert_eq!(copies.iter().map(|(qos, _)| *qos).max(), Some(1), "the highest QoS granted");
}

/// [MQTT-3.8.4-3] [MQTT-3.8.4-8]
#[test]
fn a_subscription_replaces_an_identical_one() {
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    assert_eq!(client.subscribe_with(&[("a", 1)], &[identifier(7)]), [1]);
    assert_eq!(client.subscribe_with(&[("a", 0)], &[identifier(8)]), [0]);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for text in ["1", "2"] {
        publisher.publish("a", text, 1);
        let publish = client.receive();
        assert_eq!((publish.text(), publish.qos, publish.identifiers()), (text, 0, vec![8]));
    }
    assert_eq!(client.unsubscribe(&["a"]), [0], "there was one subscription");
    assert_eq!(client.unsubscribe(&["a"]), [0x11]);
}

/// [MQTT-3.8.3-3]
fn no_local_leaves_out_own_messages_only(workers: usize) {
    let engine = engine(workers);
    let mut client = Client::connect(engine.port, V5, "own");
    assert_eq!(client.subscribe_with(&[("a", 1 | NO_LOCAL)], &[]), [1]);
    let mut other = Client::connect(engine.port, V5, "other");
    client.publish("a", "own", 1);
    other.publish("a", "other", 1);
    assert_eq!(client.receive().text(), "other");
    client.publish("a", "own", 1);
    other.publish("a", "behind it", 1);
    assert_eq!(client.receive().text(), "behind it");
    // A subscription without the option, beside it, delivers.
    assert_eq!(client.subscribe_with(&[("a/#", 0)], &[]), [0]);
    client.publish("a", "mine", 1);
    assert_eq!(client.receive().text(), "mine");
}

/// [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.11.3-1]
#[test]
fn unsubscribing_ends_delivery() {
    let engine = engine(1);
    for version in [V311, V5] {
        let mut client = Client::connect(engine.port, version, "c");
        client.subscribe("u/+", 1);
        client.publish("u/1", "1", 1);
        assert_eq!(client.receive().text(), "1");
        let reasons = client.unsubscribe(&["u/1", "u/+", "+/1"]);
        let expected: &[u8] = if version == V5 { &[0x11, 0, 0x11] } else { &[] };
        assert_eq!(reasons, expected);
        client.publish("u/1", "2", 1);
        // A topic of the same partition lies behind it: that of the same name, subscribed anew.
        client.subscribe("u/1", 1);
        client.publish("u/1", "3", 1);
        assert_eq!(client.receive().text(), "3");
    }
}

/// [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1]
#[test]
fn one_suback_answers_all_filters_in_order() {
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    let many: Vec<String> = (0..200).map(|number| format!("many/{number}/+")).collect();
    let filters: Vec<(&str, u8)> = many
        .iter()
        .enumerate()
        .map(|(number, filter)| (&**filter, u8::from(number % 2 == 0)))
        .collect();
    let expected: Vec<u8> = filters.iter().map(|(_, qos)| *qos).collect();
    assert_eq!(client.subscribe_with(&filters, &[]), expected);
    // More than 64 filters: each delivers.
    for number in [0, 63, 64, 65, 199] {
        client.publish(&format!("many/{number}/x"), "x", 1);
        assert_eq!(client.receive().topic, format!("many/{number}/x"));
    }
}

/// What was granted at a lower QoS is delivered at it. [MQTT-3.8.4-8]
#[test]
fn the_lower_qos_holds() {
    let engine = engine(1);
    for version in [V311, V5] {
        let mut client = Client::connect(engine.port, version, "c");
        client.subscribe("q/0", 0);
        client.subscribe("q/1", 1);
        for (topic, qos, expected) in [("q/0", 1, 0), ("q/1", 0, 0), ("q/1", 1, 1), ("q/0", 0, 0)] {
            client.publish(topic, "x", qos);
            let publish = client.receive();
            assert_eq!((&*publish.topic, publish.qos), (topic, expected));
        }
    }
}

/// A message published after SUBACK is delivered, at once and under load.
#[test]
fn nothing_published_after_suback_is_missed() {
    let engine = engine(3);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for round in 0..50 {
        let mut client = Client::connect(engine.port, V5, &format!("c{round}"));
        client.subscribe(&format!("now/{round}/#"), 1);
        publisher.send_publish(&message(&format!("now/{round}/x"), "x", 0));
        assert_eq!(client.receive().topic, format!("now/{round}/x"));
    }
}

/// The libraries' own handling of options and answers.
#[test]
fn libraries_unsubscribe_and_use_options() {
    let engine = engine(1);
    for library in LIBRARIES {
        for version in [V311, V5] {
            let mut script = Script::connect(library, engine.port, version, "c");
            script.subscribe("l/#", 1);
            script.publish("l/1", b"1", 1);
            assert_eq!(script.message().payload, b"1");
            script.command(&serde_json::json!({"do": "unsubscribe", "filters": ["l/#"]}));
            script.event("unsuback");
            script.publish("l/1", b"2", 1);
            script.subscribe("l/1", 1);
            script.publish("l/1", b"3", 1);
            assert_eq!(script.message().payload, b"3");
        }
    }
}
