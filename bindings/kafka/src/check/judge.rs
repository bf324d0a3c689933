//! What Kafka said, compared with what the file needs. No I/O.

use engine::config::{Problem, Span, codes};
use engine::spi::{CheckCx, Checkup, Keeps, Purpose, TopicNeed, TopicReport, TopicState};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka_describe::Topic;

use super::ask::{Found, Topics};
use crate::librdkafka::{
    Commands, MESSAGE_MAX, Operation, RECORD_OVERHEAD, TopicConfig, is_compacted,
};

/// Kafka's default of `max.message.bytes`.
const DEFAULT_LIMIT: u32 = 1_048_588;

/// A topic, with all that bindings need of it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    need: TopicNeed,
    /// Where else the file names it.
    others: Vec<Span>,
}

/// Each topic once: what the first that knows needs of it, and what others do with it.
pub(super) fn merge(needs: &[TopicNeed]) -> Vec<Wanted> {
    let mut merged: Vec<Wanted> = Vec::new();
    for need in needs {
        let Some(wanted) = merged.iter_mut().find(|wanted| wanted.need.name == need.name) else {
            merged.push(Wanted { need: need.clone(), others: Vec::new() });
            continue;
        };
        let Wanted { need: first, others } = wanted;
        let mut other = need.span.clone();
        if first.keeps.is_none() && need.keeps.is_some() {
            first.keeps = need.keeps;
            std::mem::swap(&mut first.span, &mut other);
        }
        if other != first.span && !others.contains(&other) {
            others.push(other);
        }
        first.is_read |= need.is_read;
        first.is_written |= need.is_written;
        first.least_record_bytes = first.least_record_bytes.max(need.least_record_bytes);
        first.record_overhead = first.record_overhead.max(need.record_overhead);
        first.most_partitions = first.most_partitions.min(need.most_partitions);
    }
    merged
}

/// Compares the topics of a cluster with what is wanted of them.
pub(super) struct Judge<'a> {
    pub(super) cx: &'a CheckCx<'a>,
    pub(super) commands: Commands<'a>,
    /// Who we are to Kafka, as it may be shown.
    pub(super) principal: String,
    pub(super) wanted: Vec<Wanted>,
}

impl Judge<'_> {
    /// The names that can be looked for, and whether each is to be compacted.
    pub(super) fn names(&self) -> Vec<(String, bool)> {
        self.named().map(|wanted| (wanted.need.name.clone(), wanted.is_compacted())).collect()
    }

    /// Those that can be looked for.
    fn named(&self) -> impl Iterator<Item = &Wanted> {
        self.wanted.iter().filter(|wanted| !wanted.need.is_template)
    }

    /// Adds what follows from what was found, in the order of [`Judge::names`].
    pub(super) fn judge(&self, topics: &Topics, checkup: &mut Checkup) {
        let Topics { found, brokers } = topics;
        let is_check = self.cx.purpose() == Purpose::Problems;
        for (wanted, found) in self.named().zip(found) {
            let state = match found {
                Found::Present(topic, config) => {
                    if is_check {
                        self.inspect(wanted, topic, config.as_ref(), &mut checkup.problems);
                        checkup.problems.extend(self.sole_replica(wanted, topic, *brokers));
                    }
                    TopicState::Present(words(topic, config.as_ref()))
                }
                Found::Created => TopicState::Created,
                Found::Failed(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                    if is_check {
                        checkup.problems.push(self.missing(wanted));
                    }
                    TopicState::Missing
                }
                Found::Failed(code) => {
                    checkup.problems.push(self.failed(wanted, *code));
                    TopicState::Unknown("not known: Kafka does not tell".to_owned())
                }
                Found::NotCreated(code) => {
                    checkup.problems.push(self.not_created(wanted, *code));
                    TopicState::Missing
                }
            };
            checkup.topics.push(self.report(wanted, state));
        }
        for wanted in self.wanted.iter().filter(|wanted| wanted.need.is_template) {
            let why = "completed by what clients send: each topic that comes of it must be made";
            checkup.topics.push(self.report(wanted, TopicState::Unknown(why.to_owned())));
        }
        if is_check {
            self.compare_limits(found, &mut checkup.problems);
        }
    }

    pub(super) fn report(&self, wanted: &Wanted, state: TopicState) -> TopicReport {
        let is_there = matches!(state, TopicState::Present(_) | TopicState::Created);
        let command = (!is_there && !wanted.need.is_template).then(|| self.create(wanted));
        let Wanted { need, .. } = wanted;
        TopicReport { name: self.cx.shown(&need.name), span: need.span.clone(), state, command }
    }

    fn create(&self, wanted: &Wanted) -> String {
        let partitions = match self.cx.purpose() {
            Purpose::Topics { partitions, .. } => partitions,
            Purpose::Problems => 1,
        };
        self.commands.create(&wanted.need.name, partitions, wanted.is_compacted())
    }

    fn missing(&self, wanted: &Wanted) -> Problem {
        let message = format!("the Kafka topic `{}` does not exist", self.name(wanted));
        let problem = self.problem(codes::E0607, wanted, message);
        problem.with_help(format!("create it: {}", self.create(wanted)))
    }

    fn failed(&self, wanted: &Wanted, code: Code) -> Problem {
        if code == Code::TopicAuthorizationFailed {
            return self.denied(wanted, &wanted.operations());
        }
        let message = format!("Kafka refuses to tell of the topic `{}`: {code}", self.name(wanted));
        self.problem(codes::E0612, wanted, message)
    }

    fn not_created(&self, wanted: &Wanted, code: Code) -> Problem {
        let is_denied =
            matches!(code, Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed);
        if is_denied {
            let (principal, name) = (&self.principal, self.name(wanted));
            let message = format!("Kafka does not let {principal} create the topic `{name}`");
            return self
                .problem(codes::E0609, wanted, message)
                .with_help(format!("let one who may create it: {}", self.create(wanted)));
        }
        let message = format!("Kafka refuses to create the topic `{}`: {code}", self.name(wanted));
        self.problem(codes::E0612, wanted, message)
    }

    /// Finds what is wrong with a topic that is there.
    fn inspect(
        &self,
        wanted: &Wanted,
        topic: &Topic,
        config: Option<&TopicConfig>,
        problems: &mut Vec<Problem>,
    ) {
        let denied: Vec<Operation> = match topic.permitted {
            None => Vec::new(),
            Some(permitted) => wanted
                .operations()
                .into_iter()
                .filter(|operation| match operation {
                    Operation::Read => !permitted.read,
                    Operation::Write => !permitted.write,
                    Operation::DescribeConfigs => !permitted.describe_configs,
                    Operation::Any | Operation::Describe => false,
                })
                .collect(),
        };
        if !denied.is_empty() {
            problems.push(self.denied(wanted, &denied));
        }
        self.inspect_partitions(wanted, topic, problems);
        let Some(config) = config else { return };
        if let Some(policy) = &config.cleanup_policy {
            self.inspect_policy(wanted, policy, problems);
        }
        if let Some(least) = config.min_insync_replicas.filter(|_| wanted.need.is_written) {
            problems.extend(self.too_few_replicas(wanted, topic, least));
        }
        let least = wanted.need.least_record_bytes.saturating_add(RECORD_OVERHEAD);
        if let Some(limit) = config.max_message_bytes.filter(|limit| *limit < least) {
            let name = self.name(wanted);
            let message = format!(
                "`{name}` takes records of up to {limit} bytes; at least {least} are needed"
            );
            problems.push(
                self.problem(codes::E0611, wanted, message).with_help(format!(
                    "let it take more: {}",
                    self.enlarge(wanted, DEFAULT_LIMIT)
                )),
            );
        }
    }

    fn inspect_partitions(&self, wanted: &Wanted, topic: &Topic, problems: &mut Vec<Problem>) {
        let (name, count) = (self.name(wanted), topic.has_leader.len());
        let most = wanted.need.most_partitions;
        if u32::try_from(count).is_ok_and(|count| count > most) {
            let message = format!("`{name}` has {count} partitions, of which {most} can be read");
            let help = "partitions cannot be taken away: use another topic, of a few partitions";
            problems.push(self.problem(codes::E0610, wanted, message).with_help(help));
        }
        let leaderless = topic.has_leader.iter().filter(|has_leader| !**has_leader).count();
        if leaderless > 0 {
            let message = format!("{leaderless} of {count} partitions of `{name}` have no leader");
            let help = "see to the brokers that hold them";
            problems.push(self.problem(codes::E0610, wanted, message).with_help(help));
        }
    }

    /// Records are acknowledged by `least` replicas, or not taken.
    fn too_few_replicas(&self, wanted: &Wanted, topic: &Topic, least: usize) -> Option<Problem> {
        let replicas = topic.replicas.iter().enumerate();
        let few = |(_, (_, in_sync)): &(usize, &(usize, usize))| *in_sync < least;
        let (partition, (all, in_sync)) =
            replicas.filter(few).min_by_key(|(_, counts)| **counts)?;
        let name = self.name(wanted);
        let message = format!(
            "Kafka refuses writes to `{name}`: min.insync.replicas is {least}, and of the replicas \
             of partition {partition}, {in_sync} of {all} are in sync"
        );
        let help = if *all < least {
            let count = all.to_string();
            let lower = self.commands.configure(&wanted.need.name, "min.insync.replicas", &count);
            format!("give it more replicas, or ask for fewer: {lower}")
        } else {
            "see to the brokers that hold the others".to_owned()
        };
        Some(self.problem(codes::E0614, wanted, message).with_help(help))
    }

    /// Of a cluster of one broker there is nothing to choose.
    fn sole_replica(&self, wanted: &Wanted, topic: &Topic, brokers: usize) -> Option<Problem> {
        let is_written = wanted.need.is_written && brokers > 1;
        let sole = topic.replicas.iter().filter(|_| is_written).filter(|(all, _)| *all == 1);
        let (sole, count) = (sole.count(), topic.replicas.len());
        if sole == 0 {
            return None;
        }
        let name = self.name(wanted);
        let message = format!(
            "{sole} of {count} partitions of `{name}` have one replica, on one of {brokers} brokers"
        );
        let help = "give it more with kafka-reassign-partitions.sh, or make it anew with \
                    --replication-factor 3: what its one disk loses is lost";
        Some(self.problem(codes::W0604, wanted, message).with_help(help))
    }

    fn inspect_policy(&self, wanted: &Wanted, policy: &str, problems: &mut Vec<Problem>) {
        let (name, is_compacted) = (self.name(wanted), is_compacted(policy));
        let set = |policy| self.commands.configure(&wanted.need.name, "cleanup.policy", policy);
        match wanted.need.keeps {
            Some(Keeps::LastOfKey) if !is_compacted => {
                let message =
                    format!("Kafka would delete what `{name}` must keep: its policy is `{policy}`");
                problems.push(
                    self.problem(codes::E0608, wanted, message)
                        .with_help(format!("make it compacted: {}", set("compact"))),
                );
            }
            Some(Keeps::All) if is_compacted => {
                let message = format!(
                    "`{name}` is compacted: of the messages of one key, Kafka keeps only the last"
                );
                problems.push(
                    self.problem(codes::W0602, wanted, message)
                        .with_help(format!("have them deleted by age: {}", set("delete"))),
                );
            }
            _ => {}
        }
    }

    fn denied(&self, wanted: &Wanted, operations: &[Operation]) -> Problem {
        let verbs: Vec<&str> = operations.iter().map(|operation| operation.verb()).collect();
        let (principal, name) = (&self.principal, self.name(wanted));
        let verbs = verbs.join(", ");
        let message = format!("Kafka does not let {principal} {verbs} the topic `{name}`");
        let command = self.commands.permit(operations, &wanted.need.name);
        self.problem(codes::E0609, wanted, message).with_help(format!("permit it: {command}"))
    }

    /// The smallest limit holds for all topics of a cluster.
    fn compare_limits(&self, found: &[Found], problems: &mut Vec<Problem>) {
        let limits: Vec<(&Wanted, u32)> = self
            .named()
            .zip(found)
            .filter_map(|(wanted, found)| match found {
                Found::Present(_, Some(config)) => Some((wanted, config.max_message_bytes?)),
                _ => None,
            })
            .collect();
        let Some((largest, most)) = limits.iter().max_by_key(|(_, limit)| *limit) else { return };
        for (wanted, limit) in limits.iter().filter(|(_, limit)| *limit < (*most).min(MESSAGE_MAX))
        {
            let overhead = RECORD_OVERHEAD.saturating_add(largest.need.record_overhead);
            let message = format!(
                "`{}` takes records of up to {limit} bytes, `{}` of up to {most}: the smaller \
                 limit holds for all, so that a client may send {} bytes",
                self.name(wanted),
                self.name(largest),
                limit.saturating_sub(overhead),
            );
            let more = (*most).min(MESSAGE_MAX);
            problems.push(
                self.problem(codes::W0603, wanted, message)
                    .with_help(format!("let it take as much: {}", self.enlarge(wanted, more))),
            );
        }
    }

    fn enlarge(&self, wanted: &Wanted, bytes: u32) -> String {
        self.commands.configure(&wanted.need.name, "max.message.bytes", &bytes.to_string())
    }

    fn name(&self, wanted: &Wanted) -> String {
        self.cx.shown(&wanted.need.name)
    }

    fn problem(&self, code: &'static codes::Code, wanted: &Wanted, message: String) -> Problem {
        let problem = Problem::new(code, wanted.need.span.clone(), message);
        let others = wanted.others.iter();
        others.fold(problem, |problem, span| problem.with_related(span.clone(), "named here, too"))
    }
}

impl Wanted {
    fn is_compacted(&self) -> bool {
        self.need.keeps == Some(Keeps::LastOfKey)
    }

    /// What is done with it.
    fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        if self.need.is_read {
            operations.push(Operation::Read);
        }
        if self.need.is_written {
            operations.push(Operation::Write);
        }
        if operations.is_empty() {
            operations.push(Operation::Describe);
        }
        operations.push(Operation::DescribeConfigs);
        operations
    }
}

/// What a topic is.
fn words(topic: &Topic, config: Option<&TopicConfig>) -> String {
    let count = topic.has_leader.len();
    let mut words = format!("{count} partition{}", if count == 1 { "" } else { "s" });
    // The same for all partitions, unless someone has moved them by hand.
    if let Some((replicas, _)) = topic.replicas.iter().min() {
        words.push_str(&format!(", {replicas} replica{}", if *replicas == 1 { "" } else { "s" }));
    }
    if let Some(policy) = config.and_then(|config| config.cleanup_policy.as_deref()) {
        words.push_str(&format!(", cleanup.policy={policy}"));
    }
    if let Some(bytes) = config.and_then(|config| config.max_message_bytes) {
        words.push_str(&format!(", max.message.bytes={bytes}"));
    }
    words
}

#[cfg(test)]
mod tests;
