//! What a connection leaves to the next one of its client.

use std::future::poll_fn;
use std::task::{Context, Poll};

use mqtt_plane::{Appetite, Cause, Event, Keep, Unfinished};

use super::connection::{Connection, End};
use super::counters::length;
use super::linger;
use super::registry::Registration;
use super::sessions::Sessions;
use crate::state::{InFlight, InboundAcks};

/// How a connection leaves its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leave {
    pub(super) cause: Cause,
    /// Session Expiry Interval, seconds; 0: the session ends with the connection [MQTT-4.1.0-2].
    pub(super) expiry: u32,
}

/// What is to be done after a connection's last turn.
pub(super) struct Rest {
    /// Whether there is something left to send.
    pub(super) has_last_words: bool,
    /// How the session is to be left, where that has to wait.
    pub(super) undecided: Option<Leave>,
}

/// A session whose connection has ended, until it is handed over.
struct Handover<'a> {
    sessions: &'a mut Sessions,
    acks: &'a mut InboundAcks,
    in_flight: &'a InFlight,
    registration: &'a Registration,
    leave: Leave,
}

impl Connection {
    /// How the session is left, by the way the connection ends.
    pub(super) fn leaving(&self, end: &End) -> Leave {
        let (cause, told) = match end {
            End::Client { cause, session_expiry } => (*cause, *session_expiry),
            End::Lost | End::Server(..) => (Cause::Abnormal, None),
        };
        // Section 3.14.2.2.2. What the server did not agree to at CONNECT, it does not do now.
        let expiry = match self.terms.session_expiry {
            0 => 0,
            agreed => told.map_or(agreed, |told| told.min(self.terms.policy.bounds.session_expiry)),
        };
        Leave { cause, expiry }
    }

    /// Ends the sessions or hands them over, so that a connection which waits for that can go on;
    /// gives `leave` back where that has to wait.
    pub(super) fn leave(&mut self, leave: Leave) -> Option<Leave> {
        let handover = Handover {
            sessions: &mut self.sessions,
            acks: &mut self.acks,
            in_flight: &self.in_flight,
            registration: &self.registration,
            leave,
        };
        if !handover.is_decided() {
            return Some(leave);
        }
        handover.close();
        None
    }

    /// Sends what is left, DISCONNECT last [MQTT-3.14.4-1], and closes [MQTT-3.14.4-2],
    /// [MQTT-4.13.2-1]; waits until the session can be handed over.
    pub(super) async fn finish(mut self, rest: Rest) {
        let Self { io, outbound, written, server, .. } = self;
        let farewell = async {
            if rest.has_last_words {
                let bytes = outbound.as_ref().map_or(&[][..], |out| &out[written..]);
                server.counters.bytes_sent.add(length(bytes));
                linger::close(io, bytes, server.cx.pool()).await;
            }
        };
        let handover = async {
            let Some(leave) = rest.undecided else { return };
            let mut handover = Handover {
                sessions: &mut self.sessions,
                acks: &mut self.acks,
                in_flight: &self.in_flight,
                registration: &self.registration,
                leave,
            };
            poll_fn(|cx| handover.poll_decided(cx)).await;
            handover.close();
        };
        tokio::join!(farewell, handover);
    }
}

impl Handover<'_> {
    /// Whether it is known of each QoS 2 publish if the exit has it: only then the next connection
    /// can tell a message that is sent again from a new one [MQTT-4.3.3-10].
    fn is_decided(&self) -> bool {
        self.leave.expiry == 0 || self.registration.is_discarded.get() || !self.acks.is_undecided()
    }

    fn poll_decided(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.registration.park(cx.waker());
        let mut events = Vec::new();
        for slot in 0..self.sessions.len() {
            loop {
                let session = self.sessions.session(slot);
                let polled = session.poll_events(cx, Appetite::default(), &mut events);
                for event in events.drain(..) {
                    if let Event::Published { ticket, reason } = event {
                        self.acks.complete(ticket, reason);
                    }
                }
                match polled {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) => {}
                    // Its answers do not come any more.
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                }
            }
        }
        if self.is_decided() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn close(self) {
        let Self { sessions, acks, in_flight, registration, leave } = self;
        let is_kept = leave.expiry > 0 && !registration.is_discarded.get();
        sessions.close(leave.cause, |slot| {
            is_kept.then(|| Keep {
                expiry: leave.expiry,
                unfinished: Unfinished {
                    deliveries: in_flight.unfinished(slot),
                    // The client's publishes are no exit's: the first has their identifiers.
                    received: if slot == 0 { acks.received() } else { Vec::new() },
                },
            })
        });
        registration.release();
    }
}
