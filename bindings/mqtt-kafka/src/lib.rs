//! The mqtt-kafka binding: MQTT sessions over Kafka topics.
//!
//! A publish becomes a record on the *messages* topic (or where a route leads), key = MQTT topic;
//! with RETAIN also one on the compacted *retained* topic. Subscribers are served from shared logs
//! of those topics: each worker runs a record through its subscriptions once and hands a reference
//! to the sessions that match.

pub mod state;
pub mod wire;

