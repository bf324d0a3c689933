//! No file descriptor left.

use std::time::{Duration, Instant};

use crate::harness::{
    Client, Connect, PATIENCE, V5, engine, engine_only, on_one_and_three_workers,
};

on_one_and_three_workers!(without_descriptors_accept_pauses_and_those_connected_go_on);

fn without_descriptors_accept_pauses_and_those_connected_go_on(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut subscriber = Client::connect(engine.port, V5, "subscriber");
    subscriber.subscribe("t", 1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    publisher.publish("t", "before", 1);
    assert_eq!(subscriber.receive().text(), "before");
    let leaving: Vec<Client> = (0..10)
        .map(|number| Client::connect(engine.port, V5, &format!("leaving-{number}")))
        .collect();
    let (count, highest) = engine.descriptors();
    engine.limit_descriptors(highest);
    // The kernel takes them; the engine takes some, where lower descriptors are free.
    let mut waiting: Vec<Client> = (0..highest - count + 100)
        .map(|number| {
            let mut client = Client::open(engine.port, V5);
            client.send(&Connect::new(V5, &format!("waiting-{number}")).encode());
            client
        })
        .collect();
    engine.event_named("tcp.accept.paused");
    let mut asking = engine.ask_status();
    for number in 0..200 {
        publisher.publish("t", &number.to_string(), 1);
        assert_eq!(subscriber.receive().text(), number.to_string());
        std::thread::sleep(Duration::from_millis(10));
    }
    let taken =
        waiting.extract_if(.., |client| client.packet_within(Duration::from_millis(1)).is_some());
    // They stay, and with them their descriptors.
    let _taken: Vec<Client> = taken.collect();
    let left = waiting.len();
    assert!(left >= 20, "{left} wait");
    // Once a worker, and again only where one could go on in between: the process gives a descriptor
    // back now and then, which the next connection takes.
    let (said, resumed) =
        (engine.count_events("tcp.accept.paused"), engine.count_events("tcp.accept.resumed"));
    assert!(said <= workers + resumed, "said {said} times, and {resumed} pauses were over");
    // Some leave: others are served. Not as many, for connections to Kafka and whoever asks for the
    // status wait for descriptors, too.
    leaving.into_iter().for_each(|client| client.disconnect(0));
    let served_now = served(&mut waiting, 5);
    assert!(!waiting.is_empty(), "{} of {left} are served", served_now.len());
    // More descriptors: all are.
    engine.limit_descriptors(1024);
    let served_then = served(&mut waiting, left);
    assert!(waiting.is_empty() && served_now.len() + served_then.len() == left);
    engine.event_named("tcp.accept.resumed");
    publisher.publish("t", "after", 1);
    assert_eq!(subscriber.receive().text(), "after");
    Client::connect(engine.port, V5, "later").ping();
    // Whoever asked while there was none, answered or not, is no reason to listen no more.
    asking.wait().unwrap();
    engine.status();
}

/// Waits until `count` of the clients, or all, have their CONNACK; those.
fn served(waiting: &mut Vec<Client>, count: usize) -> Vec<Client> {
    let deadline = Instant::now() + PATIENCE;
    let wanted = count.min(waiting.len());
    let mut served = Vec::new();
    while served.len() < wanted {
        assert!(Instant::now() < deadline, "{} of {wanted} are served", served.len());
        served.extend(waiting.extract_if(.., |client| {
            let connack = client.packet_within(Duration::from_millis(1));
            if let Some(connack) = &connack {
                assert_eq!((connack.kind(), connack.reason()), (2, 0));
            }
            connack.is_some()
        }));
    }
    served
}
