//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5.0 sections 3.4 to 3.7).

use mqtt_plane::{ReasonCode, Version};

use super::cursor::Cursor;
use super::property::{Properties, Property, Set};
use super::reasons::Reasons;
use super::{Malformed, User};

/// The answer to a PUBLISH with QoS 1 or 2, or to such an answer. In 3.1.1 it has a packet
/// identifier and nothing else: the reason reads [`ReasonCode::SUCCESS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ack<'a> {
    /// Packet Identifier, not 0.
    pub packet_id: u16,
    /// Reason Code.
    pub reason: ReasonCode,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Property, in order.
    pub user: User<'a>,
}

impl Ack<'_> {
    /// An answer without properties.
    #[must_use]
    pub const fn new(packet_id: u16, reason: ReasonCode) -> Self {
        Self { packet_id, reason, reason_string: None, user: User::NONE }
    }
}

/// Reads an acknowledgement with the reason codes `reasons`.
#[inline]
pub(super) fn decode<'a>(
    version: Version,
    reasons: Reasons,
    cursor: &mut Cursor<'a>,
) -> Result<Ack<'a>, Malformed> {
    let mut ack = Ack::new(cursor.packet_id()?, ReasonCode::SUCCESS);
    // Both the reason code and the properties may be left out, the latter alone too.
    if version == Version::V311 || cursor.is_empty() {
        return Ok(ack);
    }
    ack.reason = reasons.check(cursor.u8()?)?;
    if cursor.is_empty() {
        return Ok(ack);
    }
    (ack.reason_string, ack.user) = decode_properties(cursor)?;
    Ok(ack)
}

/// The two properties that all acknowledgements have, SUBACK and UNSUBACK among them.
pub(super) fn decode_properties<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<(Option<&'a str>, User<'a>), Malformed> {
    let block = cursor.block()?;
    let mut properties = Properties::new(block, Set::ACK);
    let mut reason_string = None;
    while let Some(property) = properties.next()? {
        if let Property::ReasonString(text) = property {
            reason_string = Some(text);
        }
    }
    Ok((reason_string, User::found(&properties, block)))
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::tests::{assert_both_ways, assert_refused, bytes, framed, pairs, read};
    use crate::wire::{AckKind, Packet, encode_ack};

    /// First byte, and whether it is PUBREL or PUBCOMP.
    const KINDS: [(u8, AckKind, bool); 4] = [
        (0x40, AckKind::Puback, false),
        (0x50, AckKind::Pubrec, false),
        (0x62, AckKind::Pubrel, true),
        (0x70, AckKind::Pubcomp, true),
    ];

    fn packet(kind: AckKind, ack: Ack<'_>) -> Packet<'_> {
        match kind {
            AckKind::Puback => Packet::Puback(ack),
            AckKind::Pubrec => Packet::Pubrec(ack),
            AckKind::Pubrel => Packet::Pubrel(ack),
            AckKind::Pubcomp => Packet::Pubcomp(ack),
        }
    }

    #[test]
    fn acknowledgements_are_as_short_as_they_can_be() {
        let user = pairs(&[("k", "v"), ("k", "w")]);
        for (first, kind, released) in KINDS {
            let success = packet(kind, Ack::new(0x1234, ReasonCode::SUCCESS));
            assert_both_ways(V5, first, "1234", &success);
            assert_both_ways(V311, first, "1234", &success);
            let (code, reason) = if released {
                ("92", ReasonCode::PACKET_IDENTIFIER_NOT_FOUND)
            } else {
                ("97", ReasonCode::QUOTA_EXCEEDED)
            };
            let refused = packet(kind, Ack::new(7, reason));
            assert_both_ways(V5, first, &format!("0007 {code}"), &refused);
            let full =
                Ack { reason_string: Some("no"), user: User::new(&user), ..Ack::new(7, reason) };
            assert_both_ways(
                V5,
                first,
                &format!(r#"0007 {code} 13 1f "no" 26 "k" "v" 26 "k" "w""#),
                &packet(kind, full),
            );
        }
    }

    #[test]
    fn an_acknowledgement_may_spell_out_what_it_could_leave_out() {
        for body in ["0007 00", "0007 00 00"] {
            let bytes = framed(0x40, &bytes(body));
            let expected = Packet::Puback(Ack::new(7, ReasonCode::SUCCESS));
            assert_eq!(read(V5, &bytes), Ok(expected), "{body}");
        }
    }

    #[test]
    fn malformed_acknowledgements_are_refused() {
        for (first, _, released) in KINDS {
            assert_refused(
                V5,
                first,
                &[
                    ("", 0x81, "packet ends within a field"),
                    ("00", 0x81, "packet ends within a field"),
                    // [MQTT-2.2.1-5]: no PUBLISH has the identifier 0.
                    ("0000", 0x82, "packet identifier is 0"),
                    // [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]
                    ("0007 01", 0x82, "reason code that this packet does not have"),
                    (
                        if released { "0007 10" } else { "0007 92" },
                        0x82,
                        "reason code that this packet does not have",
                    ),
                    ("0007 00 01", 0x81, "property length reaches behind the packet"),
                    ("0007 00 00 00", 0x81, "packet goes on behind its last field"),
                    (r#"0007 00 08 1f "a" 1f "b""#, 0x82, "property more than once"),
                    ("0007 00 05 1100000001", 0x81, "property that this packet does not have"),
                    ("0007 00 04 1f0001ff", 0x81, "string is not well-formed UTF-8"),
                    ("0007 00 8000", 0x81, "integer takes more bytes than it needs"),
                ],
            );
            assert_refused(
                V311,
                first,
                &[("0007 00", 0x81, "packet goes on behind its last field")],
            );
        }
    }

    #[test]
    fn a_reason_that_an_acknowledgement_does_not_have_is_sent_as_the_general_one() {
        let sent = |kind, reason| {
            let mut out = Vec::new();
            encode_ack(&mut out, V5, kind, 7, reason);
            out
        };
        assert_eq!(
            sent(AckKind::Puback, ReasonCode::PROTOCOL_ERROR),
            [0x40, 3, 0, 7, ReasonCode::UNSPECIFIED_ERROR.0]
        );
        assert_eq!(
            sent(AckKind::Pubcomp, ReasonCode::PROTOCOL_ERROR),
            [0x70, 3, 0, 7, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND.0]
        );
        assert_eq!(sent(AckKind::Pubrel, ReasonCode::REAUTHENTICATE), [0x62, 2, 0, 7]);
    }
}
