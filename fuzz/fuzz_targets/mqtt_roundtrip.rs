//! What is read is encoded to something that reads the same; what is encoded reads back.

#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use mqtt::wire::{
    Packet, PublishExtras, SubscriptionIdView, decode, encode, encode_publish, header, publish_len,
    set_packet_id, set_publish_flags,
};
use mqtt_plane::{
    PayloadFormat, Publish, PublishProperties, Qos, UserProperties, Version, check_topic,
};

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let version = if first & 1 == 0 { Version::V311 } else { Version::V5 };
    if first & 2 == 0 {
        read_and_encode(version, rest);
    } else {
        // Too few bytes for a message.
        let _ = encode_and_read(version, &mut Unstructured::new(rest));
    }
});

fn read_and_encode(version: Version, bytes: &[u8]) {
    let Ok(Some(found)) = header(bytes) else { return };
    let Some(bytes) = bytes.get(..found.total_len()) else { return };
    let Ok(packet) = decode(version, found, bytes) else { return };
    let version = match &packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    let mut out = Vec::new();
    encode(&mut out, version, &packet).expect("no longer than it was");
    assert!(out.len() <= bytes.len());
    assert_eq!(read(version, &out), packet);
    let mut again = Vec::new();
    encode(&mut again, version, &read(version, &out)).expect("no longer than it was");
    assert_eq!(again, out);
}

fn read(version: Version, bytes: &[u8]) -> Packet<'_> {
    let found = header(bytes).expect("a header").expect("a whole header");
    assert_eq!(found.total_len(), bytes.len());
    decode(version, found, bytes).expect("well-formed")
}

fn encode_and_read(version: Version, source: &mut Unstructured<'_>) -> Result<()> {
    let qos = *source.choose(&[Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce])?;
    let topic = text(source)?;
    let user: Vec<(String, String)> = source.arbitrary()?;
    let list: Vec<u32> = source.arbitrary()?;
    let valid = |text: &str| !text.contains('\0');
    let format = *source.choose(&[PayloadFormat::Bytes, PayloadFormat::Utf8])?;
    let publish = Publish {
        topic: &topic,
        qos,
        retain: source.arbitrary()?,
        properties: PublishProperties {
            payload_format: source.arbitrary::<bool>()?.then_some(format),
            message_expiry: source.arbitrary()?,
            content_type: source.arbitrary::<Option<&str>>()?.filter(|text| valid(text)),
            response_topic: source
                .arbitrary::<Option<&str>>()?
                .filter(|topic| check_topic(topic).is_ok()),
            correlation_data: source.arbitrary()?,
            user: &user,
        },
        payload: source.arbitrary()?,
    };
    let ids_fit = list.iter().all(|id| (1..=268_435_455).contains(id));
    let extras = PublishExtras {
        dup: source.arbitrary()?,
        packet_id: source.int_in_range(1..=u16::MAX)?,
        topic_alias: source.arbitrary::<Option<u16>>()?.filter(|&alias| alias != 0),
        omits_topic: source.arbitrary()?,
        subscription_ids: SubscriptionIdView::new(if ids_fit { &list } else { &[] }),
        ..PublishExtras::of(&publish)
    };
    let user_fits = user.iter().all(|(name, value)| valid(name) && valid(value));
    if check_topic(&topic).is_err() || !user_fits {
        // The caller's to keep out.
        return Ok(());
    }
    let mut out = vec![0xAA];
    let at = encode_publish(&mut out, version, &publish, &extras).expect("short enough");
    let frame = &mut out[1..];
    assert_eq!(publish_len(version, &publish, &extras), Ok(frame.len()));
    let Packet::Publish(packet) = read(version, frame) else { panic!("no PUBLISH") };
    assert_eq!((packet.qos, packet.retain, packet.payload), (qos, publish.retain, publish.payload));
    assert_eq!(packet.dup, extras.dup && qos != Qos::AtMostOnce);
    if !packet.topic.is_empty() {
        assert_eq!(packet.topic, topic);
    }
    if version == Version::V5 {
        assert_eq!(packet.topic_alias, extras.topic_alias);
        assert_eq!(packet.message_expiry, extras.message_expiry);
        assert_eq!(packet.content_type, publish.properties.content_type);
        assert_eq!(packet.response_topic, publish.properties.response_topic);
        assert_eq!(packet.correlation_data, publish.properties.correlation_data);
        assert_eq!(packet.subscription_ids, extras.subscription_ids);
        let mut seen = Vec::new();
        packet.user.for_each(&mut |name, value| seen.push((name.to_owned(), value.to_owned())));
        assert_eq!(seen, user);
    }
    if qos != Qos::AtMostOnce {
        set_packet_id(frame, at, 0xABCD);
        set_publish_flags(frame, true, Qos::ExactlyOnce, false);
        let Packet::Publish(packet) = read(version, frame) else { panic!("no PUBLISH") };
        assert_eq!((packet.packet_id, packet.qos), (0xABCD, Qos::ExactlyOnce));
        assert!(packet.dup && !packet.retain);
    }
    Ok(())
}

fn text(source: &mut Unstructured<'_>) -> Result<String> {
    let text: &str = source.arbitrary()?;
    Ok(format!("t{text}"))
}
