//! A producer that Kafka has other records of than it has itself.

use crate::broker::Broker;
use crate::harness::{Client, V5, kafka_only, message, text};

/// The broker comes back with an older copy of its data, as from a backup: it expects other sequence
/// numbers of the producer than that goes on with, and librdkafka's producer does nothing more after
/// that.
#[test]
fn a_log_that_is_rolled_back_costs_nothing_that_is_acknowledged_afterwards() {
    kafka_only!();
    let mut broker = Broker::start();
    let engine = broker.engine(1);
    let mut subscriber = Client::connect(engine.port, V5, "subscriber");
    subscriber.subscribe("a", 1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let mut publish = |count: usize, name: &str| -> Vec<(String, u8)> {
        let sent: Vec<(String, u16)> = (0..count)
            .map(|number| {
                let text = format!("{name} {number}");
                let id = publisher.send_publish(&message("a", &text, 1));
                (text, id)
            })
            .collect();
        sent.into_iter().map(|(text, id)| (text, publisher.puback(id))).collect()
    };
    let is_taken = |(_, code): &(String, u8)| *code < 0x80;
    assert!(publish(20, "kept").iter().all(is_taken));
    broker.stop();
    broker.save();
    broker.restart();
    assert!(publish(20, "lost by Kafka").iter().all(is_taken));
    broker.kill();
    broker.roll_back();
    broker.restart();

    let mut after = publish(20, "after");
    // What the failed producer had; what came later waited for the new one.
    let refused = after.iter().take_while(|one| !is_taken(one)).count();
    assert!(refused > 0 && after[..refused].iter().all(|(_, code)| *code == 0x83), "{after:?}");
    let event = engine.event_named("kafka.producer.failed");
    assert_eq!(event["code"], "OutOfOrderSequenceNumber", "{event}");
    assert!(text(&event["message"]).contains("sequence"), "{event}");
    after.extend(publish(200, "then"));
    let taken: Vec<&str> =
        after.iter().filter(|one| is_taken(one)).map(|(text, _)| &**text).collect();
    assert_eq!(taken.len(), 220 - refused, "{after:?}");
    assert_eq!(engine.counter("producers_renewed"), 1);

    let is_new = |text: &str| text.starts_with("after") || text.starts_with("then");
    let mut received = Vec::new();
    while received.len() < taken.len() {
        let publish = subscriber.receive();
        if is_new(publish.text()) {
            received.push(publish.text().to_owned());
        }
    }
    assert_eq!(received, taken);
    let stored = engine.records("messages", 20 + taken.len());
    let stored: Vec<String> = stored
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .filter(|text| is_new(text))
        .collect();
    assert_eq!(stored, taken, "each once, in order");
}
