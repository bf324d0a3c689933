//! Retained messages: their replay to a new subscription, and what is known of their publishes.
//!
//! - `replay`: to a subscription; `pairs`: publishes that are on their way to Kafka.
//! - `marks`: which records of the messages topics were published with RETAIN.

pub(super) mod marks;
pub(super) mod pairs;
pub(super) mod replay;
