//! From a session to what is kept of it.

use std::rc::Rc;
use std::time::Duration;

use mqtt_plane::{Delivery, Keep, OpenDelivery, Position, Qos, filter_matches};

use super::lasting::{Record, Source};
use super::store::{
    Kept, KeptDelivery, KeptLog, KeptPlace, KeptRecord, KeptReplay, KeptRetained, KeptSubscription,
    KeptTarget, Retained,
};
use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::proxy::member::{Held, Member, State, partition_in};
use crate::proxy::share::{Lies, is_shared};
use crate::proxy::upstream::Upstream;

impl Upstream {
    pub(in crate::proxy) fn place(&self, topic: &str) -> KeptPlace {
        KeptPlace { exit: self.name.clone(), cluster: self.exit().cluster(), topic: topic.into() }
    }
}

impl Member {
    /// What is to be kept of the session. QoS 0 messages that were not sent are not kept.
    pub(in crate::proxy) fn to_keep(&self, keep: Keep) -> Kept {
        let clock = self.hub.cx.clock();
        let now = clock.now();
        let expires = match keep.expiry {
            u32::MAX => None,
            seconds => now.checked_add(Duration::from_secs(seconds.into())),
        };
        let state = self.state.borrow();
        let mut keeping = Keeping {
            hub: &self.hub,
            state: &state,
            kept: Kept::new(now, expires),
            sources: Vec::new(),
        };
        for (filter, held) in state.held.iter() {
            keeping.subscription(filter, held);
        }
        let mut skipped = 0;
        for delivery in state.ring.iter() {
            match keeping.retained(delivery.position) {
                _ if delivery.qos == Qos::AtMostOnce => skipped += 1,
                Some(upstream) => keeping.queued(&upstream, delivery),
                None => keeping.rewind(delivery),
            }
        }
        self.hub.counters.deliveries_skipped.add(skipped);
        keeping.pending();
        for delivery in &keep.unfinished.deliveries {
            keeping.delivery(delivery);
        }
        let mut kept = keeping.kept;
        kept.received = keep.unfinished.received;
        let (replays, millis) = (state.replays.iter(), clock.unix_millis());
        kept.replays = replays
            .map(|replay| KeptReplay {
                filter: replay.filter().into(),
                exit: replay.upstream.name.clone(),
                next: replay.next.clone(),
                done: replay.done.clone(),
                before: replay.before.unwrap_or(millis),
            })
            .collect();
        drop(state);
        kept.seats = self.keep_seats();
        kept
    }
}

/// What is kept of a session, so far.
struct Keeping<'a> {
    hub: &'a Rc<Hub>,
    state: &'a State,
    kept: Kept,
    /// The logs in the order of [`Kept::logs`].
    sources: Vec<Source>,
}

impl Keeping<'_> {
    fn log(&mut self, source: Source) -> usize {
        let known = self.sources.iter().position(|other| other.id == source.id);
        known.unwrap_or_else(|| {
            let place = source.upstream.place(&source.topic);
            self.kept.logs.push(KeptLog { place, cursors: Vec::new() });
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    fn subscription(&mut self, filter: &Rc<str>, held: &Held) {
        let mut targets = Vec::new();
        for target in held.all_targets() {
            let reader = &target.reader;
            if !reader.is_placed() {
                // What the offsets were about is gone.
                continue;
            }
            let log = self.log(reader.into());
            if self.kept.logs[log].cursors.is_empty() {
                self.kept.logs[log].cursors = self.cursors(reader);
            }
            let (starts, floors) = target.interest.places();
            targets.push(KeptTarget { log, starts, floors });
        }
        let filter = (**filter).into();
        self.kept.subscriptions.push(KeptSubscription { filter, options: held.options, targets });
    }

    /// Up to where the session has taken the records of a log, by partition.
    fn cursors(&self, reader: &Rc<Reader>) -> Vec<i64> {
        let behind = self.state.behind.iter().find(|b| Rc::ptr_eq(&b.reader, reader));
        behind.map_or_else(|| reader.positions(), |behind| behind.cursors.clone())
    }

    /// The exit in whose retained table a delivery lies.
    fn retained(&self, position: Position) -> Option<Rc<Upstream>> {
        let mut upstreams = self.state.lasting.iter().flat_map(|lasting| &lasting.upstreams);
        upstreams
            .find(|upstream| partition_in(upstream.retained_id, position).is_some())
            .map(Rc::clone)
    }

    fn queued(&mut self, upstream: &Upstream, delivery: &Delivery) {
        let position = delivery.position;
        let Some(partition) = partition_in(upstream.retained_id, position) else { return };
        let publish = delivery.messages.publish(delivery.index);
        let record = Retained {
            place: upstream.place(upstream.retained().topic()),
            topic: publish.topic.into(),
            partition,
            offset: position.offset,
        };
        let ids = delivery.subscription_ids.as_deref().map(Into::into);
        self.kept.queued.push(KeptRetained { record, qos: delivery.qos, ids });
    }

    /// A message that was taken and not sent: it is to be read again.
    fn rewind(&mut self, delivery: &Delivery) {
        let position = delivery.position;
        let Some((log, partition)) = self.find(position) else { return };
        let (at, offset) = (partition as usize, position.offset);
        if let Some(cursor) = self.kept.logs[log].cursors.get_mut(at) {
            *cursor = (*cursor).min(offset);
        }
        let topic = delivery.messages.publish(delivery.index).topic;
        for subscription in &mut self.kept.subscriptions {
            let mut targets = subscription.targets.iter_mut().filter(|target| target.log == log);
            let Some(target) = targets.next() else { continue };
            // A subscription that had it keeps its message from others; this one has it still to
            // come.
            if let Some(floor) = target.floors.get_mut(at).filter(|floor| offset < **floor)
                && filter_matches(&subscription.filter, topic)
            {
                *floor = offset;
            }
        }
    }

    fn find(&self, position: Position) -> Option<(usize, u32)> {
        let mut sources = self.sources.iter().enumerate();
        sources.find_map(|(log, source)| Some((log, partition_in(source.id, position)?)))
    }

    /// What an earlier connection left unsent and this one has not sent either.
    fn pending(&mut self) {
        let pending = self.state.lasting.iter().flat_map(|lasting| &lasting.pending);
        for pending in pending.filter(|pending| pending.packet_id.is_none()) {
            let Record::Retained { upstream, topic, at, .. } = &pending.record else { continue };
            let record = Retained {
                place: upstream.place(upstream.retained().topic()),
                topic: (**topic).into(),
                partition: at.0,
                offset: at.1,
            };
            let ids = pending.ids.as_ref().and_then(|ids| ids.as_deref().map(Into::into));
            self.kept.queued.push(KeptRetained { record, qos: pending.qos, ids });
        }
    }

    fn delivery(&mut self, open: &OpenDelivery) {
        let OpenDelivery { packet_id, position, qos, retain, is_received } = *open;
        let mut ids = None;
        let record = if is_shared(position) {
            if qos == Qos::AtLeastOnce {
                // It goes to another member of the group, or to this one anew.
                return;
            }
            // [MQTT-4.8.2-4]
            let own = self.state.inbox.as_ref().and_then(|inbox| inbox.own(open));
            ids = Some(own.and_then(|(_, id)| id).into_iter().collect());
            own.map_or(KeptRecord::None, |(at, _)| self.lying(at))
        } else {
            self.record(position)
        };
        let record = if is_received { KeptRecord::None } else { record };
        let delivery = KeptDelivery { packet_id, record, qos, retain, is_received, ids };
        self.kept.deliveries.push(delivery);
    }

    /// The record of a message that a group had read.
    fn lying(&mut self, at: &Lies) -> KeptRecord {
        let place = at.place.as_deref();
        let source = place.and_then(|place| self.hub.source(place));
        source.map_or(KeptRecord::None, |source| KeptRecord::Log {
            log: self.log(source),
            partition: at.partition,
            offset: at.offset,
        })
    }

    fn record(&mut self, position: Position) -> KeptRecord {
        let offset = position.offset;
        if let Some((log, partition)) = self.find(position) {
            return KeptRecord::Log { log, partition, offset };
        }
        let Some(lasting) = &self.state.lasting else { return KeptRecord::None };
        if let Some((upstream, topic)) = lasting.retained.get(&(position.log, offset))
            && let Some(partition) = partition_in(upstream.retained_id, position)
        {
            let place = upstream.place(upstream.retained().topic());
            let topic = (**topic).into();
            return KeptRecord::Retained(Retained { place, topic, partition, offset });
        }
        let behind = self.state.behind.iter().map(|behind| Source::from(&behind.reader));
        let known = lasting.former.iter().cloned().chain(behind);
        let found = known.filter_map(|s| Some((partition_in(s.id, position)?, s))).next();
        match found {
            Some((partition, source)) => {
                KeptRecord::Log { log: self.log(source), partition, offset }
            }
            None => KeptRecord::None,
        }
    }
}
