//! The thread that asks the cluster about topics: which exist, how many partitions they have,
//! where those begin and end, how large a record may be.

mod limits;
mod topics;

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::runtime::Clock;
use kafka_plane::Fault;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;

use super::context::AdminContext;
use super::faults::Refusal;
use super::offsets::offsets;
use super::{Client, Trouble, TroubleKind};
use crate::cluster::{Answer, Ask, Lane, Topic};

/// How often all topics are looked at again: partitions added, topics deleted.
const REFRESH: Duration = Duration::from_secs(3);

/// How long it may take to say which cluster it is.
const ANSWER: Duration = Duration::from_secs(2);

/// How often, while a topic is missing or the cluster does not answer.
const RETRY: Duration = Duration::from_millis(500);

/// The ends of a topic's partitions, by partition.
type FoundEnds = Result<Box<[i64]>, Fault>;

/// The only one of a list.
fn first(found: Vec<FoundEnds>) -> FoundEnds {
    found.into_iter().next().unwrap_or(Err(Fault::Unavailable))
}

/// The thread's state.
pub(super) struct Admin {
    cluster: Arc<Client>,
    consumer: BaseConsumer<AdminContext>,
    clock: Clock,
    /// Topics that were read once: what they have when they come back is read from its beginning.
    was_read: BTreeSet<u32>,
    /// Topics that were known and are missing since the last look.
    missing: BTreeSet<u32>,
    /// Partitions that are not read on until they are put right, by topic.
    troubled: BTreeMap<(u32, u32), Arc<Topic>>,
    /// `max.message.bytes` by topic; `None`: not asked yet.
    limits: BTreeMap<u32, Option<u32>>,
    /// Topics whose configuration this principal may not be told.
    undescribed: BTreeSet<u32>,
    /// The cleanup policy of topics where it does not say compact.
    uncompacted: BTreeMap<u32, String>,
    /// Topics that are missing, which no event has named yet, and since when they are known to be.
    unnamed: BTreeMap<u32, Instant>,
    down: Option<Down>,
}

/// Why the cluster cannot be used at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Down {
    /// It does not answer.
    Unreachable,
    /// It refuses our credentials.
    Unauthenticated,
}

impl Admin {
    pub(super) fn new(cluster: Arc<Client>) -> Result<Self, Refusal> {
        let consumer = cluster.settings.admin().create_with_context(AdminContext::default())?;
        Ok(Self {
            cluster,
            consumer,
            clock: Clock::new(),
            was_read: BTreeSet::new(),
            missing: BTreeSet::new(),
            troubled: BTreeMap::new(),
            limits: BTreeMap::new(),
            undescribed: BTreeSet::new(),
            uncompacted: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            down: None,
        })
    }

    pub(super) fn run(mut self) {
        let cluster = Arc::clone(&self.cluster);
        cluster.admin.sleeper.adopt();
        let mut asks = Vec::new();
        let mut troubles = Vec::new();
        let mut next_look = self.clock.now() + RETRY;
        if cluster.inherited.is_some() {
            // Whether logs go on is known before anybody moves here, as far as it answers by then.
            self.note_id(ANSWER);
        }
        while !cluster.is_stopped() {
            // Serves the client's own log.
            self.consumer.poll(Duration::ZERO);
            cluster.admin.swap(&mut asks);
            self.serve(&mut asks);
            std::mem::swap(&mut *cluster.troubles.lock(), &mut troubles);
            for Trouble { topic, partition, kind } in troubles.drain(..) {
                if kind == TroubleKind::Denied {
                    self.deny_reads(&topic, partition);
                } else {
                    self.mend(&topic, partition, kind == TroubleKind::Stopped);
                }
            }
            self.ask_limits();
            if self.clock.now() >= next_look {
                self.look();
                next_look = self.clock.now() + self.pause();
            }
            let now = self.clock.now();
            cluster.admin.sleep_unless(next_look.saturating_duration_since(now), || {
                !cluster.troubles.lock().is_empty()
            });
        }
        self.fail_all(&mut asks);
    }

    fn pause(&self) -> Duration {
        let incomplete = self.down.is_some()
            || !self.missing.is_empty()
            || !self.troubled.is_empty()
            || self.cluster.all_topics().iter().any(|topic| {
                topic.count() == 0
                    || topic.fault() == Some(Fault::NotAuthorized)
                    || topic.writes.is_doubtful()
            });
        if incomplete { RETRY } else { REFRESH }
    }

    /// Looks at all topics again.
    fn look(&mut self) {
        for topic in self.cluster.all_topics() {
            if self.resolve(&topic) == Err(Fault::Unavailable) {
                // The others would only wait as long.
                return;
            }
            topic.writes.try_again();
        }
        for ((_, partition), topic) in std::mem::take(&mut self.troubled) {
            self.mend(&topic, partition, true);
        }
        self.doubt_policies();
        self.ask_limits();
    }

    fn serve(&mut self, asks: &mut Vec<Ask>) {
        let mut questions = Vec::new();
        for ask in asks.drain(..) {
            match ask {
                // Whatever comes of it is kept with the topic.
                Ask::Resolve(topic) => {
                    self.resolve(&topic).ok();
                }
                Ask::Ends { topic, lane, key } => questions.push((topic, lane, key, false)),
                Ask::Sync { topic, lane, key } => questions.push((topic, lane, key, true)),
            }
        }
        if !questions.is_empty() {
            self.answer_ends(questions);
        }
    }

    /// Answers all questions for ends by one request a broker.
    fn answer_ends(&mut self, questions: Vec<(Arc<Topic>, Arc<Lane>, usize, bool)>) {
        let mut topics: BTreeMap<u32, (Arc<Topic>, FoundEnds)> = BTreeMap::new();
        for (topic, ..) in &questions {
            if let Entry::Vacant(vacant) = topics.entry(topic.id) {
                let ready = self.ready(topic).map(|()| Box::default());
                vacant.insert((Arc::clone(topic), ready));
            }
        }
        let known: Vec<_> =
            topics.values().filter(|(_, ready)| ready.is_ok()).map(|(topic, _)| topic).collect();
        let found = match self.ends_of(&known) {
            // One that is gone since must not fail the others.
            Err(_) if known.len() > 1 => {
                known.iter().map(|topic| self.ends_of(&[topic]).and_then(first)).collect()
            }
            Err(fault) => known.iter().map(|_| Err(fault)).collect(),
            Ok(found) => found,
        };
        let found: Vec<(u32, FoundEnds)> = known.iter().map(|topic| topic.id).zip(found).collect();
        for (id, ends) in found {
            if let Err(fault) = ends {
                self.note_fault(fault);
            }
            if let Some((topic, ready)) = topics.get_mut(&id) {
                let ends = self.doubt_missing(topic, ends);
                for (partition, end) in topic.partitions().iter().zip(ends.iter().flatten()) {
                    partition.set_known_end(*end);
                }
                *ready = ends;
            }
        }
        for (topic, lane, key, is_sync) in questions {
            let ends = topics[&topic.id].1.clone();
            match (is_sync, ends) {
                (false, ends) => lane.answers.push(Answer::Ends(key, ends)),
                (true, Ok(ends)) => topic.sync_to(ends, lane, key),
                (true, Err(fault)) => lane.answers.push(Answer::Synced(key, Err(fault))),
            }
        }
    }

    /// Kafka may say of a topic that it does not exist while its leader changes, or when a broker
    /// was away for a while: who asks is to ask again until that is certain.
    fn doubt_missing(&mut self, topic: &Arc<Topic>, ends: FoundEnds) -> FoundEnds {
        if ends == Err(Fault::UnknownTopic) {
            self.resolve(topic).ok();
            if topic.count() > 0 {
                return Err(Fault::Unavailable);
            }
        }
        ends
    }

    /// The ends of topics by one request a broker, by topic.
    fn ends_of(&self, topics: &[&Arc<Topic>]) -> Result<Vec<FoundEnds>, Fault> {
        let mut wanted = Vec::new();
        for topic in topics {
            let count = u32::try_from(topic.partitions().len()).unwrap_or(0);
            wanted.extend((0..count).map(|partition| (*topic, partition, Offset::End)));
        }
        let mut found = offsets(&self.consumer, &wanted)?.into_iter();
        let ends = |topic: &&Arc<Topic>| found.by_ref().take(topic.partitions().len()).collect();
        Ok(topics.iter().map(ends).collect())
    }

    /// Makes sure that a topic is being read, as far as that is possible now.
    fn ready(&mut self, topic: &Arc<Topic>) -> Result<(), Fault> {
        if topic.partitions().is_empty() {
            self.resolve(topic)?;
        }
        if topic.are_reads_denied() {
            return Err(Fault::NotAuthorized);
        }
        self.policy_fault(topic).map_or(Ok(()), Err)
    }

    /// Answers what came too late.
    fn fail_all(&mut self, asks: &mut Vec<Ask>) {
        self.cluster.admin.swap(asks);
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
        for topic in self.cluster.all_topics() {
            topic.fail_syncs(Fault::Unavailable);
        }
    }
}
