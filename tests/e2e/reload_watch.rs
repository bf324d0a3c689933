//! The ways in which a file changes on disk, each noticed while clients publish and subscribe.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::harness::{Bystanders, Client, Engine, Setup, V5, engine_only, fate, fill, text};

/// Changes the file by `change`, which is given its next text, over and over: each change must be in
/// force before the next, and touch nobody.
fn assert_noticed(setup: &Setup, change: impl Fn(&Engine, &str)) {
    let engine = setup.start();
    let mut bystanders = Bystanders::start(&engine, &["w/x"]);
    let routed = setup.clone().with_route("r/#", "\"@one\"");
    for setup in [&routed, setup, &routed, setup] {
        bystanders.during(&engine, &[], || {
            engine.skip_events();
            change(&engine, &setup.yaml());
            // A writer that the system lets wait leaves the file empty or missing meanwhile.
            let event = engine.event_named("config.reload.applied");
            assert_eq!(fate(&event, "mapping"), "Update", "{event}");
        });
    }
    bystanders.finish(&["w/x"]);
}

fn next_reload(engine: &Engine) -> serde_json::Value {
    engine.event("a reload", |event| {
        event["event"].as_str().is_some_and(|name| name.starts_with("config.reload."))
    })
}

fn plain() -> Setup {
    Setup::new(1).with_topics(&["one"])
}

fn filled(engine: &Engine, text: &str) -> String {
    fill(text, &engine.topics.borrow())
}

/// Written beside it and renamed over it, as most editors do.
#[test]
fn a_file_that_is_renamed_into_place() {
    engine_only!();
    assert_noticed(&plain(), |engine, text| engine.write(text));
}

/// The old file is moved away before the new one is written, as editors do that keep it.
#[test]
fn a_file_of_which_a_backup_is_kept() {
    engine_only!();
    assert_noticed(&plain(), |engine, text| {
        std::fs::rename(&engine.file, engine.file.with_extension("yaml~")).unwrap();
        std::fs::write(&engine.file, filled(engine, text)).unwrap();
    });
}

/// Written in place, as `cat >` does.
#[test]
fn a_file_that_is_written_in_place() {
    engine_only!();
    assert_noticed(&plain(), |engine, text| {
        std::fs::write(&engine.file, filled(engine, text)).unwrap();
    });
}

/// Mounted into a container, as Kubernetes does.
#[test]
fn a_link_that_is_swapped() {
    engine_only!();
    assert_noticed(&Setup { is_volume: true, ..plain() }, |engine, text| engine.swap(text));
}

/// A file system that gives no notices, as some that are mounted over a network: it is read again
/// and again.
#[test]
fn a_file_whose_changes_nobody_tells() {
    engine_only!();
    let setup = Setup { lacks_inotify: true, ..plain() };
    assert_noticed(&setup, |engine, text| {
        assert_eq!(engine.count_events("config.watch.polling"), 1, "inotify works all the same");
        std::fs::write(&engine.file, filled(engine, text)).unwrap();
    });
}

/// So short must the pauses of a slow writer be here; the engine waits for twice as long.
const PAUSE: Duration = Duration::from_millis(25);

/// In place, bit by bit: what is there meanwhile is no configuration, and is not taken for one.
#[test]
fn a_file_that_is_written_bit_by_bit() {
    engine_only!();
    let setup = plain();
    let engine = setup.start();
    let mut bystanders = Bystanders::start(&engine, &["w/x"]);
    let routed = setup.clone().with_route("r/#", "\"@one\"");
    for setup in [&routed, &setup] {
        bystanders.during(&engine, &[], || {
            let text = filled(&engine, &setup.yaml());
            // On a machine that is too busy to write that fast, once more.
            let is_written = (0..20).any(|_| {
                engine.skip_events();
                let longest = write_slowly(&engine, text.as_bytes());
                let event = next_reload(&engine);
                let is_good = event["event"] == "config.reload.applied";
                assert!(is_good || longest >= PAUSE, "{longest:?} was too long: {event}");
                is_good
            });
            assert!(is_written, "this machine is too busy");
        });
    }
    bystanders.finish(&["w/x"]);
}

/// Empties the file and writes `bytes` in five parts; the longest pause between two.
fn write_slowly(engine: &Engine, bytes: &[u8]) -> Duration {
    let mut file = File::create(&engine.file).unwrap();
    let mut last = Instant::now();
    let mut longest = Duration::ZERO;
    for part in bytes.chunks(bytes.len() / 4) {
        std::thread::sleep(PAUSE / 5);
        file.write_all(part).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

/// Gone for longer than a moment: told once, and the file counts again when it is back.
#[test]
fn a_file_that_is_deleted_and_returns() {
    engine_only!();
    let setup = plain();
    let engine = setup.start();
    let mut bystanders = Bystanders::start(&engine, &["w/x"]);
    let routed = setup.clone().with_route("r/#", "\"@one\"");
    for routed in [setup, routed] {
        bystanders.during(&engine, &[], || {
            engine.skip_events();
            std::fs::remove_file(&engine.file).unwrap();
            let event = engine.event_named("config.reload.refused");
            assert_eq!(event["problems"], "the file is missing");
            let status = engine.status();
            assert_eq!(text(&status["file"]), "missing");
            assert_eq!(status["refused"]["problems"], "the file is missing");
        });
        let event = bystanders.reload(&engine, &routed);
        assert_eq!(event["unchanged"], routed.routes.is_empty());
        assert_eq!(engine.status()["refused"], serde_json::Value::Null);
    }
    bystanders.finish(&["w/x"]);
}

/// Not watched at all: SIGHUP reads it, changed or not.
#[test]
fn a_file_that_is_read_at_sighup() {
    engine_only!();
    let arguments = vec!["-Pzilla.engine.config.watch=false"];
    assert_noticed(&Setup { arguments, ..plain() }, |engine, text| {
        let generation = engine.status()["generation"].clone();
        engine.write(text);
        Client::connect(engine.port, V5, "meanwhile").ping();
        assert_eq!(engine.status()["generation"], generation);
        engine.signal("HUP");
    });
}
