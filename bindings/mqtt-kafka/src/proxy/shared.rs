//! What the workers of a binding share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use mqtt_plane::Qos;

use super::kept::store::KeptSessions;
use super::reload::leave::Underway;
use super::retained::marks::Marks;
use super::retained::pairs::Pairs;
use crate::state::Mapping;

/// What the workers of a binding share, over its reloads.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(super) marks: Marks,
    pub(super) underway: Underway,
    pub(super) pairs: Pairs,
    pub(super) kept: KeptSessions,
    /// Numbers given to seats in groups of shared subscriptions, and to instances that have groups.
    pub(super) seats: AtomicU64,
    /// The highest QoS that the process takes and grants, whatever the file says.
    qos_max: Option<Qos>,
}

impl Shared {
    /// Nothing yet, in a process that takes and grants no more than this.
    pub(crate) fn bounded(qos_max: Option<Qos>) -> Self {
        Self { qos_max, ..Self::default() }
    }

    /// A mapping as the process lets it be.
    pub(crate) fn bound(&self, mapping: &Arc<Mapping>) -> Arc<Mapping> {
        mapping.bounded(self.qos_max)
    }
}
