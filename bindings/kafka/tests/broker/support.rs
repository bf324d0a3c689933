//! A real Kafka for all tests of this binary, and workers without an engine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::shared::Store;
use engine::spi::WorkerCx;
use engine::telemetry::Metrics;
use kafka::cluster::{Lease, Settings, open};
use kafka_plane::{
    Appended, Batch, Completion, Draft, DraftHeaders, Ends, Fault, KafkaExit, Read, TopicLog,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Runs a test; fails it when it takes too long.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, test).await.expect("it took too long");
    });
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
}

pub(crate) async fn delete(topic: &str) {
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    admin().delete_topics(&[topic], &options).await.unwrap()[0].as_ref().unwrap();
}

pub(crate) async fn add_partitions(topic: &str, count: usize) {
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    let more = NewPartitions::new(topic, count);
    admin().create_partitions([&more], &options).await.unwrap()[0].as_ref().unwrap();
}

/// A worker without an engine.
pub(crate) struct Worker {
    pub(crate) cx: WorkerCx,
    pub(crate) exit: Rc<dyn KafkaExit>,
}

impl Worker {
    pub(crate) fn new(lease: &Lease) -> Self {
        let cx = WorkerCx::detached();
        let exit = kafka::exit(lease, &cx);
        Self { cx, exit }
    }

    /// Serves the worker until `done`.
    pub(crate) async fn until(&self, mut done: impl FnMut() -> bool) {
        while !done() {
            self.cx.serve_raised().await;
        }
    }

    pub(crate) async fn ends(&self, log: &Rc<dyn TopicLog>) -> Result<Ends, Fault> {
        let answer = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&answer);
        log.ends(Box::new(move |ends| *kept.borrow_mut() = Some(ends)));
        assert!(answer.borrow().is_none(), "never from within the call");
        self.until(|| answer.borrow().is_some()).await;
        answer.take().unwrap()
    }

    pub(crate) async fn sync(&self, table: &Rc<dyn kafka_plane::TopicTable>) -> Result<(), Fault> {
        let answer = Rc::new(Cell::new(None));
        let kept = Rc::clone(&answer);
        table.sync(Box::new(move |result| kept.set(Some(result))));
        self.until(|| answer.get().is_some()).await;
        answer.get().unwrap()
    }

    /// Asks for the ends until the topic is served.
    pub(crate) async fn ends_when_served(&self, log: &Rc<dyn TopicLog>) -> Ends {
        loop {
            match self.ends(log).await {
                Ok(ends) => return ends,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Appends and waits for the outcome.
    pub(crate) async fn append(&self, records: &[Draft<'_>]) -> Result<(), Fault> {
        let outcomes = Outcomes::new();
        self.exit.producer().append(records, false, Some(outcomes.completion(0)))?;
        self.until(|| outcomes.all().len() == 1).await;
        outcomes.all()[0].1
    }

    /// Reads a partition from `offset` until it holds `count` records.
    pub(crate) async fn read(
        &self,
        log: &Rc<dyn TopicLog>,
        partition: u32,
        offset: i64,
        count: usize,
    ) -> Vec<Owned> {
        let mut records = Vec::new();
        let mut next = offset;
        self.until(|| {
            let mut batches = Vec::new();
            match log.read(partition, next, usize::MAX, &mut batches) {
                Read::Next(at) => next = at,
                Read::Gone(start) => panic!("{next} is gone, the log begins at {start}"),
            }
            for batch in &batches {
                records.extend((batch.index_of(offset)..batch.len()).map(|i| Owned::of(batch, i)));
            }
            records.len() >= count
        })
        .await;
        records
    }
}

/// The outcomes of appends, in the order in which they were told.
#[derive(Default)]
pub(crate) struct Outcomes(RefCell<Vec<(u64, Result<(), Fault>)>>);

impl Outcomes {
    pub(crate) fn new() -> Rc<Self> {
        Rc::default()
    }

    pub(crate) fn completion(self: &Rc<Self>, token: u64) -> Completion {
        let owner: Rc<dyn Appended> = Rc::<Self>::clone(self);
        Completion { owner, token }
    }

    pub(crate) fn all(&self) -> Vec<(u64, Result<(), Fault>)> {
        self.0.borrow().clone()
    }
}

impl Appended for Outcomes {
    fn appended(&self, token: u64, outcome: Result<(), Fault>) {
        self.0.borrow_mut().push((token, outcome));
    }
}

/// A record with all that it holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    pub(crate) fn of(batch: &Batch, index: u32) -> Self {
        let record = batch.record(index);
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        Self {
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|(name, value)| (text(name), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// Headers of a draft.
pub(crate) struct HeaderList(pub(crate) Vec<(&'static str, Option<&'static [u8]>)>);

impl DraftHeaders for HeaderList {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, Option<&'s [u8]>)) {
        self.0.iter().for_each(|(name, value)| visit(name, *value));
    }
}

/// A draft without headers.
pub(crate) fn draft<'a>(topic: &'a str, key: &'a str, value: Option<&'a [u8]>) -> Draft<'a> {
    Draft { topic, key: Some(key.as_bytes()), hash_key: None, value, timestamp: None, headers: &() }
}
