//! Topic aliases in both directions.

use mqtt_plane::{Event, Qos, ReasonCode, Version};

use super::script::{Asked, Bench, Client, delivery, run, settle};
use crate::wire::Connect;

/// A topic that is longer than an alias.
const TOPIC: &str = "topic";

/// A client that allows `maximum` aliases and takes packets of `size` bytes.
async fn client(bench: &Bench, maximum: u16, size: Option<u32>) -> Client {
    let mut connect = Connect::new(Version::V5, "c");
    connect.properties.topic_alias_maximum = maximum;
    connect.properties.maximum_packet_size = size;
    let mut client = bench.stream(Version::V5);
    client.connect(&connect).await;
    client.expect_connack().await;
    bench.exit().asked();
    client
}

fn topics(bench: &Bench) -> Vec<String> {
    let asked = bench.exit().asked().into_iter();
    asked
        .filter_map(|asked| match asked {
            Asked::Publish { topic, .. } => Some(topic),
            _ => None,
        })
        .collect()
}

fn deliver(bench: &Bench, payload: &[u8]) {
    bench.exit().push(Event::Deliver(delivery(TOPIC, payload, Qos::AtMostOnce, 0, None)));
}

/// [MQTT-3.3.2-12]
#[test]
fn a_client_publishes_by_the_aliases_that_it_sets_and_replaces() {
    run(async {
        let bench = Bench::new();
        let mut client = client(&bench, 0, None).await;
        client.send(b"\x30\x07\x00\x01a\x03\x23\x00\x01").await;
        client.send(b"\x30\x07\x00\x01b\x03\x23\x00\x20").await;
        client.send(b"\x30\x06\x00\x00\x03\x23\x00\x01").await;
        client.send(b"\x30\x06\x00\x00\x03\x23\x00\x20").await;
        client.send(b"\x30\x07\x00\x01c\x03\x23\x00\x01").await;
        client.send(b"\x30\x06\x00\x00\x03\x23\x00\x01").await;
        assert_eq!(topics(&bench), ["a", "b", "a", "b", "c", "c"]);
    });
}

#[test]
fn a_publish_that_waits_for_its_exit_keeps_its_topic() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.is_ready = false);
        let mut client = client(&bench, 0, None).await;
        client.send(b"\x30\x07\x00\x01a\x03\x23\x00\x01\x30\x06\x00\x00\x03\x23\x00\x01").await;
        assert_eq!(topics(&bench), [""; 0]);
        bench.exit().set(|script| script.is_ready = true);
        settle().await;
        assert_eq!(topics(&bench), ["a", "a"]);
    });
}

/// [MQTT-3.3.2-9], [MQTT-3.3.2-8], section 3.3.2.3.4
#[test]
fn aliases_that_cannot_be_are_refused_with_their_code() {
    run(async {
        let bench = Bench::new();
        for (bytes, reason) in [
            (&b"\x30\x07\x00\x01a\x03\x23\x00\x21"[..], ReasonCode::TOPIC_ALIAS_INVALID),
            (b"\x30\x07\x00\x01a\x03\x23\x00\x00", ReasonCode::TOPIC_ALIAS_INVALID),
            (b"\x30\x06\x00\x00\x03\x23\x00\x01", ReasonCode::PROTOCOL_ERROR),
            (b"\x30\x03\x00\x00\x00", ReasonCode::PROTOCOL_ERROR),
        ] {
            let mut client = client(&bench, 0, None).await;
            client.send(bytes).await;
            client.expect_end(reason).await;
        }
        assert_eq!(topics(&bench), [""; 0]);
    });
}

/// [MQTT-3.3.2-7]
#[test]
fn aliases_end_with_their_connection() {
    run(async {
        let bench = Bench::new();
        let mut first = client(&bench, 1, None).await;
        first.send(b"\x30\x07\x00\x01a\x03\x23\x00\x01").await;
        deliver(&bench, b"");
        first.expect(b"\x30\x0B\x00\x05topic\x03\x23\x00\x01").await;
        drop(first);
        settle().await;
        let mut second = client(&bench, 1, None).await;
        deliver(&bench, b"");
        second.expect(b"\x30\x0B\x00\x05topic\x03\x23\x00\x01").await;
        second.send(b"\x30\x06\x00\x00\x03\x23\x00\x01").await;
        second.expect_end(ReasonCode::PROTOCOL_ERROR).await;
    });
}

/// [MQTT-3.1.2-26], [MQTT-3.3.2-11]
#[test]
fn a_topic_that_repeats_is_sent_by_an_alias_where_the_client_allows() {
    run(async {
        let bench = Bench::new();
        let mut client = client(&bench, 1, None).await;
        for _ in 0..3 {
            deliver(&bench, b"x");
        }
        client.expect(b"\x30\x0C\x00\x05topic\x03\x23\x00\x01x").await;
        client.expect(b"\x30\x07\x00\x00\x03\x23\x00\x01x").await;
        client.expect(b"\x30\x07\x00\x00\x03\x23\x00\x01x").await;
    });
}

/// [MQTT-3.1.2-27]
#[test]
fn no_alias_is_sent_where_the_client_allows_none() {
    run(async {
        let bench = Bench::new();
        for version in [Version::V5, Version::V311] {
            let mut client = bench.client(version, "c").await;
            for _ in 0..4 {
                deliver(&bench, b"x");
                match version {
                    Version::V5 => client.expect(b"\x30\x09\x00\x05topic\x00x").await,
                    Version::V311 => client.expect(b"\x30\x08\x00\x05topicx").await,
                }
            }
        }
    });
}

/// An alias is never in the frame that others share.
#[test]
fn a_shared_message_goes_to_each_client_in_its_own_form() {
    run(async {
        let bench = Bench::new();
        let mut client = client(&bench, 1, None).await;
        let mut shared = delivery(TOPIC, b"x", Qos::AtMostOnce, 0, None);
        shared.is_shared = true;
        for expected in
            [&b"\x30\x0C\x00\x05topic\x03\x23\x00\x01x"[..], b"\x30\x07\x00\x00\x03\x23\x00\x01x"]
        {
            bench.exit().push(Event::Deliver(shared.clone()));
            client.expect(expected).await;
        }
        drop(client);
        settle().await;
        let mut other = bench.client(Version::V5, "d").await;
        bench.exit().push(Event::Deliver(shared));
        other.expect(b"\x30\x09\x00\x05topic\x00x").await;
    });
}

/// [MQTT-3.1.2-24]
#[test]
fn a_message_that_fits_without_an_alias_only_is_sent_without_it() {
    run(async {
        let bench = Bench::new();
        let mut client = client(&bench, 1, Some(30)).await;
        // 30 bytes with the topic, 33 with an alias beside it, 28 with the alias alone.
        let payload = [b'x'; 20];
        let plain = [&b"\x30\x1C\x00\x05topic\x00"[..], &payload].concat();
        let short = [&b"\x30\x1A\x00\x00\x03\x23\x00\x01"[..], &payload].concat();
        for _ in 0..4 {
            deliver(&bench, &payload);
            client.expect(&plain).await;
        }
        deliver(&bench, b"y");
        client.expect(b"\x30\x0C\x00\x05topic\x03\x23\x00\x01y").await;
        deliver(&bench, &payload);
        client.expect(&short).await;
    });
}
