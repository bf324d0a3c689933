//! Wills that are due. One that Kafka does not take is tried again for a while: its client cannot
//! be told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use kafka_plane::{Appended, Completion, Fault};
use mqtt_plane::{Publish, Will};

use super::store::weight_of;
use crate::proxy::hub::Hub;
use crate::proxy::publish::of_token;

/// How long until a will that Kafka did not take is tried again.
pub(in crate::proxy) const RETRY: Duration = Duration::from_secs(1);

/// How often a will is tried at most: for five minutes.
pub(in crate::proxy) const ATTEMPTS: u32 = 300;

/// Memory of the wills that wait to be tried again on a worker at most, bytes, about.
pub(in crate::proxy) const BYTES: usize = 16 << 20;

/// A will that is due.
struct DueWill {
    client_id: Box<str>,
    will: Box<Will>,
    /// How often Kafka has not taken it.
    failures: Cell<u32>,
}

impl DueWill {
    fn weight(&self) -> usize {
        size_of_val(self) + self.client_id.len() + weight_of(&self.will)
    }
}

/// Wills of a worker that Kafka has not taken, and that are to be tried again.
#[derive(Default)]
pub(in crate::proxy) struct Unpublished {
    wills: RefCell<Vec<Rc<DueWill>>>,
    bytes: Cell<usize>,
    is_timed: Cell<bool>,
}

impl Hub {
    /// Publishes a will [MQTT-3.1.2-8]: a record without `zilla:local`.
    pub(in crate::proxy) fn publish_will(self: &Rc<Self>, client_id: &str, will: Box<Will>) {
        let client_id = client_id.into();
        self.try_will(Rc::new(DueWill { client_id, will, failures: Cell::default() }));
    }

    fn try_will(self: &Rc<Self>, due: Rc<DueWill>) {
        let publish = due.will.publish();
        let publish = Publish { qos: publish.qos.min(self.qos_max()), ..publish };
        let Some(destination) = self.destination(publish.topic) else {
            return self.will_failed(&due, Fault::Refused("no route takes its topic"));
        };
        let owner = Rc::new(Outcome { hub: Rc::clone(self), due: Rc::clone(&due) });
        let completion = Completion { owner, token: self.token(0) };
        match self.append(&destination, &publish, None, Some(completion)) {
            Ok(()) => self.shared.underway.enter(self.cx.generation()),
            Err(fault) => self.not_taken(due, fault),
        }
    }

    /// Kafka has not taken a will: it is tried again, where that may help.
    fn not_taken(self: &Rc<Self>, due: Rc<DueWill>, fault: Fault) {
        let failures = due.failures.get() + 1;
        due.failures.set(failures);
        let unpublished = &self.unpublished;
        let bytes = unpublished.bytes.get() + due.weight();
        let is_over = fault == Fault::TooLarge
            || failures >= ATTEMPTS
            || bytes > BYTES
            || self.refusal.get().is_some();
        if is_over {
            return self.will_failed(&due, fault);
        }
        self.counters.wills_retried.increment();
        if failures == 1 {
            tracing::warn!(
                event = "mqtt_kafka.will.not_taken",
                binding = %self.name,
                client = &*due.client_id,
                fault = %fault,
                "a will is not published yet; it is tried again for five minutes"
            );
        }
        unpublished.bytes.set(bytes);
        unpublished.wills.borrow_mut().push(due);
        if unpublished.is_timed.replace(true) {
            return;
        }
        let hub = Rc::clone(self);
        self.cx.spawn(async move {
            tokio::time::sleep(RETRY).await;
            hub.unpublished.is_timed.set(false);
            hub.try_wills();
        });
    }

    /// Tries all wills again that Kafka has not taken.
    pub(in crate::proxy) fn try_wills(self: &Rc<Self>) {
        self.unpublished.bytes.set(0);
        for due in self.unpublished.wills.take() {
            self.try_will(due);
        }
    }

    fn will_failed(&self, due: &DueWill, fault: Fault) {
        self.counters.wills_failed.increment();
        tracing::warn!(
            event = "mqtt_kafka.will.failed",
            binding = %self.name,
            client = &*due.client_id,
            topic = &*due.will.topic,
            fault = %fault,
            "a will was not published"
        );
    }
}

/// Whom Kafka tells about a will, whose session is gone.
struct Outcome {
    hub: Rc<Hub>,
    due: Rc<DueWill>,
}

impl Appended for Outcome {
    fn appended(&self, token: u64, outcome: Result<(), Fault>) {
        self.hub.shared.underway.leave(of_token(token).1);
        match outcome {
            Ok(()) => self.hub.counters.wills_published.increment(),
            Err(fault) => self.hub.not_taken(Rc::clone(&self.due), fault),
        }
    }
}
