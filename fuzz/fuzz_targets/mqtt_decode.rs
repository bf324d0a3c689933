//! A byte stream from a peer, in both versions: no panic, and nothing read that a rule of topic
//! names, filters or identifiers forbids.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt::wire::{Packet, connect_version, decode, header, share};
use mqtt_plane::{UserProperties, Version, check_filter, check_topic};

fuzz_target!(|stream: &[u8]| {
    read_stream(Version::V311, stream);
    read_stream(Version::V5, stream);
});

fn read_stream(version: Version, mut stream: &[u8]) {
    while let Ok(Some(found)) = header(stream) {
        let version_named = connect_version(found, stream);
        let Some((packet, rest)) = stream.split_at_checked(found.total_len()) else { return };
        match decode(version, found, packet) {
            Ok(packet) => check(version_named, &packet),
            Err(malformed) => {
                assert!(malformed.reason.is_error());
                return;
            }
        }
        stream = rest;
    }
}

fn check(version_named: Option<Version>, packet: &Packet<'_>) {
    match packet {
        Packet::Connect(connect) => {
            assert_eq!(version_named, Some(connect.version));
            check_user(&connect.properties.user);
            if let Some(will) = &connect.will {
                assert_eq!(check_topic(will.topic), Ok(()));
                check_user(&will.user);
                let owned = will.to_will();
                assert_eq!(owned.publish().payload, will.payload);
            }
        }
        Packet::Publish(publish) => {
            match publish.topic {
                "" => assert!(publish.topic_alias.is_some()),
                topic => assert_eq!(check_topic(topic), Ok(())),
            }
            assert_eq!(publish.packet_id == 0, publish.qos as u8 == 0);
            assert!(publish.topic_alias != Some(0));
            if let Some(topic) = publish.response_topic {
                assert_eq!(check_topic(topic), Ok(()));
            }
            assert!(publish.subscription_ids.iter().all(|id| (1..=268_435_455).contains(&id)));
            check_user(publish.properties().user);
            let _ = publish.keeps_payload_format();
        }
        Packet::Subscribe(subscribe) => {
            assert!(subscribe.subscriptions().next().is_some());
            for subscription in subscribe.subscriptions().flatten() {
                assert_eq!(check_filter(subscription.filter), Ok(()));
                if let Some((name, filter)) = share(subscription.filter) {
                    assert!(!name.is_empty() && !filter.is_empty());
                }
            }
        }
        Packet::Unsubscribe(unsubscribe) => {
            assert!(unsubscribe.filters().next().is_some());
            for filter in unsubscribe.filters().flatten() {
                assert_eq!(check_filter(filter), Ok(()));
            }
        }
        _ => {}
    }
}

fn check_user(user: &dyn UserProperties) {
    user.for_each(&mut |name, value| assert!(!name.contains('\0') && !value.contains('\0')));
}
