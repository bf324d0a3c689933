//! Writing the data types of MQTT 5.0 section 1.5.

use mqtt_plane::UserProperties;

use super::TooLong;
use crate::wire::User;
use crate::wire::header::MAX_REMAINING_LEN;
use crate::wire::property::id;

/// Writes fields, or only counts their bytes: lengths stand before what they measure, so that each
/// packet is written twice by the same code.
pub(super) struct Writer<'a> {
    /// `None`: only count.
    out: Option<&'a mut Vec<u8>>,
    len: usize,
    too_long: bool,
}

/// Appends a packet: `body` is run once to measure and once to write.
pub(super) fn packet(
    out: &mut Vec<u8>,
    first: u8,
    body: impl Fn(&mut Writer<'_>),
) -> Result<(), TooLong> {
    let remaining_len = measure(&body)?;
    out.reserve(1 + varint_len(remaining_len) + remaining_len);
    out.push(first);
    put_varint(out, remaining_len);
    body(&mut Writer::into(out));
    Ok(())
}

/// The bytes that `body` writes.
pub(super) fn measure(body: impl Fn(&mut Writer<'_>)) -> Result<usize, TooLong> {
    let mut counting = Writer::counting();
    body(&mut counting);
    if counting.too_long || counting.len > MAX_REMAINING_LEN {
        return Err(TooLong);
    }
    Ok(counting.len)
}

/// Whether an acknowledgement has a property.
pub(super) fn has_ack_properties(reason_string: Option<&str>, user: User<'_>) -> bool {
    let mut has = reason_string.is_some();
    user.for_each(&mut |_, _| has = true);
    has
}

/// Bytes of a Variable Byte Integer (section 1.5.5), 1 to 4.
pub(super) const fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Appends a Variable Byte Integer in as few bytes as it takes [MQTT-1.5.5-1]. At most
/// [`MAX_REMAINING_LEN`].
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let [.., low] = value.to_be_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

impl<'a> Writer<'a> {
    const fn counting() -> Self {
        Self { out: None, len: 0, too_long: false }
    }

    /// A writer for fields that were measured before, by which they are known to fit.
    pub(super) const fn into(out: &'a mut Vec<u8>) -> Self {
        Self { out: Some(out), len: 0, too_long: false }
    }

    /// Bytes of the buffer so far, or those counted.
    pub(super) fn written(&self) -> usize {
        self.out.as_ref().map_or(self.len, |out| out.len())
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        match &mut self.out {
            Some(out) => out.extend_from_slice(bytes),
            None => self.len += bytes.len(),
        }
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn varint(&mut self, value: usize) {
        self.too_long |= value > MAX_REMAINING_LEN;
        match &mut self.out {
            Some(out) => put_varint(out, value),
            None => self.len += varint_len(value),
        }
    }

    /// Binary Data (section 1.5.6).
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        self.too_long |= bytes.len() > usize::from(u16::MAX);
        let [.., high, low] = bytes.len().to_be_bytes();
        self.raw(&[high, low]);
        self.raw(bytes);
    }

    /// A UTF-8 Encoded String (section 1.5.4).
    pub(super) fn string(&mut self, text: &str) {
        self.binary(text.as_bytes());
    }

    /// A property block behind its length; a length of 0 for none [MQTT-2.2.2-1].
    pub(super) fn block(&mut self, content: impl Fn(&mut Writer<'_>)) {
        let mut counting = Writer::counting();
        content(&mut counting);
        self.too_long |= counting.too_long;
        self.varint(counting.len);
        match &mut self.out {
            Some(_) => content(self),
            None => self.len += counting.len,
        }
    }

    pub(super) fn byte_property(&mut self, id: u8, value: Option<u8>) {
        if let Some(value) = value {
            self.u8(id);
            self.u8(value);
        }
    }

    /// Writes `value` where it differs from what absence means.
    pub(super) fn bool_property(&mut self, id: u8, value: bool, default: bool) {
        self.byte_property(id, (value != default).then_some(value.into()));
    }

    pub(super) fn u16_property(&mut self, id: u8, value: Option<u16>) {
        if let Some(value) = value {
            self.u8(id);
            self.u16(value);
        }
    }

    pub(super) fn u32_property(&mut self, id: u8, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(id);
            self.u32(value);
        }
    }

    pub(super) fn subscription_id(&mut self, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(id::SUBSCRIPTION_ID);
            self.varint(value as usize);
        }
    }

    pub(super) fn string_property(&mut self, id: u8, value: Option<&str>) {
        self.binary_property(id, value.map(str::as_bytes));
    }

    pub(super) fn binary_property(&mut self, id: u8, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.u8(id);
            self.binary(value);
        }
    }

    /// User properties, in order [MQTT-3.3.2-18].
    pub(super) fn user(&mut self, user: &dyn UserProperties) {
        user.for_each(&mut |name, value| {
            self.u8(id::USER);
            self.string(name);
            self.string(value);
        });
    }

    /// The property block of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
    pub(super) fn ack_properties(&mut self, reason_string: Option<&str>, user: User<'_>) {
        self.block(|w| {
            w.string_property(id::REASON_STRING, reason_string);
            w.user(&user);
        });
    }
}
