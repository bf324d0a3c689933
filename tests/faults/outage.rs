//! Kafka lost while clients publish and subscribe.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::checker::{Checker, Load};
use crate::harness::{Client, PATIENCE, V5, V311, kafka_only, on_one_and_three_workers};

on_one_and_three_workers!(a_broker_that_is_killed_and_started_again_costs_nothing_acknowledged);

/// A number from the environment, for long forms.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn a_broker_that_is_killed_and_started_again_costs_nothing_acknowledged(workers: usize) {
    kafka_only!();
    let mut broker = Broker::start();
    let engine = broker.engine(workers);
    let checker = Checker::start(engine.port, Load::default());
    for _ in 0..setting("ZILLA_FAULTS_ROUNDS", 2) {
        broker.kill();
        checker.nothing_is_acknowledged_for(Duration::from_secs(1));
        // Clients that come meanwhile are admitted; what they ask is answered when Kafka is back.
        let mut late: Vec<Client> = [V5, V311]
            .into_iter()
            .map(|version| {
                let mut client = Client::connect(engine.port, version, &format!("late-{version}"));
                let filter = format!("late/{version}");
                client.send_subscribe(&filter, 1);
                client
            })
            .collect();
        let back = broker.when_back();
        broker.restart();
        let first = checker.flow();
        let back = back.join().unwrap();
        eprintln!("acknowledges again {:?} after the broker listens", first.duration_since(back));
        for client in &mut late {
            assert_eq!(client.suback(), [1], "a subscription that was made meanwhile");
            client.publish(&format!("late/{}", client.version), "x", 1);
            assert_eq!(client.receive().text(), "x");
        }
        assert!(first.saturating_duration_since(back) < Duration::from_secs(5));
    }
    let verdict = checker.finish(&engine);
    assert_eq!(verdict.refused, 0, "an outage refuses nothing: publishes wait");
    let deadline = Instant::now() + PATIENCE;
    while engine.count_events("kafka.cluster.available") == 0 {
        assert!(Instant::now() < deadline, "no event says that Kafka is back");
        std::thread::sleep(Duration::from_millis(20));
    }
}
