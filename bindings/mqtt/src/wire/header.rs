//! The fixed header (MQTT 5.0 section 2.1), the same in both versions.

use super::Malformed;

/// The largest Remaining Length, bytes: four bytes of seven bits (section 2.1.4).
pub const MAX_REMAINING_LEN: usize = 268_435_455;

pub(super) const RESERVED_TYPE: Malformed = Malformed::packet("reserved packet type");

/// The type of a control packet (MQTT 5.0 section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Not a packet; [`header`] never finds it.
    Reserved = 0,
    /// CONNECT.
    Connect = 1,
    /// CONNACK.
    Connack = 2,
    /// PUBLISH.
    Publish = 3,
    /// PUBACK.
    Puback = 4,
    /// PUBREC.
    Pubrec = 5,
    /// PUBREL.
    Pubrel = 6,
    /// PUBCOMP.
    Pubcomp = 7,
    /// SUBSCRIBE.
    Subscribe = 8,
    /// SUBACK.
    Suback = 9,
    /// UNSUBSCRIBE.
    Unsubscribe = 10,
    /// UNSUBACK.
    Unsuback = 11,
    /// PINGREQ.
    Pingreq = 12,
    /// PINGRESP.
    Pingresp = 13,
    /// DISCONNECT.
    Disconnect = 14,
    /// AUTH; reserved in 3.1.1.
    Auth = 15,
}

impl PacketType {
    const fn of(first: u8) -> Self {
        match first >> 4 {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => Self::Reserved,
        }
    }
}

/// Where a packet lies in a buffer that starts with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first byte: type and flags.
    pub first: u8,
    /// Bytes of the fixed header, 2 to 5.
    pub header_len: usize,
    /// Bytes behind the fixed header, up to [`MAX_REMAINING_LEN`].
    pub remaining_len: usize,
}

impl Header {
    /// Bytes of the whole packet: what Maximum Packet Size bounds.
    #[must_use]
    pub const fn total_len(self) -> usize {
        self.header_len + self.remaining_len
    }

    /// The packet's type.
    #[must_use]
    pub const fn packet_type(self) -> PacketType {
        PacketType::of(self.first)
    }
}

/// Finds the packet that `buffer` starts with, without looking into it. `None`: its fixed header is
/// not complete yet. The packet itself may end behind the buffer: compare
/// [`Header::total_len`] with the buffer, and first with the Maximum Packet Size in force.
///
/// # Errors
/// A type that is reserved, flags that the type does not have [MQTT-2.1.3-1], or a Remaining Length
/// of more than four bytes, or more bytes than it takes [MQTT-1.5.5-1]: as soon as they show.
pub fn header(buffer: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((&first, lengths)) = buffer.split_first() else {
        return Ok(None);
    };
    check_flags(first)?;
    let mut remaining_len = 0;
    for at in 0..4 {
        let Some(&byte) = lengths.get(at) else {
            return Ok(None);
        };
        remaining_len |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return Err(Malformed::packet("Remaining Length takes more bytes than it needs"));
            }
            return Ok(Some(Header { first, header_len: at + 2, remaining_len }));
        }
    }
    Err(Malformed::packet("Remaining Length is longer than four bytes"))
}

/// Checks the flags against the type [MQTT-2.1.3-1].
pub(super) const fn check_flags(first: u8) -> Result<(), Malformed> {
    let flags = first & 0x0F;
    match PacketType::of(first) {
        PacketType::Reserved => Err(RESERVED_TYPE),
        PacketType::Publish => {
            if flags & 0b0110 == 0b0110 {
                // [MQTT-3.3.1-4]
                Err(Malformed::packet("PUBLISH with QoS 3"))
            } else if flags & 0b1110 == 0b1000 {
                // [MQTT-3.3.1-2]
                Err(Malformed::packet("PUBLISH with DUP and QoS 0"))
            } else {
                Ok(())
            }
        }
        // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
        PacketType::Pubrel | PacketType::Subscribe | PacketType::Unsubscribe if flags == 0b0010 => {
            Ok(())
        }
        PacketType::Pubrel | PacketType::Subscribe | PacketType::Unsubscribe => {
            Err(Malformed::packet("reserved flags of the fixed header are not 0010"))
        }
        _ if flags == 0 => Ok(()),
        // [MQTT-3.14.1-1], [MQTT-3.15.1-1] among others
        _ => Err(Malformed::packet("reserved flags of the fixed header are not 0000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_as_soon_as_it_is_whole() {
        for (remaining_len, lengths) in [
            (0, &[0x00][..]),
            (127, &[0x7F]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xFF, 0x7F]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xFF, 0xFF, 0x7F]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (MAX_REMAINING_LEN, &[0xFF, 0xFF, 0xFF, 0x7F]),
        ] {
            let buffer = [&[0x30], lengths].concat();
            let header_len = buffer.len();
            let found = Header { first: 0x30, header_len, remaining_len };
            assert_eq!(header(&buffer), Ok(Some(found)), "{buffer:02x?}");
            assert_eq!(found.total_len(), header_len + remaining_len);
            for cut in 0..header_len {
                assert_eq!(header(&buffer[..cut]), Ok(None), "{buffer:02x?} cut at {cut}");
            }
        }
    }

    /// [MQTT-1.5.5-1]
    #[test]
    fn a_remaining_length_that_is_too_long_is_malformed() {
        for buffer in [&[0xC0, 0x80, 0x00][..], &[0xC0, 0xFF, 0x00], &[0xC0, 0x80, 0x80, 0x80, 0]] {
            let detail = "Remaining Length takes more bytes than it needs";
            assert_eq!(header(buffer), Err(Malformed::packet(detail)), "{buffer:02x?}");
        }
        let detail = "Remaining Length is longer than four bytes";
        assert_eq!(header(&[0xC0, 0x80, 0x80, 0x80, 0x80]), Err(Malformed::packet(detail)));
    }

    /// [MQTT-2.1.3-1], [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT-3.6.1-1], [MQTT-3.8.1-1],
    /// [MQTT-3.10.1-1], [MQTT-3.14.1-1], [MQTT-3.15.1-1]
    #[test]
    fn each_type_has_its_flags_and_no_others() {
        for first in 0..=u8::MAX {
            let flags = first & 0x0F;
            let fits = match first >> 4 {
                0 => false,
                3 => {
                    [0b0000, 0b0001, 0b0010, 0b0011, 0b0100, 0b0101, 0b1010, 0b1011, 0b1100, 0b1101]
                        .contains(&flags)
                }
                6 | 8 | 10 => flags == 0b0010,
                _ => flags == 0,
            };
            assert_eq!(header(&[first]).is_ok(), fits, "{first:02x}");
            if fits {
                assert_eq!(PacketType::of(first) as u8, first >> 4);
            }
        }
    }
}
