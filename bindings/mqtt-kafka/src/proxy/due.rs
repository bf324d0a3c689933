//! Sessions that expire: one timer a worker.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::hub::Hub;
use super::kept::Kept;

/// How long a timer runs at most: a day, so that it need not reach centuries ahead.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The timer of a worker, and when it ends.
pub(super) struct Alarm {
    at: Instant,
    timer: AbortHandle,
}

impl Hub {
    /// Keeps the session of a client that is gone.
    pub(super) fn keep(self: &Rc<Self>, client_id: &str, kept: Kept) {
        self.discard_kept(client_id);
        match self.shared.kept.insert(client_id, Box::new(kept), self.cx.index()) {
            Ok(()) => {
                self.counters.sessions_kept.increment();
                self.arm();
            }
            Err(kept) => {
                self.end_seats(&kept);
                self.counters.sessions_not_kept.increment();
                tracing::warn!(
                    event = "mqtt_kafka.session.not_kept",
                    binding = %self.name,
                    client = client_id,
                    "as many sessions of clients that are away are kept as may be: this one ends \
                     with its connection"
                );
            }
        }
    }

    /// The session that is kept of a client, if it has not expired.
    pub(super) fn take_kept(self: &Rc<Self>, client_id: &str) -> Option<Box<Kept>> {
        let kept = self.shared.kept.take(client_id)?;
        self.counters.sessions_kept.decrement();
        if kept.expires.is_some_and(|expires| expires <= self.cx.clock().now()) {
            // Its timer is about to end.
            self.expire(client_id, &kept);
            return None;
        }
        Some(kept)
    }

    /// Ends the session that is kept of a client [MQTT-3.1.2-4].
    pub(super) fn discard_kept(self: &Rc<Self>, client_id: &str) {
        if let Some(kept) = self.take_kept(client_id) {
            self.end_seats(&kept);
            self.counters.sessions_discarded.increment();
        }
    }

    /// [MQTT-4.1.0-2]
    fn expire(self: &Rc<Self>, client_id: &str, kept: &Kept) {
        self.end_seats(kept);
        self.counters.sessions_expired.increment();
        tracing::debug!(
            event = "mqtt_kafka.session.expired",
            binding = %self.name,
            client = client_id,
        );
    }

    /// Sets the timer to what is due next on this worker.
    pub(super) fn arm(self: &Rc<Self>) {
        let Some(at) = self.shared.kept.next_due(self.cx.index()) else { return };
        let mut alarm = self.alarm.borrow_mut();
        if let Some(alarm) = &*alarm {
            if alarm.at <= at {
                return;
            }
            alarm.timer.abort();
        }
        let wait = at.saturating_duration_since(self.cx.clock().now());
        let hub = Rc::downgrade(self);
        let timer = self.cx.spawn(async move {
            tokio::time::sleep(wait.min(LONGEST)).await;
            let Some(hub) = hub.upgrade() else { return };
            hub.alarm.take();
            if wait <= LONGEST {
                hub.end_expired(at);
            }
            hub.arm();
        });
        *alarm = Some(Alarm { at, timer });
    }

    fn end_expired(self: &Rc<Self>, until: Instant) {
        let worker = self.cx.index();
        while let Some((client_id, kept)) = self.shared.kept.take_expired(worker, until) {
            let client_id: Arc<str> = client_id;
            self.counters.sessions_kept.decrement();
            self.expire(&client_id, &kept);
        }
    }
}
