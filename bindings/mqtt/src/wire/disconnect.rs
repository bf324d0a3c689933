//! DISCONNECT (MQTT 5.0 section 3.14).

use mqtt_plane::{ReasonCode, Version};

use super::cursor::Cursor;
use super::property::{Properties, Property, Set};
use super::reasons::Reasons;
use super::{Malformed, User};

/// The last packet of a connection. In 3.1.1 only clients send it, and it is empty: the reason
/// reads [`ReasonCode::SUCCESS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disconnect<'a> {
    /// Disconnect Reason Code.
    pub reason: ReasonCode,
    /// Session Expiry Interval, seconds; from a client only.
    pub session_expiry: Option<u32>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// Server Reference; from a server only.
    pub server_reference: Option<&'a str>,
    /// User Property, in order.
    pub user: User<'a>,
}

impl Disconnect<'_> {
    /// A packet without properties.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_expiry: None,
            reason_string: None,
            server_reference: None,
            user: User::NONE,
        }
    }

    /// Checks that a client may send this [MQTT-3.14.2-1].
    ///
    /// # Errors
    /// A reason code or a Server Reference, that only servers send.
    pub const fn check_from_client(&self) -> Result<(), Malformed> {
        if !matches!(self.reason.0, 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99) {
            return Err(Malformed::protocol(
                "DISCONNECT with a reason code that only servers send",
            ));
        }
        if self.server_reference.is_some() {
            return Err(Malformed::protocol("Server Reference from a client"));
        }
        Ok(())
    }

    /// Checks that a server may send this [MQTT-3.14.2-1].
    ///
    /// # Errors
    /// A reason code, or a Session Expiry Interval [MQTT-3.14.2-2], that only clients send.
    pub const fn check_from_server(&self) -> Result<(), Malformed> {
        if matches!(self.reason, ReasonCode::SUCCESS | ReasonCode::DISCONNECT_WITH_WILL) {
            return Err(Malformed::protocol(
                "DISCONNECT with a reason code that only clients send",
            ));
        }
        if self.session_expiry.is_some() {
            return Err(Malformed::protocol("Session Expiry Interval in DISCONNECT of a server"));
        }
        Ok(())
    }
}

pub(super) fn decode<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Disconnect<'a>, Malformed> {
    let mut disconnect = Disconnect::new(ReasonCode::SUCCESS);
    if version == Version::V311 || cursor.is_empty() {
        return Ok(disconnect);
    }
    disconnect.reason = Reasons::Disconnect.check(cursor.u8()?)?;
    if cursor.is_empty() {
        return Ok(disconnect);
    }
    let block = cursor.block()?;
    let mut properties = Properties::new(block, Set::DISCONNECT);
    while let Some(property) = properties.next()? {
        match property {
            Property::SessionExpiry(seconds) => disconnect.session_expiry = Some(seconds),
            Property::ReasonString(text) => disconnect.reason_string = Some(text),
            Property::ServerReference(text) => disconnect.server_reference = Some(text),
            _ => {}
        }
    }
    disconnect.user = User::found(&properties, block);
    Ok(disconnect)
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::Packet;
    use crate::wire::tests::{assert_both_ways, assert_refused, bytes, framed, pairs, read};

    #[test]
    fn a_disconnect_has_all_its_properties() {
        let normal = Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS));
        assert_both_ways(V5, 0xE0, "", &normal);
        assert_both_ways(V311, 0xE0, "", &normal);
        for spelt_out in ["00", "00 00"] {
            assert_eq!(read(V5, &framed(0xE0, &bytes(spelt_out))), Ok(normal), "{spelt_out}");
        }
        let shutting_down = Disconnect::new(ReasonCode::SERVER_SHUTTING_DOWN);
        assert_both_ways(V5, 0xE0, "8b", &Packet::Disconnect(shutting_down));
        let user = pairs(&[("k", "v")]);
        let full = Disconnect {
            session_expiry: Some(300),
            reason_string: Some("r"),
            server_reference: Some("s"),
            user: User::new(&user),
            ..Disconnect::new(ReasonCode::SUCCESS)
        };
        assert_both_ways(
            V5,
            0xE0,
            r#"00 14 11 0000012c 1f "r" 26 "k" "v" 1c "s""#,
            &Packet::Disconnect(full),
        );
    }

    #[test]
    fn malformed_disconnects_are_refused() {
        assert_refused(
            V5,
            0xE0,
            &[
                // [MQTT-3.14.2-1]
                ("01", 0x82, "reason code that this packet does not have"),
                ("84", 0x82, "reason code that this packet does not have"),
                ("00 01", 0x81, "property length reaches behind the packet"),
                ("00 00 00", 0x81, "packet goes on behind its last field"),
                ("00 03 21 000a", 0x81, "property that this packet does not have"),
                ("00 04 11 000000", 0x81, "packet ends within a field"),
            ],
        );
        assert_refused(V311, 0xE0, &[("00", 0x81, "packet goes on behind its last field")]);
    }

    /// [MQTT-3.14.1-1]
    #[test]
    fn reserved_flags_of_a_disconnect_are_malformed() {
        for first in 0xE1..=0xEF {
            let refusal = read(V5, &[first, 0]).unwrap_err();
            assert_eq!(refusal.reason, ReasonCode::MALFORMED_PACKET, "{first:02x}");
        }
    }

    /// [MQTT-3.14.2-1], [MQTT-3.14.2-2]
    #[test]
    fn a_disconnect_has_the_reason_codes_and_properties_of_its_side() {
        for (code, client, server) in [
            (0x00, true, false),
            (0x04, true, false),
            (0x80, true, true),
            (0x82, true, true),
            (0x87, false, true),
            (0x89, false, true),
            (0x8B, false, true),
            (0x8D, false, true),
            (0x8E, false, true),
            (0x8F, false, true),
            (0x90, true, true),
            (0x93, true, true),
            (0x99, true, true),
            (0x9A, false, true),
            (0xA2, false, true),
        ] {
            let disconnect = Disconnect::new(ReasonCode(code));
            assert_eq!(disconnect.check_from_client().is_ok(), client, "{code:02x}");
            assert_eq!(disconnect.check_from_server().is_ok(), server, "{code:02x}");
        }
        let error = Disconnect::new(ReasonCode::UNSPECIFIED_ERROR);
        let expiring = Disconnect { session_expiry: Some(1), ..error };
        assert_eq!(expiring.check_from_client(), Ok(()));
        assert!(expiring.check_from_server().is_err());
        let referring = Disconnect { server_reference: Some("s"), ..error };
        assert!(referring.check_from_client().is_err());
        assert_eq!(referring.check_from_server(), Ok(()));
    }
}
