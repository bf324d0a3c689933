//! Which reason codes each packet has (MQTT 5.0 section 2.4), and those of 3.1.1.

use mqtt_plane::{ReasonCode, Version};

use super::Malformed;

/// The packets that carry a reason code, by the codes that they have.
#[derive(Clone, Copy)]
pub(super) enum Reasons {
    /// [MQTT-3.2.2-8]
    Connack,
    /// PUBACK and PUBREC: [MQTT-3.4.2-1], [MQTT-3.5.2-1].
    Received,
    /// PUBREL and PUBCOMP: [MQTT-3.6.2-1], [MQTT-3.7.2-1].
    Released,
    /// [MQTT-3.9.3-2]
    Suback,
    /// [MQTT-3.11.3-2]
    Unsuback,
    /// [MQTT-3.14.2-1]; those of a server and those of a client.
    Disconnect,
    /// [MQTT-3.15.2-1]
    Auth,
}

impl Reasons {
    #[inline]
    pub(super) const fn contains(self, reason: ReasonCode) -> bool {
        match self {
            Self::Connack => matches!(
                reason.0,
                0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F
            ),
            Self::Received => {
                matches!(reason.0, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
            }
            Self::Released => matches!(reason.0, 0x00 | 0x92),
            Self::Suback => matches!(
                reason.0,
                0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2
            ),
            Self::Unsuback => {
                matches!(reason.0, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91)
            }
            Self::Disconnect => matches!(
                reason.0,
                0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8B | 0x8D..=0x90 | 0x93..=0xA2
            ),
            Self::Auth => matches!(reason.0, 0x00 | 0x18 | 0x19),
        }
    }

    /// Checks a code that was received.
    pub(super) const fn check(self, code: u8) -> Result<ReasonCode, Malformed> {
        let reason = ReasonCode(code);
        if self.contains(reason) {
            Ok(reason)
        } else {
            Err(Malformed::protocol("reason code that this packet does not have"))
        }
    }

    /// The code to send for `reason`: itself where the packet has it, else the general code of the
    /// same kind. AUTH has none for an error, and does not say success unasked.
    #[inline]
    pub(super) const fn sendable(self, reason: ReasonCode) -> ReasonCode {
        if self.contains(reason) {
            return reason;
        }
        match (self, reason.is_error()) {
            (Self::Auth, _) => ReasonCode::CONTINUE_AUTHENTICATION,
            (_, false) => ReasonCode::SUCCESS,
            (Self::Released, true) => ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
            (_, true) => ReasonCode::UNSPECIFIED_ERROR,
        }
    }
}

/// The code of a SUBACK payload byte.
pub(super) const fn suback(version: Version, code: u8) -> Result<ReasonCode, Malformed> {
    match (version, code) {
        (Version::V5, _) => Reasons::Suback.check(code),
        (Version::V311, 0x00..=0x02 | 0x80) => Ok(ReasonCode(code)),
        // [MQTT-3.9.3-2] of 3.1.1
        (Version::V311, _) => Err(Malformed::packet("reserved SUBACK return code")),
    }
}

/// The reason code that says what a CONNACK return code of 3.1.1 says (its section 3.2.2.3).
pub(super) const fn connack_of_v311(code: u8) -> Result<ReasonCode, Malformed> {
    match code {
        0 => Ok(ReasonCode::SUCCESS),
        1 => Ok(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        2 => Ok(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
        3 => Ok(ReasonCode::SERVER_UNAVAILABLE),
        4 => Ok(ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        5 => Ok(ReasonCode::NOT_AUTHORIZED),
        _ => Err(Malformed::packet("reserved CONNACK return code")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of each packet, from the tables in section 3.
    const TABLES: [(Reasons, &[u8]); 7] = [
        (
            Reasons::Connack,
            &[
                0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
                0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
            ],
        ),
        (Reasons::Received, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
        (Reasons::Released, &[0x00, 0x92]),
        (
            Reasons::Suback,
            &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
        ),
        (Reasons::Unsuback, &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]),
        (
            Reasons::Disconnect,
            &[
                0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
                0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1,
                0xA2,
            ],
        ),
        (Reasons::Auth, &[0x00, 0x18, 0x19]),
    ];

    /// [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1],
    /// [MQTT-3.9.3-2], [MQTT-3.11.3-2], [MQTT-3.14.2-1], [MQTT-3.15.2-1]
    #[test]
    fn each_packet_has_its_reason_codes_and_sends_no_others() {
        for (reasons, codes) in TABLES {
            for code in 0..=u8::MAX {
                let listed = codes.contains(&code);
                assert_eq!(reasons.check(code).is_ok(), listed, "{code:02x} of {codes:02x?}");
                let sent = reasons.sendable(ReasonCode(code));
                assert!(reasons.contains(sent), "{sent}");
                assert_eq!(sent.0 == code, listed, "{code:02x} of {codes:02x?}");
                if !matches!(reasons, Reasons::Auth) {
                    assert_eq!(sent.is_error(), code >= 0x80, "{code:02x} of {codes:02x?}");
                }
            }
        }
    }
}
