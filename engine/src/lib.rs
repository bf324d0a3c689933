//! The binding engine: turns `zilla.yaml` into a running graph of bindings. It names no protocol.

pub mod config;
pub mod spi;
