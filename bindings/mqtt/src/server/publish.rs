//! PUBLISH from the client.

use std::task::{Context, Poll};

use mqtt_plane::{Qos, ReasonCode, Version};

use super::connection::{Blocked, By, Connection, End};
use crate::state::NO_ROUTE;
use crate::wire::{AckKind, PublishPacket, encode_ack};

impl Connection {
    pub(super) fn take_publish(
        &mut self,
        cx: &mut Context<'_>,
        packet: &PublishPacket<'_>,
    ) -> Result<Result<(), Blocked>, End> {
        packet.check_from_client()?;
        if packet.topic_alias.is_some() {
            // [MQTT-3.2.2-18]: no Topic Alias Maximum was announced.
            let detail = "topic alias above the Topic Alias Maximum, 0";
            return Err(End::violation(ReasonCode::TOPIC_ALIAS_INVALID, detail));
        }
        if let Err(closed) = self.terms.admit_publish(packet.qos) {
            return Err(End::violation(closed.reason, closed.detail));
        }
        let is_acknowledged = packet.qos != Qos::AtMostOnce;
        if is_acknowledged {
            if self.is_in_use(packet.packet_id) {
                return self.take_repeated(packet).map(Ok);
            }
            if self.acks.len() >= usize::from(self.terms.receive_maximum) {
                return match self.terms.version {
                    // [MQTT-3.3.4-7]
                    Version::V5 => Err(End::violation(
                        ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
                        "more unacknowledged publishes than the Receive Maximum",
                    )),
                    // 3.1.1 knows no such bound: the client waits.
                    Version::V311 => Ok(Err(Blocked::Unanswered)),
                };
            }
        }
        let refused = match self.sessions.publish_slot(&self.table, packet.topic) {
            Ok(Some(slot)) => {
                let session = self.sessions.session(slot);
                match session.poll_ready(cx) {
                    Poll::Pending => return Ok(Err(Blocked::Exit)),
                    Poll::Ready(Err(closed)) => return Err(End::Server(By::Exit, closed)),
                    Poll::Ready(Ok(())) => {}
                }
                let ticket = if is_acknowledged { self.acks.begin(packet.packet_id) } else { 0 };
                self.server.counters.publishes_received.increment();
                let Err(reason) = session.publish(ticket, &packet.publish()) else {
                    return Ok(Ok(()));
                };
                self.server.counters.publishes_dropped_refused.increment();
                if is_acknowledged {
                    self.acks.complete(ticket, reason);
                }
                None
            }
            Ok(None) => {
                self.server.counters.publishes_dropped_no_route.increment();
                Some(NO_ROUTE.reason)
            }
            Err(closed) => {
                self.server.counters.publishes_dropped_refused.increment();
                Some(closed.reason)
            }
        };
        if let Some(reason) = refused {
            self.server.counters.publishes_received.increment();
            if is_acknowledged {
                let ticket = self.acks.begin(packet.packet_id);
                self.acks.complete(ticket, reason);
            }
        }
        self.write_pubacks().map(Ok)
    }

    pub(super) fn is_in_use(&self, packet_id: u16) -> bool {
        self.acks.contains(packet_id) || self.requests.contains(packet_id)
    }

    /// A QoS 1 PUBLISH whose packet identifier is in use. Within a connection nothing has to be
    /// sent again [MQTT-4.4.0-1], but some clients do: the answer to the first answers both.
    fn take_repeated(&mut self, packet: &PublishPacket<'_>) -> Result<(), End> {
        self.server.counters.publishes_repeated.increment();
        let in_use = ReasonCode::PACKET_IDENTIFIER_IN_USE;
        match (packet.dup && self.acks.contains(packet.packet_id), self.terms.version) {
            (true, _) => Ok(()),
            (false, Version::V5) => {
                let id = packet.packet_id;
                encode_ack(self.out(), Version::V5, AckKind::Puback, id, in_use);
                Ok(())
            }
            // [MQTT-2.3.1-2] of 3.1.1
            (false, Version::V311) => {
                Err(End::violation(in_use, "PUBLISH with a packet identifier in use"))
            }
        }
    }
}
