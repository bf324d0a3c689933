//! The mqtt binding: MQTT 3.1.1 and 5.0 on a byte stream, sessions on the mqtt plane.
//!
//! `wire` is the codec, `state` what a connection decides and remembers, both without I/O;
//! `server` joins them to the byte stream of a client and to the sessions of the exits.

mod config;
mod explain;
mod server;
pub mod state;
pub mod wire;

use std::sync::Arc;

use engine::config::{NodeConfig, Problems};
use engine::spi::{BindingKind, Definition};

pub use config::PROPERTIES;
pub use server::detached;

/// What MQTT clients do and what is decided of it, for the catalog.
pub const ACTIONS: &str = schema::ACTIONS;

/// The `mqtt` type.
pub static KIND: MqttKind = MqttKind;

/// The `mqtt` type of `zilla.yaml`.
#[derive(Debug)]
pub struct MqttKind;

impl BindingKind for MqttKind {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn schema(&self) -> &'static str {
        schema::MQTT
    }

    fn define(&self, node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
        let config = config::server(node, problems)?;
        Some(Arc::new(server::MqttServer::new(node.node_name(), config)))
    }
}
