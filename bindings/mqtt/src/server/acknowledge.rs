//! PUBACK, PUBREC, PUBREL and PUBCOMP from the client.

use mqtt_plane::{ReasonCode, Stage};

use super::connection::Connection;
use crate::state::{NOT_IN_FLIGHT, Pubrec, Source, publish_advice};
use crate::wire::{Ack, AckKind, encode_ack, encode_ack_with};

impl Connection {
    /// Ends a QoS 1 delivery [MQTT-4.4.0-2], with whatever reason code.
    pub(super) fn take_puback(&mut self, ack: &Ack<'_>) {
        match self.in_flight.acknowledge(ack.packet_id) {
            Some(source) => self.acknowledge(source, Stage::Completed),
            None => self.server.counters.acknowledgements_unknown.increment(),
        }
    }

    /// [MQTT-4.3.3-4]: PUBREL with the identifier of the PUBREC, unless it refuses the message.
    pub(super) fn take_pubrec(&mut self, ack: &Ack<'_>) {
        let is_refused = ack.reason.is_error();
        let reason = match self.in_flight.receive(ack.packet_id, is_refused) {
            Pubrec::Received(source) => {
                self.acknowledge(source, Stage::Received);
                ReasonCode::SUCCESS
            }
            Pubrec::Repeated => ReasonCode::SUCCESS,
            Pubrec::Refused(source) => return self.acknowledge(source, Stage::Completed),
            Pubrec::Unknown => {
                self.server.counters.acknowledgements_unknown.increment();
                if is_refused {
                    return;
                }
                ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
            }
        };
        self.answer(AckKind::Pubrel, ack.packet_id, reason);
    }

    /// [MQTT-4.3.3-11]: PUBCOMP with the identifier of the PUBREL, whether the message has expired
    /// or not [MQTT-4.3.3-13].
    pub(super) fn take_pubrel(&mut self, ack: &Ack<'_>) {
        let reason = if self.acks.release(ack.packet_id) {
            ReasonCode::SUCCESS
        } else {
            self.server.counters.acknowledgements_unknown.increment();
            ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
        };
        self.answer(AckKind::Pubcomp, ack.packet_id, reason);
    }

    /// Ends a QoS 2 delivery, with whatever reason code.
    pub(super) fn take_pubcomp(&mut self, ack: &Ack<'_>) {
        match self.in_flight.complete(ack.packet_id) {
            Some(source) => self.acknowledge(source, Stage::Completed),
            None => self.server.counters.acknowledgements_unknown.increment(),
        }
    }

    /// Tells the session that a delivery came from how far it has come.
    pub(super) fn acknowledge(&mut self, source: Source, stage: Stage) {
        self.sessions.session(source.slot).acknowledge(source.position, stage);
    }

    /// Appends an acknowledgement. A refusal has a Reason String where the client wants one
    /// [MQTT-3.1.2-29] and it fits: [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.6.2-2],
    /// [MQTT-3.7.2-2]. User properties it has none: [MQTT-3.4.2-3], [MQTT-3.5.2-3],
    /// [MQTT-3.6.2-3], [MQTT-3.7.2-3]. The code alone is shorter than the CONNACK that the client
    /// has taken, so that it is within its Maximum Packet Size.
    pub(super) fn answer(&mut self, kind: AckKind, packet_id: u16, reason: ReasonCode) {
        self.server.counters.packets_sent.increment();
        let version = self.terms.version;
        if reason.is_error() && self.explains {
            let limit = self.terms.client_maximum_packet_size as usize;
            let advice = match kind {
                AckKind::Puback | AckKind::Pubrec => publish_advice(reason),
                AckKind::Pubrel | AckKind::Pubcomp => NOT_IN_FLIGHT,
            };
            let ack = Ack { reason_string: Some(advice), ..Ack::new(packet_id, reason) };
            let out = self.out();
            let start = out.len();
            if encode_ack_with(out, version, kind, &ack).is_ok() && out.len() - start <= limit {
                return;
            }
            out.truncate(start);
        }
        encode_ack(self.out(), version, kind, packet_id, reason);
    }
}
