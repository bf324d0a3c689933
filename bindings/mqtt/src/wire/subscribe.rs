//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 sections 3.8 and 3.10).

use mqtt_plane::{
    Qos, ReasonCode, RetainHandling, Subscription, Version, check_filter, is_share, share,
};

use super::cursor::Cursor;
use super::property::{Properties, Property, Set};
use super::{Malformed, User};

#[cfg(test)]
mod tests;

/// A request for subscriptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// Packet Identifier, not 0.
    pub packet_id: u16,
    /// Subscription Identifier for all the filters, 1 to 268,435,455.
    pub id: Option<u32>,
    /// User Property, in order.
    pub user: User<'a>,
    version: Version,
    /// At least one filter with its options, read once.
    pub(super) filters: &'a [u8],
}

impl<'a> Subscribe<'a> {
    /// The subscriptions asked for, in order; at least one.
    #[must_use]
    pub const fn subscriptions(&self) -> SubscriptionIter<'a> {
        SubscriptionIter { version: self.version, id: self.id, cursor: Cursor::new(self.filters) }
    }
}

/// The subscriptions of a SUBSCRIBE, in order.
///
/// A filter that breaks the syntax of topic filters is an `Err` with its SUBACK code, 0x8F: the
/// packet is well-formed, and its other filters stand.
#[derive(Clone)]
pub struct SubscriptionIter<'a> {
    version: Version,
    id: Option<u32>,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for SubscriptionIter<'a> {
    type Item = Result<Subscription<'a>, ReasonCode>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        // Never an error: the packet was read to its end before.
        let mut subscription = read_subscription(self.version, &mut self.cursor).ok()?;
        subscription.id = self.id;
        Some(check(subscription.filter).map(|()| subscription))
    }
}

/// A request to end subscriptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    /// Packet Identifier, not 0.
    pub packet_id: u16,
    /// User Property, in order.
    pub user: User<'a>,
    /// At least one filter, read once.
    pub(super) filters: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    /// The topic filters, in order; at least one.
    #[must_use]
    pub const fn filters(&self) -> FilterIter<'a> {
        FilterIter { cursor: Cursor::new(self.filters) }
    }
}

/// The topic filters of an UNSUBSCRIBE, in order.
///
/// A filter that breaks the syntax of topic filters is an `Err` with its UNSUBACK code, 0x8F.
#[derive(Clone)]
pub struct FilterIter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for FilterIter<'a> {
    type Item = Result<&'a str, ReasonCode>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        // Never an error: the packet was read to its end before.
        let filter = self.cursor.string().ok()?;
        Some(check(filter).map(|()| filter))
    }
}

/// Checks a filter's syntax (sections 4.7 and 4.8.2). 3.1.1 has no shared subscriptions, but leaves
/// topics that begin with `$` to the server: here they mean the same in both versions.
fn check(filter: &str) -> Result<(), ReasonCode> {
    let inner = match is_share(filter) {
        true => share(filter).ok_or(ReasonCode::TOPIC_FILTER_INVALID)?.1,
        false => filter,
    };
    check_filter(inner).map_err(|_| ReasonCode::TOPIC_FILTER_INVALID)
}

pub(super) fn decode<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Subscribe<'a>, Malformed> {
    let packet_id = cursor.packet_id()?;
    let (id, user) = match version {
        Version::V5 => decode_properties(Set::SUBSCRIBE, cursor)?,
        Version::V311 => (None, User::NONE),
    };
    let filters = cursor.rest();
    let mut rest = Cursor::new(filters);
    if rest.is_empty() {
        // [MQTT-3.8.3-2]
        return Err(Malformed::protocol("SUBSCRIBE without a topic filter"));
    }
    while !rest.is_empty() {
        read_subscription(version, &mut rest)?;
    }
    Ok(Subscribe { packet_id, id, user, version, filters })
}

pub(super) fn decode_unsubscribe<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Unsubscribe<'a>, Malformed> {
    let packet_id = cursor.packet_id()?;
    let (_, user) = match version {
        Version::V5 => decode_properties(Set::UNSUBSCRIBE, cursor)?,
        Version::V311 => (None, User::NONE),
    };
    let filters = cursor.rest();
    let mut rest = Cursor::new(filters);
    if rest.is_empty() {
        // [MQTT-3.10.3-2]
        return Err(Malformed::protocol("UNSUBSCRIBE without a topic filter"));
    }
    while !rest.is_empty() {
        rest.string()?;
    }
    Ok(Unsubscribe { packet_id, user, filters })
}

fn decode_properties<'a>(
    allowed: Set,
    cursor: &mut Cursor<'a>,
) -> Result<(Option<u32>, User<'a>), Malformed> {
    let block = cursor.block()?;
    let mut properties = Properties::new(block, allowed);
    let mut id = None;
    while let Some(property) = properties.next()? {
        if let Property::SubscriptionId(value) = property {
            id = Some(value);
        }
    }
    Ok((id, User::found(&properties, block)))
}

/// One filter with its options, without its identifier; the filter's syntax is not checked.
fn read_subscription<'a>(
    version: Version,
    cursor: &mut Cursor<'a>,
) -> Result<Subscription<'a>, Malformed> {
    let filter = cursor.string()?;
    let options = cursor.u8()?;
    let reserved = match version {
        Version::V5 => 0b1100_0000,
        Version::V311 => 0b1111_1100,
    };
    if options & reserved != 0 {
        // [MQTT-3.8.3-5]; [MQTT-3-8.3-4] of 3.1.1
        return Err(Malformed::packet("reserved bits of the subscription options are set"));
    }
    let qos = match (Qos::from_bits(options & 0b11), version) {
        (Some(qos), _) => qos,
        (None, Version::V5) => return Err(Malformed::protocol("subscription with QoS 3")),
        (None, Version::V311) => return Err(Malformed::packet("subscription with QoS 3")),
    };
    let no_local = options & 0b100 != 0;
    if no_local && is_share(filter) {
        // [MQTT-3.8.3-4]
        return Err(Malformed::protocol("No Local on a shared subscription"));
    }
    let retain_handling = match options >> 4 & 0b11 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(Malformed::protocol("Retain Handling is 3")),
    };
    let retain_as_published = options & 0b1000 != 0;
    Ok(Subscription { filter, qos, no_local, retain_as_published, retain_handling, id: None })
}
