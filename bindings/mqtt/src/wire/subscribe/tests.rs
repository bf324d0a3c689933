use mqtt_plane::Version::{V5, V311};

use super::*;
use crate::wire::tests::{assert_refused, bytes, framed, pairs, read};
use crate::wire::{Packet, encode, encode_subscribe, encode_unsubscribe};

const PLAIN: Subscription<'_> = Subscription {
    filter: "a/b",
    qos: Qos::AtMostOnce,
    no_local: false,
    retain_as_published: false,
    retain_handling: RetainHandling::Send,
    id: None,
};

fn subscribe(version: Version, packet: &[u8]) -> Subscribe<'_> {
    match read(version, packet) {
        Ok(Packet::Subscribe(subscribe)) => subscribe,
        other => panic!("{other:?}"),
    }
}

fn unsubscribe(version: Version, packet: &[u8]) -> Unsubscribe<'_> {
    match read(version, packet) {
        Ok(Packet::Unsubscribe(unsubscribe)) => unsubscribe,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscribe_has_all_its_fields() {
    let user = pairs(&[("k", "v")]);
    let subscriptions = [
        Subscription { qos: Qos::ExactlyOnce, no_local: true, ..PLAIN },
        Subscription {
            filter: "$share/g/+/#",
            qos: Qos::AtLeastOnce,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
            ..PLAIN
        },
        Subscription { filter: "#", retain_handling: RetainHandling::SendIfNew, ..PLAIN },
    ];
    let body = r##"000a 0a 0b 8001 26 "k" "v" "a/b" 06 "$share/g/+/#" 29 "#" 10"##;
    let packet = framed(0x82, &bytes(body));
    let read = subscribe(V5, &packet);
    assert_eq!((read.packet_id, read.id, read.user), (10, Some(128), User::new(&user)));
    let expected = subscriptions.map(|one| Ok(Subscription { id: Some(128), ..one }));
    assert_eq!(read.subscriptions().collect::<Vec<_>>(), expected);

    let mut out = Vec::new();
    encode_subscribe(&mut out, V5, 10, Some(128), User::new(&user), &subscriptions).unwrap();
    assert_eq!(out, packet);
    out.clear();
    encode(&mut out, V5, &Packet::Subscribe(read)).unwrap();
    assert_eq!(out, packet);
}

#[test]
fn a_subscribe_of_3_1_1_has_filters_and_qos() {
    let packet = framed(0x82, &bytes(r#"000a "a/b" 02 "$share/x/y" 00"#));
    let read = subscribe(V311, &packet);
    let second = Subscription { filter: "$share/x/y", ..PLAIN };
    let expected = [Ok(Subscription { qos: Qos::ExactlyOnce, ..PLAIN }), Ok(second)];
    assert_eq!(read.subscriptions().collect::<Vec<_>>(), expected);
    let mut out = Vec::new();
    let asked =
        [Subscription { qos: Qos::ExactlyOnce, no_local: true, id: Some(1), ..PLAIN }, second];
    encode_subscribe(&mut out, V311, 10, Some(1), User::NONE, &asked).unwrap();
    assert_eq!(out, packet);
}

#[test]
fn an_unsubscribe_has_all_its_fields() {
    let user = pairs(&[("k", "v")]);
    let packet = framed(0xA2, &bytes(r#"000a 07 26 "k" "v" "a/b" "+/c""#));
    let read = unsubscribe(V5, &packet);
    assert_eq!((read.packet_id, read.user), (10, User::new(&user)));
    assert_eq!(read.filters().collect::<Vec<_>>(), [Ok("a/b"), Ok("+/c")]);
    let mut out = Vec::new();
    encode_unsubscribe(&mut out, V5, 10, User::new(&user), &["a/b", "+/c"]).unwrap();
    assert_eq!(out, packet);
    out.clear();
    encode(&mut out, V5, &Packet::Unsubscribe(read)).unwrap();
    assert_eq!(out, packet);

    let packet = framed(0xA2, &bytes(r#"000a "a/b""#));
    assert_eq!(unsubscribe(V311, &packet).filters().collect::<Vec<_>>(), [Ok("a/b")]);
    out.clear();
    encode_unsubscribe(&mut out, V311, 10, User::new(&user), &["a/b"]).unwrap();
    assert_eq!(out, packet);
}

#[test]
fn a_bad_filter_fails_by_itself() {
    const BAD: Result<&str, ReasonCode> = Err(ReasonCode::TOPIC_FILTER_INVALID);
    for (filter, expected) in [
        // [MQTT-4.7.3-1]
        ("", BAD),
        // [MQTT-4.7.1-1]
        ("a#", BAD),
        ("#/a", BAD),
        // [MQTT-4.7.1-2]
        ("a+", BAD),
        // [MQTT-4.8.2-1]
        ("$share//f", BAD),
        ("$share/", BAD),
        // [MQTT-4.8.2-2]
        ("$share/g", BAD),
        ("$share/g/", BAD),
        ("$share/+/f", BAD),
        ("$share/g#/f", BAD),
        ("$share/g/a#", BAD),
        ("$share/g/f/#", Ok("$share/g/f/#")),
        ("$share", Ok("$share")),
        ("$shares/g/f", Ok("$shares/g/f")),
    ] {
        for (version, properties) in [(V5, "00"), (V311, "")] {
            let body = format!(r#"000a {properties} "{filter}" 00 "a/b" 00"#);
            let packet = framed(0x82, &bytes(&body));
            let found: Vec<_> =
                subscribe(version, &packet).subscriptions().map(|s| s.map(|s| s.filter)).collect();
            assert_eq!(found, [expected, Ok("a/b")], "{version:?} {filter}");
            let packet = framed(0xA2, &bytes(&format!(r#"000a {properties} "{filter}""#)));
            let found: Vec<_> = unsubscribe(version, &packet).filters().collect();
            assert_eq!(found, [expected], "{version:?} {filter}");
        }
    }
}

#[test]
fn malformed_subscribes_and_unsubscribes_are_refused() {
    let reserved = "reserved bits of the subscription options are set";
    assert_refused(
        V5,
        0x82,
        &[
            ("0000 00 0001 61 00", 0x82, "packet identifier is 0"),
            // [MQTT-3.8.3-2]
            ("000a 00", 0x82, "SUBSCRIBE without a topic filter"),
            (r#"000a 00 "a""#, 0x81, "packet ends within a field"),
            (r#"000a 00 "a" 00 "b""#, 0x81, "packet ends within a field"),
            // [MQTT-3.8.3-1]
            ("000a 00 0001 ff 00", 0x81, "string is not well-formed UTF-8"),
            ("000a 00 0001 00 00", 0x81, "string contains U+0000"),
            // [MQTT-3.8.3-5]
            (r#"000a 00 "a" 40"#, 0x81, reserved),
            (r#"000a 00 "a" 80"#, 0x81, reserved),
            (r#"000a 00 "a" 03"#, 0x82, "subscription with QoS 3"),
            (r#"000a 00 "a" 30"#, 0x82, "Retain Handling is 3"),
            // [MQTT-3.8.3-4]
            (r#"000a 00 "$share/g/a" 04"#, 0x82, "No Local on a shared subscription"),
            (r#"000a 02 0b 00 "a" 00"#, 0x82, "Subscription Identifier is 0"),
            (r#"000a 04 0b 01 0b 01 "a" 00"#, 0x82, "property more than once"),
            (r#"000a 02 01 00 "a" 00"#, 0x81, "property that this packet does not have"),
        ],
    );
    assert_refused(
        V311,
        0x82,
        &[
            ("000a", 0x82, "SUBSCRIBE without a topic filter"),
            // [MQTT-3-8.3-4] of 3.1.1
            (r#"000a "a" 04"#, 0x81, reserved),
            (r#"000a "a" 03"#, 0x81, "subscription with QoS 3"),
        ],
    );
    assert_refused(
        V5,
        0xA2,
        &[
            ("0000 00 0001 61", 0x82, "packet identifier is 0"),
            // [MQTT-3.10.3-2]
            ("000a 00", 0x82, "UNSUBSCRIBE without a topic filter"),
            // [MQTT-3.10.3-1]
            ("000a 00 0001 ff", 0x81, "string is not well-formed UTF-8"),
            ("000a 00 0002 61", 0x81, "packet ends within a field"),
            (r#"000a 02 0b 01 "a""#, 0x81, "property that this packet does not have"),
        ],
    );
    assert_refused(V311, 0xA2, &[("000a", 0x82, "UNSUBSCRIBE without a topic filter")]);
}

/// [MQTT-3.8.1-1], [MQTT-3.10.1-1]
#[test]
fn reserved_flags_of_subscribe_and_unsubscribe_are_malformed() {
    for first in (0x80..=0x8F).chain(0xA0..=0xAF).filter(|first| first & 0x0F != 0b0010) {
        let refusal = read(V5, &framed(first, &bytes(r#"000a 00 "a" 00"#))).unwrap_err();
        assert_eq!(refusal.reason, ReasonCode::MALFORMED_PACKET, "{first:02x}");
    }
}
