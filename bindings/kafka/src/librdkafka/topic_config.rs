//! The configuration of topics, as the cluster tells it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;

use super::context::AdminContext;
use super::settings::Settings;

/// What is asked of a topic's configuration; `None` where the cluster does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    /// `max.message.bytes`.
    pub(crate) max_message_bytes: Option<u32>,
    /// `min.insync.replicas`.
    pub(crate) min_insync_replicas: Option<usize>,
    /// `cleanup.policy`.
    pub(crate) cleanup_policy: Option<String>,
    /// Whether this principal may not be told.
    pub(crate) is_denied: bool,
}

/// Whether a `cleanup.policy` keeps the last record of each key.
pub(crate) fn is_compacted(policy: &str) -> bool {
    policy.split(',').any(|part| part.trim() == "compact")
}

/// A client for a few questions: it keeps a thread, what it logs is never taken from it, and it
/// takes 100 ms to end.
pub(crate) fn client(settings: &Settings) -> Result<AdminClient<AdminContext>, String> {
    AdminClient::from_config_and_context(&settings.admin(), AdminContext::default())
        .map_err(|error| error.to_string())
}

/// The configuration of topics, in the order of `names`. Blocks, at most for `timeout`.
pub(crate) fn describe(
    client: &AdminClient<AdminContext>,
    names: &[&str],
    timeout: Duration,
) -> Result<Vec<TopicConfig>, String> {
    let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(timeout));
    let results = block_on(client.describe_configs(&resources, &options))?;
    let results = results.map_err(|error| error.to_string())?;
    let config = |config: ConfigResource| {
        let entries = config.entry_map();
        let value = |name| entries.get(name).and_then(|entry| entry.value.clone());
        TopicConfig {
            max_message_bytes: value("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
            min_insync_replicas: value("min.insync.replicas").and_then(|count| count.parse().ok()),
            cleanup_policy: value("cleanup.policy"),
            is_denied: false,
        }
    };
    let refused = |code| TopicConfig {
        is_denied: code == RDKafkaErrorCode::TopicAuthorizationFailed,
        ..TopicConfig::default()
    };
    Ok(results.into_iter().map(|result| result.map_or_else(refused, config)).collect())
}

/// Waits for an answer on a thread that has nothing else to do.
pub(crate) fn block_on<T>(answer: impl Future<Output = T>) -> Result<T, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    Ok(runtime.block_on(answer))
}
