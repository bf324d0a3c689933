//! From text to a checked configuration: every value remembers where it came from, and every
//! problem is reported, with its place.

mod expr;
mod load;
mod node;
mod problem;
mod schema;
mod source;
mod tree;
mod watch;

pub use expr::{Environment, ProcessEnvironment};
pub use load::load;
pub use node::{Config, ExitName, Namespace, NodeConfig, NodeName, RouteConfig};
pub use problem::{Problem, Problems, Severity, codes, suggest};
pub use schema::{Fragment, Schema};
pub use source::{Source, Span};
pub use watch::{Change, Watcher};
