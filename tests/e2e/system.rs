//! What the server tells of itself, as those who know mosquitto look for it.

use std::collections::BTreeMap;

use crate::harness::{
    Client, Process, Setup, V5, mosquitto_message, mosquitto_sub, on_one_and_three_workers,
};

on_one_and_three_workers!(those_who_look_for_the_topics_of_mosquitto_find_them);

/// The next value: topic below `$SYS/broker`, whether it is retained, text.
fn value(subscriber: &Process) -> (String, bool, String) {
    let line = mosquitto_message(subscriber);
    let words: Vec<&str> = line.split(' ').collect();
    let [topic, "0", retained, payload] = words[..] else { panic!("{line}") };
    let bytes = payload
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
    let text = String::from_utf8(bytes.collect()).unwrap();
    (topic.strip_prefix("$SYS/broker/").unwrap().to_owned(), retained == "1", text)
}

/// Waits until a value is told.
fn wait_for(subscriber: &Process, topic: &str, text: &str) {
    loop {
        let (found, is_retained, value) = value(subscriber);
        assert!(!is_retained, "{found} is told as a change");
        if found == topic && value == text {
            return;
        }
    }
}

fn those_who_look_for_the_topics_of_mosquitto_find_them(workers: usize) {
    for version in ["mqttv311", "mqttv5"] {
        let mqtt = "    options:\n      sys-interval: 1\n".to_owned();
        let engine = Setup { mqtt, ..Setup::new(workers) }.start();
        let subscriber = mosquitto_sub(engine.port, version, &["-q", "1", "-t", "$SYS/#"]);
        let mut found = BTreeMap::new();
        while found.len() < 13 {
            let (topic, is_retained, text) = value(&subscriber);
            assert!(is_retained && found.insert(topic, text).is_none(), "{found:?}");
        }
        assert!(found["version"].starts_with("zilla version "), "{found:?}");
        assert!(found["uptime"].ends_with(" seconds"), "{found:?}");
        assert_eq!(found["clients/connected"], "1");
        let count = |topic: &str| found[topic].parse::<u64>().unwrap();
        assert_eq!(count("clients/total"), 1 + count("clients/disconnected"));
        for topic in ["messages/received", "messages/sent", "bytes/received", "bytes/sent"] {
            assert!(count(topic) > 0, "{topic}");
        }
        let (publishes, subscriptions) =
            (count("publish/messages/received"), count("subscriptions/count"));
        let dropped = count("publish/messages/dropped");
        let mut client = Client::connect(engine.port, V5, "c");
        client.subscribe("a/#", 1);
        client.publish("a/b", "x", 1);
        assert_eq!(client.receive().text(), "x");
        // In the order in which they are told.
        wait_for(&subscriber, "clients/connected", "2");
        let next = (publishes + 1).to_string();
        wait_for(&subscriber, "publish/messages/received", &next);
        // Its own was not there yet.
        wait_for(&subscriber, "subscriptions/count", &(subscriptions + 2).to_string());
        client.publish("$SYS/broker/version", "forged", 0);
        wait_for(&subscriber, "publish/messages/dropped", &(dropped + 1).to_string());
        client.disconnect(0);
        wait_for(&subscriber, "clients/connected", "1");
    }
}
