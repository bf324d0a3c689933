//! Routes, subscriptions and their match, without I/O or clock.

mod mapping;
mod pattern;
mod trie;

pub use mapping::{Mapping, Route, Target, Template};
pub use pattern::{Captures, Pattern};
pub use trie::{Entry, Trie};
