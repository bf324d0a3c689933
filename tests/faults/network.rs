//! The way to Kafka: cut, reset, stalled, slow; and a broker that does not run for a while.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::checker::{Checker, Load};
use crate::harness::{Client, V5, kafka_only};
use crate::outage::setting;

#[test]
fn a_network_that_is_reset_cut_stalled_and_slow_costs_nothing_acknowledged() {
    kafka_only!();
    let (mut broker, proxy) = Broker::behind_proxy();
    let engine = broker.engine(1);
    let checker = Checker::start(engine.port, Load::default());
    let resumes = |what: &str, began: Instant| {
        let first = checker.flow();
        eprintln!("{what}: acknowledges again after {:?}", first.duration_since(began));
    };
    for _ in 0..setting("ZILLA_FAULTS_ROUNDS", 2) {
        for _ in 0..3 {
            proxy.reset();
            resumes("reset", Instant::now());
        }
        proxy.cut();
        checker.nothing_is_acknowledged_for(Duration::from_secs(2));
        proxy.pass();
        resumes("cut for 2 s", Instant::now());
        proxy.stall();
        checker.nothing_is_acknowledged_for(Duration::from_secs(3));
        // Connections that were lost while nothing went through.
        proxy.reset();
        proxy.pass();
        resumes("stalled for 3 s and reset", Instant::now());
        proxy.stall();
        checker.nothing_is_acknowledged_for(Duration::from_secs(3));
        proxy.pass();
        resumes("stalled for 3 s", Instant::now());
        proxy.delay(Duration::from_millis(100));
        checker.flow();
        proxy.pass();
        resumes("slow", Instant::now());
    }
    let verdict = checker.finish(&engine);
    assert_eq!(verdict.refused, 0);
}

#[test]
fn a_broker_that_is_paused_costs_nothing_acknowledged() {
    kafka_only!();
    let mut broker = Broker::start();
    let engine = broker.engine(1);
    let checker = Checker::start(engine.port, Load::default());
    broker.pause();
    checker.nothing_is_acknowledged_for(Duration::from_secs(2));
    let mut late = Client::connect(engine.port, V5, "late");
    late.send_subscribe("late", 1);
    late.ping();
    let pause = Duration::from_secs(setting("ZILLA_FAULTS_PAUSE", 10));
    checker.nothing_is_acknowledged_for(pause - Duration::from_secs(2));
    broker.go_on();
    let began = Instant::now();
    let first = checker.flow();
    eprintln!("paused for {pause:?}: acknowledges again after {:?}", first.duration_since(began));
    assert_eq!(late.suback(), [1]);
    let verdict = checker.finish(&engine);
    assert_eq!(verdict.refused, 0);
}
