//! The tcp binding: listens for connections and passes them on by port and address (`server`), or
//! names the endpoint that a Kafka client connects to (`client`).

mod client;
mod config;
mod server;
mod state;

use std::sync::Arc;

use engine::config::{NodeConfig, Problems};
use engine::spi::{BindingKind, Definition};

/// The `tcp` type.
pub static KIND: TcpKind = TcpKind;

/// The `tcp` type of `zilla.yaml`.
#[derive(Debug)]
pub struct TcpKind;

impl BindingKind for TcpKind {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn schema(&self) -> &'static str {
        schema::TCP
    }

    fn define(&self, node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
        match node.kind.as_str() {
            "client" => client::define(node, problems),
            _ => server::define(node, problems),
        }
    }
}
