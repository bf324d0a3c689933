//! CONNECT, keep alive, takeover.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::harness::{
    Client, Connect, LIBRARIES, PATIENCE, Packet, Reader, Script, V5, V311, Value, engine,
    engine_only, is_stand_in, mosquitto_pub, on_one_and_three_workers, put_bytes, text,
};

on_one_and_three_workers!(a_client_id_is_taken_over, idle_connections_are_placed_on_all_workers);

/// [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
#[test]
fn an_empty_client_id_is_assigned_one() {
    let engine = engine(1);
    let assigned = |client: &Client| match client.announced(0x12) {
        Some(Value::Bytes(id)) if !id.is_empty() => id.clone(),
        other => panic!("an Assigned Client Identifier: {other:?}"),
    };
    let first = Client::connect(engine.port, V5, "");
    let second = Client::connect(engine.port, V5, "");
    assert_ne!(assigned(&first), assigned(&second));
    let named = Client::connect(engine.port, V5, "named");
    assert_eq!(named.announced(0x12), None);
    // 3.1.1 takes it with a clean session only [MQTT-3.1.3-8 of 3.1.1].
    Client::connect(engine.port, V311, "").ping();
    let mut client = Client::open(engine.port, V311);
    client.send(&Connect { clean: false, ..Connect::new(V311, "") }.encode());
    assert_eq!(client.end(), [Packet { first: 0x20, body: vec![0, 2] }]);
    mosquitto_pub(engine.port, "mqttv5", &["-t", "x", "-m", "x"]);
    for library in LIBRARIES {
        let mut script = Script::connect(library, engine.port, V5, "");
        script.publish("x", b"x", 1);
    }
}

/// [MQTT-3.1.4-3] [MQTT-3.2.2-2] [MQTT-3.2.2-3]
fn a_client_id_is_taken_over(workers: usize) {
    let engine = engine(workers);
    for version in [V5, V311] {
        let mut connections: Vec<Client> = Vec::new();
        for round in 0..6 {
            let mut client = Client::open(engine.port, version);
            client.send(&Connect { clean: false, ..Connect::new(version, "same") }.encode());
            let connack = client.packet("CONNACK");
            // A 5.0 session without Session Expiry Interval ends with its connection.
            let is_present = version == V311 && round > 0;
            assert_eq!(connack.reason(), 0);
            assert!(connack.body[0] == u8::from(is_present) || is_stand_in(), "{connack:?}");
            if let Some(mut old) = connections.pop() {
                old.refused(0x8e);
            }
            connections.push(client);
        }
        connections.pop().unwrap().ping();
    }
}

/// Whoever ends connections as fast as it likes does not fill the log: each worker tells of ten in a
/// second, and the next line counts the others.
#[test]
fn of_sessions_that_end_one_after_the_other_some_are_told_and_all_are_counted() {
    engine_only!();
    let mut engine = engine(1);
    let connect = Connect::new(V5, "same");
    let mut clients = vec![Client::connect_as(engine.port, &connect)];
    // More than ten within one second, whenever the machine is idle enough for it; then one more in
    // a later second.
    let deadline = Instant::now() + PATIENCE;
    let is_counted = |event: &Json| {
        event["event"] == "mqtt.session.ended" && event["left_out"].as_u64().is_some()
    };
    while engine.count_events_that(is_counted) == 0 {
        assert!(Instant::now() < deadline, "no line counts what was left out");
        clients.push(Client::connect_as(engine.port, &connect));
    }
    let taken_over = engine.counter("connections_taken_over");
    engine.signal("TERM");
    let (_, events) = engine.end();
    let ended = events.iter().filter(|event| event["event"] == "mqtt.session.ended");
    let ended = ended.filter(|event| text(&event["reason"]).contains("0x8E"));
    let ended: Vec<&Json> = ended.collect();
    let left_out: i64 = ended.iter().filter_map(|event| event["left_out"].as_i64()).sum();
    let told = i64::try_from(ended.len()).unwrap();
    assert!(
        told >= 11 && told < taken_over && told + left_out <= taken_over,
        "{told} and {left_out} of {taken_over}"
    );
}

/// [MQTT-3.1.2-22] [MQTT-3.2.2-22]
#[test]
fn keep_alive_is_enforced_at_one_and_a_half_times() {
    let engine = engine(1);
    for version in [V311, V5] {
        let began = Instant::now();
        let connect = Connect::new(version, "silent").with_keep_alive(1);
        let mut silent = Client::connect_as(engine.port, &connect);
        let least = 1500 * server_keep_alive(&silent).unwrap_or(1);
        silent.refused(0x8d);
        let elapsed = began.elapsed().as_millis();
        // How much later is up to the machine, and to mosquitto, which looks every five seconds.
        assert!(least - 100 <= elapsed, "{elapsed} ms, version {version}");
    }
}

/// Any packet restarts it.
#[test]
fn a_client_that_pings_is_kept() {
    let engine = engine(1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "lively").with_keep_alive(2);
        let mut lively = Client::connect_as(engine.port, &connect);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(3500) {
            lively.ping();
            std::thread::sleep(Duration::from_millis(400));
        }
        lively.ping();
    }
}

/// Server Keep Alive, seconds, where the server uses another one than it was asked for
/// [MQTT-3.2.2-21].
fn server_keep_alive(client: &Client) -> Option<u128> {
    match client.announced(0x13) {
        Some(Value::Two(seconds)) => Some(u128::from(*seconds)),
        _ => None,
    }
}

/// [MQTT-3.1.0-1]
#[test]
fn a_connection_without_connect_is_closed() {
    engine_only!();
    let engine = engine(1);
    let mut silent = Client::open(engine.port, V5);
    assert!(silent.end().is_empty());
    let mut slow = Client::open(engine.port, V5);
    slow.send(&Connect::new(V5, "slow").encode()[..7]);
    assert!(slow.end().is_empty(), "half a CONNECT is none");
}

/// [MQTT-3.1.0-1] [MQTT-3.1.0-2]
#[test]
fn the_first_packet_and_only_it_is_connect() {
    let engine = engine(1);
    let mut client = Client::open(engine.port, V5);
    client.send(&[0xc0, 0]);
    assert!(client.end().is_empty());
    for version in [V311, V5] {
        let mut client = Client::connect(engine.port, version, "twice");
        client.send(&Connect::new(version, "twice").encode());
        client.refused(0x82);
    }
}

/// [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.1.4-1]
#[test]
fn an_unknown_protocol_is_refused() {
    let engine = engine(1);
    let connect = |name: &[u8], level: u8| {
        let mut body = Vec::new();
        put_bytes(&mut body, name);
        body.extend([level, 2, 0, 0]);
        put_bytes(&mut body, b"c");
        Packet { first: 0x10, body }.encode()
    };
    // mosquitto takes 0x84 for a bridge of 3.1.1.
    for level in [3, 6, if is_stand_in() { 7 } else { 0x84 }] {
        let mut client = Client::open(engine.port, V5);
        client.send(&connect(b"MQTT", level));
        let packets = client.end();
        // Whether the answer is one of 3.1.1 or of 5.0 is left to the server.
        let codes: Vec<u8> = packets.iter().map(Packet::reason).collect();
        assert!(matches!(codes[..], [] | [1] | [0x84]), "level {level}: {packets:?}");
    }
    let mut client = Client::open(engine.port, V5);
    client.send(&connect(b"HTTP", 5));
    assert!(client.end().iter().all(|packet| packet.reason() != 0));
}

/// What the broker cannot do is announced.
#[test]
fn absent_features_are_announced() {
    engine_only!();
    let engine = engine(1);
    let client = Client::connect(engine.port, V5, "c");
    assert_eq!(client.announced(0x24), None, "Maximum QoS 2");
    assert_eq!(client.announced(0x2a), None, "shared subscriptions are there");
    assert!(matches!(client.announced(0x25), None | Some(Value::Byte(1))), "retained messages");
    assert!(matches!(client.announced(0x27), Some(Value::Four(1000..))), "Maximum Packet Size");
    assert!(matches!(client.announced(0x21), Some(Value::Two(1..))), "Receive Maximum");
    let connect = Connect::new(V5, "long").with_property(0x11, Value::Four(3600));
    let client = Client::connect_as(engine.port, &connect);
    assert_eq!(client.announced(0x11), None, "the Session Expiry Interval that was asked for");
}

/// [MQTT-4.12.0-1]
#[test]
fn enhanced_authentication_is_refused() {
    let engine = engine(1);
    let connect = Connect::new(V5, "c").with_property(0x15, Value::Bytes(b"SCRAM-SHA-1".to_vec()));
    let mut client = Client::open(engine.port, V5);
    client.send(&connect.encode());
    let packets = client.end();
    assert_eq!(packets.len(), 1);
    assert_eq!((packets[0].kind(), packets[0].reason()), (2, 0x8c));
    assert_eq!(Reader(&packets[0].body).byte(), 0, "no session is present [MQTT-3.2.2-6]");
}

fn idle_connections_are_placed_on_all_workers(workers: usize) {
    let engine = engine(workers);
    let mut clients: Vec<Client> =
        (0..60).map(|number| Client::connect(engine.port, V5, &format!("idle-{number}"))).collect();
    clients.iter_mut().for_each(Client::ping);
    if is_stand_in() {
        return;
    }
    let status = engine.status();
    assert_eq!(status["workers"], workers);
    let bindings = status["bindings"].as_array().unwrap();
    let mqtt = bindings.iter().find(|binding| binding["name"] == "test:mqtt").unwrap();
    assert_eq!(mqtt["connections"], 60);
}
