//! QoS 2 in both directions, within a connection.

use serde_json::json;

use crate::harness::{
    Client, Connect, LIBRARIES, Publish, Script, V5, V311, Value, Will, engine, message,
    on_one_and_three_workers,
};

on_one_and_three_workers!(
    a_publish_that_is_sent_again_is_one_message,
    the_lowest_qos_on_the_way_holds,
    clients_of_others_complete_their_flows,
);

/// [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11]
fn a_publish_that_is_sent_again_is_one_message(workers: usize) {
    let engine = engine(workers);
    let mut subscriber = Client::connect(engine.port, V5, "s");
    subscriber.subscribe("t", 2);
    for version in [V5, V311] {
        let mut client = Client::connect(engine.port, version, "p");
        let publish = Publish { id: Some(7), ..message("t", "once", 2) };
        for dup in [false, true, true] {
            client.send_publish(&Publish { dup, ..publish.clone() });
            assert_eq!(client.acknowledged(5, 7, "PUBREC"), 0);
        }
        client.release(7);
        // Behind PUBCOMP the identifier stands for another message.
        assert_eq!(client.publish_with(&Publish { id: Some(7), ..message("t", "next", 2) }), 0);
        for text in ["once", "next"] {
            let received = subscriber.receive();
            assert_eq!((received.text(), received.qos, received.dup), (text, 2, false));
        }
    }
}

/// [MQTT-3.8.4-8]
fn the_lowest_qos_on_the_way_holds(workers: usize) {
    let engine = engine(workers);
    let mut subscribers: Vec<Client> = (0..=2)
        .map(|qos| {
            let mut client = Client::connect(engine.port, V5, &format!("s{qos}"));
            client.subscribe("t", qos);
            client
        })
        .collect();
    let will = Will { qos: 2, ..Will::new("t", b"will") };
    let mut publisher = Client::connect_as(engine.port, &Connect::new(V311, "p").with_will(will));
    for qos in 0..=2 {
        publisher.publish("t", &qos.to_string(), qos);
    }
    publisher.retain("t", "retained", 2);
    drop(publisher);
    for (subscriber, granted) in subscribers.iter_mut().zip(0..) {
        for (text, qos) in [("0", 0), ("1", 1), ("2", 2), ("retained", 2), ("will", 2)] {
            let publish = subscriber.receive();
            assert_eq!((publish.text(), publish.qos), (text, granted.min(qos)));
        }
        let mut late = Client::connect(engine.port, V5, "late");
        late.subscribe("t", granted);
        let publish = late.receive();
        assert_eq!((publish.qos, publish.retain), (granted, true));
    }
}

/// Messages in both directions at once, with the windows that the libraries choose.
fn clients_of_others_complete_their_flows(workers: usize) {
    const COUNT: usize = 500;
    let engine = engine(workers);
    let mut scripts: Vec<Script> = Vec::new();
    for library in LIBRARIES {
        for version in [V311, V5] {
            let id = format!("{library:?}-{version}");
            let mut script = Script::connect(library, engine.port, version, &id);
            script.subscribe("both/#", 2);
            scripts.push(script);
        }
    }
    for (script, number) in scripts.iter_mut().zip(0..) {
        script.command(&json!({
            "do": "publish_many", "topic": format!("both/{number}"), "qos": 2, "count": COUNT,
        }));
    }
    for script in &mut scripts {
        let mut next = [0; 4];
        for _ in 0..4 * COUNT {
            let message = script.message();
            let of: usize = message.topic.strip_prefix("both/").unwrap().parse().unwrap();
            assert_eq!((message.payload, message.qos), (next[of].to_string().into_bytes(), 2));
            next[of] += 1;
        }
    }
    for script in &mut scripts {
        assert_eq!(script.event("published_all")["count"], COUNT);
    }
}

/// [MQTT-3.3.4-9] [MQTT-2.2.1-4]: each packet identifier is in use once, and no further delivery
/// comes before one is free.
#[test]
fn all_packet_identifiers_may_be_in_use() {
    let engine = engine(1);
    let connect = Connect::new(V5, "slow").with_property(0x21, Value::Two(65_535));
    let mut slow = Client::connect_as(engine.port, &connect);
    slow.subscribe("w", 2);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let Some(&Value::Two(window)) = publisher.announced(0x21) else { panic!("Receive Maximum") };
    let mut used = vec![false; 65_536];
    let mut publish = |numbers: std::ops::Range<u32>| {
        let numbers: Vec<u32> = numbers.collect();
        for window in numbers.chunks(window.into()) {
            let ids = 1..=u16::try_from(window.len()).unwrap();
            for (number, id) in window.iter().zip(ids.clone()) {
                let text = number.to_string();
                publisher.send_publish(&Publish { id: Some(id), ..message("w", &text, 2) });
            }
            for id in ids.clone() {
                assert_eq!(publisher.acknowledged(5, id, "PUBREC"), 0);
            }
            ids.for_each(|id| publisher.release(id));
        }
    };
    publish(0..65_000);
    let receive = |slow: &mut Client, number: u32| {
        let publish = slow.receive_unacknowledged();
        assert_eq!((publish.text(), publish.qos), (&*number.to_string(), 2));
        publish.id.unwrap()
    };
    for number in 0..65_000 {
        let id = receive(&mut slow, number);
        assert!(!std::mem::replace(&mut used[usize::from(id)], true), "{id} is in use");
    }
    publish(65_000..65_600);
    for number in 65_000..65_535 {
        let id = receive(&mut slow, number);
        assert!(!std::mem::replace(&mut used[usize::from(id)], true), "{id} is in use");
    }
    slow.ping();
    slow.complete(1);
    assert_eq!(receive(&mut slow, 65_535), 1, "the one that is free");
    slow.ping();
}
