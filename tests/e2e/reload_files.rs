//! Files that are broken or missing, and what is told about it.

use crate::harness::{
    Client, Setup, Traffic, V5, engine_only, fate, on_one_and_three_workers, text,
};

on_one_and_three_workers!(a_broken_file_changes_nothing_and_is_reported_with_its_place,);

fn a_broken_file_changes_nothing_and_is_reported_with_its_place(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers);
    let engine = setup.start();
    let traffic = Traffic::start(engine.port, &["b/x"]);
    let good = setup.yaml();
    let generation = engine.status()["generation"].clone();
    let file = engine.file.to_str().unwrap();
    let line_of = |text: &str, what: &str| {
        text.lines().position(|line| line.contains(what)).map(|at| at + 1).unwrap()
    };
    let misspelt = good.replacen("exit: mapping", "exitt: mapping", 1);
    let dangling = good.replacen("exit: mapping", "exit: nowhere", 1);
    let no_yaml = good.replacen("    kind: proxy", "\t kind: [proxy", 1);
    let wrong_plane = good.replacen("exit: mapping", "exit: cache", 1);
    let cases = [
        (misspelt, "exitt", 5),
        (dangling, "nowhere", 11),
        (no_yaml, "[proxy", 0),
        (wrong_plane, "exit: cache", 11),
    ];
    for (broken, what, column) in cases {
        assert_ne!(broken, good, "{what}");
        engine.skip_events();
        engine.write(&broken);
        let event = engine.event("config.reload.refused or config.reload.applied", |event| {
            text(event.get("event").unwrap_or(&"".into())).starts_with("config.reload.")
        });
        assert_eq!(event["event"], "config.reload.refused", "{what}");
        let problems = text(&event["problems"]);
        let line = line_of(&broken, what);
        let place = format!("{file}:{line}:");
        assert!(problems.contains(&place), "{what}: {place} is not in {problems}");
        if column > 0 {
            assert!(problems.contains(&format!("{place}{column}: error[E")), "{what}: {problems}");
        }
        let status = engine.status();
        assert_eq!(status["generation"], generation);
        assert!(text(&status["file"]).contains("it has errors"), "{status}");
        traffic.flow();
    }
    // Mended, in force again.
    let event = engine.reload_text(&good);
    assert_eq!(event["unchanged"], true, "it is what was in force");
    assert_eq!(engine.status()["file"], "in force");
    traffic.finish(&["b/x"]);
}

#[test]
fn a_missing_or_empty_file_changes_nothing() {
    engine_only!();
    let setup = Setup::new(1);
    let engine = setup.start();
    let mut client = Client::connect(engine.port, V5, "c");
    std::fs::remove_file(&engine.file).unwrap();
    let event = engine.event_named("config.reload.refused");
    assert_eq!(event["problems"], "the file is missing");
    client.ping();
    let status = engine.status();
    assert!(text(&status["file"]).contains("missing"), "{status}");
    engine.write("");
    let event = engine.event_named("config.reload.refused");
    assert_eq!(event["problems"], "the file is empty");
    client.ping();
    let event = engine.reload(&setup.with_topics(&[]));
    assert_eq!(event["unchanged"], true);
    client.ping();
}

/// A port that cannot be had: nothing changes, and the problem names the place in the file.
#[test]
fn a_port_that_is_taken_refuses_the_change() {
    engine_only!();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let number = taken.local_addr().unwrap().port();
    let setup = Setup::new(1);
    let engine = setup.start();
    let mut client = Client::connect(engine.port, V5, "c");
    engine.skip_events();
    engine.write(&Setup { ports: vec![0, number], ..setup }.yaml());
    let event = engine.event_named("config.reload.refused");
    let problems = text(&event["problems"]);
    let place = format!("{}:8:", engine.file.display());
    assert!(problems.contains(&place) && problems.contains("error[E05"), "{problems}");
    client.ping();
    Client::connect(engine.port, V5, "d").ping();
}

/// Written in place, as `cat >` does, and read again at SIGHUP.
#[test]
fn the_file_may_be_written_in_place() {
    engine_only!();
    let setup = Setup::new(1).with_topics(&["one"]);
    let engine = setup.start();
    let filled = |setup: &Setup| crate::harness::fill(&setup.yaml(), &engine.topics.borrow());
    engine.skip_events();
    let routed = setup.with_route("r/#", "\"@one\"");
    std::fs::write(&engine.file, filled(&routed)).unwrap();
    let event = engine.event_named("config.reload.applied");
    assert_eq!(fate(&event, "mapping"), "Update");
    engine.signal("HUP");
    let event = engine.event_named("config.reload.applied");
    assert_eq!(event["unchanged"], true);
}

/// What `zilla status` shows.
#[test]
fn status_shows_generation_bindings_connections_and_counters() {
    engine_only!();
    let engine = Setup::new(1).start();
    let mut clients: Vec<Client> =
        (0..3).map(|number| Client::connect(engine.port, V5, &format!("c{number}"))).collect();
    clients[0].subscribe("t", 1);
    clients[1].publish("t", "x", 1);
    clients[0].receive();
    let status = engine.status();
    assert_eq!((&status["generation"], &status["workers"]), (&1.into(), &1.into()));
    assert_eq!(status["file"], "in force");
    let bindings = status["bindings"].as_array().unwrap();
    let names: Vec<_> = bindings.iter().map(|binding| text(&binding["name"])).collect();
    let order = ["tcp", "mqtt", "mapping", "cache", "log", "kafka"];
    assert_eq!(names, order.map(|name| format!("test:{name}")));
    assert_eq!(bindings[1]["connections"], 3);
    assert_eq!(
        (&bindings[1]["type"], &bindings[1]["kind"], &bindings[1]["fate"]),
        (&"mqtt".into(), &"server".into(), &"Start".into())
    );
    assert_eq!(engine.counter("publishes_received"), 1);
    assert_eq!(engine.counter("deliveries_sent"), 1);
    let file = engine.file.to_str().unwrap();
    let output = crate::harness::run_zilla(&["status", "-c", file]);
    let shown = String::from_utf8(output.stdout).unwrap();
    for part in ["generation 1", "in force", "test:mqtt", "publishes_received"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}
