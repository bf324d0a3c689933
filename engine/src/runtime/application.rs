//! What the control thread gives to the workers at a reload.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::NodeName;
use crate::graph::Fate;
use crate::spi::{Definition, Prepared, Retire};

/// A reload, as workers apply it.
#[expect(unnameable_types, reason = "the engine's own")]
pub struct Application {
    pub(super) generation: u64,
    /// A moment before any worker applies it.
    pub(super) begun_at: Instant,
    pub(super) steps: Vec<Step>,
    pub(super) replaced: Retire,
    pub(super) removed: Retire,
}

/// What happens to one node.
pub(super) struct Step {
    pub(super) name: NodeName,
    pub(super) fate: Fate,
    /// For Start, Replace and Update.
    pub(super) work: Option<Work>,
}

/// A definition and what it prepared.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) definition: Arc<dyn Definition>,
    pub(super) prepared: Prepared,
}

/// The retirement of replaced and of removed nodes, from `now`. Connections of removed ones may go
/// on for `drain`.
pub(super) fn retirements(now: Instant, drain: Duration) -> (Retire, Retire) {
    let replaced = Retire { is_shutdown: false, deadline: None };
    let removed = Retire { is_shutdown: false, deadline: Some(now + drain) };
    (replaced, removed)
}
