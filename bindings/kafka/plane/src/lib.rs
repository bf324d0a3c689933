//! The kafka plane: what a binding that answers from Kafka and a binding that asks it share.
//!
//! A binding that asks (`mqtt-kafka`) reads topics through a [`TopicLog`] or a [`TopicTable`] and
//! appends through a [`Producer`]. All three are a worker's view of what the process shares: one
//! log a topic partition, one producer a cluster. Answers that take time come as calls on the
//! worker's own thread, in batches, never one task or queue a record.

mod batch;
mod draft;
mod exit;
mod fault;

pub use batch::{Batch, BatchBuilder, Header, Headers, Record};
pub use draft::{Draft, DraftHeaders};
pub use exit::{
    Appended, Completion, Ends, Kafka, KafkaExit, Limits, Listener, Older, Producer, Read, Scan,
    Then, TopicLog, TopicTable,
};
pub use fault::Fault;
