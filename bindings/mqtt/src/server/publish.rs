//! PUBLISH from the client.

use std::task::{Context, Poll};

use mqtt_plane::{Closed, Qos, ReasonCode, Version};

use super::connection::{Blocked, By, Connection, End};
use crate::state::{InUse, NO_ROUTE, OverRate};
use crate::wire::{AckKind, PublishPacket};

impl Connection {
    /// Takes a PUBLISH; an alias of it is resolved already.
    pub(super) fn take_publish(
        &mut self,
        cx: &mut Context<'_>,
        packet: &PublishPacket<'_>,
    ) -> Result<Result<(), Blocked>, End> {
        if self.requests.is_subscribing() {
            // A client that subscribes and then publishes expects its message back, SUBACK or not.
            return Ok(Err(Blocked::Subscribing));
        }
        packet.check_from_client()?;
        self.terms.admit_publish(packet.qos, packet.retain)?;
        let is_acknowledged = packet.qos != Qos::AtMostOnce;
        if is_acknowledged {
            if self.acks.waiting() >= usize::from(self.terms.receive_maximum)
                && self.terms.version == Version::V311
            {
                // 3.1.1 knows no such bound: the client waits.
                return Ok(Err(Blocked::Unanswered));
            }
            if self.is_in_use(packet.packet_id) {
                return self.take_repeated(packet).map(Ok);
            }
            if self.acks.open() >= usize::from(self.terms.receive_maximum)
                && self.terms.version == Version::V5
            {
                return Err(RECEIVE_MAXIMUM_EXCEEDED);
            }
        }
        let admitted = self.admit_message(packet);
        let slot = admitted.and_then(|()| self.sessions.publish_slot(&self.table, packet.topic));
        let refused = match slot {
            Ok(Some(slot)) => {
                let session = self.sessions.session(slot);
                match session.poll_ready(cx) {
                    Poll::Pending => return Ok(Err(Blocked::Exit)),
                    Poll::Ready(Err(closed)) => return Err(End::Server(By::Exit, closed)),
                    Poll::Ready(Ok(())) => {}
                }
                let ticket = match packet.qos {
                    Qos::AtMostOnce => 0,
                    qos => self.acks.begin(packet.packet_id, qos),
                };
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
                let ticket = self.acks.begin(packet.packet_id, packet.qos);
                self.acks.complete(ticket, reason);
            }
        }
        self.write_acks().map(Ok)
    }

    /// Refuses a message beyond the bounds or the rate of its client, or that is not what it says.
    fn admit_message(&mut self, packet: &PublishPacket<'_>) -> Result<(), Closed> {
        let admitted = if self.over_rate() == Some(OverRate::Refuse) {
            let detail = "more messages in a second than the server takes of one client";
            Err(Closed { reason: ReasonCode::QUOTA_EXCEEDED, detail })
        } else {
            self.terms.admit_message(packet).map_err(Closed::from)
        };
        if admitted.is_err() {
            self.server.counters.publishes_dropped_limited.increment();
        }
        admitted?;
        self.table.policy.admit_topic(packet.topic)?;
        Ok(self.terms.admit_payload(packet)?)
    }

    pub(super) fn is_in_use(&self, packet_id: u16) -> bool {
        self.acks.in_use(packet_id).is_some() || self.requests.contains(packet_id)
    }

    /// A PUBLISH whose packet identifier is in use. Within a connection nothing has to be sent
    /// again [MQTT-4.4.0-1], but some clients do: the answer to the first answers both. Until
    /// PUBREL, a QoS 2 PUBLISH with the same identifier is the same message, which is acknowledged
    /// and not taken again [MQTT-4.3.3-10].
    fn take_repeated(&mut self, packet: &PublishPacket<'_>) -> Result<(), End> {
        self.server.counters.publishes_repeated.increment();
        let packet_id = packet.packet_id;
        match (self.acks.in_use(packet_id), packet.qos) {
            (Some(InUse::Received), Qos::ExactlyOnce) => {
                if self.acks.waiting() >= usize::from(self.terms.receive_maximum) {
                    return Err(RECEIVE_MAXIMUM_EXCEEDED);
                }
                self.acks.repeat(packet_id);
                return self.write_acks();
            }
            (Some(InUse::Waiting(Qos::ExactlyOnce)), Qos::ExactlyOnce) => return Ok(()),
            (Some(InUse::Waiting(Qos::AtLeastOnce)), Qos::AtLeastOnce) if packet.dup => {
                return Ok(());
            }
            _ => {}
        }
        let in_use = ReasonCode::PACKET_IDENTIFIER_IN_USE;
        match self.terms.version {
            Version::V5 => self.answer(ack_kind(packet.qos), packet_id, in_use),
            // [MQTT-2.3.1-2] of 3.1.1
            Version::V311 => {
                return Err(End::violation(in_use, "PUBLISH with a packet identifier in use"));
            }
        }
        Ok(())
    }

    /// Acknowledges publishes that the exit is responsible for now [MQTT-4.3.2-4], [MQTT-4.3.3-8],
    /// in order of receipt [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    pub(super) fn write_acks(&mut self) -> Result<(), End> {
        let version = self.terms.version;
        while let Some(reason) = self.acks.answer() {
            if version == Version::V311 && reason.is_error() && !is_final(reason) {
                // 3.1.1 cannot say no. Without its acknowledgement the client keeps the message,
                // and sends it again when it has connected again: [MQTT-4.8.0-2] of 3.1.1.
                let (by, detail) = match reason {
                    ReasonCode::QUOTA_EXCEEDED => {
                        (By::Limit, "a publish is beyond a quota, which 3.1.1 cannot be told")
                    }
                    _ => (By::Exit, "a publish failed, and 3.1.1 has no other way to say so"),
                };
                return Err(End::Server(by, Closed { reason, detail }));
            }
            let Some(next) = self.acks.acknowledge(version) else { break };
            self.answer(ack_kind(next.qos), next.packet_id, next.reason);
        }
        Ok(())
    }
}

/// [MQTT-3.3.4-7]
const RECEIVE_MAXIMUM_EXCEEDED: End = End::violation(
    ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
    "more uncompleted publishes than the Receive Maximum",
);

/// The packet that acknowledges a PUBLISH [MQTT-3.3.4-1].
const fn ack_kind(qos: Qos) -> AckKind {
    match qos {
        Qos::AtMostOnce | Qos::AtLeastOnce => AckKind::Puback,
        Qos::ExactlyOnce => AckKind::Pubrec,
    }
}

/// Whether sending the message again would be refused again. Then 3.1.1 acknowledges it all the
/// same: [MQTT-3.3.5-2] of 3.1.1.
const fn is_final(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::NOT_AUTHORIZED
            | ReasonCode::TOPIC_NAME_INVALID
            | ReasonCode::PACKET_TOO_LARGE
            | ReasonCode::PAYLOAD_FORMAT_INVALID
    )
}
