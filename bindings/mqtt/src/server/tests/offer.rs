//! What a server does not offer: announced in CONNACK, and enforced.

use std::time::Duration;

use mqtt_plane::{Qos, ReasonCode, Version};

use super::script::{Asked, Bench, Client, run};
use crate::state::{Offer, Policy};
use crate::wire::{Connect, Packet, WillView};

const NOTHING: Offer = Offer {
    connect_timeout: 7,
    keep_alive_minimum: 20,
    keep_alive_maximum: 30,
    maximum_qos: Qos::AtMostOnce,
    topic_alias_maximum: 0,
    retain: false,
    wildcard_subscriptions: false,
    subscription_ids: false,
    no_local: false,
    shared_subscriptions: false,
};

fn bench() -> Bench {
    Bench::with_policy(Policy { offer: NOTHING, ..Policy::DEFAULT })
}

/// [MQTT-3.2.2-9], sections 3.2.2.3.5, 3.2.2.3.8, 3.2.2.3.11 to 3.2.2.3.13
#[test]
fn what_is_not_offered_is_announced() {
    run(async {
        let bench = bench();
        let mut client = bench.stream(Version::V5);
        client.connect(&Connect { keep_alive: 5, ..Connect::new(Version::V5, "c") }).await;
        client
            .expect_packet(|packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                let properties = connack.properties;
                assert_eq!(properties.maximum_qos, Qos::AtMostOnce);
                assert_eq!(properties.topic_alias_maximum, 0);
                assert_eq!(properties.server_keep_alive, Some(20));
                assert!(!properties.retain_available);
                assert!(!properties.wildcard_subscription_available);
                assert!(!properties.subscription_id_available);
                assert!(!properties.shared_subscription_available);
            })
            .await;
    });
}

/// [MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.2.2-17], sections 3.2.2.3.11 to 3.2.2.3.13: the
/// connection ends with the code for it.
#[test]
fn a_5_0_client_that_uses_it_all_the_same_is_told_so_at_its_end() {
    run(async {
        let bench = bench();
        for (bytes, reason) in [
            (&b"\x32\x06\x00\x01t\x00\x01\x00"[..], ReasonCode::QOS_NOT_SUPPORTED),
            (b"\x31\x04\x00\x01t\x00", ReasonCode::RETAIN_NOT_SUPPORTED),
            (b"\x30\x07\x00\x01t\x03\x23\x00\x01", ReasonCode::TOPIC_ALIAS_INVALID),
            (
                b"\x82\x0B\x00\x01\x00\x00\x01a\x00\x00\x01+\x00",
                ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
            ),
            (
                b"\x82\x09\x00\x01\x02\x0B\x09\x00\x01a\x00",
                ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
            ),
            (b"\x82\x07\x00\x01\x00\x00\x01a\x04", ReasonCode::PROTOCOL_ERROR),
            (
                b"\x82\x10\x00\x01\x00\x00\x0A$share/g/x\x00",
                ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
            ),
        ] {
            let mut client = bench.client(Version::V5, "c").await;
            client.send(bytes).await;
            client.expect_end(reason).await;
            assert!(
                matches!(bench.exit().asked()[..], [Asked::Close { .. }]),
                "nothing else of the packet is done",
            );
        }
    });
}

/// 3.1.1 has no way to announce it: a filter is refused alone, a publish ends the connection.
#[test]
fn a_3_1_1_client_is_answered_as_far_as_it_can_be() {
    run(async {
        let bench = bench();
        let mut client = bench.client(Version::V311, "c").await;
        client.send(b"\x82\x17\x00\x01\x00\x01a\x01\x00\x01+\x00\x00\x0A$share/g/x\x00").await;
        client.expect(b"\x90\x05\x00\x01\x00\x80\x80").await;
        client.send(b"\x31\x03\x00\x01t").await;
        client.expect_close().await;
    });
}

async fn refusal(client: &mut Client) -> ReasonCode {
    client
        .expect_packet(|packet| match packet {
            Packet::Connack(connack) => connack.reason,
            other => panic!("{other:?} instead of CONNACK"),
        })
        .await
}

/// [MQTT-3.2.2-12], [MQTT-3.2.2-13]
#[test]
fn a_will_that_asks_for_it_is_refused_with_the_connect() {
    run(async {
        let bench = bench();
        for (will, reason) in [
            (WillView::new("t", b"", Qos::AtMostOnce, true), ReasonCode::RETAIN_NOT_SUPPORTED),
            (WillView::new("t", b"", Qos::AtLeastOnce, false), ReasonCode::QOS_NOT_SUPPORTED),
        ] {
            let mut client = bench.stream(Version::V5);
            client.connect(&Connect { will: Some(will), ..Connect::new(Version::V5, "c") }).await;
            assert_eq!(refusal(&mut client).await, reason);
            client.expect_close().await;
        }
    });
}

#[test]
fn the_time_for_connect_is_as_set() {
    run(async {
        let bench = bench();
        let mut client = bench.stream(Version::V5);
        tokio::time::sleep(Duration::from_millis(6900)).await;
        client.expect_silence().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.expect_close().await;
    });
}
