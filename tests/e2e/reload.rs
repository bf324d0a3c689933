//! What survives a change of the file: a test for each kind of change, with clients that publish
//! and subscribe at QoS 1 meanwhile. Every listening socket and every connection stays the same,
//! nothing is lost or doubled, and order is kept.

use crate::harness::{
    Bystanders, Client, Connect, Engine, Setup, Sockets, Traffic, V5, V311, Value, engine_only,
    fate, message, on_one_and_three_workers,
};

on_one_and_three_workers!(
    comments_order_and_white_space,
    mqtt_routes,
    mqtt_exit,
    mqtt_versions,
    mqtt_kafka_highest_qos,
    mqtt_kafka_mapping,
    mqtt_kafka_messages_topic,
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
    holds(engine, name, topic, "probe")
}

/// Whether Kafka topic `name` holds this message.
fn holds(engine: &Engine, name: &str, topic: &str, payload: &str) -> bool {
    let is_it = |record: &crate::harness::Record| {
        record.key.as_deref() == Some(topic.as_bytes())
            && record.value.as_deref() == Some(payload.as_bytes())
    };
    engine.records(name, 0).iter().any(is_it)
}

fn comments_order_and_white_space(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers);
    let engine = setup.start();
    assert_eq!(Sockets::of(engine.id()).listening_on(engine.port), workers);
    let mut bystanders = Bystanders::start(&engine, &["t/1"]);
    let hash = engine.status()["hash"].clone();
    let text = setup.yaml();
    let commented =
        format!("# a comment\n\n{}# the end\n", text.replace(": tcp\n", ": tcp # so\n"));
    // The last binding first, and properties of another in another order.
    let (head, rest) = text.split_once("bindings:\n").unwrap();
    let (others, last) = rest.split_at(rest.find("  kafka:\n").unwrap());
    let reordered = format!("{head}bindings:\n{last}{others}")
        .replace("    type: mqtt\n    kind: server\n", "    kind: server\n    type: mqtt\n");
    let spaced = text.replace("    exit: mqtt\n", "    exit:     mqtt   \n\n");
    for changed in [commented, reordered, spaced] {
        assert_ne!(changed, text);
        let event = bystanders.reload_text(&engine, &changed);
        assert_updated(&engine, &event, &[]);
        assert_eq!(event["unchanged"], true);
    }
    assert_eq!(engine.status()["hash"], hash);
    bystanders.finish(&["t/1"]);
}

fn mqtt_routes(workers: usize) {
    engine_only!();
    let open = Setup::new(workers);
    let engine = open.start();
    let mut bystanders = Bystanders::start(&engine, &["open/x"]);
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("closed/#", 1);
    assert!(client.publish_with(&message("closed/x", "1", 1)) < 0x80);
    assert_eq!(client.receive().text(), "1");
    // From now on only what a route names is permitted.
    let closed = Setup {
        mqtt: "    routes:\n      - when:\n          - session:\n              \
               - client-id: \"*\"\n            publish:\n              - topic: open/#\n            \
               subscribe:\n              - topic: open/#\n        exit: mapping\n"
            .to_owned(),
        mqtt_exit: None,
        ..open.clone()
    };
    let event = bystanders.reload(&engine, &closed);
    assert_updated(&engine, &event, &["mqtt"]);
    assert_eq!(client.publish_with(&message("closed/x", "2", 1)), 0x87);
    assert_eq!(client.subscribe_with(&[("closed/#", 1), ("open/y", 1)], &[]), [0x87, 1]);
    client.publish("open/y", "3", 1);
    assert_eq!(client.receive().text(), "3");
    let event = bystanders.reload(&engine, &open);
    assert_updated(&engine, &event, &["mqtt"]);
    client.subscribe("closed/#", 1);
    client.publish("closed/x", "4", 1);
    assert_eq!(client.receive().text(), "4");
    bystanders.finish(&["open/x"]);
}

/// The next publish and the next subscription go by the new exit; subscriptions that there are stay
/// on the one that they were made on.
fn mqtt_exit(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers).with_topics(&["second"]);
    let before = setup.with_mapping("other", "own/#", "\"@second\"");
    let engine = before.start();
    let mut bystanders = Bystanders::start(&engine, &["e/x"]);
    let mut client = Client::connect(engine.port, V5, "client");
    assert!(lies_in(&engine, "own/1", "messages"));
    let after = Setup { mqtt_exit: Some("other"), ..before.clone() };
    for (setup, topic, name) in [(&after, "own/2", "second"), (&before, "own/3", "messages")] {
        let event = bystanders.reload(&engine, setup);
        assert_eq!(event["unchanged"], false);
        assert_eq!((fate(&event, "mqtt"), fate(&event, "other")), ("Update", "Keep"));
        assert_updated(&engine, &event, &["mqtt"]);
        client.subscribe(topic, 1);
        assert!(lies_in(&engine, topic, name), "{topic} is not in {name}");
        assert_eq!(client.receive().topic, topic);
    }
    bystanders.finish(&["e/x"]);
}

/// A version that is no longer accepted is refused to newcomers only.
fn mqtt_versions(workers: usize) {
    engine_only!();
    let both = Setup::new(workers);
    let engine = both.start();
    let mut bystanders = Bystanders::start(&engine, &["v/x"]);
    let mut old = Client::connect(engine.port, V311, "old");
    let only_v5 = Setup { mqtt: "    options:\n      versions: [v5]\n".to_owned(), ..both.clone() };
    let event = bystanders.reload(&engine, &only_v5);
    assert_updated(&engine, &event, &["mqtt"]);
    old.subscribe("v/old", 1);
    old.publish("v/old", "still", 1);
    assert_eq!(old.receive().text(), "still");
    let mut refused = Client::open(engine.port, V311);
    refused.send(&Connect::new(V311, "new").encode());
    assert_eq!(refused.packet("CONNACK").reason(), 1, "unacceptable protocol version");
    refused.end();
    let event = engine.reload(&both);
    assert_updated(&engine, &event, &["mqtt"]);
    Client::connect(engine.port, V311, "new").ping();
    old.ping();
    bystanders.finish(&["v/x"]);
}

/// Maximum QoS, in a property of CONNACK.
const MAXIMUM_QOS: u8 = 0x24;

/// Those who were told of a higher QoS go on with it; newcomers are told of the lower one.
fn mqtt_kafka_highest_qos(workers: usize) {
    engine_only!();
    let high = Setup::new(workers);
    let engine = high.start();
    let traffic = Traffic::start(engine.port, &["q/x"]);
    let mut clients = [V311, V5].map(|version| {
        let mut client = Client::connect(engine.port, version, &format!("before-{version}"));
        client.subscribe(&format!("q/{version}"), 1);
        client
    });
    let before = Sockets::of(engine.id());
    let low = Setup {
        mapping: "      publish:\n        qosMax: at_most_once\n".to_owned(),
        ..high.clone()
    };
    let event = engine.reload(&low);
    assert_updated(&engine, &event, &["mapping"]);
    let mut newcomer = Client::connect(engine.port, V5, "newcomer");
    assert_eq!(newcomer.announced(MAXIMUM_QOS), Some(&Value::Byte(0)));
    assert_eq!(newcomer.subscribe_with(&[("q/new", 1)], &[]), [0]);
    for client in &mut clients {
        let topic = format!("q/{}", client.version);
        client.publish(&topic, "at QoS 1 as before", 1);
        let received = client.receive();
        assert_eq!((received.text(), received.qos), ("at QoS 1 as before", 1));
    }
    traffic.flow();
    let event = engine.reload(&high);
    assert_updated(&engine, &event, &["mapping"]);
    // It was told of 0, and keeps to that.
    newcomer.publish("q/new", "x", 0);
    assert_eq!(newcomer.receive().qos, 0);
    let later = Client::connect(engine.port, V5, "later");
    assert_eq!(later.announced(MAXIMUM_QOS), None, "2, as long as nothing is said");
    before.assert_kept(&Sockets::of(engine.id()), &[]);
    traffic.finish(&["q/x"]);
}

fn mqtt_kafka_mapping(workers: usize) {
    engine_only!();
    let plain = Setup::new(workers).with_topics(&["one", "two"]);
    let engine = plain.start();
    let mut bystanders = Bystanders::start(&engine, &["routed/x", "other/x"]);
    let mut subscriber = Client::connect(engine.port, V5, "subscriber");
    subscriber.subscribe("routed/now/#", 1);
    let to = |name: &str| plain.clone().with_route("routed/#", &format!("\"@{name}\""));
    for (round, (setup, topic)) in
        [(to("one"), "one"), (to("two"), "two"), (plain.clone(), "messages")]
            .into_iter()
            .enumerate()
    {
        let event = bystanders.reload(&engine, &setup);
        assert_updated(&engine, &event, &["mapping"]);
        let mqtt_topic = format!("routed/now/{round}");
        assert!(lies_in(&engine, &mqtt_topic, topic), "round {round} is not in {topic}");
        assert_eq!(subscriber.receive().topic, mqtt_topic);
        bystanders.flow();
    }
    // Each of its messages lies in one topic, and those of the last are no fewer.
    bystanders.finish(&["other/x"]);
    for name in ["one", "two"] {
        let count = engine.records(name, 1).len();
        assert!(count > 1, "traffic went through {name}: {count}");
    }
}

fn mqtt_kafka_messages_topic(workers: usize) {
    engine_only!();
    let before = Setup::new(workers).with_topics(&["elsewhere"]);
    let engine = before.start();
    let mut bystanders = Bystanders::start(&engine, &["m/x"]);
    let after = Setup { messages: "@elsewhere".to_owned(), ..before.clone() };
    for (setup, topic) in [(&after, "elsewhere"), (&before, "messages")] {
        let event = bystanders.reload(&engine, setup);
        assert_updated(&engine, &event, &["mapping"]);
        assert!(lies_in(&engine, &format!("now/{topic}"), topic));
        bystanders.flow();
    }
    bystanders.finish(&[]);
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
