//! What is asked of Kafka. Blocks.

use std::time::{Duration, Instant};

use engine::runtime::Clock;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka_describe::{Topic, describe_topics};

use crate::librdkafka::{self, AdminContext, Settings, TopicConfig, block_on};

/// How long Kafka is waited for before it is looked whether it refuses us.
const SLICE: Duration = Duration::from_millis(250);

/// Events of its own that a client has at most when something has just failed.
const EVENTS: usize = 16;

/// A question.
pub(super) struct Question {
    pub(super) settings: Settings,
    /// Each name once, and whether the topic is to be compacted.
    pub(super) topics: Vec<(String, bool)>,
    /// Whether those that are missing are made, and with how many partitions.
    pub(super) creates: Option<u32>,
    pub(super) timeout: Duration,
}

/// An answer.
pub(super) enum Answer {
    Topics(Topics),
    /// Kafka did not answer, as librdkafka says it.
    Unreachable(String),
    /// A broker refused our credentials.
    Unauthenticated(String),
    /// It could not be asked.
    Failed(String),
}

/// What is known of a cluster's topics.
pub(super) struct Topics {
    /// Each, in the order of the question.
    pub(super) found: Vec<Found>,
    /// How many brokers the cluster has.
    pub(super) brokers: usize,
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there; `None`: its configuration was not told.
    Present(Topic, Option<TopicConfig>),
    /// It was missing and is made.
    Created,
    /// It was missing and could not be made.
    NotCreated(RDKafkaErrorCode),
    /// Nothing is known of it, and why.
    Failed(RDKafkaErrorCode),
}

/// Asks, and hands the answer over as soon as it is there: to end the clients takes longer.
pub(super) fn ask(question: &Question, answer: impl FnOnce(Answer)) {
    let clock = Clock::new();
    let deadline = clock.now() + question.timeout;
    let until = Until { clock, deadline };
    let consumer = question.settings.admin().create_with_context(AdminContext::default());
    let consumer: BaseConsumer<AdminContext> = match consumer {
        Ok(consumer) => consumer,
        Err(error) => return answer(Answer::Failed(error.to_string())),
    };
    let brokers = match connect(&consumer, question, &until) {
        Ok(brokers) => brokers,
        Err(found) => return answer(found),
    };
    let client = match librdkafka::client(&question.settings) {
        Ok(client) => client,
        Err(error) => return answer(Answer::Failed(error)),
    };
    let found = topics(&consumer, &client, question, &until);
    answer(match found {
        Ok(found) => Answer::Topics(Topics { found, brokers }),
        Err(answer) => answer,
    });
}

/// When the answer must be there.
struct Until {
    clock: Clock,
    deadline: Instant,
}

impl Until {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.clock.now())
    }
}

/// Waits until Kafka answers anything; how many brokers it has.
fn connect(
    consumer: &BaseConsumer<AdminContext>,
    question: &Question,
    until: &Until,
) -> Result<usize, Answer> {
    let any = question.topics.first().map(|(name, _)| name.as_str());
    loop {
        if let Ok(metadata) = consumer.fetch_metadata(any, SLICE.min(until.left())) {
            return Ok(metadata.brokers().len());
        }
        // The reason comes as an event of the client's, one a call.
        for _ in 0..EVENTS {
            consumer.poll(Duration::ZERO);
        }
        let trouble = consumer.context().trouble();
        if trouble.is_unauthenticated {
            return Err(Answer::Unauthenticated(trouble.reason));
        }
        if until.left().is_zero() {
            return Err(Answer::Unreachable(trouble.reason));
        }
    }
}

fn topics(
    consumer: &BaseConsumer<AdminContext>,
    client: &AdminClient<AdminContext>,
    question: &Question,
    until: &Until,
) -> Result<Vec<Found>, Answer> {
    let names: Vec<&str> = question.topics.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let described = describe_topics(consumer.client(), &names, until.left())
        .map_err(|code| refused(&KafkaError::AdminOp(code)))?;
    let mut found: Vec<Found> = described
        .into_iter()
        .map(|topic| topic.map_or_else(Found::Failed, |topic| Found::Present(topic, None)))
        .collect();
    let present: Vec<&str> = names
        .iter()
        .zip(&found)
        .filter(|(_, found)| matches!(found, Found::Present(..)))
        .map(|(name, _)| *name)
        .collect();
    if !present.is_empty() {
        let configs = librdkafka::describe(client, &present, until.left());
        let mut configs = configs.map_err(Answer::Failed)?.into_iter();
        for found in &mut found {
            if let Found::Present(_, config) = found {
                *config = configs.next();
            }
        }
    }
    if let Some(partitions) = question.creates {
        create(client, question, partitions, &mut found, until)?;
    }
    Ok(found)
}

/// Makes the topics that are missing.
fn create(
    client: &AdminClient<AdminContext>,
    question: &Question,
    partitions: u32,
    found: &mut [Found],
    until: &Until,
) -> Result<(), Answer> {
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    let missing =
        |found: &Found| *found == Found::Failed(RDKafkaErrorCode::UnknownTopicOrPartition);
    let new: Vec<NewTopic<'_>> = question
        .topics
        .iter()
        .zip(&*found)
        .filter(|(_, found)| missing(found))
        .map(|((name, is_compacted), _)| {
            // As many replicas as the cluster makes of itself.
            let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
            if *is_compacted { topic.set("cleanup.policy", "compact") } else { topic }
        })
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let left = until.left();
    let options = AdminOptions::new().request_timeout(Some(left)).operation_timeout(Some(left));
    let results = block_on(client.create_topics(&new, &options)).map_err(Answer::Failed)?;
    let mut results = results.map_err(|error| refused(&error))?.into_iter();
    for found in found.iter_mut().filter(|found| missing(found)) {
        *found = match results.next() {
            Some(Err((_, code))) => Found::NotCreated(code),
            _ => Found::Created,
        };
    }
    Ok(())
}

fn refused(error: &KafkaError) -> Answer {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OperationTimedOut) => Answer::Unreachable(String::new()),
        _ => Answer::Failed(error.to_string()),
    }
}
