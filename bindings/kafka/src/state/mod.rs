//! What needs neither Kafka nor a clock.

mod burst;
mod murmur2;

pub(crate) use burst::{Burst, BurstAppend, BurstRecord};
pub(crate) use murmur2::{murmur2, partition_of};
