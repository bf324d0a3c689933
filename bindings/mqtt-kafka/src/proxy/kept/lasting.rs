//! What a session has that may outlive its connection, or that has.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use kafka_plane::{Batch, Older, Read, TopicLog, TopicTable};
use mqtt_plane::{
    Appetite, Delivery, Event, Messages, Position, Qos, SubscriptionIds, filter_matches,
};

use crate::proxy::deliver::older::Question;
use crate::proxy::deliver::reader::Reader;
use crate::proxy::deliver::run::Run;
use crate::proxy::member::{Member, State, partition_in};
use crate::proxy::upstream::Upstream;
use crate::wire::{View, topic_of};

/// Logs that a session has left and that are remembered, at most: what it has open may lie there.
const FORMER: usize = 64;

/// Parts of a session that only one that may outlive its connection has, or one that has.
#[derive(Default)]
pub(in crate::proxy) struct Lasting {
    /// What is to be sent before anything else: what an earlier connection left open.
    pub(in crate::proxy) pending: VecDeque<Pending>,
    /// What was asked of Kafka for the first of them, since memory no longer holds it.
    pub(in crate::proxy) question: Option<Rc<Question>>,
    /// Logs that it no longer reads, the latest last.
    pub(in crate::proxy) former: VecDeque<Source>,
    /// Retained messages that are in flight, by the log and the offset of their positions.
    pub(in crate::proxy) retained: BTreeMap<(u32, i64), (Rc<Upstream>, Rc<str>)>,
    /// The exits whose retained messages it was sent, or is about to be.
    pub(in crate::proxy) upstreams: Vec<Rc<Upstream>>,
}

/// A log, by its name in positions.
#[derive(Clone)]
pub(in crate::proxy) struct Source {
    pub(in crate::proxy) id: u32,
    pub(in crate::proxy) upstream: Rc<Upstream>,
    pub(in crate::proxy) topic: Rc<str>,
}

impl From<&Rc<Reader>> for Source {
    fn from(reader: &Rc<Reader>) -> Self {
        Self {
            id: reader.id,
            upstream: Rc::clone(&reader.upstream),
            topic: Rc::clone(&reader.topic),
        }
    }
}

/// A message that an earlier connection left.
pub(in crate::proxy) struct Pending {
    /// The identifier that it was sent with; `None` where it was not sent.
    pub(in crate::proxy) packet_id: Option<u16>,
    pub(in crate::proxy) record: Record,
    pub(in crate::proxy) qos: Qos,
    pub(in crate::proxy) retain: bool,
    /// The subscription identifiers; `None`: those of the subscriptions that match it now.
    pub(in crate::proxy) ids: Option<SubscriptionIds>,
    pub(in crate::proxy) position: Position,
}

/// Where the record of a message lies.
pub(in crate::proxy) enum Record {
    Log(Logged),
    Retained { table: Rc<dyn TopicTable>, upstream: Rc<Upstream>, topic: Rc<str>, at: (u32, i64) },
    Unknown,
}

/// A record of a log.
pub(in crate::proxy) struct Logged {
    reader: Rc<Reader>,
    log: Rc<dyn TopicLog>,
    /// The cluster that it lies in.
    cluster: Option<Arc<str>>,
    partition: u32,
    offset: i64,
}

/// What is known of a record.
enum Sought {
    Found(View),
    Gone,
    /// Kafka was asked for it.
    Asked,
}

impl Logged {
    pub(super) fn new(reader: &Rc<Reader>, partition: u32, offset: i64) -> Self {
        let (log, cluster) = (reader.log(), reader.upstream.exit().cluster());
        Self { reader: Rc::clone(reader), log, cluster, partition, offset }
    }

    /// The record in memory, or in what Kafka has answered; else Kafka is asked for it.
    fn seek(&self, member: &Member, question: &mut Option<Rc<Question>>) -> Sought {
        let Self { reader, log, cluster, partition, offset } = self;
        let mut batches = Vec::new();
        let read = log.read(*partition, *offset, 0, &mut batches);
        if !matches!(read, Read::Gone(start) if start > *offset) {
            return self.within(batches.pop());
        }
        // In another cluster the offset means something else.
        if reader.upstream.exit().cluster() != *cluster {
            return Sought::Gone;
        }
        question.take_if(|question| !question.is_about(reader, *partition, *offset));
        let question =
            question.get_or_insert_with(|| Question::ask(member, reader, *partition, *offset));
        match question.answer() {
            Some(Older::Next(batch, _)) => self.within(batch),
            Some(Older::Gone(_)) => Sought::Gone,
            None => Sought::Asked,
        }
    }

    fn within(&self, batch: Option<Arc<Batch>>) -> Sought {
        let Some(batch) = batch else { return Sought::Gone };
        let index = batch.index_of(self.offset);
        if index >= batch.len() || batch.record(index).offset() != self.offset {
            return Sought::Gone;
        }
        let topic = topic_of(&batch.record(index)).map(str::to_owned);
        topic.map_or(Sought::Gone, |topic| Sought::Found(View::new(batch, index, &topic)))
    }
}

impl Record {
    /// The message, if it is still there.
    fn seek(&self, member: &Member, question: &mut Option<Rc<Question>>) -> Sought {
        match self {
            Self::Log(logged) => logged.seek(member, question),
            Self::Retained { table, topic, at, .. } => {
                let view = table.get(topic.as_bytes()).map(|batch| View::new(batch, 0, topic));
                view.filter(|view| view.place() == *at).map_or(Sought::Gone, Sought::Found)
            }
            Self::Unknown => Sought::Gone,
        }
    }
}

impl Lasting {
    /// Retained messages of an exit are about to be sent.
    pub(in crate::proxy) fn will_send_retained(&mut self, upstream: &Rc<Upstream>) {
        if !self.upstreams.iter().any(|known| Rc::ptr_eq(known, upstream)) {
            self.upstreams.push(Rc::clone(upstream));
        }
    }

    /// Remembers a log that is being left.
    pub(in crate::proxy) fn leave(&mut self, reader: &Rc<Reader>) {
        self.former.retain(|source| source.id != reader.id);
        if self.former.len() == FORMER {
            self.former.pop_front();
        }
        self.former.push_back(reader.into());
    }
}

impl State {
    /// Hands out what an earlier connection left, as far as `appetite` goes. Returns whether all of
    /// it is handed out.
    pub(in crate::proxy) fn send_pending(
        &mut self,
        member: &Member,
        appetite: &mut Appetite,
        out: &mut Vec<Event>,
    ) -> bool {
        let hub = &*member.hub;
        let Some(lasting) = &mut self.lasting else { return true };
        while let Some(pending) = lasting.pending.front() {
            if appetite.bytes == 0 || appetite.in_flight == 0 {
                return false;
            }
            let sought = pending.record.seek(member, &mut lasting.question);
            if matches!(sought, Sought::Asked) {
                return false;
            }
            let Some(pending) = lasting.pending.pop_front() else { break };
            let Sought::Found(view) = sought else {
                // A retained message that was not sent yet and is another now has a live copy.
                if let Some(packet_id) = pending.packet_id {
                    hub.counters.redeliveries_gone.increment();
                    out.push(Event::Gone { packet_id });
                }
                continue;
            };
            let topic = view.publish().topic;
            let subscription_ids = pending.ids.unwrap_or_else(|| {
                let held = self.held.iter().filter(|(filter, _)| filter_matches(filter, topic));
                let ids: Rc<[u32]> = held.filter_map(|(_, held)| held.options.id).collect();
                (!ids.is_empty()).then_some(ids)
            });
            appetite.bytes = appetite.bytes.saturating_sub(view.payload_len().max(1));
            appetite.in_flight -= 1;
            let messages: Rc<dyn Messages> = Rc::new(Run::new(&hub.cx, vec![view]));
            let delivery = Delivery {
                messages,
                index: 0,
                is_shared: false,
                qos: pending.qos,
                retain: pending.retain,
                subscription_ids,
                position: pending.position,
            };
            out.push(match pending.packet_id {
                Some(packet_id) => {
                    hub.counters.redeliveries.increment();
                    Event::Redeliver { packet_id, delivery }
                }
                None => {
                    if let Record::Retained { upstream, topic, .. } = pending.record {
                        let position = (pending.position.log, pending.position.offset);
                        lasting.retained.insert(position, (upstream, topic));
                    }
                    Event::Deliver(delivery)
                }
            });
        }
        lasting.question = None;
        true
    }

    /// Notes which of the deliveries that were handed out are retained messages, so that they are
    /// found again by their topic.
    pub(in crate::proxy) fn note_retained(&mut self, handed_out: &[Event]) {
        let Some(lasting) = &mut self.lasting else { return };
        if lasting.upstreams.is_empty() {
            return;
        }
        for event in handed_out {
            let Event::Deliver(delivery) = event else { continue };
            if delivery.qos == Qos::AtMostOnce {
                continue;
            }
            let of = |up: &&Rc<Upstream>| partition_in(up.retained_id, delivery.position).is_some();
            if let Some(upstream) = lasting.upstreams.iter().find(of) {
                let topic = delivery.messages.publish(delivery.index).topic.into();
                let position = (delivery.position.log, delivery.position.offset);
                lasting.retained.insert(position, (Rc::clone(upstream), topic));
            }
        }
    }
}

impl Member {
    /// A delivery is complete, or the client has it: it is not sent again.
    pub(in crate::proxy) fn acknowledge(&self, position: Position) {
        if let Some(lasting) = &mut self.state.borrow_mut().lasting {
            lasting.retained.remove(&(position.log, position.offset));
        }
    }
}
