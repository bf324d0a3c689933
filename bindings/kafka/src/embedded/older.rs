//! Reads again what memory no longer holds, from the segments.
//!
//! A segment holds the records of all topics in the order in which they were appended. Its summary
//! says where partitions ended when it was sealed, so that only one has to be searched for where an
//! offset begins; whoever goes on from there is remembered.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_plane::{BatchBuilder, Fault};

use super::Log;
use super::files::{Summary, numbers, path, read_topics};
use super::walk::Walk;
use super::wire::Kind;
use crate::cluster::{Found, ReadOlder, Wanted};

/// What is read at a time ends with the chunk in which it comes to so many bytes or records.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_RECORDS: usize = 4096;

/// How much is searched before others have their turn, bytes.
const SEARCH: u64 = 64 << 20;

/// How many places are remembered.
const PLACES: usize = 1024;

/// After so long without a question memory is given back.
const IDLE: Duration = Duration::from_secs(60);

/// The reader.
pub(super) struct OlderReader {
    log: Arc<Log>,
    /// Topics' numbers in chunks, as far as they were asked for.
    numbers: HashMap<Arc<str>, u32>,
    places: VecDeque<Place>,
    builder: BatchBuilder,
    /// Records in it.
    records: usize,
    window: Vec<u8>,
    is_failing: bool,
}

/// Where the records of a partition from an offset on are to be looked for.
#[derive(Clone, Copy)]
struct Place {
    topic: u32,
    partition: u32,
    offset: i64,
    segment: u64,
    at: u64,
    /// Whether what lies before it was deleted, and nothing was found behind it yet.
    is_first: bool,
}

impl OlderReader {
    pub(super) fn new(log: &Arc<Log>) -> Self {
        Self {
            log: Arc::clone(log),
            numbers: HashMap::new(),
            places: VecDeque::new(),
            builder: BatchBuilder::new(),
            records: 0,
            window: Vec::new(),
            is_failing: false,
        }
    }

    fn number_of(&mut self, name: &Arc<str>) -> io::Result<Option<u32>> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(Some(*number));
        }
        let topics = read_topics(&self.log.options.dir)?;
        let place = topics.iter().position(|entry| entry.name == *name);
        let number = place.and_then(|place| u32::try_from(place).ok());
        self.numbers.extend(number.map(|number| (Arc::clone(name), number)));
        Ok(number)
    }

    /// Where to begin: in the first segment that may hold the offset.
    fn place(&mut self, topic: u32, wanted: Wanted<'_>, segments: &[u64]) -> Option<Place> {
        let Wanted { partition, offset, .. } = wanted;
        let is_it = |place: &Place| {
            (place.topic, place.partition, place.offset) == (topic, partition, offset)
                && segments.contains(&place.segment)
        };
        if let Some(at) = self.places.iter().position(is_it) {
            return self.places.remove(at);
        }
        // Ends only grow. A segment without a summary is one of the newest.
        let lies_behind = |segment: &u64| {
            let summary = Summary::read(&self.log.options.dir, *segment);
            summary.is_some_and(|summary| {
                summary.ends.get(&(topic, partition)).is_none_or(|end| *end <= offset)
            })
        };
        let at = segments.partition_point(lies_behind);
        let segment = *segments.get(at).or(segments.last())?;
        // The segments are numbered from 1.
        let is_first = at == 0 && segment > 1;
        Some(Place { topic, partition, offset, segment, at: 0, is_first })
    }

    fn remember(&mut self, place: Place) {
        if self.places.len() == PLACES {
            self.places.pop_front();
        }
        self.places.push_back(place);
    }

    fn try_read(&mut self, wanted: Wanted<'_>) -> io::Result<Found> {
        let partitions = wanted.topic.partitions();
        let number = self.number_of(&wanted.topic.name)?;
        let (Some(shared), Some(topic)) = (partitions.get(wanted.partition as usize), number)
        else {
            return Ok(Found::Fault(Fault::UnknownTopic));
        };
        // What lies before this was written; behind it a write may be under way.
        let end = shared.position();
        let segments = numbers(&self.log.options.dir, "log")?;
        let Some(mut place) = self.place(topic, wanted, &segments) else {
            return Ok(Found::Fault(Fault::Unavailable));
        };
        self.records = 0;
        let mut searched = 0;
        let first = segments.partition_point(|segment| *segment < place.segment);
        for segment in segments.get(first..).unwrap_or_default() {
            if *segment != place.segment {
                (place.segment, place.at) = (*segment, 0);
            }
            let file = path(&self.log.options.dir, *segment, "log");
            let mut walk = Walk::new(&file, place.at, std::mem::take(&mut self.window))?;
            let begun = place.at;
            let found = self.read_segment(&mut walk, &mut place, end)?;
            searched += place.at - begun;
            self.window = walk.into_window();
            if let Some(start) = found {
                return Ok(Found::Gone(start));
            }
            if self.is_full() {
                break;
            }
            if searched >= SEARCH && self.builder.is_empty() {
                self.remember(place);
                return Ok(Found::Later);
            }
        }
        if self.builder.is_empty() {
            return Ok(if place.is_first { Found::Gone(end) } else { Found::Gap(end) });
        }
        let batch = self.builder.finish(wanted.partition);
        self.remember(Place { offset: batch.next_offset(), is_first: false, ..place });
        Ok(Found::Records(batch))
    }

    fn is_full(&self) -> bool {
        self.builder.len_bytes() >= BATCH_BYTES || self.records >= BATCH_RECORDS
    }

    /// Collects records of a segment from a place on, which moves behind the last chunk that was
    /// passed. Where the first that is found does not follow on what was deleted: its offset.
    fn read_segment(
        &mut self,
        walk: &mut Walk,
        place: &mut Place,
        end: i64,
    ) -> io::Result<Option<i64>> {
        while !self.is_full()
            && let Some((to, chunk)) = walk.next()?
        {
            let is_of = (chunk.topic, chunk.partition) == (place.topic, place.partition);
            if is_of && chunk.kind == Kind::Records && chunk.next > place.offset {
                if chunk.first >= end {
                    // Written since.
                    break;
                }
                for record in chunk.records().filter(|record| record.offset >= place.offset) {
                    if place.is_first && record.offset > place.offset {
                        return Ok(Some(record.offset));
                    }
                    place.is_first = false;
                    let (key, value) = (record.key, record.value);
                    self.builder.record(record.offset, record.timestamp, key, value);
                    for (name, value) in record.headers {
                        self.builder.header(name, value);
                    }
                    self.records += 1;
                }
            }
            place.at = to;
        }
        Ok(None)
    }
}

impl ReadOlder for OlderReader {
    fn read(&mut self, wanted: Wanted<'_>) -> Found {
        match self.try_read(wanted) {
            Ok(found) => {
                self.is_failing = false;
                found
            }
            // Deleted since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.builder.finish(wanted.partition);
                self.places.clear();
                Found::Later
            }
            Err(error) => {
                self.builder.finish(wanted.partition);
                self.places.clear();
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(
                        event = "kafka.log.unreadable",
                        cluster = %self.log.cluster.name,
                        dir = %self.log.options.dir.display(),
                        %error,
                        "what memory no longer holds is not read; trying again until it works",
                    );
                }
                Found::Fault(Fault::Unavailable)
            }
        }
    }

    fn rest(&mut self, idle: Duration) -> Duration {
        if idle >= IDLE {
            self.places.clear();
            self.builder = BatchBuilder::new();
            self.window = Vec::new();
            return Duration::MAX;
        }
        IDLE
    }
}
