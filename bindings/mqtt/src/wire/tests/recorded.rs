//! What another implementation says on the wire: recordings of mosquitto 2.0.11 (`mosquitto_pub`,
//! `mosquitto_sub` and the broker), each one direction of a connection.

use mqtt_plane::Version::{self, V5, V311};
use mqtt_plane::{PayloadFormat, Qos, UserProperties};

use super::bytes;
use crate::wire::{Packet, PublishPacket, decode, encode, header};

const SUB_V311: &str = "101800044d515454040e003c0004737562320001770003627965
    820e00010003742f23020003752f2b02 a20700020003742f78 50020001 70020001 e000";
const BROKER_TO_SUB_V311: &str =
    "20020000 900400010202 b0020002 340c0003742f61000168656c6c6f 62020001";
const PUB_V311: &str =
    "101000044d5154540402003c000470756232 340c0003742f61000168656c6c6f 62020001 e000";
const BROKER_TO_PUB_V311: &str = "20020000 50020001 70020001";
const SUB_V5: &str =
    "102500044d515454050e003c0b110000003c210014220005000473756232000001770003627965
    821900010a2600016b0001760bac020003742f23020003752f2b02 a2080002000003742f78 50020001 70020001
    e000";
const BROKER_TO_SUB_V5: &str = "200900000622000a210014 900500010002 02 b00400020011
    34330003742f610001260bac022600016b00017603000a746578742f706c61696e08000172090001630101
    020000003c68656c6c6f 62020001";
const PUB_V5: &str = "101a00044d51545405c2003c03210014000470756232000175000170
    34300003742f610001232600016b00017603000a746578742f706c61696e020000003c080001720900016301 01
    68656c6c6f 62020001 e000";

/// Reads the packets of a stream, each as soon as the bytes so far hold it.
fn packets(version: Version, stream: &[u8]) -> Vec<Packet<'_>> {
    let mut packets = Vec::new();
    let mut start = 0;
    for end in 0..=stream.len() {
        if let Some(found) = header(&stream[start..end]).unwrap()
            && let Some(packet) = stream[start..end].get(..found.total_len())
        {
            packets.push(decode(version, found, packet).unwrap());
            start = end;
        }
    }
    assert_eq!(start, stream.len(), "the stream ends with a packet");
    packets
}

fn name(packet: &Packet<'_>) -> String {
    format!("{packet:?}").split('(').next().unwrap().to_owned()
}

#[test]
fn every_packet_of_a_recording_is_read_and_reads_the_same_when_encoded() {
    for (version, stream, expected) in [
        (V311, SUB_V311, "Connect Subscribe Unsubscribe Pubrec Pubcomp Disconnect"),
        (V311, BROKER_TO_SUB_V311, "Connack Suback Unsuback Publish Pubrel"),
        (V311, PUB_V311, "Connect Publish Pubrel Disconnect"),
        (V311, BROKER_TO_PUB_V311, "Connack Pubrec Pubcomp"),
        (V5, SUB_V5, "Connect Subscribe Unsubscribe Pubrec Pubcomp Disconnect"),
        (V5, BROKER_TO_SUB_V5, "Connack Suback Unsuback Publish Pubrel"),
        (V5, PUB_V5, "Connect Publish Pubrel Disconnect"),
    ] {
        let stream = bytes(stream);
        let packets = packets(version, &stream);
        let names: Vec<_> = packets.iter().map(name).collect();
        assert_eq!(names.join(" "), expected);
        let mut again = Vec::new();
        for packet in &packets {
            encode(&mut again, version, packet).unwrap();
        }
        assert_eq!(self::packets(version, &again), packets);
        assert_eq!(again.len(), stream.len(), "properties in another order at the most");
    }
}

#[test]
fn a_recorded_message_has_all_its_properties() {
    let stream = bytes(BROKER_TO_SUB_V5);
    let packets = packets(V5, &stream);
    let Some(Packet::Publish(publish)) = packets.get(3) else { panic!("no PUBLISH") };
    let PublishPacket { topic, payload, qos, packet_id, message_expiry, .. } = *publish;
    assert_eq!((topic, payload, qos, packet_id), ("t/a", &b"hello"[..], Qos::ExactlyOnce, 1));
    assert_eq!(message_expiry, Some(60));
    assert_eq!(publish.payload_format, Some(PayloadFormat::Utf8));
    assert_eq!(publish.content_type, Some("text/plain"));
    assert_eq!(publish.response_topic, Some("r"));
    assert_eq!(publish.correlation_data, Some(&b"c"[..]));
    assert_eq!(publish.subscription_ids.iter().collect::<Vec<_>>(), [300]);
    let mut user = Vec::new();
    publish.user.for_each(&mut |name, value| user.push((name, value)));
    assert_eq!(user, [("k", "v")]);
}
