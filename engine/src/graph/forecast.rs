//! What a reload would do to connections: the difference of two plans, in the terms of those who
//! are connected.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::config::NodeName;
use crate::graph::{Fate, Plan, PlanNode, diff};
use crate::spi::Plane;

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The nodes of both plans: those of the new one as its file has them, then those that it has
    /// not.
    pub nodes: Vec<NodeForecast>,
    /// How long connections of a removed node go on, seconds.
    pub drain: u64,
}

/// What a reload would do to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeForecast {
    /// Its name, with its namespace.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its kind.
    pub kind: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether clients' connections are its own, rather than its neighbours'.
    pub holds_connections: bool,
    /// How many it has open now; `None` where nothing runs.
    pub connections: Option<usize>,
}

/// What a reload would do, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing.
    Nothing,
    /// Something changes, and no connection ends for it.
    InPlace,
    /// Connections end for it.
    Drops,
}

impl Forecast {
    /// What a reload of `new` over `old` would do: the reload takes the same difference.
    /// Connections of what is removed go on for `drain`.
    #[must_use]
    pub fn new(old: &Plan, new: &Plan, drain: Duration) -> Self {
        let mut fates: HashMap<NodeName, Fate> = diff(old, new).into_iter().collect();
        let mut nodes = Vec::with_capacity(fates.len());
        let gone = old.file_order.iter().filter(|name| !new.nodes.contains_key(*name));
        for name in new.file_order.iter().chain(gone) {
            let (Some(fate), Some(node)) =
                (fates.remove(name), new.nodes.get(name).or_else(|| old.nodes.get(name)))
            else {
                continue;
            };
            nodes.push(NodeForecast {
                name: name.to_string(),
                type_name: node.type_name.clone(),
                kind: node.kind.clone(),
                fate,
                holds_connections: holds_connections(node),
                connections: None,
            });
        }
        Self { nodes, drain: drain.as_secs() }
    }

    /// What it would do, in one word. A removed node ends the connections that are its own, if it
    /// has any, or if that is not known.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let of = |node: &NodeForecast| match node.fate {
            Fate::Keep => Outcome::Nothing,
            Fate::Retire if node.holds_connections && node.connections != Some(0) => Outcome::Drops,
            _ => Outcome::InPlace,
        };
        self.nodes.iter().map(of).max().unwrap_or(Outcome::Nothing)
    }
}

/// A connection belongs to the binding that accepted it, which nothing exits to, and to the one
/// that took its bytes.
fn holds_connections(node: &PlanNode) -> bool {
    node.definition.entry().is_none_or(|plane| plane == Bytes::NAME)
}
