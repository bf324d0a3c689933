//! Topics found, made, and opened for readers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use kafka_plane::Fault;

use super::Writer;
use super::part::{Known, Part};
use crate::cluster::{Answer, Ask, Partition, Reading, Topic};
use crate::embedded::files::{Entry, write_topics};
use crate::embedded::keeper::{Job, Load};

/// How many topics there may be: their names may come from clients.
const TOPICS: usize = 10_000;

/// How often it is looked whether whom the thread waits for has ended.
const LOOK: Duration = Duration::from_millis(100);

/// The longest name that Kafka takes.
const NAME: usize = 249;

impl Writer {
    pub(super) fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Resolve(topic) => self.resolve(&topic),
            Ask::Ends { topic, lane, key } => {
                let ends = self.ends_of(&topic);
                lane.answers.push(Answer::Ends(key, ends));
            }
            Ask::Sync { topic, lane, key } => match self.ends_of(&topic) {
                Ok(ends) => topic.sync_to(ends, lane, key),
                Err(fault) => lane.answers.push(Answer::Synced(key, Err(fault))),
            },
        }
    }

    /// Answers what came too late.
    pub(super) fn fail_asks(&mut self, asks: &mut Vec<Ask>) {
        self.log.cluster.admin.swap(asks);
        for ask in asks.drain(..) {
            match ask {
                Ask::Resolve(_) => {}
                Ask::Ends { lane, key, .. } => {
                    lane.answers.push(Answer::Ends(key, Err(Fault::Unavailable)));
                }
                Ask::Sync { lane, key, .. } => {
                    lane.answers.push(Answer::Synced(key, Err(Fault::Unavailable)));
                }
            }
        }
        for topic in self.log.cluster.all_topics() {
            topic.fail_syncs(Fault::Unavailable);
        }
    }

    /// Finds out about a topic. One that is neither read nor appended to yet is not made.
    fn resolve(&mut self, topic: &Arc<Topic>) {
        if topic.reading() != Reading::No {
            // Whatever comes of it is kept with the topic.
            self.open(topic).ok();
        } else if topic.count() == 0 {
            let entry = self.topics.iter().find(|entry| entry.name == topic.name);
            topic.set_count(entry.map_or(self.log.options.partitions, |entry| entry.partitions));
        }
    }

    fn ends_of(&mut self, topic: &Arc<Topic>) -> Result<Box<[i64]>, Fault> {
        let slot = self.open(topic)?;
        let known = self.known.get(slot).and_then(Option::as_ref).ok_or(Fault::Unavailable)?;
        let ends: Box<[i64]> = known.parts.iter().map(|part| part.offsets.next()).collect();
        for (partition, end) in topic.partitions().iter().zip(&ends) {
            partition.set_known_end(*end);
        }
        Ok(ends)
    }

    /// Where the topic of a record is known, which it is made for if it is missing.
    pub(super) fn known_of(&mut self, id: u32) -> Result<usize, Fault> {
        let slot = id as usize;
        if let Some(Some(known)) = self.known.get(slot) {
            let is_open = known.topic.reading() == Reading::No
                || known.parts.iter().all(|part| part.shared.is_some());
            if is_open {
                return Ok(slot);
            }
        }
        let topic = self.log.cluster.topic_by_id(id).ok_or(Fault::Unavailable)?;
        self.open(&topic)
    }

    /// Opens a topic, made if it is missing, for appends and for those who read it.
    fn open(&mut self, topic: &Arc<Topic>) -> Result<usize, Fault> {
        let opened = self.try_open(topic);
        topic.set_fault(opened.as_ref().err().copied());
        opened
    }

    fn try_open(&mut self, topic: &Arc<Topic>) -> Result<usize, Fault> {
        let slot = topic.id as usize;
        if self.known.len() <= slot {
            self.known.resize_with(slot + 1, || None);
        }
        if self.known[slot].is_none() {
            let number = self.find_or_make(&topic.name)?;
            let count = self.topics[number as usize].partitions;
            let next = |partition| self.ends.get(&(number, partition)).copied().unwrap_or(0);
            let parts = (0..count).map(|partition| Part::new(next(partition))).collect();
            self.known[slot] =
                Some(Known { number, topic: Arc::clone(topic), parts, is_touched: false });
            topic.set_count(count);
        }
        self.attach(slot)?;
        Ok(slot)
    }

    fn find_or_make(&mut self, name: &Arc<str>) -> Result<u32, Fault> {
        let place = self.topics.iter().position(|entry| entry.name == *name);
        if let Some(place) = place {
            return Ok(u32::try_from(place).unwrap_or(u32::MAX));
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_name = (1..=NAME).contains(&name.len()) && name.chars().all(is_legal);
        if !is_name || matches!(&**name, "." | "..") {
            return Err(Fault::Refused("INVALID_TOPIC_EXCEPTION"));
        }
        if self.topics.len() >= TOPICS {
            return Err(Fault::Refused("POLICY_VIOLATION"));
        }
        let partitions = self.log.options.partitions;
        self.topics.push(Entry { name: Arc::clone(name), partitions, is_compacted: false });
        if !self.write_topics() {
            self.topics.pop();
            return Err(Fault::Unavailable);
        }
        tracing::info!(
            event = "kafka.topic.made",
            cluster = %self.log.cluster.name,
            topic = %name,
            partitions,
        );
        Ok(u32::try_from(self.topics.len() - 1).unwrap_or(u32::MAX))
    }

    fn write_topics(&mut self) -> bool {
        let written = write_topics(&self.log.options.dir, &self.topics);
        if let Err(error) = &written {
            self.tell("list its topics", error);
        }
        written.is_ok()
    }

    /// Gives readers their view of a topic, where there are readers and they have none.
    fn attach(&mut self, slot: usize) -> Result<(), Fault> {
        let Some(Some(known)) = self.known.get(slot) else { return Err(Fault::Unavailable) };
        let (topic, reading) = (Arc::clone(&known.topic), known.topic.reading());
        if reading == Reading::No || known.parts.iter().all(|part| part.shared.is_some()) {
            return Ok(());
        }
        let bound = self.log.cluster.log_bytes.load(Ordering::Relaxed);
        let partition = |(index, part): (u32, &Part)| {
            let start = if reading == Reading::Log { part.offsets.next() } else { 0 };
            Partition::new(index, start, bound)
        };
        let partitions: Vec<_> = (0..).zip(&known.parts).map(partition).collect();
        if reading == Reading::Table {
            self.fill(known.number, &topic, &partitions)?;
        }
        let Some(Some(known)) = self.known.get_mut(slot) else { return Err(Fault::Unavailable) };
        for (part, shared) in known.parts.iter_mut().zip(&partitions) {
            shared.set_known_end(part.offsets.next());
            shared.log.advance(part.offsets.next());
            shared.set_position(part.offsets.next());
            part.shared = Some(Arc::clone(shared));
        }
        topic.set_partitions(partitions.into());
        topic.settle_syncs();
        Ok(())
    }

    /// Fills a topic's table with all that was appended, and has the topic compacted from now on.
    /// What is being placed in this round is not among it: it is taken when the round ends.
    fn fill(
        &mut self,
        number: u32,
        topic: &Arc<Topic>,
        partitions: &[Arc<Partition>],
    ) -> Result<(), Fault> {
        topic.table.clear();
        let (done, result) = sync_channel(1);
        let is_compacted = self.topics[number as usize].is_compacted;
        self.log.keep.push(Job::Load(Load {
            number,
            topic: Arc::clone(topic),
            partitions: partitions.to_vec(),
            is_compacted,
            active: self.active.number,
            done,
        }));
        let filled = loop {
            match result.recv_timeout(LOOK) {
                Ok(filled) => break filled,
                Err(RecvTimeoutError::Timeout) if !self.log.cluster.is_stopped() => {}
                Err(_) => return Err(Fault::Unavailable),
            }
        };
        if let Err(error) = filled {
            tracing::error!(
                event = "kafka.table.unreadable",
                cluster = %self.log.cluster.name,
                topic = %topic.name,
                %error,
            );
            return Err(Fault::Unavailable);
        }
        if !is_compacted {
            self.topics[number as usize].is_compacted = true;
            if !self.write_topics() {
                self.topics[number as usize].is_compacted = false;
                return Err(Fault::Unavailable);
            }
        }
        Ok(())
    }
}
