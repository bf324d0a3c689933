//! Scenarios on the wire: what clients send and what must come back, as files that a reader of the
//! specification understands, against a real engine over TCP.
//!
//! [README.md](README.md) describes the notation. Each scenario runs as it is written, a byte a
//! segment, and with all that a client can send at once in one segment.
//!
//! `ZILLA_WIRE_ADDRESS=HOST:PORT` runs them against another server, `ZILLA_TEST_BROKER=mosquitto`
//! against a mosquitto that is started for it; `ZILLA_WIRE_ONLY=TEXT` only those whose file or title
//! has this in it. The engine keeps its log itself, in one partition.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::let_underscore_must_use,
    clippy::print_stderr,
    reason = "a test ends at the first surprise and waits on the clock"
)]

mod connection;
mod differences;
mod encode;
#[path = "../e2e/harness/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "the end-to-end tests use the rest")]
mod harness;
mod notation;
mod properties;
mod run;
mod scenario;
mod seen;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};

use connection::Form;
use differences::Differences;
use harness::{Engine, Setup, Topics, is_stand_in};
use run::{Target, run};
use scenario::Scenario;

/// Scenarios at the same time: most of them wait.
const AT_ONCE: usize = 8;

#[test]
fn as_written() {
    run_all(Form::AsWritten);
}

#[test]
fn byte_by_byte() {
    run_all(Form::ByteByByte);
}

#[test]
fn coalesced() {
    run_all(Form::Coalesced);
}

/// The server that the scenarios run against.
enum Server {
    Engine(Box<Engine>),
    Other(SocketAddr),
}

impl Server {
    fn start() -> Self {
        if let Ok(address) = std::env::var("ZILLA_WIRE_ADDRESS") {
            let found = address.to_socket_addrs().ok().and_then(|mut all| all.next());
            return Self::Other(found.unwrap_or_else(|| panic!("ZILLA_WIRE_ADDRESS={address}")));
        }
        // As long as topics can be.
        let mqtt = "    options:\n      limits:\n        topic-length: 65535\n".to_owned();
        let setup = Setup { mqtt, ..Setup::new(2) };
        let engine = if is_stand_in() {
            setup.start()
        } else {
            // One partition, so that messages of all topics come in the order of their publishes.
            let topics = Topics::embedded(1);
            let address = topics.address().to_owned();
            setup.start_at(&address, topics)
        };
        Self::Engine(Box::new(engine))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Engine(engine) => ([127, 0, 0, 1], engine.port).into(),
            Self::Other(address) => *address,
        }
    }

    fn is_ours(&self) -> bool {
        matches!(self, Self::Engine(_)) && !is_stand_in()
    }

    /// How another server is known to differ.
    fn differences(&self) -> Differences {
        if self.is_ours() { Differences::none() } else { Differences::of_mosquitto() }
    }
}

fn run_all(form: Form) {
    let only = std::env::var("ZILLA_WIRE_ONLY").unwrap_or_default();
    let mut scenarios = scenario::all();
    let all = scenarios.clone();
    scenarios.retain(|scenario| scenario.name().contains(&only));
    assert!(!scenarios.is_empty(), "no scenario has {only} in its name");
    let server = Server::start();
    let target = Target { address: server.address(), says_why: server.is_ours() };
    let differences = server.differences();
    differences.check_names(&all);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = run(scenario, target, form, &own());
            failures.extend(differences.judge(scenario, form, result).err());
        }
        failures
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (count, whole) = (failures.len(), scenarios.len());
    assert!(failures.is_empty(), "{count} of {whole} failed, {form:?}:\n{}", failures.join("\n"));
}

/// Text that no other scenario has, nor another run against the same server: six letters and digits.
fn own() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // Runs that begin at different seconds of a month differ.
    let run = usize::try_from(time.as_secs()).unwrap() / 8;
    let mut number = run << 12 | (NEXT.fetch_add(1, Ordering::Relaxed) & 0xfff);
    let mut own = String::new();
    for _ in 0..6 {
        own.push(char::from(DIGITS[number % 32]));
        number /= 32;
    }
    own
}

/// Used by scenarios of both versions alike.
#[test]
fn each_scenario_says_something() {
    let empty: Vec<String> = scenario::all()
        .iter()
        .filter(|scenario: &&Scenario| scenario.steps.is_empty())
        .map(Scenario::name)
        .collect();
    assert!(empty.is_empty(), "{empty:#?}");
}
