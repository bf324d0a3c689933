//! How large a record may be.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;

use super::Admin;
use crate::librdkafka::context::AdminContext;
use crate::librdkafka::settings::MESSAGE_MAX;
use crate::librdkafka::{Client, DEFAULT_RECORD_BYTES, RECORD_OVERHEAD};

/// How long the topics' limits may take to be told.
const LIMITS: Duration = Duration::from_secs(2);

impl Admin {
    /// Asks for the topics' limits where some are not known.
    pub(super) fn ask_limits(&mut self) {
        if self.is_down || self.limits.values().all(Option::is_some) {
            return;
        }
        let unknown: Vec<_> = self.cluster.all_topics();
        let unknown: Vec<_> =
            unknown.iter().filter(|topic| self.limits.get(&topic.id) == Some(&None)).collect();
        let names: Vec<_> =
            unknown.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
        let found = describe(&self.cluster, &names).unwrap_or_else(|error| {
            tracing::warn!(
                event = "kafka.limits.unknown",
                cluster = %self.cluster.name,
                "{error}; taking Kafka's default of {DEFAULT_RECORD_BYTES} bytes",
            );
            Vec::new()
        });
        for (at, topic) in unknown.iter().enumerate() {
            let limit = found.get(at).copied().flatten().unwrap_or(DEFAULT_RECORD_BYTES);
            self.limits.insert(topic.id, Some(limit));
        }
        let smallest = self.limits.values().flatten().copied().min();
        let smallest = smallest.unwrap_or(DEFAULT_RECORD_BYTES).min(MESSAGE_MAX);
        let limit = smallest.saturating_sub(RECORD_OVERHEAD).max(1);
        self.cluster.record_bytes.store(limit, Ordering::Relaxed);
        self.cluster.are_limits_known.store(true, Ordering::Release);
    }
}

/// `max.message.bytes` of topics, where the cluster says. The client is made for one question: an
/// admin client keeps a thread, and what it logs is never taken from it.
fn describe(cluster: &Client, names: &[ResourceSpecifier<'_>]) -> Result<Vec<Option<u32>>, String> {
    let client =
        AdminClient::from_config_and_context(&cluster.settings.admin(), AdminContext::default())
            .map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(LIMITS));
    let results = runtime
        .block_on(client.describe_configs(names, &options))
        .map_err(|error| error.to_string())?;
    let limit = |config: ConfigResource| {
        config.entry_map().get("max.message.bytes")?.value.as_ref()?.parse().ok()
    };
    Ok(results.into_iter().map(|result| result.ok().and_then(limit)).collect())
}
