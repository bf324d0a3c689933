//! AUTH (MQTT 5.0 section 3.15).

use mqtt_plane::ReasonCode;

use super::cursor::Cursor;
use super::property::{Properties, Property, Set};
use super::reasons::Reasons;
use super::{Malformed, User};

/// A step of an enhanced authentication.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auth<'a> {
    /// Success, continue authentication, or re-authenticate.
    pub reason: ReasonCode,
    /// Authentication Method; `None` only in the packet of two bytes that says success.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data.
    pub authentication_data: Option<&'a [u8]>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Property, in order.
    pub user: User<'a>,
}

impl Auth<'_> {
    /// A packet with nothing but a reason code.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            authentication_method: None,
            authentication_data: None,
            reason_string: None,
            user: User::NONE,
        }
    }

    /// Checks that a client may send this [MQTT-3.15.2-1].
    ///
    /// # Errors
    /// A reason code that only a server has.
    pub const fn check_from_client(&self) -> Result<(), Malformed> {
        match self.reason {
            ReasonCode::CONTINUE_AUTHENTICATION | ReasonCode::REAUTHENTICATE => Ok(()),
            _ => Err(Malformed::protocol("AUTH with a reason code that only a server has")),
        }
    }

    /// Checks that a server may send this [MQTT-3.15.2-1].
    ///
    /// # Errors
    /// A reason code that only a client has.
    pub const fn check_from_server(&self) -> Result<(), Malformed> {
        match self.reason {
            ReasonCode::SUCCESS | ReasonCode::CONTINUE_AUTHENTICATION => Ok(()),
            _ => Err(Malformed::protocol("AUTH with a reason code that only a client has")),
        }
    }
}

pub(super) fn decode<'a>(cursor: &mut Cursor<'a>) -> Result<Auth<'a>, Malformed> {
    let mut auth = Auth::new(ReasonCode::SUCCESS);
    if cursor.is_empty() {
        return Ok(auth);
    }
    auth.reason = Reasons::Auth.check(cursor.u8()?)?;
    // Unlike in the other packets, the property length is left out only with the reason code.
    let block = cursor.block()?;
    let mut properties = Properties::new(block, Set::AUTH);
    while let Some(property) = properties.next()? {
        match property {
            Property::AuthenticationMethod(method) => auth.authentication_method = Some(method),
            Property::AuthenticationData(data) => auth.authentication_data = Some(data),
            Property::ReasonString(text) => auth.reason_string = Some(text),
            _ => {}
        }
    }
    if auth.authentication_method.is_none() {
        return Err(Malformed::protocol("AUTH without Authentication Method"));
    }
    auth.user = User::found(&properties, block);
    Ok(auth)
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Version::{V5, V311};

    use super::*;
    use crate::wire::Packet;
    use crate::wire::tests::{assert_both_ways, assert_refused, bytes, framed, pairs, read};

    const CONTINUE: ReasonCode = ReasonCode::CONTINUE_AUTHENTICATION;

    #[test]
    fn an_auth_has_all_its_properties() {
        assert_both_ways(V5, 0xF0, "", &Packet::Auth(Auth::new(ReasonCode::SUCCESS)));
        let method = Auth { authentication_method: Some("M"), ..Auth::new(CONTINUE) };
        assert_both_ways(V5, 0xF0, r#"18 04 15 "M""#, &Packet::Auth(method));
        let user = pairs(&[("k", "v")]);
        let full = Auth {
            authentication_data: Some(&[0, 0xFF]),
            reason_string: Some("r"),
            user: User::new(&user),
            ..method
        };
        assert_both_ways(
            V5,
            0xF0,
            r#"18 14 15 "M" 16 0002 00ff 1f "r" 26 "k" "v""#,
            &Packet::Auth(full),
        );
    }

    #[test]
    fn malformed_auths_are_refused() {
        assert_refused(
            V5,
            0xF0,
            &[
                // [MQTT-3.15.2-1]
                ("80 00", 0x82, "reason code that this packet does not have"),
                ("18", 0x81, "packet ends within a field"),
                ("18 00", 0x82, "AUTH without Authentication Method"),
                ("00 00", 0x82, "AUTH without Authentication Method"),
                (r#"18 08 15 "M" 15 "M""#, 0x82, "property more than once"),
                (r#"18 04 15 "M" 00"#, 0x81, "packet goes on behind its last field"),
                (r#"18 04 1c "M""#, 0x81, "property that this packet does not have"),
            ],
        );
        assert_refused(V311, 0xF0, &[("", 0x81, "reserved packet type")]);
        // [MQTT-3.15.1-1]
        let flagged = framed(0xF1, &bytes(r#"18 04 15 "M""#));
        let refusal = read(V5, &flagged).unwrap_err();
        assert_eq!(refusal.reason, ReasonCode::MALFORMED_PACKET);
    }

    /// [MQTT-3.15.2-1]
    #[test]
    fn an_auth_has_the_reason_codes_of_its_side() {
        for (reason, client, server) in [
            (ReasonCode::SUCCESS, false, true),
            (CONTINUE, true, true),
            (ReasonCode::REAUTHENTICATE, true, false),
        ] {
            let auth = Auth::new(reason);
            assert_eq!(auth.check_from_client().is_ok(), client, "{reason}");
            assert_eq!(auth.check_from_server().is_ok(), server, "{reason}");
        }
    }
}
