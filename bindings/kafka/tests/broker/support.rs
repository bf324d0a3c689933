//! A real Kafka for all tests of this binary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::shared::Store;
use engine::telemetry::Metrics;
use kafka::cluster::Lease;
use kafka::librdkafka::{Settings, open};
use kafka_plane::{Ends, TopicLog};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::suite::{BackEnd, Served, Worker};

struct Broker {
    address: String,
    /// The broker runs until this is closed, which the end of the process does.
    _stdin: ChildStdin,
    _child: Child,
}

/// The broker's address.
pub(crate) fn broker() -> &'static str {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    let start = || {
        let dir = tempfile::tempdir().unwrap().keep();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka/kafka.sh");
        let mut child = Command::new("bash")
            // Outlives this process until the broker has stopped, and leaves nothing behind.
            .args(["-c", r#"bash "$0" run "$1"; rm -rf "$1""#, script])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the broker did not start");
        let stdin = child.stdin.take().unwrap();
        Broker { address: address.trim().to_owned(), _stdin: stdin, _child: child }
    };
    &BROKER.get_or_init(start).address
}

/// The broker, as the suite sees it.
pub(crate) struct Kafka;

impl BackEnd for Kafka {
    async fn serve(&self, topic: &str, partitions: u32, is_compacted: bool) -> Served {
        let config = [("cleanup.policy", if is_compacted { "compact" } else { "delete" })];
        create(topic, partitions.cast_signed(), &config).await;
        Served::new(lease(), None)
    }
}

/// Asks for the ends until the topic is served.
pub(crate) async fn ends_when_served(worker: &Worker, log: &Rc<dyn TopicLog>) -> Ends {
    loop {
        match worker.ends(log).await {
            Ok(ends) => return ends,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

pub(crate) fn lease() -> Lease {
    lease_of(broker())
}

pub(crate) fn lease_of(address: &str) -> Lease {
    let settings = Settings::plaintext(vec![address.to_owned()]);
    open(&Store::default(), &settings, "t:kafka0", &Arc::<Metrics>::default(), 1 << 20).unwrap()
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", broker()).create().unwrap()
}

pub(crate) async fn create(topic: &str, partitions: i32, config: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (key, value) in config {
        new = new.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    admin().create_topics([&new], &options).await.unwrap()[0].as_ref().unwrap();
    await_partitions(topic, partitions.cast_unsigned() as usize).await;
}

pub(crate) async fn delete(topic: &str) {
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    admin().delete_topics(&[topic], &options).await.unwrap()[0].as_ref().unwrap();
    await_partitions(topic, 0).await;
}

pub(crate) async fn add_partitions(topic: &str, count: usize) {
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    let more = NewPartitions::new(topic, count);
    admin().create_partitions([&more], &options).await.unwrap()[0].as_ref().unwrap();
    await_partitions(topic, count).await;
}

/// Waits until the broker knows so many partitions of a topic: the controller, which changes them,
/// answers before it does.
async fn await_partitions(topic: &str, count: usize) {
    let admin = admin();
    loop {
        let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).unwrap();
        if metadata.topics()[0].partitions().len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
