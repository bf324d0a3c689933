//! What the tests of the codec share, and its property tests.

mod recorded;
mod roundtrip;
mod strategies;

use mqtt_plane::Version;

use super::header::MAX_REMAINING_LEN;
use super::{Malformed, Packet, decode, encode, header};

/// Bytes in a readable notation, separated by blanks: hexadecimal digits; `'text'` for the bytes of
/// a text; `"text"` for a string behind its two bytes of length. No blanks in texts.
pub(super) fn bytes(notation: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for token in notation.split_whitespace() {
        if let Some(text) = quoted(token, '"') {
            bytes.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        } else if let Some(text) = quoted(token, '\'') {
            bytes.extend_from_slice(text.as_bytes());
        } else {
            for pair in token.as_bytes().chunks(2) {
                let pair = std::str::from_utf8(pair).unwrap();
                assert_eq!(pair.len(), 2, "half a byte in {token}");
                bytes.push(u8::from_str_radix(pair, 16).unwrap());
            }
        }
    }
    bytes
}

fn quoted(token: &str, quote: char) -> Option<&str> {
    token.strip_prefix(quote)?.strip_suffix(quote)
}

/// A packet with `body` behind its fixed header.
pub(super) fn framed(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() <= MAX_REMAINING_LEN);
    let mut packet = vec![first];
    let mut rest = body.len();
    loop {
        let seven_bits = u8::try_from(rest & 0x7F).unwrap();
        rest >>= 7;
        if rest == 0 {
            packet.push(seven_bits);
            break;
        }
        packet.push(seven_bits | 0x80);
    }
    packet.extend_from_slice(body);
    packet
}

/// Reads the whole of `packet`, as a connection does.
pub(super) fn read(version: Version, packet: &[u8]) -> Result<Packet<'_>, Malformed> {
    let header = header(packet)?.expect("the fixed header is whole");
    assert_eq!(header.total_len(), packet.len(), "the packet is whole");
    decode(version, header, packet)
}

/// Checks that the packet of `first` and `body` reads as `expected`, and is what `expected` is
/// encoded to.
#[track_caller]
pub(super) fn assert_both_ways(version: Version, first: u8, body: &str, expected: &Packet<'_>) {
    let packet = framed(first, &bytes(body));
    assert_eq!(read(version, &packet).as_ref(), Ok(expected), "{body}");
    let mut out = Vec::new();
    encode(&mut out, version, expected).unwrap();
    assert_eq!(out, packet, "{body}");
}

/// Checks that each body, behind `first`, is refused with the reason code and the detail beside it.
#[track_caller]
pub(super) fn assert_refused(version: Version, first: u8, cases: &[(&str, u8, &str)]) {
    for &(body, reason, detail) in cases {
        let packet = framed(first, &bytes(body));
        match read(version, &packet) {
            Err(malformed) => {
                assert_eq!((malformed.reason.0, malformed.detail), (reason, detail), "{body}");
            }
            Ok(packet) => panic!("{body} reads as {packet:?}"),
        }
    }
}

/// A list of pairs for [`super::User::new`].
pub(super) fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn pings_are_empty() {
    for version in [Version::V311, Version::V5] {
        assert_both_ways(version, 0xC0, "", &Packet::Pingreq);
        assert_both_ways(version, 0xD0, "", &Packet::Pingresp);
        let more = [("00", 0x81, "packet goes on behind its last field")];
        assert_refused(version, 0xC0, &more);
        assert_refused(version, 0xD0, &more);
    }
}

#[test]
fn a_packet_is_exactly_as_long_as_its_header_says() {
    let packet = framed(0x30, &bytes(r#""a" 'hi'"#));
    let header = header(&packet).unwrap().unwrap();
    for packet in [&packet[..4], &[&packet[..], b"!"].concat(), &[]] {
        let refusal = decode(Version::V311, header, packet).unwrap_err();
        assert_eq!(refusal.detail, "packet is not as long as its header says", "{packet:02x?}");
    }
}
