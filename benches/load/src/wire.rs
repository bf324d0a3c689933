//! As much of MQTT 3.1.1 and 5.0 as a load needs. It shares nothing with the engine's codec, so that
//! a mistake there is not made twice.

/// The protocol's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Version {
    /// MQTT 3.1.1.
    #[value(name = "3.1.1")]
    V3,
    /// MQTT 5.0.
    #[value(name = "5.0")]
    V5,
}

/// Bytes of a payload that carry a [`Label`].
pub(crate) const LABEL: usize = 24;

/// DISCONNECT, without a reason.
pub(crate) const DISCONNECT: [u8; 2] = [0xe0, 0];

/// What a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Which run of the generator it belongs to.
    pub(crate) run: u32,
    /// The topic's number.
    pub(crate) channel: u32,
    /// The publisher's running number, over all its topics.
    pub(crate) number: u64,
    /// When it was published, or due to be, in nanoseconds of the generator's clock.
    pub(crate) stamp: u64,
}

impl Label {
    fn read(payload: &[u8]) -> Option<Self> {
        let (run, rest) = payload.split_first_chunk()?;
        let (channel, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (stamp, _) = rest.split_first_chunk()?;
        Some(Self {
            run: u32::from_be_bytes(*run),
            channel: u32::from_be_bytes(*channel),
            number: u64::from_be_bytes(*number),
            stamp: u64::from_be_bytes(*stamp),
        })
    }

    fn write(self, payload: &mut [u8]) {
        payload[..4].copy_from_slice(&self.run.to_be_bytes());
        payload[4..8].copy_from_slice(&self.channel.to_be_bytes());
        payload[8..16].copy_from_slice(&self.number.to_be_bytes());
        payload[16..LABEL].copy_from_slice(&self.stamp.to_be_bytes());
    }
}

/// A packet of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    ConnAck {
        reason: u8,
        /// How many publishes the server takes unanswered; 65,535 unless it says so.
        receive_maximum: u16,
    },
    /// The worst of its codes: refused from 0x80 on, else the QoS granted.
    SubAck {
        code: u8,
    },
    PubAck {
        reason: u8,
    },
    PubRec {
        packet_id: u16,
        reason: u8,
    },
    PubRel {
        packet_id: u16,
    },
    PubComp,
    /// `packet_id` is 0 at QoS 0; no label where the payload is not one of ours.
    Publish {
        qos: u8,
        packet_id: u16,
        label: Option<Label>,
    },
    Disconnect {
        reason: u8,
    },
    Other,
}

/// Takes a packet off the front of `bytes`: what it is and how long. `Ok(None)` where it is not all
/// there.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn read(
    bytes: &[u8],
    version: Version,
) -> Result<Option<(Packet, usize)>, &'static str> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, after)) = varint(rest)? else { return Ok(None) };
    let Some(body) = after.get(..length) else { return Ok(None) };
    let total = bytes.len() - after.len() + length;
    let packet = match first >> 4 {
        2 => connack(body, version)?,
        3 => publish(first, body, version)?,
        4 => Packet::PubAck { reason: body.get(2).copied().unwrap_or(0) },
        5 => Packet::PubRec {
            packet_id: packet_id(body)?,
            reason: body.get(2).copied().unwrap_or(0),
        },
        6 => Packet::PubRel { packet_id: packet_id(body)? },
        7 => Packet::PubComp,
        9 => suback(body, version)?,
        14 => Packet::Disconnect { reason: body.first().copied().unwrap_or(0) },
        _ => Packet::Other,
    };
    Ok(Some((packet, total)))
}

/// A variable byte integer and what follows it; `Ok(None)` where it does not end yet.
fn varint(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, &'static str> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, &bytes[at + 1..])));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err("a length of more than four bytes") }
}

const SHORT: &str = "a packet that ends too early";

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), &'static str> {
    bytes.split_first_chunk().map(|(first, rest)| (*first, rest)).ok_or(SHORT)
}

fn packet_id(body: &[u8]) -> Result<u16, &'static str> {
    Ok(u16::from_be_bytes(take(body)?.0))
}

/// Splits a block of properties off.
fn properties(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (length, rest) = varint(bytes)?.ok_or(SHORT)?;
    rest.split_at_checked(length).ok_or(SHORT)
}

fn connack(body: &[u8], version: Version) -> Result<Packet, &'static str> {
    let ([_flags, reason], rest) = take(body)?;
    let mut receive_maximum = u16::MAX;
    if version == Version::V5 && !rest.is_empty() {
        let (mut block, _) = properties(rest)?;
        while let Some((id, value)) = block.split_first() {
            let length = match id {
                // Of one byte: Maximum QoS, Retain Available, the three other features.
                0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
                // Of two bytes: Server Keep Alive, Receive Maximum, Topic Alias Maximum.
                0x13 | 0x21 | 0x22 => 2,
                // Of four bytes: Session Expiry Interval, Maximum Packet Size.
                0x11 | 0x27 => 4,
                // Two strings: User Property.
                0x26 => {
                    let (name, rest) = take(value)?;
                    let name = 2 + usize::from(u16::from_be_bytes(name));
                    let (text, _) = take(rest.get(name - 2..).ok_or(SHORT)?)?;
                    name + 2 + usize::from(u16::from_be_bytes(text))
                }
                // A string or binary data.
                0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                    2 + usize::from(u16::from_be_bytes(take(value)?.0))
                }
                _ => return Err("a property that CONNACK cannot have"),
            };
            if *id == 0x21 {
                receive_maximum = u16::from_be_bytes(take(value)?.0);
            }
            block = value.get(length..).ok_or(SHORT)?;
        }
    }
    Ok(Packet::ConnAck { reason, receive_maximum })
}

fn suback(body: &[u8], version: Version) -> Result<Packet, &'static str> {
    let ([_, _], mut codes) = take(body)?;
    if version == Version::V5 {
        codes = properties(codes)?.1;
    }
    let refused = codes.iter().copied().find(|code| *code >= 0x80);
    let lowest = codes.iter().copied().min().ok_or(SHORT)?;
    Ok(Packet::SubAck { code: refused.unwrap_or(lowest) })
}

fn publish(first: u8, body: &[u8], version: Version) -> Result<Packet, &'static str> {
    let (length, rest) = take(body)?;
    let mut rest = rest.get(usize::from(u16::from_be_bytes(length))..).ok_or(SHORT)?;
    let mut packet_id = 0;
    if first & 0x06 != 0 {
        let (id, after) = take(rest)?;
        (packet_id, rest) = (u16::from_be_bytes(id), after);
    }
    if version == Version::V5 {
        rest = properties(rest)?.1;
    }
    Ok(Packet::Publish { qos: first >> 1 & 3, packet_id, label: Label::read(rest) })
}

/// Starts a packet with a body of so many bytes.
fn begin(out: &mut Vec<u8>, first: u8, mut body: usize) {
    out.push(first);
    loop {
        let low = u8::try_from(body & 0x7f).unwrap_or(0);
        body >>= 7;
        out.push(low | if body > 0 { 0x80 } else { 0 });
        if body == 0 {
            return;
        }
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // The generator's own names are short.
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// CONNECT without keep alive: with a clean session, or with one that stays for an hour where
/// `keeps` (in 3.1.1: for as long as the broker likes).
pub(crate) fn connect(out: &mut Vec<u8>, version: Version, client_id: &str, keeps: bool) {
    let (level, properties) = match (version, keeps) {
        (Version::V3, _) => (4, &b""[..]),
        (Version::V5, false) => (5, &b"\0"[..]),
        // The Session Expiry Interval.
        (Version::V5, true) => (5, &b"\x05\x11\0\0\x0e\x10"[..]),
    };
    begin(out, 0x10, 12 + properties.len() + client_id.len());
    string(out, "MQTT");
    out.extend_from_slice(&[level, if keeps { 0 } else { 0x02 }, 0, 0]);
    out.extend_from_slice(properties);
    string(out, client_id);
}

/// SUBSCRIBE to all `filters` at `qos`.
pub(crate) fn subscribe(out: &mut Vec<u8>, version: Version, id: u16, filters: &[String], qos: u8) {
    let extra = usize::from(version == Version::V5);
    let texts: usize = filters.iter().map(|filter| filter.len() + 3).sum();
    begin(out, 0x82, 2 + extra + texts);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend(std::iter::repeat_n(0, extra));
    for filter in filters {
        string(out, filter);
        out.push(qos);
    }
}

/// UNSUBSCRIBE from all `filters`.
pub(crate) fn unsubscribe(out: &mut Vec<u8>, version: Version, id: u16, filters: &[String]) {
    let extra = usize::from(version == Version::V5);
    let texts: usize = filters.iter().map(|filter| filter.len() + 2).sum();
    begin(out, 0xa2, 2 + extra + texts);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend(std::iter::repeat_n(0, extra));
    filters.iter().for_each(|filter| string(out, filter));
}

/// First bytes of the packets that only name another one.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;

/// One of these, with success.
pub(crate) fn ack(out: &mut Vec<u8>, first: u8, packet_id: u16) {
    out.extend_from_slice(&[first, 2]);
    out.extend_from_slice(&packet_id.to_be_bytes());
}

/// A PUBLISH made once and filled in for each message.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    /// Where the packet id is, if it has one.
    packet_id: Option<usize>,
    label: usize,
    run: u32,
    channel: u32,
}

impl Frame {
    /// `payload` bytes, of which there are at least [`LABEL`], to `topic`.
    pub(crate) fn new(
        version: Version,
        topic: &str,
        channel: u32,
        qos: u8,
        payload: usize,
    ) -> Self {
        let payload = payload.max(LABEL);
        let extra = usize::from(version == Version::V5);
        let id = if qos > 0 { 2 } else { 0 };
        let mut bytes = Vec::new();
        begin(&mut bytes, 0x30 | (qos << 1), 2 + topic.len() + id + extra + payload);
        string(&mut bytes, topic);
        let packet_id = (qos > 0).then_some(bytes.len());
        bytes.extend(std::iter::repeat_n(0, id + extra));
        let label = bytes.len();
        bytes.extend(std::iter::repeat_n(b'x', payload));
        Self { bytes, packet_id, label, run: std::process::id(), channel }
    }

    /// Appends message `number`. Its packet id goes round from 1 to 65,535.
    pub(crate) fn write(&self, out: &mut Vec<u8>, number: u64, stamp: u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let bytes = &mut out[start..];
        if let Some(at) = self.packet_id {
            let id = u16::try_from(number % u64::from(u16::MAX) + 1).unwrap_or(1);
            bytes[at..at + 2].copy_from_slice(&id.to_be_bytes());
        }
        Label { run: self.run, channel: self.channel, number, stamp }
            .write(&mut bytes[self.label..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_only_when_it_is_whole() {
        for version in [Version::V3, Version::V5] {
            for (qos, packet_id) in [(0, 0), (1, 1), (2, 1)] {
                let frame = Frame::new(version, "a/b", 7, qos, 200);
                let mut bytes = Vec::new();
                frame.write(&mut bytes, u64::from(u16::MAX), 99);
                let run = std::process::id();
                let label = Label { run, channel: 7, number: u64::from(u16::MAX), stamp: 99 };
                let expected = Packet::Publish { qos, packet_id, label: Some(label) };
                assert_eq!(read(&bytes, version), Ok(Some((expected, bytes.len()))));
                for end in 0..bytes.len() {
                    assert_eq!(read(&bytes[..end], version), Ok(None));
                }
            }
        }
    }

    #[test]
    fn packets_are_those_of_the_specification() {
        let mut out = Vec::new();
        connect(&mut out, Version::V3, "c", false);
        assert_eq!(out, b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c");
        out.clear();
        connect(&mut out, Version::V5, "c", false);
        assert_eq!(out, b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c");
        out.clear();
        connect(&mut out, Version::V5, "c", true);
        assert_eq!(out, b"\x10\x13\0\x04MQTT\x05\0\0\0\x05\x11\0\0\x0e\x10\0\x01c");
        out.clear();
        subscribe(&mut out, Version::V5, 2, &["a".to_owned(), "b/#".to_owned()], 1);
        assert_eq!(out, b"\x82\x0d\0\x02\0\0\x01a\x01\0\x03b/#\x01");
        out.clear();
        unsubscribe(&mut out, Version::V3, 3, &["b/#".to_owned()]);
        assert_eq!(out, b"\xa2\x07\0\x03\0\x03b/#");
        out.clear();
        ack(&mut out, PUBACK, 258);
        assert_eq!(out, b"\x40\x02\x01\x02");
    }

    #[test]
    fn answers_are_read() {
        let read_one = |bytes: &[u8], version| read(bytes, version).map(|found| found.unwrap().0);
        let connected = |reason, receive_maximum| Ok(Packet::ConnAck { reason, receive_maximum });
        assert_eq!(read_one(b"\x20\x02\0\x05", Version::V3), connected(5, u16::MAX));
        let v5 = b"\x20\x11\0\0\x0e\x26\0\x01a\0\x01b\x24\x01\x21\0\x14\x2a\0";
        assert_eq!(read_one(v5, Version::V5), connected(0, 20));
        assert_eq!(
            read_one(b"\x90\x04\0\x01\x01\x87", Version::V3),
            Ok(Packet::SubAck { code: 0x87 })
        );
        assert_eq!(
            read_one(b"\x90\x05\0\x01\0\x01\0", Version::V5),
            Ok(Packet::SubAck { code: 0 })
        );
        assert_eq!(read_one(b"\x40\x02\0\x01", Version::V5), Ok(Packet::PubAck { reason: 0 }));
        assert_eq!(
            read_one(b"\x40\x03\0\x01\x97", Version::V5),
            Ok(Packet::PubAck { reason: 0x97 })
        );
        let received = Packet::PubRec { packet_id: 1, reason: 0x97 };
        assert_eq!(read_one(b"\x50\x03\0\x01\x97", Version::V5), Ok(received));
        let released = Packet::PubRel { packet_id: 258 };
        assert_eq!(read_one(b"\x62\x02\x01\x02", Version::V3), Ok(released));
        assert_eq!(read_one(b"\x70\x02\0\x01", Version::V3), Ok(Packet::PubComp));
        assert_eq!(read_one(&DISCONNECT, Version::V5), Ok(Packet::Disconnect { reason: 0 }));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(read(&[0x30, 0xff, 0xff, 0xff, 0xff, 1], Version::V3).is_err());
        assert!(read(b"\x30\x02\0\x09", Version::V3).is_err(), "a topic longer than its packet");
        assert!(read(b"\x20\x05\0\0\x02\x99\0", Version::V5).is_err(), "an unknown property");
    }
}
