//! A session that was kept, put in force again on any worker, under the mapping of the moment.
//!
//! Its client is sent first what was open, then what was about to be sent, then what the logs hold
//! from where it was, which it reads by itself until it has caught up with live dispatch. A log
//! that the mapping has gained meanwhile is read from where it ended when the client went; one that
//! it has lost, to its end.

use std::cell::RefMut;
use std::rc::Rc;

use mqtt_plane::{OpenDelivery, Position, Unfinished};

use super::lasting::{Lasting, Logged, Pending, Record, Source};
use super::store::{
    Kept, KeptDelivery, KeptPlace, KeptRecord, KeptReplay, KeptRetained, KeptSubscription, Retained,
};
use crate::proxy::deliver::catch_up::Behind;
use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::proxy::member::{Held, Member, State, position};
use crate::proxy::retained::replay::Replay;
use crate::proxy::upstream::Upstream;
use crate::state::{Interest, Options};

impl Hub {
    /// The exit of this name, whatever it leads to.
    fn exit_of(&self, place: &KeptPlace) -> Option<Rc<Upstream>> {
        let upstreams = self.upstreams();
        upstreams.iter().find(|upstream| upstream.name == place.exit).map(Rc::clone)
    }

    /// The exit of a place, if offsets there mean what they meant.
    fn same_exit(&self, place: &KeptPlace) -> Option<Rc<Upstream>> {
        self.exit_of(place).filter(|upstream| upstream.exit().cluster() == place.cluster)
    }
}

impl Hub {
    /// The log of a place as this worker reads it.
    pub(in crate::proxy) fn source(self: &Rc<Self>, place: &KeptPlace) -> Option<Source> {
        let upstream = self.same_exit(place)?;
        Some(Source::from(&self.reader(&upstream, &place.topic)))
    }
}

impl Reader {
    /// Begins to read at the end, if it did not read yet and the end is known. Whether it reads.
    fn place_at_end(&self) -> bool {
        if !self.is_placed()
            && let Some(ends) = self.log().known_ends()
        {
            self.place(&ends);
        }
        self.is_placed()
    }
}

impl Member {
    /// Goes on where an earlier connection left the session.
    pub(in crate::proxy) fn resume(&self, kept: Kept) -> Unfinished {
        let hub = &self.hub;
        let reader = |place: &KeptPlace| {
            let upstream = hub.same_exit(place)?;
            Some(hub.reader(&upstream, &place.topic))
        };
        let mut state = self.state.borrow_mut();
        state.lasting.get_or_insert_default();
        let mut resuming = Resuming {
            member: self,
            state,
            logs: kept.logs.iter().map(|log| reader(&log.place)).collect(),
            from: Vec::new(),
            kept: &kept,
            is_leaving: false,
        };
        for subscription in &kept.subscriptions {
            resuming.subscription(subscription);
        }
        for subscription in &kept.subscriptions {
            resuming.gain(&subscription.filter);
        }
        for replay in &kept.replays {
            resuming.replay(replay);
        }
        let deliveries = kept.deliveries.iter().map(|open| resuming.delivery(open)).collect();
        for queued in &kept.queued {
            resuming.queued(queued);
        }
        let Resuming { from, is_leaving, mut state, .. } = resuming.read_on();
        for seat in &kept.seats {
            self.resume_seat(&mut state, seat);
        }
        drop(state);
        for (reader, _) in &from {
            hub.advance(reader);
        }
        if is_leaving {
            hub.leave_later(hub.retargets.get());
        }
        hub.counters.sessions_resumed.increment();
        Unfinished { deliveries, received: kept.received }
    }
}

struct Resuming<'a> {
    member: &'a Member,
    state: RefMut<'a, State>,
    kept: &'a Kept,
    /// The logs of [`Kept::logs`] as this worker reads them, where their offsets still hold.
    logs: Vec<Option<Rc<Reader>>>,
    /// From where on each log is read.
    from: Vec<(Rc<Reader>, Vec<i64>)>,
    /// Whether there is a log to be left.
    is_leaving: bool,
}

impl Resuming<'_> {
    /// Puts a subscription in force on the logs that it was served from.
    fn subscription(&mut self, kept: &KeptSubscription) {
        let hub = &self.member.hub;
        let mut filter: Rc<str> = (*kept.filter).into();
        let options = Options { qos: kept.options.qos.min(hub.qos_max()), ..kept.options };
        let wanted = hub.readers_of(&filter);
        let mut held = Held::new(options);
        for target in &kept.targets {
            let Some(reader) = self.logs[target.log].clone() else { continue };
            // What this process holds of a log that it has not begun to read is all new.
            if !reader.place_at_end() {
                continue;
            }
            let (starts, floors) = (target.starts.clone(), target.floors.clone());
            let interest = Interest::at(options, starts, floors);
            filter = held.add(&filter, self.member.key, &reader, interest);
            self.read_from(&reader, &self.kept.logs[target.log].cursors);
            if !wanted.iter().any(|wanted| Rc::ptr_eq(wanted, &reader)) {
                let number = hub.retargets.get();
                held.leaving.extend(held.targets.pop().map(|target| (target, number)));
                self.is_leaving = true;
            }
        }
        hub.counters.subscriptions.increment();
        self.state.held.insert(filter, Box::new(held));
    }

    /// Serves a subscription from the logs that the mapping has gained for it.
    fn gain(&mut self, filter: &str) {
        let hub = &self.member.hub;
        let wanted = hub.readers_of(filter);
        if wanted.is_empty() {
            self.member.report_unrouted(filter);
        }
        for reader in &wanted {
            let Some(held) = self.state.held.get(filter) else { continue };
            if held.targets.iter().any(|target| Rc::ptr_eq(&target.reader, reader)) {
                continue;
            }
            let ends = reader.log().ends_at(self.kept.since).filter(|_| reader.place_at_end());
            let starts = ends.map(|ends| self.read_from(reader, &ends));
            let Some(held) = self.state.held.get_mut(filter) else { continue };
            match starts {
                Some(starts) => {
                    held.join(&filter.into(), self.member.key, reader, starts);
                }
                None => {
                    held.joining.push(Rc::clone(reader));
                    hub.ask(reader);
                }
            }
        }
    }

    /// Reads a log from `offsets` on, unless it is read from elsewhere already: from where on.
    fn read_from(&mut self, reader: &Rc<Reader>, offsets: &[i64]) -> Vec<i64> {
        if let Some((_, known)) = self.from.iter().find(|(known, _)| Rc::ptr_eq(known, reader)) {
            return known.clone();
        }
        self.from.push((Rc::clone(reader), offsets.to_vec()));
        offsets.to_vec()
    }

    fn replay(&mut self, kept: &KeptReplay) {
        let hub = &self.member.hub;
        let upstreams = hub.upstreams();
        let upstream = upstreams.iter().find(|upstream| upstream.name == kept.exit);
        let held = self.state.held.get_key_value(&kept.filter);
        let (Some(upstream), Some((filter, held))) = (upstream, held) else { return };
        let mut replay = Replay::new(filter, held.options, upstream, &upstream.retained());
        replay.next.clone_from(&kept.next);
        replay.done.clone_from(&kept.done);
        replay.before = Some(kept.before);
        self.state.replays.push(replay);
    }

    fn delivery(&mut self, kept: &KeptDelivery) -> OpenDelivery {
        let KeptDelivery { packet_id, ref record, qos, retain, is_received, ref ids } = *kept;
        let (record, position) = self.record(record);
        if !is_received {
            let packet_id = Some(packet_id);
            let ids = ids.as_deref().map(|ids| (!ids.is_empty()).then(|| ids.into()));
            let pending = Pending { packet_id, record, qos, retain, ids, position };
            self.lasting().pending.push_back(pending);
        }
        OpenDelivery { packet_id, position, qos, retain, is_received }
    }

    fn queued(&mut self, kept: &KeptRetained) {
        let Some((record, position)) = self.retained(&kept.record) else { return };
        let ids = kept.ids.as_deref().map(Into::into);
        self.lasting().pending.push_back(Pending {
            packet_id: None,
            record,
            qos: kept.qos,
            retain: true,
            ids: Some(ids),
            position,
        });
    }

    fn record(&mut self, kept: &KeptRecord) -> (Record, Position) {
        let found = match kept {
            KeptRecord::Log { log, partition, offset } => self.logged(*log, *partition, *offset),
            KeptRecord::Retained(retained) => {
                let found = self.retained(retained);
                if let Some((Record::Retained { upstream, topic, .. }, position)) = &found {
                    let entry = (Rc::clone(upstream), Rc::clone(topic));
                    self.lasting().retained.insert((position.log, position.offset), entry);
                }
                found
            }
            KeptRecord::None => None,
        };
        // What is not found is never asked for by its position.
        found.unwrap_or((Record::Unknown, Position { log: u32::MAX, offset: i64::MAX }))
    }

    fn logged(&mut self, log: usize, partition: u32, offset: i64) -> Option<(Record, Position)> {
        let reader = self.logs[log].clone()?;
        if self.kept.logs[log].cursors.is_empty() {
            // No subscription holds it.
            self.lasting().leave(&reader);
        }
        let position = position(reader.id, partition, offset);
        Some((Record::Log(Logged::new(&reader, partition, offset)), position))
    }

    fn retained(&mut self, kept: &Retained) -> Option<(Record, Position)> {
        let Retained { place, topic, partition, offset } = kept;
        let upstream = self.member.hub.same_exit(place)?;
        let table = upstream.retained();
        if *table.topic() != *place.topic {
            return None;
        }
        let position = position(upstream.retained_id, *partition, *offset);
        let topic = (**topic).into();
        Some((Record::Retained { table, upstream, topic, at: (*partition, *offset) }, position))
    }

    fn lasting(&mut self) -> &mut Lasting {
        self.state.lasting.get_or_insert_default()
    }

    /// Lets the session read by itself what came while its client was away. Where it has
    /// subscriptions of QoS 0 alone, that is nothing.
    fn read_on(mut self) -> Self {
        self.state.held_changed();
        if !self.state.is_reliable {
            return self;
        }
        for (reader, from) in &self.from {
            let away = reader.positions();
            let is_behind = |(at, live): (usize, &i64)| from.get(at).copied().unwrap_or(0) < *live;
            if away.iter().enumerate().any(is_behind) {
                self.state.behind.push(Behind::at(reader, from.clone(), away.into()));
            }
        }
        self
    }
}
