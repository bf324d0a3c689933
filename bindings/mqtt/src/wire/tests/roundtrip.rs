//! Property tests: what is encoded reads back, and nothing that is read makes the codec panic.

use mqtt_plane::{ReasonCode, UserProperties, Version, check_filter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{framed, read, strategies as some};
use crate::wire::{
    Packet, PublishExtras, User, connect_version, decode, encode, encode_subscribe,
    encode_unsubscribe, header, publish_len, share,
};

/// Encodes `packet`, reads it back, and tries every way to cut it off. Returns its bytes.
fn round_trip(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, version, packet).unwrap();
    let back = check(version, &bytes);
    assert_eq!(&back, packet);
    bytes
}

/// Checks that `bytes` are one packet, the encoding of what they read as, and refused when cut off.
fn check(version: Version, bytes: &[u8]) -> Packet<'_> {
    let found = header(bytes).unwrap().unwrap();
    assert_eq!(found.total_len(), bytes.len());
    let packet = read(version, bytes).unwrap();
    touch(&packet);

    let mut again = vec![0xAA; 2];
    encode(&mut again, version, &packet).unwrap();
    assert_eq!(&again[2..], bytes, "appended to what is in the buffer");

    for cut in 0..bytes.len() {
        match header(&bytes[..cut]).unwrap() {
            None => assert!(cut < found.header_len),
            Some(header) => {
                assert_eq!(header, found);
                assert!(decode(version, header, &bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
        if cut >= found.header_len {
            check_shortened(version, &packet, bytes[0], &bytes[found.header_len..cut]);
        }
    }
    packet
}

/// A packet whose fixed header agrees with a body that is cut off: refused, or one of the packets
/// whose end may be left out, and then another packet.
fn check_shortened(version: Version, whole: &Packet<'_>, first: u8, body: &[u8]) {
    let shortened = framed(first, body);
    let Ok(packet) = read(version, &shortened) else { return };
    touch(&packet);
    match packet {
        Packet::Connect(_) | Packet::Connack(_) => panic!("{packet:?} is cut off"),
        // Their last field may say what its absence says.
        Packet::Puback(_) | Packet::Pubrec(_) | Packet::Pubrel(_) | Packet::Pubcomp(_) => {}
        Packet::Disconnect(_) => {}
        _ => assert_ne!(&packet, whole),
    }
}

/// Reads everything that a packet offers.
fn touch(packet: &Packet<'_>) -> usize {
    let mut seen = format!("{packet:?}").len();
    match packet {
        Packet::Connect(connect) => {
            if let Some(will) = &connect.will {
                let owned = will.to_will();
                assert_eq!(owned.publish().topic, will.publish().topic);
                assert!(!will.topic.is_empty() && !will.topic.contains(['\0', '+', '#']));
            }
        }
        Packet::Publish(publish) => {
            seen += usize::from(publish.keeps_payload_format());
            seen += usize::from(publish.check_from_client().is_ok());
            assert!(!publish.topic.contains(['\0', '+', '#']));
            assert!(!publish.topic.is_empty() || publish.topic_alias.is_some());
            assert!(publish.subscription_ids.iter().all(|id| (1..=268_435_455).contains(&id)));
            publish.properties().user.for_each(&mut |name, value| seen += name.len() + value.len());
        }
        Packet::Subscribe(subscribe) => {
            assert_ne!(subscribe.subscriptions().count(), 0);
            for subscription in subscribe.subscriptions().flatten() {
                assert_eq!(check_filter(subscription.filter), Ok(()));
                seen += usize::from(share(subscription.filter).is_some());
            }
        }
        Packet::Unsubscribe(unsubscribe) => assert_ne!(unsubscribe.filters().count(), 0),
        Packet::Suback(suback) => seen += suback.reasons().count(),
        Packet::Unsuback(unsuback) => seen += unsuback.reasons().count(),
        Packet::Disconnect(disconnect) => {
            seen += usize::from(disconnect.check_from_client().is_ok());
            seen += usize::from(disconnect.check_from_server().is_ok());
        }
        Packet::Auth(auth) => {
            assert!(auth.check_from_client().is_ok() || auth.check_from_server().is_ok());
        }
        _ => {}
    }
    seen
}

const RECEIVED: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASED: &[u8] = &[0x00, 0x92];
const SUBACK_V5: &[u8] = &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
const SUBACK_V311: &[u8] = &[0, 1, 2, 0x80];
const UNSUBACK: &[u8] = &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
const DISCONNECT: &[u8] = &[0x00, 0x04, 0x80, 0x81, 0x8B, 0x8D, 0x8E, 0x93, 0x9D, 0xA2];
const AUTH: &[u8] = &[0x00, 0x18, 0x19];

proptest! {
    #[test]
    fn a_connect_reads_back(version in some::version(), connect in some::connect()) {
        let connect = connect.view(version);
        let bytes = round_trip(version, &Packet::Connect(connect));
        let header = header(&bytes).unwrap().unwrap();
        prop_assert_eq!(connect_version(header, &bytes), Some(version));
    }

    #[test]
    fn a_connack_reads_back(version in some::version(), connack in some::connack()) {
        round_trip(version, &Packet::Connack(connack.view(version)));
    }

    /// [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20]: all of it unaltered.
    #[test]
    fn a_publish_reads_back(version in some::version(), publish in some::publish()) {
        let packet = publish.view(version);
        let bytes = round_trip(version, &Packet::Publish(packet));
        let extras = PublishExtras {
            topic_alias: packet.topic_alias,
            subscription_ids: packet.subscription_ids,
            ..PublishExtras::of(&packet.publish())
        };
        prop_assert_eq!(publish_len(version, &packet.publish(), &extras), Ok(bytes.len()));
    }

    #[test]
    fn acknowledgements_read_back(
        version in some::version(),
        received in some::ack(RECEIVED),
        released in some::ack(RELEASED),
    ) {
        let (received, released) = (received.view(version), released.view(version));
        round_trip(version, &Packet::Puback(received));
        round_trip(version, &Packet::Pubrec(received));
        round_trip(version, &Packet::Pubrel(released));
        round_trip(version, &Packet::Pubcomp(released));
    }

    #[test]
    fn a_subscribe_reads_back(
        version in some::version(),
        ack in some::ack(RECEIVED),
        id in proptest::option::of(some::subscription_id()),
        subscriptions in some::subscriptions(),
    ) {
        let views: Vec<_> = subscriptions.iter().map(|one| one.view(version, id)).collect();
        let ack_view = ack.view(version);
        let mut bytes = Vec::new();
        encode_subscribe(&mut bytes, version, ack_view.packet_id, id, ack_view.user, &views).unwrap();
        let Packet::Subscribe(packet) = check(version, &bytes) else { panic!("no SUBSCRIBE") };
        prop_assert_eq!(packet.packet_id, ack_view.packet_id);
        prop_assert_eq!(packet.user, ack.user(version));
        prop_assert_eq!(packet.subscriptions().count(), views.len());
        for (found, view) in packet.subscriptions().zip(views) {
            match found {
                Ok(found) => prop_assert_eq!(found, view),
                Err(reason) => prop_assert_eq!(reason, ReasonCode::TOPIC_FILTER_INVALID),
            }
            let is_share = view.filter.starts_with("$share/");
            if !is_share {
                prop_assert_eq!(found.is_ok(), check_filter(view.filter).is_ok());
            }
        }
    }

    #[test]
    fn an_unsubscribe_reads_back(
        version in some::version(),
        ack in some::ack(RECEIVED),
        subscriptions in some::subscriptions(),
    ) {
        let filters: Vec<_> = subscriptions.iter().map(|one| one.filter.as_str()).collect();
        let ack_view = ack.view(version);
        let mut bytes = Vec::new();
        encode_unsubscribe(&mut bytes, version, ack_view.packet_id, ack_view.user, &filters).unwrap();
        let Packet::Unsubscribe(packet) = check(version, &bytes) else { panic!("no UNSUBSCRIBE") };
        prop_assert_eq!(packet.packet_id, ack_view.packet_id);
        prop_assert_eq!(packet.user, ack.user(version));
        prop_assert_eq!(packet.filters().count(), filters.len());
        for (found, filter) in packet.filters().zip(filters) {
            prop_assert!(found == Ok(filter) || found == Err(ReasonCode::TOPIC_FILTER_INVALID));
        }
    }

    #[test]
    fn subacks_and_unsubacks_read_back(
        version in some::version(),
        ack in some::ack(RECEIVED),
        suback_v5 in vec(select(SUBACK_V5), 1..6),
        suback_v311 in vec(select(SUBACK_V311), 1..6),
        unsuback in vec(select(UNSUBACK), 1..6),
    ) {
        let suback = if version == Version::V5 { &suback_v5 } else { &suback_v311 };
        round_trip(version, &Packet::Suback(ack.suback(version, suback)));
        round_trip(version, &Packet::Unsuback(ack.unsuback(version, &unsuback)));
    }

    #[test]
    fn disconnect_and_auth_read_back(
        version in some::version(),
        disconnect in some::end(DISCONNECT),
        auth in some::end(AUTH),
    ) {
        round_trip(version, &Packet::Disconnect(disconnect.disconnect(version)));
        round_trip(Version::V5, &Packet::Auth(auth.auth()));
        round_trip(version, &Packet::Pingreq);
        round_trip(version, &Packet::Pingresp);
    }

    /// Reads any bytes; what they read as is encoded to something that reads the same.
    #[test]
    fn any_bytes_read_or_are_refused(version in some::version(), bytes in vec(any::<u8>(), 0..64)) {
        read_anything(version, &bytes);
        if let Some((&first, body)) = bytes.split_first() {
            read_anything(version, &framed(first, body));
        }
    }

    /// Packets with a few bytes changed, added or removed come further into the codec.
    #[test]
    fn damaged_packets_read_or_are_refused(
        version in some::version(),
        connect in some::connect(),
        connack in some::connack(),
        publish in some::publish(),
        end in some::end(DISCONNECT),
        damage in vec((any::<u16>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        for packet in [
            Packet::Connect(connect.view(version)),
            Packet::Connack(connack.view(version)),
            Packet::Publish(publish.view(version)),
            Packet::Disconnect(end.disconnect(version)),
        ] {
            let bytes = round_trip(version, &packet);
            let header = header(&bytes).unwrap().unwrap();
            let mut body = bytes[header.header_len..].to_vec();
            for &(at, value, how) in &damage {
                let at = usize::from(at) % (body.len() + 1);
                match how {
                    0 => body.insert(at, value),
                    1 if at < body.len() => drop(body.remove(at)),
                    _ if at < body.len() => body[at] ^= value,
                    _ => {}
                }
            }
            read_anything(version, &framed(bytes[0], &body));
        }
    }

    #[test]
    fn a_user_property_list_is_kept_in_order(list in some::pairs()) {
        let user = User::new(&list);
        let mut seen = Vec::new();
        user.for_each(&mut |name, value| seen.push((name.to_owned(), value.to_owned())));
        prop_assert_eq!(seen, list);
    }
}

fn read_anything(version: Version, bytes: &[u8]) {
    let Ok(Some(found)) = header(bytes) else { return };
    let named = connect_version(found, bytes);
    let Some(bytes) = bytes.get(..found.total_len()) else { return };
    let Ok(packet) = decode(version, found, bytes) else { return };
    touch(&packet);
    let version = match packet {
        Packet::Connect(connect) => {
            assert_eq!(named, Some(connect.version));
            connect.version
        }
        _ => version,
    };
    let mut again = Vec::new();
    encode(&mut again, version, &packet).unwrap();
    assert!(again.len() <= bytes.len(), "defaults are left out");
    assert_eq!(read(version, &again), Ok(packet));
}
