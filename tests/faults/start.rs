//! Kafka that is not there when the engine starts.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::harness::{
    Client, Connect, PATIENCE, Setup, V5, V311, kafka_only, on_one_and_three_workers,
};

on_one_and_three_workers!(
    clients_are_refused_until_kafka_answers_for_the_first_time_and_then_served
);

/// What CONNACK says.
fn connect_code(port: u16, version: u8) -> u8 {
    let mut client = Client::open(port, version);
    client.send(&Connect::new(version, "early").encode());
    let connack = client.packet("CONNACK");
    if connack.reason() != 0 {
        assert!(client.end().is_empty(), "closed after the refusal [MQTT-3.1.4-1]");
    }
    connack.reason()
}

fn clients_are_refused_until_kafka_answers_for_the_first_time_and_then_served(workers: usize) {
    kafka_only!();
    // Topics need a broker to be made in: it is ended again before the engine starts.
    let mut broker = Broker::start();
    let topics = broker.topics();
    broker.kill();
    let engine = Setup::new(workers).start_at(&broker.address, topics);
    let event = engine.first_event("kafka.cluster.unavailable");
    assert!(event.to_string().contains("refused"), "the cause: {event}");
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(connect_code(engine.port, V5), 0x88);
        assert_eq!(connect_code(engine.port, V311), 3);
    }
    assert_eq!(engine.count_events("kafka.cluster.unavailable"), 1, "said once a cause");
    assert_eq!(engine.count_events("mqtt.connection.refused"), 0, "not once a client");
    let back = broker.when_back();
    broker.restart();
    let back = back.join().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while connect_code(engine.port, V5) != 0 {
        assert!(Instant::now() < deadline, "not served though Kafka answers");
        std::thread::sleep(Duration::from_millis(2));
    }
    eprintln!("clients are admitted {:?} after the broker listens", back.elapsed());
    for version in [V5, V311] {
        let mut client = Client::connect(engine.port, version, "client");
        client.subscribe("a/#", 1);
        client.publish("a/b", "x", 1);
        assert_eq!(client.receive().text(), "x");
        client.retain("r", "kept", 1);
        client.subscribe("r", 1);
        assert!(client.receive().retain);
    }
}
