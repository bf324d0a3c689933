//! The built binary, on a configuration of its own and topics of its own.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::kafka::{Topics, stand_in, text};
use super::process::{PATIENCE, Process};
use super::setup::{Setup, fill};

/// Whether mosquitto stands in for the engine, to check the tests themselves:
/// `ZILLA_TEST_BROKER=mosquitto`.
pub(crate) fn is_stand_in() -> bool {
    std::env::var_os("ZILLA_TEST_BROKER").is_some_and(|broker| broker == "mosquitto")
}

/// Ends a test that asks for what only the engine has, where mosquitto stands in for it.
macro_rules! engine_only {
    () => {
        if crate::harness::is_stand_in() {
            return;
        }
    };
}
pub(crate) use engine_only;

/// A running engine.
pub(crate) struct Engine {
    /// The port of its first listener.
    pub(crate) port: u16,
    /// The topics in Kafka.
    pub(crate) topics: RefCell<Topics>,
    /// The configuration file, where it runs on one.
    pub(crate) file: PathBuf,
    /// What it was started on.
    location: String,
    /// What it was started with.
    setup: Setup,
    /// Where Kafka is.
    address: String,
    process: Process,
    errors: Receiver<String>,
    events: RefCell<Vec<Value>>,
    read: Cell<usize>,
    _directory: TempDir,
}

/// An engine with one worker or more, on the plain configuration.
pub(crate) fn engine(workers: usize) -> Engine {
    Setup::new(workers).start()
}

/// A `zilla` command: of the binary that was built with the tests, or of another one, a release
/// build for instance, that `ZILLA_TEST_BINARY` names.
pub(crate) fn zilla(arguments: &[&str]) -> Command {
    let built = || env!("CARGO_BIN_EXE_zilla").into();
    let mut command = Command::new(std::env::var_os("ZILLA_TEST_BINARY").unwrap_or_else(built));
    command.args(arguments);
    command
}

/// The same command where no program may have an inotify instance (namespaces(7) and inotify(7)).
fn without_inotify(command: &Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg("echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"")
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

/// What a `zilla` command printed.
pub(crate) fn run_zilla(arguments: &[&str]) -> Output {
    zilla(arguments).stdin(Stdio::null()).output().expect("run zilla")
}

impl Engine {
    pub(super) fn start(setup: &Setup, address: &str, topics: Topics) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = directory.path().join("zilla.yaml");
        let text = fill(&setup.yaml(), &topics);
        if setup.is_volume {
            super::volume::mount(&file, &text);
        } else {
            std::fs::write(&file, text).unwrap();
        }
        let location = file.to_str().unwrap().to_owned();
        Self::start_on(location, directory, setup, address, topics)
    }

    pub(super) fn start_on(
        location: String,
        directory: TempDir,
        setup: &Setup,
        address: &str,
        topics: Topics,
    ) -> Self {
        let (process, errors, port) = launch(&location, setup, address, &topics);
        let engine = Self {
            port,
            topics: RefCell::new(topics),
            file: directory.path().join("zilla.yaml"),
            location,
            setup: setup.clone(),
            address: address.to_owned(),
            process,
            errors,
            events: RefCell::default(),
            read: Cell::new(0),
            _directory: directory,
        };
        // Written before it was ready, but perhaps not read yet.
        engine.event_named("config.reload.applied");
        engine
    }

    /// Ends the engine and starts it again, on the same file and topics.
    pub(crate) fn restart(&mut self) {
        self.signal("TERM");
        let (status, events) = self.end();
        assert!(status.success(), "{events:#?}");
        self.launch();
    }

    /// The properties that it has when it is started again.
    pub(crate) fn set_properties(&mut self, setup: &Setup) {
        self.setup.properties.clone_from(&setup.properties);
    }

    /// The properties that it was started with, `NAME=VALUE`.
    pub(crate) fn properties(&self) -> &[String] {
        &self.setup.properties
    }

    /// Ends the engine as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts an engine that has ended again, on the same file and topics.
    pub(crate) fn launch(&mut self) {
        let topics = self.topics.borrow();
        (self.process, self.errors, self.port) =
            launch(&self.location, &self.setup, &self.address, &topics);
        drop(topics);
        self.read.set(0);
        self.event_named("config.reload.applied");
    }

    pub(super) fn stand_in() -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = directory.path().join("zilla.yaml");
        let port = free_port();
        let process = stand_in(port, directory.path());
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for mosquitto");
            std::thread::yield_now();
        }
        Self {
            port,
            topics: RefCell::new(Topics::embedded(1)),
            file,
            location: String::new(),
            setup: Setup::new(1),
            address: String::new(),
            process,
            errors: std::sync::mpsc::channel().1,
            events: RefCell::default(),
            read: Cell::new(0),
            _directory: directory,
        }
    }

    /// Replaces the file, as an editor does: written beside it and renamed over it.
    pub(crate) fn write(&self, text: &str) {
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, fill(text, &self.topics.borrow())).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
    }

    /// Replaces the file as Kubernetes does with a mounted ConfigMap ([`Setup::is_volume`]).
    pub(crate) fn swap(&self, text: &str) {
        super::volume::swap(&self.file, &fill(text, &self.topics.borrow()));
    }

    /// Replaces the file and waits until the change is in force; the event that says so.
    pub(crate) fn reload(&self, setup: &Setup) -> Value {
        self.reload_text(&setup.yaml())
    }

    /// As [`Engine::reload`], with the text of the file.
    pub(crate) fn reload_text(&self, text: &str) -> Value {
        self.skip_events();
        self.write(text);
        let event = self.event("config.reload.applied or config.reload.refused", |event| {
            event["event"].as_str().is_some_and(|name| name.starts_with("config.reload."))
        });
        assert_eq!(event["event"], "config.reload.applied", "{event}");
        event
    }

    /// The next event with this name.
    pub(crate) fn event_named(&self, name: &str) -> Value {
        self.event(name, |event| event["event"] == name)
    }

    /// The first event with this name since the engine started.
    pub(crate) fn first_event(&self, name: &str) -> Value {
        self.read.set(0);
        self.event_named(name)
    }

    /// The next event that `matches`, after those that were awaited or skipped before.
    pub(crate) fn event(&self, awaited: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut events = self.events.borrow_mut();
        loop {
            while let Some(event) = events.get(self.read.get()) {
                self.read.set(self.read.get() + 1);
                if matches(event) {
                    return event.clone();
                }
            }
            match self.errors.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => events.push(parse(line)),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited {PATIENCE:?} for the event {awaited}; there were {events:#?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("zilla ended before the event {awaited}; there were {events:#?}")
                }
            }
        }
    }

    /// Looks at all events once more.
    pub(crate) fn read_again(&self) {
        self.read.set(0);
    }

    /// Leaves out of account all events up to now.
    pub(crate) fn skip_events(&self) {
        let mut events = self.events.borrow_mut();
        events.extend(self.errors.try_iter().map(parse));
        self.read.set(events.len());
    }

    /// What `zilla status` prints as JSON.
    pub(crate) fn status(&self) -> Value {
        let output = run_zilla(&["status", "--format", "json", "-c", &self.location]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Has a process of its own ask for the status.
    pub(crate) fn ask_status(&self) -> Child {
        let mut command = zilla(&["status", "-c", &self.location]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run zilla")
    }

    /// The counter `name`, summed over the bindings.
    pub(crate) fn counter(&self, name: &str) -> i64 {
        let status = self.status();
        let counters = status["counters"].as_array().unwrap();
        let values = counters.iter().filter(|row| row[1] == name);
        values.map(|row| row[2].as_i64().unwrap()).sum()
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap().count()
    }

    /// The descriptors that it has open: how many, and one more than the highest.
    pub(crate) fn descriptors(&self) -> (usize, usize) {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        let number = |name: std::ffi::OsString| name.to_str().unwrap().parse::<usize>().unwrap();
        let numbers: Vec<usize> = open.map(|entry| number(entry.unwrap().file_name())).collect();
        (numbers.len(), numbers.iter().max().unwrap() + 1)
    }

    /// Sets below which number its descriptors must lie, now.
    pub(crate) fn limit_descriptors(&self, most: usize) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.id().to_string(), &format!("--nofile={most}:")])
            .status()
            .expect("run prlimit");
        assert!(set.success());
    }

    /// How many events with this name there were up to now.
    pub(crate) fn count_events(&self, name: &str) -> usize {
        self.count_events_that(|event| event["event"] == name)
    }

    /// How many that `matches` came yet.
    pub(crate) fn count_events_that(&self, matches: impl Fn(&Value) -> bool) -> usize {
        let mut events = self.events.borrow_mut();
        events.extend(self.errors.try_iter().map(parse));
        events.iter().filter(|event| matches(event)).count()
    }

    /// Sends a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the engine's end: its status, and everything that it wrote to standard error.
    pub(crate) fn end(&mut self) -> (ExitStatus, Vec<Value>) {
        let (_, status) = self.process.end();
        let mut events = self.events.take();
        events.extend(self.errors.iter().map(parse));
        (status, events)
    }

    /// Everything in this test's Kafka topic `name`.
    pub(crate) fn records(&self, name: &str, at_least: usize) -> Vec<super::Record> {
        self.topics.borrow_mut().read(name, at_least)
    }

    /// The name in Kafka of this test's topic `name`.
    pub(crate) fn topic(&self, name: &str) -> String {
        self.topics.borrow().name(name)
    }
}

/// What the engine said is shown with a test that failed.
impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.skip_events();
            for event in self.events.borrow().iter() {
                eprintln!("{event}");
            }
        }
    }
}

/// Starts the engine and waits until it serves; the process, its standard error, its first port.
fn launch(
    location: &str,
    setup: &Setup,
    address: &str,
    topics: &Topics,
) -> (Process, Receiver<String>, u16) {
    let mut start = match setup.lacks_inotify {
        true => without_inotify(&zilla(&["start"])),
        false => zilla(&["start"]),
    };
    let mut process = Process::start(
        "zilla",
        start
            .args(["--log-format", "json", "--workers", &setup.workers.to_string(), "-c"])
            .arg(location)
            .args(topics.arguments())
            .args(setup.properties.iter().flat_map(|property| ["-P", property]))
            .args(&setup.arguments)
            .env("KAFKA_BOOTSTRAP_SERVER", address)
            .stderr(Stdio::piped()),
    );
    let errors = process.errors();
    let mut port = None;
    loop {
        let Some(line) = process.line_or_end("zilla: ready") else {
            panic!("zilla did not start: {:#?}", errors.iter().collect::<Vec<_>>());
        };
        if line == "zilla: ready" {
            return (process, errors, port.expect("an address that is served"));
        }
        if line.starts_with("zilla: kafka: ") {
            continue;
        }
        let address = line.strip_prefix("zilla: serving tcp://127.0.0.1:").expect("an address");
        let number = address.split(' ').next().and_then(|number| number.parse().ok());
        port = port.or(number);
    }
}

/// The fate of a binding in a `config.reload.applied` event.
pub(crate) fn fate<'a>(event: &'a Value, binding: &str) -> &'a str {
    text(&event["nodes"])
        .split(' ')
        .find_map(|pair| pair.strip_prefix(&format!("test:{binding}=")))
        .unwrap_or_else(|| panic!("no fate of {binding} in {event}"))
}

/// A port that is free at the moment, below those that the kernel gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let first = 12000 + u16::try_from(std::process::id() % 7000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn parse(line: String) -> Value {
    serde_json::from_str(&line).unwrap_or(Value::String(line))
}
