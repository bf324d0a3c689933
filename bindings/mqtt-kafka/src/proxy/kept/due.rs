//! Sessions that expire, and wills whose delay passes: one timer a worker.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::store::{Fallen, Kept, KeptWill};
use crate::proxy::hub::Hub;

/// How long a timer runs at most: a day, so that it need not reach centuries ahead.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The timer of a worker, and when it ends.
pub(in crate::proxy) struct Alarm {
    at: Instant,
    timer: AbortHandle,
}

impl Hub {
    /// Keeps the session of a client that is gone [MQTT-3.1.2-23].
    pub(in crate::proxy) fn keep(self: &Rc<Self>, client_id: &str, kept: Kept) {
        self.discard_kept(client_id);
        let has_will = kept.will.is_some();
        match self.shared.kept.insert(client_id, Box::new(kept), self.cx.index()) {
            Ok(()) => {
                self.counters.sessions_kept.increment();
                if has_will {
                    self.counters.wills_delayed.increment();
                }
                self.arm();
            }
            Err(kept) => {
                self.end_seats(&kept);
                self.counters.sessions_not_kept.increment();
                self.limits.not_kept.tell(self.cx.clock().unix_millis(), |left_out| {
                    tracing::warn!(
                        event = "mqtt_kafka.session.not_kept",
                        binding = %self.name,
                        client = client_id,
                        left_out,
                        "as many sessions of clients that are away are kept as may be: this one \
                         ends with its connection"
                    );
                });
                if let Some(KeptWill { will, .. }) = kept.will {
                    self.publish_will(client_id, will);
                }
            }
        }
    }

    /// The session that is kept of a client, if it has not expired, to be gone on with: its will is
    /// discarded, unless it is due already [MQTT-3.1.3-9].
    pub(in crate::proxy) fn take_kept(self: &Rc<Self>, client_id: &str) -> Option<Box<Kept>> {
        let mut kept = self.take_unexpired(client_id)?;
        if let Some(KeptWill { at, will }) = kept.will.take() {
            self.counters.wills_delayed.decrement();
            if at <= self.cx.clock().now() {
                // Its timer is about to end.
                self.publish_will(client_id, will);
            } else {
                self.counters.wills_discarded.increment();
            }
        }
        Some(kept)
    }

    /// Ends the session that is kept of a client [MQTT-3.1.2-4], and with it the delay of its will.
    pub(in crate::proxy) fn discard_kept(self: &Rc<Self>, client_id: &str) {
        if let Some(kept) = self.take_unexpired(client_id) {
            self.counters.sessions_discarded.increment();
            self.end_kept(client_id, *kept);
        }
    }

    fn take_unexpired(self: &Rc<Self>, client_id: &str) -> Option<Box<Kept>> {
        let kept = self.shared.kept.take(client_id)?;
        self.counters.sessions_kept.decrement();
        if kept.expires.is_some_and(|expires| expires <= self.cx.clock().now()) {
            // Its timer is about to end.
            self.expire(client_id, *kept);
            return None;
        }
        Some(kept)
    }

    /// [MQTT-4.1.0-2]
    fn expire(self: &Rc<Self>, client_id: &str, kept: Kept) {
        self.counters.sessions_expired.increment();
        tracing::debug!(
            event = "mqtt_kafka.session.expired",
            binding = %self.name,
            client = client_id,
        );
        self.end_kept(client_id, kept);
    }

    /// A session has ended: its seats are free, and its will is due [MQTT-3.1.2-8].
    fn end_kept(self: &Rc<Self>, client_id: &str, kept: Kept) {
        self.end_seats(&kept);
        if let Some(KeptWill { will, .. }) = kept.will {
            self.counters.wills_delayed.decrement();
            self.publish_will(client_id, will);
        }
    }

    /// This instance ends. If no other takes its place, sessions that are kept are not gone on
    /// with: the wills among them are due.
    pub(in crate::proxy) fn end_delays(self: &Rc<Self>) {
        for (client_id, will) in self.shared.kept.end(self.cx.index()) {
            self.counters.wills_delayed.decrement();
            self.publish_will(&client_id, will);
        }
    }

    /// Sets the timer to what is due next on this worker.
    pub(in crate::proxy) fn arm(self: &Rc<Self>) {
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
                hub.end_due(at);
            }
            hub.arm();
        });
        *alarm = Some(Alarm { at, timer });
    }

    fn end_due(self: &Rc<Self>, until: Instant) {
        while let Some(fallen) = self.shared.kept.take_due(self.cx.index(), until) {
            match fallen {
                Fallen::Session(client_id, kept) => {
                    self.counters.sessions_kept.decrement();
                    self.expire(&client_id, *kept);
                }
                Fallen::Will(client_id, will) => {
                    self.counters.wills_delayed.decrement();
                    self.publish_will(&client_id, will);
                }
            }
        }
    }
}
