//! Records of a log, once through its subscriptions, to the sessions that match.

use std::rc::Rc;
use std::sync::Arc;

use kafka_plane::{Batch, Read, Record};
use mqtt_plane::Messages;

use super::reader::Reader;
use super::run::{Run, is_expired};
use crate::proxy::hub::Hub;
use crate::proxy::member::Offer;
use crate::state::Match;
use crate::wire::{View, topic_of};

/// How much of a partition is read before sessions get to write, bytes.
const READ: usize = 256 << 10;

/// Lists that are used again with each read.
#[derive(Default)]
pub(in crate::proxy) struct Scratch {
    batches: Vec<Arc<Batch>>,
    matches: Vec<Rc<[Match]>>,
}

impl Hub {
    /// Reads what a log has more, and wakes each session concerned once.
    pub(in crate::proxy) fn advance(self: &Rc<Self>, reader: &Rc<Reader>) {
        if !reader.is_placed() || reader.is_scheduled.get() {
            return;
        }
        let has_more = self.pass(reader);
        self.wake_dirty();
        if has_more {
            // Sessions write before the rest comes, so that rings need not hold all of a burst.
            reader.is_scheduled.set(true);
            let (hub, reader) = (Rc::downgrade(self), Rc::clone(reader));
            self.cx.spawn(async move {
                tokio::task::yield_now().await;
                reader.is_scheduled.set(false);
                if let Some(hub) = hub.upgrade() {
                    hub.advance(&reader);
                }
            });
        }
    }

    /// Reads each partition once, up to a bound. Returns whether a partition may have more.
    fn pass(&self, reader: &Rc<Reader>) -> bool {
        let log = reader.log();
        let mut scratch = self.scratch.take();
        let mut has_more = false;
        for partition in 0..log.partitions() {
            let from = reader.position(partition);
            match reader.read(partition, from, READ, &mut scratch.batches) {
                Read::Next(next) => {
                    let bytes: usize = scratch.batches.iter().map(|b| b.footprint()).sum();
                    has_more |= bytes >= READ;
                    self.dispatch(reader, from, &mut scratch);
                    reader.set_position(partition, next);
                }
                Read::Gone(start) => {
                    self.fall_out(reader, partition, from, start);
                    reader.set_position(partition, start);
                    has_more = true;
                }
            }
            scratch.batches.clear();
        }
        *self.scratch.borrow_mut() = scratch;
        has_more
    }

    fn dispatch(&self, reader: &Rc<Reader>, from: i64, scratch: &mut Scratch) {
        let mut views = Vec::new();
        for batch in &scratch.batches {
            let mut subscriptions = reader.subscriptions.borrow_mut();
            for index in batch.index_of(from)..batch.len() {
                let record = batch.record(index);
                let Some(topic) = topic_of(&record) else {
                    self.skip_key(reader, &record);
                    continue;
                };
                let matches = subscriptions.matches(topic);
                if matches.is_empty() {
                    continue;
                }
                let view = View::new(Arc::clone(batch), index, topic);
                if is_expired(&view, &self.cx) {
                    self.counters.deliveries_expired.increment();
                    continue;
                }
                views.push(view);
                scratch.matches.push(matches);
            }
        }
        if views.is_empty() {
            return;
        }
        let run = Rc::new(Run::new(&self.cx, views));
        let messages: Rc<dyn Messages> = Rc::<Run>::clone(&run);
        for (index, matches) in (0_u32..).zip(scratch.matches.drain(..)) {
            for found in matches.iter() {
                self.offer(reader, &run, &messages, index, found, matches.len() > 1);
            }
        }
    }

    fn offer(
        &self,
        reader: &Rc<Reader>,
        run: &Run,
        messages: &Rc<dyn Messages>,
        index: u32,
        found: &Match,
        is_shared: bool,
    ) {
        let view = run.view(index as usize);
        let (partition, offset) = view.place();
        self.with_member(found.owner, |member| {
            let is_own = found.no_local && view.local() == Some(&*member.client_id);
            if let Some(grant) = found.resolve(partition, offset, is_own) {
                let retain = grant.retain_as_published && self.was_retained(reader, view);
                let offer = Offer { run, messages, index, is_shared, grant, retain };
                member.offer(reader, offer);
            }
        });
    }

    /// A record whose key is no MQTT topic: other producers' matter. Named once a log.
    pub(in crate::proxy) fn skip_key(&self, reader: &Reader, record: &Record<'_>) {
        self.counters.records_skipped_key.increment();
        if !reader.has_named_key.replace(true) {
            tracing::warn!(
                event = "mqtt_kafka.record.skipped",
                binding = %self.name,
                topic = %reader.topic,
                partition = record.partition(),
                offset = record.offset(),
                "the key is not an MQTT topic name; further ones in this topic are only counted"
            );
        }
    }

    /// Memory no longer holds what this worker had not read: it was too slow, or the topic was made
    /// anew. Sessions that must miss nothing read on by themselves.
    fn fall_out(&self, reader: &Rc<Reader>, partition: u32, from: i64, start: i64) {
        if start < from {
            for member in self.members() {
                member.forget_offsets(reader);
            }
            tracing::warn!(
                event = "mqtt_kafka.topic.recreated",
                binding = %self.name,
                topic = %reader.topic,
                partition,
                "the topic was made anew: it is read from its beginning"
            );
            return;
        }
        if partition as usize >= reader.positions().len() {
            return;
        }
        self.counters.logs_fallen_out.increment();
        tracing::warn!(
            event = "mqtt_kafka.log.fallen_out",
            binding = %self.name,
            topic = %reader.topic,
            partition,
            from,
            start,
            "memory no longer holds what this worker had not read; sessions of QoS 1 and 2 read it \
             from Kafka, others miss it"
        );
        self.members().iter().for_each(|member| member.leave_dispatch(reader, partition, from));
    }
}
