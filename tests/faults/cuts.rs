//! Connections that are cut between any two bytes, again and again, of clients of others whose
//! sessions are kept: each goes on where it was.

use serde_json::json;

use crate::harness::{
    Engine, Library, Script, V5, V311, engine, engine_only, hex, on_one_and_three_workers,
};
use crate::outage::setting;
use crate::proxy::Proxy;

on_one_and_three_workers!(nothing_is_lost_or_doubled_between_clients_that_are_cut_off,);

/// Cuts of one pair of clients.
const CUTS: u64 = 35;

/// Bytes between two cuts at most, both ways and of both clients together: some do not let a client
/// connect.
const MOST: u64 = 3000;

/// Publishes that are under way together.
const ROUND: usize = 20;

/// [MQTT-4.4.0-1] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-4.3.3-10] [MQTT-4.6.0-1] [MQTT-4.6.0-6]
fn nothing_is_lost_or_doubled_between_clients_that_are_cut_off(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let pairs = [
        (Library::Paho, V5, Library::MqttJs, V311),
        (Library::MqttJs, V5, Library::Paho, V311),
        (Library::Paho, V311, Library::Paho, V5),
        (Library::MqttJs, V311, Library::MqttJs, V5),
    ];
    for ((publisher, of_publisher, subscriber, of_subscriber), seed) in pairs.into_iter().zip(1..) {
        let seed = setting("ZILLA_FAULTS_SEED", 1) * 16 + seed;
        let proxy = Proxy::start(engine.port);
        let name = format!("{seed}-{publisher:?}-{of_publisher}-{subscriber:?}-{of_subscriber}");
        eprintln!("{name}");
        let connect = |library, version, role: &str| {
            let id = format!("{role}-{name}");
            let more =
                json!({"clean": false, "reconnect": 20, "properties": {"session_expiry": 600}});
            Script::connect_with(library, proxy.port, version, &id, more)
        };
        let mut subscriber = connect(subscriber, of_subscriber, "s");
        for qos in [1, 2] {
            subscriber.subscribe(&format!("cuts/{name}/{qos}"), qos);
        }
        let mut publisher = connect(publisher, of_publisher, "p");
        proxy.cut_at_random(seed, MOST);
        let mut count = 0;
        while proxy.cuts() < usize::try_from(setting("ZILLA_FAULTS_CUTS", CUTS)).unwrap() {
            publish(&mut publisher, &name, count..count + ROUND);
            count += ROUND;
        }
        proxy.pass();
        publish(&mut publisher, &name, count..count + 1);
        count += 1;
        let mut received = [Vec::new(), Vec::new()];
        let end = (count - 1).to_string().into_bytes();
        while !received.iter().all(|of_qos: &Vec<_>| of_qos.last() == Some(&end)) {
            let message = subscriber.message();
            let qos = if message.topic.ends_with("/1") { 1 } else { 2 };
            assert_eq!(message.qos, qos);
            received[usize::try_from(qos - 1).unwrap()].push(message.payload);
        }
        let stored: Vec<_> = engine
            .records("messages", 2 * count)
            .into_iter()
            .filter(|record| record.key.as_deref() == Some(format!("cuts/{name}/2").as_bytes()))
            .filter_map(|record| record.value)
            .collect();
        let expected: Vec<_> = (0..count).map(|number| number.to_string().into_bytes()).collect();
        let [mut once_or_more, once] = received;
        assert_eq!(stored, expected, "{name}: QoS 2 in Kafka");
        assert_eq!(once, expected, "{name}: QoS 2");
        let all = once_or_more.len();
        let mut seen = std::collections::HashSet::new();
        once_or_more.retain(|payload| seen.insert(payload.clone()));
        assert_eq!(once_or_more, expected, "{name}: QoS 1, repeats left out");
        eprintln!("{count} at each QoS, {} cuts, {all} received at QoS 1", proxy.cuts());
        assert_clean(&engine);
    }
}

/// Publishes numbers at both QoS, and waits until the client holds them for done.
fn publish(publisher: &mut Script, name: &str, numbers: std::ops::Range<usize>) {
    let count = numbers.len() * 2;
    for number in numbers {
        for qos in [1, 2] {
            let topic = format!("cuts/{name}/{qos}");
            let payload = hex(number.to_string().as_bytes());
            let command = json!({"do": "publish", "topic": topic, "payload": payload, "qos": qos});
            publisher.command(&command);
        }
    }
    for _ in 0..count {
        let published = publisher.event("published");
        let code = published["code"].as_u64();
        // Section 3.7.2.1: where PUBCOMP was lost, 0x92 says that all is done.
        assert!(code.is_some_and(|code| code < 0x80 || code == 0x92), "{published}");
    }
}

/// Nothing was given up on the way.
fn assert_clean(engine: &Engine) {
    for counter in ["redeliveries_gone", "resumes_incomplete", "publishes_failed"] {
        assert_eq!(engine.counter(counter), 0, "{counter}");
    }
}
