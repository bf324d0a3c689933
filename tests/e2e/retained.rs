//! Retained messages: replay, flags, clearing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::harness::{
    Client, LIBRARIES, Publish, Script, V5, V311, engine, engine_only, identifier, kafka_only,
    message, mosquitto_message, mosquitto_pub, mosquitto_sub, on_one_and_three_workers,
};

const RETAIN_AS_PUBLISHED: u8 = 0x08;
const ONLY_IF_NEW: u8 = 0x10;
const NEVER: u8 = 0x20;

on_one_and_three_workers!(
    the_last_retained_message_is_replayed_with_its_flag,
    retain_handling_decides_about_replay,
    clearing_removes_a_retained_message,
    many_retained_messages_are_replayed,
    nothing_is_missed_or_stale_between_replay_and_live,
);

/// [MQTT-3.3.1-5] [MQTT-3.3.1-8] [MQTT-3.3.1-9]
fn the_last_retained_message_is_replayed_with_its_flag(workers: usize) {
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    publisher.retain("r/1", "first", 1);
    publisher.retain("r/1", "second", 1);
    publisher.publish("r/1", "not retained", 1);
    publisher.retain("r/2", "qos 0", 0);
    publisher.retain("$own/r", "own", 1);
    // QoS 0 is behind when this is acknowledged.
    publisher.retain("r/3", "last", 1);
    for version in [V311, V5] {
        let mut client = Client::connect(engine.port, version, "client");
        client.subscribe("r/#", 1);
        let mut received: Vec<Publish> = (0..3).map(|_| client.receive()).collect();
        received.sort_by_key(|publish| publish.topic.clone());
        let expected = [("r/1", "second", 1), ("r/2", "qos 0", 0), ("r/3", "last", 1)];
        for (publish, (topic, text, qos)) in received.iter().zip(expected) {
            let expected = Publish { retain: true, id: publish.id, ..message(topic, text, qos) };
            assert_eq!(*publish, expected, "version {version}");
        }
        // A live one has no flag [MQTT-3.3.1-12].
        publisher.retain("r/2", "live", 1);
        let publish = client.receive();
        assert_eq!((publish.text(), publish.retain), ("live", false));
        publisher.retain("r/2", "qos 0", 0);
        assert_eq!(client.receive().text(), "qos 0");
    }
    // A wildcard first does not match $ [MQTT-4.7.2-1].
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("#", 0);
    let mut topics: Vec<_> = (0..3).map(|_| client.receive().topic).collect();
    topics.sort();
    assert_eq!(topics, ["r/1", "r/2", "r/3"]);
    client.subscribe("$own/+", 0);
    assert_eq!(client.receive().topic, "$own/r");
}

/// [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
fn retain_handling_decides_about_replay(workers: usize) {
    let engine = engine(workers);
    let mut client = Client::connect(engine.port, V5, "client");
    client.retain("h", "kept", 1);
    // What a subscription replays comes before the answer to a live message of the same topic.
    let mut replays = |options: u8| {
        assert_eq!(client.subscribe_with(&[("h", options)], &[identifier(9)]), [options & 3]);
        client.publish("h", "mark", 1);
        let mut count = 0;
        loop {
            let publish = client.receive();
            if !publish.retain {
                assert_eq!(publish.text(), "mark");
                return count;
            }
            assert_eq!((publish.text(), publish.identifiers()), ("kept", vec![9]));
            count += 1;
        }
    };
    assert_eq!(replays(1 | NEVER), 0);
    assert_eq!(replays(1 | ONLY_IF_NEW), 0, "the subscription exists");
    assert_eq!(replays(1), 1);
    assert_eq!(replays(1), 1, "again, since it was asked for again");
    assert_eq!(client.unsubscribe(&["h"]), [0]);
    let mut client = Client::connect(engine.port, V5, "another");
    assert_eq!(client.subscribe_with(&[("h", 1 | ONLY_IF_NEW)], &[]), [1]);
    assert_eq!(client.receive().text(), "kept");
}

/// [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[test]
fn retain_as_published_keeps_the_flag_of_live_messages() {
    let engine = engine(1);
    let mut with = Client::connect(engine.port, V5, "with");
    assert_eq!(with.subscribe_with(&[("f", 1 | RETAIN_AS_PUBLISHED)], &[]), [1]);
    let mut without = Client::connect(engine.port, V5, "without");
    without.subscribe("f", 1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for (text, is_retained) in [("a", true), ("b", false), ("c", true)] {
        if is_retained {
            publisher.retain("f", text, 1);
        } else {
            publisher.publish("f", text, 1);
        }
        let publish = with.receive();
        assert_eq!((publish.text(), publish.retain), (text, is_retained));
        let publish = without.receive();
        assert_eq!((publish.text(), publish.retain), (text, false));
    }
}

/// [MQTT-3.3.1-6] [MQTT-3.3.1-7]
fn clearing_removes_a_retained_message(workers: usize) {
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V311, "publisher");
    publisher.retain("c/1", "1", 1);
    publisher.retain("c/2", "2", 1);
    let mut live = Client::connect(engine.port, V5, "live");
    assert_eq!(live.subscribe_with(&[("c/1", NEVER)], &[]), [0]);
    publisher.retain("c/1", "", 1);
    assert_eq!(live.receive(), message("c/1", "", 0), "it is processed normally");
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("c/#", 0);
    assert_eq!(client.receive().topic, "c/2");
    publisher.publish("c/2", "mark", 1);
    assert_eq!(client.receive().text(), "mark", "nothing of c/1");
}

/// A zero-length value on retained, which the peer writes, is no message.
#[test]
fn an_empty_retained_record_is_not_replayed() {
    kafka_only!();
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "client");
    let produce = |key: &[u8], value: &[u8]| {
        engine.topics.borrow_mut().produce("retained", Some(key), Some(value), &[]);
    };
    produce(b"e/1", b"x");
    produce(b"e/1", b"");
    produce(b"e/2", b"y");
    client.subscribe("e/#", 0);
    assert_eq!(client.receive().topic, "e/2");
    client.publish("e/1", "mark", 1);
    assert_eq!(client.receive().text(), "mark");
}

fn many_retained_messages_are_replayed(workers: usize) {
    const COUNT: usize = 500;
    let engine = engine(workers);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let publishes: Vec<u16> = (0..COUNT)
        .map(|number| {
            let topic = format!("many/{number}");
            publisher.send_publish(&Publish { retain: true, ..message(&topic, &topic, 1) })
        })
        .collect();
    // Each by itself: they lie in several partitions, which Kafka takes one after another.
    for id in publishes {
        assert_eq!(publisher.puback(id), 0);
    }
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("many/#", 1);
    let mut topics: Vec<String> = (0..COUNT)
        .map(|_| {
            let publish = client.receive();
            assert!(publish.retain);
            publish.topic
        })
        .collect();
    topics.sort();
    topics.dedup();
    assert_eq!(topics.len(), COUNT);
}

/// Clients subscribe while every topic gets a new retained message all the time: each of them must
/// have all that follows what it was replayed, and nothing older behind it.
fn nothing_is_missed_or_stale_between_replay_and_live(workers: usize) {
    const TOPICS: usize = 4;
    let engine = engine(workers);
    let port = engine.port;
    let stop = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..TOPICS)
        .map(|topic| {
            let mut client = Client::connect(port, V5, &format!("publisher-{topic}"));
            let (topic, stop) = (format!("load/{topic}"), Arc::clone(&stop));
            client.retain(&topic, "0", 1);
            std::thread::spawn(move || {
                for number in 1_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    client.retain(&topic, &number.to_string(), 1);
                }
            })
        })
        .collect();
    for round in 0..40 {
        let version = if round % 2 == 0 { V311 } else { V5 };
        let mut client = Client::connect(port, version, &format!("subscriber-{round}"));
        client.subscribe("load/#", 1);
        let mut received: Vec<Vec<(u64, bool)>> = vec![Vec::new(); TOPICS];
        let lives = |of: &Vec<(u64, bool)>| of.iter().filter(|(_, retain)| !retain).count();
        while received.iter().any(|of| lives(of) < 10) {
            let publish = client.receive();
            let topic: usize = publish.topic.trim_start_matches("load/").parse().unwrap();
            received[topic].push((publish.text().parse().unwrap(), publish.retain));
        }
        for of in &received {
            let live: Vec<u64> = of.iter().filter(|(_, r)| !r).map(|(number, _)| *number).collect();
            let expected: Vec<u64> = (live[0]..).take(live.len()).collect();
            assert_eq!(live, expected, "one is missed, or comes twice");
            let replayed: Vec<u64> =
                of.iter().filter(|(_, r)| *r).map(|(number, _)| *number).collect();
            match replayed[..] {
                // A live message stands for it.
                [] => {}
                [replayed] => {
                    assert!(live[0] <= replayed + 1, "what followed the replay is missed: {of:?}");
                    let at = of.iter().position(|(_, retain)| *retain).unwrap();
                    let newest = of[..at].iter().map(|(number, _)| *number).max();
                    assert!(newest.is_none_or(|newest| newest < replayed), "stale: {of:?}");
                }
                _ => panic!("replayed more than once: {of:?}"),
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.join().unwrap();
    }
}

/// Retained messages outlive the engine: they are in Kafka.
#[test]
fn retained_messages_survive_a_restart() {
    engine_only!();
    let mut engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "client");
    client.retain("s", "kept", 1);
    drop(client);
    engine.restart();
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("s", 1);
    let publish = client.receive();
    assert_eq!((publish.text(), publish.retain), ("kept", true));
}

#[test]
fn programs_and_libraries_see_retained_messages() {
    let engine = engine(1);
    mosquitto_pub(engine.port, "mqttv311", &["-q", "1", "-r", "-t", "m", "-m", "kept"]);
    for version in ["mqttv311", "mqttv5"] {
        let subscriber = mosquitto_sub(engine.port, version, &["-q", "1", "-t", "m"]);
        assert_eq!(mosquitto_message(&subscriber), "m 1 1 6b657074");
    }
    for library in LIBRARIES {
        for version in [V311, V5] {
            let mut script = Script::connect(library, engine.port, version, "c");
            script.publish_with("l", b"kept", 1, true, &json!({}));
            script.subscribe("l", 1);
            let message = script.message();
            assert_eq!((&*message.payload, message.retain), (&b"kept"[..], true));
            script.publish_with("l", b"", 1, true, &json!({}));
            assert_eq!(script.message().payload, b"");
        }
    }
}
