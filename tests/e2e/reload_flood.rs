//! A file that is rewritten all the time, good and bad by turns, with many clients connected.
//!
//! `scripts/soak-reload` runs it for a minute with a thousand clients.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Bystanders, Client, Engine, PATIENCE, Setup, Sockets, V5, engine_only, fill};

/// Between two writes of the file.
const PAUSE: Duration = Duration::from_millis(10);

/// By so much may memory grow from the first quarter of the flood to its end, KiB.
const GROWTH: u64 = 16 * 1024;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What a process holds of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
}

impl Holdings {
    fn of(engine: &Engine) -> Self {
        Self { descriptors: engine.descriptors().0, threads: engine.threads() }
    }

    /// Waits until the engine holds no more than this again: a connection that asked for its status
    /// may have been there at the time.
    fn await_again(self, engine: &Engine) {
        let deadline = Instant::now() + PATIENCE;
        let is_more = |now: Self| now.descriptors > self.descriptors || now.threads > self.threads;
        while is_more(Self::of(engine)) {
            assert!(Instant::now() < deadline, "{self:?} became {:?}", Self::of(engine));
            std::thread::sleep(PAUSE);
        }
    }
}

/// Resident memory, KiB.
fn memory(engine: &Engine) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// The texts that are written by turns: good ones that differ, each followed by one that is bad in
/// another way.
fn texts(engine: &Engine, plain: &str, routed: &str) -> Vec<String> {
    let texts = [
        routed.to_owned(),
        plain.replacen("exit: mapping", "exit: nowhere", 1),
        plain.to_owned(),
        plain.chars().take(plain.len() / 2).collect(),
        routed.to_owned(),
        String::new(),
        plain.to_owned(),
        "name: [\n".to_owned(),
    ];
    texts.iter().map(|text| fill(text, &engine.topics.borrow())).collect()
}

/// Writes the file every 10 ms for `time`: in place and renamed into place by turns.
fn flood(engine: &Engine, texts: &[String], time: Duration) -> usize {
    let beside = engine.file.with_extension("flood");
    let end = Instant::now() + time;
    let mut writes = 0;
    while Instant::now() < end {
        let text = &texts[writes % texts.len()];
        if writes % 3 == 0 {
            std::fs::write(&engine.file, text).unwrap();
        } else {
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, &engine.file).unwrap();
        }
        writes += 1;
        std::thread::sleep(PAUSE);
    }
    writes
}

#[test]
fn a_file_rewritten_every_10_ms_leaks_nothing_and_drops_nobody() {
    engine_only!();
    let time = Duration::from_secs(setting("ZILLA_FLOOD_SECONDS", 5));
    let count = setting("ZILLA_FLOOD_CLIENTS", 200);
    let setup = Setup::new(3).with_topics(&["one", "two"]);
    // Logs that are full soon, so that what grows later is a leak.
    let bounded = |setup: &Setup| {
        let options = "      cache:\n        bytes: 1048576\n      bootstrap:\n";
        setup.yaml().replacen("      bootstrap:\n", options, 1)
    };
    let [plain, routed, last] = [
        setup.clone(),
        setup.clone().with_route("flood/#", "\"@one\""),
        setup.clone().with_route("flood/#", "\"@two\""),
    ]
    .map(|setup| bounded(&setup));
    let engine = setup.start();
    let hash = engine.reload_text(&last)["hash"].clone();
    engine.reload_text(&plain);
    let mut clients: Vec<Client> = (0..count)
        .map(|number| {
            let mut client = Client::connect(engine.port, V5, &format!("client-{number}"));
            client.subscribe("flood/all", 1);
            client
        })
        .collect();
    let mut bystanders = Bystanders::start(&engine, &["flood/x", "other/x"]);
    let texts = texts(&engine, &plain, &routed);
    let holdings = Holdings::of(&engine);
    let sockets = Sockets::of(engine.id());
    let mut writes = flood(&engine, &texts, time / 4);
    let early = memory(&engine);
    writes += flood(&engine, &texts, time - time / 4);
    let late = memory(&engine);
    bystanders.flow();
    engine.write(&last);
    await_in_force(&engine, &hash);
    let applied = engine.count_events("config.reload.applied");
    let refused = engine.count_events("config.reload.refused");
    sockets.assert_kept(&Sockets::of(engine.id()), &[]);
    holdings.await_again(&engine);
    eprintln!(
        "{count} clients, {writes} writes in {time:?}: {applied} put in force, {refused} refused; \
         {holdings:?} before and after; {early} KiB after a quarter, {late} KiB at the end"
    );
    assert!(applied > 2 && refused > 2, "{applied} put in force, {refused} refused");
    assert!(late < early + GROWTH, "{early} KiB became {late} KiB");
    // The last file is in force, for all.
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    publisher.publish("flood/all", "who is there", 1);
    for client in &mut clients {
        assert_eq!(client.receive().text(), "who is there");
    }
    let is_it =
        |record: &crate::harness::Record| record.value.as_deref() == Some(&b"who is there"[..]);
    assert!(engine.records("two", 1).iter().any(is_it));
    // And later reloads are as they ever were.
    bystanders.reload_text(&engine, &plain);
    bystanders.finish(&["other/x"]);
}

/// Waits until the file is in force, and is the configuration with this hash.
fn await_in_force(engine: &Engine, hash: &Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = engine.status();
        if status["file"] == "in force" && status["hash"] == *hash {
            return;
        }
        assert!(Instant::now() < deadline, "the last file is not in force: {status}");
    }
}
