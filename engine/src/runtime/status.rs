//! What `zilla status` shows.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::config::NodeName;
use crate::runtime::{Receipt, Refusal};

/// The state of a running engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The configuration file.
    pub config: String,
    /// How often a configuration was put in force.
    pub generation: u64,
    /// The hash of the configuration in force, hexadecimal.
    pub hash: String,
    /// Whether the file on disk is the one in force, or why it is not.
    pub file: String,
    /// What the configuration in force did when it was put in force.
    pub reload: Receipt,
    /// Why the file on disk is not in force, where it is not.
    pub refused: Option<Refusal>,
    /// Worker threads.
    pub workers: usize,
    /// The bindings, in the order of the file.
    pub bindings: Vec<NodeStatus>,
    /// The counters that are not zero: binding, name, value.
    pub counters: Vec<(String, String, i64)>,
}

/// The state of one binding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its kind.
    pub kind: String,
    /// What the last reload did with it.
    pub fate: String,
    /// Connections or sessions that it has open, over all workers.
    pub connections: usize,
}

/// A worker's part of the state.
#[derive(Debug)]
#[expect(unnameable_types, reason = "the engine's own")]
pub struct WorkerStatus {
    pub(crate) connections: Vec<(NodeName, usize)>,
    /// Connections of instances that were retired and go on, by the generation that retired them.
    pub(crate) retired: BTreeMap<u64, usize>,
}

/// The parts of all workers together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By the node's name with its namespace.
    pub(super) connections: HashMap<String, usize>,
    pub(super) retired: BTreeMap<u64, usize>,
}

impl Tally {
    pub(super) fn add(&mut self, status: WorkerStatus) {
        for (name, count) in status.connections {
            *self.connections.entry(name.to_string()).or_insert(0) += count;
        }
        for (generation, count) in status.retired {
            *self.retired.entry(generation).or_insert(0) += count;
        }
    }
}
