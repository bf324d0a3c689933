//! To the client: events of the sessions to packets, packets to bytes, one write a wake.

use std::pin::Pin;
use std::task::{Context, Poll};

use engine::bytes::Buffer;
use mqtt_plane::{Appetite, Event, ReasonCode};
use tokio::io::AsyncWrite;

use super::connection::{By, Connection, End};
use crate::state::{Answer, RequestKind, filter_advice};
use crate::wire::{encode_suback, encode_unsuback};

/// Bytes written, of a buffer that is not all written, from which on they are taken out of it.
const WRITTEN: usize = 64 * 1024;

impl Connection {
    /// The buffer of bytes to send.
    pub(super) fn out(&mut self) -> &mut Buffer {
        self.outbound.get_or_insert_with(|| self.server.cx.pool().take())
    }

    fn unsent(&self) -> usize {
        self.outbound.as_ref().map_or(0, |out| out.len() - self.written)
    }

    /// Bytes that wait to be sent, beyond which no delivery is fetched.
    fn high_water(&self) -> usize {
        self.terms.policy.bounds.queued_bytes as usize
    }

    /// Whether the client has so much to read that it is given no more answers.
    pub(super) fn is_output_full(&self) -> bool {
        self.unsent() > 2 * self.high_water()
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
                let room = self.high_water().saturating_sub(self.unsent());
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
                let mut taken = Ok(());
                for event in events.drain(..) {
                    // What comes behind one that ends the connection is in flight all the same: the
                    // session has handed it out.
                    taken = taken.and(self.take_event(slot, event));
                }
                taken?;
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
            Event::Redeliver { packet_id, delivery } => self.deliver_again(packet_id, &delivery),
            Event::Gone { packet_id } => self.drop_resumed(packet_id),
            Event::Published { ticket, reason } => {
                if reason.is_error() {
                    self.server.counters.publishes_dropped_refused.increment();
                }
                self.acks.complete(ticket, reason);
                return self.write_acks();
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

    /// Answers SUBSCRIBE and UNSUBSCRIBE packets that are decided. Where a filter is refused there
    /// is a Reason String, if the client wants one [MQTT-3.1.2-29] and it fits [MQTT-3.9.2-1],
    /// [MQTT-3.11.2-1]; and no User Property [MQTT-3.9.2-2], [MQTT-3.11.2-2].
    pub(super) fn write_answers(&mut self) -> Result<(), End> {
        let version = self.terms.version;
        let limit = self.terms.client_maximum_packet_size as usize;
        while let Some(Answer { kind, packet_id, reasons }) = self.requests.answered() {
            let advice = self.explains.then(|| advice(&reasons)).flatten();
            let out = self.out();
            let start = out.len();
            let mut write = |advice: Option<&str>| {
                out.truncate(start);
                let encoded = match kind {
                    RequestKind::Subscribe => {
                        encode_suback(out, version, packet_id, advice, &reasons)
                    }
                    RequestKind::Unsubscribe => {
                        encode_unsuback(out, version, packet_id, advice, &reasons)
                    }
                };
                encoded.is_ok() && out.len() - start <= limit
            };
            let is_written = advice.is_some() && write(advice.as_deref()) || write(None);
            if !is_written {
                // [MQTT-3.1.2-24]
                out.truncate(start);
                let detail = "the answer is larger than the Maximum Packet Size of the client";
                return Err(End::violation(ReasonCode::PACKET_TOO_LARGE, detail));
            }
            self.server.counters.packets_sent.increment();
        }
        Ok(())
    }

    /// Sends what there is to send; gives the buffer back when all is sent.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if let Some(out) = &mut self.outbound {
            while self.written < out.len() {
                match Pin::new(&mut self.io).poll_write(cx, &out[self.written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Err(End::Lost),
                    Poll::Ready(Ok(len)) => {
                        self.server.counters.bytes_sent.add(i64::try_from(len).unwrap_or(i64::MAX));
                        self.written += len;
                        self.needs_flush = true;
                        if self.written < out.len() {
                            // A client that reads slowly is alive all the same.
                            self.registration.heard.set(self.server.tick());
                        }
                    }
                    Poll::Pending => {
                        if self.written >= WRITTEN {
                            out.drain(..self.written);
                            self.written = 0;
                        }
                        return Ok(());
                    }
                }
            }
            let was_full = out.len() >= self.terms.policy.bounds.queued_bytes as usize;
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

/// Why the first filter that is refused is, and which it is.
fn advice(reasons: &[ReasonCode]) -> Option<String> {
    let at = reasons.iter().position(|reason| reason.is_error())?;
    let advice = filter_advice(reasons[at]);
    Some(match reasons.len() {
        1 => advice.to_owned(),
        _ => format!("filter {}: {advice}", at + 1),
    })
}
