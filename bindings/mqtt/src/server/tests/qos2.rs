//! QoS 2 in both directions (section 4.3.3).

use mqtt_plane::{Event, OpenDelivery, Position, Qos, ReasonCode, Ticket, Unfinished, Version};

use super::script::{Asked, Bench, Client, SUCCESS, delivery, run};
use crate::wire::Connect;

const V: [Version; 2] = [Version::V5, Version::V311];

/// PUBLISH of "x" to t at QoS 2.
fn publish(version: Version, dup: bool, packet_id: u8) -> Vec<u8> {
    let first = if dup { 0x3C } else { 0x34 };
    match version {
        Version::V5 => vec![first, 7, 0, 1, b't', 0, packet_id, 0, b'x'],
        Version::V311 => vec![first, 6, 0, 1, b't', 0, packet_id, b'x'],
    }
}

const fn pubrec(packet_id: u8) -> [u8; 4] {
    [0x50, 2, 0, packet_id]
}

const fn pubrel(packet_id: u8) -> [u8; 4] {
    [0x62, 2, 0, packet_id]
}

const fn pubcomp(packet_id: u8) -> [u8; 4] {
    [0x70, 2, 0, packet_id]
}

fn published(ticket: Ticket, reason: ReasonCode) -> Event {
    Event::Published { ticket, reason }
}

fn deliver(bench: &Bench, offset: i64) {
    bench.exit().push(Event::Deliver(delivery("t", b"x", Qos::ExactlyOnce, offset, None)));
}

/// [MQTT-4.3.3-8], [MQTT-4.3.3-11]
#[test]
fn a_publish_is_received_once_the_exit_has_it_and_complete_once_it_is_released() {
    run(async {
        for version in V {
            let bench = Bench::new();
            bench.exit().set(|script| script.answers = false);
            let mut client = bench.client(version, "c").await;
            client.send(&publish(version, false, 7)).await;
            let tickets = bench.exit().tickets();
            assert_eq!(tickets.len(), 1);
            client.expect_silence().await;
            bench.exit().push(published(tickets[0], SUCCESS));
            client.expect(&pubrec(7)).await;
            client.send(&pubrel(7)).await;
            client.expect(&pubcomp(7)).await;
            // The identifier is free [MQTT-4.3.3-12].
            client.send(&publish(version, false, 7)).await;
            assert_eq!(bench.exit().tickets().len(), 1);
        }
    });
}

/// [MQTT-4.3.3-10]: until PUBREL the same identifier is the same message, with DUP or without.
#[test]
fn a_publish_that_is_sent_again_is_not_taken_again() {
    run(async {
        for version in V {
            let bench = Bench::new();
            bench.exit().set(|script| script.answers = false);
            let mut client = bench.client(version, "c").await;
            client.send(&publish(version, false, 7)).await;
            // While the exit has not answered, the one answer is for both.
            client.send(&publish(version, true, 7)).await;
            let tickets = bench.exit().tickets();
            assert_eq!(tickets.len(), 1);
            bench.exit().push(published(tickets[0], SUCCESS));
            client.expect(&pubrec(7)).await;
            client.expect_silence().await;
            for dup in [true, false] {
                client.send(&publish(version, dup, 7)).await;
                client.expect(&pubrec(7)).await;
            }
            client.send(&pubrel(7)).await;
            client.expect(&pubcomp(7)).await;
            assert!(bench.exit().tickets().is_empty());
            assert_eq!(bench.count(|counters| &counters.publishes_repeated), 3);
        }
    });
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn publishes_of_both_qos_are_answered_in_order_of_receipt() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V5, "c").await;
        client.send(&publish(Version::V5, false, 1)).await;
        client.send(&[0x32, 7, 0, 1, b't', 0, 2, 0, b'x']).await;
        client.send(&publish(Version::V5, false, 3)).await;
        let tickets = bench.exit().tickets();
        for at in [2, 1, 0] {
            client.expect_silence().await;
            bench.exit().push(published(tickets[at], SUCCESS));
        }
        client.expect(&[pubrec(1), [0x40, 2, 0, 2], pubrec(3)].concat()).await;
        // PUBREL comes in the order of the client, and PUBCOMP in that of PUBREL.
        client.send(&[pubrel(3), pubrel(1)].concat()).await;
        client.expect(&[pubcomp(3), pubcomp(1)].concat()).await;
    });
}

/// [MQTT-4.3.3-9]: 5.0 is told and is done; 3.1.1 goes through the flow all the same.
#[test]
fn a_publish_that_is_refused_for_good_ends_its_flow() {
    run(async {
        for (version, answer) in
            [(Version::V5, &[0x50, 3, 0, 7, 0x87][..]), (Version::V311, &pubrec(7)[..])]
        {
            let bench = Bench::new();
            bench.exit().set(|script| script.refuses = Some(ReasonCode::NOT_AUTHORIZED));
            let mut client = bench.client(version, "c").await;
            client.send(&publish(version, false, 7)).await;
            client.expect(answer).await;
            client.send(&pubrel(7)).await;
            let not_found = [0x70, 3, 0, 7, 0x92];
            let done = pubcomp(7);
            let expected = if version == Version::V5 { &not_found[..] } else { &done[..] };
            client.expect(expected).await;
        }
    });
}

/// [MQTT-2.2.1-3]
#[test]
fn an_identifier_in_use_for_another_flow_is_refused() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        client.send(&publish(Version::V5, false, 7)).await;
        client.expect(&pubrec(7)).await;
        client.send(&[0x32, 7, 0, 1, b't', 0, 7, 0, b'x']).await;
        client.expect(&[0x40, 3, 0, 7, 0x91]).await;
        client.send(b"\x82\x07\x00\x07\x00\x00\x01a\x00").await;
        client.expect(&[0x90, 4, 0, 7, 0, 0x91]).await;
        bench.exit().set(|script| script.answers = false);
        client.send(&[0x32, 7, 0, 1, b't', 0, 8, 0, b'x']).await;
        client.send(&publish(Version::V5, false, 8)).await;
        client.expect(&[0x50, 3, 0, 8, 0x91]).await;
    });
}

/// [MQTT-3.3.4-7]: a publish is open until PUBCOMP. 3.1.1 has no such bound, and its PUBREL is
/// always read.
#[test]
fn the_receive_maximum_counts_publishes_until_they_are_complete() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        for id in 1..=3 {
            client.send(&publish(Version::V5, false, id)).await;
            client.expect(&pubrec(id)).await;
        }
        client.send(&pubrel(2)).await;
        client.expect(&pubcomp(2)).await;
        client.send(&publish(Version::V5, false, 4)).await;
        client.expect(&pubrec(4)).await;
        client.send(&publish(Version::V5, false, 5)).await;
        client.expect_end(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED).await;
        let mut old = bench.client(Version::V311, "d").await;
        for id in 1..=5 {
            old.send(&publish(Version::V311, false, id)).await;
            old.expect(&pubrec(id)).await;
        }
        old.send(&pubrel(1)).await;
        old.expect(&pubcomp(1)).await;
    });
}

/// [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-4.3.3-6]
#[test]
fn a_delivery_goes_through_pubrec_pubrel_and_pubcomp() {
    run(async {
        for version in V {
            let bench = Bench::new();
            let mut client = bench.client(version, "c").await;
            deliver(&bench, 10);
            client.expect(&publish(version, false, 1)).await;
            client.send(&pubrec(1)).await;
            client.expect(&pubrel(1)).await;
            assert_eq!(bench.exit().asked(), [Asked::Receive { offset: 10 }]);
            // A client that repeats itself is answered again.
            client.send(&pubrec(1)).await;
            client.expect(&pubrel(1)).await;
            client.send(&pubcomp(1)).await;
            assert_eq!(bench.exit().asked(), [Asked::Acknowledge { offset: 10 }]);
            assert_eq!(bench.count(|counters| &counters.acknowledgements_unknown), 0);
        }
    });
}

/// [MQTT-4.3.3-2]: PUBREC with 0x80 or above ends the flow, and there is no PUBREL.
#[test]
fn a_delivery_that_the_client_refuses_is_complete() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        deliver(&bench, 10);
        client.expect(&publish(Version::V5, false, 1)).await;
        client.send(&[0x50, 3, 0, 1, 0x83]).await;
        client.expect_silence().await;
        assert_eq!(bench.exit().asked(), [Asked::Acknowledge { offset: 10 }]);
        client.send(&[0x50, 3, 0, 1, 0x83]).await;
        client.expect_silence().await;
        assert_eq!(bench.count(|counters| &counters.acknowledgements_unknown), 1);
    });
}

/// [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-3]
#[test]
fn a_delivery_counts_for_the_receive_maximum_of_the_client_until_pubcomp() {
    run(async {
        let bench = Bench::new();
        let mut connect = Connect::new(Version::V5, "c");
        connect.properties.receive_maximum = 1;
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_connack().await;
        deliver(&bench, 10);
        deliver(&bench, 11);
        client.expect(&publish(Version::V5, false, 1)).await;
        client.send(&pubrec(1)).await;
        // PUBREL is no PUBLISH: it goes out whatever the quota.
        client.expect(&pubrel(1)).await;
        client.expect_silence().await;
        client.send(&pubcomp(1)).await;
        client.expect(&publish(Version::V5, false, 2)).await;
    });
}

/// A session that goes on: deliveries 5 (QoS 1) and 6 (QoS 2) without acknowledgement, 9 and 3 with
/// PUBREC, and 7 of the client's publishes with PUBREC.
fn left() -> Unfinished {
    let open = |packet_id: u16, qos, is_received| OpenDelivery {
        packet_id,
        position: Position { log: 0, offset: i64::from(packet_id) * 10 },
        qos,
        retain: false,
        is_received,
    };
    let deliveries = vec![
        open(5, Qos::AtLeastOnce, false),
        open(6, Qos::ExactlyOnce, false),
        open(9, Qos::ExactlyOnce, true),
        open(3, Qos::ExactlyOnce, true),
    ];
    Unfinished { deliveries, received: vec![7] }
}

async fn resumed(bench: &Bench, version: Version, change: impl FnOnce(&mut Connect<'_>)) -> Client {
    bench.exit().set(|script| script.resumes = Some(left()));
    let mut connect = Connect::new(version, "c");
    connect.clean_start = false;
    change(&mut connect);
    let mut client = bench.stream(version);
    client.connect(&connect).await;
    client
        .expect_packet(|packet| match packet {
            crate::wire::Packet::Connack(connack) => {
                assert!(connack.session_present && connack.reason == SUCCESS);
            }
            other => panic!("{other:?} instead of CONNACK"),
        })
        .await;
    bench.exit().asked();
    client
}

fn again(packet_id: u16, qos: Qos, expiry: Option<u32>) -> Event {
    let delivery = delivery("t", b"x", qos, i64::from(packet_id) * 10, expiry);
    Event::Redeliver { packet_id, delivery }
}

/// [MQTT-3.1.2-5], [MQTT-3.2.2-3], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-4.6.0-4], [MQTT-3.3.1-1]
///
/// [MQTT-3.1.2-4], [MQTT-3.2.2-2], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1] of 3.1.1
#[test]
fn a_session_that_goes_on_sends_again_what_is_open_under_the_same_identifiers() {
    run(async {
        for version in V {
            let bench = Bench::new();
            let mut client = resumed(&bench, version, |_| {}).await;
            client.expect(&[pubrel(9), pubrel(3)].concat()).await;
            client.send(&[pubcomp(9), pubcomp(3)].concat()).await;
            bench.exit().push(again(5, Qos::AtLeastOnce, None));
            bench.exit().push(again(6, Qos::ExactlyOnce, None));
            deliver(&bench, 100);
            let mut first = publish(version, true, 5);
            first[0] = 0x3A;
            client.expect(&first).await;
            client.expect(&publish(version, true, 6)).await;
            client.expect(&publish(version, false, 10)).await;
            client.send(b"\x40\x02\x00\x05").await;
            client.send(&pubrec(6)).await;
            client.expect(&pubrel(6)).await;
            client.send(&pubcomp(6)).await;
            let asked = [90, 30, 50].map(|offset| Asked::Acknowledge { offset });
            let rest = [Asked::Receive { offset: 60 }, Asked::Acknowledge { offset: 60 }];
            assert_eq!(bench.exit().asked(), [&asked[..], &rest].concat());
            // The publish that the earlier connection took is not taken again [MQTT-4.3.3-10].
            client.send(&publish(version, true, 7)).await;
            client.expect(&pubrec(7)).await;
            client.send(&pubrel(7)).await;
            client.expect(&pubcomp(7)).await;
            assert_eq!(bench.exit().asked(), []);
        }
    });
}

/// [MQTT-3.3.4-9], [MQTT-3.1.2-24]: both are those of the new connection.
#[test]
fn what_is_sent_again_keeps_to_the_bounds_of_the_new_connection() {
    run(async {
        let bench = Bench::new();
        let mut client = resumed(&bench, Version::V5, |connect| {
            connect.properties.receive_maximum = 1;
        })
        .await;
        client.expect(&[pubrel(9), pubrel(3)].concat()).await;
        bench.exit().push(again(5, Qos::AtLeastOnce, None));
        bench.exit().push(again(6, Qos::ExactlyOnce, None));
        client.expect(&[0x3A, 7, 0, 1, b't', 0, 5, 0, b'x']).await;
        client.expect_silence().await;
        // What was not sent here frees nothing.
        client.send(&pubcomp(9)).await;
        client.expect_silence().await;
        client.send(b"\x40\x02\x00\x05").await;
        client.expect(&publish(Version::V5, true, 6)).await;
    });
}

/// The client may hold the identifier of a QoS 2 message: PUBREL ends the flow in any case.
#[test]
fn what_cannot_be_sent_again_is_over_and_its_identifier_is_released() {
    run(async {
        let bench = Bench::new();
        let mut client = resumed(&bench, Version::V5, |_| {}).await;
        client.expect(&[pubrel(9), pubrel(3)].concat()).await;
        bench.exit().push(Event::Gone { packet_id: 5 });
        bench.exit().push(Event::Gone { packet_id: 6 });
        client.expect(&pubrel(6)).await;
        let asked = [Asked::Acknowledge { offset: 50 }, Asked::Receive { offset: 60 }];
        assert_eq!(bench.exit().asked(), asked);
        client.send(&[0x70, 3, 0, 6, 0x92]).await;
        assert_eq!(bench.exit().asked(), [Asked::Acknowledge { offset: 60 }]);
    });
}

/// [MQTT-4.3.3-7]: only what is of QoS 1 expires between two connections.
#[test]
fn a_message_of_qos_2_that_has_expired_is_sent_again() {
    run(async {
        let bench = Bench::new();
        let mut client = resumed(&bench, Version::V5, |_| {}).await;
        client.expect(&[pubrel(9), pubrel(3)].concat()).await;
        bench.exit().push(again(5, Qos::AtLeastOnce, Some(0)));
        bench.exit().push(again(6, Qos::ExactlyOnce, Some(0)));
        client.expect(b"\x3C\x0C\x00\x01t\x00\x06\x05\x02\x00\x00\x00\x00x").await;
        assert_eq!(bench.exit().asked(), [Asked::Acknowledge { offset: 50 }]);
        client.send(&pubrec(6)).await;
        client.expect(&pubrel(6)).await;
    });
}
