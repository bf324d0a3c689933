//! Sessions that come back when memory no longer holds what they missed: Kafka does.

use std::ops::Range;
use std::time::Instant;

use crate::harness::{
    Client, Connect, Engine, PATIENCE, Setup, Topics, V5, Value, engine_only, is_embedded, message,
    on_one_and_three_workers,
};

on_one_and_three_workers!(
    what_memory_no_longer_holds_is_received_once_and_in_order,
    what_kafka_no_longer_holds_is_told_and_the_rest_is_received,
    a_client_that_does_not_read_for_long_is_read_for_from_kafka,
    many_sessions_come_back_at_once,
);

/// The least that a file can bound it to, for each partition.
const MEMORY: usize = 1 << 20;

/// Much more than that.
const MESSAGES: usize = 5000;

/// The length of a payload.
const SIZE: usize = 1000;

fn text(number: usize) -> String {
    format!("{number:0SIZE$}")
}

fn start(workers: usize) -> Engine {
    Setup::new(workers).with_cache_bytes(MEMORY).start()
}

/// Publishes messages of these numbers, many at a time.
fn flood(publisher: &mut Client, numbers: Range<usize>) {
    flood_with(publisher, numbers, text);
}

fn flood_with(publisher: &mut Client, numbers: Range<usize>, text: impl Fn(usize) -> String) {
    for first in numbers.clone().step_by(250) {
        let some = first..(first + 250).min(numbers.end);
        let ids: Vec<u16> =
            some.map(|number| publisher.send_publish(&message("t/x", &text(number), 1))).collect();
        for id in ids {
            assert!(publisher.puback(id) < 0x80);
        }
    }
}

fn connect(engine: &Engine, client_id: &str) -> Client {
    let connect = Connect { clean: false, ..Connect::new(V5, client_id) };
    Client::connect_as(engine.port, &connect.with_property(0x11, Value::Four(600)))
}

fn resident(engine: &Engine) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// [MQTT-3.1.2-5] [MQTT-4.4.0-1] [MQTT-4.6.0-6]
fn what_memory_no_longer_holds_is_received_once_and_in_order(workers: usize) {
    engine_only!();
    let engine = start(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for (client_id, qos) in [("one", 1), ("two", 2)] {
        let mut client = connect(&engine, client_id);
        client.subscribe("t/#", qos);
    }
    publisher.publish("t/x", &text(0), 2);
    publisher.publish("t/x", &text(1), 2);
    // Sent and not acknowledged: to be sent again under their identifiers.
    let sent = ["one", "two"].map(|client_id| {
        let mut client = connect(&engine, client_id);
        [client.receive_unacknowledged(), client.receive_unacknowledged()]
    });
    flood(&mut publisher, 2..MESSAGES);
    for (client_id, sent) in ["one", "two"].into_iter().zip(sent) {
        let mut client = connect(&engine, client_id);
        for number in 0..MESSAGES {
            let publish = client.receive();
            assert_eq!(publish.text(), text(number), "{client_id}");
            // What the second connection gets may have been on its way to the first.
            assert!(publish.dup == (number < 2) || number > MESSAGES / 2, "{client_id} {number}");
            if let Some(before) = sent.get(number) {
                assert_eq!((publish.id, publish.qos), (before.id, before.qos));
            }
            if number == MESSAGES / 2 {
                // Away again, with what it has not read on its way.
                client.ping();
                client.disconnect(0x04);
                client = connect(&engine, client_id);
            }
        }
        publisher.publish("t/x", "live", 1);
        assert_eq!(client.receive().text(), "live");
        client.ping();
    }
    assert!(engine.counter("older_asked") > 0, "memory did not hold it");
    for counter in ["resumes_incomplete", "redeliveries_gone", "sessions_fallen_out"] {
        assert_eq!(engine.counter(counter), 0, "{counter}");
    }
}

/// Records that Kafka has deleted are counted and told as an event; what is left is delivered.
fn what_kafka_no_longer_holds_is_told_and_the_rest_is_received(workers: usize) {
    engine_only!();
    let topics = Topics::create_bounded(2 << 20);
    let address = topics.address().to_owned();
    let engine = Setup::new(workers).with_cache_bytes(MEMORY).start_at(&address, topics);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    connect(&engine, "c").subscribe("t/#", 1);
    flood(&mut publisher, 0..MESSAGES);
    if is_embedded() {
        // It has less than half of it, soon.
        engine.event_named("kafka.log.segment.deleted");
    } else {
        engine.topics.borrow_mut().delete_records("messages");
        flood(&mut publisher, MESSAGES..2 * MESSAGES);
    }
    let last = if is_embedded() { MESSAGES } else { 2 * MESSAGES };
    let mut client = connect(&engine, "c");
    let first: usize = client.receive().text().parse().unwrap();
    assert!(first > 0, "{first}");
    assert!(is_embedded() || first <= MESSAGES, "{first}: Kafka holds what came after");
    for number in first + 1..last {
        assert_eq!(client.receive().text(), text(number));
    }
    publisher.publish("t/x", "live", 1);
    assert_eq!(client.receive().text(), "live");
    let event = engine.event_named("mqtt_kafka.session.resumed_late");
    assert_eq!(event["client"], "c");
    assert_eq!(engine.counter("resumes_incomplete"), 1);
}

/// It stays connected, and misses nothing.
fn a_client_that_does_not_read_for_long_is_read_for_from_kafka(workers: usize) {
    engine_only!();
    let engine = start(workers);
    let mut silent = Client::connect(engine.port, V5, "silent");
    silent.subscribe("t/#", 1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    // More than its socket, its ring and memory hold together.
    let count = 4 * MESSAGES;
    flood(&mut publisher, 0..count);
    for number in 0..count {
        assert_eq!(silent.receive().text(), text(number));
    }
    silent.ping();
    assert!(engine.counter("older_asked") > 0, "memory did not hold it");
    assert_eq!(engine.counter("sessions_fallen_out"), 0);
}

fn many_sessions_come_back_at_once(workers: usize) {
    const SESSIONS: usize = 200;
    const EACH: usize = 300;
    let large = |number: usize| format!("{number:010000}");
    engine_only!();
    let engine = start(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let ids: Vec<String> = (0..SESSIONS).map(|number| format!("c{number}")).collect();
    ids.iter().for_each(|client_id| connect(&engine, client_id).subscribe("t/#", 1));
    flood_with(&mut publisher, 0..EACH, large);
    let before = resident(&engine);
    // None reads: each is sent as much as it takes.
    let mut clients: Vec<Client> =
        ids.iter().map(|client_id| connect(&engine, client_id)).collect();
    let began = Instant::now();
    while engine.counter("older_asked") < SESSIONS as i64 {
        assert!(began.elapsed() < PATIENCE, "each asks Kafka");
    }
    let mut most = 0;
    // Neither a live publisher nor one that reads waits for the others.
    publisher.publish("t/x", &large(EACH), 1);
    for client in &mut clients {
        for number in 0..=EACH {
            assert_eq!(client.receive().text(), large(number));
        }
        most = most.max(resident(&engine).saturating_sub(before));
    }
    eprintln!(
        "grown by {} MiB; {} reads, {} questions answered by those of others",
        most >> 20,
        engine.counter("older_reads"),
        engine.counter("older_reads_shared"),
    );
    // Each holds 256 KiB of what was read at the most, and what its socket did not take.
    assert!(most < SESSIONS * (512 << 10), "grown by {most} bytes");
    assert_eq!(engine.counter("resumes_incomplete"), 0);
}
