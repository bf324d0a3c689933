//! Routes, subscriptions and their match, without I/O or clock.

mod decision;
mod filter_map;
mod interest;
mod mapping;
mod memo;
mod pattern;
mod seek;
mod seldom;
mod shape;
mod subscriptions;
mod tree;
mod trie;

pub use decision::{RECEIVE_MAXIMUM, RECORD_OVERHEAD, Target, Verdict};
pub use filter_map::FilterMap;
pub use interest::{Grant, Interest, Match, Options};
pub(crate) use mapping::is_kafka_topic;
pub use mapping::{Mapping, Route, Template};
pub use pattern::{Captures, Pattern};
pub use seek::{Step, first_key, step};
pub use seldom::Seldom;
pub use subscriptions::Subscriptions;
pub use trie::Trie;
