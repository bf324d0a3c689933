//! What one client may have, and how many clients there may be.

use std::time::Duration;

use mqtt_plane::{Event, PayloadFormat, Qos, ReasonCode, Version};
use tokio::io::AsyncWriteExt;

use super::script::{Asked, Bench, Client, delivery, run, settle};
use crate::state::{Bounds, OverRate, Policy};
use crate::wire::{Connect, Packet, User, WillView, encode};

fn bench(bounds: Bounds) -> Bench {
    Bench::with_policy(Policy { bounds, ..Policy::DEFAULT })
}

/// The code of the CONNACK that answers a CONNECT.
async fn answer(client: &mut Client, connect: &Connect<'_>) -> ReasonCode {
    client.connect(connect).await;
    client
        .expect_packet(|packet| match packet {
            Packet::Connack(connack) => connack.reason,
            other => panic!("{other:?} instead of CONNACK"),
        })
        .await
}

fn pairs(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (n.to_string(), String::new())).collect()
}

#[test]
fn a_connect_beyond_a_limit_is_refused_with_the_code_for_it() {
    run(async {
        let bench = bench(Bounds {
            packet_size: 100,
            client_id_length: 3,
            topic_length: 4,
            topic_levels: 2,
            user_properties: 1,
            ..Bounds::DEFAULT
        });
        let connect = Connect::new(Version::V5, "abc");
        let (one, two) = (pairs(1), pairs(2));
        let with_will = |topic, user| {
            let will = WillView { user, ..WillView::new(topic, b"", Qos::AtMostOnce, false) };
            Connect { will: Some(will), ..connect }
        };
        let mut many = connect;
        many.properties.user = User::new(&two);
        let password = [b'x'; 100];
        for (connect, reason) in [
            (Connect::new(Version::V5, "abcd"), ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
            // None that is sure to be unused is as short.
            (Connect::new(Version::V5, ""), ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
            (with_will("abcde", User::NONE), ReasonCode::TOPIC_NAME_INVALID),
            (with_will("a/b/", User::NONE), ReasonCode::TOPIC_NAME_INVALID),
            (with_will("a/b", User::new(&two)), ReasonCode::QUOTA_EXCEEDED),
            (many, ReasonCode::QUOTA_EXCEEDED),
            (Connect { password: Some(&password), ..connect }, ReasonCode::PACKET_TOO_LARGE),
            (with_will("a/b", User::new(&one)), ReasonCode::SUCCESS),
        ] {
            let mut client = bench.stream(Version::V5);
            assert_eq!(answer(&mut client, &connect).await, reason);
        }
    });
}

/// [MQTT-3.1.2-29], [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.6.2-2], [MQTT-3.7.2-2], [MQTT-3.9.2-1],
/// [MQTT-3.11.2-1]
#[test]
fn words_are_for_those_who_want_them_and_whom_they_fit() {
    run(async {
        let bench = bench(Bounds { topic_length: 4, ..Bounds::DEFAULT });
        for request in [
            &b"\x32\x0A\x00\x05abcde\x00\x01\x00"[..],
            b"\x34\x0A\x00\x05abcde\x00\x01\x00",
            b"\x50\x02\x00\x01",
            b"\x62\x02\x00\x01",
            b"\x82\x0B\x00\x01\x00\x00\x05abcde\x00",
            b"\xA2\x08\x00\x01\x00\x00\x03a#b",
        ] {
            let len = words(&bench, request, None, true).await.unwrap();
            assert_eq!(words(&bench, request, Some(len), true).await, Some(len), "just fits");
            assert_eq!(words(&bench, request, Some(len - 1), true).await, None, "just does not");
            assert_eq!(words(&bench, request, None, false).await, None, "is not wanted");
        }
    });
}

/// The length of the answer to `request`, which is refused, if it has a Reason String. The client
/// takes packets of `size` and `wants` such strings.
async fn words(bench: &Bench, request: &[u8], size: Option<u32>, wants: bool) -> Option<u32> {
    let mut connect = Connect::new(Version::V5, "c");
    connect.properties.maximum_packet_size = size;
    connect.properties.request_problem_information = wants;
    let mut client = bench.stream(Version::V5);
    client.connect(&connect).await;
    client.expect_connack().await;
    client.send(request).await;
    client
        .expect_packet(|packet| {
            let words = match &packet {
                Packet::Puback(ack)
                | Packet::Pubrec(ack)
                | Packet::Pubrel(ack)
                | Packet::Pubcomp(ack) => {
                    assert!(ack.reason.is_error());
                    ack.reason_string
                }
                Packet::Suback(suback) => suback.reason_string,
                Packet::Unsuback(unsuback) => unsuback.reason_string,
                other => panic!("{other:?}"),
            };
            let mut bytes = Vec::new();
            encode(&mut bytes, Version::V5, &packet).unwrap();
            words.map(|_| u32::try_from(bytes.len()).unwrap())
        })
        .await
}

/// [MQTT-3.1.3-6], [MQTT-3.2.2-16]
#[test]
fn a_client_can_name_the_identifier_that_it_was_given_under_a_limit() {
    run(async {
        let bench = bench(Bounds { client_id_length: 23, ..Bounds::DEFAULT });
        let mut client = bench.stream(Version::V5);
        let assigned = client.connect_unnamed().await;
        let mut again = bench.stream(Version::V5);
        let connect = Connect::new(Version::V5, &assigned);
        assert_eq!(answer(&mut again, &connect).await, ReasonCode::SUCCESS);
    });
}

#[test]
fn a_publish_beyond_a_limit_is_refused_alone() {
    run(async {
        let bench = bench(Bounds { topic_length: 4, user_properties: 1, ..Bounds::DEFAULT });
        let mut client = bench.client(Version::V5, "c").await;
        client.send(b"\x32\x0A\x00\x05abcde\x00\x01\x00").await;
        client.expect(b"\x40\x03\x00\x01\x90").await;
        let user = b"\x26\x00\x00\x00\x00\x26\x00\x00\x00\x00";
        client.send(&[b"\x32\x10\x00\x01t\x00\x02\x0A", &user[..]].concat()).await;
        client.expect(b"\x40\x03\x00\x02\x97").await;
        // QoS 0 has no answer.
        client.send(&[b"\x30\x0E\x00\x01t\x0A", &user[..]].concat()).await;
        client.send(b"\x30\x08\x00\x05abcde\x00").await;
        // 3.1.1 has none that says so: sending it again would help nobody.
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\x32\x09\x00\x05abcde\x00\x01").await;
        old.expect(b"\x40\x02\x00\x01").await;
        assert_eq!(bench.exit().asked(), []);
        assert_eq!(bench.count(|counters| &counters.publishes_dropped_limited), 5);
        assert_eq!(bench.count(|counters| &counters.publishes_received), 5);
        client.send(b"\x30\x07\x00\x04abcd\x00").await;
        assert_eq!(bench.exit().asked().len(), 1);
    });
}

/// Sections 3.1.3.2.3 and 3.3.2.3.2.
#[test]
fn a_payload_that_is_not_the_text_it_says_is_refused_where_it_is_checked() {
    const TEXT: &[u8] = b"\x01\x01";
    const BYTES: &[u8] = b"\x01\x00";
    let publish = |id: u8, properties: &[u8], payload: &[u8]| {
        let mut body = vec![0, 1, b't', 0, id, u8::try_from(properties.len()).unwrap()];
        body.extend_from_slice(properties);
        body.extend_from_slice(payload);
        [&[0x32, u8::try_from(body.len()).unwrap()], &*body].concat()
    };
    run(async {
        let checked = Policy { checks_payload_format: true, ..Policy::DEFAULT };
        for (policy, code) in [(checked, Some(0x99)), (Policy::DEFAULT, None)] {
            let bench = Bench::with_policy(policy);
            let mut client = bench.client(Version::V5, "c").await;
            client.send(&publish(1, TEXT, b"\xFF")).await;
            match code {
                Some(code) => client.expect(&[0x40, 3, 0, 1, code]).await,
                None => client.expect(&[0x40, 2, 0, 1]).await,
            }
            for (id, properties, payload) in
                [(2, TEXT, "\u{0}é".as_bytes()), (3, BYTES, b"\xFF"), (4, b"", b"\xFF")]
            {
                client.send(&publish(id, properties, payload)).await;
                client.expect(&[0x40, 2, 0, id]).await;
            }
            let mut client = bench.stream(Version::V5);
            let payload_format = Some(PayloadFormat::Utf8);
            let will = WillView::new("t", b"\xFF", Qos::AtMostOnce, false);
            let will = Some(WillView { payload_format, ..will });
            let reason =
                answer(&mut client, &Connect { will, ..Connect::new(Version::V5, "d") }).await;
            assert_eq!(reason.0, code.unwrap_or(0));
            let refused = i64::from(code.is_some());
            assert_eq!(bench.count(|counters| &counters.publishes_dropped_refused), refused);
            assert_eq!(bench.count(|counters| &counters.publishes_dropped_limited), 0);
        }
    });
}

#[test]
fn filters_beyond_a_limit_are_refused_one_by_one() {
    run(async {
        let bench = bench(Bounds {
            topic_length: 4,
            topic_levels: 2,
            filters_per_packet: 3,
            user_properties: 0,
            ..Bounds::DEFAULT
        });
        let mut client = bench.client(Version::V5, "c").await;
        let filters = b"\x00\x05abcde\x00\x00\x04a/+/\x00\x00\x01b\x00\x00\x01c\x00";
        client.send(&[b"\x82\x1A\x00\x01\x00", &filters[..]].concat()).await;
        client.expect(b"\x90\x07\x00\x01\x00\x8F\x8F\x00\x97").await;
        client.send(b"\x82\x0C\x00\x02\x05\x26\x00\x00\x00\x00\x00\x01b\x00").await;
        client.expect(b"\x90\x04\x00\x02\x00\x97").await;
        assert_eq!(bench.exit().asked().len(), 1);
        let filters = b"\x00\x01a\x00\x01b\x00\x01c\x00\x01d";
        client.send(&[b"\xA2\x0F\x00\x03\x00", &filters[..]].concat()).await;
        client.expect(b"\xB0\x07\x00\x03\x00\x00\x00\x00\x83").await;
        client.send(b"\xA2\x0B\x00\x04\x05\x26\x00\x00\x00\x00\x00\x01b").await;
        client.expect(b"\xB0\x04\x00\x04\x00\x83").await;
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\x82\x0E\x00\x01\x00\x05abcde\x00\x00\x01b\x00").await;
        old.expect(b"\x90\x04\x00\x01\x80\x00").await;
    });
}

/// [MQTT-3.3.4-7], [MQTT-3.3.4-9]
#[test]
fn messages_in_flight_are_bounded_each_way() {
    run(async {
        let bench = bench(Bounds { in_flight: 2, ..Bounds::DEFAULT });
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.stream(Version::V5);
        client.connect(&Connect::new(Version::V5, "c")).await;
        client
            .expect_packet(|packet| match packet {
                Packet::Connack(connack) => assert_eq!(connack.properties.receive_maximum, 2),
                other => panic!("{other:?}"),
            })
            .await;
        for offset in 0..3 {
            bench.exit().push(Event::Deliver(delivery("t", b"", Qos::AtLeastOnce, offset, None)));
        }
        client.expect(&[0x32, 6, 0, 1, b't', 0, 1, 0, 0x32, 6, 0, 1, b't', 0, 2, 0]).await;
        client.expect_silence().await;
        for id in 1..=3 {
            client.send(&[0x32, 6, 0, 1, b't', 0, id, 0]).await;
        }
        client.expect_end(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED).await;
    });
}

#[test]
fn what_waits_for_a_client_that_does_not_read_is_bounded() {
    run(async {
        let bench = bench(Bounds { queued_bytes: 2048, ..Bounds::DEFAULT });
        let mut client = bench.stream_of(Version::V5, 64);
        client.connect(&Connect::new(Version::V5, "c")).await;
        client.expect_connack().await;
        for offset in 0..100 {
            let message = delivery("t", &[b'x'; 100], Qos::AtMostOnce, offset, None);
            bench.exit().push(Event::Deliver(message));
        }
        settle().await;
        let sent = bench.count(|counters| &counters.deliveries_sent);
        assert!((19..=22).contains(&sent), "{sent} deliveries of 106 bytes");
    });
}

#[test]
fn connections_are_bounded_and_a_takeover_is_not_one_more() {
    run(async {
        let bench = bench(Bounds { connections: 1, ..Bounds::DEFAULT });
        let first = bench.client(Version::V5, "c").await;
        let mut second = bench.stream(Version::V5);
        let reason = answer(&mut second, &Connect::new(Version::V5, "d")).await;
        assert_eq!(reason, ReasonCode::SERVER_BUSY);
        let mut old = bench.stream(Version::V311);
        old.connect(&Connect::new(Version::V311, "d")).await;
        old.expect(b"\x20\x02\x00\x03").await;
        assert_eq!(bench.count(|counters| &counters.connections_refused_by_limit), 2);
        let again = bench.client(Version::V5, "c").await;
        drop((first, again));
        settle().await;
        bench.client(Version::V5, "d").await;
    });
}

#[test]
fn connections_of_one_address_are_bounded() {
    run(async {
        let bench = bench(Bounds { connections_per_address: 1, ..Bounds::DEFAULT });
        let first = bench.client(Version::V5, "c").await;
        let mut second = bench.stream(Version::V5);
        let reason = answer(&mut second, &Connect::new(Version::V5, "d")).await;
        assert_eq!(reason, ReasonCode::QUOTA_EXCEEDED);
        drop(first);
        settle().await;
        bench.client(Version::V5, "d").await;
    });
}

#[test]
fn connects_are_bounded_in_a_second() {
    run(async {
        let bench = bench(Bounds { connects_per_second: 2, ..Bounds::DEFAULT });
        let mut reasons = Vec::new();
        for client_id in ["a", "b", "c"] {
            let mut client = bench.stream(Version::V5);
            reasons.push(answer(&mut client, &Connect::new(Version::V5, client_id)).await);
        }
        let (success, exceeded) = (ReasonCode::SUCCESS, ReasonCode::CONNECTION_RATE_EXCEEDED);
        assert_eq!(reasons, [success, success, exceeded]);
    });
}

#[test]
fn connections_that_say_nothing_are_bounded() {
    run(async {
        let bench = bench(Bounds { handshakes: 2, ..Bounds::DEFAULT });
        let mut silent = [bench.stream(Version::V5), bench.stream(Version::V5)];
        let mut third = bench.stream(Version::V5);
        third.expect_close().await;
        assert_eq!(bench.count(|counters| &counters.connections_refused_by_limit), 1);
        silent[0].connect(&Connect::new(Version::V5, "c")).await;
        silent[0].expect_connack().await;
        // Who has connected is none of them any more; who is gone neither.
        bench.client(Version::V5, "d").await;
        let [_connected, gone] = silent;
        drop(gone);
        settle().await;
        let _waiting = [bench.stream(Version::V5), bench.stream(Version::V5)];
        bench.stream(Version::V5).expect_close().await;
    });
}

/// Sends publishes and counts those that the exit is given.
async fn burst(bench: &Bench, client: &mut Client, count: usize) -> usize {
    client.send(&b"\x30\x04\x00\x01t\x00".repeat(count)).await;
    published(bench)
}

fn published(bench: &Bench) -> usize {
    let asked = bench.exit().asked();
    asked.iter().filter(|asked| matches!(asked, Asked::Publish { .. })).count()
}

#[test]
fn a_client_that_sends_too_fast_is_not_read_for_as_long() {
    run(async {
        let bounds = Bounds { messages_per_second: 8, ..Bounds::DEFAULT };
        let bench = bench(bounds);
        let mut fast = bench.stream(Version::V5);
        let connect = Connect { keep_alive: 1, ..Connect::new(Version::V5, "fast") };
        assert_eq!(answer(&mut fast, &connect).await, ReasonCode::SUCCESS);
        let mut other = bench.client(Version::V5, "other").await;
        assert_eq!(burst(&bench, &mut fast, 40).await, 8);
        assert_eq!(burst(&bench, &mut other, 2).await, 2, "a rate is of one client");
        let mut counts = Vec::new();
        // Longer than its keep alive: who is not read is not silent.
        for _ in 0..17 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            settle().await;
            counts.push(published(&bench));
        }
        assert_eq!(counts[..16], [2; 16]);
        assert_eq!(counts[16], 0, "all is there");
        assert!(bench.count(|counters| &counters.rate_waits) > 0);
        fast.send(b"\xC0\x00").await;
        fast.expect(b"\xD0\x00").await;
    });
}

#[test]
fn bytes_that_come_too_fast_wait_whatever_they_are() {
    run(async {
        let bench = bench(Bounds { bytes_per_second: 20, ..Bounds::DEFAULT });
        let mut client = bench.client(Version::V5, "c").await;
        client.send(&b"\xC0\x00".repeat(15)).await;
        client.expect(&b"\xD0\x00".repeat(10)).await;
        client.expect_silence().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.expect(&b"\xD0\x00".repeat(5)).await;
    });
}

#[test]
fn publishes_that_come_too_fast_are_refused_where_the_file_says_so() {
    run(async {
        let over_rate = OverRate::Refuse;
        let bounds = Bounds { messages_per_second: 2, over_rate, ..Bounds::DEFAULT };
        let bench = bench(bounds);
        let mut client = bench.client(Version::V5, "c").await;
        assert_eq!(burst(&bench, &mut client, 3).await, 2);
        client.send(b"\x32\x06\x00\x01t\x00\x07\x00").await;
        client.expect(b"\x40\x03\x00\x07\x97").await;
        client.send(b"\xC0\x00").await;
        client.expect(b"\xD0\x00").await;
        assert_eq!(bench.count(|counters| &counters.publishes_dropped_limited), 2);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(burst(&bench, &mut client, 3).await, 2, "what was refused costs nothing");
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\x30\x03\x00\x01t\x30\x03\x00\x01t\x32\x05\x00\x01t\x00\x07").await;
        old.expect_close().await;
        assert_eq!(bench.count(|counters| &counters.connections_ended_by_limit), 1);
        assert_eq!(bench.count(|counters| &counters.sessions_ended_by_exit), 0);
    });
}

#[test]
fn a_client_that_sends_too_fast_is_disconnected_where_the_file_says_so() {
    run(async {
        let over_rate = OverRate::Disconnect;
        let bounds = Bounds { messages_per_second: 2, over_rate, ..Bounds::DEFAULT };
        let bench = bench(bounds);
        let mut client = bench.client(Version::V5, "c").await;
        assert_eq!(burst(&bench, &mut client, 3).await, 2);
        client.expect_end(ReasonCode::MESSAGE_RATE_TOO_HIGH).await;
        assert_eq!(bench.count(|counters| &counters.connections_ended_by_limit), 1);
        assert_eq!(bench.count(|counters| &counters.protocol_errors), 0);
    });
}

/// What a client was told stays true for it.
#[test]
fn a_reload_changes_the_limits_of_later_connections_only() {
    run(async {
        let bench = bench(Bounds { topic_length: 4, ..Bounds::DEFAULT });
        let mut before = bench.client(Version::V5, "c").await;
        let bounds = Bounds { topic_length: 1, ..Bounds::DEFAULT };
        bench.set_policy(Policy { bounds, ..Policy::DEFAULT });
        let mut after = bench.client(Version::V5, "d").await;
        for (client, expected) in
            [(&mut before, &b"\x40\x02\x00\x01"[..]), (&mut after, b"\x40\x03\x00\x01\x90")]
        {
            client.send(b"\x32\x09\x00\x04abcd\x00\x01\x00").await;
            client.expect(expected).await;
        }
    });
}

/// What the exit is asked, in order, where one client sends `flood` and another, right behind it,
/// one message.
async fn beside(flood: Vec<u8>) -> Vec<Asked> {
    let bench = Bench::new();
    let mut one = bench.client(Version::V311, "one").await;
    let mut other = bench.client(Version::V311, "other").await;
    // All of it is there before anything of it is read.
    one.io.write_all(&flood).await.unwrap();
    other.send(b"\x30\x08\x00\x05other!").await;
    for _ in 0..10 {
        settle().await;
    }
    bench.exit().asked()
}

fn place_of_the_other(asked: &[Asked]) -> usize {
    let is_other =
        |asked: &Asked| matches!(asked, Asked::Publish { topic, .. } if topic == "other");
    asked.iter().position(is_other).unwrap()
}

#[test]
fn a_client_that_sends_much_at_once_lets_others_have_their_turn() {
    run(async {
        let asked = beside(b"\x30\x03\x00\x01t".repeat(5000)).await;
        assert_eq!(asked.len(), 5001);
        assert!(place_of_the_other(&asked) <= 1024, "{}", place_of_the_other(&asked));
        let subscribe = |packet_id: u8| {
            let filters = b"\x00\x01f\x00".repeat(240);
            [&[0x82, 0xC2, 0x07, 0, packet_id][..], &filters].concat()
        };
        let asked = beside((1..=50).flat_map(subscribe).collect()).await;
        assert_eq!(asked.len(), 51);
        assert!(place_of_the_other(&asked) <= 2, "{}", place_of_the_other(&asked));
    });
}
