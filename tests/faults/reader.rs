//! Clients that do not read.

use std::time::{Duration, Instant};

use crate::harness::{Client, Engine, V5, V311, engine, engine_only, on_one_and_three_workers};

on_one_and_three_workers!(
    a_client_that_does_not_read_slows_nobody_and_loses_nothing_at_qos_1,
    a_client_that_does_not_read_is_skipped_at_qos_0_and_that_is_counted,
);

/// More than the sockets of a connection, a session's ring and a write hold together.
const MESSAGES: usize = 20_000;

const PAYLOAD: usize = 1000;

/// Resident memory of the engine, bytes.
pub(crate) fn resident(engine: &Engine) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn payload(number: usize) -> String {
    format!("{number:0PAYLOAD$}")
}

/// Publishes at QoS 1, many at a time.
fn flood(publisher: &mut Client, topic: &str) {
    for first in (0..MESSAGES).step_by(500) {
        let ids: Vec<u16> = (first..first + 500)
            .map(|number| {
                let publish = crate::harness::message(topic, &payload(number), 1);
                publisher.send_publish(&publish)
            })
            .collect();
        for id in ids {
            assert!(publisher.puback(id) < 0x80);
        }
    }
}

fn a_client_that_does_not_read_slows_nobody_and_loses_nothing_at_qos_1(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut silent: Vec<Client> = [V5, V311]
        .into_iter()
        .map(|version| {
            let mut client = Client::connect(engine.port, version, &format!("silent-{version}"));
            client.subscribe("big", 1);
            client
        })
        .collect();
    let mut reading = Client::connect(engine.port, V5, "reading");
    reading.subscribe("big", 1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    let before = resident(&engine);
    let reader = std::thread::spawn(move || {
        for number in 0..MESSAGES {
            assert_eq!(reading.receive().text(), payload(number));
        }
        Instant::now()
    });
    flood(&mut publisher, "big");
    let published = Instant::now();
    let read = reader.join().expect("the client that reads");
    let late = read.saturating_duration_since(published);
    assert!(late < Duration::from_secs(2), "the others are {late:?} late");
    // The log holds the messages once, whoever reads.
    let grown = resident(&engine).saturating_sub(before);
    eprintln!("grown by {} MiB for {} MiB", grown >> 20, (MESSAGES * PAYLOAD) >> 20);
    assert!(grown < 6 * MESSAGES * PAYLOAD, "grown by {grown} bytes");
    assert!(engine.counter("sessions_behind") >= 2, "each one reads by itself");
    for client in &mut silent {
        for number in 0..MESSAGES {
            let publish = client.receive();
            assert_eq!((publish.text(), publish.dup), (&*payload(number), false));
        }
        client.ping();
    }
    assert_eq!(engine.counter("sessions_fallen_out"), 0);
    assert_eq!(engine.counter("deliveries_skipped"), 0);
}

fn a_client_that_does_not_read_is_skipped_at_qos_0_and_that_is_counted(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut silent = Client::connect(engine.port, V5, "silent");
    silent.subscribe("big", 0);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    flood(&mut publisher, "big");
    // Its own last message: all others were offered to it before.
    let mut last = Client::connect(engine.port, V5, "last");
    last.subscribe("big", 1);
    publisher.publish("big", "end", 1);
    assert_eq!(last.receive().text(), "end");
    let skipped = usize::try_from(engine.counter("deliveries_skipped")).unwrap();
    assert!(skipped > 0);
    let mut received = 0;
    let mut before = None;
    while received + skipped < MESSAGES + 1 {
        let publish = silent.receive();
        assert_eq!(publish.qos, 0);
        let number = publish.text().parse::<usize>().ok();
        assert!(number.is_none() || number > before, "in order, with gaps");
        before = number.or(before);
        received += 1;
    }
    silent.ping();
    assert_eq!(received + skipped, MESSAGES + 1, "each was delivered or counted");
}
