//! The binding engine: turns `zilla.yaml` into a running graph of bindings. It names no protocol.
//!
//! `config` parses text into a tree that remembers positions and reports every problem. `graph`
//! names the nodes, checks edges, and compares with the running plan. `runtime` prepares what is
//! new, then tells each worker to apply the difference. `spi` is what a binding implements.

pub mod bytes;
pub mod cli;
pub mod config;
pub mod graph;
pub mod runtime;
pub mod shared;
pub mod spi;
pub mod telemetry;
