//! The end of the engine: what is in flight, what clients are told, the exit status.

use std::net::TcpStream;

use crate::harness::{Client, V5, V311, engine, engine_only, message, on_one_and_three_workers};

on_one_and_three_workers!(sigterm_ends_in_order);

fn sigterm_ends_in_order(workers: usize) {
    const COUNT: usize = 400;
    engine_only!();
    let mut engine = engine(workers);
    let mut idle: Vec<Client> = [V5, V311, V5, V311]
        .into_iter()
        .enumerate()
        .map(|(number, version)| Client::connect(engine.port, version, &format!("i{number}")))
        .collect();
    idle[0].subscribe("t/#", 1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let ids: Vec<u16> = (0..COUNT)
        .map(|number| publisher.send_publish(&message("t/x", &number.to_string(), 1)))
        .collect();
    // The first is taken, and others are on their way.
    assert!(publisher.puback(ids[0]) < 0x80);
    engine.signal("TERM");
    let packets = publisher.end();
    let (last, acknowledged) = packets.split_last().expect("what is in flight is answered");
    assert_eq!((last.kind(), last.reason()), (14, 0x8b), "Server shutting down: {last:?}");
    assert!(acknowledged.iter().all(|packet| packet.kind() == 4 && packet.reason() < 0x80));
    let told = |client: &mut Client| -> Vec<u8> {
        let packets = client.end();
        packets.iter().map(|packet| packet.reason()).collect()
    };
    for client in &mut idle {
        let expected: &[u8] = if client.version == V5 { &[0x8b] } else { &[] };
        assert_eq!(told(client), expected);
    }
    let (status, events) = engine.end();
    assert_eq!(status.code(), Some(0), "{events:#?}");
    assert!(events.iter().any(|event| event["event"] == "engine.stopped"), "{events:#?}");
    assert!(TcpStream::connect(("127.0.0.1", engine.port)).is_err());
    // What was acknowledged is in Kafka, in order, and nothing twice.
    let records = engine.records("messages", 1 + acknowledged.len());
    let values: Vec<String> = records
        .iter()
        .map(|record| String::from_utf8(record.value.clone().unwrap()).unwrap())
        .collect();
    let expected: Vec<String> = (0..values.len()).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
}

/// QoS 0 messages that the engine has read are flushed to Kafka before it ends.
#[test]
fn sigterm_flushes_qos_0() {
    engine_only!();
    let mut engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    for number in 0..100 {
        client.send_publish(&message("t", &number.to_string(), 0));
    }
    // Everything before the ping is read.
    client.ping();
    engine.signal("INT");
    client.refused(0x8b);
    assert_eq!(engine.end().0.code(), Some(0));
    assert_eq!(engine.records("messages", 100).len(), 100);
}
