//! The engine itself is killed under load.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::checker::{Published, check, stored};
use crate::harness::{
    Client, PATIENCE, Publish, Reader, V5, V311, engine, engine_only, message,
    on_one_and_three_workers,
};
use crate::outage::setting;

on_one_and_three_workers!(what_was_acknowledged_is_there_after_the_engine_is_killed);

const PUBLISHERS: usize = 4;

/// Publishes that one has unacknowledged at most.
const WINDOW: usize = 20;

fn what_was_acknowledged_is_there_after_the_engine_is_killed(workers: usize) {
    engine_only!();
    let mut engine = engine(workers);
    let new = |number| Published { topic: format!("checked/{number}"), answers: Vec::new() };
    let mut published: Vec<Published> = (0..PUBLISHERS).map(new).collect();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    for round in 0..setting("ZILLA_FAULTS_ROUNDS", 3) {
        let before = acknowledged.load(Ordering::Acquire);
        let publishers: Vec<_> = published
            .drain(..)
            .zip([V5, V311].into_iter().cycle())
            .map(|(published, version)| {
                let client = Client::connect(engine.port, version, &published.topic);
                let acknowledged = Arc::clone(&acknowledged);
                std::thread::spawn(move || publish(client, published, &acknowledged))
            })
            .collect();
        // At moments that differ.
        let wanted = before + 500 + usize::try_from(round).unwrap() * 137;
        let deadline = Instant::now() + PATIENCE;
        while acknowledged.load(Ordering::Acquire) < wanted {
            assert!(Instant::now() < deadline, "messages do not flow");
            std::thread::sleep(Duration::from_millis(1));
        }
        engine.kill();
        published.extend(publishers.into_iter().map(|thread| thread.join().expect("a publisher")));
        engine.launch();
    }
    let acknowledged = acknowledged.load(Ordering::Acquire);
    // Everything that was acknowledged is in front of what is published now.
    let mut client = Client::connect(engine.port, V5, "after");
    client.subscribe("after", 1);
    client.publish("after", "x", 1);
    assert_eq!(client.receive().text(), "x");
    check("the log", &published, &stored(&engine, acknowledged), true);
    let sent: usize = published.iter().map(|published| published.answers.len()).sum();
    eprintln!("{sent} published, {acknowledged} acknowledged");
}

/// Publishes until the connection ends, on from where `published` ends.
fn publish(mut client: Client, mut published: Published, acknowledged: &AtomicUsize) -> Published {
    let mut waiting: VecDeque<(u16, usize)> = VecDeque::new();
    let mut next_id = 1_u16;
    loop {
        if waiting.len() < WINDOW {
            let number = published.answers.len();
            published.answers.push(None);
            let publish = message(&published.topic, &number.to_string(), 1);
            let (id, packet) = client.encode_publish(&Publish { id: Some(next_id), ..publish });
            next_id = next_id.checked_add(1).unwrap_or(1);
            waiting.push_back((id, number));
            if client.try_send(&packet) {
                continue;
            }
        }
        // What was acknowledged before the end counts, whether or not the write failed first.
        let Some(packet) = client.packet_or_end(PATIENCE, "PUBACK or the end") else {
            return published;
        };
        assert_eq!(packet.kind(), 4, "PUBACK expected: {packet:?}");
        let (id, number) = waiting.pop_front().expect("an answer to a publish");
        assert_eq!(Reader(&packet.body).two(), id, "answers in order [MQTT-4.6.0-2]");
        assert!(packet.reason() < 0x80, "refused: {packet:?}");
        published.answers[number] = Some(packet.reason());
        acknowledged.fetch_add(1, Ordering::AcqRel);
    }
}
