//! Changes of the file while clients publish and subscribe: every client stays connected, nothing
//! is lost, and the change is in force within a second.

use crate::harness::{
    Client, Engine, Setup, Traffic, V5, engine_only, fate, message, on_one_and_three_workers,
};

on_one_and_three_workers!(
    comments_and_order_touch_nothing,
    adding_changing_and_removing_a_route_keeps_clients,
    another_messages_topic_keeps_clients,
    an_mqtt_route_keeps_clients,
);

const BINDINGS: [&str; 6] = ["tcp", "mqtt", "mapping", "cache", "log", "kafka"];

/// Checks that one reload kept everything but `updated`, and everybody.
fn assert_updated(engine: &Engine, event: &serde_json::Value, updated: &[&str]) {
    for binding in BINDINGS {
        let expected = if updated.contains(&binding) { "Update" } else { "Keep" };
        assert_eq!(fate(event, binding), expected, "{binding}: {event}");
    }
    assert_eq!(event["connections_draining"], 0, "{event}");
    assert!(event["connections_kept"].as_u64().is_some_and(|count| count > 0), "{event}");
    assert!(event["duration_us"].as_u64().is_some_and(|micros| micros < 1_000_000), "{event}");
    assert_eq!(engine.status()["file"], "in force");
}

/// Publishes with a new client, and says whether the message lies in Kafka topic `name`.
fn lies_in(engine: &Engine, topic: &str, name: &str) -> bool {
    let mut client = Client::connect(engine.port, V5, "probe");
    client.publish(topic, "probe", 1);
    client.disconnect(0);
    let is_probe = |record: &crate::harness::Record| {
        record.key.as_deref() == Some(topic.as_bytes())
            && record.value.as_deref() == Some(&b"probe"[..])
    };
    engine.records(name, 0).iter().any(is_probe)
}

fn comments_and_order_touch_nothing(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers);
    let engine = setup.start();
    let traffic = Traffic::start(engine.port, &["t/1"]);
    let hash = engine.status()["hash"].clone();
    let text = setup.yaml();
    let commented =
        format!("# a comment\n\n{}# the end\n", text.replace(": tcp\n", ": tcp # so\n"));
    // The last binding first, and properties of another in another order.
    let (head, rest) = text.split_once("bindings:\n").unwrap();
    let (others, last) = rest.split_at(rest.find("  kafka:\n").unwrap());
    let reordered = format!("{head}bindings:\n{last}{others}")
        .replace("    type: mqtt\n    kind: server\n", "    kind: server\n    type: mqtt\n");
    for changed in [commented, reordered] {
        assert_ne!(changed, text);
        let event = engine.reload_text(&changed);
        assert_updated(&engine, &event, &[]);
        assert_eq!(event["unchanged"], true);
        traffic.flow();
    }
    assert_eq!(engine.status()["hash"], hash);
    traffic.finish(&["t/1"]);
}

fn adding_changing_and_removing_a_route_keeps_clients(workers: usize) {
    engine_only!();
    let plain = Setup::new(workers).with_topics(&["one", "two"]);
    let engine = plain.start();
    let traffic = Traffic::start(engine.port, &["routed/x", "other/x"]);
    let mut subscriber = Client::connect(engine.port, V5, "subscriber");
    subscriber.subscribe("routed/now/#", 1);
    let to = |name: &str| plain.clone().with_route("routed/#", &format!("\"@{name}\""));
    for (round, (setup, topic)) in
        [(to("one"), "one"), (to("two"), "two"), (plain.clone(), "messages")]
            .into_iter()
            .enumerate()
    {
        let event = engine.reload(&setup);
        assert_updated(&engine, &event, &["mapping"]);
        let mqtt_topic = format!("routed/now/{round}");
        assert!(lies_in(&engine, &mqtt_topic, topic), "round {round} is not in {topic}");
        assert_eq!(subscriber.receive().topic, mqtt_topic);
        traffic.flow();
    }
    // Each of its messages lies in one topic, and those of the last are no fewer.
    traffic.finish(&["other/x"]);
    for name in ["one", "two"] {
        let count = engine.records(name, 1).len();
        assert!(count > 1, "traffic went through {name}: {count}");
    }
}

fn another_messages_topic_keeps_clients(workers: usize) {
    engine_only!();
    let before = Setup::new(workers).with_topics(&["elsewhere"]);
    let engine = before.start();
    let traffic = Traffic::start(engine.port, &["m/x"]);
    let after = Setup { messages: "@elsewhere".to_owned(), ..before.clone() };
    for (setup, topic) in [(&after, "elsewhere"), (&before, "messages")] {
        let event = engine.reload(setup);
        assert_updated(&engine, &event, &["mapping"]);
        assert!(lies_in(&engine, &format!("now/{topic}"), topic));
        traffic.flow();
    }
    traffic.finish(&[]);
}

fn an_mqtt_route_keeps_clients(workers: usize) {
    engine_only!();
    let open = Setup::new(workers);
    let engine = open.start();
    let traffic = Traffic::start(engine.port, &["open/x"]);
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("closed/#", 1);
    assert!(client.publish_with(&message("closed/x", "1", 1)) < 0x80);
    assert_eq!(client.receive().text(), "1");
    // From now on only what a route names is permitted.
    let mut closed = open.clone();
    closed.mqtt = "    routes:\n      - when:\n          - session:\n              - client-id: \"*\"\n            \
                   publish:\n              - topic: open/#\n            \
                   subscribe:\n              - topic: open/#\n        \
                   exit: mapping\n"
        .to_owned();
    let closed_text = closed.yaml().replacen(
        "        exit: mapping\n    exit: mapping\n",
        "        exit: mapping\n",
        1,
    );
    assert_ne!(closed_text, closed.yaml());
    let event = engine.reload_text(&closed_text);
    assert_updated(&engine, &event, &["mqtt"]);
    assert_eq!(client.publish_with(&message("closed/x", "2", 1)), 0x87);
    assert_eq!(client.subscribe_with(&[("closed/#", 1), ("open/y", 1)], &[]), [0x87, 1]);
    client.publish("open/y", "3", 1);
    assert_eq!(client.receive().text(), "3");
    traffic.flow();
    let event = engine.reload(&open);
    assert_updated(&engine, &event, &["mqtt"]);
    client.subscribe("closed/#", 1);
    client.publish("closed/x", "4", 1);
    assert_eq!(client.receive().text(), "4");
    traffic.finish(&["open/x"]);
}

/// Many changes one after the other, each in force before the next.
#[test]
fn a_hundred_reloads_lose_nothing() {
    engine_only!();
    let plain = Setup::new(3).with_topics(&["one"]);
    let routed = plain.clone().with_route("flip/#", "\"@one\"");
    let engine = plain.start();
    let traffic = Traffic::start(engine.port, &["flip/x", "stay/x"]);
    for round in 0..100 {
        let event = engine.reload(if round % 2 == 0 { &routed } else { &plain });
        assert_eq!(event["generation"], round + 2);
    }
    traffic.flow();
    traffic.finish(&["stay/x"]);
}
