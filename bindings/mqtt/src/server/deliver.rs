//! PUBLISH to the client.

use mqtt_plane::{Delivery, FrameKind, Publish, Qos, ReasonCode, Stage, Version};

use super::aliases;
use super::connection::Connection;
use crate::state::{Alias, Dropped, Source};
use crate::wire::{
    AckKind, PublishExtras, SubscriptionIdView, encode_publish, set_packet_id, set_publish_flags,
};

/// Why a delivery is not sent.
enum Skipped {
    /// [MQTT-3.3.2-5]
    Expired,
    /// [MQTT-3.1.2-24], [MQTT-3.1.2-25]
    TooLarge,
}

impl Connection {
    /// Sends a message for the first time.
    pub(super) fn deliver(&mut self, slot: usize, delivery: &Delivery) {
        let qos = delivery.qos;
        let source = Source { slot, position: delivery.position };
        let packet_id = match qos {
            Qos::AtMostOnce => 0,
            _ => self.in_flight.begin(source, qos, delivery.retain),
        };
        // [MQTT-3.3.1-3], [MQTT-4.3.2-2]: nothing is sent twice within a connection.
        let Err(skipped) = self.send(delivery, false, packet_id) else { return };
        self.count(&skipped);
        if qos != Qos::AtMostOnce {
            self.in_flight.cancel_last();
            self.acknowledge(source, Stage::Completed);
        }
    }

    /// Sends a message that an earlier connection sent, with DUP [MQTT-3.3.1-1] and under the same
    /// packet identifier [MQTT-4.4.0-1].
    pub(super) fn deliver_again(&mut self, packet_id: u16, delivery: &Delivery) {
        // Sent first: it is counted only if it can be.
        if !self.in_flight.is_resumed(packet_id) {
            return;
        }
        match self.send(delivery, true, packet_id) {
            Ok(()) => self.in_flight.send_again(packet_id),
            Err(skipped) => {
                self.count(&skipped);
                self.drop_resumed(packet_id);
            }
        }
    }

    /// A message is not sent again. The client may have it all the same if it is of QoS 2.
    pub(super) fn drop_resumed(&mut self, packet_id: u16) {
        match self.in_flight.drop_resumed(packet_id) {
            Some(Dropped::Completed(source)) => self.acknowledge(source, Stage::Completed),
            Some(Dropped::Received(source)) => {
                self.acknowledge(source, Stage::Received);
                self.answer(AckKind::Pubrel, packet_id, ReasonCode::SUCCESS);
            }
            None => {}
        }
    }

    /// Appends a PUBLISH to the out-buffer, if the client can take it.
    fn send(&mut self, delivery: &Delivery, dup: bool, packet_id: u16) -> Result<(), Skipped> {
        let message_expiry = delivery.messages.remaining_expiry(delivery.index);
        // [MQTT-4.3.3-7]: a message of QoS 2 that was sent before goes on.
        let can_expire = !(dup && delivery.qos == Qos::ExactlyOnce);
        if message_expiry == Some(0) && can_expire {
            return Err(Skipped::Expired);
        }
        let version = self.terms.version;
        let limit = self.terms.client_maximum_packet_size as usize;
        let mut alias = aliases::take(&mut self.rare, delivery);
        let out = self.outbound.get_or_insert_with(|| self.server.cx.pool().take());
        let start = out.len();
        loop {
            encode_delivery(out, version, delivery, dup, packet_id, message_expiry, alias);
            let len = out.len() - start;
            if len > 0 && len <= limit {
                break;
            }
            out.truncate(start);
            // Without the alias that it would set, it may fit.
            let alias = alias.take_if(|alias| !alias.is_known).ok_or(Skipped::TooLarge)?;
            aliases::forget(&mut self.rare, alias);
        }
        self.server.counters.deliveries_sent.increment();
        self.server.counters.packets_sent.increment();
        Ok(())
    }

    fn count(&self, skipped: &Skipped) {
        let counters = &self.server.counters;
        match skipped {
            Skipped::Expired => counters.deliveries_skipped_expired.increment(),
            Skipped::TooLarge => counters.deliveries_skipped_too_large.increment(),
        }
    }
}

/// Appends the PUBLISH of a delivery; nothing where MQTT cannot carry it.
fn encode_delivery(
    out: &mut Vec<u8>,
    version: Version,
    delivery: &Delivery,
    dup: bool,
    packet_id: u16,
    message_expiry: Option<u32>,
    alias: Option<Alias>,
) {
    let qos = delivery.qos;
    let publish: Publish<'_> = delivery.messages.publish(delivery.index);
    let subscription_ids = delivery.subscription_ids.as_deref().unwrap_or(&[]);
    let extras = PublishExtras {
        dup,
        qos,
        retain: delivery.retain,
        packet_id,
        message_expiry,
        topic_alias: alias.map(|alias| alias.number),
        omits_topic: alias.is_some_and(|alias| alias.is_known),
        subscription_ids: SubscriptionIdView::new(subscription_ids),
    };
    // What differs from one receiver to the next, or from one second to the next, is not shared.
    let is_alike = version == Version::V311
        || (subscription_ids.is_empty() && message_expiry.is_none() && alias.is_none());
    if !(delivery.is_shared && is_alike) {
        // What is too long has appended nothing.
        encode_publish(out, version, &publish, &extras).unwrap_or(0);
        return;
    }
    let (start, packet_id_at) = delivery.messages.frames().copy_into(
        delivery.index,
        FrameKind::new(version, qos),
        out,
        |arena| encode_publish(arena, version, &publish, &extras).unwrap_or(0),
    );
    if let Some(frame) = out.get_mut(start..).filter(|frame| !frame.is_empty()) {
        set_publish_flags(frame, dup, qos, delivery.retain);
        set_packet_id(frame, packet_id_at, packet_id);
    }
}
