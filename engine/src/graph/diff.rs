//! Plans compared: what becomes of each node.

use serde::{Deserialize, Serialize};

use crate::config::NodeName;
use crate::graph::Plan;
use crate::spi::Coupling;

/// What becomes of a node when a plan follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It and its exits are as they were: it is not touched.
    Keep,
    /// It is as it was; what an exit leads to was replaced.
    Relink,
    /// The running instances take the new definition; their connections stay.
    Update,
    /// New instances stand beside the old, which end when their connections do.
    Replace,
    /// It is new.
    Start,
    /// It is gone.
    Retire,
}

impl Fate {
    /// The fate's name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "Keep",
            Self::Relink => "Relink",
            Self::Update => "Update",
            Self::Replace => "Replace",
            Self::Start => "Start",
            Self::Retire => "Retire",
        }
    }
}

/// The fate of every node of both plans: those of `new` in its order (exits first), then those
/// that only `old` has. A start is the difference from the empty plan.
#[must_use]
pub fn diff(old: &Plan, new: &Plan) -> Vec<(NodeName, Fate)> {
    let mut fates: Vec<(NodeName, Fate)> = Vec::with_capacity(new.nodes.len());
    let mut replaced = std::collections::BTreeSet::new();
    for name in &new.order {
        let Some(node) = new.nodes.get(name) else { continue };
        let fate = match old.nodes.get(name) {
            None => Fate::Start,
            Some(before) if before.identity == node.identity => {
                // One hop: what an upstream binding holds is this node's slot, which stays.
                if node.exits.iter().any(|exit| replaced.contains(&exit.name)) {
                    Fate::Relink
                } else {
                    Fate::Keep
                }
            }
            // What it holds of a replaced node by value is another value now: no instance can
            // take that.
            Some(before)
                if before.type_name == node.type_name
                    && !node.exits.iter().any(|exit| {
                        exit.coupling == Coupling::Value && replaced.contains(&exit.name)
                    })
                    && node.definition.absorbs(&*before.definition) =>
            {
                Fate::Update
            }
            Some(_) => Fate::Replace,
        };
        if fate == Fate::Replace {
            replaced.insert(name.clone());
        }
        fates.push((name.clone(), fate));
    }
    for name in old.order.iter().rev() {
        if !new.nodes.contains_key(name) {
            fates.push((name.clone(), Fate::Retire));
        }
    }
    fates
}
