//! The kafka binding. `cache_client` is a worker's view of topics and of the producer,
//! `cache_server` says how they are cached, `client` says which cluster it is.
//!
//! Behind the plane stands one of two back ends, each with a few threads a process however many
//! workers and clients there are: `librdkafka` (feature `rdkafka`) or `embedded` (feature
//! `embedded`), a log in this process. With neither, bindings of this type are validated and
//! cannot be started.

mod back_end;
mod cache_client;
mod cache_server;
#[cfg(feature = "rdkafka")]
mod check;
mod client;
#[cfg(any(feature = "rdkafka", feature = "embedded"))]
pub mod cluster;
mod config;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "rdkafka")]
pub mod librdkafka;
mod state;
#[cfg(any(feature = "rdkafka", feature = "embedded"))]
mod view;

use std::sync::Arc;

use engine::config::{NodeConfig, Problems};
use engine::spi::{BindingKind, Definition};

#[cfg(any(feature = "rdkafka", feature = "embedded"))]
pub use view::exit;

pub use back_end::BACK_END;

/// The `kafka` type.
pub static KIND: KafkaKind = KafkaKind;

/// The `kafka-cache-client` type: another spelling of `kafka` with kind `cache_client`.
pub static CACHE_CLIENT_KIND: SpelledKind = SpelledKind {
    name: "kafka-cache-client",
    schema: schema::KAFKA_CACHE_CLIENT,
    define: cache_client::define,
};

/// The `kafka-cache-server` type: another spelling of `kafka` with kind `cache_server`.
pub static CACHE_SERVER_KIND: SpelledKind = SpelledKind {
    name: "kafka-cache-server",
    schema: schema::KAFKA_CACHE_SERVER,
    define: cache_server::define,
};

/// The `kafka-client` type: another spelling of `kafka` with kind `client`.
pub static CLIENT_KIND: SpelledKind =
    SpelledKind { name: "kafka-client", schema: schema::KAFKA_CLIENT, define: client::define };

/// The plane between `cache_client` and `cache_server`.
const CACHE_PLANE: &str = "kafka-cache";

/// The plane between `cache_server` and `client`.
const CLIENT_PLANE: &str = "kafka-client";

/// The `kafka` type of `zilla.yaml`.
#[derive(Debug)]
pub struct KafkaKind;

impl BindingKind for KafkaKind {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn schema(&self) -> &'static str {
        schema::KAFKA
    }

    fn define(&self, node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
        match node.kind.as_str() {
            "client" => client::define(node, problems),
            "cache_server" => cache_server::define(node, problems),
            _ => cache_client::define(node, problems),
        }
    }
}

/// A type of `zilla.yaml` that has one kind of `kafka`.
#[derive(Debug)]
pub struct SpelledKind {
    name: &'static str,
    schema: &'static str,
    define: fn(&NodeConfig, &mut Problems) -> Option<Arc<dyn Definition>>,
}

impl BindingKind for SpelledKind {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> &'static str {
        self.schema
    }

    fn define(&self, node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
        (self.define)(node, problems)
    }
}
