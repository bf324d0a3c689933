//! SUBACK and UNSUBACK (MQTT 5.0 sections 3.9 and 3.11).

use mqtt_plane::{ReasonCode, Version};

use super::cursor::Cursor;
use super::reasons::{self, Reasons};
use super::{Malformed, User, ack};

/// The answer to a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suback<'a> {
    /// Packet Identifier of the SUBSCRIBE, not 0.
    pub packet_id: u16,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Property, in order.
    pub user: User<'a>,
    /// The reason codes as bytes, one a filter in the order of the filters [MQTT-3.9.3-1]; at
    /// least one.
    pub codes: &'a [u8],
}

impl<'a> Suback<'a> {
    /// The reason code of each filter, in order.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonCode> + Clone + use<'a> {
        self.codes.iter().copied().map(ReasonCode)
    }
}

/// The answer to an UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsuback<'a> {
    /// Packet Identifier of the UNSUBSCRIBE, not 0.
    pub packet_id: u16,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Property, in order.
    pub user: User<'a>,
    /// The reason codes as bytes, one a filter in the order of the filters [MQTT-3.11.3-1]; at
    /// least one, but in 3.1.1, where there are none.
    pub codes: &'a [u8],
}

impl<'a> Unsuback<'a> {
    /// The reason code of each filter, in order.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonCode> + Clone + use<'a> {
        self.codes.iter().copied().map(ReasonCode)
    }
}

pub(super) fn decode<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Suback<'a>, Malformed> {
    let packet_id = cursor.packet_id()?;
    let (reason_string, user) = match version {
        Version::V5 => ack::decode_properties(cursor)?,
        Version::V311 => (None, User::NONE),
    };
    let codes = codes(cursor)?;
    for &code in codes {
        reasons::suback(version, code)?;
    }
    Ok(Suback { packet_id, reason_string, user, codes })
}

pub(super) fn decode_unsuback<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Unsuback<'a>, Malformed> {
    let packet_id = cursor.packet_id()?;
    if version == Version::V311 {
        return Ok(Unsuback { packet_id, reason_string: None, user: User::NONE, codes: &[] });
    }
    let (reason_string, user) = ack::decode_properties(cursor)?;
    let codes = codes(cursor)?;
    for &code in codes {
        Reasons::Unsuback.check(code)?;
    }
    Ok(Unsuback { packet_id, reason_string, user, codes })
}

/// One code for each filter of the request, which has at least one [MQTT-3.8.3-2],
/// [MQTT-3.10.3-2].
fn codes<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    match cursor.rest() {
        [] => Err(Malformed::protocol("acknowledgement without a reason code")),
        codes => Ok(codes),
    }
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::tests::{assert_both_ways, assert_refused, pairs, read};
    use crate::wire::{Packet, encode_suback, encode_unsuback};

    #[test]
    fn a_suback_has_one_code_a_filter_in_order() {
        let user = pairs(&[("k", "v")]);
        let full = Suback {
            packet_id: 10,
            reason_string: Some("r"),
            user: User::new(&user),
            codes: &[0, 1, 2, 0x8F, 0x80],
        };
        assert_both_ways(
            V5,
            0x90,
            r#"000a 0b 1f "r" 26 "k" "v" 00 01 02 8f 80"#,
            &Packet::Suback(full),
        );
        let plain = Suback { reason_string: None, user: User::NONE, ..full };
        assert_both_ways(V5, 0x90, "000a 00 00 01 02 8f 80", &Packet::Suback(plain));
        let old = Suback { codes: &[0, 1, 2, 0x80], ..plain };
        assert_both_ways(V311, 0x90, "000a 00 01 02 80", &Packet::Suback(old));
        assert_eq!(full.reasons().len(), 5);
        assert_eq!(full.reasons().nth(3), Some(ReasonCode::TOPIC_FILTER_INVALID));
    }

    #[test]
    fn an_unsuback_has_one_code_a_filter_in_order() {
        let plain =
            Unsuback { packet_id: 10, reason_string: None, user: User::NONE, codes: &[0, 0x11] };
        assert_both_ways(V5, 0xB0, "000a 00 00 11", &Packet::Unsuback(plain));
        assert_eq!(plain.reasons().nth(1), Some(ReasonCode::NO_SUBSCRIPTION_EXISTED));
        let old = Unsuback { codes: &[], ..plain };
        assert_both_ways(V311, 0xB0, "000a", &Packet::Unsuback(old));
        assert_eq!(old.reasons().len(), 0);
    }

    #[test]
    fn malformed_subacks_and_unsubacks_are_refused() {
        assert_refused(
            V5,
            0x90,
            &[
                ("0000 00 00", 0x82, "packet identifier is 0"),
                ("000a", 0x81, "packet ends within a field"),
                ("000a 00", 0x82, "acknowledgement without a reason code"),
                // [MQTT-3.9.3-2]
                ("000a 00 00 03", 0x82, "reason code that this packet does not have"),
                ("000a 02 0b 01 00", 0x81, "property that this packet does not have"),
            ],
        );
        assert_refused(
            V311,
            0x90,
            &[
                ("000a", 0x82, "acknowledgement without a reason code"),
                // [MQTT-3.9.3-2] of 3.1.1
                ("000a 00 87", 0x81, "reserved SUBACK return code"),
            ],
        );
        assert_refused(
            V5,
            0xB0,
            &[
                ("000a 00", 0x82, "acknowledgement without a reason code"),
                // [MQTT-3.11.3-2]
                ("000a 00 01", 0x82, "reason code that this packet does not have"),
            ],
        );
        assert_refused(V311, 0xB0, &[("000a 00", 0x81, "packet goes on behind its last field")]);
    }

    #[test]
    fn a_refused_filter_is_0x80_to_a_3_1_1_client() {
        let reasons = [ReasonCode(1), ReasonCode::NOT_AUTHORIZED, ReasonCode::SERVER_BUSY];
        let mut out = Vec::new();
        encode_suback(&mut out, V311, 10, None, &reasons).unwrap();
        assert_eq!(out, [0x90, 5, 0, 10, 1, 0x80, 0x80]);
        out.clear();
        encode_suback(&mut out, V5, 10, None, &reasons).unwrap();
        assert_eq!(out, [0x90, 6, 0, 10, 0, 1, 0x87, 0x80]);
        out.clear();
        encode_unsuback(&mut out, V5, 10, None, &reasons[1..]).unwrap();
        assert_eq!(out, [0xB0, 5, 0, 10, 0, 0x87, 0x80]);
        assert!(read(V5, &out).is_ok());
    }
}
