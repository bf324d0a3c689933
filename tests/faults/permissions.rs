//! A principal of Kafka's that may not do everything, or is not known.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::harness::{
    Client, Connect, Engine, PATIENCE, Setup, Topics, V5, V311, kafka_only, message, text,
};
use crate::topics::{command, event_about, event_of_any_time};

const NOT_AUTHORIZED: u8 = 0x87;

/// The engine's topics.
const TOPICS: &[&str] = &["closed", "messages", "retained", "sessions"];

/// What it does with them.
const ALL: &[&str] = &["READ", "WRITE", "DESCRIBE_CONFIGS"];

/// An engine that is `zilla` to Kafka. Messages below `a/` have a topic of their own.
fn setup(broker: &Broker, mechanism: &str, password: &str) -> Setup {
    let kafka = format!(
        "      servers: [\"{}\"]\n      sasl:\n        mechanism: {mechanism}\n        \
         username: zilla\n        password: {password}\n",
        broker.address
    );
    Setup { kafka, ..Setup::new(1).with_route("a/#", "\"@closed\"") }
}

/// Changes what `zilla` may do with these topics.
fn change(all: &mut Topics, what: &str, operations: &[&str], topics: &[&str]) {
    let names: Vec<String> = topics.iter().map(|topic| all.name(topic)).collect();
    all.ask(json!({
        "do": what,
        "principal": "User:zilla",
        "operations": operations,
        "topics": names,
    }));
}

/// An engine that may do these things with these topics, in a plain setup.
fn permitted(broker: &mut Broker, operations: &[&str], topics: &[&str], password: &str) -> Engine {
    let mut all = broker.names();
    all.create_all(&["closed"]);
    change(&mut all, "permit", operations, topics);
    setup(broker, "plain", password).start_at(&broker.address, all)
}

/// Waits until `attempt` is answered with `wanted`; until then it must be with `before`.
fn until(wanted: u8, before: u8, mut attempt: impl FnMut() -> u8) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            code if code == wanted => return,
            code => {
                assert_eq!(code, before);
                assert!(Instant::now() < deadline, "{before:#04x} still, not {wanted:#04x}");
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// PUBACK of a publish that nobody subscribes to or everybody.
fn puback(client: &mut Client, topic: &str) -> u8 {
    match client.publish_with(&message(topic, "x", 1)) {
        // No matching subscribers.
        0x10 => 0,
        code => code,
    }
}

fn suback(client: &mut Client, filter: &str) -> u8 {
    client.subscribe_with(&[(filter, 1)], &[])[0]
}

/// Clients who need nothing that is denied.
struct Bystander(Client);

impl Bystander {
    fn is_served(&mut self) {
        self.0.publish("open/x", "to all", 1);
        assert_eq!(self.0.receive().text(), "to all");
    }
}

/// The event that says that `zilla` may not do something with a topic, which names both.
fn denied(engine: &Engine, verb: &str, topic: &str) -> Value {
    let event = event_about(engine, "kafka.topic.denied", topic);
    let message = text(&event["message"]);
    assert!(message.contains(&format!("principal {verb} the topic")), "{event}");
    assert_eq!(event["principal"], "User:zilla");
    assert!(message.contains(&engine.topic(topic)), "{event}");
    event
}

#[test]
fn what_is_denied_is_named_with_the_command_that_permits_it_and_then_served() {
    kafka_only!();
    let mut broker = Broker::with_users();
    let engine = permitted(&mut broker, ALL, &TOPICS[1..], "secret");
    let mut bystander = Bystander(Client::connect(engine.port, V5, "bystander"));
    bystander.0.subscribe("open/x", 1);
    bystander.is_served();
    let mut client = Client::connect(engine.port, V5, "client");
    let mut older = Client::connect(engine.port, V311, "older");

    // Everything.
    assert_eq!(puback(&mut client, "a/other"), NOT_AUTHORIZED);
    assert_eq!(suback(&mut client, "a/b"), NOT_AUTHORIZED);
    assert_eq!(suback(&mut older, "a/b"), 0x80);
    engine.read_again();
    let event = denied(&engine, "use", "closed");
    bystander.is_served();
    broker.run(&command(&event));
    until(0, NOT_AUTHORIZED, || puback(&mut client, "a/other"));
    until(1, NOT_AUTHORIZED, || suback(&mut client, "a/b"));
    until(1, 0x80, || suback(&mut older, "a/b"));
    event_of_any_time(&engine, "kafka.topic.found", "closed");
    let subscribers = |client: &mut Client, older: &mut Client, text: &str| {
        assert_eq!(client.receive().text(), text);
        assert_eq!(older.receive().text(), text);
    };
    client.publish("a/b", "permitted", 1);
    subscribers(&mut client, &mut older, "permitted");

    // To read: what is published meanwhile comes later, to those who had subscribed.
    change(&mut engine.topics.borrow_mut(), "forbid", &["READ"], &["closed"]);
    let event = denied(&engine, "read", "closed");
    let mut late = Client::connect(engine.port, V5, "late");
    assert_eq!(suback(&mut late, "a/b"), NOT_AUTHORIZED);
    late.publish("a/b", "meanwhile", 1);
    bystander.is_served();
    client.ping();
    broker.run(&command(&event));
    event_about(&engine, "kafka.topic.granted", "closed");
    subscribers(&mut client, &mut older, "meanwhile");
    until(1, NOT_AUTHORIZED, || suback(&mut late, "a/b"));

    // To write.
    change(&mut engine.topics.borrow_mut(), "forbid", &["WRITE"], &["closed"]);
    until(NOT_AUTHORIZED, 0, || puback(&mut client, "a/other"));
    let event = denied(&engine, "write to", "closed");
    assert_eq!(suback(&mut client, "a/c"), 1);
    bystander.is_served();
    broker.run(&command(&event));
    until(0, NOT_AUTHORIZED, || puback(&mut client, "a/other"));
    event_about(&engine, "kafka.topic.granted", "closed");
    late.publish("a/b", "again", 1);
    subscribers(&mut client, &mut older, "again");
    assert_eq!(late.receive().text(), "again");
    assert_eq!(engine.count_events("kafka.topic.denied"), 3, "said once each");
    assert_eq!(engine.counter("producers_renewed"), 0);
}

/// Kafka gives no producer an id that may write to no topic, and librdkafka's does nothing more after
/// that.
#[test]
fn a_producer_that_gets_no_id_is_replaced_until_it_gets_one() {
    kafka_only!();
    let mut broker = Broker::with_users();
    let engine = permitted(&mut broker, &["READ", "DESCRIBE_CONFIGS"], TOPICS, "secret");
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("a/#", 1);
    assert_eq!(puback(&mut client, "a/b"), NOT_AUTHORIZED);
    let event = event_of_any_time(&engine, "kafka.topic.denied", "closed");
    assert!(text(&event["message"]).contains("write to"), "{event}");
    let deadline = Instant::now() + PATIENCE;
    while engine.counter("producers_renewed") < 2 {
        assert!(Instant::now() < deadline, "the producer is not replaced");
        assert_eq!(puback(&mut client, "a/b"), NOT_AUTHORIZED);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(engine.count_events("kafka.producer.failed"), 1, "said once");
    broker.run(&command(&event));
    until(0, NOT_AUTHORIZED, || puback(&mut client, "a/b"));
    for number in 0..100 {
        client.publish("a/b", &number.to_string(), 1);
    }
    assert_eq!(client.receive().text(), "x");
    for number in 0..100 {
        assert_eq!(client.receive().text(), number.to_string());
    }
    client.ping();
    // Only that topic was permitted: the others are denied by Kafka itself now.
    assert_eq!(puback(&mut client, "elsewhere"), NOT_AUTHORIZED);
    assert_eq!(puback(&mut client, "a/b"), 0);
    assert_eq!(engine.count_events("kafka.producer.failed"), 1);
    assert_eq!(engine.records("closed", 102).len(), 102, "what was refused is not there");
}

/// What CONNACK says.
fn connack(port: u16, version: u8) -> u8 {
    let mut client = Client::open(port, version);
    client.send(&Connect::new(version, "early").encode());
    client.packet("CONNACK").reason()
}

#[test]
fn a_wrong_password_is_said_and_mended_by_a_reload() {
    kafka_only!();
    let mut broker = Broker::with_users();
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        broker.run(&format!(
            "kafka-configs.sh --bootstrap-server {} --command-config admin.properties --alter \
             --entity-type users --entity-name zilla --add-config {mechanism}=[password=secret]",
            broker.address
        ));
    }
    let engine = permitted(&mut broker, ALL, TOPICS, "wrong");
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        if mechanism != "plain" {
            engine.write(&setup(&broker, mechanism, "wrong").yaml());
            engine.event_named("config.reload.applied");
        }
        // Before or after the configuration is in force.
        engine.read_again();
        let event = engine.event("the refusal of the credentials", |event| {
            event["event"] == "kafka.cluster.unauthenticated"
                && text(&event["mechanism"]).eq_ignore_ascii_case(mechanism)
        });
        assert_eq!(event["username"], "zilla");
        engine.skip_events();
        assert_eq!(connack(engine.port, V5), 0x88);
        assert_eq!(connack(engine.port, V311), 3);
        engine.write(&setup(&broker, mechanism, "secret").yaml());
        engine.event_named("config.reload.applied");
        until(0, 0x88, || connack(engine.port, V5));
        let mut client = Client::connect(engine.port, V5, "client");
        client.subscribe("a", 1);
        client.publish("a", mechanism, 1);
        assert_eq!(client.receive().text(), mechanism);
    }
}
