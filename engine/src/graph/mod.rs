//! The graph of bindings: names resolved, edges checked, plans compared.

mod check;
mod diff;
mod plan;

pub use diff::{Fate, diff};
pub use plan::{Plan, PlanNode, build};
