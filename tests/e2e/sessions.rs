//! Sessions that outlive their connection.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Client, Connect, LIBRARIES, PATIENCE, Packet, Script, V5, V311, Value, engine, engine_only,
    hex, message, mosquitto_message, mosquitto_pub, mosquitto_sub, mosquitto_sub_again,
    on_one_and_three_workers,
};

on_one_and_three_workers!(
    what_came_meanwhile_is_received_in_order,
    what_was_not_complete_goes_on_under_the_same_identifiers,
    a_publish_of_an_earlier_connection_is_one_message,
    a_takeover_goes_on_with_the_session,
    clean_start_begins_anew,
    clients_of_others_come_back,
    mosquitto_sub_comes_back,
);

/// A CONNECT whose session does not end with its connection.
fn lasting(version: u8, client_id: &str) -> Connect {
    let connect = Connect { clean: false, ..Connect::new(version, client_id) };
    match version {
        V5 => connect.with_property(0x11, Value::Four(600)),
        _ => connect,
    }
}

/// Connects; whether a session was present.
fn connect(port: u16, connect: &Connect) -> (Client, bool) {
    let mut client = Client::open(port, connect.version);
    client.send(&connect.encode());
    let connack = client.packet("CONNACK");
    assert_eq!((connack.kind(), connack.reason()), (2, 0), "{connack:?}");
    (client, connack.body[0] == 1)
}

fn resume(port: u16, client_id: &str, version: u8) -> Client {
    let (client, is_present) = connect(port, &lasting(version, client_id));
    assert!(is_present, "session present");
    client
}

/// A client with a session, which it then leaves by closing the socket.
fn left(port: u16, version: u8, qos: u8) -> Connect {
    let connect_as = lasting(version, "c");
    let (mut client, is_present) = connect(port, &Connect { clean: true, ..lasting(version, "c") });
    assert!(!is_present);
    if version == V311 {
        // Clean Session of 3.1.1 ends with its connection.
        client.disconnect(0);
        (client, _) = connect(port, &connect_as);
    }
    client.subscribe("t/#", qos);
    drop(client);
    connect_as
}

/// [MQTT-3.1.2-5] [MQTT-3.2.2-3] [MQTT-4.5.0-1] [MQTT-4.6.0-6]; [MQTT-3.1.2-5] of 3.1.1
fn what_came_meanwhile_is_received_in_order(workers: usize) {
    const COUNT: u32 = 300;
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for version in [V5, V311] {
        left(engine.port, version, 2);
        for number in 0..COUNT {
            publisher.publish("t/x", &number.to_string(), if number % 2 == 0 { 1 } else { 2 });
        }
        let mut client = resume(engine.port, "c", version);
        for number in 0..COUNT {
            let mut publish = client.receive();
            if number == COUNT / 2 + 1 && publish.text() == (COUNT / 2).to_string() {
                // Its acknowledgement was lost with the connection.
                assert!(publish.dup && publish.qos == 1);
                publish = client.receive();
            }
            let qos = if number % 2 == 0 { 1 } else { 2 };
            assert_eq!((publish.text(), publish.qos), (&*number.to_string(), qos));
            // What the second connection gets may have been on its way to the first.
            assert!(!publish.dup || number > COUNT / 2);
            if number == COUNT / 2 {
                drop(client);
                client = resume(engine.port, "c", version);
            }
        }
        publisher.publish("t/x", "live", 0);
        assert_eq!(client.receive().text(), "live");
        client.disconnect(0);
    }
}

/// [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.3-6]
fn what_was_not_complete_goes_on_under_the_same_identifiers(workers: usize) {
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for version in [V5, V311] {
        left(engine.port, version, 2);
        let mut client = resume(engine.port, "c", version);
        for (text, qos) in [("once", 1), ("exactly", 2), ("received", 2)] {
            publisher.publish("t/x", text, qos);
        }
        let [once, exactly, received] = std::array::from_fn(|_| client.receive_unacknowledged());
        let received_id = received.id.unwrap();
        client.send_packet(0x50, received_id.to_be_bytes().to_vec());
        assert_eq!(client.acknowledged(6, received_id, "PUBREL"), 0);
        drop(client);
        let mut client = resume(engine.port, "c", version);
        let pubrel = Packet { first: 0x62, body: received_id.to_be_bytes().to_vec() };
        let mut packets = vec![client.packet("PUBREL or PUBLISH")];
        while packets.len() < 3 {
            packets.push(client.packet("PUBREL or PUBLISH"));
        }
        let released = packets.iter().position(|packet| packet.kind() == 6).expect("PUBREL");
        assert_eq!(packets.remove(released), pubrel);
        for (packet, earlier) in packets.iter().zip([&once, &exactly]) {
            let publish = crate::harness::Publish::of(packet, version);
            assert!(publish.dup, "{publish:?}");
            assert_eq!((publish.id, publish.text()), (earlier.id, earlier.text()));
        }
        client.send_packet(0x70, received_id.to_be_bytes().to_vec());
        client.acknowledge(once.id.unwrap());
        client.complete(exactly.id.unwrap());
        client.ping();
        client.disconnect(0);
        let mut client = resume(engine.port, "c", version);
        publisher.publish("t/x", "next", 1);
        assert_eq!(client.receive().text(), "next", "all of it was complete");
        client.disconnect(0);
    }
}

/// [MQTT-4.3.3-10]
fn a_publish_of_an_earlier_connection_is_one_message(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("t/#", 2);
    for version in [V5, V311] {
        left(engine.port, version, 0);
        for round in 0..10 {
            let text = round.to_string();
            let publish = crate::harness::Publish { id: Some(7), ..message("t/x", &text, 2) };
            // Cut before the answer, or after it.
            let mut client = resume(engine.port, "c", version);
            client.send_publish(&publish);
            if round % 2 == 0 {
                assert_eq!(client.acknowledged(5, 7, "PUBREC"), 0);
            } else {
                assert_eq!(watcher.receive().text(), text, "the broker has it");
            }
            drop(client);
            let mut client = resume(engine.port, "c", version);
            client.send_publish(&crate::harness::Publish { dup: true, ..publish });
            assert_eq!(client.acknowledged(5, 7, "PUBREC"), 0);
            client.release(7);
            if round % 2 == 0 {
                assert_eq!(watcher.receive().text(), text);
            }
        }
    }
    Client::connect(engine.port, V5, "p").publish("t/x", "mark", 2);
    assert_eq!(watcher.receive().text(), "mark", "nothing came twice");
}

/// [MQTT-3.1.4-3]
fn a_takeover_goes_on_with_the_session(workers: usize) {
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for version in [V5, V311] {
        left(engine.port, version, 1);
        let mut client = resume(engine.port, "c", version);
        for round in 0..20 {
            let text = round.to_string();
            publisher.publish("t/x", &text, 1);
            let first = client.receive_unacknowledged();
            assert_eq!((first.text(), first.dup), (&*text, false));
            let mut newer = resume(engine.port, "c", version);
            client.refused(0x8e);
            let again = newer.receive();
            assert_eq!((again.text(), again.id, again.dup), (&*text, first.id, true));
            newer.ping();
            client = newer;
        }
        client.disconnect(0);
    }
}

/// [MQTT-3.1.2-4] [MQTT-3.2.2-2]
fn clean_start_begins_anew(workers: usize) {
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for version in [V5, V311] {
        left(engine.port, version, 1);
        publisher.publish("t/x", "before", 1);
        let (mut client, is_present) =
            connect(engine.port, &Connect { clean: true, ..lasting(version, "c") });
        assert!(!is_present);
        client.subscribe("t/x", 1);
        publisher.publish("t/x", "after", 1);
        assert_eq!(client.receive().text(), "after");
        client.disconnect(0);
    }
}

/// [MQTT-4.1.0-2] [MQTT-3.1.2-23], and section 3.14.2.2.2: DISCONNECT may say another expiry.
#[test]
fn a_session_ends_when_it_expires() {
    let engine = engine(1);
    let disconnect = |mut client: Client, seconds: u8| {
        client.send(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, seconds]);
        client.end();
    };
    let is_present = |connect_as: &Connect| connect(engine.port, connect_as).1;
    let connect_as = left(engine.port, V5, 1);
    disconnect(resume(engine.port, "c", V5), 0);
    assert!(!is_present(&connect_as), "it ended with DISCONNECT");
    disconnect(resume(engine.port, "c", V5), 1);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!is_present(&connect_as), "it has expired");
    disconnect(resume(engine.port, "c", V5), 60);
    assert!(is_present(&connect_as));
}

/// What is kept is counted.
#[test]
fn sessions_are_counted() {
    engine_only!();
    let engine = engine(3);
    left(engine.port, V5, 1);
    let counts = |name: &str, value: i64| {
        let began = std::time::Instant::now();
        while engine.counter(name) != value {
            assert!(began.elapsed() < PATIENCE, "{name} is not {value}");
        }
    };
    counts("sessions_kept", 1);
    drop(resume(engine.port, "c", V5));
    counts("sessions_resumed", 1);
    counts("sessions_kept", 1);
    connect(engine.port, &Connect { clean: true, ..lasting(V5, "c") }).0.disconnect(0);
    counts("sessions_discarded", 1);
}

fn clients_of_others_come_back(workers: usize) {
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for library in LIBRARIES {
        let id = format!("{library:?}");
        let more = json!({"clean": false});
        let mut script = Script::connect_with(library, engine.port, V311, &id, more.clone());
        script.subscribe("lib", 2);
        script.kill();
        for number in 0..20 {
            publisher.publish("lib", &number.to_string(), 2);
        }
        let mut script = Script::connect_with(library, engine.port, V311, &id, more);
        for number in 0..20 {
            assert_eq!(script.message().payload, number.to_string().into_bytes());
        }
        script.kill();
        connect(engine.port, &Connect::new(V311, &id)).0.disconnect(0);
    }
}

/// Killed when it has shown all that there was: it acknowledges QoS 1 before it shows it, and
/// remembers nothing of QoS 2. [MQTT-4.3.2-1] [MQTT-4.3.3-1]
fn mosquitto_sub_comes_back(workers: usize) {
    const ROUNDS: usize = 5;
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for (version, expiry) in [("mqttv311", &[][..]), ("mqttv5", &["-x", "600"])] {
        let topic = format!("mosquitto/{version}");
        let arguments = [&["-c", "-i", version, "-q", "2", "-t", &topic][..], expiry].concat();
        let mut expected = [Vec::new(), Vec::new()];
        let mut publish = |qos: u8| {
            let of_qos = &mut expected[usize::from(qos - 1)];
            let (text, qos_text) = (of_qos.len().to_string(), qos.to_string());
            if of_qos.len() % 4 == 3 {
                let one = ["-c", "-i", "pub", "-q", &qos_text, "-t", &topic, "-m", &text];
                mosquitto_pub(engine.port, version, &[&one[..], expiry].concat());
            } else {
                publisher.publish(&topic, &text, qos);
            }
            of_qos.push(format!("{topic} {qos} 0 {}", hex(text.as_bytes())));
        };
        let mut subscriber = mosquitto_sub(engine.port, version, &arguments);
        let mut received = [Vec::new(), Vec::new()];
        for round in 1..=ROUNDS {
            subscriber.kill();
            [2, 1, 1, 2].into_iter().for_each(&mut publish);
            subscriber = mosquitto_sub_again(engine.port, version, &arguments);
            publish(1);
            while received[0].len() < round * 3 || received[1].len() < round * 2 {
                let message = mosquitto_message(&subscriber);
                let qos = usize::from(message.contains(" 2 0 "));
                // An acknowledgement may have been lost.
                if qos == 1 || !received[0].contains(&message) {
                    received[qos].push(message);
                }
            }
        }
        assert_eq!(received, expected, "{version}");
        subscriber.kill();
    }
}
