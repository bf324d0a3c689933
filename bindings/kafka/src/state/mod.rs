//! What needs neither Kafka nor a clock.

#[cfg(any(feature = "rdkafka", feature = "embedded"))]
mod burst;
mod murmur2;

#[cfg(any(feature = "rdkafka", feature = "embedded"))]
pub(crate) use burst::{Burst, BurstAppend, BurstRecord};
pub(crate) use murmur2::{murmur2, partition_of};
