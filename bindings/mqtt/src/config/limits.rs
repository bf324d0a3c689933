//! `options.limits` of a server.

use serde::Deserialize;

use crate::state::{Bounds, OverRate};

/// The bounds that the file sets; the schema has seen to it that each is in its range.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LimitsOptions {
    packet_size: Option<u32>,
    client_id_length: Option<u16>,
    topic_length: Option<u16>,
    topic_levels: Option<u16>,
    subscriptions: Option<u32>,
    session_expiry: Option<u32>,
    filters_per_packet: Option<u16>,
    user_properties: Option<u16>,
    in_flight: Option<u16>,
    queued_bytes: Option<u32>,
    connections: Option<u32>,
    connections_per_address: Option<u32>,
    connects_per_second: Option<u32>,
    handshakes: Option<u32>,
    messages_per_second: Option<u32>,
    bytes_per_second: Option<u32>,
    over_rate: Option<OverRateOption>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OverRateOption {
    Wait,
    Refuse,
    Disconnect,
}

impl LimitsOptions {
    /// The bounds, with the defaults where the file says nothing.
    pub(super) fn bounds(&self) -> Bounds {
        let default = Bounds::DEFAULT;
        Bounds {
            packet_size: self.packet_size.unwrap_or(default.packet_size),
            client_id_length: self.client_id_length.unwrap_or(default.client_id_length),
            topic_length: self.topic_length.unwrap_or(default.topic_length),
            topic_levels: self.topic_levels.unwrap_or(default.topic_levels),
            subscriptions: self.subscriptions.unwrap_or(default.subscriptions),
            session_expiry: self.session_expiry.unwrap_or(default.session_expiry),
            filters_per_packet: self.filters_per_packet.unwrap_or(default.filters_per_packet),
            user_properties: self.user_properties.unwrap_or(default.user_properties),
            in_flight: self.in_flight.unwrap_or(default.in_flight),
            queued_bytes: self.queued_bytes.unwrap_or(default.queued_bytes),
            connections: self.connections.unwrap_or(default.connections),
            connections_per_address: self
                .connections_per_address
                .unwrap_or(default.connections_per_address),
            connects_per_second: self.connects_per_second.unwrap_or(default.connects_per_second),
            handshakes: self.handshakes.unwrap_or(default.handshakes),
            messages_per_second: self.messages_per_second.unwrap_or(default.messages_per_second),
            bytes_per_second: self.bytes_per_second.unwrap_or(default.bytes_per_second),
            over_rate: match self.over_rate {
                None => default.over_rate,
                Some(OverRateOption::Wait) => OverRate::Wait,
                Some(OverRateOption::Refuse) => OverRate::Refuse,
                Some(OverRateOption::Disconnect) => OverRate::Disconnect,
            },
        }
    }
}
