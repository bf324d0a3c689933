//! Packets that break a rule, among clients who keep to them. (Which packets, and the reason code of
//! each: the end-to-end tests have a list.)

use crate::checker::{Checker, Load};
use crate::harness::{
    Client, Packet, V5, V311, engine, engine_only, on_one_and_three_workers, text,
};

on_one_and_three_workers!(a_malformed_packet_is_told_with_its_client_and_disturbs_nobody);

/// Clients that break a rule.
const MALFORMED: usize = 50;

fn a_malformed_packet_is_told_with_its_client_and_disturbs_nobody(workers: usize) {
    engine_only!();
    let mut engine = engine(workers);
    let checker = Checker::start(engine.port, Load { publishers: 2, ..Load::default() });
    // QoS 3.
    let bytes = Packet { first: 0x36, body: vec![0, 1, b't', 0, 1, 0] }.encode();
    for number in 0..MALFORMED {
        let version = if number % 2 == 0 { V5 } else { V311 };
        let name = format!("malformed-{number}");
        let mut client = Client::connect(engine.port, version, &name);
        client.send(&bytes);
        client.refused(0x81);
    }
    assert_eq!(engine.counter("protocol_errors"), i64::try_from(MALFORMED).unwrap());
    checker.flow();
    assert_eq!(checker.finish(&engine).refused, 0);
    engine.signal("TERM");
    let (_, events) = engine.end();
    let told = events.iter().filter(|event| {
        event["event"] == "mqtt.session.ended" && text(&event["reason"]).contains("0x81")
    });
    // Of many in a second the log counts those that it leaves out.
    let mut counted = 0;
    for event in told {
        assert!(text(&event["client_id"]).starts_with("malformed-"), "{event}");
        assert!(!text(&event["detail"]).is_empty(), "{event}");
        counted += 1 + event["left_out"].as_u64().unwrap_or(0);
    }
    assert!((10..=MALFORMED).contains(&usize::try_from(counted).unwrap()), "{counted}");
}
