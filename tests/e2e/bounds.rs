//! `options.limits`: what one client may have, and how many clients there may be.

use std::time::Duration;

use crate::harness::{
    Client, Connect, Engine, PATIENCE, Publish, Setup, V5, V311, Value, Will, engine_only, message,
    on_one_and_three_workers, user,
};

fn setup(workers: usize, limits: &str) -> Setup {
    let mqtt = format!("    options:\n      limits: {{{limits}}}\n");
    Setup { mqtt, ..Setup::new(workers) }
}

fn start(workers: usize, limits: &str) -> Engine {
    setup(workers, limits).start()
}

/// The code of the answer to a CONNECT; `None` where there is none.
fn answer(client: &mut Client, connect: &Connect) -> Option<u8> {
    client.send(&connect.encode());
    let packet = client.packet_or_end(PATIENCE, "CONNACK")?;
    assert_eq!(packet.kind(), 2, "{packet:?}");
    Some(packet.reason())
}

fn try_connect(engine: &Engine, version: u8, client_id: &str) -> (Client, Option<u8>) {
    let mut client = Client::open(engine.port, version);
    let code = answer(&mut client, &Connect::new(version, client_id));
    (client, code)
}

/// [MQTT-3.2.2-15]
#[test]
fn what_is_bounded_is_announced_and_refused_with_its_code() {
    engine_only!();
    let engine = start(
        1,
        "packet-size: 2000, client-id-length: 5, topic-length: 8, topic-levels: 3, \
         subscriptions: 2, filters-per-packet: 3, user-properties: 1, in-flight: 4",
    );
    let mut client = Client::connect(engine.port, V5, "c");
    assert_eq!(client.announced(0x27), Some(&Value::Four(2000)), "Maximum Packet Size");
    assert_eq!(client.announced(0x21), Some(&Value::Two(4)), "Receive Maximum");
    let two = vec![user("a", "1"), user("b", "2")];
    assert_eq!(client.publish_with(&message("123456789", "x", 1)), 0x90);
    assert_eq!(client.publish_with(&message("1/2/3/4", "x", 1)), 0x90);
    let many = Publish { properties: two.clone(), ..message("t", "x", 1) };
    assert_eq!(client.publish_with(&many), 0x97);
    // QoS 0 has no answer; the connection goes on.
    client.publish("123456789", "x", 0);
    let filters = [("123456789", 0), ("+/+/+/#", 0), ("a", 1), ("b", 0)];
    assert_eq!(client.subscribe_with(&filters, &[]), [0x8f, 0x8f, 1, 0x97]);
    assert_eq!(client.subscribe_with(&[("b", 0), ("c", 0), ("a", 0)], &[]), [0, 0x97, 0]);
    assert_eq!(client.subscribe_with(&[("a", 0)], &two), [0x97]);
    assert_eq!(client.unsubscribe(&["a", "b", "c", "d"]), [0, 0, 0x11, 0x83]);
    client.subscribe("c", 0);
    client.publish("c", "x", 1);
    assert_eq!(client.receive().text(), "x");
    client.send_publish(&message("t", &"x".repeat(2000), 1));
    client.refused(0x95);

    let will = |topic: &str, properties| Will { properties, ..Will::new(topic, b"x") };
    for (connect, code) in [
        (Connect::new(V5, "123456"), Some(0x85)),
        (Connect::new(V311, "123456"), Some(2)),
        (Connect::new(V5, "c").with_will(will("123456789", Vec::new())), Some(0x90)),
        (Connect::new(V311, "c").with_will(will("1/2/3/4", Vec::new())), None),
        (Connect::new(V5, "c").with_will(will("t", two.clone())), Some(0x97)),
        (Connect { properties: two.clone(), ..Connect::new(V5, "c") }, Some(0x97)),
        (Connect::new(V5, "12345").with_will(will("1/2/3", vec![two[0].clone()])), Some(0)),
    ] {
        let mut client = Client::open(engine.port, connect.version);
        assert_eq!(answer(&mut client, &connect), code, "{}", connect.client_id);
    }
    // 3.1.1 has no code: a publish that would never do is acknowledged and dropped.
    let mut old = Client::connect(engine.port, V311, "old");
    assert_eq!(old.subscribe_with(&[("123456789", 0), ("a", 0)], &[]), [0x80, 0]);
    old.publish("123456789", "x", 1);
    old.publish("a", "y", 1);
    assert_eq!(old.receive().text(), "y");
    assert_eq!(engine.counter("publishes_dropped_limited"), 5);
}

/// `options.payload-format`.
#[test]
fn a_payload_that_is_not_the_text_it_says_is_refused_where_it_is_checked() {
    engine_only!();
    let mqtt = "    options: {payload-format: check}\n".to_owned();
    let engine = Setup { mqtt, ..Setup::new(1) }.start();
    let mut client = Client::connect(engine.port, V5, "c");
    client.subscribe("#", 2);
    let publish = |format, payload: &[u8], qos| Publish {
        payload: payload.to_vec(),
        properties: vec![(0x01, Value::Byte(format))],
        ..message("t", "", qos)
    };
    for qos in [1, 2] {
        assert_eq!(client.publish_with(&publish(1, b"\xc3", qos)), 0x99);
    }
    // QoS 0 has no answer: it is dropped, and counted.
    client.send_publish(&publish(1, b"\xc3", 0));
    for (format, payload) in [(1, "é".as_bytes()), (0, b"\xc3")] {
        assert!(client.publish_with(&publish(format, payload, 1)) < 0x80);
        assert_eq!(client.receive().payload, payload);
    }
    assert_eq!(engine.counter("publishes_dropped_refused"), 3);

    let properties = vec![(0x01, Value::Byte(1))];
    for (payload, code) in [(&b"\xc3"[..], 0x99), ("é".as_bytes(), 0)] {
        let will = Will { properties: properties.clone(), ..Will::new("t", payload) };
        let mut client = Client::open(engine.port, V5);
        let connect = Connect::new(V5, "d").with_will(will);
        assert_eq!(answer(&mut client, &connect), Some(code));
    }
}

on_one_and_three_workers!(
    connections_are_bounded_over_all_workers,
    connections_of_an_address_are_bounded_over_all_workers,
    connects_are_bounded_in_a_second,
    connections_that_say_nothing_are_bounded,
);

fn connections_are_bounded_over_all_workers(workers: usize) {
    engine_only!();
    let engine = start(workers, "connections: 3");
    let mut clients: Vec<Client> =
        ["a", "b", "c"].map(|id| Client::connect(engine.port, V5, id)).into();
    for (version, code) in [(V5, 0x89), (V311, 3)] {
        assert_eq!(try_connect(&engine, version, "d").1, Some(code));
    }
    // A client that comes again is not one more.
    let again = Client::connect(engine.port, V5, "a");
    clients.remove(0).refused(0x8e);
    again.disconnect(0);
    Client::connect(engine.port, V5, "d").ping();
    assert_eq!(engine.counter("connections_refused_by_limit"), 2);
    clients.iter_mut().for_each(Client::ping);
}

fn connections_of_an_address_are_bounded_over_all_workers(workers: usize) {
    engine_only!();
    let engine = start(workers, "connections-per-address: 2");
    let first = Client::connect(engine.port, V5, "a");
    let mut second = Client::connect(engine.port, V311, "b");
    assert_eq!(try_connect(&engine, V5, "c").1, Some(0x97));
    assert_eq!(try_connect(&engine, V311, "c").1, Some(3));
    first.disconnect(0);
    Client::connect(engine.port, V5, "c").ping();
    second.ping();
}

fn connects_are_bounded_in_a_second(workers: usize) {
    engine_only!();
    // Forty take less than forty seconds on any machine.
    let engine = start(workers, "connects-per-second: 1");
    let codes: Vec<Option<u8>> =
        (0..40).map(|n| try_connect(&engine, V5, &n.to_string()).1).collect();
    assert_eq!(codes[0], Some(0));
    assert!(codes.contains(&Some(0x9f)), "{codes:?}");
    // Later there is room again.
    while try_connect(&engine, V5, "later").1 != Some(0) {
        std::thread::yield_now();
    }
}

fn connections_that_say_nothing_are_bounded(workers: usize) {
    engine_only!();
    let setup = setup(workers, "handshakes: 3").with_property("connect.timeout", "600");
    let engine = setup.start();
    let mut served = Client::connect(engine.port, V5, "served");
    let silent: Vec<Client> = (0..3).map(|_| Client::open(engine.port, V5)).collect();
    // They are accepted in turn, but on several workers.
    let mut refused = Client::open(engine.port, V5);
    while engine.counter("connections_refused_by_limit") == 0 {
        refused = Client::open(engine.port, V5);
    }
    served.ping();
    drop((silent, refused));
    // Who is gone makes room.
    loop {
        let mut client = Client::open(engine.port, V5);
        let bytes = Connect::new(V5, "next").encode();
        if client.try_send(&bytes) && client.packet_or_end(PATIENCE, "CONNACK").is_some() {
            break;
        }
    }
    served.ping();
}

/// Back-pressure: what comes too fast waits, and is all there in the end.
#[test]
fn a_client_that_sends_too_fast_waits() {
    engine_only!();
    let engine = start(1, "messages-per-second: 20");
    let mut subscriber = Client::connect(engine.port, V5, "subscriber");
    subscriber.subscribe("#", 0);
    for version in [V5, V311] {
        // A keep alive shorter than the wait: who is not read is not silent.
        let connect = Connect::new(version, "fast").with_keep_alive(1);
        let mut fast = Client::connect_as(engine.port, &connect);
        let bytes: Vec<u8> = (0..60)
            .flat_map(|number| fast.encode_publish(&message("t", &number.to_string(), 0)).1)
            .collect();
        fast.send(&bytes);
        for number in 0..60 {
            assert_eq!(subscriber.receive().text(), number.to_string());
        }
        fast.ping();
    }
    assert!(engine.counter("rate_waits") > 0);
}

#[test]
fn a_client_that_sends_too_fast_is_refused_or_disconnected_where_the_file_says_so() {
    engine_only!();
    let engine = start(1, "messages-per-second: 2, over-rate: refuse, in-flight: 100");
    let mut client = Client::connect(engine.port, V5, "c");
    let ids: Vec<u16> = (0..50).map(|_| client.send_publish(&message("t", "x", 1))).collect();
    let codes: Vec<u8> = ids.iter().map(|id| client.puback(*id)).collect();
    assert!(codes[0] < 0x80 && codes.contains(&0x97), "{codes:?}");
    client.ping();

    engine.reload(&setup(1, "bytes-per-second: 100, over-rate: disconnect"));
    // The limits of a connection are those that it began with.
    client.publish("t", &"x".repeat(1000), 0);
    client.ping();
    let mut client = Client::connect(engine.port, V5, "d");
    client.publish("t", &"x".repeat(1000), 0);
    client.send_publish(&message("t", "x", 0));
    client.refused(0x96);
}

/// Section 3.2.2.3.2: the client is told how long its session is kept; what it asks for at
/// DISCONNECT is lowered too.
#[test]
fn a_session_is_kept_no_longer_than_the_limit() {
    engine_only!();
    let engine = start(1, "session-expiry: 1");
    let unclean = |version, client_id| Connect { clean: false, ..Connect::new(version, client_id) };
    let five = |seconds| unclean(V5, "five").with_property(0x11, Value::Four(seconds));
    let connect = |connect: &Connect| Client::connect_as(engine.port, connect);
    assert_eq!(connect(&five(1)).announced(0x11), None, "as it asked for");
    let mut client = connect(&five(60));
    assert_eq!(client.announced(0x11), Some(&Value::Four(1)));
    let old = unclean(V311, "old");
    connect(&old).disconnect(0);
    // DISCONNECT with a Session Expiry Interval of 60 s.
    client.send(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 60]);
    client.end();
    std::thread::sleep(Duration::from_millis(2500));
    for connect_as in [five(60), old] {
        let mut client = Client::open(engine.port, connect_as.version);
        client.send(&connect_as.encode());
        assert_eq!(client.packet("CONNACK").body[0], 0, "no session: it has expired");
    }
}
