//! From text to a checked configuration: every value remembers where it came from, and every
//! problem is reported, with its place.

mod expr;
mod load;
mod location;
mod node;
mod plain;
mod poll;
mod problem;
mod reader;
mod schema;
mod source;
mod tree;
mod watch;

pub use expr::{Environment, ProcessEnvironment};
pub use load::{load, load_sound};
pub use location::{Address, Location, Secret};
pub use node::{Config, ExitName, Namespace, NodeConfig, NodeName, RouteConfig};
pub use plain::{Plain, load_plain};
pub use poll::Poller;
pub use problem::{Allowances, Problem, Problems, RecordingEnvironment, Severity, codes, suggest};
pub use reader::{Reader, Remote, Version};
pub use schema::{Fragment, Schema, State};
pub use source::{Position, Source, Span};
pub use watch::{Change, Watcher};
