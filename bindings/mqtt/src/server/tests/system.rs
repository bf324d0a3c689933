//! The `$SYS` topics of a server.

use std::time::Duration;

use mqtt_plane::{ReasonCode, Version};

use super::script::{Asked, Bench, Client, run};
use crate::state::{ClientPattern, Condition, Policy, Route, TopicPattern};
use crate::wire::{Connect, Packet, WillView};

const INTERVAL: Duration = Duration::from_secs(Policy::DEFAULT.system_interval as u64);

/// SUBSCRIBE, `options` its last byte.
fn subscribe(version: Version, filter: &str, options: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend((version == Version::V5).then_some(0));
    body.extend([0, u8::try_from(filter.len()).unwrap()]);
    body.extend(filter.as_bytes());
    body.push(options);
    [&[0x82, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

async fn subscribed(client: &mut Client, filter: &str, options: u8, code: u8) {
    client.send(&subscribe(client.version, filter, options)).await;
    client
        .expect_packet(|packet| match packet {
            Packet::Suback(suback) => {
                assert_eq!(suback.reasons().collect::<Vec<_>>(), [ReasonCode(code)], "{filter}")
            }
            other => panic!("{other:?} instead of SUBACK"),
        })
        .await;
}

/// The next PUBLISH: topic, payload, whether it is retained, subscription identifiers.
async fn message(client: &mut Client) -> (String, String, bool, Vec<u32>) {
    client
        .expect_packet(|packet| match packet {
            Packet::Publish(publish) => (
                publish.topic.to_owned(),
                String::from_utf8(publish.payload.to_owned()).unwrap(),
                publish.retain,
                publish.subscription_ids.iter().collect(),
            ),
            other => panic!("{other:?} instead of PUBLISH"),
        })
        .await
}

/// As [`message`], of `topic` below `$SYS/broker`.
async fn told(client: &mut Client, topic: &str) -> (String, bool) {
    let (found, payload, retain, _) = message(client).await;
    assert_eq!(found, format!("$SYS/broker/{topic}"));
    (payload, retain)
}

#[test]
fn who_subscribes_is_told_at_once_and_again_when_something_has_changed() {
    run(async {
        for version in [Version::V311, Version::V5] {
            let bench = Bench::new();
            let mut watcher = bench.client(version, "watcher").await;
            subscribed(&mut watcher, "$SYS/broker/clients/connected", 1, 1).await;
            assert_eq!(told(&mut watcher, "clients/connected").await, ("1".to_owned(), true));
            let other = bench.client(version, "other").await;
            watcher.expect_silence().await;
            tokio::time::sleep(INTERVAL).await;
            assert_eq!(told(&mut watcher, "clients/connected").await, ("2".to_owned(), false));
            tokio::time::sleep(3 * INTERVAL).await;
            watcher.expect_silence().await;
            drop(other);
            tokio::time::sleep(INTERVAL).await;
            assert_eq!(told(&mut watcher, "clients/connected").await, ("1".to_owned(), false));
            let asked = bench.exit().asked();
            assert!(matches!(&asked[..], [Asked::Close { .. }]), "{asked:?}");
        }
    });
}

#[test]
fn packets_and_bytes_are_counted_of_connect_to_disconnect() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V311, "c").await;
        client.send(b"\xC0\x00").await;
        client.expect(b"\xD0\x00").await;
        client.send(b"\x32\x06\x00\x01t\x00\x01x").await;
        client.expect(b"\x40\x02\x00\x01").await;
        client.send(b"\xE0\x00").await;
        client.expect_close().await;
        assert_eq!(bench.count(|counters| &counters.packets_received), 4);
        assert_eq!(bench.count(|counters| &counters.packets_sent), 3);
        assert_eq!(bench.count(|counters| &counters.bytes_received), 15 + 2 + 8 + 2);
        assert_eq!(bench.count(|counters| &counters.bytes_sent), 4 + 2 + 4);
        // A refusal, and last words.
        let mut refused = bench.stream(Version::V5);
        refused.connect(&Connect::new(Version::V5, "a#b")).await;
        refused.expect_packet(|packet| assert!(matches!(packet, Packet::Connack(_)))).await;
        let mut wrong = bench.client(Version::V5, "w").await;
        wrong.send(b"\x00\x00").await;
        wrong.expect_end(ReasonCode::MALFORMED_PACKET).await;
        assert_eq!(bench.count(|counters| &counters.packets_received), 6);
        assert_eq!(bench.count(|counters| &counters.packets_sent), 6);
    });
}

/// [MQTT-3.3.1-11], [MQTT-3.3.1-12], [MQTT-3.3.1-13]
#[test]
fn the_options_of_a_subscription_hold_for_what_the_server_tells() {
    run(async {
        let bench = Bench::new();
        let topic = "$SYS/broker/uptime";
        let mut client = bench.client(Version::V5, "c").await;
        // Retain Handling 2; 1, where it is there already; 1, where it is not; 0.
        subscribed(&mut client, topic, 0x20, 0).await;
        client.expect_silence().await;
        subscribed(&mut client, topic, 0x10, 0).await;
        client.expect_silence().await;
        client.send(b"\xA2\x17\x00\x01\x00\x00\x12$SYS/broker/uptime").await;
        client.expect(b"\xB0\x04\x00\x01\x00\x00").await;
        subscribed(&mut client, topic, 0x10, 0).await;
        assert!(told(&mut client, "uptime").await.1);
        // Retain As Published.
        let clients = "$SYS/broker/clients/connected";
        subscribed(&mut client, clients, 0x08, 0).await;
        assert!(told(&mut client, "clients/connected").await.1);
        let _other = bench.client(Version::V5, "other").await;
        tokio::time::sleep(INTERVAL).await;
        assert!(told(&mut client, "clients/connected").await.1);
        client.send(b"\xA2\x22\x00\x01\x00\x00\x1D$SYS/broker/clients/connected").await;
        client.expect(b"\xB0\x04\x00\x01\x00\x00").await;
        tokio::time::sleep(INTERVAL).await;
        client.expect_silence().await;
    });
}

/// [MQTT-3.3.4-3]
#[test]
fn a_message_has_the_identifiers_of_all_subscriptions_that_match() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        let connected = b"\x00\x1D$SYS/broker/clients/connected\x00";
        client.send(&[b"\x82\x25\x00\x01\x02\x0B\x05", &connected[..]].concat()).await;
        client.expect(b"\x90\x04\x00\x01\x00\x00").await;
        assert_eq!(message(&mut client).await.3, [5]);
        let below = b"\x00\x15$SYS/broker/clients/+\x00";
        client.send(&[b"\x82\x1D\x00\x02\x02\x0B\x06", &below[..]].concat()).await;
        client.expect(b"\x90\x04\x00\x02\x00\x00").await;
        for _ in 0..3 {
            assert_eq!(message(&mut client).await.3, [6], "what was retained is the new one's");
        }
        let _other = bench.client(Version::V5, "other").await;
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(message(&mut client).await.3, [6], "total");
        assert_eq!(message(&mut client).await.3, [5, 6], "connected");
    });
}

/// [MQTT-4.7.2-1]
#[test]
fn a_filter_that_begins_with_a_wildcard_is_the_exits() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        for filter in ["#", "+/broker/uptime", "$SYSTEM/x", "$other/#"] {
            subscribed(&mut client, filter, 0, 0).await;
            let asked = bench.exit().asked();
            assert!(matches!(&asked[..], [Asked::Subscribe { .. }]), "{filter}: {asked:?}");
        }
        client.expect_silence().await;
    });
}

/// [MQTT-3.3.5-2] of 3.1.1
#[test]
fn nobody_publishes_to_the_servers_topics() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        client.send(b"\x30\x09\x00\x06$SYS/x\x00").await;
        client.send(b"\x32\x0B\x00\x06$SYS/x\x00\x01\x00").await;
        client
            .expect_packet(|packet| match packet {
                Packet::Puback(ack) => assert_eq!(ack.reason, ReasonCode::TOPIC_NAME_INVALID),
                other => panic!("{other:?} instead of PUBACK"),
            })
            .await;
        let mut old = bench.client(Version::V311, "old").await;
        old.send(b"\x30\x08\x00\x06$SYS/x").await;
        old.send(b"\x32\x0A\x00\x06$SYS/x\x00\x01").await;
        old.expect(b"\x40\x02\x00\x01").await;
        assert_eq!(bench.exit().asked(), []);
        assert_eq!(bench.count(|counters| &counters.publishes_dropped_refused), 4);
        let mut willing = bench.stream(Version::V5);
        let will = Some(WillView::new("$SYS/x", b"", mqtt_plane::Qos::AtMostOnce, false));
        willing.connect(&Connect { will, ..Connect::new(Version::V5, "w") }).await;
        willing
            .expect_packet(|packet| match packet {
                Packet::Connack(connack) => {
                    assert_eq!(connack.reason, ReasonCode::TOPIC_NAME_INVALID);
                }
                other => panic!("{other:?} instead of CONNACK"),
            })
            .await;
    });
}

#[test]
fn the_routes_say_who_may_look_and_a_share_of_it_is_nobodys() {
    run(async {
        let pattern = |text: &str| TopicPattern::parse(text, |_| None).unwrap();
        let watchers = Condition {
            session: Some(vec![ClientPattern::new("*")]),
            subscribe: Some(vec![pattern("a/#"), pattern("$SYS/broker/clients/#")]),
            ..Condition::default()
        };
        let routes = vec![Route { exit: 0, when: vec![watchers] }];
        let bench = Bench::with(routes, crate::state::Versions::ALL);
        let mut client = bench.client(Version::V5, "c").await;
        for filter in ["$SYS/#", "$SYS/broker/+/#", "$SYS/broker/uptime"] {
            subscribed(&mut client, filter, 0, 0x87).await;
        }
        subscribed(&mut client, "$SYS/broker/clients/total", 0, 0).await;
        assert_eq!(told(&mut client, "clients/total").await.0, "1");
        let mut policy = Policy::DEFAULT;
        policy.offer.shared_subscriptions = true;
        let bench = Bench::with_policy(policy);
        let mut client = bench.client(Version::V5, "c").await;
        subscribed(&mut client, "$share/g/$SYS/#", 0, 0x8F).await;
        subscribed(&mut client, "$share/g/$SYSTEM", 0, 0).await;
    });
}

#[test]
fn a_reload_switches_the_topics_off_and_on() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        let topic = "$SYS/broker/clients/connected";
        subscribed(&mut client, topic, 0, 0).await;
        told(&mut client, "clients/connected").await;
        bench.set_policy(Policy { system_interval: 0, ..Policy::DEFAULT });
        let mut other = bench.client(Version::V5, "other").await;
        tokio::time::sleep(3 * INTERVAL).await;
        client.expect_silence().await;
        // They are topics like others now.
        subscribed(&mut other, topic, 0, 0).await;
        other.send(b"\x30\x09\x00\x06$SYS/x\x00").await;
        let asked = bench.exit().asked();
        assert!(
            matches!(&asked[..], [Asked::Subscribe { .. }, Asked::Publish { .. }]),
            "{asked:?}"
        );
        bench.set_policy(Policy { system_interval: 1, ..Policy::DEFAULT });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(told(&mut client, "clients/connected").await.0, "2");
    });
}

#[test]
fn a_session_that_goes_on_is_told_on() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.limits.keeps_sessions = true);
        let mut connect = Connect::new(Version::V5, "c");
        (connect.clean_start, connect.properties.session_expiry) = (false, 100);
        let topic = "$SYS/broker/clients/connected";
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_connack().await;
        subscribed(&mut client, topic, 0, 0).await;
        told(&mut client, "clients/connected").await;
        drop(client);
        super::script::settle().await;
        // The exit has the session, and it goes on.
        bench.exit().set(|script| script.resumes = Some(mqtt_plane::Unfinished::default()));
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_connack().await;
        let _other = bench.client(Version::V5, "other").await;
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(told(&mut client, "clients/connected").await, ("2".to_owned(), false));
        drop(client);
        super::script::settle().await;
        // The exit has none any more: a new one begins, with no subscription.
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client
            .expect_packet(|packet| match packet {
                Packet::Connack(connack) => assert!(!connack.session_present),
                other => panic!("{other:?} instead of CONNACK"),
            })
            .await;
        let _third = bench.client(Version::V5, "third").await;
        tokio::time::sleep(2 * INTERVAL).await;
        client.expect_silence().await;
    });
}

#[test]
fn who_does_not_read_is_told_the_latest_when_it_does() {
    run(async {
        let bench = Bench::new();
        let mut slow = bench.client(Version::V5, "slow").await;
        subscribed(&mut slow, "$SYS/broker/uptime", 0, 0).await;
        told(&mut slow, "uptime").await;
        assert_eq!(bench.server.table().exits.len(), 2);
        assert_eq!(bench.count(|counters| &counters.subscriptions_refused), 0);
        for filter in 0..99 {
            subscribed(&mut slow, &format!("$SYS/{filter}"), 0, 0).await;
        }
        subscribed(&mut slow, "$SYS/one/more", 0, 0x97).await;
    });
}
