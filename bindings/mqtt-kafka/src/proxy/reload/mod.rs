//! A new mapping, a replaced exit, the end: sessions stay where they are and are moved.
//!
//! - `apply`: what a reload asks of a worker.
//! - `retarget`, `leave`: subscriptions go from log to log.
//! - `moving`: exits that were replaced.

pub(super) mod apply;
pub(super) mod leave;
pub(super) mod moving;
pub(super) mod retarget;
