//! Routes of the mqtt-kafka binding: which Kafka topic an MQTT topic lies in.

use crate::harness::{
    Client, Engine, Setup, V5, V311, engine_only, kafka_only, on_one_and_three_workers,
};

on_one_and_three_workers!(
    a_route_sends_to_its_own_topic,
    a_parameter_of_a_route_names_the_topic,
    a_subscription_covers_all_routes_that_it_overlaps,
);

/// The keys in a Kafka topic, which must be in it by now.
fn keys(engine: &Engine, topic: &str) -> Vec<String> {
    let mut keys: Vec<String> = engine
        .records(topic, 0)
        .into_iter()
        .map(|record| String::from_utf8(record.key.unwrap()).unwrap())
        .collect();
    keys.sort();
    keys
}

fn a_route_sends_to_its_own_topic(workers: usize) {
    kafka_only!();
    let setup = Setup::new(workers)
        .with_topics(&["sensors", "devices"])
        .with_route("sensor/#", "\"@sensors\"")
        .with_route("device/+/state", "\"@devices\"");
    let engine = setup.start();
    let mut subscriber = Client::connect(engine.port, V311, "s");
    subscriber.subscribe("#", 1);
    let mut client = Client::connect(engine.port, V5, "c");
    for topic in ["sensor", "sensor/1", "device/1/state", "device/1/x", "other"] {
        client.publish(topic, "x", 1);
    }
    assert_eq!(keys(&engine, "sensors"), ["sensor", "sensor/1"]);
    assert_eq!(keys(&engine, "devices"), ["device/1/state"]);
    assert_eq!(keys(&engine, "messages"), ["device/1/x", "other"]);
    let mut topics: Vec<_> = (0..5).map(|_| subscriber.receive().topic).collect();
    topics.sort();
    assert_eq!(topics, ["device/1/state", "device/1/x", "other", "sensor", "sensor/1"]);

    // The retained copy goes to the one retained topic, and its reply-to names the routed topic.
    client.retain("sensor/kept", "x", 1);
    assert_eq!(keys(&engine, "retained"), ["sensor/kept"]);
    assert_eq!(keys(&engine, "sensors"), ["sensor", "sensor/1", "sensor/kept"]);
    let mut late = Client::connect(engine.port, V5, "late");
    late.subscribe("sensor/+", 1);
    assert!(late.receive().retain);

    // A native producer writes to the routed topic.
    engine.topics.borrow_mut().produce("sensors", Some(b"sensor/n"), Some(b"native"), &[]);
    assert_eq!(late.receive().text(), "native");
}

fn a_parameter_of_a_route_names_the_topic(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers)
        .with_topics(&["site-a", "site-b"])
        .with_route("site/{site}/#", "\"@site-${params.site}\"");
    let engine = setup.start();
    let mut a = Client::connect(engine.port, V5, "a");
    a.subscribe("site/a/#", 1);
    let mut all = Client::connect(engine.port, V5, "all");
    all.subscribe("other/#", 1);
    let mut client = Client::connect(engine.port, V5, "c");
    for topic in ["site/a/x", "site/b/x", "other/a"] {
        client.publish(topic, "x", 1);
    }
    assert_eq!(keys(&engine, "site-a"), ["site/a/x"]);
    assert_eq!(keys(&engine, "site-b"), ["site/b/x"]);
    assert_eq!(keys(&engine, "messages"), ["other/a"]);
    assert_eq!(a.receive().topic, "site/a/x");
    assert_eq!(all.receive().topic, "other/a");
}

/// The filter takes in routes that cover it, that it covers, and that it crosses.
fn a_subscription_covers_all_routes_that_it_overlaps(workers: usize) {
    kafka_only!();
    let setup = Setup::new(workers)
        .with_topics(&["one", "two"])
        .with_route("a/+/x", "\"@one\"")
        .with_route("a/b/#", "\"@two\"");
    let engine = setup.start();
    let mut client = Client::connect(engine.port, V5, "c");
    let filters = ["a/b/x", "a/+/x", "+/b/+", "a/#", "#"];
    let mut subscribers: Vec<Client> = filters
        .iter()
        .enumerate()
        .map(|(number, filter)| {
            let mut subscriber = Client::connect(engine.port, V5, &format!("s{number}"));
            subscriber.subscribe(filter, 1);
            subscriber
        })
        .collect();
    // The first route takes it; whoever writes to the second topic is heard as well.
    client.publish("a/b/x", "through the first", 1);
    assert_eq!(keys(&engine, "one"), ["a/b/x"]);
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.receive().text(), "through the first");
    }
    engine.topics.borrow_mut().produce("two", Some(b"a/b/x"), Some(b"through the second"), &[]);
    for (subscriber, filter) in subscribers.iter_mut().zip(filters) {
        assert_eq!(subscriber.receive().text(), "through the second", "{filter}");
    }
}

/// A Kafka topic that does not exist is an error for whoever uses it, and is not created, though
/// this broker creates topics for whoever asks.
#[test]
fn a_missing_topic_is_reported_and_not_created() {
    kafka_only!();
    let setup = Setup::new(1).with_route("lost/#", "\"@absent\"");
    let engine = setup.start();
    let mut client = Client::connect(engine.port, V5, "c");
    let publish = crate::harness::message("lost/x", "x", 1);
    assert!(client.publish_with(&publish) >= 0x80, "nothing can take it");
    client.ping();
    client.publish("found/x", "x", 1);
    assert_eq!(keys(&engine, "messages"), ["found/x"]);
    let absent = engine.topic("absent");
    assert!(!engine.topics.borrow_mut().all().contains(&absent), "{absent} was created");
}
