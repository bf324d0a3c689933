//! SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT and what else a client may send.

use mqtt_plane::{Cause, Event, Qos, ReasonCode, Version};

use super::script::{Asked, Bench, SUCCESS, delivery, run};
use crate::wire::{Disconnect, Packet};

fn close(client_id: &str, cause: Cause) -> Asked {
    Asked::Close { client_id: client_id.to_owned(), cause }
}

/// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-6], [MQTT-3.2.2-10]
#[test]
fn a_subscribe_is_answered_with_a_code_for_each_filter() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        // Subscription Identifier 9; a/# QoS 2, a/#/b malformed, $share//x malformed, b QoS 0.
        client
            .send(
                b"\x82\x23\x00\x05\x02\x0B\x09\x00\x03a/#\x02\x00\x05a/#/b\x01\
                  \x00\x09$share//x\x01\x00\x01b\x00",
            )
            .await;
        client.expect(&[0x90, 7, 0, 5, 0, 2, 0x8F, 0x8F, 0]).await;
        let asked = bench.exit().asked();
        let filters = vec![("a/#".to_owned(), 2, Some(9)), ("b".to_owned(), 0, Some(9))];
        assert_eq!(asked, [Asked::Subscribe { ticket: 1, filters }]);
        assert_eq!(bench.count(|counters| &counters.subscriptions_refused), 2);
    });
}

#[test]
fn a_3_1_1_subscribe_is_refused_with_0x80() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V311, "c").await;
        client.send(b"\x82\x19\x00\x05\x00\x03a/#\x02\x00\x02a#\x00\x00\x09$share//x\x01").await;
        client.expect(&[0x90, 5, 0, 5, 2, 0x80, 0x80]).await;
    });
}

/// [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.12.4-1]
#[test]
fn an_unsubscribe_and_a_ping_are_answered() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        client.send(b"\xA2\x0A\x00\x06\x00\x00\x01a\x00\x02b#\xC0\x00").await;
        client.expect(&[0xD0, 0, 0xB0, 5, 0, 6, 0, 0, 0x8F]).await;
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\xA2\x05\x00\x06\x00\x01a").await;
        old.expect(&[0xB0, 2, 0, 6]).await;
    });
}

#[test]
fn deliveries_follow_the_suback_of_their_subscription() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V311, "c").await;
        client.send(b"\x82\x06\x00\x05\x00\x01t\x00").await;
        client.expect_silence().await;
        let Asked::Subscribe { ticket, .. } = bench.exit().asked().remove(0) else { panic!() };
        bench.exit().set(|script| {
            let reasons = Box::new([SUCCESS]);
            script.events.push_back(Event::Subscribed { ticket, reasons });
            let delivery = delivery("t", b"x", Qos::AtMostOnce, 0, None);
            script.events.push_back(Event::Deliver(delivery));
        });
        client.expect(&[0x90, 3, 0, 5, 0, 0x30, 4, 0, 1, b't', b'x']).await;
    });
}

#[test]
fn a_publish_waits_for_the_subscribes_before_it() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut client = bench.client(Version::V311, "c").await;
        // Two SUBSCRIBEs, an UNSUBSCRIBE, a ping, a PUBLISH, a ping.
        client
            .send(
                b"\x82\x06\x00\x05\x00\x01t\x00\x82\x06\x00\x06\x00\x01u\x00\
                  \xA2\x05\x00\x07\x00\x01v\xC0\x00\x30\x04\x00\x01tx\xC0\x00",
            )
            .await;
        client.expect(&[0xD0, 0]).await;
        client.expect_silence().await;
        let asked = bench.exit().asked();
        let [Asked::Subscribe { ticket: first, .. }, Asked::Subscribe { ticket: second, .. }, _] =
            asked[..]
        else {
            panic!("{asked:?}");
        };
        let subscribed = |ticket| Event::Subscribed { ticket, reasons: Box::new([SUCCESS]) };
        bench.exit().push(subscribed(first));
        client.expect(&[0x90, 3, 0, 5, 0]).await;
        client.expect_silence().await;
        assert_eq!(bench.exit().asked(), []);
        bench.exit().push(subscribed(second));
        // The UNSUBSCRIBE is undecided still.
        client.expect(&[0x90, 3, 0, 6, 0, 0xD0, 0]).await;
        assert_eq!(bench.exit().tickets(), [0]);
    });
}

/// [MQTT-3.14.4-3], [MQTT-3.1.2-8], [MQTT-3.1.2-10]
#[test]
fn disconnect_says_what_becomes_of_the_will() {
    run(async {
        let bench = Bench::new();
        for (bytes, cause) in [
            (&b"\xE0\x00"[..], Cause::Normal),
            (b"\xE0\x01\x00", Cause::Normal),
            (b"\xE0\x01\x04", Cause::Abnormal),
            (b"\xE0\x01\x81", Cause::Abnormal),
        ] {
            let mut client = bench.client(Version::V5, "c").await;
            client.send(bytes).await;
            client.expect_close().await;
            assert_eq!(bench.exit().asked(), [close("c", cause)]);
        }
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\xE0\x00").await;
        old.expect_close().await;
        assert_eq!(bench.exit().asked(), [close("d", Cause::Normal)]);
        // A stream that ends without it.
        drop(bench.client(Version::V311, "e").await);
        super::script::settle().await;
        assert_eq!(bench.exit().asked(), [close("e", Cause::Abnormal)]);
        assert_eq!(bench.server.registry.len(), 0);
    });
}

/// [MQTT-3.1.4-5], [MQTT-3.12.4-1]
#[test]
fn what_was_sent_before_a_disconnect_is_answered() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        client.send(b"\xC0\x00\xC0\x00\xE0\x00").await;
        client.expect(b"\xD0\x00\xD0\x00").await;
        client.expect_close().await;
    });
}

/// [MQTT-3.14.2-1], section 3.14.2.2.2
#[test]
fn a_disconnect_that_clients_may_not_send_is_a_protocol_error() {
    run(async {
        let bench = Bench::new();
        let mut expiry = Disconnect::new(SUCCESS);
        expiry.session_expiry = Some(5);
        let server_only = Disconnect::new(ReasonCode::SESSION_TAKEN_OVER);
        for disconnect in [expiry, server_only] {
            let mut client = bench.client(Version::V5, "c").await;
            client.send_packet(&Packet::Disconnect(disconnect)).await;
            client.expect_end(ReasonCode::PROTOCOL_ERROR).await;
            assert_eq!(bench.exit().asked(), [close("c", Cause::Abnormal)]);
        }
    });
}

/// [MQTT-3.1.0-2], [MQTT-4.13.1-1], [MQTT-3.14.4-1]
#[test]
fn packets_out_of_place_end_the_connection_and_no_other() {
    run(async {
        let bench = Bench::new();
        let mut other = bench.client(Version::V5, "other").await;
        for (bytes, reason) in [
            (&b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a"[..], ReasonCode::PROTOCOL_ERROR),
            (b"\xF0\x00", ReasonCode::PROTOCOL_ERROR),
            (b"\x20\x03\x00\x00\x00", ReasonCode::PROTOCOL_ERROR),
            (b"\xD0\x00", ReasonCode::PROTOCOL_ERROR),
            (b"\x00\x00", ReasonCode::MALFORMED_PACKET),
            (b"\x80\x06\x00\x05\x00\x01t\x00", ReasonCode::MALFORMED_PACKET),
            (b"\xC0\xFF\xFF\xFF\xFF", ReasonCode::MALFORMED_PACKET),
        ] {
            let mut client = bench.client(Version::V5, "c").await;
            // What follows is not looked at.
            client.send(&[bytes, b"\xC0\x00"].concat()).await;
            client.expect_end(reason).await;
        }
        let mut old = bench.client(Version::V311, "c").await;
        old.send(b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01a").await;
        old.expect_close().await;
        other.send(b"\xC0\x00").await;
        other.expect(b"\xD0\x00").await;
    });
}

/// Sections 3.6.2.1 and 3.7.2.1
#[test]
fn packets_of_an_unknown_qos_2_flow_are_answered_with_0x92() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        client.send(b"\x62\x02\x00\x09\x50\x02\x00\x08\x70\x02\x00\x07\x40\x02\x00\x06").await;
        client.expect(&[0x70, 3, 0, 9, 0x92, 0x62, 3, 0, 8, 0x92]).await;
        client.expect_silence().await;
        assert_eq!(bench.count(|counters| &counters.acknowledgements_unknown), 4);
        let mut old = bench.client(Version::V311, "d").await;
        old.send(b"\x62\x02\x00\x09").await;
        old.expect(&[0x70, 2, 0, 9]).await;
    });
}
