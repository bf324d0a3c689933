//! From the client: bytes to packets, packets to the sessions.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use mqtt_plane::{Cause, Closed, ReasonCode};
use tokio::io::{AsyncRead, ReadBuf};

use super::connection::{Blocked, By, Connection, End};
use super::counters::length;
use crate::state::{OverRate, Pace, Refusal, admit_packet};
use crate::wire::{Disconnect, Malformed, Packet, PacketType, decode, encode_pingresp, header};

/// Reads in one turn, at most: other connections of the worker wait meanwhile.
const READS: usize = 4;

/// Packets in one turn, at most. Filters of requests count as some, too.
const PACKETS: usize = 1024;

/// What a filter of a SUBSCRIBE or an UNSUBSCRIBE costs, in packets.
pub(super) const FILTER: usize = 4;

impl From<Refusal> for End {
    fn from(Refusal { reason, detail, .. }: Refusal) -> Self {
        Self::violation(reason, detail)
    }
}

impl From<Malformed> for End {
    fn from(malformed: Malformed) -> Self {
        Self::violation(malformed.reason, malformed.detail)
    }
}

/// Wakes the task when the worker has seen what else there is: a task that wakes itself comes
/// before whatever the operating system has to tell.
pub(super) fn next_turn(cx: &mut Context<'_>) {
    let turn = pin!(tokio::task::yield_now());
    if turn.poll(cx).is_ready() {
        cx.waker().wake_by_ref();
    }
}

impl Connection {
    /// Takes what the client has sent, as far as the exits are ready for it.
    pub(super) fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if self.blocked.take().is_some()
            && let Some(mut rest) = self.inbound.take()
        {
            let taken = self.take_packets(cx, &rest)?;
            rest.drain(..taken);
            self.inbound = Some(rest).filter(|rest| !rest.is_empty());
            if self.blocked.is_some() {
                return Ok(());
            }
        }
        let server = Rc::clone(&self.server);
        for _ in 0..READS {
            let mut buffer = server.cx.pool().read_buffer();
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut read) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Err(End::Lost),
            }
            server.counters.bytes_received.add(length(read.filled()));
            if let Some(mut partial) = self.inbound.take() {
                partial.extend_from_slice(read.filled());
                let taken = self.take_packets(cx, &partial)?;
                partial.drain(..taken);
                self.inbound = Some(partial).filter(|rest| !rest.is_empty());
            } else {
                let taken = self.take_packets(cx, read.filled())?;
                let rest = &read.filled()[taken..];
                if !rest.is_empty() {
                    let mut partial = server.cx.pool().take();
                    partial.extend_from_slice(rest);
                    self.inbound = Some(partial);
                }
            }
            if self.blocked.is_some() {
                return Ok(());
            }
        }
        next_turn(cx);
        Ok(())
    }

    /// Takes complete packets from the start of `bytes`, until one has to wait; returns how many
    /// bytes they were.
    fn take_packets(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<usize, End> {
        let server = Rc::clone(&self.server);
        let mut taken = 0;
        while let Some(header) = header(&bytes[taken..])? {
            let len = header.total_len();
            admit_packet(len, self.terms.maximum_packet_size)?;
            let Some(packet) = bytes.get(taken..taken + len) else { break };
            if self.is_output_full() {
                self.blocked = Some(Blocked::Output);
                break;
            }
            if server.spent.get() >= PACKETS {
                self.blocked = Some(Blocked::Turn);
                break;
            }
            let is_publish = header.packet_type() == PacketType::Publish;
            if self.is_to_wait()? {
                self.blocked = Some(Blocked::Rate);
                break;
            }
            let packet = decode(self.terms.version, header, packet)?;
            if let Err(blocked) = self.take_packet(cx, &packet)? {
                self.blocked = Some(blocked);
                break;
            }
            if let Some(pace) = self.pace() {
                pace.take(is_publish, len);
            }
            server.counters.packets_received.increment();
            server.spend(1);
            taken += len;
        }
        if taken > 0 {
            self.registration.heard.set(self.server.tick());
        }
        Ok(taken)
    }

    /// Whether the next packet comes too soon and has to wait.
    fn is_to_wait(&mut self) -> Result<bool, End> {
        match self.over_rate() {
            Some(OverRate::Wait) => {
                self.server.counters.rate_waits.increment();
                Ok(true)
            }
            Some(OverRate::Disconnect) => {
                let detail = "more in a second than the server takes of one client";
                let reason = ReasonCode::MESSAGE_RATE_TOO_HIGH;
                Err(End::Server(By::Limit, Closed { reason, detail }))
            }
            // If it is a publish.
            Some(OverRate::Refuse) | None => Ok(false),
        }
    }

    fn pace(&mut self) -> Option<&mut Pace> {
        self.rare.as_mut()?.pace.as_mut()
    }

    /// What becomes of the next packet where it comes too soon.
    pub(super) fn over_rate(&mut self) -> Option<OverRate> {
        let tick = self.server.tick();
        self.pace()?.check(tick)
    }

    fn take_packet(
        &mut self,
        cx: &mut Context<'_>,
        packet: &Packet<'_>,
    ) -> Result<Result<(), Blocked>, End> {
        match packet {
            Packet::Publish(publish) => {
                return match publish.topic_alias {
                    None => self.take_publish(cx, publish),
                    Some(alias) => self.take_aliased(cx, publish, alias),
                };
            }
            Packet::Subscribe(subscribe) => return self.take_subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => return self.take_unsubscribe(unsubscribe),
            Packet::Puback(ack) => self.take_puback(ack),
            Packet::Pubrec(ack) => self.take_pubrec(ack),
            Packet::Pubrel(ack) => self.take_pubrel(ack),
            Packet::Pubcomp(ack) => self.take_pubcomp(ack),
            // [MQTT-3.12.4-1]
            Packet::Pingreq => {
                encode_pingresp(self.out());
                self.server.counters.packets_sent.increment();
            }
            Packet::Disconnect(disconnect) => {
                self.server.counters.packets_received.increment();
                return Err(self.take_disconnect(disconnect));
            }
            Packet::Connect(_) => {
                // [MQTT-3.1.0-2]
                return Err(End::violation(ReasonCode::PROTOCOL_ERROR, "second CONNECT"));
            }
            Packet::Auth(_) => {
                // [MQTT-4.12.0-7]: only where CONNECT named an Authentication Method, and such a
                // CONNECT is refused. None is sent either [MQTT-4.12.0-6].
                let detail = "AUTH without an Authentication Method";
                return Err(End::violation(ReasonCode::PROTOCOL_ERROR, detail));
            }
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                let detail = "packet that only servers send";
                return Err(End::violation(ReasonCode::PROTOCOL_ERROR, detail));
            }
        }
        Ok(Ok(()))
    }

    fn take_disconnect(&self, packet: &Disconnect<'_>) -> End {
        if let Err(malformed) = packet.check_from_client() {
            return malformed.into();
        }
        if packet.session_expiry.is_some_and(|seconds| seconds != 0)
            && self.terms.session_expiry_asked == 0
        {
            // Section 3.14.2.2.2
            let detail = "DISCONNECT with a Session Expiry Interval after a CONNECT without";
            return End::violation(ReasonCode::PROTOCOL_ERROR, detail);
        }
        // [MQTT-3.14.4-3]; with any other code the will is published, 0x04 among them.
        let cause = match packet.reason {
            ReasonCode::SUCCESS => Cause::Normal,
            _ => Cause::Abnormal,
        };
        End::Client { cause, session_expiry: packet.session_expiry }
    }
}
