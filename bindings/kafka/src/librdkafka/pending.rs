//! Appends under way: who is to be told, and what is still missing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::telemetry::Counter;
use kafka_plane::Fault;
use rdkafka::error::RDKafkaErrorCode;
use slab::Slab;

use super::Client;
use super::acl::Operation;
use super::context::Delivery;
use super::faults::fault_of_code;
use crate::cluster::{Answer, Lane};
use crate::state::BurstAppend;

/// An append.
struct Append {
    lane: usize,
    /// The worker's key of who waits; `None`: nobody.
    completion: Option<u32>,
    missing: u32,
    bytes: usize,
    fault: Option<Fault>,
}

/// A lane with answers that are collected for it.
struct Answers {
    lane: Arc<Lane>,
    list: Vec<Answer>,
}

/// All appends under way. A record carries the key of its append.
pub(super) struct Pending {
    cluster: Arc<Client>,
    appends: Slab<Append>,
    /// Records taken from the lanes that are not settled.
    under_way: usize,
    /// The keys that the appends of the burst opened last were given.
    opened: Vec<usize>,
    lanes: Slab<Answers>,
    last_fault: Option<Fault>,
    records: Counter,
    refused: Counter,
}

/// The appends of a burst.
pub(super) struct Opened(Vec<usize>);

impl Opened {
    /// What a record of the burst's append at `index` carries.
    pub(super) fn opaque(&self, index: usize) -> usize {
        self.0[index]
    }
}

impl Pending {
    pub(super) fn new(cluster: &Arc<Client>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            appends: Slab::new(),
            under_way: 0,
            opened: Vec::new(),
            lanes: Slab::new(),
            last_fault: None,
            records: cluster.counter("records_appended"),
            refused: cluster.counter("records_refused"),
        }
    }

    /// Opens the appends of a burst.
    pub(super) fn open(&mut self, lane: &Arc<Lane>, appends: &[BurstAppend]) -> Opened {
        let lane = self.lane(lane);
        let mut opened = std::mem::take(&mut self.opened);
        opened.clear();
        for append in appends {
            let BurstAppend { completion, records, bytes } = *append;
            let append = Append { lane, completion, missing: records, bytes, fault: None };
            opened.push(self.appends.insert(append));
            self.under_way += records as usize;
        }
        Opened(opened)
    }

    /// How many records were taken from the lanes and are not settled.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Keeps the memory of what [`Pending::open`] gave.
    pub(super) fn close(&mut self, opened: Opened) {
        self.opened = opened.0;
    }

    fn lane(&mut self, lane: &Arc<Lane>) -> usize {
        let known = self.lanes.iter().find(|(_, known)| Arc::ptr_eq(&known.lane, lane));
        match known {
            Some((key, _)) => key,
            None => self.lanes.insert(Answers { lane: Arc::clone(lane), list: Vec::new() }),
        }
    }

    /// Drops lanes that are none of `present` and have nothing under way.
    pub(super) fn retain_lanes(&mut self, present: &[Arc<Lane>]) {
        let appends = &self.appends;
        self.lanes.retain(|key, lane| {
            present.iter().any(|present| Arc::ptr_eq(present, &lane.lane))
                || appends.iter().any(|(_, append)| append.lane == key)
        });
    }

    /// A record was delivered, or was not.
    pub(super) fn settle(&mut self, delivery: &Delivery) {
        match delivery.error {
            None => {
                self.records.increment();
                self.last_fault = None;
                if let Some(name) = &delivery.topic {
                    self.note_granted(name);
                }
                self.finish(delivery.opaque, None);
            }
            Some(code) => {
                let fault = fault_of_code(code);
                let topic = delivery.topic.as_deref().unwrap_or_default();
                if code == RDKafkaErrorCode::TopicAuthorizationFailed {
                    self.cluster.deny_writes(&self.cluster.topic(topic));
                }
                self.tell(fault, topic);
                self.finish(delivery.opaque, Some(fault));
            }
        }
    }

    /// A record was never handed to Kafka.
    pub(super) fn refuse(&mut self, opaque: usize, fault: Fault, topic: &str) {
        self.tell(fault, topic);
        self.finish(opaque, Some(fault));
    }

    /// Counts a refusal, and says it where it differs from the one before.
    fn tell(&mut self, fault: Fault, topic: &str) {
        self.refused.increment();
        let is_new = self.last_fault.replace(fault) != Some(fault);
        // Of a topic that is denied an event has said more.
        if is_new && fault != Fault::NotAuthorized {
            tracing::error!(
                event = "kafka.append.refused",
                cluster = %self.cluster.name,
                topic,
                "{fault}; further records refused alike are only counted",
            );
        }
    }

    /// A record of a topic was delivered, while some topic's were refused.
    fn note_granted(&self, topic: &str) {
        let topic = self.cluster.topic(topic);
        if topic.writes.grant() {
            self.cluster.tell_granted(Operation::Write, &topic);
            let topics = self.cluster.all_topics();
            let is_any_denied = topics.iter().any(|topic| topic.writes.is_doubtful());
            self.cluster.are_reports_named.store(is_any_denied, Ordering::Relaxed);
        }
    }

    fn finish(&mut self, opaque: usize, fault: Option<Fault>) {
        let Some(append) = self.appends.get_mut(opaque) else { return };
        append.fault = append.fault.or(fault);
        append.missing -= 1;
        self.under_way -= 1;
        if append.missing > 0 {
            return self.cluster.settled(1, 0);
        }
        let append = self.appends.remove(opaque);
        self.cluster.settled(1, append.bytes);
        if let Some(completion) = append.completion {
            let outcome = append.fault.map_or(Ok(()), Err);
            self.lanes[append.lane].list.push(Answer::Appended(completion, outcome));
        }
    }

    /// Gives the answers to the workers: one call each.
    pub(super) fn answer(&mut self) {
        for (_, lane) in &mut self.lanes {
            lane.lane.answers.append(&mut lane.list);
        }
    }

    /// Answers everything that is still under way.
    pub(super) fn fail_all(&mut self) {
        for append in self.appends.drain() {
            if let Some(completion) = append.completion {
                let answer = Answer::Appended(completion, Err(Fault::Unavailable));
                self.lanes[append.lane].list.push(answer);
            }
        }
    }
}
