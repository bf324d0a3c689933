//! Retained messages for a new subscription.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use kafka_plane::{Scan, TopicTable};
use mqtt_plane::{Messages, filter_matches};

use crate::proxy::deliver::run::{Run, is_expired};
use crate::proxy::hub::Hub;
use crate::proxy::member::{Member, Offer, State, position};
use crate::proxy::upstream::Upstream;
use crate::state::{Grant, Options, Step, first_key, step};
use crate::wire::{View, topic_of};

/// Keys that are visited at a time.
const KEYS: usize = 256;

/// Memory that the messages taken at a time keep alive, bytes.
const BYTES: usize = 256 << 10;

/// Keys that are looked at to tell whether there is anything to send.
const LOOKS: usize = 16;

/// The retained messages that a subscription is still to be sent.
pub(in crate::proxy) struct Replay {
    filter: Rc<str>,
    options: Options,
    pub(in crate::proxy) upstream: Rc<Upstream>,
    table: Rc<dyn TopicTable>,
    /// The key to go on at.
    pub(in crate::proxy) next: Vec<u8>,
    /// Topics from `next` on that are done already.
    pub(in crate::proxy) done: BTreeSet<Box<[u8]>>,
    /// Messages from this moment on, milliseconds since the epoch, are left out: their live copies
    /// are still to come.
    pub(in crate::proxy) before: Option<i64>,
}

impl Replay {
    pub(in crate::proxy) fn new(
        filter: &Rc<str>,
        options: Options,
        upstream: &Rc<Upstream>,
        table: &Rc<dyn TopicTable>,
    ) -> Self {
        Self {
            filter: Rc::clone(filter),
            options,
            upstream: Rc::clone(upstream),
            table: Rc::clone(table),
            next: first_key(filter).as_bytes().to_vec(),
            done: BTreeSet::new(),
            before: None,
        }
    }

    /// Whether a short look into the table finds that there is nothing that `filter` matches, as
    /// for most subscriptions: then nothing is kept for it.
    pub(in crate::proxy) fn is_void(filter: &str, table: &Rc<dyn TopicTable>) -> bool {
        let (mut looks, mut is_void) = (0, true);
        table.scan(first_key(filter).as_bytes(), &mut |_, batch| {
            looks += 1;
            let record = batch.record(0);
            let found = topic_of(&record).map_or(Step::Next, |topic| step(filter, topic));
            if found == Step::Match || looks == LOOKS {
                is_void = false;
                return ControlFlow::Break(());
            }
            match found {
                Step::Seek(to) => ControlFlow::Continue(Scan::Seek(to)),
                Step::End => ControlFlow::Break(()),
                Step::Match | Step::Next => ControlFlow::Continue(Scan::Next),
            }
        });
        is_void
    }

    pub(in crate::proxy) fn filter(&self) -> &str {
        &self.filter
    }

    fn is_pending(&self, topic: &str) -> bool {
        topic.as_bytes() >= self.next.as_slice()
            && !self.done.contains(topic.as_bytes())
            && filter_matches(&self.filter, topic)
    }

    /// Takes the next messages. Returns whether there may be more.
    fn take(&mut self, client_id: &str, hub: &Hub, views: &mut Vec<View>) -> bool {
        let Self { filter, options, table, next, done, before, .. } = self;
        let (mut visited, mut bytes, mut has_more) = (0, 0, false);
        let from = std::mem::take(next);
        table.scan(&from, &mut |key, batch| {
            if visited == KEYS || bytes >= BYTES {
                *next = key.to_vec();
                has_more = true;
                return ControlFlow::Break(());
            }
            visited += 1;
            let Some(topic) = topic_of(&batch.record(0)) else {
                return ControlFlow::Continue(Scan::Next);
            };
            match step(filter, topic) {
                Step::Match => {}
                Step::Next => return ControlFlow::Continue(Scan::Next),
                Step::Seek(to) => return ControlFlow::Continue(Scan::Seek(to)),
                Step::End => return ControlFlow::Break(()),
            }
            let view = View::new(Arc::clone(batch), 0, topic);
            let is_own = options.no_local && view.local() == Some(client_id);
            let comes_live = before.is_some_and(|before| view.timestamp() >= before);
            if is_expired(&view, &hub.cx) {
                hub.counters.deliveries_expired.increment();
            } else if !is_own && !comes_live && !done.contains(key) {
                bytes += batch.footprint();
                views.push(view);
            }
            ControlFlow::Continue(Scan::Next)
        });
        *done = done.split_off(next.as_slice());
        has_more
    }
}

impl Member {
    /// Takes some retained messages into the ring, which is empty.
    pub(in crate::proxy) fn replay(&self) {
        let mut state = self.state.borrow_mut();
        let Some(replay) = state.replays.first_mut() else { return };
        let mut views = Vec::new();
        let has_more = replay.take(&self.client_id, &self.hub, &mut views);
        let options = replay.options;
        let upstream = Rc::clone(&replay.upstream);
        if !has_more {
            state.replays.remove(0);
        }
        if state.replays.is_empty() {
            // Mostly there is no further one: nothing is kept for it.
            state.replays = Vec::new();
        }
        state.push_retained(&self.hub, &upstream, options, views);
    }
}

impl State {
    /// Retained messages go out with RETAIN 1, whatever Retain As Published says: they are the
    /// answer to a SUBSCRIBE (MQTT 5.0 section 3.3.1.3; [MQTT-3.3.1-8] of 3.1.1).
    fn push_retained(
        &mut self,
        hub: &Hub,
        upstream: &Rc<Upstream>,
        options: Options,
        views: Vec<View>,
    ) {
        if views.is_empty() {
            return;
        }
        if let Some(lasting) = &mut self.lasting {
            lasting.will_send_retained(upstream);
        }
        let count = u32::try_from(views.len()).unwrap_or(u32::MAX);
        let run = Rc::new(Run::new(&hub.cx, views));
        let messages: Rc<dyn Messages> = Rc::<Run>::clone(&run);
        let Options { qos, retain_as_published, id, .. } = options;
        let grant = Grant { qos, retain_as_published, ids: id.map(|id| Rc::from([id])) };
        for index in 0..count {
            let (partition, offset) = run.view(index as usize).place();
            let offer = Offer {
                run: &run,
                messages: &messages,
                index,
                is_shared: false,
                grant: grant.clone(),
                retain: true,
            };
            let position = position(upstream.retained_id, partition, offset);
            self.push(hub, offer, position);
            hub.counters.retained_replayed.increment();
        }
    }

    /// A live message is about to be queued while retained messages are still to be sent: of its
    /// topic, an older retained message goes first, and one of the same publish or a newer one is
    /// left out, since its live copy comes by itself.
    pub(in crate::proxy) fn settle(&mut self, hub: &Hub, live: &View) {
        let topic = live.publish().topic;
        let mut older = Vec::new();
        for replay in self.replays.iter_mut().filter(|replay| replay.is_pending(topic)) {
            replay.done.insert(topic.as_bytes().into());
            let Some(batch) = replay.table.get(topic.as_bytes()) else { continue };
            let view = View::new(batch, 0, topic);
            if view.timestamp() < live.timestamp() && !is_expired(&view, &hub.cx) {
                older.push((Rc::clone(&replay.upstream), replay.options, view));
            }
        }
        for (upstream, options, view) in older {
            self.push_retained(hub, &upstream, options, vec![view]);
        }
    }
}
