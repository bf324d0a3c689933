//! `zilla start --kafka embedded`, from outside: without a Kafka, and over a kill.

#![cfg(feature = "embedded")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const FILE: &str = "\
name: t
bindings:
  tcp: {type: tcp, kind: server, options: {host: 127.0.0.1, port: 0}, exit: mqtt}
  mqtt: {type: mqtt, kind: server, exit: mapping}
  mapping:
    type: mqtt-kafka
    kind: proxy
    options: {topics: {sessions: s, messages: m, retained: r}}
    exit: view
  view: {type: kafka, kind: cache_client, exit: cache}
  cache: {type: kafka, kind: cache_server, options: {bootstrap: [m, r]}, exit: cluster}
  cluster: {type: kafka, kind: client, options: {servers: [\"192.0.2.1:9092\"]}}
";

/// A directory with a file, and room for a log.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.file(), FILE).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("zilla.yaml")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    fn command(&self, back_end: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zilla"));
        command.args(["start", "--kafka", back_end, "-c"]).arg(self.file());
        command
    }
}

fn embedded(log: &Path, query: &str) -> String {
    format!("embedded:{}{query}", log.display())
}

/// A running engine, killed at the end.
struct Running {
    child: Child,
    said: Vec<String>,
}

impl Running {
    fn start(place: &Place, query: &str) -> Self {
        let mut command = place.command(&embedded(&place.log(), query));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut engine = Self { child, said: Vec::new() };
        for line in BufReader::new(engine.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "zilla: ready" {
                return engine;
            }
            engine.said.push(line);
        }
        panic!("the engine did not start: {:?}", engine.said);
    }

    /// A client of this id that is connected.
    fn connect(&self, id: u8) -> TcpStream {
        let line = self.said.iter().find_map(|line| line.strip_prefix("zilla: serving tcp://"));
        let address = line.unwrap().split(' ').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01").unwrap();
        stream.write_all(&[id]).unwrap();
        expect(&mut stream, b"\x20\x02\x00\x00");
        stream
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut found = vec![0; bytes.len()];
    stream.read_exact(&mut found).unwrap();
    assert_eq!(found, bytes);
}

#[test]
fn messages_pass_without_a_kafka_and_a_retained_one_outlives_a_kill() {
    let place = Place::new();
    let engine = Running::start(&place, "?gaps=3");
    let log = place.log().display().to_string();
    assert!(engine.said.iter().any(|line| line.contains(&log)), "{:?}", engine.said);
    let mut client = engine.connect(b'a');
    client.write_all(b"\x82\x06\x00\x02\x00\x01t\x01").unwrap();
    expect(&mut client, b"\x90\x03\x00\x02\x01");
    let mut publisher = engine.connect(b'b');
    publisher.write_all(b"\x33\x09\x00\x01t\x00\x07kept").unwrap();
    expect(&mut publisher, b"\x40\x02\x00\x07");
    expect(&mut client, b"\x32\x09\x00\x01t\x00\x01kept");
    drop(engine);
    let engine = Running::start(&place, "");
    let mut client = engine.connect(b'a');
    client.write_all(b"\x82\x06\x00\x02\x00\x01t\x01").unwrap();
    expect(&mut client, b"\x90\x03\x00\x02\x01");
    expect(&mut client, b"\x33\x09\x00\x01t\x00\x01kept");
}

#[test]
fn a_log_without_fsync_is_called_that_at_start() {
    let place = Place::new();
    let engine = Running::start(&place, "?sync=none");
    assert!(engine.said.iter().any(|line| line.contains("sync=none")), "{:?}", engine.said);
}

#[test]
fn a_second_engine_on_the_same_log_is_refused() {
    let place = Place::new();
    let engine = Running::start(&place, "");
    let other = Place::new();
    let output = other.command(&embedded(&place.log(), "")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let pid = format!("in use by another process (pid {})", engine.child.id());
    assert!(!output.status.success() && said.contains(&pid), "{said}");
}

#[test]
fn what_is_no_back_end_is_wrong_usage() {
    let place = Place::new();
    for wrong in ["redis", "embedded?colour=red"] {
        let output = place.command(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}
