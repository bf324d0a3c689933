//! What a session has for its client, pulled.

use std::task::{Context, Poll};

use mqtt_plane::{Appetite, Closed, Event};

use super::member::Member;

/// Steps of a replay or a catch-up that one poll takes before other sessions have their turn.
const STEPS: usize = 8;

/// Answers to publishes for which memory is kept.
const PUBLISHED: usize = 64;

impl Member {
    /// Moves answers, then messages, to `out`. Answers do not wait for the client's Receive
    /// Maximum [MQTT-3.3.4-10], [MQTT-4.9.0-3].
    pub(super) fn poll_events(
        &self,
        cx: &mut Context<'_>,
        mut appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>> {
        let before = out.len();
        let mut steps = 0;
        loop {
            let mut state = self.state.borrow_mut();
            if state.unread() > 0 {
                out.append(&mut std::mem::take(&mut state.answers));
                let published = state.published.drain(..);
                out.extend(published.map(|(ticket, reason)| Event::Published { ticket, reason }));
                self.wake_publisher();
            }
            if state.published.capacity() > PUBLISHED {
                state.published = Vec::new();
            }
            if let Some(closed) = &state.closed {
                return Poll::Ready(Err(closed.clone()));
            }
            if !state.send_pending(self, &mut appetite, out) {
                break;
            }
            state.drain(&self.hub, &mut appetite, out);
            let is_idle = state.replays.is_empty() && state.behind.is_empty();
            if appetite.bytes == 0 || !state.ring.is_empty() || is_idle {
                break;
            }
            if steps == STEPS {
                // Still at work: other sessions first.
                cx.waker().wake_by_ref();
                break;
            }
            steps += 1;
            let is_replaying = !state.replays.is_empty();
            drop(state);
            // Retained messages before what followed them.
            if is_replaying {
                self.replay();
            } else if !self.catch_up() {
                // Woken when Kafka has answered.
                break;
            }
        }
        if out.len() > before {
            return Poll::Ready(Ok(()));
        }
        self.events_waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
