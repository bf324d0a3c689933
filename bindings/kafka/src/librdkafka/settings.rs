//! Which cluster, as whom, and how its clients are set.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// The largest record that librdkafka is told to take, bytes; the topics' own limits are below it.
pub(crate) const MESSAGE_MAX: u32 = 16 * 1024 * 1024;

/// Which cluster, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The brokers to begin with, `host:port` each.
    pub servers: Vec<String>,
    /// SASL, where the cluster asks for it.
    pub sasl: Option<Sasl>,
    /// How records are collected into requests.
    pub batching: Batching,
}

/// A SASL mechanism with its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// As librdkafka spells it: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`.
    pub mechanism: &'static str,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// How the producer collects records into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// How long records are collected in front of librdkafka while earlier ones are under way, at
    /// a moderate rate; up to eight times as long at a high one, not at all at a low one.
    pub collect: Duration,
    /// librdkafka's `linger.ms`.
    pub linger_ms: u32,
    /// Produce requests under way to a broker, at most.
    pub max_in_flight: u32,
}

impl Default for Batching {
    /// As `docs/decisions/0002-producer-batching.md` chose.
    fn default() -> Self {
        Self { collect: Duration::from_micros(500), linger_ms: 0, max_in_flight: 1 }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("servers", &self.servers)
            .field("sasl", &self.sasl)
            .field("batching", &self.batching)
            .finish()
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.mechanism, self.username)
    }
}

impl Settings {
    /// A cluster without SASL.
    #[must_use]
    pub fn plaintext(servers: Vec<String>) -> Self {
        Self { servers, sasl: None, batching: Batching::default() }
    }

    /// Equal exactly where two bindings mean the same cluster with the same credentials.
    pub(crate) fn key(&self) -> String {
        let mut servers = self.servers.clone();
        servers.sort_unstable();
        let sasl = self.sasl.as_ref().map(|sasl| (sasl.mechanism, &sasl.username, &sasl.password));
        format!("kafka {servers:?} {sasl:?}")
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.servers.join(","))
            .set("client.id", "zilla")
            // Resumes 0.3 s after an outage; the default takes some 7 s.
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            // With sparse connections a client that has replaced the address to begin with by the
            // broker's own waits half a second before it connects to that. Without them it
            // connects to all brokers at once, and does not have to when a leader changes.
            .set("enable.sparse.connections", "false")
            // A missing topic is reported, never made with whatever policy the broker defaults to.
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        if let Some(sasl) = &self.sasl {
            config
                .set("security.protocol", "sasl_plaintext")
                .set("sasl.mechanism", sasl.mechanism)
                .set("sasl.username", &sasl.username)
                .set("sasl.password", &sasl.password);
        }
        config
    }

    /// The one consumer that reads all topics in use.
    pub(super) fn fetcher(&self) -> ClientConfig {
        let mut config = self.common();
        config
            // assign() asks for a group's name; nothing joins or commits to it.
            .set("group.id", "zilla")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "false")
            .set("fetch.min.bytes", "1")
            // Also how long a partition that is assigned later waits for its first fetch.
            .set("fetch.wait.max.ms", "100")
            // With the default of 1000 a reader that falls behind once gets ten times slower.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "50")
            .set("queued.min.messages", "10000")
            .set("message.max.bytes", MESSAGE_MAX.to_string());
        config
    }

    /// The consumer that reads again what memory no longer holds, of one partition at a time. What
    /// it fetches ahead is little, and thrown away when another offset is asked for.
    pub(super) fn older(&self) -> ClientConfig {
        let mut config = self.fetcher();
        config
            .set("fetch.message.max.bytes", "524288")
            .set("queued.max.messages.kbytes", "1024")
            // How long a fetch at the end of a partition holds up that of another.
            .set("fetch.wait.max.ms", "10");
        config
    }

    /// The one producer, whose batches have at most `batch_bytes`.
    pub(super) fn producer(&self, batch_bytes: u32) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("max.in.flight", self.batching.max_in_flight.to_string())
            .set("linger.ms", self.batching.linger_ms.to_string())
            .set("batch.size", batch_bytes.to_string())
            // A record is given up only by a refusal, never by an outage.
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", MESSAGE_MAX.to_string())
            // Our own bound of unacknowledged records is reached first.
            .set("queue.buffering.max.messages", "1000000")
            .set("topic.metadata.refresh.interval.ms", "10000")
            // The one debug line that says when the producer has its id.
            .set("debug", "eos")
            .set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// The consumer that asks for metadata and offsets. It sees uncommitted ends: a record that
    /// was acknowledged lies before them, whatever transaction is open.
    pub(crate) fn admin(&self) -> ClientConfig {
        let mut config = self.common();
        config.set("isolation.level", "read_uncommitted");
        config
    }
}
