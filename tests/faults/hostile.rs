//! Clients that mean harm, beside one that does not. All of it is on loopback, and bounded in count
//! and time.

mod attacks;

use std::time::{Duration, Instant};

use crate::checker::{Checker, Load};
use crate::harness::{
    Client, Engine, V5, engine, engine_only, is_embedded, message, on_one_and_three_workers,
};
use crate::reader::resident;
use attacks::{ALL, Attack, start};

on_one_and_three_workers!(whoever_behaves_is_served_beside_them_and_memory_is_bounded);

/// How long each attack lasts, and the last one, which is all of them.
const TIME: Duration = Duration::from_millis(1000);

/// By how much the engine may grow under all attacks one after the other and at once, bytes: some
/// 900 connections, what 40 of them may have queued, 20,000 subscriptions, and the part of the log
/// that is in memory.
const GROWTH: usize = 64 << 20;

/// [MQTT-4.9.0-3] and the rest of what the others may rely on, whoever is there besides.
fn whoever_behaves_is_served_beside_them_and_memory_is_bounded(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let load = Load { publishers: 2, pause: Duration::from_millis(2), ..Load::default() };
    let checker = Checker::start(engine.port, load);
    let before = resident(&engine);
    let mut most = before;
    for attack in ALL {
        most = most.max(beside(&engine, &checker, attack.name, &[attack]));
    }
    let all: Vec<&Attack> = ALL.iter().collect();
    most = most.max(beside(&engine, &checker, "all at once", &all));
    let grown = most.saturating_sub(before);
    eprintln!("{workers} workers: {} MiB, and {} more at the most", before >> 20, grown >> 20);
    assert!(grown < GROWTH, "grown by {grown} bytes");
    assert_eq!(checker.finish(&engine).refused, 0);
    // Who attacked is gone, and a new client is served.
    Client::connect(engine.port, V5, "later").ping();
}

/// Has these attacks run beside the checker; the most memory that the engine had meanwhile.
fn beside(engine: &Engine, checker: &Checker, name: &str, attacks: &[&Attack]) -> usize {
    let running: Vec<_> =
        attacks.iter().flat_map(|attack| start(attack, engine.port, TIME, false)).collect();
    let mut most = 0;
    while !running.iter().all(std::thread::JoinHandle::is_finished) {
        checker.flow();
        most = most.max(resident(engine));
    }
    let done: usize = running.into_iter().map(|thread| thread.join().expect(name)).sum();
    assert!(done > 0, "{name}: nothing was attacked");
    checker.flow();
    most = most.max(resident(engine));
    eprintln!("{name}: {done} times, {} MiB", most >> 20);
    most
}

/// How much later a well-behaved client's messages come under each attack, at 500 a second and
/// QoS 1. Who attacks has the lowest priority: in earnest that is done on other machines.
/// `scripts/hostile` runs it.
#[test]
#[ignore = "a measurement, for scripts/hostile"]
fn how_late_messages_are_under_each_attack() {
    engine_only!();
    let seconds = std::env::var("ZILLA_HOSTILE_SECONDS").ok();
    let seconds = seconds.map_or(5, |text| text.parse().expect("ZILLA_HOSTILE_SECONDS"));
    let time = Duration::from_secs(seconds);
    let engine = engine(1);
    let mut subscriber = Client::connect(engine.port, V5, "measured-subscriber");
    subscriber.subscribe("measured", 1);
    let mut publisher = Client::connect(engine.port, V5, "measured-publisher");
    let log = if is_embedded() { "embedded log" } else { "Kafka" };
    eprintln!("one worker, {log}, {seconds} s each, from PUBLISH to its arrival");
    eprintln!(
        "{:28} {:>9} {:>8} {:>8} {:>8} {:>9}",
        "attack", "count", "p50 ms", "p99 ms", "÷ none", "memory"
    );
    // Once to warm up.
    late(&mut publisher, &mut subscriber, time.min(Duration::from_secs(2)));
    let mut none = Vec::new();
    let mut report = |name: &str, attacks: &[&Attack]| {
        let running: Vec<_> =
            attacks.iter().flat_map(|attack| start(attack, engine.port, time, true)).collect();
        let times = late(&mut publisher, &mut subscriber, time);
        let memory = resident(&engine) >> 20;
        let done: usize = running.into_iter().map(|thread| thread.join().unwrap()).sum();
        let (half, high) = (percentile(&times, 50), percentile(&times, 99));
        if attacks.is_empty() {
            none.push(high);
        }
        // The last measurement without an attack.
        let ratio = high / none.last().copied().unwrap_or(high);
        eprintln!("{name:28} {done:>9} {half:>8.2} {high:>8.2} {ratio:>8.1} {memory:>5} MiB");
    };
    for attack in ALL {
        report("none", &[]);
        report(attack.name, &[attack]);
    }
    report("none", &[]);
    report("all at once", &ALL.iter().collect::<Vec<_>>());
    report("none", &[]);
}

/// Publishes one message after the other, at most one in 2 ms; how long each took, milliseconds.
fn late(publisher: &mut Client, subscriber: &mut Client, time: Duration) -> Vec<f64> {
    let end = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < end {
        let sent = Instant::now();
        let id = publisher.send_publish(&message("measured", &times.len().to_string(), 1));
        assert_eq!(subscriber.receive().text(), times.len().to_string());
        times.push(sent.elapsed().as_secs_f64() * 1000.0);
        assert!(publisher.puback(id) < 0x80);
        std::thread::sleep(Duration::from_millis(2).saturating_sub(sent.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    times
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
