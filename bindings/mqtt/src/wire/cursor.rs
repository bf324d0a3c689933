//! Reading the data types of MQTT 5.0 section 1.5 from a packet's bytes.

use mqtt_plane::{ReasonCode, TopicError, check_topic};

use super::Malformed;

const SHORT: Malformed = Malformed::packet("packet ends within a field");

/// The bytes of a packet that are not read yet.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left; leaves nothing.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Checks that nothing is left.
    pub(super) const fn finish(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::packet("packet goes on behind its last field"))
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        let (&bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        let (&bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(bytes))
    }

    /// A Variable Byte Integer (section 1.5.5), 0 to 268,435,455.
    pub(super) fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for at in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                if byte == 0 && at > 0 {
                    // [MQTT-1.5.5-1]
                    return Err(Malformed::packet("integer takes more bytes than it needs"));
                }
                return Ok(value);
            }
        }
        Err(Malformed::packet("integer is longer than four bytes"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Binary Data (section 1.5.6).
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 Encoded String (section 1.5.4): well-formed [MQTT-1.5.4-1], without U+0000
    /// [MQTT-1.5.4-2]. A U+FEFF stays where it is [MQTT-1.5.4-3].
    pub(super) fn string(&mut self) -> Result<&'a str, Malformed> {
        let text = utf8(self.binary()?)?;
        if text.as_bytes().contains(&0) {
            return Err(Malformed::packet("string contains U+0000"));
        }
        Ok(text)
    }

    /// A Topic Name that may be empty: where it may not, the caller refuses it.
    pub(super) fn topic(&mut self) -> Result<&'a str, Malformed> {
        let topic = utf8(self.binary()?)?;
        match check_topic(topic) {
            Ok(()) | Err(TopicError::Empty) => Ok(topic),
            Err(TopicError::Null) => Err(Malformed::packet("topic name contains U+0000")),
            Err(TopicError::Wildcard) => Err(Malformed::new(
                ReasonCode::TOPIC_NAME_INVALID,
                "topic name contains a wildcard character",
            )),
        }
    }

    /// A Packet Identifier, which is not 0 [MQTT-2.2.1-3], [MQTT-2.2.1-4].
    pub(super) fn packet_id(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed::protocol("packet identifier is 0")),
            id => Ok(id),
        }
    }

    /// The bytes of a property block, behind its length (section 2.2.2).
    pub(super) fn block(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.take(len as usize)
            .map_err(|_| Malformed::packet("property length reaches behind the packet"))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::packet("string is not well-formed UTF-8"))
}
