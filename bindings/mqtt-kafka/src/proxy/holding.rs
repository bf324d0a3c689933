//! The subscriptions that a session holds.

use std::rc::Rc;

use kafka_plane::{Ends, Fault};
use mqtt_plane::{Qos, ReasonCode, RetainHandling, filter_matches, is_share};

use super::deliver::catch_up::Behind;
use super::deliver::reader::Reader;
use super::member::{Held, Member, State, Target};
use super::retained::replay::Replay;
use super::subscribe::{Group, Wanted};
use crate::state::{Interest, Options};

/// The logs that a subscription is served from, and where each starts.
type Starts = Vec<(Rc<Reader>, Ends)>;

impl Member {
    /// Puts a subscription in force, or replaces it [MQTT-3.8.4-3], and says with which QoS
    /// [MQTT-3.8.4-7], or why not.
    pub(super) fn hold(&self, wanted: &Wanted, group: &Group) -> ReasonCode {
        let reason = if is_share(&wanted.filter) {
            self.hold_share(wanted)
        } else {
            let starts = self.starts(wanted, group);
            starts.and_then(|(qos, starts)| self.hold_at(wanted, qos, &starts, group))
        };
        reason.unwrap_or_else(|reason| {
            if self.is_group {
                // Its members are told, and counted.
                return reason;
            }
            self.hub.counters.subscriptions_refused.increment();
            self.hub.limits.refused.tell(self.hub.cx.clock().unix_millis(), |left_out| {
                tracing::info!(
                    event = "mqtt_kafka.subscription.refused",
                    binding = %self.hub.name,
                    client = %self.client_id,
                    filter = %wanted.filter,
                    reason = %reason,
                    left_out,
                    "a subscription was refused"
                );
            });
            reason
        })
    }

    /// The QoS that is granted to `wanted`, the logs that it is served from, and where each starts.
    fn starts(&self, wanted: &Wanted, group: &Group) -> Result<(Qos, Starts), ReasonCode> {
        let find = || self.hub.readers_of(&wanted.filter);
        let (qos, readers) = self.hub.mapping().grant(&wanted.filter, wanted.qos, find)?;
        let mut starts = Vec::with_capacity(readers.len());
        for reader in readers {
            let known = group.starts.iter().find(|(other, _)| Rc::ptr_eq(other, &reader));
            match known.and_then(|(_, ends)| ends.clone()) {
                Some(Ok(ends)) => starts.push((reader, ends)),
                Some(Err(fault)) => return Err(self.failed(&reader.topic, fault)),
                None => return Err(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR),
            }
        }
        Ok((qos, starts))
    }

    fn failed(&self, topic: &str, fault: Fault) -> ReasonCode {
        self.hub.limits.failed.tell(self.hub.cx.clock().unix_millis(), |left_out| {
            tracing::warn!(
                event = "mqtt_kafka.topic.failed",
                binding = %self.hub.name,
                topic,
                fault = %fault,
                left_out,
                "a subscription needs a Kafka topic that cannot be read"
            );
        });
        match fault {
            Fault::NotAuthorized => ReasonCode::NOT_AUTHORIZED,
            _ => ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
        }
    }

    fn hold_at(
        &self,
        wanted: &Wanted,
        qos: Qos,
        starts: &[(Rc<Reader>, Ends)],
        group: &Group,
    ) -> Result<ReasonCode, ReasonCode> {
        let mut state = self.state.borrow_mut();
        let old = state.held.remove(&wanted.filter);
        let was_reliable = old.as_ref().is_some_and(|old| old.is_reliable());
        if old.is_none() && state.count() >= self.most_subscriptions as usize {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]
        let sends_retained = match wanted.handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => old.is_none(),
            RetainHandling::DoNotSend => false,
        };
        let mut replays: Vec<Replay> = Vec::new();
        let options = Options {
            qos,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
            id: wanted.id,
        };
        if sends_retained {
            for (upstream, table, outcome) in &group.tables {
                if !starts.iter().any(|(reader, _)| Rc::ptr_eq(&reader.upstream, upstream)) {
                    continue;
                }
                if let Some(Err(fault)) = outcome {
                    if let Some(old) = old {
                        state.held.insert(Rc::clone(&wanted.filter), old);
                    }
                    return Err(self.failed(table.topic(), *fault));
                }
                if !Replay::is_void(&wanted.filter, table) {
                    replays.push(Replay::new(&wanted.filter, options, upstream, table));
                }
            }
        }
        if old.is_none() {
            self.count_subscription(1);
        }
        let is_new = old.is_none();
        let (targets, leaving, mut joining) =
            old.map(|old| (old.targets, old.leaving, old.joining)).unwrap_or_default();
        joining.retain(|joining| !starts.iter().any(|(reader, _)| Rc::ptr_eq(reader, joining)));
        let mut held =
            Held { options, targets: Vec::with_capacity(starts.len()), leaving, joining };
        let mut filter = Rc::clone(&wanted.filter);
        for (reader, ends) in starts {
            reader.place(ends);
            let same = targets.iter().find(|target| Rc::ptr_eq(&target.reader, reader));
            // What replaces a subscription goes on where that is [MQTT-3.8.4-4].
            filter = match same {
                Some(target) => held.go_on(&filter, self.key, target),
                None => {
                    state.start_at(reader, ends);
                    held.join(&filter, self.key, reader, Rc::clone(ends))
                }
            };
        }
        state.has_lost_reliable |= was_reliable && !held.is_reliable();
        state.is_reliable |= held.is_reliable();
        state.held.insert(filter, Box::new(held));
        // A replay for the same filter that is not over yet begins anew.
        if sends_retained && !is_new {
            state.replays.retain(|replay| *replay.filter() != *wanted.filter);
        }
        state.replays.append(&mut replays);
        Ok(ReasonCode(options.qos as u8))
    }

    /// Ends the subscription to exactly this filter [MQTT-3.10.4-1]; messages that wait for it
    /// alone are dropped [MQTT-3.10.4-2]. Those that were sent are the connection's to complete
    /// [MQTT-3.10.4-3].
    pub(super) fn give_up(&self, filter: &str) -> ReasonCode {
        if is_share(filter) {
            return self.give_up_share(filter);
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(held) = state.held.remove(filter) else {
            return ReasonCode::NO_SUBSCRIPTION_EXISTED;
        };
        held.remove(filter, self.key);
        self.count_subscription(-1);
        state.has_lost_reliable |= held.is_reliable();
        if let Some(lasting) = &mut state.lasting {
            held.all_targets().for_each(|target| lasting.leave(&target.reader));
        }
        state.replays.retain(|replay| replay.filter() != filter);
        let others = &state.held;
        state.ring.retain(|delivery| {
            let topic = delivery.messages.publish(delivery.index).topic;
            !filter_matches(filter, topic)
                || others.keys().any(|other| filter_matches(other, topic))
        });
        ReasonCode::SUCCESS
    }
}

impl Held {
    /// Whether nothing may be missed of what it matches.
    fn is_reliable(&self) -> bool {
        self.options.qos > Qos::AtMostOnce
    }

    /// Serves the subscription from `reader` too, from `starts` on. Returns the text of the filter
    /// as all share it who subscribe to it there.
    pub(super) fn join(
        &mut self,
        filter: &Rc<str>,
        key: usize,
        reader: &Rc<Reader>,
        starts: impl Into<Ends>,
    ) -> Rc<str> {
        let interest = Interest::new(self.options, starts);
        self.add(filter, key, reader, interest)
    }

    /// Serves the subscription from where the one it replaces is.
    fn go_on(&mut self, filter: &Rc<str>, key: usize, old: &Target) -> Rc<str> {
        let interest = Interest::in_place_of(&old.interest, self.options);
        self.add(filter, key, &old.reader, interest)
    }

    pub(super) fn add(
        &mut self,
        filter: &Rc<str>,
        key: usize,
        reader: &Rc<Reader>,
        interest: Interest,
    ) -> Rc<str> {
        let interest = Rc::new(interest);
        let mut subscriptions = reader.subscriptions.borrow_mut();
        let filter = subscriptions.insert(filter, key, Rc::clone(&interest));
        self.targets.push(Target { reader: Rc::clone(reader), interest });
        filter
    }
}

impl State {
    /// Makes sure that everything in `reader` from `ends` on reaches a new subscription of this
    /// session: where dispatch is beyond them already, the session reads by itself from there
    /// what it did not have.
    pub(super) fn start_at(&mut self, reader: &Rc<Reader>, ends: &[i64]) {
        let behind = self.behind.iter().position(|behind| Rc::ptr_eq(&behind.reader, reader));
        let delivered = match behind {
            Some(at) => self.behind[at].cursors.clone(),
            None => reader.positions(),
        };
        let is_late = ends.iter().zip(&delivered).any(|(end, delivered)| end < delivered);
        if is_late {
            let mut cursors = delivered.clone();
            for (cursor, end) in cursors.iter_mut().zip(ends) {
                *cursor = (*cursor).min(*end);
            }
            for held in self.held.values() {
                for target in held.all_targets().filter(|t| Rc::ptr_eq(&t.reader, reader)) {
                    target.interest.raise(&delivered);
                }
            }
            match behind {
                Some(at) => self.behind[at].cursors = cursors,
                None => {
                    self.behind.push(Behind::at(reader, cursors, Rc::from([])));
                }
            }
        }
    }
}
