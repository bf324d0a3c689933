//! To the client: events of the sessions to packets, packets to bytes, one write a wake.

use std::pin::Pin;
use std::task::{Context, Poll};

use engine::bytes::Buffer;
use mqtt_plane::{Appetite, Delivery, Event, FrameKind, Publish, Qos, ReasonCode, Stage, Version};
use tokio::io::AsyncWrite;

use super::connection::{By, Connection, End};
use crate::state::{Answer, RequestKind, Source};
use crate::wire::{
    AckKind, PublishExtras, SubscriptionIdView, encode_ack, encode_publish, encode_suback,
    encode_unsuback, set_packet_id, set_publish_flags,
};

/// Bytes that wait to be sent, beyond which no delivery is fetched.
const HIGH_WATER: usize = 64 * 1024;

/// Bytes that wait to be sent, beyond which nothing more is read that would be answered.
const ANSWER_BOUND: usize = 2 * HIGH_WATER;

impl Connection {
    /// The buffer of bytes to send.
    pub(super) fn out(&mut self) -> &mut Buffer {
        self.outbound.get_or_insert_with(|| self.server.cx.pool().take())
    }

    fn unsent(&self) -> usize {
        self.outbound.as_ref().map_or(0, |out| out.len() - self.written)
    }

    /// Whether the client has so much to read that it is given no more answers.
    pub(super) fn is_output_full(&self) -> bool {
        self.unsent() > ANSWER_BOUND
    }

    /// Fetches what the exits have, as much as the client can take at present.
    pub(super) fn poll_events(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let mut events = self.server.take_events();
        let fetched = self.fetch(cx, &mut events);
        self.server.return_events(events);
        fetched
    }

    fn fetch(&mut self, cx: &mut Context<'_>, events: &mut Vec<Event>) -> Result<(), End> {
        for slot in 0..self.sessions.len() {
            loop {
                let room = HIGH_WATER.saturating_sub(self.unsent());
                if room == 0 {
                    // When it is written the task is woken, and comes back here.
                    return Ok(());
                }
                let appetite = Appetite {
                    // What waits for a shutdown needs answers, not messages.
                    bytes: if self.is_draining { 0 } else { room },
                    in_flight: self.in_flight.room(),
                };
                let polled = self.sessions.session(slot).poll_events(cx, appetite, events);
                for event in events.drain(..) {
                    self.take_event(slot, event)?;
                }
                match polled {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(closed)) => return Err(End::Server(By::Exit, closed)),
                }
            }
        }
        Ok(())
    }

    fn take_event(&mut self, slot: usize, event: Event) -> Result<(), End> {
        match event {
            Event::Deliver(delivery) => self.deliver(slot, &delivery),
            Event::Published { ticket, reason } => {
                if reason.is_error() {
                    self.server.counters.publishes_dropped_refused.increment();
                }
                self.acks.complete(ticket, reason);
                return self.write_pubacks();
            }
            Event::Subscribed { ticket, reasons } => {
                let refused = reasons.iter().filter(|reason| reason.is_error()).count();
                let refused = i64::try_from(refused).unwrap_or(i64::MAX);
                self.server.counters.subscriptions_refused.add(refused);
                self.requests.complete(ticket, &reasons);
                return self.write_answers();
            }
            Event::Unsubscribed { ticket, reasons } => {
                self.requests.complete(ticket, &reasons);
                return self.write_answers();
            }
        }
        Ok(())
    }

    /// Acknowledges publishes, in order of receipt [MQTT-4.6.0-2].
    pub(super) fn write_pubacks(&mut self) -> Result<(), End> {
        let version = self.terms.version;
        while let Some((packet_id, reason)) = self.acks.next_acknowledged() {
            if version == Version::V311 && reason.is_error() && !is_final(reason) {
                // 3.1.1 cannot say no. Without its PUBACK the client keeps the message, and sends
                // it again when it has connected again.
                let detail = "a publish failed, and 3.1.1 has no other way to say so";
                let closed = mqtt_plane::Closed { reason, detail };
                return Err(End::Server(By::Exit, closed));
            }
            encode_ack(self.out(), version, AckKind::Puback, packet_id, reason);
        }
        Ok(())
    }

    /// Answers SUBSCRIBE and UNSUBSCRIBE packets that are decided.
    pub(super) fn write_answers(&mut self) -> Result<(), End> {
        let version = self.terms.version;
        let limit = self.terms.client_maximum_packet_size as usize;
        while let Some(Answer { kind, packet_id, reasons }) = self.requests.answered() {
            let out = self.out();
            let start = out.len();
            let encoded = match kind {
                RequestKind::Subscribe => encode_suback(out, version, packet_id, &reasons),
                RequestKind::Unsubscribe => encode_unsuback(out, version, packet_id, &reasons),
            };
            if encoded.is_err() || out.len() - start > limit {
                // [MQTT-3.1.2-24]
                out.truncate(start);
                let detail = "the answer is larger than the Maximum Packet Size of the client";
                return Err(End::violation(ReasonCode::PACKET_TOO_LARGE, detail));
            }
        }
        Ok(())
    }

    fn deliver(&mut self, slot: usize, delivery: &Delivery) {
        // QoS 2 is not granted, so a delivery has it only where an exit is mistaken.
        let qos = delivery.qos.min(Qos::AtLeastOnce);
        let source = Source { slot, position: delivery.position };
        let message_expiry = delivery.messages.remaining_expiry(delivery.index);
        let counters = &self.server.counters;
        let skipped = if message_expiry == Some(0) {
            // [MQTT-3.3.2-5]
            Some(&counters.deliveries_skipped_expired)
        } else {
            let packet_id = match qos {
                Qos::AtMostOnce => 0,
                _ => self.in_flight.begin(source),
            };
            let out = self.outbound.get_or_insert_with(|| self.server.cx.pool().take());
            let start = out.len();
            encode_delivery(out, self.terms.version, delivery, qos, packet_id, message_expiry);
            let len = out.len() - start;
            if len == 0 || len > self.terms.client_maximum_packet_size as usize {
                // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
                out.truncate(start);
                if qos != Qos::AtMostOnce {
                    self.in_flight.cancel_last();
                }
                Some(&counters.deliveries_skipped_too_large)
            } else {
                counters.deliveries_sent.increment();
                None
            }
        };
        if let Some(counter) = skipped {
            counter.increment();
            if qos != Qos::AtMostOnce {
                self.sessions.session(slot).acknowledge(source.position, Stage::Completed);
            }
        }
    }

    /// Sends what there is to send; gives the buffer back when all is sent.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if let Some(out) = &mut self.outbound {
            while self.written < out.len() {
                match Pin::new(&mut self.io).poll_write(cx, &out[self.written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Err(End::Lost),
                    Poll::Ready(Ok(len)) => {
                        self.written += len;
                        self.needs_flush = true;
                        if self.written < out.len() {
                            // A client that reads slowly is alive all the same.
                            self.registration.heard.set(self.server.tick());
                        }
                    }
                    Poll::Pending => {
                        if self.written >= HIGH_WATER {
                            out.drain(..self.written);
                            self.written = 0;
                        }
                        return Ok(());
                    }
                }
            }
            let was_full = out.len() >= HIGH_WATER;
            self.outbound = None;
            self.written = 0;
            if was_full {
                // More may wait in the exits; other connections have their turn first.
                cx.waker().wake_by_ref();
            }
        }
        if self.needs_flush {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(_)) => return Err(End::Lost),
                Poll::Pending => {}
            }
        }
        Ok(())
    }
}

/// Whether sending the message again would be refused again.
const fn is_final(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::NOT_AUTHORIZED
            | ReasonCode::TOPIC_NAME_INVALID
            | ReasonCode::PACKET_TOO_LARGE
            | ReasonCode::PAYLOAD_FORMAT_INVALID
    )
}

/// Appends the PUBLISH of a delivery; nothing where MQTT cannot carry it.
fn encode_delivery(
    out: &mut Vec<u8>,
    version: Version,
    delivery: &Delivery,
    qos: Qos,
    packet_id: u16,
    message_expiry: Option<u32>,
) {
    let publish: Publish<'_> = delivery.messages.publish(delivery.index);
    let subscription_ids = delivery.subscription_ids.as_deref().unwrap_or(&[]);
    let extras = PublishExtras {
        // [MQTT-3.3.1-3]: nothing is sent twice within a connection.
        dup: false,
        qos,
        retain: delivery.retain,
        packet_id,
        message_expiry,
        topic_alias: None,
        omits_topic: false,
        subscription_ids: SubscriptionIdView::new(subscription_ids),
    };
    // What differs from one receiver to the next, or from one second to the next, is not shared.
    let is_alike =
        version == Version::V311 || (subscription_ids.is_empty() && message_expiry.is_none());
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
        set_publish_flags(frame, false, qos, delivery.retain);
        set_packet_id(frame, packet_id_at, packet_id);
    }
}
