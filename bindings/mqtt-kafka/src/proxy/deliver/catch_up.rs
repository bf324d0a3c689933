//! A session that reads a log by itself until it has caught up.

use std::rc::Rc;
use std::sync::Arc;

use kafka_plane::{Batch, Older, Read};
use mqtt_plane::{Messages, Qos, ReasonCode};

use super::older::Question;
use super::reader::Reader;
use super::run::{Run, is_expired};
use crate::proxy::member::{Member, Offer, position};
use crate::wire::{View, topic_of};

/// How much is read at a time, bytes.
const READ: usize = 64 << 10;

/// What a client is told whose messages Kafka has deleted.
const FALLEN_OUT: &str = "messages that were not read in time are lost";

/// Messages that are taken at a time; few in tests, so that it takes several.
const MESSAGES: usize = if cfg!(test) { 16 } else { 1024 };

/// A log on which a session is behind live dispatch.
pub(in crate::proxy) struct Behind {
    pub(in crate::proxy) reader: Rc<Reader>,
    /// The offset to go on at, by partition.
    pub(in crate::proxy) cursors: Vec<i64>,
    /// What lies before these offsets, by partition, came while the client was away; none where it
    /// was not.
    pub(in crate::proxy) away: Rc<[i64]>,
    /// What was asked of Kafka last, since memory no longer held it.
    pub(in crate::proxy) question: Option<Rc<Question>>,
}

impl Behind {
    /// Behind from this record on, and in the other partitions from where dispatch is.
    pub(in crate::proxy) fn new(reader: &Rc<Reader>, partition: u32, offset: i64) -> Self {
        let mut cursors = reader.positions();
        let at = partition as usize;
        cursors.resize(cursors.len().max(at + 1), 0);
        cursors[at] = offset;
        Self::at(reader, cursors, Rc::from([]))
    }

    /// Behind from these offsets on.
    pub(in crate::proxy) fn at(reader: &Rc<Reader>, cursors: Vec<i64>, away: Rc<[i64]>) -> Self {
        Self { reader: Rc::clone(reader), cursors, away, question: None }
    }

    /// Whether it goes on when Kafka has answered.
    fn is_waiting(&self) -> bool {
        self.question.as_ref().is_some_and(|question| question.is_open())
    }

    /// What Kafka has answered of this place. An answer that is used up is dropped.
    fn answer(&mut self, partition: u32, offset: i64) -> Option<Older> {
        self.question.take_if(|question| !question.is_about(&self.reader, partition, offset));
        self.question.as_ref()?.answer()
    }

    /// The partition to read next, and from where to where: not beyond live dispatch, so that the
    /// session can join it exactly there.
    fn next(&mut self) -> Option<(u32, i64, i64)> {
        let partitions = self.reader.log().partitions();
        // Partitions that were added since are read from their beginning.
        self.cursors.resize(self.cursors.len().max(partitions as usize), 0);
        (0..partitions).zip(&self.cursors).find_map(|(partition, cursor)| {
            let end = self.reader.position(partition);
            (*cursor < end).then_some((partition, *cursor, end))
        })
    }
}

/// What one read found for a session.
#[derive(Default)]
struct Found {
    views: Vec<View>,
    grants: Vec<crate::state::Grant>,
}

impl Member {
    /// Reads on in the first log on which it is behind, into the ring, which is empty. What memory
    /// no longer holds is asked of Kafka, and others of the logs come first meanwhile: false where
    /// there is none.
    pub(in crate::proxy) fn catch_up(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(at) = state.behind.iter().position(|behind| !behind.is_waiting()) else {
            return false;
        };
        let behind = &mut state.behind[at];
        let Some((partition, from, end)) = behind.next() else {
            // Nothing between here and live dispatch: join it.
            state.behind.swap_remove(at);
            return true;
        };
        let answer = behind.answer(partition, from);
        let reader = Rc::clone(&behind.reader);
        let away = behind.away.get(partition as usize).copied().unwrap_or(i64::MIN);
        let is_reliable = state.is_reliable;
        drop(state);
        let mut batches = Vec::new();
        let (read, is_of_kafka) = match answer {
            Some(Older::Next(batch, next)) => {
                batches.extend(batch);
                (Read::Next(next), true)
            }
            // Memory may hold what Kafka has deleted since.
            Some(Older::Gone(start)) => match reader.read(partition, from, 0, &mut batches) {
                Read::Gone(held) => (Read::Gone(held.min(start)), true),
                read @ Read::Next(_) => (read, true),
            },
            None => (reader.read(partition, from, READ, &mut batches), false),
        };
        let (next, found) = match read {
            Read::Next(next) => {
                let (stopped, found) = self.select(&reader, from, end, away, &batches);
                (stopped.unwrap_or(next).min(end), found)
            }
            // A log that was made anew may begin earlier.
            Read::Gone(start) if start <= from => (end, Found::default()),
            Read::Gone(_) if is_reliable && !is_of_kafka => {
                self.ask_older(&reader, partition, from);
                return true;
            }
            Read::Gone(start) => {
                if from < away {
                    self.has_missed(&reader, partition, from, start);
                } else {
                    self.fall_out(&reader, partition, is_reliable);
                }
                (start.min(end), Found::default())
            }
        };
        self.take_found(&reader, found);
        let mut state = self.state.borrow_mut();
        let behind = state.behind.iter_mut().find(|behind| Rc::ptr_eq(&behind.reader, &reader));
        if let Some(cursor) = behind.and_then(|b| b.cursors.get_mut(partition as usize)) {
            *cursor = next;
        }
        true
    }

    /// Asks Kafka for what memory no longer holds.
    fn ask_older(&self, reader: &Rc<Reader>, partition: u32, from: i64) {
        let question = Question::ask(self, reader, partition, from);
        let mut state = self.state.borrow_mut();
        let behind = state.behind.iter_mut().find(|behind| Rc::ptr_eq(&behind.reader, reader));
        if let Some(behind) = behind {
            behind.question = Some(question);
        }
    }

    /// The messages for this session among records from `from` to `end`, and where it stopped for
    /// now if there are too many. Of what came before `away`, while the client was not there, QoS 0
    /// is left out.
    fn select(
        &self,
        reader: &Reader,
        from: i64,
        end: i64,
        away: i64,
        batches: &[Arc<Batch>],
    ) -> (Option<i64>, Found) {
        let mut found = Found::default();
        let mut subscriptions = reader.subscriptions.borrow_mut();
        for batch in batches {
            for index in batch.index_of(from)..batch.index_of(end) {
                let record = batch.record(index);
                let Some(topic) = topic_of(&record) else { continue };
                let matches = subscriptions.matches(topic);
                let Ok(at) = matches.binary_search_by_key(&self.key, |found| found.owner) else {
                    continue;
                };
                let matched = &matches[at];
                let view = View::new(Arc::clone(batch), index, topic);
                let is_own = matched.no_local && view.local() == Some(&*self.client_id);
                let place = (record.partition(), record.offset());
                let Some(grant) = matched.resolve(place.0, place.1, is_own) else { continue };
                if place.1 < away && view.qos().min(grant.qos) == Qos::AtMostOnce {
                    continue;
                }
                if is_expired(&view, &self.hub.cx) {
                    self.hub.counters.deliveries_expired.increment();
                    continue;
                }
                if found.views.len() == MESSAGES {
                    return (Some(record.offset()), found);
                }
                found.views.push(view);
                found.grants.push(grant);
            }
        }
        (None, found)
    }

    fn take_found(&self, reader: &Reader, found: Found) {
        if found.views.is_empty() {
            return;
        }
        let run = Rc::new(Run::new(&self.hub.cx, found.views));
        let messages: Rc<dyn Messages> = Rc::<Run>::clone(&run);
        let mut state = self.state.borrow_mut();
        for (index, grant) in (0_u32..).zip(found.grants) {
            let view = run.view(index as usize);
            let (partition, offset) = view.place();
            let retain = grant.retain_as_published && self.hub.was_retained(reader, view);
            let is_shared = false;
            let offer = Offer { run: &run, messages: &messages, index, is_shared, grant, retain };
            let position = position(reader.id, partition, offset);
            state.push(&self.hub, offer, position);
        }
    }

    /// Kafka no longer holds all that came while the client was away. The session goes on where
    /// what there is begins.
    fn has_missed(&self, reader: &Reader, partition: u32, from: i64, start: i64) {
        self.hub.counters.resumes_incomplete.increment();
        tracing::warn!(
            event = "mqtt_kafka.session.resumed_late",
            binding = %self.hub.name,
            client = %self.client_id,
            topic = %reader.topic,
            partition,
            from,
            start,
            "the client was away for too long: Kafka no longer holds all that came meanwhile; a \
             longer retention of the topic keeps more"
        );
    }

    /// Kafka no longer holds what this session had not read.
    fn fall_out(&self, reader: &Reader, partition: u32, is_reliable: bool) {
        self.hub.counters.sessions_fallen_out.increment();
        tracing::warn!(
            event = "mqtt_kafka.session.fallen_out",
            binding = %self.hub.name,
            client = %self.client_id,
            topic = %reader.topic,
            partition,
            "the client was too slow: Kafka no longer holds what it had not read"
        );
        // A group goes on for its members.
        if is_reliable && !self.is_group {
            let closed =
                mqtt_plane::Closed { reason: ReasonCode::QUOTA_EXCEEDED, detail: FALLEN_OUT };
            self.state.borrow_mut().closed.get_or_insert(closed);
        }
    }
}
