//! PUBLISH from the client, and its answers.

use mqtt_plane::{Closed, Event, Qos, ReasonCode, Version};

use super::script::{Asked, Bench, Client, SUCCESS, run, settle};
use crate::wire::{Packet, PublishExtras, encode_publish};

async fn publish(client: &mut Client, topic: &str, qos: Qos, packet_id: u16) {
    let message = mqtt_plane::Publish {
        topic,
        payload: b"x",
        qos,
        retain: false,
        properties: mqtt_plane::PublishProperties::default(),
    };
    let extras = PublishExtras { packet_id, ..PublishExtras::of(&message) };
    let mut bytes = Vec::new();
    encode_publish(&mut bytes, client.version, &message, &extras).unwrap();
    client.send(&bytes).await;
}

#[test]
fn publishes_reach_the_exit_as_they_are_however_they_are_cut() {
    run(async {
        let bench = Bench::new();
        let bytes = b"\x30\x07\x00\x03a/bhi\x33\x07\x00\x03a/b\x00\x07";
        let publish = |ticket: u32, payload: &[u8], qos, retain| Asked::Publish {
            ticket,
            topic: "a/b".to_owned(),
            payload: payload.to_owned(),
            qos,
            retain,
        };
        for cut in 0..bytes.len() {
            let mut client = bench.client(Version::V311, "c").await;
            client.send(&bytes[..cut]).await;
            client.send(&bytes[cut..]).await;
            let asked = bench.exit().asked();
            assert_eq!(asked, [publish(0, b"hi", 0, false), publish(1 << 31, b"", 1, true)]);
            client.expect(&[0x40, 2, 0, 7]).await;
            client.send(b"\xE0\x00").await;
            client.expect_close().await;
        }
    });
}

/// [MQTT-4.3.2-4], [MQTT-4.6.0-2]
#[test]
fn qos_1_publishes_are_acknowledged_in_order_of_receipt_when_the_exit_has_taken_them() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V5, "c").await;
        for id in [10, 11] {
            publish(&mut client, "t", Qos::AtLeastOnce, id).await;
        }
        let tickets = bench.exit().tickets();
        let published = |at: usize, reason| Event::Published { ticket: tickets[at], reason };
        bench.exit().push(published(1, ReasonCode::QUOTA_EXCEEDED));
        client.expect_silence().await;
        bench.exit().push(published(0, SUCCESS));
        client.expect(&[0x40, 2, 0, 10, 0x40, 3, 0, 11, 0x97]).await;
    });
}

#[test]
fn a_publish_sent_again_before_its_answer_is_answered_once() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V311, "c").await;
        client.send(b"\x32\x05\x00\x01t\x00\x07\x3A\x05\x00\x01t\x00\x07").await;
        let tickets = bench.exit().tickets();
        assert_eq!(tickets.len(), 1);
        bench.exit().push(Event::Published { ticket: tickets[0], reason: SUCCESS });
        client.expect(&[0x40, 2, 0, 7]).await;
        client.expect_silence().await;
        // Behind the answer the identifier is free, whatever DUP says [MQTT-4.3.2-5].
        client.send(b"\x3A\x05\x00\x01t\x00\x07").await;
        assert_eq!(bench.exit().tickets().len(), 1);
    });
}

/// [MQTT-2.2.1-3]
#[test]
fn a_packet_identifier_in_use_is_refused() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V5, "c").await;
        publish(&mut client, "t", Qos::AtLeastOnce, 7).await;
        publish(&mut client, "t", Qos::AtLeastOnce, 7).await;
        client.expect(&[0x40, 3, 0, 7, 0x91]).await;
        let mut old = bench.client(Version::V311, "d").await;
        publish(&mut old, "t", Qos::AtLeastOnce, 7).await;
        publish(&mut old, "t", Qos::AtLeastOnce, 7).await;
        old.expect_close().await;
    });
}

/// [MQTT-3.3.4-7]
#[test]
fn more_publishes_than_the_receive_maximum_end_a_5_0_connection_and_hold_a_3_1_1_one() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V5, "c").await;
        for id in 1..=4 {
            publish(&mut client, "t", Qos::AtLeastOnce, id).await;
        }
        client.expect_end(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED).await;
        let mut old = bench.client(Version::V311, "d").await;
        for id in 1..=4 {
            publish(&mut old, "t", Qos::AtLeastOnce, id).await;
        }
        let tickets = bench.exit().tickets();
        assert_eq!(tickets.len(), 3);
        bench.exit().push(Event::Published { ticket: tickets[0], reason: SUCCESS });
        old.expect(&[0x40, 2, 0, 1]).await;
        settle().await;
        assert_eq!(bench.exit().tickets().len(), 1, "the fourth was taken then");
    });
}

/// The whole of inbound back-pressure.
#[test]
fn while_the_exit_is_not_ready_nothing_is_read_and_nothing_is_lost() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V311, "c").await;
        bench.exit().set(|script| script.is_ready = false);
        publish(&mut client, "t", Qos::AtMostOnce, 0).await;
        client.send(b"\xC0\x00").await;
        client.expect_silence().await;
        assert_eq!(bench.exit().asked(), []);
        bench.exit().set(|script| script.is_ready = true);
        client.expect(b"\xD0\x00").await;
        assert_eq!(bench.exit().tickets(), [0]);
    });
}

/// [MQTT-3.2.2-11], [MQTT-3.2.2-17], [MQTT-3.3.4-6], [MQTT-3.2.2-15]
#[test]
fn publishes_beyond_what_connack_said_end_the_connection() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.limits.maximum_qos = Qos::AtLeastOnce);
        let large: Vec<u8> = [&b"\x30\xE9\x07\x00\x01t\x00"[..], &vec![b'x'; 1001 - 4]].concat();
        for (bytes, reason) in [
            (&b"\x34\x06\x00\x01t\x00\x01\x00"[..], ReasonCode::QOS_NOT_SUPPORTED),
            (b"\x30\x07\x00\x01t\x03\x23\x00\x21", ReasonCode::TOPIC_ALIAS_INVALID),
            (b"\x30\x07\x00\x01t\x03\x23\x00\x00", ReasonCode::TOPIC_ALIAS_INVALID),
            (b"\x30\x06\x00\x01t\x02\x0B\x01", ReasonCode::PROTOCOL_ERROR),
            (b"\x30\x04\x00\x01#\x00", ReasonCode::TOPIC_NAME_INVALID),
            (b"\x36\x06\x00\x01t\x00\x01\x00", ReasonCode::MALFORMED_PACKET),
            (&large, ReasonCode::PACKET_TOO_LARGE),
        ] {
            let mut client = bench.client(Version::V5, "c").await;
            client.send(bytes).await;
            client.expect_end(reason).await;
        }
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\x34\x05\x00\x01t\x00\x01").await;
        old.expect_close().await;
        assert_eq!(bench.count(|counters| &counters.protocol_errors), 8);
    });
}

/// [MQTT-3.3.5-2], [MQTT-4.8.0-2] of 3.1.1
#[test]
fn a_publish_that_the_exit_refuses_is_answered_and_counted() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        let mut old = bench.client(Version::V311, "d").await;
        bench.exit().set(|script| script.refuses = Some(ReasonCode::NOT_AUTHORIZED));
        publish(&mut client, "t", Qos::AtLeastOnce, 1).await;
        client.expect(&[0x40, 3, 0, 1, 0x87]).await;
        publish(&mut client, "t", Qos::AtMostOnce, 0).await;
        publish(&mut old, "t", Qos::AtLeastOnce, 1).await;
        old.expect(&[0x40, 2, 0, 1]).await;
        assert_eq!(bench.count(|counters| &counters.publishes_dropped_refused), 3);
        // What may succeed later is not acknowledged where it cannot be refused.
        bench.exit().set(|script| script.refuses = Some(ReasonCode::UNSPECIFIED_ERROR));
        publish(&mut old, "t", Qos::AtLeastOnce, 2).await;
        old.expect_close().await;
    });
}

/// [MQTT-4.13.1-1]
#[test]
fn the_end_of_a_session_on_its_exit_is_told() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        let closed = Closed { reason: ReasonCode::QUOTA_EXCEEDED, detail: "fell behind" };
        bench.exit().set(|script| script.ends = Some(closed));
        client
            .expect_packet(|packet| match packet {
                Packet::Disconnect(disconnect) => {
                    assert_eq!(disconnect.reason, ReasonCode::QUOTA_EXCEEDED);
                    assert_eq!(disconnect.reason_string, Some("fell behind"));
                }
                other => panic!("{other:?}"),
            })
            .await;
        client.expect_close().await;
        assert!(matches!(bench.exit().asked()[..], [Asked::Close { .. }]));
    });
}
