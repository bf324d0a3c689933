//! From the file to a definition.

mod definition;
mod mapping;
mod properties;
#[cfg(test)]
mod tests;
mod topics;

pub use definition::{MqttKafkaDefinition, MqttKafkaKind};
pub use properties::PROPERTIES;
