//! Offsets and partition counts, as the cluster tells them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_plane::Fault;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::context::AdminContext;
use super::faults::{fault_of, fault_of_code};
use crate::cluster::Topic;

/// How long Kafka may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How many partitions a topic has.
pub(super) fn partition_count(
    consumer: &BaseConsumer<AdminContext>,
    topic: &str,
) -> Result<u32, Fault> {
    let metadata =
        consumer.fetch_metadata(Some(topic), ANSWER).map_err(|error| fault_of(&error))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(Fault::UnknownTopic);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(u32::try_from(found.partitions().len()).unwrap_or(0)),
        Some(code) => Err(fault_of_code(code)),
    }
}

/// A partition, and which of its offsets is asked for.
pub(super) type Wanted<'a> = (&'a Arc<Topic>, u32, Offset);

/// The offsets of all `wanted` (each partition once) by one request a broker; each may fail by
/// itself.
pub(super) fn offsets(
    consumer: &BaseConsumer<AdminContext>,
    wanted: &[Wanted<'_>],
) -> Result<Vec<Result<i64, Fault>>, Fault> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for (topic, partition, offset) in wanted {
        list.add_partition_offset(&topic.name, index(*partition), *offset)
            .map_err(|error| fault_of(&error))?;
    }
    let list = consumer.offsets_for_times(list, ANSWER).map_err(|error| fault_of(&error))?;
    let mut found: HashMap<(&str, i32), Result<i64, Fault>> = HashMap::new();
    let elements = list.elements();
    for element in &elements {
        let offset = match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => Ok(offset),
            (Ok(()), _) => Err(Fault::Unavailable),
            (Err(error), _) => Err(fault_of(&error)),
        };
        found.insert((element.topic(), element.partition()), offset);
    }
    let found = wanted.iter().map(|(topic, partition, _)| {
        found.get(&(&*topic.name, index(*partition))).copied().unwrap_or(Err(Fault::Unavailable))
    });
    Ok(found.collect())
}

/// A partition's index as librdkafka has it.
pub(super) fn index(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
