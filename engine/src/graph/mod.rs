//! The graph of bindings: names resolved, edges checked, plans compared.

mod check;
mod diff;
mod forecast;
mod plan;

pub use diff::{Fate, diff};
pub use forecast::{Forecast, NodeForecast, Outcome};
pub use plan::{Plan, PlanNode, build};
