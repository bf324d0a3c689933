//! From the file to a definition.

mod definition;
mod mapping;
#[cfg(test)]
mod tests;
mod topics;

pub use definition::{MqttKafkaDefinition, MqttKafkaKind};
