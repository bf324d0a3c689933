//! Routes, subscriptions and their match, without I/O or clock.

mod mapping;
mod pattern;
mod seek;
mod subscriptions;
mod trie;

pub(crate) use mapping::is_kafka_topic;
pub use mapping::{Mapping, Route, Target, Template};
pub use pattern::{Captures, Pattern};
pub use seek::{Step, first_key, step};
pub use subscriptions::{Grant, Interest, Match, Options, Subscriptions};
pub use trie::{Entry, Trie};
