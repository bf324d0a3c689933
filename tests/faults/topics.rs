//! Topics that are missing, of the wrong kind, grown, deleted and made again.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::broker::Broker;
use crate::checker::{Checker, Load};
use crate::harness::{
    Client, Engine, PATIENCE, Publish, Setup, V5, V311, kafka_only, message, text,
};

/// The command that an event tells to run.
pub(crate) fn command(event: &Value) -> String {
    let message = text(&event["message"]);
    let (_, rest) = message.split_once("kafka-").unwrap_or_else(|| panic!("no command: {event}"));
    format!("kafka-{rest}")
}

/// The event `name` about this test's topic `topic`.
pub(crate) fn event_about(engine: &Engine, name: &str, topic: &str) -> Value {
    let topic = engine.topic(topic);
    engine.event(&format!("{name} of {topic}"), |event| {
        event["event"] == name && event["topic"] == *topic
    })
}

/// As [`event_about`], whenever it came.
pub(crate) fn event_of_any_time(engine: &Engine, name: &str, topic: &str) -> Value {
    engine.read_again();
    event_about(engine, name, topic)
}

fn retained(topic: &str) -> Publish {
    Publish { retain: true, ..message(topic, "kept", 1) }
}

/// Waits until `publish` is acknowledged; until then it must be refused with 0x83.
fn until_taken(client: &mut Client, publish: &Publish) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.publish_with(publish) {
            0 | 0x10 => return,
            0x83 => assert!(Instant::now() < deadline, "refused though it was mended"),
            other => panic!("PUBACK {other:#04x}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a subscription is granted; until then it must be refused, 3.1.1 knows only 0x80.
fn until_granted(client: &mut Client, filter: &str) {
    let refusal = if client.version == V5 { 0x83 } else { 0x80 };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.subscribe_with(&[(filter, 1)], &[])[0] {
            1 => return,
            code if code == refusal => assert!(Instant::now() < deadline, "still refused"),
            other => panic!("SUBACK {other:#04x}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Neither takes publishes nor grants subscriptions, and keeps the clients that ask.
fn is_refused(client: &mut Client, older: &mut Client, publish: &Publish) {
    assert_eq!(client.publish_with(publish), 0x83);
    assert_eq!(client.subscribe_with(&[("a/#", 1)], &[]), [0x83]);
    assert_eq!(older.subscribe_with(&[("a/#", 1)], &[]), [0x80]);
    client.ping();
    older.ping();
}

#[test]
fn missing_topics_are_named_with_the_command_that_makes_them_and_then_served() {
    kafka_only!();
    let mut broker = Broker::start();
    let topics = broker.names();
    let engine = Setup::new(1).start_at(&broker.address, topics);
    let mut client = Client::connect(engine.port, V5, "five");
    let mut older = Client::connect(engine.port, V311, "older");
    is_refused(&mut client, &mut older, &message("a/b", "x", 1));
    let commands: Vec<String> = ["messages", "retained", "sessions"]
        .into_iter()
        .map(|topic| command(&event_of_any_time(&engine, "kafka.topic.missing", topic)))
        .collect();
    broker.run(&commands[0]);
    until_taken(&mut client, &message("a/b", "x", 1));
    // The messages are there: what needs the other topic is refused still.
    is_refused(&mut client, &mut older, &retained("a/b"));
    broker.run(&commands[1]);
    broker.run(&commands[2]);
    until_taken(&mut client, &retained("a/b"));
    until_granted(&mut client, "a/#");
    until_granted(&mut older, "a/#");
    for client in [&mut client, &mut older] {
        let publish = client.receive();
        assert!(publish.retain, "{publish:?}");
    }
    client.publish("a/c", "y", 1);
    for client in [&mut client, &mut older] {
        assert_eq!(client.receive().topic, "a/c");
    }
    // Made as the events said, nothing is wrong with them.
    assert_eq!(engine.count_events("kafka.topic.policy"), 0);
}

#[test]
fn a_wrong_cleanup_policy_is_named_with_the_command_that_mends_it_and_then_served() {
    kafka_only!();
    let mut broker = Broker::start();
    let mut topics = broker.names();
    for name in ["messages", "retained", "sessions"] {
        topics.create_one(name, 2);
    }
    let engine = Setup::new(1).start_at(&broker.address, topics);
    let sessions = command(&event_of_any_time(&engine, "kafka.topic.policy", "sessions"));
    let retained_command = command(&event_of_any_time(&engine, "kafka.topic.policy", "retained"));
    let mut client = Client::connect(engine.port, V5, "five");
    let mut older = Client::connect(engine.port, V311, "older");
    is_refused(&mut client, &mut older, &retained("a/b"));
    // What needs no retained message is served.
    client.publish("a/b", "x", 1);
    broker.run(&retained_command);
    until_taken(&mut client, &retained("a/b"));
    until_granted(&mut client, "a/#");
    until_granted(&mut older, "a/#");
    assert!(client.receive().retain);
    assert!(older.receive().retain);
    broker.run(&sessions);
    let deadline = Instant::now() + PATIENCE;
    while engine.count_events("kafka.topic.found") < 2 {
        assert!(Instant::now() < deadline, "no event says that both are right now");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn partitions_that_are_added_are_served_without_a_loss() {
    kafka_only!();
    let mut broker = Broker::start();
    let engine = broker.engine(1);
    let load = Load { publishers: 8, ..Load::default() };
    let checker = Checker::start(engine.port, load);
    let topic = engine.topic("messages");
    broker.run(&format!(
        "kafka-topics.sh --bootstrap-server {} --alter --topic {topic} --partitions 7",
        broker.address
    ));
    let event = event_about(&engine, "kafka.topic.partitions.added", "messages");
    assert_eq!((&event["before"], &event["now"]), (&3.into(), &7.into()));
    checker.flow();
    std::thread::sleep(Duration::from_secs(1));
    // A topic's messages before and after lie in two partitions, which are read side by side.
    let verdict = checker.finish_unordered(&engine);
    assert_eq!(verdict.refused, 0);
    let in_use: std::collections::BTreeSet<i64> =
        engine.records("messages", 1).iter().map(|record| record.partition).collect();
    assert!(in_use.iter().any(|partition| *partition > 2), "new ones are used: {in_use:?}");
}

#[test]
fn a_topic_that_is_deleted_and_made_again_is_served_on_the_same_connections() {
    kafka_only!();
    let mut broker = Broker::start();
    let engine = broker.engine(1);
    let mut subscribers: Vec<Client> = [V5, V311]
        .into_iter()
        .map(|version| {
            let mut client = Client::connect(engine.port, version, &format!("sub-{version}"));
            client.subscribe("t/#", 1);
            client
        })
        .collect();
    let mut publisher = Client::connect(engine.port, V5, "pub");
    for round in 0..3 {
        for number in 0..50 {
            let text = format!("{round} {number}");
            publisher.publish("t/x", &text, 1);
            for subscriber in &mut subscribers {
                assert_eq!(subscriber.receive().text(), text);
            }
        }
        engine.skip_events();
        engine.topics.borrow_mut().delete("messages");
        let event = event_about(&engine, "kafka.topic.missing", "messages");
        assert_eq!(publisher.publish_with(&message("t/x", "lost", 1)), 0x83);
        broker.run(&command(&event));
        until_taken(&mut publisher, &message("t/x", "again", 1));
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.receive().text(), "again");
        }
    }
}
