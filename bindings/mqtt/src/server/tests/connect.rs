//! CONNECT: what is refused, what is agreed.

use std::time::Duration;

use mqtt_plane::{Closed, Qos, ReasonCode, Version};

use super::script::{Asked, Bench, run, settle};
use crate::state::{Policy, Versions};
use crate::wire::{Connect, Packet, WillView};

/// The CONNACK that a 5.0 client is refused with.
async fn refusal(bench: &Bench, connect: &Connect<'_>) -> ReasonCode {
    let mut client = bench.stream(Version::V5);
    client.connect(connect).await;
    let reason = client
        .expect_packet(|packet| match packet {
            Packet::Connack(connack) => {
                // [MQTT-3.2.2-6]
                assert!(!connack.session_present);
                assert!(connack.properties.reason_string.is_some());
                connack.reason
            }
            other => panic!("{other:?} instead of CONNACK"),
        })
        .await;
    // [MQTT-3.2.2-7]
    client.expect_close().await;
    reason
}

/// [MQTT-3.1.0-1]
#[test]
fn a_stream_that_does_not_begin_with_connect_is_closed_without_an_answer() {
    run(async {
        let bench = Bench::new();
        for bytes in
            [&b"\xC0\x00"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00", b"\x30\x03\x00\x01a"]
        {
            let mut client = bench.stream(Version::V5);
            client.send(bytes).await;
            client.expect_close().await;
        }
        assert_eq!(bench.count(|counters| &counters.connections_refused), 4);
        assert_eq!(bench.exit().asked(), []);
    });
}

#[test]
fn a_stream_without_connect_is_closed_after_three_seconds() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.stream(Version::V5);
        client.send(b"\x10\x10\x00\x04MQ").await;
        tokio::time::sleep(Duration::from_millis(2900)).await;
        client.expect_silence().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.expect_close().await;
    });
}

/// [MQTT-3.1.2-2]: the bytes are checked here, since no codec of ours can read them back.
#[test]
fn versions_that_are_unknown_or_not_accepted_are_refused_in_words_they_understand() {
    run(async {
        let bench = Bench::new();
        // MQTT 3.1: its CONNACK is that of 3.1.1.
        let mut old = bench.stream(Version::V311);
        old.send(b"\x10\x0F\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a").await;
        old.expect(b"\x20\x02\x00\x01").await;
        old.expect_close().await;
        let mut new = bench.stream(Version::V5);
        new.send(b"\x10\x0E\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01a").await;
        new.expect_packet(|packet| match packet {
            Packet::Connack(connack) => {
                assert_eq!(connack.reason, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
            }
            other => panic!("{other:?}"),
        })
        .await;
        new.expect_close().await;

        let routes = vec![crate::state::Route { exit: 0, when: vec![] }];
        let v5_only = Bench::with(routes, Versions { v311: false, v5: true });
        let mut client = v5_only.stream(Version::V311);
        client.connect(&Connect::new(Version::V311, "c")).await;
        client.expect(b"\x20\x02\x00\x01").await;
        client.expect_close().await;
    });
}

/// [MQTT-3.1.4-1], [MQTT-3.1.4-2]
#[test]
fn a_5_0_connect_is_refused_with_the_code_that_says_why() {
    run(async {
        let bench = Bench::new();
        let connect = Connect::new(Version::V5, "c");
        let mut authenticated = connect;
        authenticated.properties.authentication_method = Some("SCRAM-SHA-1");
        let reason = refusal(&bench, &authenticated).await;
        assert_eq!(reason, ReasonCode::BAD_AUTHENTICATION_METHOD);
        let long = "x".repeat(257);
        // [MQTT-3.1.3-8]
        for client_id in ["a#b", &long] {
            let reason = refusal(&bench, &Connect::new(Version::V5, client_id)).await;
            assert_eq!(reason, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
        }
        bench.exit().set(|script| script.limits.maximum_qos = Qos::AtLeastOnce);
        let mut will = connect;
        will.will = Some(WillView::new("t", b"", Qos::ExactlyOnce, false));
        // [MQTT-3.2.2-12]
        assert_eq!(refusal(&bench, &will).await, ReasonCode::QOS_NOT_SUPPORTED);
        let mut large = connect;
        let password = vec![b'x'; 2000];
        large.password = Some(&password);
        assert_eq!(refusal(&bench, &large).await, ReasonCode::PACKET_TOO_LARGE);
        let closed = Closed { reason: ReasonCode::SERVER_UNAVAILABLE, detail: "no Kafka" };
        bench.exit().set(|script| script.refuses_sessions = Some(closed));
        assert_eq!(refusal(&bench, &connect).await, ReasonCode::SERVER_UNAVAILABLE);
        assert_eq!(bench.exit().asked(), []);
        assert_eq!(bench.count(|counters| &counters.connections_opened), 0);
        settle().await;
        assert_eq!(bench.server.registry.len(), 0);
    });
}

/// [MQTT-3.1.2-28]
#[test]
fn a_client_that_asks_is_told_where_answers_may_go() {
    run(async {
        let text = Some("answers/{client-id}/#".into());
        let configured = Policy { response_information: text, ..Policy::DEFAULT };
        for (policy, asks, expected) in [
            (configured.clone(), true, Some("answers/c/#")),
            (configured, false, None),
            (Policy::DEFAULT, true, None),
        ] {
            let bench = Bench::with_policy(policy);
            let mut client = bench.stream(Version::V5);
            let mut connect = Connect::new(Version::V5, "c");
            connect.properties.request_response_information = asks;
            client.connect(&connect).await;
            client
                .expect_packet(|packet| match packet {
                    Packet::Connack(connack) => {
                        assert_eq!(connack.properties.response_information, expected);
                    }
                    other => panic!("{other:?} instead of CONNACK"),
                })
                .await;
        }
    });
}

/// [MQTT-3.1.2-24]
#[test]
fn response_information_is_left_out_where_connack_would_be_too_large() {
    run(async {
        let response_information = Some("answers/{client-id}".into());
        let bench = Bench::with_policy(Policy { response_information, ..Policy::DEFAULT });
        let mut connect = Connect::new(Version::V5, "");
        connect.properties.request_response_information = true;
        let mut len = 0;
        for (less, is_told) in [(None, true), (Some(0), true), (Some(1), false)] {
            let mut client = bench.stream(Version::V5);
            connect.properties.maximum_packet_size = less.map(|less| len - less);
            client.connect(&connect).await;
            len = client
                .expect_packet(|packet| {
                    let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                    assert_eq!(connack.reason, ReasonCode::SUCCESS);
                    let properties = connack.properties;
                    assert!(properties.assigned_client_id.is_some());
                    assert_eq!(properties.response_information.is_some(), is_told, "{less:?}");
                    let mut bytes = Vec::new();
                    crate::wire::encode_connack(&mut bytes, Version::V5, &connack).unwrap();
                    u32::try_from(bytes.len()).unwrap()
                })
                .await;
        }
    });
}

/// [MQTT-3.1.2-3], [MQTT-3.1.4-1]
#[test]
fn a_malformed_connect_is_answered_in_5_0_and_closed_in_3_1_1() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.stream(Version::V5);
        client.send(b"\x10\x0E\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01a").await;
        client
            .expect_packet(|packet| match packet {
                Packet::Connack(connack) => {
                    assert_eq!(connack.reason, ReasonCode::MALFORMED_PACKET)
                }
                other => panic!("{other:?}"),
            })
            .await;
        client.expect_close().await;
        let mut old = bench.stream(Version::V311);
        old.send(b"\x10\x0D\x00\x04MQTT\x04\x03\x00\x00\x00\x01a").await;
        old.expect_close().await;
    });
}

#[test]
fn a_3_1_1_connect_is_refused_with_its_return_codes() {
    run(async {
        let bench = Bench::new();
        let mut unnamed = Connect::new(Version::V311, "");
        unnamed.clean_start = false;
        let mut client = bench.stream(Version::V311);
        client.connect(&unnamed).await;
        client.expect(b"\x20\x02\x00\x02").await;
        client.expect_close().await;
        let mut client = bench.stream(Version::V311);
        client.connect(&Connect::new(Version::V311, "a#b")).await;
        client.expect(b"\x20\x02\x00\x02").await;
        client.expect_close().await;
        let closed = Closed { reason: ReasonCode::SERVER_UNAVAILABLE, detail: "no Kafka" };
        bench.exit().set(|script| script.refuses_sessions = Some(closed));
        let mut client = bench.stream(Version::V311);
        client.connect(&Connect::new(Version::V311, "c")).await;
        client.expect(b"\x20\x02\x00\x03").await;
        client.expect_close().await;
    });
}

/// [MQTT-3.1.4-5], [MQTT-3.2.2-2], [MQTT-3.2.2-3]
#[test]
fn connack_announces_what_the_server_keeps_to() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.limits.maximum_qos = Qos::AtLeastOnce);
        let mut connect = Connect::new(Version::V5, "c");
        connect.keep_alive = 5000;
        connect.clean_start = false;
        connect.properties.session_expiry = 60;
        connect.will = Some(WillView::new("wills/c", b"gone", Qos::AtLeastOnce, false));
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client
            .expect(&[
                0x20, 24, 0, 0, 21, // CONNACK, session present 0, success, properties
                0x11, 0, 0, 0, 0, // Session Expiry Interval 0
                0x21, 0, 3, // Receive Maximum 3
                0x22, 0, 32, // Topic Alias Maximum 32
                0x24, 1, // Maximum QoS 1
                0x27, 0, 0, 0x03, 0xE8, // Maximum Packet Size 1000
                0x13, 0x03, 0xE8, // Server Keep Alive 1000
            ])
            .await;
        assert_eq!(
            bench.exit().asked(),
            [Asked::Open {
                client_id: "c".to_owned(),
                clean_start: false,
                session_expiry: 0,
                will: Some("wills/c".to_owned()),
            }]
        );
        let mut old = bench.stream(Version::V311);
        old.connect(&Connect::new(Version::V311, "d")).await;
        old.expect(b"\x20\x02\x00\x00").await;
        assert_eq!(bench.count(|counters| &counters.connections_opened), 2);
    });
}

/// [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]
#[test]
fn a_client_without_an_identifier_is_given_one() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.stream(Version::V5);
        let assigned = client.connect_unnamed().await;
        assert!(matches!(
            &bench.exit().asked()[..],
            [Asked::Open { client_id, .. }] if *client_id == assigned
        ));
        let _old = bench.client(Version::V311, "").await;
    });
}

/// [MQTT-3.1.2-24], [MQTT-3.2.2-19]
#[test]
fn a_refusal_keeps_to_the_maximum_packet_size_of_the_client() {
    run(async {
        let bench = Bench::new();
        let mut connect = Connect::new(Version::V5, "a#b");
        connect.properties.maximum_packet_size = Some(10);
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect(&[0x20, 3, 0, 0x85, 0]).await;
        client.expect_close().await;
        connect.client_id = "ab";
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_close().await;
        assert_eq!(bench.exit().asked(), []);
    });
}

/// A client may send packets behind CONNECT without waiting (section 3.1.4).
#[test]
fn packets_that_come_with_connect_are_served() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.stream(Version::V311);
        client
            .send(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01a\xC0\x00\x30\x04\x00\x01tx\xC0")
            .await;
        client.expect(b"\x20\x02\x00\x00\xD0\x00").await;
        client.send(b"\x00").await;
        client.expect(b"\xD0\x00").await;
        assert_eq!(bench.count(|counters| &counters.publishes_received), 1);
    });
}
