//! What is announced holds, in both directions; what is not offered is refused.

use crate::harness::{
    Client, Connect, Setup, V5, V311, Value, Will, engine, engine_only, is_stand_in, message,
    on_one_and_three_workers,
};

on_one_and_three_workers!(a_clients_receive_maximum_is_respected);

/// [MQTT-3.3.4-9] [MQTT-4.9.0-2] [MQTT-3.3.4-10]
fn a_clients_receive_maximum_is_respected(workers: usize) {
    let engine = engine(workers);
    let connect = Connect::new(V5, "slow").with_property(0x21, Value::Two(3));
    let mut slow = Client::connect_as(engine.port, &connect);
    slow.subscribe("w", 1);
    slow.subscribe("free", 0);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for number in 0..10 {
        publisher.publish("w", &number.to_string(), 1);
    }
    let mut ids = Vec::new();
    for number in 0..3 {
        let publish = slow.receive_unacknowledged();
        assert_eq!(publish.text(), number.to_string());
        ids.push(publish.id.unwrap());
    }
    // The answer to a ping comes, and no fourth message before it.
    slow.ping();
    publisher.publish("w", "10", 1);
    slow.ping();
    for number in 3..=10 {
        slow.acknowledge(ids.remove(0));
        let publish = slow.receive_unacknowledged();
        assert_eq!(publish.text(), number.to_string(), "one for each acknowledgement");
        let id = publish.id.unwrap();
        assert!(!ids.contains(&id), "an identifier in use [MQTT-2.2.1-4]");
        ids.push(id);
    }
}

/// [MQTT-3.3.4-7]: more publishes in flight than announced are taken only if they are answered.
#[test]
fn the_announced_receive_maximum_suffices() {
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    let announced = match client.announced(0x21) {
        Some(Value::Two(announced)) => *announced,
        _ => 200,
    };
    for _ in 0..3 {
        let ids: Vec<u16> = (0..announced.min(2000))
            .map(|number| client.send_publish(&message("w", &number.to_string(), 1)))
            .collect();
        for id in ids {
            assert!(client.puback(id) < 0x80);
        }
    }
}

/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
#[test]
fn a_clients_maximum_packet_size_is_respected() {
    let engine = engine(1);
    let connect = Connect::new(V5, "small").with_property(0x27, Value::Four(100));
    let mut small = Client::connect_as(engine.port, &connect);
    small.subscribe("s/#", 1);
    let mut other = Client::connect(engine.port, V5, "other");
    other.subscribe("s/#", 1);
    // PUBLISH of "s/x" at QoS 1: 2 + 2 + 3 + 2 + 1 bytes and the payload. mosquitto counts less.
    let (fits, too_large) = ("x".repeat(90), "y".repeat(if is_stand_in() { 99 } else { 91 }));
    for text in [&*too_large, &fits, "end"] {
        other.publish("s/x", text, 1);
    }
    assert_eq!(small.receive().text(), fits);
    assert_eq!(small.receive().text(), "end");
    assert_eq!(other.receive().text(), too_large, "a limit of one client is of no other");
    // The quota is not used up by what was left out, as it is in mosquitto.
    if is_stand_in() {
        return;
    }
    for number in 0..100 {
        other.publish("s/x", &too_large, 1);
        other.publish("s/x", &number.to_string(), 1);
        assert_eq!(small.receive().text(), number.to_string());
    }
}

/// [MQTT-3.2.2-15]
#[test]
fn the_announced_maximum_packet_size_is_enforced() {
    engine_only!();
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    let Some(&Value::Four(most)) = client.announced(0x27) else { panic!("Maximum Packet Size") };
    let most = most as usize;
    client.subscribe("big", 1);
    // A length of four bytes, before 2 + 3 + 2 + 1 of header.
    let overhead = if most > 2_097_157 { 5 } else { 4 } + 8;
    client.publish("big", &"x".repeat(most - overhead), 1);
    assert_eq!(client.receive().payload.len(), most - overhead, "the largest packet arrives");
    let mut client = Client::connect(engine.port, V5, "c");
    // Refused by its length alone, before it is complete.
    let mut header = vec![0x32];
    crate::harness::put_var(&mut header, u32::try_from(most).unwrap());
    client.send(&header);
    client.refused(0x95);
    let mut client = Client::connect(engine.port, V311, "c");
    client.send(&header);
    client.refused(0x95);
}

/// [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-11] [MQTT-3.2.2-12]
#[test]
fn qos_2_is_refused_where_the_file_says_so() {
    engine_only!();
    let setup =
        Setup { mapping: "      publish: {qosMax: at_least_once}\n".to_owned(), ..Setup::new(1) };
    let engine = setup.start();
    for version in [V5, V311] {
        let mut client = Client::connect(engine.port, version, "c");
        if version == V5 {
            assert_eq!(client.announced(0x24), Some(&Value::Byte(1)), "Maximum QoS");
        }
        assert_eq!(client.subscribe_with(&[("t", 2)], &[]), [1], "granted at most 1");
        client.send_publish(&message("t", "x", 2));
        client.refused(0x9b);
        let will = Will { qos: 2, ..Will::new("t", b"x") };
        let mut client = Client::open(engine.port, version);
        client.send(&Connect::new(version, "c").with_will(will).encode());
        let packets = client.end();
        if version == V5 {
            assert_eq!((packets[0].kind(), packets[0].reason()), (2, 0x9b));
        } else {
            assert!(packets.iter().all(|packet| packet.reason() != 0), "{packets:?}");
        }
    }
    assert!(engine.records("messages", 0).is_empty());
}
