//! What needs neither Kafka nor a clock.

mod burst;
mod eof;
mod murmur2;
mod pace;

pub(crate) use burst::{Burst, BurstAppend, BurstRecord};
pub(crate) use eof::eof_offset;
pub(crate) use murmur2::{murmur2, partition_of};
pub(crate) use pace::Pace;
