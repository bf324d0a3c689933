//! What the properties leave out is announced, and refused with its code.

use crate::harness::{
    Client, Connect, Publish, Setup, V5, V311, Value, Will, engine_only, identifier, message,
    run_zilla,
};

fn setup() -> Setup {
    [
        ("keep.alive.minimum", "20"),
        ("keep.alive.maximum", "30"),
        ("publish.qos.max", "at_most_once"),
        ("retain.available", "false"),
        ("wildcard.subscription.available", "false"),
        ("subscription.identifiers.available", "false"),
        ("shared.subscription.available", "false"),
        ("no.local", "false"),
    ]
    .iter()
    .fold(Setup::new(1), |setup, (name, value)| setup.with_property(name, value))
}

/// Sends a SUBSCRIBE and waits for no answer.
fn send_subscribe(client: &mut Client, filter: &str, with_identifier: bool) {
    let mut body = client.fresh_id().to_be_bytes().to_vec();
    let properties = if with_identifier { vec![identifier(9)] } else { Vec::new() };
    crate::harness::put_properties(&mut body, V5, &properties);
    crate::harness::put_bytes(&mut body, filter.as_bytes());
    body.push(0);
    client.send_packet(0x82, body);
}

/// [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-14] [MQTT-3.2.2-21]
#[test]
fn what_is_left_out_is_announced_and_refused() {
    engine_only!();
    let engine = setup().start();
    let connect = Connect::new(V5, "c").with_keep_alive(5);
    let mut client = Client::connect_as(engine.port, &connect);
    for (property, expected) in [
        (0x24, Value::Byte(0)),
        (0x25, Value::Byte(0)),
        (0x28, Value::Byte(0)),
        (0x29, Value::Byte(0)),
        (0x2a, Value::Byte(0)),
        (0x13, Value::Two(20)),
    ] {
        assert_eq!(client.announced(property), Some(&expected), "{property:#04x}");
    }
    assert_eq!(client.subscribe_with(&[("t", 1)], &[]), [0], "granted at most 0");
    client.publish("t", "x", 0);
    assert_eq!(client.receive().text(), "x");

    client.send_publish(&message("t", "x", 1));
    client.refused(0x9b);
    for version in [V5, V311] {
        let mut client = Client::connect(engine.port, version, "c");
        client.send_publish(&Publish { retain: true, ..message("t", "x", 0) });
        client.refused(0x9a);
        let mut client = Client::open(engine.port, version);
        let will = Will { retain: true, qos: 0, ..Will::new("t", b"x") };
        client.send(&Connect::new(version, "c").with_will(will).encode());
        let packets = client.end();
        let codes: Vec<u8> = packets.iter().map(crate::harness::Packet::reason).collect();
        assert_eq!(codes, if version == V5 { vec![0x9a] } else { vec![] });
    }
    let mut local = Client::connect(engine.port, V5, "c");
    local.send_subscribe("t", 0b0000_0100);
    local.refused(0x82);
    for (filter, with_identifier, reason) in
        [("a/#", false, 0xa2), ("+", false, 0xa2), ("a", true, 0xa1), ("$share/g/a", false, 0x9e)]
    {
        let mut client = Client::connect(engine.port, V5, "c");
        send_subscribe(&mut client, filter, with_identifier);
        client.refused(reason);
    }
    // 3.1.1 has no words for it before: the filter alone is refused.
    let mut old = Client::connect(engine.port, V311, "old");
    let filters = [("a/#", 0), ("t", 1), ("+", 0), ("$share/g/t", 1)];
    assert_eq!(old.subscribe_with(&filters, &[]), [0x80, 0, 0x80, 0x80]);
    old.ping();
}

/// What was retained before is not sent where messages cannot be retained.
#[test]
fn no_retained_message_is_sent_where_there_are_none() {
    engine_only!();
    let mut engine = Setup::new(1).start();
    Client::connect(engine.port, V5, "c").retain("t", "old", 1);
    engine.records("retained", 1);
    engine.set_properties(&setup());
    engine.restart();
    let mut client = Client::connect(engine.port, V5, "c");
    assert_eq!(client.subscribe_with(&[("t", 0b0000_1000)], &[]), [0]);
    client.publish("t", "new", 0);
    assert_eq!(client.receive().text(), "new");
}

/// What a property says of mqtt-kafka bindings holds for whatever the file becomes.
#[test]
fn the_highest_qos_of_mqtt_kafka_bindings_is_bounded() {
    engine_only!();
    let setup = Setup::new(1).with_topics(&["one"]).with_property("kafka.publish.qos.max", "1");
    let engine = setup.start();
    let bounded = |id: &str| {
        let mut client = Client::connect(engine.port, V5, id);
        assert_eq!(client.announced(0x24), Some(&Value::Byte(1)));
        assert_eq!(client.subscribe_with(&[("t", 2)], &[]), [1]);
        client.publish("t", id, 1);
        assert_eq!(client.receive().text(), id);
        client.send_publish(&message("t", "x", 2));
        client.refused(0x9b);
    };
    bounded("before");
    engine.reload(&setup.with_route("r/#", "\"@one\""));
    bounded("after");
}

#[test]
fn a_property_without_meaning_stops_the_start() {
    engine_only!();
    for (property, expected) in [
        ("retain.available=maybe", "it is true or false"),
        ("keep.alive.maximum=0", "it is at least 1 second"),
        ("publish.qos.max=2", "it is at_most_once, at_least_once or exactly_once"),
        ("kafka.publish.qos.max=at_least_once", "it is 0, 1 or 2"),
    ] {
        let property = format!("zilla.binding.mqtt.{property}");
        let output = run_zilla(&["start", "-P", &property]);
        let told = String::from_utf8(output.stderr).unwrap();
        let (name, value) = property.split_once('=').unwrap();
        let line = format!("zilla: the property {name} cannot be `{value}`: {expected}\n");
        assert_eq!((output.status.code(), told), (Some(2), line));
    }
}
