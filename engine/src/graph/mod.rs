//! The graph of bindings: names resolved, edges checked, plans compared.

mod check;
mod diff;
mod explain;
mod forecast;
mod plan;

pub use diff::{Fate, diff};
pub use explain::{Asked, Explanation, Visit, explain};
pub use forecast::{Forecast, NodeForecast, Outcome};
pub use plan::{Plan, PlanNode, build};
