//! Malformed packets and protocol errors end the connection, and only that connection.

use crate::harness::{
    Client, Connect, PATIENCE, Packet, V5, V311, Value, engine, engine_only, is_stand_in, message,
    on_one_and_three_workers, put_bytes,
};

on_one_and_three_workers!(a_malformed_packet_ends_its_connection_only);

/// Packets that break a rule: what it is, the bytes, the reason code in 5.0.
fn bad_packets(version: u8) -> Vec<(&'static str, Vec<u8>, u8)> {
    let packet = |first: u8, body: &[u8]| Packet { first, body: body.to_vec() }.encode();
    // An empty property block, where there is one.
    let none: &[u8] = if version == V5 { &[0] } else { &[] };
    let filter = |options: u8| {
        let mut body = [&[0, 1], none].concat();
        put_bytes(&mut body, b"t");
        body.push(options);
        body
    };
    let topic = |bytes: &[u8]| {
        let mut body = Vec::new();
        put_bytes(&mut body, bytes);
        [&body, none, b"x"].concat()
    };
    let mut list = vec![
        ("a length of five bytes", vec![0xc0, 0x80, 0x80, 0x80, 0x80, 1], 0x81),
        ("packet type 0", packet(0x00, &[]), 0x81),
        ("reserved flags of PINGREQ [MQTT-2.1.3-1]", packet(0xc1, &[]), 0x81),
        ("PINGREQ with a body", packet(0xc0, &[0]), 0x81),
        ("reserved flags of SUBSCRIBE [MQTT-3.8.1-1]", packet(0x80, &filter(0)), 0x81),
        ("reserved flags of UNSUBSCRIBE [MQTT-3.10.1-1]", packet(0xa0, &filter(0)[..]), 0x81),
        ("QoS 3 [MQTT-3.3.1-4]", packet(0x36, &topic(b"t")), 0x81),
        ("DUP at QoS 0 [MQTT-3.3.1-2]", packet(0x38, &topic(b"t")), 0x81),
        ("packet identifier 0 [MQTT-2.2.1-3]", packet(0x32, &[0, 1, b't', 0, 0, 0]), 0x82),
        ("a topic beyond the packet", packet(0x30, &[0, 9, b't']), 0x81),
        ("a null character [MQTT-1.5.4-2]", packet(0x30, &topic(b"a\0b")), 0x81),
        ("a surrogate [MQTT-1.5.4-1]", packet(0x30, &topic(b"\xed\xa0\x80")), 0x81),
        ("no UTF-8 [MQTT-1.5.4-1]", packet(0x30, &topic(b"\xff")), 0x81),
        ("a wildcard in a topic [MQTT-3.3.2-2]", packet(0x30, &topic(b"a/+")), 0x90),
        (
            "SUBSCRIBE without a filter [MQTT-3.8.3-2]",
            packet(0x82, &[&[0, 1], none].concat()),
            0x82,
        ),
        ("QoS 3 in SUBSCRIBE", packet(0x82, &filter(3)), 0x82),
        ("reserved options [MQTT-3.8.3-5]", packet(0x82, &filter(0xc0)), 0x81),
        ("CONNACK from a client", packet(0x20, &[&[0, 0], none].concat()), 0x82),
        ("SUBACK from a client", packet(0x90, &[&[0, 1], none, &[0]].concat()), 0x82),
        ("PINGRESP from a client", packet(0xd0, &[]), 0x82),
    ];
    if version == V5 {
        let publish = |properties: &[u8]| {
            let length = u8::try_from(properties.len()).unwrap();
            packet(0x30, &[&[0, 1, b't', length], properties, b"x"].concat())
        };
        list.extend([
            ("retain handling 3", packet(0x82, &filter(0x30)), 0x82),
            ("a property that does not exist", publish(&[0x7f, 0]), 0x81),
            ("a property of another packet", publish(&[0x11, 0, 0, 0, 1]), 0x81),
            ("a property twice", publish(&[0x01, 0, 0x01, 0]), 0x82),
            ("a property cut off", publish(&[0x02, 0, 0]), 0x81),
            ("a payload format of 2", publish(&[0x01, 2]), 0x82),
            ("a subscription identifier [MQTT-3.3.4-6]", publish(&[0x0b, 1]), 0x82),
            ("a wildcard in a response topic [MQTT-3.3.2-14]", publish(&[0x08, 0, 1, b'#']), 0x82),
            ("properties beyond the packet", packet(0x30, &[0, 1, b't', 9]), 0x81),
            ("a length not minimal [MQTT-1.5.5-1]", packet(0x30, &[0, 1, b't', 0x80, 0]), 0x81),
            ("subscription identifier 0", packet(0x82, &[0, 1, 2, 0x0b, 0, 0, 1, b't', 0]), 0x82),
            ("AUTH without a method [MQTT-4.12.0-7]", packet(0xf0, &[0x19, 0]), 0x82),
        ]);
    } else {
        list.push(("AUTH in 3.1.1", packet(0xf0, &[]), 0));
    }
    list
}

fn a_malformed_packet_ends_its_connection_only(workers: usize) {
    // mosquitto lets some of them pass.
    engine_only!();
    let engine = engine(workers);
    let mut bystander = Client::connect(engine.port, V5, "bystander");
    bystander.subscribe("t", 1);
    let mut wrong = Vec::new();
    for version in [V311, V5] {
        for (what, bytes, reason) in bad_packets(version) {
            let mut client = Client::connect(engine.port, version, "bad");
            client.send(&bytes);
            client.send(&[0xc0, 0]);
            let codes: Vec<u8> = match client.packet_or_end(PATIENCE, what) {
                Some(packet) if packet.kind() == 14 => vec![packet.reason()],
                Some(packet) => {
                    wrong.push(format!("{what} (version {version}) was taken: {packet:?}"));
                    continue;
                }
                None => Vec::new(),
            };
            let expected: &[u8] = if version == V5 { &[reason] } else { &[] };
            if codes != expected {
                wrong
                    .push(format!("{what} (version {version}): {codes:02x?}, not {expected:02x?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    bystander.publish("t", "alive", 1);
    assert_eq!(bystander.receive().text(), "alive");
}

/// A filter that breaks a rule is refused by itself; those beside it are granted.
/// [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]
#[test]
fn an_invalid_filter_is_refused_in_suback() {
    // mosquitto ends the connection.
    engine_only!();
    let engine = engine(1);
    for (version, refused) in [(V311, 0x80), (V5, 0x8f)] {
        let mut client = Client::connect(engine.port, version, "c");
        for filter in ["a/#/b", "a#", "#/", "a+/b", "+a", ""] {
            let codes = client.subscribe_with(&[("good/+", 1), (filter, 0), ("b/#", 0)], &[]);
            assert_eq!(codes, [1, refused, 0], "{filter:?}, version {version}");
        }
    }
}

/// A CONNECT that breaks a rule is refused or closed [MQTT-3.1.4-1].
#[test]
fn a_malformed_connect_is_refused() {
    let engine = engine(1);
    for version in [V311, V5] {
        let good = Connect::new(version, "c").encode();
        let flags = 9;
        let variants: Vec<(&str, Vec<u8>)> = vec![
            ("the reserved flag [MQTT-3.1.2-3]", changed(&good, flags, 0x03)),
            ("a will QoS without a will [MQTT-3.1.2-11]", changed(&good, flags, 0x0a)),
            ("a retained will without a will [MQTT-3.1.2-13]", changed(&good, flags, 0x22)),
            ("a will that is missing [MQTT-3.1.2-9]", changed(&good, flags, 0x06)),
            ("a user name that is missing [MQTT-3.1.2-17]", changed(&good, flags, 0x82)),
            ("a password that is missing [MQTT-3.1.2-19]", changed(&good, flags, 0x42)),
            ("flags of the fixed header", changed(&good, 0, 0x11)),
            ("bytes left over", {
                let mut bytes = good.clone();
                bytes[1] += 1;
                bytes.push(0);
                bytes
            }),
        ];
        for (what, bytes) in variants {
            let mut client = Client::open(engine.port, version);
            client.send(&bytes);
            let packets = client.end();
            assert!(packets.len() <= 1, "{what}: {packets:?}");
            assert!(
                packets.iter().all(|packet| packet.kind() == 2 && packet.reason() != 0),
                "{what}: {packets:?}"
            );
        }
    }
    let twice =
        Connect::new(V5, "c").with_property(0x21, Value::Two(1)).with_property(0x21, Value::Two(1));
    let zero = Connect::new(V5, "c").with_property(0x21, Value::Two(0));
    let zero_size = Connect::new(V5, "c").with_property(0x27, Value::Four(0));
    for connect in [twice, zero, zero_size] {
        let mut client = Client::open(engine.port, V5);
        client.send(&connect.encode());
        let packets = client.end();
        let told: Vec<_> = packets.iter().map(|packet| (packet.kind(), packet.reason())).collect();
        assert!(told == [(2, 0x82)] || is_stand_in(), "{told:?}");
    }
}

fn changed(bytes: &[u8], at: usize, to: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = to;
    bytes
}

/// Packets that come in pieces, and many at once.
#[test]
fn packets_are_found_in_the_stream() {
    let engine = engine(1);
    let mut subscriber = Client::connect(engine.port, V5, "s");
    subscriber.subscribe("t", 1);
    let mut client = Client::open(engine.port, V311);
    let mut bytes = Connect::new(V311, "pieces").encode();
    for number in 0..20_u8 {
        let body = [&[0, 1, b't', 0, number + 1][..], &[b'a' + number]].concat();
        bytes.extend(Packet { first: 0x32, body }.encode());
    }
    for piece in bytes[..60].chunks(1) {
        client.send(piece);
    }
    client.send(&bytes[60..]);
    assert_eq!(client.answer("CONNACK").kind(), 2);
    for id in 1..=20 {
        client.puback(id);
    }
    let texts: String = (0..20).map(|_| subscriber.receive().text().to_owned()).collect();
    assert_eq!(texts, "abcdefghijklmnopqrst");
    // CONNECT and what follows in one piece, then a close at once.
    let mut client = Client::open(engine.port, V5);
    let mut bytes = Connect::new(V5, "hasty").encode();
    bytes.extend(Packet { first: 0x30, body: b"\x00\x01t\x00bye".to_vec() }.encode());
    bytes.extend([0xe0, 0]);
    client.send(&bytes);
    assert_eq!(client.end()[0].kind(), 2);
    assert_eq!(subscriber.receive().text(), "bye");
    let mut client = Client::connect(engine.port, V5, "s2");
    client.send_publish(&message("t", "last", 0));
    drop(client);
    assert_eq!(subscriber.receive().text(), "last");
}
