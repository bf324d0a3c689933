//! Sessions that read from Kafka what memory no longer holds, while Kafka is lost.

use crate::broker::Broker;
use crate::harness::{
    Client, Connect, Engine, Setup, V5, Value, kafka_only, message, on_one_and_three_workers,
};

on_one_and_three_workers!(a_session_that_comes_back_while_kafka_is_away_misses_nothing);

/// Much more than the 1 MiB that memory holds of a partition.
const MESSAGES: usize = 4000;

fn text(number: usize) -> String {
    format!("{number:01000}")
}

fn connect(engine: &Engine) -> Client {
    let connect = Connect { clean: false, ..Connect::new(V5, "c") };
    Client::connect_as(engine.port, &connect.with_property(0x11, Value::Four(600)))
}

/// It gets all of it when Kafka is back, whatever of it was on its way when Kafka went.
fn a_session_that_comes_back_while_kafka_is_away_misses_nothing(workers: usize) {
    kafka_only!();
    let mut broker = Broker::start();
    let topics = broker.topics();
    let engine = Setup::new(workers).with_cache_bytes(1 << 20).start_at(&broker.address, topics);
    connect(&engine).subscribe("t", 2);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for first in (0..MESSAGES).step_by(250) {
        let ids: Vec<u16> = (first..first + 250)
            .map(|number| publisher.send_publish(&message("t", &text(number), 1)))
            .collect();
        ids.into_iter().for_each(|id| assert!(publisher.puback(id) < 0x80));
    }
    broker.kill();
    let mut client = connect(&engine);
    // Nothing but the answer comes: neither what is older nor anything else.
    client.ping();
    broker.restart();
    let mut number = 0;
    while number < MESSAGES / 2 {
        assert_eq!(client.receive().text(), text(number));
        number += 1;
    }
    client.ping();
    drop(client);
    broker.kill();
    let mut client = connect(&engine);
    client.ping();
    broker.restart();
    while number < MESSAGES {
        let publish = client.receive();
        assert_eq!(publish.text(), text(number));
        number += 1;
    }
    publisher.publish("t", "live", 1);
    assert_eq!(client.receive().text(), "live");
    for counter in ["resumes_incomplete", "redeliveries_gone", "sessions_fallen_out"] {
        assert_eq!(engine.counter(counter), 0, "{counter}");
    }
}
