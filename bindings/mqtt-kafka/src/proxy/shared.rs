//! What the workers of a binding share.

use super::kept::KeptSessions;
use super::leave::Underway;
use super::marks::Marks;
use super::pairs::Pairs;

/// What the workers of a binding share, over its reloads.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(super) marks: Marks,
    pub(super) underway: Underway,
    pub(super) pairs: Pairs,
    pub(super) kept: KeptSessions,
}
