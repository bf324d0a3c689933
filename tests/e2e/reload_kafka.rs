//! Another address of Kafka's in the file: clients stay, and the engine moves beneath them.

use std::time::Instant;

use serde_json::Value;

use crate::harness::{
    Bystanders, Client, Engine, PATIENCE, Setup, V5, engine_only, fate, is_embedded, kafka_only,
    on_one_and_three_workers,
};

on_one_and_three_workers!(
    kafka_servers_of_the_same_cluster,
    kafka_servers_of_another_cluster,
    kafka_bootstrap_topics_and_bounds,
);

/// The kafka bindings are replaced, the mapping holds on to what is there now, and nothing else is
/// touched.
fn assert_moved(engine: &Engine, event: &Value) {
    let expected = [
        ("tcp", "Keep"),
        ("mqtt", "Keep"),
        ("mapping", "Relink"),
        ("cache", "Replace"),
        ("log", "Replace"),
        ("kafka", "Replace"),
    ];
    for (binding, expected) in expected {
        assert_eq!(fate(event, binding), expected, "{binding}: {event}");
    }
    assert_eq!(event["connections_draining"], 0, "{event}");
    assert_eq!(engine.status()["file"], "in force");
}

fn on_servers(setup: &Setup, address: &str) -> Setup {
    Setup { kafka: format!("      servers: [\"{address}\"]\n"), ..setup.clone() }
}

/// The same brokers under another name: positions are carried over.
fn kafka_servers_of_the_same_cluster(workers: usize) {
    engine_only!();
    let before = Setup::new(workers);
    let engine = before.start();
    let mut bystanders = Bystanders::start(&engine, &["k/x", "k/y"]);
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("k/now", 1);
    client.retain("k/kept", "before", 1);
    let address = engine.topics.borrow().address().to_owned();
    let other = match is_embedded() {
        true => "192.0.2.2:9092".to_owned(),
        false => address.replace("127.0.0.1", "localhost"),
    };
    assert_ne!(other, address);
    let threads = engine.threads();
    for (round, address) in [&other, &address, &other, &address].into_iter().enumerate() {
        let event = bystanders.reload(&engine, &on_servers(&before, address));
        assert_moved(&engine, &event);
        client.publish("k/now", &round.to_string(), 1);
        assert_eq!(client.receive().text(), round.to_string());
        let mut newcomer = Client::connect(engine.port, V5, "newcomer");
        newcomer.subscribe("k/kept", 1);
        assert_eq!(newcomer.receive().text(), "before");
        newcomer.disconnect(0);
    }
    bystanders.finish(&["k/x", "k/y"]);
    // What reads and appends through the other address ends.
    let deadline = Instant::now() + PATIENCE;
    while engine.threads() != threads {
        assert!(Instant::now() < deadline, "{threads} threads became {}", engine.threads());
        std::thread::yield_now();
    }
}

/// What was acknowledged by the one is delivered from there, what follows comes from the other.
fn kafka_servers_of_another_cluster(workers: usize) {
    kafka_only!();
    let before = Setup::new(workers);
    let engine = before.start();
    let (topics, address) = engine.topics.borrow().in_other_cluster(&[]);
    // One that is there already, so that the cluster has done what it does once.
    let elsewhere = Setup::new(1).start_at(&address, topics);
    let mut other = Client::connect(elsewhere.port, V5, "elsewhere");
    other.subscribe("k/now", 1);
    other.publish("k/now", "old", 1);
    assert_eq!(other.receive().text(), "old");
    other.retain("k/kept", "there", 1);
    let mut bystanders = Bystanders::start(&engine, &["k/x", "k/y"]);
    let mut client = Client::connect(engine.port, V5, "client");
    client.subscribe("k/now", 1);
    let event = bystanders.reload(&engine, &on_servers(&before, &address));
    assert_moved(&engine, &event);
    client.publish("k/now", "new", 1);
    assert_eq!(client.receive().text(), "new");
    assert_eq!(other.receive().text(), "new");
    let mut newcomer = Client::connect(engine.port, V5, "newcomer");
    newcomer.subscribe("k/kept", 1);
    assert_eq!(newcomer.receive().text(), "there");
    let is_new = |record: &crate::harness::Record| record.value.as_deref() == Some(b"new");
    assert!(elsewhere.records("messages", 2).iter().any(is_new));
    assert!(!engine.records("messages", 0).iter().any(is_new));
    bystanders.finish(&[]);
}

/// What a cache keeps and begins with.
fn kafka_bootstrap_topics_and_bounds(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers).with_topics(&["more"]);
    let engine = setup.start();
    let mut bystanders = Bystanders::start(&engine, &["c/x"]);
    let text = setup.yaml();
    let more =
        text.replace("        - \"@retained\"\n", "        - \"@retained\"\n        - \"@more\"\n");
    assert_ne!(more, text);
    for text in [more, text] {
        let event = bystanders.reload_text(&engine, &text);
        for binding in ["tcp", "mqtt", "mapping", "kafka"] {
            assert_eq!(fate(&event, binding), "Keep", "{binding}: {event}");
        }
        // The cache client holds what the cache server prepared.
        for binding in ["cache", "log"] {
            assert_eq!(fate(&event, binding), "Update", "{binding}: {event}");
        }
    }
    bystanders.finish(&["c/x"]);
}
