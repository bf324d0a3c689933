//! The mqtt-kafka binding: MQTT sessions over Kafka topics.
//!
//! A publish becomes a record on the *messages* topic (or where a route leads), key = MQTT topic;
//! with RETAIN also one on the compacted *retained* topic. Subscribers are served from shared logs
//! of those topics: each worker runs a record through its subscriptions once and hands a reference
//! to the sessions that match.
//!
//! Known limits, beside what is not built yet:
//! - The record format has no place for the RETAIN flag of a publish. Retain As Published
//!   [MQTT-3.3.1-13] gets it for what this process published; of another process's publish only
//!   where the retained topic holds it already when its live copy is dispatched.
//! - A session whose client is away is kept by this process alone. It has no queue: what the log in
//!   memory no longer holds when its client is back is counted, and not delivered.
//! - Two topics hold a retained message and its live copy. Who subscribes at that moment may
//!   receive the newest message twice: once as retained, once live.

mod config;
mod explain;
mod proxy;
pub mod state;
pub mod wire;

pub use config::{MqttKafkaDefinition, MqttKafkaKind, PROPERTIES};

/// The binding type, for the catalog.
pub static KIND: MqttKafkaKind = MqttKafkaKind;
