use mqtt_plane::Version::{V5, V311};

use super::*;
use crate::wire::tests::{assert_both_ways, assert_refused, bytes, framed, pairs, read};
use crate::wire::{Packet, header};

#[test]
fn a_connect_has_all_its_fields() {
    let plain = Connect { keep_alive: 60, ..Connect::new(V5, "c") };
    assert_both_ways(V5, 0x10, r#""MQTT" 05 02 003c 00 "c""#, &Packet::Connect(plain));
    let old = Connect { version: V311, ..plain };
    assert_both_ways(V311, 0x10, r#""MQTT" 04 02 003c "c""#, &Packet::Connect(old));

    let user = pairs(&[("k", "v")]);
    let will_user = pairs(&[("a", "b"), ("a", "c")]);
    let properties = ConnectProperties {
        session_expiry: u32::MAX,
        receive_maximum: 20,
        maximum_packet_size: Some(1024),
        topic_alias_maximum: 10,
        request_response_information: true,
        request_problem_information: false,
        user: User::new(&user),
        authentication_method: Some("M"),
        authentication_data: Some(b"d"),
    };
    let will = WillView {
        delay: 5,
        payload_format: Some(PayloadFormat::Utf8),
        message_expiry: Some(0),
        content_type: Some("t"),
        response_topic: Some("r/s"),
        correlation_data: Some(b"cd"),
        user: User::new(&will_user),
        ..WillView::new("w/t", b"bye", Qos::ExactlyOnce, true)
    };
    let full = Connect {
        clean_start: false,
        properties,
        will: Some(will),
        user_name: Some("u"),
        password: Some(&[0, 1]),
        ..plain
    };
    assert_both_ways(
        V5,
        0x10,
        r#""MQTT" 05 f4 003c
           23 11 ffffffff 21 0014 22 000a 27 00000400 19 01 17 00 26 "k" "v" 15 "M" 16 "d"
           "c"
           29 18 00000005 01 01 02 00000000 03 "t" 08 "r/s" 09 "cd" 26 "a" "b" 26 "a" "c"
           "w/t" "bye" "u" 0002 0001"#,
        &Packet::Connect(full),
    );
    let will = WillView::new("w", b"", Qos::AtLeastOnce, false);
    let old = Connect { will: Some(will), user_name: Some(""), ..old };
    assert_both_ways(V311, 0x10, r#""MQTT" 04 8e 003c "c" "w" "" """#, &Packet::Connect(old));
}

/// [MQTT-3.1.2-19]: 5.0 has passwords without user names, 3.1.1 has not.
#[test]
fn a_password_needs_a_user_name_in_3_1_1_only() {
    let connect = Connect { password: Some(b"p"), ..Connect::new(V5, "c") };
    assert_both_ways(V5, 0x10, r#""MQTT" 05 42 0000 00 "c" "p""#, &Packet::Connect(connect));
    assert_refused(
        V311,
        0x10,
        &[(r#""MQTT" 04 42 0000 "c" "p""#, 0x81, "password without a user name")],
    );
}

/// [MQTT-3.1.3-6]; [MQTT-3.1.3-8] of 3.1.1
#[test]
fn an_empty_client_identifier_needs_clean_session_in_3_1_1_only() {
    let connect = Connect { clean_start: false, ..Connect::new(V5, "") };
    assert_both_ways(V5, 0x10, r#""MQTT" 05 00 0000 00 """#, &Packet::Connect(connect));
    let old = Packet::Connect(Connect::new(V311, ""));
    assert_both_ways(V311, 0x10, r#""MQTT" 04 02 0000 """#, &old);
    assert_refused(
        V311,
        0x10,
        &[(r#""MQTT" 04 00 0000 """#, 0x85, "empty client identifier without Clean Session")],
    );
}

/// [MQTT-3.1.4-1]
#[test]
fn malformed_connects_are_refused() {
    let short = "packet ends within a field";
    let name = "protocol name is not MQTT";
    let level = "protocol version is neither 3.1.1 nor 5.0";
    assert_refused(
        V5,
        0x10,
        &[
            ("", 0x81, short),
            (r#""MQTT""#, 0x81, short),
            // [MQTT-3.1.2-1]
            (r#""MQTt" 05 02 0000 00 "c""#, 0x84, name),
            ("0004 fffefdfc 05 02 0000 00 0000", 0x84, name),
            (r#""MQIsdp" 03 02 0000 "c""#, 0x84, "MQTT 3.1 is not supported"),
            // [MQTT-3.1.2-2]
            (r#""MQTT" 06 02 0000 00 "c""#, 0x84, level),
            (r#""MQTT" 03 02 0000 "c""#, 0x84, level),
            (r#""MQTT" 84 02 0000 "c""#, 0x84, level),
            // [MQTT-3.1.2-3]
            (r#""MQTT" 05 03 0000 00 "c""#, 0x81, "reserved CONNECT flag is set"),
            (r#""MQTT" 04 03 0000 "c""#, 0x81, "reserved CONNECT flag is set"),
            // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
            (r#""MQTT" 05 0a 0000 00 "c""#, 0x81, "Will QoS or Will Retain without a will"),
            (r#""MQTT" 05 22 0000 00 "c""#, 0x81, "Will QoS or Will Retain without a will"),
            // [MQTT-3.1.2-12]
            (r#""MQTT" 05 1e 0000 00 "c" 00 "w" "p""#, 0x81, "Will QoS is 3"),
            // [MQTT-3.1.2-9], [MQTT-3.1.3-1]
            (r#""MQTT" 05 06 0000 00 "c""#, 0x81, short),
            (r#""MQTT" 05 06 0000 00 "c" 00 "w""#, 0x81, short),
            // [MQTT-3.1.3-11], [MQTT-4.7.0-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2]
            (r#""MQTT" 05 06 0000 00 "c" 00 0001 ff "p""#, 0x81, "string is not well-formed UTF-8"),
            (
                r#""MQTT" 05 06 0000 00 "c" 00 "w/+" "p""#,
                0x90,
                "topic name contains a wildcard character",
            ),
            (r#""MQTT" 05 06 0000 00 "c" 00 "" "p""#, 0x90, "Will Topic is empty"),
            (r#""MQTT" 05 06 0000 00 "c" 00 0001 00 "p""#, 0x81, "topic name contains U+0000"),
            // [MQTT-3.1.2-17], [MQTT-3.1.2-19]
            (r#""MQTT" 05 82 0000 00 "c""#, 0x81, short),
            (r#""MQTT" 05 42 0000 00 "c""#, 0x81, short),
            // [MQTT-3.1.2-16], [MQTT-3.1.2-18]
            (r#""MQTT" 05 02 0000 00 "c" "u""#, 0x81, "packet goes on behind its last field"),
            (r#""MQTT" 05 82 0000 00 "c" "u" "p""#, 0x81, "packet goes on behind its last field"),
            // [MQTT-3.1.3-3], [MQTT-3.1.3-4]
            (r#""MQTT" 05 02 0000 00"#, 0x81, short),
            (r#""MQTT" 05 02 0000 00 0001 ff"#, 0x81, "string is not well-formed UTF-8"),
            (r#""MQTT" 05 02 0000 00 0001 00"#, 0x81, "string contains U+0000"),
            // [MQTT-3.1.3-12]
            (r#""MQTT" 05 82 0000 00 "c" 0003 eda080"#, 0x81, "string is not well-formed UTF-8"),
            (r#""MQTT" 05 02 0000 03 21 0000 "c""#, 0x82, "Receive Maximum is 0"),
            (r#""MQTT" 05 02 0000 05 27 00000000 "c""#, 0x82, "Maximum Packet Size is 0"),
            (r#""MQTT" 05 02 0000 02 17 02 "c""#, 0x82, "property is neither 0 nor 1"),
            (r#""MQTT" 05 02 0000 02 19 02 "c""#, 0x82, "property is neither 0 nor 1"),
            (
                r#""MQTT" 05 02 0000 04 16 "d" "c""#,
                0x82,
                "Authentication Data without Authentication Method",
            ),
            (
                r#""MQTT" 05 02 0000 05 18 00000001 "c""#,
                0x81,
                "property that this packet does not have",
            ),
            (
                r#""MQTT" 05 06 0000 00 "c" 05 11 00000001 "w" "p""#,
                0x81,
                "property that this packet does not have",
            ),
        ],
    );
}

#[test]
fn a_refused_connect_tells_the_version_to_answer_in() {
    for (body, expected) in [
        (r#""MQTT" 05 03 0000"#, Some(V5)),
        (r#""MQTT" 05"#, Some(V5)),
        (r#""MQTT" 06"#, Some(V5)),
        (r#""MQTT" 04 ff"#, Some(V311)),
        (r#""MQTT" 03"#, Some(V311)),
        (r#""MQTT" 84 02"#, Some(V311)),
        (r#""MQIsdp" 03 02"#, Some(V311)),
        (r#""MQIsdp" 83 02"#, Some(V311)),
        (r#""MQTT""#, None),
        (r#""HTTP" 05"#, None),
        ("0004 4d51", None),
        ("", None),
    ] {
        let packet = framed(0x10, &bytes(body));
        let header = header(&packet).unwrap().unwrap();
        assert_eq!(connect_version(header, &packet), expected, "{body}");
        assert_eq!(connect_version(header, &[]), None);
    }
}

/// [MQTT-3.1.3-10]: user properties in order.
#[test]
fn a_will_outlives_its_packet() {
    let packet = framed(
        0x10,
        &bytes(r#""MQTT" 05 36 0000 00 "c" 13 18 00000005 26 "a" "b" 26 "a" "c" "w" "p""#),
    );
    let Ok(Packet::Connect(Connect { will: Some(view), .. })) = read(V5, &packet) else {
        panic!("no will");
    };
    let will = view.to_will();
    drop(packet);
    assert_eq!((&*will.topic, &*will.payload, will.delay), ("w", &b"p"[..], 5));
    assert_eq!((will.qos, will.retain), (Qos::ExactlyOnce, true));
    assert_eq!(will.user, pairs(&[("a", "b"), ("a", "c")]));
    assert_eq!(will.publish().topic, "w");
}
