//! One real Kafka for all tests, and a client of it that shares no code with the engine; or a log in
//! the engine's own process, a directory for each test.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{PATIENCE, Process};

/// The Kafka of this test run.
pub(crate) struct Kafka {
    /// Where it is, host:port.
    pub(crate) address: String,
    records: Records,
    /// Ends when its standard input does: with this process, however it ends.
    _broker: Child,
}

/// `Records.java` in a process of its own, which ends with this one.
pub(crate) struct Records {
    port: u16,
    _program: Child,
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where `scripts/test` has put what the client programs need.
pub(crate) fn clients() -> PathBuf {
    std::env::var_os("ZILLA_TEST_CLIENTS")
        .map_or_else(|| root().join("target/test-clients"), PathBuf::from)
}

/// The Kafka of this test run, started at the first call.
pub(crate) fn kafka() -> &'static Kafka {
    // Where it does not start, all who want it fail at once.
    static KAFKA: LazyLock<Kafka> = LazyLock::new(|| start("kafka"));
    &KAFKA
}

/// Another cluster of this test run, started at the first call.
fn other_kafka() -> &'static Kafka {
    static KAFKA: LazyLock<Kafka> = LazyLock::new(|| start("other-kafka"));
    &KAFKA
}

fn start(name: &str) -> Kafka {
    let script = root().join("scripts/kafka/kafka.sh");
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    // Deleted again by the shell that waits for it, since this process does not outlive it. With
    // the settings that a broker has by default: it would create a topic for whoever asks.
    let mut broker = Command::new("bash")
        .args(["-c", "trap : INT TERM HUP; \"$0\" run \"$1\"; rm -rf \"$1\""])
        .args([&script, &directory])
        .env("KAFKA_EXTRA", "auto.create.topics.enable=true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start scripts/kafka/kafka.sh");
    let mut address = String::new();
    BufReader::new(broker.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address = address.trim().to_owned();
    assert!(!address.is_empty(), "Kafka did not start; see what kafka.sh says above");
    let records = Records::start(&address);
    Kafka { address, records, _broker: broker }
}

impl Records {
    /// Starts it for the Kafka at `address`.
    pub(crate) fn start(address: &str) -> Self {
        let mut program = Command::new("java")
            .args([
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dkafka.log.level=OFF",
            ])
            .args(["-cp", &class_path()])
            .arg(root().join("tests/clients/Records.java"))
            .arg(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start java (a JDK of version 17 or later)");
        let mut port = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the port of Records.java (is this a JDK?)");
        Self { port, _program: program }
    }
}

/// The class path of Kafka's jars.
pub(super) fn class_path() -> String {
    let script = root().join("scripts/kafka/kafka.sh");
    let output = Command::new(script).arg("classpath").output().expect("run kafka.sh classpath");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A record as Kafka's own consumer shows it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) partition: i64,
    /// The partition that Kafka's own producer chooses for the key.
    pub(crate) partition_of_key: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Whether the engines answer from a log of their own instead of a Kafka:
/// `ZILLA_TEST_KAFKA=embedded`.
pub(crate) fn is_embedded() -> bool {
    std::env::var_os("ZILLA_TEST_KAFKA").is_some_and(|kafka| kafka == "embedded")
}

/// Ends a test that asks for what only a Kafka outside the engine has: records of other programs,
/// topics that are missing.
macro_rules! kafka_only {
    () => {
        crate::harness::engine_only!();
        if crate::harness::is_embedded() {
            return;
        }
    };
}
pub(crate) use kafka_only;

/// The Kafka topics of one test.
pub(crate) struct Topics {
    prefix: String,
    place: Place,
}

/// Where topics are.
enum Place {
    /// In the Kafka of this test run, asked through Kafka's own client.
    Kafka(BufReader<TcpStream>),
    /// In a directory.
    Embedded { directory: TempDir, partitions: usize, options: String },
}

impl Topics {
    /// Creates `messages`, `retained`, `sessions` and `more` under names that no other test has.
    pub(crate) fn create(more: &[&str]) -> Self {
        if is_embedded() { Self::embedded(2) } else { Self::create_in(&kafka().records, more) }
    }

    /// As [`Topics::create`], of topics that take records of `bytes`; a log in the engine's own
    /// process takes what it takes.
    pub(crate) fn create_large(bytes: u32) -> Self {
        if is_embedded() {
            return Self::embedded(2);
        }
        let mut topics = Self::of(&kafka().records);
        topics.create_with(&[], &json!({"max.message.bytes": bytes.to_string()}));
        topics
    }

    /// Topics of this many partitions in a log that the engine keeps itself, where they are made
    /// when they are first used.
    pub(crate) fn embedded(partitions: usize) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let options = String::new();
        Self { prefix: "t".to_owned(), place: Place::Embedded { directory, partitions, options } }
    }

    /// As [`Topics::create`]; where the log is one in the engine's own process, it keeps so many
    /// bytes at most.
    pub(crate) fn create_bounded(bytes: usize) -> Self {
        let mut topics = Self::create(&[]);
        if let Place::Embedded { options, .. } = &mut topics.place {
            *options = format!("&retention.bytes={bytes}&segment.bytes={}", bytes / 8);
        }
        topics
    }

    /// As [`Topics::create`], in the Kafka of `records`.
    pub(crate) fn create_in(records: &Records, more: &[&str]) -> Self {
        let mut topics = Self::of(records);
        topics.create_all(more);
        topics
    }

    /// The topics of a test, none of which exists yet.
    pub(crate) fn of(records: &Records) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let prefix = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let stream = TcpStream::connect(("127.0.0.1", records.port)).expect("reach Records.java");
        stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
        Self { prefix, place: Place::Kafka(BufReader::new(stream)) }
    }

    /// Topics of the same names in another cluster, and where that is, host:port.
    pub(crate) fn in_other_cluster(&self, more: &[&str]) -> (Self, String) {
        let other = other_kafka();
        let mut topics = Self { prefix: self.prefix.clone(), ..Self::of(&other.records) };
        topics.create_all(more);
        (topics, other.address.clone())
    }

    /// Creates all topics.
    pub(crate) fn create_all(&mut self, more: &[&str]) {
        self.create_with(more, &json!({}));
    }

    fn create_with(&mut self, more: &[&str], config: &Value) {
        let mut compacted = config.clone();
        compacted["cleanup.policy"] = json!("compact");
        let topic = |name: &str, partitions: u32, config: &Value| json!({"name": self.name(name), "partitions": partitions, "config": config});
        let mut list = vec![
            topic("messages", 3, config),
            topic("retained", 2, &compacted),
            topic("sessions", 2, &compacted),
        ];
        list.extend(more.iter().map(|name| topic(name, 2, config)));
        self.ask(json!({"do": "create", "topics": list}));
    }

    /// Creates a topic without any configuration of its own.
    pub(crate) fn create_one(&mut self, name: &str, partitions: u32) {
        let topic = json!({"name": self.name(name), "partitions": partitions, "config": {}});
        self.ask(json!({"do": "create", "topics": [topic]}));
    }

    /// Deletes a topic.
    pub(crate) fn delete(&mut self, name: &str) {
        self.ask(json!({"do": "delete", "topics": [self.name(name)]}));
    }

    /// Deletes all records that a topic has.
    pub(crate) fn delete_records(&mut self, name: &str) {
        self.ask(json!({"do": "delete records", "topics": [self.name(name)]}));
    }

    /// The name in Kafka of this test's topic `name`.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// What `zilla start` is told of where they are. With gaps between offsets, so that nothing
    /// counts on the next one.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match &self.place {
            Place::Kafka(_) => Vec::new(),
            Place::Embedded { directory, partitions, options } => {
                let log = directory.path().join("log");
                let log = log.display();
                let back_end = format!("embedded:{log}?partitions={partitions}&gaps=7{options}");
                vec!["--kafka".to_owned(), back_end]
            }
        }
    }

    /// The first broker, host:port; where there is none, an address that nobody contacts.
    pub(crate) fn address(&self) -> &str {
        match &self.place {
            Place::Kafka(_) => &kafka().address,
            Place::Embedded { .. } => "192.0.2.1:9092",
        }
    }

    /// The names of all topics of the broker.
    pub(crate) fn all(&mut self) -> Vec<String> {
        let answer = self.ask(json!({"do": "topics"}));
        answer["topics"].as_array().unwrap().iter().map(|name| text(name).to_owned()).collect()
    }

    /// Everything in this test's topic `name`: to its end now, and on until there are `at_least`.
    pub(crate) fn read(&mut self, name: &str, at_least: usize) -> Vec<Record> {
        if let Place::Embedded { directory, .. } = &self.place {
            return read_embedded(&directory.path().join("log"), &self.name(name), at_least);
        }
        let millis = u64::try_from(PATIENCE.as_millis()).unwrap();
        let mut answer = self.ask(
            json!({"do": "read", "topics": [self.name(name)], "at_least": at_least, "timeout_ms": millis}),
        );
        let mut records = Vec::new();
        while answer.get("end").is_none() {
            records.push(record(&answer));
            answer = self.answer("read");
        }
        assert!(
            records.len() >= at_least,
            "waited {PATIENCE:?} for {at_least} records in {name}; there are {records:?}"
        );
        records
    }

    /// Writes a record as another program would: bytes as they are, the partition by its key.
    pub(crate) fn produce(
        &mut self,
        name: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| json!([name, hex(value)])).collect();
        let record = json!({
            "topic": self.name(name),
            "key": key.map(hex),
            "value": value.map(hex),
            "headers": headers,
        });
        self.ask(json!({"do": "produce", "records": [record]}));
    }

    /// Sends a command of `Records.java`; its answer.
    pub(crate) fn ask(&mut self, command: Value) -> Value {
        let Place::Kafka(connection) = &mut self.place else {
            panic!("{command} is for Kafka's own client");
        };
        writeln!(connection.get_mut(), "{command}").unwrap();
        self.answer(&command.to_string())
    }

    /// The next line of an answer to `command`.
    fn answer(&mut self, command: &str) -> Value {
        let Place::Kafka(connection) = &mut self.place else {
            panic!("{command} is for Kafka's own client");
        };
        let mut line = String::new();
        connection
            .read_line(&mut line)
            .unwrap_or_else(|error| panic!("no answer of Records.java to {command}: {error}"));
        let answer: Value = serde_json::from_str(&line).expect("an answer of Records.java");
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer
    }
}

/// Everything in a topic of an embedded log, read from the files while the engine runs, until there
/// are `at_least`.
fn read_embedded(log: &Path, topic: &str, at_least: usize) -> Vec<Record> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut records = Vec::new();
        kafka_binding::embedded::read(log, &mut |found| {
            let batch = &found.batch;
            let of_topic = (0..batch.len()).filter(|_| found.topic == topic);
            records.extend(of_topic.map(|index| stored(&batch.record(index))));
        })
        .expect("read the log");
        if records.len() >= at_least {
            return records;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} for {at_least} records in {topic}; there are {records:?}"
        );
        std::thread::yield_now();
    }
}

fn stored(record: &kafka_plane::Record<'_>) -> Record {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let header = |(name, value): kafka_plane::Header<'_>| {
        (String::from_utf8(name.to_vec()).unwrap(), owned(value))
    };
    Record {
        partition: i64::from(record.partition()),
        // Nobody else chooses it here.
        partition_of_key: Some(i64::from(record.partition())),
        timestamp: record.timestamp(),
        key: owned(record.key()),
        value: owned(record.value()),
        headers: record.headers().map(header).collect(),
    }
}

fn record(value: &Value) -> Record {
    assert_eq!(value["timestamp_type"], "CreateTime");
    let bytes = |value: &Value| value.as_str().map(unhex);
    let header = |pair: &Value| (text(&pair[0]).to_owned(), bytes(&pair[1]));
    Record {
        partition: value["partition"].as_i64().unwrap(),
        partition_of_key: value["partition_of_key"].as_i64(),
        timestamp: value["timestamp"].as_i64().unwrap(),
        key: bytes(&value["key"]),
        value: bytes(&value["value"]),
        headers: value["headers"].as_array().unwrap().iter().map(header).collect(),
    }
}

/// Text of a JSON value that must be text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("text expected, got {value}"))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Starts the broker that stands in for the engine, to check the tests themselves.
pub(crate) fn stand_in(port: u16, directory: &Path) -> Process {
    let file = directory.join("mosquitto.conf");
    std::fs::write(
        &file,
        format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"),
    )
    .unwrap();
    Process::start("mosquitto", Command::new("mosquitto").arg("-c").arg(file).stderr(Stdio::null()))
}
