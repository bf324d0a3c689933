//! What a reload did, or why it did nothing: told in the log, and kept for `zilla status`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::NodeName;
use crate::graph::Fate;

/// What the last configuration that was put in force did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// When, milliseconds since 1970.
    pub at_unix_ms: i64,
    /// How often a configuration has been put in force, this one included.
    pub generation: u64,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// Whether it says what was in force before.
    pub unchanged: bool,
    /// What became of each binding: those of the file in its order, then those that it no longer
    /// has.
    pub fates: Vec<(String, Fate)>,
    /// Connections that stayed where they are.
    pub kept: usize,
    /// Connections that go on in what was replaced or removed.
    pub draining: usize,
    /// Those of them that have ended since, by themselves or at their deadline.
    pub closed: usize,
    /// How long it took, microseconds.
    pub duration_us: u64,
}

impl Receipt {
    /// What became of a binding; `None` where it had none of that name.
    pub(super) fn fate(&self, name: &NodeName) -> Option<Fate> {
        let name = name.to_string();
        self.fates.iter().find(|(other, _)| *other == name).map(|(_, fate)| *fate)
    }

    /// The fates in one line.
    pub(super) fn fates_text(&self) -> String {
        let fates = self.fates.iter().map(|(name, fate)| format!("{name}={}", fate.name()));
        fates.collect::<Vec<_>>().join(" ")
    }
}

/// Why the file is not in force. It is until the file is mended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// When that was found, milliseconds since 1970.
    pub at_unix_ms: i64,
    /// What is wrong with the file, each problem with its place.
    pub problems: String,
}

/// How often it is looked whether connections of what a reload replaced or removed have ended.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// Connections that reloads left in what they replaced or removed, by the reload's generation, as
/// many as there were then.
#[derive(Debug, Default)]
pub(super) struct Drains(BTreeMap<u64, usize>);

impl Drains {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A reload has left so many.
    pub(super) fn begin(&mut self, generation: u64, connections: usize) {
        if connections > 0 {
            self.0.insert(generation, connections);
        }
    }

    /// Says of each reload whose connections have all ended, by those that are `left`, that they
    /// have.
    pub(super) fn note(&mut self, left: &BTreeMap<u64, usize>) {
        let is_left = |generation: &u64| left.get(generation).is_some_and(|count| *count > 0);
        for (generation, connections_closed) in self.0.extract_if(.., |at, _| !is_left(at)) {
            tracing::info!(
                event = "config.reload.drained",
                generation,
                connections_closed,
                "the last connection of what this reload replaced or removed has ended",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_ends_when_none_of_its_connections_is_left() {
        let mut drains = Drains::default();
        drains.begin(2, 0);
        assert!(drains.is_empty());
        drains.begin(3, 5);
        drains.begin(4, 1);
        drains.note(&BTreeMap::from([(3, 1), (4, 0)]));
        assert_eq!(drains.0, BTreeMap::from([(3, 5)]));
        drains.note(&BTreeMap::new());
        assert!(drains.is_empty());
    }
}
