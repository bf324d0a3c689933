//! Which records of the messages topics were published with RETAIN.
//!
//! The record format has no place for the flag, and subscriptions with Retain As Published are to
//! get it [MQTT-3.3.1-13]. A retained publish is two records with one key, value and time, so it
//! is known by its other half: this process remembers those it appended itself, since the retained
//! record may be read back later than the message; of other producers', the retained topic tells.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use engine::shared::Lock;

use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::wire::View;

/// Retained publishes that are remembered, at most. They are needed until they are read back.
const REMEMBERED: usize = 16_384;

/// Retained publishes of this process, the latest, by a hash of topic, time and payload: shared by
/// workers, touched by retained publishes and by deliveries to Retain As Published only.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    hasher: RandomState,
    marks: Lock<(HashSet<u64>, VecDeque<u64>)>,
}

impl Marks {
    fn mark(&self, topic: &str, millis: i64, payload: &[u8]) -> u64 {
        self.hasher.hash_one((topic, millis, payload))
    }

    /// Remembers a retained publish that is about to be appended.
    pub(in crate::proxy) fn note(&self, topic: &str, millis: i64, payload: &[u8]) {
        let mark = self.mark(topic, millis, payload);
        let (known, order) = &mut *self.marks.lock();
        if !known.insert(mark) {
            return;
        }
        order.push_back(mark);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }

    fn holds(&self, topic: &str, millis: i64, payload: &[u8]) -> bool {
        self.marks.lock().0.contains(&self.mark(topic, millis, payload))
    }
}

impl Hub {
    /// Whether a live message was published with RETAIN.
    pub(in crate::proxy) fn was_retained(&self, reader: &Reader, live: &View) -> bool {
        let publish = live.publish();
        if self.shared.marks.holds(publish.topic, live.timestamp(), publish.payload) {
            return true;
        }
        let retained = reader.upstream.retained().get(publish.topic.as_bytes());
        retained.is_some_and(|batch| {
            let record = batch.record(0);
            record.timestamp() == live.timestamp() && record.value() == Some(publish.payload)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_each_by_topic_time_and_payload() {
        let marks = Marks::default();
        marks.note("a", 1, b"x");
        marks.note("a", 1, b"x");
        assert!(marks.holds("a", 1, b"x"));
        assert!(
            !marks.holds("a", 2, b"x") && !marks.holds("b", 1, b"x") && !marks.holds("a", 1, b"")
        );
        for millis in 0..i64::try_from(REMEMBERED).unwrap() {
            marks.note("b", millis, b"");
        }
        assert!(!marks.holds("a", 1, b"x") && marks.holds("b", 0, b""));
        assert_eq!(marks.marks.lock().0.len(), REMEMBERED);
    }
}
